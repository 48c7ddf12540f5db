"""The command line. Nothing heavy is imported before a command needs it: `cockpit --help` is quick over any line."""

import sys
from collections.abc import Coroutine
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from store.place import EngineRuns, NoStudy, Place, engine_pid, find

if TYPE_CHECKING:
    from store.database import Database
    from store.records import Engine, Experiment, Run, Study

    Standing = tuple[Study | None, Engine | None, list[Experiment]]

CONFIGURATION, USAGE, OTHER_ENGINE, MACHINE = 1, 2, 4, 5
HELP = """A research cockpit for the terminal: experiments on branches of your repository, run, measured and recorded.

    \b
    cockpit new digits d               make a study to look at
    cockpit --batch --experiments 1 d  run it without a screen

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

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder of the study's repository.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="An experiment, as e0003.")]


Answer = TypeVar("Answer")


class Usage(Exception):
    """A word on the command line stands for nothing."""


def main() -> None:
    """The console command: what is raised becomes a line on standard error and an exit status."""
    from cockpit import output

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter still gets the line
    try:
        app(prog_name="cockpit")
    except KeyboardInterrupt:
        sys.exit(130)
    except output.ReaderGone:
        sys.exit(130)
    except EngineRuns as error:
        output.error(str(error))
        sys.exit(OTHER_ENGINE)
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
    from loop.run.execution import MachineFailed
    from loop.run.interpreter import Unusable
    from loop.study import ConfigError
    from store.database import RecordTooNew

    if isinstance(error, (ConfigError, Unusable, CannotMake)):
        return CONFIGURATION
    if isinstance(error, (MachineFailed, GitError, RecordTooNew, OSError, sqlite3.Error)):
        return MACHINE
    return None


def _wait(work: Coroutine[Any, Any, Answer]) -> Answer:
    import asyncio

    return asyncio.run(work)


@app.callback(invoke_without_command=True)
def cockpit(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """The group itself: what it prints of itself."""
    from cockpit import output

    if version:
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
    as_json: Annotated[bool, typer.Option("--json", help="With --batch: print JSON lines.")] = False,
) -> None:
    """Run a study."""
    from cockpit import batch as headless

    if (experiments is not None and experiments < 1) or (minutes is not None and not 0 < minutes < inf):
        raise Usage("--experiments and --minutes take a number above zero")
    place = find(directory)
    if not batch:
        raise Usage("this version has no screen yet: `cockpit --batch` runs the study, `cockpit status` looks at it")
    raise typer.Exit(_wait(headless.run(place, experiments, None if minutes is None else minutes * 60, as_json)))


@app.command()
def new(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Which one: digits.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or one to be made.")],
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Splits the data; recorded beside the labels.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Make a study from a recipe."""
    from cockpit import output
    from loop.new import new as make

    place = _wait(make(recipe, directory, seed))
    if as_json:
        output.document({"study": place.name, "folder": str(place.root), "seed": seed})
    else:
        output.line(f"study {place.name} in {directory}, its data split with seed {seed}")
        output.line(f"next: cockpit --batch --experiments 1 {directory}")


@app.command()
def status(directory: Directory = Path(), as_json: Json = False) -> None:
    """Say where a study stands."""
    from cockpit import output
    from store.database import ask

    place = find(directory)
    pid = engine_pid(place.folder)  # before the record: an engine that ends in between has not died
    nothing: Standing = (None, None, [])
    study, engine, rows = _wait(ask(place, _standing, nothing))
    keys = output.status_keys(place.name, study, engine, pid, rows)
    if as_json:
        output.document(keys)
    else:
        output.line(output.status_page(keys))


async def _standing(database: "Database") -> "Standing":
    from store import views

    return await views.study(database), await views.last_engine(database), await views.experiments(database)


@app.command()
def experiments(directory: Directory = Path(), as_json: Json = False) -> None:
    """List the experiments of a study, oldest first."""
    from cockpit import output
    from store import views
    from store.database import ask

    none: list[Experiment] = []
    rows = _wait(ask(find(directory), views.experiments, none))
    if as_json:
        output.document({"experiments": [output.experiment_keys(row) for row in rows]})
    for row in rows if not as_json else ():
        output.line(output.experiment_line(row))


@app.command()
def show(identifier: Identifier, directory: Directory = Path(), as_json: Json = False) -> None:
    """Show one experiment, its runs and what they cost."""
    from cockpit import output

    experiment, runs = _wait(_experiment(find(directory), identifier))
    if as_json:
        output.document({**output.experiment_keys(experiment), "runs": [output.run_keys(run) for run in runs]})
    else:
        output.line(output.experiment_page(experiment, runs))


@app.command()
def logs(
    identifier: Identifier,
    directory: Directory = Path(),
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False,
    as_json: Json = False,
) -> None:
    """Print the logs of an experiment's newest run."""
    from cockpit import logs as files
    from cockpit import output

    if follow and as_json:
        raise Usage("--follow and --json do not go together")
    place = find(directory)
    experiment, runs = _wait(_experiment(place, identifier))
    if not runs:
        raise Usage(f"{experiment.id} has not run yet, so it has no log")
    folder, newest = place.folder / runs[-1].folder, runs[-1]

    async def ended() -> bool:
        _, now = await _experiment(place, identifier)
        return next(run for run in now if run.id == newest.id).outcome is not None

    async def one_look() -> bool:
        return True

    if as_json:
        stages = [{"stage": stage, "lines": lines} for stage, lines in files.whole(folder)]
        output.document({"id": experiment.id, "run": newest.id, "logs": stages})
    else:
        _wait(files.follow(folder, ended if follow else one_look))


async def _experiment(place: Place, identifier: str) -> "tuple[Experiment, list[Run]]":
    """An experiment by its id, `e0042`, `e42` or `42`, with the runs of its tree. Raises Usage where there is none."""
    from store import views
    from store.database import ask

    number = _number(identifier)
    if (experiment := await ask(place, lambda database: views.experiment(database, number), None)) is None:
        raise Usage(f"the study {place.name} has no experiment {identifier}; `cockpit experiments` lists them")
    return experiment, await ask(place, lambda database: views.runs(database, experiment.number), [])


def _number(identifier: str) -> int:
    digits = identifier.removeprefix("e")
    if not digits.isascii() or not digits.isdigit():
        raise Usage(f"{identifier!r} is no experiment; one is called e0000, e0001, …")
    return int(digits)
