"""What configuration files hold: of each scalar the dotted path, the value and the line."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from loop.propose.domain import Value

Entry = tuple[str, Value, int]


def entries(path: str, text: bytes) -> list[Entry]:
    """The scalars of a YAML, TOML or JSON file; none where it cannot be read."""
    try:
        said = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return []
    if PurePosixPath(path).suffix in (".yaml", ".yml"):
        return list(_yaml(said))
    try:
        table = tomllib.loads(said) if path.endswith(".toml") else json.loads(said)
    except (ValueError, RecursionError):
        return []
    return [(key, value, _line(said, key, path)) for key, value in _flat(table, "")]


def _yaml(said: str) -> Iterator[Entry]:
    import yaml

    try:
        documents = list(yaml.compose_all(said, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError):
        return
    if len(documents) == 1 and documents[0] is not None:
        yield from _nodes(documents[0], "", set())


def _nodes(node: object, prefix: str, above: set[int]) -> Iterator[Entry]:
    import yaml

    if id(node) in above:  # an anchor that holds itself
        return
    if isinstance(node, yaml.ScalarNode):
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError):
            return
        if isinstance(value, bool | int | float | str | None):
            yield prefix, value, node.start_mark.line + 1
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            if isinstance(key, yaml.ScalarNode) and "." not in key.value and key.value != "<<":
                yield from _nodes(inner, f"{prefix}.{key.value}" if prefix else key.value, {*above, id(node)})


def _flat(table: object, prefix: str) -> Iterator[tuple[str, Value]]:
    if isinstance(table, dict):
        for key, inner in table.items():
            if "." not in key:
                yield from _flat(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(table, bool | int | float | str):
        yield prefix, table


def _line(said: str, key: str, path: str) -> int:
    """The line of a key: below the heads or keys that hold it."""
    at = 0
    for part in key.split("."):
        quoted = rf'"{re.escape(part)}"'
        sought = (
            rf"{quoted}\s*:"
            if path.endswith(".json")
            else rf'(?m)^\s*\[.*\b{re.escape(part)}\s*\]|(?:^|[\s,{{])"?{re.escape(part)}"?\s*='
        )
        match = re.compile(sought, re.MULTILINE).search(said, at)
        at = match.start() if match else at
    return said.count("\n", 0, at + 1) + 1
