"""A run made again: it says how it compares, is booked, and counts for nothing."""

import asyncio

import pytest
from msgspec.structs import replace

from loop.engine import Limits, research
from loop.judge.again import Compared
from loop.rerun import rerun
from loop.run.execution import Stop
from store import views
from store.commands import submit
from store.database import Database
from store.place import Place, engine_pid
from store.records import Ended, Outcome, Run, State
from tests.conftest import Kept, Write
from tests.loop.test_search import TRAIN, rows, until

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.fixture
async def two(write: Write, kept: Kept) -> Place:
    """A study of the baseline and one experiment, and no engine."""
    place = write(TRAIN.replace('"a"  # cockpit: a | b | broken', '"a"  # cockpit: a | b'))
    if not kept("two", place):
        assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
        kept("two", place)
    return place


async def told(place: Place, number: int) -> list[str]:
    async with await Database.open(place.folder) as database:
        return list((await views.run_again(database, number)).values())


async def again(place: Place, number: int, seed: int | None = None) -> Run:
    found = await rerun(place, number, seed, Stop())
    assert found is not None
    return found


async def test_on_a_seed_that_was_run_it_is_equal_to_the_last_digit_and_nothing_else_has_changed(two: Place) -> None:
    before = await rows(two)
    first, second = await again(two, 1), await again(two, 1)
    assert (first.purpose, first.outcome, second.attempt) == ("rerun", Outcome.OK, 2)
    assert [line.endswith(": equal to the last digit") for line in await told(two, 1)] == [True, True]
    assert await rows(two) == before, "neither measurements nor verdict nor state"
    async with await Database.open(two.folder) as database:
        ledger = await views.ledger(database)
        life = await views.last_engine(database)
    assert ledger.by_outcome["rerun"]["seconds"] > 0
    assert life is not None
    assert life.ended_by is Ended.RERUN
    assert engine_pid(two.folder) is None
    assert await research(two, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert await rows(two) == before, "nor for the engine that follows"


async def test_on_another_seed_it_is_said_where_it_stands(two: Place) -> None:
    await again(two, 0, 77)
    (line,) = await told(two, 0)
    assert line.startswith("e0000 run again, seed 77: loss ")
    assert "where 95 % of runs would lie (3 runs, mean " in line


async def test_it_tells_of_the_engine_that_died_before_it_and_leaves_what_was_asked_of_that_as_it_is(
    two: Place,
) -> None:
    async with await Database.open(two.folder) as database, database.transaction() as change:
        await change.execute("UPDATE engines SET ended_at = NULL, ended_by = NULL")
    with two.config.open("a") as file:
        file.write("[notify]\ncommand = \"sh -c 'cat >> told'\"\n")
    await again(two, 1)
    assert "its engine is gone since" in (two.root / "told").read_text()
    async with await Database.open(two.folder) as database:
        last = await views.last_engine(database)
    assert last is not None
    assert last.facts["limits"]["experiments"] == 2


async def test_one_that_is_asked_for_meanwhile_is_made_after_it(two: Place) -> None:
    async with await Database.open(two.folder) as database:
        before = await views.newest_run(database)
    task = asyncio.create_task(again(two, 1))
    async with await Database.open(two.folder) as database:
        while await views.newest_run(database) == before and not task.done():
            await asyncio.sleep(0.01)
    asked = asyncio.create_task(submit(two, "rerun", {"experiment": 0, "seed": 5}, {}))
    await task
    answer = await asked
    assert answer.done, answer.text
    async with await Database.open(two.folder) as database:
        assert [(run.purpose, run.seed) for run in await views.runs(database, 0)][-1] == ("rerun", 5)


async def test_a_rejected_one_is_run_again_as_well(two: Place) -> None:
    assert (await submit(two, "reject", {"experiment": 1}, {})).done
    assert (await again(two, 1)).outcome is Outcome.OK
    assert (await rows(two))[1].state is State.REJECTED


async def test_an_engine_at_work_makes_it_after_the_run_under_way_and_once(two: Place) -> None:
    stop = Stop()
    engine = asyncio.create_task(research(two, Limits(experiments=4), stop))
    await until(two, 3, engine)
    answer = await submit(two, "rerun", {"experiment": 1, "seed": 5}, {})
    assert answer.done, answer.text
    assert (await engine) is Ended.EXPERIMENTS
    async with await Database.open(two.folder) as database:
        made = [run for run in await views.runs(database, 1) if run.purpose == "rerun"]
        assert await views.to_rerun(database) is None
    assert [(run.seed, run.outcome) for run in made] == [(5, Outcome.OK)]


async def test_with_no_engine_at_work_none_is_started_for_a_command(two: Place) -> None:
    assert not (await submit(two, "rerun", {"experiment": 1}, {})).done


def test_what_differs_on_the_same_seed_is_said_with_what_is_recorded() -> None:
    one = Compared("loss", 0.5, 0.4, 0.41, 3, 0.38, 0.44)
    assert one.line == (
        "loss 0.5: not what is recorded on this seed, 0.4; outside of 0.38 … 0.44, where 95 % of runs would lie "
        "(3 runs, mean 0.41)"
    )
    assert replace(one, recorded=None, mean=None, n=0, low=None, high=None).line == (
        "loss 0.5: nothing is recorded on this bench to compare it with"
    )
