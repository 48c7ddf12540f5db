"""The delta card: a row an objective.

Each interval is drawn in units of the smallest effect that matters, so that unlike things can be weighed by eye: better
is always to the right, and the band of what does not matter is as wide in each row.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rich.cells import cell_len

from cockpit import figures
from cockpit.feed import Objective, Snapshot
from cockpit.line import Line, Piece, fit, line, one_line, right
from store.records import Evidence, Experiment, Measurement

WIDE, BROAD, SLIM = 24, 8, 6  # cells of the axis on each side of its middle
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


class Columns(NamedTuple):
    """What there is room for. An axis without cells is none."""

    names: int
    half: int  # cells of the axis on each side of its middle
    margins: bool  # half of the interval, in figures
    sources: bool  # of a row: seeds, and where it is from

    @property
    def middle(self) -> int:
        """The column of the axis' middle."""
        return self.names + 22 + (8 if self.margins else 2) + self.half


LAYOUTS = (  # from so many columns on
    (130, Columns(24, WIDE, margins=True, sources=True)),
    (86, Columns(18, BROAD, margins=True, sources=True)),
    (79, Columns(15, SLIM, margins=True, sources=True)),
    (69, Columns(18, SLIM, margins=True, sources=False)),
    (56, Columns(11, SLIM, margins=False, sources=False)),
    (0, Columns(11, 0, margins=False, sources=False)),
)


def card(
    study: Snapshot, candidate: Experiment, against: Experiment | None, width: int, *, brief: bool = False
) -> list[Line]:
    """The card of an experiment, against what it was judged against. `brief`: what it was not judged by is one line."""
    said = candidate.verdict
    figures_of: Mapping[str, Any] = said.figures if said else {}
    at = said.fidelity if said else ""
    own = {m.objective: m for m in candidate.at(at)}
    before = {m.objective: m for m in against.at(at)} if against and against is not candidate else {}
    if not own:
        return []
    columns = next((columns for least, columns in LAYOUTS if width >= least), LAYOUTS[-1][1])
    of = "trunk" if against and against.number == study.incumbent else against.id if against else ""
    named = f"{candidate.said_at(next(iter(own.values())).fidelity).strip()}"
    rows = [_head(of if before else "", candidate.id, columns, judged=bool(figures_of), at=named)]
    shown = [one for one in study.quantities if one.name in own]
    quiet = said is None or said.evidence is Evidence.SCREENED
    also = [one for one in shown if one.name not in figures_of and not one.bound] if brief and figures_of else []
    shown = [one for one in shown if one not in also]
    rows += [
        _row(one, own[one.name], before.get(one.name), figures_of.get(one.name), columns, quiet=quiet) for one in shown
    ]
    if also:
        text = f"also {', '.join(_both(one, own[one.name], before.get(one.name)) for one in also)}"
        rows.append(line((fit(text, width).rstrip(), "faint")))
    if not columns.sources:
        judged = [one for one in shown if one.name in figures_of] or shown  # the others' rows say it
        rows.append(line((fit(_sources(judged, own, before), width).rstrip(), "faint")))
    elif figures_of:
        legend = "░ too small to matter; safe: at worst within ░; ─ 95 % interval; log scale"
        rows.append(line((fit(legend, width).rstrip(), "faint")))
    return rows


def _head(before: str, own: str, columns: Columns, *, judged: bool, at: str = "") -> Line:
    """What stands above the columns; the axis' zero is above its middle. `at` is the fidelity, where there are two."""
    text = f"{fit(f' {at}', columns.names)}{right(before, 6)}   {right(own, 6)}"
    if judged:
        text += f"{'change':>7}"
        if columns.half:
            scale = "worse ◂ 0 ▸ better" if columns.margins else "worse ◂0▸ better"
            text = f"{text:{columns.middle - scale.index('0')}}{scale}"
    if columns.sources:
        text = f"{text:{columns.middle + columns.half + 7}}{'seeds':>5} source"
    return line((text, "dim"))


def _sources(shown: Sequence[Objective], own: Mapping[str, Measurement], before: Mapping[str, Measurement]) -> str:
    """Seeds and sources of all rows, where a row has no room for its own."""
    seeds, others = (max((one.n for one in values.values()), default=0) for values in (own, before))
    labels: dict[str, list[str]] = {}
    for one in shown:
        labels.setdefault(own[one.name].said, []).append(one.label)
    said = f"{seeds} seed{'s' * (seeds > 1)}{f' against {others}' if others else ''}"
    if not labels:
        return said
    if len(labels) == 1:
        return f"{said}; all {next(iter(labels))}"
    *few, (most, names) = sorted(labels.items(), key=lambda one: len(one[1]))
    parts = [*few, (most, names if len(names) == 1 else ["the rest"])]
    return "; ".join([said, *(f"{source}: {', '.join(names)}" for source, names in parts)])


def _both(objective: Objective, own: Measurement, before: Measurement | None) -> str:
    """What it is, and was, in a few words."""
    said = partial(figures.value, quality=objective.quality)
    was = f"{said(before.value)} → " if before else ""
    return f"{objective.label} {was}{said(own.value)} {objective.unit}".rstrip()


def changed(objective: Objective, figure: Mapping[str, Any], base: float | None) -> tuple[str, str, str]:
    """A change, half of its interval, and the sign of per cent; from nothing there is no share, but an amount."""
    if base == 0:
        change = figure["change"]
        return f"{change:+.2g}".replace("-", "−") if abs(change) < 100 else figures.signed(change), "", ""
    half = figure.get("margin", 0.0)
    return figures.delta(figure["change"], half, quality=objective.quality), figures.margin(half), "%"


def _row(
    objective: Objective,
    own: Measurement,
    before: Measurement | None,
    figure: Mapping[str, Any] | None,
    columns: Columns,
    *,
    quiet: bool,
) -> Line:
    """One objective. What is only screened is `quiet`: grey, for there is no evidence for it yet."""
    names, half = columns.names, columns.half
    said = partial(figures.value, quality=objective.quality)
    label = fit(objective.label, min(names - 1, cell_len(one_line(objective.label))))
    unit = f" {objective.unit}" if cell_len(label) + cell_len(objective.unit) + 2 <= names else ""
    pieces: list[Piece] = [(label, "text"), (fit(unit, names - cell_len(label)), "faint")]

    pieces += [(right(said(before.value), 6), "dim"), (" → ", "dim")] if before else [" " * 9]
    pieces.append((right(said(own.value), 6), "text" if quiet or figure is None else "bold text"))
    source = f"{own.n:>3} {'selected' if own.selected else own.source}" if columns.sources else ""
    end = columns.middle + half + 9  # of the word
    if figure is None:
        why = objective.bound or ("" if objective.steers else "not steering")
        why = why if source or objective.bound or not why else f"{own.said}, {why}"
        text = f"   {why}" if half and why else ""
        return line(*pieces, (fit(text, end - names - 15) if source else text, "faint"), (source, "faint"))
    word, tone = SAID.get(figure["moved"], SAID["open"])
    if figure["moved"] == "equal" or (figure["deterministic"] and not figure["gain"]):
        word, tone = "equal", "dim"
    tone = "dim" if quiet else tone
    # A change is as exact as its margin says where that stands beside it; else as the sentence says it.
    shown = figure if columns.margins else {**figure, "margin": 0.0}
    change, margin, percent = changed(objective, shown, before.value if before else None)
    pieces.append((right(change, 7), f"bold {tone}" if tone != "dim" else "dim"))
    pieces.append((f" {margin:4} {percent:1} " if columns.margins else f"{percent:1} ", "faint"))
    if half:
        ends = (figure.get("low", figure["gain"]), figure["gain"], figure.get("high", figure["gain"]))
        low, mean, high = (gain / figure["smallest"] for gain in ends)
        finite = all(map(math.isfinite, (low, mean, high)))
        pieces += interval(low, mean, high, tone, half) if finite else [" " * (2 * half + 1)]
    return line(*pieces, " ", (f"{word:7}" if source else word, tone), (source, "faint"))
