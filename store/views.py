"""What can be asked of the record: one typed query a question."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from msgspec.structs import replace

from store.database import Database
from store.kept import Kept
from store.ledger import MODEL_LANE, TOTAL, paused_since
from store.records import (
    QUICK,
    SYNC,
    UP,
    Agreement,
    Decision,
    Ended,
    Engine,
    Evidence,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Measurement,
    Outcome,
    Point,
    Progress,
    Reference,
    Refusal,
    Returns,
    Revision,
    Run,
    Source,
    Stage,
    State,
    Study,
    Value,
    Verdict,
    Word,
)

DECISION = """
    decisions.verb, decisions.experiment, reason, verdict, trunk_before, trunk_after, undoes, decisions.id,
    (SELECT json_group_array(taken.experiment) FROM taken WHERE taken.decision = decisions.id) AS taken
"""
STANDING = "NOT EXISTS (SELECT 1 FROM decisions AS later WHERE later.undoes = decisions.id)"
UP_WORDS = str(tuple(word.value for word in UP))
# The experiments that something has happened to since, and those of the same tree, which share its measurements.
NAMED = """(
    SELECT number FROM experiments WHERE tree IN (
        SELECT tree FROM experiments WHERE number IN (SELECT experiment FROM events WHERE seq > ?)
    )
)"""
BENCH = "(SELECT json_extract(facts, '$.bench') FROM engines ORDER BY id DESC LIMIT 1)"  # of the last engine
LAST_REVISION = """
    SELECT revisions.digest, revisions.text, events.at, events.text AS said FROM events
    JOIN revisions ON digest = json_extract(data, '$.digest') WHERE kind = 'revised' ORDER BY seq DESC LIMIT 1
"""
AT_ONCE = 500  # experiments that are read in one go: who reads them all does something else in between
FIRST = f"""(
    SELECT number FROM experiments WHERE number = 0 OR state IN ('queued', 'running', 'merged')
    UNION SELECT number FROM (SELECT number FROM experiments ORDER BY number DESC LIMIT 60)
    UNION SELECT experiment FROM verdicts JOIN experiments ON number = experiment AND state = 'judged'
    WHERE evidence <> 'screened' AND word IN {UP_WORDS}
)"""
AVERAGED = 200  # runs, of which it is said what they take in the mean
SPENT_ON = {  # names of what a run or a call is booked to
    "stage": "CASE WHEN spans.run IS NOT NULL THEN spans.kind END",
    "proposer": "coalesce(proposals.proposer, CASE WHEN spans.call IS NULL THEN 'baseline' ELSE 'model' END)",
    "operator": "coalesce(proposals.operator, calls.operator, 'baseline')",
    "model": "coalesce(calls.model, (SELECT model FROM calls AS asked WHERE asked.proposal = proposals.id LIMIT 1))",
}
EXPERIMENTS = """
    SELECT experiments.*, proposer, operator, hypothesis, proposals.parent, coalesce(trunk, proposals.parent) AS root,
        (SELECT json_group_array(parents.parent) FROM parents WHERE parents.experiment = number) AS parents,
        number IN (SELECT json_extract(arguments, '$.experiment') FROM commands WHERE verb = 'end' AND done) AS ended
    FROM experiments LEFT JOIN proposals ON proposals.experiment = experiments.number
"""


async def study(database: Database) -> Study | None:
    """The study, or None before it has begun."""
    rows = await database.rows("SELECT name, goal, seed, trunk, began_at FROM study")
    return Study(*rows[0]) if rows else None


async def last_engine(database: Database) -> Engine | None:
    """The newest life of the engine; whether it still runs is said by its lock."""
    rows = await database.rows(
        "SELECT id, pid, started_at, ended_at, ended_by, facts FROM engines ORDER BY id DESC LIMIT 1"
    )
    if not rows:
        return None
    row = rows[0]
    ended_by = Ended(row["ended_by"]) if row["ended_by"] else None
    return Engine(row["id"], row["pid"], row["started_at"], row["ended_at"], ended_by, json.loads(row["facts"]))


async def paused(database: Database, engine: Engine | None = None) -> bool:
    """Whether the last engine is paused; one that has ended is not. Whether it still runs is said by its lock."""
    engine = engine or await last_engine(database)
    return engine is not None and engine.ended_at is None and await paused_since(database) is not None


async def experiments(database: Database, since: int | None = None) -> list[Experiment]:
    """All experiments, or those that an event after `since` names. Oldest first, with the means of measurements."""
    return [one for which in await _parts(database, since) for one in await _experiments(database, *which)]


async def bare(database: Database, since: int | None = None) -> list[Experiment]:
    """The same without measurements and verdicts."""
    every = list[Experiment]()
    for which, *given in await _parts(database, since):
        rows = await database.rows(f"{EXPERIMENTS} WHERE number {which} ORDER BY number", *given)
        every += [_experiment(row, {}, {}) for row in rows]
    return every


async def _parts(database: Database, since: int | None) -> list[tuple[Any, ...]]:
    """The conditions by which these are read, one after another, each with what is given for it."""
    if since is not None:
        return [(f"IN {NAMED}", since)]
    firsts = range(0, await count(database), AT_ONCE)
    return [("BETWEEN ? AND ?", first, first + AT_ONCE - 1) for first in firsts]


async def these(database: Database, numbers: Iterable[int]) -> list[Experiment]:
    """The experiments of these numbers, oldest first, with the means of measurements."""
    return await _experiments(database, "IN (SELECT value FROM json_each(?))", json.dumps(list(numbers)))


async def first_looked_at(database: Database) -> list[Experiment]:
    """What a person looks at first: trunk, what goes on, what is better and not decided, the newest. Oldest first."""
    numbers = [row[0] for row in await database.rows(f"SELECT * FROM {FIRST}")]
    return await _experiments(database, "IN (SELECT value FROM json_each(?))", json.dumps(numbers))


async def _experiments(database: Database, which: str, *given: Any) -> list[Experiment]:
    """Those of which this is said."""
    trees = f"runs.tree IN (SELECT tree FROM experiments WHERE number {which})"
    means = await _means(database, trees, *given)
    said = await _verdicts(database, f"experiment {which}", *given)
    rows = await database.rows(f"{EXPERIMENTS} WHERE number {which} ORDER BY number", *given)
    return [_experiment(row, means, said) for row in rows]


async def renewed(database: Database, known: Sequence[Experiment], since: int) -> tuple[Experiment, ...]:
    """All experiments, where those are known as they were at event `since`, under the same engine."""
    rows = list(known)
    for one in await experiments(database, since):
        rows[one.number : one.number + 1] = [one]
    return tuple(rows)


async def count(database: Database) -> int:
    """How many experiments there are; so also the number of the next one."""
    return int((await database.rows("SELECT count(*) FROM experiments"))[0][0])


async def run_count(database: Database) -> int:
    """How many runs there are, of all experiments, whatever came of them."""
    return int((await database.rows("SELECT count(*) FROM runs"))[0][0])


async def experiment(database: Database, number: int) -> Experiment | None:
    """One experiment, or None where there is no such number."""
    rows = await database.rows(f"{EXPERIMENTS} WHERE number = ?", number)
    if not rows:
        return None
    means = await _means(database, "runs.tree = ?", rows[0]["tree"])
    return _experiment(rows[0], means, await _verdicts(database, "experiment = ?", number))


async def runs(database: Database, number: int) -> list[Run]:
    """All runs of an experiment, oldest first, with their stages."""
    rows = await database.rows("SELECT * FROM runs WHERE experiment = ? ORDER BY id", number)
    return await _runs(database, rows)


async def good_runs(database: Database, bench: str) -> list[Run]:
    """The good runs of a bench that count, of the trees that the experiments have now, oldest first, with stages."""
    rows = await database.rows(
        """
        SELECT runs.* FROM runs JOIN experiments ON number = experiment AND experiments.tree = runs.tree
        WHERE bench = ? AND outcome = 'ok' AND purpose <> 'rerun' ORDER BY runs.id
        """,
        bench,
    )
    return await _runs(database, rows)


async def stopped_early(database: Database, run: int) -> str:
    """Why a run was going to be ended for its curve; nothing where it was not."""
    rows = await database.rows(
        "SELECT json_extract(data, '$.sentence') FROM events WHERE kind = 'stopping early' AND run = ?", run
    )
    return str(rows[0][0]) if rows else ""


async def values(database: Database, bench: str, before: int | None = None, since: int | None = None) -> list[Value]:
    """Every value of a bench's good runs, of the trees that the experiments have now.

    Of the runs before run `before`, or of the experiments that an event after `since` names.
    """
    rows = await database.rows(
        f"""
        SELECT runs.id, experiment, seed, purpose, objective, value, fidelity
        FROM runs JOIN measurements ON measurements.run = runs.id
        JOIN experiments ON number = experiment AND experiments.tree = runs.tree
        WHERE outcome = 'ok' AND bench = ? AND purpose <> 'rerun' AND {_those(before, since)} ORDER BY runs.id
        """,
        bench,
        *_given(before),
        *_given(since),
    )
    return [Value(*row) for row in rows]


async def failed(database: Database, bench: str, before: int | None = None, since: int | None = None) -> set[int]:
    """The experiments that have failed on a seed of a bench, and not done better since.

    By the runs before run `before`, or of the experiments that an event after `since` names.
    """
    rows = await database.rows(
        f"""
        SELECT DISTINCT experiment FROM runs JOIN experiments ON number = experiment AND experiments.tree = runs.tree
        WHERE bench = ? AND outcome NOT IN ('ok', 'interrupted') AND purpose NOT IN ('challenge', 'rerun')
        AND {_those(before, since)} AND NOT EXISTS (
            SELECT 1 FROM runs AS again WHERE again.outcome = 'ok' AND again.bench = runs.bench
            AND (again.tree, again.seed, again.purpose, again.fidelity)
                = (runs.tree, runs.seed, runs.purpose, runs.fidelity)
        )
        """,
        bench,
        *_given(before),
        *_given(since),
    )
    return {row["experiment"] for row in rows}


def _those(before: int | None, since: int | None) -> str:
    """The condition of runs before one, and of experiments that have been named since an event."""
    runs = "1" if before is None else "runs.id < ?"
    return runs if since is None else f"{runs} AND runs.experiment IN {NAMED}"


def _given(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)


async def incumbents_runs(database: Database, number: int) -> list[Run]:
    """The runs of an experiment that count, without stages and measurements."""
    rows = await database.rows("SELECT * FROM runs WHERE experiment = ? AND purpose <> 'rerun' ORDER BY id", number)
    return [_bare(row) for row in rows]


async def to_rerun(database: Database) -> tuple[int, int] | None:
    """The experiment, and the seed, of the oldest run that was asked for once more and has not been made since.

    One that something outside has ended so often is given up.
    """
    rows = await database.rows(
        """
        SELECT json_extract(arguments, '$.experiment') AS number, json_extract(intent, '$.told.seed') AS asked
        FROM commands WHERE verb = 'rerun' AND done AND NOT EXISTS (
            SELECT 1 FROM runs WHERE purpose = 'rerun' AND id > json_extract(intent, '$.after')
            AND (experiment, seed) = (number, asked) AND outcome <> 'interrupted'
        ) AND (
            SELECT count(*) FROM runs WHERE purpose = 'rerun' AND id > json_extract(intent, '$.after')
            AND (experiment, seed) = (number, asked) AND outcome = 'interrupted'
        ) < 3 ORDER BY id LIMIT 1
        """
    )
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


async def run_again(database: Database, number: int) -> dict[int, str]:
    """How the runs of an experiment that were made again compare, by their numbers."""
    rows = await database.rows(
        "SELECT run, text FROM events WHERE kind = 'rerun' AND experiment = ? ORDER BY seq", number
    )
    return {row["run"]: row["text"] for row in rows}


async def attempts(
    database: Database, experiment: Experiment, bench: str, seed: int, purpose: str, fidelity: str
) -> int:
    """The number of the last try of this very run of an experiment's tree; 0 before the first.

    Not how many there are: one that counts on a bench brings its number along, and leaves a gap where it was made.
    """
    rows = await database.rows(
        "SELECT coalesce(max(attempt), 0) FROM runs WHERE (tree, bench, seed, purpose, fidelity) = (?, ?, ?, ?, ?)",
        experiment.tree, bench, seed, purpose, fidelity,
    )  # fmt: skip
    return int(rows[0][0])


async def newest_run(database: Database) -> int:
    """The number of the newest run; 0 before the first."""
    return int((await database.rows("SELECT coalesce(max(id), 0) FROM runs"))[0][0])


async def run_since(database: Database, first: int) -> set[int]:
    """The experiments that have had run `first`, or a later one."""
    return {row["experiment"] for row in await database.rows("SELECT experiment FROM runs WHERE id >= ?", first)}


async def first_run(database: Database, number: int, bench: str) -> int | None:
    """The first run of an experiment on a bench, whatever came of it."""
    rows = await database.rows("SELECT min(id) AS run FROM runs WHERE experiment = ? AND bench = ?", number, bench)
    return rows[0]["run"] if rows else None


async def incumbent(database: Database) -> int:
    """The experiment whose tree is trunk's: that of the last merge that stands, else the baseline."""
    rows = await database.rows(
        f"SELECT experiment FROM decisions WHERE verb = 'merge' AND {STANDING} ORDER BY id DESC LIMIT 1"
    )
    return int(rows[0]["experiment"]) if rows else 0


async def trunks(database: Database) -> list[int]:
    """The experiments that trunk was one after the other, and is: the baseline, and what was merged and stands."""
    rows = await database.rows(f"SELECT experiment FROM decisions WHERE verb = 'merge' AND {STANDING} ORDER BY id")
    return [0, *(row["experiment"] for row in rows)]


async def rests_on(database: Database, number: int) -> str:
    """The user's own commit from which an experiment's changes count: where the study began, or was synced."""
    rows = await database.rows(
        f"""
        WITH RECURSIVE line (number, depth) AS (
            SELECT ?, 0
            UNION ALL SELECT parent, depth + 1 FROM line JOIN proposals ON experiment = number AND operator <> '{SYNC}'
        )
        SELECT coalesce(json_extract(change, '$.{SYNC}'), commit_oid) FROM line JOIN experiments USING (number)
        LEFT JOIN proposals ON proposals.experiment = line.number ORDER BY depth DESC LIMIT 1
        """,
        number,
    )
    return str(rows[0][0])


async def synced(database: Database) -> list[str]:
    """The user's commits that were taken to trunk, and are there, one after the other."""
    rows = await database.rows(
        f"""
        SELECT json_extract(change, '$.{SYNC}') FROM decisions JOIN proposals USING (experiment)
        WHERE decisions.verb = 'merge' AND operator = '{SYNC}' AND {STANDING} ORDER BY decisions.id
        """
    )
    return [str(row[0]) for row in rows]


async def pinned(database: Database, experiments: Sequence[Experiment], incumbent: int) -> int | None:
    """The one of all experiments that proposals start from in trunk's place, for it is pinned, and they still can."""
    number = await pin(database)
    return number if number is not None and experiments[number].bears(incumbent) else None


async def pin(database: Database) -> int | None:
    """The experiment that was pinned last, whatever became of it; None where none was, or it is no more."""
    rows = await database.rows(
        "SELECT arguments FROM commands WHERE verb IN ('pin', 'unpin') AND done ORDER BY id DESC LIMIT 1"
    )
    return json.loads(rows[0]["arguments"]).get("experiment") if rows else None


async def last_decision(database: Database) -> Decision | None:
    """The last decision that stands, which alone can be undone."""
    rows = await database.rows(
        f"SELECT {DECISION} FROM decisions WHERE verb <> 'undo' AND {STANDING} ORDER BY id DESC LIMIT 1"
    )
    return decision(rows[0]) if rows else None


def decision(row: sqlite3.Row) -> Decision:
    """A row of DECISION."""
    return replace(Decision(*tuple(row)[:8]), taken=tuple(json.loads(row["taken"])))


async def stage_seconds(database: Database, bench: str, fidelity: str) -> dict[str, float]:
    """What each stage of good runs has taken, in the mean, by its name: of those of the newest experiments, so many."""
    rows = await database.rows(
        f"""
        SELECT name, avg(wall_seconds) AS mean FROM stages WHERE run IN (
            SELECT id FROM runs WHERE bench = ? AND fidelity = ? AND outcome = 'ok'
            ORDER BY experiment DESC, id DESC LIMIT {AVERAGED}
        ) GROUP BY name
        """,
        bench,
        fidelity,
    )
    return {row["name"]: row["mean"] for row in rows}


async def unfinished_runs(database: Database) -> list[Run]:
    """The runs that no engine has closed yet."""
    # With its + the order is none of the key: they are found by the index of these alone.
    rows = await database.rows("SELECT * FROM runs WHERE outcome IS NULL ORDER BY +id")
    return await _runs(database, rows)


async def last_log(database: Database, run: int) -> str | None:
    """The log of the last stage of a run, relative to the study's folder."""
    rows = await database.rows("SELECT log FROM stages WHERE run = ? ORDER BY position DESC LIMIT 1", run)
    return str(rows[0]["log"]) if rows else None


async def revision(database: Database, digest: str) -> str:
    """The text of a `cockpit.toml` that the study has had."""
    return str((await database.rows("SELECT text FROM revisions WHERE digest = ?", digest))[0]["text"])


async def last_revision(database: Database) -> Revision | None:
    """What `cockpit.toml` said when it was read last."""
    rows = await database.rows(LAST_REVISION)
    return Revision(**rows[0]) if rows else None


async def queued(database: Database, count: int | None = None) -> list[Experiment]:
    """The experiments that wait for a slot, oldest first, of the first `count`."""
    rows = await database.rows(
        f"{EXPERIMENTS} WHERE state = 'queued' AND number < coalesce(?, number + 1) ORDER BY number", count
    )
    return [_experiment(row, {}, {}) for row in rows]


async def tried(database: Database, change_hash: str) -> int | None:
    """The number of the experiment whose code has this hash, or None."""
    rows = await database.rows(
        "SELECT experiment FROM proposals WHERE change_hash = ? AND refusal IS NULL", change_hash
    )
    return int(rows[0]["experiment"]) if rows else None


async def refused_in_a_row(database: Database, proposer: str) -> int:
    """How many of its proposals have been refused since the last one of anybody that was admitted."""
    rows = await database.rows(
        """
        SELECT count(*) FROM proposals
        WHERE proposer = ? AND id > (SELECT coalesce(max(id), 0) FROM proposals WHERE refusal IS NULL)
        """,
        proposer,
    )
    return int(rows[0][0])


async def reference(database: Database, bench: str) -> list[Reference]:
    """The reference point of a bench; nothing before its baseline is measured."""
    rows = await database.rows(
        "SELECT objective, direction, base, value, runs FROM reference WHERE bench = ? ORDER BY rowid", bench
    )
    return [Reference(*row) for row in rows]


async def drawn_on(database: Database) -> str | None:
    """The bench on which the frontier was drawn last."""
    rows = await database.rows("SELECT bench FROM progress ORDER BY id DESC LIMIT 1")
    return str(rows[0]["bench"]) if rows else None


async def frontier(database: Database, engine: Engine | None = None) -> tuple[Frontier, list[Reference]]:
    """The frontier that stands now, on the bench of the last engine, and its reference point, of what steers."""
    points = [
        Point(row["experiment"], bool(row["balanced"]), row["probability"])
        for row in await database.rows("SELECT experiment, balanced, probability FROM frontier ORDER BY experiment")
    ]
    rows = await database.rows(
        "SELECT hypervolume, optimistic, experiments, bench FROM progress ORDER BY id DESC LIMIT 1"
    )
    if not rows:
        return Frontier(), []
    engine = engine or await last_engine(database)
    steering = engine.facts["steering"] if engine else []
    frozen = {one.objective: one for one in await reference(database, rows[0]["bench"])}
    drawn = Frontier(tuple(points), rows[0]["hypervolume"], rows[0]["optimistic"], rows[0]["experiments"])
    return drawn, [frozen[name] for name in steering if name in frozen]


async def progress(database: Database) -> list[Progress]:
    """How the frontier grew on the bench that the last engine set up, oldest first."""
    rows = await database.rows(
        f"""
        SELECT at, experiments, hypervolume, optimistic, seconds, tokens FROM progress
        WHERE bench = {BENCH} ORDER BY id
        """
    )
    return [Progress(*row) for row in rows]


async def keeps(database: Database) -> Keeps | None:
    """How far what is confirmed can be trusted, on the bench that the last engine set up; None before a verdict."""
    rows = await database.rows(
        f"""
        SELECT screened, confirmed, expected_false, objective, maximize, kept, refuted, once
        FROM keeps WHERE bench = {BENCH}
        """
    )
    return Keeps(**{**rows[0], "maximize": bool(rows[0]["maximize"])}) if rows else None


async def agreement(database: Database, bench: str | None = None) -> list[Agreement]:
    """How far quick and full runs agree on a bench, or on that of the last engine; nothing before it is known."""
    rows = await database.rows(
        f"SELECT objective, experiments, tau FROM agreement WHERE bench = coalesce(?, {BENCH}) ORDER BY rowid", bench
    )
    return [Agreement(*row) for row in rows]


async def first_verdicts(database: Database, bench: str) -> dict[int, tuple[float, float | None]]:
    """When each experiment was first judged on a bench, and when it was first confirmed there; None for never."""
    rows = await database.rows(
        f"""
        SELECT experiment, min(at), min(CASE WHEN evidence = 'confirmed' AND word IN {UP_WORDS} THEN at END)
        FROM verdicts WHERE bench = ? GROUP BY experiment
        """,
        bench,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def worked_since(database: Database, now: float, seconds: float) -> float:
    """The moment since which so long was worked: without the time of pauses, and that in which there was no engine."""
    since = now - seconds
    gaps = await database.rows(
        "SELECT began_at, ended_at FROM spans WHERE kind IN ('down', 'paused') AND lane <> ? ORDER BY id DESC",
        MODEL_LANE,
    )
    for gap in gaps:
        if gap["ended_at"] <= since:
            break
        since -= gap["ended_at"] - gap["began_at"]
    return since


async def hypervolume(database: Database, bench: str, at: float) -> float:
    """The hypervolume on a bench at a moment; the baseline's before there was any."""
    rows = await database.rows(
        "SELECT hypervolume FROM progress WHERE bench = ? AND at <= ? ORDER BY at DESC, id DESC LIMIT 1", bench, at
    )
    return float(rows[0]["hypervolume"]) if rows else 1.0


async def returns(database: Database) -> Returns | None:
    """What the last while has bought, on the bench that the last engine set up; None before a verdict."""
    rows = await database.rows(
        f"SELECT seconds, experiments, confirmed, before, chance FROM returns WHERE bench = {BENCH}"
    )
    return Returns(*rows[0]) if rows else None


async def ledger(database: Database) -> Ledger:
    """What was spent until now, and on what."""
    amounts: dict[str, dict[str, float]] = {}
    for row in await database.rows("SELECT outcome, resource, amount FROM totals ORDER BY amount DESC"):
        amounts.setdefault(row["outcome"], {})[row["resource"]] = row["amount"]
    admitted: dict[str, int] = {}
    refused: dict[str, dict[Refusal, int]] = {}
    for row in await database.rows(
        "SELECT proposer, refusal, count(*) AS count FROM proposals GROUP BY proposer, refusal"
    ):
        if row["refusal"] is None:
            admitted[row["proposer"]] = row["count"]
        else:
            refused.setdefault(row["proposer"], {})[Refusal(row["refusal"])] = row["count"]
    return Ledger(total=amounts.pop(TOTAL, {}), by_outcome=amounts, admitted=admitted, refused=refused)


async def spend_by(database: Database) -> dict[str, dict[str, dict[str, float]]]:
    """What runs and calls have taken, by `stage`, `proposer`, `operator` and `model`: of each, by name and resource.

    A stage is one of a run, its overhead among them. What nobody proposed is the baseline's.
    """
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for group, name in SPENT_ON.items():
        rows = await database.rows(
            f"""
            SELECT {name} AS name, resource, sum(amount) AS amount FROM spend JOIN spans ON spans.id = spend.span
            LEFT JOIN runs ON runs.id = spans.run LEFT JOIN calls ON calls.id = spans.call
            LEFT JOIN proposals AS own ON own.experiment = runs.experiment
            LEFT JOIN proposals ON proposals.id = coalesce(own.id, calls.proposal)
            WHERE coalesce(spans.run, spans.call) IS NOT NULL GROUP BY 1, 2 HAVING {name} IS NOT NULL ORDER BY 3 DESC
            """
        )
        amounts = groups.setdefault(group, {})
        for row in rows:
            amounts.setdefault(row["name"], {})[row["resource"]] = row["amount"]
    return groups


async def seconds(database: Database, since: int | None = None) -> dict[int, float]:
    """The seconds of a slot that each experiment's runs have taken, by its number; those that have run.

    Or of those alone that an event after `since` names.
    """
    rows = await database.rows(
        f"""
        SELECT experiment, sum(amount) FROM runs JOIN spans ON spans.run = runs.id JOIN spend ON spend.span = spans.id
        WHERE resource = 'seconds' AND {"1" if since is None else f"runs.experiment IN {NAMED}"} GROUP BY experiment
        """,
        *_given(since),
    )
    return dict(map(tuple, rows))


async def launch_variables(database: Database, interpreter: str, device: str) -> dict[str, str] | None:
    """What Accelerate's launcher sets for an interpreter (its digest) on a device, where an earlier bench asked it."""
    rows = await database.rows(
        """
        SELECT facts FROM benches
        WHERE json_extract(facts, '$.interpreter.digest') = ? AND json_extract(facts, '$.device') = ?
          AND NOT json_extract(facts, '$.launcher')
        ORDER BY at DESC LIMIT 1
        """,
        interpreter,
        device,
    )
    return dict(json.loads(rows[0]["facts"])["launch"]) if rows else None


async def _means(database: Database, which: str, *given: Any) -> dict[str, list[Measurement]]:
    """The mean of each objective by tree and fidelity, over the good runs of the bench that the last engine set up."""
    rows = await database.rows(
        f"""
        SELECT runs.tree, objective, avg(value) AS value, source, count(*) AS n, fidelity,
               (SELECT json_extract(facts, '$.selected') FROM benches WHERE hash = {BENCH}) AS selected
        FROM runs JOIN measurements ON measurements.run = runs.id
        WHERE outcome = 'ok' AND {which} AND bench = {BENCH} AND purpose <> 'rerun'
        GROUP BY runs.tree, objective, source, fidelity ORDER BY min(measurements.rowid)
        """,
        *given,
    )
    means: dict[str, list[Measurement]] = {}
    selected: dict[str, str] = json.loads(rows[0]["selected"] or "{}") if rows else {}
    for row in rows:
        name = intern(row["objective"])
        means.setdefault(row["tree"], []).append(
            Measurement(
                name, row["value"], Source(row["source"]), row["n"], selected.get(name, ""), intern(row["fidelity"])
            )
        )
    return means


async def _verdicts(database: Database, which: str, *given: Any) -> dict[int, Verdict]:
    """The newest verdict on each experiment, on the bench that the last engine set up."""
    newest = f"SELECT max(id) FROM verdicts WHERE bench = {BENCH} AND {which} GROUP BY experiment"
    rows = await database.rows(f"SELECT * FROM verdicts WHERE id IN ({newest})", *given)
    return {
        row["experiment"]: Verdict(
            experiment=row["experiment"],
            bench=intern(row["bench"]),
            incumbent=row["incumbent"],
            runs=row["runs"],
            rule=intern(row["rule"]),
            word=Word(row["word"]),
            evidence=Evidence(row["evidence"]),
            asks=bool(row["asks"]),
            sentence=row["sentence"],
            figures=Kept(row["figures"]),
            at=row["at"],
            explanation=intern(row["explanation"]),
            id=row["id"],
        )
        for row in rows
    }


def _experiment(row: sqlite3.Row, means: dict[str, list[Measurement]], said: dict[int, Verdict]) -> Experiment:
    every = means.get(row["tree"], [])
    quick = tuple(one for one in every if one.fidelity == QUICK)
    return Experiment(
        number=row["number"],
        slug=row["slug"],
        state=State(row["state"]),
        tree=row["tree"],
        commit=row["commit_oid"],
        branch=row["branch"],
        created_at=row["created_at"],
        failure=Outcome(row["failure"]) if row["failure"] else None,
        detail=row["detail"],
        measurements=quick or tuple(every),
        full=tuple(one for one in every if one.fidelity != QUICK) if quick else (),
        knobs=Kept(row["knobs"]),
        lines=row["lines"],
        parent=row["parent"],
        root=row["root"],
        parents=_numbers(row["parents"]),
        proposer=row["proposer"] and intern(row["proposer"]),
        operator=row["operator"] and intern(row["operator"]),
        hypothesis=row["hypothesis"] or "",
        verdict=said.get(row["number"]),
        ended=bool(row["ended"]),
    )


@lru_cache(maxsize=256)  # most experiments have the parents of others
def _numbers(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))


async def _runs(database: Database, rows: Sequence[sqlite3.Row]) -> list[Run]:
    """Rows of runs, with their stages and measurements."""
    those = json.dumps([row["id"] for row in rows])
    stages, measured = dict[int, list[Stage]](), dict[int, list[Measurement]]()
    for run, name, outcome, *rest in await database.rows(
        """
        SELECT run, name, outcome, exit_status, started_at, wall_seconds, cpu_seconds, peak_bytes, log, detail,
               energy_joules, peak_device_bytes
        FROM stages WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, position
        """,
        those,
    ):
        stages.setdefault(run, []).append(Stage(name, Outcome(outcome), *rest))
    for run, name, value, source in await database.rows(
        """
        SELECT run, objective, value, source FROM measurements
        WHERE run IN (SELECT value FROM json_each(?)) ORDER BY rowid
        """,
        those,
    ):
        measured.setdefault(run, []).append(Measurement(name, value, Source(source)))
    return [
        replace(
            _bare(row),
            stages=tuple(stages.get(row["id"], ())),
            measurements=tuple(measured.get(row["id"], ())),
        )
        for row in rows
    ]


def _bare(row: sqlite3.Row) -> Run:
    columns = {column: value for column, value in zip(row.keys(), row, strict=True) if column != "outcome"}
    return Run(**columns, outcome=Outcome(row["outcome"]) if row["outcome"] else None)
