"""Where a key stands in a TOML file: an error names its line."""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any


class Misconfigured(Exception):
    """A user's configuration cannot be used. The message holds a line for each thing to mend."""


def key(path: tuple[str, ...]) -> str:
    """A key, as an error names it: `[run] train`."""
    head, *rest = path
    return f"[{head}] {'.'.join(rest)}" if rest else f"[{head}]"


def meant(said: str, known: Iterable[str]) -> str:
    """What to do about a word that is none of those known: the one nearest to it, if there is one near."""
    near = get_close_matches(said, list(known), n=1)
    return f"put `{near[0]}`, if that is meant" if near else "take it out"


def where(file: Path, text: str, path: tuple[str, ...]) -> str:
    """`file:line` of a key, or of the nearest table above it that is there; the file alone where there is none."""
    while path:
        if number := line(text, path):
            return f"{file}:{number}"
        path = path[:-1]
    return str(file)


def line(text: str, path: tuple[str, ...]) -> int | None:
    """The line on which a key first stands: the file is read a line longer each time, until it holds the key."""
    lines = text.splitlines()
    whole = 0  # lines of the longest part so far that is a file in itself
    for count in range(1, len(lines) + 1):
        try:
            tables = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value
        if holds(tables, path):
            return next(n for n in range(whole, count) if lines[n].split("#")[0].strip()) + 1
        whole = count
    return None


def holds(tables: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Whether the file says anything of a key."""
    value: Any = tables
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True
