"""A scatter plot of cells: points, their intervals, the front as steps, and the values of one point on the axes."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from cockpit import figures
from cockpit.canvas import GUTTER, Canvas, gutter, steps
from cockpit.line import Line, line
from cockpit.scale import Scale, reach, scale

LEFT, SPARE = 3, 8  # columns of the plot in which no point lies: on the left, and in all
BARS, LABELS = 24, 40  # of the weightiest points, so many have their intervals and their names drawn

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity to draw along. What is better lies up, and to the left."""

    label: str
    unit: str
    maximize: bool
    quality: bool
    ranks: bool = True  # whether one value of it is better than another
    log: bool | None = None  # None where the values decide

    def say(self, value: float) -> str:
        """A value as the axis has it."""
        return figures.value(value, quality=self.quality)

    def ticks(self, along: Scale) -> list[tuple[float, str]]:
        """The round ones, and what stands beside them."""
        return list(zip(along.ticks, figures.ticks(along.ticks, quality=self.quality, even=along.even), strict=True))


@dataclass(frozen=True, slots=True)
class Dot:
    """A point: its values, how it looks, and what is written beside it. Of two on one cell the weightier is drawn."""

    x: float
    y: float
    glyph: str
    style: str
    weight: int = 0
    label: Sequence[tuple[str, str]] = ()
    selected: bool = False
    across: Interval | None = None  # in which its mean is known to lie
    up: Interval | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values lie on a canvas of so many columns and rows."""

    xs: Scale
    ys: Scale
    across: Axis
    up: Axis

    def column(self, x: float) -> int:
        """Of a value: what is better lies to the left."""
        return self._column(self.xs.at(x))

    def row(self, y: float) -> int:
        """Of a value: what is better lies up."""
        return self._row(self.ys.at(y))

    def _column(self, at: int) -> int:
        return LEFT + (self.xs.cells - 1 - at if self.across.maximize else at)

    def _row(self, at: int) -> int:
        return self.ys.cells - 1 - at if self.up.maximize else at

    def places(self, xs: Sequence[float], ys: Sequence[float]) -> list[tuple[int, int, bool]]:
        """The column and the row of each point, and whether it lies there; of one outside, those of the nearest."""
        return [
            (self._column(x), self._row(y), here and there)
            for (x, here), (y, there) in zip(self.xs.places(xs), self.ys.places(ys), strict=True)
        ]


class Crowd:
    """Points that all look alike, of which there may be ten thousand. In which cells they lie is asked once a frame."""

    glyph, style = "∙", "dim"

    def __init__(self, places: Sequence[tuple[float, float]] = ()) -> None:
        self.xs = [x for x, _ in places]
        self.ys = [y for _, y in places]
        self._last: tuple[Frame, set[tuple[int, int]]] | None = None

    def cells(self, frame: Frame) -> set[tuple[int, int]]:
        """Those in which there is one or more."""
        if self._last is None or self._last[0] != frame:
            self._last = frame, {(x, y) for x, y, _ in frame.places(self.xs, self.ys)}
        return self._last[1]


@dataclass(frozen=True, slots=True)
class Ranges:
    """From where to where both axes go, before what is selected is asked."""

    across: Interval
    up: Interval


def ranges(dots: Sequence[Dot], crowd: Crowd) -> Ranges:
    """All dots lie within, and what is central of the crowd."""
    return Ranges(reach([dot.x for dot in dots], crowd.xs), reach([dot.y for dot in dots], crowd.ys))


def draw(
    dots: Sequence[Dot],
    front: Sequence[Dot],
    axes: tuple[Axis, Axis],
    width: int,
    height: int,
    crowd: Crowd | None = None,
    within: Ranges | None = None,
) -> list[Line]:
    """The plot in exactly so many columns and lines.

    `front` is drawn as steps, `dots` as they look, the `crowd` below them. The axes go as far as `within` says, and to
    what is selected; what lies outside is drawn at the edge.
    """
    (across, up), crowd = axes, crowd or Crowd()
    within = within or ranges(dots, crowd)
    canvas = Canvas(width - GUTTER, height - 2)
    chosen = next((dot for dot in dots if dot.selected), None)
    log = across.log if across.ranks else False
    frame = Frame(
        scale(*within.across, max(2, canvas.width - SPARE), 8, log=log, also=chosen.x if chosen else None),
        scale(*within.up, canvas.height, 2 if canvas.height < 16 else 3, log=up.log, also=chosen.y if chosen else None),
        across,
        up,
    )
    steps(canvas, [(frame.column(dot.x), frame.row(dot.y)) for dot in front], "sky")
    for x, y in crowd.cells(frame):
        canvas.put(x, y, crowd.glyph, crowd.style)
    ordered = sorted(dots, key=lambda one: one.weight)
    placed = list(zip(ordered, frame.places([dot.x for dot in ordered], [dot.y for dot in ordered]), strict=True))
    for dot, (x, y, inside) in placed:
        glyph, style = (dot.glyph, dot.style) if inside else (Crowd.glyph, Crowd.style)
        if dot.selected:
            canvas.put(x - 1, y, f"[{glyph}]", "bold sky")
        canvas.put(x, y, glyph, style)
    barred = [(dot, x, y) for dot, (x, y, inside) in reversed(placed) if inside and (dot.across or dot.up)]
    for dot, x, y in barred[:BARS]:
        _bars(canvas, frame, dot, x, y)
    for dot, (x, y, _) in [one for one in reversed(placed) if one[0].label][:LABELS]:
        _label(canvas, dot, x, y)
    return [*_rows(canvas, frame, chosen), *_across(canvas, frame, chosen)]


def _bars(canvas: Canvas, frame: Frame, dot: Dot, x: int, y: int) -> None:
    """The intervals of a point, across and up, as far as they reach into other cells: over lines, and under all else.

    One that goes beyond the edge has no end there.
    """
    if dot.across:
        start, end = sorted(frame.column(value) for value in dot.across)
        for column in range(start, end + 1):
            canvas.stroke(column, y, "─", "faint")
    if dot.up:
        top, bottom = sorted(dot.up, key=frame.row)
        ends = {frame.row(bottom): ("╵", frame.ys.holds(bottom)), frame.row(top): ("╷", frame.ys.holds(top))}
        for row in range(min(ends), max(ends) + 1):
            glyph, ended = ends.get(row, ("│", True))
            if row != y:
                canvas.stroke(x, row, glyph if ended else "│", "faint")


def _label(canvas: Canvas, dot: Dot, x: int, y: int) -> None:
    """Beside the point where there is room, or beyond its interval, else above or below it, where need be over lines.

    Else nowhere: the list has its name too.
    """
    size = sum(cell_len(text) for text, _ in dot.label)
    aside = 3 if dot.selected else 2  # for the brackets
    after, before = x + aside, x - size - aside + 1
    while (after - 1, y) in canvas.lines and canvas.cells[after - 1, y][0] == "─":
        after += 1
    while (at := before + size) > 0 and (at, y) in canvas.lines and canvas.cells[at, y][0] == "─":
        before -= 1
    left = x - size - 1
    places = [(x + aside, y), (after, y), (x + 2, y + 1), (x + 2, y - 1), (before, y), (left, y - 1), (left, y + 1)]
    places += [(x - size // 2, y - 1), (x - size // 2, y + 1)]
    ways = [(False, 1), (False, 0), (True, 1), (True, 0)]  # whether over lines, and how far from what is beside it
    for over, gap in ways if dot.selected else ways[::2]:
        for at, row in [one for one in places if one[1] == y or dot.selected or not over]:
            if canvas.free(at - gap, row, min(size + 2 * gap, canvas.width - at + gap), over=over):
                for text, style in dot.label:
                    canvas.put(at, row, text, style)
                    at += cell_len(text)
                return


def _rows(canvas: Canvas, frame: Frame, chosen: Dot | None) -> list[Line]:
    """The canvas, with the values of the vertical axis before it."""
    axis, here = frame.up, frame.row(chosen.y) if chosen else None
    marks = {frame.row(tick): text for tick, text in axis.ticks(frame.ys)}
    lines = []
    for y in range(canvas.height):
        if y == here and chosen:
            before = gutter(axis.say(chosen.y), "bold sky", ("┼", "sky"))
        else:
            before = gutter(marks.get(y, ""))
        lines.append(line(*before, *canvas.row(y)))
    return lines


def _across(canvas: Canvas, frame: Frame, chosen: Dot | None) -> list[Line]:
    """The horizontal axis, and its values beneath."""
    axis = frame.across
    title = [(f" {axis.label}", "text"), (f" {axis.unit}" if axis.unit else "", "dim")]
    title.append((", log" if frame.xs.log else "", "dim"))
    start = max(0, canvas.width - sum(cell_len(text) for text, _ in title))
    stroke, values = Canvas(canvas.width, 1), Canvas(canvas.width, 1)
    stroke.put(0, 0, "─" * start, "rule")
    if chosen:
        x, text = frame.column(chosen.x), axis.say(chosen.x)
        stroke.put(x, 0, "┼", "sky")
        values.put(min(max(1, x - len(text) // 2), canvas.width - len(text)), 0, text, "bold sky")
    for tick, text in axis.ticks(frame.xs):
        x = frame.column(tick)
        at = x - len(text) // 2
        if text and values.free(at - 1, 0, min(len(text) + 2, canvas.width - at + 1)) and at >= 2:
            values.put(at, 0, text, "dim")
            if x < start:
                stroke.put(x, 0, "┬", "rule")
    for text, style in title:
        stroke.put(start, 0, text, style)
        start += cell_len(text)
    return [
        line(" " * (GUTTER - 1), ("└", "rule"), *stroke.row(0)),
        line(("◂ better" if axis.ranks else " " * 8, "dim"), *values.row(0, 1)),
    ]
