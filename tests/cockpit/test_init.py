"""`cockpit init`: from a training script to a cockpit.toml, with a sentence for whatever is in the way."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loop.study import read
from store.place import repository as find_repository
from store.probed import Noise, Probed, Ran, Seed, Spoken, write
from tests.conftest import cockpit, git
from tests.repositories import made

TRAIN = """\
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--hidden", type=int, default=48)
parser.add_argument("--seed", type=int, default=1337)
args = parser.parse_args()
for step in range(3):
    print(f"step {step}: train loss {args.lr:.4f}, val loss {args.lr:.4f}")
"""
Made = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A repository with these files, in which the next command is typed."""

    def make(files: dict[str, str], *, commit: bool = True, inside: str = "") -> Path:
        folder = tmp_path / "mine"
        folder.mkdir()
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git(folder, "init", "-q", "-b", "main")
        if commit:
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", "begin")
        monkeypatch.chdir(folder / inside)
        return folder

    return make


def refused(*words: str, status: int = 1) -> str:
    done = cockpit("init", *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr


def test_init_names_what_it_finds_and_writes_one_file(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    done = cockpit("init", "--yes", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    text = (folder / "cockpit.toml").read_text()
    assert all(word in text for word in ('"--lr"', '"--hidden"', 'seed = "--seed {seed}"', "val_loss", "train.py:3"))
    assert git(folder, "status", "--porcelain").split() == ["??", "cockpit.toml"]
    assert not (folder / ".git/cockpit").exists()


def test_init_again_has_nothing_to_add_and_a_new_flag_is_a_diff(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    cockpit("init", "--yes", "--", "python", "train.py")
    before = (folder / "cockpit.toml").read_text()
    assert "says all of this already" in cockpit("init", "--yes").stdout
    assert (folder / "cockpit.toml").read_text() == before
    (folder / "train.py").write_text(TRAIN.replace("args = ", 'parser.add_argument("--wd", default=0.1)\nargs = '))
    git(folder, "commit", "-qam", "more")
    assert '+"--wd"' in (said := cockpit("init").stdout)
    assert "nothing is written" in said
    assert (folder / "cockpit.toml").read_text() == before
    assert cockpit("init", "--yes").returncode == 0
    after = (folder / "cockpit.toml").read_text()
    assert '"--wd"' in after
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []


def test_what_else_is_measured_is_recorded_and_shown_and_steers_nothing(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    assert cockpit("init", "--yes", "--", "python", "train.py").returncode == 0
    found = read(folder / "cockpit.toml").settings
    assert found.steering == ["val_loss"]
    assert [*found.objectives] == ["val_loss", "train_seconds", "train_loss"]
    assert "# peak_memory_bytes = " in (folder / "cockpit.toml").read_text()


@pytest.mark.parametrize(
    ("call", "offered"),
    [("random.seed(1)", True), ("SEED = 1\nrandom.seed(SEED)", False), ("random.seed(1)\nrandom.seed(2)", False)],
)
def test_that_a_hard_coded_seed_will_be_offered_to_change_is_said(repository: Made, call: str, offered: bool) -> None:
    repository({"train.py": f"import random\n{call}\nRATE = 0.1\nprint('loss:', RATE * random.random())\n"})
    done = cockpit("init", "--yes", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    said = "the seed is hard-coded at train.py:2: once e0000 has run, the study offers a change that reads it from"
    assert (said in done.stdout) == offered
    assert json.loads(cockpit("init", "--json").stdout)["seed"]["change_offered"] == offered


def test_that_a_seed_in_a_protected_file_stays_hard_coded_is_said(repository: Made) -> None:
    train = "from data_utils import seed\nseed()\nRATE = 0.1\nprint('loss:', RATE)\n"
    repository({"train.py": train, "data_utils.py": "import random\ndef seed():\n    random.seed(1)\n"})
    done = cockpit("init", "--yes", "--", "python", "train.py")
    assert "hard-coded at data_utils.py:3, and the study offers no change of it: data_utils.py is not in `edit`" in (
        done.stdout
    )


def test_without_a_terminal_and_without_yes_it_says_what_it_found_and_writes_nothing(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    done = cockpit("init", "--", "python", "train.py")
    assert done.returncode == 0
    assert "--lr" in done.stdout
    assert "nothing is written" in done.stdout
    assert "--yes" in done.stdout
    assert not (folder / "cockpit.toml").exists()


def test_a_direction_is_asked_for_and_never_guessed(repository: Made) -> None:
    folder = repository({"train.py": "for step in range(3):\n    print(f'step {step}: val_score {step / 3:.3f}')\n"})
    said = refused("--yes", "--", "python", "train.py")
    assert "which way is better is not clear" in said
    assert "--metric val_score --maximize" in said
    assert not (folder / "cockpit.toml").exists()
    assert cockpit("init", "--yes", "--metric", "val_score", "--maximize", "--", "python", "train.py").returncode == 0
    text = (folder / "cockpit.toml").read_text()
    assert 'val_score = { direction = "maximize"' in text


def test_no_metric_is_an_error_that_says_two_ways_on(repository: Made) -> None:
    repository({"train.py": "x = 1\nprint('done')\n"})
    said = refused("--yes", "--", "python", "train.py")
    assert "cockpit probe -- python train.py" in said
    assert "--metric val_loss --minimize" in said


def test_what_a_probe_has_seen_counts_more_than_what_the_source_says(repository: Made) -> None:
    folder = repository({"train.py": TRAIN, "data/a": ""})
    ran = [Ran(1, "ok", "", seconds, seconds, 1.0, 1, None, None, {"bpb": 1.0}, {"bpb": 1}) for seconds in (31.0, 29.0)]
    probed = Probed(
        at=0.0, command=("python", "train.py"), commit="", tree="", python="", python_version="", wall="none",
        no_wall="", network=False,
        lent=("set.csv",), dirty=(), device="cpu", threads=1, timeout_seconds=600.0, runs=tuple(ran),
        metrics=(Spoken("bpb", None, "out/log.jsonl", "eval.bpb", "minimize", (1.0,), (None,)),),
        seed=Seed(None, "", "", None, None), noise={"bpb": Noise(1.0, 0.1, 1, 0.004, 0.001, 0.1, 0.01, "seeds")},
        time_budget=False, tonight=None, failure="", said=(),
    )  # fmt: skip
    write(find_repository(folder), probed)
    done = cockpit("init", "--yes")  # the command is the probe's
    assert done.returncode == 0, done.stderr
    text = (folder / "cockpit.toml").read_text()
    assert 'bpb = { direction = "minimize", from = { file = "out/log.jsonl", name = "eval.bpb" } }' in text
    assert "its noise 0.4 %" in text
    assert 'timeout = "6 min"  # a run took 31 s' in text
    assert '"set.csv"' in text


def test_json_says_all_of_it_and_writes_only_with_yes(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    said = json.loads(cockpit("init", "--json", "--", "python", "train.py").stdout)
    assert not said["written"]
    assert not (folder / "cockpit.toml").exists()
    assert [one["key"] for one in said["knobs"]] == ["--lr", "--hidden"]
    assert said["objective"] == {
        "name": "val_loss",
        "direction": "minimize",
        "evidence": "printed at train.py:8",
    }
    done = json.loads(cockpit("init", "--json", "--yes", "--", "python", "train.py").stdout)
    assert done["written"]
    assert done["text"] == said["text"] == (folder / "cockpit.toml").read_text()


def test_a_terminal_is_asked_a_few_questions(repository: Made) -> None:
    folder = repository({"train.py": TRAIN + "    print('val_acc:', step / 3)\n"})
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "cockpit", "init", "--", "python", "train.py"]
    variables = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, start_new_session=True)
    os.close(theirs)
    os.write(ours, b"\n\n")
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, said.decode()
    assert said.count(b"]: ") <= 4
    assert b"Which metric is the objective?" in said
    assert "for there is no environment here; has all that is imported" in " ".join(said.decode().split()), (
        "no reason is cut"
    )
    assert (folder / "cockpit.toml").is_file()


def test_drafts_of_a_scorer_stop_with_a_sentence_until_they_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made("checkpoint", tmp_path / "mine")
    monkeypatch.chdir(folder)
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert done.returncode == 0, done.stderr
    assert "drafts, which stop until their TODO lines are done" in done.stdout
    assert "no split can be carved: data/points.csv (train.py:31): which of it is predicted is not clear" in done.stdout
    assert "what is measured stays *evaluated*" in done.stdout
    for name in ("predict.py", "score.py"):
        ran = subprocess.run([sys.executable, name, "--out", ".", "--labels", "."], capture_output=True, text=True)
        assert ran.returncode == 1
        assert f"{name} is a draft" in ran.stderr
        compile((folder / name).read_text(), name, "exec")
    assert sorted(git(folder, "status", "--porcelain").split()[1::2]) == ["cockpit.toml", "predict.py", "score.py"]


def test_a_scorer_that_is_there_is_never_overwritten(repository: Made) -> None:
    folder = repository({"train.py": TRAIN, "score.py": "mine"})
    done = cockpit("init", "--yes", "--scored", "--", "python", "train.py")
    assert done.returncode == 0
    assert "score.py: there already, and left as it is" in done.stderr
    assert (folder / "score.py").read_text() == "mine"
    assert (folder / "predict.py").exists()


# --- what is in the way ----------------------------------------------------------------------------------------------


def test_a_folder_that_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is not in a git repository: `git init` makes one" in refused("--yes", "--", "python", "train.py")


def test_a_repository_without_a_commit(repository: Made) -> None:
    repository({"train.py": TRAIN}, commit=False)
    assert "has no commit yet, and what runs is what is committed: `git add -A && git commit" in refused("--yes")


def test_a_repository_without_python(repository: Made) -> None:
    repository({"main.c": "int main() {}"})
    assert "there is no Python file in HEAD: say what trains" in refused("--yes")


def test_a_script_that_is_not_committed(repository: Made) -> None:
    folder = repository({"a.txt": ""})
    (folder / "train.py").write_text(TRAIN)
    said = refused("--yes", "--", "python", "train.py")
    assert "train.py is not committed, and what runs is what is committed: `git add train.py && git commit`" in said


def test_a_script_of_another_folder_is_named(repository: Made) -> None:
    repository({"lab/train.py": TRAIN})
    assert "there is lab/train.py" in refused("--yes", "--", "python", "train.py")


def test_of_several_train_scripts_each_is_listed_with_what_to_type(repository: Made) -> None:
    repository({f"{name}/train.py": TRAIN + "model.fit()\n" for name in ("vision", "text", "sound")})
    said = refused("--yes")
    assert "3 scripts here look like training" in said
    assert all(f"cockpit init -- python {name}/train.py" in said for name in ("vision", "text", "sound"))


def test_in_a_subfolder_its_own_script_is_found_and_the_file_goes_to_the_top(repository: Made) -> None:
    folder = repository({f"{name}/train.py": TRAIN + "model.fit()\n" for name in ("vision", "text")}, inside="text")
    assert cockpit("init", "--yes").returncode == 0
    text = (folder / "cockpit.toml").read_text()
    assert 'train = "python train.py"' in text
    assert 'cwd = "text"' in text
    assert '"--lr"' in text
    done = cockpit("check", "--json", str(folder))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["cwd"] == "text"


def test_another_script_is_another_study_and_is_refused(repository: Made) -> None:
    folder = repository({f"{name}/train.py": TRAIN + "model.fit()\n" for name in ("vision", "text")}, inside="text")
    assert cockpit("init", "--yes", "--", "python", "train.py").returncode == 0
    before = (folder / "cockpit.toml").read_text()
    said = refused("--yes", str(folder), "--", "python", "vision/train.py")
    assert "cockpit.toml is the study of text/train.py, and vision/train.py is another one: move the file" in said
    assert "is the study of text/train.py" in refused("--yes", str(folder / "vision"))
    assert (folder / "cockpit.toml").read_text() == before
    assert cockpit("init", "--yes", str(folder)).returncode == 0  # what it is the study of, and not the first of two
    assert (folder / "cockpit.toml").read_text() == before
    (folder / "cockpit.toml").rename(folder / "cockpit.first.toml")
    assert cockpit("init", "--yes", str(folder / "vision"), "--", "python", "train.py").returncode == 0
    (folder / "cockpit.toml").write_text(
        '[study]\nname = "other"\n' + (folder / "cockpit.toml").read_text().replace("[study]\n", "")
    )
    assert cockpit("check", str(folder)).returncode == 0


def test_an_interpreter_that_is_typed_is_kept(repository: Made) -> None:
    folder = repository({"train.py": TRAIN})
    assert cockpit("init", "--yes", "--", sys.executable, "train.py").returncode == 0
    assert read(folder / "cockpit.toml").settings.run.python == sys.executable


def test_a_submodule_is_said_and_lent_where_the_code_names_it(repository: Made, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.py").write_text("")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "begin"]):
        git(other, *words)
    folder = repository({"train.py": "import sys\nsys.path.append('vendor/lib')\n" + TRAIN})
    git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor/lib")
    git(folder, "commit", "-qm", "with a submodule")
    done = cockpit("init", "--yes", "--", "python", "train.py")
    assert "vendor/lib is a submodule, which no run checks out: it is lent" in done.stdout, done.stderr
    assert '"vendor/lib/"' in (folder / "cockpit.toml").read_text()


def test_what_is_foreign_is_printed_clean(repository: Made) -> None:
    repository({"train.py": TRAIN, "a\x1b[31m/train.py": TRAIN, "b/train.py": TRAIN})
    done = cockpit("init", "--yes")
    assert "\x1b" not in done.stdout + done.stderr


def test_an_interpreter_that_lacks_what_is_imported_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made("checkpoint", tmp_path / "mine")
    text = (folder / "train.py").read_text()
    (folder / "train.py").write_text(f"import surely_not_there\n{text}")
    git(folder, "commit", "-qam", "more")
    monkeypatch.chdir(folder)
    assert "lacks surely_not_there" in cockpit("init", "--yes").stdout


def test_a_word_that_stands_for_nothing_is_said(repository: Made) -> None:
    repository({"train.py": TRAIN})
    assert "exclude each other" in refused("--minimize", "--maximize", status=2)
