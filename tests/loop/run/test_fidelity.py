"""What a fidelity sets: found where it stands, or an error with the line to mend."""

from pathlib import Path

import pytest

from loop.run import fidelity
from loop.run.stages import Sets
from loop.study import ConfigError, parse

FILE = Path("/somewhere/cockpit.toml")
TRAIN = b"""\
MAX_STEPS = 5000
rate = 0.1
NAME = "big"
class Config:
    layers = 4
"""
SOURCES = {"train.py": TRAIN, "other.py": b"MAX_STEPS = 1\nlayers = 2\n"}
SMALLEST = '[run]\ntrain = "python train.py"\n[objectives]\nloss = { direction = "minimize" }\n'


def sets(table: str, train: str = "python train.py", more: str = "") -> dict[str, Sets]:
    text = SMALLEST.replace("python train.py", train) + more + f"[fidelity]\n{table}\n"
    revision = parse(text, FILE)
    found = fidelity.found(FILE, revision, [*SOURCES, "data.txt"], SOURCES)
    fidelity.check(FILE, revision, found, ["train.py:rate"])
    return found


@pytest.mark.parametrize(
    ("quick", "given"),
    [
        ('"--max_iters" = 500', Sets(flags=("--max_iters=500",))),
        ('"--fast" = true, "--lr" = 0.5', Sets(flags=("--fast", "--lr=0.5"))),
        ('"train.py:MAX_STEPS" = 500', Sets(constants=(("train.py", "MAX_STEPS", 500),))),
        ('"other.py:layers" = 1', Sets(constants=(("other.py", "layers", 1),))),
        ("MAX_STEPS = 500", Sets(constants=(("train.py", "MAX_STEPS", 500),))),
        ("max_steps = 500", Sets(constants=(("train.py", "MAX_STEPS", 500),))),
        ('"Config.layers" = 1', Sets(constants=(("train.py", "Config.layers", 1),))),
        ('NAME = "small"', Sets(constants=(("train.py", "NAME", "small"),))),
        ("seconds = 120", Sets(seconds=120.0)),
    ],
)
def test_a_flag_a_constant_a_name_alone_and_seconds_are_found(quick: str, given: Sets) -> None:
    assert sets(f"quick = {{ {quick} }}") == {"quick": given, "full": Sets()}


def test_the_full_one_may_set_something_too() -> None:
    found = sets("quick = { max_steps = 500, seconds = 9 }\nfull = { max_steps = 9000 }")
    assert found["full"] == Sets(constants=(("train.py", "MAX_STEPS", 9000),))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", ":5: `[fidelity] quick` is missing; put what lets a run do less, as `quick = { max_steps = 500 }`"),
        ("quick = {}", ":6: `[fidelity] quick` sets nothing; put what lets a run do less"),
        ("fast = { a = 1 }", ":6: `[fidelity] fast` is not a key that cockpit knows"),
        ("quick = 3", ":6: `[fidelity] quick`: it is a table"),
        (
            "quick = { a = 1 }\nfull = { a = 1 }",
            ":5: `[fidelity]`: `quick` and `full` are the same; let `quick` do less",
        ),
        ("quick = { seconds = -1 }", ":6: `[fidelity] quick`: `seconds` is a number above 0"),
        ('quick = { seconds = "2 min" }', ":6: `[fidelity] quick`: `seconds` is a number above 0"),
        ("quick = { MAX_STEPS = [1] }", ":6: `[fidelity] quick.MAX_STEPS`: a fidelity sets a finite number"),
        ("quick = { MAX_STEPS = inf }", ":6: `[fidelity] quick.MAX_STEPS`: a fidelity sets a finite number"),
        ('quick = { "--fast" = false }', '`[fidelity] quick`: "--fast" cannot be false: a flag is there or not'),
        ('quick = { "a b" = 1 }', '`[fidelity] quick`: "a b" is nothing that can be set; put a flag, "--max_iters"'),
        (
            "quick = { steps = 1 }",
            ":6: `[fidelity] quick`: `steps` is given a number or another literal nowhere in train",
        ),
        ('quick = { "no.py:X" = 1 }', ":6: `[fidelity] quick`: there is no committed file no.py"),
        ('quick = { "train.py:X" = 1 }', ":6: `[fidelity] quick`: `X` is nowhere assigned a literal in train.py"),
        ('quick = { max_steps = "few" }', ":6: `[fidelity] quick`: 'few' cannot stand where the code has 5000; put"),
        ("quick = { rate = 1 }", ":6: `[fidelity] quick`: train.py:rate is a knob of the search space"),
        ("quick = { max_steps = 1 }\nfull = { x = 1 }", ":7: `[fidelity] full`: `x` is given a number or another"),
    ],
)
def test_what_cannot_be_set_is_an_error_with_its_line_and_what_to_write(table: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sets(table)
    assert said in str(caught.value)


def test_a_name_that_may_be_more_than_one_names_them() -> None:
    with pytest.raises(
        ConfigError, match=r'`max_steps` may be more than one; put "other.py:MAX_STEPS" or "train.py:MAX'
    ):
        sets("quick = { max_steps = 5 }", train="python train.py other.py")
    with pytest.raises(ConfigError, match=r'names no file in which `max_steps` could stand; put "file.py:max_steps"'):
        sets("quick = { max_steps = 5 }", train="make train")


@pytest.mark.parametrize(
    ("table", "more", "said"),
    [
        (
            '"train.py:MAX_STEPS" = 5',
            '[space.knobs]\n"train.py:MAX_STEPS" = { low = 1, high = 9 }\n',
            "quick.train.py:MAX_STEPS` is a knob of `[space.knobs]` too; take it out of one of the two",
        ),
        ('"--seed" = 5', "", "`[fidelity] quick.--seed` is the seed's, `[run] seed`; take it out"),
    ],
)
def test_what_is_a_knob_or_the_seed_is_no_fidelitys(table: str, more: str, said: str) -> None:
    text = SMALLEST.replace('train.py"', 'train.py"\nseed = "--seed {seed}"') + more
    with pytest.raises(ConfigError) as caught:
        parse(text + f"[fidelity]\nquick = {{ {table} }}\n", FILE)
    assert said in str(caught.value)
