"""A probe of code that knows nothing of cockpit: what it learns, and what it says where that fails."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from loop.run.interpreter import Unusable
from loop.survey.probe import CannotProbe, _seed, probe
from loop.survey.seed import Seed as Handed
from loop.survey.trouble import brought
from store import probed
from store.place import NoStudy, repository
from store.probed import FOLDER, Probed, Ran
from tests.conftest import git, processes

SEEDED = """\
import argparse, random
p = argparse.ArgumentParser()
p.add_argument("--seed", type=int, default=1)
draw = random.Random(p.parse_args().seed)
for step in range(3):
    print(f"step {step}: train loss {2 + draw.random():.4f}, val loss {3 + 0.01 * draw.random():.6f}")
"""
Repository = Callable[..., Path]


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """A repository of somebody's: `repo(train, **files)`; what stands in `data/` is ignored."""

    def make(train: str, **files: str) -> Path:
        folder = tmp_path / "own"
        folder.mkdir()
        for name, text in {"train.py": train, ".gitignore": "data/\n", **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "base")
        return folder

    return make


async def probing(folder: Path, python: Path, *words: str, limit: str = "60 s", **more: bool) -> tuple[Probed, str]:
    said: list[str] = []
    found = await probe(folder, [str(python), *(words or ("train.py",))], limit, said.append, **more)
    return found, "\n".join(said)


async def test_the_same_code_tells_its_time_its_metrics_its_seed_and_its_noise(
    repo: Repository, bare_python: Path, leaves_nothing: None
) -> None:
    folder = repo(SEEDED)
    before = git(folder, "status", "--porcelain"), git(folder, "for-each-ref")
    found, _ = await probing(folder, bare_python)
    assert [one.outcome for one in found.runs] == ["ok"] * 5
    assert [one.name for one in found.metrics] == ["val_loss", "train_loss"]
    assert found.metrics[0].steps == (0.0, 1.0, 2.0)
    assert (found.seed.how, found.seed.takes_effect, found.seed.deterministic) == ("--seed {seed}", True, True)
    noise = found.noise["val_loss"]
    assert noise.df == 3, "the same seed twice is one seed"
    assert 0 < noise.low < noise.relative < noise.floor < 0.05
    assert found.tonight and found.seconds and found.runs[0].peak_bytes
    assert (git(folder, "status", "--porcelain"), git(folder, "for-each-ref")) == before, "nothing of the user's"
    assert probed.read(repository(folder)) == found
    assert json.loads((folder / ".git/cockpit/probe.json").read_text())["version"] == 1


async def test_what_differs_without_a_seed_is_told_of_its_repetition(repo: Repository, bare_python: Path) -> None:
    found, _ = await probing(repo("import random\nprint('loss:', 1 + random.random())\n"), bare_python)
    assert (found.seed.how, found.seed.deterministic, found.noise["loss"].of) == (None, False, "repetition")
    assert found.noise["loss"].df == 4


async def test_a_seed_that_is_a_constant_is_set_in_the_run_alone_and_one_that_does_nothing_is_told(
    repo: Repository, bare_python: Path
) -> None:
    folder = repo("SEED = 1\nprint('loss:', 2.5 + 0 * SEED)\n")
    found, _ = await probing(folder, bare_python)
    assert (found.seed.how, found.seed.takes_effect, found.noise["loss"].sd) == ("train.py:SEED", False, 0.0)
    assert "SEED = 1" in (folder / "train.py").read_text()


async def test_a_command_is_read_as_init_reads_it_and_kept_so(repo: Repository, bare_python: Path) -> None:
    folder = repo("import torch\n", **{"sub/go.py": "import random\nrandom.seed(3)\nprint('loss:', random.random())\n"})
    (folder / ".venv").symlink_to(bare_python.parent.parent)
    said: list[str] = []
    found = await probe(folder / "sub", ["uv", "run", "--frozen", "go.py"], "60 s", said.append)
    assert (found.command, found.cwd) == (("python", "go.py"), "sub") and found.python == str(
        folder / ".venv/bin/python"
    )
    assert (found.seed.how, found.seed.takes_effect) == ("sub/go.py:random.seed()", True)
    assert "`uv run` is left out" in said[0]
    assert "run in sub, where it was typed" in said


async def test_a_committed_program_is_run_behind_the_wall(repo: Repository, bare_python: Path) -> None:
    folder = repo("", **{"run.sh": "#!/bin/sh\necho loss: 1.5\n"})
    (folder / "run.sh").chmod(0o755)
    git(folder, "commit", "-qam", "a program")
    found = await probe(folder, ["./run.sh"], "60 s", lambda _: None)
    assert found.good[0].metrics == {"loss": 1.5}


def test_nobody_is_told_to_install_into_cockpits_own_environment() -> None:
    assert sys.executable not in brought(Path(sys.executable), "torch")
    assert "venv" in brought(Path(sys.executable))
    assert brought(Path("/a/python"), "torch") == "`/a/python -m pip install torch`"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("'data/x'", "lent, read-only, for git does not have it: data/"),
        # What no source names is found missing, and lent then.
        ("chr(100) + 'ata/x'", "data/ is not committed; it is lent, read-only, and the run made again"),
    ],
)
async def test_data_that_git_does_not_have_is_lent_and_said(
    repo: Repository, bare_python: Path, path: str, what: str
) -> None:
    folder = repo(f"print('loss:', float(open({path}).read()))\n")
    (folder / "data").mkdir()
    (folder / "data/x").write_text("1.5")
    found, said = await probing(folder, bare_python)
    assert (found.lent, found.good[0].metrics) == (("data/",), {"loss": 1.5})
    assert what in said


async def test_what_a_script_only_looks_for_is_lent_before_its_first_run(repo: Repository, bare_python: Path) -> None:
    folder = repo("import os\nprint('loss:', 1.5 if os.path.exists('data/meta.pkl') else 9.0)\n")
    (folder / "data").mkdir()
    (folder / "data/meta.pkl").write_text("96")
    found, _ = await probing(folder, bare_python)
    assert found.good[0].metrics == {"loss": 1.5}


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ("if True:\n    import nonesuch\n", "has no module nonesuch"),
        ("open('nowhere/x')\n", "nowhere/x is not there"),
        ("input('name? ')\n", "waits for an answer at a terminal"),
        ("raise MemoryError\n", "out of memory"),
        ("raise OSError('Temporary failure in name resolution')\n", "--network"),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--x'])\n", "unrecognized arguments: --x"),
        ("raise SystemExit('no idea')\n", "exit status 1: no idea"),
    ],
)
async def test_a_failure_is_a_sentence_with_the_next_step_and_the_last_lines(
    repo: Repository, bare_python: Path, train: str, says: str
) -> None:
    found, _ = await probing(repo(train), bare_python)
    assert len(found.runs) == 1 and not found.good
    assert says in found.failure
    assert found.said or "argparse" not in train
    assert not any(FOLDER in line for line in found.said), "paths are the repository's"


async def test_what_is_lent_and_written_is_named(repo: Repository, bare_python: Path) -> None:
    folder = repo("import shutil\nshutil.copyfile('train.py', 'model.bin')\n", **{".gitignore": "model.bin\n"})
    (folder / "model.bin").write_text("1")
    learned, _ = await probing(folder, bare_python)
    assert learned.failure.startswith("model.bin is lent read-only, for git does not have it, and the code writes it")


async def test_what_takes_too_long_is_ended_and_what_it_said_until_then_is_known(
    repo: Repository, bare_python: Path, leaves_nothing: None
) -> None:
    train = "import time\nfor i in range(1, 99): print('loss:', 1 / i, flush=True); time.sleep(0.3)\n"
    found, _ = await probing(repo(train), bare_python, limit="1.5 s")
    assert "was not done after 1.5 s" in found.failure and found.metrics[0].name == "loss"


async def test_what_cannot_be_run_at_all_is_said_before_anything_runs(
    repo: Repository, bare_python: Path, tmp_path: Path
) -> None:
    folder = repo("import nonesuch\n", **{"sub/other.py": "pass\n", "sub/other.sh": ":\n"})
    (folder / "new.py").touch()
    for here, words, error, says in (
        (folder, ["python", "new.py"], CannotProbe, "new.py is not committed"),
        (folder, ["python", "other.py"], CannotProbe, "there is sub/other.py"),
        (folder, ["no-such-command"], CannotProbe, "no command no-such-command"),
        (folder, ["nowhere/python", "train.py"], Unusable, "cannot be started"),
        (folder, [str(bare_python), "train.py"], Unusable, "has no nonesuch"),
        (tmp_path, ["python", "train.py"], NoStudy, "not in a git repository"),
    ):
        with pytest.raises(error, match=says):
            await probe(here, words, "9 s", lambda _: None)
    with pytest.raises(CannotProbe, match="--timeout"):
        await probe(folder, [str(bare_python), "sub/other.py"], "soon", lambda _: None)
    git(tmp_path, "init", "-q", "fresh")
    with pytest.raises(CannotProbe, match="no commit yet"):
        await probe(tmp_path / "fresh", ["python", "train.py"], "9 s", lambda _: None)


async def test_changes_that_are_not_committed_are_said(repo: Repository, bare_python: Path) -> None:
    folder = repo("print('loss:', 1.5)\n")
    (folder / "train.py").write_text("print('loss:', 2.5)\n")
    found, said = await probing(folder, bare_python)
    assert found.good[0].metrics == {"loss": 1.5}
    assert "without your changes to train.py" in said and found.dirty == ("train.py",)


async def test_a_probe_that_is_broken_off_leaves_nothing_running_and_the_next_one_is_whole(
    repo: Repository, bare_python: Path, leaves_nothing: None
) -> None:
    folder = repo("import time\nprint('loss: 1', flush=True)\ntime.sleep(60)\n")
    task = asyncio.create_task(probing(folder, bare_python))
    while not list(folder.glob(".git/cockpit/.probe/runs/*/train.log")):
        await asyncio.sleep(0.05)
    with pytest.raises(CannotProbe, match=f"another probe of this repository runs, pid {os.getpid()}"):
        await probing(folder, bare_python)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not processes(folder)
    (folder / "train.py").write_text("print('loss: 1')\n")
    git(folder, "commit", "-qam", "quick")
    assert (await probing(folder, bare_python))[0].good


async def test_the_network_is_there_where_it_is_asked_for_and_nowhere_else(
    repo: Repository, bare_python: Path, bwrap: str
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        train = (
            f"import os, urllib.request as u\nu.urlopen('http://127.0.0.1:{server.server_port}')\nprint('loss:', 1)\n"
        )
        folder = repo(train + "assert 'HF_HUB_OFFLINE' not in os.environ\n")
        assert not (await probing(folder, bare_python))[0].good
        found, _ = await probing(folder, bare_python, network=True)
        assert found.good and found.network
        server.shutdown()


async def test_a_wall_that_is_missing_is_said(repo: Repository, bare_python: Path, no_wall: str) -> None:
    found, said = await probing(repo("print('loss:', 1.5)\n"), bare_python)
    assert found.wall == "none" and f"no wall: {no_wall}" in said


def test_what_cannot_be_read_is_no_probe(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    place = repository(tmp_path)
    assert probed.read(place) is None
    (tmp_path / ".git/cockpit").mkdir()
    for text in ("{", "{}", '{"version": 2}', '{"version": 1, "runs": 3}', "[]"):
        probed.place_of(place).write_text(text)
        assert probed.read(place) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_probe_with_a_sentence_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "train.py").write_text("import time\nprint('loss: 1', flush=True)\ntime.sleep(60)\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    words = [sys.executable, "-m", "cockpit", "probe", str(tmp_path), "--", sys.executable, "train.py"]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        runs = tmp_path / ".git" / "cockpit" / ".probe" / "runs"
        deadline = time.monotonic() + 60
        while not list(runs.glob("*/train.log")) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (
        130, "cockpit: the probe is ended: what it ran has ended with it, and nothing is kept\n"
    )  # fmt: skip
    assert not runs.exists()


def test_what_one_run_alone_has_said_tells_nothing_of_the_seed() -> None:
    def ran(seed: int, **metrics: float) -> Ran:
        return Ran(seed, "ok", "", 1.0, 1.0, None, None, None, None, metrics, {})

    handed = Handed("train.py:SEED", "train.py:1")
    said = _seed(handed, [ran(0, loss=0.5, a=1.0), ran(0, loss=0.5, b=1.0), ran(1, loss=0.6, c=1.0)])
    assert (said.deterministic, said.takes_effect) == (True, True)
    assert _seed(handed, [ran(0, a=1.0), ran(0, b=1.0)]).deterministic is None
