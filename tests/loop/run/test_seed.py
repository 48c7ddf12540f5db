"""How the seed reaches the code under test: by words of its command, by a variable, or where the code has it."""

from pathlib import Path

import pytest

from loop.engine import research
from loop.run.folder import PUTS_SEED, _set
from loop.stop import Stop
from loop.study import ConfigError, parse
from store.records import Ended
from tests.conftest import Write, git
from tests.loop.run.test_sandbox import one_run
from tests.loop.test_engine import ONE

FIXED = "class Config:\n    seed = 1337  # the answer\nprint('loss:', Config.seed)\n"


async def test_a_seed_that_the_code_has_as_a_constant_is_set_there_for_the_run_and_in_no_commit(write: Write) -> None:
    place = write(FIXED, run='seed = "train.py:Config.seed"')
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert [one.value for one in run.measurements] == [run.seed]
    assert git(place.root, "show", "cockpit/tried/trunk:train.py") == FIXED


def test_code_that_has_lost_the_place_of_its_seed_fails_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("print('loss: 1')\n")
    _set(file, "seed", 5, PUTS_SEED)
    assert file.read_text() == "raise SystemExit('there is no `seed` any more, where [run] seed puts the seed')\n"
    other = tmp_path / "link.py"
    other.symlink_to(file)
    _set(other, "raise", 5, PUTS_SEED)
    assert other.is_symlink()


@pytest.mark.parametrize(
    ("seed", "train", "said"),
    [
        ("train.py:SEED", FIXED, "`SEED` is nowhere assigned a literal in train.py"),
        ("train.py:Config.seed", FIXED + FIXED, "is assigned a literal 2 times"),
        ("other.py:SEED", FIXED, "other.py is not committed"),
        ("train.py:RATE", "RATE = 0.5\n", "is 0.5, and no whole number"),
        ("train.py:S", "S = (\n", "train.py:1: '(' was never closed"),
        (
            "train.py:random.seed()",
            "import random\nrandom.seed(1)\nrandom.seed(2)\n",
            "different values, at train.py:2 and",
        ),
        ("train.py:random.seed()", "import random\nrandom.seed(1 + 2)\n", "train.py:2 is given 2 numbers"),
        ("train.py:random.seed()", "import random\n", "is nowhere in train.py"),
    ],
)
async def test_a_place_of_the_seed_that_is_not_there_is_an_error_with_its_line(
    write: Write, seed: str, train: str, said: str
) -> None:
    place = write(train, run=f'seed = "{seed}"')
    with pytest.raises(ConfigError, match=r"cockpit.toml:10: `\[run\] seed`: ") as raised:
        await research(place, ONE, Stop())
    assert said in str(raised.value)


SEEDED = """\
import json, random
def seeded(value, offset=0):
    random.seed(value + offset)
    return value + offset
def by_default(seed=5):
    return seed
offset = 0
print("loss:", {expression})
"""


@pytest.mark.parametrize(
    ("seed", "expression", "files"),
    [
        ("train.py:seeded()", "seeded(1337 + offset)", {}),
        ("train.py:seeded()", "seeded(7) if seeded(value=7) else 0", {}),
        ("train.py:by_default.seed", "by_default()", {}),
        (
            "conf/base.json:run.seed",
            "json.load(open('conf/base.json'))['run']['seed']",
            {"conf/base.json": '{"run": {"seed": 3}}'},
        ),
        ("base.yaml:seed", "open('base.yaml').read().split()[1]", {"base.yaml": "seed: 3  # of all\n"}),
    ],
)
async def test_a_seed_is_set_in_a_call_a_default_or_a_document(
    write: Write, seed: str, expression: str, files: dict[str, str]
) -> None:
    place = write(SEEDED.replace("{expression}", expression), run=f'seed = "{seed}"', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert [one.value for one in run.measurements] == [run.seed]
    assert not git(place.root, "diff", "--stat", "HEAD", "cockpit/tried/trunk")


async def test_a_seed_that_the_code_annotates_as_a_knob_is_an_error_with_its_line(write: Write) -> None:
    place = write("SEED = 0  # cockpit: 0..100\nprint('loss:', SEED)\n", run='seed = "train.py:SEED"')
    with pytest.raises(ConfigError, match=r"cockpit.toml:10: `\[run\] seed`: train.py:SEED is annotated as a knob"):
        await research(place, ONE, Stop())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            'seed = "--seed 1"',
            'cockpit.toml:3: `[run] seed`: it is words for train that hold {seed}, as "--seed {seed}", or a place: '
            '"train.py:SEED", "conf/base.yaml:seed", or the number in a call, "train.py:torch.manual_seed()"',
        ),
        (
            'seed = "t.py:S"\n[space.knobs]\n"t.py:S" = { low = 1, high = 2 }',
            "cockpit.toml:5: `[space] knobs.t.py:S` holds the seed, `[run] seed`; take it out of one of the two",
        ),
    ],
)
def test_a_seed_that_would_be_the_same_in_each_run_is_an_error(lines: str, said: str) -> None:
    text = f'[run]\ntrain = "python t.py"\n{lines}\n[objectives]\na = {{ direction = "minimize" }}\n'
    with pytest.raises(ConfigError) as raised:
        parse(text, Path("cockpit.toml"))
    assert str(raised.value).startswith(said)
