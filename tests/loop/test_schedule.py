"""What is run next: it follows from what was run, and it comes to an end."""

from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.judge.preset import PRESETS
from loop.judge.runs import BASELINE, CHALLENGE, CHOSEN, CONFIRM, RACE, SCREEN, Runs
from loop.judge.standing import Standing
from loop.schedule import INCUMBENT_RUNS, Job, fresh_seed, next_job, own_seeds, seeds
from loop.study import parse
from store.place import CONFIG
from store.records import Evidence, Experiment, State, Value, Verdict, Word

TEXT = '[run]\ntrain = "true"\n[objectives]\nloss = { direction = "minimize" }\n'
SETTINGS = parse(TEXT, Path(CONFIG)).settings
FIRST = list(islice(seeds(0), 40))
RACE_SEEDS, RULE = PRESETS["balanced"].race_seeds, PRESETS["balanced"].rule


def experiment(number: int, state: State = State.QUEUED) -> Experiment:
    return Experiment(number, "x", state, f"tree{number}", "", f"branch{number}", 0.0, parent=0, root=0)


def said(number: int, incumbent: int, *, asks: bool, runs: int, promising: bool = False) -> Verdict:
    evidence = Evidence.PROMISING if promising else Evidence.SCREENED
    return Verdict(number, "", incumbent, runs, RULE, Word.INCONCLUSIVE, evidence, asks, "", {}, 0.0)


class Simulated:
    """A study whose runs all end well, and a judge that asks as it is told: fresh seeds from `promising` runs on."""

    def __init__(self, count: int, wishes: list[int], promising: int = 99) -> None:
        self.stand, self.wishes, self.promising = Standing(SETTINGS, ""), wishes, promising
        self.runs = self.stand.runs
        self.jobs: list[Job] = []
        for number in range(count):
            self.stand.put(experiment(number, State.QUEUED if number else State.MEASURED))
        self.run(Job(self.rows[0], FIRST[0], BASELINE))

    @property
    def rows(self) -> list[Experiment]:
        return list(self.stand.rows.values())

    def put(self, number: int, **changes: Any) -> None:
        self.stand.put(replace(self.stand.rows[number], **changes))

    def run(self, job: Job) -> None:
        self.jobs.append(job)
        number = job.experiment.number
        self.runs.add(Value(len(self.jobs), number, job.seed, job.purpose, "loss", 1.0))
        if number not in (0, self.stand.incumbent):
            self.put(number, state=State.MEASURED)
        if len(self.runs.common(self.runs.yardstick(self.stand.incumbent))) >= 3:
            for row in self.stand.waiting():
                have = len(self.runs.seeds(row.number))
                wish = self.wishes[row.number % len(self.wishes)]
                promising = have >= self.promising
                most = wish if promising else min(wish, RACE_SEEDS)
                verdict = said(row.number, self.stand.incumbent, asks=have < most, runs=have, promising=promising)
                self.put(row.number, state=State.JUDGED, verdict=verdict)

    def merge(self, number: int) -> None:
        self.put(number, state=State.MERGED)
        self.stand.chosen = {job.seed for job in self.jobs if job.experiment.number == number and job.purpose in CHOSEN}
        self.stand.stand(number)

    def whole(self, count: int | None = None) -> list[Job]:
        while (job := next_job(self.stand, 0, count)) is not None:
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
    assert [(job.experiment.number, job.purpose) for job in jobs[-3:]] == [(1, RACE), (0, CHALLENGE), (1, RACE)]
    assert jobs[-1].seed == jobs[-2].seed == FIRST[3]


def test_what_is_promising_is_run_on_fresh_seeds_and_the_incumbent_gains_a_run_with_each() -> None:
    jobs = Simulated(3, [5], promising=2).whole()
    first, second = ([job for job in jobs if job.experiment.number == number] for number in (1, 2))
    assert [job.purpose for job in first] == [SCREEN, RACE, CONFIRM, CONFIRM, CONFIRM]
    assert [job.seed for job in first] == [*FIRST[:2], *FIRST[4:7]]
    assert [job.seed for job in second] == [*FIRST[:2], *FIRST[7:10]], "fresh for the incumbent too"
    confirmed = [jobs.index(job) for job in jobs if job.purpose == CONFIRM]
    for at in confirmed:
        assert (jobs[at - 1].experiment.number, jobs[at - 1].purpose, jobs[at - 1].seed) == (
            0,
            CHALLENGE,
            jobs[at].seed,
        )


def test_what_is_made_from_a_pinned_one_is_run_on_seeds_on_which_that_was_not() -> None:
    study = Simulated(2, [5], promising=2)
    before = {job.seed for job in study.whole() if job.experiment.number == 1}
    for number in (2, 3):
        study.stand.put(replace(experiment(number), parent=number - 1))
        own = [job for job in study.whole() if job.experiment.number == number]
        assert [job.purpose for job in own] == [SCREEN, RACE, CONFIRM, CONFIRM, CONFIRM]
        assert not before & {job.seed for job in own}
        assert all(study.runs.seeds(0) >= {job.seed} for job in own), "trunk has been run on each of them"
        before |= {job.seed for job in own}


def test_a_child_of_what_is_trunk_by_now_is_run_on_trunks_seeds() -> None:
    study = Simulated(2, [5], promising=2)
    study.whole()
    study.stand.put(replace(experiment(2), parent=1))
    study.merge(1)
    before = len(study.jobs)
    assert {job.experiment.number for job in study.whole()[before:]} == {1, 2}, "and it comes to an end"


def test_the_baseline_is_run_no_more_on_a_seed_on_which_it_has_failed() -> None:
    study = Simulated(3, [1])
    study.whole()
    study.merge(1)
    study.stand.runs = study.runs = Runs(SETTINGS)
    study.stand.failed_at_first = {FIRST[0]}
    job = next_job(study.stand, 0)
    assert job and (job.experiment.number, job.seed) == (0, FIRST[1])


def test_on_another_bench_the_baseline_and_trunk_are_run_before_anything_is_held_against_them() -> None:
    study = Simulated(3, [1])
    study.whole()
    study.merge(1)
    study.stand.runs = study.runs = Runs(SETTINGS)
    study.put(2, state=State.QUEUED)
    before = len(study.jobs)
    jobs = study.whole()[before:]
    assert [(job.experiment.number, job.purpose) for job in jobs[:5]] == [
        (0, CHALLENGE), (0, CHALLENGE), (0, CHALLENGE), (1, BASELINE), (2, SCREEN),
    ]  # fmt: skip


def test_a_study_looks_at_six_before_it_confirms_the_first() -> None:
    jobs = Simulated(9, [5, 5, 1], promising=2).whole()
    purposes = [job.purpose for job in jobs]
    before = purposes[: purposes.index(CONFIRM)]
    assert before.count(SCREEN) == 6
    assert before.count(RACE) == 4, "what is no more than a race goes on meanwhile"
    assert purposes.count(SCREEN) == 8


def test_an_incumbent_that_is_known_well_gains_one_run_a_challenge() -> None:
    have = set(FIRST[:INCUMBENT_RUNS])
    taken, own = set(FIRST[4:INCUMBENT_RUNS]), set(FIRST[:2])
    assert fresh_seed(FIRST[4:], own, set(), taken, have) == FIRST[INCUMBENT_RUNS]
    fresh = {FIRST[INCUMBENT_RUNS]}
    assert fresh_seed(FIRST[4:], own | fresh, fresh, taken, have | fresh) == FIRST[4]
    assert fresh_seed(FIRST[4:], own | fresh, fresh, taken, set(FIRST[:8])) == FIRST[INCUMBENT_RUNS + 1]


def test_an_experiment_beyond_the_number_asked_for_waits() -> None:
    assert {job.experiment.number for job in Simulated(6, [1]).whole(3)} == {0, 1, 2}


def test_what_was_merged_is_compared_on_seeds_for_which_it_was_not_chosen() -> None:
    assert list(islice(own_seeds(0, 0, {FIRST[0]}), 3)) == FIRST[:3]
    assert list(islice(own_seeds(0, 1, set(FIRST[:2])), 3)) == FIRST[2:5]
    study = Simulated(4, [1, 2])
    study.run(Job(study.rows[1], FIRST[0], SCREEN))
    study.run(Job(study.rows[1], FIRST[1], RACE))
    study.merge(1)
    later = study.whole()[3:]
    assert [job.seed for job in later if job.experiment.number == 1] == FIRST[2:5]
    assert {job.seed for job in later if job.experiment.number in (2, 3)} <= set(FIRST[2:6])


def test_an_incumbent_is_not_run_again_on_a_seed_where_it_has_failed() -> None:
    study = Simulated(2, [4])
    jobs = study.whole()
    assert [job.seed for job in jobs[-2:]] == [FIRST[3]] * 2
    study = Simulated(2, [4])
    study.stand.spoiled = {FIRST[3]}
    assert [job.seed for job in study.whole()[-2:]] == [FIRST[4]] * 2


def test_what_is_screened_after_a_merge_is_compared_on_the_same_seed() -> None:
    study = Simulated(3, [1])
    for seed, purpose in ((FIRST[0], SCREEN), (FIRST[1], RACE), *((seed, CONFIRM) for seed in FIRST[4:7])):
        study.run(Job(study.rows[1], seed, purpose))
    study.merge(1)
    later = study.whole()[6:]
    assert [(job.experiment.number, job.purpose, job.seed) for job in later] == [
        (0, CHALLENGE, FIRST[1]), (0, CHALLENGE, FIRST[2]), (1, CHALLENGE, FIRST[2]), (2, SCREEN, FIRST[2]),
    ]  # fmt: skip


def test_what_another_rule_has_judged_is_judged_again() -> None:
    study = Simulated(3, [1])
    study.whole()
    assert study.stand.waiting() == []
    fast = Standing(parse(TEXT + '[study]\npreset = "fast"\n', Path(CONFIG)).settings, "")
    for job in study.jobs:
        fast.runs.add(Value(0, job.experiment.number, job.seed, job.purpose, "loss", 1.0))
    for row in study.rows:
        fast.put(row)
    assert fast.waiting() == study.rows[1:]
    study.put(1, verdict=replace(said(1, 0, asks=False, runs=1), rule="balanced"))
    assert study.stand.waiting() == [study.rows[1]], "a record of the version before"


def test_a_race_against_what_is_no_longer_trunk_is_not_gone_on_with() -> None:
    study = Simulated(3, [1])
    study.whole()
    study.put(2, parent=1, verdict=said(2, 1, asks=True, runs=1))
    assert next_job(study.stand, 0) is None


def test_what_was_judged_by_another_bound_waits_for_its_verdict_again_and_then_no_more() -> None:
    def judged(constraints: str, verdicts: list[Verdict]) -> Standing:
        stand = Standing(parse(TEXT + constraints, Path(CONFIG)).settings, "")
        for number, loss in enumerate((1.0, 1.5, 3.0)):
            stand.runs.add(Value(number, number, FIRST[0], SCREEN, "loss", loss))
            stand.put(replace(experiment(number, State.JUDGED), verdict=verdicts[number]))
        return stand

    def waiting(stand: Standing) -> list[int]:
        return [row.number for row in stand.waiting()]

    verdicts = [said(number, 0, asks=False, runs=1) for number in range(3)]
    bounded = judged("[constraints]\nloss = { max = 2 }\n", verdicts)
    assert waiting(bounded) == [2], "it breaks the bound, and its verdict knows nothing of that"
    verdicts[2] = replace(verdicts[2], word=Word.INFEASIBLE, sentence=bounded.runs.breach(2))
    assert waiting(judged("[constraints]\nloss = { max = 2 }\n", verdicts)) == []
    other = judged("[constraints]\nloss = { max = 2.5 }\n", verdicts)
    assert waiting(other) == [2], "its sentence names a bound that is none any more"
    assert waiting(judged("", verdicts)) == [2], "no bound is left that it could break"
