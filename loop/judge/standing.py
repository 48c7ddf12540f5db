"""Where a study stands, as the judge sees it: the experiments, their runs on one bench, verdicts and frontier.

It follows the journal: what an event names is read again, and nothing else. So what an experiment more takes does not
grow with the study.
"""

import asyncio
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf

from msgspec.structs import replace

from loop.judge.again import Compared, compared
from loop.judge.agreement import agreement
from loop.judge.axis import FARTHEST, Axis, references
from loop.judge.frontier import Sure, Table, frontier
from loop.judge.gains import Additions
from loop.judge.keeps import OtherRule
from loop.judge.lift import Tally
from loop.judge.preset import preset
from loop.judge.returns import chance
from loop.judge.rule import Figure, Gains, Pools, infeasible, judge
from loop.judge.runs import CHALLENGE, CHOSEN, Follower, Runs, Seeds
from loop.judge.sentence import OF_THE_SEED, explanation, of_the_seed, sentence
from loop.study import Settings
from store import events, views, yields
from store.database import Database
from store.records import (
    FULL,
    SEED,
    UP,
    Agreement,
    Evidence,
    Experiment,
    Frontier,
    Keeps,
    Reference,
    Returns,
    State,
    Value,
    Verdict,
    Word,
    name_of,
)
from store.yields import Lift

VERIFIED = (  # of trunk, where it is several changes together
    "It is trunk, against what trunk was, {}. "
    "It holds unless it is worse, breaks a bound, or more is lost than would be given up for anything."
)
SURE = 0.95  # of the interval around a gain that is kept with it


class Standing:
    """The experiments of a study and their good runs on one bench. `incumbent` is the number of trunk's."""

    def __init__(self, settings: Settings, bench: str, incumbent: int = 0) -> None:
        self.settings = settings
        self.bench = bench
        self.incumbent = incumbent
        self.before: list[int] = [0]  # what trunk was, one after the other
        self.chosen: set[int] = set()  # the seeds on which the incumbent was chosen
        self.spoiled: set[int] = set()  # those on which it has failed
        self.failed_at_first: set[int] = set()  # those on which the baseline has, here
        self.rows: dict[int, Experiment] = {}
        self.runs = Runs(settings)  # those by which experiments are chosen
        self.full = Runs(settings, fidelity=FULL) if settings.fidelity else None  # those that confirm, where others do
        self.frozen: dict[str, Reference] = {}
        self.on: list[int] = []  # the frontier
        self.open: set[int] = set()  # the experiments of which something is to be run or judged
        # Why a gain of an experiment over another may be no gain of the model's: of the engine, which knows the knobs.
        self.doubt: Callable[[Experiment, Experiment], str] = lambda one, other: ""
        self._rule = preset(settings).rule
        self._failed: set[int] = set()
        self._confirmed: set[int] = set()
        self._promising: set[int] = set()
        self._screened: list[int] = []  # the experiments that are measured, in order
        self._first: dict[int, float] = {}  # when each was judged first
        self._judged: list[float] = []  # the same moments, in order
        self._found: dict[int, float] = {}  # when each was confirmed first
        self._seen: int | None = None  # the last event that it knows
        self._aside: set[int] = set()  # what changes how the seed is read: no gain, and no part of what is found
        self._other = OtherRule(self.runs, self._aside)
        self._news = Follower(self.runs)
        self._table: Table | None = None
        self._columns: list[tuple[str, float]] = []  # of the table: the objectives, and the baseline's values
        self._additions = Additions()
        self._tally = Tally(settings.study.seed)
        self._lifts: Mapping[str, Lift] | None = None  # as they are kept

    # --- following ---------------------------------------------------------------------------------------------------

    async def catch_up(self, database: Database) -> None:
        """Read what has happened since the last time, or everything the first time."""
        seen = await events.last_event(database)
        rows = await views.experiments(database, self._seen)
        values = await views.values(database, self.bench, since=self._seen)
        failed = await views.failed(database, self.bench, since=self._seen)
        costs = await yields.costs(database, self.bench, self._seen)
        if self._seen is None:
            self._tally.gained(await yields.gains(database, self.bench))
            for number, (judged, confirmed) in (await views.first_verdicts(database, self.bench)).items():
                self._heard(number, judged, confirmed)
        (*before, incumbent), own_runs = await views.trunks(database), []
        if incumbent != self.incumbent or any(row.number == incumbent for row in rows):
            own_runs = await views.incumbents_runs(database, incumbent)
        if any(row.number == 0 for row in rows):
            own = await views.incumbents_runs(database, 0)
            self.failed_at_first = {run.seed for run in own if run.bench == self.bench and run.failed}
        self._seen = seen
        for runs in self._every:
            for row in rows:
                runs.forget(row.number)
            for one in values:
                runs.add(one)
        if own_runs or incumbent != self.incumbent:
            self.chosen = {run.seed for run in own_runs if run.purpose in CHOSEN}
            bad = (run for run in own_runs if run.purpose == CHALLENGE and run.bench == self.bench and run.failed)
            self.spoiled = {run.seed for run in bad}
        self.stand(incumbent, before)
        for row in rows:
            self.put(row, failed=row.number in failed)
            if row.operator != SEED:
                self._tally.ran(row.number, row.proposer, costs.get(row.number, 0.0))
        self.frozen = {one.objective: one for one in await views.reference(database, self.bench)}
        self.on = [point.experiment for point in (await views.frontier(database))[0].points]

    @property
    def _every(self) -> list[Runs]:
        return [self.runs, self.full] if self.full else [self.runs]

    def stand(self, incumbent: int, before: Sequence[int] = (0,)) -> None:
        """Trunk is this one's, and was those'."""
        self.before = list(before)
        if incumbent != self.incumbent:
            self.incumbent = incumbent
            for row in self.rows.values():
                self._open(row)

    def put(self, row: Experiment, *, failed: bool = False) -> None:
        """An experiment as it is now. `failed` is one that has, on this bench, whatever was decided of it since."""
        self.rows[row.number] = row
        (self._aside.add if row.operator == SEED else self._aside.discard)(row.number)
        said, at = row.verdict, bisect_left(self._screened, row.number)
        there = self._screened[at : at + 1] == [row.number]
        if row.number and self.runs.whole(row.number) != there and row.operator != SEED:
            self._screened[at : at + there] = [] if there else [row.number]
        for numbers, holds in (
            (self._failed, row.number and (failed or row.state is State.FAILED)),
            (self._confirmed, said and said.confirmed),
            (self._promising, said and said.promising),
        ):
            (numbers.add if holds else numbers.discard)(row.number)
        if said is not None:
            self._heard(row.number, said.at, said.at if said.confirmed else None)
        self._open(row)

    def _heard(self, number: int, judged: float, confirmed: float | None) -> None:
        """When an experiment was judged, or confirmed: the first time counts."""
        if number not in self._first:
            self._first[number] = judged
            insort(self._judged, judged)
        if confirmed is not None:
            self._found.setdefault(number, confirmed)

    def _open(self, row: Experiment) -> None:
        asks = row.state is State.JUDGED and row.verdict is not None and row.verdict.asks
        holds = asks or row.state is State.QUEUED or self.waits(row)
        (self.open.add if holds else self.open.discard)(row.number)

    # --- what follows ------------------------------------------------------------------------------------------------

    @property
    def screened(self) -> int:
        """How many experiments are measured on this bench, without the baseline."""
        return len(self._screened)

    @property
    def looked(self) -> int:
        """How many experiments have been measured here, or have failed."""
        return self.screened + sum(number not in self.runs.of for number in self._failed)

    def waits(self, row: Experiment) -> bool:
        """Whether an experiment is measured, and has no verdict, or one that does not stand any more.

        It rests on another trunk than the experiment was made from, or on bounds or a rule that are others now, or asks
        for a run of what was ended.
        """
        said, number = row.verdict, row.number
        if number in (0, self.incumbent) or not self.runs.whole(number):
            return False
        if row.state is not State.JUDGED or said is None:
            return row.state is State.MEASURED
        here = said.incumbent == self.incumbent
        stale = (not here and row.made_from(self.incumbent)) or (here and said.rule != self._rule)
        stale = stale or (here and said.asks and row.ended)
        return stale or self.breach(number) != (said.sentence if said.word is Word.INFEASIBLE else "")

    def breach(self, number: int) -> str:
        """The sentence on an experiment that is infeasible, at either fidelity; nothing where it breaks no bound."""
        return next(filter(None, (runs.breach(number) for runs in reversed(self._every))), "")

    @property
    def unverified(self) -> bool:
        """Whether trunk is what several changes together make, and was not run on this bench yet."""
        verification = self.rows[self.incumbent].verification if self.incumbent else None
        return verification is not None and not self.runs.common(self.runs.yardstick(self.incumbent))

    @property
    def to_verify(self) -> int | None:
        """Trunk's, where it is such a merge and its verdict is to be said, on one more of its baseline's seeds.

        It is against what trunk was before.
        """
        row = self.rows.get(self.incumbent)
        if row is None or row.verification is None or not self.runs.whole(row.number) or self.earlier is None:
            return None
        runs, said = min(len(self.runs.seeds(row.number)), self.settings.seeds.baseline), row.verdict
        return None if said and said.incumbent == self.earlier and said.runs >= runs else row.number

    def pinned_on(self, row: Experiment) -> set[int]:
        """The seeds on which what was pinned for an experiment was run, at any fidelity: for those it was chosen."""
        seeds = set[int]()
        while self.runs.noisy() and row.parent not in (None, row.root, self.incumbent):
            assert row.parent is not None
            row = self.rows[row.parent]
            seeds |= {seed for runs in self._every for seed in runs.seeds(row.number)}
        return seeds

    @property
    def earlier(self) -> int | None:
        """What trunk was before, the last of which there are runs on this bench."""
        return next((number for number in reversed(self.before) if self.runs.whole(number)), None)

    def waiting(self) -> list[Experiment]:
        """The experiments that wait for a verdict, oldest first."""
        return [row for number in sorted(self.open) if self.waits(row := self.rows[number])]

    def next_waiting(self, but: Collection[int]) -> int | None:
        """The oldest of those, but for some."""
        return next((one for one in sorted(self.open) if one not in but and self.waits(self.rows[one])), None)

    def axes(self) -> list[Axis]:
        """The objectives, against the baseline as it was frozen. None before it is measured."""
        return self.runs.axes({one.objective: one.base for one in self.frozen.values()})

    def keeps(self, axes: Sequence[Axis], said: Verdict) -> Keeps:
        """How far what is confirmed can be trusted, with one verdict more."""
        confirmed = _holding(self._confirmed, said.experiment, said.confirmed)
        return self._other.keeps(axes, preset(self.settings), len(confirmed))

    async def returns(self, database: Database, said: Verdict) -> Returns:
        """What the last while has bought, with one verdict more."""
        seconds, number = self.settings.study.stop_when.within, said.experiment
        since = await views.worked_since(database, said.at, seconds)
        judged = len(self._judged) - bisect_right(self._judged, since) + (number not in self._first)
        found = {one: at for one, at in self._found.items() if one in self._confirmed and one != number}
        found |= {number: self._found.get(number, said.at)} if said.confirmed else {}
        return Returns(
            seconds,
            judged,
            sum(at > since for at in found.values()),
            await views.hypervolume(database, self.bench, since),
            chance([bisect_right(self._screened, one) for one in found], self.screened, judged),
        )

    async def drawn(
        self, number: int | None = None, values: Sequence[Value] = ()
    ) -> tuple[Frontier | None, tuple[Reference, ...]]:
        """The frontier, and what of the reference is to be frozen now.

        With one run more, experiment `number`'s, which has given these values, or has failed. The reference stands on
        the baseline's runs until there are as many as a baseline has. No frontier before the baseline is measured.
        """
        for one in values:
            for runs in self._every:
                runs.add(one)
        if number and not values:
            self._failed.add(number)
        if number and (self.full or not values):  # what breaks a bound in full is on no frontier
            self.runs.changed.append(number)
        if not self.runs.whole(0):
            return None, ()
        here = {name: len(self.runs.of[0][name]) for name in self.settings.steering}
        kept = {
            name: one.base
            for name, one in self.frozen.items()
            if not one.runs < here.get(name, 0) <= self.settings.seeds.baseline
        }
        axes = self.runs.axes(kept)
        fresh = [one for axis in axes if axis.name not in kept for one in references([axis], here[axis.name])]
        return await self._frontier(axes, self._confirmed, self._promising), tuple(fresh)

    async def redrawn(self, said: Verdict) -> Frontier | None:
        """The frontier with one verdict more; None where that changes nothing."""
        number = said.experiment
        if (number in self._confirmed, number in self._promising) == (said.confirmed, said.promising):
            return None
        confirmed = _holding(self._confirmed, number, said.confirmed)
        return await self._frontier(self.axes(), confirmed, _holding(self._promising, number, said.promising))

    async def _frontier(self, axes: Sequence[Axis], confirmed: set[int], promising: set[int]) -> Frontier:
        pools = [self.runs.noise(axis.name, axis.base).within() for axis in axes]
        sure = Sure(frozenset(confirmed), frozenset(promising), self.incumbent)
        table, order = self._filled(axes), sorted(confirmed, key=lambda one: (self._found.get(one, inf), one))
        start = [(0.0,) * len(axes)] * int(table.there[0])

        def draw() -> tuple[Frontier, tuple[tuple[int, float], ...]]:
            floor, found = tuple(axis.floor for axis in axes), [(one, table.row(one)) for one in order]
            return frontier(axes, table, pools, sure), self._additions.of(floor, start, found)

        drawn, gains = await asyncio.to_thread(draw)
        self._tally.gained(gains)
        return replace(drawn, gains=gains)

    def lifts(self) -> Mapping[str, Lift] | None:
        """What each proposer's device-hours have bought against the floor's; None where it is as it was."""
        now = self._tally.lifts()
        if now == self._lifts:
            return None
        self._lifts = now
        return now

    def _filled(self, axes: Sequence[Axis]) -> Table:
        """The table, up to date; another one where its columns are others."""
        columns = [(axis.name, axis.base) for axis in axes]
        if self._table is None or columns != self._columns:
            self._table, self._columns, self._news = Table(len(axes)), columns, Follower(self.runs)
        for number in self._news.news():
            there = number not in self._failed and self.runs.whole(number) and not self.breach(number)
            there = there and (number not in self._aside or self.rows[number].state is State.MERGED)
            own = _gains(axes, self.runs.of[number]) if there else {}
            gains = [list(own[axis.name].values()) for axis in axes] if there else None
            self._table.put(number, gains, self.rows[number].lines if number in self.rows else None)
        return self._table

    async def verdict(self, number: int) -> Verdict:
        """What the judge says of an experiment against the incumbent, both of which have runs.

        Of the incumbent itself, against what trunk was before: it asks for no run.
        """
        runs, incumbent, axes = self.runs, self.incumbent, self.axes()
        yardstick, apart = runs.yardstick(incumbent), self._apart(number)
        if self.full and apart:
            runs, axes = self.full, self._full_axes(axes)
            yardstick = runs.yardstick(incumbent)
        elif number == incumbent:
            incumbent = self.earlier or 0
            yardstick = runs.yardstick(incumbent)
            if not runs.common(yardstick):  # it was merged for runs that flatter it, and has no others
                yardstick = runs.of[incumbent]
        own = runs.of[number]
        others = [one for one in self.on if one not in (number, incumbent) and runs.whole(one)]
        chosen = preset(self.settings)
        noise = {axis.name: runs.noise(axis.name, axis.base) for axis in axes}
        pools = {name: Pools(one.within(), one.pairs(incumbent)) for name, one in noise.items()}
        said = await asyncio.to_thread(
            partial(judge, apart=apart),
            axes,
            _gains(axes, own),
            _gains(axes, yardstick),
            [_gains(axes, runs.of[one]) for one in others],
            pools,
            chosen,
            runs.seeds(number) if apart else runs.fresh(number),
        )
        if self.full and not apart and said.evidence is Evidence.CONFIRMED:  # nothing has noise: one full run tells
            said = replace(said, evidence=Evidence.PROMISING, asks=True)
        broken = self.breach(number)
        if broken:
            said = infeasible(said)
        aside = ""
        if number in self._aside and not broken:
            word, aside = of_the_seed(own, runs.of[incumbent], name_of(incumbent))
            said = replace(said, word=word, evidence=Evidence.SCREENED, asks=False)
        doubt = "" if number == self.incumbent else self.doubt(self.rows[number], self.rows[incumbent])
        ended = said.asks and self.rows[number].ended
        why = OF_THE_SEED if aside else explanation(said, ended=ended)
        if doubt and said.word in UP:
            why = f"{why} {doubt}".strip()
            if said.evidence is Evidence.CONFIRMED:  # all that can be measured of it is; a person has to look
                said = replace(said, evidence=Evidence.PROMISING, asks=False)
        return Verdict(
            experiment=number,
            bench=self.bench,
            incumbent=incumbent,
            runs=sum(min(len(each.of[number][one.name]) for one in axes) for each in self._every if number in each.of),
            rule=chosen.rule,
            word=said.word,
            evidence=said.evidence,
            asks=said.asks and number != self.incumbent and not ended,
            sentence=broken
            or (aside or sentence(said, name_of(incumbent))) + (f" at {runs.fidelity}" * bool(self.full)),
            explanation=VERIFIED.format(name_of(incumbent)) if number == self.incumbent else why,
            figures={
                one.axis.name: _keys(one, said.worth, barred=said.barred == one.axis.name)
                | ({"fidelity": runs.fidelity} if self.full else {})
                for one in said.figures
            },
            at=time.time(),
        )

    def _apart(self, number: int) -> bool:
        """Whether an experiment and what it is held against have been run in full, where others have chosen it."""
        full = self.full
        return bool(full and number != self.incumbent and full.seeds(number) and full.seeds(self.incumbent))

    def _full_axes(self, axes: Sequence[Axis]) -> list[Axis]:
        """The objectives against the incumbent's full runs. What has no noise at quick has none there."""
        assert self.full
        full = self.full.axes(of=self.incumbent)
        return [replace(one, deterministic=known.deterministic) for one, known in zip(full, axes, strict=True)]

    def still_in_full(self, axes: Sequence[Axis]) -> list[str]:
        """The objectives without noise in the incumbent's full runs, where these are as many as a baseline has."""
        full, at = self.full, self.incumbent
        if full is None or len(full.seeds(at)) < self.settings.seeds.baseline:
            return []
        return [axis.name for axis in axes if not axis.deterministic and full.constant(axis.name, at)]

    def agreement(self) -> list[Agreement]:
        """How far quick runs rank the experiments that have both as full ones do; nothing before there are enough."""
        return agreement(self.runs, self.full) if self.full else []

    def compared(self, number: int, seed: int, values: Mapping[str, float], fidelity: str) -> list[Compared]:
        """A run of an experiment that was made again, against what is recorded of it here at its fidelity."""
        runs, axes = self.runs, self.axes()
        if self.full and fidelity == FULL:
            runs, axes = self.full, self.full.axes()
        pools = {axis.name: runs.noise(axis.name, axis.base).within() for axis in axes}
        return compared(values, runs.of.get(number, {}), seed, axes, pools)


def _holding(numbers: set[int], number: int, holds: bool) -> set[int]:
    """These, with one among them or not."""
    return numbers | {number} if holds else numbers - {number}


def _gains(axes: Sequence[Axis], values: Seeds) -> Gains:
    return {axis.name: {seed: axis.gain(value) for seed, value in values[axis.name].items()} for axis in axes}


def _keys(figure: Figure, worth: float | None, *, barred: bool) -> dict[str, float | int | str | bool | None]:
    """A figure as the record keeps it. `change` is a share of the incumbent's value, up is more; so is `margin`.

    `worth` is what the gain is worth at the user's rates, where the whole is worth something or nothing.
    """
    rate = figure.axis.worth if worth is not None else None
    known, base = figure.difference, figure.incumbent_gain
    reach = min(known.either_way(SURE), FARTHEST)
    low, high = known.mean - reach, known.mean + reach
    return {
        "change": figure.axis.change(known.mean, base),
        "margin": abs(figure.axis.change(high, base) - figure.axis.change(low, base)) / 2,
        "gain": known.mean,
        "low": low,
        "high": high,
        "standard_error": known.error,
        "df": known.df,
        "better": figure.better,
        "not_worse": figure.not_worse,
        "moved": figure.moved,
        "smallest": figure.axis.smallest,
        "n": known.n,
        "n_incumbent": known.n_other,
        "paired": known.paired,
        "deterministic": figure.axis.deterministic,
        "barred": barred,
        "worth": known.mean / rate if rate else None,
    }
