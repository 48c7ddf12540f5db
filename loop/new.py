"""A new study from a recipe: its files become a repository, and what the scorer keeps goes to the study's folder."""

import asyncio
import shutil
import sys
from pathlib import Path

import recipes
from loop.branches import new_repository
from store.place import Place, find
from store.trail import SHELL, Trail


class CannotMake(Exception):
    """The study cannot be made here; the message says why and what to do."""


async def new(recipe: str, folder: Path, seed: int) -> Place:
    """Make the study of a recipe in a folder that is empty or does not exist yet. Raises CannotMake and GitError."""
    try:
        source = recipes.path(recipe)
    except KeyError:
        raise CannotMake(f"there is no recipe {recipe!r}; there is: {', '.join(recipes.names())}") from None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotMake(f"{folder} is there already and not an empty folder; name another one")
    inside = next((parent for parent in folder.resolve().parents if (parent / ".git").exists()), None)
    if inside:
        raise CannotMake(f"{folder} would lie inside the git repository {inside}; name a folder outside of it")

    made = not folder.exists()
    try:
        shutil.copytree(source / "study", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / ".git").mkdir()  # so that the study has its place before the first commit
        place = find(folder)
        trail = Trail(place.folder, SHELL)
        await _prepare(source, place, seed, trail)
        await new_repository(place.root, f"The {recipe} study, split with seed {seed}", trail)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if not made:
            folder.mkdir()
        raise
    return place


async def _prepare(source: Path, place: Place, seed: int, trail: Trail) -> None:
    """Let the recipe make its data: files into the repository, what is sealed into the study's folder."""
    words = [sys.executable, "-I", str(source / "prepare.py"), str(place.root), str(place.folder), str(seed)]
    with trail.running(words, purpose="prepare the recipe's data") as ran:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        ran.ended(process.returncode, out)
    if process.returncode:
        raise CannotMake(f"the recipe could not be prepared: {out.decode(errors='replace').strip()[-500:]}")
