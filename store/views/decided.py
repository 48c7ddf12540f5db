"""What was decided: trunk as it was and is, what it rests on, and what proposals start from."""

import json
import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from store.database import Database
from store.records import SYNC, Decision, Experiment
from store.views.parts import DECISION, STANDING


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
