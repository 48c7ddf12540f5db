"""The numeric optimiser: a multi-objective tree-structured Parzen estimator over the knobs (Optuna's TPESampler).

It is the floor that is always on: it needs no model, and another proposer has to do better than it. TPE: Bergstra et
al., NeurIPS 2011; several objectives: Ozaki et al., GECCO 2020. A proposal is a function of the study's seed, its own
number and the results it is given, and of nothing else: an engine that was killed proposes the same again. The
estimator goes by the newest results and the best ones, so that a proposal takes no longer in a large study.
"""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING

from msgspec import Struct

from loop.propose.domain import Choices, Value, same
from loop.propose.space import Knob

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STARTUP = 10  # results before the estimator has enough to go by: until then a few knobs are moved at random
FEW = 0.3  # of the knobs, then: all of them moved at once is nearly always worse, and says nothing of any of them
STEP = 0.15  # the standard deviation of such a move, in ranges
REDRAWS = 3  # proposals refused in a row before it looks for anything untried, at random
COUNTED = 10_000  # values, of all knobs together: so many are gone through one by one
NEWEST, BEST = 150, 50  # experiments that the estimator goes by: it calls 25 of them good, whatever there are
LOOKS = 1_000  # random draws, where there are more: if all have been tried, the space is taken to be used up


class Tried(Struct, frozen=True):
    """What is known of one experiment: its knobs by key, and how good it was, an objective each, higher is better.

    `gains` is None for one that failed or is infeasible, which is worse than any that is neither; and for one that is
    still under way.
    """

    knobs: Mapping[str, Value]
    gains: tuple[float, ...] | None
    failed: bool = False


class Drawn(Struct, frozen=True):
    """Values for all knobs, and in a sentence where they come from."""

    knobs: dict[str, Value]
    why: str


def load() -> None:
    """Import what takes a while."""
    import_module("optuna")


def draw(
    knobs: Sequence[Knob],
    incumbent: Mapping[str, Value],
    objectives: int,
    seed: int,
    number: int,
    refused: int,
    tried: Sequence[Tried],
) -> Drawn | None:
    """Values for experiment `number`, after `refused` proposals for it in vain. None where all have been tried.

    Slow at first, for it imports Optuna: call it in a thread.
    """
    digest = hashlib.sha256(f"cockpit {seed} {number} {refused}".encode()).digest()
    own_seed = int.from_bytes(digest[:4], "big")
    known = sum(one.gains is not None for one in tried)
    if refused >= REDRAWS:
        return _untried(knobs, own_seed, tried)
    if known < STARTUP:
        return Drawn(_few(knobs, incumbent, own_seed), f"at random: the estimator begins with {STARTUP} results")
    some = _newest_and_best(tried)
    values, results = _estimated(knobs, objectives, own_seed, some), sum(one.gains is not None for one in some)
    return Drawn(values, f"by the Parzen estimator, from {results} results")


def _few(knobs: Sequence[Knob], incumbent: Mapping[str, Value], seed: int) -> dict[str, Value]:
    """The incumbent with a few knobs moved, one at least, and not far."""
    generator = random.Random(seed)
    moved = [knob for knob in knobs if generator.random() < FEW] or [generator.choice(knobs)]
    values = dict(incumbent)
    for knob in moved:
        draws = (_near(knob, incumbent[knob.key], generator) for _ in range(20))  # of two choices the other, by and by
        values[knob.key] = next((value for value in draws if not same(value, incumbent[knob.key])), incumbent[knob.key])
    return values


def _near(knob: Knob, value: Value, generator: random.Random) -> Value:
    if isinstance(knob.domain, Choices):
        return generator.choice(knob.domain.values)
    assert isinstance(value, int | float)
    return knob.domain.at(min(1.0, max(0.0, generator.gauss(knob.domain.place(value), STEP))))


def _newest_and_best(tried: Sequence[Tried]) -> list[Tried]:
    """The newest, and of the others the best: the fewest fronts ahead of it, then the most gained."""
    import moocore
    import numpy as np

    measured = [one for one in tried[:-NEWEST] if one.gains is not None]
    gains, best = np.array([one.gains for one in measured]), list[int]()
    left = np.arange(len(measured))
    while len(best) < BEST and len(left):
        front = moocore.is_nondominated(gains[left], maximise=True, keep_weakly=True)
        best += sorted(left[front], key=lambda at: -float(gains[at].sum()))
        left = left[~front]
    return [*(measured[at] for at in sorted(best[:BEST])), *tried[-NEWEST:]]


def _estimated(knobs: Sequence[Knob], objectives: int, seed: int, tried: Sequence[Tried]) -> dict[str, Value]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(n_startup_trials=0, seed=seed)
    study = optuna.create_study(directions=["maximize"] * objectives, sampler=sampler)
    ranges = {knob.key: _distribution(knob) for knob in knobs}
    states = optuna.trial.TrialState
    for one in tried:
        under_way = one.gains is None and not one.failed
        study.add_trial(
            optuna.trial.create_trial(
                state=states.RUNNING if under_way else states.COMPLETE,
                values=None if under_way else one.gains or (0.0,) * objectives,
                params={knob.key: _to_optuna(knob, one.knobs[knob.key]) for knob in knobs},
                distributions=ranges,
                constraints={"failed": 1.0 if one.failed else -1.0},  # below all that are feasible, whatever its values
            )
        )
    params = study.ask(ranges).params
    return {knob.key: _from_optuna(knob, params[knob.key]) for knob in knobs}


def _distribution(knob: Knob) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match knob.domain:
        case Choices(values):
            return CategoricalDistribution([str(index) for index in range(len(values))])
        case domain if domain.integer:
            return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
        case domain:
            return FloatDistribution(float(domain.low), float(domain.high), log=domain.log)


def _to_optuna(knob: Knob, value: Value) -> Value:
    if isinstance(knob.domain, Choices):  # by its place: Optuna takes `1` and `True` for the same
        return str(next(index for index, choice in enumerate(knob.domain.values) if same(choice, value)))
    return value


def _from_optuna(knob: Knob, value: Value) -> Value:
    if isinstance(knob.domain, Choices):
        return knob.domain.values[int(str(value))]
    assert isinstance(value, int | float)
    return knob.domain.rounded(value)


def _untried(knobs: Sequence[Knob], seed: int, tried: Sequence[Tried]) -> Drawn | None:
    """Values that have not been tried, any of them. They are short, so that equal means equal."""
    generator = random.Random(seed)
    known = {_written(one.knobs, knobs) for one in tried}
    every = [values for knob in knobs if (values := knob.domain.all_values()) is not None]
    left: list[dict[str, Value]]
    if len(every) == len(knobs) and math.prod(map(len, every)) <= COUNTED:
        rows = (dict(zip((knob.key for knob in knobs), row, strict=True)) for row in product(*every))
        left = [values for values in rows if _written(values, knobs) not in known]
    else:
        draws = ({knob.key: _uniform(knob, generator) for knob in knobs} for _ in range(LOOKS))
        left = [next((values for values in draws if _written(values, knobs) not in known), {})]
    chosen = generator.choice(left) if left else {}
    return Drawn(chosen, f"at random: {REDRAWS} proposals before it had been tried") if chosen else None


def _written(values: Mapping[str, Value], knobs: Sequence[Knob]) -> tuple[str, ...]:
    return tuple(repr(values.get(knob.key)) for knob in knobs)


def _uniform(knob: Knob, generator: random.Random) -> Value:
    if isinstance(knob.domain, Choices):
        return generator.choice(knob.domain.values)
    return knob.domain.at(generator.random())
