"""What is asked of the user: how many offers a day, and how many changed lines there are to read.

An offer is a row from the verdict on that makes it one; one that an undo makes, from when its lines are counted. The
engine counts them, for a face runs no git.
"""

import time

from msgspec import Struct

from store import budgets, events
from store.database import Change, Database
from store.events import say
from store.records import Verdict, Word, name_of
from store.views import BENCH, UP_WORDS
from store.views.parts import SEEDED

DAY = 86_400.0
UNDECIDED = f"""
    SELECT number, offers.lines FROM verdicts JOIN experiments ON number = verdicts.experiment
    LEFT JOIN offers ON offers.experiment = number
    WHERE (
            (evidence = 'confirmed' AND word IN {UP_WORDS})
            OR (word IN ('equal', 'inconclusive') AND number IN ({SEEDED}))
        ) AND bench = {BENCH} AND state = 'judged' AND id = (
        SELECT max(id) FROM verdicts AS newer
        WHERE (newer.experiment, newer.bench) = (verdicts.experiment, verdicts.bench)
    )
"""


class Review(Struct, frozen=True):
    """What the user is asked for."""

    offered: int  # experiments, whatever was decided of them since
    seconds: float  # that the engines have lived
    undecided: int
    lines: int  # to read, of those undecided whose lines are counted
    unread: int  # those whose lines nobody has counted

    @property
    def per_day(self) -> float | None:
        """Offers in 24 hours of an engine's life; None before it has lived."""
        return self.offered / self.seconds * DAY if self.seconds > 0 else None


async def read(database: Database) -> Review:
    """As it stands now."""
    lines = [row["lines"] for row in await database.rows(UNDECIDED)]
    return Review(
        int((await database.rows("SELECT count(*) FROM offers"))[0][0]),
        await budgets.engine_seconds(database, await events.newest(database)),
        len(lines),
        sum(filter(None, lines)),
        lines.count(None),
    )


# --- for the engine --------------------------------------------------------------------------------------------------


async def offered(change: Change, verdict: Verdict) -> None:
    """A verdict makes an offer of its experiment, unless that is decided already; the first time counts."""
    await change.execute(
        "INSERT OR IGNORE INTO offers SELECT number, ?, NULL FROM experiments "
        f"WHERE number = ? AND state NOT IN ('merged', 'rejected') AND (? OR (? AND number IN ({SEEDED})))",
        verdict.at,
        verdict.experiment,
        int(verdict.confirmed),
        int(verdict.word in (Word.EQUAL, Word.INCONCLUSIVE)),
    )


async def unread(database: Database) -> list[int]:
    """The undecided offers whose lines nobody has counted."""
    return [row["number"] for row in await database.rows(f"{UNDECIDED} AND offers.lines IS NULL")]


async def counted(database: Database, experiment: int, lines: int) -> None:
    """The diff of an offer changes so many lines."""
    async with database.transaction() as change:
        await change.execute(
            "INSERT INTO offers VALUES (?, ?, ?) ON CONFLICT (experiment) DO UPDATE SET lines = excluded.lines",
            experiment, time.time(), lines,
        )  # fmt: skip
        many = "1 changed line" if lines == 1 else f"{lines} changed lines"
        text = f"{name_of(experiment)} offered: {many} to read"
        await say(change, "offered", text, experiment=experiment, id=name_of(experiment), changed_lines=lines)
