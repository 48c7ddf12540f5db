"""The screen, without a terminal: what its keys do, and how it looks. `SCREENS=write` writes the pictures anew."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import App
from textual.events import Paste
from textual.pilot import Pilot

from cockpit import feed
from cockpit.app import Cockpit
from cockpit.feed import Snapshot
from cockpit.sheets import Help, Merge, Reject
from cockpit.widgets.panel import Panel
from store import commands
from store.place import Place
from store.records import Answer, State
from tests.cockpit.studies import NOW, every_kind, experiment

SCREENS = Path(__file__).parent / "screens"
PATCH = """\
diff --git a/model.py b/model.py
--- a/model.py
+++ b/model.py
@@ -12,4 +12,3 @@ class Net(nn.Module):
         super().__init__()
-        self.second = nn.Linear(128, 128)
-        self.norm = nn.BatchNorm1d(128)
+        self.norm = nn.LayerNorm(128)
         self.last = nn.Linear(128, classes)
"""
Asked = list[tuple[str, dict[str, Any], dict[str, Any]]]
Open = Callable[..., "Shown"]


class Shown(Cockpit):
    """The screen of a study that stands as a test says: `push` has it stand otherwise."""

    push: Callable[[Snapshot], None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the screen asks of the engine, which says yes to everything."""
    every: Asked = []

    async def submit(_: Place, verb: str, arguments: dict[str, Any], expected: dict[str, Any]) -> Answer:
        every.append((verb, arguments, expected))
        return Answer(True, f"{verb}: done")

    monkeypatch.setattr(commands, "submit", submit)
    return every


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: Asked) -> Iterator[Open]:
    """Open the screen on a study that never was."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr("cockpit.app.time", SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic))
    stands: asyncio.Queue[Snapshot] = asyncio.Queue()
    now = [every_kind()]

    async def follow(*_: object) -> AsyncIterator[Snapshot]:
        yield now[0]
        while True:
            now[0] = await stands.get()
            yield now[0]

    async def read(*_: object) -> Snapshot:
        return now[0]

    async def patch(*_: object) -> str:
        return PATCH

    monkeypatch.setattr(feed, "follow", follow)
    monkeypatch.setattr(feed, "read", read)

    def open_it(first: Snapshot | None = None) -> Shown:
        now[0] = first or now[0]
        app = Shown(Place(tmp_path, tmp_path, tmp_path, "digits"), patch)
        app.push = stands.put_nowait
        return app

    yield open_it
    monkeypatch.undo()
    time.tzset()


def picture(app: App[Any]) -> str:
    """What is on the screen, sheets in front."""
    rows = [""] * app.size.height
    for screen in app.screen_stack[-1:]:
        rows = [strip.text.rstrip() for strip in screen._compositor.render_strips()]
    return "\n".join(rows) + "\n"


async def until(pilot: Pilot[Any], so: Callable[[], bool]) -> None:
    """Wait until something is so; a few seconds are plenty."""
    deadline = time.monotonic() + 10
    while not so():
        assert time.monotonic() < deadline, picture(pilot.app)
        await pilot.pause(0.01)


async def settled(pilot: Pilot[Any]) -> None:
    """The study is there, what was asked has been answered, the diff has been read, and all is drawn."""
    app = pilot.app
    assert isinstance(app, Shown)
    await until(pilot, lambda: app.study is not None)
    busy = ("diff", "ask")
    await until(pilot, lambda: all(one.is_finished for one in app.workers if one.group in busy))
    await pilot.pause()


async def later(pilot: Pilot[Any], study: Snapshot) -> None:
    """The study stands like this now, and is drawn so."""
    app = pilot.app
    assert isinstance(app, Shown)
    app.push(study)
    await until(pilot, lambda: app.study is study)
    await settled(pilot)


@pytest.mark.parametrize(
    ("name", "size", "keys"),
    [
        ("80x24-1-experiments", (80, 24), ()),
        ("80x24-2-frontier", (80, 24), ("2",)),
        ("80x24-3-diff", (80, 24), ("3",)),
        ("80x24-4-ledger", (80, 24), ("4",)),
        ("80x24-merge", (80, 24), ("m",)),
        ("120x40-main", (120, 40), ()),
        ("120x40-help", (120, 40), ("question_mark",)),
        ("200x60-main", (200, 60), ()),
        ("40x10-too-small", (40, 10), ()),
    ],
)
async def test_the_screen_looks_as_it_did(study: Open, name: str, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
        await settled(pilot)
        shown = picture(app)
    file = SCREENS / f"{name}.txt"
    if os.environ.get("SCREENS") == "write":
        file.write_text(shown)
    assert shown == file.read_text()


async def test_the_first_thing_selected_is_what_wants_a_person(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app.selected == 1


async def test_j_and_k_go_down_and_up_the_list_and_enter_opens_the_diff(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "j", "down", "k")
        assert app.selected == 8
        await pilot.press("G")
        assert app.selected == 0
        await pilot.press("g")
        assert app.selected == 1
        await pilot.press("enter")
        await settled(pilot)
        assert app.panel.title == "Diff" and app.panel.display
        assert "LayerNorm" in picture(app)
        await pilot.press("escape")
        assert app.panel.title == "Experiments"


async def test_keys_that_are_typed_ahead_are_all_taken(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.action_end(True)
        app.action_move(-1)
        app.action_move(-1)
        assert app.selected == 3


async def test_j_and_k_walk_along_the_front(study: Open) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("2", "j")
        assert app.selected == 5
        await pilot.press("j", "j", "j")
        assert app.selected == 2
        await pilot.press("k")
        assert app.selected == 0


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_1_to_4_and_tab_give_the_keys_to_each_panel(study: Open, size: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for number in "4213":
            await pilot.press(number)
            assert app.panel.number == int(number) and app.panel.has_focus
        await pilot.press("tab", "tab")
        assert app.panel.number == 1
        await pilot.press("shift+tab")
        assert app.panel.number == 4


async def test_what_is_selected_stays_where_it_is_when_others_come_in_above_it(study: Open) -> None:
    rows = [experiment(number, f"row-{number}", State.MEASURED) for number in range(80)]
    app = study(replace(every_kind(), experiments=tuple(rows), running=()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press(*["j"] * 40)
        await pilot.pause()
        before = picture(app).splitlines()
        at = next(y for y, row in enumerate(before) if row.startswith("▸"))
        more = [*rows, *(experiment(number, f"row-{number}", State.MEASURED) for number in range(80, 90))]
        await later(pilot, replace(every_kind(), experiments=tuple(more), running=()))
        after = picture(app).splitlines()
        assert after[at] == before[at] and "90 exp" in after[0]


async def test_capital_m_merges_at_once_with_what_was_seen(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("M")
        await settled(pilot)
        assert "merge: done" in picture(app)
    arguments = {"experiments": [1], "unconfirmed": True, "reason": ""}
    assert asked == [("merge", arguments, {"trunk": "3f9a1c2" + "0" * 33, "decision": 2, "verdicts": {"1": 1}})]


async def test_space_marks_and_m_merges_all_that_are_marked(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("space")
        await settled(pilot)
        assert "e0001*" in picture(app) and "1 marked: m merges it" in picture(app)
        await pilot.press("space")
        await settled(pilot)
        assert "e0007 is running, and has no measurement to go by" in picture(app) and "e0007*" not in picture(app)
        await pilot.press("G", "k", "space")
        await settled(pilot)
        assert "e0002*" in picture(app) and "2 marked: m merges them together" in picture(app)
        await pilot.press("escape")
        await settled(pilot)
        assert "marked" not in picture(app)
        await pilot.press("g", "space", "G", "k", "space", "g", "space", "space", "k", "space")
        chosen = sorted(app.marks)
        assert chosen == [1, 2], "unmarked and marked again"
        await pilot.press("m", "x", "3")
        assert isinstance(app.screen, Merge), "what is about one alone does nothing to several"
        await pilot.press("M")
        await settled(pilot)
        ((verb, arguments, expected),) = asked
        assert (verb, arguments["experiments"]) == ("merge", chosen)
        assert expected["verdicts"] == {str(number): number for number in chosen}


async def test_the_merge_sheet_asks_for_a_capital_m_where_nothing_is_confirmed(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("m", "enter")
        assert isinstance(app.screen, Merge) and not asked
        await pilot.press("escape", "m", "M")
        await settled(pilot)
        assert [verb for verb, _, _ in asked] == ["merge"]


async def test_x_rejects_for_the_reason_that_is_typed(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "x")
        assert isinstance(app.screen, Reject)
        await pilot.press("escape")
        assert not asked
        await pilot.press("x", *"quit", "enter")
        await settled(pilot)
        assert [(verb, arguments["experiment"], arguments["reason"]) for verb, arguments, _ in asked] == [
            ("reject", 7, "quit")
        ]


async def test_u_undoes_and_r_pauses_or_goes_on(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("u", "r")
        await settled(pilot)
        await later(pilot, replace(every_kind(), paused=True))
        assert "paused" in picture(app) and "r go on" in picture(app)
        await pilot.press("r")
        await settled(pilot)
        assert [verb for verb, _, _ in asked] == ["undo", "pause", "resume"]


async def test_the_baseline_is_not_decided(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("G", "M", "m", "x")
        await pilot.pause()
        assert "e0000 is the baseline" in picture(app) and not asked
        assert not isinstance(app.screen, Merge | Reject)


async def test_a_refusal_is_said(study: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuses(*_: object) -> Answer:
        return Answer(False, "trunk has moved since you looked")

    monkeypatch.setattr(commands, "submit", refuses)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("M")
        await until(pilot, lambda: "trunk has moved since you looked" in picture(app))


async def test_a_click_selects_an_experiment_and_a_tab(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.click(offset=(10, 10))
        await pilot.pause()
        assert app.selected == 6
        await pilot.click("#tabs", offset=(20, 0))
        await pilot.pause()
        assert app.panel.title == "Frontier"


async def test_a_terminal_may_change_its_size_at_any_time(study: Open) -> None:
    app = study()
    async with app.run_test(size=(200, 60)) as pilot:
        await settled(pilot)
        for size in ((80, 24), (30, 5), (120, 40), (60, 18), (200, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await settled(pilot)
        assert picture(app) == (SCREENS / "200x60-main.txt").read_text()


async def test_only_the_lines_that_changed_are_drawn_again(study: Open) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        drawn: list[tuple[str | None, int]] = []
        for panel in app.query(Panel):
            plain = panel.render_line

            def counted(y: int, panel: Panel = panel, plain: Callable[[int], Any] = plain) -> Any:
                drawn.append((panel.id, y))
                return plain(y)

            panel.render_line = counted  # type: ignore[method-assign]
        await later(pilot, every_kind())
        assert drawn == []
        await pilot.press("j")
        await settled(pilot)
        assert len([one for one in drawn if one[0] == "experiments"]) == 2


async def test_a_diff_that_cannot_be_read_says_why(study: Open) -> None:
    app = study()

    async def fails(*_: object) -> str:
        raise OSError("no git")

    app.patch = fails
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await settled(pilot)
        assert "the diff cannot be read: no git" in picture(app)


async def test_the_study_goes_on_behind_a_sheet(study: Open) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await pilot.press("m")
        await later(pilot, replace(every_kind(), experiments=every_kind().experiments[:8]))
        assert "8 experiments" in app.status.body[0].text
        await pilot.press("escape")
        assert "8 experiments" in picture(app)


async def test_what_is_pasted_as_a_reason_is_taken_once_and_clean(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("x")
        app.post_message(Paste("too\x1b]52;c;cGF5\x07 slow\r\nby half"))
        await until(pilot, lambda: "half" in picture(app))
        await pilot.press("enter")
        await settled(pilot)
    assert [arguments["reason"] for _, arguments, _ in asked] == ["too slow by half"]


async def test_a_sheet_keeps_its_keys_in_sight_however_small_the_terminal(study: Open) -> None:
    app = study()
    async with app.run_test(size=(100, 40)) as pilot:
        await settled(pilot)
        await pilot.press("m")
        for size in ((60, 18), (80, 24), (62, 18)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: "M merge it unconfirmed" in picture(app) and "┘" in picture(app))
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: "cockpit needs 60x18" in picture(app))


async def test_another_diff_begins_at_its_top(study: Open) -> None:
    app = study()
    async with app.run_test(size=(60, 18)) as pilot:
        await settled(pilot)
        await pilot.press("3", "G")
        await settled(pilot)
        assert app.panel.scroll_offset.y > 0
        await pilot.press("1", "G", "k", "enter")
        await settled(pilot)
        assert app.panel.scroll_offset.y == 0 and "e0002" in picture(app)


async def test_the_wheel_scrolls_and_what_goes_on_does_not_pull_it_back(study: Open) -> None:
    rows = [experiment(number, f"row-{number}", State.MEASURED) for number in range(80)]
    app = study(replace(every_kind(), experiments=tuple(rows)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.panel.scroll_to(y=30, animate=False)
        await until(pilot, lambda: app.panel.scroll_offset.y == 30)
        await later(pilot, replace(every_kind(), experiments=tuple(rows), paused=True))
        app._see(ticking=True)
        await pilot.pause()
        assert app.panel.scroll_offset.y == 30


async def test_q_waits_for_what_was_asked(study: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = asyncio.Event()

    async def slow(*_: object) -> Answer:
        await asyncio.sleep(0.3)
        answered.set()
        return Answer(True, "done")

    monkeypatch.setattr(commands, "submit", slow)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("M", "q")
        await until(pilot, lambda: app.return_code is not None)
    assert answered.is_set() and app.return_code == 0


async def test_q_quits_and_help_comes_and_goes(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        assert [type(one) for one in app.screen_stack[1:]] == [Help]
        await pilot.press("escape")
        assert len(app.screen_stack) == 1
        await pilot.press("q")
    assert app.return_code == 0
