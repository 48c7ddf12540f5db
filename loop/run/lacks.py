"""What the unchanged code has looked for in vain, though its user has it: named, with the line that lends it.

And what it was lent, but has to write: named, with the line that lends it no more.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from loop.run.bench import lent, sealed
from loop.run.sandbox import Wall
from loop.study import Data, Revision
from store.place import Place
from store.where import where

SAYS_SO = re.compile(r"No such file or directory|FileNotFoundError|not found|[Uu]nable to (?:find|open)|cannot open")
READ_ONLY = re.compile(r"Read-only file system|Device or resource busy")  # the latter where it would take it away
QUOTED = re.compile(r"'([^'\n]{1,4096})'|\"([^\"\n]{1,4096})\"|`([^`\n]{1,4096})`")
MOST_LINES, MOST_PATHS = 40, 4  # of the end of a log; that are named


class Lack(Struct, frozen=True):
    """What was looked for and could be lent: as `[data] read` would have it."""

    asked: tuple[str, ...]
    inside: bool  # the working tree, and not committed
    by: str  # what else must be done so that it is found


def named(text: str, place: Place, revision: Revision, wall: Wall, folder: Path, committed: Collection[str]) -> str:
    """What to add to `[data] read`, in a sentence; nothing where the end of a log names nothing that could be lent.

    `folder` is the run folder, `committed` are the files of the tree that ran. Takes a look at the disk: call it in a
    thread.
    """
    data, cwd = revision.settings.data, folder / "tree" / revision.settings.run.cwd
    if held := held_back(text, place, data, cwd, folder):
        line = where(place.config, revision.text, ("data", "read"))
        return f'{held} is lent read-only, and the code writes it: take "{held}" out of `[data] read`, {line}'
    if (lack := found(text, place, data, wall, cwd, folder, committed)) is None:
        return ""
    words = ", ".join(f'"{one}"' for one in [*data.read, *lack.asked])
    line = where(place.config, revision.text, ("data", "read"))
    what = "is in your working tree and not committed" if lack.inside else "is on this machine, out of a run's sight"
    return (
        f"{lack.asked[0]} {what}, so runs do not have it; {lack.by}{'change' if data.read else 'add'} "
        f"`[data] read = [{words}]`, {line}"
    )


def found(
    text: str, place: Place, data: Data, wall: Wall, cwd: Path, folder: Path, committed: Collection[str]
) -> Lack | None:
    """What the end of a log says is not there, and could be lent: of what ran in `cwd`. Takes a look at the disk."""
    # It is kept from runs on purpose, or there is another reason.
    known = [
        *(Path(os.path.normpath(lent(place, path))) for path in data.read),
        *(Path(os.path.normpath(sealed(place, path))) for path in data.sealed),
    ]
    record = [Path(os.path.realpath(path)) for path in (place.git_dir, place.common_dir, folder)]
    home = Path(os.environ.get("HOME") or "/")
    for path in _looked_for(text):
        at, by = _meant(path, place, cwd, folder, home)
        there = Path(os.path.realpath(at))
        if not os.access(at, os.F_OK) or any(at.is_relative_to(one) for one in known):
            continue
        if any(there.is_relative_to(one) or one.is_relative_to(there) for one in record):
            continue  # it is the record's, the run's own, or would bring them with it
        inside = at.relative_to(place.root).as_posix() if at.is_relative_to(place.root) else None
        if inside is None and not by and not wall.hides(at):
            continue  # runs see it
        if inside is None:
            asked = [str(at)]
        elif (outermost := _outermost(inside, committed)) is None:
            continue
        else:
            asked = _beside(place.root, outermost, committed)
        return Lack(tuple(asked), inside is not None, by)
    return None


def held_back(text: str, place: Place, data: Data, cwd: Path, folder: Path) -> str:
    """Which path of `[data] read` the end of a log says could not be written; nothing where it says so of none."""
    home = Path(os.environ.get("HOME") or "/")
    for path in _looked_for(text, READ_ONLY):
        at, _ = _meant(path, place, cwd, folder, home)
        for one in data.read:
            if at.is_relative_to(os.path.normpath(lent(place, one))):
                return one
    return ""


def _looked_for(text: str, says_so: re.Pattern[str] = SAYS_SO) -> Iterator[str]:
    """The paths that the last lines say are not there, or what else is asked, the last first."""
    for line in reversed(text.splitlines()[-MOST_LINES:]):
        if says_so.search(line):
            yield from (next(filter(None, match.groups())) for match in QUOTED.finditer(line))


def _meant(path: str, place: Place, cwd: Path, folder: Path, home: Path) -> tuple[Path, str]:
    """Which file of the user's a run has meant, and what else must be done so that it is found."""
    if "\0" in path:
        return Path("/nonexistent"), ""
    full = Path(os.path.normpath(cwd / path))
    if full.is_relative_to(folder / "tree"):
        return place.root / full.relative_to(folder / "tree"), ""
    if full.is_relative_to(own := folder / "tree.home"):
        return home / full.relative_to(own), "a run has a home of its own, so let the script name the whole path, and "
    return full, ""


def _outermost(inside: str, committed: Collection[str]) -> str | None:
    """The outermost folder above a path, or itself, of which nothing is committed; None where all of it is."""
    parts = Path(inside).parts
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        if part not in committed and not any(path.startswith(f"{part}/") for path in committed):
            return part
    return None


def _beside(root: Path, path: str, committed: Collection[str]) -> list[str]:
    """A folder; or a file, with those of its kind beside it that are not committed either: they will be missed next."""
    if (root / path).is_dir():
        return [f"{path}/"]
    kind = Path(path).suffix
    others = sorted(
        name for one in os.scandir((root / path).parent)
        if one.is_file() and Path(one.name).suffix == kind
        and (name := (Path(path).parent / one.name).as_posix()) not in (path, *committed)
    )  # fmt: skip
    return [path, *others[: MOST_PATHS - 1]]
