"""What was gained for what was spent: a yield for the study, and for each proposer, model and operator; and the lifts.

All of it is of one bench, the one that the last engine set up: on another one nothing is confirmed yet. The gains and
the lifts are the engine's (`loop/judge/gains.py`, `loop/judge/lift.py`); what was spent is the record's own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import astuple, replace

from store.database import Change, Database
from store.records import SEED
from store.views import BENCH, NAMED, UP_WORDS

HOUR = 3600.0
TOKENS = 1000.0  # of which a yield is said
LEAST = 20  # experiments a side, before a lift is said
OWN = "runs.purpose NOT IN ('baseline', 'challenge')"  # runs for an experiment's own sake, and not to compare others
HELD = "max(1, runs.devices) * (spans.ended_at - spans.began_at)"  # seconds of devices, of the slot where there is none


class Kind(StrEnum):
    """What a lift is."""

    TOO_FEW = "too few"  # experiments, on one side or both
    NOTHING = "nothing gained"  # on either side
    RATIO = "ratio"  # of the yields
    DIFFERENCE = "difference"  # of the yields, where the floor's is 0


class Lift(Struct, frozen=True):
    """A proposer's yield per device-hour against the numeric floor's, with a 95 % bootstrap interval."""

    proposer: str
    floor: str  # the proposer that it is held against
    experiments: int
    floor_experiments: int
    kind: Kind
    value: float | None = None
    low: float | None = None
    high: float | None = None  # None where there is no upper end


class Yield(Struct, frozen=True):
    """What somebody's experiments have gained, and what they have taken. `gain` is None where that is not known yet."""

    name: str
    experiments: int  # that have run
    confirmed: int
    gain: float | None  # hypervolume, in units of the baseline's own
    seconds: float  # of devices, or of the slot where there is none
    tokens: float
    model_seconds: float
    proposer: str = ""  # of an operator: who works with it
    by_tokens: float = 0.0  # of the gain, that of experiments that have taken tokens

    @property
    def per_device_hour(self) -> float | None:
        """The gain for an hour of a device; None where it is not known, or nothing was spent."""
        return self.gain / self.seconds * HOUR if self.gain is not None and self.seconds > 0 else None

    @property
    def per_1000_tokens(self) -> float | None:
        """What tokens have gained, for a thousand of them; None where it is not known, or none were spent."""
        return self.by_tokens / self.tokens * TOKENS if self.gain is not None and self.tokens > 0 else None


class Yields(Struct, frozen=True):
    """The yield of the study, and of those who proposed; models and operators as they rank."""

    study: Yield
    proposers: tuple[Yield, ...] = ()
    models: tuple[Yield, ...] = ()
    operators: tuple[Yield, ...] = ()
    lifts: tuple[Lift, ...] = ()

    @property
    def ranked(self) -> bool:
        """Whether there is anything to rank by."""
        return bool(self.study.gain)


class _Part(Struct, frozen=True):
    """What one proposer has done with one operator, and one model if any."""

    proposer: str
    operator: str
    model: str | None
    experiments: int = 0
    confirmed: int = 0
    gain: float = 0.0
    unknown: int = 0  # confirmed, and what that has added is not known
    seconds: float = 0.0
    tokens: float = 0.0
    model_seconds: float = 0.0


EXPERIMENTS = f"""
    WITH own AS (
        SELECT runs.experiment, sum({HELD}) AS seconds FROM runs JOIN spans ON spans.run = runs.id
        WHERE runs.bench = {BENCH} AND {OWN} GROUP BY 1
    ), said AS (
        SELECT experiment, evidence = 'confirmed' AND word IN {UP_WORDS} AS confirmed FROM verdicts
        WHERE id IN (SELECT max(id) FROM verdicts WHERE bench = {BENCH} GROUP BY experiment)
    )
    SELECT proposer, operator, (SELECT model FROM calls WHERE proposal = proposals.id LIMIT 1) AS model,
           count(*) AS experiments, coalesce(sum(confirmed), 0) AS confirmed, coalesce(sum(gain), 0.0) AS gain,
           coalesce(sum(confirmed AND gain IS NULL), 0) AS unknown, sum(seconds) AS seconds
    FROM own JOIN proposals ON proposals.experiment = own.experiment
    LEFT JOIN said ON said.experiment = own.experiment
    LEFT JOIN gains ON gains.experiment = own.experiment AND gains.bench = {BENCH}
    WHERE operator <> '{SEED}'
    GROUP BY 1, 2, 3
"""
CALLS = f"""
    SELECT coalesce(proposals.proposer, 'model') AS proposer, coalesce(proposals.operator, calls.operator) AS operator,
           calls.model, coalesce(sum(coalesce(prompt_tokens, 0) + coalesce(answer_tokens, 0)), 0.0) AS tokens,
           sum(max(0.0, ended_at - calls.at - held_seconds)) AS model_seconds
    FROM calls LEFT JOIN proposals ON proposals.id = calls.proposal
    WHERE calls.outcome IS NOT NULL AND {BENCH} = (
        SELECT json_extract(facts, '$.bench') FROM engines WHERE started_at <= calls.at ORDER BY id DESC LIMIT 1
    ) GROUP BY 1, 2, 3
"""


async def read(database: Database) -> Yields:
    """What was gained for what was spent until now."""
    parts = [_Part(**dict(row)) for row in await database.rows(EXPERIMENTS)]
    parts += [_Part(**dict(row)) for row in await database.rows(CALLS)]
    rows = await database.rows(
        f"SELECT coalesce(sum({HELD}), 0.0) FROM runs JOIN spans ON spans.run = runs.id WHERE bench = {BENCH}"
    )
    whole = replace(_sum("", parts), seconds=float(rows[0][0]))  # with what it takes to compare
    return Yields(
        whole,
        tuple(_group(parts, [(one.proposer, "") for one in parts])),
        tuple(_group(parts, [(one.model, "") if one.model else None for one in parts])),
        tuple(_group(parts, [(one.operator, one.proposer) for one in parts])),
        tuple(await lifts(database)),
    )


def _group(parts: Sequence[_Part], keys: Sequence[tuple[str, str] | None]) -> list[Yield]:
    """The yields of some groups, the best first. A part without a key is in none."""
    groups: dict[tuple[str, str], list[_Part]] = {}
    for part, key in zip(parts, keys, strict=True):
        if key is not None:
            groups.setdefault(key, []).append(part)
    found = [_sum(name, those, proposer) for (name, proposer), those in groups.items()]
    return sorted(found, key=lambda one: (-(one.per_device_hour or 0.0), -one.experiments, one.name, one.proposer))


def _sum(name: str, parts: Iterable[_Part], proposer: str = "") -> Yield:
    those = list(parts)
    return Yield(
        name,
        sum(one.experiments for one in those),
        sum(one.confirmed for one in those),
        None if any(one.unknown for one in those) else sum(one.gain for one in those),
        sum(one.seconds for one in those),
        sum(one.tokens for one in those),
        sum(one.model_seconds for one in those),
        proposer,
        sum(one.gain for one in those if one.model is not None),
    )


# --- for the engine --------------------------------------------------------------------------------------------------


async def costs(database: Database, bench: str, since: int | None = None) -> dict[int, float]:
    """The seconds of devices that each experiment has taken for its own sake on a bench, by its number.

    Of all experiments, or of those that an event after `since` names.
    """
    named = "1" if since is None else f"runs.experiment IN {NAMED}"
    rows = await database.rows(
        f"""
        SELECT runs.experiment, sum({HELD}) FROM runs JOIN spans ON spans.run = runs.id
        WHERE {named} AND bench = ? AND {OWN} GROUP BY 1
        """,
        *(() if since is None else (since,)),
        bench,
    )
    return {row[0]: float(row[1]) for row in rows}


async def gains(record: Change | Database, bench: str) -> tuple[tuple[int, float], ...]:
    """What each confirmed experiment has added to the hypervolume on a bench, by its number."""
    rows = await record.rows("SELECT experiment, gain FROM gains WHERE bench = ? ORDER BY experiment", bench)
    return tuple((row[0], row[1]) for row in rows)


async def keep_gains(change: Change, bench: str, gained: Iterable[tuple[int, float]]) -> None:
    """These are what the confirmed experiments have added, and no others have."""
    stood, stands = dict(await gains(change, bench)), dict(gained)
    gone = [number for number in stood if number not in stands]
    if gone:
        await change.execute(
            "DELETE FROM gains WHERE bench = ? AND experiment IN (SELECT value FROM json_each(?))",
            bench,
            json.dumps(gone),
        )
    moved = [one for one in stands.items() if stood.get(one[0]) != one[1]]
    if moved:
        await change.execute(
            """
            INSERT OR REPLACE INTO gains
            SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
            """,
            bench,
            json.dumps(moved),
        )


async def lifts(database: Database) -> list[Lift]:
    """The lifts, as the last verdict has left them."""
    rows = await database.rows(
        f"""
        SELECT proposer, floor, experiments, floor_experiments, kind, value, low, high FROM lifts
        WHERE bench = {BENCH} ORDER BY proposer
        """
    )
    return [replace(Lift(*row), kind=Kind(row["kind"])) for row in rows]


async def keep_lifts(change: Change, bench: str, those: Mapping[str, Lift]) -> None:
    """These are the lifts on a bench now, by proposer."""
    await change.execute("DELETE FROM lifts WHERE bench = ?", bench)
    for one in those.values():
        await change.execute("INSERT INTO lifts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", bench, *astuple(one))


async def lifted(database: Database, bench: str, those: Mapping[str, Lift]) -> None:
    """The lifts, after what has ended without a verdict. No event: that was told."""
    async with database.transaction() as change:
        await keep_lifts(change, bench, those)
