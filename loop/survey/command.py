"""The train command: as it was given, or the script of the repository that looks most like training."""

import ast
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from loop.propose.literals import called
from loop.run.interpreter import script_of
from loop.study import ConfigError
from loop.survey.sources import Seen, Sources

PYTHONS = re.compile(r"(.*/)?python(3(\.\d+)?)?")
# What starts a Python in an environment: a run has the interpreter itself, and no network to make environments with.
STARTERS = tuple((one, "run") for one in ("uv", "poetry", "pipenv", "pdm", "hatch", "pixi", "conda"))
WITH_VALUE = {"-n", "--name", "-p", "--prefix", "--with", "--extra", "--group", "--env-file"}
NAMES = re.compile(r"(^|_)(train|training|pretrain|finetune|fine_tune|fit)(_|$)")
LIKELY = re.compile(r"(^|_)(main|run|experiment|sft|dpo|learn)(_|$)")
NOT_TRAINING = re.compile(
    r"(^|[_/])(tests?|docs?|eval\w*|prepare|download|setup|conftest|bench\w*|sample|infer\w*|predict|score|plot\w*|utils?|examples?|configurator|config)(_|/|\.|$)"
)
MOST_NAMED = 12
TRAINS = ("backward", "fit", "train", "step", "partial_fit", "fit_one_cycle", "train_step")


class Train(Struct, frozen=True):
    """What trains: the words of the command, and the script of the repository that they start."""

    words: tuple[str, ...]
    script: str | None
    evidence: str
    typed: bool = True  # by the user, and not found
    cwd: str = "."  # the folder of the repository in which it is run
    cwd_evidence: str = ""
    notes: tuple[str, ...] = ()  # what was changed of what was given, and why
    python: str | None = None  # the path of an interpreter that was typed, from the repository's top on

    @property
    def text(self) -> str:
        """The command, as `[run] train` has it."""
        return shlex.join(self.words)


class Unclear(ConfigError):
    """What trains is not clear. The message says what there is, and what to type."""


class Several(Unclear):
    """Several scripts could be it."""

    def __init__(self, scripts: Sequence[str]) -> None:  # by their paths from where it was typed
        lines = "".join(f"\n  cockpit init -- python {path}" for path in scripts[:MOST_NAMED])
        super().__init__(f"{len(scripts)} scripts here look like training; say which one:{lines}")
        self.scripts = list(scripts[:MOST_NAMED])


def given(words: Sequence[str], sources: Sources, inside: str) -> Train:
    """The command that a user typed in a folder of the repository, `inside` it, where it is run. Raises Unclear.

    At the top it is run where it names a script from there on, or where nothing of the folder is committed.
    """
    rest, notes = list(words), []
    if tuple(rest[:2]) in STARTERS:
        starter = " ".join(rest[:2])
        rest = _after_options(rest[2:])
        notes.append(f"`{starter}` is left out: a run has the interpreter itself, and no network")
    if rest[:2] == ["accelerate", "launch"]:
        rest = ["python", *_after_options(rest[2:])]
        notes.append("`accelerate launch` is left out: cockpit sets what it sets, for one process")
    if rest and rest[0].endswith(".py"):
        rest = ["python", *rest]
        notes.append("`python` is put before the script: it is the study's interpreter")
    if not rest:
        raise Unclear("the command is empty: `cockpit init -- python train.py`")
    python = None
    if PYTHONS.fullmatch(rest[0]) and rest[0] not in ("python", "python3"):
        if "/" in rest[0]:
            python = os.path.normpath(PurePosixPath(inside, rest[0]))
            notes.append(f"`{rest[0]}` becomes `python`, and `[run] python` says which")
        else:
            notes.append(f"`{rest[0]}` becomes `python`, which is the study's interpreter")
        rest[0] = "python"
    place = _script_at(rest)
    script = None
    committed = any(path.startswith(inside) for path in sources.files)
    cwd = inside.rstrip("/") if inside and committed else "."
    if place is not None:
        word = rest[place]
        if rest[place - 1] == "-m" and place:
            script = sources.module(word, f"{inside}x.py", cwd)
        else:
            script = _inside(word, inside, sources)
            if script is None:
                there = ", ".join(path for path in sources.python if path.endswith(f"/{word}"))
                raise Unclear(
                    f"{word} is not committed, and what runs is what is committed: "
                    + (f"there is {there}" if there else f"`git add {word} && git commit`, or mend the name")
                )
            if script != os.path.normpath(PurePosixPath(inside, word)):
                cwd, rest[place] = ".", script
    typed = "where it was typed" if cwd != "." else ""
    return Train(tuple(rest), script, "as it was typed", notes=tuple(notes), cwd=cwd, cwd_evidence=typed, python=python)


def found(sources: Sources, inside: str) -> Train:
    """The script that looks most like training, from a folder of the repository on. Raises Unclear."""
    rated = sorted(_rated(sources, inside))
    if not rated:
        there = "there is no Python file in HEAD" if not sources.python else "no script here looks like training"
        raise Unclear(f"{there}: say what trains, as `cockpit init -- python train.py --epochs 3`")
    best = [entry for entry in rated if entry[0] == rated[0][0]]
    if len(best) > 1:
        raise Several([path.removeprefix(inside) for _, path, _, _ in best])
    _, path, line, why = best[0]
    words, cwd = ("python", path.removeprefix(inside)), inside.rstrip("/") or "."
    asked = "where `init` was asked" if inside else ""
    return Train(words, path, f"{Seen(path, line)}: {why}", typed=False, cwd=cwd, cwd_evidence=asked)


def _rated(sources: Sources, inside: str) -> list[tuple[tuple[int, int], str, int, str]]:
    """Each with how far back it belongs, the line that says that it trains, and what stands there."""
    found = []
    for path, tree in sources.trees.items():
        name = PurePosixPath(path).stem.lower()
        if not path.startswith(inside) or NOT_TRAINING.search(path.removeprefix(inside).lower()):
            continue
        started = next((node.lineno for node in tree.body if _starts(node)), None)
        trains = next(
            (
                (node.lineno, called(node))
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and called(node).rpartition(".")[2] in TRAINS
                and (called(node).count(".") or "train" in called(node))
            ),
            None,
        )
        named = 0 if NAMES.search(name) else 1 if LIKELY.search(name) else 2
        if started is None or (trains is None and named):
            continue
        line, why = (trains[0], f"`{trains[1]}(…)`") if trains else (started, "its name")
        found.append(((named + (trains is None), path.removeprefix(inside).count("/")), path, line, why))
    return found


def _starts(node: ast.stmt) -> bool:
    """Whether a statement at the top of a file does something when it is run."""
    match node:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case ast.For() | ast.While() | ast.With():
            return True
        case ast.Expr(value=ast.Call()):
            return not called(node.value).startswith(("logging.", "warnings.", "sys.", "torch."))
    return False


def _after_options(words: list[str]) -> list[str]:
    """The words from the program on."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        taken = rest.pop(0)
        if taken == "--":
            break
        if rest and (taken in WITH_VALUE or (not rest[0].startswith("-") and not _program(rest[0]))):
            rest.pop(0)
    return rest


def _program(word: str) -> bool:
    return word.endswith(".py") or bool(PYTHONS.fullmatch(word)) or word == "accelerate"


def _script_at(words: Sequence[str]) -> int | None:
    """Which word is the script, or the module after `-m`."""
    if not PYTHONS.fullmatch(words[0]):
        return next((number for number, word in enumerate(words) if word.endswith(".py")), None)
    return script_of(words)


def _inside(word: str, inside: str, sources: Sources) -> str | None:
    paths = (os.path.normpath(PurePosixPath(inside, word)), PurePosixPath(word).as_posix())
    return next((path for path in paths if path in sources.files), None)
