"""The delta card: a row an objective.

Each interval is drawn in units of the smallest effect that matters, so that unlike things can be weighed by eye: better
is always to the right, and the band of what does not matter is as wide in each row.
"""

import math
from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len

from cockpit import figures
from cockpit.feed import Objective, Snapshot
from cockpit.line import Line, Piece, fit, line, one_line, right
from store.records import Experiment, Measurement

BROAD, SLIM = 8, 6  # cells of the axis on each side of its middle
BAND = 2  # of them what does not matter
FARTHEST = 32.0  # smallest effects, at the end of the axis
SAID = {  # what is shown of an objective
    "up": ("better", "good"),
    "down": ("worse", "bad"),
    "safe": ("safe", "dim"),
    "equal": ("equal", "dim"),
    "open": ("unclear", "dim"),
}


def cells(effects: float, half: int = BROAD) -> int:
    """How many cells from the middle: within the band in proportion, beyond it by the logarithm (symmetric log)."""
    size = abs(effects)
    far = BAND * size if size <= 1 else BAND + (half - BAND) * math.log(size) / math.log(FARTHEST)
    return round(math.copysign(min(far, half + 1), effects))


def interval(low: float, mean: float, high: float, tone: str, half: int = BROAD) -> list[Piece]:
    """An interval of gains, in smallest effects, on the axis. What leaves it ends in an arrow."""
    drawn = dict.fromkeys(range(-BAND, BAND + 1), ("░", "rule"))
    start, middle, end = (cells(one, half) for one in (low, mean, high))
    for offset in range(max(start, -half), min(end, half) + 1):
        if start != end:
            drawn[offset] = ("─", tone)
    drawn[0] = ("│", "faint")
    drawn[min(max(middle, -half), half)] = ("◉", tone)
    if start < -half:
        drawn[-half] = ("◄", tone)
    if end > half:
        drawn[half] = ("►", tone)
    return [drawn.get(offset, (" ", "")) for offset in range(-half, half + 1)]


def card(study: Snapshot, candidate: Experiment, against: Experiment | None, width: int) -> list[Line]:
    """The card of an experiment, against what it was judged against."""
    figures_of: Mapping[str, Any] = candidate.verdict.figures if candidate.verdict else {}
    own = {m.objective: m for m in candidate.measurements}
    before = {m.objective: m for m in against.measurements} if against and against is not candidate else {}
    if not own:
        return []
    half = BROAD if width >= 74 else SLIM if width >= 56 else 0
    names = 18 if half == BROAD else 11
    of = "trunk" if against and against.number == study.incumbent else against.id if against else ""
    head: list[Piece] = [
        " " * names,
        (right(of if before else "", 6), "dim"),
        "   ",
        (right(candidate.id, 6), "dim"),
    ]
    if figures_of:
        scale = {BROAD: f"{' ' * 7}  worse ◂ 0 ▸ better", SLIM: "   worse ◂ 0 ▸ better", 0: ""}[half]
        head.append((f"{'change':>7}{scale}", "dim"))
    rows = [line(*head)]
    rows += [
        _row(one, own[one.name], before.get(one.name), figures_of.get(one.name), names, half)
        for one in study.quantities
        if one.name in own
    ]
    if half == BROAD and figures_of:
        legend = "  ░ too small to matter; safe: not worse by more; ─ 95 % interval; log scale"
        rows.append(line((fit(legend, width).rstrip(), "faint")))
    return rows


def changed(objective: Objective, figure: Mapping[str, Any], base: float | None) -> tuple[str, str, str]:
    """A change, half of its interval, and the sign of per cent; from nothing there is no share, but an amount."""
    if base == 0:
        return f"{figure['change']:+.{'0f' if abs(figure['change']) >= 100 else '2g'}}".replace("-", "−"), "", ""
    half = figure.get("margin", 0.0)
    return figures.delta(figure["change"], half, quality=objective.quality), figures.margin(half), "%"


def _row(
    objective: Objective,
    own: Measurement,
    before: Measurement | None,
    figure: Mapping[str, Any] | None,
    names: int,
    half: int,
) -> Line:
    label = fit(objective.label, min(names - 1, cell_len(one_line(objective.label))))
    unit = f" {objective.unit}" if cell_len(label) + cell_len(objective.unit) + 2 <= names else ""
    pieces: list[Piece] = [(label, "text"), (fit(unit, names - cell_len(label)), "faint")]

    def say(measured: Measurement) -> str:
        return figures.value(measured.value, quality=objective.quality)

    pieces += [(right(say(before), 6), "dim"), (" → ", "dim")] if before else [" " * 9]
    if figure is None:
        why = objective.bound or ("" if objective.steers else f"{own.source}, not steering")
        return line(*pieces, (right(say(own), 6), "text"), (f"   {why}" if half and why else "", "faint"))
    word, tone = SAID.get(figure["moved"], SAID["open"])
    if figure["moved"] == "equal" or (figure["deterministic"] and not figure["gain"]):
        word, tone = "equal", "dim"
    change, margin, percent = changed(objective, figure, before.value if before else None)
    pieces += [
        (right(say(own), 6), "bold text"),
        (right(change, 7), f"bold {tone}" if tone != "dim" else "dim"),
    ]
    pieces.append((f" {margin:4} {percent:1} " if half == BROAD else f"{percent:1} ", "faint"))
    if half:
        ends = (figure.get("low", figure["gain"]), figure["gain"], figure.get("high", figure["gain"]))
        low, mean, high = (gain / figure["smallest"] for gain in ends)
        pieces += interval(low, mean, high, tone, half)
    return line(*pieces, " ", (word, tone))
