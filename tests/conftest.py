"""What the tests share: throw-away repositories with a study in them, and an interpreter that has nothing installed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from loop.run import devices
from store.place import Place, find
from tests.lives import Asked, typed

settings.register_profile("cockpit", deadline=None)  # speed is no test: a machine may be busy
settings.load_profile("cockpit")
IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
}
TRAIN = """\
import os
RATE = 0.1  # cockpit: 0.001..1.0 log
print(f"loss: {RATE + int(os.environ['COCKPIT_SEED']) % 7}")
"""


def git(folder: Path, *words: str) -> str:
    """Run git as a user would."""
    done = subprocess.run(["git", *words], cwd=folder, env={**os.environ, **IDENTITY}, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no worker is left with one when the others have done."""
    items.sort(key=lambda item: item.path.name not in ("test_digits.py", "test_real.py"))


@pytest.fixture(autouse=True)
def no_model_that_happens_to_be_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What proposes is what the test says, whatever this machine has installed."""
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")


@pytest.fixture(scope="session", autouse=True)
def no_page_of_this_job() -> None:
    """Where CI shows a page for a job, the studies of tests are not on it."""
    os.environ.pop("GITHUB_STEP_SUMMARY", None)


@pytest.fixture(scope="session", autouse=True)
def no_configuration_of_who_runs_this() -> None:
    """Keys and colours are as they come, whoever runs the tests."""
    os.environ["XDG_CONFIG_HOME"] = "/nonexistent"


@pytest.fixture(scope="session", autouse=True)
def what_is_compiled_is_kept() -> None:
    """Tests start hundreds of processes of ours: none of them compiles anew what another one has compiled."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the standard library alone: it starts in 20 ms, and there is no Accelerate to ask."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def asked_once(bare_python: Path) -> Asked:
    """What the bare Python has."""
    return Asked(str(bare_python), {})


@pytest.fixture(autouse=True)
def a_bare_python_is_asked_once(monkeypatch: pytest.MonkeyPatch, asked_once: Asked) -> None:
    """Hundreds of engines begin with it, and it says the same to each."""
    monkeypatch.setattr("loop.run.bench.look", asked_once)


@pytest.fixture(scope="session")
def bwrap() -> str:
    """The program that makes walls. Without one that works a test is skipped, but not where CI has to see it."""
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    program = shutil.which("bwrap")
    if program and subprocess.run([program, *words], capture_output=True).returncode == 0:
        return program
    if os.environ.get("CI") == "true":
        pytest.fail("there is no bubblewrap that works here: `apt install bubblewrap`")
    pytest.skip("needs a bubblewrap that works")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of the pretended driver. Without a compiler a test is skipped, but not where CI has to see it."""
    file = tmp_path_factory.mktemp("driver") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("fake_nvml.c")
    if compiler := shutil.which("cc"):
        subprocess.run([compiler, "-Wall", "-Werror", "-shared", "-fPIC", "-o", file, source, "-ldl"], check=True)
        return file
    if os.environ.get("CI") == "true":
        pytest.fail("there is no C compiler here: `apt install gcc libc6-dev`")
    pytest.skip("needs a C compiler")


Driver = Callable[..., None]


@pytest.fixture
def driver(tmp_path_factory: pytest.TempPathFactory, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A machine with a GPU whose driver is pretended: `driver(energy=3)` says what it answers (fake_nvml.c)."""
    folder = tmp_path_factory.mktemp("gpu")
    for name in ("libnvidia-ml.so.1", "libcuda.so.1"):
        shutil.copy(compiled, folder / name)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)

    def says(**words: int) -> None:
        (folder / "driver.new").write_text("".join(f"{word} {number}\n" for word, number in words.items()))
        (folder / "driver.new").replace(folder / "driver")
        monkeypatch.setattr(devices, "gpus", lambda: ["Pretended"] * words.get("gpus", 1))

    says()
    return says


Write = Callable[..., Place]


@pytest.fixture
def write(tmp_path: Path, bare_python: Path) -> Write:
    """Make a repository with a study in it: `write(train=..., run=..., more=..., **files)`."""

    def make(
        train: str = TRAIN,
        run: str = "",
        more: str = "",
        files: dict[str, str] | None = None,
        deterministic: bool = False,
    ) -> Place:
        folder = tmp_path / "study"
        folder.mkdir()
        (folder / "train.py").write_text(train)
        (folder / "cockpit.toml").write_text(
            f"""\
[study]
name = "tried"
goal = "Lower the loss"
[space]
edit = ["train.py"]
[run]
train = "python train.py"
timeout = "20 s"
python = "{bare_python}"
{run}
[objectives]
loss = {{ direction = "minimize"{", deterministic = true" if deterministic else ""} }}
{more}
"""
        )
        for name, text in (files or {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "base")
        return find(folder)

    return make


Kept = Callable[[str, Place], bool]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A study that many tests begin with is made once: `kept(name, place)` is true where it was made before.

    Then it stands in the place. Else it is made by the test, and `kept(name, place)` again keeps a copy.
    """
    folder, asked = tmp_path_factory.mktemp("kept"), set[str]()

    def give(name: str, place: Place) -> bool:
        if (folder / name).exists():
            shutil.rmtree(place.root)
            shutil.copytree(folder / name, place.root, symlinks=True)
            return True
        if name in asked:
            shutil.copytree(place.root, folder / name, symlinks=True)
        asked.add(name)
        return False

    return give


def cockpit(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user types it."""
    return typed(*words, **IDENTITY, **variables)


def processes(folder: Path) -> list[str]:
    """The living processes that stand in a folder or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            where = str((process / "cwd").readlink())
        except OSError:
            continue
        if int(process.name) != os.getpid() and (str(folder) in line or str(folder) in where):
            found.append(f"{process.name}: {line} in {where}")
    return found


@pytest.fixture
def no_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine on which no wall can be made. The reason that is said."""
    folder = tmp_path / "no-wall"
    folder.mkdir()
    (folder / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no namespaces' >&2; exit 1\n")
    (folder / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return "bwrap does not work: bwrap: no namespaces"


@pytest.fixture
def leaves_nothing(tmp_path: Path) -> Iterator[None]:
    """After the test, and a moment for the last to say its word, no process stands in its folder or names it."""
    yield
    deadline = time.monotonic() + 5
    while (left := processes(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
