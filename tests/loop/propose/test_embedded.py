"""The embedded model itself, which `make model` brings: `make test-model` runs these."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loop.propose import weights
from loop.propose.embedded import Embedded
from loop.propose.model import Model
from loop.run.quiet import Quiet
from store.database import Database
from store.place import find
from tests.conftest import cockpit, processes

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("leaves_nothing")]
FILE = weights.cached()  # before the tests are told that there is none


def embedded(folder: Path, quiet: Quiet) -> Model:
    return Model(FILE.stem, "", 2048, 60.0, quiet, Embedded(FILE, 2048, folder / "model.log"))


def state(pid: int) -> str:
    """The letter by which the kernel knows what a process does: T where it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def server(model: Model) -> int:
    assert model.embedded is not None
    assert model.embedded._process is not None
    return model.embedded._process.pid


async def test_it_answers_in_a_schema_and_stands_still_while_a_timed_stage_runs(tmp_path: Path) -> None:
    quiet = Quiet()
    quiet.timed = frozenset({"predict"})
    model = embedded(tmp_path, quiet)
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
    messages = [{"role": "user", "content": "Choose a colour, and answer in JSON."}]
    first = await model.ask(messages, schema=schema, most_tokens=20, temperature=0.0, seed=1)
    assert json.loads(first.text)["colour"] in ("red", "blue")
    assert first.took.load_seconds
    assert first.took.prompt_tokens
    asking = asyncio.create_task(model.ask(messages, schema=schema, most_tokens=20, temperature=0.0, seed=1))
    await asyncio.sleep(0.05)
    quiet.runs("slot0", "predict")
    await asyncio.sleep(1.0)
    assert state(server(model)) == "T"
    assert not asking.done()
    quiet.runs("slot0", "score")
    again = await asking
    assert again.text == first.text
    assert again.took.held_seconds > 0.8
    pid = server(model)
    quiet.runs("slot0", "predict")
    await model.close()
    assert not Path(f"/proc/{pid}").exists()


HOLDER = """
import asyncio, sys
from pathlib import Path
from loop.propose.embedded import Embedded
async def main():
    one = Embedded(Path(sys.argv[1]), 2048, Path(sys.argv[2]) / "model.log")
    if sys.argv[3] == "at once":
        one.hold(True)
        starting = asyncio.create_task(one.host())
        while not one.stands:
            await asyncio.sleep(0.01)
    else:
        await one.host()
        one.hold(True)
    print(one._process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("held", ["at once", "when it serves"])
async def test_it_ends_with_an_engine_that_was_killed_even_while_it_is_held(tmp_path: Path, held: str) -> None:
    words = [sys.executable, "-c", HOLDER, str(FILE), str(tmp_path), held]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        while state(pid) != "T":
            await asyncio.sleep(0.01)
        os.kill(holder.pid, signal.SIGKILL)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or state(pid) == "Z":
            return
        await asyncio.sleep(0.05)
    pytest.fail("it is still there")


async def test_a_study_in_which_the_small_model_proposes(tmp_path: Path) -> None:
    study = tmp_path / "d"
    assert cockpit("new", "digits", str(study)).returncode == 0
    config = study / "cockpit.toml"
    config.write_text(config.read_text().replace('name = "auto"', f'share = 0.5\nname = "{FILE}"'))
    words = [sys.executable, "-m", "cockpit", "--batch", "--experiments", "7", str(study)]
    done = subprocess.run(words, env=dict(os.environ), text=True, capture_output=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"model {FILE.stem}, embedded" in done.stdout
    spent = json.loads(cockpit("ledger", "--json", str(study)).stdout)
    for resource, total in spent["total"].items():
        assert sum(amounts.get(resource, 0.0) for amounts in spent["by_outcome"].values()) == pytest.approx(total)
    async with await Database.open(find(study).folder) as database:
        calls = await database.rows("SELECT * FROM calls ORDER BY id")
        timed = await database.rows("SELECT * FROM stages WHERE name = 'predict'")
    assert {call["outcome"] for call in calls} <= {"ok", "interrupted"}
    tokens = sum((call["prompt_tokens"] or 0) + (call["answer_tokens"] or 0) for call in calls)
    assert spent["total"]["tokens"] == tokens
    assert spent["by_proposer"]["model"], "it has proposed nothing"
    for call in calls:
        spans = [(stage["started_at"], stage["started_at"] + stage["wall_seconds"]) for stage in timed]
        within = sum(end - start for start, end in spans if call["at"] < start and end < call["ended_at"])
        assert call["outcome"] == "interrupted" or call["held_seconds"] > 0.9 * within
    assert not processes(tmp_path)
    print(done.stdout)
