"""Where the time and the tokens went: lanes, the spans that tile them, and what was spent in each.

A lane is a slot, or the model. Its spans follow one another from the study's start without a gap or an overlap, for
each begins where the lane has been booked to. The journal calls this within the transaction of the event that ends a
span, so the totals are those of the record at any moment.

Each span is booked to what came of it (the view `outcomes`, in schema.sql). An event looks at the spans of the
experiments and calls that it is about, and moves in the totals those of which something else has come: so it costs the
same in a study of ten thousand experiments as in one of a hundred.
"""

import json
from collections.abc import Iterable, Mapping

from store.database import Change, Database
from store.records import Idle, Run, Stage

TOTAL = "total"
MODEL_LANE = "model"  # on which it thinks


async def engine_begins(change: Change, now: float) -> None:
    """What has passed on the free lanes since the last engine ended, or was last heard of, was lost: down."""
    rows = await change.rows("SELECT max(ended_at) FROM engines")
    for lane in await _free_lanes(change):
        if rows[0][0] is not None:
            await _book_free(change, lane, rows[0][0])
        await _book(change, lane, now, "down")
    await _slots_wait(change, Idle.STARTING)


async def engine_ends(change: Change, since: float, now: float) -> None:
    """It has been about to end since then."""
    await free_until(change, min(since, now))
    await _slots_wait(change, Idle.ENDING)
    await free_until(change, now)


async def free_until(change: Change, now: float) -> None:
    """The free lanes have been idle, or paused, until now: the engine ends, pauses or goes on."""
    calls = await change.rows("SELECT min(at) FROM calls WHERE outcome IS NULL")
    for lane in await _free_lanes(change):
        began = calls[0][0] if lane == MODEL_LANE else None
        await _book_free(change, lane, now if began is None else min(began, now))


async def waits(change: Change, lane: str, why: Idle, now: float) -> None:
    """From now on a free lane waits for something else. A busy one does not wait."""
    if not await change.rows("SELECT 1 FROM runs WHERE slot = ? AND outcome IS NULL", lane):
        await _book_free(change, lane, now)
        await change.execute("UPDATE lanes SET waits = ? WHERE name = ?", why, lane)


async def run_begins(change: Change, lane: str, now: float) -> None:
    """A lane has been free until now."""
    await _book_free(change, lane, now)


async def stage_ends(change: Change, run: Run, stage: Stage, now: float) -> None:
    """A stage has used its lane for as long as it says, though not beyond now; what lies before it is overhead."""
    ended_at = min(stage.started_at + stage.wall_seconds, now)
    await _book(change, run.slot, min(stage.started_at, now), "overhead", run.id)
    used = {"cpu_seconds": stage.cpu_seconds, "joules": stage.energy_joules}
    spend = {resource: amount for resource, amount in used.items() if amount is not None}
    await _book(change, run.slot, ended_at, stage.name, run.id, spend)


async def run_ends(change: Change, run: Run, now: float) -> None:
    """A run is over. Where it was over before this engine began, the time until then was lost: down."""
    engines = await change.rows("SELECT started_at FROM engines ORDER BY id DESC LIMIT 1")
    born = engines[0][0] if engines else run.started_at
    over = now
    if born > run.started_at:
        rows = await change.rows(
            """
            SELECT coalesce((SELECT max(started_at + wall_seconds) FROM stages WHERE run = ?),
                            (SELECT max(ended_at) FROM engines), ?)
            """,
            run.id,
            now,
        )
        over = float(rows[0][0])
    if over < born:
        await _book(change, run.slot, over, "overhead", run.id)
        await _book(change, run.slot, born, "down")
    else:
        await _book(change, run.slot, now, "overhead", run.id)
    await change.execute("UPDATE lanes SET waits = ? WHERE name = ?", Idle.ENGINE, run.slot)


async def call_ends(
    change: Change, call: int, at: float, now: float, tokens: int = 0, held_seconds: float = 0.0
) -> None:
    """The model has thought from then until now, and read and written so many tokens.

    How long it was held for a timed stage is known, though not when: that stands before the call.
    """
    at = min(at, now)
    await _book_free(change, MODEL_LANE, at)
    if held_seconds > 0:
        await _book(change, MODEL_LANE, min(at + held_seconds, now), Idle.HELD)
    await _book(change, MODEL_LANE, now, "call", call=call, spend={"tokens": float(tokens)} if tokens else {})
    await rebook(change, calls=[call])


async def paused_since(record: Change | Database) -> float | None:
    """Since when the last engine has been paused: its last pause, if it has not gone on, or been stopped, since."""
    rows = await record.rows(
        """
        SELECT verb, answered_at FROM commands
        WHERE verb IN ('pause', 'yield', 'resume', 'stop') AND done = 1
          AND answered_at >= (SELECT started_at FROM engines ORDER BY id DESC LIMIT 1)
        ORDER BY id DESC LIMIT 1
        """
    )
    return float(rows[0]["answered_at"]) if rows and rows[0]["verb"] in ("pause", "yield") else None


async def _free_lanes(change: Change) -> list[str]:
    rows = await change.rows("SELECT name FROM lanes WHERE name NOT IN (SELECT slot FROM runs WHERE outcome IS NULL)")
    return [row["name"] for row in rows]


async def _slots_wait(change: Change, why: Idle) -> None:
    await change.execute("UPDATE lanes SET waits = ? WHERE name <> ?", why, MODEL_LANE)


async def _book_free(change: Change, lane: str, until: float) -> None:
    """The lane has been free until then: it waited for something, and from the moment of a pause on it was paused."""
    since = await paused_since(change)
    if since is not None:
        await _book(change, lane, min(since, until))
    await _book(change, lane, until, None if since is None else "paused")


async def _book(
    change: Change,
    lane: str,
    until: float,
    kind: str | None = None,
    run: int | None = None,
    spend: Mapping[str, float] | None = None,
    call: int | None = None,
) -> None:
    """The lane's time up to `until` was this; without a kind, what it waits for while it is free.

    A clock that was set back books nothing twice, and takes nothing away.
    """
    spend = dict(spend or {})
    rows = await change.rows("SELECT since, waits FROM lanes WHERE name = ?", lane)
    if not rows:
        began = await change.rows("SELECT began_at FROM study")
        since = min(began[0][0], until) if began else until
        waits = Idle.NOT_ITS_TURN if lane == MODEL_LANE else Idle.STARTING
        await change.insert("lanes", name=lane, since=since, waits=waits)
    else:
        since, waits = rows[0]
    until = max(until, since)
    if until == since and not spend:
        return
    span = await change.insert(
        "spans", lane=lane, kind=kind or waits, run=run, call=call, began_at=since, ended_at=until
    )
    seconds = "model_seconds" if lane == MODEL_LANE else "seconds"
    if run is not None:
        holds = (await change.rows("SELECT devices FROM runs WHERE id = ?", run))[0]["devices"]
        spend |= {"device_seconds": holds * (until - since)} if holds else {}
        used = max(1, holds) * (until - since)
        await change.execute("UPDATE lanes SET used = used + ? WHERE name = ?", used, lane)
    for resource, amount in {seconds: until - since, **spend}.items():
        await change.insert("spend", span=span, resource=resource, amount=amount)
    await change.execute("UPDATE lanes SET since = ? WHERE name = ?", until, lane)
    await _move(change, [span])


async def rebook(change: Change, experiments: Iterable[int] = (), calls: Iterable[int] = ()) -> None:
    """What came of these experiments' runs and calls, or of these calls, may be something else now."""
    rows = await change.rows(
        """
        SELECT spans.id FROM json_each(?1) CROSS JOIN runs ON runs.experiment = value
        JOIN spans ON spans.run = runs.id
        UNION
        SELECT spans.id FROM json_each(?1) CROSS JOIN proposals ON proposals.experiment = value
        JOIN calls ON calls.proposal = proposals.id JOIN spans ON spans.call = calls.id
        UNION
        SELECT spans.id FROM json_each(?2) CROSS JOIN spans ON spans.call = value
        """,
        json.dumps(list(experiments)),
        json.dumps(list(calls)),
    )
    await _move(change, [row["id"] for row in rows])


async def _move(change: Change, spans: list[int]) -> None:
    """Those of these spans of which something else has come are booked to that. A new one is booked nowhere yet."""
    rows = await change.rows(
        """
        SELECT spans.id, outcomes.outcome FROM json_each(?) CROSS JOIN spans ON spans.id = value
        JOIN outcomes ON outcomes.span = spans.id WHERE spans.outcome <> outcomes.outcome
        """,
        json.dumps(spans),
    )
    if not rows:
        return
    moved = json.dumps([tuple(row) for row in rows])
    await change.execute(
        """
        WITH moved AS (
            SELECT spans.outcome AS before, json_extract(value, '$[1]') AS after, resource, amount
            FROM json_each(?1) CROSS JOIN spans ON spans.id = json_extract(value, '$[0]')
            JOIN spend ON spend.span = spans.id
        )
        INSERT INTO totals (outcome, resource, amount, spans)
        SELECT outcome, resource, sum(amount), sum(number) FROM (
            SELECT before AS outcome, resource, -amount AS amount, -1 AS number FROM moved WHERE before <> ''
            UNION ALL SELECT after, resource, amount, 1 FROM moved
            UNION ALL SELECT ?2, resource, amount, 1 FROM moved WHERE before = ''
        )
        WHERE true GROUP BY outcome, resource
        ON CONFLICT (outcome, resource) DO UPDATE
        SET amount = amount + excluded.amount, spans = spans + excluded.spans
        """,
        moved,
        TOTAL,
    )
    await change.execute(
        """
        UPDATE spans SET outcome = json_extract(value, '$[1]')
        FROM json_each(?) WHERE spans.id = json_extract(value, '$[0]')
        """,
        moved,
    )
    await change.execute("DELETE FROM totals WHERE spans = 0")


async def used(change: Change) -> dict[str, float]:
    """The seconds of devices that runs have held, of the slot where there is none; and the tokens."""
    rows = await change.rows("SELECT 'seconds', sum(used) FROM lanes UNION ALL SELECT resource, amount FROM totals "
                             "WHERE (outcome, resource) = ('total', 'tokens')")  # fmt: skip
    return {resource: float(amount or 0.0) for resource, amount in rows}


async def total(change: Change) -> None:
    """Book every span anew, and sum up. Where there is no telling what has changed; it takes as long as a study is."""
    await change.execute("UPDATE spans SET outcome = (SELECT outcomes.outcome FROM outcomes WHERE span = spans.id)")
    await change.execute("DELETE FROM totals")
    await change.execute(
        """
        INSERT INTO totals SELECT outcome, resource, sum(amount), count(*)
        FROM spend JOIN spans ON id = span GROUP BY 1, 2
        """
    )
    await change.execute(
        "INSERT INTO totals SELECT ?, resource, sum(amount), count(*) FROM spend GROUP BY resource", TOTAL
    )
