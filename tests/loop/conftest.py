"""What the tests of the loop share."""

import asyncio

import pytest

from store.place import Place
from store.trail import Trail
from tests.lives import OBEY, ended


@pytest.fixture(autouse=True)
def who_answers_has_its_imports_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no engine alive, one that answers is forked, and not started: how it is started is tested by the command."""

    async def obey(place: Place, trail: Trail) -> str:
        errors = (await asyncio.to_thread(ended, OBEY, place.root))[1]
        return (errors.strip().splitlines() or [""])[-1]

    monkeypatch.setattr("store.spawn.obey", obey)
