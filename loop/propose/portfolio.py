"""Whose turn it is to propose: the model's for its share of the experiments, the optimiser's for all others.

The model thinks beside the runs, and what it has thought of is queued when it is there. Meanwhile the optimiser goes
on, so neither a slow model nor a dead one holds up a slot. It is waited for where its share is the whole, or nobody
else has anything left; and for a while where the runs leave it no quiet, so that there must be none.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from loop import budget
from loop.propose.model import Model
from loop.propose.prepare import Preparation
from loop.propose.thought import Thought
from store import calls, views
from store.records import Ended, Experiment

TICK_SECONDS = 0.05
PATIENCE_SECONDS = 30.0  # of quiet
TRIES = 3  # thoughts in a row that come to nothing, where nobody else has anything to propose


def due(number: int, thoughts: int, share: float) -> bool:
    """Whether the model is to think of an experiment, where `number` comes next and it has thought so often.

    A thought counts whatever came of it: a server that is dead is asked no more often than one that lives.
    """
    return thoughts < math.ceil(number * share - 1e-9)


@dataclass
class Portfolio:
    """The proposers of a study under one engine. `held` says whether nothing new is to begin."""

    preparation: Preparation
    model: Model | None
    share: float
    held: Callable[[], bool]
    ended: Ended | None = None  # why nobody proposes anything more
    _thought: Thought | None = None
    _thinking: "asyncio.Task[Experiment | None] | None" = None

    async def prepare(self, count: int | None, next_run: int | None = None) -> bool:
        """Queue one experiment more, of `count` in all. Whether there is one; else nobody has anything to propose.

        `next_run` is the number of the run that is about to begin.
        """
        came = self._reap()
        if self.ended is not None:
            return came
        number = await views.count(self.preparation.database)
        if count is not None and number >= count:
            return came
        last = count is not None and number + 1 >= count
        turn = (self.share >= 1 or not last) and due(
            number, await calls.thoughts(self.preparation.database), self.share
        )
        if turn and not await self._begin(count):
            return came
        alone = self.share >= 1
        if (alone or self._lacks_quiet()) and await self._comes_to_something(None if alone else PATIENCE_SECONDS):
            return True
        if self.held():
            return False
        if await self.preparation.prepare(count, next_run) is not None:
            return True
        for attempt in range(TRIES if self.share else 0):  # nobody else has anything left
            await self._pause(attempt)
            fresh = self._thinking is None
            thoughts = await calls.thoughts(self.preparation.database)
            if not await self._begin(count):
                break
            if await self._comes_to_something(None):
                return True
            if fresh and thoughts == await calls.thoughts(self.preparation.database):
                break  # there is nothing to ask for
        return False

    async def _begin(self, count: int | None) -> bool:
        """Have the model think. False where no tokens are left for that: then nobody proposes anything more."""
        if self.model is not None and self._thinking is None and not self.held():
            database = self.preparation.database
            self.ended = await budget.for_thought(database) or await budget.for_call(database, "reason")
            if self.ended is None:
                self._thought = Thought(self.preparation, self.model, count)
                self._thinking = asyncio.create_task(self._thought.think())
        return self.ended is None

    async def _pause(self, attempt: int) -> None:
        """Before what has come to nothing is tried again: a server that is busy, or begins anew, is given some time."""
        until = time.monotonic() + (2.0 ** (attempt - 1) if attempt and self.model else 0.0)
        while time.monotonic() < until and not self.held():  # noqa: ASYNC110 - a stop is heard meanwhile
            await asyncio.sleep(TICK_SECONDS)

    def _lacks_quiet(self) -> bool:
        """Whether the runs leave the model no time: training is timed, or a timed stage has broken its call off."""
        if self.model is None or self._thought is None:
            return False
        return self._thought.broken_off or (self.model.here and self.model.quiet.times("train"))

    async def _comes_to_something(self, seconds: float | None) -> bool:
        """Wait for what is thought of, so long as it may think, or to its end. Whether it comes to an experiment."""
        left, before = math.inf if seconds is None else seconds, time.monotonic()
        while self._thinking is not None and not self._thinking.done() and not self.held():
            if left < 0:
                return False
            await asyncio.wait({self._thinking}, timeout=TICK_SECONDS)
            now = time.monotonic()
            left -= 0.0 if self.model is not None and self.model.hushed else now - before
            before = now
        return self._reap()

    def _reap(self) -> bool:
        """Whether a thought has ended, and with an experiment. Raises what it has raised."""
        if self._thinking is None or not self._thinking.done():
            return False
        thinking, self._thought, self._thinking = self._thinking, None, None
        return thinking.result() is not None

    async def close(self) -> None:
        """Break off what is thought. What it was about to have let in is let in first."""
        try:
            if self._thinking is not None:
                async with self.preparation.turn:
                    self._thinking.cancel()
                with suppress(asyncio.CancelledError):
                    await self._thinking
        finally:
            if self.model is not None:
                await self.model.close()
