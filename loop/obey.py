"""An engine that lives for a command: it answers what is pending and ends. `python -P -E -m loop.obey FOLDER`.

So a finished study can be decided the morning after. It takes the engine's lock; where another engine has it, that one
answers.
"""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

from loop import notify
from loop.branches import Branches, GitError
from loop.decisions import Decisions
from loop.effects import settle_references
from loop.forward import settle_forwards
from store import journal, views
from store.database import Database, RecordTooNew
from store.place import EngineRuns, NoStudy, Place, find, take_engine_lock
from store.trail import ENGINE, Trail


async def obey(place: Place) -> None:
    """Become the study's engine for as long as it takes to answer what is pending."""
    branches = await Branches.of(place, Trail(place.folder, ENGINE))
    lock = await asyncio.to_thread(take_engine_lock, place.folder)
    async with await Database.open(place.folder) as database:
        try:
            last = await views.last_engine(database)
            await journal.engine_died(database)
            await settle_references(branches, database)
            await settle_forwards(database, branches.trail)
            while await Decisions(place, branches, database).obey():
                pass
        finally:
            os.close(lock)
        if last is not None and last.ended_at is None:
            await notify.of_a_death(place, database, branches.trail, last)


if __name__ == "__main__":
    try:
        asyncio.run(obey(find(Path(sys.argv[1]))))
    except (EngineRuns, NoStudy, GitError, RecordTooNew, OSError, sqlite3.Error) as error:
        sys.exit(str(error))
