"""What a study may spend: what is begun fits, what runs out ends it cleanly, and more of it goes on from there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop import budget, ready
from loop.engine import Limits, research
from loop.run import execution
from loop.stop import Stop
from loop.study import ConfigError
from store import budgets, views
from store.database import Change, Database
from store.place import Place
from store.records import Ended, Limit, State
from tests.conftest import Driver, Write
from tests.loop.test_proposing import TRAIN as PROPOSED
from tests.loop.test_proposing import of_model
from tests.loop.test_search import rows
from tests.scripted import serving, something_new

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import os
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 3  # cockpit: 1..8
print(f"loss: {RATE + DEPTH + int(os.environ['COCKPIT_SEED']) % 7}")
"""
amounts = st.floats(0.0, 100.0)


def limit(name: str, most: float, spent: float, reserved: float = 0.0, at: float = 0.0) -> Limit:
    return Limit(name, most, at, spent, reserved, None, None)


@given(st.floats(1.0, 1000.0), st.lists(st.tuples(amounts, amounts), max_size=40))
def test_a_budget_is_overrun_by_what_was_in_flight_alone(most: float, things: list[tuple[float, float]]) -> None:
    spent = 0.0
    for forecast, took in things:
        if budget.lacking([limit("tokens", most, spent)], {"tokens": forecast}, 0.0):
            continue
        assert spent < most
        assert spent + forecast <= most * (1 + 1e-6)
        spent += took
        assert spent <= most * (1 + 1e-6) + max(0.0, took - forecast)


@given(st.floats(1.0, 1000.0), st.lists(amounts, max_size=40))
def test_what_is_reserved_is_not_given_twice(most: float, forecasts: list[float]) -> None:
    reserved = 0.0
    for forecast in forecasts:
        if not budget.lacking([limit("device_hours", most, 0.0, reserved)], {"device_hours": forecast}, 0.0):
            reserved += forecast
    assert reserved <= most * (1 + 1e-6)


def test_each_budget_says_its_own_reason_and_counts_what_is_asked_of_it_alone() -> None:
    full = [limit(name, 10, 10) for name in budget.ENDS]
    for name, why in budget.ENDS.items():
        assert budget.lacking(full, {name: 1.0}, 0.0) is why
    assert budget.lacking(full, {}, 0.0) is None
    assert budget.lacking([limit("tokens", 10, 10)], budget.run(5.0, 0), 0.0) is None


def test_time_that_is_too_short_for_a_run_is_not_begun_and_passes_between_the_events() -> None:
    left = [limit("time", 100, 90, at=1000.0)]
    assert budget.lacking(left, budget.run(9.0, 0), 1000.0) is None
    assert budget.lacking(left, budget.run(9.0, 0), 1002.0) is Ended.TIME
    assert budget.lacking(left, budget.run(None, 0), 1002.0) is None  # nothing is known of it
    assert budget.lacking(left, budget.run(None, 0), 1010.0) is Ended.TIME


def revise(place: Place, before: str, after: str) -> None:
    text = place.config.read_text()
    assert before in text
    place.config.write_text(text.replace(before, after))


async def limits(place: Place) -> dict[str, Limit]:
    async with await Database.open(place.folder) as database:
        return {one.budget: one for one in await budgets.read(database)}


async def runs(place: Place) -> int:
    async with await Database.open(place.folder) as database:
        return await views.run_count(database)


async def test_a_budget_that_runs_out_ends_the_study_cleanly_and_raising_it_resumes(write: Write) -> None:
    place = write(TRAIN, more="[budget]\nruns = 5\n")
    assert await research(place, Limits(), Stop()) is Ended.RUNS
    assert await runs(place) == 5
    made = await rows(place)
    assert not [one for one in made if one.state in (State.RUNNING, State.MEASURED) and one.number]
    assert await research(place, Limits(), Stop()) is Ended.RUNS  # and again, without a run more
    assert await runs(place) == 5
    row = (await limits(place))["runs"]
    assert (row.most, row.spent, row.reserved, row.ends_at) == (5, 5, 0, None)

    revise(place, "runs = 5", "runs = 9")
    assert await research(place, Limits(), Stop()) is Ended.RUNS
    assert await runs(place) == 9
    assert [one.commit for one in (await rows(place))[: len(made)]] == [one.commit for one in made]
    revise(place, "runs = 9", "runs = 100")
    count = len(await rows(place)) + 1
    assert await research(place, Limits(experiments=count), Stop()) is Ended.EXPERIMENTS
    assert len(await rows(place)) == count


async def test_a_baseline_that_no_budget_is_left_for_is_not_run(write: Write) -> None:
    place = write(TRAIN, more="[budget]\nruns = 1\n")
    assert await research(place, Limits(), Stop()) is Ended.RUNS
    revise(place, "loss = {", "loss2 = {")  # another bench: the baseline is to be measured again
    assert await research(place, Limits(), Stop()) is Ended.RUNS
    assert await runs(place) == 1


async def test_where_no_tokens_are_left_nothing_more_is_proposed_and_what_is_there_is_finished(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(PROPOSED, more=of_model(host) + "[budget]\ntokens = 2000\n", deterministic=True)
        assert await research(place, Limits(), Stop()) is Ended.TOKENS
        async with await Database.open(place.folder) as database:
            spent = (await views.ledger(database)).total["tokens"]
            (most,) = [one for one in await budgets.read(database) if one.budget == "tokens"]
            thought = await budgets.thought_tokens(database)
        assert thought is not None
        assert most.spent == spent <= 2000 < spent + thought
        assert not [one for one in await rows(place) if one.state in (State.QUEUED, State.RUNNING)]
        assert "optimiser" in {one.proposer for one in await rows(place)}
        asked, made = len(brain.requests), len(await rows(place))

        assert await research(place, Limits(), Stop()) is Ended.TOKENS
        assert (len(brain.requests), len(await rows(place))) == (asked, made)
        revise(place, "tokens = 2000", "tokens = 3000")
        assert await research(place, Limits(), Stop()) is Ended.TOKENS
        assert len(brain.requests) > asked
        assert len(await rows(place)) > made


async def test_a_call_that_no_tokens_are_left_for_is_not_made(write: Write) -> None:
    with serving(something_new()) as (host, brain):
        place = write(PROPOSED, more=of_model(host, share=1) + "[budget]\ntokens = 1\n")
        assert await research(place, Limits(), Stop()) is Ended.TOKENS
    assert len(brain.requests) == 1  # nothing was known of it, and its answer was more than all


async def test_a_study_without_a_model_spends_no_tokens(write: Write) -> None:
    place = write(TRAIN, more="[budget]\ntokens = 1\n", deterministic=True)
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS


async def test_a_device_is_spent_while_a_run_holds_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ready, execution):
        monkeypatch.setattr(module, "usable", lambda: 2)
    place = write("import time; time.sleep(0.5)\n" + TRAIN, more="[budget]\ndevice_hours = 0.003\n")
    assert await research(place, Limits(), Stop()) is Ended.DEVICE_HOURS
    async with await Database.open(place.folder) as database:
        spent = (await views.ledger(database)).total["device_seconds"]
        own = sum((await views.seconds(database)).values())
        longest = await database.rows("SELECT max(seconds) FROM (SELECT sum(ended_at - began_at) AS seconds "
                                      "FROM spans WHERE run IS NOT NULL GROUP BY run)")  # fmt: skip
    assert spent == pytest.approx(2 * own)
    assert (await limits(place))["device_hours"].spent == pytest.approx(spent / 3600)
    assert spent <= 10.8 + 2 * longest[0][0]
    assert await runs(place) >= 2


async def test_money_is_spent_by_the_hour_that_runs_take_and_its_end_is_a_clean_one(write: Write) -> None:
    """A thousand an hour: a run of half a second and more costs a sixth of one and more."""
    place = write(
        "import time; time.sleep(0.5)\n" + TRAIN,
        more='[budget]\nmoney = 1.0\n[prices]\ndevice_hour = 1000\ncurrency = "EUR"\n',
    )
    assert await research(place, Limits(), Stop()) is Ended.MONEY
    spent = (await limits(place))["money"]
    async with await Database.open(place.folder) as database:
        own = sum((await views.seconds(database)).values())
    assert spent.spent == pytest.approx(own * 1000 / 3600)
    assert not spent.reserved
    assert await runs(place) >= 2
    assert spent.spent <= 1.0 + 2 * spent.spent / await runs(place), "by no more than what was in flight"


async def test_hours_of_a_device_that_is_not_there_are_an_error_with_its_line(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "usable", lambda: 0)
    place = write(TRAIN, more="[budget]\ndevice_hours = 3\n")
    with pytest.raises(ConfigError, match=r"cockpit\.toml:\d+: `\[budget\] device_hours`: this machine has no GPU"):
        await research(place, Limits(), Stop())


async def test_while_a_run_goes_on_it_is_reserved_and_the_end_is_foreseen(write: Write) -> None:
    place = write(TRAIN, more='[budget]\nruns = 4\ntime = "1 h"\n')
    seen: list[tuple[str, float, float]] = []
    update = budgets.update

    async def watched(change: Change, now: float) -> None:
        await update(change, now)
        for one in await budgets.read(change):
            if one.budget == "runs":
                seen.append((one.budget, one.spent, one.reserved))
                assert (one.ends_at is None) == (not one.rate or not await change.rows(ALIVE))
                assert one.ends_at is None or one.ends_at >= now

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgets, "update", watched)
        assert await research(place, Limits(), Stop()) is Ended.RUNS
    assert {(spent, reserved) for _, spent, reserved in seen} == {
        *((number, 0) for number in range(5)), *((number, 1) for number in range(4)),
    }  # fmt: skip
    hour = (await limits(place))["time"]
    assert hour.most == 3600
    assert 0 < hour.spent < 60


ALIVE = "SELECT 1 FROM engines WHERE ended_at IS NULL"


async def test_minutes_of_the_command_line_are_of_one_engine(write: Write, tmp_path: Path) -> None:
    place = write(TRAIN, more='[budget]\ntime = "1 h"\nexperiments = 2\n')
    assert await research(place, Limits(), Stop()) is Ended.EXPERIMENTS
    first = (await limits(place))["time"].spent
    assert await research(place, Limits(experiments=3, seconds=600.0), Stop()) is Ended.EXPERIMENTS
    now = await limits(place)
    assert (now["time"].most, now["experiments"].most, now["experiments"].spent) == (600, 3, 3)
    async with await Database.open(place.folder) as database:
        lived = await budgets.engine_seconds(database, 0.0)
    assert now["time"].spent == pytest.approx(lived - first, abs=0.05)


async def test_joules_that_run_out_end_the_study_cleanly_and_more_of_them_resume(write: Write, driver: Driver) -> None:
    """A hundred watts, and a run of three tenths of a second and more: some fifty joules."""
    driver()
    place = write("import time; time.sleep(0.3)\n" + TRAIN, more="[budget]\njoules = 300\n")
    assert await research(place, Limits(), Stop()) is Ended.JOULES
    async with await Database.open(place.folder) as database:
        spent = (await views.ledger(database)).total["joules"]
        ledger = await views.ledger(database)
        stages = await database.rows("SELECT sum(energy_joules), max(energy_joules) FROM stages")
        forecast = await budgets.run_joules(database, "screen")
    assert spent == pytest.approx(stages[0][0])
    assert spent == pytest.approx(sum(amounts.get("joules", 0.0) for amounts in ledger.by_outcome.values()))
    row = (await limits(place))["joules"]
    assert (row.most, row.reserved) == (300, 0)
    assert row.spent == pytest.approx(spent)
    assert forecast is not None
    assert spent - stages[0][1] < 300 < spent + 2 * forecast, "by no more than what was in flight, and all but a run"
    made = await runs(place)
    assert made >= 3
    assert await research(place, Limits(), Stop()) is Ended.JOULES
    assert await runs(place) == made
    revise(place, "joules = 300", "joules = 600")
    assert await research(place, Limits(), Stop()) is Ended.JOULES
    assert await runs(place) > made


@pytest.mark.parametrize(
    ("says", "why", "bounds"),
    [
        ({"gpus": 0}, "takes an NVIDIA GPU, and there is none here that a run may use", "time"),
        ({"energy": 3}, "cannot be measured here: libnvidia-ml.so.1 says 'Not Supported'", "device_hours"),
    ],
)
async def test_joules_that_cannot_be_measured_are_an_error_with_its_line(
    write: Write, driver: Driver, says: dict[str, int], why: str, bounds: str
) -> None:
    driver(**says)
    place = write(TRAIN, more="[budget]\njoules = 3\n")
    with pytest.raises(ConfigError) as caught:
        await research(place, Limits(), Stop())
    assert str(caught.value) == (
        f"{place.config}:14: `[budget] joules` {why}; take it out, `{bounds}` and `runs` bound what is run"
    )


async def test_the_joules_of_a_run_that_goes_on_are_reserved(write: Write, driver: Driver) -> None:
    driver()
    place = write("import time; time.sleep(0.3)\n" + TRAIN, more="[budget]\njoules = 1e6\n")
    seen: list[float] = []
    update = budgets.update

    async def watched(change: Change, now: float) -> None:
        await update(change, now)
        seen.extend([one.reserved for one in await budgets.read(change)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgets, "update", watched)
        assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        joules = [row[0] for row in await database.rows("SELECT sum(energy_joules) FROM stages GROUP BY run")]
    held = [one for one in seen if one]
    assert held, "from the second run on"
    assert min(joules) <= max(held) <= max(joules), "what the runs before it took"
    assert not seen[-1]
