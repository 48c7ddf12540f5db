"""The changes of several experiments taken together onto what trunk is now, as a person asks for it by a merge.

changes of code are merged by git, which refuses where two of them meet      (_merged)
other values of knobs are set anew, where nobody else moved those knobs      (_set)
what comes of it passes the gates of any proposal                            (together)

That both were gains says nothing of the two together, so what comes of it is an experiment of its own, and is run.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from loop.branches import Conflict
from loop.propose.admit import Refused
from loop.propose.domain import Value, same
from loop.propose.edits import KNOBS, Setting
from loop.propose.prepare import Change, Preparation
from loop.propose.scalar import Unreadable
from loop.study import ARGS
from store import views
from store.records import MERGE, PERSON, Experiment, Proposal, Refusal, State

OVER = (State.REJECTED, State.FAILED, State.MERGED)


class Together(Struct, frozen=True):
    """An edit: what the changes of these experiments make of trunk's files."""

    experiments: Sequence[Experiment]
    files: Mapping[str, bytes]
    moves: Mapping[str, Value]

    @property
    def paths(self) -> Iterable[str]:
        """The files that are others then."""
        return self.files

    @property
    def title(self) -> str:
        """Of which experiments."""
        return f"merge {' '.join(one.id for one in self.experiments)}"

    @property
    def sentence(self) -> str:
        """What each of them says of itself."""
        return "; ".join(f"{one.id}: {one.hypothesis}" for one in self.experiments)

    @property
    def change(self) -> dict[str, Any]:
        """Of which experiments."""
        return {MERGE: [one.id for one in self.experiments]}

    def onto(self, values: Mapping[str, Value]) -> "Together":
        """It is made for one parent."""
        return self

    def made(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files as they are then."""
        return dict(self.files)


class Sum(Struct):
    """What has been taken together so far: the tree, its knobs' values, and who gave a knob its value."""

    tree: str
    values: dict[str, Value]
    givers: dict[str, str]


class Joined(Struct, frozen=True):
    """What the changes of some experiments make on trunk, and what of it the gates have seen. Nothing is kept yet."""

    experiments: Sequence[Experiment]
    names: str
    edit: Together
    change: Change


async def together(own: Preparation, numbers: Sequence[int], at: float) -> Experiment:
    """The experiment that takes the changes of these onto trunk; one that there is already, where its code is the same.

    Raises Refused, where they cannot be taken together or the gates refuse it.
    """
    found = await joined(own, numbers)
    async with own.turn:  # another proposal may have been let in meanwhile
        trunk = await own.trunk()
        if (number := await own.twin(found.change.hash)) is not None:
            twin = await own.experiment(number)
            return _usable(twin, f"{found.names} on {trunk.id} make the code of {twin.id}")
        proposal = Proposal(
            proposer=PERSON,
            operator=MERGE,
            parent=trunk.number,
            hypothesis=found.edit.sentence,
            change=found.edit.change,
            at=at,
        )
        return await own.queue(proposal, found.edit, found.change, together=found.experiments)


async def joined(own: Preparation, numbers: Sequence[int]) -> Joined:
    """What these make on trunk. Raises Refused, where they cannot be taken together or the gates refuse it."""
    rows, trunk = await views.experiments(own.database), await own.trunk()
    chosen, values = [rows[number] for number in numbers], own.values(trunk)
    names = " and ".join(one.id for one in chosen)
    found = Sum(trunk.tree, dict(values), {})
    # Code first: beside a knob that has moved, git sees lines that are others by now.
    turned = [_turns(rows, one, {knob.key for knob in own.knobs}) for one in chosen]
    for one, sets in sorted(zip(chosen, turned, strict=True), key=lambda each: each[1]):
        await (_set if sets else _merged)(own, rows[_base(rows, one)], one, trunk, found)
    before, after = await own.branches.files(trunk.tree), await own.branches.files(found.tree)
    changed = [path for path, facts in after.items() if facts != before.get(path)]
    if not changed:
        raise Refused(Refusal.DUPLICATE, f"trunk has all that {names} would change")
    moves = {key: value for key, value in found.values.items() if not same(value, values[key])}
    edit = Together(chosen, await own.branches.contents(found.tree, changed), moves)
    change = await own.change(rows[0], trunk, edit)
    if isinstance(change, Refused):
        raise Refused(change.refusal, f"{names} on {trunk.id}: {change.reason}")
    return Joined(chosen, names, edit, change)


def _base(rows: Sequence[Experiment], one: Experiment) -> int:
    """What an experiment has changed: what trunk was, or the nearest that was pinned for it and is in trunk now."""
    assert one.parent is not None
    if one.parent == one.root or rows[one.parent].state is State.MERGED:
        return one.parent
    return _base(rows, rows[one.parent])


def _turns(rows: Sequence[Experiment], one: Experiment, known: Collection[str]) -> bool:
    """Whether an experiment has given known knobs other values, and nothing else, since what trunk has of it."""
    own = one.operator == MERGE or (one.operator == KNOBS and all(key in known for key in one.knobs))
    there = (one.root, _base(rows, one))
    return own and all(_turns(rows, rows[number], known) for number in one.parents if number not in there)


def _usable(twin: Experiment, found: str) -> Experiment:
    """An experiment whose code is what is to be merged. Raises Refused where it is decided, failed, or not run yet.

    A merge of several that was undone before its run is run as soon as it is trunk.
    """
    if twin.number == 0 or twin.state in OVER:
        state = "the unchanged code" if twin.number == 0 else twin.state
        raise Refused(Refusal.DUPLICATE, f"{found}, which is {state}")
    if not twin.measurements and twin.operator != MERGE:
        raise Refused(Refusal.DUPLICATE, f"{found}, which is {twin.state}: merge that one once it has run")
    return twin


async def _set(
    own: Preparation, base: Experiment, one: Experiment, trunk: Experiment, found: Sum, *, flags_alone: bool = False
) -> None:
    """Give the knobs the values that an experiment has given them."""
    then, moves = own.values(base), _moves(own, base, one)
    if flags_alone:
        moves = {knob.key: moves[knob.key] for knob in own.knobs if knob.flag and knob.key in moves}
    for key, value in moves.items():
        now = found.values[key]
        if not same(now, then[key]) and not same(now, value):
            who = found.givers.get(key, f"trunk, {trunk.id},")
            text = f"{one.id} moves {key} from {then[key]} to {value}, and {who} has it at {now}: nothing is merged"
            raise Refused(Refusal.INVALID, text)
    edit = Setting(own.knobs, found.values, moves).onto(found.values)
    sources = await own.branches.contents(found.tree, edit.paths)
    try:
        files = await asyncio.to_thread(edit.made, sources)
    except Unreadable as error:
        raise Refused(Refusal.INVALID, f"{one.id}: {error}") from None
    found.tree = await own.branches.tree_with(found.tree, files)
    found.values |= moves
    found.givers |= dict.fromkeys(moves, one.id)


async def _merged(own: Preparation, base: Experiment, one: Experiment, trunk: Experiment, found: Sum) -> None:
    """Merge what an experiment has changed of its base. Its flags, which share a line, are set and not merged."""
    flags = {knob.key for knob in own.knobs if knob.flag}
    trees = [await own.branches.tree_with(each.tree, {ARGS: b""}) if flags else each.tree for each in (base, one)]
    try:
        found.tree = await own.branches.merged(trees[0], found.tree, trees[1])
    except Conflict as conflict:
        text = f"{one.id} changes lines of {conflict} that are others by now, in {trunk.id} or by one beside it"
        raise Refused(Refusal.INVALID, f"{text}: nothing is merged") from None
    moves = {key: value for key, value in _moves(own, base, one).items() if key not in flags}
    found.values |= moves
    found.givers |= dict.fromkeys(moves, one.id)
    await _set(own, base, one, trunk, found, flags_alone=True)


def _moves(own: Preparation, base: Experiment, one: Experiment) -> dict[str, Value]:
    """The values of knobs that an experiment has changed of its base."""
    then, its = own.values(base), own.values(one)
    return {key: value for key, value in its.items() if not same(value, then[key])}
