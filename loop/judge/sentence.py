"""How a verdict is said: one line, from its numbers alone. What moved, how far and how surely, and on how many seeds.

A probability in brackets is that of the clause it stands in: "nll 0.4 % worse (P = .97)". What is not shown yet is
said so, with how far it seems to have moved: "nll not shown worse (0.4 %, P = .70)". Seeds are those on which it was
chosen and, after a plus, those on which it was confirmed: "4+2 seeds". And how it came about, in two sentences: what
the rule looked at, and what follows.
"""

import math
import re
from collections.abc import Mapping

from loop.judge.axis import Kind, kind
from loop.judge.preset import Preset
from loop.judge.rule import DOMINATED, LOST, Figure, Moved, Verdict, bearable
from store.records import UP, Evidence, Word

ENDED = "A person has ended its run, and it is run no more."
SURE = 0.9995  # and said to be more than .999
ROUNDING = 1e-9  # percent: what is below was moved by the order in which numbers were added
NO_TIME = re.compile(r"(^|_)(joules|price)(_|$)")  # as noisy as time, but not fast or slow
ORDER = (Moved.UP, Moved.DOWN, Moved.OPEN, Moved.SAFE)
OF_THE_SEED = (
    "It is no gain and counts as none: with it in your own branch, whoever starts the script can hand it a seed. Where "
    "it measures something else, the script is not the same twice, or calls have changed that no run has set before."
)


def sentence(verdict: Verdict, incumbent: str) -> str:
    """A verdict on a candidate against the incumbent, which is called so."""
    seeds = min(figure.difference.n for figure in verdict.figures)
    on = on_seeds(seeds, verdict.fresh)
    if verdict.word is Word.EQUAL:
        return f"the same as {incumbent} to the last digit, {on}"
    figures = sorted((one for one in verdict.figures if one.moved in ORDER), key=lambda one: ORDER.index(one.moved))
    clauses = [_clause(one) for one in figures]
    same = [one.axis.label for one in verdict.figures if one.moved is Moved.EQUAL and not one.axis.deterministic]
    clauses += [f"{' and '.join(same)} equal to the last digit"] if same else []
    unknown = ", and not shown better" if figures and all(map(_no_worse, figures)) else ""
    return f"{', '.join(clauses) or 'nothing moved'}{unknown}; {on}"


def of_the_seed(
    own: Mapping[str, Mapping[int, float]], incumbent: Mapping[str, Mapping[int, float]], name: str
) -> tuple[Word, str]:
    """What is said of code that reads its seed from $COCKPIT_SEED: as the incumbent on the same seeds, or where not.

    Both have values by objective and seed. It is asked of qualities: a time is never the same.
    """
    reads, every = "reads its seed from $COCKPIT_SEED", list[tuple[str, int]]()
    for objective in own.keys() & incumbent.keys():
        if kind(objective) is Kind.QUALITY:
            every += [(objective, seed) for seed in own[objective].keys() & incumbent[objective].keys()]
    if not every:
        return Word.INCONCLUSIVE, f"{reads}; nothing but costs is measured, which never tell whether that changes more"
    others = [(one, seed) for one, seed in sorted(every) if own[one][seed] != incumbent[one][seed]]
    if not others:
        seeds = [str(seed) for seed in sorted({seed for _, seed in every})]
        at = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
        return Word.EQUAL, f"{reads}; at {at} it measures what {name} measures, to the digit"
    one, seed = others[0]
    values = f"{own[one][seed]:.12g} where {name} has {incumbent[one][seed]:.12g}"
    return Word.INCONCLUSIVE, f"{reads}; at seed {seed} {one} is {values}"


def explanation(said: Verdict, *, ended: bool = False) -> str:
    """How the rule came to a verdict, and what it asks for: two sentences. What a person has `ended` is run no more."""
    seeds = min(figure.difference.n for figure in said.figures)
    if said.word is Word.INFEASIBLE:
        return "The mean of its runs breaks a bound of [constraints]. It earns no further seeds and cannot be merged."
    if said.word is Word.EQUAL:
        return "On the same seeds it gives what the incumbent gives, to the last digit. It is not run again."
    if said.barred:
        why = f"Something on the frontier is as good in everything with P > {_plain(DOMINATED)}"
        if lost := next((one.axis for one in said.figures if one.axis.name == said.barred), None):
            most = bearable(lost)
            share = f"{percent(math.expm1(most) if lost.log else most)} %" if lost.base else f"{most * lost.unit:.3g}"
            sure = "" if lost.deterministic else f" with P > {_plain(LOST)}"
            why = f"More of {lost.label} is lost than would be given up for anything, which is {share}{sure}"
            if said.worth is not None:
                why = f"More of {lost.label} is lost than {share}, and than the gain is worth by [study] worth{sure}"
        return f"{why}. So it earns no further seeds, and is offered to nobody."
    if said.chance is None or said.by is None:
        what = "It is up, and nothing is lost beyond what would be given up" if said.word in UP else "Nothing is up"
        if said.word is Word.TRADE_OFF and said.worth is not None and said.worth > 0:
            what = "It is up, and by [study] worth that is worth more than what is lost"
        return f"No objective has any noise, so one run says it all. {what}{', and is run once in full' * said.asks}."
    price = "no loss is beyond what would be given up"
    if said.worth is not None:
        price = "by [study] worth what is gained is worth more than what is lost"
    of = price if said.priced else "it is better on some noisy objective"
    sure = _surely(max(said.chance, 0.0))
    fresh = f", {said.fresh} of them fresh" if said.fresh else ""
    if said.fresh and said.by.at:
        fresh = said.by.at
    noisy = sum(not figure.axis.deterministic for figure in said.figures)
    of += f", as any of {noisy} may be by luck" if noisy > 1 and not said.priced else ""
    known = f"{sure} that {of}, after {on_seeds(seeds)}{fresh}"
    return f"{known}. {ENDED if ended else _follows(said, said.by, seeds)}"


def _follows(said: Verdict, by: Preset, seeds: int) -> str:
    least, most = by.fresh
    if by.at and said.fresh:
        return _follows_apart(said, by)
    if said.evidence is Evidence.CONFIRMED:
        alone = f"more than {_plain(by.drop if said.priced else by.promising)} on the fresh ones alone"
        return f"With more than {_plain(by.confirm)} on all seeds, and {alone}, it is confirmed."
    if said.evidence is Evidence.PROMISING and not said.fresh:
        return f"Above {_plain(by.promising)} it is promising, and is run on {least} to {most} fresh seeds{by.at}."
    if said.evidence is Evidence.PROMISING:
        alone = f"more than {_plain(by.drop if said.priced else by.promising)} on the fresh ones alone"
        needs = f"To be confirmed it takes more than {_plain(by.confirm)} on all seeds, and {alone}"
        return f"{needs}; {'it is run again' if said.asks else f'{most} fresh seeds have not shown that'}."
    if said.fresh:
        return f"At {_plain(by.drop)} or less the confirmation is given up."
    if seeds < 2:
        return (
            f"A second seed takes more than {_plain(by.screen)}; {'it is run again' if said.asks else 'one is enough'}."
        )
    if said.asks:
        return f"Above {_plain(by.race)} the race goes on, to {by.race_seeds} seeds at most."
    ends = f"The race ends after {by.race_seeds} seeds, or with {_plain(by.race)} or less"
    return f"{ends}; promising takes more than {_plain(by.promising)}."


def _follows_apart(said: Verdict, by: Preset) -> str:
    """The same of what is confirmed by the runs of another fidelity alone."""
    least, most = by.fresh
    if said.evidence is Evidence.CONFIRMED:
        return f"With more than {_plain(by.confirm)} on these alone it is confirmed."
    if said.evidence is Evidence.PROMISING:
        needs = f"To be confirmed it takes more than {_plain(by.confirm)} on {least} seeds or more"
        return f"{needs}; {'it is run again' if said.asks else f'{most} have not shown that'}."
    ends = f"At {_plain(by.race)} or less, and from {least} seeds on at {_plain(by.drop)} or less"
    return f"{ends}, the confirmation is given up."


def _plain(probability: float) -> str:
    """A probability without its zero: `.998`."""
    return (
        f"{probability:.4f}".rstrip("0").removeprefix("0")
        if probability > 0.99
        else f"{probability:.2f}".removeprefix("0")
    )


def on_seeds(count: int, fresh: int = 0) -> str:
    """On how many seeds a verdict rests, and on how many of them it was confirmed: `1 seed`, `4+2 seeds`."""
    if 0 < fresh < count:
        return f"{count - fresh}+{fresh} seeds"
    return "1 seed" if count == 1 else f"{count} seeds"


def _clause(figure: Figure) -> str:
    size, way = _by_how_much(figure)
    moved, label, noisy = figure.moved, figure.axis.label, not figure.axis.deterministic
    if _no_worse(figure):
        return f"{label} no worse" + (f" ({_surely(figure.not_worse)})" if noisy else "")
    sure = _surely(1 - figure.better if figure.difference.mean < 0 else figure.better)
    if moved in (Moved.OPEN, Moved.SAFE) and noisy:  # perhaps better, and not surely so
        return f"{label} not shown {way} ({size}, {sure})"
    return f"{label} {size} {way}" + (f" ({sure})" if noisy else "")


def _no_worse(figure: Figure) -> bool:
    """Whether that is all there is to say of an objective."""
    return figure.moved is Moved.SAFE and figure.difference.mean <= figure.axis.smallest


def _by_how_much(figure: Figure) -> tuple[str, str]:
    """How far an objective has moved, and which way: `38 %`, `faster`."""
    change = figure.axis.change(figure.difference.mean, figure.incumbent_gain)
    size = f"{percent(abs(change))} %"
    if not figure.axis.value(figure.incumbent_gain):  # of nothing there is no share
        size = f"{abs(change):.3g}"
    if figure.axis.kind is Kind.QUALITY:
        return size, "better" if figure.difference.mean > 0 else "worse"
    if figure.axis.kind is Kind.TIME and not figure.axis.maximize and not NO_TIME.search(figure.axis.name):
        return size, "faster" if change < 0 else "slower"
    return size, "lower" if change < 0 else "higher"


def percent(share: float) -> str:
    """A share in percent, with two digits that count."""
    value = 100 * share
    if value >= 1e5:
        return f"{value:.1e}"
    if value >= 9.95 or abs(value) < ROUNDING:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.1g}"


def _surely(probability: float) -> str:
    """`P = .97`, or `P = .998` where two digits would be all nines."""
    text = f"{probability:.{3 if probability > 0.99 else 2}f}".removeprefix("0")
    return "P > .999" if probability >= SURE else f"P = {text}"
