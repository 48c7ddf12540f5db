"""A study without a screen: the engine in the foreground, a line an event, a summary at the end."""

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from cockpit import output
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import Ended, Event, Outcome

if TYPE_CHECKING:
    from loop.engine import Stop

EXIT = {Ended.BASELINE_FAILED: 3, Ended.INTERRUPTED: 130}
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TAIL_LINES = 12
WHY = {
    Ended.EXPERIMENTS: "the number of experiments asked for is reached",
    Ended.TIME: "the time is used up",
    Ended.NO_PROPOSER: "nobody proposes: this version runs the baseline only",
    Ended.BASELINE_FAILED: "the baseline failed: the unchanged code gave no measurement",
    Ended.INTERRUPTED: "interrupted; the same command goes on from here",
}


async def run(place: Place, experiments: int | None, seconds: float | None, as_json: bool) -> int:
    """Run the study and print what happens. The exit status. Raises what `loop.engine.research` raises."""
    from loop.engine import Limits, Stop, research

    stop = Stop()
    _end_on_signals(stop)
    async with await Database.open(place.folder, create=True) as database:
        ended = asyncio.Event()
        printing = asyncio.create_task(_print(database, place, ended, as_json))
        printing.add_done_callback(lambda _: stop.ask())  # nobody reads any more, or it is all over
        try:
            why = await research(place, Limits(experiments, seconds), stop)
        finally:
            ended.set()
            await printing
        await _summary(database, why, as_json)
    return EXIT.get(why, 0)


def _end_on_signals(stop: "Stop") -> None:
    """The first signal ends cleanly, the second without grace, the third does not even wait for the record."""

    def came(number: signal.Signals) -> None:
        if stop.urgency > 1:
            os._exit(130)
        if not stop.urgency:
            output.error(f"{number.name}: ending the run; once more ends it at once")
        stop.ask()

    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            continue  # as nohup and a shell's background jobs mean it
        asyncio.get_running_loop().add_signal_handler(number, came, number)


async def _print(database: Database, place: Place, ended: asyncio.Event, as_json: bool) -> None:
    async for event in journal.follow(database, await views.last_event(database), ended):
        if as_json:
            output.document(output.event_keys(event))
        else:
            for text in _head(event.data) if event.kind == "engine started" else ():
                output.line(text)
            output.line(f"{output.clock(event.at)}  {event.text}")
            if event.kind == "failed" and event.run is not None:
                await _print_tail(database, place, event)


def _head(facts: dict[str, Any]) -> list[str]:
    """What the study runs with, and every guard that is missing."""
    accelerate = f"accelerate {facts['accelerate']}" if facts["accelerate"] else "no accelerate"
    lines = [
        f"study {facts['study']}   {facts['python']} ({facts['python_version']}, {accelerate})   {facts['device']}",
        f"model {facts['model']}   wall {facts['wall']}   memory by {facts['meter']}",
    ]
    if facts["wall"] == "none":
        lines.append("no wall: what runs can read your files and reach the network; run only code that you trust")
    if left_out := facts["left_out"]:
        names = ", ".join(left_out[:5]) + (", …" if len(left_out) > 5 else "")
        lines.append(f"not committed, so not part of the study: {names}")
    return lines


async def _print_tail(database: Database, place: Place, event: Event) -> None:
    """The end of the log of the stage that failed."""
    log = await views.last_log(database, event.run or 0)
    if log is None or event.data["outcome"] == Outcome.TIMEOUT:
        return
    for text in output.tail(place.folder / log, TAIL_LINES):
        output.line(f"          | {text}")


async def _summary(database: Database, why: Ended, as_json: bool) -> None:
    study = await views.study(database)
    rows = await views.experiments(database)
    runs = [run for row in rows for run in await views.runs(database, row.tree)]
    seconds = sum(stage.wall_seconds for run in runs for stage in run.stages)
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
                "spend": {"seconds": seconds},
            }
        )
        return
    output.line("")
    for row in rows:
        output.line(output.experiment_line(row))
    output.line(f"ended: {WHY[why]}")
    output.line(f"spent: {seconds:.1f} s in {output.count(len(runs), 'run')}, in all")
