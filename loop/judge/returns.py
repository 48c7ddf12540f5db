"""Diminishing returns: what the last hours bought, and the chance that the next ones bring a confirmed gain.

Confirmed gains are taken for a power-law process (Crow, 1974, of reliability growth): after n experiments c * n ** b
are expected, b below 1 where they become rarer. Its b is shrunk towards 1, as if by one gain, and half a gain is added
to those that were found: so a study that has found none yet has a chance that falls with its length.
"""

import math
from collections.abc import Sequence

LEAST = 20  # experiments, before a study may end for want of a chance


def chance(found: Sequence[int], screened: int, more: int) -> float:
    """The probability of a confirmed gain in so many experiments more.

    `found` are the places of the confirmed ones among those that were screened, from 1 on.
    """
    if not screened or not more:
        return 0.0
    rarer = sum(math.log(max(1.0, screened / place)) for place in found)
    power = min(1.0, (len(found) + 1) / (rarer + 1))
    expected = (len(found) + 0.5) * ((1 + more / screened) ** power - 1)
    return -math.expm1(-expected)
