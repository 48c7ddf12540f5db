"""The journal: what happened, once each, in order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from store import benches, events, feed, journal, views
from store.database import Database
from store.records import Event, Experiment, Measurement, Outcome, Run, Source, Stage, State
from store.views import ran

BASELINE = Experiment(0, "baseline", State.QUEUED, "t" * 40, "c" * 40, "cockpit/tried/e0000-baseline", 1.0)
PLANNED = Run(0, 0, "r", BASELINE.tree, "b", 7, "baseline", "full", 1, "slot0", "none", "pss", "plain", 2.0)
STAGE = Stage("train", Outcome.OK, 0, 2.0, 1.5, 1.25, 1024, "runs/000001/train.log")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with await Database.open(tmp_path, create=True) as opened:
        yield opened


async def started(database: Database, seed: int = 7, attempt: int = 1) -> Run:
    await journal.bench_set(database, "b", {})
    await journal.study_revised(database, "r", "")
    if not await views.experiments(database):
        await journal.queued(database, BASELINE, {})
    run, _ = await journal.run_started(database, BASELINE, replace(PLANNED, seed=seed, attempt=attempt))
    return run


async def state(database: Database) -> State:
    return (await views.experiments(database))[0].state


async def test_an_experiment_goes_through_its_life_an_event_an_arrow(database: Database) -> None:
    run = await started(database)
    assert await state(database) is State.RUNNING
    await journal.stage_ended(database, BASELINE, run, 0, STAGE)
    await journal.run_ended(database, BASELINE, run, Outcome.OK, "", [Measurement("loss", 0.5, Source.REPORTED)])
    assert await state(database) is State.MEASURED
    kinds = [event.kind for event in await events.events_after(database, 0)]
    assert kinds == ["bench", "revised", "queued", "running", "stage", "measured"]
    (read,) = await views.runs(database, 0)
    assert (read.outcome, read.stages) == (Outcome.OK, (STAGE,))


async def test_a_stage_that_is_said_twice_counts_once(database: Database) -> None:
    run = await started(database)
    for _ in range(2):
        await journal.stage_ended(database, BASELINE, run, 0, STAGE)
    (read,) = await views.runs(database, 0)
    assert len(read.stages) == 1
    assert [event.kind for event in await events.events_after(database, 0)].count("stage") == 1


async def test_what_stages_usually_take_is_of_good_runs_that_were_made_so_and_of_no_more_than_some(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, seconds, outcome in ((1, 9.0, Outcome.OK), (2, 1.0, Outcome.OK), (3, 2.0, Outcome.OK), (4, 7.0, None)):
        run = await started(database, seed)
        await journal.stage_ended(database, BASELINE, run, 0, replace(STAGE, wall_seconds=seconds))
        await journal.run_ended(database, BASELINE, run, outcome or Outcome.TIMEOUT, "", [])
    assert await views.stage_seconds(database, "b", "full") == {"train": 4.0}
    assert await views.stage_seconds(database, "b", "smoke") == await views.stage_seconds(database, "x", "full") == {}
    monkeypatch.setattr(ran, "AVERAGED", 2)
    assert await views.stage_seconds(database, "b", "full") == {"train": 1.5}, "the newest"


async def test_a_try_has_the_number_after_the_last_one_also_where_some_count_on_another_bench(
    database: Database,
) -> None:
    run = await started(database)
    await journal.run_ended(database, BASELINE, run, Outcome.TIMEOUT, "", [])
    good = await started(database, attempt=2)
    await journal.run_ended(database, BASELINE, good, Outcome.OK, "", [])
    again, _ = await journal.run_started(database, BASELINE, replace(PLANNED, purpose="rerun"))
    await journal.run_ended(database, BASELINE, again, Outcome.OK, "", [])
    assert [one.id for one in await views.good_runs(database, "b")] == [good.id], "what was made again counts nowhere"
    await journal.bench_set(database, "new", {"objectives": {}})
    await benches.counted_on(database, "new", "b", {good.id: []}, [], "")
    assert await views.attempts(database, BASELINE, "new", 7, "baseline", "full") == 2
    assert await views.attempts(database, BASELINE, "b", 7, "baseline", "full") == 1


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(Outcome.CRASH, State.FAILED), (Outcome.TIMEOUT, State.FAILED), (Outcome.INTERRUPTED, State.QUEUED)],
)
async def test_a_failure_is_the_experiments_and_an_interruption_is_not(
    database: Database, outcome: Outcome, expected: State
) -> None:
    run = await started(database)
    await journal.run_ended(database, BASELINE, run, outcome, "why", [])
    (experiment,) = await views.experiments(database)
    assert experiment.state is expected
    assert experiment.failure is (outcome if expected is State.FAILED else None)


async def test_a_slot_takes_one_run_at_a_time(database: Database) -> None:
    import sqlite3

    await started(database, seed=1)
    with pytest.raises(sqlite3.IntegrityError):
        await started(database, seed=2)


async def test_means_are_over_the_good_runs_of_one_bench(database: Database) -> None:
    await journal.engine_started(database, 1, {"bench": "b"}, "")
    for seed, outcome, value in ((1, Outcome.OK, 1.0), (2, Outcome.OK, 3.0), (3, Outcome.CRASH, 100.0)):
        run = await started(database, seed)
        measured = [Measurement("loss", value, Source.SCORED)] if outcome is Outcome.OK else []
        await journal.run_ended(database, BASELINE, run, outcome, "", measured)
    (experiment,) = await views.experiments(database)
    assert experiment.measurements == (Measurement("loss", 2.0, Source.SCORED, n=2),)


async def test_a_follower_sees_every_event_once_and_in_order_also_the_last(database: Database, tmp_path: Path) -> None:
    ended = asyncio.Event()
    seen: list[Event] = []

    async def follow() -> None:
        async with await Database.open(tmp_path) as reader:
            seen.extend([event async for event in feed.follow(reader, 0, ended)])

    following = asyncio.create_task(follow())
    for number in range(30):
        await journal.bench_set(database, f"b{number}", {})
        if number % 10 == 0:
            await asyncio.sleep(0.15)
    ended.set()
    await following
    assert [event.data["bench"] for event in seen] == [f"b{number}" for number in range(30)]
