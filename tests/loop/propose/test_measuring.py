"""Knobs that the evaluation reads too: where they are found, and that what is gained by one waits for a look."""

import pytest

from loop.branches import Branches
from loop.engine import Limits, research
from loop.propose.arguments import Flag
from loop.propose.domain import Range
from loop.propose.measuring import read_by_evaluation
from loop.propose.prepare import evaluation_reads, knobs_of
from loop.propose.space import Knob
from loop.stop import Stop
from loop.study import read
from store.commands import submit
from store.records import Ended, Evidence
from tests.conftest import Write
from tests.loop.test_search import rows

NANO = b"""\
batch_size = 12
block_size = 1024
learning_rate = 6e-4
warmup = 10
def get_batch(split):
    return data[split][: batch_size * block_size]
@torch.no_grad()
def estimate_loss():
    return model(get_batch("val"))
def train_and_evaluate():
    return learning_rate
def validate(args, config):
    return args.context + config["width"]
def schedule():
    return warmup
"""


def knob(path: str, name: str) -> Knob:
    domain = Range(1, 2, log=False, integer=False)
    return Knob(path, name, domain, 1.0, flag=Flag() if name.startswith("--") else None)


def test_what_a_function_that_evaluates_reads_is_found_also_by_way_of_another() -> None:
    own = [knob("train.py", name) for name in ("batch_size", "block_size", "learning_rate", "warmup")]
    others = [knob("cockpit.args", "--context"), knob("conf/a.yaml", "net.width"), knob("conf/a.yaml", "net.depth")]
    elsewhere = knob("other.py", "batch_size")
    found = read_by_evaluation(
        [*own, *others, elsewhere], {"train.py": NANO, "other.py": b"batch_size = 1\n"}, ["train.py"]
    )
    assert found == {
        "train.py:batch_size": "train.py:estimate_loss",
        "train.py:block_size": "train.py:estimate_loss",
        "--context": "train.py:validate",
        "conf/a.yaml:net.width": "train.py:validate",
    }


async def test_a_file_of_your_own_that_evaluates_does_so_wherever_it_reads_a_knob(write: Write) -> None:
    place = write(
        "WIDTH = 2  # cockpit: 1..4\nRATE = 2  # cockpit: 1..4\ndef validate():\n    return RATE\nprint('loss: 1')\n",
        run='eval = "python final.py"',
        files={"final.py": "import train\nprint('loss:', 1 / train.WIDTH)\n"},
    )
    revision, branches = read(place.config), await Branches.of(place)
    tree = await branches.tree("HEAD")
    knobs = await knobs_of(place, revision, branches, tree)

    async def found(**run: str | None) -> dict[str, str]:
        settings = revision.settings
        settings = settings.model_copy(update={"run": settings.run.model_copy(update=run)})
        return await evaluation_reads(settings, branches, tree, knobs)

    both = {"train.py:WIDTH": "final.py", "train.py:RATE": "train.py:validate"}
    assert await found() == both
    assert (
        await found(eval=None) == await found(eval="python train.py --eval") == {"train.py:RATE": "train.py:validate"}
    )
    assert await found(eval=None, scorer="regression") == {}, "it measures from outside"


@pytest.mark.usefixtures("leaves_nothing")
async def test_what_is_gained_by_such_a_knob_is_not_offered_and_merged_by_who_has_looked(write: Write) -> None:
    place = write(
        "SIZE = 2  # cockpit: 1 | 2 | 4\n\n\ndef evaluate():\n    return 1 / SIZE\n\n\nprint('loss:', evaluate())\n",
        deterministic=True,
    )
    assert await research(place, Limits(experiments=3), Stop()) is Ended.EXPERIMENTS
    better = next(one for one in await rows(place) if one.knobs.get("train.py:SIZE") == 4)
    assert better.verdict is not None
    assert better.verdict.evidence is Evidence.PROMISING
    assert (
        "But it changes train.py:SIZE, which is read by what measures, train.py:evaluate" in better.verdict.explanation
    )
    asked = {"experiments": [better.number], "unconfirmed": False}
    refused = await submit(place, "merge", asked, {})
    assert not refused.done
    assert "is promising, and not confirmed" in refused.text
    assert (await submit(place, "merge", asked | {"unconfirmed": True}, {})).done
