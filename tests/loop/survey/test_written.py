"""What is written can be read, whatever the repository is like; what a user has written stays."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from loop.propose.space import declared
from loop.study import ConfigError, parse
from loop.survey.command import Train
from loop.survey.folders import Lent
from loop.survey.found import Survey
from loop.survey.interpreter import Python
from loop.survey.knobs import found as knobs_in
from loop.survey.metrics import found as metrics_in
from loop.survey.options import declared as flags_in
from loop.survey.seed import Seed
from loop.survey.seed import found as seed_in
from loop.survey.settings import Configured
from loop.survey.settings import found as settings_in
from loop.survey.sources import Sources
from loop.survey.spoken import Metric
from loop.survey.written import Aim, checked, lines, mended, text
from tests.loop.survey.conftest import Surveyed, survey
from tests.repositories import COMMANDS, NAMES, made

FILE = Path("cockpit.toml")
AIM = Aim(Metric("val_loss", direction="minimize"), "minimize", "it is printed")
NAME = st.sampled_from(
    ["lr", "LR", "dropout", "hidden", "batch_size", "x", "beta2", "SEED", "depth", "act", "bias", "né"]
)
LITERAL = st.one_of(
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.sampled_from([0.1, 1e-4, 64]),
)
STATEMENT = st.one_of(
    st.builds(lambda name, value: f"{name} = {value!r}", NAME, LITERAL),
    st.builds(lambda name, value: f"p.add_argument('--{name}', default={value!r})", NAME, LITERAL),
    st.builds(lambda name, value: f"class {name}Config:\n    {name}: int = {value!r}", NAME, LITERAL),
    st.builds(lambda name, value: f"def f(a, {name}={value!r}):\n    return {name}\nf(1)", NAME, LITERAL),
    st.builds(
        lambda name, value: f"if {name} == {value!r}:\n    print({name}, f'val loss {{{name}:.3f}} {{x}}')",
        NAME,
        LITERAL,
    ),
    st.builds(lambda name, value: f"print('%s: %f' % ({value!r}, {name}))", NAME, LITERAL),
    st.builds(lambda name, value: f"print({value!r} + str({name}), '{{}} {{}}'.format({name}))", NAME, LITERAL),
)


def a_survey(script: str, words: tuple[str, ...] = ("python", "train.py"), root: str = "/a/study") -> Survey:
    sources = Sources({"train.py": "100644 blob 0"}, {"train.py": script.encode()})
    reached = sources.reached("train.py")
    trees = {path: sources.trees[path] for path in reached}
    flags = flags_in(trees)
    found = settings_in(sources, reached, flags, Configured(()), words)
    return Survey(
        root=Path(root),
        sources=sources,
        train=Train(words, "train.py", "as it was typed"),
        reached=tuple(reached),
        editable=("train.py",),
        python=Python(Path("/usr/bin/python"), "here"),
        knobs=tuple(knobs_in(found, trees)),
        lengths=(),
        seed=seed_in(found, flags, trees, sources.python, hydra=False),
        metrics=tuple(metrics_in(trees, {}, None)),
        lent=(),
        evaluations=(),
        resumes=(),
        timeout=None,
        notes=(),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STATEMENT, max_size=8))
def test_a_file_that_is_written_is_read_and_its_knobs_are_there(statements: list[str]) -> None:
    script = "\n".join(statements)
    found = a_survey(script)
    aims = [Aim(one.metric, one.metric.direction, one.evidence) for one in found.metrics if one.metric.direction]
    for aim in aims[:1] or [AIM]:
        whole, revision = checked(found, aim, FILE)
        assert parse(text(lines(whole, aim), whole), FILE).digest == revision.digest
        knobs = declared(revision.settings, str, {"train.py": script.encode()}, ["train.py"])
        assert {*revision.settings.space.knobs} <= {knob.key for knob in knobs}
        assert mended(revision.text, lines(whole, aim), FILE, train=True) == revision.text


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=10).filter(lambda one: one.strip("./")))
def test_no_name_of_a_file_or_a_folder_breaks_the_file(word: str, path: str, folder: str) -> None:
    words = ("python", "train.py", word.replace("\0", "").replace("{", "").replace("}", ""))
    found = a_survey("", words, f"/a/{folder.replace('/', '')}")
    lent = Lent("data/" + path.replace("..", "").replace("\0", ""), "1 B, ignored by git; train.py:1")
    evidence = f"train.py:1 {''.join(one for one in path if one.isprintable())}"
    seed = Seed("--seed {seed}", evidence)
    whole, revision = checked(replace(found, lent=(lent,), seed=seed), AIM, FILE)
    assert revision.settings.run.train.split()[:2] == ["python", "train.py"]
    if revision.settings.data.read:
        assert revision.settings.data.read == (lent.path,)
    assert whole.seed == seed


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_each_repository_is_read_and_says_its_evidence(name: str, tmp_path: Path) -> None:
    found = survey(made(name, tmp_path / name), *COMMANDS[name])
    best = found.metrics[0]
    assert best.metric.direction
    aim = Aim(best.metric, best.metric.direction, best.evidence)
    whole, revision = checked(found, aim, tmp_path / "cockpit.toml")
    assert revision.settings.run.seed == found.seed.said
    assert [*revision.settings.space.knobs] == [guess.key for guess in whole.knobs if not guess.held]
    for line in revision.text.splitlines():  # of knobs, each
        if line.startswith(('"--', '"train', '"conf', '"src')):
            assert ":" in line.partition("#")[2], line


MINE = """\
# my own words
[run]
train = "python train.py"  # stays

[space.knobs]
"train.py:lr" = { low = 0.05, high = 0.2 }  # narrower
# "train.py:dropout" = { low = 0.0, high = 0.1 }  # not this one

[objectives]
acc = { direction = "maximize" }
"""
SCRIPT = "lr = 0.1\ndropout = 0.2\nhidden = 64\nseed = 1\nprint('val_loss:', lr + dropout + hidden + seed)\n"


def test_what_the_user_has_written_stays_and_what_was_taken_out_stays_out() -> None:
    found = a_survey(SCRIPT)
    after = mended(MINE, lines(found, AIM), FILE, train=False)
    assert [line for line in after.splitlines() if line not in MINE.splitlines()] == [
        'seed = "train.py:seed" # train.py:4',
        '"train.py:hidden" = { choices = [16, 32, 64, 128, 256] } # now 64, train.py:3',
    ]
    assert all(line in after.splitlines() for line in MINE.splitlines())
    assert mended(after, lines(found, AIM), FILE, train=False) == after


def test_a_command_that_is_typed_takes_the_place_of_the_one_that_is_there() -> None:
    found = a_survey(SCRIPT, ("python", "train.py", "--fast"))
    after = tomllib.loads(mended(MINE, lines(found, AIM), FILE, train=True))
    assert after["run"]["train"] == "python train.py --fast"
    assert tomllib.loads(mended(MINE, lines(found, AIM), FILE, train=False))["run"]["train"] == "python train.py"


def test_the_folder_goes_with_the_command() -> None:
    found = a_survey(SCRIPT)
    below = replace(found, train=replace(found.train, cwd="lab", cwd_evidence="its own files"))
    at_top = MINE.replace('train.py"  #', 'lab/train.py"  #')
    assert "cwd" not in tomllib.loads(mended(at_top, lines(below, AIM), FILE, train=False))["run"]
    moved = mended(at_top, lines(below, AIM), FILE, train=True)
    assert tomllib.loads(moved)["run"]["train"] == "python train.py"
    assert tomllib.loads(moved)["run"]["cwd"] == "lab"
    typed = replace(found, train=replace(found.train, words=("python", "lab/train.py")))
    assert "cwd" not in tomllib.loads(mended(moved, lines(typed, AIM), FILE, train=True))["run"]


def test_data_is_added_to_what_is_lent_already() -> None:
    found = replace(a_survey(SCRIPT), lent=(Lent("data/", "1 B"), Lent("mine/", "1 B")))
    before = MINE + '[data]\nread = ["mine/"]\n'
    after = tomllib.loads(mended(before, lines(found, AIM), FILE, train=False))
    assert after["data"]["read"] == ["mine/", "data/"]
    without = tomllib.loads(mended(before, lines(found, AIM), FILE, train=False, gone=["mine/"]))
    assert without["data"]["read"] == ["data/"]


def test_a_file_that_cannot_be_used_is_said_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"cockpit.toml:3: `\[run\] tran` is not a key"):
        mended(MINE.replace("train =", "tran ="), lines(a_survey(SCRIPT), AIM), FILE, train=False)


def test_a_knob_that_does_not_hold_is_a_comment_that_says_why(surveyed: Surveyed) -> None:
    found = surveyed(
        {"train.py": "def f(dropout=0.1):\n    return dropout\nprint('val_loss:', f())\n"}, "python", "train.py"
    )
    whole, revision = checked(found, AIM, FILE)
    assert [*revision.settings.space.knobs] == [one.key for one in whole.knobs if not one.held]


def test_a_later_probe_adds_how_long_a_run_may_take() -> None:
    found = a_survey("print('val_loss:', 0.1)\n")
    before = text(lines(found, AIM), found)
    after = mended(before, lines(replace(found, timeout=("3 min", "a run took 9 s")), AIM), FILE, train=True)
    assert parse(before, FILE).settings.run.timeout != parse(after, FILE).settings.run.timeout == 180.0
