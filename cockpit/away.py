"""While you were away: what waits, what it came to, what was lost, and the first thing to mend, with its evidence."""

from collections.abc import Sequence
from typing import Any, Protocol

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.glyphs import OFFER
from cockpit.keys import TABLE, Keymap
from cockpit.line import Line, Piece, fit, line, wrap
from cockpit.output import time_of
from cockpit.pages import clock, count, few, verified
from cockpit.panels.ledger import SECONDS, TOKENS, shares
from cockpit.progress import brief, priced
from store.away import Happened
from store.records import CallOutcome, Ended, Experiment, Outcome, Refusal, name_of, offers

PAGE_COLUMNS = 100  # of the card as it is printed
TOLD = (  # to scripts
    "ran", "measured", "failed", "confirmed", "proposed", "refusals", "failures", "runs", "interrupted", "calls",
    "calls_failed", "spent",
)  # fmt: skip
NAME = 14  # columns of what a row is about
LEAST_NAMED = 64  # columns, from which on the balanced pick is called by its whole name
MOST = 4  # offers that are named
APART = ("trunk", "offers", "experiments", "failed most", "guards")  # rows with a blank line above
LOST = ("failed", "refused", "infra", "idle", "no engine")  # parts of the ledger's bars
MENDED = {  # of each loss, the first thing to try
    f"refused: {Refusal.INVALID}": "a larger model, or a smaller [space] edit: it has to quote code to change it",
    f"refused: {Refusal.DUPLICATE}": "more or wider knobs in [space]; or [study] stop_when, which ends it",
    f"refused: {Refusal.OUT_OF_THE_SPACE}": "[space] edit or knobs, if it is right; [study] goal, if it is not",
    f"refused: {Refusal.UNSAFE}": "nothing: it is kept out",
    f"failed: {Outcome.OUT_OF_MEMORY}": "a lower bound of the knobs that grow it, in [space.knobs]",
    f"failed: {Outcome.TIMEOUT}": "[run] timeout, or a lower bound of the knobs that make it slow",
    f"failed: {Outcome.CRASH}": "what its log says",
    f"failed: {Outcome.NO_METRICS}": "what its log says: train and score have to print or write what is measured",
    f"failed: {Outcome.DIVERGED}": "a lower bound of the learning rate, or of what else diverges, in [space.knobs]",
    f"failed: {Outcome.TAMPERING}": "nothing: it is kept out",
    f"call failed: {CallOutcome.UNREACHABLE}": "start the model's server: `ollama serve`, or [model] host",
    f"call failed: {CallOutcome.NO_MODEL}": "`ollama pull` the model, or [model] name",
    f"call failed: {CallOutcome.TIMEOUT}": "[model] timeout, or a smaller model",
    f"call failed: {CallOutcome.TOO_LONG}": "[model] num_ctx",
    f"call failed: {CallOutcome.TRUNCATED}": "[model] num_ctx",
    "interrupted": "what ended the engine or the machine: `cockpit logs`, and the system's own",
}


class Names(Protocol):
    """What somebody has to press, or to type."""

    def __getitem__(self, name: str, /) -> str:
        """For a key of the table, by its name."""


TYPED = {"run": "`cockpit resume`", "undo": "`cockpit undo`", "panel_5": "`cockpit ledger`"}


def page(study: Snapshot, since: Happened, now: float) -> list[str]:
    """The card as `cockpit status` prints it, with commands in the place of keys; and the way to the first offer."""
    lines = ["while you were away", *(line.text.rstrip() for line in away(study, since, now, PAGE_COLUMNS, TYPED))]
    first = next(iter(offers(study.experiments)), None)
    return lines + ([f"{'next':{NAME}}`cockpit diff {first.id}`, then `cockpit merge {first.id}`"] if first else [])


def away_keys(since: Happened) -> dict[str, Any]:
    """The same for scripts: a contract, docs/json.md."""
    told = {name: getattr(since, name) for name in TOLD}
    if worst := most_lost(since):
        reason, number, _ = worst
        told["failed_most"] = {"reason": reason, "number": number, "fix": fix(since, reason, TYPED["panel_5"])}
    return {"since": time_of(since.since), "failed_most": None, **told, "hypervolume_then": since.hypervolume}


def away(study: Snapshot, since: Happened, now: float, width: int, keys: Names = TABLE) -> list[Line]:
    """The card, in so many columns: decisions first, then losses. `keys` has what is named for what is to be done."""
    rows: list[tuple[str, list[list[Piece]]]] = []

    def told(text: str, style: str = "text", most: int = 3) -> list[list[Piece]]:
        return [[(part, style)] for part in wrap(text, width - NAME, most)]

    if doubt := verified(study.experiments, study.incumbent, study.decision, keys["undo"]):
        rows.append(("trunk", told(doubt, "bad")))
    rows.append(("offers", _offers(study, width - NAME)))
    kept = study.keeps
    luck = f" ({few(kept.expected_false)} of all {kept.confirmed} by luck)" if kept and since.confirmed else ""
    ran = f"{since.ran} ran, {since.measured} measured, {since.confirmed} confirmed{luck}, {since.failed} failed"
    rows.append(("experiments", told(ran)))
    if study.reference:
        size = f"hypervolume {study.frontier.hypervolume:.3g}, was {since.hypervolume:.3g}"
        rows.append(("front", told(size)))
    rows.append(("spent", told(_spent(since))))
    rows.append(("engine", told(*_engine(study, keys["run"]))))
    if lost := _lost(since):
        rows.append(("lost", [row for text in lost for row in told(text, "bad")]))
    if worst := most_lost(since):
        reason, number, of = worst
        said = since.why_refused.get(reason.removeprefix("refused: "), "")
        text = f"{reason.partition(': ')[2] or reason}, {number} of {of}" + (f": {said}" if said else "")
        rows.append(("failed most", told(text, most=2)))
        rows.append(("fix first", told(fix(since, reason, keys["panel_5"]), "bold")))
    facts = study.facts
    if facts:
        wall = f"no wall: {facts['no_wall']}" if facts.get("no_wall") else f"wall {facts['wall']}"
        guards = f"{wall}; memory by {facts['meter']}"
        rows.append(("guards", [[(fit(guards, width - NAME).rstrip(), "infra" if facts.get("no_wall") else "dim")]]))
    lines = [line((f"since {clock(since.since)[:5]}, {figures.lasted(now - since.since)}", "dim"))]
    for name, texts in rows:
        lines += [line()] if name in APART else []
        lines += [line((f"{'' if at else name:{NAME}}", "dim"), *pieces) for at, pieces in enumerate(texts)]
    return lines


def _offers(study: Snapshot, width: int) -> list[list[Piece]]:
    listed = offers(study.experiments)
    picked = {point.experiment for point in study.frontier.points if point.balanced}

    def said(one: Experiment) -> list[Piece]:
        end = "" if one.number not in picked else "  balanced pick" if width >= LEAST_NAMED else "  balanced"
        sentence = brief(one.verdict.sentence) if one.verdict else ""
        text = priced(study, one, sentence, width - len(one.id) - 4 - len(end)).rstrip()
        return [(f"{OFFER.glyph} ", OFFER.style), (f"{one.id}  ", "bold"), text, (end, "pick")]

    rows: list[list[Piece]] = [said(one) for one in listed[:MOST]]
    if len(listed) > MOST:
        rows.append([(f"and {len(listed) - MOST} more", "dim")])
    if not listed:
        more = f"; {study.hopeful} promising" if study.hopeful else ""
        rows.append([(f"none: nothing that is confirmed waits for you{more}", "dim")])
    return rows


def _spent(since: Happened) -> str:
    seconds = sum(part.get(SECONDS, 0.0) for name, part in since.spent.items() if _work(name))
    tokens = sum(part.get(TOKENS, 0.0) for part in since.spent.values())
    return f"{figures.lasted(seconds)} of the slot, {figures.amount(tokens)} tokens"


def _work(outcome: str) -> bool:
    return not outcome.startswith(("idle", "paused", "down"))


def _engine(study: Snapshot, run: str) -> tuple[str, str]:
    """What it does, or why it does not; and the style of that. `run` is the key that has it go on."""
    if study.pid is not None:
        return (f"paused: {run} goes on" if study.paused else "at work"), "text"
    engine = study.engine
    if study.died and study.events:
        return f"gone since {clock(study.events[-1].at)[:5]}: {study.died}; {run} goes on", "infra"
    if engine is None or engine.ended_at is None:
        return f"not begun: {run} starts it", "text"
    done = engine.ended_by is Ended.EXPERIMENTS and not verified(study.experiments, study.incumbent, study.decision)
    on = "`cockpit --experiments N` takes more" if done else f"{run} goes on"
    because = f": {engine.because}" if engine.because else ""  # which may be long
    text = f"ended {clock(engine.ended_at)[:5]}: {(engine.ended_by or Ended.DIED).words}; {on}{because}"
    return text, "infra" if because else "text"


def _lost(since: Happened) -> list[str]:
    """The shares of the tokens and of the slot's time that came to nothing."""
    lines = []
    for resource, of in ((TOKENS, "the tokens"), (SECONDS, "the slot's time")):
        parts = shares(since.spent, resource)
        whole = sum(amount for _, amount in parts)
        lost = [(share.word, amount / whole) for share, amount in parts if share.word in LOST and amount >= whole / 200]
        if lost:
            words = ", ".join(f"{word} {100 * part:.0f}" for word, part in lost)
            lines.append(f"{100 * sum(part for _, part in lost):.0f} % of {of}: {words}")
    return lines


def most_lost(since: Happened) -> tuple[str, int, str] | None:
    """What failed most often, how often, and of what; None where nothing did."""
    refused = sum(since.refusals.values())
    every = [
        *((f"refused: {name}", number, count(refused, "refusal")) for name, number in since.refusals.items()),
        *((f"failed: {name}", number, f"{since.ran} that ran") for name, number in since.failures.items()),
        *((f"call failed: {name}", number, count(since.calls, "call")) for name, number in since.calls_failed.items()),
        *([("interrupted", since.interrupted, count(since.runs, "run"))] if since.interrupted else []),
    ]
    return max(every, key=lambda one: one[1], default=None)


def fix(since: Happened, reason: str, ledger: str = "5") -> str:
    """The first thing to try, and what speaks for it. `ledger` is the key that shows that."""
    cut = since.cut.get(reason.removeprefix("refused: "), 0)
    number = since.refusals.get(reason.removeprefix("refused: "), 0)
    if cut and 2 * cut >= number:  # what it was not shown it cannot know
        return (
            f"a larger num_ctx in [model]: {since.cut_prompts} of {since.prompts} prompts were cut, "
            f"and {cut} of these {number} came from those"
        )
    newest = since.newest_failed.get(reason.removeprefix("failed: "))
    log = f" (`cockpit logs {name_of(newest)}`)" if newest is not None and reason.startswith("failed: ") else ""
    return MENDED.get(reason, f"what the ledger says of it: {ledger}") + log


def worth_saying(since: Happened) -> bool:
    """Whether anything has happened at all."""
    return bool(since.ran or since.proposed or since.calls_failed or since.interrupted)


def keys_of(study: Snapshot, keys: Keymap) -> Sequence[tuple[str, str]]:
    """What there is to do from here."""
    first = (("enter", "the first offer"),) if study.offers else ()
    return (*first, (keys["panel_5"], "the ledger"), ("esc", "to the list"))
