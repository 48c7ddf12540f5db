"""What a study can answer, as it was foreseen last: a line of the journal, which faces read. The engine computes it."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins

from store.database import Database
from store.events import say

KIND = "planned"


class Foreseen(Struct, frozen=True):
    """What one preset can answer at one fidelity.

    `gains` are the smallest ones that are confirmed four times of five, as shares of the baseline's value by objective;
    None where its noise is not known yet. `sigmas` is the same in standard deviations of a run, None where no winner
    can be confirmed.
    """

    preset: str
    fidelity: str
    experiments: int
    runs_a_null: float  # that a change takes which does nothing
    least_runs: int  # that one winner takes
    sigmas: float | None
    gains: Mapping[str, float | None]


class Plan(Struct, frozen=True):
    """What the next hours can answer. `known_from` is where times and noise are from; empty where nothing is known."""

    preset: str  # the study's
    hours: float
    known_from: str
    run_seconds: float | None
    peak_bytes: int | None
    peak_device_bytes: int | None
    runs: int | None  # that the hours and the budget have room for
    bounded_by: str  # what ends them
    foreseen: tuple[Foreseen, ...]
    advice: tuple[str, ...]  # what to change to answer more
    warning: str  # why the question cannot be answered; empty where it can
    notes: tuple[str, ...] = ()  # what runs have shown beside, and what follows from it

    @property
    def own(self) -> Foreseen | None:
        """What the study's own preset can answer."""
        return next((one for one in self.foreseen if one.preset == self.preset), None)


def keys(plan: Plan) -> dict[str, Any]:
    """It as JSON has it."""
    return dict(to_builtins(plan))


async def record(database: Database, plan: Plan, text: str, bench: str, runs: int) -> None:
    """Say it in the journal, with the bench and the number of its baseline's runs from which it is foreseen."""
    async with database.transaction() as change:
        await say(change, KIND, text, plan=keys(plan), bench=bench, runs=runs)


async def known(database: Database, bench: str) -> int:
    """From how many runs of this bench's baseline it was foreseen last; 0 where it was not."""
    rows = await database.rows("SELECT data FROM events WHERE kind = ? ORDER BY seq DESC", KIND)
    found = (data["runs"] for data in (json.loads(row["data"]) for row in rows) if data["bench"] == bench)
    return int(next(found, 0))


async def notes(database: Database, bench: str) -> tuple[str, ...]:
    """What was noted on this bench."""
    rows = await database.rows("SELECT data FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1", KIND)
    said = json.loads(rows[0]["data"]) if rows else {}
    return of(said["plan"]).notes if said.get("bench") == bench else ()


async def latest(database: Database) -> Plan | None:
    """The newest; None where nothing was foreseen yet."""
    rows = await database.rows("SELECT data FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1", KIND)
    return of(json.loads(rows[0]["data"])["plan"]) if rows else None


def of(said: Mapping[str, Any]) -> Plan:
    """A plan from its keys."""
    foreseen = tuple(Foreseen(**one) for one in said["foreseen"])
    told = {name: tuple(said[name]) for name in ("advice", "notes") if name in said}
    return Plan(**{**said, "foreseen": foreseen, **told})
