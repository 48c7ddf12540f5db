"""Panel 2: the frontier. Each experiment is a point: how good it is, against what it costs."""

from cockpit import plot
from cockpit.feed import Objective, Snapshot
from cockpit.glyphs import look
from cockpit.line import Line, Piece, apart, fit, line, wrap
from cockpit.pages import chance
from cockpit.view import Arrangement, Drawing, View
from cockpit.widgets.panel import Panel
from store.records import Evidence, Experiment, State

EMPTY = (
    "Nothing to draw yet. Each experiment becomes a point: how good it is (up) against what it costs (left). The line "
    "joins those that no other one beats on both. The first point is the baseline."
)


NUMBER = Objective("", "experiment", "", maximize=False, quality=True)  # what is drawn across where nothing else can be


def axes(study: Snapshot) -> tuple[Objective, Objective] | None:
    """What is drawn across and up: the first cost and the first quality that steer, else what there is."""
    every = study.objectives
    steering = [one for one in every if one.steers]
    if not steering:
        return None
    up = next((one for one in steering if one.quality), steering[0])
    others = [one for one in every if one is not up]
    return next((one for one in others if one.steers and not one.quality), next(iter(others), NUMBER)), up


def values(one: Experiment, across: Objective, up: Objective) -> tuple[float, float] | None:
    """Where an experiment lies."""
    known = {m.objective: m.value for m in one.measurements} | {NUMBER.name: float(one.number)}
    return (known[across.name], known[up.name]) if across.name in known and up.name in known else None


def _dot(view: View, one: Experiment, at: tuple[float, float], on: bool, balanced: bool) -> plot.Dot:
    study, said, selected = view.study, one.verdict, one.number == view.selected
    glyph, _, style, _ = look(one)
    weight, name = 2, "text" if selected else "dim"
    if one.number == study.incumbent:
        glyph, style, weight, name = "◉", "trunk", 5, "trunk"
    elif one.number == 0:
        glyph, style, weight = "◉", "dim", 3
    elif said is not None and said.evidence is Evidence.SCREENED and one.state is State.JUDGED:
        glyph, style, weight = "∙", "dim", 1
    label = (
        {0: "baseline", study.incumbent: "trunk"}.get(one.number, one.id)
        if on or one.number in (0, study.incumbent)
        else ""
    )
    if selected:
        label, weight = one.id if one.number not in (0, study.incumbent) else label, 9
    words = [(label, f"bold {name}" if selected else name)] if label else []
    if balanced:
        words.append((" balanced pick", "pick"))
    return plot.Dot(*at, glyph, style, weight + on, words, selected)


def front(study: Snapshot, across: Objective, up: Objective) -> list[int]:
    """The members of the frontier that no other one beats on these two, from the cheapest on."""
    known = {
        number: at for number in study.front if (one := study.experiment(number)) and (at := values(one, across, up))
    }
    signs = (-1 if across.maximize else 1, 1 if up.maximize else -1)
    chosen: list[int] = []
    for number in sorted(known, key=lambda one: (signs[0] * known[one][0], -signs[1] * known[one][1])):
        if not chosen or signs[1] * known[number][1] > signs[1] * known[chosen[-1]][1]:
            chosen.append(number)
    return chosen


def _note(study: Snapshot, across: Objective, up: Objective) -> str:
    """What is drawn; and, where more steers, that the line is of these two alone."""
    steering = sum(one.steers for one in study.objectives)
    more = f", 2 of {steering}" if steering > 2 else ""
    return f"{up.label} {'by' if across is NUMBER else 'against'} {across.label}{more}"


class Frontier(Panel):
    """The plot, and below it the point that is selected."""

    number = 2
    title = "Frontier"

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """The plot fills the panel; where it is high, three lines say what is selected."""
        study, pair = view.study, axes(view.study)
        shown = [one for one in study.experiments if one.state is not State.FAILED]
        at = {one.number: place for one in shown if pair and (place := values(one, *pair))}
        if not pair or not at:
            return Drawing([line(), *(line(f"  {text}") for text in wrap(EMPTY, min(width, 60) - 3, 8))])
        across, up = pair
        below = about(view, width) if view.arrangement is not Arrangement.WIDE or height >= 22 else []
        members = set(front(study, *pair))
        placed = [one for one in shown if one.number in at]
        points = {point.experiment: point.balanced for point in study.frontier.points}
        dots = {
            one.number: _dot(view, one, at[one.number], one.number in points, points.get(one.number, False))
            for one in placed
        }
        drawn = plot.draw(
            list(dots.values()),
            [dot for number, dot in dots.items() if number in members],
            (
                plot.Axis(across.label, across.unit, across.maximize, across.quality, ranks=across is not NUMBER),
                plot.Axis(up.label, up.unit, up.maximize, up.quality),
            ),
            width,
            max(6, height - 1 - len(below)),
        )
        legend: list[Piece] = [("◊", "offer"), " offer  ", ("▵", "good"), " promising  ", ("∙", "dim"), " one look"]
        head = apart(
            [" ", (up.label, "bold"), (f" {up.unit}" if up.unit else "", "dim"), (" ▴ better", "dim")], legend, width
        )
        return Drawing(
            [head, *drawn, *below],
            note=[(_note(study, across, up), "dim")],
        )

    def step(self, by: int, selected: int) -> int | None:
        """Along the front, from the cheapest to the best."""
        if self.view is None or (pair := axes(self.view.study)) is None:
            return None
        study, cost = self.view.study, pair[0]
        known = {
            number: {m.objective: m.value for m in one.measurements}
            for number in study.front
            if (one := study.experiment(number))
        }
        listed = sorted(known, key=lambda one: known[one].get(cost.name, 0.0) * (-1 if cost.maximize else 1))
        if not listed:
            return None
        at = listed.index(selected) + by if selected in listed else 0
        return listed[min(max(at, 0), len(listed) - 1)]


def about(view: View, width: int) -> list[Line]:
    """What the selected point is."""
    one, study = view.one, view.study
    if one is None:
        return [line()] * 3
    glyph, word, style, _ = look(one)
    said = one.verdict
    how = f"{said.word}, {said.evidence}" if said else word
    head = apart([(f" {glyph} ", style), (one.id, "bold"), f"  {one.slug}"], [(how, "dim"), " "], width)
    balanced = next((point.balanced for point in study.frontier.points if point.experiment == one.number), False)
    steering = sum(objective.steers for objective in study.objectives)
    of = f" of all {steering}" if steering > 2 else ""
    sure = next((chance(point.probability) for point in study.frontier.points if point.experiment == one.number), "")
    on = f"{'on' if one.number in study.front else 'not on'} the frontier{of}" + (f", {sure}" if sure else "")
    most = study.frontier.optimistic if study.frontier.optimistic > study.frontier.hypervolume else None
    size = f"hypervolume {study.frontier.hypervolume:.3g}" + (f" to {most:.3g}" if most else "")
    pick = " · the balanced pick of the frontier" if balanced and width >= 100 else " · balanced" if balanced else ""
    sentence = said.sentence if said else "the baseline" if one.number == 0 else "no verdict yet"
    return [head, line(fit(f"   {sentence}", width)), line((fit(f"   {on}{pick} · {size}", width), "dim"))]
