"""The short way to the screen: `cockpit [--readonly] [DIR]` does without what reads all other command lines.

That is half of the time until something is shown.
"""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from store.place import Place, engine_pid, find

if TYPE_CHECKING:
    from cockpit.view import Repository
    from store.trail import Trail

COMMANDS = frozenset(
    [
        "check",
        "checkout",
        "config",
        "context",
        "demo",
        "diff",
        "end",
        "experiments",
        "frontier",
        "init",
        "land",
        "ledger",
        "logs",
        "merge",
        "new",
        "note",
        "open",
        "pause",
        "pin",
        "plan",
        "probe",
        "processes",
        "redo",
        "reject",
        "rerun",
        "resume",
        "show",
        "status",
        "stop",
        "sync",
        "undo",
        "unpin",
        "yield",
    ]
)
READONLY = "--readonly"


def main() -> None:
    """The console command."""
    from cockpit import output

    if (folder := plain(sys.argv[1:])) is None or output.no_screen():
        from cockpit.cli import main as whole

        return whole()
    forgiving()
    try:
        status = screen(find(folder), None, None, readonly=READONLY in sys.argv)
    except (Exception, KeyboardInterrupt) as error:
        from cockpit.cli import answered

        answered(partial(_raise, error))
    else:
        sys.exit(status)


def plain(words: Sequence[str]) -> Path | None:
    """The folder of a command line that asks for the screen and says no more; None of any other."""
    folders = [word for word in words if word != READONLY]
    if len(folders) > 1 or len(words) > len(folders) + 1 or any(one.startswith("-") for one in folders):
        return None
    return None if folders and folders[0] in COMMANDS else Path(*folders)


def _raise(error: BaseException) -> None:
    raise error


def forgiving() -> None:
    """A terminal that cannot show a letter still gets the line, and no error brings anything else there."""
    from cockpit import output

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    output.complain_cleanly()


def screen(
    place: Place,
    experiments: int | None,
    seconds: float | None,
    *,
    with_changes: bool = False,
    readonly: bool = False,
    ascii_only: bool = False,
) -> int:
    """Show a study, which begins if it never has, and goes on where a limit is given. The exit status.

    One that begins `with_changes` begins from the working tree as it is.

    Raises Misconfigured.
    """
    gc.disable()  # until all is read: what is made by then stays, and to go through it is a fifth of the time
    from cockpit import configuration, first, output
    from store.trail import NOWHERE, SCREEN, Trail

    own = configuration.read(configuration.place())
    own = replace(own, ascii=True) if ascii_only else own
    if all(os.get_terminal_size()):  # it knows its size better than what a shell exported once
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
    with first.shown(place, own, readonly=readonly) as seen:
        from cockpit.app import Cockpit

        git = asked_of_git(NOWHERE if readonly else Trail(place.folder, SCREEN))
        shown = Cockpit(
            place,
            git,
            experiments,
            seconds,
            with_changes=with_changes,
            readonly=readonly,
            configuration=own,
            first=seen,
        )
        error = shown.run()
    if error is not None:
        raise error
    with suppress(output.ReaderGone):  # the line has dropped: that is what its exit status says
        if pid := engine_pid(place.folder):
            here, stop = output.command(place.root), output.command(place.root, "stop")
            output.line(f"the engine goes on, pid {pid}: `{here}` comes back, `{stop}` ends it")
        elif not readonly:
            output.line(f"no engine runs: `{output.command(place.root, 'resume')}` starts one")
    return shown.return_code or 0


def asked_of_git(trail: "Trail") -> "Repository":
    """What a screen asks of git. What that starts is added to the trail."""
    from cockpit.patch import MOST_BYTES
    from cockpit.view import Repository
    from loop.branches import Branches, file, patch

    async def conflicts(place: Place, numbers: Sequence[int]) -> str:
        from loop import foresee  # which imports what most screens never need

        return await foresee.conflicts(place, numbers, trail)

    async def stands(place: Place) -> dict[str, Any]:
        branches = await Branches.of(place, trail)
        return {"head": await branches.commit("HEAD"), "onto": await branches.head(), "root": str(place.root)}

    read = partial(patch, most=MOST_BYTES, trail=trail), partial(file, most=MOST_BYTES, trail=trail)
    return Repository(*read, conflicts, stands, trail)
