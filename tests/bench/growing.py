"""What one experiment more takes, in a study of a hundred and in one of ten thousand. `make bench-growing` runs it.

The record is a real one. Its runs are made up: no process is started. What is counted is what the engine does with the
record for an experiment: it is queued, run, measured, judged, the frontier is drawn, and the next run is chosen.
Beside it, the time of that; the ratio of two such times in one run says more than either.

A proposal is a real one, by the optimiser, of a repository with as many branches; what is counted is all until it is
let in: what is known of the others, the estimator, the change, its commit and its branch. Its time is that of the
processors, git's among it.
"""

import argparse
import asyncio
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from msgspec.structs import replace

from loop.branches import SHOWN, Branches, new_repository
from loop.git import run as git
from loop.judge.runs import BASELINE, SCREEN
from loop.judge.standing import Standing
from loop.propose.domain import Choices
from loop.propose.prepare import Preparation, knobs_of
from loop.schedule import next_job, seeds
from loop.study import Revision, parse
from loop.verdicts import judge_what_waits
from store import commands, effects, journal, views
from store.database import Database
from store.place import CONFIG, Place, find
from store.records import (
    Answer,
    Command,
    Decision,
    Experiment,
    Measurement,
    Outcome,
    Proposal,
    Run,
    Source,
    Stage,
    State,
    Study,
    Value,
)

BENCH = "bench"
TEXT = """
[run]
train = "true"
[objectives]
loss = { direction = "minimize" }
predict_seconds = { direction = "minimize" }
weights = { direction = "minimize" }
"""
TRAIN = """\
RATE = 0.1  # cockpit: 0.001..1.0 log
DECAY = 0.01  # cockpit: 0.0001..0.1 log
DROPOUT = 0.1  # cockpit: 0.0..0.5
WIDTH = 64  # cockpit: 8..512 log
KIND = "a"  # cockpit: a | b | c
"""
SECONDS = 0.001  # of a stage
STAGES = ("train", "predict", "score")


async def at_once() -> None:
    """Nothing is waited for between two events."""


@dataclass(slots=True)
class Growing:
    """A study that grows by one experiment at a time."""

    place: Place
    revision: Revision
    database: Database
    stand: Standing
    draw: Random
    number: int = 0
    good: float = 0.02  # the share of experiments that are better in truth
    between: Callable[[], Awaitable[None]] = at_once  # what is waited for before an event

    async def engine(self, pid: int) -> None:
        """An engine has started, and has found out what the screen says of it."""
        settings = self.revision.settings
        objectives = {
            name: {"direction": one.direction, "kind": "quality" if name == "loss" else "count", "steers": True}
            for name, one in settings.objectives.items()
        }
        facts = {
            "bench": BENCH, "steering": settings.steering, "objectives": objectives, "wall": "bwrap", "meter": "maxrss",
            "model": "none", "seeds": settings.seeds.baseline,
        }  # fmt: skip
        await journal.engine_started(self.database, pid, facts, "engine started")

    async def begin(self) -> None:
        """The baseline, measured on its seeds."""
        await self.engine(1)
        await journal.study_began(self.database, Study("growing", "", 0, "c0", time.time()))
        await journal.study_revised(self.database, self.revision.digest, TEXT)
        await journal.bench_set(self.database, BENCH, {})
        baseline = self.experiment(0)
        await self.settled(await journal.queued(self.database, baseline, {}))
        for seed, _ in zip(seeds(0), range(self.revision.settings.seeds.baseline), strict=False):
            await self.run(baseline, seed, BASELINE)

    def experiment(self, number: int) -> Experiment:
        """An experiment that waits."""
        return Experiment(
            number, f"x{number}", State.QUEUED, f"tree{number}", f"c{number}", f"cockpit/growing/e{number:04}", 1.0,
            parent=self.stand.incumbent if number else None,
        )  # fmt: skip

    async def settled(self, effect: int) -> None:
        """What was wanted is so."""
        await effects.settled(self.database, effect, "")

    async def run(self, experiment: Experiment, seed: int, purpose: str) -> None:
        """A run of it, which measures something."""
        revision, now = self.revision.digest, time.time()
        planned = Run(
            0, experiment.number, revision, experiment.tree, BENCH, seed, purpose, "full", 1, "slot0", "none", "none",
            "plain", now,
        )  # fmt: skip
        await self.between()
        run, effect = await journal.run_started(self.database, experiment, planned)
        await self.settled(effect)
        for position, name in enumerate(STAGES):
            await self.between()
            stage = Stage(name, Outcome.OK, 0, time.time(), SECONDS, SECONDS, 1, "log")
            await journal.stage_ended(self.database, experiment, run, position, stage)
        good = experiment.number and self.draw.random() < self.good
        values = {
            "loss": self.draw.gauss(0.9 if good else 1.0, 0.02),
            "predict_seconds": self.draw.lognormvariate(0.0, 0.1),
            "weights": 1000.0 * self.draw.choice((0.9, 1.0, 1.0, 1.2)),
        }
        measured = [Measurement(name, value, Source.SCORED) for name, value in values.items()]
        now_known = [Value(run.id, experiment.number, seed, purpose, one.objective, one.value) for one in measured]
        await self.stand.catch_up(self.database)
        frontier, reference = await self.stand.drawn(experiment.number, now_known)
        await self.between()
        await journal.run_ended(self.database, experiment, run, Outcome.OK, "", measured, frontier, reference)

    async def one_more(self) -> None:
        """An experiment, from its proposal until there is a next thing to do."""
        self.number += 1
        await self.between()
        one = self.experiment(self.number)
        proposer = "optimiser" if self.number % 3 else "model"
        proposal = Proposal(proposer, "knobs", self.stand.incumbent, "a hypothesis", {"knobs": {}}, time.time())
        await self.settled(await journal.queued(self.database, one, {}, proposal, f"hash{self.number}"))
        await self.screened(one)

    async def screened(self, one: Experiment) -> None:
        """It is run and judged."""
        await self.run(one, next(seeds(0)), SCREEN)
        await judge_what_waits(self.place, self.revision, self.database, self.stand)
        await self.stand.catch_up(self.database)

    async def merge(self, number: int) -> None:
        """Trunk is this one from here on, and gets the runs of an incumbent."""
        async with self.database.transaction() as change:
            row = await change.insert("commands", uuid="m", verb="merge", arguments={}, expected={}, at=time.time())
        command, decision = Command("m", "merge", {}, {}, 0.0, row), Decision("merge", number, "", None, "c0", "c1")
        await commands.decided(self.database, command, decision, Answer(True, ""), BENCH)
        await self.stand.catch_up(self.database)
        await self.obey()

    async def obey(self, most: int = 200) -> None:
        """Make the runs that the judge asks for."""
        for _ in range(most):
            job = next_job(self.stand, 0)
            if job is None:
                return
            await self.run(job.experiment, job.seed, job.purpose)
            await judge_what_waits(self.place, self.revision, self.database, self.stand)
            await self.stand.catch_up(self.database)


@dataclass(slots=True)
class Proposing(Growing):
    """One of a repository with knobs, of which its experiments have values."""

    preparation: Preparation = field(kw_only=True)
    baseline: Experiment = field(kw_only=True)

    def experiment(self, number: int) -> Experiment:
        """One with values of its own; the code of all is the baseline's."""
        if not number:
            return self.baseline
        places = [(knob.key, knob.domain, self.draw.random()) for knob in self.preparation.knobs]
        knobs = {
            key: domain.values[int(at * len(domain.values))] if isinstance(domain, Choices) else domain.at(at)
            for key, domain, at in places
        }
        return replace(Growing.experiment(self, number), knobs=knobs, commit=self.baseline.commit)

    async def proposed(self) -> Experiment:
        """One that the optimiser proposes, let in and not run yet."""
        made = await self.preparation.prepare(None, await views.newest_run(self.database) + 1)
        assert made is not None
        self.number = made.number
        return made

    async def branched(self) -> None:
        """All experiments have their branches."""
        there = await self.preparation.branches.references()
        wanted = {SHOWN + one.branch: one.commit for one in await views.bare(self.database)}
        orders = "".join(f"create {name} {at}\n" for name, at in wanted.items() if name not in there)
        place = self.preparation.place
        variables = {"GIT_DIR": str(place.git_dir), "GIT_WORK_TREE": str(place.root)}
        await git(["update-ref", "--stdin"], variables, stdin=orders.encode())


@asynccontextmanager
async def proposing(folder: Path) -> AsyncIterator[Proposing]:
    """A study in an empty folder, with a repository."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(f'[study]\nname = "growing"\n[space]\nedit = ["train.py"]\n{TEXT}')
    (folder / "train.py").write_text(TRAIN)
    await new_repository(folder, "The code as it is")
    place = find(folder)
    revision, branches = parse(place.config.read_text(), place.config), await Branches.of(place)
    commit = await branches.commit("HEAD")
    tree = await branches.tree(commit)
    knobs = await knobs_of(place, revision, branches, tree)
    baseline = Experiment(0, "baseline", State.QUEUED, tree, commit, "cockpit/growing/e0000-baseline", 1.0)
    async with await Database.open(place.folder, create=True) as database:
        stand, own = (
            Standing(revision.settings, BENCH),
            Preparation(place, revision.settings, branches, database, knobs, 0, BENCH),
        )
        study = Proposing(place, revision, database, stand, Random(0), preparation=own, baseline=baseline)
        await study.begin()
        yield study


@asynccontextmanager
async def growing(folder: Path, place: Place | None = None) -> AsyncIterator[Growing]:
    """A study in a folder, or where it has its place; one that is there already goes on."""
    place = place or Place(folder, folder, folder, "growing")
    revision = parse(TEXT, folder / CONFIG)
    async with await Database.open(folder, create=True) as database:
        stand = Standing(revision.settings, BENCH)
        number = await views.count(database) - 1
        study = Growing(place, revision, database, stand, Random(number), max(0, number))
        if number < 0:
            await study.begin()
        yield study


async def statements(study: Growing, act: Callable[[], Awaitable[object]]) -> int:
    """How many statements something takes, as one experiment more."""
    asked: list[str] = []
    await study.database.trace(asked.append)
    await act()
    await study.database.trace(None)
    return len(asked)


async def experiments(study: Growing, times: int) -> tuple[list[float], list[int]]:
    """The seconds that so many experiments more take each, and the statements of a few."""
    took, asked = [], []
    for _ in range(times):
        began = time.perf_counter()
        await study.one_more()
        took.append(time.perf_counter() - began)
        await study.obey()
    for _ in range(5):
        asked.append(await statements(study, study.one_more))
        await study.obey()
    return took, asked


async def proposals(study: Proposing, times: int) -> tuple[list[float], list[int]]:
    """The seconds of processors that so many proposals take each, and the statements of a few."""
    took, asked = [], []
    await study.branched()
    for number in range(times + 6):
        began = spent()
        if number <= times:
            await study.proposed()
        else:
            asked.append(await statements(study, study.proposed))
        if 0 < number <= times:  # the first reads all experiments, as that of an engine which begins
            took.append(spent() - began)
        (made,) = await views.these(study.database, [study.number])
        await study.screened(made)
        await study.obey()
    return took, asked


def spent() -> float:
    """The seconds of processors that this process and those which it has waited for have taken."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


async def measure(sizes: list[int], times: int, *, merged: bool) -> None:
    """Grow a study to each size, and print what so many experiments and proposals more take there."""
    firsts = dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        async with proposing(Path(folder)) as study:
            if merged:
                await study.screened(await study.proposed())
                await study.merge(study.number)
            for size in sizes:
                await study.database.trace(None)
                while study.number < size:
                    await study.one_more()
                    await study.obey()
                print(f"{size} experiments, {len(study.stand.on)} on the frontier")
                for name, found in (
                    ("an experiment", experiments(study, times)),
                    ("a proposal", proposals(study, times)),
                ):
                    took, asked = await found
                    middle = statistics.median(took)
                    first = firsts.setdefault(name, middle)
                    low, high = (sorted(took)[round(share * (times - 1))] for share in (0.1, 0.9))
                    print(
                        f"  {name:13} {min(asked)} to {max(asked)} statements, {1000 * middle:.1f} ms "
                        f"({1000 * low:.1f} to {1000 * high:.1f}), {middle / first:.2f} times the first",
                        flush=True,
                    )


def main() -> None:
    """The whole."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("sizes", nargs="*", type=int, default=[100, 1_000, 10_000], metavar="SIZE")
    asked.add_argument("--times", type=int, default=40, metavar="N", help="experiments at each size; 40 unless told")
    asked.add_argument(
        "--merged", action="store_true", help="the first experiment is merged, and others run against it"
    )
    given = asked.parse_args()
    print(f"# {platform.machine()}, Python {platform.python_version()}; the median, and 10 to 90 % of the times")
    asyncio.run(measure(sorted(given.sizes), given.times, merged=given.merged))


if __name__ == "__main__":
    main()
