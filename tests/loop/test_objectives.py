"""Objectives that are built in, scales and rates, in studies that run."""

import re

import pytest

from loop.engine import Limits, research
from loop.run import devices, meter
from loop.stop import Stop
from loop.study import ConfigError
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended, Evidence, Experiment, Run, Source, Word, offers
from store.trail import Trail
from tests.conftest import Driver, Write

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import os
from pathlib import Path
SIZE = 40  # cockpit: 10..80
DEPTH = 3  # cockpit: 1..8
(Path(os.environ["COCKPIT_OUTPUT"]) / "model").write_bytes(b"x" * SIZE * 10)
print(f"loss: {4 / DEPTH}")
print("predict_us_per_item: 36")
"""
OWN = """\
changed_lines = { direction = "minimize" }
artifact_bytes = { direction = "minimize", deterministic = true }
items_per_second = { direction = "maximize", steers = false }
[prices]
device_hour = 3
[constraints]
price_per_million_items = { max = 1 }
"""


async def known(place: Place) -> tuple[list[Experiment], list[Run]]:
    async with await Database.open(place.folder) as database:
        return await views.experiments(database), await views.runs(database, 0)


async def test_cockpit_measures_what_no_script_prints(write: Write) -> None:
    place = write(TRAIN, more=OWN, deterministic=True)
    assert await research(place, Limits(experiments=4), Stop()) is Ended.EXPERIMENTS
    rows, _ = await known(place)
    for row in rows:
        found = {one.objective: (one.value, one.source) for one in row.measurements}
        moved = sum(row.knobs.get(f"train.py:{name}", value) != value for name, value in (("SIZE", 40), ("DEPTH", 3)))
        assert found["changed_lines"] == (2 * moved, Source.MEASURED), "a line taken away, and one added"
        assert found["artifact_bytes"] == (10 * row.knobs.get("train.py:SIZE", 40), Source.MEASURED)
        assert found["items_per_second"] == (1e6 / 36, Source.REPORTED)
        assert found["price_per_million_items"] == (36 / 3600 * 3, Source.REPORTED)
    assert len(rows) == 4
    assert {row.verdict.runs for row in rows if row.verdict} == {1}, "it was judged from one run"


async def test_another_price_is_another_bench_for_what_was_measured_has_the_old_one_in_it(write: Write) -> None:
    place = write(TRAIN, more=OWN, deterministic=True)
    await research(place, Limits(experiments=1), Stop())
    place.config.write_text(place.config.read_text().replace("device_hour = 3", "device_hour = 6"))
    await research(place, Limits(experiments=1), Stop())
    rows, runs = await known(place)
    assert len({run.bench for run in runs}) == len(runs) == 2
    assert {one.objective: one.value for one in rows[0].measurements}["price_per_million_items"] == pytest.approx(0.06)


async def test_a_logarithm_of_a_baseline_that_has_none_is_an_error_once_it_is_known(write: Write) -> None:
    place = write("RATE = 2  # cockpit: 1..9\nprint('loss:', RATE - 2)\n", deterministic=True)
    place.config.write_text(place.config.read_text().replace('"minimize"', '"minimize", scale = "log"'))
    with pytest.raises(ConfigError) as caught:
        await research(place, Limits(experiments=3), Stop())
    assert str(caught.value) == (
        f'{place.config}:12: `[objectives] loss.scale` is "log", and the baseline\'s value is 0, which has no '
        'logarithm; put `scale = "linear"`'
    )
    rows, runs = await known(place)
    assert (len(rows), len(runs)) == (1, 1), "nothing was run in vain"
    place.config.write_text(place.config.read_text().replace('"log"', '"linear"'))
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS


async def test_what_this_machine_cannot_measure_is_an_error_before_anything_runs(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "gpus", list)
    place = write(TRAIN, more="[constraints]\nenergy_joules = { max = 3 }\n", deterministic=True)
    with pytest.raises(
        ConfigError, match=re.escape(f"{place.config}:14: `[constraints] energy_joules` takes an NVIDIA")
    ):
        await research(place, Limits(experiments=3), Stop())
    assert await known(place) == ([], [])


JOULES = """\
import time
RATE = 1  # cockpit: 1 | 2
time.sleep({1: 0.6, 2: 0.2}[RATE])
open("/proc/self/comm", "w").write(f"gpu {30_000_000 * RATE}")
time.sleep(0.3)
print("loss:", RATE)
"""


async def test_energy_and_memory_of_a_gpu_are_measured_and_steer_as_any_other(write: Write, driver: Driver) -> None:
    driver(watts=200)
    more = 'energy_joules = { direction = "minimize" }\n[constraints]\npeak_device_memory_bytes = { max = "50 MB" }\n'
    place = write(JOULES, more=more, deterministic=True)
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    rows, runs = await known(place)
    values = [{one.objective: one for one in row.measurements} for row in rows]
    assert [row["peak_device_memory_bytes"].value for row in values] == [30_000_000, 60_000_000]
    assert {one.source for row in values for one in row.values() if one.objective != "loss"} == {Source.MEASURED}
    assert values[1]["energy_joules"].value < values[0]["energy_joules"].value
    assert rows[1].verdict and rows[1].verdict.word is Word.INFEASIBLE
    assert {run.meter for run in runs} == {"pss 4 Hz, maxrss; GPU memory by process; energy by GPU counter"}
    for run in runs:
        (stage,) = run.stages
        assert stage.energy_joules == pytest.approx(200 * stage.wall_seconds, rel=0.15)
        assert stage.peak_device_bytes in (30_000_000, 60_000_000)


async def test_a_driver_that_fails_during_a_run_fails_the_run_that_needs_its_value_and_says_so(
    write: Write, driver: Driver
) -> None:
    driver(gpus=1)
    place = write("import time; time.sleep(0.5)\n" + TRAIN, more='energy_joules = { direction = "minimize" }\n')
    told = meter.look

    async def found(trail: Trail) -> meter.Meter:
        was = await told(trail)
        driver(energy=15)
        return was

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "look", found)
        assert await research(place, Limits(experiments=2), Stop()) is Ended.BASELINE_FAILED
    rows, _ = await known(place)
    why = f"the meter said nothing of energy_joules; change `[objectives] energy_joules`, {place.config}:"
    assert rows[0].failure == "no metrics" and rows[0].detail.startswith(why)


TRADE = """\
RATE = 1  # cockpit: 1 | 2 | 3
print("loss:", {1: 1.0, 2: 1.1, 3: 1.3}[RATE])
print("weights:", {1: 1000, 2: 800, 3: 100}[RATE])
"""


async def test_rates_say_which_trade_offs_are_offered_and_the_order_of_offers_and_no_word(write: Write) -> None:
    place = write(TRADE, more='weights = { direction = "minimize", deterministic = true }\n', deterministic=True)
    assert await research(place, Limits(), Stop()) is Ended.NO_PROPOSER
    text = place.config.read_text()
    found = []
    for rates in ("", 'loss = "1 %", weights = "10 %"', 'loss = "8 %", weights = "10 %"'):
        if rates:
            place.config.write_text(text.replace("[study]", f"[study]\nworth = {{ {rates} }}"))
            await research(place, Limits(), Stop())
        rows, _ = await known(place)
        judged = [row.verdict for row in rows if row.verdict]
        assert [one.word for one in judged] == [Word.TRADE_OFF] * 2
        found.append([row.knobs["train.py:RATE"] for row in offers(rows)])
        offered = [row.verdict.worth for row in offers(rows) if row.verdict]
        assert offered == sorted(offered, key=lambda worth: -(worth or 0.0))
        assert all((one.worth is None) == (not rates) for one in judged)
        assert all((one.evidence is Evidence.CONFIRMED) == ((one.worth or 0) > 0) for one in judged)
    # A tenth more of loss for a fifth less of weights is worth it at the last rates only, three for nine tenths sooner.
    assert found == [[], [], [3, 2]]
