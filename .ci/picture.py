"""Draw the screen of a study as it is now: `.venv/bin/python .ci/picture.py DIR FILE.svg COLUMNS ROWS [KEY ...]`."""

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

from cockpit.app import Cockpit
from cockpit.configuration import Configuration
from cockpit.opening import asked_of_git
from store.place import find
from store.trail import NOWHERE

FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"  # a picture fetches nothing


def slim(drawn: str) -> str:
    """A picture as Textual exports it, with nothing in it that is not seen, and an element a line."""
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", FONTS)
    drawn = re.sub(r"terminal-\d+-?", "", drawn).replace("&#160;", "\u00a0")
    drawn = re.sub(r' clip-path="url\(#line-\d+\)"|<clipPath id="line-.*?</clipPath>\s*', "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"<text[^>]*>\u00a0*</text>\s*", "", drawn)
    grounds = re.compile(r'<rect fill="(#\w+)" [^>]*shape-rendering="crispEdges"/>')
    (page, _), *_ = Counter(grounds.findall(drawn)).most_common(1)
    drawn = grounds.sub(lambda rect: "" if rect[1] == page else f"{rect[0]}\n", drawn)
    drawn = re.sub(r'(<rect) fill="#\w+" (stroke=)', rf'\1 fill="{page}" \2', drawn, count=1)  # the window
    drawn = re.sub(r"<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", lambda one: f"{float(one[0]):.1f}", tag[0]), drawn)
    return re.sub(r"\n\s*\n+", "\n", drawn.replace("</text><text", "</text>\n<text"))


async def draw(study: Path, file: Path, columns: int, rows: int, keys: list[str]) -> None:
    """Open the screen without a terminal, press the keys, and write what is shown."""
    screen = Cockpit(find(study), asked_of_git(NOWHERE), configuration=Configuration("dark", ascii=False))
    async with screen.run_test(size=(columns, rows)) as pilot:
        await pilot.pause(2.0)
        for key in keys:
            await pilot.press(key)
        await pilot.pause(2.0)
        drawn = screen.export_screenshot(title=f"cockpit {screen.place.name}")
    file.write_text(slim(drawn))


if __name__ == "__main__":
    _, study, file, columns, rows, *keys = sys.argv
    asyncio.run(draw(Path(study), Path(file), int(columns), int(rows), keys))
