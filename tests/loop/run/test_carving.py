"""A file that is divided: the same everywhere, each row on one side, and no label where a model could find it."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.branches import Branches
from loop.engine import research
from loop.run import carved, carving
from loop.run.carving import LEAST_ROWS, Parts, Wrong
from loop.stop import Stop
from loop.study import Carve, ConfigError, parse
from loop.study import read as load
from store import views
from store.database import Database
from store.place import CONFIG, Place
from store.records import Ended, Run, Source
from tests.conftest import Write, cockpit, git
from tests.loop.run.test_language import HONEST
from tests.loop.test_engine import ONE

ROWS = [(f"{number}.5", f"a {number}", "no" if number % 3 else "yes") for number in range(300)]
TABLE = "size,name,bought\n" + "".join(f'{size},"{name}",{label}\n' for size, name, label in ROWS)


def carve(folder: Path, file: str, label: str | int | None = None, share: str = "20 %", **more: bytes) -> Parts:
    """What comes to lie in `folder/carved`, of files in `folder`."""
    for name, content in more.items():
        (folder / name).write_bytes(content)
    said = Carve.model_validate({"file": file, "label": label, "share": share})
    labels = folder / said.labels_file if said.labels_file else None
    return carving.carve(said, folder / file, labels, folder / "carved")


def read(folder: Path, part: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO((folder / "carved" / part).read_text())))


def test_each_row_is_on_one_side_and_the_scored_ones_have_no_label(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(TABLE)
    parts = carve(tmp_path, "data.csv", "bought")
    dev, inputs, labels = (read(tmp_path, part) for part in ("dev/data.csv", "inputs/data.csv", "labels.csv"))
    assert (parts.dev, parts.scored) == (len(dev) - 1, len(inputs) - 1)
    assert 30 < parts.scored < 90
    assert dev[0] == inputs[0] == ["size", "name", "bought"]
    assert {row[2] for row in inputs[1:]} == {dev[1][2]}
    whole = [*dev[1:], *([*row[:2], *label] for row, label in zip(inputs[1:], labels[1:], strict=True))]
    assert sorted(whole) == sorted(map(list, ROWS))
    kept = (tmp_path / "carved/dev/data.csv").read_text()
    assert all(line in TABLE for line in kept.splitlines()), "what training sees stands as it stood"


def test_what_is_scored_stands_in_no_order_of_the_labels(tmp_path: Path) -> None:
    rows = sorted(ROWS, key=lambda row: row[2])
    (tmp_path / "data.csv").write_text("size,name,bought\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    carve(tmp_path, "data.csv", "bought")
    labels = [row[0] for row in read(tmp_path, "labels.csv")[1:]]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))


ROW = st.tuples(st.text("ab\n\",' ;é", max_size=6), st.integers(0, 40).map(str), st.sampled_from("xyz"))


@settings(max_examples=40)
@given(rows=st.lists(ROW, min_size=150, max_size=200), more=st.lists(ROW, max_size=20))
def test_equal_rows_lie_on_one_side_and_rows_that_are_added_move_none(
    rows: list[tuple[str, ...]], more: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sides = []
    for part in (rows, [*more, *rows]):
        folder = tmp_path_factory.mktemp("carve")
        with (folder / "data.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("text", "number", "label"), *part])
        try:
            carve(folder, "data.csv", "label", "40 %")
        except Wrong as why:
            assert str(LEAST_ROWS) in str(why)
            return
        with (folder / "carved/dev/data.csv").open(newline="") as file:
            dev = {tuple(cell.strip() for cell in row[:2]) for row in list(csv.reader(file))[1:]}
        with (folder / "carved/inputs/data.csv").open(newline="") as file:
            scored = {tuple(cell.strip() for cell in row[:2]) for row in list(csv.reader(file))[1:]}
        assert not dev & scored
        sides.append((dev, scored))
    (dev, scored), (later, more_scored) = sides
    assert dev <= later
    assert scored <= more_scored


def test_a_table_without_names_is_divided_by_the_number_of_its_column(tmp_path: Path) -> None:
    for suffix, separator in (("csv", ","), ("data", ";"), ("dat", " ")):
        folder = tmp_path / suffix
        folder.mkdir()
        table = "# a comment\n" + "".join(f"{n}{separator}{n * 2}{separator}{n % 7}\n" for n in range(300))
        (folder / f"d.{suffix}").write_text(table)
        parts = carve(folder, f"d.{suffix}", -1)
        dev = numpy.loadtxt(folder / f"carved/dev/d.{suffix}", delimiter=separator)
        inputs = numpy.loadtxt(folder / f"carved/inputs/d.{suffix}", delimiter=separator)
        labels = numpy.loadtxt(folder / "carved/labels.csv", skiprows=1)
        assert dev.shape == (parts.dev, 3)
        assert parts.dev + len(inputs) == 300
        assert (inputs[:, 0] % 7 == labels).all()
        assert len(set(inputs[:, 2])) == 1


def test_lines_of_json_are_divided(tmp_path: Path) -> None:
    lines = [{"text": f"word {n}", "label": n % 2, "n": n} for n in range(200)]
    (tmp_path / "d.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"text": "", "label": null}\n'
    )
    parts = carve(tmp_path, "d.jsonl", "label")
    inputs = [json.loads(line) for line in (tmp_path / "carved/inputs/d.jsonl").read_text().splitlines()]
    labels = [row[0] for row in read(tmp_path, "labels.csv")[1:]]
    assert [str(one["n"] % 2) for one in inputs] == labels
    assert len({one["label"] for one in inputs}) == 1
    assert parts.dev + parts.scored == 201


@pytest.mark.parametrize("packed", [True, False])
def test_arrays_are_divided_by_rows_and_what_is_no_row_stays_whole(tmp_path: Path, packed: bool) -> None:
    x = numpy.random.default_rng(0).normal(size=(400, 2, 3)).astype("f4")
    y = numpy.arange(400, dtype="i8")
    if packed:
        numpy.savez_compressed(tmp_path / "d.npz", x=x, y=y, scale=numpy.ones(3), rate=numpy.float64(5))
        parts = carve(tmp_path, "d.npz", "y")
        dev, inputs = (dict(numpy.load(tmp_path / f"carved/{part}/d.npz")) for part in ("dev", "inputs"))
        assert (dev["scale"] == inputs["scale"]).all()
        assert dev["rate"] == inputs["rate"] == 5
        assert (inputs["y"] == dev["y"][0]).all()
    else:
        numpy.save(tmp_path / "x.npy", x)
        numpy.save(tmp_path / "y.npy", y)
        parts = carve(tmp_path, "x.npy", "y.npy")
        dev = {"x": numpy.load(tmp_path / "carved/dev/x.npy"), "y": numpy.load(tmp_path / "carved/dev/labels-y.npy")}
        inputs = {"x": numpy.load(tmp_path / "carved/inputs/x.npy")}
    labels = numpy.loadtxt(tmp_path / "carved/labels.csv", skiprows=1).astype(int)
    assert (dev["x"] == x[dev["y"]]).all()
    assert (inputs["x"] == x[labels]).all()
    assert sorted([*dev["y"], *labels]) == [*range(400)]
    assert parts.dev == len(dev["x"])


def test_class_folders_are_divided_and_no_name_says_the_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(100):
            (tmp_path / "images" / name / f"{name}{number}.png").write_text(f"{name} {number}")
    parts = carve(tmp_path, "images/")
    inputs = sorted((tmp_path / "carved/inputs/images").rglob("*.png"))
    assert {one.parent.name for one in inputs} == {"cat"}
    labels = [row[0] for row in read(tmp_path, "labels.csv")[1:]]
    assert [one.read_text().split()[0] for one in inputs] == labels
    assert set(labels) == {"cat", "dog"}
    kept = [*(tmp_path / "carved/dev/images").rglob("*.png")]
    assert len(kept) == parts.dev == 200 - len(labels)
    assert {one.stat().st_nlink for one in kept} == {1}, "a file that is edited in place does not change the split"


def test_a_row_may_go_over_lines_and_a_cell_may_be_long(tmp_path: Path) -> None:
    long = "é" * 140_000
    rows = [(f"{number}\r\n{long if number < 20 else number}", str(number % 2)) for number in range(200)]
    with (tmp_path / "d.csv").open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows])
    before = csv.field_size_limit(2**30)
    parts = carve(tmp_path, "d.csv", "label")
    inputs, labels = read(tmp_path, "inputs/d.csv"), read(tmp_path, "labels.csv")
    csv.field_size_limit(before)
    assert parts.scored == len(inputs) - 1
    assert {(row[0], *label) for row, label in zip(inputs[1:], labels[1:], strict=True)} <= {
        (text.replace("\r", ""), label) for text, label in rows
    }


async def test_of_class_folders_that_are_committed_the_tree_is_divided(write: Write) -> None:
    more = 'accuracy = { direction = "maximize" }\n[data]\ncarve = { file = "images/" }\n'
    files = {f"images/{name}/{number}.png": f"{name} {number}" for name in ("cat", "dog") for number in range(100)}
    place = write("print('loss: 1')", run=RUN, more=more, files={**files, "predict.py": ALWAYS})
    (place.root / "images/cat/0.png").write_text("edited")
    (place.root / "images/cat/new.png").write_text("new")
    revision, branches = load(place.config), await Branches.of(place)
    split = await carved.made(place, revision, branches, "HEAD", place.folder)
    assert split is not None
    assert split.facts["parts"]["dev"] + split.facts["parts"]["scored"] == 200
    kept = [one.read_text() for one in split.dev["images"].rglob("*.png")]
    assert len(kept) == split.facts["parts"]["dev"] and set(kept) < set(files.values())
    again = await carved.made(place, revision, branches, "HEAD", place.folder / "elsewhere", place.folder)
    assert again == split and not [*(place.folder / "elsewhere").glob("carved-*")], "it is taken where it is"


def test_of_a_text_the_end_is_scored_from_the_end_of_a_line_on(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(5000))
    (tmp_path / "input.txt").write_text(text)
    carve(tmp_path, "input.txt", None, "10 %")
    dev, end = ((tmp_path / "carved" / part).read_text() for part in ("dev/input.txt", "labels.txt"))
    assert dev + end == text
    assert dev.endswith("\n")
    assert 0.09 < len(end) / len(text) < 0.1


@pytest.mark.parametrize(
    ("text", "label", "said"),
    [
        (TABLE, "sold", "has no column 'sold', or two: its first line has size, name, bought"),
        ("size,bought\n" + "1,2\n" * 30, "bought", "on either side there are 20 at least"),
        ("size,bought\n1,2,3\n", "bought", "has a row of 3 cells, and others have 2"),
        ("1,2\n" * 50, 4, "has a row of 2 cells"),
    ],
)
def test_what_cannot_be_divided_is_said(tmp_path: Path, text: str, label: str | int, said: str) -> None:
    (tmp_path / "d.csv").write_text(text)
    with pytest.raises(Wrong) as caught:
        carve(tmp_path, "d.csv", label)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("run", "carve", "said"),
    [
        ('scorer = "classification"', '{ file = "d.csv" }', "which column is predicted? put `label"),
        ('scorer = "classification"', '{ file = "d.bin" }', "a .bin is not divided; what is: .csv"),
        ('scorer = "causal_lm"', '{ file = "d.csv", label = "y" }', "is no text, which `causal_lm` alone scores"),
        ('scorer = "regression"', '{ file = "d.txt" }', "is a text, which `causal_lm` scores"),
        ('scorer = "regression"', '{ file = "../d.csv", label = "y" }', "inside it"),
        ('scorer = "regression"', '{ file = "d.csv", label = "y", share = "70 %" }', "at most 50 %"),
        ('scorer = "regression"', '{ file = "x.npy", label = 3 }', "the labels of an array are one of as many rows"),
        ('scorer = "regression"', '{ file = "x.csv", label = "y" }\nlabels = "y.csv"', "take one out"),
        ("", '{ file = "d.csv", label = "y" }', "needs `[run] predict` and a scorer"),
    ],
)
def test_a_line_that_cannot_be_carved_is_an_error_with_what_to_do(run: str, carve: str, said: str) -> None:
    predict = 'predict = "python predict.py {inputs}"' if run and "txt" not in carve else 'predict = "p"' if run else ""
    text = f'[run]\ntrain = "x"\n{predict}\n{run}\n[data]\ncarve = {carve}\n[objectives.rmse]\ndirection = "minimize"\n'
    with pytest.raises(ConfigError) as caught:
        parse(text, Path(CONFIG))
    assert said in str(caught.value)


# --- in a study ------------------------------------------------------------------------------------------------------

SEES = """
import csv, os, pathlib, sys
rows = [*csv.reader(open("data/d.csv"))]
print("rows", len(rows), "of", sorted({row[-1] for row in rows[1:]}))
print("inputs", os.environ.get("COCKPIT_INPUTS"))
"""
ALWAYS = (
    SEES
    + """
inputs = [*csv.reader(open(sys.argv[1]))]
open(os.environ["COCKPIT_OUTPUT"] + "/predictions.csv", "w").write("prediction\\n" + "yes\\n" * (len(inputs) - 1))
print("asked", len(inputs) - 1, "of", sorted({row[-1] for row in inputs[1:]}))
"""
)
RUN = 'predict = "python predict.py {inputs}"\nscorer = "classification"'
MORE = 'accuracy = { direction = "maximize" }\n[data]\ncarve = { file = "data/d.csv", label = "bought" }\n'


def study(write: Write, more: str = MORE, **files: str) -> Place:
    train = SEES + "print('loss:', 1.0 + int(os.environ['COCKPIT_SEED']) % 7)\nRATE = 0.1  # cockpit: 0.001..1.0 log\n"
    return write(train, run=RUN, more=more, files={"data/d.csv": TABLE, "predict.py": ALWAYS, **files})


async def first(place: Place) -> tuple[Run, dict[str, str]]:
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    async with await Database.open(place.folder) as database:
        run = (await views.runs(database, 0))[-1]
    return run, {stage.name: (place.folder / stage.log).read_text() for stage in run.stages}


@pytest.mark.parametrize("kept", ["committed", "ignored", "in a folder that is lent"])
async def test_training_sees_the_rest_predict_the_inputs_and_the_scorer_alone_the_labels(
    write: Write, bwrap: str, kept: str
) -> None:
    more = MORE + ('read = ["data"]\n' if kept.startswith("in") else "")
    place = study(write, more, **({} if kept == "committed" else {".gitignore": "data\n"}))
    run, logs = await first(place)
    (accuracy,) = [one for one in run.measurements if one.objective == "accuracy"]
    assert accuracy.source is Source.SCORED
    assert 0.1 < accuracy.value < 0.6
    (number,) = [int(line.split()[1]) for line in logs["train"].splitlines() if line.startswith("rows")]
    asked, of = logs["predict"].splitlines()[-1].removeprefix("asked ").split(" of ")
    assert number - 1 + int(asked) == 300
    assert len(of.split(",")) == 1
    assert "inputs None" in logs["train"]
    assert git(place.root, "status", "--porcelain") == ""
    assert (place.root / "data/d.csv").read_text() == TABLE


@pytest.mark.parametrize(
    "where", ["data/d.csv", "ROOT/data/d.csv", "STUDY/carved/labels.csv", "STUDY/carved/inputs/d.csv"]
)
async def test_what_looks_for_what_is_scored_does_not_find_it_in_training(write: Write, bwrap: str, where: str) -> None:
    place = study(write, MORE + 'read = ["data"]\n', **{".gitignore": "data\n"})
    at = where.replace("ROOT", str(place.root)).replace("STUDY", str(place.folder))
    more = f"import os\nprint('found', os.path.exists({at!r}) and len(open({at!r}).readlines()))\n"
    (place.root / "train.py").write_text(more + (place.root / "train.py").read_text())
    git(place.root, "commit", "-qam", "looks")
    _, logs = await first(place)
    found = logs["train"].splitlines()[0].removeprefix("found ")
    assert found == "False" or int(found) < len(ROWS)


async def test_a_split_is_made_once_and_another_file_is_another_bench(write: Write) -> None:
    place = study(write, **{".gitignore": "data\n"})
    await first(place)
    (before,) = place.folder.glob("carved-*")
    at = (before / "dev/d.csv").stat().st_mtime_ns
    (place.root / "data/d.csv").rename(place.root / "gone")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS  # the split is there
    assert (before / "dev/d.csv").stat().st_mtime_ns == at
    (place.root / "data/d.csv").write_text(TABLE + "7,other,no\n")
    head = cockpit("--batch", "--experiments", "1", str(place.root)).stdout
    assert "carved   data/d.csv: " in head
    assert len([*place.folder.glob("carved-*")]) == 2
    async with await Database.open(place.folder) as database:
        assert len({run.bench for run in await views.runs(database, 0)}) == 2


async def test_what_is_laid_out_has_the_split_on_which_it_was_measured(write: Write, tmp_path: Path) -> None:
    place = study(write, **{".gitignore": "data\n"})
    await first(place)
    (before,) = place.folder.glob("carved-*")
    other = shutil.copytree(before, place.folder / "carved-other")
    (other / "facts.json").write_text(json.dumps({**json.loads((before / "facts.json").read_text()), "share": 0.3}))
    (place.folder / "carved").unlink()
    (place.folder / "carved").symlink_to(other.name)
    assert cockpit("checkout", "e0000", str(tmp_path / "laid"), str(place.root)).returncode == 0
    commands = json.loads(cockpit("show", "e0000", "--json", str(place.root)).stdout)["commands"]
    assert commands[0].endswith(
        "python train.py  # it sees all of data/d.csv here; `cockpit checkout e0000 DIR` has the split"
    )
    assert commands[1:] == ["python predict.py inputs"], "and no path of this machine"
    script = (tmp_path / "laid.sh").read_text()
    assert str(before) in script and str(other) not in script and f"{place.folder}/carved/" not in script
    shutil.rmtree(before)
    done = cockpit("checkout", "e0000", str(tmp_path / "gone"), str(place.root))
    assert "e0000 was measured on another split: `cockpit rerun e0000` measures it on this one" in done.stderr


async def test_a_copy_of_the_whole_file_makes_what_is_scored_evaluated_and_is_named(write: Write) -> None:
    place = study(write, **{"backup.csv": TABLE})
    run, _ = await first(place)
    assert {one.source for one in run.measurements if one.objective == "accuracy"} == {Source.EVALUATED}
    said: dict[str, Any] = json.loads(cockpit("status", "--json", str(place.root)).stdout)
    assert "backup.csv, which is committed" in said["doubts"][0]
    assert said["doubts"][0] in json.loads(cockpit("check", "--json", str(place.root)).stdout)["warnings"]


def test_check_says_what_will_be_carved_and_leaves_nothing(write: Write) -> None:
    place = study(write)
    done = cockpit("check", str(place.root))
    assert done.returncode == 0, done.stdout
    assert "carved     data/d.csv: 2" in done.stdout
    assert not place.folder.exists()
    (place.root / "data/d.csv").unlink()
    git(place.root, "rm", "-q", "data/d.csv")
    git(place.root, "commit", "-qm", "gone")
    done = cockpit("check", str(place.root))
    assert "`[data] carve`: there is no data/d.csv; make it, or mend the name" in done.stdout


async def test_a_language_model_is_scored_on_the_end_of_the_text_that_it_is_trained_on(write: Write) -> None:
    run = 'predict = "python predict.py"\nscorer = "causal_lm"'
    more = 'val_bpb = { direction = "minimize" }\n[data]\ncarve = { file = "train.txt", share = "SHARE" }'
    text = "".join(f"the cat {number} sat on the mat and the dog on the log\n" for number in range(1500))
    train = "print('loss: 1.0', len(open('train.txt').read()))\nRATE = 0.1  # cockpit: 0.001..1.0 log\n"
    files = {"predict.py": HONEST, "train.txt": text}
    place = write(train, run=run, more=more.replace("SHARE", "50 %"), files=files)
    found, logs = await first(place)
    assert {one.objective: one.source for one in found.measurements}["val_bpb"] is Source.SCORED
    assert int(logs["train"].split()[2]) < 0.52 * len(text)
    place.config.write_text(place.config.read_text().replace("50 %", "10 %"))
    with pytest.raises(
        ConfigError, match=r"cockpit.toml:\d+: `\[data\] carve`: the text has \d+ bytes, and a score takes"
    ):
        await research(place, ONE, Stop())


@pytest.mark.parametrize("kept", ["committed", "ignored", "in a folder that is lent", "in a folder that is a link"])
async def test_what_is_laid_out_has_the_part_of_training_and_takes_nothing_of_the_users_away(
    write: Write, bwrap: str, kept: str, tmp_path: Path
) -> None:
    more = MORE + ('read = ["data"]\n' if kept.startswith("in a") else "")
    place = study(write, more, **({} if kept == "committed" else {".gitignore": "data\n"}))
    if kept.endswith("link"):
        (place.root / "data").rename(tmp_path / "elsewhere")
        (place.root / "data").symlink_to(tmp_path / "elsewhere")
    await first(place)
    laid = tmp_path / "laid"
    assert cockpit("checkout", "e0000", str(laid), str(place.root)).returncode == 0
    ran = subprocess.run(["sh", f"{laid}.sh"], capture_output=True, text=True)
    assert (place.root / "data/d.csv").read_text() == TABLE
    assert not (place.root / "data/d.csv").is_symlink()
    assert ran.returncode == 0, ran.stderr
    assert "accuracy: " in ran.stdout
    seen = next(line for line in ran.stdout.splitlines() if line.startswith("rows"))
    assert int(seen.split()[1]) < len(ROWS)


async def test_without_a_wall_a_folder_that_is_lent_must_not_hold_the_whole_file(write: Write, no_wall: str) -> None:
    place = study(write, MORE + 'read = ["data"]\n', **{".gitignore": "data\n"})
    with pytest.raises(
        ConfigError, match=r"`\[data\] carve`: data/d.csv lies in what `read` lends, where runs would see"
    ):
        await research(place, ONE, Stop())
    place.config.write_text(place.config.read_text().replace('read = ["data"]\n', ""))
    _, logs = await first(place)
    assert int(logs["train"].split("rows ")[1].split()[0]) < len(ROWS)


@pytest.mark.parametrize("links", ["the folder", "the folder, in a lent one"])
async def test_a_committed_link_on_the_way_to_the_file_is_an_error_before_anything_runs(
    write: Write, links: str, tmp_path: Path, no_wall: str
) -> None:
    more = MORE + ('read = ["data"]\n' if "lent" in links else "")
    place = study(write, more, **{".gitignore": "nothing\n"})
    (place.root / "data").rename(tmp_path / "elsewhere")
    (place.root / "data").symlink_to(tmp_path / "elsewhere")
    git(place.root, "add", "-A")
    git(place.root, "commit", "-qm", "a link")
    with pytest.raises(
        ConfigError, match=r"`\[data\] carve`: data is a committed link, by which .*git rm --cached data"
    ):
        await research(place, ONE, Stop())


@pytest.mark.parametrize("way", ["by another name", "through a link in it"])
async def test_without_a_wall_what_is_lent_must_not_lead_to_the_whole_file(
    write: Write, no_wall: str, way: str, tmp_path: Path
) -> None:
    place = study(write, **{".gitignore": "data\npool\n"})
    lent = place.root / "pool"
    if way.startswith("by"):
        lent.symlink_to(place.root / "data")
    else:
        lent.mkdir()
        (lent / "all.csv").symlink_to(place.root / "data/d.csv")
    place.config.write_text(place.config.read_text().replace("[data]\n", '[data]\nread = ["pool"]\n'))
    with pytest.raises(ConfigError, match=r"`\[data\] carve`: data/d.csv lies in what `read` lends"):
        await research(place, ONE, Stop())


async def test_a_link_of_the_users_own_to_the_data_makes_no_doubt(write: Write, bwrap: str, tmp_path: Path) -> None:
    place = study(write, **{".gitignore": "data\n"})
    (place.root / "data").rename(tmp_path / "elsewhere")
    (place.root / "data").symlink_to(tmp_path / "elsewhere")
    lends = f'[data]\nread = ["{tmp_path}/elsewhere"]\n'
    place.config.write_text(place.config.read_text().replace("[data]\n", lends))
    run, _ = await first(place)
    assert {one.source for one in run.measurements if one.objective == "accuracy"} == {Source.SCORED}
