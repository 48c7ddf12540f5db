"""What measures the screen runs: on a small study, on a real pseudo-terminal, and nothing is said of its figures."""

from pathlib import Path

from tests.bench import large
from tests.bench.screen import SCREEN, Figures, opened, programs, resting, table


async def test_the_screen_is_measured_on_a_terminal_of_its_own(tmp_path: Path) -> None:
    place = await large.make(tmp_path / "study", 12)
    words, seen = programs(place)[SCREEN]
    found = Figures()
    with opened(*words) as terminal:
        found.add("first useful paint", SCREEN, terminal.wait(seen) - terminal.began)
        terminal.settle()
        at = terminal.press("j")
        terminal.wait(lambda text: "▸e".encode() in text, at)
        found.add("memory at most", SCREEN, terminal.megabytes())
        resting(terminal, SCREEN, 0.1, found)
    rows = table(found).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| first useful paint", "| idle: bytes a second", "| idle: of a core", "| memory at most",
    ]  # fmt: skip
