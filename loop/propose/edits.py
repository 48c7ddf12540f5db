"""What a proposal does to its parent's files: other values for a few knobs, or one function written anew."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from loop.propose import space
from loop.propose.admit import Refused
from loop.propose.domain import Choices, Value, same
from loop.propose.functions import Function, Unusable, functions, rewritten
from loop.propose.space import Knob
from store.records import Refusal

KNOBS, REWRITE = "knobs", "rewrite"  # operators, and the keys of a change in the record


class Edit(Protocol):
    """A change of some files."""

    @property
    def moves(self) -> Mapping[str, Value]:
        """The knobs whose values are others then."""
        ...

    @property
    def paths(self) -> Iterable[str]:
        """The files that it changes."""
        ...

    @property
    def title(self) -> str:
        """In a few words, as a branch and a commit are called."""
        ...

    @property
    def sentence(self) -> str:
        """What is changed."""
        ...

    @property
    def change(self) -> dict[str, Any]:
        """It as the record keeps it."""
        ...

    def onto(self, values: Mapping[str, Value]) -> "Edit":
        """The same, of a parent whose knobs have these values."""
        ...

    def made(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """Its files as they are then. Raises Refused, and scalar.Unreadable."""
        ...


class Setting(Struct, frozen=True):
    """Some knobs get other values. `before` are those of all knobs in the parent."""

    knobs: Sequence[Knob]
    before: Mapping[str, Value]
    moves: Mapping[str, Value]

    @property
    def paths(self) -> Iterable[str]:
        """The files in which the knobs stand."""
        return {knob.path: None for knob in self.knobs if knob.key in self.moves}

    @property
    def title(self) -> str:
        """Two moves, or the farthest and how many more there are."""
        words = [f"{knob.short} {_word(self.moves[knob.key])}" for knob in self._moved]
        return " and ".join(words) if len(words) <= 2 else f"{words[0]} and {len(words) - 1} more"

    @property
    def sentence(self) -> str:
        """What moves, the farthest first: `WIDTH 64 → 24, EPOCHS 12 → 9`."""
        names = {knob.key: name for name, knob in space.names(self.knobs).items()}
        moved = [(names[knob.key], _word(self.before[knob.key]), _word(self.moves[knob.key])) for knob in self._moved]
        return ", ".join(f"{name} {before} → {after}" for name, before, after in moved) or "nothing moves"

    @property
    def change(self) -> dict[str, Any]:
        """The values by key."""
        return {KNOBS: dict(self.moves)}

    def onto(self, values: Mapping[str, Value]) -> "Setting":
        """The same values, but for those that the knobs have there already."""
        moves = {key: value for key, value in self.moves.items() if not same(value, values[key])}
        return replace(self, before=values, moves=moves)

    @property
    def _moved(self) -> list[Knob]:
        """The knobs that move, the farthest first."""
        moved = [knob for knob in self.knobs if knob.key in self.moves]
        return sorted(moved, key=lambda knob: -_move(knob, self.before[knob.key], self.moves[knob.key]))

    def made(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The values replaced, and not a byte more. A file that is not there yet is made: it is that of the flags."""
        wanted: dict[str, dict[Knob, Value]] = {path: {} for path in self.paths}
        for knob in self.knobs:
            if knob.key in self.moves:
                wanted[knob.path][knob] = self.moves[knob.key]
        return {path: space.set_values(path, sources.get(path, b""), values) for path, values in wanted.items()}


class Rewrite(Struct, frozen=True):
    """A function is written anew, as an answer has it."""

    function: Function
    answer: str
    moves: Mapping[str, Value] = field(default_factory=dict)

    @property
    def paths(self) -> Iterable[str]:
        """Its file."""
        return (self.function.path,)

    @property
    def title(self) -> str:
        """Which one."""
        return f"rewrite {self.function.name}"

    @property
    def sentence(self) -> str:
        """Which one, and where it stands."""
        return f"{self.function.name} in {self.function.path} rewritten"

    @property
    def change(self) -> dict[str, Any]:
        """The function's name, and the answer."""
        return {REWRITE: self.function.key, "answer": self.answer}

    def onto(self, values: Mapping[str, Value]) -> "Rewrite":
        """Whether the function is there, and the same, is seen in the parent's files."""
        return self

    def made(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """The file with what is new in the function. Raises Refused, also where it is another one by now."""
        source = sources.get(self.function.path, b"")
        now = next((one for one in functions(self.function.path, source) if one.name == self.function.name), None)
        if now is None or now.text != self.function.text:
            raise Refused(Refusal.INVALID, f"{self.function.key} is another one by now: trunk or the pin has moved")
        try:
            made = rewritten(source, now, self.answer)
        except Unusable as why:
            raise Refused(Refusal.INVALID, str(why)) from None
        if made == source:
            raise Refused(Refusal.DUPLICATE, f"it changes nothing: {self.function.name} is as it was")
        return {self.function.path: made}


def _move(knob: Knob, before: Value, after: Value) -> float:
    """How far a knob moves, as a share of its range; a choice moves half."""
    if isinstance(knob.domain, Choices) or not isinstance(before, int | float) or not isinstance(after, int | float):
        return 0.5
    return abs(knob.domain.place(after) - knob.domain.place(before))


def _word(value: Value) -> str:
    """A value in a sentence: on one line, and not a long one."""
    text = str(value) if str(value).isprintable() else repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
