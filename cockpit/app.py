"""The screen: wiring. What is shown is made by the panels, from what `feed` reads; what is asked is a command."""

import asyncio
import gc
import os
import signal
import sqlite3
import time
from contextlib import suppress
from functools import partial
from threading import Timer
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Click, Event, Key, Paste, Resize
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from cockpit import bars, feed, keys
from cockpit.configuration import CONFIGURATION, Configuration
from cockpit.feed import Snapshot
from cockpit.first import PATIENCE_SECONDS, First, selected
from cockpit.later import later
from cockpit.line import line, one_line
from cockpit.looking import Looking
from cockpit.view import Arrangement, Repository, Source, View, Want, arrangement
from cockpit.widgets.panel import Cell, Foot, Lines, Panel
from cockpit.widgets.search import Search
from cockpit.widgets.terminal import Following
from store import planned
from store.away import AWAY_SECONDS, Happened, happened
from store.away import seen as looked_at
from store.database import Database, RecordTooNew, RecordTooOld
from store.place import Place, engine_pid
from store.records import offers

if TYPE_CHECKING:
    from cockpit import away, palette, processes, sheets
else:
    away, palette = later("cockpit.away"), later("cockpit.palette")
    processes, sheets = later("cockpit.processes"), later("cockpit.sheets")

MARK_SECONDS = 60.0  # between two marks that somebody is at the keys
LEAVING_SECONDS = 2.0  # for a terminal that has hung up to be left as it was
FRESH_SECONDS = 0.5  # after it was drawn nothing is drawn anew for the time alone
AGAIN_SECONDS = 1.0  # after the first picture, until it is painted once more
UNSEEN = ("quit", "suspend_process", "redraw")  # what a key does where there is no room to see what it would do
STILL_SECONDS = 1.0  # after a key nothing is listed in another order


class Page(Screen[None]):
    """What all of it stands on. Textual's own is painted as a whole whenever the keys go elsewhere."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)


class Tabs(Lines):
    """The names of the panels; a click on one shows it."""

    def on_click(self, event: Click) -> None:
        """Show the panel whose name was clicked."""
        if (number := bars.tab_at(event.x, self.size.width)) and isinstance(self.app, Cockpit):
            self.app.action_panel(number)


class Cockpit(Looking):
    """A study on the screen. It ends with an error that is to be raised, or with None."""

    CSS = """
    Page, Page:ansi { background: $background; color: $foreground; }
    #status, #keys { height: 1; }
    #strip { height: 1; }
    #gap { height: 1; }
    #tabs { height: 2; display: none; }
    #panels { height: 1fr; layout: grid; grid-gutter: 0 1; }
    #panels { grid-size: 2; grid-columns: 12fr 11fr; grid-rows: 10fr 11fr 5; }
    #experiments { row-span: 2; }
    #ledger { column-span: 2; }
    .narrow #tabs { display: block; }
    .narrow #gap { display: none; }
    .narrow #panels { grid-size: 1; grid-columns: 1fr; grid-rows: 1fr; }
    .narrow #experiments { row-span: 1; }
    .narrow #ledger { column-span: 1; }
    .huge #panels { grid-size: 3; grid-columns: 86 54fr 58fr; grid-rows: 1fr 24; grid-gutter: 1 2; }
    .huge #experiments { row-span: 1; }
    .huge #ledger { column-span: 1; }
    .huge #strip { height: 2; }
    #small { display: none; }
    .none #small { display: block; }
    .none #status, .none #gap, .none #tabs, .none #panels, .none #strip, .none #keys { display: none; }
    """
    BINDINGS = [*keys.bindings()]
    COMMAND_PALETTE_BINDING = "ctrl+p"
    TITLE = "cockpit"

    def __init__(
        self,
        place: Place,
        git: Repository,
        experiments: int | None = None,
        seconds: float | None = None,
        *,
        with_changes: bool = False,
        readonly: bool = False,
        configuration: Configuration = CONFIGURATION,
        first: First | None = None,
    ) -> None:
        super().__init__(
            place, git, experiments, seconds,
            with_changes=with_changes, readonly=readonly, configuration=configuration,
        )  # fmt: skip
        self.driver_class = Following
        self.animation_level = "none"
        self.status, self.strip, self.small = (Lines(name) for name in ("status", "strip", "small"))
        self.keys = Foot("keys")
        self.tabs = Tabs("tabs")
        self._start = with_changes or self._limits != (None, None)
        self._quitting = False
        self._minute = 0
        self._begun, self._read_first = asyncio.Event(), asyncio.Event()
        self.first = first
        seen = first.study if first else None
        known = seen is not None and (seen.whole or len(seen.experiments) > feed.FEW)  # else all of it is read first
        self._first = seen if known else None  # what is shown when there is something to show it on
        self._untold: tuple[Happened, Snapshot] | None = None  # what has happened while nobody was here
        self._marked_at = time.monotonic()
        self._seen_at = 0.0  # when it was drawn last, by the clock that only goes on
        self._key_at = 0.0  # when a key was pressed last, by the same clock
        self._arrangement = Arrangement.NONE
        self._room = Size(0, 0)

    # --- what there is ------------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """The one on which all of it stands."""
        return Page(id="_default", classes=arrangement(*self.size).value)

    def compose(self) -> ComposeResult:
        """Status, panels, strip, keys."""
        yield self.status
        yield Lines("gap")
        yield self.tabs
        with Container(id="panels"):
            yield from sorted(self.panels, key=lambda one: one.cell)
        yield self.strip
        yield self.keys
        yield self.small

    async def on_load(self) -> None:
        """Read what is looked at first, so that it is there at once; where that takes long it comes later.

        And from before the terminal is taken on, end so that it is left as it was whatever ends us.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, partial(self.exit, return_code=128 + signal.SIGTERM))
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        self._follow(self._first)
        if self._first is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._read_first.wait(), PATIENCE_SECONDS)

    def on_mount(self) -> None:
        """Show it."""
        self.app_resume_signal.subscribe(self, lambda _: self.refresh())  # after `fg` there is nothing left of it
        self._room = self.size
        self.arrange()
        self.set_interval(1.0, self._tick)
        if self._first is not None:
            self.show(self._first)
            self.first = self._first = None  # both would be kept as they were then
        else:
            self.status.show([line((f" {self.place.name}  ", "bold"), ("reading the record…", "dim"))])
        self._begun.set()

    @work(exclusive=True, group="feed")
    async def _follow(self, first: Snapshot | None) -> None:
        """Show the study, as it is now, unless that is known `first`, and as it goes on."""
        if first is not None:
            await self._begun.wait()
        try:
            mine = not self.readonly and await asyncio.to_thread(engine_pid, self.place.folder) is None
            async with await Database.open(self.place.folder, create=mine, migrate=mine) as database:
                self.database = database
                if (view := self._view()) is not None:
                    self._read_what_is_wanted(view)
                seen = await asyncio.to_thread(self._seen_before)
                if first is not None and first.whole:  # where nothing changes, no other one follows
                    await self._tell_since(seen, database, first)
                    seen = None
                async for study in feed.follow(self.place, database, self._counts, first):
                    if not self._begun.is_set():  # there is nothing yet to show it on
                        self._first = study
                        self._read_first.set()
                        await self._begun.wait()
                    else:
                        if self.study is not None and self.study.whole:  # who presses keys sees the list stand still
                            await asyncio.sleep(max(0.0, self._key_at + STILL_SECONDS - time.monotonic()))
                        if self.study is not None and study.last_event < self.study.last_event:
                            continue  # an answer to a key has shown what came after it
                        self.show(study)
                    if study.whole:
                        await self._tell_since(seen, database, study)
                        seen = None
        except RecordTooOld as error:
            told = "the record is of an earlier cockpit: a screen without --readonly makes it this one's"
            alive = await asyncio.to_thread(engine_pid, self.place.folder)
            self.exit(error if alive else RecordTooOld(told))
        except (RecordTooNew, sqlite3.Error, OSError) as error:
            self.exit(error)

    def _counts(self) -> bool:
        """Whether what came of what was spent is on the screen."""
        return any(panel.display and panel.counts for panel in self.panels)

    def _seen_before(self) -> float | None:
        """When somebody looked last, where anybody did; and that somebody looks now."""
        try:
            return looked_at(self.place.folder, now=not self.readonly)
        except OSError:  # then nothing is said of it
            return None

    async def _tell_since(self, seen: float | None, database: Database, study: Snapshot) -> None:
        """What has happened since somebody looked last, where that is long ago."""
        if seen is not None and time.time() - seen >= AWAY_SECONDS:
            self._untold = await happened(database, seen), study
            self._while_away()

    def _while_away(self) -> None:
        """What has happened since, where anything has; once there is room, and no sheet in front."""
        if self._untold is None or len(self.screen_stack) > 1 or self._arrangement is Arrangement.NONE:
            return
        (since, study), self._untold = self._untold, None

        def answered(answer: str | None) -> None:
            if answer == "ledger":
                self.action_panel(5)
            elif answer == "offer" and (waiting := offers(study.experiments)):
                self.open_diff(waiting[0].number)

        if away.worth_saying(since):
            self.push_screen(sheets.Away(study, since, time.time(), self.keymap), answered)

    @work(group="plan", exclusive=True)
    async def action_plan(self) -> None:
        """What the study can answer, as it was foreseen last."""
        if self.database is None:
            return
        with suppress(sqlite3.Error):  # who follows the study says what is wrong with the record
            if (found := await planned.latest(self.database)) is None:
                self.say("what it can answer is foreseen once the baseline has run")
            elif len(self.screen_stack) == 1:
                self.push_screen(sheets.Planned(found, self.study, self.keymap))

    def show(self, study: Snapshot) -> None:
        """This is how the study stands now. Where it has never begun, it begins."""
        if self.study is None:
            self.refresh()
            self.set_timer(AGAIN_SECONDS, self.refresh)  # some of a first picture has been seen to be lost on its way
            if not self.readonly and (self._start or (study.engine is None and study.pid is None)):
                self.go_on()
        if study.whole and not gc.isenabled():
            gc.freeze()
            gc.enable()
        if self.study and (self.study.pid is None) is not (study.pid is None):
            self.said = None  # it was said of an engine that is no more, or is only now
        self.study = study
        self._heed_the_end(study)
        for sheet in self._merging:
            sheet.meanwhile(study)
        if self.selected is None:
            self.selected = selected(study, self.choices)
        self.see()

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _view(self) -> View | None:
        if self.study is None:
            return None
        return View(
            self.study,
            -1 if self.selected is None else self.selected,
            time.time(),
            self._arrangement,
            self.reader.found,
            frozenset(self.marks),
            self.choices,
            self.keymap,
        )

    def see(self, *, ticking: bool = False) -> None:
        """Draw what there is; while the time ticks, only what changes with it."""
        if (view := self._view()) is None:
            return
        self._seen_at = time.monotonic()
        columns, rows = self._room
        if self._arrangement is Arrangement.NONE:
            self.small.show(bars.too_small(view, self.place.name, columns, rows))
            return
        if self.said and time.monotonic() > self._said_until:
            self.said = None
        name = bars.named(self.place, readonly=self.readonly)
        self.status.show([bars.status(view.study, name, view.now, columns, self.keymap)])
        lines = 2 if self._arrangement is Arrangement.HUGE else 1
        self.strip.show(bars.strip(view.study, self.said, lines, columns, len(self.marks), self.keymap))
        foot = keys.footer(self._shown, self.panel.keys, columns, self._would(), self.keymap)
        self.keys.show([keys.foot(Search.KEYS) if self.search.display else foot])
        if self._arrangement is Arrangement.NARROW:
            self.tabs.show(bars.tabs(self._shown, columns))
        for panel in self.panels:
            if not ticking or panel.ticks:
                panel.see(view)
        self._read_what_is_wanted(view)

    def _read_what_is_wanted(self, view: View) -> None:
        """Have read what the panels on the screen want, and is not known, or not any more."""
        if self.database is not None:
            event = view.study.last_event
            for want in self.reader.due(self._wants(view), event):
                self._read(self.database, want, event)

    def _wants(self, view: View) -> list[Want[Any]]:
        panels = [want for panel in self.panels if panel.display for want in panel.wants(view)]
        return [*panels, *(want for sheet in self._merging for want in sheet.wants())]

    def _hang_up(self) -> None:
        """Leave, and as a line that has dropped takes nothing more, within a moment.

        Textual waits for what it writes to be written, and where nobody reads it that may be for ever.
        """
        left = Timer(LEAVING_SECONDS, os._exit, (128 + signal.SIGHUP,))
        left.daemon = True
        left.start()
        self.exit(return_code=128 + signal.SIGHUP)

    @property
    def _merging(self) -> list["sheets.Merge"]:
        """The sheet that says what a merge will do, while it is in front."""
        return [screen for screen in self.screen_stack[1:] if isinstance(screen, sheets.Merge)]

    @work(group="read")
    async def _read(self, database: Database, want: Want[Any], event: int) -> None:
        def wanted() -> bool:
            view = self._view()
            return view is not None and want in self._wants(view)

        if await self.reader.read(want, lambda: self._source(database), event, wanted) and (view := self._view()):
            for panel in self.panels:
                panel.see(view, draw=want in panel.wants(view))
            for sheet in self._merging:
                sheet.count(self.reader.found)
            self._read_what_is_wanted(view)

    def _source(self, database: Database) -> Source:
        return Source(self.place, database, self.git, self.reader.found)

    def _would(self) -> str:
        """What `r` would do."""
        if self.study is None or self.study.pid is None:
            return "run"
        return "go on" if self.study.paused else "pause"

    def _tick(self) -> None:
        """What runs is watched by the second, all else by the minute."""
        self._while_away()
        minute, self._minute = self._minute, int(time.time() // 60)
        if time.monotonic() - self._seen_at < FRESH_SECONDS:
            return  # all of it has just been drawn
        if self.study and (self.study.running or self.said or minute != self._minute):
            self.see(ticking=True)
        elif self.study and self.study.pid is not None and (view := self._view()):
            self._read_what_is_wanted(view)  # a call to a model begins without an event

    def on_resize(self, event: Resize) -> None:
        """There may be room for more, or for less."""
        self._room = event.size
        self.arrange()
        self.see()

    def arrange(self) -> bool:
        """Show the panels for which there is room. Whether they are others than before."""
        room = arrangement(*self._room)
        self._arrangement = Arrangement.NARROW if self._zoomed and room is not Arrangement.NONE else room
        while self._arrangement is Arrangement.NONE and len(self.screen_stack) > 1:
            self.pop_screen()  # there is no room for a sheet either
        screen = self.screen_stack[0]
        for one in Arrangement:
            screen.set_class(one is self._arrangement, one.value)
        if self.panel.cell is Cell.DETAIL:
            self._detail = self._shown
        huge = self._arrangement is Arrangement.HUGE
        container = self.query_one("#panels", Container)
        order = sorted(self.panels, key=lambda one: one.rank if huge else one.cell)
        if order != list(container.children):  # else all of it would be laid out and painted anew
            container.sort_children(key=order.index)  # type: ignore[arg-type]
        displayed = [panel.display for panel in self.panels]
        # What is shown is shown before the rest is hidden: so the keys are never with a panel that nobody sees.
        for panel in sorted(self.panels, key=lambda one: one.number != self._shown):
            shares = panel.cell is Cell.DETAIL and self._arrangement is Arrangement.WIDE
            alone = self._arrangement is Arrangement.NARROW
            panel.display = panel.number == self._shown if alone else not shares or panel.number == self._detail
            panel.behind = [one for one in self.panels if shares and one.cell is panel.cell and one is not panel]
            if panel.number == self._shown:
                screen.set_focus(panel, scroll_visible=False)  # now, for the next key may be here already
        return displayed != [panel.display for panel in self.panels]

    # --- looking ------------------------------------------------------------------------------------------------------

    def on_panel_selected(self, message: Panel.Selected) -> None:
        """An experiment was clicked."""
        self.select(message.number)

    def on_panel_said(self, message: Panel.Said) -> None:
        """A panel answers a key."""
        self.say(message.text, message.style)

    @work(group="asked")
    async def on_panel_asked(self, message: Panel.Asked) -> None:
        """A panel has to know something for a key."""
        if self.database is not None:
            message.then(await message.want.read(self._source(self.database)))

    def on_panel_opened(self, message: Panel.Opened) -> None:
        """The name of a panel was clicked."""
        self.action_panel(message.number)

    async def on_event(self, event: Event) -> None:
        """A key does what it does before the next one is looked at, however fast they come.

        Textual hands a key to the widget that has the focus, and looks for its binding when that comes back. So of keys
        that are typed ahead, or come together over a slow line, the second would go where the first one went.
        """
        if isinstance(event, Key) and not event.is_forwarded and len(self.screen_stack) == 1:
            self._somebody_is_here()
            unseen = self._arrangement is Arrangement.NONE
            if unseen or isinstance(self.focused, Panel):
                bound = self.active_bindings.get(event.key)
                if bound and (not unseen or bound.binding.action in UNSEEN):
                    await self.run_action(bound.binding.action, bound.node)
                return
            if self.focused is self.search and self._write_search(event):
                return
        elif isinstance(event, Key) and not event.is_forwarded and isinstance(sheet := self.screen, sheets.Sheet):
            await sheet.there()
            if not sheet.write(event) and (bound := self.active_bindings.get(event.key)):
                await self.run_action(bound.binding.action, bound.node)
            return
        if isinstance(event, Paste) and not event.is_forwarded:
            event.text = " ".join(one_line(event.text.replace("\r", "\n")).split())  # what is pasted is foreign
        await super().on_event(event)

    def _somebody_is_here(self) -> None:
        self._key_at = time.monotonic()
        if self._key_at - self._marked_at >= MARK_SECONDS:
            self._marked_at = self._key_at
            self._mark_seen()

    @work(group="seen", exclusive=True)
    async def _mark_seen(self) -> None:
        """Keep that somebody is here; who comes back to a screen that was left open is told what has happened."""
        seen = await asyncio.to_thread(self._seen_before)
        if self.study and self.database:
            with suppress(sqlite3.Error):  # who follows the study says what is wrong with the record
                await self._tell_since(seen, self.database, self.study)

    def on_descendant_focus(self) -> None:
        """A click has given the keys to another panel."""
        for panel in self.panels:
            if panel.has_focus and panel.display and panel.number != self._shown:
                self._shown = panel.number
                self.search.display = False
                self.see()

    def action_redraw(self) -> None:
        """Draw all of it, whatever the terminal may show: another program wrote there, or the line lost something."""
        self.refresh()

    def action_suspend_process(self) -> None:
        """To the shell, where there is one: else nobody would ever continue what holds the terminal."""
        with suppress(OSError):
            if os.getpgid(os.getsid(0)) != os.getpgrp():
                super().action_suspend_process()
                return
        self.say("there is no shell to go to: nothing would bring the screen back", "bad")

    def action_help(self) -> None:
        """The keys and the glyphs."""
        self.push_screen(sheets.Help(self.panel.title, self.panel.keys, self.keymap))

    def action_command_palette(self) -> None:
        """What can be done, found by its words."""
        if not isinstance(self.screen, palette.Palette):
            self.push_screen(palette.Palette())

    def action_processes(self) -> None:
        """What was started here, and by whom."""
        self.push_screen(processes.Processes(self.place.folder, self.keymap))

    async def action_quit(self) -> None:
        """Close the screen. What was asked is answered before; the engine goes on."""
        self._quit()

    @work(exclusive=True, group="quit")
    async def _quit(self) -> None:
        if self._waiting and not self._quitting:
            self._quitting = True
            self.say(f"what was asked is finished first; {self.keymap['quit']} again leaves at once", "dim")
            await self.workers.wait_for_complete([one for one in self.workers if one.group == "ask"])
        self.exit()
