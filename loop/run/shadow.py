"""Whether a run has loaded what it was to run: an editable file comes from the run folder, or it is *shadowed*.

An editable install leads from the interpreter to the user's own working tree: a run that imported from there would
measure the same code whatever is proposed. The import roots of a run come first, so that it does not; the first runs of
the unchanged code say what they have loaded, so that what came otherwise is known.
"""

import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from loop.run import loaded
from loop.run.interpreter import WITH_VALUE, Interpreter
from store.trail import opened

PROGRAM = "loaded.py"  # in the run folder
SAID, KEPT = "tree.tmp/loaded.json", "modules.json"  # by the script, and by us
MOST_BYTES = 8 * 2**20
ATTACHED = re.compile("-(?![-WX])[^-]*[mc]")  # `-c`, `-mtrain`: what follows is no option of Python's any more


def roots(trees: Sequence[Path], interpreter: Interpreter) -> tuple[str, ...]:
    """The folders of the repository, below its own and `src`, from which the interpreter's editable installs import."""
    found: dict[str, None] = {}
    prefixes = [path.resolve() for path in interpreter.prefixes]
    for path in (path.resolve() for path in interpreter.paths):
        for tree in trees:
            if path.is_relative_to(tree) and path != tree and not any(path.is_relative_to(one) for one in prefixes):
                inside = path.relative_to(tree)
                found |= dict.fromkeys((inside.as_posix(), (inside / "src").as_posix()))
    return tuple(one for one in found if one != "src")


def lay(folder: Path) -> None:
    """Lay PROGRAM into a run folder."""
    shutil.copyfile(loaded.__file__, folder / PROGRAM)


def told(words: Sequence[str], folder: Path) -> list[str]:
    """The words after the interpreter, so that what they run says what it has loaded; themselves where it cannot."""
    skip = False
    for index, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-m" or word.endswith(".py"):
            return [*words[:index], str(folder / PROGRAM), str(folder / SAID), *words[index:]]
        elif not word.startswith("-") or ATTACHED.match(word):
            break
        else:
            skip = word in WITH_VALUE
    return list(words)


def take(folder: Path) -> dict[str, str]:
    """What a run has said that it loaded, by module; kept in its folder. Nothing where it has said nothing."""
    try:
        with os.fdopen(opened(folder / SAID), "rb") as file:
            said = json.loads(file.read(MOST_BYTES))
        found = {str(name): os.path.normpath(str(path)) for name, path in said.items()}
        (folder / KEPT).write_text(json.dumps(found))
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return found


def shadowed(modules: Mapping[str, str], tree: Path, trees: Sequence[Path], editable: Collection[str]) -> str:
    """Which editable file was loaded from elsewhere, and what to do; nothing where none was.

    `tree` is the run's checkout, `trees` are the user's own, `editable` are the editable files of the tree that ran.
    """
    own = {path.relative_to(tree).as_posix() for path in map(Path, modules.values()) if path.is_relative_to(tree)}
    for module, file in modules.items():
        path = Path(file)
        if path.is_relative_to(tree):
            continue
        for root in trees:
            if path.is_relative_to(root) and (inside := path.relative_to(root).as_posix()) in editable:
                return (
                    f"{inside} was loaded from {path}, and a proposal that changes it would change nothing: let the "
                    "script import it without a path of this machine (`sys.path`, PYTHONPATH), or install the package "
                    "with `pip install -e`, by which cockpit finds where its imports begin"
                )
        if copied := _stands_for(module, path, editable, own):
            package = module.partition(".")[0]
            return (
                f"{copied} was loaded from {path}, and a proposal that changes it would change nothing: `pip "
                f"uninstall` what has installed {package} there, or install it with `pip install -e`"
            )
    return ""


def _stands_for(module: str, path: Path, editable: Collection[str], own: Collection[str]) -> str | None:
    """The editable file that a module of a package, installed elsewhere, is a copy of by its name."""
    parts = module.split(".")
    name = [*parts, "__init__.py"] if path.name == "__init__.py" else [*parts[:-1], f"{parts[-1]}.py"]
    if len(name) < 2 or path.suffix != ".py":
        return None
    found = (one for one in editable if PurePosixPath(one).parts[-len(name) :] == tuple(name) and one not in own)
    return next(found, None)
