"""How far what is confirmed can be trusted, and what a rule that keeps what looks better would have merged instead.

Of so many screened experiments a share is confirmed by luck: the preset's simulated studies say which. The other rule
is *keep if lower* (or higher): one run each, kept if better than the best so far, on one objective. What it would have
kept was run again by this judge, as far as it looked worth it, and so shows what would have come of it.
"""

import math
from collections.abc import Collection, Sequence

from loop.judge.axis import Axis
from loop.judge.preset import Preset
from loop.judge.standing import Runs
from store.records import Keeps


def keeps(runs: Runs, axes: Sequence[Axis], chosen: Preset, confirmed: Collection[int]) -> Keeps:
    """The count of a bench. `confirmed` are the numbers of the experiments that are."""
    screened = [number for number in sorted(runs.of) if number and runs.whole(number)]
    noisy = next((axis for axis in axes if not axis.deterministic), None)
    kept, refuted, once = 0, 0, 0
    if noisy is not None:
        best, *others = (noisy.gain(value) for value in runs.of[0][noisy.name].values())
        bar = _mean([best, *others])  # what the next one has to be better than in truth, as far as it is known
        for number in screened:
            first, *others = (noisy.gain(value) for value in runs.of[number][noisy.name].values())
            if first > best:
                best, kept = first, kept + 1
                once += not others
                refuted += bool(others) and _mean(others) <= bar
                bar = _mean(others) if others else bar
    return Keeps(
        screened=len(screened),
        confirmed=len(confirmed),
        expected_false=len(screened) * chosen.null_rate if noisy is not None else 0.0,
        objective=noisy.name if noisy else "",
        maximize=bool(noisy and noisy.maximize),
        kept=kept,
        refuted=refuted,
        once=once,
    )


def _mean(gains: Sequence[float]) -> float:
    return math.fsum(gains) / len(gains)
