"""The stages of a run: what each one executes, how it ended, and what it measured.

A stage is a row of STAGES. Three of them make a scored run: `train` and `predict` run the code under test in the run
folder, `score` runs trunk's own copy of the scorer in a folder of its own, on the outputs as data. `eval`, in the place
of the last two, runs trunk's own evaluation file on the code under test, in a checkout that `train` has not seen.
"""

import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct

from loop.judge.axis import COSTS, Kind
from loop.judge.runs import BASELINE, CHOSEN
from loop.propose.domain import Value
from loop.run import artifact, carved, costs, language, reached, scoring, shadow
from loop.run.devices import cores
from loop.run.interpreter import launcher_options
from loop.run.launch import LOG_LIMIT_BYTES, TAG, Command
from loop.run.metrics import Found
from loop.run.sandbox import Wall
from loop.schedule import seeds
from loop.study import PRICE, ConfigError, Settings
from store.records import ASKED_TO_END, Measurement, Outcome, Run, Source, Stage

# In the order in which they run, with the best that a value printed there can be.
STAGES = {
    "train": Source.REPORTED,
    "predict": Source.EVALUATED,
    "eval": Source.EVALUATED,
    "score": Source.SCORED,
}
# In the run folder, where each runs.
CHECKOUTS = {"train": "tree", "predict": "tree", "eval": "eval", "score": "scorer"}
PYTHON = ("python", "python3")  # as a command's first word: the study's interpreter
# Possessive throughout (re, Python 3.11): a log of digits must not cost a search that grows with its square.
NUMBER = r"(?i:[-+]?(?:(?:[0-9]++(?:_[0-9]++)*+(?:\.[0-9]*+)?+|\.[0-9]++)(?:e[-+]?[0-9]++)?+|nan|inf(?:inity)?+))"
NUMBER_ENDS = r"(?!\w)(?![.,]\d)"  # `0,5` and `1,234.5` are no numbers that Python prints: better none than a wrong one
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|out of memory|MemoryError|can't allocate memory|Cannot allocate memory", re.IGNORECASE
)
TAIL_BYTES = 64 * 1024
LAUNCHER_CONFIG = "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nmachine_rank: 0\n"

SECONDS = "seconds"  # of `[fidelity]`: what $COCKPIT_MAX_SECONDS tells the train stage

# cockpit's own, each a program of its own; what one asks, and is answered, stands in files beside it.
SCORERS = {
    "classification": Path(scoring.__file__),
    "regression": Path(scoring.__file__),
    "causal_lm": Path(language.__file__),
}
QUESTIONS, ANSWERS = "questions.jsonl", "answers.jsonl"

COMPILED = "compiled"  # in the study's folder, what compilers keep from run to run
PEAK = "peak_"  # begins the names of what is measured of memory: a compiler takes some
COMPILERS = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}


def names(settings: Settings) -> list[str]:
    """The stages that a study's runs have, in order."""
    return [name for name in STAGES if command(settings, name) is not None]


def command(settings: Settings, name: str) -> str | None:
    """What a stage runs. A scorer of cockpit's own lies in the scorer's folder, beside the labels (`lay_scorer`)."""
    if name == "score" and settings.run.scorer:
        program, labels = SCORERS[settings.run.scorer], f"labels{Path(settings.data.labels or '').suffix}"
        reads = ANSWERS if settings.run.scorer == "causal_lm" else "{output}"
        return f"python -I -S {program.name} {settings.run.scorer} {labels} {reads}"
    text: str | None = getattr(settings.run, name)
    return text


def lay_scorer(folder: Path, scorer: str, labels: Path) -> None:
    """Make the folder of a scorer of cockpit's own: its program, a link to the labels, and what it asks.

    Raises OSError, and language.Wrong where the text is not there any more as it was at the start.
    """
    folder.mkdir()
    shutil.copy(SCORERS[scorer], folder)
    (folder / f"labels{labels.suffix}").symlink_to(labels)
    if scorer == "causal_lm":
        (folder / QUESTIONS).write_text(language.questions(labels.read_bytes()))


def checkouts(settings: Settings) -> list[str]:
    """The folders of a run folder in which its stages run."""
    return list(dict.fromkeys(CHECKOUTS[name] for name in names(settings)))


class Launch(Struct, frozen=True):
    """How the commands of a study become processes: the same for all runs of a bench."""

    python: Path
    variables: dict[str, str]  # what Accelerate's launcher sets; empty without Accelerate
    launcher: bool = False  # whether the train stage goes through the launcher itself
    roots: tuple[str, ...] = ()  # of the repository, from which imports begin beside its own folder and `src`

    @property
    def how(self) -> str:
        """The way the train stage is launched, as the record names it."""
        return "accelerate launch" if self.launcher else "accelerate variables" if self.variables else "plain"


class Sets(Struct, frozen=True):
    """What the runs of a fidelity are given: loop/run/fidelity.py."""

    flags: tuple[str, ...] = ()  # after the train command
    constants: tuple[tuple[str, str, Value], ...] = ()  # file, name and value, in the checkout
    seconds: float | None = None  # of which the train stage is told


PLAIN = Sets()  # of a study with one fidelity


def environment(folder: Path, name: str) -> dict[str, str]:
    """The variables of a stage that runs in `folder/name`: a few of the user's, and a home of its own.

    The scorer's home is not the candidate's: Python runs code that it finds in a home.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ") or name.startswith("CUDA_")
    }
    return {
        **kept,
        "HOME": str(folder / f"{name}.home"),
        "TMPDIR": str(folder / f"{name}.tmp"),
        "PYTHONNOUSERSITE": "1",
        TAG: str(folder),
        "GIT_CEILING_DIRECTORIES": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(cores()),
        "MPLBACKEND": "Agg",
        "WANDB_MODE": "offline",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def commands(
    settings: Settings,
    study: Path,
    folder: Path,
    launch: Launch,
    wall: Wall,
    run: Run,
    commit: str,
    given: Mapping[str, Sequence[str]] = {},
    sets: Sets = PLAIN,
    divided: Mapping[str, Any] | None = None,
) -> list[Command]:
    """What the supervisor is to run, behind the wall. `study` is the study's folder, `folder` the run's.

    `given` are the words that the tree has for a stage, in `cockpit.args`: they stand behind the command and the seed.
    `divided` are the facts of the split, where that is not the study's present one.
    """
    values = {"output": str(folder / "output"), "seed": str(run.seed), "study": str(study)}
    split = carved.stands(study, settings.data, divided)
    if split and split.inputs:
        values["inputs"] = str(split.inputs)
    told = {"COCKPIT_SEED": str(run.seed), "COCKPIT_OUTPUT": values["output"], "COCKPIT_COMMIT": commit}
    found = []
    for name in names(settings):
        text = str(command(settings, name))
        if name == "train" and settings.run.seed is not None and not settings.run.seed_knob:
            text = f"{text} {settings.run.seed}"
        argv = [*(filled(word, values) for word in shlex.split(text)), *given.get(name, ())]
        argv += sets.flags if name == "train" else ()  # last, for there the last one counts
        under_accelerate = False
        if argv[0] in PYTHON:
            under_accelerate = name == "train"
            words = argv[1:]
            if name == "train" and says_what_it_loads(settings, run):
                words = shadow.told(words, folder)
            argv = [str(launch.python), *words]
            if under_accelerate and launch.launcher:
                argv[1:1] = [
                    "-m",
                    "accelerate.commands.launch",
                    "--config_file",
                    str(folder / "accelerate.yaml"),
                    *launcher_options(),
                ]
        where = folder / CHECKOUTS[name]
        begins = where if name == "score" and settings.run.scorer else where / settings.run.cwd
        own = launch.variables if under_accelerate else {}
        if name == "train" and sets.seconds is not None:
            own = {**own, "COCKPIT_MAX_SECONDS": f"{sets.seconds:g}"}
        # Before all else, so that the tree's own code shadows a package of the same name that is installed.
        places = [begins, begins / "src", where, where / "src", *(where / root for root in launch.roots)]
        roots = os.pathsep.join(dict.fromkeys(str(root) for root in places if root.is_dir()))
        if name == "predict" and "inputs" in values:
            own = {**own, "COCKPIT_INPUTS": values["inputs"]}
        env = {**environment(folder, where.name), **told, **own, "PYTHONPATH": roots}
        serves = name == "predict" and settings.run.scorer == "causal_lm"  # it reads what is sealed, to answer
        apart = name == "score" or serves or (name == "predict" and split)
        kept = {} if apart or not keeps_compiled(settings, run) else _compiled(study)
        env |= {variable: str(path) for variable, path in kept.items()}
        reads = [split.inputs] if split and split.inputs and name == "predict" else []
        score = name == "score"
        argv = wall.around(argv, folder, where, writes=[*kept.values()], reads=reads, scorer=score, begins=begins)
        looked_at = values["output"] if score else None
        leaves = values["output"] if name == "train" and costs.ARTIFACT in settings.quantities else None
        counts = artifact.places(settings, folder) if name == "train" else ()
        asked = None
        if serves:
            asked = str(folder / "scorer" / QUESTIONS), str(folder / "scorer" / ANSWERS)
        seconds, walled = settings.run.timeout, bool(wall)
        found.append(Command(name, argv, str(begins), env, seconds, walled, looked_at, leaves, counts, asked))
    return found


def says_what_it_loads(settings: Settings, run: Run) -> bool:
    """Whether a run is the first one of the unchanged code, which says from which files its modules were loaded.

    One alone, for it takes some milliseconds, in which no other is behind it.
    """
    return run.experiment == 0 and run.purpose == BASELINE and run.seed == next(seeds(settings.study.seed))


def keeps_compiled(settings: Settings, run: Run) -> bool:
    """Whether a run finds what earlier ones have compiled.

    Only where it is one of those for which an experiment is chosen: no run before it has a hand in what confirms, or in
    what that is compared with. And not where seconds or a peak of memory steer or are bounded, for the first run of
    all would take more than those after it.
    """
    if any(COSTS[Kind.TIME].search(name) or name.startswith(PEAK) for name in settings.needed):
        return False
    return run.purpose in CHOSEN


def _compiled(study: Path) -> dict[str, Path]:
    return {variable: study / COMPILED / name for variable, name in COMPILERS.items()}


def make_room(study: Path) -> None:
    """Make the folders of what is compiled, which a wall must find."""
    for path in _compiled(study).values():
        path.mkdir(parents=True, exist_ok=True)


def check(config: Path, settings: Settings, wall: Wall) -> None:
    """What `cockpit.toml` says must fit the wall, or that there is none. Raises ConfigError."""
    data, root = settings.data, config.parent
    kept = () if wall or not (data.carve or data.sealed) else data.read  # else nothing has to be kept apart
    reached = {lent: _reached(root, lent) for lent in kept}
    for path in data.carve.files if data.carve else ():
        for lent, ends in reached.items():
            if Path(path) != Path(lent) and _leads(root, lent, path, ends):
                raise ConfigError(
                    f"{config}: `[data] carve`: {path} lies in what `read` lends, where runs would see all of it: "
                    f"there is no wall ({wall.lack}); lend what lies beside it"
                )
    for path in data.sealed:
        if any(_leads(root, lent, path, ends) for lent, ends in reached.items()):
            raise ConfigError(
                f"{config}: `[data] sealed`: {path} lies in what `read` lends, where runs would see it: there is no "
                f"wall ({wall.lack}); lend what lies beside it"
            )
    for name in STAGES:
        word = shlex.split(getattr(settings.run, name) or "python")[0]
        program = None if word in PYTHON else shutil.which(word) if "/" not in word else word
        if program and Path(program).is_absolute() and wall.hides(Path(program)):
            raise ConfigError(
                f"{config}: `[run] {name}`: {program} is not there behind the wall, where runs see no home and no "
                "temporary folder of this machine: install it elsewhere, or for the study's interpreter and start it "
                "with `python -m`"
            )


def _reached(root: Path, lent: str) -> list[Path]:
    """Where what is lent lies, and whatever links in it lead to."""
    folder = root / os.path.expanduser(lent)  # noqa: PTH111  # as `bench.lent`
    return [one.resolve() for one in (folder, *folder.rglob("*")) if one == folder or one.is_symlink()]


def _leads(root: Path, lent: str, path: str, reached: Sequence[Path]) -> bool:
    """Whether a path of the repository lies in what is lent, or is reached from there, by way of links too."""
    return Path(path).is_relative_to(lent) or any((root / path).resolve().is_relative_to(one) for one in reached)


def filled(word: str, values: Mapping[str, str]) -> str:
    """A word of a command, with what its placeholders stand for."""
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], word)


def scripts(command: str, files: Iterable[str], cwd: str = ".") -> list[str]:
    """The files of the repository that a command names which is run in its folder `cwd`, as `name.py`, or `-m name`."""
    words = shlex.split(command)
    names = [after.replace(".", "/") + ".py" for word, after in pairwise(words) if word == "-m"]
    modules = [f"{root}{name}" for root in reached.roots(cwd) for name in names]
    known = set(files)
    return [path for path in [*(inside(cwd, word) for word in words), *modules] if path in known]


def inside(cwd: str, path: str) -> str:
    """A path from the repository's top on, of one that is meant from its folder `cwd` on."""
    return os.path.normpath(PurePosixPath(cwd, path))


def source(settings: Settings, stage: str, files: Iterable[str], exposed: str = "") -> Source:
    """How far a value that a stage prints can be trusted: a stage whose own file a proposal may edit only *reports*.

    What is scored on data that training may have seen is *evaluated*; `exposed` is what it has (`trust.exposed`).
    """
    best = STAGES[stage]
    if best is Source.SCORED and (exposed or not settings.data.sealed):
        best = Source.EVALUATED
    if stage == "score" and settings.run.scorer:
        return best
    named = scripts(getattr(settings.run, stage), files, settings.run.cwd)
    return best if named and not any(map(settings.touchable, named)) else Source.REPORTED


def trunks_own(settings: Settings, own: Mapping[str, str], trunks: Mapping[str, str]) -> dict[str, str | None]:
    """What trunk has of the files that no proposal may change, where a tree has another one; None where it has none."""
    paths = (path for path in {**own, **trunks} if not settings.touchable(path))
    return {path: trunks.get(path) for path in paths if own.get(path) != trunks.get(path)}


# --- what came of it -------------------------------------------------------------------------------------------------


def ended(run: Run, study: Path, settings: Settings, said: dict[str, Any]) -> Stage | None:
    """How a stage ended, from the supervisor's words about it; None while it has not."""
    if "ended_by" not in said:
        return None
    log = f"{run.folder}/{said['name']}.log"
    outcome, detail = _outcome(said, study / log, settings.run.timeout)
    if (said["name"], settings.run.scorer, said["exit_status"]) == ("score", "causal_lm", language.TAMPERED):
        outcome, detail = Outcome.TAMPERING, _last_line(tail(study / log))
    return Stage(
        name=said["name"],
        outcome=outcome,
        exit_status=said["exit_status"],
        started_at=said["started_at"],
        wall_seconds=said["wall_seconds"],
        cpu_seconds=said["cpu_seconds"],
        peak_bytes=said["peak_bytes"],
        log=log,
        detail=detail,
        energy_joules=said.get("energy_joules"),  # what an earlier version has left has none
        peak_device_bytes=said.get("peak_device_bytes"),
    )


def _outcome(said: dict[str, Any], log: Path, timeout_seconds: float) -> tuple[Outcome, str]:
    status = said["exit_status"]
    match said["ended_by"]:
        case "request":
            return Outcome.INTERRUPTED, ASKED_TO_END
        case "timeout":
            return Outcome.TIMEOUT, f"over its limit of {timeout_seconds:g} s"
        case "tampering":
            return Outcome.TAMPERING, _last_line(tail(log))
        case "log":
            return Outcome.CRASH, f"wrote more than {LOG_LIMIT_BYTES // 2**20} MiB to its log"
    if status == 0:
        return Outcome.OK, ""
    text = tail(log)
    if OUT_OF_MEMORY.search(text):
        return Outcome.OUT_OF_MEMORY, _last_line(text)
    how = f"exit status {status}" if status > 0 else f"killed by {_signal(-status)}"
    last = _last_line(text)
    return Outcome.CRASH, f"{how}: {last}" if last else how


def _signal(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def measured(
    study: Path,
    settings: Settings,
    stages: list[Stage],
    files: Iterable[str],
    told: Mapping[str, float] = {},
    found: Mapping[str, Found] = {},
    missing: Callable[[str, str], str] = lambda _, lack: lack,
    lacks: Mapping[str, str] = {},
    exposed: str = "",
) -> tuple[Outcome, str, list[Measurement]]:
    """What a run whose stages all ended well has measured, or why it counts as failed.

    `told` is what no stage has, and `lacks` why it has not; `found` is what stands where the objectives themselves say.
    `missing` says more of a quantity that is missing; `exposed` is which sealed data training has seen.
    """
    files = list(files)
    values: dict[str, Measurement] = {}
    spoken = [name for name in costs.looked_for(settings) if name not in found]
    for stage in stages:  # a later one is at least as trustworthy, and says it again more surely
        trust = source(settings, stage.name, files, exposed)
        for name, value in printed(study / stage.log, spoken).items():
            values[name] = Measurement(name, value, trust)
    for name, one in found.items():
        if one.value is not None:
            trust = source(settings, one.stage, files, exposed) if one.stage else Source.REPORTED
            values[name] = Measurement(name, one.value, trust)
    values.pop(PRICE, None)  # nobody can print what it costs
    values |= costs.worked_out(values, settings.prices)
    for name in costs.told(settings):  # nobody can print it
        values.pop(name, None)
    for name, value in costs.outside(stages, told).items():
        values[name] = Measurement(name, value, Source.MEASURED)

    if lacking := next((name for name in settings.needed if name not in values), None):
        lack = found[lacking].lack if lacking in found else lacks.get(lacking) or costs.missing(lacking, settings)
        return Outcome.NO_METRICS, missing(lacking, lack), []
    if wild := [name for name in settings.needed if not isfinite(values[name].value)]:
        return Outcome.DIVERGED, f"{wild[0]} is {values[wild[0]].value}", []
    return Outcome.OK, "", [values[one] for one in settings.quantities if one in values and isfinite(values[one].value)]


def line_of(names: Iterable[str]) -> str:
    """The pattern of a line `name: value`, with either as a group."""
    name = "|".join(map(re.escape, names))
    return rf"(?a)(?<![\w./-])(?P<name>{name})\s*:\s*(?P<value>{NUMBER}){NUMBER_ENDS}"


def printed(log: Path, names: Iterable[str]) -> dict[str, float]:
    """The last `name: value` that a log holds for each of these names."""
    pattern, found = re.compile(line_of(names)), dict[str, float]()
    if log.is_file():  # not one that the code under test has deleted, or made into something that never ends
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found |= {name: float(value) for name, value in pattern.findall(COLOUR.sub("", line))}
    return found


def tail(log: Path) -> str:
    """The end of a log; nothing where the code under test has deleted it."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
