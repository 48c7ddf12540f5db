"""What was spent, on what, and on which experiment."""

from store.database import Database
from store.ledger import TOTAL
from store.records import SEED, Ledger, Refusal
from store.views.parts import NAMED, given

SPENT_ON = {  # names of what a run or a call is booked to
    "stage": "CASE WHEN spans.run IS NOT NULL THEN spans.kind END",
    "proposer": "coalesce(proposals.proposer, CASE WHEN spans.call IS NULL THEN 'baseline' ELSE 'model' END)",
    "operator": "coalesce(proposals.operator, calls.operator, 'baseline')",
    "model": "coalesce(calls.model, (SELECT model FROM calls AS asked WHERE asked.proposal = proposals.id LIMIT 1))",
}


async def ledger(database: Database) -> Ledger:
    """What was spent until now, and on what."""
    amounts: dict[str, dict[str, float]] = {}
    for row in await database.rows("SELECT outcome, resource, amount FROM totals ORDER BY amount DESC"):
        amounts.setdefault(row["outcome"], {})[row["resource"]] = row["amount"]
    admitted: dict[str, int] = {}
    refused: dict[str, dict[Refusal, int]] = {}
    every = "SELECT proposer, refusal, count(*) AS count FROM proposals WHERE operator <> ? GROUP BY proposer, refusal"
    for row in await database.rows(every, SEED):
        if row["refusal"] is None:
            admitted[row["proposer"]] = row["count"]
        else:
            refused.setdefault(row["proposer"], {})[Refusal(row["refusal"])] = row["count"]
    return Ledger(total=amounts.pop(TOTAL, {}), by_outcome=amounts, admitted=admitted, refused=refused)


async def spend_by(database: Database) -> dict[str, dict[str, dict[str, float]]]:
    """What runs and calls have taken, by `stage`, `proposer`, `operator` and `model`: of each, by name and resource.

    A stage is one of a run, its overhead among them. What nobody proposed is the baseline's.
    """
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for group, name in SPENT_ON.items():
        rows = await database.rows(
            f"""
            SELECT {name} AS name, resource, sum(amount) AS amount FROM spend JOIN spans ON spans.id = spend.span
            LEFT JOIN runs ON runs.id = spans.run LEFT JOIN calls ON calls.id = spans.call
            LEFT JOIN proposals AS own ON own.experiment = runs.experiment
            LEFT JOIN proposals ON proposals.id = coalesce(own.id, calls.proposal)
            WHERE coalesce(spans.run, spans.call) IS NOT NULL GROUP BY 1, 2 HAVING {name} IS NOT NULL ORDER BY 3 DESC
            """
        )
        amounts = groups.setdefault(group, {})
        for row in rows:
            amounts.setdefault(row["name"], {})[row["resource"]] = row["amount"]
    return groups


async def seconds(database: Database, since: int | None = None) -> dict[int, float]:
    """The seconds of a slot that each experiment's runs have taken, by its number; those that have run.

    Or of those alone that an event after `since` names.
    """
    rows = await database.rows(
        f"""
        SELECT experiment, sum(amount) FROM runs JOIN spans ON spans.run = runs.id JOIN spend ON spend.span = spans.id
        WHERE resource = 'seconds' AND {"1" if since is None else f"runs.experiment IN {NAMED}"} GROUP BY experiment
        """,
        *given(since),
    )
    return dict(map(tuple, rows))
