"""The sheets, which come in front: of a merge, for a reason to reject, the help, and what went wrong."""

import asyncio
from collections.abc import Mapping, Sequence
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
from cockpit.feed import Snapshot
from cockpit.keys import Keymap, help_lines
from cockpit.line import Line, Piece, fit, line, one_line, wrap
from cockpit.merging import MOST, changed_since, merge_lines
from cockpit.patch import Change, Patch
from cockpit.view import Want
from cockpit.widgets.panel import Foot, Lines
from store.away import Happened
from store.planned import Plan
from store.records import Experiment

LOOKS, LOOK_SECONDS = 200, 0.005  # at a sheet that is not there yet
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
        Binding("ctrl+z", "app.suspend_process", show=False, id="suspend"),
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

    async def there(self) -> None:
        """Wait until it can take a key: what is typed ahead may come before it."""
        for _ in range(LOOKS):
            if self.is_mounted:
                break
            await asyncio.sleep(LOOK_SECONDS)

    def write(self, event: Key) -> bool:
        """Take a key that writes. Whether it was."""
        return False

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
    WIDTH = 100  # in which an offer's sentence is whole

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

    def __init__(self, plan: Plan, study: Snapshot | None, keys: Keymap) -> None:
        super().__init__("What this study can answer", keys)
        self._plan, self._study = plan, study

    def lines(self, width: int) -> Sequence[Line]:
        """The rows of the plan."""
        return plans.card(self._plan, width, self._study)


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
        self._since = ""  # what has changed since it was opened

    def wants(self) -> Sequence[Want[Any]]:
        """What it changes, until that is read."""
        return (self._patch,) if self._patch and self._changes is None else ()

    def count(self, found: Mapping[Want[Any], Any]) -> None:
        """What it changes, where that is among what was read."""
        if self._patch and self._patch in found and self._changes is None:
            self._changes = found[self._patch]
            if self.is_attached:
                self.take_room(self.app.size)

    def meanwhile(self, study: Snapshot) -> None:
        """The study goes on behind it: what it says may be so no more."""
        if (since := changed_since(self._study, study, self._chosen)) != self._since:
            self._since = since
            if self.is_attached:
                self.take_room(self.app.size)

    def foresee(self, conflicts: str) -> None:
        """Why they cannot be merged together; nothing where they can."""
        self._foreseen = conflicts
        self.take_room(self.app.size)

    def lines(self, width: int) -> Sequence[Line]:
        """The sheet's text."""
        said = merge_lines(self._study, self._chosen, self._changes, width, self._foreseen, self.keymap)
        since = [line((text, "bold bad")) for text in wrap(self._since, width, 3)] if self._since else []
        return [*since, *([line()] if since else []), *said]

    def keys(self) -> Sequence[tuple[str, str]]:
        """The first is the one that merges; there is none where they conflict."""
        keys, sure = self.keymap, all(one.known for one in self._chosen)
        merge = [("enter", "merge") if sure else (keys["merge_at_once"], "merge it unconfirmed")]
        alone = [(keys["panel_3"], "diff"), (keys["reject"], "reject instead")] if len(self._chosen) == 1 else []
        if self._since:  # nothing is decided on what was seen before
            return (("esc", "back"), *alone[:1])
        return (*([] if self._foreseen else merge), ("esc", "back"), *alone)

    def action_confirmed(self) -> None:
        """Enter is enough for what is confirmed."""
        if all(one.known for one in self._chosen):
            self.action_answer("merge")

    def action_answer(self, answer: str) -> None:
        """Yes, or something else. What conflicts, or has changed, is not merged, and the sheet stays and says why."""
        barred = self._since if answer == "reject" else self._foreseen or self._since if answer == "merge" else ""
        if not barred and (answer == "merge" or len(self._chosen) == 1):
            self.dismiss(answer)


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

    def write(self, event: Key) -> bool:
        """A key is written at once, and enter is the end of it: what is typed after that goes where it is meant to."""
        if event.key == "enter":
            self.dismiss(self.words.value)
        elif event.is_printable and event.character:
            self.words.replace(event.character, *self.words.selection)
        else:
            return False
        return True


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

    def __init__(self, keys: Keymap, *, is_read: bool = True) -> None:
        super().__init__("A note for the next proposals", "your note, on one line", keys)
        self._is_read = is_read

    def lines(self, width: int) -> Sequence[Line]:
        """Who reads it."""
        text = (
            "The model reads it with what it knows of the study, from its next proposal on. It is kept in the record."
            if self._is_read
            else "No model is asked, and the optimiser reads no notes. It is kept in the record, for a model that is."
        )
        return [line((text, "dim")) for text in wrap(text, width, 3)]
