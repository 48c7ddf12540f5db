"""What lets a proposal in: gates, the cheap ones first, each with a reason that says what to mend.

A proposal becomes the new contents of some files. It is refused where it touches what it may not, is no Python, uses a
name that is nowhere defined, alters the declaration of a knob or gives it a value out of its bounds, changes nothing,
or makes code that was tried before.
What was tried is known by a *change hash*: of the files that differ from the baseline, of Python the syntax tree alone,
so that neither comments nor spaces make a repeat look new; nor does how a value is written in YAML, or the order of
flags.
"""

import ast
import builtins
import hashlib
import json
import symtable
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from loop.propose import arguments, documents, literals, space
from loop.propose.literals import parsed, steadily
from loop.propose.scalar import Unreadable
from loop.propose.space import Knob
from loop.study import ARGS, Settings
from store.place import CONFIG
from store.records import Refusal

EVERYWHERE = {
    *dir(builtins),
    "__class__",
    "__file__",
    "__cached__",
    "__annotations__",
    "__path__",
    "__module__",
    "__qualname__",
}
UNCHANGED = hashlib.sha256(b"{}").hexdigest()  # the change hash of the baseline


class Refused(Exception):
    """A proposal is not let in."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal
        self.reason = reason


def admit(
    settings: Settings,
    knobs: Sequence[Knob],
    modes: Mapping[str, str],
    parent: Mapping[str, bytes],
    changed: Mapping[str, bytes],
) -> None:
    """Whether these new contents of files may stand. `modes` are those of the parent's files. Raises Refused."""
    for path, source in changed.items():
        own = [knob for knob in knobs if knob.path == path]
        _may_touch(settings, modes, path)
        is_python = path.endswith(".py")
        if is_python:
            _python(path, source)
        if is_python or own:
            _knobs_stand(path, source, own, editable=is_python and settings.editable(path))
        if is_python:
            _names(path, parent.get(path, b""), source)
            _flags_stand(path, source, knobs)
        if not settings.editable(path):
            _only_knobs(path, parent.get(path, b""), source, own)


def _may_touch(settings: Settings, modes: Mapping[str, str], path: str) -> None:
    parts = path.split("/")
    if any(part.startswith(".git") or part in ("", ".", "..") for part in parts):
        raise Refused(Refusal.UNSAFE, f"{path} belongs to git, or leads out of the tree")
    if not modes.get(path, "100644").startswith("100"):
        raise Refused(Refusal.UNSAFE, f"{path} is a link or a submodule")
    if path == CONFIG or not settings.touchable(path):
        raise Refused(Refusal.OUT_OF_THE_SPACE, f"{path} is protected: it is not in `[space] edit`")


def _python(path: str, source: bytes) -> None:
    try:
        tree = parsed(source)
        with warnings.catch_warnings(action="ignore"):  # of the code under test: they would show its text, raw
            steadily(lambda: compile(tree, path, "exec", dont_inherit=True))
    except Unreadable as error:
        raise Refused(Refusal.INVALID, f"{path}:{error.line}: {error}") from None
    except (SyntaxError, ValueError, RecursionError) as error:  # `return` outside a function is found only here
        raise Refused(Refusal.INVALID, f"{path}: {error}") from None


def _names(path: str, before: bytes, after: bytes) -> None:
    """No name is used that is nowhere defined, but for those with which the parent has run."""
    known = set[str]()
    with suppress(SyntaxError, ValueError, RecursionError):  # of a file that could not be compiled before
        known = set(_undefined(path, before))
    try:
        new = set(_undefined(path, after)) - known
    except RecursionError:
        raise Refused(Refusal.INVALID, f"{path} is nested too deeply") from None
    if new:
        raise Refused(Refusal.INVALID, f"`{min(new)}` is used and nowhere defined in {path}")


def _undefined(path: str, source: bytes) -> Iterator[str]:
    with warnings.catch_warnings(action="ignore"):
        top = symtable.symtable(source.decode("utf-8-sig"), path, "exec")
    tables, ahead = [top], [top]
    while ahead:
        tables += (inner := ahead.pop().get_children())
        ahead += inner
    symbols = [symbol for table in tables for symbol in table.get_symbols()]
    nodes = list(ast.walk(parsed(source)))
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes):
        return
    defined = {symbol.get_name() for symbol in top.get_symbols() if _bound(symbol)}
    defined |= {symbol.get_name() for symbol in symbols if symbol.is_declared_global() and _bound(symbol)}
    for node in nodes:  # what a variable is annotated with in a function Python never looks at
        if isinstance(node, ast.AnnAssign):
            defined |= {one.id for one in ast.walk(node.annotation) if isinstance(one, ast.Name)}
    for symbol in symbols:
        name = symbol.get_name()
        if symbol.is_global() and symbol.is_referenced() and name not in defined and name not in EVERYWHERE:
            yield name


def _bound(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def _only_knobs(path: str, before: bytes, after: bytes, knobs: list[Knob]) -> None:
    """A file that is not editable changes in its listed knobs, and in nothing else."""
    stood, stand = space.values(path, before, knobs), space.values(path, after, knobs)
    # As they are written: `1e-3` would be set as `0.001`.
    moved = {knob: stand[knob.name] for knob in knobs if stand.get(knob.name) != stood.get(knob.name)}
    made = space.set_values(path, before, moved)
    alike = _digest(path, made) == _digest(path, after) if path == ARGS else made == after  # whose words have no order
    if not alike:
        raise Refused(Refusal.OUT_OF_THE_SPACE, f"{path} is protected but for its knobs")


def _knobs_stand(path: str, source: bytes, knobs: list[Knob], *, editable: bool) -> None:
    try:
        declared = {knob.name: knob for knob in space.annotated(path, source)} if editable else {}
        values = space.values(path, source, knobs)
    except Unreadable as error:
        raise Refused(Refusal.OUT_OF_THE_SPACE, f"{path}:{error.line}: {error}") from None
    for knob in knobs:
        if knob.name not in values:
            what = "no literal any more" if path.endswith(".py") else "not there any more"
            if knob.name.endswith(literals.CALL):
                what = "one value any more: leave its calls, and what each is given, as they are"
                what = f"not {what}"
            raise Refused(Refusal.OUT_OF_THE_SPACE, f"the knob {knob.key} is {what}")
        if not knob.domain.holds(values[knob.name]):
            raise Refused(Refusal.OUT_OF_THE_SPACE, f"{knob.key} = {values[knob.name]!r} is not in {knob.domain}")
        if knob.annotated and (knob.name not in declared or declared[knob.name].domain != knob.domain):
            raise Refused(Refusal.OUT_OF_THE_SPACE, f"the declaration of the knob {knob.key} is altered")
    if new := declared.keys() - {knob.name for knob in knobs}:
        raise Refused(Refusal.OUT_OF_THE_SPACE, f"{min(new)} is made a knob; the baseline says what is one")


def _flags_stand(path: str, source: bytes, knobs: Sequence[Knob]) -> None:
    """A flag that `cockpit.args` does not name has the default that its script gives it: that one stays."""
    for knob in knobs:
        if knob.flag and knob.flag.script == path:
            option = arguments.option(knob.name, source, runs=True)
            if option is None or option.why or option.form is not knob.flag.form or option.default != knob.default:
                raise Refused(Refusal.OUT_OF_THE_SPACE, f"the default of the knob {knob.key} is altered in {path}")


def change_hash(baseline: Mapping[str, bytes], contents: Mapping[str, bytes]) -> str:
    """Names the code that differs from the baseline. `contents` are the files that do, as they are now."""
    digests = {
        path: digest
        for path, content in contents.items()
        if (digest := _digest(path, content)) != _stood(path, baseline)
    }
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _stood(path: str, baseline: Mapping[str, bytes]) -> str | None:
    """The digest of a file of the baseline. Without `cockpit.args` there are no flags in it."""
    if path not in baseline and path != ARGS:
        return None
    return _digest(path, baseline.get(path, b""))


def _digest(path: str, content: bytes) -> str:
    with suppress(Unreadable, RecursionError):  # then it is what it is
        if path.endswith(".py"):
            content = ast.dump(parsed(content)).encode()
        elif path == ARGS:
            content = arguments.canonical(content)
        elif path.endswith(documents.SUFFIXES):
            content = documents.canonical(path, content)
    return hashlib.sha256(content).hexdigest()
