"""What the screen knows: it follows the record, and reads what takes long no more often than it must."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit import feed
from store import account, journal
from store.database import Database
from store.place import Place
from store.records import Refusal
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
