"""How far what is confirmed can be trusted, and what a rule that keeps what looks better would have merged instead.

Of so many screened experiments a share is confirmed by luck: the preset's simulated studies say which. The other rule
is *keep if lower* (or higher): one run each, kept if better than the best so far, on one objective. What it would have
kept was run again by this judge, as far as it looked worth it, and so shows what would have come of it.
"""

import math
from collections.abc import Collection, Sequence

from loop.judge.axis import Axis
from loop.judge.preset import Preset
from loop.judge.runs import Follower, Runs
from store.records import Keeps


class OtherRule:
    """What keep-if-lower would have kept, in the order of the experiments. It follows the runs."""

    def __init__(self, runs: Runs, aside: Collection[int] = ()) -> None:
        self._news = Follower(runs)
        self._aside = aside  # what nobody would have kept, for it is no gain
        self._noisy: Axis | None = None  # by which it decides
        self._first: dict[int, float] = {}  # the gain of each experiment's first run
        self._kept: list[int] = []  # and the baseline before them
        self._newest = -1

    def keeps(self, axes: Sequence[Axis], chosen: Preset, confirmed: int) -> Keeps:
        """The count of a bench, of which so many experiments are confirmed."""
        noisy = next((one for one in axes if not one.deterministic), axes[0])
        if self._noisy is None or (self._noisy.name, self._noisy.base) != (noisy.name, noisy.base):
            self._news, self._first, self._kept, self._newest = Follower(self._news.runs), {}, [], -1
        self._noisy = noisy
        for number in self._news.news():
            self._look(number)
        screened = len(self._first) - 1
        if noisy.deterministic:
            return Keeps(screened, confirmed, 0.0, objective="", maximize=False, kept=0, refuted=0, once=0)
        refuted, once = self._held()
        return Keeps(
            screened=screened,
            confirmed=confirmed,
            expected_false=screened * chosen.null_rate,
            objective=noisy.name,
            maximize=noisy.maximize,
            kept=len(self._kept) - 1,
            refuted=refuted,
            once=once,
        )

    def _look(self, number: int) -> None:
        """An experiment whose runs have changed: as a rule the newest, and it is compared with the last one kept."""
        gains, before = self._gains(number), self._first.pop(number, None)
        if gains:
            self._first[number] = gains[0]
        if before == self._first.get(number):
            return
        in_order = before is None and number > self._newest
        if not in_order:
            self._kept.clear()
        for one in [number] if in_order else sorted(self._first):
            if not self._kept or self._first[one] > self._first[self._kept[-1]]:
                self._kept.append(one)
        self._newest = max(number, self._newest)

    def _held(self) -> tuple[int, int]:
        """How many of what was kept do no better on other seeds than what they replaced; how many have no others."""
        refuted, once, bar = 0, 0, _mean(self._gains(0))
        for number in self._kept[1:]:
            others = self._gains(number)[1:]
            once += not others
            refuted += bool(others) and _mean(others) <= bar
            bar = _mean(others) if others else bar
        return refuted, once

    def _gains(self, number: int) -> list[float]:
        """In the order of the runs; none where something that steers is missing."""
        runs, noisy = self._news.runs, self._noisy
        if noisy is None or not runs.whole(number) or number in self._aside:
            return []
        return [noisy.gain(value) for value in runs.of[number][noisy.name].values()]


def _mean(gains: Sequence[float]) -> float:
    return math.fsum(gains) / len(gains)
