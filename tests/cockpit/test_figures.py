"""Numbers on the screen: few digits, the same everywhere."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cockpit import figures


@pytest.mark.parametrize(
    ("share", "margin", "quality", "said"),
    [
        (-0.004, 0.0, True, "−0.4"),
        (-0.38, 0.0, False, "−38"),
        (0.0, 0.0, True, "0"),
        (0.0004, 0.0, True, "0"),
        (0.266, 0.18, True, "+27"),
        (-0.00412, 0.002, True, "−0.4"),
        (9.332, 0.0, True, "+933"),
        (0.0266, 0.008, True, "+2.7"),
    ],
)
def test_a_change_has_a_sign_and_no_more_digits_than_are_known(
    share: float, margin: float, quality: bool, said: str
) -> None:
    assert figures.delta(share, margin, quality=quality) == said


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (999.99, "+99999"),
        (1e3, "+100k"),
        (-2.5e7, "−2.5G"),
        (9.99e12, "+999T"),
        (1e300, ">999T"),
        (math.inf, ">999T"),
        (-math.inf, "<−999T"),
        (math.nan, "–"),
    ],
)
def test_a_change_that_is_huge_is_said_in_brief(share: float, said: str) -> None:
    assert figures.delta(share, quality=True) == said


@given(st.floats(), st.floats(), st.booleans())
def test_any_change_takes_seven_columns_and_its_margin_four(share: float, margin: float, quality: bool) -> None:
    assert len(figures.delta(share, margin, quality=quality)) <= 7
    assert len(figures.margin(margin)) <= 4


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, ""),
        (0.002, "±0.2"),
        (0.0203, "±2"),
        (0.18, "±20"),
        (0.0096, "±1"),
        (3.4, "±300"),
        (0.0004, "±.04"),
        (1e-4, "±.01"),
        (1e-16, ""),
    ],
)
def test_a_margin_has_one_digit(share: float, said: str) -> None:
    assert figures.margin(share) == said


@pytest.mark.parametrize(
    ("number", "quality", "said"),
    [
        (0.97412, True, ".9741"),
        (-0.5, True, "−.5000"),
        (1.5, True, "1.5"),
        (4.1, False, "4.10"),
        (999.7, False, "1.00k"),
        (26_100, False, "26.1k"),
        (9870, False, "9.87k"),
        (412e6, False, "412M"),
        (1.004e-7, True, "1e−7"),
        (100_400.0, True, "100k"),
        (0.00123, False, "0.0012"),
        (0.0, True, "0"),
    ],
)
def test_a_value_has_the_digits_that_count(number: float, quality: bool, said: str) -> None:
    assert figures.value(number, quality=quality) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (999, "999"), (999.6, "1.0k"), (2210, "2.2k"), (318_000, "318k"), (1.2e6, "1.2M")]
)
def test_a_count_is_whole_up_to_999(number: float, said: str) -> None:
    assert figures.amount(number) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("predict_us_per_item", ("predict", "us/item")),
        ("train_seconds", ("train", "s")),
        ("peak_memory_bytes", ("peak memory", "B")),
        ("energy_joules", ("energy", "J")),
        ("nll", ("nll", "")),
    ],
)
def test_a_name_says_its_unit(name: str, said: tuple[str, str]) -> None:
    assert figures.named(name) == said


def test_what_the_file_says_of_a_name_counts() -> None:
    assert figures.named("predict_us_per_item", "speed", "us") == ("speed", "us")


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
@example(999.5e12, False)
def test_any_value_takes_six_columns_and_a_sign(number: float, quality: bool) -> None:
    assert len(figures.value(number, quality=quality).lstrip("−")) <= 6


@pytest.mark.parametrize(
    ("seconds", "in_a_sentence", "ticking", "age"),
    [
        (34.4, "34 s", "34 s", "<1m"),
        (59.7, "1 min", "59 s", "<1m"),
        (119.7, "2 min", "1 min 59 s", "1m"),
        (3599.0, "59 min", "59 min 59 s", "59m"),
        (3700.0, "1 h 01", "1 h 01", "1h"),
        (86399.0, "23 h 59", "23 h 59", "23h"),
    ],
)
def test_a_time_is_never_sixty_of_anything(seconds: float, in_a_sentence: str, ticking: str, age: str) -> None:
    said = figures.lasted(seconds), figures.ticking(seconds), figures.brief(seconds)
    assert said == (in_a_sentence, ticking, age)


@given(st.floats(0, 1e9, allow_nan=False))
def test_a_time_in_a_column_takes_four_columns_up_to_a_year(seconds: float) -> None:
    assert len(figures.brief(min(seconds, 3e7))) <= 4


# --- ticks ------------------------------------------------------------------------------------------------------------


def read(text: str) -> float:
    """What a label says."""
    text, letter = (text[:-1], text[-1]) if text[-1] in "kMGT" else (text, "")
    return float(text.replace("−", "-")) * {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[letter]


@example(1, 5, 5, 3, True)
@given(st.integers(-2000, 2000), st.sampled_from([1, 2, 5]), st.integers(-12, 18), st.integers(1, 12), st.booleans())
def test_a_tick_is_said_in_full_or_not_at_all_and_no_two_say_the_same(
    first: int, size: int, power: int, many: int, quality: bool
) -> None:
    values = [number * size * 10.0**power for number in range(first, first + many)]
    shown = figures.ticks(values, quality=quality, even=True)
    for value, text in zip(values, shown, strict=True):
        assert len(text) <= 6
        assert not text or text.startswith("~") or read(text) == pytest.approx(value, rel=1e-9)
    assert any(shown) or power < -8
    assert not (power >= -8 and first >= 0 and (first + many) * size <= 99) or all(shown), (
        "there is room for two digits"
    )


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([10_000, 15_000, 20_000], ["10k", "15k", "20k"]),
        ([123_400, 123_500, 123_600], ["123.4k", "123.5k", "123.6k"]),
        ([1e6, 1.001e6, 1.002e6], ["1.000M", "1.001M", "1.002M"]),
        ([12_345.2, 12_345.6, 12_346.0], ["", "", "12346"]),
        ([12_345_678.1, 12_345_678.2], ["~12.3M", ""]),
        ([0.9, 0.95, 1.0], [".90", ".95", "1.00"]),
        ([-0.0025, 0.0, 0.0025], ["−.0025", "0", ".0025"]),
        ([9e-7, 1e-6], ["9e−7", "1.0e−6"]),
        ([1e-4, 1.5e-4, 2e-4], [".00010", ".00015", ".00020"]),
        ([], []),
    ],
)
def test_the_ticks_of_an_axis_have_the_digits_of_their_step(values: list[float], shown: list[str]) -> None:
    assert figures.ticks(values, quality=True, even=True) == shown


def test_ticks_by_ratio_have_each_its_own_digits_and_those_of_a_cost_a_zero() -> None:
    assert figures.ticks([0.5, 1, 10, 1500], quality=False, even=False) == ["0.5", "1", "10", "1.5k"]
