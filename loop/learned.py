"""What the runs of the unchanged code show beside their values: which stages are timed, and what follows from that.

Before the first one it is what the file says, and a probe of the same command; after it, in which stage a time is
printed; after the others, whether training works for a given time, and whether what loses can be stopped early.
"""

from collections.abc import Sequence

from msgspec import Struct

from loop.plan import foretold
from loop.run import early, timed
from loop.run.execution import Execution
from store.probed import Probed
from store.records import Outcome, Run

LOOKED_AT = 3  # runs, the last ones


class Learned(Struct, frozen=True):
    """What they show, and what is to be said of it, in sentences."""

    timed: frozenset[str] | None = None  # stages; None where no run has shown all of them yet
    notes: tuple[str, ...] = ()
    alone: bool = True  # training has nothing of cockpit's beside it


async def learn(execution: Execution, runs: Sequence[Run], probe: Probed | None) -> Learned:
    """What these runs of the baseline show, as far as they go."""
    settings = execution.revision.settings
    good = [run for run in runs if run.outcome is Outcome.OK]
    alike = [run for run in good if (run.bench, run.fidelity) == (good[-1].bench, good[-1].fidelity)][-LOOKED_AT:]
    why, wanted = foretold(settings, probe), early.curves_wanted(settings)
    if not why and wanted and await timed.has_time_budget(alike, lambda run: execution.said.curves(run, wanted)):
        why = timed.SEEN
    stages = await execution.said.timed(good[-1]) if good else timed.by_settings(settings)
    stages |= {timed.TRAIN} if why else frozenset()
    notes = [timed.NOTE(why)] if why else []
    notes += early.doubts(settings, good, stages)
    return Learned(stages if good else None, tuple(notes), timed.TRAIN in stages)
