"""What the panels on the screen want to be read, is read: once, or again when it says so; never by two at a time."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any

from cockpit.view import Source, Want

KEPT = 16  # things that were wanted
AT_ONCE = 2  # so that what takes long is not all that is read


class Reader:
    """What was read, by what was wanted. What reads is never broken off: a thread or a git would go on all the same."""

    def __init__(self) -> None:
        self.found: dict[Want[Any], Any] = {}  # the newest last
        self._at: dict[Want[Any], tuple[float, int]] = {}  # when it was read, and the last event before that
        self._busy = set[Want[Any]]()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def due(self, wants: Iterable[Want[Any]], event: int) -> list[Want[Any]]:
        """What of these is to be read now: it is not known, or not any more. It counts as being read from here on."""
        now, due = time.monotonic(), list[Want[Any]]()
        for want in wants:
            at, then = self._at.get(want, (0.0, 0))
            again = want.every_seconds is not None and now - at >= want.every_seconds
            again = again or (want.of_the_record and then != event)
            if want not in self._busy and (want not in self.found or again):
                self._busy.add(want)
                due.append(want)
        return due

    async def read(self, want: Want[Any], source: Callable[[], Source], event: int, wanted: Callable[[], bool]) -> bool:
        """Read one of these, if it is still wanted when its turn comes. Whether it is otherwise than it was."""
        try:
            async with self._turn:
                if not wanted():
                    return False
                answer = await want.read(source())
        except (sqlite3.Error, ValueError, OSError):  # the screen is being closed, or the record is gone
            return False
        finally:
            self._busy.discard(want)
        self._at[want] = time.monotonic(), event
        if want in self.found and self.found[want] == answer:
            return False
        rest = [one for one in self.found.items() if one[0] != want]
        self.found = {**dict(rest[-KEPT:]), want: answer}
        self._at = {one: at for one, at in self._at.items() if one in self.found}
        return True
