"""The wall between the code under test and this machine: bubblewrap (bwrap(1)), where it is there and holds.

Inside, this machine's files can be read and not written, but for the run's own folders. Homes, the repository with its
record, its labels and its other runs, `/run` with its sockets, and the recipes with their answers are not there at all.
The network is a loopback of its own, processes see each other and nobody else, and none has a capability: as root, one
could have the root mounted writable again.

All that is covered, shown or hidden is named by its resolved path, and links are made anew as links: two names of one
folder would be two mounts, and what hides under the one could be seen under the other.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

import recipes
from loop.run import caches
from loop.run.caches import Cache
from loop.run.interpreter import Failed, Interpreter, answer
from loop.run.shadow import PROGRAM
from store.place import SCRATCH, Place
from store.trail import NOWHERE, Trail

NONE, BWRAP = "none", "bwrap"
APART_NETWORK = "--unshare-net"
APART = (
    *("--unshare-user", "--cap-drop", "ALL"),
    *("--unshare-pid", APART_NETWORK, "--unshare-ipc", "--unshare-uts", "--new-session", "--die-with-parent"),
    *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"),
    # To root, the kernel's settings are open without any capability, and one of them names a program that it starts.
    *("--ro-bind", "/proc/sys", "/proc/sys"),
    *(word for name in ("sysrq-trigger", "irq", "bus", "mtrr", "acpi", "scsi", "fs")
      for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")),
)  # fmt: skip
LAYERS = "--overlay-src"  # since bwrap 0.11, where the kernel lets who is not root have them
NO_MORE_NAMESPACES = "--disable-userns"  # in which one has all capabilities again, as far as they go; since bwrap 0.8
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
DEVICES = ("nvidia*", "dri", "kfd")  # under /dev, of GPUs
# Of the recipes, and of the clone where cockpit is one.
ANSWERS = (recipes.HERE, (recipes.HERE.parent / ".git").resolve())
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
tries("change the kernel's settings", lambda: open("/proc/sys/kernel/core_pattern", "r+").close())
tries("read the study's folder", lambda: open(secret).close())
tries("write into the repository", lambda: open(os.path.join(repository, os.path.basename(secret)), "w").close())
tries("reach a server of this machine", lambda: socket.create_connection(("127.0.0.1", port), 1))
try:
    open(os.path.join(own, "written"), "w").close()
except OSError as error:
    could.append("not write into its own folder (%s)" % error)
print(json.dumps(could))
"""


class Wall(Struct, frozen=True):
    """What stands between the code under test and this machine, and why there is nothing where there is nothing."""

    name: str = NONE
    lack: str = ""
    program: tuple[str, ...] = ()  # bwrap, and how it is to be apart
    temporary: tuple[Path, ...] = ()  # in whose place a run has its own
    covered: tuple[Path, ...] = ()  # folders that are empty inside
    shown: tuple[Path, ...] = ()  # what is needed of them all the same: the interpreter, and data that is lent
    links: tuple[Path, ...] = ()  # by which that is reached
    hidden: tuple[Path, ...] = ()  # what must not be seen wherever else it lies
    sealed: tuple[Path, ...] = ()  # and of it what the scorer sees
    instead: tuple[tuple[Path, Path], ...] = ()  # of what is seen, what is put in its place: a part of it
    caches: tuple[Cache, ...] = ()  # of libraries, that a run finds in its home
    layered: bool = False  # whether they are mounted under a layer each, that takes what is written

    def __bool__(self) -> bool:
        return self.name != NONE

    def hides(self, path: Path) -> bool:
        """Whether what runs behind it does not see this file of the machine."""
        path = path.resolve()
        return bool(self) and _within(path, (*self.covered, *self.temporary)) and not _within(path, self.shown)

    def furnish(self, temporary: Path) -> None:
        """Make a run's fresh temporary folder ready: the links that are to be found in this machine's."""
        for path in self.links:
            for place in self.temporary:
                if path.is_relative_to(place) and not _within(path, self.covered):
                    link = temporary / path.relative_to(place)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(path.readlink())

    def lend(self, folder: Path, name: str) -> None:
        """Make the caches ready for what is to run in the folder of this name, in a fresh run folder."""
        for index, cache in enumerate(self.caches):
            found = folder / f"{name}.home" / cache.place
            if self.layered:
                for part in _layer(folder, name, index):
                    part.mkdir(parents=True)
                found.parent.mkdir(parents=True, exist_ok=True)
                found.symlink_to(_mounted(folder, name, cache))
            else:
                caches.make_anew(cache.source, found)

    def around(
        self,
        argv: list[str],
        folder: Path,
        where: Path,
        *,
        writes: Sequence[Path] = (),
        reads: Sequence[Path] = (),
        scorer: bool = False,
        begins: Path | None = None,
    ) -> list[str]:
        """The command that runs `argv` in `where`, a folder of the run folder `folder`; itself where there is no wall.

        It begins there, or in the folder `begins` of it. Of the run folder it sees `where`, the home and the temporary
        folder of that name, and `output`; of what else there is, it may write to `writes`, and sees `reads`, which no
        other stage does.
        """
        if not self:
            return argv
        words = [*self.program, *_devices()]
        temporary = folder / f"{where.name}.tmp"
        for path in self.temporary:
            words += ["--bind", str(temporary), str(path)]
        for path in self.covered:
            words += ["--tmpfs", str(path)]
        for path in self.shown:
            words += ["--ro-bind", str(path), str(path)]
        for path in self.links:
            if _within(path, self.covered):  # the others are there: `furnish`
                words += ["--symlink", str(path.readlink()), str(path)]
        for path in self.hidden:
            words += ["--tmpfs", str(path)] if path.is_dir() else ["--ro-bind", os.devnull, str(path)]
        for path, part in self.instead:
            words += ["--ro-bind", str(part), str(path)]
        for path in reads:
            words += ["--ro-bind", str(path), str(path)]
        home = folder / f"{where.name}.home"
        for path in (where, home, temporary, folder / "output", *writes):
            words += ["--bind", str(path), str(path)]
        for index, cache in enumerate(self.caches if self.layered else ()):
            layer = [str(part) for part in _layer(folder, where.name, index)]
            words += [LAYERS, str(cache.source), "--overlay", *layer, str(_mounted(folder, where.name, cache))]
        for path in self.sealed if scorer else ():
            words += ["--ro-bind", str(path), str(path)]
        for path in (folder / "accelerate.yaml", folder / PROGRAM):
            if path.exists():
                words += ["--ro-bind", str(path), str(path)]
        for path in (*self.covered, *filter(Path.is_dir, self.hidden)):
            words += ["--remount-ro", str(path)]
        return [*words, "--setenv", "TMPDIR", "/tmp", "--chdir", str(begins or where), "--", *argv]


async def build(
    place: Place,
    interpreter: Interpreter,
    lent: Sequence[Path],
    sealed: Sequence[Path],
    variables: dict[str, str],
    trail: Trail = NOWHERE,
    instead: Mapping[Path, Path] = {},
) -> Wall:
    """The wall of a study's runs: tried, and found to hold or to be missing. `variables` are those of a stage.

    `instead` are files of which runs see a part, each with the part.
    """
    secrets = [path.resolve() for path in (place.git_dir, place.common_dir, *sealed, *ANSWERS)]
    usable = tuple(
        cache
        for cache in caches.found()
        if not _within(cache.source, secrets)
        and not any(_within(path, [cache.source]) for path in (place.root.resolve(), *secrets))
    )
    program = shutil.which(BWRAP)
    if program is None:
        return Wall(lack="bubblewrap is not installed: `apt install bubblewrap`")
    said = await _help(program, trail)
    words = (program, *APART, *((NO_MORE_NAMESPACES,) if NO_MORE_NAMESPACES in said else ()))
    wall = plan(words, place, interpreter, [*lent, *(cache.source for cache in usable)], sealed, instead)
    wall = replace(wall, caches=usable, layered=bool(usable) and LAYERS in said)
    lack = await _tried(wall, place, interpreter, variables, trail)
    if lack and wall.layered:  # it may be the layers: on a network's file system, on a layer of another
        wall = replace(wall, layered=False)
        lack = await _tried(wall, place, interpreter, variables, trail)
    # Without a wall what a run finds of a cache would lead to the user's own files, which it could change.
    return Wall(lack=lack) if lack else wall


def with_network(wall: Wall) -> Wall:
    """The same wall, open to this machine's network: names are looked up as they are outside."""
    names = Path("/etc/resolv.conf").resolve()
    shown = (*wall.shown, names) if wall.hides(names) and names.is_file() else wall.shown
    return replace(wall, program=tuple(word for word in wall.program if word != APART_NETWORK), shown=shown)


def plan(
    program: tuple[str, ...],
    place: Place,
    interpreter: Interpreter,
    lent: Sequence[Path],
    sealed: Sequence[Path],
    instead: Mapping[Path, Path] = {},
) -> Wall:
    """What is covered, what is shown of it all the same, and what is hidden wherever it lies."""
    homes = [Path("/home"), Path("/root"), Path(os.environ.get("HOME") or "/")]
    with suppress(KeyError):  # in a container, a user without a name
        homes.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    trees = [path.resolve() for path in working_trees(place)]
    found = {path.resolve() for path in (Path("/run"), *homes, *trees, place.git_dir, place.common_dir)}
    covered = sorted(path for path in found if path.is_dir() and path != Path("/"))
    temporary = sorted({path.resolve() for path in TEMPORARY if path.is_dir()})  # one may lead to the other
    absent = (*covered, *temporary)

    def whole(path: Path) -> bool:
        """Whether nothing of what is to be absent lies below a path."""
        return not any(_within(one, [path]) for one in absent)

    python, *prefixes = (path.resolve() for path in (interpreter.python, *interpreter.prefixes))
    needed = {
        one
        for path in (python.parent.parent, *prefixes)
        for one in ([path] if whole(path) else [(path / part).resolve() for part in PARTS])
    }
    libraries = [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
    imported = {path.resolve() for path in (*interpreter.paths, *libraries)}
    # Not the user's working trees, where an editable install of the repository leads: a run imports what is in its own.
    needed |= {path for path in imported if whole(path) and not _within(path, trees)}
    shown: list[Path] = []
    for path in sorted(needed | {path.resolve() for path in (*lent, *instead.values())}):
        if path.exists() and _within(path, absent) and not _within(path, shown):
            shown.append(path)

    data = {path.resolve() for path in sealed}
    named = (interpreter.python, *interpreter.prefixes, *interpreter.paths, *libraries, *lent, *sealed)
    links = {link for path in named for link in _links(path)}
    secrets = {*ANSWERS, *data, *_alternates(place)}
    return Wall(
        name=BWRAP,
        program=program,
        temporary=tuple(temporary),
        covered=tuple(covered),
        shown=tuple(shown),
        links=tuple(sorted(link for link in links if _within(link, absent) and not _within(link, shown))),
        hidden=tuple(
            sorted(one for one in secrets if one.exists() and (_within(one, shown) or not _within(one, absent)))
        ),
        sealed=tuple(sorted(data)),
        instead=tuple(sorted(
            (whole.resolve(), part.resolve()) for whole, part in instead.items()
            if whole.exists() and (_within(whole.resolve(), shown) or not _within(whole.resolve(), absent))
        )),
    )  # fmt: skip


def working_trees(place: Place) -> list[Path]:
    """The study's working tree, and all others of its repository (gitrepository-layout(5))."""
    main = [place.common_dir.parent] if place.common_dir.name == ".git" else []
    linked = [Path(file.read_text().strip()).parent for file in place.common_dir.glob("worktrees/*/gitdir")]
    return [place.root, *main, *linked]


def _alternates(place: Place) -> list[Path]:
    """Where else git finds the repository's objects, and in them what is sealed (gitrepository-layout(5))."""
    file = place.common_dir / "objects" / "info" / "alternates"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [(place.common_dir / "objects" / line).resolve() for line in lines if line and not line.startswith("#")]


def _links(path: Path) -> list[Path]:
    """The symbolic links on the way to a path, each by a name without a link in it."""
    found: list[Path] = []
    at, ahead = Path("/"), [*reversed(path.parts[1:])]
    while ahead:
        part = ahead.pop()
        at = at.parent if part == ".." else at / part
        if at.is_symlink() and at not in found:
            found.append(at)
            to = at.readlink()
            at = Path("/") if to.is_absolute() else at.parent
            ahead += reversed(to.parts[1:] if to.is_absolute() else to.parts)
    return found


def _layer(folder: Path, name: str, index: int) -> tuple[Path, Path]:
    """Where the kernel puts what is written over a cache, and where it prepares that."""
    layer = folder / f"{name}.layers" / str(index)
    return layer / "written", layer / "work"


def _mounted(folder: Path, name: str, cache: Cache) -> Path:
    """Where the kernel puts a cache with its layer: not below a home, of which an earlier stage can make anything."""
    return folder / f"{name}.caches" / cache.place


def _within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _devices() -> Iterator[str]:
    """The devices of GPUs, which a fresh /dev lacks."""
    for path in sorted(path for pattern in DEVICES for path in Path("/dev").glob(pattern)):
        yield from ("--dev-bind", str(path), str(path))


async def _help(program: str, trail: Trail) -> str:
    pipe, words = asyncio.subprocess.PIPE, (program, "--help")
    with trail.running(words, purpose="what this bwrap can do", reads=True) as ran:
        process = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        out, _ = await process.communicate()
        ran.ended(process.returncode, out)
    return out.decode(errors="replace")


async def _tried(wall: Wall, place: Place, interpreter: Interpreter, variables: dict[str, str], trail: Trail) -> str:
    """Why a wall does not hold; nothing where it does."""
    with (
        tempfile.TemporaryDirectory(dir=place.folder, prefix=SCRATCH) as name,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        folder, secret = Path(name), Path(name, "secret")
        secret.touch()
        for inside in ("tree", "tree.home", "tree.tmp", "output"):
            (folder / inside).mkdir()
        wall.furnish(folder / "tree.tmp")
        if wall.layered:
            wall.lend(folder, "tree")
        question = json.dumps([server.getsockname()[1], str(secret), str(place.root), str(folder / "tree")])
        words = wall.around([str(interpreter.python), "-I", "-c", PRY, question], folder, folder / "tree")
        try:
            could: list[str] = await answer(words, variables, trail, "whether the wall holds", ANSWER_SECONDS)
        except (OSError, Failed) as why:
            return f"bwrap {why}"
        except (ValueError, IndexError):
            return f"{interpreter.python} does not say what it could do behind bwrap"
        return f"bwrap does not hold here: what runs could {', '.join(could)}" if could else ""
