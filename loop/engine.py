"""The engine: one process a study, which carries out the research. The story of one experiment, in the code's order:

    one engine a study: the lock, the record                      (the_engine)
    what is here: study, interpreter, bench                       (open)
    what an earlier engine left running is adopted or closed      (settle)
    the baseline is admitted: the user's commit, two branches     (admit_baseline)
    a run takes a slot and a fresh folder, its supervisor starts (execute)
    the supervisor is followed, stage by stage                    (follow)
    what it measured, or why it failed, is recorded               (close)

Every step is recorded before or with what it does, so that an engine killed at any instant is resumed by the next one.
"""

import asyncio
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from loop.branches import Branches, GitError
from loop.run import bench, launch, stages
from loop.run.devices import kind
from loop.study import ConfigError, Revision, Settings, parse, read
from store import journal, views
from store.database import Database
from store.place import Place, take_engine_lock
from store.records import Ended, Experiment, Outcome, Run, Stage, State, Study

FREE_BYTES = 256 * 2**20  # below this much room no run is begun
HOMES = ("tree.home", "tree.tmp", "scorer.home", "scorer.tmp")  # of the code under test, and of the scorer
TRIES = 3  # of a run that something outside has interrupted
SLOT = "slot0"
WALL = "none"  # what stands between the code under test and this machine
METER = "pss 4 Hz, maxrss"


class MachineFailed(Exception):
    """The machine, not the study, is at fault: no room, no git, a record that cannot be written."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent, where it is not what `[budget]` says. None leaves it to the file."""

    experiments: int | None = None
    seconds: float | None = None


class Stop:
    """A request from outside to end. Asked once, the current run ends with a grace; asked again, without."""

    def __init__(self) -> None:
        self.urgency = 0
        self.why: Ended | None = None

    def ask(self, why: Ended = Ended.INTERRUPTED) -> None:
        """Ask to end, for a reason; the first reason stands."""
        self.urgency += 1
        self.why = self.why or why


def seeds(study_seed: int) -> Iterator[int]:
    """The seeds of a study's runs, in order: one list, drawn from the study's own seed."""
    draw, seen = random.Random(f"cockpit {study_seed}"), set[int]()
    while True:
        seed = draw.randrange(1, 1_000_000)
        if seed not in seen:
            seen.add(seed)
            yield seed


async def research(place: Place, limits: Limits, stop: Stop) -> Ended:
    """Run a study until it is done, a limit is reached or it is asked to stop. Why it ended.

    Raises ConfigError, Unusable, EngineRuns, RecordTooNew, MachineFailed, GitError, OSError and sqlite3.Error.
    """
    revision = read(place.config)
    branches = await Branches.of(place)
    try:
        head = await branches.commit("HEAD")
    except GitError:
        raise ConfigError(
            f"{place.root} has no commit yet: `git add -A && git commit` first, a study starts from HEAD"
        ) from None
    async with the_engine(place, revision, branches, stop) as engine:
        ended = Ended.MACHINE_FAILED
        try:
            await engine.open(revision, head)
            ended = await engine.research(limits)
        finally:
            await engine.close(ended)
    return ended


@asynccontextmanager
async def the_engine(place: Place, revision: Revision, branches: Branches, stop: Stop) -> AsyncIterator["Engine"]:
    """Become the study's engine. The lock is held until the end, or the death of this process."""
    place.folder.mkdir(parents=True, exist_ok=True)
    lock = await asyncio.to_thread(take_engine_lock, place.folder)
    try:
        async with await Database.open(place.folder, create=True) as database:
            yield Engine(place, revision.settings, branches, database, stop)
    finally:
        os.close(lock)


class Engine:
    """One life of a study's engine, between taking the lock and letting it go."""

    def __init__(self, place: Place, settings: Settings, branches: Branches, database: Database, stop: Stop) -> None:
        self.place = place
        self.settings = settings
        self.branches = branches
        self.database = database
        self.stop = stop
        self.life: int | None = None  # in the record, once it is there
        self.adopted: list[tuple[Experiment, Run]] = []
        self.failed = False  # whether a run of the baseline has failed in this life
        self._deleting: list[asyncio.Task[None]] = []

    # --- opening -----------------------------------------------------------------------------------------------------

    async def open(self, revision: Revision, head: str) -> None:
        """Find out what is here, and record it: study, revision, interpreter, bench."""
        self.revision = revision.digest
        baseline = await views.experiment(self.database, 0)
        runs = await views.runs(self.database, 0)
        # Until the unchanged code has given a measurement, the study follows the user's HEAD: they may have mended it.
        stands = any(run.outcome is Outcome.OK or self._has_more_to_say(run) for run in runs)
        commit = baseline.commit if baseline and stands else head
        tree = await self.branches.tree(commit)
        self.bench = await bench.set_up(self.place, self.settings, self.branches, self.database, tree)

        facts = {
            "study": self.place.name,
            "python": str(self.bench.interpreter.python),
            "python_version": self.bench.interpreter.version,
            "accelerate": self.bench.interpreter.packages.get("accelerate"),
            "launch": self.bench.launch.how,
            "device": kind(),
            "wall": WALL,
            "meter": METER,
            "model": self.settings.model.name,
            "left_out": await self.branches.dirty(),
            "submodules": await self.branches.submodules(tree),
        }
        self.life = await journal.engine_started(
            self.database, os.getpid(), facts, f"engine started, pid {os.getpid()}"
        )
        study = await views.study(self.database)
        if study is None:
            question = self.settings.study
            study = Study(self.place.name, question.goal, question.seed, commit, time.time())
            await journal.study_began(self.database, study)
        self.seed = study.seed
        await journal.study_revised(self.database, revision.digest, revision.text)
        await journal.bench_set(self.database, self.bench.hash, self.bench.facts)
        await self._settle()
        if not stands:
            await self._admit_baseline(baseline, commit, tree)

    def _has_more_to_say(self, run: Run) -> bool:
        """Whether an unfinished run goes on without an engine, or has ended while there was none."""
        folder = self.place.folder / run.folder
        said = launch.status(folder)
        return run.outcome is None and (launch.locked(folder) or bool(said and said["ended"]))

    async def _settle(self) -> None:
        """Close or adopt what an earlier engine left: its runs may have ended meanwhile, or may go on now."""
        for run in await views.unfinished_runs(self.database):
            experiment = await self._experiment(run.experiment)
            if launch.locked(self.place.folder / run.folder):
                self.adopted.append((experiment, run))
            else:
                await launch.gone(self.place.folder / run.folder)
                await self._close(experiment, run, [])
        going_on = {self.place.folder / run.folder for _, run in self.adopted}
        for folder in set((self.place.folder / "runs").glob("*")) - going_on:
            self._clear(folder)

    async def _admit_baseline(self, before: Experiment | None, commit: str, tree: str) -> None:
        """The unchanged code is experiment 0, and where trunk begins. Until it is measured it may begin elsewhere."""
        trunk, branch = f"cockpit/{self.place.name}/trunk", f"cockpit/{self.place.name}/e0000-baseline"
        if before is None:
            baseline = Experiment(0, "baseline", State.QUEUED, tree, commit, branch, time.time())
            await journal.queued(self.database, baseline)
        tips = await self.branches.tips()
        known = {None, commit, before.commit if before else None}
        for name in (trunk, branch):
            if tips.get(name) not in known:
                raise GitError(
                    f"the branch {name} is there already and stands at {tips[name][:7]}, which this study "
                    f"knows nothing of: keep what it holds under another name, then `git branch -D {name}`"
                )
        await self.branches.point({name: (commit, tips.get(name)) for name in (trunk, branch)})
        if before is not None and before.commit != commit:
            await journal.baseline_moved(self.database, replace(before, commit=commit, tree=tree), before.commit)

    # --- the research ------------------------------------------------------------------------------------------------

    async def research(self, limits: Limits) -> Ended:
        """Experiments until there is a reason to end."""
        budget = self.settings.budget
        count, seconds = limits.experiments or budget.experiments, limits.seconds
        if seconds is None and budget.time is not None:
            seconds = budget.time - await views.engine_seconds(self.database)
        if seconds is not None:
            asyncio.get_running_loop().call_later(max(seconds, 0.0), self.stop.ask, Ended.TIME)
        for experiment, run in self.adopted:
            await self._follow(experiment, run)

        runs = await views.runs(self.database, 0)
        measured = any((run.outcome, run.bench) == (Outcome.OK, self.bench.hash) for run in runs)
        tries = 0
        while not measured and not self.stop.why and not self.failed:
            if (tries := tries + 1) > TRIES:
                raise MachineFailed(f"{TRIES} runs of e0000 in a row were ended from outside, and not by cockpit")
            await self._execute(await self._experiment(0), next(seeds(self.seed)), "baseline")
            measured = (await self._experiment(0)).state is State.MEASURED
        if self.stop.why:
            return self.stop.why
        if self.failed:
            return Ended.BASELINE_FAILED
        if count is not None and len(await views.experiments(self.database)) >= count:
            return Ended.EXPERIMENTS
        return Ended.NO_PROPOSER

    async def _experiment(self, number: int) -> Experiment:
        found = await views.experiment(self.database, number)
        if found is None:
            raise MachineFailed(f"the record has lost experiment {number}")
        return found

    async def _execute(self, experiment: Experiment, seed: int, purpose: str) -> None:
        """One run of an experiment's tree, in a fresh folder, to its end."""
        if shutil.disk_usage(self.place.folder).free < FREE_BYTES:
            raise MachineFailed(
                f"{self.place.folder} has less than {FREE_BYTES // 2**20} MiB of room left: no run is begun"
            )
        earlier = [
            run for run in await views.runs(self.database, experiment.number)
            if (run.tree, run.bench, run.seed, run.purpose) == (experiment.tree, self.bench.hash, seed, purpose)
        ]  # fmt: skip
        planned = Run(
            id=0,
            experiment=experiment.number,
            revision=self.revision,
            tree=experiment.tree,
            bench=self.bench.hash,
            seed=seed,
            purpose=purpose,
            fidelity="full",
            attempt=len(earlier) + 1,
            slot=SLOT,
            wall=WALL,
            meter=METER,
            launch=self.bench.launch.how,
            started_at=time.time(),
        )
        run = await journal.run_started(self.database, experiment, planned)
        folder = await self._run_folder(experiment, run)
        commands = stages.commands(self.settings, self.place.folder, folder, self.bench.launch, run, experiment.commit)
        await launch.start(folder, commands)
        await self._follow(experiment, run)

    async def _run_folder(self, experiment: Experiment, run: Run) -> Path:
        """A fresh folder: the experiment's tree without what is sealed, and trunk's tree for the scorer."""
        folder = self.place.folder / run.folder
        if folder.exists():  # of a record that is gone: nothing is lost, and nothing old is run
            folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}"))
        for name in ("output", *HOMES):
            (folder / name).mkdir(parents=True)
        sealed = tuple(path for path in self.settings.data.sealed if not path.startswith("{study}/"))
        await self.branches.check_out(experiment.tree, folder / "tree", without=sealed)
        if self.settings.run.score is not None:
            study = await views.study(self.database)
            await self.branches.check_out(
                await self.branches.tree(study.trunk if study else experiment.commit), folder / "scorer"
            )
            for path in sealed:  # what git does not track is lent from where it stands
                lent = folder / "scorer" / path
                if not lent.exists():
                    lent.parent.mkdir(parents=True, exist_ok=True)
                    lent.symlink_to(bench.sealed(self.place, path))
        if self.bench.launch.launcher:
            (folder / "accelerate.yaml").write_text(stages.LAUNCHER_CONFIG)
        return folder

    async def _follow(self, experiment: Experiment, run: Run) -> None:
        """Watch a run until its supervisor is gone, recording each stage as it ends; then close it."""
        folder = self.place.folder / run.folder
        going = asyncio.create_task(launch.gone(folder))
        recorded: list[Stage] = []
        passed_on = 0
        try:
            while not going.done():
                await asyncio.wait({going}, timeout=launch.POLL_SECONDS)
                await self._record_stages(experiment, run, recorded)
                while passed_on < self.stop.urgency:
                    await launch.ask_to_end(folder, at_once=passed_on > 0)
                    passed_on += 1
        except BaseException:  # the record or the disk: what cannot be recorded is not left running
            await launch.ask_to_end(folder)
            raise
        await going
        await self._close(experiment, run, recorded)

    async def _record_stages(self, experiment: Experiment, run: Run, recorded: list[Stage]) -> None:
        """Record the stages that have ended since, and add them to those that are."""
        said = launch.status(self.place.folder / run.folder)
        settings = await self._settings(run)
        for words in said["stages"][len(recorded) :] if said else ():
            if (stage := stages.ended(run, self.place.folder, settings, words)) is not None:
                await journal.stage_ended(self.database, experiment, run, len(recorded), stage)
                recorded.append(stage)

    async def _settings(self, run: Run) -> Settings:
        """The settings with which a run was started: it is read by those, whatever the file says now."""
        if run.revision == self.revision:
            return self.settings
        return parse(await views.revision(self.database, run.revision), self.place.config).settings

    async def _close(self, experiment: Experiment, run: Run, recorded: list[Stage]) -> None:
        """Say how a run ended, from what its supervisor left: measured, failed or interrupted."""
        folder = self.place.folder / run.folder
        said = launch.status(folder)
        await self._record_stages(experiment, run, recorded)
        failed = next((stage for stage in recorded if stage.outcome is not Outcome.OK), None)
        if failed is not None:
            detail = failed.detail if failed.outcome is Outcome.INTERRUPTED else f"{failed.name}: {failed.detail}"
            await journal.run_ended(self.database, experiment, run, failed.outcome, detail, ())
        elif said is None or not said["ended"]:
            await journal.run_ended(self.database, experiment, run, Outcome.INTERRUPTED, "its supervisor is gone", ())
        else:
            outcome, detail, values = await asyncio.to_thread(
                stages.measured,
                self.place.folder,
                await self._settings(run),
                recorded,
                await self.branches.files(run.tree),
            )
            await journal.run_ended(self.database, experiment, run, outcome, detail, values)
        self.failed = self.failed or (await self._experiment(experiment.number)).state is State.FAILED
        self._clear(folder)

    def _clear(self, folder: Path) -> None:
        """Delete, in the background, what a used run folder need not keep.

        Logs and outputs stay; the checked-out files are the commit's and can be had again.
        """
        for name in ("tree", "scorer", *HOMES):
            if (folder / name).exists():
                deletion = asyncio.to_thread(shutil.rmtree, folder / name, ignore_errors=True)
                self._deleting.append(asyncio.create_task(deletion))

    async def close(self, why: Ended) -> None:
        """The end of this engine's life, recorded."""
        await asyncio.gather(*self._deleting)
        if self.life is not None:
            await journal.engine_ended(self.database, self.life, why)
