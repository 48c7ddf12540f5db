"""What is found of metrics in what real scripts print and write, and how each is got again."""

import json
import os
import re
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.run import formats
from loop.run.stages import printed
from loop.study import From
from loop.survey.spoken import Metric, answer, direction, in_files, in_text, question

NANOGPT = """\
number of parameters: 0.80M
step 0: train loss 4.2, val loss 4.3
iter 0: loss 4.21, time 103.5ms, mfu -100.00%
step 250: train loss 1.9012, val loss 2.0034
iter 250: loss 1.87, time 103.5ms, mfu 1.20%
"""
HUGGING_FACE = """\
{'loss': 2.3, 'grad_norm': 1.2, 'learning_rate': 1e-05, 'epoch': 0.5}
{'eval_loss': 2.1, 'eval_runtime': 3.2, 'eval_samples_per_second': 30.0, 'epoch': 1.0}
{'train_runtime': 3.0, 'train_loss': 2.0, 'epoch': 1.0}
"""
EPOCHS = "Namespace(lr=0.1, hidden=48)\nEpoch 1/10 | loss=0.61 acc=81.2%\nEpoch 2/10 | loss=0.31 acc=91.2%\n"
BAR = "\r 50%|###  | 50/100 [00:03<00:03, 30.1it/s, loss=0.42]\r100%|###| 100/100 [00:06<00:00, 30it/s, loss=0.32]\n"
MNIST = "Train Epoch: 1 [640/60000 (1%)]\tLoss: 1.20\n\nTest set: Average loss: 0.0263, Accuracy: 9916/10000 (99%)\n"
KERAS = "10/10 [====] - 1s 5ms/step - loss: 0.30 - val_loss: 0.41\n10/10 [====] - 1s - loss: 0.2 - val_loss: 0.40\n"
IMAGENET = "Test: [0/5]\tTime 0.1 (0.1)\tLoss 1.2 (1.3)\tAcc@1 50.0 (51.2)\n * Acc@1 71.2 Acc@5 90.1\n"
SPLIT = """\
Epoch 1 | train: loss 1.2 acc 0.3 | val: loss 1.3 acc 0.4
Epoch 2 | train: loss 1.1 acc 0.35 | val: loss 1.25 acc 0.45
"""


def last(text: str) -> dict[str, float]:
    return {one.name: one.last for one in in_text(text)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (NANOGPT, {"val_loss": 2.0034, "train_loss": 1.9012, "loss": 1.87, "mfu": 1.2}),
        (HUGGING_FACE, {"eval_loss": 2.1, "loss": 2.3, "train_loss": 2.0}),
        (EPOCHS, {"loss": 0.31, "acc": 91.2}),
        (BAR, {"loss": 0.32}),
        (MNIST, {"test_average_loss": 0.0263, "test_accuracy": 9916.0, "train_loss": 1.2}),
        (KERAS, {"val_loss": 0.40, "loss": 0.2}),
        (IMAGENET, {"test_loss": 1.2, "test_acc_1": 50.0, "acc_1": 71.2, "acc_5": 90.1}),
        (SPLIT, {"val_loss": 1.25, "val_acc": 0.45, "train_loss": 1.1, "train_acc": 0.35}),
        ("val_bpb: 0.99\ntraining_seconds: 300.1\n", {"val_bpb": 0.99}),
        ("2026-01-05 10:00:00,123 INFO val f1 = 0.91\n", {"val_f1": 0.91}),
        ("loss: tensor(0.34, grad_fn=<X>)\n", {"loss": 0.34}),
        ("\x1b[32mquality: 3\x1b[0m\n", {"quality": 3.0}),
        ("lr: 0.1\nerror_rate: 0.2\nseed 7\nloss_scale: 1024\n", {"error_rate": 0.2}),
        ("Loss is going down. Wait 10 minutes.\nDone.\n", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_the_metrics_of_what_scripts_print_are_found_and_no_options_steps_or_times(
    text: str, found: dict[str, float]
) -> None:
    assert last(text) == found


@pytest.mark.parametrize("text", [NANOGPT, HUGGING_FACE, EPOCHS, BAR, MNIST, KERAS, IMAGENET, SPLIT])
def test_what_is_said_of_a_metric_finds_its_values_again(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(text)
    for one in in_text(text):
        if one.pattern is None:
            assert printed(tmp_path / "train.log", [one.name])[one.name] == one.last
        else:
            From(pattern=one.pattern)  # `cockpit.toml` takes it
            points = list(formats.in_lines(BytesIO(text.encode()), re.compile(one.pattern)))
            assert tuple(value for _, value in points) == one.values


def test_a_name_that_ends_a_longer_one_has_a_pattern_of_its_own() -> None:
    found = {one.name: one for one in in_text(NANOGPT)}
    assert found["loss"].values == (4.21, 1.87), "and not those of `train loss` and `val loss`"
    assert found["val_loss"].steps == (0.0, 250.0)


def test_what_says_how_good_a_model_is_comes_first() -> None:
    assert [one.name for one in in_text(SPLIT)][:2] == ["val_loss", "val_acc"]
    assert next(iter(last("step 1: train loss 2, val loss 3\ndone, best val 3\n"))) == "val_loss"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *dict.fromkeys(["val_loss", "eval/loss", "rmse", "WER", "error_rate", "bits_per_byte"], "minimize").items(),
        *dict.fromkeys(["acc", "top-1", "val/f1", "mIoU", "test_accuracy", "r2", "episode_return"], "maximize").items(),
        *dict.fromkeys(["score", "best_val", "x", "accuracy_loss", "temperature"]).items(),
    ],
)  # fmt: skip
def test_a_direction_is_said_where_the_name_leaves_no_doubt(name: str, way: str | None) -> None:
    assert direction(name) == way


@given(st.text(alphabet=st.sampled_from("loss val:=,.0123456789e-+%|[]()'\"\n\t\r e"), max_size=200))
def test_whatever_a_log_holds_what_is_found_is_found_again(text: str) -> None:
    for one in in_text(text):
        assert one.values
        if one.pattern is not None:
            assert re.compile(one.pattern).groups == 1


def test_what_a_run_has_written_is_found_and_what_was_there_before_is_not(tmp_path: Path) -> None:
    (tmp_path / "tree/lightning_logs/version_0").mkdir(parents=True)
    (tmp_path / "output/checkpoint-500").mkdir(parents=True)
    (tmp_path / "tree/old.csv").write_text("step,val_loss\n1,9.0\n")
    since = (tmp_path / "tree/old.csv").stat().st_mtime + 0.001
    rows = {"log_history": [{"loss": 2.0, "step": 1}, {"eval_loss": 1.5, "step": 2}, {"eval_loss": 1.25, "step": 4}]}
    written = {
        "tree/lightning_logs/version_0/metrics.csv": "step,val_acc,lr\n1,0.5,0.1\n2,0.75,0.1\n",
        "output/checkpoint-500/trainer_state.json": json.dumps(rows),
        "output/log.jsonl": '{"eval": {"bits": 1.0}, "tokens": 5}\n{"eval": {"bpb": 0.9}}\n',
        "tree/history.json": json.dumps({"val_error": [0.5, 0.25]}),
        "tree/config.json": json.dumps({"hidden": 48, "lr": 0.1}),
        "tree/broken.json": "{",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (since + 10, since + 10))
    found = {one.name: one for one in in_files(tmp_path, since)}
    assert found.keys() == {"val_acc", "eval_loss", "loss", "eval_bpb", "val_error"}
    assert (found["val_acc"].file, found["val_acc"].values) == ("lightning_logs/version_*/metrics.csv", (0.5, 0.75))
    assert found["eval_loss"].file == "{output}/checkpoint-*/trainer_state.json"
    assert (found["eval_loss"].values, found["eval_loss"].steps) == ((1.5, 1.25), (2.0, 4.0))
    assert (found["eval_bpb"].key, found["val_error"].last) == ("eval.bpb", 0.25)
    for one in found.values():
        From(file=one.file, name=one.key)


def test_a_process_apart_answers_and_a_log_comes_before_files(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "output").mkdir()
    (tmp_path / "train.log").write_text(NANOGPT)
    (tmp_path / "output/log.csv").write_text("step,val_loss,val_acc\n1,9.0,0.5\n")
    done = subprocess.run(question(tmp_path, "train.log", 0.0), capture_output=True, text=True, check=True)
    found = answer(json.loads(done.stdout))
    assert all(isinstance(one, Metric) for one in found)
    named = {one.name: one for one in found}
    assert named["val_loss"].file is None, "it is printed"
    assert (named["val_acc"].file, named["val_acc"].where) == ("{output}/log.csv", "{output}/log.csv")


def test_a_traceback_speaks_of_no_metric() -> None:
    trace = "Traceback (most recent call last):\n" + "".join(
        f'  File "/x/train.py", line {line}, in main\n    run()\n' for line in (225, 31, 7)
    )
    assert in_text(f"loss: 0.5\nloss: 0.4\n{trace}OSError: no data\n") == in_text("loss: 0.5\nloss: 0.4\n")


def test_a_warning_and_what_is_called_by_a_path_are_no_metrics() -> None:
    text = (
        "/r/000001/tree/train.py:6: FutureWarning: old loss: 3\n  warnings.warn('loss', 4)\nval_loss: 0.5\n"
        "/lib/torch/a b.py:80: torch.serialization.SourceChangeWarning: the score is 9\n"
        "/r/000001/tree/loss: 3\nloss.py:7: acc 0.3\nsaved accuracy/best.ckpt: 3\ntrain.py:42: val/acc = 0.9\n"
    )
    assert last(text) == {"val_loss": 0.5, "acc": 0.3, "val_acc": 0.9}
