"""The screen, without a terminal: what its keys do, and how it looks. `SCREENS=write` writes the pictures anew."""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from textual.app import App
from textual.events import Key, MouseScrollUp, Paste, Resize
from textual.geometry import Region
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar
from textual.widget import Widget

from cockpit import feed, first
from cockpit.app import STILL_SECONDS, Cockpit
from cockpit.configuration import Configuration
from cockpit.feed import Snapshot
from cockpit.line import segments
from cockpit.sheets import Help, Merge, Reject, Sheet
from cockpit.themes import THEMES
from cockpit.view import Repository, View, arrangement
from cockpit.watch import Seen
from cockpit.widgets.panel import Lines, Panel
from store import calls, commands, views
from store.calls import Told
from store.database import Database
from store.place import Place
from store.records import Answer, Outcome, Progress, Refusal, Run, Stage, State
from store.trail import Trail
from tests.cockpit.studies import NOW, call, every_kind, experiment, measured, told

SCREENS = Path(__file__).parent / "screens"
slim = run_path(str(Path(__file__).parents[2] / ".ci" / "picture.py"))["slim"]
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
CALLS = {  # that the model was asked, by id; one of them came to an experiment
    92: told(call(92), refusal=Refusal.DUPLICATE, reason="it changes nothing"),
    93: told(call(93, "pack"), 7),
    94: told(call(94), None),
}
Asked = list[tuple[str, dict[str, Any], dict[str, Any]]]
Open = Callable[..., "Shown"]


DARK = Configuration("dark", ascii=False)  # whatever terminal the tests run in


class Shown(Cockpit):
    """The screen of a study that stands as a test says: `push` has it stand otherwise."""

    push: Callable[[Snapshot], None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the screen asks of the engine, which says yes to everything."""
    every: Asked = []

    async def submit(_: Place, verb: str, arguments: dict[str, Any], expected: dict[str, Any], __: Trail) -> Answer:
        every.append((verb, arguments, expected))
        return Answer(True, f"{verb}: done")

    monkeypatch.setattr(commands, "submit", submit)
    return every


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: Asked) -> Iterator[Open]:
    """Open the screen on a study that never was."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    monkeypatch.setattr("cockpit.app.time", SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic))
    stands: asyncio.Queue[Snapshot] = asyncio.Queue()
    now = [every_kind()]

    async def follow(*_: object) -> AsyncIterator[Snapshot]:
        yield now[0]
        while True:
            now[0] = await stands.get()
            yield now[0]

    async def read(*_: object, **__: object) -> Snapshot:
        return now[0]

    async def patch(*_: object) -> str:
        return PATCH

    async def conflicts(_: Place, numbers: Sequence[int]) -> str:
        return "e0001 moves model.py:WIDTH: nothing is merged" if numbers == [1, 5] else ""

    async def file(_: Place, commit: str, path: str) -> bytes:
        return f"{path} in {commit}\n".encode()

    async def stands_at(_: Place) -> dict[str, object]:
        return {"head": "abc", "onto": "refs/heads/main", "root": "/"}

    async def told_of(_: object, call: int | None = None, experiment: int | None = None) -> Told | None:
        if call is None and experiment is not None:
            return CALLS[93] if experiment == 7 else None
        return CALLS[max(number for number in CALLS if call is None or number <= max(call, min(CALLS)))]

    async def answer_speed(*_: object) -> float:
        return 14.2

    monkeypatch.setattr(calls, "told", told_of)
    monkeypatch.setattr(calls, "answer_speed", answer_speed)
    monkeypatch.setattr(feed, "follow", follow)
    monkeypatch.setattr(feed, "read", read)

    def open_it(first: Snapshot | None = None, *, readonly: bool = False, configuration: Configuration = DARK) -> Shown:
        now[0] = first or now[0]
        git = Repository(patch, file, conflicts, stands_at)
        app = Shown(Place(tmp_path, tmp_path, tmp_path, "digits"), git, readonly=readonly, configuration=configuration)
        app.push = stands.put_nowait
        return app

    yield open_it
    monkeypatch.undo()
    time.tzset()


NAMES = ("train", "predict", "score")


def training() -> Snapshot:
    """A study whose run under way is in its first stage."""
    study = every_kind()
    return replace(study, running=(replace(study.running[0], stages=()),))


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the record and the folders hold of the study's runs. The log of the one under way."""
    going = training().running[0]
    ok = replace(
        going, outcome=Outcome.OK, started_at=NOW - 400, ended_at=NOW - 100, measurements=measured(0.13, 2.54, 9_870)
    )
    stages = tuple(Stage(name, Outcome.OK, 0, NOW - 200, 94.0, 90.0, 412_000_000, "log") for name in NAMES)
    seeds = [replace(ok, id=number, experiment=0, seed=number, stages=stages) for number in (1, 2, 3)]
    runs = {0: seeds, 1: [replace(ok, id=4, experiment=1, stages=stages)], 7: [going]}

    async def of(_: object, number: int) -> list[Run]:
        return runs.get(number, [])

    async def usual(*_: object) -> dict[str, float]:
        return {"train": 152.0}

    monkeypatch.setattr("cockpit.watch.views", SimpleNamespace(runs=of))
    monkeypatch.setattr("cockpit.usual.views", SimpleNamespace(stage_seconds=usual))
    monkeypatch.setattr("cockpit.watch.time", SimpleNamespace(time=lambda: NOW))
    for run in (*runs[0], *runs[1], going):
        folder = tmp_path / "cockpit/digits" / run.folder
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(
            json.dumps({"stages": [{"name": name, "timeout_seconds": 1200.0} for name in NAMES]})
        )
        epochs, power = range(1, 38 if run is going else 61), 0.6 if run.experiment else 0.5 + run.seed / 99
        lines = [f"epoch {one}/60  loss {1.2 / one:.4f}  val_nll {0.8 / one**power:.4f}\n" for one in epochs]
        (folder / "train.log").write_text("".join(lines))
    started = {"name": "train", "started_at": NOW - 94}
    (folder / "status.json").write_text(json.dumps({"stages": [started], "ended": False}))
    used = {"stage": "train", "at": NOW, "bytes": 412e6, "peak_bytes": 430e6, "cores": 7.8, "of_cores": 8}
    (folder / "now.json").write_text(json.dumps(used))
    return folder / "train.log"


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


def type_ahead(app: App[Any], *keys: str) -> None:
    """Keys that come together, as over a slow line, before any of them is looked at."""
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        app.post_message(Key(name, key if len(key) == 1 else None))


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """The same, and what came of them."""
    type_ahead(pilot.app, *keys)
    await pilot.pause()


async def settled(pilot: Pilot[Any]) -> None:
    """The study is there, what was asked has been answered, the diff has been read, and all is drawn."""
    app = pilot.app
    assert isinstance(app, Shown)
    await until(pilot, lambda: app.study is not None)
    busy = ("read", "ask", "asked")
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
        ("80x24-4-run", (80, 24), ("j", "4")),
        ("80x24-5-ledger", (80, 24), ("5",)),
        ("80x24-6-context", (80, 24), ("j", "6")),
        ("80x24-merge", (80, 24), ("m",)),
        ("120x40-main", (120, 40), ()),
        ("120x40-help", (120, 40), ("question_mark",)),
        ("120x40-merge", (120, 40), ("m",)),
        ("80x24-reject", (80, 24), ("space", "j", "space", "x")),
        ("200x60-main", (200, 60), ()),
        ("40x10-too-small", (40, 10), ()),
    ],
)
async def test_the_screen_looks_as_it_did(
    study: Open, ran: Path, name: str, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    app = study(training() if "run" in name else None)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in keys:
            await press(pilot, key)
        await settled(pilot)
        looks = {"txt": picture(app), "svg": slim(app.export_screenshot(title=name))}
    for form, shown in looks.items():
        file = SCREENS / f"{name}.{form}"
        if os.environ.get("SCREENS") == "write":
            file.write_text(shown)
        same = shown == file.read_text()  # of a picture pytest would look for the difference for minutes
        assert same if form == "svg" else shown == file.read_text(), f"{file.name}: a colour or a mark is another"


@pytest.mark.parametrize(
    "size", [(60, 18), (80, 24), (99, 40), (100, 30), (101, 31), (120, 40), (161, 39), (179, 60), (180, 40), (233, 71)]
)
async def test_the_first_picture_stands_where_the_screen_draws_it(
    study: Open, ran: Path, size: tuple[int, int]
) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        rows = [strip.text for strip in app.screen._compositor.render_strips()]
        of_list, name = app.panels[0].region, app.place.name
    view = View(every_kind(), app.selected or 0, NOW, arrangement(*size))
    placed = first.picture(view, name, *size)
    for x, y, width, one in placed:
        drawn = "".join(part.text for part in segments(one, width, THEMES["dark"]))
        assert rows[y][x : x + width] == drawn, (y, one.text)
    assert sum((x, width) == (of_list.x, of_list.width) for x, y, width, _ in placed if y >= of_list.y) >= 10
    top = 3 if size[0] < 100 or size[1] < 30 else 2
    below = size[1] - top - 1 - (2 if size[0] >= 180 and size[1] >= 40 else 1)
    assert (of_list.x, of_list.y) == (0, top)
    assert of_list.size == first.room(arrangement(*size), size[0], below)


async def test_the_first_thing_selected_is_what_wants_a_person(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert app.selected == 1


async def test_j_and_k_go_down_and_up_the_list_and_enter_opens_the_diff(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "j", "down", "k")
        assert app.selected == 8
        await press(pilot, "G")
        assert app.selected == 0
        await press(pilot, "g")
        assert app.selected == 1
        await press(pilot, "enter")
        await settled(pilot)
        assert app.panel.title == "Diff" and app.panel.display
        assert "LayerNorm" in picture(app)
        await press(pilot, "escape")
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
        await press(pilot, "2", "j")
        assert app.selected == 5
        await press(pilot, "j", "j", "j")
        assert app.selected == 5
        await press(pilot, "k")
        assert app.selected == 1


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_1_to_6_and_tab_give_the_keys_to_each_panel(study: Open, size: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for number in "4261354213":
            await press(pilot, number)
            assert app.panel.number == int(number) and app.panel.has_focus
        await press(pilot, "tab", "tab", "tab", "tab")
        assert app.panel.number == 1
        await press(pilot, "shift+tab")
        assert app.panel.number == 6


async def test_what_is_selected_stays_where_it_is_when_others_come_in_above_it(study: Open) -> None:
    rows = [experiment(number, f"row-{number}", State.MEASURED) for number in range(80)]
    app = study(replace(every_kind(), experiments=tuple(rows), running=()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, *["j"] * 40)
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
        await press(pilot, "M")
        await settled(pilot)
        assert "merge: done" in picture(app)
    arguments = {"experiments": [1], "unconfirmed": True, "reason": ""}
    assert asked == [("merge", arguments, {"trunk": "3f9a1c2" + "0" * 33, "decision": 2, "verdicts": {"1": 1}})]


async def test_space_marks_and_m_merges_all_that_are_marked(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "space")
        await settled(pilot)
        assert "e0001*" in picture(app) and "1 marked: m merges it" in picture(app)
        await press(pilot, "space")
        await settled(pilot)
        assert "e0007*" in picture(app) and "2 marked: m merges them together" in picture(app)
        await press(pilot, "m")
        await settled(pilot)
        assert "e0007 is running, and has no measurement to go by" in picture(app) and not asked
        await press(pilot, "g", "j", "space", "G", "k", "space")
        await settled(pilot)
        assert "e0002*" in picture(app) and "2 marked: m merges them together" in picture(app)
        await press(pilot, "escape")
        await settled(pilot)
        assert "marked" not in picture(app)
        await press(pilot, "g", "space", "G", "k", "space", "g", "space", "k", "space")
        chosen = sorted(app.marks)
        assert chosen == [1, 2], "unmarked and marked again"
        await press(pilot, "m", "x", "3")
        assert isinstance(app.screen, Merge), "what is about one alone does nothing to several"
        await press(pilot, "M")
        await settled(pilot)
        ((verb, arguments, expected),) = asked
        assert (verb, arguments["experiments"]) == ("merge", chosen)
        assert expected["verdicts"] == {str(number): number for number in chosen}


async def test_the_merge_sheet_asks_for_a_capital_m_where_nothing_is_confirmed(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "m", "enter")
        assert isinstance(app.screen, Merge) and not asked
        await press(pilot, "escape", "m", "M")
        await settled(pilot)
        assert [verb for verb, _, _ in asked] == ["merge"]


async def test_x_rejects_for_the_reason_that_is_typed(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "x")
        assert isinstance(app.screen, Reject)
        await press(pilot, "escape")
        assert not asked
        await press(pilot, "x", *"quit", "enter")
        await settled(pilot)
        assert [(verb, arguments["experiments"], arguments["reason"]) for verb, arguments, _ in asked] == [
            ("reject", [7], "quit")
        ]


async def test_u_undoes_and_r_pauses_or_goes_on(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "u", "r")
        await settled(pilot)
        await later(pilot, replace(every_kind(), paused=True))
        assert "paused" in picture(app) and "r go on" in picture(app)
        await press(pilot, "r")
        await settled(pilot)
        assert [verb for verb, _, _ in asked] == ["undo", "pause", "resume"]


async def test_the_baseline_is_not_decided(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "M", "m", "x")
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
        await press(pilot, "M")
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


async def test_a_click_above_a_column_sorts_by_it_and_once_more_the_other_way_round(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        at = picture(app).splitlines()[3].index("cost")
        for row, backwards in ((1, False), (2, True), (2, False)):
            assert "cost" in picture(app).splitlines()[2 + row]
            await pilot.click("#panels", offset=(at, row - 1))
            await pilot.pause()
            assert (app.choices.sort, app.choices.backwards) == ("cost", backwards)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_click_on_trunk_in_the_plot_selects_it(study: Open, size: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await press(pilot, "2")
        await settled(pilot)
        rows = picture(app).splitlines()
        x, y = next((row.index("◉ trunk"), y) for y, row in enumerate(rows) if "◉ trunk" in row)
        await pilot.click(offset=(x, y))
        await settled(pilot)
        assert app.selected == every_kind().incumbent == 0


async def test_an_undo_says_what_redoes_it(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "u")
        await until(pilot, lambda: "; U redoes it" in picture(app))


async def test_a_terminal_may_change_its_size_at_any_time(study: Open, ran: Path) -> None:
    app = study()
    async with app.run_test(size=(200, 60)) as pilot:
        await settled(pilot)
        for size in ((80, 24), (30, 5), (120, 40), (60, 18), (200, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await settled(pilot)
        assert picture(app) == (SCREENS / "200x60-main.txt").read_text()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_terminal_may_become_as_small_as_one_likes(study: Open, ran: Path, size: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        for number in (3, 6):
            app.action_panel(number)
            for columns in (40, 8, 1):
                await pilot.resize_terminal(columns, size[1])
                await pilot.pause()
                await pilot.resize_terminal(*size)
                await pilot.pause()
        await press(pilot, "1")
        await until(pilot, lambda: "e0006" in picture(app))


@pytest.mark.parametrize("before", [(40, 10), (80, 24), (120, 40)])
async def test_where_nothing_is_seen_no_key_decides(study: Open, asked: Asked, before: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=before) as pilot:
        await settled(pilot)
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        await press(pilot, "M", "m", "x", "enter", "u", "r")
        await settled(pilot)
        assert len(app.screen_stack) == 1 and not asked
        await press(pilot, "q")
        await until(pilot, lambda: app.return_code is not None)


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
        await press(pilot, "j")
        await settled(pilot)
        assert len([one for one in drawn if one[0] == "experiments"]) == 2


async def test_a_diff_that_cannot_be_read_says_why(study: Open) -> None:
    app = study()

    async def fails(*_: object) -> str:
        raise OSError("no git")

    app.git = replace(app.git, patch=fails)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "3")
        await settled(pilot)
        assert "the diff cannot be read: no git" in picture(app)


@pytest.mark.parametrize("key", ["m", "x", "question_mark"])
async def test_a_sheet_is_laid_out_once_at_its_height(study: Open, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    rooms: list[tuple[int, int]] = []
    plain = Lines.on_resize

    def resized(self: Lines, event: Resize) -> None:
        if isinstance(self.screen, Sheet) and self is self.screen.said:
            rooms.append((self.size.height, len(self.body)))
        plain(self, event)

    monkeypatch.setattr(Lines, "on_resize", resized)
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, key)
        await settled(pilot)
        assert len(set(rooms)) == 1 and rooms[0][0] == min(rooms[0][1] + 1, 36)


async def test_the_study_goes_on_behind_a_sheet(study: Open) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "m")
        await later(pilot, replace(every_kind(), experiments=every_kind().experiments[:8]))
        assert "8 experiments" in app.status.body[0].text
        await press(pilot, "escape")
        assert "8 experiments" in picture(app)


async def test_a_merge_sheet_says_what_was_decided_elsewhere_and_merges_it_no_more(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "m")
        await until(pilot, lambda: "M merge it unconfirmed" in picture(app))
        rows = list(every_kind().experiments)
        assert app.selected is not None
        rows[app.selected] = replace(rows[app.selected], state=State.REJECTED)
        app.push(replace(every_kind(), experiments=tuple(rows)))
        await until(pilot, lambda: f"e{app.selected:04} is rejected since you looked" in picture(app))
        await until(pilot, lambda: "M merge it unconfirmed" not in picture(app))
        await press(pilot, "M")
        await settled(pilot)
        assert isinstance(app.screen, Merge) and not asked


async def test_what_is_pasted_as_a_reason_is_taken_once_and_clean(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "x")
        app.post_message(Paste("too\x1b]52;c;cGF5\x07 slow\r\nby half"))
        await until(pilot, lambda: "half" in picture(app))
        await press(pilot, "enter")
        await settled(pilot)
    assert [arguments["reason"] for _, arguments, _ in asked] == ["too slow by half"]


async def test_a_sheet_keeps_its_keys_in_sight_however_small_the_terminal(study: Open) -> None:
    app = study()
    async with app.run_test(size=(100, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "m")
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
        await press(pilot, "n", "n", "1", "3")
        await settled(pilot)
        assert app.panel.scroll_offset.y > 0, "a panel is left and come back to"
        await press(pilot, "1", "enter")
        await settled(pilot)
        assert app.panel.scroll_offset.y == 0 and "e0002" in picture(app), "what is opened begins at its top"


async def test_the_wheel_scrolls_and_what_goes_on_does_not_pull_it_back(study: Open) -> None:
    rows = [experiment(number, f"row-{number}", State.MEASURED) for number in range(80)]
    app = study(replace(every_kind(), experiments=tuple(rows)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.panel.scroll_to(y=30, animate=False)
        await until(pilot, lambda: app.panel.scroll_offset.y == 30)
        await later(pilot, replace(every_kind(), experiments=tuple(rows), paused=True))
        app.see(ticking=True)
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
        await press(pilot, "M", "q")
        await until(pilot, lambda: app.return_code is not None)
    assert answered.is_set() and app.return_code == 0


async def test_q_quits_and_help_comes_and_goes(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "question_mark")
        assert [type(one) for one in app.screen_stack[1:]] == [Help]
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1
        await press(pilot, "q")
    assert app.return_code == 0


async def test_the_list_is_filtered_as_it_is_typed_and_escape_lists_all(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"worse")
        await until(pilot, lambda: "2 of 9 /worse" in picture(app))
        assert picture(app).splitlines()[-1] == " enter keep  esc drop"
        assert "e0004" in picture(app) and "2 of 9 /worse" in picture(app)
        await press(pilot, "enter")
        await settled(pilot)
        assert "enter open" in picture(app).splitlines()[-1]
        assert app.panel.number == 1 and app.panel.has_focus and app.selected in app.panel.drawing.numbers
        await press(pilot, "!")
        await settled(pilot)
        assert "e0003" in picture(app) and "e0004" not in picture(app)
        await press(pilot, "escape")
        await settled(pilot)
        assert "e0003" in picture(app) and "e0004" in picture(app)


async def test_s_sorts_by_each_column_and_t_makes_a_tree(study: Open) -> None:
    rows = list(every_kind().experiments)
    rows[2] = replace(rows[2], parent=5)
    app = study(replace(every_kind(), experiments=tuple(rows)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        orders = []
        for _ in range(4):
            await press(pilot, "s")
            orders.append(tuple(app.panel.drawing.numbers))
        assert "by nll" in picture(app) and len(set(orders)) == 4
        await press(pilot, "S")
        assert "by nll, backwards" in picture(app)
        await press(pilot, "t")
        await settled(pilot)
        assert re.search(r"└ e0005[^\n]*\n[ ▸]+└ e0002", picture(app)) and app.selected == 1


async def test_v_marks_a_range_and_x_rejects_all_of_it_for_a_reason_of_the_list(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "v", "j", "j", "v")
        await settled(pilot)
        assert app.marks == {1, 7, 8}
        await press(pilot, "x", "tab", "tab", "enter")
        await settled(pilot)
        ((verb, arguments, expected),) = asked
        assert (verb, arguments) == ("reject", {"experiments": [1, 7, 8], "reason": "too large"})
        assert expected["verdicts"] == {"1": 1, "7": None, "8": None}


async def test_keys_that_steer_ask_the_engine(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "U", "Q", "Q", "K", "H", "P", "c", *"try gelu", "enter")
        await settled(pilot)
        assert [(verb, arguments) for verb, arguments, _ in asked] == [
            ("redo", {}),
            ("stop", {}),
            ("stop", {}),
            ("end", {"experiment": 7}),
            ("yield", {}),
            ("pin", {"experiment": 7}),
            ("note", {"text": "try gelu"}),
        ]
        app.push(replace(every_kind(), pinned=7))
        await until(pilot, lambda: "pin " in picture(app))
        await press(pilot, "P")
        await settled(pilot)
        assert asked[-1][:2] == ("unpin", {})
        app.push(replace(every_kind(), reruns=frozenset({7})))
        await until(pilot, lambda: "rerun " in picture(app))


async def test_z_shows_a_panel_alone_and_all_again(study: Open) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "3", "z")
        await settled(pilot)
        assert [panel.number for panel in app.panels if panel.display] == [3] and app.panel.size.width == 120
        await press(pilot, "escape")
        await settled(pilot)
        assert [panel.number for panel in app.panels if panel.display] == [1, 2, 3, 5] and app.panel.number == 3


async def test_y_copies_the_branch_that_is_selected(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: "is copied" in picture(app))
        assert app.clipboard == "cockpit/digits/e0001"
        assert (app.place.folder / "copied.txt").read_text() == "cockpit/digits/e0001\n"


async def test_nothing_moves_in_the_list_while_keys_are_pressed(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        fewer = replace(every_kind(), experiments=every_kind().experiments[:8])
        await press(pilot, "j")
        pressed = time.monotonic()
        app.push(fewer)
        await until(pilot, lambda: app.study is fewer)
        assert time.monotonic() - pressed >= STILL_SECONDS - 0.2


async def test_a_readonly_screen_asks_nothing_and_keeps_nothing(study: Open, asked: Asked) -> None:
    app = study(readonly=True)
    async with await Database.open(app.place.folder, create=True):
        pass
    before = sorted(file.name for file in app.place.folder.iterdir())
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        for key in ("u", "r", "M", "Q", "y"):
            await press(pilot, key)
            await settled(pilot)
        await press(pilot, "m", "M")
        await settled(pilot)
        assert "(readonly)" in picture(app)
    kept = [file.name for file in app.place.folder.iterdir() if not file.name.endswith(("-wal", "-shm"))]
    assert not asked and kept == before


LONG = "".join(
    f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n"
    + "".join(
        f"@@ -{at},1 +{at},21 @@ def {name[0]}{at}():\n x\n" + "".join(f"+line {at + line}\n" for line in range(20))
        for at in (10, 100, 200)
    )
    for name in ("one.py", "two.py")
)


async def reading(app: Shown, pilot: Pilot[Any], patch: str = LONG) -> None:
    """The diff of this patch is on the screen."""

    async def long(*_: object) -> str:
        return patch

    await settled(pilot)
    app.git = replace(app.git, patch=long)
    app.reader.found = {}
    app.see()
    await press(pilot, "3")
    await settled(pilot)


def top(app: Shown) -> str:
    """The first line under the head of the panel that has the keys."""
    return app.panel.body[app.panel.scroll_offset.y].text.strip()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_n_goes_from_hunk_to_hunk_and_brackets_from_file_to_file(study: Open, size: tuple[int, int]) -> None:
    app = study()
    async with app.run_test(size=size) as pilot:
        await reading(app, pilot)
        seen = []
        for _ in range(6):
            await press(pilot, "n")
            seen.append(top(app))
        assert [row.partition("  against")[0].strip() for row in seen] == [
            *("one.py  +60 −0", "@@ 100 · def o100():", "@@ 200 · def o200():"),
            *("two.py  +60 −0", "@@ 100 · def t100():", "@@ 200 · def t200():"),
        ]
        await press(pilot, "n")
        await settled(pilot)
        assert top(app) == seen[-1] and "there is no hunk after this one" in picture(app)
        await press(pilot, "N", "N", "N")
        assert top(app) == seen[2]
        await press(pilot, "right_square_bracket")
        assert top(app) == seen[3]
        await press(pilot, "j", "left_square_bracket")
        assert top(app) == seen[3]
        await press(pilot, "left_square_bracket")
        assert top(app) == seen[0]
        await press(pilot, "N")
        assert app.panel.scroll_offset.y == 0


async def test_g_goes_to_the_last_line_and_no_further(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await reading(app, pilot)
        await press(pilot, "G")
        await settled(pilot)
        assert "line 219" in picture(app).splitlines()[-3]
        stood = app.panel.scroll_offset.y
        await press(pilot, "j")
        assert app.panel.scroll_offset.y == stood


async def test_h_unfolds_what_is_said_of_it_and_folds_it_again(study: Open) -> None:
    rows = [
        replace(one, hypothesis="word " * 60 + "end") if one.number == 1 else one for one in every_kind().experiments
    ]
    app = study(replace(every_kind(), experiments=tuple(rows)))
    async with app.run_test(size=(80, 24)) as pilot:
        await reading(app, pilot)
        assert "▸ “word" in picture(app) and "end”" not in picture(app)
        await press(pilot, "h")
        assert "▾ “word" in picture(app) and "end”" in picture(app) and "by the optimiser" in picture(app)
        await press(pilot, "h")
        assert "▸ “word" in picture(app)


async def test_d_shows_it_against_trunk_and_against_its_parent(study: Open) -> None:
    app = study()
    asked: list[tuple[object, ...]] = []

    async def counted(*commits: object) -> str:
        asked.append(commits[1:])
        return LONG

    async with app.run_test(size=(120, 40)) as pilot:
        await reading(app, pilot)
        app.git = replace(app.git, patch=counted)
        assert "against trunk, e0000" in picture(app)
        await press(pilot, "d")
        await settled(pilot)
        assert "parent and trunk are the same" in picture(app) and not asked
        await later(pilot, replace(every_kind(), incumbent=5))
        assert "─ against e0000" in picture(app) or "━ against e0000" in picture(app)
        await press(pilot, "d")
        await settled(pilot)
        assert "━ against trunk, e0005" in picture(app) and asked == [("commit5", "commit1")]
        await press(pilot, "d")
        await settled(pilot)
        assert "━ against e0000" in picture(app) and len(asked) == 1


@pytest.fixture
def outside(study: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Shown, Path]:
    """The screen, whose terminal is lent to what writes down how it was called and what it was shown."""
    program, told = tmp_path / "vi", tmp_path / "told"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\n{{ echo "$@"; ls -l "$last"; cat "$last" -; }} >{told} 2>&1\n'
    )
    program.chmod(0o755)
    for name in ("VISUAL", "EDITOR", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    app = study()
    monkeypatch.setattr(app, "suspend", nullcontext)
    monkeypatch.setenv("VISUAL", f"{program} -R")
    return app, told


async def test_e_opens_a_copy_of_the_file_at_the_top_at_what_is_changed_there(outside: tuple[Shown, Path]) -> None:
    app, told = outside
    async with app.run_test(size=(80, 24)) as pilot:
        await reading(app, pilot)
        await press(pilot, "right_square_bracket", "right_square_bracket", "n", "e")
        await settled(pilot)
        assert "two.py of e0001: a copy, your files are not touched" in picture(app)
    called, listed, content, *_ = told.read_text().splitlines()
    assert called.startswith("-R +101 /") and called.endswith("/two.py")
    assert listed.startswith("-r--------") and content == "two.py in commit1"
    assert not Path(called.split()[-1]).exists()


async def test_o_sends_the_whole_patch_to_a_pager_clean(
    outside: tuple[Shown, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app, _ = outside
    shown, program = tmp_path / "shown", tmp_path / "page"
    program.write_text(f"#!/bin/sh\ncat >{shown}\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PAGER", str(program))
    poison = LONG.replace("line 11\n", "line \x1b]52;c;cGF5\x07\x1b[2J\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await reading(app, pilot, poison)
        await press(pilot, "o")
        await settled(pilot)
        assert "page ended with 3" in picture(app)
    assert shown.read_text() == LONG.replace("line 11\n", "line \n")


async def test_where_another_program_cannot_be_used_it_is_said_why(
    outside: tuple[Shown, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = outside
    async with app.run_test(size=(120, 40)) as pilot:
        await reading(app, pilot, LONG + "diff --git a/gone b/gone\ndeleted file mode 100644\n")

        async def said(*keys: str) -> str:
            await press(pilot, *keys)
            await settled(pilot)
            return picture(app).splitlines()[-2]

        monkeypatch.setenv("VISUAL", "no-such-editor -w")
        assert "$VISUAL names no-such-editor, which is not there" in await said("e")
        monkeypatch.setenv("VISUAL", "a 'quote")
        assert "$VISUAL cannot be read: No closing quotation" in await said("e")
        path = os.environ["PATH"]
        monkeypatch.setenv("PATH", "")
        monkeypatch.delenv("VISUAL")
        assert "there is no vi here: set $EDITOR" in await said("e")
        assert "there is no less here: set $PAGER" in await said("o")
        monkeypatch.setenv("PATH", path)
        monkeypatch.setattr(app, "suspend", partial(Cockpit.suspend, app))
        monkeypatch.setenv("EDITOR", "sh")
        assert "this terminal cannot be lent to sh" in await said("e"), "a terminal of tests cannot be"
        app.git = replace(app.git, file=fails)
        assert "one.py of e0001 cannot be read: no git" in await said("e")
        assert "gone is not in e0001, which deletes it" in await said("]", "]", "]", "e")


async def fails(*_: object) -> bytes:
    raise OSError("no git")


async def test_a_and_l_change_the_axes_of_the_frontier(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "2", "a")
        await settled(pilot)
        assert "parameters, log" in picture(app) and app.choices.axes == ("parameters", "nll")
        await press(pilot, "l")
        await settled(pilot)
        assert "─ parameters" in picture(app) and "parameters, log" not in picture(app)
        await press(pilot, "A", "L")
        await settled(pilot)
        assert app.choices.axes == ("parameters", "predict_us_per_item") and "predict us, log ▴ better" in picture(app)
        await press(pilot, "A")
        await settled(pilot)
        assert app.choices.axes == ("parameters", "accuracy"), "never both the same: what lies across is passed over"
        await press(pilot, "a", "a", "1", "a")
        assert app.choices.axes == ("predict_us_per_item", "accuracy"), "in the list it is no key"


async def test_how_the_frontier_grew_is_read_where_there_is_room_for_it(
    study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def progress(*_: object) -> list[Progress]:
        return [Progress(NOW + 60 * n, n, 1.0 + n, 2.0 + n, 30.0 * n, 500.0 * n) for n in range(5)]

    monkeypatch.setattr(views, "progress", progress)
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert not app.panels[1].wants(app.panels[1].view or app._view())  # type: ignore[arg-type]
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: "experiments" in picture(app).split("hypervolume")[-1])
        await press(pilot, "2", "b", "b")
        await settled(pilot)
        assert app.choices.against == "tokens" and "─ tokens" in picture(app)


# --- the calls to a model --------------------------------------------------------------------------------------------


async def test_brackets_go_through_the_calls_and_another_experiment_has_its_own(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("j", "6")
        await settled(pilot)
        assert app.selected == 7 and "call 93  for e0007" in picture(app)
        await pilot.press("left_square_bracket")
        await settled(pilot)
        assert "call 92" in picture(app) and "refused: duplicate: it changes nothing" in picture(app)
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        await settled(pilot)
        assert "call 94" in picture(app) and "no proposal yet" in picture(app)
        await pilot.press("left_square_bracket")
        await settled(pilot)
        assert "call 93  for e0007" in picture(app), "it does not run past the newest"
        await pilot.press("1", "G", "6")
        await settled(pilot)
        assert "e0000 is the unchanged code: this is the study's newest call" in picture(app)


async def test_enter_opens_a_section_and_esc_closes_it_before_it_goes_back_to_the_list(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "6")
        await settled(pilot)
        await press(pilot, "j", "j", "j", "j")
        assert "▸tried" in picture(app)
        await press(pilot, "enter")
        assert "WIDTH 64 → 9: worse" in picture(app) and "esc closes it" in picture(app)
        await press(pilot, "G")
        assert "WIDTH 64 → 17: worse" in picture(app) and app.panel.scroll_offset.y > 0
        await press(pilot, "escape")
        assert app.panel.title == "Context" and "▸tried" in picture(app) and "WIDTH 64 → 17" not in picture(app)
        await press(pilot, "t")
        assert "[system]" in picture(app)
        await press(pilot, "w")
        assert "A wider net should fit better." in picture(app)
        await press(pilot, "escape", "escape")
        assert app.panel.title == "Experiments"


async def test_enter_on_what_became_of_a_call_opens_the_diff_of_the_experiment(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "6")
        await settled(pilot)
        await press(pilot, "left_square_bracket")
        await settled(pilot)
        await press(pilot, "G")
        assert "▸became  ► e0007 running   enter opens it" in picture(app)
        await press(pilot, "enter")
        await until(pilot, lambda: app.selected == 7 and app.panel.title == "Diff")


async def test_a_call_that_ends_is_seen_to_end_though_no_event_has_said_that_it_began(
    study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = study(replace(every_kind(), running=()))
    monkeypatch.setitem(CALLS, 94, told(call(94, outcome=None, ended_at=None, answer=""), None))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "6")
        await until(pilot, lambda: "under way" in picture(app))
        monkeypatch.setitem(CALLS, 94, told(call(94), None))
        await until(pilot, lambda: "under way" not in picture(app))


async def test_t_has_tokens_first_in_the_ledger_and_o_the_figures(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "5")
        await settled(pilot)
        assert [row.split()[0] for row in picture(app).splitlines()[3:6:2]] == ["slot", "tokens"]
        await press(pilot, "j", "j", "j", "j")
        assert "the model writes 14 tokens/s now" in picture(app)
        await press(pilot, "g", "t")
        assert [row.split()[0] for row in picture(app).splitlines()[3:6:2]] == ["tokens", "slot"]
        await press(pilot, "G", "o")
        assert picture(app).splitlines()[3].startswith(" by outcome")
        await press(pilot, "o", "t")
        assert picture(app).splitlines()[3].startswith(" slot")


async def test_where_a_call_does_not_fit_what_came_of_it_stands_first_and_the_cursor_goes_on_to_its_sections(
    study: Open,
) -> None:
    app = study()
    async with app.run_test(size=(120, 34)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "6")
        await settled(pilot)
        shown = picture(app)
        assert "enter opens it" in shown and "question 2" not in shown
        await press(pilot, "j", "j", "j")
        assert "▸system" in picture(app)
        await press(pilot, "G")
        assert "▸question 2" in picture(app)
        await press(pilot, "k", "enter")
        assert "answer 1, ~10 tokens" in picture(app) and "A wider net." in picture(app)
        await press(pilot, "escape", "g")
        assert "▸answer" in picture(app)


async def test_a_run_is_followed_until_one_scrolls_up_and_again_by_f(study: Open, ran: Path) -> None:
    app = study(training())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "4")
        await until(pilot, lambda: "epoch 37/60" in picture(app))
        with ran.open("a") as log:
            log.write("epoch 38/60  loss 0.09  val_nll 0.13\n")
        await until(pilot, lambda: "epoch 38/60" in picture(app))
        await press(pilot, "k", "k")
        await until(pilot, lambda: "epoch 38/60" not in picture(app))
        before = picture(app)
        with ran.open("a") as log:
            log.write("epoch 39/60  loss 0.09  val_nll 0.13\n")
        await until(pilot, lambda: len(app.panel.body) == 39)
        await pilot.pause()
        assert picture(app).splitlines()[-4:-2] == before.splitlines()[-4:-2], "it stays where one has scrolled to"
        await press(pilot, "f")
        await until(pilot, lambda: "epoch 39/60" in picture(app))
        await press(pilot, "g")
        await until(pilot, lambda: "epoch 1/60" in picture(app) and "► e0007" in picture(app))
        await press(pilot, "G")
        with ran.open("a") as log:
            log.write("epoch 40/60  loss 0.09  val_nll 0.13\n")
        await until(pilot, lambda: "epoch 40/60" in picture(app))


async def test_the_wheel_scrolls_the_log_and_it_stays_there(study: Open, ran: Path) -> None:
    app = study(training())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "j", "4")
        await until(pilot, lambda: "epoch 37/60" in picture(app))
        app.panel._on_mouse_scroll_up(MouseScrollUp(app.panel, 5, 5, 0, -1, 0, False, False, False))
        await until(pilot, lambda: "epoch 37/60" not in picture(app))
        app.see(ticking=True)
        await settled(pilot)
        assert "epoch 37/60" not in picture(app)


async def test_brackets_go_through_the_runs_n_through_the_metrics_and_w_to_what_runs(study: Open, ran: Path) -> None:
    app = study(training())
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "4")
        await until(pilot, lambda: "run 3 of 3" in picture(app) and "its other 2 runs" in picture(app))
        await press(pilot, "left_square_bracket", "left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: "run 1 of 3" in picture(app))
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: "run 2 of 3" in picture(app) and "val_nll" in picture(app))
        await press(pilot, "n")
        await until(pilot, lambda: "\n loss " in picture(app))
        await press(pilot, "N")
        await until(pilot, lambda: "\n val_nll " in picture(app))
        await press(pilot, "w")
        await until(pilot, lambda: app.selected == 7 and "► e0007" in picture(app))
        assert app.panel.title == "Run"


async def test_a_run_that_begins_comes_in_by_itself(study: Open, ran: Path) -> None:
    begun = training()
    app = study(replace(begun, running=(), events=begun.events[:1]))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "4")
        await until(pilot, lambda: "run 3 of 3" in picture(app))
        run = replace(begun.running[0], id=13, experiment=0, purpose="challenge")
        await later(pilot, replace(begun, running=(run,)))
        await until(pilot, lambda: "► e0000" in picture(app) and "run 4 of 4" in picture(app))


async def test_where_no_run_goes_on_nothing_is_read_again(
    study: Open, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []

    def look(folder: Path, *_: object) -> Seen:
        looked.append(folder)
        return Seen(lack="gone")

    monkeypatch.setattr("cockpit.watch.look", look)
    app = study(replace(training(), running=()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "G", "4")
        await until(pilot, lambda: "gone" in picture(app))
        before = len(looked)
        for _ in range(3):
            app._tick()
            app.see(ticking=True)
        await settled(pilot)
        assert len(looked) == before


async def test_keys_that_come_together_find_what_those_before_them_have_done(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        type_ahead(app, "slash", *"e0004", "enter", "x", *"quit", "enter")
        await until(pilot, lambda: bool(asked))
        await settled(pilot)
        assert [(verb, arguments) for verb, arguments, _ in asked] == [
            ("reject", {"experiments": [4], "reason": "quit"})
        ]
        assert app.selected == 4 and app.panel.number == 1 and not app.search.display
        type_ahead(app, "escape", "3", "1", "G", "2", "z", "z", "1", "k")
        await until(pilot, lambda: app.selected == 2)
        assert app.panel.number == 1


async def test_what_is_typed_after_a_sheet_is_left_goes_where_it_is_meant_to(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        type_ahead(app, "x", *"too slow", "enter", "u", "m", "escape", "j", "k", "c", *"so", "backspace", "enter", "U")
        await until(pilot, lambda: len(asked) == 4)
        await settled(pilot)
        assert [(verb, arguments.get("reason"), arguments.get("text")) for verb, arguments, _ in asked] == [
            ("reject", "too slow", None), ("undo", None, None), ("note", None, "s"), ("redo", None, None),
        ]  # fmt: skip
        assert len(app.screen_stack) == 1


async def test_a_search_that_is_given_up_selects_what_was_selected(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        type_ahead(app, "j", "slash", *"e0004", "backspace", "3")
        await until(pilot, lambda: app.selected == 3)
        type_ahead(app, "escape")
        await until(pilot, lambda: app.selected == 7)
        assert not app.choices.search


async def test_what_was_marked_and_is_decided_elsewhere_is_refused_and_nothing_else_is_done(
    study: Open, asked: Asked
) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "space")
        rows = list(every_kind().experiments)
        rows[1] = replace(rows[1], state=State.REJECTED)
        await later(pilot, replace(every_kind(), experiments=tuple(rows)))
        await press(pilot, "G", "k", "k", "M")
        await settled(pilot)
        assert "e0001 is rejected already" in picture(app) and not asked
        await press(pilot, "escape", "M")
        await settled(pilot)
        assert [arguments["experiments"] for _, arguments, _ in asked] == [[2]]


async def test_the_diff_that_a_merge_sheet_counts_is_read_once_and_of_several_not_at_all(study: Open) -> None:
    app = study()
    git, read = app.git.patch, list[str]()

    async def patch(place: Place, old: str, new: str) -> str:
        read.append(new)
        return await git(place, old, new)

    app.git = replace(app.git, patch=patch)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "space", "G", "k", "space", "m")
        await settled(pilot)
        assert "Merge 2 experiments" in picture(app) and not read
        await press(pilot, "escape", "escape", "G", "k", "3", "m")
        await until(pilot, lambda: "a merge commit   " in picture(app))
        assert len(read) == 1


async def test_3_on_the_sheet_shows_the_diff_of_what_the_sheet_is_about(study: Open) -> None:
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "space", "m", "3")
        await until(pilot, lambda: app.panel.number == 3)
        assert app.selected == 1


async def test_an_undo_in_a_hurry_is_of_what_was_asked_before_it_or_is_not_done(
    study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs = list[tuple[str, Any]]()
    may = asyncio.Event()

    async def refuses(_: Place, verb: str, __: object, expected: dict[str, Any], ___: Trail) -> Answer:
        await may.wait()
        verbs.append((verb, expected.get("decision")))
        return Answer(verb != "merge", f"{verb}: said")

    monkeypatch.setattr(commands, "submit", refuses)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        type_ahead(app, "M", "u")
        await pilot.pause()
        may.set()
        await until(pilot, lambda: "what was asked before it was not done" in picture(app))
        assert verbs == [("merge", 2)]
        await press(pilot, "u")
        await settled(pilot)
        assert verbs == [("merge", 2), ("undo", 2)]


async def test_a_search_before_there_is_anything_finds_nothing_and_ends_nothing(study: Open) -> None:
    empty = replace(every_kind(), experiments=(), running=())
    app = study(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "slash", *"zzz", "enter")
        await later(pilot, every_kind())
        assert app.selected is None
        await press(pilot, "M", "escape", "j")
        assert app.selected in (1, 7)


async def test_who_comes_back_to_a_screen_that_was_left_open_is_told_too(
    study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cockpit.test_away import NIGHT

    async def night(*_: object) -> Any:
        return NIGHT

    monkeypatch.setattr("cockpit.app.happened", night)
    monkeypatch.setattr("cockpit.app.MARK_SECONDS", 0.0)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        mark = app.place.folder / "seen"
        mark.touch()
        os.utime(mark, (NOW - 7200,) * 2)
        await press(pilot, "j")
        await until(pilot, lambda: "While you were away" in picture(app))


async def test_a_click_on_a_key_presses_it_below_the_panels_and_on_a_sheet(study: Open, asked: Asked) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        foot = picture(app).splitlines()[-1]
        await pilot.click("#keys", offset=(foot.index("sort"), 0))
        await until(pilot, lambda: app.choices.sort == "age")
        await pilot.click("#keys", offset=(foot.index("reject"), 0))
        await until(pilot, lambda: isinstance(app.screen, Reject) and "enter reject" in picture(app))
        rows = picture(app).splitlines()
        y = next(y for y, row in enumerate(rows) if "enter reject" in row)
        await pilot.click(offset=(rows[y].index("enter reject"), y))
        await until(pilot, lambda: bool(asked))


async def test_a_key_that_goes_to_another_panel_has_lines_painted_and_nothing_as_a_whole(
    study: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, whole, lines = study(), list[Widget](), list[Region]()
    monkeypatch.setattr("cockpit.app.AGAIN_SECONDS", 1e6)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)

        def refresh(widget: Widget, *regions: Region, **given: bool) -> Widget:
            lines.extend(regions)
            whole.extend([] if regions or isinstance(widget, ScrollBar) else [widget])
            return widget

        monkeypatch.setattr(Widget, "refresh", refresh)
        await press(pilot, "2", "1", "5", "3")
    assert whole == []
    assert {region.height for region in lines} == {1} and len(lines) < 20
