"""What cockpit knows by name: who measures it, what is worked out, and what is said where it cannot be measured."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loop.run import costs, devices
from loop.run.meter import WITHOUT_GPU, Meter
from loop.run.sandbox import Wall
from loop.run.stages import Launch, commands, measured
from loop.run.timed import by_run
from loop.study import ConfigError, Settings, parse
from store.place import CONFIG
from store.records import Measurement, Outcome, Source, Stage
from tests.loop.run.test_stages import FILES, RUN, SCORED, stages

SMALLEST = '[run]\ntrain = "python train.py"\n[objectives]\nloss = { direction = "minimize" }\n'
PRICES = {"device_hour": 1.8}


def settings(*names: str, **more: Any) -> Settings:
    objectives = {name: {"direction": "minimize"} for name in names}
    tables = {"space": {"edit": ["train.py"]}, "run": SCORED, "objectives": objectives, **more}
    return Settings.model_validate(tables)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with two GPUs."""
    monkeypatch.setattr(devices, "gpus", lambda: ["A", "A"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("device_seconds", "wall_seconds"),
        ("peak_device_memory_bytes", "peak_memory_bytes"),
        ("energy_joules", "cpu_seconds"),
    ],
)
def test_what_takes_a_gpu_is_an_error_without_one_with_its_line_and_what_to_put_there(
    monkeypatch: pytest.MonkeyPatch, name: str, instead: str
) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    why = "takes an NVIDIA GPU, and there is none here that a run may use"
    with pytest.raises(ConfigError) as caught:
        text = f'{SMALLEST}{name} = {{ direction = "minimize", steers = false }}\n'
        costs.check(Path(CONFIG), parse(text, Path(CONFIG)), WITHOUT_GPU)
    assert str(caught.value) == f"cockpit.toml:5: `[objectives] {name}` {why}; put `{instead}` there, or take it out"
    with pytest.raises(ConfigError, match=rf"cockpit.toml:6: `\[constraints\] {name}` takes"):
        asked = f"{SMALLEST}[constraints]\n{name} = {{ max = 3 }}\n"
        costs.check(Path(CONFIG), parse(asked, Path(CONFIG)), WITHOUT_GPU)


def test_a_gpu_that_counts_no_energy_makes_energy_joules_an_error_at_the_start(gpus: pytest.MonkeyPatch) -> None:
    asked = f'{SMALLEST}device_seconds = {{ direction = "minimize" }}\n'
    asked += 'peak_device_memory_bytes = { direction = "minimize" }\n'
    meter = Meter("cannot be measured here: libnvidia-ml.so.1 says 'Not Supported'", memory_by="device")
    costs.check(Path(CONFIG), parse(asked, Path(CONFIG)), meter)
    with pytest.raises(ConfigError) as caught:
        costs.check(Path(CONFIG), parse(f"{asked}[constraints]\nenergy_joules = {{ max = 3 }}\n", Path(CONFIG)), meter)
    assert str(caught.value) == (
        f"cockpit.toml:8: `[constraints] energy_joules` {meter.no_energy}; put `cpu_seconds` there, or take it out"
    )


def test_the_energy_of_a_run_is_that_of_all_stages_and_its_memory_that_of_the_largest(tmp_path: Path) -> None:
    asked = settings("energy_joules", "peak_device_memory_bytes")
    ran = stages(tmp_path, train="energy_joules: 1\n", predict="", score="")
    told = [replace(one, energy_joules=20.0 + n, peak_device_bytes=300 - n) for n, one in enumerate(ran)]
    assert measured(tmp_path, asked, told, FILES)[2] == [
        Measurement("energy_joules", 63.0, Source.MEASURED),
        Measurement("peak_device_memory_bytes", 300.0, Source.MEASURED),
    ]
    assert by_run(asked, tmp_path, replace(RUN, stages=tuple(told))) == {"train", "predict", "score"}


@pytest.mark.parametrize(
    ("name", "lacks"),
    [("energy_joules", {"energy_joules": None}), ("peak_device_memory_bytes", {"peak_device_bytes": None})],
)
def test_what_one_stage_was_not_told_is_not_known_of_the_run(tmp_path: Path, name: str, lacks: dict[str, None]) -> None:
    ran = [replace(one, energy_joules=2.0, peak_device_bytes=3) for one in stages(tmp_path, train="", predict="")]
    ran[1] = replace(ran[1], **lacks)
    outcome, detail, _ = measured(tmp_path, settings(name), ran, FILES)
    assert (outcome, detail) == (Outcome.NO_METRICS, f"the meter said nothing of {name}")


@pytest.mark.parametrize(("named", "count"), [(None, 2), ("0", 1), ("0,1", 2), ("", 0), ("-1", 0), ("1,-1", 1)])
def test_a_run_may_use_the_devices_that_the_user_has_left_visible(
    gpus: pytest.MonkeyPatch, named: str | None, count: int
) -> None:
    if named is not None:
        gpus.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.usable() == count


def test_device_seconds_are_those_of_all_stages_on_all_devices(tmp_path: Path, gpus: pytest.MonkeyPatch) -> None:
    ran = stages(tmp_path, train="", predict="", score="")
    assert measured(tmp_path, settings("device_seconds"), ran, FILES)[2] == [
        Measurement("device_seconds", 2 * 3 * 1.5, Source.MEASURED)
    ]
    gpus.setattr(devices, "gpus", list)
    outcome, detail, values = measured(tmp_path, settings("device_seconds"), ran, FILES)
    assert (outcome, detail, values) == (Outcome.NO_METRICS, "the meter said nothing of device_seconds", [])


def test_a_throughput_and_a_price_follow_from_the_time_of_an_item_and_are_trusted_as_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    asked = settings("items_per_second", "price_per_million_items", prices=PRICES)
    ran = stages(tmp_path, train="price_per_million_items: 0\n", predict="predict_us_per_item: 200\n", score="")
    assert measured(tmp_path, asked, ran, FILES)[2] == [
        Measurement("items_per_second", 5000.0, Source.EVALUATED),
        Measurement("price_per_million_items", 200 / 3600 * 1.8, Source.EVALUATED),
    ]
    assert by_run(asked, tmp_path, replace(RUN, stages=tuple(ran))) == {"predict"}
    monkeypatch.setattr(devices, "gpus", lambda: ["A", "A"])
    values = measured(tmp_path, asked, ran, FILES)[2]
    assert values[1].value == pytest.approx(0.2), "a slot has both"


def test_a_throughput_that_is_printed_stands_unless_it_is_trusted_less(tmp_path: Path) -> None:
    asked = settings("items_per_second")
    said = "predict_us_per_item: 200\n"
    own = stages(tmp_path, train="", predict=f"{said}items_per_second: 4800\n")
    assert measured(tmp_path, asked, own, FILES)[2][0].value == 4800.0
    claimed = stages(tmp_path, train="items_per_second: 1e9\n", predict=said)
    assert measured(tmp_path, asked, claimed, FILES)[2][0].value == 5000.0
    alone = stages(tmp_path, train="items_per_second: 4700\n", predict="")
    assert measured(tmp_path, asked, alone, FILES)[2] == [Measurement("items_per_second", 4700.0, Source.REPORTED)]


def test_no_time_at_all_is_no_throughput(tmp_path: Path) -> None:
    ran = stages(tmp_path, train="", predict="predict_us_per_item: 0\n")
    outcome, detail, _ = measured(tmp_path, settings("items_per_second"), ran, FILES)
    assert (outcome, detail) == (Outcome.DIVERGED, "items_per_second is inf")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "parameters",
            "no stage printed a line `parameters: value`; `[run] artifact` names the file of the model, of which "
            "cockpit counts them",
        ),
        ("train_second", "no stage printed a line `train_second: value`; cockpit itself measures `train_seconds`"),
        ("predict_p95_us", "no stage printed a line `predict_p95_us: value`"),
        ("items_per_second", "no stage printed a line `items_per_second: value` or `predict_us_per_item: value`"),
        ("price_per_million_items", "no stage printed a line `predict_us_per_item: value`"),
        (
            "artifact_bytes",
            "train left no file in {output} that could be looked at: artifact_bytes is the size of those",
        ),
        ("changed_lines", "the meter said nothing of changed_lines"),
    ],
)
def test_a_quantity_that_nobody_has_told_is_never_a_zero(tmp_path: Path, name: str, why: str) -> None:
    ran = stages(tmp_path, train="artifact_bytes: 3\nchanged_lines: 3\n", predict="", score="")
    assert measured(tmp_path, settings(name, prices=PRICES), ran, FILES) == (Outcome.NO_METRICS, why, [])


def test_what_no_stage_has_is_measured_by_who_makes_the_run_whatever_is_printed(tmp_path: Path) -> None:
    ran = stages(tmp_path, train="artifact_bytes: 3\nchanged_lines: 3\n", predict="", score="")
    asked = settings("artifact_bytes", "changed_lines")
    assert measured(tmp_path, asked, ran, FILES, {"artifact_bytes": 900, "changed_lines": 0})[2] == [
        Measurement("artifact_bytes", 900, Source.MEASURED),
        Measurement("changed_lines", 0, Source.MEASURED),
    ]
    assert by_run(asked, tmp_path, replace(RUN, stages=tuple(ran))) == set()


def test_the_size_is_taken_of_what_train_leaves_and_only_where_it_is_asked_for(tmp_path: Path) -> None:
    def left(asked: Settings) -> list[str | None]:
        launch = Launch(Path("/its/python"), {})
        return [one.leaves for one in commands(asked, tmp_path, tmp_path, launch, Wall(), RUN, "c")]

    assert left(settings("artifact_bytes")) == [f"{tmp_path}/output", None, None]
    assert left(settings("loss")) == [None, None, None]


def test_every_name_of_the_reference_is_served_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    text = (Path(__file__).parents[3] / "docs" / "trial.md").read_text()
    table = text.partition("## Quantities that cockpit knows by name")[2].partition("\n## ")[0]
    names = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines() if "| `" in line)))
    assert names == {
        *costs.MEASURED, *costs.TOLD, *costs.MADE_OF, *costs.INSTEAD,
        "parameters", "predict_us_per_item", "predict_p95_us",
    }  # fmt: skip


def test_a_price_that_a_script_prints_is_none(tmp_path: Path) -> None:
    """It is worked out of what an item takes, or it is not known."""
    (tmp_path / "train.log").write_text("price_per_million_items: 0.000001\nloss: 1\n")
    text = '[run]\ntrain = "x"\n[objectives]\nloss = { direction = "minimize" }\n'
    text += 'price_per_million_items = { direction = "minimize" }\n[prices]\ndevice_hour = 2.5\n'
    stage = Stage("train", Outcome.OK, 0, 0.0, 1.0, 1.0, 1, "train.log")
    outcome, why, _ = measured(tmp_path, parse(text, tmp_path / CONFIG).settings, [stage], [], {})
    assert outcome is Outcome.NO_METRICS
    assert "predict_us_per_item" in why
