"""The gates: what is let in, and why the rest is not."""

import pytest

from loop.propose.admit import Refused, admit, change_hash
from loop.propose.domain import Range
from loop.propose.space import Knob, annotated
from loop.study import Settings
from store.records import Refusal

SOURCE = b"RATE = 0.1  # cockpit: 0.01..1.0 log\nprint('loss:', RATE)\n"
KNOBS = annotated("train.py", SOURCE)
WORDS = {"run": {"train": "python train.py"}, "objectives": {"loss": {"direction": "minimize"}}}
EDIT = ["train.py", "model/*", "cockpit.toml", "link.py"]
SETTINGS = Settings.model_validate({**WORDS, "space": {"edit": EDIT}})
MODES = {"train.py": "100644 blob a", "score.py": "100644 blob b", "link.py": "120000 blob c"}


BEFORE = {"train.py": SOURCE, "eval.py": b"SIZE = 10\nrest = 1\n"}


def test_an_ordinary_edit_of_an_editable_file_is_let_in() -> None:
    changed = {"train.py": SOURCE.replace(b"0.1 ", b"0.2 ") + b"# more\n", "model/new.py": b"x = 1\n"}
    admit(SETTINGS, KNOBS, MODES, BEFORE, changed)


def test_a_protected_file_with_a_listed_knob_may_change_in_that_and_in_nothing_else() -> None:
    listed = Knob("eval.py", "SIZE", Range(1, 20, log=False, integer=True), 10, annotated=False)
    settings = Settings.model_validate({**WORDS, "space": {"knobs": {"eval.py:SIZE": {"low": 1, "high": 20}}}})
    admit(settings, [listed], MODES, BEFORE, {"eval.py": b"SIZE = 12\nrest = 1\n"})
    with pytest.raises(Refused, match="protected but for its knobs"):
        admit(settings, [listed], MODES, BEFORE, {"eval.py": b"SIZE = 12\nrest = 2\n"})
    rate = Knob("eval.py", "RATE", Range(0, 1, log=False, integer=False), 1e-3, annotated=False)
    for size in (b"10", b"12"):  # however another knob is written that stays as it is
        before, after = b"SIZE = 10\nRATE = 1e-3\n", b"SIZE = " + size + b"\nRATE = 1e-3\n"
        admit(settings, [listed, rate], MODES, {"eval.py": before}, {"eval.py": after})


def test_the_warnings_of_the_code_under_test_are_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    admit(SETTINGS, KNOBS, MODES, BEFORE, {"model/x.py": b"if 1 is 5: '\\d'  # \x1b]0;title\x07\n"})
    assert not recwarn


@pytest.mark.parametrize(
    "content",
    [
        b"def f():\n  return len(__file__), super\n",
        b"def f():\n  global late\n  import math as late\ndef g():\n  return late.pi\n",
        b"try:\n  from os import *\nexcept ImportError:\n  pass\nprint(getcwd())\n",
        b"class A:\n  one = 1\n  two = [z for z in (one,)], __qualname__\n  def f(self):\n    return __class__\n",
        b"def f(x):\n  y: Tensor = x\n  return [z for z in y if (w := z)], w\n",
        b"def f():\n  try:\n    pass\n  except OSError as why:\n    print(why)\n",
    ],
)
def test_a_name_that_is_defined_somewhere_is_no_reason(content: bytes) -> None:
    admit(SETTINGS, KNOBS, MODES, BEFORE, {"model/x.py": content})


def test_a_name_that_was_undefined_before_is_no_reason_either_and_a_new_one_is() -> None:
    before = {**BEFORE, "model/x.py": b"def f():\n  return later()\n"}
    admit(SETTINGS, KNOBS, MODES, before, {"model/x.py": b"def f():\n  return later() + 1\n"})
    with pytest.raises(Refused, match="`F` is used and nowhere defined"):
        admit(SETTINGS, KNOBS, MODES, before, {"model/x.py": b"def f(x):\n  return F.relu(x)\n"})
    broken = {**BEFORE, "model/x.py": b"def f():\n  nonlocal x\n"}
    admit(SETTINGS, KNOBS, MODES, broken, {"model/x.py": b"def f():\n  return 1\n"})


@pytest.mark.parametrize(
    ("path", "content", "refusal", "reason"),
    [
        ("score.py", b"", Refusal.OUT_OF_THE_SPACE, "score.py is protected"),
        ("new.py", b"", Refusal.OUT_OF_THE_SPACE, "new.py is protected"),
        ("cockpit.toml", b"", Refusal.OUT_OF_THE_SPACE, "cockpit.toml is protected"),
        ("link.py", b"", Refusal.UNSAFE, "is a link or a submodule"),
        ("model/.gitattributes", b"", Refusal.UNSAFE, "belongs to git"),
        ("model/../score.py", b"", Refusal.UNSAFE, "leads out of the tree"),
        ("/model/x.py", b"", Refusal.UNSAFE, "leads out of the tree"),
        ("model/x.py", b"if", Refusal.INVALID, "model/x.py:1: "),
        ("model/x.py", b"return 1", Refusal.INVALID, "'return' outside function"),
        ("model/x.py", b"\xff", Refusal.INVALID, "is not UTF-8"),
        ("model/x.py", b"Y = 1  # cockpit: 1..2", Refusal.OUT_OF_THE_SPACE, "Y is made a knob"),
        (
            "train.py",
            SOURCE.replace(b"0.1 ", b"2.0 "),
            Refusal.OUT_OF_THE_SPACE,
            "the value 2.0 is not in 0.01..1.0 log",
        ),
        ("train.py", SOURCE.replace(b"..1.0", b"..9.0"), Refusal.OUT_OF_THE_SPACE, "the declaration of the knob"),
        (
            "train.py",
            SOURCE.replace(b"  # cockpit: 0.01..1.0 log", b""),
            Refusal.OUT_OF_THE_SPACE,
            "the declaration of",
        ),
        ("train.py", SOURCE.replace(b"0.1 ", b"f() "), Refusal.OUT_OF_THE_SPACE, "belongs on a line `NAME = value`"),
        ("train.py", b"print('loss: 1')", Refusal.OUT_OF_THE_SPACE, "the knob train.py:RATE is no literal any more"),
    ],
)
def test_what_is_not_let_in_is_refused_with_its_reason(
    path: str, content: bytes, refusal: Refusal, reason: str
) -> None:
    with pytest.raises(Refused) as caught:
        admit(SETTINGS, KNOBS, MODES, BEFORE, {path: content})
    assert caught.value.refusal is refusal
    assert reason in caught.value.reason


def test_neither_comments_nor_spaces_make_a_repeat_look_new() -> None:
    baseline = {"train.py": SOURCE, "notes": b"a"}
    moved = SOURCE.replace(b"0.1 ", b"0.2 ")
    first = change_hash(baseline, {"train.py": moved})
    assert change_hash(baseline, {"train.py": b"# other words\n" + moved.replace(b"0.2", b"2e-1  ")}) == first
    assert change_hash(baseline, {"train.py": moved, "notes": b"a"}) == first
    assert change_hash(baseline, {"train.py": moved, "notes": b"b"}) != first
    assert change_hash(baseline, {"train.py": SOURCE + b"\n# no-op"}) == change_hash(baseline, {})
