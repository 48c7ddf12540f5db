"""What a redo brings back: what was undone last, so long as nothing else was decided since, as an editor does.

It follows from the decisions in their order, and from what was asked for each.
"""

from store.database import Database
from store.records import Decision
from store.views import DECISION, decision


async def undone(database: Database) -> tuple[Decision | None, Decision | None]:
    """The decision that a redo brings back; and where there is none for that, what was decided since the undo."""
    rows = await database.rows(
        f"SELECT {DECISION}, commands.verb AS asked FROM decisions JOIN commands ON commands.id = command "
        "ORDER BY decisions.id"
    )
    known, waiting, since = dict[int, Decision](), list[Decision](), None
    for row in rows:
        one = known[row["id"]] = decision(row)
        if one.undoes is not None:
            waiting, since = [*waiting, known[one.undoes]], None
        elif row["asked"] == "redo":
            waiting.pop()
        elif waiting:
            waiting, since = [], one
    return (waiting[-1] if waiting else None), since
