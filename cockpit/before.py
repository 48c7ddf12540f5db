"""The commands for the time before a study runs: `probe`, `plan`, `check`. Each takes `--json`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cockpit.look import Directory, Json, Usage, wait
from store.place import find, repository

CONFIGURATION, BASELINE_FAILED = 1, 3
COMMAND = "command"  # what stands after `--`, in the context

app = typer.Typer()


class WithCommand(TyperCommand):
    """`cockpit NAME [OPTIONS] [DIR] -- COMMAND`: what stands after `--` is a command, and no word of ours."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the command apart."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[COMMAND] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The command is said where the usage is."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND"]


@app.command(cls=WithCommand)
def probe(
    ctx: typer.Context,
    directory: Directory = Path(),
    network: Annotated[bool, typer.Option("--network", help="Let the runs reach the network.")] = False,
    limit: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="Of each run, as `90 s` or `10 min`.")
    ] = "10 min",
    as_json: Json = False,
) -> None:
    """Run the last commit a few times, and say how much it differs.

    And what it takes in time and memory, what it prints, and whether its seed takes effect.

    No cockpit.toml is needed, and nothing is written into your working tree.
    """
    from asyncio import CancelledError

    from cockpit import output, probed
    from loop.survey.probe import probe as run
    from store.probed import keys

    words = ctx.meta[COMMAND]
    if not words:
        directory, words = _train_command(directory)
    try:
        found = wait(run(directory, words, limit, _nothing if as_json else output.line, network=network))
    except (KeyboardInterrupt, CancelledError):
        output.error("the probe is ended: what it ran has ended with it, and nothing is kept")
        raise KeyboardInterrupt from None
    if as_json:
        output.document(keys(found))
    else:
        output.table("\n" + probed.page(found, _next(directory, words)))
        offers = found.good and not output.no_screen() and "init" in _commands()
        if offers and not output.asked("\nenter goes on with `cockpit init`, any other word ends: "):
            _init(directory, words)
    if not found.good:
        raise typer.Exit(BASELINE_FAILED)


def _nothing(_: str) -> None:
    pass


def _train_command(directory: Path) -> tuple[Path, Sequence[str]]:
    """Where the command of the study that is here is run, and the command. Raises Usage where there is none."""
    if not directory.is_dir():
        raise Usage(f"{directory} is no folder; the command comes after `--`: `cockpit probe -- python train.py`")
    if not repository(directory).config.is_file():
        raise Usage("say what is to run, after `--`: `cockpit probe -- python train.py`")
    from loop.study import read

    place = find(directory)
    run = read(place.config).settings.run
    words = shlex.split(run.train)
    if run.python is not None and words[0] in ("python", "python3"):
        words[0] = str(place.root / run.python)
    return (directory if run.cwd == "." else place.root / run.cwd), words


def _next(directory: Path, words: Sequence[str]) -> str:
    """How to go on."""
    where = [] if directory == Path() else [str(directory)]
    return shlex.join(["cockpit", "init", *where, "--", *words])


def _commands() -> set[str]:
    from cockpit.opening import COMMANDS

    return set(COMMANDS)


def _init(directory: Path, words: Sequence[str]) -> None:
    """Go on with `cockpit init`."""
    from cockpit import cli

    sys.argv[1:] = ["init", str(directory), "--", *words]
    cli.app(sys.argv[1:], prog_name="cockpit")


@app.command()
def plan(
    directory: Directory = Path(),
    hours: Annotated[float, typer.Option("--hours", metavar="N", help="How long it has.", min=0.01)] = 8.0,
    as_json: Json = False,
) -> None:
    """Say what a study can answer by morning.

    How many experiments there are, and the smallest gain that they can confirm.
    """
    from cockpit import output, plans
    from loop.plan import of_study
    from loop.study import read
    from store.planned import keys

    place = find(directory)
    revision = read(place.config)
    found = wait(of_study(place, revision, hours))
    if as_json:
        output.document({"study": place.name, **keys(found)})
        return
    words, folder = shlex.split(revision.settings.run.train), directory
    if (cwd := revision.settings.run.cwd) != ".":
        folder = place.root / cwd
    where = [] if folder == Path() else [str(folder)]
    how = f"`{shlex.join(['cockpit', 'probe', *where, '--', *words])}` makes it known"
    carve = revision.settings.data.carve
    split = f"\n\n{carve.share:.0%} of {carve.file} is scored, and kept from training" if carve else ""
    output.table(f"{place.name}\n\n{plans.page(found, how)}{split}")


@app.command()
def check(directory: Directory = Path(), as_json: Json = False) -> None:
    """Say what a study will run, and what is missing.

    Where, how long and with what, without running any of it.
    """
    from msgspec import to_builtins

    from cockpit import checked, output
    from loop.check import check as look

    said = to_builtins(wait(look(find(directory))))
    if as_json:
        output.document(said)
    else:
        output.line(checked.page(said))
    if said["errors"]:
        raise typer.Exit(CONFIGURATION)
