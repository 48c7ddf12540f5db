"""A function written anew: the file means what the model wrote, and shows no change that is none."""

import ast
import difflib
import random
import textwrap

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loop.propose.functions import Function, Unusable, closed, functions, outline, rewritten

SOURCE = b'''\
"""A file."""
import math
from torch import nn

WIDTH = 8  # cockpit: 1..64 log


class Net(nn.Module):
    """A net."""

    def __init__(self,
                 size: int = 3) -> None:
        """Make it."""
        super().__init__()

        # one layer,   no more
        self.layer = nn.Linear( size, WIDTH )   # wide
        for index in range(size):  # all of them
            if index:
                # odd
                self.size = 'x' + "y"
            else:
                self.size = None
            self.last = index
        self.done: bool = True
        # the end

    @property
    def wide(self) -> int:
        return WIDTH


def rate(step: int) -> float:
    # warm up
    low = (step +
           1)  # from one
    high = 2.0
    return math.cos(low) * high
'''
FOUND = {one.name: one for one in functions("net.py", SOURCE)}


def changed(answer: str, name: str, source: bytes = SOURCE) -> tuple[list[str], list[str]]:
    """The lines that went, and those that came."""
    function = next(one for one in functions("net.py", source) if one.name == name)
    made = rewritten(source, function, answer)
    lines = list(difflib.ndiff(source.decode().split("\n"), made.decode().split("\n")))
    return [line[2:] for line in lines if line[0] == "-"], [line[2:] for line in lines if line[0] == "+"]


def test_a_file_has_the_functions_that_can_be_given_and_taken_back() -> None:
    assert list(FOUND) == ["Net.__init__", "Net.wide", "rate"]
    assert FOUND["Net.wide"].text == "@property\ndef wide(self) -> int:\n    return WIDTH"
    assert FOUND["rate"].key == "net.py:rate"
    others = (
        b"def f(): return 1\ndef g():\n  return 1\ndef g():\n  return 2\nx = 1; y = 2\ndef h():\n  return 1; x = 2\n"
    )
    assert [one.name for one in functions("x.py", others)] == ["h"]
    assert functions("x.py", b"def f(:\n") == []
    assert functions("x.py", b"def f(\nx\n): return x\ndef g():\n  '''Nothing.'''\n") == []
    assert functions("x.py", b"# coding: latin-1\ndef f():\n  return 1\n") == []
    strange = b'class A:\n    def f(self):\n        return """\nat the margin"""\n'
    assert functions("x.py", strange) == []
    deep = f"def f():\n  return {'+'.join('x' * 600)}\ndef g():\n  return 1\n".encode()
    assert [one.name for one in functions("x.py", deep)] == ["g"]


def test_the_outline_is_imports_constants_and_heads() -> None:
    assert [line.strip() for line in outline(SOURCE)] == [
        "import math",
        "from torch import nn",
        "WIDTH = 8  # cockpit: 1..64 log",
        "class Net(nn.Module):",
        "def __init__(self,\n                 size: int = 3) -> None:",
        "def wide(self) -> int:",
        "def rate(step: int) -> float:",
    ]


def test_what_is_not_new_stays_to_the_byte() -> None:
    answer = """I would add a norm:
```python
import math
class Net(nn.Module):
  def __init__(self, size=3):
    super().__init__()
    self.layer = nn.Linear(size, 2 * WIDTH)
    for index in range(size):
      if index:
        self.size = "xyz"
      else:
        self.size = None
      self.norm = nn.LayerNorm(WIDTH)
      self.last = index
    self.done = True
```
"""
    went, came = changed(answer, "Net.__init__")
    assert went == [
        "        self.layer = nn.Linear( size, WIDTH )   # wide",
        """                self.size = 'x' + "y\"""",
        "        self.done: bool = True",
    ]
    assert came == [
        "        self.layer = nn.Linear(size, 2 * WIDTH)  # wide",
        '                self.size = "xyz"',
        "            self.norm = nn.LayerNorm(WIDTH)",
        "        self.done = True",
    ]


RETURN = "return math.cos(low) * high"


@pytest.mark.parametrize(
    ("body", "went", "came"),
    [
        (["low = step + 1", "high = 3.0  # more", RETURN], ["    high = 2.0"], ["    high = 3.0  # more"]),
        (["low = step + 1", "return 2 * low"], ["    high = 2.0", f"    {RETURN}"], ["    return 2 * low"]),
        (["low = 0", "high = 2.0", RETURN], ["    low = (step +", "           1)  # from one"], ["    low = 0"]),
        (['"""Another one."""', "low = (step + 1)", "high = 2.0", RETURN], [], []),
    ],
)
def test_a_diff_shows_the_lines_that_are_new(body: list[str], went: list[str], came: list[str]) -> None:
    assert changed("\n  ".join(["def rate(step):", *body]), "rate") == (went, came)


def test_line_ends_indentation_and_the_rest_of_a_file_stay() -> None:
    source = SOURCE.replace(b"\n", b"\r\n")
    (one,) = (one for one in functions("net.py", source) if one.name == "rate")
    made = rewritten(source, one, "def rate(step):\n    return 1.0")
    assert made == source[: source.index(b"    # warm")] + b"    return 1.0\r\n"
    tabs = b"class A:\n\tdef f(self, x):\n\t\tif x:\n\t\t\treturn 1\n\t\treturn 2"
    (two,) = functions("net.py", tabs)
    answer = "def f(self, x):\n    if x:\n        return 3\n    return 2\n"
    assert rewritten(tabs, two, answer) == tabs.replace(b"return 1", b"return 3")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I cannot.", "the answer holds no `def rate`"),
        ("```python\ndef other(step):\n    return 1.0\n```", "the answer holds no `def rate`"),
        ("def rate(step)\n    return 1", "line 1 of the function: expected ':': `def rate(step)`"),
        ("def rate(step, more):\n    return 1.0", "must stay `def rate(step: int) -> float:`"),
        ("async def rate(step):\n    return 1.0", "must stay `def rate(step: int) -> float:`"),
        ("def rate(step=3):\n    return 1.0", "must stay `def rate(step: int) -> float:`"),
        ("@cache\ndef rate(step):\n    return 1.0", "must stay `def rate(step: int) -> float:`"),
        ("import cmath\ndef rate(step):\n    return 1.0", "the answer holds `import cmath` besides: put it inside"),
        ("def rate(step):\n    return 1.0\nprint(rate(1))", "the answer holds `print(rate(1))` besides"),
        ("def rate(step): return 1.0", "`rate` has no statement on a line of its own"),
        (f"def rate(step):\n    return {'+'.join('x' * 2_000)}", "`rate` is nested too deeply"),
        ("def rate(step):\n    return 1.0\ndef rate(step):\n    return 2.0", "holds `def rate` 2 times; write it once"),
        ("def rate(step):\n    '''Nothing.'''", "`rate` has no statement"),
        ("def rate(step):\n    return " + "(" * 5_000, "line "),
        ("def rate(step):\n    return '\0'", "source code string cannot contain null bytes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_is_to_be_mended(answer: str, reason: str) -> None:
    with pytest.raises(Unusable) as why:
        rewritten(SOURCE, FOUND["rate"], answer)
    assert reason in str(why.value)


def test_the_last_block_counts_and_a_fence_in_the_code_ends_none() -> None:
    answer = "The old one:\n```\ndef rate(step):\n    return 0.0\n```\nThe new one:\n```\ndef rate(step):\n"
    answer += "    low = 2  # ``` is no end\n    return low\n```\n"
    assert changed(answer, "rate")[1] == ["    low = 2  # ``` is no end", "    return low"]
    assert closed(answer)
    assert not closed(answer.rpartition("```")[0])
    assert not closed("def rate(step):\n    return 0.0\n")


def test_a_string_over_lines_and_an_empty_line_with_spaces_stay_what_they_are() -> None:
    source = b"class A:\n    def f(self):\n        a = 1\n    \n        return a\n"
    (one,) = functions("a.py", source)
    for text in ("a = '''u\n    v'''", "a = '''u\n  v\n \tw'''", "a = f'''u\n     {1}\n    v'''"):
        assert rewritten(source, one, one.text.replace("a = 1", text)) == source.replace(b"a = 1", text.encode())
    top = b"def f():\n    a = 1\n  \n    return a"
    (one,) = functions("a.py", top)
    string = "a = '''u\n  v\n \tw\n   \n'''"
    assert rewritten(top, one, one.text.replace("a = 1", string)) == top.replace(b"a = 1", string.encode())


def test_comments_stay_where_they_are_true() -> None:
    source = (
        b"def f(t):\n    # decays\n    rate = t  # per step\n    # clipped\n    clip = 1  # at one\n    return clip\n"
    )
    (one,) = functions("a.py", source)
    made = rewritten(source, one, "def f(t):\n    seed = 3\n    rate = 2 * t\n    clip = 2\n    return clip")
    assert made.decode().split("\n")[1:7] == [
        "    seed = 3",
        "    # decays",
        "    rate = 2 * t  # per step",
        "    # clipped",
        "    clip = 2  # at one",
        "    return clip",
    ]


LINES = ("a = 1", "b = [1,\n     2]", "x += a  # why", "self.y = 'z'", "pass", "# note", "", 'c: int = """d\n   e"""')
HEADS = ("if a:", "for i in b:", "while x:  # on", "with a as b:", "def g(a):", "if a == 2:")


def block(draw: random.Random, depth: int) -> list[str]:
    lines: list[str] = []
    for _ in range(draw.randint(1, 5)):
        if depth < 3 and draw.random() < 0.3:
            head = draw.choice(HEADS)
            inner = textwrap.indent("\n".join(block(draw, depth + 1)), " " * draw.choice((2, 4)))
            lines += [head, inner, *(["else:", "    a = 3"] if head.startswith("if") and draw.random() < 0.3 else [])]
        else:
            lines.append(draw.choice(LINES))
    return [*lines, draw.choice(LINES[:5])]


def module(body: list[str]) -> str:
    return "def f(self, a, b, x):\n" + textwrap.indent("\n".join(body), "    ") + "\n"


@given(st.integers(0, 10**9))
@example(114228106)  # a string over lines, in a block that moves
def test_the_file_means_what_was_written_and_equal_functions_are_equal_bytes(seed: int) -> None:
    draw = random.Random(seed)
    old = block(draw, 0)
    new = [line for line in old if draw.random() < 0.8] if draw.random() < 0.7 else block(draw, 0)
    source, answer = module(old), module(new)
    try:
        trees = ast.parse(source), ast.parse(answer)
    except SyntaxError:
        return
    found: list[Function] = functions("f.py", source.encode())
    made = rewritten(source.encode(), found[0], answer).decode()
    assert ast.dump(ast.parse(made)) == ast.dump(trees[1])
    if ast.dump(trees[0]) == ast.dump(trees[1]):
        assert made == source
