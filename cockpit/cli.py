"""The command line. Nothing heavy is imported before a command needs it: `cockpit --help` is quick over any line."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cockpit import before, decide, home, look, setting_up
from cockpit.look import Directory, Identifier, Json, Usage, WithChanges, limits, wait
from cockpit.opening import forgiving, screen
from store.place import CONFIG, EngineRuns, NoStudy, find
from store.records import name_of

CONFIGURATION, USAGE, OTHER_ENGINE, MACHINE, NOT_DONE = 1, 2, 4, 5, 6
DEMO, DEMO_EXPERIMENTS = "digits", 8  # in batch; about two minutes and a half on two cores
HELP = """A research cockpit for the terminal: experiments on branches of your repository, run, measured and judged.

    \b
    cockpit demo                       see it at work on a study of its own
    cockpit probe -- python train.py   what your own script takes and how it differs, before there is a study
    cockpit init -- python train.py    make a study of it: a cockpit.toml with all that was found
    cockpit new digits d               make a study to look at
    cockpit d                          run it, and watch: ? is the help, q leaves it running
    cockpit --batch --experiments 8 d  run it without a screen
    cockpit frontier d                 what came of it
    cockpit diff e0003 d               what an experiment changes
    cockpit merge e0003 d              take it; `cockpit undo d` takes that back
    cockpit resume d                   go on in the background; `cockpit pause d`, `cockpit stop d`

DIR is a folder of the study's repository, the current one by default."""


class Group(TyperGroup):
    """Commands, and without a command the study itself: `cockpit [OPTIONS] [DIR]`.

    A context is of click's type or of typer's own copy of it, as the version has it: hence Any.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Words that do not begin with a command's name are meant for the study."""
        if not args or args[0] not in (*self.commands, "--help", "--version"):
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of `cockpit [DIR]` stand beside those of the group."""
        study = self.commands["open"]
        records = [record for parameter in study.get_params(ctx) if (record := parameter.get_help_record(ctx))]
        with formatter.section("Options of cockpit [OPTIONS] [DIR]"):
            formatter.write_dl([record for record in records if "--help" not in record[0]])
        super().format_options(ctx, formatter)


app = typer.Typer(cls=Group, help=HELP, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def main() -> None:
    """The console command, whatever it is asked for."""
    forgiving()
    answered(partial(app, prog_name="cockpit"))


def answered(work: Callable[[], object]) -> None:
    """Do it: what is raised becomes a line on standard error and an exit status."""
    from cockpit import output

    try:
        work()
    except KeyboardInterrupt:
        sys.exit(130)
    except output.ReaderGone:
        sys.exit(130)
    except EngineRuns as error:
        output.error(str(error))
        sys.exit(OTHER_ENGINE)
    except decide.NotDone as error:
        output.error(str(error))
        sys.exit(NOT_DONE)
    except (NoStudy, Usage) as error:
        output.error(str(error))
        sys.exit(CONFIGURATION if isinstance(error, NoStudy) else USAGE)
    except Exception as error:
        if (status := _status(error)) is None:
            raise
        output.error(str(error) or type(error).__name__)
        sys.exit(status)


def _status(error: Exception) -> int | None:
    """The exit status of an error that a user can act on; None for one of ours, which keeps its traceback."""
    import sqlite3

    from loop.branches import GitError
    from loop.new import CannotMake
    from loop.run.interpreter import Unusable
    from loop.stop import MachineFailed
    from loop.study import ConfigError
    from loop.survey.probe import CannotProbe
    from store.commands import Unanswered
    from store.database import RecordTooNew, RecordTooOld
    from store.spawn import CONFIGURATION as MISCONFIGURED
    from store.spawn import Unstarted
    from store.where import Misconfigured

    if isinstance(error, Unstarted):
        return CONFIGURATION if error.status == MISCONFIGURED else MACHINE
    if isinstance(error, (ConfigError, Misconfigured, Unusable, CannotMake, CannotProbe)):
        return CONFIGURATION
    if isinstance(error, (MachineFailed, GitError, Unanswered, RecordTooNew, RecordTooOld, OSError, sqlite3.Error)):
        return MACHINE
    return None


@app.callback(invoke_without_command=True)
def cockpit(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """The group itself: what it prints of itself."""
    if version:
        from importlib.metadata import version as installed_version

        from cockpit import output

        output.line(f"cockpit {installed_version('research-cockpit')}")


@app.command("open", hidden=True)
def open_study(
    directory: Directory = Path(),
    batch: Annotated[bool, typer.Option("--batch", help="Run without a screen, in the foreground.")] = False,
    experiments: Annotated[
        int | None,
        typer.Option("--experiments", metavar="N", help="End when the study has N experiments, e0000 included."),
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", metavar="N", help="End after N minutes.")] = None,
    with_changes: WithChanges = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --batch: print JSON lines.")] = False,
    readonly: Annotated[bool, typer.Option("--readonly", help="Look only: nothing is started, asked or kept.")] = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw the screen with nothing beyond ASCII.")] = False,
) -> None:
    """Run a study, and look at it."""
    experiments, seconds = limits(experiments, minutes)
    place = find(directory)
    if batch:
        from cockpit import batch as headless

        if readonly:
            raise Usage("--readonly is of the screen, and --batch runs the study: `cockpit status` only looks")
        if ascii_only:
            raise Usage("--ascii is of the screen, and --batch has none")
        raise typer.Exit(wait(headless.run(place, experiments, seconds, as_json, with_changes=with_changes)))
    if as_json:
        raise Usage("--json goes with --batch")
    if readonly and (with_changes or (experiments, seconds) != (None, None)):
        raise Usage("--readonly starts no engine, so it takes no limit, and no changes along")
    from cockpit import output

    if why := output.no_screen():
        raise Usage(f"{why}: `cockpit --batch` runs the study without a screen, `cockpit status` looks at it")
    shown = screen(place, experiments, seconds, with_changes=with_changes, readonly=readonly, ascii_only=ascii_only)
    raise typer.Exit(shown)


@app.command()
def config(
    of: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="A table of cockpit.toml, as run, or cockpit.toml: all of it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print your configuration of the screen, and where it goes.

    Its theme and keys: a file to begin with.
    With the name of a table of cockpit.toml, what may stand there: each key, what it takes and what it is for.
    """
    from cockpit import configuration, output
    from cockpit.keys import shown
    from cockpit.remapping import EVERY

    if of is not None:
        return _of_the_study(of, as_json)
    file = configuration.place()
    own = configuration.read(file)
    if as_json:
        keys = {name: [shown(one) for one in own.keys.of(key)] for name, key in EVERY.items()}
        output.document({"file": str(file), "theme": own.theme, "ascii": own.is_ascii, "keys": keys})
    else:
        output.line(configuration.written(own, file).rstrip())
    return None


def _of_the_study(table: str, as_json: bool) -> None:
    """Print what may stand in a table of `cockpit.toml`, or in all of it."""
    from msgspec import to_builtins

    from cockpit import output
    from loop.study.reference import sections, text
    from store.where import meant

    known = sections()
    chosen = [section for section in known if table in (CONFIG, section.path[0])]
    if not chosen:
        every = dict.fromkeys(section.path[0] for section in known)
        raise Usage(f"{CONFIG} has no table `{table}`; {meant(table, every)}: it has {', '.join(every)}")
    if as_json:
        output.document({"tables": to_builtins(chosen)})
    else:
        output.line(text(chosen).rstrip())


@app.command()
def new(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Which one: digits, bytegpt.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or one to be made.")],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Splits the data; recorded beside the labels.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Make a study from a recipe."""
    from cockpit import output
    from loop.new import new as make

    place = wait(make(recipe, directory, seed))
    if as_json:
        output.document({"study": place.name, "folder": str(place.root), "seed": seed})
    else:
        output.line(f"study {place.name} in {directory}, its data split with seed {seed}")
        output.line(f"next: {output.command(directory)}")


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder for its study.")] = Path("cockpit-demo"),
    as_json: Annotated[bool, typer.Option("--json", help="Run in batch, and print JSON lines.")] = False,
) -> None:
    """Make a study and run it, with its screen. Another time, come back to it.

    Without a terminal it runs in batch.
    """
    from cockpit import batch, output
    from loop.new import new as make

    there = (directory / CONFIG).is_file()
    place = find(directory) if there else wait(make(DEMO, directory, seed=0))
    if not as_json:
        output.line(f"study {place.name} in {directory} {'is here already' if there else 'is made for this demo'}")
        if not (why := output.no_screen()):
            raise typer.Exit(screen(place, None, None))
        output.line(f"{why}, so it runs in batch, until it has {DEMO_EXPERIMENTS} experiments: a few minutes")
    raise typer.Exit(wait(batch.run(place, DEMO_EXPERIMENTS, None, as_json)))


@app.command()
def diff(identifier: Identifier, directory: Directory = Path(), as_json: Json = False) -> None:
    """Show what an experiment changes, as a patch.

    It is against its parent. The last lines are the commands that it runs.
    """
    from cockpit import output
    from loop.branches import patch
    from store.trail import SHELL, Trail

    place = find(directory)
    experiment, _ = wait(look.one(place, identifier))
    if experiment.parent is None:
        raise Usage(f"{experiment.id} is the baseline: it changes nothing")
    parent, _ = wait(look.one(place, name_of(experiment.parent)))
    text = wait(patch(place, parent.commit, experiment.commit, trail=Trail(place.folder, SHELL)))
    commands = wait(home.runs_by(place, experiment))
    if as_json:
        output.document({"id": experiment.id, "parent": parent.id, "diff": text, "commands": commands})
    else:
        output.patch(f"{experiment.id} from {parent.id}: {experiment.hypothesis}\n{text}".rstrip())
        output.line("\n".join(["", *(f"it runs: {each}" for each in commands)]))


app.add_typer(before.app)
app.add_typer(look.app)
app.add_typer(decide.app)
app.add_typer(home.app)
app.add_typer(setting_up.app)
