"""The literals of a Python file that have a name: constants, defaults, and the one number in a call.

`RATE` is a constant at the top of the file, `Config.rate` one in the body of a class, also as `field(default=…)`;
`train.rate` the default of an argument, of a method `Net.__init__.rate`; `torch.manual_seed()` the one whole number in
the arguments of that call, wherever it is called.
"""

import ast
import io
import re
import tokenize
import warnings
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from loop.propose.domain import Value
from loop.propose.scalar import Scalar, Unreadable, spliced

ANNOTATION = re.compile(r"#\s*cockpit:(.*)")
FIELDS = ("field", "Field", "HfArg")  # of a class: each has a `default`
OPTIONS = ("Field", "Option", "Argument")  # whose first argument is the default
CALL = "()"  # ends the name of the number in a call
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
    begins = [0, *accumulate(map(len, lines_of(source)))]  # of each line, in bytes
    if source.startswith(BOM_UTF8):
        begins[0] = len(BOM_UTF8)

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
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and (name := dotted(call.func)):
            numbers = [*_whole_numbers(call)]
            if len(numbers) == 1:
                found.append(scalar(name + CALL, numbers[0][1], numbers[0][0], None))
            else:
                what = f"is given {len(numbers) or 'no'} whole numbers, and not one"
                found.append(scalar(name + CALL, None, call, None, what))
    return found


def _whole_numbers(call: ast.Call) -> Iterator[tuple[ast.expr, int]]:
    for word in (*call.args, *call.keywords):
        for node in ast.walk(word):
            if isinstance(node, ast.Constant) and type(node.value) is int:
                yield node, node.value


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


def dotted(node: ast.expr) -> str:
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


def written(source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """The file with other literals in the places of these names, each wherever it stands. Raises Unreadable."""
    places = [one for one in scalars(source) if one.name in wanted and not one.fixed]
    return spliced(source, [(one, _text(wanted[one.name], source[one.start : one.end].decode())) for one in places])


def _text(value: Value, before: str) -> str:
    """A value as Python, a string in the quotes that the one before it had."""
    text = repr(value)
    if isinstance(value, str) and before.startswith('"') and '"' not in value and text.startswith("'"):
        return '"' + text[1:-1].replace("\\'", "'") + '"'
    return text
