"""How far a study is, and each of its experiments, in a line: on the screen, and without one."""

import re

from rich.cells import cell_len

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.keys import TABLE, Keymap
from cockpit.line import fit
from cockpit.pages import count
from store.records import Experiment, State

CUT = re.compile(r"[\d.]+…$")  # half a figure is another one
SURENESS = re.compile(r" \(P [=<>] [\d.]+\)|, P [=<>] [\d.]+(?=\))")


def sentence(study: Snapshot, one: Experiment, now: float, keys: Keymap = TABLE) -> str:
    """What there is to say of an experiment, in one line."""
    if one.failure:
        return f"{one.failure}: {one.detail}" if one.detail else one.failure
    if one.state is State.RUNNING and study.pid is None:
        return f"its engine is gone: {keys['run']} goes on"
    if one.state is State.RUNNING:
        run = next((run for run in study.running if run.experiment == one.number), None)
        if run is not None:
            own = [m.n for m in (*one.measurements, *one.full) if m.fidelity == run.fidelity]
            done = 1 + min(own, default=0)
            of = f" {done} of {study.facts['seeds']}" if run.purpose == "baseline" and "seeds" in study.facts else ""
            after = f", after {run.stages[-1].name}" if run.stages else ""
            purpose = f"{run.purpose}{one.said_at(run.fidelity)}"
            return f"{purpose}{of}{after}, {figures.ticking(now - run.started_at)}"
    if one.state is State.QUEUED:
        return one.hypothesis or "the unchanged code"
    if said := one.verdict:
        return brief(said.sentence)
    if one.number == 0:
        return "the unchanged code, with which all is compared"
    return "waits for its verdict"


def priced(study: Snapshot, one: Experiment, said: str, room: int) -> str:
    """What is said of it, in so many columns: where that is cut, what is first lost stands next to what is gained.

    So that an offer is never seen without its price.
    """
    if one.verdict is not None and cell_len(said) > room and said == brief(one.verdict.sentence):
        figures_of = one.verdict.figures
        lost = [each for each in study.quantities if figures_of.get(each.name, {}).get("moved") == "down"]
        called = tuple(f"{name} " for each in lost for name in (each.label, each.name))  # a sentence has either
        first, *rest = said.split(", ")
        said = ", ".join([first, *sorted(rest, key=lambda clause: not clause.startswith(called))])
    return CUT.sub(lambda figure: "…".ljust(len(figure[0])), fit(said, room))


def brief(said: str) -> str:
    """A verdict's sentence without its probabilities and its seeds, for where its evidence stands beside it."""
    return SURENESS.sub("", said).partition("; ")[0]


def progress(study: Snapshot, now: float) -> str:
    """How far a study is that has no screen: what is done, what runs, what it has come to."""
    rows, limits = study.experiments, study.facts.get("limits") or {}
    begun = (State.QUEUED, State.RUNNING)
    done = sum(one.state not in begun or bool(one.measurements) for one in rows)
    most, seconds = limits.get("experiments"), limits.get("seconds")
    parts = [f"{done} of {most} experiments" if most else count(done, "experiment")]
    parts += [f"{one.id} {sentence(study, one, now)}" for one in rows if one.state is State.RUNNING]
    if study.paused:
        parts.append("paused")
    if front := study.front:
        parts.append(f"{len(front)} on the frontier")
    if tokens := study.ledger.total.get("tokens"):
        parts.append(f"{figures.amount(tokens)} tokens")
    if study.engine is not None:
        spent = figures.ticking(now - study.engine.started_at)
        parts.append(f"{spent} of {figures.lasted(seconds)}" if seconds else spent)
    return "   ".join(parts)
