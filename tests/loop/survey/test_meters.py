"""What a script's own meters print is read as it will be printed, and the pattern that is found finds it in a log."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loop.survey.metrics import Spoken
from tests.loop.survey.conftest import Surveyed

AVERAGE = """\
class Summary:
    NONE = 0
    AVERAGE = 1


class AverageMeter:
    def __init__(self, name, fmt=":f", summary_type=Summary.AVERAGE):
        self.name, self.fmt, self.summary_type = name, fmt, summary_type
        self.val = self.avg = 0.0

    def update(self, val):
        self.val, self.avg = val, (self.avg + val) / 2

    def __str__(self):
        fmtstr = "{name} {val" + self.fmt + "} ({avg" + self.fmt + "})"
        return fmtstr.format(**self.__dict__)
"""
SUMMARY = """
    def summary(self):
        return "" if self.summary_type is Summary.NONE else "{name} {avg:.3f}".format(**self.__dict__)
"""
PROGRESS = """

class ProgressMeter:
    def __init__(self, batches, meters, prefix=""):
        self.batches, self.meters, self.prefix = batches, meters, prefix

    def display(self, batch):
        print("\\t".join([f"{self.prefix}[{batch}/{self.batches}]", *map(str, self.meters)]))
"""
DISPLAYS = """
    def display_summary(self):
        print(" ".join([" *", *(one.summary() for one in self.meters)]))
"""
RUN = """

def train(epoch):
    losses = AverageMeter("Loss", ":.4e", Summary.NONE)
    top1 = AverageMeter("Acc@1", ":6.2f", Summary.NONE)
    progress = ProgressMeter(20, [losses, top1], prefix="Epoch: [{}]".format(epoch))
    for batch in range(2):
        losses.update(2.0 - epoch / 10)
        top1.update(30.0 + epoch)
        progress.display(batch)


def validate():
    losses = AverageMeter("Loss", ":.4e", Summary.NONE)
    top1 = AverageMeter("Acc@1", ":6.2f")
    progress = ProgressMeter(20, [losses, top1], prefix="Test: ")
    losses.update(1.5)
    top1.update(71.25)
    progress.display(1)
    """
MAIN = "\n\nfor epoch in range(3):\n    train(epoch)\n    validate()\n"


def found(spoken: tuple[Spoken, ...], name: str) -> Spoken:
    return next(one for one in spoken if one.metric.name == name)


def said(folder: Path, pattern: str) -> float:
    """The last value that a pattern finds in what the script prints."""
    done = subprocess.run([sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, check=True)
    return float(re.findall(pattern, done.stdout)[-1])


def test_what_a_summary_of_meters_says_is_the_metric(surveyed: Surveyed, tmp_path: Path) -> None:
    script = AVERAGE + SUMMARY + PROGRESS + DISPLAYS + RUN + "progress.display_summary()\n" + MAIN
    metrics = surveyed({"train.py": script}, "python", "train.py").metrics
    assert (metrics[0].metric.name, metrics[0].metric.direction) == ("acc_1", "maximize")
    assert (
        metrics[0].evidence == f"printed at train.py:{1 + script[: script.rindex('ProgressMeter(20')].count(chr(10))}"
    )
    assert metrics[0].metric.pattern
    (tmp_path / "train.py").write_text(script)
    assert said(tmp_path, metrics[0].metric.pattern) == 35.625


def test_without_a_summary_it_is_what_the_line_of_a_test_says(surveyed: Surveyed, tmp_path: Path) -> None:
    script = AVERAGE + PROGRESS + RUN + MAIN
    metrics = surveyed({"train.py": script}, "python", "train.py").metrics
    one = found(metrics, "test_acc_1")
    assert metrics.index(one) < 2
    assert one.metric.pattern
    (tmp_path / "train.py").write_text(script)
    assert said(tmp_path, f"(?i){one.metric.pattern}") == 71.25


@pytest.mark.parametrize(
    "line", ['print("validation", losses)', 'print(f"validation: {losses}")', 'print("validation " + str(losses))']
)
def test_a_meter_that_is_printed_is_read_as_its_text(surveyed: Surveyed, line: str) -> None:
    script = f'{AVERAGE}\nlosses = AverageMeter("Loss", ":.3f")\n{line}\n'
    metrics = surveyed({"train.py": script}, "python", "train.py").metrics
    assert "validation_loss" in [one.metric.name for one in metrics]


def test_a_class_that_says_its_name_in_an_f_string_is_a_meter(surveyed: Surveyed) -> None:
    script = """\
class Metric:
    def __init__(self, name):
        self.name, self.total, self.count = name, 0.0, 0
    def __repr__(self):
        return f"{self.name}: {self.total / self.count:.4f}"
accuracy = Metric("val_accuracy")
print(accuracy)
"""
    metrics = surveyed({"train.py": script}, "python", "train.py").metrics
    assert [(one.metric.name, one.metric.direction) for one in metrics] == [("val_accuracy", "maximize")]


def test_a_validation_comes_before_a_test_and_both_before_training(surveyed: Surveyed) -> None:
    script = "print(f'test loss: {a:.3f}')\nprint(f'train loss: {b:.3f}')\nprint(f'valid loss: {c:.3f}')\n"
    metrics = surveyed({"train.py": script}, "python", "train.py").metrics
    assert [one.metric.name for one in metrics] == ["valid_loss", "test_loss", "train_loss"]
