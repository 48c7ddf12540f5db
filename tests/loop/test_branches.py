"""Git: nothing of the user's is run, and nothing of the user's is changed."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from loop.branches import HIDDEN, SHOWN, Branches, GitError, file, patch
from loop.new import CannotMake, new
from store.place import find
from store.records import Moves
from tests.conftest import Write, git


def fingerprint(root: Path) -> dict[str, str]:
    """All of the user's: working tree, index, stash, HEAD, configuration, and refs that are not ours."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(root).parts
    }
    files["git"] = " ".join(sorted(path.name for path in (root / ".git").iterdir() if path.name != "cockpit"))
    own = {name: (root / ".git" / name).read_bytes().hex() for name in ("index", "HEAD", "config")}
    refs = [
        line
        for line in git(root, "for-each-ref").splitlines()
        if "refs/heads/cockpit/" not in line and "refs/cockpit/" not in line
    ]
    return {**files, **own, "refs": "\n".join(refs), "stash": git(root, "stash", "list")}


async def everything(branches: Branches, folder: Path) -> None:
    """Each thing that is asked of git in a study."""
    commit = await branches.commit("HEAD")
    tree = await branches.tree(commit)
    files = await branches.files(tree)
    await branches.content(tree, next(iter(files)))
    await branches.dirty()
    await branches.snapshot(commit)
    await branches.left_out(tree)
    trunk, name = "refs/heads/cockpit/tried/trunk", "cockpit/tried/e0001-made"
    await branches.move({trunk: ((await branches.references()).get(trunk), commit)})
    await branches.check_out(tree, folder)
    await branches.contents(tree, files)
    made, _ = await branches.commit_files(commit, {"train.py": b"print('loss: 2')\n"}, "made", 1.0)
    await branches.move({SHOWN + name: (None, made)})
    assert "+print('loss: 2')" in await branches.diff(commit, made)
    await branches.stand()
    await branches.move({SHOWN + name: (made, None), HIDDEN + name: (None, made)})


async def test_no_program_that_the_repository_configures_is_run(write: Write, tmp_path: Path) -> None:
    place = write(files={".gitattributes": "*.py filter=trap diff=trap\n*.toml filter=a=b\n"})
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/sprung\ncat\n')
    trap.chmod(0o755)
    hooks = place.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "reference-transaction", "post-checkout", "pre-commit", "fsmonitor-watchman"):
        (hooks / hook).write_text(trap.read_text())
        (hooks / hook).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "filter.a=b.clean",
        "filter.a=b.smudge",
        "diff.external",
        "diff.trap.textconv",
        "diff.trap.command",
        "core.pager",
        "gpg.program",
    ):
        git(place.root, "config", key, str(trap))
    git(place.root, "config", "filter.trap.required", "true")
    (place.root / "train.py").write_text("# changed, so that a status has to look\n")
    (tmp_path / "sprung").unlink(missing_ok=True)  # git config may have run something; what counts comes now

    await everything(await Branches.of(place), tmp_path / "out")

    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
    assert (tmp_path / "out" / "train.py").read_text().startswith("import os")


async def test_a_partial_clone_fetches_nothing(write: Write, tmp_path: Path) -> None:
    origin = write()
    git(origin.root, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{origin.root}", "partial")
    git(tmp_path / "partial", "config", "remote.origin.uploadpack", f"touch {tmp_path}/sprung; git-upload-pack")
    (tmp_path / "partial" / "cockpit.toml").write_text('[study]\nname = "tried"\n')
    branches = await Branches.of(find(tmp_path / "partial"))
    with pytest.raises(GitError):
        await branches.check_out(await branches.tree("HEAD"), tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


async def test_a_repository_of_the_other_object_format_is_as_good(write: Write, tmp_path: Path) -> None:
    place = write()
    git(tmp_path, "init", "-q", "--object-format=sha256", "other")
    for name in ("train.py", "cockpit.toml"):
        (tmp_path / "other" / name).write_bytes((place.root / name).read_bytes())
    git(tmp_path / "other", "add", "-A")
    git(tmp_path / "other", "commit", "-qm", "base")
    await everything(await Branches.of(find(tmp_path / "other")), tmp_path / "out")


async def test_a_dirty_working_tree_with_a_stash_stays_byte_for_byte(write: Write, tmp_path: Path) -> None:
    place = write(files={"README.md": "one\n"})
    (place.root / "README.md").write_text("stashed\n")
    git(place.root, "stash")
    (place.root / "README.md").write_text("edited\n")
    (place.root / "staged").write_text("new\n")
    git(place.root, "add", "staged")
    git(place.root, "config", "core.splitIndex", "true")
    before = fingerprint(place.root)
    branches = await Branches.of(place)
    assert sorted(await branches.dirty()) == ["README.md", "staged"]
    await everything(branches, tmp_path / "out")
    assert fingerprint(place.root) == before
    assert (tmp_path / "out" / "README.md").read_text() == "one\n"


async def test_what_a_calling_git_left_in_the_environment_does_not_lead_astray(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere" / "index"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    await everything(await Branches.of(place), tmp_path / "out")


async def test_a_linked_working_tree_starts_from_its_own_head(write: Write, tmp_path: Path) -> None:
    place = write()
    git(place.root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    (tmp_path / "linked" / "train.py").write_text("print('loss: 1')\n")
    git(tmp_path / "linked", "commit", "-qam", "other")
    branches = await Branches.of(find(tmp_path / "linked"))
    assert await branches.commit("HEAD") == git(tmp_path / "linked", "rev-parse", "HEAD").strip()
    assert await branches.commit("HEAD") != git(place.root, "rev-parse", "HEAD").strip()


async def test_a_commit_changes_the_files_it_is_given_and_keeps_their_modes(write: Write) -> None:
    place = write(files={"run.sh": "#!/bin/sh\n", "a\tb": "x"})
    git(place.root, "update-index", "--chmod=+x", "run.sh")
    git(place.root, "commit", "-qm", "executable")
    branches = await Branches.of(place)
    head = await branches.commit("HEAD")
    changed = {"run.sh": b"#!/bin/sh\nexit\n", "a\tb": b"y\r\n", "new/file.py": b""}
    commit, tree = await branches.commit_files(head, changed, "subject\n\nbody\n", 86_400.0)
    assert await branches.contents(tree, changed) == changed
    modes = {path: facts.split()[0] for path, facts in (await branches.files(tree)).items()}
    assert (modes["run.sh"], modes["a\tb"], modes["new/file.py"]) == ("100755", "100644", "100644")
    assert (
        git(place.root, "log", "-1", "--format=%P|%an|%at|%B", commit).strip()
        == f"{head}|cockpit|86400|subject\n\nbody"
    )
    assert await branches.commit_files(head, changed, "subject\n\nbody\n", 86_400.0) == (commit, tree), "another oid"


async def test_the_files_of_a_name_are_those_of_what_it_stands_for_now(write: Write) -> None:
    place = write()
    branches = await Branches.of(place)
    head = await branches.commit("HEAD")
    before = [await branches.files(name) for name in ("HEAD", head)]
    before[1].clear()  # what is handed out is the caller's
    (place.root / "more.py").touch()
    git(place.root, "add", "more.py")
    git(place.root, "commit", "-qm", "more")
    assert await branches.files(head) == before[0]
    assert (await branches.files("HEAD")).keys() - before[0].keys() == {"more.py"}


async def test_of_a_patch_that_is_too_long_its_first_files_are_there_and_the_rest_is_counted(write: Write) -> None:
    branches = await Branches.of(write())
    commit = await branches.commit("HEAD")
    files = dict.fromkeys(("a.txt", "b.txt", "c.txt"), b"line\n" * 2000)
    made, _ = await branches.commit_files(commit, files, "made", 1.0)
    whole = await branches.diff(commit, made)
    assert await branches.diff(commit, made, most=len(whole.encode())) == whole
    cut = await branches.diff(commit, made, most=15_000)
    *lines, said = cut.splitlines()
    assert said == "\\ Left out beyond 0.015 MB: the rest of this file and 1 file after it"
    assert whole.startswith("\n".join(lines)) and len(cut) < 15_200


async def test_of_a_file_that_is_too_long_the_beginning_is_there_and_the_rest_is_said_to_be_left_out(
    write: Write,
) -> None:
    branches = await Branches.of(write())
    made, _ = await branches.commit_files(await branches.commit("HEAD"), {"a.txt": b"line\n" * 2000}, "made", 1.0)
    assert await branches.content(made, "a.txt", most=10_000) == b"line\n" * 2000
    cut = (await branches.content(made, "a.txt", most=5_000)).decode().splitlines()
    assert cut[:1000] == ["line"] * 1000 and cut[1001:] == ["… left out beyond 0.005 MB: the rest of this file"]


@pytest.mark.parametrize("most", [None, 100_000_000])
async def test_of_a_diff_that_nobody_waits_for_no_git_is_left(
    write: Write, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    branches = await Branches.of(write())
    before = await branches.commit("HEAD")
    long = b"".join(b"%d\n" % number for number in range(300_000))
    made, _ = await branches.commit_files(before, {f"{name}.txt": long for name in "abc"}, "made", 1.0)
    start, started = asyncio.create_subprocess_exec, list[asyncio.subprocess.Process]()

    async def noted(*words: Any, **more: Any) -> asyncio.subprocess.Process:
        started.append(await start(*words, **more))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    asked = asyncio.create_task(branches.diff(before, made, most))
    while not started:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asked.cancel() and [one.returncode for one in started] == [None], "it is under way"
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert None not in [one.returncode for one in started] and not Path(f"/proc/{started[0].pid}").exists()


async def test_a_file_that_moves_is_shown_to_move(write: Write) -> None:
    place = write(files={"old.py": "".join(f"line {number}\n" for number in range(50))})
    git(place.root, "mv", "old.py", "new.py")
    git(place.root, "commit", "-q", "-m", "moved")
    shown = await patch(place, "HEAD~", "HEAD")
    assert "rename from old.py\nrename to new.py" in shown and "\n-line" not in shown
    assert (await file(place, "HEAD", "new.py")).startswith(b"line 0\n")
    with pytest.raises(GitError):
        await file(place, "HEAD", "old.py")


async def test_a_branch_is_checked_out_wherever_its_working_tree_is(write: Write, tmp_path: Path) -> None:
    place = write()
    branches = await Branches.of(place)
    head, name, other = await branches.commit("HEAD"), "cockpit/tried/e0001-a", "cockpit/tried/e0002-b"
    await branches.move({SHOWN + name: (None, head), HIDDEN + other: (None, head)})
    git(place.root, "worktree", "add", "-q", str(tmp_path / "two words\nand a line"), name)
    assert await branches.stand() == ({SHOWN + name: head, HIDDEN + other: head}, {name})
    assert await branches.stand(SHOWN + other, SHOWN + name) == ({SHOWN + name: head}, {name}), "of these alone"
    assert await branches.stand(f"{SHOWN}cockpit/tried/e0003-rewrite-g{head[:7]}") == ({}, set()), "it is no branch"


async def test_a_hidden_branch_keeps_its_name_and_leaves_the_list(write: Write) -> None:
    place = write()
    branches = await Branches.of(place)
    head = await branches.commit("HEAD")
    name = "cockpit/tried/e0001-a"
    hide: Moves = {SHOWN + name: (head, None), HIDDEN + name: (None, head)}
    await branches.move({SHOWN + name: (None, head)})
    for _ in range(2):  # a second time does no harm
        await branches.move(hide)
        assert "e0001" not in git(place.root, "branch", "--all")
        assert git(place.root, "rev-parse", name).strip() == head
    git(place.root, "branch", name, head)  # to look at it
    await branches.move(hide)
    assert "e0001" not in git(place.root, "branch", "--all")


async def test_branches_move_together_or_not_at_all(write: Write) -> None:
    place = write()
    branches = await Branches.of(place)
    commit = await branches.commit("HEAD")
    other = await branches.commit_tree(await branches.tree("HEAD"), [commit], "other", 1.0)
    trunk, new = "refs/heads/cockpit/tried/trunk", "refs/heads/cockpit/tried/new"
    await branches.move({trunk: (None, commit)})
    for old in ("1" * 40, None):  # where it is not, or as if it were not there
        for to in (other, None):
            with pytest.raises(GitError):
                await branches.move({new: (None, commit), trunk: (old, to)})
            assert await branches.references() == {trunk: commit}


async def test_a_checkout_has_no_git_folder_and_nothing_sealed(write: Write, tmp_path: Path) -> None:
    place = write(files={"labels/a.csv": "1\n", "label": "x", "s p ä c e/[x].txt": "y"})
    branches = await Branches.of(place)
    await branches.check_out(await branches.tree("HEAD"), tmp_path / "out", without=("labels/",))
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == ["cockpit.toml", "label", "s p ä c e/[x].txt", "train.py"]


async def test_a_new_study_is_split_by_its_seed_and_nothing_else(tmp_path: Path) -> None:
    trees = []
    for number, seed in enumerate((0, 0, 1)):
        place = await new("digits", tmp_path / str(number), seed)
        assert git(place.root, "status", "--porcelain") == ""
        trees.append(git(place.root, "rev-parse", "HEAD^{tree}"))
        labels = (place.folder / "labels" / "test.csv").read_text().split()
        test = (place.root / "data" / "test.csv").read_text().split()
        assert len(labels) == len(test) == 600
        assert {len(row.split(",")) for row in test} == {64}, "a test row holds its label"
    assert trees[0] == trees[1] != trees[2]


@pytest.mark.parametrize("where", ["full", "file", "full/inside"])
async def test_a_new_study_never_writes_into_what_is_there(tmp_path: Path, where: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    git(tmp_path / "full", "init", "-q")
    with pytest.raises(CannotMake):
        await new("digits", tmp_path / where, 0)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "full" / "inside").exists()


async def test_a_recipe_that_is_none_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(CannotMake, match="there is: bytegpt, digits"):
        await new("digit", tmp_path / "d", 0)
    assert not list(tmp_path.iterdir())


async def test_changed_lines_are_those_added_and_those_taken_away_whatever_the_repository_says_of_its_files(
    write: Write,
) -> None:
    place = write("A = 1\nB = 2\nC = 3\n", files={".gitattributes": "*.py binary\n", "moved.txt": "a\nb\n"})
    git(place.root, "config", "diff.renames", "true")
    branches = await Branches.of(place)
    first = await branches.commit("HEAD")
    assert await branches.changed_lines(first, first) == 0
    other, _ = await branches.commit_files(first, {"train.py": b"A = 1\nB = 7\nC = 3\nD = \0\n"}, "more", 1.0)
    assert await branches.changed_lines(first, other) == await branches.changed_lines(other, first) == 3
    git(place.root, "mv", "moved.txt", "to\tthere.txt")
    git(place.root, "commit", "-qm", "moved")
    assert await branches.changed_lines(first, "HEAD") == 4
