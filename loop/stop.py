"""What ends the research from outside: a request, and a machine that can do no more."""

import asyncio

from store.records import Ended


class MachineFailed(Exception):
    """The machine, not the study, is at fault: no room, no git, a record that cannot be written."""


class Stop:
    """A request from outside to end, or to pause. Asked once, the current run ends with a grace; asked again, without.

    `going` is clear while the research is paused, and set for good once it is to end. `broken` are the runs that are to
    end now, while the engine lives on.
    """

    def __init__(self) -> None:
        self.urgency = 0
        self.why: Ended | None = None
        self.going = asyncio.Event()
        self.going.set()
        self.broken: set[int] = set()

    @property
    def holds(self) -> bool:
        """Whether nothing new is to begin: no run, no proposal."""
        return bool(self.why) or not self.going.is_set()

    def ask(self, why: Ended = Ended.INTERRUPTED) -> None:
        """Ask to end, for a reason; the first reason stands."""
        self.urgency += 1
        self.finish(why)

    def finish(self, why: Ended) -> None:
        """Ask to end after the run under way."""
        self.why = self.why or why
        self.going.set()
