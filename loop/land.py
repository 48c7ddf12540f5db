"""`cockpit land`: the change of an experiment, or all of trunk's, on a new branch off the user's own.

the change is what lies between the user's commit on which it rests and its tree      (views.rests_on)
it is merged into the commit at which their branch stands, in no working tree         (_landing)
the commit of it says what was measured, and what is not known                        (_message)
a branch is made for it, beside those that there are                                  (_name)
where that is asked, the user's branch moves there, and their files with it           (forward.py)

It is a merge commit: what was measured is a commit, and one that is made again is none that anybody has measured. So
the branch has those commits as they are, and one more that says all, which `git log --first-parent` shows alone; git
knows from it what is taken, and a later merge or `cockpit sync` brings nothing twice. `--squash` makes it one commit,
and so does a branch that has lost the commit on which the study rests, for a merge would bring that back.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from loop.branches import SHOWN, Branches, Conflict
from loop.effects import References, bring_about
from loop.evidence import NotDone, measurable, measured, unconfirmed, verdict
from loop.forward import FastForward
from loop.typed import typed
from store import commands, views
from store.database import Database
from store.place import NoStudy, Place, find
from store.records import SYNC, Answer, Command, Experiment, State, name_of


class Landing(Struct, frozen=True):
    """What is taken along: an experiment's change, or trunk's. `parts` are the merges of which trunk is made."""

    place: Place
    branches: Branches
    database: Database
    one: Experiment
    commit: str
    what: str  # it is called so: `e0042`, `trunk`
    lack: str  # what is not known of it
    incumbent: int
    parts: tuple[Experiment, ...] = ()


async def land(place: Place, branches: Branches, database: Database, command: Command) -> None:
    """Make the branch, record it, and answer. Raises NotDone."""
    made = command.intent
    if made is None:
        found = await _found(place, branches, database, command)
        made = await _landing(found, command)
        await commands.intended(database, command, made)
    if made["moves"] and (why := await bring_about(database, References(branches, made["moves"]))):
        raise NotDone(why)
    if made["forward"]:
        effect = FastForward(await _there(place, branches, command), **made["forward"])
        if why := await bring_about(database, effect):
            raise NotDone(f"{made['answer'].partition(';')[0]}, and your branch stays where it is: {why}")
    await commands.landed(database, command, Answer(True, made["answer"], made["told"]), made["about"])


async def _found(place: Place, branches: Branches, database: Database, command: Command) -> Landing:
    """What is asked for, if it may be taken along. Raises NotDone."""
    study, incumbent = await views.study(database), await views.incumbent(database)
    if study is None:
        raise NotDone("the study has not begun")
    number = command.arguments.get("experiment")
    one = await views.experiment(database, incumbent if number is None else number)
    if one is None:
        raise NotDone(f"there is no experiment {number}")
    if number is None:
        if command.expected.get("trunk", study.trunk) != study.trunk:
            raise NotDone("trunk has moved since you looked: look again, then land it")
        if not one.number:
            raise NotDone("nothing is merged: trunk is e0000. `cockpit land ID` lands an experiment")
        known = {each.number: each for each in await views.these(database, await views.trunks(database))}
        parts = tuple(known[each] for each in await views.trunks(database) if each)
        lack = unconfirmed(one, incumbent)
        if not one.measurements and not command.arguments.get("unconfirmed"):
            raise NotDone(
                f"trunk is {one.id}, which is not run yet: `cockpit` goes on with it before all else. Wait for its "
                "verdict, or `--unconfirmed` lands it all the same"
            )
        return Landing(place, branches, database, one, study.trunk, "trunk", lack, incumbent, parts)
    if not one.number:
        raise NotDone("e0000 is the baseline: it changes nothing")
    seen = command.expected.get("verdicts", {}).get(str(number), one.verdict.id if one.verdict else None)
    if seen != (one.verdict.id if one.verdict else None):
        raise NotDone(f"the verdict on {one.id} has changed since you looked: {one.verdict and one.verdict.line}")
    if one.state is State.REJECTED:
        raise NotDone(f"{one.id} is rejected: `cockpit undo` takes that back, while it is the last decision")
    measurable(one)
    lack, trunks = unconfirmed(one, incumbent), await views.trunks(database)
    if one.root is not None and one.root not in trunks:
        made = f"made from {name_of(one.root)}, which is not merged any more, and whose change comes along"
        lack = f"{made}; {lack}" if lack else made
    if lack and one.state is not State.MERGED and not command.arguments.get("unconfirmed"):  # that was decided already
        raise NotDone(f"{one.id} is {lack}. `--unconfirmed` lands it all the same")
    return Landing(place, branches, database, one, one.commit, one.id, lack, incumbent, await _carried(database, one))


async def _carried(database: Database, one: Experiment) -> tuple[Experiment, ...]:
    """The experiments whose changes come along, for it was made from them."""
    found, ahead = dict[int, Experiment](), [one]
    while ahead:
        each = ahead.pop()
        for number in () if each.operator == SYNC else each.parents:
            if number and number not in found and (part := await views.experiment(database, number)):
                found[number] = part
                ahead.append(part)
    return tuple(found[number] for number in sorted(found))


async def _landing(found: Landing, command: Command) -> dict[str, Any]:
    """The commit, the moves of references, and the answer. Raises NotDone."""
    branches, head, onto = found.branches, command.arguments["head"], command.arguments.get("onto")
    rests = await views.rests_on(found.database, found.one.number)
    here = str(onto or head[:7]).removeprefix(SHOWN)
    if here.startswith(f"cockpit/{found.place.name}/") and not here.startswith(_named(found.place)):
        raise NotDone(f"{here} is a branch of the study: check your own one out, and land on that")
    theirs = await branches.tree(found.commit)
    try:
        tree = await branches.merged(rests, head, theirs)
    except Conflict as meet:
        raise NotDone(
            f"{found.what} and {here} both change {meet}: nothing is made. `git merge {found.commit[:12]}` lets you "
            "settle it by hand"
        ) from None
    if tree == await branches.tree(head) or await branches.holds(head, found.commit):
        raise NotDone(f"{here} has all that {found.what} changes: nothing is made")
    lost = not await branches.holds(head, rests)
    squash = bool(command.arguments.get("squash")) or lost
    same, as_measured = tree == theirs, tree == theirs and bool(found.one.measurements)
    runs = await typed(found.place, branches, found.database, found.one, found.commit)
    message = await _message(found, here, rests, runs, same=same)
    at = max([await branches.committed_at(one) for one in (head, found.commit)])  # so asked twice it is one commit
    commit = await branches.commit_tree(tree, [head] if squash else [head, found.commit], message, at)

    forward = None
    if command.arguments.get("forward"):
        if onto is None:
            raise NotDone("HEAD is detached: no branch could be moved. Without --fast-forward one is made")
        forward = {"branch": onto, "old": head, "new": commit}
        there = await _there(found.place, branches, command)
        if why := await FastForward(there, **forward).hindrance():
            raise NotDone(why)
    name, moves = await _name(found, commit)
    text = f"{name} is {'at' if moves else 'there already, at'} {commit[:7]}, "
    text += f"{'one commit' if squash else 'a merge'} on {here} ({head[:7]}): "
    text += f"the tree of {found.what} as it was measured" if as_measured else "a tree that was not run"
    if lost and await branches.holds(rests, head):  # it is behind, or the study began with what was not committed
        text += f"; one commit, for {rests[:7]}, on which the study rests, is not committed there"
    elif lost:
        text += f"; one commit, for {here} has lost {rests[:7]}, on which the study rests"
    text += f"; {here} and the files of {command.arguments['root']} moved there" if forward else ""
    told = {"branch": name, "commit": commit, "onto": here, "head": head, "as_measured": as_measured, "commands": runs}
    return {"moves": moves, "forward": forward, "answer": text, "told": told, "about": found.one.number}


async def _there(place: Place, branches: Branches, command: Command) -> Branches:
    """The branches as they are seen from the working tree from which it is asked. Raises NotDone."""
    root = Path(command.arguments["root"])
    try:
        there = find(root)
    except NoStudy as why:
        raise NotDone(str(why)) from None
    if there.common_dir != place.common_dir:
        raise NotDone(f"{root} is a working tree of another repository")
    return await Branches.of(there, branches.trail)


def _named(place: Place) -> str:
    """How the branches that were landed begin. They are the user's own."""
    return f"cockpit/{place.name}/land-"


async def _name(found: Landing, commit: str) -> tuple[str, dict[str, tuple[None, str]]]:
    """A branch that is free, or that stands there already; and the move that makes it."""
    first = name = f"{_named(found.place)}{found.what}"
    count = 1
    while stands := (await found.branches.references(SHOWN + name)).get(SHOWN + name):
        if stands == commit:
            return name, {}
        count += 1
        name = f"{first}-{count}"
    return name, {SHOWN + name: (None, commit)}


async def _message(found: Landing, here: str, rests: str, runs: Sequence[str], *, same: bool) -> str:
    """What a reviewer has to know: why, what was measured, how sure that is, and what is not known."""
    one, against = found.one, found.one.verdict.incumbent if found.one.verdict else 0
    of_trunk = found.what == "trunk"
    before = await views.experiment(found.database, 0 if of_trunk else against)
    lines = [f"{each.id} {each.slug}: {each.hypothesis}\n  {verdict(each, found.incumbent)}" for each in found.parts]
    how = f"The tree is that of {one.id}, as it was measured."
    if not one.measurements:
        how = f"The tree is that of {one.id}, which was not run yet." if same else "This tree was not run."
    elif not same:
        how = f"{here} has moved on from {rests[:7]}, on which {one.id} was measured: this tree was not run."
    subject = f"{found.what} of {found.place.name}" if of_trunk else f"{one.id} {one.slug}"
    with_it = "\n\nWith what it was made from:\n" if lines else ""
    body = "\n".join(lines) if of_trunk else one.hypothesis + with_it + "\n".join(lines)
    return (
        f"Land {subject}\n\n{body}\n\n{measured(one, before)}\n{how}\n\n"
        + "".join(f"    {each}\n" for each in runs)
        + "\n" * bool(runs)
        + f"Experiment: {one.id}\nCommit: {found.commit}\nAgainst: {name_of(before.number) if before else 'none'}\n"
        f"Verdict: {verdict(one, found.incumbent)}\n" + (f"Unconfirmed: {found.lack}\n" if found.lack else "")
    )
