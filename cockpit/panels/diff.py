"""Panel 3: the case for one experiment, in the order of trust.

The sentence and the figures, which are measured; the hypothesis, quoted; then the diff.
"""

from collections.abc import Sequence

from cockpit.card import card
from cockpit.feed import Snapshot
from cockpit.glyphs import look
from cockpit.line import LazyLines, Line, Piece, apart, fit, line, right, wrap
from cockpit.pages import verified
from cockpit.patch import Change, Kind
from cockpit.view import Drawing, View
from cockpit.widgets.panel import Panel
from store.records import Experiment, State, by, name_of

NUMBERS = 5  # columns of a line number
LOOKS = {Kind.ADDED: ("+", "added"), Kind.REMOVED: ("−", "removed"), Kind.SAME: (" ", "")}


def change_line(change: Change) -> Line:
    """One line of a diff."""
    if change.kind is Kind.FILE:
        return line((change.text, "bold"), f"  +{change.added} −{change.removed}")
    if change.kind is Kind.HUNK:
        return line((f"@@ {change.new}{f' · {change.text}' if change.text else ''}", "dim"))
    if change.kind is Kind.NOTE:
        return line((f"  {change.text}", "faint"))
    mark, ground = LOOKS[change.kind]
    numbers = "".join(right("" if number is None else str(number), NUMBERS) for number in (change.old, change.new))
    pieces: list[Piece] = [(f"{numbers} ", "faint"), (f"{mark} ", {"+": "bold sky", "−": "bold bad"}.get(mark, ""))]
    at = 0
    for start, end in change.words:
        pieces += [change.text[at:start], (change.text[start:end], f"bold {ground}-word")]
        at = end
    pieces.append(change.text[at:])
    return line(*pieces, ground=ground)


class Body(LazyLines):
    """The head's lines, then the diff's."""

    def __init__(self, head: Sequence[Line], changes: Sequence[Change]) -> None:
        self._head, self._changes = head, changes

    def __len__(self) -> int:
        return len(self._head) + len(self._changes)

    def line_at(self, index: int) -> Line:
        """One of the head's, or of the diff's."""
        if index < len(self._head):
            return self._head[index]
        return change_line(self._changes[index - len(self._head)])


def case(study: Snapshot, one: Experiment, width: int) -> list[Line]:
    """What stands above the diff."""
    glyph, word, style, _ = look(one)
    said = one.verdict
    how = f"{said.word}, {said.evidence} on {said.runs}" if said and one.number else ""
    lines = [
        apart(
            [(f"{glyph} {word}", f"bold {style}"), ("  ", ""), (one.id, "bold"), f"  {one.slug}"], [(how, "dim")], width
        )
    ]
    if one.stale(study.incumbent):
        stale = f"stale: made from {name_of(one.parent or 0)}, and trunk is {name_of(study.incumbent)} now"
        lines.append(line((fit(stale, width).rstrip(), "offer")))
    if one.number == study.incumbent and (doubt := verified(study.experiments, study.incumbent, study.decision, "u")):
        lines += [line((text, "bad")) for text in wrap(doubt, width, 3)]
    if one.state is State.FAILED:
        lines += [line((text, "bad")) for text in wrap(f"{one.failure}: {one.detail}", width, 3)]
    elif said and one.number:
        lines += [line((text, "bold")) for text in wrap(said.sentence, width, 2)]
        lines += [line((text, "dim")) for text in wrap(said.explanation, width, 3) if said.explanation]
    elif one.number == 0:
        lines.append(line("the unchanged code: all is compared with it"))
    else:
        lines.append(line(("no verdict yet", "dim")))
    if one.hypothesis:
        who = f"  by {by(one.proposer)}" if one.proposer else ""
        lines.append(line((fit(f"“{one.hypothesis}", width - len(who) - 1).rstrip() + "”", "dim"), (who, "faint")))
    against = study.experiment(said.incumbent if said else one.parent if one.parent is not None else 0)
    return [*lines, *card(study, one, against, width), line()]


class Diff(Panel):
    """The case, and what it changes."""

    number = 3
    title = "Diff"

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """All of it, in one scroll."""
        one, study = view.one, view.study
        if one is None:
            return Drawing([line(), line("  No experiment is selected.")])
        head = case(study, one, width - 1)
        note = [(f"against {name_of(one.parent)}", "dim")] if one.parent is not None else []
        if one.parent is None:
            return Drawing([_indented(text) for text in head])
        diff = view.diffs.get(one.number)
        if isinstance(diff, str):
            head = [*head, line((diff, "bad"))]
        elif diff is None:
            head = [*head, line(("reading the diff…", "dim"))]
        changes = diff if diff and not isinstance(diff, str) else []
        return Drawing(Body([_indented(text) for text in head], changes), note=note)


def _indented(text: Line) -> Line:
    return line(" ", *text.pieces, ground=text.ground)
