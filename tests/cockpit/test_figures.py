"""Numbers on the screen: few digits, the same everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit import figures


@pytest.mark.parametrize(
    ("share", "margin", "quality", "said"),
    [
        (-0.004, 0.0, True, "−0.4"),
        (-0.38, 0.0, False, "−38"),
        (0.0, 0.0, True, "0"),
        (0.0004, 0.0, True, "0"),
        (0.266, 0.18, True, "+30"),
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
    ("share", "said"), [(0.0, ""), (0.002, "±0.2"), (0.0203, "±2"), (0.18, "±20"), (0.0096, "±1"), (3.4, "±300")]
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


@given(
    st.floats(1e-6, 1e6), st.floats(1.0001, 1e6), st.integers(2, 12), st.booleans()
)  # fmt: skip
def test_ticks_lie_within_and_are_few(low: float, ratio: float, most: int, log: bool) -> None:
    high = low * ratio
    found = figures.ticks(low, high, most, log=log)
    assert len(found) <= most + 2
    assert all(low * (1 - 1e-6) <= tick <= high * (1 + 1e-6) for tick in found)
