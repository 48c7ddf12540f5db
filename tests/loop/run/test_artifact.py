"""What training leaves that counts: its size, and the parameters that its files say they hold."""

import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from loop.engine import research
from loop.run import artifact, tensors
from loop.run.supervisor import left_files
from loop.stop import Stop
from loop.study import ConfigError, parse
from store import views
from store.database import Database
from store.place import CONFIG, Place
from store.records import Ended, Outcome, Run, Source
from tests.conftest import TRAIN, Write
from tests.loop.test_engine import ONE

TEXT = '[run]\ntrain = "python train.py"\nartifact = "{}"\n[objectives]\nparameters = {{ direction = "minimize" }}\n'


def read(*files: Path) -> dict[str, Any]:
    """What the process says that is asked."""
    named = json.dumps({path.name: str(path) for path in files})
    words = [sys.executable, "-I", "-S", "-c", Path(tensors.__file__).read_text(), named]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def safetensors(file: Path, header: dict[str, Any], data: int = 0, length: int | None = None) -> Path:
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + b"\0" * data)
    return file


def tensor(count: int, begin: int, kind: str = "F32", size: int = 4) -> dict[str, Any]:
    return {"dtype": kind, "shape": [count], "data_offsets": [begin, begin + count * size]}


# --- the parameters of a file ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that the libraries themselves have written, by one process that has torch."""
    folder = tmp_path_factory.mktemp("made")
    program = """
import sys, numpy, torch
from safetensors.torch import save_file
folder = sys.argv[1]
net = torch.nn.Sequential(torch.nn.Linear(10, 20), torch.nn.BatchNorm1d(20), torch.nn.Linear(20, 5).half())
state = net.state_dict()
save_file(state, folder + "/model.safetensors")
torch.save(state, folder + "/state.pt")
torch.save(net, folder + "/whole.pt")
torch.save({**state, "tied": state["0.weight"], "rows": state["0.weight"][:3]}, folder + "/tied.pt")
optimizer = torch.optim.AdamW(net.parameters())
for weights in net.parameters():
    weights.grad = torch.ones_like(weights)
optimizer.step()
checkpoint = {"model": state, "optimizer": optimizer.state_dict(), "iter_num": 3, "best": torch.tensor(1.0)}
torch.save(checkpoint, folder + "/ckpt.pt")
torch.save({"params_ema": state, "optimizer_g": optimizer.state_dict()}, folder + "/other.ckpt")
torch.save({"generator": state, "critic": state}, folder + "/two.pt")
torch.save([torch.empty(3, dtype=torch.bfloat16), torch.empty(4, dtype=torch.float8_e4m3fn)], folder + "/list.pt")
numpy.savez(folder + "/arrays.npz", a=numpy.zeros((3, 4)), b=numpy.zeros(5))
numpy.save(folder + "/array.npy", numpy.zeros((3, 4)))
"""
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True)
    return folder


WEIGHTS = 10 * 20 + 20 + 4 * 20 + 1 + 20 * 5 + 5  # batch norm has two buffers of 20, and one that counts


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("model.safetensors", {"parameters": WEIGHTS, "of": ""}),
        ("state.pt", {"parameters": WEIGHTS, "of": ""}),
        ("whole.pt", {"parameters": WEIGHTS, "of": ""}),
        ("tied.pt", {"parameters": WEIGHTS, "of": ""}),
        ("ckpt.pt", {"parameters": WEIGHTS, "of": "`model` of ckpt.pt"}),
        ("other.ckpt", {"parameters": WEIGHTS, "of": "`params_ema` of other.ckpt"}),
        ("list.pt", {"parameters": 7, "of": ""}),
        ("arrays.npz", {"parameters": 17, "of": ""}),
        ("array.npy", {"parameters": 12, "of": ""}),
        ("two.pt", {"lack": "two.pt has tensors in `generator`, `critic`: call the model's `model`, or save it alone"}),
    ],
)
def test_the_parameters_are_those_that_the_library_has_written(made: Path, name: str, found: dict[str, Any]) -> None:
    assert read(made / name) == found


def test_of_a_trainers_folder_the_model_counts_and_all_of_its_parts(made: Path, tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors"):
        safetensors(tmp_path / name, {"w": tensor(5, 0)}, 20)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "optimizer.pt").write_bytes((made / "ckpt.pt").read_bytes())
    assert read(*tmp_path.iterdir())["parameters"] == 10
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (tmp_path / name).unlink()
    (tmp_path / "pytorch_model.bin").write_bytes((made / "state.pt").read_bytes())
    assert read(*tmp_path.iterdir())["parameters"] == WEIGHTS


def test_gguf_says_its_elements_whatever_they_are_quantised_to(tmp_path: Path) -> None:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    pairs = text(b"name") + struct.pack("<I", 8) + text(b"x") + text(b"list") + struct.pack("<IIQ", 9, 8, 2)
    pairs += text(b"a") + text(b"b") + text(b"n") + struct.pack("<II", 4, 7)
    tensors = text(b"w") + struct.pack("<IQQIQ", 2, 32, 10, 2, 0) + text(b"b") + struct.pack("<IQIQ", 1, 32, 0, 180)
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2, 3) + pairs + tensors + b"\0" * 400)
    assert read(tmp_path / "m.gguf") == {"parameters": 352, "of": ""}
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0))
    assert "more tensors than there can be" in read(tmp_path / "m.gguf")["lack"]


@pytest.mark.parametrize(
    ("header", "data", "length", "lack"),
    [
        ({"w": tensor(1, 0)}, 400, None, "has more in it, or less, than its header says"),
        ({"w": tensor(4, 8)}, 24, None, "has tensors that overlap, or something between them"),
        ({"a": tensor(4, 0), "b": tensor(4, 0)}, 16, None, "has tensors that overlap, or something between them"),
        ({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}, 400, None, "says of 'w' what does not fit"),
        ({"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, 16, None, "a tensor whose shape is none"),
        ({"w": {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]}}, 16, None, "cannot be read: TypeError"),
        ({"w": 3}, 0, None, "cannot be read: TypeError"),
        ({}, 10, 2**40, "is no safetensors, no GGUF"),
        ({}, 0, None, "no tensor stands in what train left"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_no_count(
    tmp_path: Path, header: dict[str, Any], data: int, length: int | None, lack: str
) -> None:
    assert lack in read(safetensors(tmp_path / "m.safetensors", header, data, length))["lack"]


class Evil:
    """It would make a file, were it unpickled."""

    def __init__(self, here: Path) -> None:
        self.here = here

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.here}",)


def torchlike(file: Path, data: bytes, storage: int = 0) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m/data.pkl", data)
        archive.writestr("m/data/0", b"\0" * storage)
    return file


def test_nothing_that_a_checkpoint_names_is_imported_or_called(tmp_path: Path) -> None:
    here = tmp_path / "here"
    data = pickle.dumps({"model": Evil(here), "b": print})
    assert "lack" in read(torchlike(tmp_path / "m.pt", data))
    (tmp_path / "m.bin").write_bytes(pickle.dumps([Evil(here)] * 9))
    assert "is a pickle, and no file of torch.save" in read(tmp_path / "m.bin")["lack"]
    assert not here.exists()
    pickle.loads(data)
    assert here.exists(), "it would have been seen"


def test_a_storage_that_is_larger_than_its_tensors_say_is_no_count(tmp_path: Path) -> None:
    class Storage:
        pass

    class Writer(pickle._Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return ("storage", FloatStorage, "0", "cpu", 4) if isinstance(obj, Storage) else None

    from torch import FloatStorage
    from torch._utils import _rebuild_tensor_v2

    class Tensor:
        def __reduce__(self) -> Any:
            return _rebuild_tensor_v2, (Storage(), 0, (4,), (1,), False, {})

    with (tmp_path / "p").open("wb") as file:
        Writer(file, 2).dump({"w": Tensor()})
    data = (tmp_path / "p").read_bytes()
    assert read(torchlike(tmp_path / "m.pt", data, 16)) == {"parameters": 4, "of": ""}
    assert "what does not fit: 4 of FloatStorage" in read(torchlike(tmp_path / "m.pt", data, 4000))["lack"]


@pytest.mark.parametrize(
    "data", [b"\x80\x02r\xff\xff\xff\xff.", b"(" * 100_000 + b"t" * 100_000 + b".", b"", b"\x80\x04."]
)
def test_a_pickle_that_is_made_to_break_who_reads_it_is_no_count(tmp_path: Path, data: bytes) -> None:
    assert "m.pt" in read(torchlike(tmp_path / "m.pt", data))["lack"] or data.startswith(b"(")


# --- which files count -----------------------------------------------------------------------------------------------


def test_the_output_comes_first_then_the_checkout_and_what_was_committed_does_not_count(tmp_path: Path) -> None:
    settings = parse(TEXT.format("out/*.pt"), tmp_path / CONFIG).settings
    found = [(str(tmp_path / "output"), "out/*.pt"), (str(tmp_path / "tree"), "out/*.pt")]
    places = list(artifact.places(settings, tmp_path))
    assert places == found
    alone = parse(TEXT.format("{output}/m"), tmp_path / CONFIG).settings
    assert artifact.places(alone, tmp_path) == ((str(tmp_path / "output"), "m"),)
    for name in ("tree/out", "output/out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tree/out/old.pt").write_text("old")
    time.sleep(0.02)
    since = time.time()
    time.sleep(0.02)
    assert left_files(places, since) == []
    (tmp_path / "tree/out/new.pt").write_text("new")
    (tmp_path / "tree/out/link.pt").symlink_to("/etc/passwd")
    os.utime(tmp_path / "tree/out/new.pt", (0, 0))
    assert [path for path, _ in left_files(places, since)] == [f"{tmp_path}/tree/out/new.pt"]
    (tmp_path / "output/out/first.pt").write_text("first")
    os.link(tmp_path / "output/out/first.pt", tmp_path / "output/out/again.pt")
    assert len(left_files(places, since)) == 1


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "**/x", "{study}/x", "", "{output}/"])
def test_an_artifact_is_in_the_run_folder(name: str) -> None:
    with pytest.raises(ConfigError, match=r"cockpit.toml:3: `\[run\] artifact`"):
        parse(TEXT.format(name), Path(CONFIG))


# --- in a study ------------------------------------------------------------------------------------------------------

SAVE = (
    TRAIN
    + """
import json, struct
header = json.dumps({"w": {"dtype": "F32", "shape": [300], "data_offsets": [0, 1200]}}).encode()
with open(os.environ["COCKPIT_OUTPUT"] + "/m.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header + bytes(1200))
open(os.environ["COCKPIT_OUTPUT"] + "/log", "w").write("x" * 9999)
print("parameters: 1")
"""
)
MORE = 'parameters = { direction = "minimize" }\nartifact_bytes = { direction = "minimize" }\n'


async def last(place: Place) -> Run:
    async with await Database.open(place.folder) as database:
        return (await views.runs(database, 0))[-1]


async def test_parameters_and_bytes_of_the_artifact_are_measured_whatever_is_printed(write: Write) -> None:
    place = write(SAVE, run='artifact = "m.safetensors"', more=MORE)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    found = {one.objective: one for one in (await last(place)).measurements}
    assert (found["parameters"].value, found["parameters"].source) == (300, Source.MEASURED)
    assert 1200 < found["artifact_bytes"].value < 1400


async def test_without_an_artifact_a_stage_prints_the_parameters(write: Write) -> None:
    place = write(SAVE, more=MORE)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    found = {one.objective: one for one in (await last(place)).measurements}
    assert (found["parameters"].value, found["parameters"].source) == (1, Source.REPORTED)
    assert found["artifact_bytes"].value > 9999


@pytest.mark.parametrize(
    ("run", "lack"),
    [
        ('artifact = "gone.pt"', "train left nothing called gone.pt in {output} or its checkout"),
        ('artifact = "log"', "the parameters are not known: log is no safetensors"),
        (
            'artifact = "m.safetensors"\neval = "python late.py"',
            "m.safetensors was changed when training had ended: what that leaves is what counts",
        ),
    ],
)
async def test_where_the_parameters_cannot_be_counted_it_is_said_why_and_where(
    write: Write, run: str, lack: str
) -> None:
    late = "import os; open(os.environ['COCKPIT_OUTPUT'] + '/m.safetensors', 'a').write('')\n"
    late += "os.utime(os.environ['COCKPIT_OUTPUT'] + '/m.safetensors')\n"
    place = write(SAVE, run=run, more=MORE.partition("artifact_bytes")[0], files={"late.py": late})
    assert await research(place, ONE, Stop()) is Ended.BASELINE_FAILED
    ended = await last(place)
    assert ended.outcome is Outcome.NO_METRICS
    assert lack in ended.detail
    assert "change `[objectives] parameters`" in ended.detail
