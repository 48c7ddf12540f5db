"""The lines around the panels: the status above, the tabs where there is room for one panel, what happened last."""

from collections.abc import Sequence

from cockpit import figures
from cockpit.feed import Snapshot
from cockpit.keys import TABLE, Keymap
from cockpit.line import Line, Piece, apart, fit, line
from cockpit.pages import clock, count, few, verified
from cockpit.panels import NAMES as TITLES
from cockpit.view import LEAST_COLUMNS, LEAST_ROWS, View
from store.place import Place
from store.records import BROKE, Ended, Verification


def state(study: Snapshot, now: float, keys: Keymap, *, slim: bool) -> list[Piece]:
    """What the engine does: since when, or why it does not."""
    engine = study.engine
    if study.pid is not None and engine is not None and engine.pid == study.pid and engine.ended_at is None:
        since = figures.lasted(now - engine.started_at)
        since = since.replace(" h ", "h").replace(" ", "") if slim else since
        return [("∙ paused ", "bold text") if study.paused else ("► running ", "sky"), (since, "text")]
    if study.pid is not None:
        return [("► starting", "sky")]
    if engine is None:
        return [("not begun", "dim")]
    if engine.ended_at is None:
        last = study.events[-1].at if study.events else engine.started_at
        return [
            (f"! engine gone since {clock(last)[:5]}", "bold infra"),
            ("" if slim else f"   {keys['run']} goes on", "text"),
        ]
    why = (engine.ended_by or Ended.DIED).words
    bad = engine.ended_by in (*BROKE, Ended.BASELINE_FAILED)
    return [(f"ended {clock(engine.ended_at)[:5]}: {why}", "bold infra" if bad else "text")]


def named(place: Place, *, readonly: bool) -> str:
    """What the study is called in the status line."""
    return f"{place.name} (readonly)" if readonly else place.name


def status(study: Snapshot, name: str, now: float, width: int, keys: Keymap = TABLE) -> Line:
    """One line: the study, its engine, what there is to decide; and with what it runs."""
    slim = width < 100
    gap = "  " if slim else "   "
    facts, rows = study.facts, study.experiments
    left: list[Piece] = [(f" {name}", "bold"), gap, *state(study, now, keys, slim=slim), gap]
    left.append((f"{len(rows)} {'exp' if slim else 'experiment' if len(rows) == 1 else 'experiments'}", "text"))
    if verified(rows, study.incumbent, study.decision):
        fails = rows[study.incumbent].verification is Verification.FAILS
        text = f"! trunk {rows[study.incumbent].id} does not hold" if fails else "trunk is not verified yet"
        left.append((gap + text, "bold bad" if fails else "dim"))
    if offers := study.offers:
        left.append((f"{gap}◊ {offers} offer{'s' if offers > 1 else ''}", "bold offer"))
    if study.keeps and study.keeps.confirmed:
        luck = f"{few(study.keeps.expected_false)} by luck"
        left.append((f", {luck}" if slim and offers else f"{gap}{study.keeps.confirmed} confirmed, {luck}", "dim"))
    if study.hopeful:
        left.append((f"{gap}{study.hopeful} promising", "bold good"))
    limits = facts.get("limits") or {}
    room = width - sum(len(piece if isinstance(piece, str) else piece[0]) for piece in left) - 2
    right: list[Piece] = []
    if facts:
        parts: list[tuple[str, str]] = []
        if most := limits.get("experiments"):
            parts.append((f"{max(0, most - len(rows))} of {most} left", "text"))
        if facts.get("no_wall"):
            parts.append(("no wall", "bold infra"))
        else:
            parts.append((facts["wall"] if slim else f"wall {facts['wall']}", "dim"))
        parts.append(
            ("no model" if facts["model"] == "none" else fit(facts["model"], min(22, len(facts["model"]))), "dim")
        )
        if width >= 180:
            parts += [(f"memory by {facts['meter']}", "dim"), (f"bench {facts['bench'][:7]}", "dim")]
        for text, style in parts:
            if len(text) + len(gap) <= room:
                right = [(text, style), gap if right else "", *right]
                room -= len(text) + len(gap)
    return apart(left, [*right, " "], width, ground="bar")


def tabs(shown: int, width: int) -> list[Line]:
    """The names of the panels, and a rule that is heavy under the one that is shown."""
    pieces: list[Piece] = [" "]
    under: list[Piece] = []
    gap = _gap(width)
    for number, title in enumerate(TITLES, 1):
        on = number == shown
        pieces += [(f"{number} ", "bold sky"), (title, "bold" if on else "dim"), " " * gap]
        size = len(title) + 2 + gap
        under.append(("━" * size if on else "─" * size, "sky" if on else "rule"))
    drawn = sum(len(title) + 2 + gap for title in TITLES)
    return [line(*pieces), line(*under, ("─" * max(0, width - drawn), "rule"))]


def _gap(width: int) -> int:
    """Between two names."""
    return 2 if width > sum(len(title) + 4 for title in TITLES) else 1


def tab_at(column: int, width: int) -> int | None:
    """The panel whose name stands there."""
    at = 1
    for number, title in enumerate(TITLES, 1):
        if at <= column < at + len(title) + 2:
            return number
        at += len(title) + 2 + _gap(width)
    return None


def strip(
    study: Snapshot, said: tuple[str, str] | None, rows: int, width: int, marked: int = 0, keys: Keymap = TABLE
) -> list[Line]:
    """What happened last, the newest first; what was answered to a key comes before it, and how many are marked."""
    lines = [line((" ", ""), (fit(said[0], width - 1), said[1]))] if said else []
    if study.died and study.events:
        text = f"! the engine is gone since {clock(study.events[-1].at)[:5]}: {study.died}. {keys['run']} goes on"
        lines.append(line((" ", ""), (fit(text, width - 1), "infra")))
    if marked:
        those = "them together" if marked > 1 else "it"
        text = f"{marked} marked: {keys['merge']} merges {those}, {keys['back']} in the list forgets"
        lines.append(line((" ", ""), (fit(text, width - 1), "bold sky")))
    for event in reversed(study.events):
        style = "infra" if event.data.get("because") else "text"  # something broke
        lines.append(line((f" {clock(event.at)}  ", "dim"), (fit(event.text, width - 11), style)))
    return [*lines, *[line()] * rows][:rows]


def too_small(view: View, name: str, columns: int, rows: int) -> Sequence[Line]:
    """What is said where there is no room for more."""
    study, waiting = view.study, view.study.offers
    experiments = count(len(study.experiments), "experiment")
    offers: Piece = (f"◊ {waiting} offer{'s wait' if waiting > 1 else ' waits'} for you", "bold offer")
    texts: tuple[Sequence[Piece], ...] = (
        [f"cockpit needs {LEAST_COLUMNS}x{LEAST_ROWS}"],
        [f"this terminal is {columns}x{rows}"],
        [],
        [(f"{name}  ", "bold"), *state(study, view.now, view.keys, slim=True)],
        [offers if waiting else experiments],
        [],
        ["make it larger, or use"],
        ["cockpit status"],
        ["cockpit experiments"],
        [],
        [f"{view.keys['quit']} quit, the engine goes on"],
    )
    margin = " " * max(0, (columns - 26) // 2)
    lines = [line(), *(line(margin, *text) for text in texts)]
    for blank in [at for at, text in enumerate(lines) if not text.text.strip()][::-1]:  # give way, the last first
        if len(lines) > rows:
            del lines[blank]
    return lines
