"""By which Python the script runs: the environments that there are, and which of them has what it imports."""

import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from loop.run.interpreter import Interpreter, Unusable, chosen, lacking
from loop.survey.sources import Sources
from store.trail import Trail

FOLDERS = (".venv", "venv", "env", ".env", ".pixi/envs/default")
CONDA = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba", ".conda")
TYPED = "as it was typed"
MADE_BY = {
    "uv.lock": "uv sync",
    "poetry.lock": "poetry install",
    "pdm.lock": "pdm install",
    "pixi.lock": "pixi install",
}


class Python(Struct, frozen=True):
    """The interpreter of the study."""

    path: Path
    evidence: str
    interpreter: Interpreter | None = None  # None where it does not start
    missing: tuple[str, ...] = ()  # of what the script imports
    named: str | None = None  # as `[run] python` has to say it; None where cockpit takes it by itself
    note: str = ""  # an environment that is described and not there


async def found(
    root: Path,
    sources: Sources,
    needed: frozenset[str],
    variables: Mapping[str, str],
    trail: Trail,
    typed: str | None = None,
) -> Python:
    """The one that was typed, else the first here that has all that is needed, else the one that lacks least."""
    default = chosen(root, None)
    if typed is not None:
        path = root / typed
        said = _said(path, root)
        try:
            interpreter, missing = await lacking(path, needed, dict(variables), trail)
        except Unusable:
            return Python(path, f"{TYPED}; it does not start", named=said)
        return Python(path, TYPED, interpreter, missing, said)
    usable = list[Python]()
    for path, evidence in _places(root, sources, default).items():
        try:
            interpreter, missing = await lacking(path, needed, dict(variables), trail)
        except Unusable:
            continue
        named = None if path == default else _said(path, root)
        usable.append(Python(path, evidence, interpreter, missing, named))
        if not missing:
            break
    note = _to_be_made(root, sources)
    if not usable:
        return Python(default, "it does not start", note=note)
    best = min(usable, key=lambda one: len(one.missing))
    return Python(best.path, best.evidence, best.interpreter, best.missing, best.named, note)


def _places(root: Path, sources: Sources, default: Path) -> dict[Path, str]:
    """The interpreters of environments that are there, the likeliest first, each with what speaks for it."""
    home = Path(os.environ.get("HOME") or "/")
    environments = [(root / name, name) for name in FOLDERS]
    if name := _conda(root, sources):
        environments += [(home / one / "envs" / name, f"environment.yml: {name}") for one in CONDA]
    if name := _poetry(root, sources):
        there = home / ".cache/pypoetry/virtualenvs"
        environments += [(path, "poetry.lock") for path in sorted(there.glob(f"{name}-*-py3*"))]
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if os.environ.get(variable):
            environments.append((Path(os.environ[variable]), f"${variable}, which is active"))
    lock = next((name for name in MADE_BY if name in sources.files), "")
    found = dict[Path, str]()
    for folder, evidence in environments:
        if (folder / "bin" / "python").exists():
            by = f"{evidence}, {lock}" if lock and folder.parent == root else evidence
            found.setdefault(folder / "bin" / "python", by)
    found.setdefault(default, "cockpit's own, for there is no environment here")
    if typed := shutil.which("python"):
        found.setdefault(Path(typed), "`python` on the PATH")
    return found


def _said(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _conda(root: Path, sources: Sources) -> str | None:
    """The name of the environment that a file of conda's describes."""
    for name in ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml"):
        if name in sources.files and (said := re.search(r"(?m)^name:\s*([\w.-]+)\s*$", _read(root / name))):
            return said[1]
    return None


def _poetry(root: Path, sources: Sources) -> str | None:
    """The name of the project, where poetry makes its environment."""
    if "poetry.lock" not in sources.files:
        return None
    try:
        table = tomllib.loads(_read(root / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        return None
    for part in (table.get("tool", {}).get("poetry", {}), table.get("project", {})):
        if isinstance(part, dict) and isinstance(name := part.get("name"), str):
            return re.sub(r"[^a-z0-9]+", "-", name.lower())
    return None


def _to_be_made(root: Path, sources: Sources) -> str:
    """What would make the environment that the repository describes, where it is not in the repository's folder."""
    if any((root / name / "bin" / "python").exists() for name in FOLDERS):
        return ""
    return next(
        (f"{lock} is here and no .venv: `{make}` makes it" for lock, make in MADE_BY.items() if lock in sources.files),
        "",
    )


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")[: 2**16]
    except OSError:
        return ""
