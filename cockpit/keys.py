"""The keys: one table, from which the bindings, the footer and the help are made."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding

from cockpit.glyphs import BASELINE, FAILS, OFFER, STATES, WORDS, Look
from cockpit.line import Line, Piece, beside, fit, line

LOOK, DECIDE, STEER = "Look", "Decide", "Steer"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the main screen. `keys` is Textual's name of it, `shown` ours; a `footer` is said below, if it fits."""

    shown: str
    keys: str
    action: str
    group: str
    says: str
    footer: str = ""
    panels: tuple[int, ...] = ()  # in which it is said below; everywhere where there are none


KEYS = (
    Key("enter", "enter", "open", LOOK, "open the diff of what is selected", "open", (1, 2)),
    Key("j k", "j,down", "move(1)", LOOK, "down, up; along the front in the frontier", "along the front", (2,)),
    Key("", "k,up", "move(-1)", LOOK, ""),
    Key("m", "m", "merge", DECIDE, "merge: a sheet says first what will happen", "merge", (1, 2, 3)),
    Key("M", "M", "merge_at_once", DECIDE, "merge at once, also what is not confirmed"),
    Key("x", "x", "reject", DECIDE, "reject, with a reason if you like", "reject", (1, 2, 3)),
    Key("space", "space", "mark", DECIDE, "mark or unmark: m merges all marked", "mark", (1, 2)),
    Key("u", "u", "undo", DECIDE, "undo the last decision", "undo"),
    Key("r", "r", "run_or_pause", STEER, "pause the research, or go on with it", "run or pause"),
    Key("1-4", "1", "panel(1)", LOOK, "the panels; tab the next"),
    Key("", "2", "panel(2)", LOOK, ""),
    Key("", "3", "panel(3)", LOOK, ""),
    Key("", "4", "panel(4)", LOOK, ""),
    Key("esc", "escape", "back", LOOK, "back to the list; there, forget the marks"),
    Key("g G", "g,home", "end(False)", LOOK, "first line, last line"),
    Key("", "G,end", "end(True)", LOOK, ""),
    Key("^d ^u", "ctrl+d", "page(0.5)", LOOK, "half a page down, up; page keys a whole one"),
    Key("", "ctrl+u", "page(-0.5)", LOOK, ""),
    Key("", "pagedown", "page(1)", LOOK, ""),
    Key("", "pageup", "page(-1)", LOOK, ""),
    Key("^z", "ctrl+z", "suspend_process", STEER, "to the shell; fg comes back"),
    Key("^l", "ctrl+l", "redraw", STEER, "draw the screen anew"),
    Key("?", "question_mark", "help", STEER, "this help", "help"),
    Key("q", "q,ctrl+c", "quit", STEER, "quit; the engine goes on", "quit"),
)


def bindings() -> list[Binding]:
    """What Textual is told."""
    return [Binding(key.keys, key.action, key.says, show=False) for key in KEYS]


def footer(panel: int, width: int, run_or_pause: str) -> Line:
    """The keys of a panel, as many as there is room for; the last two are always said."""
    chosen = [key for key in KEYS if key.footer and (not key.panels or panel in key.panels)]
    words = [(key.shown, run_or_pause if key.action == "run_or_pause" else key.footer) for key in chosen]
    while len(words) > 2 and sum(cell_len(key) + cell_len(says) + 3 for key, says in words) > width:
        words.pop(-3)
    pieces: list[Piece] = [" "]
    for key, says in words:
        pieces += [(key, "bold sky"), (f" {says}  ", "dim")]
    return line(*pieces)


def help_lines(width: int) -> list[Line]:
    """All keys, and all glyphs with what they mean."""
    half = width // 2 if width >= 90 else width
    left = [*_keys(DECIDE, half), line(), *_keys(STEER, half)]
    lines = beside(left, _keys(LOOK, half), half) if half < width else [*left, line(), *_keys(LOOK, half)]
    states = _looks("The states", [OFFER, *STATES.values(), FAILS, BASELINE], half)
    words = _looks("The verdicts, against trunk", list(WORDS.values()), half)
    lines += [line(), *(beside(states, words, half) if half < width else [*states, line(), *words])]
    said = (
        ("Evidence", "screened: a first look, a part is chance; promising: on several seeds;"),
        ("", "confirmed: on seeds never used for choosing, and so an offer"),
        ("Badges", "* is marked; stale is open, and was made from what trunk is no more"),
        ("Figures", "changes against trunk in per cent; ± is half a 95 % interval; P a probability"),
    )
    return [
        *lines,
        line(),
        *(line((fit(f"{name:10}", 10), "bold"), (fit(text, width - 10), "dim")) for name, text in said),
    ]


def _looks(title: str, looks: Sequence[Look], width: int) -> list[Line]:
    rows = [line((f"{one.glyph} {one.word:13}", one.style), (fit(one.meaning, width - 16), "dim")) for one in looks]
    return [line((title, "bold")), *rows]


def _keys(group: str, width: int) -> list[Line]:
    rows = [key for key in KEYS if key.group == group and key.says]
    return [
        line((group, "bold")),
        *(line((f"{key.shown:8}", "bold sky"), (fit(key.says, width - 9), "text")) for key in rows),
    ]
