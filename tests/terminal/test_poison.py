"""Nothing foreign reaches a terminal uncleaned: whatever a study holds is poisoned, and each view of it is opened.

What is asserted is the bytes that a terminal was sent. Each place has a word of its own beside its poison, so that it
is seen that it came: a view that shows nothing would pass otherwise.
"""

import fcntl
import json
import os
import pty
import re
import select
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from store.place import RECORD, Place, find
from tests.conftest import IDENTITY, git
from tests.scripted import Act, Answer, changes, packs, serving
from tests.terminal.test_screen import ending

CLIPBOARD = "\x1b]52;c;cGF5bG9hZA==\x07"
TITLE = "\x1b]0;payload\x1b\\"
# Each begins with what a terminal obeys, and has markup that would end who interprets it, or do something.
POISONS = (
    f"{CLIPBOARD}\x1b[2J[/x]",
    f"{TITLE}\x1b[1337;1h\x1bc[@click=app.quit]x[/]",
    "\x9d0;payload\x9c\x9b2J\x9b6n\u202e[/x]",
    "\r\x07\x08\x00\x1bPpayload\x1b\\\u2066[/usr/bin]",
    "\x1b]8;;file:///payload\x1b\\\x0e\u2028\u200f[/x]",
)
OBEYED = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]|\r(?!\n)")
# What Textual sends: modes that it sets or asks for, where the cursor is, a style, and the pointer's shape.
KNOWN = re.compile(
    r"\x1b\[(?:\?(?:7|25|1000|1003|1004|1006|1015|1049|2004|2026|2048)(?:[hl]|\$p)|\d+;\d+H|2J|[\d;]*m|>\d*u|<u)"
    r"|\x1b\]22;\w*\x07"
)
NO_LINE, NO_NAME = "\0\r\u2028", "\0/"
PRINTED = re.compile(r"\x1b\[\d*[mK]|\r(?=[^\r\n]*\x1b\[K)")  # by a command: a diff's colours, and the last line


def poison(word: str, without: str = "") -> str:
    """A text that would do harm, and the word by which it is known to have come; some places take not all of it."""
    bane = POISONS[sum(map(ord, word)) % len(POISONS)]
    return "".join(one for one in bane if one not in without) + f"Q{word}"


TRAIN = f"""\
import os, sys
RATE = 0.1  # cockpit: 0.001..1.0 log
# {poison("context", NO_LINE)}
print({poison("log")!r} + " loss_seen: 0.3")
sys.stdout.flush()
sys.stdout.buffer.write(b"Qbytes \\x9b2J \\xed\\xa0\\x80 \\xff\\x1b[2J\\n" + b"epoch 1 loss_seen: 0.2\\n")
print("loss:", RATE + int(os.environ["COCKPIT_SEED"]) % 7 / 100)
"""


def named(key: str) -> str:
    """A key of a TOML table, with its poison."""
    return f"{key} = {json.dumps(poison(key))}"


TOML = f"""\
[study]
name = "tried"
{named("goal")}
[space]
edit = ["*.py"]
[run]
train = "python train.py"
python = "%s"
[objectives]
loss = {{ direction = "minimize", deterministic = true, {named("label")}, {named("unit")} }}
[model]
name = "[/x]Qmodel"
host = "%s"
num_ctx = 2048
share = 1
"""


def thinks(request: dict[str, Any]) -> Act:
    """What the model answers."""
    if packs(request):
        return Answer(changes(poison("because"), RATE=0.02))
    return Answer(f"<think>{poison('thought')}</think>{poison('reason')}\n{poison('second')}")


# What of the record is text of others, by table; what a column names is found by it, and stays.
FOREIGN = {
    "experiments": ("slug", "branch", "detail"),
    "runs": ("slot", "wall", "meter", "launch", "detail"),
    "stages": ("detail",),
    "events": ("text",),
    "proposals": ("proposer", "operator", "hypothesis", "reason"),
    "verdicts": ("sentence", "explanation", "rule"),
    "calls": ("model", "host", "operator", "detail", "answer"),
    "decisions": ("reason",),
    "commands": ("answer",),
}
FACTS = ("device", "python", "python_version", "wall", "no_wall", "meter", "launch", "model", "model_host", "model_why")


def poison_record(record: Path) -> None:
    """What is said in it is what it was not; and an experiment has failed."""
    with sqlite3.connect(record) as database:
        database.execute("UPDATE experiments SET state = 'failed', failure = 'crash' WHERE number = 2")
        for table, columns in FOREIGN.items():
            rows = database.execute(f"SELECT rowid, * FROM {table}").fetchall()
            for column in columns:
                for number, *_ in rows:
                    text = f"{poison(f'{table}.{column}')}.{number}"
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (text, number))
        for number, facts in database.execute("SELECT id, facts FROM engines").fetchall():
            said = json.loads(facts) | {name: poison(f"facts.{name}") for name in FACTS}
            said |= {"knobs": {poison("facts.knob"): poison("facts.domain")}, "left_out": [poison("facts.left_out")]}
            database.execute("UPDATE engines SET facts = ? WHERE id = ?", (json.dumps(said), number))
        for number, prompt in database.execute("SELECT id, prompt FROM calls").fetchall():
            said = json.loads(prompt)
            for index, message in enumerate(said["messages"]):
                message["content"] += f"\n{poison(f'message.{index}')}"
            for section in said["sections"]:
                section |= {"cut": poison("cut"), "of": section["of"] + 3}
            database.execute("UPDATE calls SET prompt = ? WHERE id = ?", (json.dumps(said), number))
        knobs = json.dumps({f"train.py:{poison('knob')}": poison("value"), "train.py:RATE": 0.02})
        database.execute("UPDATE experiments SET knobs = ? WHERE number > 0", (knobs,))
        database.execute(
            "INSERT INTO totals (outcome, resource, amount, spans) VALUES (?, 'seconds', 9.0, 1)",
            (f"failed: {poison('outcome')}",),
        )


def poison_commit(root: Path, record: Path) -> None:
    """What an experiment changes has names and lines that no program of ours makes."""
    names = (poison("path.one", NO_NAME), f"Qpath.two\u202e{chr(0x9B)}2J[b].py")
    with sqlite3.connect(record) as database:
        commit, parent = (
            database.execute("SELECT commit_oid FROM experiments WHERE number = ?", (number,)).fetchone()[0]
            for number in (1, 0)
        )
        train = TRAIN.replace("RATE = 0.1 ", f"RATE = 0.5  # {poison('changed', NO_LINE)}\n#")
        files = {"train.py": f"{train}# {poison('last', NO_LINE)}"}
        files |= {name: f"{poison('content', NO_LINE)}\n" for name in names}
        index = {"GIT_INDEX_FILE": str(record.with_name("poison.index"))}

        def run(*words: str, text: str | None = None) -> str:
            data = None if text is None else text.encode()
            done = subprocess.run(
                ["git", *words], cwd=root, env={**os.environ, **IDENTITY, **index}, input=data, capture_output=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.decode().strip()

        run("read-tree", commit)
        for name, content in files.items():
            oid = run("hash-object", "-w", "--stdin", text=content)
            run("update-index", "--add", "--cacheinfo", f"100644,{oid},{name}")
        made = run("commit-tree", run("write-tree"), "-p", parent, "-m", poison("message", "\0"))
        database.execute("UPDATE experiments SET commit_oid = ? WHERE number = 1", (made,))


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory, bare_python: Path) -> Place:
    """A study in a folder whose name is one too, that a real engine has run, by a model that says such things."""
    folder = tmp_path_factory.mktemp("poisoned") / poison("folder", NO_NAME)
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN, "utf-8")
    with serving(thinks, "[/x]Qmodel") as (host, _):
        (folder / "cockpit.toml").write_text(TOML % (bare_python, host))
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", poison("commit", "\0"))
        place = find(folder)
        told = on_a_terminal(
            place, f"c({['--batch', '--experiments', '3']})", f"c({['note', poison('note', NO_NAME)]})"
        )
    assert_clean(told, PRINTED, {"label", "context", "note"})
    poison_record(place.folder / RECORD)
    poison_commit(place.root, place.folder / RECORD)
    return place


def assert_clean(sent: bytes, known: re.Pattern[str], came: set[str]) -> None:
    """A terminal was sent nothing that it obeys but what is known, and these words of the poison."""
    text = known.sub("", sent.decode(errors="replace"))
    assert not [text[max(0, one.start() - 60) : one.end() + 60] for one in OBEYED.finditer(text)]
    assert came <= set(re.findall(r"Q([a-z_]+(?:\.[a-z_]+)?)", text))


# --- what is printed -------------------------------------------------------------------------------------------------

# Commands in one process, each as `main` has it.
COMMANDS = """
import sys
from cockpit import cli
def c(words):
    sys.argv[1:] = words
    try: cli.main()
    except SystemExit: pass
"""


def on_a_terminal(place: Place, *calls: str) -> bytes:
    """All that a terminal is sent."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(IDENTITY, TERM="xterm-256color")
        os.chdir(place.root)
        os.execv(sys.executable, [sys.executable, "-c", "\n".join([COMMANDS, *calls])])
    received = b""
    with suppress(OSError):
        while more := os.read(terminal, 65536):
            received += more
    os.close(terminal)
    ending(pid)
    return received


LOOKS = (
    *(["status"], ["experiments"], ["show", "1"], ["show", "2"], ["diff", "1"], ["frontier"], ["ledger"]),
    *(["context"], ["context", "1"], ["logs", "1"], ["merge", "2"], ["show", poison("argument", NO_NAME)]),
    *([poison("nowhere", "\0")], ["show", f"--{poison('option', NO_NAME)}"], ["experiments", "--json"]),
)
PRINTS = {
    *("experiments.slug", "experiments.detail", "experiments.branch", "verdicts.sentence", "verdicts.explanation"),
    *("proposals.hypothesis", "proposals.operator", "calls.answer", "facts.no_wall", "log", "bytes", "changed", "last"),
    *("path.one", "path.two", "content", "context", "argument", "nowhere", "unexpected"),
}
RAISED = f"""
from cockpit import look
async def one(*_): raise RuntimeError({poison("unexpected")!r})
look.one = one
c(["show", "1"])
"""


def test_no_command_prints_what_a_terminal_obeys(poisoned: Place) -> None:
    calls = [*(f"c({words})" for words in LOOKS), RAISED]
    assert_clean(on_a_terminal(poisoned, *calls), PRINTED, PRINTS)
    words = [sys.executable, "-c", "\n".join([COMMANDS, *calls])]
    piped = subprocess.run(words, cwd=poisoned.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert_clean(piped.stdout, re.compile("(?!)"), PRINTS)


# --- what is drawn ---------------------------------------------------------------------------------------------------

KEYS = (  # and what is drawn then
    ("\x1b", "Qverdicts.sentence"),
    ("jk2", "Qlabel"),
    ("3", "Qverdicts.sentence"),
    ("h", "Qproposals.hypothesis"),
    ("]]", "Qpath"),
    ("4", "Qlog"),
    ("5", "proposed"),
    ("o", "overhead"),
    ("6", "Qcalls.operator"),
    ("t", "Qgoal"),
    ("\x1b", "Qproposals.hypothesis"),
    ("w", "Qcalls.answer"),
    ("\x1b", "Qproposals.hypothesis"),
    ("jj\r", "Qmessage"),
    ("?", "Help"),
    ("\x1b", "Qcalls"),
    ("m", "Merge e0001 .*Qexperiments.slug"),
    ("\x1b", "Qcalls"),
    ("x", "Reject e0001"),
    ("\x1b", "Qcalls"),
    ("c", "A note"),
    ("\x1b", "Qcalls"),
    ("\x10", "Search for commands"),
    ("mark", "mark or unmark"),
    ("\x1b", "Qcalls"),
    ("1", "Qexperiments.detail"),
    ("/Qexp", "Qexp"),
    ("\rst", "Qexperiments.detail"),
)
DRAWN = {
    *("verdicts.sentence", "verdicts.explanation", "proposals.hypothesis", "proposals.reason", "calls.operator"),
    *("experiments.slug", "experiments.detail", "calls.answer", "goal", "message", "label", "unit", "log", "bytes"),
    *("path.one", "changed", "key"),
}


class Opened:
    """A screen on a pseudo-terminal, and every byte that it was sent."""

    def __init__(self, place: Place, columns: int, rows: int) -> None:
        self.pid, self.terminal = pty.fork()
        self.received = b""
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.environ.update(IDENTITY, TERM="xterm-256color")
            os.chdir(place.root)
            os.execv(sys.executable, [sys.executable, "-m", "cockpit"])

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str, *signs: str) -> None:
        """Press keys once the screen stands still, and wait until all of this is drawn."""
        while self.more(0.2 if keys else 0.0):
            pass
        os.write(self.terminal, keys.encode())
        began, deadline, drawn = len(self.received), time.monotonic() + 30, ""
        while not all(re.search(sign, drawn) for sign in signs):
            assert self.more(deadline - time.monotonic()), f"{keys!r} {signs!r}: {drawn}"
            drawn = KNOWN.sub("", self.received[began:].decode(errors="replace"))

    def more(self, seconds: float) -> bool:
        """Read what comes in so many seconds; whether anything did."""
        came = bool(select.select([self.terminal], [], [], max(0.0, seconds))[0])
        self.received += os.read(self.terminal, 65536) if came else b""
        return came


def test_no_view_draws_what_a_terminal_obeys(poisoned: Place) -> None:
    (poisoned.folder / "seen").touch()
    os.utime(poisoned.folder / "seen", (time.time() - 7200,) * 2)
    screen = Opened(poisoned, 80, 24)
    screen.press("", "While you were away")
    for keys, sign in KEYS:
        screen.press(keys, sign)
    screen.resize(200, 60)
    screen.press("", "Qunit", "Qverdicts.explanation")
    good = poisoned.config.read_text()
    poisoned.config.write_text(f"{good}\n{json.dumps(poison('key'))} = 1\n")
    screen.press("r", "The engine did not start", "Qkey")
    screen.press("\x1b", "Qverdicts")
    os.write(screen.terminal, b"q")
    with suppress(OSError):  # which says that nobody writes there any more
        while screen.more(30):
            pass
    poisoned.config.write_text(good)
    assert ending(screen.pid) == 0
    os.close(screen.terminal)
    assert_clean(screen.received, KNOWN, DRAWN)
