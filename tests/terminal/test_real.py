"""The whole way of a person through a real study: the recipe digits, on a real engine, in a real terminal."""

from pathlib import Path

from store.place import engine_pid, find
from tests.conftest import cockpit, git
from tests.terminal.test_screen import Watch, states, watch  # noqa: F401
from tests.terminal.test_ssh import until

JUDGED = "(better|gain|trade-off|equal|worse|inconclusive)"


def test_an_experiment_of_digits_is_watched_read_merged_undone_rejected_and_found_so_again(
    tmp_path: Path,
    leaves_nothing: None,
    watch: Watch,  # noqa: F811
) -> None:
    root = tmp_path / "d"
    assert cockpit("new", "digits", str(root)).returncode == 0
    train, config = root / "train.py", root / "cockpit.toml"
    train.write_text(train.read_text().replace("EPOCHS = 12 ", "EPOCHS = 2 "))
    git(root, "commit", "-qam", "shorter")
    text = config.read_text().replace('name = "auto"', 'name = "none"').replace("[study]", '[study]\npreset = "fast"')
    config.write_text(f"{text}\n[seeds]\nbaseline = 2\nrace = 2\n")
    place = find(root)
    branch = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")

    screen = watch(place, 80, 24)
    screen.wait("e0000 . running", seconds=60)
    screen.wait(rf"e0001 . {JUDGED}", seconds=240)
    screen.press("r")
    screen.wait("∙ paused", r"(?s)\A(?!.*e000\d ► running)", seconds=120)  # what is under way ends first
    screen.press("G", "k")
    screen.wait("▸e0001")
    screen.press("Enter")
    screen.wait("e0001 ", "trunk +e0001 change", "nll nats", r"(train|model).py +\+\d+ −\d+")
    screen.press("n")
    screen.wait(r"\d +\+ [A-Z_]+ = ")
    screen.press("M")
    screen.wait("e0001 merged: cockpit/digits/trunk is at ")
    screen.press("u")
    screen.wait("the merge of e0001 is undone")
    screen.press("x")
    screen.wait("Reject e0001")
    screen.press("Tab", "Enter")
    screen.wait("e0001 rejected: too slow")
    screen.press("q")
    screen.wait("the engine goes on, pid", "EXIT 0")
    engine, before = engine_pid(place.folder), states(place)
    assert engine is not None and before["e0001"] == "rejected"

    again = watch(place, 120, 40)
    again.wait("∙ paused", "e0001 ✕ rejected")
    again.press("q")
    again.wait("EXIT 0")
    assert (engine_pid(place.folder), states(place)) == (engine, before)
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")) == branch
    assert cockpit("stop", str(root)).returncode == 0
    until(lambda: engine_pid(place.folder) is None)
