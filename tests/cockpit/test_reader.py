"""What panels want is read once or as often as they say, and what takes long is not begun again and again."""

import asyncio
from typing import Any, ClassVar, cast

from cockpit.reader import KEPT, Reader
from cockpit.view import Source, Want

READ: list[str] = []


class Slow(Want[str], frozen=True):
    """Something that takes a while."""

    name: str
    seconds: float = 0.0

    async def read(self, source: Source) -> str:
        """Its name, in the end."""
        READ.append(self.name)
        await asyncio.sleep(self.seconds)
        return self.name


class Live(Slow, frozen=True):
    """Something that is looked at all the time."""

    every_seconds: ClassVar[float | None] = 0.0


class Broken(Slow, frozen=True):
    """Something that cannot be read."""

    async def read(self, source: Source) -> str:
        """Never."""
        raise ValueError("closed")


class Recorded(Slow, frozen=True):
    """Something of the record."""

    of_the_record: ClassVar[bool] = True


async def look(reader: Reader, wants: list[Want[Any]], event: int = 1) -> list[bool]:
    """See once, as the screen does."""
    due = reader.due(wants, event)
    source = cast(Source, None)
    return list(await asyncio.gather(*(reader.read(want, lambda: source, event, lambda: True) for want in due)))


async def test_what_takes_long_is_read_once_however_often_others_are_due() -> None:
    READ.clear()
    reader, slow, live = Reader(), Slow("slow", 0.3), Live("live")
    looks = [asyncio.create_task(look(reader, [live, slow])) for _ in range(3)]
    while slow not in reader.found:
        await asyncio.sleep(0.02)
        looks.append(asyncio.create_task(look(reader, [live, slow])))
    await asyncio.gather(*looks)
    assert READ.count("slow") == 1 and READ.count("live") > 2


async def test_it_is_read_again_when_something_has_happened_and_said_only_if_it_is_otherwise() -> None:
    READ.clear()
    reader, want = Reader(), Recorded("one")
    assert await look(reader, [want]) == [True]
    assert await look(reader, [want]) == [], "nothing has happened"
    assert await look(reader, [want], 2) == [False], "it is as it was"
    assert READ == ["one", "one"]


async def test_what_nobody_wants_any_more_is_not_read_and_what_cannot_be_read_ends_nothing() -> None:
    READ.clear()
    reader, want = Reader(), Slow("passed")
    (due,) = reader.due([want], 1)
    assert not await reader.read(due, lambda: cast(Source, None), 1, lambda: False)
    assert READ == [] and await look(reader, [want]) == [True], "until it is wanted again"
    assert await look(reader, [Broken("broken")]) == [False]


async def test_only_the_newest_answers_are_kept() -> None:
    reader = Reader()
    for number in range(3 * KEPT):
        await look(reader, [Slow(str(number))])
    assert len(reader.found) <= KEPT + 1 and Slow(str(3 * KEPT - 1)) in reader.found
