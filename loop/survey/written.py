"""`cockpit.toml` from what was found: written anew, or what it adds to one that is there, whose own lines stay."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.space import declared
from loop.study import ConfigError, Revision, parse
from loop.survey.bounds import Bounds
from loop.survey.found import Survey
from loop.survey.spoken import Direction, Metric
from store.place import safe_name
from store.where import holds

HEAD = (
    "# Written by `cockpit init`. What is a guess says what it rests on: mend what you know better.\n"
    "# What stands behind a `#` is not in force. docs/trial.md has all keys.\n"
)
TABLES = ("study", "space", "space.knobs", "run", "data", "objectives", "fidelity")
BARE = re.compile(r"[A-Za-z0-9_-]+")


class Line(Struct, frozen=True):
    """A key of a table, its value as TOML, and what speaks for it."""

    table: str
    key: str
    value: str
    comment: str = ""
    held: bool = False  # only a comment

    def __str__(self) -> str:
        said = f"{'# ' if self.held else ''}{_key(self.key)} = {self.value}"
        return f"{said}  # {self.comment}" if self.comment else said


class Aim(Struct, frozen=True):
    """The objective that was chosen: the metric, which way is better, and what speaks for it."""

    metric: Metric
    direction: Direction
    evidence: str


def lines(survey: Survey, aim: Aim) -> list[Line]:
    """All that the file says, table by table."""
    return [line for line in _lines(survey, aim) if _sound(line.key) and _sound(line.value)]


def _lines(survey: Survey, aim: Aim) -> Iterator[Line]:
    if not safe_name(survey.root.name):
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", survey.root.name).strip("-_.") or "study"
        yield Line("study", "name", _text(name), "the folder's has a character that no branch has")
    verb = "Lower" if aim.direction == "minimize" else "Raise"
    yield Line("study", "goal", _text(f"{verb} {aim.metric.name}"), "what a model is told")
    if survey.editable:
        yield Line(
            "space",
            "edit",
            _list(survey.editable),
            "what a proposal may change: what trains; all the rest is protected",
        )
    for guess in survey.knobs:
        at = f"{guess.seen}" if guess.seen.line else guess.seen.path
        said = f"now {_value(guess.value)}, {at}" + (f"; {guess.held}" if guess.held else "")
        yield Line("space.knobs", guess.key, _bounds(guess.bounds), said, bool(guess.held))
    yield Line("run", "train", _text(_train(survey)), survey.train.evidence)
    if survey.seed.said is not None:
        yield Line("run", "seed", _text(survey.seed.said), survey.seed.evidence)
    if survey.timeout:
        yield Line("run", "timeout", _text(survey.timeout[0]), survey.timeout[1])
    if survey.python.named is not None:
        yield Line("run", "python", _text(survey.python.named), survey.python.evidence)
    for path in survey.evaluations:
        words = f"python {path} --ckpt {{output}}"
        yield Line("run", "eval", _text(words), f"{path} looks like an evaluation; say how it is called", held=True)
    if survey.lent:
        listed = "".join(f"    {_text(one.path)},  # {one.evidence}\n" for one in survey.lent)
        yield Line("data", "read", f"[\n{listed}]")
    yield Line("objectives", aim.metric.name, _objective(aim.metric, aim.direction), aim.evidence)
    for one in survey.metrics[:6]:
        if one.metric.name != aim.metric.name and one.metric.direction:
            said = _objective(one.metric, one.metric.direction, steers=False)
            yield Line("objectives", one.metric.name, said, one.evidence, held=True)
    for length in survey.lengths[:1]:
        if isinstance(length.value, int | float):
            said = f"{{ {_key(length.key)} = {max(1, int(length.value) // 4)} }}"
            yield Line(
                "fidelity",
                "quick",
                said,
                f"now {_value(length.value)}, {length.seen}: search on shorter runs",
                held=True,
            )
            yield Line("fidelity", "full", "{}", "and confirm on whole ones", held=True)


def text(every: Sequence[Line], survey: Survey) -> str:
    """A new file."""
    parts = [HEAD]
    for table in TABLES:
        own = [line for line in every if line.table == table]
        if table == "space" and not own and any(line.table == "space.knobs" for line in every):
            continue
        if not own:
            continue
        inert = all(line.held for line in own)
        head = f"{'# ' if inert else ''}[{table}]"
        if table == "space.knobs":
            head += "  # bounds are guesses"
        parts.append("\n".join([head, *map(str, own), *(f"# {note}" for note in _notes(table, survey))]) + "\n")
    return "\n".join(parts)


def _notes(table: str, survey: Survey) -> Iterator[str]:
    if table == "run":
        if survey.seed.said is None:
            yield survey.seed.evidence
        if survey.seed.note:
            yield survey.seed.note
        for seen in survey.resumes[:1]:
            yield f"{seen}: it can resume; each run begins in a fresh checkout, so there is nothing to resume from"


def mended(before: str, every: Sequence[Line], file: Path, *, train: bool) -> str:
    """A file that is there, with what it lacks: its own lines and comments stay.

    What it says is not changed, but for the train command where one was given, and what is lent, which is added. What
    stands in it behind a `#` was left out on purpose. Raises ConfigError where it cannot be used as it is.
    """
    import tomlkit
    from tomlkit.items import Array, InlineTable, KeyType, SingleKey

    settings = parse(before, file).settings
    document: Any = tomlkit.parse(before)
    there = document.unwrap()
    own = {"study", "objectives", *(["space"] if "space" in there else [])}  # are the user's as a whole
    for line in every:
        path = (*line.table.split("."), line.key)
        if line.held or line.table in own or re.search(rf"(?m)^\s*#\s*{re.escape(_key(line.key))}\s*=", before):
            continue
        value = tomlkit.value(line.value)
        if path == ("run", "train"):
            if train and settings.run.train != value.unwrap():
                document["run"]["train"] = value
        elif path == ("data", "read") and holds(there, path):
            listed = document["data"]["read"]
            lacks = [one for one in value.unwrap() if one not in listed.unwrap()]
            for one in lacks if isinstance(listed, Array) else ():
                listed.append(one)
        elif not holds(there, path):
            table = document
            for part in path[:-1]:
                if part not in table:
                    table[part] = tomlkit.table(is_super_table=part == "space" and path[1] == "knobs")
                table = table[part]
            if line.comment and not isinstance(table, InlineTable):
                value.comment(line.comment)
            table.append(SingleKey(line.key, KeyType.Basic if _key(line.key) != line.key else None), value)
    after = tomlkit.dumps(document)
    parse(after, file)
    return after


def checked(survey: Survey, aim: Aim, file: Path) -> tuple[Survey, Revision]:
    """The survey with the knobs that hold, and its file as it is read; those that do not are kept as comments."""
    files = {**survey.sources.python, **survey.sources.beside}
    knobs = list(survey.knobs)
    for number, guess in enumerate(knobs):
        if guess.held:
            continue
        alone = replace(survey, knobs=(guess,))
        paths = {*survey.reached, guess.key.partition(":")[0]}
        try:
            revision = parse(text(lines(alone, aim), alone), file)
            declared(revision.settings, str, {path: files[path] for path in paths & files.keys()}, survey.reached)
        except ConfigError as error:
            why = str(error).splitlines()[0]
            knobs[number] = replace(guess, held=why.partition('"`: ')[2] or why)
    survey = replace(survey, knobs=tuple(sorted(knobs, key=lambda one: bool(one.held))))
    return survey, parse(text(lines(survey, aim), survey), file)


# --- TOML ------------------------------------------------------------------------------------------------------------


def _train(survey: Survey) -> str:
    """The command, with the values of flags whose defaults stand where nobody could read them."""
    more = [f"{one.key}={_value(one.value)}" for one in survey.knobs if not one.held and not one.served]
    return " ".join([survey.train.text.replace("'{output}'", "{output}"), *more])


def _objective(metric: Metric, direction: str, *, steers: bool = True) -> str:
    parts = [f"direction = {_text(direction)}"]
    if metric.pattern is not None:
        parts.append(f"from = {{ pattern = {_pattern(metric.pattern)} }}")
    elif metric.file is not None:
        name = f", name = {_text(metric.key)}" if metric.key and metric.key != metric.name else ""
        parts.append(f"from = {{ file = {_text(metric.file)}{name} }}")
    if not steers:
        parts.append("steers = false")
    return f"{{ {', '.join(parts)} }}"


def _bounds(bounds: Bounds) -> str:
    said = (
        f"{key} = [{', '.join(map(_value, value))}]" if isinstance(value, tuple) else f"{key} = {_value(value)}"
        for key, value in bounds.items()
    )  # fmt: skip
    return f"{{ {', '.join(said)} }}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else str(value)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _text(value: str) -> str:
    """A string, as a basic one of TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _pattern(value: str) -> str:
    """A regular expression, without escapes of its own where that can be."""
    return f"'{value}'" if "'" not in value and value.isprintable() else _text(value)


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) and not key.startswith("-") else _text(key)


def _sound(said: str) -> bool:
    """Whether it can stand in a file of UTF-8: a path may hold bytes that cannot."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in said)
