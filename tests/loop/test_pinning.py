"""A pinned experiment: proposals start from it, and what is made from it is judged and merged as both changes."""

import pytest

from loop.engine import Limits, research
from loop.stop import Stop
from store.commands import submit
from store.place import Place
from store.records import Answer as Said
from store.records import Ended, State
from tests.conftest import Write, git
from tests.loop.test_decisions import TRUNK, decide, tree
from tests.loop.test_proposing import TRAIN as TWO_KNOBS
from tests.loop.test_proposing import of_model
from tests.loop.test_search import rows
from tests.loop.test_together import apart, merge, source, undo
from tests.scripted import Answer, changes, packs, serving

__all__ = ["apart"]

pytestmark = pytest.mark.usefixtures("leaves_nothing")


async def pin(place: Place, number: int) -> Said:
    return await submit(place, "pin", {"experiment": number}, {})


async def more(place: Place, number: int = 1) -> None:
    """An engine makes so many experiments more."""
    count = len(await rows(place)) + number
    assert await research(place, Limits(experiments=count), Stop()) is Ended.EXPERIMENTS


async def test_proposals_start_from_what_is_pinned_until_it_is_decided(apart: Place) -> None:
    assert (await pin(apart, 1)).text.startswith("e0001 is pinned: the next proposals start from it, until ")
    assert (await pin(apart, 1)).text.startswith("e0001 is pinned already")
    await more(apart)
    assert (await decide(apart, "reject", 1)).done
    await more(apart)
    assert (await undo(apart)).done, "and so it is pinned again"
    await more(apart)
    assert (await submit(apart, "unpin", {}, {})).text == "the next proposals start from trunk"
    await more(apart)
    made = (await rows(apart))[10:]
    assert [(one.parent, one.root) for one in made] == [(1, 0), (0, 0), (1, 0), (0, 0)]
    assert git(apart.root, "rev-parse", f"{made[0].commit}^").strip() == (await rows(apart))[1].commit
    assert {one.verdict and one.verdict.incumbent for one in made} == {0}, "it is judged against trunk"
    assert not any(one.stale(0) for one in made)


async def test_a_merge_takes_what_was_pinned_too_and_undo_opens_both(apart: Place) -> None:
    assert (await pin(apart, 6)).done
    await more(apart)
    child = (await rows(apart))[10]
    assert (await merge(apart, 10)).text.startswith("e0010 merged, with e0006: ")
    assert tree(apart, TRUNK) == child.tree
    assert "0.25" in await source(apart)
    assert [one.state for one in await rows(apart)][6::4] == [State.MERGED, State.MERGED]
    assert (await undo(apart)).done
    assert [one.state for one in await rows(apart)][6::4] == [State.JUDGED, State.JUDGED]


async def test_a_child_follows_trunk_to_its_parent_and_is_stale_elsewhere(apart: Place) -> None:
    assert (await pin(apart, 6)).done
    await more(apart)
    assert (await merge(apart, 6)).done
    child = (await rows(apart))[10]
    assert not child.stale(6), "trunk is what it was made from"
    await more(apart)
    again = (await rows(apart))[10].verdict
    assert again and again.incumbent == 6, "its own change alone is judged now"
    assert (await undo(apart)).done

    assert (await merge(apart, 7)).done
    assert (await rows(apart))[10].stale(7)
    assert "0.25" not in await source(apart)
    assert (await merge(apart, 10)).text.startswith("e0010 merged as e0012, with e0006: ")
    text = await source(apart)
    assert "return 0.25" in text and "return 0.5" in text, "both changes are there, on what trunk is"


async def test_what_trunk_has_of_it_by_now_is_not_merged_again(apart: Place) -> None:
    assert (await pin(apart, 1)).done
    await more(apart)
    child = (await rows(apart))[10]
    assert child.knobs != (await rows(apart))[1].knobs
    assert (await merge(apart, 1)).done and (await merge(apart, 6)).done
    answer = await merge(apart, 10)
    assert answer.text.startswith("e0010 merged as e0012: "), answer.text
    assert (await rows(apart))[12].knobs == child.knobs, "also where it has moved what its parent had moved"
    assert "return 0.25" in await source(apart)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "e0000 is the baseline: there is nothing to decide"),
        (1, "e0001 is trunk: proposals start from there as it is"),
        (2, "e0002 is rejected: no proposal starts from there"),
        (3, "e0003 was made from e0000, and trunk is e0001 now"),
        (77, "there is no experiment 77"),
    ],
)
async def test_what_no_proposal_can_start_from_is_not_pinned(apart: Place, number: int, said: str) -> None:
    assert (await decide(apart, "reject", 2)).done
    assert (await merge(apart, 1)).done
    assert await pin(apart, number) == Said(False, said)
    assert not (await submit(apart, "unpin", {}, {})).done, "nothing is"


async def test_a_model_is_told_of_what_is_pinned(write: Write) -> None:
    answers = iter([changes(DEPTH=5), changes(RATE=0.2)])
    with serving(lambda request: Answer(next(answers) if packs(request) else "Hm.")) as (host, brain):
        place = write(TWO_KNOBS, more=of_model(host, share=1), deterministic=True)
        assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
        assert (await pin(place, 1)).done
        await more(place)
    assert "DEPTH: a whole number in 1..8; now 5" in brain.requests[2]["messages"][1]["content"]
    child = (await rows(place))[2]
    assert (child.parent, child.root, child.proposer) == (1, 0, "model")
    assert child.knobs == {"train.py:DEPTH": 5, "train.py:RATE": 0.2}
