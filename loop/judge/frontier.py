"""The frontier: the experiments that no other one epsilon-dominates, and how much they gain together.

Counted in smallest effects a gain is cut to whole ones, so that less than one is no difference to the baseline; of
those that are equal then the oldest stays (the epsilon-Pareto archive of Laumanns et al., Evolutionary Computation
10(3), 2002, with the baseline in the middle of a box). The reference point is frozen with the baseline, which it makes
10 % worse: what is measured against the range of the points is fooled by one silly point. Dominance and hypervolume are
moocore's.
"""

import math
from collections.abc import Mapping, Sequence

from loop.judge.axis import Axis
from store.records import Frontier, Point


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
