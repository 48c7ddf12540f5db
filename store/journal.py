"""Each thing that happens: an event with what it changes, in one transaction."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict, fields, replace

from store import budgets, calls, ledger, review, yields
from store.database import Change, Database
from store.effects import want
from store.events import say
from store.records import (
    REFERENCES,
    START,
    Agreement,
    Ended,
    Experiment,
    Frontier,
    Idle,
    Keeps,
    Measurement,
    Moves,
    Outcome,
    Proposal,
    Reference,
    Returns,
    Run,
    Stage,
    State,
    Study,
    Verdict,
    agreed_on,
    by,
    name_of,
    some,
)
from store.state import settle
from store.views import LAST_REVISION
from store.yields import Lift

Counts = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]


def none_counts(_then: Mapping[str, Any], _now: Mapping[str, Any]) -> bool:
    """No run of one bench counts on another."""
    return False


# --- the study and its engine ----------------------------------------------------------------------------------------


async def study_began(
    database: Database, study: Study, taken: Sequence[str] = (), left_out: Sequence[str] = ()
) -> None:
    """A study starts from a commit of the user's, or from one that takes along what they have not committed."""
    async with database.transaction() as change:
        await change.insert(
            "study", id=1, name=study.name, goal=study.goal, seed=study.seed, trunk=study.trunk, began_at=study.began_at
        )
        text = f"study {study.name} starts from {study.trunk[:7]}"
        text += f", with what is not committed: {some(taken)}" if taken else ""
        text += f"; not committed, so not part of it: {some(left_out)}" if left_out else ""
        await say(change, "began", text, commit=study.trunk, with_changes=list(taken), left_out=list(left_out))


async def study_revised(database: Database, digest: str, text: str, said: str = "", **data: Any) -> None:
    """`cockpit.toml` reads so now, and what follows from that is `said`. The text that it had last is no news."""
    async with database.transaction() as change:
        last = await change.rows(LAST_REVISION)
        if last and last[0]["digest"] == digest:
            return
        if not await change.rows("SELECT 1 FROM revisions WHERE digest = ?", digest):
            await change.insert("revisions", digest=digest, text=text, at=time.time())
        before = {"before": last[0]["digest"]} if last else {}
        how = f"cockpit.toml revised, {digest[:7]}: {said}" if said else f"cockpit.toml read, revision {digest[:7]}"
        await say(change, "revised", how, digest=digest, **before, **data)


async def engine_died(database: Database) -> None:
    """An engine that went without a word lived until its last one: recorded before another says anything."""
    if await database.rows("SELECT 1 FROM engines WHERE ended_at IS NULL"):
        async with database.transaction() as change:
            await _end_the_dead(change)


async def _end_the_dead(change: Change) -> None:
    await change.execute(
        "UPDATE engines SET ended_at = (SELECT max(at) FROM events), ended_by = ? WHERE ended_at IS NULL", Ended.DIED
    )


async def engine_started(
    database: Database,
    pid: int,
    facts: dict[str, Any],
    text: str,
    limits: Mapping[str, float] | None = None,
    before: Mapping[str, float] | None = None,
    prices: Mapping[str, float] | None = None,
) -> int:
    """An engine begins its life; one that went without a word is closed first. Its id.

    `limits` are its budgets; what was spent `before` of one does not count. `prices` turn hours into money.
    """
    async with database.transaction() as change:
        now = time.time()
        await _end_the_dead(change)
        last_heard = await change.rows("SELECT max(ended_at) FROM engines")
        await calls.break_off(change, last_heard[0][0] or now, "its engine was gone")
        await ledger.engine_begins(change, now)
        engine = await change.insert("engines", pid=pid, started_at=now, facts=facts)
        await budgets.set_(change, limits or {}, before or {}, prices or {}, now)
        await say(change, "engine started", text, at=now, pid=pid, **facts)
    return engine


async def engine_ended(
    database: Database, engine: int, why: Ended, since: float | None = None, because: str = ""
) -> None:
    """The engine ends, and says why, and `because` of what where it broke. It has been about to since then."""
    async with database.transaction() as change:
        now = time.time()
        await calls.break_off(change, now, "the engine has ended")
        await ledger.engine_ends(change, now if since is None else since, now)
        await change.execute("UPDATE engines SET ended_at = ?, ended_by = ? WHERE id = ?", now, why, engine)
        text = f"ended: {why.words}" + (f": {because}" if because else "")
        await say(change, "engine ended", text, at=now, ended_by=why, because=because or None)


async def waits(database: Database, lane: str, why: Idle) -> None:
    """A slot that is free waits for something else from now on. No event: nothing has happened."""
    async with database.transaction() as change:
        await ledger.waits(change, lane, why, time.time())


async def bench_set(database: Database, digest: str, facts: dict[str, Any], *, counts_on: Counts = none_counts) -> None:
    """What makes runs comparable from here on. A study that comes back to a bench has what it knew there.

    Whether runs may count on from the facts of one bench to those of another is the caller's to know: what of them does
    is said next, by who looks.
    """
    async with database.transaction() as change:
        if not await change.rows("SELECT 1 FROM benches WHERE hash = ?", digest):
            await change.insert("benches", hash=digest, facts=facts, at=time.time())
        told = await change.rows(
            """
            SELECT hash, facts FROM benches WHERE hash = (
                SELECT json_extract(data, '$.bench') FROM events WHERE kind = 'bench' ORDER BY seq DESC LIMIT 1
            )
            """
        )
        if not told:
            await say(change, "bench", f"bench {digest[:7]}", bench=digest)
        elif told[0]["hash"] != digest:
            before, then = told[0]["hash"], json.loads(told[0]["facts"])
            others = sorted(name for name in {*facts, *then} if facts.get(name) != then.get(name))
            text = f"bench {digest[:7]}, for {' and '.join(others)} changed"
            if not counts_on(then, facts):
                text += ": the baseline and trunk are run first where they have not been, and nothing is held against "
                text += f"what was measured on {before[:7]}"
            await say(change, "bench", text, bench=digest, before=before, changed=others)
        known = await change.rows(
            """
            SELECT DISTINCT experiment FROM runs JOIN experiments ON number = experiment
            WHERE bench = ? AND experiment > 0 AND failure IS NOT 'interrupted'
            """,
            digest,
        )
        for row in known:
            await settle(change, row["experiment"], digest)
        await ledger.total(change)


# --- the life of an experiment ---------------------------------------------------------------------------------------


async def refused(database: Database, proposal: Proposal, change_hash: str | None, asked: Sequence[int] = ()) -> None:
    """A proposal is not admitted, for the reason that it holds. `asked` are the calls that came to it."""
    async with database.transaction() as change:
        await _keep(change, proposal, change_hash, None, asked)
        text = f"a proposal of the {proposal.proposer} refused: {proposal.refusal}, {proposal.reason}"
        await say(
            change, "refused", text,
            proposer=proposal.proposer, operator=proposal.operator, parent=name_of(proposal.parent),
            refusal=proposal.refusal, reason=proposal.reason,
        )  # fmt: skip


async def _keep(
    change: Change, proposal: Proposal, change_hash: str | None, experiment: int | None, asked: Sequence[int]
) -> None:
    values = {field.name: getattr(proposal, field.name) for field in fields(proposal)}
    kept = await change.insert("proposals", **values, change_hash=change_hash, experiment=experiment)
    if asked:
        await calls.belong(change, kept, asked)
        await ledger.rebook(change, calls=asked)


async def queued(
    database: Database,
    experiment: Experiment,
    moves: Moves,
    proposal: Proposal | None = None,
    change_hash: str | None = None,
    asked: Sequence[int] = (),
    together: Sequence[int] = (),
) -> int:
    """An experiment is admitted: it has a commit, and waits for a slot. Nobody proposed the baseline.

    `asked` are the calls to a model that came to it, and it takes the changes of the experiments `together` to its
    parent. The effect that makes its branch, by these moves.
    """
    async with database.transaction() as change:
        await change.insert(
            "experiments",
            number=experiment.number,
            slug=experiment.slug,
            state=State.QUEUED,
            tree=experiment.tree,
            commit_oid=experiment.commit,
            branch=experiment.branch,
            created_at=experiment.created_at,
            knobs=experiment.knobs,
            lines=experiment.lines,
        )
        text = f"{experiment.id} {experiment.slug} queued"
        if proposal is not None:
            await _keep(change, proposal, change_hash, experiment.number, asked)
            for parent in dict.fromkeys([proposal.parent, *together]):
                await change.insert("parents", experiment=experiment.number, parent=parent)
            text += f", from {name_of(proposal.parent)} by {by(proposal.proposer)}"
        await say(
            change, "queued", text, experiment=experiment.number,
            id=experiment.id, branch=experiment.branch, commit=experiment.commit,
            parent=None if proposal is None else name_of(proposal.parent),
            proposer=None if proposal is None else proposal.proposer,
            operator=None if proposal is None else proposal.operator,
            hypothesis=experiment.hypothesis,
        )  # fmt: skip
        return await want(change, REFERENCES, {"moves": moves})


async def knobs_known(database: Database, values: Mapping[str, Any]) -> None:
    """What the knobs of the unchanged code are, before they may be declared otherwise. No event: nothing happens."""
    async with database.transaction() as change:
        await change.execute("UPDATE experiments SET knobs = ? WHERE number = 0", json.dumps(dict(values)))


async def queued_again(database: Database, experiment: Experiment) -> None:
    """What was measured on another bench is to be measured on this one."""
    async with database.transaction() as change:
        await change.execute(
            "UPDATE experiments SET state = 'queued', failure = NULL, detail = '' WHERE number = ?", experiment.number
        )
        await ledger.rebook(change, [experiment.number])
        text = f"{experiment.id} {experiment.slug} queued again: it is not measured on this bench"
        await say(change, "queued", text, experiment=experiment.number, id=experiment.id, branch=experiment.branch)


async def baseline_moved(database: Database, experiment: Experiment, old_commit: str, moves: Moves) -> int:
    """The baseline never gave a measurement, and the user has committed since: the study starts from there instead.

    The effect that takes its branches there, by these moves.
    """
    async with database.transaction() as change:
        await change.execute(
            """
            UPDATE experiments SET state = 'queued', failure = NULL, detail = '', tree = ?, commit_oid = ?
            WHERE number = ?
            """,
            experiment.tree,
            experiment.commit,
            experiment.number,
        )
        await change.execute("UPDATE study SET trunk = ?", experiment.commit)
        await ledger.rebook(change, [experiment.number])
        text = f"{experiment.id} starts again from {experiment.commit[:7]}; {old_commit[:7]} gave no measurement"
        await say(change, "queued", text, experiment=experiment.number, id=experiment.id, old_commit=old_commit)
        return await want(change, REFERENCES, {"moves": moves})


async def measured_already(database: Database, experiment: Experiment, bench: str) -> None:
    """An experiment has good runs on the bench that stands now, whatever became of it on another one since."""
    async with database.transaction() as change:
        await settle(change, experiment.number, bench)
        await ledger.rebook(change, [experiment.number])
        if await change.rows("SELECT 1 FROM experiments WHERE number = ? AND state = 'measured'", experiment.number):
            text = f"{experiment.id} is measured on this bench already"
            await say(change, "measured", text, experiment=experiment.number, id=experiment.id)


async def run_started(database: Database, experiment: Experiment, run: Run) -> tuple[Run, int]:
    """A run takes a slot. It is recorded before anything of it exists in the world. With its id, and its start's."""
    columns = (
        "experiment", "revision", "tree", "bench", "seed", "purpose", "fidelity", "attempt", "slot", "wall", "meter",
        "launch", "started_at", "devices",
    )  # fmt: skip
    async with database.transaction() as change:
        number = await change.insert("runs", **{column: getattr(run, column) for column in columns})
        await ledger.run_begins(change, run.slot, run.started_at)
        await settle(change, experiment.number, run.bench)
        await ledger.rebook(change, [experiment.number])
        again = f", attempt {run.attempt}" if run.attempt > 1 else ""
        text = f"{experiment.id} running: {run.purpose}{experiment.said_at(run.fidelity)}, seed {run.seed}{again}"
        await say(
            change, "running", text, experiment=experiment.number, run=number, at=run.started_at,
            id=experiment.id, seed=run.seed, purpose=run.purpose, fidelity=run.fidelity, attempt=run.attempt,
            slot=run.slot,
        )  # fmt: skip
        effect = await want(change, START, {"run": number})
    return replace(run, id=number), effect


async def stage_ended(database: Database, experiment: Experiment, run: Run, position: int, stage: Stage) -> bool:
    """A stage of a run is over. Said twice, as after an adoption, it counts once; whether it was the first time."""
    async with database.transaction() as change:
        if await database.rows("SELECT 1 FROM stages WHERE run = ? AND position = ?", run.id, position):
            return False
        values = {field.name: getattr(stage, field.name) for field in fields(stage)}
        await change.insert("stages", run=run.id, position=position, **values)
        await ledger.stage_ends(change, run, stage, time.time())
        how = f"{stage.outcome}, {stage.detail}" if stage.detail else stage.outcome
        costs = {
            column: getattr(stage, column)
            for column in (
                "outcome", "wall_seconds", "cpu_seconds", "peak_bytes", "energy_joules", "peak_device_bytes",
            )
        }  # fmt: skip
        await say(
            change,
            "stage",
            f"{experiment.id} {stage.name}: {how} after {stage.wall_seconds:.1f} s",
            experiment=experiment.number,
            run=run.id,
            id=experiment.id,
            stage=stage.name,
            **costs,
        )
    return True


async def run_ended(
    database: Database,
    experiment: Experiment,
    run: Run,
    outcome: Outcome,
    detail: str,
    measurements: Iterable[Measurement],
    frontier: Frontier | None = None,
    reference: Iterable[Reference] = (),
    verdict: Verdict | None = None,
    compares: str = "",
) -> None:
    """A run is over: measured, failed or interrupted. Its slot is free, and the experiment's state follows from it.

    One that was stopped early comes with its `verdict`. `frontier` is the one that stands now, None where it is as it
    was; `reference` is what of it is frozen now. How one that was made again `compares` is a sentence.
    """
    measured = list(measurements)
    async with database.transaction() as change:
        now = time.time()
        await ledger.run_ends(change, run, now)
        await change.execute(
            "UPDATE runs SET outcome = ?, detail = ?, ended_at = ? WHERE id = ?", outcome, detail, now, run.id
        )
        for measurement in measured:
            await change.insert(
                "measurements", run=run.id, objective=measurement.objective, value=measurement.value,
                source=measurement.source,
            )  # fmt: skip
        values = {measurement.objective: measurement.value for measurement in measured}
        if compares:
            kind, text = (
                "rerun",
                f"{experiment.id} run again{experiment.said_at(run.fidelity)}, seed {run.seed}: {compares}",
            )
        elif outcome is Outcome.OK:
            kind, text = "measured", f"{experiment.id} measured{experiment.said_at(run.fidelity)}: "
            text += ", ".join(f"{name} {value:.6g}" for name, value in values.items())
        elif outcome is Outcome.STOPPED_EARLY and verdict is not None:
            kind, text = "stopped early", f"{experiment.id} {verdict.word}, {verdict.sentence}"
            await change.insert("verdicts", **_columns(verdict))
        elif outcome is Outcome.INTERRUPTED:
            kind, text = "interrupted", f"{experiment.id} interrupted: {detail}"
        else:
            kind, text = "failed", f"{experiment.id} failed: {outcome}" + (f", {detail}" if detail else "")
        await settle(change, experiment.number, run.bench)
        await _freeze(change, run.bench, reference)
        moved = set() if frontier is None else await _draw(change, frontier)
        await ledger.rebook(change, {experiment.number, *moved})
        if frontier is not None:
            await _advance(change, frontier, run.bench, now)
        await say(
            change, kind, text, experiment=experiment.number, run=run.id, at=now,
            id=experiment.id, outcome=outcome, detail=detail, measurements=values,
        )  # fmt: skip


async def stopping_early(database: Database, experiment: Experiment, run: Run, sentence: str) -> None:
    """A run is going to be ended for its curve, as the sentence has it."""
    async with database.transaction() as change:
        text = f"{experiment.id} is {sentence}"
        await say(
            change, "stopping early", text, experiment=experiment.number, run=run.id, id=experiment.id,
            sentence=sentence,
        )  # fmt: skip


async def given_up(
    database: Database, experiment: Experiment, bench: str, detail: str, frontier: Frontier | None = None
) -> None:
    """An experiment whose runs are ended from outside again and again is not tried any more.

    `frontier` is the one that stands now, None where it is as it was.
    """
    async with database.transaction() as change:
        await change.execute(
            "UPDATE experiments SET state = ?, failure = ?, detail = ? WHERE number = ? "
            "AND state NOT IN ('merged', 'rejected')",
            State.FAILED, Outcome.INTERRUPTED, detail, experiment.number,
        )  # fmt: skip
        moved = set() if frontier is None else await _draw(change, frontier)
        await ledger.rebook(change, {experiment.number, *moved})
        if frontier is not None:
            await _advance(change, frontier, bench, time.time())
        await say(
            change, "failed", f"{experiment.id} failed: {detail}", experiment=experiment.number,
            id=experiment.id, outcome=Outcome.INTERRUPTED, detail=detail, measurements={},
        )  # fmt: skip


# --- the judge -------------------------------------------------------------------------------------------------------


def _columns(verdict: Verdict) -> dict[str, Any]:
    values = {field.name: getattr(verdict, field.name) for field in fields(verdict) if field.name != "id"}
    return {**values, "asks": int(verdict.asks)}


async def judged(
    database: Database,
    verdict: Verdict,
    counted: Keeps,
    lately: Returns,
    frontier: Frontier | None = None,
    lifts: Mapping[str, Lift] | None = None,
) -> None:
    """The judge has spoken. Each verdict is kept; the newest one stands.

    With it, how far what is confirmed is so, and what the last while has bought. `frontier` is the one that stands now,
    and `lifts` what each proposer's are; None where they are as they were.
    """
    async with database.transaction() as change:
        await change.insert("verdicts", **_columns(verdict))
        await change.execute("DELETE FROM keeps WHERE bench = ?", verdict.bench)
        await change.insert("keeps", bench=verdict.bench, **{**asdict(counted), "maximize": int(counted.maximize)})
        await change.execute("DELETE FROM returns WHERE bench = ?", verdict.bench)
        await change.insert("returns", bench=verdict.bench, **asdict(lately))
        await review.offered(change, verdict)
        if lifts is not None:
            await yields.keep_lifts(change, verdict.bench, lifts)
        await settle(change, verdict.experiment, verdict.bench)
        moved = set() if frontier is None else await _draw(change, frontier)
        await ledger.rebook(change, {verdict.experiment, *moved})
        if frontier is not None:
            await _advance(change, frontier, verdict.bench, verdict.at)
        text = f"{name_of(verdict.experiment)} {verdict.line}"
        await say(
            change, "judged", text + ("; another seed" if verdict.asks else ""), experiment=verdict.experiment,
            at=verdict.at, id=name_of(verdict.experiment), against=name_of(verdict.incumbent), verdict=verdict.word,
            evidence=verdict.evidence, sentence=verdict.sentence, explanation=verdict.explanation, asks=verdict.asks,
            figures=verdict.figures,
        )  # fmt: skip


async def agreed(database: Database, bench: str, found: Sequence[Agreement]) -> None:
    """How far quick runs rank experiments as full ones do, now that another one has both."""
    async with database.transaction() as change:
        await change.execute("DELETE FROM agreement WHERE bench = ?", bench)
        for one in found:
            await change.insert("agreement", bench=bench, **asdict(one))
        await say(
            change, "agreement", agreed_on(found), bench=bench,
            agreement={one.objective: one.tau for one in found}, experiments=max(one.experiments for one in found),
            poor=[one.objective for one in found if one.poor],
        )  # fmt: skip


# --- the frontier ----------------------------------------------------------------------------------------------------


async def frontier_drawn(database: Database, frontier: Frontier, bench: str, reference: Iterable[Reference]) -> None:
    """The frontier, drawn again: on another bench, by other objectives, bounds or smallest effects."""
    async with database.transaction() as change:
        await _freeze(change, bench, reference)
        await ledger.rebook(change, await _draw(change, frontier))
        await _advance(change, frontier, bench, time.time())
        on = f"{len(frontier.points)} on it, hypervolume {frontier.hypervolume:.3g}"
        await say(change, "frontier", f"frontier drawn again: {on}", bench=bench, hypervolume=frontier.hypervolume)


async def _freeze(change: Change, bench: str, reference: Iterable[Reference]) -> None:
    for one in reference:
        await change.execute("DELETE FROM reference WHERE bench = ? AND objective = ?", bench, one.objective)
        await change.insert("reference", bench=bench, **{field.name: getattr(one, field.name) for field in fields(one)})


async def _draw(change: Change, frontier: Frontier) -> set[int]:
    """The experiments that have come onto the frontier, and those that have left it."""
    stood = {row["experiment"]: tuple(row) for row in await change.rows("SELECT * FROM frontier")}
    stands = {one.experiment: (one.experiment, int(one.balanced), one.probability) for one in frontier.points}
    for number in stood.keys() - stands.keys():
        await change.execute("DELETE FROM frontier WHERE experiment = ?", number)
    for number, point in stands.items():
        if stood.get(number) != point:
            await change.execute("INSERT OR REPLACE INTO frontier VALUES (?, ?, ?)", *point)
    return stood.keys() ^ stands.keys()


async def _advance(change: Change, frontier: Frontier, bench: str, now: float) -> None:
    """The frontier's size, against what was spent; and what each confirmed experiment has added to it."""
    await yields.keep_gains(change, bench, frontier.gains)
    spent = await ledger.used(change)
    await change.insert(
        "progress", at=now, bench=bench, experiments=frontier.measured, hypervolume=frontier.hypervolume,
        optimistic=frontier.optimistic, seconds=spent.get("seconds", 0.0), tokens=spent.get("tokens", 0.0),
    )  # fmt: skip
