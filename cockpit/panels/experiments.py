"""Panel 1: the experiments, one a line, those that want a person first. Their columns give way as room gets less."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len

from cockpit import figures
from cockpit.card import changed
from cockpit.feed import Objective, Snapshot
from cockpit.glyphs import look
from cockpit.keys import LOOK, Key, Keymap, bindings
from cockpit.line import LazyLines, Line, Piece, fit, line, right, width_of, wrap
from cockpit.listing import ATTENTION, Listed, listed, sorts
from cockpit.pages import search_space
from cockpit.panels.frontier import axes
from cockpit.plans import Planned, card
from cockpit.progress import sentence
from cockpit.view import Arrangement, Choices, Drawing, View, Want
from cockpit.widgets.panel import Cell, Panel
from store.planned import Plan
from store.records import Ended, Evidence, Experiment, State, some

GOING_ON = (State.RUNNING, State.QUEUED)
MOST_ROWS = 200  # that are kept as they were drawn
LEFT = 22  # columns of marker, id and state
VOWELS = "aeiouy"
RULE = 18  # of the panel's name on its rule, and of what is seen of that
STARTING = "The engine looks at the repository and the interpreter."
UNCOMMITTED = (("takes along", "with_changes"), ("not committed", "left_out"))  # what it has, and what it has not
STEPS = (
    "The unchanged code runs on {seeds} seeds, to learn how far its numbers move by themselves.",
    "Meanwhile knobs are turned. Each proposal that is admitted becomes a branch and a row.",
    "A row is judged against the baseline. Most say worse or inconclusive: that is normal, and cheap.",
    "Nothing reaches trunk until you press {merge} or {merge_at_once}, and your own branch is never touched.",
)


KEYS = (
    Key("filter", "slash", "app.search", LOOK, "filter: words of a name, a state, a verdict", "filter"),
    Key("invert", "exclamation_mark", "invert", LOOK, "invert the filter"),
    Key("sort", "s", "sort", LOOK, "sort: attention, then column by column", "sort"),
    Key("sort_backwards", "S", "backwards", LOOK, "the other way round"),
    Key("tree", "t", "tree", LOOK, "a tree of parents, or flat"),
)


class Column(NamedTuple):
    """So many cells, with what stands above them and, for an experiment, in them."""

    width: int
    title: str
    draw: Callable[[Experiment], list[Piece]]


class Rows:
    """The lines of experiments that were drawn last: one is drawn anew where it would be another one."""

    def __init__(self) -> None:
        self._columns: object = None
        self._lines: dict[int, tuple[object, Line]] = {}

    def line(self, number: int, columns: object, of: object, draw: Callable[[], Line]) -> Line:
        """The line of an experiment, in such columns, with all that is said `of` it."""
        if columns != self._columns or len(self._lines) > MOST_ROWS:
            self._columns, self._lines = columns, {}
        before = self._lines.get(number)
        if before is None or before[0] != of:
            self._lines[number] = before = of, draw()
        return before[1]


class Listing(LazyLines):
    """The lines of the list."""

    def __init__(self, view: View, shown: Listed, width: int, rows: Rows | None = None) -> None:
        self._view, self._shown, self._rows = view, shown, rows or Rows()
        self._indent = 2 * max(shown.generations.values(), default=0)
        self.columns = columns(view.study, width - self._indent, view.now, view.choices)
        self._of = width, self._indent, view.study.objectives, axes(view.study, view.choices)

    @property
    def header(self) -> Line:
        """What the columns are."""
        titles = ((column.title, "dim") for column in self.columns)
        return line((f" {'id':6}  {'state':13}{' ' * self._indent}", "dim"), *titles)

    def __len__(self) -> int:
        return len(self._shown.entries)

    def line_at(self, index: int) -> Line:
        """A heading, an experiment or nothing."""
        entry = self._shown.entries[index]
        if entry is None:
            return Line()
        if isinstance(entry, tuple):
            return line(" ", (entry[0], entry[1]), (" reading…" if entry[2] is None else f" {entry[2]}", "dim"))
        view, study, depth = self._view, self._view.study, 2 * self._shown.generations.get(entry, 0)
        one, branch = study.experiments[entry], f"{'└ ' if depth else '':>{depth}}"

        def draw() -> Line:
            return row(view, one, self.columns, branch, self._indent - depth)

        if one.state in GOING_ON:  # what is said of it changes by the second
            return draw()
        trunk = study.experiment(one.verdict.incumbent) if one.verdict else None
        marks = entry == view.selected, entry in view.marks, depth
        ends = _badge(study, one), _cost(study, one), figures.brief(view.now - one.created_at)
        return self._rows.line(entry, self._of, (one, trunk, marks, ends), draw)


def columns(study: Snapshot, width: int, now: float, choices: Choices) -> list[Column]:
    """The columns right of the state, as many as there is room for; where that is little, the frontier's axes."""
    age = Column(5, right("age", 5), lambda one: [(right(figures.brief(now - one.created_at), 5), "dim")])
    cost = Column(5, right("cost", 5), lambda one: [(right(_cost(study, one), 5), "dim")])
    evidence = Column(14, fit("  evidence", 14), _evidence)
    steering = [one for one in study.objectives if one.steers]
    if width >= 82:
        ends = [*_deltas(study, steering[:3], 11, 7), evidence, cost, age]
        room = width - LEFT - sum(column.width for column in ends)
        return [
            Column(room, fit("what", room), lambda one: [*_told(study, one, one.slug, room - 1, "dim"), " "]),
            *ends,
        ]
    if width >= 70:
        ends = [evidence, cost, age]
        room = width - LEFT - sum(column.width for column in ends)
        said = Column(room, fit("verdict", room), lambda one: _told(study, one, sentence(study, one, now), room))
        return [said, *ends]
    room, shown = width - LEFT - evidence.width, list[Column]()
    pair = axes(study, choices)
    drawn = [one for one in reversed(pair) if one.name] if pair else []  # up, then across

    def badged(one: Experiment) -> list[Piece]:
        badge = _badge(study, one)
        return [(right(badge, 6), "offer")] if badge else [" ", *age.draw(one)]

    aged = Column(6, right("age", 6), badged)
    for column in (*_deltas(study, drawn, 12, 9 if width >= 63 else 8), aged):
        if column.width <= room:
            shown.append(column)
            room -= column.width
    filler = Column(max(0, room), " " * room, lambda _: [" " * room])
    return [*(column for column in shown if column is not aged), evidence, filler, *([aged] if aged in shown else [])]


def _badge(study: Snapshot, one: Experiment) -> str:
    """That trunk has moved since, or that proposals start from it."""
    return "pin" if one.number == study.pinned else "stale" if one.stale(study.incumbent) else ""


def _told(study: Snapshot, one: Experiment, text: str, room: int, style: str = "") -> list[Piece]:
    """A text, after its badge."""
    badge = f"{_badge(study, one)} ".lstrip()
    badge = badge if room > len(badge) else ""
    return [(badge, "offer"), (fit(text, room - len(badge)), style)]


def _cost(study: Snapshot, one: Experiment) -> str:
    return figures.spent(study.seconds[one.number]) if one.number in study.seconds else ""


def row(view: View, one: Experiment, shown: Sequence[Column], branch: str = "", after: int = 0) -> Line:
    """One experiment, set in by a branch of the tree. It is grey until there is evidence."""
    selected = one.number == view.selected
    glyph, word, style, _ = look(one)
    if one.state is State.RUNNING and view.study.pid is None:
        glyph, word, style = "!", "broken off", "infra"
    strong = style not in ("dim", "text") or (one.verdict and one.verdict.evidence is not Evidence.SCREENED)
    tone = "text" if strong or one.state is State.RUNNING else "dim"
    pieces: list[Piece] = [
        ("▸" if selected else " ", "sky"),
        (branch, "rule"),
        (one.id, f"bold {tone}" if selected else tone),
        (right("*" if one.number in view.marks else "", max(1, 6 - len(one.id))), "bold sky"),
        (f"{glyph} ", style),
        (f"{word:13}{' ' * after}", style),
    ]
    if one.state in (*GOING_ON, State.FAILED):  # nothing to measure by: what goes on, or went wrong
        ends = [column for column in shown if column.title.strip() in ("cost", "age")]
        room = sum(column.width for column in shown if column not in ends)
        pieces += [*_told(view.study, one, sentence(view.study, one, view.now, view.keys), room - 1, tone), " "]
        shown = ends
    for column in shown:
        pieces += [
            (piece, tone) if isinstance(piece, str) else (piece[0], piece[1] or tone) for piece in column.draw(one)
        ]
    return line(*pieces, ground="selected" if selected else "")


def _evidence(one: Experiment) -> list[Piece]:
    said = one.verdict
    if said is None or one.state in (State.FAILED, State.RUNNING, State.QUEUED):
        runs = min((m.n for m in one.measurements), default=0) if one.number == 0 else 0
        return [(f"  {'':9}{right(str(runs) if runs else '', 3)}", "dim")]
    style = {Evidence.CONFIRMED: "bold text", Evidence.PROMISING: "text"}.get(said.evidence, "dim")
    return [(f"  {said.evidence:9}", style), (right(str(said.seeds), 3), "dim")]


def _deltas(study: Snapshot, those: Sequence[Objective], quality: int, cost: int) -> Iterator[Column]:
    """A column each, so wide; what ends in its uncertainty leaves a blank before the next one's title."""
    after = False
    for one in those:
        others, room = [other.label for other in those if other is not one], cost if after and not one.quality else 0
        yield _delta(study, one, quality if one.quality else cost, room, others)
        after = one.quality


def abbreviated(label: str, columns: int, others: Sequence[str] = ()) -> str:
    """A label in at most so many columns: whole, else its last word, else the beginning of that, before a vowel.

    Where one of the others ends in that word, too, it is the beginning of the whole.
    """
    if cell_len(label) <= columns:
        return label
    word = label.split(" ")[-1]
    if word in (other.split(" ")[-1] for other in others):
        return fit(label, columns)
    if cell_len(word) <= columns:
        return word
    ends = [at for at in range(2, min(columns, len(word))) if word[at] in VOWELS and word[at - 1] not in VOWELS]
    ends = [at for at in ends if cell_len(word[:at]) < columns]
    return f"{word[: ends[-1]]}." if ends else fit(word, columns)


def _delta(study: Snapshot, one: Objective, width: int, room: int, others: Sequence[str]) -> Column:
    """How far from trunk's value, with half of the interval where it is a quality.

    `room` is for its title, where the column before it ends with a blank; `others` are shown beside it.
    """
    arrow, most = "▴" if one.maximize else "▾", room or width - 1 - one.quality
    whole = cell_len(one.label) + 2 <= most
    title = f"{arrow} {one.label}" if whole else f"{arrow}{abbreviated(one.label, most - 1, others)}"
    title = f"{title} " if one.quality else title

    def draw(row: Experiment) -> list[Piece]:
        if row.verdict is None or row.state is State.FAILED:
            return [" " * width]
        base, at = study.experiment(row.verdict.incumbent), row.verdict.fidelity
        before, own = (
            next((m.value for m in (each.at(at) if each else ()) if m.objective == one.name), None)
            for each in (base, row)
        )
        figure = row.verdict.figures.get(one.name)
        if figure is None and not one.steers and own is not None and before:  # it has a value, and no verdict
            figure = {"change": (own - before) / abs(before), "moved": "open"}
        if figure is None:
            return [" " * width]
        text, shown, _ = changed(one, figure if one.quality else {**figure, "margin": 0.0}, before)
        style = "dim"
        if row.verdict and row.verdict.evidence is not Evidence.SCREENED:
            style = {"up": "good", "down": "bad"}.get(figure["moved"], "text")
        room = width - (5 if one.quality else 0)
        return [(right(text, room), style), *([(f" {shown:4}", "faint")] if one.quality else [])]

    return Column(width, right(title, width), draw)


def first_minute(study: Snapshot, width: int, keys: Keymap, *, spaced: bool, plan: Plan | None = None) -> list[Line]:
    """What the study can answer, once that is foreseen, and what happens now, while nothing has been judged yet."""
    facts = study.facts
    if not facts:
        return [line(), *(line(f" {text}") for text in wrap(STARTING, width - 1, 2))]
    wanted = [f"{'▴' if one.maximize else '▾'} {one.label}" for one in study.objectives if one.steers]
    limits = facts.get("limits") or {}
    spend = [f"{limits['experiments']} experiments"] if limits.get("experiments") else []
    spend += [figures.lasted(limits["seconds"])] if limits.get("seconds") else []
    rows: tuple[tuple[str, str], ...] = (
        ("may change", f"{search_space(facts) or 'nothing'}; nothing else"),
        ("wants", "  ".join(wanted)),
        ("runs inside", f"no wall: {facts['no_wall']}" if facts.get("no_wall") else facts["wall"]),
        *(("counts less", text) for text in facts.get("doubts") or ()),
        ("proposes", "the optimiser alone" if facts["model"] == "none" else f"the optimiser and {facts['model']}"),
        ("may spend", " or ".join(spend) or f"no limit is set; {keys['run']} pauses it"),
        ("you may leave", f"{keys['quit']} closes the screen; the engine goes on"),
    )
    merging = {name: keys[name] for name in ("merge", "merge_at_once")}
    gap = [line()] if spaced else []
    rows += tuple((name, some(facts[key])) for name, key in UNCOMMITTED if facts.get(key))
    said: list[Line] = []
    if plan is not None:
        foreseen = [line(" ", *text.pieces) for text in card(plan, width - 2)]
        said += [line(), line(" ", ("What it can answer", "bold")), *gap, *foreseen]
    said += [line(), line(" ", ("What happens now", "bold")), *gap]
    for number, step in enumerate(STEPS, 1):
        texts = wrap(step.format(seeds=facts.get("seeds", "several"), **merging), min(width, 62) - 3, 3)
        said += [*(line(f" {number if not index else ' '} {text}") for index, text in enumerate(texts)), *gap]
    said += [*([] if spaced else [line()]), line(" ", ("What it may do", "bold")), *gap]
    return said + [line(f" {name:15}", (fit(text, width - 16).rstrip(), "dim")) for name, text in rows]


def last_word(study: Snapshot, width: int, keys: Keymap) -> list[Line]:
    """Why nothing goes on, and what to do, while nothing has been judged."""
    why = study.engine.ended_by if study.engine else None
    baseline = study.experiment(0)
    if why is Ended.BASELINE_FAILED and baseline is not None:
        said = f"The unchanged code gave no measurement: {baseline.failure}: {baseline.detail}"
        mend = f"Its log: cockpit logs e0000. Mend the code, commit it, and press {keys['run']}."
    else:
        said, mend = "No engine is at work.", f"{keys['run']} starts one, which goes on from here."
    texts = [*wrap(said, min(width, 76) - 2, 6), "", *wrap(mend, min(width, 76) - 2, 2)]
    return [line(), *(line(f" {text}") for text in texts)]


def _note(study: Snapshot, choices: Choices, shown: int, marked: int, back: str, room: int) -> list[Piece]:
    """How many there are, which of them are listed, in what order, and how many are marked."""
    if not study.experiments:
        return []
    said: list[Piece] = [(f"{marked} marked  ", "bold sky")] if marked else []
    every = str(len(study.experiments))
    every = (f"{shown} of {every}" if choices.search else every) if study.whole else f"reading {every}…"
    said.append((every, "dim"))
    if choices.search:
        sought = fit(choices.search, min(16, len(choices.search)))
        said.append((f" {'not ' if choices.inverted else ''}/{sought}", "sky"))
    way = ", backwards" if choices.backwards else ""
    said.append((f" · {'tree ' if choices.tree else ''}by {sorts(study).get(choices.sort, 'age')}{way}", "dim"))
    undo: list[Piece] = ["  ", (back, "sky"), (" shows all", "dim")] if choices.search else []
    return [*said, *undo] if width_of([*said, *undo]) <= room else said


class Experiments(Panel):
    """The list."""

    number = 1
    title = "Experiments"
    cell = Cell.LIST
    rank = 1
    ticks = True
    keys = KEYS
    BINDINGS = bindings(KEYS)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._rows = Rows()

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """The experiments that match; below them, while nothing is judged, what happens now."""
        study = view.study
        spaced, shown = view.arrangement is not Arrangement.NARROW, self._list(view)
        listing = Listing(view, shown, width, self._rows)
        body: Sequence[Line] = listing
        if not any(one.verdict for one in study.experiments):
            going_on = study.pid is not None or study.engine is None
            below = (
                first_minute(study, width, view.keys, spaced=spaced, plan=view.found.get(Planned()))
                if going_on
                else last_word(study, width, view.keys)
            )
            body = [*listing, *below]
        elif not shown.entries:
            found = f" Nothing {'else than' if view.choices.inverted else 'has'} {view.choices.search}: "
            found += f"{view.keys['back']} shows all."
            found = found if study.whole else " reading the experiments…"
            body = [line(), line((fit(found, width), "dim"))]
        note = _note(study, view.choices, len(shown.numbers), len(view.marks), view.keys["back"], width - RULE)
        choices = view.choices
        otherwise = choices.search or choices.tree or choices.backwards or choices.sort != ATTENTION
        # Where there is no rule to say it on, what is hidden or in another order is said above.
        head = [line(" ", *note), listing.header] if otherwise and not spaced else [listing.header]
        return Drawing(body, head, note, shown.line(view.selected), shown.experiments)

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """What it can answer, while nothing is judged."""
        return () if any(one.verdict for one in view.study.experiments) else [Planned()]

    def _list(self, view: View) -> Listed:
        return listed(view.study, view.choices, spaced=view.arrangement is not Arrangement.NARROW)

    def step(self, by: int, selected: int) -> int | None:
        """The next one down or up; the first, where what is selected is not listed."""
        if self.view is None or not (numbers := self._list(self.view).numbers):
            return None
        at = self._list(self.view).place(selected)
        return numbers[0 if at is None else min(max(at + by, 0), len(numbers) - 1)]

    # --- its keys -----------------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """By the next column; after the last one by attention again."""
        if self.view is not None:
            every, now = list(sorts(self.view.study)), self.view.choices.sort
            self.choose(sort=every[(every.index(now) + 1) % len(every) if now in every else 0], backwards=False)

    def action_backwards(self) -> None:
        """In the other order."""
        if self.view is not None:
            self.choose(backwards=not self.view.choices.backwards)

    def action_tree(self) -> None:
        """As a tree, or flat."""
        if self.view is not None:
            self.choose(tree=not self.view.choices.tree)

    def action_invert(self) -> None:
        """What the filter hides, and not what it shows."""
        if self.view is not None and self.view.choices.search:
            self.choose(inverted=not self.view.choices.inverted)
