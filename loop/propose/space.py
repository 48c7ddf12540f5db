"""The search space: which knobs there are, and how the value of one is read and set.

A knob stands where its value does, as an annotated constant of an editable Python file,

    RATE = 3e-4  # cockpit: 1e-5..1e-2 log        DEPTH = 4  # cockpit: 1..12        MODE = "a"  # cockpit: a | b

or `[space.knobs]` lists it by `file:NAME`. Its value is a literal on one line, at the top of the file or in the body of
a class. It is an integer if the value and both bounds are, else a float. Setting it changes the literal and not a byte
more, so that a proposal is a diff of one line a knob.
"""

import ast
import io
import math
import re
import tokenize
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from loop.study import ConfigError, Listed, Settings

Value = bool | int | float | str | None

ANNOTATION = re.compile(r"#\s*cockpit:(.*)")
RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+)(\s+log)?")
LOG_DIGITS = 3  # significant ones of a value drawn on a log scale
LINEAR_STEPS = 1_000  # at most, between the bounds of a linear one: `0.137`, not `0.13688271103`


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers from `low` to `high`, both among them."""

    low: int | float
    high: int | float
    log: bool
    integer: bool

    def holds(self, value: Value) -> bool:
        """Whether a knob with this domain may have this value."""
        kinds = (int,) if self.integer else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    def place(self, value: float) -> float:
        """Where a value lies between the bounds, on the knob's own scale: from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def at(self, place: float) -> int | float:
        """The value at such a place."""
        if self.log:
            return self.rounded(self.low * (self.high / self.low) ** place)
        return self.rounded(self.low + (self.high - self.low) * place)

    def rounded(self, number: float) -> int | float:
        """The number as it would be written: short, and within the bounds."""
        if self.integer:
            return min(max(round(number), int(self.low)), int(self.high))
        if self.log:
            short = float(f"{number:.{LOG_DIGITS}g}")
        else:
            short = round(number, -math.ceil(math.log10((self.high - self.low) / LINEAR_STEPS)))
        return float(min(max(short, self.low), self.high))

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" + (" log" if self.log else "")


@dataclass(frozen=True, slots=True)
class Choices:
    """A few values, in no order."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Whether a knob with this domain may have this value."""
        return any(same(value, choice) for choice in self.values)

    def __str__(self) -> str:
        return " | ".join(map(str, self.values))


Domain = Range | Choices


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


def same(one: Value, other: Value) -> bool:
    """Whether two values are one: `1` is neither `True` nor `1.0`."""
    return type(one) is type(other) and one == other


class Unreadable(Exception):
    """A file is no Python that can be read, or holds an annotation that means nothing. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


# --- which knobs there are -------------------------------------------------------------------------------------------


def declared(settings: Settings, config: str, sources: Mapping[str, bytes]) -> tuple[Knob, ...]:
    """The knobs of a study: those annotated in `sources`, the editable Python files, and those that are listed.

    Raises ConfigError, which names the file, the line and the mend.
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
        where = f'{config}: `[space.knobs] "{key}"`'
        try:
            if key in knobs:
                raise ValueError("is annotated in the code already; take out one of the two")
            if path not in sources:
                raise ValueError(f"there is no committed file {path}; commit it, or mend the name")
            constant = _once(name, path, _constants(sources[path]))
            domain = _listed(listed, constant.value)
            knobs[key] = Knob(path, name, domain, _fits(domain, constant.value), annotated=False)
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
            domain = _domain(constant.annotation, constant.value)
            knobs.append(Knob(path, constant.name, domain, _fits(domain, constant.value)))
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


def _domain(text: str, value: Value) -> Domain:
    """What stands behind `# cockpit:`. Raises ValueError."""
    text = text.strip()
    if "|" in text:
        return _choices([_choice(word.strip(), value) for word in text.split("|")])
    if match := RANGE.fullmatch(text):
        try:
            low, high = (_number(word) for word in match.group(1, 2))
        except ValueError:
            raise ValueError(f"the bounds of `{text}` are not two numbers") from None
        return _range(low, high, log=match[3] is not None, value=value)
    raise ValueError(f"`# cockpit: {text}` is neither a range, `1..8` or `1e-5..1e-2 log`, nor choices, `a | b`")


def _number(word: str) -> int | float:
    return int(word) if re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)*", word) else float(word)


def _choice(word: str, value: Value) -> Value:
    """A choice: a string as it stands where the knob is a string, else a Python literal where it is one."""
    try:
        literal = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        literal = word
    bare_string = isinstance(value, str) and not isinstance(literal, str)
    return word if bare_string or not isinstance(literal, bool | int | float | str | None) else literal


def _listed(listed: Listed, value: Value) -> Domain:
    if listed.choices is not None:
        return _choices(list(listed.choices))
    if listed.low is None or listed.high is None:
        raise ValueError("has neither `low` and `high` nor `choices`")
    return _range(listed.low, listed.high, log=listed.scale == "log", value=value)


def _choices(values: list[Value]) -> Choices:
    if "" in values or len({(type(value), value) for value in values}) < max(2, len(values)):
        raise ValueError("choices are two values or more, each once")
    return Choices(tuple(values))


def _range(low: int | float, high: int | float, *, log: bool, value: Value) -> Range:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"the lower bound comes first: {low} is not below {high}")
    if log and low <= 0:
        raise ValueError("a log scale begins above zero")
    return Range(low, high, log, integer=all(type(number) is int for number in (low, high, value)))


def _fits(domain: Domain, value: Value) -> Value:
    if not domain.holds(value):
        raise ValueError(f"the value {value!r} is not in {domain}")
    return value


# --- reading and setting ---------------------------------------------------------------------------------------------


def values(source: bytes, names: set[str]) -> dict[str, Value]:
    """The values that knobs have in a file. One that is not there as a literal is left out. Raises Unreadable."""
    return {constant.name: constant.value for constant in _constants(source) if constant.name in names}


def set_values(source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """A file with other values: the literals are replaced, and every other byte stays. Raises Unreadable."""
    lines = _lines(source)
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
        text = source.decode()
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
            found.append(_Constant(name, value, line, node.col_offset, node.end_col_offset or 0, notes.pop(line, None)))
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


def _lines(source: bytes) -> list[bytes]:
    """The lines as Python counts them: a form feed or a Unicode separator ends none."""
    return re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", source)
