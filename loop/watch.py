"""A small process that waits for the end of an engine. `python -P -E -m loop.watch FOLDER`.

It waits for the engine's lock, which goes with the engine whatever ends it. Where that has not said why it ended, it
has died: then the watch does what one does who answers without an engine, which tells of it (`obey.py`). Until then it
has imported next to nothing.
"""

import fcntl
import os
import sys
from pathlib import Path

from store.place import LOCK, EngineRuns, Place, find


def wait(place: Place) -> None:
    """Until nobody is the study's engine."""
    descriptor = os.open(place.folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def main() -> None:
    """Wait, and look."""
    place = find(Path(sys.argv[1]))
    wait(place)
    import asyncio

    from store import views
    from store.database import ask

    last = asyncio.run(ask(place, views.last_engine, None))
    if last is not None and last.ended_at is None:
        from loop.obey import obey

        asyncio.run(obey(place))


if __name__ == "__main__":
    try:
        main()
    except (EngineRuns, OSError):  # another one runs already, and tells of it
        sys.exit(0)
