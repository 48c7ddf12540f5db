"""The operator *knobs*: other values for a few of them, packed into a schema.

What the schema says of bounds no server enforces, so they are checked here.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from loop.propose import space
from loop.propose.admit import Refused
from loop.propose.context import plain
from loop.propose.domain import Choices, Value, same
from loop.propose.edits import KNOBS, Setting
from loop.propose.operators import WORDS_CHARACTERS, Suggestion, quoted
from loop.propose.space import Knob
from store.records import Refusal

# No example in it: small models propose what stands there, again and again.
REASON = (
    "Which one, two or three knobs should be changed next, and to which new values? Answer in two short sentences, "
    "with the reason. Do not repeat what was tried."
)
PACK = (
    'Write that as JSON: {"changes": [{"knob": "NAME", "to": new value}, ...], "hypothesis": "..."}. '
    "The hypothesis says why it should help."
)
REPAIR = "That cannot be run: {reason}. Write the JSON again with that mended, or with another change."
MOST_CHANGES = 3  # knobs in a proposal
PACK_TOKENS = 240


class Turning(Struct, frozen=True):
    """The knobs of a study, and the values that they have in trunk."""

    knobs: Sequence[Knob]
    values: Mapping[str, Value]
    name: str = KNOBS
    purpose: str = "pack"
    reason: str = REASON
    write: str = PACK
    repair: str = REPAIR
    most_tokens: int = PACK_TOKENS

    @property
    def material(self) -> tuple[str, str, Sequence[str]]:
        """The knobs, a line each."""
        return "knobs", "The knobs, with what each may be and is now:", lines(self.knobs, self.values)

    @property
    def schema(self) -> Mapping[str, Any]:
        """A list of changes."""
        return schema(self.knobs, self.values)

    def read(self, answer: str, *, whole: bool) -> Suggestion:
        """The values that an answer wishes. Raises Refused."""
        moves, words = read(answer, self.knobs, self.values)
        return Suggestion(Setting(self.knobs, self.values, moves), words)


def lines(knobs: Sequence[Knob], values: Mapping[str, Value]) -> list[str]:
    """The knobs as a model is told of them: `WIDTH: a whole number in 8..256 log; now 64`."""
    return [f"{name}: {_may_be(knob)}; now {values[knob.key]}" for name, knob in space.names(knobs).items()]


def _may_be(knob: Knob) -> str:
    if isinstance(knob.domain, Choices):
        return "one of " + ", ".join(map(str, knob.domain.values))
    return f"a {'whole ' if knob.domain.integer else ''}number in {knob.domain}"


def schema(knobs: Sequence[Knob], values: Mapping[str, Value]) -> dict[str, Any]:
    """The shape of an answer, for constrained output. A list: of an object with all knobs small models fill in all."""
    options = [
        _object(knob={"const": name}, to=_kind(knob, values[knob.key])) for name, knob in space.names(knobs).items()
    ]
    changes = {"type": "array", "items": {"anyOf": options}, "minItems": 1, "maxItems": MOST_CHANGES}
    return _object(changes=changes, hypothesis={"type": "string", "maxLength": WORDS_CHARACTERS})


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _kind(knob: Knob, now: Value) -> dict[str, Any]:
    domain = knob.domain
    if isinstance(domain, Choices):
        return {"enum": [value for value in domain.values if not same(value, now)]}
    return {"type": "integer" if domain.integer else "number", "minimum": domain.low, "maximum": domain.high}


def read(answer: str, knobs: Sequence[Knob], values: Mapping[str, Value]) -> tuple[dict[str, Value], str]:
    """The knobs that an answer moves, where they have these values now, and its words. Raises Refused."""
    try:
        said = _unfenced(answer)
    except (ValueError, RecursionError) as error:
        raise Refused(Refusal.INVALID, f"the answer is no JSON: {error}") from None
    wished = said.get("changes") if isinstance(said, dict) else None
    if not isinstance(wished, list) or not all(
        isinstance(one, dict) and {"knob", "to"} <= one.keys() for one in wished
    ):
        raise Refused(Refusal.INVALID, 'the answer has no "changes": [{"knob": "NAME", "to": value}]')
    known = space.names(knobs)
    found: dict[str, Value] = {}
    for one in wished:
        name = str(one["knob"])
        if name not in known:
            raise Refused(Refusal.OUT_OF_THE_SPACE, f"{_quoted(name)} is no knob; the knobs are {', '.join(known)}")
        found[known[name].key] = _value(name, known[name], one["to"])
    moves = {key: value for key, value in found.items() if not same(value, values[key])}
    if not moves:
        raise Refused(Refusal.DUPLICATE, "it changes nothing: each value is the one that the knob has now")
    return moves, quoted(str(said.get("hypothesis") or ""))


def _unfenced(text: str) -> Any:
    """The JSON of an answer, also where it stands in a code fence. Raises ValueError."""
    stripped = text.strip()
    if stripped.startswith("```"):
        stripped = stripped.partition("\n")[2].rpartition("```")[0]
    return json.loads(stripped)


def _value(name: str, knob: Knob, value: Any) -> Value:
    """A value as the knob would have it: JSON has one kind of number, Python two."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    domain = knob.domain
    if isinstance(domain, Choices):
        as_float = float(number) if isinstance(number, int) and abs(number) < 2**53 else value
        fits: list[Value] = [one for one in (value, as_float) if domain.holds(one)]
        if not fits:
            raise _outside(name, knob, value)
        return fits[0]
    if domain.integer and isinstance(number, float) and number.is_integer():
        number = int(number)
    if number is None or not domain.holds(number):
        raise _outside(name, knob, value)
    return domain.rounded(number)


def _outside(name: str, knob: Knob, value: Any) -> Refused:
    return Refused(Refusal.OUT_OF_THE_SPACE, f"{name} = {_quoted(value)} is not {_may_be(knob)}")


def _quoted(value: Any) -> str:
    """What a model has written, in a reason."""
    try:
        return plain(str(value))[:40]
    except ValueError:  # Python writes no integer of some thousand digits
        return "a number without end"
