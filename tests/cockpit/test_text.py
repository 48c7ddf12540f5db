"""The one sanitiser: whatever comes in, nothing goes out that a terminal would obey."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.text import LONGEST_LINE, clean

OBEYED = "\x1b\x9b\x9d\x90[]0;?m\x07\\\r\n\t\u202e\u2066"
CONTROLS = st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from(OBEYED))


@given(CONTROLS)
def test_nothing_that_a_terminal_obeys_comes_out(text: str) -> None:
    for character in clean(text):
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


@given(CONTROLS)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=200))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]52;c;c2VjcmV0\x07copied", "copied"),
        ("\x1b]0;title\x1b\\after", "after"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bcreset", "reset"),
        ("a\x07b\x00c\x7f", "a␇b␀c␡"),
        ("10 %\r20 %", "10 %␍20 %"),
        ("a\r\nb", "a\nb"),
        ("\u202egnp.exe", "<U+202E>gnp.exe"),
        ("a\tb", "a       b"),
        ("[/usr/bin] [bold]", "[/usr/bin] [bold]"),
        ("\x1b]52;c;never ended\nnext line", "\nnext line"),
    ],
)
def test_each_kind_of_sequence_is_taken_out_or_made_visible(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_line_has_an_end() -> None:
    assert len(clean("x" * 100_000)) == LONGEST_LINE
    assert clean("x" * 100_000).endswith("…")
