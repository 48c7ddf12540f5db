"""What makes runs comparable: the bench. It is found out once at each start of the engine, and hashed."""

import asyncio
import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from loop.branches import Branches
from loop.propose import arguments, documents, places
from loop.propose.literals import parsed
from loop.propose.scalar import Unreadable
from loop.run import fidelity, language, reached, scoring, shadow, trust
from loop.run.carved import Carved
from loop.run.devices import cores, kind, usable
from loop.run.interpreter import Interpreter, Unusable, chosen, imports, launcher_variables, look
from loop.run.meter import DEVICE_MEMORY, ENERGY, Meter
from loop.run.sandbox import working_trees
from loop.run.stages import PLAIN, PYTHON, SCORERS, STAGES, Launch, Sets, environment, scripts
from loop.study import ARGS, PRICE, ConfigError, Revision
from store.database import Database
from store.place import Place
from store.trail import Trail
from store.views import launch_variables
from store.where import where


class Bench(Struct, frozen=True):
    """The interpreter and how it is launched, the protected files, the sealed data, the device: what runs share."""

    interpreter: Interpreter
    launch: Launch
    facts: dict[str, Any]
    sets: Mapping[str, Sets]  # by fidelity; nothing where there is but one
    exposed: str = ""  # which sealed data training sees all the same
    doubts: tuple[str, ...] = ()  # about what is measured: why it counts for less than it could

    def of(self, fidelity: str) -> Sets:
        """What the runs of a fidelity are given."""
        return self.sets.get(fidelity, PLAIN)

    @property
    def hash(self) -> str:
        """Names the bench in the record."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()


async def set_up(
    place: Place,
    revision: Revision,
    branches: Branches,
    database: Database | None,
    tree: str,
    meter: Meter,
    carved: Carved | None = None,
) -> Bench:
    """Find out what the runs of a tree share. Raises ConfigError and Unusable where they could not run at all.

    `carved` is what was made of `[data] carve`.
    """
    settings, files = revision.settings, await branches.files(tree)
    await asyncio.to_thread(check, place, revision, files)
    if knob := settings.run.seed_knob:
        path, name = knob
        try:
            if not files.get(path, "").startswith("100"):  # a file, and no link
                raise ValueError(f"{path} is not committed")
            if type(stands := places.only(path, await branches.content(tree, path), name)) is not int:
                raise ValueError(f"`{name}` in {path} is {stands!r}, and no whole number")
            await asyncio.to_thread(places.set_values, path, await branches.content(tree, path), {name: stands + 1})
        except (Unreadable, ValueError) as error:
            at = where(place.config, revision.text, ("run", "seed"))
            line = f"{path}:{error.line}: " if isinstance(error, Unreadable) else ""
            raise ConfigError(
                f"{at}: `[run] seed`: {line}{error}; put a whole number there and commit it, or mend the name"
            ) from None
    if ARGS in files:
        try:
            arguments.words(await branches.content(tree, ARGS))
        except Unreadable as error:
            raise ConfigError(f"{ARGS}:{error.line}: {error}") from None
    sets = dict[str, Sets]()
    if settings.fidelity:
        code = await branches.contents(tree, [path for path in files if path.endswith((".py", *documents.SUFFIXES))])
        sets = await asyncio.to_thread(fidelity.found, place.config, revision, list(files), code)
    needed = set[str]()
    for name in STAGES:
        command = getattr(settings.run, name) or ":"
        found, modules = await reach(command, settings.run.cwd, branches, tree, files, executed=name != "score")
        needed |= modules
        if name == "score" and (touched := next(filter(settings.touchable, sorted(found)), None)):
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
        await launched(interpreter, database, variables, branches.trail)
        if by_python
        else Launch(interpreter.python, {})
    )
    roots = shadow.roots([path.resolve() for path in working_trees(place)], interpreter)
    launch = replace(launch, roots=tuple(one for one in roots if any(path.startswith(f"{one}/") for path in files)))
    facts = {
        "interpreter": {"digest": interpreter.digest, "version": interpreter.version},
        "launch": launch.variables,
        "launcher": launch.launcher,
        "device": kind(),
        "threads": cores(),
        "commands": {
            "train": run.train,
            "predict": run.predict,
            "score": run.score,
            "seed": run.seed,
            **({"eval": run.eval} if run.eval is not None else {}),
            **({"cwd": run.cwd} if run.cwd != "." else {}),
        },
        "protected": {
            path: fact for path, fact in files.items() if path != place.config.name and not settings.editable(path)
        },
        "objectives": {name: objective.direction for name, objective in settings.objectives.items()},
        "sealed": {
            path: await asyncio.to_thread(_content, sealed(place, path))
            for path in settings.data.sealed
            if not carved or path != settings.data.labels
        },
    }
    if carved:  # with the digests of both parts, and of the labels
        facts["carved"] = carved.facts
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
    if run.scorer is not None:
        own = hashlib.sha256(await asyncio.to_thread(SCORERS[run.scorer].read_bytes)).hexdigest()
        facts["scorer"] = {"name": run.scorer, "digest": own, "labels": settings.data.labels}
    if run.artifact is not None:
        facts["artifact"] = run.artifact
    if launch.roots:
        facts["import_roots"] = [*launch.roots]  # as the record has it
    if settings.data.read:  # where nothing is lent, a bench is what it was before anything could be
        lines = {path: await asyncio.to_thread(_fingerprint, lent(place, path)) for path in settings.data.read}
        facts["read"] = lines
    if settings.fidelity:
        facts["fidelity"] = settings.fidelity.model_dump()
    kept, given = ([path(place, one) for one in paths] for path, paths in (
        (sealed, settings.data.sealed), (lent, settings.data.read)
    ))  # fmt: skip
    if carved:  # and the whole file nowhere else
        kept = [*(one for one in kept if one.exists()), *(place.root / path for path in carved.dev)]
    seen = await asyncio.to_thread(trust.exposed, kept, given, files, place.root)
    return Bench(interpreter, launch, facts, sets, seen, tuple(trust.doubts(settings, files, seen)))


def check(place: Place, revision: Revision, files: Mapping[str, str]) -> None:
    """What `cockpit.toml` says must fit the repository. Raises ConfigError, with a line for each thing to mend."""
    if misfits := list(_misfits(place, revision, files)):
        raise ConfigError("\n".join(misfits))


def _misfits(place: Place, revision: Revision, files: Mapping[str, str]) -> Iterator[str]:
    settings, cwd = revision.settings, revision.settings.run.cwd
    if cwd != "." and not any(path.startswith(f"{cwd}/") for path in files):
        at = where(place.config, revision.text, ("run", "cwd"))
        what = f"{cwd} is a file" if cwd in files else f"no file of a folder {cwd} is committed"
        yield f"{at}: `[run] cwd`: {what}; put the folder in which the commands are run, from the repository's top on"
    for pattern in settings.space.edit:
        if not any(fnmatch(path, pattern) for path in files):
            at = where(place.config, revision.text, ("space", "edit"))
            yield f"{at}: `[space] edit`: no committed file is called {pattern!r}; commit it, or mend the name"
    made = settings.data.labels if settings.data.carve else None  # it is there when it is needed
    if settings.data.labels is not None and not made:
        path = sealed(place, settings.data.labels)
        at = f"{where(place.config, revision.text, ('data', 'labels'))}: `[data] labels`:"
        table = settings.run.scorer != "causal_lm"
        if path.exists() and (not path.is_file() or (table and path.suffix not in scoring.TABLES)):
            kind = f"file that ends in {', '.join(scoring.TABLES)}" if table else "file of text"
            yield f"{at} {path} is no {kind}"
        if path.exists() and not table:
            try:
                language.starts(path.stat().st_size)
            except language.Wrong as why:
                yield f"{at} {path}: {why}"
    places = [("read", lent(place, path)) for path in settings.data.read]
    for key, path in [*places, *(("sealed", sealed(place, path)) for path in settings.data.sealed if path != made)]:
        at = where(place.config, revision.text, ("data", key))
        if not path.exists():
            yield f"{at}: `[data] {key}`: there is no {path}; make it, mend the name, or take it out of the list"
        elif key == "sealed" and (link := _leads_out(path)):
            yield (
                f"{at}: `[data] sealed`: {link} is a link to {link.resolve()}, which runs might read: put "
                "the data itself there"
            )
        elif any(git.is_relative_to(path.resolve()) for git in (place.git_dir, place.common_dir)):
            yield f"{at}: `[data] {key}`: {path} holds the repository itself; name what is in it"


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


async def reach(
    command: str, cwd: str, branches: Branches, tree: str, files: Mapping[str, str], *, executed: bool = True
) -> tuple[dict[str, None], set[str]]:
    """The files that a command names or they import, those first, and the installed modules that these import.

    It is run in the folder `cwd` of the tree. `executed`: those too that they only name, which may be run from there.
    """
    own = {Path(path).stem for path in files} | {part for path in files for part in Path(path).parts[:-1]}
    python = {path for path, fact in files.items() if path.endswith(".py") and fact.startswith("100")}
    begun = [path for path in scripts(command, files, cwd) if path.endswith(".py")]
    ahead, found, needed = [*begun], dict[str, None](), set[str]()
    while ahead:
        path = ahead.pop(0)
        if path in found:
            continue
        found[path] = None
        source = await branches.content(tree, path)
        needed |= imports(source) - own
        try:
            ahead += [*reached.named(path, parsed(source), begun, python, cwd, executed=executed)]
        except Unreadable:
            continue
    return found, needed


async def launched(
    interpreter: Interpreter, database: Database | None, variables: dict[str, str], trail: Trail
) -> Launch:
    """How the train stage is started: as Accelerate's launcher would, where the interpreter has it.

    A record may know it from an earlier time.
    """
    if not interpreter.accelerate:
        return Launch(interpreter.python, {})
    asked = await launch_variables(database, interpreter.digest, kind()) if database else None
    if asked is None:
        try:
            asked = await launcher_variables(interpreter, variables, trail)
        except Unusable:
            return Launch(interpreter.python, {}, launcher=True)
    return Launch(interpreter.python, asked)


def _content(path: Path) -> str:
    """The content of a file, or of all files of a folder and their names."""
    whole = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            whole.update(f"{file.relative_to(path.parent)}\0".encode() + trust.digest(file))
    return whole.hexdigest()
