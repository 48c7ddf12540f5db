"""How fast and how quiet the screen is, on a real pseudo-terminal. `make bench-screen` runs it: about four minutes.

Three programs take turns on a terminal of 120x40: the screen, with a study of 10,000 experiments; the same study in
Textual's own widgets (`stock.py`); and a Textual app that says one word. The terminal is this program: it answers what
a modern terminal answers, notes when each byte came, and draws nothing. Times are until the frame is whole.
"""

import argparse
import asyncio
import fcntl
import math
import os
import platform
import pty
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Condition, Thread

from store import views
from store.database import ask
from store.place import Place
from tests.bench import large

COLUMNS, ROWS = 120, 40
FEW = 200  # experiments of the study that is live
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("ready")
Empty().run()
"""
ASKS_SYNC, HAS_SYNC, FRAME_END = b"\x1b[?2026$p", b"\x1b[?2026;2$y", b"\x1b[?2026l"
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
NAMES = re.compile(rb"e\d{4,} ")
ROWS_SEEN = 10  # experiments on the terminal, from which on there is something to look at
QUIET_SECONDS = 0.3  # without a byte: what was asked for is done
PATIENCE_SECONDS = 60.0
DIFF_PATIENCE_SECONDS = 20.0  # a large diff takes stock widgets longer
TICK = os.sysconf("SC_CLK_TCK")
Seen = Callable[[bytes], bool]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *words: str) -> None:
        self._here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        left_out = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
        variables = {name: value for name, value in os.environ.items() if name not in left_out}
        variables |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.data = bytearray()
        self._pieces: list[tuple[int, float]] = []  # where in the data a piece ends, and when it came
        self._more = Condition()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *words], stdin=there, stdout=there, stderr=there, env=variables, start_new_session=True
        )
        os.close(there)
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._here, 65_536):
                with self._more:
                    self.data += piece
                    self._pieces.append((len(self.data), time.perf_counter()))
                    self._more.notify_all()
                if ASKS_SYNC in piece:
                    os.write(self._here, HAS_SYNC)
        except OSError:  # the program has ended
            pass

    def wait(self, seen: Seen, since: int = 0, patience: float = PATIENCE_SECONDS) -> float:
        """When the frame was whole in which this is seen, of what has come since. Raises RuntimeError after so long."""
        until = time.monotonic() + patience
        with self._more:
            looked = since
            while True:
                if looked < len(self.data):
                    looked = len(self.data)
                    came = bytes(self.data[since:])
                    if seen(CONTROL.sub(b"", came)) and (FRAME_END in came or ASKS_SYNC not in self.data):
                        return self._pieces[-1][1]
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"not seen: the end of what came is {CONTROL.sub(b' ', self.data[-2000:])!r}")
                self._more.wait(1.0)

    def settle(self, quiet: float = QUIET_SECONDS) -> float:
        """Wait until nothing has come for so long; when the last byte came."""
        with self._more:
            while self._more.wait(quiet):
                pass
            return self._pieces[-1][1] if self._pieces else self.began

    def press(self, key: str) -> int:
        """Send a key. Where in the data what follows begins."""
        at = len(self.data)
        os.write(self._here, key.encode())
        return at

    def cpu_seconds(self) -> float:
        """What it has used of the processor."""
        said = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / TICK

    def megabytes(self) -> float:
        """The most that it has held in memory."""
        said = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", said)[0]) * 1024 / 1e6

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._here)


@contextmanager
def opened(*words: str) -> Iterator[Terminal]:
    """A program on a terminal, ended at last."""
    terminal = Terminal(*words)
    try:
        yield terminal
    finally:
        terminal.close()


def rows(text: bytes) -> bool:
    """Whether experiments are listed."""
    return len(set(NAMES.findall(text))) >= ROWS_SEEN


def keyed(text: bytes) -> bool:
    """Whether it is said what keys do, which they do from then on."""
    return b" help" in text


def marked(text: bytes) -> bool:
    """Whether the cursor has come to a row."""
    return "▸e".encode() in text


def anything(text: bytes) -> bool:
    """Whether there is something."""
    return bool(text.strip())


# --- what is measured ------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What was measured, by what it is: of each program so many values."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, what: str, program: str, value: float) -> None:
        """One more."""
        self.values.setdefault(what, {}).setdefault(program, []).append(value)


@dataclass(frozen=True)
class Row:
    """A row of the table: what is measured, in what unit, and the most that it may be in the median."""

    what: str
    unit: str
    goal: float | None = None
    digits: int = 0


SCREEN, STOCK, NOTHING = "screen", "stock", "empty"
COUNTED = re.compile(rb"Earlier [\d,]+")  # the group of all others says how many it has
PAINT, RATIO, WHOLE = "first useful paint", "  times the empty app's", "all is read"
PANELS, PANELS_RATIO = "all panels, and keys", "  that, times the empty app's"
KEYS = {"j": "j", "G": "G", "g": "g", "PgDn": "\x1b[6~", "enter": "\r"} | {
    str(number): str(number) for number in range(1, 7)
}
STOCK_KEYS = {"j": "\x1b[B", "PgDn": "\x1b[6~"}
TABLE = (
    Row(PAINT, "ms"),
    Row(RATIO, "", 1.3, 2),
    Row(PANELS, "ms"),
    Row(PANELS_RATIO, "", None, 2),
    Row(WHOLE, "ms"),
    *(Row(f"key to paint: {name}", "ms", 50) for name in KEYS),
    Row("bytes: j", "kB", None, 1),
    Row("bytes: PgDn", "kB", 14, 1),
    Row("idle: bytes a second", "B", 0),
    Row("idle: of a core", "%", 1, 1),
    *(
        row
        for what in ("live", "live, its run shown", "live, with all these experiments")
        for row in (Row(f"{what}: bytes a second", "kB", 8, 1), Row(f"{what}: of a core", "%", 3, 1))
    ),
    Row("50,000 lines of diff: shown after", "ms"),
    Row("50,000 lines of diff: to the end", "ms", 50),
    Row("memory at most", "MB", 80),
    Row("memory at most, with the large diff", "MB"),
)


def programs(place: Place) -> dict[str, tuple[tuple[str, ...], Seen]]:
    """What takes turns, and what is seen when there is something to look at."""
    return {
        NOTHING: (("-c", EMPTY), lambda text: b"ready" in text),
        SCREEN: (("-m", "cockpit", "--readonly", str(place.root)), rows),
        STOCK: (("-m", "tests.bench.stock", str(place.root)), rows),
    }


def opening(place: Place, times: int, found: Figures) -> None:
    """From the start of the program until there is something to look at, one after the other, several times."""
    for _ in range(times):
        for name, (words, seen) in programs(place).items():
            with opened(*words) as terminal:
                found.add(PAINT, name, 1000 * (terminal.wait(seen) - terminal.began))
                if name == SCREEN:
                    found.add(PANELS, name, 1000 * (terminal.wait(keyed) - terminal.began))
                    read = terminal.wait(lambda text: bool(COUNTED.search(text)))
                    found.add(WHOLE, name, 1000 * (read - terminal.began))
        for name in (SCREEN, STOCK):
            own, empty = (found.values[PAINT][one][-1] for one in (name, NOTHING))
            found.add(RATIO, name, own / empty)
        found.add(PANELS_RATIO, SCREEN, found.values[PANELS][SCREEN][-1] / empty)


def _count(place: Place) -> int:
    """How many experiments the study has."""
    return asyncio.run(ask(place, views.count, 0))


def keys(terminal: Terminal, name: str, times: int, found: Figures) -> None:
    """From a key to the frame that answers it, and what was sent for it. Panels count until all of theirs has come."""
    every = KEYS if name == SCREEN else STOCK_KEYS
    for _ in range(times):
        for key, sent in every.items():
            terminal.settle()
            pressed = time.perf_counter()
            at = terminal.press(sent)
            came = terminal.wait(marked if name == SCREEN and key in ("j", "G", "g", "PgDn") else anything, at)
            if key.isdigit() or key == "enter":
                came = terminal.settle(0.06)
            found.add(f"key to paint: {key}", name, 1000 * (came - pressed))
            if key in ("j", "PgDn"):
                terminal.settle()
                found.add(f"bytes: {key}", name, (len(terminal.data) - at) / 1000)
        if name == SCREEN:
            terminal.press("1")


def resting(terminal: Terminal, name: str, seconds: float, found: Figures) -> None:
    """What it sends and uses while nothing happens, within a minute of the clock: ages change with that."""
    terminal.settle(1.0)
    if (left := 59 - time.time() % 60) < seconds:
        time.sleep(left + 2)
        terminal.settle(1.0)
    at, used, began = len(terminal.data), terminal.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    found.add("idle: bytes a second", name, (len(terminal.data) - at) / took)
    found.add("idle: of a core", name, 100 * (terminal.cpu_seconds() - used) / took)


def large_diff(terminal: Terminal, name: str, found: Figures) -> None:
    """The one before the last of the list: until lines of its diff are there; then to the end of them."""
    if name == STOCK:
        for sent in ("\x1b[1;5H", "\x1b[B"):
            terminal.press(sent)
            terminal.settle()
    else:
        for sent in ("3", "1", "G"):
            terminal.press(sent)
            terminal.settle()
    began = time.perf_counter()
    at = terminal.press("k" if name == SCREEN else "\r")
    try:
        came = terminal.wait(lambda text: b"row_3 = 3" in text or b"+50000" in text, at, DIFF_PATIENCE_SECONDS)
    except RuntimeError:
        came = math.inf
    found.add("50,000 lines of diff: shown after", name, 1000 * (came - began))
    if name == SCREEN:
        terminal.settle()
        terminal.press("3")
        terminal.settle()
        began = time.perf_counter()
        at = terminal.press("G")
        last = f"row_{large.CHANGED_LINES // 10 - 1}".encode()  # of the last ten
        found.add(
            "50,000 lines of diff: to the end", name, 1000 * (terminal.wait(lambda text: last in text, at) - began)
        )
    found.add("memory at most, with the large diff", name, terminal.megabytes())


def standing(place: Place, times: int, seconds: float, found: Figures) -> None:
    """What is measured of a study in which nothing happens."""
    whole = f"{_count(place)} experiments".encode()
    for name in (SCREEN, STOCK):
        words, seen = programs(place)[name]
        with opened(*words) as terminal:
            terminal.wait(seen)
            terminal.wait(lambda text: whole in text)
            terminal.settle(1.0)
            keys(terminal, name, times, found)
            resting(terminal, name, seconds, found)
            found.add("memory at most", name, terminal.megabytes())
            large_diff(terminal, name, found)


async def living(place: Place, shown: Mapping[str, Sequence[tuple[str, str]]], seconds: float, found: Figures) -> None:
    """What it sends and uses while the study goes on at two updates a second; what is `shown`, by which program."""
    for what, name, key in ((what, *one) for what, those in shown.items() for one in those):
        words, seen = programs(place)[name]
        with opened(*words) as terminal:
            await asyncio.to_thread(terminal.wait, seen)
            goes_on = asyncio.create_task(large.go_on(place, seconds + 4, 0.5))
            await asyncio.sleep(1.0)
            for sent in key:
                terminal.press(sent)
                await asyncio.sleep(0.3)
            await asyncio.sleep(2.0)
            at, used, began = len(terminal.data), terminal.cpu_seconds(), time.monotonic()
            await asyncio.sleep(seconds)
            took = time.monotonic() - began
            found.add(f"{what}: bytes a second", name, (len(terminal.data) - at) / took / 1000)
            found.add(f"{what}: of a core", name, 100 * (terminal.cpu_seconds() - used) / took)
            await goes_on


# --- the table -------------------------------------------------------------------------------------------------------


def cell(row: Row, values: Sequence[float] | None) -> str:
    """The median, and between what the values lie."""
    if not values:
        return "–"
    if math.inf in values:
        return f"over {1000 * DIFF_PATIENCE_SECONDS:.0f}"
    middle = f"{statistics.median(values):.{row.digits}f}"
    spread = f" ({min(values):.{row.digits}f} to {max(values):.{row.digits}f})" if len(values) > 1 else ""
    return f"{middle}{spread}"


def table(found: Figures) -> str:
    """What was measured, with the goal beside each."""
    lines = ["| | unit | goal | | screen | stock widgets | empty app |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in TABLE:
        if values := found.values.get(row.what):
            own = values.get(SCREEN)
            reached = "" if row.goal is None or not own else "ok" if statistics.median(own) <= row.goal else "short"
            goal = "" if row.goal is None else f"≤ {row.goal:g}" if row.goal else "0"
            cells = (cell(row, values.get(name)) for name in (SCREEN, STOCK, NOTHING))
            lines.append(f"| {row.what} | {row.unit} | {goal} | {reached} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measure(experiments: int, times: int, seconds: float, folder: Path, found: Figures) -> None:
    """All of it, with a study of so many experiments."""
    place = asyncio.run(large.make(folder / "large", experiments))
    opening(place, times, found)
    standing(place, times, seconds, found)
    small = asyncio.run(large.make(folder / "small", min(FEW, experiments)))
    shown = {"live": [(SCREEN, ""), (STOCK, "")], "live, its run shown": [(SCREEN, "4w")]}
    asyncio.run(living(small, shown, seconds, found))
    asyncio.run(living(place, {"live, with all these experiments": [(SCREEN, ""), (STOCK, "")]}, seconds, found))


def main() -> None:
    """The whole."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--experiments", type=int, default=10_000, metavar="N", help="of the study; 10,000 unless told")
    asked.add_argument("--times", type=int, default=5, metavar="N", help="that each is measured; 5 unless told")
    asked.add_argument("--seconds", type=float, default=10.0, metavar="N", help="that is looked on; 10 unless told")
    given = asked.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, Textual {version('textual')}; ", end="")
    print(
        f"{given.experiments:,} experiments on {COLUMNS}x{ROWS}; medians, and from the least to the most\n", flush=True
    )
    found = Figures()
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure(given.experiments, given.times, given.seconds, Path(folder), found)
    finally:
        print(table(found))


if __name__ == "__main__":
    main()
