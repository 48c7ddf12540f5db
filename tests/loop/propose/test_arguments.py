"""Flags of the train command: what they are at the baseline, and how `cockpit.args` holds other values."""

import re
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.propose.arguments import Flag, Form, canonical, given_by, words, written
from loop.propose.domain import Choices, Range, Value
from loop.propose.scalar import Unreadable
from loop.propose.space import Knob, declared, set_values, values
from loop.study import ARGS, ConfigError, Settings

SCRIPT = b"""\
import argparse
p = argparse.ArgumentParser()
p.add_argument("-l", "--learning_rate", type=float, default=1)
p.add_argument("--hidden", type=int, default=48)
p.add_argument("--optim", default="adamw")
p.add_argument("--compile", action="store_true")
p.add_argument("--no-bias", action="store_false", dest="bias")
p.add_argument("--flash", action=argparse.BooleanOptionalAction, default=True)
p.add_argument("--shuffle", type=bool, default=True)
p.add_argument("--wd", type=float)
p.add_argument("--str2bool", type=str2bool, default=False)
p.add_argument("--twice", default=1)
p.set_defaults(twice=2)
"""
NUMBER: dict[str, object] = {"low": 0.0, "high": 100.0}
BOOLEAN: dict[str, object] = {"choices": [True, False]}


def settings(name: str, knob: dict[str, object], train: str = "python train.py") -> Settings:
    return Settings.model_validate(
        {
            "run": {"train": train},
            "space": {"edit": ["*"], "knobs": {name: knob}},
            "objectives": {"loss": {"direction": "minimize"}},
        }
    )


def knob(
    name: str,
    listed: dict[str, object],
    script: bytes = SCRIPT,
    train: str = "python train.py",
    args: bytes | None = None,
) -> Knob:
    sources = {"train.py": script} | ({} if args is None else {ARGS: args})
    (found,) = declared(settings(name, listed, train), lambda key: f"cockpit.toml, at {key}", sources, ["train.py"])
    return found


@pytest.mark.parametrize(
    ("name", "listed", "default", "form"),
    [
        ("--learning_rate", NUMBER, 1.0, Form.VALUE),
        ("--learning-rate", {"low": 0, "high": 9}, 1.0, Form.VALUE),
        ("--hidden", {"low": 1, "high": 64}, 48, Form.VALUE),
        ("--optim", {"choices": ["adamw", "sgd"]}, "adamw", Form.VALUE),
        ("--compile", BOOLEAN, False, Form.SWITCH),
        ("--no-bias", BOOLEAN, False, Form.SWITCH),
        ("--flash", BOOLEAN, True, Form.PAIR),
        ("--str2bool", BOOLEAN, False, Form.VALUE),
    ],
)
def test_a_flag_is_at_the_baseline_what_argparse_gives_it(
    name: str, listed: dict[str, object], default: Value, form: Form
) -> None:
    found = knob(name, listed)
    assert repr(found.default) == repr(default)
    assert found.flag == Flag(form, None, "train.py")
    assert found.key == name


@pytest.mark.parametrize(
    ("script", "name", "default", "form"),
    [
        (b"@click.option('--lr', default=0.5)\ndef main(lr): ...\n", "--lr", 0.5, Form.VALUE),
        (b"@click.option('--fast/--no-fast', default=True)\ndef main(fast): ...\n", "--fast", True, Form.PAIR),
        (b"@click.option('--fast', is_flag=True)\ndef main(fast): ...\n", "--fast", False, Form.SWITCH),
        (b"import typer\ndef main(lr: float = 0.5, fast: bool = False): ...\n", "--lr", 0.5, Form.VALUE),
        (b"import typer\ndef main(lr: float = 0.5, fast: bool = False): ...\n", "--fast", False, Form.PAIR),
        (b"import typer\ndef main(lr: float = typer.Option(0.5, '--lr')): ...\n", "--lr", 0.5, Form.VALUE),
        (b"import typer\ndef main(lr: Annotated[float, typer.Option('--lr')] = 0.5): ...\n", "--lr", 0.5, Form.VALUE),
        (b"flags.DEFINE_float('lr', 0.5, 'help')\n", "--lr", 0.5, Form.VALUE),
        (b"@dataclass\nclass Arguments:\n    lr: float = field(default=0.5)\n", "--lr", 0.5, Form.VALUE),
        (b"lr = 0.5 # max\nexec(open('configurator.py').read())\n", "--lr", 0.5, Form.VALUE),
        (b"fast = False\nexec(open('configurator.py').read())\n", "--fast", False, Form.VALUE),
    ],
)
def test_click_typer_absl_dataclasses_and_globals_say_it_too(
    script: bytes, name: str, default: Value, form: Form
) -> None:
    found = knob(name, BOOLEAN if isinstance(default, bool) else NUMBER, script)
    assert (repr(found.default), found.flag) == (repr(default), Flag(form, None, "train.py"))


@pytest.mark.parametrize(
    ("train", "args", "default", "stated"),
    [
        ("python train.py --hidden 7 --hidden=8", None, 8, None),
        ("python train.py --hidden 7", b"# ours\npredict: -v\ntrain: --x '--hidden=9' 3\n", 9, "9"),
        ("python train.py", b"train: --hidden 10 --x\n", 10, "10"),
    ],
)
def test_the_file_comes_before_the_command_and_that_before_the_code(
    train: str, args: bytes | None, default: Value, stated: str | None
) -> None:
    found = knob("--hidden", {"low": 1, "high": 64}, train=train, args=args)
    assert (found.default, found.flag) == (default, Flag(Form.VALUE, stated, ""))


@pytest.mark.parametrize(
    ("name", "listed", "more", "said"),
    [
        ("--none", NUMBER, {}, "no script that train names says what it is: put it with its present value into `[run]"),
        ("--wd", NUMBER, {}, "train.py gives it no plain default: put it with its present value into `[run] train`"),
        ("--twice", NUMBER, {}, "is given another default by `set_defaults`"),
        ("--shuffle", BOOLEAN, {}, "for which every text is true; use BooleanOptionalAction"),
        ("--hidden", {"low": 1, "high": 9}, {}, "the value 48 is not in 1..9"),
        ("--hidden", NUMBER, {"train": "python train.py --hidden=many"}, "is 'many', which is no number"),
        ("--hidden", NUMBER, {"train": "python train.py --hidden"}, "has no value where it stands"),
        ("--compile", BOOLEAN, {"train": "python train.py --compile"}, "behind which it cannot be taken back"),
        ("--hidden", NUMBER, {"args": b"train: --hidden=1 --hidden=2\n"}, "gives --hidden more than once"),
        ("--hidden", NUMBER, {"args": b"\nhidden=2\n"}, "cockpit.args:2: a line is `train: --flag=value"),
        ("--hidden", NUMBER, {"args": b"score: --x\n"}, "a stage is one of train, predict, eval"),
        ("--hidden", NUMBER, {"args": b"train: --x\ntrain: --y\n"}, "cockpit.args:2: `train` has a line already"),
        ("--hidden", NUMBER, {"args": b"train: --x 'y\n"}, "cockpit.args:1: cannot be split into words"),
        ("--hidden", NUMBER, {"args": b"train: \xff\n"}, "is not UTF-8"),
    ],
)
def test_a_flag_whose_value_is_not_known_is_an_error_that_says_what_to_do(
    name: str, listed: dict[str, object], more: dict[str, bytes], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        knob(name, listed, **more)  # type: ignore[arg-type]
    assert f'at {name}: `[space.knobs] "{name}"`' in str(raised.value)
    assert said in str(raised.value)


def test_a_helper_of_the_model_is_no_flag_of_a_script_with_a_parser() -> None:
    script = SCRIPT + b"dropout = 0.1\nclass Net:\n    dropout = 0.2\ndef block(dropout=0.3): ...\n"
    with pytest.raises(ConfigError, match="no script that train names says what it is"):
        knob("--dropout", NUMBER, script)


@pytest.mark.parametrize(
    ("source", "name", "form", "wanted", "made"),
    [
        (b"", "--lr", Form.VALUE, 0.5, b"train: --lr=0.5\n"),
        (b"", "--on", Form.VALUE, True, b"train: --on=True\n"),
        (b"", "--on", Form.SWITCH, True, b"train: --on\n"),
        (b"", "--on", Form.SWITCH, False, b""),
        (b"", "--on", Form.PAIR, False, b"train: --no-on\n"),
        (b"# why", "--name", Form.VALUE, "it's", b"# why\ntrain: '--name=it'\"'\"'s'\n"),
        (b"train: --a=1 # why\n", "--lr", Form.VALUE, 0.5, b"train: --a=1 --lr=0.5 # why\n"),
        (b"train: --a=1\r\npredict: -v\r\n", "--a", Form.VALUE, 2, b"train: --a=2\r\npredict: -v\r\n"),
        (b"train: --a 1 --b", "--a", Form.VALUE, 2, b"train: --a=2 --b"),
        (b"train: --a -1 --b", "--a", Form.VALUE, 2, b"train: --a=2 --b"),
        (b"train: --on --b=1\n", "--on", Form.PAIR, False, b"train: --no-on --b=1\n"),
        (b"train: --b=1 --on\n", "--on", Form.SWITCH, False, b"train: --b=1\n"),
        (b"train: --on\npredict: -v\n", "--on", Form.SWITCH, False, b"predict: -v\n"),
        (b"train: --lr=2\n", "--lr", Form.VALUE, None, b""),
        (b"train:\n", "--lr", Form.VALUE, 2, b"train: --lr=2\n"),
    ],
)
def test_a_flag_is_set_as_one_word_and_the_rest_of_the_file_stays(
    source: bytes, name: str, form: Form, wanted: Value, made: bytes
) -> None:
    assert written(source, name, form, wanted) == made


KNOBS = (
    Knob(ARGS, "--lr", Range(0.0, 1.0, log=False, integer=False), 0.5, False, Flag(script="train.py")),
    Knob(ARGS, "--depth", Range(1, 9, log=False, integer=True), 3, False, Flag(stated="3")),
    Knob(ARGS, "--name", Choices(("a b", "it's", "-x", "é#")), "a b", False, Flag()),
    Knob(ARGS, "--on", Choices((True, False)), False, False, Flag(Form.SWITCH)),
    Knob(ARGS, "--pair", Choices((True, False)), True, False, Flag(Form.PAIR)),
    Knob(ARGS, "--flag", Choices((False, True)), True, False, Flag()),
)
turns = st.lists(
    st.one_of(
        st.tuples(st.just(KNOBS[0]), st.floats(0, 1)),
        st.tuples(st.just(KNOBS[1]), st.integers(1, 9)),
        *(st.tuples(st.just(one), st.sampled_from(one.domain.all_values() or ())) for one in KNOBS[2:]),
    ),
    max_size=8,
)


@given(turns, st.sampled_from([b"train: --depth=3\n", b"# ours\npredict: -v\ntrain: data.bin '--depth=3'  # three\n"]))
def test_flags_hold_what_was_set_last_and_the_file_is_one_for_the_same_values(
    turned: list[tuple[Knob, Value]], baseline: bytes
) -> None:
    source = baseline
    for one, value in turned:
        source = set_values(ARGS, source, {one: value})
    expected = {one.name: one.default for one in KNOBS} | {one.name: value for one, value in turned}
    assert repr(values(ARGS, source, KNOBS)) == repr(expected)
    assert words(source).get("predict") == words(baseline).get("predict")
    assert source.count(b"#  three") == baseline.count(b"#  three")
    at_once = set_values(ARGS, baseline, {one: expected[one.name] for one in KNOBS})
    assert canonical(at_once) == canonical(source)
    again = set_values(ARGS, source, {one: one.default for one in KNOBS})
    assert canonical(again) == canonical(baseline)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\0"), max_size=20))
def test_a_line_is_split_as_a_shell_would_or_refused(text: str) -> None:
    try:
        found = words(f"train: {text}\n".encode()).get("train", [])
    except Unreadable:
        return
    whole = f" {text}"
    for at in [one.start() for one in re.finditer(" #", whole)]:
        with suppress(ValueError):  # a quote is open there
            whole = " ".join(map(shlex.quote, shlex.split(whole[:at])))
            break
    assert found == shlex.split(whole)


def test_a_value_may_hold_what_begins_a_comment_outside_of_quotes() -> None:
    source = written(b"train: --a=1  # why\n", "--act", Form.VALUE, "re #lu")
    assert source == b"train: --a=1 '--act=re #lu'  # why\n"
    assert given_by(words(source)["train"], "--act", Form.VALUE) == "re #lu"
    assert written(source, "--act", Form.VALUE, None) == b"train: --a=1  # why\n"
