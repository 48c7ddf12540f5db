"""How often the judge is wrong: studies of simulated runs, whose truth is known. `make bench-judging` runs the whole.

A world says how runs come about: how many objectives are noisy, how runs of equal seed correlate, how heavy the tails
of the noise are, how much noisier than the baseline a candidate may be, whether what is confirmed is merged, whether
the luckiest candidate is pinned and shares its noise with what is made from it, whether what is chosen at a quick
fidelity is confirmed at the full one, how what a candidate gains at both correlates, and how much the quick one
flatters each; and whether half of the candidates lower a deterministic cost by 1 to 30 % and lose up to four sigma of
quality. A study in it asks `loop.judge.rule.judge` of one candidate after another, and obeys. Beside it, on the same
first runs: *greedy*, which keeps whatever is better than the best so far, and *naive Pareto*, which keeps what no
single run dominates. Other rules than cockpit's stand beside it: one sigma for all candidates, and the rule as it was
first written.

No time is measured: the figures are the same on any machine. `python -m tests.bench.judging --help` says what it takes.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from itertools import count, islice, product
from random import Random

import moocore
import numpy as np
from msgspec import structs

from loop.judge.axis import Axis, axis
from loop.judge.frontier import effects
from loop.judge.noise import Groups, Pool
from loop.judge.preset import PRESETS, Preset
from loop.judge.rule import Moved, Pools, Verdict, judge
from loop.schedule import FIRST_LOOKS, fresh_seed
from loop.study import Objective
from store.records import Evidence, Word
from tests.bench import first_rule

SIGMA = 0.01  # of a run of the baseline, as a share of its value, unless told; a quality's `give_up` is 2 %
TENTH, FIVE, SPREAD = 0.1, 5.0, 0.5  # of the candidates; times as noisy; of the logarithm of sigma
CHEAPER, DEAREST = (0.01, 0.30), 4.0  # what a cost is lowered by; and the most sigmas that are lost with it
PINS = 20  # experiments later the one with the best mean of all is pinned, where any is
REAL = 0.1  # of the candidates have an effect, where any has
FULL_SEEDS = 1_000_000  # those of the full fidelity are none of the quick one's
NOTHING = Pool(0.0, 0.0, 0.0)
QUALITY = Objective(direction="maximize")
COST = axis("weights", Objective(direction="minimize", deterministic=True), 1.0)


@dataclass(frozen=True, slots=True)
class World:
    """How runs come about."""

    noisy: int = 1
    correlation: float = 0.0  # between runs of equal seed
    tails: str = "normal"  # or "t3"
    sigmas: str = "equal"  # or "log-normal", or "one in ten": of candidates
    moves: bool = False  # what is confirmed is merged
    cost: bool = False
    effect: float = 0.0  # in sigmas, on the first objective, of one candidate in ten
    sigma: float = field(default=SIGMA, repr=False)  # of the baseline's runs; the draws are the same for any
    kin: float = field(default=0.0, repr=False)  # the share of its noise that a child has of its pinned parent's
    agrees: float | None = field(default=None, repr=False)  # what is gained at both fidelities, where there are two
    flatters: float = field(default=0.0, repr=False)  # in sigmas, what each candidate seems to gain at the quick one


@dataclass(slots=True)
class Subject:
    """A simulated experiment: its true gains, and what its runs gave, by objective and seed."""

    means: list[float]
    sigma: float
    cost: float  # the gain in it
    gains: dict[str, dict[int, float]]
    parent: "Subject | None" = None  # pinned, and not trunk
    fresh: set[int] = field(default_factory=set)
    noise: dict[int, list[float]] = field(default_factory=dict)  # its own, by seed
    quick: float = 0.0  # what it gains more, or less, in each objective at the quick fidelity, where there are two
    full: dict[str, dict[int, float]] = field(default_factory=dict)  # what its runs at the full one gave

    @property
    def seeds(self) -> set[int]:
        """On which it was run."""
        return set(self.gains["q0"])

    @property
    def chosen(self) -> set[int]:
        """The seeds on which what it was made from was run, and so pinned."""
        return self.parent.seeds | self.parent.chosen if self.parent else set()


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of studies. A false confirmation claims what is not so: see `_untrue`."""

    studies: float = 1.0
    nulls: float = 0.0  # without an effect, and not rightly confirmed for a lower cost
    null_runs: float = 0.0  # the incumbent's own among them
    reals: float = 0.0
    real_runs: float = 0.0
    found: float = 0.0  # of the real ones
    confirmed: float = 0.0
    false: float = 0.0
    early: float = 0.0  # of the false ones, among the first twenty
    greedy: float = 0.0  # kept
    greedy_false: float = 0.0
    pareto: float = 0.0  # kept; here every null, and what loses, is false
    pareto_false: float = 0.0
    false_squares: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Tally)))


@dataclass(frozen=True, slots=True)
class Rule:
    """What says a verdict, from which pool of the noise, and after how many looks at experiments one is confirmed."""

    judge: Callable[..., Verdict] = judge
    pool: Callable[[Groups], Pool] = Groups.pool
    first_looks: int = FIRST_LOOKS


def one_sigma(groups: Groups) -> Pool:
    """One sigma for all, as sure as all runs make it."""
    known = groups.pool()
    return structs.replace(known, prior_df=known.df)


OURS, POOLED, FIRST = Rule(), Rule(pool=one_sigma), Rule(first_rule.judge, first_rule.pool, first_looks=1)
FIRST_PRESET = structs.replace(PRESETS["balanced"], fresh=(2, 5))


@dataclass(slots=True)
class Looked:
    """A candidate of which is known what the race says, and what it has cost."""

    number: int
    one: Subject
    real: bool
    said: Verdict
    axes: list[Axis]
    spent: int


@dataclass(slots=True)
class Study:
    """A study in a world."""

    world: World
    preset: Preset
    draw: Random
    rule: Rule = OURS
    names: list[str] = field(init=False)
    common: dict[int, list[float]] = field(default_factory=dict)  # what runs of equal seed share
    singles: list[Groups] = field(init=False)
    pairs: list[Groups] = field(init=False)
    full_singles: list[Groups] = field(init=False)
    full_pairs: list[Groups] = field(init=False)
    incumbent: Subject = field(init=False)
    number: int = 0  # the incumbent's
    chosen: set[int] = field(default_factory=set)  # the incumbent's
    taken: set[int] = field(default_factory=set)
    on: list[Subject] = field(default_factory=list)  # the frontier
    pinned: Subject | None = None
    spent: int = 0

    def __post_init__(self) -> None:
        self.preset = self.preset if self.world.agrees is None else self.preset.apart
        self.names = [f"q{index}" for index in range(self.world.noisy)]
        self.singles = [Groups() for _ in self.names]
        self.full_singles = [Groups() for _ in self.names]
        self.incumbent = self.subject([0.0] * len(self.names), 1.0, 0.0)
        self.stand(0)

    def subject(self, means: list[float], scale: float, cost: float) -> Subject:
        """One that was not run yet."""
        rows = [{name: dict[int, float]() for name in self.names} for _ in range(2)]
        return Subject(means, self.world.sigma * scale, cost, rows[0], full=rows[1])

    def stand(self, number: int) -> None:
        """The incumbent is another one: it has its baseline's seeds, and nothing is known of pairs with it."""
        self.number, self.pairs, self.taken = number, [Groups() for _ in self.names], set()
        self.full_pairs = [Groups() for _ in self.names]
        for seed in self.order():
            if len(self.incumbent.seeds) >= 3:
                break
            if seed not in self.incumbent.seeds:
                self.run(number, self.incumbent, seed)

    def order(self, one: Subject | None = None) -> Iterator[int]:
        """The incumbent's seeds, or those of one that is held against it."""
        barred = self.chosen | (one.chosen if one else set())
        return (seed for seed in count() if seed not in barred)

    def run(self, number: int, one: Subject, seed: int, *, full: bool = False) -> None:
        """A run of one."""
        self.spent += 1
        gains, singles = (one.full, self.full_singles) if full else (one.gains, self.singles)
        shared = self.common.setdefault(seed, [self.unit() for _ in self.names])
        own, both = math.sqrt(1 - self.world.correlation), math.sqrt(self.world.correlation)
        noise = self.noise_of(one, seed)
        for index, name in enumerate(self.names):
            value = one.means[index] + one.sigma * (both * shared[index] + own * noise[index])
            gains[name][seed] = value if full else value + one.quick
            singles[index].put(number, list(gains[name].values()))
        if self.world.cost:
            gains.setdefault(COST.name, {})[seed] = one.cost

    def noise_of(self, one: Subject, seed: int) -> list[float]:
        """The noise of a run that is the experiment's own, some of which may be its parent's."""
        if seed not in one.noise:
            theirs = self.noise_of(one.parent, seed) if one.parent else [0.0 for _ in self.names]
            kin = self.world.kin if one.parent else 0.0
            mixed = ((math.sqrt(kin), each, math.sqrt(1 - kin)) for each in theirs)
            one.noise[seed] = [part * each + rest * self.unit() for part, each, rest in mixed]
        return one.noise[seed]

    def unit(self) -> float:
        """Noise of variance 1."""
        z = self.draw.gauss(0, 1)
        return z if self.world.tails == "normal" else z / math.sqrt(self.draw.gammavariate(1.5, 2.0))

    def candidate(self) -> tuple[Subject, bool]:
        """The next one, and whether it has an effect."""
        world, draw = self.world, self.draw
        real, scale = bool(world.effect) and draw.random() < REAL, 1.0
        if world.sigmas == "log-normal":
            scale = math.exp(draw.gauss(0, SPREAD))
        elif world.sigmas == "one in ten":
            scale = FIVE if draw.random() < TENTH else 1.0
        means, cost = list(self.incumbent.means), self.incumbent.cost
        means[0] += world.sigma * world.effect * real
        if world.cost and draw.random() < 0.5:
            cost -= math.log(1 - draw.uniform(*CHEAPER))
            means[0] -= world.sigma * draw.uniform(0, DEAREST)
        return replace(self.subject(means, scale, cost), parent=self.pinned, quick=self.quick(means[0])), real

    def quick(self, gain: float) -> float:
        """By how much more a candidate seems to gain at the quick fidelity than at the full one, or how much less."""
        world, standing = self.world, self.incumbent.means[0]
        if world.agrees is None:
            return 0.0
        rest = math.sqrt(1 - world.agrees**2) * self.draw.gauss(0, 1)
        seems = world.agrees * (gain - standing) + world.sigma * (rest + world.flatters)
        return self.incumbent.quick + seems - (gain - standing)

    def judged(self, number: int, one: Subject, *, full: bool = False) -> tuple[Verdict, list[Axis]]:
        """The verdict on a candidate, from all that is known now."""
        pools, axes = {}, []
        own, held = (one.full, self.incumbent.full) if full else (one.gains, self.incumbent.gains)
        singles, pairs = (self.full_singles, self.full_pairs) if full else (self.singles, self.pairs)
        for index, name in enumerate(self.names):
            base = held[name]
            pairs[index].put(number, [gain - base[s] for s, gain in own[name].items() if s in base])
            pools[name] = Pools(*map(self.rule.pool, (singles[index], pairs[index])))
            axes.append(axis(name, QUALITY, 1.0, math.sqrt(pools[name].single.variance)))
        if self.world.cost:
            pools[COST.name] = Pools(NOTHING, NOTHING)
            axes.append(COST)
        if full:
            return judge(axes, own, held, [], pools, self.preset, set(own["q0"]), apart=True), axes
        others = [other.gains for other in self.on if other is not self.incumbent]
        return self.rule.judge(axes, own, held, others, pools, self.preset, one.fresh), axes

    def looked_at(self, number: int, one: Subject, *, real: bool) -> Looked:
        """A candidate is screened and raced: it is run for as long as the judge asks."""
        spent, racing = self.spent, list(islice(self.order(one), self.preset.race_seeds))
        if racing[0] not in self.incumbent.seeds:
            self.run(self.number, self.incumbent, racing[0])
        self.run(number, one, racing[0])
        said, axes = self.judged(number, one)
        while said.asks and said.evidence is not Evidence.PROMISING:
            seed = next(seed for seed in racing if seed not in one.seeds)
            if seed not in self.incumbent.seeds:
                self.run(self.number, self.incumbent, seed)
            self.run(number, one, seed)
            said, axes = self.judged(number, one)
        return Looked(number, one, real, said, axes, self.spent - spent)

    def confirmed(self, seen: Looked) -> None:
        """A candidate that is promising is run on fresh seeds, for as long as the judge asks."""
        spent, one = self.spent, seen.one
        full = self.world.agrees is not None
        while seen.said.asks and full:
            seed = next(seed for seed in count(FULL_SEEDS) if seed not in one.full["q0"])
            if seed not in self.incumbent.full["q0"]:
                self.run(self.number, self.incumbent, seed, full=True)
            self.run(seen.number, one, seed, full=True)
            seen.said, seen.axes = self.judged(seen.number, one, full=True)
        while seen.said.asks:
            beyond = islice(self.order(one), self.preset.race_seeds, None)
            seed = fresh_seed(beyond, one.seeds, one.fresh, self.taken, self.incumbent.seeds)
            one.fresh.add(seed)
            if seed not in self.incumbent.seeds:
                self.run(self.number, self.incumbent, seed)
            self.run(seen.number, one, seed)
            seen.said, seen.axes = self.judged(seen.number, one)
        self.taken |= one.fresh
        seen.spent += self.spent - spent

    def draw_frontier(self, one: Subject, axes: list[Axis]) -> None:
        """The frontier with one more."""
        self.on.append(one)
        rows = np.array([[_mean(other.gains[axis.name]) for axis in axes] for other in self.on])
        kept = moocore.is_nondominated(effects(axes, rows), maximise=True)
        self.on = [other for other, stays in zip(self.on, kept, strict=True) if stays]

    def whole(self, experiments: int) -> Tally:
        """So many candidates, one after another."""
        first, runs = [], Tally(studies=0)
        best, kept, wrong = _mean(self.incumbent.gains["q0"]), 0, 0
        luckiest: Subject | None = None
        waiting: list[Looked] = []
        for number in range(1, experiments + 1):
            one, real = self.candidate()
            waiting.append(self.looked_at(number, one, real=real))
            look = [next(iter(own.values())) for own in one.gains.values()]
            first.append((look, real))
            if look[0] > best:
                best, kept, wrong = look[0], kept + 1, wrong + (not real)
            if number >= min(self.rule.first_looks, experiments):
                held = self.number
                for seen in waiting:  # what is stale meanwhile earns no more seeds
                    runs += self.ended(seen, still=held == self.number)
                waiting.clear()
            if luckiest is None or _mean(one.gains["q0"]) > _mean(luckiest.gains["q0"]):
                luckiest = one
            if self.world.kin and not number % PINS:
                self.pinned = luckiest
        front = moocore.is_nondominated([look for look, _ in first], maximise=True)
        lucky = sum(bool(stays) and not real for stays, (_, real) in zip(front, first, strict=True))
        return replace(
            runs, studies=1, greedy=kept, greedy_false=wrong, pareto=sum(map(bool, front)), pareto_false=lucky,
            false_squares=runs.false**2,
        )  # fmt: skip

    def ended(self, seen: Looked, *, still: bool) -> Tally:
        """What came of a candidate, which is confirmed where it can be."""
        held, one = self.incumbent, seen.one
        if still:
            self.confirmed(seen)
        yes = seen.said.evidence is Evidence.CONFIRMED
        false = yes and _untrue(seen.said, seen.axes, one, held)
        if self.world.cost:
            self.draw_frontier(one, seen.axes)
        if yes and self.world.moves:
            self.chosen |= one.seeds - one.fresh
            for own in one.gains.values():
                for seed in one.seeds - one.fresh:
                    own.pop(seed, None)
            spent, self.incumbent = self.spent, one
            self.stand(seen.number)
            seen.spent += self.spent - spent
        cost, real, null = seen.spent, seen.real, not seen.real and (false or not yes)
        return Tally(
            0, null, cost * null, real, cost * real, real and yes and not false, yes, false,
            false and seen.number <= 20,
        )  # fmt: skip


def _mean(gains: Mapping[int, float]) -> float:
    return math.fsum(gains.values()) / len(gains)


def _untrue(said: Verdict, axes: Iterable[Axis], one: Subject, other: Subject) -> bool:
    """Whether a confirmed verdict claims what is not so.

    An objective is called up which is not; or all is called safe where one is worse by more than the smallest effect;
    or one is worse by more than would be given up.
    """
    for index, (own, figure) in enumerate(zip(axes, said.figures, strict=True)):
        true = one.cost - other.cost if own is COST else one.means[index] - other.means[index]
        called_up = figure.moved is Moved.UP and true <= 0
        called_safe = said.word is Word.BETTER and true < -own.smallest
        if called_up or called_safe or true < -max(own.give_up, own.smallest):
            return True
    return False


# --- many of them ----------------------------------------------------------------------------------------------------

NULLS = [
    World(noisy, correlation, tails, sigmas, moves, cost)
    for cost, noisy, sigmas, tails, correlation, moves in product(
        (False, True),
        (1, 2, 4),
        ("equal", "log-normal", "one in ten"),
        ("normal", "t3"),
        (0.0, 0.5, 0.8),
        (False, True),
    )
]
GAINS = [
    World(noisy, correlation, sigmas=sigmas, effect=effect)
    for sigmas, noisy, correlation, effect in product(
        ("equal", "log-normal"), (1, 2, 4), (0.0, 0.5, 0.8), (0.5, 1.0, 2.0, 3.0)
    )
] + [World(noisy, effect=effect, sigma=0.05) for noisy in (2, 4) for effect in (2.0, 3.0)]  # more than `give_up`
FAST_OR_STRICT = [world for world in NULLS if not world.correlation and not world.moves and world.tails == "normal"]
PINNED = [replace(world, kin=kin) for kin in (0.5, 0.9) for world in FAST_OR_STRICT if not world.cost]
EARLY = [replace(world, moves=False) for world in NULLS if not world.correlation and world.moves]
FOUND = [World(noisy, effect=effect) for noisy, effect in product((1, 2, 4), (1.0, 2.0, 3.0))]
FIDELITY = [
    World(noisy, sigmas=sigmas, moves=moves, agrees=agrees, flatters=flatters)
    for agrees, flatters in ((0.0, 0.0), (0.5, 0.0), (0.9, 0.0), (0.9, 3.0))
    for noisy, sigmas, moves in ((1, "equal", False), (1, "one in ten", False), (2, "equal", True))
]
FIDELITY_FOUND = [
    World(noisy, effect=effect, agrees=agrees)
    for noisy, effect, agrees in product((1, 2), (1.0, 2.0, 3.0), (0.5, 0.9, 1.0))
]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the whole: studies of so many experiments, by a rule and a preset."""

    worlds: Sequence[World]
    preset: Preset = PRESETS["balanced"]
    rule: Rule = OURS
    experiments: int = 300


PARTS = {
    "balanced": Part(NULLS),
    "power": Part(GAINS, experiments=100),
    "fast": Part(FAST_OR_STRICT, PRESETS["fast"]),
    "strict": Part(FAST_OR_STRICT, PRESETS["strict"]),
    "pooled": Part(FAST_OR_STRICT, rule=POOLED),
    "first": Part(FAST_OR_STRICT, FIRST_PRESET, FIRST),
    "first-power": Part(FOUND, FIRST_PRESET, FIRST, 100),
    "early": Part(EARLY, experiments=20),
    "fidelity": Part(FIDELITY),
    "fidelity-power": Part(FIDELITY_FOUND, experiments=100),
    "early-first": Part(EARLY, FIRST_PRESET, FIRST, 20),
    "pinned": Part(PINNED),
}


def studies(world: World, part: Part, number: int, pool: Executor) -> Tally:
    """What came of so many studies, each with a seed of its own."""
    jobs = ((world, part.preset, part.rule, part.experiments, seed) for seed in range(number))
    return sum(pool.map(_study, jobs, chunksize=max(1, number // 16)), Tally(studies=0))


def _study(job: tuple[World, Preset, Rule, int, int]) -> Tally:
    world, preset, rule, experiments, seed = job
    return Study(world, preset, Random(f"{seed} {world}"), rule).whole(experiments)


def _named(world: World) -> str:
    """A world in a few words."""
    return (
        f"{world.noisy} noisy, correlation {world.correlation:g}, {world.tails:6} {world.sigmas:10} "
        f"{'moves' if world.moves else 'stays'} {'cost' if world.cost else '    '}"
        + (f" sigma {world.sigma:.0%}" if world.sigma != SIGMA else "")
        + (f" kin {world.kin:g}" if world.kin else "")
        + ("" if world.agrees is None else f" quick and full agree {world.agrees:g}, quick flatters {world.flatters:g}")
    )


def _error(tally: Tally) -> float:
    """The standard error of the mean number of false confirmations."""
    mean = tally.false / tally.studies
    return math.sqrt(max(0.0, tally.false_squares / tally.studies - mean * mean) / tally.studies)


def null_line(world: World, tally: Tally, experiments: int) -> str:
    """What came of studies in which nothing is better, per 300 experiments."""
    per = 300 / experiments / tally.studies
    return (
        f"{_named(world)} | false {tally.false * per:5.2f} +- {_error(tally) * 300 / experiments:.2f}, "
        f"in the first 20 {tally.early / tally.studies * 15:5.2f}, offers {tally.confirmed * per:6.2f}, "
        f"runs a null {tally.null_runs / tally.nulls:.2f} | "
        f"greedy {tally.greedy_false * per:5.2f}, naive Pareto {tally.pareto_false * per:6.2f}"
    )


def gain_line(world: World, tally: Tally) -> str:
    """What came of studies in which one candidate in ten is better: power, and how many of what is kept are real."""

    def share(part: float, of: float) -> str:
        return f"{part / of:.2f}" if of else "   -"

    return (
        f"{_named(world)} {world.effect:g} sigma | power {share(tally.found, tally.reals)}, "
        f"keep precision {share(tally.confirmed - tally.false, tally.confirmed)}, "
        f"runs a real one {share(tally.real_runs, tally.reals)} | keep precision of greedy "
        f"{share(tally.greedy - tally.greedy_false, tally.greedy)}, "
        f"of naive Pareto {share(tally.pareto - tally.pareto_false, tally.pareto)}"
    )


def main() -> None:
    """The whole, or parts of it, a line a world as it is done."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them unless told")
    asked.add_argument("--studies", type=int, default=100, metavar="N", help="a world; 100 unless told")
    given = asked.parse_args()
    with ProcessPoolExecutor() as pool:
        for name in given.parts or PARTS:
            part = PARTS[name]
            print(f"# {name}: {given.studies} studies a world, of {part.experiments} experiments")
            for world in part.worlds:
                tally = studies(world, part, given.studies, pool)
                line = gain_line(world, tally) if world.effect else null_line(world, tally, part.experiments)
                print(line, flush=True)


if __name__ == "__main__":
    main()
