"""What a merge would come to, before it is asked for: the same checks, and nothing is recorded.

Git may keep objects of it, to which no reference leads.
"""

import sqlite3
from collections.abc import Sequence

from loop.branches import Branches, GitError
from loop.propose.admit import Refused
from loop.propose.prepare import prepared
from loop.propose.together import joined
from loop.study import ConfigError
from store.database import Database, RecordTooNew, RecordTooOld
from store.place import Place
from store.trail import NOWHERE, Trail


async def conflicts(place: Place, numbers: Sequence[int], trail: Trail = NOWHERE) -> str:
    """Why these cannot be taken onto trunk together; nothing where they can."""
    try:
        branches = await Branches.of(place, trail)
        async with await Database.open(place.folder, migrate=False) as database:
            await joined(await prepared(place, branches, database), numbers)
    except (Refused, ConfigError, GitError, RecordTooNew, RecordTooOld, OSError, sqlite3.Error) as why:
        return str(why)
    return ""
