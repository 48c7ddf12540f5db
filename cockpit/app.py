"""The screen: wiring. What is shown is made by the panels, from what `feed` reads; what is asked is a command."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from textual import work
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.events import Click, Resize
from textual.geometry import Size

from cockpit import bars, feed, keys, sheets
from cockpit.feed import Snapshot
from cockpit.pages import verified
from cockpit.panels import PANELS
from cockpit.panels.experiments import order
from cockpit.patch import Change, parse
from cockpit.view import Arrangement, View, arrangement
from cockpit.widgets.panel import Lines, Panel
from store import commands, spawn
from store.database import Database, RecordTooNew, RecordTooOld
from store.place import EngineRuns, Place, engine_pid
from store.records import Ended, Experiment

Patch = Callable[[Place, str, str], Awaitable[str]]
KEPT = 32  # diffs
SAID_SECONDS = 12.0  # that an answer stands in the strip


class Tabs(Lines):
    """The names of the panels; a click on one shows it."""

    def on_click(self, event: Click) -> None:
        """Show the panel whose name was clicked."""
        if (number := bars.tab_at(event.x)) and isinstance(self.app, Cockpit):
            self.app.action_panel(number)


class Cockpit(App[Exception | None]):
    """A study on the screen. It ends with an error that is to be raised, or with None."""

    CSS = """
    Screen { background: #111417; color: #D7DCE2; }
    Sheet { background: #111417 60%; }
    #status, #keys { height: 1; }
    #strip { height: 1; }
    #gap { height: 1; }
    #tabs { height: 2; display: none; }
    #panels { height: 1fr; layout: grid; grid-gutter: 0 1; }
    #panels { grid-size: 2; grid-columns: 12fr 11fr; grid-rows: 1fr 1fr 5; }
    #experiments { row-span: 2; }
    #ledger { column-span: 2; }
    .narrow #tabs { display: block; }
    .narrow #gap { display: none; }
    .narrow #panels { grid-size: 1; grid-columns: 1fr; grid-rows: 1fr; }
    .narrow #experiments { row-span: 1; }
    .narrow #ledger { column-span: 1; }
    .huge #panels { grid-size: 3; grid-columns: 86 54fr 58fr; grid-rows: 1fr 26; grid-gutter: 1 2; }
    .huge #experiments { row-span: 1; }
    .huge #frontier, .huge #diff { row-span: 2; }
    .huge #ledger { column-span: 1; }
    .huge #strip { height: 2; }
    #small { display: none; }
    .none #small { display: block; }
    .none #status, .none #gap, .none #tabs, .none #panels, .none #strip, .none #keys { display: none; }
    """
    BINDINGS = [*keys.bindings()]
    ENABLE_COMMAND_PALETTE = False
    TITLE = "cockpit"

    def __init__(
        self, place: Place, patch: Patch, experiments: int | None = None, seconds: float | None = None
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.place = place
        self.patch = patch
        self.status, self.strip, self.keys, self.small = (Lines(name) for name in ("status", "strip", "keys", "small"))
        self.tabs = Tabs("tabs")
        self.panels = [panel() for panel in PANELS]
        self._limits = experiments, seconds
        self._start = self._limits != (None, None)
        self.study: Snapshot | None = None
        self.selected: int | None = None
        self.marks: set[int] = set()  # experiments that are to be merged together
        self.diffs: dict[int, Sequence[Change] | str] = {}
        self.said: tuple[str, str] | None = None
        self._said_until = 0.0
        self._shown = 1
        self._database: Database | None = None  # of the feed
        self._asking = asyncio.Lock()  # what is asked follows one another
        self._undoing = self._quitting = False
        self._minute = 0
        self._arrangement = Arrangement.NONE
        self._room = Size(0, 0)

    # --- what there is ------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Status, panels, strip, keys."""
        yield self.status
        yield Lines("gap")
        yield self.tabs
        with Container(id="panels"):
            yield from self.panels
        yield self.strip
        yield self.keys
        yield self.small

    def on_mount(self) -> None:
        """Follow the study, and end so that the terminal is restored whatever ends us."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self._room = self.size
        self._arrange()
        self.set_interval(1.0, self._tick)

    def on_ready(self) -> None:
        """Only now: what Textual has drawn while it was starting may not have reached the terminal."""
        self._follow()

    @property
    def panel(self) -> Panel:
        """The panel that has the keys."""
        return self.panels[self._shown - 1]

    @work(exclusive=True, group="feed")
    async def _follow(self) -> None:
        """Show the study, as it is now and as it goes on."""
        try:
            alive = await asyncio.to_thread(engine_pid, self.place.folder)
            async with await Database.open(self.place.folder, create=True, migrate=alive is None) as database:
                self._database = database
                async for study in feed.follow(self.place, database):
                    self.show(study)
        except (RecordTooNew, RecordTooOld, sqlite3.Error, OSError) as error:
            self.exit(error)

    def show(self, study: Snapshot) -> None:
        """This is how the study stands now. Where it has never begun, it begins."""
        if self.study is None:
            self.refresh()
            self.set_timer(1.0, self.refresh)  # some of a first picture has been seen to be lost on its way
            if self._start or (study.engine is None and study.pid is None):
                self._go_on()
        if self.study and (self.study.pid is None) is not (study.pid is None):
            self.said = None  # it was said of an engine that is no more, or is only now
        self.study = study
        self.marks = {
            number for number in self.marks if not sheets.hindrance(study, study.experiments[number], "merge")
        }
        listed = order(study.experiments, study.incumbent)
        if self.selected is None and listed:
            self.selected = listed[0]
        self._see()
        self._read_diff()

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _view(self) -> View | None:
        if self.study is None:
            return None
        return View(
            self.study,
            -1 if self.selected is None else self.selected,
            time.time(),
            self._arrangement,
            self.diffs,
            frozenset(self.marks),
        )

    def _see(self, *, ticking: bool = False) -> None:
        if (view := self._view()) is None:
            return
        columns, rows = self._room
        if self._arrangement is Arrangement.NONE:
            self.small.show(bars.too_small(view, self.place.name, columns, rows))
            return
        if self.said and time.monotonic() > self._said_until:
            self.said = None
        self.status.show([bars.status(view.study, self.place.name, view.now, columns)])
        lines = 2 if self._arrangement is Arrangement.HUGE else 1
        self.strip.show(bars.strip(view.study, self.said, lines, columns, len(self.marks)))
        self.keys.show([keys.footer(self._shown, columns, self._would())])
        if self._arrangement is Arrangement.NARROW:
            self.tabs.show(bars.tabs(self._shown, columns))
        for panel in self.panels:
            if not ticking or panel.ticks:
                panel.see(view)

    def _would(self) -> str:
        """What `r` would do."""
        if self.study is None or self.study.pid is None:
            return "run"
        return "go on" if self.study.paused else "pause"

    def _tick(self) -> None:
        """What runs is watched by the second, all else by the minute."""
        minute, self._minute = self._minute, int(time.time() // 60)
        if self.study and (self.study.running or self.said or minute != self._minute):
            self._see(ticking=True)

    def on_resize(self, event: Resize) -> None:
        """There may be room for more, or for less."""
        self._room = event.size
        self._arrange()
        self._see()

    def _arrange(self) -> None:
        self._arrangement = arrangement(*self._room)
        while self._arrangement is Arrangement.NONE and len(self.screen_stack) > 1:
            self.pop_screen()  # there is no room for a sheet either
        screen = self.screen_stack[0]
        for one in Arrangement:
            screen.set_class(one is self._arrangement, one.value)
        # What is shown is shown before the rest is hidden: so the keys are never with a panel that nobody sees.
        for panel in sorted(self.panels, key=lambda one: one.number != self._shown):
            panel.display = self._arrangement is not Arrangement.NARROW or panel.number == self._shown
            if panel.number == self._shown:
                panel.focus(scroll_visible=False)

    def say(self, text: str, style: str = "text") -> None:
        """Answer a key, in the strip."""
        self.said, self._said_until = (text, style), time.monotonic() + SAID_SECONDS
        self._see(ticking=True)

    # --- looking ------------------------------------------------------------------------------------------------------

    def on_panel_selected(self, message: Panel.Selected) -> None:
        """An experiment was clicked."""
        self.select(message.number)

    def select(self, number: int) -> None:
        """Select an experiment, on all panels; at once, so that a key that was typed ahead goes on from there."""
        if number != self.selected:
            self.selected = number
            self._see()
            self._read_diff()

    def action_panel(self, number: int) -> None:
        """Show a panel, and give it the keys."""
        self._shown = number
        self._arrange()
        self.call_after_refresh(self._see)

    def action_next_panel(self, by: int) -> None:
        """The next panel, or the one before."""
        self.action_panel((self._shown - 1 + by) % len(PANELS) + 1)

    def action_open(self) -> None:
        """The diff of what is selected."""
        if self._shown in (1, 2):
            self.action_panel(3)

    async def action_back(self) -> None:
        """To the list; in the list, forget what is marked."""
        if self._shown == 1 and self.marks:
            self.marks = set()
            self._see()
        self.action_panel(1)

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

    def on_descendant_focus(self) -> None:
        """A click has given the keys to another panel."""
        for panel in self.panels:
            if panel.has_focus and panel.display and panel.number != self._shown:
                self._shown = panel.number
                self._see()

    def action_redraw(self) -> None:
        """Draw all of it, whatever the terminal may show: another program wrote there, or the line lost something."""
        self.refresh()

    def action_help(self) -> None:
        """The keys and the glyphs."""
        self.push_screen(sheets.Help())

    @work(exclusive=True, group="diff")
    async def _read_diff(self) -> None:
        """Read the diff of what is selected, once."""
        one = self._one()
        if one is None or one.parent is None or one.number in self.diffs or self.study is None:
            return
        parent = self.study.experiment(one.parent)
        if parent is None:
            return
        try:
            changes: Sequence[Change] | str = await asyncio.to_thread(
                parse, await self.patch(self.place, parent.commit, one.commit)
            )
        except Exception as error:  # of git
            changes = f"the diff cannot be read: {error}"
        self.diffs = {**dict(list(self.diffs.items())[-KEPT:]), one.number: changes}
        self._see()

    async def action_quit(self) -> None:
        """Close the screen. What was asked is answered before; the engine goes on."""
        self._quit()

    @work(exclusive=True, group="quit")
    async def _quit(self) -> None:
        if self._asking.locked() and not self._quitting:
            self._quitting = True
            self.say("what was asked is finished first; q again leaves at once", "dim")
            async with self._asking:
                self.exit()
        self.exit()

    def _one(self) -> Experiment | None:
        view = self._view()
        return view.one if view else None

    # --- deciding -----------------------------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark what is selected, to be merged with others, or do not any more; and go on to the next.

        In a diff and in the ledger, where one reads, it is a page down.
        """
        if self._shown > 2:
            self.action_page(1)
        elif (one := self._decidable("merge")) is not None:
            self.marks ^= {one.number}
            self.said = None
            self.action_move(1)
            self._see()

    def _chosen(self) -> list[Experiment]:
        """What is marked, oldest first; else what is selected, where it can be merged. So too where one reads it."""
        if self.study is not None and self.marks and self._shown <= 2:
            return [self.study.experiments[number] for number in sorted(self.marks)]
        one = self._decidable("merge")
        return [] if one is None else [one]

    def action_merge(self) -> None:
        """Say first what a merge will do."""
        if not (chosen := self._chosen()) or self.study is None:
            return
        seen = self._seen(*chosen)

        def answered(answer: str | None) -> None:
            if answer == "merge":
                self._merge(chosen, seen)
            elif answer == "reject":
                self.action_reject()
            elif answer == "diff":
                self.action_panel(3)

        self.push_screen(sheets.Merge(self.study, chosen, self.diffs.get(chosen[0].number)), answered)

    def action_merge_at_once(self) -> None:
        """Merge what is marked or selected, also where it is not confirmed."""
        if chosen := self._chosen():
            self._merge(chosen, self._seen(*chosen))

    def _merge(self, chosen: Sequence[Experiment], seen: Mapping[str, Any]) -> None:
        arguments = {"experiments": [one.number for one in chosen], "unconfirmed": True, "reason": ""}
        self._ask("merge", arguments, seen, f"merging {' and '.join(one.id for one in chosen)}")

    def action_reject(self) -> None:
        """Ask for a reason, and reject."""
        if (one := self._decidable("reject")) is None:
            return
        seen = self._seen(one)

        def answered(reason: str | None) -> None:
            if reason is not None:
                self._ask("reject", {"experiment": one.number, "reason": reason}, seen, f"rejecting {one.id}")

        self.push_screen(sheets.Reject(one), answered)

    def action_undo(self) -> None:
        """Take the last decision back: the one that stands when what was asked before is done."""
        if self._undoing:
            return
        self._undoing = True
        self._ask("undo", {}, None, "undoing the last decision")

    def _decidable(self, verb: str) -> Experiment | None:
        """What is selected, where it can be decided."""
        one = self._one()
        if one is None or self.study is None:
            self._refused(verb, "no experiment is selected")
        elif why := sheets.hindrance(self.study, one, verb):
            self._refused(verb, why)
            return None
        return one

    def _refused(self, verb: str, why: str) -> None:
        """Say why it is not done: in the strip, and on a sheet where it does not fit there."""
        self.say(why, "bad")
        if len(why) > self._room.width - 2:
            self.push_screen(sheets.Told(f"Not done: {verb}", why))

    def _seen(self, *experiments: Experiment) -> dict[str, Any]:
        """What the person at the screen has before their eyes: an action on something else is refused."""
        study = self.study
        if study is None or study.study is None:
            return {}
        seen: dict[str, Any] = {"trunk": study.study.trunk, "decision": study.decision.id if study.decision else None}
        verdicts = {str(one.number): one.verdict.id if one.verdict else None for one in experiments}
        return {**seen, "verdicts": verdicts} if verdicts else seen

    def action_run_or_pause(self) -> None:
        """Pause the research, go on with it, or start it."""
        if self.study is None or self.study.pid is None:
            self._go_on()
        elif self.study.paused:
            self._ask("resume", {}, {}, "going on")
        else:
            self._ask("pause", {}, {}, "pausing")

    @work(group="ask")
    async def _ask(
        self, verb: str, arguments: Mapping[str, Any], expected: Mapping[str, Any] | None, doing: str
    ) -> None:
        """Ask the engine, and say what came of it once it is shown. Expected is, if not given, how it stands then."""
        async with self._asking:
            self.say(f"{doing}…", "dim")
            try:
                answer = await commands.submit(
                    self.place, verb, arguments, self._seen() if expected is None else expected
                )
                if self._database is not None:
                    known = self.study.account if self.study else None  # the feed reads it anew soon enough
                    self.show(await feed.read(self.place, self._database, known))
            except (commands.Unanswered, sqlite3.Error, OSError) as error:
                self.say(f"{verb}: {error}", "infra")
            else:
                if answer.done:
                    self.say(answer.text, "good")
                else:
                    self._refused(verb, answer.text)
            finally:
                self._undoing = self._undoing and verb != "undo"

    @work(exclusive=True, group="engine")
    async def _go_on(self) -> None:
        """Start an engine. It lives on when the screen is closed."""
        experiments, seconds = self._limits
        if experiments is None and (engine := self.study and self.study.engine) and self.study:
            # What was asked for on a command line goes on to be the limit, until the file has another word.
            most = (engine.facts.get("limits") or {}).get("experiments")
            if most is not None and not await asyncio.to_thread(_newer, self.place, engine.started_at):
                experiments = most
                done = len(self.study.experiments) >= most and engine.ended_by is Ended.EXPERIMENTS
                if done and not verified(self.study.experiments, self.study.incumbent, self.study.decision):
                    self._refused(
                        "run", f"all {most} experiments of its budget are made: `cockpit --experiments N` takes more"
                    )
                    return
        self.say("starting the engine…", "dim")
        try:
            pid = await spawn.start(self.place, experiments, seconds)
        except EngineRuns:
            self.say("an engine runs already", "dim")
        except (spawn.Unstarted, sqlite3.Error, OSError) as error:
            self.say("the engine did not start", "infra")
            self.push_screen(sheets.Told("The engine did not start", str(error)))
        else:
            self.said = None  # one that had nothing to do has ended, and says so itself
            if await asyncio.to_thread(engine_pid, self.place.folder) == pid:
                self.say(f"the engine runs, pid {pid}; it goes on when you quit", "good")


def _newer(place: Place, moment: float) -> bool:
    """Whether `cockpit.toml` has been written since."""
    return place.config.stat().st_mtime > moment
