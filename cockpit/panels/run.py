"""Panel 4: one run: where it is, how long it took others, what it uses, its curve over trunk's, and its log.

Of the experiment that is selected: its run under way, else the newest one; where it has none, what runs now.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from msgspec import Struct

from cockpit import figures
from cockpit.curves import FRAME, GUTTER, LEAST_COLUMNS, LEAST_ROWS, Drawn, chart
from cockpit.feed import Snapshot
from cockpit.keys import LOOK, Key, bindings
from cockpit.line import LazyLines, Line, Piece, fit, line
from cockpit.pages import count
from cockpit.series import Curve, Series
from cockpit.stages import alive, going, head, over, seed_of, size, slots, use
from cockpit.usual import Usual
from cockpit.view import Drawing, View, Want
from cockpit.watch import History, Log, Runs, Seen, history, seen, watched
from cockpit.widgets.panel import Cell, Panel
from store import records
from store.records import name_of

KEYS = (
    Key("follow", "f", "follow", LOOK, "follow the end of the log again", "follow"),
    Key("previous_run", "left_square_bracket", "run(-1)", LOOK, "the run before, the next one", "run"),
    Key("next_run", "right_square_bracket", "run(1)", LOOK, ""),
    Key("next_metric", "n", "metric(1)", LOOK, "the next metric's curve; the one before", "curve"),
    Key("previous_metric", "N", "metric(-1)", LOOK, ""),
    Key("running", "w", "now", LOOK, "what runs now; again, on the next slot", "what runs"),
)
BESIDE = 3  # runs of trunk whose curves are drawn
LEAST_POINTS = 3  # of a curve that is drawn
BRIEF = 18  # lines of a panel, below which a run that has ended is said in two
LOG_LINES = 2  # that the log has at least, below a curve
MOST_CURVE = 30  # lines that a curve takes at most


# --- which run -------------------------------------------------------------------------------------------------------


class Shown(Struct, frozen=True):
    """The run that is shown, of all of its experiment."""

    run: records.Run
    past: History

    @property
    def others(self) -> list[records.Run]:
        """Runs of trunk that were made as this one."""
        own = self.run
        same = [run for run in self.past.trunk if (run.bench, run.fidelity) == (own.bench, own.fidelity)]
        return [run for run in same if run.id != own.id][-BESIDE:]


def which(view: View) -> Shown | str | None:
    """The run to show; or why there is none; None while that is not known."""
    one = view.one
    past = history(view, one.number) if one else History((), ())
    if not isinstance(past, History):
        return past
    if past.runs:
        chosen = next((run for run in past.runs if run.id == view.choices.run), None)
        unfinished = next((run for run in past.runs if run.outcome is None), None)
        return Shown(chosen or unfinished or past.runs[-1], past)
    if not view.study.running:
        return f"{one.id} has not run yet." if one else "Nothing runs now."
    past = history(view, view.study.running[0].experiment)
    return Shown(view.study.running[0], past) if isinstance(past, History) else past


# --- its curve -------------------------------------------------------------------------------------------------------


def metrics(found: Series) -> list[str]:
    """Those of which there is a curve."""
    return [name for name, curve in found.curves.items() if curve.count >= LEAST_POINTS]


def metric(study: Snapshot, found: Series, wanted: str) -> str | None:
    """The one to draw: the one that is wanted, else what the study is about, of `val_…` first, else the first."""
    names = metrics(found)
    if wanted in names:
        return wanted
    for objective in study.objectives:
        for said in (objective.name.lower(), objective.label.lower()):
            about = [name for name in names if said in name.lower()]
            if about:
                return min(about, key=lambda name: not name.lower().startswith(("val", "valid", "eval")))
    return names[0] if names else None


class Kept:
    """The chart that was drawn last: it is drawn anew where it would be another one, and not at every tick and key."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._curves: Sequence[tuple[Curve, str]] = ()  # kept, so that no other one has the identity of one of them
        self._lines: list[Line] = []

    def chart(
        self, title: Sequence[Piece], legend: Sequence[Piece], curves: Sequence[tuple[Curve, str]], end: str,
        reach: float, width: int, height: int,
    ) -> list[Line]:  # fmt: skip
        """As `chart` draws it, of curves that each have a style."""
        same = [(id(one), one.count, style) for one, style in curves]
        if (of := (list(title), list(legend), same, end, reach, width, height)) != self._of:
            drawn = [Drawn(one.drawn, style) for one, style in curves]
            self._of, self._curves = of, curves
            self._lines = chart(title, legend, drawn, end, reach, width, height)
        return self._lines


def curve(view: View, shown: Shown, found: Seen, width: int, height: int, kept: Kept) -> list[Line]:
    """Of one metric, over those of trunk's runs; nothing where there are too few points, or there is no room."""
    run, series = shown.run, found.series
    name = metric(view.study, series, view.choices.metric)
    if name is None or height < FRAME + LEAST_ROWS or width < GUTTER + 1 + LEAST_COLUMNS:
        return []
    own = series.curves[name]
    newest = own.newest or own.points[-1]
    beside = list[Curve]()
    reach = max(series.end, newest[0])
    for other in shown.others:
        past = seen(view, other)
        # What goes on has a log alone: where that counts otherwise than files do, the other's log is what is like it.
        same = next((one for one in (past.series, past.logged) if one.word == series.word), None) if past else None
        if same and (points := same.curves.get(name)) and points.count > 1:
            beside.append(points)
            reach = max(reach, same.end)
    last = figures.value(newest[1], quality=True)
    title: list[Piece] = [(f" {fit(name, min(len(name), width // 3)).rstrip()}", "bold"), (f" {last}", "sky")]
    legend: list[Piece] = [("⠒⠒ ", "bold sky"), (f"{name_of(run.experiment)}", "dim")]
    if width >= 70:
        legend.append((f" {seed_of(view.study, run, shown.past.runs).partition(', ')[2]}", "dim"))
    if beside:
        whose = "trunk" if view.study.incumbent else "baseline"
        text = f"{whose}, {count(len(beside), 'run')}"
        if run.experiment == view.study.incumbent:
            text = f"its other {count(len(beside), 'run')}" if len(beside) > 1 else "its other run"
        legend += [("   ⠒⠒ ", "dim"), (text, "dim")]
    drawn = [*((points, "dim") for points in beside), (own, "bold sky")]
    end = f"{series.word} {reach:.0f}"
    return kept.chart(title, [*legend, " "], drawn, end, reach, width, height)


# --- its log ---------------------------------------------------------------------------------------------------------


class Tail(LazyLines):
    """The logs of the stages, one after the other; a heading above each, where there are several."""

    def __init__(self, logs: Sequence[Log]) -> None:
        self._parts: list[Sequence[Line | str]] = []
        for log in logs:
            missing = unread(log)
            self._parts.append([line((f" {log.stage}", "bold dim"))] if len(logs) > 1 else [])
            self._parts.append([line((f" {missing}", "faint"))] if missing else [])
            self._parts += [log.lines, [log.open] if log.open else []]
        self._ends = list(accumulate(map(len, self._parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def line_at(self, index: int) -> Line:
        """A heading, or a line of a log."""
        at = bisect_right(self._ends, index)
        row = self._parts[at][index - self._ends[at]]  # counted from its end
        return row if isinstance(row, Line) else line(f" {row}")


def unread(log: Log) -> str:
    """What of a log is not shown."""
    parts = [f"{size(log.unread)} before this are not read"] if log.unread else []
    parts += [f"{log.dropped} lines before this are not kept"] if log.dropped else []
    return f"… {' and '.join(parts)}; the file has them all" if parts else ""


class Run(Panel):
    """One run."""

    BINDINGS = [*bindings(KEYS)]
    number = 4
    title = "Run"
    cell = Cell.DETAIL
    rank = 5
    keys = KEYS
    ticks = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._follows = True  # the end of the log
        self._run: int | None = None  # that is shown
        self._kept = Kept()

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """The runs of what is selected; the folder of the one that is shown, and of those beside it."""
        every: list[Want[Any]] = [Runs(view.one.number, view.study.incumbent)] if view.one else []
        shown = which(view)
        past = history(view, view.one.number) if view.one else None
        if view.study.running and (view.one is None or (isinstance(past, History) and not past.runs)):
            every.append(Runs(view.study.running[0].experiment, view.study.incumbent))
        if isinstance(shown, Shown):
            every += [watched(run, view.study.pid is not None) for run in (shown.run, *shown.others)]
            every += [Usual(shown.run.bench, shown.run.fidelity)] if alive(view.study, shown.run) else []
        return every

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """Where it is stays, while its log scrolls."""
        shown, study = which(view), view.study
        if not isinstance(shown, Shown):
            return Drawing([line(), line((f"  {shown or 'reading the runs…'}", "dim"))])
        run, found = shown.run, seen(view, shown.run)
        rows = slots(study, view.now, width)
        if view.one and run.experiment != view.one.number:
            rows.append(line((fit(f" {view.one.id} has not run yet; what runs now:", width).rstrip(), "dim")))
        rows.append(head(study, run, shown.past.runs, width))
        if alive(study, run):
            usual = view.get(Usual(run.bench, run.fidelity)) or {}
            rows += [*going(run, usual, found, view.now, width), use(study, run, found, width)] if found else []
        else:
            rows += over(study, run, width, view.keys, brief=height < BRIEF)
        note: list[Piece] = [(f"{name_of(run.experiment)}, {seed_of(study, run, shown.past.runs)}", "dim")]
        if found is None or found.lack:
            said = found.lack if found else "reading its log…"
            return Drawing([line((f" {said}", "dim"))], [*rows, line()], note)
        room = min(height - len(rows) - 2 - LOG_LINES, max(FRAME + LEAST_ROWS, min(MOST_CURVE, height // 2)))
        if drawn := curve(view, shown, found, width, room, self._kept):
            rows += [line(), *drawn]
        body = Tail(found.logs) if any(log.lines or log.open for log in found.logs) else []
        nothing = "it has printed nothing" + (" yet" if alive(study, run) else "")
        return Drawing(body or [line((f" {nothing}", "dim"))], [*rows, line()], note)

    # --- the end of the log is followed -------------------------------------------------------------------------------

    def _redraw(self, view: View) -> None:
        shown = which(view)
        number = shown.run.id if isinstance(shown, Shown) else None
        follows, self._run = self._follows or number != self._run, number
        self._last = view.selected  # another experiment's log opens at its end
        super()._redraw(view)
        if follows:
            self.action_follow()

    def action_follow(self) -> None:
        """To the end of the log, and on with it."""
        self._follows = True
        self._scroll(self._end)

    @property
    def _end(self) -> int:
        return max(0, len(self.head) + len(self.body) - self.size.height)

    def scroll_lines(self, by: int) -> None:
        """So many lines down or up. Who has scrolled up stays there."""
        self._follows = self.scroll_offset.y + by >= self._end
        super().scroll_lines(by)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """The wheel scrolls too."""
        super().watch_scroll_y(old_value, new_value)
        if new_value != old_value:
            self._follows = round(new_value) >= self._end

    # --- which one ----------------------------------------------------------------------------------------------------

    def action_run(self, by: int) -> None:
        """Another run of the experiment."""
        shown = which(self.view) if self.view else None
        if isinstance(shown, Shown):
            ids = [run.id for run in shown.past.runs]
            if shown.run.id in ids:
                self.choose(run=ids[min(max(ids.index(shown.run.id) + by, 0), len(ids) - 1)])

    def action_metric(self, by: int) -> None:
        """The curve of another metric."""
        shown = which(self.view) if self.view else None
        found = seen(self.view, shown.run) if self.view and isinstance(shown, Shown) else None
        if self.view and found and (names := metrics(found.series)):
            now = metric(self.view.study, found.series, self.view.choices.metric)
            self.choose(metric=names[(names.index(now or names[0]) + by) % len(names)])

    def action_now(self) -> None:
        """To what runs now; from there, to what runs on the next slot."""
        if self.view and (running := self.view.study.running):
            shown, selected = which(self.view), self.view.selected
            ids, those = [run.id for run in running], [run.experiment for run in running]
            at = -1
            if selected in those and not isinstance(shown, Shown):  # its runs are not read
                at = those.index(selected)
            elif isinstance(shown, Shown) and shown.run.experiment == selected and shown.run.id in ids:
                at = ids.index(shown.run.id)
            to = running[(at + 1) % len(running)]
            # Of the only one no run is chosen: what it runs after this one is shown too.
            self.choose(run=to.id if those.count(to.experiment) > 1 else None)
            self.post_message(self.Selected(to.experiment))
