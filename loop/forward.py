"""The user's own branch is moved ahead, and their working tree with it: the one thing that writes there, where asked.

It is done as git does it: the files and the index first, and the branch then, so that a branch that stands where it is
to says that all is done. Nothing of the repository's own runs.
"""

from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from loop.branches import SHOWN, Branches, GitError
from loop.effects import carry_out
from store import effects
from store.database import Database
from store.place import NoStudy, find
from store.records import FAST_FORWARD
from store.trail import Trail

UNDER_WAY = {  # in the folder that git keeps of a working tree
    "rebase-merge": "a rebase", "rebase-apply": "a rebase", "MERGE_HEAD": "a merge", "BISECT_LOG": "a bisect",
    "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert", "sequencer": "a cherry-pick or a revert",
}  # fmt: skip
LISTED = 5  # files that are not committed


class FastForward(Struct, frozen=True):
    """An effect: the branch that a working tree has checked out stands at a commit ahead of it, with its files."""

    branches: Branches  # as they are seen from that working tree
    branch: str  # by its whole name
    old: str
    new: str
    kind: ClassVar[str] = FAST_FORWARD

    @property
    def intent(self) -> dict[str, Any]:
        """The working tree and the commits."""
        return {"root": str(self.branches.place.root), "branch": self.branch, "old": self.old, "new": self.new}

    async def look(self) -> bool:
        """Whether the branch stands there: it is moved last."""
        return await self._stands() == self.new

    async def hindrance(self) -> str:
        """Why the working tree is to be left as it is."""
        git_dir, name = self.branches.place.git_dir, self.branch.removeprefix(SHOWN)
        if (head := await self.branches.head()) != self.branch:
            now = head.removeprefix(SHOWN) if head else "a commit without a branch"
            return f"{self.branches.place.root} has {now} checked out, and not {name}"
        for file, what in UNDER_WAY.items():
            if (git_dir / file).exists():
                return f"{what} is under way in {self.branches.place.root}: end it first"
        if (at := await self._stands()) != self.old:
            return f"{name} has moved since you looked: it was at {self.old[:7]}, and is at {(at or 'nothing')[:7]}"
        if elsewhere := [path for path in await self.branches.checked_out(self.branch) if not self._here(path)]:
            return f"{name} is checked out in {elsewhere[0]} too, whose files would stay behind"
        dirty = await self.branches.dirty()
        if dirty and not await self.branches.matches(self.new):  # which an engine that was killed has left
            more = f" and {len(dirty) - LISTED} more" if len(dirty) > LISTED else ""
            return f"not committed: {', '.join(dirty[:LISTED])}{more}; commit or stash that first"
        return ""

    async def do(self) -> None:
        """The files, then the branch. Raises GitError."""
        await self.branches.take_along(self.old, self.new)
        await self.branches.move({self.branch: (self.old, self.new)})

    async def undo(self) -> None:
        """Files that are ahead of their branch go back, where nobody has touched them since."""
        if await self._stands() == self.old and self.old != self.new and await self.branches.matches(self.new):
            await self.branches.take_along(self.new, self.old)

    async def _stands(self) -> str | None:
        return (await self.branches.references(self.branch)).get(self.branch)

    def _here(self, path: Path) -> bool:
        return path.resolve() == self.branches.place.root.resolve()


async def settle_forwards(database: Database, trail: Trail) -> None:
    """Settle what an earlier engine wanted of the user's branches."""
    for wanted in await effects.unsettled(database, FAST_FORWARD):
        intent = dict(wanted.intent)
        try:
            branches = await Branches.of(find(Path(intent.pop("root"))), trail)
        except (NoStudy, GitError, OSError) as why:  # the working tree is gone
            await effects.settled(database, wanted.id, str(why))
        else:
            await carry_out(database, wanted.id, FastForward(branches, **intent))
