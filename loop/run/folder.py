"""A run's folder: what is laid into it before the run begins, and what goes from it after its end."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

from loop.branches import Branches, GitError
from loop.propose import arguments, places
from loop.propose.domain import Value
from loop.propose.scalar import Unreadable
from loop.run import carved, stages
from loop.run.bench import lent, sealed
from loop.run.sandbox import Wall
from loop.study import ARGS, Settings
from store.place import Place
from store.trail import Trail

PUTS_SEED = "[run] seed puts the seed"
PARTS = (".home", ".tmp")  # what each checkout has beside it
LEFT = [f"{name}{part}" for name in set(stages.CHECKOUTS.values()) for part in ("", *PARTS, ".layers")]  # by a run


async def delete(folders: list[Path], trail: Trail) -> None:
    """Delete folders, however deep they are and whatever rights the code under test has taken away."""
    for words in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        null = asyncio.subprocess.DEVNULL
        argv = [*words, "--", *map(str, folders)]
        with trail.running(argv) as ran:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=null, stdout=null, stderr=null, start_new_session=True
            )
            ran.ended(status := await process.wait())
        if status == 0 and words[0] == "rm":
            return  # nothing was in its way, as nearly always


def _link(checkout: Path, path: Path | str, target: Path) -> bool:
    """Lend a file or a folder under a name in a checkout, in the place of what git has there; whether that was done."""
    name = checkout / path
    if not Path(os.path.realpath(name.parent)).is_relative_to(os.path.realpath(checkout)):
        return False  # a link leads there already, and what it leads to is the user's own
    if name.is_dir() and not name.is_symlink():
        shutil.rmtree(name)
    name.unlink(missing_ok=True)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target)
    return True


def puts(value: Value) -> str:
    """How a fidelity sets a value, in words of `cockpit.toml`."""
    return f"[fidelity] puts {value!r}"


def lost(name: str, what: str) -> str:
    """Why a run cannot be given what it is to be given: a proposal has taken the place away."""
    return f"there is no `{name}` any more, where {what}"


def _set(file: Path, name: str, value: Value, what: str) -> None:
    """Write what a run is given where the code has it. A proposal that has no such place any more fails, and says so.

    `what` puts it there, in words of `cockpit.toml`.
    """
    if file.is_symlink() or not file.is_file():
        return
    try:
        text = places.set_values(file.name, file.read_bytes(), {name: value})
    except Unreadable:
        why = lost(name, what)
        text = f"raise SystemExit({why!r})\n".encode() if file.suffix == ".py" else why.encode()
    file.write_bytes(text)


def given(checkout: Path) -> dict[str, list[str]]:
    """The words of `cockpit.args` for each stage. Raises GitError where it is malformed: nothing can be begun."""
    file = checkout / ARGS
    try:
        return arguments.words(file.read_bytes()) if file.is_file() and not file.is_symlink() else {}
    except Unreadable as error:
        raise GitError(f"{ARGS}:{error.line}: {error}") from None


def keep_for_sync(folder: Path) -> None:
    """What W&B has left offline in a run's checkout goes beside its outputs, for a later `wandb sync`."""
    tree = Path(os.path.realpath(folder / "tree"))
    with suppress(OSError):
        for found in [
            one for depth in ("wandb", "*/wandb", "*/*/wandb") for one in tree.glob(f"{depth}/offline-run-*")
        ]:
            # Not by way of a link, to what is lent. One that leads to itself has no other path, and is no folder.
            if os.path.realpath(found) == str(found) and found.is_dir():
                (folder / "wandb").mkdir(exist_ok=True)
                with suppress(OSError):
                    found.rename(folder / "wandb" / found.name)


async def fill(
    folder: Path,
    place: Place,
    settings: Settings,
    branches: Branches,
    wall: Wall,
    launched: stages.Launch,
    tree: str,
    seed: int,
    trunk: str | None = None,
    sets: stages.Sets = stages.PLAIN,
) -> None:
    """Into a fresh run folder: a checkout for each stage, with a home and a temporary folder of its own.

    Of the code under test it is its tree without what is sealed; for eval, with trunk's own files wherever a proposal
    may change nothing. For the scorer it is `trunk`, unless it is cockpit's own. What a fidelity `sets` is set there.
    Of what is carved it has the part of training.
    """
    (folder / "output").mkdir(parents=True)
    await asyncio.to_thread(stages.make_room, place.folder)
    hidden = tuple(path for path in settings.data.sealed if not path.startswith("{study}/"))
    for name in stages.checkouts(settings):
        for part in PARTS:
            (folder / f"{name}{part}").mkdir()
        wall.furnish(folder / f"{name}.tmp")
        await asyncio.to_thread(wall.lend, folder, name)
        if name == "scorer" and settings.run.scorer and settings.data.labels:
            labels = Path(os.path.realpath(sealed(place, settings.data.labels)))
            await asyncio.to_thread(stages.lay_scorer, folder / name, settings.run.scorer, labels)
            continue
        if name == "scorer":
            await branches.check_out(trunk or tree, folder / name)
            continue
        instead: dict[str, str | None] = {}
        if name == "eval":
            own, trunks = await branches.files(tree), await branches.files(trunk or tree)
            instead = stages.trunks_own(settings, own, trunks)
        await branches.check_out(tree, folder / name, hidden, instead)
        if knob := settings.run.seed_knob:
            await asyncio.to_thread(_set, folder / name / knob[0], knob[1], seed, PUTS_SEED)
        for path, constant, value in sets.constants:
            await asyncio.to_thread(_set, folder / name / path, constant, value, puts(value))
    for path in settings.data.read:
        if (at := lent(place, path)).is_relative_to(place.root):
            for name in stages.checkouts(settings):
                await asyncio.to_thread(_link, folder / name, at.relative_to(place.root), at)
    if split := await asyncio.to_thread(carved.stands, place.folder, settings.data):
        for whole, dev in split.dev.items():
            laid = await asyncio.to_thread(_link, folder / "tree", whole, dev)
            behind = Path(os.path.realpath(folder / "tree" / whole))
            if not laid and behind not in dict(wall.instead):  # in which the part stands in its place
                raise OSError(f"{whole}: a link leads out of the checkout there, where a run would see all of {behind}")
    for path in hidden if (folder / "scorer").exists() else ():  # what git does not track: from where it stands
        if not (folder / "scorer" / path).exists():
            await asyncio.to_thread(_link, folder / "scorer", path, sealed(place, path))
    if launched.launcher:
        (folder / "accelerate.yaml").write_text(stages.LAUNCHER_CONFIG)
