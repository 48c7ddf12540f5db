"""Scales: values to cells, so that round ticks stand on whole cells, and stay there while little changes."""

import math
from collections.abc import Sequence
from statistics import median

from msgspec import Struct

LEAST, MOST = 1e-150, 1e150  # values of a logarithmic scale, so that their ratio is a number
FARTHEST = 1e300  # of a linear one, so that their difference is
LOG_FROM = 4.0  # a scale is logarithmic where the largest value is so many times the smallest
NEAR = 3.0  # times as far as the sure are apart, or median distances: two standard deviations of what is normal
ASKED = 1024  # single runs, at most
FINEST = 1e-9  # of the larger end: a range is at least so wide
ROUND = (1, 2, 5)
SIZES = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))  # of round values on a logarithmic scale
NARROW, BROAD = 3.0, 1000.0  # ratios of its ends: below, ticks of a linear one; from there on, few round ends


class Scale(Struct, frozen=True):
    """Values to cells: `low` lies at the cell `first`, `high` at `last`; there may be cells beyond both."""

    low: float
    high: float
    log: bool
    cells: int
    first: int
    last: int
    ticks: tuple[float, ...]
    even: bool = False  # whether its ticks are as far apart from one another

    def places(self, values: Sequence[float]) -> list[tuple[int, int]]:
        """The cell of each value, and on which side of the scale it lies: 0 within, -1 below it, 1 beyond it.

        Of one outside it is the nearest cell. Of all at once, for there may be ten thousand.
        """
        low, high = _read(self.low, self.log), _read(self.high, self.log)
        first, cells, far, end = self.first, self.last - self.first, self.cells, self.cells - 1
        shares = ((_read(value, self.log) - low) / (high - low) for value in values)
        found = (round(first + cells * min(max(share, -far), far)) for share in shares)
        return [(cell, 0) if 0 <= cell <= end else (0, -1) if cell < 0 else (end, 1) for cell in found]

    def at(self, value: float) -> int:
        """The cell of a value; of one that lies outside, the nearest."""
        return self.places([value])[0][0]

    def holds(self, value: float) -> bool:
        """Whether a value lies within the cells."""
        return not self.places([value])[0][1]


def _within(value: float) -> float:
    return value if -FARTHEST < value < FARTHEST else math.copysign(FARTHEST, value)


def _read(value: float, log: bool) -> float:
    if not log:
        return _within(value)
    return math.log(value if LEAST < value < MOST else LEAST if value < 1 else MOST)


def reach(sure: Sequence[float], crowd: Sequence[float]) -> tuple[float, float]:
    """From where to where a scale goes, so that it stays as it is while single runs come in.

    All that is sure lies within. Of the crowd, the single runs in the order of their numbers, only as many are asked as
    the last power of two, so that they change it only when their number has doubled, and not at all once there are
    many; and of those only what lies near to what is sure: no farther than three times as far as the sure are apart, or
    as all are from their median, by ratio where all are positive. What lies outside is drawn at the edge.
    """
    asked = crowd[: min(1 << (len(crowd).bit_length() - 1), ASKED)] if crowd else []
    every = [*sure, *asked]
    if not every:
        return 0.0, 1.0
    log = min(every) > LEAST
    seen = [_read(value, log) for value in every]
    middle = median(seen)
    known = seen[: len(sure)] or [middle]
    far = NEAR * max(max(known) - min(known), median(abs(one - middle) for one in seen))
    if far:
        start, end = min(known) - far, max(known) + far
        central = [value for value in asked if start <= _read(value, log) <= end]
    else:  # more than half are the same: the middle four fifths
        tenth = len(asked) // 10
        central = sorted(asked)[tenth : len(asked) - tenth]
    counted = [*sure, *central] or every
    return min(counted), max(counted)


def logarithmic(low: float, high: float, wanted: bool | None = None) -> bool:
    """Whether a scale is: as is wanted, where it can be, else by the ratio of its ends."""
    return low > LEAST and high < MOST and (high / low >= LOG_FROM if wanted is None else wanted)


def scale(low: float, high: float, cells: int, every: int, *, log: bool | None = None) -> Scale:
    """A scale from one value to another in so many cells, with ticks at least so many cells apart.

    Its ends are round, so that small changes leave it as it is. `log` is whether it is logarithmic, where it can be;
    None is by the ratio of its ends.
    """
    return (_logarithmic if logarithmic(low, high, log) else _linear)(*_apart(low, high), cells, every)


def tight(low: float, high: float, cells: int, most: int, *, log: bool) -> Scale:
    """A scale that ends at these values, round or not, with at most so many ticks between them."""
    low, high = _apart(low, high)
    if log:
        return Scale(low, high, True, cells, 0, cells - 1, _by_ratio(low, high, most))
    power = math.floor(math.log10((high - low) / most))
    for step in (size * 10.0**exponent for exponent in (power, power + 1) for size in ROUND):
        numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(numbers) <= most:
            break
    return Scale(low, high, False, cells, 0, cells - 1, tuple(number * step for number in numbers), True)


def _apart(low: float, high: float) -> tuple[float, float]:
    """The ends of a scale, so far apart that there is something between them."""
    low, high = _within(low), _within(high)
    size = max(abs(low), abs(high))
    if high - low > max(FINEST * size, 1e-290):
        return low, high
    spare = 0.05 * size if size > 1e-280 else 1.0
    return low - spare, high + spare


def _linear(low: float, high: float, cells: int, every: int) -> Scale:
    """Of all round steps, and whole cells to a step, those that leave the least room unused.

    The ends are whole steps, or halves of them.
    """
    power = math.floor(math.log10(high - low))
    found: list[tuple[float, int, Scale]] = []
    for step in (size * 10.0**exponent for exponent in range(power - 2, power + 2) for size in ROUND):
        for parts in (1, 2):
            start, end = math.floor(low / step * parts + 1e-9), math.ceil(high / step * parts - 1e-9)
            apart = (cells - 1) // (end - start) if end > start else 0
            if apart * parts >= every:
                found.append((step / parts / apart, parts, _stepped(step / parts, parts, start, end, apart, cells)))
    several = [one for one in found if len(one[2].ticks) > 2] or [one for one in found if len(one[2].ticks) == 2]
    if several:
        return min(several, key=lambda one: one[:2])[2]
    return Scale(low, high, False, cells, 0, max(1, cells - 1), ())  # there is no room for round ones


def _stepped(unit: float, parts: int, start: int, end: int, apart: int, cells: int) -> Scale:
    """From so many units to so many, each of so many cells; a tick is that many of their parts from the next."""
    spare = cells - 1 - (end - start) * apart
    first = min(spare // 2, start * apart) if start >= 0 else spare // 2  # what is never negative is not drawn so
    last = first + (end - start) * apart
    every = range(start - first // apart, end + (cells - 1 - last) // apart + 1)
    ticks = tuple(number * unit for number in every if number % parts == 0)
    return Scale(start * unit, end * unit, False, cells, first, last, ticks, True)


def _logarithmic(low: float, high: float, cells: int, every: int) -> Scale:
    """From a round value to a round one; the ticks are as many round ones between them as there is room for."""
    most = max(2, (cells - 1) // every)
    if high / low < NARROW and (near := _linear(low, high, cells, every)).low > 0:
        ticks = tuple(tick for tick in near.ticks if near.low <= tick <= near.high)
        return Scale(near.low, near.high, True, cells, 0, max(1, cells - 1), ticks, True)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    ends = [size * 10.0**power for power in powers for size in (SIZES[0] if high / low < BROAD else SIZES[2])]
    start = max(one for one in ends if one <= low * (1 + 1e-9))
    end = min(one for one in ends if one >= high * (1 - 1e-9) and one > start)
    return Scale(start, end, True, cells, 0, max(1, cells - 1), _by_ratio(start, end, most))


def _by_ratio(low: float, high: float, most: int) -> tuple[float, ...]:
    """Round values between two, at most so many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for sizes in SIZES:
        ticks = tuple(one for power in powers for size in sizes if low <= (one := size * 10.0**power) <= high)
        if len(ticks) <= most:
            break
    return ticks[:: 1 + (len(ticks) - 1) // most]
