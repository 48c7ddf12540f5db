"""How a script makes the inputs of its model of a file: the statements in between, and no others.

They are found backwards from what the model is given to the call that reads. What chooses rows (a split, a shuffle, a
slice) is left out, for all rows of another file are wanted. What learns something of the rows that it sees, as a
scaler does, cannot be made again of other rows: that is said.
"""

import ast
import builtins
import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.literals import called
from loop.survey.carvable import Reading, argument
from loop.survey.values import Known, folded

SPLITS = ("train_test_split", "random_split")
CHANGES = ("append", "extend", "update", "add", "insert")
LEARNS = {
    *("fit", "fit_transform", "mean", "std", "var", "min", "max", "median", "quantile", "get_dummies", "factorize"),
    *("LabelEncoder", "ptp"),
}
DROPS = {"dropna", "drop_duplicates", "query", "groupby", "merge"}
INPUTS = ("X", "x", "features", "inputs", "data_x", "X_train", "x_train", "train_x", "Xtr")
PLAIN = (
    *(ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp),
    *(ast.USub, ast.UAdd, ast.Not, ast.Invert, ast.Load),
)  # what a plain value is made of
TRAINS = {"backward", "fit", "partial_fit"}


class Sliced(Struct, frozen=True):
    """Statements, and the expression of the inputs that they make."""

    statements: tuple[str, ...]
    expression: str
    needs: frozenset[str]  # names that the script has at its top
    doubts: tuple[str, ...]  # what keeps them from being right for other rows, each with its line


Node = TypeVar("Node", bound=ast.AST)


def inputs(reading: Reading, trees: Mapping[str, ast.Module], names: Known, moved: frozenset[str]) -> Sliced | None:
    """What makes the inputs of the file `options.inputs`. None where that is not known.

    `moved` are the names of flags that are knobs: their values are not those that stand in the script.
    """
    call, said, inside, path = reading.call, reading.said, reading.inside, reading.path
    place = argument(said, inside)
    if isinstance(inside, ast.ClassDef):
        gives = any(isinstance(one, ast.FunctionDef) and one.name == "__getitem__" for one in inside.body)
        made = [
            one for tree in trees.values() for one in _calls([tree]) if called(one).rpartition(".")[2] == inside.name
        ]
        if place != 0 or not gives or any(len(one.args) + len(one.keywords) != 1 for one in made):
            return None
        stacked = f"torch.stack([torch.as_tensor(one[0]) for one in {inside.name}(options.inputs)])"
        seen = [one for node in inside.body for one in (*_doubts(path, [node]), *_chosen(path, node, said))]
        return Sliced((), stacked, frozenset({inside.name}), tuple(seen))
    if isinstance(inside, ast.FunctionDef) and place is not None:
        pair = _returned(inside)
        doubts = (*_doubts(path, inside.body), *_chosen(path, inside, said))
        for where, tree in trees.items():
            for scope in _scopes(tree):
                at = next((one for one in _calls(scope) if called(one).rpartition(".")[2] == inside.name), None)
                if at is None or place >= len(at.args):
                    continue
                if pair and not any(called(one).rpartition(".")[2] in SPLITS for one in _calls(inside.body)):
                    goal = ast.Subscript(value=at, slice=ast.Constant(value=0), ctx=ast.Load())
                    one = _slice(where, [], goal, at.args[place], names, trees, moved)
                else:
                    one = _made(where, scope, at.args[place], names, trees, moved)
                return one and replace(one, doubts=tuple(dict.fromkeys([*one.doubts, *doubts])))
        return None
    tree = trees[path]
    body = next((one for one in _scopes(tree) if any(each is call for each in _calls(one))), None)
    return _made(path, body, said, names, trees, moved) if body else None


def _doubts(path: str, nodes: Sequence[ast.stmt]) -> Iterator[str]:
    """What keeps statements from being right for other rows."""
    for one in _calls(nodes):
        name = called(one).rpartition(".")[2] or (one.func.attr if isinstance(one.func, ast.Attribute) else "")
        if name in LEARNS and not (isinstance(one.func, ast.Name) and one.func.id in dir(builtins)):
            yield f"{path}:{one.lineno}: `{name}` learns of the rows that it sees: save that with the model"
        if name in DROPS:
            yield f"{path}:{one.lineno}: rows may be dropped, and each input needs a prediction"


def _chosen(path: str, inside: ast.stmt, said: ast.expr) -> Iterator[str]:
    """Where a loader may give some rows alone: by an argument besides the file's name, or by a slice of them."""
    if not isinstance(inside, ast.FunctionDef) or inside.name == "__getitem__":
        return
    arguments = [one.arg for one in (*inside.args.posonlyargs, *inside.args.args, *inside.args.kwonlyargs)]
    others = {one for one in arguments if one != "self"} - _loaded(said)
    each = set[str]()  # of one row, of which a slice is some columns
    for node in ast.walk(inside):
        if isinstance(node, ast.comprehension):
            each |= set(_bound(node.target))
        elif isinstance(node, ast.For):
            each |= set(_bound(node))
    for node in ast.walk(inside):
        tests = [node.test] if isinstance(node, ast.If | ast.IfExp) else []
        tests += [one for part in getattr(node, "generators", ()) for one in part.ifs]
        if by := sorted({name for one in tests for name in _loaded(one)} & others):
            at = getattr(node, "lineno", inside.lineno)
            yield f"{path}:{at}: `{by[0]}` chooses what is read: all rows are wanted"
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            part = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
            if isinstance(part, ast.Slice) and _leaves(part) and not _loaded(node.value) & each:
                yield f"{path}:{node.lineno}: `{ast.unparse(node)}` may be some of the rows: all are wanted"


def _leaves(part: ast.Slice) -> bool:
    """Whether it leaves rows out, besides a head."""
    head = part.lower is None or (isinstance(part.lower, ast.Constant) and part.lower.value in (0, 1))
    return not (head and part.upper is None and part.step is None)


def _made(
    path: str,
    scope: list[ast.stmt],
    said: ast.expr,
    names: Known,
    trees: Mapping[str, ast.Module],
    moved: frozenset[str],
) -> Sliced | None:
    goal = _goal(scope)
    return _slice(path, scope, goal, said, names, trees, moved) if goal is not None else None


def _returned(function: ast.FunctionDef) -> bool:
    """Whether it gives inputs and labels."""
    given = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
    return bool(given) and all(isinstance(one, ast.Tuple) and len(one.elts) == 2 for one in given)


def _scopes(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The statements of a script, and of each of its functions."""
    own: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            own += node.body
        elif not isinstance(node, ast.ClassDef | ast.FunctionDef):
            own.append(node)
    yield own
    yield from (node.body for node in tree.body if isinstance(node, ast.FunctionDef))


def _calls(scope: Sequence[ast.AST]) -> Iterator[ast.Call]:
    for one in scope:
        yield from (node for node in ast.walk(one) if isinstance(node, ast.Call))


def _goal(scope: list[ast.stmt]) -> ast.expr | None:
    """What a model is given of it."""
    for one in _calls(scope):
        if called(one).rpartition(".")[2] == "train_test_split" and len(one.args) > 1:
            return one.args[0]
    for statement in scope:
        if (
            isinstance(statement, ast.Return)
            and isinstance(statement.value, ast.Tuple)
            and len(statement.value.elts) == 2
        ):
            return statement.value.elts[0]
    for wanted in ("fit", "TensorDataset"):
        for one in _calls(scope):
            if called(one).rpartition(".")[2] == wanted and len(one.args) == 2:
                return one.args[0]
    bound = {name for statement in scope for name in _bound(statement)}
    return next((ast.Name(id=name, ctx=ast.Load()) for name in INPUTS if name in bound), None)


def _slice(
    path: str,
    scope: list[ast.stmt],
    goal: ast.expr,
    said: ast.expr,
    names: Known,
    trees: Mapping[str, ast.Module],
    moved: frozenset[str],
) -> Sliced | None:
    fold = Folded(said, names, moved)
    goal = fold.of(_some_of(goal) or goal)
    wanted = _loaded(goal)
    kept: list[ast.stmt] = []
    doubts: list[str] = []
    for statement in reversed(scope):
        bound = set(_bound(statement)) & wanted
        if not bound:
            continue
        for name in sorted(bound):
            rows = _rows(statement, name)
            if rows is not None:
                bound.discard(name)
                if not (isinstance(rows, ast.Name) and rows.id == name):
                    kept.append(ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=rows, lineno=0))
                    wanted.discard(name)
                wanted |= _loaded(rows)
        if not bound:
            continue
        made = {called(one).rpartition(".")[2] for one in _calls([statement])}
        if made & TRAINS - {"fit"} or made & set(SPLITS):
            return None
        doubts += _doubts(path, [statement])
        statement = fold.of(statement)
        kept.append(statement)
        if isinstance(statement, ast.Assign) and all(isinstance(one, ast.Name) for one in statement.targets):
            wanted -= bound
        wanted |= _loaded(statement)
    if not fold.found:
        return None
    statements, expression = [ast.unparse(one) for one in reversed(kept)], ast.unparse(goal)
    text = "\n".join([*statements, expression])
    doubts += [f"{path}: `{name}` is not known here" for name in unknown(text, trees)]
    return Sliced(tuple(statements), expression, free(text, trees), tuple(dict.fromkeys([*doubts, *fold.doubts])))


def free(text: str, trees: Mapping[str, ast.Module]) -> frozenset[str]:
    """The names in a text of Python that it has from the top of these scripts."""
    return frozenset(name for name in _free(text) if any(name in set(top(tree)) for tree in trees.values()))


def unknown(text: str, trees: Mapping[str, ast.Module]) -> list[str]:
    """The names that it has from nowhere."""
    return sorted(_free(text) - free(text, trees))


def _free(text: str) -> set[str]:
    tree = ast.parse(text)
    bound = {*_bound(tree), *(one.arg for one in ast.walk(tree) if isinstance(one, ast.arg))}
    return _loaded(tree) - bound - set(dir(builtins)) - {"options"}


class Folded(ast.NodeTransformer):
    """The same code of another file: its name is taken out, and what flags say is put in."""

    def __init__(self, said: ast.expr, names: Known, moved: frozenset[str]) -> None:
        self.said, self.names, self.moved = ast.dump(said), names, moved
        self.found = False
        self.doubts: list[str] = []

    def of(self, node: Node) -> Node:
        """The same code, a copy of it."""
        found: Any = ast.fix_missing_locations(self.visit(copy.deepcopy(node)))
        return found  # type: ignore[no-any-return]  # of the same kind

    def visit(self, node: ast.AST) -> ast.AST:
        """The same node, or what stands in its place."""
        if isinstance(node, ast.expr) and not self.found and ast.dump(node) == self.said:
            self.found = True
            return ast.Attribute(value=ast.Name(id="options", ctx=ast.Load()), attr="inputs", ctx=ast.Load())
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("args", "opt", "cfg")
        ):
            value = folded(node, self.names)
            if node.attr in self.moved or value is None:
                self.doubts.append(f"`{ast.unparse(node)}` is not known here")
                return node
            return ast.Constant(value=value)
        found: ast.AST = self.generic_visit(node)
        return found


def _rows(statement: ast.stmt, name: str) -> ast.expr | None:
    """Of what a name is some rows, or the same rows in another order; None where it is something else."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple):
        place = next((n for n, one in enumerate(target.elts) if isinstance(one, ast.Name) and one.id == name), None)
        if place is None:
            return None
        if isinstance(value, ast.Call) and called(value).rpartition(".")[2] == "train_test_split":
            return value.args[place // 2] if place // 2 < len(value.args) else None
        if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
            return _some_of(value.elts[place])
        return None
    return _some_of(value) if isinstance(target, ast.Name) else None


def _some_of(value: ast.expr) -> ast.expr | None:
    match value:
        case ast.Subscript(
            value=ast.Name() as whole, slice=ast.Slice() | ast.Name() | ast.Subscript() | ast.Call() as rows
        ):
            return None if isinstance(rows, ast.Name) and rows.id.isupper() else whole
        case ast.Call(func=ast.Attribute(value=ast.Name() as whole, attr="sample")):
            return whole
    return None


def _bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement gives another value, or changes."""
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=how)) if how in CHANGES:
                yield name


def _loaded(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def top(tree: ast.Module) -> Iterator[str]:
    """The names that a script has at its top: what it imports, defines, and says as a constant."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((one.asname or one.name).partition(".")[0] for one in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif _says(node):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))


def _says(node: ast.stmt) -> TypeGuard[ast.Assign]:
    """Whether it gives names a plain value, and no more."""
    named = isinstance(node, ast.Assign) and all(isinstance(one, ast.Name) for one in node.targets)
    return isinstance(node, ast.Assign) and named and constant(node.value)


def constant(node: ast.expr) -> bool:
    """Whether it is a plain value."""
    return all(isinstance(part, PLAIN) for part in ast.walk(node))


def lost(tree: ast.Module, wanted: Collection[str]) -> list[str]:
    """The names that what is defined in a script needs, and that it has of what it does: that is left out.

    All is defined, and so needs the names of its defaults, decorators, bases and class bodies; what is `wanted`, and
    what that uses, is called too.
    """
    own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    has = set(top(tree))
    acts = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import)]
    made = {name for node in acts if not _says(node) for name in _given(node)} - has
    needs = {name for node in own.values() for one in _at_definition(node) for name in _loaded(one)}
    ahead, called_too = [*wanted], set[str]()
    while ahead:
        name = ahead.pop()
        if name in own and name not in called_too:
            called_too.add(name)
            used = _free(ast.unparse(own[name]))
            needs |= used
            ahead += used
    return sorted(needs & made)


def _given(node: ast.stmt) -> Iterator[str]:
    """The names that a statement binds, those of its imports too."""
    yield from _bound(node)
    for one in ast.walk(node):
        if isinstance(one, ast.Import | ast.ImportFrom):
            yield from ((name.asname or name.name).partition(".")[0] for name in one.names)
        elif isinstance(one, ast.FunctionDef | ast.ClassDef):
            yield one.name


def _at_definition(node: ast.stmt) -> Iterator[ast.AST]:
    """What of a definition is computed when it is met."""
    if isinstance(node, ast.FunctionDef):
        yield from (*node.decorator_list, node.args, *([node.returns] if node.returns else []))
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *(one.value for one in node.keywords))
        for one in node.body:
            yield from _at_definition(one)
    else:
        yield node
