"""Panel 2: the frontier. Each experiment is a point: how good it is, against what it costs.

Its two axes are also what the list shows of each experiment, so that both say the same.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from msgspec.structs import replace
from rich.cells import cell_len
from textual.events import Click, MouseScrollDown, MouseScrollUp

from cockpit import growth, plot
from cockpit.axes import NUMBER, Pair, axes, turned
from cockpit.canvas import GUTTER
from cockpit.feed import Objective, Snapshot
from cockpit.glyphs import look, promising
from cockpit.keys import LOOK, Key, bindings
from cockpit.line import Line, Piece, apart, beside, fit, line, wrap
from cockpit.made import renewed
from cockpit.pages import chance
from cockpit.progress import brief, priced
from cockpit.scale import logarithmic
from cockpit.view import Arrangement, Choices, Drawing, View, Want
from cockpit.widgets.panel import Cell, Panel
from store.records import QUICK, Evidence, Experiment, State, Verification, Word, agreed_on

EMPTY = (
    "Nothing to draw yet. Each experiment becomes a point: how good it is (up) against what it costs (left). The line "
    "joins those that no other one beats on both. The first point is the baseline."
)
NEAR = 2  # columns from a point, in which a click is on it
DECIDED = {State.MERGED: "merged", State.REJECTED: "rejected"}
KEYS = (
    Key("axis_across", "a", "axis(0)", LOOK, "another objective across, up", "axes", (2,)),
    Key("axis_up", "A", "axis(1)", LOOK, ""),
    Key("log_across", "l", "scale(0)", LOOK, "logarithmic or linear across, up", "log"),
    Key("log_up", "L", "scale(1)", LOOK, ""),
    Key("growth_against", "b", "against", LOOK, "what the hypervolume is drawn against"),
)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def values(one: Experiment, across: Objective, up: Objective) -> tuple[float, float] | None:
    """Where an experiment lies."""
    x, y = float(one.number) if across is NUMBER else None, None
    for measured in one.measurements:
        if measured.objective == across.name:
            x = measured.value
        elif measured.objective == up.name:
            y = measured.value
    return None if x is None or y is None else (x, y)


def place(one: Experiment, across: Objective, up: Objective) -> tuple[float, float] | None:
    """Where it is drawn: nowhere, where it has failed."""
    return None if one.state is State.FAILED else values(one, across, up)


def alone(one: Experiment) -> bool:
    """Whether it is a point of its own, and not one of a crowd, whatever is drawn."""
    return looked_at_again(one) or one.state in (State.MERGED, State.REJECTED, State.RUNNING)


def looked_at_again(one: Experiment) -> bool:
    """Whether it has come further than a first look, as the list says of it, whatever that has shown."""
    return one.verdict is not None and one.verdict.evidence is not Evidence.SCREENED


def shown(one: Experiment) -> bool:
    """Whether several runs have shown it to be better somewhere, whatever was decided of it."""
    said = one.verdict
    return said is not None and (said.confirmed or said.promising)


def supported(study: Snapshot, one: Experiment) -> bool:
    """Whether more than one run has put it where it is: what is promising or confirmed, the baseline, and trunk."""
    broken = one.verdict is not None and one.verdict.word is Word.INFEASIBLE
    return shown(one) or one.number == 0 or (one.number == study.incumbent and not broken)


def front(study: Snapshot, across: Objective, up: Objective) -> list[int]:
    """What nothing else beats on these two, from the best across on. A single run is never on it.

    The baseline and a trunk that was never shown to be better are there where the record has them on its frontier: they
    may break a bound.
    """
    start = study.front & {0, study.incumbent}
    those = [*compress(study.experiments, study.each(shown)), *filter(None, map(study.experiment, start))]
    known = {one.number: at for one in those if (at := place(one, across, up))}
    signs = (-1 if across.maximize else 1, 1 if up.maximize else -1)
    chosen: list[int] = []
    for number in sorted(known, key=lambda one: (signs[0] * known[one][0], -signs[1] * known[one][1])):
        if not chosen or signs[1] * known[number][1] > signs[1] * known[chosen[-1]][1]:
            chosen.append(number)
    return chosen


def interval(study: Snapshot, one: Experiment, objective: Objective, value: float) -> plot.Interval | None:
    """Where the mean of a promising or confirmed experiment lies with 95 %: as far from it as its gain is uncertain.

    A gain is the logarithm of a ratio, or a share of the baseline's value: which of them, its change says. What one run
    says is a single run's; and what is exact has no interval.
    """
    said = one.verdict
    figure: Mapping[str, Any] | None = said.figures.get(objective.name) if said else None
    if said is None or not shown(one) or figure is None or figure.get("deterministic"):
        return None
    if said.fidelity not in (m.fidelity for m in one.measurements):  # it is of full runs, and the point of quick ones
        return None
    half = (figure.get("high", 0.0) - figure.get("low", 0.0)) / 2
    if half <= 0:
        return None
    change = figure["change"]
    if value > 0 and change > -1 and math.isclose(abs(math.log1p(change)), abs(figure["gain"]), rel_tol=1e-6):
        times = math.exp(min(half, 600.0))
        return value / times, value * times
    against = study.experiment(said.incumbent)
    base = next((m.value for m in against.measurements if m.objective == objective.name), 0.0) if against else 0.0
    share = figure.get("margin", 0.0) * (abs(base) or 1.0)
    return (value - share, value + share) if share > 0 else None


def _mark(study: Snapshot, one: Experiment, *, on: bool, member: bool) -> tuple[str, str, int]:
    """The glyph of a point, its style and its weight: dim where it is neither `on` the front nor of the frontier."""
    if one.number == study.incumbent:
        return "◉", "trunk", 7
    if one.number == 0:
        return "◉", "dim", 4
    if one.verification is Verification.FAILS or one.state in (State.MERGED, State.REJECTED, State.RUNNING):
        glyph, _, style, _ = look(one)
        return glyph, style, 3
    if one.offered:
        return "◊", "offer", 6
    if promising(one):
        return "▵", "good" if on else "dim", 5 if on else 2
    if looked_at_again(one):
        return "▵", "text" if member else "dim", 2
    said = one.verdict
    over = said is not None and not said.asks and (said.barred or said.evidence is Evidence.SCREENED)
    return plot.Crowd.glyph, "text" if member and not over else "dim", 1


def _label(study: Snapshot, one: Experiment, *, on: bool, selected: bool, balanced: bool) -> list[tuple[str, str]]:
    """What is written beside it: the name of what counts, and what a person has made of it."""
    tone = "trunk" if one.number == study.incumbent else "text" if on or one.offered else "dim"
    name = {0: "baseline", study.incumbent: "trunk"}.get(one.number)
    if name is None and (selected or balanced or supported(study, one)):
        decided = DECIDED.get(one.state, "")
        name = f"{one.id} {decided}" if decided and not selected else one.id
    words = [(name, f"bold {tone if tone == 'trunk' else 'text'}" if selected else tone)] if name else []
    return [*words, (" balanced pick", "pick")] if balanced else words


def picked(study: Snapshot) -> set[int]:
    """The balanced pick, unless a person has decided against it."""
    those = (point.experiment for point in study.frontier.points if point.balanced)
    return {number for number in those if (one := study.experiment(number)) and one.state is not State.REJECTED}


class Picture:
    """What is drawn of a study on two axes, whatever is selected, and however large the panel is.

    The axes hold all that is not a single run, and of these what lies near to that (`scale.reach`); all numbers.
    """

    def __init__(self, study: Snapshot, pair: Pair, before: "Picture | None" = None) -> None:
        self.study, self.pair = study, pair
        self.at = {one.number: at for one, at in zip(study.experiments, study.each(place, *pair), strict=True) if at}
        self.front = front(study, *pair)
        self.balanced = picked(study)
        self._on, self._members = set(self.front), study.front
        apart = (one.number for one in compress(study.experiments, study.each(alone)))
        those = {*apart, 0, study.incumbent} & self.at.keys()
        sure = {number for number in those if supported(study, study.experiments[number])}
        sure |= self.balanced & self.at.keys()
        own = sorted(those | sure | (self._members & self.at.keys()))
        drawn = self._as_before(before) if before else {}
        self.dots = {number: drawn[number] if number in drawn else self.dot(number) for number in own}
        known = before.crowd if before else None
        self.crowd: plot.Crowd = plot.Crowd([at for one, at in self.at.items() if one not in self.dots], known)
        single = plot.Crowd([at for number, at in self.at.items() if number not in sure])
        self.within = plot.ranges([self.dots[number] for number in sorted(sure)], single)
        if pair[0] is NUMBER and self.at:
            self.within = replace(self.within, across=(min(self.at), max(self.at)))

    def _as_before(self, before: "Picture") -> dict[int, plot.Dot]:
        """The points of that picture that look as they did: neither they nor what they are held against changed."""
        old, new = before.study, self.study
        if before.pair != self.pair or old.incumbent != new.incumbent:
            return {}
        otherwise = set(renewed(new.experiments, old.experiments))
        for one, other in ((before._on, self._on), (before._members, self._members), (before.balanced, self.balanced)):
            otherwise |= one ^ other
        against = {number: said.incumbent for number in before.dots if (said := old.experiments[number].verdict)}
        return {
            number: dot
            for number, dot in before.dots.items()
            if number not in otherwise and against.get(number, 0) not in otherwise
        }

    def dot(self, number: int, *, selected: bool = False) -> plot.Dot:
        """A point of it."""
        one, at, on = self.study.experiments[number], self.at[number], number in self._on
        glyph, style, weight = _mark(self.study, one, on=on, member=number in self._members)
        label = _label(self.study, one, on=on, selected=selected, balanced=number in self.balanced)
        across, up = (interval(self.study, one, axis, value) for axis, value in zip(self.pair, at, strict=True))
        shorter = [[*label[:-1], (" pick", "pick")], [("pick", "pick")]] if number in self.balanced else []
        return plot.Dot(*at, glyph, style, 9 if selected else weight, label, selected, across, up, shorter)


def picture(study: Snapshot, choices: Choices, before: Picture | None = None) -> Picture | None:
    """What is drawn of a study, after what was drawn `before`; None where there is nothing to draw."""
    drawn = Picture(study, pair, before) if (pair := axes(study, choices)) else None
    return drawn if drawn and drawn.at else None


def nearest(seen: Picture, selected: int) -> int | None:
    """The member of the front that lies nearest to what is selected; the first where nothing is."""
    if selected not in seen.at:
        return next(iter(seen.front), None)
    ranges = seen.within.across, seen.within.up

    def drawn(number: int) -> list[float]:  # what lies outside is drawn at the edge
        pairs = zip(seen.at[number], ranges, strict=True)
        return [(min(max(value, low), high) - low) / ((high - low) or 1.0) for value, (low, high) in pairs]

    def far(number: int) -> float:
        return math.dist(drawn(number), drawn(selected))

    return min(seen.front, key=far, default=None)


def _note(study: Snapshot, across: Objective, up: Objective) -> str:
    """What is drawn; and, where more steers, that the line is of these two alone, or which of them has no say."""
    steering = sum(one.steers for one in study.objectives)
    bounded = {one.name for one in study.quantities if one.bound}
    quiet = [one.label for one in (across, up) if not one.steers and one.name not in bounded]
    more = f", 2 of {steering}" if steering > 2 and across.steers and up.steers else ""
    at = f", at {QUICK}" if study.facts.get("fidelity") else ""
    idle = f", {' and '.join(quiet)} {'decide' if len(quiet) > 1 else 'decides'} nothing" if quiet else ""
    return f"{up.label} {'by' if across is NUMBER else 'against'} {across.label}{more}{idle}{at}"


def _poor(study: Snapshot) -> bool:
    """Whether what is better at quick is often not so in full."""
    return any(one.poor for one in study.agreement)


def about(view: View, width: int) -> list[Line]:
    """What the selected point is."""
    one, study = view.one, view.study
    if one is None:
        return [line()] * 3
    glyph, word, style, _ = look(one)
    said = one.verdict
    how = f"{said.word}, {said.evidence}" if said else word
    head = apart([(f" {glyph} ", style), (one.id, "bold"), f"  {one.slug}"], [(how, "dim"), " "], width)
    balanced = one.number in picked(study)
    steering = sum(objective.steers for objective in study.objectives)
    of = f" of all {steering}" if steering > 2 else ""
    sure = next((chance(point.probability) for point in study.frontier.points if point.experiment == one.number), "")
    on = f"{'on' if one.number in study.front else 'not on'} the frontier{of}" + (f", {sure}" if sure else "")
    most = study.frontier.optimistic if study.frontier.optimistic > study.frontier.hypervolume else None
    size = f"hypervolume {study.frontier.hypervolume:.3g}" + (f" to {most:.3g}" if most else "")
    pick = " · the balanced pick of the frontier" if balanced and width >= 100 else " · balanced" if balanced else ""
    sentence = said.sentence if said else "the baseline" if one.number == 0 else "no verdict yet"
    sentence = sentence if len(sentence) + 3 <= width else brief(sentence)
    where = f"   {on}{pick} · {size}"
    where += " (baseline 1)" if cell_len(where) + 13 <= width else ""
    rows = [head, line(f"   {priced(study, one, sentence, width - 3)}"), line((fit(where, width), "dim"))]
    if said_of_both := agreed_on(study.agreement):
        rows.append(line((fit(f"   {said_of_both}", width), "bad" if _poor(study) else "dim")))
    return rows


# --- the panel --------------------------------------------------------------------------------------------------------


def room_for_growth(shape: Arrangement, width: int, height: int) -> str:
    """Where there is room for how the frontier grew: `beside` the plot, `below` it, or nowhere."""
    if shape in (Arrangement.WIDE, Arrangement.NONE):
        return ""
    if width >= 120 and height >= 16:
        return "beside"
    return "below" if height >= (26 if shape is Arrangement.HUGE else 36) else ""


def _same(before: Snapshot, study: Snapshot, pair: Pair | None) -> bool:
    """Whether a picture of one is one of the other: what has not changed in the record was not read anew.

    And of what was, most is an experiment under way, which has no place yet.
    """
    if before is study:
        return True
    if (before.incumbent, before.frontier) != (study.incumbent, study.frontier) or pair is None:
        return False
    if not (before.whole and study.whole):  # of some, a place says nothing of a number
        return False
    both = [
        (before.experiment(number), study.experiment(number))
        for number in renewed(study.experiments, before.experiments)
    ]
    return all(old == new or all(one is None or values(one, *pair) is None for one in (old, new)) for old, new in both)


class Frontier(Panel):
    """The plot, below it the point that is selected, and how the frontier grew."""

    number = 2
    title = "Frontier"
    cell = Cell.FRONT
    rank = 2
    keys = KEYS
    BINDINGS = [*bindings(KEYS)]

    _kept: tuple[Snapshot, Pair | None, Picture | None] | None = None
    _scattered: tuple[tuple[Any, ...], list[Line]] = ((), [])  # what was drawn last, and of what

    def picture(self, view: View) -> Picture | None:
        """What is drawn of the study; made once for all that is selected, searched or read in it."""
        if not view.study.whole:
            return None
        kept, pair = self._kept, axes(view.study, view.choices)
        if kept is None or kept[1] != pair or not _same(kept[0], view.study, pair):
            kept = view.study, pair, picture(view.study, view.choices, kept[2] if kept else None)
        self._kept = view.study, pair, kept[2]
        return kept[2]

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """How the frontier grew, where there is room for it."""
        there = view.study.frontier.points and room_for_growth(view.arrangement, *self.size)
        return [growth.Growth()] if there else []

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """The plot fills the panel; where it is high, three lines say what is selected."""
        if not view.study.whole:
            return Drawing([line(), line(("  reading the experiments…", "dim"))])
        seen = self.picture(view)
        if seen is None:
            return Drawing([line(), *(line(f"  {text}") for text in wrap(EMPTY, min(width, 60) - 3, 8))])
        room = room_for_growth(view.arrangement, width, height) if view.study.frontier.points else ""
        moments, against = view.get(growth.Growth()), view.choices.against
        below = about(view, width) if view.arrangement is not Arrangement.WIDE or height >= 22 else []
        if room == "beside":
            slim = max(44, width // 3)
            left = self._scatter(view, seen, width - slim - 2, height - len(below))
            grown = growth.growth(moments, against, slim, height - len(below))
            drawn = beside(left, grown, width - slim)
        elif room == "below":
            lines = max(growth.LEAST_HEIGHT, height // 4)
            grown = [line(), *growth.growth(moments, against, width, lines)]
            drawn = self._scatter(view, seen, width, height - len(below) - len(grown))
            below = [*below, *grown]
        else:
            drawn = self._scatter(view, seen, width, max(7, height - len(below)))
        poor: list[Piece] = [(", which agrees poorly with full", "bad")] if _poor(view.study) else []
        return Drawing([*drawn, *below], note=[(_note(view.study, *seen.pair), "dim"), *poor])

    def _scatter(self, view: View, seen: Picture, width: int, height: int) -> list[Line]:
        """The plot, which is drawn anew where it is another one."""
        if (of := (seen, view.selected, view.choices.scales, width, height)) != self._scattered[0]:
            self._scattered = of, scatter(view, seen, width, height)
        return self._scattered[1]

    def step(self, by: int, selected: int) -> int | None:
        """Along the front, from the left; from what is not on it, to the nearest."""
        seen = self.picture(self.view) if self.view else None
        if seen is None or not seen.front:
            return None
        if selected not in seen.front:
            return nearest(seen, selected)
        at = seen.front.index(selected) + by
        return seen.front[min(max(at, 0), len(seen.front) - 1)]

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel goes along the front, as the keys do."""
        self._walk(event, 1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Back."""
        self._walk(event, -1)

    def _walk(self, event: MouseScrollDown | MouseScrollUp, by: int) -> None:
        event.stop()
        event.prevent_default()
        if self.view and (number := self.step(by, self.view.selected)) is not None:
            self.post_message(self.Selected(number))

    def on_click(self, event: Click) -> None:
        """A point that is clicked is selected."""
        if of := self._scattered[0]:
            seen, _, scales, width, height = of
            y = event.y - len(self.head) + self.scroll_offset.y
            number = point_at(seen, dict(scales), width, height, event.x, y) if event.y >= len(self.head) else None
            if number is not None:
                self.post_message(self.Selected(number))

    def action_axis(self, which: int) -> None:
        """Another quantity across, or up."""
        if self.view is not None:
            self.choose(axes=turned(self.view.study, self.view.choices, which))

    def action_scale(self, which: int) -> None:
        """Across or up: logarithmic where it is linear, and the other way."""
        seen = self.picture(self.view) if self.view else None
        if self.view is None or seen is None:
            return
        low, high = (seen.within.across, seen.within.up)[which]
        name, label = seen.pair[which].name, seen.pair[which].label
        if seen.pair[which] is NUMBER or not logarithmic(low, high, True):
            why = "a number is no size" if seen.pair[which] is NUMBER else "it has values of 0 or less"
            self.post_message(self.Said(f"{label} has no logarithmic scale: {why}", "dim"))
            return
        chosen = dict(self.view.choices.scales)
        now = chosen.get(name, logarithmic(low, high))
        self.choose(scales=tuple(sorted({**chosen, name: not now}.items())))

    def action_against(self) -> None:
        """The hypervolume against something else that is spent."""
        if self.view is None:
            return
        if not self.wants(self.view):
            why = "there is no room for it" if self.view.study.frontier.points else "there is none yet"
            self.post_message(self.Said(f"how the frontier grew is not on the screen: {why}", "dim"))
            return
        self.choose(against=growth.after(self.view.choices.against))


def _drawn_axes(seen: Picture, scales: Mapping[str, bool]) -> tuple[plot.Axis, plot.Axis]:
    """The two quantities, as they are drawn along."""
    across, up = seen.pair
    ranks = across is not NUMBER
    return (
        plot.Axis(across.label, across.unit, across.maximize, across.quality, ranks, scales.get(across.name)),
        plot.Axis(up.label, up.unit, up.maximize, up.quality, log=scales.get(up.name)),
    )


def point_at(seen: Picture, scales: Mapping[str, bool], width: int, height: int, x: int, y: int) -> int | None:
    """The experiment that is drawn in a cell of the plot, or nearest to it: of several the weightiest."""
    frame = plot.framed(_drawn_axes(seen, scales), width, height - 1, seen.within)
    numbers = [*seen.at]
    places = frame.places([seen.at[one][0] for one in numbers], [seen.at[one][1] for one in numbers])
    found, least = None, (NEAR + 1, 0)
    for number, (column, row, _) in zip(numbers, places, strict=True):
        dot = seen.dots.get(number)
        far = abs(column - x + GUTTER) + 2 * abs(row - y + 1), -(dot.weight if dot else 0)  # a row is as high as two
        if far < least:
            found, least = number, far
    return found


def scatter(view: View, seen: Picture, width: int, height: int) -> list[Line]:
    """The plot, and above it what lies up and what the glyphs are."""
    up, scales = seen.pair[1], dict(view.choices.scales)
    dots = dict(seen.dots)
    if view.selected in seen.at:
        dots[view.selected] = seen.dot(view.selected, selected=True)
    pair = _drawn_axes(seen, scales)
    line_of = [dots[number] for number in seen.front]
    drawn = plot.draw(list(dots.values()), line_of, pair, width, height - 1, seen.crowd, seen.within)
    legend: list[Piece] = [("◊", "offer"), " offer  ", ("▵", "good"), " promising  ", ("∙", "dim"), " one look"]
    unit = (f" {up.unit}" if up.unit else "") + (", log" if logarithmic(*seen.within.up, pair[1].log) else "")
    head = apart([" ", (up.label, "bold"), (unit, "dim"), (" ▴ better", "dim")], legend, width)
    return [head, *drawn]
