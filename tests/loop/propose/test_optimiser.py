"""The numeric optimiser: repeatable, within the space, and better than chance."""

import math
import random
from collections.abc import Callable

from loop.propose.domain import Choices, Range, Value
from loop.propose.optimiser import BEST, NEWEST, STARTUP, Tried, draw
from loop.propose.space import Knob

KNOBS = (
    Knob("t.py", "RATE", Range(1e-4, 1.0, log=True, integer=False), 0.5),
    Knob("t.py", "WIDTH", Range(8, 256, log=True, integer=True), 64),
    Knob("t.py", "KIND", Choices((1, True, "1", None)), 1),
)
DEFAULTS = {knob.key: knob.default for knob in KNOBS}
Gains = Callable[[dict[str, Value]], tuple[float, ...] | None]


def search(gains: Gains, experiments: int, seed: int = 0, knobs: tuple[Knob, ...] = KNOBS) -> list[Tried]:
    defaults = {knob.key: knob.default for knob in knobs}
    tried = [Tried(defaults, gains(defaults))]
    objectives = len(tried[0].gains or ())
    for number in range(1, experiments):
        drawn = draw(knobs, defaults, objectives, seed, number, 0, tried)
        assert drawn is not None
        found = gains(drawn.knobs)
        tried.append(Tried(drawn.knobs, found, failed=found is None))
    return tried


def bowl(values: dict[str, Value]) -> tuple[float, ...]:
    rate, width = values["t.py:RATE"], values["t.py:WIDTH"]
    assert isinstance(rate, float)
    assert isinstance(width, int)
    return (-abs(math.log10(rate / 3e-3)), -math.log2(width))


def test_every_draw_is_in_the_space_and_of_the_knobs_own_type() -> None:
    for one in search(bowl, 30):
        assert all(knob.domain.holds(one.knobs[knob.key]) for knob in KNOBS)


def test_the_same_seed_and_the_same_results_draw_the_same_and_another_seed_others() -> None:
    assert search(bowl, 20) == search(bowl, 20)
    assert search(bowl, 20) != search(bowl, 20, seed=1)


def test_a_draw_depends_on_nothing_but_what_it_is_given() -> None:
    tried = search(bowl, 20)
    for number in (5, 19):
        again = draw(KNOBS, DEFAULTS, 2, 0, number, 0, tried[:number])
        assert again is not None
        assert again.knobs == tried[number].knobs


def test_at_first_a_few_knobs_are_moved_and_one_at_least() -> None:
    moved = [
        sum(one.knobs[key] != DEFAULTS[key] or type(one.knobs[key]) is not type(DEFAULTS[key]) for key in DEFAULTS)
        for one in search(bowl, STARTUP)[1:]
    ]
    assert min(moved) >= 1
    assert sum(moved) < len(moved) * len(KNOBS) * 0.7


def test_the_estimator_finds_what_random_draws_find_by_luck() -> None:
    def best(tried: list[Tried]) -> float:
        return max(one.gains[0] for one in tried if one.gains)

    assert sum(best(search(bowl, 40, seed)) > -0.1 for seed in range(5)) >= 4


def test_what_fails_is_kept_away_from() -> None:
    def breaks_above(values: dict[str, Value]) -> tuple[float, ...] | None:
        width = values["t.py:WIDTH"]
        assert isinstance(width, int)
        return None if width > 100 else (float(width), 0.0)  # the best lies just before the edge

    tried = search(breaks_above, 40)
    assert sum(one.failed for one in tried[-15:]) <= 7
    assert max(one.gains[0] for one in tried if one.gains) > 85


def test_a_space_that_is_used_up_is_said_and_never_repeated() -> None:
    knobs = (Knob("t.py", "A", Choices(("a", "b")), "a"), Knob("t.py", "B", Range(1, 3, log=False, integer=True), 1))
    defaults = {knob.key: knob.default for knob in knobs}
    tried = [Tried(defaults, (0.0,))]
    while (drawn := draw(knobs, defaults, 1, 0, len(tried), 3, tried)) is not None:
        assert drawn.knobs not in [one.knobs for one in tried]
        tried.append(Tried(drawn.knobs, (1.0,)))
    assert len(tried) == 6


def test_every_last_value_of_a_large_space_that_can_be_counted_is_found() -> None:
    knobs = (Knob("t.py", "A", Range(1, 1000, log=True, integer=True), 1),)
    tried = [Tried({"t.py:A": value}, (0.0,)) for value in range(1, 1000)]
    drawn = draw(knobs, {"t.py:A": 1}, 1, 0, 999, 3, tried)
    assert drawn is not None
    assert drawn.knobs == {"t.py:A": 1000}


def test_the_estimator_goes_by_the_newest_and_the_best_and_by_no_others() -> None:
    draws = random.Random(0)
    values = [
        {"t.py:RATE": 10 ** draws.uniform(-4, 0), "t.py:WIDTH": 8 + number % 200, "t.py:KIND": 1}
        for number in range(700)
    ]
    middling = [Tried(one, (draws.uniform(-1, 0), draws.uniform(-1, 0))) for one in values]
    good = [Tried(one, (draws.uniform(1, 2), draws.uniform(1, 2))) for one in values[:BEST]]
    tried = middling[:100] + good + middling[100:]

    def drawn(by: list[Tried]) -> dict[str, Value]:
        found = draw(KNOBS, DEFAULTS, 2, 0, 750, 0, by)
        assert found is not None
        return found.knobs

    assert drawn(tried) == drawn(good + tried[-NEWEST:])
    assert drawn(tried) != drawn(middling)
