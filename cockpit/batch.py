"""A study without a screen: the engine in the foreground, a line an event, a summary at the end."""

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from cockpit import logs, output, pages
from store import events, feed, views
from store.database import Database
from store.place import EngineRuns, Place, engine_pid
from store.records import Ended, Event, Outcome, State

if TYPE_CHECKING:
    from loop.run.execution import Stop

EXIT = {Ended.CONFIGURATION: 1, Ended.BASELINE_FAILED: 3, Ended.INTERRUPTED: 130}
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILED = (Ended.MACHINE_FAILED, Ended.CONFIGURATION)
TAIL_LINES = 12
WHY = {
    Ended.EXPERIMENTS: "the number of experiments asked for is reached",
    Ended.TIME: "the time is used up",
    Ended.NO_PROPOSER: "nothing is left to propose: there are no knobs, or all their values have been tried",
    Ended.BASELINE_FAILED: "the baseline failed: the code that all is compared with gave no measurement",
    Ended.MACHINE_FAILED: "the machine failed: no room, no git, no record, or runs that something else keeps ending",
    Ended.CONFIGURATION: "cockpit.toml cannot be meant so; what to change is said below",
    Ended.STOPPED: "stopped, as asked for; the same command goes on from here",
    Ended.INTERRUPTED: "interrupted; the same command goes on from here",
}


async def run(place: Place, experiments: int | None, seconds: float | None, as_json: bool) -> int:
    """Run the study and print what happens. The exit status. Raises what `loop.engine.research` raises."""
    from loop.engine import Limits, research
    from loop.run.execution import Stop

    if (pid := engine_pid(place.folder)) is not None:  # before its record is touched
        raise EngineRuns(pid)
    stop = Stop()
    _end_on_signals(place, stop)
    async with await Database.open(place.folder, create=True) as database:
        ended = asyncio.Event()
        printing = asyncio.create_task(_print(database, place, ended, as_json))
        printing.add_done_callback(lambda _: stop.ask())  # nobody reads any more, or it is all over
        try:
            why = await research(place, Limits(experiments, seconds), stop)
        except BaseException:
            if (last := await views.last_engine(database)) and last.pid == os.getpid() and last.ended_by in FAILED:
                ended.set()
                await printing
                await _summary(database, place, last.ended_by, as_json)
            raise
        finally:
            ended.set()
            await printing
        await _summary(database, place, why, as_json)
    return EXIT.get(why, 0)


def _end_on_signals(place: Place, stop: "Stop") -> None:
    """The first signal ends cleanly, the second without grace, the third does not even wait for the record."""
    from loop.run import launch

    came = 0

    def end(number: signal.Signals) -> None:
        nonlocal came
        came += 1
        if came == 1:
            output.error(f"{number.name}: ending the run; once more ends it at once")
        if came > 2:
            for folder in (place.folder / "runs").glob("*"):
                launch.end_at_once(folder)
            os._exit(130)
        stop.ask()

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # which nohup and a shell's background jobs mean
            asyncio.get_running_loop().add_signal_handler(number, end, number)


async def _print(database: Database, place: Place, ended: asyncio.Event, as_json: bool) -> None:
    """Print the events of this process's engine as they come. In a thread: a reader that is slow holds up no run."""
    ours = False  # until then it is an engine that was here before us
    async for event in feed.follow(database, await events.last_event(database), ended):
        ours = ours or (event.kind == "engine started" and event.data["pid"] == os.getpid())
        if not ours:
            continue
        if as_json:
            await asyncio.to_thread(output.document, output.event_keys(event))
            continue
        lines = _head(event.data) if event.kind == "engine started" else []
        lines.append(f"{pages.clock(event.at)}  {event.text}")
        if event.kind == "failed":
            lines += await _tail(database, place, event)
        for text in lines:
            await asyncio.to_thread(output.line, text)


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
    files = sorted({key.partition(":")[0] for key in facts["knobs"]})
    knobs = (
        f"{pages.count(len(facts['knobs']), 'knob')} in {', '.join(files)}" if files else "no knobs: nothing to search"
    )
    lines.append(f"search space   {knobs}")
    if why := facts.get("no_wall"):
        lines.append("no wall: what runs can read your files and reach the network; run only code that you trust")
        lines.append(f"         {why}")
    if left_out := facts["left_out"]:
        names = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
        lines.append(f"not committed, so not part of the study: {names}")
    if facts["submodules"]:
        lines.append(f"submodules, which are not checked out: {', '.join(facts['submodules'])}")
    return lines


async def _tail(database: Database, place: Place, event: Event) -> list[str]:
    """The end of the log of the stage that failed."""
    log = await views.last_log(database, event.run or 0)
    if log is None or event.data["outcome"] == Outcome.TIMEOUT:
        return []
    return [f"          | {text}" for text in logs.tail(place.folder / log, TAIL_LINES)]


async def _summary(database: Database, place: Place, why: Ended, as_json: bool) -> None:
    """What there is to know at the end: the frontier, the spend by outcome, and what the balanced pick changes."""
    study, rows, spent = await views.study(database), await views.experiments(database), await views.ledger(database)
    drawn, reference = await views.frontier(database)
    runs = [run for row in rows for run in await views.runs(database, row.number)]
    if as_json:
        output.document(
            {
                "event": "summary",
                "at": output.time_of(time.time()),
                "ended_by": why,
                "study": study.name if study else None,
                "trunk": study.trunk if study else None,
                "experiments": [output.experiment_keys(row) for row in rows],
                "runs": len(runs),
                "spend": spent.total,
                "spend_by_outcome": spent.by_outcome,
                "frontier": output.frontier_keys(drawn, reference, rows),
            }
        )
        return
    failed = sum(row.state is State.FAILED for row in rows)
    output.line(f"\n{pages.count(len(rows), 'experiment')}, {failed} failed, {pages.count(len(runs), 'run')}\n")
    output.table(pages.frontier_page(drawn, reference, rows) + "\n")
    output.table(pages.ledger_page(spent) + "\n")
    pick = next(
        (row for point in drawn.points if point.balanced for row in rows if row.number == point.experiment), None
    )
    if pick is not None and pick.parent is not None:
        from loop.branches import patch

        output.line(f"the balanced pick, {pick.id}:")
        output.patch(await patch(place, rows[pick.parent].commit, pick.commit))
    incumbent = await views.incumbent(database)
    if why is Ended.BASELINE_FAILED and incumbent:
        output.line(f"ended: {rows[incumbent].id}, which was merged, has failed: `cockpit undo` goes back from it")
    else:
        output.line(f"ended: {WHY[why]}")
