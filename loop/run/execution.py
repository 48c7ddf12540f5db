"""From a slot to the record: one tree is run in a fresh folder, followed, and what came of it is written down.

Every step is recorded before or with what it does, so that whoever comes after a killed engine can take it up:
`execute` starts a run, `follow` goes on with one that goes on, `close` reads the last word of one that is over.
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from loop import budget
from loop.branches import Branches
from loop.effects import carry_out
from loop.judge.preset import preset
from loop.judge.runs import CHALLENGE, CHOSEN, OWN, RERUN
from loop.judge.standing import Standing
from loop.run import costs, early, lacks, launch, shadow, stages
from loop.run.bench import Bench
from loop.run.devices import usable
from loop.run.folder import LEFT, delete, fill, given, keep_for_sync
from loop.run.laid import tree_of
from loop.run.meter import Meter
from loop.run.quiet import Quiet
from loop.run.said import Said
from loop.run.sandbox import Wall
from loop.stop import MachineFailed, Stop
from loop.study import Revision
from store import journal, views
from store.database import Database
from store.place import Place
from store.records import (
    CHANGED_SINCE,
    REJECTED_SINCE,
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
from store.where import where

EXPLAINED = (
    "Its curve was behind the incumbent's at the same steps, or no finite number, at two looks one after the other. "
    "It was not run to its end, so nothing was measured by that run."
)
LATE_SECONDS = 60.0  # a stage, after its time: for the grace, for ending what it started, for a disk that is slow
FREE_BYTES = 256 * 2**20  # below this much room no run is begun
SLOT = "slot0"


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
        self.said = Said(place, revision, branches, database, bench, wall, self.devices)
        self._deleting: list[asyncio.Task[None]] = []

    async def execute(self, experiment: Experiment, seed: int, purpose: str, fidelity: str) -> Outcome | None:
        """One run of an experiment's tree, in a fresh folder, to its end.

        None where nothing new is to begin any more, or a person has broken the run off. Raises MachineFailed.
        """
        if shutil.disk_usage(self.place.folder).free < FREE_BYTES:
            raise MachineFailed(
                f"less than {FREE_BYTES // 2**20} MiB of room are left in {self.place.folder}: no run is begun"
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
        words = await asyncio.to_thread(given, folder / "tree")
        sets = self.bench.of(run.fidelity)
        commands = stages.commands(settings, self.place.folder, folder, how, self.wall, run, commit, words, sets)
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
        settings = await self.said.settings(run)
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
        sentence = await early.loses(self.standing, run, good, self.said.curves, self.quiet)
        await journal.stopping_early(self.database, experiment, run, sentence)
        await launch.ask_to_end(self.place.folder / run.folder)

    async def _record_stages(self, experiment: Experiment, run: Run, recorded: list[Stage]) -> None:
        """Record the stages that have ended since, and add them to those that are."""
        said = launch.status(self.place.folder / run.folder)
        ended = [words for words in said["stages"][len(recorded) :] if "ended_by" in words] if said else []
        settings = await self.said.settings(run) if ended else self.revision.settings
        for words in ended:
            if (stage := stages.ended(run, self.place.folder, settings, words)) is not None:
                if await journal.stage_ended(self.database, experiment, run, len(recorded), stage):
                    argv, where = launch.command(self.place.folder / run.folder, stage.name)
                    self.branches.trail.ran(
                        stage.started_at, f"run {run.id}", argv, where, stage.exit_status, stage.wall_seconds,
                        purpose=f"{experiment.id} {stage.name}", said=stage.detail,
                    )  # fmt: skip
                recorded.append(stage)

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
        found = await self.said.found(run, recorded)
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
            settings, files = await self.said.settings(run), await self.branches.files(run.tree)
            told = await self.said.told(run, settings, said["stages"])
            model = await self.said.parameters(run, settings, said["stages"])
            told |= {costs.PARAMETERS: model.parameters} if model.parameters is not None else {}
            outcome, detail, values = await asyncio.to_thread(
                stages.measured, self.place.folder, settings, recorded, files, told, found, self._missing(experiment),
                {costs.PARAMETERS: model.lack}, self.bench.exposed,
            )  # fmt: skip
            detail = detail or model.of
        if outcome is not Outcome.INTERRUPTED and (why := await self.said.shadowed(run, folder)):
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

    def clear(self, folder: Path) -> None:
        """Delete, in the background, what a used run folder need not keep.

        Logs and outputs stay, and what is to be synced; the checked-out files are the commit's and can be had again.
        """

        async def later() -> None:
            await asyncio.to_thread(keep_for_sync, folder)
            await delete(used, self.branches.trail)

        used = [folder / name for name in LEFT if (folder / name).exists()]
        if used:
            self._deleting.append(asyncio.create_task(later()))

    async def finish(self) -> None:
        """Wait for what is being deleted in the background."""
        while self._deleting:
            await self._deleting.pop()
