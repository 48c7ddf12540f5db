"""Start the supervisor of a run, follow it, end it; and the same for one that an earlier engine started.

Adoption rests on one lock: the engine locks `runs/<id>/lock` before it spawns the supervisor, passes the descriptor on
and closes its own copy. Locked means that the supervisor lives. Unlocked means that the *supervisor* is gone, not that
all of the run is: sweep first, then read what `status.json` says.
"""

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from loop.run import supervisor
from loop.run.supervisor import AT_ONCE, WITH_GRACE, asks_gpus, start_ticks
from store.trail import NOWHERE, Trail, opened

HERE = Path(supervisor.__file__).parent
TAG = "COCKPIT_RUN_FOLDER"  # in the environment of every process of a run: by it a sweep knows them
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")  # of the engine's variables, for the supervisor itself
POLL_SECONDS = 0.05
WORD_SECONDS = 5.0  # for a supervisor's first word, and for what has been killed to be gone
LOG_LIMIT_BYTES = 64 * 2**20
SPEC_BYTES = 2**20
FOREVER = 1e11  # seconds since 1970, and then some


class Command(Struct, frozen=True):
    """What the supervisor runs for one stage."""

    name: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    timeout_seconds: float
    walled: bool = False  # whether `argv` is that of a wall around the stage's own program
    reads: str | None = None  # the folder of what the code under test has left, where the stage takes it as data
    leaves: str | None = None  # a folder, where the size of what the stage leaves there is to be measured
    artifact: tuple[tuple[str, str], ...] = ()  # or where that is which counts: folders, each with a name in it
    asked: tuple[str, str] | None = None  # files: of the questions that it reads, and of the answers that it gives

    @property
    def log(self) -> str:
        """The stage's log, relative to the run folder."""
        return f"{self.name}.log"


def locked(folder: Path) -> bool:
    """Whether the supervisor of a run folder lives."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def status(folder: Path) -> dict[str, Any] | None:
    """What the supervisor last wrote, or None before its first word, and where something else wrote over it."""
    try:
        said = json.loads((folder / "status.json").read_text())
    except (OSError, ValueError):
        return None
    return said if _whole(said) else None


def _whole(said: Any) -> bool:
    """Whether this is what a supervisor writes: where there is no wall, the code under test can write there too."""
    try:
        ended = [stage for stage in said["stages"] if "ended_by" in stage]
        return (
            all(type(said[key]) is int for key in ("pid", "start_ticks"))
            and type(said["ended"]) is bool
            and all(type(stage["name"]) is str and "/" not in stage["name"] for stage in said["stages"])
            and all(
                type(stage[key]) is float and 0 <= stage[key] < FOREVER
                for stage in ended
                for key in ("started_at", "wall_seconds", "cpu_seconds")
            )
            and all(type(stage["exit_status"]) is int and type(stage["ended_by"]) is str for stage in ended)
            and all(
                type(path) is str and type(changed) is int
                for stage in ended
                for path, changed in stage.get("left_files") or ()
            )
            and all(type(stage["peak_bytes"]) in (int, type(None)) for stage in ended)
            and all(
                type(stage.get(key)) in (int, type(None))
                for stage in ended
                for key in ("left_bytes", "peak_device_bytes")
            )
            and all(
                (busy := stage.get("device_busy_share")) is None or (type(busy) is float and 0 <= busy <= 1)
                for stage in ended
            )
            and all(
                (joules := stage.get("energy_joules")) is None or (type(joules) is float and 0 <= joules < FOREVER)
                for stage in ended
            )
        )
    except (KeyError, TypeError, ValueError):
        return False


def begun(folder: Path, mark: float) -> bool:
    """Whether the supervisor of the run of this mark lives, or has lived: a lost record may have left another run's."""
    try:
        its_own = json.loads((folder / "spec.json").read_text()).get("mark", mark) == mark  # at first there was none
    except (OSError, ValueError, AttributeError):
        return False
    return its_own and (locked(folder) or (folder / "status.json").exists())


def command(folder: Path, stage: str) -> tuple[list[str], str]:
    """The words of a stage, and where it was started, as its supervisor was told; nothing where that is not there."""
    try:
        with os.fdopen(opened(folder / "spec.json"), "rb") as file:
            spec = json.loads(file.read(SPEC_BYTES))
        one = next(one for one in spec["stages"] if one["name"] == stage)
        return [str(word) for word in one["argv"]], str(one["cwd"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):  # where there is no wall, it can be written over
        return [], ""


class Start(Struct, frozen=True):
    """An effect: the start of a run. `begin` makes its fresh folder and supervisor, and leaves the mark there."""

    folder: Path
    mark: float
    begin: Callable[[], Awaitable[None]]
    unwanted: str = ""  # why it would be another run than the one that was wanted

    async def look(self) -> bool:
        """Whether its supervisor lives, or has lived: an ended folder is never started again."""
        return begun(self.folder, self.mark)

    async def hindrance(self) -> str:
        """Why it is not to be begun any more."""
        return self.unwanted

    async def do(self) -> None:
        """Start it, in a folder in which nothing is left of an earlier try. Raises GitError and OSError."""
        await self.undo()
        await self.begin()

    async def undo(self) -> None:
        """End what may have been begun, and put its folder away."""
        await put_away(self.folder)


async def start(
    folder: Path,
    commands: list[Command],
    mark: float,
    gpus: Mapping[str, object] | None = None,
    trail: Trail = NOWHERE,
) -> None:
    """Start the supervisor of a run folder, which asks these GPUs what they use. It lives on when this process dies."""
    stages = [{**asdict(command), "log": command.log} for command in commands]
    spec = {"mark": mark, "stages": stages, "log_limit_bytes": LOG_LIMIT_BYTES, "gpus": gpus}
    (folder / "spec.json").write_text(json.dumps(spec))
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with (folder / "supervisor.log").open("ab") as log:
            # Not by asyncio: its transport kills the child when the loop closes, and a supervisor lives on.
            words = [sys.executable, "-P", "-E", "-S", "-c", supervisor.PROGRAM, str(HERE), str(folder), str(lock)]
            process = await asyncio.to_thread(
                subprocess.Popen,
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                # No secret of the engine's; and by its tag it can be ended before it has said who it is.
                env={**{name: os.environ[name] for name in KEPT if name in os.environ}, TAG: str(folder)},
                pass_fds=(lock,),
                start_new_session=True,
            )
        who = f"run {folder.name.lstrip('0')}"
        ran = trail.goes_on(words, folder, process.pid, purpose=f"the supervisor of {who}")
        if gpus is not None:
            named = gpus["named"]
            assert isinstance(named, tuple)
            trail.goes_on(asks_gpus(named), folder, None, purpose=f"what {who} uses of GPUs", who=who)
        # So that it does not stay a zombie.
        threading.Thread(target=lambda: ran.ended(process.wait()), daemon=True).start()
    finally:
        os.close(lock)


async def gone(folder: Path) -> None:
    """Wait until the supervisor of a run folder is gone, then end what it may have left."""
    while locked(folder):
        await _ends(folder)
    await asyncio.to_thread(sweep, folder)


async def _ends(folder: Path) -> None:
    """Wait a moment, and no longer than the supervisor of a run folder lives, where it is known (pidfd_open(2))."""
    said, end = status(folder), asyncio.Event()
    process: int | None = None
    if said and start_ticks(said["pid"]) == said["start_ticks"]:
        with suppress(OSError):  # it has just ended, or the kernel has no such call
            process = os.pidfd_open(said["pid"])
    if process is not None:
        asyncio.get_running_loop().add_reader(process, end.set)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), POLL_SECONDS)
    finally:
        if process is not None:
            asyncio.get_running_loop().remove_reader(process)
            os.close(process)


async def put_away(folder: Path) -> None:
    """End what runs in a run folder and free its name; one in which nothing ever ran is deleted."""
    if folder.exists():
        await ask_to_end(folder, at_once=True)
        try:
            await asyncio.wait_for(gone(folder), WORD_SECONDS)
        except TimeoutError:  # it is stopped, or hangs
            await asyncio.to_thread(sweep, folder)
        if (folder / "status.json").exists():
            folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}"))
        else:
            await asyncio.to_thread(shutil.rmtree, folder)


async def ask_to_end(folder: Path, *, at_once: bool = False) -> None:
    """Ask a run's supervisor to end it, with a grace of three seconds or `at_once`."""
    deadline = time.monotonic() + WORD_SECONDS
    while status(folder) is None and locked(folder) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)  # it has just been started
    signal_supervisor(folder, AT_ONCE if at_once else WITH_GRACE)


def signal_supervisor(folder: Path, number: int) -> None:
    """Send a signal to a run's supervisor, if it lives and has said who it is."""
    said = status(folder)
    if said and locked(folder) and start_ticks(said["pid"]) == said["start_ticks"]:
        with suppress(ProcessLookupError):
            os.kill(said["pid"], number)


def end_at_once(folder: Path) -> None:
    """End a run without waiting for its end, from where nothing can be awaited any more."""
    deadline = time.monotonic() + WORD_SECONDS
    while locked(folder) and time.monotonic() < deadline:
        if status(folder) is not None:
            signal_supervisor(folder, AT_ONCE)  # it ends all that is below it, also what has shed the tag
            return
        sweep(folder)  # it has just been started
        time.sleep(POLL_SECONDS)


def sweep(folder: Path) -> None:
    """Kill every process that carries the tag of a run folder, however far it went; the kernel may hold one back."""
    mark, deadline = f"{TAG}={folder}".encode(), time.monotonic() + WORD_SECONDS
    while left := [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _tagged(entry, mark)]:
        if time.monotonic() > deadline:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _tagged(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or is not ours
