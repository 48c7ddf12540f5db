"""What keys show: which panel, which experiment, what is searched for, what is marked. The engine is asked nothing."""

import asyncio
from typing import Any

from msgspec.structs import replace
from textual import work
from textual.events import Key
from textual.widgets import Input

from cockpit.deciding import Deciding
from cockpit.line import one_line
from cockpit.listing import listed
from cockpit.panels import PANELS
from cockpit.view import Choices
from cockpit.widgets.panel import Panel
from cockpit.widgets.search import Search

COPIED = "copied.txt"  # in the study's folder: what was copied last


class Looking(Deciding):
    """The part of the screen that looks at what is there. Where panels stand, and when they are drawn, is elsewhere."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.search = Search()
        self.panels: list[Panel] = [panel(self.choose) for panel in PANELS]
        self._shown = 1
        self._detail = 3  # the panel that is shown of those about one experiment
        self._zoomed = False

    def arrange(self) -> bool:
        """Show the panels for which there is room. Whether they are others than before."""
        raise NotImplementedError

    @property
    def panel(self) -> Panel:
        """The panel that has the keys."""
        return self.panels[self._shown - 1]

    def select(self, number: int) -> None:
        """Select an experiment, on all panels; at once, so that a key that was typed ahead goes on from there."""
        if number != self.selected:
            self.selected = number
            self.see()

    def action_panel(self, number: int) -> None:
        """Show a panel, and give it the keys."""
        self._shown = number
        if self.arrange():
            self.call_after_refresh(self.see)  # what is wanted depends on the room there is
        self.see()

    def action_next_panel(self, by: int) -> None:
        """The next panel, or the one before."""
        self.action_panel((self._shown - 1 + by) % len(PANELS) + 1)

    def action_open(self) -> None:
        """The diff of what is selected."""
        if self._shown in (1, 2) and self.selected is not None:
            self.open_diff(self.selected)

    async def action_back(self) -> None:
        """To the list; in the list, forget what is marked, and then what was searched."""
        if self._zoomed:
            self.action_zoom()
        elif self._shown == 1 and (self.marks or self._mark_from is not None):
            self.marks, self._mark_from = set(), None
            self.see()
        elif self._shown == 1 and self.choices.search:
            self.search.value = ""
            self._seek()
        else:
            self.action_panel(1)

    def action_zoom(self) -> None:
        """The panel that has the keys alone, or all of them again."""
        self._zoomed = not self._zoomed
        self.arrange()
        self.call_after_refresh(self.see)

    async def action_search(self) -> None:
        """Write what is searched for; the list follows at every letter, and what is selected is in it."""
        if not self.search.is_attached:
            await self.mount(self.search, before="#strip")
        self.search.began_at = self.selected
        self.search.display = True
        self.action_panel(1)
        self.screen.set_focus(self.search)

    def _write_search(self, event: Key) -> bool:
        """A key while that is written. Whether it was taken here; what moves the cursor is the line's own."""
        if event.key in ("enter", "escape", "ctrl+c"):
            self.search.display = False
            self.action_panel(1)
            if event.key != "enter":
                self.search.value = ""
                self._seek()
                if self.search.began_at is not None:
                    self.select(self.search.began_at)
            return True
        if taken := self.search.write(event):
            self._seek()
        return taken

    def on_input_changed(self, event: Input.Changed) -> None:
        """It was pasted, or cut."""
        if event.input is self.search:
            self._seek()

    def _seek(self) -> None:
        sought = self.search.value
        if sought != self.choices.search:
            self.choose(replace(self.choices, search=sought, inverted=self.choices.inverted and bool(sought)))

    def action_copy(self) -> None:
        """Copy the name of what is selected: by the terminal (OSC 52), which may not take it, and into a file."""
        if (one := self.one) is not None:
            name = one_line(one.branch)
            self.copy_to_clipboard(name)
            self._keep_copy(name)

    @work(group="copy", exclusive=True)
    async def _keep_copy(self, text: str) -> None:
        file = self.place.folder / COPIED
        try:
            if self.readonly:
                raise OSError
            await asyncio.to_thread(file.write_text, f"{text}\n")
        except OSError:  # the terminal may have taken it all the same
            self.say(f"{text} is copied, if the terminal allows it", "dim")
        else:
            self.say(f"{text} is copied, if the terminal allows it; and into {file}", "dim")

    def action_mark(self) -> None:
        """Mark what is selected, or do not any more; and go on to the next. Where one reads it is a page down."""
        if self._shown > 2:
            self.action_page(1)
        elif (one := self.one) is not None:
            before = set(self.marks)
            self.mark([one.number], off=one.number in self.marks)
            if self.marks != before:
                self.action_move(1)
            self.see()

    def action_mark_range(self) -> None:
        """Begin a range of marks at what is selected; the second time, mark all from there to here."""
        if self.study is None or (one := self.one) is None:
            return
        if self._shown != 1:
            self.say(f"{self.keymap['mark_range']} marks a range in the list: {self.keymap['panel_1']}", "dim")
            return
        start, self._mark_from = self._mark_from, one.number
        if start is None:
            self.say(f"{self.keymap['mark_range']} again marks all from there to here", "dim")
            return
        self._mark_from = None
        if self.mark(listed(self.study, self.choices, spaced=False).between(start, one.number), off=False):
            self.say(f"{len(self.marks)} marked", "dim")

    def open_diff(self, number: int) -> None:
        """Select an experiment, and show its diff from the top; the key of that panel goes to where one has been."""
        self.select(number)
        self.panels[2].begin()
        self.action_panel(3)

    def action_move(self, by: int) -> None:
        """So many down or up."""
        number = self.panel.step(by, -1 if self.selected is None else self.selected)
        if number is None:
            self.panel.scroll_lines(by)
        else:
            self.select(number)

    def action_page(self, by: float) -> None:
        """So many pages down or up."""
        self.action_move(round(by * self.panel.page_lines))

    def action_end(self, last: bool) -> None:
        """The first, or the last."""
        self.action_move(len(self.panel.body) if last else -len(self.panel.body))

    def choose(self, choices: Choices) -> None:
        """A person wants to see it so, on all panels."""
        before, self.choices = self.choices, choices
        sought = (choices.search, choices.inverted) != (before.search, before.inverted)
        shown = listed(self.study, choices, spaced=False) if sought and self.study else None
        if shown and shown.numbers and self.selected not in shown.numbers:
            self.selected = shown.numbers[0]  # nobody decides on what is not listed
        self.see()
