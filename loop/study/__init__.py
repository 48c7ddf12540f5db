"""The question asked: `cockpit.toml`, read and checked. Every error names the file, the line, the key and the fix."""

import hashlib
import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from loop.study.asked import Constraint, From, Listed, Objective, Question
from loop.study.runs import Carve, Commands, Data
from loop.study.settings import CHANGED_LINES, PRICE, Settings, misfits
from loop.study.spent import Budget, Model, Prices
from loop.study.table import Table, keys
from loop.study.values import ARGS, FLAG, PLACE, TABLES, Effect, units
from store.place import no_toml
from store.where import key, meant, where

__all__ = [
    "ARGS",
    "CHANGED_LINES",
    "FLAG",
    "PLACE",
    "PRICE",
    "TABLES",
    "Budget",
    "Carve",
    "Commands",
    "ConfigError",
    "Constraint",
    "Data",
    "Effect",
    "From",
    "Listed",
    "Model",
    "Objective",
    "Prices",
    "Question",
    "Revision",
    "Settings",
    "parse",
    "read",
    "units",
]
LISTED = "cockpit config"  # lists the keys of a table: loop/study/reference.py


class ConfigError(Exception):
    """`cockpit.toml` cannot be used. The message holds a line for each thing to mend."""


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
        found = dict.fromkeys(
            _sentence(file, text, *_meant(problem["loc"], problem["type"], problem["msg"], problem["input"]))
            for problem in error.errors()
        )
        errors = [*found]
    else:
        errors = [f"{where(file, text, path)}: `{key(path)}` {what}" for path, what in misfits(settings)]
    if errors:
        raise ConfigError("\n".join(errors))
    return Revision(text=text, settings=settings)


def _meant(loc: tuple[int | str, ...], kind: str, said: str, value: object) -> tuple[tuple[int | str, ...], str, str]:
    """Where a value has not the kind that is asked: what may stand there. Of several, an error of each is told once."""
    if kind == "tuple_type":
        return (
            loc,
            kind,
            f"it is a list, `{json.dumps([value if isinstance(value, str) else '…'], ensure_ascii=False)}`",
        )
    if loc[-1] in ("str", "int") and kind.startswith(("string_", "int_")):
        return loc[:-1], "string_type", "it is a text in quotes, or a whole number"
    return loc, kind, "it is a text, in quotes" if kind == "string_type" else said


def _sentence(file: Path, text: str, loc: tuple[int | str, ...], kind: str, message: str) -> str:
    path = tuple(part for part in loc if isinstance(part, str))
    at = where(file, text, path)
    message = message.removeprefix("Value error, ")
    if kind == "missing":
        message = "is missing; the smallest file has `[run] train` and one objective"
        if path[-2:] == ("carve", "file"):
            message = 'is missing; put the file that is divided, as `file = "data/train.csv"`'
        if path[0] == "fidelity":
            message = "is missing; put what lets a run do less, as `quick = { max_steps = 500 }`"
    elif kind == "extra_forbidden":
        known = keys(Settings, path[:-1])
        message = f"is not a key that cockpit knows; {meant(path[-1], known)}: `{LISTED} {path[0]}` lists them"
        if len(path) == 1:
            message = f"is not a table that cockpit knows; {meant(path[0], known)}: `{LISTED} cockpit.toml` lists them"
    elif kind == "too_short":
        message = 'holds no objective; put one, as `val_loss = { direction = "minimize" }`'
        if path[0] == "fidelity":
            message = "sets nothing; put what lets a run do less, as `quick = { max_steps = 500 }`"
    elif kind in ("model_type", "dict_type"):
        message = f"it is a table, `{{ key = value }}`; `{LISTED} {path[0]}` lists its keys"
    else:
        message = f"{message[0].lower()}{message[1:]}"
    return (
        f"{at}: `{key(path)}` {message}"
        if kind in ("missing", "extra_forbidden", "literal_error", "too_short")
        else f"{at}: `{key(path)}`: {message}"
    )
