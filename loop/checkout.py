"""`cockpit checkout`: an experiment's tree in a folder, and beside it a script that runs it as cockpit does.

The commands, the variables, the interpreter and the seed are those of a run that was made of it: they are made as for a
run (`run/stages.py`), from what the record has of it. The script works on a copy, so that the tree stays the tree, and
may be carried elsewhere with it; what is lent to it is where it was.
"""

import asyncio
import os
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from loop.branches import Branches
from loop.evidence import NotDone
from loop.judge.runs import RERUN
from loop.propose import arguments, places
from loop.propose.documents import SUFFIXES
from loop.propose.domain import Value
from loop.propose.scalar import Unreadable
from loop.run import caches, carved, fidelity, stages
from loop.run.bench import lent, sealed
from loop.run.carved import Carved
from loop.run.folder import PUTS_SEED, lost, puts
from loop.run.laid import protected, tree_of
from loop.run.launch import TAG
from loop.run.sandbox import Wall
from loop.run.stages import Launch
from loop.schedule import seeds
from loop.study import ARGS, Revision, Settings, parse
from store import views
from store.database import Database
from store.origin import Origin, origin
from store.place import SCRATCH, Place
from store.records import Experiment, Outcome, Run, Study
from store.trail import Trail

TRUNK = "trunk"


class Laid(Struct, frozen=True):
    """What was laid out: `run` is the one that the script makes again, None where there was none."""

    one: Experiment
    commit: str
    tree: str
    folder: Path
    script: Path
    seed: int
    run: int | None


class Subject(Struct, frozen=True):
    """Of what the script is: an experiment, or trunk, and the run that is to be made again."""

    study: Study
    one: Experiment
    name: str
    commit: str
    tree: str
    run: Run
    known: bool  # whether that run was ever made
    origin: Origin
    revision: Revision
    sets: stages.Sets
    split: Carved | None  # of what is carved, as it was for that run


async def lay_out(place: Place, number: int | None, folder: Path, trail: Trail) -> Laid:
    """Fill a folder with the tree of an experiment, or of trunk, and write the script. Raises NotDone, GitError."""
    folder = folder.absolute()
    script, again = (folder.with_name(folder.name + end) for end in (".sh", ".run"))
    if not folder.name:
        raise NotDone(f"{folder} cannot have a file beside it: name another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotDone(f"{folder} is there already and not an empty folder: name another one")
    if taken := next((one for one in (script, again) if os.path.lexists(one)), None):
        raise NotDone(f"{taken} is there already, where the script or its run goes: name another folder")
    branches = await Branches.of(place, trail)
    async with await Database.open(place.folder, migrate=False) as database:
        subject = await _subject(place, database, branches, number)
    await branches.check_out(subject.tree, folder)
    text = await _script(place, branches, subject, folder)
    script.write_text(text, encoding="utf-8", errors="surrogateescape")
    script.chmod(0o755)
    run = subject.run
    made = run.id if subject.known else None
    return Laid(subject.one, subject.commit, subject.tree, folder, script, run.seed, made)


async def _subject(place: Place, database: Database, branches: Branches, number: int | None) -> Subject:
    """The experiment, or trunk, and a run of its tree: of the first seed on which it went well, as `rerun` takes it.

    That run is the newest one of its bench; where none went well, the newest. Raises NotDone.
    """
    study = await views.study(database)
    if study is None:
        raise NotDone("the study has not begun")
    one = await views.experiment(database, await views.incumbent(database) if number is None else number)
    if one is None:
        raise NotDone(f"there is no experiment {number}")
    runs = [run for run in await views.runs(database, one.number) if run.tree == one.tree]
    known = next(iter(sorted(runs, key=lambda run: (run.outcome is not Outcome.OK, -run.id))), None)
    if known is not None and known.outcome is Outcome.OK:
        alike = [run for run in runs if (run.outcome, run.bench) == (Outcome.OK, known.bench)]
        first = next((run.seed for run in alike if run.purpose != RERUN), known.seed)
        known = [run for run in alike if run.seed == first][-1]
    how = await origin(database, known)
    if how is None:
        raise NotDone("no engine has found out yet how a run is made: `cockpit resume` starts one")
    run = known or Run(
        0, one.number, "", one.tree, "", next(seeds(study.seed)), RERUN, "full", 1, "", "none", "", "", 0.0
    )
    commit = study.trunk if number is None else one.commit
    name = TRUNK if number is None else one.id
    revision = parse(how.text, place.config)
    rests = await _rested(database, branches, revision.settings, how)
    tree = await tree_of(branches, database, revision.settings, one, rests)
    sets = stages.PLAIN
    if revision.settings.fidelity:
        files = await branches.files(rests)
        code = await branches.contents(rests, [path for path in files if path.endswith((".py", *SUFFIXES))])
        sets = fidelity.found(place.config, revision, list(files), code).get(run.fidelity, sets)
    facts = how.bench.get("carved")
    split = await asyncio.to_thread(carved.stands, place.folder, revision.settings.data, facts)
    if split is None and revision.settings.data.carve:
        raise NotDone(f"{name} was measured on another split: `cockpit rerun {one.id}` measures it on this one")
    return Subject(study, one, name, commit, tree, run, known is not None, how, revision, sets, split)


async def _rested(database: Database, branches: Branches, settings: Settings, how: Origin) -> str:
    """The user's own commit on which the study rested then: its protected files are those of that run's bench."""
    now = await views.rests_on(database, await views.incumbent(database))
    for commit in (now, *await views.synced(database), await views.rests_on(database, 0)):
        files = await branches.files(commit)
        if {path: files[path] for path in protected(settings, {}, files)} == how.bench.get("protected"):
            return commit
    return now


async def _script(place: Place, branches: Branches, subject: Subject, folder: Path) -> str:
    """The whole of it."""
    facts, run, settings = subject.origin.bench, subject.run, subject.revision.settings
    python = Path(subject.origin.facts["python"])
    launch = Launch(python, facts["launch"], facts["launcher"], tuple(facts.get("import_roots", ())))
    name = shlex.quote(folder.name)
    checkouts = stages.checkouts(settings)
    under_test = [one for one in checkouts if one != "scorer"]
    rooms = " ".join(f'"$RUN"/{one}{part}' for one in checkouts for part in (".home", ".tmp"))
    lines = [
        "#!/bin/sh",
        *_comment(f"{subject.name} of the study {subject.study.name}: {subject.one.slug}"),
        *_comment(f"commit {subject.commit}, tree {subject.tree}"),
        *_comment(subject.one.hypothesis),
        *_comment(_measured(subject)),
        *_comment(
            "The commands and variables are those of cockpit, without its wall: what runs sees your files and the"
        ),
        *_comment(f"network. It runs in a copy, {folder.name}.run, which is made anew each time."),
        "set -eu",
        'HERE=$(cd -- "$(dirname -- "$0")" && pwd)',
        f'RUN="$HERE"/{name}.run',
        'rm -rf -- "$RUN"',
        f'mkdir -p -- "$RUN"/output {rooms}',
        *(f'cp -R -- "$HERE"/{name} "$RUN"/{one}' for one in under_test),
    ]
    own, trunks = await branches.files(subject.tree), await branches.files(subject.study.trunk)
    instead = {"eval": stages.trunks_own(settings, own, trunks)} if "eval" in under_test else {}
    if taken := instead.get("eval"):
        lines += ["", "# trunk's own files, for the evaluation"]
        lines += [f'rm -rf -- "$RUN"/eval/{shlex.quote(path)}' for path in taken]
        if there := [shlex.quote(path) for path, facts_of in taken.items() if facts_of]:
            git = _git(place, "eval")
            lines += [f"{git} read-tree {subject.study.trunk}", f"{git} checkout-index --force -- {' '.join(there)}"]
    for checkout in under_test:
        laid = {**own, **instead.get(checkout, {})}
        lines += [line async for line in _set(branches, subject, checkout, laid)]
    scored = "scorer" in checkouts
    if scored and settings.run.scorer and settings.data.labels:
        program = stages.SCORERS[settings.run.scorer]
        labels = subject.split.labels if subject.split else sealed(place, settings.data.labels)
        lines += ["", "# cockpit's own scorer, beside the labels", 'mkdir -- "$RUN"/scorer']
        lines += [f'cp -- {shlex.quote(str(program))} "$RUN"/scorer/']
        text = f'"$RUN"/scorer/{shlex.quote(f"labels{labels.suffix}")}'
        lines += [f"ln -s -- {shlex.quote(str(labels))} {text}"]
        if settings.run.scorer == "causal_lm":
            asks = f'{shlex.quote(str(python))} -I -S "$RUN"/scorer/{program.name} questions {text}'
            lines += [f'{asks} > "$RUN"/scorer/{stages.QUESTIONS}']
    elif scored:
        git = _git(place, "scorer")
        lines += ["", "# trunk's own files, for the scorer", 'mkdir -- "$RUN"/scorer']
        lines += [f"{git} read-tree {subject.study.trunk}", f"{git} checkout-index --all --force"]
    lines += [*_lent(place, settings, checkouts, subject.split), *_caches(under_test)]
    if launch.launcher:
        lines += ['cat > "$RUN"/accelerate.yaml <<END', stages.LAUNCHER_CONFIG.rstrip(), "END"]
    given = dict[str, list[str]]()
    if own.get(ARGS, "").startswith("100"):
        try:
            given = arguments.words(await branches.content(subject.tree, ARGS))
        except Unreadable as why:
            raise NotDone(f"{ARGS}:{why.line}: {why}") from None
    place.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.folder, prefix=SCRATCH) as scratch:
        here = Path(scratch)
        for checkout in under_test:  # so that it is known from which of its folders imports begin
            (here / checkout).symlink_to(folder)
        if scored and not settings.run.scorer:
            await branches.check_out(await branches.tree(subject.study.trunk), here / "scorer")
        # As what no other run has a hand in: nothing that was compiled before, and nothing told of what it loads.
        alone = replace(run, purpose=RERUN)
        split, divided = subject.split, facts.get("carved")
        told = settings, place.folder, here, launch, Wall(), alone, subject.commit, given, subject.sets, divided
        names = (str(place.folder / carved.NAME), str(split.labels.parent)) if split else ("", "")
        for stage in stages.commands(*told):
            variables = [_word(f"{key}={value}", scratch) for key, value in stage.env.items() if key != TAG]
            argv = [word.replace(f"{names[0]}/", f"{names[1]}/") if split else word for word in stage.argv]
            words = [_word(word, scratch) for word in argv]
            lines += [
                "",
                f"# {stage.name}, for {stage.timeout_seconds:g} s at most",
                f"cd -- {_word(stage.cwd, scratch)}",
            ]
            pipes = [f"{way} {_word(path, scratch)}" for way, path in zip("<>", stage.asked or (), strict=False)]
            lines += [" \\\n    ".join(["env -i", *variables, " ".join([*words, *pipes])])]
    return "\n".join([*lines, ""])


def _git(place: Place, checkout: str) -> str:
    """git, on a folder of the run, with an index of its own."""
    where = f'--git-dir={shlex.quote(str(place.common_dir))} --work-tree="$RUN"/{checkout}'
    return f'GIT_INDEX_FILE="$RUN"/{checkout}.index git {where}'


def _word(text: str, scratch: str) -> str:
    """A word of a command, quoted, with the folder of the run in the place of this one."""
    return '"$RUN"'.join(shlex.quote(part) if part else "" for part in text.split(scratch)) or "''"


def _comment(text: str) -> list[str]:
    """Lines that the shell passes over, whatever is in the text."""
    return [f"# {line}".rstrip() for line in re.split(r"[\r\n]+", text) if line]


def _measured(subject: Subject) -> str:
    """What the run has measured that is made again."""
    run = subject.run
    if not subject.known:
        return f"It was never run. Its first run would be on seed {run.seed}."
    values = ", ".join(f"{one.objective} {one.value!r}" for one in run.measurements)
    return f"Run {run.id} of it ({run.purpose}, seed {run.seed}): {values or run.outcome or 'it goes on'}"


def _lent(place: Place, settings: Settings, checkouts: Sequence[str], split: Carved | None) -> Iterator[str]:
    """What is lent to a run, and what is kept from it."""
    hidden = [path for path in settings.data.sealed if not path.startswith("{study}/")]
    for name in checkouts:
        for path in hidden if name != "scorer" else ():
            yield f'rm -rf -- "$RUN"/{name}/{shlex.quote(path)}  # sealed'
    for path in settings.data.read:
        if (at := lent(place, path)).is_relative_to(place.root):
            inside = at.relative_to(place.root)
            if split and any(Path(one) != inside and Path(one).is_relative_to(inside) for one in split.dev):
                yield from _linked_in_part(str(inside), at)
                continue
            yield from _linked(checkouts, str(at.relative_to(place.root)), at)
    for path, part in split.dev.items() if split else ():
        yield from _inside(path)
        yield from _linked(["tree"], path, part)
    for path in hidden if "scorer" in checkouts else ():
        link, data = f'"$RUN"/scorer/{shlex.quote(path)}', shlex.quote(str(sealed(place, path)))
        yield f'[ -e {link} ] || {{ mkdir -p -- "$(dirname -- {link})"; ln -s -- {data} {link}; }}'


def _linked_in_part(path: str, at: Path) -> Iterator[str]:
    """A folder that is lent, with links to all that is in it: one of them is to be another one."""
    link = f'"$RUN"/tree/{shlex.quote(path)}'
    yield f'rm -rf -- {link}; mkdir -p -- "$(dirname -- {link})"; cp -RLs -- {shlex.quote(str(at))} {link}'


def _inside(path: str) -> Iterator[str]:
    """Where a link leads out of the copy, nothing is taken away there: that would be the user's own."""
    folder = f'"$(dirname -- "$RUN"/tree/{shlex.quote(path)})"'
    lead = shlex.quote(f"{path}: a link leads out of the copy there, to your own data")
    yield (
        f'mkdir -p -- {folder}; case "$(cd -P -- {folder} && pwd -P)/" in "$(cd -P -- "$RUN" && pwd -P)"/*) ;; '
        f"*) echo {lead} >&2; exit 1 ;; esac"
    )


def _linked(checkouts: Iterable[str], path: str, at: Path) -> Iterator[str]:
    """A file or a folder that is lent, in the place of what git has there."""
    for name in checkouts:
        link = f'"$RUN"/{name}/{shlex.quote(path)}'
        yield f'rm -rf -- {link}; mkdir -p -- "$(dirname -- {link})"; ln -s -- {shlex.quote(str(at))} {link}'


def _caches(checkouts: Iterable[str]) -> Iterator[str]:
    """What libraries have downloaded before, in the homes of the run."""
    for cache in caches.found():
        for name in checkouts:
            link = f'"$RUN"/{name}.home/{shlex.quote(cache.place)}'
            yield f'mkdir -p -- "$(dirname -- {link})"; ln -s -- {shlex.quote(str(cache.source))} {link}'


async def _set(
    branches: Branches, subject: Subject, checkout: str, laid: Mapping[str, str | None]
) -> AsyncIterator[str]:
    """The seed, and what a fidelity sets, in the copy. `laid` are the files that lie there."""
    knob, own = subject.revision.settings.run.seed_knob, await branches.files(subject.tree)
    wanted: list[tuple[str, str, Value, str, str]] = (
        [(*knob, subject.run.seed, "[run] seed", PUTS_SEED)] if knob else []
    )
    wanted += [(*one, f"[fidelity] {subject.run.fidelity}", puts(one[2])) for one in subject.sets.constants]
    sources = dict[str, bytes]()
    for path, name, value, what, puts_it in wanted:
        if not (laid.get(path) or "").startswith("100"):
            continue
        if path not in sources:
            held = subject.tree if own.get(path) == laid[path] else subject.study.trunk
            sources[path] = await branches.content(held, path)
        try:
            before, sources[path] = sources[path], places.set_values(path, sources[path], {name: value})
        except Unreadable:  # as the run of it fails, and says so
            yield f"printf '%s\\n' {shlex.quote(f'{path}: {lost(name, puts_it)}')} >&2; exit 1"
            return
        for line in _written(before, sources[path], f'"$RUN"/{checkout}/{shlex.quote(path)}'):
            yield f"# {what}: {path}:{name}".replace("\n", " ").replace("\r", " ")
            yield line


def _written(before: bytes, after: bytes, there: str) -> Iterator[str]:
    """The lines in which a file is another one, put in the copy."""
    for number, (old, new) in enumerate(zip(before.split(b"\n"), after.split(b"\n"), strict=True), 1):
        if old != new:
            text = shlex.quote(new.decode("utf-8", "surrogateescape"))
            parts = f"sed -n '1,{number - 1}p' {there}; " if number > 1 else ""
            parts += f"printf '%s\\n' {text}; sed '1,{number}d' {there};"
            yield f'{{ {parts} }} > "$RUN"/set && cat "$RUN"/set > {there}'
