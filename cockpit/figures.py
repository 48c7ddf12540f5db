"""How numbers are written on the screen: a few digits that count, the same everywhere."""

import math
import re
from collections.abc import Sequence

UNITS = (  # of a name: what its end says
    (re.compile(r"_(ns|us|ms)_per_(\w+)$"), r"\1/\2"),
    (re.compile(r"_per_(\w+)$"), r"/\1"),
    (re.compile(r"_(ns|us|ms)$"), r"\1"),
    (re.compile(r"_seconds?$"), "s"),
    (re.compile(r"_bytes$"), "B"),
    (re.compile(r"_joules$"), "J"),
)

MOST = 1e300  # of what can be reckoned with
SHORT = 999.5e12  # what is more has no three digits and a letter
LAST_DIGIT = -2  # of a margin in per cent: less is none, as reckoning leaves it of pairs that differ by the same


def named(name: str, label: str | None = None, unit: str | None = None) -> tuple[str, str]:
    """What an objective is called, and its unit: as the file says, else by the end of its name."""
    for ending, by_name in UNITS:
        if found := ending.search(name):
            return label or name[: found.start()].replace("_", " "), unit or found.expand(by_name)
    return label or name.replace("_", " "), unit or ""


def value(number: float, *, quality: bool) -> str:
    """A value of an objective, in six columns: four digits of a quality, without a leading zero; three of a cost."""
    size = abs(number)
    for factor, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if factor * 0.9995 <= size < SHORT:
            return _shown(f"{number / factor:#.3g}".rstrip(".") + letter)
    if size and not 1e-4 <= size < SHORT:
        return _shown(_scientific(f"{number:.0e}"))
    if quality:
        return _shown(f"{number:.4g}" if size >= 1 or not size else f"{number:.4f}")
    return _shown(f"{number:#.3g}".rstrip(".") if size >= 1e-2 else f"{number:.4f}" if size else "0", zero=True)


def _shown(text: str, *, zero: bool = False) -> str:
    """With a real minus sign, and without a leading zero."""
    return text.replace("-", "−", 1) if zero or "e" in text else re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


def amount(number: float) -> str:
    """A count: in full up to 999, then `2.2k`, `318k`, `1.2M`."""
    size = abs(number)
    if size < 999.5:
        return f"{number:.0f}"
    for factor, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        if size < factor * 999.5 or letter == "T":
            return f"{number / factor:.{1 if size < factor * 99.95 else 0}f}{letter}"
    raise AssertionError(number)


def delta(share: float, margin: float = 0.0, *, quality: bool) -> str:
    """A change in per cent, always signed: `−0.4`, `+38`, `0`. An uncertain one has no more digits than its margin.

    But whole ones, as the sentence of a verdict beside it has.
    """
    percent, digits = 100 * share, 1 if quality else 0
    if _seen(margin) and margin < MOST:
        digits = max(-_exponent(100 * margin), 0)
    elif abs(percent) >= 99.95:
        digits = min(digits, 0)
    return signed(percent, digits)


def signed(number: float, digits: int = 0) -> str:
    """A change, with a sign, in seven columns: down to so many digits, from 100,000 on in brief, `+100k`, `>999T`."""
    if math.isnan(number):
        return "–"
    if abs(number) >= 999.5e12:
        return ">999T" if number > 0 else "<−999T"
    if abs(number) >= 99_999.5:
        return f"{'+' if number > 0 else '−'}{amount(abs(number))}"
    digits = min(digits, 5 - len(f"{abs(number):.0f}"))
    rounded = round(number, digits)
    return f"{rounded:+.{max(0, digits)}f}".replace("-", "−") if rounded else "0"


def margin(share: float) -> str:
    """Half of a 95 % interval, in per cent with one digit, in four columns: `±0.2`, `±.02`. None where none is seen."""
    if not _seen(share):
        return ""
    percent = 100 * share
    if percent >= 950:
        return f"±{_scientific(f'{percent:.0e}')}" if percent < 9.5e9 else ">9e9"
    if percent >= 9.5:
        return f"±{float(f'{percent:.1g}'):.0f}"
    return f"±{percent:.{max(0, -_exponent(percent))}f}".replace("±0.0", "±.0")


def _seen(share: float) -> bool:
    return share > 0 and (share >= 1 or _exponent(100 * share) >= LAST_DIGIT)


def _exponent(percent: float) -> int:
    """Where the first digit of a number stands, once it is rounded to that digit."""
    return int(f"{percent:.0e}".partition("e")[2])


def brief(seconds: float) -> str:
    """A time in a column: one unit, `24m`, `1h`, `3d`. It changes once a minute, so that what is young is calm."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "<1m"
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 24 * 60 else f"{minutes // (24 * 60)}d"


def spent(seconds: float) -> str:
    """A time that something took, in a column: `34s`, `24m`, `1h`."""
    return f"{max(0, round(seconds))}s" if round(seconds) < 60 else brief(seconds)


def lasted(seconds: float) -> str:
    """A time in a sentence: `34 s`, `12 min`, `8 h 12`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02}"


def ticking(seconds: float) -> str:
    """A time that is looked at while it passes: `34 s`, `1 min 34 s`, `1 h 02`."""
    whole = max(0, int(seconds))
    return lasted(whole) if not 60 <= whole < 3600 else f"{whole // 60} min {whole % 60} s"


def ticks(values: Sequence[float], *, quality: bool, even: bool, columns: int = 6) -> list[str]:
    """What stands beside the ticks of an axis, each of them in full: `.95`, `2.5k`, `1.5e−4`.

    Those that are as far apart from one another (`even`) have as many digits as their step needs, others each its own.
    What there is no room for in full is left out, so that no two say the same; where that is all, one is said about.
    """
    own = [_last_digit(value) for value in values]
    step = min((last for last, value in zip(own, values, strict=True) if value), default=0)
    found = [
        (even and _tick(value, step, quality, columns)) or _tick(value, last, quality, columns)
        for value, last in zip(values, own, strict=True)
    ]
    if values and not any(found):
        rounded = (float(f"{values[0]:.{digits}g}") for digits in range(columns, 0, -1))
        said = (_tick(one, _last_digit(one), quality, columns - 1) for one in rounded)
        found[0] = next((f"~{text}" for text in said if text), "")
    return found


def _last_digit(value: float) -> int:
    """The power of ten of the last digit that a value has, but for what calculating it has added."""
    digits, _, power = f"{value:.11e}".partition("e")
    return int(power) - len(digits.partition(".")[2].rstrip("0"))


def _tick(value: float, last: int, quality: bool, columns: int) -> str:
    """A value down to the digit of this power of ten, in at most so many columns; nothing where that cannot be."""
    size = abs(value)
    if not size:
        return "0"
    found = [f"{value:.{max(0, -last)}f}"] if size < 10.0**columns and -last <= columns else []
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if 10.0**power <= size < 1e15:
            found.insert(0, f"{value / 10.0**power:.{max(0, power - last)}f}{letter}")
            break
    digits = int(f"{value:.11e}".partition("e")[2]) - last  # beyond the first
    found.append(_scientific(f"{value:.{max(0, min(digits, columns))}e}"))
    return next((text for one in found if len(text := _shown(one, zero=not quality)) <= columns), "")


def _scientific(text: str) -> str:
    """Without what Python fills an exponent up with."""
    return re.sub(r"e([-+]?)0*(?=\d)", lambda found: "e" + found[1].strip("+"), text)
