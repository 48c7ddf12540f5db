"""Effects: whatever kills an engine around one of them, the next engine has the world as it was to be, once."""

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from loop.arrange import arrange, belongs
from loop.branches import HIDDEN, SHOWN, Branches, GitError
from loop.effects import References, bring_about, carry_out, settle_references
from loop.engine import Limits, research
from loop.obey import obey
from loop.run import launch
from loop.run.launch import TAG, Command, Start
from loop.run.supervisor import state
from loop.stop import Stop
from store import commands, effects, views
from store.database import Database
from store.place import SCRATCH, Place
from store.records import REFERENCES, START, Ended, Moves, Outcome, State
from tests.conftest import Write, git
from tests.lives import begun, ended

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRUNK = SHOWN + "cockpit/tried/trunk"
TRAIN = """\
import os, time
RATE = 0.1  # cockpit: 0.001..1.0 log
if RATE != 0.1: BROKEN
print(f"loss: {RATE + int(os.environ['COCKPIT_SEED']) % 7}")
"""
# An engine, or one that answers and ends, that is killed before, after or within the n-th doing of a kind of effect.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from loop import effects
from loop.engine import Limits, research
from loop.obey import obey
from loop.run import launch
from loop.stop import Stop
from store.place import find
kind, left, when = sys.argv[2], int(sys.argv[3]), sys.argv[4]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def dying(owner, name, before):
    real = getattr(owner, name)
    async def dies(*words):
        global left
        left -= 1
        if not left and before: die()
        await real(*words)
        if not left: die()
    setattr(owner, name, dies)
if when == "within":  # the folder is filled, and nothing runs in it
    dying(launch, "start", True)
else:
    dying({"References": effects.References, "Start": launch.Start}[kind], "do", when == "before")
place = find(Path(sys.argv[1]))
asyncio.run(research(place, Limits(experiments=3), Stop()) if sys.argv[5] == "research" else obey(place))
"""


def killed(place: Place, kind: str, number: int, when: str, life: str = "research") -> None:
    status, errors = ended(KILLED, place.root, kind, number, when, life)
    assert status == -signal.SIGKILL, errors


async def all_is_as_recorded(place: Place) -> None:
    """Each branch is where it belongs, each run was made once, and no effect is left open."""
    references = await (await Branches.of(place)).references()
    async with await Database.open(place.folder) as database:
        assert await effects.unsettled(database, REFERENCES) == []
        assert await effects.unsettled(database, START) == []
        study = await views.study(database)
        assert study is not None
        assert references.pop(TRUNK) == study.trunk
        for one in await views.experiments(database):
            for name, commit in belongs(one).items():
                assert references.pop(name, None) == commit
            runs = [run for run in await views.runs(database, one.number) if run.outcome is not Outcome.INTERRUPTED]
            assert len({(run.tree, run.seed, run.purpose) for run in runs}) == len(runs) > 0
    assert references == {}
    assert not list(place.folder.glob(f"{SCRATCH}*"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 6))  # the baseline's branches; then an experiment's, and out of the way
async def test_a_reference_is_moved_once_whenever_its_engine_is_killed(write: Write, number: int, when: str) -> None:
    place = write(TRAIN.replace("BROKEN", "raise ValueError(RATE)"), deterministic=True)
    killed(place, "References", number, when)
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)
    async with await Database.open(place.folder) as database:
        assert [one.state for one in await views.experiments(database)][1:] == [State.FAILED] * 2


@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize("number", [1, 2])
async def test_a_run_is_begun_once_whenever_its_engine_is_killed(write: Write, number: int, when: str) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    killed(place, "Start", number, when)
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)
    async with await Database.open(place.folder) as database:
        runs = [run for one in await views.experiments(database) for run in await views.runs(database, one.number)]
    assert {run.attempt for run in runs} == {1}, "what was wanted is made up for, and needs no second attempt"
    assert len(list((place.folder / "runs").iterdir())) == len(runs)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["merge", "reject", "undo of a merge", "undo of a reject"])
async def test_a_decision_moves_its_references_once_whenever_its_engine_is_killed(
    write: Write, verb: str, when: str
) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    verb, _, undone = verb.partition(" of a ")
    if undone:
        await ask(place, undone)
        await obey(place)
    await ask(place, verb)
    killed(place, "References", 1, when, "obey")
    await obey(place)
    await all_is_as_recorded(place)
    async with await Database.open(place.folder) as database:
        assert len(await database.rows("SELECT * FROM decisions")) == (2 if verb == "undo" else 1)
        assert await commands.pending(database) == []


async def ask(place: Place, verb: str) -> None:
    """Ask without waiting for an answer."""
    arguments = {} if verb == "undo" else {"experiment": 1, "unconfirmed": True}
    async with await Database.open(place.folder) as database, database.transaction() as change:
        await change.insert("commands", uuid=verb, verb=verb, arguments=arguments, expected={}, at=1_700_000_000.5)


LIFE = """
import asyncio, sys
from pathlib import Path
from loop.engine import Limits, research
from loop.stop import Stop
from store.place import find
asyncio.run(research(find(Path(sys.argv[1])), Limits(experiments=6), Stop()))
"""


@pytest.mark.parametrize("seed", range(2))
async def test_a_search_that_is_killed_at_random_moments_loses_nothing_and_runs_nothing_twice(
    write: Write, seed: int
) -> None:
    place, chance = write(TRAIN.replace("BROKEN", "time.sleep(0.1)")), random.Random(seed)
    for _ in range(8):
        runs, patience = place.folder / "runs", chance.uniform(0.2, 1.6)
        before, life = set(runs.glob("*")), begun(LIFE, place.root)
        if chance.random() < 0.7:  # on a busy machine nothing would have begun yet
            patience = chance.uniform(0.0, 0.3)
            while life.is_alive() and set(runs.glob("*")) == before:
                await asyncio.sleep(0.005)
        life.join(patience)
        life.kill()
        life.join()
        life.close()
        running = [folder for folder in (place.folder / "runs").glob("*") if launch.locked(folder)]
        if running and chance.random() < 0.3:  # and its supervisor too
            launch.signal_supervisor(running[0], signal.SIGKILL)
    assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)


# --- what is not wanted any more, or not to be had -------------------------------------------------------------------


async def test_a_run_that_was_wanted_for_what_has_changed_since_is_not_begun(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"))
    killed(place, "Start", 1, "within")
    place.config.write_text(place.config.read_text().replace('"20 s"', '"30 s"'))
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)
    async with await Database.open(place.folder) as database:
        first, second = await views.runs(database, 0)
    assert (first.outcome, first.detail) == (Outcome.INTERRUPTED, "what it was to measure has changed since")
    assert (second.outcome, second.attempt) == (Outcome.OK, 2)
    assert not (place.folder / first.folder).exists(), "nothing is left of it"


async def test_a_reference_that_somebody_else_has_put_there_is_theirs(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"))
    killed(place, "References", 2, "before")
    async with await Database.open(place.folder) as database:
        branch = (await views.experiments(database))[1].branch
    head = git(place.root, "rev-parse", "HEAD").strip()
    git(place.root, "branch", branch, "HEAD")
    for _ in range(2):
        await research(place, Limits(experiments=2), Stop())
        assert git(place.root, "rev-parse", branch).strip() == head
    async with await Database.open(place.folder) as database:
        rows = await database.rows("SELECT hindrance FROM effects WHERE hindrance <> ''")
    assert f"{branch} is at {head[:7]}, where nobody here has put it" in rows[0]["hindrance"]
    assert f"`git update-ref -d {SHOWN}{branch}`" in rows[0]["hindrance"]


async def test_a_merge_that_git_refuses_is_not_done_later_when_nobody_expects_it(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    before = git(place.root, "rev-parse", TRUNK)
    (place.git_dir / f"{TRUNK}.lock").touch()
    await ask(place, "merge")
    await obey(place)
    (place.git_dir / f"{TRUNK}.lock").unlink()
    await obey(place)
    await research(place, Limits(experiments=4), Stop())
    await all_is_as_recorded(place)
    assert git(place.root, "rev-parse", TRUNK) == before
    async with await Database.open(place.folder) as database:
        answer = await commands.answer_to(database, "merge")
        assert answer is not None
        assert not answer.done
        assert "trunk.lock" in answer.text


async def test_a_branch_that_git_will_not_move_keeps_nothing_else_from_going_on(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "raise ValueError(RATE)"), deterministic=True)
    killed(place, "References", 3, "before")  # the first that is to go out of the way
    lock = place.git_dir / "packed-refs.lock"  # as `git gc` has it
    lock.touch()
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    lock.unlink()
    await research(place, Limits(experiments=3), Stop())
    await all_is_as_recorded(place)


async def test_two_that_arrange_the_same_branch_do_not_stand_in_each_others_way(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "raise ValueError(RATE)"), deterministic=True)
    await research(place, Limits(experiments=2), Stop())
    branches = await Branches.of(place)
    async with await Database.open(place.folder) as database:
        one = (await views.experiments(database))[1]
        shown, hidden = SHOWN + one.branch, HIDDEN + one.branch
        for _ in range(5):
            await branches.move({shown: (None, one.commit), hidden: (one.commit, None)})
            await asyncio.gather(*(arrange(branches, database, one.number) for _ in range(3)))
            assert hidden in await branches.references()
            assert shown not in await branches.references()


async def test_a_run_that_was_wanted_behind_a_wall_is_not_begun_without_one(
    write: Write, bwrap: str, request: pytest.FixtureRequest
) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    killed(place, "Start", 1, "before")
    request.getfixturevalue("no_wall")
    await research(place, Limits(experiments=1), Stop())
    async with await Database.open(place.folder) as database:
        first, second = await views.runs(database, 0)
    assert (first.wall, first.outcome) == ("bwrap", Outcome.INTERRUPTED)
    assert (second.wall, second.outcome) == ("none", Outcome.OK)


async def test_an_experiment_that_was_rejected_before_its_run_was_begun_is_not_run(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    killed(place, "Start", 2, "before")
    await ask(place, "reject")
    await obey(place)
    await research(place, Limits(experiments=2), Stop())
    async with await Database.open(place.folder) as database:
        (run,) = await views.runs(database, 1)
    assert (run.outcome, run.detail) == (Outcome.INTERRUPTED, "e0001 has been rejected since")


async def test_a_trunk_that_is_gone_is_made_again(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"), deterministic=True)
    for count in (1, 2):
        await research(place, Limits(experiments=count), Stop())
        git(place.root, "update-ref", "-d", TRUNK)
    await research(place, Limits(experiments=2), Stop())
    await all_is_as_recorded(place)


async def test_a_baseline_whose_trunk_is_worked_on_stays_until_that_is_over(write: Write, tmp_path: Path) -> None:
    place = write("raise SystemExit(1)")
    await research(place, Limits(experiments=1), Stop())
    git(place.root, "worktree", "add", "-q", str(tmp_path / "mine"), "cockpit/tried/trunk")
    (place.root / "train.py").write_text(TRAIN.replace("BROKEN", "pass"))
    git(place.root, "commit", "-qam", "mended")
    with pytest.raises(GitError, match="cockpit/tried/trunk is checked out"):
        await research(place, Limits(experiments=1), Stop())
    git(place.root, "worktree", "remove", str(tmp_path / "mine"))
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)


async def test_a_folder_of_a_lost_record_says_nothing_of_a_run_of_the_same_name(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"))
    await research(place, Limits(experiments=1), Stop())
    for file in place.folder.glob("record.sqlite*"):
        file.unlink()
    killed(place, "Start", 1, "before")
    (place.root / "train.py").write_text(TRAIN.replace("BROKEN", "pass") + "# mended\n")
    git(place.root, "commit", "-qam", "mended")
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        baseline = (await views.experiments(database))[0]
        runs = await views.runs(database, 0)
    assert baseline.commit == git(place.root, "rev-parse", "HEAD").strip()
    assert [run.outcome for run in runs] == [Outcome.INTERRUPTED, Outcome.OK]
    assert len(list((place.folder / "runs").glob("000001.*"))) == 1, "what the lost record had is kept"


async def test_what_git_refuses_is_tried_again_by_the_next_engine(write: Write) -> None:
    place = write(TRAIN.replace("BROKEN", "pass"))
    lock = place.git_dir / "refs" / "heads" / "cockpit" / "tried" / "trunk.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(GitError, match=r"trunk\.lock"):
        await research(place, Limits(experiments=1), Stop())
    lock.unlink()
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    await all_is_as_recorded(place)


# --- one kind after another ------------------------------------------------------------------------------------------


@pytest.fixture
async def branches(write: Write) -> Branches:
    return await Branches.of(write())


async def test_references_are_looked_at_done_and_undone_together(branches: Branches) -> None:
    head, (one, other) = await branches.commit("HEAD"), (SHOWN + "cockpit/a", HIDDEN + "cockpit/b")
    effect = References(branches, {one: (None, head), other: (None, head)})
    assert not await effect.look()
    for _ in range(2):
        await effect.do()
        assert await effect.look()
    for _ in range(2):
        await effect.undo()
        assert await branches.references() == {}
    await branches.move({one: (None, head)})
    assert not await effect.look(), "one of them is not all of them"


async def test_a_branch_that_somebody_works_on_is_not_taken_away(branches: Branches) -> None:
    head, name = await branches.commit("HEAD"), "cockpit/tried/e0001-a"
    await branches.move({SHOWN + name: (None, head)})
    git(branches.place.root, "checkout", "-q", name)
    away: Moves = {SHOWN + name: (head, None), HIDDEN + name: (None, head)}
    async with await Database.open(branches.place.folder, create=True) as database:
        assert "is checked out" in await bring_about(database, References(branches, away))
        assert await branches.references() == {SHOWN + name: head}
        git(branches.place.root, "checkout", "-q", "main")
        await settle_references(branches, database)
        assert await branches.references() == {SHOWN + name: head}, "what was hindered is not done later"
        assert await bring_about(database, References(branches, away)) == ""
        assert await branches.references() == {HIDDEN + name: head}


def start(folder: Path, program: str, mark: float = 1.0) -> Start:
    async def begin() -> None:
        folder.mkdir()
        command = Command("train", [sys.executable, "-c", program], str(folder), {TAG: str(folder)}, 20.0)
        await launch.start(folder, [command], mark)

    return Start(folder, mark, begin)


async def test_a_start_is_known_by_its_mark_and_undone_with_all_that_runs(tmp_path: Path) -> None:
    folder = tmp_path / "000001"
    effect = start(folder, "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)")
    assert not await effect.look()
    await effect.do()
    assert await effect.look()
    assert not await start(folder, "", mark=2.0).look(), "it is the run of another record"
    await effect.undo()
    assert not await effect.look()
    assert not launch.locked(folder)
    assert not folder.exists()


async def test_a_start_whose_supervisor_is_stopped_is_undone_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loop.run.launch.WORD_SECONDS", 0.5)
    effect = start(
        tmp_path / "000001", "import os, signal, time; os.kill(os.getppid(), signal.SIGSTOP); time.sleep(60)"
    )
    await effect.do()
    while (said := launch.status(effect.folder)) is None or state(said["pid"]) != "T":
        await asyncio.sleep(0.02)
    await effect.undo()
    assert not launch.locked(effect.folder)


async def test_a_start_that_is_over_is_never_made_again(tmp_path: Path) -> None:
    effect = start(tmp_path / "000001", "print('once')")
    await effect.do()
    await launch.gone(effect.folder)
    async with await Database.open(tmp_path, create=True) as database:
        async with database.transaction() as change:
            number = await effects.want(change, START, {"run": 1})
        assert await carry_out(database, number, effect) == ""
    assert (effect.folder / "train.log").read_text() == "once\n"


async def test_what_ran_under_a_name_that_is_needed_is_kept_under_another(tmp_path: Path) -> None:
    folder = tmp_path / "000001"
    earlier = start(folder, "print('earlier')")
    await earlier.do()
    await launch.gone(folder)
    await start(folder, "print('later')", mark=2.0).do()
    await launch.gone(folder)
    kept = sorted((other / "train.log").read_text() for other in tmp_path.glob("000001*"))
    assert kept == ["earlier\n", "later\n"]
