"""What a run has said: read of what it has printed, written and left, for whoever records or judges it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from loop.branches import Branches
from loop.run import artifact, costs, launch, metrics, shadow, stages, timed
from loop.run.artifact import Counted
from loop.run.bench import Bench
from loop.run.interpreter import Failed, answer
from loop.run.metrics import Found, Wanted
from loop.run.sandbox import Wall, working_trees
from loop.study import CHANGED_LINES, Revision, Settings, parse
from store import views
from store.database import Database
from store.place import Place
from store.records import Measurement, Outcome, Run, Stage


class Said:
    """What the runs of a study have said, as the engine's revision asks for it."""

    def __init__(
        self,
        place: Place,
        revision: Revision,
        branches: Branches,
        database: Database,
        bench: Bench,
        wall: Wall,
        devices: int,
    ) -> None:
        self.place = place
        self.revision = revision
        self.branches = branches
        self.database = database
        self.bench = bench
        self.wall = wall
        self.devices = devices  # that a run holds

    async def settings(self, run: Run) -> Settings:
        """The settings with which a run was started: it is read by those, whatever the file says now."""
        if run.revision == self.revision.digest:
            return self.revision.settings
        return parse(await views.revision(self.database, run.revision), self.place.config).settings

    async def found(self, run: Run, recorded: Sequence[Stage]) -> dict[str, Found]:
        """What stands where objectives say that it does, as far as a run has come; its curves are kept."""
        settings, folder = await self.settings(run), self.place.folder / run.folder
        found = await self._read(run, settings, recorded)
        with suppress(OSError):
            await asyncio.to_thread(metrics.keep, folder, found)
        return found

    async def _read(self, run: Run, settings: Settings, recorded: Sequence[Stage]) -> dict[str, Found]:
        """What stands where the objectives of these settings say that it does."""
        wanted = {
            name: Wanted(**{**one.source.model_dump(), "name": one.source.name or name})
            for name, one in settings.objectives.items()
            if one.source
        }
        if not recorded:
            return {}
        return await self._look(run, wanted, [one.name for one in recorded], recorded[0].started_at, settings.run.cwd)

    async def timed(self, run: Run) -> frozenset[str]:
        """The stages that are timed, by a good run."""
        return await asyncio.to_thread(timed.by_run, self.revision.settings, self.place.folder, run)

    async def curves(self, run: Run, wanted: Mapping[str, Wanted]) -> Mapping[str, Found]:
        """The curves of a run's training, as far as it has come; those that were kept, where it has ended."""
        folder = self.place.folder / run.folder
        kept = {} if run.outcome is None else await asyncio.to_thread(metrics.kept, folder)
        had = {name: Found(kept[name][-1][1], kept[name]) for name in wanted.keys() & kept.keys()}
        others = {name: one for name, one in wanted.items() if name not in had}
        begun, cwd = await self._began(run), self.revision.settings.run.cwd
        return {**await self._look(run, others, [timed.TRAIN], begun, cwd), **had}

    async def _began(self, run: Run) -> float:
        """When a run's training began; in a distant future, where it has not."""
        if run.stages:
            return run.stages[0].started_at
        said = await asyncio.to_thread(launch.status, self.place.folder / run.folder)
        began = said["stages"][0].get("started_at") if said and said["stages"] else None
        return began if isinstance(began, float) else launch.FOREVER

    async def _look(
        self, run: Run, wanted: Mapping[str, Wanted], names: Sequence[str], since: float, cwd: str
    ) -> dict[str, Found]:
        """What stands where it is wanted, of what these stages have printed, or what was written since a moment."""
        if not wanted:
            return {}
        words = metrics.question(self.place.folder / run.folder, wanted, names, since, cwd)
        try:
            said = await answer(words, {}, self.branches.trail, f"the metrics of run {run.id}", metrics.SECONDS)
            return metrics.answer(said)
        except (OSError, Failed, ValueError, IndexError, KeyError, TypeError) as why:
            return {name: Found(lack=f"what was to say {name} cannot be read: {why}") for name in wanted}

    async def says(self, run: Run) -> list[Measurement] | None:
        """What a good run of another revision says of the quantities that it has no value of and needs one of now.

        From the record, and from the logs and outputs that it has left. None where one cannot be had.
        """
        settings, has = self.revision.settings, {one.objective for one in run.measurements}
        lacking = {name for name in settings.needed if name not in has}
        if not lacking:
            return []
        if {"device_seconds"} & lacking and run.devices != self.devices:
            return None
        only = {
            "objectives": {name: one for name, one in settings.objectives.items() if name in lacking},
            "constraints": {name: one for name, one in settings.constraints.items() if name in lacking},
        }
        asked = settings.model_copy(update=only)
        found, files = await self._read(run, asked, run.stages), await self.branches.files(run.tree)
        words = launch.status(self.place.folder / run.folder)
        told = await self.told(run, asked, words["stages"] if words else [])
        outcome, _, values = await asyncio.to_thread(
            stages.measured, self.place.folder, asked, list(run.stages), files, told, found, exposed=self.bench.exposed
        )
        return [one for one in values if one.objective in lacking] if outcome is Outcome.OK else None

    async def shadowed(self, run: Run, folder: Path) -> str:
        """Which editable file the unchanged code has loaded from elsewhere; nothing where none is known to be."""
        settings = await self.settings(run)
        if not stages.says_what_it_loads(settings, run):
            return ""
        editable = [path for path in await self.branches.files(run.tree) if settings.touchable(path)]

        def look() -> str:
            trees = [path.resolve() for path in working_trees(self.place)]
            return shadow.shadowed(shadow.take(folder), (folder / "tree").resolve(), trees, editable)

        return await asyncio.to_thread(look)

    async def told(self, run: Run, settings: Settings, said: list[dict[str, Any]]) -> dict[str, float]:
        """What no stage of a run has a value of, as far as it is asked for."""
        left = [words["left_bytes"] for words in said if words.get("left_bytes") is not None]
        told: dict[str, float] = {costs.ARTIFACT: sum(left)} if left else {}
        baseline = await views.experiment(self.database, 0)
        if CHANGED_LINES in settings.quantities and baseline:
            told[CHANGED_LINES] = await self.branches.changed_lines(baseline.tree, run.tree)
        return told

    async def parameters(self, run: Run, settings: Settings, said: list[dict[str, Any]]) -> Counted:
        """How many parameters the artifact of a run holds, where that is asked for."""
        left = [one for words in said for one in words.get("left_files") or ()]
        if costs.PARAMETERS not in settings.quantities or not left:
            return Counted()
        folder, python = self.place.folder / run.folder, self.bench.interpreter.python
        return await artifact.count(folder, left, self.wall, python, self.branches.trail)
