"""Landing: a branch off the user's own with what was found, and nothing else of theirs is touched."""

import asyncio
import signal
from pathlib import Path

import pytest

from loop.engine import Limits, research
from loop.obey import obey
from loop.stop import Stop
from store import effects, events, views
from store.commands import submit
from store.database import Database
from store.place import Place, find
from store.records import FAST_FORWARD, REFERENCES, Answer, Experiment, State
from tests.conftest import Write, git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_effects import KILLED
from tests.loop.test_together import apart, merge, preparation, propose, undo

__all__ = ["apart"]
pytestmark = pytest.mark.usefixtures("leaves_nothing")
BRANCH = "cockpit/tried/land-e0001"
DIES = KILLED.replace(
    '{"References": effects.References, ', '{"References": effects.References, "FastForward": FastForward, '
).replace("from loop import effects\n", "from loop import effects\nfrom loop.forward import FastForward\n")


def head(place: Place) -> str:
    return git(place.root, "rev-parse", "HEAD").strip()


async def land(place: Place, number: int | None = 1, *, onto: str | None = "refs/heads/main", **more: object) -> Answer:
    """As the command asks for it."""
    about = {} if number is None else {"experiment": number}
    where = {"head": head(place), "onto": onto, "root": str(place.root), "squash": False, "unconfirmed": True}
    return await submit(place, "land", {**about, **where, **more}, {})


async def experiment(place: Place, number: int) -> Experiment:
    async with await Database.open(place.folder) as database:
        found = await views.experiment(database, number)
        assert found is not None
        return found


async def test_a_branch_off_the_users_own_has_the_change_and_says_what_is_known_of_it(apart: Place) -> None:
    before, one = fingerprint(apart.root), await experiment(apart, 1)
    answer = await land(apart)
    assert answer.done, answer.text
    assert answer.told["branch"] == BRANCH
    assert git(apart.root, "rev-parse", f"{BRANCH}^1", f"{BRANCH}^2").split() == [head(apart), one.commit]
    assert git(apart.root, "merge-base", "main", BRANCH).strip() == head(apart)
    assert git(apart.root, "rev-parse", f"{BRANCH}^{{tree}}").strip() == one.tree
    body = git(apart.root, "log", "-1", "--format=%B", BRANCH)
    assert one.verdict is not None
    for words in (one.hypothesis, one.verdict.line, f"Commit: {one.commit}", "loss: 2.5 (reported, n = 1), was 2.6"):
        assert words in body
    assert "Unconfirmed: " not in body, "without noise one run is enough"
    assert fingerprint(apart.root) == before
    async with await Database.open(apart.folder) as database:
        (said,) = [event for event in await events.events_after(database, 0) if event.kind == "landed"]
    assert said.data["branch"] == BRANCH


async def test_asked_again_it_is_there_already_and_as_one_commit_it_is_another_branch(apart: Place) -> None:
    first = await land(apart)
    again = await land(apart)
    assert again.done
    assert again.text.startswith(f"{BRANCH} is there already, at {first.told['commit'][:7]}")
    squashed = await land(apart, squash=True)
    assert squashed.told["branch"] == f"{BRANCH}-2"
    assert git(apart.root, "log", "-1", "--format=%P", f"{BRANCH}-2").split() == [head(apart)]


async def test_less_than_confirmed_is_refused_with_what_is_not_known_and_the_commit_says_it(
    write: Write,
) -> None:
    place = write()
    assert await research(place, Limits(experiments=2), Stop())
    one = await experiment(place, 1)
    refused = await land(place, unconfirmed=False)
    merged = await submit(place, "merge", {"experiment": 1}, {})
    assert not refused.done
    assert refused.text == merged.text.replace("merges", "lands"), "the same words"
    assert (await land(place)).done
    assert one.verdict is not None
    assert f"Unconfirmed: {one.verdict.evidence}, and not" in git(place.root, "log", "-1", "--format=%B", BRANCH)


async def test_a_branch_that_has_moved_on_is_merged_line_by_line_and_that_it_was_not_run_is_said(apart: Place) -> None:
    text = (apart.root / "train.py").read_text()
    (apart.root / "train.py").write_text(text.replace("def other", "# theirs\ndef other"))
    git(apart.root, "commit", "-qam", "on")
    answer = await land(apart)
    assert answer.done, answer.text
    assert "a tree that was not run" in answer.text
    shown = git(apart.root, "show", f"{BRANCH}:train.py")
    assert "# theirs" in shown
    assert "RATE = 0.2 " in shown
    assert "this tree was not run" in git(apart.root, "log", "-1", "--format=%B", BRANCH)


async def test_a_conflict_is_named_and_nothing_is_made(apart: Place) -> None:
    text = (apart.root / "train.py").read_text()
    (apart.root / "train.py").write_text(text.replace("RATE = 0.1", "RATE = 0.7"))
    git(apart.root, "commit", "-qam", "on")
    before = git(apart.root, "for-each-ref")
    answer = await land(apart)
    assert not answer.done
    assert answer.text.startswith("e0001 and main both change train.py: nothing is made.")
    assert git(apart.root, "for-each-ref") == before


async def test_a_branch_that_has_lost_the_commit_the_study_rests_on_is_not_given_it_back(apart: Place) -> None:
    git(apart.root, "commit", "-q", "--amend", "-m", "another")
    answer = await land(apart)
    assert "one commit, for main has lost" in answer.text
    assert git(apart.root, "log", "-1", "--format=%P", BRANCH).split() == [head(apart)]


async def test_a_branch_of_the_study_is_not_landed_on(apart: Place) -> None:
    git(apart.root, "checkout", "-q", "cockpit/tried/trunk")
    before = fingerprint(apart.root)
    for forward in (False, True):
        answer = await land(apart, onto="refs/heads/cockpit/tried/trunk", forward=forward)
        assert answer.text == "cockpit/tried/trunk is a branch of the study: check your own one out, and land on that"
    assert fingerprint(apart.root) == before


async def test_trunk_is_landed_with_all_that_was_merged_whatever_was_confirmed(apart: Place) -> None:
    assert "nothing is merged" in (await land(apart, None)).text
    assert (await merge(apart, 1)).done
    answer = await land(apart, None, unconfirmed=False)
    assert answer.done, answer.text
    assert answer.told["branch"] == "cockpit/tried/land-trunk"
    assert "e0001 " in git(apart.root, "log", "-1", "--format=%B", "cockpit/tried/land-trunk")
    assert (await land(apart, 1, unconfirmed=False)).done, "that it is merged was decided"


async def test_trunk_that_was_not_run_yet_is_waited_for_and_its_commit_says_so(apart: Place) -> None:
    assert (await merge(apart, 1, 2, 6)).done
    said = await land(apart, None, unconfirmed=False)
    assert not said.done and "trunk is e0010, which is not run yet: " in said.text
    answer = await land(apart, None)
    assert answer.done and "a tree that was not run" in answer.text, answer.text
    body = git(apart.root, "log", "-1", "--format=%B", "cockpit/tried/land-trunk")
    assert "which was not run yet" in body and "as it was measured" not in body


async def test_what_it_was_made_from_comes_along_and_is_said_also_where_that_was_undone_since(apart: Place) -> None:
    assert (await merge(apart, 1)).done
    async with await Database.open(apart.folder) as database:
        assert isinstance(await propose(await preparation(apart, database), {"train.py:DEPTH": 2}), Experiment)
    await research(apart, Limits(experiments=11), Stop())
    assert (await undo(apart)).done
    refused = await land(apart, 10, unconfirmed=False)
    assert refused.text.startswith(
        "e0010 is made from e0001, which is not merged any more, and whose change comes along"
    )
    assert (await land(apart, 10)).done
    body = git(apart.root, "log", "-1", "--format=%B", "cockpit/tried/land-e0010")
    assert "With what it was made from:\ne0001 " in body
    assert "Unconfirmed: made from e0001" in body


async def test_whatever_state_the_working_tree_is_in_it_is_left_so(apart: Place) -> None:
    git(apart.root, "checkout", "-q", "-b", "side")
    (apart.root / "train.py").write_text("side\n")
    git(apart.root, "commit", "-qam", "side")
    git(apart.root, "checkout", "-q", "main")
    (apart.root / "train.py").write_text("main\n")
    git(apart.root, "stash")
    git(apart.root, "checkout", "-q", "--detach")
    with pytest.raises(AssertionError):
        (apart.root / "train.py").write_text("head\n")
        git(apart.root, "commit", "-qam", "head")
        git(apart.root, "rebase", "side")
    hook = apart.git_dir / "hooks" / "reference-transaction"
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    before = fingerprint(apart.root)
    answer = await land(apart, onto=None)
    assert not answer.done
    assert "both change train.py" in answer.text, "a detached HEAD that has other lines"
    git(apart.root, "-c", "core.hooksPath=/dev/null", "rebase", "--abort")
    git(apart.root, "-c", "core.hooksPath=/dev/null", "checkout", "-q", "--detach", "main")
    (apart.root / "train.py").write_text("dirty\n")
    before = fingerprint(apart.root)
    assert (await land(apart, onto=None)).done
    assert "HEAD is detached" in (await land(apart, onto=None, forward=True)).text
    assert fingerprint(apart.root) == before
    assert not (apart.root / "ran").exists()


async def test_fast_forward_moves_a_clean_branch_with_its_files_and_runs_no_hook(apart: Place) -> None:
    for name in ("post-checkout", "post-merge", "reference-transaction", "post-index-change"):
        hook = apart.git_dir / "hooks" / name
        hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
        hook.chmod(0o755)
    (apart.root / "untracked").write_text("theirs\n")
    answer = await land(apart, forward=True)
    assert answer.done, answer.text
    assert not (apart.root / "ran").exists()
    assert head(apart) == answer.told["commit"]
    assert git(apart.root, "symbolic-ref", "HEAD").strip() == "refs/heads/main"
    assert git(apart.root, "status", "--porcelain") == "?? untracked\n"
    assert "RATE = 0.2 " in (apart.root / "train.py").read_text()


@pytest.mark.parametrize("state", ["dirty", "staged", "merging", "bisecting", "elsewhere", "moved"])
async def test_fast_forward_is_refused_where_something_would_be_lost(apart: Place, state: str, tmp_path: Path) -> None:
    place, seen = apart, head(apart)
    if state == "dirty":
        (apart.root / "train.py").write_text("mine\n")
    elif state == "staged":
        (apart.root / "train.py").write_text("mine\n")
        git(apart.root, "add", "-A")
    elif state == "merging":
        (apart.git_dir / "MERGE_HEAD").write_text(f"{seen}\n")
    elif state == "bisecting":
        (apart.git_dir / "BISECT_LOG").write_text("")
    elif state == "elsewhere":  # asked from a linked working tree, for the branch of the main one
        git(apart.root, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
        place = find(tmp_path / "linked")
    else:
        git(apart.root, "commit", "-q", "--allow-empty", "-m", "on")
    before, main = fingerprint(apart.root), git(apart.root, "rev-parse", "main")
    answer = await land(place, forward=True, head=seen)
    assert not answer.done
    why = {
        "dirty": "not committed: train.py", "staged": "not committed: train.py", "merging": "a merge is under way",
        "bisecting": "a bisect is under way", "elsewhere": "and not main", "moved": "main has moved since you looked",
    }  # fmt: skip
    assert why[state] in answer.text
    assert git(apart.root, "rev-parse", "main") == main
    assert fingerprint(apart.root) == before
    assert "land-" not in git(apart.root, "branch")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["References", "FastForward"])
async def test_an_engine_killed_around_either_is_followed_by_one_that_has_it_done_once(
    apart: Place, kind: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(place: Place, trail: object) -> str:
        monkeypatch.undo()
        status, errors = await asyncio.to_thread(ended, DIES, place.root, kind, 1, when, "obey")
        assert status == -signal.SIGKILL, errors
        await obey(place)
        return ""

    monkeypatch.setattr("store.spawn.obey", killed)
    answer = await land(apart, forward=True)
    assert answer.done, answer.text
    assert head(apart) == git(apart.root, "rev-parse", BRANCH).strip() == answer.told["commit"]
    assert git(apart.root, "status", "--porcelain") == ""
    assert git(apart.root, "branch", "--list", "cockpit/*land*").split() == [BRANCH]
    async with await Database.open(apart.folder) as database:
        assert [one for one in await events.events_after(database, 0) if one.kind == "landed"]
        assert not await effects.unsettled(database, REFERENCES)
        assert not await effects.unsettled(database, FAST_FORWARD)


async def test_what_has_failed_or_is_rejected_is_not_landed(apart: Place) -> None:
    assert (await submit(apart, "reject", {"experiment": 2}, {})).done
    assert "e0002 is rejected" in (await land(apart, 2)).text
    assert (await experiment(apart, 2)).state is State.REJECTED
    assert "there is no experiment 77" in (await land(apart, 77)).text
    assert "e0000 is the baseline" in (await land(apart, 0)).text
