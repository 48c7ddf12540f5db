"""Curves: series become dots, whatever their values are."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from cockpit.curves import FRAME, LEAST_ROWS, Drawn, braille, chart, dots, thinned, upright
from cockpit.scale import Scale

VALUES = st.floats(-1e150, 1e150)


@example([5e-324, 1.0], 60, 10, 0.0)
@example([1e-150, 1e150], 60, 10, 1e15)
@example([0.0, 0.0], 24, 6, 0.0)
@example([-1e150, 1e150], 24, 6, 3.0)
@given(st.lists(VALUES, min_size=1, max_size=40), st.integers(24, 160), st.integers(6, 30), st.floats(0, 1e15))
def test_a_chart_fills_its_room_whatever_the_values_are(
    values: list[float], width: int, height: int, reach: float
) -> None:
    points = list(enumerate(values))
    lines = chart(
        [("loss", "bold")], [], [Drawn(points, "sky"), Drawn(points[:1], "dim")], "step 9", reach, width, height
    )
    assert len(lines) == height
    assert all(cell_len(line.text.rstrip()) <= width for line in lines)
    assert any(0x2800 < ord(character) < 0x2900 for line in lines for character in line.text)


def test_a_larger_value_stands_higher_and_a_later_one_further_right() -> None:
    rows = [line.text for line in chart([], [], [Drawn([(0, 0.0), (10, 1.0)], "sky")], "step 10", 10, 40, 9)]
    left, right = rows[8 - FRAME + 1], rows[1]
    assert left.rstrip()[-1] != "│" and right[-1] != " "
    assert rows[0].strip() == "" and rows[-1].split() == ["0", "step", "10"]


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 3)), max_size=30))
def test_every_dot_has_a_cell_of_its_own_within_the_chart(rows: int, places: list[tuple[int, int]]) -> None:
    found = {(x, min(y, rows * 4 - 1)) for x, y in places}
    cells = braille(found, rows)
    assert sum(bits.bit_count() for bits in cells.values()) == len(found)
    assert all(0 <= row < rows and 0 < bits < 256 for (_, row), bits in cells.items())


def test_between_two_points_no_dot_is_missing() -> None:
    across, up = (Scale(0, high, False, cells, 0, cells - 1, ()) for high, cells in ((10, 21), (1, 40)))
    found = dots([(0, 0.0), (10, 1.0), (10, 0.0)], across, up)
    assert {x for x, _ in found} == set(range(21)) and {y for _, y in found} == set(range(40))


@pytest.mark.parametrize(
    ("values", "log"), [([2.3, 0.05], True), ([2.3, 0.5], False), ([0.9, 0.98], False), ([1.0, -1.0], False)]
)
def test_what_falls_by_much_is_drawn_on_a_logarithmic_scale_and_said_to_be(values: list[float], log: bool) -> None:
    assert upright(values, 10).log is log
    title = chart([("loss", "")], [], [Drawn(list(enumerate(values)), "sky")], "step 1", 1, 60, FRAME + LEAST_ROWS)[0]
    assert ("log" in title.text) is log


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=300), st.integers(2, 60), st.integers(4, 60))
def test_a_curve_that_is_thinned_has_the_same_dots_and_few_points(values: list[float], width: int, height: int) -> None:
    points = [(float(x), y) for x, y in enumerate(values)]
    across = Scale(0, max(1, len(points) - 1), False, width, 0, width - 1, ())
    up = upright(values, height)
    few = thinned(points, across)
    assert dots(few, across, up) == dots(points, across, up)
    assert len(few) <= 4 * width and set(few) <= set(points)


def test_of_curves_that_meet_the_last_is_seen() -> None:
    points = [(float(x), math.sin(x)) for x in range(9)]
    rows = chart([], [], [Drawn(points, "dim"), Drawn(points, "bold sky")], "step 8", 8, 40, 9)
    styles = {style for line in rows[1:7] for text, style in line.pieces if any(ord(one) > 0x2800 for one in text)}
    assert styles == {"bold sky"}


@pytest.mark.parametrize(
    ("first", "shown"), [(1.0, "1"), (0.25, "0.25"), (12_345.0, "12345"), (1_234_567.0, "1234567"), (-3.0, "−3")]
)
def test_the_first_step_is_said_in_full(first: float, shown: str) -> None:
    points = [(first, 1.0), (first + 10, 2.0)]
    assert chart([], [], [Drawn(points, "sky")], "step 9", 0, 60, 9)[-1].text.split()[0] == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([10_000.0, 30_000.0], ["30k", "25k", "20k", "15k", "10k"]),
        ([1e-4, 3e-4], [".00030", ".00025", ".00020", ".00015", ".00010"]),
        ([-0.0025, -0.0015], ["−.0016", "−.0018", "−.0020", "−.0022", "−.0024"]),
        ([12_345.1, 12_346.1], ["12346"]),
    ],
)
def test_no_two_ticks_of_a_curve_say_the_same_and_none_is_cut(values: list[float], shown: list[str]) -> None:
    rows = chart([], [], [Drawn(list(enumerate(values)), "sky")], "step 9", 0, 60, 16)
    assert [row.text[:6].strip() for row in rows if "┤" in row.text] == shown
