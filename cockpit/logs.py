"""The logs of one run: what its stages wrote, in their order, and what they go on writing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from cockpit import output

POLL_SECONDS = 0.2
OWN = "supervisor.log"  # cockpit's own, not a stage's


def stage_logs(folder: Path) -> list[Path]:
    """The logs of a run folder, in the order in which its stages wrote last."""
    logs = (log for log in folder.glob("*.log") if log.name != OWN and _own(log))
    return sorted(logs, key=lambda log: log.stat().st_mtime_ns)


def whole(folder: Path) -> list[tuple[str, list[str]]]:
    """Each stage with the lines of its log."""
    return [(log.stem, log.read_text("utf-8", "replace").splitlines()) for log in stage_logs(folder)]


async def follow(folder: Path, ended: Callable[[], Awaitable[bool]]) -> None:
    """Print the logs of a run as they grow, until it has ended. A line is printed when it is whole."""
    shown: dict[Path, int] = {}
    while True:
        last_look = await ended()
        for log in stage_logs(folder):
            if log not in shown:
                output.line(f"== {log.stem}")
            shown[log] = _print_from(log, shown.get(log, 0), last_look)
        if last_look:
            return
        await asyncio.sleep(POLL_SECONDS)


def _print_from(log: Path, offset: int, whole: bool) -> int:
    """Print the lines of a log after an offset. Where the next ones begin."""
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read()
    end = len(text) if whole else text.rfind(b"\n") + 1
    if end:
        output.line(text[:end].decode(errors="replace").rstrip("\n"))
    return offset + end


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; none where it is gone."""
    if not _own(log):
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - lines * 1000))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def _own(log: Path) -> bool:
    """Whether it is a log, and not a link that the code under test has put in its place."""
    return log.is_file() and not log.is_symlink()
