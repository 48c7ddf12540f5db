"""A changed cockpit.toml: what follows is said, and where objectives are added or taken out little is run again."""

import json
from pathlib import Path

import pytest

from loop.engine import Limits, research
from loop.revised import ADDED, BENCH, RULE, revised
from loop.stop import Stop
from loop.study import parse
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended, State
from tests.conftest import Write, cockpit

TOML = """\
[run]
train = "python train.py"
[objectives]
loss = { direction = "minimize" }
[budget]
experiments = 4
time = "1 h"
"""


def said(text: str) -> str:
    return revised(parse(TOML, Path("cockpit.toml")), parse(text, Path("cockpit.toml"))).text


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        ("experiments = 4", "experiments = 6", "budget.experiments 4 → 6: it is raised, and the study goes on to it"),
        ('"1 h"', '"30 min"', 'budget.time "1 h" → "30 min": it is lowered, and the study ends at it'),
        ('time = "1 h"', "", "budget.time taken out: nothing bounds it any more, and the study goes on"),
        ('time = "1 h"', 'time = "60 min"', "nothing but its wording has changed"),
        ("[run]", '[study]\npreset = "balanced"\n[run]', "nothing but its wording has changed"),
        ("[run]", '[study]\npreset = "strict"\n[run]', f'study.preset = "strict": {RULE}'),
        ("[run]", '[study]\ngoal = "Less"\n[run]', 'study.goal = "Less": the model is told it from now on'),
        ("train.py", "other.py", f'run.train "python train.py" → "python other.py": {BENCH}'),
        ("[budget]", 'cpu_seconds = { direction = "minimize" }\n[budget]',
         f'objectives.cpu_seconds = {{ direction = "minimize" }}: {ADDED}'),
        ('"minimize" }', '"minimize", smallest = "1 %" }', 'objectives.loss.smallest = "1 %": the frontier is drawn'),
        ('"minimize"', '"maximize"', BENCH),
        ("[budget]", "[seeds]\nbaseline = 4\n[budget]", "the baseline and trunk get the runs that they lack"),
        ("[budget]", '[constraints]\nloss = { max = 1 }\n[budget]', f"constraints.loss = {{ max = 1 }}: {ADDED}"),
    ],
)  # fmt: skip
def test_what_follows_from_a_changed_key_is_said(old: str, new: str, follows: str) -> None:
    assert follows in said(TOML.replace(old, new))


def test_keys_from_which_the_same_follows_stand_together() -> None:
    text = said(TOML.replace("train.py", "other.py").replace('"minimize"', '"maximize"'))
    assert text.count(BENCH) == 1 and "run.train" in text and "objectives.loss.direction" in text


async def seen(place: Place) -> tuple[int, list[State], set[str]]:
    async with await Database.open(place.folder) as database:
        rows = await views.experiments(database)
        measured = {one.objective for row in rows for one in row.measurements}
        return await views.newest_run(database), [row.state for row in rows], measured


def write_over(place: Place, old: str, new: str) -> None:
    place.config.write_text(place.config.read_text().replace(old, new))


async def happened(place: Place, kind: str) -> list[str]:
    async with await Database.open(place.folder) as database:
        return [row["text"] for row in await database.rows("SELECT text FROM events WHERE kind = ? ORDER BY seq", kind)]


TRAIN = """\
import os
RATE = 0.1  # cockpit: 0.001..1.0 log
print(f"loss: {RATE + int(os.environ['COCKPIT_SEED']) % 7}")
print(f"other: {1000 * RATE + int(os.environ['COCKPIT_SEED']) % 5}")
"""
# Of seconds no share that could be saved counts, and `other` is surely worse than the baseline's: nothing asks for one
# more seed, whatever the noise of a busy machine says.
SECONDS = 'cpu_seconds = { direction = "minimize", smallest = "10000 %" }'
SECOND = f'{SECONDS}\nother = {{ direction = "minimize" }}\n[space.knobs]'


async def test_an_objective_of_which_each_run_has_a_value_is_added_without_a_run(write: Write) -> None:
    place = write(TRAIN, more="[space.knobs]")
    await research(place, Limits(experiments=4), Stop())
    runs, states, _ = await seen(place)
    write_over(place, "[space.knobs]", SECOND)
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    again, now, measured = await seen(place)
    assert (again, now) == (runs, states) and measured == {"loss", "cpu_seconds", "other"}
    (text,) = await happened(place, "counted on")
    assert f"{runs} of {runs} runs have a value of all of them and count on" in text
    assert (await happened(place, "bench"))[-1].endswith(", for objectives changed"), "and nothing is run first"
    assert any("objectives.cpu_seconds" in one for one in await happened(place, "revised"))
    write_over(place, SECOND, "[space.knobs]")
    await research(place, Limits(experiments=1), Stop())
    assert (await seen(place))[:2] == (runs, states), "and taken out again"
    assert len(await happened(place, "counted on")) == 2


async def test_what_runs_cannot_say_is_measured_on_the_frontier_alone(write: Write) -> None:
    place = write(TRAIN, more="[space.knobs]")
    await research(place, Limits(experiments=6), Stop())
    async with await Database.open(place.folder) as database:
        front = {point.experiment for point in (await views.frontier(database))[0].points}
        offered = {row.number for row in await views.experiments(database) if row.offered}
    for log in (place.folder / "runs").glob("*/*.log"):
        log.unlink()
    runs, _, _ = await seen(place)
    write_over(place, "[space.knobs]", 'other = { direction = "minimize" }\n[space.knobs]')
    await research(place, Limits(experiments=1), Stop())
    async with await Database.open(place.folder) as database:
        rows = await database.rows("SELECT DISTINCT experiment FROM runs WHERE id > ?", runs)
    assert {row["experiment"] for row in rows} - {0} <= front | offered
    assert len(rows) >= 1 and "the rest stays as it was" in (await happened(place, "counted on"))[0]


def test_status_names_the_revision_and_the_batch_says_what_follows(write: Write) -> None:
    place = write(more="[budget]\nexperiments = 1")
    folder = str(place.root)
    assert cockpit("--batch", folder).returncode == 0
    first = json.loads(cockpit("status", "--json", folder).stdout)["revision"]
    write_over(place, "experiments = 1", "experiments = 2")
    assert "budget.experiments 1 → 2: it is raised, and the study goes on to it" in cockpit("--batch", folder).stdout
    status = cockpit("status", folder).stdout
    assert "budget.experiments 1 → 2" in status
    write_over(place, "experiments = 2", "experiments = 1")
    cockpit("--batch", folder)
    back = json.loads(cockpit("status", "--json", folder).stdout)["revision"]
    assert back["digest"] == first["digest"] and "2 → 1" in back["text"], "a text that it had before is news, too"
