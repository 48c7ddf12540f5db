"""How far what a study measures can be trusted, and what keeps it from more: said at its start, and wherever it stands.

What is *scored* was scored on data that training has not seen. That holds where it is sealed, and where no file that
training does see has the same content.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from loop.run.stages import names, source
from loop.study import Settings
from store.records import Source

BLOCK_BYTES = 2**20


def exposed(sealed: Sequence[Path], read: Sequence[Path], files: Mapping[str, str], root: Path) -> str:
    """Which sealed file training sees under another name: committed, or in what is lent to it; nothing where none is.

    `files` are those of the tree, by path. Reads what is sealed, and of what is lent what has the size of it: call it
    in a thread.
    """
    hidden = [path.relative_to(root).as_posix() for path in sealed if path.is_relative_to(root)]
    seen = {
        facts.split(" ")[2]: path
        for path, facts in files.items()
        if facts.startswith("100") and not any(path == one or path.startswith(f"{one}/") for one in hidden)
    }
    sizes: dict[int, list[Path]] = {}
    for file in _files(sealed):
        size = file.stat().st_size
        sizes.setdefault(size, []).append(file)
        kinds = {40: "sha1", 64: "sha256"}
        for kind in {kinds[len(oid)] for oid in seen}:
            if (oid := digest(file, kind, f"blob {size}\0".encode()).hex()) in seen:
                return f"{file} is also {seen[oid]}, which is committed"
    for file in _files(read):
        if alike := sizes.get(file.stat().st_size):
            content = digest(file)
            if twin := next((one for one in alike if one.resolve() != file.resolve() and digest(one) == content), None):
                return f"{twin} is also {file}, which is lent to runs"
    return ""


def doubts(settings: Settings, files: Iterable[str], seen: str) -> list[str]:
    """Why what its stages print counts for less than it could, a sentence for each; `seen` is what is `exposed`."""
    found, run = [], settings.run
    files = list(files)
    for name in names(settings):
        if name == "score" and not settings.data.sealed:
            found.append(
                "nothing is sealed, so training may see what it is scored on: what `score` prints is *evaluated*; "
                "name the labels in `[data] sealed`"
            )
        elif name == "score" and seen:
            found.append(f"training sees what is sealed: {seen}; so what is scored is *evaluated*")
        elif name in ("predict", "eval") and source(settings, name, files) is Source.REPORTED:
            found.append(
                f"`{getattr(run, name)}` names a file that proposals may edit, or none that is committed: what "
                f"`{name}` prints is *reported*"
            )
    return found


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """All files of these, or in these, that are not empty."""
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and file.stat().st_size:
                yield file


def digest(file: Path, kind: str = "sha256", begins: bytes = b"") -> bytes:
    """The digest of a file's content, behind what it `begins` with. Reads it: call it in a thread."""
    whole = hashlib.new(kind, begins, usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            whole.update(block)
    return whole.digest()
