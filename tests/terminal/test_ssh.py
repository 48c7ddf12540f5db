"""The screen over a line that is cut: the engine lives, the screen ends, and coming back shows the same."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loop.run.supervisor import children
from store.place import Place, engine_pid
from tests.conftest import Write, cockpit, processes
from tests.terminal.test_screen import COMMAND, TRAIN, Watch, states, watch  # noqa: F401

PATH = f"{os.environ['PATH']}:/usr/sbin"
SCREEN = f"{sys.executable}\0-m\0cockpit\0"
ALWAYS = "-q -tt -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A server of one's own on loopback: the words that log in there, and its process."""
    programs = [shutil.which(name, path=PATH) for name in ("sshd", "ssh", "ssh-keygen")]
    if None in programs:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no ssh server here: `apt install openssh-server`")
        pytest.skip("needs an ssh server")
    sshd, ssh, keygen = map(str, programs)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which a server that has root insists on
    folder = tmp_path / "ssh"
    folder.mkdir()
    for name in ("host", "key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n"
    )
    words = [sshd, "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("w") as log, subprocess.Popen(words, stderr=log) as server:
        try:
            until(lambda: "listening" in (folder / "log").read_text(), lambda: (folder / "log").read_text())
            yield f"{ssh} {ALWAYS} -i {folder}/key -p {port} {getpass.getuser()}@127.0.0.1", server.pid
        finally:
            server.terminate()


def until(so: Callable[[], bool], said: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + 20
    while not so():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def named(pid: int, *names: str) -> list[int]:
    """The processes below one whose programs are called so."""
    below = children(pid)
    for one in below:
        below += children(one)
    return [one for one in below if Path(f"/proc/{one}/comm").read_text().strip() in names]


def end(pids: list[int]) -> None:
    """End processes as a cut or a crash does."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def gone(place: Place) -> bool:
    """Whether no screen of the study is left."""
    return not [one for one in processes(place.root) if f": {SCREEN}" in one]


def test_a_line_that_is_cut_leaves_the_engine_at_work_and_no_screen(
    write: Write,
    leaves_nothing: None,
    watch: Watch,  # noqa: F811
    line: tuple[str, int],
) -> None:
    login, server = line
    place = write(train=TRAIN, more="[budget]\nexperiments = 200")
    there = f"{login} cd {place.root} '&&' env {' '.join(carried())} {COMMAND}"

    cut = place.root.parent / "cut"
    first = watch(place, 80, 24, command=f"{there} .; touch {cut}; {there}")  # who is cut off comes back at once
    first.wait("e0001", "► running", seconds=60)
    engine = engine_pid(place.folder)
    assert engine is not None and first.flags() == ("1", "0", "1"), "a screen, no cursor, and the mouse is told of"
    end(named(server, "sshd", "sshd-session"))
    until(cut.exists)
    first.wait("► running", list(states(place))[-1], seconds=60)
    assert engine_pid(place.folder) == engine
    first.press("q")
    first.wait("the engine goes on, pid", "EXIT 0")
    assert first.flags() == ("0", "1", "0"), "what the cut has left is mended"
    assert {"icanon", "echo", "isig"} <= first.modes()

    second = watch(place, 80, 24, command=there)
    second.wait("► running", seconds=60)
    end(named(second.pid(), "ssh"))
    until(lambda: gone(place), lambda: processes(place.root))
    assert engine_pid(place.folder) == engine
    until(lambda: states(place)["e0001"] not in ("queued", "running", "measured"))  # measured is judged in a moment
    before = states(place)

    third = watch(place, 80, 24, command=there)
    third.wait("► running", "e0001 .")
    third.press("q")
    third.wait("the engine goes on, pid", "EXIT 0")
    assert engine_pid(place.folder) == engine and states(place)["e0001"] == before["e0001"]
    cockpit("stop", str(place.root))
    cockpit("stop", str(place.root))
    until(lambda: engine_pid(place.folder) is None)


def carried() -> list[str]:
    """What of this environment a login does not have."""
    return [
        f"{name}={os.environ[name]}" for name in ("OLLAMA_HOST", "XDG_CACHE_HOME", "PYTHONPATH") if name in os.environ
    ]
