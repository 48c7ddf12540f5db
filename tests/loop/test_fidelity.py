"""Two fidelities: what is searched at quick is confirmed in full, and the two are never mixed."""

import json
import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.engine import Limits, research
from loop.judge.agreement import tau
from loop.judge.runs import BASELINE, CHALLENGE, CONFIRM, SCREEN
from loop.judge.standing import Standing
from loop.rerun import rerun
from loop.schedule import seeds
from loop.stop import Stop
from loop.study import ConfigError, parse
from store import budgets, views
from store.database import Database
from store.place import Place
from store.records import FULL, QUICK, Ended, Evidence, Experiment, Outcome, Run, State, Value, agreed_on
from tests.conftest import Kept, Write, git
from tests.lives import ended
from tests.loop.test_decisions import decide
from tests.loop.test_engine import KILLED
from tests.loop.test_search import rows

pytestmark = pytest.mark.usefixtures("leaves_nothing")
# At quick a loss is .5 more, and the noise of a seed is another one. The best DEPTH is 8, and RATE does nothing.
TRAIN = """\
import hashlib, os
MAX_STEPS = 1000
DEPTH = 3  # cockpit: 1..8
RATE = 0.1  # cockpit: 0.001..1.0 log
def noise(*of):
    return int(hashlib.sha256(repr(of).encode()).hexdigest()[:8], 16) / 2**32 - 0.5
luck = noise(os.environ["COCKPIT_SEED"], MAX_STEPS, DEPTH, RATE)
print(f"steps: {MAX_STEPS}")
print(f"loss: {10 - DEPTH + 500 / MAX_STEPS + 0.2 * luck}")
"""
STILL = "MAX_STEPS = 9\nRATE = 0.1  # cockpit: 0.001..1.0 log\nprint('loss:', RATE + 1 / MAX_STEPS)\n"  # no noise
STEPS = 'steps = { direction = "minimize", steers = false }\n'
TABLE = STEPS + "[fidelity]\nquick = { max_steps = 100 }\n"
SOME = Limits(experiments=11)


async def runs(place: Place) -> list[Run]:
    async with await Database.open(place.folder) as database:
        return [run for one in await views.experiments(database) for run in await views.runs(database, one.number)]


async def searched(write: Write, kept: Kept) -> tuple[Place, list[Experiment], list[Run]]:
    place = write(TRAIN, more=TABLE)
    if not kept("fidelity", place):
        assert await research(place, SOME, Stop()) is Ended.EXPERIMENTS
        kept("fidelity", place)
    return place, await rows(place), await runs(place)


async def test_what_is_promising_at_quick_is_confirmed_by_full_runs_alone(write: Write, kept: Kept) -> None:
    place, experiments, every = await searched(write, kept)
    confirmed = [one for one in experiments if one.verdict and one.verdict.confirmed]
    assert confirmed
    full = [run for run in every if run.fidelity == FULL]
    assert {run.purpose for run in full} == {CONFIRM, CHALLENGE}
    assert {run.fidelity for run in every if run.purpose not in (CONFIRM, CHALLENGE)} == {QUICK}
    for run in every:
        steps = next(one.value for one in run.measurements if one.objective == "steps")
        assert steps == (1000 if run.fidelity == FULL else 100), "set for the run, and in no commit"
    assert not {run.seed for run in full} & {run.seed for run in every if run.fidelity == QUICK}
    for one in confirmed:
        said, own = one.verdict, [run for run in full if run.experiment == one.number]
        assert said is not None and said.fidelity == FULL
        assert said.sentence.endswith(f"; {len(own)} seeds at full")
        figure = said.figures["loss"]
        assert figure["n"] == len(own) >= 3
        assert [run.seed for run in own] == list(islice(seeds(0, FULL), len(own))), "the same seeds for all"
        assert figure["n_incumbent"] >= len(own)
        assert {(m.objective, m.fidelity) for m in one.full} == {("loss", FULL), ("steps", FULL)}
        assert {m.fidelity for m in one.measurements} == {QUICK}
    for one in experiments[1:]:
        if one.verdict and one.verdict.evidence is Evidence.PROMISING and not one.full:
            assert one.verdict.fidelity == QUICK
            assert one.verdict.sentence.endswith("at quick")
    quick = next(m.value for m in experiments[0].measurements if m.objective == "loss")
    in_full = next(m.value for m in experiments[0].full if m.objective == "loss")
    assert quick == pytest.approx(12, abs=0.2)
    assert in_full == pytest.approx(7.5, abs=0.2)
    async with await Database.open(place.folder) as database:
        drawn, (reference,) = await views.frontier(database)
    assert reference.base == pytest.approx(12, abs=0.2), "the frontier is of quick runs, which all have"
    assert drawn.hypervolume > 1


async def test_how_far_quick_and_full_agree_is_recorded_once_four_have_both(write: Write, kept: Kept) -> None:
    place, experiments, _ = await searched(write, kept)
    async with await Database.open(place.folder) as database:
        found = await views.agreement(database)
        told = await database.rows("SELECT text, data FROM events WHERE kind = 'agreement' ORDER BY seq")
    both = sum(bool(one.full) for one in experiments)
    assert both >= 4
    (loss,) = found
    assert (loss.objective, loss.experiments) == ("loss", both)
    assert loss.tau is not None and loss.tau > 0.5 and not loss.poor
    assert json.loads(told[-1]["data"])["agreement"] == {"loss": loss.tau}
    assert json.loads(told[0]["data"])["experiments"] == 4
    assert told[-1]["text"].startswith(f"quick and full agree on the order of {both} experiments (tau-b): loss ")


async def test_what_is_recorded_in_full_is_run_again_in_full(write: Write, kept: Kept) -> None:
    place, _, every = await searched(write, kept)
    run = next(run for run in every if run.purpose == CONFIRM)
    made = await rerun(place, run.experiment, run.seed, Stop())
    assert made is not None and made.fidelity == FULL
    async with await Database.open(place.folder) as database:
        (text,) = (await views.run_again(database, run.experiment)).values()
    assert f"run again at full, seed {run.seed}: " in text
    assert text.count("equal to the last digit") == 2


async def test_what_a_run_is_expected_to_take_is_that_of_its_fidelity(write: Write, kept: Kept) -> None:
    place, _, every = await searched(write, kept)
    own = {
        fidelity: [run.id for run in every if (run.purpose, run.fidelity) == (purpose, fidelity)][-5:]
        for purpose, fidelity in ((SCREEN, QUICK), (CONFIRM, FULL))
    }
    async with await Database.open(place.folder) as database:
        for purpose, fidelity in ((SCREEN, QUICK), (CONFIRM, FULL)):
            spans = await database.rows("SELECT run, sum(ended_at - began_at) AS took FROM spans GROUP BY run")
            took = [row["took"] for row in spans if row["run"] in own[fidelity]]
            expected = await budgets.run_seconds(database, purpose, fidelity)
            assert expected == pytest.approx(sum(took) / len(took))
        never = await budgets.run_seconds(database, BASELINE, FULL)
        last = await database.rows("SELECT id FROM runs WHERE fidelity = 'full' ORDER BY id DESC LIMIT 5")
        took = [row["took"] for row in spans if row["run"] in {one["id"] for one in last}]
    assert never == pytest.approx(sum(took) / 5), "of those for any purpose at that fidelity"


async def test_another_fidelity_is_another_bench(write: Write) -> None:
    place = write(TRAIN, more=TABLE)
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    place.config.write_text(place.config.read_text().replace("max_steps = 100", "max_steps = 200"))
    assert await research(place, Limits(experiments=1), Stop()) is Ended.EXPERIMENTS
    first, second = await runs(place)
    assert first.bench != second.bench and {first.fidelity, second.fidelity} == {QUICK}


async def test_seconds_and_flags_reach_the_script_at_their_fidelity_alone(write: Write) -> None:
    script = """\
import os, sys
RATE = 0.1  # cockpit: 0.001..1.0 log
print("loss:", RATE)
print("told:", os.environ.get("COCKPIT_MAX_SECONDS", 0))
print("words:", len(sys.argv) - 1)
"""
    more = "".join(f'{name} = {{ direction = "minimize", steers = false }}\n' for name in ("told", "words"))
    table = '[fidelity]\nquick = { seconds = 2.5, "--max_iters" = 5 }\nfull = { "--max_iters" = 9, "--all" = true }\n'
    place = write(script, more=more + table, deterministic=True)
    assert await research(place, Limits(experiments=12), Stop()) is Ended.EXPERIMENTS
    given = {run.fidelity: [one.value for one in run.measurements][1:] for run in await runs(place)}
    assert given == {QUICK: [2.5, 1.0], FULL: [0.0, 2.0]}


async def test_a_seed_that_counts_at_quick_alone_ends_the_study_with_the_line_to_change(write: Write) -> None:
    place = write(TRAIN.replace("0.2 * luck", "0.2 * luck * (MAX_STEPS < 1000)"), more=TABLE)
    with pytest.raises(
        ConfigError,
        match=r"`\[objectives\] loss` is the same on every seed of the baseline at full, to within rounding",
    ):
        await research(place, SOME, Stop())


async def test_without_noise_one_full_run_confirms(write: Write) -> None:
    place = write(STILL, more="[fidelity]\nquick = { MAX_STEPS = 3 }\n", deterministic=True)
    assert await research(place, Limits(experiments=10), Stop()) is Ended.EXPERIMENTS
    confirmed = [one for one in await rows(place) if one.verdict and one.verdict.confirmed]
    every = await runs(place)
    assert confirmed
    for one in confirmed:
        assert [run.fidelity for run in every if run.experiment == one.number] == [QUICK, FULL]
    assert [run.purpose for run in every if run.fidelity == FULL and run.experiment == 0] == [CHALLENGE]


@pytest.mark.parametrize("step", [45, 60])
async def test_a_study_killed_at_any_step_goes_on_and_runs_nothing_twice(write: Write, step: int) -> None:
    place = write(STILL, more="[fidelity]\nquick = { MAX_STEPS = 3 }\n", deterministic=True)
    status, errors = ended(KILLED, place.root, step, "within", 6)
    assert status == -signal.SIGKILL, errors
    assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    good = [(run.tree, run.seed, run.fidelity) for run in await runs(place) if run.outcome is Outcome.OK]
    assert len(set(good)) == len(good)
    assert {fidelity for _, _, fidelity in good} == {QUICK, FULL}
    assert all(one.number == 0 or one.state is State.JUDGED for one in await rows(place))


async def test_what_is_merged_is_run_at_quick_again_and_keeps_its_full_runs(write: Write, kept: Kept) -> None:
    place, experiments, before = await searched(write, kept)
    best = max((one for one in experiments if one.offered), key=lambda one: one.knobs["train.py:DEPTH"])
    assert (await decide(place, "merge", best.number)).done
    body = git(place.root, "log", "-1", "--format=%B", "cockpit/tried/trunk")
    n = best.full[0].n
    assert f"loss: {best.full[0].value:.6g} (reported at full, n = {n}), was " in body
    assert await research(place, Limits(experiments=14), Stop()) is Ended.EXPERIMENTS
    old = {run.id for run in before}
    own = [run for run in await runs(place) if run.experiment == best.number]
    chosen = {run.seed for run in own if run.id in old and run.fidelity == QUICK}
    anew = {run.seed for run in own if run.id not in old and run.fidelity == QUICK}
    assert len(anew) >= 3 and not anew & chosen, "it was chosen for those"
    full = [run.seed for run in own if run.fidelity == FULL]
    assert len(set(full)) == len(full), "what confirmed it chose nothing, and stands"
    for one in (await rows(place))[11:]:
        assert one.verdict is not None and one.verdict.incumbent == best.number
        assert one.verdict.figures["loss"]["n_incumbent"] >= 3


# --- what follows from the runs alone --------------------------------------------------------------------------------


def standing(more: str = "", quick: str = "max_steps = 1") -> Standing:
    text = '[run]\ntrain = "python train.py"\n[objectives]\nloss = { direction = "minimize" }\n'
    settings = parse(f"{text}[fidelity]\nquick = {{ {quick} }}\n{more}", Path("cockpit.toml")).settings
    stand = Standing(settings, "")
    for number in range(6):
        stand.put(Experiment(number, "x", State.MEASURED, f"t{number}", "", f"b{number}", 0.0, parent=0, root=0))
    return stand


def ran(stand: Standing, number: int, values: Sequence[float], fidelity: str = QUICK, purpose: str = SCREEN) -> None:
    where = seeds(0, FULL if fidelity == FULL else "")
    for seed, value in zip(where, values, strict=False):
        for each in (stand.runs, stand.full):
            assert each is not None
            each.add(Value(0, number, seed, purpose, "loss", value, fidelity))


async def test_the_noise_of_one_fidelity_is_none_of_the_others() -> None:
    stand = standing()
    ran(stand, 0, [1.0, 1.1, 0.9], purpose=BASELINE)
    ran(stand, 1, [0.5, 0.6])
    ran(stand, 0, [0.3, 0.301, 0.299, 0.3], FULL, CHALLENGE)
    ran(stand, 1, [0.27, 0.271, 0.269, 0.27], FULL, CONFIRM)
    said = await stand.verdict(1)
    assert (said.fidelity, said.seeds, said.runs) == (FULL, 4, 6)
    figure = said.figures["loss"]
    assert figure["gain"] == pytest.approx(0.1)
    assert figure["standard_error"] < 0.01, "with the noise of quick runs it would be ten times that"
    assert figure["df"] <= 6
    assert said.evidence is Evidence.CONFIRMED
    assert said.explanation.startswith("P > .999 that it is better on some noisy objective, after 4 seeds at full.")


async def test_what_is_no_better_in_full_is_given_up_whatever_it_was_at_quick() -> None:
    stand = standing()
    ran(stand, 0, [1.0, 1.01, 0.99], purpose=BASELINE)
    ran(stand, 1, [0.5, 0.51, 0.49])
    said = await stand.verdict(1)
    assert (said.evidence, said.asks, said.fidelity) == (Evidence.PROMISING, True, QUICK)
    assert "Above .95 it is promising, and is run on 4 to 9 fresh seeds at full." in said.explanation
    ran(stand, 0, [0.3, 0.31, 0.29], FULL, CHALLENGE)
    ran(stand, 1, [0.31, 0.32, 0.3], FULL, CONFIRM)
    said = await stand.verdict(1)
    assert (said.evidence, said.asks, said.fidelity) == (Evidence.SCREENED, False, FULL)
    assert "the confirmation is given up" in said.explanation
    assert said.sentence.endswith("; 3 seeds at full")


def test_a_bound_that_the_unchanged_code_breaks_at_quick_is_held_in_full() -> None:
    stand = standing("[constraints]\nloss = { max = 0.5 }\n")
    ran(stand, 0, [1.0], purpose=BASELINE)
    ran(stand, 1, [0.9])
    assert not stand.breach(0) and not stand.breach(1)
    ran(stand, 0, [0.4], FULL, CHALLENGE)
    ran(stand, 1, [0.6], FULL, CONFIRM)
    assert stand.breach(1) == "loss 0.6, at most 0.5; 1 seed"
    stand = standing("[constraints]\nloss = { max = 2 }\n")
    ran(stand, 0, [1.0], purpose=BASELINE)
    ran(stand, 1, [3.0])
    assert stand.breach(1).startswith("loss 3, at most 2"), "what it holds at quick is held there"


def test_the_agreement_is_said_from_four_on_and_a_poor_one_with_what_to_do() -> None:
    stand = standing()
    for number, (quick, full) in enumerate([(1.0, 1.0), (0.9, 1.1), (0.8, 1.2), (0.7, 0.9)]):
        assert not stand.agreement()
        ran(stand, number, [quick], purpose=SCREEN)
        ran(stand, number, [full], FULL, CONFIRM)
    (found,) = stand.agreement()
    assert (found.experiments, found.tau, found.poor) == (4, 0.0, True)
    assert agreed_on([found]).startswith(
        "quick and full agree poorly on the order of 4 experiments (tau-b): loss .00; let quick run longer"
    )
    assert not agreed_on([]) and not replace(found, tau=None).poor


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_tau_is_that_of_the_textbook(pairs: list[tuple[int, int]]) -> None:
    one, other = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = tau(one, other)
    assert (found is None) == (len(set(one)) == 1 or len(set(other)) == 1)
    if found is not None:
        assert -1 - 1e-12 <= found <= 1 + 1e-12
        assert tau(other, one) == pytest.approx(found)
        assert tau([-a for a in one], other) == pytest.approx(-found)
        assert tau(one, one) == pytest.approx(1.0)
