"""[notify]: who is told of an offer, an end, an engine that died, and how often."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from loop import notify
from loop.engine import Limits, research
from loop.stop import Stop
from loop.study import ConfigError, read
from store import told, views
from store.database import Database
from store.place import Place
from store.records import Ended
from store.trail import NOWHERE, everything
from tests.conftest import Write
from tests.lives import begun

TELLS = """\
import json, os, sys
from pathlib import Path
said = {name: value for name, value in os.environ.items() if name.startswith("COCKPIT_")}
with Path("told.jsonl").open("a") as file:
    said |= {"stdin": sys.stdin.read(), "argv": sys.argv[1:], "home": os.environ["HOME"]}
    file.write(json.dumps(said) + "\\n")
"""
LIFE = """
import asyncio, sys
from pathlib import Path
from loop.engine import Limits, research
from loop.stop import Stop
from store.place import find
asyncio.run(research(find(Path(sys.argv[1])), Limits(experiments=3), Stop()))
"""
SLOW = """\
import os, time
RATE = 0.1  # cockpit: 0.001..1.0 log
time.sleep(30)
print(f"loss: {RATE + int(os.environ['COCKPIT_SEED']) % 7}")
"""
pytestmark = pytest.mark.usefixtures("leaves_nothing")


def study(write: Write, bare_python: Path, command: str = "", **more: str) -> Place:
    command = command or f"{bare_python} tell.py 'two words'"
    return write(more=f'[notify]\ncommand = "{command}"', files={"tell.py": TELLS}, **more)


def heard(place: Place) -> list[dict[str, Any]]:
    file = place.root / "told.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def said(place: Place) -> list[str]:
    async with await Database.open(place.folder) as database:
        return [row["text"] for row in await database.rows("SELECT text FROM events WHERE kind = 'told'")]


async def test_an_end_is_told_by_words_that_hold_nothing_of_the_study(write: Write, bare_python: Path) -> None:
    place = study(write, bare_python)
    await research(place, Limits(experiments=1), Stop())
    (one,) = heard(place)
    assert (one["COCKPIT_EVENT"], one["COCKPIT_STUDY"], one["COCKPIT_EXPERIMENT"]) == ("end", "tried", "")
    assert one["argv"] == ["two words"] and one["stdin"].strip() == one["COCKPIT_TEXT"]
    assert "ended: no experiments left; 1 experiment, nothing offered" in one["stdin"]
    assert one["home"] == os.environ["HOME"]
    assert await said(place) == ["notify: told of the end"]
    assert any(ran.purpose.startswith("tell: ") for ran in everything(place.folder))


async def test_what_fails_is_said_and_ends_nothing(write: Write, bare_python: Path) -> None:
    place = study(write, bare_python, "sh -c 'echo no line >&2; exit 3'")
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    place.config.write_text(place.config.read_text().replace("sh -c", "/no/such"))
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    assert await said(place) == [
        "notify: could not tell of the end: `sh` ended with exit status 3: no line",
        "notify: could not tell of the end: `/no/such` cannot be run: No such file or directory",
    ]


async def test_what_takes_too_long_is_ended(write: Write, bare_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "SECONDS", 0.3)
    place = study(write, bare_python, "sh -c 'sleep 60 & wait'")
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    assert "has taken 0.3 s, and was ended" in (await said(place))[0]


async def test_an_engine_that_is_killed_is_told_of_at_once_and_once(write: Write, bare_python: Path) -> None:
    place = study(write, bare_python, train=SLOW)
    life = begun(LIFE, place.root)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any("loop.watch" in one.argv for one in everything(place.folder)):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert life.pid
    os.kill(life.pid, signal.SIGKILL)
    while time.monotonic() < deadline and not heard(place):
        await asyncio.sleep(0.05)
    (one,) = heard(place)
    assert one["COCKPIT_EVENT"] == "died" and "its engine is gone since" in one["COCKPIT_TEXT"]
    async with await Database.open(place.folder) as database:
        last = await views.last_engine(database)
        assert last and last.ended_by is Ended.DIED
        await notify.of_a_death(place, database, NOWHERE, last)
    assert len(heard(place)) == 1
    stop = Stop()
    stop.ask()
    stop.ask()
    await research(place, Limits(experiments=1), stop)  # which ends what goes on


async def test_an_offer_is_told_once_whoever_tells(
    write: Write, bare_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = study(write, bare_python)
    await research(place, Limits(experiments=2), Stop())
    async with await Database.open(place.folder) as database:
        await database.rows("SELECT 1")
        async with database.transaction() as change:
            await change.execute("UPDATE verdicts SET word = 'better', evidence = 'confirmed', asks = 0")
            await change.execute("UPDATE experiments SET state = 'judged' WHERE number = 1")
        if not (await views.experiments(database))[1].verdict:
            pytest.fail("it has no verdict")
        for _ in range(2):
            async with notify.telling(place, database, NOWHERE):
                await asyncio.sleep(0.3)
        assert await told.offers(database) == {1}
    first = [one for one in heard(place) if one["COCKPIT_EVENT"] == "offer"]
    assert [one["COCKPIT_EXPERIMENT"] for one in first] == ["e0001"] and "confirmed" in first[0]["stdin"]


async def test_an_offer_from_before_anybody_was_to_be_told_is_not_told(write: Write, bare_python: Path) -> None:
    place = study(write, bare_python)
    text = place.config.read_text()
    place.config.write_text(text.partition("[notify]")[0])
    await research(place, Limits(experiments=2), Stop())
    async with await Database.open(place.folder) as database, database.transaction() as change:
        await change.execute("UPDATE verdicts SET word = 'better', evidence = 'confirmed', asks = 0")
        await change.execute("UPDATE experiments SET state = 'judged' WHERE number = 1")
    place.config.write_text(text)
    await research(place, Limits(experiments=2), Stop())
    assert [one["COCKPIT_EVENT"] for one in heard(place)] == ["end"]


@pytest.mark.parametrize("command", ["", "sh -c 'open"])
def test_what_is_no_command_is_an_error_with_its_line(write: Write, command: str) -> None:
    place = write(more=f'[notify]\ncommand = "{command}"')
    with pytest.raises(ConfigError, match=r"cockpit.toml:\d+: `\[notify\] command`"):
        read(place.config)
