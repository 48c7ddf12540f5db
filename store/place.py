"""Where a study lives: `<git common dir>/cockpit/<study>/`, found from any folder of its repository without git."""

import fcntl
import os
import re
import time
import tomllib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

CONFIG = "cockpit.toml"
RECORD = "record.sqlite"
LOCK = "engine.lock"
# Begins the names of folders of a moment. What a killed engine leaves of them, the next one sweeps.
SCRATCH = "scratch-"
NO_ROOM_BYTES = 2**16  # on a disk
TWICE = re.compile(r"Cannot overwrite a value|Duplicate inline table key|Cannot declare .* twice|Cannot mutate")


class NoStudy(Exception):
    """There is no study here; the message says what was looked for and what to do."""


class Place(Struct, frozen=True):
    """The folders of one study."""

    root: Path  # the user's working tree
    git_dir: Path  # of that working tree (HEAD and index)
    common_dir: Path  # of the repository (objects and refs); the same unless the tree is a linked one
    name: str

    @property
    def config(self) -> Path:
        """The study's `cockpit.toml`, as it is in the working tree now."""
        return self.root / CONFIG

    @property
    def folder(self) -> Path:
        """The study's folder: its record, runs and sealed data."""
        return self.common_dir / "cockpit" / self.name


def find(directory: Path) -> Place:
    """The study of a folder. Raises NoStudy where there is no repository, no `cockpit.toml`, or one without a name."""
    place = repository(directory)
    if not place.config.is_file():
        raise NoStudy(
            f"{place.root} has no {CONFIG}: `cockpit init -- python train.py` writes one, "
            "`cockpit new digits DIR` makes a study to look at"
        )
    return replace(place, name=_name(place.config))


def repository(directory: Path, name: str = "") -> Place:
    """The repository of a folder, whether a study is there or not; `name` is its folder's. Raises NoStudy."""
    start = directory.resolve()
    if not start.is_dir():
        raise NoStudy(f"{directory} is not a folder")
    for root in (start, *start.parents):
        if (root / ".git").exists():
            break
    else:
        raise NoStudy(
            f"{start} is not in a git repository: `git init` makes one, `cockpit new digits DIR` a whole study"
        )
    git_dir = root / ".git"
    if git_dir.is_file():  # a linked working tree or a submodule
        git_dir = (root / git_dir.read_text().removeprefix("gitdir:").strip()).resolve()
    pointer = git_dir / "commondir"
    common_dir = (git_dir / pointer.read_text().strip()).resolve() if pointer.exists() else git_dir
    return Place(root, git_dir, common_dir, name)


def _name(config: Path) -> str:
    """The study's name: `[study] name`, else the folder's. The file as a whole is checked by who runs the study."""
    try:
        text = config.read_text("utf-8")
        table = tomllib.loads(text).get("study", {})
    except tomllib.TOMLDecodeError as error:
        raise NoStudy(no_toml(config, text, error)) from error
    except UnicodeDecodeError as error:
        raise NoStudy(f"{config}: {error}") from error
    given = table.get("name") if isinstance(table, dict) else None
    name = given if isinstance(given, str) else config.parent.name
    if not safe_name(name):
        raise NoStudy(
            f"{config}: a study cannot be called {name!r}: give `[study] name` letters, digits, - _ and . only, "
            "for it becomes a folder and a part of branch names"
        )
    return name


def no_toml(file: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    """What is wrong with a file that is no TOML. Of a key that stands there twice, which one, and where."""
    message = str(error)
    at = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if not at or not TWICE.match(message):
        return f"{file}: {message}"
    lines = text.splitlines()[: int(at[1])]
    heads = [head[1] for line in lines if (head := re.match(r"\s*(\[+[^\]]*\]+)", line))]
    inner = re.search(r"Duplicate inline table key '(.*)'", message)
    keys = [line.partition("=")[0].strip() for line in lines if "=" in line]
    own = keys[-1] if keys and not lines[-1].lstrip().startswith("[") else ""
    path = ".".join(filter(None, (own, inner[1] if inner else "")))
    return f"{file}:{at[1]}: `{' '.join(filter(None, [*heads[-1:], path]))}` is said twice; leave one of the two"


def safe_name(name: str) -> bool:
    """Whether a study may be called so: it becomes a folder and a part of branch names."""
    return bool(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]|\.(?!\.))*", name)) and not name.endswith((".", ".lock"))


class EngineRuns(Exception):
    """Another engine holds the study's lock. `pid` is its process, None where it has not said so yet."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"another engine runs this study (pid {pid or 'not known yet'})")
        self.pid = pid


def take_engine_lock(folder: Path) -> int:
    """Become the study's engine: a descriptor that holds the lock until it is closed or the process dies.

    May block for half a second. Raises EngineRuns where there is one already.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + 0.5
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:  # until then it may be somebody who only looks
            os.close(descriptor)
            raise EngineRuns(engine_pid(folder))
        time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def is_full(folder: Path) -> bool:
    """Whether its disk has no room even for a word."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < NO_ROOM_BYTES


def engine_pid(folder: Path) -> int | None:
    """The process of the engine that runs this study now, or None. Looks at the lock for an instant and lets it go."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _lock(descriptor, fcntl.LOCK_SH):
            return None
        text = os.pread(descriptor, 32, 0)
        return int(text) if text.strip().isdigit() else None
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
