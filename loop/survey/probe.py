"""A few short runs of the unchanged code, before there is a study: what it takes, what it comes to, and how it differs.

    the repository, the command, the interpreter                   (_open)
    what hands a seed over is looked for in the scripts            (seed.py)
    run as a study runs: a fresh checkout, the wall, a supervisor  (_run)
        what is missing and could be lent is lent, and the run is made again
    the same seed twice: is it deterministic? others: its noise    (_learn)

Nothing is written but `.probe/` and `probe.json` in the study folders' parent, inside `.git`.
"""

import asyncio
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from math import fsum, isfinite, sqrt
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from loop.branches import Branches, GitError
from loop.judge import foresight
from loop.judge.noise import agree
from loop.judge.preset import PRESETS
from loop.run import bench, lacks, launch, meter, sandbox, shadow, stages, timed
from loop.run.devices import cores, kind
from loop.run.folder import LEFT, delete, fill
from loop.run.interpreter import Failed, Interpreter, Unusable, answer, look
from loop.run.metrics import SECONDS
from loop.schedule import seeds
from loop.study import ConfigError, Settings, read
from loop.survey import command as commands
from loop.survey import cwd, found, interpreter, spoken
from loop.survey.seed import Seed as Handed
from loop.survey.sources import Sources
from loop.survey.trouble import advice, brought
from store.place import EngineRuns, Place, repository, take_engine_lock
from store.probed import FOLDER, Noise, Probed, Ran, Seed, Spoken, write
from store.records import Outcome, Run, Stage
from store.trail import NOWHERE, SHELL, Trail
from store.where import where

RUNS, MORE = 3, 2  # the same seed twice, and another; so many others where they are short
SHORT_SECONDS = 20.0  # of a run, so that more of them tell of the noise
LOANS = 4  # times that something is found missing, and lent
LAST_LINES = 8  # of a log, where a run has failed
NIGHT_SECONDS = 8 * 3600.0
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

Say = Callable[[str], None]


class CannotProbe(Exception):
    """There is nothing to run yet. The message says what to do first."""


class _Open(Struct):
    """What the runs of a probe share."""

    place: Place
    branches: Branches
    commit: str
    tree: str
    files: Mapping[str, str]
    settings: Settings
    interpreter: Interpreter
    launched: stages.Launch
    meter: meter.Meter
    wall: sandbox.Wall
    network: bool
    seed: Handed
    words: tuple[str, ...]  # of the command, as a study has it
    variables: dict[str, str]

    @property
    def lent(self) -> tuple[str, ...]:
        return self.settings.data.read

    async def lend(self, paths: Sequence[str]) -> None:
        """Lend these too, behind a wall that shows them."""
        data = self.settings.data.model_copy(update={"read": (*self.lent, *paths)})
        self.settings = self.settings.model_copy(update={"data": data})
        await self.build()

    async def build(self) -> None:
        """The wall: tried, and found to hold."""
        lent = [bench.lent(self.place, path) for path in self.lent]
        trail = self.branches.trail
        wall = await sandbox.build(self.place, self.interpreter, lent, [], self.variables, trail)
        self.wall = sandbox.with_network(wall) if self.network else wall


class _Done(Struct, frozen=True):
    """A run, and what it spoke of."""

    ran: Ran
    metrics: Sequence[spoken.Metric]
    log: str


async def probe(directory: Path, command: Sequence[str], limit: str, say: Say, *, network: bool = False) -> Probed:
    """Run it a few times, each in the time of `limit` ("10 min"), and say what was learned, which is kept too.

    Raises CannotProbe, NoStudy, Unusable, GitError and OSError.
    """
    place = repository(directory, FOLDER)
    place.folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = await asyncio.to_thread(take_engine_lock, place.folder)
    except EngineRuns as other:
        raise CannotProbe(f"another probe of this repository runs, pid {other.pid}: wait for it, or end it") from None
    try:
        with _ends_with_us():
            return await _probe(place, directory, command, limit, say, network=network)
    except asyncio.CancelledError:
        await delete([place.folder / "runs"], NOWHERE)
        raise
    finally:
        os.close(lock)


async def _probe(
    place: Place, directory: Path, command: Sequence[str], limit: str, say: Say, *, network: bool
) -> Probed:
    """The whole of it, which a signal cancels."""
    for left in sorted((place.folder / "runs").glob("*")):  # by one that was killed
        await launch.put_away(left)
    shutil.rmtree(place.folder / "runs", ignore_errors=True)
    own = await _open(place, directory.resolve(), command, limit, say, network=network)
    dirty = await own.branches.dirty()
    if dirty:
        said = ", ".join(dirty[:4]) + (" …" if len(dirty) > 4 else "")
        say(f"what is run is the last commit, without your changes to {said}")
    if not own.wall:
        say(f"no wall: {own.wall.lack}")
    done, failure = await _runs(own, say)
    probed = _learn(own, dirty, done, failure)
    await asyncio.to_thread(write, place, probed)
    return probed


# --- before the first run --------------------------------------------------------------------------------------------


async def _open(place: Place, here: Path, command: Sequence[str], limit: str, say: Say, *, network: bool) -> _Open:
    """What is here. Raises CannotProbe and Unusable where it could not run at all."""
    branches = await Branches.of(place, Trail(place.folder, SHELL))
    try:
        commit = await branches.commit("HEAD")
    except GitError:
        raise CannotProbe(
            f"{place.root} has no commit yet, and what runs is what is committed: `git add -A && git commit` first"
        ) from None
    tree = await branches.tree(commit)
    files = await branches.files(tree)
    sources = await Sources.of(branches, tree)
    inside = here.relative_to(place.root).as_posix() if here.is_relative_to(place.root) else "."
    words, python = _python(place, here, command)
    try:
        train = await asyncio.to_thread(commands.given, words, sources, "" if inside == "." else f"{inside}/")
        train = await asyncio.to_thread(cwd.meant, place.root, sources, train)
    except commands.Unclear as why:
        raise CannotProbe(str(why).replace("cockpit init", "cockpit probe")) from None
    words = list(train.words)
    for note in train.notes:
        say(note)
    if train.cwd != ".":
        say(f"run in {train.cwd}, {train.cwd_evidence}")
    _check_scripts(place, here, words, files, train.cwd)
    _check_program(words)
    settings = _settings(words, train.cwd, limit)
    variables = stages.environment(place.folder, "tree")
    by_python = words[0] in stages.PYTHON
    script = await found.started(branches, tree, sources, train)
    needed = script.needed if by_python else frozenset[str]()
    if python is None:
        python = (await interpreter.found(place.root, sources, needed, variables, branches.trail)).path
    try:
        runs_it = await look(python, needed, variables, branches.trail)
    except Unusable as why:
        if why.missing:
            raise Unusable(
                f"{python} has no {', '.join(why.missing)}, which the script imports: "
                f"{brought(python, ' '.join(why.missing))}, or begin the command with the Python that has it: "
                "`cockpit probe -- /path/to/python …`"
            ) from None
        raise Unusable(str(why).replace(
            "name an interpreter with `python = ...` in [run]", "begin the command with one that can"
        )) from None  # fmt: skip
    launched = stages.Launch(runs_it.python, {})
    if by_python:
        launched = await bench.launched(runs_it, None, variables, branches.trail)
    roots = shadow.roots([path.resolve() for path in sandbox.working_trees(place)], runs_it)
    launched = replace(launched, roots=tuple(one for one in roots if any(path.startswith(f"{one}/") for path in files)))
    run = settings.run.model_copy(update={"seed": script.seed.said})
    own = _Open(
        place, branches, commit, tree, files, settings.model_copy(update={"run": run}), runs_it, launched,
        await meter.look(branches.trail), sandbox.Wall(), network, script.seed, train.words, variables,
    )  # fmt: skip
    await own.build()
    asked = await asyncio.to_thread(_asked_for, place)
    paths = dict.fromkeys(
        [*asked, *(one.path for one in (await found.lendable(place, branches, tree, sources, train, script))[0])]
    )
    if there := [path for path in paths if bench.lent(place, path).exists()]:
        await own.lend(there)
        say(f"lent, read-only, for git does not have it: {', '.join(there)}")
    ours = os.path.normpath(Path(train.cwd, words[0])) in files
    if own.wall and not by_python and not ours and own.wall.hides(Path(shutil.which(words[0]) or words[0])):
        raise CannotProbe(
            f"{words[0]} is not there behind the wall, where runs see no home and no temporary folder of this machine: "
            "install it elsewhere, or for the script's interpreter and start it with `python -m`"
        )
    return own


def _asked_for(place: Place) -> tuple[str, ...]:
    """What the study's file lends, where there is one that can be read."""
    try:
        return read(place.config).settings.data.read if place.config.is_file() else ()
    except ConfigError:
        return ()


def _settings(words: Sequence[str], where: str, timeout: str) -> Settings:
    """The command as a study would have it, of which nothing else is asked yet."""
    run = {"train": shlex.join(words), "cwd": where, "timeout": timeout}
    tables = {"run": run, "objectives": {"_": {"direction": "minimize"}}}
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        one = error.errors()[0]
        what = "--timeout" if "timeout" in one["loc"] else "the command"
        raise CannotProbe(f"{what}: {one['msg'].removeprefix('Value error, ')}") from None


def _python(place: Place, here: Path, command: Sequence[str]) -> tuple[list[str], Path | None]:
    """The command's words, and the Python that they begin with, where they say which file that is."""
    words = list(command)
    first = Path(words[0])
    if first.name.startswith("python") and "/" in words[0]:
        at = here / first if (here / first).exists() else place.root / first
        return ["python", *words[1:]], at
    return words, None


def _check_scripts(place: Place, here: Path, words: Sequence[str], files: Mapping[str, str], where: str) -> None:
    """The scripts that a command names are committed, and named from where it is run."""
    for word in words[:3]:
        path = os.path.normpath(Path(where, word))
        if not word.endswith((".py", ".sh")) or path in files:
            continue
        beside = here / word
        if (place.root / word).exists() or beside.exists():
            raise CannotProbe(
                f"{word} is not committed, and what runs is what is committed: `git add {word}` and commit"
            )
        near = next((path for path in files if Path(path).name == Path(word).name), None)
        raise CannotProbe(f"there is no {word} in {place.root}" + (f"; there is {near}" if near else ""))


def _check_program(words: Sequence[str]) -> None:
    if words[0] not in stages.PYTHON and "/" not in words[0] and shutil.which(words[0]) is None:
        raise CannotProbe(f"there is no command {words[0]} here (PATH is looked through)")


# --- the runs --------------------------------------------------------------------------------------------------------


async def _runs(own: _Open, say: Say) -> tuple[list[_Done], str]:
    """The runs that were made, and why there are no more."""
    first, *others = islice(seeds(0), 1 + 1 + MORE)
    wanted = [first, first, others[0]]
    done: list[_Done] = []
    loans = 0
    say(_plan(own))
    while len(done) < len(wanted):
        number = len(done) + 1
        one, why = await _run(own, number + loans, wanted[len(done)])
        if why and one.ran.outcome == Outcome.CRASH and loans < LOANS and (lack := await _lack(own, one)):
            say(f"run {number}: {_not_committed(lack)} lent, read-only, and the run made again")
            await own.lend(lack)
            loans += 1
            continue
        done.append(one)
        seconds = f"{one.ran.wall_seconds:.1f} s"
        say(
            f"run {number}: {seconds}"
            + (f", {one.ran.outcome}" if why else f", seed {one.ran.seed}" * bool(own.seed.how))
        )
        if why:
            return done, why
        if len(done) == RUNS and max(run.ran.wall_seconds for run in done) <= SHORT_SECONDS:
            wanted += others[1:]
    return done, ""


def _not_committed(paths: Sequence[str]) -> str:
    what = ", ".join(paths)
    return f"{what} is not committed; it is" if len(paths) == 1 else f"{what} are not committed; they are"


def _plan(own: _Open) -> str:
    """What is going to happen."""
    network = "with the network" if own.network or not own.wall else "without a network"
    limit = f"each at most {own.settings.run.timeout:g} s"
    return f"{RUNS} runs, or {RUNS + MORE} where they are short, {network}, {limit}; ctrl+c ends them"


async def _run(own: _Open, number: int, seed: int) -> tuple[_Done, str]:
    """One run to its end, and why it has failed, where it has."""
    run = Run(
        id=number, experiment=0, revision="", tree=own.tree, bench="", seed=seed, purpose="probe", fidelity="full",
        attempt=1, slot="", wall=own.wall.name, meter=str(own.meter), launch=own.launched.how, started_at=time.time(),
    )  # fmt: skip
    folder = own.place.folder / run.folder
    await fill(folder, own.place, own.settings, own.branches, own.wall, own.launched, own.tree, seed)
    every = stages.commands(own.settings, own.place.folder, folder, own.launched, own.wall, run, own.commit)
    commands = [replace(one, env=_variables(one.env, network=own.network)) for one in every]
    await launch.start(folder, commands, run.started_at, own.meter.asked, own.branches.trail)
    try:
        await launch.gone(folder)
    except BaseException:  # ctrl+c: what was started is ended; asked again, at once
        try:
            await launch.ask_to_end(folder)
            await launch.gone(folder)
        except BaseException:
            launch.end_at_once(folder)
            raise
        raise
    said = launch.status(folder)
    stage = stages.ended(run, own.place.folder, own.settings, said["stages"][0]) if said and said["stages"] else None
    if stage is None:
        raise CannotProbe(f"the run was ended from outside; {folder}/supervisor.log may say by what")
    metrics = await _spoken(own, folder, stage)
    log = await asyncio.to_thread(stages.tail, own.place.folder / stage.log)
    why = ""
    if stage.outcome is not Outcome.OK:
        why = await asyncio.to_thread(_held_back, own, folder, log)
        why = why or advice(stage, log, own.interpreter.python, own.settings, network=own.network)
    last = {one.name: one.last for one in metrics if isfinite(one.last)}
    points = {one.name: len(one.values) for one in metrics}
    ran = Ran(
        seed=seed,
        outcome=stage.outcome.value,
        detail=stage.detail,
        wall_seconds=stage.wall_seconds,
        whole_seconds=time.time() - run.started_at,
        cpu_seconds=stage.cpu_seconds,
        peak_bytes=stage.peak_bytes,
        peak_device_bytes=stage.peak_device_bytes,
        device_busy_share=said["stages"][0].get("device_busy_share") if said else None,
        metrics=last,
        points=points,
    )
    used = [folder / name for name in ("output", *LEFT) if (folder / name).exists()]
    await delete(used, own.branches.trail)
    return _Done(ran, metrics, log), why


@contextmanager
def _ends_with_us() -> Iterator[None]:
    """A terminal that closes, or a SIGTERM, ends the probe as a Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _variables(env: Mapping[str, str], *, network: bool) -> dict[str, str]:
    """The variables of a run; with the network, by the user's proxy, libraries are not told that there is none."""
    if not network:
        return dict(env)
    proxies = {name: os.environ[name] for name in PROXIES if name in os.environ}
    return {name: value for name, value in env.items() if name not in OFFLINE} | proxies


async def _spoken(own: _Open, folder: Path, stage: Stage) -> list[spoken.Metric]:
    """What the run has spoken of. What cannot be read is no reason to fail: then there is none."""
    words = spoken.question(folder, Path(stage.log).name, stage.started_at, own.settings.run.cwd)
    try:
        return spoken.answer(await answer(words, {}, own.branches.trail, "the metrics of a run", SECONDS))
    except (OSError, Failed, ValueError, IndexError, KeyError, TypeError):
        return []


def _held_back(own: _Open, folder: Path, log: str) -> str:
    """What a run could not write, for it is lent, and what to do; nothing where that is not why it failed."""
    held = lacks.held_back(log, own.place, own.settings.data, folder / "tree" / own.settings.run.cwd, folder)
    if not held:
        return ""
    if held in _asked_for(own.place):
        line = where(own.place.config, own.place.config.read_text("utf-8"), ("data", "read"))
        return f'{held} is lent read-only, and the code writes it: take "{held}" out of `[data] read`, {line}'
    return (
        f"{held} is lent read-only, for git does not have it, and the code writes it: move it away, as it is made anew "
        "by each run"
    )


async def _lack(own: _Open, one: _Done) -> tuple[str, ...]:
    """What a run has looked for in vain, and can be lent."""
    folder = own.place.folder / "runs" / "0"
    ran = re.escape(str(own.place.folder / "runs")) + r"/\d+/"
    text = re.sub(ran, lambda _: f"{folder}/", one.log)
    begun, data = folder / "tree" / own.settings.run.cwd, own.settings.data
    found = await asyncio.to_thread(lacks.found, text, own.place, data, own.wall, begun, folder, own.files.keys())
    return found.asked if found and not found.by else ()


# --- what follows ----------------------------------------------------------------------------------------------------


def _learn(own: _Open, dirty: Sequence[str], done: Sequence[_Done], failure: str) -> Probed:
    """What the runs say together."""
    good = [one for one in done if one.ran.outcome == Outcome.OK]
    metrics = (good or [*done, _Done(Ran(0, "", "", 0.0, 0.0, None, None, None, None, {}, {}), (), "")])[0].metrics
    seed = _seed(own.seed, [one.ran for one in good])
    noise = _noises([one.ran for one in good], [one.name for one in metrics], seed)
    seconds = fsum(one.ran.whole_seconds for one in good) / len(good) if good else None
    preset = PRESETS["balanced"]
    tonight = None
    if seconds:
        asked = foresight.Question(preset)
        tonight = int((NIGHT_SECONDS / seconds - asked.baseline) / foresight.runs_a_null(asked))
    return Probed(
        at=time.time(), command=own.words, commit=own.commit, tree=own.tree,
        python=str(own.interpreter.python), python_version=own.interpreter.version,
        wall=own.wall.name, no_wall=own.wall.lack, network=own.network, lent=own.lent, dirty=tuple(dirty),
        device=kind(), threads=cores(), timeout_seconds=own.settings.run.timeout,
        runs=tuple(one.ran for one in done),
        metrics=tuple(Spoken(m.name, m.pattern, m.file, m.key, m.direction, m.values, m.steps) for m in metrics),
        seed=seed, noise=noise, time_budget=_timed(good), tonight=tonight, failure=failure,
        said=_last_lines(own, done[-1].log) if failure else (), cwd=own.settings.run.cwd,
    )  # fmt: skip


def _last_lines(own: _Open, log: str) -> tuple[str, ...]:
    """The end of a log, its paths from the run's checkout on."""
    lines = [line for line in log.splitlines() if line.strip()][-LAST_LINES:]
    return tuple(re.sub(re.escape(str(own.place.folder / "runs")) + r"/\d+/tree/", "", line) for line in lines)


def _seed(handed: Handed, runs: Sequence[Ran]) -> Seed:
    """Whether the same seed gives the same, and another one something else. Both are open until it was tried."""
    same: bool | None = None
    takes_effect: bool | None = None
    # What only one of the two has been found to say tells nothing of the seed.
    names = runs[0].metrics.keys() & runs[1].metrics.keys() if len(runs) > 1 else set[str]()
    if names:
        same = _agree(runs[0], runs[1], names)
        others = [not _agree(one, runs[0], names) for one in runs[2:]]
        if others and same and handed.how is not None:
            takes_effect = any(others)
        if others and same and handed.how is None:
            same = not any(others)
    hard_coded = str(handed.hard_coded[0]) if handed.hard_coded else ""
    return Seed(handed.how, handed.evidence, hard_coded, takes_effect, same)


def _agree(one: Ran, other: Ran, names: Collection[str]) -> bool:
    """Whether two runs have come to the same in these, but for rounding."""
    return all(
        name in one.metrics and name in other.metrics and agree([one.metrics[name], other.metrics[name]])
        for name in names
    )


def _noises(runs: Sequence[Ran], names: Sequence[str], seed: Seed) -> dict[str, Noise]:
    """Of each metric. Where the same seed gives the same, one run of each seed tells; else each run does."""
    if seed.deterministic and seed.how is not None:
        runs = [one for index, one in enumerate(runs) if index != 1]
    found: dict[str, Noise] = {}
    for name in names:
        values = [one.metrics[name] for one in runs if name in one.metrics]
        if len(values) < 2:
            continue
        df, mean = len(values) - 1, fsum(values) / len(values)
        sd = 0.0 if agree(values) else sqrt(fsum((value - mean) ** 2 for value in values) / df)
        relative = sd / (abs(mean) or 1.0)
        low, high = foresight.interval(df)
        floor = foresight.floor(relative, df, PRESETS["balanced"])
        of = "seeds" if seed.how is not None else "repetition"
        found[name] = Noise(mean, sd, df, relative, low * relative, high * relative, floor, of)
    return found


def _timed(runs: Sequence[_Done]) -> bool:
    """Whether the script shows the signs of a time budget: equal seconds, unequal steps."""
    steps = [{m.name: (len(m.values), m.steps[-1:]) for m in one.metrics} for one in runs]
    return timed.equal([one.ran.wall_seconds for one in runs]) and timed.unequal(steps)
