"""The branches that the record gives to experiments: all of them there, those of failed ones out of the way."""

import re
from collections.abc import Iterable
from contextlib import suppress

from loop.branches import HIDDEN, SHOWN, Branches, GitError
from store.records import Experiment, State


async def arrange(branches: Branches, experiments: Iterable[Experiment]) -> None:
    """Make what is missing, and hide the branches of what has failed. An engine may have died before it could."""
    shown, hidden = await branches.tips(), await branches.tips(HIDDEN)
    for experiment in experiments:
        there = experiment.branch in shown, experiment.branch in hidden
        if there == (False, False):
            await branches.point({experiment.branch: (experiment.commit, None)})
        if there != (False, True) and experiment.state is State.FAILED:
            await out_of_the_way(branches, experiment)


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
