"""Syncing: what the user has committed since is trunk's too, is run before all else, and can be taken back."""

import asyncio
import signal
import subprocess

import pytest

from loop.checkout import lay_out
from loop.engine import Limits, research
from loop.obey import obey
from loop.stop import Stop
from store import views
from store.commands import submit
from store.database import Database
from store.place import Place
from store.records import Answer, Run, State, Verification
from store.trail import NOWHERE
from tests.conftest import Write, git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_decisions import TRUNK
from tests.loop.test_effects import KILLED
from tests.loop.test_land import experiment, head, land
from tests.loop.test_search import rows
from tests.loop.test_together import apart, merge, source, undo

__all__ = ["apart"]
pytestmark = pytest.mark.usefixtures("leaves_nothing")


async def sync(place: Place, **more: object) -> Answer:
    where = {"head": head(place), "onto": "refs/heads/main", "root": str(place.root)}
    return await submit(place, "sync", {**where, **more}, {})


def commit(place: Place, path: str, old: str, new: str) -> None:
    """As a user does, in the midst of a study."""
    file = place.root / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    git(place.root, "commit", "-qam", "mine")


async def runs(place: Place, number: int) -> list[Run]:
    async with await Database.open(place.folder) as database:
        return await views.runs(database, number)


async def test_trunk_has_both_and_is_run_before_anything_is_held_against_it(apart: Place) -> None:
    assert (await sync(apart)).text.startswith("nothing new: trunk has all of main")
    assert (await merge(apart, 1)).done
    commit(apart, "train.py", "def other():\n    return 0.0", "def other():\n    return 0.75")
    before = fingerprint(apart.root)
    answer = await sync(apart)
    assert answer.done, answer.text
    assert "is taken to trunk as e0010: cockpit/tried/trunk is at " in answer.text
    assert "8 open experiments are stale" in answer.text
    assert fingerprint(apart.root) == before
    text = await source(apart)
    assert ("RATE = 0.2 " in text, "return 0.75" in text) == (True, True)
    assert head(apart) in git(apart.root, "rev-list", TRUNK), "git knows that it is there"
    one = await experiment(apart, 10)
    assert (one.state, one.verification, one.knobs["train.py:RATE"]) == (State.MERGED, Verification.WAITS, 0.2)
    await research(apart, Limits(experiments=11), Stop())
    assert [run.purpose for run in await runs(apart, 10)][:1] == ["verify"]
    assert (await experiment(apart, 10)).verification is Verification.HOLDS
    assert (await sync(apart)).text.startswith("nothing new")

    landed = await land(apart, None)
    assert landed.done, landed.text
    assert landed.told["as_measured"], "the study rests on what was synced"


async def test_an_undo_takes_it_back_and_it_can_be_synced_again(apart: Place) -> None:
    was = await source(apart)
    commit(apart, "train.py", "def other():\n    return 0.0", "def other():\n    return 0.75")
    assert (await sync(apart)).done
    assert (await undo(apart)).done
    assert await source(apart) == was
    again = await sync(apart)
    assert again.done, again.text
    assert "as e0010" in again.text, "and it is the same experiment"
    assert "return 0.75" in await source(apart)


async def test_what_meets_is_named_and_settled_by_hand(apart: Place) -> None:
    assert (await merge(apart, 1)).done
    commit(apart, "train.py", "RATE = 0.1 ", "RATE = 0.7 ")
    before = git(apart.root, "for-each-ref")
    answer = await sync(apart)
    assert not answer.done
    assert "both change train.py: nothing is merged" in answer.text
    assert git(apart.root, "for-each-ref") == before
    git(apart.root, "merge", "-q", "-X", "ours", "-m", "settled", TRUNK)
    assert (await sync(apart)).done
    assert "RATE = 0.7 " in await source(apart)


async def test_another_protected_file_is_another_bench_on_which_the_users_own_commit_is_the_baseline(
    write: Write,
) -> None:
    train = "from score import of\nRATE = 0.1  # cockpit: 0.001..1.0 log\nprint('loss:', of(RATE))\n"
    place = write(train, files={"score.py": "def of(x): return x\n"}, deterministic=True)
    await research(place, Limits(experiments=2), Stop())
    assert (await submit(place, "merge", {"experiment": 1, "unconfirmed": True}, {})).done
    commit(place, "score.py", "return x", "return 100 * x")
    answer = await sync(place)
    assert "main changes score.py, protected: that is another bench" in answer.text
    await research(place, Limits(experiments=3), Stop())
    baseline, synced = await runs(place, 0), await runs(place, 2)
    assert baseline[-1].bench == synced[0].bench != baseline[0].bench
    assert baseline[-1].measurements[0].value == 100 * baseline[0].measurements[0].value, "by the new score of it"
    assert baseline[-1].id < synced[0].id
    laid = await lay_out(place, 0, place.root.parent / "laid", NOWHERE)
    printed = await asyncio.to_thread(subprocess.check_output, ["sh", str(laid.script)], text=True)
    assert printed == f"loss: {baseline[-1].measurements[0].value!r}\n", "what is laid out is what was run"
    assert (await experiment(place, 2)).verdict is not None
    assert (await undo(place)).done
    await research(place, Limits(experiments=3), Stop())
    async with await Database.open(place.folder) as database:
        engine = await views.last_engine(database)
    assert engine is not None
    assert engine.facts["bench"] == baseline[0].bench, "and back again"


async def test_what_no_engine_could_go_on_from_is_not_merged(apart: Place) -> None:
    commit(apart, "train.py", "# cockpit: 1..8", "# cockpit: 8..1")
    answer = await sync(apart)
    assert not answer.done
    assert "no engine could go on from there" in answer.text
    assert len(await rows(apart)) == 10


async def test_an_engine_killed_while_trunk_moves_is_followed_by_one_that_has_it_done_once(
    apart: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(place: Place, trail: object) -> str:
        monkeypatch.undo()
        status, errors = await asyncio.to_thread(ended, KILLED, place.root, "References", 2, "after", "obey")
        assert status == -signal.SIGKILL, errors
        await obey(place)
        return ""

    commit(apart, "train.py", "def other():\n    return 0.0", "def other():\n    return 0.75")
    monkeypatch.setattr("store.spawn.obey", killed)
    answer = await sync(apart)
    assert answer.done, answer.text
    assert "return 0.75" in await source(apart)
    assert len(await rows(apart)) == 11


async def test_what_was_landed_by_hand_is_the_experiment_that_it_was(apart: Place) -> None:
    commit(apart, "train.py", "def other():\n    return 0.0", "def other():\n    return 0.5")
    answer = await sync(apart)
    assert "is taken to trunk as e0007" in answer.text
    assert (await experiment(apart, 7)).state is State.MERGED


async def test_what_a_study_began_with_and_an_older_commit_are_nothing_new(write: Write) -> None:
    place = write(deterministic=True)
    git(place.root, "commit", "-q", "--allow-empty", "-m", "on")
    (place.root / "train.py").write_text((place.root / "train.py").read_text() + "# not committed\n")
    await research(place, Limits(experiments=2), Stop(), with_changes=True)
    assert "on which the study rests, is not committed there" in (await land(place)).text
    for commit in ("HEAD", "HEAD~1"):
        git(place.root, "reset", "-q", "--hard", commit)
        answer = await sync(place)
        assert answer.text.startswith("nothing new: trunk has all of main"), answer.text
