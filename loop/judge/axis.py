"""One objective as the judge sees it: values become gains over the baseline, higher is better and without a unit.

A gain is a share of the baseline's value for a quality, the logarithm of the ratio for a cost: a cost is compared by
ratio. `scale` in [objectives] says otherwise. What matters, what would be given up, and what is worth as much as the
other rates are, are sizes of gain.
"""

import math
import re
import sys
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from loop.study import CHANGED_LINES, Effect, Objective
from store.records import Reference

WORSE = 0.1  # the reference point: the baseline, by this share in the bad direction
FARTHEST = 1e9  # a gain or loss beyond which farther is no worse: a diverged loss may be any number
FINEST = 1e-9  # a smallest effect of none at all is still no difference of floating-point noise
GIVE_UP = 0.02  # of a quality; what a cost may rise by is only bounded where the file says so
LINES = 1000.0  # that are changed, of which shares are taken: the baseline changes none
NOISE_SHARE = 0.5  # of a standard deviation: less of a quality does not matter by default


class Kind(StrEnum):
    """What a quantity is, by a word of its name."""

    TIME = "time"
    COUNT = "count"
    QUALITY = "quality"


COSTS = {
    Kind.TIME: re.compile(r"(^|_)(seconds?|minutes|hours|ms|us|ns|latency|joules|price)(_|$)"),
    Kind.COUNT: re.compile(r"(^|_)(bytes|parameters|params|flops|weights|lines)(_|$)"),
}
SMALLEST = {Kind.TIME: 0.05, Kind.COUNT: 0.01, Kind.QUALITY: 0.002}


def never_repeats(name: str) -> bool:
    """Whether a quantity is one of the machine, a time or a peak of memory: no run has the same one twice."""
    return bool(COSTS[Kind.TIME].search(name)) or name.startswith("peak_")


class Axis(Struct, frozen=True):
    """One objective against the baseline. `smallest`, `give_up` and `worth` are sizes of gain."""

    name: str
    label: str
    kind: Kind
    maximize: bool
    log: bool
    base: float  # the baseline's value
    unit: float  # of which a share is taken: that value, or one where it is zero
    smallest: float  # effect that matters
    give_up: float  # loss that would still be considered
    deterministic: bool  # one run says it all
    worth: float | None = None  # gain that is worth as much as that of every other objective with a rate

    def gain(self, value: float) -> float:
        """How much better than the baseline."""
        if self.log:
            ratio = math.log(max(value, self.base * FINEST, sys.float_info.min)) - math.log(self.base)
        else:
            ratio = min(max((value - self.base) / self.unit, -FARTHEST), FARTHEST)
        return ratio if self.maximize else -ratio

    def change(self, difference: float, gain: float) -> float:
        """What a difference in gain, from something of this gain, is as a share of that one's value; up is more."""
        signed = difference if self.maximize else -difference
        if self.log:
            return math.expm1(min(signed, 700.0))
        return signed * self.unit / (abs(self.value(gain)) or 1.0)

    def value(self, gain: float) -> float:
        """The value that is so much better than the baseline's."""
        signed = gain if self.maximize else -gain
        return self.base * math.exp(min(signed, 700.0)) if self.log else self.base + signed * self.unit

    @property
    def floor(self) -> float:
        """The gain of the reference point."""
        return math.log1p(-WORSE) if self.log and self.maximize else -math.log1p(WORSE) if self.log else -WORSE

    @property
    def reference(self) -> float:
        """The value of the reference point."""
        worse = -WORSE if self.maximize else WORSE
        value = self.base * (1 + worse) if self.log else self.base + worse * self.unit
        return min(max(value, -sys.float_info.max), sys.float_info.max)


def kind(name: str) -> Kind:
    """What a quantity is."""
    return next((one for one, word in COSTS.items() if word.search(name)), Kind.QUALITY)


def axis(
    name: str,
    objective: Objective,
    base: float,
    sigma: float = 0.0,
    *,
    constant: bool = False,
    worth: Effect | None = None,
) -> Axis:
    """An objective and the baseline's value of it, made into an axis.

    `sigma` is the standard deviation of its gains, 0 where it is not known; `constant` says that the baseline's runs
    agree to the last digit: then a count is taken to be deterministic without being called so. `worth` is its rate. Of
    a baseline of zero or less there is no logarithm: then the scale is linear, whatever it should be.
    """
    what = kind(name)
    log = base > 0 and (what is not Kind.QUALITY if objective.scale is None else objective.scale == "log")
    unit = LINES if name == CHANGED_LINES else abs(base) or 1.0

    def gain(effect: Effect) -> float:
        size = effect.size if effect.relative else effect.size / unit
        return math.log1p(size) if log else size

    smallest = gain(objective.smallest or Effect(size=SMALLEST[what], relative=True))
    if objective.smallest is None and what is Kind.QUALITY:
        smallest = max(smallest, NOISE_SHARE * sigma)
    own = objective.give_up or (Effect(size=GIVE_UP, relative=True) if what is Kind.QUALITY else None)
    return Axis(
        name=name,
        label=objective.label or name,
        kind=what,
        maximize=objective.direction == "maximize",
        log=log,
        base=base,
        unit=unit,
        smallest=max(smallest, FINEST),
        give_up=gain(own) if own else math.inf,
        deterministic=objective.deterministic or (constant and what is Kind.COUNT),
        worth=max(gain(worth), FINEST) if worth else None,
    )


def references(axes: Sequence[Axis], runs: int) -> tuple[Reference, ...]:
    """The point against which everything is measured, as the record keeps it."""
    return tuple(
        Reference(axis.name, "maximize" if axis.maximize else "minimize", axis.base, axis.reference, runs)
        for axis in axes
    )
