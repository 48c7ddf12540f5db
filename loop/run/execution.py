"""From a slot to the record: one tree is run in a fresh folder, followed, and what came of it is written down.

Every step is recorded before or with what it does, so that whoever comes after a killed engine can take it up:
`execute` starts a run, `follow` goes on with one that goes on, `close` reads the last word of one that is over.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from loop import budget
from loop.branches import Branches, GitError
from loop.effects import carry_out
from loop.judge.preset import preset
from loop.judge.runs import CHALLENGE, CHOSEN, OWN, RERUN
from loop.judge.standing import Standing
from loop.propose import arguments, places
from loop.propose.domain import Value
from loop.propose.scalar import Unreadable
from loop.run import artifact, carved, costs, early, lacks, launch, metrics, shadow, stages, timed
from loop.run.artifact import Counted
from loop.run.bench import Bench, lent, sealed
from loop.run.devices import usable
from loop.run.interpreter import Failed, answer
from loop.run.laid import tree_of
from loop.run.meter import Meter
from loop.run.metrics import Found, Wanted
from loop.run.quiet import Quiet
from loop.run.sandbox import Wall, working_trees
from loop.study import ARGS, CHANGED_LINES, Revision, Settings, parse
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import (
    CHANGED_SINCE,
    REJECTED_SINCE,
    Ended,
    Evidence,
    Experiment,
    Frontier,
    Measurement,
    Outcome,
    Reference,
    Run,
    Stage,
    State,
    Verdict,
    Word,
)
from store.records import Value as Measured
from store.trail import Trail
from store.where import where

EXPLAINED = (
    "Its curve was behind the incumbent's at the same steps, or no finite number, at two looks one after the other. "
    "It was not run to its end, so nothing was measured by that run."
)
PUTS_SEED = "[run] seed puts the seed"
LATE_SECONDS = 60.0  # a stage, after its time: for the grace, for ending what it started, for a disk that is slow
FREE_BYTES = 256 * 2**20  # below this much room no run is begun
PARTS = (".home", ".tmp")  # what each checkout has beside it
LEFT = [f"{name}{part}" for name in set(stages.CHECKOUTS.values()) for part in ("", *PARTS, ".layers")]  # by a run
SLOT = "slot0"


class MachineFailed(Exception):
    """The machine, not the study, is at fault: no room, no git, a record that cannot be written."""


class Stop:
    """A request from outside to end, or to pause. Asked once, the current run ends with a grace; asked again, without.

    `going` is clear while the research is paused, and set for good once it is to end. `broken` are the runs that are to
    end now, while the engine lives on.
    """

    def __init__(self) -> None:
        self.urgency = 0
        self.why: Ended | None = None
        self.going = asyncio.Event()
        self.going.set()
        self.broken: set[int] = set()

    @property
    def holds(self) -> bool:
        """Whether nothing new is to begin: no run, no proposal."""
        return bool(self.why) or not self.going.is_set()

    def ask(self, why: Ended = Ended.INTERRUPTED) -> None:
        """Ask to end, for a reason; the first reason stands."""
        self.urgency += 1
        self.finish(why)

    def finish(self, why: Ended) -> None:
        """Ask to end after the run under way."""
        self.why = self.why or why
        self.going.set()


async def delete(folders: list[Path], trail: Trail) -> None:
    """Delete folders, however deep they are and whatever rights the code under test has taken away."""
    for words in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        null = asyncio.subprocess.DEVNULL
        argv = [*words, "--", *map(str, folders)]
        with trail.running(argv) as ran:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=null, stdout=null, stderr=null, start_new_session=True
            )
            ran.ended(status := await process.wait())
        if status == 0 and words[0] == "rm":
            return  # nothing was in its way, as nearly always


def _link(checkout: Path, path: Path | str, target: Path) -> bool:
    """Lend a file or a folder under a name in a checkout, in the place of what git has there; whether that was done."""
    name = checkout / path
    if not Path(os.path.realpath(name.parent)).is_relative_to(os.path.realpath(checkout)):
        return False  # a link leads there already, and what it leads to is the user's own
    if name.is_dir() and not name.is_symlink():
        shutil.rmtree(name)
    name.unlink(missing_ok=True)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target)
    return True


def puts(value: Value) -> str:
    """How a fidelity sets a value, in words of `cockpit.toml`."""
    return f"[fidelity] puts {value!r}"


def lost(name: str, what: str) -> str:
    """Why a run cannot be given what it is to be given: a proposal has taken the place away."""
    return f"there is no `{name}` any more, where {what}"


def _set(file: Path, name: str, value: Value, what: str) -> None:
    """Write what a run is given where the code has it. A proposal that has no such place any more fails, and says so.

    `what` puts it there, in words of `cockpit.toml`.
    """
    if file.is_symlink() or not file.is_file():
        return
    try:
        text = places.set_values(file.name, file.read_bytes(), {name: value})
    except Unreadable:
        why = lost(name, what)
        text = f"raise SystemExit({why!r})\n".encode() if file.suffix == ".py" else why.encode()
    file.write_bytes(text)


def _given(checkout: Path) -> dict[str, list[str]]:
    """The words of `cockpit.args` for each stage. Raises GitError where it is malformed: nothing can be begun."""
    file = checkout / ARGS
    try:
        return arguments.words(file.read_bytes()) if file.is_file() and not file.is_symlink() else {}
    except Unreadable as error:
        raise GitError(f"{ARGS}:{error.line}: {error}") from None


def _keep_for_sync(folder: Path) -> None:
    """What W&B has left offline in a run's checkout goes beside its outputs, for a later `wandb sync`."""
    tree = Path(os.path.realpath(folder / "tree"))
    with suppress(OSError):
        for found in [
            one for depth in ("wandb", "*/wandb", "*/*/wandb") for one in tree.glob(f"{depth}/offline-run-*")
        ]:
            # Not by way of a link, to what is lent. One that leads to itself has no other path, and is no folder.
            if os.path.realpath(found) == str(found) and found.is_dir():
                (folder / "wandb").mkdir(exist_ok=True)
                with suppress(OSError):
                    found.rename(folder / "wandb" / found.name)


async def fill(
    folder: Path,
    place: Place,
    settings: Settings,
    branches: Branches,
    wall: Wall,
    launched: stages.Launch,
    tree: str,
    seed: int,
    trunk: str | None = None,
    sets: stages.Sets = stages.PLAIN,
) -> None:
    """Into a fresh run folder: a checkout for each stage, with a home and a temporary folder of its own.

    Of the code under test it is its tree without what is sealed; for eval, with trunk's own files wherever a proposal
    may change nothing. For the scorer it is `trunk`, unless it is cockpit's own. What a fidelity `sets` is set there.
    Of what is carved it has the part of training.
    """
    (folder / "output").mkdir(parents=True)
    await asyncio.to_thread(stages.make_room, place.folder)
    hidden = tuple(path for path in settings.data.sealed if not path.startswith("{study}/"))
    for name in stages.checkouts(settings):
        for part in PARTS:
            (folder / f"{name}{part}").mkdir()
        wall.furnish(folder / f"{name}.tmp")
        await asyncio.to_thread(wall.lend, folder, name)
        if name == "scorer" and settings.run.scorer and settings.data.labels:
            labels = Path(os.path.realpath(sealed(place, settings.data.labels)))
            await asyncio.to_thread(stages.lay_scorer, folder / name, settings.run.scorer, labels)
            continue
        if name == "scorer":
            await branches.check_out(trunk or tree, folder / name)
            continue
        instead: dict[str, str | None] = {}
        if name == "eval":
            own, trunks = await branches.files(tree), await branches.files(trunk or tree)
            instead = stages.trunks_own(settings, own, trunks)
        await branches.check_out(tree, folder / name, hidden, instead)
        if knob := settings.run.seed_knob:
            await asyncio.to_thread(_set, folder / name / knob[0], knob[1], seed, PUTS_SEED)
        for path, constant, value in sets.constants:
            await asyncio.to_thread(_set, folder / name / path, constant, value, puts(value))
    for path in settings.data.read:
        if (at := lent(place, path)).is_relative_to(place.root):
            for name in stages.checkouts(settings):
                await asyncio.to_thread(_link, folder / name, at.relative_to(place.root), at)
    if split := await asyncio.to_thread(carved.stands, place.folder, settings.data):
        for whole, dev in split.dev.items():
            laid = await asyncio.to_thread(_link, folder / "tree", whole, dev)
            behind = Path(os.path.realpath(folder / "tree" / whole))
            if not laid and behind not in dict(wall.instead):  # in which the part stands in its place
                raise OSError(f"{whole}: a link leads out of the checkout there, where a run would see all of {behind}")
    for path in hidden if (folder / "scorer").exists() else ():  # what git does not track: from where it stands
        if not (folder / "scorer" / path).exists():
            await asyncio.to_thread(_link, folder / "scorer", path, sealed(place, path))
    if launched.launcher:
        (folder / "accelerate.yaml").write_text(stages.LAUNCHER_CONFIG)


class Execution:
    """The runs of a study under one engine."""

    def __init__(
        self,
        place: Place,
        revision: Revision,
        branches: Branches,
        database: Database,
        bench: Bench,
        wall: Wall,
        meter: Meter,
        stop: Stop,
        quiet: Quiet,
        standing: Standing,
    ) -> None:
        self.place = place
        self.revision = revision
        self.branches = branches
        self.database = database
        self.bench = bench
        self.wall = wall
        self.meter = meter
        self.stop = stop
        self.quiet = quiet
        self.standing = standing
        self.devices = usable()  # that a run holds: all that it may use
        self._deleting: list[asyncio.Task[None]] = []

    async def execute(self, experiment: Experiment, seed: int, purpose: str, fidelity: str) -> Outcome | None:
        """One run of an experiment's tree, in a fresh folder, to its end.

        None where nothing new is to begin any more, or a person has broken the run off. Raises MachineFailed.
        """
        if shutil.disk_usage(self.place.folder).free < FREE_BYTES:
            raise MachineFailed(
                f"{self.place.folder} has less than {FREE_BYTES // 2**20} MiB of room left: no run is begun"
            )
        if self.quiet.times(stages.names(self.revision.settings)[0]):
            await self.finish()
        attempts = await views.attempts(self.database, experiment, self.bench.hash, seed, purpose, fidelity)
        planned = Run(
            id=0,
            experiment=experiment.number,
            revision=self.revision.digest,
            tree=experiment.tree,
            bench=self.bench.hash,
            seed=seed,
            purpose=purpose,
            fidelity=fidelity,
            attempt=attempts + 1,
            slot=SLOT,
            wall=self.wall.name,
            meter=str(self.meter),
            launch=self.bench.launch.how,
            started_at=time.time(),
            devices=self.devices,
        )
        if why_not := await budget.for_run(self.database, purpose, fidelity, self.devices):
            self.stop.finish(why_not)
        # In one go with what takes the record's turn: what asks for a pause meanwhile is recorded after this run.
        if self.stop.holds:
            return None
        run, effect = await journal.run_started(self.database, experiment, planned)
        self.quiet.runs(run.slot, stages.names(self.revision.settings)[0])
        try:
            if why := await carry_out(self.database, effect, self.start(experiment, run)):  # no disk, no git
                await self.close(experiment, run, [], f"it could not be begun: {why}")
                raise MachineFailed(f"{experiment.id} could not be begun: {why}")
            outcome = await self.follow(experiment, run)
            return None if outcome is Outcome.INTERRUPTED and run.id in self.stop.broken else outcome
        finally:
            self.quiet.runs(run.slot, None)

    def start(self, experiment: Experiment, run: Run) -> launch.Start:
        """The start of a run. It is not made up for where what it was to measure, or how, is another thing now."""
        unwanted = ""
        if experiment.state is State.REJECTED and run.purpose != RERUN:
            unwanted = f"{experiment.id} {REJECTED_SINCE}"
        elif (run.tree, run.bench, run.revision, run.wall, run.meter, run.launch) != (
            experiment.tree, self.bench.hash, self.revision.digest, self.wall.name, str(self.meter),
            self.bench.launch.how,
        ):  # fmt: skip
            unwanted = CHANGED_SINCE
        folder = self.place.folder / run.folder
        return launch.Start(folder, run.started_at, partial(self._begin, folder, experiment, run), unwanted)

    async def _begin(self, folder: Path, experiment: Experiment, run: Run) -> None:
        """Fill a run's folder and start its supervisor."""
        await self._fill(folder, experiment, run)
        settings, how, commit = self.revision.settings, self.bench.launch, experiment.commit
        given = await asyncio.to_thread(_given, folder / "tree")
        sets = self.bench.of(run.fidelity)
        commands = stages.commands(settings, self.place.folder, folder, how, self.wall, run, commit, given, sets)
        await launch.start(folder, commands, run.started_at, self.meter.asked, self.branches.trail)

    async def _fill(self, folder: Path, experiment: Experiment, run: Run) -> None:
        """Into a fresh folder: the checkouts of an experiment's run."""
        settings, study = self.revision.settings, await views.study(self.database)
        tree = await tree_of(self.branches, self.database, settings, experiment)
        trunk = await self.branches.tree(study.trunk if study else experiment.commit)
        own = self.place, settings, self.branches, self.wall, self.bench.launch
        await fill(folder, *own, tree, run.seed, trunk, self.bench.of(run.fidelity))
        if stages.says_what_it_loads(settings, run):
            await asyncio.to_thread(shadow.lay, folder)

    async def follow(self, experiment: Experiment, run: Run) -> Outcome:
        """Watch a run until its supervisor is gone, recording each stage as it ends; then close it."""
        folder = self.place.folder / run.folder
        settings = await self._settings(run)
        going = asyncio.create_task(launch.gone(folder))
        losing = asyncio.create_task(self._stop_early(experiment, run))
        recorded: list[Stage] = []
        passed_on = 0
        if experiment.ended and run.purpose in OWN:  # the engine that was asked has died
            self.stop.broken.add(run.id)
        let_go = False
        # A supervisor ends each stage in its time. One that is late has been stopped.
        names = stages.names(settings)
        deadline = time.monotonic() + len(stages.STAGES) * (settings.run.timeout + LATE_SECONDS)
        try:
            while not going.done():
                await asyncio.wait({going}, timeout=launch.POLL_SECONDS)
                await self._record_stages(experiment, run, recorded)
                self.quiet.runs(run.slot, names[len(recorded)] if len(recorded) < len(names) else None)
                if run.id in self.stop.broken and not let_go:
                    await launch.ask_to_end(folder)
                    let_go = True
                while passed_on < self.stop.urgency:
                    await launch.ask_to_end(folder, at_once=passed_on > 0)
                    passed_on += 1
                if time.monotonic() > deadline:
                    await asyncio.to_thread(launch.sweep, folder)
        except BaseException:  # the record or the disk: what cannot be recorded is not left running
            await launch.ask_to_end(folder)
            raise
        finally:
            losing.cancel()
            self.quiet.runs(run.slot, None)
        if isinstance(fault := (await asyncio.gather(losing, return_exceptions=True))[0], Exception):
            raise fault
        await going
        return await self.close(experiment, run, recorded)

    async def _stop_early(self, experiment: Experiment, run: Run) -> None:
        """Ask a run to end where it loses. That it was asked is recorded before, for whoever closes the run."""
        if run.bench != self.bench.hash or run.revision != self.revision.digest:
            return
        every = await views.runs(self.database, self.standing.incumbent)
        barred = (RERUN, *CHOSEN) if self.standing.incumbent else (RERUN,)  # its choice flatters a merged one
        good = [
            one
            for one in every
            if (one.outcome, one.bench, one.fidelity) == (Outcome.OK, run.bench, run.fidelity)
            and one.purpose not in barred
        ]
        if not early.stops(self.revision.settings, run, good, self.quiet):
            return
        sentence = await early.loses(self.standing, run, good, self.curves, self.quiet)
        await journal.stopping_early(self.database, experiment, run, sentence)
        await launch.ask_to_end(self.place.folder / run.folder)

    async def _record_stages(self, experiment: Experiment, run: Run, recorded: list[Stage]) -> None:
        """Record the stages that have ended since, and add them to those that are."""
        said = launch.status(self.place.folder / run.folder)
        ended = [words for words in said["stages"][len(recorded) :] if "ended_by" in words] if said else []
        settings = await self._settings(run) if ended else self.revision.settings
        for words in ended:
            if (stage := stages.ended(run, self.place.folder, settings, words)) is not None:
                if await journal.stage_ended(self.database, experiment, run, len(recorded), stage):
                    argv, where = launch.command(self.place.folder / run.folder, stage.name)
                    self.branches.trail.ran(
                        stage.started_at, f"run {run.id}", argv, where, stage.exit_status, stage.wall_seconds,
                        purpose=f"{experiment.id} {stage.name}", said=stage.detail,
                    )  # fmt: skip
                recorded.append(stage)

    async def _settings(self, run: Run) -> Settings:
        """The settings with which a run was started: it is read by those, whatever the file says now."""
        if run.revision == self.revision.digest:
            return self.revision.settings
        return parse(await views.revision(self.database, run.revision), self.place.config).settings

    def _missing(self, experiment: Experiment) -> Callable[[str, str], str]:
        """Why a run has no value of a quantity. Where the unchanged code has none, the file may be meant otherwise."""

        def of_the_baseline(name: str, lack: str) -> str:
            objective = self.revision.settings.objectives.get(name)
            table, key = "objectives" if objective else "constraints", name
            fix = "change" if costs.is_measured(name, self.revision.settings) else "print it, or change"
            if objective and objective.source:
                fix, key = "mend", f"{name}.from"
            line = where(self.place.config, self.revision.text, (table, name, "from"))
            return f"{lack}; {fix} `[{table}] {key}`, {line}"

        return (lambda _, lack: lack) if experiment.number else of_the_baseline

    async def close(self, experiment: Experiment, run: Run, recorded: list[Stage], unsaid: str = "") -> Outcome:
        """Say how a run ended, from what its supervisor left: measured, failed, or interrupted (`unsaid`: why)."""
        folder = self.place.folder / run.folder
        said = launch.status(folder)
        await self._record_stages(experiment, run, recorded)
        outcome, detail = Outcome.INTERRUPTED, unsaid or "its supervisor is gone"
        values: list[Measurement] = []
        found = await self._found(run, recorded)
        if failed := next((stage for stage in recorded if stage.outcome is not Outcome.OK), None):
            outcome = failed.outcome
            detail = failed.detail if outcome is Outcome.INTERRUPTED else f"{failed.name}: {failed.detail}"
            if outcome is Outcome.INTERRUPTED and (why := await views.stopped_early(self.database, run.id)):
                outcome, detail = Outcome.STOPPED_EARLY, why
            if outcome is Outcome.TIMEOUT:
                detail += ", `[run] timeout`"
                if not experiment.number:  # it is the limit that is too short, and not the code too slow
                    line = where(self.place.config, self.revision.text, ("run", "timeout"))
                    detail += f": raise it, {line}, or try again where the machine was busy"
            if outcome is Outcome.CRASH and not experiment.number:  # where the file may lack something
                files = await self.branches.files(run.tree)
                said_last = await asyncio.to_thread(stages.tail, self.place.folder / failed.log)
                lack = await asyncio.to_thread(
                    lacks.named, said_last, self.place, self.revision, self.wall, folder, files.keys()
                )
                detail += f"; {lack}" if lack else ""
        elif said is not None and said["ended"]:
            settings, files = await self._settings(run), await self.branches.files(run.tree)
            told = await self._told(run, settings, said["stages"])
            model = await self._parameters(run, settings, said["stages"])
            told |= {costs.PARAMETERS: model.parameters} if model.parameters is not None else {}
            outcome, detail, values = await asyncio.to_thread(
                stages.measured, self.place.folder, settings, recorded, files, told, found, self._missing(experiment),
                {costs.PARAMETERS: model.lack}, self.bench.exposed,
            )  # fmt: skip
            detail = detail or model.of
        if outcome is not Outcome.INTERRUPTED and (why := await self._shadowed(run, folder)):
            outcome, detail, values = Outcome.SHADOWED, why, []
        frontier: Frontier | None = None
        reference: tuple[Reference, ...] = ()
        compares = ""
        if run.purpose == RERUN:
            if outcome is Outcome.OK:
                await self.standing.catch_up(self.database)
                measured = {one.objective: one.value for one in values}
                found_again = self.standing.compared(run.experiment, run.seed, measured, run.fidelity)
                compares = "; ".join(one.line for one in found_again)
        elif outcome is not Outcome.INTERRUPTED and run.bench == self.bench.hash:
            now = [
                Measured(run.id, run.experiment, run.seed, run.purpose, one.objective, one.value, run.fidelity)
                for one in values
            ]
            own = None if run.purpose == CHALLENGE else experiment.number  # it may fail there, now and then
            await self.standing.catch_up(self.database)
            frontier, reference = await self.standing.drawn(own, now)
        verdict = await self._lost(experiment, run, detail) if outcome is Outcome.STOPPED_EARLY else None
        await journal.run_ended(
            self.database, experiment, run, outcome, detail, values, frontier, reference, verdict, compares
        )
        self.clear(folder)
        return outcome

    async def _lost(self, experiment: Experiment, run: Run, sentence: str) -> Verdict:
        """The verdict on what was stopped early: it is worse, and nothing was measured by that run."""
        good = [
            one
            for one in await views.runs(self.database, experiment.number)
            if (one.outcome, one.bench, one.tree, one.fidelity) == (Outcome.OK, run.bench, run.tree, run.fidelity)
        ]
        return Verdict(
            experiment=experiment.number,
            bench=run.bench,
            incumbent=self.standing.incumbent,
            runs=len(good),
            rule=preset(self.revision.settings).rule,
            word=Word.WORSE,
            evidence=Evidence.SCREENED,
            asks=False,
            sentence=sentence,
            figures={},
            at=time.time(),
            explanation=EXPLAINED,
        )

    async def _found(self, run: Run, recorded: Sequence[Stage]) -> dict[str, Found]:
        """What stands where objectives say that it does, as far as a run has come; its curves are kept."""
        settings, folder = await self._settings(run), self.place.folder / run.folder
        found = await self._read(run, settings, recorded)
        with suppress(OSError):
            await asyncio.to_thread(metrics.keep, folder, found)
        return found

    async def _read(self, run: Run, settings: Settings, recorded: Sequence[Stage]) -> dict[str, Found]:
        """What stands where the objectives of these settings say that it does."""
        wanted = {
            name: Wanted(**{**one.source.model_dump(), "name": one.source.name or name})
            for name, one in settings.objectives.items()
            if one.source
        }
        if not recorded:
            return {}
        return await self._look(run, wanted, [one.name for one in recorded], recorded[0].started_at, settings.run.cwd)

    async def timed(self, run: Run) -> frozenset[str]:
        """The stages that are timed, by a good run."""
        return await asyncio.to_thread(timed.by_run, self.revision.settings, self.place.folder, run)

    async def curves(self, run: Run, wanted: Mapping[str, Wanted]) -> Mapping[str, Found]:
        """The curves of a run's training, as far as it has come; those that were kept, where it has ended."""
        folder = self.place.folder / run.folder
        kept = {} if run.outcome is None else await asyncio.to_thread(metrics.kept, folder)
        had = {name: Found(kept[name][-1][1], kept[name]) for name in wanted.keys() & kept.keys()}
        others = {name: one for name, one in wanted.items() if name not in had}
        begun, cwd = await self._began(run), self.revision.settings.run.cwd
        return {**await self._look(run, others, [timed.TRAIN], begun, cwd), **had}

    async def _began(self, run: Run) -> float:
        """When a run's training began; in a distant future, where it has not."""
        if run.stages:
            return run.stages[0].started_at
        said = await asyncio.to_thread(launch.status, self.place.folder / run.folder)
        began = said["stages"][0].get("started_at") if said and said["stages"] else None
        return began if isinstance(began, float) else launch.FOREVER

    async def _look(
        self, run: Run, wanted: Mapping[str, Wanted], names: Sequence[str], since: float, cwd: str
    ) -> dict[str, Found]:
        """What stands where it is wanted, of what these stages have printed, or what was written since a moment."""
        if not wanted:
            return {}
        words = metrics.question(self.place.folder / run.folder, wanted, names, since, cwd)
        try:
            said = await answer(words, {}, self.branches.trail, f"the metrics of run {run.id}", metrics.SECONDS)
            return metrics.answer(said)
        except (OSError, Failed, ValueError, IndexError, KeyError, TypeError) as why:
            return {name: Found(lack=f"what was to say {name} cannot be read: {why}") for name in wanted}

    async def says(self, run: Run) -> list[Measurement] | None:
        """What a good run of another revision says of the quantities that it has no value of and needs one of now.

        From the record, and from the logs and outputs that it has left. None where one cannot be had.
        """
        settings, has = self.revision.settings, {one.objective for one in run.measurements}
        lacking = {name for name in settings.needed if name not in has}
        if not lacking:
            return []
        if {"device_seconds"} & lacking and run.devices != self.devices:
            return None
        only = {
            "objectives": {name: one for name, one in settings.objectives.items() if name in lacking},
            "constraints": {name: one for name, one in settings.constraints.items() if name in lacking},
        }
        asked = settings.model_copy(update=only)
        found, files = await self._read(run, asked, run.stages), await self.branches.files(run.tree)
        words = launch.status(self.place.folder / run.folder)
        told = await self._told(run, asked, words["stages"] if words else [])
        outcome, _, values = await asyncio.to_thread(
            stages.measured, self.place.folder, asked, list(run.stages), files, told, found, exposed=self.bench.exposed
        )
        return [one for one in values if one.objective in lacking] if outcome is Outcome.OK else None

    async def _shadowed(self, run: Run, folder: Path) -> str:
        """Which editable file the unchanged code has loaded from elsewhere; nothing where none is known to be."""
        settings = await self._settings(run)
        if not stages.says_what_it_loads(settings, run):
            return ""
        editable = [path for path in await self.branches.files(run.tree) if settings.touchable(path)]

        def look() -> str:
            trees = [path.resolve() for path in working_trees(self.place)]
            return shadow.shadowed(shadow.take(folder), (folder / "tree").resolve(), trees, editable)

        return await asyncio.to_thread(look)

    async def _told(self, run: Run, settings: Settings, said: list[dict[str, Any]]) -> dict[str, float]:
        """What no stage of a run has a value of, as far as it is asked for."""
        left = [words["left_bytes"] for words in said if words.get("left_bytes") is not None]
        told: dict[str, float] = {costs.ARTIFACT: sum(left)} if left else {}
        baseline = await views.experiment(self.database, 0)
        if CHANGED_LINES in settings.quantities and baseline:
            told[CHANGED_LINES] = await self.branches.changed_lines(baseline.tree, run.tree)
        return told

    async def _parameters(self, run: Run, settings: Settings, said: list[dict[str, Any]]) -> Counted:
        """How many parameters the artifact of a run holds, where that is asked for."""
        left = [one for words in said for one in words.get("left_files") or ()]
        if costs.PARAMETERS not in settings.quantities or not left:
            return Counted()
        folder, python = self.place.folder / run.folder, self.bench.interpreter.python
        return await artifact.count(folder, left, self.wall, python, self.branches.trail)

    def clear(self, folder: Path) -> None:
        """Delete, in the background, what a used run folder need not keep.

        Logs and outputs stay, and what is to be synced; the checked-out files are the commit's and can be had again.
        """

        async def later() -> None:
            await asyncio.to_thread(_keep_for_sync, folder)
            await delete(used, self.branches.trail)

        used = [folder / name for name in LEFT if (folder / name).exists()]
        if used:
            self._deleting.append(asyncio.create_task(later()))

    async def finish(self) -> None:
        """Wait for what is being deleted in the background."""
        while self._deleting:
            await self._deleting.pop()
