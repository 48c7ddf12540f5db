"""What is to be run next. It follows from the record alone, so an engine goes on where one that was killed has stopped.

    verify           what several changes together have made trunk, before all else
    another bench    the baseline, and what is trunk by now, before anything is held against them
    the incumbent    on its seeds, the second and third in turn with the first proposals; not on one where it failed
    race             what the judge asks for: a candidate on the incumbent's next seed, and the incumbent on it first
    confirm          the same on a fresh seed, for which nothing was chosen
    screen           the oldest experiment that waits, on the incumbent's first seed

Where there are two fidelities all of this is at quick, but for what confirms: candidate and incumbent are run in full,
on seeds of a list of its own, so that nothing there was chosen for. It is the same for all, in order: what the
incumbent has been run on in full, its next challenger is held against.

A study has one list of seeds, drawn from its own. The incumbent's are those of the list on which it was not chosen: a
value for which it was picked is better than it is. So is one for which an experiment was pinned: what is made from it
is run on the incumbent's seeds on which that was not.
"""

import random
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from itertools import islice

from msgspec import Struct

from loop.judge.preset import preset
from loop.judge.runs import BASELINE, CHALLENGE, CONFIRM, RACE, SCREEN, VERIFY, Runs
from loop.judge.standing import Standing
from store import views
from store.database import Database
from store.records import FULL, Evidence, Experiment, Outcome, State

FIRST_LOOKS = 6  # experiments are looked at before one is confirmed: the noise is known better then
INCUMBENT_RUNS = 24  # as many are enough of it: then a challenger is confirmed on seeds that it has been run on


class Job(Struct, frozen=True):
    """A run to be made."""

    experiment: Experiment
    seed: int
    purpose: str
    fidelity: str = FULL


def seeds(study_seed: int, apart: str = "") -> Iterator[int]:
    """The seeds of a study's runs, in order: one list, drawn from the study's own seed; another for what is `apart`."""
    draw, seen = random.Random(f"cockpit {study_seed}{apart and f' {apart}'}"), set[int]()
    while True:
        seed = draw.randrange(1, 1_000_000)
        if seed not in seen:
            seen.add(seed)
            yield seed


async def recorded_seed(database: Database, one: Experiment, bench: str, study_seed: int) -> int:
    """The first seed on which an experiment has a good run on a bench; before there is one, that of any first run."""
    runs = await views.incumbents_runs(database, one.number)
    good = (run.seed for run in runs if (run.outcome, run.bench, run.tree) == (Outcome.OK, bench, one.tree))
    return next(good, next(seeds(study_seed)))


async def recorded_at(database: Database, one: Experiment, bench: str, seed: int, searched: str) -> str:
    """The fidelity at which an experiment has a good run on a seed; that of the search, unless it is full alone."""
    runs = await views.incumbents_runs(database, one.number)
    found = {
        run.fidelity
        for run in runs
        if (run.outcome, run.bench, run.tree, run.seed) == (Outcome.OK, bench, one.tree, seed)
    }
    return FULL if found == {FULL} else searched


def own_seeds(study_seed: int, incumbent: int, chosen: Collection[int], spoiled: Collection[int] = ()) -> Iterator[int]:
    """The seeds of an incumbent, which was chosen on some, and has failed on others. The baseline was not chosen."""
    return (seed for seed in seeds(study_seed) if seed not in spoiled and (not incumbent or seed not in chosen))


def fresh_seed(
    beyond: Iterable[int], own: Collection[int], fresh: Collection[int], taken: Collection[int], have: Collection[int]
) -> int:
    """The next seed to confirm a candidate on, of the incumbent's beyond those of the race.

    Not one of the candidate's `own`, some of which are `fresh` ones. And not one `taken` by another candidate, so that
    the incumbent gains a run: at each challenge one, and with every seed until it has INCUMBENT_RUNS.
    """
    reuse = bool(fresh) and len(have) >= INCUMBENT_RUNS
    return next(seed for seed in beyond if seed not in own and (reuse or seed not in taken))


def next_job(stand: Standing, study_seed: int, count: int | None = None) -> Job | None:
    """The next run, of the first `count` experiments; None where nothing waits to be run."""
    runs, incumbent, rows = stand.runs, stand.incumbent, [stand.rows[number] for number in sorted(stand.open)]
    first, wanted, racing = stand.rows[incumbent], runs.settings.seeds.baseline, preset(runs.settings).race_seeds

    job = partial(Job, fidelity=runs.fidelity)

    def order(barred: Collection[int] = ()) -> tuple[list[int], Iterator[int]]:
        every = own_seeds(study_seed, incumbent, stand.chosen if runs.noisy() else (), stand.spoiled)
        left = (seed for seed in every if seed not in barred)
        return list(islice(left, max(wanted, racing))), left

    own, _ = order()
    have = runs.common(runs.yardstick(incumbent))
    lacking = [seed for seed in own if seed not in have]
    if stand.unverified:
        return job(first, own[0], VERIFY)
    if incumbent and len(good := runs.seeds(0)) < (wanted if runs.noisy() else 1):  # all that is frozen rests on these
        tried = good | stand.failed_at_first
        return job(stand.rows[0], next(seed for seed in seeds(study_seed) if seed not in tried), CHALLENGE)
    if incumbent and not have:  # on another bench, or merged for those that flatter it
        return job(first, own[0], BASELINE)
    waiting = stand.waiting()
    promising: Experiment | None = None
    if ready(runs, incumbent):
        for row in rows:
            said = row.verdict
            if row.state is not State.JUDGED or said is None or not said.asks or said.incumbent != incumbent:
                continue
            tried = runs.seeds(row.number)
            if said.evidence is Evidence.PROMISING:
                promising = promising or row
            elif left := [seed for seed in order(stand.pinned_on(row))[0][:racing] if seed not in tried]:
                return job(row, left[0], RACE) if left[0] in have else job(first, left[0], CHALLENGE)
    elif len(waiting) >= max(1, len(have)):
        return job(first, lacking[0], BASELINE)
    queued = [row for row in rows if row.state is State.QUEUED and row.number and (count is None or row.number < count)]
    if promising and (stand.looked >= FIRST_LOOKS or not queued):
        if stand.full:
            return _full_job(stand, stand.full, promising, study_seed)
        others = (number for number in runs.unchosen if number not in (promising.number, incumbent))
        taken = {seed for number in others for seed in runs.fresh(number)}
        tried, fresh = runs.seeds(promising.number), runs.fresh(promising.number)
        _, beyond = order(stand.pinned_on(promising))
        seed = fresh_seed(beyond, tried, fresh, taken, have)
        return job(promising, seed, CONFIRM) if seed in have else job(first, seed, CHALLENGE)
    if queued:
        seed = order(stand.pinned_on(queued[0]))[0][0]
        # A merged one's, on which nothing was compared yet; or of what was made from a pinned one.
        unknown = seed not in have and (seed != own[0] or ready(runs, incumbent))
        return job(first, seed, CHALLENGE) if unknown else job(queued[0], seed, SCREEN)
    if waiting and not ready(runs, incumbent):
        return job(first, lacking[0], BASELINE)
    return None


def _full_job(stand: Standing, full: Runs, promising: Experiment, study_seed: int) -> Job:
    """The next run in full by which a candidate is confirmed, or the incumbent's that it is held against."""
    barred = full.seeds(promising.number) | stand.pinned_on(promising) | stand.spoiled
    seed = next(seed for seed in seeds(study_seed, FULL) if seed not in barred)
    if seed in full.common(full.yardstick(stand.incumbent)):
        return Job(promising, seed, CONFIRM, FULL)
    return Job(stand.rows[stand.incumbent], seed, CHALLENGE, FULL)


def ready(runs: Runs, incumbent: int) -> bool:
    """Whether the incumbent has been run on as many seeds as a verdict takes; one, where no objective has any noise."""
    return len(runs.common(runs.yardstick(incumbent))) >= (runs.settings.seeds.baseline if runs.noisy() else 1)
