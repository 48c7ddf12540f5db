"""Panel 5: where the time and the tokens went: from coarse to fine, and what became of the proposals."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from cockpit import account, figures
from cockpit.feed import Snapshot
from cockpit.keys import LOOK, Key, Keymap, bindings
from cockpit.line import Line, Piece, beside, fit, line, right, wrap
from cockpit.pages import moment
from cockpit.view import Drawing, Source, View, Want
from cockpit.widgets.panel import Cell, Panel
from store import calls, records
from store.funnel import By, Step
from store.records import Limit

SECONDS, MODEL_SECONDS, TOKENS = "seconds", "model_seconds", "tokens"
KEYS = (
    Key("tokens", "t", "tokens_first", LOOK, "tokens first, or time", "time or tokens"),
    Key("outcomes", "o", "outcomes_first", LOOK, "what came of it first: in figures, or bars", "by outcome"),
)
LATELY_SECONDS = 300.0  # whose answers say how fast the model writes now
LEAST_BESIDE = 100  # columns, for the budgets beside the bars
LEAST_WIDE, TABLES = 160, 84  # columns, from which on the tables stand beside all else; and that they take
BRIEF = 6  # lines, in which there is room for the bars alone
FEW = 5  # experiments: of fewer nothing is foretold
SHORT = {"experiments": "exp.", "device_hours": "devices"}  # budgets, where there is little room


class Speed(Want[float | None], frozen=True):
    """Tokens a second that the model writes now; None where it has written nothing lately."""

    every_seconds: ClassVar[float | None] = 5.0

    async def read(self, source: Source) -> float | None:
        """Ask the record."""
        try:
            return await calls.answer_speed(source.database, time.time() - LATELY_SECONDS)
        except (sqlite3.Error, ValueError):
            return None


class Share(NamedTuple):
    """A part of a bar: the outcomes that it sums, and how it looks."""

    word: str
    character: str
    style: str
    outcomes: tuple[str, ...]  # one that ends in a colon is all that begin so


SHARES = (
    Share("frontier", "█", "good", ("frontier", "merged")),
    Share("judged", "▒", "judged", (*records.Word, "trade-off not offered", "stopped early", "measured", "rejected")),
    Share("baseline", "░", "trunk", ("baseline",)),
    Share("running", "▌", "sky", ("running",)),
    Share("failed", "█", "bad", ("failed:",)),
    Share("refused", "▓", "refused", ("refused:", "no proposal")),
    Share("infra", "▓", "infra", ("interrupted", "call failed:")),
    Share("overhead", "░", "dim", ("overhead",)),
    Share("paused", "∙", "dim", ("paused",)),
    Share("idle", "·", "faint", ("idle", "idle:")),
    Share("no engine", "·", "rule", ("down",)),
)


def shares(by_outcome: Mapping[str, Mapping[str, float]], resource: str) -> list[tuple[Share, float]]:
    """The parts of a bar that are not empty."""
    sums = []
    for share in SHARES:
        amount = sum(
            amounts.get(resource, 0.0)
            for outcome, amounts in by_outcome.items()
            if any(outcome.startswith(name) if name.endswith(":") else outcome == name for name in share.outcomes)
        )
        if amount > 0:
            sums.append((share, amount))
    return sums


def bar(parts: Sequence[tuple[Share, float]], width: int) -> list[Piece]:
    """The parts side by side, in exactly so many cells: each its share, the largest remainders first."""
    whole = sum(amount for _, amount in parts)
    if not whole:
        return [" " * width]
    exact = [width * amount / whole for _, amount in parts]
    sizes = [int(one) for one in exact]
    for index in sorted(range(len(parts)), key=lambda one: sizes[one] - exact[one])[: width - sum(sizes)]:
        sizes[index] += 1
    return [(share.character * size, share.style) for (share, _), size in zip(parts, sizes, strict=True)]


def legend(parts: Sequence[tuple[Share, float]], width: int) -> list[Piece]:
    """Each part's name and per cents; where there is no room for all, of the largest."""
    whole = sum(amount for _, amount in parts) or 1.0
    said = {share: f" {100 * amount / whole:.0f}" if amount / whole >= 0.005 else " <1" for share, amount in parts}
    chosen, room = set[Share](), width
    for share, _ in sorted(parts, key=lambda one: -one[1]):
        if (room := room - len(share.word) - len(said[share]) - 2) < 0:
            break
        chosen.add(share)
    pieces: list[Piece] = []
    for share in (share for share, _ in parts if share in chosen):
        style = "dim" if share.style in ("judged", "rule") else share.style
        pieces += [(share.word, style), (f"{said[share]}  ", "text")]
    return pieces


def bars(study: Snapshot, width: int, *, by_tokens: bool = False) -> list[Line]:
    """The slot's time and the tokens, each with what its parts are."""
    spent, lines = study.ledger, list[Line]()
    amounts = (
        ("slot", SECONDS, figures.lasted(spent.total.get(SECONDS, 0.0))),
        ("tokens", TOKENS, figures.amount(spent.total.get(TOKENS, 0.0))),
    )
    for name, resource, total in reversed(amounts) if by_tokens else amounts:
        parts = shares(spent.by_outcome, resource)
        lines.append(line(f" {name:7}", (right(total, 8), "bold"), "  ", *bar(parts, width - 19)))
        nothing: list[Piece] = [("none: no model was asked", "dim")] if resource == TOKENS else []
        lines.append(line((right("%", 16), "dim"), "  ", *(legend(parts, width - 19) or nothing)))
    return lines


def limits(study: Snapshot, now: float, width: int, keys: Keymap) -> list[Line]:
    """What may be spent, how much of it is, and how much will be when the first of them is used up."""
    cells, first = max(0, width - 51), _first(study)
    lines = []
    for one in study.limits:
        ends = ""
        if first is not None and one is first:
            ends = f"  ends {moment(first.ends_at or now, now)}{' first' if len(study.limits) > 1 else ''}"
        elif first is not None and one.rate is not None and one.budget != "time":
            ends = f"  {_amount(one.budget, _by_then(one, first, now))} by then"
        lines.append(
            line(
                f" {one.budget.replace('_', ' '):12}",
                (right(_amount(one.budget, _spent(one, study, now)), 7), "bold"),
                (f" of {_amount(one.budget, one.most):8}", "dim"),
                *_filled(one, study, now, cells),
                (ends, "dim"),
            )
        )
    return lines or [line((f" no budget is set: {keys['run']} pauses, cockpit stop ends", "dim"))]


def slim_limits(study: Snapshot, now: float, width: int) -> list[Line]:
    """The same in four lines: three budgets, those that end first before others, and the forecast in words."""
    ending = sorted(study.limits, key=lambda one: (one.ends_at is None, one.ends_at or 0.0))
    lines = [
        line(
            f" {fit(SHORT.get(one.budget, one.budget), 7)}",
            (right(_amount(one.budget, _spent(one, study, now)), 8), "bold"),
            "  ",
            *_filled(one, study, now, max(0, width - 31)),
            (f" of {_amount(one.budget, one.most)}", "dim"),
        )
        for one in ending[:3]
    ]
    said = forecast(study, now) if study.limits else "no budget is set"
    return [*lines, line((fit(f" {said}", width).rstrip(), "dim"))]


def forecast(study: Snapshot, now: float) -> str:
    """Which budget will be used up first, when, and how many experiments there will be."""
    if study.pid is None:
        return "no engine runs"
    first = _first(study)
    if first is None or first.ends_at is None:
        few = len(study.experiments) < FEW
        return f"no forecast before {FEW} experiments" if few else "none is being used up"
    one = next((one for one in study.limits if one.budget == "experiments"), None)
    count = "" if one is None or one is first else f", at exp. {_amount('experiments', _by_then(one, first, now))}"
    what = f"{first.budget.replace('_', ' ')} {'ends' if first.budget in ('time', 'money') else 'end'} first"
    return f"{what}, at {moment(first.ends_at, now)}{count}"


def _first(study: Snapshot) -> Limit | None:
    """The budget that is used up first; None where nobody can tell."""
    known = [one for one in study.limits if one.ends_at is not None]
    if study.pid is None or len(study.experiments) < FEW or not known:
        return None
    return min(known, key=lambda one: one.ends_at or 0.0)


def _by_then(one: Limit, first: Limit, now: float) -> float:
    """How much of a budget is spent when the first of all is used up, at its rate."""
    hours = max(0.0, (first.ends_at or now) - one.at) / 3600
    return min(one.most, one.spent + (one.rate or 0.0) * hours)


def _spent(one: Limit, study: Snapshot, now: float) -> float:
    return one.spent + (max(0.0, now - one.at) if study.pid is not None and one.budget == "time" else 0.0)


def _filled(one: Limit, study: Snapshot, now: float, cells: int) -> list[Piece]:
    """A budget as a bar: what is spent, what is reserved, what is left."""
    full = min(cells, round(cells * _spent(one, study, now) / one.most))
    held = min(cells - full, round(cells * one.reserved / one.most))
    return [("█" * full, "sky"), ("▒" * held, "sky"), ("░" * (cells - full - held), "rule")]


def _amount(budget: str, amount: float) -> str:
    """So much of what a budget counts, in few columns."""
    if budget == "time":
        return figures.lasted(amount)
    return f"{amount:.2f}" if budget in ("device_hours", "money") else figures.amount(amount)


STYLES = {By.AGENT: "bad", By.INFRASTRUCTURE: "infra"}  # of who kept others from a step; else it is no loss
WORDS = {By.AGENT: "agent", By.INFRASTRUCTURE: "infra"}


def funnel(study: Snapshot, width: int) -> list[Line]:
    """How many proposals came how far, with those that were lost on the way, and why; what was merged all the same."""
    steps, besides = study.account.funnel.steps, study.account.funnel.unconfirmed
    return [_step(step, steps[0].number, width, besides if step is steps[-1] else 0) for step in steps]


def _step(step: Step, of: int, width: int, besides: int = 0) -> Line:
    cells = 14 if width >= LEAST_BESIDE else 8
    size = round(cells * step.number / of) if of else 0
    head: list[Piece] = [f" {step.name:10}", (right(str(step.number), 5), "bold"), "  "]
    pieces: list[Piece] = [*head, ("█" * size + " " * (cells + 1 - size), "dim")]
    room = width - 19 - cells
    if besides:
        pieces.append((said := f"and {besides} unconfirmed  ", "text"))
        room -= len(said)
    for by in By:
        those = [stop for stop in step.stops if stop.by is by]
        word = f"{step.lost(by)} {WORDS[by]} " if by in WORDS else ""
        # Of one reason the number is said before who it is of, if it is of anybody.
        reasons = (
            those[0].reason if word and len(those) == 1 else ", ".join(f"{one.reason} {one.number}" for one in those)
        )
        for text, style in ((word, STYLES.get(by, "dim")), (f"{reasons}  ", "dim")):
            if reasons and room > 0:
                pieces.append((fit(text.rstrip(), min(len(text), room)), style))
                room -= len(text)
    return line(*pieces)


def lost(study: Snapshot, width: int, *, by_tokens: bool = False) -> list[Line]:
    """A row for each loss, the dearest first, and what mending it would buy at most."""
    rows = study.account.funnel.losses
    rows = tuple(sorted(rows, key=lambda one: -one.tokens)) if by_tokens else rows
    name = max(14, min(30, width - 36))
    lines = [line((f" {'lost':{name}}{'number':>9}{'device':>7}{'tokens':>9}{'would buy':>10}", "dim"))] if rows else []
    for one in rows:
        cells = f"{one.number:>9}" + _time(one.seconds, 7) + right(figures.amount(one.tokens) if one.tokens else "–", 9)
        lines.append(
            line(
                (f" {fit(one.reason, name)}", STYLES.get(one.by, "text")),
                (cells + right(_bought(one.measured), 10), "dim"),
            )
        )
    return lines


def _bought(amount: float | None) -> str:
    """So many experiments."""
    said = account.bought(amount)
    return f"{said} exp." if said[-1].isdigit() else said


def pace(speed: float | None) -> str:
    """How fast the model writes now."""
    return "" if speed is None else f"{figures.amount(speed) if speed >= 9.95 else f'{speed:.1f}'} tokens/s now"


def now(speed: float | None, width: int) -> list[Line]:
    """How fast the model writes, where it does."""
    text = f" the model writes {pace(speed)}, by its answers of the last 5 minutes"
    return [] if speed is None else [line((fit(text, width).rstrip(), "dim"))]


def morning(study: Snapshot, width: int) -> list[Line]:
    """What the devices waited for, what is asked of the user, each lift over the floor."""
    found = study.account
    said = [*account.devices(found.devices)[1:2], account.asked(found.review)]
    said += [f"lift of {account.lift(one)}" for one in found.yields.lifts]
    return [
        line((f" {text}" if not index else f"   {text}", "dim"))
        for one in said
        for index, text in enumerate(wrap(one, width - 4, 3))
    ]


def outcomes(study: Snapshot, width: int, *, by_tokens: bool = False) -> list[Line]:
    """A row for each outcome that shows, and the total. The share is of what comes first, time or tokens."""
    spent = study.ledger
    first, second = (TOKENS, SECONDS) if by_tokens else (SECONDS, TOKENS)
    every = (first, second, MODEL_SECONDS)
    rows = sorted(spent.by_outcome.items(), key=lambda one: [-one[1].get(each, 0.0) for each in every])
    rows.append(("total", spent.total))
    name = max(14, min(30, width - 36))
    lines = [line((f" {'by outcome':{name}}{'slot':>9}{'of all':>7}{'model':>9}{'tokens':>9}", "dim"))]
    whole = spent.total.get(first, 0.0) or 1.0
    for outcome, amounts in rows:
        cells = (
            _time(amounts.get(SECONDS, 0.0), 9),
            right(f"{100 * amounts.get(first, 0.0) / whole:.0f} %", 7),
            _time(amounts.get(MODEL_SECONDS, 0.0), 9),
            right(figures.amount(amounts[TOKENS]) if amounts.get(TOKENS) else "–", 9),
        )
        if outcome != "total" and {each.strip() for each in cells} == {"–", "0 %"}:
            continue
        lines.append(line(f" {fit(outcome, name)}", ("".join(cells), "bold" if outcome == "total" else "dim")))
    return lines


def _time(seconds: float, width: int) -> str:
    return right(figures.lasted(seconds) if seconds >= 0.5 else "–", width)


def proposers(study: Snapshot) -> list[Line]:
    """Who proposed, how much of it was let in, and what that has gained for an hour of a device."""
    spent, gained = study.ledger, {one.name: one for one in study.account.yields.proposers}
    names = sorted({*spent.admitted, *spent.refused}, reverse=True)
    titles = f" {'proposer':16}{'proposed':>9}{'admitted':>9}{'confirmed':>10}{'gain':>8}{'an hour':>9}"
    rows = [line((titles, "dim"))] if names else []
    for name in names:
        admitted, refused = spent.admitted.get(name, 0), sum(spent.refused.get(name, {}).values())
        cells = f"{admitted + refused:>9}{admitted:>9}"
        if one := gained.get(name):
            hourly = account.small(one.per_device_hour) if one.seconds else "–"
            cells += f"{one.confirmed:>10}" + right(account.small(one.gain), 8) + right(hourly, 9)
        rows.append(line(f" {fit(name, 16)}", (cells, "dim")))
    return rows


def yields(study: Snapshot, width: int) -> list[Line]:
    """What the study has gained for what was spent, and each model and operator, the best first."""
    found = study.account.yields
    name = max(14, min(30, width - 52))
    titles = f" {'yield':{name}}{'ran':>5}{'confirmed':>10}{'gain':>8}{'device':>8}{'an hour':>9}{'tokens':>8}"
    rows = [("the study", found.study), *((account.name_of(one), one) for one in (*found.models, *found.operators))]
    lines = [line((titles, "dim"))]
    for said, one in rows:
        hourly = account.small(one.per_device_hour) if one.seconds else "–"
        cells = f"{one.experiments:>5}{one.confirmed:>10}" + right(account.small(one.gain), 8)
        cells += _time(one.seconds, 8) + right(hourly, 9) + right(figures.amount(one.tokens) if one.tokens else "–", 8)
        lines.append(line(f" {fit(said, name)}", (cells, "dim")))
    return lines


def _spaced(*parts: Sequence[Line]) -> list[Line]:
    """Those that say something, one beneath the other, with a blank between."""
    return [one for part in parts if part for one in (*part, line())][:-1]


class Ledger(Panel):
    """The bars alone where there are a few lines, and all of it where there is room; where it is wide, side by side."""

    BINDINGS = [*bindings(KEYS)]
    number = 5
    title = "Ledger"
    cell = Cell.BELOW
    rank = 4
    keys = KEYS
    ticks = True

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """How fast the model writes, while there is one at work."""
        return () if view.study.pid is None or view.study.facts.get("model", "none") == "none" else (Speed(),)

    @property
    def counts(self) -> bool:
        """Where there is room for more than the bars."""
        return self.size.height > BRIEF

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """From coarse to fine."""
        study, by_tokens = view.study, view.choices.by_tokens
        if not study.whole:
            return Drawing([line(), line(("  reading what was spent…", "dim"))])
        if not study.ledger.total:
            return Drawing([line(), line("  Nothing is spent yet.")])
        speed = view.get(Speed()) if self.wants(view) else None
        note = [(pace(speed), "dim")] if speed is not None else []
        if height <= BRIEF:
            left = width * 2 // 3 if width >= LEAST_BESIDE else width
            budgets = slim_limits(study, view.now, width - left - 2) if left < width else []
            return Drawing(beside(bars(study, left, by_tokens=by_tokens), budgets, left + 2), note=note)
        if not study.counted:
            return Drawing(
                [*bars(study, width, by_tokens=by_tokens), line(), line(("  reading what came of it…", "dim"))]
            )
        tables = TABLES if width >= LEAST_WIDE else 0
        left = width - tables - 3 if tables else width
        figured = outcomes(study, (tables or width) - 2, by_tokens=by_tokens)
        drawn = bars(study, width, by_tokens=by_tokens)
        steps = [funnel(study, left), lost(study, left, by_tokens=by_tokens)]
        rest = ([*limits(study, view.now, left, view.keys), *now(speed, left)], morning(study, left))
        earned = (proposers(study), yields(study, (tables or width) - 2))
        if tables:
            sides = _spaced(*steps, *rest), _spaced(figured, *earned)
            side = beside(*sides[::-1], tables) if view.choices.outcomes else beside(*sides, width - tables)
            return Drawing([*drawn, line(), *side], note=note)
        parts = [figured, drawn, *steps, *rest] if view.choices.outcomes else [drawn, *steps, *rest, figured]
        return Drawing(_spaced(*parts, *earned), note=note)

    def action_tokens_first(self) -> None:
        """Tokens before time, or time before tokens."""
        if self.view is not None:
            self.choose(by_tokens=not self.view.choices.by_tokens)

    def action_outcomes_first(self) -> None:
        """The table of what came of it at the top, or where it stands else."""
        if self.view is not None:
            self.choose(outcomes=not self.view.choices.outcomes)
            self._scroll(0)
