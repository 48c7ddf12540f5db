"""The lift: what a proposer's device-hours bought, against those of the numeric floor.

A yield is a ratio of sums, so its bootstrap is kept as sums: in each replicate an experiment counts as often as a
Poisson draw of mean 1 says, which is drawn from the study's seed and the experiment's number alone. So an experiment
more adds to each sum, one that changes is taken out and put in again, and the whole takes the same however long the
study is. Poisson bootstrap: Chamandy et al., Estimating uncertainty for massive data streams, 2012.

Where nothing of a side has gained its replicates say nothing: they are all 0. Of experiments in which nothing was
found, 3.7 (ln 40) might have been expected at the most: with more, the chance of none is below the 2.5 % that the other
end leaves out, too. (The rule of three is the same of a bound on one side alone.) So the end of the interval that rests
on that side is as if it had gained 3.7 times what a gaining experiment of the study gains.
"""

from collections.abc import Iterable, Mapping
from math import log
from typing import TYPE_CHECKING

from msgspec import Struct, field

from store.records import PERSON
from store.yields import HOUR, LEAST, Kind, Lift

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FLOOR = "optimiser"  # the proposer that takes no model; also its draws at random, before the estimator has enough
REPLICATES = 1000
ENDS = (0.025, 0.975)  # of the interval
MISSED = -log(ENDS[0])  # gaining experiments, that one is to reckon with where there were none: 3.69


class Side(Struct):
    """The experiments of one proposer that have run: what they gained and took, in truth and in each replicate."""

    experiments: int = 0
    gaining: int = 0
    gain: float = 0.0
    seconds: float = 0.0
    gains: "Floats" = field(default_factory=lambda: _zeros())
    costs: "Floats" = field(default_factory=lambda: _zeros())

    @property
    def hourly(self) -> float:
        """The yield for an hour of a device."""
        return self.gain / self.seconds * HOUR if self.gaining and self.seconds > 0 else 0.0

    @property
    def replicates(self) -> "Floats":
        """The same in each replicate."""
        import numpy as np

        there = self.costs > 1e-9 * self.seconds  # what was added and taken out leaves a trace
        gains = np.maximum(self.gains, 0.0) if self.gaining else np.zeros(REPLICATES)
        return np.where(gains > 1e-9 * self.gain, gains, 0.0) / np.where(there, self.costs, 1.0) * HOUR * there

    def most(self, typical: float) -> float:
        """The largest yield that one is to reckon with, of whom nothing is found, where this is a gain."""
        return MISSED * typical / self.seconds * HOUR if self.seconds > 0 else 0.0


class Tally:
    """What each experiment of a study gained and took, by proposer. It is told what has changed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.sides: dict[str, Side] = {}
        self._known: dict[int, tuple[str, float, float]] = {}  # proposer, gain, seconds
        self._gains: dict[int, float] = {}
        self._seconds: dict[int, float] = {}
        self._proposers: dict[int, str] = {}

    def ran(self, number: int, proposer: str | None, seconds: float) -> None:
        """An experiment has taken so many seconds of devices. The baseline is nobody's."""
        if proposer is not None:
            self._proposers[number], self._seconds[number] = proposer, seconds
            self._put(number)

    def gained(self, gains: Iterable[tuple[int, float]]) -> None:
        """What each confirmed experiment has added; no other one has added anything."""
        before, self._gains = self._gains, dict(gains)
        for number in before.keys() | self._gains.keys():
            if before.get(number, 0.0) != self._gains.get(number, 0.0):
                self._put(number)

    def _put(self, number: int) -> None:
        seconds = self._seconds.get(number, 0.0)
        proposer = self._proposers.get(number)
        now = (proposer, self._gains.get(number, 0.0), seconds) if proposer and seconds > 0 else None
        before = self._known.pop(number, None)
        if now is not None:
            self._known[number] = now
        if before == now:
            return
        weights = _weights(self._seed, number)
        for one, sign in ((before, -1), (now, 1)):
            if one is not None:
                name, gain, cost = one
                side = self.sides.setdefault(name, Side())
                side.experiments += sign
                side.gaining += sign * (gain > 0)
                side.gain += sign * gain
                side.seconds += sign * cost
                side.costs += sign * cost * weights
                if gain > 0:
                    side.gains += sign * gain * weights

    def lifts(self, floor: str = FLOOR) -> Mapping[str, Lift]:
        """The lift of each proposer but the floor itself, and a person, who proposes what others have found."""
        own = self.sides.get(floor, Side())
        gaining = sum(side.gaining for side in self.sides.values())
        typical = sum(side.gain for side in self.sides.values() if side.gaining) / gaining if gaining else 0.0
        return {
            name: lift(name, side, floor, own, typical)
            for name, side in sorted(self.sides.items())
            if name not in (floor, PERSON) and side.experiments
        }


def lift(proposer: str, side: Side, floor: str, other: Side, typical: float) -> Lift:
    """A proposer's yield against the floor's. `typical` is what an experiment gains that gains anything."""
    few = min(side.experiments, other.experiments) < LEAST
    kind = Kind.TOO_FEW if few else Kind.NOTHING if not side.gaining and not other.gaining else Kind.RATIO
    if kind is Kind.RATIO and not other.gaining:
        kind = Kind.DIFFERENCE
    value = low = high = None
    if kind is Kind.RATIO:
        value = side.hourly / other.hourly
        low, high = _ratio(side, other, typical)
    elif kind is Kind.DIFFERENCE:
        value = side.hourly
        ends = _quantiles(side.replicates)
        low, high = ends[0] - other.most(typical), ends[1]
    return Lift(proposer, floor, side.experiments, other.experiments, kind, value, low, high)


def _ratio(side: Side, other: Side, typical: float) -> tuple[float, float | None]:
    """The interval of the ratio. A replicate in which neither gained says nothing, so it widens both ends."""
    import numpy as np

    below = other.replicates
    if not side.gaining:
        least = _quantiles(below)[0]
        return 0.0, side.most(typical) / least if least > 0 else None
    above = side.replicates
    ratios = np.divide(above, below, out=np.full(REPLICATES, np.inf), where=below > 0)
    low = _quantiles(np.where((above == 0) & (below == 0), 0.0, ratios))[0]
    high = _quantiles(ratios)[1]
    return (low if np.isfinite(low) else side.hourly / other.hourly), high if np.isfinite(high) else None


def _quantiles(values: "Floats") -> tuple[float, float]:
    """The ends of the interval, each a value that is there."""
    import numpy as np

    low, high = np.quantile(values, ENDS, method="closest_observation")
    return float(low), float(high)


def _weights(seed: int, number: int) -> "Floats":
    """How often an experiment counts in each replicate."""
    import numpy as np

    return np.random.default_rng([seed, number]).poisson(1.0, REPLICATES).astype(np.float64)


def _zeros() -> "Floats":
    import numpy as np

    return np.zeros(REPLICATES)
