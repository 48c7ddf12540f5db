"""The commands that decide, as a person types them the morning after."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cockpit import decide
from store import journal, spawn, views
from store.database import Database
from store.place import RECORD, Place, engine_pid, take_engine_lock
from store.records import Ended
from tests.cockpit.test_cli import keys
from tests.conftest import Kept, Write, cockpit, git
from tests.loop.test_search import TRAIN

TRUNK = "refs/heads/cockpit/tried/trunk"


@pytest.fixture
def searched(write: Write, kept: Kept) -> Place:
    """A study of four experiments."""
    place = write(TRAIN.replace(" | broken", ""))
    if not kept("decided by command", place):
        done = cockpit("--batch", "--experiments", "4", str(place.root))
        assert done.returncode == 0, done.stderr
        kept("decided by command", place)
    return place


def first(place: Place) -> str:
    rows = keys("experiments", "--json", str(place.root))["experiments"]
    return str(next(row["id"] for row in rows if row["state"] == "judged"))


def test_a_merge_asks_for_a_yes_to_what_is_not_confirmed_and_is_undone_by_one_word(searched: Place) -> None:
    where, one = str(searched.root), first(searched)
    before = keys("status", "--json", where)["trunk"]
    refused = cockpit("merge", one, where)
    assert refused.returncode == 6
    assert f"{one} is " in refused.stderr
    assert "not confirmed" in refused.stderr
    assert "`--unconfirmed` merges it all the same" in refused.stderr
    assert keys("status", "--json", where)["trunk"] == before
    done = cockpit("merge", one, "--unconfirmed", where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{one} merged: cockpit/tried/trunk is at ")
    assert "`cockpit land` takes it to a branch off yours" in done.stdout
    status = keys("status", "--json", where)
    assert (status["trunk"], status["incumbent"]) == (git(searched.root, "rev-parse", TRUNK).strip(), one)
    assert f"the tree of {one}" in cockpit("status", where).stdout
    assert keys("undo", "--json", where)["trunk"] == git(searched.root, "rev-parse", TRUNK).strip()
    assert git(searched.root, "diff", before, TRUNK) == ""
    assert cockpit("undo", where).returncode == 6


def test_a_rejection_keeps_its_reason(searched: Place) -> None:
    where, one = str(searched.root), first(searched)
    said = keys("reject", one, "--reason", "not \x1b[31mwanted", "--json", where)
    assert (said["verb"], said["reason"]) == ("reject", "not \x1b[31mwanted")
    assert keys("show", one, "--json", where)["state"] == "rejected"
    assert "\x1b" not in cockpit("undo", where).stdout


def test_several_are_rejected_by_one_word_undone_by_one_and_rejected_again_by_one(searched: Place) -> None:
    where = str(searched.root)
    rows = keys("experiments", "--json", where)["experiments"]
    open_ = [row["id"] for row in rows if row["state"] == "judged"]
    said = keys("reject", *open_, "--reason", "slow", "--json", where)
    assert (said["experiments"], said["reason"]) == ([int(one[1:]) for one in open_], "slow")
    names = " and ".join(open_)
    assert cockpit("undo", where).stdout == f"the rejection of {names} is undone\n"
    again = keys("redo", "--json", where)
    assert (again["verb"], again["answer"]) == ("redo", f"the rejection of {names} is done again")
    assert again["decision"] is not None
    done = cockpit("redo", where)
    assert (done.returncode, done.stderr) == (6, "cockpit: nothing was undone that could be redone\n")


def test_before_anything_ran_there_is_nothing_to_decide(write: Write) -> None:
    where = str(write().root)
    for words in (["merge", "e0001"], ["reject", "e0001"], ["undo"], ["redo"]):
        done = cockpit(*words, where)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_what_is_judged_is_shown_wherever_an_experiment_is(searched: Place) -> None:
    where, one = str(searched.root), first(searched)
    row = keys("show", one, "--json", where)
    assert row["against"] == "e0000"
    loss = row["figures"]["loss"]
    assert loss["n"] == len(row["runs"])
    assert loss["low"] < loss["gain"] < loss["high"]
    assert loss["margin"] == pytest.approx((loss["high"] - loss["low"]) / 2 * abs(loss["change"] / loss["gain"]))
    said = f"{row['verdict']}, {row['evidence']}"
    assert f"verdict {said}, against e0000\n        {row['sentence']}\n" in cockpit("show", one, where).stdout
    assert f"{said}: {row['sentence']}" in cockpit("experiments", where).stdout
    baseline = keys("show", "e0000", "--json", where)
    assert [run["purpose"] for run in baseline["runs"]][:3] == ["baseline"] * 3
    assert baseline["measurements"]["loss"]["n"] >= 3


def test_several_are_named_before_the_folder_and_what_is_left_behind_is_stale(searched: Place) -> None:
    where = str(searched.root)
    done = cockpit("merge", "e0001", "2", "--unconfirmed", where)
    assert (done.returncode, done.stdout) == (6, "")
    assert re.search(
        r"e0002 moves train.py:\w+ from \S+ to \S+, and e0001 has it at \S+: nothing is merged", done.stderr
    )
    assert cockpit("merge", "e0001", "sing", where).returncode == 2
    merged = keys("merge", "e1", "--unconfirmed", "--json", where)
    assert merged["experiment"] == 1
    rows = keys("experiments", "--json", where)["experiments"]
    open_ = [row["id"] for row in rows if row["state"] == "judged"]
    assert open_ == [row["id"] for row in rows if row["stale"]]
    assert [row["parents"] for row in rows][:2] == [[], ["e0000"]]
    assert f"{open_[0]}  judged, stale  " in cockpit("experiments", where).stdout
    shown = cockpit("show", open_[0], where).stdout
    assert "proposed by the optimiser" in shown and "stale   trunk is e0001 now" in shown
    assert keys("status", "--json", where)["verification"] is None


@pytest.mark.parametrize("as_json", [False, True])
def test_an_objective_without_noise_ends_the_study_with_the_line_to_change(write: Write, as_json: bool) -> None:
    place = write("RATE = 0.1  # cockpit: 0.001..1.0 log\nprint('loss:', RATE)\n")
    done = cockpit("--batch", *(["--json"] if as_json else []), "--experiments", "9", str(place.root))
    assert done.returncode == 1
    assert (
        f"{place.config}:12: `[objectives] loss` is the same on every seed of the baseline, to within rounding"
        in done.stderr
    )
    assert '`loss = { direction = "minimize", deterministic = true }`' in done.stderr
    assert keys("status", "--json", str(place.root))["ended_by"] == "configuration"
    text = place.config.read_text()
    place.config.write_text(
        text.replace('{ direction = "minimize" }', '{ direction = "minimize", deterministic = true }')
    )
    assert cockpit("--batch", "--experiments", "9", str(place.root)).returncode == 0
    baseline = keys("show", "e0000", "--json", str(place.root))
    assert len(baseline["runs"]) == 3, "what was measured still stands"
    rows = keys("experiments", "--json", str(place.root))["experiments"]
    loss = rows[1]["figures"]["loss"]
    assert (loss["low"], loss["high"], loss["margin"]) == (loss["gain"], loss["gain"], 0.0)
    assert all(row["verdict"] in ("better", "worse", "inconclusive", "equal") for row in rows[1:])


def test_an_engine_in_the_background_is_paused_resumed_and_stopped_by_a_word(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(0.5)\n")
    where = str(place.root)
    said = keys("resume", "--json", where)
    assert (
        said["answer"] == f"engine started, pid {said['pid']}; `{sys.executable} -m cockpit stop {place.root}` ends it"
    )
    assert said["ended_by"] is None
    assert (said["verb"], {"trunk", "decision"} <= said.keys()) == ("resume", True)
    assert keys("pause", "--json", where)["answer"].startswith("paused: ")
    status = keys("status", "--json", where)
    assert (status["state"], status["engine"]) == ("paused", {"pid": said["pid"]})
    assert cockpit("resume", where).stdout == "resumed: the research goes on\n"
    assert cockpit("stop", where).stdout.startswith("stopping: ")
    deadline = time.monotonic() + 20
    while engine_pid(place.folder) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    status = keys("status", "--json", where)
    assert (status["state"], status["ended_by"]) == ("ended", "stopped")


def test_a_run_is_yielded_for_a_pause_and_ended_for_good_by_a_word(write: Write) -> None:
    rate = "RATE = 0.1  # cockpit: 0.001..1.0 log\nprint('loss:', RATE, flush=True)\n"
    place = write(rate + "import time; time.sleep(60 * (RATE != 0.1))\n", deterministic=True)
    where = str(place.root)

    def experiments(state: str) -> list[str]:
        deadline = time.monotonic() + 30
        while not (
            of := [row["id"] for row in keys("experiments", "--json", where)["experiments"] if row["state"] == state]
        ):
            assert time.monotonic() < deadline
        return of

    assert keys("resume", "--experiments", "2", "--json", where)["ended_by"] is None
    (one,) = experiments("running")
    while one == "e0000":
        (one,) = experiments("running")
    assert keys("yield", "--json", where)["answer"].startswith("paused: the run under way is broken off, ")
    assert experiments("queued") == ["e0001"]
    assert keys("status", "--json", where)["state"] == "paused"
    assert cockpit("end", where).stderr == "cockpit: no run is under way\n"
    assert cockpit("resume", where).returncode == 0
    assert experiments("running") == ["e0001"]
    assert cockpit("end", "e1", "e2", where).returncode == 2
    said = keys("end", "--json", where)
    assert (said["verb"], said["experiment"]) == ("end", 1)
    assert said["answer"].startswith("the run of e0001 ends, with a grace of three seconds, and it is run no more: ")
    assert experiments("failed") == ["e0001"]
    deadline = time.monotonic() + 20
    while engine_pid(place.folder) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for verb in (["end", "e1"], ["yield"]):
        done = cockpit(*verb, where)
        nobody = f"cockpit: no engine runs: there is nothing to {verb[0]}; `cockpit resume` starts one\n"
        assert (done.returncode, done.stderr) == (6, nobody)


def test_resume_says_why_the_engine_that_it_started_has_ended_already(searched: Place) -> None:
    """And it starts one where who held the lock was no engine at work, but lived for a command."""
    lock = take_engine_lock(searched.folder)
    words = [sys.executable, "-m", "cockpit", "resume", "--experiments", "1", "--json", str(searched.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as asking:
        deadline = time.monotonic() + 20
        with closing(sqlite3.connect(searched.folder / RECORD)) as record:
            while not record.execute("SELECT 1 FROM commands WHERE verb = 'resume'").fetchall():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        os.close(lock)
        said = json.loads(asking.communicate(timeout=60)[0])
    answer = "the engine had nothing to do: ended: the number of experiments asked for is reached"
    assert (said["answer"], said["ended_by"], asking.returncode) == (answer, "experiments", 0)


def test_an_engine_that_breaks_at_once_is_the_exit_status_of_what_broke_and_status_says_it(
    searched: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: object, **__: object) -> int:
        async with await Database.open(searched.folder) as database:
            last = await views.last_engine(database)
            assert last is not None
            life = await journal.engine_started(database, 4711, last.facts, "engine started")
            await journal.engine_ended(database, life, Ended.MACHINE_FAILED, because="no room is left")
        return 4711

    monkeypatch.setattr(spawn, "start", start)
    with pytest.raises(spawn.Unstarted, match="machine failed: no room is left") as raised:
        decide.resume(searched.root)
    assert raised.value.status == spawn.MACHINE
    assert keys("status", "--json", str(searched.root))["because"] == "no room is left"
    assert "ended, machine failed\nno room is left\n" in cockpit("status", str(searched.root)).stdout


def test_limits_are_numbers_above_zero(write: Write) -> None:
    assert cockpit("resume", "--minutes", "0", str(write().root)).returncode == 2


def test_where_no_engine_runs_none_is_started_to_be_paused(write: Write) -> None:
    place = write()
    done = cockpit("pause", str(place.root))
    said = "cockpit: no engine runs: there is nothing to pause; `cockpit resume` starts one\n"
    assert (done.returncode, done.stderr) == (6, said)
    assert not place.folder.exists()


def test_an_engine_that_cannot_be_resumed_is_the_exit_status_of_its_reason(write: Write) -> None:
    place = write(more="[colour]\nred = 1")
    done = cockpit("resume", str(place.root))
    assert done.returncode == 1
    assert done.stderr.startswith(f"cockpit: {place.config}:")
    assert "Traceback" not in done.stderr


def test_a_users_own_modules_do_not_shadow_those_that_decide(searched: Place, tmp_path: Path) -> None:
    (searched.root / "loop.py").write_text("raise SystemExit('theirs')")
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "__init__.py").write_text("raise SystemExit('theirs')")
    done = cockpit("reject", first(searched), str(searched.root), PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
