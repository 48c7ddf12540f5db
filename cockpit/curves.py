"""Curves of braille dots, two by four in a cell, with round ticks on the left and its steps named below."""

from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import itemgetter

from msgspec import Struct

from cockpit import figures
from cockpit.canvas import GUTTER as GUTTER  # for who asks how much room there is
from cockpit.canvas import gutter
from cockpit.line import Line, Piece, apart, line
from cockpit.scale import LEAST, Scale, tight
from cockpit.series import Point

LEAST_ROWS, LEAST_COLUMNS = 3, 12  # of the dots' own cells
FRAME = 3  # rows that are not the dots': the title, the axis, its steps
LOG_FROM = 20.0  # a scale is logarithmic where the largest value is so many times the smallest
BLANK = 0x2800
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a cell's dots, by row and column


class Drawn(Struct, frozen=True):
    """Points, in the order of their steps, and the style they are drawn in."""

    points: Sequence[Point]
    style: str


def upright(values: Sequence[float], dots: int) -> Scale:
    """The scale on which these values stand; a level curve runs in the middle."""
    low, high = min(values), max(values)
    return tight(low, high, dots, max(2, dots // 8 + 1), log=low > LEAST and high / low >= LOG_FROM)


def dots(curve: Sequence[Point], across: Scale, up: Scale) -> set[tuple[int, int]]:
    """The dots of a curve: its points, and what lies between each two of them."""
    columns, rows = (along.places([one[which] for one in curve]) for which, along in enumerate((across, up)))
    places = [(x, y) for (x, _), (y, _) in zip(columns, rows, strict=True)]
    found = set(places)
    for (x, y), (to_x, to_y) in pairwise(places):
        if (steps := max(abs(to_x - x), abs(to_y - y))) < 2:
            continue
        found.update(
            (x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps)) for step in range(1, steps)
        )
    return found


def thinned(points: Sequence[Point], across: Scale) -> list[Point]:
    """Of the points on each column of dots the first, the lowest, the highest and the last: the dots are the same."""
    found = list[Point]()
    columns = [column for column, _ in across.places([x for x, _ in points])]
    for _, group in groupby(zip(columns, points, strict=True), key=itemgetter(0)):
        those = [point for _, point in group]
        if len(those) > 4:
            by_value = sorted(range(len(those)), key=lambda index: those[index][1])
            those = [those[index] for index in sorted({0, by_value[0], by_value[-1], len(those) - 1})]
        found += those
    return found


def braille(places: set[tuple[int, int]], rows: int) -> dict[tuple[int, int], int]:
    """The cells, by column and row from the top, that dots counted from the bottom left fill."""
    cells: dict[tuple[int, int], int] = {}
    for x, y in places:
        below = rows * 4 - 1 - y
        cell = x // 2, below // 4
        cells[cell] = cells.get(cell, 0) | BITS[below % 4][x % 2]
    return cells


def chart(
    title: Sequence[Piece], legend: Sequence[Piece], curves: Sequence[Drawn], end: str, reach: float, width: int,
    height: int,
) -> list[Line]:  # fmt: skip
    """In so many columns and lines. `end` names the last step, at `reach`.

    Of curves that meet the last is seen, of those of one style all. There is at least one point, and room: FRAME lines
    beside LEAST_ROWS, GUTTER columns beside LEAST_COLUMNS.
    """
    rows, columns = height - FRAME, width - GUTTER - 1
    xs = [x for one in curves for x, _ in one.points]
    first, last = min(xs), max(*xs, reach)
    last = last if last > first else first + max(1.0, abs(first))
    across = Scale(first, last, False, columns * 2, 0, columns * 2 - 1, ())
    up = upright([y for one in curves for _, y in one.points], rows * 4)
    cells: dict[tuple[int, int], tuple[int, str]] = {}
    for one in curves:
        for at, bits in braille(dots(thinned(one.points, across), across, up), rows).items():
            before, style = cells.get(at, (0, one.style))
            cells[at] = bits | (before if style == one.style else 0), one.style
    marks: dict[int, str] = {}
    for tick, text in zip(up.ticks, figures.ticks(up.ticks, quality=True, even=up.even), strict=True):
        marks.setdefault(rows - 1 - up.at(tick) // 4, text)
    lines = [apart([*title, *([("  log", "faint")] if up.log else [])], legend, width)]
    lines += [line(*gutter(marks.get(row, "")), *_row(cells, row, columns)) for row in range(rows)]
    lines.append(line(" " * (GUTTER - 1), ("└" + "─" * columns, "rule")))
    began = (f"{first:.4g}" if abs(first) < 1000 else f"{first:.0f}").replace("-", "−")
    lines.append(apart([" " * GUTTER, (began, "dim")], [(end, "dim"), " "], width))
    return lines


def _row(cells: dict[tuple[int, int], tuple[int, str]], row: int, columns: int) -> list[Piece]:
    pieces: list[tuple[str, str]] = []
    for column in range(columns):
        bits, style = cells.get((column, row), (0, ""))
        text = chr(BLANK + bits) if bits else " "
        if pieces and pieces[-1][1] == style:
            pieces[-1] = (pieces[-1][0] + text, style)
        else:
            pieces.append((text, style))
    return list(pieces)
