"""What a run that was made again says of what is recorded. It is held against nothing else, and decides nothing.

On a seed that was run before: equal to the last digit, or not. Else where it stands: an interval in which 95 % of runs
of that tree would lie, from the recorded ones and the noise that the study has seen. Of a time or a peak of memory,
which never repeats, it is said what it was.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from loop.judge.axis import Axis, never_repeats
from loop.judge.noise import Pool, difference

SHARE = 0.95
NOTHING = Pool(0.0, 0.0, 0.0)


class Compared(Struct, frozen=True):
    """One quantity. What is not known is None."""

    objective: str
    value: float
    recorded: float | None  # on the same seed
    mean: float | None  # of all recorded runs
    n: int
    low: float | None  # the ends of the interval
    high: float | None

    @property
    def within(self) -> bool | None:
        """Whether it lies where 95 % of runs would."""
        return None if self.low is None or self.high is None else self.low <= self.value <= self.high

    @property
    def line(self) -> str:
        """In one line: `loss 0.41: equal to the last digit`."""
        text = f"{self.objective} {self.value:.6g}: "
        if never_repeats(self.objective) and self.mean is not None:
            runs = f"the mean of {self.n} run{'s' * (self.n > 1)}"
            then = f"{self.mean:.6g}, {runs}" if self.recorded is None else f"{self.recorded:.6g} on this seed"
            return f"{text}it was {then}"
        if self.recorded == self.value:
            return f"{text}equal to the last digit"
        if self.recorded is not None:
            text += f"not what is recorded on this seed, {self.recorded:.6g}; "
        if self.mean is None:
            return f"{text}nothing is recorded on this bench to compare it with"
        runs = f"{self.n} run{'s' * (self.n > 1)}, mean {self.mean:.6g}"
        if self.within is None:
            return f"{text}recorded: {runs}"
        where = "within" if self.within else "outside of"
        return f"{text}{where} {self.low:.6g} … {self.high:.6g}, where 95 % of runs would lie ({runs})"


def compared(
    values: Mapping[str, float],
    recorded: Mapping[str, Mapping[int, float]],
    seed: int,
    axes: Iterable[Axis],
    pools: Mapping[str, Pool],
) -> list[Compared]:
    """Each quantity of a run against the recorded runs of the same tree, by quantity and seed."""  # fmt: skip
    known = {one.name: one for one in axes}
    found = []
    for name, value in values.items():
        before = recorded.get(name, {})
        mean = sum(before.values()) / len(before) if before else None
        low, high = None, None
        if before and name in known:
            low, high = _interval(known[name], value, before, pools[name], seed)
        found.append(Compared(name, value, before.get(seed), mean, len(before), low, high))
    return found


def _interval(
    axis: Axis, value: float, before: Mapping[int, float], pool: Pool, seed: int
) -> tuple[float | None, float | None]:
    gains = {number: axis.gain(one) for number, one in before.items()}
    apart = difference({seed: axis.gain(value)}, gains, pool, NOTHING)
    if apart is None:
        return None, None
    middle, reach = axis.gain(value) - apart.mean, apart.either_way(SHARE)
    ends: Sequence[float] = sorted((axis.value(middle - reach), axis.value(middle + reach)))
    return ends[0], ends[1]
