"""What the screen knows: it follows the record, and reads what takes long no more often than it must."""

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit import feed
from cockpit.panels.experiments import Experiments
from cockpit.panels.frontier import Frontier as Front
from cockpit.panels.ledger import Ledger as LedgerPanel
from cockpit.view import View
from store import account, journal
from store.database import Database
from store.place import Place
from store.records import Refusal
from store.views import proposed
from tests.bench.growing import growing
from tests.store.test_account import begun
from tests.store.test_ledger import PROPOSAL


async def test_the_account_is_read_seldom_and_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, times = account.read, list[float]()

    async def counted(database: Database) -> account.Account:
        times.append(time.monotonic())
        return await read(database)

    monkeypatch.setattr(account, "read", counted)
    for name, seconds in (("ACCOUNT_SECONDS", 0.5), ("LEAST_SECONDS", 0.0), ("POLL_SECONDS", 0.01)):
        monkeypatch.setattr(feed, name, seconds)
    place = Place(tmp_path, tmp_path, tmp_path, "s")
    async with await Database.open(place.folder, create=True) as database:
        await begun(database, 1)
        shown = feed.follow(place, database)
        first = await anext(shown)
        await journal.refused(database, replace(PROPOSAL, refusal=Refusal.INVALID, reason="why"), None)
        second, third = await anext(shown), await anext(shown)
    assert second.events != first.events
    assert second.account is first.account
    assert third.account.funnel.steps[0].number == first.account.funnel.steps[0].number + 1
    assert len(times) == 2
    assert times[1] - times[0] >= 0.4  # the seconds are between two looks, which begin a little earlier


async def test_what_came_of_less_is_never_shown_as_what_came_of_all_that_was_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("ACCOUNT_SECONDS", 0.0), ("LEAST_SECONDS", 0.0), ("POLL_SECONDS", 0.01)):
        monkeypatch.setattr(feed, name, seconds)
    monkeypatch.setattr(feed, "ACCOUNT_SHARE", 1e9)
    place, looks = Place(tmp_path, tmp_path, tmp_path, "s"), [True]
    async with await Database.open(place.folder, create=True) as database:
        await begun(database, 1)
        shown = feed.follow(place, database, lambda: looks[0])
        first = await anext(shown)
        looks[0] = False
        await journal.refused(database, replace(PROPOSAL, refusal=Refusal.INVALID, reason="why"), None)
        hidden = await anext(shown)
        looks[0] = True
        again = await anext(shown)
    assert (first.counted, hidden.counted, again.counted) == (True, False, True)
    assert (
        "reading what came of it"
        in "\n".join(row.text for row in LedgerPanel().draw(View(hidden, 0, time.time()), 80, 20).body)
        or not hidden.ledger.total
    )
    assert again.account.funnel.steps[0].number == first.account.funnel.steps[0].number + 1


async def test_of_a_large_study_what_is_looked_at_first_is_shown_first_and_nothing_else_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, tmp_path, tmp_path, "s")
    async with growing(place.folder, place) as study:
        while study.number < 6:
            study.good = float(study.number == 0)
            await study.one_more()
            await study.obey()
        monkeypatch.setattr(feed, "FEW", 3)
        monkeypatch.setattr(proposed, "FIRST", proposed.FIRST.replace("LIMIT 60", "LIMIT 2"))
        shown = feed.follow(place, study.database)
        first, whole = await anext(shown), await anext(shown)
        answered = await feed.read(place, study.database, first, count=False)  # as a key has it that was answered
    assert [one.number for one in first.experiments] == [0, 1, 5, 6]  # trunk, what is offered, and the newest
    assert [one.number for one in whole.experiments] == [0, 1, 2, 3, 4, 5, 6]
    assert (first.whole, whole.whole) == (False, True)
    assert (answered.experiments, answered.account) == (whole.experiments, whole.account)
    assert len(first.experiments) == len(whole.experiments) == 7
    assert first.offers == whole.offers == 1
    assert first.experiment(3) is None
    drawn = [
        panel(lambda _: None).draw(View(first, 1, time.time()), 80, 20) for panel in (Experiments, Front, LedgerPanel)
    ]
    for one in drawn:
        assert "reading" in "\n".join(row.text for row in [*one.head, *one.body])
    said = [row.text.strip() for row in drawn[0].body]
    assert said[0] == "Waiting for you 1"
    assert "Earlier reading…" in said


async def test_what_was_seen_before_is_not_read_again(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path, tmp_path, "s")
    async with growing(place.folder, place) as study:
        while study.number < 3:
            await study.one_more()
            await study.obey()
        first = await feed.read(place, study.database)
        shown = feed.follow(place, study.database, before=first)
        pending = asyncio.ensure_future(anext(shown))
        await asyncio.sleep(0.5)
        assert not pending.done(), "nothing has happened since"
        await study.one_more()
        grown = await asyncio.wait_for(pending, 10)
    assert len(grown.experiments) == len(first.experiments) + 1
    assert grown.experiments[0] is first.experiments[0]
