"""The frontier on the screen: its axes, its points, its line, and how it grew; without a terminal."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from textual.message import Message

from cockpit import growth, plot
from cockpit.axes import axes, turned
from cockpit.canvas import Canvas
from cockpit.feed import Snapshot
from cockpit.line import Line, line
from cockpit.panels.frontier import Frontier, front, interval, picture, point_at, room_for_growth, scatter
from cockpit.scale import logarithmic, reach, scale, tight
from cockpit.view import Arrangement, Choices, Reading, View, Want
from cockpit.widgets.panel import Panel
from store.records import Evidence, Measurement, Progress, Source, State, Word
from tests.cockpit.studies import NOW, every_kind, figure, measured, verdict

FINITE = st.floats(-1e9, 1e9)
POSITIVE = st.floats(1e-6, 1e9)
MOMENTS = [Progress(NOW + 60 * n, n, 1 + n // 4, 1 + n // 3, 30.0 * n, 100.0 * n) for n in range(40)]
FOUND: dict[Want[Any], Any] = {growth.Growth(): MOMENTS}


def draw(
    study: Snapshot, width: int = 80, height: int = 22, selected: int = 1, choices: Choices | None = None
) -> list[Line]:
    shape = Arrangement.NARROW if width < 100 else Arrangement.HUGE
    view = View(study, selected, NOW, shape, FOUND, choices=choices or Choices())
    drawing = Frontier().draw(view, width, height)
    return [*drawing.head, *drawing.body]


def text(*args: Any, **more: Any) -> list[str]:
    return [one.text.rstrip() for one in draw(*args, **more)]


def cell(lines: Sequence[Line], glyph: str) -> list[str]:
    """The styles in which a glyph is drawn."""
    return [style for one in lines for piece, style in one.pieces for character in piece if character == glyph]


def having(study: Snapshot, number: int, **changes: Any) -> Snapshot:
    """An experiment is otherwise."""
    rows = [replace(one, **changes) if one.number == number else one for one in study.experiments]
    return replace(study, experiments=tuple(rows))


def confirmed(study: Snapshot, number: int, **changes: Any) -> Snapshot:
    said = study.experiments[number].verdict
    assert said is not None
    said = replace(said, evidence=Evidence.CONFIRMED, word=Word.BETTER)
    return having(study, number, **{"verdict": said, "state": State.JUDGED, **changes})


def with_more(study: Snapshot, places: Sequence[tuple[float, float]]) -> Snapshot:
    """So many single runs more, at these values of nll and predict."""
    like = study.experiments[4]
    first = len(study.experiments)
    rows = [
        replace(like, number=number, measurements=measured(nll, predict, 26_100))
        for number, (nll, predict) in enumerate(places, first)
    ]
    return replace(study, experiments=(*study.experiments, *rows))


# --- scales -----------------------------------------------------------------------------------------------------------


@given(st.tuples(FINITE, FINITE), st.integers(6, 120), st.integers(2, 9), st.sampled_from([None, True, False]))
@example((5e-324, 1.0), 30, 2, None)
@example((-1e308, 1e308), 30, 2, None)
@example((1e-149, 1e149), 30, 2, None)
@example((0.95, 0.98), 12, 2, True)
def test_a_scale_holds_its_ends_and_ticks_stand_on_whole_cells_apart(
    ends: tuple[float, float], cells: int, every: int, log: bool | None
) -> None:
    low, high = sorted(ends)
    made = scale(low, high, cells, every, log=log)
    assert made.holds(low) and made.holds(high)
    assert made.at(low) <= made.at(high)
    at = [made.at(tick) for tick in made.ticks]
    assert at == sorted(at) and all(made.holds(tick) for tick in made.ticks)
    if not made.log and len(at) > 1:
        apart = {after - before for before, after in pairwise(at)}
        assert len(apart) == 1 and min(apart) >= every, "the same number of cells between each two"


@given(st.tuples(FINITE, FINITE), st.integers(2, 120), st.integers(2, 12))
@example((0.0, 1e-14), 40, 5)
@example((1e-149, 1e149), 30, 2)
@example((7.0, 7.0), 12, 2)
def test_a_tight_scale_goes_from_end_to_end_with_few_ticks_between(
    ends: tuple[float, float], cells: int, most: int
) -> None:
    low, high = sorted(ends)
    made = tight(low, high, cells, most, log=logarithmic(low, high))
    if high - low > max(1e-8 * max(abs(low), abs(high)), 1e-280):
        assert (made.at(low), made.at(high)) == (0, cells - 1)
    assert len(made.ticks) <= most and len(set(made.ticks)) == len(made.ticks)
    assert all(made.holds(tick) for tick in made.ticks)


@given(st.lists(FINITE, min_size=2, max_size=20), st.sampled_from([None, False]))
def test_a_larger_value_never_lies_lower(values: list[float], log: bool | None) -> None:
    made = scale(min(values), max(values), 40, 3, log=log)
    cells = [made.at(value) for value in sorted(values)]
    assert cells == sorted(cells)


@given(st.floats(0.951, 0.9545), st.floats(0.976, 0.979))
def test_small_changes_leave_the_ends_of_a_scale_where_they_are(low: float, high: float) -> None:
    made = scale(low, high, 14, 2)
    assert (made.low, made.high) == pytest.approx((0.95, 0.98))


def test_a_scale_is_by_ratio_where_its_ends_are_far_apart_or_as_is_wanted_where_it_can_be() -> None:
    assert logarithmic(1.0, 4.0) and not logarithmic(1.0, 3.9)
    assert logarithmic(1.0, 1.1, True) and not logarithmic(1.0, 400.0, False)
    assert not logarithmic(0.0, 4.0, True) and not logarithmic(-1.0, 4.0)


@given(st.lists(POSITIVE, min_size=1, max_size=8), st.lists(POSITIVE, max_size=40))
def test_what_is_sure_lies_within_whatever_the_single_runs_are(sure: list[float], crowd: list[float]) -> None:
    low, high = reach(sure, crowd)
    assert low <= min(sure) and max(sure) <= high
    assert min([*sure, *crowd]) <= low and high <= max([*sure, *crowd])


@given(st.lists(st.floats(0.9, 1.1), min_size=32, max_size=32), st.lists(POSITIVE, max_size=31))
def test_single_runs_change_the_axes_only_when_their_number_has_doubled(
    before: list[float], later: list[float]
) -> None:
    assert reach([1.0], before) == reach([1.0], [*before, *later])


# --- axes -------------------------------------------------------------------------------------------------------------


def bounded() -> Snapshot:
    """A study in which memory is bounded and measured."""
    study = every_kind()
    assert study.engine is not None
    bounds = {"peak_memory_bytes": {"text": "at most 16 GB", "kind": "count"}}
    memory = Measurement("peak_memory_bytes", 7.2e9, Source.MEASURED)
    rows = tuple(replace(one, measurements=(*one.measurements, memory)) for one in study.experiments)
    return replace(study, experiments=rows, engine=replace(study.engine, facts={**study.facts, "constraints": bounds}))


@pytest.mark.parametrize("which", [0, 1])
def test_a_key_goes_through_all_that_was_measured_and_never_has_both_axes_the_same(which: int) -> None:
    study, choices = bounded(), Choices()
    first = axes(study)
    assert first
    seen = []
    for _ in range(8):
        choices = replace(choices, axes=turned(study, choices, which))
        pair = axes(study, choices)
        assert pair and pair[1 - which] == first[1 - which], "the other one stays"
        seen.append(pair[which].name)
    every = {"nll", "predict_us_per_item", "parameters", "accuracy", "peak_memory_bytes"}
    assert set(seen) == every - {first[1 - which].name}


def measuring(*names: str) -> Snapshot:
    """A study in which these alone were measured."""
    study = every_kind()
    rows = (
        replace(one, measurements=tuple(m for m in one.measurements if m.objective in names))
        for one in study.experiments
    )
    return replace(study, experiments=tuple(rows))


@pytest.mark.parametrize("which", [0, 1])
def test_two_quantities_change_places(which: int) -> None:
    study = measuring("nll", "predict_us_per_item")
    turn = turned(study, Choices(), which)
    assert turn == ("nll", "predict_us_per_item")
    assert turned(study, Choices(axes=turn), which) == ("predict_us_per_item", "nll")


def pressed(view: View, press: Callable[[Frontier], None]) -> tuple[list[str], list[Choices]]:
    """What a key has said, and what it has chosen."""
    said, chosen = list[str](), list[Choices]()

    class Heard(Frontier):
        def post_message(self, message: Message) -> bool:
            if isinstance(message, Panel.Said):
                said.append(message.text)
            return True

    panel = Heard(chosen.append)
    panel.view = view
    press(panel)
    return said, chosen


def test_a_scale_that_cannot_be_logarithmic_is_said_to_be_none() -> None:
    study = every_kind()
    said, chosen = pressed(View(study, 1, NOW), lambda panel: panel.action_scale(1))
    assert not said and chosen and chosen[0].scales
    first = study.experiments[0]
    zero = having(study, 0, measurements=tuple(replace(m, value=0.0) for m in first.measurements))
    said, chosen = pressed(View(zero, 1, NOW), lambda panel: panel.action_scale(1))
    assert not chosen and said == ["nll has no logarithmic scale: it has values of 0 or less"]


def test_growth_that_is_not_on_the_screen_is_said_not_to_be() -> None:
    said, chosen = pressed(View(every_kind(), 1, NOW), Frontier.action_against)
    assert not chosen and said == ["how the frontier grew is not on the screen: there is no room for it"]


def test_what_nobody_measured_is_no_axis_and_one_quantity_alone_has_no_other() -> None:
    assert turned(measuring("nll"), Choices(), 0) is None


def test_axes_that_are_no_quantities_any_more_are_those_that_steer() -> None:
    pair = axes(every_kind(), Choices(axes=("nll", "gone")))
    assert pair and [one.name for one in pair] == ["predict_us_per_item", "nll"]


def test_the_plot_is_of_the_axes_that_were_chosen() -> None:
    rows = text(every_kind(), choices=Choices(axes=("parameters", "accuracy")))
    assert rows[0].startswith(" accuracy ▴ better")
    assert any(row.endswith("parameters, log") for row in rows)
    rows = text(every_kind(), choices=Choices(axes=("parameters", "accuracy"), scales=(("parameters", False),)))
    assert any(row.endswith("parameters") for row in rows)


# --- points -----------------------------------------------------------------------------------------------------------


def test_single_runs_promising_and_confirmed_are_told_apart_and_what_is_beaten_is_dim() -> None:
    study = every_kind()
    lines = draw(confirmed(study, 5), selected=-1)
    assert cell(lines[1:], "◊") == ["offer"]
    assert cell(lines[1:], "▵") == ["good"]
    assert "dim" in cell(lines[1:], "∙") and cell(lines[1:], "◉") == ["trunk"]
    near = having(study, 6, measurements=measured(0.128, 4.2, 26_100))
    assert cell(draw(near, selected=-1)[1:], "✕") == ["dim"]
    beaten = having(study, 1, measurements=measured(0.2, 4.5, 30_000, 3))
    assert cell(draw(beaten, selected=-1)[1:], "▵") == ["dim"]
    assert cell(draw(study, selected=-1)[1:], "✓") == ["good"]


@pytest.mark.parametrize("beside", [12, 20, 40])
@pytest.mark.parametrize("size", [(62, 20), (80, 20), (120, 30)])
def test_the_balanced_pick_is_marked_in_a_crowd_too(size: tuple[int, int], beside: int) -> None:
    study = every_kind()
    number = next(point.experiment for point in study.frontier.points if point.balanced)
    seen = picture(study, Choices())
    assert seen is not None
    own = replace(seen.dots[number], x=50.0, y=1.0, across=None, up=None)
    crowd = [(50.0 + at, y / 40) for y in range(20, 60) for at in (-beside, beside)]
    ends = [replace(DOT, x=x, y=y, label=[("e0009", "text")], weight=7) for x, y in ((0.0, 0.5), (100.0, 1.5))]
    pair = plot.Axis("cost", "s", False, False, log=False), plot.Axis("nll", "", False, True, log=False)
    rows = plot.draw([own, *ends], [], pair, *size, plot.Crowd(crowd))
    assert any("pick" in one.text for one in rows), [one.text for one in rows]


def test_trunk_the_baseline_the_balanced_pick_and_what_was_decided_are_named() -> None:
    study = confirmed(every_kind(), 5, state=State.REJECTED)
    rows = "\n".join(text(replace(study, incumbent=1), selected=2))
    assert "e0005 rejected" in rows and "trunk balanced pick" in rows and "baseline" in rows
    assert "[∙]" in rows or "∙]" in rows


def test_a_single_run_is_never_on_the_line() -> None:
    study = every_kind()
    pair = axes(study)
    assert pair and front(study, *pair) == [1, 5] and 2 in study.front
    assert 2 in front(confirmed(study, 2), *pair)


@given(st.lists(st.tuples(st.floats(0.05, 0.5), st.floats(0.5, 50.0)), min_size=1, max_size=12))
def test_along_the_front_what_gets_worse_across_gets_better_up(places: list[tuple[float, float]]) -> None:
    study = with_more(every_kind(), places)
    for number in range(9, len(study.experiments)):
        study = confirmed(study, number)
    pair = axes(study)
    assert pair
    walked = front(study, *pair)
    at = [{m.objective: m.value for m in study.experiments[number].measurements} for number in walked]
    predicts, nlls = [one["predict_us_per_item"] for one in at], [one["nll"] for one in at]
    assert predicts == sorted(predicts) and nlls == sorted(nlls, reverse=True) and len(set(nlls)) == len(nlls)
    for nll, predict in places:
        assert any(a <= predict and b <= nll for a, b in zip(predicts, nlls, strict=True))


# --- intervals --------------------------------------------------------------------------------------------------------


def test_an_interval_is_that_of_the_gain_by_ratio_or_as_a_share_of_what_it_was_judged_against() -> None:
    study = every_kind()
    by_name = {one.name: one for one in study.quantities}
    one = study.experiments[1]
    known = interval(study, one, by_name["predict_us_per_item"], 2.54)
    assert known == pytest.approx((2.54 / math.exp(0.02), 2.54 * math.exp(0.02)))
    share = {**figure(0.0, 0.0, "down"), "change": 0.05, "gain": -0.05, "margin": 0.02, "low": -0.07, "high": -0.03}
    said = verdict(1, Word.TRADE_OFF, Evidence.CONFIRMED, "", nll=share)
    known = interval(study, replace(one, verdict=said), by_name["nll"], 0.13)
    assert known == pytest.approx((0.13 - 0.02 * 0.1268, 0.13 + 0.02 * 0.1268))


def test_what_is_exact_or_was_run_once_or_judged_long_ago_has_no_interval() -> None:
    study = every_kind()
    by_name = {one.name: one for one in study.quantities}
    assert interval(study, study.experiments[1], by_name["parameters"], 9870.0) is None
    assert interval(study, study.experiments[4], by_name["nll"], 0.2) is None
    assert interval(study, study.experiments[1], by_name["accuracy"], 0.87) is None
    said = study.experiments[1].verdict
    assert said is not None
    old = {name: {"change": one["change"], "gain": one["gain"], "moved": "up"} for name, one in said.figures.items()}
    assert (
        interval(study, replace(study.experiments[1], verdict=replace(said, figures=old)), by_name["nll"], 0.13) is None
    )


PAIR = (plot.Axis("cost", "s", False, False), plot.Axis("nll", "", False, True))
DOT = plot.Dot(2.0, 2.0, "◊", "offer", 5, [("e0001", "text")], across=(1.5, 2.5), up=(1.4, 2.6))
OTHERS = [plot.Dot(1.0, 1.0, "∙", "dim"), plot.Dot(3.0, 3.0, "∙", "dim")]


def test_an_interval_reaches_as_far_as_its_ends_say() -> None:
    rows = [line.text for line in plot.draw([DOT, *OTHERS], [], PAIR, 60, 24)]
    y = next(index for index, row in enumerate(rows) if "◊" in row)
    x = rows[y].index("◊")
    assert "───◊───" in rows[y]
    top = next(index for index, row in enumerate(rows) if row[x : x + 1] == "╷")
    bottom = next(index for index, row in enumerate(rows) if row[x : x + 1] == "╵")
    assert top < y < bottom
    assert all(rows[row][x] == "│" for row in range(top + 1, bottom) if row != y)


@given(st.floats(0.0, 4.0), st.floats(0.0, 4.0), st.integers(30, 90), st.integers(9, 30))
def test_an_interval_hides_no_point_and_no_name(x: float, y: float, width: int, height: int) -> None:
    other = plot.Dot(x, y, "✓", "good", 4, [("e0002", "text")])
    wide = replace(DOT, across=(-1e9, 1e9), up=(-1e9, 1e9))
    shown, plain = (
        "\n".join(line.text for line in plot.draw([dot, other, *OTHERS], [], PAIR, width, height))
        for dot in (wide, replace(wide, across=None, up=None))
    )
    for glyph in "◊✓":
        assert shown.count(glyph) == plain.count(glyph)
    for row in shown.splitlines():
        assert cell_len(row) <= width
        assert "─e" not in row or "e0" in row


def test_what_is_selected_is_named_at_the_edge_too() -> None:
    far = replace(DOT, x=9.0, y=1.0, selected=True, across=None, up=None)
    within = plot.Ranges((1.0, 3.0), (1.0, 3.0))
    rows = [line.text for line in plot.draw([far, *OTHERS], [], PAIR, 60, 14, within=within)]
    assert any("[►]" in row for row in rows) and any("e0001" in row for row in rows)


def test_an_interval_beyond_the_edge_has_no_end_there() -> None:
    wide = replace(DOT, up=(-1e9, 1e9))
    rows = "\n".join(line.text for line in plot.draw([wide, *OTHERS], [], PAIR, 60, 24)[:-2])
    assert "╷" not in rows and "╵" not in rows


# --- the room that there is -------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), max_size=20),
    st.integers(46, 220),
    st.integers(10, 70),
    st.integers(0, 28),
)
def test_no_line_is_wider_than_the_panel_and_what_is_selected_is_within(
    places: list[tuple[float, float]], width: int, height: int, selected: int
) -> None:
    study = with_more(every_kind(), places)
    lines = draw(study, width, height, selected)
    assert all(cell_len(one.text.rstrip()) <= width for one in lines)
    assert height < 14 or len(lines) <= height
    one = study.experiment(selected)
    if one is not None and one.measurements:
        assert any("[" in row.text and "]" in row.text for row in lines)


def test_one_absurd_run_does_not_squash_the_picture_and_lies_at_the_edge() -> None:
    study = with_more(every_kind(), [(0.13 + 0.001 * n, 4.0 + 0.1 * n) for n in range(10)])
    absurd = with_more(study, [(1e6, 3.5)])
    number = len(absurd.experiments) - 1
    lines, plain, chosen = draw(absurd, selected=-1), draw(study, selected=-1), draw(absurd, selected=number)

    def ticks(rows: Sequence[Line]) -> set[str]:
        return {row.text[:6] for row in rows[:18]} - {" 1.00M"}

    assert ticks(lines) == ticks(plain) >= ticks(chosen), "whatever is selected the axes stay as they are"
    assert "1 ▾ outside" in plain[17].text and "2 ▾ outside" in lines[17].text and "2 ▾ outside" in chosen[17].text
    assert len(cell(lines, "▾")) == len(cell(plain, "▾")) + 1
    assert any("[▾]" in one.text and one.text.startswith(" 1.00M┼") for one in chosen)


def test_a_picture_is_made_once_whatever_is_selected_searched_or_read() -> None:
    study, panel = every_kind(), Frontier()
    seen = panel.picture(View(study, 1, NOW))
    again = replace(study, experiments=(*study.experiments,), paused=not study.paused)
    for view in (
        View(study, 2, NOW),
        View(study, 1, NOW, choices=Choices(search="lr", reading=Reading(1, 2), sort="nll")),
        View(study, 1, NOW, choices=Choices(scales=(("nll", True),))),
        View(again, 3, NOW + 1),
    ):
        assert panel.picture(view) is seen
    assert panel.picture(View(study, 1, NOW, choices=Choices(axes=("nll", "accuracy")))) is not seen
    for other in (confirmed(study, 5), replace(study, incumbent=1), replace(study, frontier=type(study.frontier)())):
        seen = panel.picture(View(study, 1, NOW))
        assert panel.picture(View(other, 1, NOW)) is not seen


def test_what_is_drawn_is_the_same_whatever_was_drawn_before() -> None:
    panel, study = Frontier(), every_kind()
    for selected, choices in ((1, Choices()), (5, Choices()), (1, Choices(axes=("nll", "accuracy"))), (1, Choices())):
        view = View(study, selected, NOW, choices=choices)
        assert panel.draw(view, 70, 20) == Frontier().draw(view, 70, 20)
    changed = [
        confirmed(study, 5),  # another glyph, and a place on the line
        having(study, 0, measurements=measured(0.2, 2.9, 26_100)),  # against which the intervals of others are
        having(study, 5, state=State.REJECTED),
        replace(study, incumbent=1),
        with_more(study, [(0.1, 2.0)]),
    ]
    for other in [one for each in changed for one in (study, each)]:
        drawn = Frontier().draw(View(other, 1, NOW), 70, 20)
        assert panel.draw(View(other, 1, NOW), 70, 20) == drawn
    assert drawn != Frontier().draw(View(study, 1, NOW), 70, 20)


# --- walking ----------------------------------------------------------------------------------------------------------


def walked(study: Snapshot, selected: int, *steps: int) -> list[int | None]:
    panel = Frontier()
    panel.view = View(study, selected, NOW)
    found: list[int | None] = []
    for by in steps:
        found.append(panel.step(by, selected))
        selected = found[-1] if found[-1] is not None else selected
    return found


def test_j_and_k_go_along_the_line_from_the_left_and_stay_on_it() -> None:
    study = confirmed(every_kind(), 2)
    assert walked(study, 1, 1, 1, 1, -1, -1, -1) == [5, 2, 2, 5, 1, 1]


def test_from_what_is_not_on_the_line_they_start_at_the_nearest() -> None:
    study = confirmed(every_kind(), 2)
    assert walked(study, 0, 1) == [5] and walked(study, 4, 1) == [1] and walked(study, 3, -1) == [1]


# --- growth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "width", "height", "where"),
    [
        (Arrangement.WIDE, 56, 15, ""),
        (Arrangement.NARROW, 80, 20, ""),
        (Arrangement.NARROW, 80, 36, "below"),
        (Arrangement.NARROW, 120, 30, "beside"),
        (Arrangement.HUGE, 54, 30, "below"),
    ],
)
def test_the_hypervolume_is_drawn_where_there_is_room(shape: Arrangement, width: int, height: int, where: str) -> None:
    assert room_for_growth(shape, width, height) == where
    drawing = Frontier().draw(View(every_kind(), 1, NOW, shape, FOUND), width, height)
    assert any("hypervolume ▴" in one.text for one in drawing.body) is bool(where)
    assert len(drawing.body) <= height


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e4)), max_size=60),
    st.sampled_from([*growth.AGAINST]),
    st.integers(40, 120),
    st.integers(7, 30),
)
def test_growth_fills_its_room_whatever_the_values_are(
    steps: list[tuple[float, float]], against: str, width: int, height: int
) -> None:
    moments, spent = list[Progress](), 0.0
    for number, (volume, more) in enumerate(steps):
        spent += more
        moments.append(Progress(NOW + spent, number, volume, volume + 1, spent, spent))
    lines = growth.growth(moments, against, width, height)
    assert len(lines) == height and all(cell_len(one.text) <= width for one in lines)


def test_growth_rises_to_the_right_and_says_what_was_spent() -> None:
    rows = [one.text.rstrip() for one in growth.growth(MOMENTS, "tokens", 60, 12)]
    heights = [min(y for y, row in enumerate(rows[1:-2]) if len(row) > x and row[x] in "⠤⢸⠼") for x in range(8, 58)]
    assert heights == sorted(heights, reverse=True)
    assert rows[-2].endswith("tokens") and rows[-1].endswith("3.9k")
    assert growth.growth(MOMENTS, "time", 60, 12)[-1].text.endswith("39 min")
    assert "baseline is measured" in growth.growth([], "time", 60, 12)[1].text
    names = ["experiments"]
    for _ in growth.AGAINST:
        names.append(growth.after(names[-1]))
    assert names[0] == names[-1] and set(names) == set(growth.AGAINST)


def test_growth_begins_where_the_first_moment_is() -> None:
    late = [Progress(NOW + n, 10 + n, 1.0 + n, 1.0 + n, 0.0, 0.0) for n in range(11)]
    rows = [one.text for one in growth.growth(late, "experiments", 60, 12)][1:-2]
    columns = [x for x in range(7, 60) if any(row[x : x + 1].strip() for row in rows)]
    assert len(rows[0]) == 60 and min(columns) == pytest.approx(7 + 53 / 2, abs=1) and max(columns) == 59


@pytest.mark.parametrize("width", [44, 54, 62, 120])
def test_the_lines_of_the_growth_are_explained_however_narrow_it_is(width: int) -> None:
    head = growth.growth(MOMENTS, "time", width, 12)[0].text
    assert "hypervolume ▴" in head and "⠤⠤ confirmed" in head and "promising" in head and cell_len(head) <= width


@pytest.mark.parametrize("size", [1e-7, 1e-3, 1.0, 12_345.0, 1e9])
def test_a_value_beside_the_growth_is_never_cut(size: float) -> None:
    moments = [replace(one, hypervolume=size * one.hypervolume, optimistic=size * one.optimistic) for one in MOMENTS]
    rows = [one.text for one in growth.growth(moments, "time", 60, 12)]
    labels = [row[:6].strip() for row in rows if "┤" in row]
    assert len(labels) > 1 and len(set(labels)) == len(labels) and not any("…" in label for label in labels)


# --- wide characters --------------------------------------------------------------------------------------------------

WIDE = st.text("a中文é\u0301한", max_size=9)


@given(st.lists(st.tuples(st.integers(-2, 12), WIDE), max_size=6), st.integers(1, 12))
def test_a_canvas_is_as_wide_as_it_was_asked_to_be_whatever_is_written(
    written: list[tuple[int, str]], width: int
) -> None:
    canvas = Canvas(width, 1)
    for x, words in written:
        canvas.put(x, 0, words, "text")
        canvas.stroke(x, 0, "─", "rule")
    assert cell_len(line(*canvas.row(0)).text) == width


@given(WIDE, WIDE, st.integers(30, 60), st.integers(9, 20))
def test_no_line_of_a_plot_is_wider_than_asked_with_wide_labels_and_units(
    label: str, unit: str, width: int, height: int
) -> None:
    pair = plot.Axis(label, unit, False, False), plot.Axis(label, unit, False, True)
    dots = [replace(DOT, label=[(label, "text")]), *OTHERS]
    assert all(cell_len(one.text) <= width for one in plot.draw(dots, [], pair, width, height))


@pytest.mark.parametrize("size", [(80, 20), (62, 13), (120, 36)])
def test_a_click_on_a_point_is_on_what_is_drawn_there_and_one_beside_all_of_them_on_nothing(
    size: tuple[int, int],
) -> None:
    study = every_kind()
    seen = picture(study, Choices())
    assert seen is not None

    def drawn(number: int) -> tuple[int, int]:
        lines = [row.text for row in scatter(View(study, number, NOW), seen, *size)]
        return next((row.index("[") + 1, y) for y, row in enumerate(lines) if "[" in row)

    for number in seen.at:
        x, y = drawn(number)
        clicked = point_at(seen, {}, *size, x, y)
        assert clicked is not None and drawn(clicked) == (x, y)
        assert (clicked in seen.dots) >= (number in seen.dots), "the one that is seen of those in a cell"
    assert point_at(seen, {}, *size, 0, 0) is None


@pytest.mark.parametrize(("evidence", "glyph"), [(Evidence.SCREENED, "∙"), (Evidence.PROMISING, "▵")])
def test_what_the_list_calls_promising_is_so_in_the_plot_whatever_it_has_shown(evidence: Evidence, glyph: str) -> None:
    study = every_kind()
    one = next(each for each in study.experiments if each.verdict and each.verdict.word is Word.INCONCLUSIVE)
    assert one.verdict is not None
    stands = replace(one, verdict=replace(one.verdict, evidence=evidence))
    study = replace(study, experiments=tuple(stands if each is one else each for each in study.experiments))
    seen = picture(study, Choices())
    assert seen is not None and seen.dot(one.number).glyph == glyph
