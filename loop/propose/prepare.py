"""From a proposer to a queued experiment: proposed, let in or refused, made a commit and a branch.

values are drawn for the knobs, given what is known         (prepare; of a model's, thought.py)
they are written into the parent's files, and let in        (let_in, change)
or refused, for they may not be, or have been tried         (refuse)
they become a commit, a row of the record, and a branch     (queue)
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from loop.branches import SHOWN, Branches, GitError
from loop.effects import References, carry_out
from loop.judge.axis import axis
from loop.judge.bounds import broken
from loop.judge.rule import bearable
from loop.propose import optimiser, space
from loop.propose.admit import UNCHANGED, Refused, admit, change_hash
from loop.propose.domain import Value
from loop.propose.edits import KNOBS, Edit, Setting
from loop.propose.functions import Function, functions
from loop.propose.known import Known, values_of
from loop.propose.measuring import read_by_evaluation
from loop.propose.rewrite import fits
from loop.propose.scalar import Unreadable
from loop.propose.space import Knob
from loop.run import stages
from loop.run.bench import reach
from loop.study import ARGS, CHANGED_LINES, ConfigError, Revision, Settings, read
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import Experiment, Moves, Outcome, Proposal, Refusal, State, name_of
from store.where import where

MOST_REFUSED = 50  # proposals in a row for one experiment: then there is nothing left, or something is wrong
AHEAD = 1  # experiments that wait for a slot while one runs
OPTIMISER = "optimiser"  # who proposes


class Change(Struct, frozen=True):
    """The files that a proposal changes, as they are then, and the hash of the code that they make."""

    files: dict[str, bytes]
    hash: str


@dataclass(slots=True)
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
    known: Known = field(init=False)  # by the optimiser
    latest: Known = field(init=False)  # what there is to know, which a model is told

    def __post_init__(self) -> None:
        self.known, self.latest = (Known(self.settings, self.knobs, self.bench) for _ in range(2))

    async def prepare(self, count: int | None, next_run: int | None = None) -> Experiment | None:
        """Queue one experiment more, of the optimiser's, of `count` in all. None where it has nothing left to propose.

        A proposal sees the runs before the first one of the experiment before it, which is number `next_run` where it
        is about to begin, and no others, however late it is made: an engine that was killed in between proposes the
        same.
        """
        async with self.turn:
            number, trunk = await views.count(self.database), await self.trunk()
            parent = await self.parent(trunk)
            if count is not None and number >= count:
                return None
            first = await views.first_run(self.database, number - 1, self.bench) if number > 1 else None
            await self.known.catch_up(self.database, first or next_run)
            tried, objectives, values = self.known.beside(parent.number), len(self.known.axes), self.values(parent)
            for _ in range(MOST_REFUSED if self.knobs else 0):
                began = time.monotonic()
                refused = await views.refused_in_a_row(self.database, OPTIMISER)
                drawn = await asyncio.to_thread(
                    optimiser.draw, self.knobs, values, objectives, self.seed, number, refused, tried
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
                if isinstance(made := await self.let_in(proposal, edit), Experiment):
                    return made
        return None

    async def experiment(self, number: int) -> Experiment:
        """The experiment of a number that the record has given."""
        found = await views.experiment(self.database, number)
        assert found is not None
        return found

    async def trunk(self) -> Experiment:
        """The experiment that is trunk."""
        return await self.experiment(await views.incumbent(self.database))

    async def parent(self, trunk: Experiment) -> Experiment:
        """What the next proposal starts from: the experiment that is pinned, while it can be, or else trunk."""
        if (number := await views.pin(self.database)) is None:
            return trunk
        pinned = await self.experiment(number)
        return pinned if pinned.bears(trunk.number) else trunk

    async def let_in(self, proposal: Proposal, edit: Edit, asked: Sequence[int] = ()) -> Experiment | Refused:
        """Queue the experiment of a proposal, or record why it is refused. `self.turn` is held meanwhile.

        `edit` is what it does to its parent's files, `asked` the calls to a model that it took.
        """
        change = await self.change(await self.experiment(0), await self.experiment(proposal.parent), edit)
        if isinstance(change, Refused):
            return await self.refuse(proposal, change, None, asked)
        if (number := await self.twin(change.hash)) is None:
            return await self.queue(proposal, edit, change, asked)
        twin = await self.experiment(number)
        why = Refused(Refusal.DUPLICATE, f"it makes the code of {twin.id}")
        await self.refuse(proposal, why, change.hash, asked)
        over = twin.state in (State.MERGED, State.REJECTED) or twin.ended
        if over or await self._known_here(number):
            return why
        await journal.queued_again(self.database, twin)
        return twin

    async def refuse(
        self, proposal: Proposal, why: Refused, change_hash: str | None = None, asked: Sequence[int] = ()
    ) -> Refused:
        """Record that a proposal is refused."""
        refused = replace(proposal, refusal=why.refusal, reason=why.reason)
        await journal.refused(self.database, refused, change_hash, asked)
        return why

    def values(self, experiment: Experiment) -> dict[str, Value]:
        """The values of all knobs in an experiment's tree."""
        return values_of(self.knobs, experiment)

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
            except Unreadable as why:  # of a file as others have left it
                return Refused(Refusal.INVALID, f"{', '.join(edit.paths)}:{why.line}: {why}")
            return Change(files, change_hash(first, {**inherited, **files}))

        change = await asyncio.to_thread(made)
        if isinstance(change, Change) and (why := await self._too_long(baseline, parent, change)):
            return Refused(Refusal.OUT_OF_THE_SPACE, why)
        return change

    async def _too_long(self, baseline: Experiment, parent: Experiment, change: Change) -> str:
        """Why a change has too many lines, which is known before any device time; nothing where it has not.

        For a bound, or because it loses more of that objective than would be given up for anything.
        """
        settings = self.settings
        bound = {name: one for name, one in settings.constraints.items() if name == CHANGED_LINES}
        objective, most = settings.objectives.get(CHANGED_LINES), inf
        if (
            objective
            and objective.steers
            and objective.direction == "minimize"
            and CHANGED_LINES not in settings.study.worth
        ):
            lines_axis = axis(CHANGED_LINES, objective, 0.0)
            most = bearable(lines_axis) * lines_axis.unit
        if not bound and most == inf:
            return ""
        tree = await self.branches.tree_with(parent.tree, change.files)
        lines = await self.branches.changed_lines(baseline.tree, tree)
        if why := broken(bound, {CHANGED_LINES: float(lines)}):
            return f"{why[0]}, against e0000"
        trunk = await self.trunk()
        more = lines - await self.branches.changed_lines(baseline.tree, trunk.tree)
        if more > most:
            return (
                f"{CHANGED_LINES} {lines}, {more} more than {trunk.id}'s, and {most:g} would be given up for anything"
            )
        return ""

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
        proposal: Proposal,
        edit: Edit,
        change: Change,
        asked: Sequence[int] = (),
        together: Sequence[Experiment] = (),
    ) -> Experiment:
        """An experiment of a proposal that is let in: its commit, its row, and its branch.

        It takes the changes of those `together` to its parent.
        """
        number, slug = await views.count(self.database), _slug(edit.title)
        parent = await self.experiment(proposal.parent)
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
            lines=await self.branches.changed_lines((await self.experiment(0)).tree, tree),
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


async def prepared(place: Place, branches: Branches, database: Database) -> Preparation:
    """Where the proposals of a study that has begun are let in, for who makes none. Raises ConfigError."""
    revision = read(place.config)
    study, baseline = await views.study(database), await views.experiment(database, 0)
    engine = await views.last_engine(database)
    assert study is not None and engine is not None and baseline is not None
    rests = await views.rests_on(database, await views.incumbent(database))
    knobs = await knobs_of(place, revision, branches, await branches.tree(rests))
    return Preparation(place, revision.settings, branches, database, knobs, study.seed, engine.facts["bench"])


async def knobs_of(place: Place, revision: Revision, branches: Branches, tree: str) -> tuple[Knob, ...]:
    """The knobs of the baseline's code. Raises ConfigError, also where it does not pass its own gates."""
    settings, files = revision.settings, await branches.files(tree)
    listed = {key.partition(":")[0] for key in settings.space.knobs}
    paths = [path for path in files if path in listed or (path.endswith(".py") and settings.editable(path))]
    scripts = list[str]()
    if any(key.startswith("--") for key in settings.space.knobs):
        reached, _ = await reach(settings.run.train, settings.run.cwd, branches, tree, files)
        scripts = [*reached]
    sources = await branches.contents(tree, {*paths, *scripts, ARGS})

    def at(knob: str) -> str:
        return where(place.config, revision.text, ("space", "knobs", knob))

    knobs = await asyncio.to_thread(space.declared, settings, at, sources, scripts)
    if any(knob.key == settings.run.seed for knob in knobs):  # an annotated one: `parse` has seen those that are listed
        raise ConfigError(
            f"{where(place.config, revision.text, ('run', 'seed'))}: `[run] seed`: {settings.run.seed} is annotated as "
            "a knob in the code; take out one of the two"
        )
    own = {knob.path: sources.get(knob.path, b"") for knob in knobs}
    try:
        await asyncio.to_thread(admit, settings, knobs, files, own, own)
    except Refused as why:
        raise ConfigError(f"{place.config}: `[space]`: no knob can be set: {why.reason}") from None
    return knobs


async def evaluation_reads(settings: Settings, branches: Branches, tree: str, knobs: Sequence[Knob]) -> dict[str, str]:
    """The knobs that the evaluation reads too, by key, each with where; none where a scorer measures, from outside."""
    run = settings.run
    if "score" in stages.names(settings):
        return {}
    files = await branches.files(tree)
    scripts, _ = await reach(run.eval or run.train, run.cwd, branches, tree, files)
    paths = {*scripts} if run.eval else {*scripts, *(knob.path for knob in knobs)}
    own = set(stages.scripts(run.eval or "", files, run.cwd)) - set(stages.scripts(run.train, files, run.cwd))
    sources = await branches.contents(tree, paths)
    return await asyncio.to_thread(read_by_evaluation, knobs, sources, [*scripts], own)


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
