"""The search space: what is a knob, and that setting one changes a literal and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.propose import places
from loop.propose.domain import Choices, Range, Value
from loop.propose.literals import steadily
from loop.propose.scalar import Unreadable
from loop.propose.space import Knob, annotated, declared
from loop.study import ConfigError, Settings

SOURCE = b'''"""A script."""
RATE = 3e-4  # cockpit: 1e-5..1e-2 log
DEPTH: int = 4    # cockpit: 1..12
MODE = "a"  # cockpit: a | b
BIAS = True  # cockpit: True | False
LOW = -1.5  # cockpit: -2.0..2


class Config:
    width = 64  # cockpit: 32 | 64 | 128
    text = "# cockpit: 1..2"
'''


def at(knob: str) -> str:
    return f"cockpit.toml, at {knob}"


def settings(**knobs: dict[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "run": {"train": "python train.py"},
            "space": {"edit": ["*.py"], "knobs": {name.replace("__", ":"): knob for name, knob in knobs.items()}},
            "objectives": {"loss": {"direction": "minimize"}},
        }
    )


def test_a_knob_is_an_annotated_constant_of_a_file_or_a_class() -> None:
    assert annotated("t.py", SOURCE) == [
        Knob("t.py", "RATE", Range(1e-5, 1e-2, log=True, integer=False), 3e-4),
        Knob("t.py", "DEPTH", Range(1, 12, log=False, integer=True), 4),
        Knob("t.py", "MODE", Choices(("a", "b")), "a"),
        Knob("t.py", "BIAS", Choices((True, False)), True),
        Knob("t.py", "LOW", Range(-2.0, 2, log=False, integer=False), -1.5),
        Knob("t.py", "Config.width", Choices((32, 64, 128)), 64),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("X = 1  # cockpit: many", "is neither a range"),
        ("X = 1  # cockpit: 1..y", "are not two numbers"),
        ("X = 1  # cockpit: 5..2", "5 is not below 2"),
        ("X = 1  # cockpit: 0..2 log", "a log scale begins above zero"),
        ("X = 1  # cockpit: 1..inf", "is not below inf"),
        ("X = 3  # cockpit: 1..2", "the value 3 is not in 1..2"),
        ("X = 'c'  # cockpit: a | b", "the value 'c' is not in a | b"),
        ("X = 1  # cockpit: 1 | 1", "two values or more, each once"),
        ("X = 1  # cockpit: 1 |", "two values or more, each once"),
        ("X = f()  # cockpit: 1..2", "belongs on a line `NAME = value`"),
        ("# cockpit: 1..2", "belongs on a line `NAME = value`"),
        ("def f():\n    X = 1  # cockpit: 1..2", "belongs on a line `NAME = value`"),
        ("X = 1  # cockpit: 1..2\nX = 2", "`X` is assigned a literal 2 times"),
        ("X = (  # cockpit: 1..2", "was never closed"),
    ],
)
def test_an_annotation_that_means_nothing_is_said_with_its_line(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"t\.py:\d+: ") as caught:
        declared(settings(), at, {"t.py": b"# a cockpit: no\n" + line.encode()})
    assert said in str(caught.value)


def test_only_editable_files_are_searched_for_knobs() -> None:
    assert declared(settings(), at, {"t.txt": SOURCE}) == ()


def test_a_listed_knob_needs_no_annotation() -> None:
    (knob,) = declared(settings(**{"t.py__X": {"low": 1, "high": 8, "scale": "log"}}), at, {"t.py": b"X = 2\n"})
    assert knob == Knob("t.py", "X", Range(1, 8, log=True, integer=True), 2, annotated=False)


@pytest.mark.parametrize(
    ("name", "knob", "said"),
    [
        ("t.py__X", {"low": 3, "high": 4}, "the value 2 is not in 3..4"),
        ("t.py__Y", {"low": 3, "high": 4}, "`Y` is nowhere assigned a literal in t.py"),
        ("u.py__X", {"low": 3, "high": 4}, "there is no committed file u.py"),
        ("t.py__Z", {"choices": [1, 2]}, "is annotated in the code already"),
    ],
)
def test_a_listed_knob_that_does_not_fit_the_code_is_said_by_its_key(
    name: str, knob: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        declared(settings(**{name: knob}), at, {"t.py": b"X = 2\nZ = 1  # cockpit: 1 | 2\n"})
    key = name.replace("__", ":")
    assert f'{at(key)}: `[space.knobs] "{key}"`' in str(caught.value)
    assert said in str(caught.value)


def test_setting_a_knob_changes_the_literal_and_not_a_byte_more() -> None:
    new: dict[str, Value] = {"RATE": 0.001, "DEPTH": 12, "MODE": "b", "BIAS": False, "LOW": 2.0, "Config.width": 128}
    changed = places.set_values("t.py", SOURCE, new)
    assert places.values("t.py", changed, set(new)) == new
    before, after = SOURCE.split(b"\n"), changed.split(b"\n")
    assert after[1:6] == [
        b"RATE = 0.001  # cockpit: 1e-5..1e-2 log",
        b"DEPTH: int = 12    # cockpit: 1..12",
        b'MODE = "b"  # cockpit: a | b',
        b"BIAS = False  # cockpit: True | False",
        b"LOW = 2.0  # cockpit: -2.0..2",
    ]
    assert [line for number, line in enumerate(after) if line != before[number]] == [*after[1:6], after[9]]


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b"\r"])
def test_line_endings_form_feeds_and_letters_beyond_ascii_stay(ending: bytes) -> None:
    lines = ["s = 'é\u2028'\x0c".encode(), "t = 'ü'; X = 1  # cockpit: 1..2".encode(), b"y = '\x0b'"]
    source = ending.join(lines)
    assert places.set_values("t.py", source, {"X": 2}) == source.replace(b"X = 1", b"X = 2")


def test_a_byte_order_mark_stays_where_it_is() -> None:
    source = "\ufeffX = 1  # cockpit: 1..2\nY = 3\n".encode()
    assert len(annotated("t.py", source)) == 1
    assert places.set_values("t.py", source, {"X": 2, "Y": 4}) == "\ufeffX = 2  # cockpit: 1..2\nY = 4\n".encode()


@pytest.mark.parametrize("source", [b"X = '\xff'\n", b"X = 1\0\n", b"X = " + b"(" * 5000, b"if"])
def test_a_file_that_is_no_python_is_unreadable_and_nothing_worse(source: bytes) -> None:
    with pytest.raises(Unreadable):
        annotated("t.py", source)


@given(st.floats(1e-4, 1e3), st.floats(1e-4, 1e3), st.floats(0, 1), st.booleans(), st.booleans())
def test_a_rounded_number_is_within_the_bounds_and_survives_being_written(
    one: float, other: float, share: float, log: bool, integer: bool
) -> None:
    low, high = sorted((one, other))
    if integer:
        low, high = int(low) + 1, int(high) + 2
    if low == high:
        return
    domain = Range(low, high, log, integer)
    value = domain.rounded(low + share * (high - low))
    assert domain.holds(value)
    written = places.set_values("t.py", b"X = 1 # note\n", {"X": value})
    assert places.values("t.py", written, {"X"}) == {"X": value}
    assert domain.rounded(value) == value


def test_a_compiler_that_loses_count_once_is_asked_again_and_one_that_always_does_is_an_error() -> None:
    left = [1, 2]

    def made() -> str:
        if left:
            raise SystemError(f"AST constructor recursion depth mismatch (before={left.pop()}, after=0)")
        return "a tree"

    assert steadily(made) == "a tree"

    def lost() -> str:
        raise SystemError("AST constructor recursion depth mismatch")

    with pytest.raises(Unreadable, match="mismatch"):
        steadily(lost)
