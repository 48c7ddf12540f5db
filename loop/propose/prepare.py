"""From a proposer to a queued experiment: proposed, let in or refused, made a commit and a branch.

values are drawn for the knobs, given what is known         (prepare; of a model's, thought.py)
they are written into the parent's files, and let in        (let_in, change)
or refused, for they may not be, or have been tried         (refuse)
they become a commit, a row of the record, and a branch     (queue)
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from loop.branches import SHOWN, Branches, GitError
from loop.effects import References, carry_out
from loop.judge.axis import Axis
from loop.judge.bounds import broken
from loop.judge.runs import Runs
from loop.propose import optimiser, space
from loop.propose.admit import UNCHANGED, Refused, admit, change_hash
from loop.propose.domain import Value
from loop.propose.edits import KNOBS, REWRITE, Edit, Setting
from loop.propose.functions import Function, functions
from loop.propose.optimiser import Tried
from loop.propose.rewrite import fits
from loop.propose.space import Knob
from loop.study import CHANGED_LINES, ConfigError, Revision, Settings, read
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import Experiment, Moves, Outcome, Proposal, Refusal, State, name_of
from store.where import where

MOST_REFUSED = 50  # proposals in a row for one experiment: then there is nothing left, or something is wrong
AHEAD = 1  # experiments that wait for a slot while one runs
OPTIMISER = "optimiser"  # who proposes


@dataclass(frozen=True, slots=True)
class Change:
    """The files that a proposal changes, as they are then, and the hash of the code that they make."""

    files: dict[str, bytes]
    hash: str


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
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # one proposal after another is let in

    async def prepare(self, count: int | None, next_run: int | None = None) -> Experiment | None:
        """Queue one experiment more, of the optimiser's, of `count` in all. None where it has nothing left to propose.

        A proposal sees the runs before the first one of the experiment before it, which is number `next_run` where it
        is about to begin, and no others, however late it is made: an engine that was killed in between proposes the
        same.
        """
        async with self.turn:
            rows, trunk = await self.stand()
            parent, number = await self.parent(rows, trunk), rows[-1].number + 1
            if count is not None and number >= count:
                return None
            first = await views.first_run(self.database, number - 1, self.bench) if number > 1 else None
            axes, known = await self.known(rows, first or next_run)
            # Of code written anew, and not the parent's, the same values say something else.
            own = _written_anew(rows, parent)
            tried = [one for number, one in known.items() if _written_anew(rows, rows[number]) <= own]
            values = self.values(parent)
            for _ in range(MOST_REFUSED if self.knobs else 0):
                began = time.monotonic()
                refused = await views.refused_in_a_row(self.database, OPTIMISER)
                drawn = await asyncio.to_thread(
                    optimiser.draw, self.knobs, values, len(axes), self.seed, number, refused, tried
                )
                if drawn is None:
                    break
                edit = Setting(self.knobs, values, drawn.knobs).onto(values)
                proposal = Proposal(
                    proposer=OPTIMISER,
                    operator=KNOBS,
                    parent=parent.number,
                    trunk=trunk.number,
                    hypothesis=f"{edit.sentence} ({drawn.why})",
                    change=edit.change,
                    at=time.time(),
                    wall_seconds=time.monotonic() - began,
                )
                if isinstance(made := await self.let_in(rows, proposal, edit), Experiment):
                    return made
        return None

    async def stand(self) -> tuple[list[Experiment], Experiment]:
        """The experiments that there are, and the one that is trunk."""
        rows = await views.experiments(self.database)
        return rows, rows[await views.incumbent(self.database)]

    async def parent(self, rows: list[Experiment], trunk: Experiment) -> Experiment:
        """What the next proposal starts from: the experiment that is pinned, while it can be, or else trunk."""
        pinned = await views.pinned(self.database, rows, trunk.number)
        return trunk if pinned is None else rows[pinned]

    async def let_in(
        self, rows: list[Experiment], proposal: Proposal, edit: Edit, asked: Sequence[int] = ()
    ) -> Experiment | Refused:
        """Queue the experiment of a proposal, or record why it is refused. `self.turn` is held meanwhile.

        `edit` is what it does to its parent's files, `asked` the calls to a model that it took.
        """
        parent = rows[proposal.parent]
        change = await self.change(rows[0], parent, edit)
        if isinstance(change, Refused):
            return await self.refuse(proposal, change, None, asked)
        if (twin := await self.twin(change.hash)) is None:
            return await self.queue(rows, proposal, edit, change, asked)
        why = Refused(Refusal.DUPLICATE, f"it makes the code of {name_of(twin)}")
        await self.refuse(proposal, why, change.hash, asked)
        over = rows[twin].state in (State.MERGED, State.REJECTED) or rows[twin].ended
        if over or await self._known_here(twin):
            return why
        await journal.queued_again(self.database, rows[twin])
        return rows[twin]

    async def refuse(
        self, proposal: Proposal, why: Refused, change_hash: str | None = None, asked: Sequence[int] = ()
    ) -> Refused:
        """Record that a proposal is refused."""
        refused = replace(proposal, refusal=why.refusal, reason=why.reason)
        await journal.refused(self.database, refused, change_hash, asked)
        return why

    # --- what is known -----------------------------------------------------------------------------------------------

    async def known(self, rows: list[Experiment], before: int | None = None) -> tuple[list[Axis], dict[int, Tried]]:
        """The objectives, and what is known of the experiments, from the runs before number `before`, or from all."""
        runs = Runs(self.settings, await views.values(self.database, self.bench, before))
        axes, means = runs.axes(), {number: runs.mean(number) for number in runs.of}
        last = await views.last_runs(self.database)
        failed = await views.failed(self.database, self.bench, before)
        failed |= {number for number in means if runs.breach(number)}  # what is infeasible is no better
        over = {row.number for row in rows if before is None or last.get(row.number, 0) < before}
        found = {
            row.number: self._tried(row, axes, means.get(row.number, {}), row.number in over, row.number in failed)
            for row in rows
        }
        return axes, {number: one for number, one in found.items() if one is not None}

    def _tried(
        self, row: Experiment, axes: Sequence[Axis], means: Mapping[str, float], over: bool, failed: bool
    ) -> Tried | None:
        """What a proposer may know of an experiment: these means, and whether it has failed.

        `over` says that it had no run since. None where that is of other knobs, or was measured on another bench.
        """
        if row.knobs.keys() - {knob.key for knob in self.knobs}:
            return None
        failed = failed or (over and row.state is State.FAILED and not row.ended)
        if axes and not failed and all(axis.name in means for axis in axes):
            return Tried(self.values(row), tuple(axis.gain(means[axis.name]) for axis in axes))
        under_way = not over or row.state in (State.QUEUED, State.RUNNING)
        return Tried(self.values(row), None, failed=failed) if failed or under_way else None

    def values(self, experiment: Experiment) -> dict[str, Value]:
        """The values of all knobs in an experiment's tree."""
        return {knob.key: experiment.knobs.get(knob.key, knob.default) for knob in self.knobs}

    # --- letting in --------------------------------------------------------------------------------------------------

    async def change(self, baseline: Experiment, parent: Experiment, edit: Edit) -> Change | Refused:
        """The parent's files with an edit, let in; or why they are not."""
        modes, sources = await self.branches.files(parent.tree), await self.branches.contents(parent.tree, edit.paths)
        first, inherited = dict(sources), dict[str, bytes]()
        if parent.tree != baseline.tree:
            then = await self.branches.files(baseline.tree)
            differing = [path for path, facts in modes.items() if facts != then.get(path)]
            inherited = await self.branches.contents(parent.tree, differing)
            first = await self.branches.contents(baseline.tree, {*differing, *edit.paths})

        def made() -> Change | Refused:
            try:
                files = edit.made(sources)
                admit(self.settings, self.knobs, modes, sources, files)
            except Refused as why:
                return why
            return Change(files, change_hash(first, {**inherited, **files}))

        change = await asyncio.to_thread(made)
        bound = {name: one for name, one in self.settings.constraints.items() if name == CHANGED_LINES}
        if bound and isinstance(change, Change):  # it is known before any device time
            tree = await self.branches.tree_with(parent.tree, change.files)
            lines = await self.branches.changed_lines(baseline.tree, tree)
            if why := broken(bound, {CHANGED_LINES: float(lines)}):
                return Refused(Refusal.OUT_OF_THE_SPACE, f"{why[0]}, against e0000")
        return change

    async def twin(self, made: str) -> int | None:
        """The number of the experiment whose code this is, if there is one."""
        return 0 if made == UNCHANGED else await views.tried(self.database, made)

    async def _known_here(self, number: int) -> bool:
        """Whether an experiment has been run on the bench that stands, or is about to be."""
        runs = await views.runs(self.database, number)
        waits = number in {one.number for one in await views.queued(self.database)}
        return waits or any(run.bench == self.bench and run.outcome is not Outcome.INTERRUPTED for run in runs)

    async def queue(
        self,
        rows: list[Experiment],
        proposal: Proposal,
        edit: Edit,
        change: Change,
        asked: Sequence[int] = (),
        together: Sequence[Experiment] = (),
    ) -> Experiment:
        """An experiment of a proposal that is let in: its commit, its row, and its branch.

        It takes the changes of those `together` to its parent.
        """
        number, parent, slug = rows[-1].number + 1, rows[proposal.parent], _slug(edit.title)
        message = (
            f"{name_of(number)} {edit.title}\n\n{proposal.hypothesis}\n\n"
            f"Experiment: {name_of(number)}\nParent: {parent.id}\n"
            f"Proposer: {proposal.proposer}\nOperator: {proposal.operator}\n"
        )
        beside = [one.commit for one in together]
        commit, tree = await self.branches.commit_files(parent.commit, change.files, message, proposal.at, beside)
        experiment = Experiment(
            number=number,
            slug=slug,
            state=State.QUEUED,
            tree=tree,
            commit=commit,
            branch=f"cockpit/{self.place.name}/{name_of(number)}-{slug}",
            created_at=proposal.at,
            knobs={**self.values(parent), **edit.moves},
            parent=parent.number,
            root=parent.number if proposal.trunk is None else proposal.trunk,
            proposer=proposal.proposer,
            operator=proposal.operator,
            hypothesis=proposal.hypothesis,
        )
        branch: Moves = {SHOWN + experiment.branch: (None, commit)}
        others = [one.number for one in together]
        effect = await journal.queued(self.database, experiment, branch, proposal, change.hash, asked, others)
        if hindrance := await carry_out(self.database, effect, References(self.branches, branch)):
            raise GitError(hindrance)
        return experiment


def _written_anew(rows: Sequence[Experiment], row: Experiment) -> set[int]:
    """The experiments whose functions are in the code of this one."""
    ahead, found = [row.number], set[int]()
    while ahead:
        found.add(number := ahead.pop())
        ahead += [parent for parent in rows[number].parents if parent not in found]
    return {number for number in found if rows[number].operator == REWRITE}


async def prepared(place: Place, branches: Branches, database: Database) -> Preparation:
    """Where the proposals of a study that has begun are let in, for who makes none. Raises ConfigError."""
    revision = read(place.config)
    study, baseline = await views.study(database), await views.experiment(database, 0)
    engine = await views.last_engine(database)
    assert study is not None and engine is not None and baseline is not None
    knobs = await knobs_of(place, revision, branches, baseline.tree)
    return Preparation(place, revision.settings, branches, database, knobs, study.seed, engine.facts["bench"])


async def knobs_of(place: Place, revision: Revision, branches: Branches, tree: str) -> tuple[Knob, ...]:
    """The knobs of the baseline's code. Raises ConfigError, also where it does not pass its own gates."""
    settings, files = revision.settings, await branches.files(tree)
    touchable = [path for path in files if path.endswith(".py") and settings.touchable(path)]
    sources = await branches.contents(tree, touchable)

    def at(knob: str) -> str:
        return where(place.config, revision.text, ("space", "knobs", knob))

    knobs = await asyncio.to_thread(space.declared, settings, at, sources)
    own = {knob.path: sources[knob.path] for knob in knobs}
    try:
        await asyncio.to_thread(admit, settings, knobs, files, own, own)
    except Refused as why:
        raise ConfigError(f"{place.config}: `[space]`: no knob can be set: {why.reason}") from None
    return knobs


async def functions_of(settings: Settings, branches: Branches, tree: str, num_ctx: int) -> dict[Function, bytes]:
    """The functions that a model with such a context may write anew, each with the content of its file."""
    paths = [path for path in await branches.files(tree) if path.endswith(".py") and settings.editable(path)]
    sources = await branches.contents(tree, paths)

    def found() -> dict[Function, bytes]:
        every = [(one, source) for path, source in sources.items() for one in functions(path, source)]
        return {one: source for one, source in every if fits(one, num_ctx)}

    return await asyncio.to_thread(found)


def _slug(title: str) -> str:
    """A title as a part of a branch's name: what git allows there, and no more than reads well."""
    plain = re.sub(r"[^a-z0-9.]+", "-", title.lower().replace(" and ", "-and-" if title.endswith("more") else "-"))
    return re.sub(r"-+", "-", re.sub(r"\.(?![0-9])", "-", plain))[:60].strip(".-")
