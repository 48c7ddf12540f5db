"""Where a value stands in a file, by the file's path and a name: how it is read there, and set.

`train.py:RATE`, `train.py:Config.rate`, `train.py:train.rate`, `train.py:torch.optim.SGD(lr)` and
`train.py:torch.manual_seed()` are literals in Python (literals.py), `conf/base.yaml:optim.lr` is a path in YAML, TOML
or JSON (documents.py). A value that is set changes in the file, and not a byte more: what was written is read again
before anybody has it.
"""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from loop.propose import documents, literals
from loop.propose.domain import Value
from loop.propose.scalar import Scalar, Unreadable

MOST_LINES = 3  # that are named


def scalars(path: str, source: bytes) -> list[Scalar]:
    """The values that a file has a place for. Raises Unreadable."""
    if path.endswith(".py"):
        return literals.scalars(source)
    if path.endswith(documents.SUFFIXES):
        return documents.scalars(path, source)
    raise Unreadable(1, f"is no {', '.join(documents.SUFFIXES)} or .py")


def values(path: str, source: bytes, names: Collection[str]) -> dict[str, Value]:
    """The values that these names have in a file. One that is not there, or not one, is left out. Raises Unreadable."""
    own: dict[str, list[Scalar]] = {}
    for one in scalars(path, source):
        if one.name in names:
            own.setdefault(one.name, []).append(one)
    return {name: found[0].value for name, found in own.items() if _are_one(name, found)}


def only(path: str, source: bytes, name: str) -> Value:
    """The value of a name, which can be set. Raises Unreadable, and ValueError where it has none, or several."""
    return once(path, name, scalars(path, source)).value


def once(path: str, name: str, found: Collection[Scalar]) -> Scalar:
    """The only place of a name: set one of two, and the other may be what counts. Raises ValueError.

    Of a call there may be several, if they hold the same value.
    """
    own = [one for one in found if one.name == name]
    if _are_one(name, own):
        return own[0]
    if fixed := next((one for one in own if one.fixed), None):
        raise ValueError(f"`{name}` in {path}:{fixed.line} {fixed.fixed}{_or_named(name)}")
    if path.endswith(".py"):
        if name.endswith(literals.CALL) and own:
            lines = " and ".join(f"{path}:{one.line}" for one in own[:MOST_LINES])
            more = f" and {len(own) - MOST_LINES} more" if len(own) > MOST_LINES else ""
            raise ValueError(f"`{name}` is given different values, at {lines}{more}{_or_named(name)}")
        if name.endswith(literals.CALL):
            near = get_close_matches(name, {one.name for one in found if one.name.endswith(literals.CALL)}, cutoff=0.6)
            raise ValueError(
                f"`{name}` is nowhere in {path}: write the call as it stands there, `module.function(argument)`, or "
                "`module.function()` for the one number in it" + f"; there is {', '.join(near)}" * bool(near)
            )
        times = f"is assigned a literal {len(own)} times" if own else "is nowhere assigned a literal"
        raise ValueError(f"`{name}` {times} in {path}; a knob is one line `{name} = value`" + _or_default(name))
    if own:
        raise ValueError(f"`{name}` stands {len(own)} times in {path}: a key with a dot reads as two; rename one")
    near = get_close_matches(name, {one.name for one in found}, cutoff=0.4)
    raise ValueError(
        f"`{name}` is nowhere in {path}, or no single value" + (f"; it has {', '.join(near)}" * bool(near))
    )


def _are_one(name: str, own: Sequence[Scalar]) -> bool:
    """Whether the places of a name are one, and can be set: a single one, or calls that are given the same."""
    alike = len({repr(one.value) for one in own}) == 1 if name.endswith(literals.CALL) else len(own) == 1
    return alike and not any(one.fixed for one in own)


def _or_named(name: str) -> str:
    return "; give it a name of its own in the code, `NAME = value`" if name.endswith(literals.CALL) else ""


def _or_default(name: str) -> str:
    function, _, argument = name.rpartition(".")
    return f", or the default in `def {function}({argument}=value)`" if function else ""


def set_values(path: str, source: bytes, wanted: Mapping[str, Value]) -> bytes:
    """A file with other values, and every other byte as it was. Raises Unreadable."""
    before = scalars(path, source)
    if missing := wanted.keys() - {one.name for one in before}:
        raise Unreadable(1, f"`{min(missing)}` is nowhere assigned a literal")
    made = literals.written(source, wanted) if path.endswith(".py") else documents.written(path, source, wanted)
    own = [one for one in before if _counts(one, wanted)]
    meant = [(one.name, repr(one.value if one.fixed else wanted.get(one.name, one.value))) for one in own]
    if [(one.name, repr(one.value)) for one in scalars(path, made) if _counts(one, wanted)] != meant:
        line = next(one.line for one in before if one.name in wanted)
        if path.endswith(".py"):
            raise Unreadable(line, f"`{min(wanted)}` cannot be set alone: {literals.WITHIN}")
        raise Unreadable(
            line,
            f"`{min(wanted)}` cannot be set alone: another place follows it, by an alias (`*`) or a merge (`<<`); "
            "write the value out in both",
        )
    return made


def _counts(one: Scalar, wanted: Mapping[str, Value]) -> bool:
    """Whether a value is looked at, to see that nothing else has changed. A call may stand in another one."""
    return one.name in wanted or not one.name.endswith(literals.CALL)
