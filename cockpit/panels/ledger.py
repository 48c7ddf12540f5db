"""Panel 4: where the time and the tokens went: from coarse to fine, and what became of the proposals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cockpit import account, figures
from cockpit.feed import Snapshot
from cockpit.line import Line, Piece, beside, fit, line, right, wrap
from cockpit.pages import moment
from cockpit.view import Drawing, View
from cockpit.widgets.panel import Panel
from store import records
from store.funnel import By, Step
from store.records import Limit

SECONDS, MODEL_SECONDS, TOKENS = "seconds", "model_seconds", "tokens"


class Share(NamedTuple):
    """A part of a bar: the outcomes that it sums, and how it looks."""

    word: str
    character: str
    style: str
    outcomes: tuple[str, ...]  # one that ends in a colon is all that begin so


SHARES = (
    Share("frontier", "█", "good", ("frontier", "merged")),
    Share("judged", "▒", "judged", (*records.Word, "trade-off not offered", "measured", "rejected")),
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


def bars(study: Snapshot, width: int) -> list[Line]:
    """The slot's time and the tokens, each with what its parts are."""
    spent, lines = study.ledger, list[Line]()
    amounts = (
        ("slot", SECONDS, figures.lasted(spent.total.get(SECONDS, 0.0))),
        ("tokens", TOKENS, figures.amount(spent.total.get(TOKENS, 0.0))),
    )
    for name, resource, total in amounts:
        parts = shares(spent.by_outcome, resource)
        lines.append(line(f" {name:7}", (right(total, 8), "bold"), "  ", *bar(parts, width - 19)))
        nothing: list[Piece] = [("none: no model was asked", "dim")] if resource == TOKENS else []
        lines.append(line((right("%", 16), "dim"), "  ", *(legend(parts, width - 19) or nothing)))
    return lines


def limits(study: Snapshot, now: float, width: int) -> list[Line]:
    """What may be spent, and how much of it is."""
    cells = max(0, width - 45)
    lines = [_limit(one, now, cells, going_on=study.pid is not None) for one in study.limits]
    return lines or [line((" no budget is set: r pauses, cockpit stop ends", "dim"))]


def _limit(one: Limit, now: float, cells: int, *, going_on: bool) -> Line:
    """A budget as a bar; and when it will be used up, where there is an engine that uses it."""
    spent = one.spent + (max(0.0, now - one.at) if going_on and one.budget == "time" else 0.0)
    full = min(cells, round(cells * spent / one.most))
    held = min(cells - full, round(cells * one.reserved / one.most))
    ends = f"  ends {moment(one.ends_at, now)}" if going_on and cells and one.ends_at is not None else ""
    return line(
        f" {one.budget.replace('_', ' '):12}",
        (right(_amount(one.budget, spent), 7), "bold"),
        (f" of {_amount(one.budget, one.most):8}", "dim"),
        ("█" * full, "sky"),
        ("▒" * held, "sky"),
        ("░" * (cells - full - held), "rule"),
        (ends, "dim"),
    )


def _amount(budget: str, amount: float) -> str:
    """So much of what a budget counts, in few columns."""
    if budget == "time":
        return figures.lasted(amount)
    return f"{amount:.2f}" if budget in ("device_hours", "money") else figures.amount(amount)


STYLES = {By.AGENT: "bad", By.INFRASTRUCTURE: "infra"}  # of who kept others from a step; else it is no loss
WORDS = {By.AGENT: "agent", By.INFRASTRUCTURE: "infra"}


def funnel(study: Snapshot, width: int) -> list[Line]:
    """How many proposals came how far, with those that were lost on the way, and why."""
    steps = study.account.funnel.steps
    return [_step(step, steps[0].number, width) for step in steps]


def _step(step: Step, of: int, width: int) -> Line:
    size = round(14 * step.number / of) if of else 0
    head: list[Piece] = [f" {step.name:10}", (right(str(step.number), 5), "bold"), "  "]
    pieces: list[Piece] = [*head, ("█" * size + " " * (15 - size), "dim")]
    room = width - 33
    for by in By:
        reasons = ", ".join(f"{stop.reason} {stop.number}" for stop in step.stops if stop.by is by)
        word = f"{step.lost(by)} {WORDS[by]} " if by in WORDS else ""
        for text, style in ((word, STYLES.get(by, "dim")), (f"{reasons}  ", "dim")):
            if reasons and room > 0:
                pieces.append((fit(text, min(len(text), room)), style))
                room -= len(text)
    return line(*pieces)


def lost(study: Snapshot, width: int) -> list[Line]:
    """A row for each loss, the dearest first, and what mending it would buy at most."""
    rows = study.account.funnel.losses
    name = max(14, min(30, width - 36))
    lines = [line((f" {'lost':{name}}{'number':>9}{'device':>7}{'tokens':>9}{'would buy':>10}", "dim"))] if rows else []
    for one in rows:
        cells = f"{one.number:>9}" + _time(one.seconds, 7) + right(figures.amount(one.tokens) if one.tokens else "–", 9)
        lines.append(
            line(
                (f" {fit(one.reason, name)}", STYLES.get(one.by, "text")),
                (cells + right(account.bought(one.measured), 10), "dim"),
            )
        )
    return lines


def morning(study: Snapshot, width: int) -> list[Line]:
    """What the devices waited for, what is asked of the user, and each proposer's lift over the floor."""
    found = study.account
    said = [*account.devices(found.devices)[1:2], account.asked(found.review)]
    said += [f"lift of {account.lift(one)}" for one in found.yields.lifts]
    return [
        line((f" {text}" if not index else f"   {text}", "dim"))
        for one in said
        for index, text in enumerate(wrap(one, width - 4, 3))
    ]


def outcomes(study: Snapshot, width: int) -> list[Line]:
    """A row for each outcome, and the total to which they add up."""
    spent = study.ledger
    rows = [*spent.by_outcome.items(), ("total", spent.total)]
    name = max(14, min(30, width - 36))
    lines = [line((f" {'by outcome':{name}}{'slot':>9}{'share':>7}{'model':>9}{'tokens':>9}", "dim"))]
    whole = spent.total.get(SECONDS, 0.0) or 1.0
    for outcome, amounts in rows:
        cells = (
            _time(amounts.get(SECONDS, 0.0), 9),
            right(f"{100 * amounts.get(SECONDS, 0.0) / whole:.0f} %", 7),
            _time(amounts.get(MODEL_SECONDS, 0.0), 9),
            right(figures.amount(amounts[TOKENS]) if amounts.get(TOKENS) else "–", 9),
        )
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


class Ledger(Panel):
    """The bars alone where there are a few lines, and all of it where there is room."""

    number = 4
    title = "Ledger"
    ticks = True

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """From coarse to fine."""
        study = view.study
        if not study.ledger.total:
            return Drawing([line(), line("  Nothing is spent yet.")])
        if height <= 6:
            return Drawing(
                beside(
                    bars(study, width * 2 // 3), limits(study, view.now, width - width * 2 // 3 - 2), width * 2 // 3 + 2
                )
            )
        parts = (
            bars(study, width), funnel(study, width), morning(study, width), limits(study, view.now, width),
            lost(study, width), outcomes(study, width), proposers(study),
        )  # fmt: skip
        lines = [one for part in parts if part for one in (*part, line())]
        return Drawing(lines[:-1])
