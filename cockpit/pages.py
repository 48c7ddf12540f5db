"""What the commands print for people: pages of plain text, with short numbers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from store.records import Experiment, Frontier, Ledger, Reference, Run, name_of

ARROWS = {"minimize": "▾", "maximize": "▴"}  # which way is better


def clock(seconds: float) -> str:
    """A moment, for people: the local time of day."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")


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
    if experiment.parent is not None:
        lines.append(f"parent  {name_of(experiment.parent)}, proposed by the {experiment.proposer}")
        lines.append(f"change  {experiment.hypothesis}")
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


def status_page(keys: dict[str, Any]) -> str:
    """Where a study stands, from its keys."""
    state = f"running, pid {keys['engine']['pid']}" if keys["engine"] else keys["state"]
    lines = [f"study {keys['study']}   {state}" + (f", {keys['ended_by']}" if keys["ended_by"] else "")]
    lines.append(f"{count(keys['experiments'], 'experiment')}   {count(keys['offers'], 'offer')}")
    if keys["trunk"]:
        lines.append(f"trunk {keys['trunk']}")
        lines.append(f"model {keys['model']}   wall {keys['wall']}   memory by {keys['meter']}")
    return "\n".join(lines)


def frontier_page(frontier: Frontier, reference: list[Reference], experiments: Iterable[Experiment]) -> str:
    """The frontier as a table: each value, and how far it is from the baseline's."""
    by_number = {experiment.number: experiment for experiment in experiments}
    if not reference:
        return "no frontier yet: it is drawn when the baseline is measured"
    rows = [["", *(word for one in reference for word in (f"{one.objective} {ARROWS[one.direction]}", "")), "runs", ""]]
    for point in frontier.points:
        experiment = by_number[point.experiment]
        values = {m.objective: m.value for m in experiment.measurements}
        cells = [word for one in reference for word in _against(values.get(one.objective), one.base)]
        runs = min((m.n for m in experiment.measurements), default=0)
        pick = "balanced pick" if point.balanced else ""
        rows.append([experiment.id, *cells, str(runs), "  ".join(filter(None, (pick, experiment.slug)))])
    measured = sum(bool(experiment.measurements) for experiment in by_number.values())
    head = f"{count(len(frontier.points), 'experiment')} of {measured} on the frontier   "
    head += f"hypervolume {frontier.hypervolume:.3g}, the baseline's is 1"
    return "\n".join([head, *_table(rows), "single runs, not judged: a part of what they show is chance"])


def ledger_page(ledger: Ledger) -> str:
    """What was spent, and on what."""
    if not ledger.total:
        return "nothing spent yet"
    resources = sorted(ledger.total, key=lambda name: (name != "seconds", name))
    rows = [["", *(name.replace("_", " ") for name in resources), "share"]]
    for outcome, amounts in [*ledger.by_outcome.items(), ("total", ledger.total)]:
        share = amounts.get("seconds", 0.0) / (ledger.total["seconds"] or 1.0)
        rows.append([outcome, *(f"{amounts.get(name, 0.0):.1f}" for name in resources), f"{share:.0%}"])
    proposed = ledger.admitted + sum(ledger.refused.values())
    refused = ", ".join(f"{why} {number}" for why, number in ledger.refused.items())
    last = f"{count(proposed, 'proposal')}, {ledger.admitted} admitted" + (f", refused: {refused}" if refused else "")
    return "\n".join([*_table(rows), last])


def _against(value: float | None, base: float) -> tuple[str, str]:
    """A value, and how far it is from the baseline's."""
    if value is None:
        return "-", ""
    return f"{value:.5g}", "=" if value == base else f"{(value - base) / abs(base):+.1%}" if base else "?"


def _table(rows: list[list[str]]) -> list[str]:
    """Rows under one another: the first and the last column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        cells[-1] = row[-1] if len(rows[0]) > 2 and not rows[0][-1] else cells[-1]
        lines.append("  ".join(cells).rstrip())
    return lines
