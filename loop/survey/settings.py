"""What a script can be set by: each value of its flags, configuration files, constants and defaults, with its place."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from loop.propose.domain import Value
from loop.propose.literals import ANNOTATION, CALL, called, dotted, literal, scalars
from loop.propose.scalar import Unreadable
from loop.study import ConfigError
from loop.survey.bounds import RATE, snake
from loop.survey.configured import entries
from loop.survey.options import Flag
from loop.survey.sources import Seen, Sources
from loop.survey.values import keywords

HOLDERS = re.compile(r"(Config|Configuration|Args|Arguments|Params|Parameters|HParams|Hparams|Settings|Options)$")
# Calls whose one number is known by what they are called, each with what it is.
NUMBERS = {
    "lr": re.compile(r"([\w.]+\.)?(SGD|Adam|AdamW|NAdam|RAdam|Adamax|Adagrad|Adadelta|RMSprop|Rprop|ASGD|LBFGS|Lion)"),
    "dropout": re.compile(r"([\w.]+\.)?((Alpha|Feature|Spatial)?Dropout[123]?[dD]?|dropout)"),
    "clip": re.compile(r"([\w.]+\.)?clip_grad_(norm|value)_?"),
}
# Parts of names of calls that draw pictures or numbers, or make data or flags, and no model.
DRAWS = {
    "plt", "ax", "axes", "fig", "figure", "matplotlib", "pyplot", "sns", "seaborn", "plot", "scatter", "hist", "imshow",
    "subplots", "savefig", "print", "tqdm", "wandb", "logging", "logger", "log", "random", "rng", "rand", "randn",
    "randint", "normal", "uniform", "linspace", "arange", "zeros", "ones", "full", "empty", "tensor", "array",
    "make_classification", "make_regression", "make_moons", "make_blobs", "make_circles", "train_test_split",
    "add_argument", "option", "argument", "field", "argumentparser", "isclose", "allclose", "sleep", "writer",
}  # fmt: skip
SHAPES = ("dim", "dims", "size", "k", "features", "channels")  # of what a call is given: with another it is an error
OVERRIDE = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)=(.*)")  # Hydra's, on the command line


class Setting(Struct, frozen=True):
    """A value and where it is set: `key` is its name as a knob."""

    key: str
    name: str  # by which the code calls it
    value: Value
    seen: Seen
    kind: str  # flag, configuration, constant, field, keyword, call
    choices: tuple[Value, ...] = ()
    served: bool = True  # see Flag


class Configured(Struct, frozen=True):
    """The configuration files that a script reads, and Hydra, where it is that which reads them."""

    paths: tuple[str, ...]
    hydra: Seen | None = None
    overrides: tuple[str, ...] = ()  # the names that the command sets


def configured(sources: Sources, reached: Sequence[str], words: Sequence[str], cwd: str = ".") -> Configured:
    """The committed configuration files that the code or the command names, which is run in `cwd`."""
    hydra: Seen | None = None
    named = dict[str, None]()
    for path in reached:
        folder = PurePosixPath(path).parent
        for node in ast.walk(sources.trees[path]):
            if called(node) in ("hydra.main", "main", "hydra.initialize") and isinstance(node, ast.Call):
                said = {name: literal(value) for name, value in keywords(node).items()}
                if {"config_path", "config_name"} & said.keys():
                    hydra = Seen(path, node.lineno)
                    name = str(said.get("config_name") or "config").removesuffix(".yaml")
                    named[_plain(folder / str(said.get("config_path") or ".") / f"{name}.yaml")] = None
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
                named |= dict.fromkeys((_plain(folder / node.value), _plain(PurePosixPath(cwd, node.value))))
    for word in words:
        value = word.partition("=")[2] if word.startswith("-") else word
        named[_plain(PurePosixPath(cwd, value))] = None
    paths = [path for path in named if sources.is_configuration(path)]
    overrides = tuple(match[1] for word in words if (match := OVERRIDE.fullmatch(word)) and hydra)
    return Configured(tuple(paths), hydra, overrides)


def groups(path: str, text: bytes, sources: Sources) -> list[str]:
    """The files that the defaults list of a Hydra configuration takes in: `- optim: adam` is optim/adam.yaml."""
    import yaml

    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    found = []
    for one in said.get("defaults") or () if isinstance(said, dict) else ():
        pairs = one.items() if isinstance(one, dict) else [("", one)]
        for group, name in pairs:
            place = f"{str(group).removeprefix('override ').lstrip('/')}/{name}".strip("/")
            beside = _plain(PurePosixPath(path).parent / f"{place}.yaml")
            if beside in sources.files:
                found.append(beside)
    return found


def _plain(path: PurePosixPath) -> str:
    """A path without `.` and `..`."""
    parts = list[str]()
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part not in (".", ".."):
            parts.append(part)
    return "/".join(parts)


def found(
    sources: Sources,
    reached: Sequence[str],
    flags: Sequence[Flag],
    said: Configured,
    words: Sequence[str],
    cwd: str = ".",
) -> list[Setting]:
    """All settings of a script; where a name is set in several places, the one that counts."""
    given = {flag.key for flag in flags if flag.given}
    named = [_plain(PurePosixPath(cwd, word)) for word in words[1:]]
    config_scripts = [path for path in named if path in sources.trees and path not in reached]
    uses = _uses(sources, reached)
    every = [
        *_flags(flags),
        *_files(sources, said),
        *(one for path in config_scripts for one in _constants(sources, path, uses, whole=True)),
        *(one for number, path in enumerate(reached) for one in _constants(sources, path, uses, whole=not number)),
        *(one for path in reached for one in _keywords(sources, path, uses)),
        *(one for path in reached for one in _given(sources, path)),
    ]
    found = dict[str, Setting]()
    taken = dict[str, str]()  # by name, the kind that sets it
    for one in every:
        name = one.name.lower()
        above = taken.setdefault(name, one.kind + (one.seen.path if one.kind == "constant" else ""))
        outranked = not above.startswith(one.kind) and one.kind != "configuration"
        if one.kind == "constant" and above.startswith("constant") and above != f"constant{one.seen.path}":
            outranked = any(above == f"constant{path}" for path in config_scripts)
        if outranked or (one.kind != "flag" and name in given):
            continue
        found.setdefault(one.key, one)
    return list(found.values())


def _flags(flags: Sequence[Flag]) -> Iterator[Setting]:
    for flag in flags:
        if flag.value is not None:
            yield Setting(
                flag.name,
                flag.called or flag.key,
                flag.value,
                flag.seen,
                "flag",
                flag.choices,
                flag.served or flag.given,
            )


def _files(sources: Sources, said: Configured) -> Iterator[Setting]:
    for path in said.paths:
        group = PurePosixPath(path).parent.name if said.hydra and path != said.paths[0] else ""
        for key, value, line in entries(path, sources.beside.get(path, b"")):
            if not ({key, f"{group}.{key}"} & set(said.overrides)) and not key.startswith(("defaults", "hydra.")):
                yield Setting(
                    f"{path}:{key}", key.rpartition(".")[2], _number(value), Seen(path, line), "configuration"
                )


def _number(value: Value) -> Value:
    """YAML 1.1 takes `1e-3` for a word, which those who read it for a script mostly do not."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+e[-+]?[0-9]+", value, re.IGNORECASE):
        return float(value)
    return value


class Uses(Struct, frozen=True):
    """What a script does with names, all of its files together: looked for once, for there may be hundreds."""

    passed: set[str]  # see `_passed`
    read: set[str]  # see `_read`
    calls: set[str]  # the last parts of what it calls, or has Fire call


def _uses(sources: Sources, reached: Sequence[str]) -> Uses:
    trees = [sources.trees[path] for path in reached]
    calls = set[str]()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and (name := called(node)):
            calls.add(name.rpartition(".")[2])
            if name in ("fire.Fire", "Fire") and node.args:
                calls.add(dotted(node.args[0]))
    return Uses(_passed(sources, reached), {name for tree in trees for name in _read(tree)}, calls)


def _constants(sources: Sources, path: str, uses: Uses, *, whole: bool) -> Iterator[Setting]:
    """The constants of a file, and the fields of its classes of settings, that one line sets and something reads."""
    lines = sources.python[path].decode("utf-8-sig", "replace").splitlines()
    stated = list(_stated(sources.trees[path], "", uses.passed))
    names = [name for name, _, _ in stated]
    read = uses.read | _read(sources.trees[path])
    state = _rebound(sources.trees[path])
    config = re.search(r"(^|_)(config|settings|params|hparams)", PurePosixPath(path).stem)
    for name, node, line in stated:
        last = name.rpartition(".")[2]
        value = literal(
            keywords(node).get("default") if isinstance(node, ast.Call) and called(node) == "field" else node
        )
        annotated = line <= len(lines) and ANNOTATION.search(lines[line - 1])
        if value is None or names.count(name) != 1 or annotated or node.lineno != node.end_lineno:
            continue
        if name in state and not RATE.search(snake(name)):  # of which the first value may count
            continue
        if last in read and ("." in name or whole or config or name.isupper()):
            yield Setting(f"{path}:{name}", last, value, Seen(path, line), "field" if "." in name else "constant")


def _stated(tree: ast.Module | ast.ClassDef, prefix: str, passed: set[str]) -> Iterator[tuple[str, ast.expr, int]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield prefix + name, value, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield prefix + name, value, node.lineno
            case ast.ClassDef(name=name) if not prefix and _holds(node):
                fields = [one.target.id for one in node.body
                          if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]  # fmt: skip
                given = {f"{name}.{field}" for number, field in enumerate(fields) if f"{name}.{number}" in passed}
                yield from (
                    one for one in _stated(node, f"{name}.", passed)
                    if f"{name}.**" not in passed and one[0] not in passed | given
                )  # fmt: skip


def _rebound(tree: ast.Module) -> set[str]:
    """The names of a file that its loops outside of functions set anew, or a function does that calls them global."""
    found = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    ahead: list[tuple[ast.AST, bool]] = [(node, False) for node in tree.body]
    while ahead:
        node, loops = ahead.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if loops and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        ahead += [(one, loops or isinstance(node, ast.For | ast.While)) for one in ast.iter_child_nodes(node)]
    return found


def _holds(node: ast.ClassDef) -> bool:
    """Whether a class holds settings: a dataclass, or one that is called so."""
    marks = [dotted(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]
    return any(mark.rpartition(".")[2] in ("dataclass", "define", "frozen") for mark in marks) or bool(
        HOLDERS.search(node.name)
    )


def _passed(sources: Sources, reached: Sequence[str]) -> set[str]:
    """What calls hand over by name, `Config.width`; `Config.**` where that is not known, `Config.0` by its place."""
    found = set[str]()
    for path in reached:
        for node in ast.walk(sources.trees[path]):
            if isinstance(node, ast.Call) and (name := called(node).rpartition(".")[2]):
                found |= {f"{name}.{one.arg or '**'}" for one in node.keywords}
                found |= {f"{name}.{number}" for number in range(len(node.args))}
                if any(isinstance(one, ast.Starred) for one in node.args):
                    found.add(f"{name}.**")
    return found


def _read(tree: ast.Module) -> set[str]:
    """The names that code reads, also as an attribute of something; all that is exported where `globals()` is used."""
    found = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
                found.add(name)
            case ast.ImportFrom(names=names):
                found |= {one.name for one in names}
    return found


def _keywords(sources: Sources, path: str, uses: Uses) -> Iterator[Setting]:
    """The defaults of arguments that no call of the script sets, of functions that it calls."""
    calls, passed = uses.calls, uses.passed
    for holder, function in _functions(sources.trees[path]):
        by = holder if function.name == "__init__" else function.name
        if by not in calls or f"{by}.**" in passed:
            continue
        arguments = function.args.args
        defaults = [*([None] * (len(arguments) - len(function.args.defaults))), *function.args.defaults]
        skipped = 1 if holder else 0
        places = [
            *(
                (one, default, number - skipped)
                for number, (one, default) in enumerate(zip(arguments, defaults, strict=True))
            ),
            *(
                (one, default, -1)
                for one, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
            ),
        ]
        for argument, default, place in places:
            value = literal(default)
            if value is None or {f"{by}.{argument.arg}", f"{by}.{place}"} & passed:
                continue
            name = ".".join(filter(None, (holder, function.name, argument.arg)))
            yield Setting(f"{path}:{name}", argument.arg, value, Seen(path, argument.lineno), "keyword")


def _given(sources: Sources, path: str) -> Iterator[Setting]:
    """What calls are given as it stands there: a keyword; or the one number, where the function says what that is."""
    try:
        found = scalars(sources.python[path])
    except Unreadable as error:
        raise ConfigError(f"{path}:{error.line}: {error}") from None
    every = [one for one in found if one.name.endswith(CALL) and not one.fixed]
    by_keyword = {one.start for one in every if not one.name.endswith("()")}
    for one in every:
        if one.name.endswith("()") and one.start in by_keyword:
            continue
        function, _, argument = one.name.removesuffix(CALL).partition("(")
        parts = {part.lower() for part in function.split(".")}
        name = argument or next((name for name, kind in NUMBERS.items() if kind.fullmatch(function)), "")
        if name and name not in SHAPES and not parts & DRAWS:
            yield Setting(f"{path}:{one.name}", name, one.value, Seen(path, one.line), "call")


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield "", node
        elif isinstance(node, ast.ClassDef):
            yield from ((node.name, inner) for inner in node.body if isinstance(inner, ast.FunctionDef))


def by_name(settings: Sequence[Setting]) -> Mapping[str, Value]:
    """What the code may call these, and their values."""
    return {one.name: one.value for one in reversed(settings)}
