"""A scatter plot of cells: points, their intervals, the front as steps, and the values of one point on the axes."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct
from rich.cells import cell_len

from cockpit import figures
from cockpit.canvas import GUTTER, Canvas, gutter, steps
from cockpit.line import Line, line
from cockpit.scale import Scale, reach, scale

LEFT, SPARE = 3, 8  # columns of the plot in which no point lies: on the left, and in all
OUT = {(-1, 0): "◄", (1, 0): "►", (0, -1): "▴", (0, 1): "▾"}  # what lies outside: to which side
BARS, LABELS = 24, 40  # of the weightiest points, so many have their intervals and their names drawn

Interval = tuple[float, float]


class Axis(Struct, frozen=True):
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


class Dot(Struct, frozen=True):
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
    shorter: Sequence[Sequence[tuple[str, str]]] = ()  # labels to try, where there is no room for the whole one


class Frame(Struct, frozen=True):
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

    def places(self, xs: Sequence[float], ys: Sequence[float]) -> list[tuple[int, int, str]]:
        """The column and the row of each point; of one outside those of the edge, and the arrow that stands there."""
        found = list[tuple[int, int, str]]()
        for (x, aside), (y, above) in zip(self.xs.places(xs), self.ys.places(ys), strict=True):
            column, row, out = self._column(x), self._row(y), ""
            if aside or above:
                across = -aside if self.across.maximize else aside
                column = {-1: 1, 0: column, 1: self.xs.cells + SPARE - 2}[across]
                out = OUT[(across, 0) if across else (0, -above if self.up.maximize else above)]
            found.append((column, row, out))
        return found


class Crowd:
    """Points that all look alike, of which there may be ten thousand. In which cell one lies is asked once a frame.

    `before` is a crowd of which most points were already.
    """

    glyph, style = "∙", "dim"

    def __init__(self, places: Sequence[tuple[float, float]] = (), before: "Crowd | None" = None) -> None:
        self.places = places
        self._frame: Frame | None = before._frame if before else None
        self._cells: dict[tuple[float, float], tuple[int, int, str]] = before._cells if before else {}

    def cells(self, frame: Frame) -> Counter[tuple[int, int, str]]:
        """Those in which there is one or more, as `places` says them; and how many."""
        known = self._cells if frame == self._frame else {}
        fresh = [one for one in self.places if one not in known]
        found = frame.places([x for x, _ in fresh], [y for _, y in fresh])
        self._frame, self._cells = frame, known | dict(zip(fresh, found, strict=True))
        return Counter(self._cells[one] for one in self.places)


class Ranges(Struct, frozen=True):
    """From where to where both axes go, before what is selected is asked."""

    across: Interval
    up: Interval


def ranges(dots: Sequence[Dot], crowd: Crowd) -> Ranges:
    """All dots lie within, and what of the crowd is near to them."""
    xs, ys = [x for x, _ in crowd.places], [y for _, y in crowd.places]
    return Ranges(reach([dot.x for dot in dots], xs), reach([dot.y for dot in dots], ys))


def framed(axes: tuple[Axis, Axis], width: int, height: int, within: Ranges) -> Frame:
    """Where values lie in a plot of so many columns and lines."""
    (across, up), columns, rows = axes, width - GUTTER, height - 2
    log = across.log if across.ranks else False
    return Frame(
        scale(*within.across, max(2, columns - SPARE), 8, log=log),
        scale(*within.up, rows, 2 if rows < 16 else 3, log=up.log),
        across,
        up,
    )


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

    `front` is drawn as steps, `dots` as they look, the `crowd` below them. The axes go as far as `within` says; what
    lies outside is an arrow at the edge, and counted.
    """
    crowd = crowd or Crowd()
    within = within or ranges(dots, crowd)
    canvas = Canvas(width - GUTTER, height - 2)
    chosen = next((dot for dot in dots if dot.selected), None)
    frame = framed(axes, width, height, within)
    steps(canvas, [(frame.column(dot.x), frame.row(dot.y)) for dot in front], "sky")
    lying = crowd.cells(frame)
    for x, y, out in sorted(lying, key=lambda cell: bool(cell[2])):
        canvas.put(x, y, out or crowd.glyph, crowd.style)
    ordered = sorted(dots, key=lambda one: one.weight)
    placed = list(zip(ordered, frame.places([dot.x for dot in ordered], [dot.y for dot in ordered]), strict=True))
    for dot, (x, y, out) in placed:
        glyph, style = (out, Crowd.style) if out else (dot.glyph, dot.style)
        if dot.selected:
            canvas.put(x - 1, y, f"[{glyph}]", "bold sky")
        canvas.put(x, y, glyph, style)
    barred = [(dot, x, y) for dot, (x, y, out) in reversed(placed) if not out and (dot.across or dot.up)]
    for dot, x, y in barred[:BARS]:
        _bars(canvas, frame, dot, x, y)
    named = [one for one in reversed(placed) if one[0].label]
    named.sort(key=lambda one: not (one[0].selected or one[0].shorter))  # what no glyph says is said first
    for dot, (x, y, _) in named[:LABELS]:
        any(_label(canvas, label, x, y, selected=dot.selected) for label in (dot.label, *dot.shorter))
    beyond = [(dot, out) for dot, (*_, out) in placed if out]
    twice = any(dot is chosen and (dot.x, dot.y) in crowd.places for dot, _ in beyond)
    outside = Counter(out for dot, out in beyond if not (twice and dot is chosen))
    for (*_, out), number in lying.items():
        if out:
            outside[out] += number
    here = next(((x, y) for dot, (x, y, _) in placed if dot is chosen), (0, 0))
    return [*_rows(canvas, frame, chosen, here[1]), *_across(canvas, frame, chosen, here[0], outside)]


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


def _label(canvas: Canvas, label: Sequence[tuple[str, str]], x: int, y: int, *, selected: bool) -> bool:
    """Beside the point where there is room, or beyond its interval, else above or below it, where need be over lines.

    Else nowhere: the list has its name too. Whether it stands there now.
    """
    size = sum(cell_len(text) for text, _ in label)
    aside = 3 if selected else 2  # for the brackets
    after, before = x + aside, x - size - aside + 1
    while (after - 1, y) in canvas.lines and canvas.cells[after - 1, y][0] == "─":
        after += 1
    while (at := before + size) > 0 and (at, y) in canvas.lines and canvas.cells[at, y][0] == "─":
        before -= 1
    left = x - size - 1
    places = [(x + aside, y), (after, y), (x + 2, y + 1), (x + 2, y - 1), (before, y), (left, y - 1), (left, y + 1)]
    places += [(x - size // 2, y - 1), (x - size // 2, y + 1)]
    ways = [(False, 1), (False, 0), (True, 1), (True, 0)]  # whether over lines, and how far from what is beside it
    for over, gap in ways if selected else ways[::2]:
        for at, row in [one for one in places if one[1] == y or selected or not over]:
            room = min(size + 2 * gap, canvas.width - at + gap)
            if at + size <= canvas.width and canvas.free(at - gap, row, room, over=over):
                for text, style in label:
                    canvas.put(at, row, text, style)
                    at += cell_len(text)
                return True
    return False


def _rows(canvas: Canvas, frame: Frame, chosen: Dot | None, here: int) -> list[Line]:
    """The canvas, with the values of the vertical axis before it."""
    axis = frame.up
    marks = {frame.row(tick): text for tick, text in axis.ticks(frame.ys)}
    lines = []
    for y in range(canvas.height):
        if chosen and y == here:
            before = gutter(axis.say(chosen.y), "bold sky", ("┼", "sky"))
        else:
            before = gutter(marks.get(y, ""))
        lines.append(line(*before, *canvas.row(y)))
    return lines


def _across(canvas: Canvas, frame: Frame, chosen: Dot | None, here: int, outside: Counter[str]) -> list[Line]:
    """The horizontal axis, with how many points lie outside, and its values beneath."""
    axis = frame.across
    title = [(f" {axis.label}", "text"), (f" {axis.unit}" if axis.unit else "", "dim")]
    title.append((", log" if frame.xs.log else "", "dim"))
    start = max(0, canvas.width - sum(cell_len(text) for text, _ in title))
    stroke, values = Canvas(canvas.width, 1), Canvas(canvas.width, 1)
    stroke.put(0, 0, "─" * start, "rule")
    if chosen:
        text = axis.say(chosen.x)
        stroke.put(here, 0, "┼", "sky")
        values.put(min(max(1, here - len(text) // 2), canvas.width - len(text)), 0, text, "bold sky")
    for tick, text in axis.ticks(frame.xs):
        x = frame.column(tick)
        at = x - len(text) // 2
        if text and values.free(at - 1, 0, min(len(text) + 2, canvas.width - at + 1)) and at >= 2:
            values.put(at, 0, text, "dim")
            if x < start:
                stroke.put(x, 0, "┬", "rule")
    counts = "  ".join(f"{number} {out}" for out, number in sorted(outside.items()))
    for text in (f" {counts} outside ", f" {counts} ") if outside else ():
        places = [at for at in (1, here + 1) if at + len(text) < start and not (chosen and at <= here < at + len(text))]
        if places:
            stroke.put(places[0], 0, text, "dim")
            break
    for text, style in title:
        stroke.put(start, 0, text, style)
        start += cell_len(text)
    return [
        line(" " * (GUTTER - 1), ("└", "rule"), *stroke.row(0)),
        line(("◂ better" if axis.ranks else " " * 8, "dim"), *values.row(0, 1)),
    ]
