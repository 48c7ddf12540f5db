"""A run made again: it says how it compares, is booked, and counts for nothing."""

import asyncio

import pytest
from msgspec.structs import replace

from loop.engine import Limits, research
from loop.evidence import NotDone
from loop.judge.again import Compared
from loop.rerun import rerun
from loop.stop import Stop
from store import views
from store.commands import submit
from store.database import Database
from store.place import Place, engine_pid
from store.records import Answer, Ended, Outcome, Run, State
from tests.conftest import Kept, Write, cockpit
from tests.loop.test_search import TRAIN, rows, until

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.fixture
async def two(write: Write, kept: Kept) -> Place:
    """A study of the baseline and one experiment, and no engine."""
    lasting = "import time\ntime.sleep(0.3)  # so that something can be asked for meanwhile\n"
    place = write(lasting + TRAIN.replace('"a"  # cockpit: a | b | broken', '"a"  # cockpit: a | b'))
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


async def test_one_in_the_foreground_that_is_withdrawn_says_so(two: Place) -> None:
    async with await Database.open(two.folder) as database:
        before = await views.newest_run(database)
        task = asyncio.create_task(again(two, 1))
        while await views.newest_run(database) == before and not task.done():
            await asyncio.sleep(0.01)
    assert (await submit(two, "end", {"experiment": 1}, {})).done
    with pytest.raises(NotDone, match="the run was withdrawn by `cockpit end`"):
        await task


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


async def test_one_that_waits_is_withdrawn_and_its_experiment_is_run_as_ever(two: Place) -> None:
    stop = Stop()
    engine = asyncio.create_task(research(two, Limits(experiments=4), stop))
    await until(two, 3, engine)
    assert (await submit(two, "pause", {}, {})).done
    for seed in (5, 6):
        asked = await submit(two, "rerun", {"experiment": 1, "seed": seed}, {})
        assert asked.done and "`cockpit end e0001` withdraws it" in asked.text
    assert not (await submit(two, "rerun", {"experiment": 1, "seed": 6}, {})).done, "it waits already"
    while (await run_under_way(two)) is not None:
        await asyncio.sleep(0.05)
    status = cockpit("status", str(two.root)).stdout
    assert "e0001 is asked to be run again, on seed 5; `cockpit end e0001` withdraws that" in status
    answer = await submit(two, "end", {"experiment": 1}, {"run": None})
    assert answer == Answer(True, "e0001 is not run again on seed 5 and 6: that is withdrawn")
    assert not (await submit(two, "end", {"experiment": 1}, {})).done, "nothing is left to be withdrawn"
    assert (await submit(two, "resume", {}, {})).done
    assert (await engine) is Ended.EXPERIMENTS
    async with await Database.open(two.folder) as database:
        assert all(run.purpose != "rerun" for run in await views.runs(database, 1))
    assert not (await rows(two))[1].ended


async def run_under_way(place: Place) -> Run | None:
    async with await Database.open(place.folder) as database:
        return next(iter(await views.unfinished_runs(database)), None)


async def test_what_waits_for_the_next_engine_is_withdrawn_without_one(two: Place) -> None:
    stop = Stop()
    engine = asyncio.create_task(research(two, Limits(experiments=4), stop))
    await until(two, 3, engine)
    assert (await submit(two, "pause", {}, {})).done
    assert (await submit(two, "rerun", {"experiment": 1, "seed": 5}, {})).done
    stop.ask(Ended.STOPPED)
    await engine
    done = cockpit("end", "e1", str(two.root))
    assert done.returncode == 0 and done.stdout == "e0001 is not run again on seed 5: that is withdrawn\n", done.stderr
    again = cockpit("end", "e1", str(two.root))
    assert again.returncode == 6 and "no engine runs: there is nothing to end" in again.stderr


async def test_with_no_engine_at_work_none_is_started_for_a_command(two: Place) -> None:
    assert not (await submit(two, "rerun", {"experiment": 1}, {})).done


def test_what_differs_on_the_same_seed_is_said_with_what_is_recorded() -> None:
    one = Compared("loss", 0.5, 0.4, 0.41, 3, 0.38, 0.44)
    assert one.line == (
        "loss 0.5: not what is recorded on this seed, 0.4; outside of 0.38 … 0.44, where 95 % of runs would lie "
        "(3 runs, mean 0.41)"
    )
    assert replace(one, objective="train_seconds", value=31.67, recorded=3.86).line == (
        "train_seconds 31.67: it was 3.86 on this seed"
    )
    assert replace(one, recorded=None, mean=None, n=0, low=None, high=None).line == (
        "loss 0.5: nothing is recorded on this bench to compare it with"
    )
