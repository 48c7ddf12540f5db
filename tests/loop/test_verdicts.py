"""What waits is judged, whatever is decided meanwhile; and what the last hours have bought is counted once."""

import time
from pathlib import Path
from typing import Any

import pytest

from loop import engine
from loop.engine import Limits, research
from loop.judge.returns import chance
from loop.judge.standing import Standing
from loop.stop import Stop
from loop.study import Revision, parse
from loop.verdicts import judge_what_waits
from store import commands, journal, views
from store.database import Database
from store.place import CONFIG, Place
from store.records import Answer, Command, Decision, Ended, Keeps, Returns, State, Verdict
from tests.bench.growing import BENCH, TEXT, Growing, growing
from tests.conftest import Write
from tests.loop.test_search import rows

FAST = parse(TEXT + '[study]\npreset = "fast"\n', Path(CONFIG))
RATE = 'RATE = 0.1  # cockpit: 0.001..1.0 log\nprint(f"loss: {RATE}")\n'


async def judged_anew(study: Growing) -> Standing:
    """A standing of another rule, by which everything waits for its verdict."""
    stand = Standing(FAST.settings, BENCH)
    await stand.catch_up(study.database)
    return stand


async def merged(database: Database, number: int) -> None:
    """As a person does it, at any moment."""
    async with database.transaction() as change:
        row = await change.insert("commands", uuid="u", verb="merge", arguments={}, expected={}, at=0.0)
    decision = Decision("merge", number, "", None, "c0", f"c{number}")
    await commands.decided(database, Command("u", "merge", {}, {}, 0.0, row), decision, Answer(True, ""), BENCH)


async def test_a_merge_while_others_are_judged_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with growing(tmp_path) as study:
        for _ in range(6):
            await study.one_more()
        stand, said, judged = await judged_anew(study), [], journal.judged

        async def and_merged(database: Database, verdict: Verdict, counted: Keeps, lately: Returns, *rest: Any) -> None:
            await judged(database, verdict, counted, lately, *rest)
            said.append((verdict.experiment, verdict.incumbent))
            if len(said) == 2:
                await merged(database, 5)

        monkeypatch.setattr(journal, "judged", and_merged)
        await judge_what_waits(study.place, FAST, study.database, stand)
        assert said == [(1, 0), (2, 0)], "the new incumbent has no seeds yet that chose nothing"
        assert stand.incumbent == 5


async def test_what_is_judged_again_was_not_bought_again(tmp_path: Path) -> None:
    async with growing(tmp_path) as study:
        for _ in range(4):
            await study.one_more()
        before = await views.returns(study.database)
        await judge_what_waits(study.place, FAST, study.database, await judged_anew(study))
        assert before is not None
        assert before.experiments == 4
        assert await views.returns(study.database) == before


async def test_a_time_without_an_engine_is_no_part_of_the_last_hours(tmp_path: Path) -> None:
    async with growing(tmp_path) as study:
        now = time.time()
        async with study.database.transaction() as change:
            for kind, began, ended in (
                ("train", 900, 800),
                ("down", 800, 500),
                ("train", 500, 100),
                ("paused", 100, 60),
            ):
                await change.insert(
                    "spans", lane="slot0", kind=kind, began_at=now - began, ended_at=now - ended, outcome="x"
                )
        for seconds, ago in ((50, 50), (100, 140), (440, 480), (500, 840)):
            assert await views.worked_since(study.database, now, seconds) == pytest.approx(now - ago)


async def test_what_was_measured_on_another_bench_is_not_screened_on_this_one(tmp_path: Path) -> None:
    async with growing(tmp_path) as study:
        for _ in range(3):
            await study.one_more()
        other = Standing(study.revision.settings, "another")
        await other.catch_up(study.database)
        assert (study.stand.screened, other.screened, other.looked) == (3, 0, 0)


async def test_a_study_ends_where_a_gain_has_become_unlikely_and_goes_on_where_that_is_asked_no_more(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEAST", 3)
    place = write(RATE + "loss = 1\n", deterministic=True)
    text = place.config.read_text()
    wanted = text.replace("[space]", 'stop_when = { chance = "99 %" }\n[space]', 1)
    place.config.write_text(wanted)
    assert await research(place, Limits(experiments=9), Stop()) is Ended.RETURNS
    ended = await rows(place)
    assert len([one for one in ended if one.state is State.JUDGED]) == 3
    assert await research(place, Limits(experiments=9), Stop()) is Ended.RETURNS
    assert len([one for one in await rows(place) if one.state is State.JUDGED]) == 3, "it is still as unlikely"
    place.config.write_text(wanted.replace("99 %", "0.1 %"))
    assert await research(place, Limits(experiments=5), Stop()) is Ended.EXPERIMENTS


def test_the_chance_is_of_what_was_measured_here() -> None:
    assert chance([], 20, 1) < chance([], 20, 5) < chance([], 5, 5)


async def test_what_runs_out_of_time_is_judged_and_nothing_more_is_proposed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write(RATE, more='[budget]\ntime = "1 h"\n', deterministic=True)

    async def dies(place: Place, revision: Revision, database: Database, stand: Standing) -> None:
        await stand.catch_up(database)
        if stand.screened:
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(engine, "judge_what_waits", dies)
        with pytest.raises(RuntimeError):
            await research(place, Limits(experiments=3), Stop())
    assert State.MEASURED in [one.state for one in (await rows(place))[1:]]
    text = place.config.read_text()
    place.config.write_text(text.replace('"1 h"', '"0.2 s"'))
    known = len(await rows(place))
    assert await research(place, Limits(), Stop()) is Ended.TIME
    after = await rows(place)
    assert State.MEASURED not in [one.state for one in after[1:]]
    place.config.write_text(text.replace('time = "1 h"', "runs = 1"))
    assert await research(place, Limits(), Stop()) is Ended.RUNS
    assert len(await rows(place)) == len(after) == known
