"""How far a study is, and each of its experiments, in a line: on the screen, and without one."""

import re

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.keys import TABLE, Keymap
from cockpit.pages import count
from store.records import Experiment, State

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
