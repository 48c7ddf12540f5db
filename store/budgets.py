"""What a study may spend: a row a budget, with what is spent of it, what is reserved, and when it will be used up.

The rows are brought up to date with every line of the journal, in its transaction, so faces read them and compute
nothing. What is reserved follows from what is unfinished: nothing has to be given back after a crash.
"""

from collections.abc import Mapping

from store.database import Change, Database
from store.records import FULL, Limit

LATELY = 5  # runs or calls tell what the next one will take
HOUR = 3600.0
ENGINE_SECONDS = "SELECT coalesce(sum(coalesce(ended_at, ?1) - started_at), 0) FROM engines"
SPENT = {  # in all, at the moment ?1
    "experiments": "SELECT coalesce(max(number) + 1, 0) FROM experiments",
    "runs": "SELECT coalesce(max(id), 0) - (SELECT count(*) FROM runs WHERE outcome IS NULL) FROM runs",
    "tokens": "SELECT coalesce(sum(amount), 0) FROM totals WHERE (outcome, resource) = ('total', 'tokens')",
    "joules": "SELECT coalesce(sum(amount), 0) FROM totals WHERE (outcome, resource) = ('total', 'joules')",
    "time": ENGINE_SECONDS,
    "money": f"SELECT coalesce(sum(used), 0) / {HOUR} FROM lanes",  # times the price
    "device_hours": f"""
        SELECT coalesce(sum(amount), 0) / {HOUR} FROM totals WHERE (outcome, resource) = ('total', 'device_seconds')
    """,
}


async def set_(
    change: Change,
    budgets: Mapping[str, float],
    before: Mapping[str, float],
    prices: Mapping[str, float],
    now: float,
) -> None:
    """From now on these are the budgets; what was spent `before` of one does not count."""
    await change.execute("DELETE FROM limits")
    for budget, most in budgets.items():
        not_counted = before.get(budget, 0.0)
        await change.insert(
            "limits", budget=budget, most=most, before=not_counted, price=prices.get(budget, 1.0), at=now, spent=0.0,
            reserved=0.0,
        )  # fmt: skip


async def update(change: Change, now: float) -> None:
    """Something has happened: what is spent now, what is reserved, and when it will be used up."""
    rows = await change.rows("SELECT budget, most, before, price FROM limits")
    if not rows:
        return
    hours = (await change.rows(ENGINE_SECONDS, now))[0][0] / HOUR
    lives = await change.rows("SELECT 1 FROM engines WHERE ended_at IS NULL")
    for row in rows:
        sql = SPENT[row["budget"]]
        spent = float((await change.rows(sql, *[now] * ("?1" in sql)))[0][0]) * row["price"]
        rate = spent / hours if spent > 0 and hours > 0 else None
        left = max(0.0, row["most"] - (spent - row["before"]))
        await change.execute(
            "UPDATE limits SET at = ?, spent = ?, reserved = ?, rate = ?, ends_at = ? WHERE budget = ?",
            now, spent - row["before"], await _reserved(change, row["budget"]) * row["price"], rate,
            now + left / rate * HOUR if rate and lives else None, row["budget"],
        )  # fmt: skip


async def _reserved(change: Change, budget: str) -> float:
    """What the unfinished is expected to take yet. Of time nothing: it all passes side by side."""
    reserved = 0.0
    if budget == "runs":
        reserved = (await change.rows("SELECT count(*) FROM runs WHERE outcome IS NULL"))[0][0]
    elif budget == "tokens":
        for call in await change.rows("SELECT purpose FROM calls WHERE outcome IS NULL"):
            reserved += await call_tokens(change, call["purpose"]) or 0.0
    elif budget in ("device_hours", "money"):
        for run in await change.rows(
            """
            SELECT purpose, fidelity, devices,
                   coalesce((SELECT sum(ended_at - began_at) FROM spans WHERE run = runs.id), 0) AS had
            FROM runs WHERE outcome IS NULL
            """
        ):
            holds = max(1, run["devices"]) if budget == "money" else run["devices"]
            expected = await run_seconds(change, run["purpose"], run["fidelity"]) or 0.0
            reserved += max(0.0, expected - run["had"]) * holds / HOUR
    elif budget == "joules":
        for run in await change.rows(
            """
            SELECT purpose, fidelity, (SELECT coalesce(sum(energy_joules), 0) FROM stages WHERE run = runs.id) AS had
            FROM runs WHERE outcome IS NULL
            """
        ):
            expected = await run_joules(change, run["purpose"], run["fidelity"]) or 0.0
            reserved += max(0.0, expected - run["had"])
    return float(reserved)


async def read(record: Change | Database) -> list[Limit]:
    """The budgets as the last event has left them."""
    rows = await record.rows(
        "SELECT budget, most, at, spent, reserved, rate, ends_at, price FROM limits ORDER BY rowid"
    )
    return [Limit(*row) for row in rows]


async def engine_seconds(record: Change | Database, now: float) -> float:
    """How long the engines of the study have lived, all together, until now."""
    return float((await record.rows(ENGINE_SECONDS, now))[0][0])


# --- what the next one is expected to take ---------------------------------------------------------------------------


async def run_seconds(record: Change | Database, purpose: str, fidelity: str = FULL) -> float | None:
    """Of a slot, by a run: the mean of the last good ones for that purpose at that fidelity, or for any. None before.

    Where there was none at that fidelity yet, of those that there were: a full one takes no less than a quick one.

    Of the bench that the last engine set up: on another one a run may take as long as it likes.
    """
    taken = "SELECT sum(ended_at - began_at) FROM spans WHERE run = runs.id"
    return await _run_mean(record, purpose, fidelity, taken)


async def run_joules(record: Change | Database, purpose: str, fidelity: str = FULL) -> float | None:
    """Of energy, by a run: so too. None before it was measured of one."""
    taken = "SELECT sum(energy_joules) FROM stages WHERE run = runs.id"
    return await _run_mean(record, purpose, fidelity, taken)


async def _run_mean(record: Change | Database, purpose: str, fidelity: str, taken: str) -> float | None:
    """Of what the last good runs have taken; those of which it is not known left out."""
    lately = f"""
        SELECT avg(amount) FROM (
            SELECT ({taken}) AS amount
            FROM runs WHERE outcome = 'ok' AND {{}}
            AND bench = (SELECT json_extract(facts, '$.bench') FROM engines ORDER BY id DESC LIMIT 1)
            ORDER BY id DESC LIMIT ?
        )
    """
    for of in (("(purpose, fidelity) = (?, ?)", purpose, fidelity), ("fidelity = ?", fidelity), ("true",)):
        rows = await record.rows(lately.format(of[0]), *of[1:], LATELY)
        if rows[0][0] is not None:
            return float(rows[0][0])
    return None


async def call_tokens(record: Change | Database, purpose: str) -> float | None:
    """By a call to a model: the mean of the last ones for that purpose that were answered. None before there is one."""
    rows = await record.rows(
        """
        SELECT avg(tokens) FROM (
            SELECT coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0) AS tokens
            FROM calls WHERE outcome = 'ok' AND purpose = ? ORDER BY id DESC LIMIT ?
        )
        """,
        purpose,
        LATELY,
    )
    return None if rows[0][0] is None else float(rows[0][0])


async def thought_tokens(record: Change | Database) -> float | None:
    """By a thought, of several calls. None before a model has been asked."""
    rows = await record.rows(
        """
        SELECT 1.0 * sum(tokens) / sum(purpose = 'reason') FROM (
            SELECT purpose, coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0) AS tokens
            FROM calls WHERE outcome = 'ok' ORDER BY id DESC LIMIT ?
        )
        """,
        4 * LATELY,
    )
    return None if rows[0][0] is None else float(rows[0][0])
