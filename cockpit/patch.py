"""A patch as git prints it, made into the lines that a diff shows.

All of it is read at once, for where the hunks begin is asked of all of it; which words of a line differ only where the
line is shown.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, overload

from cockpit import syntax
from cockpit.text import Clean, clean
from cockpit.view import Source, Want

MOST_BYTES = 4_000_000  # of a patch, or of a file, that is shown; what it leaves out it says
MOST_LINES = 200_000  # of it, however short they are
HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
ESCAPED = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
ESCAPES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
LONGEST = 400  # characters of a line in which changed words are looked for
COMPARED = 40_000  # pairs of words, at most, that are held against each other in it
ALIKE = 0.4  # share of words that two lines have in common, if one became the other

Slices = tuple[tuple[int, int], ...]


class Kind(StrEnum):
    """What a line of a diff is. Each begins with another letter."""

    FILE = "file"
    HUNK = "hunk"
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    NOTE = "note"  # of git: a mode, a rename, a binary file


class Change(NamedTuple):
    """One line: a tuple, for there may be fifty thousand."""

    kind: Kind
    text: str
    old: int | None = None  # its number in the file before, and in the file after
    new: int | None = None
    added: int = 0  # lines of a file
    removed: int = 0


class Changes(Sequence[Change]):
    """The lines of a patch, and where in them its files, its hunks and its changed pairs stand."""

    def __init__(self, rows: Sequence[Change]) -> None:
        self._rows = rows
        kinds = "".join([row.kind[0] for row in rows])
        self.files = [found.start() for found in re.finditer("f", kinds)]
        # Where one stops who goes through it: a hunk; a file at its name, and so at once at its first hunk.
        self.stops = [found.start() for found in re.finditer("fn*h?|h", kinds)]
        blocks = re.finditer("(r+)n?(a+)", kinds)
        self._blocks = [(*found.span(1), *found.span(2)) for found in blocks]
        self._begins = [block[0] for block in self._blocks]
        ends = [rows[found.start()] for found in re.finditer("[sar](?![sar])", kinds)]
        self.highest = max((number for row in ends for number in (row.old, row.new) if number), default=0)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Change]: ...
    def __getitem__(self, index: int | slice) -> Change | Sequence[Change]:
        return self._rows[index]

    def twin(self, index: int) -> Change | None:
        """What a changed line stands for: of removed lines that added ones follow, each for the one of its place."""
        at = bisect_right(self._begins, index) - 1
        if at < 0:
            return None
        removed, ended, added, end = self._blocks[at]
        if index < ended:
            other = added + index - removed
            return self._rows[other] if other < end else None
        other = removed + index - added
        return self._rows[other] if added <= index < end and other < ended else None

    def file(self, index: int) -> int | None:
        """Where the name of the file stands that a line is of."""
        at = bisect_right(self.files, index) - 1
        return self.files[at] if at >= 0 else None


class Patch(Want[Changes | str], frozen=True):
    """What lies between two commits; or why that cannot be read."""

    old: str
    new: str

    async def read(self, source: Source) -> Changes | str:
        """Ask git, beside the event loop."""
        try:
            return await asyncio.to_thread(_made, await source.git.patch(source.place, self.old, self.new))
        except Exception as error:  # of git
            return f"the diff cannot be read: {error}"


class Text(Want[Clean | Exception], frozen=True):
    """A patch as it is printed, clean."""

    patch: Patch

    async def read(self, source: Source) -> Clean | Exception:
        """Ask git once more: what is shown is kept in other pieces."""
        try:
            text = await source.git.patch(source.place, self.patch.old, self.patch.new)
            return await asyncio.to_thread(clean, text)
        except Exception as error:  # of git
            return error


class Copy(Want[bytes | Exception], frozen=True):
    """A file as it is in a commit."""

    commit: str
    path: str

    async def read(self, source: Source) -> bytes | Exception:
        """Ask git: no working tree is looked at."""
        try:
            return await source.git.file(source.place, self.commit, self.path)
        except Exception as error:  # of git
            return error


def _made(text: str) -> Changes:
    """A patch, and what its first files are coloured with, so that drawing need not wait for it."""
    changes = parse(text)
    for name in {changes[index].text for index in changes.files[:20]}:
        syntax.lexer(name)
    return changes


def parse(text: str) -> Changes:
    """The lines of a patch; of one that has very many the first, and how many are left out."""
    *lines, rest = text.split("\n", MOST_LINES)
    if len(lines) == MOST_LINES and rest:
        left = rest.removesuffix("\n").count("\n") + 1
        text = "\n".join([*lines, f"\\ Left out beyond {MOST_LINES:,} lines: {left:,} more"])
    rows: list[Change] = []
    for part in re.split(r"^diff --git ", text, flags=re.MULTILINE)[1:]:
        rows += _file(part.removesuffix("\n").split("\n"))
    return Changes(rows)


def _file(lines: Sequence[str]) -> list[Change]:
    name, notes, body, began = _name(lines[0]), list[Change](), list[Change](), False
    old = new = added = removed = 0
    for line in lines[1:]:
        sign = line[:1]
        if sign == "@" and (found := HUNK.match(line)):
            old, new, began = int(found[1]), int(found[2]), True
            body.append(Change(Kind.HUNK, found[3], old, new))
        elif sign == "\\":
            body.append(Change(Kind.NOTE, line[2:]))
        elif not began:
            if line.startswith("+++ ") and line != "+++ /dev/null":
                name = unquoted(line[4:].removesuffix("\t")).removeprefix("b/")
            elif not line.startswith(("index ", "--- ", "+++ ")):
                notes.append(Change(Kind.NOTE, line))
        elif sign == "+":
            body.append(Change(Kind.ADDED, line[1:], None, new))
            new, added = new + 1, added + 1
        elif sign == "-":
            body.append(Change(Kind.REMOVED, line[1:], old))
            old, removed = old + 1, removed + 1
        else:
            body.append(Change(Kind.SAME, line[1:], old, new))
            old, new = old + 1, new + 1
    return [Change(Kind.FILE, name, added=added, removed=removed), *notes, *body]


def _name(head: str) -> str:
    """The name in `a/NAME b/NAME`. Where the two differ, it is the second."""
    half = len(head) // 2
    first, second = unquoted(head[:half]), unquoted(head[half + 1 :])
    if head[half : half + 1] == " " and first[2:] == second[2:]:
        return second[2:]
    quoted = head.rpartition(' "b/')[2] if head.endswith('"') else ""
    return unquoted(f'"{quoted}') if quoted else head.partition(" b/")[2] or head


def unquoted(name: str) -> str:
    """A file's name, of which git writes what is unusual as C does, in quotes."""
    if len(name) < 2 or not name.startswith('"') or not name.endswith('"'):
        return name
    raw = ESCAPED.sub(
        lambda found: bytes([int(found[1], 8) & 0xFF]) if len(found[1]) == 3 else ESCAPES.get(found[1], found[1]),
        name[1:-1].encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=1024)
def words(before: str, after: str) -> tuple[Slices, Slices]:
    """The parts in which two lines differ, of each; none where one is another line altogether."""
    if before == after or max(len(before), len(after)) > LONGEST:
        return (), ()
    first, second = WORD.findall(before), WORD.findall(after)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if len(first) * len(second) > COMPARED or matcher.quick_ratio() < ALIKE or matcher.ratio() < ALIKE:
        return (), ()
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    return (
        tuple(_slices(first, ((one[1], one[2]) for one in codes))),
        tuple(_slices(second, ((one[3], one[4]) for one in codes))),
    )


def _slices(words: Sequence[str], spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        if start < end:
            at = sum(map(len, words[:start]))
            yield at, at + sum(map(len, words[start:end]))
