"""Knobs that the evaluation reads too: with another batch or context length it is another measure that has moved.

In a script that trains, and reports what it measures itself, a function evaluates if its name says so, `estimate_loss`
or `validate`, and so do those of the same file that it calls. A knob is read there by its name, or by its last part:
`batch_size`, `args.batch_size`, `config["batch_size"]`; what a call is given, where that call is made. A file that does
nothing but evaluate, as `eval` names it, does so wherever it reads one. It is a suspicion and no proof: what is gained
by such a knob is not offered, and a person who has looked at it merges it with `--unconfirmed`.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from loop.propose.domain import same
from loop.propose.known import values_of
from loop.propose.literals import CALL, called, parsed
from loop.propose.scalar import Unreadable
from loop.propose.space import Knob
from store.records import Experiment

EVALUATES = re.compile(
    r"(^|_)(evals?|evaluate|evaluation|evaluator|estimate_loss|valid|validate|validation|val|test)(_|$)"
)


def read_by_evaluation(
    knobs: Sequence[Knob], sources: Mapping[str, bytes], scripts: Sequence[str], evaluations: Collection[str] = ()
) -> dict[str, str]:
    """The knobs that a function that evaluates reads, by key, each with that function: `train.py:estimate_loss`.

    A constant is looked for in its own file, what stands elsewhere in the `scripts`. Those among them that are
    `evaluations` do nothing else, and read what they import too.
    """
    found: dict[str, str] = {}
    for path in [path for path in sources if path.endswith(".py")]:
        elsewhere = [*scripts] if path in evaluations else []
        own = [
            one for one in knobs if one.path in (path, *elsewhere) or (path in scripts and not one.path.endswith(".py"))
        ]
        for function, names in _evaluations(sources[path], whole=path in evaluations) if own else ():
            for knob in own:
                if knob.key not in found and _last_part(knob) in names:
                    found[knob.key] = f"{path}:{function}" if function else path
    return found


def evaluates(name: str) -> bool:
    """Whether a function that is called so evaluates, and does no more than that."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()  # of `evaluateModel`, too
    return bool(EVALUATES.search(words)) and "train" not in words


def _last_part(knob: Knob) -> str:
    if knob.name.endswith(CALL):
        return knob.name
    return knob.name.removeprefix("--").replace("-", "_").rpartition(".")[2]


def _evaluations(source: bytes, *, whole: bool = False) -> Iterator[tuple[str, set[str]]]:
    """The functions that evaluate, each with the names that it reads, or that one reads that it calls.

    Where the `whole` file evaluates, it is one, without a name.
    """
    try:
        nodes = [*ast.walk(parsed(source))]
    except (Unreadable, RecursionError):
        return
    if whole:
        yield "", {one for node in nodes for one in _names(node)}
        return
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for name in functions:
        if not evaluates(name):
            continue
        reached, ahead, names = {name}, [name], set[str]()
        while ahead:
            inner = [*ast.walk(functions[ahead.pop()])]
            names |= {one for node in inner for one in _names(node)}
            calls = {called(node).rpartition(".")[2] for node in inner}
            new = calls & functions.keys() - reached
            reached |= new
            ahead += sorted(new)
        yield name, names


def _names(node: ast.AST) -> Iterator[str]:
    """What a node reads: a name, an attribute, a key; of a call, what it is given."""
    match node:
        case ast.Call(keywords=words) if function := called(node):
            yield f"{function}()"
            yield from (f"{function}({word.arg})" for word in words if word.arg)
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
            yield name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name


def doubt(knobs: Sequence[Knob], read: Mapping[str, str], one: Experiment, incumbent: Experiment) -> str:
    """Why a gain of an experiment over the incumbent may be the measure's; nothing where it is not doubted."""
    its, theirs = values_of(knobs, one), values_of(knobs, incumbent)
    moved = [key for key in read if not same(its[key], theirs[key])]
    if not moved:
        return ""
    which = f"{' and '.join(moved)}, which {'is' if len(moved) == 1 else 'are'}"
    return (
        f"But it changes {which} read by what measures, {read[moved[0]]}: the measure may have moved, and not the "
        "model. So it is promising at most, and not offered; look at it, then `--unconfirmed` merges it."
    )
