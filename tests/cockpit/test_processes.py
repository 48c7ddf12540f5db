"""`@`: what was started is seen while it goes on, followed until one scrolls up, found, and clean."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from textual.events import MouseScrollUp, Paste
from textual.pilot import Pilot

from cockpit.processes import Found, Processes, Wanted, Whole, details, look, row
from cockpit.ran import page
from store.place import Place
from store.trail import ENGINE, FILE, SCREEN, Trail, everything
from tests.cockpit.test_app import Open, Shown, asked, outside, picture, press, settled, study, until  # noqa: F401
from tests.cockpit.test_line import MARKUP, POISON
from tests.conftest import TRAIN, Write, cockpit

OID = "3f2a1b0" + "c" * 33


def fill(folder: Path, count: int, first: int = 0) -> None:
    """So many commands, of which every second only reads and every tenth fails."""
    kept = Trail(folder, ENGINE)
    for number in range(first, first + count):
        words = ["/usr/bin/git", "--no-pager", ("read-tree", "rev-parse")[number % 2], f"n{number:05}", OID]
        with kept.running(words, "/repository", reads=bool(number % 2)) as one:
            one.ended(*((128, "fatal: no such thing") if number % 10 == 0 else (0,)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The study's folder, as the screen of `study` has it."""
    return tmp_path / "cockpit/digits"


async def opened(pilot: Pilot[Any]) -> Processes:
    await settled(pilot)
    await press(pilot, "@")
    page = pilot.app.screen
    assert isinstance(page, Processes)
    await until(pilot, lambda: page.found is not None)
    await pilot.pause()
    return page


async def grown(pilot: Pilot[Any], page: Processes, number: int) -> None:
    """The page has read so many."""
    await until(pilot, lambda: page.found is not None and page.found.tail.end == number)
    await pilot.pause()


async def test_the_newest_is_in_sight_until_one_goes_up_and_again_when_one_comes_back(
    study: Open,  # noqa: F811
    folder: Path,
) -> None:
    fill(folder, 100)
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        page = await opened(pilot)
        shown = picture(app).splitlines()
        assert "100 of 100, follows" in shown[0]
        assert shown[16].endswith("git rev-parse n00099 3f2a1b0") and "--no-pager" in picture(app), (
            "and below, all of it"
        )
        assert shown[-1] == " enter all of it  / filter  w what changes  G newest  ? help  esc back"
        fill(folder, 5, 100)
        await grown(pilot, page, 105)
        assert "n00104" in picture(app).splitlines()[16] and "105 of 105, follows" in picture(app)
        await press(pilot, *"kkk")
        before = picture(app).splitlines()
        fill(folder, 5, 105)
        await grown(pilot, page, 110)
        after = picture(app).splitlines()
        assert after[1:] == before[1:] and "102 of 110" in after[0]
        await press(pilot, "g")
        assert "n00000" in picture(app).splitlines()[2] and "fatal: no such thing" in picture(app)
        await press(pilot, "G")
        page.said.post_message(MouseScrollUp(page.said, 1, 5, 0, -1, 0, False, False, False))
        await pilot.pause()
        assert "107 of 110" in picture(app) and "follows" not in picture(app)
        await pilot.click(page.said, offset=(30, 4))
        assert "n00097" in "".join(picture(app).splitlines()[18:]), "a click goes there"
        await press(pilot, "G", "enter")
        assert isinstance(app.screen, Whole) and "/usr/bin/git --no-pager rev-parse n00109" in picture(app)
        await press(pilot, "escape", "escape")
        assert len(app.screen_stack) == 1


async def test_ten_thousand_are_there_at_once_and_are_found_by_any_of_their_words(study: Open, folder: Path) -> None:  # noqa: F811
    fill(folder, 200)
    one = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(one * 50)
    app = study()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        assert "10,000 of 10,000" in picture(app)
        await press(pilot, "w")
        await until(pilot, lambda: "5,000 of 5,000" in picture(app))
        assert "rev-parse" not in picture(app)
        await press(pilot, "/", *"FAILED n001", "backspace")
        await until(pilot, lambda: "1,000 of 1,000" in picture(app))
        assert picture(app).splitlines()[-1] == " / FAILED n00▏" and picture(app).count("failed 128") == 29
        page.post_message(Paste("1\x1b]52;c;cGF5\x07\nnowhere"))
        await until(pilot, lambda: "nothing like that was started" in picture(app))
        await press(pilot, "ctrl+u", *"n00190", "enter")
        await until(pilot, lambda: "50 of 50" in picture(app))
        await press(pilot, "k")
        assert "49 of 50" in picture(app)
        await press(pilot, "escape", "w")
        await until(pilot, lambda: "of 10,000" in picture(app))
        assert "n00190" in "".join(picture(app).splitlines()[31:]), "what the cursor was on it is on now"
        await press(pilot, "q")
        assert len(app.screen_stack) == 1


async def test_before_anything_was_started_or_where_it_cannot_be_read_that_is_said(study: Open, folder: Path) -> None:  # noqa: F811
    app = study()
    async with app.run_test(size=(80, 24)) as pilot:
        page = await opened(pilot)
        assert "nothing was started yet" in picture(app)
        await press(pilot, "enter", "k", "g", "G", "ctrl+d", "question_mark")
        assert "Help" in picture(app)
        await press(pilot, "escape")
        (folder / FILE).mkdir(parents=True)
        await until(pilot, lambda: "cannot be read" in picture(app))
        (folder / FILE).rmdir()
        fill(folder, 1)
        await grown(pilot, page, 1)
        assert "n00000" in picture(app)


def harmless(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


def test_what_is_foreign_in_it_is_only_text(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder.parents[1] / ".git").mkdir()
    with Trail(folder, POISON).running([POISON, POISON, "\udcff"], f"/{POISON}", purpose=POISON) as one:
        one.ended(1, POISON)
    with Trail(folder, ENGINE).running(["bwrap", "--ro-bind", "/", "--", POISON]) as one:
        one.ended(-9, POISON.encode())
    found = list(everything(folder))
    drawn = [line for ran in found for line in [row(ran, str(folder), 200), *details(ran, 200, 9)]]
    assert all(harmless(line.text) for line in drawn)
    assert any(MARKUP.split()[0] in line.text for line in drawn) and not any("cGF5" in line.text for line in drawn)
    assert "killed 9" in row(found[1], "", 200).text and "behind bwrap" in row(found[1], "", 200).text


def test_what_is_wanted_is_found_again_only_among_what_is_new(folder: Path) -> None:
    fill(folder, 20)
    found = look(folder, Found(), wanted := Wanted("n0000", changing=True))
    assert list(found.numbers) == [0, 2, 4, 6, 8]
    assert look(folder, found, wanted) is found
    fill(folder, 2)
    assert list(look(folder, found, wanted).numbers) == [0, 2, 4, 6, 8, 20]


async def test_an_editor_that_a_person_opens_is_in_it(
    outside: tuple[Shown, Path],  # noqa: F811
    folder: Path,
) -> None:
    app, _ = outside
    app.git = type(app.git)(app.git.patch, app.git.file, app.git.conflicts, app.git.stands, Trail(folder, SCREEN))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await press(pilot, "3")
        await settled(pilot)
        await press(pilot, "e")
        await settled(pilot)
    (one,) = everything(folder)
    assert one.argv[1] == "-R" and (one.who, one.status) == (SCREEN, 0)


def test_scripts_get_all_of_it(write: Write) -> None:
    place: Place = write(TRAIN)
    assert page(everything(place.folder)) == "nothing was started yet"
    fill(place.folder, 2)
    first, second = page(everything(place.folder)).splitlines()
    assert first.endswith(f"failed 128  /usr/bin/git --no-pager read-tree n00000 {OID}   fatal: no such thing")
    assert second.split()[2] == ENGINE and "ok" in second
    first, second = json.loads(cockpit("processes", "--json", str(place.root)).stdout)["processes"]
    assert first == {
        "at": first["at"], "by": "engine", "for": None, "folder": "/repository", "reads": False, "outcome": "failed",
        "argv": ["/usr/bin/git", "--no-pager", "read-tree", "n00000", OID], "exit_status": 128, "pid": None,
        "wall_seconds": first["wall_seconds"], "said": "fatal: no such thing", "missed": 0,
    }  # fmt: skip
    assert (second["reads"], second["outcome"], second["said"]) == (True, "ok", None)
