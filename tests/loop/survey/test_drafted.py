"""What makes a study *scored* is drafted from the script's own loader and model, and runs as it stands where it can."""

import ast
import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy
import pytest

from loop.study import Carve, parse
from loop.survey.carvable import Carvable, found, readings
from loop.survey.sliced import inputs
from loop.survey.values import known
from tests.conftest import cockpit, git

HEAD = "size,weight,colour,species\n"


def rows(count: int = 400) -> str:
    rng = random.Random(0)
    lines = []
    for _ in range(count):
        kind = rng.randrange(2)
        lines.append(
            f"{rng.gauss(kind * 2, 1):.3f},{rng.gauss(1 - kind, 1):.3f},{rng.randrange(3)},{['ant', 'bee'][kind]}\n"
        )
    return HEAD + "".join(lines)


NUMBERS = "".join(",".join(line.split(",")[:3]) + f",{int('bee' in line)}\n" for line in rows().splitlines()[1:])

# A nearest mean, which is pickled as sklearn's are.
READER = '''\
"""A model in the manner of scikit-learn, on rows of csv.DictReader."""
import argparse
import csv
import os
import pickle

SHRINK = 0.1  # cockpit: 0.0..0.9


class NearestMean:
    def __init__(self, shrink):
        self.shrink = shrink

    def fit(self, X, y):
        self.classes_ = sorted(set(y))
        self.means = [
            [(1 - self.shrink) * sum(column) / len(column) for column in zip(*(x for x, n in zip(X, y) if n == name))]
            for name in self.classes_
        ]
        return self

    def predict(self, X):
        far = lambda x, mean: sum((a - b) ** 2 for a, b in zip(x, mean))
        return [self.classes_[min(range(len(self.means)), key=lambda k: far(x, self.means[k]))] for x in X]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="data/insects.csv")
    parser.add_argument("--out", default="out")
    args = parser.parse_args()
    with open(args.data) as file:
        table = list(csv.DictReader(file))
    X, y = [], []
    for row in table:
        X.append([float(row["size"]), float(row["weight"])])
        y.append(row["species"])
    cut = len(X) * 4 // 5
    X_train, X_val, y_train, y_val = X[:cut], X[cut:], y[:cut], y[cut:]
    model = NearestMean(SHRINK).fit(X_train, y_train)
    right = sum(one == other for one, other in zip(model.predict(X_val), y_val))
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "model.pkl"), "wb") as file:
        pickle.dump(model, file)
    print(f"val_accuracy: {right / len(y_val):.4f}")


if __name__ == "__main__":
    main()
'''

# At the top of a file, without a main, as notebooks end up.
LOADTXT = """\
import numpy as np
import os

RATE = 0.1  # cockpit: 0.01..1.0 log


class Logistic:
    def __init__(self):
        self.w = None

    def fit(self, X, y, rate):
        X = np.c_[X, np.ones(len(X))]
        self.w = np.zeros(X.shape[1])
        for _ in range(200):
            p = 1 / (1 + np.exp(-X @ self.w))
            self.w -= rate * X.T @ (p - y) / len(y)

    def predict(self, X):
        return (np.c_[X, np.ones(len(X))] @ self.w > 0).astype(int)


table = np.loadtxt("points.csv", delimiter=",")
X = table[:, :3] / 3.0
y = table[:, -1]
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order], y[order]
X_train, y_train = X[:250], y[:250]
model = Logistic()
model.fit(X_train, y_train, RATE)
print("val_acc:", (model.predict(X[250:]) == y[250:]).mean())
import pickle
pickle.dump(model, open(os.environ["COCKPIT_OUTPUT"] + "/model.pkl", "wb"))
"""

TORCH = """\
import argparse
import numpy as np
import torch
from torch import nn
from model import Net

HIDDEN = 8  # cockpit: 4 | 8 | 16


def load(path):
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(int)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="points.csv")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--save", default="model.pt")
    args = parser.parse_args()
    torch.manual_seed(0)
    x, y = load(args.data)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    net = Net(3, HIDDEN).to("cpu")
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x[:250]), y[:250])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"val_loss: {nn.functional.cross_entropy(net(x[250:]), y[250:]).item():.4f}")
    torch.save(net.state_dict(), args.save)


if __name__ == "__main__":
    main()
"""
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, x):
        return self.layers(x)
"""

SKLEARN = '''\
"""As most people begin: pandas, scikit-learn, joblib."""
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

C = 1.0  # cockpit: 0.01..10.0 log
df = pd.read_csv("insects.csv")
X = df.drop(columns=["species"])
y = df["species"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
clf = LogisticRegression(C=C)
clf.fit(X_train, y_train)
print("test_accuracy:", clf.score(X_test, y_test))
joblib.dump(clf, "model.joblib")
'''
SHAPES = {
    "reader": ({"train.py": READER, ".gitignore": "data/\nout/\n"}, {"data/insects.csv": rows()}, "classification"),
    "loadtxt": ({"train.py": LOADTXT, "points.csv": NUMBERS}, {}, "classification"),
    "torch": ({"train.py": TORCH, "model.py": NET, "points.csv": NUMBERS}, {}, "classification"),
    "sklearn": ({"train.py": SKLEARN, "insects.csv": rows()}, {}, "classification"),
    "below": ({"lab/train.py": LOADTXT, "lab/points.csv": NUMBERS}, {}, "classification"),
    "below, imported": ({"lab/train.py": TORCH, "lab/model.py": NET, "lab/points.csv": NUMBERS}, {}, "classification"),
}


def made(folder: Path, committed: dict[str, str], here: dict[str, str]) -> Path:
    """A repository with these files."""
    for path, text in committed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "begin")
    for path, text in here.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize("shape", SHAPES)
def test_the_draft_of_a_common_shape_is_scored_without_an_edit(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shape == "sklearn":
        pytest.importorskip("sklearn")
    committed, here, scorer = SHAPES[shape]
    folder = made(tmp_path / shape, committed, here)
    where = folder / "lab" if (folder / "lab").exists() else folder
    monkeypatch.chdir(where)
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    text = (where / "predict.py").read_text()
    assert "and what accuracy is drawn against" in (folder / "cockpit.toml").read_text()
    assert "TODO" not in text, text
    assert "predict.py is written, as far as it can be known" in done.stdout
    monkeypatch.chdir(folder)
    assert f'scorer = "{scorer}"' in (folder / "cockpit.toml").read_text()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "scored")
    ran = cockpit("--batch", "--experiments", "1", ".")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = json.loads(cockpit("show", "e0000", "--json").stdout)
    found = shown["measurements"]["accuracy"]
    assert found["source"] == "scored"
    assert found["mean"] > 0.7


def test_a_script_that_saves_no_model_is_told_the_line_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = LOADTXT.partition("import pickle")[0]
    folder = made(tmp_path / "none", {"train.py": script, "points.csv": NUMBERS}, {})
    monkeypatch.chdir(folder)
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    line = 'pickle.dump(model, open(os.environ.get("COCKPIT_OUTPUT", ".") + "/model.pkl", "wb"))'
    assert f"the script saves no model: let it end with `{line}`" in done.stdout
    assert line in (folder / "predict.py").read_text()
    ran = subprocess.run([sys.executable, "predict.py", "--out", "."], capture_output=True, text=True)
    assert "predict.py is a draft of `cockpit init --scored`" in ran.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("X = table[:, :3] / 3.0", "X = table[:, :3] / table[:, :3].max(0)"), "`max` learns of the rows that it sees"),
        (("X = table[:, :3] / 3.0", "X = table[:, :3] / scale(RATE)"), "`scale` is not known here"),
        (
            ("class Logistic:", "BY = 3.0 if RATE else 1.0\n\n\nclass Logistic:\n    by = BY"),
            "`BY`, which train.py has of",
        ),
        (
            ("class Logistic:", "BY = RATE\n\n\ndef f(by=BY):\n    pass\n\n\nclass Logistic:"),
            "`BY`, which train.py has of",
        ),
        (('open(os.environ["COCKPIT_OUTPUT"] + "/model.pkl", "wb")', "where"), "load the model, which `pickle` saves"),
    ],
)
def test_what_is_not_known_is_a_line_to_do_and_the_draft_stops(
    change: tuple[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path / "some", {"train.py": LOADTXT.replace(*change), "points.csv": NUMBERS}, {})
    monkeypatch.chdir(folder)
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert "predict.py: drafts, which stop until their TODO lines are done" in done.stdout
    text = (folder / "predict.py").read_text()
    assert "# TODO: " in text
    assert said in text
    compile(text, "predict.py", "exec")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as it was drafted")
    checked = cockpit("check", ".")
    assert checked.returncode == 1
    assert "predict.py is a draft still" in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("files", "here", "said"),
    [
        (
            {"train.py": "from sklearn.datasets import load_digits\nX = load_digits()\n"},
            {},
            "`load_digits` has its data from",
        ),
        (
            {"train.py": "open('data/train.bin')\n"},
            {"data/train.bin": "12"},
            "is a .bin of tokens, which has no text any more",
        ),
        ({"train.py": "open('input.txt').read()\n", "input.txt": "short"}, {}, "of which too little would be scored"),
        ({"train.py": "open('d.csv').read()\n", "d.csv": "a,b\n1,2\n"}, {}, "which of it is predicted is not clear"),
        ({"train.py": "open('d.jsonl').read()\n", "d.jsonl": "\n\nversion\n"}, {}, "cannot be read: Expecting value"),
        ({"train.py": "import numpy\nnumpy.load('d.npz')\n", "d.npz": "version\n"}, {}, "cannot be read: File is not"),
        ({"train.py": "x = 1\n"}, {}, "nothing that the script reads is a file of data here"),
    ],
)
def test_where_nothing_can_be_carved_the_reason_is_said(
    files: dict[str, str], here: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**files, "train.py": files["train.py"] + "print('loss: 1.0')\n"}
    folder = made(tmp_path / "mine", files, here)
    monkeypatch.chdir(folder)
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    assert "no split can be carved: " in done.stdout
    assert said in done.stdout.replace("\n", " ")
    assert "what is measured stays *evaluated*" in done.stdout
    assert "carve" not in (folder / "cockpit.toml").read_text()


def test_a_study_that_is_there_becomes_scored_by_what_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(tmp_path / "later", {"train.py": LOADTXT, "points.csv": NUMBERS}, {})
    monkeypatch.chdir(folder)
    assert cockpit("init", "--yes", "--", "python", "train.py").returncode == 0
    before = (folder / "cockpit.toml").read_text()
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    settings = parse((folder / "cockpit.toml").read_text(), folder / "cockpit.toml").settings
    assert settings.run.scorer == "classification"
    assert settings.data.carve is not None
    assert settings.steering == ["val_acc", "accuracy"]
    assert "val_acc steers besides accuracy, and is not scored" in done.stdout
    assert [line for line in before.splitlines() if line not in (folder / "cockpit.toml").read_text()] == []
    again = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert "says all of this already" in again.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "def load(path, train):\n    t = np.loadtxt(path)\n    return (t[:9, 1:] if train else t[9:, 1:]), t[:, 0]",
            "chooses",
        ),
        ("def load(path, n):\n    t = np.loadtxt(path)[:n]\n    return t[:, 1:], t[:, 0]", "may be some of the rows"),
        ("def load(path, n):\n    t = np.loadtxt(path)\n    return t[:, 1:], t[:, 0]", ""),
        ("def load(path, n):\n    r = [l.split()[:3] for l in open(path).readlines()[1:]]\n    return r, r", ""),
    ],
)
def test_a_loader_that_may_give_some_rows_alone_is_a_line_to_do(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "h.csv").write_text("1.0,2.5\n" * 30)
    trees = {"train.py": ast.parse(f"{text}\nX, y = load('h.csv', 9)\nmodel.fit(X, y)\n")}
    names = known(trees, {})
    (reading,) = readings(tmp_path, trees, names, ".")
    made = inputs(reading, trees, names, frozenset())
    assert made is not None
    assert (said in " ".join(made.doubts)) if said else not made.doubts


def test_a_dataset_that_is_given_more_than_its_file_is_a_line_to_do(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("1.0,2.5\n" * 30)
    text = "class Rows:\n    def __init__(self, path, train=True):\n        self.t = open(path)\n"
    text += "    def __getitem__(self, i):\n        return self.t[i][:3], 1\n"
    for call, known_to_be in (("Rows('h.csv')", True), ("Rows('h.csv', False)", False)):
        trees = {"train.py": ast.parse(f"{text}{call}\n")}
        (reading,) = readings(tmp_path, trees, {}, ".")
        assert (inputs(reading, trees, {}, frozenset()) is not None) == known_to_be


def test_the_labels_of_texts_numbers_and_arrays_are_found(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "d.npz", images=numpy.zeros((30, 2)), classes=numpy.zeros(30))
    numpy.save(tmp_path / "X.npy", numpy.zeros((30, 2)))
    numpy.save(tmp_path / "y.npy", numpy.zeros(30))
    (tmp_path / "d.jsonl").write_text('{"text": "a", "stars": 4.5}\n' * 30)
    (tmp_path / "h.csv").write_text("rooms,price\n" + "1.0,2.5\n" * 30)
    for script, line, scorer in (
        (
            "d = np.load('d.npz')\nX, y = d['images'], d['classes']",
            '{ file = "d.npz", label = "classes" }',
            "classification",
        ),
        ("X, y = np.load('X.npy'), np.load('y.npy')", '{ file = "X.npy", label = "y.npy" }', "classification"),
        (
            "y = [json.loads(line)['stars'] for line in open('d.jsonl')]",
            '{ file = "d.jsonl", label = "stars" }',
            "regression",
        ),
        (
            "T = 'price'\ndf = pd.read_csv('h.csv')\nX = df.drop(T, axis=1)",
            '{ file = "h.csv", label = "price" }',
            "regression",
        ),
        ("d = np.genfromtxt('h.csv', skip_header=1)\ny = d[:, 1]", '{ file = "h.csv", label = "price" }', "regression"),
    ):
        trees = {"train.py": ast.parse(script)}
        one = found(tmp_path, trees, known(trees, {}), "val_loss")
        assert isinstance(one, Carvable), (script, one)
        assert (one.line, one.scorer) == (line, scorer)
        Carve.model_validate(tomllib.loads(f"carve = {one.line}")["carve"])
