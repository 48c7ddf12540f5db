"""Runs that lose are stopped early: by what rule, how seldom one that is as good is, and what is said of it."""

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from loop.engine import Limits, research
from loop.judge.axis import axis
from loop.judge.early import Behind, Curve, behind, said
from loop.judge.noise import Pool
from loop.run import early, metrics
from loop.run.early import doubts, loses, stops
from loop.run.metrics import Found, Wanted
from loop.run.quiet import Quiet
from loop.stop import Stop
from loop.study import Objective, parse
from store import views
from store.database import Database
from store.place import Place
from store.records import Ended, Evidence, Experiment, Outcome, Run, Stage, State, Word
from tests.conftest import Write, cockpit

STEPS = range(0, 2001, 50)
KNOWN = Pool(0.01**2, 2.0, 2.0)  # as three runs of the baseline have it
LOSS = axis("loss", Objective(direction="minimize"), 1.0, 0.01)


def curve(draw: random.Random, worse: float = 0.0, sigma: float = 0.01, at_step: float = 0.02) -> Curve:
    """A loss that comes down to 1; a seed's own shift, and noise at each step."""
    own = draw.gauss(0, sigma)
    return [(float(step), (1 + 3 * 0.997**step) * (1 + worse + own) + draw.gauss(0, at_step)) for step in STEPS]


def incumbent(draw: random.Random) -> list[Curve]:
    return [curve(draw) for _ in range(3)]


def stopped(worse: float, tries: int = 400, seed: int = 0, sigma: float = 0.01) -> float:
    draw = random.Random(seed)
    found = [behind(LOSS, incumbent(draw), curve(draw, worse, sigma), KNOWN, False) for _ in range(tries)]
    return sum(one is not None for one in found) / tries


def test_a_run_that_is_as_good_is_hardly_ever_stopped_and_one_that_loses_nearly_always() -> None:
    assert stopped(0.0) <= 0.01
    assert stopped(0.0, sigma=0.02) <= 0.06, "also where its own noise is twice what was known"
    assert stopped(0.15) > 0.95


def test_one_look_is_not_enough_and_the_first_fifth_is_not_looked_at() -> None:
    draw = random.Random(1)
    known, good = incumbent(draw), curve(draw)
    bump = [(step, value * (2.0 if 950 < step <= 1000 else 1.0)) for step, value in good]
    assert behind(LOSS, known, bump, KNOWN, False) is None
    early = [(step, value * (2.0 if step <= 400 else 1.0)) for step, value in good]
    assert behind(LOSS, known, early, KNOWN, False) is None
    bad = curve(draw, 0.5)
    assert behind(LOSS, known, [one for one in bad if one[0] <= 499], KNOWN, False) is None
    found = behind(LOSS, known, [one for one in bad if one[0] <= 700], KNOWN, False)
    assert found is not None and (found.step, found.of) == (600.0, 2000.0)
    assert said(LOSS, found, "e0000").startswith("stopped early at step 600 of 2000: loss 5")
    text = said(LOSS, Behind(500.0, 2000.0, 31.0, 5e4), "e0000")
    assert text == "stopped early at step 500 of 2000: loss 3100 % worse than e0000 there (over 100 sigma)"


def test_where_others_steer_what_would_be_given_up_is_no_loss() -> None:
    draw = random.Random(2)
    fine = Pool(0.0005**2, 20.0, 4.0)
    known = [curve(draw, 0.0, 0.0005, 0.0) for _ in range(3)]
    bit_worse = curve(draw, 0.012, 0.0, 0.0)
    loose = axis("loss", Objective.model_validate({"direction": "minimize", "give_up": "10 %"}), 1.0, 0.0005)
    assert behind(loose, known, bit_worse, fine, False) is not None
    assert behind(loose, known, bit_worse, fine, True) is None


def test_two_curves_are_not_enough_and_no_curve_is_none() -> None:
    draw = random.Random(3)
    assert behind(LOSS, incumbent(draw)[:2], curve(draw, 5.0), KNOWN, False) is None
    assert behind(LOSS, incumbent(draw), [], KNOWN, False) is None


async def test_a_run_that_has_no_finite_number_any_more_is_stopped() -> None:
    settings = parse('[run]\ntrain = "x"\n[objectives]\nloss = { direction = "minimize" }', Path("c")).settings
    noise = SimpleNamespace(within=lambda: KNOWN)
    standing = SimpleNamespace(
        settings=settings, axes=lambda: [LOSS], runs=SimpleNamespace(noise=lambda *of: noise), incumbent=0
    )
    stage = Stage("train", Outcome.OK, 0, 0.0, 0.1, 0.1, 1, "log")
    own = Run(1, 0, "r", "t", "b", 1, "baseline", "full", 1, "s", "w", "m", "l", 0.0, 1.0, Outcome.OK, "", (stage,))
    at = [(1.0, 2.0), (2.0, 1.0)]
    looks = [Found(1.0, at), Found(math.nan, [], wild=True), Found(math.nan, at, wild=True)]
    looks += [Found(0.5, at), Found(math.nan, at, wild=True), Found(math.inf, at, wild=True)]

    async def read(one: Run, wanted: Mapping[str, Wanted]) -> Mapping[str, Found]:
        return {"loss": Found(1.0, at) if one is own else looks.pop(0)}

    sentence = await loses(cast(Any, standing), replace(own, id=2, experiment=1), [own, own, own], read, Quiet())
    assert (sentence, looks) == ("stopped early after step 2: loss is no finite number any more", [])


def test_the_last_value_says_whether_a_curve_has_left_the_numbers(tmp_path: Path) -> None:
    log, wanted = tmp_path / "train.log", {"loss": Wanted("loss", pattern=r"loss: (\S+)")}
    for text, wild in (("loss: 2\nloss: nan\n", True), ("loss: nan\nloss: 2\n", False)):
        log.write_text(text)
        found = metrics.read(tmp_path, wanted, ["train"], 0.0)["loss"]
        assert (found.wild, [value for _, value in found.curve]) == (wild, [2.0])


def test_where_no_curve_is_printed_it_is_said_that_nothing_is_stopped() -> None:
    text = '[run]\ntrain = "x"\nstop_early = true\n[objectives]\nloss = { direction = "minimize" }'
    printed = parse(text, Path("c")).settings
    filed = parse(text.replace('"minimize"', '"minimize", from = { file = "a.csv" }'), Path("c")).settings
    measured = parse(text.replace("loss", "artifact_bytes"), Path("c")).settings
    assert doubts(printed, []) == doubts(filed, []) == []
    assert doubts(measured, []) == ["nothing is stopped early: no objective that steers has a curve"]
    unasked = measured.model_copy(update={"run": measured.run.model_copy(update={"stop_early": None})})
    assert doubts(unasked, []) == []


def test_a_timed_run_is_not_looked_at_and_that_is_said() -> None:
    text = '[run]\ntrain = "x"\nstop_early = true\n[objectives]\nloss = { direction = "minimize" }'
    asked, quiet = parse(text, Path("c")).settings, Quiet()
    run = Run(1, 1, "r", "t", "b", 1, "screen", "full", 1, "s", "w", "m", "l", 0.0)
    assert not stops(asked, run, [run] * 3, quiet), "nobody knows yet what is timed"
    quiet.timed = frozenset({"train"})
    assert not stops(asked, run, [run] * 3, quiet)
    (said,) = doubts(asked, [], quiet.timed)
    assert said.startswith("nothing is stopped early: training is timed")
    quiet.timed = frozenset({"predict"})
    assert stops(asked, run, [run] * 3, quiet) and doubts(asked, [], quiet.timed) == []


TRAIN = """\
import os, time
BAD = 0  # cockpit: 0..9
seed = int(os.environ["COCKPIT_SEED"]) % 7
for step in range(1, 21):
    time.sleep(0.01 if not BAD else 0.12)
    print(f"step {step} loss: {1 + 1 / step + seed / 1000 + BAD * 5}", flush=True)
"""


async def rows(place: Place) -> list[Experiment]:
    async with await Database.open(place.folder) as database:
        return await views.experiments(database)


@pytest.mark.usefixtures("leaves_nothing")
async def test_a_run_that_loses_is_stopped_booked_and_said(write: Write) -> None:
    place = write(TRAIN, run="stop_early = true", more="[model]\nname = 'none'")
    assert await research(place, Limits(experiments=5), Stop()) is Ended.EXPERIMENTS
    bad = next(row for row in await rows(place) if row.number and not row.measurements)
    assert (bad.state, bad.failure, bad.measurements) == (State.JUDGED, None, ())
    assert bad.verdict and (bad.verdict.word, bad.verdict.evidence) == (Word.WORSE, Evidence.SCREENED)
    assert bad.verdict.sentence.startswith("stopped early at step ") and "% worse than e0000 there" in bad.verdict.line
    async with await Database.open(place.folder) as database:
        (run,) = await views.runs(database, bad.number)
        booked = (await views.ledger(database)).by_outcome
    assert run.outcome is Outcome.STOPPED_EARLY and run.detail == bad.verdict.sentence
    assert booked["stopped early"]["seconds"] > 0 and not any(name.startswith("failed") for name in booked)
    folder = str(place.root)
    assert "worse, screened: stopped early at step" in cockpit("experiments", folder).stdout
    assert "stopped early at step" in cockpit("show", bad.id, folder).stdout
    shown = json.loads(cockpit("show", "--json", bad.id, folder).stdout)
    assert shown["runs"][0]["outcome"] == "stopped early" and shown["verdict"] == "worse"
    assert "stopped early" in cockpit("ledger", folder).stdout and cockpit("frontier", folder).returncode == 0


@pytest.mark.usefixtures("leaves_nothing")
async def test_a_short_run_is_not_stopped_unless_it_is_asked_for(write: Write) -> None:
    place = write(TRAIN.replace("0.12", "0.01"))
    await research(place, Limits(experiments=4), Stop())
    assert all(row.measurements for row in await rows(place))


FILED = """\
import csv, os, pathlib, time
BAD = 0  # cockpit: 0..9
seed = int(os.environ["COCKPIT_SEED"]) % 7
with (pathlib.Path(os.environ["COCKPIT_OUTPUT"]) / "log.csv").open("w", buffering=1) as file:
    print("step,loss", file=file)
    for step in range(1, 21):
        time.sleep(0.01 if not BAD else 0.2)
        print(f"{step},{1 + 1 / step + seed / 1000 + BAD * 5}", file=file)
"""


@pytest.mark.usefixtures("leaves_nothing")
async def test_a_curve_that_stands_in_a_file_stops_a_run_as_well(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "FILE_SECONDS", 0.2)
    place = write(FILED, run="stop_early = true", more="[model]\nname = 'none'")
    text = place.config.read_text().replace('"minimize"', '"minimize", from = { file = "{output}/log.csv" }')
    place.config.write_text(text)
    assert await research(place, Limits(experiments=5), Stop()) is Ended.EXPERIMENTS
    bad = next(row for row in await rows(place) if row.number and not row.measurements)
    assert bad.verdict and bad.verdict.sentence.startswith("stopped early at step ")
    assert "% worse than e0000 there" in bad.verdict.line
