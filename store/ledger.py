"""Where the time and the tokens went: lanes, the spans that tile them, and what was spent in each.

A lane is a slot, or the model. Its spans follow one another from the study's start without a gap or an overlap, for
each begins where the lane has been booked to. The journal calls this within the transaction of the event that ends a
span, so the totals are those of the record at any moment.
"""

from collections.abc import Mapping

from store.database import Change, Database
from store.records import Run, Stage

# What came of a span. A run that failed or was broken off is its own outcome, whatever became of its experiment; so is
# a call that failed, or came to no proposal (or not yet), or to one that was refused.
OUTCOME = """
    CASE
        WHEN calls.outcome <> 'ok' THEN 'call failed: ' || calls.outcome
        WHEN spans.call IS NOT NULL AND proposals.id IS NULL THEN 'no proposal'
        WHEN proposals.refusal IS NOT NULL THEN 'refused: ' || proposals.refusal
        WHEN experiments.number IS NULL THEN spans.kind
        WHEN spans.call IS NOT NULL AND experiments.failure IS NOT NULL THEN 'failed: ' || experiments.failure
        WHEN spans.call IS NOT NULL AND experiments.state IN ('queued', 'running') THEN 'running'
        WHEN spans.run IS NOT NULL AND runs.outcome IS NULL THEN 'running'
        WHEN runs.outcome = 'interrupted' THEN 'interrupted'
        WHEN runs.outcome <> 'ok' THEN 'failed: ' || runs.outcome
        WHEN experiments.number = 0 THEN 'baseline'
        WHEN experiments.state IN ('merged', 'rejected') THEN experiments.state
        WHEN frontier.experiment IS NOT NULL THEN 'frontier'
        ELSE coalesce(
            (SELECT word FROM verdicts WHERE verdicts.experiment = experiments.number ORDER BY id DESC LIMIT 1),
            'measured'
        )
    END
"""
TOTAL = "total"
MODEL_LANE = "model"  # on which it thinks


async def engine_begins(change: Change, now: float) -> None:
    """What has passed on the free lanes since the last engine ended, or was last heard of, was lost: down."""
    rows = await change.rows("SELECT max(ended_at) FROM engines")
    for lane in await _free_lanes(change):
        if rows[0][0] is not None:
            await _book_free(change, lane, rows[0][0])
        await _book(change, lane, now, "down")
    await total(change)


async def free_until(change: Change, now: float) -> None:
    """The free lanes have been idle, or paused, until now: the engine ends, pauses or goes on."""
    calls = await change.rows("SELECT min(at) FROM calls WHERE outcome IS NULL")
    for lane in await _free_lanes(change):
        began = calls[0][0] if lane == MODEL_LANE else None
        await _book_free(change, lane, now if began is None else min(began, now))
    await total(change)


async def run_begins(change: Change, lane: str, now: float) -> None:
    """A lane has been free until now."""
    await _book_free(change, lane, now)
    await total(change)


async def stage_ends(change: Change, run: Run, stage: Stage, now: float) -> None:
    """A stage has used its lane for as long as it says, though not beyond now; what lies before it is overhead."""
    ended_at = min(stage.started_at + stage.wall_seconds, now)
    await _book(change, run.slot, min(stage.started_at, now), "overhead", run.id)
    spend = {} if stage.cpu_seconds is None else {"cpu_seconds": stage.cpu_seconds}
    await _book(change, run.slot, ended_at, stage.name, run.id, spend)
    await total(change)


async def run_ends(change: Change, run: Run, now: float) -> None:
    """A run is over. Where it was over before this engine began, the time until then was lost: down."""
    engines = await change.rows("SELECT started_at FROM engines ORDER BY id DESC LIMIT 1")
    born = engines[0][0] if engines else run.started_at
    if born > run.started_at:
        rows = await change.rows(
            """
            SELECT coalesce((SELECT max(started_at + wall_seconds) FROM stages WHERE run = ?),
                            (SELECT max(ended_at) FROM engines), ?)
            """,
            run.id,
            now,
        )
        if (over := float(rows[0][0])) < born:
            await _book(change, run.slot, over, "overhead", run.id)
            await _book(change, run.slot, born, "down")
            return
    await _book(change, run.slot, now, "overhead", run.id)


async def call_ends(change: Change, call: int, at: float, now: float, tokens: int = 0) -> None:
    """The model has thought from then until now, and read and written so many tokens."""
    await _book_free(change, MODEL_LANE, min(at, now))
    await _book(change, MODEL_LANE, now, "call", call=call, spend={"tokens": float(tokens)} if tokens else {})
    await total(change)


async def paused_since(record: Change | Database) -> float | None:
    """Since when the last engine has been paused: its last pause, if it has not gone on, or been stopped, since."""
    rows = await record.rows(
        """
        SELECT verb, answered_at FROM commands
        WHERE verb IN ('pause', 'resume', 'stop') AND done = 1
          AND answered_at >= (SELECT started_at FROM engines ORDER BY id DESC LIMIT 1)
        ORDER BY id DESC LIMIT 1
        """
    )
    return float(rows[0]["answered_at"]) if rows and rows[0]["verb"] == "pause" else None


async def _free_lanes(change: Change) -> list[str]:
    rows = await change.rows("SELECT name FROM lanes WHERE name NOT IN (SELECT slot FROM runs WHERE outcome IS NULL)")
    return [row["name"] for row in rows]


async def _book_free(change: Change, lane: str, until: float) -> None:
    """The lane has been free until then: idle, and from the moment of a pause on paused."""
    since = await paused_since(change)
    if since is not None:
        await _book(change, lane, min(since, until), "idle")
    await _book(change, lane, until, "idle" if since is None else "paused")


async def _book(
    change: Change,
    lane: str,
    until: float,
    kind: str,
    run: int | None = None,
    spend: Mapping[str, float] | None = None,
    call: int | None = None,
) -> None:
    """The lane's time up to `until` was this. A clock that was set back books nothing twice, and takes nothing away."""
    rows = await change.rows("SELECT since FROM lanes WHERE name = ?", lane)
    if not rows:
        began = await change.rows("SELECT began_at FROM study")
        since = min(began[0][0], until) if began else until
        await change.insert("lanes", name=lane, since=since)
    else:
        since = rows[0][0]
    until = max(until, since)
    if until == since and not spend:
        return
    span = await change.insert("spans", lane=lane, kind=kind, run=run, call=call, began_at=since, ended_at=until)
    seconds = "model_seconds" if lane == MODEL_LANE else "seconds"
    for resource, amount in {seconds: until - since, **(spend or {})}.items():
        await change.insert("spend", span=span, resource=resource, amount=amount)
    await change.execute("UPDATE lanes SET since = ? WHERE name = ?", until, lane)


async def total(change: Change) -> None:
    """Bring the totals up to date: something was booked, or a run's outcome or the frontier has changed."""
    await change.execute("DELETE FROM totals")
    await change.execute(
        f"""
        INSERT INTO totals
        SELECT {OUTCOME}, resource, sum(amount) FROM spend
        JOIN spans ON spans.id = spend.span LEFT JOIN runs ON runs.id = spans.run
        LEFT JOIN calls ON calls.id = spans.call LEFT JOIN proposals ON proposals.id = calls.proposal
        LEFT JOIN experiments ON experiments.number = coalesce(runs.experiment, proposals.experiment)
        LEFT JOIN frontier ON frontier.experiment = experiments.number
        GROUP BY 1, 2
        """
    )
    await change.execute("INSERT INTO totals SELECT ?, resource, sum(amount) FROM spend GROUP BY resource", TOTAL)
