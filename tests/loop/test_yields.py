"""Gains, lifts and offers are the engine's rows: they follow what happens, and an older record gets its own."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from loop.engine import Limits, research
from loop.judge.gains import Additions
from loop.judge.standing import Standing
from loop.stop import Stop
from store import account, views, yields
from store.database import Database
from store.place import RECORD
from store.records import Ended
from store.yields import LEAST, Kind
from tests.bench.growing import BENCH, growing
from tests.conftest import Write
from tests.loop.test_search import BEFORE_VERSION_8

RATE = """\
RATE = 0.1  # cockpit: 0.001..1.0 log
print(f"loss: {RATE}")
"""


async def test_gains_add_up_to_what_is_confirmed_and_are_the_same_to_an_engine_that_begins_anew(tmp_path: Path) -> None:
    async with growing(tmp_path) as study:
        study.good = 0.3
        for _ in range(45):
            await study.one_more()
            await study.obey()
        drawn, _ = await views.frontier(study.database)
        gains = await yields.gains(study.database, BENCH)
        keeps = await views.keeps(study.database)
        assert keeps is not None and len(gains) == keeps.confirmed > 0
        assert sum(gain for _, gain in gains) == pytest.approx(drawn.hypervolume - 1)
        again = Standing(study.revision.settings, BENCH)
        await again.catch_up(study.database)
        anew, _ = await again.drawn()
        assert anew is not None and anew.gains == gains
        (kept,) = await yields.lifts(study.database)
        assert again.lifts() == {"model": kept}, "the bootstrap from scratch"
        assert (kept.experiments, kept.floor_experiments, kept.kind) == (15, 30, Kind.TOO_FEW)
        found = await account.read(study.database)
        assert sum(one.gain or 0 for one in found.yields.proposers) == pytest.approx(found.yields.study.gain)
        own = {one.name: one.seconds for one in found.yields.proposers}
        costs = await yields.costs(study.database, BENCH)
        assert sum(own.values()) == pytest.approx(sum(costs[number] for number in range(1, 46)))
        for _ in range(3 * (LEAST - 15)):
            await study.one_more()
            await study.obey()
        (kept,) = await yields.lifts(study.database)
        assert (kept.experiments, kept.floor_experiments) == (20, 40)
        assert kept.kind is not Kind.TOO_FEW


async def test_gains_are_counted_beside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, threads = Additions.of, set[int]()

    def counted(self: Additions, *given: Any) -> tuple[tuple[int, float], ...]:
        threads.add(threading.get_ident())
        return count(self, *given)

    monkeypatch.setattr(Additions, "of", counted)
    async with growing(tmp_path) as study:
        await study.one_more()
    assert threads and threading.get_ident() not in threads


async def test_a_record_of_the_version_before_is_brought_up_to_its_gains_and_its_offers_lines(write: Write) -> None:
    place = write(RATE, deterministic=True)
    assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        before = await account.read(database)
    assert before.yields.study.gain and before.review.undecided
    assert (before.review.lines, before.review.unread) == (2 * before.review.undecided, 0)
    with sqlite3.connect(place.folder / RECORD) as old:
        for statement in BEFORE_VERSION_8:
            old.execute(statement)
        old.execute("PRAGMA user_version = 7")
    async with await Database.open(place.folder) as database:
        unknown = await account.read(database)
    assert unknown.yields.study.gain is None
    assert (unknown.review.undecided, unknown.review.unread) == (before.review.undecided, before.review.undecided)
    assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        after = await account.read(database)
    assert (after.yields, after.funnel) == (before.yields, before.funnel)
    assert (after.review.lines, after.review.unread) == (before.review.lines, 0)
