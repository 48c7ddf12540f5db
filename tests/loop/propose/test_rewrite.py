"""The operator *rewrite*: which function is given, for what, and what an answer must be."""

import pytest

from loop.propose.admit import Refused
from loop.propose.edits import Rewrite
from loop.propose.functions import Function, functions
from loop.propose.rewrite import AIMS, MOST_CHARACTERS, Rewriting, fits, turn_of
from store.records import Refusal

SOURCE = b"def f(x):\n    y = 2 * x\n    return y\n"
FOUND = [Function("a.py", f"f{number}", "def f(): ...") for number in range(3)]
WHOLE = "```python\ndef f(x):\n    y = 3 * x\n    return y\n```\nThis is"


def asked() -> Rewriting:
    return Rewriting(functions("a.py", SOURCE)[0], ["import math"], AIMS[0])


@pytest.mark.parametrize("seed", range(5))
def test_each_function_has_its_turn_and_each_aim_of_each(seed: int) -> None:
    turns = [turn_of(FOUND, seed, turn) for turn in range(len(FOUND) * len(AIMS))]
    assert {one for one, _ in turns[:3]} == set(FOUND)
    assert len(set(turns)) == len(turns)
    assert turns == [turn_of(FOUND[::-1], seed, turn) for turn in range(len(turns))], "in whatever order they come"


def test_a_function_stands_four_times_in_a_context_or_is_left_out() -> None:
    sizes = [Function("a.py", "f", "x" * size) for size in (600, 610, MOST_CHARACTERS, MOST_CHARACTERS + 1)]
    assert [fits(one, 2048) for one in sizes] == [True, False, False, False]
    assert [fits(one, 32_000) for one in sizes] == [True, True, True, False]


def test_the_question_holds_the_function_and_the_aim_and_no_other_code() -> None:
    assert "def f(x):\n    y = 2 * x\n    return y\n```\nLet it do less work" in asked().reason
    assert asked().schema is None


def test_an_answer_that_was_cut_is_no_function_though_it_may_be_python() -> None:
    assert isinstance(asked().read(WHOLE, whole=False).edit, Rewrite)
    for cut in ("```python\ndef f(x):\n    y = 3 * x\n", "def f(x):\n    y = 3 * x\n"):
        with pytest.raises(Refused, match="the end of `f` is missing"):
            asked().read(cut, whole=False)
        assert asked().read(cut, whole=True)


def test_what_an_answer_does_to_a_file_or_why_nothing() -> None:
    edit = asked().read(WHOLE, whole=True).edit
    assert (edit.title, edit.sentence) == ("rewrite f", "f in a.py rewritten")
    assert edit.change == {"rewrite": "a.py:f", "answer": WHOLE}
    assert edit.made({"a.py": SOURCE}) == {"a.py": SOURCE.replace(b"2", b"3")}
    for source, answer, refusal, reason in (
        (SOURCE, WHOLE.replace("3", "2"), Refusal.DUPLICATE, "it changes nothing"),
        (SOURCE, "I cannot.", Refusal.INVALID, "the answer holds no `def f`"),
        (SOURCE.replace(b"2", b"4"), WHOLE, Refusal.INVALID, "a.py:f is another one by now"),
        (b"", WHOLE, Refusal.INVALID, "a.py:f is another one by now"),
    ):
        with pytest.raises(Refused, match=reason) as why:
            asked().read(answer, whole=True).edit.made({"a.py": source})
        assert why.value.refusal is refusal
