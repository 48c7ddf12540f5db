"""What is foreseen is what the judge does: simulated studies of its own functions, and the laws of the forecast."""

import random

import pytest
from msgspec.structs import replace

from loop.judge.axis import axis
from loop.judge.foresight import Question, answer, floor, interval, least_runs, power, runs_a_null, smallest_gain
from loop.judge.noise import Pool
from loop.judge.preset import PRESETS
from loop.judge.rule import Gains, Pools, judge
from loop.study import Effect, Objective
from store.records import Evidence

SIGMA = 0.01
BALANCED = Question(PRESETS["balanced"], df=60.0)


def simulated(asked: Question, gain: float, studies: int = 300) -> tuple[float, float]:
    """The share of candidates of this gain, in sigma, that `judge` confirms, and the mean number of runs."""
    draw = random.Random("simulated")
    smallest = Effect(size=asked.smallest * SIGMA, relative=True)
    axes = [axis(f"loss{i}", Objective(direction="minimize", smallest=smallest), 1.0) for i in range(asked.noisy)]
    confirmed = made = 0
    for _ in range(studies):
        own: dict[str, dict[int, float]] = {one.name: {} for one in axes}
        incumbent = {one.name: {k: draw.gauss(0, SIGMA) for k in range(asked.baseline)} for one in axes}
        fresh: list[int] = []
        seed, asks = 0, True
        while asks:
            for one in axes:
                own[one.name][seed] = draw.gauss(gain * SIGMA if one is axes[0] else 0.0, SIGMA)
                incumbent[one.name].setdefault(seed, draw.gauss(0, SIGMA))
            runs, others = len(own["loss0"]), len(incumbent["loss0"])
            df = asked.df + runs - 1 + others - asked.baseline
            known = Pools(Pool(SIGMA**2, df, min(4.0, df)), Pool(0.0, 0.0, 0.0))
            given: tuple[Gains, Gains] = (own, incumbent)
            said = judge(axes, *given, [], {one.name: known for one in axes}, asked.preset, fresh)
            asks, seed = said.asks, seed + 1
            if said.evidence is Evidence.PROMISING:
                seed = max(seed, asked.baseline, asked.preset.race_seeds)
                fresh.append(seed)
        confirmed += said.evidence is Evidence.CONFIRMED
        made += runs + len(fresh)  # on which the incumbent is run first
    return confirmed / studies, made / studies


@pytest.mark.parametrize(
    "asked",
    [
        Question(PRESETS["fast"], df=60.0),
        BALANCED,
        replace(BALANCED, df=2.0),
        replace(BALANCED, noisy=3),
        replace(BALANCED, smallest=3.0),
        Question(PRESETS["strict"], df=30.0),
    ],
)
def test_the_judge_confirms_four_of_five_of_the_smallest_gain_that_is_foreseen(asked: Question) -> None:
    gain = smallest_gain(asked)
    share, _ = simulated(asked, gain)
    assert 0.72 <= share <= 0.88
    assert simulated(asked, 0.7 * gain, 150)[0] < 0.65 < 0.9 < simulated(asked, 1.4 * gain, 150)[0]


@pytest.mark.parametrize("name", PRESETS)
def test_a_change_that_does_nothing_takes_as_many_runs_as_is_foreseen(name: str) -> None:
    asked = Question(PRESETS[name], df=60.0)
    assert runs_a_null(asked) == pytest.approx(simulated(asked, 0.0, 1000)[1], rel=0.12)


def test_a_stricter_preset_takes_more_runs_and_more_objectives_or_less_knowledge_take_a_larger_gain() -> None:
    fast, balanced, strict = (Question(PRESETS[name], df=60.0) for name in ("fast", "balanced", "strict"))
    assert runs_a_null(fast) < runs_a_null(balanced) < runs_a_null(strict)
    assert smallest_gain(replace(BALANCED, noisy=3)) > smallest_gain(BALANCED)
    assert smallest_gain(replace(BALANCED, df=3.0)) > smallest_gain(BALANCED)
    assert smallest_gain(replace(BALANCED, smallest=5.0)) > 5.0, "what is confirmed is beyond what matters"
    assert power(BALANCED, 1.0) < power(BALANCED, 2.0) < power(BALANCED, 4.0)


def test_too_few_runs_confirm_nothing_and_more_confirm_smaller_gains() -> None:
    least = least_runs(PRESETS["balanced"].known_from(2.0), 3)
    assert least == 3 + 2 + 2 * 4
    few = answer(replace(BALANCED, df=2.0), least - 1, SIGMA)
    assert (few.smallest_gain, few.least_runs) == (None, least)
    some, many = (answer(replace(BALANCED, df=2.0), runs, SIGMA) for runs in (30, 300))
    assert some.smallest_gain and many.smallest_gain and many.smallest_gain < some.smallest_gain
    assert many.experiments == int((300 - 3) / many.runs_a_null)
    assert answer(BALANCED, 300, SIGMA, experiments=7).experiments == 7


def test_a_sigma_of_few_runs_lies_between_those_of_the_tables() -> None:
    for df, low, high in ((1, 0.446, 31.9), (2, 0.521, 6.28), (4, 0.599, 2.87), (30, 0.799, 1.337)):
        assert interval(df) == pytest.approx((low, high), rel=2e-3)


def test_the_noise_of_a_single_run_is_that_of_two_and_wider_the_less_is_known() -> None:
    assert floor(0.004, 1e9, PRESETS["balanced"]) == pytest.approx(1.645 * 2**0.5 * 0.004, rel=1e-3)
    assert floor(0.004, 3, PRESETS["balanced"]) == pytest.approx(2.353 * 2**0.5 * 0.004, rel=1e-3)
