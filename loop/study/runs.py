"""What is run, what it is lent, on how many seeds: `[run]`, `[data]`, `[seeds]`, `[fidelity]` of `cockpit.toml`."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from loop.study.table import Table
from loop.study.values import (
    FLAG,
    KNOB,
    NAME,
    Asked,
    Divided,
    Fixed,
    Folder,
    Label,
    Left,
    Lent,
    Sealed,
    Seconds,
    Seeded,
    Share,
    Tested,
    Trusted,
    inside,
)  # fmt: skip

CARVED = "{study}/carved"
UNDIVIDED = (".json", ".bin", ".parquet", ".pkl", ".pickle", ".pt", ".pth", ".h5", ".gz", ".zip")  # by `[data] carve`


class Commands(Table):
    """[run]: the commands of the stages, and how they are run."""

    train: Tested
    """Trains, in a checkout of the experiment. A first word `python` is the study's interpreter.

    train = "python train.py --out {output}"
    """
    predict: Asked | None = None
    """Writes what is scored; it goes together with score or scorer.

    predict = "python predict.py --out {output}"
    """
    score: Trusted | None = None
    """Scores what predict has written: trunk's own copy, beside the sealed data. It goes together with predict.

    score = "python score.py --out {output} --labels {study}/labels"
    """
    scorer: Literal["classification", "regression", "causal_lm"] | None = None
    """A scorer of cockpit's own in the place of score; it compares with `[data] labels`.

    scorer = "classification"
    """
    eval: Tested | None = None
    """Trunk's own evaluation file, which loads the code under test, in the place of predict and score.

    eval = "python eval.py --ckpt {output}"
    """
    artifact: Left | None = None
    """The model among what train leaves: what artifact_bytes and parameters are of. Without it, the whole output.

    artifact = "model.safetensors"
    """
    cwd: Folder = "."
    """Where the commands are run: a folder of the checkout, for a script that must run in its own. `.` is its top.

    cwd = "mnist"
    """
    seed: Seeded | None = None
    """How the seed reaches train. $COCKPIT_SEED is always set, with and without it.

    seed = "--seed {seed}"
    """
    timeout: Seconds = 20 * 60.0
    """How long each stage may take, of a quick run and of a full one."""
    python: str | None = None
    """The study's interpreter. Without it .venv in the repository, else the active environment, else cockpit's own.

    python = ".venv/bin/python"
    """
    slots: int = Field(default=1, ge=1)
    """Runs side by side; this version takes 1 alone."""
    stop_early: bool | None = None
    """Whether a run that loses is stopped early. Without it, where the incumbent's take more than 10 minutes.

    stop_early = true
    """

    @field_validator("slots")
    @classmethod
    def _one(cls, slots: int) -> int:
        if slots > 1:
            raise ValueError("this version of cockpit makes one run at a time; put 1, or take it out")
        return slots

    @property
    def seed_knob(self) -> tuple[str, str] | None:
        """The file and the name in it that hold the seed, where that is how it reaches train."""
        if self.seed is None or "{seed}" in self.seed:
            return None
        path, _, name = self.seed.partition(":")
        return path, name

    @model_validator(mode="after")
    def _pair(self) -> "Commands":
        if self.score is not None and self.scorer is not None:
            raise ValueError("score and scorer stand in the place of each other; take one out")
        if (self.predict is None) != (self.score is None and self.scorer is None):
            raise ValueError("predict goes together with score or scorer: it writes what is scored")
        if self.eval is not None and self.predict is not None:
            raise ValueError("eval stands in the place of predict and score; take it out, or those")
        return self


class Carve(Table):
    """[data.carve]: a file of which a part is kept from training, and scored."""

    file: Divided
    """What training reads: it finds the other part there.

    file = "data/train.csv"
    """
    label: Label = None
    """What is predicted: a column, a key, a file of as many labels. A text and class folders have none.

    label = "species"
    """
    share: Share = 0.2
    """How much of the rows, or of the text, is scored.

    share = "20 %"
    """

    @model_validator(mode="after")
    def _known(self) -> "Carve":
        suffix, folder = Path(self.file).suffix, self.file.endswith("/")
        if suffix in UNDIVIDED and not folder:
            raise ValueError(
                f"a {suffix} is not divided; what is: .csv, .tsv, .jsonl, .npy, .npz, a text, a folder of class folders"
            )
        if self.label is None and not folder and suffix in (".csv", ".tsv", ".jsonl", ".npy", ".npz"):
            raise ValueError('which column is predicted? put `label = "name"`; a text alone has none')
        if folder and self.label is not None:
            raise ValueError("in class folders the folder is the label; take `label` out")
        if suffix == ".npy" and not (isinstance(self.label, str) and self.label.endswith(".npy")):
            raise ValueError('the labels of an array are one of as many rows: put `label = "data/y.npy"`')
        if suffix in (".npz", ".jsonl") and not isinstance(self.label, str):
            raise ValueError("its label has a name: put that, in quotes")
        if self.labels_file is not None:
            inside(self.labels_file)
        return self

    @property
    def labels_file(self) -> str | None:
        """The file that holds the labels of an array, where it is one of its own."""
        return self.label if isinstance(self.label, str) and Path(self.file).suffix == ".npy" else None

    @property
    def files(self) -> tuple[str, ...]:
        """What is lent in part, in the place of the whole: the file, and that of its labels."""
        return tuple(path for path in (self.file.rstrip("/"), self.labels_file) if path)

    @property
    def is_text(self) -> bool:
        """Whether it is a text, of which the end is scored."""
        return self.label is None and not self.file.endswith("/")


class Data(Table):
    """[data]: what is lent to whom."""

    read: tuple[Lent, ...] = Field(default=(), strict=False)
    """Lent to runs, read-only: files and folders, whether git has them or not.

    read = ["data/", "~/imagenet"]
    """
    sealed: tuple[Sealed, ...] = Field(default=(), strict=False)
    """For the scorer alone: runs do not see it.

    sealed = ["{study}/labels"]
    """
    labels: Sealed | None = None
    """What a `[run] scorer` compares with. It is sealed by that.

    labels = "{study}/labels.csv"
    """
    carve: Carve | None = None
    """A part of a file that is kept from training, and scored; in the place of labels, which are made of it.

    carve = { file = "data/train.csv", label = "species", share = "20 %" }
    """

    @model_validator(mode="before")
    @classmethod
    def _keeps_labels(cls, table: Any) -> Any:
        """The labels are sealed, whether that is said of them or not."""
        if isinstance(table, dict) and isinstance(carve := table.get("carve"), dict):
            if "labels" in table:
                raise ValueError("labels and carve stand in the place of each other; take one out")
            text = "label" not in carve and not str(carve.get("file")).endswith("/")
            table = {**table, "labels": f"{CARVED}/labels.{'txt' if text else 'csv'}"}
        labels = table.get("labels") if isinstance(table, dict) else None
        sealed = table.get("sealed", []) if isinstance(table, dict) else None
        if not isinstance(labels, str) or not isinstance(sealed, list) or not all(isinstance(s, str) for s in sealed):
            return table
        covered = any(Path(labels).is_relative_to(path) for path in sealed)
        return table if covered else {**table, "sealed": [*sealed, labels]}


class Seeds(Table):
    """[seeds]: on how many an experiment is run."""

    baseline: int = Field(default=3, ge=2, le=20)
    """Of how many runs of the baseline the noise is first known."""
    race: int | None = Field(default=None, ge=2, le=20)
    """On how many at most an experiment is raced, the first among them. Without it 3, 4 or 6, by the preset.

    race = 4
    """
    confirm: int | None = Field(default=None, ge=1, le=20)
    """On how many fresh ones at most what is promising is confirmed. Without it 3, 5 or 8, by the preset.

    confirm = 5
    """


class Fidelity(Table):
    """[fidelity]: what a run is given where it is to be quick, and where it is to be full (docs/trial.md)."""

    quick: dict[str, Fixed] = Field(min_length=1)
    """For search, noise and screening: flags of train (`"--max_iters"`), constants by their place (`"train.py:STEPS"`)
    or by their name alone, and `seconds`, of which $COCKPIT_MAX_SECONDS tells the script.

    quick = { max_steps = 500 }
    """
    full: dict[str, Fixed] = {}
    """For confirmation. Without it, the code as it stands.

    full = { max_steps = 20_000 }
    """

    @field_validator("quick", "full")
    @classmethod
    def _places(cls, given: dict[str, Fixed]) -> dict[str, Fixed]:
        for name, value in given.items():
            if name == "seconds":
                if isinstance(value, bool | str) or not 0 < value < float("inf"):
                    raise ValueError("`seconds` is a number above 0, of which $COCKPIT_MAX_SECONDS tells the script")
            elif not any(re.fullmatch(form, name) for form in (FLAG, KNOB, NAME)):
                raise ValueError(
                    f'"{name}" is nothing that can be set; put a flag, "--max_iters", a constant, '
                    '"train.py:MAX_STEPS", or its name alone, `max_steps`, or `seconds`'
                )
            elif value is False and re.fullmatch(FLAG, name):
                raise ValueError(f'"{name}" cannot be false: a flag is there or not; leave it out')
        return given

    @model_validator(mode="after")
    def _two(self) -> "Fidelity":
        if self.quick == self.full:
            raise ValueError("`quick` and `full` are the same; let `quick` do less, or take the table out")
        return self
