"""Patches: what git prints, line by line."""

import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.patch import MOST_BYTES, Change, Changes, Kind, parse, words

LINES = st.lists(
    st.sampled_from(["a = 1", "b = 2", "", "def f():", "    return a", "- minus", "+ plus", "@@ odd @@"]), max_size=12
)


def patch(folder: Path, old: list[str], new: list[str]) -> str:
    for name, lines in (("old", old), ("new", new)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    words = ["git", "diff", "--no-index", "--no-color", "old", "new"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True).stdout


@settings(max_examples=25, deadline=None)
@given(old=LINES, new=LINES)
def test_every_line_has_the_number_that_it_has_in_its_file(tmp_path_factory, old: list[str], new: list[str]) -> None:  # type: ignore[no-untyped-def]
    changes = parse(patch(tmp_path_factory.mktemp("patch"), old, new))
    for change in changes:
        if change.kind in (Kind.SAME, Kind.REMOVED):
            assert change.old is not None and old[change.old - 1] == change.text
        if change.kind in (Kind.SAME, Kind.ADDED):
            assert change.new is not None and new[change.new - 1] == change.text
    if old != new:
        head = changes[0]
        assert head.kind is Kind.FILE
        assert head.added == sum(change.kind is Kind.ADDED for change in changes)
        assert head.removed == sum(change.kind is Kind.REMOVED for change in changes)


def test_the_words_that_differ_are_marked(tmp_path: Path) -> None:
    changes = parse(patch(tmp_path, ["WIDTH = 64  # knob"], ["WIDTH = 128  # knob"]))
    removed, added = (next(one for one in changes if one.kind is kind) for kind in (Kind.REMOVED, Kind.ADDED))
    assert changes.twin(changes.index(removed)) == added and changes.twin(changes.index(added)) == removed
    old, new = words(removed.text, added.text)
    assert [removed.text[start:end] for start, end in old] == ["64"]
    assert [added.text[start:end] for start, end in new] == ["128"]


def test_two_files_and_what_git_says_of_them() -> None:
    text = (
        "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        "diff --git a/x y.py b/x y.py\nnew file mode 100644\nindex 0000000..1234567\n--- /dev/null\n+++ b/x y.py\t\n"
        "@@ -0,0 +1 @@\n+one\n\\ No newline at end of file\n"
    )
    assert [(one.kind, one.text) for one in parse(text)] == [
        (Kind.FILE, "run.sh"),
        (Kind.NOTE, "old mode 100644"),
        (Kind.NOTE, "new mode 100755"),
        (Kind.FILE, "x y.py"),
        (Kind.NOTE, "new file mode 100644"),
        (Kind.HUNK, ""),
        (Kind.ADDED, "one"),
        (Kind.NOTE, "No newline at end of file"),
    ]


def test_nothing_is_no_patch() -> None:
    assert list(parse("")) == []


@settings(max_examples=25, deadline=None)
@given(old=LINES, new=LINES)
def test_a_line_and_its_twin_stand_for_each_other(tmp_path_factory, old: list[str], new: list[str]) -> None:  # type: ignore[no-untyped-def]
    changes = parse(patch(tmp_path_factory.mktemp("patch"), old, new))
    for index, change in enumerate(changes):
        if (twin := changes.twin(index)) is not None:
            assert {change.kind, twin.kind} == {Kind.ADDED, Kind.REMOVED}
            at = next(at for at, other in enumerate(changes) if other is twin)
            assert changes.twin(at) is change


KINDS = st.lists(st.sampled_from(Kind), max_size=40)


@given(KINDS)
def test_one_stops_at_each_file_and_each_hunk_in_their_order(kinds: list[Kind]) -> None:
    changes = Changes([Change(Kind.FILE, "first"), *(Change(kind, "") for kind in kinds)])
    assert changes.stops == sorted(set(changes.stops))
    assert set(changes.files) <= set(changes.stops)
    first = {min((at for at in range(file, len(changes)) if changes[at].kind is Kind.HUNK), default=None)
             for file in changes.files}  # fmt: skip
    assert {at for at in changes.stops if changes[at].kind is Kind.HUNK} | first >= {
        at for at, change in enumerate(changes) if change.kind is Kind.HUNK
    }
    for index in range(len(changes)):
        file = changes.file(index)
        assert file is not None and file <= index and changes[file].kind is Kind.FILE


def rest(text: str, differ: Sequence[tuple[int, int]]) -> str:
    """A text without the parts that differ."""
    starts, ends = [start for start, _ in differ], [end for _, end in differ]
    return "".join(text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True))


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_words_that_differ_lie_within_their_lines_one_after_the_other(before: str, after: str) -> None:
    for text, slices in zip((before, after), words(before, after), strict=True):
        ends = [0, *(place for pair in slices for place in pair), len(text)]
        assert ends == sorted(ends)
    old, new = words(before, after)
    assert rest(before, old) == rest(after, new) or not (old or new)


@pytest.mark.parametrize("name", ["plain.py", "two words.py", "café.py", 'a"quote.py', "a b/c.py", "tab\there.py"])
def test_a_file_has_the_name_that_it_has(tmp_path: Path, name: str) -> None:
    git = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=True)
    git(["git", "init", "-q"])
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("one\n")
    git(["git", "add", "-A"])
    file.chmod(0o755)
    assert parse(git(["git", "diff"]).stdout)[0].text == name, "where only its mode changes"
    file.write_text("two\n")
    changes = parse(git(["git", "diff"]).stdout)
    assert changes[0] == Change(Kind.FILE, name, added=1, removed=1)


def test_a_file_that_was_moved_has_its_new_name() -> None:
    text = "diff --git a/old.py b/new name.py\nsimilarity index 100%\nrename from old.py\nrename to new name.py\n"
    assert parse(text)[0].text == "new name.py"


def test_what_a_line_holds_does_not_end_it() -> None:
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\x0cb\u2028c\r\n+--- a\x85\n"
    assert [one.text for one in parse(text)][2:] == ["a\x0cb\u2028c\r", "--- a\x85"]


def test_what_git_left_out_is_said() -> None:
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,9 @@\n+a\n\\ Left out beyond 20 MB: the rest of this file\n"
    assert parse(text)[-1] == Change(Kind.NOTE, "Left out beyond 20 MB: the rest of this file")


def test_fifty_thousand_changed_lines_of_ordinary_length_are_all_shown() -> None:
    texts = [f"    value_{number:05d} = measured(number, at={number:05d}, by='seconds')" for number in range(25_000)]
    body = "".join(f"-{text}\n+{text}  # x\n" for text in texts)
    text = f"diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,25000 +1,25000 @@\n{body}"
    assert len(texts[0]) > 55 and len(text.encode()) <= MOST_BYTES
    assert len(parse(text)) == 50_002


def test_of_very_many_short_lines_the_first_are_shown_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    head = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -0,0 +1,90 @@\n"
    monkeypatch.setattr("cockpit.patch.MOST_LINES", 94)
    assert len(parse(head + "+\n" * 90)) == 92
    *_, last, said = parse(head + "+\n" * 97)
    assert last.new == 90 and said == Change(Kind.NOTE, "Left out beyond 94 lines: 7 more")


def test_fifty_thousand_lines_are_read_in_a_moment() -> None:
    body = "".join(f"-old {number}\n+new {number}\n" for number in range(25_000))
    text = f"diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,25000 +1,25000 @@\n{body}"
    began = time.thread_time()
    changes = parse(text)
    assert len(changes) == 50_002 and changes.highest == 25_000
    assert time.thread_time() - began < 1.0, "a tenth of it is usual"
