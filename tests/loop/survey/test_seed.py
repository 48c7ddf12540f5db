"""How a seed can be handed to a script is found in its code, the surest way first, and only where a run can set it."""

from collections.abc import Mapping

import pytest

from loop.study import ConfigError
from loop.survey.options import declared
from loop.survey.seed import Seed, found
from loop.survey.settings import Configured
from loop.survey.settings import found as settings_in
from loop.survey.sources import Sources

ARGPARSE = "import argparse\np = argparse.ArgumentParser()\np.add_argument('-s', '--seed', type=int, default=1)\n"
BESIDE = ARGPARSE.replace("p.add", "p.add_argument('--data-seed', type=int, default=2)\np.add", 1)
CLICK = "import click\n@click.command()\n@click.option('--random-seed', default=1)\ndef main(random_seed): pass\n"
TRAINER = "from transformers import HfArgumentParser, TrainingArguments\np = HfArgumentParser((TrainingArguments,))\n"
TYPER = "import typer\ndef main(manual_seed: int = 1): print(manual_seed)\ntyper.run(main)\n"
READS = "import os\nseed = int(os.environ.get('COCKPIT_SEED', 1))\n"
CONSTANT = "RATE = 0.1\nSEED: int = 1337\nprint(SEED)\n"
FIELD = "class Config:\n    seed = 3\nprint(Config.seed)\n"
FIXED = "import torch\noffset = 0\ntorch.manual_seed(1337 + offset)\n"
TWICE = "import random\nrandom.seed(1)\nrandom.seed(2)\n"


def seed_of(text: str, beside: Mapping[str, bytes] = {}, hydra: bool = False) -> Seed:
    files = {"train.py": "100644 blob 0", **dict.fromkeys(beside, "100644 blob 0")}
    sources = Sources(files, {"train.py": text.encode()}, dict(beside))
    reached = sources.reached("train.py")
    trees = {path: sources.trees[path] for path in reached}
    flags = declared(trees)
    every = settings_in(sources, reached, flags, Configured(tuple(beside)), ("python", "train.py"))
    return found(every, flags, trees, {**sources.python, **beside}, hydra=hydra)


@pytest.mark.parametrize(
    ("source", "how", "evidence"),
    [
        (ARGPARSE, "--seed {seed}", "train.py:3"),
        (BESIDE, "--seed {seed}", "train.py:4"),
        (CLICK, "--random-seed {seed}", "train.py:3"),
        (TRAINER, "--seed {seed}", "train.py:2"),
        (TYPER, "--manual-seed {seed}", "train.py:2"),
        (READS, "$COCKPIT_SEED", "train.py:2: the code reads"),
        (CONSTANT, "train.py:SEED", "train.py:2"),
        (FIELD, "train.py:Config.seed", "train.py:2"),
        (ARGPARSE + CONSTANT, "--seed {seed}", "train.py:3"),
        (FIXED, "train.py:torch.manual_seed()", "train.py:3"),
        ("import random\nrandom.seed(7)\nseed = 3\nprint(seed)\n", "train.py:seed", "train.py:3"),
        (TWICE, None, "hard-coded at train.py:2, train.py:3 with different numbers; let one name hold it"),
        (TWICE + "import torch\ntorch.manual_seed(3)\n", "train.py:torch.manual_seed()", "train.py:5"),
        ("import random\nrandom.seed(seeds[0])\n", None, "no seed found"),
        ("import random\nrandom.seed(2 * rank)\n", None, "no seed found"),
        ("seed_everything(42, workers=True)\n", "train.py:seed_everything()", "train.py:1"),
        ("not python (", None, "no seed found"),
        ("p.add_argument('--seeds')\nSEEDLINGS = 3\nSEED = 'a'\n", None, "no seed found"),
    ],
)
def test_the_way_of_a_seed_is_found_with_its_evidence(source: str, how: str | None, evidence: str) -> None:
    said = seed_of(source)
    assert said.how == how
    assert said.evidence.startswith(evidence)
    assert said.said == (None if said.read else how)


def test_a_seed_of_a_configuration_is_set_in_it_or_by_hydra_on_its_command_line() -> None:
    text = b"model: a\nseed: 3\n"
    assert seed_of("", {"conf.yaml": text}).how == "conf.yaml:seed"
    said = seed_of("", {"conf.yaml": text}, hydra=True)
    assert (said.how, said.evidence) == ("seed={seed}", "conf.yaml:2, by Hydra")


def test_a_seed_of_a_part_is_taken_where_no_call_sets_that_of_all() -> None:
    forest = "from sklearn.ensemble import RandomForestClassifier\nm = RandomForestClassifier(random_state=0)\n"
    assert seed_of(forest).how == "train.py:RandomForestClassifier(random_state)"
    assert seed_of(forest + "import numpy as np\nnp.random.seed(1)\n").how == "train.py:np.random.seed()"
    assert seed_of("f(seed=4)\n" + FIXED).how == "train.py:torch.manual_seed()"
    assert seed_of("SEED = 3\n" + forest + "print(SEED)\n").how == "train.py:SEED"


def test_an_annotation_where_none_may_stand_is_said_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^train\.py:2: `# cockpit:` belongs on a line"):
        seed_of("import x\nf(3)  # cockpit: 1..4\n")
