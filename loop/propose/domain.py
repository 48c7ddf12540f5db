"""What values a knob may have: a range or a few choices, and how that is written behind `# cockpit:`."""

import ast
import math
import re

from msgspec import Struct

from loop.study import Listed

Value = bool | int | float | str | None

RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+)(\s+log)?")
LOG_DIGITS = 3  # significant ones of a value drawn on a log scale
LINEAR_STEPS = 1_000  # at most, between the bounds of a linear one: `0.137`, not `0.13688271103`


def same(one: Value, other: Value) -> bool:
    """Whether two values are one: `1` is neither `True` nor `1.0`."""
    return type(one) is type(other) and one == other


class Range(Struct, frozen=True):
    """The numbers from `low` to `high`, both among them."""

    low: int | float
    high: int | float
    log: bool
    integer: bool

    def holds(self, value: Value) -> bool:
        """Whether a knob with this domain may have this value."""
        kinds = (int,) if self.integer else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    def place(self, value: float) -> float:
        """Where a value lies between the bounds, on the knob's own scale: from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def at(self, place: float) -> int | float:
        """The value at such a place."""
        if self.log:
            return self.rounded(self.low * (self.high / self.low) ** place)
        return self.rounded(self.low + (self.high - self.low) * place)

    def rounded(self, number: float) -> int | float:
        """The number as it would be written: short, and within the bounds."""
        if self.integer:
            return min(max(round(number), int(self.low)), int(self.high))
        if self.log:
            short = float(f"{number:.{LOG_DIGITS}g}")
        else:
            short = round(number, -math.ceil(math.log10((self.high - self.low) / LINEAR_STEPS)))
        return float(min(max(short, self.low), self.high))

    def all_values(self) -> range | None:
        """Every value there is; None where they are too many to count."""
        return range(int(self.low), int(self.high) + 1) if self.integer else None

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" + (" log" if self.log else "")


class Choices(Struct, frozen=True):
    """A few values, in no order."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Whether a knob with this domain may have this value."""
        return any(same(value, choice) for choice in self.values)

    def all_values(self) -> tuple[Value, ...]:
        """Every value there is."""
        return self.values

    def __str__(self) -> str:
        return " | ".join(map(str, self.values))


Domain = Range | Choices


# --- how it is written -----------------------------------------------------------------------------------------------


def annotated_domain(text: str, value: Value) -> Domain:
    """What stands behind `# cockpit:`. Raises ValueError."""
    text = text.strip()
    if "|" in text:
        return _choices([_choice(word.strip(), value) for word in text.split("|")])
    if match := RANGE.fullmatch(text):
        try:
            low, high = (_number(word) for word in match.group(1, 2))
        except ValueError:
            raise ValueError(f"the bounds of `{text}` are not two numbers") from None
        return _range(low, high, log=match[3] is not None, value=value)
    raise ValueError(f"`# cockpit: {text}` is neither a range, `1..8` or `1e-5..1e-2 log`, nor choices, `a | b`")


def _number(word: str) -> int | float:
    return int(word) if re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)*", word) else float(word)


def _choice(word: str, value: Value) -> Value:
    """A choice: a string as it stands where the knob is a string, else a Python literal where it is one."""
    try:
        literal = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        literal = word
    bare_string = isinstance(value, str) and not isinstance(literal, str)
    return word if bare_string or not isinstance(literal, bool | int | float | str | None) else literal


def listed_domain(listed: Listed, value: Value) -> Domain:
    """What `[space.knobs]` says. Raises ValueError."""
    if listed.choices is not None:
        return _choices(list(listed.choices))
    if listed.low is None or listed.high is None:
        raise ValueError("has neither `low` and `high` nor `choices`")
    return _range(listed.low, listed.high, log=listed.scale == "log", value=value)


def _choices(values: list[Value]) -> Choices:
    if "" in values or len({(type(value), value) for value in values}) < max(2, len(values)):
        raise ValueError("choices are two values or more, each once")
    return Choices(tuple(values))


def _range(low: int | float, high: int | float, *, log: bool, value: Value) -> Range:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"the lower bound comes first: {low} is not below {high}")
    if log and low <= 0:
        raise ValueError("a log scale begins above zero")
    return Range(low, high, log, integer=all(type(number) is int for number in (low, high, value)))


def fitting(domain: Domain, value: Value) -> Value:
    """A value that a domain holds. Raises ValueError where it does not."""
    if not domain.holds(value):
        raise ValueError(f"the value {value!r} is not in {domain}")
    return value
