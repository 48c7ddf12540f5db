"""From somebody's own repository to a branch of theirs, in five commands and without touching a line of their code."""

import json
import os
from pathlib import Path

import pytest

from cockpit.opening import COMMANDS as SERVED
from tests.conftest import cockpit, git
from tests.repositories import COMMANDS, NAMES, made

NEEDED = ("probe", "init", "plan", "land")
REAL = "COCKPIT_TEST_TRANSFORMERS"  # a Python that has transformers, torch and accelerate: then it is the real Trainer


MISSING = [f"`cockpit {name}`" for name in NEEDED if name not in SERVED]


@pytest.mark.skipif(bool(MISSING), reason=f"not there yet: {', '.join(MISSING)}")
@pytest.mark.parametrize("name", NAMES)
def test_somebody_s_own_repository_is_a_judged_study_and_a_branch_in_five_commands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(name, tmp_path / name)
    monkeypatch.chdir(folder)
    before = git(folder, "rev-parse", "HEAD"), git(folder, "ls-files", "-s")

    probed = cockpit("probe", "--", *COMMANDS[name])
    assert probed.returncode == 0, probed.stdout + probed.stderr
    assert "noise" in probed.stdout or "seed" in probed.stdout
    initiated = cockpit("init", "--yes", "--", *COMMANDS[name])
    assert initiated.returncode == 0, initiated.stdout + initiated.stderr
    assert git(folder, "status", "--porcelain").split() == ["??", "cockpit.toml"]
    text = (folder / "cockpit.toml").read_text()  # as few runs as there can be: this is no test of the judge
    fast = text.replace("[study]\n", '[study]\npreset = "fast"\n') + "\n[seeds]\nbaseline = 2\nrace = 2\nconfirm = 2\n"
    (folder / "cockpit.toml").write_text(fast)
    planned = cockpit("plan")
    assert planned.returncode == 0, planned.stderr
    done = cockpit("--batch", "--json", "--experiments", "8", ".")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert len(summary["experiments"]) == 8

    rows = json.loads(cockpit("experiments", "--json").stdout)["experiments"]
    good = [row for row in rows if row["id"] != "e0000" and not row["failure"]]
    assert len(good) >= 4, [(row["id"], row["failure"], row["detail"]) for row in rows]
    values = {json.dumps(row["measurements"], sort_keys=True) for row in good}
    assert len(values) > 1, "no knob moves anything"
    landed = cockpit("land", good[0]["id"], "--unconfirmed")
    assert landed.returncode == 0, landed.stderr
    branches = git(folder, "branch", "--list", "--format=%(refname:short)", "cockpit/*land*").split()
    assert branches
    assert git(folder, "merge-base", "main", branches[0]) == before[0]
    assert (git(folder, "rev-parse", "HEAD"), git(folder, "ls-files", "-s")) == before


@pytest.mark.skipif(not os.environ.get(REAL), reason=f"${REAL} names no Python with transformers")
def test_the_real_trainer_leaves_what_its_stand_in_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made("trainer", tmp_path / "trainer")
    monkeypatch.chdir(folder)
    assert cockpit("init", "--yes", "--", *COMMANDS["trainer"]).returncode == 0
    text = (folder / "cockpit.toml").read_text()
    python = f'python = "{os.environ[REAL]}"'
    (folder / "cockpit.toml").write_text(text.replace("[run]\n", f"[run]\n{python}\n"))
    done = cockpit("--batch", "--json", "--experiments", "2", ".")
    assert done.returncode == 0, done.stdout + done.stderr
