"""What is wanted of the world outside of the record, and what has become of it."""

import json
import time
from collections.abc import Mapping
from typing import Any

from store.database import Change, Database
from store.records import Wanted


async def want(change: Change, kind: str, intent: Mapping[str, Any]) -> int:
    """An effect is wanted, in the transaction of what wants it. Its id."""
    return await change.insert("effects", at=time.time(), kind=kind, intent=dict(intent))


async def settled(database: Database, effect: int, hindrance: str) -> None:
    """It is so; or it is undone, for something hindered it."""
    async with database.transaction() as change:
        await change.execute(
            "UPDATE effects SET settled_at = ?, hindrance = ? WHERE id = ?", time.time(), hindrance, effect
        )


async def unsettled(database: Database, kind: str) -> list[Wanted]:
    """The effects of a kind of which nobody has said what became of them, oldest first."""
    rows = await database.rows("SELECT * FROM effects WHERE settled_at IS NULL AND kind = ? ORDER BY id", kind)
    return [Wanted(row["id"], json.loads(row["intent"])) for row in rows]
