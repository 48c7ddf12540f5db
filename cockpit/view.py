"""What panels draw from, and what they draw: the study as it is seen now becomes lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cockpit.feed import Snapshot
from cockpit.line import Line, Piece
from cockpit.patch import Change
from store.records import Experiment

LEAST_COLUMNS, LEAST_ROWS = 60, 18


class Arrangement(StrEnum):
    """How the panels stand."""

    NONE = "none"  # there is no room
    NARROW = "narrow"  # one at a time
    WIDE = "wide"  # four in two columns
    HUGE = "huge"  # in three


def arrangement(columns: int, rows: int) -> Arrangement:
    """What a terminal has room for."""
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        return Arrangement.NONE
    if columns < 100 or rows < 30:
        return Arrangement.NARROW
    return Arrangement.HUGE if columns >= 180 and rows >= 40 else Arrangement.WIDE


@dataclass(frozen=True, slots=True)
class View:
    """The study, the experiment that is selected, and the time it is. A diff is there once it has been read."""

    study: Snapshot
    selected: int
    now: float
    arrangement: Arrangement = Arrangement.NARROW
    diffs: Mapping[int, Sequence[Change] | str] = field(default_factory=dict)  # or why there is none
    marks: frozenset[int] = frozenset()  # the experiments that are to be merged together

    @property
    def one(self) -> Experiment | None:
        """The experiment that is selected."""
        return self.study.experiment(self.selected)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A panel's lines. `head` stays while `body` scrolls; `cursor` is the line of the body that is always in sight."""

    body: Sequence[Line]
    head: Sequence[Line] = ()
    note: Sequence[Piece] = ()  # on the right of the title's rule
    cursor: int | None = None
    numbers: Sequence[int | None] = ()  # the experiment on each line of the body
