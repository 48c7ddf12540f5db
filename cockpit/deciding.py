"""What keys ask of the engine: merge, reject, undo, redo; run, pause, stop; a note. Each is a command, as of a script.

The engine decides whether it is done. What a person has before their eyes goes with it, so that nothing is decided on
what has changed since.
"""

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import App
from textual.filter import LineFilter

from cockpit import feed, themes
from cockpit.configuration import Configuration
from cockpit.feed import Snapshot
from cockpit.later import later
from cockpit.listing import listed
from cockpit.merging import hindrance, is_apart
from cockpit.pages import verified
from cockpit.panels.diff import patch_of
from cockpit.reader import Reader
from cockpit.view import Choices, Repository
from cockpit.widgets.terminal import Ascii
from store import commands, spawn
from store.database import Database, RecordTooNew, RecordTooOld
from store.place import EngineRuns, Place, engine_pid
from store.records import Ended, Experiment
from store.trail import Trail

if TYPE_CHECKING:
    from cockpit import sheets
else:
    sheets = later("cockpit.sheets")

SAID_SECONDS = 12.0  # that an answer stands in the strip
AT_ONCE_SECONDS = 10.0  # of an engine's life: who started it is still there
READ_FIRST = "the experiments are being read: in a moment"
READONLY = "this screen only looks (--readonly): nothing is asked of the engine"
DOING = {  # the verbs that are about no experiment, and what is said while they are done
    "undo": "undoing the last decision",
    "redo": "redoing what was undone",
    "stop": "stopping",
    "yield": "handing the device back",
}


class Deciding(App[Exception | None]):
    """The part of the screen that asks. How a study is drawn, and its diff is opened, is the other part's."""

    def __init__(
        self,
        place: Place,
        git: Repository,
        experiments: int | None,
        seconds: float | None,
        *,
        readonly: bool,
        with_changes: bool = False,
        configuration: Configuration,
    ) -> None:
        theme = themes.chosen(configuration.theme)
        super().__init__(ansi_color=theme.is_own)
        self.register_theme(themes.chrome(theme))
        self.theme = themes.chrome(theme).name
        self.keymap, self._ascii = configuration.keys, Ascii() if configuration.is_ascii else None
        self.set_keymap({name: ",".join(keys) for name, keys in configuration.keys.given.items()})
        self.place, self.git, self.readonly = place, git, readonly
        self.study: Snapshot | None = None
        self.selected: int | None = None
        self.marks: set[int] = set()  # experiments that are to be decided together
        self.reader = Reader()
        self.said: tuple[str, str] | None = None
        self._said_until = 0.0
        self._limits = experiments, seconds
        self._with_changes = with_changes  # of the first engine that is started here
        self.database: Database | None = None  # of the feed
        self._asking = asyncio.Lock()  # what is asked follows one another
        self._asked = set[str]()  # of undo and redo, what waits for its answer: asked twice in a hurry it is done once
        self._waiting, self._done = 0, True  # how much was asked and not answered; whether what was asked last was done
        self._mark_from: int | None = None  # where a range of marks begins
        self._started: int | None = None  # the engine that was started here last, as long as it lives
        self.choices = Choices()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What is done to every line before it is sent."""
        own = super().get_line_filters()
        return own if self._ascii is None else [*own, self._ascii]

    def show(self, study: Snapshot) -> None:
        """Draw a study as it stands."""
        raise NotImplementedError

    def see(self, *, ticking: bool = False) -> None:
        """Draw what there is; while the time ticks, only what changes with it."""
        raise NotImplementedError

    def say(self, text: str, style: str = "text") -> None:
        """Answer a key, in the strip."""
        self.said, self._said_until = (text, style), time.monotonic() + SAID_SECONDS
        self.see(ticking=True)

    @property
    def trail(self) -> Trail:
        """To which is added what this screen starts."""
        return self.git.trail

    def refused(self, verb: str, why: str) -> None:
        """Say why it is not done: in the strip, and on a sheet where it does not fit there."""
        self.say(why, "bad")
        if len(why) > self.size.width - 2:
            self.push_screen(sheets.Told(f"Not done: {verb}", why, self.keymap))

    def _heed_the_end(self, study: Snapshot) -> None:
        """Say as a whole why an engine that was started here has ended at once, where something broke."""
        engine = study.engine
        if engine is None or engine.pid != self._started or study.pid is not None or engine.ended_at is None:
            return
        self._started = None
        if engine.because and engine.ended_at - engine.started_at < AT_ONCE_SECONDS:
            self.push_screen(sheets.Told("The engine has ended", engine.why, self.keymap))

    # --- what is meant ------------------------------------------------------------------------------------------------

    @property
    def one(self) -> Experiment | None:
        """The experiment that is selected."""
        return self.study.experiment(self.selected) if self.study and self.selected is not None else None

    def _chosen(self, verb: str) -> list[Experiment]:
        """What is marked, oldest first, or else selected; nothing where one of them hinders it, which is said."""
        study, one = self.study, self.one
        if study is None or one is None:
            self.refused(verb, "no experiment is selected")
            return []
        if not study.whole:
            self.refused(verb, READ_FIRST)
            return []
        chosen = [study.experiments[number] for number in sorted(self.marks)] or [one]
        if not self.marks and one.number not in listed(study, self.choices, spaced=False).numbers:
            self.refused(verb, f"{one.id} is selected, and not in the list: {self.keymap['back']} there shows all")
            return []
        for each in chosen:
            if why := hindrance(study, each, verb, self.keymap):
                self.refused(verb, why)
                return []
        return chosen

    def mark(self, numbers: Sequence[int], *, off: bool) -> bool:
        """Mark these, as far as there is something to decide of them, or forget that they were. Whether it was done."""
        study = self.study
        if study is None:
            return False
        free = {number for number in numbers if not hindrance(study, study.experiments[number], "reject")}
        if numbers and not free and not off:
            self.refused("mark", hindrance(study, study.experiments[numbers[0]], "reject", self.keymap))
            return False
        self.marks = self.marks - set(numbers) if off else self.marks | free
        self.said = None
        return True

    # --- deciding -----------------------------------------------------------------------------------------------------

    def action_merge(self) -> None:
        """Say first what a merge will do."""
        if self.study is None or not (chosen := self._chosen("merge")):
            return
        seen = self.seen(*chosen)

        def answered(answer: str | None) -> None:
            if answer == "merge":
                self._merge(chosen, seen)
            elif answer == "reject":
                self._reject(chosen, seen)
            elif answer == "diff":
                self.open_diff(chosen[0].number)

        patch = patch_of(self.study, chosen[0]) if len(chosen) == 1 else None  # of several it is not counted
        sheet = sheets.Merge(self.study, chosen, patch, self.keymap)
        sheet.count(self.reader.found)
        self.push_screen(sheet, answered)
        self.see(ticking=True)  # and have read what the sheet wants
        if is_apart(self.study, chosen) and not self.readonly:  # for that git makes objects
            self._foresee(sheet, [one.number for one in chosen])

    @work(exclusive=True, group="foresee")
    async def _foresee(self, sheet: "sheets.Merge", numbers: Sequence[int]) -> None:
        """Have said on the sheet whether what is to be merged meets."""
        conflicts = await self.git.conflicts(self.place, numbers)
        if sheet.is_attached:
            sheet.foresee(conflicts)

    def open_diff(self, number: int) -> None:
        """Select an experiment, and show its diff."""
        raise NotImplementedError

    def action_merge_at_once(self) -> None:
        """Merge what is marked or selected, also where it is not confirmed."""
        if chosen := self._chosen("merge"):
            self._merge(chosen, self.seen(*chosen))

    def _merge(self, chosen: Sequence[Experiment], seen: Mapping[str, Any]) -> None:
        arguments = {"experiments": [one.number for one in chosen], "unconfirmed": True, "reason": ""}
        self._ask("merge", arguments, seen, f"merging {_names(chosen)}")

    def action_reject(self) -> None:
        """Ask for a reason, and reject."""
        if chosen := self._chosen("reject"):
            self._reject(chosen, self.seen(*chosen))

    def _reject(self, chosen: Sequence[Experiment], seen: Mapping[str, Any]) -> None:
        def answered(reason: str | None) -> None:
            if reason is not None:
                arguments = {"experiments": [one.number for one in chosen], "reason": reason}
                self._ask("reject", arguments, seen, f"rejecting {_names(chosen)}")

        self.push_screen(sheets.Reject(chosen, self.keymap), answered)

    def action_ask(self, verb: str) -> None:
        """A verb that is about no experiment. Undo and redo take the decision that stands when others were answered."""
        if verb not in ("undo", "redo"):
            self._ask(verb, {}, {}, DOING[verb])
        elif verb not in self._asked:
            self._asked.add(verb)
            self._ask(verb, {}, self.seen(), DOING[verb], follows=bool(self._waiting))

    def action_end_run(self) -> None:
        """End the run under way of what is selected: the one that is seen. One that was asked for again may wait."""
        study, one = self.study, self.one
        if study is None or one is None:
            return
        run = next((run.id for run in study.running if run.experiment == one.number), None)
        self._ask("end", {"experiment": one.number}, {"run": run}, f"ending the run of {one.id}")

    def action_pin(self) -> None:
        """Let proposals start from what is selected; from trunk again, where they do."""
        study, one = self.study, self.one
        if study is None or one is None:
            return
        if not study.whole:
            self.refused("pin", READ_FIRST)
        elif one.number == study.pinned:
            self._ask("unpin", {}, {}, f"unpinning {one.id}")
        else:
            self._ask("pin", {"experiment": one.number}, self.seen(one), f"pinning {one.id}")

    @work(group="home")
    async def action_land(self, one: bool = True) -> None:
        """A branch off the user's own: with the change of what is selected, or of trunk."""
        if self.one is None and one:
            return
        which = {"experiment": self.one.number} if one and self.one else {}
        what, seen = self.one.id if one and self.one else "trunk", self.seen(*([self.one] if one and self.one else []))
        await self._home(
            "land", {**which, "squash": False, "unconfirmed": False, "forward": False}, seen, f"landing {what}"
        )

    @work(group="home")
    async def action_sync(self) -> None:
        """What the user has committed since goes to trunk."""
        await self._home("sync", {}, self.seen(), "syncing")

    async def _home(self, verb: str, arguments: Mapping[str, Any], seen: Mapping[str, Any], doing: str) -> None:
        try:
            stands = await self.git.stands(self.place)
        except Exception as why:  # of git, or none: GitError is the research's own
            self.refused(verb, str(why))
        else:
            self._ask(verb, {**arguments, **stands}, seen, doing)

    def action_rerun(self) -> None:
        """Run what is selected again. It decides nothing."""
        if self.one is not None:
            self._ask("rerun", {"experiment": self.one.number}, {}, f"running {self.one.id} again")

    def action_note(self) -> None:
        """Tell the model something."""

        def answered(text: str | None) -> None:
            if text:
                self._ask("note", {"text": text}, {}, "noting it")

        facts = self.study.facts if self.study else {}
        self.push_screen(sheets.Note(self.keymap, is_read=facts.get("model") != "none"), answered)

    def seen(self, *experiments: Experiment) -> dict[str, Any]:
        """What the person at the screen has before their eyes: an action on something else is refused."""
        study = self.study
        if study is None or study.study is None:
            return {}
        seen: dict[str, Any] = {"trunk": study.study.trunk, "decision": study.decision.id if study.decision else None}
        verdicts = {str(one.number): one.verdict.id if one.verdict else None for one in experiments}
        return {**seen, "verdicts": verdicts} if verdicts else seen

    # --- the research -------------------------------------------------------------------------------------------------

    def action_run_or_pause(self) -> None:
        """Pause the research, go on with it, or start it."""
        if self.study is None or self.study.pid is None:
            self.go_on()
        elif self.study.paused:
            self._ask("resume", {}, {}, "going on")
        else:
            self._ask("pause", {}, {}, "pausing")

    def _ask(
        self,
        verb: str,
        arguments: Mapping[str, Any],
        expected: Mapping[str, Any],
        doing: str,
        *,
        follows: bool = False,
    ) -> None:
        """Ask the engine. What `follows` is meant for what stands once what was asked before it is done."""
        if self.readonly:
            self._asked.discard(verb)
            self.say(READONLY, "bad")
        else:
            self._waiting += 1
            self._ask_in_turn(verb, arguments, expected, doing, follows)

    @work(group="ask")
    async def _ask_in_turn(
        self, verb: str, arguments: Mapping[str, Any], expected: Mapping[str, Any], doing: str, follows: bool
    ) -> None:
        """Ask, and say what came of it once it is shown."""
        try:
            async with self._asking:
                if follows and not self._done:
                    self.refused(verb, f"{verb}: not done, for what was asked before it was not done")
                    return
                self._done = False
                self.say(f"{doing}…", "dim")
                answer = await commands.submit(
                    self.place, verb, arguments, self.seen() if follows else expected, self.trail
                )
                self._done = answer.done
                if answer.done and verb in ("merge", "reject"):
                    self.marks -= set(arguments["experiments"])
                if self.database is not None:
                    with suppress(sqlite3.Error):  # the feed shows it soon enough; and it reads the account anew
                        self.show(await feed.read(self.place, self.database, self.study, count=False))
                if answer.done:
                    again = f"; {self.keymap['redo']} redoes it" if verb == "undo" else ""
                    self.say(answer.text + again, "good")
                else:
                    self.refused(verb, answer.text)
        except (commands.Unanswered, RecordTooOld, RecordTooNew, sqlite3.Error, OSError) as error:
            self.say(f"{verb}: {error}", "infra")
        finally:
            self._waiting -= 1
            self._asked.discard(verb)

    @work(exclusive=True, group="engine")
    async def go_on(self) -> None:
        """Start an engine. It lives on when the screen is closed."""
        if self.readonly:
            self.say(READONLY, "bad")
            return
        experiments, seconds = self._limits
        if experiments is None and (engine := self.study and self.study.engine) and self.study:
            # What was asked for on a command line goes on to be the limit, until the file has another word.
            most = (engine.facts.get("limits") or {}).get("experiments")
            if most is not None and not await asyncio.to_thread(_newer, self.place, engine.started_at):
                experiments = most
                done = len(self.study.experiments) >= most and engine.ended_by is Ended.EXPERIMENTS
                if done and not verified(self.study.experiments, self.study.incumbent, self.study.decision):
                    self.refused(
                        "run", f"all {most} experiments of its budget are made: `cockpit --experiments N` takes more"
                    )
                    return
        self.say("starting the engine…", "dim")
        try:
            pid = await spawn.start(self.place, experiments, seconds, self.trail, with_changes=self._with_changes)
        except EngineRuns:
            self.say("an engine runs already", "dim")
        except (spawn.Unstarted, sqlite3.Error, OSError) as error:
            self.say("the engine did not start", "infra")
            self.push_screen(sheets.Told("The engine did not start", str(error), self.keymap))
        else:
            self._with_changes, self._started = False, pid
            self.said = None  # one that had nothing to do has ended, and says so itself
            if await asyncio.to_thread(engine_pid, self.place.folder) == pid:
                self.say(f"the engine runs, pid {pid}; it goes on when you quit", "good")


def _names(chosen: Sequence[Experiment]) -> str:
    return " and ".join(one.id for one in chosen)


def _newer(place: Place, moment: float) -> bool:
    """Whether `cockpit.toml` has been written since; also where it is gone, which the engine says."""
    try:
        return place.config.stat().st_mtime > moment
    except OSError:
        return True
