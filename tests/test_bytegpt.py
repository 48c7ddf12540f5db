"""The recipe that learns Python's own library: what is hidden, what is scored, and one small study of it."""

import itertools
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recipes
from loop.propose.space import annotated
from recipes.bytegpt import prepare
from tests.conftest import cockpit, git

pytestmark = pytest.mark.usefixtures("leaves_nothing")
STUDY = recipes.HERE / "bytegpt" / "study"
SMALL = {"HEADS": 1, "HEAD_WIDTH": 8, "DEPTH": 1, "BYTES": 8_000}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One in which every line is like no other, so that a window can be found again."""
    folder = tmp_path_factory.mktemp("library")
    for number in range(120):
        path = folder / f"package{number % 7}" / f"module{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"value_{number}_{line} = {line * number}  # é\n" for line in range(1600)))
    (folder / "copy.py").write_bytes((folder / "package1" / "module1.py").read_bytes())
    (folder / "link.py").symlink_to("copy.py")
    (folder / "latin.py").write_bytes(b"# \xe9\n")
    (folder / "empty.py").touch()
    (folder / "_sysconfigdata__linux.py").write_text("made = 1\n")
    for name in prepare.LEFT_OUT:
        (folder / "package2" / name).mkdir()
        (folder / "package2" / name / "left_out.py").write_text("left = 'out'\n")
    return folder


def test_the_same_seed_hides_the_same_and_another_one_something_else(library: Path, tmp_path: Path) -> None:
    made = []
    for number, seed in enumerate((0, 0, 1)):
        prepare.split(tmp_path / f"r{number}", tmp_path / f"s{number}", seed, library)
        parts = [tmp_path / f"r{number}" / "data", tmp_path / f"s{number}" / "labels"]
        made.append({path.name: path.read_bytes() for part in parts for path in part.iterdir()})
    assert made[0] == made[1]
    assert made[0].keys() == {"train.bin", "windows.bin", "next.bin", "split.json"}
    assert all(made[0][name] != made[2][name] for name in made[0])
    facts = [json.loads(one["split.json"]) for one in made]
    assert facts[0]["source_sha256"] == facts[2]["source_sha256"]
    assert len(made[0]["windows.bin"]) == 256 * len(made[0]["next.bin"]) == 256 * 4096
    assert len(made[0]["train.bin"]) == facts[0]["train_bytes"] <= 4 << 20


def test_what_is_hidden_is_nowhere_in_what_is_there(library: Path, tmp_path: Path) -> None:
    texts = prepare.sources(library)
    assert set(texts) == {"copy.py"} | {f"package{n % 7}/module{n}.py" for n in range(120) if n != 1}
    learned, hidden = prepare.halves(texts, 0)
    assert not learned.keys() & hidden.keys()
    assert {**learned, **hidden} == texts
    prepare.split(tmp_path / "r", tmp_path / "s", 0, library)
    train = (tmp_path / "r" / "data" / "train.bin").read_bytes()
    windows = (tmp_path / "r" / "data" / "windows.bin").read_bytes()
    labels = (tmp_path / "s" / "labels" / "next.bin").read_bytes()
    drawn = prepare.places(hidden, 0)
    taken: dict[str, list[int]] = {}
    for number, (name, at) in enumerate(drawn):
        window = windows[256 * number : 256 * (number + 1)]
        assert hidden[name][at : at + 257] == window + labels[number : number + 1]
        assert number % 16 or window not in train
        taken.setdefault(name, []).append(at)
    for starts in taken.values():
        starts.sort()
        assert all(two - one >= 257 + 64 for one, two in itertools.pairwise(starts))
    assert drawn != sorted(drawn)


def test_a_library_that_is_not_there_as_source_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("one = 1\n")
    with pytest.raises(SystemExit, match="too little of Python's library is there as source: 0 pieces") as error:
        prepare.split(tmp_path / "r", tmp_path / "s", 0, tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "r").exists()


def test_the_score_is_the_bits_of_the_hidden_byte(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    (tmp_path / "next.bin").write_bytes(bytes([7, 0]))
    words = [sys.executable, str(STUDY / "score.py"), "--out", str(tmp_path), "--labels", str(tmp_path)]

    def scored(logits: object) -> subprocess.CompletedProcess[str]:
        numpy.save(tmp_path / "logits.npy", logits)
        return subprocess.run(words, text=True, capture_output=True)

    logits = numpy.zeros((2, 256), dtype=numpy.float32)
    logits[0, 7] = 1000  # sure, and right; of the other row it knows nothing: 8 bits
    assert scored(logits).stdout == "val_bpb: 4.000000\n"
    logits[0, 7] = math.log(255)  # one in two: 1 bit
    assert scored(logits).stdout == "val_bpb: 4.500000\n"
    assert "has shape (1, 256), not (2, 256)" in scored(logits[:1]).stderr
    logits[1, 3] = math.inf
    assert "not finite" in scored(logits).stderr


def test_the_profile_for_a_gpu_has_the_same_knobs_within_its_bounds_and_builds(tmp_path: Path) -> None:
    profiles = [(STUDY / name).read_bytes() for name in ("knobs.py", "profiles/gpu.py")]
    few, many = ({knob.name: knob for knob in annotated("knobs.py", source)} for source in profiles)
    assert many.keys() - few.keys() == {"PRECISION"}
    assert len(few) == 12
    assert few.keys() < many.keys()
    for knob in (*few.values(), *many.values()):
        assert knob.domain.holds(knob.default)
    assert not any(knobs["CONTEXT"].domain.holds(257) for knobs in (few, many)), "a window has 256 bytes"
    names = [re.findall(rb"^([A-Z_]+) =", source, re.MULTILINE) for source in profiles]
    assert names[0] == names[1]

    shutil.copy(STUDY / "profiles" / "gpu.py", tmp_path / "knobs.py")
    shutil.copy(STUDY / "model.py", tmp_path)
    program = "import torch, model\nwith torch.inference_mode(), torch.device('meta'):\n"
    program += " print(tuple(model.Net().last(torch.zeros(1, 256, dtype=torch.int64)).shape))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, text=True, capture_output=True)
    assert done.stdout == "(1, 256)\n", done.stderr


def test_a_study_of_it_is_measured_and_nothing_that_is_hidden_is_in_its_repository(tmp_path: Path) -> None:
    study = tmp_path / "g"
    done = cockpit("new", "bytegpt", str(study))
    assert done.returncode == 0, done.stderr
    files = git(study, "ls-files").split("\n")
    assert {"data/train.bin", "data/windows.bin", "profiles/gpu.py"} <= set(files)
    assert not [name for name in files if "label" in name or "next" in name or "split" in name]
    knobs = study / "knobs.py"
    text = knobs.read_text()
    for name, value in SMALL.items():
        text, times = re.subn(rf"^{name} = \S+", f"{name} = {value}", text, flags=re.MULTILINE)
        assert times == 1
    knobs.write_text(text)
    config = study / "cockpit.toml"
    config.write_text(config.read_text().replace('name = "auto"', 'name = "none"'))
    git(study, "commit", "-qam", "smaller")

    done = cockpit("--batch", "--json", "--experiments", "1", str(study))
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout.splitlines()[-1])["experiments"]
    assert {name: one["source"] for name, one in row["measurements"].items()} == {
        "val_bpb": "scored",
        "predict_us_per_item": "evaluated",
        "parameters": "evaluated",
        "train_seconds": "measured",
        "peak_memory_bytes": "measured",
    }
    assert 2 < row["measurements"]["val_bpb"]["mean"] < 8
