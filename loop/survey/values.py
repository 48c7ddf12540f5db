"""Names as values, as far as a file says them without being run: constants, and what is joined of them."""

import ast
import re
from collections.abc import Iterator, Mapping

from loop.propose.domain import Value
from loop.propose.literals import literal
from loop.survey.sources import Seen

Known = Mapping[str, Value]  # by name: `data_dir`, or what `args.data_dir` ends in
JOINED = ("join", "joinpath")
AS_IT_IS = ("Path", "str", "PurePath", "expanduser", "abspath", "resolve", "absolute", "to_absolute_path")


def assigned(tree: ast.Module, path: str) -> Iterator[tuple[str, ast.expr, Seen]]:
    """What is assigned to a plain name anywhere in a file, in order."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value, Seen(path, node.lineno)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value, Seen(path, node.lineno)


def known(trees: Mapping[str, ast.Module], given: Known) -> dict[str, Value]:
    """What names stand for in these files, where a name stands for one thing; `given` counts before all else."""
    found = dict[str, Value]()
    for _ in range(2):  # a name may be made of one that stands below it
        for path, tree in trees.items():
            for name, node, _at in assigned(tree, path):
                if name not in given and (value := folded(node, {**found, **given})) is not None:
                    found.setdefault(name, value)
    return {**found, **given}


def folded(node: ast.expr | None, names: Known) -> Value:
    """What an expression comes to; None where that is not known."""
    match node:
        case ast.Constant():
            return literal(node)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return names.get(name)
        case ast.JoinedStr(values=parts):
            texts = [folded(one.value if isinstance(one, ast.FormattedValue) else one, names) for one in parts]
            return None if None in texts else "".join(map(str, texts))
        case ast.BinOp(left=left, op=ast.Add() | ast.Div() as kind, right=right):
            one, other = folded(left, names), folded(right, names)
            if isinstance(one, str) and isinstance(other, str):
                return one + other if isinstance(kind, ast.Add) else f"{one}/{other}"
            return None
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments) if name in JOINED:
            head = [node.func.value] if name == "joinpath" and isinstance(node.func, ast.Attribute) else []
            texts = [folded(one, names) for one in (*head, *arguments)]
            return None if None in texts else re.sub("/+", "/", "/".join(map(str, texts)))
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[inner, *_]) if name in AS_IT_IS:
            return folded(inner, names)
    return None


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call."""
    return {one.arg: one.value for one in call.keywords if one.arg}
