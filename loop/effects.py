"""What happens outside of the record: first it is wanted, then done, then known to be so.

That it is wanted is a row, in the transaction of what wants it, with all that is needed to recognise it in the world.

An engine that was killed in between is followed by one that asks of each effect that is not settled: is it so? Then
that is recorded. Not yet, and nothing hinders it? Then it is done. Else it is undone. Nobody needs to know where the
other engine was when it died: there is one way, `carry_out`, and it is the way of all days.

A kind of effect is a class: `References` here, `Start` in `run/launch.py`, `FastForward` in `forward.py`.
"""

from collections.abc import Awaitable, Container, Mapping
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from loop.branches import SHOWN, Branches, GitError
from store import effects
from store.database import Database
from store.records import REFERENCES, Moves


class Effect(Protocol):
    """One thing in the world."""

    async def look(self) -> bool:
        """Whether it is so."""

    async def hindrance(self) -> str:
        """Why it is not to be done any more; nothing where it is."""

    async def do(self) -> None:
        """Make it so."""

    async def undo(self) -> None:
        """Leave nothing of it."""


async def carry_out(database: Database, number: int, effect: Effect) -> str:
    """Settle an effect: what hindered it and had it undone, or nothing where it is so.

    Git or a disk that refuses hinders too: what was refused must not be done later, when nobody wants it any more.
    """
    hindrance = ""
    if not await effect.look():
        hindrance = await effect.hindrance() or await _refusal(effect.do())
        if hindrance:
            await _refusal(effect.undo())
    await effects.settled(database, number, hindrance)
    return hindrance


async def _refusal(act: Awaitable[None]) -> str:
    try:
        await act
    except (GitError, OSError) as why:
        return str(why)
    return ""


class Told(Effect, Protocol):
    """An effect that says itself what a row needs to have of it."""

    kind: ClassVar[str]

    @property
    def intent(self) -> dict[str, Any]:
        """By which the next engine knows it."""


async def bring_about(database: Database, effect: Told) -> str:
    """Want it, and see to it: what hindered it, or nothing where it is so."""
    async with database.transaction() as change:
        number = await effects.want(change, effect.kind, effect.intent)
    return await carry_out(database, number, effect)


class References(Struct, frozen=True):
    """Git references that move together, all of them or none."""

    branches: Branches
    moves: Moves
    kind: ClassVar[str] = REFERENCES

    @property
    def intent(self) -> dict[str, Any]:
        """The moves."""
        return {"moves": self.moves}

    async def look(self) -> bool:
        """Whether each stands where it is to."""
        stand = await self.branches.references(*self.moves)
        return all(stand.get(name) == new for name, (_, new) in self.moves.items())

    async def hindrance(self) -> str:
        """What a person has done with one of them meanwhile: then it is theirs."""
        return self.hindered(*await self.branches.stand(*self.moves))

    def hindered(self, stand: Mapping[str, str], checked_out: Container[str]) -> str:
        """What hinders them, where all references stand so and these branches are checked out."""
        for name, (old, new) in self.moves.items():
            branch, now = name.removeprefix(SHOWN), stand.get(name)
            if now not in (old, new, None):
                mend = f"git update-ref {name} {old}" if old else f"git update-ref -d {name}"
                return (
                    f"{branch} is at {now[:7]}, where nobody here has put it: keep what it holds under another name, "
                    f"then `{mend}`"
                )
            if now == old != new and branch in checked_out:
                return f"{branch} is checked out: check out another branch first, for its files would stay behind"
        return ""

    async def do(self) -> None:
        """Move those that do not stand there yet. Raises GitError."""
        await self.branches.move(self.moves)

    async def undo(self) -> None:
        """Put them back, if they have moved. Git moves all or none, so of one that failed there is nothing to undo."""
        if await self.look():
            await self.branches.move({name: (new, old) for name, (old, new) in self.moves.items()})


async def settle_references(branches: Branches, database: Database) -> None:
    """Settle what an earlier engine wanted of references."""
    for wanted in await effects.unsettled(database, REFERENCES):
        await carry_out(database, wanted.id, References(branches, wanted.intent["moves"]))
