"""What is read of a run: its rows in the record, and what its folder holds, also while it goes on.

Logs are read on from where they were read last, at most eight million bytes a look. What a folder says is foreign:
behind no wall, the code under test can write there too.
"""

import asyncio
import json
import os
import re
import sqlite3
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from cockpit.logs import stage_logs
from cockpit.series import LARGEST, MOST_METRICS, Curve, Series
from cockpit.text import LONGEST_LINE
from cockpit.view import Source, View, Want
from store import views
from store.records import Outcome, Run

LOOK_BYTES = 8_000_000  # of a log, at one look: of one that has grown by more, the last
KEPT_LINES = 20_000  # of a log
KEPT_COLUMNS = 500  # of such a line
SAID_BYTES = 256_000  # of what a supervisor has written
STEPS = ("step", "global_step", "iter", "iteration")  # of a log, that are those of a file, too
CURVES_BYTES = 4_000_000  # of the curves of a run
FRESH_SECONDS = 5.0  # that its word about what is used holds
STAGE = re.compile(r"[\w-]{1,40}", re.ASCII)


# --- the record ------------------------------------------------------------------------------------------------------


class History(Struct, frozen=True):
    """The runs of an experiment, oldest first; and the good ones of trunk."""

    runs: Sequence[Run]
    trunk: Sequence[Run]


class Runs(Want[History | str], frozen=True):
    """The runs of an experiment, beside trunk's."""

    of_the_record: ClassVar[bool] = True
    experiment: int
    trunk: int

    async def read(self, source: Source) -> History | str:
        """Ask the record."""
        try:
            runs = await views.runs(source.database, self.experiment)
            trunk = runs if self.trunk == self.experiment else await views.runs(source.database, self.trunk)
            good = [run for run in trunk if run.outcome is Outcome.OK]
            return History(runs, good)
        except (sqlite3.Error, ValueError) as error:  # it is being closed
            return f"its runs cannot be read: {error}"


def history(view: View, experiment: int) -> History | str | None:
    """The runs of an experiment; what goes on as it is now."""
    known = view.get(Runs(experiment, view.study.incumbent))
    if not isinstance(known, History):
        return known
    now = {run.id: run for run in view.study.running if run.experiment == experiment}
    runs = [now.pop(run.id, run) for run in known.runs]
    return replace(known, runs=[*runs, *now.values()])


# --- the folder ------------------------------------------------------------------------------------------------------


class Log(Struct, frozen=True):
    """What was read of the log of a stage. A progress bar is one line: its last state."""

    stage: str
    lines: Sequence[str] = ()  # the last ones, whole
    open: str = ""  # the one that is not ended
    offset: int = 0  # where to read on
    unread: int = 0  # bytes before what was read
    dropped: int = 0  # lines that were read, and are not kept
    series: Series = field(default_factory=Series)


class Use(Struct, frozen=True):
    """What the stage under way uses. What is not measured is None."""

    held_bytes: float | None
    peak_bytes: float | None
    cores: float | None
    of_cores: float | None
    device_bytes: float | None
    joules: float | None


class Seen(Struct, frozen=True):
    """What a run's folder held when it was looked at."""

    logs: Sequence[Log] = ()
    stages: Sequence[str] = ()  # that the run is to have
    limit_seconds: Mapping[str, float] = field(default_factory=dict)
    stage: str = ""  # that is under way
    since: float = 0.0  # when that began
    ended: Sequence[str] = ()  # the stages before it
    use: Use | None = None
    lack: str = ""  # why there is nothing to see
    written: Mapping[str, Curve] = field(default_factory=dict)  # of what it has left in files, once it has ended

    @property
    def logged(self) -> Series:
        """The metrics of the log of the first stage, which trains."""
        return self.logs[0].series if self.logs else Series()

    @property
    def series(self) -> Series:
        """The metrics of that log; before them those that the run has left in files."""
        said = self.logged
        if not self.written:
            return said
        beside = said.curves if said.word in STEPS else {}  # what has other steps has no place beside them
        end = max(one.points[-1][0] for one in self.written.values())
        return Series({**self.written, **{n: one for n, one in beside.items() if n not in self.written}}, "step", end)


class Watched(Want[Seen], frozen=True):
    """What the folder of a run holds."""

    run: int
    folder: str  # relative to the study's

    async def read(self, source: Source) -> Seen:
        """Look, in a thread; on from where one looked last, be it while the run was under way."""
        twin = Watching(self.run, self.folder)
        before = source.before.get(self) or source.before.get(twin) or Seen()
        return await asyncio.to_thread(look, source.place.folder / self.folder, before, time.time())


class Watching(Watched, frozen=True):
    """The same of a run that is under way."""

    every_seconds: ClassVar[float | None] = 0.5


def watched(run: Run, alive: bool) -> Watched:
    """What is to be read of a run's folder. `alive`: an engine runs, and what it has not closed goes on."""
    return (Watching if run.outcome is None and alive else Watched)(run.id, run.folder)


def seen(view: View, run: Run) -> Seen | None:
    """What was seen of a run; what was seen of it last, while it is looked at again."""
    alive = view.study.pid is not None
    return view.get(watched(run, alive)) or view.get(Watching(run.id, run.folder))


def look(folder: Path, before: Seen, now: float) -> Seen:
    """Look into the folder of a run, where one has looked before."""
    try:
        if not folder.is_dir():
            return Seen(lack=f"its folder is gone: {folder.name}")
        spec, status = _said(folder / "spec.json"), _said(folder / "status.json")
        limits = {one["name"]: _number(one.get("timeout_seconds")) or 0.0 for one in _stages(spec)}
        names = list(limits) or [log.stem for log in stage_logs(folder)]
        known = {log.stage: log for log in before.logs}
        logs = [read for name in names if (read := read_log(folder / f"{name}.log", known.get(name, Log(name))))]
        begun = _stages(status)
        last: dict[str, Any] = next(reversed(begun), {})
        going = bool(last) and "ended_by" not in last and not status.get("ended")
        stage = last["name"] if going else ""
        since = _number(last.get("started_at")) or 0.0
        ended = [one["name"] for one in begun if "ended_by" in one]
        use = _use(_said(folder / "now.json"), stage, now)
        written = {} if going else _curves(_said(folder / "curves.json", CURVES_BYTES))  # written once it has ended
        return Seen(logs, names, limits, stage, since, ended, use, written=written)
    except OSError as error:
        return Seen(lack=f"its folder cannot be read: {error.strerror or error}")


def read_log(path: Path, before: Log) -> Log | None:
    """Read on in a log. None where there is none, and where it is no file."""
    if (file := _opened(path)) is None:
        return None
    with file:
        there = os.fstat(file.fileno()).st_size
        if before.offset > there:  # it is another one
            before = Log(before.stage)
        if (start := there - LOOK_BYTES) > before.offset:
            before = Log(before.stage, offset=start, unread=start)
        file.seek(before.offset)
        data = file.read(LOOK_BYTES)
    # What is not ended is read again, unless it is too long to be a line.
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    end = end if end or len(data) <= 4 * LONGEST_LINE else len(data)
    read = taken(before, data[:end].decode(errors="replace")) if end else before
    more = data[end:].decode(errors="replace")[:KEPT_COLUMNS]
    return replace(read, offset=before.offset + end, open=more if more.strip() else read.open)


def taken(before: Log, text: str) -> Log:
    """A log, and more of it. What a carriage return begins anew is another state of the same line."""
    parts = text.split("\n")
    parts[0] = f"{before.open}\r{parts[0]}" if before.open else parts[0]
    every = [[state for state in part.split("\r") if state.strip()] for part in parts]
    shown = [(states[-1] if states else "")[:KEPT_COLUMNS] for states in every]
    fresh = (state for index, states in enumerate(every) for state in states[1 if before.open and not index else 0 :])
    lines = [*before.lines, *shown[:-1]]
    dropped = max(0, len(lines) - KEPT_LINES)
    return replace(
        before, lines=lines[dropped:], open=shown[-1], dropped=before.dropped + dropped,
        series=before.series.after(fresh),
    )  # fmt: skip


def _opened(path: Path) -> BinaryIO | None:
    """A file that is one: no link, which leads elsewhere, and no pipe, which may never end. None where it is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def _said(path: Path, most: int = SAID_BYTES) -> dict[str, Any]:
    """What a supervisor, or the engine, has written; nothing where it is not whole."""
    if (file := _opened(path)) is None:
        return {}
    try:
        with file:
            said = json.loads(file.read(most))
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _stages(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that have a name."""
    every = said.get("stages")
    return [
        one
        for one in (every if isinstance(every, list) else [])
        if isinstance(one, dict) and isinstance(one.get("name"), str) and STAGE.fullmatch(one["name"])
    ]


def _curves(said: Mapping[str, Any]) -> dict[str, Curve]:
    """What the engine has read of a run's files, by metric."""
    found: dict[str, Curve] = {}
    for name, points in list(said.items())[:MOST_METRICS]:
        try:
            every = [(float(x), float(y)) for x, y in points]
        except (TypeError, ValueError, OverflowError):  # where there is no wall, it can be written over
            continue
        if every and all(abs(x) <= LARGEST and abs(y) <= LARGEST for x, y in every):
            found[name] = Curve(every, every[-1], count=len(every))
    return found


def _number(value: object) -> float | None:
    """A number of a size that can be one."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e18
    return float(value) if sound else None  # type: ignore[arg-type]


def _use(said: Mapping[str, Any], stage: str, now: float) -> Use | None:
    """What a stage uses, where its supervisor has just said so."""
    at = _number(said.get("at"))
    if not stage or said.get("stage") != stage or at is None or abs(now - at) > FRESH_SECONDS:
        return None
    return Use(
        *(_number(said.get(key)) for key in ("bytes", "peak_bytes", "cores", "of_cores", "device_bytes", "joules"))
    )
