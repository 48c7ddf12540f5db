"""The question asked: `cockpit.toml`, read and checked. Every error names the file, the line, the key and the fix."""

import hashlib
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    field_validator,
    model_validator,
)

from store.place import no_toml, safe_name
from store.records import FULL, QUICK
from store.where import key, where

CHANGED_LINES, PRICE = "changed_lines", "price_per_million_items"  # what cockpit works out itself: loop/run/costs.py
IN_PYTHON = r"[^:]+\.py:[^\W\d]\w*(\.[^\W\d]\w*)*"
IN_DOCUMENT = r"[^:]+\.(yaml|yml|json|toml):\S(.*\S)?"
PLACE = rf"{IN_PYTHON}|{IN_DOCUMENT}"  # of a value in a file: loop/propose/places.py
FLAG = r"--[^\W\d_][\w.-]*"  # of the train command: loop/propose/arguments.py
KNOB = rf"{PLACE}|{FLAG}"
SEED = rf"{PLACE}|{IN_PYTHON}\(\)"  # or the number in a call: "train.py:torch.manual_seed()"
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


class ConfigError(Exception):
    """`cockpit.toml` cannot be used. The message holds a line for each thing to mend."""


def _seconds(value: object) -> object:
    match = re.fullmatch(rf"({PLAIN}) ?(s|min|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a time is a number and a unit in quotes: "90 s", "20 min", "10 h"')
    return float(match[1]) * SECONDS[match[2]]


def _effect(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(rf"({PLAIN}) ?%", value)
        if match is None:
            raise ValueError('an effect is a share in quotes, "0.2 %", or a plain number in the unit of the objective')
        return Effect(size=float(match[1]) / 100, relative=True)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0 or not isfinite(value):
            raise ValueError("an effect is a size: a finite number, and not below zero")
        return Effect(size=float(value), relative=False)
    return value


def _more_than_nothing(effect: "Effect") -> "Effect":
    if not effect.size:
        raise ValueError("what is worth something is more than zero; put an effect, or take it out")
    return effect


def _chance(value: object) -> object:
    match = re.fullmatch(rf"({PLAIN}) ?%", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a chance is a share in quotes: "5 %"')
    if not 0 < float(match[1]) < 100:
        raise ValueError("a chance is more than 0 % and less than 100 %")
    return float(match[1]) / 100


def units(name: str) -> dict[str, int]:
    """The units in which a quantity of this name may be written, each with its size; none where the name says none."""
    return UNITS.get(name.rpartition("_")[2], {})


def _in_own_unit(name: str, bound: object) -> object:
    """A bound in quotes as a number in the unit that the name of its quantity ends in; what cannot be, as it is."""
    match = re.fullmatch(rf"({PLAIN}) ?(\w+)", bound) if isinstance(bound, str) else None
    return float(match[1]) * units(name)[match[2]] if match and match[2] in units(name) else bound


def _bound(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(
            'a bound is a number in the unit of its quantity; in quotes it may be a size, as "16 GB" or "512 MiB", '
            'where the name ends in bytes, and a time, as "90 s" or "20 min", where it ends in seconds'
        )
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
    raise ValueError('what counts is "last", "min", "max" or, as an example, "mean of last 5"')


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
    if "{seed}" not in seed and not re.fullmatch(SEED, seed):
        raise ValueError(
            'it is words for train that hold {seed}, as "--seed {seed}", or a place: "train.py:SEED", '
            '"conf/base.yaml:seed", or the number in a call, "train.py:torch.manual_seed()"'
        )
    return seed


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in Path(path).parts or not path:
        raise ValueError("a path is relative to the repository and stays in it")
    return path


def _artifact(name: str) -> str:
    """The name of a file or a folder that train leaves, in its output or else in its checkout."""
    inside = _inside(name.removeprefix("{output}/"))
    if "**" in inside or set("{}") & set(inside) or not Path(inside).parts:
        raise ValueError(
            "it is the name of what train leaves in its output, or else in its checkout; `*` is a part of one"
        )
    return name


Tested = Annotated[str, _command("output", "seed")]  # a stage that runs the code under test
Trusted = Annotated[str, _command("output", "seed", "study")]  # the scorer may also be told where the study's folder is
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Pattern = Annotated[str, AfterValidator(_inside)]
Bound = Annotated[float, BeforeValidator(_bound), Field(allow_inf_nan=False)]


class Table(BaseModel):
    """A table of the file: its keys are these and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Effect(Table):
    """A size of effect: a share of the value, or an amount in the objective's own unit."""

    size: float = Field(ge=0)
    relative: bool


Worth = Annotated[Effect, BeforeValidator(_effect), AfterValidator(_more_than_nothing)]


class StopWhen(Table):
    """[study] stop_when: a study ends where a confirmed gain has become so unlikely."""

    chance: Annotated[float, BeforeValidator(_chance)] | None = None  # never, unless it is given
    within: Seconds = 2 * 3600.0  # as many experiments more as in the last while, so long


class Question(Table):
    """[study]: what is asked."""

    name: str | None = None
    goal: str = ""
    seed: int = Field(default=0, ge=0)
    preset: Literal["fast", "balanced", "strict"] = "balanced"
    worth: dict[str, Worth] = {}  # effects on objectives that are worth as much as each other
    stop_when: StopWhen = StopWhen()

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str | None) -> str | None:
        if name is not None and not safe_name(name):
            raise ValueError("a study's name holds letters, digits, - _ and . only: it becomes a part of branch names")
        return name


class Listed(Table):
    """A knob in `[space.knobs]`, by its place: two bounds, or a few choices."""

    low: int | float | None = None
    high: int | float | None = None
    scale: Literal["linear", "log"] = "linear"
    choices: tuple[bool | int | float | str, ...] | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _whole(self) -> "Listed":
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if len(bounds) != (2 if self.choices is None else 0):
            raise ValueError("a knob has `low` and `high`, or `choices`")
        return self


class Space(Table):
    """[space]: what a proposal may touch."""

    edit: tuple[Pattern, ...] = Field(default=(), strict=False)
    knobs: dict[str, Listed] = {}

    @field_validator("knobs")
    @classmethod
    def _places(cls, knobs: dict[str, Listed]) -> dict[str, Listed]:
        for name in knobs:
            if not re.fullmatch(KNOB, name):
                raise ValueError(
                    f'"{name}" is no place of a knob: `file.py:NAME`, `file.yaml:key.key` (.yaml, .yml, .toml, .json), '
                    "or `--flag` of the train command"
                )
        return knobs


class Commands(Table):
    """[run]: the commands of the stages, and how they are run."""

    train: Tested
    predict: Tested | None = None
    score: Trusted | None = None
    scorer: Literal["classification", "regression", "causal_lm"] | None = None  # cockpit's own, in the place of score
    eval: Tested | None = None  # in the place of predict and score
    artifact: Annotated[str, AfterValidator(_artifact)] | None = None  # of what train leaves, what counts
    seed: Annotated[str, _command("seed"), AfterValidator(_seed)] | None = None
    timeout: Seconds = 20 * 60.0
    python: str | None = None
    slots: int = Field(default=1, ge=1)  # of runs side by side
    stop_early: bool | None = None  # what loses; else where a run takes long

    @field_validator("slots")
    @classmethod
    def _one(cls, slots: int) -> int:
        if slots > 1:
            raise ValueError("this version of cockpit makes one run at a time; put 1, or take it out")
        return slots

    @property
    def seed_knob(self) -> tuple[str, str] | None:
        """The file and the name in it that hold the seed, where that is how it reaches train."""
        if self.seed is None or "{seed}" in self.seed:
            return None
        path, _, name = self.seed.partition(":")
        return path, name

    @model_validator(mode="after")
    def _pair(self) -> "Commands":
        if self.score is not None and self.scorer is not None:
            raise ValueError("score and scorer stand in the place of each other; take one out")
        if (self.predict is None) != (self.score is None and self.scorer is None):
            raise ValueError("predict goes together with score or scorer: it writes what is scored")
        if self.eval is not None and self.predict is not None:
            raise ValueError("eval stands in the place of predict and score; take it out, or those")
        return self


class Data(Table):
    """[data]: what is lent to whom."""

    read: tuple[str, ...] = Field(default=(), strict=False)  # for the run; in the repository, or anywhere
    sealed: tuple[str, ...] = Field(default=(), strict=False)  # for the scorer alone
    labels: str | None = None  # that a scorer of cockpit's own compares with: they are sealed, too

    @model_validator(mode="before")
    @classmethod
    def _keeps_labels(cls, table: Any) -> Any:
        """The labels are sealed, whether that is said of them or not."""
        labels = table.get("labels") if isinstance(table, dict) else None
        sealed = table.get("sealed", []) if isinstance(table, dict) else None
        if not isinstance(labels, str) or not isinstance(sealed, list) or not all(isinstance(s, str) for s in sealed):
            return table
        covered = any(Path(labels).is_relative_to(path) for path in sealed)
        return table if covered else {**table, "sealed": [*sealed, labels]}

    @field_validator("labels")
    @classmethod
    def _labels(cls, path: str | None) -> str | None:
        if path is not None:
            _inside(path.removeprefix("{study}/"))
        return path

    @field_validator("read")
    @classmethod
    def _lent(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            # A `~` of nobody's is a name.
            if not Path(os.path.expanduser(path)).is_absolute():  # noqa: PTH111
                _inside(path)
        return paths

    @field_validator("sealed")
    @classmethod
    def _places(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            _inside(path.removeprefix("{study}/"))
        return paths


class From(Table):
    """`from` of an objective: where its values stand, and which of them counts."""

    pattern: Annotated[str, AfterValidator(_searched)] | None = None  # in what a stage prints
    file: str | None = None  # that the code under test writes; `*` stands for a part of a name
    name: str | None = Field(default=None, min_length=1)  # of a column, a key or a tag; else the objective's own
    step: str | None = Field(default=None, min_length=1)  # of that of the steps; else as they are usually called
    take: Annotated[str, BeforeValidator(_take)] = "last"

    @field_validator("file")
    @classmethod
    def _known(cls, file: str | None) -> str | None:
        if file is None:
            return None
        inside = _inside(file.removeprefix("{output}/"))
        if "**" in inside or set("{}") & set(inside):
            raise ValueError(
                "a file is named from the checkout on, or begins with `{output}/`; `*` is a part of a name"
            )
        name = Path(inside).name
        if name != "wandb" and "tfevents" not in name and Path(name).suffix not in TABLES:
            raise ValueError(f"a file is one of {', '.join(TABLES)}, `events.out.tfevents.*`, or `wandb`, W&B's folder")
        return file

    @model_validator(mode="after")
    def _one(self) -> "From":
        if (self.pattern is None) == (self.file is None):
            raise ValueError("it has `pattern` or `file`: what is printed, or what is written")
        if self.pattern is not None and (self.name or self.step):
            raise ValueError("`name` and `step` are of a `file`; in a pattern, a step is a group `(?P<step>[0-9]+)`")
        return self

    @property
    def selects(self) -> bool:
        """Whether the best value counts, which is better than what a run comes to."""
        return self.take in ("min", "max")


class Objective(Table):
    """[objectives]: a quantity with a direction and the smallest effect that matters."""

    direction: Literal["minimize", "maximize"]
    smallest: Annotated[Effect | None, BeforeValidator(_effect)] = None
    give_up: Annotated[Effect | None, BeforeValidator(_effect)] = None
    scale: Literal["linear", "log"] | None = None  # else as its kind is: loop/judge/axis.py
    label: str | None = None
    unit: str | None = None
    deterministic: bool = False
    steers: bool = True
    source: From | None = Field(default=None, alias="from")  # else a line `name: value` of a stage


class Constraint(Table):
    """[constraints]: a bound that must hold of a quantity, or two, in the unit of the quantity."""

    max: Bound | None = None
    min: Bound | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Constraint":
        if self.max is None and self.min is None:
            raise ValueError("a constraint has `max`, `min`, or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("`min` is more than `max`, so that nothing could hold")
        return self


class Seeds(Table):
    """[seeds]: on how many an experiment is run."""

    baseline: int = Field(default=3, ge=2, le=20)
    race: int | None = Field(default=None, ge=2, le=20)  # at most; else the preset's
    confirm: int | None = Field(default=None, ge=1, le=20)  # fresh ones, at most; else the preset's


def _fixed(value: object) -> object:
    if isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    raise ValueError("a fidelity sets a finite number, a text in quotes, true or false")


Fixed = Annotated[bool | int | float | str, WrapValidator(lambda value, _: _fixed(value))]


class Fidelity(Table):
    """[fidelity]: what a run is given where it is to be quick, and where it is to be full."""

    quick: dict[str, Fixed] = Field(min_length=1)
    full: dict[str, Fixed] = {}

    @field_validator("quick", "full")
    @classmethod
    def _places(cls, given: dict[str, Fixed]) -> dict[str, Fixed]:
        for name, value in given.items():
            if name == "seconds":
                if isinstance(value, bool | str) or not 0 < value < float("inf"):
                    raise ValueError("`seconds` is a number above 0, of which $COCKPIT_MAX_SECONDS tells the script")
            elif not any(re.fullmatch(form, name) for form in (FLAG, KNOB, NAME)):
                raise ValueError(
                    f'"{name}" is nothing that can be set; put a flag, "--max_iters", a constant, '
                    '"train.py:MAX_STEPS", or its name alone, `max_steps`, or `seconds`'
                )
            elif value is False and re.fullmatch(FLAG, name):
                raise ValueError(f'"{name}" cannot be false: a flag is there or not; leave it out')
        return given

    @model_validator(mode="after")
    def _two(self) -> "Fidelity":
        if self.quick == self.full:
            raise ValueError("`quick` and `full` are the same; let `quick` do less, or take the table out")
        return self


class Budget(Table):
    """[budget]: what a study may spend. Running out ends it cleanly."""

    experiments: int | None = Field(default=None, ge=1)
    runs: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)  # read and written by the model
    time: Seconds | None = None
    device_hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # of all GPUs that a run holds
    money: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # in the currency of [prices]
    joules: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # of those GPUs, while stages run on them


class Prices(Table):
    """[prices]: what cockpit cannot measure."""

    device_hour: float | None = Field(default=None, gt=0, allow_inf_nan=False)  # of one device
    currency: str | None = Field(default=None, min_length=1)


class Model(Table):
    """[model]: which language model proposes, and how much."""

    name: str = Field(default="auto", min_length=1)  # of Ollama's; "auto", "embedded", "none", a GGUF file
    host: str | None = None  # else $OLLAMA_HOST, else this machine
    num_ctx: int = Field(default=4096, ge=2048, le=2**24)  # tokens; a prompt and its answers need so many
    timeout: Seconds = 120.0  # of one call
    share: float = Field(default=0.3, ge=0, le=1)  # of the proposals

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("a name holds no control character")
        return name

    @field_validator("host")
    @classmethod
    def _address(cls, host: str | None) -> str | None:
        if host is not None and not re.fullmatch(
            r"(https?://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/\S*)?", host
        ):
            raise ValueError('a host is an address as "http://127.0.0.1:11434"')
        return host


class Notify(Table):
    """[notify]: who is told of an offer, an end, an engine that died."""

    command: str | None = None

    @field_validator("command")
    @classmethod
    def _split(cls, command: str | None) -> str | None:
        try:
            if command is not None and (not shlex.split(command) or "\0" in command):
                raise ValueError("the command is empty, or holds a character that no command can hold")
        except ValueError as error:
            raise ValueError(f"no words of a command: {error}") from None
        return command


class Settings(Table):
    """The whole of `cockpit.toml`."""

    study: Question = Question()
    space: Space = Space()
    run: Commands
    data: Data = Data()
    objectives: dict[str, Objective] = Field(min_length=1)
    constraints: dict[str, Constraint] = {}
    seeds: Seeds = Seeds()
    fidelity: Fidelity | None = None
    budget: Budget = Budget()
    prices: Prices = Prices()
    model: Model = Model()
    notify: Notify = Notify()

    @model_validator(mode="before")
    @classmethod
    def _known_by_name(cls, tables: Any) -> Any:
        """What follows from the name of an objective: lines are counted, not sampled, and a price is in a currency."""
        objectives, prices = tables.get("objectives"), tables.get("prices")
        if not isinstance(objectives, dict):
            return tables
        currency = prices.get("currency") if isinstance(prices, dict) else None
        known = {CHANGED_LINES: {"deterministic": True, "unit": "lines"}, PRICE: {"unit": currency}}
        told = {
            name: {**known.get(name, {}), **table} if isinstance(table, dict) else table
            for name, table in objectives.items()
        }
        return {**tables, "objectives": told}

    @field_validator("objectives")
    @classmethod
    def _steered(cls, objectives: dict[str, Objective]) -> dict[str, Objective]:
        if not any(objective.steers for objective in objectives.values()):
            raise ValueError("no objective steers the study: leave `steers = false` out of one")
        return objectives

    @field_validator("constraints", mode="before")
    @classmethod
    def _in_own_units(cls, tables: object) -> object:
        if not isinstance(tables, dict):
            return tables
        return {
            name: {key: _in_own_unit(name, bound) for key, bound in table.items()} if isinstance(table, dict) else table
            for name, table in tables.items()
        }

    @property
    def steering(self) -> list[str]:
        """The objectives that steer, in the file's order."""
        return [name for name, objective in self.objectives.items() if objective.steers]

    @property
    def searched_at(self) -> str:
        """The fidelity of the runs by which experiments are chosen; what is confirmed is so by full ones."""
        return QUICK if self.fidelity else FULL

    @property
    def needed(self) -> list[str]:
        """What a good run has a value of: each objective that steers, and each quantity that is bounded."""
        return list(dict.fromkeys([*self.steering, *self.constraints]))

    @property
    def quantities(self) -> list[str]:
        """All that is looked for in a run: the objectives, and what is bounded besides."""
        return list(dict.fromkeys([*self.objectives, *self.constraints]))

    def touchable(self, path: str) -> bool:
        """Whether a proposal may change this file: all of it, or the knobs that are listed of it."""
        if path == ARGS:
            return any(name.startswith("--") for name in self.space.knobs)
        return self.editable(path) or any(name.startswith(f"{path}:") for name in self.space.knobs)

    def editable(self, path: str) -> bool:
        """Whether a proposal may change this file of the repository."""
        return path != ARGS and any(fnmatch(path, pattern) for pattern in self.space.edit)


class Revision(Table):
    """A text of `cockpit.toml` and what it says."""

    text: str
    settings: Settings

    @property
    def digest(self) -> str:
        """Names the text in the record."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(file: Path) -> Revision:
    """Read and check a `cockpit.toml`. Raises ConfigError."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error
    return parse(text, file)


def parse(text: str, file: Path) -> Revision:
    """Check the text of a `cockpit.toml`. Raises ConfigError, which names the file."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(no_toml(file, text, error)) from error
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        errors = [_sentence(file, text, problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
    else:
        errors = [f"{where(file, text, path)}: `{key(path)}` {what}" for path, what in _misfits(settings)]
    if errors:
        raise ConfigError("\n".join(errors))
    return Revision(text=text, settings=settings)


def _misfits(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys that do not fit the rest of the file, each with why, and what to do."""
    steering, worth = settings.steering, settings.study.worth
    for name in (settings.run.seed or "", *(word.partition("=")[0] for word in (settings.run.seed or "").split())):
        if name in settings.space.knobs:
            yield ("space", "knobs", name), "holds the seed, `[run] seed`; take it out of one of the two"
            break
    for fidelity, given in (
        [(QUICK, settings.fidelity.quick), (FULL, settings.fidelity.full)] if settings.fidelity else []
    ):
        for name in given:
            if name in settings.space.knobs:
                yield ("fidelity", fidelity, name), "is a knob of `[space.knobs]` too; take it out of one of the two"
            if name == settings.run.seed or name in (settings.run.seed or "").replace("=", " ").split():
                yield ("fidelity", fidelity, name), "is the seed's, `[run] seed`; take it out"
    if worth and len(steering) < 2:
        yield ("study", "worth"), f"weighs objectives against each other, and {steering[0]} alone steers; take it out"
    for name in worth if len(steering) > 1 else ():
        if name not in settings.objectives:
            yield ("study", "worth", name), f"is no objective of this study; put one of {', '.join(steering)}"
        elif name not in steering:
            yield (
                ("study", "worth", name),
                "does not steer, so nothing is decided by it; take it out, or its `steers = false`",
            )
    if len(worth) == 1 and len(steering) > 1 and not worth.keys() - set(steering):
        others = ", ".join(name for name in steering if name not in worth)
        yield ("study", "worth"), f"says nothing with one objective alone; put what is worth as much: {others}"
    sizes: dict[tuple[str, ...], Effect | None] = {("study", "worth", CHANGED_LINES): worth.get(CHANGED_LINES)}
    if lines := settings.objectives.get(CHANGED_LINES):
        if lines.scale == "log":
            yield (
                ("objectives", CHANGED_LINES, "scale"),
                'cannot be "log": the baseline changes none, of which there is no logarithm; take it out',
            )
        sizes |= {("objectives", CHANGED_LINES, name): getattr(lines, name) for name in ("smallest", "give_up")}
    for path, effect in sizes.items():
        if effect and effect.relative:
            yield path, "is a number of lines, as 20: the baseline changes none, of which there is no share"
    if settings.budget.money is not None and settings.prices.device_hour is None:
        yield (
            ("budget", "money"),
            "needs what an hour of a device costs: put `[prices] device_hour = 2.50`, or take it out",
        )
    if settings.run.scorer and settings.data.labels is None:
        yield ("run", "scorer"), 'needs what to compare with: put `[data] labels = "{study}/labels.csv"`'
    if settings.data.labels is not None and not settings.run.scorer:
        yield ("data", "labels"), "are those of a `[run] scorer`; of a `score` put `sealed` in its place"
    if PRICE in settings.quantities and settings.prices.device_hour is None:
        place = "objectives" if PRICE in settings.objectives else "constraints"
        yield (place, PRICE), "needs what an hour of a device costs: put `[prices] device_hour = 2.50`, or take it out"


def _sentence(file: Path, text: str, loc: tuple[int | str, ...], kind: str, message: str) -> str:
    path = tuple(part for part in loc if isinstance(part, str))
    at = where(file, text, path)
    message = message.removeprefix("Value error, ")
    if kind == "missing":
        message = "is missing; the smallest file has `[run] train` and one objective"
        if path[0] == "fidelity":
            message = "is missing; put what lets a run do less, as `quick = { max_steps = 500 }`"
    elif kind == "extra_forbidden":
        message = "is not a key that cockpit knows; docs/trial.md lists them"
    elif kind == "too_short":
        message = 'holds no objective; put one, as `val_loss = { direction = "minimize" }`'
        if path[0] == "fidelity":
            message = "sets nothing; put what lets a run do less, as `quick = { max_steps = 500 }`"
    elif kind in ("model_type", "dict_type"):
        message = "it is a table, `{ key = value }`; docs/trial.md lists its keys"
    else:
        message = f"{message[0].lower()}{message[1:]}"
    return (
        f"{at}: `{key(path)}` {message}"
        if kind in ("missing", "extra_forbidden", "literal_error", "too_short")
        else f"{at}: `{key(path)}`: {message}"
    )
