"""The user's exchange rates: what a trade-off is worth. Pure functions.

`[study] worth` names effects that are worth as much as each other. A difference is worth the sum of its gains, each in
units of its objective's rate: what two per cent more of one is worth, where one per cent is its rate, is two. Rates
decide who earns seeds and the order of offers, and never a word of a verdict.
"""

from collections.abc import Mapping, Sequence
from math import fsum

from loop.judge.axis import Axis
from loop.judge.noise import Difference


def value(axes: Sequence[Axis], gains: Mapping[str, float]) -> float | None:
    """What a difference is worth, given by its gain of each axis. Nothing is known to make up for what has no rate.

    So None where an objective without one loses more than its smallest effect; and where there are no rates at all.
    """
    rated = [gains[axis.name] / axis.worth for axis in axes if axis.worth]
    if not rated or any(gains[axis.name] < -axis.smallest for axis in axes if not axis.worth):
        return None
    return fsum(rated)


def total(differences: Sequence[tuple[Axis, Difference]]) -> Difference:
    """What measured differences are worth, of the objectives that have a rate, with the standard error of that.

    The objectives are taken to be independent; the degrees of freedom are Satterthwaite's.
    """
    parts = [(known, axis.worth) for axis, known in differences if axis.worth]
    variances = [((known.error / rate) ** 2, known.df) for known, rate in parts]
    variance = fsum(own for own, _ in variances)
    squares = fsum(own**2 / df for own, df in variances if own)
    return Difference(
        mean=fsum(known.mean / rate for known, rate in parts),
        error=variance**0.5,
        df=variance**2 / squares if squares else 0.0,
        n=min(known.n for known, _ in parts),
        n_other=min(known.n_other for known, _ in parts),
    )
