"""What a person asks: merge, reject, undo, note; pause, resume, stop. The one place where trunk moves, only forward.

The commit is made first, then the decision is recorded as an intent, then the branch is moved, then the decision is
recorded as done: an engine that was killed in between is followed by one that goes on from the intent.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loop.arrange import arrange
from loop.branches import SHOWN, Branches, GitError
from loop.effects import References, bring_about
from store import commands, views
from store.database import Database
from store.place import Place
from store.records import Answer, Command, Decision, Ended, Evidence, Experiment, Moves, State, Word, name_of

if TYPE_CHECKING:  # an engine that lives for one command is there the sooner for what it need not import
    from loop.run.execution import Stop


class NotDone(Exception):
    """A command cannot be carried out as things stand. The message says what has changed, or what to do."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of a study, under one engine. `stop` halts its research; None where it does none."""

    place: Place
    branches: Branches
    database: Database
    stop: "Stop | None" = None

    async def obey(self) -> bool:
        """Carry out what is pending, in the order of asking. Whether there was anything."""
        pending = await commands.pending(self.database)
        for command in pending:
            if not await commands.begun(self.database, command):
                continue  # nobody waits for it any more
            try:
                decision = await self._carry_out(command)
            except (sqlite3.Error, OSError):  # the machine: it is carried out by the next engine
                raise
            except Exception as why:  # whatever it is, a command that cannot be carried out stops nothing else
                text = str(why) if isinstance(why, NotDone | GitError) else f"{type(why).__name__}: {why}"
                await commands.answered(self.database, command, Answer(False, text))
            else:
                if decision is None:
                    continue
                # What is rejected goes out of the way, and comes back when that is undone.
                with suppress(GitError):  # the next engine arranges what is left
                    await arrange(self.branches, self.database, decision.experiment)
        return bool(pending)

    async def _carry_out(self, command: Command) -> Decision | None:
        """Do what is asked. The decision, where it is one."""
        others = {"note": self._note, "pause": self._pause, "resume": self._resume, "stop": self._stop}
        if command.verb in others:
            await others[command.verb](command)
            return None
        verbs = {"merge": self._merge, "reject": self._reject, "undo": self._undo}
        if command.verb not in verbs:
            raise NotDone(f"this version of cockpit does not know how to {command.verb}")
        study, engine = await views.study(self.database), await views.last_engine(self.database)
        if study is None or engine is None:
            raise NotDone("the study has not begun")
        if command.intent is None:
            expected = command.expected.get("trunk", study.trunk)
            if expected != study.trunk:
                raise NotDone(
                    f"trunk has moved since you looked: it was at {expected[:7]}, and is at {study.trunk[:7]}"
                )
            decision, text = await verbs[command.verb](command, study.trunk)
            await commands.intended(self.database, command, decision, Answer(True, text))
        else:  # an engine was killed in between
            decision, text = Decision(**command.intent["decision"]), command.intent["answer"]
        moves = self._moves(decision)
        if moves and (hindrance := await bring_about(self.database, References(self.branches, moves))):
            raise NotDone(hindrance)
        await commands.decided(self.database, command, decision, Answer(True, text), engine.facts["bench"])
        return decision

    # --- the verbs ---------------------------------------------------------------------------------------------------

    async def _merge(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """A commit on trunk with the candidate's tree: it was made from what trunk is now, so nothing is run again."""
        one = await self._experiment(command)
        if one.state is State.MERGED:
            raise NotDone(f"{one.id} is merged already")
        if one.state is State.REJECTED:
            raise NotDone(f"{one.id} is rejected: `cockpit undo` takes that back, while it is the last decision")
        if one.state is State.FAILED or not one.measurements:
            raise NotDone(f"{one.id} is {one.state}, and has no measurement to go by")
        incumbent = await views.incumbent(self.database)
        if one.parent != incumbent:
            raise NotDone(
                f"{one.id} was made from {name_of(one.parent or 0)}, and trunk is {name_of(incumbent)} now: this "
                "version merges onto what a candidate was made from alone; `cockpit undo` takes the last decision back"
            )
        said = one.verdict
        if said is not None and said.word is Word.INFEASIBLE:
            raise NotDone(
                f"{one.id} is infeasible: {said.sentence}. To allow it, change the bound in cockpit.toml, and the next "
                "engine judges it again"
            )
        if said is not None and said.incumbent != incumbent:
            stale, said = f"judged against {name_of(said.incumbent)}, and trunk is {name_of(incumbent)} now", None
        else:
            stale = "not judged yet"
        if not command.arguments.get("unconfirmed") and (said is None or said.evidence is not Evidence.CONFIRMED):
            how = f"{said.evidence}, and not confirmed: {said.word}, {said.sentence}" if said else stale
            raise NotDone(f"{one.id} is {how}. `--unconfirmed` merges it all the same")
        verdict = said.line if said else f"none; {stale}"
        reason = command.arguments.get("reason", "")
        message = (
            f"Merge {one.id} {one.slug}\n\n{one.hypothesis}\n\n{await self._measured(one, incumbent)}\n"
            + (f"{reason}\n\n" if reason else "")
            + f"Experiment: {one.id}\nParent: {name_of(incumbent)}\nVerdict: {verdict}\n"
        )
        after = await self.branches.commit_tree(one.tree, [trunk, one.commit], message, command.at)
        text = f"{one.id} merged: cockpit/{self.place.name}/trunk is at {after[:7]}"
        return Decision("merge", one.number, reason, said.id if said else None, trunk, after), text

    async def _reject(self, command: Command, trunk: str) -> tuple[Decision, str]:
        one, reason = await self._experiment(command), command.arguments.get("reason", "")
        if one.number == await views.incumbent(self.database):
            raise NotDone(f"{one.id} is merged, and trunk is {one.id} now: `cockpit undo` takes that back")
        if one.state in (State.MERGED, State.REJECTED):
            raise NotDone(f"{one.id} is {one.state} already")
        if one.state is State.FAILED:
            raise NotDone(f"{one.id} failed: there is nothing to decide")
        text = f"{one.id} rejected" + (f": {reason}" if reason else "")
        return Decision("reject", one.number, reason, one.verdict.id if one.verdict else None, trunk, trunk), text

    async def _undo(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """A commit on trunk with the tree from before the decision; an undone rejection moves nothing."""
        last = await views.last_decision(self.database)
        if last is None:
            raise NotDone("nothing is decided that could be undone")
        if command.expected.get("decision", last.id) != last.id:
            raise NotDone(f"since you looked something else was decided: the {last.verb} of {name_of(last.experiment)}")
        name, after = name_of(last.experiment), trunk
        if last.trunk_before != last.trunk_after:
            tree = await self.branches.tree(last.trunk_before)
            why = f"The tree is that of {last.trunk_before[:7]} again."
            message = f"Undo the merge of {name}\n\n{why}\n\nExperiment: {name}\n"
            after = await self.branches.commit_tree(tree, [trunk], message, command.at)
        where = f": cockpit/{self.place.name}/trunk is at {after[:7]}" if after != trunk else ""
        text = f"the {last.verb} of {name} is undone{where}"
        return Decision("undo", last.experiment, "", last.verdict, trunk, after, undoes=last.id), text

    async def _note(self, command: Command) -> None:
        """What a person has to say, which the next proposals of the model are told."""
        from loop.propose.context import LINE_CHARACTERS, plain

        text = plain(str(command.arguments.get("text", "")))
        if not text or len(text) > LINE_CHARACTERS:
            raise NotDone(f"a note has 1 to {LINE_CHARACTERS} characters, and this one {len(text)}")
        if await views.study(self.database) is None:
            raise NotDone("the study has not begun")
        await commands.noted(self.database, command, text)

    # --- the research itself -----------------------------------------------------------------------------------------

    async def _pause(self, command: Command) -> None:
        """Nothing new begins. What has begun goes on: a run, a thought of the model."""
        stop = self._research(command)
        if stop.why:
            raise NotDone(f"the engine is ending already: {stop.why}")
        if not stop.going.is_set():
            raise NotDone("paused already: `cockpit resume` goes on")
        stop.going.clear()  # before the record is told, or a run might begin after that
        text = "the run under way goes on, no other begins" if await self._runs() else "no run begins"
        await commands.heeded(self.database, command, "paused", f"paused: {text}")

    async def _resume(self, command: Command) -> None:
        stop = self._research(command)
        if stop.why:
            raise NotDone(f"the engine is ending already: {stop.why}")
        if stop.going.is_set():
            raise NotDone("it is not paused")
        await commands.heeded(self.database, command, "resumed", "resumed: the research goes on")
        stop.going.set()

    async def _stop(self, command: Command) -> None:
        """Asked once, the engine ends after the run under way; asked again, or ending already, as by a signal."""
        stop, text = self._research(command), "no run is under way"
        if await self._runs():
            text = "after the run under way; once more ends it now, with a grace of three seconds"
            if stop.why:
                grace = "now, the run under way has a grace of three seconds; once more ends it at once"
                text = "at once, the run under way is broken off" if stop.urgency else grace
        if stop.why:
            stop.ask(Ended.STOPPED)
        else:
            stop.finish(Ended.STOPPED)
        await commands.heeded(self.database, command, "stopping", f"stopping: {text}")

    def _research(self, command: Command) -> "Stop":
        if self.stop is None:
            raise NotDone(commands.NO_ENGINE.format(verb=command.verb))
        return self.stop

    async def _runs(self) -> bool:
        return bool(await views.unfinished_runs(self.database))

    # --- trunk -------------------------------------------------------------------------------------------------------

    def _moves(self, decision: Decision) -> Moves:
        """Where a decision takes trunk."""
        trunk = f"{SHOWN}cockpit/{self.place.name}/trunk"
        before, after = decision.trunk_before, decision.trunk_after
        return {} if before == after else {trunk: (before, after)}

    async def _measured(self, one: Experiment, incumbent: int) -> str:
        """What was measured of an experiment, and of the incumbent: a line an objective."""
        before = await views.experiment(self.database, incumbent)
        then = {m.objective: m for m in before.measurements} if before else {}
        lines = [
            f"{m.objective}: {m.value:.6g} ({m.source}, n = {m.n})"
            + (f", was {then[m.objective].value:.6g} (n = {then[m.objective].n})" if m.objective in then else "")
            for m in one.measurements
        ]
        return "\n".join([*lines, ""])

    # --- what a command is about -------------------------------------------------------------------------------------

    async def _experiment(self, command: Command) -> Experiment:
        number = command.arguments.get("experiment")
        one = await views.experiment(self.database, number) if isinstance(number, int) else None
        if one is None:
            raise NotDone(f"there is no experiment {number}")
        if one.number == 0:
            raise NotDone("e0000 is the baseline: there is nothing to decide")
        seen = command.expected.get("verdict")
        if "verdict" in command.expected and seen != (one.verdict.id if one.verdict else None):
            now = one.verdict.line if one.verdict else "none"
            raise NotDone(f"the verdict on {one.id} has changed since you looked: {now}")
        return one
