"""The curves of a run under way, beside those of the incumbent: looked at now and then, until it loses or ends.

A curve is what stands in the log of training, `name: value` lines or what the pattern of `from` finds, or in the file
that `from` names. It is read by the process that reads metrics (`metrics.py`), with so much memory and time: a pattern
may take forever. A look takes a core for a moment, so none is taken while a timed stage runs (`quiet.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from statistics import fmean

from loop.judge import early
from loop.judge.early import Curve
from loop.judge.runs import RACE, SCREEN
from loop.judge.standing import Standing
from loop.run import costs
from loop.run.metrics import Found, Wanted
from loop.run.quiet import Quiet
from loop.run.stages import line_of
from loop.run.timed import TRAIN
from loop.study import Settings
from store.records import Outcome, Run, name_of

LONG_SECONDS = 600.0  # from which on the runs that lose are stopped, where the file does not say
STOPPED = (SCREEN, RACE)  # purposes of runs that may be: what confirms is run to its end, and so is the incumbent
SHARE = 1 / (2 * early.WINDOWS)  # of the incumbent's time: between two looks
LEAST_SECONDS = 0.2
FILE_SHARE, FILE_SECONDS = 0.02, 30.0  # the same where files are read, which may be large: the longer of the two

Read = Callable[[Run, Mapping[str, Wanted]], Awaitable[Mapping[str, Found]]]


def curves_wanted(settings: Settings) -> dict[str, Wanted]:
    """The objectives that steer and may have a curve, and where it stands while training goes on."""
    found = dict[str, Wanted]()
    for name in settings.steering:
        if (source := settings.objectives[name].source) is not None:
            found[name] = Wanted(**{**source.model_dump(), "name": source.name or name})
        elif not costs.is_measured(name, settings):
            found[name] = Wanted(name, pattern=line_of([name]))
    return found


def stops(settings: Settings, run: Run, incumbents: Sequence[Run], quiet: Quiet) -> bool:
    """Whether a run is stopped where it loses, beside these runs of the incumbent."""
    asked = settings.run.stop_early
    if run.purpose not in STOPPED or asked is False or len(incumbents) < early.LEAST or quiet.times(TRAIN):
        return False
    return asked is True or _seconds(incumbents) > LONG_SECONDS


def doubts(settings: Settings, incumbents: Sequence[Run], timed: Collection[str] = ()) -> list[str]:
    """Why no run is stopped where that is asked for, or would be beside these runs of the incumbent, in a sentence."""
    asked = settings.run.stop_early
    long = bool(incumbents) and _seconds(incumbents) > LONG_SECONDS
    if asked is False or not (asked or long):
        return []
    if TRAIN in timed:
        return ["nothing is stopped early: training is timed, and who looks at its curve meanwhile takes time from it"]
    return [] if curves_wanted(settings) else ["nothing is stopped early: no objective that steers has a curve"]


def _seconds(runs: Sequence[Run]) -> float:
    return fmean(sum(stage.wall_seconds for stage in run.stages) for run in runs)


async def loses(standing: Standing, run: Run, incumbents: Sequence[Run], read: Read, quiet: Quiet) -> str:
    """Look until a run loses: the sentence. It is cancelled where the run ends before that.

    `incumbents` are the good runs of the incumbent; `read` reads curves of a run.
    """
    wanted, good = curves_wanted(standing.settings), [one for one in incumbents if one.outcome is Outcome.OK]
    own: dict[str, list[Curve]] = {name: [] for name in wanted}
    for one in good:
        for name, found in (await read(one, wanted)).items():
            own[name].append(found.curve)
    axes = {one.name: one for one in standing.axes()}
    those = {name: curves for name, curves in own.items() if name in axes and all(len(curve) > 1 for curve in curves)}
    wild = dict.fromkeys(those, 0)
    pause = max(LEAST_SECONDS, _seconds(good) * SHARE)
    if any(wanted[name].file is not None for name in those):
        pause = max(FILE_SECONDS, _seconds(good) * FILE_SHARE)
    while those:
        await asyncio.sleep(pause)
        if quiet.kept:
            continue
        for name, found in (await read(run, {name: wanted[name] for name in those})).items():
            axis = axes[name]
            # One that has had a number, and has none any more: before the first evaluation there may be none.
            wild[name] = wild[name] + 1 if found.wild and found.curve else 0
            if wild[name] == early.LOOKS:
                return early.lost(axis, found.curve[-1][0])
            known = standing.runs.noise(name, axis.base).within()
            worse = early.behind(axis, those[name], found.curve, known, others_steer=len(axes) > 1)
            if worse is not None:
                return early.said(axis, worse, name_of(standing.incumbent))
    await asyncio.Event().wait()  # there is nothing to look at
    return ""
