"""What a script's own meters print: `AverageMeter("Loss", ":.4e")`, and a `ProgressMeter` that puts them into a line.

A meter is an object whose class says in `__str__` how its `name` and value are printed, in a template. Each is given
back as the expression that would print the same, so that it is read as any other that is printed (`metrics.py`).
"""

import ast
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from loop.propose.literals import called, literal
from loop.survey.values import keywords

NAME = re.compile(r"\{name(![rs])?(:[^{}]*)?\}")
OWN = re.compile("\0(\\w+)\0")  # in a template: what stands in an attribute of the meter
NONE = "NONE"  # a summary of a meter that says nothing
COUNTED = "[10/90]"  # of a line that says how far it is


class Kind(Struct, frozen=True):
    """A class of meters: the templates of what it prints, each with its arguments and what they are by default."""

    line: str
    summary: str
    arguments: tuple[str, ...]
    defaults: Mapping[str, ast.expr]


class Meter(Struct, frozen=True):
    """A meter: how it is printed in a line, and in a summary; nothing where it is not."""

    line: str
    summary: str


def kinds(trees: Mapping[str, ast.Module]) -> dict[str, Kind]:
    """The classes of meters in these files, by name."""
    found = dict[str, Kind]()
    for tree in trees.values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
            said = methods.get("__str__") or methods.get("__repr__")
            if "__init__" in methods and said and (line := _template(said)):
                given = methods["__init__"].args
                names = [one.arg for one in (*given.args, *given.kwonlyargs)][1:]
                last = given.args[len(given.args) - len(given.defaults) :]
                defaults = {one.arg: value for one, value in zip(last, given.defaults, strict=True)}
                summary = _template(methods["summary"]) if "summary" in methods else ""
                found[node.name] = Kind(line, summary, tuple(names), defaults)
    return found


def _template(function: ast.FunctionDef) -> str:
    """The longest text with a place for the name that a method joins; nothing where there is none."""
    texts = [text for node in ast.walk(function) if (text := _joined(node)) and NAME.search(text)]
    return max(texts, key=len, default="")


def _joined(node: ast.AST) -> str:
    """What is joined of texts and attributes, as a template; nothing where it is made otherwise."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return f"\0{name}\0"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _joined(left), _joined(right)
            return one + other if one and other else ""
        case ast.JoinedStr(values=parts):
            return "".join(map(_part, parts))
    return ""


def _part(node: ast.expr) -> str:
    match node:
        case ast.FormattedValue(value=ast.Attribute(value=ast.Name(id="self"), attr=name), format_spec=spec):
            shape = "".join(_joined(one) for one in spec.values) if isinstance(spec, ast.JoinedStr) else ""
            return f"{{{name}{shape and f':{shape}'}}}"
        case ast.FormattedValue(value=ast.Attribute(value=ast.Attribute(), attr=name)):
            return f"{{{name}}}"
        case ast.Constant(value=str() as text):
            return text.replace("{", "{{").replace("}", "}}")
    return "{}"


def made(tree: ast.Module, known: Mapping[str, Kind]) -> dict[str, Meter]:
    """The meters of a file, by the variable that holds each."""
    found = dict[str, Meter]()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                kind = known.get(called(call).rpartition(".")[2])
                meter = _meter(call, kind) if kind else None
                if meter and not (name in found and found[name].summary):  # of two, that which says what it comes to
                    found[name] = meter
    return found


def _meter(call: ast.Call, kind: Kind) -> Meter | None:
    given = {**kind.defaults, **dict(zip(kind.arguments, call.args, strict=False)), **keywords(call)}
    name = literal(given.get("name"))
    if not isinstance(name, str):
        return None
    plain = name.replace("{", "").replace("}", "")

    def filled(template: str) -> str:
        own = OWN.sub(lambda found: str(literal(given.get(found[1])) or ""), template)
        return NAME.sub(lambda _: plain, own)

    silent = any(isinstance(one, ast.Attribute) and one.attr == NONE for one in given.values())
    return Meter(filled(kind.line), "" if silent else filled(kind.summary))


def printed(tree: ast.Module, known: Mapping[str, Kind]) -> Iterator[tuple[int, ast.expr]]:
    """The lines that a list of meters is printed in: where it is handed over, and an expression of the line."""
    if not known:
        return
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        own = made(ast.Module([function], []), known)
        for call in ast.walk(function):
            if not isinstance(call, ast.Call):
                continue
            for given in (*call.args, *(one.value for one in call.keywords)):
                if isinstance(given, ast.List | ast.Tuple) and given.elts:
                    names = [one.id for one in given.elts if isinstance(one, ast.Name)]
                    meters = [own[name] for name in names if name in own]
                    if meters:
                        yield call.lineno, template(_line(call, meters))


def _line(call: ast.Call, meters: list[Meter]) -> str:
    """The summary where there is one, for it says what a whole pass comes to; else the line of a step."""
    if summaries := [one.summary for one in meters if one.summary]:
        return " ".join([" *", *summaries])
    words = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    head = re.sub(r"\{[^{}]*\}", "1", next((word for word in words if word.strip()), ""))
    return "\t".join([head + COUNTED, *(one.line for one in meters)])


def template(text: str) -> ast.expr:
    """The expression of a template with nothing put into it."""
    return ast.parse(f"{text!r}.format()", mode="eval").body
