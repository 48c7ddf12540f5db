"""The stages: what is executed, what a log says, and how far it can be trusted."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.run.sandbox import Wall
from loop.run.stages import Launch, commands, ended, measured, printed, source, tail
from loop.run.timed import by_run
from loop.study import Constraint, Settings
from store.records import Measurement, Outcome, Run, Source, Stage

RUN = Run(3, 1, "r", "t" * 40, "b", 42, "screen", "full", 1, "slot0", "none", "pss", "plain", 2.0)
SCORED = {
    "train": "python train.py --out {output}",
    "predict": "python predict.py",
    "score": "python score.py --labels {study}/labels",
    "seed": "--seed {seed}",
}
FILES = ["train.py", "predict.py", "score.py"]


def settings(run: dict[str, str] | None = None, **objectives: dict[str, Any]) -> Settings:
    found = objectives or {"loss": {"direction": "minimize"}}
    run, data = run or {"train": "python train.py"}, {"sealed": ["{study}/labels"]}
    return Settings.model_validate({"space": {"edit": ["train.py"]}, "run": run, "data": data, "objectives": found})


# --- what is executed ------------------------------------------------------------------------------------------------


def test_each_stage_runs_where_it_may_with_what_it_needs(tmp_path: Path) -> None:
    launch = Launch(Path("/its/python"), {"ACCELERATE_USE_CPU": "True"})
    found = commands(settings(SCORED), Path("/the study"), tmp_path, launch, Wall(), RUN, "c" * 40)
    train, predict, score = found
    assert train.argv == ["/its/python", "train.py", "--out", f"{tmp_path}/output", "--seed", "42"]
    assert predict.argv == ["/its/python", "predict.py"]
    assert score.argv == ["/its/python", "score.py", "--labels", "/the study/labels"]
    assert [command.cwd for command in found] == [f"{tmp_path}/tree", f"{tmp_path}/tree", f"{tmp_path}/scorer"]
    assert train.env["ACCELERATE_USE_CPU"] == "True"
    assert "ACCELERATE_USE_CPU" not in predict.env
    for command in found:
        assert command.env["COCKPIT_SEED"] == "42"
        assert command.env["COCKPIT_OUTPUT"] == f"{tmp_path}/output"
        assert command.env["COCKPIT_COMMIT"] == "c" * 40


def test_a_command_that_is_no_python_is_run_as_it_stands(tmp_path: Path) -> None:
    launch = Launch(Path("/its/python"), {})
    (train,) = commands(settings({"train": "./train.sh 'a b'"}), tmp_path, tmp_path, launch, Wall(), RUN, "c")
    assert train.argv == ["./train.sh", "a b"]


def test_code_under_test_gets_none_of_the_users_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", "secret")
    (train,) = commands(settings(), tmp_path, tmp_path, Launch(Path("p"), {}), Wall(), RUN, "c")
    assert "secret" not in train.env.values()
    assert train.env["HOME"] == f"{tmp_path}/tree.home"


# --- what a log says -------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["", " ", "  "]))
def test_every_number_that_python_prints_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, value: float, space: str
) -> None:
    log = tmp_path_factory.mktemp("log") / "train.log"
    log.write_text(f"epoch 3: loss:{space}{value}, other: 7\n")
    read = printed(log, ["loss", "other"])
    assert read["other"] == 7
    assert read["loss"] == value or (math.isnan(read["loss"]) and math.isnan(value))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss: 0.5", 0.5),
        ("loss : 1_000", 1000),
        ("\x1b[31mloss:\x1b[0m \x1b[1m0.5\x1b[0m", 0.5),
        ("loss: 0.5, other: 7", 0.5),
        ("loss: 5.", 5),
        ("loss: +.5E-3", 0.0005),
        ("accuracy 3 loss: -inf", -math.inf),
        ("loss: 0,5", None),
        ("loss: 1,234.5", None),
        ("loss: 1__0", None),
        ("loss: 1_", None),
        ("loss: \u0131nf", None),
        ("loss: \u0663", None),
        ("loss: 0x10", None),
        ("loss: .5.", 0.5),
        ("step: 3  loss: 5e-3 (best)", 0.005),
        ("loss: 1 train/loss: 2", 1),
        ("loss: NaN", math.nan),
        ("val_loss: 3", None),
        ("val-loss: 3", None),
        ("loss: 1.2.3", None),
        ("loss: 5x", None),
        ("loss = 5", None),
        ("Loss: 5", None),
        ("loss: low", None),
    ],
)
def test_a_metric_is_a_line_with_name_colon_value(tmp_path: Path, line: str, value: float | None) -> None:
    (tmp_path / "log").write_text(line)
    assert printed(tmp_path / "log", ["loss"]) == ({} if value is None else {"loss": pytest.approx(value, nan_ok=True)})


def test_the_last_value_counts_also_after_a_progress_bar(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"loss: 3\n10%\rloss: 2\r\xff\xfe loss: 1\n")
    assert printed(tmp_path / "log", ["loss"]) == {"loss": 1}


def test_a_log_of_digits_is_read_in_no_time_to_speak_of(tmp_path: Path) -> None:
    """It would take minutes, were the search to begin anew at each digit."""
    (tmp_path / "log").write_text("loss: " + "1" * 1_000_000 + "x\nloss: 0.5\n")
    assert printed(tmp_path / "log", ["loss"]) == {"loss": 0.5}


def test_what_has_been_put_in_the_place_of_a_log_holds_no_value(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe", "nothing"):
        assert printed(tmp_path / name, ["loss"]) == {}
        assert tail(tmp_path / name) == ""


# --- how far it can be trusted ---------------------------------------------------------------------------------------


def test_a_value_is_trusted_as_far_as_the_file_that_printed_it() -> None:
    scored = settings(SCORED)
    assert [source(scored, stage, FILES) for stage in ("train", "predict", "score")] == [
        Source.REPORTED,
        Source.EVALUATED,
        Source.SCORED,
    ]
    editable = scored.model_copy(update={"space": scored.space.model_copy(update={"edit": ("*.py",)})})
    assert source(editable, "predict", FILES) is Source.REPORTED
    assert source(scored, "score", FILES, "labels.csv is committed") is Source.EVALUATED
    unsealed = scored.model_copy(update={"data": scored.data.model_copy(update={"sealed": ()})})
    assert source(unsealed, "score", FILES) is Source.EVALUATED
    unknown = settings({**SCORED, "predict": "make predict"})
    assert source(unknown, "predict", FILES) is Source.REPORTED


def stages(folder: Path, **logs: str) -> list[Stage]:
    (folder / RUN.folder).mkdir(parents=True, exist_ok=True)
    for name, text in logs.items():
        (folder / RUN.folder / f"{name}.log").write_text(text)
    return [Stage(name, Outcome.OK, 0, 2.0, 1.5, 1.0, 7, f"{RUN.folder}/{name}.log") for name in logs]


def test_the_scorers_word_stands_above_the_candidates(tmp_path: Path) -> None:
    ran = stages(tmp_path, train="loss: 0.1\n", predict="speed: 4\nloss: 0.2\n", score="loss: 0.3\n")
    asked = settings(
        SCORED,
        loss={"direction": "minimize"},
        speed={"direction": "minimize"},
        train_seconds={"direction": "minimize"},
    )
    outcome, _, values = measured(tmp_path, asked, ran, FILES)
    assert outcome is Outcome.OK
    assert values == [
        Measurement("loss", 0.3, Source.SCORED),
        Measurement("speed", 4.0, Source.EVALUATED),
        Measurement("train_seconds", 1.5, Source.MEASURED),
    ]


def test_a_train_script_cannot_claim_its_own_seconds(tmp_path: Path) -> None:
    ran = stages(tmp_path, train="train_seconds: 0.001\nloss: 1\n")
    asked = settings(None, loss={"direction": "minimize"}, train_seconds={"direction": "minimize"})
    _, _, values = measured(tmp_path, asked, ran, FILES)
    assert values[1] == Measurement("train_seconds", 1.5, Source.MEASURED)


@pytest.mark.parametrize(
    ("log", "outcome", "detail"),
    [
        ("nothing\n", Outcome.NO_METRICS, "no stage printed a line `loss: value`"),
        ("loss: nan\n", Outcome.DIVERGED, "loss is nan"),
        ("loss: -inf\n", Outcome.DIVERGED, "loss is -inf"),
    ],
)
def test_a_run_without_a_finite_value_has_failed(tmp_path: Path, log: str, outcome: Outcome, detail: str) -> None:
    assert measured(tmp_path, settings(), stages(tmp_path, train=log), FILES) == (outcome, detail, [])


def test_what_steers_nothing_may_be_missing(tmp_path: Path) -> None:
    asked = settings(None, loss={"direction": "minimize"}, extra={"direction": "minimize", "steers": False})
    outcome, _, values = measured(tmp_path, asked, stages(tmp_path, train="loss: 1\nextra: nan\n"), FILES)
    assert (outcome, [value.objective for value in values]) == (Outcome.OK, ["loss"])


def constrained(*names: str, run: dict[str, str] | None = None) -> Settings:
    return settings(run).model_copy(update={"constraints": {name: Constraint(max=1) for name in names}})


def test_what_is_bounded_is_measured_as_an_objective_is(tmp_path: Path) -> None:
    ran = stages(tmp_path, train="loss: 1\n", predict="latency_ms: 4\n", score="loss: 2\n")
    asked = constrained("latency_ms", "loss", "peak_memory_bytes", run=SCORED)
    assert measured(tmp_path, asked, ran, FILES)[2] == [
        Measurement("loss", 2.0, Source.SCORED),
        Measurement("latency_ms", 4.0, Source.EVALUATED),
        Measurement("peak_memory_bytes", 7.0, Source.MEASURED),
    ]
    assert by_run(asked, tmp_path, replace(RUN, stages=tuple(ran))) == {"predict"}


@pytest.mark.parametrize(
    ("name", "log", "outcome", "detail"),
    [
        ("latency_ms", "loss: 1\n", Outcome.NO_METRICS, "no stage printed a line `latency_ms: value`"),
        ("latency_ms", "loss: 1\nlatency_ms: inf\n", Outcome.DIVERGED, "latency_ms is inf"),
        ("peak_memory_bytes", "loss: 1\n", Outcome.NO_METRICS, "the meter said nothing of peak_memory_bytes"),
    ],
)
def test_a_run_of_which_nobody_knows_whether_it_is_within_its_bounds_has_failed(
    tmp_path: Path, name: str, log: str, outcome: Outcome, detail: str
) -> None:
    ran = [replace(stage, peak_bytes=None) for stage in stages(tmp_path, train=log)]
    assert measured(tmp_path, constrained(name), ran, FILES) == (outcome, detail, [])


@pytest.mark.parametrize(
    ("objectives", "which"),
    [
        (("loss",), ()),
        (("loss", "predict_us"), ("predict",)),
        (("loss", "latency"), ("score",)),  # of two stages that print it the later one counts, as its value does
        (("loss", "train_seconds"), ("train",)),
        (("loss", "cpu_seconds"), ("train", "predict", "score")),
        (("loss", "peak_memory_bytes"), ()),
        (("loss", "spare_ms"), ("train", "predict", "score")),  # nobody knows whose it is
    ],
)
def test_a_stage_is_timed_if_an_objective_that_steers_is_made_of_its_seconds(
    tmp_path: Path, objectives: tuple[str, ...], which: tuple[str, ...]
) -> None:
    ran = stages(
        tmp_path, train="loss: 1\nepoch_seconds: 2\n", predict="predict_us: 3\nlatency: 1\n", score="latency: 2"
    )
    asked = settings(
        SCORED,
        **{name: {"direction": "minimize"} for name in objectives},
        epoch_seconds={"direction": "minimize", "steers": False},
    )
    assert by_run(asked, tmp_path, replace(RUN, stages=tuple(ran))) == set(which)


# --- how a stage ended -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended_by", "status", "log", "outcome", "detail"),
    [
        ("itself", 0, "", Outcome.OK, ""),
        ("itself", 1, "Traceback\nValueError: no\n\n", Outcome.CRASH, "exit status 1: ValueError: no"),
        ("itself", -11, "", Outcome.CRASH, "killed by SIGSEGV"),
        ("itself", -40, "", Outcome.CRASH, "killed by signal 40"),
        ("itself", 1, "torch.OutOfMemoryError: CUDA out of memory.\n", Outcome.OUT_OF_MEMORY, "torch.OutOfMemoryError"),
        ("itself", 1, "MemoryError\n", Outcome.OUT_OF_MEMORY, "MemoryError"),
        ("timeout", -9, "", Outcome.TIMEOUT, "over its limit of 1200 s"),
        ("timeout", 0, "", Outcome.TIMEOUT, "over its limit of 1200 s"),
        ("log", -9, "", Outcome.CRASH, "wrote more than 64 MiB to its log"),
        ("request", -15, "", Outcome.INTERRUPTED, "asked to end"),
    ],
)
def test_an_end_has_one_name_and_a_reason(
    tmp_path: Path, ended_by: str, status: int, log: str, outcome: Outcome, detail: str
) -> None:
    stages(tmp_path, train=log)
    said = {"name": "train", "ended_by": ended_by, "exit_status": status, "started_at": 2.0}
    stage = ended(RUN, tmp_path, settings(), {**said, "wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_bytes": 1})
    assert stage is not None
    assert stage.outcome is outcome
    assert stage.detail.startswith(detail)


def test_a_stage_that_goes_on_has_no_end_yet(tmp_path: Path) -> None:
    assert ended(RUN, tmp_path, settings(), {"name": "train", "started_at": 1.0}) is None
