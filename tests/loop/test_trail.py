"""What a study's engine starts, it leaves a line of: counted by what stands in git's place, and by what runs left."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from loop.engine import Limits, research
from loop.run import supervisor
from loop.run.launch import command
from loop.stop import Stop
from store.commands import submit
from store.place import Place
from store.records import Ended
from store.spawn import obey
from store.trail import ENGINE, SHELL, Ran, Trail, everything
from tests.conftest import Write

pytestmark = pytest.mark.usefixtures("leaves_nothing")
GIT = """\
#!/bin/sh
printf '%s\\036' "$@" >>{told}
echo >>{told}
exec {git} "$@"
"""


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What git is given, a line a call, written down by what stands in its place."""
    told, folder = tmp_path / "told", tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(GIT.format(told=told, git=shutil.which("git")))
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return told


def left(place: Place, who: str = ENGINE) -> list[Ran]:
    return [one for one in everything(place.folder) if one.who == who]


async def test_each_git_command_each_stage_and_each_supervisor_is_in_the_trail_once(
    write: Write, counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.spawn.obey", obey)  # as it is, and not as the other tests have it
    place = write()
    counted.unlink()  # what the test itself has asked of git
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    found = left(place)
    given = [line.split("\036")[:-1] for line in counted.read_text().split("\n")[:-1]]
    git = [list(one.argv[1:]) for one in found if one.argv[0] == str(tmp_path / "bin/git")]
    assert sorted(git) == sorted(given) and len(given) > 20
    moved = [one.purpose for one in found if "update-ref" in one.argv]
    assert any("cockpit/tried/e0001-" in purpose for purpose in moved), "what stood on its standard input is said"
    changing = {one.argv[2] for one in found if one.argv[1] == "--no-pager" and not one.reads}
    assert changing == {
        "read-tree", "hash-object", "update-index", "write-tree", "commit-tree", "update-ref", "checkout-index",
    }  # fmt: skip

    runs = sorted((place.folder / "runs").iterdir())
    stages = [one for one in everything(place.folder) if one.who.startswith("run ")]
    assert [one.who for one in stages] == [f"run {int(run.name)}" for run in runs]
    for run, stage in zip(runs, stages, strict=True):
        (spec,) = json.loads((run / "spec.json").read_text())["stages"]
        assert (stage.status, stage.folder) == (0, spec["cwd"]) and stage.purpose.endswith(" train")
        assert stage.argv[-1] == spec["argv"][-1]
    kept = [one for one in found if supervisor.PROGRAM in one.argv]
    assert [one.goes_on for one in kept].count(True) == len(runs)
    assert "COCKPIT_SEED" not in (place.folder / "processes.jsonl").read_text(), "no variable is kept"

    answer = await submit(
        place, "reject", {"experiment": 1, "reason": ""}, {}, Trail(place.folder, SHELL)
    )  # with no engine alive
    assert answer.done, answer.text
    (started,) = left(place, SHELL)
    assert started.argv[-2:] == ("loop.obey", str(place.root)) and started.argv[0] == sys.executable
    answered = left(place)[len(found) :]
    assert len(answered) == counted.read_text().count("\n") - len(given) > 0


@pytest.mark.parametrize("text", ["", "[]", '{"stages": [{"name": "train", "argv": 3}]}', '{"stages": 1}'])
def test_a_run_that_has_written_over_its_orders_leaves_a_stage_without_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "spec.json").write_text(text)
    assert command(tmp_path, "train") == ([], "")
