"""The frontier: its laws, its reference, and that a difference which does not matter is none."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.judge import frontier as judge_frontier
from loop.judge.axis import FINEST, Axis, axis, references
from loop.judge.frontier import Sure, Table, effects
from loop.judge.noise import Pool, student
from loop.study import Effect, Objective
from store.records import Frontier

LOSS = axis("loss", Objective(direction="minimize", smallest=Effect(size=0.01, relative=True)), 2.0)
SECONDS = axis("train_seconds", Objective(direction="minimize"), 10.0)
ACCURACY = axis("accuracy", Objective(direction="maximize"), 0.8)
AXES = [LOSS, SECONDS]
Values = dict[int, dict[str, float]]


def frontier(axes: list[Axis], measured: Values) -> Frontier:
    """The frontier of experiments that have one run each, all of them confirmed."""
    table = Table(len(axes))
    for number, values in measured.items():
        table.put(number, [[axis.gain(values[axis.name])] for axis in axes])
    return judge_frontier.frontier(axes, table, (), Sure(measured))


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


def test_of_equal_ones_the_surest_stays_then_the_smallest_change_then_the_oldest() -> None:
    table = Table(1)
    for number, lines in enumerate([0, 9, None, 4, 4, 1]):
        table.put(number, [[0.02 if number else 0.0]], lines)
    for sure, stays in (
        (Sure(), 2),  # nobody counted its lines: it is of an older record
        (Sure(promising=[3, 4, 5]), 5),
        (Sure(promising=[3, 4]), 3),
        (Sure(confirmed=[1], promising=[3, 4]), 1),
        (Sure(promising=[1, 4]), 4),
        (Sure(promising=[1]), 1),
    ):
        assert numbers(judge_frontier.frontier([LOSS], table, (), sure)) == [stays], sure


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


def test_nothing_is_on_the_frontier_of_nothing() -> None:
    assert frontier(AXES, {}) == Frontier()


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


def cut(rows: list[dict[str, float]]) -> list[list[float]]:
    """In whole smallest effects."""
    found: list[list[float]] = effects(
        AXES, np.array([[one.gain(row[one.name]) for one in AXES] for row in rows])
    ).tolist()
    return found


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
    boxes = {tuple(own): row for own, row in zip(cut(rows), rows, strict=True)}
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
    boxes = cut(rows)
    for number, own in enumerate(boxes):
        assert number in on or any(all(a >= b for a, b in zip(boxes[other], own, strict=True)) for other in on)


# --- how sure it is --------------------------------------------------------------------------------------------------

BYTES = axis("weights", Objective(direction="minimize", deterministic=True), 1000.0)
NOISE = Pool(0.01**2, 1e6, 1e6)  # known as well as can be
Rows = dict[int, list[list[float]]]  # gains, of an objective each


def drawn_of(axes: list[Axis], rows: Rows, *pools: Pool, sure: Sure | None = None) -> Frontier:
    table = Table(len(axes))
    for number, gains in rows.items():
        table.put(number, gains)
    return judge_frontier.frontier(axes, table, pools, sure)


def probability(drawn: Frontier, number: int) -> float | None:
    return next(point.probability for point in drawn.points if point.experiment == number)


@pytest.mark.parametrize("gain", [0.012, 0.02, 0.03])
def test_of_two_experiments_the_probability_is_that_of_the_difference(gain: float) -> None:
    """One smallest effect is what it has to be better by, from the middle of the baseline's box."""
    fine = axis("loss", Objective(direction="minimize", smallest=Effect(size=1e-6, relative=True)), 2.0)
    drawn = drawn_of([fine], {0: [[0.0] * 4], 1: [[gain] * 2]}, NOISE)
    expected = student(gain / (0.01 * math.sqrt(1 / 4 + 1 / 2)), 1e6)
    assert probability(drawn, 1) == pytest.approx(expected, abs=0.06)


def test_the_luckiest_of_many_single_runs_is_hardly_on_the_frontier_in_truth() -> None:
    draw, fine = Random(0), axis("loss", Objective(direction="minimize", smallest=Effect(size=0.005, relative=True)), 2)
    rows: Rows = {number: [[draw.gauss(0, 0.01)]] for number in range(1, 60)}
    drawn = drawn_of([fine], {0: [[0.0] * 3], **rows}, NOISE)
    best = max(rows, key=lambda number: rows[number][0][0])
    assert numbers(drawn) == [best]
    lucky = probability(drawn, best)
    assert lucky is not None
    assert lucky < 0.5
    real = drawn_of([fine], {0: [[0.0] * 3], **rows, 60: [[0.08] * 6]}, NOISE)
    assert probability(real, 60) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("weights", [0.0, -0.004])
def test_a_rival_that_is_worse_by_less_than_matters_is_one(weights: float) -> None:
    """One smallest effect of the weights is 1 %."""
    rows: Rows = {0: [[-0.2] * 3, [0.0]], 1: [[0.05], [0.0]], 2: [[0.0501], [weights]]}
    drawn = drawn_of([LOSS, BYTES], rows, NOISE, NOISE)
    (first, *_) = [one.probability for one in drawn.points if one.experiment in (1, 2)]
    assert first is not None
    assert first < 0.8


def test_what_has_no_noise_is_where_it_is() -> None:
    drawn = drawn_of([BYTES], {0: [[0.0]], 1: [[0.5]]}, Pool(0.0, 0.0, 0.0))
    assert [(point.experiment, point.probability) for point in drawn.points] == [(1, 1.0)]


def test_before_the_noise_is_known_no_probability_is_said() -> None:
    drawn = drawn_of([LOSS], {0: [[0.0]], 1: [[0.5]]}, Pool(0.0, 0.0, 0.0))
    assert probability(drawn, 1) is None


def test_the_same_runs_have_the_same_probability() -> None:
    rows: Rows = {number: [[0.01 * number]] for number in range(5)}
    assert drawn_of([LOSS], rows, NOISE) == drawn_of([LOSS], rows, NOISE)


def test_the_hypervolume_is_of_what_is_confirmed_and_beside_it_of_what_is_promising() -> None:
    rows: Rows = {0: [[0.0]], 1: [[0.05]], 2: [[0.1]], 3: [[0.2]]}
    found = drawn_of([LOSS], rows, NOISE, sure=Sure({1}, {2}))
    assert (found.hypervolume, found.optimistic) == pytest.approx((1.5, 2.0))
    nothing = drawn_of([LOSS], rows, NOISE)
    assert (nothing.hypervolume, nothing.optimistic) == pytest.approx((1.0, 1.0)), "a single run is no gain"


def test_the_hypervolume_is_no_less_than_the_baselines_whatever_its_later_runs_come_to() -> None:
    later: Rows = {0: [[0.0, 0.0, 0.0, -0.08, -0.08]], 1: [[0.05]]}
    assert drawn_of([LOSS], later, NOISE).hypervolume == pytest.approx(1.0)
    assert drawn_of([LOSS], later, NOISE, sure=Sure({1})).hypervolume == pytest.approx(1.5)
    assert drawn_of([LOSS], {1: [[0.05]]}, NOISE).hypervolume == 0.0, "the baseline is infeasible"


def test_the_balanced_pick_is_none_that_a_single_run_has_put_there_if_there_is_another() -> None:
    rows: Rows = {0: [[0.0], [0.0]], 1: [[0.9], [0.0]], 2: [[0.1], [0.2]]}
    axes, pools = [LOSS, BYTES], (NOISE, NOISE)
    assert [p.experiment for p in drawn_of(axes, rows, *pools, sure=Sure((), {2})).points if p.balanced] == [2]
    assert [p.experiment for p in drawn_of(axes, rows, *pools).points if p.balanced] == [1], "there is no other"


def test_at_rates_the_balanced_pick_is_what_is_worth_most_whatever_its_box() -> None:
    axes = [replace(LOSS, worth=0.01), replace(BYTES, worth=0.5)]  # 1 % of the loss is worth a factor of 1.6
    rows: Rows = {0: [[0.0], [0.0]], 1: [[0.02], [0.1]], 2: [[-0.05], [0.9]]}
    found = {
        one: next(point.experiment for point in drawn_of(kind, rows, NOISE, NOISE).points if point.balanced)
        for one, kind in (("box", [LOSS, BYTES]), ("worth", axes))
    }
    assert found == {"box": 2, "worth": 1}


@settings(deadline=None)  # the first time it imports optuna
@given(st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)), min_size=1, max_size=10))
def test_fronts_and_hypervolumes_are_those_of_optuna(points: list[tuple[float, float]]) -> None:
    from optuna._hypervolume import compute_hypervolume  # its public front holds whole studies alone

    fine = [axis(name, Objective(direction="minimize", smallest=Effect(size=0.0, relative=True)), 2.0) for name in "ab"]
    rows: Rows = {0: [[0.0], [0.0]], **{n: [[x], [y]] for n, (x, y) in enumerate(points, 1)}}
    drawn = drawn_of(fine, rows, NOISE, NOISE, sure=Sure(range(1, len(rows))))
    losses = np.array([[-gain[0] for gain in row] for row in rows.values()])
    reference = np.array([-one.floor for one in fine])
    within = losses[(losses <= reference).all(axis=1)]
    expected = compute_hypervolume(within, reference) / float(np.prod(reference))
    assert drawn.hypervolume == pytest.approx(expected)
    boxes = np.trunc(losses / FINEST)
    for number, own in enumerate(boxes):
        beaten = ((boxes <= own).all(axis=1) & (boxes < own).any(axis=1)).any()
        twin = (boxes[:number] == own).all(axis=1).any()
        assert (number in numbers(drawn)) == (not beaten and not twin)


def test_an_analytic_front_has_its_analytic_hypervolume() -> None:
    """Points on a straight line between two corners: a staircase whose area is known."""
    fine = [axis(name, Objective(direction="minimize", smallest=Effect(size=0.0, relative=True)), 2.0) for name in "ab"]
    steps = 10
    front: Rows = {number + 1: [[number / steps], [1 - number / steps]] for number in range(steps + 1)}
    drawn = drawn_of(fine, {0: [[0.0], [0.0]], **front}, NOISE, NOISE, sure=Sure(front))
    assert numbers(drawn) == list(front)
    floor = 0.1
    area = sum((1 / steps if n else floor) * (1 - n / steps + floor) for n in range(steps + 1))
    assert drawn.hypervolume == pytest.approx(area / floor**2)
