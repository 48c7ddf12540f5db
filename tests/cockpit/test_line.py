"""Lines: nothing foreign reaches the terminal but as text, and everything has the width it should."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cockpit.line import apart, fit, line, right, segments, wrap
from cockpit.themes import DARK, TERMINAL, UNCOLOURED, Theme

MARKUP = "[/usr/bin] [bold]i[/bold] [@click=app.quit]j"
POISON = "a\x1b]52;c;cGF5bG9hZA==\x07b\x1b[2Jc\x9b31md\x1b]0;title\x07e\u202ef\ng\x7fh\t" + MARKUP


def test_what_is_foreign_becomes_text() -> None:
    shown = "".join(one.text for one in segments(line((POISON, "bold")), 200, DARK))
    assert shown.isprintable()
    assert "payload" not in shown and "cGF5" not in shown
    assert MARKUP in shown


def harmless(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


@given(st.text(), st.integers(1, 60))
def test_a_text_fits_exactly_and_holds_no_control(text: str, columns: int) -> None:
    for shown in (fit(text, columns), right(text, columns)):
        assert cell_len(shown) == columns
        assert harmless(shown)


@given(st.lists(st.text(), max_size=4), st.integers(1, 80), st.sampled_from([DARK, TERMINAL, UNCOLOURED]))
def test_a_line_is_painted_as_wide_as_it_is_asked_to_be(texts: list[str], columns: int, theme: Theme) -> None:
    drawn = segments(line(*texts), columns, theme)
    assert sum(cell_len(one.text) for one in drawn) == columns
    assert all(harmless(one.text) for one in drawn)


@given(st.text(), st.text(), st.integers(1, 80))
def test_what_stands_apart_is_never_too_wide_unless_the_left_alone_is(left: str, end: str, columns: int) -> None:
    drawn = apart([left], [end], columns)
    assert cell_len(drawn.text) == max(columns, cell_len(line(left).text))


@given(st.text(), st.integers(4, 60), st.integers(1, 5))
def test_a_wrapped_text_stays_within_its_lines(text: str, columns: int, most: int) -> None:
    lines = wrap(text, columns, most)
    assert len(lines) <= most
    assert all(cell_len(one) <= columns for one in lines)


def test_a_text_is_not_broken_before_a_per_cent_sign_nor_within_a_short_bracket() -> None:
    text = "nll 18 % better (P > .999), predict 10 % faster (P = .98) not shown; 5 seeds"
    for columns in range(14, 80):
        lines = wrap(text, columns, 20)
        assert " ".join(lines) == text and all(cell_len(one) <= columns for one in lines)
        assert sum(any(part in one for one in lines) for part in ("18 %", "(P > .999),", "10 %", "(P = .98)")) == 4
    assert wrap("(P > .999)", 5, 3) == ["(P >", ".999)"]


def test_without_colours_there_is_bold_and_reverse_alone() -> None:
    drawn = segments(line(("selected", "bold sky"), ground="selected"), 20, UNCOLOURED)
    styles = [segment.style for segment in drawn if segment.style]
    assert all(style.color is None and style.bgcolor is None for style in styles)
    assert styles[0].bold and styles[0].reverse
