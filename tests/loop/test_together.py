"""Several changes taken together onto trunk: what can be, what comes of it, and what is done where it does not hold."""

import asyncio
import signal
import time
from collections.abc import Mapping

import pytest

from loop.branches import Branches, Conflict
from loop.engine import Limits, research
from loop.obey import obey
from loop.propose.admit import Refused
from loop.propose.domain import Value
from loop.propose.edits import Edit, Rewrite, Setting
from loop.propose.functions import functions
from loop.propose.prepare import Preparation, knobs_of
from loop.stop import Stop
from loop.study import read
from store import events, views
from store.commands import answer_to, submit
from store.database import Database
from store.place import Place
from store.records import Answer, Ended, Experiment, Proposal, State, Verification
from tests.conftest import Kept, Write, git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_decisions import DIES, TRUNK, study, tree
from tests.loop.test_search import rows, until

pytestmark = pytest.mark.usefixtures("leaves_nothing")
RATE, DEPTH, MODE = "train.py:RATE", "train.py:DEPTH", "train.py:MODE"
TRAIN = """\
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 3  # cockpit: 1..8
MODE = "a"  # cockpit: a | b


def bonus():
    return 0.0


def other():
    return 0.0


if (RATE, MODE) == (0.5, "b"):
    raise ValueError("not together")
clash = 9.0 if (RATE, DEPTH) == (0.2, 5) else 0.0
print(f"loss: {3 - RATE - 0.1 * DEPTH - (MODE == 'b') - bonus() - other() + clash}")
"""
BONUS, OTHER = "def bonus():\n    return 0.25\n", "def other():\n    return 0.5\n"
# In this order: e0001, ...
MOVES: list[Mapping[str, Value] | tuple[str, str]] = [
    {RATE: 0.2}, {DEPTH: 4}, {MODE: "b"}, {RATE: 0.5}, {DEPTH: 5}, ("bonus", BONUS), ("other", OTHER),
    ("bonus", "def bonus():\n    return 0.125\n"), {RATE: 0.01},
]  # fmt: skip


async def propose(own: Preparation, what: Mapping[str, Value] | tuple[str, str]) -> Experiment | Refused:
    """As a proposer would, who turns these knobs, or writes this function anew."""
    trunk = await own.trunk()
    edit: Edit
    if isinstance(what, tuple):
        source = await own.branches.content(trunk.tree, "train.py")
        one = next(one for one in functions("train.py", source) if one.name == what[0])
        edit = Rewrite(one, what[1])
    else:
        edit = Setting(own.knobs, own.values(trunk), what).onto(own.values(trunk))
    operator = next(iter(edit.change))
    proposal = Proposal("optimiser", operator, trunk.number, edit.sentence, edit.change, time.time())
    async with own.turn:
        return await own.let_in(proposal, edit)


async def preparation(place: Place, database: Database) -> Preparation:
    branches, revision = await Branches.of(place), read(place.config)
    baseline, engine = await views.experiment(database, 0), await views.last_engine(database)
    assert baseline is not None
    assert engine is not None
    knobs = await knobs_of(place, revision, branches, baseline.tree)
    return Preparation(place, revision.settings, branches, database, knobs, 0, engine.facts["bench"])


@pytest.fixture
async def apart(write: Write, kept: Kept) -> Place:
    """A study whose experiments each change one thing, measured and judged; and no engine."""
    place = write(TRAIN, deterministic=True)
    if not kept("apart", place):
        assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
        async with await Database.open(place.folder) as database:
            own = await preparation(place, database)
            for what in MOVES:
                assert isinstance(await propose(own, what), Experiment)
        assert await research(place, Limits(experiments=1 + len(MOVES)), Stop()) is Ended.EXPERIMENTS
        kept("apart", place)
    return place


async def merge(place: Place, *numbers: int, unconfirmed: bool = True) -> Answer:
    arguments = {"experiments": list(numbers), "unconfirmed": unconfirmed}
    return await submit(place, "merge", arguments, {"trunk": (await study(place)).trunk})


async def undo(place: Place) -> Answer:
    return await submit(place, "undo", {}, {})


async def source(place: Place) -> str:
    return git(place.root, "show", f"{TRUNK}:train.py")


async def test_disjoint_knobs_and_a_function_are_merged_together_and_the_whole_is_run_once(apart: Place) -> None:
    before, head = fingerprint(apart.root), await study(apart)
    answer = await merge(apart, 1, 2, 6)
    assert answer.done, answer.text
    assert answer.text.startswith("e0001 and e0002 and e0006 merged as e0010: cockpit/tried/trunk is at ")
    text = await source(apart)
    assert ("RATE = 0.2 " in text, "DEPTH = 4 " in text, "return 0.25" in text, 'MODE = "a"' in text) == (True,) * 4
    experiments = await rows(apart)
    whole = experiments[10]
    assert (whole.state, whole.operator, whole.proposer, whole.parent) == (State.MERGED, "merge", "person", 0)
    assert whole.parents == (0, 1, 2, 6)
    assert (whole.knobs[RATE], whole.knobs[DEPTH], whole.measurements) == (0.2, 4, ())
    assert whole.verification is Verification.WAITS
    commits = git(apart.root, "rev-parse", *(f"{whole.branch}^{index}" for index in (1, 2, 3, 4))).split()
    assert commits == [experiments[number].commit for number in (0, 1, 2, 6)]
    assert git(apart.root, "rev-parse", TRUNK, f"{TRUNK}^1", f"{TRUNK}^2").split()[1:] == [head.trunk, whole.commit]
    assert [experiments[number].state for number in (1, 2, 6)] == [State.MERGED] * 3
    assert [one.number for one in experiments if one.stale(10)] == [3, 4, 5, 7, 8, 9]
    assert fingerprint(apart.root) == before

    assert await research(apart, Limits(experiments=10), Stop()) is Ended.EXPERIMENTS
    whole = (await rows(apart))[10]
    async with await Database.open(apart.folder) as database:
        runs = await views.runs(database, 10)
    assert [run.purpose for run in runs] == ["verify"]
    assert whole.state is State.MERGED
    assert whole.verdict is not None
    assert (whole.verdict.incumbent, whole.verdict.asks, whole.verdict.runs) == (0, False, 1)
    assert whole.verification is Verification.HOLDS


async def test_undo_opens_what_was_merged_together_again(apart: Place) -> None:
    head = await study(apart)
    assert (await merge(apart, 1, 2)).done
    assert (await undo(apart)).text.startswith("the merge of e0010 is undone")
    experiments = await rows(apart)
    assert {experiments[number].state for number in (1, 2)} == {State.JUDGED}
    assert not any(one.stale(0) for one in experiments)
    assert tree(apart, TRUNK) == tree(apart, head.trunk)
    again = await merge(apart, 2, 1)
    assert again.text.startswith("e0002 and e0001 merged as e0010"), "the same code is the same experiment"
    assert len(await rows(apart)) == 11


async def states(place: Place, *numbers: int) -> list[State]:
    experiments = await rows(place)
    return [experiments[number].state for number in numbers]


async def test_what_a_merge_is_made_of_follows_it_however_it_came_about(apart: Place) -> None:
    merged, open_ = State.MERGED, State.JUDGED
    assert (await merge(apart, 1)).done
    assert (await merge(apart, 3)).text.startswith("e0003 merged as e0010")
    for _ in range(2):
        assert (await undo(apart)).done
    assert await states(apart, 1, 3) == [open_, open_]
    assert (await merge(apart, 1, 3)).text.startswith("e0001 and e0003 merged as e0010")
    assert await states(apart, 1, 3) == [merged, merged]
    assert (await undo(apart)).done
    assert await states(apart, 1, 3) == [open_, open_]
    assert await research(apart, Limits(experiments=11), Stop()) is Ended.EXPERIMENTS
    assert (await merge(apart, 1)).done
    assert (await merge(apart, 10)).text.startswith("e0010 merged, with e0003: "), (
        "it has run, and was made from what trunk is"
    )
    assert await states(apart, 1, 3, 10) == [merged, merged, merged]
    for _ in range(2):
        assert (await undo(apart)).done
    assert (await merge(apart, 2)).done
    assert (await merge(apart, 10)).text.startswith("e0010 merged as e0011")
    assert await states(apart, 1, 2, 3, 10) == [open_, merged, merged, merged], (
        "e0010 changes e0001, and that is not taken"
    )
    assert (await undo(apart)).done
    assert await states(apart, 1, 2, 3, 10) == [open_, merged, open_, open_]


async def test_code_that_waits_for_its_first_run_is_not_merged_unrun(apart: Place) -> None:
    async with await Database.open(apart.folder) as database:
        assert isinstance(await propose(await preparation(apart, database), {RATE: 0.2, DEPTH: 4}), Experiment)
    said = "e0001 and e0002 on e0000 make the code of e0010, which is queued: merge that one once it has run"
    assert await merge(apart, 1, 2) == Answer(False, said)
    assert await research(apart, Limits(experiments=11), Stop()) is Ended.EXPERIMENTS
    assert (await merge(apart, 1, 2)).text.startswith("e0001 and e0002 merged as e0010")
    assert await states(apart, 1, 2, 10) == [State.MERGED] * 3
    assert (await rows(apart))[10].verification is None, "it was merged with its runs"


async def test_where_trunk_cannot_move_nothing_is_made_for_it(apart: Place) -> None:
    git(apart.root, "checkout", "-q", "cockpit/tried/trunk")
    answer = await merge(apart, 1, 2)
    assert not answer.done
    assert "is checked out" in answer.text
    assert len(await rows(apart)) == 10


async def test_several_merges_before_a_run_are_judged_against_what_was_run(apart: Place) -> None:
    assert (await merge(apart, 1, 2)).done
    assert (await merge(apart, 6)).text.startswith("e0006 merged as e0011")
    assert [one.verification for one in await rows(apart)][10:] == [Verification.WAITS] * 2
    assert await research(apart, Limits(experiments=9), Stop()) is Ended.EXPERIMENTS
    whole = (await rows(apart))[11]
    assert whole.verdict is not None
    assert (whole.verdict.incumbent, whole.verification) == (0, Verification.HOLDS)


async def test_a_stale_experiment_is_taken_onto_what_trunk_is_now(apart: Place) -> None:
    assert (await merge(apart, 1)).text.startswith("e0001 merged: ")
    assert (await rows(apart))[3].stale(1)
    assert (await merge(apart, 3)).text.startswith("e0003 merged as e0010: ")
    text = await source(apart)
    assert "RATE = 0.2 " in text
    assert 'MODE = "b"' in text
    assert (await rows(apart))[10].parents == (1, 3)
    assert (await undo(apart)).done
    assert [one.state for one in await rows(apart)][1:4:2] == [State.MERGED, State.JUDGED]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((1, 4), "e0004 moves train.py:RATE from 0.1 to 0.5, and e0001 has it at 0.2: nothing is merged"),
        (
            (6, 8),
            "e0008 changes lines of train.py that are others by now, in e0000 or by one beside it: nothing is merged",
        ),
        ((1, 77), "there is no experiment 77"),
        ((0, 1), "e0000 is the baseline: there is nothing to decide"),
        ((), "no experiment is named"),
    ],
)
async def test_what_meets_is_refused_with_where_and_nothing_changes(
    apart: Place, numbers: tuple[int, ...], said: str
) -> None:
    before = (await study(apart), git(apart.root, "for-each-ref"), len(await rows(apart)))
    answer = await merge(apart, *numbers)
    assert answer == Answer(False, said)
    assert (await study(apart), git(apart.root, "for-each-ref"), len(await rows(apart))) == before


async def test_less_than_confirmed_needs_another_word_for_each(apart: Place) -> None:
    answer = await merge(apart, 2, 9, unconfirmed=False)
    assert not answer.done
    assert answer.text.startswith("e0009 is screened, and not confirmed: worse, loss ")
    assert answer.text.endswith(". `--unconfirmed` merges it all the same")
    assert (await merge(apart, 2, 3, unconfirmed=False)).done
    assert (await merge(apart, 1, unconfirmed=False)).done, "that it is stale bars nothing"


@pytest.mark.parametrize(("numbers", "why"), [((3, 4), "crash"), ((1, 5), "worse")])
async def test_what_does_not_hold_together_is_said_and_undo_goes_back(
    apart: Place, numbers: tuple[int, ...], why: str
) -> None:
    assert (await merge(apart, *numbers)).done
    end = await research(apart, Limits(experiments=10), Stop())
    whole = (await rows(apart))[10]
    assert whole.state is State.MERGED
    assert whole.verification is Verification.FAILS
    assert why == (whole.failure or (whole.verdict and whole.verdict.word))
    assert end is (Ended.BASELINE_FAILED if whole.failure else Ended.EXPERIMENTS)
    async with await Database.open(apart.folder) as database:
        assert len(await views.runs(database, 10)) == 1
    assert (await undo(apart)).done
    experiments = await rows(apart)
    assert experiments[10].state is (State.FAILED if whole.failure else State.JUDGED)
    assert {experiments[number].state for number in numbers} == {State.JUDGED}
    assert await research(apart, Limits(experiments=11), Stop()) is Ended.EXPERIMENTS
    if whole.failure:
        answer = await merge(apart, *numbers)
        assert answer.text == "e0003 and e0004 on e0000 make the code of e0010, which is failed"


async def test_an_engine_at_work_runs_what_was_merged_before_anything_else(apart: Place) -> None:
    place = apart
    going = asyncio.create_task(research(place, Limits(experiments=20), Stop()))
    await until(place, 11, going)
    assert (await submit(place, "pause", {}, {})).done
    assert (await merge(place, 2, 7)).done
    assert (await submit(place, "resume", {}, {})).done
    assert await going is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        told = await events.events_after(database, 0)
        experiments = await views.experiments(database)
    (whole,) = [one for one in experiments if one.operator == "merge"]
    assert [one.number for one in experiments] == list(range(20)), "no number is given twice, and none left out"
    kinds = [(event.kind, event.experiment) for event in told]
    at = kinds.index(("merged", whole.number))
    assert next(event for event in told[at:] if event.kind == "running").experiment == whole.number
    later = [one for one in await rows(place) if one.parent == whole.number]
    for one in later:
        assert "return 0.5" in git(place.root, "show", f"{one.commit}:train.py")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["commands.intended", "Branches.move"])
async def test_a_merge_of_several_that_was_killed_at_any_step_is_finished_and_done_once(
    apart: Place, what: str, when: str
) -> None:
    before = (await study(apart)).trunk
    async with await Database.open(apart.folder) as database, database.transaction() as change:
        await change.insert(
            "commands", uuid="u", verb="merge", arguments={"experiments": [1, 7], "unconfirmed": True},
            expected={"trunk": before}, at=1_700_000_000.5,
        )  # fmt: skip
    status, errors = ended(DIES, apart.root, what, when)
    assert status == -signal.SIGKILL, errors
    await obey(apart)
    async with await Database.open(apart.folder) as database:
        answer = await answer_to(database, "u")
        assert answer is not None
        assert answer.done, answer.text
        assert len(await database.rows("SELECT * FROM decisions")) == 1
    experiments = await rows(apart)
    assert len(experiments) == 11
    assert git(apart.root, "rev-parse", f"{TRUNK}^1").strip() == before
    assert tree(apart, TRUNK) == experiments[10].tree == tree(apart, (await study(apart)).trunk)
    assert git(apart.root, "rev-parse", experiments[10].branch).strip() == experiments[10].commit


async def test_a_bound_on_changed_lines_refuses_before_anything_is_run(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    with place.config.open("a") as file:
        file.write("[constraints]\nchanged_lines = { max = 2 }\n")
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        refused = await propose(own, {RATE: 0.2, DEPTH: 4})
        assert isinstance(refused, Refused)
        assert str(refused) == "changed_lines 4, at most 2, against e0000"
        one, two = [await propose(own, what) for what in ({RATE: 0.2}, {DEPTH: 4})]
        assert isinstance(one, Experiment)
        assert isinstance(two, Experiment)
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    assert await merge(place, 1, 2) == Answer(
        False, "e0001 and e0002 on e0000: changed_lines 4, at most 2, against e0000"
    )


async def test_more_changed_lines_than_would_be_given_up_are_refused_before_anything_is_run(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    with place.config.open("a") as file:
        file.write('[objectives.changed_lines]\ndirection = "minimize"\nsmallest = 1\ngive_up = 2\n')
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        refused = await propose(own, {RATE: 0.2, DEPTH: 4})
        assert str(refused) == "changed_lines 4, 4 more than e0000's, and 2 would be given up for anything"
        one = await propose(own, {RATE: 0.2})
        assert isinstance(one, Experiment)
    assert [row.lines for row in await rows(place)] == [0, 2]


async def test_a_merge_runs_no_program_that_the_repository_names(write: Write) -> None:
    """Neither a driver of its configuration nor an attribute of its files or of its .git folder."""
    place = write(TRAIN)
    git(place.root, "config", "merge.own.driver", "touch ran; exit 0")
    git(place.root, "config", "merge.default", "own")
    (place.root / ".gitattributes").write_text("*.py merge=own\n")
    git(place.root, "add", "-A")
    git(place.root, "commit", "-qm", "attributes")
    (place.root / ".git" / "info").mkdir(exist_ok=True)
    (place.root / ".git" / "info" / "attributes").write_text("*.py merge=union\n")
    branches = await Branches.of(place)
    base = await branches.tree("HEAD")
    ours = await branches.tree_with(base, {"train.py": TRAIN.replace("DEPTH = 3", "DEPTH = 4").encode()})
    theirs = await branches.tree_with(base, {"train.py": TRAIN.replace("def other", "def another").encode()})
    made = (await branches.content(await branches.merged(base, ours, theirs), "train.py")).decode()
    assert "DEPTH = 4" in made
    assert "def another" in made
    other = await branches.tree_with(base, {"train.py": TRAIN.replace("DEPTH = 3", "DEPTH = 7").encode()})
    with pytest.raises(Conflict, match=r"^train[.]py$"):
        await branches.merged(base, ours, other)
    new = await branches.tree_with(base, {"new.py": b"A = 1\n", "b": b"\0\1"})
    both = await branches.merged(base, ours, new)
    assert await branches.content(both, "new.py") == b"A = 1\n"
    assert await branches.merged(base, base, ours) == await branches.merged(base, ours, base) == ours
    changed = [await branches.tree_with(new, {"b": content}) for content in (b"\0\2", b"\0\3")]
    with pytest.raises(Conflict, match=r"^b"):
        await branches.merged(new, *changed)
    with pytest.raises(Conflict, match=r"^b"):
        await branches.merged(new, ours, changed[0])  # what one has taken away, and the other changed
    assert not list(place.root.rglob("ran"))
