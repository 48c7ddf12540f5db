"""Studies ready to run, as data: a recipe's `study/` becomes the repository, its `prepare.py` makes the data files."""

from pathlib import Path

HERE = Path(__file__).resolve().parent


def names() -> list[str]:
    """The recipes that `cockpit new` knows, sorted."""
    return sorted(folder.parent.name for folder in HERE.glob("*/study"))


def path(name: str) -> Path:
    """The folder of a recipe. Raises KeyError for a name that is none."""
    if name not in names():
        raise KeyError(name)
    return HERE / name
