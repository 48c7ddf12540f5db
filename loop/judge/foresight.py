"""What so many runs can answer, before they are made: the smallest gain that can be confirmed, how many experiments.

It is the rule of `rule.py`, walked by simulated candidates of a known true gain. Everything is in standard deviations
sigma of a run, for the rule does not change with the unit; runs are independent, of equal sigma, and unpaired (equal
seeds can only help). A candidate's runs are gain + z, the incumbent's z, each z a draw of the standard normal:

    screen    1 run against the baseline's b.                               on where P > screen
    race      a run more of it, of the incumbent beyond b.                  on where P > race, until P > promising
    confirm   a fresh run of each.  confirmed where P > confirm on all runs, P > promising on the fresh ones alone,
              and the mean is beyond the smallest effect;                   given up where P <= drop

P > x is `mean > t(x, df) * sqrt(1/n + 1/n0)`, with the quantile of Student's t (`noise.quantile`) and as many degrees
of freedom as the pool has by then: those of the study, and those that this candidate's own runs add. With m noisy
objectives x becomes 1 - (1 - x) / m. What is confirmed so is the *power* at that gain. The draws are the same for
every gain, so that more gain is hardly ever less power; the smallest gain of a study is the one of which four of five
are confirmed (80 %), found by halving. `tests/loop/judge/test_foresight.py` holds it against `judge` itself.

A null, gain 0, says what a change that does nothing takes of runs: nearly all do nothing, so it is what a night holds.
"""

import math
import random
from collections.abc import Sequence
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from loop.judge.noise import quantile
from loop.judge.preset import Preset

POWER = 0.8
PATHS = 400  # simulated candidates: the power is known to 2 %
MOST_SIGMAS = 64.0  # beyond which nothing is asked
PRECISION = 0.02  # of the smallest gain
FEW = 1.0  # a degree of freedom, at least: with none there is no t


class Question(Struct, frozen=True):
    """What a study is to answer, and what it knows of its noise. `smallest` is the smallest effect, in sigma."""

    preset: Preset
    baseline: int = 3  # runs of the incumbent before the first verdict
    df: float = 2.0  # of the pool, when a candidate comes to be confirmed
    noisy: int = 1  # objectives
    smallest: float = 0.5


class Answer(Struct, frozen=True):
    """What so many runs can answer. Gains are shares, or logarithms of ratios, as those of the objective's axis are."""

    experiments: int  # e0000 left out
    runs_a_null: float
    least_runs: int  # that one winner takes, from the study's beginning
    smallest_gain: float | None  # None where no winner can be confirmed


def answer(asked: Question, runs: int, sigma: float, experiments: int | None = None) -> Answer:
    """What so many runs, and no more experiments than that, can answer where a run's gain has this sigma.

    The pool that a winner is confirmed by has what the baseline tells, and a degree of freedom of each null that has
    earned a second run, half of them by then.
    """
    a_null = runs_a_null(replace(asked, df=max(asked.df, FEW)))
    there = max(0, int((runs - asked.baseline) / a_null))
    count = there if experiments is None else min(there, experiments)
    repeated = (1 - asked.preset.screen) * count / 2
    later = replace(asked, df=max(FEW, asked.df) + repeated)
    least = least_runs(asked.preset.known_from(later.df), asked.baseline)
    can = count > 0 and runs >= least
    return Answer(count, a_null, least, smallest_gain(later) * sigma if can else None)


def least_runs(preset: Preset, baseline: int) -> int:
    """The runs that one winner takes at least: the baseline's, two of the race, and fresh ones of both."""
    return baseline + 2 + 2 * preset.fresh[0]


def floor(relative: float, df: float, preset: Preset) -> float:
    """The gain of one run over one other that is more than noise, from a standard deviation of so many df.

    A difference of two runs has sqrt(2) times the noise of one, and it is *promising* where P is beyond that threshold.
    """
    return quantile(preset.promising, df) * math.sqrt(2) * relative


def interval(df: float, share: float = 0.95) -> tuple[float, float]:
    """Between which multiples of a standard deviation of so many df the true one lies: (n - 1) s² / sigma² is chi²."""
    tail = (1 - share) / 2
    return math.sqrt(df / _chi_square(1 - tail, df)), math.sqrt(df / _chi_square(tail, df))


def _chi_square(p: float, df: float) -> float:
    """The value below which chi² is with probability p: by halving. Its distribution by the series of the gamma."""

    def below(x: float) -> float:
        term = total = 1 / (df / 2)
        k = df / 2
        while term > total * 1e-12:
            k += 1
            term *= x / 2 / k
            total += term
        return total * math.exp(-x / 2 + df / 2 * math.log(x / 2) - math.lgamma(df / 2))

    low, high = 0.0, df + 20 * math.sqrt(2 * df) + 20
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if below(middle) < p else (low, middle)
    return high


# --- the walk --------------------------------------------------------------------------------------------------------


@cache
def smallest_gain(asked: Question, power_wanted: float = POWER) -> float:
    """The true gain, in sigma, of which so many candidates are confirmed. Infinite where none is."""
    low, high = 0.25, 0.5
    while power(asked, high) < power_wanted:
        low, high = high, 2 * high
        if high > MOST_SIGMAS:
            return math.inf
    while high - low > PRECISION * low:
        middle = (low + high) / 2
        low, high = (low, middle) if power(asked, middle) >= power_wanted else (middle, high)
    return high


def power(asked: Question, gain: float) -> float:
    """The share of candidates of this true gain, in sigma, that are confirmed."""
    return sum(confirmed for confirmed, _ in _walks(asked, gain)) / PATHS


@cache
def runs_a_null(asked: Question) -> float:
    """The mean number of runs that a change takes which does nothing, and of the incumbent to confirm it.

    Of one noisy objective: of several it takes no more, for the thresholds are shared so that any of them may pass.
    """
    return sum(runs for _, runs in _walks(replace(asked, noisy=1), 0.0)) / PATHS


def _walks(asked: Question, gain: float) -> list[tuple[bool, int]]:
    """Of each simulated candidate whether it is confirmed, and the runs that were made for it."""
    known = asked.preset.known_from(asked.df)
    return [_walk(asked, known, _cuts(asked), gain, draws) for draws in _draws(asked.baseline, known)]


@cache
def _draws(baseline: int, known: Preset) -> list[tuple[list[float], list[float]]]:
    """The luck of the candidates: of their own runs, and of the incumbent's."""
    draw, most = random.Random("foresight"), known.race_seeds + known.fresh[1]
    return [
        ([draw.gauss(0, 1) for _ in range(most)], [draw.gauss(0, 1) for _ in range(max(baseline, most) + most)])
        for _ in range(PATHS)
    ]


class _Cuts:
    """How far a mean must lie, in sigma, so that P is beyond a threshold."""

    def __init__(self, asked: Question) -> None:
        self._asked = asked
        self._found: dict[tuple[float, int, int], float] = {}

    def __call__(self, threshold: float, n: int, n_other: int) -> float:
        key = threshold, n, n_other
        if key not in self._found:
            df = self._asked.df + n - 1 + max(0, n_other - self._asked.baseline)
            shared = 1 - (1 - threshold) / self._asked.noisy
            self._found[key] = quantile(shared, df) * math.sqrt(1 / n + 1 / n_other)
        return self._found[key]


@cache
def _cuts(asked: Question) -> _Cuts:
    """The same for every gain."""
    return _Cuts(asked)


def _walk(
    asked: Question, known: Preset, cut: _Cuts, gain: float, draws: tuple[Sequence[float], Sequence[float]]
) -> tuple[bool, int]:
    own, others = draws
    n, n_other = 1, asked.baseline
    total, total_other = gain + own[0], math.fsum(others[:n_other])

    def beyond(threshold: float) -> bool:
        return total / n - total_other / n_other > cut(threshold, n, n_other)

    if not beyond(known.screen):
        return False, 1
    while n < 2 or not beyond(known.promising):
        if n >= 2 and (n >= known.race_seeds or not beyond(known.race)):
            return False, n
        if n == n_other:  # the incumbent's first run beyond its baseline, which serves all others too
            total_other += others[n_other]
            n_other += 1
        total += gain + own[n]
        n += 1
    chosen, raced = total, n
    for fresh in range(1, known.fresh[1] + 1):
        total, total_other = total + gain + own[n], total_other + others[n_other]
        n, n_other = n + 1, n_other + 1
        made = raced + 2 * fresh
        if not beyond(known.drop):
            return False, made
        if fresh >= known.fresh[0]:
            # The fresh seeds alone are held against the incumbent's runs of them and before.
            alone = (total - chosen) / fresh - total_other / n_other
            mean = total / n - total_other / n_other
            if beyond(known.confirm) and alone > cut(known.promising, fresh, n_other) and mean > asked.smallest:
                return True, made
    return False, raced + 2 * known.fresh[1]
