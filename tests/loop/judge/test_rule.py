"""The rule and its sentence: what follows from which runs; and what it does to a study of nothing but noise."""

import math
from random import Random

import pytest

from loop.judge.axis import Axis, axis
from loop.judge.noise import Pool, pool
from loop.judge.rule import RACE_SEEDS, Gains, Moved, Pools, Verdict, infeasible, judge
from loop.judge.sentence import percent, sentence
from loop.study import Effect, Objective
from store.records import Evidence, Word

KNOWN = Pools(Pool(0.01**2, 20.0, 4.0), Pool(0.0, 0.0, 0.0))
LOSS = axis("loss", Objective(direction="minimize", smallest=Effect(size=0.01, relative=True)), 1.0)
SECONDS = axis("predict_seconds", Objective(direction="minimize", label="predict"), 1.0)
WEIGHTS = axis("weights", Objective(direction="minimize", deterministic=True), 1000.0)
INCUMBENT = {"loss": [1.0, 1.01, 0.99], "predict_seconds": [1.0, 1.01, 0.99], "weights": [1000.0] * 3}
Rows = dict[str, list[float]]


def gains(axes: list[Axis], rows: Rows) -> Gains:
    return {one.name: {seed: one.gain(value) for seed, value in enumerate(rows[one.name])} for one in axes}


def verdict(axes: list[Axis], candidate: Rows, *others: Rows) -> Verdict:
    every = [gains(axes, row) for row in (candidate, INCUMBENT, *others)]
    return judge(axes, every[0], every[1], every[2:], {one.name: KNOWN for one in axes})


def said(axes: list[Axis], candidate: Rows) -> str:
    return sentence(verdict(axes, candidate), "e0000")


def test_one_seed_that_looks_no_better_is_enough() -> None:
    found = verdict([LOSS], {"loss": [1.005]})
    assert (found.word, found.evidence, found.asks) == (Word.INCONCLUSIVE, Evidence.SCREENED, False)


def test_one_seed_that_looks_better_earns_another_and_two_that_are_make_it_promising() -> None:
    first = verdict([LOSS], {"loss": [0.94]})
    assert (first.evidence, first.asks) == (Evidence.SCREENED, True)
    second = verdict([LOSS], {"loss": [0.94, 0.95]})
    assert (second.word, second.evidence, second.asks) == (Word.BETTER, Evidence.PROMISING, False)


def test_a_race_ends_after_four_seeds_or_when_it_is_lost() -> None:
    assert verdict([LOSS], {"loss": [0.995, 0.995]}).asks
    assert not verdict([LOSS], {"loss": [0.98, 1.06]}).asks
    assert not verdict([LOSS], {"loss": [0.996] * RACE_SEEDS}).asks


def test_a_deterministic_gain_alone_is_never_asked_about_twice_beyond_what_would_be_given_up() -> None:
    axes = [LOSS, WEIGHTS]
    cheap = verdict(axes, {"loss": [1.3], "weights": [500.0]})
    assert (cheap.word, cheap.asks) == (Word.TRADE_OFF, False)
    near = verdict(axes, {"loss": [1.015], "weights": [500.0]})  # within 2 %
    assert near.asks
    again = verdict(axes, {"loss": [1.015, 1.012], "weights": [500.0, 500.0]})
    assert again.evidence is Evidence.PROMISING
    assert not verdict([WEIGHTS], {"weights": [500.0]}).asks, "one run says it all"


def test_a_trade_off_that_another_experiment_beats_in_everything_is_not_asked_about() -> None:
    axes = [LOSS, WEIGHTS]
    candidate: Rows = {"loss": [1.015], "weights": [800.0]}
    assert verdict(axes, candidate).asks
    assert not verdict(axes, candidate, {"loss": [0.95, 0.95], "weights": [500.0, 500.0]}).asks
    assert verdict(axes, candidate, {"loss": [0.95, 0.95], "weights": [900.0, 900.0]}).asks


def test_the_words() -> None:
    axes = [LOSS, WEIGHTS]
    words = {
        Word.BETTER: {"loss": [0.9, 0.9], "weights": [900.0] * 2},
        Word.TRADE_OFF: {"loss": [0.9, 0.9], "weights": [1100.0] * 2},
        Word.WORSE: {"loss": [1.1, 1.1], "weights": [1000.0] * 2},
        Word.INCONCLUSIVE: {"loss": [1.012], "weights": [1000.0]},
        Word.GAIN: {"loss": [1.012], "weights": [500.0]},
    }
    for word, candidate in words.items():
        assert verdict(axes, candidate).word is word, word


def test_what_is_infeasible_asks_for_no_seeds_however_good_it_looks_and_keeps_its_figures() -> None:
    for losses in ([0.94], [0.94, 0.95], [1.3]):
        found = verdict([LOSS], {"loss": losses})
        broken = infeasible(found)
        assert (broken.word, broken.evidence, broken.asks) == (Word.INFEASIBLE, Evidence.SCREENED, False)
        assert broken.figures == found.figures


def test_nothing_is_called_worse_while_a_gain_is_likely() -> None:
    found = verdict([LOSS, WEIGHTS], {"loss": [0.965, 0.965], "weights": [1400.0] * 2})
    assert found.evidence is Evidence.PROMISING
    assert found.word is not Word.WORSE


def test_a_dead_change_is_equal_whatever_its_seconds_say() -> None:
    axes = [LOSS, SECONDS]
    dead = verdict(axes, {"loss": [1.0], "predict_seconds": [1.02]})
    assert (dead.word, dead.asks) == (Word.EQUAL, False)
    tempting = verdict(axes, {"loss": [1.0], "predict_seconds": [0.96]})
    assert tempting.word is not Word.EQUAL
    twice = verdict(axes, {"loss": [1.0, 1.01], "predict_seconds": [0.99, 0.99]})
    assert (twice.word, twice.asks) == (Word.EQUAL, False)
    quicker = verdict(axes, {"loss": [1.0, 1.01], "predict_seconds": [0.5, 0.5]})
    assert quicker.word is Word.BETTER


def test_what_is_known_of_no_noise_is_what_its_mean_is() -> None:
    nothing = Pools(Pool(0.0, 0.0, 0.0), Pool(0.0, 0.0, 0.0))
    found = judge([LOSS], {"loss": {0: 0.2}}, {"loss": {0: 0.0}}, [], {"loss": nothing})
    assert found.figures[0].moved is Moved.UP


def test_a_dead_change_of_quality_that_saves_a_cost_is_not_judged_by_the_luck_of_its_seed() -> None:
    found = verdict([LOSS, WEIGHTS], {"loss": [1.01], "weights": [500.0]})
    assert found.word is not Word.EQUAL
    lucky = judge(
        [LOSS, WEIGHTS], {"loss": {0: -0.05}, "weights": {0: 0.5}}, {"loss": {0: -0.05, 1: 0.0, 2: 0.02},
        "weights": {0: 0.0, 1: 0.0, 2: 0.0}}, [], {"loss": KNOWN, "weights": KNOWN},
    )  # fmt: skip
    assert (lucky.word, lucky.asks) == (Word.BETTER, True)
    assert lucky.figures[0].moved is Moved.EQUAL


# --- the sentence ----------------------------------------------------------------------------------------------------


def test_the_sentence_says_what_moved_how_surely_and_on_how_many_seeds() -> None:
    axes = [LOSS, SECONDS, WEIGHTS]
    row: Rows = {"loss": [1.012], "predict_seconds": [0.62], "weights": [1100.0]}
    assert said(axes, row) == (
        "predict 38 % faster (P > .999), weights 10 % higher, loss 1.2 % worse (P = .83) not shown; 1 seed"
    )
    assert said([LOSS], {"loss": [0.9, 0.9]}) == "loss 10 % better (P > .999); 2 seeds"
    assert said([LOSS], {"loss": [0.999] * 4}) == "loss no worse (P = .93); 4 seeds"
    assert said([LOSS], {"loss": [1.0, 1.01]}) == "the same as e0000 to the last digit, 2 seeds"
    assert said([WEIGHTS], {"weights": [1000.0]}) == "the same as e0000 to the last digit, 1 seed"


def test_a_change_is_a_share_of_the_incumbents_own_value() -> None:
    accuracy = axis("accuracy", Objective(direction="maximize"), 0.8)
    gain = accuracy.gain(0.5)
    assert accuracy.change(accuracy.gain(0.6) - gain, gain) == pytest.approx(0.2)
    gain = SECONDS.gain(4.0)
    assert SECONDS.change(SECONDS.gain(1.0) - gain, gain) == pytest.approx(-0.75)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.38, "38"),
        (0.004, "0.4"),
        (0.012, "1.2"),
        (8.44, "844"),
        (0.0, "0"),
        (0.00031, "0.03"),
        (0.0996, "10"),
        (1e300, "1.0e+302"),
    ],
)
def test_a_share_is_said_with_the_digits_that_count(share: float, text: str) -> None:
    assert percent(share) == text


# --- a study of nothing but noise ------------------------------------------------------------------------------------


def null_study(draw: Random, objectives: int, experiments: int, shift: float = 0.0) -> tuple[list[Verdict], float]:
    """The verdicts of a study of simulated runs, and runs an experiment. `shift` is in standard deviations."""
    sigma, names = 0.02, [f"quality{index}" for index in range(objectives)]

    def runs(mean: float) -> dict[str, dict[int, float]]:
        return {name: {seed: mean + sigma * draw.gauss(0, 1) for seed in range(RACE_SEEDS)} for name in names}

    def first(values: dict[str, dict[int, float]], count: int) -> dict[str, dict[int, float]]:
        return {name: {seed: own[seed] for seed in range(count)} for name, own in values.items()}

    incumbent = runs(0.0)
    known = {name: {0: list(own.values())} for name, own in first(incumbent, 3).items()}
    verdicts, total = [], 0
    for number in range(1, experiments + 1):
        candidate, seeds = runs(shift * sigma), 0
        while True:
            seeds += 1
            own = first(candidate, seeds)
            for name in names:
                known[name][number] = list(own[name].values())
            pools = {name: Pools(pool(known[name].values()), Pool(0.0, 0.0, 0.0)) for name in names}
            axes = [
                axis(name, Objective(direction="maximize"), 1.0, math.sqrt(pools[name].single.variance))
                for name in names
            ]
            found = judge(axes, own, incumbent if seeds == RACE_SEEDS else first(incumbent, 3), [], pools)
            if not found.asks:
                break
        verdicts.append(found)
        total += seeds
    return verdicts, total / experiments


@pytest.mark.parametrize("objectives", [1, 2])
def test_in_studies_of_noise_hardly_anything_is_better_and_a_null_costs_little(objectives: int) -> None:
    draw = Random(objectives)
    studies = [null_study(draw, objectives, 30) for _ in range(20)]
    better = [any(one.word is Word.BETTER for one in verdicts) for verdicts, _ in studies]
    assert sum(better) <= 3
    assert sum(cost for _, cost in studies) / len(studies) < 2.2


@pytest.mark.parametrize("objectives", [1, 2])
def test_two_standard_deviations_are_found(objectives: int) -> None:
    draw = Random(objectives)
    found = [one for _ in range(10) for one in null_study(draw, objectives, 10, shift=2.0)[0]]
    assert sum(one.evidence is Evidence.PROMISING for one in found) / len(found) > 0.75
