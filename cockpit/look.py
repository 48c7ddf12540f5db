"""The commands that only look: status, experiments, one of them, frontier, ledger, logs, … Each takes `--json`."""

from collections.abc import Coroutine
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from store.place import Place, engine_pid, find

if TYPE_CHECKING:
    from cockpit.besides import Beside
    from store.account import Account
    from store.calls import Told
    from store.database import Database
    from store.records import (
        Agreement,
        Call,
        Decision,
        Engine,
        Experiment,
        Frontier,
        Keeps,
        Limit,
        Progress,
        Reference,
        Rerun,
        Returns,
        Revision,
        Run,
        Study,
    )

    Standing = tuple[
        Study | None, Engine | None, list[Experiment], int, Keeps | None, bool, list[Limit], Decision | None,
        int | None, Revision | None, list[Agreement],
    ]  # fmt: skip
    Away = tuple[list[str], dict[str, Any]] | None
    Booked = tuple[Account, list[Limit], dict[str, dict[str, dict[str, float]]], Keeps | None]
    Spoken = tuple[Told | None, Engine | None]
    Drawn = tuple[
        tuple[Frontier, list[Reference]], list[Experiment], Keeps | None, Returns | None, list[Progress],
        list[Agreement], list[str],
    ]  # fmt: skip

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder of the study's repository.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
WithChanges = Annotated[
    bool,
    typer.Option(
        "--with-changes",
        help="Begin from the working tree as it is, with what is not committed and not ignored, and not from HEAD.",
    ),
]
Identifier = Annotated[str, typer.Argument(metavar="ID", help="An experiment, as e0003.")]
Answer = TypeVar("Answer")

app = typer.Typer()


class Usage(Exception):
    """A word on the command line stands for nothing."""


def limits(experiments: int | None, minutes: float | None) -> tuple[int | None, float | None]:
    """What an engine may take, as the options have it: a number of experiments, and seconds. Raises Usage."""
    if (experiments is not None and experiments < 1) or (minutes is not None and not 0 < minutes < inf):
        raise Usage("--experiments and --minutes take a number above zero")
    return experiments, None if minutes is None else minutes * 60


def wait(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Do it, on an event loop of its own."""
    import asyncio

    return asyncio.run(work)


@app.command()
def status(directory: Directory = Path(), as_json: Json = False) -> None:
    """Say where a study stands."""
    from cockpit import output, pages
    from store import planned, views
    from store.database import ask

    place = find(directory)
    nobody: Away = None
    told = wait(ask(place, partial(_away, place, by_a_person=not as_json and output.to_a_person()), nobody))
    pid = engine_pid(place.folder)  # before the record: an engine that ends in between has not died
    nothing: Standing = (None, None, [], 0, None, False, [], None, None, None, [])
    found = wait(ask(place, _standing, nothing))
    study, engine, rows, incumbent, counted, paused, budgets, last, pinned, text, agreed = found
    notes: tuple[str, ...] = wait(ask(place, partial(planned.notes, bench=engine.facts["bench"]), ())) if engine else ()
    waiting: list[Rerun] = wait(ask(place, views.reruns, []))
    keys = output.status_keys(
        place.name, study, engine, pid, rows, incumbent, counted, paused, budgets, pinned, text, agreed, notes, waiting
    )
    if as_json:
        output.document({**keys, "away": told[1] if told else None})
    else:
        if told:
            output.line("\n".join([*told[0], ""]))
        output.line(pages.status_page(keys, counted, budgets, pages.verified(rows, incumbent, last), agreed))


async def _away(place: Place, database: "Database", *, by_a_person: bool) -> "Away":
    """What has happened since somebody looked last, as a page and as keys; nothing where nothing has."""
    import time

    from store import away, views

    try:
        seen = away.seen(place.folder, now=by_a_person)
    except OSError:  # a folder that may not be written is looked at all the same
        seen = away.seen(place.folder)
    study, now = await views.study(database), time.time()
    since = seen or (study.began_at if study else now)
    if now - since < away.AWAY_SECONDS:
        return None
    from cockpit.away import away_keys, page, worth_saying
    from cockpit.feed import read

    happened = await away.happened(database, since)
    return (page(await read(place, database), happened, now), away_keys(happened)) if worth_saying(happened) else None


async def _standing(database: "Database") -> "Standing":
    from store import budgets, views

    rows, incumbent = await views.experiments(database), await views.incumbent(database)
    study, engine = await views.study(database), await views.last_engine(database)
    counted, paused = await views.keeps(database), await views.paused(database)
    last, pinned = await views.last_decision(database), await views.pinned(database, rows, incumbent)
    limits, text, agreed = (
        await budgets.read(database),
        await views.last_revision(database),
        await views.agreement(database),
    )
    return study, engine, rows, incumbent, counted, paused, limits, last, pinned, text, agreed


@app.command()
def experiments(directory: Directory = Path(), as_json: Json = False) -> None:
    """List the experiments of a study, oldest first."""
    from cockpit import output, pages
    from store.database import ask

    none: tuple[list[Experiment], int] = ([], 0)
    rows, incumbent = wait(ask(find(directory), _listed, none))
    if as_json:
        output.document({"experiments": [output.experiment_keys(row, incumbent) for row in rows]})
    elif rows:
        output.table(pages.experiments_page(rows, incumbent))


async def _listed(database: "Database") -> "tuple[list[Experiment], int]":
    from store import views

    return await views.experiments(database), await views.incumbent(database)


@app.command()
def show(identifier: Identifier, directory: Directory = Path(), as_json: Json = False) -> None:
    """Show one experiment, its runs and what they cost."""
    from cockpit import output, pages
    from cockpit.besides import recorded
    from cockpit.home import runs_by
    from store import calls, views
    from store.database import ask

    place = find(directory)
    experiment, runs = wait(one(place, identifier))
    asked: list[Call] = wait(ask(place, partial(calls.of, experiment=experiment.number), []))
    incumbent = wait(ask(place, views.incumbent, 0))
    again: dict[int, str] = wait(ask(place, partial(views.run_again, number=experiment.number), {}))
    commands = wait(runs_by(place, experiment))
    beside: list[Beside] = wait(ask(place, partial(recorded, one=experiment), []))
    if as_json:
        keys = {
            **output.experiment_keys(experiment, incumbent),
            "runs": [output.run_keys(run, place.folder) for run in runs],
        }
        output.document({**keys, "calls": [output.call_keys(call) for call in asked], "commands": commands})
    else:
        texts = [each.text for each in beside]
        output.line(pages.experiment_page(experiment, runs, asked, place.folder, incumbent, again, texts))
        for each in commands:
            output.line(f"it runs: {each}")


@app.command()
def frontier(directory: Directory = Path(), as_json: Json = False) -> None:
    """Show the experiments that no other one beats in everything."""
    from cockpit import output, pages
    from store.database import ask
    from store.records import Frontier

    nothing: Drawn = ((Frontier(), []), [], None, None, [], [], [])
    (drawn, reference), rows, counted, lately, grown, agreed, idle = wait(ask(find(directory), _drawn, nothing))
    if as_json:
        keys = output.frontier_keys(drawn, reference, rows)
        more = {"returns": output.returns_keys(lately), "progress": output.progress_keys(grown)}
        more["agreement"] = output.agreement_keys(agreed)
        output.document({**keys, **more})
    else:
        lines = [pages.frontier_page(drawn, reference, rows, counted, lately, agreed, idle), *pages.grown(grown)]
        output.table("\n".join(lines))


async def _drawn(database: "Database") -> "Drawn":
    from cockpit.besides import quiet
    from store import views

    drawn, rows = await views.frontier(database), await views.experiments(database)
    counted, lately, grown = await views.keeps(database), await views.returns(database), await views.progress(database)
    return drawn, rows, counted, lately, grown, await views.agreement(database), await quiet(database)


@app.command()
def ledger(directory: Directory = Path(), as_json: Json = False) -> None:
    """Show what was spent, by what came of it and by who took it.

    And what that has gained, and what was lost and why.
    """
    from cockpit import account, output, pages
    from store.account import NOTHING
    from store.database import ask

    place = find(directory)
    going_on = engine_pid(place.folder) is not None
    nothing: Booked = (NOTHING, [], {}, None)
    spent, limits, spend, counted = wait(ask(place, _booked, nothing))
    if as_json:
        keys = output.ledger_keys(spent.ledger, limits, spend, going_on=going_on)
        output.document({**keys, **account.keys(spent), **output.keeps_keys(counted)})
    else:
        output.table(pages.ledger_page(spent.ledger, limits, spend, going_on=going_on))
        if more := account.page(spent, counted):
            output.table(f"\n{more}")


async def _booked(database: "Database") -> "Booked":
    from store import account, budgets, views

    async with database.reading():
        spend = await views.spend_by(database)
        return await account.read(database), await budgets.read(database), spend, await views.keeps(database)


@app.command()
def context(
    subject: Annotated[
        str,
        typer.Argument(metavar="ID|CALL", help="An experiment, as e0003, or a call, as 12; else the newest call."),
    ] = "",
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A folder of the study's repository.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one call to a model: what it was told, and its answer.

    And what of that was cut, and what came of it.
    """
    import time

    from cockpit import output, told
    from store.database import ask

    if subject and directory is None and not subject.removeprefix("e").isdigit():
        subject, directory = "", Path(subject)
    place = find(directory or Path())
    number = _number(subject) if subject else None
    of_experiment = subject.startswith("e")
    if of_experiment:
        wait(one(place, subject))
    nothing: Spoken = (None, None)
    found, engine = wait(ask(place, partial(_spoken, number=number, of_experiment=of_experiment), nothing))
    facts = engine.facts if engine else {}
    if subject and found is None and not of_experiment:
        raise Usage(f"the study {place.name} has no call {subject}; `cockpit context` shows the newest")
    if as_json:
        model = {"model": facts.get("model"), "model_why": facts.get("model_why")}
        output.document({"call": told.keys(found) if found else None, **model})
        return
    if of_experiment and (found is None or told.experiment(found) != number):
        output.line(f"no call to a model came to {subject}" + ("; the study's newest:" if found else ""))
    why = told.without(facts.get("model"), facts.get("model_why", ""))
    output.line(told.page(found, time.time()) if found else why)


async def _spoken(database: "Database", number: int | None, of_experiment: bool) -> "Spoken":
    from store import calls, views

    engine = await views.last_engine(database)
    if not of_experiment:
        found = await calls.told(database, call=number)
        return (found if number is None or (found and found.call.id == number) else None), engine
    return await calls.told(database, experiment=number) or await calls.told(database), engine


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
    experiment, runs = wait(one(place, identifier))
    if not runs:
        raise Usage(f"{experiment.id} has not run yet, so it has no log")
    folder, newest = place.folder / runs[-1].folder, runs[-1]

    async def ended() -> bool:
        _, now = await one(place, identifier)
        return next(run for run in now if run.id == newest.id).outcome is not None

    async def one_look() -> bool:
        return True

    if as_json:
        stages = [{"stage": stage, "lines": lines} for stage, lines in files.whole(folder)]
        output.document({"id": experiment.id, "run": newest.id, "logs": stages})
    else:
        wait(files.follow(folder, ended if follow else one_look))


@app.command()
def processes(directory: Directory = Path(), as_json: Json = False) -> None:
    """List all git commands and processes of a study, oldest first."""
    from cockpit import output, ran
    from store import trail

    every = trail.everything(find(directory).folder)
    if as_json:
        output.document({"processes": [ran.keys(one) for one in every]})
    else:
        output.table(ran.page(every))


async def one(place: Place, identifier: str) -> "tuple[Experiment, list[Run]]":
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
    return min(int(digits[:19]), 2**63 - 1)  # the largest that the record can hold
