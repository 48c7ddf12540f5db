"""What is known of the others when one is proposed: the same to who has followed and to who begins, however many."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from loop.judge.runs import SCREEN
from loop.propose import optimiser
from loop.propose.admit import Refused
from loop.propose.domain import Range
from loop.propose.edits import KNOBS, REWRITE, Setting
from loop.propose.known import Known
from loop.schedule import seeds
from store import journal, views
from store.records import Experiment, Outcome, Proposal, Refusal, Run
from tests.bench.growing import BENCH, Proposing, proposing


def known(study: Proposing) -> Known:
    """To an engine that begins."""
    return Known(study.revision.settings, study.preparation.knobs, BENCH)


async def add(study: Proposing, parent: int, operator: str = KNOBS) -> Experiment:
    """An experiment of this parent, which waits."""
    study.number += 1
    one = study.experiment(study.number)
    proposal = Proposal("optimiser", operator, parent, "a hypothesis", {}, 1.0)
    await study.settled(await journal.queued(study.database, one, {}, proposal, f"made{one.number}"))
    return one


async def fail(study: Proposing, one: Experiment) -> None:
    """Its run breaks off."""
    planned = Run(
        0, one.number, study.revision.digest, one.tree, BENCH, next(seeds(0)), SCREEN, "full", 1, "slot0", "none",
        "none", "plain", 1.0,
    )  # fmt: skip
    run, effect = await journal.run_started(study.database, one, planned)
    await study.settled(effect)
    await journal.run_ended(study.database, one, run, Outcome.CRASH, "", [])


async def test_who_follows_knows_what_one_knows_who_begins(tmp_path: Path) -> None:
    async with proposing(tmp_path) as study:
        database, following = study.database, known(study)
        before = await views.newest_run(database) + 1
        for number in range(1, 13):
            anew = number in (4, 8)
            one = await add(study, 4 if number in (5, 8, 9) else 0, REWRITE if anew else KNOBS)
            await following.catch_up(database, before)  # proposals see the runs before the last experiment's
            begun = known(study)
            await begun.catch_up(database, before)
            assert following.tried == begun.tried
            assert [following.beside(parent) for parent in range(number)] == [
                begun.beside(parent) for parent in range(number)
            ]
            unmeasured = [tried for tried in following.tried if tried and tried.gains is None and not tried.failed]
            assert len(unmeasured) == min(number, 2), "the one that has run since, and the one that waits"
            before = await views.newest_run(database) + 1
            if number % 5 == 3:
                await fail(study, one)
            else:
                await study.screened(one)
                await study.obey()  # older ones gain seeds
        assert sum(tried is not None and tried.failed for tried in following.tried) == 2
        assert len(following.beside(0)) == 13 - 4
        assert len(following.beside(4)) == 13 - 1, "all but what is of the code of e0008"


async def test_values_that_no_child_may_have_are_not_gone_by(tmp_path: Path) -> None:
    async with proposing(tmp_path) as study:
        for _ in range(6):
            await study.one_more()
        rate, *others = study.preparation.knobs
        near = Range(0.09, 0.11, log=True, integer=False)
        narrow = Known(study.revision.settings, (replace(rate, domain=near), *others), BENCH)
        await narrow.catch_up(study.database)
        assert all(narrow.tried), "it is told to a model"
        assert 1 <= len(narrow.beside(0)) < 7
        assert all(near.holds(one.knobs[rate.key]) for one in narrow.beside(0))


async def test_the_code_of_the_oldest_is_refused_although_the_estimator_has_forgotten_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimiser, "NEWEST", 3)
    monkeypatch.setattr(optimiser, "BEST", 2)
    async with proposing(tmp_path) as study:
        first, own = await study.proposed(), study.preparation
        await study.screened(first)
        for _ in range(12):
            await study.one_more()
        made = await study.proposed()
        assert made.hypothesis.endswith("(by the Parzen estimator, from 4 results)"), "one has just been run"
        values = own.values(study.baseline)
        edit = Setting(own.knobs, values, {key: first.knobs[key] for key in values}).onto(values)
        again = await own.let_in(Proposal("optimiser", KNOBS, 0, edit.sentence, edit.change, 1.0), edit)
        assert isinstance(again, Refused)
        assert (again.refusal, again.reason) == (Refusal.DUPLICATE, "it makes the code of e0001")
