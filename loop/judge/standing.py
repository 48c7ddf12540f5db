"""Where a study stands: the frontier, drawn from the record and from what was just measured."""

import asyncio
from collections.abc import Iterable

from loop.judge.frontier import Axis, axis, frontier, references
from loop.study import Settings
from store import views
from store.database import Database
from store.records import Experiment, Frontier, Measurement, Reference


def means(experiment: Experiment) -> dict[str, float]:
    """The mean of each objective."""
    return {measurement.objective: measurement.value for measurement in experiment.measurements}


async def axes(database: Database, settings: Settings, bench: str) -> list[Axis]:
    """The objectives that steer, against the reference that was frozen on this bench; none before it was."""
    frozen = {reference.objective: reference.base for reference in await views.reference(database, bench)}
    return [axis(name, settings.objectives[name], frozen[name]) for name in settings.steering if name in frozen]


async def standing(
    database: Database, settings: Settings, bench: str, number: int = 0, measured: Iterable[Measurement] = ()
) -> tuple[Frontier | None, tuple[Reference, ...]]:
    """The frontier of a bench with one run more, experiment `number`'s; and what of the reference is frozen now.

    No frontier before the baseline is measured.
    """
    rows = await views.experiments(database)
    values = {row.number: means(row) for row in rows if row.measurements}
    counts = {(row.number, one.objective): one.n for row in rows for one in row.measurements}
    for one in measured:
        own, n = values.setdefault(number, {}), counts.get((number, one.objective), 0)
        own[one.objective] = own.get(one.objective, 0.0) * (n / (n + 1)) + one.value / (n + 1)
    known = await axes(database, settings, bench)
    missing = set(settings.steering) - {one.name for one in known}
    fresh = [axis(name, settings.objectives[name], values[0][name]) for name in missing & values.get(0, {}).keys()]
    if len(fresh) < len(missing):
        return None, ()
    order = {name: place for place, name in enumerate(settings.steering)}
    every = sorted([*known, *fresh], key=lambda one: order[one.name])
    return await asyncio.to_thread(frontier, every, values), references(sorted(fresh, key=lambda one: order[one.name]))
