"""An objective as the judge sees it: on which scale, and in which shares."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.judge.axis import Axis, axis
from loop.judge.frontier import effects
from loop.study import Effect, Objective
from tests.loop.judge.test_rule import LOSS, SECONDS


def scaled(name: str, base: float, **more: object) -> Axis:
    return axis(name, Objective.model_validate({"direction": "minimize", **more}), base)


def test_a_scale_that_is_asked_for_goes_before_what_the_name_says() -> None:
    assert (scaled("loss", 2.0).log, scaled("loss", 2.0, scale="log").log) == (False, True)
    assert (scaled("train_seconds", 2.0).log, scaled("train_seconds", 2.0, scale="linear").log) == (True, False)


@pytest.mark.parametrize("base", [0.0, -1.5])
def test_where_the_baseline_has_no_logarithm_the_scale_is_linear(base: float) -> None:
    assert not scaled("loss", base, scale="log").log


def test_on_a_log_scale_half_is_as_much_better_as_double_is_worse() -> None:
    perplexity = scaled("perplexity", 40.0, scale="log")
    assert perplexity.gain(20.0) == pytest.approx(-perplexity.gain(80.0)) == pytest.approx(math.log(2))
    assert perplexity.give_up == pytest.approx(math.log1p(0.02))


@given(st.floats(0.01, 1e6), st.floats(0.01, 100), st.sampled_from(["linear", "log"]), st.booleans())
def test_a_value_is_what_has_its_gain(base: float, ratio: float, scale: str, maximize: bool) -> None:
    direction = "maximize" if maximize else "minimize"
    one = axis("loss", Objective.model_validate({"direction": direction, "scale": scale}), base)
    assert one.value(one.gain(base * ratio)) == pytest.approx(base * ratio)


def test_changed_lines_are_counted_in_lines_for_the_baseline_changes_none() -> None:
    lines = scaled("changed_lines", 0.0, smallest=Effect(size=5, relative=False), deterministic=True)
    assert effects([lines], np.array([[lines.gain(4.0)], [lines.gain(12.0)]])).tolist() == [[0.0], [-2.0]]
    assert lines.reference == 100.0, "a diff of more encloses nothing of the frontier"
    assert lines.change(lines.gain(8.0) - lines.gain(4.0), lines.gain(4.0)) == pytest.approx(1.0)


def test_a_rate_is_a_size_of_gain_as_the_smallest_effect_is() -> None:
    one, ten = Effect(size=0.01, relative=True), Effect(size=0.1, relative=True)
    assert axis("loss", Objective(direction="minimize"), 2.0, worth=one).worth == pytest.approx(0.01)
    seconds = axis("train_seconds", Objective(direction="minimize"), 2.0, worth=ten)
    assert seconds.worth == pytest.approx(-seconds.gain(2.2))
    assert LOSS.worth is SECONDS.worth is None
