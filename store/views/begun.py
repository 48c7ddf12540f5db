"""What the study is, the lives of its engine, and what `cockpit.toml` said."""

import json

from store.database import Database
from store.ledger import MODEL_LANE, paused_since
from store.records import BROKE, Ended, Engine, Revision, Study
from store.views.parts import LAST_REVISION


async def study(database: Database) -> Study | None:
    """The study, or None before it has begun."""
    rows = await database.rows("SELECT name, goal, seed, trunk, began_at FROM study")
    return Study(*rows[0]) if rows else None


BECAUSE = """
    SELECT json_extract(data, '$.because') AS because FROM events WHERE kind = 'engine ended' ORDER BY seq DESC LIMIT 1
"""


async def last_engine(database: Database) -> Engine | None:
    """The newest life of the engine; whether it still runs is said by its lock."""
    rows = await database.rows(
        "SELECT id, pid, started_at, ended_at, ended_by, facts FROM engines ORDER BY id DESC LIMIT 1"
    )
    if not rows:
        return None
    row = rows[0]
    ended_by = Ended(row["ended_by"]) if row["ended_by"] else None
    because = await database.rows(BECAUSE) if ended_by in BROKE else []
    return Engine(
        row["id"], row["pid"], row["started_at"], row["ended_at"], ended_by, json.loads(row["facts"]),
        because[0]["because"] or "" if because else "",
    )  # fmt: skip


async def paused(database: Database, engine: Engine | None = None) -> bool:
    """Whether the last engine is paused; one that has ended is not. Whether it still runs is said by its lock."""
    engine = engine or await last_engine(database)
    return engine is not None and engine.ended_at is None and await paused_since(database) is not None


async def revision(database: Database, digest: str) -> str:
    """The text of a `cockpit.toml` that the study has had."""
    return str((await database.rows("SELECT text FROM revisions WHERE digest = ?", digest))[0]["text"])


async def last_revision(database: Database) -> Revision | None:
    """What `cockpit.toml` said when it was read last."""
    rows = await database.rows(LAST_REVISION)
    return Revision(**rows[0]) if rows else None


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
