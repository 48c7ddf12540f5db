"""The promises of `docs/judging.md`, on a few seeded studies of each kind: no clock, and the same every time."""

from random import Random

import pytest

from loop.judge.preset import PRESETS
from tests.bench.judging import Study, Tally, World, gain_line, null_line

BALANCED = PRESETS["balanced"]


def whole(world: World, studies: int, experiments: int) -> Tally:
    """So many studies in this process."""
    rows = (Study(world, BALANCED, Random(f"{seed} {world}")).whole(experiments) for seed in range(studies))
    return sum(rows, Tally(studies=0))


@pytest.mark.parametrize(
    "world",
    [
        World(),
        World(noisy=2, correlation=0.5),
        World(sigmas="one in ten"),
        World(tails="t3", moves=True),
        World(cost=True),
    ],
    ids=["equal", "two", "unequal", "t3", "cost"],
)
def test_hardly_any_null_is_confirmed_and_a_null_costs_little(world: World) -> None:
    found = whole(world, 8, 150)
    assert found.false * 300 / 150 / found.studies <= 1.5
    assert found.null_runs / found.nulls <= 2.3
    assert found.greedy_false / found.studies > 2, "beside it, what keeps whatever is better"


@pytest.mark.parametrize("agrees", [0.0, 0.9])
def test_what_is_confirmed_in_full_is_so_though_quick_flatters_every_change(agrees: float) -> None:
    found = whole(World(agrees=agrees, flatters=3.0), 6, 100)
    assert found.false * 300 / 100 / found.studies <= 1
    assert found.null_runs / found.nulls > 3.5, "nearly all of them were run in full"


def test_two_sigma_are_found_in_full_where_quick_agrees() -> None:
    found = whole(World(agrees=1.0, effect=2.0), 12, 60)
    assert found.found / found.reals >= 0.6
    assert not found.false


@pytest.mark.parametrize(("noisy", "power"), [(1, 0.75), (2, 0.6)])
def test_two_sigma_are_found(noisy: int, power: float) -> None:
    found = whole(World(noisy, effect=2.0), 12, 60)
    assert found.reals > 50
    assert found.found / found.reals >= power
    assert found.false <= found.confirmed / 10


def test_a_line_says_what_came_of_a_world() -> None:
    tally = Tally(2, 600, 1200, 0, 0, 0, 3, 2, 1, 11, 10, 13, 12, 2)
    said, _, beside = null_line(World(), tally, 300).rpartition(" | ")
    assert said.endswith("false  1.00 +- 0.00, in the first 20  7.50, offers   1.50, runs a null 2.00")
    assert beside == "greedy  5.00, naive Pareto   6.00"
    assert "power 0.50, keep precision 0.33" in gain_line(World(effect=2), Tally(1, 0, 0, 4, 8, 2, 3, 2))
