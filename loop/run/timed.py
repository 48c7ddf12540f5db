"""Which stages are timed: those whose seconds are judged, and training that works for a given time.

A script with a time budget takes as long as it is given, and what it comes to is a matter of what else the machine did
meanwhile. Where `[fidelity]` gives it `seconds` that is known; else by its runs, which take equal seconds and come to
unequal steps. Beside a timed stage nothing of cockpit's is at work: see `quiet.py`, and whoever asks it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from loop.judge.axis import COSTS, Kind
from loop.run import costs
from loop.run.metrics import Found
from loop.run.stages import SECONDS, STAGES, names, printed
from loop.study import Settings
from store.records import Run

TRAIN = "train"
# What is measured of the whole run takes in all of its stages; `train_seconds` one.
TIMED = {
    "train_seconds": frozenset({TRAIN}),
    **dict.fromkeys(("wall_seconds", "device_seconds", "cpu_seconds", "energy_joules"), frozenset(STAGES)),
}
EQUAL_SECONDS = 0.05  # runs that differ by no more, as a share, may have been timed
LONG_ENOUGH_SECONDS = 5.0  # of a run, for that to be no chance
NOTE = (
    "training works for a given time ({}): it runs alone, and what else this machine does changes what it comes to"
).format
GIVEN, PROBED, SEEN = (
    "`[fidelity]` gives it `seconds`",
    "the probe's runs took equal seconds and unequal steps",
    "its runs take equal seconds and unequal steps",
)

Read = Callable[[Run], Awaitable[Mapping[str, Found]]]


def by_settings(settings: Settings) -> frozenset[str]:
    """The stages that are known to be timed before any has run."""
    found = frozenset({TRAIN}) if works_for_seconds(settings) else frozenset()
    for name in settings.needed:
        if name in costs.MEASURED or name in costs.TOLD:
            found |= TIMED.get(name, frozenset())
    return found & frozenset(names(settings))


def by_run(settings: Settings, study: Path, run: Run) -> frozenset[str]:
    """All of them, by a good run, whose logs say which stage has printed a time: the last that did.

    Reads them: call it in a thread.
    """
    found = by_settings(settings)
    for name in settings.needed:
        if name not in costs.MEASURED and name not in costs.TOLD and COSTS[Kind.TIME].search(name):
            spoken = [name, costs.MADE_OF.get(name, name)]
            said = [stage.name for stage in run.stages if printed(study / stage.log, spoken)]
            found |= {said[-1]} if said else frozenset(STAGES)
    return found & frozenset(names(settings))


def works_for_seconds(settings: Settings) -> bool:
    """Whether `[fidelity]` gives training so many seconds."""
    return settings.fidelity is not None and SECONDS in {**settings.fidelity.quick, **settings.fidelity.full}


def equal(seconds: Sequence[float]) -> bool:
    """Whether runs took equal seconds, and enough of them."""
    if len(seconds) < 2:
        return False
    return min(seconds) >= LONG_ENOUGH_SECONDS and max(seconds) <= min(seconds) * (1 + EQUAL_SECONDS)


def unequal(steps: Sequence[Mapping[str, object]]) -> bool:
    """Whether runs came to unequal steps, by what each curve says of its own."""
    return any(one != steps[0] for one in steps[1:])


async def has_time_budget(runs: Sequence[Run], read: Read) -> bool:
    """Whether runs of one tree show the signs of a time budget. `read` reads the curves of one."""
    if not equal([stage.wall_seconds for run in runs for stage in run.stages if stage.name == TRAIN]):
        return False
    curves = [await read(run) for run in runs]
    return unequal([{name: one.curve[-1][0] for name, one in found.items() if one.curve} for found in curves])
