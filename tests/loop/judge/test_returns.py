"""The chance of a confirmed gain in the next experiments."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judge.returns import chance

places = st.lists(st.integers(1, 200), max_size=10, unique=True)


@given(places, st.integers(1, 300), st.integers(1, 100))
def test_it_is_a_probability_that_grows_with_what_is_tried(found: list[int], screened: int, more: int) -> None:
    found = [place for place in found if place <= screened]
    one, two = chance(found, screened, more), chance(found, screened, more + 1)
    assert 0 < one <= two <= 1


@given(st.integers(20, 1000), st.integers(1, 20))
def test_where_nothing_is_found_it_falls_with_the_length_of_the_study(screened: int, more: int) -> None:
    assert chance([], screened + 1, more) < chance([], screened, more)


def test_gains_that_become_rarer_promise_less_than_as_many_that_come_evenly() -> None:
    assert chance([2, 4, 7, 11], 100, 10) < chance([20, 45, 70, 95], 100, 10)


def test_nothing_is_said_of_nothing() -> None:
    assert chance([], 0, 10) == chance([], 10, 0) == 0


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.1])
def test_of_gains_that_come_at_a_steady_rate_it_says_about_as_much_as_is_so(rate: float) -> None:
    draw, said, came = Random(1), 0.0, 0
    for _ in range(1_000):
        found = [place for place in range(1, 101) if draw.random() < rate]
        said += chance(found, 100, 20)
        came += any(draw.random() < rate for _ in range(20))
    assert said / 1_000 == pytest.approx(came / 1_000, abs=0.06)
