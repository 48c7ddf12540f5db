"""The exchange rates: what a trade-off is worth, who earns seeds by it, and that no word changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.judge.axis import Axis
from loop.judge.noise import Difference
from loop.judge.preset import PRESETS, preset
from loop.judge.rates import total, value
from loop.judge.rule import BEATEN, Moved
from loop.judge.sentence import explanation
from loop.study import Settings
from store.records import Evidence, Word
from tests.loop.judge.test_rule import LOSS, SECONDS, WEIGHTS, Rows, verdict

FREE = [LOSS, SECONDS, WEIGHTS]
RATED = [replace(LOSS, worth=0.01), replace(SECONDS, worth=0.1), replace(WEIGHTS, worth=0.1)]
GAINS = st.fixed_dictionaries({axis.name: st.floats(-3, 3) for axis in RATED})


def test_one_per_cent_of_one_is_worth_ten_of_the_other() -> None:
    assert value(RATED[:2], {"loss": 0.03, "predict_seconds": -0.2}) == pytest.approx(1.0)
    assert value(RATED[:2], {"loss": -0.01, "predict_seconds": 0.1}) == pytest.approx(0.0)


def test_without_rates_nothing_is_worth_anything() -> None:
    assert value(FREE, {"loss": 1.0, "predict_seconds": 1.0, "weights": 1.0}) is None


def test_no_rate_makes_up_for_a_loss_that_has_none() -> None:
    axes = [RATED[0], SECONDS]
    assert value(axes, {"loss": 9.0, "predict_seconds": -1.01 * SECONDS.smallest}) is None
    assert value(axes, {"loss": 9.0, "predict_seconds": -0.99 * SECONDS.smallest}) == pytest.approx(900)


@given(GAINS, GAINS)
def test_worth_adds_up(one: dict[str, float], other: dict[str, float]) -> None:
    both = {name: one[name] + other[name] for name in one}
    apart = (value(RATED, one) or 0.0) + (value(RATED, other) or 0.0)
    assert value(RATED, both) == pytest.approx(apart, abs=1e-6)


@given(GAINS, st.floats(0.01, 100))
def test_rates_that_are_all_as_much_larger_leave_the_order_as_it_is(gains: dict[str, float], by: float) -> None:
    larger = [replace(axis, worth=(axis.worth or 0.0) * by) for axis in RATED]
    assert (value(larger, gains) or 0.0) * by == pytest.approx(value(RATED, gains), abs=1e-6)


@given(GAINS, st.floats(1e-4, 1), st.floats(1, 20))
def test_what_is_likely_worth_something_is_what_is_worth_something_on_average(
    gains: dict[str, float], error: float, df: float
) -> None:
    known = [(axis, Difference(gains[axis.name], error, df, 2, 3)) for axis in RATED]
    whole = total(known)
    assert whole.mean == pytest.approx(value(RATED, gains), abs=1e-6)
    assert (whole.above(0.0) - 0.5) * whole.mean >= 0
    assert df - 1e-9 <= whole.df <= len(RATED) * df + 1e-9, "between that of one part and that of all of them"


def test_a_loss_beyond_give_up_earns_seeds_where_the_gain_is_worth_more() -> None:
    row: Rows = {"loss": [1.04], "predict_seconds": [1.0], "weights": [300.0]}  # 4 % is beyond 2 %
    free, rated = verdict(FREE, row), verdict(RATED, row)
    assert (free.barred, free.asks, free.worth) == ("loss", False, None)
    assert (rated.barred, rated.asks) == ("", True)
    assert rated.worth is not None and rated.worth > 0
    dear = verdict(RATED, {**row, "weights": [900.0]})
    assert (dear.barred, dear.asks) == ("loss", False), "a tenth less is worth one per cent, and four are lost"


def test_what_is_beaten_earns_no_seeds_whatever_it_is_worth() -> None:
    row: Rows = {"loss": [1.04], "predict_seconds": [1.0], "weights": [300.0]}
    better: Rows = {"loss": [0.9] * 3, "predict_seconds": [0.8] * 3, "weights": [200.0] * 3}
    assert verdict(RATED, row, better).barred == BEATEN


def test_at_the_rates_a_certain_gain_is_confirmed_once_it_is_surely_worth_its_price() -> None:
    known: Rows = {"loss": [1.0, 1.01, 0.99] * 4, "predict_seconds": [1.0, 1.01, 0.99] * 4, "weights": [1000.0] * 12}

    def cheap(loss: float, weights: float, axes: list[Axis]) -> Evidence:
        row: Rows = {"loss": [loss, loss + 0.002] * 3, "predict_seconds": [1.003, 0.998] * 3, "weights": [weights] * 6}
        return verdict(axes, row, fresh=4, incumbent=known).evidence

    assert cheap(1.04, 300.0, FREE) is Evidence.SCREENED
    assert cheap(1.04, 300.0, RATED) is Evidence.CONFIRMED
    assert cheap(1.04, 640.0, RATED) is not Evidence.CONFIRMED, "that is worth 4.5, and may be worth nothing"
    assert cheap(1.001, 960.0, FREE) is Evidence.CONFIRMED
    assert cheap(1.010, 950.0, RATED) is Evidence.SCREENED, "within give_up, but worth less than it costs"


def test_where_nothing_has_noise_the_rates_alone_say_what_is_offered() -> None:
    lines = replace(WEIGHTS, name="lines", label="lines", base=100.0, unit=100.0, give_up=0.02)
    incumbent: Rows = {"weights": [1000.0], "lines": [100.0]}
    row: Rows = {"weights": [500.0], "lines": [110.0]}
    assert verdict([WEIGHTS, lines], row, incumbent=incumbent).evidence is Evidence.SCREENED
    rated = [replace(WEIGHTS, worth=0.1), replace(lines, worth=0.1)]
    found = verdict(rated, row, incumbent=incumbent)
    assert (found.word, found.evidence) == (Word.TRADE_OFF, Evidence.CONFIRMED)
    assert "by [study] worth that is worth more than what is lost" in explanation(found)


VALUES = st.floats(0.3, 3)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=7), VALUES, st.integers(0, 5))
def test_rates_never_change_a_word(runs: list[tuple[float, float]], weights: float, fresh: int) -> None:
    losses, seconds = zip(*runs, strict=True)
    row: Rows = {"loss": list(losses), "predict_seconds": list(seconds), "weights": [1000.0 * weights] * len(runs)}
    free, rated = (verdict(axes, row, fresh=min(fresh, len(runs) - 1)) for axes in (FREE, RATED))
    assert rated.word is free.word
    if not fresh:
        assert [one.moved for one in rated.figures] == [one.moved for one in free.figures]


def test_the_explanation_says_that_the_rates_have_decided() -> None:
    dear = verdict(RATED, {"loss": [1.04], "predict_seconds": [1.0], "weights": [900.0]})
    assert explanation(dear) == (
        "More of loss is lost than 2.0 %, and than the gain is worth by [study] worth with P > .80. "
        "So it earns no further seeds, and is offered to nobody."
    )
    cheap = verdict(RATED, {"loss": [1.04], "predict_seconds": [1.0], "weights": [300.0]})
    assert "that by [study] worth what is gained is worth more than what is lost" in explanation(cheap)
    assert {one.moved for one in cheap.figures} >= {Moved.UP}


def test_other_rates_are_another_rule_so_that_what_was_judged_is_judged_again() -> None:
    def by(**worth: str) -> str:
        tables = {name: {"direction": "minimize"} for name in ("loss", "us")}
        study = {"study": {"worth": worth}} if worth else {}
        return preset(Settings.model_validate({"run": {"train": "true"}, "objectives": tables, **study})).rule

    assert by() == PRESETS["balanced"].rule
    assert by(loss="1 %", us="9 %") == f"{by()}, worth loss 0.01 of it, us 0.09 of it"
    assert by(loss="1 %", us="9 %") != by(loss="1 %", us="8 %")
