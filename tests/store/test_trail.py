"""The trail: what is started leaves a line, whoever else writes, whatever is in its way; and it stays bounded."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from store import trail
from store.trail import ENGINE, FILE, NOWHERE, OLDER, SCREEN, Ran, Tail, Trail, everything, grow

MANY = """
import sys
from pathlib import Path
from store.trail import Trail
for number in range(150):
    with Trail(Path(sys.argv[1]), sys.argv[2]).running(["git", str(number), "x" * 200]) as one:
        one.ended(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a study that has not begun."""
    (tmp_path / ".git").mkdir()
    return tmp_path / ".git/cockpit/tried"


def run(kept: Trail, *argv: str, status: int | None = 0, said: str = "") -> None:
    with kept.running(argv, "/somewhere") as one:
        one.ended(status, said)


def names(found: Tail) -> list[str]:
    return [found.ran(number).argv[1] for number in range(found.first, found.end) if found.ran(number).argv]


def test_what_is_started_is_a_line_that_says_who_what_where_and_how_it_ended(folder: Path) -> None:
    kept = Trail(folder, ENGINE)
    with kept.running(["git", "rev-parse", Path("HEAD")], folder, purpose="look", reads=True) as one:
        one.ended(0, b"warning: of no interest")
    run(kept, "git", "commit-tree", status=128, said="\nfatal: no such tree\nhint: more\n")
    run(kept, "python", "-c", status=1, said="Traceback (most recent call last):\n  File …\nKeyError: 'a'\n")
    with kept.running(["git", "diff-tree"]) as one:
        one.ended(-9, "enough was read", asked=True)
    with pytest.raises(FileNotFoundError), kept.running(["gone"]):
        raise FileNotFoundError("no such program")
    with pytest.raises(KeyboardInterrupt), kept.running(["left", "alone"]):
        raise KeyboardInterrupt
    long = kept.goes_on(["python", "-m", "loop.detached"], "/", 812, purpose="the engine")
    long.ended(-15)
    found = list(everything(folder))
    read, failed, broken, _, absent, alone, began, over = found
    assert (read.who, read.argv, read.folder) == (ENGINE, ("git", "rev-parse", "HEAD"), str(folder))
    assert (read.purpose, read.reads, read.status, read.said) == ("look", True, 0, "")
    assert (failed.status, failed.said, failed.reads) == (128, "fatal: no such tree", False)
    assert broken.said == "KeyError: 'a'", "the first line of a traceback says nothing"
    assert (absent.status, absent.said) == (None, "no such program")
    assert (alone.status, alone.asked) == (None, True)
    assert (began.pid, began.goes_on, began.status, over.status, over.goes_on) == (812, True, None, -15, False)
    assert [one.failed for one in found] == [False, True, True, False, True, False, False, True]
    assert all(one.seconds is not None and one.seconds >= 0 for one in found if not one.goes_on)


def test_several_write_at_once_and_no_line_is_lost_or_mixed(folder: Path) -> None:
    words = [sys.executable, "-c", MANY, str(folder)]
    for each in [subprocess.Popen([*words, who], cwd=Path(__file__).parents[2]) for who in "abc"]:
        assert each.wait() == 0
    found = list(everything(folder))
    for who in "abc":
        assert [int(one.argv[1]) for one in found if one.who == who] == list(range(150))


def test_a_line_that_was_torn_is_skipped_and_the_next_one_is_whole(folder: Path) -> None:
    kept = Trail(folder, ENGINE)
    run(kept, "git", "first")
    with (folder / FILE).open("ab") as file:
        file.write(b'{"at":1.0,"who":"engine","argv":["git","to')
    assert names(before := grow(folder, Tail())) == ["first"], "it may be that it is just being written"
    run(kept, "git", "second")
    for foreign in (b"{}\n", b"[1]\n", b'{"at":NaN,"who":""}\n', b'{"at":1,"who":2}\n', b"\xff\n", b"[" * 9000 + b"\n"):
        with (folder / FILE).open("ab") as file:
            file.write(foreign)
    assert [one.argv[1] for one in everything(folder)] == ["first", "second"]
    assert names(grow(folder, before)) == ["first", "second"]


def test_the_file_is_turned_over_and_who_follows_it_misses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST_BYTES", 4_000)
    kept, found = Trail(folder, ENGINE), Tail()
    for number in range(100):
        run(kept, "git", f"{number:03}")
        if number % 7 == 0:
            found = grow(folder, found)
            assert found.ran(0).argv[1] == "000", "a number stays with its line"
    found = grow(folder, found)
    assert names(found) == [f"{number:03}" for number in range(100)]
    assert grow(folder, found) is found
    assert {path.name for path in folder.iterdir()} == {FILE, OLDER}
    assert all((folder / name).stat().st_size <= 4_000 for name in (FILE, OLDER))
    monkeypatch.setattr(trail, "TAIL_BYTES", 1_000)
    late = grow(folder, Tail())
    assert names(late) == names(found)[-len(late.lines) :] and late.unread and sum(map(len, late.lines)) <= 1_000
    monkeypatch.setattr(trail, "KEPT_LINES", 100)
    run(kept, "git", "100")
    found = grow(folder, found)
    assert (found.first, found.end) == (26, 101) and found.ran(100).argv[1] == "100", "what is kept has an end too"


def _link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    "trap",
    [lambda path, _: os.mkfifo(path), _link, lambda path, _: path.mkdir()],
    ids=["a pipe", "a link", "a folder"],
)
def test_what_cannot_be_written_fails_nothing_and_is_counted_when_it_can(
    folder: Path, tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    folder.mkdir(parents=True)
    kept, secret, file = Trail(folder, SCREEN), tmp_path / "secret", folder / FILE
    secret.write_text("mine")
    trap(file, secret)
    for _ in range(3):
        run(kept, "git", "lost")
    assert secret.read_text() == "mine"
    assert grow(folder, Tail()).lines == ()
    assert grow(folder, Tail()).lack.startswith(f"{FILE} cannot be read: ")
    file.rmdir() if file.is_dir() else file.unlink()
    run(kept, "git", "kept")
    missed, one = everything(folder)
    assert (missed.missed, missed.who, one.argv[1]) == (3, SCREEN, "kept")
    assert missed.said and missed.failed


def test_a_repository_that_is_gone_does_not_come_back_by_what_ends_after_it(tmp_path: Path) -> None:
    run(Trail(tmp_path / "gone/.git/cockpit/tried", ENGINE), "git", "status")
    assert not (tmp_path / "gone").exists()


def test_of_many_words_the_beginning_and_the_end_are_kept(folder: Path) -> None:
    run(Trail(folder, ENGINE), "bwrap", *(f"--option-{number}" for number in range(900)), "--", "python", "y" * 9_000)
    (one,) = everything(folder)
    left = next(number for number, word in enumerate(one.argv) if "left out" in word)
    assert one.argv[:2] == ("bwrap", "--option-0") and one.argv[-3:-1] == ("--", "python")
    assert one.argv[left].split()[1] == str(904 - (len(one.argv) - 1))
    assert (folder / FILE).stat().st_size < 4_096


def test_nothing_is_kept_where_nothing_is_to_be(folder: Path) -> None:
    run(NOWHERE, "git", "status")
    assert not folder.exists()
    assert list(everything(folder)) == [] and grow(folder, known := Tail()) is known
    assert Tail((b"nonsense",)).ran(0) == Ran(0.0, "", said="this line cannot be read")
