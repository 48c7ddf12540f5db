"""What panels draw from, and what they draw: the study as it is seen now becomes lines."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct, field

from cockpit.feed import Snapshot
from cockpit.keys import TABLE, Keymap
from cockpit.line import Line, Piece
from store.database import Database
from store.place import Place
from store.records import Experiment
from store.trail import NOWHERE, Trail

LEAST_COLUMNS, LEAST_ROWS = 60, 18
Answer = TypeVar("Answer")


class Arrangement(StrEnum):
    """How the panels stand."""

    NONE = "none"  # there is no room
    NARROW = "narrow"  # one at a time
    WIDE = "wide"  # in two columns, of those that are about one experiment one at a time
    HUGE = "huge"  # all of them, in three


def arrangement(columns: int, rows: int) -> Arrangement:
    """What a terminal has room for."""
    if columns < LEAST_COLUMNS or rows < LEAST_ROWS:
        return Arrangement.NONE
    if columns < 100 or rows < 30:
        return Arrangement.NARROW
    return Arrangement.HUGE if columns >= 180 and rows >= 40 else Arrangement.WIDE


class Repository(Struct, frozen=True):
    """What a screen asks of git: functions of the research, which only the command line reaches."""

    patch: Callable[[Place, str, str], Awaitable[str]]  # between two commits
    file: Callable[[Place, str, str], Awaitable[bytes]]  # of a commit, by its path
    conflicts: Callable[[Place, Sequence[int]], Awaitable[str]]  # why some cannot be merged together; or nothing
    stands: Callable[[Place], Awaitable[dict[str, Any]]]  # where the user's own branch stands
    trail: Trail = NOWHERE  # to which all that the screen starts is added


class Source(Struct, frozen=True):
    """Where panels read what the snapshot does not hold: the record, the study's folder, and git.

    And what was read before, so that what grows is read on from there.
    """

    place: Place
    database: Database
    git: Repository
    before: "Mapping[Want[Any], Any]" = field(default_factory=dict)


class Want(Struct, Generic[Answer], frozen=True):
    """Something that a panel needs beyond the snapshot. A subclass is a frozen record: equal ones are read once."""

    every_seconds: ClassVar[float | None] = None  # it is read again while it is on the screen
    of_the_record: ClassVar[bool] = False  # it is read again when something has happened

    async def read(self, source: Source) -> Answer:
        """Read it. What cannot be read is an answer too, which says why."""
        raise NotImplementedError


class Opened(StrEnum):
    """What of a call is read whole."""

    NOTHING = "nothing"
    PART = "part"  # of the prompt, that under the cursor
    PROMPT = "prompt"
    ANSWER = "answer"


class Reading(Struct, frozen=True):
    """Which call to a model is looked at, while an experiment is selected, and how far one is in it."""

    experiment: int = -1
    call: int | None = None  # None is the one that came to the experiment
    row: int | None = None  # under the cursor, once there is one
    opened: Opened = Opened.NOTHING


class Choices(Struct, frozen=True):
    """How a person wants to see it. They last as long as the screen is open."""

    sort: str = "attention"  # or the name of a column of the list
    backwards: bool = False
    tree: bool = False  # children below what they were made from
    search: str = ""
    inverted: bool = False  # what does not match the search
    unfolded: bool = False  # all of a hypothesis
    against_trunk: bool = False  # a diff, and not against what it was made from
    axes: tuple[str, str] | None = None  # what the frontier has across and up; None is what steers
    scales: tuple[tuple[str, bool], ...] = ()  # of these, whether they are logarithmic; of others the values decide
    against: str = "experiments"  # what the growth of the frontier is drawn against
    reading: Reading = Reading()
    by_tokens: bool = False  # the ledger has tokens first, and not time
    outcomes: bool = False  # it begins with what came of what was spent
    run: int | None = None  # of the experiment that is selected, where another than the newest is wanted
    metric: str = ""  # of which the curve is, where another than the first is wanted


class View(Struct, frozen=True):
    """The study, the experiment that is selected, and the time it is. What panels want is there once it was read."""

    study: Snapshot
    selected: int
    now: float
    arrangement: Arrangement = Arrangement.NARROW
    found: Mapping[Want[Any], Any] = field(default_factory=dict)
    marks: frozenset[int] = frozenset()  # the experiments that are to be merged together
    choices: Choices = field(default_factory=Choices)
    keys: Keymap = TABLE  # which are said where a text names one

    @property
    def one(self) -> Experiment | None:
        """The experiment that is selected."""
        return self.study.experiment(self.selected)

    def get(self, want: Want[Answer]) -> Answer | None:
        """What a panel wants, once it was read."""
        answer: Answer | None = self.found.get(want)
        return answer


class Drawing(Struct, frozen=True):
    """A panel's lines. `head` stays while `body` scrolls; `cursor` is the line of the body that is always in sight."""

    body: Sequence[Line]
    head: Sequence[Line] = ()
    note: Sequence[Piece] = ()  # on the right of the title's rule
    cursor: int | None = None
    numbers: Sequence[int | None] = ()  # the experiment on each line of the body
