"""What a study can answer, for people: the page of `cockpit plan`, and the card of the screen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.line import Line, line, wrap
from cockpit.pages import count, size
from cockpit.probed import share
from cockpit.view import Source, Want
from store import planned
from store.planned import Foreseen, Plan

MOST = 99  # lines of a row: none is cut
NAME = 10  # columns of what a row is about
UNKNOWN = "nothing is known yet of how long a run takes and how much it differs"


class Planned(Want[Plan | None], frozen=True):
    """What the study can answer, as it was foreseen last."""

    of_the_record: ClassVar[bool] = True

    async def read(self, source: Source) -> Plan | None:
        """Read the journal."""
        return await planned.latest(source.database)


def rows(plan: Plan, columns: int, called: Mapping[str, str] = {}) -> list[tuple[str, str]]:
    """The rows, each with what it is about; one that goes on is about nothing. Objectives may be `called` otherwise."""
    found: list[tuple[str, str]] = []
    table = list(_table(plan, called)) if plan.foreseen else []
    if any(len(text) > columns - NAME for _, text in table):
        table = list(_listed(plan, called))
    for name, text in _said(plan, table):
        parts = [text] if len(text) <= columns - NAME else wrap(text, columns - NAME, MOST)
        found += [(name if not at else "", part) for at, part in enumerate(parts)]
    return found


def page(plan: Plan, how: str) -> str:
    """The page. `how` is what makes known what is not."""
    lines = [f"{name:{NAME}}{text}".rstrip() for name, text in rows(plan, 80)]
    if not plan.known_from:
        lines.append(f"{'':{NAME}}{how}")
    return "\n".join(lines)


def card(plan: Plan, width: int, study: Snapshot | None = None) -> list[Line]:
    """The same as lines of the screen, where objectives have their labels."""
    called = {one.name: one.label for one in study.objectives} if study else {}
    return [
        line((f"{name:{NAME}}", "dim"), (text, "bad" if name == "warning" else "text"))
        for name, text in rows(plan, width, called)
    ]


def _said(plan: Plan, table: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    if plan.warning:
        yield "warning", f"{plan.warning}."
    if not plan.known_from:
        yield "run", f"{UNKNOWN}."
    else:
        seconds = plan.run_seconds
        time = "" if seconds is None else f"{seconds:.1f} s" if seconds < 60 else figures.lasted(seconds)
        device = f", {size(plan.peak_device_bytes)} of the device" if plan.peak_device_bytes is not None else ""
        yield "run", f"{time}, {size(plan.peak_bytes)}{device}; from {plan.known_from}"
    if plan.runs is not None:
        bound = "" if not plan.bounded_by.startswith("[") else f", bounded by {plan.bounded_by}"
        yield "room", f"{count(plan.runs, 'run')} in {_hours(plan)}{bound}"
    if table:
        yield from table
        yield "", "* is this study's. Of each objective: the smallest gain of which four of five are confirmed."
    for text in plan.advice:
        yield "for more", text
    for text in plan.notes:
        yield "note", f"{text}."


def _hours(plan: Plan) -> str:
    return f"{plan.hours:g} h" if plan.hours >= 1 else figures.lasted(plan.hours * 3600)


def _table(plan: Plan, called: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A row a preset."""
    objectives = list(dict.fromkeys(name for one in plan.foreseen for name in one.gains))
    several = len({one.fidelity for one in plan.foreseen}) > 1
    heads = [
        "",
        *(["at"] if several else []),
        "experiments",
        "runs each",
        "a winner",
        *(called.get(name, name) for name in objectives),
    ]
    table = [heads, *(_row(one, plan, objectives, several=several) for one in plan.foreseen)]
    wide = [max(len(row[at]) for row in table) for at in range(len(heads))]
    for number, row in enumerate(table):
        cells = (
            f"{cell:{width}}" if not at else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(row, wide, strict=True))
        )
        yield "preset" if not number else "", "  ".join(cells)


def _listed(plan: Plan, called: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The same where there is no room for a table."""
    for number, one in enumerate(plan.foreseen):
        at = f" at {one.fidelity}" if len({each.fidelity for each in plan.foreseen}) > 1 else ""
        gains = ", ".join(f"{called.get(name, name)} {_gain(one, name)}" for name in one.gains)
        own = "*" if one.preset == plan.preset else ""
        text = f"{one.preset}{own}{at}: {one.experiments:,} of {one.runs_a_null:.1f} runs "
        text += f"each, a winner {one.least_runs} runs" + (f"; {gains}" if gains else "")
        yield "preset" if not number else "", text


def _row(one: Foreseen, plan: Plan, objectives: list[str], *, several: bool) -> list[str]:
    mark = "*" if one.preset == plan.preset else ""
    return [
        f"{one.preset}{mark}",
        *([one.fidelity] if several else []),
        f"{one.experiments:,}",
        f"{one.runs_a_null:.1f}",
        f"{one.least_runs} runs",
        *(_gain(one, name) for name in objectives),
    ]


def _gain(one: Foreseen, name: str) -> str:
    if name not in one.gains:
        return "no noise"
    gain = one.gains[name]
    if gain is not None:
        return share(gain)
    return "none" if one.sigmas is None else f"{one.sigmas:.1f} sigma"
