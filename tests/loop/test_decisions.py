"""Merge, reject, undo: with an engine at work and with none, killed in between, on a trunk that is not as it was."""

import asyncio
import os
import signal

import pytest

from loop.engine import Limits, research
from loop.obey import obey
from loop.stop import Stop
from store import events, views
from store.commands import answer_to, submit
from store.database import Database
from store.place import Place, engine_pid, take_engine_lock
from store.records import Answer, Ended, Experiment, Outcome, State, Study
from tests.conftest import Kept, Write, git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_engine import KILLED
from tests.loop.test_search import TRAIN, rows, until

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRUNK = "refs/heads/cockpit/tried/trunk"


async def decide(place: Place, verb: str, number: int | None = None, **arguments: object) -> Answer:
    """As a person would, who looks before they ask."""
    about = {} if number is None else {"experiment": number, "unconfirmed": True}
    return await submit(place, verb, {**about, **arguments}, {"trunk": (await study(place)).trunk})


async def study(place: Place) -> Study:
    async with await Database.open(place.folder) as database:
        found = await views.study(database)
        assert found is not None
        return found


def tree(place: Place, name: str) -> str:
    return git(place.root, "rev-parse", f"{name}^{{tree}}").strip()


async def good(place: Place) -> list[Experiment]:
    """The experiments that can be decided on."""
    return [one for one in (await rows(place))[1:] if one.state is State.JUDGED]


@pytest.fixture
async def searched(write: Write, kept: Kept) -> Place:
    """A study of four experiments, and no engine."""
    place = write(TRAIN.replace('"a"  # cockpit: a | b | broken', '"a"  # cockpit: a | b'))
    if not kept("decided", place):
        assert await research(place, Limits(experiments=4), Stop()) is Ended.EXPERIMENTS
        kept("decided", place)
    return place


async def test_with_no_engine_alive_a_merge_moves_trunk_and_undo_brings_its_tree_back(searched: Place) -> None:
    before, head = fingerprint(searched.root), await study(searched)
    (one, *_) = await good(searched)
    assert (await decide(searched, "merge", one.number)).done
    assert engine_pid(searched.folder) is None
    merged = await study(searched)
    assert tree(searched, TRUNK) == one.tree
    assert git(searched.root, "rev-parse", TRUNK, f"{TRUNK}^1", f"{TRUNK}^2").split() == [
        merged.trunk,
        head.trunk,
        one.commit,
    ]
    body = git(searched.root, "log", "-1", "--format=%B", TRUNK)
    assert one.verdict is not None
    assert f"Verdict: {one.verdict.word}, {one.verdict.evidence}: {one.verdict.sentence}" in body
    assert f"loss: {one.measurements[0].value:.6g} (reported, n = {one.measurements[0].n}), was " in body
    assert (await rows(searched))[one.number].state is State.MERGED

    assert (await decide(searched, "undo")).done
    assert tree(searched, TRUNK) == tree(searched, head.trunk)
    assert git(searched.root, "rev-parse", f"{TRUNK}^").strip() == merged.trunk, "trunk only moves forward"
    assert (await rows(searched))[one.number].state is State.JUDGED
    assert fingerprint(searched.root) == before


async def test_a_rejected_branch_goes_out_of_the_way_and_comes_back_when_that_is_undone(searched: Place) -> None:
    (one, *_) = await good(searched)
    answer = await decide(searched, "reject", one.number, reason="not wanted")
    assert answer == Answer(True, f"{one.id} rejected: not wanted")
    assert one.id not in git(searched.root, "branch")
    assert git(searched.root, "rev-parse", one.branch).strip() == one.commit
    assert (await rows(searched))[one.number].state is State.REJECTED
    await research(searched, Limits(experiments=4), Stop())
    assert one.id not in git(searched.root, "branch")
    assert (await decide(searched, "undo")).text == f"the rejection of {one.id} is undone"
    assert one.id in git(searched.root, "branch")
    assert (await rows(searched))[one.number].state is State.JUDGED


async def test_undo_takes_back_one_decision_after_another_and_then_says_that_there_is_none(searched: Place) -> None:
    first, second, *_ = await good(searched)
    assert (await decide(searched, "merge", first.number)).done
    assert (await decide(searched, "reject", second.number)).done
    assert (await decide(searched, "undo")).text == f"the rejection of {second.id} is undone"
    assert (await decide(searched, "undo")).text.startswith(f"the merge of {first.id} is undone")
    assert await decide(searched, "undo") == Answer(False, "nothing is decided that could be undone")
    assert (await decide(searched, "merge", first.number)).done, "what was undone can be decided again"
    assert tree(searched, TRUNK) == first.tree


async def test_what_cannot_be_decided_is_refused_with_the_reason_and_changes_nothing(searched: Place) -> None:
    first, second, *_ = await good(searched)

    async def refused(said: str, verb: str, number: int | None = None, **arguments: object) -> None:
        before = (
            await study(searched),
            git(searched.root, "rev-parse", TRUNK),
            [one.state for one in await rows(searched)],
        )
        answer = await decide(searched, verb, number, **arguments)
        assert not answer.done
        assert said in answer.text
        after = (
            await study(searched),
            git(searched.root, "rev-parse", TRUNK),
            [one.state for one in await rows(searched)],
        )
        assert after == before

    assert first.verdict is not None
    how = f"{first.verdict.evidence}, and not confirmed: {first.verdict.word}"
    await refused(how, "merge", first.number, unconfirmed=False)
    await refused("e0000 is the baseline", "reject", 0)
    await refused("there is no experiment 77", "merge", 77)
    await refused("does not know how to sing", "sing")
    await decide(searched, "merge", first.number)
    await refused(f"{first.id} is merged already", "merge", first.number)
    await refused(f"{first.id} is merged, and trunk is {first.id} now", "reject", first.number)
    await refused(f", and trunk, {first.id}, has it at ", "merge", second.number)
    await decide(searched, "reject", second.number)
    await refused(f"{second.id} is rejected", "merge", second.number)


async def test_what_has_changed_since_a_person_looked_is_said(searched: Place) -> None:
    first, second, *_ = await good(searched)
    before = (await study(searched)).trunk
    await decide(searched, "merge", first.number)
    late = await submit(searched, "undo", {}, {"trunk": before})
    assert late.text.startswith("trunk has moved since you looked")
    seen = {"trunk": (await study(searched)).trunk, "verdict": 10_000}
    late = await submit(searched, "reject", {"experiment": second.number}, seen)
    assert late.text.startswith(f"the verdict on {second.id} has changed since you looked")


async def test_a_trunk_that_somebody_has_checked_out_or_moved_is_left_alone(searched: Place) -> None:
    first, *_ = await good(searched)
    git(searched.root, "checkout", "-q", "cockpit/tried/trunk")
    assert "is checked out" in (await decide(searched, "merge", first.number)).text
    git(searched.root, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = git(searched.root, "rev-parse", "HEAD").strip()
    git(searched.root, "checkout", "-q", "main")
    assert f"is at {mine[:7]}, where nobody here has put it" in (await decide(searched, "merge", first.number)).text
    assert git(searched.root, "rev-parse", TRUNK).strip() == mine


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from loop import obey
from store.place import find
from store import commands
from loop.branches import Branches
owner, name = sys.argv[2].split(".")
owner = {"commands": commands, "Branches": Branches}[owner]
real = getattr(owner, name)
async def dies(*words, **more):
    if sys.argv[3] == "after":
        await real(*words, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dies)
asyncio.run(obey.obey(find(Path(sys.argv[1]))))
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "what", ["commands.begun", "Branches.commit_tree", "commands.intended", "Branches.move", "commands.decided"]
)
async def test_a_merge_that_was_killed_at_any_step_is_finished_and_done_once(
    searched: Place, what: str, when: str
) -> None:
    (one, *_) = await good(searched)
    before = (await study(searched)).trunk
    async with await Database.open(searched.folder) as database, database.transaction() as change:
        await change.insert(
            "commands", uuid="u", verb="merge", arguments={"experiment": one.number, "unconfirmed": True},
            expected={"trunk": before}, at=1_700_000_000.5,
        )  # fmt: skip
    status, errors = ended(DIES, searched.root, what, when)
    assert status == -signal.SIGKILL, errors
    if what in ("Branches.move", "commands.decided"):  # a run ends before the next engine looks
        async with await Database.open(searched.folder) as database, database.transaction() as change:
            await change.execute("UPDATE measurements SET value = value + 0.001")
    await obey(searched)
    async with await Database.open(searched.folder) as database:
        answer = await answer_to(database, "u")
        assert answer is not None
        assert answer.done
        assert len(await database.rows("SELECT * FROM decisions")) == 1
    assert git(searched.root, "rev-parse", f"{TRUNK}^1").strip() == before
    assert tree(searched, TRUNK) == one.tree == tree(searched, (await study(searched)).trunk)


async def test_an_engine_at_work_answers_soon_and_goes_on_from_what_was_merged(write: Write) -> None:
    place = write(TRAIN.replace(" | broken", "") + "import time; time.sleep(0.2)\n")
    going = asyncio.create_task(research(place, Limits(experiments=7), Stop()))
    await until(place, 2, going)
    while not (judged := await good(place)):
        assert not going.done()
        await asyncio.sleep(0.05)
    began = asyncio.get_running_loop().time()
    assert (await decide(place, "merge", judged[0].number)).done
    assert asyncio.get_running_loop().time() - began < 5, "it was not the engine that answered"
    assert await going is Ended.EXPERIMENTS
    later = [one for one in await rows(place) if one.parent == judged[0].number]
    assert later, "nothing was made from what was merged"
    for one in later:
        assert git(place.root, "rev-parse", f"{one.commit}^").strip() == judged[0].commit
        assert one.verdict is not None
        assert one.verdict.incumbent == judged[0].number
    async with await Database.open(place.folder) as database:
        runs = await views.runs(database, judged[0].number)
    fresh = {run.seed for run in runs if run.purpose == "baseline"}
    assert len(fresh) >= 3
    assert not fresh & {run.seed for run in runs if run.purpose != "baseline"}, "what it was chosen on is no yardstick"


async def test_what_nobody_waits_for_any_more_is_withdrawn(searched: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (one, *_) = await good(searched)
    lock = take_engine_lock(searched.folder)  # an engine that lives and does not answer
    asking = asyncio.create_task(decide(searched, "merge", one.number))
    await asyncio.sleep(0.3)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    os.close(lock)
    await obey(searched)
    assert (await rows(searched))[one.number].state is State.JUDGED


async def test_a_search_with_a_decision_in_it_that_is_killed_goes_on(searched: Place) -> None:
    (one, *_) = await good(searched)
    await decide(searched, "merge", one.number)
    status, errors = ended(KILLED, searched.root, 14, "after", 6)
    assert status == -signal.SIGKILL, errors
    assert await research(searched, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    assert {row.parent for row in (await rows(searched))[4:]} <= {0, one.number}
    assert all(row.state is not State.MEASURED for row in (await rows(searched))[1:])


async def test_a_command_that_cannot_be_carried_out_stops_nothing_after_it(searched: Place) -> None:
    one, two, *_ = await good(searched)
    assert (await decide(searched, "reject", one.number, reason="caf\udce9")).text == f"{one.id} rejected: caf?"
    async with await Database.open(searched.folder) as database, database.transaction() as change:
        await change.insert(
            "commands", uuid="u", verb="reject", arguments={"experiment": two.number, "reason": ["no text"]},
            expected={"trunk": 7}, at=0.0,
        )  # fmt: skip
    assert (await decide(searched, "undo")).done
    async with await Database.open(searched.folder) as database:
        answer = await answer_to(database, "u")
    assert answer is not None
    assert not answer.done
    assert answer.text.startswith("TypeError")


async def test_undo_takes_back_what_its_person_saw_and_nothing_else(searched: Place) -> None:
    one, two, *_ = await good(searched)
    await decide(searched, "reject", one.number)
    async with await Database.open(searched.folder) as database:
        last = await views.last_decision(database)
    assert last is not None
    await decide(searched, "reject", two.number)
    late = await submit(searched, "undo", {}, {"trunk": last.trunk_after, "decision": last.id})
    assert late == Answer(False, f"since you looked something else was decided: the rejection of {two.id}")


async def test_a_branch_that_is_shown_again_is_not_also_hidden(searched: Place) -> None:
    one, *_ = await good(searched)
    await decide(searched, "reject", one.number)
    await decide(searched, "undo")
    refs = git(searched.root, "for-each-ref", "--format=%(refname)").split()
    assert f"refs/heads/{one.branch}" in refs
    assert f"refs/{one.branch}" not in refs


async def test_after_an_undo_what_was_made_from_trunk_is_judged_against_it_again(searched: Place) -> None:
    one, *_ = await good(searched)
    await decide(searched, "merge", one.number)
    await research(searched, Limits(experiments=6), Stop())
    await decide(searched, "undo")
    await research(searched, Limits(experiments=7), Stop())
    for row in await rows(searched):
        if row.parent == 0 and row.state is State.JUDGED:
            assert row.verdict is not None
            assert row.verdict.incumbent == 0


async def test_decisions_stand_over_a_change_of_bench_and_back(searched: Place) -> None:
    one, two, *_ = await good(searched)
    await decide(searched, "merge", one.number)
    await decide(searched, "reject", two.number)
    text = searched.config.read_text()
    searched.config.write_text(text.replace('"python train.py"', '"python train.py again"'))
    assert await research(searched, Limits(experiments=5), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(searched.folder) as database:
        (there,) = [event.text for event in await events.events_after(database, 0) if event.kind == "bench"][1:]
        runs = await views.runs(database, 0)
    assert ", for commands changed: the baseline and trunk are run first where they have not been, " in there
    benches = [run.bench for run in runs]
    assert benches.count(benches[-1]) == 3, "what is frozen there rests on as many runs as it did before"
    await decide(searched, "undo")  # of the rejection
    searched.config.write_text(text)
    assert await research(searched, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    after = await rows(searched)
    assert (after[one.number].state, after[two.number].state) == (State.MERGED, State.JUDGED)
    assert "is merged, and trunk is" in (await decide(searched, "reject", one.number)).text


async def test_what_is_rejected_and_fails_afterwards_is_no_point_of_the_frontier(write: Write) -> None:
    """Rejected during its race, which then crashes."""
    train = TRAIN.replace(" | broken", "") + "import time; time.sleep(0.3)\n"
    train += (
        "if (RATE, DEPTH) != (0.1, 3) and os.environ['COCKPIT_SEED'] == '13534': time.sleep(1); raise SystemExit(1)\n"
    )
    place = write(train)
    going = asyncio.create_task(research(place, Limits(experiments=8), Stop()))
    await until(place, 2, going)
    racing: list[Experiment] = []
    while not racing:
        await asyncio.sleep(0.02)
        racing = [one for one in await rows(place) if one.number and one.state is State.RUNNING and one.measurements]
    assert (await decide(place, "reject", racing[0].number)).done
    await going
    async with await Database.open(place.folder) as database:
        outcomes = [run.outcome for run in await views.runs(database, racing[0].number)]
        drawn, _ = await views.frontier(database)
    assert outcomes[-1] is Outcome.CRASH
    assert racing[0].number not in [point.experiment for point in drawn.points]
