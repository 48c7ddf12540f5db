"""The runs, what they measured, and what is to be run again."""

import json
import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from store.database import Database
from store.records import Experiment, Measurement, Outcome, Rerun, Run, Source, Stage, Value
from store.views.parts import given, those

AVERAGED = 200  # runs, of which it is said what they take in the mean


async def run_count(database: Database) -> int:
    """How many runs there are, of all experiments, whatever came of them."""
    return int((await database.rows("SELECT count(*) FROM runs"))[0][0])


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
        WHERE outcome = 'ok' AND bench = ? AND purpose <> 'rerun' AND {those(before, since)} ORDER BY runs.id
        """,
        bench,
        *given(before),
        *given(since),
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
        AND {those(before, since)} AND NOT EXISTS (
            SELECT 1 FROM runs AS again WHERE again.outcome = 'ok' AND again.bench = runs.bench
            AND (again.tree, again.seed, again.purpose, again.fidelity)
                = (runs.tree, runs.seed, runs.purpose, runs.fidelity)
        )
        """,
        bench,
        *given(before),
        *given(since),
    )
    return {row["experiment"] for row in rows}


async def incumbents_runs(database: Database, number: int) -> list[Run]:
    """The runs of an experiment that count, without stages and measurements."""
    rows = await database.rows("SELECT * FROM runs WHERE experiment = ? AND purpose <> 'rerun' ORDER BY id", number)
    return [_bare(row) for row in rows]


async def to_rerun(database: Database) -> tuple[int, int] | None:
    """The experiment, and the seed, of the oldest run that was asked for once more and has not been made since."""
    waiting = await reruns(database)
    return (waiting[0].experiment, waiting[0].seed) if waiting else None


async def reruns(database: Database) -> list[Rerun]:
    """The runs that were asked for once more, and are to be made yet, oldest first.

    One that something outside has ended so often is given up, and one that was withdrawn is not made.
    """
    rows = await database.rows(
        """
        SELECT id, json_extract(arguments, '$.experiment') AS number, json_extract(intent, '$.told.seed') AS asked
        FROM commands WHERE verb = 'rerun' AND done AND NOT EXISTS (
            SELECT 1 FROM runs WHERE purpose = 'rerun' AND id > json_extract(intent, '$.after')
            AND (experiment, seed) = (number, asked) AND outcome <> 'interrupted'
        ) AND (
            SELECT count(*) FROM runs WHERE purpose = 'rerun' AND id > json_extract(intent, '$.after')
            AND (experiment, seed) = (number, asked) AND outcome = 'interrupted'
        ) < 3 AND id NOT IN (
            SELECT value FROM commands AS other, json_each(other.intent, '$.withdraws')
            WHERE other.verb = 'end' AND other.done
        ) ORDER BY id
        """
    )
    return [Rerun(row["id"], int(row["number"]), int(row["asked"])) for row in rows]


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
