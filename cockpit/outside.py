"""Other programs that a person looks with: an editor on a copy, a pager on a patch. The screen waits meanwhile."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from textual.app import App, SuspendNotSupported

from store.trail import NOWHERE, Trail

# Those that take `+N` before a file's name for the line to begin at.
WITH_LINE = {"ex", "vi", "vim", "nvim", "view", "nano", "pico", "emacs", "emacsclient", "kak", "micro", "joe", "less"}


def editor(number: int) -> Sequence[str] | str:
    """The words that open a file at a line in the person's editor; or why there are none."""
    words = _words("VISUAL", "EDITOR", "vi")
    if isinstance(words, str) or Path(words[0]).name not in WITH_LINE:
        return words
    return [*words, f"+{number}"]


def pager() -> Sequence[str] | str:
    """The words that show in the person's pager what they are sent; or why there are none."""
    words = _words("PAGER", "less")
    if isinstance(words, str) or Path(words[0]).name != "less":
        return words
    return [*words, "-+F"]  # or a short patch would be gone as soon as it is shown


def _words(*names: str) -> Sequence[str] | str:
    """The words that the first of these variables holds, or the program that stands last if there is one."""
    *variables, usual = names
    name = next((one for one in variables if os.environ.get(one, "").strip()), None)
    if name is None:
        return [usual] if shutil.which(usual) else f"there is no {usual} here: set ${variables[-1]}"
    try:
        words = shlex.split(os.environ[name])
    except ValueError as error:
        return f"${name} cannot be read: {error}"
    return words if shutil.which(words[0]) else f"${name} names {words[0]}, which is not there"


@runtime_checkable
class Trailed(Protocol):
    """A screen that keeps what it starts."""

    @property
    def trail(self) -> Trail:
        """To which it is added."""
        ...


def show(
    app: App[Any], words: Sequence[str] | str, name: str, content: bytes, *, piped: bool = False
) -> tuple[str, str]:
    """Leave the terminal to a program that shows a file, as long as it runs; what went wrong, and its style.

    The file is nobody's, cannot be written, and is gone afterwards. Its name is said to the program, or it is piped.
    """
    if isinstance(words, str):
        return words, "bad"
    trail = app.trail if isinstance(app, Trailed) else NOWHERE
    try:
        with tempfile.TemporaryDirectory(prefix="cockpit-") as folder:
            file = Path(folder) / (name or "file")
            file.write_bytes(content)
            file.chmod(0o400)
            with file.open("rb") as stdin, app.suspend(), _keys_to_it():
                said = _run(words, trail, stdin) if piped else _run([*words, str(file)], trail)
    except SuspendNotSupported:
        said = f"this terminal cannot be lent to {Path(words[0]).name}"
    except OSError as error:
        said = f"there is nowhere to put what {Path(words[0]).name} would show: {error}"
    return said, "bad" if said else "dim"


def _run(words: Sequence[str], trail: Trail, stdin: IO[bytes] | None = None) -> str:
    """Run it to its end. Nothing is raised: the terminal would not be taken back."""
    try:
        with trail.running(words) as ran:
            ran.ended(status := subprocess.call(words, stdin=stdin))
    except OSError as error:
        return f"{Path(words[0]).name} cannot be started: {error}"
    return f"{Path(words[0]).name} ended with {status}" if status else ""


@contextmanager
def _keys_to_it() -> Iterator[None]:
    """A Ctrl-C is for the program, as in a pager that searches. A handler, unlike SIG_IGN, is not inherited by it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
