"""The noise: Student's t against tables, and that a variance from a few runs is moderated by what all runs say."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.judge.noise import (
    PRIOR_DF,
    Pool,
    agree,
    difference,
    moderated,
    pool,
    quantile,
    student,
)

NOTHING = Pool(0.0, 0.0, 0.0)
UNIT = Pool(1.0, 40.0, 4.0)


@pytest.mark.parametrize(
    ("t", "df", "below"),
    [  # Abramowitz and Stegun, table 26.10
        (6.314, 1, 0.95),
        (2.920, 2, 0.95),
        (4.541, 3, 0.99),
        (2.132, 4, 0.95),
        (3.747, 4, 0.99),
        (2.228, 10, 0.975),
        (2.750, 30, 0.995),
        (1.645, 1e6, 0.95),
        (0.0, 3, 0.5),
    ],
)
def test_students_t_is_that_of_the_tables(t: float, df: float, below: float) -> None:
    assert student(t, df) == pytest.approx(below, abs=2e-4)
    assert student(-t, df) == pytest.approx(1 - below, abs=2e-4)


@given(st.floats(-1e6, 1e6), st.floats(0.1, 1e5))
def test_students_t_is_a_probability_and_even(t: float, df: float) -> None:
    assert 0 <= student(t, df) <= 1
    assert student(t, df) + student(-t, df) == pytest.approx(1)


@pytest.mark.parametrize(("df", "t"), [(2, 4.3027), (10, 2.2281), (1e6, 1.9600), (1e9, 1.9600), (math.inf, 1.9600)])
def test_the_quantiles_of_students_t_are_those_of_the_tables(df: float, t: float) -> None:
    assert quantile(0.975, df) == pytest.approx(t, abs=5e-5)
    assert quantile(0.025, df) == pytest.approx(-t, abs=5e-5)


@settings(deadline=None)
@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.1, 100) | st.floats(100, 1e12))
def test_a_quantile_is_where_students_t_has_come_to_it(p: float, df: float) -> None:
    assert student(quantile(p, df), df) == pytest.approx(p, abs=1e-6)
    assert quantile(p, df) == pytest.approx(-quantile(1 - p, df), rel=1e-6, abs=1e-9)


def test_what_is_far_beyond_any_number_still_has_a_quantile() -> None:
    assert math.isfinite(quantile(1 - 1e-12, 0.1))
    assert math.isfinite(quantile(0.9, 1e-8))


def test_what_is_certain_or_impossible_has_its_quantile_at_the_ends() -> None:
    assert (quantile(1.0, 5), quantile(1.5, 5)) == (math.inf, math.inf)
    assert (quantile(0.0, 5), quantile(-0.5, 5)) == (-math.inf, -math.inf)
    assert quantile(1 - 1e-20, 5) == math.inf, "a float cannot say it"


@pytest.mark.parametrize(("p", "df"), [(math.nan, 5), (0.9, math.nan), (0.9, 0.0), (0.9, -1.0)])
def test_what_is_no_number_has_no_quantile(p: float, df: float) -> None:
    assert math.isnan(quantile(p, df))


def test_the_pool_counts_for_no_more_than_it_knows() -> None:
    assert pool([[1.0], [2.0]]) == NOTHING
    assert pool([[1.0, 2.0, 3.0], [9.0]]) == Pool(1.0, 2.0, 2.0)
    assert pool([[1.0, 2.0, 3.0]] * 5) == Pool(1.0, 10.0, PRIOR_DF)


def test_one_experiment_that_explodes_does_not_blind_the_judge_to_all_others() -> None:
    calm = [[1.0, 1.1], [2.0, 2.1], [3.0, 3.1]]
    assert pool([*calm, [1.0, 1e9]]).variance < 5 * pool(calm).variance
    baseline = [1.0, 1.1, 1.2]
    assert pool([baseline, [1.0, 1e9], [1.0, 1e9]]).variance < 10 * pool([baseline]).variance


def test_a_single_run_has_the_variance_of_the_pool() -> None:
    assert moderated(0.0, 0, UNIT) == (1.0, 4.0)
    assert moderated(8.0, 4, UNIT) == (1.5, 8.0)


def test_the_paired_difference_is_taken_where_it_is_the_surer_one() -> None:
    candidate, incumbent = {1: 5.1, 2: 9.1}, {1: 5.0, 2: 9.0, 3: 7.0}
    loose, tight = Pool(4.0, 10.0, 4.0), Pool(0.01, 10.0, 4.0)
    paired = difference(candidate, incumbent, loose, tight)
    assert paired is not None
    assert paired.paired
    assert paired.mean == pytest.approx(0.1)
    unpaired = difference(candidate, incumbent, tight, loose)
    assert unpaired is not None
    assert not unpaired.paired
    assert unpaired.mean == pytest.approx(0.1)
    assert difference(candidate, incumbent, NOTHING, NOTHING) is not None, "they have noise of their own"
    few = difference(candidate, incumbent, loose, Pool(0.01, 3.0, 3.0))
    assert few is not None
    assert not few.paired, "three degrees of freedom may be tight by luck"
    assert difference({1: 5.0}, {1: 4.0}, NOTHING, NOTHING) is None


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=4), st.lists(st.floats(-5, 5), min_size=2, max_size=4))
def test_what_is_better_one_way_round_is_worse_the_other(one: list[float], two: list[float]) -> None:
    a, b = dict(enumerate(one)), dict(enumerate(two))
    there, back = difference(a, b, UNIT, UNIT), difference(b, a, UNIT, UNIT)
    assert there is not None
    assert back is not None
    assert there.above(0) + back.above(0) == pytest.approx(1)
    assert there.above(0.5) <= there.above(-0.5)


def test_what_differs_by_rounding_alone_agrees() -> None:
    assert agree([0.1 + 0.2, 0.3]) and agree([1.0]) and agree([0.0, 0.0]) and agree([1e15, 1e15 + 0.125])
    assert not agree([0.3, 0.3000001]) and not agree([0.0, 1e-300])
