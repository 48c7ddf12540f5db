"""The operator *knobs*: whatever a model answers becomes values that the knobs may have, or a reason."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.propose import knobs, space
from loop.propose.admit import Refused
from loop.propose.domain import Choices, Range, same
from loop.propose.operators import WORDS_CHARACTERS
from loop.propose.space import Knob
from store.records import Refusal
from tests.scripted import changes

KNOBS = (
    Knob("train.py", "RATE", Range(1e-4, 1.0, log=True, integer=False), 0.1),
    Knob("train.py", "DEPTH", Range(1, 12, log=False, integer=True), 4),
    Knob("train.py", "MODE", Choices(("a", "b", "c")), "a"),
    Knob("train.py", "BIAS", Choices((True, False)), True),
    Knob("one.py", "WIDTH", Range(8, 256, log=True, integer=True), 64),
    Knob("two.py", "WIDTH", Range(8, 256, log=True, integer=True), 32),
    Knob("two.py", "SCALE", Choices((0.5, 1.0, None)), 1.0),
)
NOW = {knob.key: knob.default for knob in KNOBS}
values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
names = st.sampled_from([*space.names(KNOBS), "OTHER", "", 3])
one = st.fixed_dictionaries({"knob": names, "to": values}) | values
answers = st.fixed_dictionaries({"changes": st.lists(one, max_size=4) | values, "hypothesis": values}) | values


@given(answers.map(json.dumps) | st.text())
def test_an_answer_is_values_that_the_knobs_may_have_or_a_reason(answer: str) -> None:
    try:
        found, words = knobs.read(answer, KNOBS, NOW)
    except Refused as why:
        assert why.reason
        return
    assert found
    for knob in KNOBS:
        if knob.key in found:
            value = found[knob.key]
            assert knob.domain.holds(value)
            assert not same(value, knob.default)
    assert words.isprintable()


@pytest.mark.parametrize(
    ("answer", "key", "value"),
    [
        (changes(RATE=1), "train.py:RATE", 1.0),  # JSON has one kind of number
        (changes(DEPTH=6.0), "train.py:DEPTH", 6),
        (changes(RATE=0.30000000000000004), "train.py:RATE", 0.3),
        (changes(MODE="b"), "train.py:MODE", "b"),
        (changes(BIAS=False), "train.py:BIAS", False),
        (changes(SCALE=None), "two.py:SCALE", None),
        (changes("because", **{"two.py:WIDTH": 64}), "two.py:WIDTH", 64),
        (f"```json\n{changes(DEPTH=6)}\n```", "train.py:DEPTH", 6),
        (changes(MODE="a", DEPTH=6), "train.py:DEPTH", 6),  # what stays as it is is no change
    ],
)
def test_a_value_is_read_as_the_knob_has_it(answer: str, key: str, value: Any) -> None:
    (found,) = knobs.read(answer, KNOBS, NOW)[0].items()
    assert found == (key, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("answer", "refusal", "reason"),
    [
        ("I would lower the rate.", Refusal.INVALID, "the answer is no JSON"),
        ('{"knobs": {"RATE": 0.2}}', Refusal.INVALID, 'the answer has no "changes"'),
        (changes(RATE=2.0), Refusal.OUT_OF_THE_SPACE, "RATE = 2.0 is not a number in 0.0001..1.0 log"),
        (changes(RATE=float("nan")), Refusal.OUT_OF_THE_SPACE, "RATE = nan is not a number"),
        (changes(DEPTH=6.5), Refusal.OUT_OF_THE_SPACE, "DEPTH = 6.5 is not a whole number in 1..12"),
        (changes(DEPTH=True), Refusal.OUT_OF_THE_SPACE, "DEPTH = True is not a whole number"),
        (changes(MODE="d"), Refusal.OUT_OF_THE_SPACE, "MODE = d is not one of a, b, c"),
        (changes(BIAS=1), Refusal.OUT_OF_THE_SPACE, "BIAS = 1 is not one of True, False"),
        (changes(WIDTH=16), Refusal.OUT_OF_THE_SPACE, "WIDTH is no knob; the knobs are RATE, DEPTH"),
        (changes(DEPTH=10**400), Refusal.OUT_OF_THE_SPACE, "DEPTH = 1000"),
        ('{"changes": [{"knob": "SCALE", "to": 1' + "0" * 400 + "}]}", Refusal.OUT_OF_THE_SPACE, "SCALE = 1000"),
        ('{"changes": [{"knob": "\\ud800", "to": 1}]}', Refusal.OUT_OF_THE_SPACE, " is no knob"),
        ('{"changes": [{"knob": "MODE", "to": "\\ud800\\n"}]}', Refusal.OUT_OF_THE_SPACE, "MODE =  is not one of"),
        ("[" * 100_000, Refusal.INVALID, "the answer is no JSON"),
        (changes(RATE=0.1), Refusal.DUPLICATE, "it changes nothing"),
        (changes(), Refusal.DUPLICATE, "it changes nothing"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_is_to_be_mended(answer: str, refusal: Refusal, reason: str) -> None:
    with pytest.raises(Refused) as why:
        knobs.read(answer, KNOBS, NOW)
    assert why.value.refusal is refusal
    assert reason in why.value.reason
    assert why.value.reason.isprintable()


def test_the_schema_offers_every_knob_and_no_choice_that_it_has_already() -> None:
    options = knobs.schema(KNOBS, NOW)["properties"]["changes"]["items"]["anyOf"]
    offered = {option["properties"]["knob"]["const"]: option["properties"]["to"] for option in options}
    assert offered.keys() == space.names(KNOBS).keys()
    assert offered["MODE"] == {"enum": ["b", "c"]}
    assert offered["BIAS"] == {"enum": [False]}
    assert offered["DEPTH"] == {"type": "integer", "minimum": 1, "maximum": 12}
    assert {"one.py:WIDTH", "two.py:WIDTH"} <= offered.keys()


def test_a_models_words_are_one_printable_line() -> None:
    answer = changes("\x1b[31mred\nand \u202eturned " + "x" * 500, DEPTH=6)
    _, words = knobs.read(answer, KNOBS, NOW)
    assert words.isprintable()
    assert len(words) <= WORDS_CHARACTERS
    assert "\x1b" not in words
    assert "\n" not in words
