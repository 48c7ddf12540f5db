"""How the frontier grew: its hypervolume against what was spent."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

from cockpit import figures
from cockpit.canvas import GUTTER, Canvas, gutter, steps
from cockpit.line import Line, Piece, apart, fit, line, width_of
from cockpit.scale import scale
from cockpit.view import Source, Want
from store import views
from store.records import Progress

LEAST_HEIGHT = 7  # lines


class Against(NamedTuple):
    """Something that is spent: its name, how much of it had been at a moment, and how that is written."""

    label: str
    spent: Callable[[Progress, Progress], float]  # from the first moment on
    say: Callable[[float], str]


AGAINST = {
    "experiments": Against("experiments", lambda one, _: float(one.experiments), figures.amount),
    "device": Against("device time", lambda one, _: one.seconds, figures.lasted),
    "tokens": Against("tokens", lambda one, _: one.tokens, figures.amount),
    "time": Against("time", lambda one, first: one.at - first.at, figures.lasted),
}


class Growth(Want[Sequence[Progress]], frozen=True):
    """How the frontier of the bench grew, oldest first."""

    every_seconds: ClassVar[float | None] = 5.0

    async def read(self, source: Source) -> Sequence[Progress]:
        """Read the record."""
        return await views.progress(source.database)


def after(name: str) -> str:
    """What comes after something in the order in which one goes through them."""
    names = list(AGAINST)
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


def growth(moments: Sequence[Progress] | None, against: str, width: int, height: int) -> list[Line]:
    """The hypervolume of what is confirmed, and with what is promising, in exactly so many columns and lines."""
    what = AGAINST.get(against, AGAINST["experiments"])
    head = _head(width)
    if not moments:
        said = "" if moments is None else " It is drawn once the baseline is measured."
        return [head, line((fit(said, width), "dim")), *[line()] * (height - 2)]
    canvas = Canvas(width - GUTTER, height - 3)
    spent = [what.spent(one, moments[0]) for one in moments]
    most = max(spent[-1], 1e-9)
    counts = [bisect_right(spent, most * (column + 1) / canvas.width * (1 + 1e-9)) for column in range(canvas.width)]
    # Before the first moment nothing is known.
    known = [(column, moments[count - 1]) for column, count in enumerate(counts) if count]
    values = [value for _, one in known for value in (one.hypervolume, one.optimistic)]
    rows = scale(min(values), max(values), canvas.height, 2, log=False)
    for style, series in (
        ("sky", [(column, one.hypervolume) for column, one in known]),
        ("dim", [(column, one.optimistic) for column, one in known]),
    ):
        corners = [(column, canvas.height - 1 - rows.at(value)) for column, value in series]
        turns = [corners[0], *(own for before, own in pairwise(corners) if own[1] != before[1])]
        beneath = Canvas(canvas.width, canvas.height)
        steps(beneath, turns, style)
        for at, cell in beneath.cells.items():
            canvas.cells.setdefault(at, cell)
    beside = figures.ticks(rows.ticks, quality=False, even=rows.even)
    marks = {canvas.height - 1 - rows.at(tick): text for tick, text in zip(rows.ticks, beside, strict=True)}
    lines = [line(*gutter(marks.get(y, "")), *canvas.row(y)) for y in range(canvas.height)]
    title = f" {what.label}"
    end = what.say(spent[-1])
    room = canvas.width - len(title)
    axis = line(" " * (GUTTER - 1), ("└" + "─" * room, "rule"), (title, "text"))
    return [head, *lines, axis, apart([" " * (GUTTER - 1), ("0", "dim")], [(end, "dim")], width)]


def _head(width: int) -> Line:
    """What is drawn, and what the lines are: in few words where there is no room for more."""
    long, short = " with what is promising", " promising"
    for better, promising in ((" ▴ better", long), (" ▴ better", short), (" ▴", short)):
        name: list[Piece] = [" ", ("hypervolume", "bold"), (better, "dim")]
        legend: list[Piece] = [("⠤⠤", "bold sky"), " confirmed  ", ("⠤⠤", "dim"), (promising, "dim")]
        if width_of([*name, *legend]) < width:
            break
    return apart(name, legend, width)
