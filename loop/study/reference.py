"""What may stand in `cockpit.toml`, key by key, as the types beside this file say: for a terminal and for the docs.

Nothing is said here that is not said there. What a key is for is the text below its field; what it takes follows from
its type, and each text is a line of TOML that the tests read.
"""

import ast
import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from loop.study import asked, runs, settings, spent
from loop.study.settings import Settings
from loop.study.table import Table, plain
from loop.study.values import SECONDS, SHARE, TIME, Takes

WIDTH = 78  # of a line of comment: a terminal has 80 columns
BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes
OF = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
BOUNDS = {  # by what pydantic calls them
    "ge": ", {} at least",
    "gt": " above {}",
    "le": ", {} at most",
    "lt": " below {}",
    "min_length": ", not empty",
}
Docs = Mapping[tuple[str, str], str]  # by the names of a class and of a field of it


class Key(Struct, frozen=True):
    """A key of a table. `default` is TOML, empty where `says` has what holds without the key; `example` is a line."""

    name: str
    says: str
    takes: str
    default: str
    required: bool
    example: str


class Section(Struct, frozen=True):
    """A table of the file, by its path, and its keys. Of `[objectives.val_loss]` the last part is an example."""

    path: tuple[str, ...]
    says: str
    keys: tuple[Key, ...]
    named: bool = False  # whether that last part is the user's to choose

    @property
    def header(self) -> str:
        """As it stands in the file."""
        return f"[{'.'.join(part if BARE.fullmatch(part) else json.dumps(part) for part in self.path)}]"


def sections() -> list[Section]:
    """The tables in the order of the types, each followed by those in it."""
    return list(_sections(Settings, (), _docs()))


def toml(section: Section) -> str:
    """A table with all its keys: a line each as it may stand in the file, below what is said of it as a comment."""
    blocks = [section.header]
    for key in section.keys:
        fact = " Required." if key.required else f" Default: {key.default}." if key.default else ""
        said = [*wrap(key.says, WIDTH - 2), *wrap(f"{_capital(key.takes)}.{fact}", WIDTH - 2)]
        blocks.append("\n".join([*(f"# {line}" for line in said), key.example]))
    return "\n\n".join(blocks) + "\n"


def text(chosen: list[Section]) -> str:
    """Those tables for a terminal."""
    said = ["".join(f"# {line}\n" for line in wrap(section.says, WIDTH - 2)) for section in chosen]
    return "\n".join(f"{says}{toml(section)}" for says, section in zip(said, chosen, strict=True))


def markdown(chosen: list[Section]) -> str:
    """Those tables for the docs: a part for each, one with a name of the user's below the table of such names."""
    parts = list[str]()
    for section in chosen:
        deep = "###" if len(section.path) == 1 else "####"
        title = f"Each of `[{'.'.join(section.path[:-1])}]`" if section.named else f"`{section.header}`"
        says = f"{section.says}\n\n" if section.says else ""
        parts.append(f"{deep} {title}\n\n{says}```toml\n{toml(section)}```\n")
    return "\n".join(parts)


def _sections(table: type[BaseModel], path: tuple[str, ...], docs: Docs, *, named: bool = False) -> Iterator[Section]:
    hints = get_type_hints(table, include_extras=True)
    keys, below = list[Key](), list[Section]()
    for name, field in table.model_fields.items():
        here, said = (*path, field.alias or name), docs.get((table.__name__, name), "")
        kind = plain(hints[name])
        if _is_table(kind):
            below += _sections(kind, here, docs)
        if get_origin(kind) is dict and _is_table(held := get_args(kind)[1]):
            each = _key(here[-1], field, hints[name], said)
            below.append(Section(here, "", (each,)))
            below += _sections(held, (*here, *tomllib.loads(each.example)), docs, named=True)
        elif said:
            keys.append(_key(here[-1], field, hints[name], said))
    if path:
        says = re.sub(r"^\[[^]]*\][^:]*: ", "", inspect.getdoc(table) or "")
        yield Section(path, _capital(says), tuple(keys), named)
    yield from below


def _key(name: str, field: FieldInfo, hint: Any, said: str) -> Key:
    says, _, example = said.rpartition("\n\n") if "\n\n" in said else (said, "", "")
    takes, default = _takes(hint, field.metadata), _default(field, hint)
    return Key(name, " ".join(says.split()), takes, default, field.is_required(), example or f"{name} = {default}")


def _docs() -> Docs:
    """The texts below the fields. Pydantic reads them too, for a quarter more of each start's time."""
    return {
        (node.name, field.target.id): inspect.cleandoc(said.value.value)
        for module in (asked, runs, settings, spent)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
        for field, said in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)
    }


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _takes(kind: Any, held: Sequence[Any] = ()) -> str:
    """How a value of this type is written, and what pydantic holds it to."""
    origin, parts, bounds = get_origin(kind), get_args(kind), _bounds(held)
    if origin is Annotated:
        found = [*held, *(one for part in parts[1:] if isinstance(part, FieldInfo) for one in part.metadata)]
        own = [part for part in parts[1:] if isinstance(part, Takes)]
        return f"{own[0].name}{_bounds(found)}: {own[0].form}" if own else _takes(parts[0], found)
    if origin is Literal:
        return _either([json.dumps(part) for part in parts])
    if origin is tuple:
        return f"a list{bounds}, of which each is {_takes(parts[0])}"
    if origin is dict:
        names = "names of your own" if parts[0] is str else f"keys of which each is {_takes(parts[0])}"
        values = "" if _is_table(parts[1]) else f"; each value is {_takes(parts[1])}"
        return f"a table{bounds}{',' if bounds else ''} with {names}{values}"
    if origin in (Union, UnionType):
        narrower = {NoneType, int} if float in parts else {NoneType}
        one, *more = (part for part in parts if part not in narrower)
        return _either([_takes(part) for part in (one, *more)]) + bounds if more else _takes(one, held)
    return ("a table" if _is_table(kind) else OF[kind]) + bounds


def _bounds(held: Sequence[Any]) -> str:
    """Between which bounds, of all that pydantic holds a value to."""
    said = {name: bound for one in held for name in BOUNDS if (bound := getattr(one, name, None)) is not None}
    if "ge" in said and "le" in said:
        return f" from {said['ge']} to {said['le']}"
    return "".join(BOUNDS[name].format(bound) for name, bound in said.items())


def _default(field: FieldInfo, hint: Any) -> str:
    """The default as TOML; empty where there is none, or it is empty or a table."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    if TIME in get_args(hint):
        unit = max((unit for unit, size in SECONDS.items() if value % size == 0), key=SECONDS.__getitem__)
        return f'"{value / SECONDS[unit]:g} {unit}"'
    if SHARE in get_args(hint):
        return f'"{100 * value:g} %"'
    return json.dumps(value)


def _either(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
