"""Themes and ASCII: all that is drawn can be read in each, on what it stands on; and names the keys that do it."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from textual.command import CommandPalette

from cockpit import bars, keys, themes
from cockpit.away import away, keys_of
from cockpit.configuration import Configuration
from cockpit.keys import TABLE, Keymap
from cockpit.line import Line, segments
from cockpit.merging import hindrance, merge_lines
from cockpit.panels import PANELS
from cockpit.panels.context import asked as wanted
from cockpit.panels.diff import change_line
from cockpit.patch import Change, Kind
from cockpit.remapping import EVERY
from cockpit.sheets import Merge, Reject
from cockpit.text import clean
from cockpit.themes import COARSE, DARK, LIGHT, TERMINAL, UNCOLOURED, Theme
from cockpit.twins import ascii_of
from cockpit.view import Arrangement, View
from store.records import Outcome
from tests.cockpit.studies import NOW, call, every_kind, told, unbegun
from tests.cockpit.test_app import Asked, Open, asked, picture, press, ran, settled, study, until  # noqa: F401
from tests.cockpit.test_away import NIGHT
from tests.cockpit.test_panels import FOUND
from tests.cockpit.test_panels import whole as two_together

CODE = ("@cache", "def f(a): return 'text', 64 or None  # why")


def every_line(keymap: Keymap = TABLE) -> Iterator[Line]:
    """What the screen draws of a study that has all there is, of one that has nothing, and of one that broke off."""
    whole = every_kind()
    fails = two_together(failure=Outcome.CRASH, detail="train: exit status 1")
    gone = replace(fails, pid=None, died="killed", limits=())
    for stands in (whole, unbegun(), gone):
        for number in range(len(stands.experiments) or 1):
            view = View(stands, number, NOW, Arrangement.NARROW, FOUND, frozenset({1}), keys=keymap)
            view = replace(view, found={**FOUND, wanted(view): told(call(93), 7)})
            for panel in PANELS:
                drawing = panel().draw(view, 80, 40)
                yield from (*drawing.head, *drawing.body)
        yield bars.status(stands, "digits", NOW, 120, keymap)
        yield from bars.strip(stands, None, 9, 120, 2, keymap)
        yield from away(stands, NIGHT, NOW, 74, keymap)
        yield from bars.too_small(view, "digits", 40, 10)
    for chosen in ([whole.experiments[1]], list(whole.experiments[1:3])):
        yield from merge_lines(replace(whole, incumbent=5), chosen, None, 74, "", keymap)
    yield from (keys.footer(panel.number, panel.keys, 200, "pause", keymap) for panel in PANELS)
    yield from (one for panel in PANELS for one in keys.help_lines(104, panel.title, panel.keys, keymap))
    for code in CODE:
        changes = [Change(kind, code, 1, 1) for kind in (Kind.ADDED, Kind.REMOVED, Kind.SAME)]
        twins = [Change(kind, code.replace("6", "5"), 1, 1) for kind in (Kind.REMOVED, Kind.ADDED)]
        yield from map(change_line, changes, [*twins, None], ["model.py"] * 3)
        yield from (change_line(change, None, "model.py") for change in changes)


def luminance(colour: Color) -> float:
    red, green, blue = [
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.get_truecolor().normalized
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [DARK, LIGHT, *COARSE.values()], ids=lambda theme: theme.name)
def test_every_text_can_be_read_on_what_it_stands_on(theme: Theme) -> None:
    has = ColorSystem.EIGHT_BIT if theme in COARSE.values() else ColorSystem.TRUECOLOR
    said = {
        (segment.style.color, segment.style.bgcolor): segment.text
        for one in every_line()
        for segment in segments(one, 120, theme)
        if segment.style and re.search(r"\w", segment.text)
    }
    assert len({ground for _, ground in said}) == len(theme.grounds), "all grounds are among them"
    for (colour, ground), text in said.items():
        assert colour and ground
        dark, light = sorted(luminance(one.downgrade(has)) for one in (colour, ground))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, colour.name, ground.name)


@pytest.mark.parametrize("theme", [TERMINAL, UNCOLOURED], ids=lambda theme: theme.name)
def test_the_terminals_own_colours_are_its_first_sixteen_and_none_where_there_are_none(theme: Theme) -> None:
    styles = {segment.style for one in every_line() for segment in segments(one, 120, theme) if segment.style}
    colours = {style.color for style in styles if style.color}
    assert all(style.bgcolor is None for style in styles)
    assert all(colour.number is not None and colour.number < 16 for colour in colours)
    assert bool(colours) is (theme is TERMINAL)
    assert not any(style.color for style in styles if style.reverse), "a colour would be the ground there"


def test_sixteen_colours_are_taken_where_there_are_no_more_and_none_where_none_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for term, theme in (("xterm-256color", COARSE[DARK]), ("screen", TERMINAL), ("linux", TERMINAL)):
        monkeypatch.setenv("TERM", term)
        assert themes.chosen(None) is theme
        assert themes.chosen("light").name.startswith("light"), "who asks for one has it"
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert themes.chosen(None) is DARK and themes.chosen("light") is LIGHT
    monkeypatch.setenv("NO_COLOR", "1")
    assert themes.chosen("light") is UNCOLOURED


def test_no_text_names_a_key_that_does_something_else() -> None:
    """Every key is another one here: who names one as it comes has not asked the table."""
    other = Keymap({name: (f"<{name}>",) for name in EVERY})
    lacking = re.compile(
        r"(?<![\w<`'/.])(r|u|U|q|m|M|v|x|z|esc|enter|space)(?= (goes|starts|pauses|again|there|in the |"
        r"if |or |and |merges|takes|closes|opens|shows|quit|while|for|the ledger)|$|[.,;])"
    )
    said = [re.sub(r"\s+", " ", one.text) for one in every_line(other)]
    assert [text for text in said if lacking.search(text)] == []
    assert sum("<run>" in text for text in said) > 5, "it is asked at all"
    rows = every_kind().experiments
    assert "<undo>" in hindrance(every_kind(), next(one for one in rows if one.state == "merged"), "merge", other)
    assert ("<panel_5>", "the ledger") in keys_of(every_kind(), other)


@given(st.text())
def test_ascii_takes_as_many_columns(text: str) -> None:
    shown = clean(text).replace("\n", " ")
    assert ascii_of(shown).isascii()
    assert cell_len(ascii_of(shown)) == cell_len(shown)


async def test_nothing_beyond_ascii_is_drawn_where_it_is_not_wanted(
    study: Open,  # noqa: F811
    ran: object,  # noqa: F811
) -> None:
    app = study(configuration=Configuration("dark", ascii=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        for key in ("m", "x", "é", "escape", "2", "j", "3", "4", "5", "6", "question_mark", "escape", "ctrl+p"):
            await press(pilot, key)
            await settled(pilot)
            assert picture(app).isascii(), picture(app)
            assert all(row.cell_length == 120 for row in app.screen._compositor.render_strips())
            assert {"m": Merge, "x": Reject}.get(key, object) in type(app.screen).__mro__
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and "merge: a sheet" in picture(app))
        assert picture(app).isascii(), picture(app)
