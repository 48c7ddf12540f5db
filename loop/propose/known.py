"""What is known of the experiments by one who proposes: from the runs before one, or from all there are.

It follows the journal: what an event names is read again, and nothing else. So what a proposal asks of the record does
not grow with the study. What has had a run that is not to be known yet is read again the next time, so it is always
what one would know who begins now: an engine that was killed is followed by one that knows the same.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from statistics import fmean

from loop.judge.axis import Axis, axis
from loop.judge.runs import Runs
from loop.propose.domain import Value
from loop.propose.edits import REWRITE
from loop.propose.optimiser import Tried
from loop.propose.space import Knob
from loop.study import Settings
from store import events, views
from store.database import Database
from store.records import SEED, Experiment, State
from store.records import Value as Measured


class Known:
    """The experiments of a study, and what is known of each; by number."""

    def __init__(self, settings: Settings, knobs: Sequence[Knob], bench: str) -> None:
        self.settings = settings
        self.knobs = knobs
        self.bench = bench
        self.rows: list[Experiment] = []  # without measurements and verdicts
        self.tried: list[Tried | None] = []  # None of one that is of other knobs, or was measured on another bench
        self.axes: list[Axis] = []  # the objectives; none before the baseline is measured
        self._runs = Runs(settings)
        self._failed: set[int] = set()
        self._later: set[int] = set()  # that have had a run which is not to be known yet
        self._written_anew: list[frozenset[int]] = []  # the experiments whose functions are in the code of each
        self._held: list[bool] = []  # whether the bounds of today hold the values of each
        self._seen: int | None = None  # the last event that need not be looked at again

    async def catch_up(self, database: Database, before: int | None = None) -> None:
        """Read what has happened since the last time, or everything the first time: the runs before number `before`.

        That is never less than the last time.
        """
        seen = await events.last_event(database)
        rows = await views.bare(database, self._seen)
        values = await views.values(database, self.bench, before, self._seen)
        failed = await views.failed(database, self.bench, before, self._seen)
        self._later = set() if before is None else await views.run_since(database, before)
        first = None if before is None else await events.first_of_runs(database, before, self._seen or 0)
        self._seen = seen if first is None else min(seen, first - 1)
        # Of all experiments, the first time: the engine's other tasks do not wait for it.
        await asyncio.to_thread(self._take, rows, values, failed)

    def _take(self, rows: Sequence[Experiment], values: Sequence[Measured], failed: set[int]) -> None:
        """These are as they are now, their values, and those of them that have failed."""
        for row in rows:
            self._put(row)
        for one in values:
            self._runs.add(one)
        self._failed = (self._failed - {row.number for row in rows}) | failed
        axes = self._measured_by()
        for row in self.rows if axes != self.axes else rows:  # another baseline makes every gain another one
            self.tried[row.number] = self._tried(row, axes)
        self.axes = axes

    def beside(self, parent: int) -> list[Tried]:
        """What is known of the experiments whose values say the same in a child of this one, the oldest first.

        Of code written anew, and not this one's, they say something else. None has values that no child may have.
        """
        own = self._written_anew[parent]
        every = zip(self.tried, self._held, self._written_anew, strict=True)
        return [one for one, held, written in every if held and one is not None and written <= own]

    def _put(self, row: Experiment) -> None:
        """An experiment as it is now. Its knobs, and what it was made from, are the same for ever."""
        self._runs.forget(row.number)
        if row.number < len(self.rows):
            self.rows[row.number] = row
            return
        self.rows.append(row)
        self.tried.append(None)
        values = values_of(self.knobs, row)
        self._held.append(all(knob.domain.holds(values[knob.key]) for knob in self.knobs))
        inherited = frozenset[int]().union(*(self._written_anew[number] for number in row.parents))
        self._written_anew.append(inherited | {row.number} if row.operator == REWRITE else inherited)

    def _measured_by(self) -> list[Axis]:
        """The objectives, by which gains are over the baseline's values. What matters of them is not asked here.

        Those are of its first runs, so that another run of it makes no gain another one.
        """
        if not self._runs.whole(0):
            return []
        first = {name: [*islice(own.values(), self.settings.seeds.baseline)] for name, own in self._runs.of[0].items()}
        return [axis(name, self.settings.objectives[name], fmean(first[name])) for name in self.settings.steering]

    def _tried(self, row: Experiment, axes: Sequence[Axis]) -> Tried | None:
        """What is known of an experiment. What is infeasible is no better than what has failed."""
        values = values_of(self.knobs, row)
        if row.knobs.keys() - values.keys() or row.operator == SEED:
            return None
        over, means = row.number not in self._later, self._runs.mean(row.number)
        given_up = over and row.state is State.FAILED and not row.ended
        failed = given_up or row.number in self._failed or bool(means and self._runs.breach(row.number))
        if axes and not failed and all(one.name in means for one in axes):
            return Tried(values, tuple(one.gain(means[one.name]) for one in axes))
        under_way = not over or row.state in (State.QUEUED, State.RUNNING)
        return Tried(values, None, failed=failed) if failed or under_way else None


def values_of(knobs: Sequence[Knob], row: Experiment) -> dict[str, Value]:
    """The values of all knobs in an experiment's tree."""
    return {knob.key: row.knobs.get(knob.key, knob.default) for knob in knobs}
