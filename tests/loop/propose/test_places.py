"""Places of values: in Python, YAML, JSON and TOML. What is set changes that value, and not a byte more."""

import json
import re
import tomllib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.propose import documents, places
from loop.propose.domain import Value
from loop.propose.scalar import Unreadable

PYTHON = b"""\
def train(data, lr=3e-4, *, steps=10, name='a', other=None): ...
async def late(x=1): ...


@dataclass
class Config:
    width: int = field(default=64, metadata={"help": "of a layer"})
    rate: float = Field(0.1, gt=0)

    def build(self, depth=(  # on a line of its own
        4
    )):
        return self


def main(lr: float = typer.Option(0.5, "--lr"), made=object(), pair=(1, 2)): ...
"""
YAML = """\
# hand-written\r
optim:\r
  lr: 1e-3   # OmegaConf's number\r
  name: adamw\r
  betas: [0.9, 0.95]\r
  quoted: 'it''s'\r
  double: "a\\tb"\r
  on: yes\r
caf\u00e9: \u00e9t\u00e9\r
layers:\r
  - {width: 64}\r
  - width: 128\r
""".encode("utf-8-sig")
JSON = b'\xef\xbb\xbf{\r\n\t"lr":1e-3,\t"names": [true, null, "x\\/y"],\n\t"c":{"d e":"\xc3\xa9"}\n}\n'
TOML = b"""\
lr = 1e-3   # rate\r
[optim]\r
name = 'adamw'\r
betas = [ 0.9, 0.95, ] # both\r
"a b".c = "x"\r
[[layer]]\r
width = 1_000\r
[[layer]]\r
width = 0x10\r
inline = { a = 1, b = true }\r
"""


def set_in(path: str, source: bytes, name: str, value: Value) -> tuple[bytes, bytes]:
    """The line that changes, before and after; none other does."""
    made = places.set_values(path, source, {name: value})
    pairs = [*zip(source.split(b"\n"), made.split(b"\n"), strict=True)]
    (pair,) = [(one.strip(), other.strip()) for one, other in pairs if one != other]
    assert places.only(path, made, name) == value
    return pair


@pytest.mark.parametrize(
    ("name", "stood", "value", "line"),
    [
        ("train.lr", 3e-4, 0.01, b"def train(data, lr=0.01, *, steps=10, name='a', other=None): ..."),
        ("train.steps", 10, 20, b"def train(data, lr=3e-4, *, steps=20, name='a', other=None): ..."),
        ("train.name", "a", "b", b"def train(data, lr=3e-4, *, steps=10, name='b', other=None): ..."),
        ("train.other", None, 3, b"def train(data, lr=3e-4, *, steps=10, name='a', other=3): ..."),
        ("late.x", 1, 2, b"async def late(x=2): ..."),
        ("Config.width", 64, 32, b'width: int = field(default=32, metadata={"help": "of a layer"})'),
        ("Config.rate", 0.1, 0.2, b"rate: float = Field(0.2, gt=0)"),
        ("Config.build.depth", 4, 5, b"5"),
        ("main.lr", 0.5, 0.25, b'def main(lr: float = typer.Option(0.25, "--lr"), made=object(), pair=(1, 2)): ...'),
    ],
)
def test_a_default_of_an_argument_or_a_field_is_a_place(name: str, stood: Value, value: Value, line: bytes) -> None:
    assert places.only("t.py", PYTHON, name) == stood
    assert set_in("t.py", PYTHON, name, value)[1] == line


@pytest.mark.parametrize("name", ["train.data", "main.made", "main.pair", "train", "Config.build"])
def test_what_is_no_literal_is_no_place(name: str) -> None:
    with pytest.raises(ValueError, match="is nowhere assigned a literal"):
        places.only("t.py", PYTHON, name)


CALLS = b"""\
opt = torch.optim.SGD(  # one of two
    model.parameters(), lr=1e-1,   nesterov=True)
late = torch.optim.SGD(extra, lr = 0.1)
drop, other = nn.Dropout(0.25), nn.Dropout(p)
leak, name = nn.LeakyReLU(-0.2), make(kind='relu', rate=rate, shape=(3, 4))
loader = DataLoader(train, batch_size=64)
test = DataLoader(test, batch_size=1000)
print(f"{scaled(by=2)}")
"""


@pytest.mark.parametrize(
    ("name", "stood", "value", "line"),
    [
        ("torch.optim.SGD(nesterov)", True, False, b"model.parameters(), lr=1e-1,   nesterov=False)"),
        ("nn.LeakyReLU()", -0.2, -0.1, b"leak, name = nn.LeakyReLU(-0.1), make(kind='relu', rate=rate, shape=(3, 4))"),
        ("make(kind)", "relu", "tanh", b"leak, name = nn.LeakyReLU(-0.2), make(kind='tanh', rate=rate, shape=(3, 4))"),
    ],
)
def test_what_a_call_is_given_is_a_place(name: str, stood: Value, value: Value, line: bytes) -> None:
    assert places.only("t.py", CALLS, name) == stood
    assert set_in("t.py", CALLS, name, value)[1] == line


def test_a_keyword_that_several_calls_are_given_alike_is_one_place() -> None:
    made = places.set_values("t.py", CALLS, {"torch.optim.SGD(lr)": 0.02})
    assert made == CALLS.replace(b"lr=1e-1", b"lr=0.02").replace(b"lr = 0.1", b"lr = 0.02")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("DataLoader(batch_size)", "is given different values, at t.py:6 and t.py:7; give it a name of its own"),
        ("make(rate)", "in t.py:5 is given no plain literal; give it a name of its own in the code"),
        ("make(shape)", "in t.py:5 is given no plain literal"),
        ("nn.Dropout()", "in t.py:4 is given no numbers, and not one"),
        ("scaled(by)", "is nowhere in t.py"),
        ("optim.SGD(lr)", "is nowhere in t.py: write the call as it stands there.*there is torch.optim.SGD"),
    ],
)
def test_what_a_call_is_given_that_is_no_place_says_why(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said).replace(r"\.\*", ".*")):
        places.only("t.py", CALLS, name)
    assert places.values("t.py", CALLS, {name}) == {}


def test_two_names_of_one_value_are_not_set_together() -> None:
    both = {"DataLoader()": 8, "DataLoader(batch_size)": 8}
    with pytest.raises(Unreadable, match="are one value: take out one of the two"):
        places.set_values("t.py", CALLS.replace(b"1000", b"64"), both)


def test_a_number_in_a_call_in_the_same_call_is_asked_for_by_a_name() -> None:
    with pytest.raises(Unreadable, match="the number is a part of a larger expression; give it a name of its own"):
        places.set_values("t.py", b"f(f(3))\n", {"f()": 4})


def test_the_number_in_a_call_is_set_in_every_such_call() -> None:
    source = b"torch.manual_seed(1337 + offset)\nif x:\n    torch.manual_seed(seed=1337)  # again\nmanual_seed(7)\n"
    made = places.set_values("t.py", source, {"torch.manual_seed()": 5})
    assert made == source.replace(b"1337", b"5")


@pytest.mark.parametrize(
    ("path", "source", "name", "stood", "value", "line"),
    [
        ("a.yaml", YAML, "optim.lr", 1e-3, 1e-5, b"lr: 1.0e-05   # OmegaConf's number"),
        ("a.yml", YAML, "optim.lr", 1e-3, 1e16, b"lr: 1.0e+16   # OmegaConf's number"),
        ("a.yaml", YAML, "optim.name", "adamw", "sgd", b"name: sgd"),
        ("a.yaml", YAML, "optim.name", "adamw", "on", b"name: 'on'"),
        ("a.yaml", YAML, "optim.name", "adamw", "1e-3", b"name: '1e-3'"),
        ("a.yaml", YAML, "optim.name", "adamw", "a: b", b"name: 'a: b'"),
        ("a.yaml", YAML, "optim.name", "adamw", "a\x07", b'name: "a\\a"'),
        ("a.yaml", YAML, "optim.betas.1", 0.95, 0.999, b"betas: [0.9, 0.999]"),
        ("a.yaml", YAML, "optim.quoted", "it's", "don't", b"quoted: 'don''t'"),
        ("a.yaml", YAML, "optim.double", "a\tb", 'a"b', b'double: "a\\"b"'),
        ("a.yaml", YAML, "optim.on", True, False, b"on: false"),
        ("a.yaml", YAML, "caf\u00e9", "\u00e9t\u00e9", "hiver", "caf\u00e9: hiver".encode()),
        ("a.yaml", YAML, "layers.0.width", 64, 32, b"- {width: 32}"),
        ("a.yaml", YAML, "layers.1.width", 128, 32, b"- width: 32"),
        ("a.json", JSON, "lr", 1e-3, 2e-5, b'"lr":2e-05,\t"names": [true, null, "x\\/y"],'),
        ("a.json", JSON, "names.0", True, False, b'"lr":1e-3,\t"names": [false, null, "x\\/y"],'),
        ("a.json", JSON, "c.d e", "\u00e9", "\u00fc", '"c":{"d e":"\u00fc"}'.encode()),
        ("a.toml", TOML, "lr", 1e-3, 2e-5, b"lr = 2e-05   # rate"),
        ("a.toml", TOML, "optim.name", "adamw", "sgd", b"name = 'sgd'"),
        ("a.toml", TOML, "optim.betas.1", 0.95, 0.5, b"betas = [ 0.9, 0.5, ] # both"),
        ("a.toml", TOML, "optim.a b.c", "x", "y", b'"a b".c = "y"'),
        ("a.toml", TOML, "layer.0.width", 1000, 3, b"width = 3"),
        ("a.toml", TOML, "layer.1.inline.b", True, False, b"inline = { a = 1, b = false }"),
    ],
)
def test_a_value_in_a_document_is_set_where_it_stands_as_it_was_written(
    path: str, source: bytes, name: str, stood: Value, value: Value, line: bytes
) -> None:
    assert places.only(path, source, name) == stood
    assert set_in(path, source, name, value)[1] == line


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("a: &x 3\nb: *x\n", "a", "a.yaml:1 has an anchor or a tag"),
        ("a: &x 3\nb: *x\n", "b", "a.yaml:1 has an anchor or a tag"),
        ("a: !!float '3'\n", "a", "has an anchor or a tag"),
        ("a: |\n  text\n", "a", "is a block of text"),
        ("a: one\n  two\n", "a", "goes over several lines"),
        ("\na:\nb: 1\n", "a", "a.yaml:2 has no value"),
        ("a: 010\n", "a", "which YAML 1.1 and 1.2 read differently"),
        ("a: 1:30\n", "a", "which YAML 1.1 and 1.2 read differently"),
        ("a.b: 1\na: {b: 2}\n", "a.b", "stands 2 times"),
        ("a: 2020-01-01\n", "a", "is nowhere in a.yaml"),
        ("optim: {lr: 1}\n", "optim.rl", "is nowhere in a.yaml, or no single value; it has optim.lr"),
    ],
)
def test_a_value_that_cannot_be_set_safely_says_why(source: str, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^`") as raised:
        places.only("a.yaml", source.encode(), name)
    assert said in str(raised.value)


@pytest.mark.parametrize("source", ["b: &x {lr: 1}\na: *x\n", "b: &x {lr: 1}\na:\n  <<: *x\n", "- &x [1]\n- *x\n"])
def test_a_value_that_others_follow_is_not_set(source: str) -> None:
    name = "0.0" if source.startswith("-") else "b.lr"
    with pytest.raises(Unreadable, match="cannot be set alone: another place follows it"):
        places.set_values("a.yaml", source.encode(), {name: 2})


@pytest.mark.parametrize(
    ("path", "source", "line", "said"),
    [
        ("a.yaml", b"a: 1\n---\nb: 2\n", 2, "holds several documents"),
        ("a.yaml", b"a:\n  b: 1\n  b: 2\n", 2, "gives `a.b` twice"),
        ("a.yaml", b"a: 1\nb: [1\n", 3, "expected ','"),
        ("a.yaml", b"a: \xff\n", 1, "is not UTF-8"),
        ("a.yaml", b"a: &r [*r]\n", 1, "an alias of what it stands in"),
        ("a.yaml", b"a: " + b"[" * 1000, 1, "is nested too deeply"),
        ("a.yaml", b"a: \x07\n", 1, "special characters"),
        ("a.yaml", b"a: [" + b"1," * 20_001 + b"]\n", 1, "more than 20,000 values"),
        ("a.json", b'{\n"a": 1,}\n', 2, "is no JSON"),
        ("a.json", b'{"a": 1, "a": 2}', 1, "gives `a` twice"),
        ("a.json", b" " * 300_000 + b"1", 1, "has more than 256 KiB"),
        ("a.toml", b"a = 1\nb = \n", 2, "is no TOML"),
    ],
)
def test_a_document_that_cannot_be_read_is_unreadable_with_its_line(
    path: str, source: bytes, line: int, said: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        places.scalars(path, source)
    assert raised.value.line == line
    assert said in str(raised.value)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.one_of(
    st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False), texts
)


@settings(max_examples=60)
@given(plain, plain, st.sampled_from([("a.yaml", yaml.safe_load), ("a.json", json.loads), ("a.toml", tomllib.loads)]))
def test_whatever_is_set_is_what_a_reader_of_the_file_finds(
    value: Value, before: Value, kind: tuple[str, object]
) -> None:
    path, load = kind
    source = {
        "a.yaml": f"x: {json.dumps(before)}  # kept\ny: [1, 2]\nz: plain\n",
        "a.json": f'{{"x": {json.dumps(before)},\n"y": [1, 2], "z": "plain"}}\n',
        "a.toml": f"x = {json.dumps(before)}  # kept\ny = [1, 2]\nz = 'plain'\n",
    }[path]
    try:
        places.only(path, source.encode(), "x")
    except (Unreadable, ValueError):  # written by hand in a way that this format has not
        return
    stood = load(source)["x"]  # type: ignore[operator]
    for name, new in (("x", value), ("z", value)):
        made = places.set_values(path, source.encode(), {name: new}).decode()
        found = load(made)  # type: ignore[operator]
        assert repr(found) == repr({"x": stood, "y": [1, 2], "z": "plain"} | {name: new})
        assert ("# kept" in made) == ("# kept" in source)


def test_how_a_number_is_written_makes_no_other_document() -> None:
    for path, one, other in (
        ("a.yaml", b"lr: 1e-3\n", b"lr: 0.001\n"),
        ("a.json", b'{"lr": 1e-3}', b'{"lr": 0.001}'),
        ("a.toml", b"lr = 1e-3\n", b"lr = 0.001\n"),
    ):
        assert documents.canonical(path, one) == documents.canonical(path, other)
        assert documents.canonical(path, one) != documents.canonical(path, one.replace(b"e-3", b"e-4"))
