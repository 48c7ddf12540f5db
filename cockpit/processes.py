"""`@`: every git command and process that cockpit has started here, as the trail has them, while more are added.

The newest stands below, and stays in sight as long as it is what the cursor is on. Lines are read and searched in a
thread, and of them only those on the screen are drawn.
"""

import asyncio
import shlex
import signal
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Click, Key, MouseScrollDown, MouseScrollUp, Paste, Resize
from textual.geometry import Region
from textual.screen import ModalScreen

from cockpit import keys, sheets
from cockpit.keys import Keymap
from cockpit.line import Line, Piece, apart, fit, line, right, width_of, wrap
from cockpit.ran import command, ended, purpose, took
from cockpit.sheets import Sheet
from cockpit.text import clean
from cockpit.widgets.panel import Foot, Lines
from store import trail
from store.trail import FILE, OLDER, Ran, Tail

TITLE, KEYS = keys.PROCESSES, keys.OF_PROCESSES
POLL_SECONDS = 0.5
WHEEL = 3  # lines


# --- how one is said --------------------------------------------------------------------------------------------------


def what(ran: Ran, study: str) -> list[Piece]:
    """What it was for, and what was started. `study` is the study's folder."""
    if ran.missed:
        return [(f"{ran.missed} before this could not be kept: {ran.said}", "bad")]
    said, style = command(ran, study) or ran.said, "dim" if ran.reads else "text"
    return [(purpose(ran), style), (f"   {said}", "faint")] if ran.purpose else [(said, style)]


def _style(ran: Ran) -> str:
    return "bad" if ran.failed or ran.missed else "dim"


def searched(ran: Ran) -> str:
    """The text of one in which words are looked for."""
    return " ".join((ran.who, ended(ran), ran.purpose, *ran.argv, ran.folder, ran.said)).casefold()


def row(ran: Ran, study: str, width: int, *, selected: bool = False) -> Line:
    """One, on a line: when it ended, who started it, how long it took, how it ended, what it was."""
    head: list[Piece] = [
        (f" {_clock(ran.written_at)}  ", "dim"),
        (f"{fit(ran.who, 8)} ", "dim"),
        (f"{right(took(ran), 5)}  ", "dim"),
        (f"{fit(ended(ran), 11)} ", _style(ran)),
    ]
    return line(*head, *what(ran, study), ground="selected" if selected else "")


HEAD = line((f" {'ended':8}  {'by':8} {'took':>5}  {'exit':11} {'what'}", "faint"))


def details(ran: Ran, width: int, most: int) -> list[Line]:
    """All of one; its words on at most so many lines."""
    began, over = (datetime.fromtimestamp(at).astimezone() for at in (ran.at, ran.written_at))
    when = f"{began:%d %b %H:%M:%S}" + ("" if ran.goes_on else f" to {over:%H:%M:%S}, {took(ran)}")
    pid = f", pid {ran.pid}" if ran.pid is not None else ""
    number = -(ran.status or 0)
    name = f" ({signal.Signals(number).name})" if number in set(signal.Signals) else ""
    reads = "   it only reads" if ran.reads else ""
    rows = [
        line((f"{ran.who}  ", "bold"), (f"{when}  ", "text"), (f"{ended(ran)}{name}{pid}", _style(ran)), (reads, "dim"))
    ]
    if ran.missed:
        return [*rows, *_wrapped("why", ran.said, "bad", width, most)]
    rows += _wrapped("said", ran.said, "dim" if ran.asked else "bad", width, 2) if ran.said else []
    rows += _wrapped("for", ran.purpose, "text", width, 2) if ran.purpose else []
    rows += _wrapped("in", ran.folder, "dim", width, 2) if ran.folder else []
    return [*rows, *_wrapped("ran", shlex.join(ran.argv), "text", width, most)]


def _wrapped(name: str, text: str, style: str, width: int, most: int) -> list[Line]:
    texts = wrap(text, width - 6, most)
    return [line((f"{name if not index else '':6}", "faint"), (one, style)) for index, one in enumerate(texts)]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


# --- which are shown --------------------------------------------------------------------------------------------------


class Wanted(Struct, frozen=True):
    """Which are wanted: those in which these words are, and that may change something."""

    words: str = ""
    changing: bool = False


class Found(Struct, frozen=True):
    """What was read, and the numbers of the lines that are wanted. `texts` are of all lines, once words were wanted."""

    tail: Tail = field(default_factory=Tail)
    wanted: Wanted = Wanted()
    numbers: Sequence[int] = ()
    texts: Sequence[str] = ()


def look(folder: Path, before: Found, wanted: Wanted) -> Found:
    """What there is now, of which only what is new is read; the same where nothing is otherwise. Reads files."""
    tail, known = trail.grow(folder, before.tail), before.tail.end
    if tail is before.tail and wanted == before.wanted:
        return before
    texts = before.texts[tail.first - before.tail.first :]
    if wanted.words:
        texts = [*texts, *(searched(tail.ran(one)) for one in range(tail.first + len(texts), tail.end))]
    if wanted == Wanted():
        return Found(tail, wanted, range(tail.first, tail.end), texts)
    sought = wanted.words.casefold().split()

    def fits(number: int) -> bool:
        if wanted.changing and trail.READS in tail.lines[number - tail.first]:
            return False
        return all(word in texts[number - tail.first] for word in sought)

    stay = [one for one in before.numbers if one >= tail.first] if wanted == before.wanted else []
    fresh = range(max(known, tail.first) if wanted == before.wanted else tail.first, tail.end)
    return Found(tail, wanted, [*stay, *filter(fits, fresh)], texts)


# --- the page ---------------------------------------------------------------------------------------------------------


class Whole(Sheet):
    """One, with all of its words."""

    BINDINGS = [Binding("enter", "leave", show=False)]
    WIDTH = 110

    def __init__(self, ran: Ran, keymap: Keymap) -> None:
        super().__init__("What was started", keymap)
        self._ran = ran

    def lines(self, width: int) -> Sequence[Line]:
        """Everything that is known of it."""
        return details(self._ran, width, 60)


class Processes(ModalScreen[None]):
    """The page, over all panels."""

    DEFAULT_CSS = """
    Processes { background: $background; }
    Processes Foot { height: 1; }
    """
    BINDINGS = [*keys.bindings(KEYS)]

    def __init__(self, folder: Path, keymap: Keymap) -> None:
        super().__init__()
        self.said, self.foot, self.keymap = Lines(), Foot(), keymap
        self.found: Found | None = None  # until it is read
        self.wanted, self._writing = Wanted(), False
        self._folder = folder
        self._at: int | None = None  # the number of the line that the cursor is on; None is the newest, whichever it is
        self._top = 0  # the index of the first that is on the screen
        self._woken = asyncio.Event()

    def compose(self) -> ComposeResult:
        """What was started, and the keys."""
        yield self.said
        yield self.foot

    def on_mount(self) -> None:
        """Read them from now on."""
        self._follow()

    @work(exclusive=True, group="trail")
    async def _follow(self) -> None:
        """Read what is added, and what is wanted, as long as the page is open."""
        found = Found()
        while True:
            self._woken.clear()
            now = await asyncio.to_thread(look, self._folder, found, self.wanted)
            if now is not self.found:
                self.found = found = now
                self._draw()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)

    def on_resize(self, _: Resize) -> None:
        """There may be more room, or less."""
        self.call_after_refresh(self._draw)

    # --- drawing ------------------------------------------------------------------------------------------------------

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> "Processes":
        """Be painted anew; but not those regions in which Textual has seen the panels change that are behind it."""
        return self if regions else super().refresh(repaint=repaint, layout=layout, recompose=recompose)

    @property
    def _numbers(self) -> Sequence[int]:
        return self.found.numbers if self.found else ()

    @property
    def _index(self) -> int:
        """Of those that are shown, which one the cursor is on."""
        last = max(0, len(self._numbers) - 1)
        return last if self._at is None else min(bisect_left(self._numbers, self._at), last)

    @property
    def _below(self) -> int:
        """How many lines say more of one."""
        return 9 if self.size.height >= 36 else 6

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 3 - self._below)

    def _draw(self) -> None:
        """The lines that are in sight, and all of the one that the cursor is on."""
        width, found, index = self.size.width, self.found, self._index
        if not self.is_attached or not width:
            return
        numbers, room = self._numbers, self._room
        self._top = max(0, min(self._top, len(numbers) - room, index), index - room + 1)
        study = str(self._folder)
        shown = numbers[self._top : self._top + room]
        tail = found.tail if found else Tail()
        rows = [row(tail.ran(one), study, width, selected=self._top + at == index) for at, one in enumerate(shown)] or [
            line((f" {self._nothing()}", "dim"))
        ]
        rows += [line()] * (room - len(rows))
        rule = [line(("─" * width, "rule"))]
        below = [line(" ", *one.pieces) for one in details(tail.ran(numbers[index]), width - 2, 4)] if numbers else []
        if index == 0 and tail.unread:
            text = f"what was started before this is not read: {OLDER} and {FILE} in {study} have it"
            below = [*below[: self._below - 2], line((f" {text}", "dim"))]
        below += [line()] * self._below  # as many lines as ever: where there are others, all of them are painted
        self.said.show([*rows, *rule, *below[: self._below - 1]], [self._title(), HEAD])
        if self._writing:
            self.foot.show([line((" /", "bold sky"), f" {self.wanted.words}", ("▏", "sky"))])
        else:
            table = [(those, key.footer) for those, key in self.keymap.rows(KEYS) if key.footer]
            said = [((f" {those}", "bold sky"), (f" {does} ", "dim")) for those, does in table]
            while len(said) > 1 and sum(map(width_of, said)) > width:
                del said[-2]  # how one leaves it is always said
            self.foot.show([line(*(piece for pieces in said for piece in pieces))])

    def _nothing(self) -> str:
        """Why nothing is shown."""
        if self.found is None:
            return "reading…"
        if self.found.tail.lack:
            return self.found.tail.lack
        return (
            f"nothing like that was started: {self.keymap['back']} shows all"
            if self.found.tail.lines
            else "nothing was started yet"
        )

    def _title(self) -> Line:
        count, wanted = len(self._numbers), self.found.wanted if self.found else Wanted()
        parts = ["only what may change something"] if wanted.changing else []
        parts += [f"with {wanted.words!r}"] if wanted.words else []
        if self.found and self.found.tail.lack and count:
            parts.append("not read on")
        parts.append(f"{self._index + 1:,} of {count:,}" if count else "none")
        parts += ["follows"] if self._at is None else []
        note = ", ".join(parts)
        left: list[Piece] = [(f"{self.keymap['processes']} ", "bold sky"), (TITLE, "bold sky"), " "]
        return apart(
            left, [" ", (fit(note, min(len(note), self.size.width - 30)), "dim")], self.size.width, fill=("━", "sky")
        )

    # --- keys ---------------------------------------------------------------------------------------------------------

    async def on_key(self, event: Key) -> None:
        """A key does what it does before the next one is looked at, however fast they come."""
        if self._writing and self._write(event):
            event.stop()
        elif bound := self.active_bindings.get(event.key):
            event.stop()
            await self.app.run_action(bound.binding.action, bound.node)

    def _write(self, event: Key) -> bool:
        """A key while it is written what is looked for. Whether it was taken."""
        if event.key in ("enter", "escape", "ctrl+c"):
            self._writing = False
            self._want(self.wanted.words if event.key == "enter" else "")
        elif event.key in ("backspace", "ctrl+h"):
            self._want(self.wanted.words[:-1])
        elif event.key == "ctrl+u":
            self._want("")
        elif event.is_printable and event.character:
            self._want(self.wanted.words + event.character)
        else:
            return False
        return True

    def on_paste(self, event: Paste) -> None:
        """It was pasted."""
        if self._writing:
            event.stop()
            self._want(self.wanted.words + " ".join(clean(event.text.replace("\r", "\n")).split()))

    def _want(self, text: str) -> None:
        self.wanted = Wanted(text, self.wanted.changing)
        self._woken.set()
        self._draw()

    def action_filter(self) -> None:
        """Write what is looked for; what is shown follows at every letter."""
        self._writing = True
        self._draw()

    def action_changing(self) -> None:
        """Only what may change something, or all."""
        self.wanted = Wanted(self.wanted.words, not self.wanted.changing)
        self._woken.set()

    def action_move(self, by: int) -> None:
        """So many down or up. On the newest one it is followed."""
        to = self._index + by
        self._at = self._numbers[max(0, to)] if self._numbers and to < len(self._numbers) - 1 else None
        self._draw()

    def action_page(self, by: float) -> None:
        """So many pages down or up."""
        self.action_move(round(by * self._room))

    def action_end(self, last: bool) -> None:
        """The newest, or the oldest."""
        self.action_move(len(self._numbers) if last else -len(self._numbers))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves as the keys do."""
        event.stop()
        self.action_move(WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel moves as the keys do."""
        event.stop()
        self.action_move(-WHEEL)

    def on_click(self, event: Click) -> None:
        """What is clicked is what the cursor is on; the second time, all of it."""
        at = self._top + event.screen_y - 2
        if event.widget is self.said and 2 <= event.screen_y < 2 + self._room and at < len(self._numbers):
            again = at == self._index
            self.action_move(at - self._index)
            if again:
                self.action_whole()

    def action_whole(self) -> None:
        """All of one."""
        if self.found and self._numbers:
            self.app.push_screen(Whole(self.found.tail.ran(self._numbers[self._index]), self.keymap))

    def action_help(self) -> None:
        """The keys of this page, before all others."""
        self.app.push_screen(sheets.Help(TITLE, KEYS, self.keymap))

    def action_leave(self) -> None:
        """Forget what is looked for; without that, back to the panels."""
        if self.wanted.words:
            self._want("")
        else:
            self.dismiss(None)
