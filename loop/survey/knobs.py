"""What may be moved: the settings whose names and values say what else they could be."""

import ast
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.domain import Value
from loop.propose.literals import called, dotted, literal
from loop.propose.measuring import evaluates
from loop.survey.bounds import BATCH, MEASURE, Bounds, familiar, is_length, never, plausible, snake
from loop.survey.settings import Setting
from loop.survey.sources import Seen

MOST = 12  # knobs that are proposed: a search over more learns little in a night
LISTED = 12  # more, as comments
# What makes or splits data and targets, by the name of the function; what loads or augments them is of training, too.
TASK = re.compile(
    r"(^|[_.])(make|gen|generate|create|build|sample|synth\w*|simulate|toy)_(\w+_)?"
    r"(data|dataset|datasets|features|targets?|labels?|samples|points|task|problem|series|signals?|waves?|spirals?|"
    r"moons|blobs|circles|rings?|classification|regression|swiss_roll|gaussian_quantiles|friedman\d|s_curve)(_|$)"
    r"|(^|[_.])(target_function|true_function|ground_truth|train_test_split|random_split|\w*kfold|cross_val_\w+)$"
)
# Of names that are assigned at the top of a file: what is learned from, and what is to be; `x` may be a layer's.
LEARNED = re.compile(r"(X|y|[Xxy]_\w+|\w*(data|dataset|features|targets?|labels?)|true_\w+|\w+_true)")
# Parts of configurations that say how a run is told of, and where.
UNMOVED = re.compile(
    r"(^|[/.:])(callbacks?|loggers?|logging|paths?|hydra|extras|debug|launcher|model_summary)([/.:]|$)"
)


class Guess(Struct, frozen=True):
    """A knob, with its bounds and what speaks for it."""

    key: str
    value: Value
    bounds: Bounds
    seen: Seen
    held: str = ""  # why it is not proposed: then it is written as a comment
    served: bool = True  # see Flag


def found(settings: Sequence[Setting], trees: Mapping[str, ast.Module]) -> list[Guess]:
    """The knobs, those that matter most first, and behind them those that are left to the user."""
    divided, compared, read, tasks = _divided(trees), _compared(trees), evaluated(trees), of_the_task(trees)
    made = _of_evaluation(trees)
    guesses = list[tuple[int, Guess]]()
    for one in settings:
        known = familiar(one.name)
        told_of = one.kind == "configuration" and (
            UNMOVED.search(one.key) or (isinstance(one.value, bool) and not known)
        )
        if never(one.name) or told_of or (one.kind in ("keyword", "call") and not known):
            continue
        choices = one.choices or (compared.get(one.name, ()) if isinstance(one.value, str) else ())
        if isinstance(one.value, str) and not choices:
            continue
        likely = plausible(one.name, one.value, choices, divided)
        if likely is None or (one.kind in ("keyword", "call") and isinstance(one.value, bool)):
            continue
        held = ""
        if MEASURE.search(snake(one.name)):
            held = "what is evaluated changes with it"
        elif one.kind == "keyword" and _evaluates(one.key):
            held = "it is of what evaluates"
        elif at := made.get(one.key):
            held = f"what evaluates is given it too, {at}"
        elif at := read.get(one.key.partition(":")[2] if one.kind == "call" else one.name):
            held = f"the evaluation reads it, {at}"
        elif BATCH.search(snake(one.name)):
            pass  # of training, wherever the batches are made
        elif one.kind == "keyword" and TASK.search(one.key.partition(":")[2].rpartition(".")[0].lower()):
            held = "it is of what makes the data: another task, and no better model"
        elif at := tasks.get(one.name):
            held = f"it makes the data, {at}: another task, and no better model"
        guesses.append((likely.rank, Guess(one.key, one.value, likely.bounds, one.seen, held, one.served)))
    guesses.sort(key=lambda guess: guess[0])
    taken = [guess for _, guess in guesses if not guess.held]
    left = [guess for _, guess in guesses if guess.held]
    more = [replace(one, held=f"left out: {MOST} are enough for a night") for one in taken[MOST:]]
    return [*taken[:MOST], *[*left, *more][:LISTED]]


def _evaluates(key: str) -> bool:
    """Whether an argument is one of a function, or of a class, whose name says that it evaluates."""
    holders = key.partition(":")[2].split(".")[:-1]
    return any(map(evaluates, holders))


def _of_evaluation(trees: Mapping[str, ast.Module]) -> dict[str, Seen]:
    """What is given to calls that make something of an evaluation, by key: `test_loader = DataLoader(test, …)`."""
    found = dict[str, Seen]()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[target], value=ast.Call() as call):
                    names = [dotted(target)]
                case ast.Call() as call:
                    names = []
                case _:
                    continue
            names += [dotted(word) for word in (*call.args, *(one.value for one in call.keywords))]
            if called(call) and any(map(evaluates, names)):
                for word in ("", *(one.arg for one in call.keywords if one.arg)):
                    found.setdefault(f"{path}:{called(call)}({word})", Seen(path, call.lineno))
    return found


def lengths(settings: Sequence[Setting]) -> list[Setting]:
    """What says how long training goes, steps before epochs."""
    found = [one for one in settings if is_length(one.name) and type(one.value) in (int, float) and _above(one.value)]
    return sorted(found, key=lambda one: (one.kind != "flag", "epoch" in one.name.lower()))


def _above(value: Value) -> bool:
    return isinstance(value, int | float) and value > 1


def _divided(trees: Mapping[str, ast.Module]) -> set[str]:
    """The names that the code divides by one another: what they may be hangs together."""
    found = set[str]()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.FloorDiv):
                pair = [dotted(side).rpartition(".")[2] for side in (node.left, node.right)]
                if all(pair):
                    found |= set(pair)
    return found


def _compared(trees: Mapping[str, ast.Module]) -> dict[str, tuple[str, ...]]:
    """The words that the code knows for a name: it compares it with them, or looks it up among them."""
    found = dict[str, dict[str, None]]()
    for tree in trees.values():
        for node in ast.walk(tree):
            words: list[ast.expr] | list[ast.expr | None] = []
            name = ""
            match node:
                case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                    name, words = dotted(left), [right]
                case ast.Subscript(value=ast.Dict(keys=keys), slice=inner):
                    name, words = dotted(inner), keys
                case ast.Match(subject=subject, cases=cases):
                    name = dotted(subject)
                    words = [one.pattern.value for one in cases if isinstance(one.pattern, ast.MatchValue)]
            texts = [value for one in words if isinstance(value := literal(one), str)]
            if name and texts:
                found.setdefault(name.rpartition(".")[2], {}).update(dict.fromkeys(texts))
    return {name: tuple(texts) for name, texts in found.items()}


def of_the_task(trees: Mapping[str, ast.Module]) -> dict[str, Seen]:
    """The names that are read where data or targets are made, and nowhere else; with the first such place."""
    made, elsewhere = dict[str, Seen](), set[str]()
    for path, tree in trees.items():
        ahead: list[tuple[ast.AST, bool, bool]] = [(node, False, True) for node in tree.body]
        while ahead:
            node, makes, top = ahead.pop()
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    makes, top = bool(TASK.search(name.lower())), False
                case ast.ClassDef():
                    top = False
                case ast.Call() if TASK.search(called(node).lower()):
                    makes = True
                case ast.Assign(targets=targets) if top:
                    names = [dotted(each) for one in targets for each in getattr(one, "elts", [one])]
                    makes = all(LEARNED.fullmatch(name) for name in names)
                case ast.Name(id=word, ctx=ast.Load()) | ast.Attribute(attr=word, ctx=ast.Load()):
                    first = made.get(word)
                    if not makes:
                        elsewhere.add(word)
                    elif first is None or (first.path == path and node.lineno < first.line):
                        made[word] = Seen(path, node.lineno)
            ahead += [(one, makes, top) for one in ast.iter_child_nodes(node)]
    return {name: seen for name, seen in made.items() if name not in elsewhere}


def evaluated(trees: Mapping[str, ast.Module]) -> dict[str, Seen]:
    """The names that functions read by which is evaluated, or what these call in the same file; with the function."""
    found = dict[str, Seen]()
    for path, tree in trees.items():
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for name, function in functions.items():
            if not evaluates(name):
                continue
            ahead, seen = [function], set[str]()
            while ahead:
                one = ahead.pop()
                if one.name in seen:
                    continue
                seen.add(one.name)
                own = {argument.arg for argument in (*one.args.args, *one.args.kwonlyargs)}
                for node in ast.walk(one):
                    match node:
                        case ast.Name(id=word, ctx=ast.Load()) if word not in own:
                            found.setdefault(word, Seen(path, function.lineno))
                        case ast.Attribute(value=ast.Name(id="args" | "cfg" | "config" | "opt" | "hparams"), attr=word):
                            found.setdefault(word, Seen(path, function.lineno))
                    if word := called(node):
                        given = [one.arg for one in node.keywords if one.arg] if isinstance(node, ast.Call) else []
                        for argument in ("", *given):
                            found.setdefault(f"{word}({argument})", Seen(path, function.lineno))
                    if word in functions:
                        ahead.append(functions[word])
    return found
