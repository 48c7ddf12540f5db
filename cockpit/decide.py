"""The commands that ask something of the engine: merge, reject, undo, redo, note, pin, unpin; pause, yield and so on.

Without one, one is started that answers and ends; to resume, one that goes on. There is none to pause or end then.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cockpit.look import Directory, Json, Usage, WithChanges, limits, one, wait
from store.place import Place, engine_pid, find

if TYPE_CHECKING:
    from store.database import Database
    from store.records import Answer, Engine, Run

LOOKS, LOOK_SECONDS = 40, 0.05  # at an engine that has just been started: one with nothing to do ends in less

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="ID... [DIR]",
        help="Experiments, as e0003; a folder of the study's repository, as ./7 if it is called like one.",
    ),
]

NAME = r"e?\d+"  # of an experiment

app = typer.Typer()


class NotDone(Exception):
    """What was asked is not done; the message says why, and what to do."""


@app.command()
def merge(
    words: Words,
    unconfirmed: Annotated[
        bool, typer.Option("--unconfirmed", help="Also what is not confirmed on fresh seeds.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the decision.")] = "",
    as_json: Json = False,
) -> None:
    """Take an experiment to trunk, or several together.

    Your own branch is not touched.

    Several are taken together, and so is one onto a trunk that has moved, where no two of them change the same knob or
    lines. What they make is run once before all else; undo goes back if it does not hold.
    """
    place, identifiers = named(words)
    arguments, expected = wait(about(place, *identifiers))
    arguments |= {"unconfirmed": unconfirmed, "reason": reason}
    taken = "`cockpit land` takes it to a branch off yours, `cockpit undo` takes it back"
    ordered(place, "merge", arguments, expected, taken, as_json)


@app.command()
def reject(
    words: Words,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the decision.")] = "",
    as_json: Json = False,
) -> None:
    """Decide against an experiment, or several at once. Its branch keeps its name and leaves `git branch`."""
    place, identifiers = named(words)
    arguments, expected = wait(about(place, *identifiers))
    ordered(place, "reject", arguments | {"reason": reason}, expected, "", as_json)


@app.command()
def undo(directory: Directory = Path(), as_json: Json = False) -> None:
    """Take the last decision back."""
    place = find(directory)
    expected = wait(seen(place))
    ordered(place, "undo", {}, expected, "", as_json)


@app.command()
def redo(directory: Directory = Path(), as_json: Json = False) -> None:
    """Decide once more what the last undo took back.

    That is, unless something else was decided since.
    """
    place = find(directory)
    expected = wait(seen(place))
    ordered(place, "redo", {}, expected, "", as_json)


@app.command()
def note(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="One line.")],
    directory: Directory = Path(),
    as_json: Json = False,
) -> None:
    """Tell the model something for its next proposals."""
    place = find(directory)
    wait(seen(place))
    ordered(place, "note", {"text": text}, {}, "", as_json)


@app.command()
def pin(words: Words, as_json: Json = False) -> None:
    """Let the next proposals start from an experiment.

    It is in trunk's place until it is decided or trunk moves.
    """
    place, identifiers = named(words)
    if len(identifiers) > 1:
        raise Usage("one experiment is pinned at a time: `cockpit pin ID [DIR]`")
    arguments, expected = wait(about(place, *identifiers))
    ordered(place, "pin", arguments, expected, "`cockpit unpin` lets them start from trunk again", as_json)


@app.command()
def unpin(directory: Directory = Path(), as_json: Json = False) -> None:
    """Let the next proposals start from trunk again."""
    place = find(directory)
    wait(seen(place))
    ordered(place, "unpin", {}, {}, "", as_json)


@app.command()
def pause(directory: Directory = Path(), as_json: Json = False) -> None:
    """Let the run under way end, and begin no other until `resume`."""
    _halt(find(directory), "pause", as_json)


@app.command("yield")
def yield_(directory: Directory = Path(), as_json: Json = False) -> None:
    """Free the devices now: pause, and break the run under way off. It is run again after `resume`."""
    _halt(find(directory), "yield", as_json)


@app.command()
def resume(
    directory: Directory = Path(),
    experiments: Annotated[
        int | None,
        typer.Option("--experiments", metavar="N", help="An engine that is started ends at N experiments."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="N", help="An engine that is started ends after N minutes.")
    ] = None,
    with_changes: WithChanges = False,
    as_json: Json = False,
) -> None:
    """Go on after a pause. With no engine alive, start one in the background."""
    from cockpit import output
    from store import spawn
    from store.commands import NO_ENGINE
    from store.records import Ended
    from store.trail import SHELL, Trail

    experiments, seconds = limits(experiments, minutes)
    place = find(directory)
    if engine_pid(place.folder) is not None:
        if with_changes:
            raise Usage("--with-changes is of an engine that begins a study, and one runs already")
        try:
            ordered(place, "resume", {}, {}, "", as_json)
            return
        except NotDone as error:  # where it lived for another command alone, there is an engine to start
            if str(error) != NO_ENGINE.format(verb="resume"):
                raise
    pid = wait(spawn.start(place, experiments, seconds, Trail(place.folder, SHELL), with_changes=with_changes))
    life = wait(_ended(place, pid))
    ended_by = life.ended_by if life is not None else None
    if life is not None and life.because:
        status = spawn.CONFIGURATION if ended_by is Ended.CONFIGURATION else spawn.MACHINE
        raise spawn.Unstarted(f"the engine has ended: {life.why}", status)
    text = f"engine started, pid {pid}; `{output.command(directory, 'stop')}` ends it"
    if ended_by is not None:
        from cockpit.summary import WHY

        text = f"the engine had nothing to do: ended: {WHY.get(ended_by, ended_by)}"
    if as_json:
        output.document({"verb": "resume", "answer": text, "pid": pid, "ended_by": ended_by, **wait(_now(place))})
    else:
        output.line(text)


@app.command()
def end(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID] [DIR]", help="An experiment, as e0003; without one that whose run is under way."),
    ] = None,
    as_json: Json = False,
) -> None:
    """End the run of an experiment, which is run no more.

    The engine goes on with the next one.

    One that was asked for by `rerun` is withdrawn, also while it waits for its turn.
    """
    place, identifiers = perhaps_named(words)
    if len(identifiers) > 1:
        raise Usage("one run is ended at a time: `cockpit end [ID] [DIR]`")
    if not identifiers:
        _alive(place, "end")
    number = wait(one(place, identifiers[0]))[0].number if identifiers else wait(_under_way(place))
    ordered(place, "end", {"experiment": number}, {}, "", as_json)


@app.command()
def stop(directory: Directory = Path(), as_json: Json = False) -> None:
    """End the engine after the run under way.

    Asked again, now, with a grace of three seconds; once more, at once.
    """
    _halt(find(directory), "stop", as_json)


def named(words: list[str]) -> tuple[Place, list[str]]:
    """The study, and the experiments that are named before it."""
    *identifiers, last = words
    if not identifiers or re.fullmatch(NAME, last):
        return find(Path()), words
    return find(Path(last)), identifiers


def perhaps_named(words: list[str] | None) -> tuple[Place, list[str]]:
    """The same, where none need be named."""
    alone = not words or (len(words) == 1 and not re.fullmatch(NAME, words[0]))
    return (find(Path(*words or ())), []) if alone else named(words or [])


def _halt(place: Place, verb: str, as_json: bool) -> None:
    _alive(place, verb)
    ordered(place, verb, {}, {}, "", as_json)


def _alive(place: Place, verb: str) -> None:
    """Raises NotDone where no engine lives."""
    from store.commands import NO_ENGINE

    if engine_pid(place.folder) is None:
        raise NotDone(NO_ENGINE.format(verb=verb))


async def _under_way(place: Place) -> int:
    """The experiment whose run is under way."""
    from store import views
    from store.database import ask

    runs: list[Run] = await ask(place, views.unfinished_runs, [])
    if not runs:
        raise NotDone("no run is under way")
    return runs[0].experiment


def ordered(
    place: Place, verb: str, arguments: dict[str, Any], expected: dict[str, Any], hint: str, as_json: bool
) -> None:
    """Ask it of the engine, and print the answer. Raises NotDone."""
    answer = submitted(place, verb, arguments, expected)
    printed(place, verb, arguments, answer, [hint] if hint else [], as_json)


def submitted(place: Place, verb: str, arguments: dict[str, Any], expected: dict[str, Any]) -> "Answer":
    """Ask it of the engine. Raises NotDone."""
    from store.commands import submit
    from store.trail import SHELL, Trail

    answer = wait(submit(place, verb, arguments, expected, Trail(place.folder, SHELL)))
    if not answer.done:
        raise NotDone(answer.text)
    return answer


def printed(
    place: Place, verb: str, arguments: dict[str, Any], answer: "Answer", hints: list[str], as_json: bool
) -> None:
    """The answer, and what can be done next."""
    from cockpit import output

    if as_json:
        output.document({"verb": verb, **arguments, "answer": answer.text, **answer.told, **wait(_now(place))})
        return
    for line in (answer.text, *hints):
        output.line(line)


async def _ended(place: Place, pid: int) -> "Engine | None":
    """An engine that has just been started and has ended already; None where it has begun a run, or may yet."""
    import asyncio

    from store import views
    from store.database import Database

    async with await Database.open(place.folder, migrate=False) as database:
        for _ in range(LOOKS):
            life = await views.last_engine(database)
            if life is None or life.pid != pid or life.ended_by or await views.unfinished_runs(database):
                break
            await asyncio.sleep(LOOK_SECONDS)
        return life if life is not None and life.pid == pid and life.ended_by else None


async def about(place: Place, *identifiers: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The experiments that are meant, and what their person sees of them now."""
    chosen = [(await one(place, identifier))[0] for identifier in identifiers]
    verdicts = {str(one.number): one.verdict.id if one.verdict else None for one in chosen}
    numbers = list(dict.fromkeys(one.number for one in chosen))
    which = {"experiment": numbers[0]} if len(numbers) == 1 else {"experiments": numbers}
    return which, {**await seen(place), "verdicts": verdicts}


async def seen(place: Place) -> dict[str, Any]:
    """What a person sees who is about to decide. Raises Usage where the study has not begun."""
    if not (now := await _now(place))["trunk"]:
        raise Usage(f"the study {place.name} has not begun: there is nothing to decide")
    return now


async def _now(place: Place) -> dict[str, Any]:
    """Where trunk is, and what was decided last."""
    from store import views
    from store.database import ask
    from store.records import name_of

    async def seen(database: "Database") -> dict[str, Any]:
        study, last = await views.study(database), await views.last_decision(database)
        incumbent = name_of(await views.incumbent(database)) if study else None
        return {"trunk": study.trunk if study else None, "decision": last.id if last else None, "incumbent": incumbent}

    return await ask(place, seen, {"trunk": None, "decision": None, "incumbent": None})
