"""What each confirmed experiment has added to the hypervolume: with it and those confirmed before it, less without it.

In the order of confirmation, for then the gains add up to the whole: of two that found the same, the first has found
it. Of exclusive contributions they would have none. A confirmation that is taken back takes its gain with it, and what
came after it is counted anew.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Row = tuple[float, ...]  # the gains of an experiment over the baseline, an objective each


class _Step(Struct, frozen=True):
    """An experiment, and what stands with it."""

    number: int
    row: Row | None  # None where it is out of the race: infeasible, or failed since
    front: tuple[Row, ...]
    volume: float


class Additions:
    """It remembers how far nothing has changed: one more confirmed experiment takes one hypervolume more."""

    def __init__(self) -> None:
        self._floor: Row = ()
        self._start: tuple[Row, ...] = ()
        self._volume = 0.0  # of the start
        self._steps: list[_Step] = []

    def of(
        self, floor: Row, start: Sequence[Row], confirmed: Sequence[tuple[int, Row | None]]
    ) -> tuple[tuple[int, float], ...]:
        """What each has added, by number. `start` is the baseline, where it is feasible; `floor` the reference."""
        if (floor, tuple(start)) != (self._floor, self._start):
            self._floor, self._start, self._steps = floor, tuple(start), []
            self._volume = _volume(self._start, floor)
        known = 0
        while known < min(len(self._steps), len(confirmed)) and confirmed[known] == (
            self._steps[known].number,
            self._steps[known].row,
        ):
            known += 1
        del self._steps[known:]
        for number, row in confirmed[known:]:
            front, volume = (
                (self._steps[-1].front, self._steps[-1].volume) if self._steps else (self._start, self._volume)
            )
            if row is not None:
                front = _front((*front, row))
                volume = max(volume, _volume(front, floor))
            self._steps.append(_Step(number, row, front, volume))
        before = [self._volume, *(step.volume for step in self._steps)]
        gained = [(step.number, step.volume - old) for step, old in zip(self._steps, before, strict=False)]
        return tuple(sorted(gained))


def _front(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Those that no other one dominates."""
    import moocore
    import numpy as np

    keep = moocore.is_nondominated(np.array(rows), maximise=True)
    return tuple(row for row, stays in zip(rows, keep, strict=True) if stays)


def _volume(rows: tuple[Row, ...], floor: Row) -> float:
    """In units of the baseline's own, which encloses 1."""
    import moocore
    import numpy as np

    if not rows:
        return 0.0
    whole = float(np.prod([-one for one in floor]))
    return float(moocore.hypervolume(np.array(rows), ref=np.array(floor), maximise=True)) / whole
