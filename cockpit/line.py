"""A line of the screen: pieces of clean text, each with a style. What is not a Line is not drawn.

Foreign text is cleaned here, where a line is made, so nothing that a log, a diff, a model or a file name holds reaches
the terminal as anything but text. Markup is not interpreted at all.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import overload

from msgspec import Struct
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from cockpit.text import Clean, clean
from cockpit.themes import Theme

Piece = str | tuple[str, str]  # a text, and the names of its styles

NOTHING = Style()
MARKS = {"bold", "reverse", "underline"}
NO_BREAK = "\u00a0"
BOUND = re.compile(r"\([^()]{1,20}\)| %|(?<=\d) seeds?\b")  # what is not broken by `wrap`


class Line(Struct, frozen=True):
    """Made by `line`. `ground` is the name of a background for its whole width."""

    pieces: tuple[tuple[Clean, str], ...] = ()
    ground: str = ""

    @property
    def text(self) -> str:
        """Its words, without their styles."""
        return "".join(text for text, _ in self.pieces)


def line(*pieces: Piece, ground: str = "") -> Line:
    """A line of these texts, cleaned."""
    given = ((piece, "text") if isinstance(piece, str) else piece for piece in pieces)
    return Line(tuple((one_line(text), style) for text, style in given if text), ground)


class LazyLines(Sequence[Line]):
    """Lines of which each is made when it comes on the screen: there may be fifty thousand. A subclass makes one."""

    def line_at(self, index: int) -> Line:
        """The line of an index from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        places = range(len(self))[index]
        return self.line_at(places) if isinstance(places, int) else [self.line_at(one) for one in places]


def one_line(text: str) -> Clean:
    """A text, cleaned, on one line."""
    return Clean(clean(text).replace("\n", " "))


def fit(text: str, columns: int) -> str:
    """A text in exactly so many columns, to the left; what does not fit is cut, and said to be."""
    text = one_line(text)
    if cell_len(text) <= columns:
        return set_cell_size(text, columns)
    return set_cell_size(text, columns - 1) + "…" if columns > 0 else ""


def right(text: str, columns: int) -> str:
    """A text in exactly so many columns, to the right."""
    text = one_line(text)
    room = columns - cell_len(text)
    return " " * room + text if room >= 0 else fit(text, columns)


def width_of(pieces: Iterable[Piece]) -> int:
    """How many columns they take."""
    return sum(cell_len(one_line(piece if isinstance(piece, str) else piece[0])) for piece in pieces)


def apart(left: Sequence[Piece], end: Sequence[Piece], columns: int, *, fill: Piece = " ", ground: str = "") -> Line:
    """Some to the left and some to the right, the room between them filled; for want of room the right one goes."""
    room = columns - width_of(left) - width_of(end)
    if room < 1:
        end, room = (), columns - width_of(left)
    character, style = fill if isinstance(fill, tuple) else (fill, "text")
    return line(*left, (character * max(0, room), style), *end, ground=ground)


def rule(
    number: int, title: str, behind: Sequence[tuple[int, str]], note: Sequence[Piece], columns: int, *, focused: bool
) -> Line:
    """The title of a panel on its rule, with what stands behind it, and a note; heavy where the keys are."""
    own = f"bold {'sky' if focused else 'text'}"
    names: list[Piece] = []
    for other, text in sorted([(number, title), *behind]):  # each where it is, whichever is in front
        styles = ("bold sky", own) if other == number else ("sky", "dim")
        names += ["  " if names else "", (f"{other} ", styles[0]), (text, styles[1])]
    end = [" ", *note] if note else []
    stroke = ("━", "sky") if focused else ("─", "rule")
    return apart([*names, " "], end, columns, fill=stroke)


def beside(left: Sequence[Line], others: Sequence[Line], column: int) -> list[Line]:
    """Two blocks side by side, the second from a column on."""
    rows = []
    for first, second in zip_longest(left, others, fillvalue=Line()):
        rows.append(line(*first.pieces, " " * max(0, column - cell_len(first.text)), *second.pieces))
    return rows


def wrap(text: str, columns: int, most: int) -> list[str]:
    """A text on at most so many lines, broken between words where that can be.

    Not before a `%` or `seeds`, and not within a few words in brackets.
    """
    joined = BOUND.sub(lambda found: found[0].replace(" ", NO_BREAK), one_line(text))
    words, lines = [part for word in joined.split(" ") for part in _parts(word, columns)], [""]
    for word in words:
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(longer) <= columns or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines[most - 1 :] = [" ".join(lines[most - 1 :])]
    return [fit(one.replace(NO_BREAK, " "), columns).rstrip() for one in lines]


def _parts(word: str, columns: int) -> list[str]:
    """A word, in parts that each fit on a line."""
    columns = max(1, columns)
    if cell_len(word) <= columns:
        return [word]
    return [
        part
        for one in word.split(NO_BREAK)
        for part in ([one] if cell_len(one) <= columns else chop_cells(one, columns))
    ]


@lru_cache(maxsize=512)
def style_of(names: str, ground: str, theme: Theme) -> Style:
    """The style that some names stand for in a theme. What is reversed has no colour, which would be its ground."""
    words = list[str]()
    for name in names.split():
        if name in theme.grounds:
            ground = name
    for name in names.split():
        if name not in theme.grounds:
            words += theme.styles.get(
                f"{name} on {ground}", theme.styles.get(name, name if name in MARKS else "")
            ).split()
    if MARKS.issuperset(words):
        words += theme.styles.get("text", "").split()
    words += theme.grounds.get(ground, theme.grounds["page"]).split()
    if "reverse" in words:
        words = [word for word in words if word in MARKS]
    return Style.parse(" ".join(words))


def segments(drawn: Line, columns: int, theme: Theme) -> list[Segment]:
    """A line as it is painted, in exactly so many columns; one that is longer is cut, and said to be."""
    whole = list(Segment.simplify(_few(drawn, theme)))
    if Segment.get_line_length(whole) > columns > 0:
        cut = Segment("…", style_of("dim", drawn.ground, theme))
        whole = [*Segment.adjust_line_length(whole, columns - 1), cut]
    return Segment.adjust_line_length(whole, columns, style_of("", drawn.ground, theme))


def painted(drawn: Line, columns: int, theme: Theme, colours: ColorSystem | None) -> str:
    """The same as a terminal of such colours is sent it."""
    return "".join(
        (style or NOTHING).render(text, color_system=colours) for text, style, _ in segments(drawn, columns, theme)
    )


def _few(drawn: Line, theme: Theme) -> Iterator[Segment]:
    """Its segments, as few as it takes: each costs some forty bytes. What is blank looks like what is before it."""
    before: Style | None = None
    for text, names in drawn.pieces:
        style = style_of(names, drawn.ground, theme)
        if before is not None and text.isspace() and _blank(style) == _blank(before):
            style = before
        before = style
        yield Segment(text, style)


def _blank(style: Style) -> tuple[object, ...]:
    """What of a style is seen where nothing is written."""
    return style.bgcolor, style.color if style.reverse else None, bool(style.underline), bool(style.strike)
