"""What a study would run, without running any of it: all that a start looks at, and all that it would refuse.

Nothing of the user's code is started: the interpreter is asked what it has, and the wall is tried, as at each start.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from loop import budget
from loop.branches import Branches, GitError
from loop.plan import of_study
from loop.ready import Ready, look, no_commit
from loop.run import stages
from loop.run.devices import cores, kind
from loop.study import ConfigError, Revision, read
from store import views
from store.database import Database, ask
from store.place import SCRATCH, Place, engine_pid
from store.planned import Plan
from store.probed import FOLDER
from store.records import Outcome, Study, some
from store.trail import SHELL, Trail


class Checked(Struct):
    """What will run, where and with what; `errors` are what a start would refuse, a line each."""

    study: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    commit: str | None = None
    begun: bool = False  # whether anything was measured: then `commit` stands
    commands: dict[str, str] = field(default_factory=dict)  # by stage
    cwd: str = "."  # where they are run, in the checkout
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
    carved: str = ""  # how many rows of what are for training, and how many are scored
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
        found.errors.append(no_commit(place))
        return found

    async def stands(database: Database) -> tuple[str | None, Study | None]:
        """The commit that the study began from, once it has measured anything; and what the record says of it."""
        baseline, study = await views.experiment(database, 0), await views.study(database)
        good = any(run.outcome is Outcome.OK for run in await views.runs(database, 0))
        return (baseline.commit if baseline and good else None), study

    unasked: tuple[str | None, Study | None] = (None, None)
    commit, study = await ask(place, stands, unasked)
    found.begun, found.commit = commit is not None, commit or head
    if (pid := engine_pid(place.folder)) is not None:
        found.warnings.append(f"an engine runs this study now, pid {pid}")
    tree = await branches.tree(found.commit)
    if left_out := [path for path in await branches.left_out(tree) if path != place.config.name]:
        found.warnings.append(f"not committed, so not part of the study: {some(left_out)}")
    trial = replace(place, name=FOLDER)  # the study's own folder is made by its engine
    trial.folder.mkdir(parents=True, exist_ok=True)
    # An engine may be at work with the study's own split: another one is divided beside it, to look at.
    scratch = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=trial.folder, prefix=SCRATCH)
    try:
        ready = await look(place, revision, branches, None, tree, study, trial, Path(scratch.name))
    finally:
        await asyncio.to_thread(scratch.cleanup)
    _of_the_machine(found, ready)
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
        labels = "what is carved" if settings.data.carve else settings.data.labels
        found.commands["score"] = f"{settings.run.scorer}, a scorer of cockpit's own, on {labels}"
    if settings.fidelity:
        found.fidelity = settings.fidelity.model_dump()
    found.cwd, found.seed, found.timeout_seconds = settings.run.cwd, settings.run.seed, settings.run.timeout
    found.read, found.sealed = list(settings.data.read), list(settings.data.sealed)
    found.editable = list(settings.space.edit)
    found.objectives = {name: one.direction for name, one in settings.objectives.items()}
    found.budget = budget.asked(settings.budget)
    found.preset, found.baseline_seeds = settings.study.preset, settings.seeds.baseline
    found.device, found.cores = kind(), cores()


def _of_the_machine(found: Checked, ready: Ready) -> None:
    """What a start finds out, and what it would refuse."""
    found.errors += ready.texts("error")
    found.warnings += ready.texts("warning")
    found.meter = str(ready.meter)
    found.carved = ready.split.sentence if ready.split else ""
    if ready.bench is not None:
        found.python, found.python_version = str(ready.bench.interpreter.python), ready.bench.interpreter.version
        found.launch = ready.bench.launch.how
        found.warnings += ready.bench.doubts
    if ready.wall is not None:
        found.wall, found.no_wall = ready.wall.name, ready.wall.lack
    found.knobs = {knob.key: str(knob.domain) for knob in ready.knobs or ()}
    if ready.chosen is not None:
        found.model, found.model_why = ready.chosen.model.name if ready.chosen.model else "none", ready.chosen.why
