"""What a script leaves of its model, and how that is had again: by torch, pickle, joblib or NumPy."""

import ast
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from loop.propose.literals import called
from loop.survey.sources import Seen
from loop.survey.values import Known, folded, keywords

SAVES = ("save", "dump", "save_pretrained", "save_model", "save_checkpoint", "save_file", "savez", "savez_compressed")
STATES = ("model", "model_state_dict", "state_dict", "net", "weights")
MODELS = {"fit", "Module", "predict"}


class Saved(Struct, frozen=True):
    """A model that was saved: how it is loaded, and made before that."""

    seen: Seen
    how: str  # torch, pickle, joblib, numpy; or the call, where it is another one
    file: str  # from the checkout on, `{output}/…` or a name alone where its folder is not known
    state: bool  # whether it is the weights alone
    key: str | None  # under which it stands in what was saved
    made: ast.expr | None  # of the model, where it is the weights alone


def found(trees: Mapping[str, ast.Module], names: Known) -> Saved | None:
    """The model that is saved last in the code, a good one before others."""
    every = [one for path, tree in trees.items() for one in _in(path, tree, trees, names)]
    return next(
        iter(sorted(every, key=lambda one: (one.how not in ("torch", "pickle", "joblib", "numpy"), not one.file))), None
    )


def model_of(trees: Mapping[str, ast.Module]) -> str:
    """What the code calls its model, as far as is known."""
    for tree in trees.values():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="fit" | "parameters")):
                    return name
    return "model"


def line_to_add(trees: Mapping[str, ast.Module]) -> str:
    """The line that saves a model, for a script that saves none."""
    name, text = model_of(trees), "\n".join(ast.unparse(tree) for tree in trees.values())
    if "torch" in text:
        return f'torch.save({name}, os.environ.get("COCKPIT_OUTPUT", ".") + "/model.pt")'
    return f'pickle.dump({name}, open(os.environ.get("COCKPIT_OUTPUT", ".") + "/model.pkl", "wb"))'


def _in(path: str, tree: ast.Module, trees: Mapping[str, ast.Module], names: Known) -> Iterator[Saved]:
    opened = {
        one.optional_vars.id: one.context_expr
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for one in node.items
        if isinstance(one.optional_vars, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or (last := (name := called(node)).rpartition(".")[2]) not in SAVES:
            continue
        seen, given = Seen(path, node.lineno), [*node.args, *keywords(node).values()]
        head = name.partition(".")[0]
        if head == "torch" and last == "save" and len(given) > 1:
            yield _by_torch(seen, given, tree, trees, names)
        elif last == "dump" and head in ("pickle", "joblib", "dill", "cloudpickle") and len(given) > 1:
            if isinstance(given[0], ast.Dict | ast.Tuple | ast.List) and not _key(given[0]):  # something of a model
                yield Saved(seen, name, "", False, None, None)
                continue
            to = opened.get(given[1].id, given[1]) if isinstance(given[1], ast.Name) else given[1]
            how = "joblib" if head == "joblib" else "pickle"
            yield Saved(seen, how, _named(to, names), False, _key(given[0]), None)
        elif head in ("np", "numpy") and last in ("save", "savez", "savez_compressed") and given:
            file = _named(given[0], names)
            suffix = ".npy" if last == "save" else ".npz"
            yield Saved(seen, "numpy", file if not file or file.endswith(suffix) else file + suffix, False, None, None)
        elif last not in ("save", "dump"):
            yield Saved(seen, name, "", False, None, None)


def _by_torch(
    seen: Seen, given: list[ast.expr], tree: ast.Module, trees: Mapping[str, ast.Module], names: Known
) -> Saved:
    what, key = given[0], _key(given[0])
    if isinstance(what, ast.Dict) and key is not None:
        what = next(
            v for k, v in zip(what.keys, what.values, strict=True) if isinstance(k, ast.Constant) and k.value == key
        )
    state = isinstance(what, ast.Call) and called(what).endswith(".state_dict")
    held = what.func.value if state and isinstance(what, ast.Call) and isinstance(what.func, ast.Attribute) else what
    made = _made(held.id, trees) if state and isinstance(held, ast.Name) else None
    return Saved(seen, "torch", _named(given[1], names), state, key, made)


def _key(what: ast.expr) -> str | None:
    """Under which key the model stands in what is saved."""
    if not isinstance(what, ast.Dict):
        return None
    known = [one.value for one in what.keys if isinstance(one, ast.Constant)]
    return next((name for name in STATES if name in known), None)


def _made(name: str, trees: Mapping[str, ast.Module]) -> ast.expr | None:
    """The expression that makes the model of this name, where a class or a function of these files does."""
    own = {one.name for tree in trees.values() for one in tree.body if isinstance(one, ast.ClassDef | ast.FunctionDef)}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == name for one in node.targets
            ):
                value = node.value
                while (
                    isinstance(value, ast.Call)
                    and isinstance(value.func, ast.Attribute)
                    and value.func.attr in ("to", "cuda")
                ):
                    value = value.func.value
                if isinstance(value, ast.Call) and (called(value) in own or called(value).endswith("Sequential")):
                    return value
    return None


def _named(node: ast.expr, names: Known) -> str:
    """The name of a file, as far as it is known; at least its last part."""
    if (
        isinstance(node, ast.Call)
        and called(node).rpartition(".")[2] == "open"
        and (node.args or isinstance(node.func, ast.Attribute))
    ):
        path = node.func.value if called(node) != "open" and isinstance(node.func, ast.Attribute) else node.args[0]
        return _named(path, names)
    if isinstance(text := folded(node, names), str):
        return text.removeprefix("./")
    said = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return next((text.rpartition("/")[2] for text in said if re.search(r"\w\.\w+$", text)), "")
