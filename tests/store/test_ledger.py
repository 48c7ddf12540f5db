"""The ledger: whatever happens, spans tile a lane, and what is booked adds up to what was spent."""

import asyncio
import re
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from store import budgets, calls, commands, journal, views
from store.database import Change, Database, statements, versions
from store.records import (
    Answer,
    Call,
    CallOutcome,
    Command,
    Decision,
    Ended,
    Evidence,
    Experiment,
    Frontier,
    Idle,
    Keeps,
    Ledger,
    Measurement,
    Outcome,
    Point,
    Proposal,
    Refusal,
    Returns,
    Run,
    Source,
    Stage,
    State,
    Study,
    Verdict,
    Word,
)

SLOTS = ("slot0", "slot1")
PROPOSAL = Proposal("model", "knobs", 0, "", {}, 1.0)
STARTING, ENGINE, TURN = Idle.STARTING, Idle.ENGINE, Idle.NOT_ITS_TURN
BUDGETS = {"experiments": 9.0, "runs": 9.0, "tokens": 900.0, "time": 900.0, "device_hours": 1.0, "joules": 900.0}
KEEPS, LATELY = Keeps(1, 0, 0.0, "", False, 0, 0, 0), Returns(1.0, 1, 0, 1.0, 0.5)
RUN = Run(0, 0, "r", "t", "b", 0, "screen", "full", 1, "slot0", "none", "pss", "plain", 0.0, devices=2)


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
                self.engine = await journal.engine_started(self.database, 1, {"bench": "b"}, "", BUDGETS)
            case "die":
                self.engine, self.call, self.asked = None, None, []
            case _ if self.engine is None:
                return
            case "ask" if self.call is None:
                planned_call = Call("m", "h", "knobs", "reason", 4096, {"messages": []}, self.now)
                self.call = replace(planned_call, id=await calls.began(self.database, planned_call))
            case "answer" | "answer no" if self.call:
                heard = CallOutcome.OK if act == "answer" else CallOutcome.TIMEOUT
                said = replace(
                    self.call, outcome=heard, prompt_tokens=abs(int(seconds)), answer_tokens=7, held_seconds=seconds / 3
                )
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
            case "wait proposal" | "wait engine":
                why = Idle.PROPOSAL if act == "wait proposal" else Idle.ENGINE
                await journal.waits(self.database, slot, why)
            case "judge":
                await journal.judged(self.database, self.verdict(experiment.number, seconds), KEEPS, LATELY)
            case "merge" | "reject":
                await self.decide(act, experiment.number)
            case "redraw":
                points = tuple(Point(number, number == 0) for number in range(0, self.experiments, 1 + self.seeds % 3))
                await journal.frontier_drawn(self.database, Frontier(points, 1.0), "b", [])
            case "give up":
                await journal.given_up(self.database, experiment, "b", "why")
            case "again":
                await journal.queued_again(self.database, experiment)
            case "pause" | "resume" | "stop":
                self.told += 1
                await tell(self.database, act, self.told)
            case "start" if run is None:
                self.seeds += 1
                planned = replace(RUN, experiment=experiment.number, seed=self.seeds, slot=slot, started_at=self.now)
                self.runs[slot], _ = await journal.run_started(self.database, experiment, planned)
            case "stage" if run:
                stages = (await views.runs(self.database, run.experiment))[-1].stages
                began, took, joules = self.now - seconds / 2, seconds / 2, abs(seconds) if self.seeds % 3 else None
                stage = Stage("train", Outcome.OK, 0, began, took, seconds / 3, None, "log", energy_joules=joules)
                await journal.stage_ended(self.database, experiment, run, 10 * self.seeds + len(stages), stage)
            case "ok" | "crash" | "interrupted" if run:
                outcome = Outcome(act)
                measured = [Measurement("loss", 1.0, Source.REPORTED)] if outcome is Outcome.OK else []
                drawn = Frontier((Point(run.experiment, True),), 1.0) if outcome is Outcome.OK else None
                await journal.run_ended(self.database, experiment, run, outcome, "", measured, drawn)
                del self.runs[slot]

    def verdict(self, number: int, seconds: float) -> Verdict:
        words = (Word.WORSE, Word.TRADE_OFF, Word.INCONCLUSIVE)
        word, evidence = words[int(seconds) % 3], tuple(Evidence)[int(seconds) % 2]
        return Verdict(number, "b", 0, 1, "rule", word, evidence, int(seconds) % 5 == 0, "", {}, self.now)

    async def decide(self, verb: str, number: int) -> None:
        self.told += 1
        command = await asked(self.database, verb, self.told)
        decision = Decision(verb, number, "", None, "c", "c")
        await commands.decided(self.database, command, decision, Answer(True, ""), "b")


async def asked(database: Database, verb: str, number: int) -> Command:
    """A command that waits."""
    async with database.transaction() as change:
        row = await change.insert("commands", uuid=f"u{number}", verb=verb, arguments={}, expected={}, at=0.0)
    return Command(f"u{number}", verb, {}, {}, 0.0, row)


async def tell(database: Database, verb: str, number: int) -> None:
    """A command, carried out."""
    await commands.heeded(database, await asked(database, verb, number), f"{verb}d", "")


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
    assert await totals(database) == pytest.approx(await summed_anew(database))
    await check_budgets(database, spent)


async def check_budgets(database: Database, spent: Ledger) -> None:
    """Each row is what the record has, however it came to be so."""
    rows = {one.budget: one for one in await budgets.read(database)}
    assert rows.keys() in (set(), BUDGETS.keys())
    if rows:
        (counts,) = await database.rows(
            """
            SELECT (SELECT count(*) FROM experiments) AS experiments, (SELECT count(*) FROM runs) AS runs,
                   (SELECT count(*) FROM runs WHERE outcome IS NULL) AS running,
                   (SELECT count(*) FROM calls WHERE outcome IS NULL) AS asked
            """
        )
        assert rows["experiments"].spent == counts["experiments"]
        assert (rows["runs"].spent, rows["runs"].reserved) == (counts["runs"] - counts["running"], counts["running"])
        assert rows["tokens"].spent == spent.total.get("tokens", 0.0)
        assert counts["asked"] or not rows["tokens"].reserved
        assert rows["device_hours"].spent == pytest.approx(spent.total.get("device_seconds", 0.0) / 3600)
        assert counts["running"] or not rows["device_hours"].reserved
        assert rows["joules"].spent == pytest.approx(spent.total.get("joules", 0.0))
        assert counts["running"] or not rows["joules"].reserved
        assert rows["time"].spent == pytest.approx(await budgets.engine_seconds(database, rows["time"].at))


async def totals(database: Database) -> dict[tuple[str, str], float]:
    """As the events have left them."""
    return {(row[0], row[1]): row[2] for row in await database.rows("SELECT outcome, resource, amount FROM totals")}


async def summed_anew(database: Database) -> dict[tuple[str, str], float]:
    """From what each span has come to, as the record has it now."""
    rows = await database.rows(
        """
        SELECT outcome, resource, sum(amount) FROM spend JOIN outcomes USING (span) GROUP BY 1, 2
        UNION ALL SELECT 'total', resource, sum(amount) FROM spend GROUP BY resource
        """
    )
    return {(row[0], row[1]): row[2] for row in rows}


words = "begin die end start start stage stage ok crash interrupted ask ask answer answer:no refuse admit admit pause"
words += " resume stop wait:proposal wait:engine judge judge merge reject redraw give:up again"
acts = st.sampled_from([word.replace(":", " ") for word in words.split()])
history = st.lists(st.tuples(acts, st.sampled_from(SLOTS), st.floats(-1, 50)), max_size=60)


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
        assert spans == [
            (STARTING, 10), ("overhead", 1), ("train", 4), ("down", 85), (ENGINE, 6),
        ]  # fmt: skip
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
        (STARTING, 110), ("overhead", 112), (ENGINE, 120), ("overhead", 140), ("paused", 150), (ENGINE, 155),
        ("overhead", 156), (ENGINE, 160), ("paused", 170), ("down", 180), (STARTING, 190),
    ]  # fmt: skip
    assert [(row["kind"], row["ended_at"]) for row in rows if row["lane"] == "model"] == [
        (TURN, 115), ("call", 130), ("paused", 150), (TURN, 160), ("paused", 170), ("down", 180), (TURN, 190),
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
    assert [tuple(row) for row in rows] == [
        (STARTING, 110), ("overhead", 130), (ENGINE, 140),
    ]  # fmt: skip


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
        ("slot0", "overhead", 105), ("slot0", ENGINE, 110), ("slot0", "paused", 120), ("slot0", "down", 200),
        ("model", TURN, 106), ("model", "call", 120), ("model", "down", 200),
    ]  # fmt: skip


async def test_a_free_slot_says_what_it_waited_for(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await begun(database, world)
        history = [
            ("begin", 100.0), ("start", 110.0), ("ok", 115.0), ("judge", 118.0), ("wait proposal", 120.0),
            ("wait engine", 150.0), ("start", 151.0), ("wait proposal", 152.0), ("ok", 160.0),
        ]  # fmt: skip
        for act, at in history:
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
            await check(database)
        clock.now = 175.0
        await journal.engine_ended(database, world.engine or 0, Ended.TIME, since=170.0)
        await check(database)
        rows = await database.rows("SELECT kind, ended_at FROM spans ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (STARTING, 110), ("overhead", 115), (ENGINE, 120), (Idle.PROPOSAL, 150), (ENGINE, 151), ("overhead", 160),
        (ENGINE, 170), (Idle.ENDING, 175),
    ]  # fmt: skip


async def test_a_model_that_was_held_for_a_timed_stage_was_idle(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await begun(database, world)
        for act, at, seconds in (("begin", 100.0, 0.0), ("ask", 110.0, 0.0), ("answer", 200.0, 90.0)):
            clock.now, world.now = at, at - seconds
            await world.do(act, "slot0", seconds)
        rows = await database.rows("SELECT kind, outcome, ended_at FROM spans ORDER BY id")
        spent = await views.ledger(database)
    assert [tuple(row) for row in rows] == [
        (TURN, TURN, 110), (Idle.HELD, Idle.HELD, 140), ("call", "no proposal", 200),
    ]  # fmt: skip
    assert spent.by_outcome["no proposal"] == {"model_seconds": 60.0, "tokens": 97.0}


async def test_overhead_and_a_trade_off_that_is_not_offered_are_outcomes_of_their_own(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await begun(database, world, experiments=2)
        for act, at, seconds in (("begin", 100.0, 0), ("start", 100.0, 0), ("ok", 101.0, 0), ("start", 101.0, 0)):
            clock.now = world.now = at
            await world.do(act, "slot0", seconds)
        run = world.runs["slot0"]
        one = Experiment(1, "x", State.RUNNING, "t1", "c", "b1", 100.0)
        clock.now = 112.0
        await journal.stage_ended(database, one, run, 0, Stage("train", Outcome.OK, 0, 103.0, 9.0, 8.0, None, "log"))
        await journal.run_ended(database, one, run, Outcome.OK, "", [], Frontier((), 1.0))
        known = world.verdict(1, 1)
        for evidence, asks, outcome in (
            (Evidence.SCREENED, True, "trade-off"),
            (Evidence.SCREENED, False, "trade-off not offered"),
            (Evidence.CONFIRMED, False, "trade-off"),
        ):
            said = replace(known, word=Word.TRADE_OFF, evidence=evidence, asks=asks)
            await journal.judged(database, said, KEEPS, LATELY)
            spent = (await views.ledger(database)).by_outcome
            assert spent["overhead"]["seconds"] == 3.0  # of both runs
            assert (spent[outcome], len([name for name in spent if name.startswith("trade-off")])) == (
                {"seconds": 9.0, "cpu_seconds": 8.0, "device_seconds": 18.0}, 1,
            )  # fmt: skip
        assert (await views.seconds(database))[1] == 11.0  # a run's overhead is part of it


async def begun(database: Database, world: World, experiments: int = 1) -> None:
    """A study with so many experiments in it."""
    await journal.study_began(database, Study("s", "", 0, "c", 100.0))
    await journal.study_revised(database, "r", "")
    await journal.bench_set(database, "b", {})
    for number in range(experiments):
        await journal.queued(
            database, Experiment(number, "x", State.QUEUED, f"t{number}", "c", f"b{number}", 100.0), {}
        )
    world.experiments = experiments


async def test_a_record_of_an_earlier_version_is_booked_anew(tmp_path: Path, clock: SimpleNamespace) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await begun(database, world)
        for act, at in (("begin", 100.0), ("start", 110.0), ("ok", 115.0), ("ask", 116.0), ("answer", 120.0)):
            clock.now = world.now = at
            await world.do(act, "slot0", 0)
        before = await totals(database)
        await database.rows("UPDATE spans SET outcome = ''")
        await database.rows("DELETE FROM totals")
        part = versions()[7]
        for statement in statements(part[part.index("UPDATE spans") : part.index("CREATE INDEX")]):
            await database.rows(statement)
        assert await totals(database) == before != {}
        clock.now = world.now = 130.0
        await world.do("refuse", "slot0", 0)
        await check(database)


async def test_an_event_takes_as_many_statements_in_a_large_study_as_in_a_small_one(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    execute, rows = Change.execute, Change.rows

    async def counted_execute(self: Change, sql: str, *values: Any) -> int:
        said.append(sql)
        return await execute(self, sql, *values)

    async def counted_rows(self: Change, sql: str, *values: Any) -> list[sqlite3.Row]:
        said.append(sql)
        return await rows(self, sql, *values)

    monkeypatch.setattr(Change, "execute", counted_execute)
    monkeypatch.setattr(Change, "rows", counted_rows)
    taken: list[int] = []
    async with await Database.open(tmp_path, create=True) as database:
        world = World(database)
        await begun(database, world, experiments=60)
        await world.do("begin", "slot0", 0)
        for turn in range(60):
            said.clear()
            clock.now = world.now = clock.now + 1
            await world.do("start", "slot0", 0)
            clock.now = world.now = clock.now + 1
            await world.do("stage", "slot0", 1)
            number = world.runs["slot0"].experiment
            one = Experiment(number, "x", State.RUNNING, "t", "c", "b", 1.0)
            drawn = Frontier(tuple(Point(each, False) for each in range(max(0, number - 4), number + 1)), 1.0)
            await journal.run_ended(database, one, world.runs.pop("slot0"), Outcome.OK, "", [], drawn)
            await journal.judged(database, world.verdict(number, turn % 5), KEEPS, LATELY)
            taken.append(len(said))
        await check(database)
        plans = [await plan(database, sql) for sql in dict.fromkeys(said) if "spans" in sql or "runs" in sql]
    assert len(set(taken[10:])) <= 2
    assert plans
    whole = ("SCAN spans", "SCAN spend", "SCAN runs", "SCAN calls")
    unfinished = "SCAN runs USING INDEX runs_slot"  # which holds no others
    assert not [line for lines in plans for line in lines if line.startswith(whole) and line != unfinished]


async def plan(database: Database, sql: str) -> list[str]:
    """How SQLite goes about a statement."""
    values = ["[]"] * (len(set(re.findall(r"\?(\d)", sql))) or sql.count("?"))
    return [row["detail"] for row in await database.rows(f"EXPLAIN QUERY PLAN {sql}", *values)]
