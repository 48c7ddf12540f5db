"""Redo: what was undone is decided once more, as an editor does it. Rejections of several are one decision."""

import signal

import pytest

from loop.engine import Limits, research
from loop.obey import obey
from loop.stop import Stop
from store import events, views
from store.commands import answer_to, submit
from store.database import Database
from store.place import Place
from store.records import Answer, Ended, Event, Experiment, State, Verification
from store.redo import undone
from tests.conftest import git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_decisions import DIES, TRUNK, decide, good, searched, study, tree
from tests.loop.test_search import rows
from tests.loop.test_together import apart, merge

pytestmark = pytest.mark.usefixtures("leaves_nothing")
__all__ = ["apart", "searched"]
NOTHING = Answer(False, "nothing was undone that could be redone")


async def stands(place: Place) -> tuple[list[Experiment], int, list[int], str]:
    """All that a redo brings back: the experiments, the incumbent, what trunk was, and trunk's tree."""
    async with await Database.open(place.folder) as database:
        found = await views.experiments(database), await views.incumbent(database), await views.trunks(database)
    return (*found, tree(place, TRUNK))


async def told(place: Place) -> list[Event]:
    async with await Database.open(place.folder) as database:
        return await events.events_after(database, 0)


async def test_an_undone_merge_can_be_redone_and_trunk_only_moves_forward(searched: Place) -> None:
    assert await decide(searched, "redo") == NOTHING
    one, *_ = await good(searched)
    assert (await decide(searched, "merge", one.number, reason="wanted")).done
    assert await decide(searched, "redo") == NOTHING, "nothing was undone yet"
    before, printed = await stands(searched), fingerprint(searched.root)
    assert (await decide(searched, "undo")).done
    undo = (await study(searched)).trunk
    answer = await decide(searched, "redo")
    trunk = (await study(searched)).trunk
    assert answer == Answer(True, f"the merge of {one.id} is done again: cockpit/tried/trunk is at {trunk[:7]}")
    assert git(searched.root, "rev-parse", TRUNK, f"{TRUNK}^").split() == [trunk, undo]
    assert git(searched.root, "log", "-1", "--format=%s", TRUNK).strip() == f"Redo the merge of {one.id}"
    assert (await stands(searched), fingerprint(searched.root)) == (before, printed)
    async with await Database.open(searched.folder) as database:
        last = await views.last_decision(database)
    assert last is not None
    assert (last.verb, last.reason, last.verdict) == ("merge", "wanted", one.verdict and one.verdict.id)
    assert (await told(searched))[-1].kind == "merged"
    assert await decide(searched, "redo") == NOTHING, "it is redone"

    assert (await decide(searched, "undo")).text.startswith(f"the merge of {one.id} is undone"), "as often as one likes"
    assert tree(searched, TRUNK) == tree(searched, f"{undo}")
    assert (await decide(searched, "redo")).done
    assert await stands(searched) == before


async def test_several_undos_are_redone_one_after_another_in_the_order_of_the_decisions(searched: Place) -> None:
    first, second, *_ = await good(searched)
    assert (await decide(searched, "merge", first.number)).done
    assert (await decide(searched, "reject", second.number, reason="slow")).done
    before = await stands(searched)
    for _ in range(2):
        assert (await decide(searched, "undo")).done
    assert (await decide(searched, "redo")).text.startswith(f"the merge of {first.id} is done again: ")
    assert second.id in git(searched.root, "branch")
    assert await decide(searched, "redo") == Answer(True, f"the rejection of {second.id} is done again")
    assert second.id not in git(searched.root, "branch")
    assert await stands(searched) == before
    assert (await decide(searched, "undo")).text == f"the rejection of {second.id} is undone"


async def test_a_decision_after_the_undo_ends_what_can_be_redone(searched: Place) -> None:
    first, second, *_ = await good(searched)
    await decide(searched, "merge", first.number)
    await decide(searched, "undo")
    await decide(searched, "reject", second.number)
    said = f"since the undo something else was decided: the rejection of {second.id}"
    assert await decide(searched, "redo") == Answer(False, said)
    await decide(searched, "undo")
    assert (await decide(searched, "redo")).text == f"the rejection of {second.id} is done again"
    assert await decide(searched, "redo") == NOTHING
    assert (await rows(searched))[first.number].state is State.JUDGED


async def test_a_redo_does_what_its_person_saw_and_nothing_else(searched: Place) -> None:
    one, two, *_ = await good(searched)
    await decide(searched, "reject", one.number)
    await decide(searched, "reject", two.number)
    async with await Database.open(searched.folder) as database:
        last = await views.last_decision(database)
    assert last is not None
    await decide(searched, "undo")
    seen = {"trunk": last.trunk_after, "decision": last.id}
    late = f"since you looked something else was decided: the rejection of {one.id}"
    assert await submit(searched, "redo", {}, seen) == Answer(False, late)
    await decide(searched, "undo")
    assert (await submit(searched, "redo", {}, seen)).text == "since you looked all that was decided was undone"
    assert (await submit(searched, "redo", {}, {**seen, "trunk": "0" * 40})).text.startswith("trunk has moved since")
    assert (await submit(searched, "redo", {}, {**seen, "decision": None})).done


async def test_what_is_infeasible_by_now_is_not_brought_back(searched: Place) -> None:
    one, *_ = await good(searched)
    await decide(searched, "merge", one.number)
    await decide(searched, "undo")
    searched.config.write_text(searched.config.read_text() + "[constraints]\nloss = { max = 0 }\n")
    assert await research(searched, Limits(experiments=4), Stop()) is Ended.EXPERIMENTS
    before = await stands(searched)
    answer = await decide(searched, "redo")
    assert not answer.done
    assert answer.text.startswith(f"{one.id} is infeasible: ")
    assert await stands(searched) == before


async def test_a_redone_merge_of_several_takes_all_of_them_again(apart: Place) -> None:
    assert (await merge(apart, 1, 2)).done
    before = await stands(apart)
    assert (await decide(apart, "undo")).done
    answer = await decide(apart, "redo")
    assert answer.text.startswith("the merge of e0010 is done again: ")
    assert answer.text.endswith("runs it once before all else, and undo goes back if it does not hold")
    assert await stands(apart) == before
    assert await research(apart, Limits(experiments=10), Stop()) is Ended.EXPERIMENTS
    assert (await rows(apart))[10].verification is Verification.HOLDS


@pytest.mark.parametrize(
    ("what", "when"),  # what is after a step is before the next one
    [
        ("Branches.commit_tree", "after"),
        ("commands.intended", "after"),
        ("Branches.move", "after"),
        ("commands.decided", "after"),
    ],
)
async def test_a_redo_that_was_killed_at_any_step_is_finished_and_done_once(apart: Place, what: str, when: str) -> None:
    assert (await merge(apart, 1, 2)).done
    before = await stands(apart)
    assert (await decide(apart, "undo")).done
    undo = (await study(apart)).trunk
    async with await Database.open(apart.folder) as database, database.transaction() as change:
        await change.insert(
            "commands", uuid="u", verb="redo", arguments={}, expected={"trunk": undo}, at=1_700_000_000.5
        )
    status, errors = ended(DIES, apart.root, what, when)
    assert status == -signal.SIGKILL, errors
    await obey(apart)
    async with await Database.open(apart.folder) as database:
        answer = await answer_to(database, "u")
        assert answer is not None
        assert answer.done
        assert len(await database.rows("SELECT * FROM decisions")) == 3
        assert await undone(database) == (None, None)
    assert git(apart.root, "rev-parse", f"{TRUNK}^").strip() == undo
    assert await stands(apart) == before


async def test_several_are_rejected_by_one_decision_that_one_undo_takes_back(apart: Place) -> None:
    answer = await decide(apart, "reject", experiments=[3, 1, 9], reason="no")
    assert answer == Answer(True, "e0003 and e0001 and e0009 rejected: no")
    assert [one.number for one in await rows(apart) if one.state is State.REJECTED] == [1, 3, 9]
    branches = git(apart.root, "branch")
    assert not [name for name in ("e0001", "e0003", "e0009") if name in branches]
    kinds = [(event.kind, event.experiment) for event in await told(apart)][-3:]
    assert kinds == [("rejected", 1), ("rejected", 9), ("rejected", 3)]
    before = await stands(apart)
    assert (await decide(apart, "undo")).text == "the rejection of e0001 and e0003 and e0009 is undone"
    assert not [one for one in await rows(apart) if one.state is State.REJECTED]
    branches = git(apart.root, "branch")
    assert all(name in branches for name in ("e0001", "e0003", "e0009"))
    assert (await decide(apart, "redo")).text == "the rejection of e0001 and e0003 and e0009 is done again"
    assert await stands(apart) == before


async def test_where_one_of_several_cannot_be_rejected_none_is(apart: Place) -> None:
    assert (await merge(apart, 1)).done
    before = await stands(apart)
    for numbers, said in (
        ([2, 1], "e0001 is merged, and trunk is e0001 now: `cockpit undo` takes that back"),
        ([2, 77], "there is no experiment 77"),
        ([2, 0], "e0000 is the baseline: there is nothing to decide"),
        ([], "no experiment is named"),
    ):
        assert await decide(apart, "reject", experiments=numbers) == Answer(False, said)
    assert await stands(apart) == before
