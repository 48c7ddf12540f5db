"""Panel 4: where the time and the tokens went: from coarse to fine, and what became of the proposals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.line import Line, Piece, beside, fit, line, right
from cockpit.pages import moment
from cockpit.view import Drawing, View
from cockpit.widgets.panel import Panel
from store import records
from store.records import Limit, State

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


def funnel(study: Snapshot) -> list[Line]:
    """What became of the proposals, with those that were lost on the way, and why."""
    spent, rows = study.ledger, study.experiments[1:]
    admitted = sum(spent.admitted.values())
    refused = spent.refusals
    failed: dict[str, int] = {}
    for one in rows:
        if one.failure:
            failed[one.failure] = failed.get(one.failure, 0) + 1
    words: dict[str, int] = {}
    for one in rows:
        if one.verdict and not one.failure and not one.verdict.promising:
            words[one.verdict.word] = words.get(one.verdict.word, 0) + 1
    going_on = sum(one.state in (State.QUEUED, State.RUNNING) for one in rows)
    measured = [one for one in rows if one.measurements and not one.failure]
    hopeful = sum(one.verdict is not None and not one.failure and one.verdict.promising for one in rows)
    decided = {state: sum(one.state is state for one in rows) for state in (State.MERGED, State.REJECTED)}
    proposed = admitted + sum(refused.values())
    steps = (
        ("proposed", proposed, None),
        ("admitted", admitted, _lost(refused, "refused", "bad")),
        ("ran", len(rows) - going_on, ((f"{going_on} under way", "dim"),) if going_on else None),
        ("measured", len(measured), _lost(failed, "failed", "bad")),
        ("promising", hopeful, _lost(words, "judged", "dim")),
        ("merged", decided[State.MERGED], ((f"{decided[State.REJECTED]} rejected", "dim"),)),
    )
    return [_step(name, number, proposed, lost or ()) for name, number, lost in steps]


def _lost(reasons: Mapping[str, int], word: str, style: str) -> tuple[Piece, ...]:
    if not reasons:
        return ()
    several = ", ".join(f"{why} {number}" for why, number in sorted(reasons.items(), key=lambda one: -one[1]))
    return ((f"{sum(reasons.values())} {word} ", style), (several, "dim"))


def _step(name: str, number: int, of: int, lost: Sequence[Piece]) -> Line:
    size = round(14 * number / of) if of else 0
    return line(f" {name:10}", (right(str(number), 5), "bold"), "  ", ("█" * size + " " * (15 - size), "dim"), *lost)


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
    """Who proposed, and how much of it was let in."""
    spent = study.ledger
    names = sorted({*spent.admitted, *spent.refused}, reverse=True)
    rows = [line((f" {'proposer':16}{'proposed':>9}{'admitted':>9}", "dim"))] if names else []
    for name in names:
        admitted, refused = spent.admitted.get(name, 0), sum(spent.refused.get(name, {}).values())
        rows.append(line(f" {name:16}", (f"{admitted + refused:>9}{admitted:>9}", "dim")))
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
            bars(study, width), funnel(study), limits(study, view.now, width), outcomes(study, width), proposers(study),
        )  # fmt: skip
        lines = [one for part in parts for one in (*part, line())]
        return Drawing(lines[:-1])
