"""Cells to draw on: a character and a style each. What is drawn later lies above, unless it asks for free cells."""

from collections.abc import Sequence

from msgspec import Struct, field
from rich.cells import cell_len

from cockpit.line import Piece, right

GUTTER = 7  # columns for the values of a vertical axis
Cell = tuple[str, str]


class Canvas(Struct):
    """So many columns and rows; of a wide character the second cell is empty.

    `lines` are those cells on which there are strokes alone, over which one may write.
    """

    width: int
    height: int
    cells: dict[tuple[int, int], Cell] = field(default_factory=dict)
    lines: set[tuple[int, int]] = field(default_factory=set)

    def put(self, x: int, y: int, text: str, style: str) -> None:
        """Write from a cell on; what is beyond the edge is not written."""
        for character in text:
            size = cell_len(character)
            if size and x >= 0 and x + size <= self.width and 0 <= y < self.height:
                for half in (x - 1 if self._second(x, y) else x, x + size if self._second(x + size, y) else x):
                    self.cells[half, y] = (" ", "")  # of a wide character of which the other half is written over
                for offset in range(size):
                    self.cells[x + offset, y] = ("" if offset else character, style)
                    self.lines.discard((x + offset, y))
            x += size

    def _second(self, x: int, y: int) -> bool:
        return (x, y) in self.cells and not self.cells[x, y][0]

    def stroke(self, x: int, y: int, character: str, style: str) -> None:
        """A cell of a line: below all that is written."""
        if 0 <= x < self.width and 0 <= y < self.height and ((x, y) not in self.cells or (x, y) in self.lines):
            self.cells[x, y] = (character, style)
            self.lines.add((x, y))

    def free(self, x: int, y: int, size: int, *, over: bool = False) -> bool:
        """Whether so many cells are there, and empty; or with strokes alone, where one writes over them."""
        fits = x >= 0 and x + size <= self.width and 0 <= y < self.height
        taken = ((x + offset, y) for offset in range(size))
        return fits and all(at not in self.cells or (over and at in self.lines) for at in taken)

    def row(self, y: int, start: int = 0) -> list[Piece]:
        """A row, from a column on."""
        pieces: list[Cell] = []
        for x in range(start, self.width):
            character, style = self.cells.get((x, y), (" ", ""))
            if pieces and pieces[-1][1] == style:
                pieces[-1] = (pieces[-1][0] + character, style)
            else:
                pieces.append((character, style))
        return list(pieces)


def gutter(mark: str, style: str = "dim", stroke: Piece | None = None) -> list[Piece]:
    """What stands before a row: its value on the vertical axis, where it has one, and the axis."""
    text = f"{mark} " if cell_len(mark) < GUTTER - 1 and stroke is None else mark
    return [(right(text, GUTTER - 1), style), stroke or ("┤" if mark else "│", "rule")]


def steps(canvas: Canvas, corners: Sequence[tuple[int, int]], style: str) -> None:
    """From each point to the right, and up or down to the next; from the last to the edge."""
    corners = sorted(set(corners), key=lambda at: (at[0], -at[1]))
    for index, (x, y) in enumerate(corners):
        last = index + 1 == len(corners)
        end, above = (canvas.width, y) if last else corners[index + 1]
        for column in range(x, end):
            canvas.stroke(column, y, "⠤", style)
        if not last:
            canvas.stroke(end, y, "⠼" if above < y else "⠤", style)
            for row in range(min(above, y) + 1, max(above, y)):
                canvas.stroke(end, row, "⢸", style)
