"""The rule: what follows from the differences between a candidate and the incumbent. Pure functions.

    screen   1 seed. Enough unless P > .60 on some noisy objective, or a trade-off is worth a second look
    race     up to 4 seeds, the incumbent's own. Enough unless P > .40; at 2 seeds or more and P > .95: promising
    confirm  3 to 5 fresh seeds, of both. Confirmed where P > .998 on all data together, and P > .95 on the fresh seeds
             alone. Enough where P is .80 or less. Half the error, and a seed more, while few runs tell of the noise

The numbers are those of the preset *balanced*. P is the probability that the candidate is better on an objective. With
m noisy objectives a threshold x becomes 1 - (1 - x) / m, for any of them may pass it.

A deterministic gain has P = 1 and would carry every smaller and worse candidate along. So its P is that of its price:
that no loss is beyond `give_up` (on the fresh seeds alone P > .80 is enough, for there a loss only has to be near).
And what gains for certain, or loses somewhere, earns more seeds only until a loss is beyond `give_up` with P > .80, and
only if no other experiment is as good in everything with P > .90. What is confirmed has the mean of each loss within.

At the user's exchange rates what is lost may be more, while what is gained is worth more than that. There the price of
a deterministic gain is that the whole of it is worth something, and that of an objective without a rate as above.

The words. *Up* is an objective whose mean beats its smallest effect with P > .998, shared among m; *down* one that is
worse by more than that with P > .95; *safe* one that is not worse by more than that with P > .95. (With .90, in
simulated studies, half of the false confirmations were of a small loss that was called safe.)
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from loop.judge.axis import Axis, Kind
from loop.judge.noise import Difference, Pool, difference
from loop.judge.preset import Preset
from loop.judge.rates import total, value
from store.records import UP, Evidence, Word

DOWN, SAFE = 0.95, 0.95
DOMINATED = 0.90
LOST = 0.80
BEATEN = "(beaten)"

Gains = Mapping[str, Mapping[int, float]]  # by objective and seed


class Moved(StrEnum):
    """What is shown of one objective."""

    UP = "up"  # better, and by more than the smallest effect
    DOWN = "down"  # worse, and by more than the smallest effect
    SAFE = "safe"  # not worse by more than the smallest effect
    EQUAL = "equal"  # to the last digit
    OPEN = "open"  # none of these is shown


class Pools(Struct, frozen=True):
    """What the study knows of an objective's noise: within experiments, and within paired differences."""

    single: Pool
    paired: Pool


class Figure(Struct, frozen=True):
    """One objective of a verdict. `better` is the probability that the candidate is better."""

    axis: Axis
    difference: Difference
    incumbent_gain: float
    better: float
    not_worse: float  # the probability that it is not worse by more than the smallest effect
    moved: Moved


class Verdict(Struct, frozen=True):
    """What the judge says of a candidate. `asks` for another run of it, or has enough.

    What it asks for is a fresh seed where the candidate is promising, and one more of the race where it is not.
    """

    word: Word
    evidence: Evidence
    asks: bool
    figures: tuple[Figure, ...]
    chance: float | None = None  # P, on the scale of one noisy objective; None where the rule did not come to it
    fresh: int = 0  # seeds for which it was not chosen
    priced: bool = False  # it gains for certain, and P is that of its price
    worth: float | None = None  # what it is worth at the user's rates
    barred: str = ""  # a trade-off that is worth no seed: the objective of which too much is lost, or BEATEN
    by: Preset | None = None  # the thresholds, where the rule came to them


def judge(
    axes: Sequence[Axis],
    candidate: Gains,
    incumbent: Gains,
    others: Sequence[Gains],
    pools: Mapping[str, Pools],
    preset: Preset,
    fresh: Collection[int] = (),
    *,
    apart: bool = False,
) -> Verdict:
    """The verdict on a candidate against the incumbent. `others` are the experiments that it may be no better than.

    Each has a gain of every axis for every seed that it was run on; for no seed in `fresh` was the candidate chosen.
    `apart`: these are runs of the fidelity of confirmation, all of them fresh, and it was chosen by those of another.
    """
    noisy = max(1, sum(not axis.deterministic for axis in axes))
    preset = preset.known_from(max((pools[one.name].single.df for one in axes if not one.deterministic), default=0.0))
    figures = tuple(
        _figure(axis, candidate[axis.name], incumbent[axis.name], pools[axis.name], noisy, preset.confirm)
        for axis in axes
    )
    seeds = min(figure.difference.n for figure in figures)
    word = _word(figures, preset.screen, _shared(preset.promising, noisy))
    worth = value(axes, {one.axis.name: one.difference.mean for one in figures})
    if all(figure.axis.deterministic for figure in figures):
        barred = _barred(axes, figures, worth, candidate, others, pools) if word is Word.TRADE_OFF else ""
        evidence = Evidence.CONFIRMED if word in UP and not barred else Evidence.SCREENED
        return Verdict(word, evidence, False, figures, worth=worth, barred=barred)
    if word is Word.EQUAL:
        return Verdict(word, Evidence.SCREENED, False, figures, worth=worth)
    gained = any(one.axis.deterministic and one.moved is Moved.UP for one in figures)
    lost = any(one.difference.mean < -one.axis.smallest for one in figures)
    if (gained or lost) and (barred := _barred(axes, figures, worth, candidate, others, pools)):
        return Verdict(word, Evidence.SCREENED, False, figures, worth=worth, barred=barred)
    rated = worth is not None
    better, price = _surest(figures, noisy), _price(figures, rated=rated) if gained else 0.0
    chance = max(better, price)
    known = partial(
        Verdict, word, figures=figures, chance=chance, fresh=len(fresh), priced=price > better, worth=worth, by=preset
    )
    if seeds < 2 and not apart:
        return known(Evidence.SCREENED, chance > preset.screen)
    if not fresh:
        if chance > preset.promising:
            return known(Evidence.PROMISING, True)
        return known(Evidence.SCREENED, seeds < preset.race_seeds and chance > preset.race)
    least, most = preset.fresh
    if chance <= (preset.race if apart and len(fresh) < least else preset.drop):
        return known(Evidence.SCREENED, False)
    if len(fresh) >= least:
        alone = [
            _figure(one.axis, _only(fresh, candidate[one.axis.name]), incumbent[one.axis.name], pools[one.axis.name])
            for one in figures
        ]
        held = tuple(
            one if own.better > _shared(preset.promising, noisy) or one.axis.deterministic else _not_up(one)
            for one, own in zip(figures, alone, strict=True)
        )
        word = _word(held, preset.screen, _shared(preset.promising, noisy))
        shown = any(one.moved is Moved.UP and not one.axis.deterministic for one in held)
        priced = gained and price > preset.confirm and _price(alone, rated=rated) > preset.drop
        borne = all(one.difference.mean >= -bearable(one.axis) for one in figures) or (worth is not None and worth > 0)
        if word in UP and borne and (shown or priced):
            return replace(known(Evidence.CONFIRMED, False), word=word, figures=held, priced=not shown)
    return known(Evidence.PROMISING, len(fresh) < most)


def _surest(figures: Sequence[Figure], noisy: int) -> float:
    """The probability of a gain in the likeliest of the noisy objectives, on the scale of a single one."""
    return max((1 - noisy * (1 - one.better) for one in figures if not one.axis.deterministic), default=0.0)


def _price(figures: Sequence[Figure], *, rated: bool) -> float:
    """The probability that no loss is beyond what would be given up, of the likeliest loss.

    With rates it is that the whole is worth something; what would be given up is of the objectives without one.
    """
    chances = [one.difference.above(-bearable(one.axis)) for one in figures if not (rated and one.axis.worth)]
    return min([*chances, *([_worth_it(figures)] if rated else [])])


def _worth_it(figures: Sequence[Figure]) -> float:
    """The probability that what is gained is worth more than what is lost, at the user's rates."""
    return total([(one.axis, one.difference) for one in figures]).above(0.0)


def bearable(axis: Axis) -> float:
    """The loss that would still be considered: never less than what matters."""
    return max(axis.give_up, axis.smallest)


def _not_up(one: Figure) -> Figure:
    """What is shown of an objective of which the fresh seeds alone do not show that it is better."""
    moved = Moved.SAFE if one.not_worse > SAFE else Moved.OPEN
    return replace(one, moved=moved) if one.moved is Moved.UP else one


def _only(seeds: Collection[int], gains: Mapping[int, float]) -> dict[int, float]:
    return {seed: gain for seed, gain in gains.items() if seed in seeds}


def _shared(threshold: float, noisy: int) -> float:
    """A threshold that any of so many noisy objectives may pass."""
    return 1 - (1 - threshold) / noisy


def _barred(
    axes: Sequence[Axis],
    figures: Sequence[Figure],
    worth: float | None,
    candidate: Gains,
    others: Sequence[Gains],
    pools: Mapping[str, Pools],
) -> str:
    """Why a trade-off is worth no seed: a loss is beyond what would be given up, or something else beats it.

    At the user's rates what it gains may be worth more than it loses.
    """
    for one in figures if worth is None or _worth_it(figures) < 1 - LOST else ():
        if one.difference.above(-bearable(one.axis)) < 1 - LOST:
            return one.axis.name
    return BEATEN if any(dominated(axes, candidate, other, pools) for other in others) else ""


def infeasible(said: Verdict) -> Verdict:
    """The verdict on a candidate that breaks a bound, from what else is said of it: it earns no further seeds."""
    return replace(said, word=Word.INFEASIBLE, evidence=Evidence.SCREENED, asks=False)


def _figure(
    axis: Axis,
    candidate: Mapping[int, float],
    incumbent: Mapping[int, float],
    known: Pools,
    noisy: int = 1,
    up: float = 1.0,
) -> Figure:
    """What is shown of an objective."""
    found, same = _difference(axis, candidate, incumbent, known)
    better, not_worse = found.above(0.0), found.above(-axis.smallest)
    if same or (axis.deterministic and not found.mean):
        moved = Moved.EQUAL
    elif better > _shared(up, noisy) and found.mean > axis.smallest:
        moved = Moved.UP
    elif 1 - better > DOWN and found.mean < -axis.smallest:
        moved = Moved.DOWN
    else:
        moved = Moved.SAFE if not_worse > SAFE else Moved.OPEN
    return Figure(axis, found, _mean(incumbent), better, not_worse, moved)


def _difference(
    axis: Axis, candidate: Mapping[int, float], other: Mapping[int, float], known: Pools
) -> tuple[Difference, bool]:
    """The difference, and whether it is none to the last digit on the same seeds, whatever the other's others were.

    A deterministic value, or one of which no noise is known, is what its mean is.
    """
    if not axis.deterministic:
        common = candidate.keys() & other.keys()
        if common and all(candidate[seed] == other[seed] for seed in common):
            return Difference(0.0, 0.0, 0.0, len(candidate), len(other), paired=True), True
        if found := difference(candidate, other, known.single, known.paired):
            return found, False
    return Difference(_mean(candidate) - _mean(other), 0.0, 0.0, len(candidate), len(other)), False


def _mean(gains: Mapping[int, float]) -> float:
    return sum(gains.values()) / len(gains)


def _word(figures: Sequence[Figure], tempting: float, hopeful: float) -> Word:
    """One word for all objectives together. Nothing is called worse of which a gain is more likely than `hopeful`."""
    costs = [one for one in figures if one.axis.kind is not Kind.QUALITY and one.moved is not Moved.EQUAL]
    costs = [one for one in costs if not one.axis.deterministic]
    rest = [figure for figure in figures if figure not in costs]
    # A dead change: the same to the last digit at the same seed. Times, peaks of memory and other costs with noise are
    # never the same, so of them it is asked that none looks better; after two runs, that none is likely to be.
    if rest and all(figure.moved is Moved.EQUAL for figure in rest):
        less = [one for one in costs if one.better > (tempting if one.difference.n < 2 else hopeful)]
        if not less and all(one.moved in (Moved.SAFE, Moved.OPEN) for one in costs):
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
    for axis in sorted(axes, key=lambda axis: not axis.deterministic):  # what is soon said first
        found, _ = _difference(axis, candidate[axis.name], other[axis.name], pools[axis.name])
        if found.above(axis.smallest) >= 1 - DOMINATED:
            return False
        beaten = beaten or found.above(-axis.smallest) < 1 - DOMINATED
    return beaten
