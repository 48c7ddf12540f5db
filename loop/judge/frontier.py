"""The frontier: the experiments that no other one epsilon-dominates, how sure each is of its place, and their gain.

Counted in smallest effects a gain is cut to whole ones, so that less than one is no difference to the baseline; of
those that are equal then one stays: the surest, of these the smallest change, of these the oldest (the epsilon-Pareto
archive of Laumanns et al., Evolutionary Computation 10(3), 2002, with the baseline in the middle of a box). The
reference point is frozen with the baseline, which it makes 10 % worse: what is measured against the range of the points
is fooled by one silly point. Dominance and hypervolume are moocore's.

A point is where its mean is, and its mean is not where it is in truth. So each has the probability of being on the
frontier: of draws of all means from what is known of them (the moderated t of `noise.py`), the share in which nothing
dominates it. Only the others that are likeliest to do so are drawn, for the rest would change nothing; and each
independently, though runs of equal seed share some of their luck.
"""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from loop.judge.axis import FINEST, Axis
from loop.judge.noise import Pool
from loop.judge.rates import value
from store.records import Frontier, Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

DRAWS = 400  # of the true means: a probability is known to .025
RIVALS = 32  # of each point, in the draws
ROWS = 64  # at first


class Table:
    """The runs of many experiments in few numbers, a row each, an objective a column. It grows."""

    def __init__(self, objectives: int) -> None:
        import numpy as np

        self.there: Flags = np.zeros(ROWS, dtype=bool)
        self.runs: Floats = np.ones(ROWS)
        self.gains: Floats = np.zeros((ROWS, objectives))  # the means
        self.squares: Floats = np.zeros((ROWS, objectives))  # sums, of the deviations from the mean
        self.sizes: Floats = np.zeros(ROWS)  # of the changes, in lines; of what nobody counted none, for it is older

    def put(self, number: int, gains: Sequence[Sequence[float]] | None, lines: float | None = None) -> None:
        """The gains of an experiment's runs, an objective each, and how many lines it changes; no gains take it out."""
        import numpy as np

        if number >= len(self.there):
            more = number + 1
            self.there = np.concatenate([self.there, np.zeros(more, dtype=bool)])
            self.runs = np.concatenate([self.runs, np.ones(more)])
            self.sizes = np.concatenate([self.sizes, np.zeros(more)])
            for name in ("gains", "squares"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros((more, old.shape[1]))]))
        self.there[number] = gains is not None
        if gains is not None:
            means = [math.fsum(own) / len(own) for own in gains]
            self.runs[number] = min(map(len, gains))
            self.sizes[number] = lines or 0
            self.gains[number] = means
            self.squares[number] = [
                math.fsum((gain - mean) ** 2 for gain in own) for own, mean in zip(gains, means, strict=True)
            ]

    def row(self, number: int) -> tuple[float, ...] | None:
        """The means of an experiment; None where it is not there."""
        there = number < len(self.there) and self.there[number]
        return tuple(self.gains[number].tolist()) if there else None


class Sure(Struct, frozen=True):
    """The experiments whose place rests on more than the runs that put them there; and the incumbent."""

    confirmed: Collection[int] = ()
    promising: Collection[int] = ()
    trunk: int = 0


def frontier(axes: Sequence[Axis], table: Table, pools: Sequence[Pool] = (), sure: Sure | None = None) -> Frontier:
    """The frontier of the experiments in a table, whose columns are these objectives. `pools` is their noise.

    Hypervolumes are in units of the baseline's own, which is therefore 1: of what is confirmed, and of what is
    promising besides. The balanced pick is the member of most worth at the user's rates, or else with the largest box
    against the reference point, of those that more than one run has put there, if there are any.
    """
    import moocore
    import numpy as np

    known, numbers = sure or Sure(), np.flatnonzero(table.there)
    if not len(numbers):
        return Frontier()
    evidence = np.isin(numbers, [0, known.trunk, *known.confirmed]) * 2 + np.isin(numbers, [*known.promising])
    order = np.lexsort((numbers, table.sizes[numbers], -evidence))  # of equal ones the first stays
    numbers, evidence = numbers[order], evidence[order]
    gains = table.gains[numbers]
    floor = np.array([axis.floor for axis in axes])
    cut = effects(axes, gains)
    on = np.flatnonzero(moocore.is_nondominated(cut, maximise=True))
    on = on[np.argsort(numbers[on])]
    boxes = np.prod(np.maximum(gains[on] - floor, 0.0), axis=1)
    seeded = evidence[on] > 0
    first = seeded if seeded.any() else np.ones(len(on), dtype=bool)
    names = [axis.name for axis in axes]
    worth = [value(axes, dict(zip(names, row, strict=True))) for row in gains[on].tolist()]
    known_worth = [-math.inf if one is None else one for one in worth]
    balanced = max(range(len(on)), key=list(zip(first.tolist(), known_worth, boxes.tolist(), strict=True)).__getitem__)
    chances = _chances(axes, table, pools, numbers, cut, on)

    def volume(*some: int) -> float:
        """Of these and the baseline, which stands where it was frozen, whatever its later runs have come to."""
        rows = np.concatenate([np.zeros((int(table.there[0]), len(axes))), gains[np.isin(numbers, some)]])
        return float(moocore.hypervolume(rows, ref=floor, maximise=True)) / float(np.prod(-floor)) if len(rows) else 0.0

    return Frontier(
        tuple(
            Point(int(number), index == balanced, chance)
            for index, (number, chance) in enumerate(zip(numbers[on], chances, strict=True))
        ),
        volume(*known.confirmed),
        volume(*known.confirmed, *known.promising),
        len(numbers),
    )


def effects(axes: Sequence[Axis], gains: "Floats") -> "Floats":
    """Gains, an axis a column, in whole smallest effects; a hair less than a whole one is one."""
    import numpy as np

    return np.trunc(gains / [axis.smallest for axis in axes] + np.copysign(FINEST, gains))


def _chances(
    axes: Sequence[Axis], table: Table, pools: Sequence[Pool], numbers: "NDArray[np.int64]", cut: "Floats",
    on: "NDArray[np.int64]",
) -> list[float | None]:  # fmt: skip
    """The probability of each member to be on the frontier in truth. None where nothing is known of some noise."""
    import numpy as np

    noisy = np.array([not axis.deterministic for axis in axes])
    if not pools or any(not pool.df for pool, counts in zip(pools, noisy, strict=True) if counts):
        return [None] * len(on)
    prior = np.array([pool.prior_df for pool in pools])
    variance = np.array([pool.variance for pool in pools])
    gains, runs = table.gains[numbers], table.runs[numbers][:, None]
    df = np.where(noisy, prior + runs - 1, 1.0)
    errors = np.sqrt(np.where(noisy, (prior * variance + table.squares[numbers]) / df / runs, 0.0))
    smallest = np.array([axis.smallest for axis in axes])
    # What is worse by less than matters may be as good: counted in effects where they are certain.
    near = np.where(noisy, gains, cut)
    rivals = [_rivals(one, near, errors, np.where(noisy, smallest, 0.0)) for one in on]
    drawn = np.unique(np.concatenate([on, *rivals]))
    at = {int(row): index for index, row in enumerate(drawn)}
    luck = np.random.default_rng(0).standard_t(np.broadcast_to(df[drawn], (DRAWS, *df[drawn].shape)))
    boxes = effects(axes, gains[drawn] + errors[drawn] * luck)
    boxes[:, :, ~noisy] = cut[drawn][:, ~noisy]
    chances: list[float | None] = []
    for one, others in zip(on, rivals, strict=True):
        own = boxes[:, [at[int(one)]], :]
        theirs = boxes[:, [at[int(row)] for row in others], :]
        beaten = (theirs >= own).all(axis=2) & ((theirs > own).any(axis=2) | (others < one))
        chances.append(round(1.0 - float(beaten.any(axis=1).mean()), 3))
    return chances


def _rivals(one: int, gains: "Floats", errors: "Floats", margin: "Floats") -> "NDArray[np.int64]":
    """The rows that are likeliest to dominate a row: nowhere worse than by a margin."""
    import numpy as np

    ahead = gains - gains[one] + margin
    spread = np.sqrt(errors**2 + errors[one] ** 2)
    likely = np.where(spread > 0, ahead / np.where(spread > 0, spread, 1.0), np.where(ahead < 0, -np.inf, np.inf))
    least = likely.min(axis=1)
    least[one] = -np.inf
    best = np.argpartition(-least, min(RIVALS, len(least) - 1))[:RIVALS]
    return np.array([row for row in best if least[row] > -np.inf], dtype=np.int64)
