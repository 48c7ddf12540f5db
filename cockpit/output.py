"""What the commands print: the one writer, for people and, with `--json`, for scripts.

The JSON keys are a contract (docs/json.md). Numbers for people are short; those for scripts are whole.
"""

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cockpit.text import clean
from store.records import Ended, Engine, Event, Experiment, Measurement, Run, Study


class ReaderGone(Exception):
    """Nobody reads the output any more: `cockpit … | head`."""


def line(text: str) -> None:
    """One line or more for people, clean. Raises ReaderGone."""
    _write(clean(text))


def document(value: dict[str, Any]) -> None:
    """One JSON object, on one line. Raises ReaderGone."""
    _write(json.dumps(value, ensure_ascii=True))


def _write(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        raise ReaderGone from error


def error(text: str) -> None:
    """What went wrong, on standard error."""
    print(f"cockpit: {clean(text)}", file=sys.stderr, flush=True)


def time_of(seconds: float) -> str:
    """A moment, for scripts: ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def clock(seconds: float) -> str:
    """A moment, for people: the local time of day."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


# --- for scripts -----------------------------------------------------------------------------------------------------


def event_keys(event: Event) -> dict[str, Any]:
    """A line of `--batch --json`."""
    return {"event": event.kind, "at": time_of(event.at), "seq": event.seq, "text": event.text, **event.data}


def measurement_keys(measurements: Iterable[Measurement]) -> dict[str, Any]:
    """The measurements of an experiment, by objective."""
    return {m.objective: {"mean": m.value, "n": m.n, "source": m.source} for m in measurements}


def experiment_keys(experiment: Experiment) -> dict[str, Any]:
    """An experiment. Verdict, evidence and sentence are null until it is judged."""
    return {
        "id": experiment.id,
        "slug": experiment.slug,
        "state": experiment.state,
        "failure": experiment.failure,
        "detail": experiment.detail,
        "parent": None,
        "proposer": None,
        "operator": None,
        "branch": experiment.branch,
        "commit": experiment.commit,
        "tree": experiment.tree,
        "verdict": None,
        "evidence": None,
        "sentence": None,
        "created_at": time_of(experiment.created_at),
        "measurements": measurement_keys(experiment.measurements),
    }


def run_keys(run: Run) -> dict[str, Any]:
    """A run of an experiment's tree, with its stages."""
    return {
        "id": run.id,
        "seed": run.seed,
        "purpose": run.purpose,
        "fidelity": run.fidelity,
        "attempt": run.attempt,
        "outcome": run.outcome,
        "detail": run.detail,
        "tree": run.tree,
        "bench": run.bench,
        "slot": run.slot,
        "wall": run.wall,
        "meter": run.meter,
        "launch": run.launch,
        "started_at": time_of(run.started_at),
        "ended_at": None if run.ended_at is None else time_of(run.ended_at),
        "stages": [
            {
                "name": stage.name,
                "outcome": stage.outcome,
                "detail": stage.detail,
                "exit_status": stage.exit_status,
                "started_at": time_of(stage.started_at),
                "wall_seconds": stage.wall_seconds,
                "cpu_seconds": stage.cpu_seconds,
                "peak_memory_bytes": stage.peak_bytes,
            }
            for stage in run.stages
        ],
    }


def status_keys(
    name: str, study: Study | None, engine: Engine | None, pid: int | None, experiments: list[Experiment]
) -> dict[str, Any]:
    """Where a study stands. `pid` is the engine's that runs now; one that went without a word has died."""
    ended_by = None if engine is None or pid is not None else engine.ended_by or Ended.DIED
    return {
        "study": name,
        "state": "running" if pid is not None else "new" if engine is None else "ended",
        "trunk": study.trunk if study else None,
        "engine": None if pid is None else {"pid": pid},
        "experiments": len(experiments),
        "offers": 0,
        "ended_by": ended_by,
        "wall": engine.facts["wall"] if engine else None,
        "meter": engine.facts["meter"] if engine else None,
        "model": engine.facts["model"] if engine else None,
    }


# --- for people ------------------------------------------------------------------------------------------------------


def count(number: int, noun: str) -> str:
    """A number of things, for people."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(bytes_: int | None) -> str:
    """Bytes, for people."""
    return "not measured" if bytes_ is None else f"{bytes_ / 1e6:.0f} MB"


def experiment_line(experiment: Experiment) -> str:
    """An experiment on one line."""
    if experiment.failure:
        what = f"{experiment.failure}: {experiment.detail}" if experiment.detail else experiment.failure
    else:
        what = "  ".join(f"{m.objective} {m.value:.5g}" for m in experiment.measurements)
    return f"{experiment.id}  {experiment.state:9}  {experiment.slug:20}  {what}".rstrip()


def experiment_page(experiment: Experiment, runs: Iterable[Run]) -> str:
    """An experiment with its measurements, runs and stages."""
    lines = [
        f"{experiment.id} {experiment.slug}   {experiment.state}",
        f"branch  {experiment.branch}",
        f"commit  {experiment.commit}",
    ]
    if experiment.failure:
        lines.append(f"failed  {experiment.failure}: {experiment.detail}")
    lines += [f"  {m.objective:24} {m.value:<14.6g} {m.source}, {count(m.n, 'run')}" for m in experiment.measurements]
    for run in runs:
        how = run.outcome or "running"
        again = f", attempt {run.attempt}" if run.attempt > 1 else ""
        lines.append(
            f"run {run.id}: {run.purpose}, seed {run.seed}{again}: {how}   wall {run.wall}, memory by {run.meter}"
        )
        for stage in run.stages:
            cpu = "not measured" if stage.cpu_seconds is None else f"{stage.cpu_seconds:.2f} s"
            cost = f"{stage.wall_seconds:8.2f} s   cpu {cpu}   memory {size(stage.peak_bytes)}"
            lines.append(f"  {stage.name:8} {stage.outcome:12} {cost}")
    return "\n".join(lines)


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; none where it is gone."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - lines * 1000))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def status_page(keys: dict[str, Any]) -> str:
    """Where a study stands, from its keys."""
    state = f"running, pid {keys['engine']['pid']}" if keys["engine"] else keys["state"]
    lines = [f"study {keys['study']}   {state}" + (f", {keys['ended_by']}" if keys["ended_by"] else "")]
    lines.append(f"{count(keys['experiments'], 'experiment')}   {count(keys['offers'], 'offer')}")
    if keys["trunk"]:
        lines.append(f"trunk {keys['trunk']}")
        lines.append(f"model {keys['model']}   wall {keys['wall']}   memory by {keys['meter']}")
    return "\n".join(lines)
