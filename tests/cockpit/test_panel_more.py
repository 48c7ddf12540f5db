"""A panel more is a file and a line. Both are given to a Python of its own, for the table of keys is made once."""

import subprocess
import sys
from pathlib import Path

MORE = '''
import asyncio, sys, types
from pathlib import Path
from cockpit import panels

FILE = """
from cockpit.line import line
from cockpit.view import Drawing
from cockpit.widgets.panel import Cell, Panel

class More(Panel):
    number, title, cell = 7, "More", Cell.DETAIL

    def draw(self, view, width, height):
        return Drawing([line(f"{len(view.study.experiments)} experiments, seen otherwise")])
"""
panels.NAMES += ("More",)
module = types.ModuleType("cockpit.panels.more")
exec(FILE, module.__dict__)
sys.modules[module.__name__] = module
from cockpit import feed
from cockpit.keys import help_lines
from store.place import Place
from cockpit.view import Repository
from tests.cockpit.studies import every_kind
from tests.cockpit.test_app import DARK, Shown, picture, until


async def follow(*_):
    yield every_kind()


async def shown(folder, size):
    app = Shown(Place(folder, folder, folder, "digits"), without_git, configuration=DARK)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "e0000" in picture(app))
        await pilot.press("7")
        await until(pilot, lambda: "seen otherwise" in picture(app))
        print(picture(app))


async def nothing(*_):
    return ""


without_git = Repository(nothing, nothing, nothing, nothing)
feed.follow = follow
folder = Path(sys.argv[1])
for size in ((80, 24), (120, 40), (200, 60)):
    asyncio.run(shown(folder, size))
print(*(one.text for one in help_lines(120)), sep="\\n")
'''


def test_a_panel_more_is_a_file_and_a_line(tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text(MORE)
    words = [sys.executable, str(tmp_path / "more.py"), str(tmp_path)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.count("7 More") == 3 and ran.stdout.count("experiments, seen otherwise") == 3
    assert "1-7" in ran.stdout
