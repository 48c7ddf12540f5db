"""The supervisor: whatever a stage does, it ends, it is measured, and nothing of it is left."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from loop.run import launch
from loop.run.launch import TAG, Command
from loop.run.sandbox import APART, Wall
from loop.run.supervisor import Tampering, left_bytes, refuse_traps

pytestmark = pytest.mark.usefixtures("leaves_nothing")
WALL = Wall()


@pytest.fixture(autouse=True, params=["no wall", "behind a wall"])
def wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a supervisor promises it promises with a wall and without one."""
    if request.param == "behind a wall":
        needed = tuple(Path(prefix).resolve() for prefix in (sys.base_prefix, sys.prefix))
        behind = Wall("bwrap", program=(request.getfixturevalue("bwrap"), *APART), shown=needed)
        monkeypatch.setattr(sys.modules[__name__], "WALL", behind)


async def run(folder: Path, *programs: str, timeout_seconds: float = 20.0) -> dict[str, Any]:
    """Run programs as the stages of one run, to their end. What the supervisor says."""
    await begin(folder, *programs, timeout_seconds=timeout_seconds)
    await launch.gone(folder)
    said = launch.status(folder)
    assert said is not None
    return said


async def begin(folder: Path, *programs: str, timeout_seconds: float = 20.0) -> None:
    for name in ("tree", "tree.home", "tree.tmp", "output"):
        (folder / name).mkdir(parents=True)
    env = {"PATH": os.environ["PATH"], TAG: str(folder)}
    where = folder / "tree"
    commands = [
        Command(
            f"stage{number}",
            WALL.around([sys.executable, "-c", program, str(folder)], folder, where),
            str(where),
            env,
            timeout_seconds,
            walled=bool(WALL),
        )
        for number, program in enumerate(programs)
    ]
    await launch.start(folder, commands, 1.0)


SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
DEAF = SLEEPER.replace("time.sleep", "print('ready', flush=True); time.sleep")
SPUN = "open('spun', 'w')\n" + DEAF
DAEMON = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", {SLEEPER!r}, sys.argv[1]])
    os._exit(0)
"""


async def test_stages_run_in_order_and_their_output_is_kept(tmp_path: Path) -> None:
    said = await run(tmp_path / "run", "print('one')", "import sys; print('two', file=sys.stderr)")
    assert said["ended"]
    assert [(stage["name"], stage["ended_by"], stage["exit_status"]) for stage in said["stages"]] == [
        ("stage0", "itself", 0),
        ("stage1", "itself", 0),
    ]
    assert (tmp_path / "run" / "stage0.log").read_text() == "one\n"
    assert (tmp_path / "run" / "stage1.log").read_text() == "two\n"


async def test_a_stage_that_fails_is_the_last(tmp_path: Path) -> None:
    said = await run(tmp_path / "run", "raise SystemExit(3)", "print('never')")
    assert [stage["exit_status"] for stage in said["stages"]] == [3]


async def test_a_program_that_does_not_exist_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    await launch.start(folder, [Command("train", ["./nothing"], str(folder), {}, 5.0)], 1.0)
    await launch.gone(folder)
    said = launch.status(folder)
    assert said is not None
    assert said["stages"][0]["exit_status"] == 127
    assert "could not start ./nothing" in (folder / "train.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGSEGV, 40])
async def test_a_stage_that_a_signal_ends_says_which(tmp_path: Path, number: int) -> None:
    said = await run(tmp_path / "run", f"import os; os.kill(os.getpid(), {int(number)})")
    assert said["stages"][0]["exit_status"] == -number


async def test_where_memory_runs_out_the_run_goes_first_and_not_the_engine(tmp_path: Path) -> None:
    await run(tmp_path / "run", "print(open('/proc/self/oom_score_adj').read())")
    assert (tmp_path / "run" / "stage0.log").read_text().strip() == "1000"


async def test_an_output_that_leads_elsewhere_is_not_handed_on(tmp_path: Path) -> None:
    folder, reads = tmp_path / "run", tmp_path / "run" / "output"
    (reads / "deep").mkdir(parents=True)
    (reads / "weights-2").touch()
    (reads / "deep" / "last").symlink_to("../weights-2")
    (reads / "latest").symlink_to(reads / "deep")
    score = Command("score", [sys.executable, "-c", "print('scored')"], str(folder), {}, 5.0, reads=str(reads))
    await launch.start(folder, [score], 1.0)
    await launch.gone(folder)
    assert (folder / "score.log").read_text() == "scored\n"
    (folder / "status.json").unlink()
    (reads / "deep" / "logits").symlink_to("/labels")
    await launch.start(folder, [score], 1.0)
    await launch.gone(folder)
    said = launch.status(folder)
    assert said is not None
    assert said["stages"][0]["ended_by"] == "tampering"
    assert (
        f"'{reads}/deep/logits' is a link out of the run's output, to '/labels'" in (folder / "score.log").read_text()
    )


def far(output: Path) -> None:
    """A link by a path that is too long to be followed by name, and a short way to it."""
    for step in range(24):
        os.mkdir("x" * 200)
        os.chdir("x" * 200)
        if step == 11:
            os.symlink("/".join(["x" * 200] * 12), output / "half")
    os.symlink("/labels", "evil")
    os.symlink("half/" + "/".join(["x" * 200] * 12) + "/evil", output / "logits")


def deep(output: Path) -> None:
    """Folders in folders, deeper than any recursion."""
    for _ in range(2500):
        os.mkdir("d")
        os.chdir("d")


def chain(output: Path) -> None:
    (output / "b").symlink_to("/labels")
    (output / "a").symlink_to("b")


TRAPS: dict[str, Callable[[Path], object]] = {
    "out": lambda output: (output / "a").symlink_to("/labels"),
    "up": lambda output: (output / "a").symlink_to("../scorer"),
    "a chain": chain,
    "nowhere": lambda output: (output / "a").symlink_to("nothing"),
    "a circle": lambda output: (output / "a").symlink_to("a"),
    "by proc": lambda output: (output / "a").symlink_to("/proc/self/cwd/output"),
    "no letters": lambda output: os.symlink(b"/labels", os.fsencode(output) + b"/x\xff"),
    "lines": lambda output: (output / "a").symlink_to("/labels\nall is well"),
    "far": far,
    "deep": deep,
}


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, and where the test stands. It may become too deep for pytest to delete."""
    folder = tmp_path / "output"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.parametrize("trap", TRAPS)
def test_what_leads_out_or_cannot_be_looked_at_is_tampering(output: Path, trap: str) -> None:
    TRAPS[trap](output)
    with pytest.raises(Tampering) as caught:
        refuse_traps(str(output))
    assert str(caught.value).isprintable()


async def test_a_daemon_that_ignores_the_request_to_end_does_not_outlive_its_stage(tmp_path: Path) -> None:
    said = await run(tmp_path / "run", DAEMON)
    assert said["stages"][0]["exit_status"] == 0


async def test_a_brood_in_sessions_of_their_own_does_not_outlive_its_stage(tmp_path: Path) -> None:
    brood = f"""
import subprocess, sys
for _ in range(20):
    subprocess.Popen([sys.executable, "-c", {SLEEPER!r}, sys.argv[1]], start_new_session=True)
"""
    await run(tmp_path / "run", brood)


async def test_a_stage_over_its_time_is_killed_though_it_ignores_the_request(tmp_path: Path) -> None:
    began = time.monotonic()
    said = await run(tmp_path / "run", DAEMON + SLEEPER, timeout_seconds=2.0)
    assert said["stages"][0]["ended_by"] == "timeout"
    assert said["stages"][0]["exit_status"] == -signal.SIGKILL
    assert time.monotonic() - began < 20


async def test_a_stage_that_floods_its_log_is_ended(tmp_path: Path) -> None:
    flood = "import sys\nwhile True: sys.stdout.write('x' * 65536 + chr(10))"
    said = await run(tmp_path / "run", flood)
    assert said["stages"][0]["ended_by"] == "log"


async def test_the_cpu_seconds_of_killed_and_orphaned_processes_count(tmp_path: Path) -> None:
    spin = "import time\nwhile time.process_time() < 0.6: pass\n"
    orphan = f"""
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", {spin + SPUN!r}, sys.argv[1]], start_new_session=True)
{spin}
while not os.path.exists("spun"): time.sleep(0.01)
for _ in range(4): subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.1: pass"])
time.sleep(0.5)  # until it has been seen: behind a wall nobody waits for it
"""
    said = await run(tmp_path / "run", orphan)
    assert 1.5 <= said["stages"][0]["cpu_seconds"] < 2.5


async def test_memory_is_that_of_all_processes_of_the_stage(tmp_path: Path) -> None:
    child = "import time; b = bytearray(b'x') * 60_000_000; time.sleep(2)"
    both = f"import subprocess, sys\np = [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in range(2)]\n"
    said = await run(tmp_path / "run", both + "[q.wait() for q in p]")
    assert 120_000_000 < said["stages"][0]["peak_bytes"] < 200_000_000


POLITE = """
import signal, sys, time
def end(*_):
    print("saved", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True); time.sleep(300)
"""


async def test_what_a_stage_uses_is_said_while_it_runs_and_not_when_it_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    await begin(folder, "held = bytearray(50_000_000); import time; time.sleep(300)", timeout_seconds=2.5)
    seen: list[dict[str, Any]] = []
    while launch.locked(folder):
        with suppress(FileNotFoundError):
            said = json.loads((folder / "now.json").read_text())  # whole, whenever one looks
            seen += [said] if said not in seen else []
        await asyncio.sleep(0.01)
    assert 2 <= len(seen) <= 8, "at most once a second"
    assert {said["stage"] for said in seen} == {"stage0"}
    assert seen[-1]["peak_bytes"] >= seen[-1]["bytes"] > 50_000_000
    assert 0 <= seen[-1]["cores"] <= seen[-1]["of_cores"] and seen[-1]["device_bytes"] is None
    assert not list(folder.glob("now.json*"))


LAID = """
import os, sys, time
for name in ("now.json.new", "status.json.new", "stage1.log"):
    path = os.path.join(sys.argv[1], name)
    try:
        os.symlink(os.path.join(sys.argv[1], "precious"), path) if LINK else os.mkfifo(path)
    except OSError:
        pass  # behind a wall
time.sleep(0.5)
"""


@pytest.mark.parametrize("link", [False, True])
async def test_what_the_code_under_test_lays_in_its_way_neither_stops_it_nor_leads_it_astray(
    tmp_path: Path, link: bool
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "precious").write_text("kept")
    said = await run(folder, LAID.replace("LINK", str(link)), "print('on')")
    assert said["ended"] and [one["exit_status"] for one in said["stages"]] == [0, 0]
    assert (folder / "precious").read_text() == "kept"
    assert (folder / "stage1.log").read_text() == "on\n"
    assert not (folder / "status.json.new").exists() and (folder / "status.json").is_file()


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_request_gives_time_to_finish_and_an_urgent_one_does_not(tmp_path: Path, at_once: bool) -> None:
    await begin(tmp_path / "run", POLITE, "print('never')")
    await ready(tmp_path / "run" / "stage0.log")
    await launch.ask_to_end(tmp_path / "run", at_once=at_once)
    await launch.gone(tmp_path / "run")
    said = launch.status(tmp_path / "run")
    assert said is not None
    assert [stage["ended_by"] for stage in said["stages"]] == ["request"]
    assert ("saved" in (tmp_path / "run" / "stage0.log").read_text()) is not at_once


async def test_an_urgent_request_cuts_the_grace_short(tmp_path: Path) -> None:
    await begin(tmp_path / "run", DEAF)
    await ready(tmp_path / "run" / "stage0.log")
    await launch.ask_to_end(tmp_path / "run")
    await launch.ask_to_end(tmp_path / "run", at_once=True)
    await launch.gone(tmp_path / "run")
    said = launch.status(tmp_path / "run")
    assert said is not None
    assert said["stages"][0]["exit_status"] == -signal.SIGKILL


async def ready(log: Path) -> None:
    deadline = time.monotonic() + 10
    while not (log.exists() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_when_the_supervisor_is_killed_a_sweep_leaves_nothing(tmp_path: Path) -> None:
    await begin(tmp_path / "run", DAEMON + "print('ready', flush=True); import time; time.sleep(300)")
    await ready(tmp_path / "run" / "stage0.log")
    assert launch.locked(tmp_path / "run")
    said = launch.status(tmp_path / "run")
    assert said is not None
    os.kill(said["pid"], signal.SIGKILL)
    await launch.gone(tmp_path / "run")
    said = launch.status(tmp_path / "run")
    assert said is not None
    assert not said["ended"]


async def test_code_under_test_cannot_unlock_the_run(tmp_path: Path) -> None:
    unlock = """
import fcntl, os
print(sorted(int(n) for n in os.listdir("/proc/self/fd")))
for n in os.listdir("/proc/self/fd"):
    try: fcntl.flock(int(n), fcntl.LOCK_UN)
    except OSError: pass
print("ready", flush=True); import time; time.sleep(1)
"""
    await begin(tmp_path / "run", unlock)
    await ready(tmp_path / "run" / "stage0.log")
    assert launch.locked(tmp_path / "run")
    await launch.gone(tmp_path / "run")


def test_what_a_stage_leaves_is_the_size_of_its_files_each_counted_once(tmp_path: Path) -> None:
    output = tmp_path / "output"
    (output / "deep").mkdir(parents=True)
    assert left_bytes(str(output)) is None, "no file is not a file of no size"
    (output / "model").write_bytes(b"x" * 700)
    (output / "deep" / "log").write_bytes(b"x" * 30)
    os.link(output / "model", output / "again")
    (output / "link").symlink_to("/usr")
    assert left_bytes(str(output)) == 730
    (tmp_path / "elsewhere").symlink_to(output)
    assert left_bytes(str(tmp_path / "elsewhere")) is None
    assert left_bytes(str(tmp_path / "gone")) is None
