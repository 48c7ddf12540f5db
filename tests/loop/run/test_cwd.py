"""`[run] cwd`: a script that must run in its own folder does, and all else stays named from the repository's top."""

import json
import subprocess
from pathlib import Path

import pytest

from loop.branches import Branches
from loop.checkout import lay_out
from loop.engine import Limits, research
from loop.plan import by_probe
from loop.propose.prepare import knobs_of
from loop.run.reached import module
from loop.run.stages import scripts, source
from loop.stop import Stop
from loop.study import ConfigError, Settings, read
from loop.survey.probe import probe
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended, Outcome, Source
from store.trail import NOWHERE
from tests.conftest import Write, git

pytestmark = pytest.mark.usefixtures("leaves_nothing")
MAIN = """\
import json, os
from beside import MORE
from pkg.parts import ZERO
RATE = 0.5  # cockpit: 0.1..1.0
assert os.path.basename(os.getcwd()) == "lab", os.getcwd()
loss = RATE + MORE + ZERO + float(open("../data/set.txt").read()) + float(open("own.txt").read())
with open("out.json", "w") as file:
    json.dump({"loss": loss}, file)
with open("model.npy", "wb") as file:
    file.write(b"\\x93NUMPY\\x01\\x00" + (118).to_bytes(2, "little"))
    file.write(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }".ljust(117) + b"\\n" + bytes(24))
"""
FILES = {
    "lab/main.py": MAIN,
    "lab/beside.py": "MORE = 1\n",
    "lab/evaluate.py": "from beside import MORE\nprint('accuracy:', MORE)\n",
    "lab/own.txt": "2",
    "lab/pkg/parts.py": "ZERO = 0\n",
    ".gitignore": "data/\n",
}
RUN = """\
train = "python main.py"
cwd = "lab/"
eval = "python evaluate.py"
artifact = "model.npy"
"""
MORE = """\
accuracy = { direction = "maximize", steers = false }
parameters = { direction = "minimize", steers = false, deterministic = true }
[data]
read = ["data/"]
[model]
name = "none"
"""


@pytest.fixture
def place(write: Write) -> Place:
    place = write(files=FILES, more=MORE, deterministic=True)
    (place.root / "data").mkdir()
    (place.root / "data/set.txt").write_text("3")
    text = place.config.read_text().replace('train = "python train.py"\n', RUN)
    text = text.replace('"train.py"', '"lab/main.py"').replace(
        'loss = { direction = "minimize"', 'loss = { direction = "minimize", from = { file = "out.json" }'
    )
    place.config.write_text(text)
    git(place.root, "commit", "-qam", "in a folder")
    return place


async def test_all_of_a_run_is_in_the_folder_and_places_are_from_the_top(place: Place, tmp_path: Path) -> None:
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        first, other = (await views.runs(database, 0))[0], (await views.runs(database, 1))[0]
        one = await views.experiment(database, 1)
    assert (first.outcome, other.outcome) == (Outcome.OK, Outcome.OK), first.detail
    measured = {one.objective: (one.value, one.source) for one in first.measurements}
    assert measured == {
        "loss": (6.5, Source.REPORTED), "accuracy": (1.0, Source.EVALUATED), "parameters": (3.0, Source.MEASURED),
    }  # fmt: skip
    modules = json.loads((place.folder / first.folder / "modules.json").read_text())
    assert modules["beside"].endswith("/tree/lab/beside.py")
    assert one is not None
    assert [*one.knobs] == ["lab/main.py:RATE"]

    laid = await lay_out(place, 1, tmp_path / "laid", NOWHERE)
    subprocess.run(["sh", str(laid.script)], check=True, capture_output=True)
    again = json.loads((tmp_path / "laid.run/tree/lab/out.json").read_text())
    assert again["loss"] == next(m.value for m in other.measurements if m.objective == "loss")


async def test_a_probe_and_what_follows_from_it_are_of_that_folder(place: Place, bare_python: Path) -> None:
    place.config.rename(place.root / "kept.toml")
    said: list[str] = []
    found = await probe(place.root / "lab", [str(bare_python), "main.py"], "60 s", said.append)
    assert not found.failure, (found.failure, found.said)
    assert (found.command, found.cwd) == (("python", "main.py"), "lab")
    assert found.lent == ("data/",), "`../data` is there, and git does not have it"
    assert [(one.name, one.file) for one in found.metrics] == [("loss", "out.json")]
    (place.root / "kept.toml").rename(place.config)
    settings = read(place.config).settings
    assert by_probe(settings, found).run_seconds
    at_the_top = settings.model_copy(update={"run": settings.run.model_copy(update={"cwd": "."})})
    assert not by_probe(at_the_top, found).run_seconds


@pytest.mark.parametrize(
    ("cwd", "said"),
    [
        ("nowhere", r"cockpit.toml:\d+: `\[run\] cwd`: no file of a folder nowhere is committed; put the folder"),
        ("lab/main.py", r"cockpit.toml:\d+: `\[run\] cwd`: lab/main.py is a file; put the folder"),
        ("data", "no file of a folder data is committed"),
        ("../other", r"cockpit.toml:\d+: `\[run\] cwd`: a path is relative to the repository, and inside it"),
        ("/lab", "a path is relative to the repository"),
    ],
)
async def test_a_folder_that_is_none_is_an_error_with_its_line(place: Place, cwd: str, said: str) -> None:
    place.config.write_text(place.config.read_text().replace('cwd = "lab/"', f'cwd = "{cwd}"'))
    with pytest.raises(ConfigError, match=said):
        await research(place, Limits(experiments=1), Stop())


async def test_flags_of_a_script_in_the_folder_are_found(place: Place) -> None:
    (place.root / "lab/main.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.5)\n"
    )
    git(place.root, "commit", "-qam", "a flag")
    place.config.write_text(place.config.read_text() + '[space.knobs]\n"--lr" = { low = 0.1, high = 1.0 }\n')
    branches = await Branches.of(place, NOWHERE)
    (knob,) = await knobs_of(place, read(place.config), branches, await branches.tree("HEAD"))
    assert (knob.key, knob.default) == ("--lr", 0.5)


def test_what_a_command_names_is_looked_for_from_the_folder_on() -> None:
    files = ["main.py", "lab/main.py", "lab/src/own/go.py", "src/own/go.py", "lab/data.py"]
    assert scripts("python main.py ../main.py", files, "lab") == ["lab/main.py", "main.py"]
    assert scripts("python -m own.go", files, "lab") == ["lab/src/own/go.py", "src/own/go.py"]
    assert scripts("python /main.py", files, "lab") == []
    assert module("data", "lab/deep/x.py", files, "lab") == "lab/data.py"
    words = {"run": {"train": "python a.py", "eval": "python main.py", "cwd": "lab"}}
    tables = {**words, "objectives": {"loss": {"direction": "minimize"}}, "space": {"edit": ["main.py"]}}
    settings = Settings.model_validate(tables)
    assert source(settings, "eval", files) is Source.EVALUATED
    settings = Settings.model_validate({**tables, "space": {"edit": ["lab/*.py"]}})
    assert source(settings, "eval", files) is Source.REPORTED
