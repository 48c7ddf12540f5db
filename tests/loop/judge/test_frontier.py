"""The frontier: its laws, its reference, and that a difference which does not matter is none."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judge.axis import Axis, axis, references
from loop.judge.frontier import frontier
from loop.study import Effect, Objective
from store.records import Frontier

LOSS = axis("loss", Objective(direction="minimize", smallest=Effect(size=0.01, relative=True)), 2.0)
SECONDS = axis("train_seconds", Objective(direction="minimize"), 10.0)
ACCURACY = axis("accuracy", Objective(direction="maximize"), 0.8)
AXES = [LOSS, SECONDS]
Values = dict[int, dict[str, float]]


def numbers(drawn: Frontier) -> list[int]:
    return [point.experiment for point in drawn.points]


def test_the_baseline_alone_is_the_frontier_and_its_hypervolume_is_one() -> None:
    drawn = frontier(AXES, {0: {"loss": 2.0, "train_seconds": 10.0}})
    assert [(point.experiment, point.balanced) for point in drawn.points] == [(0, True)]
    assert drawn.hypervolume == pytest.approx(1)


def test_the_reference_is_the_baseline_made_ten_percent_worse() -> None:
    assert [one.value for one in references([LOSS, SECONDS, ACCURACY], 1)] == pytest.approx([2.2, 11.0, 0.72])
    assert axis("loss", Objective(direction="minimize"), -2.0).reference == pytest.approx(-1.8)
    assert axis("loss", Objective(direction="minimize"), 0.0).reference == pytest.approx(0.1)


def test_a_cost_is_compared_by_ratio_and_a_quality_by_difference() -> None:
    assert SECONDS.gain(5.0) == pytest.approx(math.log(2)) == pytest.approx(-SECONDS.gain(20.0))
    assert LOSS.gain(1.0) == pytest.approx(0.5) == pytest.approx(-LOSS.gain(3.0))
    assert ACCURACY.gain(0.88) == pytest.approx(0.1)


def test_a_difference_that_does_not_matter_leaves_the_older_one() -> None:
    measured: Values = {
        0: {"loss": 2.0, "train_seconds": 10.0},
        1: {"loss": 1.995, "train_seconds": 9.9},  # a quarter of a percent, and one percent
        2: {"loss": 1.9, "train_seconds": 10.3},  # five percent better, at no price that matters
    }
    assert numbers(frontier(AXES, measured)) == [2]
    assert numbers(frontier(AXES, {number: measured[number] for number in (0, 1)})) == [0]


def test_the_balanced_pick_is_the_largest_box_and_not_the_most_extreme() -> None:
    measured: Values = {
        0: {"loss": 2.0, "train_seconds": 10.0},
        1: {"loss": 1.5, "train_seconds": 5.0},
        2: {"loss": 0.9, "train_seconds": 11.5},  # beyond the reference: no box at all
        3: {"loss": 2.19, "train_seconds": 1.0},
    }
    drawn = frontier(AXES, measured)
    assert numbers(drawn) == [1, 2, 3]
    assert [point.experiment for point in drawn.points if point.balanced] == [1]


def test_what_lacks_an_objective_is_left_out() -> None:
    assert frontier(AXES, {0: {"loss": 2.0}}) == Frontier((), 0.0)


@pytest.mark.parametrize("base", [0.0, -3.0, 1e-12, 1e12])
@pytest.mark.parametrize("name", ["loss", "seconds"])
def test_any_baseline_has_a_frontier(name: str, base: float) -> None:
    for size in (0.0, 0.01):
        one = axis(name, Objective(direction="minimize", smallest=Effect(size=size, relative=True)), base)
        drawn = frontier([one], {0: {name: base}, 1: {name: base - abs(base) / 2}, 2: {name: base + 1}})
        assert drawn.hypervolume >= 1 - 1e-9
        assert len(drawn.points) == 1


@given(
    st.sampled_from(["loss", "seconds"]), st.sampled_from(["minimize", "maximize"]), st.sampled_from([0.0, 0.01]),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6),
)  # fmt: skip
def test_no_finite_value_is_too_much(name: str, direction: str, size: float, values: list[float]) -> None:
    objective = Objective.model_validate({"direction": direction, "smallest": size})
    drawn = frontier([axis(name, objective, values[0])], {number: {name: value} for number, value in enumerate(values)})
    assert len(drawn.points) == 1
    assert math.isfinite(drawn.hypervolume)


value = st.floats(0.5, 40, allow_nan=False)
points = st.lists(st.fixed_dictionaries({"loss": value, "train_seconds": value}), min_size=1, max_size=12)


def volume(axes: list[Axis], rows: list[dict[str, float]]) -> float:
    return frontier(axes, dict(enumerate(rows))).hypervolume


@given(points, value, value)
def test_a_dominated_point_changes_nothing(rows: list[dict[str, float]], more: float, slower: float) -> None:
    worse = {"loss": rows[0]["loss"] + more, "train_seconds": rows[0]["train_seconds"] + slower}
    before, after = frontier(AXES, dict(enumerate(rows))), frontier(AXES, dict(enumerate([*rows, worse])))
    assert numbers(after) == numbers(before)
    assert after.hypervolume == pytest.approx(before.hypervolume)


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_what_is_not_equal_does_not_matter(rows: list[dict[str, float]], random: Random) -> None:
    boxes = {tuple(one.effects(row[one.name]) for one in AXES): row for row in rows}
    rows = list(boxes.values())
    drawn = frontier(AXES, dict(enumerate(rows)))
    shuffled = random.sample(range(len(rows)), len(rows))
    again = frontier(AXES, dict(enumerate(rows[index] for index in shuffled)))
    assert {shuffled[number] for number in numbers(again)} == set(numbers(drawn))
    assert again.hypervolume == pytest.approx(drawn.hypervolume)


@given(points, st.floats(0.01, 100))
def test_the_unit_of_a_cost_does_not_matter(rows: list[dict[str, float]], factor: float) -> None:
    scaled = [{**row, "train_seconds": row["train_seconds"] * factor} for row in rows]
    other = [LOSS, axis("train_seconds", Objective(direction="minimize"), 10.0 * factor)]
    assert volume(other, scaled) == pytest.approx(volume(AXES, rows), abs=1e-9)


@given(points)
def test_every_experiment_is_on_the_frontier_or_beaten_by_one_that_is(rows: list[dict[str, float]]) -> None:
    on = set(numbers(frontier(AXES, dict(enumerate(rows)))))
    effects = [[one.effects(row[one.name]) for one in AXES] for row in rows]
    for number, own in enumerate(effects):
        assert number in on or any(all(a >= b for a, b in zip(effects[other], own, strict=True)) for other in on)
