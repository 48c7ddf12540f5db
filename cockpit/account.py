"""What came of what was spent, for people and for scripts: funnel, yield, lift, leaderboard, devices, review."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from cockpit import figures
from cockpit.pages import aligned, count, shortened, trust
from store.account import Account
from store.funnel import By, Funnel, Loss, Step
from store.lanes import Devices
from store.records import Keeps
from store.review import Review
from store.yields import LEAST, Kind, Lift, Yield, Yields

WIDTH = 100
NAME_COLUMNS = 46  # of a model with a long name
NOTHING = "–"
LEAST_SECONDS = 3600.0  # of an engine's life, before offers are reckoned by the day
WHAT_BUYS = "at most, at what one measured experiment has taken here"


def page(account: Account, counted: Keeps | None = None) -> str:
    """The sections one below the other. `counted` says how far what is confirmed can be trusted."""
    if not account.ledger.total:
        return ""
    sections = (
        [*funnel(account.funnel), *trust(counted)[:1]], losses(account.funnel), yields(account.yields),
        lifts(account.yields), leaderboard(account.yields), devices(account.devices), review(account.review),
    )  # fmt: skip
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


# --- the funnel ------------------------------------------------------------------------------------------------------


def funnel(found: Funnel) -> list[str]:
    """A line a step: how many came so far, and what kept the others from it."""
    lines = ["Funnel"]
    for step in found.steps:
        head = f"{step.name:10}{step.number:6}   "
        lines += textwrap.wrap(
            head + stops(step), WIDTH, subsequent_indent=" " * len(head), drop_whitespace=True, break_on_hyphens=False
        ) or [head.rstrip()]
    if found.unconfirmed:
        lines.append(f"{found.unconfirmed} merged unconfirmed besides")
    return lines


def stops(step: Step) -> str:
    """What kept others from a step: `agent 5: duplicate 3, invalid 2; waiting 1: under way 1`."""
    parts = []
    for by in By:
        reasons = [f"{stop.reason} {stop.number}" for stop in step.stops if stop.by is by]
        if reasons:
            parts.append(f"{by} {step.lost(by)}: {', '.join(reasons)}")
    return "; ".join(parts)


def losses(found: Funnel) -> list[str]:
    """A row a loss, those of the agent and of the infrastructure apart, the dearest first."""
    rows: list[tuple[str, Sequence[Loss]]] = []
    for by in (By.AGENT, By.INFRASTRUCTURE):
        those = found.losses_by(by)
        rows += [(str(by), those), *((f"  {one.reason}", [one]) for one in those)] if those else []
    if not rows:
        return ["Losses: none"]
    columns = [
        ["", *(name for name, _ in rows)],
        ["number", *(str(sum(one.number for one in those)) for _, those in rows)],
        ["device time", *(lasted(sum(one.seconds for one in those)) for _, those in rows)],
        ["model time", *(lasted(sum(one.model_seconds for one in those)) for _, those in rows)],
        ["tokens", *(whole(sum(one.tokens for one in those)) for _, those in rows)],
        ["mended: measured", *(_bought([one.measured for one in those]) for _, those in rows)],
        ["confirmed", *(_bought([one.confirmed for one in those]) for _, those in rows)],
    ]
    foot = [f"mended: experiments that it would buy, {WHAT_BUYS}"]
    if any(one.reason.startswith("call failed: ") for _, those in rows for one in those):
        foot.append("a thought in vain is lost whole, by how it ended; the first table has each call by itself")
    return [*aligned(columns, title="Losses"), *foot]


def _bought(amounts: Sequence[float | None]) -> str:
    known = [one for one in amounts if one is not None]
    return bought(sum(known) if len(known) == len(amounts) else None)


def bought(amount: float | None) -> str:
    """How many experiments a loss would have bought; `?` where that is not known."""
    if amount is None:
        return "?"
    if amount >= 99.95:
        return f"{amount:.0f}"
    return f"{amount:.1f}" if amount >= 0.05 else NOTHING if not amount else "<0.1"


def lost(found: Funnel) -> list[str]:
    """The losses in a line for each who lost them: for whoever looks in the morning."""
    lines = []
    for by in (By.AGENT, By.INFRASTRUCTURE):
        those = found.losses_by(by)
        if those:
            parts = [f"{one.reason.removeprefix('refused: ')} {one.number}" for one in those]
            took = [text for text in (_took(those), _would(those)) if text]
            lines.append(f"lost by the {by}: {', '.join(parts)}" + (f"; {', '.join(took)}" if took else ""))
    return lines


def _took(those: Sequence[Loss]) -> str:
    seconds, tokens = sum(one.seconds for one in those), sum(one.tokens for one in those)
    parts = [figures.lasted(seconds)] if seconds >= 0.5 else []
    parts += [f"{tokens:,.0f} tokens"] if tokens else []
    return " and ".join(parts)


def _would(those: Sequence[Loss]) -> str:
    if any(one.measured is None for one in those):
        return ""
    more = sum(one.measured or 0.0 for one in those)
    return (
        f"as much as {more:.1f} measured {'experiment' if f'{more:.1f}' == '1.0' else 'experiments'}"
        if more >= 0.05
        else ""
    )


# --- what was gained -------------------------------------------------------------------------------------------------


def yields(found: Yields) -> list[str]:
    """What was gained for what was spent, in all and by who proposed."""
    rows = [("the study", found.study), *((one.name, one) for one in found.proposers)]
    lines = _table("Yield", rows)
    if found.study.gain is None:
        return [*lines, "what was confirmed before this version is not counted yet: the next engine does"]
    if not found.ranked:
        return [*lines, "nothing is gained yet: no confirmed experiment has added to the hypervolume"]
    return [
        *lines,
        "gain: hypervolume that confirmed experiments have added, the baseline's is 1",
        "1,000 tokens: the gain of what has taken tokens",
    ]


def _table(title: str, rows: Sequence[tuple[str, Yield]], *, whole_story: bool = True) -> list[str]:
    """A row each; what was spent is told where the whole story is."""
    columns = [
        ["", *(shortened(name, NAME_COLUMNS) for name, _ in rows)],
        ["ran", *(str(one.experiments) for _, one in rows)],
        ["confirmed", *(str(one.confirmed) for _, one in rows)],
        ["gain", *(small(one.gain) for _, one in rows)],
    ]
    if whole_story:
        columns.append(["device time", *(lasted(one.seconds) for _, one in rows)])
    columns.append(["a device-hour", *(small(one.per_device_hour) if one.seconds else NOTHING for _, one in rows)])
    if whole_story:
        columns.append(["model time", *(lasted(one.model_seconds) for _, one in rows)])
        columns.append(["tokens", *(whole(one.tokens) for _, one in rows)])
    columns.append(["1,000 tokens", *(small(one.per_1000_tokens) if one.tokens else NOTHING for _, one in rows)])
    return aligned(columns, title=title)


def lifts(found: Yields) -> list[str]:
    """A line for each proposer that is held against the floor."""
    lines = [part for one in found.lifts for part in textwrap.wrap(lift(one), WIDTH, subsequent_indent="  ")]
    return ["Lift", *lines] if lines else []


def lift(one: Lift) -> str:
    """A proposer's yield against the floor's, in a sentence."""
    who = f"{one.proposer} over {one.floor}: "
    if one.kind is Kind.TOO_FEW:
        return f"{who}from {LEAST} experiments a side; {one.experiments} and {one.floor_experiments} now"
    counted = f"{one.experiments} and {one.floor_experiments} experiments"
    if one.kind is Kind.NOTHING:
        return f"{who}not known, nothing is gained on either side; {counted}"
    low, high = small(one.low), small(one.high)
    if one.kind is Kind.DIFFERENCE:
        more = f"{small(one.value)} more a device-hour, 95 % {low} to {high}"
        return f"{who}{more}; the {one.floor} has gained nothing; {counted}"
    ends = f"95 % {low} to {high}" if one.high is not None else f"95 % from {low}, no upper end"
    return f"{who}{small(one.value)} times its yield a device-hour, {ends}; {counted}"


def leaderboard(found: Yields) -> list[str]:
    """Models and operators, the best first."""
    groups = (("model", found.models), ("operator", found.operators))
    rows = [
        (f"{position(one, those)} {kind} {name_of(one)}", one)
        for kind, those in groups
        for one in those
        if one.experiments
    ]
    if not rows:
        return []
    if not found.ranked:
        why = "nothing is gained yet" if found.study.gain is not None else "what was gained is not counted yet"
        return [f"Leaderboard: {why}, so there is nothing to rank"]
    lines = _table("Leaderboard", rows, whole_story=False)
    few = [one for _, one in rows if one.experiments < LEAST]
    return (
        [*lines, f"by what a device-hour has gained; of fewer than {LEAST} experiments it may be luck"]
        if few
        else lines
    )


def name_of(one: Yield) -> str:
    """A model; or an operator, and who works with it."""
    return f"{one.name}, {one.proposer}" if one.proposer else one.name


def position(one: Yield, those: Sequence[Yield]) -> str:
    """The place in a leaderboard; who has gained nothing has none."""
    return str(those.index(one) + 1) if one.gain else NOTHING


# --- devices and review ----------------------------------------------------------------------------------------------


def devices(found: Devices) -> list[str]:
    """How much of the time the devices were idle, and what they waited for."""
    if found.idle_share is None:
        return []
    waited = [f"{reason} {figures.lasted(seconds)}" for reason, seconds in found.idle.items() if seconds >= 0.5]
    lived = found.busy + sum(found.idle.values())
    first = f"idle {share(found.idle_share)} of {figures.lasted(lived)}"
    rest = [f"busy {figures.lasted(found.busy)}"]
    rest += [f"paused {figures.lasted(found.paused)}"] if found.paused else []
    rest += [f"no engine {figures.lasted(found.down)}"] if found.down else []
    return ["Devices", first + (f": {', '.join(waited)}" if waited else ""), "   ".join(rest)]


def review(found: Review) -> list[str]:
    """What the user is asked for."""
    return ["Review", asked(found)]


def asked(found: Review) -> str:
    """The offers that are to be decided, what there is to read of them, and how fast they come."""
    parts = [f"{count(found.undecided, 'offer')} to decide" if found.undecided else "nothing to decide"]
    if found.unread < found.undecided:
        parts.append(f"{count(found.lines, 'changed line')} to read")
    if found.unread:
        parts.append(f"the lines of {found.unread} not counted yet")
    said = ", ".join(parts)
    if found.per_day is None or not found.offered:
        return said
    many = f"{count(found.offered, 'offer')} in {figures.lasted(found.seconds)} of an engine's life"
    if found.seconds < LEAST_SECONDS:
        return f"{said}; {many}"
    daily = figures.amount(found.per_day) if found.per_day >= 10 else f"{found.per_day:.1f}"
    return f"{said}; {daily} a day ({many})"


# --- numbers ---------------------------------------------------------------------------------------------------------


def lasted(seconds: float) -> str:
    """A time; a dash for none."""
    return figures.lasted(seconds) if seconds >= 0.5 else NOTHING


def whole(amount: float) -> str:
    """A count; a dash for none."""
    return f"{amount:,.0f}" if amount else NOTHING


def small(number: float | None) -> str:
    """A figure of three digits; `?` where it is not known."""
    if number is None:
        return "?"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def share(part: float) -> str:
    """A share in per cent."""
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.1f} %"


# --- for scripts -----------------------------------------------------------------------------------------------------


def keys(account: Account) -> dict[str, Any]:
    """The same for scripts."""
    found = account.yields
    return {
        "funnel": [
            {
                "step": step.name,
                "number": step.number,
                "stops": [{"by": stop.by, "reason": stop.reason, "number": stop.number} for stop in step.stops],
            }
            for step in account.funnel.steps
        ],
        "merged_unconfirmed": account.funnel.unconfirmed,
        "losses": loss_keys(account.funnel.losses),
        "yield": {**_yield_keys(found.study), "by_proposer": {one.name: _yield_keys(one) for one in found.proposers}},
        "lift": [_lift_keys(one) for one in found.lifts],
        "leaderboard": {
            "models": [_ranked(one, found.models, {"model": one.name}) for one in found.models],
            "operators": [
                _ranked(one, found.operators, {"operator": one.name, "proposer": one.proposer})
                for one in found.operators
            ],
        },
        "devices": {
            "idle_share": account.devices.idle_share,
            "busy_seconds": account.devices.busy,
            "idle_seconds": dict(account.devices.idle),
            "paused_seconds": account.devices.paused,
            "down_seconds": account.devices.down,
        },
        "review": {
            "offers": account.review.undecided,
            "changed_lines": account.review.lines,
            "not_counted": account.review.unread,
            "offered": account.review.offered,
            "engine_seconds": account.review.seconds,
            "offers_per_day": account.review.per_day,
        },
    }


def loss_keys(those: Iterable[Loss]) -> list[dict[str, Any]]:
    """The losses. What mending would buy is null before an experiment is measured."""
    return [
        {
            "by": one.by,
            "reason": one.reason,
            "number": one.number,
            "device_seconds": one.seconds,
            "model_seconds": one.model_seconds,
            "tokens": one.tokens,
            "buys_measured": one.measured,
            "buys_confirmed": one.confirmed,
        }
        for one in those
    ]


def _yield_keys(one: Yield) -> dict[str, Any]:
    return {
        "experiments": one.experiments,
        "confirmed": one.confirmed,
        "gain": one.gain,
        "device_seconds": one.seconds,
        "model_seconds": one.model_seconds,
        "tokens": one.tokens,
        "per_device_hour": one.per_device_hour,
        "per_1000_tokens": one.per_1000_tokens,
    }


def _ranked(one: Yield, those: Sequence[Yield], named: dict[str, str]) -> dict[str, Any]:
    return {"rank": those.index(one) + 1 if one.gain else None, **named, **_yield_keys(one)}


def _lift_keys(one: Lift) -> dict[str, Any]:
    return {
        "proposer": one.proposer,
        "floor": one.floor,
        "experiments": one.experiments,
        "floor_experiments": one.floor_experiments,
        "from_experiments": LEAST,
        "kind": one.kind,
        "value": one.value,
        "low": one.low,
        "high": one.high,
    }
