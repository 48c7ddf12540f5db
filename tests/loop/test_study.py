"""`cockpit.toml`: what is wrong in it is said with file, line, key and fix."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.study import ConfigError, Effect, read
from recipes import names, path

SMALLEST = '[run]\ntrain = "python train.py"\n[objectives]\nloss = { direction = "minimize" }\n'
RATED = SMALLEST + 'us = { direction = "minimize" }\nseen = { direction = "minimize", steers = false }\n[study.worth]\n'
BOUNDED = SMALLEST + "[constraints]\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "cockpit.toml"
    file.write_text(text)
    return file


def test_the_smallest_file_has_a_train_command_and_one_objective(tmp_path: Path) -> None:
    settings = read(written(tmp_path, SMALLEST)).settings
    assert settings.run.train == "python train.py"
    assert settings.run.timeout == 20 * 60
    assert settings.run.slots == 1
    assert not settings.editable("train.py")


@pytest.mark.parametrize("name", names())
def test_every_recipe_can_be_read(name: str) -> None:
    assert read(path(name) / "study" / "cockpit.toml").settings.study.name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cockpit.toml: `[run]` is missing; the smallest file has `[run] train` and one objective"),
        ("[run\n", "cockpit.toml: Expected ']' at the end of a table declaration (at line 1, column 5)"),
        (SMALLEST + '[study]\nname = "x"\nnmae = "y"\n', ":7: `[study] nmae` is not a key that cockpit knows"),
        (SMALLEST + '[study]\nname = "a b"\n', ":6: `[study] name`: a study's name holds letters, digits"),
        (SMALLEST + '[space]\nedit = [\n  "../x",\n]\n', ":6: `[space] edit`: a path is relative to the repository"),
        (SMALLEST.replace("minimize", "down"), ":4: `[objectives] loss.direction` input should be 'minimize'"),
        (SMALLEST + 'x = { direction = "minimize", smallest = "a %" }', ":5: `[objectives] x.smallest`: an effect is"),
        (SMALLEST.replace("train.py", "train.py {out}"), ":2: `[run] train`: {out} does not stand for anything here"),
        (SMALLEST.replace("train.py", "train.py {study}"), ":2: `[run] train`: {study} does not stand for anything"),
        (SMALLEST.replace("train.py", "'train.py"), ":2: `[run] train`: the command cannot be split into words"),
        (
            SMALLEST.replace("[obj", "slots = 2\n[obj"),
            ":3: `[run] slots`: this version of cockpit makes one run at a time",
        ),
        (SMALLEST + "[run.x]\n", "cockpit.toml:5: `[run] x` is not a key that cockpit knows"),
        (SMALLEST.replace("[obj", 'timeout = "soon"\n[obj'), ":3: `[run] timeout`: a time is a number and a unit in"),
        (SMALLEST.replace("[obj", 'predict = "python p.py"\n[obj'), ":1: `[run]`: predict goes together with score"),
        (SMALLEST.replace('" }', '", steers = false }'), ":3: `[objectives]`: no objective steers the study"),
        (SMALLEST + '[model]\nhost = "my box"\n', ':6: `[model] host`: a host is an address as "http://127.0.0.1:1'),
        (SMALLEST + '[data]\nread = "x"\n', ':6: `[data] read`: it is a list, `["x"]`'),
        (SMALLEST + "[data]\nread = [3]\n", ":6: `[data] read`: it is a text, in quotes"),
        (
            SMALLEST + '[data]\ncarve = { file = "a.csv", label = true }\n',
            ":6: `[data] carve.label`: it is a text in quotes, or a whole number",
        ),
        (SMALLEST + "[model]\nshare = true\n", ":6: `[model] share`: input should be a valid number"),
        (SMALLEST + '[model]\nname = "a\\u0000.gguf"\n', ":6: `[model] name`: a name holds no control character"),
        (SMALLEST + "[model]\nnum_ctx = 9223372036854775808\n", ":6: `[model] num_ctx`: "),
        (SMALLEST + "[model]\nshare = 2\n", ":6: `[model] share`: input should be less than or equal to 1"),
        (SMALLEST + '[model]\nnum_ctx = "4k"\n', ":6: `[model] num_ctx`: input should be a valid integer"),
        (
            SMALLEST + 'loss = { direction = "maximize" }\n',
            ":5: `[objectives] loss` is said twice; leave one of the two",
        ),
        (
            SMALLEST.replace('" }', '", direction = "maximize" }'),
            ":4: `[objectives] loss.direction` is said twice; leave one of the two",
        ),
        (SMALLEST + "[objectives]\n", ":5: `[objectives]` is said twice; leave one of the two"),
        (
            SMALLEST.replace('"minimize"', '["minimize", "maximize"]'),
            ":4: `[objectives] loss.direction` input should be",
        ),
        (
            SMALLEST.replace('" }', '", scale = "ln" }'),
            ":4: `[objectives] loss.scale` input should be 'linear' or 'log'",
        ),
        (
            SMALLEST.replace('" }', '", give_up = -1 }'),
            ":4: `[objectives] loss.give_up`: an effect is a size: a finite",
        ),
        (
            RATED + 'loss = "1 %"\nuss = "9 %"\n',
            ":9: `[study] worth.uss` is no objective of this study; put one of loss",
        ),
        (
            RATED + 'loss = "1 %"\nseen = "9 %"\n',
            ":9: `[study] worth.seen` does not steer, so nothing is decided by it",
        ),
        (RATED + 'loss = "1 %"\nus = "0 %"\n', ":9: `[study] worth.us`: what is worth something is more than zero"),
        (RATED + 'loss = "1 %"\nus = -9\n', ":9: `[study] worth.us`: an effect is a size: a finite number, and not"),
        (
            RATED + 'loss = "1 %"\n',
            ":7: `[study] worth` says nothing with one objective alone; put what is worth as much: us",
        ),
        (
            SMALLEST + '[study]\nworth = { loss = "1 %" }\n',
            ":6: `[study] worth` weighs objectives against each other, and loss alone steers; take it out",
        ),
        (SMALLEST + '[study]\nworth = "1 %"\n', ":6: `[study] worth`: it is a table, `{ key = value }`"),
        (
            SMALLEST + 'changed_lines = { direction = "minimize", smallest = "1 %" }\n',
            ":5: `[objectives] changed_lines.smallest` is a number of lines, as 20: the baseline changes none",
        ),
        (
            SMALLEST + 'price_per_million_items = { direction = "minimize" }\n',
            ":5: `[objectives] price_per_million_items` needs what an hour of a device costs: put `[prices] device",
        ),
        (
            BOUNDED + "price_per_million_items = { max = 3 }\n",
            ":6: `[constraints] price_per_million_items` needs what an",
        ),
        (SMALLEST + "[prices]\ndevice_hour = 0\n", ":6: `[prices] device_hour`: input should be greater than 0"),
        (SMALLEST + "[prices]\nkwh = 1\n", ":6: `[prices] kwh` is not a key that cockpit knows"),
        (SMALLEST + "[budget]\njoules = 0\n", ":6: `[budget] joules`: input should be greater than 0"),
        (SMALLEST + "[budget]\nruns = 0\n", ":6: `[budget] runs`: input should be greater than or equal to 1"),
        (
            SMALLEST + "[budget]\nmoney = 5\n",
            ":6: `[budget] money` needs what an hour of a device costs: put `[prices]",
        ),
        (SMALLEST + '[budget]\ndevice_hours = "3 h"\n', ":6: `[budget] device_hours`: input should be a valid number"),
        (BOUNDED + "loss = 3\n", ":6: `[constraints] loss`: it is a table, `{ key = value }`; `cockpit config constr"),
        (BOUNDED + "loss = {}\n", ":6: `[constraints] loss`: a constraint has `max`, `min`, or both"),
        (BOUNDED + "loss = { most = 3 }\n", ":6: `[constraints] loss.most` is not a key that cockpit knows"),
        (BOUNDED + "loss = { min = 2, max = 1 }\n", ":6: `[constraints] loss`: `min` is more than `max`"),
        (BOUNDED + "loss = { max = inf }\n", ":6: `[constraints] loss.max`: input should be a finite number"),
        (BOUNDED + "x_ms = { max = 3 }\nloss = { max = true }\n", ":7: `[constraints] loss.max`: input should be a"),
        (BOUNDED + 'train_ms = { max = "2 s" }\n', ":6: `[constraints] train_ms.max`: a bound is a number in the unit"),
        (BOUNDED + 'x_bytes = { min = "2 s" }\n', ":6: `[constraints] x_bytes.min`: a bound is a number in the unit"),
    ],
)
def test_an_error_names_file_line_key_and_fix(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, text))
    assert said in str(caught.value)


def test_every_error_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, SMALLEST.replace("minimize", "down") + "[run.x]\n[fidelity]\n"))
    assert len(str(caught.value).splitlines()) == 3


@given(st.floats(min_value=0.001, max_value=100), st.sampled_from(["", " "]))
def test_an_effect_is_a_share_or_an_amount(share: float, space: str) -> None:
    from loop.study.values import _effect

    assert _effect(f"{share:.4f}{space}%") == Effect(size=float(f"{share:.4f}") / 100, relative=True)
    assert _effect(share) == Effect(size=share, relative=False)


@pytest.mark.parametrize(("text", "seconds"), [("90 s", 90), ("20 min", 1200), ("1.5h", 5400), ("2 d", 172800)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    from loop.study.values import _seconds

    assert _seconds(text) == seconds


@pytest.mark.parametrize(
    ("name", "bound", "value"),
    [
        ("loss", "0.5", 0.5),
        ("loss", "-3", -3.0),
        ("peak_memory_bytes", '"16 GB"', 16e9),
        ("peak_memory_bytes", '"512MiB"', 512 * 2**20),
        ("peak_memory_bytes", "1_000", 1000.0),
        ("bytes", '"1.5 kB"', 1500.0),
        ("train_seconds", '"2 min"', 120.0),
        ("train_seconds", "90", 90.0),
    ],
)
def test_a_bound_is_in_the_unit_that_the_name_of_its_quantity_ends_in(
    tmp_path: Path, name: str, bound: str, value: float
) -> None:
    for key in ("max", "min"):
        found = read(written(tmp_path, f"{BOUNDED}{name} = {{ {key} = {bound} }}\n")).settings.constraints[name]
        assert found.model_dump(exclude_none=True) == {key: value}


def test_the_same_text_is_the_same_revision(tmp_path: Path) -> None:
    one, other = (read(written(tmp_path, text)).digest for text in (SMALLEST, SMALLEST + "\n"))
    assert one != other
    assert read(written(tmp_path, SMALLEST)).digest == one


def test_rates_are_effects_on_objectives_that_are_worth_as_much_as_each_other(tmp_path: Path) -> None:
    text = SMALLEST + 'us = { direction = "minimize" }\n[study]\nworth = { loss = "1 %", us = 3 }\n'
    assert read(written(tmp_path, text)).settings.study.worth == {
        "loss": Effect(size=0.01, relative=True),
        "us": Effect(size=3.0, relative=False),
    }


def test_what_the_name_of_an_objective_says_need_not_be_said_again(tmp_path: Path) -> None:
    text = SMALLEST + (
        'changed_lines = { direction = "minimize" }\nprice_per_million_items = { direction = "minimize" }\n'
        '[prices]\ndevice_hour = 2.50\ncurrency = "EUR"\n'
    )
    found = read(written(tmp_path, text)).settings.objectives
    assert (found["changed_lines"].deterministic, found["changed_lines"].unit) == (True, "lines")
    assert found["price_per_million_items"].unit == "EUR"
    assert not found["loss"].deterministic
