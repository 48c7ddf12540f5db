"""The values of a YAML, JSON or TOML file, by their path: `optim.lr`, `layers.0.width`.

Where a value stands is asked of libraries: PyYAML marks what it reads, and reads JSON too; tomlkit keeps what it has
read as it was written. Two readers of YAML differ in some values: `1e-3` is a number in YAML 1.2, for OmegaConf and
Hydra, and a string in YAML 1.1, for PyYAML. It counts as a number here, and what is written reads the same in both.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from loop.propose.domain import Value
from loop.propose.scalar import Scalar, Unreadable, spliced

if TYPE_CHECKING:
    import yaml

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
LIMIT_BYTES = 256 * 1024  # PyYAML takes a second for so much
MOST = 20_000  # values of a file: aliases may make many of few
STANDARD = "tag:yaml.org,2002:"
PLAIN_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+")  # YAML 1.2; with a point also 1.1
TWO_WAYS = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")  # octal, or base 60, in 1.1 alone


def scalars(path: str, source: bytes) -> list[Scalar]:
    """The values of a file: strings, numbers, booleans, nothing. Raises Unreadable."""
    if len(source) > LIMIT_BYTES:
        raise Unreadable(1, f"has more than {LIMIT_BYTES // 1024} KiB, in which no value is looked for")
    text = _decoded(source)
    if path.endswith(".toml"):
        return [Scalar(_name(keys), value, 1) for keys, value in _values(_toml(text), ())]
    return [*_marked(text, len(source) - len(text.encode()), is_json=path.endswith(".json"))]


def written(path: str, source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """The file with other values, in the style of those before them. Raises Unreadable."""
    if path.endswith(".toml"):
        return _written_toml(source, wanted)
    places = [one for one in scalars(path, source) if one.name in wanted]
    pieces = []
    for one in places:
        before, value = source[one.start : one.end].decode(), wanted[one.name]
        pieces.append((one, _json(value, before) if path.endswith(".json") else _yaml(value, before)))
    return spliced(source, pieces)


def canonical(path: str, source: bytes) -> bytes:
    """What is the same for two files that differ in how a value is written alone. Raises Unreadable."""
    if path.endswith(".toml"):
        return repr(_toml(_decoded(source))).encode()
    return spliced(source, [(one, repr(one.value)) for one in scalars(path, source) if not one.fixed])


def _decoded(source: bytes) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None


def _name(keys: tuple[str, ...]) -> str:
    return ".".join(keys)


# --- YAML and JSON ---------------------------------------------------------------------------------------------------


def _marked(text: str, before: int, *, is_json: bool) -> Iterator[Scalar]:
    """The values of a text, with the bytes that they take; `before` are those of a byte order mark."""
    if is_json:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            raise Unreadable(error.lineno, f"is no JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise Unreadable(1, f"is no JSON: {error}") from None
        text = text.replace("\t", " ")  # which are between its values alone, and which PyYAML would not read
    at = range(len(text) + 1) if text.isascii() else [0, *accumulate(len(one.encode()) for one in text)]
    try:
        for number, (keys, node, value, fixed) in enumerate(_nodes(text)):
            if number == MOST:
                raise Unreadable(1, f"has more than {MOST:,} values")
            start, end = node.start_mark, node.end_mark
            if is_json and not fixed:
                value = json.loads(text[start.index : end.index])
            yield Scalar(
                _name(keys), value, start.line + 1, before + at[start.index], before + at[end.index], fixed=fixed
            )
    except RecursionError:
        raise Unreadable(1, "is nested too deeply") from None


def _nodes(text: str) -> Iterator[tuple[tuple[str, ...], "yaml.ScalarNode", Value, str]]:
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is not None:
            yield from _below(root, (), loader, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        if what == "but found another document":
            what = "holds several documents: put the one with the knob into a file of its own"
        raise Unreadable(mark.line + 1 if mark else 1, " ".join(what.split())) from None
    finally:
        if loader is not None:
            loader.dispose()


def _below(
    node: "yaml.Node", keys: tuple[str, ...], loader: "yaml.SafeLoader", inside: dict["yaml.Node", None]
) -> Iterator[tuple[tuple[str, ...], "yaml.ScalarNode", Value, str]]:
    """The scalars below a node. What is merged by `<<` or an alias is met twice: each place has it by its own path."""
    import yaml

    line = node.start_mark.line + 1
    if node in inside:
        raise Unreadable(line, "holds an alias of what it stands in")
    match node:
        case yaml.MappingNode(value=pairs):
            names = [str(one.value) for one, _ in pairs]
            if twice := next((name for name in names if names.count(name) > 1 and name != "<<"), None):
                raise Unreadable(line, f"gives `{_name((*keys, twice))}` twice: take one of them out")
            inner = [(name, child) for name, (_, child) in zip(names, pairs, strict=True)]
        case yaml.SequenceNode(value=children):
            inner = [(str(number), child) for number, child in enumerate(children)]
        case yaml.ScalarNode():
            yield from _scalar(node, keys, loader)
            return
        case _:
            return
    for name, child in inner:
        yield from _below(child, (*keys, name), loader, {**inside, node: None})


def _scalar(
    node: "yaml.ScalarNode", keys: tuple[str, ...], loader: "yaml.SafeLoader"
) -> Iterator[tuple[tuple[str, ...], "yaml.ScalarNode", Value, str]]:
    import yaml

    kind, text, fixed = node.tag.removeprefix(STANDARD), str(node.value), ""
    value: Value = None
    if node.style is None and kind == "str" and PLAIN_FLOAT.fullmatch(text):
        value = float(text)
    elif kind in ("null", "bool", "int", "float", "str"):
        try:
            value = loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            return
        if kind in ("int", "float") and TWO_WAYS.fullmatch(text):
            fixed = f"is written `{text}`, which YAML 1.1 and 1.2 read differently: write it as a plain number"
    else:  # a date, bytes, a type of somebody's own
        return
    length = node.end_mark.index - node.start_mark.index
    if not length:
        fixed = "has no value; write one, or `null`"
    elif node.style in ("|", ">"):
        fixed = "is a block of text, which is not set: write it on one line"
    elif node.start_mark.line != node.end_mark.line:
        fixed = "goes over several lines: write it on one"
    elif (node.style is None and length != len(text)) or (node.style and _begins_with_a_property(node)):
        fixed = "has an anchor or a tag (`&` or `!`), so that other places may follow it: give it a value of its own"
    yield keys, node, value, fixed


def _begins_with_a_property(node: "yaml.ScalarNode") -> bool:
    """Whether a quoted value begins with something else than its quote."""
    mark = node.start_mark
    return mark.buffer is not None and mark.buffer[mark.pointer] != node.style


def _json(value: Value, before: str) -> str:
    escaped = before.isascii() or (isinstance(value, str) and not value.isprintable())
    return json.dumps(value, ensure_ascii=escaped)


def _yaml(value: Value, before: str) -> str:
    """A value as YAML of both kinds. A string keeps the quotes it had, and gets some where it needs them."""
    import yaml

    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        return mantissa + (".0" if e and "." not in mantissa else "") + e + exponent
    if before[:1] == '"' or not value.isprintable():
        return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=sys.maxsize).rstrip("\n")
    if before[:1] == "'" or not _is_plain(value):
        return "'" + value.replace("'", "''") + "'"
    return value


def _is_plain(value: str) -> bool:
    """Whether a string is the same string where it stands without quotes, in a mapping or in brackets."""
    if TWO_WAYS.fullmatch(value) or value.lower() in ("y", "n", "yes", "no", "on", "off"):
        return False
    try:
        return [read for _, _, read, _ in _nodes(f"[{value}]")] == [value] and not set(value) & set(":#,[]{}")
    except Unreadable:
        return False


# --- TOML ------------------------------------------------------------------------------------------------------------


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line ([0-9]+)", str(error))
        raise Unreadable(int(line[1]) if line else 1, f"is no TOML: {error}") from None


def _values(table: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Value]]:
    inner = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else None
    if inner is None:
        if isinstance(table, bool | int | float | str):
            yield keys, table
        return
    for name, value in inner:
        yield from _values(value, (*keys, str(name)))


def _written_toml(source: bytes, wanted: Mapping[str, Value]) -> bytes:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import String

    text = _decoded(source)
    try:
        whole: Any = tomlkit.parse(text)
        for keys, _ in _values(_toml(text), ()):
            if (name := _name(keys)) in wanted:
                inner = whole
                for key in keys[:-1]:
                    inner = inner[int(key) if isinstance(inner, list) else key]
                last = int(keys[-1]) if isinstance(inner, list) else keys[-1]
                value = wanted[name]
                quotes = inner[last].as_string()[:1] if isinstance(inner[last], String) else ""
                is_literal = isinstance(value, str) and quotes == "'" and "'" not in value and value.isprintable()
                inner[last] = tomlkit.string(str(value), literal=True) if is_literal else tomlkit.item(value)
        made = tomlkit.dumps(whole)
    except (TOMLKitError, ValueError, TypeError, AttributeError) as error:
        raise Unreadable(1, f"cannot be written: {error}") from None
    old, new = text.splitlines(keepends=True), made.splitlines(keepends=True)
    if len(old) != len(new) or sum(one != other for one, other in zip(old, new, strict=True)) > len(wanted):
        raise Unreadable(1, f"cannot be written with `{min(wanted)}` alone changed: write it on a line of its own")
    return source[: len(source) - len(text.encode())] + made.encode()
