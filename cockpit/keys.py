"""The keys: one table, from which the bindings, the footer and the help are made. A panel adds its own to it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from rich.cells import cell_len

from cockpit.glyphs import BASELINE, FAILS, OFFER, STATES, WORDS, Look
from cockpit.line import Line, Piece, beside, fit, line, wrap
from cockpit.panels import NAMES as PANEL_NAMES

if TYPE_CHECKING:
    from textual.binding import BindingType

LOOK, DECIDE, STEER = "Look", "Decide", "Steer"
# In the footer, where there is little room, the first gives way first: before a panel's own keys what acts on many, and
# what the sheets say anyway. The last ones stay while they can.
EARLY, STAY = ("mark", "undo"), ("run", "quit", "help")
LEAST_BESIDE = 108  # columns of the help, from which on no line of two beside each other is cut


class Key(Struct, frozen=True):
    """A key. `name` is what a configuration calls what it does, `keys` are Textual's names; a `footer` is said below.

    One that says nothing is shown with the one before it; one without a name stays as it is. `says` may name others.
    """

    name: str
    keys: str
    action: str
    group: str
    says: str
    footer: str = ""
    panels: tuple[int, ...] = ()  # in which it is said below; everywhere where there are none


KEYS = (
    Key("open", "enter", "open", LOOK, "open the diff of what is selected", "open", (1, 2)),
    Key("down", "j,down", "move(1)", LOOK, "down, up; along the front in the frontier", "front", (2,)),
    Key("up", "k,up", "move(-1)", LOOK, ""),
    Key("merge", "m", "merge", DECIDE, "merge: a sheet says first what will happen", "merge", (1, 2, 3)),
    Key("merge_at_once", "M", "merge_at_once", DECIDE, "merge at once, also what is not confirmed"),
    Key("reject", "x", "reject", DECIDE, "reject, with a reason if you like", "reject", (1, 2, 3)),
    Key("mark", "space", "mark", DECIDE, "mark or unmark: {merge} and {reject} take all marked", "mark", (1, 2)),
    Key("mark_range", "v", "mark_range", DECIDE, "mark from here; {mark_range} again, to here"),
    Key("run", "r", "run_or_pause", STEER, "pause the research, or go on with it", "run or pause"),
    Key("undo", "u", "ask('undo')", DECIDE, "undo the last decision, then the one before", "undo"),
    Key("redo", "U", "ask('redo')", DECIDE, "redo what was undone, until you decide anew"),
    Key("note", "c", "note", STEER, "a note, which the next proposals read", "note"),
    Key("pin", "P", "pin", STEER, "pin as parent of the next; {pin} again: trunk"),
    Key("end_run", "K", "end_run", STEER, "end its run, also one that waits"),
    Key("yield", "H", "ask('yield')", STEER, "hand the device back now; {run} goes on"),
    Key("stop", "Q", "ask('stop')", STEER, "stop after the current runs; twice: now"),
    Key("panel_1", "1", "panel(1)", LOOK, "the panels; tab the next"),
    *(Key(f"panel_{number}", str(number), f"panel({number})", LOOK, "") for number in range(2, len(PANEL_NAMES) + 1)),
    Key("zoom", "z", "zoom", LOOK, "this panel alone, or all", "zoom"),
    Key("back", "escape", "back", LOOK, "back; in the list forget marks, then filter"),
    Key("first", "g,home", "end(False)", LOOK, "first line, last line"),
    Key("last", "G,end", "end(True)", LOOK, ""),
    Key("half_down", "ctrl+d", "page(0.5)", LOOK, "half a page down, up"),
    Key("half_up", "ctrl+u", "page(-0.5)", LOOK, ""),
    Key("page_down", "pagedown", "page(1)", LOOK, "a page down, up"),
    Key("page_up", "pageup", "page(-1)", LOOK, ""),
    Key("copy", "y", "copy", LOOK, "copy the name of its branch"),
    Key("plan", "i", "plan", LOOK, "what the study can answer by morning"),
    Key("processes", "at", "processes", LOOK, "every git command and process that was run"),
    Key("palette", "ctrl+p", "command_palette", STEER, "all of these, and land, sync, rerun"),
    Key("suspend", "ctrl+z", "suspend_process", STEER, "to the shell; fg comes back"),
    Key("redraw", "ctrl+l", "redraw", STEER, "draw the screen anew"),
    Key("help", "question_mark", "help", STEER, "this help", "help"),
    Key("quit", "q", "quit", STEER, "quit; the engine goes on", "quit"),
    Key("", "ctrl+c", "quit", STEER, ""),
)
BY_WORDS = (  # no key does these: they are found in the palette
    Key("", "", "land", DECIDE, "land: a branch off your own with the change of what is selected"),
    Key("", "", "land(False)", DECIDE, "land trunk: a branch off your own with all that is merged"),
    Key("", "", "sync", STEER, "sync: take what you have committed since to trunk"),
    Key("", "", "rerun", STEER, "rerun: run what is selected again; it decides nothing"),
)
PROCESSES = "Commands and processes"
OF_PROCESSES = (  # of the page `@`, which whoever only reads the table need not import
    Key("open", "enter", "whole", LOOK, "one whole: its words, folder and output", "all of it"),
    Key("down", "j,down", "move(1)", LOOK, "down, up"),
    Key("up", "k,up", "move(-1)", LOOK, ""),
    Key("filter", "slash", "filter", LOOK, "filter: a command, a folder, failed", "filter"),
    Key("changing", "w", "changing", LOOK, "only what may change something, or all", "what changes"),
    Key("last", "G,end,f", "end(True)", LOOK, "the newest, and follow", "newest"),
    Key("first", "g,home", "end(False)", LOOK, "the oldest"),
    Key("half_down", "ctrl+d", "page(0.5)", LOOK, "half a page down, up"),
    Key("half_up", "ctrl+u", "page(-0.5)", LOOK, ""),
    Key("page_down", "pagedown", "page(1)", LOOK, "a page down, up"),
    Key("page_up", "pageup", "page(-1)", LOOK, ""),
    Key("help", "question_mark", "help", LOOK, "this help", "help"),
    Key("back", "escape", "leave", LOOK, "forget the filter; then back to the panels", "back"),
    Key("processes", "at", "leave", LOOK, "the same"),
    Key("quit", "q", "leave", LOOK, ""),
    Key("suspend", "ctrl+z", "app.suspend_process", LOOK, "to the shell; fg comes back"),
    Key("redraw", "ctrl+l", "app.redraw", LOOK, "draw the screen anew"),
    Key("", "ctrl+c", "leave", LOOK, ""),
)
SHOWN = {  # otherwise than Textual calls them
    "exclamation_mark": "!",
    "quotation_mark": '"',
    "number_sign": "#",
    "dollar_sign": "$",
    "percent_sign": "%",
    "ampersand": "&",
    "apostrophe": "'",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "asterisk": "*",
    "plus": "+",
    "comma": ",",
    "minus": "-",
    "full_stop": ".",
    "slash": "/",
    "colon": ":",
    "semicolon": ";",
    "less_than_sign": "<",
    "equals_sign": "=",
    "greater_than_sign": ">",
    "question_mark": "?",
    "at": "@",
    "left_square_bracket": "[",
    "backslash": "\\",
    "right_square_bracket": "]",
    "circumflex_accent": "^",
    "underscore": "_",
    "grave_accent": "`",
    "left_curly_bracket": "{",
    "vertical_line": "|",
    "right_curly_bracket": "}",
    "tilde": "~",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}
PRESSED = {said: key for key, said in SHOWN.items()}


def shown(key: str) -> str:
    """A key as it is said on the screen: `?`, `^d`, `esc`."""
    letter = SHOWN.get(last := key.removeprefix("ctrl+"), last)
    return letter if last == key else f"^{letter}" if len(letter) == 1 else key


def pressed(said: str) -> str:
    """Textual's name of a key that is said so: of several, the first."""
    said = said.split()[0]
    said = f"ctrl+{said[1]}" if len(said) == 2 and said[0] == "^" else said
    head, plus, last = said.rpartition("+")
    return f"{head}+{PRESSED.get(last, last)}" if plus and head and last else PRESSED.get(said, said)


def _follow(keys: Sequence[str]) -> bool:
    """Whether these are letters or figures in a row, of which the first and the last say all: `1-6`."""
    codes = [ord(one) for one in keys if len(one) == 1]
    return len(keys) > 2 and codes == list(range(codes[0], codes[0] + len(keys))) if codes else False


class Keymap(Struct, frozen=True):
    """Which keys do what: those of the table, but where a configuration has given others to a name."""

    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # in Textual's names

    def of(self, key: Key) -> tuple[str, ...]:
        """The keys that do it."""
        return self.given.get(key.name) or tuple(key.keys.split(","))

    def __getitem__(self, name: str) -> str:
        """The first key of a name, as it is said. Raises KeyError where a name is not of the table."""
        return shown(self.of(NAMED[name])[0])

    def says(self, key: Key) -> str:
        """What it does."""
        return key.says.format_map(self)

    def rows(self, keys: Sequence[Key]) -> list[tuple[str, Key]]:
        """What is said of each, after the keys that are said with it: `j k`, `1-6`."""
        rows: list[tuple[list[str], Key]] = []
        for key in keys:
            if key.says:
                rows.append(([], key))
            if key.name:
                rows[-1][0].append(shown(self.of(key)[0]))
        return [(f"{those[0]}-{those[-1]}" if _follow(those) else " ".join(those), key) for those, key in rows]


NAMED = {key.name: key for key in KEYS if key.name}
TABLE = Keymap()


def bindings(keys: Sequence[Key] = KEYS) -> "list[BindingType]":
    """What Textual is told."""
    from textual.binding import Binding

    return [Binding(key.keys, key.action, show=False, id=key.name or None) for key in keys]


def footer(panel: int, own: Sequence[Key], width: int, run_or_pause: str, keymap: Keymap = TABLE) -> Line:
    """The keys of a panel, its own before those of all, as many as there is room for.

    Last of all goes, of its own, what names it: nothing else on the screen tells of that. The help is always said.
    """
    every = [(keys, key) for keys, key in keymap.rows(KEYS) if not key.panels or panel in key.panels]
    first, rest = ([one for one in every if bool(one[1].panels) is here] for here in (True, False))
    chosen = [(keys, key) for keys, key in (*first, *keymap.rows(own), *rest) if key.footer]
    words = {key.name: (keys, run_or_pause if key.name == "run" else key.footer) for keys, key in chosen}
    everywhere, here = ([key.name for _, key in those[::-1]] for those in (rest, [*first, *keymap.rows(own)]))
    last = [*(key.name for key in own if panel in key.panels), *STAY]
    way = [name for name in dict.fromkeys((*everywhere, *EARLY, *here)) if name in words and name not in last] + last
    while len(way) > 1 and sum(cell_len(key) + cell_len(says) + 3 for key, says in words.values()) - 1 > width:
        del words[way.pop(0)]
    return foot(words.values())


def foot(words: Iterable[tuple[str, str]]) -> Line:
    """Keys, and what each does."""
    pieces: list[Piece] = []
    for key, says in words:
        pieces += [("  " if pieces else " ", ""), (key, "bold sky"), (f" {says}", "dim")]
    return line(*pieces)


def help_lines(width: int, title: str = "", own: Sequence[Key] = (), keymap: Keymap = TABLE) -> list[Line]:
    """All keys, those of the panel that has them first, and all glyphs with what they mean."""
    half = width // 2 if width >= LEAST_BESIDE else width
    room = max(cell_len(those) + 1 for those, _ in (*keymap.rows(KEYS), *keymap.rows(own)))

    def block(title: str, keys: Sequence[Key]) -> list[Line]:
        texts = [(those, fit(keymap.says(key), half - room - 1)) for those, key in keymap.rows(keys)]
        return [line((title, "bold")), *(line((fit(those, room), "bold sky"), (text, "dim")) for those, text in texts)]

    decide, steer, look = (block(group, [key for key in KEYS if key.group == group]) for group in (DECIDE, STEER, LOOK))
    left = [*decide, line(), *steer]
    if own:
        here = block(title, own)
        left, look = ([*here, line(), *left], look) if half == width else (left, [*here, line(), *look])
    lines = beside(left, look, half) if half < width else [*left, line(), *look]
    states = _looks("The states", [OFFER, *STATES.values(), FAILS, BASELINE], half)
    words = _looks("The verdicts, against trunk", list(WORDS.values()), half)
    lines += [line(), *(beside(states, words, half) if half < width else [*states, line(), *words])]
    said = (
        ("Evidence", "screened: a first look; promising: on several seeds; confirmed: on seeds never used to choose"),
        ("Badges", "* is marked; stale: not made from trunk; pin: what proposals start from; rerun: is run again"),
        ("Figures", "changes against trunk in per cent; ± is half a 95 % interval; P a probability"),
        ("Above", "wall: what keeps runs from your files and the network; bench: on what all of it was measured"),
    )
    rows = [
        (name if not at else "", text) for name, whole in said for at, text in enumerate(wrap(whole, width - 10, 3))
    ]
    return [*lines, *(line((f"{name:10}", "bold"), (text, "dim")) for name, text in rows)]


def markdown(panels: Iterable[tuple[int | str, str, Sequence[Key]]]) -> str:
    """The page of docs that lists them all."""
    text = """# Keys

Of the screen, wherever one is; then of each panel. `?` shows those that count where you are. The names are what
[a configuration](configuration.md) calls them by, to give them other keys.
"""
    groups: list[tuple[str, Sequence[Key]]] = [
        (group, [key for key in KEYS if key.group == group]) for group in (DECIDE, LOOK, STEER)
    ]
    groups += [(f"{number} {title}", own) for number, title, own in panels if own]
    for title, keys in groups:
        text += f"\n## {title}\n\n| key | does | name |\n| --- | --- | --- |\n"
        for (those, key), names in zip(TABLE.rows(keys), _names(keys), strict=True):
            text += f"| `{those}` | {TABLE.says(key)} | {', '.join(f'`{name}`' for name in names)} |\n"
    text += "\n## By words alone\n\nNo key does these: the palette has them.\n\n| word | does |\n| --- | --- |\n"
    for word, _, does in (key.says.partition(": ") for key in BY_WORDS):
        text += f"| `{word}` | {does} |\n"
    return text


def _names(keys: Sequence[Key]) -> list[list[str]]:
    """The names of each row of those, and of what is said with it."""
    names: list[list[str]] = []
    for key in keys:
        if key.says:
            names.append([])
        names[-1] += [key.name] if key.name else []
    return names


def _looks(title: str, looks: Sequence[Look], width: int) -> list[Line]:
    rows = [line((f"{one.glyph} {one.word:13}", one.style), (fit(one.meaning, width - 16), "dim")) for one in looks]
    return [line((title, "bold")), *rows]
