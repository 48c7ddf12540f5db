"""The engine: one process a study, which carries out the research. The story of one experiment, in the code's order:

    one engine a study: the lock, the record                      (the_engine)
    what is here: study, interpreter, bench                       (open; what is in the way, ready.py)
    what an earlier engine left running is adopted or closed      (_settle)
    the baseline is run until it is measured or has failed        (_baseline)
    a hard-coded seed: the change that reads it is offered        (propose/seeding.py)
    what is measured is judged                                    (judge_what_waits)
    an experiment is run, while the next one is prepared          (_search)
    the branch of a failed one goes out of the way                (_measure)
    meanwhile, what a person asks for is carried out              (_obey)

in `schedule.py`, what is run next; in `judge/`, what it is worth; in `decisions.py`, what is decided;

in `propose/portfolio.py`, who proposes: the optimiser, in `propose/prepare.py`, or the model, in `propose/thought.py`:

    a change is proposed, let in, made a commit and a branch      (prepare, think)

and, in `run/execution.py`:

    a run takes a slot and a fresh folder, its supervisor starts  (execute)
    the supervisor is followed, stage by stage                    (follow)
    what it measured, or why it failed, is recorded               (close)

Every step is recorded before or with what it does, so that an engine killed at any instant is resumed by the next one.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from loop import budget, notify
from loop.arrange import admit_baseline, arrange
from loop.branches import Branches, GitError, TooMuch
from loop.counting import alike, count_on
from loop.decisions import Decisions
from loop.effects import carry_out, settle_references
from loop.forward import settle_forwards
from loop.judge import axis, bounds
from loop.judge.returns import LEAST
from loop.judge.runs import BASELINE, CHALLENGE, RERUN, SCREEN, VERIFY
from loop.judge.standing import Standing
from loop.learned import learn
from loop.plan import HOURS, brief, by_fidelity, by_probe, foresee
from loop.propose import optimiser, seeding
from loop.propose.measuring import doubt
from loop.propose.portfolio import Portfolio
from loop.propose.prepare import AHEAD, Preparation, evaluation_reads, functions_of
from loop.ready import look, no_commit
from loop.review import count_lines
from loop.revised import revised
from loop.run import launch, timed
from loop.run.devices import kind
from loop.run.execution import SLOT, Execution
from loop.schedule import Job, next_job, recorded_at, recorded_seed, seeds
from loop.stop import MachineFailed, Stop
from loop.study import ConfigError, Constraint, Objective, Revision, parse, read
from loop.verdicts import judge_what_waits
from store import budgets, effects, journal, planned, probed, views, yields
from store.database import Database
from store.place import SCRATCH, Place, take_engine_lock
from store.records import START, Ended, Experiment, Frontier, Idle, Outcome, Run, State, Study
from store.trail import ENGINE, Trail

TRIES = 3  # of a run that something outside has interrupted
OBEY_SECONDS = 0.1  # between looks at what is asked
BECAUSE_CHARACTERS = 500  # of what went wrong, in the record


class Limits(Struct, frozen=True):
    """What may be spent, where it is not what `[budget]` says. None leaves it to the file."""

    experiments: int | None = None
    seconds: float | None = None


async def research(place: Place, limits: Limits, stop: Stop, *, with_changes: bool = False) -> Ended:
    """Run a study until it is done, a limit is reached or it is asked to stop. Why it ended.

    One that begins `with_changes` begins from a snapshot of the working tree, and not from HEAD.
    Raises ConfigError, Unusable, EngineRuns, RecordTooNew, MachineFailed, GitError, OSError and sqlite3.Error.
    """
    revision = read(place.config)
    branches = await Branches.of(place, Trail(place.folder, ENGINE))
    try:
        head = await branches.commit("HEAD")
    except GitError:
        raise ConfigError(no_commit(place)) from None
    async with the_engine(place, revision, branches, stop) as engine:
        ended, because = Ended.MACHINE_FAILED, ""
        try:
            await engine.open(head, limits, with_changes=with_changes)
            async with notify.telling(place, engine.database, branches.trail):
                ended = await engine.research()
        except Exception as why:
            ended = Ended.CONFIGURATION if isinstance(why, ConfigError) else ended
            because = "; ".join(str(why).splitlines())[:BECAUSE_CHARACTERS] or type(why).__name__
            raise
        finally:
            await engine.close(ended, because)
            if engine.life is not None:
                await notify.of_an_end(place, engine.database, branches.trail, ended)
    return ended


@asynccontextmanager
async def the_engine(place: Place, revision: Revision, branches: Branches, stop: Stop) -> AsyncIterator["Engine"]:
    """Become the study's engine. The lock is held until the end, or the death of this process."""
    place.folder.mkdir(parents=True, exist_ok=True)
    lock = await asyncio.to_thread(take_engine_lock, place.folder)
    try:
        async with await Database.open(place.folder, create=True) as database:
            yield Engine(place, revision, branches, database, stop)
    finally:
        os.close(lock)


class Engine:
    """One life of a study's engine, between taking the lock and letting it go."""

    def __init__(self, place: Place, revision: Revision, branches: Branches, database: Database, stop: Stop) -> None:
        self.place = place
        self.revision = revision
        self.branches = branches
        self.database = database
        self.stop = stop
        self.life: int | None = None  # in the record, once it is there
        self.limits = Limits()  # of this life, once the study is open
        self.adopted: list[tuple[Experiment, Run]] = []
        self.outcomes: list[tuple[int, Outcome]] = []  # of incumbents' runs that ended in this life
        self.in_vain = 0  # runs of the incumbent for a challenger that failed in a row
        self.given_up = 0  # experiments in a row
        self.telling: asyncio.Task[None] | None = None  # that the one before has ended without a word
        self.planned = 0  # with how many runs of the baseline it was last looked at what can be answered
        self.portfolio: Portfolio | None = None  # once the study is open

    # --- opening -----------------------------------------------------------------------------------------------------

    async def open(self, head: str, limits: Limits, *, with_changes: bool = False) -> None:
        """Find out what is here, and record it: study, revision, interpreter, bench."""
        last = await views.last_engine(self.database)
        await journal.engine_died(self.database)
        if last and last.ended_at is None and (died := await views.last_engine(self.database)):
            told = notify.of_a_death(self.place, self.database, self.branches.trail, died)
            self.telling = asyncio.create_task(told)  # which nothing here waits for, until the end
        # First of all, what was begun is finished as it was begun. A pause was asked of an engine that has ended.
        await settle_references(self.branches, self.database)
        await settle_forwards(self.database, self.branches.trail)
        await Decisions(self.place, self.branches, self.database).obey()
        settings = self.revision.settings
        study, baseline = await views.study(self.database), await views.experiment(self.database, 0)
        runs = await views.runs(self.database, 0)
        # Until the unchanged code has given a measurement, the study follows the user's HEAD: they may have mended it.
        stands = any(run.outcome is Outcome.OK or self._has_more_to_say(run) for run in runs)
        taken: list[str] = []
        if baseline and stands:
            commit = baseline.commit
            rests = await views.rests_on(self.database, await views.incumbent(self.database))
            if with_changes:
                raise ConfigError(self._has_begun(baseline))
        else:
            commit, taken = await self._beginning(head, with_changes=with_changes)
            rests = commit
        tree = await self.branches.tree(rests)  # of which the protected files and the knobs are, in whatever is run
        ready = await look(self.place, self.revision, self.branches, self.database, tree, study)
        self.bench, wall, knobs, chosen = ready.started()
        self.quiet = ready.quiet
        self.standing = Standing(settings, self.bench.hash)
        self.execution = Execution(
            self.place, self.revision, self.branches, self.database, self.bench, wall, ready.meter, self.stop,
            self.quiet, self.standing,
        )  # fmt: skip
        evaluation = await evaluation_reads(settings, self.branches, tree, knobs)
        self.standing.doubt = partial(doubt, knobs, evaluation)

        self.probe = await asyncio.to_thread(probed.read, self.place)
        self.learned = await learn(self.execution, runs, self.probe)

        share = settings.model.share
        functions: list[str] = []
        if chosen.model and share:
            functions = sorted(
                {f.path for f in await functions_of(settings, self.branches, tree, chosen.model.num_ctx)}
            )
        differs = await self.branches.left_out(tree)
        left_out = [path for path in differs if path != self.place.config.name]  # which is read as it stands there
        lived = await budgets.engine_seconds(self.database, time.time())
        self.limits = self._limits(limits, lived)

        facts = {
            "study": self.place.name,
            "goal": settings.study.goal,
            "objectives": {name: _facts(name, objective) for name, objective in settings.objectives.items()},
            "constraints": {name: _bounds(name, one) for name, one in settings.constraints.items()},
            "seeds": settings.seeds.baseline,
            "fidelity": settings.fidelity and settings.fidelity.model_dump(),
            "limits": asdict(self.limits),
            "python": str(self.bench.interpreter.python),
            "python_version": self.bench.interpreter.version,
            "accelerate": self.bench.interpreter.packages.get("accelerate"),
            "bench": self.bench.hash,
            "launch": self.bench.launch.how,
            "device": kind(),
            "wall": wall.name,
            "no_wall": wall.lack,
            "carved": ready.split.sentence if ready.split else "",
            "doubts": [*self.bench.doubts, *self.learned.notes],
            "meter": str(ready.meter),
            "model": chosen.model.name if chosen.model else "none",
            "model_host": chosen.model.host if chosen.model else None,
            "model_why": chosen.why,
            "knobs": {knob.key: str(knob.domain) for knob in knobs},
            "evaluation_reads": evaluation,
            "functions": functions,
            "steering": settings.steering,
            "cannot": "" if stands else await asyncio.to_thread(self._cannot),
            "left_out": left_out,
            "with_changes": taken,
            "submodules": await self.branches.submodules(tree),
            "warnings": ready.texts("warning"),
            "notify": settings.notify.command is not None,
        }
        own = {"experiments": limits.experiments, "time": limits.seconds}  # in the place of what the file says
        self.life = await journal.engine_started(
            self.database,
            os.getpid(),
            facts,
            f"engine started, pid {os.getpid()}",
            budget.asked(settings.budget) | {name: most for name, most in own.items() if most is not None},
            {"time": lived} if limits.seconds is not None else {},
            {"money": settings.prices.device_hour} if settings.prices.device_hour else {},
        )
        if study is None:
            question = settings.study
            study = Study(self.place.name, question.goal, question.seed, commit, time.time())
            await journal.study_began(self.database, study, taken, left_out)
        self.seed = study.seed
        preparation = Preparation(
            self.place, settings, self.branches, self.database, knobs, study.seed, self.bench.hash
        )
        self.portfolio = Portfolio(preparation, chosen.model, share, lambda: self.stop.holds)
        await self._revise()
        await journal.bench_set(self.database, self.bench.hash, self.bench.facts, counts_on=alike)
        await count_on(self.database, self.execution, self.bench)
        await self.standing.catch_up(self.database)
        drawn, reference = await self.standing.drawn()
        stood, bench_then = (await views.frontier(self.database))[0], await views.drawn_on(self.database)
        stood = replace(stood, gains=await yields.gains(self.database, self.bench.hash))
        if reference or (bench_then and (drawn or Frontier(), self.bench.hash) != (stood, bench_then)):
            await journal.frontier_drawn(self.database, drawn or Frontier(), self.bench.hash, reference)
        if not stands:
            await admit_baseline(self.branches, self.database, self.place.name, baseline, commit)
        await self._settle()
        await arrange(self.branches, self.database)

    async def _revise(self) -> None:
        """Record that `cockpit.toml` is another one, and what follows."""
        last, said, data = await views.last_revision(self.database), "", dict[str, Any]()
        if last is not None:
            with suppress(ConfigError):  # an earlier version has taken it
                found = revised(parse(last.text, self.place.config), self.revision)
                said, data = found.text, {"changes": [asdict(one) for one in found.changes], "follows": found.follows}
        await journal.study_revised(self.database, self.revision.digest, self.revision.text, said, **data)

    async def _beginning(self, head: str, *, with_changes: bool) -> tuple[str, list[str]]:
        """The commit from which a study begins, and the files of it that are not committed. Raises ConfigError.

        Where an engine before this one was asked to take those along, so does this one, while nothing is measured.
        """
        last = await views.last_engine(self.database)
        if not with_changes and not (last and last.facts.get("with_changes")):
            return head, []
        try:
            return await self.branches.snapshot(head)
        except TooMuch as why:
            raise ConfigError(f"--with-changes: {why}") from None

    def _has_begun(self, baseline: Experiment) -> str:
        return (
            f"--with-changes: the study {self.place.name} has begun, from {baseline.commit[:7]}, and its baseline "
            "stays. Leave the option out and it goes on; commit what you have changed, and `cockpit sync` takes "
            f"it to trunk, or another `[study] name` in {self.place.config} begins a study with it"
        )

    def _limits(self, asked: Limits, lived: float) -> Limits:
        """What this life may take in all; of the file's time, what earlier ones have left."""
        own, seconds = self.revision.settings.budget, asked.seconds
        if seconds is None and own.time is not None:
            seconds = max(0.0, own.time - lived)
        return Limits(asked.experiments or own.experiments, seconds)

    def _cannot(self) -> str:
        """Why this life cannot answer the study's question, as far as its budget alone and a probe say."""
        settings = self.revision.settings
        known, full = by_fidelity(settings, (), (), by_probe(settings, self.probe))
        return foresee(settings, known, *self._room(), full).warning

    def _room(self) -> tuple[float, int | None]:
        """The hours that a plan is for, and how many experiments it may have, e0000 left out."""
        limits = self.limits
        hours = HOURS if limits.seconds is None else max(limits.seconds, 1.0) / 3600
        return hours, None if limits.experiments is None else limits.experiments - 1

    def _has_more_to_say(self, run: Run) -> bool:
        """Whether an unfinished run goes on without an engine, or has ended while there was none."""
        folder = self.place.folder / run.folder
        if run.outcome is not None or not launch.begun(folder, run.started_at):
            return False
        said = launch.status(folder)
        return launch.locked(folder) or bool(said and said["ended"])

    async def _settle(self) -> None:
        """Close or adopt what an earlier engine left: its runs may have ended meanwhile, or may go on or begin now."""
        wanted = {effect.intent["run"]: effect.id for effect in await effects.unsettled(self.database, START)}
        for run in await views.unfinished_runs(self.database):
            experiment, unsaid = await self._experiment(run.experiment), ""
            if effect := wanted.get(run.id):
                unsaid = await carry_out(self.database, effect, self.execution.start(experiment, run))
            if launch.locked(self.place.folder / run.folder):
                self.adopted.append((experiment, run))
            else:
                await launch.gone(self.place.folder / run.folder)
                self._heard(experiment, run.purpose, await self.execution.close(experiment, run, [], unsaid))
        going_on = {self.place.folder / run.folder for _, run in self.adopted}
        for folder in set((self.place.folder / "runs").glob("*")) - going_on:
            self.execution.clear(folder)
        for folder in self.place.folder.glob(f"{SCRATCH}*"):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    # --- the research ------------------------------------------------------------------------------------------------

    async def research(self) -> Ended:
        """Experiments until there is a reason to end."""
        if self.limits.seconds == 0:
            self.stop.ask(Ended.TIME)
        elif self.limits.seconds is not None:
            asyncio.get_running_loop().call_later(self.limits.seconds, self.stop.ask, Ended.TIME)
        ended, ending = Ended.MACHINE_FAILED, asyncio.Event()
        obeying = asyncio.create_task(self._obey(ending))
        obeying.add_done_callback(lambda _: self.stop.ask(Ended.MACHINE_FAILED))  # where it ends before the rest
        try:
            for experiment, run in self.adopted:
                self._heard(experiment, run.purpose, await self.execution.follow(experiment, run))
                await self._after(experiment)
            ended = await self._baseline() or await self._search(self.limits.experiments)
            if ended in (Ended.STOPPED, *budget.ENDS.values()) and self.stop.urgency <= (ended is Ended.TIME):
                await judge_what_waits(self.place, self.revision, self.database, self.standing)
                await count_lines(self.branches, self.database)
            return ended
        finally:
            self.stop.finish(ended)  # it is too late for a pause
            ending.set()
            await obeying

    async def alone(self, number: int, seed: int | None) -> int | None:
        """One run of an experiment again: its number, None where it is not to be made any more.

        Meanwhile, what a person asks for is carried out; what is to be run again by that comes after it.
        """
        ending = asyncio.Event()
        obeying = asyncio.create_task(self._obey(ending))
        try:
            for adopted, run in self.adopted:  # it holds the slot
                self._heard(adopted, run.purpose, await self.execution.follow(adopted, run))
                await self._after(adopted)
            one = await self._experiment(number)
            if seed is None:
                seed = await recorded_seed(self.database, one, self.bench.hash, self.seed)
            before = await views.newest_run(self.database)
            await self.execution.execute(one, seed, RERUN, await self._recorded_at(one, seed))
            made = await views.newest_run(self.database)
            while not self.stop.why and (again := await views.to_rerun(self.database)):
                await self.stop.going.wait()
                if not self.stop.why:
                    other = await self._experiment(again[0])
                    at = await self._recorded_at(other, again[1])
                    await self.execution.execute(other, again[1], RERUN, at)
            return made if made > before else None
        finally:
            self.stop.finish(Ended.RERUN)  # it is too late for a pause
            ending.set()
            await obeying

    async def _recorded_at(self, one: Experiment, seed: int) -> str:
        return await recorded_at(self.database, one, self.bench.hash, seed, self.revision.settings.searched_at)

    async def _obey(self, ending: asyncio.Event) -> None:
        """Carry out what a person asks for, soon after; once the engine ends, what is left."""
        assert self.portfolio is not None
        own = self.portfolio.preparation
        decisions, last_look = Decisions(self.place, self.branches, self.database, self.stop, own), False
        while not last_look:
            last_look = ending.is_set()
            await decisions.obey()
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), OBEY_SECONDS)

    async def _baseline(self) -> Ended | None:
        """Run the unchanged code until it is measured. A reason to end, or None."""
        runs = await views.runs(self.database, 0)
        at = self.revision.settings.searched_at
        measured = any(
            (run.outcome, run.bench, run.fidelity) == (Outcome.OK, self.bench.hash, at)
            for run in runs
            if run.purpose != RERUN
        )
        baseline = await self._experiment(0)
        if measured and baseline.state is not State.MEASURED:  # a detour over another bench has ended badly
            await journal.measured_already(self.database, baseline, self.bench.hash)
        most = self.limits.experiments
        estimates = most is None or most > optimiser.STARTUP  # with fewer the estimator is never asked
        tries, warming = 0, None
        while not measured and not self._failed():
            await self.stop.going.wait()
            if self.stop.why:
                break
            if (tries := tries + 1) > TRIES:
                raise MachineFailed(f"{TRIES} runs of e0000 in a row were ended from outside, and not by cockpit")
            # What takes a while to import is there when the slot is free.
            if estimates and warming is None:
                warming = asyncio.create_task(asyncio.to_thread(optimiser.load))
                if self.learned.alone:
                    await warming
            outcome = await self.execution.execute(await self._experiment(0), next(seeds(self.seed)), BASELINE, at)
            if outcome is None:
                tries -= 1
                continue
            self._heard(baseline, BASELINE, outcome)
            measured = outcome is Outcome.OK
        if warming is not None:
            await warming
        return Ended.BASELINE_FAILED if self._failed() else self.stop.why

    async def _search(self, count: int | None) -> Ended:
        """Make one run after another, and prepare the next experiment meanwhile, up to `count` in all."""
        assert self.portfolio is not None
        await self._learn(await views.runs(self.database, 0))
        if count is None or await views.count(self.database) + 1 < count:  # not in the place of all that is asked for
            await seeding.offer(self.portfolio.preparation)
        while not self.stop.why:
            await judge_what_waits(self.place, self.revision, self.database, self.standing)  # who catches up first
            await count_lines(self.branches, self.database)
            await self._plan()
            if not self.stop.going.is_set():
                await self.stop.going.wait()
                continue
            if again := await views.to_rerun(self.database):
                one = await self._experiment(again[0])
                at = await self._recorded_at(one, again[1])
                if lacking := await budget.for_run(self.database, RERUN, at, self.execution.devices):
                    return lacking
                await self.execution.execute(one, again[1], RERUN, at)
                continue
            job = next_job(self.standing, self.seed, count)
            fresh = job is None or job.purpose == SCREEN  # and nothing is half done
            if fresh and await self._unlikely():
                return Ended.RETURNS
            if job is not None or await self._wanted(count):  # before anything is proposed for it, too
                purpose, at = (job.purpose, job.fidelity) if job else (SCREEN, self.standing.runs.fidelity)
                if lacking := await budget.for_run(self.database, purpose, at, self.execution.devices):
                    return lacking
            if job is None:
                if not await self._proposed(self.portfolio.prepare(count)):
                    if self.stop.holds:
                        continue
                    if not await self._wanted(count):
                        return Ended.EXPERIMENTS
                    return self.portfolio.ended or Ended.NO_PROPOSER
                continue
            # During a first run alone, and one ahead and no more: what a proposal knows, and so what it proposes, would
            # else depend on what has been interrupted.
            queued = await views.queued(self.database, count)
            before = job.purpose == SCREEN and len(queued) <= AHEAD
            coming = await views.newest_run(self.database) + 1
            if before and self.quiet.times(timed.TRAIN):  # nor does it take time from a run that is timed
                await self._proposed(self.portfolio.prepare(count, coming))
                before = False
            ahead = asyncio.create_task(self.portfolio.prepare(count, coming)) if before else None
            try:
                await self._measure(job)
            except BaseException:
                if ahead is not None:
                    ahead.cancel()
                    await asyncio.gather(ahead, return_exceptions=True)
                raise
            if ahead is not None:
                await (ahead if ahead.done() else self._proposed(ahead))
            if self._failed(await views.incumbent(self.database)):
                return Ended.BASELINE_FAILED
        return self.stop.why

    async def _plan(self) -> None:
        """Say what can be answered, after the baseline's first run, and once its noise is known; each once a bench."""
        runs = self.standing.runs
        count = len(runs.seeds(0)) if runs.whole(0) else 0
        if count not in (1, self.revision.settings.seeds.baseline) or count <= self.planned:
            return
        self.planned = count
        if await planned.known(self.database, self.bench.hash) >= count:  # in an earlier life
            return
        settings, own = self.revision.settings, await views.runs(self.database, 0)
        good = [run for run in own if (run.outcome, run.bench) == (Outcome.OK, self.bench.hash)]
        probe, said = by_probe(settings, self.probe), self.learned.notes
        known, full = by_fidelity(settings, good, await views.values(self.database, self.bench.hash), probe)
        found = await asyncio.to_thread(foresee, settings, known, *self._room(), full)
        await self._learn(good)
        found = replace(found, notes=self.learned.notes)
        text = "; ".join([brief(found), *(note for note in found.notes if note not in said)])
        await planned.record(self.database, found, text, self.bench.hash, count)

    async def _learn(self, runs: Sequence[Run]) -> None:
        """See what runs of the baseline show: what is timed, nothing is to load from then on."""
        self.learned = await learn(self.execution, runs, self.probe)
        self.quiet.timed = self.learned.timed

    async def _unlikely(self) -> bool:
        """Whether a confirmed gain has become as unlikely as `stop_when` says."""
        asked, lately = self.revision.settings.study.stop_when, await views.returns(self.database)
        if asked.chance is None or lately is None or lately.seconds != asked.within:
            return False
        return self.standing.screened >= LEAST and lately.chance < asked.chance

    async def _proposed(self, proposing: Awaitable[bool]) -> bool:
        """What is proposed. Until then the slot waits for it."""
        await journal.waits(self.database, SLOT, Idle.PROPOSAL)
        proposed = await proposing
        await journal.waits(self.database, SLOT, Idle.ENGINE)
        return proposed

    async def _wanted(self, count: int | None) -> bool:
        return count is None or await views.count(self.database) < count

    async def _measure(self, job: Job) -> None:
        """Make a run until it has been measured or has failed. An experiment that is always interrupted is given up."""
        experiment = job.experiment
        for _ in range(TRIES):
            outcome = await self.execution.execute(experiment, job.seed, job.purpose, job.fidelity)
            if outcome is None:
                break
            if outcome is not Outcome.INTERRUPTED:
                self._heard(experiment, job.purpose, outcome)
                self.given_up = 0
                break
            if self.stop.why or (await self._experiment(experiment.number)).state is State.REJECTED:
                return
        else:
            if job.purpose in (BASELINE, CHALLENGE, VERIFY):
                raise MachineFailed(f"{TRIES} runs of {experiment.id} in a row were ended from outside, not by cockpit")
            why = f"{TRIES} runs in a row were ended from outside, and not by cockpit"
            await self.standing.catch_up(self.database)
            frontier, _ = await self.standing.drawn(experiment.number)
            await journal.given_up(self.database, experiment, self.bench.hash, why, frontier)
            self.given_up += 1
        await self._after(experiment)
        if self.given_up == TRIES:
            raise MachineFailed(f"the runs of {TRIES} experiments in a row were ended from outside, and not by cockpit")

    async def _after(self, experiment: Experiment) -> None:
        """A run has ended: the branch of a failed experiment goes out of the way, or comes back if it did not fail."""
        await arrange(self.branches, self.database, experiment.number)

    def _heard(self, experiment: Experiment, purpose: str, outcome: Outcome) -> None:
        """An incumbent that fails on its baseline's seeds has failed; on those of challengers it may, now and then."""
        if purpose == CHALLENGE and outcome is not Outcome.INTERRUPTED:
            self.in_vain = 0 if outcome is Outcome.OK else self.in_vain + 1
        if purpose in (BASELINE, VERIFY) or self.in_vain == TRIES:
            self.outcomes.append((experiment.number, outcome))

    def _failed(self, incumbent: int = 0) -> bool:
        """Whether the incumbent has failed in this life, by a fault of its own."""
        bad = [number for number, outcome in self.outcomes if outcome not in (Outcome.OK, Outcome.INTERRUPTED)]
        return 0 in bad or incumbent in bad

    async def _experiment(self, number: int) -> Experiment:
        found = await views.experiment(self.database, number)
        if found is None:
            raise MachineFailed(f"the record has lost experiment {number}")
        return found

    async def close(self, why: Ended, because: str = "") -> None:
        """The end of this engine's life, recorded, and what has brought it about where something broke."""
        since = time.time()
        try:
            if self.life is not None:
                try:
                    if self.portfolio is not None:
                        await self.portfolio.close()
                finally:
                    await self.execution.finish()
                    await journal.engine_ended(self.database, self.life, why, since, because)
        finally:
            if self.telling is not None:
                await self.telling


def _facts(name: str, objective: Objective) -> dict[str, Any]:
    """What the faces are told of an objective."""
    told = {field: getattr(objective, field) for field in ("direction", "label", "unit", "steers")}
    return {**told, "kind": axis.kind(name)}


def _bounds(name: str, constraint: Constraint) -> dict[str, Any]:
    """What the faces are told of a constraint."""
    return {**constraint.model_dump(), "text": bounds.limits(name, constraint), "kind": axis.kind(name)}
