"""Pause, resume, stop: what an engine that is halted does not begin, what it still does, and all that ends it."""

import asyncio
import os
import signal
import time
from itertools import pairwise

import pytest

from cockpit.output import status_keys
from loop.engine import Limits, research
from loop.obey import obey
from loop.stop import Stop
from store import budgets, events, views
from store.commands import answer_to, submit
from store.database import Database
from store.place import RECORD, Place, engine_pid
from store.records import Answer, Ended, Event, Outcome, State
from store.spawn import start
from tests.conftest import Write
from tests.loop.test_proposing import of_model
from tests.loop.test_search import TRAIN, rows, until
from tests.scripted import serving, something_new

pytestmark = pytest.mark.usefixtures("leaves_nothing")
SLOW = TRAIN.replace(" | broken", "") + "import time; time.sleep(0.1)\n"
LONG = TRAIN + "print('ready', flush=True); import time; time.sleep(60)\n"


async def tell(place: Place, verb: str) -> Answer:
    return await submit(place, verb, {}, {})


async def told(place: Place) -> list[Event]:
    async with await Database.open(place.folder) as database:
        return await events.events_after(database, 0)


async def paused(place: Place) -> bool:
    async with await Database.open(place.folder) as database:
        return await views.paused(database)


async def kind_seconds(place: Place) -> dict[str, float]:
    """How long the slot was what."""
    async with await Database.open(place.folder) as database:
        spans = await database.rows("SELECT * FROM spans WHERE lane = 'slot0' ORDER BY id")
    for one, other in pairwise(spans):
        assert one["ended_at"] == other["began_at"]
    seconds: dict[str, float] = {}
    for span in spans:
        seconds[span["kind"]] = seconds.get(span["kind"], 0.0) + span["ended_at"] - span["began_at"]
    return seconds


async def at_rest(place: Place) -> None:
    """Wait until nothing runs."""
    deadline = time.monotonic() + 20
    while any(one.state is State.RUNNING for one in await rows(place)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_told(place: Place, kind: str) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + 20
    while not (place.folder / RECORD).exists() or kind not in [event.kind for event in await told(place)]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_running(place: Place) -> None:
    """Wait until a run has begun to train."""
    deadline = time.monotonic() + 20
    while not list((place.folder / "runs").glob("*/train.log")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_gone(place: Place) -> None:
    """Wait until no engine lives."""
    deadline = time.monotonic() + 20
    while engine_pid(place.folder) is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_paused_engine_begins_nothing_until_it_is_resumed(write: Write) -> None:
    place = write(SLOW)
    going = asyncio.create_task(research(place, Limits(experiments=4), Stop()))
    await until(place, 2, going)
    assert await tell(place, "resume") == Answer(False, "it is not paused")
    began = time.monotonic()
    for number in range(2):  # whatever is going on at that moment
        assert (await tell(place, "pause")).text.startswith("paused: ")
        assert await tell(place, "pause") == Answer(False, "paused already: `cockpit resume` goes on")
        if number == 1:
            await at_rest(place)
            before = len(await told(place))
            await asyncio.sleep(0.2)
            assert not {event.kind for event in (await told(place))[before:]} - {"judged", "offered"}
            assert (await paused(place), engine_pid(place.folder) is None, going.done()) == (True, False, False)
        assert await tell(place, "resume") == Answer(True, "resumed: the research goes on")
    lasted = time.monotonic() - began
    assert not await paused(place)
    assert await going is Ended.EXPERIMENTS
    halted = False
    for event in await told(place):
        halted = event.kind == "paused" or (halted and event.kind != "resumed")
        assert not (halted and event.kind == "running"), event.text
    spent = await kind_seconds(place)
    assert 0.2 <= spent["paused"] <= lasted
    async with await Database.open(place.folder) as database:
        assert (await views.ledger(database)).by_outcome["paused"]["seconds"] == pytest.approx(spent["paused"])


async def test_the_baseline_waits_too(write: Write) -> None:
    place, stop = write(), Stop()
    stop.going.clear()
    going = asyncio.create_task(research(place, Limits(experiments=1), stop))
    await until(place, 1, going)
    await asyncio.sleep(0.1)
    assert "running" not in [event.kind for event in await told(place)]
    assert (await tell(place, "resume")).done
    assert await going is Ended.EXPERIMENTS


async def test_a_pause_does_not_hold_up_the_end_of_the_time(write: Write) -> None:
    stop = Stop()
    stop.going.clear()
    assert await asyncio.wait_for(research(write(), Limits(seconds=0.1), stop), 20) is Ended.TIME


async def test_a_stop_ends_a_paused_engine_at_once(write: Write) -> None:
    place = write()
    going = asyncio.create_task(research(place, Limits(), Stop()))
    await until_told(place, "measured")
    await tell(place, "pause")
    await at_rest(place)
    assert await paused(place)
    assert (await tell(place, "stop")).text == "stopping: no run is under way"
    assert await asyncio.wait_for(going, 10) is Ended.STOPPED
    assert not await paused(place), "it has ended"
    assert (await kind_seconds(place))["paused"] > 0


async def test_an_engine_that_is_stopped_ends_after_its_run_and_judges_what_is_measured(write: Write) -> None:
    place = write(SLOW, more="[seeds]\nbaseline = 2")
    going = asyncio.create_task(research(place, Limits(experiments=9), Stop()))
    await until_told(place, "judged")
    deadline = time.monotonic() + 20
    while not any(one.state is State.RUNNING for one in await rows(place)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert (await tell(place, "stop")).done
    assert await going is Ended.STOPPED
    after = await rows(place)
    assert not [one.id for one in after[1:] if one.state in (State.RUNNING, State.MEASURED)]
    async with await Database.open(place.folder) as database:
        runs = [run for one in after for run in await views.runs(database, one.number)]
        engine = await views.last_engine(database)
    assert {run.outcome for run in runs} == {Outcome.OK}
    assert engine is not None
    assert engine.ended_by is Ended.STOPPED
    kinds = [event.kind for event in await told(place)]
    assert "running" not in kinds[kinds.index("stopping") :]


async def test_an_engine_that_is_stopped_twice_ends_without_waiting_for_its_run(write: Write) -> None:
    place = write(LONG)
    going = asyncio.create_task(research(place, Limits(), Stop()))
    await until_running(place)
    assert (await tell(place, "pause")).done
    assert (
        await tell(place, "stop")
    ).text == "stopping: after the run under way; once more ends it now, with a grace of three seconds"
    for verb in ("pause", "resume"):
        assert (await tell(place, verb)).text == "the engine is ending already: stopped"
    assert not await paused(place), "it is ending"
    assert (
        await tell(place, "stop")
    ).text == "stopping: now, the run under way has a grace of three seconds; once more ends it at once"
    assert await asyncio.wait_for(going, 10) is Ended.STOPPED
    assert (await told(place))[-2].kind == "interrupted"


@pytest.mark.parametrize("answerer", ["obey", "research"])
async def test_the_time_after_an_engine_was_killed_is_down_whoever_answers_next(write: Write, answerer: str) -> None:
    place = write()
    pid = await start(place)
    await until_told(place, "measured")
    assert (await tell(place, "pause")).done
    await at_rest(place)
    os.kill(pid, signal.SIGKILL)
    await until_gone(place)
    killed_at = time.time()
    await asyncio.sleep(0.3)
    async with await Database.open(place.folder) as database:
        async with database.transaction() as change:
            await change.insert("commands", uuid="u", verb="note", arguments={"text": "x"}, expected={}, at=killed_at)
        await (obey(place) if answerer == "obey" else research(place, Limits(experiments=1), Stop()))
        assert await answer_to(database, "u") == Answer(True, "noted: x")
        (dead, *_) = await database.rows("SELECT * FROM engines ORDER BY id")
        assert (dead["ended_by"], dead["ended_at"] < killed_at) == (Ended.DIED, True)
        assert not await views.paused(database)
        if answerer == "obey":
            assert await budgets.engine_seconds(database, 0.0) == dead["ended_at"] - dead["started_at"]
            life, pid_now = await views.last_engine(database), engine_pid(place.folder)
            status = status_keys("tried", None, life, pid_now, [], 0, None, await views.paused(database))
            assert (status["state"], status["ended_by"]) == ("ended", "died")
            await research(place, Limits(experiments=1), Stop())
    spent = await kind_seconds(place)
    assert spent["down"] >= 0.3
    assert spent.get("paused", 0.0) <= dead["ended_at"] - dead["started_at"]


async def test_where_no_research_goes_on_there_is_nothing_to_halt(write: Write) -> None:
    """Answered by who lives for that alone; and by the next engine, where the one that was asked has died."""
    place = write()
    await research(place, Limits(experiments=1), Stop())
    for answerer in (lambda: obey(place), lambda: research(place, Limits(experiments=2), Stop())):
        async with await Database.open(place.folder) as database:
            async with database.transaction() as change:
                for verb in ("pause", "resume", "stop"):
                    await change.insert(
                        "commands",
                        uuid=f"{verb} {answerer}",
                        verb=verb,
                        arguments={},
                        expected={},
                        at=1.0,
                        begun_at=1.0,
                    )
            await answerer()
            for verb in ("pause", "resume", "stop"):
                answer = await answer_to(database, f"{verb} {answerer}")
                said = f"no engine runs: there is nothing to {verb}; `cockpit resume` starts one"
                assert answer == Answer(False, said)
            assert not await views.paused(database)
    assert len(await rows(place)) == 2, "the next one is not paused"


async def test_a_paused_engine_asks_the_model_for_nothing_new(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(SLOW, more=of_model(host, share=1))
        going = asyncio.create_task(research(place, Limits(experiments=6), Stop()))
        await until(place, 2, going)
        assert (await tell(place, "pause")).done
        await at_rest(place)
        await asyncio.sleep(0.2)  # what it was thinking of is thought
        before = len(brain.requests)
        await asyncio.sleep(0.2)
        assert len(brain.requests) == before
        assert (await tell(place, "stop")).done
        assert await asyncio.wait_for(going, 10) is Ended.STOPPED
