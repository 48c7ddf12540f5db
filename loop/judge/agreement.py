"""Whether quick runs say what full ones would: how far the two rank the experiments that have both in the same order.

Kendall's tau-b: of all pairs that neither ranks as equal, those that both rank alike less those that they do not, as a
share. It is 1 for the same order, 0 for one that has nothing to do with the other. The experiments that are run in full
are the best ones at quick, which lie close together, so it is rather too low than too high.
"""

import math
from collections.abc import Sequence
from itertools import combinations

from loop.judge.runs import Runs
from store.records import Agreement

LEAST = 4  # experiments that have both, before it is said


def agreement(quick: Runs, full: Runs) -> list[Agreement]:
    """The agreement by each objective that steers, of the means; nothing before enough experiments have both."""
    both = [number for number in sorted(full.of) if full.whole(number) and quick.whole(number)]
    if len(both) < LEAST:
        return []
    return [
        Agreement(name, len(both), tau([quick.mean(one)[name] for one in both], [full.mean(one)[name] for one in both]))
        for name in quick.settings.steering
    ]


def tau(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b of two rankings of the same things. None where one of them ranks nothing."""
    score = ranked = ranked_too = 0
    for a, b in combinations(range(len(one)), 2):
        first, second = (one[a] > one[b]) - (one[a] < one[b]), (other[a] > other[b]) - (other[a] < other[b])
        score += first * second
        ranked += first != 0
        ranked_too += second != 0
    return score / math.sqrt(ranked * ranked_too) if ranked and ranked_too else None
