"""What a study would run, without running any of it: all that a start looks at, and all that it would refuse.

Nothing of the user's code is started: the interpreter is asked what it has, and the wall is tried, as at each start.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from loop import budget
from loop.branches import Branches, GitError
from loop.judge.preset import check as check_preset
from loop.plan import of_study
from loop.propose.prepare import knobs_of
from loop.propose.which import choose
from loop.run import bench, costs, fidelity, meter, sandbox, stages
from loop.run.devices import cores, kind, usable
from loop.run.interpreter import Unusable
from loop.run.quiet import Quiet
from loop.study import ConfigError, Revision, read
from store import views
from store.database import Database, ask
from store.place import Place, engine_pid
from store.planned import Plan
from store.probed import FOLDER
from store.records import Outcome
from store.trail import SHELL, Trail


class Checked(Struct):
    """What will run, where and with what; `errors` are what a start would refuse, a line each."""

    study: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    commit: str | None = None
    begun: bool = False  # whether anything was measured: then `commit` stands
    commands: dict[str, str] = field(default_factory=dict)  # by stage
    seed: str | None = None
    timeout_seconds: float | None = None
    python: str | None = None
    python_version: str | None = None
    launch: str | None = None
    wall: str | None = None
    no_wall: str = ""
    device: str = ""
    cores: int = 0
    meter: str = ""
    read: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    editable: list[str] = field(default_factory=list)
    knobs: dict[str, str] = field(default_factory=dict)
    objectives: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    model_why: str = ""
    budget: dict[str, float] = field(default_factory=dict)
    preset: str = ""
    baseline_seeds: int = 0
    fidelity: dict[str, dict[str, Any]] = field(default_factory=dict)  # what each sets; nothing where there is but one
    plan: Plan | None = None


async def check(place: Place) -> Checked:
    """Look at all of it. Raises GitError, OSError and what the record raises."""
    found = Checked(place.name)
    try:
        revision = await asyncio.to_thread(read, place.config)
    except ConfigError as why:
        found.errors += str(why).splitlines()
        return found
    _of_the_file(found, revision)
    branches = await Branches.of(place, Trail(place.folder if place.folder.exists() else None, SHELL))
    try:
        head = await branches.commit("HEAD")
    except GitError:
        found.errors.append(
            f"{place.root} has no commit yet: `git add -A && git commit` first, a study starts from HEAD"
        )
        return found

    async def stands(database: Database) -> tuple[str | None, int | None]:
        """The commit that the study began from, once it has measured anything; and its seed."""
        baseline, study = await views.experiment(database, 0), await views.study(database)
        good = any(run.outcome is Outcome.OK for run in await views.runs(database, 0))
        return (baseline.commit if baseline and good else None), (study.seed if study else None)

    unasked: tuple[str | None, int | None] = (None, None)
    commit, seed = await ask(place, stands, unasked)
    found.begun, found.commit = commit is not None, commit or head
    if seed is not None and seed != revision.settings.study.seed:
        found.errors.append(
            f"{place.config}: `[study] seed` is {revision.settings.study.seed}, and the study began with {seed}: put "
            "that back, or give the study another name"
        )
    if (pid := engine_pid(place.folder)) is not None:
        found.warnings.append(f"an engine runs this study now, pid {pid}")
    if dirty := await branches.dirty():
        found.warnings.append(
            f"not committed, so not part of the study: {', '.join(dirty[:5])}" + ", …" * (len(dirty) > 5)
        )
    tree = await branches.tree(found.commit)
    if left_out := await branches.submodules(tree):
        found.warnings.append(f"submodules, which are not checked out: {', '.join(left_out)}")
    await _of_the_machine(found, place, revision, branches, tree)
    if not found.errors:
        found.plan = await of_study(place, revision)
        if found.plan.warning:
            found.warnings.append(found.plan.warning)
    return found


def _of_the_file(found: Checked, revision: Revision) -> None:
    """What the file alone says."""
    settings = revision.settings
    found.commands = {name: str(getattr(settings.run, name)) for name in stages.names(settings)}
    if settings.run.scorer:
        found.commands["score"] = f"{settings.run.scorer}, a scorer of cockpit's own, on {settings.data.labels}"
    if settings.fidelity:
        found.fidelity = settings.fidelity.model_dump()
    found.seed, found.timeout_seconds = settings.run.seed, settings.run.timeout
    found.read, found.sealed = list(settings.data.read), list(settings.data.sealed)
    found.editable = list(settings.space.edit)
    found.objectives = {name: one.direction for name, one in settings.objectives.items()}
    found.budget = budget.asked(settings.budget)
    found.preset, found.baseline_seeds = settings.study.preset, settings.seeds.baseline
    found.device, found.cores = kind(), cores()


async def _of_the_machine(found: Checked, place: Place, revision: Revision, branches: Branches, tree: str) -> None:
    """What a start finds out, in its order. What one step refuses does not keep the next from being looked at."""
    settings, trail = revision.settings, branches.trail
    measures = await meter.look(trail)
    found.meter = str(measures)

    async def refused(step: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await step()
        except (ConfigError, Unusable) as why:
            found.errors += [line for line in str(why).split("\n") if line not in found.errors]
            return None

    def looked(what: Callable[..., None], *given: Any) -> Awaitable[Any]:
        return refused(lambda: asyncio.to_thread(what, *given))

    files = await branches.files(tree)
    await looked(bench.check, place, revision, files)
    for name, command in found.commands.items():
        if command != getattr(settings.run, name):
            continue
        for word in command.split():
            if word.endswith(".py") and word not in files and not word.startswith(("/", "{")):
                found.errors.append(
                    f"{place.config}: `[run] {name}`: {word} is not committed; commit it, or mend the name"
                )
    own: bench.Bench | None = await refused(lambda: bench.set_up(place, revision, branches, None, tree, measures))
    if own is not None:
        found.python, found.python_version = str(own.interpreter.python), own.interpreter.version
        found.launch = own.launch.how
        lent = [bench.lent(place, path) for path in settings.data.read]
        sealed = [bench.sealed(place, path) for path in settings.data.sealed]
        trial = replace(place, name=FOLDER)  # the study's own folder is made by its engine
        trial.folder.mkdir(parents=True, exist_ok=True)
        variables = stages.environment(trial.folder, "tree")
        wall = await sandbox.build(trial, own.interpreter, lent, sealed, variables, trail)
        found.wall, found.no_wall = wall.name, wall.lack
        await looked(stages.check, place.config, settings, wall)
        if wall.lack:
            found.warnings.append("no wall: what runs can read your files and reach the network")
    await looked(check_preset, place.config, revision)
    await looked(costs.check, place.config, revision, measures)
    await looked(budget.check, place.config, revision, usable(), measures)
    if (knobs := await refused(lambda: knobs_of(place, revision, branches, tree))) is not None:
        found.knobs = {knob.key: str(knob.domain) for knob in knobs}
        if own is not None:
            await looked(fidelity.check, place.config, revision, own.sets, list(found.knobs))
    if (chosen := await refused(lambda: choose(place, revision, Quiet(), trail))) is not None:
        found.model, found.model_why = chosen.model.name if chosen.model else "none", chosen.why
    if not found.errors and not found.knobs and not found.editable:
        found.warnings.append("no knob and no editable file: nothing to search")
