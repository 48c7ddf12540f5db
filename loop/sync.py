"""`cockpit sync`: what the user has committed since the study began, or was synced, is taken to trunk.

it is merged with what trunk has changed, file by file and lines by lines          (_merged)
what comes of it is an experiment of its own, and trunk as soon as it is made      (taken_along)
it is run before all else, for nobody has run that tree, as a merge of several is  (schedule.py)
protected files that are others make another bench, on which e0000 and trunk come first: `run/laid.py`

From then on the study rests on the user's newer commit (`views.rests_on`): knobs and the bench are read there, and what
is made from the new trunk lands by what it changes of that one.
"""

import time
from collections.abc import Mapping

from msgspec import Struct

from loop.branches import SHOWN, Branches, Conflict, GitError
from loop.effects import References, carry_out
from loop.evidence import NotDone
from loop.propose.prepare import Preparation, knobs_of
from loop.run import bench
from loop.run.laid import protected
from loop.study import ConfigError, Settings, read
from store import journal, views
from store.records import PERSON, SYNC, Command, Experiment, Moves, Proposal, State, name_of

LISTED = 3  # protected files that are named
ALIVE = "which an engine at work cannot change to: `cockpit stop` first, `cockpit resume` then"


class Synced(Struct, frozen=True):
    """What trunk is now, and what there is to say of that."""

    one: Experiment
    text: str
    more: str  # what follows from it


async def taken_along(own: Preparation, command: Command, trunk: str, *, alive: bool) -> Synced:
    """The experiment that has trunk's changes and the user's. `alive`: an engine is at work. Raises NotDone."""
    head, onto = command.arguments["head"], command.arguments.get("onto")
    here = str(onto or head[:7]).removeprefix(SHOWN)
    if here.startswith(f"cockpit/{own.place.name}/"):
        raise NotDone(f"{here} is a branch of the study: check your own one out, and sync that")
    baseline, incumbent = await own.experiment(0), await own.trunk()
    if not baseline.measurements:
        raise NotDone("e0000 has no measurement yet: until then the study follows your branch by itself")
    rests = await views.rests_on(own.database, incumbent.number)
    if await own.branches.holds(rests, head):  # it, or what it was before; also where a study began with changes
        raise NotDone(f"nothing new: trunk has all of {here} ({head[:7]})")
    tree = await _merged(own, here, head, rests, trunk)
    if tree == incumbent.tree:
        raise NotDone(f"nothing new: trunk has all of {here} ({head[:7]})")
    revision = read(own.place.config)
    then, now = await own.branches.files(rests), await own.branches.files(head)
    others = protected(revision.settings, then, now)
    try:
        bench.check(own.place, revision, now)
        await knobs_of(own.place, revision, own.branches, head)
        knobs = await knobs_of(own.place, revision, own.branches, tree)
    except ConfigError as why:
        raise NotDone(f"nothing is merged, for no engine could go on from there: {why}") from None
    declared = [(knob.key, str(knob.domain)) for knob in knobs] != [(knob.key, str(knob.domain)) for knob in own.knobs]
    if alive and (others or declared):
        raise NotDone(f"{here} {_changes(others)}, {ALIVE}")
    if not baseline.knobs:  # by what was declared until now: it may be declared otherwise from here on
        await journal.knobs_known(own.database, {knob.key: knob.default for knob in own.knobs})
    hypothesis = f"{here} as of {head[:7]}, which has moved on from {rests[:7]}"
    proposal = Proposal(PERSON, SYNC, incumbent.number, hypothesis, {SYNC: head, "branch": here}, command.at)
    one = await _twin(own, tree)
    if one is None:
        values = {knob.key: knob.default for knob in knobs}
        one = await _queued(own, proposal, tree, [trunk, head], values, baseline)
    more = ""
    if stale := sum(each.stale(one.number) for each in await views.experiments(own.database)):
        more += f"; {stale} open experiment{'s are' if stale > 1 else ' is'} stale"
    if others:
        more += f"; {here} {_changes(others)}, on which {here} itself, as e0000, and trunk are run first"
    return Synced(one, f"{here} ({head[:7]}) is taken to trunk as {one.id}", more)


async def moved_bench(branches: Branches, settings: Settings, old: str, new: str) -> str:
    """Why what lies between two commits on which a study may rest is another bench; nothing where it is none."""
    others = protected(settings, await branches.files(old), await branches.files(new))
    return f"it {_changes(others)}, {ALIVE}" if others else ""


def _changes(others: list[str]) -> str:
    if not others:
        return "declares its knobs otherwise"
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    return f"changes {', '.join(others[:LISTED])}{more}, protected: that is another bench"


async def _merged(own: Preparation, here: str, head: str, rests: str, trunk: str) -> str:
    """The tree of both. Where the user's branch has trunk behind it, whatever met is settled there."""
    if await own.branches.holds(head, trunk):
        return await own.branches.tree(head)
    try:
        return await own.branches.merged(rests, head, await own.branches.tree(trunk))
    except Conflict as meet:
        raise NotDone(
            f"{here} and trunk both change {meet}: nothing is merged. `git merge cockpit/{own.place.name}/trunk` into "
            f"{here} lets you settle it by hand; sync then"
        ) from None


async def _twin(own: Preparation, tree: str) -> Experiment | None:
    """An experiment that has this very tree, as one whose sync was undone. Raises NotDone where it may not be trunk."""
    one = next((one for one in await views.experiments(own.database) if one.tree == tree), None)
    if one is not None and (one.number == 0 or one.over):
        state = "the code with which the study began" if not one.number else one.state
        raise NotDone(f"what comes of it is the code of {one.id}, which is {state}: nothing is merged")
    return one


async def _queued(
    own: Preparation,
    proposal: Proposal,
    tree: str,
    parents: list[str],
    values: Mapping[str, object],
    baseline: Experiment,
) -> Experiment:
    """An experiment for it: its commit, its row, and its branch."""
    async with own.turn:
        number = await views.count(own.database)
        slug = f"sync-{proposal.change[SYNC][:7]}"
        message = (
            f"{name_of(number)} Sync {proposal.change['branch']}\n\n{proposal.hypothesis}\n\n"
            f"Experiment: {name_of(number)}\nParent: {name_of(proposal.parent)}\n"
        )
        commit = await own.branches.commit_tree(tree, parents, message, proposal.at)
        one = Experiment(
            number=number,
            slug=slug,
            state=State.QUEUED,
            tree=tree,
            commit=commit,
            branch=f"cockpit/{own.place.name}/{name_of(number)}-{slug}",
            created_at=time.time(),
            knobs=values,
            lines=await own.branches.changed_lines(baseline.tree, tree),
            parent=proposal.parent,
            root=proposal.parent,
            parents=(proposal.parent,),
            proposer=PERSON,
            operator=SYNC,
            hypothesis=proposal.hypothesis,
        )
        branch: Moves = {SHOWN + one.branch: (None, commit)}
        effect = await journal.queued(own.database, one, branch, proposal)
        if hindrance := await carry_out(own.database, effect, References(own.branches, branch)):
            raise GitError(hindrance)
        return one
