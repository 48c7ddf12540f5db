"""What is run next: it follows from what was run, and it comes to an end."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from loop.judge.rule import RACE_SEEDS
from loop.judge.standing import BASELINE, CHOSEN, RACE, SCREEN, Runs
from loop.schedule import Job, next_job, own_seeds, seeds, waiting
from loop.study import parse
from store.place import CONFIG
from store.records import Evidence, Experiment, State, Value, Verdict, Word

TEXT = '[run]\ntrain = "true"\n[objectives]\nloss = { direction = "minimize" }\n'
SETTINGS = parse(TEXT, Path(CONFIG)).settings
FIRST = list(islice(seeds(0), 8))


def experiment(number: int, state: State = State.QUEUED) -> Experiment:
    return Experiment(number, "x", state, f"tree{number}", "", f"branch{number}", 0.0, parent=0)


def said(number: int, incumbent: int, *, asks: bool, runs: int) -> Verdict:
    return Verdict(number, "", incumbent, runs, "", Word.INCONCLUSIVE, Evidence.SCREENED, asks, "", {}, 0.0)


class Simulated:
    """A study whose runs all end well, and a judge that asks as it is told."""

    def __init__(self, count: int, wishes: list[int], incumbent: int = 0) -> None:
        self.rows = [experiment(0, State.MEASURED), *(experiment(number) for number in range(1, count))]
        self.wishes, self.incumbent, self.runs = wishes, incumbent, Runs(SETTINGS)
        self.jobs: list[Job] = []
        self.run(Job(self.rows[0], FIRST[0], BASELINE))

    def run(self, job: Job) -> None:
        self.jobs.append(job)
        number = job.experiment.number
        self.runs.add(Value(len(self.jobs), number, job.seed, job.purpose, "loss", 1.0))
        if number not in (0, self.incumbent):
            self.rows[number] = replace(self.rows[number], state=State.MEASURED)
        if len(self.runs.common(self.runs.yardstick(self.incumbent))) >= 3:
            for row in self.rows:
                if row.state is State.MEASURED and row.number not in (0, self.incumbent):
                    have = len(self.runs.seeds(row.number))
                    wish = self.wishes[row.number % len(self.wishes)]
                    verdict = said(row.number, self.incumbent, asks=have < min(wish, RACE_SEEDS), runs=have)
                    self.rows[row.number] = replace(row, state=State.JUDGED, verdict=verdict)

    def whole(self, count: int | None = None) -> list[Job]:
        chosen = {job.seed for job in self.jobs if job.experiment.number == self.incumbent and job.purpose in CHOSEN}
        while (job := next_job(self.rows, self.runs, 0, self.incumbent, chosen, count)) is not None:
            assert len(self.jobs) < 200, "it never ends"
            self.run(job)
        return self.jobs


@given(st.integers(1, 8), st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_it_ends_with_everything_judged_and_no_run_made_twice(count: int, wishes: list[int]) -> None:
    study = Simulated(count, wishes)
    jobs = study.whole()
    assert len({(job.experiment.number, job.seed) for job in jobs}) == len(jobs)
    assert all(row.state is State.JUDGED for row in study.rows[1:])
    for row in study.rows[1:]:
        own = study.runs.seeds(row.number)
        assert len(own) == min(wishes[row.number % len(wishes)], RACE_SEEDS)
        assert own <= study.runs.seeds(0), "what it is compared with has not been run on the same seed"


def test_the_baseline_alone_is_run_once_and_with_others_on_three_seeds_in_turn() -> None:
    assert len(Simulated(1, [1]).whole()) == 1
    jobs = Simulated(4, [1]).whole()
    assert [(job.experiment.number, job.purpose) for job in jobs] == [
        (0, BASELINE), (1, SCREEN), (0, BASELINE), (2, SCREEN), (0, BASELINE), (3, SCREEN),
    ]  # fmt: skip
    assert len(Simulated(2, [1]).whole()) == 4, "the last one waits for the baseline too"


def test_a_fourth_seed_is_run_on_the_incumbent_first() -> None:
    jobs = Simulated(2, [4]).whole()
    assert [(job.experiment.number, job.purpose) for job in jobs[-3:]] == [(1, RACE), (0, BASELINE), (1, RACE)]
    assert jobs[-1].seed == jobs[-2].seed == FIRST[3]


def test_an_experiment_beyond_the_number_asked_for_waits() -> None:
    assert {job.experiment.number for job in Simulated(6, [1]).whole(3)} == {0, 1, 2}


def test_what_was_merged_is_compared_on_seeds_for_which_it_was_not_chosen() -> None:
    assert own_seeds(0, 0, {FIRST[0]}, 3) == FIRST[:3]
    assert own_seeds(0, 1, set(FIRST[:2]), 3) == FIRST[2:5]
    study = Simulated(4, [1, 2])
    study.run(Job(study.rows[1], FIRST[0], SCREEN))
    study.run(Job(study.rows[1], FIRST[1], RACE))
    study.incumbent, study.rows[1] = 1, replace(study.rows[1], state=State.MERGED)
    later = study.whole()[3:]
    assert [job.seed for job in later if job.experiment.number == 1] == FIRST[2:5]
    assert {job.seed for job in later if job.experiment.number in (2, 3)} <= set(FIRST[2:6])


def test_a_race_against_what_is_no_longer_trunk_is_not_gone_on_with() -> None:
    study = Simulated(3, [1])
    study.whole()
    study.rows[2] = replace(study.rows[2], verdict=said(2, 1, asks=True, runs=1))
    assert next_job(study.rows, study.runs, 0, 0, set(), None) is None


def test_what_was_judged_by_another_bound_waits_for_its_verdict_again_and_then_no_more() -> None:
    bounded = parse(TEXT + "[constraints]\nloss = { max = 2 }\n", Path(CONFIG)).settings
    runs = Runs(bounded)
    for number, loss in enumerate((1.0, 1.5, 3.0)):
        runs.add(Value(number, number, FIRST[0], SCREEN, "loss", loss))
    verdicts = [said(number, 0, asks=False, runs=1) for number in range(3)]
    rows = [replace(experiment(number, State.JUDGED), verdict=verdicts[number]) for number in range(3)]
    assert waiting(rows, runs, 0) == [rows[2]], "it breaks the bound, and its verdict knows nothing of that"
    broken = replace(verdicts[2], word=Word.INFEASIBLE, sentence=runs.breach(2))
    rows[2] = replace(rows[2], verdict=broken)
    assert waiting(rows, runs, 0) == []
    other = Runs(parse(TEXT + "[constraints]\nloss = { max = 2.5 }\n", Path(CONFIG)).settings, runs.of)
    assert waiting(rows, other, 0) == [rows[2]], "its sentence names a bound that is none any more"
    assert waiting(rows, Runs(SETTINGS, runs.of), 0) == [rows[2]], "no bound is left that it could break"
