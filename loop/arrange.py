"""The branches that the record gives to experiments: all of them there, failed and rejected ones out of the way."""

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from loop.branches import HIDDEN, SHOWN, Branches, GitError
from store import journal
from store.database import Database
from store.records import Experiment, State


async def arrange(branches: Branches, experiments: Iterable[Experiment]) -> None:
    """Make what is missing, and hide the branches of what failed or is rejected. An engine may have died before."""
    shown, hidden = await branches.tips(), await branches.tips(HIDDEN)
    for experiment in experiments:
        there = experiment.branch in shown, experiment.branch in hidden
        if there == (False, False):
            await branches.point({experiment.branch: (experiment.commit, None)})
        if there != (False, True) and experiment.state in (State.FAILED, State.REJECTED):
            await out_of_the_way(branches, experiment)


async def admit_baseline(
    branches: Branches, database: Database, study: str, before: Experiment | None, commit: str
) -> None:
    """The unchanged code is experiment 0, and where trunk begins. Until it is measured it may begin elsewhere."""
    trunk, branch = f"cockpit/{study}/trunk", f"cockpit/{study}/e0000-baseline"
    commits = (commit, before.commit if before else None)
    await refuse_strangers(branches, study, [(name, one) for name in (trunk, branch) for one in commits])
    tree = await branches.tree(commit)
    if before is None:
        await journal.queued(database, Experiment(0, "baseline", State.QUEUED, tree, commit, branch, time.time()))
    tips = await branches.tips()
    await branches.point({name: (commit, tips.get(name)) for name in (trunk, branch)})
    if before is not None and before.commit != commit:
        await journal.baseline_moved(database, replace(before, commit=commit, tree=tree), before.commit)


async def out_of_the_way(branches: Branches, experiment: Experiment) -> None:
    """Hide a branch, unless somebody works on it, or it is the baseline's."""
    untouched = (await branches.tips()).get(experiment.branch) == experiment.commit
    if experiment.number and untouched and experiment.branch not in await branches.checked_out():
        with suppress(GitError):  # somebody has moved it since: it is theirs
            await branches.hide(experiment.branch, experiment.commit)


async def refuse_strangers(branches: Branches, study: str, known: Iterable[tuple[str, str | None]]) -> None:
    """Raises GitError where a branch has a name that this study would give, and is not a known one at a known commit.

    An earlier record of a study of the same name, now gone, leaves such.
    """
    expected = set(known)
    for where in (SHOWN, HIDDEN):
        for name, tip in (await branches.tips(where)).items():
            ours = re.fullmatch(rf"cockpit/{re.escape(study)}/(trunk|e[0-9]{{4,}}-.*)", name)
            if ours and (name, tip) not in expected:
                raise GitError(
                    f"the branch {name} is there already and stands at {tip[:7]}, which this study knows nothing of: "
                    f"keep what it holds under another name, then `git update-ref -d {where}{name}`"
                )
