"""What is to be run next. It follows from the record alone, so an engine goes on where one that was killed has stopped.

    the incumbent    on its seeds, the second and third in turn with the first proposals
    race             what the judge asks for: a candidate on the incumbent's next seed, and the incumbent on it first
    screen           the oldest experiment that waits, on the incumbent's first seed

A study has one list of seeds, drawn from its own. The incumbent's are those of the list on which it was not chosen: a
value for which it was picked is better than it is.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from loop.judge.rule import RACE_SEEDS
from loop.judge.standing import BASELINE, RACE, SCREEN, Runs
from store.records import Experiment, State, Word


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be made."""

    experiment: Experiment
    seed: int
    purpose: str


def seeds(study_seed: int) -> Iterator[int]:
    """The seeds of a study's runs, in order: one list, drawn from the study's own seed."""
    draw, seen = random.Random(f"cockpit {study_seed}"), set[int]()
    while True:
        seed = draw.randrange(1, 1_000_000)
        if seed not in seen:
            seen.add(seed)
            yield seed


def own_seeds(study_seed: int, incumbent: int, chosen: set[int], count: int) -> list[int]:
    """The first `count` seeds of an incumbent, which was chosen on these. The baseline was not chosen at all."""
    unchosen = (seed for seed in seeds(study_seed) if not incumbent or seed not in chosen)
    return list(islice(unchosen, count))


def waiting(rows: list[Experiment], runs: Runs, incumbent: int) -> list[Experiment]:
    """The measured experiments without a verdict, or with one that does not stand any more.

    It rests on another trunk than they were made from, or on bounds that are others now.
    """

    def waits(row: Experiment) -> bool:
        said = row.verdict
        if row.state is not State.JUDGED or said is None:
            return row.state is State.MEASURED
        stale = said.incumbent != incumbent == row.parent
        return stale or runs.breach(row.number) != (said.sentence if said.word is Word.INFEASIBLE else "")

    return [row for row in rows if waits(row) and runs.whole(row.number) and row.number not in (0, incumbent)]


def next_job(
    rows: list[Experiment], runs: Runs, study_seed: int, incumbent: int, chosen: set[int], count: int | None
) -> Job | None:
    """The next run, of the first `count` experiments; None where nothing waits to be run."""
    first, wanted = rows[incumbent], runs.settings.seeds.baseline
    own = own_seeds(study_seed, incumbent, chosen if runs.noisy() else set(), max(wanted, RACE_SEEDS))
    have = runs.common(runs.yardstick(incumbent))
    lacking = [seed for seed in own if seed not in have]
    if ready(runs, incumbent):
        for row in rows:
            asks = row.state is State.JUDGED and row.verdict and row.verdict.asks and row.verdict.incumbent == incumbent
            left = [seed for seed in own[:RACE_SEEDS] if seed not in runs.seeds(row.number)]
            if asks and left:
                return Job(first, left[0], BASELINE) if left[0] not in have else Job(row, left[0], RACE)
    elif len(waiting(rows, runs, incumbent)) >= max(1, len(have)):
        return Job(first, lacking[0], BASELINE)
    for row in rows:
        if row.state is State.QUEUED and row.number and (count is None or row.number < count):
            return Job(row, own[0], SCREEN)
    if waiting(rows, runs, incumbent) and not ready(runs, incumbent):
        return Job(first, lacking[0], BASELINE)
    return None


def ready(runs: Runs, incumbent: int) -> bool:
    """Whether the incumbent has been run on as many seeds as a verdict takes; one, where no objective has any noise."""
    return len(runs.common(runs.yardstick(incumbent))) >= (runs.settings.seeds.baseline if runs.noisy() else 1)
