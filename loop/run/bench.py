"""What makes runs comparable: the bench. It is found out once at each start of the engine, and hashed."""

import asyncio
import hashlib
import json
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from loop.branches import Branches
from loop.propose import space
from loop.run import shadow
from loop.run.devices import cores, kind, usable
from loop.run.interpreter import Interpreter, Unusable, chosen, imports, launcher_variables, look
from loop.run.meter import DEVICE_MEMORY, ENERGY, Meter
from loop.run.sandbox import working_trees
from loop.run.stages import PYTHON, STAGES, Launch, environment, scripts
from loop.study import PRICE, ConfigError, Revision
from store.database import Database
from store.place import Place
from store.trail import Trail
from store.views import launch_variables
from store.where import where


@dataclass(frozen=True, slots=True)
class Bench:
    """The interpreter and how it is launched, the protected files, the sealed data, the device: what runs share."""

    interpreter: Interpreter
    launch: Launch
    facts: dict[str, Any]

    @property
    def hash(self) -> str:
        """Names the bench in the record."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


async def set_up(
    place: Place, revision: Revision, branches: Branches, database: Database, tree: str, meter: Meter
) -> Bench:
    """Find out what the runs of a tree share. Raises ConfigError and Unusable where they could not run at all."""
    settings, files = revision.settings, await branches.files(tree)
    await asyncio.to_thread(check, place, revision, files)
    if knob := settings.run.seed_knob:
        path, name = knob
        stands: object = None
        if files.get(path, "").startswith("100"):  # a file, and no link
            with suppress(space.Unreadable, ValueError):
                stands = space.only(await branches.content(tree, path), path, name)
        if type(stands) is not int:
            at = where(place.config, revision.text, ("run", "seed"))
            raise ConfigError(
                f"{at}: `[run] seed`: {path} is not committed, or has no line `{name} = ` with an integer at its top "
                "or in a class, or more than one; put one there and commit it, or mend the name"
            )
    needed = set[str]()
    for name in STAGES:
        reached, modules = await _reach(getattr(settings.run, name) or ":", branches, tree, files)
        needed |= modules
        if name == "score" and (touched := next(filter(settings.touchable, sorted(reached)), None)):
            at = where(place.config, revision.text, ("run", "score"))
            raise ConfigError(
                f"{at}: `[run] score`: the scorer is or imports {touched}, which must not be in "
                "`[space] edit` or `[space.knobs]`; take it out"
            )
    variables = environment(place.folder, "tree")
    interpreter = await look(chosen(place.root, settings.run.python), needed, variables, branches.trail)
    run = settings.run
    by_python = shlex.split(run.train)[0] in PYTHON
    launch = (
        await _launch(interpreter, database, variables, branches.trail) if by_python else Launch(interpreter.python, {})
    )
    roots = shadow.roots([path.resolve() for path in working_trees(place)], interpreter)
    launch = replace(launch, roots=tuple(one for one in roots if any(path.startswith(f"{one}/") for path in files)))
    facts = {
        "interpreter": {"digest": interpreter.digest, "version": interpreter.version},
        "launch": launch.variables,
        "launcher": launch.launcher,
        "device": kind(),
        "threads": cores(),
        "commands": {"train": run.train, "predict": run.predict, "score": run.score, "seed": run.seed},
        "protected": {
            path: fact for path, fact in files.items() if path != place.config.name and not settings.editable(path)
        },
        "objectives": {name: objective.direction for name, objective in settings.objectives.items()},
        "sealed": {path: await asyncio.to_thread(_digest, sealed(place, path)) for path in settings.data.sealed},
    }
    if bounded := sorted(settings.constraints.keys() - set(settings.steering)):  # which earlier runs have no value of
        facts["constraints"] = bounded
    if PRICE in settings.quantities:
        facts["device_hour"] = settings.prices.device_hour
    if {PRICE, "device_seconds", ENERGY, DEVICE_MEMORY} & set(settings.quantities):
        facts["devices"] = usable()
    if DEVICE_MEMORY in settings.quantities:
        facts["device_memory_by"] = meter.memory_by
    if sources := {name: one.source for name, one in settings.objectives.items() if one.source}:
        facts["from"] = {name: one.model_dump() for name, one in sources.items()}
        facts["selected"] = {name: one.take for name, one in sources.items() if one.selects}
    if launch.roots:
        facts["import_roots"] = launch.roots
    if settings.data.read:  # where nothing is lent, a bench is what it was before anything could be
        lines = {path: await asyncio.to_thread(_fingerprint, lent(place, path)) for path in settings.data.read}
        facts["read"] = lines
    return Bench(interpreter, launch, facts)


def check(place: Place, revision: Revision, files: dict[str, str]) -> None:
    """What `cockpit.toml` says must fit the repository. Raises ConfigError."""
    settings = revision.settings
    for pattern in settings.space.edit:
        if not any(fnmatch(path, pattern) for path in files):
            at = where(place.config, revision.text, ("space", "edit"))
            raise ConfigError(
                f"{at}: `[space] edit`: no committed file is called {pattern!r}; commit it, or mend the name"
            )
    places = [("read", lent(place, path)) for path in settings.data.read]
    for key, path in [*places, *(("sealed", sealed(place, path)) for path in settings.data.sealed)]:
        at = where(place.config, revision.text, ("data", key))
        if not path.exists():
            raise ConfigError(f"{at}: `[data] {key}`: there is no {path}; make it, or mend the name")
        if key == "sealed" and (link := _leads_out(path)):
            raise ConfigError(
                f"{at}: `[data] sealed`: {link} is a link to {link.resolve()}, which runs might read: put "
                "the data itself there"
            )
        if any(git.is_relative_to(path.resolve()) for git in (place.git_dir, place.common_dir)):
            raise ConfigError(f"{at}: `[data] {key}`: {path} holds the repository itself; name what is in it")


def _leads_out(folder: Path) -> Path | None:
    """A link below a folder that leads out of it."""
    inside = folder.resolve()
    links = (path for path in inside.rglob("*") if path.is_symlink())
    return next((link for link in links if not link.resolve().is_relative_to(inside)), None)


def lent(place: Place, path: str) -> Path:
    """Where data is that is lent to runs: in the user's working tree, or anywhere."""
    return place.root / os.path.expanduser(path)  # noqa: PTH111  # which leaves a `~` of nobody's as it is


def sealed(place: Place, path: str) -> Path:
    """Where sealed data is: in the study's folder, or in the user's working tree."""
    inside = path.removeprefix("{study}/")
    return (place.root if inside == path else place.folder) / inside


def _fingerprint(path: Path) -> str:
    """Names, sizes and times of a file, or of all files of a folder: it may be too much to be read at each start."""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            facts = file.stat()
            whole.update(f"{file.relative_to(path.parent)}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return whole.hexdigest()


async def _reach(command: str, branches: Branches, tree: str, files: dict[str, str]) -> tuple[set[str], set[str]]:
    """The files of the repository that a command names or they import, and the installed modules that these import."""
    own = {Path(path).stem for path in files} | {part for path in files for part in Path(path).parts[:-1]}
    ahead = [path for path in scripts(command, files) if path.endswith(".py")]
    reached, needed = set[str](), set[str]()
    while ahead:
        path = ahead.pop()
        reached.add(path)
        names = imports(await branches.content(tree, path))
        needed |= names - own
        near = {f"{name}.py" for name in names} | {str(Path(path).with_name(f"{name}.py")) for name in names}
        ahead += sorted((near & files.keys()) - reached)
    return reached, needed


async def _launch(interpreter: Interpreter, database: Database, variables: dict[str, str], trail: Trail) -> Launch:
    """How the train stage is started: as Accelerate's launcher would, where the interpreter has it."""
    if not interpreter.accelerate:
        return Launch(interpreter.python, {})
    asked = await launch_variables(database, interpreter.digest, kind())
    if asked is None:
        try:
            asked = await launcher_variables(interpreter, variables, trail)
        except Unusable:
            return Launch(interpreter.python, {}, launcher=True)
    return Launch(interpreter.python, asked)


def _digest(path: Path) -> str:
    """The content of a file, or of all files of a folder and their names."""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").digest()
            whole.update(f"{file.relative_to(path.parent)}\0".encode() + digest)
    return whole.hexdigest()
