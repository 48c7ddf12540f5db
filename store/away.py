"""What has happened since a moment: what an engineer who has been away wants to know first."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from store import views
from store.database import Database
from store.records import CallOutcome
from store.views import BENCH, UP_WORDS

SEEN = "seen"  # in the study's folder: when somebody was at a screen's keys, or read a `status`, last
AWAY_SECONDS = 3600.0  # after which what has happened is the first thing shown, by the screen and by `status`


def seen(folder: Path, *, now: bool = False) -> float | None:
    """When somebody looked at a study last, where anybody did; and that somebody looks `now`.

    Raises OSError, as where the disk is full or the folder may not be written.
    """
    mark = folder / SEEN
    last = mark.stat().st_mtime if mark.exists() else None
    if now:
        mark.touch()
    return last


class Happened(Struct, frozen=True):
    """What has happened since a moment. Experiments are those that ran since, the baseline not counted."""

    since: float
    ran: int
    measured: int
    failed: int
    confirmed: int
    proposed: int
    refusals: Mapping[str, int]  # by reason, the most frequent first
    failures: Mapping[str, int]
    runs: int
    interrupted: int  # of these
    calls: int
    calls_failed: Mapping[str, int]
    newest_failed: Mapping[str, int]  # the newest experiment of each kind of failure
    why_refused: Mapping[str, str]  # the most frequent words of each kind of refusal
    cut: Mapping[str, int]  # of each kind of refusal, those whose prompt was cut to fit
    prompts: int  # asked of a model
    cut_prompts: int
    hypervolume: float  # at that moment
    spent: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by outcome and resource


ENDED = """
    SELECT count(DISTINCT experiment) AS ran, count(DISTINCT iif(outcome = 'ok', experiment, NULL)) AS measured
    FROM runs WHERE ended_at >= ? AND outcome <> 'interrupted' AND experiment > 0
    AND purpose NOT IN ('challenge', 'rerun')
"""
FAILURES = """
    SELECT outcome, count(DISTINCT experiment) AS number, max(experiment) AS newest FROM runs
    WHERE ended_at >= ? AND outcome NOT IN ('ok', 'interrupted', 'stopped early')
    AND experiment > 0 AND purpose NOT IN ('challenge', 'rerun')
    GROUP BY 1 ORDER BY 2 DESC, 1
"""
CONFIRMED = f"""
    SELECT count(DISTINCT experiment) FROM verdicts AS one
    WHERE at >= ?1 AND evidence = 'confirmed' AND word IN {UP_WORDS} AND bench = {BENCH} AND experiment > 0
    AND NOT EXISTS (
        SELECT 1 FROM verdicts WHERE experiment = one.experiment AND bench = one.bench AND at < ?1
        AND evidence = 'confirmed'
    )
"""
REFUSALS = """
    SELECT refusal, count(*) AS number FROM proposals WHERE at >= ? AND refusal IS NOT NULL
    GROUP BY 1 ORDER BY 2 DESC, 1
"""
WORDS = """
    SELECT refusal, reason, count(*) AS number FROM proposals WHERE at >= ? AND refusal IS NOT NULL
    GROUP BY 1, 2 ORDER BY 3
"""
CALLS = """
    SELECT outcome, count(*) AS number FROM calls
    WHERE ended_at >= ? AND outcome NOT IN ('broken off', 'interrupted') GROUP BY 1 ORDER BY 2 DESC, 1
"""
PROMPTS = """
    SELECT refusal, count(*) AS number, sum(
        EXISTS (SELECT 1 FROM json_each(prompt, '$.sections') WHERE json_extract(value, '$.cut') IS NOT NULL)
    ) AS cut FROM calls LEFT JOIN proposals ON proposals.id = calls.proposal
    WHERE calls.at >= ? AND purpose = 'reason' GROUP BY 1
"""
RUNS = (
    "SELECT count(*) AS number, coalesce(sum(outcome = 'interrupted'), 0) AS interrupted FROM runs WHERE ended_at >= ?"
)
# A span that had begun before is in it by as much of it as came after.
SPENT = """
    SELECT outcome, resource, sum(
        amount * CASE WHEN began_at >= ?1 THEN 1.0 ELSE (ended_at - ?1) / (ended_at - began_at) END
    ) AS amount FROM spans JOIN spend ON span = spans.id WHERE ended_at > ?1 GROUP BY 1, 2 ORDER BY 3 DESC
"""


async def happened(database: Database, since: float) -> Happened:
    """What has happened since a moment, of one state of the record."""
    async with database.reading():
        (ended,) = await database.rows(ENDED, since)
        failures = await database.rows(FAILURES, since)
        spent: dict[str, dict[str, float]] = {}
        for row in await database.rows(SPENT, since):
            spent.setdefault(row["outcome"], {})[row["resource"]] = row["amount"]
        prompts = await database.rows(PROMPTS, since)
        called = {row["outcome"]: row["number"] for row in await database.rows(CALLS, since)}
        (runs,) = await database.rows(RUNS, since)
        bench = await views.drawn_on(database)
        return Happened(
            since=since,
            ran=ended["ran"],
            measured=ended["measured"],
            failed=sum(row["number"] for row in failures),
            confirmed=(await database.rows(CONFIRMED, since))[0][0],
            proposed=(await database.rows("SELECT count(*) FROM proposals WHERE at >= ?", since))[0][0],
            refusals={row["refusal"]: row["number"] for row in await database.rows(REFUSALS, since)},
            failures={row["outcome"]: row["number"] for row in failures},
            runs=runs["number"],
            interrupted=runs["interrupted"],
            calls=sum(called.values()),
            calls_failed={outcome: number for outcome, number in called.items() if outcome != CallOutcome.OK},
            newest_failed={row["outcome"]: row["newest"] for row in failures},
            why_refused={row["refusal"]: row["reason"] for row in await database.rows(WORDS, since)},
            cut={row["refusal"]: row["cut"] for row in prompts if row["refusal"] and row["cut"]},
            prompts=sum(row["number"] for row in prompts),
            cut_prompts=sum(row["cut"] for row in prompts),
            hypervolume=await views.hypervolume(database, bench, since) if bench else 1.0,
            spent=spent,
        )
