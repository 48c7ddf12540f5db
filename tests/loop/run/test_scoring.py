"""cockpit's own scorers: what they make of predictions, and what they say of those that are none."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.engine import research
from loop.run import scoring
from loop.run.scoring import Wrong, classified, score
from loop.stop import Stop
from loop.study import ConfigError, parse
from store import views
from store.database import Database
from store.place import CONFIG, Place
from store.records import Ended, Outcome, Run, Source
from tests.conftest import TRAIN, Write
from tests.loop.test_engine import ONE


def scored(folder: Path, kind: str, labels: str, predictions: str, suffix: str = "csv") -> dict[str, float]:
    """Of two tables, as they are written."""
    (folder / "output").mkdir(exist_ok=True)
    (folder / "labels.csv").write_text(labels)
    (folder / "output" / f"predictions.{suffix}").write_text(predictions)
    return score(kind, str(folder / "labels.csv"), str(folder / "output"))


CLASSES = "id,label\na,cat\nb,dog\nc,cat\n"
CHANCES = "id,cat,dog\nb,0.25,0.75\nc,0.4,0.6\na,1.0,0.0\n"


def test_classes_that_are_predicted_are_counted(tmp_path: Path) -> None:
    found = scored(tmp_path, "classification", CLASSES, "prediction,id\ncat,a\ndog,c\ndog,b\n")
    assert found == {"accuracy": 2 / 3, "error": 1 - 2 / 3, "macro_f1": 2 / 3}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", CHANCES),
        (
            "jsonl",
            '{"id": "a", "probabilities": {"cat": 1, "dog": 0}}\n\n'
            '{"id": "c", "probabilities": {"dog": 0.6, "cat": 0.4}}\n'
            '{"id": "b", "probabilities": {"cat": 0.25, "dog": 0.75}}\n',
        ),
    ],
)
def test_probabilities_give_log_loss_and_calibration_too(tmp_path: Path, suffix: str, text: str) -> None:
    found = scored(tmp_path, "classification", CLASSES, text, suffix)
    assert found["accuracy"] == 2 / 3
    assert found["log_loss"] == pytest.approx(-(math.log(0.75) + math.log(0.4)) / 3)
    assert found["ece"] == pytest.approx((0.25 + 0.6) / 3)


def test_arrays_are_read_row_by_row_whatever_their_numbers_are(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    rows = numpy.random.default_rng(0).dirichlet([1.0] * 4, 50)
    truth = rows.argmax(1)
    numpy.save(tmp_path / "labels.npy", truth)
    for kind in ("<f2", "<f4", ">f8"):
        numpy.save(output / "predictions.npy", rows.astype(kind))
        found = score("classification", str(tmp_path / "labels.npy"), str(output))
        assert found["accuracy"] > 0.95
        assert found["log_loss"] == pytest.approx(-numpy.log(rows.max(1)).mean(), rel=0.01)
    for kind in ("i1", "u2", ">i4", "i8", "f4"):
        numpy.save(output / "predictions.npy", truth.astype(kind))
        assert score("classification", str(tmp_path / "labels.npy"), str(output))["accuracy"] == 1
    numpy.save(tmp_path / "labels.npy", rows[:, 0])
    numpy.save(output / "predictions.npy", rows[:, :1] + 1)
    found = score("regression", str(tmp_path / "labels.npy"), str(output))
    assert found["rmse"] == pytest.approx(1)
    assert found["r2"] < 0


def test_numbers_are_compared_with_numbers(tmp_path: Path) -> None:
    found = scored(tmp_path, "regression", "label\n1\n2\n4\n", "prediction\n1\n2.0\n1e0\n")
    assert found == {"rmse": math.sqrt(3), "mae": 1.0, "r2": pytest.approx(1 - 9 / (14 / 3))}
    assert "r2" not in scored(tmp_path, "regression", "label\n1\n1\n", "prediction\n1\n2\n")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=40))
def test_the_metrics_of_classes_are_those_of_their_definitions(pairs: list[tuple[str, str]]) -> None:
    f1 = []
    for name in {one for pair in pairs for one in pair}:
        hit = sum(right == one == name for right, one in pairs)
        wrong = sum((right == name) != (one == name) for right, one in pairs)
        f1.append(2 * hit / (2 * hit + wrong))
    truth = scoring.Truth((str(n), None, {"label": right}) for n, (right, _) in enumerate(pairs))
    predicted = {str(n): (str(n), None, {"prediction": one}) for n, (_, one) in enumerate(pairs)}
    found = classified(truth, predicted)
    assert found["macro_f1"] == pytest.approx(sum(f1) / len(f1))
    assert found["accuracy"] == sum(right == one for right, one in pairs) / len(pairs)


@pytest.mark.parametrize(
    ("kind", "predictions", "said"),
    [
        ("classification", "id,prediction\na,cat\nb,dog\n", "predictions.csv has no prediction of id 'c'"),
        ("classification", "id,prediction\na,cat\n", "no prediction of id 'b', nor of 1 more"),
        ("classification", CHANCES + "a,1,0\n", "line 5: id 'a' stands there twice"),
        ("classification", CHANCES + "z,1,0\n", "line 5: id 'z' is that of no label"),
        ("classification", CHANCES.replace("0.25", "nan"), "line 2: class 'cat' is 'nan', and no finite number"),
        ("classification", CHANCES.replace("0.25", "-1e400"), "line 2: class 'cat' is '-1e400', and no finite"),
        ("classification", CHANCES.replace("0.25", "7"), "line 2: the probabilities sum to 7.75, or one is below 0"),
        ("classification", CHANCES.replace("0.25,0.75", "-1,2"), "line 2: the probabilities sum to 1, or one is below"),
        ("classification", CHANCES.replace("0.25,", ""), "line 2 has 2 cells, and 3 columns have a name"),
        ("classification", CHANCES.replace("dog", "cat", 1), "line 1: a column stands there twice"),
        ("classification", CHANCES.replace("dog", "bird"), "no probability of the class that is right"),
        ("classification", "prediction\ncat\ndog\ncat\n", "line 2 has no `id`, and the labels have"),
        ("classification", "id\na\nb\nc\n", "line 2 has neither a `prediction` nor a probability of each class"),
        ("classification", "", "predictions.csv has no prediction of id 'a', nor of 2 more"),
        ("regression", "id,prediction\na,inf\nb,1\nc,1\n", "line 2: the prediction is 'inf', and no finite number"),
        ("regression", "id,guess\na,1\nb,1\nc,1\n", "line 2 has no `prediction`"),
    ],
)
def test_what_is_no_prediction_is_said_with_its_row(tmp_path: Path, kind: str, predictions: str, said: str) -> None:
    labels = CLASSES if kind == "classification" else "id,label\na,1\nb,2\nc,3\n"
    with pytest.raises(Wrong) as caught:
        scored(tmp_path, kind, labels, predictions)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", "line 1 is no object"),
        ('{"id": "a", "probabilities": 3}', "`probabilities` is neither a list nor an object"),
        ('{"id": "a", "probabilities": [true]}', "class '0' is 'True', and no finite number"),
        ('{"id": "a", "prediction": "cat"}', "no prediction of id 'b'"),
    ],
)
def test_lines_that_are_no_predictions_are_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Wrong) as caught:
        found = scored(tmp_path, "classification", CLASSES if "prob" not in text else "id,label\na,0\n", text, "jsonl")
        pytest.fail(str(found))
    assert said in str(caught.value)


def test_an_array_that_is_no_plain_one_is_said_and_never_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "here"),)

    (tmp_path / "output").mkdir()
    (tmp_path / "labels.csv").write_text("label\n1\n2\n")
    file = tmp_path / "output" / "predictions.npy"

    def said() -> str:
        with pytest.raises(Wrong) as caught:
            score("classification", str(tmp_path / "labels.csv"), str(tmp_path / "output"))
        return str(caught.value)

    numpy.save(file, numpy.array([Evil(), 1], dtype=object), allow_pickle=True)
    assert "which is no number" in said()
    assert not (tmp_path / "here").exists()
    numpy.save(file, numpy.ones((2, 2)).T[:, :1].repeat(3, 1).T)
    assert "row after row" in said() or "sum to" in said()
    numpy.save(file, numpy.ones(5))
    assert "row 2 is one too many: there are 2 labels" in said()
    file.write_bytes(file.read_bytes()[:-39])
    assert "row 0: the file ends before it" in said()
    file.write_bytes(b"x")
    assert "no file of numpy.save" in said()
    (tmp_path / "output" / "predictions.csv").write_text("")
    assert "both predictions.csv and predictions.npy" in said()


# --- in a study ------------------------------------------------------------------------------------------------------

RUN = 'predict = "python predict.py"\nscorer = "classification"'
MORE = 'accuracy = { direction = "maximize" }\n[data]\nlabels = "LABELS"'
PREDICT = "import os; open(os.environ['COCKPIT_OUTPUT'] + '/predictions.csv', 'w').write('prediction\\n1\\n0\\n')\n"
TRIES = "import pathlib; print(pathlib.Path('labels.csv').exists())\n"


async def last(place: Place) -> Run:
    async with await Database.open(place.folder) as database:
        return (await views.runs(database, 0))[-1]


@pytest.mark.parametrize("labels", ["labels.csv", "{study}/labels.csv"])
async def test_what_cockpits_own_scorer_says_is_scored_and_the_labels_are_sealed(write: Write, labels: str) -> None:
    files = {"predict.py": PREDICT, "labels.csv": "label\n1\n1\n", "scoring.py": "print('accuracy: 7')"}
    place = write(TRAIN + TRIES, run=RUN, more=MORE.replace("LABELS", labels), files=files)
    place.folder.mkdir(parents=True, exist_ok=True)
    (place.folder / "labels.csv").write_text("label\n1\n1.0\n")  # and not what is committed
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await last(place)
    found = {one.objective: (one.value, one.source) for one in run.measurements}
    assert found["accuracy"] == (0.5, Source.SCORED)
    assert found["loss"][1] is Source.REPORTED
    seen = (place.folder / run.folder / "train.log").read_text().splitlines()[-1]
    assert seen == str(not labels.startswith("labels"))


async def test_predictions_that_are_none_are_the_runs_failure_with_the_row(write: Write) -> None:
    files = {"predict.py": PREDICT, "labels.csv": "label\n1\n"}
    place = write(run=RUN, more=MORE.replace("LABELS", "labels.csv"), files=files)
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    run = await last(place)
    assert run.outcome is Outcome.CRASH
    assert run.detail == "score: exit status 1: predictions.csv, line 3 is one too many: there are 1 labels"


@pytest.mark.parametrize(
    ("run", "data", "said"),
    [
        ('scorer = "classification"', "", "predict goes together with score or scorer"),
        ('predict = "x"\nscorer = "regression"', "", "`[run] scorer` needs what to compare with"),
        ('predict = "x"\nscorer = "regression"\nscore = "x"', "", "score and scorer stand in the place of each other"),
        ('predict = "x"\nscorer = "guess"', "", "`[run] scorer`"),
        ('predict = "x"\nscore = "x"', 'labels = "x.csv"', "`[data] labels` are those of a `[run] scorer`"),
        ('predict = "x"\nscorer = "regression"', 'labels = "../x.csv"', "inside it"),
    ],
)
def test_a_scorer_needs_predictions_and_labels(run: str, data: str, said: str) -> None:
    text = f'[run]\ntrain = "x"\n{run}\n[data]\n{data}\n[objectives]\nrmse = {{ direction = "minimize" }}\n'
    with pytest.raises(ConfigError) as caught:
        parse(text, Path(CONFIG))
    assert said in str(caught.value)


async def test_labels_that_are_no_table_are_an_error_at_the_start(write: Write) -> None:
    place = write(run=RUN, more=MORE.replace("LABELS", "labels"), files={"labels/a": "1", "predict.py": ""})
    with pytest.raises(
        ConfigError, match=r"cockpit.toml:\d+: `\[data\] labels`: .*/labels is no file that ends in .csv"
    ):
        await research(place, ONE, Stop())


def test_the_program_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text(json.dumps({"prediction": 3}))
    (tmp_path / "labels.jsonl").write_text(json.dumps({"label": 2}))
    words = [sys.executable, "-I", "-S", scoring.__file__, "regression", str(tmp_path / "labels.jsonl"), str(tmp_path)]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "rmse: 1.0\nmae: 1.0\n"
