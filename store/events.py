"""The lines of the journal: one is said within the transaction of what it tells; they are read a page at a time."""

import json
import time
from typing import Any

from store import budgets
from store.database import Change, Database
from store.records import Event

PAGE = 5_000  # rows; a reader that holds the record longer makes its log grow


async def say(
    change: Change,
    kind: str,
    text: str,
    *,
    experiment: int | None = None,
    run: int | None = None,
    at: float | None = None,
    **data: Any,
) -> None:
    """A line of the journal, in the transaction of what it tells, and what the budgets have come to with it."""
    now = time.time() if at is None else at
    await budgets.update(change, now)
    await change.insert("events", at=now, kind=kind, experiment=experiment, run=run, text=text, data=data)


async def events_after(database: Database, seq: int) -> list[Event]:
    """At most a page of events after number `seq`, oldest first."""
    rows = await database.rows("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", seq, PAGE)
    return [
        Event(row["seq"], row["at"], row["kind"], row["experiment"], row["run"], row["text"], json.loads(row["data"]))
        for row in rows
    ]


async def first_of_runs(database: Database, first: int, since: int) -> int | None:
    """The number of the first event after `since` of run `first` or a later one; None where there is none."""
    rows = await database.rows("SELECT seq FROM events WHERE seq > ? AND run >= ? ORDER BY seq LIMIT 1", since, first)
    return int(rows[0]["seq"]) if rows else None


async def newest(database: Database) -> float:
    """When the newest event was told; 0 before the first."""
    rows = await database.rows("SELECT at FROM events ORDER BY seq DESC LIMIT 1")
    return float(rows[0]["at"]) if rows else 0.0


async def last_event(database: Database) -> int:
    """The number of the newest event, 0 before the first."""
    return int((await database.rows("SELECT coalesce(max(seq), 0) FROM events"))[0][0])
