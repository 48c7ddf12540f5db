"""The command line, as a user types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cockpit.cli import app
from cockpit.opening import COMMANDS, plain
from store.place import Place, engine_pid
from tests.conftest import IDENTITY, TRAIN, Kept, Write, cockpit, git
from tests.scripted import serving, something_new

pytestmark = pytest.mark.usefixtures("leaves_nothing")
SLOW = TRAIN + "import time; print('ready', flush=True); time.sleep(60)\n"


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def keys(*words: str) -> dict[str, Any]:
    done = cockpit(*words)
    assert done.returncode == 0, done.stderr
    (value,) = objects(done)
    return value


# --- what it says of itself ------------------------------------------------------------------------------------------


def test_help_names_every_command_and_the_options_of_the_study() -> None:
    done = cockpit("--help")
    assert done.returncode == 0
    commands = (
        "new",
        "status",
        "experiments",
        "show",
        "diff",
        "frontier",
        "ledger",
        "context",
        "logs",
        "merge",
        "reject",
        "undo",
    )
    for word in (*commands, "pause", "resume", "stop", "--batch", "--experiments", "--minutes", "--version"):
        assert word in done.stdout


def test_help_imports_nothing_heavy() -> None:
    program = "import sys\nsys.argv = ['cockpit', '--help']\nfrom cockpit.cli import main\n"
    program += "try: main()\nexcept SystemExit: pass\n"
    heavy = ("aiosqlite", "asyncio", "pydantic", "loop", "optuna", "moocore", "sqlite3", "rich")
    program += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert cockpit("--version").stdout == f"cockpit {version('research-cockpit')}\n"


# --- before anything ran ---------------------------------------------------------------------------------------------


def test_before_anything_ran_there_are_counts_of_zero_and_no_record_is_made(write: Write) -> None:
    place = write()
    status = keys("status", "--json", str(place.root))
    assert (status["study"], status["state"], status["engine"], status["ended_by"]) == ("tried", "new", None, None)
    assert (status["experiments"], status["offers"]) == (0, 0)
    assert keys("experiments", "--json", str(place.root)) == {"experiments": []}
    assert not place.folder.exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["status", "{tmp}/nowhere"], 1, "is not a folder"),
        (["status", "{tmp}"], 1, "is not in a git repository"),
        (["{tmp}"], 1, "is not in a git repository"),
        (["show", "e0007", "{study}"], 2, "the study tried has no experiment e0007"),
        (["show", "best", "{study}"], 2, "'best' is no experiment; one is called e0000"),
        (["logs", "e0000", "{study}"], 2, "has no experiment e0000"),
        (["--batch", "--experiments", "0", "{study}"], 2, "take a number above zero"),
        (["--batch", "--experiments", "x", "{study}"], 2, "Invalid value for '--experiments'"),
        (["--bacth", "{study}"], 2, "No such option"),
        (["new", "nothing", "{tmp}/d"], 1, "there is no recipe 'nothing'; there is: bytegpt, digits"),
        (["new", "digits", "{study}"], 1, "is there already and not an empty folder"),
        (["{study}"], 2, "there is no terminal here"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_status(
    write: Write, tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    place = write()
    done = cockpit(*(word.format(tmp=tmp_path, study=place.root) for word in words))
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_cannot_be_used_is_exit_status_1(write: Write) -> None:
    place = write(more="[seeds]\nfidelity = 2")
    done = cockpit("--batch", str(place.root))
    assert done.returncode == 1
    assert f"{place.config}:14: `[seeds] fidelity` is not a key that cockpit knows" in done.stderr


def test_a_record_of_a_later_version_is_exit_status_5(write: Write) -> None:
    import sqlite3

    place = write()
    place.folder.mkdir(parents=True)
    with sqlite3.connect(place.folder / "record.sqlite") as record:
        record.execute("PRAGMA user_version = 99")
    record.close()
    for words in (["status"], ["--batch"]):
        done = cockpit(*words, str(place.root))
        assert (done.returncode, "is of version 99" in done.stderr) == (5, True), done.stderr


# --- a study in batch ------------------------------------------------------------------------------------------------


def test_a_batch_tells_each_event_and_ends_with_a_summary(write: Write) -> None:
    place = write()
    events = objects(cockpit("--batch", "--json", "--experiments", "1", str(place.root)))
    life = ["queued", "running", "stage", "measured", "planned"]
    assert [event["event"] for event in events] == [
        *("engine started", "began", "revised", "bench"),
        *life,
        *("engine ended", "summary"),
    ]
    assert all(event["at"].endswith("+00:00") for event in events)
    assert events[-1]["ended_by"] == "experiments"
    again = objects(cockpit("--batch", "--json", "--experiments", "1", str(place.root)))
    assert [event["event"] for event in again] == ["engine started", "engine ended", "summary"]


def test_the_help_says_of_each_command_what_it_does_in_whole_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = cockpit("--help").stdout.partition("Commands:")[2]
    assert commands.count("\n") > 30 and "..." not in commands


def test_what_was_recorded_is_what_is_shown(write: Write) -> None:
    place = write()
    cockpit("--batch", "--experiments", "1", str(place.root))
    shown = keys("show", "e0000", "--json", str(place.root))
    (run,) = shown["runs"]
    assert shown["measurements"] == {
        "loss": {"mean": 0.1 + run["seed"] % 7, "n": 1, "source": "reported", "selected": None, "fidelity": "full"}
    }
    assert (run["purpose"], run["fidelity"], run["outcome"]) == ("baseline", "full", "ok")
    assert [stage["name"] for stage in run["stages"]] == ["train"]
    assert shown["commit"] == git(place.root, "rev-parse", shown["branch"]).strip()
    for absent in ("parent", "proposer", "operator", "verdict", "evidence", "sentence", "failure"):
        assert shown[absent] is None
    (row,) = keys("experiments", "--json", str(place.root))["experiments"]
    assert row == {key: value for key, value in shown.items() if key not in ("runs", "calls", "commands")}
    status = keys("status", "--json", str(place.root))
    assert (status["state"], status["trunk"], status["ended_by"]) == ("ended", shown["commit"], "experiments")


def test_people_read_the_same(write: Write) -> None:
    place = write()
    done = cockpit("--batch", "--experiments", "1", str(place.root))
    assert "ended: the number of experiments asked for is reached" in done.stdout
    for words in (["status"], ["experiments"], ["show", "e0"], ["show", "0"]):
        assert "e0000" in cockpit(*words, str(place.root)).stdout or words == ["status"]


def test_what_is_not_committed_is_named(write: Write) -> None:
    place = write()
    (place.root / "train.py").write_text("edited")
    done = cockpit("--batch", "--experiments", "1", str(place.root))
    assert "not committed, so not part of the study: train.py" in done.stdout


def test_a_failed_baseline_is_exit_status_3_with_the_end_of_its_log(write: Write) -> None:
    place = write("print('\\x1b]0;title\\x07so far so good')\nraise ValueError('the reason')")
    done = cockpit("--batch", str(place.root))
    assert done.returncode == 3
    assert "e0000 failed: crash, train: exit status 1: ValueError: the reason" in done.stdout
    assert "| so far so good" in done.stdout
    assert "\x1b" not in done.stdout
    assert keys("status", "--json", str(place.root))["ended_by"] == "baseline failed"


SEARCHED = """\
RATE = 0.1  # cockpit: 0.001..1.0 log
DEPTH = 4  # cockpit: 1..8
NOTE = "\x1b]0;title\x07"
print(f"loss: {1 / DEPTH}", f"weights: {DEPTH}", sep="\\n")
"""


@pytest.fixture
def searched(write: Write, kept: Kept) -> Place:
    """A study of six experiments."""
    place = write(SEARCHED, more='weights = { direction = "minimize", deterministic = true }', deterministic=True)
    if not kept("looked at", place):
        done = cockpit("--batch", "--experiments", "6", str(place.root))
        assert done.returncode == 0, done.stderr
        kept("looked at", place)
    return place


def test_a_frontier_names_experiments_with_their_values_and_the_reference(searched: Place) -> None:
    drawn = keys("frontier", "--json", str(searched.root))
    listed = {row["id"]: row for row in keys("experiments", "--json", str(searched.root))["experiments"]}
    assert drawn["hypervolume"] >= 1
    assert drawn["baseline"] == {"loss": 0.25, "weights": 4.0}
    assert drawn["reference"] == pytest.approx({"loss": 0.275, "weights": 4.4})
    assert [point["balanced"] for point in drawn["points"]].count(True) == 1
    for point in drawn["points"]:
        measured = listed[point["id"]]["measurements"]
        assert point["values"] == {name: value["mean"] for name, value in measured.items()}
        evidence = {"e0000": (None,)}.get(point["id"], ("screened", "confirmed"))
        assert point["evidence"] in evidence
        assert (point["runs"], point["probability"]) == (1, 1.0), "nothing of it has any noise"
    page = cockpit("frontier", str(searched.root)).stdout
    assert all(point["id"] in page for point in drawn["points"])
    status = keys("status", "--json", str(searched.root))
    assert f"{status['confirmed']} of 5 screened" in page and "would be by luck" in page
    assert status["offers"] == status["confirmed"] > 0, "what has no noise is confirmed by one run"


def test_what_was_spent_adds_up_and_the_proposals_are_counted(searched: Place) -> None:
    spent = keys("ledger", "--json", str(searched.root))
    assert spent["total"]["seconds"] > 0
    for resource, total in spent["total"].items():
        assert sum(amounts.get(resource, 0) for amounts in spent["by_outcome"].values()) == pytest.approx(total)
    assert spent["proposals"]["admitted"] == 5
    page = cockpit("ledger", str(searched.root)).stdout.splitlines()
    assert spent["by_proposer"]["optimiser"]["admitted"] == 5
    (whole,) = [line for line in page if line.startswith("total")]
    assert whole.endswith("100%")
    assert {"by stage", "by proposer", "by operator"} <= {line.partition("  ")[0] for line in page}
    assert "by model" not in "".join(page)  # nobody was asked
    runs = sum(spent["by_stage"][name]["seconds"] for name in spent["by_stage"])
    for group in (spent["by_operator"], {name: one["spend"] for name, one in spent["by_proposer"].items()}):
        assert sum(amounts["seconds"] for amounts in group.values()) == pytest.approx(runs)
    assert spent["by_stage"]["overhead"] == pytest.approx(spent["by_outcome"]["overhead"])
    assert spent["by_proposer"].keys() == {"baseline", "optimiser"}
    (most,) = spent["budgets"]
    assert (most["budget"], most["limit"], most["spent"], most["ends_at"]) == ("experiments", 6, 6, None)
    assert keys("status", "--json", str(searched.root))["budgets"] == spent["budgets"]
    funnel = page.index("Funnel")
    budgets = [f"{'spent':>18}  reserved  limit", f"experiments  {'6':>5}  {'':8}  {'6':>5}", ""]
    assert page[funnel - 3 : funnel] == budgets


def test_the_ledger_says_what_was_gained_and_lost_and_what_is_asked_of_the_user(searched: Place) -> None:
    found = keys("ledger", "--json", str(searched.root))
    assert [(one["step"], one["number"]) for one in found["funnel"]][:2] == [("proposed", 5), ("admitted", 5)]
    confirmed = next(one["number"] for one in found["funnel"] if one["step"] == "confirmed")
    assert found["yield"]["confirmed"] == confirmed > 0
    drawn = keys("frontier", "--json", str(searched.root))
    assert found["yield"]["gain"] == pytest.approx(drawn["hypervolume"] - 1)
    (optimiser,) = found["leaderboard"]["operators"]
    assert (optimiser["operator"], optimiser["proposer"], optimiser["gain"]) == (
        "knobs",
        "optimiser",
        found["yield"]["gain"],
    )
    assert optimiser["rank"] == (1 if optimiser["gain"] else None)
    assert found["yield"]["device_seconds"] > optimiser["device_seconds"], "the baseline's runs are no proposer's"
    assert found["lift"] == [] and found["losses"] == [], "nobody but the floor has proposed"
    spent = found["devices"]
    parts = [spent[f"{name}_seconds"] for name in ("busy", "paused", "down")]
    assert sum(parts) + sum(spent["idle_seconds"].values()) == pytest.approx(found["total"]["seconds"])
    asked = found["review"]
    assert (asked["offers"], asked["not_counted"]) == (confirmed, 0)
    diffs = [keys("diff", "--json", one, str(searched.root))["diff"] for one in offers(searched)]
    lines = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for diff in diffs for line in diff.splitlines())
    assert asked["changed_lines"] == lines > 0
    page = cockpit("ledger", str(searched.root)).stdout.splitlines()
    titles = {"Funnel", "Losses: none", "Yield", "Devices", "Review"}
    assert titles <= {line.partition("  ")[0] for line in page}
    assert any(line.startswith("Leaderboard") for line in page)
    own = page[page.index("Funnel") :]
    assert all(len(line) <= 100 for line in own)


def offers(place: Place) -> list[str]:
    """The ids of what is to be decided."""
    return list(keys("status", "--json", str(place.root))["offered"])


def test_a_budget_in_the_file_ends_a_batch_with_status_0_and_more_of_it_goes_on(write: Write) -> None:
    place = write(more="[budget]\nruns = 2\n")
    done = cockpit("--batch", str(place.root))
    assert done.returncode == 0, done.stderr
    assert "ended: the runs are used up; more of `[budget] runs`" in done.stdout
    assert keys("status", "--json", str(place.root))["ended_by"] == "runs"
    place.config.write_text(place.config.read_text().replace("runs = 2", "runs = 3"))
    summary = objects(cockpit("--batch", "--json", str(place.root)))[-1]
    assert (summary["ended_by"], summary["runs"]) == ("runs", 3)
    assert [one["spent"] for one in summary["budgets"]] == [3]


def test_a_diff_is_a_patch_that_git_can_apply_and_is_clean(searched: Place) -> None:
    row = keys("experiments", "--json", str(searched.root))["experiments"][1]
    shown = keys("diff", row["id"], "--json", str(searched.root))
    assert (shown["id"], shown["parent"]) == (row["id"], "e0000")
    git(searched.root, "checkout", "-q", "--detach")
    (searched.root.parent / "patch").write_text(shown["diff"])
    git(searched.root, "apply", "--index", str(searched.root.parent / "patch"))
    assert git(searched.root, "write-tree").strip() == row["tree"]
    text = cockpit("diff", row["id"], str(searched.root)).stdout
    assert text.startswith(f"{row['id']} from e0000: {row['hypothesis']}\ndiff --git")
    assert "\x1b" not in text
    assert cockpit("diff", "e0000", str(searched.root)).returncode == 2


def test_the_summary_has_the_frontier_and_the_spend_by_outcome(searched: Place) -> None:
    summary = objects(cockpit("--batch", "--json", "--experiments", "6", str(searched.root)))[-1]
    drawn = keys("frontier", "--json", str(searched.root))
    assert drawn.pop("progress")
    assert drawn.pop("returns") == summary["returns"]
    assert drawn.pop("agreement") is summary["agreement"] is None
    assert summary["frontier"] == drawn
    assert set(summary["spend_by_outcome"]) >= {"baseline", "overhead", "idle: engine"}
    assert sum(amounts["seconds"] for amounts in summary["spend_by_outcome"].values()) == pytest.approx(
        summary["spend"]["seconds"]
    )
    text = cockpit("--batch", "--experiments", "6", str(searched.root)).stdout
    assert "search space   2 knobs in train.py" in text


def test_the_summary_has_the_best_diff_of_those_that_are_undecided(write: Write, tmp_path: Path) -> None:
    place = write("DEPTH = 1  # cockpit: 1..8\nprint('loss:', 1 / DEPTH)\n", deterministic=True)
    words = ("--batch", "--experiments", "4", str(place.root))
    best = objects(cockpit("--json", *words))[-1]["best"]
    (point,) = keys("frontier", "--json", str(place.root))["points"]
    assert best == {"id": point["id"], "diff": keys("diff", point["id"], "--json", str(place.root))["diff"]}
    assert f"the balanced pick, confirmed, {best['id']}:\ndiff --git" in cockpit(*words).stdout

    git_program = shutil.which("git")
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text(f'#!/bin/sh\ncase "$*" in *diff-tree*) echo broken >&2; exit 1;; esac\nexec {git_program} "$@"\n')
    broken.chmod(0o755)
    done = cockpit(*words, PATH=f"{broken.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0
    assert f"the balanced pick, confirmed, {best['id']}: its diff cannot be read: " in done.stdout
    assert "on the frontier" in done.stdout and "\nended: " in done.stdout

    assert cockpit("reject", best["id"], str(place.root)).returncode == 0
    assert (objects(cockpit("--json", *words))[-1]["best"] or {}).get("id") != best["id"]


def test_a_job_of_github_has_the_summary_as_a_page(searched: Place, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("what another step said\n")
    words = ("--batch", "--experiments", "6", str(searched.root))
    for more in ((), ("--json",)):
        assert cockpit(*words, *more, GITHUB_STEP_SUMMARY=str(page)).returncode == 0
    said = page.read_text()
    assert said.startswith("what another step said\n## cockpit: ")
    assert said.count("### Frontier") == said.count("### Spend") == 2
    for point in keys("frontier", "--json", str(searched.root))["points"]:
        assert f"\n| {point['id']}" in said
    for name, why in ((str(tmp_path), "Is a directory"), ("/dev/full", "No space left on device")):
        done = cockpit(*words, GITHUB_STEP_SUMMARY=name)
        assert done.returncode == 0
        assert done.stderr == f"cockpit: $GITHUB_STEP_SUMMARY: {name} cannot be written: {why}\n"


NOTHING_GAINED = {
    "experiments": 0, "confirmed": 0, "gain": 0, "device_seconds": 0, "model_seconds": 0, "tokens": 0,
    "per_device_hour": None, "per_1000_tokens": None,
}  # fmt: skip


def test_before_anything_ran_there_is_no_frontier_and_nothing_is_spent(write: Write) -> None:
    place = write()
    assert keys("frontier", "--json", str(place.root))["points"] == []
    assert keys("ledger", "--json", str(place.root)) == {
        "total": {},
        "by_outcome": {},
        "proposals": {"admitted": 0, "refused": {}},
        "by_proposer": {},
        "by_stage": {},
        "by_operator": {},
        "by_model": {},
        "budgets": [],
        "funnel": [
            {"step": step, "number": 0, "stops": []}
            for step in ("proposed", "admitted", "ran", "measured", "confirmed", "merged")
        ],
        "merged_unconfirmed": 0,
        "losses": [],
        "yield": {**NOTHING_GAINED, "by_proposer": {}},
        "lift": [],
        "leaderboard": {"models": [], "operators": []},
        "devices": {
            "idle_share": None, "busy_seconds": 0, "idle_seconds": {}, "paused_seconds": 0, "down_seconds": 0,
        },
        "review": {
            "offers": 0, "changed_lines": 0, "not_counted": 0, "offered": 0, "engine_seconds": 0,
            "offers_per_day": None,
        },
        "screened": 0, "confirmed": 0, "expected_false_keeps": None, "keep_if_better": None,
    }  # fmt: skip
    assert "no frontier yet" in cockpit("frontier", str(place.root)).stdout
    assert cockpit("ledger", str(place.root)).stdout == "nothing spent yet\n"


def test_a_knob_that_means_nothing_is_exit_status_1_with_file_and_line(write: Write) -> None:
    place = write(TRAIN.replace("0.001..1.0 log", "some"))
    done = cockpit("--batch", str(place.root))
    assert done.returncode == 1
    assert "train.py:2: `# cockpit: some` is neither a range" in done.stderr


def test_a_listed_knob_that_the_code_lacks_is_exit_status_1_with_the_line_of_its_key(write: Write) -> None:
    place = write(more='[space.knobs]\n"train.py:NONE" = { low = 1, high = 2 }\n')
    done = cockpit("--batch", str(place.root))
    assert done.returncode == 1
    assert f'{place.config}:14: `[space.knobs] "train.py:NONE"`: `NONE` is nowhere assigned a literal' in done.stderr


def test_a_record_that_an_earlier_cockpit_works_on_is_left_alone(write: Write) -> None:
    import sqlite3

    from store.place import take_engine_lock

    place = write()
    place.folder.mkdir(parents=True)
    with sqlite3.connect(place.folder / "record.sqlite") as old:
        old.execute("PRAGMA user_version = 1")
    lock = take_engine_lock(place.folder)
    try:
        done = cockpit("status", str(place.root))
    finally:
        os.close(lock)
    assert (done.returncode, "in use by an engine of an earlier cockpit" in done.stderr) == (5, True), done.stderr


def test_logs_are_printed_stage_by_stage_and_clean(write: Write) -> None:
    place = write(TRAIN + "print('\\x1b[31mred\\x1b[0m')")
    cockpit("--batch", "--experiments", "1", str(place.root))
    text = cockpit("logs", "e0000", str(place.root)).stdout
    assert text.startswith("== train\nloss: ")
    assert text.endswith("red\n")
    assert "\x1b" not in text
    (stage,) = keys("logs", "e0000", "--json", str(place.root))["logs"]
    assert stage["stage"] == "train"
    assert len(stage["lines"]) == 2
    (log,) = place.folder.glob("runs/*/train.log")
    log.with_name("other.log").symlink_to(place.config)  # by the code under test
    assert cockpit("logs", "e0000", str(place.root)).stdout == text


def test_output_that_nobody_reads_is_no_error_of_the_configuration(write: Write) -> None:
    place = write(TRAIN + "print('x' * 100 + chr(10), end='') or [print('line') for _ in range(200_000)]\n")
    cockpit("--batch", "--experiments", "1", str(place.root))
    words = [sys.executable, "-m", "cockpit", "logs", "e0000", str(place.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as logs:
        assert logs.stdout is not None
        assert logs.stderr is not None
        logs.stdout.readline()
        logs.stdout.close()
        assert (logs.wait(30), logs.stderr.read()) == (130, "")


def test_a_terminal_that_cannot_show_a_letter_still_gets_the_line(write: Write) -> None:
    place = write("print('caf\u00e9')\nraise SystemExit(1)")
    done = cockpit("--batch", str(place.root), PYTHONIOENCODING="ascii")
    assert done.returncode == 3, done.stderr
    assert "| caf?" in done.stdout


def test_a_failed_machine_is_exit_status_5_and_its_last_line_is_the_summary(write: Write, no_wall: str) -> None:
    place = write("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    done = cockpit("--batch", "--json", str(place.root))
    assert done.returncode == 5
    assert objects(done)[-1]["event"] == "summary"
    assert objects(done)[-1]["ended_by"] == "machine failed"


@pytest.fixture
def going(write: Write) -> Iterator[tuple[Place, "subprocess.Popen[str]"]]:
    """A batch whose run goes on for a minute."""
    place = write(SLOW)
    batch = subprocess.Popen(
        [sys.executable, "-m", "cockpit", "--batch", "--json", str(place.root)],
        env={**os.environ, **IDENTITY},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    log = place.folder / "runs" / "000001" / "train.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield place, batch
    batch.kill()
    batch.communicate()


def test_a_second_engine_is_refused_and_the_first_ones_pid_said(going: tuple[Place, "subprocess.Popen[str]"]) -> None:
    place, batch = going
    assert keys("status", "--json", str(place.root))["engine"] == {"pid": batch.pid}
    done = cockpit("--batch", str(place.root))
    assert (done.returncode, done.stdout) == (4, "")
    assert f"another engine runs this study (pid {batch.pid})" in done.stderr
    batch.send_signal(signal.SIGINT)
    batch.wait(20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_batch_cleanly(going: tuple[Place, "subprocess.Popen[str]"], number: signal.Signals) -> None:
    place, batch = going
    batch.send_signal(number)
    out, _ = batch.communicate(timeout=20)
    assert batch.returncode == 130
    assert json.loads(out.splitlines()[-1])["ended_by"] == "interrupted"
    assert engine_pid(place.folder) is None
    (row,) = keys("experiments", "--json", str(place.root))["experiments"]
    assert row["state"] == "queued"


def test_the_third_signal_waits_for_nothing_and_leaves_nothing(going: tuple[Place, "subprocess.Popen[str]"]) -> None:
    thrice(going[1])


def test_three_signals_as_a_run_begins_leave_nothing_of_it(write: Write) -> None:
    place = write(SLOW)
    words = [sys.executable, "-m", "cockpit", "--batch", "--json", str(place.root)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as batch:
        deadline = time.monotonic() + 20
        while not list((place.folder / "runs").glob("*/supervisor.log")):
            assert time.monotonic() < deadline
        thrice(batch)


def thrice(batch: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    for _ in range(3):
        batch.send_signal(signal.SIGINT)
        time.sleep(0.01)
    batch.wait(20)
    assert batch.returncode == 130


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(write: Write) -> None:
    place = write(TRAIN + "import time; time.sleep(1)")
    batch = subprocess.Popen(
        ["nohup", sys.executable, "-m", "cockpit", "--batch", "--json", "--experiments", "1", str(place.root)],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while not (place.folder / "runs" / "000001" / "train.log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    batch.send_signal(signal.SIGHUP)
    out, _ = batch.communicate(timeout=20)
    assert json.loads(out.splitlines()[-1])["ended_by"] == "experiments"


def test_a_batch_whose_reader_has_gone_ends(going: tuple[Place, "subprocess.Popen[str]"]) -> None:
    place, batch = going
    assert batch.stdout is not None
    batch.stdout.close()
    batch.send_signal(signal.SIGINT)  # the next line that it prints finds nobody
    batch.stdout = None
    assert batch.wait(20) == 130
    assert engine_pid(place.folder) is None


def test_an_engine_that_died_is_said(going: tuple[Place, "subprocess.Popen[str]"]) -> None:
    place, batch = going
    batch.kill()
    batch.wait()
    status = keys("status", "--json", str(place.root))
    assert (status["state"], status["ended_by"], status["engine"]) == ("ended", "died", None)
    from loop.run import launch

    launch.sweep(place.folder / "runs" / "000001")


def test_following_a_log_ends_with_its_run(write: Write) -> None:
    place = write(TRAIN + "import time; print('ready', flush=True); time.sleep(1.5); print('last')\n")
    batch = subprocess.Popen(
        [sys.executable, "-m", "cockpit", "--batch", "--experiments", "1", str(place.root)], stdout=subprocess.DEVNULL
    )
    log = place.folder / "runs" / "000001" / "train.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and "ready" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    done = cockpit("logs", "-f", "e0000", str(place.root))
    assert batch.wait(20) == 0
    assert done.stdout.splitlines()[0] == "== train"
    assert done.stdout.splitlines()[-1] == "last"


# --- a call to a model -----------------------------------------------------------------------------------------------


def test_a_call_is_shown_with_its_sections_its_answer_and_what_became_of_it(write: Write) -> None:
    with serving(something_new()) as (host, _):
        more = f'[model]\nname = "scripted:1b-coder"\nhost = "{host}"\nshare = 1\nnum_ctx = 2048'
        place = write(TRAIN, more=more, deterministic=True)
        done = cockpit("--batch", "--experiments", "3", str(place.root))
    assert done.returncode == 0, done.stderr
    of_it, first = keys("context", "e0001", "--json", str(place.root)), keys("context", "1", "--json", str(place.root))
    assert (of_it["call"]["id"], of_it["call"]["experiment"], of_it["call"]["purpose"]) == (2, "e0001", "pack")
    assert of_it["model"] == "scripted:1b-coder"
    names = ["system", "goal", "objectives", "knobs", "question"]
    assert [one["name"] for one in first["call"]["prompt"]] == names
    assert [one["name"] for one in of_it["call"]["prompt"]] == [*names, "answer 1", "question 2"]
    shown = {one["name"]: one for one in of_it["call"]["prompt"]}
    assert "RATE: a number in 0.001..1.0 log" in shown["knobs"]["text"] and shown["knobs"]["cut"] is None
    sent = sum(one["tokens"] for one in of_it["call"]["prompt"])
    assert abs(sent - of_it["call"]["prompt_tokens"]) <= len(shown)
    page = cockpit("context", "e1", str(place.root)).stdout
    assert "of num_ctx 2.0k" in page and "answer  valid at the first try, 1 knob" in page
    newest = keys("context", "--json", str(place.root))["call"]
    assert newest == keys("context", str(place.root), "--json")["call"] and newest["id"] == newest["newest"]
    assert (
        "no call to a model came to e0000; the study's newest:" in cockpit("context", "e0000", str(place.root)).stdout
    )
    none = cockpit("context", "99", str(place.root))
    assert none.returncode == 2 and "the study tried has no call 99" in none.stderr


def test_without_a_call_it_is_said_that_no_model_was_asked(write: Write) -> None:
    place = write()
    assert keys("context", "--json", str(place.root)) == {"call": None, "model": None, "model_why": None}
    assert cockpit("context", str(place.root)).stdout == "no model was asked: no engine has run yet\n"
    assert "has no experiment e0007" in cockpit("context", "e0007", str(place.root)).stderr


def test_the_short_way_to_the_screen_knows_each_command() -> None:
    assert set(getattr(get_command(app), "commands")) == COMMANDS  # noqa: B009, a group has them
    assert [plain(words.split()) for words in ("", "d", "--readonly d", "d --readonly")] == [Path(), *[Path("d")] * 3]
    for words in ("status", "d e", "--batch d", "--readonly --readonly", "--help"):
        assert plain(words.split()) is None, words
