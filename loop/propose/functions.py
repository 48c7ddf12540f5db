"""The functions of a file, and one of them written anew so that the diff shows what is new in it and nothing else.

A small model gives back a whole function, without its comments and in its own layout. So what is taken of its answer is
what differs: statements whose syntax is the same keep their lines to the byte, down into loops and branches, and where
one is replaced by another for the same thing its comments stay. Head and docstring are the file's own. What has come
out means what the model wrote: the syntax trees are held against each other.
"""

import ast
import io
import re
import textwrap
import tokenize
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from difflib import SequenceMatcher

from msgspec import Struct

from loop.propose.literals import lines_of, parsed
from loop.propose.scalar import Unreadable

Node = ast.FunctionDef | ast.AsyncFunctionDef
FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.FunctionDef, ast.AsyncFunctionDef)
HELD = "\0"  # before a line that begins in a string: moved, the string would be another one
QUOTED = 80  # characters of an answer, in a reason


class Unusable(Exception):
    """An answer is no function that could take the place of the one asked about; the message says why."""


class Function(Struct, frozen=True):
    """A function of a file: at its top, or in a class."""

    path: str
    name: str  # `schedule`, or `Net.forward`
    text: str  # its lines, at the margin

    @property
    def key(self) -> str:
        """Its name in the record."""
        return f"{self.path}:{self.name}"

    @property
    def short(self) -> str:
        """Its name in the code."""
        return self.name.rpartition(".")[2]


def functions(path: str, source: bytes) -> list[Function]:
    """The functions of a file that can be written anew, in its order. None where it cannot be read, or is not UTF-8.

    Without those that stand twice; those that have no statement on a line of its own after head and docstring; and
    those with a string over several lines that would be another one at the margin.
    """
    try:
        if tokenize.detect_encoding(io.BytesIO(source).readline)[0] not in ("utf-8", "utf-8-sig"):
            return []
        nodes, lines = list(_functions(parsed(source), "")), _text_lines(source)
    except (Unreadable, SyntaxError, RecursionError):
        return []
    names = [name for name, _ in nodes]
    found = []
    for name, node in nodes:
        text = textwrap.dedent("".join(lines[_first(node) : node.end_lineno])).replace("\r", "").rstrip()
        alone = names.count(name) == 1 and (body := _body(node)) and not _Block(lines, 0).beside(body).strip()
        if alone and _faithful(node, text):
            found.append(Function(path, name, text))
    return found


def outline(source: bytes) -> list[str]:
    """What a file has at its top: imports, constants, and the heads of classes and functions. Raises Unreadable."""
    lines, found = _text_lines(source), []

    def add(body: Sequence[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | Node):
                found.append("".join(lines[node.lineno - 1 : max(node.lineno, _block(lines, node.body).start)]))
                add(node.body if isinstance(node, ast.ClassDef) else ())
            elif isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign):
                found.append("".join(lines[node.lineno - 1 : node.end_lineno]))

    add(parsed(source).body)
    return [text.rstrip() for text in found]


def closed(answer: str) -> bool:
    """Whether the code of an answer has come to its end, as its fence says."""
    fences = len(FENCE.findall(answer))
    return fences > 0 and fences % 2 == 0


def rewritten(source: bytes, function: Function, answer: str) -> bytes:
    """A file with a function as an answer has it. Every byte outside of the function stays. Raises Unusable."""
    try:
        return _rewritten(source, function, answer)
    except RecursionError:
        raise Unusable(f"`{function.short}` is nested too deeply") from None


def _rewritten(source: bytes, function: Function, answer: str) -> bytes:
    old = _find(source, function.name)
    assert old is not None
    new, new_lines = _answered(source, function, old, answer)
    body, written = _body(old), _body(new)
    if not written or new_lines[_first(written[0])][: written[0].col_offset].strip():
        raise Unusable(f"`{function.short}` has no statement on a line of its own")
    lines = _text_lines(source)
    end = "\r\n" if lines[_first(old)].endswith("\r\n") else "\n"
    ours, theirs = _block(lines, body), _block(_held([f"{line}{end}" for line in new_lines]), written)
    for made in (_merged(ours, body, theirs, written), _taken(theirs, written, ours.beside(body))):
        made = [line.removeprefix(HELD) for line in made]
        made = [line if line.endswith(("\n", "\r")) else line + end for line in made]
        last = lines[(old.end_lineno or 0) - 1]
        made[-1] = made[-1].rstrip("\r\n") + last[len(last.rstrip("\r\n")) :]
        text = "".join([*lines[: ours.start], *made, *lines[old.end_lineno or 0 :]]).encode()
        file = source[: len(source) - len(source.removeprefix(BOM_UTF8))] + text
        found = _find(file, function.name)
        if found is not None and _meaning(found) == _meaning(new):
            return file
    raise Unusable(f"`{function.short}` cannot be set into {function.path}: write it with four spaces a level")


# --- what a model has written ----------------------------------------------------------------------------------------


def _answered(source: bytes, function: Function, old: Node, answer: str) -> tuple[Node, list[str]]:
    """The function of an answer, and the lines of which it is. Raises Unusable."""
    head = re.compile(rf"^[ \t]*(async[ \t]+)?def[ \t]+{re.escape(function.short)}\b", re.MULTILINE)
    answer = answer.replace("\r\n", "\n").replace("\r", "\n")
    text = ([block for block in FENCED.findall(answer) if head.search(block)] or [answer])[-1]
    if not head.search(text):
        raise Unusable(f"the answer holds no `def {function.short}`")
    try:
        tree = _parsed(text)
    except Unreadable:
        text = textwrap.dedent(text).strip("\n")
        try:
            tree = _parsed(text)
        except Unreadable as error:
            line = text.split("\n")[min(error.line, text.count("\n") + 1) - 1].strip()
            raise Unusable(f"line {error.line} of the function: {error}: `{line[:QUOTED]}`") from None
    known = {ast.dump(node) for node in _all(parsed(source))}
    found = [node for node in _all(tree) if isinstance(node, Node) and node.name == function.short]
    if len(found) != 1:
        raise Unusable(f"the answer holds `def {function.short}` {len(found)} times; write it once")
    for node in _all(tree):
        if node is not found[0] and not isinstance(node, ast.ClassDef) and ast.dump(node) not in known:
            what = ast.unparse(node).split("\n")[0]
            raise Unusable(
                f"only `{function.short}` can be written, and the answer holds `{what[:QUOTED]}` besides: put it "
                "inside, or leave it out"
            )
    if not _same_head(old, found[0]):
        bare = copy(old)
        bare.body, bare.decorator_list = [ast.Pass()], []
        stays = ast.unparse(ast.fix_missing_locations(bare)).partition("\n")[0]
        raise Unusable(f"the head of the function must stay `{stays}`")
    return found[0], text.split("\n")


def _parsed(text: str) -> ast.Module:
    return parsed(text.encode("utf-8", "replace"))


def _all(tree: ast.Module | ast.ClassDef) -> Iterator[ast.stmt]:
    """The statements at the top of a file and in its classes."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _all(node)


def _same_head(old: Node, new: Node) -> bool:
    """Whether a function is called as before. Annotations, defaults and decorators may be left out, as models do."""

    def bare(node: Node) -> tuple[str, list[str], list[str]]:
        args = deepcopy(node.args)
        defaults = [ast.dump(one) for one in (*args.defaults, *args.kw_defaults) if one is not None]
        args.defaults, args.kw_defaults = [], []
        for one in ast.walk(args):
            if isinstance(one, ast.arg):
                one.annotation = None
        return f"{type(node)} {ast.dump(args)}", defaults, [ast.dump(one) for one in node.decorator_list]

    (head, *was), (other, *given) = bare(old), bare(new)
    return head == other and all(not now or now == before for before, now in zip(was, given, strict=True))


# --- two texts of one block made one ---------------------------------------------------------------------------------


class _Tangled(Exception):
    """Two statements share a line."""


class _Block(Struct, frozen=True):
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

    def beside(self, body: Sequence[ast.stmt]) -> str:
        """How far in the statements are."""
        return self.lines[_first(body[0])][: body[0].col_offset]


def _block(lines: list[str], body: Sequence[ast.stmt]) -> _Block:
    """A block with the comments and the empty lines above its first statement."""
    at = _first(body[0])
    while at and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    return _Block(lines, at)


def _merged(old: _Block, old_body: Sequence[ast.stmt], new: _Block, new_body: Sequence[ast.stmt]) -> list[str]:
    """The lines of the new statements; where an old one says the same, its own."""
    beside = old.beside(old_body)
    try:
        have, want = old.units(old_body), new.units(new_body)
    except _Tangled:
        return _taken(new, new_body, beside)
    keys = [_dump(node) for node in old_body], [_dump(node) for node in new_body]
    made: list[str] = []
    for kind, one, end, other, other_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if kind == "equal":
            made += [line for above, own in have[one:end] for line in above + own]
            continue
        for index in range(other, other_end):
            above, own = (_shifted(lines, new.beside(new_body[index:]), beside) for lines in want[index])
            about = _about(new_body[index])
            if (place := next((at for at in range(one, end) if _about(old_body[at]) == about), None)) is not None:
                above = above if any(line.strip() for line in above) else have[place][0]
                own = _inside(old, old_body[place], new, new_body[index]) or _noted(have[place][1], own)
                one = place + 1
            made += above + own
    return made


def _inside(old: _Block, was: ast.stmt, new: _Block, is_now: ast.stmt) -> list[str] | None:
    """Two loops, branches and the like with one head: the lines of the old with those of the new that differ."""
    if not isinstance(was, BLOCKS) or not isinstance(is_now, BLOCKS) or _head(was) != _head(is_now):
        return None
    ours, theirs = _block(old.lines, was.body), _block(new.lines, is_now.body)
    if ours.beside(was.body).strip() or theirs.beside(is_now.body).strip():  # on the line of its head
        return None
    inner = _merged(ours, was.body, theirs, is_now.body)
    return [*old.lines[_first(was) : ours.start], *inner, *old.lines[was.body[-1].end_lineno or 0 : was.end_lineno]]


def _head(node: ast.stmt) -> str:
    """A compound statement without its body."""
    head = copy(node)
    vars(head)["body"] = []
    return ast.dump(head)


def _about(node: ast.stmt) -> str:
    """What a statement is for: what it sets, calls or goes through. The comments of one are true of the next."""
    match node:
        case ast.Assign(targets=targets):
            return f"set {[ast.dump(one) for one in targets]}"
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return f"set {[ast.dump(target)]}"
        case ast.Expr(value=ast.Call(func=called)):
            return f"call {ast.dump(called)}"
        case ast.For(target=target) | ast.AsyncFor(target=target):
            return f"for {ast.dump(target)}"
    return type(node).__name__


def _taken(block: _Block, body: Sequence[ast.stmt], beside: str) -> list[str]:
    """The lines of a block as they were written, but as far in as they are to be."""
    return _shifted(block.lines[block.start : body[-1].end_lineno], block.beside(body), beside)


def _shifted(lines: Sequence[str], now: str, to: str) -> list[str]:
    """Lines that are as far in as `now`, moved."""
    return [
        to + line[len(now) :] if line.startswith(now) and line.strip() and not line.startswith(HELD) else line
        for line in lines
    ]


def _held(lines: list[str]) -> list[str]:
    """The lines of Python, those that begin in a string marked."""
    tokens = tokenize.generate_tokens(iter(lines).__next__)
    inside = {at for token in tokens for at in range(token.start[0], token.end[0]) if token.type != tokenize.NEWLINE}
    return [HELD + line if at in inside else line for at, line in enumerate(lines)]


def _noted(was: Sequence[str], own: list[str]) -> list[str]:
    """A line with the comment that the one which it replaces had at its end."""
    if len(was) == len(own) == 1 and not _comment(own[0]) and (note := _comment(was[0])):
        text = own[0].rstrip()
        return [f"{text}  {note}{own[0][len(text) :]}"]
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


def _find(source: bytes, name: str) -> Node | None:
    try:
        return next((node for own, node in _functions(parsed(source), "") if own == name), None)
    except Unreadable:
        return None


def _body(node: Node) -> list[ast.stmt]:
    """A function's statements after its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def _faithful(node: Node, text: str) -> bool:
    """Whether a function is the same at the margin."""
    try:
        (same,) = _parsed(text).body
        return isinstance(same, Node) and _meaning(same) == _meaning(node)
    except (Unreadable, ValueError, RecursionError):
        return False


def _meaning(node: Node) -> list[str]:
    """What a function does, whatever its head and its docstring say."""
    return [_dump(part) for part in _body(node)]


def _dump(node: ast.stmt) -> str:
    """A statement's syntax without the annotations of its variables, which do nothing: small models leave them out."""
    return ast.dump(_Plain().visit(deepcopy(node)))


class _Plain(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None or not isinstance(node.target, ast.Name):
            return node
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _first(node: ast.stmt) -> int:
    """The line at which a statement begins, from 0, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1


def _text_lines(source: bytes) -> list[str]:
    """The lines of a file, each with its end. Raises Unreadable."""
    try:
        return [line.decode() for line in lines_of(source.removeprefix(BOM_UTF8))]
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None
