"""The keys: one table, from which the bindings, the footer and the help are made. A panel adds its own to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from cockpit.glyphs import BASELINE, FAILS, OFFER, STATES, WORDS, Look
from cockpit.line import Line, Piece, beside, fit, line

LOOK, DECIDE, STEER = "Look", "Decide", "Steer"


@dataclass(frozen=True, slots=True)
class Key:
    """A key. `keys` is Textual's name of it, `shown` ours; a `footer` is said below, if it fits."""

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
    Key("space", "space", "mark", DECIDE, "mark or unmark: m and x take all marked", "mark", (1, 2)),
    Key("v", "v", "mark_range", DECIDE, "mark from here; v again, to here"),
    Key("r", "r", "run_or_pause", STEER, "pause the research, or go on with it", "run or pause"),
    Key("u", "u", "ask('undo')", DECIDE, "undo the last decision, then the one before", "undo"),
    Key("U", "U", "ask('redo')", DECIDE, "redo what was undone, until you decide anew"),
    Key("c", "c", "note", STEER, "a note, which the next proposals read", "note"),
    Key("K", "K", "end_run", STEER, "end the run of what is selected"),
    Key("H", "H", "ask('yield')", STEER, "hand the device back now; r goes on"),
    Key("Q", "Q", "ask('stop')", STEER, "stop after the current runs; twice: now"),
    Key("1-6", "1", "panel(1)", LOOK, "the panels; tab the next"),
    *(Key("", str(number), f"panel({number})", LOOK, "") for number in range(2, 7)),
    Key("z", "z", "zoom", LOOK, "this panel alone, or all", "zoom"),
    Key("esc", "escape", "back", LOOK, "back; in the list, forget marks, then filter"),
    Key("g G", "g,home", "end(False)", LOOK, "first line, last line"),
    Key("", "G,end", "end(True)", LOOK, ""),
    Key("^d ^u", "ctrl+d", "page(0.5)", LOOK, "half a page down, up; page keys a whole one"),
    Key("", "ctrl+u", "page(-0.5)", LOOK, ""),
    Key("", "pagedown", "page(1)", LOOK, ""),
    Key("", "pageup", "page(-1)", LOOK, ""),
    Key("y", "y", "copy", LOOK, "copy the name of its branch"),
    Key("^p", "ctrl+p", "command_palette", STEER, "all of these, by their words"),
    Key("^z", "ctrl+z", "suspend_process", STEER, "to the shell; fg comes back"),
    Key("^l", "ctrl+l", "redraw", STEER, "draw the screen anew"),
    Key("?", "question_mark", "help", STEER, "this help", "help"),
    Key("q", "q,ctrl+c", "quit", STEER, "quit; the engine goes on", "quit"),
)


def bindings(keys: Sequence[Key] = KEYS) -> list[BindingType]:
    """What Textual is told."""
    return [Binding(key.keys, key.action, key.says, show=False) for key in keys]


def footer(panel: int, own: Sequence[Key], width: int, run_or_pause: str) -> Line:
    """The keys of a panel, its own before those of all, as many as there is room for. The help is always said."""
    every = [key for key in KEYS if not key.panels or panel in key.panels]
    first = [key for key in every if key.panels]
    chosen = [key for key in (*first, *own, *(key for key in every if not key.panels)) if key.footer]
    words = [(key.shown, run_or_pause if key.action == "run_or_pause" else key.footer) for key in chosen]

    def width_of_all() -> int:
        return sum(cell_len(key) + cell_len(says) + 3 for key, says in words) - 1

    while len(words) > 1 and width_of_all() > width:
        words.pop(-1 if words[-1][0] == "q" else -2)
    pieces: list[Piece] = []
    for key, says in words:
        pieces += [("  " if pieces else " ", ""), (key, "bold sky"), (f" {says}", "dim")]
    return line(*pieces)


def pressed(shown: str, own: Sequence[Key] = ()) -> str:
    """Textual's name of a key that is shown so: of two, the first."""
    table = {key.shown: key.keys for key in (*KEYS, *own) if key.shown}
    return table.get(shown, shown.split()[0]).split(",")[0]


def help_lines(width: int, title: str = "", own: Sequence[Key] = ()) -> list[Line]:
    """All keys, those of the panel that has them first, and all glyphs with what they mean."""
    half = width // 2 if width >= 90 else width
    left = [*_keys(DECIDE, KEYS, half), line(), *_keys(STEER, KEYS, half)]
    look = _keys(LOOK, KEYS, half)
    if own:
        here = [line((title, "bold")), *(_key(key, half) for key in own if key.says)]
        left, look = ([*here, line(), *left], look) if half == width else (left, [*here, line(), *look])
    lines = beside(left, look, half) if half < width else [*left, line(), *look]
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


def markdown(panels: Iterable[tuple[int, str, Sequence[Key]]]) -> str:
    """The page of docs that lists them all."""
    text = "# Keys\n\nOf the screen, wherever one is; then of each panel. `?` shows those that count where you are.\n"
    groups: list[tuple[str, Sequence[Key]]] = [
        (group, [key for key in KEYS if key.group == group]) for group in (DECIDE, LOOK, STEER)
    ]
    groups += [(f"{number} {title}", own) for number, title, own in panels if own]
    for title, keys in groups:
        rows = (f"| `{key.shown}` | {key.says} |\n" for key in keys if key.says)
        text += f"\n## {title}\n\n| key | does |\n| --- | --- |\n{''.join(rows)}"
    return text


def _looks(title: str, looks: Sequence[Look], width: int) -> list[Line]:
    rows = [line((f"{one.glyph} {one.word:13}", one.style), (fit(one.meaning, width - 16), "dim")) for one in looks]
    return [line((title, "bold")), *rows]


def _keys(group: str, keys: Sequence[Key], width: int) -> list[Line]:
    rows = [key for key in keys if key.group == group and key.says]
    return [line((group, "bold")), *(_key(key, width) for key in rows)]


def _key(key: Key, width: int) -> Line:
    return line((f"{key.shown:8}", "bold sky"), (fit(key.says, width - 9), "text"))
