"""A scatter plot of cells: points, the front as steps, round ticks, and the values of one point on the axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from cockpit import figures
from cockpit.line import Line, Piece, line, right

GUTTER = 7  # columns for the values of the vertical axis
LEAST, MOST = 1e-150, 1e150  # values of a logarithmic scale, so that their ratio is a number
LOG_FROM = 4.0  # a scale is logarithmic where the largest value is so many times the smallest


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale. What is better lies up, and to the left."""

    label: str
    unit: str
    maximize: bool
    quality: bool
    ranks: bool = True  # whether one value of it is better than another

    def say(self, value: float) -> str:
        """A value as the axis has it."""
        return figures.value(value, quality=self.quality)

    def tick(self, value: float) -> str:
        """A round one."""
        if not self.quality:
            return f"{value:.3g}" if abs(value) < 1000 else self.say(value)
        return f"{value:.4g}".replace("0.", ".", 1) if abs(value) < 1 else self.say(value)


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


@dataclass(slots=True)
class _Scale:
    """Values to cells, from `low` at 0 to `high` at `cells - 1`."""

    low: float
    high: float
    log: bool
    cells: int

    def at(self, value: float) -> int:
        low, high, here = ((math.log(one) if self.log else one) for one in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return min(max(round(share * (self.cells - 1)), 0), self.cells - 1)


def _scale(values: Sequence[float], cells: int, *, ranks: bool = True) -> _Scale:
    low, high = min(values), max(values)
    log = ranks and low > LEAST and high < MOST and high / low >= LOG_FROM
    if log:
        spare = (high / low) ** 0.06
        return _Scale(low / spare, high * spare, log, cells)
    spare = 0.06 * (high - low) or abs(low) * 0.05 or 1.0
    return _Scale(low - spare, high + spare, log, cells)


@dataclass(slots=True)
class _Canvas:
    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)

    def put(self, x: int, y: int, text: str, style: str) -> None:
        for offset, character in enumerate(text):
            if 0 <= x + offset < self.width and 0 <= y < self.height:
                self.cells[x + offset, y] = (character, style)

    def free(self, x: int, y: int, size: int) -> bool:
        fits = x >= 0 and x + size <= self.width and 0 <= y < self.height
        return fits and all((x + offset, y) not in self.cells for offset in range(size))

    def row(self, y: int) -> list[Piece]:
        pieces: list[tuple[str, str]] = []
        for x in range(self.width):
            character, style = self.cells.get((x, y), (" ", ""))
            if pieces and pieces[-1][1] == style:
                pieces[-1] = (pieces[-1][0] + character, style)
            else:
                pieces.append((character, style))
        return list(pieces)


def draw(dots: Sequence[Dot], front: Sequence[Dot], axes: tuple[Axis, Axis], width: int, height: int) -> list[Line]:
    """The plot in exactly so many columns and lines. `front` is drawn as steps, `dots` as they look."""
    across, up = axes
    canvas = _Canvas(width - GUTTER, height - 2)
    xs = _scale([dot.x for dot in dots], canvas.width - 8, ranks=across.ranks)
    ys = _scale([dot.y for dot in dots], canvas.height)

    def place(dot: Dot) -> tuple[int, int]:
        x, y = xs.at(dot.x), ys.at(dot.y)
        return 3 + (xs.cells - 1 - x if across.maximize else x), canvas.height - 1 - y if up.maximize else y

    _steps(canvas, [place(dot) for dot in front])
    for dot in sorted(dots, key=lambda one: one.weight):
        x, y = place(dot)
        if dot.selected:
            canvas.put(x - 1, y, f"[{dot.glyph}]", "bold sky")
        canvas.put(x, y, dot.glyph, dot.style)
    for dot in sorted((dot for dot in dots if dot.label), key=lambda one: -one.weight):
        _label(canvas, dot, *place(dot))
    chosen = next((dot for dot in dots if dot.selected), None)
    column, row = place(chosen) if chosen else (-1, -1)
    return [*_rows(canvas, ys, up, chosen, row), *_across(canvas, xs, across, chosen, column)]


def _steps(canvas: _Canvas, corners: list[tuple[int, int]]) -> None:
    """From each point to the right, and up to the next: what lies below and right of it is beaten."""
    corners = sorted(set(corners), key=lambda at: (at[0], -at[1]))
    for index, (x, y) in enumerate(corners):
        last = index + 1 == len(corners)
        end, above = (canvas.width, y) if last else corners[index + 1]
        for column in range(x, end):
            canvas.put(column, y, "⠤", "sky")
        if not last:
            canvas.put(end, y, "⠼" if above < y else "⠤", "sky")
            for row in range(min(above, y) + 1, max(above, y)):
                canvas.put(end, row, "⢸", "sky")


def _label(canvas: _Canvas, dot: Dot, x: int, y: int) -> None:
    """Beside the point where there is room, else above or below it, else nowhere: the list has its name too."""
    size = sum(cell_len(text) for text, _ in dot.label)
    for at, row in (
        (x + 2, y),
        (x - size - 1, y),
        (x + 2, y - 1),
        (x + 2, y + 1),
        (x - size - 1, y - 1),
        (x - size - 1, y + 1),
    ):
        if canvas.free(at - 1, row, size + 1) or (dot.selected and canvas.free(at, row, size)):
            for text, style in dot.label:
                canvas.put(at, row, text, style)
                at += cell_len(text)
            return


def _rows(canvas: _Canvas, scale: _Scale, axis: Axis, chosen: Dot | None, here: int) -> list[Line]:
    marks: dict[int, str] = {}
    for tick in figures.ticks(
        scale.low, scale.high, max(2, canvas.height // (2 if canvas.height < 16 else 4)), log=scale.log
    ):
        at = scale.at(tick)
        marks.setdefault(canvas.height - 1 - at if axis.maximize else at, axis.tick(tick))
    lines = []
    for y in range(canvas.height):
        if y == here and chosen:
            gutter: list[Piece] = [(right(axis.say(chosen.y), GUTTER - 1), "bold sky"), ("┼", "sky")]
        elif y in marks:
            gutter = [(right(marks[y], GUTTER - 1), "dim"), ("┤", "rule")]
        else:
            gutter = [" " * (GUTTER - 1), ("│", "rule")]
        lines.append(line(*gutter, *canvas.row(y)))
    return lines


def _across(canvas: _Canvas, scale: _Scale, axis: Axis, chosen: Dot | None, here: int) -> list[Line]:
    """The horizontal axis, and its values beneath."""
    title = f" {axis.label}{' ' + axis.unit if axis.unit else ''}{', log' if scale.log else ''}"
    stroke = _Canvas(canvas.width, 1)
    stroke.put(0, 0, "─" * (canvas.width - len(title)), "rule")
    values = _Canvas(canvas.width, 1)
    if chosen:
        x, text = here, axis.say(chosen.x)
        stroke.put(x, 0, "┼", "sky")
        values.put(min(max(0, x - len(text) // 2), canvas.width - len(text)), 0, text, "bold sky")
    for tick in figures.ticks(scale.low, scale.high, max(2, canvas.width // 9), log=scale.log):
        at = scale.at(tick)
        x, text = 3 + (scale.cells - 1 - at if axis.maximize else at), axis.tick(tick)
        if values.free(x - len(text) // 2 - 1, 0, len(text) + 2):
            values.put(x - len(text) // 2, 0, text, "dim")
            if x < canvas.width - len(title):
                stroke.put(x, 0, "┬", "rule")
    stroke.put(canvas.width - len(title), 0, title, "text")
    return [
        line(" " * (GUTTER - 1), ("└", "rule"), *stroke.row(0)),
        line(("◂ better" if axis.ranks else " " * 8, "dim"), *_after(values, 1)),
    ]


def _after(canvas: _Canvas, columns: int) -> list[Piece]:
    """A row without its first columns, over which something else stands."""
    cut = _Canvas(canvas.width - columns, 1, {(x - columns, y): cell for (x, y), cell in canvas.cells.items()})
    return cut.row(0)
