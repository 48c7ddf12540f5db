"""The commands between a study and its user's own branch: what was found goes home, what they do is taken along."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cockpit.decide import NotDone, about, perhaps_named, printed, seen, submitted
from cockpit.look import Directory, Identifier, Json, Usage, one, wait
from store.place import Place, engine_pid, find

if TYPE_CHECKING:
    from store.records import Experiment, Run

NOT_THE_SAME = 6  # the exit status of a run that was made again and has failed

Whom = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID] [DIR]", help="An experiment, as e0003; without one trunk, with all that is merged."),
]

app = typer.Typer()


@app.command()
def land(
    words: Whom = None,
    squash: Annotated[bool, typer.Option("--squash", help="One commit, and none of the study's own.")] = False,
    unconfirmed: Annotated[
        bool, typer.Option("--unconfirmed", help="Also what is not confirmed on fresh seeds; its commit says so.")
    ] = False,
    fast_forward: Annotated[
        bool,
        typer.Option("--fast-forward", help="Move your own branch there too, with your files; they must be clean."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a branch off your own with the change of an experiment.

    Or of trunk: ready to be pushed, or merged.

    Your branch, files, index and stash stay as they are, whatever state they are in, but for --fast-forward.
    """
    from cockpit import output

    place, identifiers = perhaps_named(words)
    if len(identifiers) > 1:
        raise Usage(
            "one experiment is landed at a time, or trunk, which has all that is merged: `cockpit land [ID] [DIR]`"
        )
    arguments, expected = wait(about(place, *identifiers)) if identifiers else ({}, wait(seen(place)))
    stands, remotes = wait(_stands(place))
    arguments |= {"squash": squash, "unconfirmed": unconfirmed, "forward": fast_forward, **stands}
    here = str(stands["onto"] or "").removeprefix("refs/heads/")
    if fast_forward and here and not as_json:
        output.line(f"{here} is to be moved, with the files of {place.root}, if they are clean; no hook runs")
    answer = submitted(place, "land", arguments, expected)
    branch = answer.told["branch"]
    hints = [] if fast_forward else [f"`git merge --ff-only {branch}` takes it to {here or 'where you are'}"]
    hints += [f"`git push -u {remote} {branch}` offers it to others" for remote in remotes[:1]]
    runs = [f"it runs: {each}" for each in answer.told["commands"]]
    printed(place, "land", arguments, answer, [*hints, *runs], as_json)


@app.command()
def sync(directory: Directory = Path(), as_json: Json = False) -> None:
    """Take what you have committed since to trunk.

    What is merged there stays. It is run before all else.

    Files that clash are named, and nothing is merged then; `cockpit undo` takes a sync back.
    """
    place = find(directory)
    expected = wait(seen(place))
    stands, _ = wait(_stands(place))
    hints = ["`cockpit undo` takes it back"]
    printed(place, "sync", stands, submitted(place, "sync", stands, expected), hints, as_json)


@app.command()
def checkout(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="An experiment, as e0003, or `trunk`.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="An empty folder, or one to be made.")],
    directory: Directory = Path(),
    as_json: Json = False,
) -> None:
    """Lay an experiment's tree out in a folder, and how it is run.

    A script beside it runs it as it was run.

    FOLDER.sh has the commands, variables, interpreter and seed of a run of it; it works on a copy, FOLDER.run.
    """
    from cockpit import output
    from loop.checkout import lay_out
    from loop.evidence import NotDone as NotLaid
    from store.trail import SHELL, Trail

    place = find(directory)
    number = None if identifier == "trunk" else wait(one(place, identifier))[0].number
    wait(seen(place))
    try:
        laid = wait(lay_out(place, number, folder, Trail(place.folder, SHELL)))
    except NotLaid as error:
        raise NotDone(str(error)) from None
    if as_json:
        keys = {"id": laid.one.id, "commit": laid.commit, "tree": laid.tree, "folder": str(laid.folder)}
        output.document({**keys, "script": str(laid.script), "run": laid.run, "seed": laid.seed})
        return
    what = f"the one of run {laid.run}" if laid.run else "it was never run"
    output.line(f"{identifier if number is None else laid.one.id} is in {laid.folder}")
    output.line(f"`{shlex.join(['sh', str(laid.script)])}` runs it, on seed {laid.seed}: {what}")


@app.command()
def rerun(
    identifier: Identifier,
    directory: Directory = Path(),
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Else one that it was run on.")] = None,
    as_json: Json = False,
) -> None:
    """Run an experiment again, and say how that compares.

    With what is recorded: it decides nothing.

    With an engine at work it waits there for the run under way; else it is run here and now, and Ctrl-C ends it.
    """
    place = find(directory)
    about, runs = wait(one(place, identifier))
    if engine_pid(place.folder) is not None:
        asked = {"experiment": about.number, **({} if seed is None else {"seed": seed})}
        printed(place, "rerun", asked, submitted(place, "rerun", asked, {}), [], as_json)
        return
    from cockpit import output

    if not as_json:
        output.line(f"{about.id} is run again, in the foreground; it decides nothing")
    run, text = wait(_here(place, about.number, seed))
    if run is None:
        raise KeyboardInterrupt
    if as_json:
        recorded = [one for one in runs if one.seed == run.seed and one.purpose != run.purpose and one.outcome == "ok"]
        values = {m.objective: m.value for m in recorded[0].measurements} if recorded else None
        keys = {"verb": "rerun", "experiment": about.number, "seed": run.seed, "queued": False}
        output.document({**keys, "run": output.run_keys(run, place.folder), "recorded": values, "answer": text})
    else:
        output.line(text)
    if run.failed:
        raise typer.Exit(NOT_THE_SAME)


async def _here(place: Place, number: int, seed: int | None) -> "tuple[Run | None, str]":
    """One run, in this process, which is the study's engine for as long as that takes; and how it compares."""
    from cockpit.batch import end_on_signals
    from cockpit.output import Foot
    from loop.evidence import NotDone as NotRun
    from loop.rerun import rerun as again
    from loop.stop import Stop
    from store import views
    from store.database import ask

    stop = Stop()
    end_on_signals(place, stop, Foot(wanted=False))
    try:
        run = await again(place, number, seed, stop)
    except NotRun as error:
        raise NotDone(str(error)) from None
    told: dict[int, str] = await ask(place, partial(views.run_again, number=number), {})
    if run is None:
        return None, ""
    return run, told.get(run.id, f"e{number:04d} failed: {run.outcome}, {run.detail}")


async def runs_by(place: Place, experiment: "Experiment") -> list[str]:
    """The commands that an experiment runs, as one types them; nothing where its tree cannot be read."""
    from loop.branches import Branches, GitError
    from loop.typed import typed
    from store.database import Database
    from store.trail import NOWHERE

    try:
        branches = await Branches.of(place, NOWHERE)
        async with await Database.open(place.folder, migrate=False) as database:
            return await typed(place, branches, database, experiment)
    except GitError:
        return []


async def _stands(place: Place) -> tuple[dict[str, Any], list[str]]:
    """Where the user's branch stands, as seen from their folder; and where it could be pushed to."""
    from loop.branches import Branches
    from store.trail import SHELL, Trail

    branches = await Branches.of(place, Trail(place.folder, SHELL))
    where = {"head": await branches.commit("HEAD"), "onto": await branches.head(), "root": str(place.root)}
    return where, await branches.remotes()
