"""The frontier: the experiments that no other one epsilon-dominates, and how much they gain together.

Every value becomes a *gain* over the baseline, higher is better and without a unit: a share of the baseline's value for
a quality, the logarithm of the ratio for a cost. Counted in smallest effects a gain is cut to whole ones, so that less
than one is no difference to the baseline; of those that are equal then the oldest stays (the epsilon-Pareto archive of
Laumanns et al., Evolutionary Computation 10(3), 2002, with the baseline in the middle of a box). The reference point is
frozen at the study's start, the baseline made 10 % worse: what is measured against the range of the points is fooled by
one silly point. Dominance and hypervolume are moocore's.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.study import Effect, Objective
from store.records import Frontier, Point, Reference

WORSE = 0.1  # the reference point: the baseline, by this share in the bad direction
FARTHEST = 1e9  # a gain or loss beyond which farther is no worse: a diverged loss may be any number
FINEST = 1e-9  # a smallest effect of none at all is still no difference of floating-point noise

# What a quantity is, by a word of its name: the default of its smallest effect. A cost is compared by ratio.
COSTS = {
    re.compile(r"(^|_)(seconds?|minutes|hours|ms|us|ns|latency|joules|price)(_|$)"): 0.05,
    re.compile(r"(^|_)(bytes|parameters|params|flops|weights|lines)(_|$)"): 0.01,
}
QUALITY = 0.002


@dataclass(frozen=True, slots=True)
class Axis:
    """One objective as the frontier sees it."""

    name: str
    maximize: bool
    log: bool
    base: float  # the baseline's value when the study started
    smallest: float  # effect that matters, as a gain

    def gain(self, value: float) -> float:
        """How much better than the baseline."""
        if self.log:
            ratio = math.log(max(value, self.base * FINEST, sys.float_info.min)) - math.log(self.base)
        else:
            ratio = min(max((value - self.base) / _unit(self.base), -FARTHEST), FARTHEST)
        return ratio if self.maximize else -ratio

    def effects(self, value: float) -> int:
        """The same in whole smallest effects."""
        return math.trunc(self.gain(value) / self.smallest + math.copysign(FINEST, self.gain(value)))

    @property
    def floor(self) -> float:
        """The gain of the reference point."""
        return math.log1p(-WORSE) if self.log and self.maximize else -math.log1p(WORSE) if self.log else -WORSE

    @property
    def reference(self) -> float:
        """The value of the reference point."""
        worse = -WORSE if self.maximize else WORSE
        value = self.base * (1 + worse) if self.log else self.base + worse * _unit(self.base)
        return min(max(value, -sys.float_info.max), sys.float_info.max)


def _unit(base: float) -> float:
    """What a share is taken of: the baseline's value, or one where that is zero."""
    return abs(base) or 1.0


def axis(name: str, objective: Objective, base: float) -> Axis:
    """An objective and the baseline's value of it, made into an axis."""
    share = next((share for word, share in COSTS.items() if word.search(name)), None)
    log = share is not None and base > 0
    effect = objective.smallest or Effect(size=QUALITY if share is None else share, relative=True)
    size = effect.size if effect.relative else effect.size / _unit(base)
    return Axis(name, objective.direction == "maximize", log, base, max(math.log1p(size) if log else size, FINEST))


def references(axes: Sequence[Axis]) -> tuple[Reference, ...]:
    """The point against which everything is measured, as the record keeps it."""
    return tuple(
        Reference(axis.name, "maximize" if axis.maximize else "minimize", axis.base, axis.reference) for axis in axes
    )


def frontier(axes: Sequence[Axis], measured: Mapping[int, Mapping[str, float]]) -> Frontier:
    """The frontier of experiments, given by number with the mean of each objective.

    The hypervolume is in units of the baseline's own, which is therefore 1. The balanced pick is the member with the
    largest box against the reference point. One that lacks an objective is left out.
    """
    import moocore

    names = [axis.name for axis in axes]
    numbers = sorted(number for number, values in measured.items() if all(name in values for name in names))
    if not numbers:
        return Frontier((), 0.0)
    gains = [[axis.gain(measured[number][axis.name]) for axis in axes] for number in numbers]
    effects = [[float(axis.effects(measured[number][axis.name])) for axis in axes] for number in numbers]
    on = moocore.is_nondominated(effects, maximise=True)  # of equal ones the first, which is the oldest
    floor = [axis.floor for axis in axes]
    boxes = [math.prod(max(0.0, gain - least) for gain, least in zip(row, floor, strict=True)) for row in gains]
    own = math.prod(-least for least in floor)
    balanced = max((index for index in range(len(numbers)) if on[index]), key=lambda index: (boxes[index], -index))
    return Frontier(
        tuple(Point(number, index == balanced) for index, number in enumerate(numbers) if on[index]),
        float(moocore.hypervolume(gains, ref=floor, maximise=True)) / own,
    )
