"""Of five repositories in the style of real ones it is found what trains, what may be moved and what is measured."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from loop.branches import Branches
from loop.propose.prepare import knobs_of
from loop.run.bench import reach
from loop.study import read
from loop.survey.found import Survey
from loop.survey.interpreter import _places
from loop.survey.sources import Sources
from tests.conftest import Write
from tests.loop.survey.conftest import Surveyed, survey
from tests.repositories import COMMANDS, NAMES, made


@dataclass(frozen=True)
class Expected:
    knobs: set[str]  # that are proposed
    left: set[str]  # as comments
    seed: str
    metric: tuple[str, str]
    lent: set[str]
    edit: set[str]
    length: str
    script: str = "train.py"


EXPECTED = {
    "nanogpt": Expected(
        knobs={
            *("config/train_tiny.py:learning_rate", "train.py:weight_decay", "train.py:min_lr", "train.py:grad_clip"),
            *("train.py:warmup_iters", "train.py:bias", "train.py:decay_lr"),
        },
        left={"train.py:batch_size", "train.py:block_size"},
        seed="train.py:random.seed()",
        metric=("val_loss", "minimize"),
        lent={"data/tiny/train.bin", "data/tiny/val.bin"},
        edit={"train.py", "model.py"},
        length="config/train_tiny.py:max_iters",
    ),
    "checkpoint": Expected(
        knobs={"--lr", "--wd", "--batch-size", "--momentum", "--optimizer", "--degree", "--nesterov"},
        left=set(),
        seed="--seed {seed}",
        metric=("val_acc", "maximize"),
        lent={"data/"},
        edit={"train.py"},
        length="--epochs",
    ),
    "trainer": Expected(
        knobs={
            *("--learning_rate", "--weight_decay", "--label_smoothing_factor", "--adam_beta1", "--adam_beta2"),
            *("--max_grad_norm", "--gradient_accumulation_steps", "--per_device_train_batch_size"),
            *("train.py:ModelArguments.dropout", "train.py:ModelArguments.hidden_size"),
        },
        left=set(),
        seed="--seed {seed}",
        metric=("eval_loss", "minimize"),
        lent=set(),
        edit={"train.py", "modeling.py"},
        length="--num_train_epochs",
    ),
    "vision": Expected(
        knobs={
            *("conf/optim/sgd.yaml:lr", "conf/optim/sgd.yaml:weight_decay", "conf/config.yaml:augment.noise"),
            "augment.py:augmented.flip_prob",
        },
        left=set(),
        seed="seed={seed}",
        metric=("test_acc", "maximize"),
        lent={"data/"},
        edit={"train.py", "augment.py"},
        length="conf/config.yaml:trainer.max_epochs",
    ),
    "package": Expected(
        knobs={
            *(f"src/tinylab/config.py:TrainConfig.{name}" for name in ("lr", "hidden", "dropout", "activation")),
            "src/tinylab/model.py:Net.__init__.init_scale",
        },
        left=set(),
        seed="src/tinylab/config.py:TrainConfig.seed",
        metric=("val_rmse", "minimize"),
        lent=set(),
        edit={"src/tinylab/train.py", "src/tinylab/model.py"},
        length="src/tinylab/config.py:TrainConfig.steps",
        script="src/tinylab/train.py",
    ),
}


@pytest.fixture(scope="module", params=NAMES)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Survey]:
    name: str = request.param
    folder = made(name, tmp_path_factory.mktemp("repositories") / name)
    return name, folder, survey(folder, *COMMANDS[name])


def test_what_is_found_of_a_repository_is_what_its_owner_would_say(one: tuple[str, Path, Survey]) -> None:
    name, folder, found = one
    expected = EXPECTED[name]
    assert found.train.script == expected.script
    assert {guess.key for guess in found.knobs if not guess.held} == expected.knobs
    assert {guess.key for guess in found.knobs if guess.held} == expected.left
    assert found.seed.said == expected.seed
    assert (found.metrics[0].metric.name, found.metrics[0].metric.direction) == expected.metric
    assert {lent.path for lent in found.lent} == expected.lent
    assert set(found.editable) == expected.edit
    assert found.lengths[0].key == expected.length
    assert found.python.path == folder / ".venv/bin/python"
    assert found.python.missing == ()


def test_each_guess_stands_where_its_evidence_says(one: tuple[str, Path, Survey]) -> None:
    name, folder, found = one
    for guess in found.knobs:
        line = (folder / guess.seen.path).read_text().splitlines()[guess.seen.line - 1]
        if not guess.key.startswith("--") or name != "trainer":  # whose flags are the library's own
            assert guess.key.strip("-").split(":")[-1].split(".")[-1] in line


def test_an_evaluation_and_a_resume_are_said(one: tuple[str, Path, Survey]) -> None:
    name, _, found = one
    assert found.evaluations == (("evaluate.py",) if name == "checkpoint" else ())
    assert bool(found.resumes) == (name in ("checkpoint", "nanogpt"))


def test_without_a_command_the_script_is_found(one: tuple[str, Path, Survey]) -> None:
    _, folder, found = one
    assert survey(folder).train.script == found.train.script


# --- what is peculiar ------------------------------------------------------------------------------------------------

TRAIN = 'print(f"val_loss: {0.1}")\nfor step in range(3):\n    model.step()\n'


def test_a_flag_of_the_command_counts_more_than_its_default_and_than_a_global_of_that_name(surveyed: Surveyed) -> None:
    text = "learning_rate = 0.1\ndropout = 0.2\nprint('val_loss:', learning_rate + dropout)\n"
    found = surveyed({"train.py": text}, "python", "train.py", "--learning_rate=0.5")
    assert {guess.key: guess.value for guess in found.knobs} == {"--learning_rate": 0.5, "train.py:dropout": 0.2}


def test_a_setting_that_a_call_hands_over_is_a_knob_in_that_call(surveyed: Surveyed) -> None:
    text = (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: int = 64\n    dropout: float = 0.1\n"
        "def fit(lr=0.1, momentum=0.9):\n    return lr * momentum\n"
        "c = Config(width=32)\nprint('val_loss:', fit(0.2) + c.width + c.dropout)\n"
    )
    found = surveyed({"train.py": text}, "python", "train.py")
    keys = {"train.py:Config.dropout", "train.py:fit.momentum", "train.py:Config(width)"}
    assert {guess.key for guess in found.knobs} == keys


MNIST = """\
import torch
from torch import nn, optim
from torch.utils.data import DataLoader
import matplotlib.pyplot as plt

class Net(nn.Module):
    def __init__(self):
        self.drop = nn.Dropout(0.25)
        self.late = nn.Dropout(0.25)
        self.head = nn.Linear(128, 10, bias=False)

def make_optimizer(model):
    return optim.Adadelta(model.parameters(), lr=1.0, rho=0.9)

def test(model, loader):
    return smoothed(model, loader, smoothing=0.2)

torch.manual_seed(1)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True, num_workers=4, pin_memory=True)
test_loader = torch.utils.data.DataLoader(test_set, batch_size=1000)
optimizer = make_optimizer(Net())
scheduler = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
plt.plot(losses, alpha=0.5, width=2)
x = torch.randn(4, size=8).softmax(x, dim=1) + torch.softmax(x, dim=1)
optim.Adam(model.parameters(), 1e-3)
print("val_loss:", test(Net(), test_loader))
"""


def test_what_moves_results_is_found_where_a_call_is_given_it(surveyed: Surveyed) -> None:
    found = surveyed({"train.py": MNIST}, "python", "train.py")
    free = {guess.key.partition(":")[2]: guess.seen.line for guess in found.knobs if not guess.held}
    assert free == {
        "optim.Adadelta(lr)": 13, "optim.Adadelta(rho)": 13, "nn.Dropout()": 8, "DataLoader(batch_size)": 19,
        "optim.lr_scheduler.StepLR(gamma)": 22, "optim.Adam()": 25,
    }  # fmt: skip
    held = {guess.key.partition(":")[2]: guess.held for guess in found.knobs if guess.held}
    assert held.keys() == {"torch.utils.data.DataLoader(batch_size)", "smoothed(smoothing)"}
    assert held["torch.utils.data.DataLoader(batch_size)"] == "what evaluates is given it too, train.py:20"
    assert found.seed.said == "train.py:torch.manual_seed()"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("import torch\ntorch.manual_seed(1337)", "train.py:torch.manual_seed()"),
        ("import numpy as np, random\nnp.random.seed(1)\nrandom.seed(1)", "train.py:np.random.seed()"),
        ("SEED = 3\nprint(SEED)", "train.py:SEED"),
        ("import os\nos.environ['COCKPIT_SEED']", None),
        ("", None),
    ],
)
def test_a_seed_is_found_where_it_is_set(surveyed: Surveyed, call: str, said: str | None) -> None:
    found = surveyed({"train.py": f"{call}\n{TRAIN}"}, "python", "train.py")
    assert found.seed.said == said
    assert bool(found.seed.hard_coded) == (said is not None and said.endswith("()"))


@pytest.mark.parametrize(
    ("line", "name", "direction"),
    [
        ("print('Epoch %d, valid accuracy %.3f' % (epoch, acc))", "valid_accuracy", "maximize"),
        ("print('test RMSE: {:.4f}'.format(x))", "test_rmse", "minimize"),
        ("logging.info('iter %d val ppl %f', i, ppl)", "val_ppl", "minimize"),
        ("print('val loss', loss.item())", "val_loss", "minimize"),
        ("print(json.dumps({'step': step, 'eval_f1': f1}))", "eval_f1", "maximize"),
        ("wandb.log({'val/loss': loss, 'lr': lr})", "val_loss", "minimize"),
        ("writer.add_scalar('Accuracy/val', acc, step)", "accuracy_val", "maximize"),
        ("bar.set_postfix(loss=loss)", "loss", "minimize"),
    ],
)
def test_what_is_said_is_a_metric_with_its_direction(surveyed: Surveyed, line: str, name: str, direction: str) -> None:
    found = surveyed({"train.py": f"{line}\n"}, "python", "train.py")
    assert (found.metrics[0].metric.name, found.metrics[0].metric.direction) == (name, direction)


def test_what_starts_a_python_is_left_out_and_that_is_said(surveyed: Surveyed) -> None:
    found = surveyed({"train.py": TRAIN}, "uv", "run", "--extra", "gpu", "accelerate", "launch", "train.py", "--x", "1")
    assert found.train.text == "python train.py --x 1"
    assert [note.split(" is left out")[0] for note in found.notes] == ["`uv run`", "`accelerate launch`"]


def test_only_data_that_the_code_names_is_lent_and_nothing_that_it_writes(surveyed: Surveyed) -> None:
    text = "import os\nos.makedirs('made', exist_ok=True)\nopen('sets/a.csv')\nopen('loose.csv')\n" + TRAIN
    here = {"sets/a.csv": "1", "other/b.csv": "1", "made/c": "1", "runs/d": "1", "loose.csv": "1"}
    ignored = "sets/\nother/\nmade/\nruns/\n"
    found = surveyed({"train.py": text, ".gitignore": ignored}, "python", "train.py", here=here)
    assert {one.path: one.evidence.partition(", ")[2] for one in found.lent} == {
        "sets/": "ignored by git; train.py:3",
        "loose.csv": "not committed; train.py:4",
    }


def test_what_a_script_writes_by_a_flag_or_an_open_file_is_not_lent(surveyed: Surveyed) -> None:
    text = (
        "import argparse, torch\nfrom pathlib import Path\np = argparse.ArgumentParser()\n"
        "p.add_argument('--save', default='model.pt')\np.add_argument('--resume-from-checkpoint', default='old.pt')\n"
        "p.add_argument('--vocab', default='vocab.pt')\nargs = p.parse_args()\n"
        "keep(args.save)\nPath('log.txt').open('w')\nPath('best.txt').write_text('1')\nopen('in.pt', 'rb')\n" + TRAIN
    )
    here = dict.fromkeys(("model.pt", "old.pt", "vocab.pt", "log.txt", "best.txt", "in.pt"), "1")
    found = surveyed({"train.py": text, ".gitignore": "*.pt\n"}, "python", "train.py", here=here)
    assert {one.path for one in found.lent} == {"old.pt", "vocab.pt", "in.pt"}


def test_a_large_folder_is_not_walked_to_its_end(surveyed: Surveyed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loop.survey.folders.MOST_ENTRIES", 5)
    here = {f"data/{number}": "12345" for number in range(20)}
    found = surveyed({"train.py": f"open('data/1')\n{TRAIN}", ".gitignore": "data/\n"}, "python", "train.py", here=here)
    assert [one.evidence for one in found.lent] == ["more than 25 B, ignored by git; train.py:1"]


def test_what_git_lfs_keeps_is_lent_as_the_user_has_it(surveyed: Surveyed) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    files = {"train.py": f"open('set.bin')\n{TRAIN}", ".gitattributes": "*.bin filter=lfs -text\n", "set.bin": pointer}
    found = surveyed(files, "python", "train.py", here={"set.bin": "whole"})
    assert [one.path for one in found.lent] == ["set.bin"]
    assert any("set.bin is kept by Git LFS" in note and "yours is lent" in note for note in found.notes)


def test_a_pointer_of_git_lfs_is_said_to_be_one(surveyed: Surveyed) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    files = {"train.py": f"open('set.bin')\n{TRAIN}", ".gitattributes": "*.bin filter=lfs -text\n", "set.bin": pointer}
    found = surveyed(files, "python", "train.py")
    assert not found.lent
    assert any("`git lfs pull`" in note for note in found.notes)


@pytest.mark.parametrize(
    ("words", "inside", "command", "cwd"),
    [
        (("python", "train.py"), "lab/", "python train.py", "lab"),
        ((), "lab/", "python train.py", "lab"),
        (("python", "-m", "train"), "lab/", "python -m train", "lab"),
        (("python", "lab/train.py"), "lab/", "python lab/train.py", "."),
        (("python", "lab/train.py"), "", "python lab/train.py", "."),
    ],
)
def test_a_script_is_run_where_its_command_was_typed(
    surveyed: Surveyed, words: tuple[str, ...], inside: str, command: str, cwd: str
) -> None:
    found = surveyed({"lab/train.py": f"{TRAIN}model.fit()\n"}, *words, inside=inside)
    assert (found.train.text, found.train.cwd, found.train.script) == (command, cwd, "lab/train.py")


@pytest.mark.parametrize(
    ("text", "words", "here", "cwd"),
    [
        ("open('own.txt')", ("lab/train.py",), {}, "lab"),
        ("open('../data/x')", ("lab/train.py", "--lr", "0.1"), {"data/x": "1"}, "lab"),
        ("open('own.txt'), open('data/x')", ("lab/train.py",), {"data/x": "1"}, "."),
        ("open('own.txt')", ("lab/train.py", "--data=data/x"), {"data/x": "1"}, "."),
        ("open(os.path.dirname(__file__) + '/own.txt')", ("lab/train.py",), {}, "."),
        ("print('no.txt', 'lab', '.', '..')", ("lab/train.py",), {}, "."),
        ("print('train.py')", ("lab/train.py",), {}, "."),
        ("os.makedirs('made/', exist_ok=True)", ("lab/train.py",), {"lab/made/x": "1"}, "."),
        ("open('own.txt'), os.listdir('data')", ("lab/train.py",), {"data/x": "1"}, "."),
    ],
)
def test_a_script_whose_files_are_beside_it_alone_is_run_in_its_folder(
    surveyed: Surveyed, text: str, words: tuple[str, ...], here: dict[str, str], cwd: str
) -> None:
    files = {"lab/train.py": f"import os\n{text}\n{TRAIN}", "lab/own.txt": "1", ".gitignore": "data/\n"}
    found = surveyed(files, "python", *words, here=here)
    assert found.train.cwd == cwd
    assert found.train.words[1] == ("train.py" if cwd == "lab" else "lab/train.py")
    assert found.train.cwd_evidence.startswith("lab/train.py:2: ") == (cwd == "lab")
    if "data/" in text:
        assert [one.path for one in found.lent] == ["data/"]


def test_choices_are_those_that_the_code_compares_with(surveyed: Surveyed) -> None:
    text = "ACT = 'relu'\nif ACT == 'relu':\n    pass\nelif ACT == 'gelu':\n    pass\n" + TRAIN
    found = surveyed({"train.py": text}, "python", "train.py")
    assert [(one.key, one.bounds) for one in found.knobs] == [("train.py:ACT", {"choices": ("relu", "gelu")})]


def test_what_evaluates_what_a_loop_sets_anew_and_what_is_given_by_its_place_is_no_knob(surveyed: Surveyed) -> None:
    text = (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    dropout: float = 0.1\n    width: int = 64\n"
        "best = 1e9\nlr = 0.1\nscale = 2.0\ndef evaluate(temperature=1.0):\n    return temperature\n"
        "def more():\n    global scale\n    scale = 3.0\n"
        "c = Config(0.3)\nfor step in range(3):\n    best = min(best, evaluate() * scale)\n    lr *= 0.9\n"
        "    print(lr)\nprint('val_loss:', best + c.dropout + c.width)\n"
    )
    found = surveyed({"train.py": text}, "python", "train.py")
    assert {guess.key for guess in found.knobs if not guess.held} == {"train.py:Config.width", "train.py:lr"}


@pytest.mark.parametrize(
    ("train", "path"),
    [
        ("from lib.opts import get\n", "lib/opts.py"),
        ("import lab.opts\n", "src/lab/opts.py"),
        ("from own import get\n", "own/__init__.py"),
    ],
)
async def test_a_flag_that_another_file_declares_is_a_knob_of_the_study_too(
    write: Write, train: str, path: str
) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
    more = '[space.knobs]\n"--lr" = { low = 0.01, high = 1.0 }\n'
    place = write(train, more=more, files={path: text})
    branches = await Branches.of(place)
    knobs = await knobs_of(place, read(place.config), branches, await branches.tree("HEAD"))
    assert [knob.key for knob in knobs] == ["--lr"]
    reached, _ = await reach("python train.py", ".", branches, "HEAD", await branches.files("HEAD"))
    assert [*reached] == ["train.py", path]


def test_a_function_that_trains_and_evaluates_holds_no_knob_back(surveyed: Surveyed) -> None:
    both = "lr = 0.1\nscale = 2.0\ndef {}():\n    return lr * scale\n"
    found = surveyed({"train.py": both.format("train_and_evaluate") + TRAIN}, "python", "train.py")
    assert [one.held for one in found.knobs if one.key == "train.py:lr"] == [""]


def test_imports_that_lead_out_of_the_repository_are_passed_over(surveyed: Surveyed) -> None:
    files = {"train.py": "from ..common import x\nfrom .near import y\n" + TRAIN, "near.py": "from . import far\n"}
    found = surveyed({**files, "far.py": ""}, "python", "train.py")
    assert found.reached == ("train.py", "near.py", "far.py")


TASK = """\
from sklearn.datasets import make_moons
POLY_DEGREE = 4
NOISE = 0.3
DEPTH = 3
WIDTH = 16
BATCH_SIZE = 32
RATE = 0.1
W_target = [0.5] * POLY_DEGREE


def make_features(x):
    return [x**i for i in range(1, POLY_DEGREE + 1)]


def make_data(noise_scale=0.2, hidden=8):
    return make_moons(BATCH_SIZE, noise=NOISE), DEPTH


def make_model():
    return [WIDTH] * DEPTH


make_data(), make_model(), make_features(RATE)
print("loss:", RATE)
"""


def test_what_makes_the_data_or_the_task_is_a_comment_that_says_so(surveyed: Surveyed) -> None:
    guesses = {one.key.rpartition(":")[2]: one for one in surveyed({"train.py": TASK}, "python", "train.py").knobs}
    held = {name: one.held for name, one in guesses.items() if "makes the data" in one.held}
    assert held.keys() == {"POLY_DEGREE", "NOISE", "make_data.noise_scale", "make_data.hidden"}
    assert held["POLY_DEGREE"] == "it makes the data, train.py:8: another task, and no better model"
    # What the model reads too, and how large a batch is, are of training.
    assert {name for name, one in guesses.items() if not one.held} == {"DEPTH", "WIDTH", "BATCH_SIZE", "RATE"}


def test_a_layer_that_is_called_x_at_the_top_of_a_file_makes_no_data(surveyed: Surveyed) -> None:
    script = "UNITS = 64\ninputs = Input(3)\nx = Dense(UNITS)(inputs)\nprint('loss:', x)\n"
    (one,) = surveyed({"train.py": script}, "python", "train.py").knobs
    assert not one.held


def test_the_python_on_the_path_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    typed = tmp_path / "bin" / "python"
    typed.parent.mkdir()
    typed.touch(0o755)
    monkeypatch.setenv("PATH", str(typed.parent))
    found = _places(tmp_path, Sources({}, {}, {}), Path("/own/python"))
    assert [*found] == [Path("/own/python"), typed]
