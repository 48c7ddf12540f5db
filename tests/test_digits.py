"""The whole job on the real recipe: torch, Accelerate, git and SQLite, held against the three commands run by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loop.run.interpreter import launcher_options
from loop.run.stages import LAUNCHER_CONFIG, printed
from loop.schedule import seeds
from tests.conftest import cockpit, git

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def by_hand(folder: Path, *words: str) -> None:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    with (folder / "log").open("a") as log:
        subprocess.run([sys.executable, *words], cwd=folder, env=variables, check=True, stdout=log)


def test_an_experiment_gives_the_numbers_of_its_branch_run_by_hand(tmp_path: Path) -> None:
    study = tmp_path / "d"
    assert cockpit("new", "digits", str(study)).returncode == 0
    done = cockpit("--batch", "--json", "--experiments", "2", str(study))
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(study, "status", "--porcelain") == ""
    for name in ("e0000", "e0001"):
        shown = json.loads(cockpit("show", name, "--json", str(study)).stdout)
        run = shown["runs"][-1]
        assert shown["runs"][0]["seed"] == next(seeds(0))
        assert [(stage["name"], stage["outcome"]) for stage in run["stages"]] == [
            ("train", "ok"),
            ("predict", "ok"),
            ("score", "ok"),
        ]
        assert run["launch"] == "accelerate variables"

        git(study, "checkout", "-q", shown["branch"])
        (study / "log").unlink(missing_ok=True)
        by_hand(study, "train.py", "--seed", str(run["seed"]))
        by_hand(study, "predict.py")
        by_hand(study, "score.py", "--labels", ".git/cockpit/digits/labels")
        names = ("nll", "accuracy", "parameters", "predict_us_per_item")
        hand = printed(study / "log", names)
        own = {name: run["measurements"][name] for name in names}
        # All but the timing is the same to the last digit; the timing is this machine's, and one of a kind.
        assert {**own, "predict_us_per_item": 0} == {**hand, "predict_us_per_item": 0}
        assert 0 < own["predict_us_per_item"] < 100
        sources = {name: measured["source"] for name, measured in shown["measurements"].items()}
        for name, measured in shown["measurements"].items():
            every = [one["measurements"][name] for one in shown["runs"]]
            assert (measured["n"], measured["mean"]) == (len(every), pytest.approx(sum(every) / len(every)))
        assert sources == {
            "nll": "scored",
            "accuracy": "scored",
            "predict_us_per_item": "evaluated",
            "parameters": "evaluated",
            "train_seconds": "measured",
        }


def test_the_launcher_itself_trains_the_same_network_where_its_function_is_gone(tmp_path: Path) -> None:
    """The way that is taken when Accelerate's private function has changed: `accelerate launch` with every option."""
    study = tmp_path / "d"
    assert cockpit("new", "digits", str(study)).returncode == 0
    (study / "accelerate.yaml").write_text(LAUNCHER_CONFIG)
    launcher = ["-m", "accelerate.commands.launch", "--config_file", "accelerate.yaml", *launcher_options()]
    by_hand(study, *launcher, "train.py", "--seed", "1", "--out", "launched")
    by_hand(study, "train.py", "--seed", "1", "--out", "plain")
    launched, plain = ((study / how / "model.safetensors").read_bytes() for how in ("launched", "plain"))
    assert launched == plain


def test_a_missing_torch_is_said_with_the_command_that_mends_it(tmp_path: Path, bare_python: Path) -> None:
    study = tmp_path / "d"
    assert cockpit("new", "digits", str(study)).returncode == 0
    config = study / "cockpit.toml"
    config.write_text(config.read_text().replace("[data]", f'python = "{bare_python}"\n[data]'))
    done = cockpit("--batch", str(study))
    assert done.returncode == 1
    assert f"{bare_python} -m pip install accelerate numpy safetensors torch" in done.stderr
