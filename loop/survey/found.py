"""All that is found of a repository, in one go: what trains, by what, moved by what, measured by what."""

import ast
import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct, field

from loop.branches import Branches, GitError
from loop.propose.literals import called
from loop.run.interpreter import imports
from loop.run.stages import environment
from loop.study import ConfigError
from loop.survey import command, cwd, folders, interpreter, knobs, metrics, options, seed, settings
from loop.survey.command import NOT_TRAINING, Train
from loop.survey.configured import entries
from loop.survey.folders import Lent
from loop.survey.interpreter import Python
from loop.survey.knobs import Guess
from loop.survey.metrics import Spoken
from loop.survey.options import Flag
from loop.survey.seed import Seed
from loop.survey.settings import Setting
from loop.survey.sources import Seen, Sources
from loop.survey.values import Known, known
from store import probed
from store.place import Place
from store.probed import Probed
from store.trail import NOWHERE

EVALUATION = re.compile(r"(^|/)(eval|evaluate|evaluation|test|validate)\.py$")
RESUMES = re.compile(r"(^|_)(resume\w*|init_from|from_checkpoint|load_checkpoint|restore)(_|$)")
MODELS = re.compile(r"model|net|layer|block|loss|optim|sched|train|module|transformer|attention|head")
MOST_EDITABLE = 10  # files
MOST_CONFIGURATION_BYTES = 2**18
TIMES_OF_A_RUN = 10  # until it is ended, of what a probe has taken


class Survey(Struct, frozen=True):
    """A repository as it was found. All is a guess, with its evidence."""

    root: Path
    sources: Sources
    train: Train
    reached: tuple[str, ...]  # the Python files that the script is made of, itself first
    editable: tuple[str, ...]
    python: Python
    knobs: tuple[Guess, ...]
    lengths: tuple[Setting, ...]  # how long training goes: for fidelity
    seed: Seed
    metrics: tuple[Spoken, ...]
    lent: tuple[Lent, ...]
    evaluations: tuple[str, ...]
    resumes: tuple[Seen, ...]
    timeout: tuple[str, str] | None  # `[run] timeout`, and what speaks for it
    notes: tuple[str, ...]
    names: Known = field(default_factory=dict)  # what the code's names stand for


class Script(Struct, frozen=True):
    """What a command starts, and what that can be set by."""

    reached: list[str]
    said: settings.Configured
    settings: list[Setting]
    notes: list[str]
    trees: dict[str, ast.Module]
    needed: frozenset[str]  # modules that are not the repository's own
    seed: Seed


async def started(branches: Branches, tree: str, sources: Sources, train: Train) -> Script:
    """What a train command starts. Raises GitError."""
    reached = await asyncio.to_thread(sources.reached, train.script, train.cwd) if train.script else []
    said = await asyncio.to_thread(settings.configured, sources, reached, train.words, train.cwd)
    said = await _read(branches, tree, sources, said)
    reached += await asyncio.to_thread(_targets, sources, reached, said, train.cwd) if reached else []

    def read() -> Script:
        trees = {path: sources.trees[path] for path in reached}
        found, notes, flags = _settings(sources, reached, train, said)
        own = {PurePosixPath(path).stem for path in sources.files} | {
            part for path in sources.files for part in PurePosixPath(path).parts[:-1]
        }
        needed = frozenset(name for path in reached for name in imports(sources.python[path]) if name not in own)
        files = {**sources.python, **sources.beside}
        by = seed.found(found, flags, trees, files, hydra=said.hydra is not None)
        return Script(reached, said, found, notes, trees, needed, by)

    return await asyncio.to_thread(read)


async def lendable(
    place: Place, branches: Branches, tree: str, sources: Sources, train: Train, script: Script
) -> tuple[list[Lent], list[str]]:
    """What the script names of what git does not have and the disk does, and what is to be said besides."""
    texts = [(str(one.value), one.seen) for one in script.settings if isinstance(one.value, str)]
    home = Path(os.environ.get("HOME") or "/nonexistent")
    named = dict(texts) | {_said(word): Seen("the command", 0) for word in train.words[1:]}
    names = known(script.trees, settings.by_name(script.settings))
    here = folders.Here(place.root, home, train.cwd)
    flags = [(one.name, str(one.value)) for one in script.settings if isinstance(one.value, str) and one.kind == "flag"]
    return await folders.found(here, sources, branches, tree, script.reached, named, names, flags)


async def look(place: Place, words: Sequence[str], inside: str) -> Survey:
    """Survey HEAD for a train command, typed in the folder `inside`; with none, for the likeliest script.

    Raises ConfigError, where something is not there that a study needs, and Unclear; GitError.
    """
    branches = await Branches.of(place, NOWHERE)
    try:
        tree = await branches.commit("HEAD")
    except GitError:
        raise ConfigError(
            f"{place.root} has no commit yet, and what runs is what is committed: "
            "`git add -A && git commit -m begin`, then the same again"
        ) from None
    sources = await Sources.of(branches, tree)
    seen = await asyncio.to_thread(probed.read, place)
    if not words and seen:
        words, inside = seen.command, "" if seen.cwd == "." else f"{seen.cwd}/"
    train = await asyncio.to_thread(_train, place.root, sources, words, inside)
    script = await started(branches, tree, sources, train)
    reached, said, found, trees = script.reached, script.said, script.settings, script.trees
    dirty = await branches.dirty()
    names = known(trees, settings.by_name(found))
    lent, notes = await lendable(place, branches, tree, sources, train, script)
    variables = environment(place.folder, "tree")
    python = await interpreter.found(place.root, sources, script.needed, variables, NOWHERE, train.python)
    same = seen if seen and (seen.command, seen.cwd) == (train.words, train.cwd) else None
    packages = python.interpreter.packages if python.interpreter else {}
    spoken = await asyncio.to_thread(metrics.found, trees, names, same if same and same.metrics else None, packages)
    changed = [path for path in dirty if path in reached or path in said.paths]
    return Survey(
        root=place.root,
        sources=sources,
        train=train,
        reached=tuple(reached),
        editable=tuple(_editable(reached)),
        python=python,
        knobs=tuple(knobs.found(found, trees)),
        lengths=tuple(knobs.lengths(found)),
        seed=script.seed,
        metrics=tuple(spoken),
        lent=(*lent, *(Lent(path, "`cockpit probe` has lent it") for path in _more(same, lent))),
        evaluations=tuple(path for path in sources.python if EVALUATION.search(path) and path not in reached)[:2],
        resumes=tuple(_resumes(found, trees)),
        timeout=_timeout(same) if same else None,
        notes=(
            *train.notes,
            *notes,
            *script.notes,
            *(
                [f"{', '.join(changed)} differs from HEAD: what is read here, and what runs, is HEAD"]
                if changed
                else []
            ),
        ),
        names=names,
    )


def _said(word: str) -> str:
    """What a word of the command says: `data` of `--data=data`."""
    return word.partition("=")[2] if "=" in word else word


def _train(root: Path, sources: Sources, words: Sequence[str], inside: str) -> Train:
    train = command.given(words, sources, inside) if words else command.found(sources, inside)
    return cwd.meant(root, sources, train)


async def _read(branches: Branches, tree: str, sources: Sources, said: settings.Configured) -> settings.Configured:
    """The same, with the files read, and those that they take in."""
    ahead, found = list(said.paths), dict[str, None]()
    while ahead:
        path = ahead.pop(0)
        if path in found:
            continue
        text = await branches.content(tree, path, MOST_CONFIGURATION_BYTES)
        if len(text) > MOST_CONFIGURATION_BYTES:
            continue  # data, and no settings
        found[path] = None
        sources.beside[path] = text
        if said.hydra:
            ahead += settings.groups(path, text, sources)
    return settings.Configured(tuple(found), said.hydra, said.overrides)


def _targets(sources: Sources, reached: Sequence[str], said: settings.Configured, where: str) -> list[str]:
    """The files that configurations name as `package.module.Class`, and what they are made of."""
    found = dict[str, None]()
    for path in said.paths:
        for _, value, _ in entries(path, sources.beside[path]):
            if isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value):
                names = (value, value.rpartition(".")[0])
                module = next((one for name in names if (one := sources.module(name, reached[0], where))), None)
                found |= dict.fromkeys(sources.reached(module, where) if module else [])
    return [path for path in found if path not in reached]


def _settings(
    sources: Sources, reached: Sequence[str], train: Train, said: settings.Configured
) -> tuple[list[Setting], list[str], list[Flag]]:
    """What the script can be set by, and what it must be given that the command does not say."""
    trees = {path: sources.trees[path] for path in reached}
    flags = options.given(options.declared(trees), train.words, Seen("the command", 0))
    missing = [f"{one.name} ({one.seen})" for one in flags if one.required and not one.given]
    if not train.typed:
        missing += [f"{one.name} ({one.seen})" for one in options.positional(trees)]
    notes = [f"the script asks for {', '.join(missing)}: put it into `[run] train`"] if missing else []
    return settings.found(sources, reached, flags, said, train.words, train.cwd), notes, flags


def _editable(reached: Sequence[str]) -> list[str]:
    """The script and what it imports, but for what evaluates, loads data or configures."""
    kept = [path for number, path in enumerate(reached) if not number or not NOT_TRAINING.search(path.lower())]
    kept = [
        path
        for path in kept
        if not re.search(r"(^|[_/])(data\w*|metrics?|loaders?|tokenizer)\.py$", path)
        and not path.endswith("__init__.py")
    ] or kept[:1]
    if len(kept) > MOST_EDITABLE:
        kept = [kept[0], *(path for path in kept[1:] if MODELS.search(PurePosixPath(path).stem))]
    return kept[:MOST_EDITABLE]


def _resumes(found: Sequence[Setting], trees: dict[str, ast.Module]) -> list[Seen]:
    named = [one.seen for one in found if RESUMES.search(one.name.lower())]
    if named:
        return named[:2]
    return [
        Seen(path, node.lineno)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and RESUMES.search(called(node).rpartition(".")[2])
    ][:2]


def _more(same: Probed | None, lent: Sequence[Lent]) -> list[str]:
    """What a probe has lent besides."""
    known = {one.path.rstrip("/") for one in lent}
    return [path for path in (same.lent if same else ()) if path.rstrip("/") not in known]


def _timeout(seen: Probed) -> tuple[str, str] | None:
    """Ten times what a run took, in minutes."""
    if not seen.good:
        return None
    seconds = max(run.wall_seconds for run in seen.good)
    minutes = max(1, -(-seconds * TIMES_OF_A_RUN // 60))
    return f"{minutes:.0f} min", f"a run took {seconds:.3g} s when it was probed"
