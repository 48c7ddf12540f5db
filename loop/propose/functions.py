"""The functions of a file, and one of them written anew so that the diff shows what is new in it and nothing else.

A small model gives back a whole function, without its comments and in its own layout. So what is taken of its answer is
what differs: statements whose syntax is the same keep their lines to the byte, down into loops and branches, and where
one is replaced by another of its kind its comments stay. Name, parameters and docstring are the file's own. What has
come out means what the model wrote: the syntax trees are held against each other.
"""

import ast
import io
import re
import textwrap
import tokenize
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from difflib import SequenceMatcher

from loop.propose.space import Unreadable, lines_of, parsed

Node = ast.FunctionDef | ast.AsyncFunctionDef
FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef)


class Unusable(Exception):
    """An answer is no function that could take the place of the one asked about; the message says why."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a file: at its top, or in a class."""

    path: str
    name: str  # `schedule`, or `Net.forward`
    text: str  # its lines, at the margin
    first: int  # line, from 0, decorators included
    last: int

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"{self.path}:{self.name}"


def functions(path: str, source: bytes) -> list[Function]:
    """The functions of a file that can be written anew, in its order. None where it cannot be read.

    Without those that stand twice, share a line with something else, or are on one line.
    """
    try:
        tree, lines = parsed(source), _text_lines(source)
    except Unreadable:
        return []
    nodes = list(_functions(tree, ""))
    names = [name for name, _ in nodes]
    found = []
    for name, node in nodes:
        first, last = _first(node), (node.end_lineno or 0) - 1
        text = textwrap.dedent("\n".join(lines[first : last + 1]))
        one = Function(path, name, text, first, last)
        alone = names.count(name) == 1 and node.body[0].lineno > node.lineno
        if alone and _meaning(_parse(text)) == _meaning(_plain(node)) and _put(source, one, text.split("\n")) == source:
            found.append(one)
    return found


def outline(source: bytes) -> list[str]:
    """What a file has at its top, a line each: imports, constants, and the heads of classes and functions.

    Raises Unreadable.
    """
    lines, found = _text_lines(source), []

    def add(body: Sequence[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | Node):
                found.append(lines[node.lineno - 1])
                add(node.body if isinstance(node, ast.ClassDef) else ())
            elif isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign):
                found.append(lines[node.lineno - 1])

    add(parsed(source).body)
    return found


def rewritten(source: bytes, function: Function, answer: str) -> bytes:
    """A file with a function as an answer has it. Every byte outside of the function stays. Raises Unusable."""
    old = _parse(function.text)
    assert old is not None
    new, new_lines = _answered(source, function, answer)
    old_lines = function.text.split("\n")
    skip = len(_docstring(old))
    start = old.body[0].end_lineno if skip else _above(old.body[0], old_lines)
    assert start is not None
    body, written = old.body[skip:], new.body[len(_docstring(new)) :]
    if not written or not body:
        raise Unusable(f"{function.name} has no statement")
    whole = _Block(new_lines, _above(written[0], new_lines))
    merged = _merged(_Block(old_lines, start), body, whole, written)
    for made in (merged, _taken(whole, written, old_lines[body[0].lineno - 1])):
        lines = old_lines[:start] + made
        if _meaning(_parse("\n".join(lines))) == _meaning(new):
            return _put(source, function, lines)
    raise Unusable(f"{function.name} cannot be set into {function.path}: write it with four spaces a level")


# --- what a model has written ----------------------------------------------------------------------------------------


def _answered(source: bytes, function: Function, answer: str) -> tuple[Node, list[str]]:
    """The function of an answer, and the lines of which it is. Raises Unusable."""
    short = function.name.rpartition(".")[2]
    head = re.compile(rf"^[ \t]*(async[ \t]+)?def[ \t]+{re.escape(short)}\b", re.MULTILINE)
    blocks = [block for block in FENCED.findall(answer) if head.search(block)] or [answer]
    lines = blocks[0].replace("\r\n", "\n").replace("\r", "\n")
    text = textwrap.dedent(re.sub(r"^[ \t]+", lambda tabs: tabs[0].expandtabs(4), lines, flags=re.MULTILINE)).strip(
        "\n"
    )
    if not head.search(text):
        raise Unusable(f"the answer holds no `def {short}`")
    try:
        tree = parsed(text.encode("utf-8", "replace"))
    except Unreadable as error:
        line = text.split("\n")[min(error.line, text.count("\n") + 1) - 1].strip()
        raise Unusable(f"line {error.line} of the function: {error}: `{line[:80]}`") from None
    known = {ast.dump(node) for node in _all(parsed(source))}
    found = [node for node in _all(tree) if isinstance(node, Node) and node.name == short]
    if len(found) != 1:
        raise Unusable(f"the answer holds `def {short}` {len(found)} times; write it once")
    for node in _all(tree):
        if node is not found[0] and not isinstance(node, ast.ClassDef) and ast.dump(node) not in known:
            what = ast.unparse(node).split("\n")[0]
            raise Unusable(f"only {function.name} can be written, and the answer holds `{what[:80]}`: put it inside")
    old = _parse(function.text)
    assert old is not None
    if type(found[0]) is not type(old) or _parameters(found[0]) != _parameters(old):
        raise Unusable(f"the parameters of {function.name} must stay ({', '.join(_parameters(old))})")
    return _plain(found[0]), text.split("\n")


def _all(tree: ast.Module | ast.ClassDef) -> Iterator[ast.stmt]:
    """The statements at the top of a file and in its classes."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _all(node)


def _parameters(node: Node) -> list[str]:
    args = node.args
    star = [f"*{args.vararg.arg}"] if args.vararg else []
    names = [one.arg for one in (*args.posonlyargs, *args.args)] + star + [one.arg for one in args.kwonlyargs]
    return names + ([f"**{args.kwarg.arg}"] if args.kwarg else [])


# --- two texts of one block made one ---------------------------------------------------------------------------------


class _Tangled(Exception):
    """Two statements share a line."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines, and where in them the statements of a block begin, with what is written above the first."""

    lines: list[str]
    start: int

    def units(self, body: Sequence[ast.stmt]) -> list[tuple[list[str], list[str]]]:
        """Of each statement the lines above it, and its own."""
        at, found = self.start, []
        for node in body:
            first, end = _first(node), node.end_lineno or 0
            if first < at:
                raise _Tangled
            found.append((self.lines[at:first], self.lines[first:end]))
            at = end
        return found


def _merged(old: _Block, old_body: Sequence[ast.stmt], new: _Block, new_body: Sequence[ast.stmt]) -> list[str]:
    """The lines of the new statements; where an old one says the same, its own."""
    beside = old.lines[old_body[0].lineno - 1]
    try:
        have, want = old.units(old_body), new.units(new_body)
    except _Tangled:
        return _taken(new, new_body, beside)
    keys = [ast.dump(node) for node in old_body], [ast.dump(node) for node in new_body]
    made: list[str] = []
    for kind, one, end, other, other_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            made += [line for above, own in have[one:end] for line in above + own]
            continue
        for index in range(other, other_end):
            place = one + index - other
            above, own = (_shifted(lines, new_body[index], beside) for lines in want[index])
            if place < end and type(old_body[place]) is type(new_body[index]):
                above = above if any(line.strip() for line in above) else have[place][0]
                own = _inside(old, old_body[place], new, new_body[index]) or _noted(have[place][1], own)
            made += above + own
    return made


def _inside(old: _Block, was: ast.stmt, new: _Block, is_now: ast.stmt) -> list[str] | None:
    """Two loops, branches and the like with one head: the lines of the old with those of the new that differ."""
    if not isinstance(was, BLOCKS) or type(was) is not type(is_now) or _head(was) != _head(is_now):
        return None
    assert isinstance(is_now, BLOCKS)
    if was.body[0].lineno == was.lineno or is_now.body[0].lineno == is_now.lineno:
        return None
    start = _above(was.body[0], old.lines)
    inner = _merged(
        _Block(old.lines, start), was.body, _Block(new.lines, _above(is_now.body[0], new.lines)), is_now.body
    )
    return [*old.lines[_first(was) : start], *inner, *old.lines[was.body[-1].end_lineno or 0 : was.end_lineno]]


def _head(node: ast.stmt) -> str:
    """A compound statement without its body."""
    head = copy(node)
    setattr(head, "body", [])  # noqa: B010 - not every statement has one
    return ast.dump(head)


def _taken(block: _Block, body: Sequence[ast.stmt], beside: str) -> list[str]:
    """The lines of a block as they were written, as far in as the line beside them."""
    return _shifted(block.lines[block.start : body[-1].end_lineno], body[0], beside)


def _shifted(lines: Sequence[str], node: ast.stmt, beside: str) -> list[str]:
    """Lines as far in as the one beside them, where `node` tells how far in they are now."""
    own, other = " " * node.col_offset, beside[: len(beside) - len(beside.lstrip())]
    return [other + line[len(own) :] if line.startswith(own) else line for line in lines] if own != other else [*lines]


def _noted(was: Sequence[str], own: list[str]) -> list[str]:
    """A line with the comment that the one which it replaces had at its end."""
    if len(was) == len(own) == 1 and not _comment(own[0]) and (note := _comment(was[0])):
        return [f"{own[0]}  {note}"]
    return own


def _comment(line: str) -> str:
    """The comment at the end of a line; none where the line is no whole statement."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip()).readline))
    except (tokenize.TokenError, SyntaxError):
        return ""
    return next((token.string for token in tokens if token.type == tokenize.COMMENT), "")


# --- syntax ----------------------------------------------------------------------------------------------------------


def _functions(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Node]]:
    for node in tree.body:
        if isinstance(node, Node):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _parse(text: str) -> Node | None:
    """The one function that a text is."""
    try:
        with warnings.catch_warnings(action="ignore"):
            (node,) = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _plain(node) if isinstance(node, Node) else None


def _plain(node: Node) -> Node:
    """A function without the annotations of its variables, which do nothing: small models leave them out."""

    class Plain(ast.NodeTransformer):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
            if node.value is None or not isinstance(node.target, ast.Name):
                return node
            return ast.copy_location(ast.Assign([node.target], node.value), node)

    found = Plain().visit(node)
    assert isinstance(found, Node)
    return found


def _meaning(node: Node | None) -> list[str]:
    """What a function does, whatever its head and its docstring say."""
    return [ast.dump(part) for part in node.body[len(_docstring(node)) :]] if node else []


def _docstring(node: Node) -> list[ast.stmt]:
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def _first(node: ast.stmt) -> int:
    """The line at which a statement begins, from 0, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1


def _above(node: ast.stmt, lines: Sequence[str]) -> int:
    """The line at which what is written above a block's first statement begins: comments, and empty lines."""
    at = _first(node)
    while at and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    return at


def _text_lines(source: bytes) -> list[str]:
    """The lines of a file, without their ends. Raises Unreadable."""
    try:
        return [line.decode().rstrip("\r\n") for line in lines_of(source.removeprefix(BOM_UTF8))]
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None


def _put(source: bytes, function: Function, lines: Sequence[str]) -> bytes:
    """A file with these lines in the place of the function's."""
    own = lines_of(source)
    first, last = own[function.first], own[function.last]
    indent = first[: len(first) - len(first.lstrip(b" \t"))]
    ends = [line[len(line.rstrip(b"\r\n")) :] for line in (first, last)]
    text = [(indent + line.encode() if line.strip() else b"") + ends[0] for line in lines]
    text[-1] = text[-1][: len(text[-1]) - len(ends[0])] + ends[1]
    return b"".join([*own[: function.first], *text, *own[function.last + 1 :]])
