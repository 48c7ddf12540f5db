"""A search: proposals become branches and runs, and one that is broken off goes on as if it had not been."""

import asyncio
import signal
import sqlite3
import time
from itertools import islice

import pytest
from msgspec.structs import replace

from loop.branches import GitError
from loop.engine import Limits, research
from loop.judge.standing import Standing
from loop.schedule import seeds
from loop.stop import MachineFailed, Stop
from loop.study import ConfigError, read
from store import events, views, yields
from store.commands import submit
from store.database import Database
from store.place import RECORD, Place
from store.records import Ended, Experiment, Frontier, Outcome, Refusal, State, Word
from tests.conftest import Write, git
from tests.lives import ended
from tests.loop.test_branches import fingerprint
from tests.loop.test_engine import KILLED

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import math, os
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 3  # cockpit: 1..8
MODE = "a"  # cockpit: a | b | broken
if MODE == "broken":
    raise ValueError("no")
print(f"loss: {abs(math.log10(RATE)) + 1 / DEPTH + 0.001 * (int(os.environ['COCKPIT_SEED']) % 97)}")
print(f"weights: {DEPTH * 100}")
"""
WEIGHTS = 'weights = { direction = "minimize" }'
TEN = Limits(experiments=10)  # e0009 is the first that is broken


async def rows(place: Place) -> list[Experiment]:
    async with await Database.open(place.folder) as database:
        return await views.experiments(database)


async def until(place: Place, count: int, going: "asyncio.Task[Ended]") -> None:
    """Wait until a study has so many experiments."""
    deadline = time.monotonic() + 60
    while not (place.folder / RECORD).exists() or len(await rows(place)) < count:
        assert not going.done(), going.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_search_makes_branches_a_frontier_and_a_ledger_and_touches_nothing_of_the_users(write: Write) -> None:
    place = write(TRAIN, more=WEIGHTS, files={"README.md": "one\n"}, deterministic=True)
    (place.root / "README.md").write_text("stashed\n")
    git(place.root, "stash")
    (place.root / "README.md").write_text("edited\n")
    before = fingerprint(place.root)
    assert await research(place, TEN, Stop()) is Ended.EXPERIMENTS
    assert fingerprint(place.root) == before

    experiments = await rows(place)
    assert [one.number for one in experiments] == list(range(10))
    assert {one.state for one in experiments} == {State.MEASURED, State.JUDGED, State.FAILED}
    assert len({one.tree for one in experiments}) == 10
    shown = git(place.root, "branch", "--format=%(refname:short)").split()
    for one in experiments:
        assert git(place.root, "rev-parse", one.branch).strip() == one.commit
        assert (one.branch in shown) == (one.state is not State.FAILED)
    for one in experiments[1:]:
        assert (one.parent, one.proposer, one.operator) == (0, "optimiser", "knobs")
        body = git(place.root, "log", "-1", "--format=%B", one.commit)
        assert one.hypothesis in body
        trailers = git(place.root, "log", "-1", "--format=%(trailers:only,unfold)", one.commit).split("\n")
        assert trailers[:4] == [f"Experiment: {one.id}", "Parent: e0000", "Proposer: optimiser", "Operator: knobs"]
        assert git(place.root, "rev-parse", f"{one.commit}^").strip() == experiments[0].commit
        source = git(place.root, "show", f"{one.commit}:train.py")
        assert f"RATE = {one.knobs['train.py:RATE']!r}  #" in source
        assert f"DEPTH = {one.knobs['train.py:DEPTH']!r}  #" in source
        changed = git(place.root, "diff", "--numstat", experiments[0].commit, one.commit).split()
        assert changed[0] == changed[1], "lines were added or taken away"

    async with await Database.open(place.folder) as database:
        drawn, reference = await views.frontier(database)
        settings = read(place.config).settings
        bench = (await views.runs(database, 0))[0].bench
        stand = Standing(settings, bench)
        await stand.catch_up(database)
        drawn = replace(drawn, gains=await yields.gains(database, bench))
        assert (await stand.drawn())[0] == drawn
        assert {one.objective for one in reference} == {"loss", "weights"}
        measured = {one.number for one in experiments if one.measurements}
        assert {point.experiment for point in drawn.points} <= measured
        assert drawn.hypervolume > 1
        spent = await views.ledger(database)
        assert spent.admitted == {"optimiser": 9}
        assert {"idle: engine", "overhead", "baseline", "worse", "frontier", "failed: crash"} <= spent.by_outcome.keys()
        assert "measured" not in spent.by_outcome, "something was never judged"
        study = await views.study(database)
        assert study is not None
        (lane,) = await database.rows("SELECT * FROM lanes")
        assert spent.total["seconds"] == pytest.approx(lane["since"] - study.began_at)


async def test_the_next_proposal_is_ready_before_the_slot_is_free(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(0.6)\n", deterministic=True)
    await research(place, Limits(experiments=4), Stop())
    async with await Database.open(place.folder) as database:
        told = [(event.kind, event.experiment) for event in await events.events_after(database, 0)]
    for number in (2, 3):
        assert told.index(("queued", number)) < told.index(("stage", number - 1))


async def knobs(place: Place) -> list[dict[str, object]]:
    return [dict(one.knobs) for one in await rows(place)]


@pytest.fixture
def soon_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator, whose proposals depend on what is known, begins with four results, and goes by no more."""
    for name, count in (("STARTUP", 4), ("NEWEST", 2), ("BEST", 2)):
        monkeypatch.setattr(f"loop.propose.optimiser.{name}", count)


async def estimated(place: Place) -> int:
    """How many proposals are the estimator's."""
    return sum("by the Parzen estimator" in one.hypothesis for one in await rows(place))


@pytest.mark.usefixtures("soon_estimated")
async def test_the_same_seed_gives_the_same_proposals_and_another_one_others(write: Write) -> None:
    place = write(TRAIN.replace("0.001 *", "0 *"), deterministic=True)
    text = place.config.read_text()
    found: list[list[dict[str, object]]] = []
    for seed, count in ((0, 8), (0, 8), (1, 4)):
        place.config.write_text(text.replace('name = "tried"', f'name = "tried{len(found)}"\nseed = {seed}'))
        here = Place(place.root, place.git_dir, place.common_dir, f"tried{len(found)}")
        await research(here, Limits(experiments=count), Stop())
        found.append(await knobs(here))
        assert count < 8 or await estimated(here) > 1
    assert found[0] == found[1]
    assert found[0][:4] != found[2]


@pytest.mark.usefixtures("soon_estimated")
async def test_a_search_that_is_cut_into_pieces_proposes_what_one_that_is_not_does(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    here = Place(place.root, place.git_dir, place.common_dir, "whole")
    await research(here, Limits(experiments=9), Stop())
    for count in range(2, 10):
        await research(place, Limits(experiments=count), Stop())
    assert await knobs(place) == await knobs(here)
    assert await estimated(here) > 2


UNBROKEN: list[dict[str, object]] = []  # the knobs of a search of three that nobody kills; it is run once


@pytest.mark.parametrize("step", range(12, 40, 9))
async def test_a_search_killed_at_any_step_goes_on_as_if_it_had_not_been(write: Write, step: int) -> None:
    place = write(TRAIN)
    status, errors = ended(KILLED, place.root, step, "within", 3)
    assert status == -signal.SIGKILL, errors
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    if not UNBROKEN:
        here = Place(place.root, place.git_dir, place.common_dir, "whole")
        await research(here, Limits(experiments=3), Stop())
        UNBROKEN.extend(await knobs(here))
    assert await knobs(place) == UNBROKEN
    shown = git(place.root, "branch", "--format=%(refname:short)").split()
    async with await Database.open(place.folder) as database:
        for one in await views.experiments(database):
            runs = await views.runs(database, one.number)
            good = [(run.seed, run.purpose) for run in runs if run.outcome is not Outcome.INTERRUPTED]
            assert len(set(good)) == len(good) > 0, "run twice, or not at all"
            assert (one.branch in shown) == (one.state is not State.FAILED)
        (lane,) = await database.rows("SELECT since FROM lanes")
        spans = await database.rows("SELECT began_at, ended_at FROM spans ORDER BY id")
        assert [span["ended_at"] for span in spans] == [*(span["began_at"] for span in spans[1:]), lane["since"]]


async def test_a_space_that_is_used_up_ends_the_study_and_repeats_are_refused_rows(write: Write) -> None:
    place = write('A = 1  # cockpit: 1 | 2 | 3\nB = "x"  # cockpit: x | y\nprint("loss:", A)\n', deterministic=True)
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    experiments = await rows(place)
    assert len(experiments) == len({one.tree for one in experiments}) == 6
    async with await Database.open(place.folder) as database:
        spent = await views.ledger(database)
        refused = await database.rows("SELECT * FROM proposals WHERE refusal IS NOT NULL")
    assert spent.refused == {"optimiser": {Refusal.DUPLICATE: len(refused)}}
    assert {row["reason"].rpartition(" ")[2] for row in refused} <= {one.id for one in experiments}
    assert len(refused) > 0


async def test_an_experiment_that_kills_its_supervisor_is_booked_to_it_and_the_search_goes_on(
    write: Write, no_wall: str
) -> None:
    train = TRAIN.replace('raise ValueError("no")', "import signal; os.kill(os.getppid(), signal.SIGKILL)")
    place = write(train, deterministic=True)
    assert await research(place, TEN, Stop()) is Ended.EXPERIMENTS
    failed = [one for one in await rows(place) if one.state is State.FAILED]
    assert failed
    for one in failed:
        assert one.knobs["train.py:MODE"] == "broken"
        assert (one.failure, one.detail) == (
            Outcome.INTERRUPTED,
            "3 runs in a row were ended from outside, and not by cockpit",
        )


async def test_a_machine_that_ends_every_run_ends_the_search(write: Write, no_wall: str) -> None:
    place = write(
        TRAIN + "import signal\nif RATE != 0.1 or DEPTH != 3 or MODE != 'a': os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    with pytest.raises(MachineFailed, match="the runs of 3 experiments in a row"):
        await research(place, Limits(experiments=20), Stop())


async def first_failed(place: Place) -> Experiment:
    return next(one for one in await rows(place) if one.state is State.FAILED)


async def test_a_branch_that_somebody_works_on_is_left_where_it_is(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(0.5 if MODE == 'broken' else 0)\n", deterministic=True)
    slow = TRAIN.replace('raise ValueError("no")', 'import time; print("ready"); time.sleep(1); raise ValueError("no")')
    (place.root / "train.py").write_text(slow)
    git(place.root, "commit", "-qam", "slow")
    going = asyncio.create_task(research(place, TEN, Stop()))
    taken: Experiment | None = None
    while not going.done() and taken is None:
        await asyncio.sleep(0.05)
        for one in await rows(place) if (place.folder / RECORD).exists() else ():
            if one.knobs.get("train.py:MODE") == "broken" and one.state is State.RUNNING:
                git(place.root, "checkout", "-q", one.branch)
                taken = one
    await going
    assert taken is not None
    assert taken.branch in git(place.root, "branch")
    assert git(place.root, "rev-parse", "HEAD").strip() == taken.commit
    git(place.root, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = git(place.root, "rev-parse", "HEAD")
    git(place.root, "checkout", "-q", "main")
    await research(place, TEN, Stop())
    assert git(place.root, "rev-parse", f"refs/heads/{taken.branch}") == mine


async def test_a_branch_that_is_gone_is_made_again(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    one = (await rows(place))[1]
    git(place.root, "update-ref", "-d", f"refs/heads/{one.branch}")
    git(place.root, "update-ref", "-d", f"refs/{one.branch}")
    await research(place, Limits(experiments=3), Stop())
    assert git(place.root, "rev-parse", one.branch).strip() == one.commit


@pytest.mark.usefixtures("soon_estimated")
async def test_a_search_that_is_interrupted_twice_proposes_what_one_that_is_not_does(write: Write) -> None:
    """Where a proposal depends on what is known."""
    place = write(
        TRAIN.replace('raise ValueError("no")', "pass") + "import time; time.sleep(0.15)\n", deterministic=True
    )
    for number in (6, 7):
        stop = Stop()
        going = asyncio.create_task(research(place, Limits(experiments=9), stop))
        await until(place, number + 1, going)
        await asyncio.sleep(0.1)
        stop.ask()
        assert await going is Ended.INTERRUPTED
    await research(place, Limits(experiments=9), Stop())
    here = Place(place.root, place.git_dir, place.common_dir, "whole")
    await research(here, Limits(experiments=9), Stop())
    assert await knobs(place) == await knobs(here)
    assert await estimated(here) > 2


async def test_a_value_without_measure_is_a_bad_result_and_not_the_end(write: Write) -> None:
    place = write(
        TRAIN.replace('raise ValueError("no")', "print('loss: 1.7e308'); print('weights: -1e308'); raise SystemExit"),
        deterministic=True,
    )
    assert await research(place, TEN, Stop()) is Ended.EXPERIMENTS
    assert 1.7e308 in [one.measurements[0].value for one in await rows(place) if one.measurements]


async def test_a_hidden_branch_that_is_looked_at_stays_and_ends_nothing(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    await research(place, TEN, Stop())
    failed = await first_failed(place)
    git(place.root, "branch", failed.branch, f"refs/{failed.branch}")
    assert await research(place, TEN, Stop()) is Ended.EXPERIMENTS
    assert failed.id not in git(place.root, "branch")
    git(place.root, "checkout", "-q", "-b", failed.branch, f"refs/{failed.branch}")
    assert await research(place, TEN, Stop()) is Ended.EXPERIMENTS
    assert failed.id in git(place.root, "branch")


async def test_branches_of_a_record_that_is_gone_are_refused_by_name_before_anything_runs(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    (place.folder / RECORD).unlink()
    with pytest.raises(GitError, match=r"cockpit/tried/e0001-\S+ is there already"):
        await research(place, Limits(experiments=3), Stop())


async def test_an_annotation_in_a_protected_file_is_none_of_ours(write: Write) -> None:
    listed = '[space.knobs]\n"train.py:B" = { low = 1, high = 4 }\n'
    place = write("A = 1  # cockpit: 1..9\nB = 2\nprint('loss:', A + B)\n", more=listed, deterministic=True)
    place.config.write_text(place.config.read_text().replace('edit = ["train.py"]', ""))
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    assert sorted(one.knobs.get("train.py:B", 2) for one in await rows(place)) == [1, 2, 3, 4]


async def test_a_baseline_that_does_not_pass_its_own_gates_is_said_before_anything_runs(write: Write) -> None:
    place = write(files={".github/tune.py": "A = 1  # cockpit: 1..9\n"})
    place.config.write_text(
        place.config.read_text().replace('edit = ["train.py"]', 'edit = ["train.py", ".github/*.py"]')
    )
    with pytest.raises(ConfigError, match=r"no knob can be set: .github/tune.py belongs to git"):
        await research(place, Limits(experiments=2), Stop())


async def test_a_study_keeps_its_seed(write: Write) -> None:
    place = write(TRAIN)
    await research(place, Limits(experiments=1), Stop())
    place.config.write_text(place.config.read_text().replace('name = "tried"', 'name = "tried"\nseed = 5'))
    with pytest.raises(ConfigError, match=r"`\[study\] seed` is 5, and the study began with 0"):
        await research(place, Limits(experiments=1), Stop())
    async with await Database.open(place.folder) as database:
        lives = await database.rows("SELECT ended_by FROM engines")
        assert [row["ended_by"] for row in lives] == ["experiments"], "an engine that could not begin has no life"


async def test_what_was_measured_on_another_bench_is_measured_again_when_it_is_proposed_again(write: Write) -> None:
    place = write('A = 1  # cockpit: 1 | 2 | 3\nprint("loss:", A)\n', deterministic=True)
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    place.config.write_text(place.config.read_text().replace('"python train.py"', '"python train.py again"'))
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    experiments = await rows(place)
    assert [one.measurements[0].value for one in experiments] == [
        1,
        *(one.knobs["train.py:A"] for one in experiments[1:]),
    ]
    assert len(experiments) == 3


async def test_another_bench_begins_with_a_frontier_of_its_own(write: Write) -> None:
    place = write(TRAIN, more=WEIGHTS, deterministic=True)
    await research(place, Limits(experiments=8), Stop())
    place.config.write_text(place.config.read_text().replace(WEIGHTS, WEIGHTS.replace("minimize", "maximize")))
    await research(place, Limits(experiments=8), Stop())
    async with await Database.open(place.folder) as database:
        drawn, reference = await views.frontier(database)
    assert [point.experiment for point in drawn.points] == [0]
    assert drawn.hypervolume == pytest.approx(1)
    assert [one.direction for one in reference] == ["minimize", "maximize"]


async def test_what_breaks_a_bound_is_infeasible_until_the_bound_is_another_one(write: Write) -> None:
    """The loss falls with each layer, and so would be better."""
    bound = "[constraints]\nweights = { max = 300 }\n"
    place = write(TRAIN.replace(" | broken", ""), more=bound)
    assert await research(place, Limits(experiments=10), Stop()) is Ended.EXPERIMENTS
    first = await rows(place)
    deep = [one for one in first if one.knobs.get("train.py:DEPTH", 3) > 3]
    assert deep, "none has more layers"
    async with await Database.open(place.folder) as database:
        drawn, _ = await views.frontier(database)
        assert drawn.points
        assert not {point.experiment for point in drawn.points} & {one.number for one in deep}
        assert (await views.ledger(database)).by_outcome["infeasible"]["seconds"] > 0
        runs = await views.run_count(database)
    for one in first[1:]:
        assert one.verdict is not None
        assert (one.verdict.word is Word.INFEASIBLE) == (one in deep)
    for one in deep:
        weights = next(m for m in one.measurements if m.objective == "weights")
        assert one.verdict is not None
        assert one.verdict.sentence == f"weights {weights.value:g}, at most 300; 1 seed"
        assert (weights.n, one.verdict.asks, list(one.verdict.figures)) == (1, False, ["loss"])
    refused = await submit(place, "merge", {"experiment": deep[0].number, "unconfirmed": True}, {})
    assert not refused.done
    assert refused.text.startswith(f"{deep[0].id} is infeasible: weights ")

    place.config.write_text(place.config.read_text().replace(bound, bound.replace("300", "10_000") + "loss.max = 9\n"))
    assert await research(place, Limits(experiments=10), Stop()) is Ended.EXPERIMENTS
    then = await rows(place)
    assert all(one.verdict and one.verdict.word is not Word.INFEASIBLE for one in then[1:])
    async with await Database.open(place.folder) as database:
        drawn, _ = await views.frontier(database)
        assert {point.experiment for point in drawn.points} & {one.number for one in deep}
        assert len({run.bench for run in await views.runs(database, 0)}) == 1
        assert await views.run_count(database) > runs, "what is feasible now has earned no further seed"
    place.config.write_text(place.config.read_text().replace("loss.max = 9", "loss.max = 0.01"))
    await research(place, Limits(experiments=10), Stop())
    async with await Database.open(place.folder) as database:
        assert (await views.frontier(database))[0] == Frontier((), 0.0)
    assert all(one.verdict and one.verdict.word is Word.INFEASIBLE for one in (await rows(place))[1:])


async def test_knobs_may_be_listed_and_their_bounds_may_change_between_starts(write: Write) -> None:
    plain = TRAIN.replace("  # cockpit: 0.001..1.0 log", "").replace("  # cockpit: 1..8", "")
    listed = '[space.knobs]\n"train.py:RATE" = { low = LOW, high = 1.0, scale = "log" }\n[data]\n'
    place = write(plain, more=listed.replace("LOW", "0.001"), deterministic=True)
    await research(place, Limits(experiments=6), Stop())
    place.config.write_text(place.config.read_text().replace("0.001", "0.05"))
    await research(place, Limits(experiments=14), Stop())
    later = (await rows(place))[6:]
    assert all(one.knobs["train.py:RATE"] >= 0.05 for one in later)


async def test_what_begins_to_steer_is_an_axis_and_what_no_longer_does_is_none(write: Write) -> None:
    more = 'weights = { direction = "minimize", steers = false }'
    place = write(TRAIN, more=more)
    await research(place, Limits(experiments=5), Stop())
    text = place.config.read_text()
    place.config.write_text(text.replace(", steers = false", ""))
    await research(place, Limits(experiments=7), Stop())
    async with await Database.open(place.folder) as database:
        drawn, reference = await views.frontier(database)
        assert [one.objective for one in reference] == ["loss", "weights"]
        assert len({run.bench for run in await views.runs(database, 0)}) == 1
    place.config.write_text(text)
    await research(place, Limits(experiments=7), Stop())
    async with await Database.open(place.folder) as database:
        again, reference = await views.frontier(database)
        assert [one.objective for one in reference] == ["loss"]
    assert len(again.points) == 1 < len(drawn.points)


async def test_no_more_than_were_asked_for_are_run_though_one_is_queued(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(0.2)\n", deterministic=True)
    stop = Stop()
    going = asyncio.create_task(research(place, Limits(experiments=9), stop))
    await until(place, 4, going)
    stop.ask()
    await going
    before = await rows(place)
    assert [one.state for one in before][-1] is State.QUEUED
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert (await rows(place))[-1] == before[-1]
    assert await research(place, Limits(experiments=len(before)), Stop()) is Ended.EXPERIMENTS
    assert all(one.state is not State.QUEUED for one in await rows(place))


BEFORE_VERSION_11 = ("DROP TABLE agreement",)
BEFORE_VERSION_10 = (*BEFORE_VERSION_11, "ALTER TABLE experiments DROP COLUMN lines")
BEFORE_VERSION_9 = (*BEFORE_VERSION_10, "ALTER TABLE proposals DROP COLUMN trunk", "DROP INDEX verdicts_shown")
BEFORE_VERSION_8 = (
    *BEFORE_VERSION_9,
    *(f"DROP TABLE {name}" for name in ("gains", "lifts", "offers", "taken")),
    *(f"ALTER TABLE stages DROP COLUMN {name}" for name in ("energy_joules", "peak_device_bytes")),
    "DROP INDEX verdicts_confirmed",
)
BEFORE_VERSION_7 = (
    *BEFORE_VERSION_8,
    "DROP VIEW outcomes",
    *(f"DROP TABLE {name}" for name in ("limits", "returns")),
    *(
        f"DROP INDEX {name}"
        for name in (
            "spans_call",
            "calls_open",
            "calls_lately",
            "runs_good",
            "runs_lately",
            "decisions_experiment",
            "progress_at",
            "spans_gaps",
        )
    ),
    *(
        f"ALTER TABLE {name.replace('.', ' DROP COLUMN ')}"
        for name in (
            "runs.devices",
            "lanes.waits",
            "lanes.used",
            "spans.outcome",
            "totals.spans",
            "frontier.probability",
            "progress.optimistic",
            "progress.tokens",
        )
    ),
)


@pytest.mark.parametrize("measured", [False, True])
async def test_a_record_of_the_first_version_goes_on(write: Write, measured: bool) -> None:
    """As the first version left it: without what the second one's part adds, the baseline queued or measured."""
    place = write(TRAIN)
    await research(place, Limits(experiments=1), Stop())
    with sqlite3.connect(place.folder / RECORD) as old:
        for statement in BEFORE_VERSION_7:
            old.execute(statement)
        for table in (
            "keeps",
            "calls",
            "effects",
            "decisions",
            "commands",
            "verdicts",
            "totals",
            "spend",
            "spans",
            "lanes",
            "progress",
            "frontier",
            "reference",
            "parents",
            "proposals",
        ):
            old.execute(f"DROP TABLE {table}")
        old.execute("ALTER TABLE experiments DROP COLUMN knobs")
        later = ", ".join(f"'$.{fact}'" for fact in ("knobs", "steering", "no_wall", "model_host", "model_why"))
        old.execute(f"UPDATE engines SET facts = json_remove(facts, {later})")
        old.execute("PRAGMA user_version = 1")
        if not measured:
            old.execute("DELETE FROM measurements")
            old.execute("DELETE FROM stages")
            old.execute("DELETE FROM runs")
            old.execute("UPDATE experiments SET state = 'queued'")
    assert len(await rows(place)) == 1
    assert await research(place, Limits(experiments=4), Stop()) is Ended.EXPERIMENTS
    assert len(await rows(place)) == 4
    async with await Database.open(place.folder) as database:
        assert (await views.frontier(database))[1]
        seeds = [run.seed for run in await views.runs(database, 0)]
        assert len(set(seeds)) == len(seeds) >= 3


async def test_a_record_of_the_version_before_the_model_goes_on(write: Write) -> None:
    place = write(TRAIN, deterministic=True)
    await research(place, Limits(experiments=3), Stop())
    async with await Database.open(place.folder) as database:
        before = await views.ledger(database)
    with sqlite3.connect(place.folder / RECORD) as old:
        for statement in BEFORE_VERSION_7:
            old.execute(statement)
        old.execute("DROP TABLE keeps")
        old.execute("ALTER TABLE verdicts DROP COLUMN explanation")
        old.execute("DROP TABLE calls")
        old.execute("ALTER TABLE spans DROP COLUMN call")
        old.execute("PRAGMA user_version = 4")
    async with await Database.open(place.folder) as database:
        after = await views.ledger(database)
        for outcome, amounts in before.by_outcome.items():
            assert after.by_outcome.pop(outcome) == pytest.approx(amounts)
        assert not after.by_outcome
        assert after.total == pytest.approx(before.total)
    assert await research(place, Limits(experiments=5), Stop()) is Ended.EXPERIMENTS
    assert len(await rows(place)) == 5


NOISE = """\
import os, random
RATE = 0.01  # cockpit: 0.0001..0.1 log
WIDTH = 64  # cockpit: 16..256
draw = random.Random(f"{os.environ['COCKPIT_SEED']} {RATE} {WIDTH}")
print(f"loss: {1 + 0.05 * draw.gauss(0, 1)}")
print(f"latency: {100 + 2 * draw.gauss(0, 1)}")
"""


async def test_in_a_study_of_nothing_but_noise_nothing_is_better(write: Write) -> None:
    place = write(NOISE, more='latency = { direction = "minimize" }')
    await research(place, Limits(experiments=24), Stop())
    verdicts = [one.verdict for one in (await rows(place))[1:]]
    assert all(verdicts), "something was never judged"
    words = [said.word for said in verdicts if said]
    assert not {Word.BETTER, Word.GAIN, Word.TRADE_OFF} & set(words)


async def test_the_baselines_seeds_come_in_turn_with_the_first_proposals_and_verdicts_wait_for_them(
    write: Write,
) -> None:
    place = write(TRAIN)
    await research(place, Limits(experiments=5), Stop())
    async with await Database.open(place.folder) as database:
        told = [event for event in await events.events_after(database, 0) if event.kind in ("running", "judged")]
    order = [(event.kind, event.experiment) for event in told]
    assert order[:5] == [("running", 0), ("running", 1), ("running", 0), ("running", 2), ("running", 0)]
    assert ("judged", 1) in order[5:7]
    seeds = [event.data["seed"] for event in told if (event.kind, event.experiment) == ("running", 0)]
    assert len(set(seeds)) == len(seeds)
    assert told[1].data["seed"] == told[0].data["seed"], "a screen is on the first seed of what it is compared with"


async def test_a_candidate_that_fails_on_a_later_seed_has_failed(write: Write) -> None:
    """A failed run is an outcome and never a value: it leaves the frontier, the queue and the list of branches."""
    train = TRAIN.replace('if MODE == "broken":', "if RATE > 0.1 and int(os.environ['COCKPIT_SEED']) == 13534:")
    place = write(train)
    await research(place, Limits(experiments=14), Stop())
    failed = [one for one in await rows(place) if one.state is State.FAILED]
    assert failed
    async with await Database.open(place.folder) as database:
        drawn, _ = await views.frontier(database)
        for one in failed:
            outcomes = [run.outcome for run in await views.runs(database, one.number)]
            assert outcomes[-1] is Outcome.CRASH
            assert one.number not in [point.experiment for point in drawn.points]
            assert one.branch not in git(place.root, "branch")
    assert any(one.measurements for one in failed), "none failed on a later seed"


async def test_a_baseline_that_fails_on_a_later_seed_ends_the_study(write: Write) -> None:
    place = write(
        TRAIN + "if RATE == 0.1 and DEPTH == 3 and os.environ['COCKPIT_SEED'] == '13534': raise SystemExit(1)\n"
    )
    for _ in range(2):
        assert await research(place, Limits(experiments=5), Stop()) is Ended.BASELINE_FAILED


REAL = """\
import os, random
RATE = 0.5  # cockpit: 0.1 | 0.5 | 0.9
loss = 1 + RATE + 0.01 * random.Random(f"{os.environ['COCKPIT_SEED']} {RATE}").gauss(0, 1)
print(f"loss: {loss}")
"""


@pytest.mark.parametrize("often", [False, True])
async def test_an_incumbent_that_fails_on_a_challengers_seed_stays_what_it_is_unless_it_always_does(
    write: Write, often: bool
) -> None:
    order = list(islice(seeds(0), 40))
    bad = order[4:] if often else order[4:5]
    place = write(REAL + f"if RATE == 0.5 and int(os.environ['COCKPIT_SEED']) in {bad}: raise SystemExit(1)\n")
    ended = await research(place, Limits(experiments=3), Stop())
    assert ended is (Ended.BASELINE_FAILED if often else Ended.EXPERIMENTS)
    found = await rows(place)
    assert found[0].state is State.MEASURED
    async with await Database.open(place.folder) as database:
        base = await views.runs(database, 0)
        assert (await views.frontier(database))[0].points
    assert [run.seed for run in base if run.failed] == (bad[:3] if often else bad)
    assert any(one.offered for one in found) is not often


async def test_what_is_better_is_confirmed_on_fresh_seeds_and_merged_without_a_second_word(write: Write) -> None:
    place = write(REAL)
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    better = next(one for one in await rows(place) if one.knobs.get("train.py:RATE") == 0.1)
    assert better.verdict is not None
    assert better.offered and better.verdict.word is Word.BETTER
    async with await Database.open(place.folder) as database:
        own, base = await views.runs(database, better.number), await views.runs(database, 0)
        counted = await views.keeps(database)
    assert [run.purpose for run in own] == ["screen", "race", *["confirm"] * 4], "one more than later in a study"
    fresh = [run.seed for run in own if run.purpose == "confirm"]
    known = [run.seed for run in base]
    assert len(set(known)) == len(known), "the incumbent was run on a seed twice"
    for run in own[2:]:
        beside = next(other for other in base if other.seed == run.seed)
        assert beside.started_at < run.started_at, "fresh for both, the incumbent first"
    assert not set(fresh) & set(known[:3])
    assert counted is not None
    assert (counted.screened, counted.confirmed) == (2, 1)
    assert counted.kept >= 1 and counted.refuted == 0

    merged = await submit(place, "merge", {"experiment": better.number}, {})
    assert merged.done, merged.text
    await research(place, Limits(experiments=4), Stop())
    async with await Database.open(place.folder) as database:
        again = [run for run in await views.runs(database, better.number) if run.purpose == "baseline"]
        assert await views.incumbent(database) == better.number
    assert len(again) <= 1, "three fresh seeds are the baseline of what was merged"
