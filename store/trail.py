"""The trail: a line for every process that cockpit starts for a study, in `processes.jsonl` in the study's folder.

The engine, screens and commands at a shell write it, each line by one append to the file's end, so none of them waits
for another one. Nothing depends on it: no disk is waited for, and what cannot be written fails nobody's command. How
often it could not is a line too, the next that can. A file that is too large takes the place of the older one.

What stood in variables, or was written to a process, is not in it. Of what lives long, or outlives who started it,
there are two lines: that it was started, and how it ended, where anybody was there to see it.
"""

import errno
import fcntl
import json
import math
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

FILE, OLDER = "processes.jsonl", "processes.1.jsonl"
MOST_BYTES = 8_000_000  # of each of the two
ENGINE, SCREEN, SHELL = "engine", "screen", "shell"  # who starts them; and `run 12`, where a run's supervisor does
WORD_CHARACTERS, ARGV_CHARACTERS = 400, 1_600  # of a word, and of all of them: the beginning and the end are kept
SAID_CHARACTERS = 300
TAIL_BYTES, KEPT_LINES = 4_000_000, 30_000  # of what is looked at: at first, and at all
FOREVER = 1e11  # seconds since 1970, and then some
WHOLE = b'{"at":', b"}\n"  # how a line begins and ends; another one was torn
READS = b'"reads":true'  # in a line; in what a process was given the quotes would be escaped


class Ran(Struct, frozen=True):
    """A process, as its line has it. One that goes on has no seconds, one that could not be started no status.

    A line that counts what was `missed` is about no process: `said` is why.
    """

    at: float  # when it was started
    who: str
    argv: tuple[str, ...] = ()
    folder: str = ""
    purpose: str = ""  # where its words do not say it
    reads: bool = False  # it changes nothing: it only reads
    pid: int | None = None  # of one that goes on, where it is known
    status: int | None = None  # minus the signal's number where one ended it
    seconds: float | None = None
    asked: bool = False  # to end, by cockpit
    said: str = ""  # of one that failed: what it said first; of one that was asked to end: why
    missed: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether it had only been started."""
        return self.seconds is None and not self.missed

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than well, and not because it was asked to, or could not be started."""
        return not self.goes_on and self.status != 0 and not self.asked

    @property
    def written_at(self) -> float:
        """When its line was written: at its end, or at its start where it goes on."""
        return self.at + (self.seconds or 0.0)


class Started:
    """A process that is under way."""

    def __init__(self, trail: "Trail", facts: dict[str, Any]) -> None:
        self.facts = facts
        self._trail = trail
        self._began = time.monotonic()
        self.is_over = False

    def ended(self, status: int | None, said: str | bytes = "", *, asked: bool = False) -> None:
        """Write how it ended; no status is one that was never started. Of what it said, one line of a failure."""
        self.is_over = True
        facts = {**self.facts, "status": status, "seconds": round(time.monotonic() - self._began, 4)}
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        if asked:
            facts["asked"] = True
        self._trail.write({**facts, "said": _first(text)} if status != 0 else facts)


class Trail:
    """What one process of ours adds to the trail of a study. Without a folder it is kept nowhere."""

    def __init__(self, folder: Path | None, who: str) -> None:
        self.folder, self.who = folder, who
        self._missed, self._why = 0, ""

    @contextmanager
    def running(
        self, argv: Iterable[str | os.PathLike[str]], folder: Path | str = "", *, purpose: str = "", reads: bool = False
    ) -> Iterator[Started]:
        """A process is started in a folder, by default its starter's, and waited for.

        What is raised before it has ended is why it could not be started.
        """
        one = Started(self, _facts(time.time(), self.who, argv, folder, purpose, reads=reads))
        try:
            yield one
        except Exception as error:
            if not one.is_over:
                one.ended(None, str(error))
            raise
        except BaseException:  # it is broken off
            if not one.is_over:
                one.ended(None, "nobody waited for it any more", asked=True)
            raise

    def goes_on(
        self,
        argv: Iterable[str | os.PathLike[str]],
        folder: Path | str,
        pid: int | None,
        *,
        purpose: str = "",
        who: str = "",
    ) -> Started:
        """A process was started that lives long, or outlives this one: write that now."""
        one = Started(self, _facts(time.time(), who or self.who, argv, folder, purpose))
        self.write({**one.facts, "pid": pid})
        return one

    def ran(
        self,
        at: float,
        who: str,
        argv: Iterable[str],
        folder: str,
        status: int | None,
        seconds: float,
        *,
        purpose: str = "",
        said: str = "",
    ) -> None:
        """Another one has started a process, and it has ended."""
        facts = {**_facts(at, who, argv, folder, purpose), "status": status, "seconds": round(seconds, 4)}
        self.write({**facts, "said": _first(said)} if status != 0 else facts)

    def write(self, facts: dict[str, Any]) -> None:
        """Write a line. Nothing is raised."""
        if self.folder is None:
            return
        every = [facts]
        if self._missed:
            every.insert(0, {"at": facts["at"], "who": self.who, "missed": self._missed, "said": self._why})
        # In ASCII: names of files may hold what is no letter in any encoding.
        lines = [json.dumps(one, ensure_ascii=True, separators=(",", ":")) + "\n" for one in every]
        try:
            _append(self.folder, "".join(lines).encode())
            self._missed = 0
        except OSError as error:
            self._missed, self._why = self._missed + 1, error.strerror or str(error)


NOWHERE = Trail(None, "")  # of who keeps nothing, as a screen that only looks


def _facts(
    at: float,
    who: str,
    argv: Iterable[str | os.PathLike[str]],
    folder: Path | str,
    purpose: str,
    *,
    reads: bool = False,
) -> dict[str, Any]:
    facts: dict[str, Any] = {"at": round(at, 3), "who": who, "argv": _cut([os.fspath(word) for word in argv])}
    facts["folder"] = str(folder)
    if purpose:
        facts["for"] = _short(purpose, WORD_CHARACTERS)
    return {**facts, "reads": True} if reads else facts


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cut(argv: Sequence[str]) -> list[str]:
    """Words that are not too long, and of too many those at the beginning and at the end."""
    words = [_short(word, WORD_CHARACTERS) for word in argv]
    if sum(map(len, words)) <= ARGV_CHARACTERS:
        return words
    head, tail = [_fitting(some) for some in (words, reversed(words))]
    return [*head, f"… {len(words) - len(head) - len(tail)} left out …", *reversed(tail)]


def _fitting(words: Iterable[str]) -> list[str]:
    """The first of these, as many as half the room is enough for."""
    found, room = list[str](), ARGV_CHARACTERS // 2
    for word in words:
        if (room := room - len(word)) < 0:
            break
        found.append(word)
    return found


def _first(said: str) -> str:
    """The line that says why: the first; of a traceback the last."""
    lines = [text for text in said.splitlines() if text.strip()] or [""]
    return _short(lines[-1 if lines[0].startswith("Traceback") else 0].strip(), SAID_CHARACTERS)


def opened(path: Path, how: int = os.O_RDONLY) -> int:
    """A file, and not what something has laid in its place: a link, or a pipe that nobody reads. Raises OSError."""
    descriptor = os.open(path, how | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return descriptor


def _append(folder: Path, text: bytes) -> None:
    """Write at the end of the file, in one go. Raises OSError."""
    for _ in range(3):
        try:
            descriptor = opened(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        except FileNotFoundError:
            if not folder.parents[1].is_dir():  # the repository is gone, and does not come back by this
                raise
            folder.mkdir(parents=True, exist_ok=True)  # the study begins
            continue
        try:
            size = os.fstat(descriptor).st_size
            if size + len(text) > MOST_BYTES and _turned_over(folder, descriptor):
                continue
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = b"\n" + text  # what stands there was torn
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, "no room for a whole line")
            return
        finally:
            os.close(descriptor)
    raise OSError(errno.ENOENT, "it is gone as soon as it is made")


def _turned_over(folder: Path, descriptor: int) -> bool:
    """Put a file out of the way that is too large. False where another one does that just now, or has done so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(FileNotFoundError):  # another one has just done so
        if os.lstat(folder / FILE).st_ino == os.fstat(descriptor).st_ino:
            (folder / FILE).replace(folder / OLDER)
    return True


# --- reading ---------------------------------------------------------------------------------------------------------


def parse(text: bytes) -> Ran | None:
    """What a line says; None where it was torn, or is not of ours."""
    try:
        said = json.loads(text)
        argv, folder, what = said.get("argv", []), said.get("folder", ""), said.get("for", "")
        pid, status, seconds = said.get("pid"), said.get("status"), said.get("seconds")
        missed, words = said.get("missed", 0), said.get("said", "")
        whole = (
            all(type(word) is str for word in (said["who"], folder, what, words, *argv))
            and all(type(number) in (int, type(None)) for number in (pid, status))
            and type(missed) is int
            and _is_time(said["at"])
            and (seconds is None or _is_time(seconds))
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not whole:
        return None
    reads, asked = said.get("reads") is True, said.get("asked") is True
    return Ran(said["at"], said["who"], tuple(argv), folder, what, reads, pid, status, seconds, asked, words, missed)


def _is_time(number: Any) -> bool:
    return type(number) in (int, float) and math.isfinite(number) and 0 <= number < FOREVER


def everything(folder: Path) -> Iterator[Ran]:
    """All that is kept of a study, oldest first. Raises OSError where it cannot be read."""
    for name in (OLDER, FILE):
        try:
            descriptor = opened(folder / name)
        except FileNotFoundError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            yield from filter(None, map(parse, file))


class Tail(Struct, frozen=True):
    """The newest lines, as they are in the file. Each has a number, which it keeps."""

    lines: Sequence[bytes] = ()
    first: int = 0  # the number of the first of them
    unread: int = 0  # bytes that stand before them
    lack: str = ""  # why it cannot be read
    file: int = 0  # in which it was read last, and as far as where
    offset: int = 0

    @property
    def end(self) -> int:
        """The number that the next line will have."""
        return self.first + len(self.lines)

    def ran(self, number: int) -> Ran:
        """What the line of a number says."""
        return parse(self.lines[number - self.first]) or Ran(0.0, "", said="this line cannot be read")


def grow(folder: Path, before: Tail) -> Tail:
    """What there is now; the same where nothing has been added. Nothing is raised."""
    try:
        return _grown(folder, before)
    except FileNotFoundError:  # nothing was started yet; or it is being turned over
        return before
    except OSError as error:
        return replace(before, lack=f"{FILE} cannot be read: {error.strerror or error}")


def _grown(folder: Path, before: Tail) -> Tail:
    descriptor = opened(folder / FILE)
    try:
        facts = os.fstat(descriptor)
        if facts.st_ino == before.file:
            if facts.st_size <= before.offset and not before.lack:
                return before
            lines, unread, offset = _read(descriptor, before.offset, TAIL_BYTES)
        else:
            lines, unread, offset = _read(descriptor, 0, TAIL_BYTES)
            if not unread:
                rest, unread = _rest(folder, before, TAIL_BYTES - offset)
                lines = [*rest, *lines]
    finally:
        os.close(descriptor)
    every, first = [*before.lines, *lines], before.first
    if len(every) > KEPT_LINES:
        first += len(every) - KEPT_LINES * 3 // 4
        every = every[-(KEPT_LINES * 3 // 4) :]
    return Tail(every, first, before.unread + unread, "", facts.st_ino, offset)


def _rest(folder: Path, before: Tail, most: int) -> tuple[list[bytes], int]:
    """What the older file holds that was not read yet, and how much of it is left unread."""
    try:
        descriptor = opened(folder / OLDER)
    except OSError:
        return [], 0
    try:
        followed = os.fstat(descriptor).st_ino == before.file
        return _read(descriptor, before.offset if followed else 0, most)[:2]
    finally:
        os.close(descriptor)


def _read(descriptor: int, start: int, most: int) -> tuple[list[bytes], int, int]:
    """The whole lines from there on, of more than so many bytes the last; what is left unread, and where they end."""
    size = os.fstat(descriptor).st_size
    begin = max(start, size - most)
    text = os.pread(descriptor, size - begin, begin)
    if begin > start:  # in the middle of a line
        cut = text.find(b"\n") + 1
        begin, text = begin + cut, text[cut:]
    text = text[: text.rfind(b"\n") + 1]
    lines = [one for one in text.splitlines(keepends=True) if one.startswith(WHOLE[0]) and one.endswith(WHOLE[1])]
    return lines, begin - start, begin + len(text)
