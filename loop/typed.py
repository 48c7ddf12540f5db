"""The commands that an experiment runs, as who has its branch types them: all words of `cockpit.args` stand in them.

A command is that of a full run, with the seed of the experiment's first one. It writes into `output`. No path of this
machine stands in it, so that it may stand in a commit: `inputs` is what `predict` is given, `STUDY` the study's folder.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from loop.branches import Branches
from loop.propose import arguments
from loop.propose.scalar import Unreadable
from loop.propose.seeded import VARIABLE
from loop.run import fidelity, stages
from loop.schedule import seeds
from loop.study import ARGS, ConfigError, Settings, parse
from store import views
from store.database import Database
from store.origin import origin
from store.place import Place
from store.records import Experiment

OUTPUT = "output"


async def typed(place: Place, branches: Branches, database: Database, one: Experiment, commit: str = "") -> list[str]:
    """A line for each stage that runs the code under test, of the tree of a commit: the experiment's own, else.

    Where training is lent a part of a file, a comment says so. Raises GitError.
    """
    last, study = await views.last_revision(database), await views.study(database)
    if last is None or study is None:
        return []
    try:
        settings = parse(last.text, place.config).settings
    except ConfigError:  # an earlier version has taken it
        return []
    tree = await branches.tree(commit) if commit else one.tree
    seed = next((run.seed for run in await views.runs(database, one.number)), next(seeds(study.seed)))
    given = dict[str, list[str]]()
    files = await branches.files(tree)
    if files.get(ARGS, "").startswith("100"):
        try:
            given = arguments.words(await branches.content(tree, ARGS))
        except Unreadable:  # a run of it fails, and says so
            return []
    names = [name for name in stages.names(settings) if name in arguments.TAKERS]
    values = {"output": OUTPUT, "seed": str(seed), "study": "STUDY", "inputs": "inputs"}
    how = await origin(database, None)
    installed = how.bench.get("import_roots", ()) if how else ()
    knob, reads = settings.run.seed_knob, False
    if knob and files.get(knob[0], "").startswith("100"):
        reads = VARIABLE.encode() in await branches.content(tree, knob[0])
    found = list[str]()
    for name in names:
        variables = [f"{VARIABLE}={seed}"] if reads and name == "train" else []
        if roots := _roots(settings, name, files, installed):
            variables.append(f"PYTHONPATH={shlex.quote(os.pathsep.join(roots))}")
        found.append(_line(settings, name, values, given.get(name, []), variables))
        if settings.data.carve and name == "train":
            whole = settings.data.carve.file
            found[-1] += f"  # it sees all of {whole} here; `cockpit checkout {one.id} DIR` has the split"
    return found


def _roots(settings: Settings, name: str, files: Iterable[str], installed: Iterable[str]) -> list[str]:
    """The folders from which the imports of a stage begin, beside that of its script, as seen from where it is run."""
    cwd, words = settings.run.cwd, shlex.split(str(stages.command(settings, name)))
    code = [path for path in files if path.endswith(".py")]
    script = next((path for word in words if (path := stages.inside(cwd, word)) in code), None)
    own = str(PurePosixPath(script).parent) if script else cwd
    ahead = (stages.inside(cwd, "."), stages.inside(cwd, "src"), ".", "src", *installed)
    beside = [path for path in code if str(PurePosixPath(path).parent) != own]
    needed = [one for one in dict.fromkeys(ahead) if one != own and any(_lies(path, one) for path in beside)]
    return [os.path.relpath(one, cwd) for one in needed]


def _lies(path: str, folder: str) -> bool:
    return folder == "." or path.startswith(f"{folder}/")


def _line(settings: Settings, name: str, values: Mapping[str, str], given: list[str], more: Iterable[str]) -> str:
    """The command of a stage, begun where it is run. What it is told by variables alone stands before it."""
    text, variables = str(stages.command(settings, name)), list(more)
    full = settings.fidelity.full if settings.fidelity else {}
    if name == "train" and settings.run.seed is None:
        steering = [settings.objectives[one] for one in settings.steering]
        variables += [] if all(one.deterministic for one in steering) else [f"COCKPIT_SEED={values['seed']}"]
    if name == "train" and settings.run.seed is not None and not settings.run.seed_knob:
        text = f"{text} {settings.run.seed}"
    if name == "train" and stages.SECONDS in full:
        variables.append(f"COCKPIT_MAX_SECONDS={full[stages.SECONDS]:g}")
    words = [stages.filled(word, values) for word in shlex.split(text)]
    words += [*given, *(fidelity.flags(full) if name == "train" else ())]
    line = " ".join([*variables, shlex.join(words)])
    return line if settings.run.cwd == "." else f"(cd {shlex.quote(settings.run.cwd)} && {line})"
