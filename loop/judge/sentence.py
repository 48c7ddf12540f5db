"""How a verdict is said: one line, from its numbers alone. What moved, how far and how surely, and on how many seeds.

A probability in brackets is that of the clause it stands in: "nll 0.4 % worse (P = .97)".
"""

from loop.judge.axis import Kind
from loop.judge.rule import Figure, Moved, Verdict
from store.records import Word

ORDER = (Moved.UP, Moved.DOWN, Moved.OPEN, Moved.SAFE)


def sentence(verdict: Verdict, incumbent: str) -> str:
    """A verdict on a candidate against the incumbent, which is called so."""
    seeds = min(figure.difference.n for figure in verdict.figures)
    on = on_seeds(seeds)
    if verdict.word is Word.EQUAL:
        return f"the same as {incumbent} to the last digit, {on}"
    figures = sorted((one for one in verdict.figures if one.moved in ORDER), key=lambda one: ORDER.index(one.moved))
    return f"{', '.join(map(_clause, figures))}; {on}" if figures else f"nothing moved; {on}"


def on_seeds(count: int) -> str:
    """On how many seeds a verdict rests: `1 seed`, `3 seeds`."""
    return "1 seed" if count == 1 else f"{count} seeds"


def _clause(figure: Figure) -> str:
    moved, what = figure.moved, _by_how_much(figure)
    hoped = moved is Moved.SAFE and figure.difference.mean > figure.axis.smallest  # better, and not yet surely so
    if moved is Moved.SAFE and not hoped:
        return f"{figure.axis.label} no worse{_surely(figure, figure.not_worse)}"
    worse = figure.difference.mean < 0
    said = f"{figure.axis.label} {what}{_surely(figure, 1 - figure.better if worse else figure.better)}"
    return f"{said} not shown" if moved in (Moved.OPEN, Moved.SAFE) and not figure.axis.deterministic else said


def _by_how_much(figure: Figure) -> str:
    """`38 % faster`, `0.4 % worse`, `11 % lower`."""
    change = figure.axis.change(figure.difference.mean, figure.incumbent_gain)
    size = f"{percent(abs(change))} %"
    if figure.axis.kind is Kind.QUALITY:
        return f"{size} {'better' if figure.difference.mean > 0 else 'worse'}"
    if figure.axis.kind is Kind.TIME and not figure.axis.maximize:
        return f"{size} {'faster' if change < 0 else 'slower'}"
    return f"{size} {'lower' if change < 0 else 'higher'}"


def percent(share: float) -> str:
    """A share in percent, with two digits that count."""
    value = 100 * share
    if value >= 1e5:
        return f"{value:.1e}"
    if value >= 9.95 or not value:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.1g}"


def _surely(figure: Figure, probability: float) -> str:
    if figure.axis.deterministic:
        return ""
    if probability >= 0.9995:
        return " (P > .999)"
    return f" (P = {probability:.{3 if probability > 0.99 else 2}f})".replace("0.", ".")
