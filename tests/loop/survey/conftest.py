"""Surveys of small repositories."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from loop.survey.found import Survey, look
from store.place import Place, repository
from tests.conftest import git

Surveyed = Callable[..., Survey]


def place(folder: Path) -> Place:
    return repository(folder, "init")


def survey(folder: Path, *words: str, inside: str = "") -> Survey:
    return asyncio.run(look(place(folder), words, inside))


@pytest.fixture
def surveyed(tmp_path: Path) -> Surveyed:
    """The survey of a repository with these files: `surveyed({"train.py": …}, "python", "train.py")`."""

    def made(files: dict[str, str], *words: str, here: dict[str, str] | None = None, inside: str = "") -> Survey:
        folder = tmp_path / "repository"
        folder.mkdir()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "begin")
        for path, text in (here or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return survey(folder, *words, inside=inside)

    return made
