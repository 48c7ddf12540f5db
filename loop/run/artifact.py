"""What training leaves that counts, `[run] artifact`: where it is looked for, and how many parameters it holds."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from loop.run import tensors
from loop.run.interpreter import Failed, answer
from loop.run.sandbox import Wall
from loop.study import Settings
from store.trail import Trail

PATIENCE_SECONDS = 2.0 * tensors.SECONDS


class Counted(Struct, frozen=True):
    """The parameters of a model, and which of several entries that is; or why they are not known."""

    parameters: int | None = None
    of: str = ""
    lack: str = ""


def places(settings: Settings, folder: Path) -> tuple[tuple[str, str], ...]:
    """Where the artifact may be in a run folder: each a folder, and the name in it. The first that has some counts."""
    if settings.run.artifact is None:
        return ()
    name = settings.run.artifact.removeprefix("{output}/")
    there = ("output",) if name != settings.run.artifact else ("output", f"tree/{settings.run.cwd}")
    return tuple((str(folder / one), name) for one in there)


async def count(folder: Path, left: Sequence[tuple[str, int]], wall: Wall, python: Path, trail: Trail) -> Counted:
    """How many parameters these files of a run folder hold. With each stands when it was last changed, in nanoseconds.

    Read by the study's interpreter, behind the wall, with so much memory and time: the code under test has made them.
    """
    inside = folder.resolve()
    paths = [Path(path) for path, _ in left if Path(path).is_relative_to(inside)]
    named = {"/".join(path.relative_to(inside).parts[1:]): str(path) for path in paths}  # without `output` or `tree`
    if changed := await asyncio.to_thread(_changed, left):
        return Counted(
            lack=f"{Path(changed).name} was changed when training had ended: what that leaves is what counts"
        )
    words = [str(python), "-I", "-S", "-c", Path(tensors.__file__).read_text(), json.dumps(named)]
    words = wall.around(words, folder, folder / "tree")
    try:
        said = await answer(words, {}, trail, "the parameters of a model", PATIENCE_SECONDS)
        found, of, lack = said.get("parameters"), str(said.get("of", "")), str(said.get("lack", ""))
    except (OSError, Failed, ValueError, IndexError, AttributeError) as why:
        return Counted(lack=f"what counts the parameters {why}")
    if type(found) is not int:
        return Counted(lack=f"the parameters are not known: {lack}")
    return Counted(found, f"parameters: {of}" if of else "")


def _changed(left: Sequence[tuple[str, int]]) -> str:
    """The first of these that is another one by now."""
    for path, then in left:
        try:
            if Path(path).lstat().st_ctime_ns != then:
                return path
        except OSError:
            return path
    return ""
