"""Where a study stands: what follows the record as it grows is what is read from it whole."""

import asyncio
from importlib import import_module
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.judge.axis import references
from loop.judge.preset import PRESETS
from loop.judge.runs import CONFIRM, RACE, SCREEN, VERIFY
from loop.judge.standing import Standing
from loop.schedule import next_job
from loop.schedule import seeds as seeds_of
from loop.study import parse
from store.place import CONFIG
from store.records import MERGE, UP, Evidence, Experiment, Frontier, Keeps, State, Value, Verdict, Verification, Word

import_module("moocore")  # here: the first time takes longer than an example may
SETTINGS = parse(
    """
    [run]
    train = "true"
    [objectives]
    loss = { direction = "minimize" }
    weights = { direction = "minimize" }
    [constraints]
    weights = { max = 2000 }
    """,
    Path(CONFIG),
).settings
MOST, RULE = 4, PRESETS["balanced"].rule

numbers, seeds = st.integers(0, MOST), st.integers(1, 4)
losses, weights = st.floats(0.5, 1.5), st.sampled_from([500.0, 1000.0, 1100.0, 3000.0])
Happening = tuple[str, int, tuple[int, float, float] | str]
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("measured"), numbers, st.tuples(seeds, losses, weights)),
        st.tuples(st.just("measured"), st.just(0) | numbers, st.tuples(seeds, losses, weights)),
        st.tuples(st.just("judged"), numbers, st.sampled_from([*Evidence, "asks"])),
        st.tuples(st.just("failed"), numbers, st.just("")),
        st.tuples(st.just("merged"), numbers, st.just("")),
        st.tuples(st.just("queued"), numbers, st.just("")),
    ),
    min_size=12,
    max_size=40,
)


class Record:
    """What a record would hold, and a standing that follows it."""

    def __init__(self) -> None:
        self.rows = {
            number: Experiment(number, "x", State.QUEUED, f"tree{number}", "", f"branch{number}", 0.0, parent=0, root=0)
            for number in range(MOST + 1)
        }
        self.values: dict[int, list[Value]] = {number: [] for number in self.rows}
        self.incumbent, self.runs = 0, 0
        self.stand = Standing(SETTINGS, "")
        for row in self.rows.values():
            self.stand.put(row)
        for loss in (1.0, 1.1):
            self.happens("measured", 0, (1 + (loss > 1), loss, 1000.0))
        axes = self.stand.axes()
        self.frozen = {one.objective: one for one in references(axes, 3)}
        self.stand.frozen = self.frozen

    def happens(self, what: str, number: int, more: tuple[int, float, float] | str) -> None:
        row = self.rows[number]
        if what == "measured" and not isinstance(more, str):
            seed, loss, weight = more
            if any(value.seed == seed for value in self.values[number]):
                return
            purpose = (SCREEN, RACE, RACE, CONFIRM, CONFIRM)[seed]
            for name, value in (("loss", loss), ("weights", weight)):
                self.values[number].append(Value(self.runs, number, seed, purpose, name, value))
            self.runs += 1
            row = replace(row, state=State.MEASURED, failure=None)
        elif what == "judged" and self.values[number] and number:
            evidence = Evidence.SCREENED if more == "asks" else Evidence(str(more))
            word = UP[0] if evidence is not Evidence.SCREENED else Word.INCONCLUSIVE
            verdict = Verdict(
                number, "", self.incumbent, 1, RULE, word, evidence, more == "asks", "", {}, float(self.runs)
            )
            row = replace(row, state=State.JUDGED, verdict=verdict)
        elif what == "failed" and number:
            row = replace(row, state=State.FAILED)
        elif what == "queued" and number:
            self.values[number], row = [], replace(row, state=State.QUEUED, verdict=None)
        elif what == "merged" and self.values[number]:
            self.incumbent = number
        self.rows[number] = row
        self.follow(number)

    def follow(self, number: int) -> None:
        """As `catch_up` does with what an event names."""
        self.stand.runs.forget(number)
        for one in self.values[number]:
            self.stand.runs.add(one)
        self.stand.stand(self.incumbent)
        self.stand.put(self.rows[number])

    def anew(self) -> Standing:
        """A standing that reads all of it."""
        stand = Standing(SETTINGS, "", self.incumbent)
        for number in self.rows:
            for one in self.values[number]:
                stand.runs.add(one)
        for row in self.rows.values():
            stand.put(row)
        stand.frozen = self.frozen
        return stand


def told(stand: Standing) -> tuple[Frontier | None, Keeps, list[int], set[int], int, list[object]]:
    """All that the judge and the schedule ask of it."""
    axes = stand.axes()
    noise = [stand.runs.noise(one.name, one.base) for one in axes]
    pools = [pool for one in noise for pool in (one.within(), one.pairs(stand.incumbent))]
    any_verdict = Verdict(MOST + 1, "", 0, 1, RULE, Word.WORSE, Evidence.SCREENED, False, "", {}, 0.0)
    return (
        asyncio.run(stand.drawn())[0],
        stand.keeps(axes, any_verdict),
        [row.number for row in stand.waiting()],
        stand.open,
        stand.looked,
        [*axes, *pools],
    )


ALL = [True] * 40
PAIRS: list[Happening] = [  # on a third seed too, which the incumbent gets last
    ("measured", 1, (1, 0.9, 1000.0)),
    ("measured", 1, (3, 1.2, 1000.0)),
    ("measured", 0, (3, 1.0, 1000.0)),
]
UNDONE: list[Happening] = [  # what was judged against another one is stale when trunk is the baseline's again
    ("measured", 1, (1, 0.9, 1000.0)),
    ("merged", 1, ""),
    ("measured", 2, (1, 0.9, 1000.0)),
    ("judged", 2, Evidence.SCREENED),
    ("merged", 0, ""),
]


@settings(max_examples=100, deadline=None)
@example(PAIRS, ALL)
@example(UNDONE, ALL)
@given(happenings, st.lists(st.booleans(), min_size=40, max_size=40))
def test_what_follows_the_record_is_what_is_read_from_it_whole(history: list[Happening], looks: list[bool]) -> None:
    record = Record()
    for (what, number, more), look in zip(history, looks, strict=False):
        record.happens(what, number, more)
        if look:  # what is made of the runs is kept from then on, and has to follow them
            told(record.stand)
    assert told(record.stand) == told(record.anew())


def test_trunk_of_several_is_run_first_and_judged_against_what_trunk_was() -> None:
    record = Record()
    record.happens("measured", 0, (3, 1.05, 1000.0))
    whole = replace(record.rows[1], state=State.MERGED, operator=MERGE, parents=(0, 2, 3))
    stand = record.stand
    stand.put(whole)
    stand.stand(1)
    assert (stand.unverified, stand.to_verify) == (True, None), "there is nothing to judge yet"
    job = next_job(stand, 0)
    assert job is not None
    assert (job.experiment.number, job.purpose, job.seed) == (1, VERIFY, next(seeds_of(0)))

    def measured(seed: int, loss: float) -> None:
        for name, value in (("loss", loss), ("weights", 1000.0)):
            stand.runs.add(Value(100 + seed, 1, seed, VERIFY, name, value))
        stand.put(stand.rows[1])

    measured(1, 5.0)
    assert (stand.unverified, stand.to_verify) == (False, 1)
    said = asyncio.run(stand.verdict(1))
    assert (said.incumbent, said.asks, said.word, said.barred) == (0, False, Word.WORSE, True)
    assert said.explanation.startswith("It is trunk, against what trunk was, e0000. It holds unless ")
    stand.put(replace(stand.rows[1], verdict=said))
    assert stand.rows[1].verification is Verification.FAILS
    assert (stand.unverified, stand.to_verify) == (False, None)
    measured(2, 1.0)
    assert (stand.unverified, stand.to_verify) == (False, 1), "once more with each of its baseline's seeds"
    for seed, loss in ((3, 1.05), (4, 1.0)):
        measured(seed, loss)
        stand.put(replace(stand.rows[1], verdict=asyncio.run(stand.verdict(1))))
    assert (stand.unverified, stand.to_verify) == (False, None)
    for seed in (1, 2):  # what trunk was then was merged for runs that flatter it, and has no others
        for name, value in (("loss", 0.9), ("weights", 1000.0)):
            stand.runs.add(Value(200 + seed, 4, seed, SCREEN, name, value))
    stand.stand(1, [0, 4, 3])
    assert (stand.earlier, stand.to_verify) == (4, 1), "and nobody has run e0003"
    assert asyncio.run(stand.verdict(1)).incumbent == 4
    stand.stand(0)
    assert (stand.unverified, stand.to_verify) == (False, None)
