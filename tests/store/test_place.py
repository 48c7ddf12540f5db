"""Where a study lives, and who runs it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.place import EngineRuns, NoStudy, engine_pid, find, safe_name, take_engine_lock
from tests.conftest import Write, git


def test_a_study_is_found_from_any_folder_below_its_root(write: Write) -> None:
    place = write(files={"deep/er/file": ""})
    assert find(place.root / "deep" / "er") == place
    assert place.folder == place.root / ".git" / "cockpit" / "tried"


def test_a_linked_working_tree_shares_the_study_of_its_repository(write: Write, tmp_path: Path) -> None:
    place = write()
    git(place.root, "worktree", "add", "-q", str(tmp_path / "linked"))
    linked = find(tmp_path / "linked")
    assert linked.folder == place.folder
    assert linked.git_dir != place.git_dir


def test_a_study_without_a_name_has_its_folders(write: Write) -> None:
    place = write()
    place.config.write_text("[run]\n")
    assert find(place.root).name == "study"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no cockpit.toml"),
        ("[study\n", r"cockpit.toml: Expected .*line 1"),
        (
            '[study]  # what is asked\ngoal = "a"\ngoal = "b"\n',
            r"cockpit.toml:3: `\[study\] goal` is said twice",
        ),
        ('[study]\nname = "a/b"\n', "cannot be called 'a/b'"),
        ('[study]\nname = "../../x"\n', "cannot be called"),
    ],
)
def test_what_is_missing_is_said(write: Write, text: str | None, said: str) -> None:
    place = write()
    place.config.unlink() if text is None else place.config.write_text(text)
    with pytest.raises(NoStudy, match=said):
        find(place.root)


def test_a_folder_outside_of_any_repository_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoStudy, match=r"is not in a git repository.*git init"):
        find(tmp_path)
    with pytest.raises(NoStudy, match="is not a folder"):
        find(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "a b", ".a", "a..b", "a.lock", "a.", "a/b", "-a", "ä", "a\n"])
def test_a_name_that_git_or_a_shell_would_trip_over_is_refused(name: str) -> None:
    assert not safe_name(name)


def test_git_takes_every_safe_name(write: Write) -> None:
    root = write().root
    for name in ("a", "A-1", "a_b", "nano.gpt", "0"):
        assert safe_name(name)
        git(root, "check-ref-format", f"refs/heads/cockpit/{name}/trunk")


def test_there_is_one_engine_and_it_is_named(tmp_path: Path) -> None:
    assert engine_pid(tmp_path) is None
    lock = take_engine_lock(tmp_path)
    assert engine_pid(tmp_path) == os.getpid()
    with pytest.raises(EngineRuns, match=f"pid {os.getpid()}") as caught:
        take_engine_lock(tmp_path)
    assert caught.value.pid == os.getpid()
    os.close(lock)
    assert engine_pid(tmp_path) is None


def test_the_lock_dies_with_its_engine(tmp_path: Path) -> None:
    program = "import sys, time; from pathlib import Path; from store.place import take_engine_lock\n"
    program += "take_engine_lock(Path(sys.argv[1])); print('taken', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        assert engine_pid(tmp_path) == engine.pid
        engine.kill()
    assert engine_pid(tmp_path) is None
    os.close(take_engine_lock(tmp_path))


def test_looking_at_the_lock_never_keeps_an_engine_from_taking_it(tmp_path: Path) -> None:
    looking = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from store.place import engine_pid\n"
            "while True: engine_pid(Path(sys.argv[1]))",
            str(tmp_path),
        ]
    )
    try:
        time.sleep(0.2)
        for _ in range(50):
            os.close(take_engine_lock(tmp_path))
    finally:
        looking.kill()
        looking.wait()
