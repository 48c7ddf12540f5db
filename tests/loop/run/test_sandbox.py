"""The wall: what runs behind it sees nothing of this machine but its own; where it does not hold, that is said."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import recipes
from loop.engine import research
from loop.run import sandbox
from loop.run.interpreter import Interpreter, look
from loop.run.sandbox import Wall, build
from loop.run.stages import environment
from loop.stop import Stop
from loop.study import ConfigError
from store import views
from store.database import Database
from store.place import Place, find
from store.records import Ended, Outcome, Run
from tests.conftest import TRAIN, Write, cockpit, git
from tests.loop.test_engine import ONE, SCORED

pytestmark = pytest.mark.usefixtures("leaves_nothing")
FILES = {
    "predict.py": "import os; open(os.environ['COCKPIT_OUTPUT'] + '/logits', 'a').write('4')\n",
    "score.py": "import os\nlabel = open('labels/test').read()\n"
    "print('loss:', abs(int(open(os.environ['COCKPIT_OUTPUT'] + '/logits').read()) - int(label)))\n",
    "labels/test": "7",
}


async def one_run(place: Place) -> Run:
    """The last run of the baseline."""
    async with await Database.open(place.folder) as database:
        return (await views.runs(database, 0))[-1]


async def interpreter(python: Path, folder: Path) -> Interpreter:
    return await look(python, [], environment(folder, "tree"))


async def wall_of(place: Place, python: Path, *sealed: Path) -> Wall:
    place.folder.mkdir(parents=True, exist_ok=True)
    variables = environment(place.folder, "tree")
    return await build(place, await interpreter(python, place.folder), [], sealed, variables)


def behind(wall: Wall, place: Place, python: Path, program: str, *, scorer: bool = False) -> str:
    """What a program says that runs behind a wall."""
    folder = place.folder / "runs" / "behind"
    if not folder.exists():
        for name in ("tree", "tree.home", "tree.tmp", "output"):
            (folder / name).mkdir(parents=True)
        wall.furnish(folder / "tree.tmp")
    words = wall.around([str(python), "-c", program], folder, folder / "tree", scorer=scorer)
    env = environment(folder, "tree")
    done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- a run that steals labels ----------------------------------------------------------------------------------------

STEAL = """
import pathlib
folder = pathlib.Path(os.environ['COCKPIT_OUTPUT'])
STOLEN
"""


@pytest.mark.parametrize(
    "steal",
    [
        "print(open('ROOT/labels/test').read())",
        "print(open('STUDY/labels/test').read())",
        "print(next(pathlib.Path('ROOT').rglob('test')).read_text())",
        "print((folder.parent / 'scorer' / 'labels' / 'test').read_text())",
        "import subprocess; subprocess.run(['git', '-C', 'ROOT', 'show', 'HEAD:labels/test'], check=True)",
        "print(next(pathlib.Path('/proc').glob('*/root/STUDY/labels/test')).read_text())",
        "import shutil; shutil.copy('ROOT/.git/index', folder)",
        "pathlib.Path('ROOT/labels/test').write_text('4')",
    ],
)
async def test_a_run_that_steals_labels_fails(write: Write, bwrap: str, steal: str) -> None:
    place = write(run=SCORED, more='[data]\nsealed = ["labels", "{study}/labels"]', files=FILES)
    (place.folder / "labels").mkdir(parents=True)
    (place.folder / "labels" / "test").write_text("7")
    theft = steal.replace("ROOT", str(place.root)).replace("STUDY", str(place.folder))
    (place.root / "train.py").write_text(TRAIN + STEAL.replace("STOLEN", theft))
    git(place.root, "commit", "-qam", "steal")
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    run = await one_run(place)
    assert (run.wall, run.outcome) == ("bwrap", Outcome.CRASH)
    assert "7" not in (place.folder / run.folder / "train.log").read_text().splitlines()
    assert (place.root / "labels" / "test").read_text() == "7"


async def test_labels_handed_to_the_scorer_in_the_place_of_an_output_are_tampering(write: Write) -> None:
    place = write(run=SCORED, more='[data]\nsealed = ["labels"]', files=FILES)
    theft = f"import os; os.symlink('{place.root}/labels/test', os.environ['COCKPIT_OUTPUT'] + '/logits')\n"
    (place.root / "train.py").write_text(TRAIN + theft)
    (place.root / "predict.py").write_text("")
    git(place.root, "commit", "-qam", "steal")
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    run = await one_run(place)
    assert run.outcome is Outcome.TAMPERING
    assert "logits' is a link out of the run's output" in run.detail


async def test_the_scorer_sees_the_labels_through_the_wall(write: Write, bwrap: str) -> None:
    files = {**FILES, ".gitignore": "labels\n"}
    place = write(run=SCORED, more='[data]\nsealed = ["labels"]', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert (run.wall, run.measurements[0].value) == ("bwrap", 3.0)


# --- what is not there -----------------------------------------------------------------------------------------------


async def test_nothing_of_this_machine_is_within_reach(
    write: Write, bare_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    place, home = write(), tmp_path / "home"
    home.mkdir()
    (home / "key").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    wall = await wall_of(place, bare_python)
    assert wall.lack == ""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "s"))
        local.listen()
        program = f"""
import json, os, socket
def could(act):
    try: act()
    except OSError as error: return error.strerror
    return "could"
def unix():
    socket.socket(socket.AF_UNIX).connect({str(tmp_path / "s")!r})
print(json.dumps([
    could(lambda: open({str(home / "key")!r})),
    could(lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 1)),
    could(unix),
    could(lambda: open({str(place.root / "planted")!r}, "w")),
    could(lambda: open({str(place.common_dir / "config")!r})),
    could(lambda: open("/usr/planted", "w")),
    could(lambda: os.kill({os.getpid()}, 0)),
    could(lambda: os.listdir({str(recipes.HERE / "digits")!r})),
    [name for _, name in socket.if_nameindex()],
]))
"""
        said = json.loads(behind(wall, place, bare_python, program))
    assert said == [
        "No such file or directory", "Connection refused", "No such file or directory", "Read-only file system",
        "No such file or directory", "Read-only file system", "No such process", "No such file or directory", ["lo"],
    ]  # fmt: skip


async def test_no_working_tree_of_the_repository_is_within_reach(
    write: Write, tmp_path: Path, bare_python: Path, bwrap: str
) -> None:
    place, linked = write(), tmp_path / "linked"
    git(place.root, "worktree", "add", "-q", str(linked))
    wall = await wall_of(find(linked), bare_python)
    assert {place.root, linked} <= set(wall.covered)
    assert place.root in (await wall_of(place, bare_python)).covered


async def test_no_capability_is_left_to_have_the_root_written(write: Write, bare_python: Path, bwrap: str) -> None:
    place = write()
    wall = await wall_of(place, bare_python)
    program = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')])"
    assert set(behind(wall, place, bare_python, program)) <= set("[]'0, ")


async def test_the_kernels_settings_are_not_to_be_changed(write: Write, bare_python: Path, bwrap: str) -> None:
    """One of them names a program that the kernel starts, as root and outside of the wall."""
    place = write()
    program = """
import ctypes, os
for name in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness"):
    try: open(name, "r+")
    except OSError as error: print(error.strerror)
print(ctypes.CDLL(None).unshare(0x10000000))
"""
    wall = await wall_of(place, bare_python)
    said = behind(wall, place, bare_python, program).splitlines()
    assert set(said[:2]) <= {"Read-only file system", "Permission denied"}
    if sandbox.NO_MORE_NAMESPACES in wall.program:
        assert said[2] == "-1", "a namespace of its own, with all capabilities"


async def test_another_name_of_a_folder_brings_nothing_back(
    write: Write, tmp_path: Path, bwrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `pip install -e` leaves it, where a home or a clone is reached by a link."""
    place = write(files={"labels/a": "7"})
    venv, clone, alias = tmp_path / "venv", tmp_path / "clone", tmp_path / "alias"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (clone / "recipes").mkdir(parents=True)
    (clone / "recipes" / "answers").touch()
    (clone / "library.py").touch()
    monkeypatch.setattr("loop.run.sandbox.ANSWERS", (clone / "recipes",))
    alias.symlink_to(tmp_path)
    packages = next(venv.glob("lib/python3*/site-packages"))
    (packages / "editable.pth").write_text(f"{alias}/study\n{alias}/clone\n")
    program = f"""
import importlib.util, os
def there(name): return os.path.exists(name) and sorted(os.listdir(name))
print(there("{alias}/study/labels"), there("{alias}/study/.git/refs"), there("{alias}/clone/recipes"))
print(bool(importlib.util.find_spec("library")), bool(importlib.util.find_spec("train")))
"""
    for python in (alias / "venv" / "bin" / "python", venv / "bin" / "python"):
        wall = await wall_of(place, python)
        assert wall.lack == ""
        for _ in range(2):  # one stage after another
            assert behind(wall, place, python, program).splitlines() == ["False False []", "True False"]


async def test_labels_that_are_links_to_elsewhere_are_refused(write: Write, tmp_path: Path) -> None:
    place = write(more='[data]\nsealed = ["labels"]', files={"labels/a": "7"})
    (tmp_path / "cache").touch()
    (place.root / "labels" / "b").symlink_to(tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"cockpit.toml:\d+: .*labels/b is a link to .*cache, which runs might read"):
        await research(place, ONE, Stop())


async def test_a_tree_that_is_deeper_than_any_recursion_is_deleted_all_the_same(write: Write) -> None:
    deep = "for _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nos.chmod('.', 0)\n"
    place = write(TRAIN + deep)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert not (place.folder / (await one_run(place)).folder / "tree").exists()


async def test_a_server_of_its_own_is_within_its_reach(write: Write, bare_python: Path, bwrap: str) -> None:
    """Ranks find each other over loopback."""
    place = write()
    program = "import socket; s = socket.create_server(('127.0.0.1', 0))\n"
    program += "print(socket.create_connection(s.getsockname()) and 'reached')"
    assert behind(await wall_of(place, bare_python), place, bare_python, program) == "reached"


# --- what is needed --------------------------------------------------------------------------------------------------


async def test_an_interpreter_in_a_home_is_seen_and_nothing_else_of_the_home(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    place, home = write(), tmp_path / "home"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "envs" / "one")], check=True)
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to("../envs/one/bin/python")  # reached by a link outside of it
    (home / "key").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    for python in (home / "envs" / "one" / "bin" / "python", home / "bin" / "python"):
        wall = await wall_of(place, python)
        assert wall.lack == ""
        program = f"import os, json; print(sorted(os.listdir({str(home)!r})), json.__name__)"
        assert "key" not in behind(wall, place, python, program)


async def test_an_environment_that_is_the_repository_is_seen_and_the_repository_is_not(
    write: Write, bwrap: str
) -> None:
    place = write()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place.root)], check=True)
    python = place.root / "bin" / "python"
    wall = await wall_of(place, python)
    assert wall.lack == ""
    said = behind(wall, place, python, f"import os; print(sorted(os.listdir({str(place.root)!r})))")
    assert "pyvenv.cfg" in said
    assert "train.py" not in said


async def test_an_editable_install_is_seen_but_not_that_of_the_repository_itself(
    write: Write, tmp_path: Path, bwrap: str
) -> None:
    place = write(files={"mine.py": "x = 1"})
    venv, other = tmp_path / "venv", tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    other.mkdir()
    (other / "library.py").write_text("x = 1")
    packages = next(venv.glob("lib/python3*/site-packages"))
    (packages / "editable.pth").write_text(f"{other}\n{place.root}\n")
    python = venv / "bin" / "python"
    wall = await wall_of(place, python)
    program = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('library', 'mine')])"
    assert behind(wall, place, python, program) == "[True, False]"


async def test_the_answers_are_hidden_where_cockpit_is_installed_beside_what_runs(
    write: Write, tmp_path: Path, bwrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, venv = write(), tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    installed = next(venv.glob("lib/python3*/site-packages")) / "recipes"
    (installed / "digits").mkdir(parents=True)
    monkeypatch.setattr("loop.run.sandbox.ANSWERS", (installed,))
    python = venv / "bin" / "python"
    said = behind(await wall_of(place, python), place, python, f"import os; print(os.listdir({str(installed)!r}))")
    assert said == "[]"


async def test_what_is_written_to_the_temporary_folder_is_the_runs_own_and_kept_for_its_next_stage(
    write: Write, bare_python: Path, bwrap: str
) -> None:
    place = write()
    wall = await wall_of(place, bare_python)
    behind(wall, place, bare_python, "open('/tmp/between-stages', 'w').write('x')")
    program = "import tempfile; print(tempfile.gettempdir(), open('/tmp/between-stages').read())"
    assert behind(wall, place, bare_python, program) == "/tmp x"
    assert not Path("/tmp/between-stages").exists()


async def test_data_that_is_lent_can_be_read_and_not_written(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "rows").write_text("2")
    train = TRAIN + (
        "big, small = os.path.expanduser('HOME/big/rows'), 'data/rows'\n"
        "print('loss:', int(open(big).read()) + int(open(small).read()))\n"
        "print('seen:', sorted(os.listdir('data')), os.listdir('data/labels'))\n"
        "for name in (big, small, 'data/new'):\n"
        "    try: open(name, 'a')\n"
        "    except OSError as error: print(error.strerror)\n"
    ).replace("HOME", str(tmp_path))
    files = {".gitignore": "data/*\n!data/kept\n", "data/kept": "", "data/rows": "40", "data/labels/test": "7"}
    place = write(train, more='[data]\nread = ["data", "~/big"]\nsealed = ["data/labels"]', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert run.measurements[0].value == 42.0
    said = (place.folder / run.folder / "train.log").read_text().splitlines()
    assert "seen: ['kept', 'labels', 'rows'] []" in said
    assert said.count("Read-only file system") == 3
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await one_run(place)).id == run.id, "nothing has changed"
    (place.root / "data" / "rows").write_text("41")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await one_run(place)).measurements[0].value == 43.0, "other data is another bench"


async def test_data_that_is_lent_is_there_for_the_scorer_with_what_is_sealed_of_it(write: Write, bwrap: str) -> None:
    score = "print('loss:', int(open('data/rows').read()) + int(open('data/labels/test').read()))\n"
    files = {**FILES, "score.py": score, ".gitignore": "data\n", "data/rows": "40", "data/labels/test": "2"}
    place = write(run=SCORED, more='[data]\nread = ["data"]\nsealed = ["data/labels"]', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await one_run(place)).measurements[0].value == 42.0


async def test_without_a_wall_nothing_is_lent_that_holds_labels(write: Write, no_wall: str) -> None:
    place = write(more='[data]\nread = ["data"]\nsealed = ["data/labels"]', files={"data/labels/test": "7"})
    with pytest.raises(ConfigError, match=r"`\[data\] sealed`: data/labels lies in what `read` lends.*no namespaces"):
        await research(place, ONE, Stop())


async def test_a_program_that_is_not_there_behind_the_wall_is_said_before_anything_runs(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    tool = tmp_path / "home" / "bin" / "trainer"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho loss: 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    place = write()
    config = place.config.read_text()
    place.config.write_text(config.replace("python train.py", "trainer --fast"))
    with pytest.raises(ConfigError, match=rf"cockpit\.toml: `\[run\] train`: {tool} is not there behind the wall"):
        await research(place, ONE, Stop())
    place.config.write_text(config.replace("python train.py", "sh -c 'echo loss: 1'"))
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS


# --- where there is none ---------------------------------------------------------------------------------------------


async def test_a_wall_that_does_not_hold_is_none(write: Write, bare_python: Path, tmp_path: Path, no_wall: str) -> None:
    place = write()
    assert (await wall_of(place, bare_python)).lack == no_wall
    through = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
    (tmp_path / "no-wall" / "bwrap").write_text(through)
    wall = await wall_of(place, bare_python)
    assert not wall
    assert wall.lack.startswith("bwrap does not hold here: what runs could ")
    assert "read the study's folder, write into the repository, reach a server of this machine" in wall.lack
    assert list(place.folder.glob("wall-*")) == []
    assert behind(wall, place, bare_python, "print('runs all the same')") == "runs all the same"


async def test_without_bubblewrap_the_command_that_brings_it_is_named(
    write: Write, bare_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`apt install bubblewrap`" in (await wall_of(place, bare_python)).lack


def test_where_there_is_no_wall_every_face_says_so_and_why(write: Write, no_wall: str) -> None:
    place = write()
    said = cockpit("--batch", "--experiments", "1", str(place.root))
    assert "no wall: what runs can read your files and reach the network" in said.stdout
    assert no_wall in said.stdout
    for words in ("wall none", f"no wall: {no_wall}"):
        assert words in cockpit("status", str(place.root)).stdout
    assert "wall none" in cockpit("show", "e0000", str(place.root)).stdout
    status = json.loads(cockpit("status", "--json", str(place.root)).stdout)
    assert (status["wall"], status["no_wall"]) == ("none", no_wall)
    (run,) = json.loads(cockpit("show", "e0000", "--json", str(place.root)).stdout)["runs"]
    assert run["wall"] == "none"
