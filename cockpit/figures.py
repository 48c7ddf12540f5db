"""How numbers are written on the screen: a few digits that count, the same everywhere."""

import math
import re

UNITS = (  # of a name: what its end says
    (re.compile(r"_(ns|us|ms)_per_(\w+)$"), r"\1/\2"),
    (re.compile(r"_per_(\w+)$"), r"/\1"),
    (re.compile(r"_(ns|us|ms)$"), r"\1"),
    (re.compile(r"_seconds?$"), "s"),
    (re.compile(r"_bytes$"), "B"),
    (re.compile(r"_joules$"), "J"),
)


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
        if factor * 0.9995 <= size < 1e15:
            return _shown(f"{number / factor:#.3g}".rstrip(".") + letter)
    if size and not 1e-4 <= size < 1e15:
        return _shown(f"{number:.0e}".replace("e-0", "e-").replace("e+", "e"))
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
    """A change in per cent, always signed: `−0.4`, `+38`, `0`. An uncertain one has no more digits than its margin."""
    percent, digits = 100 * share, 1 if quality else 0
    if margin > 0:
        digits = min(max(-_exponent(100 * margin), -3), 3)
    elif abs(percent) >= 99.95:
        digits = min(digits, 0)
    rounded = round(percent, digits)
    if not rounded:
        return "0"
    return f"{rounded:+.{max(0, digits)}f}".replace("-", "−")


def margin(share: float) -> str:
    """Half of a 95 % interval, in per cent with one digit: `±0.2`. None where there is none."""
    if share <= 0:
        return ""
    percent = 100 * share
    return f"±{percent:.{max(0, -_exponent(percent))}f}" if percent < 9.5 else f"±{float(f'{percent:.1g}'):.0f}"


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


def ticks(low: float, high: float, most: int, *, log: bool) -> list[float]:
    """Round numbers within an interval, at most so many (Wilkinson's 1, 2, 5)."""
    if high <= low or most < 1:
        return [low]
    if log and high / low >= 5:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for steps in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
            if 2 <= len(found) <= most:
                return found
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    every = (round(number * step, 12) for number in range(first, first + most + 2))
    return [tick for tick in every if low <= tick <= high]
