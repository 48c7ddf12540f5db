"""From a proposer to a queued experiment: proposed, let in or refused, made a commit and a branch.

values are drawn for the knobs, given what is known         (optimiser.draw)
they are written into the parent's files                    (_written)
the change is let in, or refused and recorded               (_admitted)
it becomes a commit, a row of the record, and a branch      (_queue)
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loop.branches import Branches
from loop.judge import standing
from loop.judge.frontier import Axis
from loop.propose import optimiser, space
from loop.propose.admit import UNCHANGED, Refused, admit, change_hash
from loop.propose.optimiser import Tried
from loop.propose.space import Choices, Knob, Value
from loop.study import Settings
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import Experiment, Proposal, Refusal, State, name_of

AHEAD = 1  # experiments that wait for a slot while one runs
OPTIMISER, KNOBS = "optimiser", "knobs"  # who proposes, and what is changed


@dataclass(frozen=True, slots=True)
class Preparation:
    """The proposals of a study under one engine. `seed` is the study's, `bench` the hash of the one that stands."""

    place: Place
    settings: Settings
    branches: Branches
    database: Database
    knobs: tuple[Knob, ...]
    seed: int
    bench: str

    async def prepare(self) -> Experiment | None:
        """Queue one experiment more. None where no proposer has anything left to propose.

        A proposal sees the results of those before the experiment that runs when it is made, and no others, however
        late it is made: an engine that was killed in between proposes the same.
        """
        rows = await views.experiments(self.database)
        number, incumbent = rows[-1].number + 1, rows[0]
        axes = await standing.axes(self.database, self.settings, self.bench)
        tried = [self._tried(row, axes, settled=row.number < max(1, number - AHEAD)) for row in rows]
        before = self._values(incumbent)
        while self.knobs:
            began = time.monotonic()
            refused = await views.refused_in_a_row(self.database)
            drawn = await asyncio.to_thread(
                optimiser.draw, self.knobs, before, len(axes), self.seed, number, refused, tried
            )
            if drawn is None:
                break
            moves = {key: value for key, value in drawn.knobs.items() if not space.same(value, before[key])}
            proposal = Proposal(
                proposer=OPTIMISER,
                operator=KNOBS,
                parent=incumbent.number,
                hypothesis=f"{self._sentence(incumbent, moves)} ({drawn.why})",
                change={KNOBS: moves},
                at=time.time(),
                wall_seconds=time.monotonic() - began,
            )
            files = await self._written(incumbent, moves)
            made = await self._change_hash(rows[0], incumbent, files)
            try:
                await self._admitted(rows[0], incumbent, files, made)
            except Refused as why:
                await journal.refused(self.database, replace(proposal, refusal=why.refusal, reason=why.reason), made)
                continue
            return await self._queue(number, incumbent, proposal, files, made)
        return None

    # --- what is known -----------------------------------------------------------------------------------------------

    def _tried(self, row: Experiment, axes: Sequence[Axis], *, settled: bool) -> Tried:
        values = standing.means(row)
        known = settled and all(axis.name in values for axis in axes)
        gains = tuple(axis.gain(values[axis.name]) for axis in axes) if known else None
        return Tried(self._values(row), gains, failed=settled and not known and row.state is State.FAILED)

    def _values(self, experiment: Experiment) -> dict[str, Value]:
        """The values of all knobs in an experiment's tree."""
        return {knob.key: experiment.knobs.get(knob.key, knob.default) for knob in self.knobs}

    # --- letting in --------------------------------------------------------------------------------------------------

    async def _written(self, parent: Experiment, moves: Mapping[str, Value]) -> dict[str, bytes]:
        """The parent's files with these values, those that change."""
        by_path: dict[str, dict[str, Value]] = {}
        for knob in self.knobs:
            if knob.key in moves:
                by_path.setdefault(knob.path, {})[knob.name] = moves[knob.key]
        sources = await self.branches.contents(parent.tree, by_path)
        return {path: space.set_values(sources[path], values) for path, values in by_path.items()}

    async def _change_hash(self, baseline: Experiment, parent: Experiment, files: Mapping[str, bytes]) -> str:
        """The hash of the parent's code with these files changed."""
        contents = dict(files)
        if parent.tree != baseline.tree:
            first, now = await self.branches.files(baseline.tree), await self.branches.files(parent.tree)
            inherited = [path for path, facts in now.items() if facts != first.get(path) and path not in files]
            contents |= await self.branches.contents(parent.tree, inherited)
        return change_hash(await self.branches.contents(baseline.tree, contents), contents)

    async def _admitted(self, baseline: Experiment, parent: Experiment, files: Mapping[str, bytes], made: str) -> None:
        """Raises Refused where the change may not be made, changes nothing, or was made before."""
        admit(self.settings, self.knobs, await self.branches.files(parent.tree), files)
        if made == UNCHANGED:
            raise Refused(Refusal.DUPLICATE, f"it makes the code of {baseline.id}")
        if (before := await views.tried(self.database, made)) is not None:
            raise Refused(Refusal.DUPLICATE, f"it makes the code of {name_of(before)}")

    async def _queue(
        self, number: int, parent: Experiment, proposal: Proposal, files: Mapping[str, bytes], made: str
    ) -> Experiment:
        """The record first, then the branch: an engine that finds the row without the branch makes it."""
        moves = proposal.change[KNOBS]
        slug = _slug(self._title(parent, moves))
        message = (
            f"{name_of(number)} {self._title(parent, moves)}\n\n{proposal.hypothesis}\n\n"
            f"Experiment: {name_of(number)}\nParent: {parent.id}\n"
            f"Proposer: {proposal.proposer}\nOperator: {proposal.operator}\n"
        )
        commit, tree = await self.branches.commit_files(parent.commit, files, message, proposal.at)
        experiment = Experiment(
            number=number,
            slug=slug,
            state=State.QUEUED,
            tree=tree,
            commit=commit,
            branch=f"cockpit/{self.place.name}/{name_of(number)}-{slug}",
            created_at=proposal.at,
            knobs={**self._values(parent), **moves},
            parent=parent.number,
            proposer=proposal.proposer,
            operator=proposal.operator,
            hypothesis=proposal.hypothesis,
        )
        await journal.queued(self.database, experiment, proposal, made)
        await self.branches.point({experiment.branch: (commit, None)})
        return experiment

    # --- words -------------------------------------------------------------------------------------------------------

    def _sentence(self, parent: Experiment, moves: Mapping[str, Value]) -> str:
        """What moves, the farthest first: `WIDTH 64 → 24, EPOCHS 12 → 9`."""
        before = self._values(parent)
        words = [f"{k.name} {_word(before[k.key])} → {_word(moves[k.key])}" for k in self._moved(parent, moves)]
        return ", ".join(words) or "nothing moves"

    def _moved(self, parent: Experiment, moves: Mapping[str, Value]) -> list[Knob]:
        """The knobs that move, the farthest first."""
        before = self._values(parent)
        moved = [knob for knob in self.knobs if knob.key in moves]
        return sorted(moved, key=lambda knob: -_move(knob, before[knob.key], moves[knob.key]))

    def _title(self, parent: Experiment, moves: Mapping[str, Value]) -> str:
        """Two moves, or the farthest and how many more there are."""
        words = [f"{knob.name} {_word(moves[knob.key])}" for knob in self._moved(parent, moves)]
        return " and ".join(words) if len(words) <= 2 else f"{words[0]} and {len(words) - 1} more"


def _move(knob: Knob, before: Value, after: Value) -> float:
    """How far a knob moves, as a share of its range; a choice moves half."""
    if isinstance(knob.domain, Choices) or not isinstance(before, int | float) or not isinstance(after, int | float):
        return 0.5
    return abs(knob.domain.place(after) - knob.domain.place(before))


def _word(value: Value) -> str:
    """A value in a sentence: on one line, and not a long one."""
    text = str(value) if str(value).isprintable() else repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _slug(title: str) -> str:
    """A title as a part of a branch's name: what git allows there, and no more than reads well."""
    plain = re.sub(r"[^a-z0-9.]+", "-", title.lower().replace(" and ", "-and-" if title.endswith("more") else "-"))
    return re.sub(r"\.(?![0-9])", "-", plain)[:60].strip(".-")
