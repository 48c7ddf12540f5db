"""What the panels show: a view becomes lines, without a terminal."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cockpit import bars, card, keys, output, pages, plot, summary
from cockpit.axes import axes
from cockpit.feed import Snapshot
from cockpit.glyphs import promising
from cockpit.keys import TABLE
from cockpit.listing import groups, sorts
from cockpit.merging import hindrance, merge_lines
from cockpit.panels import PANELS
from cockpit.panels.diff import case
from cockpit.panels.experiments import Experiments
from cockpit.panels.frontier import front
from cockpit.panels.ledger import bar, funnel, shares
from cockpit.patch import Change, Changes, Kind, Patch
from cockpit.plans import Planned
from cockpit.progress import brief, priced, progress, sentence
from cockpit.rows import Listing, abbreviated, columns, row, shown_in, sort_at
from cockpit.sheets import Merge, Note
from cockpit.usual import Usual
from cockpit.view import Arrangement, Choices, View, Want, arrangement
from store.planned import Foreseen, Plan
from store.records import Decision, Ended, Evidence, Experiment, Frontier, Measurement, Outcome, Source, State, Word
from tests.cockpit.studies import NOW, every_kind, experiment, figure, measured, offered, unbegun, verdict

BROKEN = "peak_memory_bytes 17.2 GB, at most 16 GB; 1 seed"
DIFF = Changes(
    [
        Change(Kind.FILE, "model.py", added=1, removed=1),
        Change(Kind.REMOVED, "WIDTH = 64", 9),
        Change(Kind.ADDED, "WIDTH = 8", None, 9),
    ]
)
FOUND: dict[Want[Any], Any] = {Patch("commit0", "commit1"): DIFF}


def order(rows: Sequence[Experiment], incumbent: int = 0) -> list[int]:
    """The numbers as they are listed."""
    return [number for _, _, numbers in groups(rows, incumbent) for number in numbers]


def text(panel: int, study: Snapshot, width: int, height: int = 40, selected: int = 1) -> list[str]:
    shape = Arrangement.NARROW if width < 100 else Arrangement.WIDE
    drawing = PANELS[panel - 1]().draw(View(study, selected, NOW, shape, FOUND), width, height)
    return [line.text.rstrip() for line in (*drawing.head, *drawing.body)]


@given(st.integers(66, 220), st.integers(10, 70), st.sampled_from([1, 2, 3, 4, 5, 6]), st.integers(0, 8))
@example(75, 10, 3, 1)
def test_no_line_is_wider_than_the_panel_it_is_in(width: int, height: int, panel: int, selected: int) -> None:
    for study in (every_kind(), unbegun()):
        drawing = PANELS[panel - 1]().draw(View(study, selected, NOW, Arrangement.NARROW, FOUND), width, height)
        for line in (*drawing.head, *drawing.body):
            if not line.text.strip().startswith(("+", "−", "WIDTH")):
                assert cell_len(line.text.rstrip()) <= width, line.text


def test_progress_counts_what_is_done_and_names_what_runs() -> None:
    study = every_kind()
    said = "7 of 20 experiments   e0007 screen, after train, 9 s   4 on the frontier   5.7k tokens   1 h 00"
    assert progress(study, NOW) == said
    assert "   paused   " in progress(replace(study, paused=True), NOW)
    assert progress(unbegun(), NOW) == "0 experiments"


def test_what_wants_a_person_comes_first() -> None:
    study = every_kind()
    assert [title for title, _, _ in groups(study.experiments)] == ["Promising, not confirmed", "Now", "Earlier"]
    assert order(study.experiments) == [1, 7, 8, 6, 5, 4, 3, 2, 0]
    assert [title for title, _, _ in groups(study.experiments[8:])] == ["Queued"], "nothing runs now"
    said = study.experiments[1].verdict
    assert said is not None
    confirmed = replace(study.experiments[1], verdict=replace(said, evidence=Evidence.CONFIRMED))
    assert groups([confirmed])[0][0] == "Waiting for you"


@pytest.mark.parametrize(
    ("worths", "listed"),
    [
        ((None, None, None), [3, 2, 1]),
        ((1.5, -0.5, 9.0), [3, 1, 2]),
        ((None, 0.5, None, -2.0), [2, 4, 3, 1]),
    ],
)
def test_of_offers_those_of_most_worth_come_first_then_the_newest(
    worths: tuple[float | None, ...], listed: list[int]
) -> None:
    rows = offered(*worths)
    assert groups(rows)[0][2] == listed
    shown = output.status_keys("digits", None, None, None, rows, 0, None)
    assert shown["offered"] == [f"e{number:04}" for number in listed]
    assert f"{len(listed)} offers: {', '.join(shown['offered'])}" in pages.status_page({**shown, "trunk": None}, None)


@given(st.lists(st.sampled_from([one for one in every_kind().experiments if one.number])))
def test_every_experiment_is_listed_once(rows: list[Experiment]) -> None:
    rows = [replace(one, number=number) for number, one in enumerate(rows)]
    assert sorted(order(rows)) == list(range(len(rows)))


def test_a_row_at_80_columns_says_the_verdict_and_at_60_the_changes() -> None:
    broad, slim = "\n".join(text(1, every_kind(), 80)), "\n".join(text(1, every_kind(), 60))
    assert "▸e0001 ⇅ trade-off    predict 38 % faster, nll 2.7 % wo…  promising  3  34s  59m" in broad
    assert "e0003 ! failed       out of memory: 9.1 of 8 GB" in broad
    assert "▸e0001 ⇅ trade-off" in slim and "+2.7 ±0.8" in slim and "−38" in slim
    assert "e0007 ► running      screen, after train, 9 s" in slim


def test_a_verdict_in_brief_has_no_probability() -> None:
    said = "nll 5.3 % better (P = .88), accuracy not shown worse (0.4 %, P = .70); 3 seeds"
    assert brief(said) == "nll 5.3 % better, accuracy not shown worse (0.4 %)"


def test_what_stands_above_a_column_is_a_word_or_its_beginning_apart_from_the_one_before() -> None:
    assert [abbreviated("predict", at) for at in (7, 6, 4)] == ["predict", "pred.", "pr."]
    assert abbreviated("parameters", 5) == "par." and abbreviated("peak memory", 7) == "memory"
    pair = ("cpu memory", "gpu memory")
    assert [abbreviated(one, 7, [other]) for one, other in (pair, pair[::-1])] == ["cpu me…", "gpu me…"]
    assert [abbreviated(wide, 5) for wide in ("予測時間", "予測time")] == ["予測…", "予測…"]
    for width in (48, 56, 60, 62, 66, 82, 86, 100):
        head = Experiments().draw(View(every_kind(), 1, NOW), width, 20).head[-1].text
        assert "…" not in head and all(head[at - 1] == " " for at in range(len(head)) if head[at] in "▴▾")


def test_what_runs_says_which_run_of_how_many() -> None:
    study = every_kind()
    baseline = replace(study.experiments[0], state=State.RUNNING, measurements=())
    run = replace(study.running[0], experiment=0, purpose="baseline", stages=())
    study = replace(study, experiments=(baseline,), running=(run,))
    assert any("baseline 1 of 3, 9 s" in line for line in text(1, study, 80))


def test_before_anything_is_judged_the_list_says_what_happens_now() -> None:
    study = replace(every_kind(), experiments=(replace(every_kind().experiments[0], state=State.RUNNING),))
    said = "\n".join(text(1, study, 62))
    assert "What happens now" in said and "2 knobs in model.py, train.py" in said and "20 experiments" in said
    assert "seeds, to learn" in said and "must hold" not in said
    assert "Nothing to draw yet" in "\n".join(text(2, unbegun(), 80))
    assert "Nothing is spent yet" in "\n".join(text(5, unbegun(), 80))


@pytest.mark.parametrize(("width", "height"), [(62, 30), (80, 19)])
def test_however_much_is_foreseen_what_it_may_do_stays_in_sight(width: int, height: int) -> None:
    bound = {"peak_memory_bytes": {"max": 16e9, "text": "at most 16 GB", "kind": "memory"}}
    study = every_kind()
    assert study.engine is not None
    study = replace(study, engine=replace(study.engine, facts={**study.facts, "constraints": bound}))
    study = replace(study, experiments=study.experiments[:1], running=())
    foreseen = tuple(Foreseen(one, "full", 70, 2.3, 13, 1.0, {"nll": 0.02}) for one in ("fast", "balanced", "strict"))
    plan = Plan("balanced", 8.0, "3 runs", 120.0, 10**9, None, 240, "8 h", foreseen, ("shorter runs",), "too few runs")
    view = View(study, 0, NOW, Arrangement.NARROW, {Planned(): plan})
    drawing = Experiments().draw(view, width, height)
    said = "\n".join(one.text for one in [*drawing.head, *drawing.body][:height])
    assert "must hold      peak memory at most 16 GB" in said and "may spend" in said and "you may leave" in said
    assert len(drawing.head) + len(drawing.body) <= height
    assert "i shows" in said and "on 3 seeds, 2 min each" in said


def test_how_long_a_run_takes_is_said_once_one_has_ended() -> None:
    study = every_kind()
    run = replace(study.running[0], experiment=0, purpose="baseline", stages=())
    study = replace(study, experiments=(replace(study.experiments[0], state=State.RUNNING),), running=(run,))
    usual = Usual(run.bench, run.fidelity)
    assert usual in Experiments().wants(View(study, 0, NOW))
    for known, says in (({}, "on 3 seeds, to"), ({"train": 131.0, "score": 1.0}, "on 3 seeds, 2 min each, to")):
        drawing = Experiments().draw(View(study, 0, NOW, found={usual: known}), 80, 24)
        assert any(says in one.text for one in drawing.body)


def test_better_lies_up_and_to_the_left() -> None:
    pair = (plot.Axis("cost", "s", False, False), plot.Axis("nll", "", False, True))
    good, bad = plot.Dot(1.0, 0.1, "G", "text"), plot.Dot(2.0, 0.2, "B", "text")
    rows = [line.text for line in plot.draw([good, bad], [good], pair, 60, 14)]
    at = {mark: next((row.index(mark), y) for y, row in enumerate(rows) if mark in row) for mark in "GB"}
    assert at["G"][0] < at["B"][0] and at["G"][1] < at["B"][1]
    most = (plot.Axis("speed", "", True, False), plot.Axis("accuracy", "", True, True))
    rows = [line.text for line in plot.draw([good, bad], [bad], most, 60, 14)]
    at = {mark: next((row.index(mark), y) for y, row in enumerate(rows) if mark in row) for mark in "GB"}
    assert at["B"][0] < at["G"][0] and at["B"][1] < at["G"][1]


@example([(5e-324, 1.0), (1.0, 2.0)], 40, 8)
@example([(1e-300, 1.0), (1e6, 2.0)], 40, 8)
@example([(1e-20, 1e-300), (1.0, 1e300)], 40, 8)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(1e-9, 1e9)), min_size=1, max_size=30),
    st.integers(40, 120),
    st.integers(8, 40),
)
def test_a_plot_fills_its_room_whatever_the_values_are(
    values: list[tuple[float, float]], width: int, height: int
) -> None:
    pair = (plot.Axis("cost", "s", False, False), plot.Axis("nll", "", False, True))
    dots = [
        plot.Dot(x, y, "∙", "dim", label=[("e0001", "dim")], weight=0 if index else 9, selected=not index)
        for index, (x, y) in enumerate(values)
    ]
    rows = plot.draw(dots, dots[:3], pair, width, height)
    assert len(rows) == height
    assert all(cell_len(line.text) <= width for line in rows)
    assert any("[∙" in line.text or "∙]" in line.text for line in rows)


def test_the_value_of_the_selected_point_stands_on_the_axes() -> None:
    rows = text(2, every_kind(), 80, 22)
    assert any(line.startswith(" .1302┼") for line in rows)
    assert any("2.54" in line for line in rows)
    assert any("[⇅]" in line or "[▵]" in line for line in rows)
    assert any("balanced pick" in line for line in rows)


def test_the_front_holds_what_nobody_beats_on_both_axes() -> None:
    study = every_kind()
    pair = axes(study)
    assert pair and [one.name for one in pair] == ["predict_us_per_item", "nll"]
    assert front(study, *pair) == [1, 5]  # e0002 was run once; the baseline is on the frontier for another objective


def test_what_has_one_objective_alone_is_drawn_by_number() -> None:
    study = every_kind()
    assert study.engine is not None
    objectives = {"nll": study.facts["objectives"]["nll"]}
    one = replace(study, engine=replace(study.engine, facts={**study.facts, "objectives": objectives}))
    pair = axes(one)
    assert pair and [axis.label for axis in pair] == ["experiment", "nll"]
    assert any("experiment" in row for row in text(2, one, 80, 22))
    both = {**objectives, "accuracy": {**study.facts["objectives"]["accuracy"], "steers": True}}
    two = replace(study, engine=replace(study.engine, facts={**study.facts, "objectives": both}))
    assert [axis.name for axis in axes(two) or ()] == ["accuracy", "nll"]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_larger_effect_is_never_drawn_nearer(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert card.cells(low) <= card.cells(high)
    assert card.cells(-low) == -card.cells(low)


def test_the_band_of_what_does_not_matter_is_as_wide_in_every_row() -> None:
    assert (card.cells(1.0), card.cells(-1.0)) == (card.BAND, -card.BAND)
    drawn = "".join(piece[0] for piece in card.interval(20.0, 60.0, 90.0, "good"))
    assert drawn[card.BROAD - 2 : card.BROAD + 3] == "░░│░░"
    assert drawn.endswith("►")


def test_the_card_says_each_objective_with_a_word() -> None:
    rows = text(3, every_kind(), 80)
    by_name = {line.split()[0]: line for line in rows if line.split()}
    assert "−38" in by_name["predict"] and by_name["predict"].endswith("better   3 scored")
    assert "+2.7 ±0.8" in by_name["nll"] and "worse" in by_name["nll"]
    assert ".8698" in by_name["accuracy"] and "not steering" in by_name["accuracy"]


def test_the_card_says_the_bound_of_what_is_bounded() -> None:
    study = every_kind()
    assert study.engine is not None
    bounds = {
        "peak_memory_bytes": {"text": "at most 16 GB", "kind": "count"},
        "accuracy": {"text": "at least 0.8", "kind": "quality"},
    }
    memory = Measurement("peak_memory_bytes", 17.2e9, Source.MEASURED)
    rows = [replace(one, measurements=(*one.measurements, memory)) for one in study.experiments]
    facts = {**study.facts, "constraints": bounds}
    study = replace(study, experiments=tuple(rows), engine=replace(study.engine, facts=facts))
    drawn = {line.split()[0]: line for line in text(3, study, 80) if line.split()}
    assert "17.2G" in drawn["peak"] and "at most 16 GB" in drawn["peak"]
    assert "at least 0.8" in drawn["accuracy"] and drawn["accuracy"].endswith("3 scored")
    assert "worse" in drawn["nll"]


def infeasible() -> Snapshot:
    """A study in which nothing that was measured is within its bounds, the baseline neither."""
    study = every_kind()
    rows = tuple(
        replace(one, verdict=replace(one.verdict, word=Word.INFEASIBLE, evidence=Evidence.SCREENED, sentence=BROKEN))
        if one.verdict
        else one
        for one in study.experiments
    )
    return replace(study, experiments=rows, frontier=Frontier())


def test_an_empty_frontier_is_drawn_and_printed_and_said_to_be_empty() -> None:
    study = infeasible()
    for number in (0, 1):
        assert any("not on the frontier" in line for line in text(2, study, 80, 30, selected=number))
    assert any("⊘ infeasible" in line for line in text(1, study, 120))
    page = pages.frontier_page(study.frontier, list(study.reference), study.experiments, None, None)
    assert page.startswith("0 experiments of ")
    assert output.frontier_keys(study.frontier, list(study.reference), study.experiments)["points"] == []
    assert summary.best(list(study.experiments), study.frontier) is None


def test_the_sentence_stands_above_what_a_model_says() -> None:
    rows = [line.text for line in case(every_kind(), every_kind().experiments[1], 79)]
    said = next(index for index, line in enumerate(rows) if "predict 38 % faster" in line)
    quoted = next(index for index, line in enumerate(rows) if "“KNOB 1 → 2”" in line)
    assert said < quoted


def test_a_loss_that_buys_nobody_knows_how_many_is_told_from_one_that_buys_none() -> None:
    study = every_kind()
    one = study.account.funnel.losses[0]
    losses = tuple(replace(one, reason=f"loss {amount}", measured=amount) for amount in (None, 0.0, 1234.5))
    found = replace(study.account.funnel, losses=losses)
    rows = text(5, replace(study, account=replace(study.account, funnel=found)), 80)
    ends = {row.split()[1]: row.split(maxsplit=5)[-1].split("  ")[-1] for row in rows if row.startswith(" loss ")}
    assert ends == {"None": "?", "0.0": "–", "1234.5": "1234 exp."}


def test_the_parts_of_a_bar_fill_it() -> None:
    parts = shares(every_kind().ledger.by_outcome, "seconds")
    assert [share.word for share, _ in parts] == [
        "frontier",
        "judged",
        "baseline",
        "failed",
        "infra",
        "overhead",
        "idle",
    ]
    assert sum(amount for _, amount in parts) == pytest.approx(every_kind().ledger.total["seconds"])
    for width in (1, 7, 62, 150):
        assert sum(len(piece[0]) for piece in bar(parts, width)) == width


def test_the_funnel_says_what_was_lost_and_why() -> None:
    for width in (80, 100):
        said = "\n".join(line.text.rstrip() for line in funnel(every_kind(), width))
        assert "1 agent duplicate  1 infra call timeout" in said and "…" not in said
    assert "1 agent out of memory" in said
    assert "queued 1, under way 1" in said and "rejected 1" in said


def test_what_was_lost_and_why_is_on_the_smallest_screen() -> None:
    rows = text(5, every_kind(), 80, 19)[:19]
    at = next(index for index, row in enumerate(rows) if row.startswith(" lost "))
    assert {row.split("  ")[0].strip() for row in rows[at + 1 : at + 4]} == {
        one.reason for one in every_kind().account.funnel.losses[:3]
    }


@pytest.mark.parametrize(
    ("columns", "rows", "wanted"),
    [
        (80, 24, Arrangement.NARROW),
        (120, 40, Arrangement.WIDE),
        (200, 60, Arrangement.HUGE),
        (59, 24, Arrangement.NONE),
        (80, 17, Arrangement.NONE),
        (200, 25, Arrangement.NARROW),
        (179, 60, Arrangement.WIDE),
    ],
)
def test_the_panels_stand_as_there_is_room(columns: int, rows: int, wanted: Arrangement) -> None:
    assert arrangement(columns, rows) is wanted


def test_the_status_says_what_the_engine_does() -> None:
    study = every_kind()

    def said(**changed: object) -> str:
        return bars.status(replace(study, **changed), "digits", NOW, 120).text

    assert study.engine is not None
    assert "► running 1 h 00" in said() and "1 promising" in said() and "wall bwrap" in said()
    assert "paused" in said(paused=True)
    assert "engine gone since" in said(pid=None)
    ended = replace(study.engine, ended_at=NOW, ended_by=Ended.EXPERIMENTS)
    assert "ended" in said(pid=None, engine=ended) and "experiments" in said(pid=None, engine=ended)
    assert "not begun" in bars.status(unbegun(), "digits", NOW, 80).text


@given(st.integers(20, 220))
def test_the_lines_around_the_panels_fit(width: int) -> None:
    study = every_kind()
    for line in (
        bars.status(study, "digits", NOW, width),
        *bars.tabs(2, width),
        *bars.strip(study, ("said", "good"), 2, width),
    ):
        assert width < 70 or cell_len(line.text.rstrip()) <= width
    assert width < 30 or cell_len(keys.footer(1, (), width, "pause").text.rstrip()) <= width


@pytest.mark.parametrize("rows", [8, 10, 12, 30])
def test_where_there_is_no_room_for_panels_every_line_of_why_has_room_before_a_blank_one(rows: int) -> None:
    said = [line.text.strip() for line in bars.too_small(View(every_kind(), 1, NOW), "digits", 40, rows)]
    assert len(said) <= rows and "q quit, the engine goes on" in said and said.count("") == max(0, min(4, rows - 8))


def test_what_trunk_has_left_behind_is_badged_and_said_to_be_run_first() -> None:
    study = replace(every_kind(), incumbent=5)
    for width in (62, 80, 120):
        listed = {shown[1:6]: shown for shown in text(1, study, width)}
        badged = {name for name, shown in listed.items() if "stale" in shown}
        assert badged == {f"e000{number}" for number in (1, 7, 8)}, "e0002 and e0004 are done with"
    assert any(
        "stale: made from e0000, and trunk is e0005 now" in text.text for text in case(study, study.experiments[1], 80)
    )
    said = "\n".join(line.text.rstrip() for line in merge_lines(study, [study.experiments[1]], DIFF, 74))
    assert "stale         made from e0000, and trunk is e0005 now" in said
    assert "to verify     one run, before all else   u if it does not hold" in said
    assert "then stale    4 open: judged by what trunk was, can still be merged" in said
    assert "you get       predict" in said


def test_a_sheet_for_several_names_each_and_promises_no_sum_of_their_effects() -> None:
    study = every_kind()
    said = "\n".join(line.text.rstrip() for line in merge_lines(study, study.experiments[1:3], DIFF, 74))
    assert "e0001 trade-off, promising: predict 38 % faster" in said
    assert "e0002 inconclusive, screened: nll 5.3 % better" in said
    assert "not known     what they do together   effects do not add up" in said
    assert "you get" not in said
    many = [replace(study.experiments[1], number=number) for number in range(1, 10)]
    said = "\n".join(line.text.rstrip() for line in merge_lines(study, many, None, 74))
    assert "e0006" in said and "e0007" not in said and "and 3 more" in said


def whole(**more: Any) -> Snapshot:
    """Trunk is two changes together."""
    study = every_kind()
    one = experiment(9, "merge-e0001-e0005", State.MERGED, operator="merge", parents=(0, 1, 5), **more)
    return replace(study, experiments=(*study.experiments, one), incumbent=9)


@pytest.mark.parametrize(
    ("more", "bar", "said"),
    [
        (
            {},
            "trunk is not verified yet",
            "trunk is e0009, which is not verified yet: its first run comes before all else",
        ),
        (
            {"failure": Outcome.CRASH, "detail": "train: exit status 1"},
            "! trunk e0009 does not hold",
            "trunk is e0009, which does not hold: crash, train: exit status 1. `cockpit undo` goes back",
        ),
        (
            {
                "measurements": measured(0.2, 4.0, 26_100),
                "verdict": verdict(9, Word.WORSE, Evidence.SCREENED, "nll 58 % worse (P > .999)"),
            },
            "! trunk e0009 does not hold",
            "trunk is e0009, which does not hold: nll 58 % worse (P > .999). `cockpit undo` goes back",
        ),
        ({"verdict": verdict(9, Word.INCONCLUSIVE, Evidence.SCREENED, "nll 5.3 % better (P = .88)")}, "", ""),
    ],
)
def test_a_merge_that_does_not_hold_is_the_first_thing_said(more: dict[str, Any], bar: str, said: str) -> None:
    study = whole(**more)
    assert pages.verified(study.experiments, 9, Decision("merge", 9, "", None, "a", "b")) == said
    back = "once it has taken back the rejection of e0006"
    assert (back in pages.verified(study.experiments, 9, study.decision)) is ("undo" in said)
    shown = bars.status(study, "digits", NOW, 120).text
    assert bar in shown and ("trunk" in shown) is bool(bar)
    assert (order(study.experiments, 9)[0] == 9) is ("undo" in said)


def test_the_merge_sheet_says_what_is_got_given_and_not_known() -> None:
    study = every_kind()
    said = "\n".join(line.text.rstrip() for line in merge_lines(study, [study.experiments[1]], DIFF, 74))
    assert "you get       predict −38 ±2 %   parameters −62 %" in said
    assert "you give      nll +2.7 ±0.8 %   .1268 → .1302" in said
    assert "3f9a1c2 → a merge commit   1 file, +1 −1" in said
    assert "Not confirmed on fresh seeds" in said


def recorded(seconds: float, **of: Any) -> Snapshot:
    """Training takes four seconds, which does not steer; of the first change it takes so many."""
    study = every_kind()
    asked = {"direction": "minimize", "label": "train", "unit": "s", "kind": "time", "steers": False, **of}
    engine = study.engine
    assert engine is not None
    facts = {**engine.facts, "objectives": {**engine.facts["objectives"], "train_seconds": asked}}
    rows = list(study.experiments)
    for number, value in ((0, 4.0), (1, seconds)):
        more = Measurement("train_seconds", value, Source.MEASURED, 3)
        rows[number] = replace(rows[number], measurements=(*rows[number].measurements, more))
    return replace(study, experiments=tuple(rows), engine=replace(engine, facts=facts))


@pytest.mark.parametrize(
    ("seconds", "of", "said"),
    [
        (5.12, {}, "besides       train 4.00 → 5.12 s, +28 %, worse"),
        (3.0, {}, "besides       train 4.00 → 3.00 s, −25 %, better"),
        (4.1, {}, ""),
        (5.12, {"direction": "maximize"}, "besides       train 4.00 → 5.12 s, +28 %, better"),
    ],
)
def test_what_a_merge_costs_of_what_decides_nothing_is_said_beside_it(
    seconds: float, of: dict[str, Any], said: str
) -> None:
    study = recorded(seconds, **of)
    shown = [text.text.rstrip() for text in merge_lines(study, [study.experiments[1]], DIFF, 74)]
    assert [text for text in shown if text.startswith("besides")] == ([said] if said else [])
    assert any(text.startswith("you give") for text in shown)


@pytest.mark.parametrize(("height", "blanks"), [(20, 0), (50, 2)])
def test_a_list_that_is_alone_has_blank_lines_between_its_groups_where_it_is_tall(height: int, blanks: int) -> None:
    shown = PANELS[0]().draw(View(every_kind(), 1, NOW), 80, height)
    assert sum(not one.text.strip() for one in shown.body) == blanks
    assert shown.cursor is not None and shown.numbers[shown.cursor] == 1


def test_where_a_sentence_is_cut_the_price_stands_next_to_the_gain() -> None:
    study = every_kind()
    one = study.experiments[1]
    said = sentence(study, one, NOW)
    assert said == "predict 38 % faster, parameters 62 % lower, nll 2.7 % worse"
    assert priced(study, one, said, 60).rstrip() == said
    assert priced(study, one, said, 40) == "predict 38 % faster, nll 2.7 % worse, p…"


def test_where_the_list_is_wide_the_verdicts_sentence_stands_beside_the_figures() -> None:
    study = every_kind()
    wide = columns(study, 200, NOW, Choices())
    said = row(View(study, 1, NOW), study.experiments[1], wide).text
    assert sum(one.width for one in wide) + 22 == cell_len(said) == 200
    assert "drop-second-layer             predict 38 % faster, parameters 62 % lower, nll 2.7 % worse" in said
    assert all(one.title.strip() != "verdict" for one in columns(study, 120, NOW, Choices()))


def test_a_sheet_for_several_says_of_each_what_it_gives_up_and_what_it_costs_beside() -> None:
    study = recorded(5.12)
    shown = [text.text.rstrip() for text in merge_lines(study, study.experiments[1:3], DIFF, 74)]
    assert "besides       e0001 train 4.00 → 5.12 s, +28 %, worse" in shown
    assert "nll 2.7 % worse (P = .99)" in " ".join(text.strip() for text in shown), "a price is not clipped"
    assert all(cell_len(text) <= 74 for text in shown)
    many = [replace(study.experiments[1], number=number) for number in range(1, 6)]
    said = [text.text.rstrip() for text in merge_lines(study, many, None, 74)]
    assert said[:2] == [
        f"e000{one} trade-off, promising: predict 38 % faster, nll 2.7 % worse, paramet…" for one in (1, 2)
    ]
    assert "              and 2 more" in said, "of what each costs beside"


def test_an_axis_that_decides_nothing_is_said_to() -> None:
    study = recorded(5.12)
    assert study.engine is not None
    said = {name: one for name, one in study.facts["objectives"].items() if name in ("nll", "train_seconds")}
    two = replace(study, engine=replace(study.engine, facts={**study.facts, "objectives": said}))

    def note(one: Snapshot) -> str:
        return "".join(str(piece[0]) for piece in PANELS[1]().draw(View(one, 1, NOW), 80, 22).note)

    assert note(two) == "nll against train, train decides nothing"
    assert "decides nothing" not in note(study)
    page = pages.frontier_page(study.frontier, list(study.reference), study.experiments, None, None, (), ["train"])
    assert "\nrecorded, and decides nothing: train" in page


def test_what_is_the_same_to_the_last_digit_is_no_change_beside_a_mean_of_more_seeds() -> None:
    study = every_kind()
    rows = list(study.experiments)
    said = verdict(2, Word.EQUAL, Evidence.SCREENED, "the same as e0000", nll=figure(0.0, 0.0, "equal"))
    rows[2], rows[5] = replace(rows[2], verdict=said), replace(rows[5], verdict=None)
    page = pages.frontier_page(study.frontier, list(study.reference), rows, None, None).splitlines()
    assert next(text for text in page if text.startswith("e0002")).split()[:3] == ["e0002", "0.1201", "="]
    assert "no verdict" in next(text for text in page if text.startswith("e0005"))


@pytest.mark.parametrize("foreseen", [None, "", "both change train.py:WIDTH"])
def test_what_conflicts_is_not_offered_to_be_merged(foreseen: str | None) -> None:
    study = every_kind()
    sheet = Merge(study, [study.experiments[1]], None, TABLE)
    sheet._foreseen = foreseen
    does = [does for _, does in sheet.keys()]  # noqa: SIM118, it is no mapping
    assert ("merge it unconfirmed" in does) is not bool(foreseen)
    assert "back" in does and "reject instead" in does


def test_what_cannot_be_merged_says_nothing_of_what_comes_after_a_merge_and_how_to_go_on() -> None:
    study = every_kind()
    both = [study.experiments[1], study.experiments[2]]

    def names(foreseen: str | None) -> list[str]:
        return [row.text[:14].strip() for row in merge_lines(study, both, None, 74, foreseen)]

    after = {"to verify", "then stale", "not touched", "undo"}
    assert after < {*names("")} and "instead" not in names("")
    said = names("e0002 moves train.py:WIDTH, and so does e0001: nothing is merged")
    assert said[-1] == "instead" and {"trunk", "conflicts"} < {*said} and not after & {*said}


@pytest.mark.parametrize(
    ("width", "said"), [(80, "8 exp  2 confirmed, 0.1 by luck"), (120, "2 confirmed, 0.1 by luck")]
)
def test_how_many_are_so_by_luck_is_said_of_what_is_confirmed_and_not_of_all(width: int, said: str) -> None:
    study = every_kind()
    assert study.keeps is not None
    keeps = replace(study.keeps, confirmed=2, expected_false=0.1)
    rows = [one for one in study.experiments if not one.offered and not promising(one)]
    assert said in bars.status(replace(study, experiments=tuple(rows), keeps=keeps), "digits", NOW, width).text


def test_a_note_says_that_nobody_reads_it_where_no_model_is_asked() -> None:
    read, unread = (" ".join(row.text for row in Note(TABLE, is_read=some).lines(70)) for some in (True, False))
    assert "The model reads it" in read and unread.startswith("No model is asked")


@pytest.mark.parametrize("width", [80, 62, 120])
def test_each_column_but_the_sentence_is_what_the_list_can_be_sorted_by(width: int) -> None:
    study = every_kind()
    view = View(study, 1, NOW)
    found = [sort_at(view, width, x) for x in range(width)]
    assert found[0] == "attention" and found[9] == "state" and {*filter(None, found)} <= {*sorts(study)}
    header = Listing(view, shown_in(view), width).header.text
    for title in ("evidence", "cost", "age"):
        assert title not in header or found[header.index(title)] == title
    assert any(name.startswith("gain: ") for name in found) is (width != 80)


@pytest.mark.parametrize(
    ("number", "merge", "reject"),
    [
        (0, "the baseline", "the baseline"),
        (1, "", ""),
        (3, "failed", "failed"),
        (5, "merged already", "merged already"),
        (6, "rejected already", "rejected already"),
        (8, "no measurement", ""),
    ],
)
def test_what_cannot_be_decided_is_said_before_it_is_asked(number: int, merge: str, reject: str) -> None:
    study = every_kind()
    for verb, why in (("merge", merge), ("reject", reject)):
        said = hindrance(study, study.experiments[number], verb)
        assert why in said and bool(said) is bool(why)
    assert BROKEN in hindrance(infeasible(), infeasible().experiments[1], "merge")
    assert not hindrance(infeasible(), infeasible().experiments[1], "reject")
    assert not hindrance(replace(study, incumbent=5), study.experiments[1], "merge"), "that it is stale bars nothing"


def test_foreign_text_is_clean_in_every_panel() -> None:
    poison = "\x1b]52;c;cGF5\x07\x1b[2J[/usr/bin]"
    study = every_kind()
    said = study.experiments[1].verdict
    assert said is not None
    rows = tuple(
        replace(
            one,
            slug=poison,
            hypothesis=poison,
            detail=poison,
            verdict=replace(said, sentence=poison, experiment=one.number),
        )
        for one in study.experiments
    )
    facts = {
        **study.facts,
        "model": poison,
        "wall": poison,
        "no_wall": "",
        "objectives": {poison: study.facts["objectives"]["nll"]},
    }
    assert study.engine is not None
    event = replace(study.events[0], text=poison)
    study = replace(study, experiments=rows, engine=replace(study.engine, facts=facts), events=(event,))
    view = View(
        study,
        1,
        NOW,
        Arrangement.NARROW,
        {Patch("commit0", "commit1"): Changes([Change(Kind.FILE, poison), Change(Kind.ADDED, poison, None, 1)])},
    )
    lines = [line for panel in PANELS for line in panel().draw(view, 80, 22).body]
    lines += [
        bars.status(study, "digits", NOW, 120),
        *bars.strip(study, (poison, "bad"), 2, 80),
        *merge_lines(study, [rows[1]], None, 74),
    ]
    assert all(line.text.isprintable() for line in lines)
    assert any("[/usr/bin]" in line.text for line in lines)


def test_figures_of_an_earlier_version_have_no_interval_and_are_shown_all_the_same() -> None:
    old = {key: value for key, value in figure(-0.2, 0.0, "up").items() if key not in ("margin", "low", "high")}
    study = every_kind()
    said = study.experiments[1].verdict
    assert said is not None
    one = replace(
        experiment(1, "old", State.JUDGED),
        measurements=study.experiments[1].measurements,
        verdict=replace(said, figures={"nll": old}),
    )
    assert any("better" in line.text for line in card.card(study, one, study.experiments[0], 80))
    assert math.isfinite(old["gain"])


@pytest.mark.parametrize("room", range(20, 60))
def test_where_a_sentence_is_cut_its_price_is_next_to_its_gain_and_no_figure_is_half_of_another(room: int) -> None:
    study = every_kind()
    one = study.experiments[1]
    assert one.verdict is not None
    said = "nll 10 % better, parameters 9.0 % lower, predict_us_per_item 2287 % slower"
    how = {"nll": "up", "parameters": "up", "predict_us_per_item": "down"}
    moved = {name: {"moved": word} for name, word in how.items()}
    one = replace(one, verdict=replace(one.verdict, sentence=said, figures=moved))
    shown = priced(study, one, said, room)
    assert len(shown) == room and not re.search(r"\d…", shown)
    assert room < 36 or shown.startswith("nll 10 % better, predict_us_per_ite")
