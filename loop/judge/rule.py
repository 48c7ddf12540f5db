"""The rule: what follows from the differences between a candidate and the incumbent. Pure functions.

    screen   1 seed. Enough unless P > .60 on some noisy objective, or a trade-off is worth a second look
    race     up to 4 seeds, the incumbent's own. Enough unless P > .40; at 2 seeds or more and P > .95: promising

P is the probability that the candidate is better on an objective. With m noisy objectives a threshold x becomes
1 - (1 - x) / m, for any of them may pass it. A deterministic gain has P = 1 and would carry every smaller and worse
candidate along; so what loses somewhere earns more seeds only while each loss is within `give_up`, and only if no other
experiment is as good in everything with P > .90.

The words. *Up* is an objective whose mean beats its smallest effect with P > .998, shared among m; *down* one that is
worse by more than that with P > .95; *safe* one that is not worse by more than that with P > .90. The .998 is what
confirmation asks of all data together: these runs are also those for which the candidate was chosen, and the baseline's
luck is in every comparison. (With .95, in simulated studies of 60 nulls with one noisy objective, two in three called
some null *better*; with .998 one in eleven.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from loop.judge.axis import Axis, Kind
from loop.judge.noise import Difference, Pool, difference
from store.records import Evidence, Word

NAME = "balanced"
SCREEN, RACE, PROMISING = 0.60, 0.40, 0.95
RACE_SEEDS = 4
UP, DOWN, SAFE = 0.998, 0.95, 0.90
DOMINATED = 0.90

Gains = Mapping[str, Mapping[int, float]]  # by objective and seed


class Moved(StrEnum):
    """What is shown of one objective."""

    UP = "up"  # better, and by more than the smallest effect
    DOWN = "down"  # worse, and by more than the smallest effect
    SAFE = "safe"  # not worse by more than the smallest effect
    EQUAL = "equal"  # to the last digit
    OPEN = "open"  # none of these is shown


@dataclass(frozen=True, slots=True)
class Pools:
    """What the study knows of an objective's noise: within experiments, and within paired differences."""

    single: Pool
    paired: Pool


@dataclass(frozen=True, slots=True)
class Figure:
    """One objective of a verdict. `better` is the probability that the candidate is better."""

    axis: Axis
    difference: Difference
    incumbent_gain: float
    better: float
    not_worse: float  # the probability that it is not worse by more than the smallest effect
    moved: Moved


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of a candidate. `asks` for another run of it, or has enough."""

    word: Word
    evidence: Evidence
    asks: bool
    figures: tuple[Figure, ...]


def judge(
    axes: Sequence[Axis], candidate: Gains, incumbent: Gains, others: Sequence[Gains], pools: Mapping[str, Pools]
) -> Verdict:
    """The verdict on a candidate against the incumbent. `others` are the experiments that it may be no better than.

    Each has a gain of every axis for every seed that it was run on.
    """
    noisy = max(1, sum(not axis.deterministic for axis in axes))
    figures = tuple(_figure(axis, candidate[axis.name], incumbent[axis.name], pools[axis.name], noisy) for axis in axes)
    seeds = min(figure.difference.n for figure in figures)
    hopeful = 1 - (1 - PROMISING) / noisy
    word = _word(figures, hopeful)
    best = max((figure.better for figure in figures if not figure.axis.deterministic), default=0.0)
    gained = any(figure.axis.deterministic and figure.moved is Moved.UP for figure in figures)
    lost = [figure for figure in figures if figure.difference.mean < -figure.axis.smallest]
    traded = gained or bool(lost)
    worth = not traded or (
        all(-figure.difference.mean <= figure.axis.give_up for figure in lost)
        and not any(dominated(axes, candidate, other, pools) for other in others)
    )

    def passes(threshold: float) -> bool:
        return worth and (best > 1 - (1 - threshold) / noisy or gained)

    if word is Word.EQUAL or all(figure.axis.deterministic for figure in figures):
        return Verdict(word, Evidence.SCREENED, False, figures)
    if seeds < 2:
        return Verdict(word, Evidence.SCREENED, passes(SCREEN), figures)
    if passes(PROMISING):
        return Verdict(word, Evidence.PROMISING, False, figures)
    return Verdict(word, Evidence.SCREENED, seeds < RACE_SEEDS and passes(RACE), figures)


def infeasible(said: Verdict) -> Verdict:
    """The verdict on a candidate that breaks a bound, from what else is said of it: it earns no further seeds."""
    return replace(said, word=Word.INFEASIBLE, evidence=Evidence.SCREENED, asks=False)


def _figure(
    axis: Axis, candidate: Mapping[int, float], incumbent: Mapping[int, float], known: Pools, noisy: int
) -> Figure:
    """An objective with a deterministic value, or one of which no noise is known, is what its mean is."""
    found = None if axis.deterministic else difference(candidate, incumbent, known.single, known.paired)
    own = sum(incumbent.values()) / len(incumbent)
    if found is None:
        mean = sum(candidate.values()) / len(candidate) - own
        found = Difference(mean, 0.0, 0.0, len(candidate), len(incumbent))
    common = candidate.keys() & incumbent.keys() if not axis.deterministic else ()
    same = bool(common) and all(candidate[seed] == incumbent[seed] for seed in common)
    if same:  # whatever the incumbent's other seeds were
        found = Difference(0.0, 0.0, 0.0, len(candidate), len(incumbent), paired=True)
    better, not_worse = found.above(0.0), found.above(-axis.smallest)
    if same or (axis.deterministic and not found.mean):
        moved = Moved.EQUAL
    elif better > 1 - (1 - UP) / noisy and found.mean > axis.smallest:
        moved = Moved.UP
    elif 1 - better > DOWN and found.mean < -axis.smallest:
        moved = Moved.DOWN
    else:
        moved = Moved.SAFE if not_worse > SAFE else Moved.OPEN
    return Figure(axis, found, own, better, not_worse, moved)


def _word(figures: Sequence[Figure], hopeful: float) -> Word:
    """One word for all objectives together. Nothing is called worse of which a gain is more likely than `hopeful`."""
    times = [figure for figure in figures if figure.axis.kind is Kind.TIME and figure.moved is not Moved.EQUAL]
    rest = [figure for figure in figures if figure not in times]
    # A dead change: the same to the last digit at the same seed. Times never are the same, so of them it is asked that
    # none looks better; after two runs, that none is likely to be.
    if rest and all(figure.moved is Moved.EQUAL for figure in rest):
        tempting = [one for one in times if one.better > (SCREEN if one.difference.n < 2 else hopeful)]
        if not tempting and all(one.moved in (Moved.SAFE, Moved.OPEN) for one in times):
            return Word.EQUAL
    ups = any(figure.moved is Moved.UP for figure in figures)
    downs = any(figure.moved is Moved.DOWN for figure in figures)
    if ups and downs:
        return Word.TRADE_OFF
    if ups:
        return Word.GAIN if any(figure.moved is Moved.OPEN for figure in figures) else Word.BETTER
    return Word.WORSE if downs and all(one.better <= hopeful for one in figures) else Word.INCONCLUSIVE


def dominated(axes: Sequence[Axis], candidate: Gains, other: Gains, pools: Mapping[str, Pools]) -> bool:
    """Whether the other one is as good wherever it matters with P > .90, and better by what matters somewhere."""
    beaten = False
    for axis in axes:
        figure = _figure(axis, candidate[axis.name], other[axis.name], pools[axis.name], 1)
        if figure.difference.above(axis.smallest) >= 1 - DOMINATED:
            return False
        beaten = beaten or figure.difference.above(-axis.smallest) < 1 - DOMINATED
    return beaten
