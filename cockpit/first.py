"""The first picture: the list of the experiments, before Textual is imported, which takes most of a start.

It stands where the screen draws it as soon as that is there, and is painted over then. No key is said in it, for none
does anything yet.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from types import FrameType
from typing import Any

from msgspec import Struct
from rich.console import COLOR_SYSTEMS, Console

from cockpit import bars, feed, rows
from cockpit.configuration import Configuration
from cockpit.feed import Snapshot
from cockpit.line import Line, painted, rule
from cockpit.listing import listed
from cockpit.panels import NAMES as TITLES
from cockpit.themes import chosen
from cockpit.twins import ascii_of
from cockpit.view import Arrangement, Choices, View, arrangement
from store import views
from store.database import Database, RecordTooNew, RecordTooOld
from store.place import Place

OTHER = "\x1b[?1049h"  # xterm's alternate screen
ENTER, LEAVE = f"{OTHER}\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # without a cursor; and back
FEW = 100  # experiments that are all read
CLEAR, HOME = "\x1b[2J", "\x1b[1;1H"
PATIENCE_SECONDS = 0.25  # with reading, for a picture with something on it
Placed = tuple[int, int, int, Line]  # column and row from 0 on, how many columns, and what stands there
Modes = list[Any]  # of a terminal, as `termios` has them


class First(Struct):
    """The picture that the screen goes on from: of what, and how the terminal was set before it."""

    study: Snapshot
    modes: Modes
    goes_on: bool = False  # the screen does


@contextmanager
def shown(place: Place, configuration: Configuration, *, readonly: bool) -> Iterator[First | None]:
    """Draw it, and yield it; None where there is no room, or nothing was judged yet.

    It stays where the screen goes on from it, and is taken back where an error or a signal comes first. Keys that are
    pressed meanwhile wait for the screen, as they were pressed.
    """
    columns, lines = os.get_terminal_size()
    study = _soon(place) if arrangement(columns, lines) is not Arrangement.NONE else None
    if study is None or not any(one.verdict for one in study.experiments):
        yield None
        return
    view = View(study, selected(study) or 0, time.time(), arrangement(columns, lines), keys=configuration.keys)
    text = _drawn(picture(view, bars.named(place, readonly=readonly), columns, lines), configuration)
    modes = termios.tcgetattr(sys.stdin)
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, _ended)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # until the screen knows how to leave the terminal
    drawn = First(study, modes)
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, _as_pressed(modes))
        _write(f"{ENTER}{text}{HOME}")
        yield drawn
    finally:
        if not drawn.goes_on:
            with suppress(OSError, termios.error):  # the line has dropped
                _write(LEAVE)
                termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)


def _as_pressed(modes: Modes) -> Modes:
    """With these a key is no echo on the picture, and enter no other key; ctrl+c ends the program, as before."""
    changed = [*modes]
    changed[tty.IFLAG] &= ~termios.ICRNL
    changed[tty.LFLAG] &= ~(termios.ECHO | termios.ICANON)
    return changed


def _soon(place: Place) -> Snapshot | None:
    """What is there to see, where it is read in time; else the screen reads it, and says so meanwhile."""
    found = list[Snapshot | None]()
    reading = Thread(target=lambda: found.append(asyncio.run(_read(place))), daemon=True)
    reading.start()
    reading.join(PATIENCE_SECONDS)
    return found[0] if found else None


async def _read(place: Place) -> Snapshot | None:
    """All of a study, or of a larger one what is looked at first.

    None where there is nothing yet, or it cannot be had: the screen says why.
    """
    with suppress(RecordTooNew, RecordTooOld, sqlite3.Error, OSError):
        async with await Database.open(place.folder, migrate=False) as database:
            return await feed.read(place, database, first=await views.count(database) > FEW)
    return None


def selected(study: Snapshot, choices: Choices = Choices()) -> int | None:  # noqa: B008, it is frozen
    """The experiment that is selected before anybody has selected one; None where there is none."""
    return next(iter(listed(study, choices, spaced=False).numbers), None)


def picture(view: View, name: str, columns: int, lines: int) -> list[Placed]:
    """Status, list and strip, each line in its place."""
    narrow, huge = (view.arrangement is one for one in (Arrangement.NARROW, Arrangement.HUGE))
    strip = bars.strip(view.study, None, 2 if huge else 1, columns, keys=view.keys)
    above = [bars.status(view.study, name, view.now, columns, view.keys), *(bars.tabs(1, columns) if narrow else ())]
    placed = [(0, y, columns, one) for y, one in enumerate(above)]
    placed += [(0, lines - 1 - len(strip) + y, columns, one) for y, one in enumerate(strip)]
    top = 3 if narrow else 2
    width, height = room(view.arrangement, columns, lines - top - len(strip) - 1)
    drawing = rows.drawing(view, width, height if narrow else height - 1)
    head = [*([] if narrow else [rule(1, TITLES[0], (), drawing.note, width, focused=True)]), *drawing.head]
    body = drawing.body[: max(0, height - len(head))]
    return placed + [(0, top + y, width, one) for y, one in enumerate([*head, *body])]


def room(arranged: Arrangement, columns: int, lines: int) -> tuple[int, int]:
    """The columns and lines that the list has of those that the panels have, as the screen's CSS says."""
    match arranged:
        case Arrangement.WIDE:
            return (columns - 1) * 12 // 23, lines - 5
        case Arrangement.HUGE:
            return 86, lines - 25
    return columns, lines


def _drawn(placed: list[Placed], configuration: Configuration) -> str:
    theme = chosen(configuration.theme)
    has = COLOR_SYSTEMS.get(Console(force_terminal=True).color_system or "")
    page = painted(Line(), 1, theme, has).partition(" ")[0]  # the ground, which clearing spreads
    texts = (f"\x1b[{y + 1};{x + 1}H{painted(one, width, theme, has)}" for x, y, width, one in placed)
    whole = "".join(texts)
    return f"{page}{CLEAR}\x1b[0m{ascii_of(whole) if configuration.is_ascii else whole}"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _ended(number: int, _: FrameType | None) -> None:
    """A signal, before the screen is there to answer it."""
    raise SystemExit(128 + number)
