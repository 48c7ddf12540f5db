"""`eval`: trunk's own evaluation file, on the candidate's code, in a checkout that training has not seen."""

from pathlib import Path

import pytest

from loop.branches import Branches
from loop.engine import Limits, research
from loop.run.metrics import Wanted, read
from loop.run.stages import source, trunks_own
from loop.stop import Stop
from loop.study import ConfigError, Settings, parse
from store import views
from store.database import Database
from store.place import CONFIG, Place
from store.records import Ended, Outcome, Run, Source
from tests.conftest import TRAIN, Write, git
from tests.loop.test_engine import ONE

pytestmark = pytest.mark.usefixtures("leaves_nothing")
EVAL = 'eval = "python evaluate.py --ckpt {output}"'
EVALUATE = """\
import os, sys
from train import RATE
assert sys.argv[1] == "--ckpt"
print("loss:", float(open(os.path.join(sys.argv[2], "model")).read()) + RATE)
open("results.json", "w").write("{}")
"""
MODEL = TRAIN + "open(os.environ['COCKPIT_OUTPUT'] + '/model', 'w').write('4')\n"


async def runs(place: Place, number: int = 0) -> list[Run]:
    async with await Database.open(place.folder) as database:
        return await views.runs(database, number)


async def test_what_trunks_own_file_says_of_the_candidate_is_evaluated(write: Write) -> None:
    place = write(MODEL, run=EVAL, files={"evaluate.py": EVALUATE})
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    (run,) = await runs(place)
    assert [stage.name for stage in run.stages] == ["train", "eval"]
    (loss,) = run.measurements
    assert (loss.value, loss.source) == (4.1, Source.EVALUATED)
    assert not (place.folder / run.folder / "eval").exists()


@pytest.mark.parametrize(
    "cheat",
    [
        "open('evaluate.py', 'w').write('print(\"loss: 0\")')",
        "open('os.py', 'w').write('print(\"loss: 0\"); raise SystemExit')",
        "open('RATE.py', 'w'); open('train.py', 'w').write('RATE = -9')",
        "os.makedirs('../eval', exist_ok=True); open('../eval/evaluate.py', 'w').write('print(\"loss: 0\")')",
    ],
)
async def test_what_training_writes_into_its_checkout_or_beside_it_does_not_count(
    write: Write, bwrap: str, cheat: str
) -> None:
    place = write(MODEL, run=EVAL, files={"evaluate.py": EVALUATE})
    (place.root / "train.py").write_text(MODEL + f"try:\n    {cheat}\nexcept OSError:\n    pass\n")
    git(place.root, "commit", "-qam", "cheat")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert (await runs(place))[0].measurements[0].value == 4.1


async def test_a_candidate_is_evaluated_on_its_own_code(write: Write) -> None:
    place = write(MODEL, run=EVAL, files={"evaluate.py": EVALUATE}, deterministic=True)
    assert await research(place, Limits(experiments=2), Stop()) is Ended.EXPERIMENTS
    (run, *_) = await runs(place, 1)
    assert run.outcome is Outcome.OK
    assert run.measurements[0].value != 4.1


async def test_where_trunk_has_moved_its_protected_files_stand_in_the_place_of_an_older_candidates(
    write: Write, tmp_path: Path
) -> None:
    place = write(MODEL, files={"evaluate.py": "old", "gone.py": "", "near/kept.py": "same"})
    (place.root / "train.py").write_text("candidate")
    git(place.root, "commit", "-qam", "candidate")
    candidate = git(place.root, "rev-parse", "HEAD^{tree}").strip()
    (place.root / "train.py").write_text("trunk")
    (place.root / "evaluate.py").write_text("new")
    (place.root / "near" / "added.py").write_text("added")
    git(place.root, "rm", "-q", "gone.py")
    git(place.root, "add", "-A")
    git(place.root, "commit", "-qm", "trunk")
    branches = await Branches.of(place)
    trunk = await branches.files("HEAD")
    own = await branches.files(candidate)
    instead = trunks_own(parse(place.config.read_text(), place.config).settings, own, trunk)
    assert instead.keys() == {"evaluate.py", "near/added.py", "gone.py"}
    await branches.check_out(candidate, tmp_path / "eval", without=("near/kept.py",), instead=instead)
    found = {path.relative_to(tmp_path / "eval").as_posix() for path in (tmp_path / "eval").rglob("*.py")}
    assert found == {"train.py", "evaluate.py", "near/added.py"}
    assert (tmp_path / "eval" / "train.py").read_text() == "candidate"
    assert (tmp_path / "eval" / "evaluate.py").read_text() == "new"


def test_an_evaluation_that_a_proposal_may_edit_only_reports(tmp_path: Path) -> None:
    text = f'[run]\ntrain = "python train.py"\n{EVAL}\n[objectives]\nloss = {{ direction = "minimize" }}\n'
    settings = parse(text, tmp_path / CONFIG).settings
    files = ["train.py", "evaluate.py"]
    assert source(settings, "eval", files) is Source.EVALUATED
    open_to_all = parse(f'{text}[space]\nedit = ["*.py"]\n', tmp_path / CONFIG).settings
    assert source(open_to_all, "eval", files) is Source.REPORTED
    assert source(settings, "eval", ["train.py"]) is Source.REPORTED, "a file that is not committed is nobody's"


def test_eval_stands_in_the_place_of_predict_and_score() -> None:
    run = {"train": "x", "predict": "x", "score": "x", "eval": "x"}
    with pytest.raises(ValueError, match="eval stands in the place of predict and score"):
        Settings.model_validate({"run": run, "objectives": {"loss": {"direction": "minimize"}}})
    with pytest.raises(ConfigError, match=r"\{study\} does not stand for anything here"):
        parse('[run]\ntrain = "x"\neval = "x {study}"\n[objectives]\nl = { direction = "minimize" }', Path(CONFIG))


async def test_an_evaluation_that_fails_is_the_run_s_failure(write: Write) -> None:
    place = write(MODEL, run=EVAL, files={"evaluate.py": "raise SystemExit('no checkpoint')"})
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    (run,) = await runs(place)
    assert (run.outcome, run.detail) == (Outcome.CRASH, "eval: exit status 1: no checkpoint")


def test_a_metric_may_stand_in_a_file_that_the_evaluation_leaves_where_it_runs(tmp_path: Path) -> None:
    for name in ("tree", "eval"):
        (tmp_path / name).mkdir()
    (tmp_path / "eval" / "results.json").write_text('{"loss": 3}')
    found = read(tmp_path, {"loss": Wanted("loss", file="results.json")}, ["train", "eval"], 0.0)
    assert found["loss"].value == 3
