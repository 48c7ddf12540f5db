"""Draw the screen of a study as it is now: `.venv/bin/python .ci/picture.py DIR FILE.svg COLUMNS ROWS [KEY ...]`."""

import asyncio
import re
import sys
from pathlib import Path

from cockpit.app import Cockpit
from cockpit.view import Repository
from loop.branches import file as content
from loop.branches import patch
from loop.foresee import conflicts
from store.place import find

FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"  # a picture fetches nothing


async def draw(study: Path, file: Path, columns: int, rows: int, keys: list[str]) -> None:
    """Open the screen without a terminal, press the keys, and write what is shown."""
    screen = Cockpit(find(study), Repository(patch, content, conflicts))
    async with screen.run_test(size=(columns, rows)) as pilot:
        await pilot.pause(2.0)
        for key in keys:
            await pilot.press(key)
        await pilot.pause(2.0)
        drawn = screen.export_screenshot(title=f"cockpit {study.name}")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", FONTS)
    file.write_text(re.sub(r"terminal-\d+", "terminal", drawn))


if __name__ == "__main__":
    _, study, file, columns, rows, *keys = sys.argv
    asyncio.run(draw(Path(study), Path(file), int(columns), int(rows), keys))
