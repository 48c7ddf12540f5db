"""A tree in a folder, and the script beside it that runs it as it was run."""

import subprocess
from pathlib import Path

import pytest

from loop.branches import Branches
from loop.checkout import lay_out
from loop.engine import Limits, research
from loop.evidence import NotDone
from loop.stop import Stop
from store import views
from store.database import Database
from store.place import Place
from store.records import Run
from store.trail import NOWHERE
from tests.conftest import Write, git
from tests.loop.run.test_language import HONEST, TEXT
from tests.loop.test_branches import fingerprint

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import os, sys
from pathlib import Path
RATE = 0.1  # cockpit: 0.001..1.0 log
SEED = 0  # it's the seed
assert not Path("labels").exists()
bias = float(Path("data/bias").read_text())
Path(sys.argv[1], "model").write_text(f"{RATE + bias + SEED % 7 / 10} {os.environ['COCKPIT_SEED']}")
"""
PREDICT = (
    "import sys; from pathlib import Path; Path(sys.argv[1], 'y').write_text(Path(sys.argv[1], 'model').read_text())\n"
)
SCORE = """\
import sys
from pathlib import Path
print("loss:", abs(float(Path(sys.argv[1], "y").read_text().split()[0]) - float(Path("labels/y").read_text())))
"""


@pytest.fixture
async def scored(write: Write) -> Place:
    """A study with all that is lent, sealed and seeded, the baseline and one experiment."""
    run = 'predict = "python predict.py {output}"\nscore = "python score.py {output}"\nseed = "train.py:SEED"'
    place = write(
        TRAIN, run, '[data]\nread = ["data/"]\nsealed = ["labels/"]', {"predict.py": PREDICT, "score.py": SCORE}
    )
    config = place.config.read_text()
    place.config.write_text(config.replace("python train.py", "python train.py {output}"))
    for name, text in {"data/bias": "0.5", "labels/y": "3.0", ".gitignore": "data/\n"}.items():
        (place.root / name).parent.mkdir(exist_ok=True)
        (place.root / name).write_text(text)
    git(place.root, "add", "-A")
    git(place.root, "commit", "-qm", "on")
    await research(place, Limits(experiments=2), Stop())
    return place


async def made(place: Place, number: int) -> list[Run]:
    async with await Database.open(place.folder) as database:
        return await views.runs(database, number)


async def test_the_script_gives_what_was_measured_to_the_last_digit_and_leaves_the_tree_as_it_is(
    scored: Place, tmp_path: Path
) -> None:
    before, folder = fingerprint(scored.root), tmp_path / "it's mine"
    for number in (0, 1, None):
        laid = await lay_out(scored, number, folder, NOWHERE)
        assert git(tmp_path, "-C", str(scored.root), "rev-parse", f"{laid.commit}^{{tree}}").strip() == laid.tree
        listed = git(scored.root, "ls-tree", "-r", "--name-only", laid.tree).split()
        there = sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
        assert there == sorted(listed), "the tree, and nothing else"
        runs = await made(scored, number or 0)
        run = next(run for run in runs if run.id == laid.run)
        assert laid.seed == runs[0].seed, "the first, as a rerun takes it"
        done = subprocess.run(["sh", str(laid.script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"loss: {run.measurements[0].value!r}\n"
        assert (tmp_path / "it's mine.run" / "output" / "model").read_text().endswith(f" {laid.seed}")
        assert "SEED = 0  # it's the seed" in (folder / "train.py").read_text()
        again = subprocess.run(["sh", str(laid.script)], capture_output=True, text=True)
        assert again.stdout == done.stdout, "it can be run again"
        subprocess.run(["rm", "-rf", folder, laid.script, f"{folder}.run"], check=True)
    assert fingerprint(scored.root) == before


async def test_nothing_is_written_over(scored: Place, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "taken.sh").touch()
    (tmp_path / "empty").mkdir()
    for name, why in {"full": "not an empty folder", "taken": "taken.sh is there already"}.items():
        with pytest.raises(NotDone, match=why):
            await lay_out(scored, 0, tmp_path / name, NOWHERE)
    assert not (tmp_path / "taken").exists()
    assert (await lay_out(scored, 0, tmp_path / "empty", NOWHERE)).folder == tmp_path / "empty"


async def test_a_hypothesis_of_several_lines_is_a_comment_and_no_command(scored: Place, tmp_path: Path) -> None:
    async with await Database.open(scored.folder) as database, database.transaction() as change:
        await change.execute("UPDATE proposals SET hypothesis = ? WHERE experiment = 1", "one\nexit 7\r$(exit 8)")
    laid = await lay_out(scored, 1, tmp_path / "tree", NOWHERE)
    assert subprocess.run(["sh", str(laid.script)], capture_output=True).returncode == 0


async def printed(place: Place, number: int, folder: Path) -> str:
    laid = await lay_out(place, number, folder, NOWHERE)
    done = subprocess.run(["sh", str(laid.script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_words_of_the_tree_what_a_fidelity_sets_and_trunks_evaluation_are_those_of_the_run(
    write: Write, tmp_path: Path
) -> None:
    train = """\
import os, sys
from pathlib import Path
STEPS = 9
RATE = 0.1  # cockpit: 0.001..1.0 log
loss = RATE + STEPS + float(sys.argv[1].split("=")[1]) + float(os.environ["COCKPIT_MAX_SECONDS"]) / 100
Path(os.environ["COCKPIT_OUTPUT"], "model").write_text(str(loss))
"""
    evaluate = """\
from pathlib import Path
import sys
assert "STEPS = 3\\n" in Path("train.py").read_text()
print("loss:", float(Path(sys.argv[1], "model").read_text()) + 1000)
"""
    files = {"evaluate.py": evaluate, "cockpit.args": "train: --more=0.5\n"}
    fidelity = "[fidelity]\nquick = { steps = 3, seconds = 7 }\n"
    place = write(train, 'eval = "python evaluate.py {output}"', fidelity, files, deterministic=True)
    await research(place, Limits(experiments=2), Stop())
    (run, *_) = await made(place, 1)
    assert run.fidelity == "quick"
    assert await printed(place, 1, tmp_path / "laid") == f"loss: {run.measurements[0].value!r}\n"


async def test_a_scorer_of_cockpits_own_lies_beside_the_labels(write: Write, tmp_path: Path) -> None:
    predict = "import os; open(os.environ['COCKPIT_OUTPUT'] + '/predictions.csv', 'w').write('prediction\\n1\\n0\\n')\n"
    place = write(
        run='predict = "python predict.py"\nscorer = "classification"',
        more='accuracy = { direction = "maximize" }\n[data]\nlabels = "labels.csv"',
        files={"predict.py": predict, "labels.csv": "label\n1\n1\n"},
    )
    await research(place, Limits(experiments=1), Stop())
    assert "accuracy: 0.5\n" in await printed(place, 0, tmp_path / "laid")


async def test_where_the_place_of_the_seed_is_gone_the_script_says_so_and_stops(write: Write, tmp_path: Path) -> None:
    place = write("SEED = 0\nprint(f'loss: {SEED % 7}')\n", run='seed = "train.py:SEED"')
    await research(place, Limits(experiments=1), Stop())
    async with await Database.open(place.folder) as database:
        one = await views.experiment(database, 0)
        assert one is not None
        branches = await Branches.of(place)
        tree = await branches.tree_with(one.tree, {"train.py": b"print('loss: 1')\n"})
        async with database.transaction() as change:
            await change.execute("UPDATE experiments SET tree = ?", tree)
    laid = await lay_out(place, 0, tmp_path / "laid", NOWHERE)
    done = subprocess.run(["sh", str(laid.script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "train.py: there is no `SEED` any more, where [run] seed puts the seed\n"


async def test_what_is_scored_over_a_pipe_is_made_again_as_well(write: Write, tmp_path: Path) -> None:
    more = 'val_bpb = { direction = "minimize" }\n[data]\nlabels = "{study}/test.txt"'
    run = 'predict = "python predict.py"\nscorer = "causal_lm"'
    place = write(run=run, more=more, files={"predict.py": HONEST, "train.txt": TEXT.decode()[7:5000]})
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "test.txt").write_bytes(TEXT)
    await research(place, Limits(experiments=1), Stop())
    (measured,) = [one for one in (await made(place, 0))[0].measurements if one.objective == "val_bpb"]
    assert f"val_bpb: {measured.value!r}\n" in await printed(place, 0, tmp_path / "laid")
