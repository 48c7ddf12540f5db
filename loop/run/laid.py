"""The tree that a run executes. Protected files are the bench's: after a sync not those an experiment was made with.

The unchanged code is then the user's own commit from which on they are so: it fits them, as e0000's may not, and what
trunk has learned is held against that.
"""

from collections.abc import Mapping

from loop.branches import Branches
from loop.study import Settings
from store import views
from store.database import Database
from store.place import CONFIG
from store.records import Experiment


def protected(settings: Settings, then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files that differ and that no proposal may edit. `cockpit.toml` is read from the working tree."""
    differ = (path for path in sorted({*then, *now}) if then.get(path) != now.get(path))
    return [path for path in differ if path != CONFIG and not settings.editable(path)]


async def tree_of(
    branches: Branches, database: Database, settings: Settings, experiment: Experiment, rests: str = ""
) -> str:
    """What is checked out for a run of an experiment: its own tree, where no sync has made another bench.

    `rests` is the user's commit on which the study rests, where that is not as it is now.
    """
    rests = rests or await views.rests_on(database, await views.incumbent(database))
    own = await views.rests_on(database, experiment.number)
    if rests == own:
        return experiment.tree
    now = await branches.files(rests)
    others = protected(settings, await branches.files(own), now)
    if not others:
        return experiment.tree
    if experiment.number == 0:
        for commit in await views.synced(database):
            if not protected(settings, await branches.files(commit), now):
                return await branches.tree(commit)
    laid = [path for path in others if now.get(path, "").startswith("100") and not settings.touchable(path)]
    return await branches.tree_with(experiment.tree, await branches.contents(rests, laid))
