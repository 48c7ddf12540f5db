"""End and yield: a run is broken off by hand while the engine lives on, and what becomes of its experiment."""

import asyncio
import os
import signal
import time

import pytest

from loop.branches import Branches
from loop.decisions import Decisions
from loop.engine import Limits, research
from loop.propose.admit import Refused
from loop.schedule import seeds
from loop.stop import Stop
from store import account, views
from store.commands import answer_to, submit
from store.database import Database
from store.funnel import By
from store.place import RECORD, Place
from store.records import ENDED, Answer, Ended, Outcome, Run, State
from store.spawn import start
from tests.conftest import Write, git
from tests.loop.test_pausing import kind_seconds, paused, tell, until_gone
from tests.loop.test_search import rows
from tests.loop.test_together import preparation, propose

pytestmark = pytest.mark.usefixtures("leaves_nothing")
# What is not the baseline gains much, and goes on for a minute: from its first seed on, or from its second.
TRAIN = """\
import os, time
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 3  # cockpit: 1..8
SEED = int(os.environ["COCKPIT_SEED"])
changed = (RATE, DEPTH) != (0.1, 3)
if SLOW:
    print("ready", flush=True)
    time.sleep(60)
print(f"loss: {10 - 5 * changed + 0.001 * (SEED % 97)}")
"""
SLOW, SLOW_AGAIN = "changed", f"changed and SEED != {next(seeds(0))}"
GRACE = "with a grace of three seconds"


def of(write: Write, slow: str) -> Place:
    return write(TRAIN.replace("SLOW", slow))


async def end(place: Place, number: int) -> Answer:
    return await submit(place, "end", {"experiment": number}, {})


async def trains(place: Place, after: int = 0) -> Run:
    """Wait until a run trains, and takes its time."""
    deadline = time.monotonic() + 30
    while True:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
        if not (place.folder / RECORD).exists():
            continue
        async with await Database.open(place.folder) as database:
            runs = await views.unfinished_runs(database)
        for run in runs:
            log = place.folder / run.folder / "train.log"
            if run.id > after and log.exists() and "ready" in log.read_text():
                return run


async def runs_of(place: Place, number: int) -> list[Run]:
    async with await Database.open(place.folder) as database:
        return await views.runs(database, number)


async def test_what_is_ended_before_it_is_measured_has_failed_and_is_not_tried_again(write: Write) -> None:
    place = of(write, SLOW)
    going = asyncio.create_task(research(place, Limits(experiments=3), Stop()))
    run = await trains(place)
    assert await end(place, 0) == Answer(False, "no run of e0000 is under way")
    assert await end(place, 77) == Answer(False, "there is no experiment 77")
    said = f"the run of e0001 ends, {GRACE}, and it is run no more: it has no measurement, and is failed"
    assert await end(place, 1) == Answer(True, said)
    second = await trains(place, run.id)
    assert second.experiment == 2, "the engine goes on with the next one"
    (ended,) = await runs_of(place, 1)
    assert (ended.outcome, ended.detail) == (Outcome.INTERRUPTED, "asked to end")
    one = (await rows(place))[1]
    assert (one.state, one.failure, one.detail, one.ended) == (State.FAILED, Outcome.INTERRUPTED, ENDED, True)
    assert one.id not in git(place.root, "branch")
    assert (await end(place, 2)).done
    assert await asyncio.wait_for(going, 20) is Ended.EXPERIMENTS
    assert [len(await runs_of(place, number)) for number in (1, 2)] == [1, 1]
    async with await Database.open(place.folder) as database:
        found = (await account.read(database)).funnel
        moved = {key: value for key, value in one.knobs.items() if value != (await rows(place))[0].knobs.get(key)}
        own = await preparation(place, database)
        assert isinstance(await propose(own, moved), Refused), "not by a proposal either"
        await own.known.catch_up(database)
        assert [one is None for one in own.known.tried] == [False, True, True], "nothing is known of it"
    assert (await rows(place))[1].state is State.FAILED
    assert found.losses == (), "it was to end"
    stops = [stop for step in found.steps for stop in step.stops]
    assert [(stop.by, stop.reason, stop.number) for stop in stops] == [(By.USER, "ended", 2)]


async def test_what_is_ended_after_a_measurement_is_judged_by_that_and_earns_no_more_seeds(write: Write) -> None:
    place = of(write, SLOW_AGAIN)
    going = asyncio.create_task(research(place, Limits(experiments=2), Stop()))
    run = await trains(place)
    assert run.purpose == "race"
    before = (await rows(place))[1].verdict
    assert before is not None
    assert before.asks
    said = f"the run of e0001 ends, {GRACE}, and it is run no more: it is judged by the runs that it has"
    assert await end(place, 1) == Answer(True, said)
    assert await asyncio.wait_for(going, 20) is Ended.EXPERIMENTS
    assert [run.outcome for run in await runs_of(place, 1)] == [Outcome.OK, Outcome.INTERRUPTED]
    one = (await rows(place))[1]
    assert one.verdict is not None
    assert (one.state, one.failure) == (State.JUDGED, None)
    assert (one.verdict.word, one.verdict.evidence, one.verdict.asks) == (before.word, before.evidence, False)
    assert one.verdict.explanation.endswith("after 1 seed. A person has ended its run, and it is run no more.")
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert len(await runs_of(place, 1)) == 2, "nor by the next engine"
    merging = {"experiment": 1, "unconfirmed": True}
    assert (await submit(place, "merge", merging, {})).done, "it can be decided on as before"
    assert (await submit(place, "undo", {}, {})).done
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert [len(await runs_of(place, 1)), (await rows(place))[1].state] == [2, State.JUDGED]


async def test_a_rerun_that_waits_is_withdrawn_before_the_experiments_own_run_is_ended(write: Write) -> None:
    place = of(write, SLOW)
    going = asyncio.create_task(research(place, Limits(experiments=2), Stop()))
    await trains(place)
    assert (await submit(place, "rerun", {"experiment": 1, "seed": 5}, {})).done
    goes_on = "its run under way goes on: `cockpit end e0001` once more ends that"
    assert await end(place, 1) == Answer(True, f"e0001 is not run again on seed 5: that is withdrawn; {goes_on}")
    assert (await runs_of(place, 1))[-1].outcome is None
    assert (await submit(place, "rerun", {"experiment": 0, "seed": 5}, {})).done
    assert await end(place, 0) == Answer(True, "e0000 is not run again on seed 5: that is withdrawn")
    assert (await end(place, 1)).text.startswith(f"the run of e0001 ends, {GRACE}")
    assert await going is Ended.EXPERIMENTS


async def test_a_run_by_which_others_are_judged_is_not_ended(write: Write) -> None:
    place = of(write, "True")
    going = asyncio.create_task(research(place, Limits(experiments=2), Stop()))
    run = await trains(place)
    answer = await end(place, 0)
    assert not answer.done
    assert answer.text.startswith("the run of e0000 (baseline) is what others are judged by: `cockpit yield`")
    assert (await runs_of(place, 0))[0].outcome is None
    for _ in range(4):  # more often than what ends from outside is tried again
        answer = await tell(place, "yield")
        broken_off = f"the run under way is broken off, {GRACE}, and run again after `cockpit resume`"
        assert answer == Answer(True, f"paused: {broken_off}")
        await broken(place, run)
        assert (await tell(place, "resume")).done
        run = await trains(place, run.id)
    assert [(run.attempt, run.outcome) for run in await runs_of(place, 0)][3:] == [(4, Outcome.INTERRUPTED), (5, None)]
    await stopped(place, going)


async def broken(place: Place, run: Run) -> None:
    """Wait until a run has been broken off."""
    deadline = time.monotonic() + 20
    while (await runs_of(place, run.experiment))[-1].outcome is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def stopped(place: Place, going: "asyncio.Task[Ended]") -> None:
    for _ in range(2):
        assert (await tell(place, "stop")).done
    assert await asyncio.wait_for(going, 20) is Ended.STOPPED


async def test_a_yield_frees_the_device_at_once_and_the_run_is_made_again_after_the_pause(write: Write) -> None:
    place = of(write, SLOW)
    going = asyncio.create_task(research(place, Limits(experiments=2), Stop()))
    run = await trains(place)
    assert (await tell(place, "pause")).done
    assert (await tell(place, "yield")).done, "also what a pause has left to go on"
    await broken(place, run)
    assert await paused(place)
    said = "paused already, and no run is under way: `cockpit resume` goes on"
    assert await tell(place, "yield") == Answer(False, said)
    assert (await rows(place))[1].state is State.QUEUED
    await asyncio.sleep(0.3)
    assert len(await runs_of(place, 1)) == 1
    assert (await tell(place, "resume")).done
    again = await trains(place, run.id)
    assert (again.experiment, again.seed, again.purpose, again.attempt) == (1, run.seed, run.purpose, 2)
    assert (await kind_seconds(place))["paused"] >= 0.3
    await stopped(place, going)
    assert (await tell(place, "yield")).text == (
        "no engine runs: there is nothing to yield; `cockpit resume` starts one"
    )


async def test_a_yield_between_runs_is_a_pause_and_an_engine_that_ends_anyway_needs_none(write: Write) -> None:
    place = of(write, "False")
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    branches, stop = await Branches.of(place), Stop()
    for said in (Answer(True, "paused: no run begins"), Answer(False, "the engine is ending already: stopped")):
        async with await Database.open(place.folder) as database:
            async with database.transaction() as change:
                await change.insert("commands", uuid=said.text, verb="yield", arguments={}, expected={}, at=1.0)
            await Decisions(place, branches, database, stop).obey()
            assert await answer_to(database, said.text) == said
        assert stop.holds
        stop.finish(Ended.STOPPED)


async def test_a_run_that_was_to_end_when_the_engine_was_killed_is_ended_by_the_next_one(write: Write) -> None:
    place = of(write, SLOW)
    pid = await start(place)
    run = await trains(place)
    os.kill(pid, signal.SIGKILL)
    await until_gone(place)
    async with await Database.open(place.folder) as database, database.transaction() as change:
        await change.insert(
            "commands", uuid="u", verb="end", arguments={"experiment": 1}, expected={}, at=time.time(),
            begun_at=time.time(), answered_at=time.time(), done=1, answer="told before it died",
        )  # fmt: skip
    assert await asyncio.wait_for(research(place, Limits(experiments=2), Stop()), 20) is Ended.EXPERIMENTS
    assert [(one.id, one.outcome) for one in await runs_of(place, 1)] == [(run.id, Outcome.INTERRUPTED)]
    assert (await rows(place))[1].detail == ENDED


async def test_a_run_that_was_asked_for_again_is_ended_and_not_made_once_more(write: Write) -> None:
    place = of(write, "SEED == 77")
    engine = asyncio.create_task(research(place, Limits(experiments=3), Stop()))
    while not (place.folder / RECORD).exists() or not await rows(place):
        await asyncio.sleep(0.02)
    assert (await submit(place, "rerun", {"experiment": 0, "seed": 77}, {})).done
    run = await trains(place)
    answer = await end(place, 0)
    assert answer.done and answer.text.startswith("the run of e0000 that was asked for again, on seed 77, ends, with a")
    assert await engine is Ended.EXPERIMENTS
    made = [one for one in await runs_of(place, 0) if one.purpose == "rerun"]
    assert [(one.id, one.outcome) for one in made] == [(run.id, Outcome.INTERRUPTED)]
    assert not (await rows(place))[0].ended
