"""What the screen knows: a snapshot of the record, read again when the journal has grown. It is the only reader."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cockpit.figures import named
from cockpit.glyphs import promising
from store import account, budgets, events, spawn, views
from store.account import Account
from store.database import Database
from store.place import RECORD, Place, engine_pid
from store.records import Decision, Engine, Event, Experiment, Frontier, Keeps, Ledger, Limit, Reference, Run, Study

POLL_SECONDS = 0.2
LEAST_SECONDS = 0.5  # between two pictures, so that a burst of events becomes one
ACCOUNT_SECONDS = 2.0  # between two readings of what came of what was spent, which takes longer the longer a study is
NEWEST = 8  # events for the strip


@dataclass(frozen=True, slots=True)
class Objective:
    """What the screen has to know of an objective to write its values."""

    name: str
    label: str
    unit: str
    maximize: bool
    quality: bool  # and not a time or a count
    steers: bool = True
    bound: str = ""  # that must hold of it, in words


@dataclass(frozen=True, eq=False)  # one that is read anew is another one
class Snapshot:
    """A study at one moment: all from one state of the record, but for the engine's pid, which its lock says.

    While things happen fast the account may be one of shortly before.
    """

    study: Study | None
    engine: Engine | None
    pid: int | None  # of the engine that runs now
    paused: bool
    experiments: tuple[Experiment, ...]
    incumbent: int
    decision: Decision | None  # the last that stands
    frontier: Frontier
    keeps: Keeps | None
    reference: tuple[Reference, ...]
    account: Account
    limits: tuple[Limit, ...]
    seconds: Mapping[int, float]  # of a slot, by experiment
    running: tuple[Run, ...]
    events: tuple[Event, ...]  # the newest, oldest first
    died: str = ""  # why the engine is gone, where it went without a word

    @property
    def last_event(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self.events[-1].seq if self.events else 0

    @cached_property
    def offers(self) -> int:
        """How many wait for a person."""
        return sum(one.offered for one in self.experiments)

    @cached_property
    def hopeful(self) -> int:
        """How many are promising, and neither confirmed nor decided."""
        return sum(map(promising, self.experiments))

    @property
    def ledger(self) -> Ledger:
        """What was spent."""
        return self.account.ledger

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the last engine found out at its start."""
        return self.engine.facts if self.engine else {}

    def experiment(self, number: int) -> Experiment | None:
        """One by its number; the list is without gaps."""
        return self.experiments[number] if 0 <= number < len(self.experiments) else None

    @cached_property
    def objectives(self) -> list[Objective]:
        """Those that steer first, in the order of the file."""
        said = self.facts.get("objectives") or {
            one.objective: {"direction": one.direction, "kind": "quality", "steers": True} for one in self.reference
        }
        every = [
            Objective(
                name,
                *named(name, one.get("label"), one.get("unit")),
                maximize=one["direction"] == "maximize",
                quality=one["kind"] == "quality",
                steers=bool(one["steers"]),
            )
            for name, one in said.items()
        ]
        return [one for one in every if one.steers] + [one for one in every if not one.steers]

    @cached_property
    def quantities(self) -> list[Objective]:
        """The objectives, then what is bounded besides; each with its bounds, where it has any."""
        every = {one.name: one for one in self.objectives}
        for name, one in self.facts.get("constraints", {}).items():
            quality = one["kind"] == "quality"
            known = every.get(name) or Objective(name, *named(name), maximize=False, quality=quality, steers=False)
            every[name] = replace(known, bound=one["text"])
        return list(every.values())

    @cached_property
    def front(self) -> set[int]:
        """The numbers of the experiments on the frontier."""
        return {point.experiment for point in self.frontier.points}


async def follow(place: Place, database: Database) -> AsyncIterator[Snapshot]:
    """A snapshot now, and one whenever something has changed. Raises sqlite3.Error, and OSError: the record is gone."""
    seen: tuple[int, int | None] | None = None
    before: Snapshot | None = None
    counted, behind = 0.0, False  # when the account was read, and whether something has happened since
    while True:
        now = await events.last_event(database), await asyncio.to_thread(_engine, place)
        began = time.monotonic()
        due = before is None or began - counted >= ACCOUNT_SECONDS
        if now == seen and not (behind and due):
            await asyncio.sleep(POLL_SECONDS)
            continue
        seen, before = now, await read(place, database, before, count=due)
        counted, behind = began if due else counted, not due
        yield before
        await asyncio.sleep(max(POLL_SECONDS, LEAST_SECONDS - (time.monotonic() - began)))


def _engine(place: Place) -> int | None:
    if not (place.folder / RECORD).exists():
        raise FileNotFoundError(f"the record is gone: {place.folder / RECORD}")
    return engine_pid(place.folder)


async def read(place: Place, database: Database, before: Snapshot | None = None, *, count: bool = True) -> Snapshot:
    """The study as it stands now. Of what was known before only what has changed is read; the account if it counts.

    The engine is looked for first: one that ends in between has not died.
    """
    pid = await asyncio.to_thread(_engine, place)
    async with database.reading():
        engine, heard = await views.last_engine(database), await events.newest(database)
        drawn, reference = await views.frontier(database)
        last = await events.last_event(database)
        # Another engine may have set up another bench, on which all is otherwise.
        same = before is not None and before.engine is not None and engine is not None and before.engine.id == engine.id
        snapshot = Snapshot(
            study=await views.study(database),
            engine=engine,
            pid=pid,
            paused=await views.paused(database),
            experiments=await views.renewed(database, before.experiments, before.last_event)
            if same and before
            else tuple(await views.experiments(database)),
            incumbent=await views.incumbent(database),
            decision=await views.last_decision(database),
            frontier=drawn,
            keeps=await views.keeps(database),
            reference=tuple(reference),
            account=before.account if before and not count else await account.read(database),
            limits=tuple(await budgets.read(database)),
            seconds=await views.seconds(database),
            running=tuple(await views.unfinished_runs(database)),
            events=tuple(await events.events_after(database, max(0, last - NEWEST))),
        )
    if pid is None and engine is not None and engine.ended_at is None:
        return replace(snapshot, died=await asyncio.to_thread(spawn.last_word, place, engine.started_at, heard))
    return snapshot
