"""What a change costs, or brings, of what is recorded and decides nothing: nobody is asked about it, so it is said."""

from collections.abc import Iterable
from functools import partial

from msgspec import Struct

from cockpit import figures
from cockpit.feed import Objective, objectives
from store import views
from store.database import Database
from store.records import Engine, Experiment

CLEAR = {False: 0.05, True: 0.02}  # of a quality: a share that is said; the noise of what decides nothing is not known


class Beside(Struct, frozen=True):
    """A change of one quantity, in words."""

    text: str
    worse: bool


async def quiet(database: Database) -> list[str]:
    """How what is recorded and decides nothing is called: it neither steers nor is bounded."""
    engine = await views.last_engine(database)
    bounds = engine.facts.get("constraints") or {} if engine else {}
    return [one.label for one in _asked(engine) if not one.steers and one.name not in bounds]


async def recorded(database: Database, one: Experiment) -> list[Beside]:
    """The same of an experiment of the record, against what it was judged against."""
    base = await views.experiment(database, one.verdict.incumbent) if one.verdict else None
    return besides(_asked(await views.last_engine(database)), one, base)


def _asked(engine: Engine | None) -> list[Objective]:
    return objectives(engine.facts.get("objectives") or {}) if engine else []


def besides(every: Iterable[Objective], one: Experiment, base: Experiment | None) -> list[Beside]:
    """What does not steer and is clearly worse, or better, than it was: what is worse first."""
    said = one.verdict
    if said is None or base is None or base is one:
        return []
    own, before = ({m.objective: m.value for m in each.at(said.fidelity)} for each in (one, base))
    found = [
        _beside(each, before[each.name], own[each.name])
        for each in every
        if not each.steers
        and each.name not in said.figures
        and each.name in own
        and before.get(each.name)
        and abs(own[each.name] - before[each.name]) >= CLEAR[each.quality] * abs(before[each.name])
    ]
    return sorted(found, key=lambda each: not each.worse)


def _beside(objective: Objective, before: float, own: float) -> Beside:
    shown, change = partial(figures.value, quality=objective.quality), (own - before) / abs(before)
    worse = (change > 0) is not objective.maximize
    values = f"{objective.label} {shown(before)} → {shown(own)} {objective.unit}".rstrip()
    percent = figures.delta(change, quality=objective.quality)
    return Beside(f"{values}, {percent} %, {'worse' if worse else 'better'}", worse)
