"""What the meter tells of GPUs: their energy and memory, from their driver, and why it does not where it does not."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loop.run import launch, meter, nvml, supervisor
from loop.run.launch import TAG, Command
from loop.run.meter import Meter
from loop.run.sandbox import APART, Wall
from tests.conftest import Driver, processes

pytestmark = pytest.mark.usefixtures("leaves_nothing")
HOLDS = "open('/proc/self/comm', 'w').write('gpu {}'); import time; time.sleep({})"
BY_PROCESS = Meter(memory_by="process")
ASKED = BY_PROCESS.asked
BY_DEVICE = Meter(memory_by="device")


async def run(
    folder: Path, program: str, asked: Meter = BY_PROCESS, wall: Wall | None = None, meanwhile: Driver | None = None
) -> dict[str, Any]:
    """Run a program as the one stage of a run, to its end. What the supervisor says of the stage."""
    for name in ("tree", "tree.home", "tree.tmp", "output"):
        (folder / name).mkdir(parents=True)
    words = (wall or Wall()).around([sys.executable, "-c", program], folder, folder / "tree")
    command = Command("train", words, str(folder / "tree"), {TAG: str(folder)}, 30.0, walled=bool(wall))
    await launch.start(folder, [command], 1.0, asked.asked)
    await launch.gone(folder)
    said = launch.status(folder)
    assert said is not None, (folder / "supervisor.log").read_text()
    assert said["ended"]
    stage: dict[str, Any] = said["stages"][0]
    assert stage["exit_status"] == 0, (folder / "train.log").read_text()
    return stage


@pytest.mark.parametrize("walled", [False, True])
async def test_a_stage_is_told_the_energy_of_its_gpus_and_the_memory_of_its_processes(
    tmp_path: Path, driver: Driver, request: pytest.FixtureRequest, walled: bool
) -> None:
    driver(gpus=2, watts=100, other=9_000_000, busy=40)
    wall = None
    if walled:
        needed = tuple(Path(prefix).resolve() for prefix in (sys.base_prefix, sys.prefix))
        wall = Wall("bwrap", program=(request.getfixturevalue("bwrap"), *APART), shown=needed)
    stranger = subprocess.Popen([sys.executable, "-c", HOLDS.format(700, 60)])
    try:
        stage = await run(tmp_path / "run", HOLDS.format(30_000_000, 1), wall=wall)
    finally:
        stranger.kill()
        stranger.wait()
    assert stage["energy_joules"] == pytest.approx(2 * 100 * stage["wall_seconds"], rel=0.1)
    assert stage["peak_device_bytes"] == 30_000_000
    assert stage["device_busy_share"] == pytest.approx(0.4)


async def test_memory_by_device_is_what_is_used_above_what_was_when_the_stage_began(
    tmp_path: Path, driver: Driver
) -> None:
    driver(other=9_000_000, shift=1_000_000)
    assert (await run(tmp_path / "run", HOLDS.format(30_000_000, 1), BY_DEVICE))["peak_device_bytes"] == 30_000_000


async def test_a_stage_that_uses_no_gpu_has_held_nothing_of_it(tmp_path: Path, driver: Driver) -> None:
    driver()
    stage = await run(tmp_path / "run", "import time; time.sleep(0.3)")
    assert stage["peak_device_bytes"] == 0
    assert stage["energy_joules"] > 0


async def test_of_the_gpus_those_are_asked_that_the_user_has_left_visible(tmp_path: Path, driver: Driver) -> None:
    driver(gpus=4)
    named = Meter(memory_by="process", gpus=("2", "GPU-00000001-0000-0000-0000-000000000000"))
    stage = await run(tmp_path / "run", HOLDS.format(30_000_000, 0.5), named)
    assert stage["energy_joules"] == pytest.approx(2 * 100 * stage["wall_seconds"], rel=0.1)
    assert stage["peak_device_bytes"] == 0, "it is on another one"


async def test_where_no_gpu_is_to_be_asked_nothing_is_told(tmp_path: Path, driver: Driver) -> None:
    driver()
    stage = await run(tmp_path / "run", "pass", meter.WITHOUT_GPU)
    assert (stage["energy_joules"], stage["peak_device_bytes"]) == (None, None)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"init": 18}, (False, False)),
        ({"energy": 3}, (False, True)),
        ({"list": 3}, (True, False)),
        ({"untold": 1}, (True, False)),
        ({"gpus": 0}, (False, False)),
    ],
)
async def test_what_the_driver_does_not_tell_is_unknown_and_never_a_zero_and_the_run_goes_on(
    tmp_path: Path, driver: Driver, says: dict[str, int], told: tuple[bool, bool]
) -> None:
    driver(**says)
    stage = await run(tmp_path / "run", HOLDS.format(30_000_000, 0.5))
    assert (stage["energy_joules"] is not None, stage["peak_device_bytes"] is not None) == told


async def test_a_driver_that_is_not_there_fails_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml.so.1")
    stage = await run(tmp_path / "run", "pass", Meter(memory_by="process", gpus=("GPU-that-is-not",)))
    assert (stage["energy_joules"], stage["peak_device_bytes"]) == (None, None)


async def test_a_driver_that_hangs_holds_no_run_up_for_longer_than_it_is_waited_for(
    tmp_path: Path, driver: Driver
) -> None:
    driver()
    program = f"import time; time.sleep(0.5); open({str(tmp_path / 'hang')!r}, 'w'); time.sleep(1)"
    began = time.monotonic()
    folder = tmp_path / "run"
    (folder / "tree").mkdir(parents=True)
    command = Command("train", [sys.executable, "-c", program], str(folder / "tree"), {TAG: str(folder)}, 30.0)
    await launch.start(folder, [command] * 2, 1.0, BY_PROCESS.asked)
    while not (tmp_path / "hang").exists():
        await asyncio.sleep(0.02)
    driver(hang=1)
    await launch.gone(folder)
    said = launch.status(folder)
    assert said is not None
    assert said["ended"]
    assert [stage["exit_status"] for stage in said["stages"]] == [0, 0]
    assert [(stage["energy_joules"], stage["peak_device_bytes"]) for stage in said["stages"]] == [(None, None)] * 2
    assert time.monotonic() - began < 2 * 1.5 + 3 * supervisor.ANSWER_SECONDS


async def test_when_the_supervisor_is_killed_while_the_driver_hangs_nothing_is_left(
    tmp_path: Path, driver: Driver
) -> None:
    driver()
    folder = tmp_path / "run"
    (folder / "tree").mkdir(parents=True)
    words = [sys.executable, "-c", "open('begun', 'w'); import time; time.sleep(60)"]
    await launch.start(folder, [Command("train", words, str(folder / "tree"), {TAG: str(folder)}, 90.0)], 1.0, ASKED)
    while not (folder / "tree" / "begun").exists():
        await asyncio.sleep(0.02)
    driver(hang=1)
    await asyncio.sleep(0.5)
    said = launch.status(folder)
    assert said is not None
    os.kill(said["pid"], signal.SIGKILL)
    await launch.gone(folder)
    assert not processes(folder)


def test_an_older_status_says_nothing_of_gpus_and_is_read_all_the_same(tmp_path: Path) -> None:
    stage = {
        "name": "train", "started_at": 1.0, "ended_by": "itself", "exit_status": 0, "wall_seconds": 1.0,
        "cpu_seconds": 1.0, "peak_bytes": 1,
    }  # fmt: skip
    for more, whole in (
        ({}, True), ({"energy_joules": 3.0, "peak_device_bytes": 3}, True), ({"energy_joules": "3"}, False),
        ({"energy_joules": -3.0}, False), ({"energy_joules": float("nan")}, False), ({"peak_device_bytes": 3.5}, False),
    ):  # fmt: skip
        status = {"pid": 1, "start_ticks": 1, "ended": True, "stages": [{**stage, **more}]}
        (tmp_path / "status.json").write_text(json.dumps(status))
        assert (launch.status(tmp_path) is not None) == whole, more


# --- what can be measured here, found out by doing -------------------------------------------------------------------


async def test_a_driver_that_tells_all_makes_a_meter_that_says_by_what(driver: Driver) -> None:
    driver(gpus=2)
    found = await meter.look()
    assert found == Meter(memory_by="process")
    assert str(found) == "pss 4 Hz, maxrss; GPU memory by process; energy by GPU counter"


@pytest.mark.parametrize("says", [{"shift": 1_000_000}, {"untold": 1}, {"list": 3}, {"cuda": 100}])
async def test_where_a_process_does_not_find_itself_memory_is_measured_by_device(
    driver: Driver, says: dict[str, int]
) -> None:
    driver(**says)
    found = await meter.look()
    assert (found.no_memory, found.memory_by) == ("", "device")
    assert "GPU memory by device" in str(found)


async def test_on_a_gpu_that_has_no_room_another_process_of_this_machine_says_whether_pids_can_be_told(
    driver: Driver,
) -> None:
    """As the run of an engine that was killed, and goes on, has."""
    driver(cuda=2)
    program = "import ctypes; ctypes.CDLL('libcuda.so.1'); " + HOLDS.format(7000, 60)
    other = subprocess.Popen([sys.executable, "-c", program])
    try:
        await asyncio.sleep(1)
        assert (await meter.look()).memory_by == "process"
        driver(cuda=2, shift=1_000_000)
        assert (await meter.look()).memory_by == "device"
    finally:
        other.kill()
        other.wait()
    driver(cuda=2)
    assert (await meter.look()).memory_by == "device"


@pytest.mark.parametrize(
    ("says", "no_energy", "no_memory"),
    [
        ({"energy": 3}, "libnvidia-ml.so.1 says 'Not Supported'", ""),
        ({"list": 3, "memory": 3}, "", "libnvidia-ml.so.1 says 'Not Supported'"),
        ({"init": 18}, *["libnvidia-ml.so.1 says 'Driver/library version mismatch'"] * 2),
    ],
)
async def test_what_cannot_be_measured_has_the_drivers_own_reason(
    driver: Driver, says: dict[str, int], no_energy: str, no_memory: str
) -> None:
    driver(**says)
    found = await meter.look()
    head = "cannot be measured here: "
    assert found.no_energy == (head + no_energy if no_energy else "")
    assert found.no_memory == (head + no_memory if no_memory else "")
    assert (" by GPU counter" in str(found)) is not bool(no_energy)
    assert ("GPU memory" in str(found)) is not bool(no_memory)


async def test_a_gpu_that_the_driver_does_not_find_is_named(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(gpus=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7")
    found = await meter.look()
    assert found.no_energy == (
        "cannot be measured here: it does not find GPU GPU-7: libnvidia-ml.so.1 says 'Not Found'"
    )


async def test_a_probe_that_hangs_is_a_reason_and_not_waited_for(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(hang=1)
    monkeypatch.setattr(meter, "PROBE_SECONDS", 1.0)
    assert (await meter.look()).no_energy == "cannot be measured here: asking the driver took more than 1 s"


async def test_numbers_of_gpus_that_differ_are_those_of_the_driver_only_in_its_order(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(gpus=2)
    monkeypatch.setattr(meter, "gpus", lambda: ["A", "B"])
    assert not (await meter.look()).no_energy, "all of them are, in any order"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert "these GPUs differ" in (await meter.look()).no_energy
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert await meter.look() == Meter(memory_by="process", gpus=("1",))
