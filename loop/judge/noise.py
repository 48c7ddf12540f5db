"""What we know of the noise: how sure a difference between two experiments is, from a few runs of each.

Sigma differs several times between variants of one script, and one that is estimated from two or three seeds can be off
by half. So each experiment's variance is *moderated*: shrunk towards the pool of all experiments that have been run
more than once (the empirical Bayes t of Smyth, Statistical Applications in Genetics and Molecular Biology 3(1), 2004).
Everything here is of one objective, in gains: higher is better.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PRIOR_DF = 4.0  # what the pool counts for in each experiment's variance, until there is enough to tell
WILDEST = 16.0  # times the median: what explodes does not blind the judge to all others
NORMAL_FROM = 1e7  # degrees of freedom: Student's t is the normal one, and the logarithms below lose their last digits
MOMENTS_FROM = 20  # experiments with two runs or more: then what the pool counts for is estimated


@dataclass(frozen=True, slots=True)
class Pool:
    """The variance of the study's runs within experiments: its degrees of freedom, and how much it counts for."""

    variance: float
    df: float
    prior_df: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A candidate's gain over another experiment's. `error` is its standard error."""

    mean: float
    error: float
    df: float
    n: int  # runs of the candidate
    n_other: int
    paired: bool = False

    def above(self, effect: float) -> float:
        """The probability that the true difference is more than this."""
        if not self.error:
            return 0.5 if self.mean == effect else float(self.mean > effect)
        return student((self.mean - effect) / self.error, self.df)

    def either_way(self, share: float) -> float:
        """How far from the mean, either way, the true difference lies with this probability."""
        return quantile((1 + share) / 2, self.df) * self.error if self.error else 0.0


def pool(groups: Iterable[Sequence[float]]) -> Pool:
    """The pool of the variances within these groups: each is the runs of one experiment, or its paired differences."""
    sums = [(_squares(group), len(group) - 1) for group in groups if len(group) > 1]
    df = float(sum(own for _, own in sums))
    if not df:
        return Pool(0.0, 0.0, 0.0)
    told = [(squares / own, own) for squares, own in sums if squares > 0]
    most = WILDEST * _median(told) if told else 0.0
    variance = sum(min(squares, most * own) for squares, own in sums) / df
    if len(told) < MOMENTS_FROM:
        return Pool(variance, df, min(PRIOR_DF, df))
    return _moments(told, df)


def _median(variances: Sequence[tuple[float, int]]) -> float:
    """The low median of variances, each of the weight of its df: the baseline counts for two candidates or three."""
    half, heard = sum(own for _, own in variances) / 2, 0
    for variance, own in sorted(variances):
        heard += own
        if heard >= half:
            return variance
    return 0.0


def _moments(variances: Sequence[tuple[float, int]], df: float) -> Pool:
    """The prior that these variances, each with its df, come from: Smyth (2004), section 6.2."""
    logs = [math.log(variance) - _digamma(own / 2) + math.log(own / 2) for variance, own in variances]
    mean, n = math.fsum(logs) / len(logs), len(logs)
    spread = math.fsum((one - mean) ** 2 for one in logs) / (n - 1)
    excess = spread - math.fsum(_trigamma(own / 2) for _, own in variances) / n
    prior_df = min(2 * _inverse_trigamma(excess), df) if excess > 0 else df
    return Pool(math.exp(mean + _digamma(prior_df / 2) - math.log(prior_df / 2)), df, prior_df)


def moderated(squares: float, own_df: float, known: Pool) -> tuple[float, float]:
    """A variance from its sum of squares, shrunk towards the pool; and its degrees of freedom."""
    df = known.prior_df + own_df
    return ((known.prior_df * known.variance + squares) / df, df) if df else (0.0, 0.0)


def difference(
    candidate: Mapping[int, float], other: Mapping[int, float], known: Pool, known_paired: Pool
) -> Difference | None:
    """How much better the candidate is than the other one, from the gains of each by seed.

    The paired difference over common seeds, or the unpaired one of all runs, whichever has the smaller standard error
    (Welch's, with Satterthwaite's degrees of freedom). None where nothing is known of the noise.
    """
    found = []
    one, two = list(candidate.values()), list(other.values())
    (variance, df), (variance_two, df_two) = (moderated(_squares(row), len(row) - 1, known) for row in (one, two))
    if df and df_two:
        a, b = variance / len(one), variance_two / len(two)
        whole = (a + b) ** 2 / (a * a / df + b * b / df_two) if a + b else df + df_two
        found.append(Difference(_mean(one) - _mean(two), math.sqrt(a + b), whole, len(one), len(two)))
    pairs = [gain - other[seed] for seed, gain in candidate.items() if seed in other]
    if pairs and known_paired.df >= PRIOR_DF:  # less says nothing of pairs, and by luck a lot
        variance, df = moderated(_squares(pairs), len(pairs) - 1, known_paired)
        found.append(Difference(_mean(pairs), math.sqrt(variance / len(pairs)), df, len(one), len(two), paired=True))
    return min(found, key=lambda known: known.error) if found else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values)


# --- functions of statistics: scipy would take 113 MB and a second to import ----------------------------------------


def student(t: float, df: float) -> float:
    """The probability that Student's t with `df` degrees of freedom is below `t`."""
    if math.isinf(t):
        return float(t > 0)
    if df > NORMAL_FROM:
        return math.erfc(-t / math.sqrt(2)) / 2
    tail = _incomplete_beta(df / (df + t * t), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


def quantile(p: float, df: float) -> float:
    """The t below which Student's t is with probability `p`: by doubling until it is passed, then by halving."""
    if math.isnan(p) or not df > 0:
        return math.nan
    if p <= 0 or p >= 1:
        return math.inf if p >= 1 else -math.inf
    if p <= 0.5:
        return -quantile(1 - p, df) if p < 0.5 else 0.0
    low, high = 0.0, 1.0
    while student(high, df) < p:
        low, high = high, high * 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if student(middle, df) < p else (low, middle)
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz; Numerical Recipes 6.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 / ((1 + step * d) or tiny)
            c = (1 + step / c) or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction


def _digamma(x: float) -> float:
    """By recurrence to a large argument, and its asymptotic series there (Abramowitz and Stegun 6.3.18)."""
    shift = 0.0
    while x < 10:
        shift, x = shift - 1 / x, x + 1
    square = 1 / (x * x)
    return (
        shift + math.log(x) - 1 / (2 * x) - square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    )


def _trigamma(x: float) -> float:
    """By recurrence and its asymptotic series (Abramowitz and Stegun 6.4.12)."""
    shift = 0.0
    while x < 10:
        shift, x = shift + 1 / (x * x), x + 1
    square = 1 / (x * x)
    return shift + 1 / x + square / 2 + square / x * (1 / 6 - square * (1 / 30 - square * (1 / 42 - square / 30)))


def _inverse_trigamma(y: float) -> float:
    """The x of which the trigamma function is y, by halving: it falls all the way."""
    low, high = 1e-8, 1e8
    while high / low > 1 + 1e-12:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _trigamma(middle) > y else (low, middle)
    return low
