"""The verdicts that can be said now: each measured experiment is judged as soon as the incumbent has its seeds."""

from collections.abc import Sequence

from loop.judge.axis import Axis
from loop.judge.standing import Standing
from loop.schedule import ready
from loop.study import ConfigError, Revision
from store import journal, views, yields
from store.database import Database
from store.place import Place
from store.where import where


async def judge_what_waits(place: Place, revision: Revision, database: Database, stand: Standing) -> None:
    """Judge the experiments that wait for it. Raises ConfigError where an objective shows no noise and should."""
    await stand.catch_up(database)
    if (lifts := stand.lifts()) is not None:  # what has failed since has taken its time, and has no verdict
        await yields.lifted(database, stand.bench, lifts)
    axes = stand.axes()
    for one in axes:
        if revision.settings.objectives[one.name].scale == "log" and not one.log:
            raise ConfigError(_no_log(place, revision, one))
    if (merged := stand.to_verify) is not None:
        await _judge(database, stand, axes, merged)
    if not ready(stand.runs, stand.incumbent):
        return
    still = [axis.name for axis in axes if stand.runs.constant(axis.name) and not axis.deterministic]
    if still and len(stand.runs.seeds(0)) >= revision.settings.seeds.baseline:
        raise ConfigError(_no_noise(place, revision, still[0]))
    if still := stand.still_in_full(axes):
        raise ConfigError(_no_noise(place, revision, still[0], " at full"))
    if (found := stand.agreement()) and found != await views.agreement(database, stand.bench):
        await journal.agreed(database, stand.bench, found)
    judged = set[int]()
    # One by one: a decision meanwhile changes what waits, and against what.
    while ready(stand.runs, stand.incumbent) and (number := stand.next_waiting(judged)) is not None:
        judged.add(number)
        await _judge(database, stand, axes, number)


async def _judge(database: Database, stand: Standing, axes: Sequence[Axis], number: int) -> None:
    """One verdict, with what follows from it."""
    said = await stand.verdict(number)
    counted, lately = stand.keeps(axes, said), await stand.returns(database, said)
    drawn = await stand.redrawn(said)
    await journal.judged(database, said, counted, lately, drawn, stand.lifts())
    await stand.catch_up(database)


def _no_log(place: Place, revision: Revision, axis: Axis) -> str:
    """What to do where the baseline has no logarithm."""
    at = where(place.config, revision.text, ("objectives", axis.name, "scale"))
    return (
        f'{at}: `[objectives] {axis.name}.scale` is "log", and the baseline\'s value is {axis.base:g}, which has no '
        'logarithm; put `scale = "linear"`'
    )


def _no_noise(place: Place, revision: Revision, name: str, fidelity: str = "") -> str:
    """What to do where the baseline's runs agree, but for rounding: any change would look like a gain."""
    at = where(place.config, revision.text, ("objectives", name))
    direction = revision.settings.objectives[name].direction
    return (
        f"{at}: `[objectives] {name}` is the same on every seed of the baseline{fidelity}, to within rounding, so "
        "any change of it would look like a gain. If train ignores its seed, hand it over: "
        '`[run] seed = "--seed {seed}"`, or `"train.py:SEED"` where a constant holds it, or read '
        "$COCKPIT_SEED. If it was chance, ask for more: `[seeds] baseline = 5`. If it is meant so: "
        f'`{name} = {{ direction = "{direction}", deterministic = true }}`'
    )
