"""The ledger: whatever happens, spans tile a lane, and what is booked adds up to what was spent."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import calls, commands, journal, views
from store.database import Database
from store.records import (
    Call,
    CallOutcome,
    Command,
    Ended,
    Experiment,
    Frontier,
    Measurement,
    Outcome,
    Point,
    Proposal,
    Refusal,
    Run,
    Source,
    Stage,
    State,
    Study,
)

SLOTS = ("slot0", "slot1")
PROPOSAL = Proposal("model", "knobs", 0, "", {}, 1.0)
RUN = Run(0, 0, "r", "t", "b", 0, "screen", "full", 1, "slot0", "none", "pss", "plain", 0.0)


@dataclass
class World:
    """A study as its engine sees it, and a clock that is ours."""

    database: Database
    now: float = 100.0
    runs: dict[str, Run] = field(default_factory=dict)
    engine: int | None = None
    seeds: int = 0
    call: Call | None = None
    asked: list[int] = field(default_factory=list)  # calls that were answered, and have come to no proposal
    experiments: int = 3
    told: int = 0  # commands

    def later(self, seconds: float) -> float:
        self.now += seconds
        return self.now

    async def do(self, act: str, slot: str, seconds: float) -> None:
        """One thing that can happen now; nothing where it cannot."""
        self.later(seconds)
        run = self.runs.get(slot)
        experiment = Experiment(
            run.experiment if run else self.seeds % self.experiments, "x", State.QUEUED, "t", "c", "b", 1.0
        )
        match act:
            case "begin" if self.engine is None:
                self.engine = await journal.engine_started(self.database, 1, {"bench": "b"}, "")
            case "die":
                self.engine, self.call, self.asked = None, None, []
            case _ if self.engine is None:
                return
            case "ask" if self.call is None:
                planned_call = Call("m", "h", "knobs", "reason", 4096, {"messages": []}, self.now)
                self.call = replace(planned_call, id=await calls.began(self.database, planned_call))
            case "answer" | "no answer" if self.call:
                heard = CallOutcome.OK if act == "answer" else CallOutcome.TIMEOUT
                said = replace(self.call, outcome=heard, prompt_tokens=int(seconds), answer_tokens=7)
                await calls.ended(self.database, said)
                self.asked += [said.id] if heard is CallOutcome.OK else []
                self.call = None
            case "refuse" if self.asked:
                refused = replace(PROPOSAL, refusal=Refusal.INVALID, reason="why")
                await journal.refused(self.database, refused, None, self.asked)
                self.asked = []
            case "admit" if self.asked:
                made = Experiment(self.experiments, "x", State.QUEUED, "t", "c", f"b{self.experiments}", 1.0)
                await journal.queued(self.database, made, {}, PROPOSAL, f"h{self.experiments}", self.asked)
                self.experiments, self.asked = self.experiments + 1, []
            case "end" if not self.runs and self.call is None:
                await journal.engine_ended(self.database, self.engine, Ended.TIME)
                self.engine = None
            case "pause" | "resume" | "stop":
                self.told += 1
                await tell(self.database, act, self.told)
            case "start" if run is None:
                self.seeds += 1
                planned = replace(RUN, experiment=experiment.number, seed=self.seeds, slot=slot, started_at=self.now)
                self.runs[slot], _ = await journal.run_started(self.database, experiment, planned)
            case "stage" if run:
                stages = (await views.runs(self.database, run.experiment))[-1].stages
                stage = Stage("train", Outcome.OK, 0, self.now - seconds / 2, seconds / 2, seconds / 3, None, "log")
                await journal.stage_ended(self.database, experiment, run, 10 * self.seeds + len(stages), stage)
            case "ok" | "crash" | "interrupted" if run:
                outcome = Outcome(act)
                measured = [Measurement("loss", 1.0, Source.REPORTED)] if outcome is Outcome.OK else []
                drawn = Frontier((Point(run.experiment, True),), 1.0) if outcome is Outcome.OK else None
                await journal.run_ended(self.database, experiment, run, outcome, "", measured, drawn)
                del self.runs[slot]


async def tell(database: Database, verb: str, number: int) -> None:
    """A command, carried out."""
    async with database.transaction() as change:
        row = await change.insert("commands", uuid=f"u{number}", verb=verb, arguments={}, expected={}, at=0.0)
    await commands.heeded(database, Command(f"u{number}", verb, {}, {}, 0.0, row), f"{verb}d", "")


async def check(database: Database) -> None:
    for lane in await database.rows("SELECT * FROM lanes"):
        at = 100.0
        for span in await database.rows("SELECT * FROM spans WHERE lane = ? ORDER BY id", lane["name"]):
            assert span["began_at"] == at, "a gap or an overlap"
            at = span["ended_at"]
        assert at == lane["since"]
    spent = await views.ledger(database)
    for resource, which in (("seconds", "<>"), ("model_seconds", "=")):
        lanes = await database.rows(f"SELECT coalesce(sum(since - 100.0), 0) FROM lanes WHERE name {which} 'model'")
        assert spent.total.get(resource, 0.0) == pytest.approx(lanes[0][0])
    tokens = await database.rows("SELECT sum(prompt_tokens + answer_tokens) FROM calls")
    assert spent.total.get("tokens", 0.0) == (tokens[0][0] or 0)
    for resource, total in spent.total.items():
        assert sum(amounts.get(resource, 0.0) for amounts in spent.by_outcome.values()) == pytest.approx(total)


runs = ["begin", "die", "end", "start", "start", "stage", "stage", "ok", "crash", "interrupted"]
acts = st.sampled_from(
    [*runs, "ask", "ask", "answer", "answer", "no answer", "refuse", "admit", "pause", "resume", "stop"]
)
history = st.lists(st.tuples(acts, st.sampled_from(SLOTS), st.floats(-1, 50)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(history)
def test_spans_tile_and_the_outcomes_add_up_on_any_history(acts: list[tuple[str, str, float]]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with await Database.open(Path(folder), create=True) as database:
                world = World(database)
                clock = SimpleNamespace(time=lambda: world.now)
                with pytest.MonkeyPatch.context() as patch:
                    for module in ("calls", "commands", "journal"):
                        patch.setattr(f"store.{module}.time", clock)
                    await journal.study_began(database, Study("s", "", 0, "c", 100.0))
                    await journal.study_revised(database, "r", "")
                    await journal.bench_set(database, "b", {})
                    for number in range(3):
                        one = Experiment(number, "x", State.QUEUED, f"t{number}", "c", f"b{number}", 100.0)
                        await journal.queued(database, one, {})
                    for act, slot, seconds in acts:
                        await world.do(act, slot, seconds)
                        await check(database)

    asyncio.run(live())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(now=100.0)
    now.time = lambda: now.now
    for module in ("calls", "commands", "events", "journal"):
        monkeypatch.setattr(f"store.{module}.time", now)
    return now


async def test_what_passed_without_an_engine_is_down_and_not_the_runs(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        for act, at in (("begin", 100.0), ("start", 110.0)):
            if act == "begin":
                await journal.study_began(database, Study("s", "", 0, "c", 100.0))
                await journal.study_revised(database, "r", "")
                await journal.bench_set(database, "b", {})
                await journal.queued(database, Experiment(0, "x", State.QUEUED, "t", "c", "b", 100.0), {})
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
        stage = Stage("train", Outcome.OK, 0, 111.0, 4.0, 3.0, None, "log")
        run = replace(world.runs["slot0"])
        clock.now = 200.0  # the engine was killed at 110, and the run went on to 115
        await journal.engine_started(database, 2, {"bench": "b"}, "")
        clock.now = 201.0
        baseline = Experiment(0, "x", State.RUNNING, "t", "c", "b", 100.0)
        await journal.stage_ended(database, baseline, run, 0, stage)
        await journal.run_ended(database, baseline, run, Outcome.OK, "", [])
        clock.now = 206.0
        await journal.engine_ended(database, 2, Ended.TIME)
        rows = await database.rows("SELECT kind, ended_at - began_at AS seconds FROM spans ORDER BY id")
        spans = [(row["kind"], row["seconds"]) for row in rows]
        assert spans == [("idle", 10), ("overhead", 1), ("train", 4), ("down", 85), ("idle", 6)]
        await check(database)


async def test_a_pause_is_booked_from_its_moment_or_the_end_of_its_run_and_to_no_call(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await journal.study_began(database, Study("s", "", 0, "c", 100.0))
        await journal.study_revised(database, "r", "")
        await journal.bench_set(database, "b", {})
        await journal.queued(database, Experiment(0, "x", State.QUEUED, "t", "c", "b", 100.0), {})
        world.experiments = 1
        history = [
            ("begin", 100.0), ("start", 110.0), ("interrupted", 112.0), ("ask", 115.0), ("start", 120.0),
            ("pause", 125.0), ("answer", 130.0), ("ok", 140.0), ("resume", 150.0), ("start", 155.0), ("ok", 156.0),
            ("pause", 160.0), ("end", 170.0), ("begin", 180.0), ("end", 190.0),
        ]  # fmt: skip
        for act, at in history:
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
            assert await views.paused(database) is (125.0 <= at < 150.0 or 160.0 <= at < 170.0)
            await check(database)
        rows = await database.rows("SELECT lane, kind, ended_at FROM spans ORDER BY id")
    assert [(row["kind"], row["ended_at"]) for row in rows if row["lane"] == "slot0"] == [
        ("idle", 110), ("overhead", 112), ("idle", 120), ("overhead", 140), ("paused", 150), ("idle", 155),
        ("overhead", 156), ("idle", 160), ("paused", 170), ("down", 180), ("idle", 190),
    ]  # fmt: skip
    assert [(row["kind"], row["ended_at"]) for row in rows if row["lane"] == "model"] == [
        ("idle", 115), ("call", 130), ("paused", 150), ("idle", 160), ("paused", 170), ("down", 180), ("idle", 190),
    ]  # fmt: skip


async def test_a_stop_ends_a_pause_though_its_run_goes_on(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await journal.study_began(database, Study("s", "", 0, "c", 100.0))
        await journal.study_revised(database, "r", "")
        await journal.bench_set(database, "b", {})
        await journal.queued(database, Experiment(0, "x", State.QUEUED, "t", "c", "b", 100.0), {})
        world.experiments = 1
        for act, at in (
            ("begin", 100.0), ("start", 110.0), ("pause", 115.0), ("stop", 120.0), ("ok", 130.0), ("end", 140.0),
        ):  # fmt: skip
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
            assert await views.paused(database) is (at == 115.0)
            await check(database)
        rows = await database.rows("SELECT kind, ended_at FROM spans ORDER BY id")
    assert [tuple(row) for row in rows] == [("idle", 110), ("overhead", 130), ("idle", 140)]


async def test_what_a_killed_engine_had_paused_is_booked_as_paused(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await journal.study_began(database, Study("s", "", 0, "c", 100.0))
        await journal.study_revised(database, "r", "")
        await journal.bench_set(database, "b", {})
        await journal.queued(database, Experiment(0, "x", State.QUEUED, "t", "c", "b", 100.0), {})
        world.experiments = 1
        history = [
            ("begin", 100.0), ("start", 100.0), ("ok", 105.0), ("ask", 106.0), ("pause", 110.0), ("answer", 120.0),
            ("die", 150.0), ("begin", 200.0),
        ]  # fmt: skip
        for act, at in history:
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
        assert not await views.paused(database)
        rows = await database.rows("SELECT lane, kind, ended_at FROM spans ORDER BY lane DESC, id")
        await check(database)
    assert [(row["lane"], row["kind"], row["ended_at"]) for row in rows] == [
        ("slot0", "overhead", 105), ("slot0", "idle", 110), ("slot0", "paused", 120), ("slot0", "down", 200),
        ("model", "idle", 106), ("model", "call", 120), ("model", "down", 200),
    ]  # fmt: skip
