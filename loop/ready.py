"""Whether a study can start: all that is looked at before anything runs, with each problem in one list.

What is an *error* here a start refuses, and `check` says; a *warning* both of them say. What one step refuses does not
keep the next from being looked at, so that all there is to mend is said at once. Nothing of the user's code is started:
the interpreter is asked what it has, and the wall is tried.
"""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from msgspec import Struct, field

from loop import budget
from loop.branches import Branches
from loop.judge.preset import check as check_preset
from loop.propose.prepare import knobs_of
from loop.propose.space import Knob
from loop.propose.which import Choice, choose
from loop.run import bench, carved, costs, fidelity, meter, sandbox, stages
from loop.run.bench import Bench
from loop.run.carved import Carved
from loop.run.devices import usable
from loop.run.interpreter import Unusable, script_of
from loop.run.meter import Meter
from loop.run.quiet import Quiet
from loop.run.sandbox import Wall
from loop.study import ConfigError, Revision
from store.database import Database
from store.place import Place
from store.records import Study
from store.where import where

T = TypeVar("T")


MOST_DRAFTED = 2**18  # bytes of a script that is looked at


class Problem(Struct, frozen=True):
    """Something to mend before a start, which refuses an error; or to know."""

    severity: Literal["error", "warning"]
    text: str


class Ready(Struct):
    """What a start goes on with, and what is in its way. What a step has refused to give is None."""

    meter: Meter
    quiet: Quiet
    problems: list[Problem] = field(default_factory=list)
    split: Carved | None = None  # what is carved
    bench: Bench | None = None
    wall: Wall | None = None
    knobs: tuple[Knob, ...] | None = None
    chosen: Choice | None = None
    unusable: bool = False  # whether it is the interpreter that is in the way

    def texts(self, severity: Literal["error", "warning"]) -> list[str]:
        """The problems of a severity, each once."""
        return list(dict.fromkeys(one.text for one in self.problems if one.severity == severity))

    def started(self) -> tuple[Bench, Wall, tuple[Knob, ...], Choice]:
        """What a start goes on with. Raises ConfigError, or Unusable, with a line for each error."""
        if errors := self.texts("error"):
            raise (Unusable if self.unusable else ConfigError)("\n".join(errors))
        assert self.bench is not None and self.wall is not None and self.knobs is not None and self.chosen is not None
        return self.bench, self.wall, self.knobs, self.chosen


def no_commit(place: Place) -> str:
    """What is said where there is nothing yet to begin from."""
    return f"{place.root} has no commit yet: `git add -A && git commit` first, a study starts from HEAD"


async def look(
    place: Place,
    revision: Revision,
    branches: Branches,
    database: Database | None,
    tree: str,
    study: Study | None,
    walled: Place | None = None,
    carved_in: Path | None = None,
) -> Ready:
    """Look at all of it, for runs of a tree. Raises GitError and OSError.

    `study` is what the record says of it. The wall is tried in the folder of `walled`, and what is carved is divided in
    `carved_in`, where those are other ones than the study's, and the study has no such split.
    """
    settings, trail, config = revision.settings, branches.trail, place.config
    ready = Ready(await meter.look(trail), Quiet())

    def error(text: str) -> None:
        ready.problems.append(Problem("error", text))

    def warning(text: str) -> None:
        ready.problems.append(Problem("warning", text))

    async def tried(step: Awaitable[T]) -> T | None:
        try:
            return await step
        except (ConfigError, Unusable) as why:
            ready.unusable = isinstance(why, Unusable) and not ready.texts("error")
            for line in str(why).split("\n"):
                error(line)
            return None

    if study is not None and study.seed != settings.study.seed:
        error(
            f"{config}: `[study] seed` is {settings.study.seed}, and the study began with {study.seed}: put that back, "
            "or give the study another name"
        )
    files = await branches.files(tree)
    ready.problems += _scripts(place, revision, files)
    ready.problems += [one async for one in _drafts(revision, branches, tree, files)]
    if left_out := await branches.submodules(tree):
        warning(f"submodules, which are not checked out: {', '.join(left_out)}")
    ready.split = await tried(carved.made(place, revision, branches, tree, carved_in or place.folder, place.folder))
    if ready.split is not None or settings.data.carve is None:
        set_up = bench.set_up(place, revision, branches, database, tree, ready.meter, ready.split)
        ready.bench = await tried(set_up)
    if ready.bench is not None:
        lent = [bench.lent(place, path) for path in settings.data.read]
        sealed = [bench.sealed(place, path) for path in settings.data.sealed]
        inside = walled or place
        variables = stages.environment(inside.folder, "tree")
        instead = {place.root / path: part for path, part in ready.split.dev.items()} if ready.split else {}
        ready.wall = await sandbox.build(inside, ready.bench.interpreter, lent, sealed, variables, trail, instead)
        await tried(asyncio.to_thread(stages.check, config, settings, ready.wall))
        if ready.wall.lack:
            warning(
                "no wall: what runs can read your files and reach the network; run only code that you trust. "
                f"{ready.wall.lack}"
            )
    await tried(asyncio.to_thread(check_preset, config, revision))
    await tried(asyncio.to_thread(costs.check, config, revision, ready.meter))
    await tried(asyncio.to_thread(budget.check, config, revision, usable(), ready.meter))
    ready.knobs = await tried(knobs_of(place, revision, branches, tree))
    if ready.knobs is not None and ready.bench is not None:
        keys = [knob.key for knob in ready.knobs]
        await tried(asyncio.to_thread(fidelity.check, config, revision, ready.bench.sets, keys))
    if not ready.knobs and not settings.space.edit and ready.knobs is not None:
        warning("no knob and no editable file: nothing to search")
    ready.chosen = await tried(choose(place, revision, ready.quiet, trail))
    return ready


async def _drafts(
    revision: Revision, branches: Branches, tree: str, files: Mapping[str, str]
) -> AsyncIterator[Problem]:
    """The scripts of the commands that stop at once, for they were drafted and are not done."""
    run = revision.settings.run
    for command in filter(None, (run.predict, run.score)):
        for path in stages.scripts(command, files, run.cwd):
            text = await branches.content(tree, path, MOST_DRAFTED) if path.endswith(".py") else b""
            if re.search(rb"(?m)^sys\.exit\(.* is a draft of `cockpit init --scored`", text):
                said = f"{path} is a draft still, and stops at once: do its TODO lines, take the line `sys.exit` out"
                yield Problem("error", f"{said}, and commit")


def _scripts(place: Place, revision: Revision, files: Mapping[str, str]) -> Iterator[Problem]:
    """The scripts of the commands that a run would not find: an error where Python itself is told to run one.

    What is lent may hold one. In a text that a shell is given nothing is looked for.
    """
    run, lent = revision.settings.run, [bench.lent(place, path) for path in revision.settings.data.read]
    for name in stages.STAGES:
        words = shlex.split(getattr(run, name) or "")
        own = script_of(words) if words and words[0] in stages.PYTHON else None
        for number, word in enumerate(words):
            path = stages.inside(run.cwd, word)
            if not word.endswith(".py") or word.startswith(("/", "-", "{")) or " " in word or path in files:
                continue
            if any((place.root / path).is_relative_to(one) for one in lent):
                continue
            at = where(place.config, revision.text, ("run", name))
            if any(files.get(above.as_posix(), "").startswith("120000") for above in PurePosixPath(path).parents):
                continue  # a committed link leads there
            beside = next((file for file in files if Path(file).name == Path(word).name), "")
            mend = f"there is {beside}; `[run] cwd` is where commands are run" if beside else "commit it"
            text = f"{at}: `[run] {name}`: {path} is not committed: {mend}, or mend the name"
            yield Problem("error" if number == own else "warning", text)
