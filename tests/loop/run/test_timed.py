"""Training that works for a given time is found out, said, and has nothing of ours beside it."""

import json
from pathlib import Path

import pytest

from loop.engine import Limits, research
from loop.run import timed
from loop.run.timed import by_settings, equal, unequal
from loop.stop import Stop
from loop.study import parse
from store.database import Database
from tests.conftest import Write, cockpit

WORKS_FOR_A_TIME = """\
import os, time
RATE = 0.5  # cockpit: 0.1..0.9
begun, step = time.monotonic(), 0
while time.monotonic() < begun + 0.3:
    step += 1 + int(os.environ["COCKPIT_SEED"]) % 7
    time.sleep(0.01)
    print(f"step {step} loss: {1 / step + RATE}", flush=True)
"""
TABLES = '[run]\ntrain = "x"\n[objectives]\nloss = { direction = "minimize" }\n'


def test_equal_seconds_and_unequal_steps_are_the_signs() -> None:
    assert equal([60.0, 61.0, 62.0]) and not equal([60.0]) and not equal([60.0, 70.0]) and not equal([0.2, 0.2])
    assert unequal([{"loss": 100.0}, {"loss": 101.0}]) and not unequal([{"loss": 100.0}, {"loss": 100.0}])


def test_a_fidelity_with_seconds_has_training_timed_before_any_run() -> None:
    given = "[fidelity]\nquick = { seconds = 5 }\nfull = { seconds = 50 }\n"
    assert by_settings(parse(TABLES, Path("c")).settings) == frozenset()
    assert by_settings(parse(TABLES + given, Path("c")).settings) == {"train"}


@pytest.mark.usefixtures("leaves_nothing")
async def test_a_time_budget_is_seen_said_and_has_nothing_of_ours_beside_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "LONG_ENOUGH_SECONDS", 0.1)
    monkeypatch.setattr(timed, "EQUAL_SECONDS", 9.0)  # on a machine that has much else to do
    place = write(WORKS_FOR_A_TIME, more="[model]\nname = 'none'")
    await research(place, Limits(experiments=6), Stop())
    folder = str(place.root)
    said = "training works for a given time (its runs take equal seconds and unequal steps): it runs alone"
    assert said in cockpit("status", folder).stdout and said in cockpit("plan", folder).stdout.replace(
        "\n          ", " "
    )
    assert any(said in text for text in json.loads(cockpit("status", "--json", folder).stdout)["doubts"])
    async with await Database.open(place.folder) as database:
        (text,) = [row["text"] for row in await database.rows("SELECT text FROM events WHERE text LIKE ?", f"%{said}%")]
        rows = await database.rows(
            "SELECT proposals.at AS at, runs.started_at AS since, runs.ended_at AS until FROM proposals JOIN runs "
            "ON proposals.at BETWEEN runs.started_at AND runs.ended_at"
        )
        known = await database.rows("SELECT at FROM events WHERE text = ?", text)
    late = [row["at"] for row in rows if row["at"] > known[0]["at"]]
    assert rows and not late, "what was proposed beside a run was before it was known"
