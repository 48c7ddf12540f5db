"""The caches of libraries: a run finds them in its own home and writes there, and nothing of that is left."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from loop.engine import research
from loop.run import caches, sandbox
from loop.run.caches import Cache
from loop.run.sandbox import Wall
from loop.run.stages import COMPILERS, Launch, commands
from loop.stop import Stop
from store.records import Ended, Outcome
from tests.conftest import TRAIN, Write
from tests.loop.run.test_sandbox import one_run
from tests.loop.run.test_stages import RUN, SCORED, settings
from tests.loop.test_engine import ONE

BIG = caches.SMALL_BYTES + 1


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with what huggingface_hub and torch.hub have downloaded, and a token."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME")
    model = home / ".cache" / "huggingface" / "hub" / "models--tiny"
    (model / "blobs").mkdir(parents=True)
    (model / "snapshots" / "a1").mkdir(parents=True)
    (model / "blobs" / "b0").write_text("w" * BIG)
    (model / "snapshots" / "a1" / "weights").symlink_to("../../blobs/b0")
    (home / ".cache" / "huggingface" / "token").write_text("secret")
    (home / ".cache" / "torch" / "hub").mkdir(parents=True)
    (home / ".cache" / "torch" / "hub" / "trusted_list").write_text("mine\n")
    return home / ".cache"


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


USES = """
home = os.path.expanduser('~/.cache/')
print('read:', len(open(home + 'huggingface/hub/models--tiny/snapshots/a1/weights').read()))
print('token:', os.path.exists(home + 'huggingface/token'))
open(home + 'torch/hub/trusted_list', 'a').write('theirs')
open(home + 'huggingface/hub/models--tiny/new', 'w').write('x')
os.remove(home + 'huggingface/hub/models--tiny/snapshots/a1/weights')
os.remove(home + 'huggingface/hub/models--tiny/blobs/b0')
"""


async def test_a_run_reads_what_was_downloaded_and_writes_beside_it_and_the_cache_stays(
    write: Write, cache: Path, bwrap: str
) -> None:
    place, before = write(TRAIN + USES), files(cache)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert run.outcome is Outcome.OK
    said = (place.folder / run.folder / "train.log").read_text()
    assert f"read: {BIG}\ntoken: False" in said
    assert files(cache) == before
    assert not [path.name for path in (place.folder / run.folder).iterdir() if path.name.startswith("tree")]


async def test_without_a_wall_no_cache_is_lent_for_it_could_be_changed(write: Write, cache: Path, no_wall: str) -> None:
    place = write(TRAIN + "print('home:', os.listdir(os.path.expanduser('~')))\n")
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    assert "home: []" in (place.folder / (await one_run(place)).folder / "train.log").read_text()


def test_where_bubblewrap_has_layers_the_kernel_keeps_what_is_written_apart(tmp_path: Path) -> None:
    wall = Wall(name="bwrap", program=("bwrap",), caches=(Cache(Path("/theirs"), ".cache/torch"),), layered=True)
    wall.lend(tmp_path, "tree")
    words = wall.around(["python"], tmp_path, tmp_path / "tree")
    at, layer = words.index("--overlay-src"), tmp_path / "tree.layers" / "0"
    home, mounted = tmp_path / "tree.home", tmp_path / "tree.caches" / ".cache" / "torch"
    assert words[at : at + 6] == [
        *("--overlay-src", "/theirs", "--overlay", f"{layer}/written", f"{layer}/work", str(mounted))
    ]
    assert (home / ".cache" / "torch").readlink() == mounted, "a home can be changed from stage to stage"
    assert all(Path(path).is_dir() for path in words[at + 3 : at + 5])


async def test_layers_that_cannot_be_mounted_leave_the_wall_standing(
    write: Write, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "bwrap").write_text(
        "#!/bin/sh\n"
        'case "$*" in --help) echo --overlay-src; exit;; *--overlay-src*) echo no such mount >&2; exit 1;; esac\n'
        f'exec {bwrap} "$@"\n'
    )
    (new / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{new}{os.pathsep}{os.environ['PATH']}")
    place = write(TRAIN + USES)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert (run.wall, run.outcome) == (sandbox.BWRAP, Outcome.OK)


def test_a_cache_is_looked_for_where_its_library_looks(tmp_path: Path) -> None:
    for name in ("hf/datasets", "hub", "xdg/torch", "home/scikit_learn_data"):
        (tmp_path / name).mkdir(parents=True)
    said = {"HF_HOME": "hf", "HF_HUB_CACHE": "hub", "XDG_CACHE_HOME": "xdg", "HOME": "home"}
    found = caches.found({name: str(tmp_path / folder) for name, folder in said.items()})
    assert {one.place: str(one.source.relative_to(tmp_path)) for one in found} == {
        ".cache/huggingface/hub": "hub",
        ".cache/huggingface/datasets": "hf/datasets",
        ".cache/torch": "xdg/torch",
        "scikit_learn_data": "home/scikit_learn_data",
    }


@pytest.mark.parametrize(
    "said",
    [
        {"HF_HOME": "hf", "HF_HUB_CACHE": "hf"},
        {"HF_HUB_CACHE": "hf", "HF_TOKEN_PATH": "hf/mine"},
        {"TORCH_HOME": "home"},
        {"TORCH_HOME": "."},
        {"TORCH_HOME": "~nosuch/x"},
    ],
)
def test_a_folder_with_the_token_or_a_whole_home_is_no_cache(tmp_path: Path, said: dict[str, str]) -> None:
    for name in ("hf", "home"):
        (tmp_path / name).mkdir()
    variables = {name: path if path.startswith("~") else str(tmp_path / path) for name, path in said.items()}
    assert caches.found({"HOME": str(tmp_path / "home"), **variables}) == []


def test_of_a_cache_with_too_many_files_the_rest_is_there_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "MOST_ENTRIES", 4)
    (tmp_path / "from" / "deep" / "deeper").mkdir(parents=True)
    for name in ("a", "deep/b", "deep/deeper/c", "deep/deeper/d"):
        (tmp_path / "from" / name).write_text(name)
    caches.make_anew(tmp_path / "from", tmp_path / "to")
    assert [(tmp_path / "to" / name).is_symlink() for name in ("a", "deep", "deep/b", "deep/deeper")] == [
        False, False, False, True,
    ]  # fmt: skip
    assert (tmp_path / "to" / "deep" / "deeper" / "d").read_text() == "deep/deeper/d"


async def test_a_cache_that_would_bring_the_repository_with_it_is_not_lent(
    write: Write, monkeypatch: pytest.MonkeyPatch, bwrap: str
) -> None:
    place = write(TRAIN + "print(os.path.exists(os.path.expanduser('~/.cache/torch')))\n")
    monkeypatch.setenv("TORCH_HOME", str(place.root.parent))
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    run = await one_run(place)
    assert "False" in (place.folder / run.folder / "train.log").read_text()


async def test_what_is_to_be_synced_to_wandb_later_stays_with_the_run_and_nothing_of_the_users_is_moved(
    write: Write,
) -> None:
    leaves = (
        "for name in ('wandb', 'out/wandb'): os.makedirs(name + '/offline-run-' + str(len(name)))\n"
        "os.symlink('offline-run-itself', 'wandb/offline-run-itself')\n"
    )
    files = {".gitignore": "data/\n", "data/wandb/offline-run-mine/a": "mine"}
    place = write(TRAIN + leaves, more='[data]\nread = ["data", "data/wandb"]', files=files)
    assert await research(place, ONE, Stop()) is Ended.EXPERIMENTS
    kept = place.folder / (await one_run(place)).folder / "wandb"
    assert sorted(path.name for path in kept.iterdir()) == ["offline-run-5", "offline-run-9"]
    assert (place.root / "data" / "wandb" / "offline-run-mine" / "a").exists()


# --- what is compiled ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "objective", "kept"),
    [
        ("screen", "loss", True),
        ("race", "loss", True),
        ("baseline", "loss", False),
        ("verify", "loss", False),
        ("confirm", "loss", False),
        ("challenge", "loss", False),  # with which what is confirmed is compared
        ("screen", "train_seconds", False),
        ("screen", "peak_device_memory", False),
    ],
)
def test_what_is_compiled_is_kept_for_the_study_but_neither_for_what_confirms_nor_where_seconds_decide(
    tmp_path: Path, purpose: str, objective: str, kept: bool
) -> None:
    asked = settings(SCORED, **{objective: {"direction": "minimize"}})
    run = replace(RUN, purpose=purpose)
    study, wall = Path("/the/study"), Wall(name="bwrap", program=("bwrap",))
    train, _, score = commands(asked, study, tmp_path, Launch(Path("p"), {}), wall, run, "c")
    for variable, name in COMPILERS.items():
        path = f"{study}/compiled/{name}"
        assert train.env.get(variable) == (path if kept else None)
        assert (path in train.argv) is kept
        assert variable not in score.env, "what the code under test wrote is nothing that a scorer runs"


def test_what_answers_from_a_sealed_text_leaves_nothing_to_later_runs(tmp_path: Path) -> None:
    run = {"train": "python train.py", "predict": "python predict.py", "scorer": "causal_lm"}
    asked = settings(SCORED).model_copy(update={"run": settings(SCORED).run.model_validate(run)})
    train, predict, _ = commands(asked, Path("/the/study"), tmp_path, Launch(Path("p"), {}), Wall(), RUN, "c")
    assert COMPILERS.keys() <= train.env.keys() and not COMPILERS.keys() & predict.env.keys()
