"""What runs must be lent: data that the code names, that is here, and that git does not have."""

import ast
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from msgspec import Struct

from loop.branches import Branches
from loop.propose.literals import literal
from loop.survey.sources import POINTER, Seen, Sources
from loop.survey.values import Known, folded, keywords

MOST_ENTRIES = 5_000  # of a folder whose size is asked
MOST_PATHS = 12
# What a script makes, and does not need.
MADE = re.compile(
    r"(outs?|outputs?|runs?|logs?|checkpoints?|ckpts?|wandb|lightning_logs|mlruns|results?|te?mp|build|dist|venv|env|samples"
    r"|figures|plots|node_modules|__pycache__)",
    re.IGNORECASE,
)
WRITES = {
    "makedirs", "mkdir", "rmtree", "save", "savez", "savez_compressed", "savetxt", "savefig", "imsave", "save_file",
    "save_model", "save_pretrained", "dump", "export", "to_csv", "to_json", "to_parquet", "to_pickle", "SummaryWriter",
    "FileHandler", "write_text", "write_bytes",
}  # fmt: skip
# Of flags that say where to write, but for those that say from where to go on.
SAVES = re.compile(
    r"(?!.*(?:load|resume|restore|from|init|pretrained|input|data))"
    r"(?:.*_)?(?:save|saves|saved|out|output|outputs|ckpt|checkpoint|checkpoints|log|logs|logdir|outdir|export|onnx"
    r"|dump|results?)(?:_.*)?"
)


class Lent(Struct, frozen=True):
    """A path for `[data] read`."""

    path: str
    evidence: str


class Here(Struct, frozen=True):
    """The folders on this machine that paths are meant from."""

    root: Path
    home: Path
    cwd: str = "."  # in the repository, in which the script is run

    def at(self, path: str) -> Path:
        """The path of one that is lent."""
        return self.home / path[2:] if path.startswith("~/") else self.root / path


async def found(
    here: Here,
    sources: Sources,
    branches: Branches,
    tree: str,
    reached: Sequence[str],
    named: Mapping[str, Seen],
    names: Known,
    flags: Sequence[tuple[str, str]] = (),
) -> tuple[list[Lent], list[str]]:
    """What to lend, and what is to be said besides: of pointers of Git LFS, and of submodules.

    `named` are texts beside those of the code that could be paths, `flags` are names of flags with theirs.
    """
    said = {**dict(texts(sources, reached, names)), **named}
    lent, notes = dict[str, Seen](), list[str]()
    for path, seen in _missed(here, sources, said, made(here, sources, reached, names, flags)):
        lent.setdefault(path, seen)
    submodules = [path for path, facts in sources.files.items() if facts.startswith("160000 ")]
    for one in submodules:
        if f"{one}/" in lent:
            notes.append(
                f"{one} is a submodule, which no run checks out: it is lent as it lies here ({lent[f'{one}/']})"
            )
    if left := [one for one in submodules if f"{one}/" not in lent]:
        notes.append(f"submodules are not checked out in runs: {', '.join(left)}; lend what is needed by `[data] read`")
    for path, pointer, seen in _kept_elsewhere(here, sources, said):
        if not (await branches.content(tree, pointer, 200)).startswith(POINTER):
            continue
        kept_so = f"{pointer} is kept by Git LFS, of which a run has the pointer alone"
        if _is_pointer(here.root / pointer):
            notes.append(f"{kept_so}, and so have you: `git lfs pull`, then `cockpit init` again ({seen})")
        else:
            lent.setdefault(path, seen)
            notes.append(f"{kept_so}: yours is lent ({seen})")
    kept = _without_inner(list(lent)[: 4 * MOST_PATHS])[:MOST_PATHS]
    outside = [one for one in kept if one.startswith(("/", "~"))]
    ignored = await branches.ignored([one for one in kept if one not in outside])
    how = {
        one: "out of a run's sight" if one in outside else "ignored by git" if one in ignored else "not committed"
        for one in kept
    }
    kept = [one for one in kept if _size(here.at(one)) != _bytes(0)]
    return [Lent(one, f"{_size(here.at(one))}, {how[one]}; {lent[one]}") for one in kept], list(dict.fromkeys(notes))


def _missed(here: Here, sources: Sources, said: Mapping[str, Seen], own: "Made") -> Iterator[tuple[str, Seen]]:
    """The paths that are here and that a run would miss, each with where it is named."""
    folders = {parent.as_posix() for path in sources.files for parent in PurePosixPath(path).parents}
    modules = [path for path, facts in sources.files.items() if facts.startswith("160000 ")]
    for text, seen in said.items():
        path, inside = _meant(text, here)
        if path is None or not path.exists() or inside == "." or path == here.home:
            continue
        if inside is None:
            yield text, seen
        elif module := next((one for one in modules if inside == one or inside.startswith(f"{one}/")), None):
            yield f"{module}/", seen
        elif not own(inside) and (outermost := _outermost(inside, sources.files, folders)):
            yield f"{outermost}/" if (here.root / outermost).is_dir() else outermost, seen
        elif path.is_dir() and not own(inside):  # git has a part of it
            names = {PurePosixPath(one).name for one in said}
            for one in sorted(names):
                if f"{inside}/{one}" not in sources.files and (path / one).is_file():
                    yield f"{inside}/{one}", seen


def _kept_elsewhere(here: Here, sources: Sources, said: Mapping[str, Seen]) -> Iterator[tuple[str, str, Seen]]:
    """The committed paths that Git LFS may keep, each with a file of it, and where it is named."""
    pointed = _patterns(here.root, sources)
    every = [path for path in sources.files if pointed(path)]
    for text, seen in said.items() if every else ():
        path, inside = _meant(text, here)
        if path is not None and inside and inside != ".":
            one = next((file for file in every if file == inside or file.startswith(f"{inside}/")), None)
            if one is not None:
                yield (f"{inside}/" if path.is_dir() else inside), one, seen


def texts(sources: Sources, reached: Sequence[str], names: Known) -> Iterator[tuple[str, Seen]]:
    """The texts of the code that could be paths, as far as they can be made up."""
    for path in reached:
        for node in ast.walk(sources.trees[path]):
            if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Call | ast.Name):
                text = folded(node, names)
                if isinstance(text, str) and 0 < len(text) < 300 and "\n" not in text and "\0" not in text:
                    yield text, Seen(path, node.lineno)


def made(
    here: Here, sources: Sources, reached: Sequence[str], names: Known, flags: Sequence[tuple[str, str]] = ()
) -> "Made":
    """What the script writes to."""
    written = [text for name, text in flags if text and SAVES.fullmatch(name.lower())]
    for path in reached:
        for node in ast.walk(sources.trees[path]):
            whose: ast.expr | None = None
            match node:
                case ast.Call(func=ast.Attribute(value=whose, attr=name)):
                    modes = node.args[:2]  # of `Path.open` it is the first
                case ast.Call(func=ast.Name(id=name)):
                    modes = node.args[1:2]
                case _:
                    continue
            said = [literal(one) for one in (*modes, keywords(node).get("mode"))]
            if name in WRITES or (name == "open" and any(re.fullmatch("[rwxabt+]*[wxa+][bt+]*", f"{x}") for x in said)):
                texts = (folded(one, names) for one in (whose, *node.args, *keywords(node).values()))
                written += [text for text in texts if isinstance(text, str) and text]
    return Made(frozenset(os.path.normpath(PurePosixPath(here.cwd, text)) for text in written), here.cwd)


class Made(Struct, frozen=True):
    """What a script makes itself."""

    written: frozenset[str]
    cwd: str

    def __call__(self, inside: str) -> bool:
        """Whether a path is, or lies in, what it writes."""
        parts = PurePosixPath(inside).parts
        heads = {"/".join(parts[: count + 1]) for count in range(len(parts))}
        first = (PurePosixPath(inside.removeprefix(f"{self.cwd}/")).parts or parts)[0]
        return bool(heads & self.written) or bool(MADE.fullmatch(first)) or first.startswith(".")


def _meant(text: str, here: Here) -> tuple[Path | None, str | None]:
    """The path that a text is, and its name in the repository; None where it is none that could be lent."""
    root, home = here.root, here.home
    if text.startswith("~/"):
        return home / text[2:], None
    if text.startswith("/"):
        path = Path(os.path.normpath(text))
        if path.is_relative_to(root):
            return path, path.relative_to(root).as_posix()
        return (path, None) if path.is_relative_to(home) else (None, None)
    inside = os.path.normpath(PurePosixPath(here.cwd, text))
    if inside.startswith("..") or any(character in text for character in "*?<>|:"):
        return None, None
    try:
        there = (root / inside).exists()
    except OSError:
        return None, None
    return (root / inside, Path(inside).as_posix()) if there else (None, None)


def _outermost(inside: str, files: Mapping[str, str], folders: Collection[str]) -> str | None:
    """The outermost folder above a path, or itself, of which nothing is committed; None where some of it is."""
    parts = PurePosixPath(inside).parts
    return next(
        (
            part
            for count in range(1, len(parts) + 1)
            if (part := "/".join(parts[:count])) not in files and part not in folders
        ),
        None,
    )


def _without_inner(paths: Sequence[str]) -> list[str]:
    return [
        one
        for one in paths
        if not any(other != one and other.endswith("/") and one.startswith(other) for other in paths)
    ]


class Patterns(Struct, frozen=True):
    """The patterns that attributes hand to Git LFS."""

    patterns: tuple[str, ...]

    def __call__(self, path: str) -> bool:
        """Whether a file is one of them."""
        return any(fnmatch(path, one) or fnmatch(PurePosixPath(path).name, one) for one in self.patterns)


def _patterns(root: Path, sources: Sources) -> Patterns:
    found = []
    for path in sources.files:
        if PurePosixPath(path).name == ".gitattributes":
            try:
                lines = (root / path).read_text("utf-8", "replace").splitlines()
            except OSError:
                continue
            found += [line.split()[0] for line in lines if "filter=lfs" in line and not line.startswith("#")]
    return Patterns(tuple(found))


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(POINTER)) == POINTER
    except OSError:
        return True


def _size(path: Path) -> str:
    """The size of a file or a folder; of a folder with very many entries a part is counted, and that is said."""
    if not path.is_dir():
        return _bytes(path.stat().st_size)
    total, entries, ahead = 0, 0, [path]
    while ahead:
        try:
            with os.scandir(ahead.pop()) as listed:
                for one in listed:
                    entries += 1
                    if entries > MOST_ENTRIES:
                        return f"more than {_bytes(total)}"
                    if one.is_dir(follow_symlinks=False):
                        ahead.append(Path(one.path))
                    else:
                        total += one.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return _bytes(total)


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"
