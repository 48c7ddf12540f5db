"""What HEAD holds: its files, the text of those that say how training goes, and which of them a script reaches."""

import ast
from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct, field

from loop.branches import Branches
from loop.propose.literals import parsed
from loop.propose.scalar import Unreadable
from loop.run import reached

MOST_FILES = 3_000  # Python files that are read: of more, those nearest to the top
MOST_BYTES = 2**20  # of one file
CONFIGURATIONS = (".yaml", ".yml", ".toml", ".json")
POINTER = b"version https://git-lfs.github.com/spec/"  # what git has of a file that Git LFS keeps


class Seen(Struct, frozen=True):
    """Where the evidence of a guess stands. What is no file has no line: 0."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Sources(Struct, frozen=True, dict=True):
    """The files of a tree, with the Python among them."""

    files: Mapping[str, str]  # path: mode and digest
    python: Mapping[str, bytes]
    beside: dict[str, bytes] = field(default_factory=dict)  # configurations that were read because the code names them

    @classmethod
    async def of(cls, branches: Branches, tree: str) -> "Sources":
        """Read them. Raises GitError."""
        files = await branches.files(tree)
        scripts = sorted(
            (path for path in files if _plain(files, path, ".py")), key=lambda path: (path.count("/"), path)
        )
        texts = await branches.contents(tree, scripts[:MOST_FILES])
        return cls(files, {path: text for path, text in texts.items() if len(text) <= MOST_BYTES})

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The syntax trees of what is Python."""
        found = dict[str, ast.Module]()
        for path, text in self.python.items():
            try:
                found[path] = parsed(text)
            except Unreadable:
                continue
        return found

    def is_configuration(self, path: str) -> bool:
        """Whether a committed file could hold settings."""
        return _plain(self.files, path, *CONFIGURATIONS)

    def module(self, name: str, beside: str, cwd: str = ".") -> str | None:
        """The file of the repository that `import name` means in a script beside which it stands, run in `cwd`."""
        return reached.module(name, beside, self.python, cwd)

    def reached(self, script: str, cwd: str = ".") -> list[str]:
        """The Python files that a script is made of: itself, then what it imports or executes, and so on."""
        ahead, found = [script], dict[str, None]()
        while ahead:
            path = ahead.pop(0)
            if path in found or path not in self.trees:
                continue
            found[path] = None
            ahead += reached.named(path, self.trees[path], [script], self.python, cwd)
        return list(found)


def _plain(files: Mapping[str, str], path: str, *suffixes: str) -> bool:
    return path.endswith(suffixes) and files.get(path, "").startswith("100")
