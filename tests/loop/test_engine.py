"""The engine: the baseline is run, recorded once, and goes on from wherever it was broken off."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from loop.branches import GitError
from loop.engine import Limits, research
from loop.run import launch
from loop.run.interpreter import Unusable
from loop.schedule import seeds
from loop.stop import MachineFailed, Stop
from loop.study import ConfigError
from store import events, views
from store.database import Database
from store.place import SCRATCH, Place, engine_pid
from store.records import Ended, Experiment, Outcome, Run, Source, State
from tests.conftest import TRAIN, Write, git
from tests.lives import begun, ended

pytestmark = pytest.mark.usefixtures("leaves_nothing")
ONE = Limits(experiments=1)
SLOW = TRAIN + "import time; print('ready', flush=True); time.sleep(SECONDS)\n"


async def record(place: Place) -> tuple[Experiment, list[Run], list[str]]:
    """The baseline, its runs, and the kinds of all events."""
    async with await Database.open(place.folder) as database:
        baseline = await views.experiment(database, 0)
        assert baseline is not None
        told = await events.events_after(database, 0)
        return baseline, await views.runs(database, 0), [event.kind for event in told]


async def experiments(place: Place) -> int:
    async with await Database.open(place.folder) as database:
        return len(await views.experiments(database))


# --- the first run ---------------------------------------------------------------------------------------------------


async def test_the_baseline_is_measured_and_trunk_begins_at_the_users_commit(write: Write) -> None:
    place = write()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    baseline, (run,), kinds = await record(place)
    head = git(place.root, "rev-parse", "HEAD").strip()
    assert (baseline.state, baseline.commit) == (State.MEASURED, head)
    assert git(place.root, "rev-parse", "cockpit/tried/trunk", "cockpit/tried/e0000-baseline").split() == [head, head]
    (loss,) = baseline.measurements
    assert (loss.value, loss.source, loss.n) == (0.1 + run.seed % 7, Source.REPORTED, 1)
    assert kinds == [
        "engine started", "began", "revised", "bench", "queued", "running", "stage", "measured", "planned",
        "engine ended",
    ]  # fmt: skip


async def test_an_engine_says_at_its_start_what_is_asked_and_what_it_may_take(write: Write) -> None:
    more = 'train_seconds = { direction = "minimize", label = "train", unit = "s", steers = false }\n'
    place = write(more=more + '[seeds]\nbaseline = 4\n[budget]\nexperiments = 9\ntime = "1 h"')
    lives = []
    for limits in (ONE, Limits(experiments=1, seconds=60.0)):
        await research(place, limits, Stop())
        async with await Database.open(place.folder) as database:
            life = await views.last_engine(database)
            assert life is not None
            assert life.ended_at is not None
            lives.append((life.facts, life.ended_at - life.started_at))
    (first, lasted), (second, _) = lives
    assert (first["goal"], first["seeds"]) == ("Lower the loss", 4)
    assert list(first["objectives"].items()) == [
        ("loss", {"direction": "minimize", "label": None, "unit": None, "steers": True, "kind": "quality"}),
        ("train_seconds", {"direction": "minimize", "label": "train", "unit": "s", "steers": False, "kind": "time"}),
    ]
    assert first["limits"] == {"experiments": 1, "seconds": 3600.0}
    assert second["limits"] == {"experiments": 1, "seconds": 60.0}
    await research(place, ONE, Stop())
    async with await Database.open(place.folder) as database:
        life = await views.last_engine(database)
    assert life is not None
    assert life.facts["limits"]["seconds"] <= 3600.0 - lasted, "the time of the file is that of all engines together"


async def test_what_is_measured_is_never_run_again(write: Write) -> None:
    place = write()
    for _ in range(3):
        assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, runs, kinds = await record(place)
    assert len(runs) == kinds.count("queued") == kinds.count("bench") == 1


@pytest.mark.parametrize(("most", "loads"), [(10, 0), (11, 1), (None, 1)])
async def test_what_takes_a_while_to_import_is_imported_beside_the_baseline_where_it_may_be_needed(
    write: Write, monkeypatch: pytest.MonkeyPatch, most: int | None, loads: int
) -> None:
    loaded: list[None] = []
    monkeypatch.setattr("loop.propose.optimiser.load", lambda: loaded.append(None))
    assert await research(write("raise SystemExit(1)"), Limits(experiments=most), Stop()) is Ended.BASELINE_FAILED
    assert len(loaded) == loads


async def test_without_knobs_the_study_ends_because_nothing_can_be_proposed(write: Write) -> None:
    assert await research(write("print('loss: 1')"), Limits(), Stop()) is Ended.NO_PROPOSER


async def test_the_time_of_the_file_is_that_of_all_engines_together(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "60"), more='[budget]\ntime = "1 s"')
    for _ in range(3):
        assert await research(place, Limits(), Stop()) is Ended.TIME
    _, runs, _ = await record(place)
    assert len(runs) == 1, "the time was used up, and still a run was begun"


async def test_the_budget_is_the_files_unless_the_caller_has_another(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "60"), more='[budget]\nexperiments = 1\ntime = "1 s"')
    assert await research(place, Limits(), Stop()) is Ended.TIME
    assert await research(place, Limits(seconds=0.5), Stop()) is Ended.TIME
    place.config.write_text(place.config.read_text().replace('"1 s"', '"1 min"'))
    (place.root / "train.py").write_text(TRAIN)
    git(place.root, "commit", "-qam", "quick")
    assert await research(place, Limits(), Stop()) is Ended.EXPERIMENTS
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    assert await experiments(place) == 2


async def test_the_users_working_tree_is_not_what_runs(write: Write) -> None:
    place = write()
    (place.root / "train.py").write_text("raise SystemExit(1)")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_a_run_folder_is_fresh_and_keeps_logs_and_outputs_alone(write: Write) -> None:
    train = TRAIN + "import pathlib; pathlib.Path(os.environ['COCKPIT_OUTPUT'], 'model').touch()\n"
    train += "pathlib.Path('stray').touch(); print('git:', pathlib.Path('.git').exists())\n"
    place = write(train)
    await research(place, ONE, Stop())
    folder = place.folder / "runs" / "000001"
    assert not (folder / "tree").exists()
    assert (folder / "output" / "model").exists()
    assert "git: False" in (folder / "train.log").read_text()


SCORED = """
predict = "python predict.py"
score = "python score.py"
"""
FILES = {
    "predict.py": "import os, train; open(os.environ['COCKPIT_OUTPUT'] + '/out', 'w').write('4')\n",
    "score.py": "import os\n"
    "print('loss:', open(os.environ['COCKPIT_OUTPUT'] + '/out').read(), open('labels/a').read())\n",
    "labels/a": "secret",
}


async def test_the_scorer_sees_the_labels_and_the_candidate_does_not(write: Write) -> None:
    train = TRAIN + "print('labels:', os.path.exists('labels'))\n"
    place = write(train, run=SCORED, more='[data]\nsealed = ["labels"]', files=FILES)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    baseline, (run,), _ = await record(place)
    assert [stage.name for stage in run.stages] == ["train", "predict", "score"]
    (loss,) = baseline.measurements
    assert (loss.value, loss.source) == (4.0, Source.SCORED)
    assert "labels: False" in (place.folder / run.folder / "train.log").read_text()
    assert "loss: 4 secret" in (place.folder / run.folder / "score.log").read_text()


async def test_sealed_data_that_git_does_not_track_is_lent_to_the_scorer(write: Write) -> None:
    place = write(run=SCORED, more='[data]\nsealed = ["labels"]', files={**FILES, ".gitignore": "labels\n"})
    assert git(place.root, "ls-files", "labels") == ""
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_a_start_from_a_subfolder_is_the_same_start(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    train = TRAIN + "print('labels:', os.path.exists('labels'))\n"
    place = write(train, run=SCORED, more='[data]\nsealed = ["labels"]', files=FILES)
    await research(place, ONE, Stop())
    (place.root / "labels" / "a").write_text("another bench")
    monkeypatch.chdir(place.root / "labels")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    baseline, runs, _ = await record(place)
    assert baseline.measurements[0].source is Source.SCORED
    for run in runs:
        assert "labels: False" in (place.folder / run.folder / "train.log").read_text()


async def test_a_detour_over_another_bench_leaves_no_trace_in_what_is_shown(write: Write) -> None:
    place = write(TRAIN + "import sys; print(f'loss: {len(sys.argv)}')\n")
    await research(place, ONE, Stop())
    before, _, _ = await record(place)
    text = place.config.read_text()
    place.config.write_text(text.replace('train.py"\ntimeout', 'train.py x y"\ntimeout'))
    await research(place, ONE, Stop())
    assert (await record(place))[0].measurements[0].value == 3
    place.config.write_text(text.replace("loss =", "oops ="))
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert (await record(place))[0].measurements == ()
    place.config.write_text(text)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    after, runs, _ = await record(place)
    assert after == before
    assert len(runs) == 3


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"pid": 1, "start_ticks": 1, "ended": true, "stages": [{"ended_by": 1}]}']
)
async def test_a_status_that_is_none_never_keeps_the_study_from_starting(write: Write, no_wall: str, text: str) -> None:
    scribble = f"import os, signal; open('../status.json', 'w').write({text!r}); os.kill(os.getppid(), signal.SIGKILL)"
    place = write(scribble)
    for _ in range(2):
        with pytest.raises(MachineFailed, match="ended from outside"):
            await research(place, ONE, Stop())


async def test_sealed_files_stay_sealed_after_the_user_has_gone_on(write: Write) -> None:
    train = TRAIN + "print('labels:', os.path.exists('labels'))\n"
    place = write(train, run=SCORED, more='[data]\nsealed = ["labels"]', files=FILES)
    await research(place, ONE, Stop())
    (place.root / "labels" / "a").write_text("committed later")
    git(place.root, "commit", "-qam", "later")
    (place.root / "labels" / "a").write_text("and edited")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, runs, _ = await record(place)
    assert len(runs) == 2, "changed labels are another bench"
    assert "labels: False" in (place.folder / runs[1].folder / "train.log").read_text()


async def test_a_sealed_folder_deep_in_an_ignored_one_is_lent_to_the_scorer(write: Write) -> None:
    files = {**FILES, ".gitignore": "data\n", "data/labels/a": "x"}
    place = write(run=SCORED, more='[data]\nsealed = ["data/labels"]', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_the_scorer_does_not_run_what_the_candidate_left_in_its_home(write: Write) -> None:
    train = TRAIN + (
        "import pathlib, site\n"
        "for home in (os.environ['HOME'], os.environ['TMPDIR']):\n"
        "    pathlib.Path(home, 'left').touch()\n"
    )
    score = "import os; print('loss:', sum('left' in os.listdir(os.environ[name]) for name in ('HOME', 'TMPDIR')))"
    place = write(train, run=SCORED, files={**FILES, "score.py": score})
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await record(place))[0].measurements[0].value == 0


async def test_an_objective_that_is_added_has_the_baseline_measured_again(write: Write) -> None:
    place = write(TRAIN + "print('extra: 3')\n")
    await research(place, ONE, Stop())
    place.config.write_text(place.config.read_text() + '\nextra = { direction = "minimize" }\n')
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert [m.objective for m in (await record(place))[0].measurements] == ["loss", "extra"]


async def test_a_run_folder_of_a_record_that_is_gone_is_put_aside(write: Write) -> None:
    place = write()
    await research(place, ONE, Stop())
    for file in place.folder.glob("record.sqlite*"):
        file.unlink()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert len(list((place.folder / "runs").iterdir())) == 2


async def test_a_branch_that_the_study_knows_nothing_of_is_refused_by_name(write: Write) -> None:
    place = write()
    git(place.root, "checkout", "-q", "-b", "cockpit/tried/trunk")
    git(place.root, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = git(place.root, "rev-parse", "HEAD")
    git(place.root, "checkout", "-q", "main")
    with pytest.raises(GitError, match="cockpit/tried/trunk is there already"):
        await research(place, ONE, Stop())
    assert git(place.root, "rev-parse", "cockpit/tried/trunk") == mine


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "outcome", "detail"),
    [
        ("raise ValueError('no')", Outcome.CRASH, "train: exit status 1: ValueError: no"),
        ("print('done')", Outcome.NO_METRICS, "no stage printed a line `loss: value`"),
        ("print('loss: nan')", Outcome.DIVERGED, "loss is nan"),
        ("import time; time.sleep(60)", Outcome.TIMEOUT, "train: over its limit of 0.3 s, `[run] timeout`: raise it, "),
    ],
)
async def test_a_baseline_that_fails_ends_the_study_with_its_reason(
    write: Write, train: str, outcome: Outcome, detail: str
) -> None:
    place = write(train)
    place.config.write_text(place.config.read_text().replace('"20 s"', '"0.3 s"' if "sleep" in train else '"20 s"'))
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    baseline, (run,), _ = await record(place)
    assert (baseline.state, baseline.failure) == (State.FAILED, outcome)
    if outcome is Outcome.NO_METRICS:
        detail += f"; print it, or change `[objectives] loss`, {place.config}:"
        detail += str(place.config.read_text().splitlines().index('loss = { direction = "minimize" }') + 1)
    assert baseline.detail.startswith(detail) if outcome is Outcome.TIMEOUT else baseline.detail == detail
    assert (run.outcome, baseline.measurements) == (outcome, ())


async def test_a_failed_baseline_starts_again_from_where_the_user_has_mended_it(write: Write) -> None:
    place = write("raise SystemExit(1)")
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert [run.attempt for run in (await record(place))[1]] == [1, 2]
    (place.root / "train.py").write_text(TRAIN)
    git(place.root, "commit", "-qam", "mended")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    baseline, runs, _ = await record(place)
    assert git(place.root, "rev-parse", "HEAD", "cockpit/tried/trunk").split() == [baseline.commit] * 2
    assert [(run.attempt, run.outcome) for run in runs] == [
        (1, Outcome.CRASH),
        (2, Outcome.CRASH),
        (1, Outcome.OK),
    ]


async def test_once_measured_the_study_stays_where_it_began(write: Write) -> None:
    place = write()
    await research(place, ONE, Stop())
    before = (await record(place))[0]
    (place.root / "train.py").write_text(TRAIN + "# later\n")
    git(place.root, "commit", "-qam", "later")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await record(place))[0] == before


async def test_a_changed_bench_has_the_baseline_measured_again(write: Write) -> None:
    place = write(more='[data]\nsealed = ["{study}/labels"]')
    (place.folder / "labels").mkdir(parents=True)
    (place.folder / "labels" / "a").write_text("1")
    await research(place, ONE, Stop())
    (place.folder / "labels" / "a").write_text("2")
    await research(place, ONE, Stop())
    baseline, runs, _ = await record(place)
    assert len({run.bench for run in runs}) == len(runs) == 2
    assert baseline.measurements[0].n == 1, "a mean over two benches"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"run": SCORED, "files": {**FILES, "train.py": ""}, "edit": '"*.py"'},
            r"cockpit.toml:\d+: `\[run\] score`: the scorer is or imports score.py",
        ),
        ({"run": SCORED, "files": {**FILES, "score.py": "import train"}}, "the scorer is or imports train.py"),
        ({"edit": '"trian.py"'}, r"cockpit.toml:\d+: .*no committed file is called 'trian.py'"),
        ({"more": '[data]\nsealed = ["labels"]'}, r"cockpit.toml:14: .*there is no .*/labels"),
        ({"more": '[data]\nread = ["data/rows"]'}, r"cockpit.toml:14: `\[data\] read`: there is no .*/data/rows"),
    ],
)
async def test_a_file_that_does_not_fit_the_repository_is_refused_before_anything_runs(
    write: Write, change: dict[str, object], said: str
) -> None:
    edit = change.pop("edit", '"train.py"')
    place = write(**change)
    place.config.write_text(place.config.read_text().replace('edit = ["train.py"]', f"edit = [{edit}]"))
    with pytest.raises(ConfigError, match=said):
        await research(place, ONE, Stop())


async def test_an_import_that_the_interpreter_lacks_is_said_before_anything_runs(write: Write) -> None:
    place = write("import near, torch\n" + TRAIN, files={"near.py": "import numpy\n"})
    with pytest.raises(Unusable, match="lacks numpy, torch, which the study's scripts import"):
        await research(place, ONE, Stop())


async def test_a_repository_without_a_commit_is_said(write: Write) -> None:
    place = write()
    git(place.root, "update-ref", "-d", "HEAD")
    with pytest.raises(ConfigError, match="has no commit yet"):
        await research(place, ONE, Stop())


async def test_no_run_is_begun_without_room_for_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()
    monkeypatch.setattr("loop.run.execution.FREE_BYTES", 1 << 60)
    with pytest.raises(MachineFailed, match="no run is begun"):
        await research(place, ONE, Stop())
    async with await Database.open(place.folder) as database:
        ended = await views.last_engine(database)
    assert ended is not None
    assert ended.because.endswith(f"MiB of room are left in {place.folder}: no run is begun"), "who looks is told why"
    monkeypatch.undo()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_a_run_that_is_always_killed_from_outside_is_the_machines_fault_and_nobodys_success(
    write: Write, no_wall: str
) -> None:
    place = write("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    with pytest.raises(MachineFailed, match="3 runs of e0000 in a row were ended from outside"):
        await research(place, ONE, Stop())
    baseline, runs, _ = await record(place)
    assert baseline.state is State.QUEUED
    assert [run.outcome for run in runs] == [Outcome.INTERRUPTED] * 3


async def test_a_status_that_the_code_under_test_scribbles_over_does_not_end_the_engine(
    write: Write, no_wall: str
) -> None:
    place = write(TRAIN + "import time; open('../status.json', 'w').write('{'); time.sleep(0.3)")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_a_run_that_stops_its_supervisor_does_not_stop_the_engine(
    write: Write, no_wall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loop.run.execution.LATE_SECONDS", -19.8)  # and a stage has 20
    place = write("import os, signal, time; os.kill(os.getppid(), signal.SIGSTOP); time.sleep(60)")
    with pytest.raises(MachineFailed, match="ended from outside"):
        await research(place, ONE, Stop())


# --- ends and new beginnings -----------------------------------------------------------------------------------------


AGAIN = "1 if os.path.exists(os.path.join(__import__('sys').prefix, 'again')) else 60"


@pytest.fixture
def again(bare_python: Path) -> Iterator[Path]:
    """A file that a run can see: the first time a script is run it is not there."""
    file = bare_python.parent.parent / "again"
    yield file
    file.unlink()


async def until_ready(place: Place, number: int = 1) -> None:
    log = place.folder / "runs" / f"{number:06d}" / "train.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_request_to_end_interrupts_the_run_and_the_next_engine_tries_again(write: Write, again: Path) -> None:
    place = write(SLOW.replace("SECONDS", AGAIN))
    stop = Stop()
    going = asyncio.create_task(research(place, ONE, stop))
    await until_ready(place)
    stop.ask()
    assert await going is Ended.INTERRUPTED
    baseline, (run,), _ = await record(place)
    assert (baseline.state, run.outcome) == (State.QUEUED, Outcome.INTERRUPTED)
    again.touch()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, runs, _ = await record(place)
    assert [(run.attempt, run.outcome) for run in runs] == [(1, Outcome.INTERRUPTED), (2, Outcome.OK)]
    assert runs[0].seed == runs[1].seed


async def test_time_that_is_used_up_ends_the_study(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "60"))
    assert await research(place, Limits(seconds=1.0), Stop()) is Ended.TIME
    assert (await record(place))[1][0].outcome is Outcome.INTERRUPTED


ENGINE = """
import asyncio, sys
from pathlib import Path
from loop.engine import Limits, research
from loop.stop import Stop
from store.place import find
asyncio.run(research(find(Path(sys.argv[1])), Limits(experiments=1), Stop()))
"""


@contextmanager
def engine(place: Place) -> Iterator[ForkServerProcess]:
    """An engine in a process of its own, which is killed at the latest after that."""
    life = begun(ENGINE, place.root)
    try:
        yield life
    finally:
        life.kill()
        life.join()
        life.close()


async def test_a_run_outlives_a_killed_engine_and_is_adopted_by_the_next(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "1.5"))
    with engine(place) as first:
        await until_ready(place)
        assert engine_pid(place.folder) == first.pid
        first.kill()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, (run,), kinds = await record(place)
    assert (run.outcome, run.attempt) == (Outcome.OK, 1)
    assert kinds.count("running") == kinds.count("stage") == kinds.count("measured") == 1


async def test_a_run_that_ended_while_no_engine_lived_is_taken_in(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "0.3"))
    with engine(place) as first:
        await until_ready(place)
        first.kill()
    await launch.gone(place.folder / "runs" / "000001")
    assert json.loads((place.folder / "runs" / "000001" / "status.json").read_text())["ended"]
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, (run,), _ = await record(place)
    assert run.outcome is Outcome.OK


async def test_an_adopted_run_that_fails_is_not_run_again(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "1") + "raise SystemExit(1)")
    with engine(place) as first:
        await until_ready(place)
        first.kill()
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert [run.outcome for run in (await record(place))[1]] == [Outcome.CRASH]


async def test_a_run_that_failed_while_no_engine_lived_is_not_run_again(write: Write) -> None:
    place = write(SLOW.replace("SECONDS", "0.1") + "raise SystemExit(1)")
    with engine(place) as first:
        await until_ready(place)
        first.kill()
    await launch.gone(place.folder / "runs" / "000001")
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert [run.outcome for run in (await record(place))[1]] == [Outcome.CRASH]


async def test_an_adopted_run_is_read_by_the_file_it_was_started_with(write: Write) -> None:
    predict = FILES["predict.py"] + "import time; time.sleep(1)\n"
    place = write(TRAIN + "print('ready', flush=True)\n", run=SCORED, files={**FILES, "predict.py": predict})
    with engine(place) as first:
        await until_ready(place)
        first.kill()
    place.config.write_text(place.config.read_text().replace(SCORED, ""))
    await research(place, ONE, Stop())
    _, runs, _ = await record(place)
    assert [[stage.name for stage in run.stages] for run in runs] == [["train", "predict", "score"], ["train"]]
    assert len({run.bench for run in runs}) == 2


async def test_a_run_whose_supervisor_was_killed_too_is_tried_again_and_nothing_is_left(
    write: Write, again: Path
) -> None:
    place = write(SLOW.replace("SECONDS", AGAIN))
    with engine(place) as first:
        await until_ready(place)
        first.kill()
    supervisor = json.loads((place.folder / "runs" / "000001" / "status.json").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    (place.folder / f"{SCRATCH}of-another-engine").mkdir()
    again.touch()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    _, runs, _ = await record(place)
    assert [(run.attempt, run.outcome) for run in runs] == [(1, Outcome.INTERRUPTED), (2, Outcome.OK)]
    assert not list(place.folder.glob(f"{SCRATCH}*"))


# An engine that is killed within or after its n-th transaction: FOLDER n WHEN EXPERIMENTS.
KILLED = """
import asyncio, os, signal, sys
from contextlib import asynccontextmanager
from pathlib import Path
from loop.engine import Limits, research
from loop.stop import Stop
from store.database import Database
from store.place import find
left, when = int(sys.argv[2]), sys.argv[3]
transaction = Database.transaction
def die(mine, now):
    if mine and when == now:
        os.kill(os.getpid(), signal.SIGKILL)
@asynccontextmanager
async def killed(self):
    global left
    left -= 1
    mine = not left  # two tasks may be in transactions at once
    async with transaction(self) as change:
        yield change
        die(mine, "within")
    die(mine, "after")
Database.transaction = killed
asyncio.run(research(find(Path(sys.argv[1])), Limits(experiments=int(sys.argv[4])), Stop()))
"""
TRANSACTIONS = 12  # of a first study: the schema, then an event each


@pytest.mark.parametrize("step", range(1, TRANSACTIONS + 1))
async def test_an_engine_killed_at_any_step_loses_nothing_and_runs_nothing_twice(write: Write, step: int) -> None:
    """Within a transaction: all before it is so, and nothing of it. What is done between two, `test_effects` kills."""
    place = write()
    status, errors = ended(KILLED, place.root, step, "within", 1)
    assert status == -signal.SIGKILL, errors
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    baseline, runs, _ = await record(place)
    assert baseline.state is State.MEASURED
    assert [run.outcome for run in runs].count(Outcome.OK) == 1
    assert git(place.root, "rev-parse", "cockpit/tried/trunk").strip() == baseline.commit


async def test_branches_are_made_though_the_engine_died_before_it_could(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write()

    async def dies(*_: object) -> None:
        raise OSError("killed here")

    monkeypatch.setattr("loop.branches.Branches.move", dies)
    with pytest.raises(GitError, match="killed here"):
        await research(place, ONE, Stop())
    monkeypatch.undo()
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert git(place.root, "rev-parse", "cockpit/tried/trunk") == git(place.root, "rev-parse", "HEAD")


async def test_an_engine_that_could_not_open_the_study_says_so_in_the_record(write: Write) -> None:
    place = write()
    git(place.root, "branch", "cockpit")  # so that there can be no cockpit/tried/trunk
    with pytest.raises(GitError, match="refs/heads/cockpit' exists"):
        await research(place, ONE, Stop())
    async with await Database.open(place.folder) as database:
        engine_row = await views.last_engine(database)
        assert engine_row is not None
        assert engine_row.ended_by is Ended.MACHINE_FAILED
    git(place.root, "branch", "-D", "cockpit")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


async def test_a_run_that_could_not_be_begun_is_not_left_running(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write()

    async def fails(*_: object, **__: object) -> None:
        raise GitError("an object is missing")

    monkeypatch.setattr("loop.branches.Branches.check_out", fails)
    with pytest.raises(MachineFailed, match="e0000 could not be begun: an object is missing"):
        await research(place, ONE, Stop())
    assert list((place.folder / "runs").iterdir()) == []
    baseline, (run,), _ = await record(place)
    assert (baseline.state, run.outcome) == (State.QUEUED, Outcome.INTERRUPTED)
    assert run.detail == "it could not be begun: an object is missing"


async def test_what_an_earlier_engine_left_to_delete_is_deleted_and_what_is_to_be_synced_is_kept(write: Write) -> None:
    place = write()
    await research(place, ONE, Stop())
    (place.folder / "runs" / "000001" / "tree" / "wandb" / "offline-run-1").mkdir(parents=True)
    await research(place, ONE, Stop())
    assert (place.folder / "runs" / "000001" / "wandb" / "offline-run-1").is_dir()
    assert not (place.folder / "runs" / "000001" / "tree").exists()


# --- seeds -----------------------------------------------------------------------------------------------------------


def test_the_seeds_of_a_study_are_one_list_drawn_from_its_own() -> None:
    assert list(islice(seeds(0), 5)) == list(islice(seeds(0), 100))[:5]
    assert len(set(islice(seeds(0), 1000))) == 1000
    assert list(islice(seeds(0), 5)) != list(islice(seeds(1), 5))
    assert all(seed > 0 for seed in islice(seeds(3), 100))
