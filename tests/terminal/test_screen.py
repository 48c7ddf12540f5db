"""The screen in real terminals: a study is started, watched, decided, left running and come back to."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from store.place import Place, engine_pid
from tests.conftest import IDENTITY, Write, cockpit, git

TRAIN = """\
import os, time
RATE = 0.1  # cockpit: 0.001..1.0 log
time.sleep(0.3)
print(f"loss: {RATE + int(os.environ['COCKPIT_SEED']) % 7 / 100}")
"""
COMMAND = f"{sys.executable} -m cockpit"
Watch = Callable[..., "Terminal"]


class Terminal:
    """A terminal of tmux with the screen in it."""

    def __init__(self, place: Place, name: str, columns: int, rows: int, *words: str, command: str) -> None:
        self._tmux = ["tmux", "-L", name, "-f", "/dev/null"]
        line = f"{command} {' '.join(words)} .; echo EXIT $?; sleep 60"
        stale = {"COLUMNS": "80", "LINES": "24"}  # which some shells export; the terminal knows better
        variables = {**os.environ, **IDENTITY, **stale, "TERM": "xterm-256color"}
        self._call(
            "new-session", "-d", "-x", str(columns), "-y", str(rows), line, where=place.root, variables=variables
        )
        self._sent = place.root.parent / f"{name}.sent"
        self._sent.touch()
        self._call("pipe-pane", f"exec cat > {self._sent}")

    def _call(self, *words: str, where: Path | None = None, variables: dict[str, str] | None = None) -> str:
        done = subprocess.run([*self._tmux, *words], cwd=where, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shown(self) -> str:
        return self._call("capture-pane", "-p")

    def wait(self, *patterns: str, seconds: float = 20) -> str:
        """What is shown once all of this is."""
        deadline = time.monotonic() + seconds
        while not all(re.search(pattern, shown := self.shown()) for pattern in patterns):
            assert time.monotonic() < deadline, f"{patterns} not in\n{shown}\nsent last: {self._last_sent()!r}"
            time.sleep(0.05)
        return shown

    def _last_sent(self) -> str:
        """The end of what the program sent: whether what is missing was never sent, or was lost on its way."""
        return self._sent.read_text(errors="replace")[-6000:]

    def press(self, *keys: str) -> None:
        for key in keys:
            self._call("send-keys", key)

    def flags(self) -> tuple[str, ...]:
        """Whether there is another screen in front, whether the cursor is seen, and whether the mouse is told of."""
        asked = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"
        return tuple(self._call("display-message", "-p", asked).split())

    def modes(self) -> set[str]:
        """How its line is set: `echo`, and `-echo` where that is off."""
        tty = self._call("display-message", "-p", "#{pane_tty}").strip()
        return set(subprocess.run(["stty", "-aF", tty], capture_output=True, text=True, check=True).stdout.split())

    def pid(self) -> int:
        """The process that was started in it."""
        return int(self._call("display-message", "-p", "#{pane_pid}"))

    def scribble(self) -> None:
        """Write over what is shown, as a program in the background does."""
        terminal = Path(self._call("display-message", "-p", "#{pane_tty}").strip())
        terminal.write_text("\x1b[H" + "\x1b[Kscribble\r\n" * 20)

    def close(self) -> None:
        with suppress(AssertionError):
            self._call("kill-server")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Open the screen of a study in a terminal of a size."""
    if shutil.which("tmux") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no tmux here: `apt install tmux`")
        pytest.skip("needs tmux")
    terminals: list[Terminal] = []

    def open_one(place: Place, columns: int, rows: int, *words: str, command: str = COMMAND) -> Terminal:
        terminals.append(Terminal(place, f"cockpit-{uuid4().hex}", columns, rows, *words, command=command))
        return terminals[-1]

    yield open_one
    for terminal in terminals:
        terminal.close()


def states(place: Place) -> dict[str, str]:
    rows = json.loads(cockpit("experiments", "--json", str(place.root)).stdout)["experiments"]
    return {row["id"]: row["state"] for row in rows}


def test_a_study_is_watched_decided_left_running_and_come_back_to(
    write: Write, leaves_nothing: None, watch: Watch
) -> None:
    place = write(train=TRAIN, more="[budget]\nexperiments = 60")
    before = git(place.root, "status", "--porcelain"), git(place.root, "rev-parse", "HEAD")
    screen = watch(place, 80, 24)
    screen.wait("e0000 . running", "What happens now")
    screen.wait(r"e0002 . (worse|gain|better|trade-off|inconclusive|equal)", seconds=40)
    screen.press("G", "k", "k")
    screen.wait("▸e0002")
    screen.press("Enter")
    screen.wait(r"e0002  rate", r"train.py  \+1 −1", r"− RATE = 0.1 ", r"\+ RATE = 0.\d+ ")
    screen.press("M")
    screen.wait("e0002 merged: cockpit/tried/trunk is at ")
    screen.press("u")
    screen.wait("the merge of e0002 is undone")
    for _ in range(5):
        screen.press("x")
        screen.wait("Reject e0002")
        screen.press("t", "o", "o", "Enter")
        if "Not done" not in screen.wait("✕ rejected|Not done: reject"):
            break
        screen.press("Escape")  # a run that has just ended had it judged anew: what is decided is what was seen
        screen.wait(r"(?s)\A(?!.*Not done)")
    screen.wait("e0002 rejected: too", "✕ rejected")
    screen.press("r")
    screen.wait("paused: ", "∙ paused")
    screen.press("q")
    screen.wait("the engine goes on, pid", "EXIT 0")
    assert engine_pid(place.folder) is not None
    assert states(place)["e0002"] == "rejected"

    again = watch(place, 120, 40)
    again.wait("∙ paused", r"e0002 ✕ rejected")
    again.press("r")
    again.wait("► running")
    again.press("q")
    again.wait("EXIT 0")
    assert cockpit("stop", str(place.root)).returncode == 0
    deadline = time.monotonic() + 10
    while engine_pid(place.folder) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (git(place.root, "status", "--porcelain"), git(place.root, "rev-parse", "HEAD")) == before


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, bare_python: Path) -> Place:
    """A study that has ended, with a note in it that would like to reach the terminal."""
    folder = tmp_path_factory.mktemp("ended") / "study"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN.replace("time.sleep(0.3)", ""))
    (folder / "cockpit.toml").write_text(
        f'[study]\nname = "tried"\ngoal = "Lower the loss"\n[space]\nedit = ["train.py"]\n'
        f'[run]\ntrain = "python train.py"\npython = "{bare_python}"\n'
        f'[objectives]\nloss = {{ direction = "minimize" }}\n[model]\nname = "none"\n'
    )
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    done = cockpit("--batch", "--experiments", "4", str(folder))
    assert done.returncode == 0, done.stderr
    done = cockpit("note", "look \x1b]52;c;cGF5bG9hZA==\x07 \x1b]0;payload\x07 \x9b2J [/usr/bin] [bold]", str(folder))
    assert done.returncode == 0, done.stderr
    from store.place import find

    return find(folder)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 60), (60, 18)])
def test_every_panel_and_the_help_are_a_key_away_at_every_size(
    ended: Place, watch: Watch, columns: int, rows: int
) -> None:
    screen = watch(ended, columns, rows)
    screen.wait("e0003", "ended .*: no experiments")
    if columns < 100:
        pictures = set()
        for key, sign in (
            ("2", "better"),
            ("3", r"train.py  \+1"),
            ("4", "e000. +.*seed \\d"),
            ("5", "proposed +3"),
            ("6", "no model is asked"),
            ("1", "verdict|evidence"),
        ):
            screen.press(key)
            pictures.add(screen.wait(sign))
        assert len(pictures) == 6
    else:
        screen.wait("1 Experiments", "2 Frontier", "3 Diff", "4 Run", "5 Ledger", "6 Context")
    screen.press("?")
    screen.wait("Help", "merge")
    screen.press("?")
    screen.wait("─|━", seconds=1)
    screen.press("q")
    screen.wait("EXIT 0")


def test_what_another_program_wrote_over_the_screen_is_gone_when_it_is_drawn_anew(ended: Place, watch: Watch) -> None:
    screen = watch(ended, 80, 24)
    screen.wait("e0003", "help")
    time.sleep(1.5)  # until the screen draws nothing by itself
    screen.scribble()
    screen.press("C-l")
    screen.wait(r"(?s)\A(?!.*scribble).*e0003")
    screen.press("?")
    screen.wait("Help")
    screen.scribble()
    screen.press("C-l")
    screen.wait(r"(?s)\A(?!.*scribble).*Help")
    screen.press("?", "q")
    screen.wait("EXIT 0")


def test_ctrl_z_goes_to_the_shell_and_fg_brings_all_of_the_screen_back(ended: Place, watch: Watch) -> None:
    screen = watch(ended, 80, 24, ".; read away; fg; :", command=f"set -m; {COMMAND}")
    screen.wait("e0003", "help")
    screen.press("?")
    screen.wait("Help")
    screen.press("C-z")
    screen.wait("Stopped")
    assert screen.flags() == ("0", "1", "0")
    screen.press("Enter")
    screen.wait("Help", "Decide")
    screen.press("?")
    screen.wait("e0003", "help")
    screen.press("q")
    screen.wait("EXIT 0")


def test_where_no_shell_would_bring_it_back_the_screen_stays(ended: Place, watch: Watch) -> None:
    screen = watch(ended, 80, 24)
    screen.wait("e0003", "help")
    screen.press("C-z")
    screen.wait("there is no shell to go to")
    screen.press("q")
    screen.wait("EXIT 0")


def test_where_there_is_no_room_it_says_how_much_it_needs(ended: Place, watch: Watch) -> None:
    screen = watch(ended, 40, 10)
    screen.wait("cockpit needs 60x18", "this terminal is 40x10", "cockpit status")
    screen.press("q")
    screen.wait("EXIT 0")


def test_what_keeps_the_engine_from_starting_is_said_and_mended(write: Write, watch: Watch) -> None:
    place = write()
    good = place.config.read_text()
    place.config.write_text(good.replace("[objectives]", "[objectivs]"))
    screen = watch(place, 80, 24, "--experiments", "2")
    screen.wait("The engine did not start", "objectivs")
    place.config.write_text(good)
    screen.press("Enter", "r")
    screen.wait("e0001", "ended .*: no experiments", seconds=30)
    screen.press("q")
    screen.wait("EXIT 0")


# --- on a bare pseudo-terminal ---------------------------------------------------------------------------------------


def opened(place: Place, *words: str) -> tuple[int, int]:
    """The screen on a pseudo-terminal: its process and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place.root)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        called = [sys.executable, "-m", "cockpit", *words, "."]
        os.execvpe(sys.executable, called, {**os.environ, "TERM": "xterm-256color"})
    return pid, terminal


def read(terminal: int, seconds: float, until: bytes = b"") -> bytes:
    received, deadline = b"", time.monotonic() + seconds
    with suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and not (until and until in received):
            if select.select([terminal], [], [], left)[0]:
                received += os.read(terminal, 65536)
    return received


def ending(pid: int, seconds: float = 10) -> int:
    """The exit status of a process, which has to end soon."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("it goes on")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(ended: Place, number: signal.Signals) -> None:
    pid, terminal = opened(ended)
    received = read(terminal, 20, b"e0003")
    for key in (b"1", b"2", b"3", b"4", b"5", b"6", b"?", b"\x1b"):
        os.write(terminal, key)
        received += read(terminal, 0.3)
    os.kill(pid, number)
    received += read(terminal, 3)
    assert ending(pid) == 128 + number
    assert b"\x1b[?1049l" in received[-400:]
    assert b"\x1b[?25h" in received[-400:]
    text = received.decode(errors="replace")
    assert not re.search(r"\x1b\](0|2|52);", text)
    os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_on_the_first_picture_leaves_the_terminal_as_it_was(
    ended: Place, number: signal.Signals
) -> None:
    pid, terminal = opened(ended)
    modes = termios.tcgetattr(terminal)
    received = read(terminal, 20, b"e0003")
    os.kill(pid, number)
    received += read(terminal, 5, b"\x1b[?1049l")
    assert ending(pid) == 128 + number
    assert b"\x1b[?1049l" in received and b"\x1b[?25h" in received[-400:]
    assert termios.tcgetattr(terminal) == modes
    os.close(terminal)


def test_keys_that_are_pressed_on_the_first_picture_do_what_they_do(ended: Place) -> None:
    pid, terminal = opened(ended)
    modes = termios.tcgetattr(terminal)
    received = read(terminal, 20, b"e0003")
    os.write(terminal, b"j\r")
    received += read(terminal, 20, b" hunk")  # which the keys of a diff have
    assert b" hunk" in received
    assert received.count(b"\x1b[?1049h") == 1, "some terminals clear it, when they are asked again"
    os.write(terminal, b"q")
    received += read(terminal, 5)
    assert ending(pid) == 0
    assert termios.tcgetattr(terminal) == modes
    os.close(terminal)


def test_errors_may_go_to_a_file_and_the_screen_does_not(ended: Place, tmp_path: Path, watch: Watch) -> None:
    file = tmp_path / "errors"
    screen = watch(ended, 80, 24, f"2> {file}")
    screen.wait("e0003", "help")
    screen.press("q")
    screen.wait("EXIT 0")
    assert screen.flags()[:2] == ("0", "1") and not file.read_bytes()


def test_a_line_that_drops_ends_the_screen(ended: Place) -> None:
    pid, terminal = opened(ended)
    read(terminal, 20, b"e0003")
    os.close(terminal)
    assert ending(pid) == 128 + signal.SIGHUP


def test_a_batch_on_a_terminal_says_how_far_it_is_on_its_last_line(write: Write, watch: Watch) -> None:
    place = write(train=TRAIN.replace("0.3", "1.2"))
    batch = watch(place, 80, 24, "--batch", "--experiments", "2")
    shown = batch.wait(r"0 of 2 experiments   e0000 baseline 1 of \d, \d s")
    assert shown.rstrip().rpartition("\n")[2].startswith("0 of 2 experiments")
    batch.wait("1 of 2 experiments   e0001 screen")
    shown = batch.wait("EXIT 0")
    assert "of 2 experiments  " not in shown


def test_ctrl_c_is_answered_on_a_line_of_its_own(write: Write, leaves_nothing: None, watch: Watch) -> None:
    place = write(train=TRAIN.replace("0.3", "60"))
    batch = watch(place, 80, 24, "--batch")
    batch.wait("0 experiments   e0000 baseline")
    batch.press("C-c")
    shown = batch.wait("EXIT 130")
    assert re.search(r"^(\^C)?cockpit: SIGINT: ending the run; once more ends it at once$", shown, re.MULTILINE)


def test_a_batch_whose_terminal_is_closed_ends_as_on_any_signal(write: Write, leaves_nothing: None) -> None:
    place = write(train=TRAIN.replace("0.3", "60"))
    pid, terminal = opened(place, "--batch")
    read(terminal, 20, b"0 experiments   e0000 baseline")
    os.close(terminal)
    assert ending(pid) == 130
    assert json.loads(cockpit("status", "--json", str(place.root)).stdout)["ended_by"] == "interrupted"


LAST_LINE = """
import os, sys
from cockpit.output import Foot
foot = Foot(wanted=True)
if os.fork() == 0:
    os.setpgid(0, 0)  # a job in the background
    foot.draw("behind")
    foot.above(lambda: print("event", flush=True))
    foot.end()
    os._exit(0)
os.wait()
foot.draw("in front")
foot.end()
"""


def test_a_batch_in_the_background_draws_on_nobodys_last_line() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.execvpe(sys.executable, [sys.executable, "-c", LAST_LINE], {**os.environ, "TERM": "xterm"})
    said = read(terminal, 10)
    assert ending(pid) == 0
    os.close(terminal)
    assert said == b"event\r\n\rin front\x1b[K\r\x1b[K"


def test_a_demo_makes_a_study_shows_it_and_goes_on_with_it(tmp_path: Path, leaves_nothing: None, watch: Watch) -> None:
    root = tmp_path / "demo"
    root.mkdir()
    place = Place(root, root / ".git", root / ".git", "digits")
    screen = watch(place, 240, 40, "demo")
    screen.wait("digits", "e0000 . running", "no model", seconds=90)  # Accelerate is asked first, which imports torch
    screen.press("q")
    shown = screen.wait("EXIT 0")
    assert "study digits in . is made for this demo" in shown
    assert f"`{COMMAND} {root}` comes back, `{COMMAND} stop {root}` ends it" in shown.replace("\n", "")
    assert cockpit("stop", str(root)).returncode == 0
    cockpit("stop", str(root))  # by now it may have ended
    deadline = time.monotonic() + 20
    while engine_pid(place.folder) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    done = cockpit("demo", str(root / "nothing"))
    assert done.returncode == 1 and "would lie inside the git repository" in done.stderr
    words = [sys.executable, "-m", "cockpit", "demo", str(root)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as batch:
        assert batch.stdout is not None
        said = [next(batch.stdout) for _ in range(3)]
        batch.send_signal(signal.SIGINT)
        rest = batch.stdout.read()
    assert said[:2] == [
        f"study digits in {root} is here already\n",
        "there is no terminal here, so it runs in batch, until it has 8 experiments: a few minutes\n",
    ]
    assert "ended: interrupted; the same command goes on from here" in rest
    assert batch.returncode == 130


def test_without_a_terminal_the_headless_commands_are_named(ended: Place) -> None:
    done = cockpit(str(ended.root))
    assert done.returncode == 2
    assert "cockpit --batch" in done.stderr and "cockpit status" in done.stderr
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(sys.executable, [sys.executable, "-m", "cockpit", str(ended.root)], {**os.environ, "TERM": "dumb"})
    said = read(terminal, 10).decode()
    assert ending(pid) == 2
    assert "TERM=dumb" in said and "cockpit --batch" in said and "\x1b" not in said
    os.close(terminal)
