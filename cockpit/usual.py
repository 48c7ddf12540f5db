"""How long runs usually take. It stands apart from the rest of what is read of runs, which takes a while to import."""

import sqlite3
from collections.abc import Mapping
from typing import ClassVar

from cockpit.view import Source, Want
from store import views


class Usual(Want[Mapping[str, float]], frozen=True):
    """The seconds that the stages of such runs usually take, by their names; nothing where that cannot be read."""

    every_seconds: ClassVar[float | None] = 60.0
    bench: str
    fidelity: str

    async def read(self, source: Source) -> Mapping[str, float]:
        """Ask the record."""
        try:
            return await views.stage_seconds(source.database, self.bench, self.fidelity)
        except (sqlite3.Error, ValueError):  # it is being closed
            return {}
