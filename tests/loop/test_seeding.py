"""A hard-coded seed: the study offers the change that reads it from $COCKPIT_SEED, once, and counts it as no gain."""

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.engine import Limits, research
from loop.propose.admit import Refused
from loop.propose.places import only, set_values
from loop.propose.seeding import FromVariable, calls
from loop.stop import Stop
from loop.study import read
from store import account as accounts
from store import views
from store.database import Database
from store.funnel import By
from store.place import Place
from store.records import ENGINE, SEED, Ended, Evidence, Experiment, Outcome, State, Word, offers
from tests.conftest import Write, git
from tests.loop.test_decisions import TRUNK, decide
from tests.loop.test_search import rows

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TRAIN = """\
import random
RATE = 0.5  # cockpit: 0.1..1.0
random.seed(1337)
print("loss:", 1 + RATE * random.random())
"""
CALL = 'seed = "train.py:random.seed()"'
NOW = 'random.seed(int(os.environ.get("COCKPIT_SEED", 1337)))'


def changed(source: str, name: str = "random.seed()") -> str:
    names = tuple(dict.fromkeys(one.name for one in calls(source.encode(), name)))
    return FromVariable("train.py", name, names).made({"train.py": source.encode()})["train.py"].decode()


async def searched(place: Place, count: int = 3) -> list[Experiment]:
    assert await research(place, Limits(experiments=count), Stop()) is Ended.EXPERIMENTS
    return await rows(place)


async def test_a_hard_coded_seed_is_offered_to_be_read_from_the_environment(write: Write) -> None:
    place = write(TRAIN, CALL)
    every = await searched(place)
    one = every[1]
    assert (one.operator, one.proposer, one.parent) == (SEED, ENGINE, 0)
    assert [each.operator for each in every[2:]] == ["knobs"]
    assert git(place.root, "show", f"{one.commit}:train.py") == "import os\n" + TRAIN.replace("random.seed(1337)", NOW)
    assert one.verdict is not None
    assert (one.verdict.word, one.verdict.evidence, one.verdict.asks) == (Word.EQUAL, Evidence.SCREENED, False)
    async with await Database.open(place.folder) as database:
        (run,) = await views.runs(database, 1)
        first = next(each for each in await views.runs(database, 0) if each.seed == run.seed)
        assert run.measurements == first.measurements
        assert one.verdict.sentence == (
            f"reads its seed from $COCKPIT_SEED; at seed {run.seed} it measures what e0000 measures, to the digit"
        )
        assert one in offers(every)
        assert offers(every)[-1] == one, "what gains comes first"
        # It is nobody's find.
        account = await accounts.read(database)
        kept = await views.keeps(database)
        drawn, _ = await views.frontier(database)
    assert kept is not None
    assert (kept.screened, account.funnel.steps[0].number, account.ledger.admitted) == (1, 1, {"optimiser": 1})
    assert {each.name for each in account.yields.operators} == {"knobs"}
    assert account.review.undecided == len(offers(every))
    assert 1 not in {point.experiment for point in drawn.points}


async def test_after_the_merge_runs_find_their_seed_where_it_always_was(write: Write) -> None:
    place = write(TRAIN, CALL)
    await searched(place)
    assert (await decide(place, "merge", 1, unconfirmed=False)).done
    every = await searched(place, 4)
    assert [each.operator for each in every].count(SEED) == 1
    assert every[1].state is State.MERGED
    async with await Database.open(place.folder) as database:
        before = {run.seed: run for run in await views.runs(database, 0)}
        after = {run.seed: run for run in await views.runs(database, 1)}
    assert len(after) >= 3
    assert {run.outcome for run in after.values()} == {Outcome.OK}
    for seed in before.keys() & after.keys():
        assert before[seed].measurements == after[seed].measurements
    assert NOW in git(place.root, "show", f"{TRUNK}:train.py")
    assert NOW in git(place.root, "show", f"{every[-1].commit}:train.py")


async def test_it_is_offered_once_and_not_again_after_it_was_rejected(write: Write) -> None:
    place = write(TRAIN, CALL)
    await searched(place)
    assert (await decide(place, "reject", 1)).done
    every = await searched(place, 5)
    assert [each.operator for each in every].count(SEED) == 1
    assert not [each for each in offers(every) if each.operator == SEED]


async def test_it_does_not_take_the_only_place_that_is_asked_for(write: Write) -> None:
    place = write(TRAIN, CALL)
    assert [one.operator for one in await searched(place, 2)][1:] == ["knobs"]


async def test_it_is_landed_without_a_merge(write: Write) -> None:
    place = write(TRAIN, CALL)
    await searched(place, 3)
    head = git(place.root, "rev-parse", "HEAD").strip()
    answer = await decide(place, "land", 1, unconfirmed=False, head=head, onto="refs/heads/main")
    assert answer.done, answer.text
    assert answer.told["commands"][0].startswith("COCKPIT_SEED="), "which it reads now"
    assert NOW in git(place.root, "show", "cockpit/tried/land-e0001:train.py")


async def test_where_it_measures_something_else_that_is_said_and_it_is_still_no_gain(write: Write) -> None:
    other = TRAIN.replace("random.seed(1337)", "random.Random(1337)\nrandom.seed(1)")
    place = write(other, 'seed = "train.py:random.Random()"\n', more="[seeds]\nbaseline = 2", deterministic=True)
    one = (await searched(place))[1]
    assert one.verdict is not None
    assert one.verdict.word is Word.INCONCLUSIVE
    assert "loss is 1." in one.verdict.sentence
    assert " where e0000 has 1." in one.verdict.sentence
    assert "a run sets that of random.Random() alone today" in one.hypothesis
    assert one.offered
    assert not one.verdict.confirmed


@pytest.mark.parametrize(
    ("train", "run", "more"),
    [
        (TRAIN.replace("random.seed(1337)", "SEED = 1\nrandom.seed(SEED)"), 'seed = "train.py:SEED"', ""),
        (TRAIN.replace("random.seed(1337)", NOW).replace("import random", "import os, random"), CALL, ""),
        (TRAIN, 'seed = "other.py:random.seed()"', ""),  # which no proposal may touch
    ],
)
async def test_where_there_is_nothing_to_change_nothing_is_offered(
    write: Write, train: str, run: str, more: str
) -> None:
    place = write(train, run, more, files={"other.py": "import random\nrandom.seed(3)\n"}, deterministic=True)
    assert not [one for one in await searched(place) if one.operator == SEED]
    assert not read(place.config).settings.editable("other.py")


def test_all_calls_of_a_file_that_set_a_shared_seed_change_together() -> None:
    source = (
        "import numpy as np\nimport torch\n\n\ndef seed(rank):\n    torch.manual_seed(1_337 + rank)\n"
        "    np.random.seed(7)\n    torch.cuda.manual_seed_all(seed=3)\n\n\n"
        "split = np.random.default_rng(0)\nmade = torch.Generator().manual_seed(5)\nseed(0)\n"
    )
    after = changed(source, "torch.manual_seed()")
    read = 'int(os.environ.get("COCKPIT_SEED", {}))'
    assert after == "import os\n" + source.replace("1_337", read.format("1_337")).replace(
        "seed(7)", f"seed({read.format(7)})"
    ).replace("seed=3", f"seed={read.format(3)}")


@pytest.mark.parametrize(
    ("head", "after"),
    [
        ("import os\nimport random\n", "import os\nimport random\n"),
        ("import os.path\nimport random\n", "import os.path\nimport random\n"),
        ("import os as system\nimport random\n", "import os\nimport os as system\nimport random\n"),
        ('"""Trains."""\n\nimport random\n', '"""Trains."""\n\nimport os\nimport random\n'),
        (
            "#!/usr/bin/env python\nfrom __future__ import annotations\n\nimport random\n",
            "#!/usr/bin/env python\nfrom __future__ import annotations\n\nimport os\nimport random\n",
        ),
        ("import random\r\n", "import os\r\nimport random\r\n"),
        ("@staticmethod\ndef f(): pass\nimport random\n", "import os\n@staticmethod\ndef f(): pass\nimport random\n"),
        ("\ufeffimport random\n", "\ufeffimport os\nimport random\n"),
    ],
)
def test_os_is_imported_at_the_top_where_it_is_not_there(head: str, after: str) -> None:
    assert changed(head + "random.seed(1337)\n") == f"{after}{NOW}\n"


def test_an_import_below_the_call_is_none() -> None:
    assert changed("import random\nrandom.seed(1)\nimport os\n").startswith("import os\nimport random\n")


@pytest.mark.parametrize(
    "line",
    [
        "import sys as os",
        "del os",
        "def f(os): pass",
        "def f():\n    import os",
        "from mine import os",
        "for os in (): pass",
        "try:\n    import os\nexcept ImportError:\n    pass",
    ],
)
def test_where_os_may_be_something_else_it_is_refused(line: str) -> None:
    with pytest.raises(Refused, match="`os` is bound on line"):
        changed(f"import os\nimport random\nrandom.seed(1337)\n{line}\n")


@pytest.mark.parametrize("given", ["seeds[0]", "2 * rank", "rank % 7", "0.5", "f(3)", "-1"])
def test_a_number_that_is_no_seed_by_itself_or_in_a_sum_is_not_offered(given: str) -> None:
    assert not calls(f"import random\nrandom.seed({given})\n".encode(), "random.seed()")
    assert calls(f"import random\nrandom.seed(rank + 3)\nrandom.seed({given})\n".encode(), "random.seed()")


def test_where_there_is_no_place_for_the_import_it_is_refused() -> None:
    with pytest.raises(Refused, match="two statements"):
        changed('"""Trains."""; import random\nrandom.seed(1337)\n')


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_what_is_changed_draws_what_the_unchanged_code_draws_with_and_without_a_seed(own: int, seed: int) -> None:
    source = f"import random\nrandom.seed({own})\nx = random.random()\n"
    after = changed(source)
    assert only("train.py", after.encode(), "random.seed()") == own
    at_seed = set_values("train.py", after.encode(), {"random.seed()": seed}).decode()
    ast.parse(at_seed)
    assert f'"COCKPIT_SEED", {seed}' in at_seed
    assert random.Random(own).random() == _x(after)


def _x(source: str) -> float:
    names: dict[str, float] = {}
    exec(source, names)  # noqa: S102 - it was just made here
    return names["x"]


def test_the_script_takes_a_seed_from_the_environment_then(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(changed(TRAIN))
    runs = [
        subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        for env in ({}, {"COCKPIT_SEED": "1337"}, {"COCKPIT_SEED": "5"})
    ]
    assert runs[0].stdout == runs[1].stdout != runs[2].stdout


async def test_a_run_of_the_change_that_fails_is_lost_by_nobody(write: Write) -> None:
    place = write(TRAIN + 'import sys\nassert "os" + ".environ" not in open(sys.argv[0]).read()\n', CALL)
    await searched(place, 3)
    async with await Database.open(place.folder) as database:
        assert [run.outcome for run in await views.runs(database, 1)] == [Outcome.CRASH]
        account = await accounts.read(database)
    assert not account.funnel.losses_by(By.AGENT)
