"""A user's configuration of the screen: theme, ASCII, keys. An error names the file, the line, the key and the fix."""

import json
import locale
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from cockpit.keys import (
    DECIDE,
    KEYS,
    LOOK,
    OF_PROCESSES,
    PROCESSES,
    STEER,
    TABLE,
    Key,
    Keymap,
    pressed,
    shown,
)
from cockpit.themes import THEMES
from store.place import no_toml
from store.where import Misconfigured, meant, where

SAYS = {  # what is said of each key of the file, in it and in docs/configuration.md
    "theme": f"{', '.join(THEMES)}: the last is your terminal's own 16 colours. Without it dark, or the last where "
    "there are no more colours",
    "ascii": "true draws nothing beyond ASCII. Without it the locale decides",
    "keys": 'a key in quotes, or several: ["m", "f2"]. What a name is given, it has in place of all others',
}


class Configuration(Struct, frozen=True):
    """How a user wants the screen. What is None is as the terminal has it."""

    theme: str | None = None
    ascii: bool | None = None
    keys: Keymap = TABLE

    @property
    def is_ascii(self) -> bool:
        """Whether nothing beyond ASCII is drawn: as it is asked for, else where the locale's letters are not UTF-8."""
        utf = locale.getencoding().lower().replace("-", "") == "utf8"
        return not utf if self.ascii is None else self.ascii


CONFIGURATION = Configuration()


def place() -> Path:
    """Where a user's configuration is, if there is one."""
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".config") / "cockpit" / "config.toml"


def read(file: Path) -> Configuration:
    """The configuration of a file; what there is without one, where there is none. Raises Misconfigured."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return CONFIGURATION
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: cannot be read: {error}") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(no_toml(file, text, error)) from error
    errors = [
        f"{where(file, text, path)}: `{path[0] if len(path) == 1 else f'[{path[0]}] {path[1]}'}` {what}"
        for path, what in _misfits(tables)
    ]
    if errors:
        raise Misconfigured("\n".join(errors))
    given = {name: keys_of(value) for name, value in tables.get("keys", {}).items()}
    return Configuration(tables.get("theme"), tables.get("ascii"), Keymap(given))


def _misfits(tables: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys of the file that cannot be used, each with why, and what to do."""
    for name in tables:
        if name not in SAYS:
            yield (name,), f"is not a key that cockpit knows; {meant(name, SAYS)}"
    if tables.get("theme", "dark") not in [*THEMES]:
        yield ("theme",), f"is no theme; put one of {', '.join(THEMES)}, in quotes"
    if not isinstance(tables.get("ascii", False), bool):
        yield ("ascii",), "is true or false, without quotes"
    table = tables.get("keys", {})
    if not isinstance(table, dict):
        yield ("keys",), 'is a table: put `[keys]` on a line, and below it names with keys, as `merge = "m"`'
    elif table:
        from cockpit.remapping import misfits  # which knows the panels, for which who draws first does not wait

        yield from ((("keys", name), what) for name, what in misfits(table))


def keys_of(value: object) -> tuple[str, ...]:
    """The keys that a name is given, in Textual's names; none where it is given no keys at all."""
    those = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    sound = all(isinstance(one, str) and len(one.split()) == 1 for one in those)
    return tuple(dict.fromkeys(map(pressed, those))) if sound else ()


def written(configuration: Configuration, file: Path) -> str:
    """All of it as a file: what is not as it comes, and as a comment all that is."""
    there = file.exists()
    from cockpit.panels import PANELS

    lines = [f"# {file}" + ("" if there else ": there is none yet; this is one to begin with")]
    lines += ["", f"# {SAYS['theme']}"]
    lines += [_line("theme", configuration.theme or "dark", configuration.theme is not None)]
    lines += ["", f"# {SAYS['ascii']}"]
    lines += [f"{'' if configuration.ascii is not None else '# '}ascii = {str(configuration.is_ascii).lower()}"]
    lines += ["", f"[keys]  # {SAYS['keys']}"]
    groups: list[tuple[str, Sequence[Key]]] = [
        (group, [key for key in KEYS if key.group == group]) for group in (DECIDE, LOOK, STEER)
    ]
    groups += [(f"{panel.number} {panel.title}", panel.keys) for panel in PANELS]
    groups += [(PROCESSES, OF_PROCESSES)]
    done = set[str]()
    for title, keys in groups:
        lines += ["", f"# {title}"]
        for key in keys:
            if key.name and key.name not in done:
                done.add(key.name)
                own = configuration.keys.of(key)
                told = [shown(one) for one in own]
                lines.append(_line(key.name, told[0] if len(told) == 1 else told, key.name in configuration.keys.given))
    return "\n".join(lines) + "\n"


def _line(name: str, value: str | list[str], given: bool) -> str:
    return f"{'' if given else '# '}{name} = {json.dumps(value, ensure_ascii=False)}"
