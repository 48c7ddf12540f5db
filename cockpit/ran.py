"""How one process of the trail is said, to people and to scripts: how it ended, how long it took, what it was."""

import re
import shlex
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath
from typing import Any

from cockpit.figures import spent
from cockpit.output import time_of
from store.trail import Ran

OID = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
OURS = {"-P", "-E", "-S", "-I"}  # of Python: it imports nothing of the user's


def outcome(ran: Ran) -> str:
    """How it ended, in a word."""
    if ran.missed:
        return "not kept"
    if ran.goes_on:
        return "started"
    if ran.asked:
        return "stopped"
    if ran.status is None:
        return "not begun"
    return "killed" if ran.status < 0 else "failed" if ran.status else "ok"


def ended(ran: Ran) -> str:
    """The same, with the exit status or the signal of one that failed."""
    return f"{outcome(ran)} {abs(ran.status)}" if ran.failed and ran.status else outcome(ran)


def took(ran: Ran) -> str:
    """How long: `4ms`, `1.3s`, `24m`."""
    if ran.seconds is None:
        return ""
    if ran.seconds < 0.9995:
        return f"{1000 * ran.seconds:.0f}ms"
    return f"{ran.seconds:.1f}s" if ran.seconds < 9.95 else spent(ran.seconds)


def command(ran: Ran, study: str) -> str:
    """What was started, in brief: what makes git and Python ours alone is left out, and names of objects are short.

    `study` is the study's folder, which is written as in `cockpit.toml`.
    """
    argv = list(ran.argv)
    if argv and PurePath(argv[0]).name == "bwrap" and "--" in argv:
        return f"{_brief(argv[argv.index('--') + 1 :], study)}, behind bwrap"
    return _brief(argv, study)


def _brief(argv: list[str], study: str) -> str:
    name, rest = PurePath(argv[0]).name if argv else "", argv[1:]
    if name == "git":
        rest = [word for word in rest if word != "--no-pager"]
    elif name.startswith("python"):
        while rest and rest[0] in OURS:
            del rest[0]
    return _short(shlex.join([name, *rest]).replace(study, "{study}")) if name else ""


def purpose(ran: Ran) -> str:
    """What it was for, where its words do not say that."""
    return _short(ran.purpose.replace("refs/heads/", ""))


def _short(text: str) -> str:
    """A text in which the names of objects are short."""
    return OID.sub(lambda found: found[0][:7], text)


def page(every: Iterable[Ran]) -> str:
    """All of them, a line each."""
    rows = []
    for ran in every:
        at = datetime.fromtimestamp(ran.written_at).astimezone().isoformat(sep=" ", timespec="seconds")[:19]
        text = f"{ran.missed} before this could not be kept" if ran.missed else shlex.join(ran.argv)
        parts = [f"{purpose(ran)}: {text}" if ran.purpose else text, *([ran.said] if ran.said else [])]
        rows.append(f"{at}  {ran.who:8} {took(ran):>5}  {ended(ran):11} {'   '.join(parts)}".replace("\n", " "))
    return "\n".join(rows) or "nothing was started yet"


def keys(ran: Ran) -> dict[str, Any]:
    """One, for scripts. Of a line that counts what could not be kept, nothing is known but how many and why."""
    return {
        "at": time_of(ran.at),
        "by": ran.who,
        "for": ran.purpose or None,
        "argv": list(ran.argv),
        "folder": ran.folder or None,
        "reads": ran.reads,
        "outcome": outcome(ran),
        "exit_status": ran.status,
        "wall_seconds": ran.seconds,
        "pid": ran.pid,
        "said": ran.said or None,
        "missed": ran.missed,
    }
