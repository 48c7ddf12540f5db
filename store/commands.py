"""What a person asks: a command is a row, carried out by the study's engine, or by one that lives for it alone."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from store import ledger, spawn
from store.database import Change, Database
from store.events import say
from store.place import Place, engine_pid
from store.records import Answer, Command, Decision, Run, State, name_of
from store.state import settle
from store.trail import NOWHERE, Trail

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 60.0  # with an engine that lives and does not answer
TRIES = 3  # of an engine of its own: one may find that another has just begun
NO_ENGINE = "no engine runs: there is nothing to {verb}; `cockpit resume` starts one"


class Unanswered(Exception):
    """Nobody has carried the command out."""


async def submit(
    place: Place, verb: str, arguments: Mapping[str, Any], expected: Mapping[str, Any], trail: Trail = NOWHERE
) -> Answer:
    """Ask, and wait for the answer. With no engine alive, one is started that answers and ends.

    Raises Unanswered, and then the command is withdrawn; FileNotFoundError where the study has no record.
    """
    text = {name: _writable(value) if isinstance(value, str) else value for name, value in arguments.items()}
    command = Command(uuid4().hex, verb, text, dict(expected), time.time())
    nobody = await asyncio.to_thread(engine_pid, place.folder) is None
    async with await Database.open(place.folder, migrate=nobody) as database:
        await _keep(database, command)
        try:
            return await _answered(place, database, command, trail)
        except BaseException as error:
            withdrawing = asyncio.create_task(_withdrawn(database, command))
            while not withdrawing.done():  # whoever asked may be in a hurry; the record is not closed before
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(withdrawing)
            if withdrawing.result() or not isinstance(error, Unanswered):
                raise
            raise Unanswered(f"{error}; it is being carried out all the same: look at `cockpit status`") from None


def _writable(text: str) -> str:
    """A text of the command line, where bytes that are no letters stand for what they are not."""
    return text.encode("utf-8", "replace").decode()


async def _answered(place: Place, database: Database, command: Command, trail: Trail) -> Answer:
    deadline, tries, said = time.monotonic() + PATIENCE_SECONDS, 0, ""
    while (answer := await answer_to(database, command.uuid)) is None:
        if (pid := await asyncio.to_thread(engine_pid, place.folder)) is None:
            if (tries := tries + 1) > TRIES:
                raise Unanswered(f"no engine could be started to {command.verb}: {said or 'it says nothing'}")
            said = await spawn.obey(place, trail)
        elif time.monotonic() > deadline:
            raise Unanswered(f"the engine (pid {pid}) does not answer")
        else:
            await asyncio.sleep(POLL_SECONDS)
    return answer


async def _keep(database: Database, command: Command) -> None:
    async with database.transaction() as change:
        await change.insert(
            "commands", uuid=command.uuid, verb=command.verb, arguments=command.arguments, expected=command.expected,
            at=command.at,
        )  # fmt: skip


async def _withdrawn(database: Database, command: Command) -> bool:
    """Take a command back that nobody waits for. False where it is too late."""
    async with database.transaction() as change:
        await change.execute(
            "UPDATE commands SET done = 0, answer = 'withdrawn', answered_at = ? "
            "WHERE uuid = ? AND begun_at IS NULL AND done IS NULL",
            time.time(),
            command.uuid,
        )
        rows = await change.rows("SELECT answer FROM commands WHERE uuid = ?", command.uuid)
        return bool(rows[0]["answer"] == "withdrawn")


async def pending(database: Database) -> list[Command]:
    """The commands that nobody has answered, in the order of asking."""
    rows = await database.rows("SELECT * FROM commands WHERE answered_at IS NULL ORDER BY id")
    return [
        Command(
            row["uuid"],
            row["verb"],
            json.loads(row["arguments"]),
            json.loads(row["expected"]),
            row["at"],
            row["id"],
            json.loads(row["intent"]) if row["intent"] else None,
        )
        for row in rows
    ]


async def answer_to(database: Database, uuid: str) -> Answer | None:
    """What came of a command, None before it is answered."""
    rows = await database.rows("SELECT done, answer, intent FROM commands WHERE uuid = ? AND done IS NOT NULL", uuid)
    if not rows:
        return None
    told = json.loads(rows[0]["intent"] or "{}").get("told", {}) if rows[0]["done"] else {}
    return Answer(bool(rows[0]["done"]), rows[0]["answer"], told)


# --- for the engine --------------------------------------------------------------------------------------------------


async def begun(database: Database, command: Command) -> bool:
    """From here on it is carried out, by this engine or the next one. False where it has been withdrawn."""
    async with database.transaction() as change:
        await change.execute(
            "UPDATE commands SET begun_at = coalesce(begun_at, ?) WHERE id = ? AND done IS NULL",
            time.time(),
            command.id,
        )
        return bool(await change.rows("SELECT 1 FROM commands WHERE id = ? AND done IS NULL", command.id))


async def intended(database: Database, command: Command, intent: Mapping[str, Any]) -> None:
    """What will be recorded once git stands as it is to: made only once, whatever happens in between.

    It has the `answer`, and in `told` what belongs to that for scripts.
    """
    async with database.transaction() as change:
        await change.execute("UPDATE commands SET intent = ? WHERE id = ?", json.dumps(dict(intent)), command.id)


async def answered(database: Database, command: Command, answer: Answer) -> None:
    """It is not done, and why: the record is as it was."""
    async with database.transaction() as change:
        await _answer(change, command, answer)
        await say(change, "not done", f"{command.verb}: {answer.text}", verb=command.verb, answer=answer.text)


async def decided(database: Database, command: Command, decision: Decision, answer: Answer, bench: str) -> list[int]:
    """A decision is carried out: its row, trunk, what becomes of the experiments, and the answer.

    The experiments that it is about.
    """
    async with database.transaction() as change:
        made = await change.insert(
            "decisions", at=time.time(), command=command.id, verb=decision.verb, experiment=decision.experiment,
            reason=decision.reason, verdict=decision.verdict, trunk_before=decision.trunk_before,
            trunk_after=decision.trunk_after, undoes=decision.undoes,
        )  # fmt: skip
        for number in decision.taken:
            await change.insert("taken", decision=made, experiment=number)
        await change.execute("UPDATE study SET trunk = ?", decision.trunk_after)
        kind = {"merge": State.MERGED, "reject": State.REJECTED}.get(decision.verb, "undone")
        others = await change.rows(
            """
            SELECT taken.experiment, verb FROM taken JOIN decisions ON decisions.id = decision
            WHERE decision IN (?, ?) AND taken.experiment <> ?
            """,
            made, decision.undoes, decision.experiment,
        )  # fmt: skip
        for number, verb in others:
            if await _settled(change, number, bench):
                how = "in" if verb == "merge" else "with"
                text = f"{name_of(number)} {kind}, {how} {name_of(decision.experiment)}"
                await _say_decided(change, kind, text, number, decision)
        await _settled(change, decision.experiment, bench)
        await _answer(change, command, answer)
        await _say_decided(change, kind, answer.text, decision.experiment, decision)
    return [decision.experiment, *(number for number, _ in others)]


async def _settled(change: Change, number: int, bench: str) -> bool:
    """What becomes of an experiment by a decision. Whether its state is another one."""
    newest = await change.rows("SELECT bench FROM runs WHERE experiment = ? ORDER BY id DESC LIMIT 1", number)
    states = [row["state"] for row in await change.rows("SELECT state FROM experiments WHERE number = ?", number)]
    await settle(change, number, newest[0]["bench"] if newest else bench)
    await ledger.rebook(change, [number])
    return bool(await change.rows("SELECT 1 FROM experiments WHERE number = ? AND state <> ?", number, *states))


async def _say_decided(change: Change, kind: str, text: str, number: int, decision: Decision) -> None:
    await say(
        change, kind, text, experiment=number,
        id=name_of(number), verb=decision.verb, reason=decision.reason, trunk=decision.trunk_after,
    )  # fmt: skip


async def noted(database: Database, command: Command, text: str) -> None:
    """A note is taken: the command is its row."""
    async with database.transaction() as change:
        await _answer(change, command, Answer(True, f"noted: {text}"))
        await say(change, "note", f"noted: {text}", note=text)


async def pinned(database: Database, command: Command, kind: str, text: str, about: Iterable[int | None]) -> None:
    """Proposals start from another experiment: the command is what says so from now on. `about` whom that is news."""
    async with database.transaction() as change:
        await _answer(change, command, Answer(True, text))
        for number in about:
            if number is not None:
                await say(change, kind, text, experiment=number, id=name_of(number))


async def to_be_rerun(database: Database, command: Command, answer: Answer, after: int) -> None:
    """A run is to be made again: the command is what says so, until there is one after run `after`."""
    async with database.transaction() as change:
        intent = json.dumps({"answer": answer.text, "told": dict(answer.told), "after": after})
        await change.execute("UPDATE commands SET intent = ? WHERE id = ?", intent, command.id)
        await _answer(change, command, answer)
        about = command.arguments["experiment"]
        await say(change, "asked again", answer.text, experiment=about, id=name_of(about), **answer.told)


async def withdrawn(database: Database, command: Command, text: str, asked: Sequence[int]) -> None:
    """Runs that were to be made again are not made: the command names those by which they were asked for."""
    async with database.transaction() as change:
        intent, about = json.dumps({"answer": text, "withdraws": list(asked)}), command.arguments["experiment"]
        await change.execute("UPDATE commands SET intent = ? WHERE id = ?", intent, command.id)
        await _answer(change, command, Answer(True, text))
        await say(change, "withdrawn", text, experiment=about, id=name_of(about))


async def landed(database: Database, command: Command, answer: Answer, about: int) -> None:
    """A change has been taken to a branch off the user's own."""
    async with database.transaction() as change:
        await _answer(change, command, answer)
        await say(change, "landed", answer.text, experiment=about, id=name_of(about), **answer.told)


async def ended(database: Database, command: Command, run: Run, text: str) -> None:
    """A run is ended, and its experiment run no more for its own sake: the command is what says so from now on."""
    async with database.transaction() as change:
        await _answer(change, command, Answer(True, text))
        await _settled(change, run.experiment, run.bench)
        await say(change, "ending", text, experiment=run.experiment, run=run.id, id=name_of(run.experiment))


async def heeded(database: Database, command: Command, kind: str, text: str) -> None:
    """The engine pauses, goes on or stops. What the free lanes were until now is booked: idle, or paused."""
    async with database.transaction() as change:
        now = time.time()
        await ledger.free_until(change, now)
        await _answer(change, command, Answer(True, text), now)
        await say(change, kind, text, at=now)


async def notes(database: Database, most: int) -> list[str]:
    """The newest notes, so many at most, oldest first."""
    rows = await database.rows(
        "SELECT arguments FROM commands WHERE verb = 'note' AND done = 1 ORDER BY id DESC LIMIT ?", most
    )
    return [str(json.loads(row["arguments"])["text"]) for row in reversed(rows)]


async def _answer(change: Change, command: Command, answer: Answer, at: float | None = None) -> None:
    await change.execute(
        "UPDATE commands SET done = ?, answer = ?, answered_at = ? WHERE id = ? AND done IS NULL",
        int(answer.done), answer.text, time.time() if at is None else at, command.id,
    )  # fmt: skip
