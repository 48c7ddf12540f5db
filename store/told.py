"""What `[notify] command` was told: an event each, so that nothing is told twice."""

import json
import math

from store.database import Database
from store.events import say


async def offers(database: Database) -> set[int]:
    """The experiments whose offers were told."""
    rows = await database.rows("SELECT experiment, data FROM events WHERE kind = 'told' AND experiment IS NOT NULL")
    return {row["experiment"] for row in rows if json.loads(row["data"])["lack"] is None}


async def since(database: Database) -> float:
    """When the first engine began that was to tell; before one has, never."""
    rows = await database.rows("SELECT min(started_at) FROM engines WHERE json_extract(facts, '$.notify')")
    return math.inf if rows[0][0] is None else float(rows[0][0])


async def claim(database: Database, event: str, engine: int) -> bool:
    """Say that something about an engine is going to be told, unless somebody has said so; whether nobody had."""
    async with database.transaction() as change:
        told = await change.rows("SELECT data FROM events WHERE kind = 'telling'")
        if any(
            (one["notified"], one["engine"]) == (event, engine) for one in (json.loads(row["data"]) for row in told)
        ):
            return False
        await say(change, "telling", f"notify: the engine {event}", notified=event, engine=engine)
        return True


async def told(
    database: Database, event: str, text: str, *, experiment: int | None, engine: int | None, lack: str
) -> None:
    """It was told, or could not be."""
    async with database.transaction() as change:
        await say(
            change, "told", text, experiment=experiment, notified=event, engine=engine, lack=lack or None
        )  # fmt: skip
