"""An engine apart from who starts it: it lives on without them, ends on a signal, and says why it could not begin."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store import spawn, views
from store.database import Database
from store.place import EngineRuns, Place, engine_pid, take_engine_lock
from store.records import Ended, Engine
from store.spawn import CONFIGURATION, LOG, SAID_CHARACTERS, Unstarted, start
from tests.conftest import TRAIN, Write
from tests.loop.test_engine import until_ready

pytestmark = pytest.mark.usefixtures("leaves_nothing")


async def last_life(place: Place) -> Engine:
    async with await Database.open(place.folder) as database:
        engine = await views.last_engine(database)
        assert engine is not None
        return engine


async def until_gone(place: Place) -> None:
    deadline = time.monotonic() + 20
    while engine_pid(place.folder) is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


STARTS = """
import asyncio, sys
from pathlib import Path
from store.place import find
from store.spawn import start
print(asyncio.run(start(find(Path(sys.argv[1])), experiments=1, seconds=60.5)))
"""


async def test_an_engine_lives_on_when_who_started_it_has_gone(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(0.5)\n")
    with subprocess.Popen([sys.executable, "-c", STARTS, str(place.root)], stdout=subprocess.PIPE) as starter:
        said, _ = await asyncio.to_thread(starter.communicate)
    pid = engine_pid(place.folder)
    assert pid == int(said)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == place.folder
    await until_gone(place)
    life = await last_life(place)
    assert (life.pid, life.ended_by) == (pid, Ended.EXPERIMENTS)
    assert life.facts["limits"] == {"experiments": 1, "seconds": 60.5}
    assert (place.folder / LOG).read_text() == ""


async def test_there_is_one_engine_and_a_signal_ends_it_cleanly(write: Write) -> None:
    place = write(TRAIN + "print('ready', flush=True); import time; time.sleep(60)\n")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    try:
        pid = await start(place)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert engine_pid(place.folder) == pid
    with pytest.raises(EngineRuns) as refused:
        await start(place)
    assert refused.value.pid == pid
    os.kill(pid, signal.SIGHUP)
    await until_ready(place)
    assert engine_pid(place.folder) == pid, "what it was started to ignore ends it not"
    os.kill(pid, signal.SIGTERM)
    await until_gone(place)
    assert (await last_life(place)).ended_by is Ended.INTERRUPTED
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():  # it is no zombie
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_an_engine_that_could_not_begin_has_said_why(write: Write) -> None:
    place = write(more="[colour]\nred = 1\n[taste]\nsweet = 1")
    place.folder.mkdir(parents=True)
    (place.folder / LOG).write_text("of another life\n" * 70_000)
    with pytest.raises(Unstarted) as failed:
        await start(place)
    assert failed.value.status == CONFIGURATION
    assert str(failed.value).startswith(f"{place.config}:")
    assert "`[colour]`" in str(failed.value)
    assert "`[taste]`" in str(failed.value), "all of it is on one line"
    assert engine_pid(place.folder) is None
    assert (place.folder / LOG).read_text() == f"cockpit: {failed.value}\n", "what was too long begins anew"


async def test_of_what_is_too_long_only_so_much_is_said(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = tmp_path / "talks"
    talks.write_text("#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x >&2\nexit 1\n")
    talks.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(talks))
    with pytest.raises(Unstarted) as failed:
        await start(write())
    assert str(failed.value) == "x" * SAID_CHARACTERS


async def test_who_lives_for_one_command_is_no_engine_in_the_way(write: Write) -> None:
    place = write()
    place.folder.mkdir(parents=True)
    lock = take_engine_lock(place.folder)
    starting = asyncio.create_task(start(place, experiments=1))
    await asyncio.sleep(0.2)
    assert not starting.done()
    os.close(lock)
    pid = await starting
    await until_gone(place)
    assert (await last_life(place)).pid == pid


async def test_an_engine_that_dies_without_a_word_is_no_engine(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unstarted, match="it ended with exit status 1, and says nothing"):
        await start(place)


def test_why_an_engine_is_gone_is_its_last_word_or_that_it_left_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, tmp_path, tmp_path, "s")
    place.folder.mkdir(parents=True)
    now = time.time()
    monkeypatch.setattr(time, "clock_gettime", lambda _: 1e6)
    assert spawn.last_word(place, now - 60, now) == "it was killed, and left no word"
    with monkeypatch.context() as full:
        full.setattr("store.place.NO_ROOM_BYTES", 1 << 60)
        assert spawn.last_word(place, now - 60, now) == "it left no word, and the disk is full"
    (place.folder / spawn.LOG).write_text("Traceback:\ncockpit: no room on the disk\n")
    assert spawn.last_word(place, now - 60, now) == "no room on the disk"
    assert spawn.last_word(place, now + 60, now + 70) == "it was killed, and left no word", "an earlier one said that"
    monkeypatch.setattr(time, "clock_gettime", lambda _: 10.0)
    assert spawn.last_word(place, now - 60, now - 20) == "the machine went down, and was started again"
