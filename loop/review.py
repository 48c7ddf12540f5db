"""How much there is to read of what is offered: the lines that its diff changes, counted once, by git."""

from contextlib import suppress

from loop.branches import Branches, GitError
from store import review, views
from store.database import Database


async def count_lines(branches: Branches, database: Database) -> None:
    """Count the lines of the offers whose lines nobody has counted, as `cockpit diff` shows them.

    Where git cannot, they stay unknown, and are tried again.
    """
    for number in await review.unread(database):
        one = await views.experiment(database, number)
        parent = None if one is None or one.parent is None else await views.experiment(database, one.parent)
        if one is not None and parent is not None:
            with suppress(GitError):
                await review.counted(database, number, await branches.changed_lines(parent.commit, one.commit))
