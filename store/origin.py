"""How a run was made: the text of cockpit.toml by which it is read, its bench, and what its engine had found."""

import json
from typing import Any

from msgspec import Struct

from store.database import Database
from store.records import Run
from store.views import BENCH


class Origin(Struct, frozen=True):
    """Of a run, or of the next one: `bench` is what was hashed, `facts` what the engine has found at its start."""

    text: str
    bench: dict[str, Any]
    facts: dict[str, Any]


async def origin(database: Database, run: Run | None) -> Origin | None:
    """How a run was made, or how the last engine would have made one. None before there was an engine."""
    engines = await database.rows(
        "SELECT facts FROM engines WHERE started_at <= coalesce(?, started_at) ORDER BY id DESC LIMIT 1",
        run.started_at if run else None,
    )
    texts = await database.rows(
        "SELECT text FROM revisions WHERE digest = coalesce(?, digest) ORDER BY id DESC LIMIT 1",
        run.revision if run else None,
    )
    benches = await database.rows(
        f"SELECT facts FROM benches WHERE hash = coalesce(?, {BENCH})", run.bench if run else None
    )
    if not (engines and texts and benches):
        return None
    return Origin(texts[0]["text"], json.loads(benches[0]["facts"]), json.loads(engines[0]["facts"]))
