"""What a model was asked and what it answered: each call is a row from the asking on, and its tokens are booked."""

import json
import time
from collections.abc import Iterable, Mapping
from sqlite3 import Row
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from store import budgets, ledger
from store.database import Change, Database
from store.events import say
from store.records import Call, CallOutcome, Proposal, Refusal, State

LATELY = 200  # calls at most, by whose answers a model's speed is told


async def began(database: Database, call: Call) -> int:
    """A model is asked. The call's id."""
    async with database.transaction() as change:
        columns = ("model", "host", "operator", "purpose", "num_ctx", "prompt", "at")
        number = await change.insert("calls", **{column: getattr(call, column) for column in columns})
        await budgets.update(change, call.at)
    return number


async def ended(database: Database, call: Call) -> None:
    """It has answered, or has not, as the call says."""
    assert call.outcome is not None
    async with database.transaction() as change:
        now = time.time()
        call = replace(call, ended_at=now)
        columns = (
            "outcome", "detail", "answer", "prompt_tokens", "answer_tokens", "load_seconds", "prompt_seconds",
            "answer_seconds", "held_seconds",
        )  # fmt: skip
        await change.execute(
            f"UPDATE calls SET ended_at = ?, {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?",
            now, *(getattr(call, column) for column in columns), call.id,
        )  # fmt: skip
        tokens = (call.prompt_tokens or 0) + (call.answer_tokens or 0)
        await ledger.call_ends(change, call.id, call.at, now, tokens, call.held_seconds)
        told: dict[str, Any] = {
            column: getattr(call, column)
            for column in ("model", "operator", "purpose", "outcome", "detail", "prompt_tokens", "answer_tokens")
        }
        await say(
            change, "call" if call.outcome is CallOutcome.OK else "call failed", call.line, at=now,
            wall_seconds=now - call.at, load_seconds=call.load_seconds, held_seconds=call.held_seconds, **told,
        )  # fmt: skip


async def belong(change: Change, proposal: int, calls: Iterable[int]) -> None:
    """These calls have come to this proposal."""
    for call in calls:
        await change.execute("UPDATE calls SET proposal = ? WHERE id = ?", proposal, call)


async def break_off(change: Change, now: float, why: str) -> None:
    """Those that nobody has ended are over. What they had used is not known."""
    for row in await change.rows("SELECT id, at FROM calls WHERE outcome IS NULL ORDER BY id"):
        await change.execute(
            "UPDATE calls SET outcome = ?, ended_at = ?, detail = ? WHERE id = ?",
            CallOutcome.INTERRUPTED, max(now, row["at"]), why, row["id"],
        )  # fmt: skip
        await ledger.call_ends(change, row["id"], row["at"], now)


async def of(database: Database, experiment: int) -> list[Call]:
    """The calls to which an experiment is owed, oldest first; of a refused proposal before it there are others."""
    rows = await database.rows(
        """
        SELECT calls.* FROM calls JOIN proposals ON proposals.id = calls.proposal
        WHERE experiment = ? ORDER BY calls.id
        """,
        experiment,
    )
    return [_call(row) for row in rows]


def _call(row: Row) -> Call:
    names = {field.name for field in fields(Call)} - {"prompt", "outcome"}
    return Call(
        **{name: row[name] for name in names},
        prompt=json.loads(row["prompt"]),
        outcome=CallOutcome(row["outcome"]) if row["outcome"] else None,
    )


async def density(database: Database, model: str, operator: str) -> float | None:
    """Tokens a character, in what this model was asked last by an operator; None before it has counted any."""
    rows = await database.rows(
        """
        SELECT prompt, prompt_tokens FROM calls
        WHERE model = ? AND operator = ? AND purpose = 'reason' AND outcome = 'ok' AND prompt_tokens > 0
        ORDER BY id DESC LIMIT 1
        """,
        model,
        operator,
    )
    if not rows:
        return None
    characters = sum(len(message["content"]) for message in json.loads(rows[0]["prompt"])["messages"])
    return float(rows[0]["prompt_tokens"] / characters) if characters else None


async def thoughts(database: Database) -> int:
    """How often a model has thought of an experiment, or does."""
    return sum((await thoughts_by_operator(database)).values())


async def thoughts_by_operator(database: Database) -> dict[str, int]:
    """The same, by what it was asked for. What cockpit itself has ended does not count."""
    rows = await database.rows(
        """
        SELECT operator, count(*) FROM calls WHERE purpose = 'reason' AND coalesce(outcome, '') NOT IN (?, ?)
        GROUP BY operator
        """,
        CallOutcome.BROKEN_OFF,
        CallOutcome.INTERRUPTED,
    )
    return {row[0]: int(row[1]) for row in rows}


# --- to look at ------------------------------------------------------------------------------------------------------


class Became(Struct, frozen=True):
    """What a call has come to: a proposal, and where that was admitted an experiment."""

    proposal: Proposal
    experiment: int | None
    state: State | None


class Told(Struct, frozen=True):
    """A call, and what belongs to it. `sections` are those of its thought's first prompt, with which its own begins."""

    call: Call
    sections: tuple[Mapping[str, Any], ...]
    became: Became | None  # None where it came to no proposal, or to none yet
    newest: int  # the id of the study's newest call


async def told(database: Database, call: int | None = None, experiment: int | None = None) -> Told | None:
    """The newest call: of all, of those up to an id, or of those that came to an experiment. None where none is."""
    which, values = "1", tuple[int, ...]()
    if call is not None:
        which, values = "id <= ?", (call,)
    elif experiment is not None:
        which, values = "proposal = (SELECT id FROM proposals WHERE experiment = ?)", (experiment,)
    rows = await database.rows(
        f"""
        SELECT calls.*, (SELECT max(id) FROM calls) AS newest FROM calls
        WHERE id = (SELECT max(id) FROM calls WHERE {which})
        """,
        *values,
    )
    if not rows:
        return None
    one = _call(rows[0])
    return Told(one, await _sections(database, one), await became(database, one.id), rows[0]["newest"])


async def became(database: Database, call: int) -> Became | None:
    """What a call has come to."""
    rows = await database.rows(
        """
        SELECT proposals.*, state FROM calls JOIN proposals ON proposals.id = calls.proposal
        LEFT JOIN experiments ON experiments.number = proposals.experiment WHERE calls.id = ?
        """,
        call,
    )
    for row in rows:
        names = {field.name for field in fields(Proposal)} - {"change", "refusal"}
        refusal = Refusal(row["refusal"]) if row["refusal"] else None
        proposal = Proposal(**{name: row[name] for name in names}, change=json.loads(row["change"]), refusal=refusal)
        return Became(proposal, row["experiment"], State(row["state"]) if row["state"] else None)
    return None


async def _sections(database: Database, call: Call) -> tuple[Mapping[str, Any], ...]:
    """Of what its prompt begins with: only the first call of a thought has that with it."""
    if call.prompt.get("sections"):
        return tuple(call.prompt["sections"])
    rows = await database.rows(
        "SELECT prompt FROM calls WHERE id < ? AND purpose = 'reason' AND operator = ? ORDER BY id DESC LIMIT 1",
        call.id,
        call.operator,
    )
    first = json.loads(rows[0]["prompt"]) if rows else {}
    begins = call.prompt.get("messages", [])[:2] == first.get("messages", [])[:2]
    return tuple(first.get("sections", ())) if begins else ()


async def answer_speed(database: Database, since: float) -> float | None:
    """Tokens a second, as its server has timed what the model has written since; None where it has written nothing."""
    rows = await database.rows(
        """
        SELECT sum(answer_tokens), sum(answer_seconds) FROM calls
        WHERE id > (SELECT max(id) FROM calls) - ? AND ended_at >= ? AND answer_seconds > 0 AND answer_tokens > 0
        """,
        LATELY,
        since,
    )
    tokens, seconds = rows[0]
    return float(tokens / seconds) if tokens else None
