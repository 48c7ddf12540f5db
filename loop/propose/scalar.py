"""A value in a file, and where it stands there: what a knob is read from and set in, whatever kind of file it is."""

from msgspec import Struct

from loop.propose.domain import Value


class Scalar(Struct, frozen=True):
    """A value with a name. It takes the bytes from `start` to `end` of its file, and stands on `line`, from 1.

    Where it cannot be set, `fixed` says why. In Python, `annotation` is what stands behind `# cockpit:`.
    """

    name: str
    value: Value
    line: int
    start: int = 0
    end: int = 0
    annotation: str | None = None
    fixed: str = ""


class Unreadable(Exception):
    """A file cannot be read, or holds an annotation that means nothing. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def spliced(source: bytes, pieces: list[tuple[Scalar, str]]) -> bytes:
    """A file with other texts in the places of these values; every other byte stays."""
    for scalar, text in sorted(pieces, key=lambda piece: -piece[0].start):
        source = source[: scalar.start] + text.encode() + source[scalar.end :]
    return source
