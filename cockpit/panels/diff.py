"""Panel 3: the case for one experiment, in the order of trust.

The sentence and the figures, which are measured; the hypothesis, quoted; then the diff.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import PurePath
from typing import Any

from textual.events import Resize

from cockpit import syntax
from cockpit.card import card
from cockpit.feed import Snapshot
from cockpit.glyphs import look
from cockpit.keys import DECIDE, LOOK, TABLE, Key, Keymap, bindings
from cockpit.line import LazyLines, Line, Piece, apart, fit, line, one_line, right, width_of, wrap
from cockpit.outside import editor, pager, show
from cockpit.pages import count, verified
from cockpit.patch import Change, Changes, Copy, Kind, Patch, Text, words
from cockpit.view import Arrangement, Drawing, View, Want
from cockpit.widgets.panel import Cell, Panel
from store.records import Experiment, State, by, name_of

LOOKS = {Kind.ADDED: ("+", "added"), Kind.REMOVED: ("−", "removed"), Kind.SAME: (" ", "")}
WIDEST = 1000  # characters of a line that are looked at: a file may be one line
MOST_QUOTED = 400  # lines of a hypothesis
LEAST_SLUG = 8  # columns, or it is left out
LEAST_BROAD = 79  # columns in which seeds are said to be seeds
LEAST_HIGH = 24  # lines: below, the case is brief, so that code is in sight
KEYS = (
    Key("next_hunk", "n", "hunk(1)", LOOK, "the next hunk; the one before", "hunk"),
    Key("previous_hunk", "N", "hunk(-1)", LOOK, ""),
    Key("next_file", "right_square_bracket", "file(1)", LOOK, "the next file; the one before"),
    Key("previous_file", "left_square_bracket", "file(-1)", LOOK, ""),
    Key("hypothesis", "h", "fold", LOOK, "why: the verdict's reasons, the hypothesis", "why"),
    Key("against", "d", "against", LOOK, "against trunk, or against the parent", "trunk"),
    Key("editor", "e", "edit", DECIDE, "a copy of the file, in $VISUAL or $EDITOR", "editor"),
    Key("pager", "o", "page_out", DECIDE, "the whole patch in $PAGER"),
)


@lru_cache(maxsize=2048)
def change_line(change: Change, twin: Change | None = None, name: str = "", digits: int = 3) -> Line:
    """One line of a diff: of the file of this name, and beside the line that it stands for."""
    if change.kind is Kind.FILE:
        return line(" ", (change.text, "bold"), f"  +{change.added} −{change.removed}")
    if change.kind is Kind.HUNK:
        return line((f" @@ {change.new}{f' · {change.text[:WIDEST]}' if change.text else ''}", "dim"))
    if change.kind is Kind.NOTE:
        return line((f"   {change.text[:WIDEST]}", "faint"))
    mark, ground = LOOKS[change.kind]
    old, new = ("" if number is None else str(number) for number in (change.old, change.new))
    pieces: list[Piece] = [
        (f" {right(old, digits)}{right(new, digits + 1)} ", "faint page"),
        (f"{mark} ", {"+": "bold sky", "−": "bold bad"}.get(mark, "")),
    ]
    own, other = _shown(change, twin), _shown(twin, change) if twin else ""
    differ = words(other, own)[1] if twin and change.kind is Kind.ADDED else words(own, other)[0] if twin else ()
    looks = ["text" if ground else "dim"] * len(own)
    for start, end, style in syntax.spans(name, own):
        looks[start:end] = [style] * (end - start)
    for start, end in differ:
        looks[start:end] = [f"bold {ground}-word"] * (end - start)
    for style, part in groupby(zip(own, looks, strict=True), key=lambda pair: pair[1]):
        pieces.append(("".join(character for character, _ in part), style))
    return line(*pieces, ground=ground)


def _shown(change: Change, twin: Change | None) -> str:
    """The part of a line that may come on a screen, clean. A carriage return at its end is shown where it is news."""
    text = change.text[:WIDEST]
    news = change.kind is not Kind.SAME and twin is not None and not twin.text.endswith("\r")
    return one_line(text if news else text.removesuffix("\r"))


class Body(LazyLines):
    """The head's lines, then the diff's; then so many empty ones that its last hunk can stand at the top."""

    def __init__(self, head: Sequence[Line], changes: Changes, note: str, width: int, height: int) -> None:
        self.head, self.changes, self._note, self._width = head, changes, note, width
        self.end = len(head) + len(changes)
        self._length = max(self.end, len(head) + changes.stops[-1] + height) if changes.stops else self.end
        self._digits = max(3, len(str(changes.highest)))

    def __len__(self) -> int:
        return self._length

    def line_at(self, index: int) -> Line:
        """One of the head's, of the diff's, or none."""
        if index < len(self.head):
            return self.head[index]
        if index >= self.end:
            return line()
        at = index - len(self.head)
        change, file = self.changes[at], self.changes.file(at)
        drawn = change_line(
            change, self.changes.twin(at), "" if file is None else self.changes[file].text, self._digits
        )
        if not at and self._note:
            drawn = apart(drawn.pieces, [(f"  {self._note} ", "dim")], self._width)
        return drawn


def case(
    study: Snapshot,
    one: Experiment,
    width: int,
    keys: Keymap = TABLE,
    *,
    unfolded: bool = False,
    brief: bool = False,
) -> list[Line]:
    """What stands above the diff. If `brief`, there is little room: how the verdict came about is folded, too."""
    said = one.verdict
    lines = [_name(one, width)]
    if one.stale(study.incumbent):
        stale = f"stale: made from {name_of(one.root or 0)}, and trunk is {name_of(study.incumbent)} now"
        lines.append(line((fit(stale, width).rstrip(), "offer")))
    if one.number == study.pinned:
        lines.append(line((fit("pinned: the next proposals start from it", width).rstrip(), "offer")))
    if one.parent not in (one.root, study.incumbent):
        taken = f"from {name_of(one.parent or 0)}, which was pinned: measured are both changes"
        lines.append(line((fit(taken, width).rstrip(), "offer")))
    doubt = verified(study.experiments, study.incumbent, study.decision, keys["undo"])
    if one.number == study.incumbent and doubt:
        lines += [line((text, "bad")) for text in wrap(doubt, width, 3)]
    why = ""
    if one.state is State.FAILED:
        lines += [line((text, "bad")) for text in wrap(f"{one.failure}: {one.detail}", width, 3)]
    elif said and one.number:
        why = said.explanation
        lines += [line((text, "bold")) for text in wrap(said.sentence, width, 2)]
        if why and (unfolded or not brief):
            lines += [line((text, "dim")) for text in wrap(why, width, 5)]
    elif one.number == 0:
        lines.append(line("the unchanged code: all is compared with it"))
    else:
        lines.append(line(("no verdict yet", "dim")))
    lines += quotation(one, width, unfolded=unfolded, lead="why  " if why and brief else "")
    against = study.experiment(said.incumbent if said else one.root or 0)
    return [*lines, *card(study, one, against, width, brief=brief), *([] if brief else [line()])]


def _name(one: Experiment, width: int) -> Line:
    """Which it is, and what was said of it; its slug has what room is left."""
    glyph, word, style, _ = look(one)
    said = one.verdict
    how: list[Piece] = []
    if said and one.number:
        seeds = f" on {count(said.seeds, 'seed')}" if width >= LEAST_BROAD else f" {said.seeds}"
        how = [said.word, (f", {said.evidence}{seeds}", "dim")]
    name: list[Piece] = [(f"{glyph} {word}", f"bold {style}"), "  ", (one.id, "bold")]
    room = width - width_of(name) - width_of(how) - 4
    slug = [f"  {fit(one.slug, room).rstrip()}"] if room >= min(LEAST_SLUG, len(one.slug)) else []
    return apart([*name, *slug], how, width)


def quotation(one: Experiment, width: int, *, unfolded: bool, lead: str = "") -> list[Line]:
    """What its proposer says of it, quoted: on one line, with what is folded there, too, or all of it."""
    if not one.hypothesis:
        return [line(("▸ ", "sky"), (lead, "dim"))] if lead and not unfolded else []
    who = f"by {by(one.proposer)}" if one.proposer else ""
    if unfolded:
        said = f"{who}, {one.operator}" if one.operator else who
        quoted = wrap(f"“{one_line(one.hypothesis)}”", width - 2, MOST_QUOTED)
        marks = [("▾ ", "sky"), *[("  ", "")] * (len(quoted) - 1)]
        rows = [line(mark, (text, "dim")) for mark, text in zip(marks, quoted, strict=True)]
        return [*rows, *([line((f"  {said}", "faint"))] if said else [])]
    room = width - 4 - len(lead) - (len(who) + 2 if who else 0)
    if room < 24:  # the words before who said them
        who, room = "", width - 4 - len(lead)
    words = one_line(one.hypothesis[:WIDEST])
    left: list[Piece] = [("▸ ", "sky"), (lead, "dim"), (f"“{fit(words, room).rstrip()}”", "dim")]
    return [apart(left, [(f"  {who}", "faint")] if who else [], width)]


def patch_of(study: Snapshot, one: Experiment, *, against_trunk: bool = False) -> Patch | None:
    """What it changes in what it was made from, or in trunk; trunk itself is never looked at against itself."""
    old = study.experiment(one.parent) if one.parent is not None else None
    if old and against_trunk and one.number != study.incumbent:
        old = study.experiment(study.incumbent)
    return Patch(old.commit, one.commit) if old else None


def against(study: Snapshot, one: Experiment, *, against_trunk: bool) -> str:
    """What the diff is against, in words."""
    trunk = one.parent == study.incumbent or (against_trunk and one.number != study.incumbent)
    return f"against trunk, {name_of(study.incumbent)}" if trunk else f"against {name_of(one.parent or 0)}"


class Diff(Panel):
    """The case, and what it changes."""

    number = 3
    title = "Diff"
    cell = Cell.DETAIL
    rank = 3
    keys = KEYS
    BINDINGS = bindings(KEYS)

    def wants(self, view: View) -> Sequence[Want[Any]]:
        """The patch of what is selected."""
        patch = self._patch(view)
        return (patch,) if patch else ()

    def _patch(self, view: View | None) -> Patch | None:
        one = view.one if view else None
        return patch_of(view.study, one, against_trunk=view.choices.against_trunk) if view and one else None

    def draw(self, view: View, width: int, height: int) -> Drawing:
        """All of it, in one scroll, below its name."""
        one, study = view.one, view.study
        if one is None:
            return Drawing([line(), line("  No experiment is selected.")])
        brief = height < LEAST_HIGH
        name, *head = case(study, one, width - 1, view.keys, unfolded=view.choices.unfolded, brief=brief)
        if one.parent is None:
            return Drawing([_indented(text) for text in head], [_indented(name)])
        note = against(study, one, against_trunk=view.choices.against_trunk)
        patch = self._patch(view)
        found = view.get(patch) if patch else None
        if not isinstance(found, Changes):
            head.append(line((found, "bad") if found else ("reading the diff…", "dim")))
        elif not found:
            head.append(line(("no file differs", "dim")))
        changes = found if isinstance(found, Changes) else Changes(())
        ruled = view.arrangement is not Arrangement.NARROW  # else there is no rule to say it on
        body = Body([_indented(text) for text in head], changes, "" if ruled else note, width, height - 1)
        return Drawing(body, [_indented(name)], [(note, "dim")])

    # --- moving -------------------------------------------------------------------------------------------------------

    def _body(self) -> Body | None:
        return self.drawing.body if isinstance(self.drawing.body, Body) else None

    @property
    def _end(self) -> int:
        """How far one can scroll without coming to where nothing stands."""
        body = self._body()
        return max(0, body.end - (self.size.height - len(self.head))) if body else self.scroll_offset.y

    def scroll_lines(self, by: int) -> None:
        """Line by line one does not come to where nothing stands."""
        super().scroll_lines(max(0, min(by, self._end - self.scroll_offset.y)) if by > 0 and self._body() else by)

    def on_resize(self, _: Resize) -> None:
        """Where there is more room, what stands above fills it."""
        self.call_after_refresh(lambda: self._scroll(min(self.scroll_offset.y, self._end)))

    def action_hunk(self, by: int) -> None:
        """The next hunk at the top, or the one before."""
        self._stop(by, "hunk", lambda changes: changes.stops)

    def action_file(self, by: int) -> None:
        """The next file at the top, or the one before."""
        self._stop(by, "file", lambda changes: changes.files)

    def _stop(self, by: int, what: str, of: Callable[[Changes], Sequence[int]]) -> None:
        """Above the first is the case; below the last is nothing."""
        if (body := self._body()) is None:
            return
        stops, at = of(body.changes), self.scroll_offset.y - len(body.head)
        index = bisect_right(stops, at) if by > 0 else bisect_left(stops, at) - 1
        if index < len(stops):
            self._scroll(len(body.head) + stops[index] if index >= 0 else 0)
        else:
            self.post_message(self.Said(f"there is no {what} after this one", "dim"))

    # --- looking otherwise --------------------------------------------------------------------------------------------

    def action_fold(self) -> None:
        """All that its proposer says, or the first line."""
        if self.view and self.view.one:
            self.choose(unfolded=not self.view.choices.unfolded)
            self._scroll(0)

    def action_against(self) -> None:
        """Against trunk, or against the parent."""
        if self.view is None or (one := self.view.one) is None or one.parent is None:
            return
        study, trunk = self.view.study, not self.view.choices.against_trunk
        if one.number == study.incumbent:
            said = f"{one.id} is trunk: it is shown against its parent"
        elif one.parent == study.incumbent:
            said = f"{one.id} was made from trunk, {name_of(one.parent)}: parent and trunk are the same"
        else:
            self.choose(against_trunk=trunk)
            said = f"{one.id} {against(study, one, against_trunk=trunk)}"
        self.post_message(self.Said(said, "dim"))

    # --- in another program -------------------------------------------------------------------------------------------

    def action_edit(self) -> None:
        """The file at the top in an editor, as it is in the experiment: a copy, that nobody takes for the file."""
        body, one = self._body(), self.view.one if self.view else None
        if body is None or one is None or not body.changes:
            self.post_message(self.Said("there is no file to open", "dim"))
            return
        at = max(0, self.scroll_offset.y - len(body.head))
        at = min(at, len(body.changes) - 1)
        file = body.changes.file(at) or 0
        name = body.changes[file].text
        if body.changes[file + 1 : file + 2] and body.changes[file + 1].text.startswith("deleted file mode"):
            self.post_message(
                self.Said(f"{name} is not in {one.id}, which deletes it: there is no copy to open", "dim")
            )
            return
        start = max(at, file + 1)
        below = body.changes[start : start + WIDEST]
        if below and below[0].kind is Kind.HUNK:  # from its head on: to what is changed in it
            below = below[next((n for n, one in enumerate(below) if one.kind in (Kind.ADDED, Kind.REMOVED)), 0) :]
        number = next((change.new for change in below if change.new is not None or change.kind is Kind.FILE), None)

        def then(content: bytes | Exception) -> None:
            if isinstance(content, Exception):
                self.post_message(self.Said(f"{name} of {one.id} cannot be read: {content}", "bad"))
                return
            said, style = show(self.app, editor(number or 1), PurePath(name).name, content)
            self.post_message(self.Said(said or f"{name} of {one.id}: a copy, your files are not touched", style))

        self.post_message(self.Asked(Copy(one.commit, name), then))

    def action_page_out(self) -> None:
        """All of the patch, clean, in a pager."""
        if (patch := self._patch(self.view)) is None:
            self.post_message(self.Said("there is no patch to show", "dim"))
            return

        def then(text: str | Exception) -> None:
            if isinstance(text, Exception):
                self.post_message(self.Said(f"the diff cannot be read: {text}", "bad"))
                return
            said, style = show(self.app, pager(), "patch", text.encode(errors="replace"), piped=True)
            if said:
                self.post_message(self.Said(said, style))

        self.post_message(self.Asked(Text(patch), then))


def _indented(text: Line) -> Line:
    return line(" ", *text.pieces, ground=text.ground)
