"""Where a study stands: the frontier and the verdicts, from the runs that the record holds and from the last one."""

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loop.judge.axis import FARTHEST, Axis, axis, references
from loop.judge.bounds import breach
from loop.judge.frontier import frontier
from loop.judge.noise import pool
from loop.judge.preset import preset
from loop.judge.rule import Figure, Gains, Pools, infeasible, judge
from loop.judge.sentence import explanation, sentence
from loop.study import Settings
from store import views
from store.database import Database
from store.records import Frontier, Reference, State, Value, Verdict, name_of

SURE = 0.95  # of the interval around a gain that is kept with it
FAR = 1.0  # a loss as large as the baseline's own value: what diverges has a noise of its own
BASELINE, SCREEN, RACE, CONFIRM = "baseline", "screen", "race", "confirm"  # what a run is for
CHALLENGE = "challenge"  # of an incumbent that has its baseline's runs; where it fails, it stays what it is
CHOSEN = (SCREEN, RACE)  # the purposes of runs for which an experiment may have been chosen

Seeds = Mapping[str, Mapping[int, float]]  # the value of each objective, by seed


@dataclass
class Runs:
    """The good runs of a bench: the values of each experiment, by quantity and seed."""

    settings: Settings
    of: dict[int, dict[str, dict[int, float]]] = field(default_factory=dict)
    unchosen: dict[int, dict[str, dict[int, float]]] = field(default_factory=dict)  # those that chose nothing

    def add(self, one: Value) -> None:
        """One value more."""
        for runs in (self.of,) if one.purpose in CHOSEN else (self.of, self.unchosen):
            runs.setdefault(one.experiment, {}).setdefault(one.objective, {})[one.seed] = one.value

    def whole(self, number: int) -> bool:
        """Whether an experiment has a value of everything that steers."""
        return self.of.get(number, {}).keys() >= set(self.settings.steering)

    def noisy(self) -> bool:
        """Whether any objective that steers has noise."""
        return any(not self.settings.objectives[name].deterministic for name in self.settings.steering)

    def yardstick(self, incumbent: int) -> Seeds:
        """The incumbent's values: of a merged one those of runs that chose nothing, for its choice flatters the others.

        What has no noise flatters nobody.
        """
        return (self.unchosen if incumbent and self.noisy() else self.of).get(incumbent, {})

    def fresh(self, number: int) -> set[int]:
        """The seeds on which it was not chosen, where there is a value of everything that steers."""
        return self.common(self.unchosen.get(number, {}))

    def seeds(self, number: int) -> set[int]:
        """The seeds on which an experiment has a value of everything that steers."""
        return self.common(self.of.get(number, {}))

    def common(self, values: Seeds) -> set[int]:
        """The seeds of which there is a value of everything that steers."""
        return set.intersection(*(set(values.get(name, {})) for name in self.settings.steering))

    def means(self) -> dict[int, dict[str, float]]:
        """The mean of each quantity, by experiment."""
        return {number: self._mean(number) for number in self.of}

    def _mean(self, number: int) -> dict[str, float]:
        return {name: math.fsum(seeds.values()) / len(seeds) for name, seeds in self.of.get(number, {}).items()}

    def breach(self, number: int) -> str:
        """The sentence on an experiment that is infeasible; nothing where it breaks no bound."""
        return breach(self.settings.constraints, self._mean(number), len(self.seeds(number)))

    def feasible(self) -> dict[int, dict[str, float]]:
        """The means of those that break no bound, the baseline among them or not."""
        return {number: own for number, own in self.means().items() if not self.breach(number)}

    def axes(self, frozen: Mapping[str, float] | None = None) -> list[Axis]:
        """The objectives that steer, against the baseline or these values of it. None before it is measured."""
        if not self.whole(0):
            return []
        objectives, bases, made = self.settings.objectives, {**self.means()[0], **(frozen or {})}, []
        for name in self.settings.steering:
            rough = axis(name, objectives[name], bases[name])
            groups = [[rough.gain(value) for value in own.get(name, {}).values()] for own in self.of.values()]
            sigma = math.sqrt(pool(filter(_near, groups)).variance)
            made.append(axis(name, objectives[name], bases[name], sigma, constant=self.constant(name)))
        return made

    def constant(self, name: str) -> bool:
        """Whether the baseline's runs agree on an objective to the last digit."""
        values = self.of[0][name].values()
        return len(values) > 1 and len(set(values)) == 1


async def known(database: Database, settings: Settings, bench: str, before: int | None = None) -> Runs:
    """What was measured on a bench; in the runs before number `before`."""
    runs = Runs(settings)
    for value in await views.values(database, bench, before):
        runs.add(value)
    return runs


async def standing(
    database: Database, settings: Settings, bench: str, number: int | None = None, values: Iterable[Value] = ()
) -> tuple[Frontier | None, tuple[Reference, ...]]:
    """The frontier of a bench, and what of the reference is to be frozen now.

    With one run more, experiment `number`'s, which has given these values, or has failed. The reference stands on the
    baseline's runs until there are as many as a baseline has. No frontier before the baseline is measured.
    """
    runs = await known(database, settings, bench)
    for one in values:
        runs.add(one)
    failed = {row.number for row in await views.experiments(database) if row.state is State.FAILED}
    failed = (failed | await views.failed(database, bench)) - {0}
    if number and not values:
        failed.add(number)
    if not runs.whole(0):
        return None, ()
    here = {name: len(runs.of[0][name]) for name in settings.steering}
    frozen = {
        one.objective: one.base
        for one in await views.reference(database, bench)
        if not one.runs < here.get(one.objective, 0) <= settings.seeds.baseline
    }
    axes = runs.axes(frozen)
    fresh = [reference for one in axes if one.name not in frozen for reference in references([one], here[one.name])]
    means = {one: own for one, own in runs.feasible().items() if one not in failed}
    return await asyncio.to_thread(frontier, axes, means), tuple(fresh)


async def verdict(database: Database, runs: Runs, bench: str, number: int, incumbent: int) -> Verdict:
    """What the judge says of an experiment against the incumbent, both of which are in the runs of this bench."""
    on = [point.experiment for point in (await views.frontier(database))[0].points]
    own, others = runs.of[number], [one for one in on if one not in (number, incumbent) and runs.whole(one)]
    axes = runs.axes({one.objective: one.base for one in await views.reference(database, bench)})
    against, chosen = runs.yardstick(incumbent), preset(runs.settings)
    said = await asyncio.to_thread(
        judge,
        axes,
        _gains(axes, own),
        _gains(axes, against),
        [_gains(axes, runs.of[one]) for one in others],
        _pools(axes, runs, incumbent, against),
        chosen,
        runs.fresh(number),
    )
    broken = runs.breach(number)
    if broken:
        said = infeasible(said)
    return Verdict(
        experiment=number,
        bench=bench,
        incumbent=incumbent,
        runs=min(len(own[one.name]) for one in axes),
        rule=chosen.rule,
        word=said.word,
        evidence=said.evidence,
        asks=said.asks,
        sentence=broken or sentence(said, name_of(incumbent)),
        explanation=explanation(said, chosen),
        figures={figure.axis.name: _keys(figure) for figure in said.figures},
        at=time.time(),
    )


def _gains(axes: Sequence[Axis], values: Seeds) -> Gains:
    return {axis.name: {seed: axis.gain(value) for seed, value in values[axis.name].items()} for axis in axes}


def _pools(axes: Sequence[Axis], runs: Runs, incumbent: int, values: Seeds) -> dict[str, Pools]:
    """The noise within experiments, and of differences to the incumbent on the same seed."""
    found = {}
    for one in axes:
        every = {
            number: {seed: one.gain(value) for seed, value in own.get(one.name, {}).items()}
            for number, own in runs.of.items()
        }
        base = {seed: one.gain(value) for seed, value in values[one.name].items()}
        pairs = [
            [gain - base[seed] for seed, gain in own.items() if seed in base]
            for number, own in every.items()
            if number != incumbent and _near(own.values())
        ]
        singles = [list(own.values()) for own in every.values() if _near(own.values())]
        found[one.name] = Pools(pool(singles), pool(pairs))
    return found


def _near(gains: Iterable[float]) -> bool:
    """Whether runs say something of the noise of others. Those that fail by as much as the baseline's value do not."""
    return min(gains, default=0.0) > -FAR


def _keys(figure: Figure) -> dict[str, float | int | str | bool]:
    """A figure as the record keeps it. `change` is a share of the incumbent's value, up is more; so is `margin`."""
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
    }
