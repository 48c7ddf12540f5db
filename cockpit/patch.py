"""A patch as git prints it, made into the lines that a diff shows."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import StrEnum

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
WORD = re.compile(r"\w+|\s+|.")
LONGEST = 400  # characters of a line in which changed words are looked for


class Kind(StrEnum):
    """What a line of a diff is."""

    FILE = "file"
    HUNK = "hunk"
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    NOTE = "note"  # of git: a mode, a rename, a binary file


@dataclass(frozen=True, slots=True)
class Change:
    """One line. `words` are the parts of its text that differ from the line it stands for, as slices."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None
    words: tuple[tuple[int, int], ...] = ()
    added: int = 0  # lines of a file
    removed: int = 0


def parse(text: str) -> list[Change]:
    """The lines of a patch."""
    changes: list[Change] = []
    for part in re.split(r"^(?=diff --git )", text, flags=re.MULTILINE):
        if part.startswith("diff --git "):
            changes += _file(part.splitlines())
    return changes


def _file(lines: Sequence[str]) -> list[Change]:
    name, notes, body, began = _name(lines[0]), list[Change](), list[Change](), False
    old = new = 0
    for line in lines[1:]:
        if found := HUNK.match(line):
            old, new, began = int(found[1]), int(found[2]), True
            body.append(Change(Kind.HUNK, found[3], old, new))
        elif not began:
            if line.startswith("+++ ") and line != "+++ /dev/null":
                name = line[4:].removeprefix("b/").rstrip("\t")
            elif not line.startswith(("index ", "--- ", "+++ ")):
                notes.append(Change(Kind.NOTE, line))
        elif line.startswith("+"):
            body.append(Change(Kind.ADDED, line[1:], None, new))
            new += 1
        elif line.startswith("-"):
            body.append(Change(Kind.REMOVED, line[1:], old))
            old += 1
        elif line.startswith("\\"):
            body.append(Change(Kind.NOTE, line[2:]))
        else:
            body.append(Change(Kind.SAME, line[1:], old, new))
            old, new = old + 1, new + 1
    counts = [sum(change.kind is kind for change in body) for kind in (Kind.ADDED, Kind.REMOVED)]
    return [Change(Kind.FILE, name, added=counts[0], removed=counts[1]), *notes, *_with_words(body)]


def _name(head: str) -> str:
    return head.removeprefix("diff --git ").partition(" b/")[2] or head


def _with_words(lines: Sequence[Change]) -> Iterator[Change]:
    """Removed lines that added ones follow stand for one another, in their order."""
    index = 0
    while index < len(lines):
        removed = _block(lines, index, Kind.REMOVED)
        added = _block(lines, index + len(removed), Kind.ADDED)
        if not removed or not added:
            yield lines[index]
            index += 1
            continue
        pairs = [_pair(old, new) for old, new in zip(removed, added, strict=False)]
        yield from [*(old for old, _ in pairs), *removed[len(pairs) :]]
        yield from [*(new for _, new in pairs), *added[len(pairs) :]]
        index += len(removed) + len(added)


def _block(lines: Sequence[Change], start: int, kind: Kind) -> Sequence[Change]:
    end = start
    while end < len(lines) and lines[end].kind is kind:
        end += 1
    return lines[start:end]


def _pair(old: Change, new: Change) -> tuple[Change, Change]:
    if max(len(old.text), len(new.text)) > LONGEST:
        return old, new
    before, after = WORD.findall(old.text), WORD.findall(new.text)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < 0.4:  # another line altogether
        return old, new
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    return (
        replace(old, words=tuple(_slices(before, ((one[1], one[2]) for one in codes)))),
        replace(new, words=tuple(_slices(after, ((one[3], one[4]) for one in codes)))),
    )


def _slices(words: Sequence[str], spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in spans:
        if start < end:
            at = sum(map(len, words[:start]))
            yield at, at + sum(map(len, words[start:end]))
