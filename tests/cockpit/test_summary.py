"""The end of a batch: which diff is shown, and the page in Markdown."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit import summary
from store.records import Ended, Evidence, Outcome, Point, Returns, State, Word
from tests.cockpit.studies import every_kind, offered, verdict

DIFF = "diff --git a/model.py b/model.py\n-WIDTH = 64\n+WIDTH = 8\n"


def night(**changes: object) -> summary.Summary:
    """The study of `every_kind` at its end."""
    study = every_kind()
    whole = summary.Summary(
        study=study.study,
        ended_by=Ended.EXPERIMENTS,
        experiments=list(study.experiments),
        runs=14,
        frontier=study.frontier,
        keeps=study.keeps,
        returns=Returns(7200.0, 9, 0, 1.0, 0.207),
        reference=list(study.reference),
        account=study.account,
        limits=list(study.limits),
        incumbent=0,
        decision=study.decision,
        best=study.experiments[1],
        diff=DIFF,
    )
    return replace(whole, **changes)


def test_a_page_has_frontier_spend_and_diff() -> None:
    page = summary.markdown(night())
    assert page == (Path(__file__).parent / "summary.md").read_text()


@pytest.mark.parametrize(
    ("balanced", "promising", "shown"),
    [(1, (1,), 1), (1, (2,), 2), (0, (1, 2), 2), (0, (), None)],
)
def test_the_balanced_pick_is_the_best_where_it_is_up_or_else_the_newest_that_is_promising(
    balanced: int, promising: Sequence[int], shown: int | None
) -> None:
    rows = list(every_kind().experiments)
    hopeful = rows[1].verdict
    for number in (1, 2):
        rows[number] = replace(rows[number], verdict=hopeful if number in promising else rows[4].verdict)
    front = replace(every_kind().frontier, points=tuple(Point(number, number == balanced) for number in (0, 1, 2)))
    best = summary.best(rows, front)
    assert (best.number if best else None) == shown
    said = night(experiments=rows, frontier=front, best=best).which
    assert said.startswith({1: "the balanced pick, ", 2: "promising, e0002", None: "no diff"}[shown])


@pytest.mark.parametrize(
    ("said", "which"),
    [
        (Word.EQUAL, "no diff to look at first: the balanced pick, e0001, is equal, screened; no gain is shown yet"),
        (None, "no diff to look at first: the balanced pick, e0001, is without a verdict; no gain is shown yet"),
        (Word.BETTER, "the balanced pick, screened, e0001; no gain is shown yet"),
    ],
)
def test_a_balanced_pick_of_which_no_gain_is_shown_is_not_put_forward_without_a_word(
    said: Word | None, which: str
) -> None:
    rows, front = list(every_kind().experiments), every_kind().frontier
    rows[1] = replace(rows[1], verdict=verdict(1, said, Evidence.SCREENED, "the same") if said else None)
    assert night(experiments=rows, frontier=front, best=summary.best(rows, front)).which == which


def test_what_the_best_one_costs_that_decides_nothing_stands_above_its_diff(capsys: pytest.CaptureFixture[str]) -> None:
    costs = night(beside=["train 4.00 → 5.12 s, +28 %, worse"], quiet=["train"])
    summary.say(costs)
    assert (
        "\ne0001 besides: train 4.00 → 5.12 s, +28 %, worse\nthe balanced pick, promising, e0001:\n"
        in capsys.readouterr().out
    )
    page = summary.markdown(costs)
    assert "Besides: train 4.00 → 5.12 s, +28 %, worse." in page and "- recorded, and decides nothing: train" in page


@pytest.mark.parametrize(
    ("worths", "balanced", "shown"),
    [((3.0, 1.0, 2.0), 2, 1), ((None, None, None), 2, 2), ((None, None, None), 0, 3), ((None, 0.5, None), 3, 2)],
)
def test_of_offers_the_best_is_that_of_most_worth_at_the_rates_and_else_the_balanced_pick(
    worths: tuple[float | None, ...], balanced: int, shown: int
) -> None:
    front = replace(every_kind().frontier, points=tuple(Point(number, number == balanced) for number in range(4)))
    best = summary.best(offered(*worths), front)
    assert best is not None and best.number == shown


def test_foreign_text_is_no_markdown_and_cannot_leave_its_fence() -> None:
    rows = list(every_kind().experiments)
    rows[1] = replace(rows[1], slug="<img src=x>|a` **b** [c](http://d) @e")
    page = summary.markdown(night(experiments=rows, diff="+````\n+\x1b[31m# heading\n"))
    assert r"\<img src=x\>\|a\` \*\*b\*\* \[c\](http://d) @e |" in page
    assert "`````diff\n+````\n+# heading\n`````\n" in page


def test_a_very_long_diff_is_cut_and_said_to_be() -> None:
    page = summary.markdown(night(diff="+line\n" * 100_000))
    assert len(page) < 2 * summary.MOST_CHARACTERS
    assert page.endswith("+line\n… 83334 lines more\n```\n")


def test_a_failed_baseline_says_how_it_failed() -> None:
    rows = [replace(every_kind().experiments[0], state=State.FAILED, failure=Outcome.CRASH, detail="exit status 1")]
    failed = night(experiments=rows, ended_by=Ended.BASELINE_FAILED, reference=[], best=None, diff="")
    page = summary.markdown(failed)
    assert "e0000 failed: crash: exit status 1" in page
    assert "Frontier" not in page and "diff" not in page
