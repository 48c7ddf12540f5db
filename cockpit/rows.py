"""The lines of the list: an experiment each, whose columns give way as room gets less; and what is said below them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from cockpit import figures
from cockpit.axes import axes
from cockpit.card import changed
from cockpit.feed import Objective, Snapshot, is_open
from cockpit.glyphs import look
from cockpit.keys import Keymap
from cockpit.line import LazyLines, Line, Piece, fit, line, right, width_of, wrap
from cockpit.listing import ATTENTION, GAIN, Listed, listed, sorts
from cockpit.pages import search_space
from cockpit.plans import Planned, card
from cockpit.progress import priced, sentence
from cockpit.usual import Usual
from cockpit.view import Arrangement, Choices, Drawing, View
from store.records import Ended, Evidence, Experiment, Run, State, some

GOING_ON = (State.RUNNING, State.QUEUED)
MOST_ROWS = 200  # that are kept as they were drawn
LEFT = 22  # columns of marker, id and state
TALL = 30  # lines, from which on there are blank ones between the groups though it is alone
WIDE, SLUG = 150, 30  # columns, from which on a verdict's sentence stands in the list too; and of what it is of then
ID = 9  # of marker and id alone
VOWELS = "aeiouy"
RULE = 18  # of the panel's name on its rule, and of what is seen of that
STARTING = "The engine looks at the repository and the interpreter."
NOT_YET = "No engine has begun this study yet. A screen that may start one does, and {run} where that was refused."
UNCOMMITTED = (("takes along", "with_changes"), ("not committed", "left_out"))  # what it has, and what it has not
STEPS = (  # each on a line of 80 columns
    "The unchanged code runs on {seeds} seeds{each}, to learn how far it varies.",
    "Meanwhile knobs are turned. What is admitted becomes a branch and a row.",
    "A row is judged against it. Most are worse or inconclusive: that is normal.",
    "Only {merge} or {merge_at_once} brings one to trunk; your own branch is never touched.",
)


class Column(NamedTuple):
    """So many cells, with what stands above them and, for an experiment, in them; and what the list is sorted by."""

    width: int
    title: str
    draw: Callable[[Experiment], list[Piece]]
    sort: str = ""


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
    age = Column(5, right("age", 5), lambda one: [(right(figures.brief(now - one.created_at), 5), "dim")], "age")
    cost = Column(5, right("cost", 5), lambda one: [(right(_cost(study, one), 5), "dim")], "cost")
    evidence = Column(14, fit("  evidence", 14), _evidence, "evidence")
    steering = [one for one in study.objectives if one.steers]
    if width >= 82:
        ends = [*_deltas(study, steering[: 5 if width >= WIDE else 3], 11, 7), evidence, cost, age]
        room = width - LEFT - sum(column.width for column in ends)
        if width >= WIDE:  # there is room for the sentence too
            after = room - SLUG
            said = Column(after, fit("verdict", after), lambda one: [*_verdict(study, one, now, after - 1), " "])
            ends, room = [said, *ends], SLUG
        return [
            Column(room, fit("what", room), lambda one: [*_told(study, one, one.slug, room - 1, "dim"), " "], "name"),
            *ends,
        ]
    if width >= 70:
        ends = [evidence, cost, age]
        room = width - LEFT - sum(column.width for column in ends)
        said = Column(room, fit("verdict", room), lambda one: _verdict(study, one, now, room, badged=True))
        return [said, *ends]
    room, shown = width - LEFT - evidence.width, list[Column]()
    pair = axes(study, choices)
    drawn = [one for one in reversed(pair) if one.name] if pair else []  # up, then across

    def badged(one: Experiment) -> list[Piece]:
        badge = _badge(study, one)
        return [(right(badge, 6), "offer")] if badge else [" ", *age.draw(one)]

    aged = Column(6, right("age", 6), badged, "age")
    for column in (*_deltas(study, drawn, 12, 9 if width >= 63 else 8), aged):
        if column.width <= room:
            shown.append(column)
            room -= column.width
    filler = Column(max(0, room), " " * room, lambda _: [" " * room])
    return [*(column for column in shown if column is not aged), evidence, filler, *([aged] if aged in shown else [])]


def _badge(study: Snapshot, one: Experiment) -> str:
    """That proposals start from it, of what is not done with that trunk has moved, or that it is to be run again."""
    if one.number == study.pinned:
        return "pin"
    if is_open(one) and one.stale(study.incumbent):
        return "stale"
    return "rerun" if one.number in study.reruns else ""


def _told(study: Snapshot, one: Experiment, text: str, room: int, style: str = "") -> list[Piece]:
    """A text, after its badge."""
    badge = f"{_badge(study, one)} ".lstrip()
    badge = badge if room > len(badge) else ""
    return [(badge, "offer"), (fit(text, room - len(badge)), style)]


def _verdict(study: Snapshot, one: Experiment, now: float, room: int, *, badged: bool = False) -> list[Piece]:
    """What there is to say of it in so many columns, after its badge where that is asked for."""
    badge = f"{_badge(study, one)} ".lstrip() if badged else ""
    return [(badge, "offer"), (priced(study, one, sentence(study, one, now), room - len(badge)), "")]


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

    return Column(width, right(title, width), draw, f"{GAIN}{one.name}" if one.steers else "")


def sort_at(view: View, width: int, x: int) -> str:
    """What the list is sorted by, where what stands above a column is clicked; nothing where that has no order."""
    listing = Listing(view, shown_in(view), width)
    if x < LEFT:
        return ATTENTION if x < ID else "state"
    at = width_of(listing.header.pieces) - sum(column.width for column in listing.columns)
    for column in listing.columns:
        if at <= x < (at := at + column.width):
            return column.sort
    return ""


def first_minute(view: View, width: int, *, spaced: bool, height: int = 0) -> list[Line]:
    """What happens now and what it may do, while nothing has been judged yet; and what it can answer, once foreseen.

    That comes last, whole where it is `spaced`, else cut to what is left of so many lines.
    """
    study, keys, facts = view.study, view.keys, view.study.facts
    if not facts:
        engine = STARTING if study.pid is not None else NOT_YET.format(run=keys["run"])
        return [line(), *(line(f" {text}") for text in wrap(engine, width - 1, 2))]
    wanted = [f"{'▴' if one.maximize else '▾'} {one.label}" for one in study.objectives if one.steers]
    bounds = [f"{one.label} {one.bound}" for one in study.quantities if one.bound]
    held = wrap("; ".join(bounds), width - 17, 3) if bounds else []
    limits = facts.get("limits") or {}
    spend = [f"{limits['experiments']} experiments"] if limits.get("experiments") else []
    spend += [figures.lasted(limits["seconds"])] if limits.get("seconds") else []
    rows: tuple[tuple[str, str], ...] = (
        ("may change", f"{search_space(facts) or 'nothing'}; nothing else"),
        ("wants", "  ".join(wanted)),
        *(("" if at else "must hold", text) for at, text in enumerate(held)),
        ("runs inside", f"no wall: {facts['no_wall']}" if facts.get("no_wall") else facts["wall"]),
        *(("counts less", text) for text in facts.get("doubts") or ()),
        ("proposes", "the optimiser alone" if facts["model"] == "none" else f"the optimiser and {facts['model']}"),
        ("may spend", " or ".join(spend) or f"no limit is set; {keys['run']} pauses it"),
        ("you may leave", f"{keys['quit']} closes the screen; the engine goes on"),
    )
    rows += tuple((name, some(facts[key])) for name, key in UNCOMMITTED if facts.get(key))
    plan, took = view.get(Planned()), lasting(view)
    steps = {name: keys[name] for name in ("merge", "merge_at_once")}
    long = "under 1 s" if took and took < 1 else figures.lasted(took or 0.0)
    steps |= {"each": f", {long} each" if took else "", "seeds": facts.get("seeds", "several")}
    gap = [line()] if spaced else []
    now: list[Line] = [line(), line(" ", ("What happens now", "bold")), *gap]
    for number, step in enumerate(STEPS, 1):
        texts = wrap(step.format(**steps), min(width, 80) - 3, 3)
        now += [*(line(f" {number if not index else ' '} {text}") for index, text in enumerate(texts)), *gap]
    may = [line(f" {name:15}", (fit(text, width - 16).rstrip(), "dim")) for name, text in rows]
    foreseen = [line(" ", *text.pieces) for text in card(plan, width - 2, study)] if plan else []
    room = len(foreseen) if spaced else height - len(now) - len(may) - 4
    hint: list[Piece] = [("   ", ""), (keys["plan"], "bold sky")] if room < len(foreseen) else []
    said: list[Line] = []
    if foreseen and room > 0:
        whole: list[Piece] = [*hint, (" shows it whole", "dim")] if hint else []
        said, hint = [line(), line(" ", ("What it can answer", "bold"), *whole), *gap, *foreseen[:room]], []
    elif hint:
        hint.append((" shows what it can answer", "dim"))
    return [*now, *([] if spaced else [line()]), line(" ", ("What it may do", "bold"), *hint), *gap, *may, *said]


def lasting(view: View) -> float | None:
    """The seconds of a run of the unchanged code: in the mean of those that have ended, else as it is foreseen."""
    runs = baseline_runs(view.study)
    if runs and (usual := view.get(Usual(runs[0].bench, runs[0].fidelity))):
        return sum(usual.values())
    plan = view.get(Planned())
    return plan.run_seconds if plan else None


def baseline_runs(study: Snapshot) -> list[Run]:
    """Those of the unchanged code that go on."""
    return [run for run in study.running if run.purpose == "baseline"]


def last_word(study: Snapshot, width: int, keys: Keymap) -> list[Line]:
    """Why nothing goes on, and what to do, while nothing has been judged."""
    why = study.engine.ended_by if study.engine else None
    baseline = study.experiment(0)
    if why is Ended.BASELINE_FAILED and baseline is not None:
        said = f"The unchanged code gave no measurement: {baseline.failure}: {baseline.detail}"
        mend = f"Its log: cockpit logs e0000. Mend the code, commit it, and press {keys['run']}."
    elif study.engine is not None and study.engine.because:
        said, mend = (
            f"The engine has ended: {study.engine.why}",
            f"{keys['run']} starts another, which goes on from here.",
        )
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


def shown_in(view: View, height: int = 0) -> Listed:
    """What is listed in a view, in so many lines."""
    return listed(view.study, view.choices, spaced=view.arrangement is not Arrangement.NARROW or height >= TALL)


def drawing(view: View, width: int, height: int, rows: Rows | None = None) -> Drawing:
    """The experiments that match; below them, while nothing is judged, what happens now."""
    study, ruled, shown = view.study, view.arrangement is not Arrangement.NARROW, shown_in(view, height)
    listing = Listing(view, shown, width, rows)
    body: Sequence[Line] = listing
    if not any(one.verdict for one in study.experiments):
        going_on = study.pid is not None or study.engine is None
        if going_on:
            room = height - 1 - len(listing)
            below = first_minute(view, width, spaced=True)
            below = below if len(below) <= room else first_minute(view, width, spaced=False, height=room)
        else:
            below = last_word(study, width, view.keys)
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
    head = [line(" ", *note), listing.header] if otherwise and not ruled else [listing.header]
    return Drawing(body, head, note, shown.line(view.selected), shown.experiments)
