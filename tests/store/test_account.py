"""What came of what was spent: whatever happens, nobody is counted twice and the parts add up."""

import asyncio
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from store import account, away, calls, commands, events, journal, review, views, yields
from store.database import Database
from store.funnel import ADMITTED, CONFIRMED, DIED, MEASURED, MERGED, RAN, STEPS, By, Funnel, Loss
from store.place import RECORD
from store.records import (
    ASKED_TO_END,
    MERGE,
    PERSON,
    REJECTED_SINCE,
    Answer,
    Call,
    CallOutcome,
    Decision,
    Ended,
    Evidence,
    Experiment,
    Frontier,
    Measurement,
    Outcome,
    Point,
    Refusal,
    Source,
    State,
    Study,
    Verdict,
    Word,
)
from tests.store.test_ledger import BUDGETS, KEEPS, LATELY, PROPOSAL, RUN, SLOTS, World, acts, asked

BENCH_FACTS = {"bench": "b"}


async def check(database: Database, began: float = 100.0) -> account.Account:
    """The laws."""
    found = await account.read(database)
    since = await away.happened(database, 0.0)
    assert set(since.spent) == set(found.ledger.by_outcome)
    for outcome, amounts in found.ledger.by_outcome.items():
        assert since.spent[outcome] == pytest.approx(amounts), outcome
    assert since.refusals == {
        stop.reason: stop.number for stop in found.funnel.steps[ADMITTED].stops if stop.reason in [*Refusal]
    }
    nothing = await away.happened(database, 1e12)
    assert not nothing.spent and not nothing.ran and not nothing.refusals
    steps = found.funnel.steps
    assert [step.name for step in steps] == list(STEPS)
    for before, step in pairwise(steps):
        assert step.number <= before.number
        assert before.number - step.number == sum(stop.number for stop in step.stops)
    assert not steps[0].stops
    proposed = (await database.rows("SELECT count(*) FROM proposals"))[0][0]
    assert steps[0].number >= proposed
    lanes = await database.rows("SELECT coalesce(sum(since - ?), 0) FROM lanes WHERE name <> 'model'", began)
    assert found.devices.seconds == pytest.approx(lanes[0][0])
    lost = sum(one.tokens for one in found.funnel.losses)
    assert lost + await kept(database) == pytest.approx(found.ledger.total.get("tokens", 0.0))
    whole = found.yields.study
    spent = found.ledger.total.get("tokens", 0.0), (await database.rows("SELECT total(used) FROM lanes"))[0][0]
    benches = (await database.rows("SELECT count(DISTINCT json_extract(facts, '$.bench')) FROM engines"))[0][0]
    if benches < 2:  # of which the yields are of one
        assert (whole.tokens, whole.seconds) == pytest.approx(spent)
    assert whole.tokens <= spent[0] + 1e-6 and whole.seconds <= spent[1] + 1e-6
    assert sum(one.tokens for one in found.yields.proposers) == pytest.approx(whole.tokens)
    assert sum(one.seconds for one in found.yields.proposers) <= whole.seconds + 1e-6
    return found


async def kept(database: Database) -> float:
    """The tokens that nobody has lost: of what came to an experiment, of what goes on, and of what was to end."""
    thoughts = list[list[sqlite3.Row]]()
    for row in await database.rows(
        """
        SELECT calls.*, coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0) AS tokens, refusal, failure,
               (SELECT ended_by FROM engines WHERE started_at <= calls.at ORDER BY id DESC LIMIT 1) AS ended_by
        FROM calls LEFT JOIN proposals ON proposals.id = proposal LEFT JOIN experiments ON number = experiment
        ORDER BY calls.id
        """
    ):
        again = thoughts and (thoughts[-1][-1]["purpose"], thoughts[-1][-1]["outcome"]) == ("reason", "broken off")
        thoughts += [[]] if not thoughts or (row["purpose"] == "reason" and not again) else []
        thoughts[-1].append(row)

    def stands(row: sqlite3.Row) -> bool:
        if row["proposal"] is not None:
            return row["outcome"] == "ok" and row["refusal"] is None and row["failure"] is None
        return row["outcome"] in (None, "ok", "interrupted") and row["ended_by"] not in DIED

    kept = 0.0
    for thought in thoughts:
        came = any(row["proposal"] for row in thought)
        kept += sum(row["tokens"] for row in thought if stands(row if came else thought[-1]))
    return kept


async def begun(database: Database, experiments: int = 3, tree: str = "") -> None:
    """A study of one bench, with experiments that the optimiser has proposed."""
    await journal.study_began(database, Study("s", "", 0, "c", 100.0))
    await journal.study_revised(database, "r", "")
    await journal.bench_set(database, "b", {})
    for number in range(experiments):
        one = Experiment(number, "x", State.QUEUED, tree or f"t{number}", f"c{number}", f"b{number}", 100.0)
        proposal = replace(PROPOSAL, proposer="optimiser") if number else None
        await journal.queued(database, one, {}, proposal, f"o{number}" if number else None)


@dataclass
class Life(World):
    """It goes all the way: thoughts of several calls, good runs that are judged and confirmed, decisions, benches."""

    bench: str = "b"

    async def do(self, act: str, slot: str, seconds: float) -> None:
        run = self.runs.get(slot)
        match act:
            case "begin" if self.engine is None:
                self.later(seconds)
                self.bench = "b" if seconds < 25 else "b2"
                self.engine = await journal.engine_started(self.database, 1, {"bench": self.bench}, "", BUDGETS)
                await journal.bench_set(self.database, self.bench, {})
            case "ask" if self.engine is not None and self.call is None:
                call = Call("m", "h", "knobs", "pack" if self.asked else "reason", 4096, {}, self.later(seconds))
                self.call = replace(call, id=await calls.began(self.database, call))
            case "answer no" if self.call:
                self.later(seconds)
                bad = (CallOutcome.TIMEOUT, CallOutcome.MALFORMED, CallOutcome.BROKEN_OFF)[int(seconds) % 3]
                said = None if bad is CallOutcome.TIMEOUT else 9
                await calls.ended(self.database, replace(self.call, outcome=bad, prompt_tokens=said))
                self.call, self.asked = None, self.asked if bad is CallOutcome.BROKEN_OFF else []
            case "cut short" if self.call is None:
                self.asked = []
            case "end" if self.engine is not None and not self.runs:
                self.later(seconds)
                why = Ended.MACHINE_FAILED if seconds > 40 else Ended.TIME
                await journal.engine_ended(self.database, self.engine, why)
                self.engine, self.call, self.asked = None, None, []
            case "start" if self.engine is not None and run is None:
                self.seeds += 1
                one = Experiment(self.seeds % self.experiments, "x", State.QUEUED, "t", "c", "b", 1.0)
                planned = replace(RUN, experiment=one.number, seed=self.seeds, slot=slot, bench=self.bench)
                planned = replace(planned, started_at=self.later(seconds))
                self.runs[slot], _ = await journal.run_started(self.database, one, planned)
            case "asked to end" if self.engine is not None and run:
                one = Experiment(run.experiment, "x", State.RUNNING, "t", "c", "b", 1.0)
                self.later(seconds)
                await journal.run_ended(self.database, one, run, Outcome.INTERRUPTED, ASKED_TO_END, [])
                del self.runs[slot]
            case "judge" if self.engine is not None:
                for number, runs in await self.database.rows(
                    "SELECT experiment, count(*) FROM runs JOIN experiments ON number = experiment "
                    "WHERE outcome = 'ok' AND number > 0 AND bench = ? AND state IN ('measured', 'judged') "
                    "GROUP BY 1 ORDER BY max(id) DESC LIMIT 1",
                    self.bench,
                ):
                    verdict = replace(self.verdict(number, self.later(seconds)), bench=self.bench, runs=runs)
                    await journal.judged(self.database, verdict, KEEPS, LATELY)
            case "undo" if self.engine is not None:
                for row in await self.database.rows(
                    "SELECT id, experiment FROM decisions WHERE undoes IS NULL "
                    "AND id NOT IN (SELECT undoes FROM decisions WHERE undoes IS NOT NULL) ORDER BY id DESC LIMIT 1"
                ):
                    await decide(self, "undo", row["experiment"], undoes=row["id"])
            case "merge" | "reject" if self.engine is not None:
                for row in await self.database.rows(
                    "SELECT number FROM experiments WHERE state NOT IN ('merged', 'rejected') AND number > 0 "
                    "ORDER BY state <> 'judged', number LIMIT 1"
                ):
                    await decide(self, act, row["number"])
            case _:
                await super().do(act, slot, seconds)

    def verdict(self, number: int, seconds: float) -> Verdict:
        said = super().verdict(number, seconds)
        return replace(said, evidence=Evidence.CONFIRMED, word=Word.GAIN, asks=False) if int(seconds) % 2 else said


async def decide(world: World, verb: str, number: int, undoes: int | None = None, taken: tuple[int, ...] = ()) -> None:
    """A decision, on the verdict that stands."""
    world.told += 1
    command = await asked(world.database, verb, world.told)
    said = await world.database.rows("SELECT max(id) FROM verdicts WHERE experiment = ?", number)
    decision = Decision(verb, number, "", said[0][0], "c", "c", undoes, taken=taken)
    await commands.decided(world.database, command, decision, Answer(True, ""), "b")


REACHED = Counter[str]()
STORIES = [
    ("start", "ok", "judge", "judge"), ("start", "ok", "judge", "merge"), ("start", "ok", "judge", "merge", "undo"),
    ("start", "crash"), ("start", "asked to end"), ("ask", "answer", "ask", "answer", "admit"),
    ("ask", "answer", "ask", "answer no"), ("ask", "answer", "cut short"), ("ask", "answer", "end", "begin"),
    ("ask", "die", "begin"), ("ask", "end", "begin"),
]  # fmt: skip
stories = st.sampled_from(STORIES) | acts.map(lambda act: (act,))
lives = st.lists(st.tuples(stories, st.sampled_from(SLOTS), st.floats(0, 50)), min_size=5, max_size=20)


def test_the_steps_of_the_funnel_never_grow_and_every_part_adds_up_on_any_history() -> None:
    @settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(lives)
    @example([(STORIES[1], "slot0", 1.0), (STORIES[2], "slot1", 3.0), (STORIES[4], "slot0", 1.0)])
    @example([(STORIES[0], "slot0", 1.0), (STORIES[1], "slot0", 1.0), (STORIES[1], "slot0", 1.0)])  # one is merged
    def on(those: list[tuple[tuple[str, ...], str, float]]) -> None:
        asyncio.run(live(those))

    async def live(those: list[tuple[tuple[str, ...], str, float]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with await Database.open(Path(folder), create=True) as database:
                world = Life(database)
                clock = SimpleNamespace(time=lambda: world.now)
                with pytest.MonkeyPatch.context() as patch:
                    for module in ("calls", "commands", "journal", "review"):
                        patch.setattr(f"store.{module}.time", clock)
                    await begun(database, tree="t")
                    known, engine, event = tuple(await views.experiments(database)), None, 0
                    for story, slot, seconds in [(("begin",), "slot0", 1.0), *those]:
                        for act in story:
                            await world.do(act, slot, seconds)
                        found = await check(database)
                        REACHED.update(step.name for step in found.funnel.steps if step.number)
                        every, life = tuple(await views.experiments(database)), await views.last_engine(database)
                        if life and life.id == engine:  # under one engine what an event names is all that changes
                            assert await views.renewed(database, known, event) == every
                        known, engine, event = every, life and life.id, await events.last_event(database)

    REACHED.clear()
    on()
    assert REACHED.keys() == set(STEPS), "every step is reached"


def stops(funnel: Funnel, step: int) -> dict[tuple[By, str], int]:
    return {(stop.by, stop.reason): stop.number for stop in funnel.steps[step].stops}


async def ask(database: Database, purpose: str, outcome: CallOutcome, tokens: int = 10) -> int:
    """A call that has ended."""
    call = Call("m", "h", "knobs", purpose, 4096, {"messages": []}, time.time())
    call = replace(call, id=await calls.began(database, call))
    await calls.ended(database, replace(call, outcome=outcome, prompt_tokens=tokens, answer_tokens=0))
    return call.id


async def test_a_thought_that_a_dead_server_ended_is_lost_once_by_the_infrastructure_with_all_that_it_took(
    tmp_path: Path,
) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await begun(database, 1)
        await journal.engine_started(database, 1, BENCH_FACTS, "")
        await ask(database, "reason", CallOutcome.OK, 100)
        await ask(database, "pack", CallOutcome.TIMEOUT, 20)
        await ask(database, "reason", CallOutcome.BROKEN_OFF, 5)  # and asked again
        await ask(database, "reason", CallOutcome.MALFORMED, 7)
        asked = [await ask(database, "reason", CallOutcome.OK, 30), await ask(database, "pack", CallOutcome.OK, 10)]
        await journal.refused(database, replace(PROPOSAL, refusal=Refusal.INVALID, reason="why"), None, asked)
        await ask(database, "reason", CallOutcome.OK, 1)  # it goes on
        found = await check(database)
    assert found.funnel.steps[0].number == 4
    assert stops(found.funnel, ADMITTED) == {
        (By.INFRASTRUCTURE, "call timeout"): 1,
        (By.AGENT, "call malformed"): 1,
        (By.AGENT, "invalid"): 1,
        (By.WAITING, "under way"): 1,
    }
    assert {(one.by, one.reason): one.tokens for one in found.funnel.losses} == {
        (By.INFRASTRUCTURE, "call failed: timeout"): 120.0,
        (By.AGENT, "call failed: malformed"): 12.0,
        (By.AGENT, "refused: invalid"): 40.0,
    }


async def test_mending_a_loss_buys_what_it_took_at_what_a_measured_experiment_has_taken(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = SimpleNamespace(now=100.0)
        now.time = lambda: now.now
        for module in ("calls", "commands", "events", "journal"):
            patch.setattr(f"store.{module}.time", now)
        async with await Database.open(tmp_path, create=True) as database:
            await begun(database, 6)
            world = World(database)
            for number, (outcome, seconds) in enumerate(
                [("ok", 20.0), ("ok", 40.0), ("crash", 60.0), ("interrupted", 15.0), ("ok", 30.0)], 1
            ):
                if number == 1:
                    await world.do("begin", "slot0", 0)
                one = Experiment(number, "x", State.QUEUED, f"t{number}", "c", f"b{number}", 100.0)
                planned = replace(RUN, experiment=number, tree=f"t{number}", devices=0, started_at=now.now, seed=number)
                run, _ = await journal.run_started(database, one, planned)
                world.runs["slot0"] = run
                now.now += seconds
                world.now = now.now
                await world.do(outcome, "slot0", 0)
                if number < 3:
                    down = Verdict(number, "b", 0, 1, "rule", Word.WORSE, Evidence.SCREENED, False, "", {}, now.now)
                    await journal.judged(database, down, KEEPS, LATELY)
                if number == 5:
                    up = Verdict(5, "b", 0, 1, "rule", Word.GAIN, Evidence.CONFIRMED, False, "", {}, now.now)
                    gained = Frontier((Point(0, True),), 1.5, gains=((5, 0.5),))
                    await journal.judged(database, up, KEEPS, LATELY, gained)
            found = await check(database)
    losses = {one.reason: one for one in found.funnel.losses}
    assert list(losses) == ["failed: crash", "interrupted"], "the dearest first"
    assert losses["failed: crash"].measured == pytest.approx(60 / 30)
    assert losses["failed: crash"].confirmed == pytest.approx(60 / 30 / 3)
    assert losses["interrupted"].measured == pytest.approx(15 / 30)
    assert (losses["failed: crash"].by, losses["interrupted"].by) == (By.AGENT, By.INFRASTRUCTURE)
    assert [step.number for step in found.funnel.steps] == [5, 5, 4, 3, 1, 0]
    assert stops(found.funnel, MEASURED) == {(By.AGENT, "crash"): 1}
    assert stops(found.funnel, RAN) == {(By.WAITING, "queued"): 1}
    (optimiser,) = found.yields.proposers
    assert (optimiser.experiments, optimiser.confirmed, optimiser.gain) == (5, 1, 0.5)
    assert optimiser.per_device_hour == pytest.approx(0.5 / 165 * 3600)
    assert optimiser.per_1000_tokens is None, "none were spent"
    assert (found.review.offered, found.review.undecided, found.review.unread) == (1, 1, 1)


async def test_an_older_record_knows_its_offers_and_says_that_it_does_not_know_the_gains(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await begun(database, 2)
        world = World(database)
        await world.do("begin", "slot0", 1)
        one = Experiment(1, "x", State.QUEUED, "t1", "c", "b1", 100.0)
        world.runs["slot0"], _ = await journal.run_started(database, one, replace(RUN, experiment=1, tree="t1"))
        await world.do("ok", "slot0", 5)
        up = Verdict(1, "b", 0, 1, "rule", Word.BETTER, Evidence.CONFIRMED, False, "", {}, 111.0)
        await journal.judged(database, up, KEEPS, LATELY, Frontier((Point(1, True),), 1.4, gains=((1, 0.4),)))
        known = await account.read(database)
    assert known.yields.study.gain == 0.4
    with sqlite3.connect(tmp_path / RECORD) as old:
        for name in ("gains", "lifts", "offers", "taken", "agreement"):
            old.execute(f"DROP TABLE {name}")
        for name in ("energy_joules", "peak_device_bytes"):
            old.execute(f"ALTER TABLE stages DROP COLUMN {name}")
        for name in ("verdicts_confirmed", "verdicts_shown", "experiments_in_hand"):
            old.execute(f"DROP INDEX {name}")
        old.execute("ALTER TABLE proposals DROP COLUMN trunk")
        old.execute("ALTER TABLE experiments DROP COLUMN lines")
        old.execute("PRAGMA user_version = 7")
    async with await Database.open(tmp_path) as database:
        found = await account.read(database)
        assert (found.yields.study.gain, found.yields.study.per_device_hour) == (None, None)
        assert found.yields.study.confirmed == 1
        assert (found.review.offered, found.review.undecided, found.review.unread) == (1, 1, 1)
        async with database.transaction() as change:
            await yields.keep_gains(change, "b", [(1, 0.4)])
        assert (await account.read(database)).yields == known.yields


@asynccontextmanager
async def living(folder: Path, experiments: int = 3) -> AsyncIterator[Life]:
    """A study whose clock is ours, with an engine."""
    async with await Database.open(folder, create=True) as database:
        world = Life(database)
        with pytest.MonkeyPatch.context() as patch:
            for module in ("calls", "commands", "events", "journal", "review"):
                patch.setattr(f"store.{module}.time", SimpleNamespace(time=lambda: world.now))
            await begun(database, experiments, tree="t")
            world.experiments = experiments
            await world.do("begin", "slot0", 1)
            yield world


async def run(world: Life, number: int, outcome: Outcome, seconds: float, detail: str = "", **what: Any) -> None:
    """A run of an experiment."""
    one = Experiment(number, "x", State.RUNNING, "t", "c", "b", 1.0)
    world.seeds += 1
    planned = replace(RUN, experiment=number, seed=world.seeds, bench=world.bench, started_at=world.now, **what)
    made, _ = await journal.run_started(world.database, one, planned)
    world.later(seconds)
    good = [Measurement("loss", 1.0, Source.REPORTED)] if outcome is Outcome.OK else []
    await journal.run_ended(world.database, one, made, outcome, detail, good)


async def judge(world: Life, number: int, *, runs: int = 1) -> None:
    """It is confirmed on the bench that stands."""
    said = Verdict(number, world.bench, 0, runs, "rule", Word.GAIN, Evidence.CONFIRMED, False, "", {}, world.now)
    await journal.judged(world.database, said, KEEPS, LATELY)


async def losses(world: Life) -> dict[str, Loss]:
    return {one.reason: one for one in (await check(world.database)).funnel.losses}


async def test_what_no_measured_experiment_has_taken_buys_nobody_knows_how_many(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        await run(world, 1, Outcome.OK, 10)
        for act, seconds in (("ask", 0), ("answer no", 30)):  # a timeout, of which no tokens are known
            await world.do(act, "slot0", seconds)
        assert (await losses(world))["call failed: timeout"].measured is None
        for act, seconds in (("ask", 0), ("answer", 15), ("admit", 0)):
            await world.do(act, "slot0", seconds)
        await run(world, 3, Outcome.OK, 10)
        timeout = (await losses(world))["call failed: timeout"]
    assert timeout.tokens == 0.0
    assert timeout.measured == pytest.approx(30 / 10), "15 s, of which it was held for 5"
    assert timeout.confirmed is None, "nothing is judged to its end"


async def test_what_was_to_end_is_nobodys_loss_and_what_ends_with_a_failing_machine_is(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        await run(world, 1, Outcome.INTERRUPTED, 5, ASKED_TO_END)
        await run(world, 2, Outcome.INTERRUPTED, 0, f"e0002 {REJECTED_SINCE}")
        for act in ("ask", "answer", "end", "begin", "ask", "end"):  # between two calls, and in one
            await world.do(act, "slot0", 1)
        found = await check(world.database)
        assert not found.funnel.losses
        assert stops(found.funnel, ADMITTED) == {(By.USER, "cut short"): 2}
        await world.do("begin", "slot0", 1)
        await run(world, 1, Outcome.INTERRUPTED, 5, ASKED_TO_END)
        for act, seconds in (("ask", 1), ("answer", 1), ("end", 45)):
            await world.do(act, "slot0", seconds)
        found = await check(world.database)
    assert {one.reason: one.number for one in found.funnel.losses} == {"interrupted": 1, "call failed: interrupted": 1}


async def test_a_change_of_the_bench_takes_no_confirmation_back(tmp_path: Path) -> None:
    async with living(tmp_path, 4) as world:
        for number in (1, 2, 3):
            await run(world, number, Outcome.OK, 5)
            await judge(world, number)
        await decide(world, "merge", 1)
        before = (await check(world.database)).funnel
        await world.do("end", "slot0", 1)
        await world.do("begin", "slot0", 30)
        assert world.bench == "b2" and (await check(world.database)).funnel == before
        await journal.queued_again(world.database, Experiment(2, "x", State.QUEUED, "t", "c", "b2", 1.0))
        found = (await check(world.database)).funnel
    assert ([step.number for step in found.steps[MEASURED:]], found.unconfirmed) == ([3, 3, 1], 0)
    assert stops(found, MERGED) == {(By.WAITING, "offered"): 1, (By.WAITING, "queued"): 1}


async def test_a_merge_fails_since_or_was_unconfirmed_and_one_of_several_is_neither(tmp_path: Path) -> None:
    async with living(tmp_path, 4) as world:
        for number in (1, 2):
            await run(world, number, Outcome.OK, 5)
        await judge(world, 1)
        several = replace(PROPOSAL, proposer=PERSON, operator=MERGE)
        made = Experiment(4, "x", State.QUEUED, "t", "c", "b4", 1.0)
        await journal.queued(world.database, made, {}, several, "h4")
        for number in (1, 2, 4):
            await decide(world, "merge", number)
        found = (await check(world.database)).funnel
        assert (found.unconfirmed, stops(found, CONFIRMED)) == (1, {(By.USER, "merged unconfirmed"): 1})
        assert stops(found, RAN) == {(By.WAITING, "queued"): 1, (By.WAITING, "waits for its run"): 1}
        await run(world, 1, Outcome.CRASH, 5)
        found = (await check(world.database)).funnel
    assert (found.unconfirmed, stops(found, MEASURED)) == (1, {(By.AGENT, "merged, and failed since"): 1})


async def test_an_offer_that_an_undo_makes_is_counted_and_told(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        await run(world, 1, Outcome.OK, 5)
        await decide(world, "merge", 1)
        await judge(world, 1)  # as trunk
        await world.do("undo", "slot0", 0)
        assert (await review.read(world.database)).unread == 1
        assert await review.unread(world.database) == [1]
        await review.counted(world.database, 1, 7)
        found = await review.read(world.database)
        assert (found.offered, found.undecided, found.lines, found.unread) == (1, 1, 7, 0)
        (told,) = await world.database.rows("SELECT text FROM events ORDER BY seq DESC LIMIT 1")
    assert told["text"] == "e0001 offered: 7 changed lines to read"


async def test_an_engine_that_went_without_a_word_has_lived_until_its_last_one(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        await run(world, 1, Outcome.OK, 5)
        await run(world, 2, Outcome.OK, 5)
        world.later(1000)
        assert (await review.read(world.database)).seconds == 10.0
        await world.do("die", "slot0", 90)
        await world.do("begin", "slot0", 1)
        assert (await losses(world))["down"].seconds == 2 * 1091, "of both devices"


async def test_what_is_nobodys_proposal_is_no_loss_of_the_agent(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        await run(world, 0, Outcome.CRASH, 5, purpose="baseline")
        await run(world, 1, Outcome.CRASH, 5, purpose="challenge")
        assert not await losses(world)
        await run(world, 1, Outcome.OK, 30)
        await run(world, 2, Outcome.OK, 10)
        await run(world, 1, Outcome.CRASH, 5)
        assert (await losses(world))["failed: crash"].measured == 0.5, "of what is measured yet, and not failed since"


async def test_tokens_have_gained_what_took_them(tmp_path: Path) -> None:
    async with living(tmp_path) as world:
        for act in ("ask", "answer", "admit"):
            await world.do(act, "slot0", 0)
        for number in (1, 3):
            await run(world, number, Outcome.OK, 5)
            await judge(world, number)
        async with world.database.transaction() as change:
            await yields.keep_gains(change, "b", [(1, 0.4), (3, 0.1)])
        study = (await check(world.database)).yields.study
    assert (study.gain, study.tokens) == (0.5, 7.0)
    assert study.per_1000_tokens == pytest.approx(0.1 / 7 * 1000)
