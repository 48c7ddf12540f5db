"""`cockpit.toml` from what was found: written anew, or what it adds to one that is there, whose own lines stay."""

import json
import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.space import declared
from loop.study import ConfigError, Revision, Settings, parse
from loop.survey.bounds import Bounds
from loop.survey.command import given
from loop.survey.found import Survey
from loop.survey.interpreter import TYPED
from loop.survey.sources import Sources
from loop.survey.spoken import Direction, Metric
from store.place import safe_name
from store.where import holds

HEAD = (
    "# Written by `cockpit init`. What is a guess says what it rests on: mend what you know better.\n"
    "# What stands behind a `#` is not in force. `cockpit config cockpit.toml` says what may stand here.\n"
)
TABLES = ("study", "space", "space.knobs", "run", "data", "objectives", "fidelity")
SHOWN = "train_seconds"  # what quality is drawn against where nothing else is, for it can always be measured
# A second objective that steers takes power from the first: of real changes of 2 sigma .50 are found, in place of .68.
COSTS = {
    SHOWN: "measured, and what {} is drawn against. Without `steers = false` what is faster at a small loss is "
    "offered too, and fewer gains are found",
    "peak_memory_bytes": "the same of memory; of a GPU's it is peak_device_memory_bytes",
}
MOST_SHOWN = 4  # metrics besides the objective
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
    if survey.train.cwd != ".":
        yield Line("run", "cwd", _text(survey.train.cwd), survey.train.cwd_evidence)
    if survey.seed.said is not None:
        yield Line("run", "seed", _text(survey.seed.said), survey.seed.evidence)
    if survey.timeout:
        yield Line("run", "timeout", _text(survey.timeout[0]), survey.timeout[1])
    if survey.python.named is not None:
        yield Line("run", "python", _text(survey.python.named), survey.python.evidence)
    for path in survey.evaluations:
        words = f"python {shlex.quote(os.path.relpath(path, survey.train.cwd))} --ckpt {{output}}"
        yield Line("run", "eval", _text(words), f"{path} looks like an evaluation; say how it is called", held=True)
    if survey.lent:
        listed = "".join(f"    {_text(one.path)},  # {one.evidence}\n" for one in survey.lent)
        yield Line("data", "read", f"[\n{listed}]")
    yield Line("objectives", aim.metric.name, _objective(aim.metric, aim.direction), aim.evidence)
    shown = [one for one in survey.metrics if one.metric.direction and one.metric.name != aim.metric.name]
    names = {aim.metric.name, *(one.metric.name for one in shown)}
    for cost, why in COSTS.items():
        if cost not in names:
            said = _objective(Metric(cost), "minimize", steers=False)
            yield Line("objectives", cost, said, why.format(aim.metric.name), held=cost != SHOWN)
    for one in shown[:MOST_SHOWN]:
        assert one.metric.direction is not None
        said = _objective(one.metric, one.metric.direction, steers=False)
        yield Line("objectives", one.metric.name, said, f"{one.evidence}; recorded and shown")
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


def scored(every: Sequence[Line], drafted: Sequence[Line]) -> list[Line]:
    """The lines with those that make a study *scored*; what was only reported does not steer beside them."""
    aims = [line for line in drafted if line.table == "objectives"]
    if not aims:
        return [*every, *drafted]
    verb = "Lower" if "minimize" in aims[0].value else "Raise"
    kept = [line for line in map(_reported, every) if line.table != "objectives" or line.key != aims[0].key]
    goals = [replace(line, value=_text(f"{verb} {aims[0].key}")) if line.key == "goal" else line for line in kept]
    goals = [
        replace(line, comment=COSTS[line.key].format(aims[0].key))
        if line.table == "objectives" and line.key in COSTS and "steers = false" in line.value
        else line
        for line in goals
    ]
    return [*aims, *goals, *(line for line in drafted if line not in aims)]


def _reported(line: Line) -> Line:
    if line.table != "objectives" or "steers = false" in line.value:
        return line
    return replace(line, value=line.value.removesuffix(" }") + ", steers = false }", held=True)


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


def mended(before: str, every: Sequence[Line], file: Path, *, train: bool, gone: Collection[str] = ()) -> str:
    """A file that is there, with what it lacks: its own lines and comments stay.

    What it says is not changed, but for the train command and its folder where one was given, and what is lent: that is
    added, and what is `gone` is taken out. What stands in it behind a `#` was left out on purpose. Raises ConfigError
    where it cannot be used as it is.
    """
    import tomlkit
    from tomlkit.items import Array, InlineTable, KeyType, SingleKey

    settings = parse(before, file).settings
    adds = {line.key for line in every if line.table == "run"} & {"scorer"}  # then its objective too
    document: Any = tomlkit.parse(before)
    there = document.unwrap()
    own = {"study", "objectives", *(["space"] if "space" in there else [])}  # are the user's as a whole
    if train:
        _moved(document["run"], {line.key: line for line in every if line.table == "run"}, settings.run.cwd)
    for line in every:
        path = (*line.table.split("."), line.key)
        if path in (("run", "train"), ("run", "cwd")):
            continue
        asked = adds and line.table == "objectives" and not settings.run.scorer
        if (
            line.held
            or (line.table in own and not asked)
            or re.search(rf"(?m)^\s*#\s*{re.escape(_key(line.key))}\s*=", before)
        ):
            continue
        value = tomlkit.value(line.value)
        if path == ("data", "read") and holds(there, path):
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
    if holds(there, ("data", "read")) and isinstance(listed := document["data"]["read"], Array):
        for one in gone:
            if one in listed.unwrap():
                listed.remove(one)
    after = tomlkit.dumps(document)
    parse(after, file)
    return after


def _moved(run: Any, by: Mapping[str, Line], folder: str) -> None:
    """The command that was given, with the folder that it is run in: the one means nothing without the other."""
    import tomlkit

    if "train" not in by:
        return
    train, cwd = tomlkit.value(by["train"].value), tomlkit.value(by["cwd"].value) if "cwd" in by else None
    where = cwd.unwrap() if cwd is not None else "."
    if (run["train"], folder) != (train.unwrap(), where):
        run["train"] = train
        if cwd is not None:
            run["cwd"] = cwd
        elif "cwd" in run:
            del run["cwd"]
    if "python" in by and by["python"].comment == TYPED:
        run["python"] = tomlkit.value(by["python"].value)


def script_of(settings: Settings, sources: Sources) -> str | None:
    """The script that a study trains by; None where that is none of these files."""
    try:
        words, inside = command_of(settings)
        return given(words, sources, inside).script
    except (ConfigError, ValueError):
        return None


def command_of(settings: Settings) -> tuple[list[str], str]:
    """The words of a study's train command, and the folder in which they are typed: `sub/`."""
    return shlex.split(settings.run.train), "" if settings.run.cwd == "." else f"{settings.run.cwd}/"


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
