"""The processes of ours that the faces start: an engine that goes on without them, or one that answers and ends.

Each is `python -P -E -m MODULE`, with the study's folder as working directory: neither a user's own `loop.py` nor their
PYTHONPATH shadows ours; and in a session of its own, for a Ctrl-C is for who waits, not for what is under way. The one
that answers is still its starter's child, and is killed where the starter's event loop ends first.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

from store import views
from store.database import RecordTooOld, ask
from store.place import EngineRuns, Place, engine_pid, is_full
from store.trail import NOWHERE, Trail

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 1.0  # with who holds the lock and is no engine at work: it may live for one command only
LOG = "engine.log"  # in the study's folder: what an engine apart from the screen complains of
LOG_BYTES = 1_000_000  # one that is larger begins anew with the next engine
SAID_BYTES, SAID_CHARACTERS = 65_536, 500  # of its end: what is read of it, and what is said of its last line
CONFIGURATION, OTHER_ENGINE, MACHINE = 3, 4, 5  # exit statuses of `loop.detached`; 1 is Python's own, with a traceback


class Unstarted(Exception):
    """An engine that was started has ended at once. The message is its last word, `status` its exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


async def obey(place: Place, trail: Trail = NOWHERE) -> str:
    """An engine that answers what is pending, and ends. What it complained of."""
    words = _words(place, "loop.obey")
    with trail.running(words, place.folder, purpose="an engine that answers, and ends") as ran:
        process = await asyncio.create_subprocess_exec(
            *words, cwd=place.folder,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        _, errors = await process.communicate()
        ran.ended(process.returncode, errors)
    return _last_line(errors)


async def start(
    place: Place,
    experiments: int | None = None,
    seconds: float | None = None,
    trail: Trail = NOWHERE,
    *,
    with_changes: bool = False,
) -> int:
    """Start an engine that outlives its starter, and wait until it has opened the study. Its process id.

    Raises EngineRuns where there is one already, and Unstarted where it ends before that, or ends with an error.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (pid := await asyncio.to_thread(engine_pid, place.folder)) is not None:
        if time.monotonic() > deadline or await _has_opened(place, pid):
            raise EngineRuns(pid)
        await asyncio.sleep(POLL_SECONDS)
    options = [] if experiments is None else ["--experiments", str(experiments)]
    options += [] if seconds is None else ["--seconds", repr(seconds)]
    options += ["--with-changes"] if with_changes else []
    process, began = await asyncio.to_thread(_detached, place, _words(place, "loop.detached", *options), trail)
    while process.returncode is None:
        if await _has_opened(place, process.pid):
            return process.pid
        await asyncio.sleep(POLL_SECONDS)
    if process.returncode == 0:  # there was nothing to do
        return process.pid
    if process.returncode == OTHER_ENGINE:
        raise EngineRuns(await asyncio.to_thread(engine_pid, place.folder))
    said = await asyncio.to_thread(_said, place.folder / LOG, began)
    ended = f"it ended with exit status {process.returncode}, and says nothing"
    raise Unstarted(_last_line(said).removeprefix("cockpit: ") or ended, process.returncode)


def last_word(place: Place, began_at: float, heard_at: float) -> str:
    """Why an engine that began at a moment is gone, as far as that can be known. It was heard last at another one."""
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    if booted_at > heard_at:
        return "the machine went down, and was started again"
    log = place.folder / LOG
    if log.is_file() and log.stat().st_mtime >= began_at and (said := _last_line(_said(log, 0))):
        return said.removeprefix("cockpit: ")
    if is_full(place.folder):
        return "it left no word, and the disk is full"
    return "it was killed, and left no word"


def _words(place: Place, module: str, *options: str) -> list[str]:
    return [sys.executable, "-P", "-E", "-m", module, str(place.root), *options]


def _detached(place: Place, words: list[str], trail: Trail) -> tuple["subprocess.Popen[bytes]", int]:
    """A process that is nobody's: not asyncio's, which would kill it with its loop. And where in the log it begins."""
    place.folder.mkdir(parents=True, exist_ok=True)
    with (place.folder / LOG).open("ab") as log:
        if os.fstat(log.fileno()).st_size > LOG_BYTES:
            log.truncate(0)
        began = os.fstat(log.fileno()).st_size
        process = subprocess.Popen(
            words, cwd=place.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    ran = trail.goes_on(words, place.folder, process.pid, purpose="the engine")

    def wait() -> None:
        status = process.wait()
        try:
            said = _last_line(_said(place.folder / LOG, began))
        except OSError:  # the study is gone
            said = ""
        ran.ended(status, said)

    Thread(target=wait, daemon=True).start()  # so that it is no zombie, should it end before its starter
    return process, began


async def _has_opened(place: Place, pid: int) -> bool:
    """Whether the study's engine is this process, and has said so in the record."""
    if await asyncio.to_thread(engine_pid, place.folder) != pid:
        return False
    try:
        life = await ask(place, views.last_engine, None)
    except (RecordTooOld, sqlite3.OperationalError):  # it is just making the record, or bringing it to its version
        return False
    return life is not None and life.pid == pid and life.ended_at is None


def _said(log: Path, began: int) -> bytes:
    """The end of what the log holds from there on."""
    with log.open("rb") as source:
        source.seek(max(began, os.fstat(source.fileno()).st_size - SAID_BYTES))
        return source.read(SAID_BYTES)


def _last_line(text: bytes) -> str:
    return (text.decode(errors="replace").strip().splitlines() or [""])[-1][:SAID_CHARACTERS]
