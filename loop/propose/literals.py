"""The literals of a Python file that have a name: constants, defaults, and what a call is given.

`RATE` is a constant at the top of the file, `Config.rate` one in the body of a class, also as `field(default=…)`;
`train.rate` the default of an argument, of a method `Net.__init__.rate`. `torch.optim.SGD(lr)` is the keyword argument
`lr` of the call that is written so, `torch.manual_seed()` the one number in the arguments of that call; each wherever
it is called.
"""

import ast
import io
import re
import tokenize
import warnings
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import TypeVar

from loop.propose.domain import Value
from loop.propose.scalar import Scalar, Unreadable, spliced

ANNOTATION = re.compile(r"#\s*cockpit:(.*)")
FIELDS = ("field", "Field", "HfArg")  # of a class: each has a `default`
OPTIONS = ("Field", "Option", "Argument")  # whose first argument is the default
CALL = ")"  # ends the name of a value in a call
WITHIN = "the number is a part of a larger expression; give it a name of its own, `NAME = value`"
TRIES = 20  # of a compiler that has lost count
Made = TypeVar("Made")


def steadily(make: Callable[[], Made]) -> Made:
    """What Python's compiler makes of something, asked again where it loses count.

    CPython 3.11 counts how deep a tree goes for all threads together (gh-106905): where one thread is interrupted by
    another that parses too, it says SystemError of what is well. Raises Unreadable where it never stops saying so.
    """
    for _ in range(TRIES):
        try:
            return make()
        except SystemError as error:
            said = str(error)
    raise Unreadable(1, said)


def parsed(source: bytes) -> ast.Module:
    """A file's syntax tree. Raises Unreadable."""
    try:
        text = source.decode("utf-8-sig")
        with warnings.catch_warnings(action="ignore"):  # of the user's code, `\d` in a string: nothing to do with us
            return steadily(lambda: ast.parse(text))
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8") from None
    except SyntaxError as error:
        raise Unreadable(error.lineno or 1, error.msg) from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; brackets without end
        raise Unreadable(1, str(error) or "cannot be parsed") from None


def scalars(source: bytes) -> list[Scalar]:
    """The literals on one line that have a name. Raises Unreadable."""
    tree, notes = parsed(source), _annotations(source)
    begins = line_starts(source)

    def scalar(name: str, value: Value, node: ast.expr, annotation: str | None, fixed: str = "") -> Scalar:
        start, end = begins[node.lineno - 1] + node.col_offset, begins[node.lineno - 1] + (node.end_col_offset or 0)
        return Scalar(name, value, node.lineno, start, end, annotation, fixed)

    found = []
    for name, node, is_constant in _named(tree, ""):
        try:
            value = ast.literal_eval(node)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, bool | int | float | str | None) and node.lineno == node.end_lineno:
            found.append(scalar(name, value, node, notes.pop(node.lineno, None) if is_constant else None))
    if notes:
        raise Unreadable(
            min(notes),
            "`# cockpit:` belongs on a line `NAME = value` with a literal value, at the top of the file or in a class",
        )
    for call in _calls(tree):
        if function := called(call):
            numbers = [*_numbers(call)]
            what = "" if len(numbers) == 1 else f"is given {len(numbers) or 'no'} numbers, and not one"
            node = call if what else numbers[0]
            found.append(scalar(f"{function}()", None if what else ast.literal_eval(node), node, None, what))
            for word in call.keywords:
                if word.arg is not None:
                    value = literal(word.value) if word.value.lineno == word.value.end_lineno else None
                    what = "" if value is not None else "is given no plain literal"
                    found.append(scalar(f"{function}({word.arg})", value, word.value, None, what))
    return found


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls of a file. In an f-string Python does not say where anything stands."""
    ahead = deque[ast.AST]([tree])
    while ahead:
        node = ahead.popleft()
        if isinstance(node, ast.Call):
            yield node
        ahead += () if isinstance(node, ast.JoinedStr) else ast.iter_child_nodes(node)


def _numbers(call: ast.Call) -> Iterator[ast.expr]:
    """The numbers in the arguments of a call, those of calls in it too. A minus belongs to its number."""
    ahead: list[ast.AST] = [*call.args, *call.keywords]
    while ahead:
        match node := ahead.pop():
            case ast.Constant(value=value) | ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
                if isinstance(node, ast.expr) and type(value) in (int, float):
                    yield node
            case ast.JoinedStr():
                continue
            case _:
                ahead += ast.iter_child_nodes(node)


def _named(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, ast.expr, bool]]:
    """What is given a name, and whether by an assignment; else it is a default."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield prefix + name, _default(value) if prefix else value, True
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield prefix + name, _default(value) if prefix else value, True
            case ast.ClassDef(name=name):
                yield from _named(node, f"{prefix}{name}.")
            case ast.FunctionDef(name=name, args=words) | ast.AsyncFunctionDef(name=name, args=words):
                ordered = [*words.posonlyargs, *words.args]
                last = ordered[len(ordered) - len(words.defaults) :]
                given = [
                    *zip(last, words.defaults, strict=True),
                    *zip(words.kwonlyargs, words.kw_defaults, strict=True),
                ]
                for word, default in given:
                    if default is not None:
                        yield f"{prefix}{name}.{word.arg}", _default(default), False


def _default(node: ast.expr) -> ast.expr:
    """What a field or an option is by default, where it is written as a call: `field(default=0.1)`."""
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2]
        for word in node.keywords:
            if word.arg == "default" and name in (*FIELDS, *OPTIONS):
                return word.value
        if name in OPTIONS and node.args:
            return node.args[0]
    return node


def literal(node: ast.expr | None) -> Value:
    """A plain literal; None where it is none, or is None."""
    try:
        value = ast.literal_eval(node) if node is not None else None
    except (ValueError, RecursionError, TypeError, SyntaxError, MemoryError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def called(node: ast.AST) -> str:
    """The name by which a call is made, `torch.manual_seed`; nothing where it is no call of a name."""
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def dotted(node: ast.AST) -> str:
    """A name with its dots, `torch.manual_seed`; nothing where it is no name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{before}.{name}" if (before := dotted(value)) else ""
    return ""


def _annotations(source: bytes) -> dict[int, str]:
    """What stands behind `# cockpit:`, by line from 1; a string that holds such words is no comment."""
    if b"cockpit:" not in source:
        return {}
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise Unreadable(1, f"cannot be read: {error}") from None
    matches = {
        token.start[0]: match
        for token in tokens
        if token.type == tokenize.COMMENT and (match := ANNOTATION.fullmatch(token.string))
    }
    return {line: match[1] for line, match in matches.items()}


def lines_of(source: bytes) -> list[bytes]:
    """The lines as Python counts them: a form feed or a Unicode separator ends none."""
    return re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", source)


def line_starts(source: bytes) -> list[int]:
    """Where each line begins, in bytes."""
    begins = [0, *accumulate(map(len, lines_of(source)))]
    if source.startswith(BOM_UTF8):
        begins[0] = len(BOM_UTF8)
    return begins


def written(source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """The file with other literals in the places of these names, each wherever it stands. Raises Unreadable."""
    places = [one for one in scalars(source) if one.name in wanted and not one.fixed]
    for one, other in pairwise(sorted(places, key=lambda place: place.start)):
        if other.start < one.end and other.name == one.name:
            raise Unreadable(one.line, f"`{one.name}`: {WITHIN}")
        if other.start < one.end:
            raise Unreadable(one.line, f"`{one.name}` and `{other.name}` are one value: take out one of the two")
    return spliced(source, [(one, _text(wanted[one.name], source[one.start : one.end].decode())) for one in places])


def _text(value: Value, before: str) -> str:
    """A value as Python, a string in the quotes that the one before it had."""
    text = repr(value)
    if isinstance(value, str) and before.startswith('"') and '"' not in value and text.startswith("'"):
        return '"' + text[1:-1].replace("\\'", "'") + '"'
    return text
