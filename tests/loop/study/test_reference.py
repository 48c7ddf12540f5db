"""What is said of the keys of `cockpit.toml` is true: each has a text, and its example is read as it stands."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from loop.study import ConfigError, Settings, parse
from loop.study.reference import Key, Section, sections
from loop.study.table import keys

SECTIONS = sections()
EACH = [(section, key) for section in SECTIONS for key in section.keys]
NAMES = [f"{section.header} {key.name}" for section, key in EACH]
ONE = {"direction": "minimize"}
SMALLEST: dict[str, Any] = {"run": {"train": "python train.py"}, "objectives": {"val_loss": ONE}}


def together(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both tables in one; what both have is the other's."""
    inner = {key: together(one[key], table) for key, table in other.items() if isinstance(one.get(key), dict)}
    return {**one, **other, **inner}


SCORED: dict[str, Any] = {"run": {"predict": "python predict.py", "scorer": "regression"}}
BESIDE: dict[tuple[str, ...], dict[str, Any]] = {  # what a key goes together with
    ("run", "predict"): {"run": {"score": "python score.py"}},
    ("run", "score"): {"run": {"predict": "python predict.py"}},
    ("run", "scorer"): {"run": {"predict": "python predict.py"}, "data": {"labels": "{study}/labels.csv"}},
    ("data", "labels"): {"run": {"predict": "python predict.py", "scorer": "regression"}},
    ("data", "carve"): SCORED,
    ("carve", "file"): together(SCORED, {"data": {"carve": {"label": "y"}}}),
    ("carve", "label"): together(SCORED, {"data": {"carve": {"file": "data/train.csv"}}}),
    ("carve", "share"): together(SCORED, {"data": {"carve": {"file": "data/train.csv", "label": "y"}}}),
    ("study", "worth"): {"objectives": {"predict_us_per_item": ONE}},
    ("budget", "money"): {"prices": {"device_hour": 1.5}},
    ("fidelity", "full"): {"fidelity": {"quick": {"max_steps": 500}}},
    ("from", "name"): {"objectives": {"val_loss": {"from": {"file": "log.csv"}}}},
    ("from", "step"): {"objectives": {"val_loss": {"from": {"file": "log.csv"}}}},
    ("from", "take"): {"objectives": {"val_loss": {"from": {"file": "log.csv"}}}},
    ("train.py:LEARNING_RATE", "low"): {"space": {"knobs": {"train.py:LEARNING_RATE": {"high": 1.0}}}},
    ("train.py:LEARNING_RATE", "high"): {"space": {"knobs": {"train.py:LEARNING_RATE": {"low": 1e-9}}}},
    ("train.py:LEARNING_RATE", "scale"): {"space": {"knobs": {"train.py:LEARNING_RATE": {"low": 1, "high": 2}}}},
}


def in_a_file(section: Section, key: Key) -> str:
    tables: dict[str, Any] = tomllib.loads(f"{section.header}\n{key.example}\n")
    beside = BESIDE.get((section.path[-1], key.name), {})
    return tomlkit.dumps(together(together(SMALLEST, beside), tables))


@pytest.mark.parametrize(("section", "key"), EACH, ids=NAMES)
def test_every_example_is_read_as_it_stands(section: Section, key: Key, tmp_path: Path) -> None:
    parse(in_a_file(section, key), tmp_path / "cockpit.toml")


@pytest.mark.parametrize(("section", "key"), EACH, ids=NAMES)
def test_every_key_says_what_it_is_for_and_what_it_takes(section: Section, key: Key) -> None:
    assert key.says.endswith(".") and key.takes
    assert len(key.example.splitlines()) == 1


def test_every_key_of_the_types_is_there() -> None:
    said = {(*section.path, key.name) for section, key in EACH} | {section.path for section in SECTIONS}
    for section in SECTIONS:
        known = keys(Settings, section.path)  # none where names are the user's own
        assert not known or {path[-1] for path in said if path[:-1] == section.path} == set(known)
    assert {section.path[0] for section in SECTIONS} == set(Settings.model_fields)


@pytest.mark.parametrize(("section", "key"), EACH, ids=NAMES)
def test_a_default_is_what_holds_without_the_key(section: Section, key: Key, tmp_path: Path) -> None:
    """Put as it is said, a default changes nothing."""
    if not key.default:
        return
    file = tmp_path / "cockpit.toml"
    tables: dict[str, Any] = tomllib.loads(f"{section.header}\n{key.name} = {key.default}\n")
    beside = together(SMALLEST, BESIDE.get((section.path[-1], key.name), {}))
    with_it, without = (parse(tomlkit.dumps(one), file) for one in (together(beside, tables), beside))
    assert with_it.settings == without.settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[run]\ntarin = "x"\n',
            "[run] tarin` is not a key that cockpit knows; put `train`, if that is meant: `cockpit co",
        ),
        (
            '[rnu]\ntrain = "x"\n',
            "`[rnu]` is not a table that cockpit knows; put `run`, if that is meant: `cockpit config",
        ),
        ('[objectives]\nloss = { form = "a.csv" }\n', "loss.form` is not a key that cockpit knows; put `from`,"),
        ('[objectives]\nloss.from.patern = "a"\n', "loss.from.patern` is not a key that cockpit knows; put `pattern`"),
        ('[space.knobs]\n"a.py:B" = { hihg = 1 }\n', "a.py:B.hihg` is not a key that cockpit knows; put `high`,"),
        ("[study.stop_when]\nwithn = 1\n", "stop_when.withn` is not a key that cockpit knows; put `within`,"),
        (
            "[seeds]\nquux = 1\n",
            "quux` is not a key that cockpit knows; take it out: `cockpit config seeds` lists them",
        ),
        ("[objectives]\nloss = { smallest = { siez = 1 } }\n", "loss.smallest`: an effect is a share in quotes, as"),
    ],
)
def test_an_unknown_key_is_told_the_nearest_one(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, tmp_path / "cockpit.toml")
    assert said in str(caught.value)
