"""The flags that a script declares, with their defaults: argparse, click, typer, absl, and the Trainer's own."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.domain import Value
from loop.propose.literals import called, dotted, literal
from loop.survey.sources import Seen
from loop.survey.values import keywords

# Fields of transformers.TrainingArguments, which HfArgumentParser makes flags: with their defaults there.
TRAINER: dict[str, Value] = {
    "learning_rate": 5e-5,
    "weight_decay": 0.0,
    "warmup_steps": 0,
    "max_grad_norm": 1.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "label_smoothing_factor": 0.0,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3.0,
    "max_steps": -1,
    "seed": 42,
}


class Flag(Struct, frozen=True):
    """A word of the command line that sets a value."""

    name: str  # `--lr`
    value: Value  # its default, or what the command says; None where neither is known
    seen: Seen
    choices: tuple[Value, ...] = ()
    required: bool = False
    given: bool = False  # the command says it
    served: bool = True  # its default can be read where it stands; else the command has to say it
    switch: bool = False  # takes no value of its own
    called: str = ""  # by the code, where that is not its name

    @property
    def key(self) -> str:
        """Its name as code has it: `weight_decay`."""
        return self.name.lstrip("-").replace("-", "_")


def declared(trees: Mapping[str, ast.Module]) -> list[Flag]:
    """The flags of these files, the script's own first."""
    found = dict[str, Flag]()
    for path, tree in trees.items():
        for flag in _flags(path, tree):
            found.setdefault(flag.name, flag)
    return list(found.values())


def given(flags: Sequence[Flag], words: Sequence[str], at: Seen) -> list[Flag]:
    """The same with what a command says; what it says and nobody declares is a flag too."""
    said = dict[str, Value]()
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--") and word != "--":
            name, equals, value = word.partition("=")
            said[name] = _value(value if equals else after if not _is_flag(after) else "")
    by_key = {flag.key: flag for flag in flags}
    for name, one in said.items():
        key = Flag(name, None, at).key
        if known := by_key.get(key):
            now = True if known.switch else known.value if one is None else one
            by_key[key] = replace(known, value=now, given=True)
        else:
            by_key[key] = Flag(name, one, at, given=True)
    return list(by_key.values())


def _is_flag(word: str) -> bool:
    return word.startswith("-") and not isinstance(_value(word), int | float)


def _value(text: str) -> Value:
    if text in ("", "True", "False"):
        return {"True": True, "False": False}.get(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def positional(trees: Mapping[str, ast.Module]) -> list[Flag]:
    """What a script must be given that is no flag."""
    return [
        Flag(name, None, Seen(path, node.lineno), required=True)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node).endswith(".add_argument") and node.args
        for name in [literal(node.args[0])]
        if isinstance(name, str) and not name.startswith("-") and not {"nargs", "default"} & keywords(node).keys()
    ]


def _flags(path: str, tree: ast.Module) -> Iterator[Flag]:
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for one in node.names}
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | names
    by_trainer = {"HfArgumentParser", "TrainingArguments", "TrlParser"} <= names | {"TrlParser"} and (
        "HfArgumentParser" in names
    )
    typed = any(name.partition(".")[0] == "typer" for name in modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called(node)
            if name.endswith(".add_argument"):
                yield from _argparse(path, node)
            elif name in ("click.option", "option"):
                yield from _click(path, node)
            elif ".DEFINE_" in name or name.startswith("DEFINE_"):
                yield from _absl(path, node, name)
            elif by_trainer and "HfArgumentParser" in name:
                arguments = node.lineno
                yield from (
                    Flag(f"--{key}", value, Seen(path, arguments), served=False) for key, value in TRAINER.items()
                )
        elif typed and isinstance(node, ast.FunctionDef) and _is_command(node, tree):
            yield from _typer(path, node)


def _long(node: ast.Call) -> str | None:
    """The first of the names that begin with two dashes; of `--bias/--no-bias` the first half."""
    texts = [value.partition("/")[0] for one in node.args if isinstance(value := literal(one), str)]
    return next((one for one in texts if one.startswith("--")), None)


def _argparse(path: str, node: ast.Call) -> Iterator[Flag]:
    if (name := _long(node)) is None:
        return
    said = keywords(node)
    action = literal(said.get("action")) if "action" in said else None
    switch = action == "store_true" or ("action" in said and "BooleanOptionalAction" in dotted(said["action"]))
    if (action and not switch) or "nargs" in said:
        return
    default = literal(said.get("default"))
    if switch:
        default = bool(default)
    yield Flag(
        name,
        _typed(default, dotted(said["type"]) if "type" in said else ""),
        Seen(path, node.lineno),
        _choices(said.get("choices")),
        required=literal(said.get("required")) is True,
        switch=switch,
        called=str(literal(said.get("dest")) or ""),
    )


def _click(path: str, node: ast.Call) -> Iterator[Flag]:
    if (name := _long(node)) is None:
        return
    said = keywords(node)
    kind, choices = said.get("type"), tuple[Value, ...]()
    if isinstance(kind, ast.Call) and called(kind).endswith("Choice") and kind.args:
        choices = _choices(kind.args[0])
    default = literal(said.get("default"))
    switch = literal(said.get("is_flag")) is True or isinstance(default, bool)
    yield Flag(
        name, bool(default) if switch else default, Seen(path, node.lineno), choices,
        required=literal(said.get("required")) is True, switch=switch,
    )  # fmt: skip


def _absl(path: str, node: ast.Call, name: str) -> Iterator[Flag]:
    values = [literal(one) for one in node.args[:2]]
    if len(values) == 2 and isinstance(values[0], str):
        choices = _choices(node.args[2]) if name.endswith("DEFINE_enum") and len(node.args) > 2 else ()
        yield Flag(f"--{values[0]}", values[1], Seen(path, node.lineno), choices)


def _is_command(function: ast.FunctionDef, tree: ast.Module) -> bool:
    if any(isinstance(one, ast.Call) and called(one).endswith(".command") for one in function.decorator_list):
        return True
    runs = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "typer.run"]
    return any(node.args and dotted(node.args[0]) == function.name for node in runs)


def _typer(path: str, function: ast.FunctionDef) -> Iterator[Flag]:
    arguments = function.args
    given = [*([None] * (len(arguments.args) - len(arguments.defaults))), *arguments.defaults]
    for argument, default in (
        *zip(arguments.args, given, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ):
        name = f"--{argument.arg.replace('_', '-')}"
        if isinstance(default, ast.Call) and called(default).endswith("Option"):
            name, default = _long(default) or name, default.args[0] if default.args else None
        if default is not None and (value := literal(default)) is not None:
            yield Flag(name, value, Seen(path, argument.lineno), switch=isinstance(value, bool))


def _typed(value: Value, kind: str) -> Value:
    """A default as the parser would hand it over: `default=1, type=float` is a float."""
    return float(value) if kind == "float" and isinstance(value, int) and not isinstance(value, bool) else value


def _choices(node: ast.expr | None) -> tuple[Value, ...]:
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return ()
    values = tuple(literal(one) for one in node.elts)
    return values if all(value is not None for value in values) else ()
