"""A study that begins with what is not committed: a snapshot of the working tree, which touches nothing."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from loop.branches import Branches, GitError, TooMuch
from loop.engine import Limits, research
from loop.stop import Stop
from loop.study import ConfigError
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended
from tests.conftest import TRAIN, Write, cockpit, git
from tests.loop.test_branches import fingerprint

ONE = Limits(experiments=1)
NEW = TRAIN.replace("0.1 ", "0.2 ")


def changed(place: Place) -> None:
    """One of each: a change, a staged one, a file taken away, one that git does not know, one that it ignores."""
    root = place.root
    (root / "train.py").write_text(NEW)
    (root / "staged.py").write_text("b = 2\n")
    git(root, "add", "staged.py")
    (root / "gone.py").unlink()
    (root / "new").mkdir()
    (root / "new" / "ä file.txt").write_text("new\n")
    (root / "big.bin").write_bytes(b"ignored")


def files() -> dict[str, str]:
    return {"gone.py": "a = 1\n", "staged.py": "b = 1\n", ".gitignore": "*.bin\n"}


async def test_a_snapshot_is_what_git_would_add_and_touches_nothing(write: Write) -> None:
    place = write(files=files())
    changed(place)
    before = fingerprint(place.root)
    branches = await Branches.of(place)
    head = await branches.commit("HEAD")
    commit, paths = await branches.snapshot(head)
    assert paths == ["gone.py", "new/ä file.txt", "staged.py", "train.py"]
    assert set(await branches.files(commit)) == {
        ".gitignore", "cockpit.toml", "new/ä file.txt", "staged.py", "train.py"
    }  # fmt: skip
    assert await branches.content(commit, "train.py") == NEW.encode()
    assert git(place.root, "rev-parse", f"{commit}^").strip() == head
    assert (await branches.snapshot(head))[0] == commit
    assert fingerprint(place.root) == before


async def test_what_the_user_ignores_everywhere_stays_out(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ignored").write_text("*.swp\n")
    (tmp_path / "home" / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignored\n")
    (place.root / "train.py.swp").write_text("x")
    (place.root / "new.py").write_text("x = 1\n")
    branches = await Branches.of(place)
    assert (await branches.snapshot(await branches.commit("HEAD")))[1] == ["new.py"]


async def test_where_there_is_nothing_to_take_along_head_is_the_snapshot(write: Write) -> None:
    branches = await Branches.of(write())
    head = await branches.commit("HEAD")
    assert await branches.snapshot(head) == (head, [])


async def test_what_is_too_large_is_refused_by_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()
    with (place.root / "data.npy").open("wb") as file:
        file.truncate(60_000_000)
    branches = await Branches.of(place)
    with pytest.raises(TooMuch, match=r"60 MB in files that git does not track: data.npy \(60 MB\)"):
        await branches.snapshot(await branches.commit("HEAD"))
    with pytest.raises(ConfigError, match="--with-changes: 60 MB"):
        await research(place, ONE, Stop(), with_changes=True)


async def test_a_merge_that_is_not_finished_is_refused(write: Write) -> None:
    place = write()
    git(place.root, "checkout", "-qb", "other")
    (place.root / "train.py").write_text(NEW)
    git(place.root, "commit", "-qam", "other")
    git(place.root, "checkout", "-q", "main")
    (place.root / "train.py").write_text(TRAIN.replace("0.1 ", "0.3 "))
    git(place.root, "commit", "-qam", "own")
    subprocess.run(["git", "merge", "-q", "other"], cwd=place.root, capture_output=True)
    branches = await Branches.of(place)
    with pytest.raises(GitError, match=r"train\.py is in conflict"):
        await branches.snapshot(await branches.commit("HEAD"))


async def test_a_study_begins_with_the_changes_and_its_baseline_then_stays(write: Write) -> None:
    place = write(files=files())
    changed(place)
    before = fingerprint(place.root)
    assert await research(place, ONE, Stop(), with_changes=True) is Ended.EXPERIMENTS
    assert fingerprint(place.root) == before
    async with await Database.open(place.folder) as database:
        baseline, last = await views.experiment(database, 0), await views.last_engine(database)
    assert baseline and last and last.facts["with_changes"] and not last.facts["left_out"]
    assert git(place.root, "show", f"{baseline.commit}:train.py") == NEW
    with pytest.raises(ConfigError, match="has begun"):
        await research(place, ONE, Stop(), with_changes=True)
    (place.root / "staged.py").write_text("b = 3\n")
    await research(place, ONE, Stop())
    async with await Database.open(place.folder) as database:
        again, last = await views.experiment(database, 0), await views.last_engine(database)
    assert again and last and again.commit == baseline.commit and last.facts["left_out"] == ["staged.py"]


async def test_until_it_is_measured_it_follows_the_working_tree(write: Write) -> None:
    place = write()
    (place.root / "train.py").write_text("raise SystemExit('broken')\n")
    assert await research(place, ONE, Stop(), with_changes=True) is Ended.BASELINE_FAILED
    (place.root / "train.py").write_text(NEW)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        baseline = await views.experiment(database, 0)
    assert baseline and git(place.root, "show", f"{baseline.commit}:train.py") == NEW


def test_a_dirty_tree_is_said_and_taken_along_where_it_is_asked_for(write: Write) -> None:
    place = write()
    (place.root / "train.py").write_text(NEW)
    done = cockpit("--batch", "--experiments", "1", str(place.root))
    assert "not committed, so not part of the study: train.py" in done.stdout
    assert "not committed, so not part of the study: train.py" in cockpit("status", str(place.root)).stdout
    assert json.loads(cockpit("status", "--json", str(place.root)).stdout)["left_out"] == ["train.py"]
    refused = cockpit("--batch", "--with-changes", str(place.root))
    assert refused.returncode == 1 and "cockpit sync" in refused.stderr


async def test_a_change_in_the_second_of_the_commit_that_keeps_the_size_is_seen(write: Write) -> None:
    place = write()
    branches = await Branches.of(place)
    file, index = place.root / "train.py", place.git_dir / "index"
    second = int(time.time()) - 60
    for each in (file, index):  # as where all of it is done within a second, long before
        os.utime(each, (second, second))
    git(place.root, "update-index", "--refresh")
    os.utime(index, (second, second))
    file.write_text(NEW)
    os.utime(file, (second, second))
    commit, paths = await branches.snapshot(await branches.commit("HEAD"))
    assert paths == ["train.py"] and git(place.root, "show", f"{commit}:train.py") == NEW
