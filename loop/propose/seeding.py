"""A hard-coded seed, read from $COCKPIT_SEED in its place: the change that a study offers once, and who makes it.

    torch.manual_seed(1337)   →   torch.manual_seed(int(os.environ.get("COCKPIT_SEED", 1337)))

With `[run] seed = "train.py:torch.manual_seed()"` a run finds the number in the call, in its checkout alone, and it
finds it there after this change too. So nothing of the study rests on it. It is for the user, whose script then takes a
seed from whoever starts it. As it changes nothing that a run measures, one run shows that: at a seed that the unchanged
code has been run on, the values are the same, or it is said how they differ. It is no gain, and counts as none.
"""

import ast
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from loop.propose import seeded
from loop.propose.admit import Refused
from loop.propose.domain import Value
from loop.propose.literals import line_starts, lines_of, parsed, scalars
from loop.propose.prepare import Preparation
from loop.propose.scalar import Scalar, Unreadable, spliced
from loop.propose.seeded import VARIABLE
from store import views
from store.records import ENGINE, SEED, Experiment, Proposal, Refusal

ONE = "()"  # ends the name of the one number in a call


async def offer(own: Preparation) -> Experiment | Refused | None:
    """Queue the experiment of the change; None where there is nothing to offer, or it was proposed before."""
    place = own.settings.run.seed_knob
    if place is None or not place[1].endswith(ONE) or not own.settings.editable(place[0]):
        return None
    async with own.turn:
        if await views.ever_proposed(own.database, SEED):
            return None
        trunk = await own.trunk()
        path, name = place
        source = (await own.branches.contents(trunk.tree, [path])).get(path, b"")
        try:
            found = calls(source, name)
        except Unreadable:
            return None
        if VARIABLE.encode() in source or not found:
            return None
        edit = FromVariable(path, name, tuple(dict.fromkeys(one.name for one in found)))
        try:
            edit.made({path: source})
        except Refused:
            return None
        proposal = Proposal(ENGINE, SEED, trunk.number, edit.sentence, edit.change, time.time())
        return await own.let_in(proposal, edit)


def calls(source: bytes, name: str) -> list[Scalar]:
    """The seeds in a file's calls that set a shared one, and in those of this name. Raises Unreadable."""
    given = set(seeded.starts(source))
    return [one for one in _numbers(source, name) if (one.name.removesuffix(ONE), one.start) in given]


def _numbers(source: bytes, name: str) -> list[Scalar]:
    """The one number in each of these calls, whatever it is there for: where a run finds its seed."""
    every = [one for one in scalars(source) if one.name.endswith(ONE) and not one.fixed]
    return [one for one in every if one.name == name or seeded.shared(one.name.removesuffix(ONE))]


class FromVariable(Struct, frozen=True):
    """The calls of a file that set a seed read it from the variable, and what they were given where there is none."""

    path: str
    name: str  # of the call that `[run] seed` names
    names: tuple[str, ...]  # of all calls that change
    moves: Mapping[str, Value] = field(default_factory=dict)

    @property
    def paths(self) -> Iterable[str]:
        """Its file."""
        return (self.path,)

    @property
    def title(self) -> str:
        """What changes."""
        return "seed from the environment"

    @property
    def sentence(self) -> str:
        """What changes, and what a run of it may show beside."""
        said = f"{' and '.join(self.names)} in {self.path} read{'s' if len(self.names) == 1 else ''} the seed from "
        others = [name for name in self.names if name != self.name]
        said += f"${VARIABLE}, and without it {'is' if len(self.names) == 1 else 'are'} as before"
        return said + (f"; a run sets that of {self.name} alone today" if others else "")

    @property
    def change(self) -> dict[str, Any]:
        """The calls."""
        return {SEED: [f"{self.path}:{name}" for name in self.names]}

    def onto(self, values: Mapping[str, Value]) -> "FromVariable":
        """It has no knobs."""
        return self

    def made(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The file as it is then. Raises Refused, also where a run would not find its seed in it; Unreadable."""
        source = sources.get(self.path, b"")
        found = [one for one in calls(source, self.name) if one.name in self.names]
        where = {(one.start, one.end): one for one in found}  # a call may stand in another one
        made = spliced(source, [(one, _read(source[one.start : one.end].decode())) for one in where.values()])
        made = _importing(made, min(one.line for one in found))
        if _stands(_numbers(made, self.name)) != _stands(_numbers(source, self.name)):
            raise Refused(Refusal.INVALID, f"`{self.name}` in {self.path} would not be found in it by a run")
        return {self.path: made}


def _stands(found: Iterable[Scalar]) -> list[tuple[str, Value]]:
    return [(one.name, one.value) for one in found]


def _read(number: str) -> str:
    return f'int(os.environ.get("{VARIABLE}", {number}))'


def _importing(source: bytes, before: int) -> bytes:
    """The file with `import os` at its top, unless that stands above a line already.

    Raises Refused, also where `os` may be something else: a parameter, or what a function imports for itself.
    """
    tree = parsed(source)
    body = tree.body
    if (other := min((node.lineno for node in _rebinds(tree)), default=None)) is not None:
        raise Refused(Refusal.INVALID, f"`os` is bound on line {other}, and the change reads `os.environ`")
    if any(node.lineno < before for node in body if isinstance(node, ast.Import) and "os" in _binds(node)):
        return source
    first = next(node for number, node in enumerate(body) if not _opens(node, number))
    line = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))])
    lines = lines_of(source)
    at = line_starts(source)[line - 1]
    if first.col_offset:
        raise Refused(Refusal.INVALID, f"line {line} holds two statements, and there is no place for `import os`")
    end = b"\r\n" if lines[line - 1].endswith(b"\r\n") else b"\n"
    return source[:at] + b"import os" + end + source[at:]


def _rebinds(tree: ast.Module) -> Iterator[Any]:
    """What binds `os` otherwise than `import os` at the top of a file does."""
    for node in ast.walk(tree):
        match node:
            case ast.Import() if "os" in _binds(node):
                plain = node in tree.body and all(one.asname != "os" for one in node.names)
            case ast.ImportFrom(names=names):
                plain = all((one.asname or one.name) != "os" for one in names)
            case ast.Name(id="os", ctx=ast.Store() | ast.Del()) | ast.arg(arg="os"):
                plain = False
            case (
                ast.FunctionDef(name="os")
                | ast.AsyncFunctionDef(name="os")
                | ast.ClassDef(name="os")
                | ast.ExceptHandler(name="os")
                | ast.MatchAs(name="os")
                | ast.MatchStar(name="os")
                | ast.MatchMapping(rest="os")
            ):
                plain = False
            case _:
                plain = True
        if not plain:
            yield node


def _binds(node: ast.Import) -> Iterator[str]:
    for one in node.names:
        yield one.asname or one.name.partition(".")[0]


def _opens(node: ast.stmt, number: int) -> bool:
    """Whether a statement has to stand first in its file: the docstring, and what comes from the future."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return number == 0
        case ast.ImportFrom(module="__future__"):
            return True
    return False
