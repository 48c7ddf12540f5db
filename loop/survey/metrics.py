"""What a script says of how good it is: what a probe has seen of it, else what its source says that it will print.

A line that is printed is made into a sample of it, with numbers in the place of what is not known, and read as a log is
(`spoken`). So a name, a pattern and a direction are found by one and the same rule, before and after a run.
"""

import ast
import re
import string
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from loop.propose.literals import called, literal
from loop.propose.measuring import evaluates
from loop.survey import meters, spoken
from loop.survey.bounds import is_length
from loop.survey.meters import Kind
from loop.survey.sources import Seen
from loop.survey.spoken import Direction, Metric
from loop.survey.values import Known, folded, keywords
from store.probed import Probed

SAID = re.compile(r"(^|\.)(print|echo|info|write|print0|master_print|rank_zero_info|rank_zero_print|log_message)$")
TO_FILES = re.compile(r"(^|\.)(?!stdout|stderr|tqdm|bar|pbar|progress)\w+\.write$")
WHOLE = re.compile(
    r"(^|_)(step|steps|iter|iters|iteration|it|epoch|epochs|i|n|k|t|idx|batch|batches|count|num|len|total|seed)(_|$)"
)
# Words of what is printed beside a name and is no number, whatever a sample of it holds.
NO_NUMBER = re.compile(
    r"(^|_)(path|dir|directory|folder|file|tags?|checkpoint|ckpt|config|with|names?|url|device|version|args?)(_|$)",
    re.I,
)
TESTED = 1  # the rank of what a test says, or a function that evaluates
TIMES = 3  # of each line, with other numbers: what changes is no option that is echoed
TRAINER_KEYS = ("eval_loss",)


class Spoken(Struct, frozen=True):
    """A metric and what speaks for it."""

    metric: Metric
    evidence: str


def found(
    trees: Mapping[str, ast.Module], names: Known, probed: Probed | None, packages: Mapping[str, str] = {}
) -> list[Spoken]:
    """The metrics, those that say how good a model is first."""
    if probed is not None:
        return list(_probed(probed))
    kinds = meters.kinds(trees)
    samples = [(Seen(path, line), text) for path, tree in trees.items() for line, text in _lines(tree, names, kinds)]
    whole, apart = spoken.in_text("\n".join(text for _, text in samples)), _evaluating(trees)
    first, held_out = dict[str, Seen](), dict[str, Seen]()
    for seen, text in samples:
        for one in spoken.in_text(text):
            first.setdefault(one.name, seen)
            if seen in apart:
                held_out.setdefault(one.name, seen)
    printed = [
        Spoken(one, f"printed at {held_out.get(one.name, first[one.name])}")
        for one in whole
        if one.name in first and (one.direction or not NO_NUMBER.search(one.name))
    ]
    known = {one.metric.name for one in printed}
    filed = [one for one in _filed(trees, names, packages) if one.metric.name not in known]

    def order(one: Spoken) -> tuple[bool, int]:
        name = one.metric.name
        return one.metric.direction is None, min(_rank(name), TESTED) if name in held_out else _rank(name)

    return sorted([*printed, *filed], key=order)


def _rank(name: str) -> int:
    """What was held out comes first, a test behind what is for choosing; what was trained on comes last."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    if words & {"best", "min", "max"}:
        return 4
    if words & set(spoken.CHOOSING):
        return 0
    return TESTED if words & {"test", "testing"} else 3 if words & {"train", "training"} else 2


def _evaluating(trees: Mapping[str, ast.Module]) -> set[Seen]:
    """The lines of functions whose name says that they evaluate."""
    return {
        Seen(path, line)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and evaluates(node.name)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _probed(probed: Probed) -> Iterator[Spoken]:
    for one in probed.metrics:
        noise = probed.noise.get(one.name)
        said = f", its noise {100 * noise.relative:.2g} %" if noise and noise.sd else ""
        said = ", the same to within rounding in each run" if noise and not noise.sd else said
        way: Direction | None = spoken.direction(one.name)
        yield Spoken(Metric(one.name, one.pattern, one.file, one.key, direction=way), f"seen by `cockpit probe`{said}")


# --- lines that are printed ------------------------------------------------------------------------------------------


def _lines(tree: ast.Module, names: Known, kinds: Mapping[str, Kind]) -> Iterator[tuple[int, str]]:
    """What each call that prints would print, a few times: its line, and the text. `kinds` are those of its meters."""
    held: dict[str, ast.expr] = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.JoinedStr | ast.BinOp | ast.Dict | ast.Call)
    }
    held |= {name: meters.template(one.line) for name, one in meters.made(tree, kinds).items()}
    for line, expression in meters.printed(tree, kinds):
        yield line, "\n".join(_text(expression, time, names, {}) for time in range(TIMES))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not (name := called(node)):
            continue
        last = name.rpartition(".")[2]
        if last == "set_postfix":
            parts = ", ".join(f"{one.arg}={{}}" for one in node.keywords if one.arg)
            texts = [f" 50%|##| 9/20 [00:01<00:01, {parts.replace('{}', _real(time))}]" for time in range(TIMES)]
        elif last in ("set_description", "set_postfix_str") and node.args:
            texts = [_text(node.args[0], time, names, held) for time in range(TIMES)]
        elif SAID.search(name) and not (last == "write" and TO_FILES.search(name)) and "file" not in keywords(node):
            texts = [_printed(node, time, names, held) for time in range(TIMES)]
        else:
            continue
        yield node.lineno, "\n".join(texts)


def _printed(node: ast.Call, time: int, names: Known, held: Mapping[str, ast.expr]) -> str:
    first = node.args[0] if node.args else None
    if len(node.args) > 1 and isinstance(first, ast.Constant) and "%" in str(first.value):  # logger.info("… %f", x)
        return _percent(str(first.value), node.args[1:], time)
    separator = literal(keywords(node).get("sep"))
    return (separator if isinstance(separator, str) else " ").join(_text(one, time, names, held) for one in node.args)


def _text(node: ast.expr, time: int, names: Known, held: Mapping[str, ast.expr], deep: int = 0) -> str:
    """An expression as it would be printed."""
    if deep > 4:
        return _number(node, time)
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            said = ""
            for one in parts:
                said += "word" if _quoted(one, said) else _text(one, time, names, held, deep + 1)
            return said
        case ast.FormattedValue(value=ast.Name(id=name)) if name in held and _template(held[name]):
            return _text(held[name], time, names, {}, deep + 1)
        case ast.FormattedValue(value=ast.expr() as value, format_spec=spec):
            shape = "".join(str(literal(one)) for one in spec.values) if isinstance(spec, ast.JoinedStr) else ""
            return _shaped(value, shape, time)
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod(), right=right):
            return _percent(text, right.elts if isinstance(right, ast.Tuple) else [right], time)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, time, names, held, deep + 1) + _text(right, time, names, held, deep + 1)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format"), args=given):
            return _format(text, given, keywords(node), time)
        case ast.Call(func=ast.Attribute(attr="join")):
            return ""
        case ast.Call(args=[inner, *_]) if called(node) in ("str", "repr", "json.dumps", "dumps", "dict"):
            return _text(inner, time, names, held, deep + 1)
        case ast.Dict(keys=keys, values=values):
            pairs = (
                f"'{literal(key)}': {_text(value, time, names, held, deep + 1)}"
                for key, value in zip(keys, values, strict=True)
                if isinstance(literal(key), str)
            )
            return f"{{{', '.join(pairs)}}}"
        case ast.Name(id=name) if name in held:
            return _text(held[name], time, names, {key: one for key, one in held.items() if key != name}, deep + 1)
        case ast.Name() | ast.Attribute() if isinstance(value := folded(node, names), str):
            return value
    return _number(node, time)


def _template(node: ast.expr) -> bool:
    """Whether it is a text with places in it, that are filled at once."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format")):
            return True
    return isinstance(node, ast.JoinedStr)


def _quoted(node: ast.expr, before: str) -> bool:
    """Whether a value is put into quotes, as no number is."""
    return isinstance(node, ast.FormattedValue) and before.endswith(("'", '"'))


def _named(node: ast.expr) -> str:
    """What an expression is about: the last name in it."""
    found = [
        one.id if isinstance(one, ast.Name) else one.attr
        for one in ast.walk(node)
        if isinstance(one, ast.Name | ast.Attribute)
    ]
    return found[0] if found else ""


def _number(node: ast.expr, time: int) -> str:
    name = _named(node)
    whole = WHOLE.search(name) or is_length(name) or (isinstance(node, ast.Call) and called(node) == "len")
    return str(10 * (time + 1)) if whole else _real(time)


def _shaped(node: ast.expr, shape: str, time: int) -> str:
    kind = shape[-1:]
    if kind == "d":
        return str(10 * (time + 1))
    if kind in ("f", "e", "g", "F", "E", "G", "%") or (kind.isdigit() and "." in shape):
        return f"{0.9132 - time / 10:{'.4f' if kind in 'F%' or kind.isdigit() else '.4' + kind}}" + (
            "%" if kind == "%" else ""
        )
    return _number(node, time)


def _real(time: int) -> str:
    return f"{0.9132 - time / 10:.4f}"


def _percent(text: str, given: Sequence[ast.expr], time: int) -> str:
    """`"loss %.3f" % loss`."""
    left = list(given)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        node = left.pop(0) if left else None
        if match[1] in "diu":
            return str(10 * (time + 1))
        return _number(node, time) if match[1] in "sr" and node is not None else _real(time)

    return re.sub(r"%[-+ #0-9.*]*([a-zA-Z%])", one, text)


def _format(text: str, given: Sequence[ast.expr], by_name: Mapping[str, ast.expr], time: int) -> str:
    """`"loss {:.3f}".format(loss)`."""
    parts, left = list[str](), list(given)
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return text
    for before, name, shape, _ in fields:
        parts.append(before)
        if name is not None:
            node = by_name.get(name) or (given[int(name)] if name.isdigit() and int(name) < len(given) else None)
            node = node or (left.pop(0) if left else ast.Constant(0.5))
            parts.append("word" if before.endswith(("'", '"')) else _shaped(node, shape or "", time))
    return "".join(parts)


# --- what is left in files -------------------------------------------------------------------------------------------


def _filed(trees: Mapping[str, ast.Module], names: Known, packages: Mapping[str, str]) -> Iterator[Spoken]:
    """Metrics that go to a tracker, a trainer's state or a logger's file."""
    calls = [(path, node) for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    by_name = {called(node): node for _, node in calls}
    board = _board(by_name, names)
    lightning = _lightning(by_name, names, packages)
    trainer = any(name.rpartition(".")[2] in ("Trainer", "Seq2SeqTrainer", "SFTTrainer") for name in by_name)
    hugging = trainer and any(
        name.rpartition(".")[2].endswith(("TrainingArguments", "SFTConfig")) or "HfArgumentParser" in name
        for name in by_name
    )
    for path, node in calls:
        name = called(node)
        seen = Seen(path, node.lineno)
        first = node.args[0] if node.args else None
        if name.endswith(("wandb.log", "run.log", "wandb_run.log")) and isinstance(first, ast.Dict):
            for key in (literal(one) for one in first.keys):
                if isinstance(key, str) and not _counted(key):
                    yield _file(key, "wandb", f"{seen}: W&B is told")
        elif name.endswith(".add_scalar") and isinstance(key := literal(first), str):
            yield _file(key, board, f"{seen}: TensorBoard is told")
        elif name in ("self.log", "self.log_dict") and lightning:
            keys = [literal(first)] if not isinstance(first, ast.Dict) else [literal(one) for one in first.keys]
            yield from (
                _file(key, lightning, f"{seen}: Lightning is told; its file is a guess")
                for key in keys
                if isinstance(key, str)
            )
    if hugging:
        yield from _trainer(trees, calls, names)


def _counted(key: str) -> bool:
    return is_length(key) or bool(re.search(r"(^|[/_])(lr|step|iter|epoch|time|mfu|learning_rate)$", key.lower()))


def _file(key: str, file: str, evidence: str) -> Spoken:
    name = re.sub(r"[^a-z0-9_-]+", "_", key.lower()).strip("_")
    return Spoken(Metric(name, None, file, key, direction=spoken.direction(key)), evidence)


def _board(by_name: Mapping[str, ast.Call], names: Known) -> str:
    for name, node in by_name.items():
        if name.endswith("SummaryWriter"):
            said = keywords(node).get("log_dir") or (node.args[0] if node.args else None)
            if isinstance(folder := folded(said, names), str) and _relative(folder):
                return f"{folder.rstrip('/')}/events.out.tfevents.*"
    return "runs/*/events.out.tfevents.*"


def _lightning(by_name: Mapping[str, ast.Call], names: Known, packages: Mapping[str, str]) -> str:
    kinds = {name.rpartition(".")[2] for name in by_name}
    for kind, file in (("CSVLogger", "metrics.csv"), ("TensorBoardLogger", "events.out.tfevents.*")):
        if kind in kinds:
            node = next(node for name, node in by_name.items() if name.rpartition(".")[2] == kind)
            folder = folded(keywords(node).get("save_dir") or (node.args[0] if node.args else None), names)
            return f"{folder if isinstance(folder, str) and _relative(folder) else '*'}/*/*/{file}"
    written = "events.out.tfevents.*" if {"tensorboard", "tensorboardX"} & packages.keys() else "metrics.csv"
    return f"lightning_logs/*/{written}"


def _relative(folder: str) -> bool:
    return bool(folder) and not folder.startswith(("/", "~")) and ".." not in folder and not set("{}") & set(folder)


def _trainer(trees: Mapping[str, ast.Module], calls: Sequence[tuple[str, ast.Call]], names: Known) -> Iterator[Spoken]:
    """What transformers.Trainer prints of an evaluation, and what it leaves in trainer_state.json."""
    saves = next((Seen(path, node.lineno) for path, node in calls if called(node).endswith(".save_state")), None)
    made = next((Seen(path, node.lineno) for path, node in calls if called(node).endswith("Trainer")), None)
    folder = next(
        (
            value
            for _, node in calls
            if called(node).endswith("TrainingArguments")
            and isinstance(
                value := folded(keywords(node).get("output_dir") or (node.args[0] if node.args else None), names), str
            )
        ),
        names.get("output_dir"),
    )
    keys = list(TRAINER_KEYS)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "compute_metrics":
                keys += [
                    f"eval_{key}"
                    for one in ast.walk(node)
                    if isinstance(one, ast.Dict)
                    for key in (literal(each) for each in one.keys)
                    if isinstance(key, str)
                ]
    for key in keys:
        direction: Direction | None = spoken.direction(key)
        if saves and isinstance(folder, str) and _relative(folder.replace("{output}", "o")):
            file = f"{folder.rstrip('/')}/trainer_state.json"
            yield Spoken(Metric(key, None, file, key, direction=direction), f"{saves}: the Trainer's state is kept")
        else:
            pattern = rf"'{key}': '?([-+0-9.e]+)"
            yield Spoken(Metric(key, pattern, direction=direction), f"{made}: the Trainer prints it")
