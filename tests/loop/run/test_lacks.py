"""What the baseline misses is named with the line of cockpit.toml that lends it."""

from pathlib import Path

import pytest

from loop.engine import research
from loop.run.lacks import named
from loop.run.sandbox import Wall
from loop.stop import Stop
from loop.study import parse
from store.place import Place
from store.records import Ended
from tests.conftest import TRAIN, Write
from tests.loop.run.test_sandbox import one_run
from tests.loop.test_engine import ONE

TEXT = (
    '[run]\ntrain = "python train.py"\n[objectives]\nloss = { direction = "minimize" }\n[data]\nsealed = ["labels"]\n'
)
COMMITTED = ["train.py", "data/tiny/prepare.py"]
LOG = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n'
NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: "


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A repository with data that git ignores, and a home with more."""
    root, home = tmp_path / "tree", tmp_path / "home"
    for name in ("data/tiny/train.bin", "data/tiny/val.bin", "images/a/1.png", "labels/test"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (home / "rows").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return Place(root, root / ".git", root / ".git", "tried")


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("'images/a/1.png'", 'images/ is in your working tree and not committed, .*add `[data] read = ["images/"]`'),
        ("'RUN/tree/images/a'", 'add `[data] read = ["images/"]`'),
        ("'data/tiny/train.bin'", 'add `[data] read = ["data/tiny/train.bin", "data/tiny/val.bin"]`'),
        ("'HOME/rows'", 'rows is on this machine, out of a run\'s sight, .*add `[data] read = ["HOME/rows"]`'),
        ("'RUN/tree.home/rows'", 'let the script name the whole path, and add `[data] read = ["HOME/rows"]`'),
        ("'labels/test'", ""),  # is sealed
        ("'nowhere'", ""),
        ("'train.py'", ""),  # is there
        ("'a\\0b'", ""),
        ("'RUN/output'", ""),  # is the run's own
        ("'..'", ""),
        ("'ROOT/.git/cockpit/tried/labels'", ""),
        ("'ROOT/..'", ""),  # would bring the repository with it
        ("'/usr/bin/env'", ""),  # is behind the wall, too
    ],
)
def test_what_the_unchanged_code_misses_is_named_with_what_lends_it(
    place: Place, tmp_path: Path, said: str, mend: str
) -> None:
    run = place.folder / "runs" / "1"
    (run / "output").mkdir(parents=True)
    (place.folder / "labels").touch()

    def filled(text: str) -> str:
        return text.replace("RUN", str(run)).replace("HOME", str(tmp_path / "home")).replace("ROOT", str(place.root))

    log = LOG + NO_FILE + filled(said).replace("\\0", "\0") + "\n"
    wall = Wall("bwrap", covered=(tmp_path,))
    sentence = named(log, place, parse(TEXT, place.config), wall, run, COMMITTED)
    assert bool(sentence) is bool(mend)
    assert all(part in sentence for part in filled(mend).split(".*"))


def test_what_is_lent_already_stays_in_the_line(place: Place) -> None:
    revision, wall = parse(TEXT + 'read = ["~/rows", "./data"]\n', place.config), Wall("bwrap", covered=(Path("/"),))

    def says(path: str) -> str:
        return named(f"{NO_FILE}'{path}'", place, revision, wall, Path("/runs/1"), COMMITTED)

    assert says("images/b") == "", "there is no such file for the user either"
    assert says("images/a").endswith(f'change `[data] read = ["~/rows", "./data", "images/"]`, {place.config}:7')
    for path in ("data/tiny/train.bin", str(place.root.parent / "home" / "rows")):
        assert says(path) == "", "it is lent already"


async def test_a_baseline_that_misses_its_data_says_which_line_to_add(write: Write) -> None:
    place = write("print(open('data/rows').read())\n" + TRAIN, files={".gitignore": "data/\n", "data/rows": "1"})
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    detail = (await one_run(place)).detail
    assert detail.startswith("train: exit status 1: FileNotFoundError:")
    assert 'add `[data] read = ["data/"]`' in detail


@pytest.mark.parametrize("said", ["model.pt", "RUN/tree/model.pt", "ROOT/model.pt"])
def test_what_is_lent_and_has_to_be_written_is_named_with_the_line_that_lends_it(place: Place, said: str) -> None:
    run = place.folder / "runs" / "1"
    path = said.replace("RUN", str(run)).replace("ROOT", str(place.root))
    text = TEXT + 'read = ["images/", "model.pt"]\n'
    log = f"{LOG}OSError: [Errno 30] Read-only file system: '{path}'\n"
    sentence = named(log, place, parse(text, place.config), Wall("bwrap"), run, COMMITTED)
    assert sentence.startswith(
        'model.pt is lent read-only, and the code writes it: take "model.pt" out of `[data] read`'
    )
    assert sentence.endswith("cockpit.toml:7")
    assert not named(log.replace("model", "other"), place, parse(text, place.config), Wall("bwrap"), run, COMMITTED)
