"""Which experiments are listed, and in what order: by attention or by a column, those that match, flat or as a tree."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress, filterfalse
from operator import attrgetter

from msgspec import Struct

from cockpit.feed import Objective, Snapshot, is_open
from cockpit.glyphs import BASELINE, OFFER, look, promising
from cockpit.view import Choices
from store.records import Evidence, Experiment, State, Verification, Word, offers

ATTENTION = "attention"
EARLIER = "Earlier"
GAIN = "gain: "  # before the name of an objective, which may be called like a column
NESTED = 4  # generations that are set in; the later ones stand below the fourth
EVIDENCE = tuple(Evidence)
NUMBER, SLUG = attrgetter("number"), attrgetter("slug")
BADGES = ("stale", "pin", "rerun")
STANDS = {*State, *Word, *Evidence, OFFER.word, BASELINE.word, *BADGES}  # words for how an experiment stands
# A heading with its style and how many there are (None is not known yet), an experiment, or a blank line.
Entry = tuple[str, str, int | None] | int | None


Group = tuple[str, str, list[int]]  # its title and the style of that, and its numbers


def groups(rows: Sequence[Experiment], incumbent: int = 0) -> list[Group]:
    """What waits for a person, what goes on, what has been."""
    trunk = next((one for one in rows if one.number == incumbent), None)
    return grouped([one.number for one in rows], [one for one in rows if is_open(one)], trunk)


def grouped(numbers: Sequence[int], those: Sequence[Experiment], trunk: Experiment | None) -> list[Group]:
    """The same of some numbers, the least first, among which `those` are open, and trunk may be."""
    waiting = [trunk.number] if trunk and trunk.verification is Verification.FAILS else []
    waiting += [one.number for one in offers(those)]
    hopeful = [one.number for one in those if promising(one)]
    active = [one.number for one in those if one.state is State.RUNNING]
    coming = [one.number for one in those if one.state is State.QUEUED]
    apart = {*waiting, *hopeful, *active, *coming}
    every = [
        ("Waiting for you", "bold offer", waiting),
        ("Promising, not confirmed", "bold good", sorted(hopeful, reverse=True)),
        ("Now" if active else "Queued", "bold dim", [*active, *coming]),
        (EARLIER, "bold dim", [*filterfalse(apart.__contains__, reversed(numbers))]),
    ]
    return [group for group in every if group[2]]


def sorts(study: Snapshot) -> dict[str, str]:
    """What the list can be sorted by, and how that is called: attention, and each of its columns."""
    steering = {f"{GAIN}{one.name}": one.label for one in study.objectives if one.steers}
    names = (ATTENTION, "age", "state", "name", *steering, "evidence", "cost")
    return {name: steering.get(name, name) for name in names}


def words(one: Experiment, incumbent: int, pinned: int | None, reruns: Collection[int] = ()) -> str:
    """What is searched in an experiment: on a line how it stands; then its name, what was said, who proposed it."""
    said = one.verdict if one.number else None
    stands = [one.state, look(one).word, *([said.word, said.evidence] if said else [])]
    stands += [*(["stale"] if one.stale(incumbent) else []), *(["pin"] if one.number == pinned else [])]
    stands += ["rerun"] if one.number in reruns else []
    parts = [one.id, one.slug, one.failure or "", one.detail, one.hypothesis, said.sentence if said else ""]
    return f" {' '.join(stands)} \n{' '.join([*parts, one.proposer or '', one.operator or ''])}".casefold()


def matches(study: Snapshot, choices: Choices) -> list[Experiment]:
    """The experiments in which each word of the search is found; or, inverted, the others.

    A state or a verdict is sought among how they stand alone: `worse` is in the sentence of many a trade-off.
    """
    sought = [f" {word} " if word in STANDS else word for word in choices.search.casefold().split()]
    if not sought:
        return list(study.experiments)

    def found(text: str) -> bool:
        stands = text.partition("\n")[0]
        return all(word in (stands if word[0] == " " else text) for word in sought) is not choices.inverted

    return list(compress(study.experiments, map(found, study.each(words, study.incumbent, study.pinned, study.reruns))))


def ordered(study: Snapshot, rows: Sequence[Experiment], choices: Choices) -> list[Experiment]:
    """By what they are sorted by, best, dearest or newest first; what has no value comes last either way."""
    if choices.sort == ATTENTION:
        listed = [study.experiments[number] for _, _, numbers in groups(rows, study.incumbent) for number in numbers]
        return listed[::-1] if choices.backwards else listed
    values = dict(zip(study.each(NUMBER), _values(study, choices.sort), strict=True))
    valued = [(value, one) for one in rows if (value := values[one.number]) is not None]
    valued.sort(key=lambda pair: (pair[0], -pair[1].number), reverse=choices.backwards)
    known = {one.number for _, one in valued}
    return [*(one for _, one in valued), *(one for one in reversed(rows) if one.number not in known)]


def _values(study: Snapshot, sort: str) -> Sequence[object]:
    """What each experiment is sorted by, the first least; None where it has nothing."""
    if sort == "cost":
        return [-study.seconds[number] if number in study.seconds else None for number in study.each(NUMBER)]
    objective = next((one for one in study.objectives if f"{GAIN}{one.name}" == sort), None)
    if objective is not None:
        return study.each(_gain, objective)
    keys: dict[str, Callable[[Experiment], object]] = {"state": _state, "name": SLUG, "evidence": _evidence}
    return study.each(keys.get(sort, _age))  # by age: also where what it was sorted by is no objective any more


def _gain(one: Experiment, objective: Objective) -> float | None:
    figure = one.verdict.figures.get(objective.name) if one.verdict and one.state is not State.FAILED else None
    return None if figure is None else -float(figure["gain"])


def _evidence(one: Experiment) -> tuple[int, int] | None:
    return None if one.verdict is None else (-EVIDENCE.index(one.verdict.evidence), -one.verdict.runs)


def _state(one: Experiment) -> str:
    return look(one).word


def _age(one: Experiment) -> int:
    return -one.number


def nested(rows: Sequence[Experiment], study: Snapshot) -> Iterator[tuple[Experiment, int]]:
    """Each experiment below what it was made from, with its generation; siblings in the order of the rows.

    Where what it was made from is not listed, it stands below what that was made from.
    """
    shown, children = {one.number for one in rows}, dict[int | None, list[Experiment]]()
    for one in rows:
        parent = one.parent
        while parent is not None and parent not in shown:
            above = study.experiment(parent)
            parent = above.parent if above else None
        children.setdefault(parent, []).append(one)
    ahead = [(one, 0) for one in reversed(children.get(None, []))]
    while ahead:
        one, generation = ahead.pop()
        yield one, generation
        ahead += [(child, generation + 1) for child in reversed(children.get(one.number, []))]


def _groups(study: Snapshot, rows: Sequence[Experiment], choices: Choices) -> list[Group]:
    """Of a study of which all are listed it is known which of them are open."""
    if choices.search:
        return groups(rows, study.incumbent)
    return grouped(study.each(NUMBER), study.open, study.experiment(study.incumbent))


class Listed(Struct, frozen=True, dict=True):
    """The list: its entries line by line, and how far each experiment is set in."""

    entries: Sequence[Entry]
    experiments: Sequence[int | None]  # the experiment on each line, where there is one
    numbers: Sequence[int]  # the experiments, from the first to the last
    generations: Mapping[int, int] = {}  # where it is a tree

    def line(self, number: int) -> int | None:
        """The line on which an experiment stands."""
        return self.entries.index(number) if number in self.entries else None

    def place(self, number: int) -> int | None:
        """The place of an experiment among them."""
        return self.numbers.index(number) if number in self.numbers else None

    def between(self, one: int, other: int) -> Sequence[int]:
        """The experiments from one to another; where only one of them is listed, that one."""
        ends = sorted(place for number in (one, other) if (place := self.place(number)) is not None)
        return self.numbers[ends[0] : ends[-1] + 1] if ends else []


@lru_cache(maxsize=2)
def listed(study: Snapshot, choices: Choices, *, spaced: bool) -> Listed:
    """What is listed, made once for each state of a study.

    Sorted by attention and flat it has headings, with blank lines between where there is room.
    """
    rows = matches(study, choices)
    if choices.tree:
        pairs = list(nested(ordered(study, rows, choices), study))
        numbers = [one.number for one, _ in pairs]
        return Listed(numbers, numbers, numbers, {one.number: min(depth, NESTED) for one, depth in pairs})
    if choices.sort != ATTENTION or choices.backwards:
        numbers = [one.number for one in ordered(study, rows, choices)]
        return Listed(numbers, numbers, numbers)
    entries: list[Entry] = []
    experiments: list[int | None] = []
    every: list[int] = []
    for title, style, numbers in _groups(study, rows, choices):
        gap = [None] if spaced and entries else []
        known = study.whole or title != EARLIER  # all but these are read first
        entries += [*gap, (title, style, len(numbers) if known else None), *numbers]
        experiments += [*gap, None, *numbers]
        every += numbers
    return Listed(entries, experiments, every)
