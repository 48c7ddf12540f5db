"""How a value of `cockpit.toml` is written: a time, an effect, a bound, a command, a path. Its error says so."""

import os
import re
import shlex
from math import isfinite
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator

IN_PYTHON = r"[^:]+\.py:[^\W\d]\w*(\.[^\W\d]\w*)*"
IN_DOCUMENT = r"[^:]+\.(yaml|yml|json|toml):\S(.*\S)?"
IN_CALL = rf"{IN_PYTHON}\(([^\W\d]\w*)?\)"  # a keyword argument, or the one number that there is
PLACE = rf"{IN_PYTHON}|{IN_CALL}|{IN_DOCUMENT}"  # of a value in a file: loop/propose/places.py
FLAG = r"--[^\W\d_][\w.-]*"  # of the train command: loop/propose/arguments.py
KNOB = rf"{PLACE}|{FLAG}"
NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"  # of a constant, wherever it stands
ARGS = "cockpit.args"  # the tracked file that holds the flags
PLAIN = r"[0-9]+\.?[0-9]*|\.[0-9]+"
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
TABLES = (".csv", ".tsv", ".json", ".jsonl")  # the files that a metric may stand in, by how their names end
UNITS = {"seconds": SECONDS, "bytes": BYTES}  # in which a bound may be written, by how the name of its quantity ends


class Takes(NamedTuple):
    """What a value is called, and how it is written: said in an error, and of each key that takes one."""

    name: str
    form: str

    def __str__(self) -> str:
        return f"{self.name} is {self.form}"


TIME = Takes("a time", 'a number and a unit in quotes, as "90 s", "20 min", "10 h", "2 d"')
EFFECT = Takes("an effect", 'a share in quotes, as "0.2 %", or a plain number in the unit of the objective')
CHANCE = Takes("a chance", 'a share in quotes, as "5 %"')
SHARE = Takes("a share", 'in quotes, as "20 %", more than 0 % and at most 50 %')
DIVIDED = Takes("a file", "in the repository, committed or not; a folder of class folders ends in /")
LABEL = Takes("a label", "the name of a column, its number where there are no names, or the file of an array's labels")
BOUND = Takes(
    "a bound",
    f'a number in the unit of its quantity; in quotes it may be a size, as "16 GB" or "512 MiB" ({", ".join(BYTES)}), '
    'where the name ends in bytes, and a time, as "90 s" or "20 min", where it ends in seconds',
)
COUNTS = Takes("what counts", '"last", "min", "max" or, as an example, "mean of last 5"')
PATH = Takes("a path", "relative to the repository, and inside it")
ANYWHERE = Takes("a path", "in the repository and relative to it, or anywhere else: absolute, or from ~ on")
SEALED = Takes("a path", "relative to the repository, and inside it, or in the study's folder: `{study}/labels`")
SEEDED = Takes(
    "the seed",
    'words for train that hold {seed}, as "--seed {seed}", or a place: "train.py:SEED", '
    '"conf/base.yaml:seed", or the number in a call, "train.py:torch.manual_seed()"',
)
PLACES = Takes(
    "a place",
    "`file.py:NAME`, `file.py:call(argument)`, `file.yaml:key.key` (.yaml, .yml, .toml, .json), "
    "or `--flag` of the train command",
)
FIXED = Takes("what a fidelity sets", "a finite number, a text in quotes, true or false")
LEAVES = Takes(
    "what counts",
    "the name of what train leaves in its output, or else in its checkout; `*` is a part of one",
)
WRITES = Takes("a file", f"one of {', '.join(TABLES)}, `events.out.tfevents.*`, or `wandb`, W&B's folder")
FINDS = Takes("a pattern", "a regular expression with the value in its one group, or in one called `value`")


class Effect(BaseModel):
    """A size of effect: a share of the value, or an amount in the objective's own unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    size: float = Field(ge=0)
    relative: bool


def _seconds(value: object) -> object:
    match = re.fullmatch(rf"({PLAIN}) ?(s|min|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(str(TIME))
    return float(match[1]) * SECONDS[match[2]]


def _effect(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(rf"({PLAIN}) ?%", value)
        if match is None:
            raise ValueError(str(EFFECT))
        return Effect(size=float(match[1]) / 100, relative=True)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0 or not isfinite(value):
            raise ValueError("an effect is a size: a finite number, and not below zero")
        return Effect(size=float(value), relative=False)
    if not isinstance(value, Effect):
        raise ValueError(str(EFFECT))
    return value


def _more_than_nothing(effect: Effect) -> Effect:
    if not effect.size:
        raise ValueError("what is worth something is more than zero; put an effect, or take it out")
    return effect


def _share(value: object) -> object:
    match = re.fullmatch(rf"({PLAIN}) ?%", value) if isinstance(value, str) else None
    if match is None or not 0 < float(match[1]) <= 50:
        raise ValueError(str(SHARE))
    return float(match[1]) / 100


def _chance(value: object) -> object:
    match = re.fullmatch(rf"({PLAIN}) ?%", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(str(CHANCE))
    if not 0 < float(match[1]) < 100:
        raise ValueError("a chance is more than 0 % and less than 100 %")
    return float(match[1]) / 100


def units(name: str) -> dict[str, int]:
    """The units in which a quantity of this name may be written, each with its size; none where the name says none."""
    return UNITS.get(name.rpartition("_")[2], {})


def in_own_unit(name: str, bound: object) -> object:
    """A bound in quotes as a number in the unit that the name of its quantity ends in; what cannot be, as it is."""
    match = re.fullmatch(rf"({PLAIN}) ?(\w+)", bound) if isinstance(bound, str) else None
    return float(match[1]) * units(name)[match[2]] if match and match[2] in units(name) else bound


def _bound(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(str(BOUND))
    return value


def _command(*placeholders: str) -> AfterValidator:
    """A command that can be split into words and holds no placeholder but these."""

    def check(command: str) -> str:
        unknown = set(re.findall(r"\{(\w+)\}", command)) - set(placeholders)
        if unknown:
            known = " and ".join(f"{{{name}}}" for name in placeholders)
            raise ValueError(f"{{{min(unknown)}}} does not stand for anything here; it may hold {known}")
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"the command cannot be split into words: {error}") from None
        if not words or "\0" in command:
            raise ValueError("the command is empty, or holds a character that no command can hold")
        return command

    return AfterValidator(check)


def _take(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"last|min|max|mean of last [1-9][0-9]{0,3}", value):
        return value
    raise ValueError(str(COUNTS))


def _searched(pattern: str) -> str:
    """A pattern that finds one value."""
    try:
        found = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    if set(found.groupindex) - {"value", "step"}:
        raise ValueError("a group may be called `value` or `step`, as in `(?P<step>[0-9]+)`")
    if "value" not in found.groupindex and (found.groups != 1 or found.groupindex):
        raise ValueError("put the value in parentheses, and nothing else: `val loss ([0-9.]+)`")
    return pattern


def _seed(seed: str) -> str:
    """How the seed reaches train: words for its command, or a place in a file."""
    if "{seed}" not in seed and not re.fullmatch(PLACE, seed):
        raise ValueError(f"it is {SEEDED.form}")
    return seed


def inside(path: str) -> str:
    """A path in the repository, as it was given. Raises ValueError."""
    if path.startswith("/") or ".." in Path(path).parts or not path:
        raise ValueError(str(PATH))
    return path


def _folder(path: str) -> str:
    return PurePosixPath(inside(path)).as_posix()


def _divided(path: str) -> str:
    return f"{os.path.normpath(inside(path))}{'/' * path.endswith('/')}"


def _artifact(name: str) -> str:
    """The name of a file or a folder that train leaves, in its output or else in its checkout."""
    within = inside(name.removeprefix("{output}/"))
    if "**" in within or set("{}") & set(within) or not Path(within).parts:
        raise ValueError(f"it is {LEAVES.form}")
    return name


def _fixed(value: object) -> object:
    if isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError(f"a fidelity sets {FIXED.form}")


def _lent(path: str) -> str:
    # A `~` of nobody's is a name.
    return path if Path(os.path.expanduser(path)).is_absolute() else inside(path)  # noqa: PTH111


def _sealed(path: str) -> str:
    inside(path.removeprefix("{study}/"))
    return path


def _written(file: str) -> str:
    """The name of a file that the code under test writes, and a metric stands in."""
    within = inside(file.removeprefix("{output}/"))
    if "**" in within or set("{}") & set(within):
        raise ValueError("a file is named from the checkout on, or begins with `{output}/`; `*` is a part of a name")
    name = Path(within).name
    if name != "wandb" and "tfevents" not in name and Path(name).suffix not in TABLES:
        raise ValueError(str(WRITES))
    return file


Tested = Annotated[  # a stage that runs the code under test
    str, _command("output", "seed"), Takes("a command", "words in quotes, in which {output} and {seed} may stand")
]
Asked = Annotated[  # predict is also told where the rows are that are scored
    str,
    _command("output", "seed", "inputs"),
    Takes("a command", "words in quotes, in which {output}, {seed} and {inputs} may stand"),
]
Trusted = Annotated[  # the scorer may also be told where the study's folder is
    str,
    _command("output", "seed", "study"),
    Takes("a command", "words in quotes, in which {output}, {seed} and {study} may stand"),
]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0), TIME]
Pattern = Annotated[str, AfterValidator(inside), PATH]
Bound = Annotated[float, BeforeValidator(_bound), Field(allow_inf_nan=False), BOUND]
Chance = Annotated[float, BeforeValidator(_chance), CHANCE]
Amount = Annotated[Effect, BeforeValidator(_effect), EFFECT]
Worth = Annotated[Amount, AfterValidator(_more_than_nothing)]
Fixed = Annotated[bool | int | float | str, WrapValidator(lambda value, _: _fixed(value)), FIXED]
Folder = Annotated[str, AfterValidator(_folder), PATH]
Divided = Annotated[str, AfterValidator(_divided), DIVIDED]
Label = Annotated[str | int | None, LABEL]
Share = Annotated[float, BeforeValidator(_share), SHARE]
Seeded = Annotated[str, _command("seed"), AfterValidator(_seed), SEEDED]
Left = Annotated[str, AfterValidator(_artifact), LEAVES]
Lent = Annotated[str, AfterValidator(_lent), ANYWHERE]
Sealed = Annotated[str, AfterValidator(_sealed), SEALED]
Found = Annotated[str, AfterValidator(_searched), FINDS]
Written = Annotated[str, AfterValidator(_written), WRITES]
Counting = Annotated[str, BeforeValidator(_take), COUNTS]
