"""Calls to a model, as they are looked at: which one, with which sections, and what became of it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from store import calls, journal
from store.database import Database
from store.records import Call, CallOutcome, Experiment, Refusal, State
from tests.store.test_account import begun
from tests.store.test_ledger import PROPOSAL

FIRST = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
SINCE = [{"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}]
SECTIONS = [{"name": "goal", "tokens": 9, "lines": 1, "of": 3, "cut": "to fit 1500 tokens"}]


async def ask(database: Database, purpose: str, *, ends: bool = True, at: float = 100.0) -> int:
    """A call of a thought: the first has the sections, those after it begin with its messages."""
    first = purpose == "reason"
    prompt = {"messages": FIRST if first else FIRST + SINCE, "sections": SECTIONS if first else []}
    call = Call("m", "h", "knobs", purpose, 4096, prompt, at)
    number = await calls.began(database, call)
    if ends:
        took = replace(call, id=number, outcome=CallOutcome.OK, prompt_tokens=50, answer_tokens=30, answer_seconds=2.0)
        await calls.ended(database, took)
    return number


async def test_a_call_is_told_with_what_became_of_it_and_the_newest_is_the_one_where_none_is_asked_for(
    tmp_path: Path,
) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        assert await calls.told(database) is None
        await begun(database, 1)
        refused = [await ask(database, "reason"), await ask(database, "pack")]
        await journal.refused(database, replace(PROPOSAL, refusal=Refusal.INVALID, reason="no JSON"), "hash", refused)
        mended = await ask(database, "repair")
        one = Experiment(1, "x", State.QUEUED, "t1", "c1", "b1", 100.0)
        await journal.queued(database, one, {}, PROPOSAL, "other", [mended])
        going = await ask(database, "reason", ends=False)

        newest, of_it = await calls.told(database), await calls.told(database, experiment=1)
        first, beyond = await calls.told(database, call=refused[0]), await calls.told(database, call=99)
        assert await calls.told(database, experiment=0) is None
    assert newest and of_it and first and beyond
    assert (newest.call.id, newest.became, newest.newest) == (going, None, going)
    assert beyond == newest, "there is none after the last"
    assert of_it.call.id == mended and of_it.became
    assert (of_it.became.experiment, of_it.became.state) == (1, State.QUEUED)
    assert first.became and first.became.experiment is None
    assert (first.became.proposal.refusal, first.became.proposal.reason) == (Refusal.INVALID, "no JSON")
    assert first.became.proposal.change == PROPOSAL.change


async def test_the_later_calls_of_a_thought_are_told_with_the_sections_of_its_first(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        await begun(database, 1)
        for purpose in ("reason", "pack", "repair"):
            await ask(database, purpose)
        later = await calls.told(database)
        other = Call("m", "h", "knobs", "pack", 4096, {"messages": [*SINCE], "sections": []}, 100.0)
        await calls.began(database, other)
        strange = await calls.told(database)
    assert later and list(later.sections) == SECTIONS
    assert strange and strange.sections == (), "it begins otherwise"


async def test_the_speed_of_answers_is_what_their_servers_have_timed_since_a_moment(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        assert await calls.answer_speed(database, 0.0) is None
        await begun(database, 1)
        for _ in range(2):
            await ask(database, "reason")
        await ask(database, "reason", ends=False)
        assert await calls.answer_speed(database, 0.0) == pytest.approx(15.0)
        assert await calls.answer_speed(database, 9e9) is None
