"""The panel of one call to a model: what it was told, what was cut, what it answered, what became of it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from cockpit import told as calls
from cockpit.feed import Snapshot
from cockpit.panels.context import NEWEST, Asked, Context
from cockpit.usual import Usual
from cockpit.view import Choices, Opened, Reading, Source, View
from cockpit.watch import Runs
from store.calls import Told
from store.database import Database
from store.records import CallOutcome, Refusal
from tests.cockpit.studies import NOW, call, every_kind, told

POISON = "\x1b]52;c;cGF5\x07\x1b[2Jred\u202eder [bold]not markup[/bold]\tx\r\n\x9b31m" + "long " * 900


def view(one: Told | str | None, selected: int = 7, study: Snapshot | None = None, **reads: object) -> View:
    reading = Reading(selected, **reads)  # type: ignore[arg-type]
    want = Asked(reading.call, selected if reading.call is None else -1)
    return View(study or every_kind(), selected, NOW, found={want: one}, choices=Choices(reading=reading))


def text(shown: View, width: int = 80, height: int = 20) -> list[str]:
    drawing = Context().draw(shown, width, height)
    return [line.text.rstrip() for line in (*drawing.head, *drawing.body)]


def test_what_was_sent_is_told_against_num_ctx_with_what_was_cut_and_what_was_kept_free() -> None:
    rows = text(view(told(call(93))), 84)
    assert rows[0].startswith(" call 93  for e0007  knobs, reason · qwen2.5-coder:7b")
    assert rows[0].endswith("took 52 s, held 5 s")
    assert rows[1] == " sent 500 of num_ctx 8.2k   cut 29 lines   answer 41   kept free 7.7k"


def test_each_section_has_its_tokens_and_what_was_cut_of_it_and_why() -> None:
    rows = {row[1:13].strip(): row for row in text(view(told(call(93))))}
    assert list(rows)[3:9] == ["section", "system", "goal", "knobs", "tried", "question"], "in the order of the prompt"
    assert rows["tried"].endswith("  29 of 47 lines") and rows["section"].endswith("cut to fit 1500 tokens")
    assert "█" in rows["knobs"] and rows["knobs"].rstrip("█ ").split()[-1].startswith("~")
    assert "notes" not in rows, "there were none"


def test_what_the_server_has_not_counted_by_itself_is_said_to_be_reckoned_and_adds_up_to_what_it_has() -> None:
    parts = calls.parts(told(call(93)))
    assert sum(one.tokens or 0 for one in parts) == pytest.approx(500, abs=len(parts))
    under_way = call(93, outcome=None, ended_at=None, prompt_tokens=None, answer_tokens=None, answer="")
    rows = text(view(told(under_way, None)))
    assert rows[1].startswith(" sent ~"), "as it was reckoned before it was sent"


def test_in_the_lines_that_are_left_over_what_the_cursor_is_on_begins() -> None:
    tall = text(view(told(call(93)), row=3), 80, 30)
    head = next(at for at, row in enumerate(tall) if row.startswith(" tried, ~"))
    assert tall[head + 1] == " The tried:" and len(tall) == 30 and tall[head].endswith(" lines more")
    assert not any(row.startswith(" tried, ~") for row in text(view(told(call(93)), row=3), 80, 16))
    waiting = call(93, outcome=None, ended_at=None, answer_tokens=None, answer="")
    assert any("the prompt, as it was sent" in row for row in text(view(told(waiting, None)), 80, 40))
    assert not any(row.startswith(" the answer") for row in text(view(told(call(93))), 80, 40)), "it is quoted whole"


def test_an_answer_that_begins_below_is_not_quoted_above_too() -> None:
    answer = "Turn the width down, for the last layer does little.\n" * 40
    shown = view(told(call(93, answer=answer)))
    rows = text(shown, 80, 40)
    assert len(rows) == 40 and any(row.startswith(" the answer, ") for row in rows)
    assert not any("“" in row for row in rows)
    assert any("“Turn the width down" in row for row in text(shown, 80, 14)), "where there is no room below"


def test_a_later_call_of_a_thought_has_the_sections_with_which_the_thought_began_and_what_was_said_since() -> None:
    names = [one.name for one in calls.parts(told(call(94, "pack")))]
    assert names == ["system", "goal", "knobs", "tried", "question", "answer 1", "question 2"]
    assert calls.parts(told(call(94, "pack")))[4].text == "Which knob next?\n\nIn two sentences."


def test_what_is_built_otherwise_is_shown_as_a_whole() -> None:
    one = call(93)
    one.prompt["messages"][1]["content"] = "Nothing that has sections"
    assert [part.name for part in calls.parts(told(one))] == ["system", "prompt"]
    bare = replace(one, prompt={})
    assert calls.parts(Told(bare, (), None, 93)) == [] and text(view(Told(bare, (), None, 93)))


@pytest.mark.parametrize(
    ("shown", "answer", "became"),
    [
        (told(call(94, "pack")), "answer  valid at the first try, 2 knobs", "became  ► e0007 running   enter opens it"),
        (
            told(call(95, "repair")),
            "answer  valid once it was mended, 2 knobs",
            "became  ► e0007 running   enter opens it",
        ),
        (
            told(call(94, "pack"), refusal=Refusal.DUPLICATE, reason="it changes nothing"),
            "answer  not let in",
            "became  refused: duplicate: it changes nothing",
        ),
        (
            told(call(94, outcome=CallOutcome.TIMEOUT, detail="no whole answer within 60 s", answer=""), None),
            "answer  none: timeout, no whole answer within 60 s",
            "became  no proposal came of it",
        ),
        (told(call(94, outcome=None, ended_at=None, answer=""), None), "answer  under way", "became  no proposal yet"),
    ],
)
def test_what_became_of_it_is_said(shown: Told, answer: str, became: str) -> None:
    rows = text(view(shown))
    assert answer in [row.strip() for row in rows] and became in [row.strip() for row in rows]


def test_whys_that_differ_stand_with_each_section_and_lines_that_were_shortened_are_told() -> None:
    one = told(call(93))
    goal, knobs, *rest = one.sections
    other = {**goal, "of": 3, "cut": "to fit 900 tokens"}, {**knobs, "shortened": "lines to 240 characters"}
    shown = "\n".join(text(view(replace(one, sections=(*other, *rest))), 120))
    assert "2 of 3 lines to fit 900 tokens" in shown and "29 of 47 lines to fit 1500 tokens" in shown
    assert "shortened lines to 240 characters" in shown and "what was cut" in shown


def test_a_call_under_way_says_since_when_and_what_it_waits_for() -> None:
    study = every_kind()
    assert study.engine is not None
    here = replace(study, engine=replace(study.engine, facts={**study.facts, "model_host": "embedded"}))
    one = told(call(94, outcome=None, ended_at=None, answer=""), None)
    rows = text(view(one, study=here))
    assert rows[0].endswith("10 min 0 s") and "since" in rows[0]
    assert " it is held while a stage of e0007 is timed on the same machine" in rows
    assert any("its engine is gone" in row for row in text(view(one, study=replace(here, pid=None))))


def test_where_no_call_came_to_the_experiment_the_newest_is_shown_and_that_is_said() -> None:
    said = " e0003 came from the optimiser, and no call: this is the study's newest call"
    assert said in text(view(told(call(94, "pack")), selected=3))
    assert any("e0000 is the unchanged code" in row for row in text(view(told(call(94, "pack")), selected=0)))
    assert said not in text(view(told(call(94, "pack")), selected=3, call=94)), "a person has asked for it"


def test_without_a_call_it_is_said_why() -> None:
    study = every_kind()
    assert study.engine is not None
    facts = {**study.facts, "model": "none", "model_why": "no server answers at 127.0.0.1:11434"}
    without = replace(study, engine=replace(study.engine, facts=facts))
    assert "no model is asked: no server answers" in "\n".join(text(view(None, study=without)))
    gone = (
        "no Ollama answers at http://127.0.0.1:11434; "
        + "/a/long/path/" * 12
        + "python -m loop.propose.weights brings it"
    )
    lacking = replace(study, engine=replace(study.engine, facts={**facts, "model_why": gone}))
    rows = text(view(None, study=lacking), 54)
    assert rows[1] == "  for a model: start Ollama, then the engine anew"
    assert "brings it" in " ".join(rows) and not any("…" in row for row in rows)
    assert "no model was asked yet; qwen2.5-coder:7b is" in "\n".join(text(view(None)))
    assert "the calls cannot be read: locked" in "\n".join(text(view("the calls cannot be read: locked")))


def test_who_goes_on_from_the_newest_call_stays_with_the_newest() -> None:
    chosen = list[Choices]()
    panel = Context(chosen.append)
    one = told(call(93, "pack"))
    panel.view = view(one)
    panel.action_call(1)
    assert one.newest == 94 and chosen[-1].reading.call == NEWEST
    panel.view = view(told(call(94, "pack")), call=NEWEST)
    panel.action_call(1)
    assert chosen[-1].reading.call == NEWEST
    panel.action_call(-1)
    assert chosen[-1].reading.call == 93


async def test_the_newest_call_is_whichever_it_is_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[dict[str, int]]()

    async def those(_: object, **which: int) -> None:
        asked.append(which)

    monkeypatch.setattr("cockpit.panels.context.calls.told", those)
    nothing: Any = None
    for number in (NEWEST, 93):
        await Asked(number, -1).read(Source(nothing, nothing, nothing))
    assert asked == [{}, {"call": 93}]


@pytest.mark.parametrize("messages", ["hello", 5, ["hello"], {"role": "user"}, None])
def test_a_prompt_that_is_recorded_otherwise_is_said_not_to_be_readable(messages: object) -> None:
    one = call(94, "pack")
    found = replace(told(one), call=replace(one, prompt={"messages": messages}))
    assert [part.text for part in calls.parts(found)] == [calls.UNREADABLE] == [calls.whole(found.call)]
    assert any(row.startswith(" prompt") for row in text(view(found)))
    assert text(view(found, opened=Opened.PROMPT))[-1] == f" {calls.UNREADABLE}"


async def test_a_record_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with await Database.open(tmp_path, create=True) as database:
        nothing: Any = None
        source = Source(nothing, database, nothing)  # and it is closed
    assert isinstance(await Asked(None, 7).read(source), str) and isinstance(await Runs(7, 0).read(source), str)
    assert await Usual("b", "full").read(source) == {}


def test_what_is_open_is_not_made_anew_at_every_tick() -> None:
    shown = view(told(call(94, "pack", answer="words\n" * 500)), opened=Opened.ANSWER)
    again = replace(shown, now=NOW + 1)
    assert Context().draw(shown, 80, 20).body is Context().draw(again, 80, 20).body


def test_a_section_is_opened_as_it_was_sent_and_so_are_prompt_and_answer() -> None:
    one = told(call(94, "pack", answer='{\n    "changes": []}'))
    part = text(view(one, row=3, opened=Opened.PART))
    assert part[1].startswith(" tried, ~") and part[1].endswith("esc closes it") and "29 of 47" in part[1]
    assert part[2] == " The tried:" and part[-1] == " - WIDTH 64 → 17: worse"
    prompt = "\n".join(text(view(one, opened=Opened.PROMPT)))
    assert all(f"[{role}]" in prompt for role in ("system", "user", "assistant"))
    assert text(view(one, opened=Opened.ANSWER))[-1] == '     "changes": []}', "as it is indented"


def test_what_a_model_was_told_and_says_comes_out_clean_and_whole() -> None:
    one = call(94, "pack", answer=POISON)
    one.prompt["messages"][1]["content"] = POISON
    found = replace(told(one), became=None)
    for opened in Opened:
        for width in (58, 80, 120):
            for row in text(view(found, opened=opened), width):
                assert row.isprintable() and cell_len(row) <= width
    whole = " ".join(text(view(found, opened=Opened.ANSWER)))
    assert "[bold]not markup[/bold]" in whole and "<U+202E>" in whole and whole.count("long") > 850


@settings(deadline=None)
@given(
    st.integers(58, 130),
    st.none() | st.integers(0, 12),
    st.sampled_from([*Opened]),
    st.sampled_from(["reason", "pack"]),
)
def test_no_line_of_a_call_is_wider_than_its_panel(width: int, row: int | None, opened: Opened, purpose: str) -> None:
    for one in (told(call(94, purpose)), told(call(94, purpose), refusal=Refusal.INVALID, reason="why " * 90)):
        drawing = Context().draw(view(one, row=row, opened=opened), width, 20)
        for line in (*drawing.head, *drawing.body):
            assert cell_len(line.text.rstrip()) <= width, line.text


def test_the_command_says_the_same() -> None:
    page = calls.page(told(call(94, "pack")), NOW)
    assert page.startswith("call 94 for e0007   knobs, pack   qwen2.5-coder:7b, embedded")
    assert "sent 500 of num_ctx 8.2k   cut 29 lines" in page and "29 of 47 lines to fit 1500 tokens" in page
    assert page.endswith("became  e0007 running")
    keys = calls.keys(told(call(94, "pack")))
    assert (keys["id"], keys["experiment"], keys["refusal"], keys["newest"]) == (94, "e0007", None, 94)
    assert [one["name"] for one in keys["prompt"]][3] == "tried" and keys["prompt"][3]["cut"] == "to fit 1500 tokens"
