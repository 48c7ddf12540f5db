"""What we know of the noise: how sure a difference between two experiments is, from a few runs of each.

Sigma differs several times between variants of one script, and one that is estimated from two or three seeds can be off
by half. So each experiment's variance is *moderated*: shrunk towards the pool of all experiments that have been run
more than once (the empirical Bayes t of Smyth, Statistical Applications in Genetics and Molecular Biology 3(1), 2004).
Everything here is of one objective, in gains: higher is better.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

PRIOR_DF = 4.0  # what the pool counts for in each experiment's variance: as much as five runs
WILDEST = 16.0  # times the median: what explodes does not blind the judge to all others
NORMAL_FROM = 1e7  # degrees of freedom: Student's t is the normal one, and the logarithms below lose their last digits

ROUNDING = 1e-12  # of a value: what another order of the same additions changes


def agree(values: Sequence[float]) -> bool:
    """Whether values are the same, but for rounding."""
    low, high = min(values), max(values)
    return low == high or high - low <= ROUNDING * max(abs(low), abs(high))


class Pool(Struct, frozen=True):
    """The variance of the study's runs within experiments: its degrees of freedom, and how much it counts for."""

    variance: float
    df: float
    prior_df: float


class Difference(Struct, frozen=True):
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


class Groups:
    """The variances within groups of values, each the runs of one experiment, or its paired differences."""

    def __init__(self) -> None:
        self._of: dict[int, tuple[float, int]] = {}  # variance and degrees of freedom
        self._told: list[tuple[float, int]] = []  # those that are not zero, in order
        self._df = 0
        self._pool: Pool | None = None

    def put(self, key: int, values: Sequence[float]) -> None:
        """The values of a group, anew where they are others. One of a single value, or of none, says nothing."""
        self._pool = None
        if old := self._of.pop(key, None):
            self._df -= old[1]
            if old[0] > 0:
                del self._told[bisect_left(self._told, old)]
        if len(values) > 1:
            new = self._of[key] = (_squares(values) / (len(values) - 1), len(values) - 1)
            self._df += new[1]
            if new[0] > 0:
                insort(self._told, new)

    def pool(self) -> Pool:
        """What all of them together say."""
        if self._pool is None:
            df, told = float(self._df), self._told
            most = WILDEST * _median(told)
            variance = sum(min(variance, most) * own for variance, own in told) / df if told else 0.0
            self._pool = Pool(variance, df, min(PRIOR_DF, df))
        return self._pool


def pool(groups: Iterable[Sequence[float]]) -> Pool:
    """The pool of the variances within these groups."""
    found = Groups()
    for key, group in enumerate(groups):
        found.put(key, group)
    return found.pool()


def _median(variances: Sequence[tuple[float, int]]) -> float:
    """The low median of sorted variances, each of the weight of its df: the baseline counts for two or three others."""
    half, heard = sum(own for _, own in variances) / 2, 0
    for variance, own in variances:
        heard += own
        if heard >= half:
            return variance
    return 0.0


def moderated(squares: float, own_df: float, known: Pool) -> tuple[float, float]:
    """A variance from its sum of squares, shrunk towards the pool; and its degrees of freedom."""
    df = known.prior_df + own_df
    return ((known.prior_df * known.variance + squares) / df, df) if df else (0.0, 0.0)


def difference(
    candidate: Mapping[int, float], other: Mapping[int, float], known: Pool, known_paired: Pool
) -> Difference | None:
    """How much better the candidate is than the other one, from the gains of each by seed.

    The paired difference over common seeds, or the unpaired one of all runs, whichever has the smaller standard error
    (Welch's, with Satterthwaite's degrees of freedom, though never more than all runs of the study have: the pool,
    which counts for each of the two, is made of them). None where nothing is known of the noise.
    """
    found = []
    one, two = list(candidate.values()), list(other.values())
    (variance, df), (variance_two, df_two) = (moderated(_squares(row), len(row) - 1, known) for row in (one, two))
    if df and df_two:
        a, b = variance / len(one), variance_two / len(two)
        whole = (a + b) ** 2 / (a * a / df + b * b / df_two) if a + b else df + df_two
        whole = min(whole, known.df or whole)
        found.append(Difference(_mean(one) - _mean(two), math.sqrt(a + b), whole, len(one), len(two)))
    pairs = [gain - other[seed] for seed, gain in candidate.items() if seed in other]
    if pairs and known_paired.df >= PRIOR_DF:  # less says nothing of pairs, and by luck a lot
        variance, df = moderated(_squares(pairs), len(pairs) - 1, known_paired)
        df = min(df, known_paired.df)
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
