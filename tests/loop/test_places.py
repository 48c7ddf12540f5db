"""Knobs wherever they stand, in a study: searched, let in, taken together, and run as the tree says."""

import time
from collections.abc import Mapping

import pytest

from loop.engine import Limits, research
from loop.propose.admit import Refused
from loop.propose.domain import Value
from loop.propose.edits import Edit, Rewrite, Setting
from loop.propose.functions import functions
from loop.propose.prepare import Preparation
from loop.propose.together import joined
from loop.stop import Stop
from loop.study import ConfigError
from store.database import Database
from store.place import Place
from store.records import Ended, Experiment, Proposal, Refusal
from tests.conftest import Write, git
from tests.loop.test_engine import ONE
from tests.loop.test_search import rows
from tests.loop.test_together import preparation

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import argparse


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.25)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--fast", action="store_true")
    return parser.parse_args()


def bonus():
    return 0.0


def halved(by):
    return by / 2


def main(scale=2.0):
    given = options()
    width = int(open("conf/base.yaml").read().split()[2])
    print("loss:", scale * (given.lr + given.depth) + given.fast + width + bonus() + halved(by=8))


main()
"""
LISTED = """\
[space.knobs]
"--lr" = { low = 0.125, high = 1.0 }
"--depth" = { low = 1, high = 8 }
"--fast" = { choices = [true, false] }
"conf/base.yaml:net.width" = { low = 16, high = 128 }
"train.py:main.scale" = { low = 0.5, high = 4.0 }
"train.py:halved(by)" = { low = 1, high = 16 }
[model]
name = "none"
"""
YAML = "net:\n  width: 64  # of the net\n"
LR, DEPTH, FAST, WIDTH, SCALE = "--lr", "--depth", "--fast", "conf/base.yaml:net.width", "train.py:main.scale"
BY = "train.py:halved(by)"


@pytest.fixture
def place(write: Write) -> Place:
    return write(TRAIN, more=LISTED, files={"conf/base.yaml": YAML}, deterministic=True)


async def propose(own: Preparation, edit: Edit, parent: int = 0) -> Experiment | Refused:
    operator = next(iter(edit.change))
    proposal = Proposal("optimiser", operator, parent, edit.sentence, edit.change, time.time(), trunk=0)
    async with own.turn:
        return await own.let_in(proposal, edit)


async def setting(own: Preparation, moves: Mapping[str, Value], parent: int = 0) -> Experiment | Refused:
    before = own.values(await own.experiment(parent))
    return await propose(own, Setting(own.knobs, before, moves).onto(before), parent)


async def rewriting(own: Preparation, name: str, text: str, parent: int = 0) -> Experiment | Refused:
    source = await own.branches.content((await own.experiment(parent)).tree, "train.py")
    (function,) = (one for one in functions("train.py", source) if one.name == name)
    return await propose(own, Rewrite(function, text), parent)


async def test_a_run_has_the_values_that_its_tree_says_wherever_they_stand(place: Place) -> None:
    assert await research(place, Limits(experiments=6), Stop()) is Ended.EXPERIMENTS
    found = await rows(place)
    moved = set[str]()
    for one in found:
        knobs = {LR: 0.25, DEPTH: 3, FAST: False, WIDTH: 64, SCALE: 2.0, BY: 8} | dict(one.knobs)
        (loss,) = (each.value for each in one.measurements)
        expected = knobs[SCALE] * (knobs[LR] + knobs[DEPTH]) + knobs[FAST] + knobs[WIDTH] + knobs[BY] / 2
        assert loss == pytest.approx(expected)
        moved |= {key for key, value in knobs.items() if value != (found[0].knobs or knobs).get(key, value)}
    texts = git(place.root, "log", "--all", "-p", "--format=", "--", "conf/base.yaml", "cockpit.args")
    assert "# of the net" in texts
    assert "+train: --" in texts
    assert not git(place.root, "status", "--porcelain")


async def test_flags_that_share_a_line_are_taken_together_and_with_code_beside_them(place: Place) -> None:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        for moves in ({LR: 0.5}, {DEPTH: 4, WIDTH: 32}, {FAST: True, SCALE: 1.0}, {DEPTH: 5}):
            assert isinstance(await setting(own, moves), Experiment)
        coded = await rewriting(own, "bonus", "def bonus():\n    return 0.5\n", parent=2)
        assert isinstance(coded, Experiment)
        both = await joined(own, [1, 2, 3])
        assert dict(both.edit.moves) == {LR: 0.5, DEPTH: 4, WIDTH: 32, FAST: True, SCALE: 1.0}
        assert both.edit.files["cockpit.args"] == b"train: --lr=0.5 --depth=4 --fast\n"
        with_code = await joined(own, [3, 1, coded.number])
        assert with_code.edit.moves[DEPTH] == 4
        assert sorted(with_code.edit.files["cockpit.args"].split()[1:]) == [b"--depth=4", b"--fast", b"--lr=0.5"]
        assert b"return 0.5" in with_code.edit.files["train.py"]
        with pytest.raises(Refused, match="moves --depth from 3 to 5, and e0002 has it at 4: nothing is merged"):
            await joined(own, [2, 4])


async def test_the_same_flags_are_seen_again_in_whatever_order_they_came(place: Place) -> None:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        for moves, parent in (({LR: 0.5}, 0), ({DEPTH: 4}, 0), ({DEPTH: 4}, 1)):
            assert isinstance(await setting(own, moves, parent), Experiment)
        again = await setting(own, {LR: 0.5}, 2)  # by way of e0003: `--lr=0.5 --depth=4`, and `--depth=4 --lr=0.5` here
        assert isinstance(again, Refused)
        assert (again.refusal, again.reason) == (Refusal.DUPLICATE, "it makes the code of e0003")
        back = await setting(own, {LR: 0.25}, 1)
        assert isinstance(back, Refused)
        assert back.reason == "it makes the code of e0000"


async def test_a_default_that_a_flag_stands_for_is_no_model_s_to_alter(place: Place) -> None:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        body = TRAIN[TRAIN.index("def options") : TRAIN.index("\n\ndef bonus")]
        made = await rewriting(own, "options", body.replace("default=3", "default=4"))
        assert isinstance(made, Refused)
        assert made.reason == "the default of the knob --depth is altered in train.py"


async def test_what_a_call_is_given_is_moved_and_a_rewrite_leaves_the_call_as_it_is(place: Place) -> None:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        own = await preparation(place, database)
        made = await setting(own, {BY: 4})
        assert isinstance(made, Experiment)
        assert (made.slug, made.hypothesis) == ("halved-by-4", "halved(by) 8 → 4")
        changed = git(place.root, "diff", "--unified=0", "--no-prefix", "HEAD", made.commit).splitlines()
        assert changed[-1] == "+" + next(line for line in TRAIN.splitlines() if "by=8" in line).replace("by=8", "by=4")
        assert len([line for line in changed if line.startswith(("+", "-"))]) == 4
        refused = await rewriting(own, "bonus", "def bonus():\n    return halved(by=2)\n")
        assert isinstance(refused, Refused)
        assert refused.reason.startswith("the knob train.py:halved(by) is not one value any more")


async def test_flags_of_the_user_s_own_are_honoured_behind_command_and_seed(write: Write) -> None:
    place = write(
        "import sys\nprint('loss:', len(sys.argv), sys.argv[-1])\nprint('loss:', float(sys.argv[-1]))\n",
        run='seed = "--seed {seed}"',
        files={"cockpit.args": "# ours\ntrain: --a 'b c' 7\n"},
        deterministic=True,
    )
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    (one,) = await rows(place)
    assert [each.value for each in one.measurements] == [7.0]


async def test_a_malformed_file_of_flags_is_an_error_with_its_line(write: Write) -> None:
    place = write(files={"cockpit.args": "# ours\ntrain --a\n"})
    with pytest.raises(ConfigError, match=r"^cockpit.args:2: a line is `train: --flag=value …`"):
        await research(place, ONE, Stop())
