"""The search space: which knobs there are, and how the value of one is read and set.

A knob stands where its value does, as an annotated constant of an editable Python file,

    RATE = 3e-4  # cockpit: 1e-5..1e-2 log        DEPTH = 4  # cockpit: 1..12        MODE = "a"  # cockpit: a | b

or `[space.knobs]` lists it by `file:NAME`. Its value is a literal on one line, at the top of the file or in the body of
a class. It is an integer if the value and both bounds are, else a float. Setting it changes the literal and not a byte
more, so that a proposal is a diff of one line a knob.
"""

import ast
import io
import re
import tokenize
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loop.propose.domain import Domain, Value, annotated_domain, fitting, listed_domain
from loop.study import ConfigError, Settings

ANNOTATION = re.compile(r"#\s*cockpit:(.*)")


@dataclass(frozen=True, slots=True)
class Knob:
    """A named, typed, bounded value. `default` is the one it has in the baseline."""

    path: str
    name: str  # `RATE`, or `Config.rate` in a class
    domain: Domain
    default: Value
    annotated: bool = True  # in the code; else listed in `[space.knobs]`

    @property
    def key(self) -> str:
        """Its name in `[space.knobs]` and in the record."""
        return f"{self.path}:{self.name}"


@dataclass(frozen=True, slots=True)
class _Constant:
    """An assignment of a literal, and where that stands: line and bytes of the line, from 0."""

    name: str
    value: Value
    line: int
    start: int
    end: int
    annotation: str | None


class Unreadable(Exception):
    """A file is no Python that can be read, or holds an annotation that means nothing. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


# --- which knobs there are -------------------------------------------------------------------------------------------


def declared(settings: Settings, at: Callable[[str], str], sources: Mapping[str, bytes]) -> tuple[Knob, ...]:
    """The knobs of a study: those annotated in `sources`, the editable Python files, and those that are listed.

    `at` says where a listed one stands in `cockpit.toml`. Raises ConfigError, which names file, line and mend.
    """
    knobs: dict[str, Knob] = {}
    errors = []
    for path, source in sorted(sources.items()):
        if ANNOTATION.search(source.decode("utf-8", "replace")) and settings.editable(path):
            try:
                for knob in annotated(path, source):
                    knobs[knob.key] = knob
            except Unreadable as error:
                errors.append(f"{path}:{error.line}: {error}")
    for key, listed in settings.space.knobs.items():
        path, _, name = key.partition(":")
        where = f'{at(key)}: `[space.knobs] "{key}"`'
        try:
            if key in knobs:
                raise ValueError("is annotated in the code already; take out one of the two")
            if path not in sources:
                raise ValueError(f"there is no committed file {path}; commit it, or mend the name")
            constant = _once(name, path, _constants(sources[path]))
            domain = listed_domain(listed, constant.value)
            knobs[key] = Knob(path, name, domain, fitting(domain, constant.value), annotated=False)
        except Unreadable as error:
            errors.append(f"{where}: {path}:{error.line}: {error}")
        except ValueError as error:
            errors.append(f"{where}: {error}")
    if errors:
        raise ConfigError("\n".join(errors))
    return tuple(knobs.values())


def annotated(path: str, source: bytes) -> list[Knob]:
    """The knobs that a file declares. Raises Unreadable."""
    knobs = []
    constants = _constants(source)
    for constant in constants:
        if constant.annotation is None:
            continue
        try:
            _once(constant.name, path, constants)
            domain = annotated_domain(constant.annotation, constant.value)
            knobs.append(Knob(path, constant.name, domain, fitting(domain, constant.value)))
        except ValueError as error:
            raise Unreadable(constant.line + 1, str(error)) from None
    return knobs


def _once(name: str, path: str, constants: list[_Constant]) -> _Constant:
    """The only place where a name is given a literal: set one of two, and the other may be what counts."""
    found = [constant for constant in constants if constant.name == name]
    if len(found) != 1:
        times = f"is assigned a literal {len(found)} times" if found else "is nowhere assigned a literal"
        raise ValueError(f"`{name}` {times} in {path}; a knob is one line `{name} = value`")
    return found[0]


def names(knobs: Sequence[Knob]) -> dict[str, Knob]:
    """The knobs by the names that people and models are told: short ones, where they are no other's too."""
    short = [knob.name for knob in knobs]
    return {(knob.name if short.count(knob.name) == 1 else knob.key): knob for knob in knobs}


# --- reading and setting ---------------------------------------------------------------------------------------------


def values(source: bytes, names: set[str]) -> dict[str, Value]:
    """The values that knobs have in a file. One that is not there as a literal is left out. Raises Unreadable."""
    return {constant.name: constant.value for constant in _constants(source) if constant.name in names}


def only(source: bytes, path: str, name: str) -> Value:
    """The literal that a name is given in the one place of a file. Raises Unreadable, and ValueError for no literal."""
    return _once(name, path, _constants(source)).value


def set_values(source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """A file with other values: the literals are replaced, and every other byte stays. Raises Unreadable."""
    lines = lines_of(source)
    places = {constant.name: constant for constant in _constants(source)}
    if missing := wanted.keys() - places.keys():
        raise Unreadable(1, f"`{min(missing)}` is nowhere assigned a literal")
    for constant in sorted((places[name] for name in wanted), key=lambda place: -place.start):
        line = lines[constant.line]
        text = _text(wanted[constant.name], line[constant.start : constant.end].decode())
        lines[constant.line] = line[: constant.start] + text.encode() + line[constant.end :]
    return b"".join(lines)


def _text(value: Value, before: str) -> str:
    """A value as Python, a string in the quotes that the one before it had."""
    text = repr(value)
    if isinstance(value, str) and before.startswith('"') and '"' not in value and text.startswith("'"):
        return '"' + text[1:-1].replace("\\'", "'") + '"'
    return text


def parsed(source: bytes) -> ast.Module:
    """A file's syntax tree. Raises Unreadable."""
    try:
        text = source.decode("utf-8-sig")
        with warnings.catch_warnings(action="ignore"):  # of the user's code, `\d` in a string: nothing to do with us
            return ast.parse(text)
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None
    except SyntaxError as error:
        raise Unreadable(error.lineno or 1, error.msg) from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; brackets without end
        raise Unreadable(1, str(error) or "cannot be parsed") from None


def _constants(source: bytes) -> list[_Constant]:
    """The literals that are assigned to a name, on one line, at the top of a file or in the body of a class."""
    tree, notes = parsed(source), _annotations(source)
    found = []
    for name, node in _assignments(tree, ""):
        try:
            value = ast.literal_eval(node)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, bool | int | float | str | None) and node.lineno == node.end_lineno:
            line = node.lineno - 1
            mark = len(BOM_UTF8) if line == 0 and source.startswith(BOM_UTF8) else 0
            start, end = node.col_offset + mark, (node.end_col_offset or 0) + mark
            found.append(_Constant(name, value, line, start, end, notes.pop(line, None)))
    if notes:
        raise Unreadable(
            min(notes) + 1,
            "`# cockpit:` belongs on a line `NAME = value` with a literal value, at the top of the file or in a class",
        )
    return found


def _assignments(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield prefix + name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield prefix + name, value
            case ast.ClassDef(name=name):
                yield from _assignments(node, f"{prefix}{name}.")


def _annotations(source: bytes) -> dict[int, str]:
    """What stands behind `# cockpit:`, by line from 0; a string that holds such words is no comment."""
    if b"cockpit:" not in source:
        return {}
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise Unreadable(1, f"cannot be read: {error}") from None
    matches = {
        token.start[0] - 1: match
        for token in tokens
        if token.type == tokenize.COMMENT and (match := ANNOTATION.fullmatch(token.string))
    }
    return {line: match[1] for line, match in matches.items()}


def lines_of(source: bytes) -> list[bytes]:
    """The lines as Python counts them: a form feed or a Unicode separator ends none."""
    return re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", source)
