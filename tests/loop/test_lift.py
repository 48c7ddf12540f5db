"""What a confirmed experiment has gained, and what a proposer's device-hours bought against the numeric floor's."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.judge.gains import Additions
from loop.judge.lift import FLOOR, Side, Tally
from loop.propose.prepare import OPTIMISER
from store.records import PERSON
from store.yields import LEAST, Kind, Lift

FLOOR_POINT = (-0.1, -0.1)
rows = st.tuples(st.floats(-0.05, 0.9), st.floats(-0.05, 0.9))
confirmed = st.lists(st.tuples(st.integers(1, 8), st.none() | rows), unique_by=lambda one: one[0], max_size=6)


def whole(points: Sequence[tuple[int, tuple[float, ...] | None]]) -> float:
    """The hypervolume of these and the baseline."""
    import moocore
    import numpy as np

    those = np.array([(0.0, 0.0), *(row for _, row in points if row is not None)])
    return float(moocore.hypervolume(those, ref=np.array(FLOOR_POINT), maximise=True)) / 0.01


@settings(deadline=None)
@given(confirmed)
def test_gains_add_up_to_the_hypervolume_over_the_baselines(points: list[tuple[int, tuple[float, ...] | None]]) -> None:
    gains = Additions().of(FLOOR_POINT, [(0.0, 0.0)], points)
    assert sum(gain for _, gain in gains) == pytest.approx(whole(points) - 1, abs=1e-9)
    assert all(gain >= 0 for _, gain in gains)
    assert [number for number, _ in gains] == sorted(number for number, _ in points)


@settings(deadline=None)
@given(st.lists(confirmed, max_size=5))
def test_gains_that_follow_what_happens_are_those_from_scratch(
    history: list[list[tuple[int, tuple[float, ...] | None]]],
) -> None:
    follows = Additions()
    for points in history:
        assert follows.of(FLOOR_POINT, [(0.0, 0.0)], points) == Additions().of(FLOOR_POINT, [(0.0, 0.0)], points)


def test_of_two_that_found_the_same_the_first_has_found_it_until_that_is_taken_back() -> None:
    follows, same = Additions(), (0.2, 0.0)
    assert dict(follows.of(FLOOR_POINT, [(0.0, 0.0)], [(7, same), (3, same)])) == {3: 0.0, 7: pytest.approx(2.0)}
    assert dict(follows.of(FLOOR_POINT, [(0.0, 0.0)], [(3, same)])) == {3: pytest.approx(2.0)}


acts = st.tuples(
    st.integers(1, 6),
    st.sampled_from([FLOOR, "model"]),
    st.just(0.0) | st.floats(0.1, 50),
    st.floats(0.01, 2) | st.none(),
)


@settings(deadline=None)
@given(st.lists(acts, max_size=12))
def test_a_bootstrap_that_follows_what_happens_is_the_one_from_scratch(
    history: list[tuple[int, str, float, float | None]],
) -> None:
    follows, now, gains = Tally(3), dict[int, tuple[str, float]](), dict[int, float]()
    for number, proposer, seconds, gain in history:
        proposer = now.get(number, (proposer, 0.0))[0]
        now[number] = (proposer, seconds)
        gains.pop(number, None)
        if gain is not None:
            gains[number] = gain
        follows.ran(number, proposer, seconds)
        follows.gained(gains.items())
    scratch = Tally(3)
    scratch.gained(gains.items())
    for number, (proposer, seconds) in now.items():
        scratch.ran(number, proposer, seconds)
    for name, side in scratch.sides.items():
        other = follows.sides[name]
        assert (side.experiments, side.gaining) == (other.experiments, other.gaining)
        assert side.hourly == pytest.approx(other.hourly)
        assert side.replicates == pytest.approx(other.replicates)


def tally(own: int, floor: int, gains: Sequence[int], seed: int = 0) -> Lift:
    """The lift of a model with so many experiments, of the odd numbers; the floor has the even ones."""
    counted = Tally(seed)
    for number in range(1, own + 1):
        counted.ran(2 * number - 1, "model", 30.0)
    for number in range(1, floor + 1):
        counted.ran(2 * number, OPTIMISER, 30.0)
    counted.gained((number, 0.1) for number in gains)
    return counted.lifts()["model"]


@pytest.mark.parametrize(("own", "floor"), [(LEAST - 1, LEAST), (LEAST, LEAST - 1), (LEAST, LEAST)])
def test_a_lift_is_shown_from_twenty_experiments_a_side(own: int, floor: int) -> None:
    said = tally(own, floor, [1, 2, 3])
    assert LEAST == 20
    assert (said.experiments, said.floor_experiments, said.floor) == (own, floor, OPTIMISER)
    assert (said.kind is Kind.TOO_FEW) == (own < LEAST or floor < LEAST) == (said.value is None)


def test_a_lift_is_the_ratio_of_the_yields_with_an_interval_around_it() -> None:
    said = tally(40, 40, [*range(1, 41, 2), *range(2, 21, 2)])
    assert said.kind is Kind.RATIO
    assert said.value == pytest.approx(2.0)
    assert said.low is not None and said.high is not None
    assert 0.5 < said.low < 1.5 and 3 < said.high < 8


def test_a_floor_of_few_gains_leaves_the_ratio_without_an_upper_end() -> None:
    said = tally(20, 20, [1, 3, 5, 2])
    assert (said.kind, said.high) == (Kind.RATIO, None)
    assert said.value == pytest.approx(3.0)


def test_against_a_floor_of_nothing_it_is_a_difference_that_reckons_with_what_the_floor_may_have_missed() -> None:
    said = tally(20, 20, [1, 3])
    assert said.kind is Kind.DIFFERENCE
    assert said.value == pytest.approx(2 * 0.1 / (20 * 30) * 3600)
    assert said.low is not None and said.value is not None and said.high is not None
    assert said.low < 0 < said.value < said.high


def test_of_a_proposer_without_a_gain_nothing_is_certain_but_that_it_has_none() -> None:
    said = tally(20, 20, range(2, 22, 2))
    assert (said.kind, said.value, said.low) == (Kind.RATIO, 0.0, 0.0)
    assert said.high is not None and 0 < said.high < 1
    assert tally(20, 20, []).kind is Kind.NOTHING


def test_who_gained_nothing_may_have_missed_as_many_as_leave_one_chance_in_forty() -> None:
    found, none = tally(20, 20, [1, 3]), tally(20, 20, range(2, 22, 2))
    side = Side(experiments=20, seconds=600.0)
    assert side.most(0.1) == pytest.approx(math.log(40) * 0.1 / 600 * 3600)
    assert found.low is not None and found.low >= -side.most(0.1)
    assert none.high is not None and none.high > side.most(0.1) / (10 * 0.1 / 600 * 3600)


def test_a_person_who_merges_what_others_have_found_has_no_lift() -> None:
    counted = Tally(0)
    counted.ran(1, PERSON, 30.0)
    counted.ran(2, "model", 30.0)
    assert counted.lifts().keys() == {"model"}


def test_the_interval_follows_from_the_studys_seed() -> None:
    assert tally(30, 30, range(1, 9), seed=1) == tally(30, 30, range(1, 9), seed=1)
    assert tally(30, 30, range(1, 9), seed=1) != tally(30, 30, range(1, 9), seed=2)


def test_the_floor_is_who_proposes_without_a_model() -> None:
    assert FLOOR == OPTIMISER
