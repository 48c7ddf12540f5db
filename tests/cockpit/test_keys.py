"""The one table of keys: what is bound, what is said of it, and the page of docs. `SCREENS=write` writes that anew."""

import os
from collections.abc import Sequence
from pathlib import Path
from string import punctuation

import pytest
from textual.command import CommandList, CommandPalette
from textual.keys import Keys, _character_to_key

from cockpit import processes
from cockpit.app import Cockpit
from cockpit.keys import KEYS, LEAST_BESIDE, Key, footer, help_lines, markdown, pressed
from cockpit.panels import PANELS
from cockpit.panels.frontier import Frontier
from cockpit.widgets.panel import Panel
from tests.cockpit.test_app import Asked, Open, asked, picture, press, settled, study, until  # noqa: F401

DOCS = Path(__file__).parents[2] / "docs" / "keys.md"
OWN = [(panel, key) for panel in PANELS for key in panel.keys]


def test_the_page_of_keys_is_the_table() -> None:
    pages = [("@", processes.TITLE, processes.KEYS)]
    text = markdown([*((panel.number, panel.title, panel.keys) for panel in PANELS), *pages])
    if os.environ.get("SCREENS") == "write":
        DOCS.write_text(text)
    assert DOCS.read_text() == text


def test_every_sign_is_called_as_textual_calls_it() -> None:
    assert [pressed(one) for one in punctuation] == [_character_to_key(one) for one in punctuation]


@pytest.mark.parametrize("width", [72, LEAST_BESIDE, 112])
def test_no_line_of_the_help_is_cut(width: int) -> None:
    for title, own in (*((panel.title, panel.keys) for panel in PANELS), (processes.TITLE, processes.KEYS)):
        assert not [row.text for row in help_lines(width, title, own) if "…" in row.text]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_how_to_pause_quit_and_learn_more_is_said_in_every_panel(width: int) -> None:
    for panel in PANELS:
        said = footer(panel.number, panel.keys, width, "pause").text
        assert all(word in said for word in ("r pause", "? help", "q quit")) and len(said) <= width
        assert "u undo" in said or width < 120


@pytest.mark.parametrize(
    ("number", "says"),
    [(1, ("/ filter", "s sort")), (2, ("j k front", "a A axes")), (3, ("n N hunk", "h why", "d trunk", "e editor"))],
)
def test_in_80_columns_a_panel_says_its_own_keys_and_how_to_decide(number: int, says: Sequence[str]) -> None:
    own = next(panel.keys for panel in PANELS if panel.number == number)
    for now in ("run", "pause", "go on"):
        said = footer(number, own, 80, now).text
        assert all(word in said for word in (*says, "m merge", "x reject", f"r {now}")), said


def _name(action: str) -> str:
    return action.removeprefix("app.").partition("(")[0]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.keys)
def test_every_key_does_something(key: Key) -> None:
    assert hasattr(Cockpit, f"action_{_name(key.action)}")


@pytest.mark.parametrize(("panel", "key"), OWN, ids=[f"{panel.title}-{key.keys}" for panel, key in OWN])
def test_every_key_of_a_panel_is_bound_there_and_does_something(panel: type[Panel], key: Key) -> None:
    where = Cockpit if key.action.startswith("app.") else panel
    assert hasattr(where, f"action_{_name(key.action)}")
    bound = {name for name, _ in panel()._bindings}
    assert set(key.keys.split(",")) <= bound


def test_no_key_is_bound_twice_in_one_place() -> None:
    every = [name for key in KEYS for name in key.keys.split(",")]
    assert len(every) == len(set(every))
    for panel in PANELS:
        own = [name for key in panel.keys for name in key.keys.split(",")]
        assert len(own) == len(set(own)), panel.title
    assert Keys.ControlC.value in every


async def test_the_palette_lands_what_is_selected_where_the_users_branch_stands(
    study: Open,  # noqa: F811
    asked: Asked,  # noqa: F811
) -> None:
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await press(pilot, *"change of what")
        await until(pilot, lambda: "land: a branch off your own" in picture(app))
        await press(pilot, "enter")
        await until(pilot, lambda: bool(asked))
        ((verb, arguments, expected),) = asked
        assert app.selected is not None
        assert (verb, arguments["experiment"], arguments["onto"]) == ("land", app.selected, "refs/heads/main")
        assert not arguments["unconfirmed"]
        assert expected["verdicts"]


async def test_the_palette_does_what_a_key_does(study: Open) -> None:  # noqa: F811
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await press(pilot, *"parents")
        await until(pilot, lambda: "a tree of parents" in picture(app))
        await press(pilot, "enter")
        await until(pilot, lambda: app.choices.tree)


def first(found: CommandList) -> str:
    return str(found.get_option_at_index(0).prompt) if found.option_count else ""


@pytest.mark.parametrize(
    ("word", "says"),
    [
        *((word, f"{word}: ") for word in ("rerun", "land", "land trunk", "sync")),
        *(("run", "pause the research"), ("zoom", "this panel alone"), ("yield", "hand the device back")),
    ],
)
async def test_in_the_palette_a_word_and_enter_do_what_it_says(study: Open, word: str, says: str) -> None:  # noqa: F811
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await press(pilot, "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await press(pilot, *word)
        found = app.screen.query_one(CommandList)
        await until(pilot, lambda: found.highlighted == 0 and says in first(found))


def test_what_no_key_does_is_said_to_be_in_the_palette() -> None:
    assert any("^p" in text.text and "and land, sync, rerun" in text.text for text in help_lines(112))
    assert "| `rerun` | run what is selected again" in DOCS.read_text()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_frontier_says_which_key_changes_its_axes_however_little_room_there_is(width: int) -> None:
    text = footer(2, Frontier.keys, width, "go on").text
    assert "a A axes" in text and "? help" in text and len(text) <= width
