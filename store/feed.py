"""The change feed: the journal's events, as they come."""

import asyncio
from collections.abc import AsyncIterator

from store.database import Database
from store.events import events_after, last_event
from store.records import Event

POLL_SECONDS = 0.1


async def follow(database: Database, after: int, ended: asyncio.Event) -> AsyncIterator[Event]:
    """The events after number `after`, as they come; once `ended` is set, those that are left, and no more."""
    while True:
        last_look = ended.is_set()
        for event in await events_after(database, after):
            after = event.seq
            yield event
        if last_look and after >= await last_event(database):
            return
        try:
            await asyncio.wait_for(ended.wait(), POLL_SECONDS)
        except TimeoutError:
            continue
