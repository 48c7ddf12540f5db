"""Where a value stands in a file, by the file's path and a name: how it is read there, and set.

`train.py:RATE`, `train.py:Config.rate`, `train.py:train.rate` and `train.py:torch.manual_seed()` are literals in Python
(literals.py), `conf/base.yaml:optim.lr` is a path in YAML, TOML or JSON (documents.py). A value that is set changes in
the file, and not a byte more: what was written is read again before anybody has it.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from loop.propose import documents, literals
from loop.propose.domain import Value
from loop.propose.scalar import Scalar, Unreadable


def scalars(path: str, source: bytes) -> list[Scalar]:
    """The values that a file has a place for. Raises Unreadable."""
    if path.endswith(".py"):
        return literals.scalars(source)
    if path.endswith(documents.SUFFIXES):
        return documents.scalars(path, source)
    raise Unreadable(1, f"is no {', '.join(documents.SUFFIXES)} or .py")


def values(path: str, source: bytes, names: Collection[str]) -> dict[str, Value]:
    """The values that these names have in a file. One that is not there is left out. Raises Unreadable."""
    return {one.name: one.value for one in scalars(path, source) if one.name in names and not one.fixed}


def only(path: str, source: bytes, name: str) -> Value:
    """The value of a name, which can be set. Raises Unreadable, and ValueError where it has none, or several."""
    return once(path, name, scalars(path, source)).value


def once(path: str, name: str, found: Collection[Scalar]) -> Scalar:
    """The only place of a name: set one of two, and the other may be what counts. Raises ValueError.

    Of a call there may be several, if they hold the same number.
    """
    own = [one for one in found if one.name == name]
    if fixed := next((one for one in own if one.fixed), None):
        raise ValueError(f"`{name}` in {path}:{fixed.line} {fixed.fixed}")
    if name.endswith(literals.CALL) and own and len({one.value for one in own}) == 1:
        return own[0]
    if len(own) == 1:
        return own[0]
    if path.endswith(".py"):
        if name.endswith(literals.CALL):
            what = "with different numbers" if own else "nowhere"
            raise ValueError(f"`{name}` is called {what} in {path}; the seed is the one whole number that it is given")
        times = f"is assigned a literal {len(own)} times" if own else "is nowhere assigned a literal"
        raise ValueError(f"`{name}` {times} in {path}; a knob is one line `{name} = value`" + _or_default(name))
    if own:
        raise ValueError(f"`{name}` stands {len(own)} times in {path}: a key with a dot reads as two; rename one")
    near = get_close_matches(name, {one.name for one in found}, cutoff=0.4)
    raise ValueError(
        f"`{name}` is nowhere in {path}, or no single value" + (f"; it has {', '.join(near)}" * bool(near))
    )


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
        raise Unreadable(
            line,
            f"`{min(wanted)}` cannot be set alone: another place follows it, by an alias (`*`) or a merge (`<<`); "
            "write the value out in both",
        )
    return made


def _counts(one: Scalar, wanted: Mapping[str, Value]) -> bool:
    """Whether a value is looked at, to see that nothing else has changed. A call may stand in another one."""
    return one.name in wanted or not one.name.endswith(literals.CALL)
