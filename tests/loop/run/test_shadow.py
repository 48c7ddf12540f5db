"""Where modules come from: the run folder comes first, and an editable file that comes from elsewhere is a failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loop.engine import research
from loop.run import loaded
from loop.run.interpreter import Interpreter
from loop.run.shadow import roots, shadowed, told
from loop.stop import Stop
from store.place import Place
from store.records import Ended, Outcome
from tests.conftest import TRAIN, Write, git
from tests.loop.run.test_sandbox import one_run
from tests.loop.test_engine import ONE

NET = "def loss(): return 1\n"


def venv(place: Place, tmp_path: Path, *paths: Path) -> Path:
    """An environment that imports from these folders, as an editable install makes it; the study's from now on."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "editable.pth").write_text("".join(f"{path}\n" for path in paths))
    lines = place.config.read_text().splitlines()
    text = "\n".join(f'python = "{folder}/bin/python"' if line.startswith("python =") else line for line in lines)
    place.config.write_text(text.replace('edit = ["train.py"]', 'edit = ["train.py", "*/net.py"]'))
    return packages


@pytest.fixture(autouse=True)
def each_interpreter_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from loop.run.interpreter import look

    monkeypatch.setattr("loop.run.bench.look", look)


USES = "import foo.net\nprint('from:', foo.net.__file__)\n" + TRAIN


@pytest.mark.parametrize("where", ["src", "packages/foo", "packages/foo/src"])
async def test_an_editable_install_of_the_repository_runs_what_is_in_the_run_folder(
    write: Write, tmp_path: Path, where: str
) -> None:
    place = write(USES, files={f"{where}/foo/__init__.py": "", f"{where}/foo/net.py": NET})
    venv(place, tmp_path, place.root / where)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    folder = place.folder / run.folder
    assert f"from: {folder}/tree/{where}/foo/net.py" in (folder / "train.log").read_text()
    said = json.loads((folder / "modules.json").read_text())
    assert said["foo.net"] == f"{folder}/tree/{where}/foo/net.py"


async def test_an_editable_file_that_is_loaded_from_the_users_tree_is_the_failure_shadowed(
    write: Write, tmp_path: Path, no_wall: str
) -> None:
    place = write(files={"foo/__init__.py": "", "foo/net.py": NET})
    (place.root / "train.py").write_text(f"import sys\nsys.path.insert(0, {str(place.root)!r})\n" + USES)
    git(place.root, "commit", "-qam", "a path of this machine")
    venv(place, tmp_path)
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    run = await one_run(place)
    assert run.outcome is Outcome.SHADOWED
    assert run.detail.startswith(f"foo/net.py was loaded from {place.root}/foo/net.py, and a proposal that changes it")
    assert run.measurements == ()


@pytest.mark.parametrize(
    ("module", "file", "said"),
    [
        ("foo.net", "RUN/lib/foo/net.py", ""),
        ("foo.net", "/site/foo/net.py", "lib/foo/net.py was loaded from /site/foo/net.py"),
        ("foo", "/site/foo/__init__.py", "lib/foo/__init__.py was loaded from"),
        ("net", "/site/net.py", ""),  # any module may be called so
        ("foo.other", "/site/foo/other.py", ""),
        ("foo.net", "/site/foo/net.so", ""),
        ("foo.net", "/mine/lib/foo/net.py", "install the package with `pip install -e`"),
        ("seen", "/mine/score.py", ""),  # is not editable
    ],
)
def test_what_a_module_stands_for_is_known_by_its_place_or_by_its_package(module: str, file: str, said: str) -> None:
    tree, editable = Path("/runs/1/tree"), ["lib/foo/net.py", "lib/foo/__init__.py"]
    sentence = shadowed({module: file.replace("RUN", str(tree))}, tree, [Path("/mine")], editable)
    assert bool(sentence) is bool(said)
    assert said in sentence


def test_what_is_installed_in_the_repository_is_no_root_of_its_imports() -> None:
    interpreter = Interpreter(
        Path("/mine/.venv/bin/python"), "3.12", {}, (Path("/mine/.venv"),),
        (Path("/mine/.venv/lib/python3.12/site-packages"), Path("/mine/a"), Path("/mine"), Path("/else")),
    )  # fmt: skip
    assert roots([Path("/mine")], interpreter) == ("a", "a/src")


@pytest.mark.parametrize(
    ("words", "at"),
    [
        (["train.py", "--out", "x.py"], 0),
        (["-u", "-W", "ignore.py", "train.py"], 3),
        (["-m", "pkg.train"], 0),
        (["-c", "print(1)", "a.py"], None),
        (["-mtrain", "a.py"], None),
        (["-Wmessage", "-Xmine", "--check-hash-based-pycs=never", "train.py"], 3),
        (["tool", "a.py"], None),
    ],
)
def test_what_is_no_script_is_run_as_it_stands(words: list[str], at: int | None) -> None:
    found = told(words, Path("/run"))
    more = ["/run/loaded.py", "/run/tree.tmp/loaded.json"]
    assert found == (words if at is None else [*words[:at], *more, *words[at:]])


SELF = """
import inspect, multiprocessing, pickle, sys
class Mine: pass
def double(x): return 2 * x
if __name__ == '__main__':
    main = sys.modules['__main__']
    assert pickle.loads(pickle.dumps(Mine())).__class__ is Mine
    assert main.double is double and inspect.getsource(double)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        assert pool.map(double, [2]) == [4]
    print(sys.argv[1:], sys.path[0], __name__, main.__file__, sys.argv[0])
    print(sorted(name for name in globals() if name not in ('pool', 'Mine', 'double', 'main')))
    raise SystemExit(3)
"""


def test_where_python_puts_no_folder_before_its_own_the_script_finds_none_either(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint(sys.path)")
    words: tuple[list[str], ...] = ([], [loaded.__file__, str(tmp_path / "said.json")])
    run = [subprocess.check_output([sys.executable, "-I", *one, str(tmp_path / "script.py")]) for one in words]
    assert run[0] == run[1]


@pytest.mark.parametrize("how", [["sub/script.py"], ["-m", "sub.script"]])
def test_a_script_that_says_what_it_loads_finds_itself_as_ever(tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "script.py").write_text(SELF)
    said: list[tuple[int, str, str]] = []
    for words in (how, [loaded.__file__, "said.json", *how]):
        done = subprocess.run([sys.executable, *words, "a", "-b"], cwd=tmp_path, capture_output=True, text=True)
        said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1]
    assert said[0][0] == 3
    assert json.loads((tmp_path / "said.json").read_text())["__main__"] == str(tmp_path / "sub" / "script.py")
