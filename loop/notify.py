"""`[notify] command` is told of an offer, of an end, and of an engine that died.

It is the user's own program, in their own environment, and outside of any wall: what is told stands on its standard
input and in variables, and never in its words. That it was told is an event, so each offer is told once; an engine that
is killed while the command runs leaves the next one to tell it again. What fails is said, and ends nothing.

An engine that died cannot say so itself. A small process waits for its lock (`watch.py`), and where that has gone too,
as with the machine, the next engine tells it, or whoever answers a command without one.
"""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from threading import Thread

from loop.study import ConfigError, read
from store import events, feed, spawn, told, views
from store.database import Database
from store.place import Place
from store.records import Ended, Engine, name_of, offers, some
from store.trail import Trail

SECONDS = 30.0  # that the command may take
LAST_SECONDS = 2.0  # after the end of an engine, in which another offer is still told
SAID = 300  # characters of what it complains of
OFFER, END, DIED = "offer", "end", "died"


@asynccontextmanager
async def telling(place: Place, database: Database, trail: Trail) -> AsyncIterator[None]:
    """While an engine is at work: of each offer; and have it watched itself."""
    if (words := commanded(place)) is None:
        yield
        return
    await asyncio.to_thread(_watched, place, trail)
    ended, late = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(_as_it_comes(place, database, trail, words, ended, late))
    try:
        yield
    finally:
        ended.set()
        waiting = asyncio.get_running_loop().call_later(LAST_SECONDS, late.set)
        await task
        waiting.cancel()


def _watched(place: Place, trail: Trail) -> None:
    """Start who outlives this engine, and tells where it dies."""
    argv = [sys.executable, "-P", "-E", "-m", "loop.watch", str(place.root)]
    null = subprocess.DEVNULL
    process = subprocess.Popen(argv, cwd=place.folder, stdin=null, stdout=null, stderr=null, start_new_session=True)
    trail.goes_on(argv, place.folder, process.pid, purpose="who tells where the engine dies")
    Thread(target=process.wait, daemon=True).start()  # so that it is no zombie


async def _as_it_comes(
    place: Place, database: Database, trail: Trail, words: str, ended: asyncio.Event, late: asyncio.Event
) -> None:
    """Each offer that was not told, but for those from before anybody was to be; `late`, the next engine tells it."""
    known, last, since = await told.offers(database), await events.last_event(database), await told.since(database)
    for one in reversed(offers(await views.experiments(database))):
        if late.is_set():
            return
        if one.number not in known and one.verdict and one.verdict.at >= since:
            await _of_an_offer(place, database, trail, words, one.number)
            known.add(one.number)
    async for event in feed.follow(database, last, ended):
        if late.is_set():
            return
        number = event.experiment if event.kind == "judged" else None
        if number is not None and number not in known and await _of_an_offer(place, database, trail, words, number):
            known.add(number)


async def _of_an_offer(place: Place, database: Database, trail: Trail, words: str, number: int) -> bool:
    one = await views.experiment(database, number)
    if one is None or not one.offered or one.verdict is None:
        return False
    text = f"{place.name}: {one.id} is offered: {one.verdict.line}. {one.hypothesis}"
    await _tell(place, database, trail, words, OFFER, text, number)
    return True


async def of_an_end(place: Place, database: Database, trail: Trail, why: Ended) -> None:
    """Tell that the engine has ended, and what waits."""
    if (words := commanded(place)) is None:
        return
    rows = await views.experiments(database)
    waiting = [one.id for one in offers(rows)]
    experiments = f"{len(rows)} experiment{'' if len(rows) == 1 else 's'}"
    text = f"{place.name}: ended: {why.words}; {experiments}, "
    text += f"offered: {some(waiting)}" if waiting else "nothing offered"
    await _tell(place, database, trail, words, END, text)


async def of_a_death(place: Place, database: Database, trail: Trail, engine: Engine) -> None:
    """Tell that an engine has died, where nobody has yet, and `cockpit.toml` says whom. First it is said, then told."""
    words = commanded(place)
    if words is None or not await told.claim(database, DIED, engine.id):
        return
    heard = engine.ended_at or await events.newest(database)
    why = await asyncio.to_thread(spawn.last_word, place, engine.started_at, heard)
    text = f"{place.name}: its engine is gone since {time.strftime('%H:%M', time.localtime(heard))}: {why}"
    await _tell(place, database, trail, words, DIED, text, engine=engine.id)


def commanded(place: Place) -> str | None:
    """The command, as the file has it now; None where it has none, or cannot be read."""
    try:
        return read(place.config).settings.notify.command
    except ConfigError:
        return None


async def _tell(
    place: Place,
    database: Database,
    trail: Trail,
    words: str,
    event: str,
    text: str,
    number: int | None = None,
    engine: int | None = None,
) -> None:
    """Run the command, and record that it was told, or why not."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    variables = {
        "COCKPIT_EVENT": event,
        "COCKPIT_STUDY": place.name,
        "COCKPIT_EXPERIMENT": "" if number is None else name_of(number),
        "COCKPIT_TEXT": text,
    }
    lack = await _run(shlex.split(words), variables, text, place, trail)
    about = {OFFER: f"the offer of {variables['COCKPIT_EXPERIMENT']}", END: "the end", DIED: "the engine that died"}
    said = f"could not tell of {about[event]}: {lack}" if lack else f"told of {about[event]}"
    await told.told(database, event, f"notify: {said}", experiment=number, engine=engine, lack=lack)


async def _run(argv: list[str], variables: Mapping[str, str], text: str, place: Place, trail: Trail) -> str:
    """What went wrong; nothing where it did not."""
    with tempfile.TemporaryFile() as said:
        try:
            with trail.running(argv, place.root, purpose=f"tell: {text}") as ran:
                process = await asyncio.create_subprocess_exec(
                    *argv, cwd=place.root, env={**os.environ, **variables}, stdin=asyncio.subprocess.PIPE,
                    stdout=said, stderr=said, start_new_session=True,
                )  # fmt: skip
                try:
                    await asyncio.wait_for(process.communicate(f"{text}\n".encode(errors="replace")), SECONDS)
                except BaseException as why:  # it takes too long, or nobody waits for it any more
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
                    if not isinstance(why, TimeoutError):
                        raise
                    ran.ended(process.returncode, f"it has taken {SECONDS:g} s")
                    return f"`{argv[0]}` has taken {SECONDS:g} s, and was ended"
                said.seek(0)
                complaint = said.read(SAID * 4).decode(errors="replace")
                ran.ended(process.returncode, complaint)
        except OSError as error:
            return f"`{argv[0]}` cannot be run: {error.strerror}"
    if not process.returncode:
        return ""
    last = "".join(letter if letter.isprintable() else " " for letter in complaint).strip()[:SAID]
    return f"`{argv[0]}` ended with exit status {process.returncode}" + (f": {last}" if last else "")
