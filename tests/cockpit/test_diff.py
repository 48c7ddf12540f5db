"""The diff's panel: the case, the card, and the lines of a patch, without a terminal."""

import math
import string
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cockpit import card, syntax
from cockpit.line import one_line, segments
from cockpit.panels.diff import Body, Diff, change_line, patch_of, quotation
from cockpit.patch import Change, Changes, Kind, Patch, parse
from cockpit.themes import UNCOLOURED
from cockpit.view import Arrangement, Choices, Drawing, View, Want
from store.records import Evidence, Measurement, Source
from tests.cockpit.studies import NOW, every_kind

PATCH = """\
diff --git a/model.py b/model.py
--- a/model.py
+++ b/model.py
@@ -1,2 +1,2 @@
-WIDTH = 64  # knob
+WIDTH = 128  # knob
 x = 1
@@ -40,1 +40,1 @@ def f():
-    return None
+    return 'one'
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
"""
CHANGES = parse(PATCH)


def drawn(width: int = 80, height: int = 18, found: Changes | str | None = CHANGES, **choices: Any) -> Drawing:
    """The panel with this diff, at this width."""
    shape = Arrangement.NARROW if width < 100 else Arrangement.WIDE
    known: dict[Want[Any], Any] = {} if found is None else {Patch("commit0", "commit1"): found}
    return Diff().draw(View(every_kind(), 1, NOW, shape, known, choices=Choices(**choices)), width, height)


def texts(drawing: Drawing) -> list[str]:
    return [line.text.rstrip() for line in drawing.body]


# --- the card ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [46, 54, 57, 68, 69, 74, 79, 85, 86, 120])
def test_zero_stands_above_the_middle_of_the_axis_and_no_row_is_wider_than_its_room(width: int) -> None:
    study = every_kind()
    head, *rows = [one.text for one in card.card(study, study.experiments[1], study.experiments[0], width)]
    assert all(cell_len(row) <= width for row in (head, *rows))
    for row in rows:
        if "│" in row:
            assert row.index("│") == head.index("0", head.index("change"))
    assert head.index("e0001") == rows[0].index(".1302")


@pytest.mark.parametrize("width", [79, 86, 120])
def test_a_row_says_its_seeds_and_its_source(width: int) -> None:
    study = every_kind()
    of = {Source.REPORTED: "nll", Source.MEASURED: "predict", Source.EVALUATED: "parameters"}
    values = {one.objective: one.value for one in study.experiments[1].measurements}
    own = tuple(
        Measurement(name, value, source, 3)
        for source, start in of.items()
        for name, value in values.items()
        if name.startswith(start)
    )
    head, *rows = card.card(study, replace(study.experiments[1], measurements=own), study.experiments[0], width)
    assert head.text.endswith("seeds source")
    for source, name in of.items():
        row = next(row.text for row in rows if row.text.startswith(name))
        assert row.rstrip().endswith(f"3 {source}")
        assert row.index(source) == head.text.index("source")


def test_where_rows_have_no_room_for_it_their_sources_are_said_below_them() -> None:
    study = every_kind()
    one = study.experiments[1]
    last = card.card(study, one, study.experiments[0], 57)[-1]
    assert last.text == "3 seeds against 3; all scored"
    mixed = (replace(one.measurements[0], source=Source.REPORTED), *one.measurements[1:3])
    last = card.card(study, replace(one, measurements=mixed), study.experiments[0], 75)[-1]
    assert last.text == "3 seeds against 3; reported: nll; scored: the rest"
    assert "% ◄" in card.card(study, study.experiments[4], study.experiments[0], 57)[1].text
    unknown = replace(one, measurements=(Measurement("gone", 1.0, Source.SCORED, 1),))
    assert card.card(study, unknown, None, 57)[-1].text == "1 seed"


def test_what_is_only_screened_has_no_colour_in_the_card() -> None:
    study = every_kind()
    one = study.experiments[1]
    assert one.verdict is not None
    for evidence, coloured in ((Evidence.SCREENED, False), (Evidence.PROMISING, True)):
        seen = replace(one, verdict=replace(one.verdict, evidence=evidence))
        styles = {style for row in card.card(study, seen, study.experiments[0], 79) for _, style in row.pieces}
        assert any("good" in style or "bad" in style for style in styles) is coloured


@given(st.floats(), st.floats(), st.floats(), st.sampled_from([57, 79, 86]))
def test_a_change_of_any_size_leaves_the_columns_of_the_card_where_they_are(
    change: float, gain: float, half: float, width: int
) -> None:
    study = every_kind()
    one = study.experiments[1]
    assert one.verdict is not None
    said = {**one.verdict.figures["nll"], "change": change, "gain": gain, "low": gain - half, "high": gain + half}
    figures = {**one.verdict.figures, "nll": said}
    plain, seen = (
        [row.text for row in card.card(study, shown, study.experiments[0], width)]
        for shown in (one, replace(one, verdict=replace(one.verdict, figures=figures)))
    )
    assert [row.index("worse") for row in seen[:2]] == [row.index("worse") for row in plain[:2]]
    finite = all(math.isfinite(end / said["smallest"]) for end in (gain - half, gain, gain + half))
    assert any(mark in seen[1] for mark in "◉◄►") is finite


def test_label_and_unit_come_from_the_file_or_from_the_end_of_the_name() -> None:
    study = every_kind()
    assert study.engine is not None
    objectives = study.facts["objectives"]
    said = {**objectives, "nll": {**objectives["nll"], "label": "loss", "unit": "nats"}}
    named = replace(study, engine=replace(study.engine, facts={**study.facts, "objectives": said}))
    rows = [row.text for row in card.card(named, study.experiments[1], study.experiments[0], 86)]
    assert rows[1].startswith("loss nats ") and rows[2].startswith("predict us ")


# --- what a model says ------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), st.integers(55, 120))
def test_a_quotation_is_one_line_until_it_is_unfolded_and_then_holds_every_word(text: str, width: int) -> None:
    one = replace(every_kind().experiments[1], hypothesis=text, proposer="model", operator="rewrite")
    (folded,) = quotation(one, width, unfolded=False)
    assert folded.text.startswith("▸ “") and cell_len(folded.text) <= width
    *rows, by = quotation(one, width, unfolded=True)
    assert rows[0].text.startswith("▾ “") and rows[-1].text.endswith("”")
    assert by.text == "  by the model, rewrite"
    assert all(cell_len(row.text) <= width for row in rows)
    letters = "".join("".join(row.text for row in rows).split())
    assert "".join(f"▾“{one_line(text)}”".split()) == letters


def test_a_quotation_is_folded_and_below_the_sentence() -> None:
    rows = texts(drawn())
    said, quoted = (next(at for at, row in enumerate(rows) if part in row) for part in ("predict 38 %", "▸ “KNOB"))
    assert said < quoted and rows[quoted].endswith("by the optimiser")
    assert any(row.startswith(" ▾ “KNOB") for row in texts(drawn(unfolded=True)))


@pytest.mark.parametrize(("width", "height"), [(56, 14), (80, 19)])
def test_where_there_is_little_room_code_is_in_sight_and_why_is_folded_with_the_hypothesis(
    width: int, height: int
) -> None:
    study = every_kind()
    one = study.experiments[1]
    assert one.verdict is not None
    said = replace(one.verdict, explanation="P = .99 that nothing is lost.")
    study = replace(study, experiments=(study.experiments[0], replace(one, verdict=said), *study.experiments[2:]))

    def rows(lines: int, *, unfolded: bool = False) -> str:
        known: dict[Want[Any], Any] = {Patch("commit0", "commit1"): CHANGES}
        choices = Choices(unfolded=unfolded)
        shown = Diff().draw(View(study, 1, NOW, found=known, choices=choices), width, lines)
        return "\n".join([*(one.text for one in shown.head), *texts(shown)][:lines])

    assert "\n ▸ why  “KNOB" in rows(height) and "+ WIDTH = 128" in rows(height) and "P = .99 that" not in rows(height)
    assert "trade-off, promising" in rows(height).split("\n")[0]
    for shown in (rows(height, unfolded=True), rows(40)):
        assert "P = .99 that nothing is lost." in shown and "why" not in shown


# --- against what -----------------------------------------------------------------------------------------------------


def test_a_diff_is_against_what_it_was_made_from_or_against_trunk() -> None:
    study = replace(every_kind(), incumbent=5)
    one = study.experiments[1]
    assert patch_of(study, one) == Patch("commit0", "commit1")
    assert patch_of(study, one, against_trunk=True) == Patch("commit5", "commit1")
    assert patch_of(study, study.experiments[5], against_trunk=True) == Patch("commit0", "commit5"), "trunk itself"
    assert patch_of(study, study.experiments[0]) is None
    for trunk, said in ((False, "against e0000"), (True, "against trunk, e0005")):
        view = View(study, 1, NOW, Arrangement.WIDE, {}, choices=Choices(against_trunk=trunk))
        assert Diff().draw(view, 100, 20).note == [(said, "dim")]
    assert drawn(120).note == [("against trunk, e0000", "dim")]
    assert any(row.startswith(" model.py  +2 −2") and row.endswith("against trunk, e0000") for row in texts(drawn(80)))


@pytest.mark.parametrize(
    ("found", "said"), [(None, "reading the diff…"), ("no git", "no git"), (Changes(()), "no file differs")]
)
def test_where_there_is_no_diff_it_is_said_why(found: Changes | str | None, said: str) -> None:
    assert texts(drawn(found=found))[-1] == f" {said}"


# --- the lines --------------------------------------------------------------------------------------------------------


def test_changed_words_stand_out_and_the_words_of_a_language_are_coloured() -> None:
    removed, added = CHANGES[2], CHANGES[3]
    line = change_line(added, removed, "model.py", 3)
    assert line.text == "       1 + WIDTH = 128  # knob" and line.ground == "added"
    assert ("128", "bold added-word") in line.pieces and ("# knob", "dim") in line.pieces
    assert ("64", "bold removed-word") in change_line(removed, added, "model.py", 3).pieces
    kept = change_line(Change(Kind.SAME, "return 'one'", 1, 1), None, "model.py", 3)
    assert ("return", "trunk") in kept.pieces and (" ", "dim") in kept.pieces
    assert ("'one'", "pick") in kept.pieces
    assert ("return 'one'", "dim") in change_line(Change(Kind.SAME, "return 'one'", 1, 1), None, "notes.zzz", 3).pieces


def test_a_long_line_has_no_colours_for_some_lexers_take_the_square_of_it() -> None:
    ordinary, long = "x = 'one'".ljust(syntax.LONGEST), "x = 'one'".ljust(syntax.LONGEST + 1)
    assert syntax.spans("model.py", ordinary) and not syntax.spans("model.py", long)
    assert change_line(Change(Kind.ADDED, long, None, 1), None, "model.py", 3).text.rstrip().endswith("x = 'one'")


FOREIGN = st.text(max_size=80) | st.text(string.printable, max_size=80)


@given(FOREIGN, FOREIGN, st.sampled_from(["model.py", "main.c", "Makefile", "x.json", "a.sh", "b.md", "no.zzz"]))
def test_a_line_is_drawn_whole_whatever_it_holds(old: str, new: str, name: str) -> None:
    removed, added = Change(Kind.REMOVED, old, 7), Change(Kind.ADDED, new, None, 7)
    for change, twin in ((removed, added), (added, removed), (added, None)):
        text = change_line(change, twin, name, 3).text
        expected = one_line(change.text)
        assert text[11:] in (expected, one_line(change.text.removesuffix("\r")))
        assert text == one_line(text)


def test_without_colours_changed_words_are_bold_and_underlined_and_nothing_else_is() -> None:
    drawn = segments(change_line(CHANGES[3], CHANGES[2], "model.py", 3), 60, UNCOLOURED)
    styles = {part.text: part.style for part in drawn if part.style}
    assert all(style.color is None and style.bgcolor is None for style in styles.values())
    assert styles["128"].underline and styles["128"].bold
    assert not any(style.bold for text, style in styles.items() if "knob" in text or "WIDTH" in text)


def test_a_file_of_one_line_costs_no_more_than_a_screen() -> None:
    huge = Change(Kind.ADDED, "x=1;" * 500_000, None, 1)
    began = time.thread_time()
    assert len(change_line(huge, None, "bundle.js", 3).text) < 1100
    assert time.thread_time() - began < 1.0, "a few milliseconds are usual"


def test_carriage_returns_are_shown_where_they_are_the_change() -> None:
    old, new = Change(Kind.REMOVED, "a = 1\r", 1), Change(Kind.ADDED, "a = 1", None, 1)
    assert change_line(old, new, "a.py", 3).text.endswith("␍") and not change_line(new, old, "a.py", 3).text.endswith(
        "␍"
    )
    both = Change(Kind.ADDED, "a = 2\r", None, 1)
    assert not change_line(both, old, "a.py", 3).text.endswith("␍")
    assert not change_line(Change(Kind.SAME, "a\r", 1, 1), None, "a.py", 3).text.endswith("␍")


@given(st.integers(1, 60))
def test_the_last_hunk_can_stand_at_the_top(height: int) -> None:
    body = drawn(height=height).body
    assert isinstance(body, Body)
    last = len(body.head) + CHANGES.stops[-1]
    assert len(body) - (height - 1) >= last, "below its name, which stays"
    assert body[last].text.startswith(" logo.png  +0 −0")
    assert [one.text for one in body[body.end :]] == [""] * (len(body) - body.end)
    assert any(row.strip() == "Binary files /dev/null and b/logo.png differ" for row in texts(drawn()))


def test_of_fifty_thousand_lines_only_those_on_the_screen_are_made() -> None:
    rows = [Change(Kind.FILE, "x.py"), Change(Kind.HUNK, "", 1, 1)]
    rows += [Change(Kind.REMOVED, f"value = {number}", number) for number in range(1, 25_001)]
    rows += [Change(Kind.ADDED, f"value = {number}!", None, number) for number in range(1, 25_001)]
    changes = Changes(rows)
    change_line(rows[2], None, "x.py", 5)  # Pygments is there
    began = time.thread_time()
    body = drawn(120, 40, changes).body
    shown = body[30_000:30_040]
    assert time.thread_time() - began < 0.5, "a few milliseconds are usual"
    assert len(body) >= 50_000 and any("!" in text and "word" in style for line in shown for text, style in line.pieces)


def test_which_experiment_it_is_stays_in_sight_however_far_one_has_read() -> None:
    shown = drawn(height=10)
    assert [one.text.split()[:3] for one in shown.head] == [["⇅", "trade-off", "e0001"]]
    assert not any("e0001" in row for row in texts(shown)[:1])
