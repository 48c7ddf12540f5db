"""A study without a screen: the engine in the foreground, a line an event, a summary at the end."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cockpit import logs, output, pages, summary
from cockpit.feed import read as snapshot
from cockpit.progress import progress
from store import events, feed, views
from store.database import Database
from store.place import EngineRuns, Place, engine_pid
from store.records import BROKE, Ended, Event, Outcome

if TYPE_CHECKING:
    from loop.stop import Stop

EXIT = {Ended.CONFIGURATION: 1, Ended.BASELINE_FAILED: 3, Ended.INTERRUPTED: 130}
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TAIL_LINES = 12
TICK_SECONDS = 0.5  # between two looks at how far it is


async def run(
    place: Place, experiments: int | None, seconds: float | None, as_json: bool, *, with_changes: bool = False
) -> int:
    """Run the study and print what happens. The exit status. Raises what `loop.engine.research` raises."""
    from loop.engine import Limits, research
    from loop.stop import Stop

    if (pid := engine_pid(place.folder)) is not None:  # before its record is touched
        raise EngineRuns(pid)
    stop, foot = Stop(), output.Foot(wanted=not as_json)
    end_on_signals(place, stop, foot)
    async with await Database.open(place.folder, create=True) as database:
        began, ended = asyncio.Event(), asyncio.Event()
        printing = asyncio.create_task(_print(database, place, began, ended, as_json, foot))
        printing.add_done_callback(lambda _: stop.ask())  # nobody reads any more, or it is all over
        progressing = asyncio.create_task(_progress(database, place, began, ended, foot))

        async def all_is_said() -> None:
            ended.set()
            await progressing
            await printing

        try:
            why = await research(place, Limits(experiments, seconds), stop, with_changes=with_changes)
        except BaseException:
            if (last := await views.last_engine(database)) and last.pid == os.getpid() and last.ended_by in BROKE:
                await all_is_said()
                await _end(database, place, last.ended_by, as_json)
            raise
        finally:
            await all_is_said()
        await _end(database, place, why, as_json)
    return EXIT.get(why, 0)


def end_on_signals(place: Place, stop: "Stop", foot: output.Foot) -> None:
    """The first signal ends cleanly, the second without grace, the third does not even wait for the record."""
    from loop.run import launch

    came, loop = 0, asyncio.get_running_loop()

    def say(text: str) -> None:
        with suppress(OSError, output.ReaderGone):  # or gone
            foot.above(partial(output.error, text))

    def end(number: signal.Signals) -> None:
        nonlocal came
        came += 1
        stop.ask()
        if came == 1:  # in a thread: a terminal may be stopped
            loop.run_in_executor(None, say, f"{number.name}: ending the run; once more ends it at once")
        if came > 2:
            for folder in (place.folder / "runs").glob("*"):
                launch.end_at_once(folder)
            os._exit(130)

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # which nohup and a shell's background jobs mean
            loop.add_signal_handler(number, end, number)


async def _print(
    database: Database, place: Place, began: asyncio.Event, ended: asyncio.Event, as_json: bool, foot: output.Foot
) -> None:
    """Print the events of this process's engine as they come. In a thread: a reader that is slow holds up no run."""
    async for event in feed.follow(database, await events.last_event(database), ended):
        if event.kind == "engine started" and event.data["pid"] == os.getpid():
            began.set()
        if not began.is_set():  # until then it is an engine that was here before us
            continue
        if as_json:
            await asyncio.to_thread(output.document, output.event_keys(event))
            continue
        lines = _head(event.data) if event.kind == "engine started" else []
        lines.append(f"{pages.clock(event.at)}  {event.text}")
        if event.kind == "failed":
            lines += await _tail(database, place, event)
        await asyncio.to_thread(foot.above, partial(output.line, "\n".join(lines)))


async def _progress(
    database: Database, place: Place, began: asyncio.Event, ended: asyncio.Event, foot: output.Foot
) -> None:
    """Say on the last line of a terminal how far the study is. That this fails is no reason to end it."""
    if not foot.wanted:
        return
    study, seen = None, -1
    with suppress(OSError, sqlite3.Error, output.ReaderGone):  # who prints the events meets it too, and ends
        while not ended.is_set():
            if began.is_set():
                if (last := await events.last_event(database)) > seen or study is None:
                    study, seen = await snapshot(place, database), last
                await asyncio.to_thread(foot.draw, progress(study, time.time()))
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK_SECONDS)
    with suppress(OSError, output.ReaderGone):
        await asyncio.to_thread(foot.end)


async def _end(database: Database, place: Place, why: Ended, as_json: bool) -> None:
    """What there is to know at the end: on a page where there is one for it, and printed."""
    from loop.branches import GitError, patch
    from store.trail import SHELL, Trail

    found = await summary.read(database, why)
    if (best := found.best) is not None and best.parent is not None:
        try:
            base, trail = found.experiments[best.parent].commit, Trail(place.folder, SHELL)
            found = replace(found, diff=await patch(place, base, best.commit, trail=trail))
        except GitError as error:  # it may be what has failed, and all else is to be said all the same
            found = replace(found, lack=f"its diff cannot be read: {error}")
    try:
        await asyncio.to_thread(summary.publish, found)
    except OSError as error:
        output.error(f"${summary.PAGE}: {os.environ[summary.PAGE]} cannot be written: {error.strerror}")
    if as_json:
        output.document(summary.keys(found))
    else:
        summary.say(found)


def _head(facts: dict[str, Any]) -> list[str]:
    """What the study runs with, and every guard that is missing."""
    accelerate = f"accelerate {facts['accelerate']}" if facts["accelerate"] else "no accelerate"
    lines = [
        f"study {facts['study']}   {facts['python']} ({facts['python_version']}, {accelerate})   {facts['device']}",
        f"wall {facts['wall']}   memory by {facts['meter']}   launched by {facts['launch']}",
    ]
    if facts["model"] == "none":
        lines.append(f"no model: the optimiser proposes alone; {facts['model_why']}")
    else:
        lines.append(f"model {pages.model(facts)}   {facts['model_why']}")
    lines.append(f"search space   {pages.search_space(facts) or 'no knobs: nothing to search'}")
    if given := facts.get("fidelity"):
        each = (f"{name}: {pages.fidelity(sets)}" for name, sets in given.items())
        lines.append(f"fidelity   {'   '.join(each)}")
    lines += pages.measuring(facts)
    if split := facts.get("carved"):
        lines.append(f"carved   {split}")
    if cannot := facts.get("cannot"):
        lines.append(f"warning   {cannot}; `cockpit plan` says what to change")
    lines += facts.get("doubts") or []
    lines += pages.uncommitted(facts)
    lines += [f"warning   {text}" for text in facts.get("warnings") or []]
    return lines


async def _tail(database: Database, place: Place, event: Event) -> list[str]:
    """The end of the log of the stage that failed."""
    log = await views.last_log(database, event.run or 0)
    if log is None or event.data["outcome"] == Outcome.TIMEOUT:
        return []
    return [f"          | {text}" for text in logs.tail(place.folder / log, TAIL_LINES)]
