"""An engine apart from the screen. `python -P -E -m loop.detached FOLDER [--experiments N] [--seconds S] …`.

It outlives who has started it. What a person can mend is one line on standard error and an exit status; an error of
ours keeps its traceback. Why the research ended is in the record, and no exit status.
"""

import argparse
import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

from loop.branches import GitError
from loop.engine import Limits, research
from loop.run.interpreter import Unusable
from loop.stop import MachineFailed, Stop
from loop.study import ConfigError
from store.database import RecordTooNew, RecordTooOld
from store.place import EngineRuns, NoStudy, Place, find
from store.spawn import CONFIGURATION, MACHINE, OTHER_ENGINE

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def live(place: Place, limits: Limits, *, with_changes: bool = False) -> None:
    """One life of an engine. The first signal ends it cleanly, the next one without grace for the run under way."""
    stop = Stop()
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # which nohup and a shell's background jobs mean
            asyncio.get_running_loop().add_signal_handler(number, stop.ask)
    await research(place, limits, stop, with_changes=with_changes)


def main() -> int:
    """Do as the command line says. The exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--experiments", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--with-changes", action="store_true")
    asked = parser.parse_args()
    try:
        limits = Limits(asked.experiments, asked.seconds)
        asyncio.run(live(find(asked.folder), limits, with_changes=asked.with_changes))
    except (NoStudy, ConfigError, Unusable) as error:
        return _complain(error, CONFIGURATION)
    except EngineRuns as error:
        return _complain(error, OTHER_ENGINE)
    except (MachineFailed, GitError, RecordTooNew, RecordTooOld, OSError, sqlite3.Error) as error:
        return _complain(error, MACHINE)
    return 0


def _complain(error: Exception, status: int) -> int:
    """All of it on one line, for who has started us reads the last one."""
    text = "; ".join(str(error).splitlines()) or type(error).__name__
    print(f"cockpit: {text}", file=sys.stderr, flush=True)  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(main())
