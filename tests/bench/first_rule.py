"""The rule of the judge as it was first written, to be measured beside the one that cockpit runs by.

    screen   1 seed. Enough unless P > .60
    race     up to 4 seeds. Enough unless P > .40; at 2 seeds or more and P > .95: promising
    confirm  2 to 5 fresh seeds. Confirmed where P > .998 on all data and the fresh seeds alone are better; enough where
             P < .80

A variance is shrunk towards the pool by d0 = 4 degrees of freedom, though never more than the pool's own, and by what
the moments of the variances say of d0 once twenty experiments have two runs (Smyth, 2004, section 6.2). Degrees of
freedom are Satterthwaite's. *Up* is what is better with P > 1 - .05 / m and by more than what matters, *down* what is
worse by more than that with P > .95, *safe* what is not with P > .90. A deterministic gain has P = 1; a trade-off
earns seeds while the mean of no loss is beyond `give_up` and nothing is as good with P > .90.
"""

import math
from collections.abc import Collection, Mapping, Sequence

from loop.judge.axis import Axis
from loop.judge.noise import PRIOR_DF, Difference, Groups, Pool, moderated
from loop.judge.preset import Preset
from loop.judge.rule import Figure, Gains, Moved, Pools, Verdict, bearable, dominated
from store.records import Evidence, Word

UP, DOWN, SAFE = 0.95, 0.95, 0.90
TOLD = 20  # experiments with two runs or more: from there on the moments say d0


def judge(
    axes: Sequence[Axis],
    candidate: Gains,
    incumbent: Gains,
    others: Sequence[Gains],
    pools: Mapping[str, Pools],
    preset: Preset,
    fresh: Collection[int] = (),
) -> Verdict:
    """As `loop.judge.rule.judge`, by the rule above."""
    m = max(1, sum(not axis.deterministic for axis in axes))
    figures = [_figure(axis, candidate[axis.name], incumbent[axis.name], pools[axis.name], m) for axis in axes]
    seeds, word, asks = min(one.difference.n for one in figures), _word(figures), False
    chance = max(1 - m * (1 - one.better) if not one.axis.deterministic else one.better for one in figures)
    evidence = Evidence.SCREENED
    gained = any(one.axis.deterministic and one.moved is Moved.UP for one in figures)
    if gained or word is Word.TRADE_OFF:
        lost = any(one.difference.mean < -bearable(one.axis) for one in figures)
        if lost or any(dominated(axes, candidate, other, pools) for other in others):
            return Verdict(word, evidence, False, tuple(figures), chance, len(fresh))
    if seeds < 2:
        asks = chance > preset.screen
    elif not fresh:
        if chance > preset.promising:
            evidence, asks = Evidence.PROMISING, True
        else:
            asks = seeds < preset.race_seeds and chance > preset.race
    elif chance >= preset.drop:
        least, most = preset.fresh
        sure = [one for one in figures if _share(one, m) > preset.confirm]
        alone = {one.axis.name: _mean([candidate[one.axis.name][seed] for seed in fresh]) for one in sure}
        held = any(alone[one.axis.name] > _mean([*incumbent[one.axis.name].values()]) for one in sure)
        confirmed = held and len(fresh) >= least and word in (Word.BETTER, Word.GAIN, Word.TRADE_OFF)
        evidence = Evidence.CONFIRMED if confirmed else Evidence.PROMISING
        asks = not confirmed and len(fresh) < most
    return Verdict(word, evidence, asks, tuple(figures), chance, len(fresh))


def pool(groups: Groups) -> Pool:
    """The pool of all variances, and what it counts for."""
    told = [(variance, df) for variance, df in groups._of.values() if variance > 0]
    df = float(sum(own for _, own in told))
    variance = math.fsum(variance * own for variance, own in told) / df if told else 0.0
    return Pool(variance, df, min(PRIOR_DF if len(told) < TOLD else prior_df(told), df))


def prior_df(told: Sequence[tuple[float, int]]) -> float:
    """How many degrees of freedom a prior has of which these variances, each with its own, were drawn (Smyth, 6.2)."""
    logs = [math.log(variance) - digamma(df / 2) + math.log(df / 2) for variance, df in told]
    middle, n = _mean(logs), len(logs)
    left = math.fsum((one - middle) ** 2 for one in logs) / (n - 1) - _mean([trigamma(df / 2) for _, df in told])
    if left <= 0:
        return math.inf
    low, high = 1e-6, 1e6  # trigamma falls from 1e12 to 1e-6
    for _ in range(100):
        half = math.sqrt(low * high)
        low, high = (half, high) if trigamma(half) > left else (low, half)
    return 2 * low


def digamma(x: float) -> float:
    """The derivative of the logarithm of the gamma function (Abramowitz and Stegun, 6.3.5 and 6.3.18)."""
    less = 0.0
    while x < 10:
        less, x = less + 1 / x, x + 1
    return math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6) - less


def trigamma(x: float) -> float:
    """Its derivative (Abramowitz and Stegun, 6.4.6 and 6.4.12)."""
    more = 0.0
    while x < 10:
        more, x = more + 1 / x**2, x + 1
    return 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7) + more


def _share(one: Figure, m: int) -> float:
    """P on the scale of one noisy objective."""
    return one.better if one.axis.deterministic else 1 - m * (1 - one.better)


def _figure(axis: Axis, own: Mapping[int, float], other: Mapping[int, float], known: Pools, m: int) -> Figure:
    found = _difference(axis, own, other, known)
    better, not_worse = found.above(0.0), found.above(-axis.smallest)
    if better > 1 - (1 - UP) / m and found.mean > axis.smallest:
        moved = Moved.UP
    elif 1 - better > DOWN and found.mean < -axis.smallest:
        moved = Moved.DOWN
    else:
        moved = Moved.SAFE if not_worse > SAFE else Moved.OPEN
    return Figure(axis, found, _mean([*other.values()]), better, not_worse, moved)


def _difference(axis: Axis, own: Mapping[int, float], other: Mapping[int, float], known: Pools) -> Difference:
    """The paired difference or the unpaired one, whichever has the smaller standard error."""
    one, two = [*own.values()], [*other.values()]
    mean = _mean(one) - _mean(two)
    if axis.deterministic:
        return Difference(mean, 0.0, 0.0, len(one), len(two))
    (variance, df), (variance_two, df_two) = (
        moderated(_squares(row), len(row) - 1, known.single) for row in (one, two)
    )
    a, b = variance / len(one), variance_two / len(two)
    found = [Difference(mean, math.sqrt(a + b), (a + b) ** 2 / (a * a / df + b * b / df_two), len(one), len(two))]
    pairs = [gain - other[seed] for seed, gain in own.items() if seed in other]
    variance, df = moderated(_squares(pairs), len(pairs) - 1, known.paired) if pairs else (0.0, 0.0)
    if variance:
        error = math.sqrt(variance / len(pairs))
        found.append(Difference(_mean(pairs), error, df, len(one), len(two), paired=True))
    return min(found, key=lambda each: each.error)


def _word(figures: Sequence[Figure]) -> Word:
    ups, downs = (any(one.moved is moved for one in figures) for moved in (Moved.UP, Moved.DOWN))
    if ups and downs:
        return Word.TRADE_OFF
    if ups:
        return Word.GAIN if any(one.moved is Moved.OPEN for one in figures) else Word.BETTER
    return Word.WORSE if downs else Word.INCONCLUSIVE


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values)
