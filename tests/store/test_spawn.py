"""An engine apart from who starts it: it lives on without them, ends on a signal, and says why it could not begin."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store import views
from store.database import Database
from store.place import EngineRuns, Place, engine_pid
from store.records import Ended, Engine
from store.spawn import CONFIGURATION, LOG, Unstarted, start
from tests.conftest import TRAIN, Write

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
    place = write(TRAIN + "import time; time.sleep(0.8)\n")
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
    place = write(TRAIN + "import time; time.sleep(60)\n")
    pid = await start(place)
    assert engine_pid(place.folder) == pid
    with pytest.raises(EngineRuns) as refused:
        await start(place)
    assert refused.value.pid == pid
    os.kill(pid, signal.SIGHUP)
    await until_gone(place)
    assert (await last_life(place)).ended_by is Ended.INTERRUPTED
    while Path(f"/proc/{pid}").exists():  # it is no zombie
        await asyncio.sleep(0.02)


async def test_an_engine_that_could_not_begin_has_said_why(write: Write) -> None:
    place = write(more="[colour]\nred = 1\n[taste]\nsweet = 1")
    place.folder.mkdir(parents=True)
    (place.folder / LOG).write_text("of another life\n")
    with pytest.raises(Unstarted) as failed:
        await start(place)
    assert failed.value.status == CONFIGURATION
    assert str(failed.value).startswith(f"{place.config}:")
    assert "`[colour]`" in str(failed.value)
    assert "`[taste]`" in str(failed.value), "all of it is on one line"
    assert engine_pid(place.folder) is None


async def test_an_engine_that_dies_without_a_word_is_no_engine(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unstarted, match="it ended with exit status 1, and says nothing"):
        await start(place)
