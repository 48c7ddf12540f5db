"""Patches: what git prints, line by line."""

import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.patch import Kind, parse

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
    assert [removed.text[start:end] for start, end in removed.words] == ["64"]
    assert [added.text[start:end] for start, end in added.words] == ["128"]


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
    assert parse("") == []
