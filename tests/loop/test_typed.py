"""Who takes a branch home can type what it runs: flags, seed and all."""

import os
import subprocess
from pathlib import Path

import pytest

from loop.engine import Limits, research
from loop.stop import Stop
from store import views
from store.database import Database
from tests.cockpit.test_cli import keys
from tests.conftest import Write, cockpit, git

TRAIN = """\
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--out")
given = parser.parse_args()
print("given", given.dropout, given.seed, given.steps, given.out == os.environ.get("COCKPIT_OUTPUT", "output"))
print("loss:", given.dropout + given.seed % 7 / 1000)
"""
MORE = """\
[space.knobs]
"--dropout" = { low = 0.0, high = 0.5 }
[fidelity]
quick = { "--steps" = 1 }
full = { "--steps" = 20 }
[model]
name = "none"
"""


@pytest.mark.usefixtures("leaves_nothing")
async def test_show_diff_and_land_end_with_the_command_and_it_runs(write: Write, tmp_path: Path) -> None:
    place = write(TRAIN, run='seed = "--seed {seed}"', more=MORE)
    place.config.write_text(place.config.read_text().replace("python train.py", "python train.py --out {output}"))
    await research(place, Limits(experiments=2), Stop())
    where = str(place.root)
    async with await Database.open(place.folder) as database:
        (run,) = await views.runs(database, 1)
    (said,) = keys("show", "e0001", "--json", where)["commands"]
    assert said.startswith(f"python train.py --out output --seed {run.seed} --dropout=")
    assert said.endswith(" --steps=20")
    for words in (("show", "e0001"), ("diff", "e0001"), ("land", "e0001", "--unconfirmed")):
        assert cockpit(*words, where).stdout.splitlines()[-1] == f"it runs: {said}"
    assert f"\n    {said}\n" in git(place.root, "log", "-1", "--format=%B", "cockpit/tried/land-e0001")
    git(place.root, "checkout", "-q", "cockpit/tried/land-e0001")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "python").symlink_to(
        subprocess.run(["which", "python3"], capture_output=True, text=True).stdout.strip()
    )
    done = subprocess.run(["sh", "-c", said], cwd=place.root, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("given ") and done.stdout.splitlines()[0].endswith("20 True"), done.stderr


@pytest.mark.usefixtures("leaves_nothing")
async def test_what_the_seed_is_handed_over_by_is_said_where_no_flag_does(write: Write) -> None:
    place = write()
    await research(place, Limits(experiments=1), Stop())
    (said,) = keys("show", "e0000", "--json", str(place.root))["commands"]
    assert said == "COCKPIT_SEED=169504 python train.py"


@pytest.mark.usefixtures("leaves_nothing")
async def test_what_a_run_imports_from_stands_before_the_command_and_no_seed_that_nothing_reads(write: Write) -> None:
    train = (
        "import os, random, kit\nrandom.seed(int(os.environ.get('COCKPIT_SEED', 7)))\nprint('loss:', random.random())\n"
    )
    files = {"src/kit/__init__.py": "", "lab/train.py": train, "lab/own.py": "import random\nrandom.seed(3)\n"}
    place = write("", run='cwd = "lab"\nseed = "lab/own.py:random.seed()"', files=files, deterministic=True)
    await research(place, Limits(experiments=1), Stop())
    (said,) = keys("show", "e0000", "--json", str(place.root))["commands"]
    assert said == "(cd lab && PYTHONPATH=..:../src python train.py)"
