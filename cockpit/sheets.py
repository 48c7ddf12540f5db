"""The sheets, which come in front: what a merge will do, a reason to reject, the help, and what went wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key, Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from cockpit import away, plans
from cockpit import keys as table
from cockpit.besides import besides
from cockpit.card import changed
from cockpit.feed import Objective, Snapshot
from cockpit.keys import TABLE, Keymap, help_lines
from cockpit.line import Line, Piece, fit, line, one_line, wrap
from cockpit.pages import count, verified
from cockpit.patch import Change, Kind, Patch
from cockpit.view import Want
from cockpit.widgets.panel import Foot, Lines
from store.away import Happened
from store.planned import Plan
from store.records import FULL, Experiment, State, Word, name_of

MOST = 6  # experiments that a sheet names
REASONS = ("too slow", "too large", "loses too much", "too complex", "not what I want")  # to reject, in a few words


class Sheet(ModalScreen[str | None]):
    """Lines in a frame, and below them its keys. What it is left with is its answer; None is no."""

    DEFAULT_CSS = """
    Sheet { align: center middle; background: $background 60%; color: $foreground; }
    Sheet:ansi { background: transparent; }
    Sheet > Vertical { background: $background; border: solid $border; border-title-color: $foreground;
        border-title-style: bold; padding: 1 2 0 2; height: auto; width: auto; }
    Sheet Lines { background: $background; }
    Sheet Input { border: none; height: 1; margin: 0 0 1 0; padding: 0; background: $surface; color: $foreground; }
    Sheet Input:ansi > .input--cursor { color: ansi_default; background: ansi_default; text-style: reverse; }
    """
    BINDINGS = [
        Binding("escape,ctrl+c", "leave", show=False),
        Binding("q", "leave", show=False, id="quit"),
        Binding("ctrl+l", "app.redraw", show=False, id="redraw"),
        Binding("j,down", "scroll(1)", show=False, id="down"),
        Binding("k,up", "scroll(-1)", show=False, id="up"),
        Binding("space", "scroll(10)", show=False, id="mark"),
        Binding("pagedown", "scroll(10)", show=False, id="page_down"),
        Binding("ctrl+d", "scroll(10)", show=False, id="half_down"),
        Binding("pageup", "scroll(-10)", show=False, id="page_up"),
        Binding("ctrl+u", "scroll(-10)", show=False, id="half_up"),
    ]
    WIDTH: ClassVar[int] = 74
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("esc", "back"),)

    def __init__(self, title: str, keys: Keymap) -> None:
        super().__init__()
        self._title, self.keymap = one_line(title), keys
        self.said, self.foot = Lines(), Foot()
        self._room = Size(0, 0)

    def lines(self, width: int) -> Sequence[Line]:
        """What it says."""
        raise NotImplementedError

    def keys(self) -> Sequence[tuple[str, str]]:
        """Its keys, and what each does."""
        return self.KEYS

    def below(self) -> Sequence[Widget]:
        """What stands between the lines and the keys."""
        return ()

    def compose(self) -> ComposeResult:
        """A frame with the lines in it, which takes the room that it needs at once."""
        self.take_room(self.app.size)
        with Vertical() as frame:
            frame.border_title = Content(fit(self._title, min(cell_len(self._title), 60)))
            yield self.said
            yield from self.below()
            yield self.foot

    def on_resize(self, event: Resize) -> None:
        """There may be more room, or less."""
        if event.size != self._room:
            self.take_room(event.size)

    def take_room(self, room: Size) -> None:
        """As wide as it is meant to be, as high as its lines are; what does not fit is scrolled, its keys are not."""
        self._room = room
        width = max(20, min(self.WIDTH, room.width - 8))
        rows = self.lines(width)
        most = room.height - 4 - 2 * len(self.below())  # what is blank below the keys, or above them, gives way
        height, under = max(1, min(len(rows) + 1, most)), 2 if len(rows) + 1 < most else 1
        pieces, keys = list[Piece](), self.keys()
        if height < len(rows):
            keys = ((f"{self.keymap['down']} {self.keymap['up']}", "more"), *keys)
        for key, does in keys:
            pieces += [*(["   "] if pieces else []), (key, "bold sky"), f" {does}"]
        for one, many, body in ((self.said, height, rows), (self.foot, under, [line(*pieces)])):
            one.styles.width, one.styles.height = width, many
            if one.is_attached:
                self.call_after_refresh(one.show, body)
            else:
                one.body = body
        for widget in self.below():
            widget.styles.width = width

    def action_leave(self) -> None:
        """No."""
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """What does not fit is read line by line."""
        self.said.scroll_to(y=self.said.scroll_offset.y + by, animate=False, force=True)


class Help(Sheet):
    """The keys and the glyphs."""

    BINDINGS = [Binding("enter", "leave", show=False), Binding("question_mark", "leave", show=False, id="help")]
    WIDTH = 112

    def __init__(self, panel: str, own: Sequence[table.Key], keys: Keymap) -> None:
        super().__init__(f"Help: {panel}", keys)
        self._panel, self._own = panel, own

    def lines(self, width: int) -> Sequence[Line]:
        """From the one table, which begins with the keys of the panel that has them."""
        return help_lines(width, self._panel, self._own, self.keymap)


class Away(Sheet):
    """What has happened since somebody looked last."""

    BINDINGS = [
        Binding("enter", "answer('offer')", show=False),
        Binding("5", "answer('ledger')", show=False, id="panel_5"),
    ]

    def __init__(self, study: Snapshot, since: Happened, now: float, keys: Keymap) -> None:
        super().__init__("While you were away", keys)
        self._study, self._since, self._now = study, since, now

    def lines(self, width: int) -> Sequence[Line]:
        """The card."""
        return away.away(self._study, self._since, self._now, width, self.keymap)

    def keys(self) -> Sequence[tuple[str, str]]:
        """To the first offer, where there is one."""
        return away.keys_of(self._study, self.keymap)

    def action_answer(self, answer: str) -> None:
        """Leave it for what was asked."""
        self.dismiss(answer)


class Planned(Sheet):
    """What the study can answer."""

    BINDINGS = [Binding("enter", "leave", show=False), Binding("i", "leave", show=False, id="plan")]
    WIDTH = 90

    def __init__(self, plan: Plan, keys: Keymap) -> None:
        super().__init__("What this study can answer", keys)
        self._plan = plan

    def lines(self, width: int) -> Sequence[Line]:
        """The rows of the plan."""
        return plans.card(self._plan, width)


class Told(Sheet):
    """Something that has to be read as a whole: an error, or why something is not done."""

    BINDINGS = [Binding("enter", "leave", show=False)]

    def __init__(self, title: str, text: str, keys: Keymap) -> None:
        super().__init__(title, keys)
        self._text = text

    def lines(self, width: int) -> Sequence[Line]:
        """The text, wrapped."""
        return [line((text, "bad")) for text in wrap(self._text, width, 40)]


class Merge(Sheet):
    """What will happen, before it does. What is not confirmed is merged by `M` alone."""

    BINDINGS = [
        Binding("enter", "confirmed", show=False),
        Binding("M", "answer('merge')", show=False, id="merge_at_once"),
        Binding("x", "answer('reject')", show=False, id="reject"),
        Binding("3", "answer('diff')", show=False, id="panel_3"),
    ]

    def __init__(self, study: Snapshot, chosen: Sequence[Experiment], patch: Patch | None, keys: Keymap) -> None:
        several = f"{len(chosen)} experiments together" if len(chosen) > 1 else f"{chosen[0].id} {chosen[0].slug}"
        super().__init__(f"Merge {several} into trunk?", keys)
        self._study, self._chosen, self._patch = study, chosen, patch
        self._changes: Sequence[Change] | str | None = None
        self._foreseen: str | None = None

    def wants(self) -> Sequence[Want[Any]]:
        """What it changes, until that is read."""
        return (self._patch,) if self._patch and self._changes is None else ()

    def count(self, found: Mapping[Want[Any], Any]) -> None:
        """What it changes, where that is among what was read."""
        if self._patch and self._patch in found and self._changes is None:
            self._changes = found[self._patch]
            if self.is_attached:
                self.take_room(self.app.size)

    def foresee(self, conflicts: str) -> None:
        """Why they cannot be merged together; nothing where they can."""
        self._foreseen = conflicts
        self.take_room(self.app.size)

    def lines(self, width: int) -> Sequence[Line]:
        """The sheet's text."""
        return merge_lines(self._study, self._chosen, self._changes, width, self._foreseen, self.keymap)

    def keys(self) -> Sequence[tuple[str, str]]:
        """The first is the one that merges; there is none where they conflict."""
        keys, sure = self.keymap, all(one.known for one in self._chosen)
        merge = [("enter", "merge") if sure else (keys["merge_at_once"], "merge it unconfirmed")]
        alone = ((keys["panel_3"], "diff"), (keys["reject"], "reject instead")) if len(self._chosen) == 1 else ()
        return (*([] if self._foreseen else merge), ("esc", "back"), *alone)

    def action_confirmed(self) -> None:
        """Enter is enough for what is confirmed."""
        if all(one.known for one in self._chosen) and not self._foreseen:
            self.dismiss("merge")

    def action_answer(self, answer: str) -> None:
        """Yes, or something else. What conflicts is not merged, and the sheet stays and says why."""
        if not self._foreseen if answer == "merge" else len(self._chosen) == 1:
            self.dismiss(answer)


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
            how = each.verdict.line if each.verdict else "no verdict yet"
            head.append(line((f"{each.id} ", "bold"), (fit(how, width - len(each.id) - 1), "text")))
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
                _part(study, said.incumbent, objective, figure)
                for objective in study.objectives
                if (figure := said.figures.get(objective.name)) and moved(figure)
            ]
            if parts:
                texts = wrap("   ".join(parts), width - 14, 3)
                rows += [(title if not index else "", [(text, style)]) for index, text in enumerate(texts)]
        also = besides(study.objectives, one, study.experiment(said.incumbent))
        rows += [
            ("besides" if not index else "", [(fit(each.text, width - 14).rstrip(), "bad" if each.worse else "dim")])
            for index, each in enumerate(also)
        ]
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
    rows.append(("trunk", [(f"{trunk} → a merge commit{counted if files and len(chosen) == 1 else ''}", "text")]))
    if apart:
        if len(chosen) == 1:
            made = f"{name_of(one.root or 0)}, and trunk is {name_of(study.incumbent)} now"
            rows.append(("stale", [(f"made from {made}", "offer")]))
        what = "what they do together" if len(chosen) > 1 else "what it does there"
        rows.append(("not known", [(what, "text"), ("   effects do not add up", "dim")]))
        if foreseen:
            texts = wrap(foreseen, width - 14, 5)
            rows += [("conflicts" if not index else "", [(text, "bold bad")]) for index, text in enumerate(texts)]
        else:
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


def _hoped(figure: Mapping[str, Any]) -> bool:
    """Better by what would matter, and not surely so; or not known at all."""
    return bool(figure["moved"] == "open" or (figure["moved"] == "safe" and figure["gain"] > figure["smallest"]))


WORTH: tuple[tuple[str, Callable[[Mapping[str, Any]], bool], str], ...] = (
    ("you get", lambda figure: bool(figure["moved"] == "up"), "good"),
    ("you give", lambda figure: bool(figure["moved"] == "down"), "bad"),
    ("not known", _hoped, "text"),
)


def _part(study: Snapshot, incumbent: int, objective: Objective, figure: Mapping[str, Any]) -> str:
    of = study.experiments[incumbent].at(figure.get("fidelity", FULL))
    base = next((m.value for m in of if m.objective == objective.name), None)
    return " ".join(text for text in (objective.label, *changed(objective, figure, base)) if text)


class Written(Sheet, inherit_bindings=False):
    """A sheet with a line to write on, which is its answer."""

    BINDINGS = [Binding("escape,ctrl+c", "leave", show=False, priority=True)]

    def __init__(self, title: str, placeholder: str, keys: Keymap) -> None:
        super().__init__(title, keys)
        self.words = Input(placeholder=placeholder, compact=True, select_on_focus=False)

    def below(self) -> Sequence[Widget]:
        """A line to write on."""
        return (self.words,)

    def on_mount(self) -> None:
        """It is written on at once."""
        self.words.focus()

    def on_key(self, event: Key) -> None:
        """What was typed before the line was there to be written on."""
        if self.focused is not None:
            return
        if event.key == "enter":
            self.dismiss(self.words.value)
        elif event.is_printable and event.character:
            self.words.insert_text_at_cursor(event.character)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: what was written."""
        self.dismiss(event.value)


class Reject(Written):
    """Why it is rejected; no reason is a reason too."""

    BINDINGS = [Binding("tab,down", "reason(1)", show=False), Binding("shift+tab,up", "reason(-1)", show=False)]
    KEYS = (("enter", "reject"), ("tab", "one of the reasons"), ("esc", "back"))

    def __init__(self, chosen: Sequence[Experiment], keys: Keymap) -> None:
        one = chosen[0]
        title = f"Reject {one.id} {one.slug}?" if len(chosen) == 1 else f"Reject {len(chosen)} experiments?"
        super().__init__(title, "why, if you like", keys)
        self._chosen = chosen
        self._own = ""

    def lines(self, width: int) -> Sequence[Line]:
        """What it does."""
        if len(self._chosen) > 1:
            head = [fit(_said(one), width).rstrip() for one in self._chosen[:MOST]]
            head += [f"and {len(self._chosen) - MOST} more"] if len(self._chosen) > MOST else []
        else:
            said = self._chosen[0].verdict
            head = wrap(said.line, width, 3) if said else ["no verdict yet"]
        names = (
            "Their branches keep their names and leave"
            if len(self._chosen) > 1
            else "Its branch keeps its name and leaves"
        )
        rest = wrap(f"{names} `git branch`. {self.keymap['undo']} takes it back.", width, 2)
        texts = [line((text, "dim")) for text in [*rest, "", *wrap(f"tab: {', '.join(REASONS)}", width, 2)]]
        return [*(line((text, "bold")) for text in head), line(), *texts]

    def action_reason(self, by: int) -> None:
        """The next of the reasons that are often meant."""
        now = self.words.value
        if now and now not in REASONS:
            self._own = now  # what was typed is one of them
        every = (*REASONS, self._own) if self._own else REASONS
        at = every.index(now) + by if now in every else 0 if by > 0 else -1
        self.words.value = every[at % len(every)]
        self.words.cursor_position = len(self.words.value)


def _said(one: Experiment) -> str:
    return f"{one.id}  {one.verdict.line if one.verdict else 'no verdict yet'}"


class Note(Written):
    """Something that the model is told."""

    KEYS = (("enter", "leave the note"), ("esc", "back"))

    def __init__(self, keys: Keymap) -> None:
        super().__init__("A note for the next proposals", "your note, on one line", keys)

    def lines(self, width: int) -> Sequence[Line]:
        """Who reads it."""
        text = (
            "The model reads it with what it knows of the study, from its next proposal on. It is kept in the record."
        )
        return [line((text, "dim")) for text in wrap(text, width, 3)]
