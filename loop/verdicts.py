"""The verdicts that can be said now: each measured experiment is judged as soon as the incumbent has its seeds."""

from loop.judge import standing
from loop.judge.keeps import keeps
from loop.judge.preset import preset
from loop.schedule import ready, waiting
from loop.study import ConfigError, Revision
from loop.where import where
from store import journal, views
from store.database import Database
from store.place import Place


async def judge_what_waits(place: Place, revision: Revision, database: Database, bench: str) -> None:
    """Judge the experiments that wait for it. Raises ConfigError where an objective shows no noise and should."""
    settings = revision.settings
    rows, incumbent = await views.experiments(database), await views.incumbent(database)
    runs = await standing.known(database, settings, bench)
    if not ready(runs, incumbent):
        return
    axes = runs.axes()
    still = [axis.name for axis in axes if runs.constant(axis.name) and not axis.deterministic]
    if still and len(runs.seeds(0)) >= settings.seeds.baseline:
        raise ConfigError(_no_noise(place, revision, still[0]))
    sure = {row.number for row in rows if row.verdict and row.verdict.confirmed}
    for row in waiting(rows, runs, incumbent):
        said = await standing.verdict(database, runs, bench, row.number, incumbent)
        sure = sure - {row.number} | ({row.number} if said.confirmed else set())
        await journal.judged(database, said, keeps(runs, axes, preset(settings), sure))


def _no_noise(place: Place, revision: Revision, name: str) -> str:
    """What to do where the baseline's runs agree to the last digit: any change would look like a gain."""
    at = where(place.config, revision.text, ("objectives", name))
    direction = revision.settings.objectives[name].direction
    return (
        f"{at}: `[objectives] {name}` is the same to the last digit on every seed of the baseline, so any change of it "
        'would look like a gain. If train ignores its seed, hand it over: `[run] seed = "--seed {seed}"`, or read '
        "$COCKPIT_SEED. If it was chance, ask for more: `[seeds] baseline = 5`. If it is meant so: "
        f'`{name} = {{ direction = "{direction}", deterministic = true }}`'
    )
