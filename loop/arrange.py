"""The branches that the record gives to experiments: all of them there, failed and rejected ones out of the way."""

import re
import time
from collections.abc import Iterable

from msgspec.structs import replace

from loop.branches import HIDDEN, SHOWN, Branches, GitError
from loop.effects import References, bring_about, carry_out
from store import journal, views
from store.database import Database
from store.records import Experiment, Moves, State


async def arrange(branches: Branches, database: Database, *numbers: int) -> None:
    """Put the branches of these experiments, or of all and trunk, where their states have them.

    One that somebody has moved or works on is theirs. Raises GitError where one is missing and cannot be made.
    """
    async with branches.turn:
        found = [await views.experiment(database, number) for number in numbers] or await views.experiments(database)
        places = [belongs(one) for one in found if one is not None]
        stand, checked_out = await branches.stand(*(name for place in places for name in place if numbers))
        if not numbers and (study := await views.study(database)):
            trunk = f"{SHOWN}cockpit/{study.name}/trunk"
            places += [] if trunk in stand else [{trunk: study.trunk}]
        for place in places:
            commit = next(filter(None, place.values()))
            wrong = {name: to for name, to in place.items() if stand.get(name) != to}
            moves = {name: (commit if name in stand else None, to) for name, to in wrong.items()}
            effect = References(branches, moves)
            if not moves or effect.hindered(stand, checked_out):
                continue
            why = await bring_about(database, effect)
            if why and not any(name in stand for name in place):
                raise GitError(why)


def belongs(experiment: Experiment) -> dict[str, str | None]:
    """Where the references of an experiment are to stand: in the list of `git branch`, or out of its way."""
    away = experiment.number > 0 and experiment.state in (State.FAILED, State.REJECTED)
    here, nowhere = (HIDDEN, SHOWN) if away else (SHOWN, HIDDEN)
    return {here + experiment.branch: experiment.commit, nowhere + experiment.branch: None}


async def admit_baseline(
    branches: Branches, database: Database, study: str, before: Experiment | None, commit: str
) -> None:
    """The unchanged code is experiment 0, and where trunk begins. Until it is measured it may begin elsewhere."""
    trunk, branch = f"cockpit/{study}/trunk", f"cockpit/{study}/e0000-baseline"
    commits = (commit, before.commit if before else None)
    await refuse_strangers(branches, study, [(name, one) for name in (trunk, branch) for one in commits])
    tree, (stand, checked_out) = await branches.tree(commit), await branches.stand()
    moves: Moves = {
        SHOWN + name: (stand.get(SHOWN + name), commit) for name in (trunk, branch) if stand.get(SHOWN + name) != commit
    }
    effect = References(branches, moves)
    if why := effect.hindered(stand, checked_out):
        raise GitError(why)
    if before is None:
        baseline = Experiment(0, "baseline", State.QUEUED, tree, commit, branch, time.time(), lines=0)
        wanted = await journal.queued(database, baseline, moves)
    elif before.commit != commit:
        moved = replace(before, commit=commit, tree=tree)
        wanted = await journal.baseline_moved(database, moved, before.commit, moves)
    else:
        return  # `arrange` makes what is missing
    if why := await carry_out(database, wanted, effect):
        raise GitError(why)


async def refuse_strangers(branches: Branches, study: str, known: Iterable[tuple[str, str | None]]) -> None:
    """Raises GitError where a branch has a name that this study would give, and is not a known one at a known commit.

    An earlier record of a study of the same name, now gone, leaves such.
    """
    expected = set(known)
    for reference, tip in (await branches.references()).items():
        name = reference.removeprefix(SHOWN).removeprefix(HIDDEN)
        ours = re.fullmatch(rf"cockpit/{re.escape(study)}/(trunk|e[0-9]{{4,}}-.*)", name)
        if ours and (name, tip) not in expected:
            raise GitError(
                f"the branch {name} is there already and stands at {tip[:7]}, which this study knows nothing of: "
                f"keep what it holds under another name, then `git update-ref -d {reference}`"
            )
