"""The experiments as they stand, and the proposals that they were."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

from store.database import Database
from store.kept import Kept
from store.records import QUICK, Evidence, Experiment, Measurement, Outcome, Source, State, Verdict, Word
from store.views.parts import BENCH, ENDS, NAMED, SEEDED, UP_WORDS

AT_ONCE = 500  # experiments that are read in one go: who reads them all does something else in between
FIRST = f"""(
    SELECT 0 AS number UNION SELECT number FROM experiments WHERE state IN ('queued', 'running', 'merged')
    UNION SELECT number FROM (SELECT number FROM experiments ORDER BY number DESC LIMIT 60)
    UNION SELECT experiment FROM verdicts JOIN experiments ON number = experiment AND state = 'judged'
    WHERE evidence <> 'screened' AND word IN {UP_WORDS}
    UNION SELECT number FROM experiments WHERE state = 'judged' AND number IN ({SEEDED})
)"""
EXPERIMENTS = f"""
    SELECT experiments.*, proposer, operator, hypothesis, proposals.parent, coalesce(trunk, proposals.parent) AS root,
        (SELECT json_group_array(parents.parent) FROM parents WHERE parents.experiment = number) AS parents,
        number IN (SELECT json_extract(arguments, '$.experiment') FROM commands
            WHERE {ENDS}) AS ended
    FROM experiments LEFT JOIN proposals ON proposals.experiment = experiments.number
"""


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
    return int((await database.rows("SELECT coalesce(max(number) + 1, 0) FROM experiments"))[0][0])


async def experiment(database: Database, number: int) -> Experiment | None:
    """One experiment, or None where there is no such number."""
    rows = await database.rows(f"{EXPERIMENTS} WHERE number = ?", number)
    if not rows:
        return None
    means = await _means(database, "runs.tree = ?", rows[0]["tree"])
    return _experiment(rows[0], means, await _verdicts(database, "experiment = ?", number))


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


async def ever_proposed(database: Database, operator: str) -> bool:
    """Whether anything was ever proposed by an operator, whatever came of it."""
    return bool(await database.rows("SELECT 1 FROM proposals WHERE operator = ? LIMIT 1", operator))


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
