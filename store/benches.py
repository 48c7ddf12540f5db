"""What one bench has of another one: the runs that count on both, and what is run again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from store import ledger
from store.database import Database
from store.events import say
from store.records import Measurement, name_of
from store.state import settle
from store.views import UP_WORDS


class Known(Struct, frozen=True):
    """A bench, and the facts of which it is the hash."""

    hash: str
    facts: dict[str, Any]


async def before(database: Database, bench: str) -> Known | None:
    """The bench before this one, until it is said what of it counts on."""
    rows = await database.rows(
        """
        SELECT kind, json_extract(data, '$.bench') AS bench, json_extract(data, '$.before') AS before
        FROM events WHERE kind IN ('bench', 'counted on') ORDER BY seq DESC LIMIT 1
        """
    )
    if not rows or rows[0]["kind"] != "bench" or rows[0]["bench"] != bench or rows[0]["before"] is None:
        return None
    (known,) = await database.rows("SELECT hash, facts FROM benches WHERE hash = ?", rows[0]["before"])
    return Known(known["hash"], json.loads(known["facts"]))


async def looked_at(database: Database, bench: str) -> set[int]:
    """The experiments on the frontier as it was drawn last, and those that were offered on a bench, by number."""
    rows = await database.rows(
        f"""
        SELECT experiment FROM frontier UNION SELECT experiment FROM verdicts
        WHERE bench = ?1 AND evidence = 'confirmed' AND word IN {UP_WORDS} AND id = (
            SELECT max(id) FROM verdicts AS newer WHERE (newer.experiment, newer.bench) = (verdicts.experiment, ?1)
        )
        """,
        bench,
    )
    return {row["experiment"] for row in rows}


async def counted_on(
    database: Database,
    bench: str,
    old: str,
    runs: Mapping[int, Sequence[Measurement]],
    again: Sequence[int],
    text: str,
) -> None:
    """These runs of the old bench are of this one now, with what they lacked; some experiments are run again."""
    async with database.transaction() as change:
        touched = set(again)
        for number, measurements in runs.items():
            (run,) = await change.rows("SELECT * FROM runs WHERE id = ?", number)
            key = [run[name] for name in ("tree", "seed", "purpose", "fidelity")]
            if await change.rows(
                "SELECT 1 FROM runs WHERE bench = ? AND (tree, seed, purpose, fidelity) = (?, ?, ?, ?)", bench, *key
            ):
                continue  # it was made here too
            for one in measurements:
                await change.insert(
                    "measurements", run=number, objective=one.objective, value=one.value, source=one.source
                )
            await change.execute("UPDATE runs SET bench = ? WHERE id = ?", bench, number)
            touched.add(run["experiment"])
        for number in again:
            await change.execute(
                "UPDATE experiments SET state = 'queued', failure = NULL, detail = '' WHERE number = ?", number
            )
        for number in sorted(touched - set(again)):
            await settle(change, number, bench)
        await ledger.rebook(change, touched)
        ids = [name_of(number) for number in again]
        await say(change, "counted on", text, bench=bench, before=old, runs=len(runs), again=ids)
