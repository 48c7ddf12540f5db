"""The conditions and columns that several queries are made of."""

from store.records import SEED, UP

DECISION = """
    decisions.verb, decisions.experiment, reason, verdict, trunk_before, trunk_after, undoes, decisions.id,
    (SELECT json_group_array(taken.experiment) FROM taken WHERE taken.decision = decisions.id) AS taken
"""
STANDING = "NOT EXISTS (SELECT 1 FROM decisions AS later WHERE later.undoes = decisions.id)"
# The commands by which an experiment is run no more: not those that only withdraw a run that was asked for again.
ENDS = "verb = 'end' AND done AND json_extract(intent, '$.withdraws') IS NULL"
UP_WORDS = str(tuple(word.value for word in UP))
SEEDED = f"SELECT experiment FROM proposals WHERE operator = '{SEED}'"  # no gain, and offered all the same
# The experiments that something has happened to since, and those of the same tree, which share its measurements.
NAMED = """(
    SELECT number FROM experiments WHERE tree IN (
        SELECT tree FROM experiments WHERE number IN (SELECT experiment FROM events WHERE seq > ?)
    )
)"""
BENCH = "(SELECT json_extract(facts, '$.bench') FROM engines ORDER BY id DESC LIMIT 1)"  # of the last engine
LAST_REVISION = """
    SELECT revisions.digest, revisions.text, events.at, events.text AS said FROM events
    JOIN revisions ON digest = json_extract(data, '$.digest') WHERE kind = 'revised' ORDER BY seq DESC LIMIT 1
"""


def those(before: int | None, since: int | None) -> str:
    """The condition of runs before one, and of experiments that have been named since an event."""
    runs = "1" if before is None else "runs.id < ?"
    return runs if since is None else f"{runs} AND runs.experiment IN {NAMED}"


def given(value: int | None) -> tuple[int, ...]:
    """What is given for such a condition."""
    return () if value is None else (value,)
