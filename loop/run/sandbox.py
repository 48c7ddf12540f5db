"""The wall between the code under test and this machine: bubblewrap (bwrap(1)), where it is there and holds.

Inside, this machine's files can be read and not written, but for the run's own folders. Homes, sockets, the repository
with its record, its labels and its other runs, and the recipes with their answers are not there at all. The network is
a loopback of its own, processes see each other and nobody else, and no capability is left: as root, one could have the
root mounted writable again.

That it holds is found out by doing: before a life of the engine begins, a small program behind such a wall tries what
must fail. Where it does not fail, or there is no bwrap, there is no wall, and that is said wherever cockpit speaks.
"""

import asyncio
import json
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import recipes
from loop.run.interpreter import Interpreter
from store.place import Place

NONE, BWRAP = "none", "bwrap"
APART = (
    *("--unshare-user", "--cap-drop", "ALL"),
    *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--new-session", "--die-with-parent"),
    *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"),
)
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
DEVICES = ("nvidia*", "dri", "kfd")  # under /dev, of GPUs
ANSWERS = (recipes.HERE, recipes.HERE.parent / ".git")  # of the recipes, and of the clone where cockpit is one
PARTS = ("bin", "lib", "lib64", "pyvenv.cfg")  # of a Python whose folder is also somebody's home or repository
ANSWER_SECONDS = 20.0

# Runs behind the wall, with the study's interpreter: what it could do and must not. The last line is for who asked.
PRY = """
import json, os, socket, sys
port, secret, repository, own = json.loads(sys.argv[1])
could = []
def tries(what, act):
    try:
        act()
    except OSError:
        return
    could.append(what)
tries("read the study's folder", lambda: open(secret).close())
tries("write into the repository", lambda: open(os.path.join(repository, os.path.basename(secret)), "w").close())
tries("reach a server of this machine", lambda: socket.create_connection(("127.0.0.1", port), 1))
try:
    open(os.path.join(own, "written"), "w").close()
except OSError as error:
    could.append("not write into its own folder (%s)" % error)
print(json.dumps(could))
"""


@dataclass(frozen=True, slots=True)
class Wall:
    """What stands between the code under test and this machine, and why there is nothing where there is nothing."""

    name: str = NONE
    lack: str = ""
    program: str = ""
    covered: tuple[Path, ...] = ()  # folders that are empty inside
    shown: tuple[Path, ...] = ()  # what is needed of them all the same: the interpreter, and data that is lent
    links: tuple[Path, ...] = ()  # by which the interpreter is reached
    hidden: tuple[Path, ...] = ()  # what must not be seen wherever else it lies
    sealed: tuple[Path, ...] = ()  # and of it what the scorer sees

    def __bool__(self) -> bool:
        return self.name != NONE

    def hides(self, path: Path) -> bool:
        """Whether what runs behind it does not see this file of the machine."""
        return bool(self) and _within(path, (*self.covered, *TEMPORARY)) and not _within(path, self.shown)

    def around(self, argv: list[str], folder: Path, where: Path, *, scorer: bool = False) -> list[str]:
        """The command that runs `argv` in `where`, a folder of the run folder `folder`; itself where there is no wall.

        Of the run folder it sees `where`, the home and the temporary folder of that name, and `output`.
        """
        if not self:
            return argv
        words = [self.program, *APART, *_devices()]
        temporary = folder / f"{where.name}.tmp"
        for path in filter(Path.is_dir, TEMPORARY):
            words += ["--bind", str(temporary), str(path)]
        for path in self.covered:
            words += ["--tmpfs", str(path)]
        for path in self.shown:
            words += ["--ro-bind", str(path), str(path)]
        for path in self.links:
            words += ["--symlink", str(path.readlink()), str(path)]
        for path in self.hidden:
            words += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", os.devnull, str(path)]
        for path in (where, folder / f"{where.name}.home", temporary, folder / "output"):
            words += ["--bind", str(path), str(path)]
        for path in self.sealed if scorer else ():
            words += ["--ro-bind", str(path), str(path)]
        if (launcher := folder / "accelerate.yaml").exists():
            words += ["--ro-bind", str(launcher), str(launcher)]
        for path in (*self.covered, *filter(Path.is_dir, self.hidden)):
            words += ["--remount-ro", str(path)]
        return [*words, "--setenv", "TMPDIR", str(TEMPORARY[0]), "--chdir", str(where), "--", *argv]


async def build(
    place: Place, interpreter: Interpreter, lent: Sequence[Path], sealed: Sequence[Path], variables: dict[str, str]
) -> Wall:
    """The wall of a study's runs: tried, and found to hold or to be missing. `variables` are those of a stage."""
    program = shutil.which(BWRAP)
    if program is None:
        return Wall(lack="bubblewrap is not installed: `apt install bubblewrap`")
    wall = plan(program, place, interpreter, lent, sealed)
    lack = await _tried(wall, place, interpreter, variables)
    return Wall(lack=lack) if lack else wall


def plan(program: str, place: Place, interpreter: Interpreter, lent: Sequence[Path], sealed: Sequence[Path]) -> Wall:
    """What is covered, what is shown of it all the same, and what is hidden wherever it lies."""
    homes = [Path("/home"), Path("/root"), Path(os.environ.get("HOME", "/"))]
    with suppress(KeyError):  # in a container, a user without a name
        homes.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    trees = _working_trees(place)
    found = {path.resolve() for path in (Path("/run"), *homes, *trees, place.git_dir, place.common_dir)}
    covered = sorted(path for path in found if path.is_dir() and path != Path("/"))
    absent = (*covered, *TEMPORARY)
    links, python = _links(interpreter.python)

    def whole(path: Path) -> bool:
        return not any(_within(one, [path]) for one in absent)

    prefixes = _also_resolved((*interpreter.prefixes, python.parent.parent))
    needed = {one for path in prefixes for one in ([path] if whole(path) else [path / part for part in PARTS])}
    libraries = (Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path)
    # Not the user's working trees, where an editable install of the repository leads: a run imports what is in its own.
    needed |= {
        one for one in _also_resolved((*interpreter.paths, *libraries)) if whole(one) and not _within(one, trees)
    }
    shown: list[Path] = []
    for path in sorted(needed | _also_resolved(lent)):
        if path.exists() and _within(path, absent) and not _within(path, shown):
            shown.append(path)

    data = {one.resolve() for one in sealed}
    secrets = {*ANSWERS, *data}
    return Wall(
        name=BWRAP,
        program=program,
        covered=tuple(covered),
        shown=tuple(shown),
        links=tuple(link for link in links if _within(link, absent) and not _within(link, shown)),
        hidden=tuple(
            sorted(one for one in secrets if one.exists() and (_within(one, shown) or not _within(one, absent)))
        ),
        sealed=tuple(sorted(data | {one for one in sealed if _within(one, absent)})),
    )


def _working_trees(place: Place) -> list[Path]:
    """The study's working tree, and all others of its repository (gitrepository-layout(5))."""
    main = [place.common_dir.parent] if place.common_dir.name == ".git" else []
    linked = [Path(file.read_text().strip()).parent for file in place.common_dir.glob("worktrees/*/gitdir")]
    return [place.root, *main, *linked]


def _links(python: Path) -> tuple[list[Path], Path]:
    """The links by which an interpreter is reached, and the file at their end."""
    links = []
    while python.is_symlink():
        links.append(python)
        python = Path(os.path.normpath(python.parent / python.readlink()))
    return links, python


def _also_resolved(paths: Iterable[Path]) -> set[Path]:
    return {one for path in paths for one in (path, path.resolve())}


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _devices() -> Iterator[str]:
    """The devices of GPUs, which a fresh /dev lacks."""
    for path in sorted(path for pattern in DEVICES for path in Path("/dev").glob(pattern)):
        yield from ("--dev-bind", str(path), str(path))


async def _tried(wall: Wall, place: Place, interpreter: Interpreter, variables: dict[str, str]) -> str:
    """Why a wall does not hold; nothing where it does."""
    with (
        tempfile.TemporaryDirectory(dir=place.folder, prefix="wall-") as name,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        folder, secret = Path(name), Path(name, "secret")
        secret.touch()
        for inside in ("tree", "tree.home", "tree.tmp", "output"):
            (folder / inside).mkdir()
        question = json.dumps([server.getsockname()[1], str(secret), str(place.root), str(folder / "tree")])
        words = wall.around([str(interpreter.python), "-I", "-c", PRY, question], folder, folder / "tree")
        process = await asyncio.create_subprocess_exec(
            *words, cwd="/", env=variables, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            out, errors = await asyncio.wait_for(process.communicate(), ANSWER_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"bwrap did not begin within {ANSWER_SECONDS:.0f} s"
        if process.returncode:
            said = errors.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
            return f"bwrap does not work here: {said[0]}"
        could: list[str] = json.loads(out.decode().splitlines()[-1])
        return f"bwrap does not hold here: what runs could {', '.join(could)}" if could else ""
