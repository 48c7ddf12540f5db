"""Where a study stands: what follows the record as it grows is what is read from it whole."""

import asyncio
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from loop.judge.axis import references
from loop.judge.preset import PRESETS
from loop.judge.runs import CONFIRM, RACE, SCREEN
from loop.judge.standing import Standing
from loop.study import parse
from store.place import CONFIG
from store.records import UP, Evidence, Experiment, Frontier, Keeps, State, Value, Verdict, Word

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
            number: Experiment(number, "x", State.QUEUED, f"tree{number}", "", f"branch{number}", 0.0, parent=0)
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
