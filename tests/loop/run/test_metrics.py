"""Where metrics stand: each format that trainers leave gives its points, and what is broken or hostile gives none."""

import io
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.engine import research
from loop.run import formats, metrics
from loop.run.formats import Point, Unreadable
from loop.run.metrics import Wanted, read
from loop.stop import Stop
from loop.study import ConfigError, parse
from store import views
from store.database import Database
from store.records import Ended, Outcome, Source
from tests.conftest import TRAIN, Write, cockpit
from tests.loop.run.test_sandbox import one_run
from tests.loop.test_engine import ONE


def said(reads: Callable[..., Iterator[Point]], data: bytes | str, *words: object) -> list[Point] | str:
    """What a reader finds in a file, or why it finds nothing."""
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    try:
        return list(reads(file, *words))
    except Unreadable as why:
        return str(why)


# --- what libraries write --------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        value, out = value >> 7, out + bytes([value & 127 | 128])
    return out + bytes([value])


def field(key: int, value: int | float | str | bytes) -> bytes:
    """A field of a protobuf message; a float is of four bytes."""
    if isinstance(value, int):
        return varint(key << 3) + varint(value % 2**64)
    if isinstance(value, float):
        return varint(key << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(key << 3 | 2) + varint(len(data)) + data


def event(step: int, *values: bytes) -> bytes:
    """A record of an event file."""
    said = field(2, step) + field(5, b"".join(field(1, value) for value in values))
    return struct.pack("<QI", len(said), 0) + said + struct.pack("<I", 0)


def scalar(tag: str, value: float) -> bytes:
    return field(1, tag) + field(2, value)


def tensor(tag: str, value: float) -> bytes:
    """As TensorFlow 2 writes one."""
    return field(1, tag) + field(8, field(1, 1) + field(2, b"") + field(4, struct.pack("<f", value)))


def wandb(*records: bytes) -> bytes:
    """An offline run's file: records in blocks of 32 KiB."""
    out = b":W&B\xe1\xbe\x00"
    for record in records:
        first = True
        while first or record:
            if (left := 32768 - len(out) % 32768) < 7:
                out, left = out + bytes(left), 32768
            part, record = record[: left - 7], record[left - 7 :]
            kind = (1 if not record else 2) if first else (4 if not record else 3)
            out += struct.pack("<IHB", 0, len(part), kind) + part
            first = False
    return out


def history(**values: float) -> bytes:
    return field(2, b"".join(field(1, field(2, key) + field(16, json.dumps(one))) for key, one in values.items()))


EVENTS = (
    event(0, scalar("loss", 4.0), scalar("lr", 0.5)) + event(10, scalar("loss", 2.0)) + event(-1, tensor("t", 0.25))
)
OFFLINE = wandb(field(20, b"x" * 40000), history(_step=0, loss=4.0), history(_step=7, loss=2.0, acc=0.5))
SUMMARY = wandb(field(3, field(1, field(1, "loss") + field(16, "2.5"))))
STATE = {"global_step": 20, "log_history": [{"loss": 3.0, "step": 10}, {"eval_loss": 2.0, "step": 10, "epoch": 1.0}]}
LIGHTNING = "epoch,step,train_loss,val_loss\n0,9,0.5,\n0,10,,0.4\n1,20,,0.3\n"


@pytest.mark.parametrize(
    ("reads", "data", "name", "found"),
    [
        (formats.in_csv, LIGHTNING, "val_loss", [(10, 0.4), (20, 0.3)]),
        (formats.in_csv, "\ufeffa, b\n1,2\n", "b", [(None, 2)]),
        (formats.in_csv, "step,a\n1,x\nstep,a\n2,nan\n3", "a", "nan at 2"),
        (formats.in_csv, "step,a\n", "b", "has no column `b`; it has `step`, `a`"),
        (formats.in_csv, 'a\n"' + "x" * 200_000, "a", []),
        (formats.in_csv, b"\0\xff\n\x80", "a", "has no column `a`; it has `\ufffd`"),
        (formats.in_json, json.dumps(STATE), "eval_loss", [(10, 2.0)]),
        (formats.in_json, json.dumps(STATE), "acc", "has no number `acc`; it has `loss`, `step`, `eval_loss`, `epoch`"),
        (formats.in_json, '{"eval": {"loss": 2}, "step": 5}', "eval.loss", [(5, 2)]),
        (formats.in_json, '{"val_loss": [3, null, 2]}', "val_loss", [(None, 3), (None, 2)]),
        (formats.in_json, '[{"epoch": 1, "a": "0.5"}]', "a", [(1, 0.5)]),
        (formats.in_json, '{"a": 1' + "0" * 400 + "}", "a", [(None, math.inf)]),
        (formats.in_json, "[" * 100_000, "a", "is no JSON"),
        (formats.in_json, "3", "a", "has no number `a`"),
        (formats.in_jsonl, '{"step": 1, "a": 3}\nno\n{"b": 1}\n{"step": 2, "a": tr', "a", [(1, 3)]),
        (formats.in_jsonl, '{"a": true, "b": 1}\n[]\n', "a", "has no number `a`; it has `b`"),
        (formats.in_tensorboard, EVENTS, "loss", [(0, 4), (10, 2)]),
        (formats.in_tensorboard, EVENTS, "t", [(-1, 0.25)]),
        (formats.in_tensorboard, EVENTS, "val", "has no scalar `val`; it has `loss`, `lr`, `t`"),
        (formats.in_tensorboard, EVENTS[:-30], "loss", [(0, 4), (10, 2)]),
        (formats.in_tensorboard, b"\xff" * 100, "loss", "has no scalar `loss`"),
        (formats.in_wandb, OFFLINE, "loss", [(0, 4), (7, 2)]),
        (formats.in_wandb, OFFLINE, "val", "has no number `val`; it has `loss`, `acc`"),
        (formats.in_wandb, OFFLINE[:-10], "loss", [(0, 4)]),
        (formats.in_wandb, SUMMARY, "loss", [(None, 2.5)]),
        (formats.in_wandb, b"no", "loss", "is no file of W&B's"),
    ],
)  # fmt: skip
def test_each_format_gives_its_points_or_says_what_it_has_instead(
    reads: Callable[..., Iterator[Point]], data: bytes | str, name: str, found: list[Point] | str
) -> None:
    words = (name,) if reads in (formats.in_tensorboard, formats.in_wandb) else (name, None)
    points = said(reads, data, *words)
    if found == "nan at 2":
        assert isinstance(points, list)
        assert [step for step, _ in points] == [2]
        assert math.isnan(points[0][1])
    else:
        assert points == found


@given(st.binary(max_size=400), st.sampled_from(["csv", "json", "jsonl", "tensorboard", "wandb"]), st.data())
def test_no_file_however_broken_does_more_than_give_no_points(noise: bytes, form: str, data: st.DataObject) -> None:
    whole = {"tensorboard": EVENTS, "wandb": OFFLINE[-200:], "csv": LIGHTNING.encode()}.get(form, b'{"a": 1}')
    at = data.draw(st.integers(0, len(whole)))
    start = b":W&B\xe1\xbe\x00" if form == "wandb" else b""
    words: tuple[object, ...] = ("loss",) if form in ("tensorboard", "wandb") else ("a", None)
    said(getattr(formats, f"in_{form}"), start + whole[:at] + noise + whole[at:], *words)


def test_a_pattern_finds_its_value_and_the_step_beside_it(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(
        "step 0: train loss 4.1, val loss 4.2\n"
        + "  1%|        | 1/99\r" * 200
        + "\x1b[31mstep 250:\x1b[0m train loss 1.9, val loss 2.0\nval loss soon\n"
        + "x" * 1_000_000
        + "\nstep 500: train loss 1.7, val loss 1.8"
    )
    pattern = r"step (?P<step>\d+):.* val loss (?P<value>[0-9.]+)"
    found = read(tmp_path, {"a": Wanted("a", pattern=pattern), "b": Wanted("b", pattern="test ([0-9]+)")}, ["train"], 0)
    assert (found["a"].value, found["a"].stage) == (1.8, "train")
    assert found["a"].curve == [(0, 4.2), (250, 2.0), (500, 1.8)]
    for pattern in ("val loss ([0-9.]+)", "(?i)VAL LOSS (?P<value>[0-9.]+)"):  # a step that is called so is one
        assert read(tmp_path, {"a": Wanted("a", pattern=pattern)}, ["train"], 0)["a"].curve == found["a"].curve
    assert found["b"].lack == "no line that a stage printed matches `test ([0-9]+)`"
    (tmp_path / "train.log").write_text(
        "epoch 3 step 100: val loss 2\nEpoch 3, iter 200: val loss 1\nepoch 4: val loss 3"
    )
    curve = [(100, 2), (200, 1), (201, 3)]
    assert read(tmp_path, {"a": Wanted("a", pattern="val loss ([0-9.]+)")}, ["train"], 0)["a"].curve == curve


# --- which value counts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "take", "counts"),
    [
        ([3, 1, 2], "last", 2),
        ([3, 1, 2], "min", 1),
        ([3, 1, 2], "max", 3),
        ([9, 1, 2], "mean of last 2", 1.5),
        ([4], "mean of last 5", 4),
        ([1e308, 1e308], "mean of last 2", 1e308),
        ([math.nan, 1, 2], "mean of last 2", 1.5),
        ([1, math.nan, 2], "mean of last 2", math.nan),
        ([1, math.inf], "last", math.inf),
        ([1, math.nan], "min", 1),
        ([math.nan], "max", math.nan),
    ],
)
def test_what_counts_is_what_is_said_and_what_is_not_finite_is_in_no_mean(
    values: list[float], take: str, counts: float
) -> None:
    points = metrics.Points(Wanted("a", take=take).window)
    for value in values:
        points.add(None, value)
    assert points.value(take) == counts or (math.isnan(counts) and math.isnan(points.value(take) or 0))


def test_of_a_curve_of_any_length_a_sample_and_its_end_are_kept() -> None:
    points = metrics.Points(1)
    for step in range(99_001):
        points.add(step, math.nan if step % 3 == 1 else step)
    assert metrics.MOST_POINTS / 2 <= len(points.drawn) <= metrics.MOST_POINTS
    assert points.drawn[-1] == (99_000, 99_000)


# --- which file ------------------------------------------------------------------------------------------------------


def test_the_newest_file_that_the_run_has_written_counts_and_no_link_is_followed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name, text, at in [
        ("lightning_logs/version_0/metrics.csv", "loss\n9\n", 50),  # the repository's own
        ("old.csv", "loss\n9\n", 50),
        ("lightning_logs/version_1/metrics.csv", "loss\n2\n", 101),
        ("lightning_logs/version_2/metrics.csv", "loss\n1\n", 102),
    ]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        os.utime(tree / name, (at, at))
    (tmp_path / "secret.csv").write_text("loss\n7\n")
    (tree / "link.csv").symlink_to("../secret.csv")
    (tree / "up").symlink_to("..")
    os.mkfifo(tree / "pipe.csv")
    (tree / "lightning_logs" / "version_3").mkdir()
    (tree / "lightning_logs" / "version_3" / "metrics.csv").symlink_to("metrics.csv")  # to itself
    files = {
        "lightning": "lightning_logs/*/metrics.csv", "old": "old.csv", "none": "{output}/a.csv", "link": "link.csv",
        "up": "up/secret.csv", "pipe": "pipe.csv",
    }  # fmt: skip
    found = read(tmp_path, {name: Wanted("loss", file=file) for name, file in files.items()}, [], 100)
    assert found["lightning"].value == 1
    assert found["old"].lack.startswith("no file `old.csv` was written since the run began")
    for name in ("none", "link", "up", "pipe"):
        assert found[name].lack == f"no file `{files[name]}` was written"


def test_all_event_files_of_a_folder_are_one_run(tmp_path: Path) -> None:
    (tmp_path / "output" / "tb").mkdir(parents=True)
    for index, step in enumerate((5, 1)):
        (tmp_path / "output" / "tb" / f"events.out.tfevents.{2 - index}").write_bytes(
            event(step, scalar("loss", float(step)))
        )
    found = read(tmp_path, {"loss": Wanted("loss", file="{output}/tb/events.out.tfevents.*")}, [], 0)
    assert (found["loss"].value, found["loss"].curve) == (5, [(1, 1), (5, 5)])


def test_a_hostile_file_takes_no_more_than_its_reader_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree").mkdir()
    with (tmp_path / "tree" / "a.jsonl").open("wb") as file:
        file.truncate(10 * 2**30)  # one line of nothing

    monkeypatch.setattr(formats, "MOST_BYTES", 2**22)
    found = read(tmp_path, {"a": Wanted("a", file="a.jsonl")}, [], 0)
    assert found["a"].lack == "`a.jsonl` has more than 4 MiB"
    monkeypatch.setattr(formats, "DOCUMENT_BYTES", 2**20)
    assert said(formats.in_json, b" " * (2**20 + 1), "a", None) == (
        "has more than 1 MiB: write one row a line, as JSONL"
    )


@pytest.mark.parametrize("name", ["a.csv", "a.wandb", "train.log"])
def test_of_a_file_that_is_too_long_no_value_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.csv").write_text("loss\n" + "4\n" * 100)
    (tmp_path / "tree" / "a.wandb").write_bytes(wandb(*[history(loss=4.0)] * 100))
    (tmp_path / "train.log").write_text("loss 4\n" * 100)
    wanted = Wanted("loss", pattern="loss ([0-9]+)") if name == "train.log" else Wanted("loss", file=name)
    assert read(tmp_path, {"loss": wanted}, ["train"], 0)["loss"].value == 4
    monkeypatch.setattr(formats, "MOST_BYTES", 100)
    found = read(tmp_path, {"loss": wanted}, ["train"], 0)["loss"]
    assert (found.value, found.lack) == (None, f"`{name}` has more than 0 MiB")


def test_of_very_many_files_the_newest_counts_and_one_without_a_number_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_FILES", 2)
    for index in range(9):
        path = tmp_path / "tree" / f"{index}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"loss,empty\n{index},\n")
        os.utime(path, (200 + index * 7 % 9,) * 2)  # the fifth is the newest
    found = read(tmp_path, {name: Wanted(name, file="*.csv") for name in ("loss", "empty")}, [], 100)
    assert found["loss"].value == 5
    assert found["empty"].lack == "`5.csv` has no value of `empty`"


# --- in a study ------------------------------------------------------------------------------------------------------


WRITES = TRAIN + (
    "import json\n"
    "with open(os.environ['COCKPIT_OUTPUT'] + '/log.jsonl', 'w') as log:\n"
    "    for step in range(4): print(json.dumps({'step': step, 'val': 1 + abs(step - 2)}), file=log)\n"
    "print('bits 5 per byte')\n"
)
SOURCES = """\
val = { direction = "minimize", from = { file = "{output}/log.jsonl", take = "min" } }
bits = { direction = "minimize", from = { pattern = "bits ([0-9]+)" } }
"""


async def test_a_study_measures_what_its_script_leaves_and_says_what_was_selected(write: Write) -> None:
    place = write(WRITES, more=SOURCES)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    values = {one.objective: (one.value, one.source) for one in run.measurements}
    assert (values["val"], values["bits"]) == ((1, Source.REPORTED), (5, Source.REPORTED))
    curves = json.loads((place.folder / run.folder / metrics.CURVES).read_text())
    assert curves == {"val": [[0, 3], [1, 2], [2, 1], [3, 2]]}
    async with await Database.open(place.folder) as database:
        baseline = await views.experiment(database, 0)
    assert baseline is not None
    assert {one.objective: one.said for one in baseline.measurements} == {
        "loss": "reported", "val": "reported, min of its curve: selected", "bits": "reported",
    }  # fmt: skip
    shown = cockpit("show", "e0000", str(place.root))
    assert "reported, min of its curve: selected, 1 run" in shown.stdout
    place.config.write_text(place.config.read_text().replace('take = "min"', 'take = "last"'))
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert next(one.value for one in (await one_run(place)).measurements if one.objective == "val") == 2


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('file = "out.csv"', "no file `out.csv` was written"),
        ('file = "{output}/log.jsonl", name = "loss"', "`log.jsonl` has no number `loss`; it has `step`, `val`"),
    ],
)
async def test_a_baseline_without_a_value_where_one_is_to_stand_says_which_line_to_mend(
    write: Write, source: str, why: str
) -> None:
    place = write(WRITES, more=f'val = {{ direction = "minimize", from = {{ {source} }} }}')
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    run = await one_run(place)
    assert run.outcome is Outcome.NO_METRICS
    assert run.detail == f"{why}; mend `[objectives] val.from`, {place.config}:13"


async def test_a_pattern_that_takes_forever_is_ended(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SECONDS", 1)
    place = write(
        "print('a' * 900)\n" + TRAIN, more='a = { direction = "minimize", from = { pattern = "((?:a|a)+)b" } }'
    )
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    assert "what was to say a cannot be read: did not answer within 1 s" in (await one_run(place)).detail


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('file = "a.csv", take = "best"', 'from.take`: what counts is "last", "min", "max" or, as an ex'),
        ('file = "a.pkl"', "from.file`: a file is one of .csv, .tsv, .json, .jsonl, `events.out.tfevents.*`"),
        ('file = "../a.csv"', "from.file`: a path is relative to the repository, and inside it"),
        ('file = "**/a.csv"', "from.file`: a file is named from the checkout on"),
        ('pattern = "loss"', "from.pattern`: put the value in parentheses, and nothing else"),
        ('pattern = "loss ("', "from.pattern`: it is no regular expression"),
        ('pattern = "(?P<at>.) (?P<value>.)"', "from.pattern`: a group may be called `value` or `step`"),
        ('pattern = "(.)", name = "a"', "from`: `name` and `step` are of a `file`"),
        ('take = "min"', "from`: it has `pattern` or `file`: what is printed, or what is written"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_meant_is_an_error_with_its_line(source: str, said: str) -> None:
    text = f'[run]\ntrain = "python t.py"\n[objectives]\na = {{ direction = "minimize", from = {{ {source} }} }}\n'
    with pytest.raises(ConfigError) as raised:
        parse(text, Path("cockpit.toml"))
    assert str(raised.value).startswith("cockpit.toml:4: `[objectives] a.from")
    assert said in str(raised.value)
