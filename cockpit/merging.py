"""What a merge will do, in lines: what one gets and gives, what is not known, and what hinders it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cockpit import figures
from cockpit.besides import besides
from cockpit.card import changed
from cockpit.feed import Objective, Snapshot
from cockpit.keys import TABLE, Keymap
from cockpit.line import Line, Piece, fit, line, wrap
from cockpit.pages import count, verified
from cockpit.patch import Change, Kind
from cockpit.progress import brief, priced
from store.records import FULL, Experiment, State, Word, name_of

MOST, FEW = 6, 3  # experiments that are named; and with two lines each


def changed_since(before: Snapshot, now: Snapshot, chosen: Sequence[Experiment]) -> str:
    """Why a merge that was looked at before would be refused now, as the engine says it; nothing where it would not."""
    if before.study and now.study and before.study.trunk != now.study.trunk:
        was, is_at = before.study.trunk[:7], now.study.trunk[:7]
        return f"trunk has moved since you looked: it was at {was}, and is at {is_at}"
    for one, other in ((one, now.experiment(one.number)) for one in chosen):
        if other is not None and other.over and not one.over:
            return f"{one.id} is {other.state} since you looked"
        if other is not None and other.verdict and (one.verdict is None or one.verdict.id != other.verdict.id):
            return f"the verdict on {one.id} has changed since you looked: {other.verdict.line}"
    return ""


def is_apart(study: Snapshot, chosen: Sequence[Experiment]) -> bool:
    """Whether what trunk would be is nobody's tree yet: of several, or of one that was made from another trunk."""
    return len(chosen) > 1 or chosen[0].stale(study.incumbent)


def hindrance(study: Snapshot, one: Experiment, verb: str, keys: Keymap = TABLE) -> str:
    """Why an experiment cannot be merged, or rejected, as things stand; nothing where it can. The engine decides."""
    if one.number == 0:
        return "e0000 is the baseline: there is nothing to decide"
    if one.state in (State.MERGED, State.REJECTED):
        return f"{one.id} is {one.state} already; {keys['undo']} takes the last decision back"
    if one.state is State.FAILED:
        return f"{one.id} failed: there is nothing to decide"
    if verb == "reject":
        return ""
    if not one.measurements:
        return f"{one.id} is {one.state}, and has no measurement to go by"
    if one.verdict is not None and one.verdict.word is Word.INFEASIBLE:
        return f"{one.id} is infeasible: {one.verdict.sentence}; the bound is in cockpit.toml"
    return ""


def merge_lines(
    study: Snapshot,
    chosen: Sequence[Experiment],
    changes: Sequence[Change] | str | None,
    width: int,
    foreseen: str | None = None,
    keys: Keymap = TABLE,
) -> list[Line]:
    """What you get, what you give, what is not known, what happens to git, what it does not touch, how to undo.

    `foreseen` is why several, or a stale one, cannot be merged onto trunk: nothing where they can, None before it is
    known.
    """
    one, rows = chosen[0], list[tuple[str, list[Piece]]]()
    said = one.verdict
    if len(chosen) > 1:
        head = list[Line]()
        for each in chosen[:MOST]:
            how = _how(study, each, width - len(each.id) - 1, few=len(chosen) <= FEW)
            names = (each.id, " " * len(each.id))
            head += [line((f"{name} ", "bold"), (text, "text")) for name, text in zip(names, how, strict=False)]
        if len(chosen) > MOST:
            head.append(line((f"and {len(chosen) - MOST} more", "dim")))
    elif said is None:
        head = [line(("no verdict yet", "bold"))]
    else:
        head = [line((text, "bold")) for text in wrap(said.sentence, width, 3)]
        seeds = f"{said.seeds} seed{'s' if said.seeds > 1 else ''}"
        head.append(line((f"{said.word}, {said.evidence} on {seeds}", "dim")))
        for title, moved, style in WORTH:
            parts = [
                _part(study, one, objective, figure)
                for objective in study.objectives
                if (figure := said.figures.get(objective.name)) and moved(figure)
            ]
            if title == GIVE:  # a price is said in its own measure too
                given: list[list[Piece]] = [[(part, style), (f"   {values}", "dim")] for part, values in parts]
                rows += [(title if not index else "", pieces) for index, pieces in enumerate(given)]
            elif parts:
                texts = wrap("   ".join(part for part, _ in parts), width - 14, 3)
                rows += [(title if not index else "", [(text, style)]) for index, text in enumerate(texts)]
    rows += _besides(study, chosen, width - 14)
    rows += [("", [])] if rows else []
    files = [change for change in changes or () if isinstance(change, Change) and change.kind is Kind.FILE]
    counted = f"   {count(len(files), 'file')}, +{sum(one.added for one in files)} −{sum(one.removed for one in files)}"
    trunk = study.study.trunk[:7] if study.study else "?"
    apart = is_apart(study, chosen)
    if doubt := verified(study.experiments, study.incumbent, study.decision, keys["undo"]):
        rows += [("but" if not index else "", [(text, "bad")]) for index, text in enumerate(wrap(doubt, width - 14, 3))]
    for each in chosen:
        if each.parent not in (each.root, study.incumbent):
            beside = f"the change of {name_of(each.parent or 0)}, from which {each.id} was made"
            rows.append(("takes too", [(beside, "offer")]))
    made = f"→ a merge commit{counted if files and len(chosen) == 1 else ''}"
    rows.append(("trunk", [(f"{trunk} {'stays' if foreseen else made}", "text")]))
    if apart:
        if len(chosen) == 1:
            stood = f"{name_of(one.root or 0)}, and trunk is {name_of(study.incumbent)} now"
            rows.append(("stale", [(f"made from {stood}", "offer")]))
        if foreseen:
            texts = wrap(foreseen, width - 14, 5)
            rows += [("conflicts" if not index else "", [(text, "bold bad")]) for index, text in enumerate(texts)]
            if len(chosen) > 1:
                rows.append(("instead", [(keys["mark"], "bold sky"), ("   in the list unmarks one of them", "text")]))
            return [*head, line(), *(line((f"{name:14}", "dim"), *pieces) for name, pieces in rows)]
        what = "what they do together" if len(chosen) > 1 else "what it does there"
        rows.append(("not known", [(what, "text"), ("   effects do not add up", "dim")]))
        met: list[Piece] = ["none", ("   no knob and no line in common", "dim")]
        rows.append(("conflicts", [("looked for…", "dim")] if foreseen is None else met))
        rows.append(
            ("to verify", [("one run, before all else", "text"), (f"   {keys['undo']} if it does not hold", "dim")])
        )
    else:
        rows.append(("conflicts", [("none", "text"), ("   trunk has not moved since", "dim")]))
        rows.append(("to verify", [("nothing", "text"), ("   the tree stays as measured", "dim")]))
    taken = {each.number for each in chosen}
    if stale := sum(row.stale(-1) for row in study.experiments if row.number not in taken):
        texts = wrap(f"{stale} open: judged by what trunk was, can still be merged", width - 14, 2)
        rows += [("then stale" if not index else "", [(text, "dim")]) for index, text in enumerate(texts)]
    rows.append(("not touched", [("your branch, your files", "text"), ("   cockpit land takes it", "dim")]))
    rows.append(("undo", [(keys["undo"], "bold sky"), ("   while it is the last decision", "dim")]))
    body = [line((f"{name:14}", "dim"), *pieces) for name, pieces in rows]
    if all(one.known for one in chosen):
        return [*head, line(), *body]
    warning = "Not confirmed on fresh seeds: a part of what is shown may be chance."
    return [*head, line(), *body, line(), *(line((text, "bad")) for text in wrap(warning, width, 2))]


def _how(study: Snapshot, one: Experiment, room: int, *, few: bool) -> list[str]:
    """One of several, in two lines where they are few; else in one, in which its price stands next to its gain."""
    said = one.verdict
    if said is None or few:
        return wrap(said.line if said else "no verdict yet", room, 2)
    stands = f"{said.word}, {said.evidence}: "
    return [stands + priced(study, one, brief(said.sentence), room - len(stands)).rstrip()]


def _besides(study: Snapshot, chosen: Sequence[Experiment], room: int) -> list[tuple[str, list[Piece]]]:
    """What nobody is asked about and each of them changes by much; of several what is worse first, each by its name."""
    found = [
        (f"{one.id} {each.text}" if len(chosen) > 1 else each.text, each.worse)
        for one in chosen
        if one.verdict
        for each in besides(study.objectives, one, study.experiment(one.verdict.incumbent))
    ]
    found.sort(key=lambda each: not each[1])
    most = MOST if len(chosen) == 1 else FEW
    texts = [(fit(text, room).rstrip(), "bad" if worse else "dim") for text, worse in found[:most]]
    texts += [(f"and {len(found) - most} more", "dim")] if len(found) > most else []
    return [("besides" if not index else "", [text]) for index, text in enumerate(texts)]


def _hoped(figure: Mapping[str, Any]) -> bool:
    """Better by what would matter, and not surely so; or not known at all."""
    return bool(figure["moved"] == "open" or (figure["moved"] == "safe" and figure["gain"] > figure["smallest"]))


GIVE = "you give"
WORTH: tuple[tuple[str, Callable[[Mapping[str, Any]], bool], str], ...] = (
    ("you get", lambda figure: bool(figure["moved"] == "up"), "good"),
    (GIVE, lambda figure: bool(figure["moved"] == "down"), "bad"),
    ("not known", _hoped, "text"),
)


def _part(study: Snapshot, one: Experiment, objective: Objective, figure: Mapping[str, Any]) -> tuple[str, str]:
    """How far one moves an objective from what it was judged against; and from what to what."""
    base = study.experiments[one.verdict.incumbent if one.verdict else 0]
    before, own = (
        next((m.value for m in each.at(figure.get("fidelity", FULL)) if m.objective == objective.name), None)
        for each in (base, one)
    )
    said = " ".join(text for text in (objective.label, *changed(objective, figure, before)) if text)
    values = [figures.value(value, quality=objective.quality) for value in (before, own) if value is not None]
    return said, f"{' → '.join(values)} {objective.unit}".rstrip()
