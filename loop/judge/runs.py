"""The good runs of a bench at a fidelity: what was measured, by experiment, quantity and seed, and what of the noise.

What is made of them is kept, and follows them as they grow: a run more takes as long in the ten-thousandth experiment
as in the tenth.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from loop.judge.axis import Axis, axis
from loop.judge.bounds import breach, broken
from loop.judge.noise import Groups, Pool, agree
from loop.study import Constraint, Settings
from store.records import QUICK, Value

FAR = 1.0  # a loss as large as the baseline's own value: what diverges has a noise of its own
BASELINE, SCREEN, RACE, CONFIRM = "baseline", "screen", "race", "confirm"  # what a run is for
VERIFY = "verify"  # the first of a merge of several, which nobody has run before
CHALLENGE = "challenge"  # of an incumbent that has its baseline's runs; where it fails, it stays what it is
RERUN = "rerun"  # made again because a person wants to see it: it decides nothing, and is held against nothing
OWN = (SCREEN, RACE, CONFIRM)  # for the experiment's own sake, and not as what others are held against
CHOSEN = (SCREEN, RACE)  # the purposes of runs for which an experiment may have been chosen

Seeds = Mapping[str, Mapping[int, float]]  # the value of each objective, by seed


class Runs:
    """The good runs of a bench at a fidelity, that of the search unless told: of each experiment, by quantity and seed.

    Those of another fidelity are none of them: nothing here is compared with what was measured there.
    """

    def __init__(self, settings: Settings, values: Iterable[Value] = (), fidelity: str | None = None) -> None:
        self.settings = settings
        self.fidelity = fidelity or settings.searched_at
        self.of: dict[int, dict[str, dict[int, float]]] = {}
        self.unchosen: dict[int, dict[str, dict[int, float]]] = {}  # those that chose nothing
        self.on: dict[int, set[int]] = {}  # the experiments that have a value of a seed
        self.changed: list[int] = []  # experiments, as their values change: who follows keeps its place in it
        self._means: dict[int, dict[str, float]] = {}
        self._noise: dict[str, Noise] = {}
        for one in values:
            self.add(one)

    def add(self, one: Value) -> None:
        """One value more, where it is of this fidelity."""
        if one.fidelity != self.fidelity:
            return
        for runs in (self.of,) if one.purpose in CHOSEN else (self.of, self.unchosen):
            runs.setdefault(one.experiment, {}).setdefault(one.objective, {})[one.seed] = one.value
        self.on.setdefault(one.seed, set()).add(one.experiment)
        self._means.pop(one.experiment, None)
        self.changed.append(one.experiment)

    def forget(self, number: int) -> None:
        """The values of an experiment are none any more: they are read anew, or are of another tree."""
        if number in self.of:
            for seed in {seed for seeds in self.of.pop(number).values() for seed in seeds}:
                self.on[seed].discard(number)
            self.unchosen.pop(number, None)
            self._means.pop(number, None)
            self.changed.append(number)

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

    def mean(self, number: int) -> Mapping[str, float]:
        """The mean of each quantity of an experiment."""
        if number not in self._means:
            own = self.of.get(number, {})
            self._means[number] = {name: math.fsum(seeds.values()) / len(seeds) for name, seeds in own.items()}
        return self._means[number]

    def breach(self, number: int) -> str:
        """The sentence on an experiment that is infeasible; nothing where it breaks no bound."""
        bounds: Mapping[str, Constraint] = self.settings.constraints
        if self.fidelity == QUICK:  # what the unchanged code breaks there is meant of full runs, and held against those
            bounds = {name: one for name, one in bounds.items() if not broken({name: one}, self.mean(0))}
        return breach(bounds, self.mean(number), len(self.seeds(number)))

    def axes(self, frozen: Mapping[str, float] | None = None, of: int = 0) -> list[Axis]:
        """The objectives that steer, against the baseline or these values of it. None before it is measured.

        Or against another one than the baseline.
        """
        if not self.whole(of):
            return []
        rates = self.settings.study.worth
        objectives, bases = self.settings.objectives, {**self.mean(of), **(frozen or {})}
        sigma = {name: math.sqrt(self.noise(name, bases[name]).within().variance) for name in self.settings.steering}
        return [
            axis(
                name,
                objectives[name],
                bases[name],
                sigma[name],
                constant=self.constant(name, of),
                worth=rates.get(name),
            )
            for name in self.settings.steering
        ]

    def noise(self, name: str, base: float) -> "Noise":
        """What is known of the noise of an objective, of gains over this value of the baseline's."""
        known = self._noise.get(name)
        if known is None or known.rough.base != base:
            known = self._noise[name] = Noise(self, axis(name, self.settings.objectives[name], base))
        return known

    def constant(self, name: str, of: int = 0) -> bool:
        """Whether the baseline's runs, or those of another one, agree on an objective, but for rounding."""
        values = list(self.of[of][name].values())
        return len(values) > 1 and agree(values)


class Follower:
    """A place in what changes of the runs."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self._at = 0

    def news(self) -> Iterator[int]:
        """The experiments whose values have changed since the last time, each once."""
        numbers = dict.fromkeys(self.runs.changed[self._at :])
        self._at = len(self.runs.changed)
        return iter(numbers)


class Noise:
    """The noise of one objective, in gains: within experiments, and of differences to the incumbent on equal seeds.

    What fails by as much as the baseline's value says nothing of the noise of others.
    """

    def __init__(self, runs: Runs, rough: Axis) -> None:
        self.rough = rough
        self._runs = runs
        self._within, self._pairs = Groups(), Groups()
        self._news, self._news_of_pairs = Follower(runs), Follower(runs)
        self._incumbent: int | None = None
        self._base: dict[int, float] = {}  # the gains of the incumbent's yardstick, by seed

    def within(self) -> Pool:
        """Within the runs of one experiment."""
        for number in self._news.news():
            self._within.put(number, list(self._gains(number).values()))
        return self._within.pool()

    def pairs(self, incumbent: int) -> Pool:
        """Within the differences of one experiment to the incumbent."""
        values = self._runs.yardstick(incumbent).get(self.rough.name, {})
        base = {seed: self.rough.gain(value) for seed, value in values.items()}
        numbers = set(self._news_of_pairs.news())
        if incumbent != self._incumbent:
            numbers.update(self._runs.of)
        elif base != self._base:
            moved = {seed for seed, _ in base.items() ^ self._base.items()}
            numbers.update(number for seed in moved for number in self._runs.on.get(seed, ()))
        self._incumbent, self._base = incumbent, base
        for number in numbers:
            own = {} if number == incumbent else self._gains(number)
            self._pairs.put(number, [gain - base[seed] for seed, gain in own.items() if seed in base])
        return self._pairs.pool()

    def _gains(self, number: int) -> dict[int, float]:
        values = self._runs.of.get(number, {}).get(self.rough.name, {})
        gains = {seed: self.rough.gain(value) for seed, value in values.items()}
        return gains if min(gains.values(), default=0.0) > -FAR else {}
