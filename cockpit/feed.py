"""What the screen knows: a snapshot of the record, read again when the journal has grown. It is the only reader."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, overload

from msgspec import Struct, field
from msgspec.structs import replace

from cockpit.figures import named
from cockpit.glyphs import promising
from cockpit.made import Made
from store import account, budgets, events, spawn, views
from store.account import NOTHING, Account
from store.database import Database
from store.place import RECORD, Place, engine_pid
from store.records import (
    Agreement,
    Decision,
    Engine,
    Event,
    Experiment,
    Frontier,
    Keeps,
    Ledger,
    Limit,
    Reference,
    Run,
    State,
    Study,
)

POLL_SECONDS = 0.2
LEAST_SECONDS = 0.5  # between two pictures, so that a burst of events becomes one
ACCOUNT_SECONDS = 2.0  # between two readings of what came of what was spent, at the least:
ACCOUNT_SHARE = 0.01  # of the time, for it takes the longer the longer a study is
NEWEST = 8  # events for the strip
FEW = 500  # experiments that are all read before the panels are shown
One = TypeVar("One")
Ts = TypeVarTuple("Ts")


class Some(Sequence[Experiment]):
    """Of the experiments of a study those that are read: all that the first groups of the list have, and the newest.

    It is as long as there are experiments; who goes through it meets those that are read.
    """

    def __init__(self, every: int, read: Sequence[Experiment]) -> None:
        self._every = every
        self._read = {one.number: one for one in read}

    @overload
    def __getitem__(self, number: int) -> Experiment: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Experiment]: ...
    def __getitem__(self, number: int | slice) -> Experiment | Sequence[Experiment]:
        if isinstance(number, slice):
            return list(self._read.values())[number]
        if number not in self._read:
            raise IndexError(number)
        return self._read[number]

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self._read.values())

    def __len__(self) -> int:
        return self._every


class Objective(Struct, frozen=True):
    """What the screen has to know of an objective to write its values."""

    name: str
    label: str
    unit: str
    maximize: bool
    quality: bool  # and not a time or a count
    steers: bool = True
    bound: str = ""  # that must hold of it, in words


def objectives(said: Mapping[str, Any]) -> list[Objective]:
    """The objectives as an engine has told them: those that steer first, in the order of the file."""
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


class Snapshot(Struct, frozen=True, eq=False, dict=True):  # one that is read anew is another one
    """A study at one moment: all from one state of the record, but for the engine's pid, which its lock says.

    While things happen fast the account may be one of shortly before.
    """

    study: Study | None
    engine: Engine | None
    pid: int | None  # of the engine that runs now
    paused: bool
    experiments: Sequence[Experiment]  # by number, from 0 on
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
    pinned: int | None = None  # the experiment that proposals start from, in trunk's place
    agreement: tuple[Agreement, ...] = ()  # of quick and full runs
    reruns: frozenset[int] = frozenset()  # experiments that are to be run again, because a person asked for it
    died: str = ""  # why the engine is gone, where it went without a word
    made: Made = field(default_factory=Made)

    @property
    def whole(self) -> bool:
        """Whether all of it is read; else there are Some experiments, and no account yet."""
        return not isinstance(self.experiments, Some)

    @property
    def last_event(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self.events[-1].seq if self.events else 0

    def each(self, make: Callable[[Experiment, *Ts], One], *given: *Ts) -> list[One]:
        """What a function says of each experiment that is read: it is asked of those that are not as they were."""
        rows = self.experiments if self.whole else tuple(self.experiments)
        return self.made.each(rows, make, *given)

    @cached_property
    def open(self) -> list[Experiment]:
        """Those that wait for a person, or may come to that, and those that go on."""
        return list(compress(self.experiments, self.each(is_open)))

    @cached_property
    def offers(self) -> int:
        """How many wait for a person."""
        return sum(one.offered for one in self.open)

    @cached_property
    def hopeful(self) -> int:
        """How many are promising, and neither confirmed nor decided."""
        return sum(map(promising, self.open))

    @property
    def ledger(self) -> Ledger:
        """What was spent."""
        return self.account.ledger

    @property
    def counted(self) -> bool:
        """Whether it is known what came of what was spent, and not only how much that was."""
        return self.account.funnel is not NOTHING.funnel

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the last engine found out at its start."""
        return self.engine.facts if self.engine else {}

    def experiment(self, number: int) -> Experiment | None:
        """One by its number; None where there is none, or it is not read yet."""
        try:
            return self.experiments[number] if number >= 0 else None
        except IndexError:
            return None

    @cached_property
    def objectives(self) -> list[Objective]:
        """Those that steer first, in the order of the file."""
        said = self.facts.get("objectives") or {
            one.objective: {"direction": one.direction, "kind": "quality", "steers": True} for one in self.reference
        }
        return objectives(said)

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


def is_open(one: Experiment) -> bool:
    """Whether a person may have to do with it yet, or it goes on."""
    return one.offered or promising(one) or one.state in (State.RUNNING, State.QUEUED)


async def follow(
    place: Place, database: Database, looked_at: Callable[[], bool] = lambda: True, before: Snapshot | None = None
) -> AsyncIterator[Snapshot]:
    """A snapshot now, and one whenever something has changed. Raises sqlite3.Error, and OSError: the record is gone.

    Of a study of many experiments the first one has what is looked at first, and the second one all. What was seen
    `before` is no more read. While nobody looks at what came of what was spent, only the ledger is read of the account.
    """
    counted, behind = 0.0, False  # when the account may be read again, and whether something has happened since
    full = False  # whether it was read as a whole then
    if before is None:
        yield (before := await read(place, database, first=await views.count(database) > FEW))
    seen = (before.last_event, before.pid) if before.whole else None
    if before.whole:
        counted, full = time.monotonic() + ACCOUNT_SECONDS, True
    while True:
        now = await events.last_event(database), await asyncio.to_thread(_engine, place)
        began, whole = time.monotonic(), looked_at()
        lacks = whole and not full
        due = lacks or began >= counted
        if now == seen and not lacks and not (behind and due):
            await asyncio.sleep(POLL_SECONDS)
            continue
        seen, before = now, await read(place, database, before, count=due, whole=whole)
        took = time.monotonic() - began
        if due:
            counted, full = began + max(ACCOUNT_SECONDS, took / ACCOUNT_SHARE), whole
        behind = not due
        yield before
        await asyncio.sleep(max(POLL_SECONDS, LEAST_SECONDS - (time.monotonic() - began)))


def _engine(place: Place) -> int | None:
    """The engine that runs the study; not one that lives for a command alone, which ends once that is answered."""
    if not (place.folder / RECORD).exists():
        raise FileNotFoundError(f"the record is gone: {place.folder / RECORD}")
    pid = engine_pid(place.folder)
    with suppress(OSError):  # where there is no /proc, that one is taken for an engine that starts
        if b"loop.obey" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return None
    return pid


async def read(
    place: Place,
    database: Database,
    before: Snapshot | None = None,
    *,
    count: bool = True,
    whole: bool = True,
    first: bool = False,
) -> Snapshot:
    """The study as it stands now. Of what was known before only what has changed is read; the account if it counts.

    Of that the ledger alone, where it is not to be `whole`. `first` is for what is looked at first, and for no more.
    The engine is looked for first: one that ends in between has not died.
    """
    pid = await asyncio.to_thread(_engine, place)
    before = before if before is None or before.whole else None  # what is known in part is read as a whole
    async with database.reading():
        engine = await views.last_engine(database)
        drawn, reference = await views.frontier(database, engine)
        last = await events.last_event(database)
        told = tuple(await events.events_after(database, max(0, last - NEWEST)))
        # Another engine may have set up another bench, on which all is otherwise.
        same = before is not None and before.engine is not None and engine is not None and before.engine.id == engine.id
        rows = await _experiments(database, before if same else None, first=first)
        incumbent = await views.incumbent(database)
        snapshot = Snapshot(
            study=await views.study(database),
            engine=engine,
            pid=pid,
            paused=await views.paused(database, engine),
            experiments=rows,
            incumbent=incumbent,
            pinned=None if first else await views.pinned(database, rows, incumbent),
            decision=await views.last_decision(database),
            frontier=drawn,
            keeps=await views.keeps(database),
            agreement=tuple(await views.agreement(database)),
            reference=tuple(reference),
            account=NOTHING if first else await _account(database, before, count=count, whole=whole),
            limits=tuple(await budgets.read(database)),
            seconds={} if first else await _seconds(database, before if same else None),
            running=tuple(await views.unfinished_runs(database)),
            reruns=frozenset(one.experiment for one in await views.reruns(database)),
            events=told,
            made=before.made if before else Made(),
        )
    if pid is None and engine is not None and engine.ended_at is None:
        return replace(
            snapshot,
            died=await asyncio.to_thread(spawn.last_word, place, engine.started_at, told[-1].at if told else 0.0),
        )
    return snapshot


async def _experiments(database: Database, before: Snapshot | None, *, first: bool) -> Sequence[Experiment]:
    if first:
        return Some(await views.count(database), await views.first_looked_at(database))
    if before is None:
        return tuple(await views.experiments(database))
    return await views.renewed(database, before.experiments, before.last_event)


async def _account(database: Database, before: Snapshot | None, *, count: bool, whole: bool) -> Account:
    if not count and before:
        return before.account
    # What came of an earlier ledger is not kept beside a newer one: it would be read as what came of that.
    return await account.read(database) if whole else replace(NOTHING, ledger=await views.ledger(database))


async def _seconds(database: Database, before: Snapshot | None) -> Mapping[int, float]:
    if before is None:
        return await views.seconds(database)
    return {**before.seconds, **await views.seconds(database, before.last_event)}
