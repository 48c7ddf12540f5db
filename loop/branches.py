"""The branches of a study: what is read of a repository, and the little that is written there.

Each call says GIT_DIR and GIT_WORK_TREE, and has an index file of its own unless it looks at the user's. Refs under
`cockpit/` and `refs/cockpit/` are written, and objects, and nothing else: the user's index, working tree, configuration
and stash are only ever looked at. How git is run: `git.py`.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from loop.git import SAFE, run
from loop.git import GitError as GitError  # whoever asks these is told by it
from store.place import SCRATCH, Place
from store.records import Moves
from store.trail import NOWHERE, Trail

HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")  # so many lines away, and so many in their place
SHOWN, HIDDEN = "refs/heads/", "refs/"  # what `git branch` lists, and what it does not
OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # the whole name of an object, in either format
DESCRIBED = re.compile(r"-g[0-9a-f]{4,}$")  # a name that git takes for that of an object where there is none such
UNTRACKED_BYTES = 50_000_000  # of files that git does not track, which a snapshot takes along
MAGIC = {"GIT_LITERAL_PATHSPECS": "0"}  # of the one command that takes paths and cannot take them as they are
LISTED = 8  # trees whose files are kept in mind: trunk, what is proposed from, what has just been run


class TooMuch(Exception):
    """What git does not track is too large to be taken along. The message names it."""


class Conflict(Exception):
    """Two changes cannot be taken together. The message names the files in which they meet."""


class Branches(Struct, frozen=True):
    """The branches of one study."""

    place: Place
    trail: Trail = NOWHERE  # to which each command is added
    settings: Mapping[str, str] = field(default_factory=lambda: SAFE)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of who looks first and moves then
    listed: dict[str, dict[str, str]] = field(default_factory=dict)  # the files of a few trees: an oid says them all

    @classmethod
    async def of(cls, place: Place, trail: Trail = NOWHERE) -> "Branches":
        """The branches of a study, with every filter blanked that the configuration of its repository names."""
        self = cls(place, trail)
        out = await self._git("config", "--null", "--list", "--name-only")
        names = {
            name.rpartition(".")[0] for name in out.decode(errors="replace").split("\0") if name.startswith("filter.")
        }
        blank = {f"{name}.{key}": "" for name in names for key in ("smudge", "clean", "process")}
        return cls(place, trail, {**SAFE, **blank, **{f"{name}.required": "false" for name in names}})

    async def _git(
        self,
        *words: str,
        index: Path | None = None,
        work_tree: Path | None = None,
        stdin: bytes = b"",
        more: Mapping[str, str] = {},
        most: int | None = None,
        purpose: str = "",
    ) -> bytes:
        variables = {
            "GIT_DIR": str(self.place.git_dir),
            "GIT_WORK_TREE": str(work_tree or self.place.root),
            "GIT_INDEX_FILE": str(index or "/dev/null"),
            **more,
        }
        return await run(list(words), variables, self.settings, stdin, most, self.trail, purpose)

    # --- looking -----------------------------------------------------------------------------------------------------

    async def commit(self, name: str) -> str:
        """The commit that a name stands for. Raises GitError where there is none, as HEAD before the first commit."""
        return (
            (await self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
            .decode()
            .strip()
        )

    async def references(self, *names: str) -> dict[str, str]:
        """The references of all studies here, or of these names, each with the commit at which it stands.

        The branches are under SHOWN, those out of the way under HIDDEN. A hidden one keeps its name, for git looks
        under `refs/` too: `git log cockpit/…`, but no line of `git branch`.
        """
        return (await self.stand(*names))[0]

    async def stand(self, *names: str) -> tuple[dict[str, str], set[str]]:
        """The references, and the branches among them that a working tree has checked out, in one look.

        Of ten thousand names git reads all even where one is asked for, unless it is asked as for an object.
        """
        if names and not any(map(DESCRIBED.search, names)):
            return await self._named(names)
        out = await self._git(
            "for-each-ref", "--format=%(refname) %(objectname) %(worktreepath)%00",  # a path may hold a line feed
            *(names or (f"{SHOWN}cockpit/", f"{HIDDEN}cockpit/")),
        )  # fmt: skip
        words = [entry.split(" ", 2) for entry in out.decode(errors="replace").split("\0\n") if entry]
        return {name: commit for name, commit, _ in words}, {name.removeprefix(SHOWN) for name, _, at in words if at}

    async def _named(self, names: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """The same of a few names, whatever else there is."""
        out = await self._git(
            "cat-file", "--batch-check=%(objectname)", stdin="".join(f"{name}\n" for name in names).encode()
        )
        found = {name: said for name, said in zip(names, out.decode().splitlines(), strict=True) if OID.fullmatch(said)}
        if not found:
            return {}, set()
        lines = (await self._git("worktree", "list", "--porcelain")).decode(errors="replace").splitlines()
        return found, {name.removeprefix(SHOWN) for name in found if f"branch {name}" in lines}

    async def head(self) -> str | None:
        """The branch that the working tree has checked out, by its whole name; None of a detached HEAD."""
        try:
            return (await self._git("symbolic-ref", "--quiet", "HEAD")).decode().strip()
        except GitError:
            return None

    async def checked_out(self, branch: str) -> list[Path]:
        """The working trees that have a branch checked out."""
        said = (await self._git("worktree", "list", "--porcelain", "-z")).decode("utf-8", "surrogateescape")
        trees = [entry.split("\0") for entry in said.split("\0\0")]
        return [Path(lines[0].removeprefix("worktree ")) for lines in trees if f"branch {branch}" in lines]

    async def holds(self, commit: str, other: str) -> bool:
        """Whether a commit is another one, or has it behind it."""
        try:
            return (await self._git("merge-base", other, commit)).decode().strip() == other
        except GitError:  # they have nothing in common
            return False

    async def committed_at(self, commit: str) -> float:
        """When a commit was made, in seconds since 1970."""
        return float((await self._git("log", "-1", "--format=%ct", commit)).decode())

    async def remotes(self) -> list[str]:
        """The names of the repositories to which this one's branches can be pushed."""
        out = (await self._git("config", "--null", "--list", "--name-only")).decode(errors="replace")
        return [found[1] for name in out.split("\0") if (found := re.fullmatch(r"remote\.(.+)\.url", name))]

    async def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return (await self._git("rev-parse", "--verify", f"{commit}^{{tree}}")).decode().strip()

    async def files(self, tree: str) -> dict[str, str]:
        """All files of a tree, each with its mode and the digest of its content. A commit will do too."""
        if (files := self.listed.pop(tree, None)) is None:
            out = await self._git("ls-tree", "-r", "-z", "--full-tree", tree)
            entries = [entry.partition("\t") for entry in out.decode("utf-8", "surrogateescape").split("\0") if entry]
            files = {path: facts for facts, _, path in entries}
        if OID.fullmatch(tree):  # and not a name, which may stand for another one later
            while len(self.listed) >= LISTED:
                del self.listed[next(iter(self.listed))]  # that was asked for the longest ago
            self.listed[tree] = files
        return dict(files)

    async def submodules(self, tree: str) -> list[str]:
        """The submodules of a tree. They are not checked out."""
        return [path for path, facts in (await self.files(tree)).items() if facts.startswith("160000 ")]

    async def content(self, tree: str, path: str, most: int | None = None) -> bytes:
        """A file of a tree. Where it has more than `most` bytes, its last line says that the rest is left out."""
        out = await self._git("cat-file", "blob", f"{tree}:{path}", most=most)
        if most is None or len(out) <= most:
            return out
        return out[:most] + f"\n… left out beyond {most / 1e6:.3g} MB: the rest of this file\n".encode()

    async def contents(self, tree: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Those of these files that a tree holds, in one go."""
        files = await self.files(tree)
        wanted = [path for path in paths if path in files]
        oids = [files[path].split()[2] for path in wanted]
        out = await self._git("cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode())
        found, at = {}, 0
        for path in wanted:  # each `<oid> blob <size>`, the content, a line feed
            end = out.index(b"\n", at)
            head, at = out[at:end].split(), end + 1
            if head[1] != b"blob":
                raise GitError(
                    f"{path} cannot be read: {out[at:end].decode()}; a partial clone lacks it, `git fetch` it"
                )
            found[path], at = out[at : at + int(head[2])], at + int(head[2]) + 1
        return found

    async def diff(self, old: str, new: str, most: int | None = None) -> str:
        """What changed from one commit to another, as a patch.

        Where it has more than `most` bytes, its last line says what is left out: git is not asked for all of it.
        """
        absent = self.place.folder / "no-index"  # it is looked for attributes in
        out = await self._git(
            "diff-tree", "-p", "-r", "-M", "--no-ext-diff", "--no-textconv", "--no-color",
            "--src-prefix=a/", "--dst-prefix=b/", old, new, index=absent, most=most,
        )  # fmt: skip
        text = out.decode("utf-8", "replace")
        if most is None or len(out) <= most:
            return text
        names = await self._git("diff-tree", "-r", "-M", "-z", "--name-only", old, new, index=absent)
        text = text[: text.rfind("\n") + 1]  # of the line in which it was cut
        left = names.count(b"\0") - len(re.findall("^diff --git ", text, flags=re.MULTILINE))
        files = f" and {left} file{'s' * (left > 1)} after it" if left else ""
        return f"{text}\\ Left out beyond {most / 1e6:.3g} MB: the rest of this file{files}\n"

    async def changed_lines(self, old: str, new: str) -> int:
        """How many lines were added or taken away from one tree to another. Every file is taken for text."""
        absent = self.place.folder / "no-index"  # it is looked for attributes in
        out = await self._git(
            "diff-tree", "-p", "-U0", "-r", "--text", "--no-renames", "--diff-algorithm=myers", "--no-ext-diff",
            "--no-textconv", "--no-color", old, new, index=absent,
        )  # fmt: skip
        # Not by --numstat, which counts nothing of a file that the repository calls binary. Without context no line of
        # a file begins so.
        sizes = [HUNK.match(line) for line in out.split(b"\n")]
        return sum(int(count or 1) for size in sizes if size for count in size.groups())

    async def dirty(self) -> list[str]:
        """The tracked files that differ, in the working tree or the index, from HEAD."""
        out = await self._git(
            "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=all",
            index=self.place.git_dir / "index",
        )  # fmt: skip
        return [entry[3:] for entry in out.decode("utf-8", "replace").split("\0") if entry]

    async def left_out(self, tree: str) -> list[str]:
        """The tracked files that differ from HEAD and are not so in this tree either."""
        if not (paths := await self.dirty()):
            return []
        there = [path for path in paths if (at := self.place.root / path).is_file() and not at.is_symlink()]
        names = "".join(f"{path}\n" for path in there if "\n" not in path)
        oids = (await self._git("hash-object", "--stdin-paths", stdin=names.encode())).decode().split()
        now = dict(zip(names.splitlines(), oids, strict=True))
        was = {path: facts.split()[2] for path, facts in (await self.files(tree)).items()}
        return [path for path in paths if now.get(path) != was.get(path)]

    async def matches(self, commit: str) -> bool:
        """Whether the user's working tree and index hold what a commit does, in all that it tracks."""
        try:
            await self._git("diff-index", "--quiet", commit, index=self.place.git_dir / "index")
        except GitError:
            return False
        return True

    async def ignored(self, paths: Sequence[str]) -> set[str]:
        """Those of these paths of the working tree that the repository's rules ignore. None of them is looked into."""
        if not paths:
            return set()
        try:
            stdin = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
            out = await self._git("check-ignore", "-z", "--stdin", "--no-index", stdin=stdin, more=MAGIC)
        except GitError as error:
            if str(error).endswith("exit status 1"):  # none of them is
                return set()
            raise
        return {path for path in out.decode("utf-8", "surrogateescape").split("\0") if path}

    # --- writing -----------------------------------------------------------------------------------------------------

    async def move(self, moves: Moves) -> None:
        """Make references stand where they are to, all of them or none; one that is missing, or is there, does no harm.

        Raises GitError where one stands elsewhere than was said: somebody else has moved it.
        """
        stand, orders = await self.references(*moves), []
        for name, (old, new) in moves.items():
            now = stand.get(name)
            if now == new:
                orders.append(f"verify {name} {new}\n" if new else "")
            elif now is None or old is None:  # git refuses where it is there
                orders.append(f"create {name} {new}\n")
            elif new is None:
                orders.append(f"delete {name} {old}\n")
            else:
                orders.append(f"update {name} {new} {old}\n")
        script = "".join(["start\n", *orders, "prepare\n", "commit\n"])
        what = ", ".join(order.strip() for order in orders if order and not order.startswith("verify"))
        words = ("update-ref", "--no-deref", "-m", "cockpit", "--stdin")
        await self._git(*words, stdin=script.encode(), purpose=what)

    async def take_along(self, old: str, new: str) -> None:
        """Make the user's working tree and index another commit's. What they would lose by it is an error of git's.

        No program of the repository runs, neither hook nor filter. Where it is so already, nothing happens.
        """
        index = self.place.git_dir / "index"
        with suppress(GitError):  # of a file that is others' by now: `read-tree` says which
            await self._git("update-index", "-q", "--refresh", index=index)  # it goes by times, as in a copied folder
        await self._git("read-tree", "-m", "-u", old, new, index=index, purpose="the files of the working tree")

    async def tree_with(self, tree: str, files: Mapping[str, bytes]) -> str:
        """The tree of a tree, or of a commit, with other contents of these files.

        A file keeps its mode, and a new one is an ordinary one.
        """
        modes = {path: facts.split()[0] for path, facts in (await self.files(tree)).items()}
        with self._index() as index:
            await self._git("read-tree", tree, index=index)
            entries = b""
            for path, content in files.items():
                words = ("hash-object", "-w", "-t", "blob", "--no-filters", "--stdin")
                blob = await self._git(*words, stdin=content, purpose=path)
                entries += f"{modes.get(path, '100644')} {blob.decode().strip()}\t".encode() + os.fsencode(path) + b"\0"
            what = ", ".join(files)
            await self._git("update-index", "-z", "--index-info", index=index, stdin=entries, purpose=what)
            return (await self._git("write-tree", index=index)).decode().strip()

    async def commit_files(
        self, parent: str, files: Mapping[str, bytes], message: str, at: float, beside: Iterable[str] = ()
    ) -> tuple[str, str]:
        """A commit on `parent` with other contents of these files: its name and its tree's. No branch stands at it yet.

        Its other parents stand `beside`. Equal arguments make an equal commit.
        """
        tree = await self.tree_with(parent, files)
        return await self.commit_tree(tree, [parent, *beside], message, at), tree

    async def snapshot(self, head: str) -> tuple[str, list[str]]:
        """A commit on `head`, which is HEAD, of the working tree as it is: its name, and the files that differ.

        With what git does not track, unless it is ignored. No branch stands at it yet, and index, stash and files of
        the user's are as they were: git adds to a copy of their index, for of what that knows to be unchanged nothing
        is read. Equal trees make an equal commit. Raises TooMuch, and GitError where a merge is not finished.
        """
        own = self.place.git_dir / "index"
        with self._index() as index:
            if own.exists():
                await asyncio.to_thread(shutil.copy2, own, index)  # with its time, by which git knows what is racy
            out = await replace(self, settings={**self.settings, **await self._ignored()})._git(
                "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all",
                index=index,
            )  # fmt: skip
            entries = [(one[:2], one[3:]) for one in out.decode("utf-8", "surrogateescape").split("\0") if one]
            if met := [path for how, path in entries if "U" in how or how in ("AA", "DD")]:
                raise GitError(f"{met[0]} is in conflict: finish the merge, or `git merge --abort` it, first")
            # A folder is a repository of its own, which git would only name.
            entries = [(how, path) for how, path in entries if not path.endswith("/")]
            await asyncio.to_thread(_check_sizes, self.place.root, [path for how, path in entries if how == "??"])
            changed = "".join(f"{path}\0" for how, path in entries if how[1] != " ")
            words = ("add", "--all", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
            if changed:
                await self._git(*words, index=index, stdin=os.fsencode(changed), purpose="to a copy of the index")
            tree = (await self._git("write-tree", index=index)).decode().strip()
        paths = sorted({path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for _, path in entries})
        if tree == await self.tree(head):
            return head, []
        said = await self._git("cat-file", "commit", head)
        dated = re.search(rb"^committer .* (\d+) [-+]\d{4}$", said, re.MULTILINE)
        head_line = f"What was not committed when the study {self.place.name} began"
        message = "\n".join([head_line, "", *paths, ""])
        return await self.commit_tree(tree, [head], message, float(dated[1]) if dated else 0.0), paths

    async def _ignored(self) -> dict[str, str]:
        """Where the user says what git is to ignore in all repositories, which is else not read here."""
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git"
        found = str(base / "ignore")
        for words in (["--file", str(base / "config")], ["--file", str(Path.home() / ".gitconfig")], ["--local"]):
            with suppress(GitError):  # there is none
                asked = ("config", *words, "--type=path", "--get", "core.excludesFile")
                found = (await self._git(*asked, more={"HOME": str(Path.home())})).decode().rstrip("\n")
        return {"core.excludesFile": found}

    async def merged(self, base: str, ours: str, theirs: str) -> str:
        """The tree of two trees that were made from a third. Raises Conflict, which names all files that meet.

        A file that both have changed is merged by its lines, by `git merge-file`, which looks at no attributes: a
        repository's can name a program, or a way that finds no conflict. One that is gone, or is of another mode, is
        merged with nothing.
        """
        trees = [await self.files(tree) for tree in (base, ours, theirs)]
        files, meet = dict[str, bytes](), list[str]()
        for path in sorted({*trees[0], *trees[2]}):
            was, own, other = (tree.get(path) for tree in trees)
            if other in (was, own):
                continue
            kinds = {facts.split()[0] for facts in (was, own, other) if facts}
            if other is None or (was is None) != (own is None) or len(kinds) > 1 or not kinds.pop().startswith("100"):
                meet.append(path)
            elif own == was:
                files[path] = await self.content(theirs, path)
            elif was is None or (made := await self._by_lines(path, ours, base, theirs)) is None:
                meet.append(path)
            else:
                files[path] = made
        if meet:
            raise Conflict(" and ".join(meet))
        return await self.tree_with(ours, files)

    async def _by_lines(self, path: str, *trees: str) -> bytes | None:
        """A file as two have changed it: ours, what it was, theirs. None where they meet, or it is no text."""
        with self._index() as index:
            names = [index.with_name(name) for name in ("ours", "base", "theirs")]
            for name, tree in zip(names, trees, strict=True):
                name.write_bytes(await self.content(tree, path))
            try:
                return await self._git("merge-file", "-p", "-q", *map(str, names), work_tree=index.parent)
            except GitError:  # its status is the number of places in which they meet
                return None

    async def commit_tree(self, tree: str, parents: Iterable[str], message: str, at: float) -> str:
        """A commit of a tree that there is. No branch stands at it yet. Equal arguments make an equal commit."""
        date = {"GIT_AUTHOR_DATE": f"@{int(at)} +0000", "GIT_COMMITTER_DATE": f"@{int(at)} +0000"}
        words = [word for parent in parents for word in ("-p", parent)]
        out = await self._git("commit-tree", tree, *words, "-F", "-", stdin=message.encode(), more=date)
        return out.decode().strip()

    @contextmanager
    def _index(self) -> Iterator[Path]:
        """The name of an index file that nobody else uses; what a killed engine has left is swept by the next."""
        self.place.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.place.folder, prefix=SCRATCH) as folder:
            yield Path(folder) / "index"

    async def check_out(
        self,
        tree: str,
        folder: Path,
        without: tuple[str, ...] = (),
        instead: Mapping[str, str | None] = {},
    ) -> None:
        """Fill an empty folder, or one to be made, with the files of a tree: no `.git`, and nothing of `without`.

        `instead` are files of another one (`files`) that are to stand in the place of its own; None takes one out.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with self._index() as index:
            await self._git("read-tree", tree, index=index)
            if instead:
                nothing = f"0 {'0' * len(tree)}"
                lines = "".join(f"{facts or nothing}\t{path}\0" for path, facts in instead.items())
                stdin = lines.encode("utf-8", "surrogateescape")
                await self._git("update-index", "-z", "--index-info", index=index, stdin=stdin)
            if without:
                await self._git("rm", "-r", "-f", "--cached", "-q", "--ignore-unmatch", "--", *without, index=index)
                if left := await self._git("ls-files", "-z", "--", *without, index=index):
                    raise GitError(
                        f"sealed files would be handed to the code under test: {left.decode(errors='replace')}"
                    )
            await self._git("checkout-index", "--all", "--force", index=index, work_tree=folder)


def _check_sizes(root: Path, paths: Iterable[str]) -> None:
    """Raises TooMuch where files that git does not track are larger than what a snapshot takes."""
    sizes = {path: (root / path).lstat().st_size for path in paths}
    if (whole := sum(sizes.values())) <= UNTRACKED_BYTES:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
    named = ", ".join(f"{path} ({sizes[path] / 1e6:.0f} MB)" for path in largest)
    raise TooMuch(
        f"{whole / 1e6:.0f} MB in files that git does not track: {named}{', …' if len(sizes) > 3 else ''}; at most "
        f"{UNTRACKED_BYTES / 1e6:.0f} MB are taken along. Have git ignore them (`.gitignore`), and lend what runs read "
        "by `[data] read`; or commit them"
    )


async def patch(place: Place, old: str, new: str, most: int | None = None, trail: Trail = NOWHERE) -> str:
    """What changed from one commit of a study to another, for a face that has no engine."""
    return await (await Branches.of(place, trail)).diff(old, new, most)


async def file(place: Place, commit: str, path: str, most: int | None = None, trail: Trail = NOWHERE) -> bytes:
    """A file as it is in a commit of a study, for a face that has no engine. Raises GitError."""
    return await (await Branches.of(place, trail)).content(commit, path, most)


async def new_repository(folder: Path, message: str, trail: Trail = NOWHERE) -> None:
    """Make a folder a git repository and commit all that is in it, on the branch `main`."""
    variables = {"GIT_DIR": str(folder / ".git"), "GIT_WORK_TREE": str(folder)}
    for words in (
        ["init", "--quiet", "--template=", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", message],
    ):
        await run(words, variables, trail=trail)
