"""The whole job on the real recipe: torch, Accelerate, git and SQLite, held against the three commands run by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loop.propose.protocol import NotServed
from loop.run.interpreter import launcher_options
from loop.run.stages import LAUNCHER_CONFIG, printed
from loop.schedule import seeds
from tests.conftest import cockpit, git
from tests.loop.test_branches import fingerprint
from tests.scripted import Act, Answer, changes, packs, serving

pytestmark = pytest.mark.usefixtures("leaves_nothing")


def by_hand(folder: Path, *words: str) -> None:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    with (folder / "log").open("a") as log:
        subprocess.run([sys.executable, *words], cwd=folder, env=variables, check=True, stdout=log)


def test_a_whole_study_agrees_with_git_with_itself_and_with_its_branches_run_by_hand(tmp_path: Path) -> None:
    """Engine, git, Accelerate, SQLite and the model's client, all real; a script for a model; fewer epochs."""
    study = tmp_path / "d"
    assert cockpit("new", "digits", str(study)).returncode == 0
    train = study / "train.py"
    train.write_text(train.read_text().replace("EPOCHS = 12 ", "EPOCHS = 2 "))
    git(study, "commit", "-qam", "shorter")
    (study / "README.md").write_text("stashed")
    git(study, "stash")
    (study / "README.md").write_text("edited")
    git(study, "add", "README.md")
    (study / "mine").write_text("untracked")
    # Far too slow to learn, so that one run is enough to see it.
    slow, busy = changes(LEARNING_RATE=0.0001), NotServed(503, "server busy, maximum pending requests exceeded")

    def script(request: dict[str, Any]) -> Act:
        return busy if len(brain.requests) > 2 else Answer(slow if packs(request) else "Slower.")

    with serving(script) as (host, brain):
        config = study / "cockpit.toml"
        model = f'host = "{host}"\nshare = 1\nname = "{brain.name}"'
        text = config.read_text().replace('name = "auto"', model)
        config.write_text(f"{text}\n[seeds]\nbaseline = 2\nrace = 2\n".replace("[study]", '[study]\npreset = "fast"'))
        before = fingerprint(study)
        done = cockpit("--batch", "--json", "--experiments", "3", str(study))
    assert done.returncode == 0, done.stdout + done.stderr
    assert fingerprint(study) == before

    summary = json.loads(done.stdout.splitlines()[-1])
    rows = {row["id"]: row for row in summary["experiments"]}
    assert [row["proposer"] for row in rows.values()] == [None, "model", "optimiser"]
    branches = git(study, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/cockpit").split("\n")
    assert {f"{row['branch']} {row['commit']}" for row in rows.values()} <= set(branches)
    drawn = json.loads(cockpit("frontier", "--json", str(study)).stdout)
    assert drawn.pop("progress")[-1]["hypervolume"] == drawn["hypervolume"] == 1
    assert drawn.pop("returns") == summary["returns"]
    assert drawn.pop("agreement") == summary["agreement"]
    assert drawn == summary["frontier"]
    for point in drawn["points"]:
        measured = rows[point["id"]]["measurements"]
        assert point["values"] == {name: one["mean"] for name, one in measured.items()}
    spent = json.loads(cockpit("ledger", "--json", str(study)).stdout)
    for resource, total in spent["total"].items():
        assert sum(amounts.get(resource, 0) for amounts in spent["by_outcome"].values()) == pytest.approx(total)
    shown = {name: json.loads(cockpit("show", name, "--json", str(study)).stdout) for name in rows}
    stages = [stage for one in shown.values() for run in one["runs"] for stage in run["stages"]]
    assert spent["total"]["cpu_seconds"] == pytest.approx(sum(stage["cpu_seconds"] for stage in stages))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    calls = [event for event in events if event["event"] == "call"]
    (failed,) = [event for event in events if event["event"] == "call failed"]
    assert (len(calls), len(brain.requests), failed["outcome"]) == (2, 3, "busy")
    assert spent["total"]["tokens"] == sum(call["prompt_tokens"] + call["answer_tokens"] for call in calls)

    one = next(shown[name] for name, row in rows.items() if row["proposer"] == "model")
    assert [call["purpose"] for call in one["calls"]] == ["reason", "pack"]
    run = one["runs"][0]
    assert [(stage["name"], stage["outcome"]) for stage in run["stages"]] == [
        ("train", "ok"),
        ("predict", "ok"),
        ("score", "ok"),
    ]
    assert shown["e0000"]["runs"][0]["seed"] == run["seed"] == next(seeds(0))
    assert run["launch"] == "accelerate variables"
    git(study, "stash", "-q", "--include-untracked")
    git(study, "checkout", "-q", one["branch"])
    by_hand(study, "train.py", "--seed", str(run["seed"]))
    by_hand(study, "predict.py")
    by_hand(study, "score.py", "--labels", ".git/cockpit/digits/labels")
    names = ("nll", "accuracy", "parameters", "predict_us_per_item")
    hand = printed(study / "log", names)
    own = {name: run["measurements"][name] for name in names}
    # All but the timing is the same to the last digit; the timing is this machine's, and one of a kind.
    assert {**own, "predict_us_per_item": 0} == {**hand, "predict_us_per_item": 0}
    assert 0 < own["predict_us_per_item"] < 100
    for row in shown.values():
        for name, mean in row["measurements"].items():
            every = [again["measurements"][name] for again in row["runs"]]
            assert (mean["n"], mean["mean"]) == (len(every), pytest.approx(sum(every) / len(every)))
    assert len(shown["e0000"]["runs"]) > 1
    assert {name: mean["source"] for name, mean in one["measurements"].items()} == {
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
    train = study / "train.py"
    train.write_text(train.read_text().replace("EPOCHS = 12 ", "EPOCHS = 2 "))
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
