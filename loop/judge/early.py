"""Whether a run under way loses: whether its curve is worse than the incumbent's at the same steps. The rule; pure.

The incumbent's curves are those of its runs, a seed each. Their steps are cut into WINDOWS parts, a look after each,
from the first fifth on; of what stands in a part the mean counts, for a single batch says little. At a look a run is
*behind* if it is worse than the mean of the incumbent's by more than

- 3 sigma: that of one run more against the mean of n, by Student's t with as small a tail (.00135). The variance
  between seeds is the larger of what these few curves show there and of what the judge knows of the final values,
  moderated as in `noise.py`: three curves agree by luck now and then, and their agreement is no proof;
- what matters: the smallest effect, and where other objectives steer too, what would be given up of this one at most,
  for a run that is a little worse here may be an offer for what it is worth there.

One that is behind at LOOKS looks, one after the other, is stopped. So is one whose last value is no finite number at as
many, where it has had one before.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from loop.judge.axis import Axis
from loop.judge.noise import Pool, moderated, quantile, student

WINDOWS, FIRST, LOOKS = 20, 4, 2
SIGMAS = 3.0
LEAST = 3  # curves of the incumbent
NORMAL_DF = 1e9

Curve = Sequence[tuple[float, float]]


class Behind(Struct, frozen=True):
    """Where a run is stopped: at a step, how much worse it is there, as a share of the incumbent's value, in sigmas."""

    step: float
    of: float
    change: float
    sigmas: float


def behind(axis: Axis, incumbent: Sequence[Curve], candidate: Curve, known: Pool, others_steer: bool) -> Behind | None:
    """Where a candidate's curve is to be stopped; None where it is not, or not yet."""
    if len(incumbent) < LEAST or not candidate or not all(incumbent):
        return None
    end = min(curve[-1][0] for curve in incumbent)
    parts = [_parts(axis, curve, end) for curve in incumbent]
    own, reached, looks = _parts(axis, candidate, end), candidate[-1][0], 0
    margin = axis.give_up if others_steer else axis.smallest
    for number in range(FIRST, WINDOWS):
        step = end * (number + 1) / WINDOWS
        there = [part[number] for part in parts if number in part]
        if reached < step or number not in own or len(there) < len(parts):
            continue
        mean = math.fsum(there) / len(there)
        squares = math.fsum((one - mean) ** 2 for one in there)
        variance, df = moderated(squares, len(there) - 1, known)
        variance = max(variance, known.variance, squares / (len(there) - 1))
        error = math.sqrt(variance * (1 + 1 / len(there)))
        worse = mean - own[number]
        if error <= 0 or worse <= margin or worse <= _limit(df) * error:
            looks = 0
        elif (looks := looks + 1) == LOOKS:
            return Behind(step, end, axis.change(-worse, mean), worse / error)
    return None


@lru_cache(maxsize=64)
def _limit(df: float) -> float:
    """How many errors are as improbable, by Student's t, as 3 sigma are."""
    return quantile(student(SIGMAS, NORMAL_DF), df)


def _parts(axis: Axis, curve: Curve, end: float) -> dict[int, float]:
    """The mean gain in each part of the steps in which there is a point."""
    found = dict[int, list[float]]()
    for step, value in curve:
        number = math.ceil(step / end * WINDOWS) - 1 if end > 0 else -1
        if 0 <= number < WINDOWS:
            found.setdefault(number, []).append(axis.gain(value))
    return {number: math.fsum(gains) / len(gains) for number, gains in found.items()}


def said(axis: Axis, found: Behind, incumbent: str) -> str:
    """`stopped early at step 500 of 2000: val_loss 12 % worse than e0000 there (5 sigma)`."""
    share, sigmas = 100 * abs(found.change), "over 100" if found.sigmas > 100 else f"{found.sigmas:.0f}"
    return (
        f"stopped early at step {found.step:.6g} of {found.of:.6g}: {axis.label} "
        f"{share:{'.0f' if share >= 10 else '.2g'}} % worse than {incumbent} there ({sigmas} sigma)"
    )


def lost(axis: Axis, step: float) -> str:
    """`stopped early after step 500: loss is no finite number any more`."""
    return f"stopped early after step {step:.6g}: {axis.label} is no finite number any more"
