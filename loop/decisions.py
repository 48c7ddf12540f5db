"""What a person asks: merge, reject, sync, undo, redo, note; pause, yield, resume, end, stop. Trunk moves here alone.

What was made from what trunk is now is merged as it was measured. What was not, and several together, become an
experiment of their own first (`propose/together.py`), which is run as soon as it is trunk.

The commit is made first, then the decision is recorded as an intent, then the branch is moved, then the decision is
recorded as done: an engine that was killed in between is followed by one that goes on from the intent.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from loop.arrange import arrange
from loop.branches import SHOWN, Branches, GitError
from loop.effects import References, bring_about
from loop.evidence import NotDone, check, measurable, measured, unconfirmed, verdict
from loop.judge.runs import OWN, RERUN
from store import commands, views
from store.database import Database
from store.place import Place
from store.records import SYNC, Answer, Command, Decision, Ended, Experiment, Moves, State, name_of
from store.redo import undone

if TYPE_CHECKING:  # an engine that lives for one command is there the sooner for what it need not import
    from loop.propose.prepare import Preparation
    from loop.stop import Stop


class Decisions(Struct, frozen=True):
    """The decisions of a study, under one engine. `stop` halts its research; None where it does none.

    `preparation` is where its proposals are let in, one after another.
    """

    place: Place
    branches: Branches
    database: Database
    stop: "Stop | None" = None
    preparation: "Preparation | None" = None

    async def obey(self) -> bool:
        """Carry out what is pending, in the order of asking. Whether there was anything."""
        pending = await commands.pending(self.database)
        for command in pending:
            if not await commands.begun(self.database, command):
                continue  # nobody waits for it any more
            try:
                decided = await self._carry_out(command)
            except (sqlite3.Error, OSError):  # the machine: it is carried out by the next engine
                raise
            except Exception as why:  # whatever it is, a command that cannot be carried out stops nothing else
                text = str(why) if isinstance(why, NotDone | GitError) else f"{type(why).__name__}: {why}"
                await commands.answered(self.database, command, Answer(False, text))
            else:
                # What is rejected goes out of the way, and comes back when that is undone.
                with suppress(GitError):  # the next engine arranges what is left
                    for number in decided:
                        await arrange(self.branches, self.database, number)
        return bool(pending)

    async def _carry_out(self, command: Command) -> Sequence[int]:
        """Do what is asked. The experiments that are decided on."""
        others = {
            "note": self._note, "pin": self._pin, "unpin": self._unpin, "pause": self._pause, "yield": self._yield,
            "resume": self._resume, "end": self._end, "stop": self._stop,
        }  # fmt: skip
        if command.verb in others:
            await others[command.verb](command)
            return ()
        if command.verb == "land":
            from loop.land import land

            await land(self.place, self.branches, self.database, command)
            return ()
        if command.verb == "rerun":
            await self._rerun(command)
            return ()
        verbs = {
            "merge": self._merge,
            "reject": self._reject,
            "undo": self._undo,
            "redo": self._redo,
            "sync": self._sync,
        }
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
            await commands.intended(self.database, command, {"decision": asdict(decision), "answer": text})
        else:  # an engine was killed in between
            decision, text = Decision(**command.intent["decision"]), command.intent["answer"]
            decision = replace(decision, taken=tuple(decision.taken))
        moves = self._moves(decision)
        if moves and (hindrance := await bring_about(self.database, References(self.branches, moves))):
            raise NotDone(hindrance)
        return await commands.decided(self.database, command, decision, Answer(True, text), engine.facts["bench"])

    # --- the verbs ---------------------------------------------------------------------------------------------------

    async def _merge(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """A commit on trunk with the candidate's tree; of several, or of a stale one, with what they make together."""
        chosen = await self._experiments(command)
        incumbent = await views.incumbent(self.database)
        for each in chosen:
            self._mergeable(each, incumbent, command)
        one = chosen[0]
        apart = len(chosen) > 1 or not one.made_from(incumbent)
        # Before anything is made for it: would trunk move?
        away = References(self.branches, {f"{SHOWN}cockpit/{self.place.name}/trunk": (trunk, one.commit)})
        if why := await away.hindrance():
            raise NotDone(why)
        if apart:
            one = await self._together(chosen, command.at)
            if one.measurements:
                self._mergeable(one, incumbent, command)
        unknown = apart and not one.measurements
        reason = command.arguments.get("reason", "")
        lines = [f"{each.id} {each.slug}: {verdict(each, incumbent)}" for each in chosen] if apart else []
        was = await views.experiment(self.database, incumbent)
        message = (
            f"Merge {one.id} {one.slug}\n\n{one.hypothesis}\n\n{measured(one, was)}\n"
            + "".join(f"{line}\n" for line in [*lines, ""] if lines)
            + (f"{reason}\n\n" if reason else "")
            + f"Experiment: {one.id}\nParent: {name_of(incumbent)}\nVerdict: {verdict(one, incumbent)}\n"
        )
        after = await self.branches.commit_tree(one.tree, [trunk, one.commit], message, command.at)
        names = " and ".join(each.id for each in chosen)
        text = f"{names} merged" + (f" as {one.id}" if one.number not in {each.number for each in chosen} else "")
        taken = await self._whole(chosen, incumbent)
        with_it = [name_of(number) for number in taken if number not in {one.number, *(each.number for each in chosen)}]
        text += f", with {' and '.join(with_it)}" if with_it else ""
        text += f": cockpit/{self.place.name}/trunk is at {after[:7]}"
        text += self._unknown if unknown else ""
        said = one.verdict.id if one.verdict else None
        return Decision(
            "merge", one.number, reason, said, trunk, after, taken=taken if taken != (one.number,) else ()
        ), text

    @property
    def _unknown(self) -> str:
        """What becomes of a trunk that nobody has run yet."""
        who = "the engine" if self.stop else "the next engine (`cockpit resume` starts one)"
        return f"; {who} runs it once before all else, and undo goes back if it does not hold"

    async def _whole(self, chosen: Sequence[Experiment], incumbent: int) -> tuple[int, ...]:
        """The experiments whose changes trunk takes with these: also what one of them was made from."""
        ahead, found = list(chosen), set[int]()
        while ahead:
            found.add((one := ahead.pop()).number)
            for number in one.parents:
                known = number in (one.root, incumbent, *found)
                part = None if known else await views.experiment(self.database, number)
                if part and not (number == one.parent and part.state is State.MERGED):  # trunk has what was pinned
                    ahead.append(part)
        return tuple(sorted(found))

    def _mergeable(self, one: Experiment, incumbent: int, command: Command) -> None:
        """Raises NotDone where an experiment may not be merged."""
        if one.state is State.MERGED:
            raise NotDone(f"{one.id} is merged already")
        if one.state is State.REJECTED:
            raise NotDone(f"{one.id} is rejected: `cockpit undo` takes that back, while it is the last decision")
        measurable(one)
        if not command.arguments.get("unconfirmed") and (lack := unconfirmed(one, incumbent)):
            raise NotDone(f"{one.id} is {lack}. `--unconfirmed` merges it all the same")

    async def _together(self, chosen: Sequence[Experiment], at: float) -> Experiment:
        """The experiment that takes the changes of these to trunk. Raises NotDone where that cannot be had."""
        from loop.propose.admit import Refused
        from loop.propose.prepare import prepared
        from loop.propose.together import together
        from loop.study import ConfigError

        try:
            own = self.preparation or await prepared(self.place, self.branches, self.database)
            return await together(own, [one.number for one in chosen], at)
        except (Refused, ConfigError) as why:
            raise NotDone(str(why)) from None

    async def _reject(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """One decision, however many it is about: all of them are rejected, or none."""
        chosen, reason = await self._experiments(command), command.arguments.get("reason", "")
        incumbent = await views.incumbent(self.database)
        for one in chosen:
            if one.number == incumbent:
                raise NotDone(f"{one.id} is merged, and trunk is {one.id} now: `cockpit undo` takes that back")
            if one.state in (State.MERGED, State.REJECTED):
                raise NotDone(f"{one.id} is {one.state} already")
            if one.state is State.FAILED:
                raise NotDone(f"{one.id} failed: there is nothing to decide")
        first, taken = chosen[0], tuple(one.number for one in chosen) if len(chosen) > 1 else ()
        text = f"{' and '.join(one.id for one in chosen)} rejected" + (f": {reason}" if reason else "")
        said = first.verdict.id if first.verdict else None
        return Decision("reject", first.number, reason, said, trunk, trunk, taken=taken), text

    async def _sync(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """What the user has committed since, and trunk's changes: a merge, as one of several is."""
        from loop.propose.prepare import prepared
        from loop.study import ConfigError
        from loop.sync import taken_along

        try:
            own = self.preparation or await prepared(self.place, self.branches, self.database)
        except ConfigError as why:
            raise NotDone(str(why)) from None
        made = await taken_along(own, command, trunk, alive=self.stop is not None)
        one, head = made.one, command.arguments["head"]
        message = f"Sync with {head[:7]}\n\n{one.hypothesis}\n\nExperiment: {one.id}\n"
        after = await self.branches.commit_tree(one.tree, [trunk, one.commit], message, command.at)
        text = f"{made.text}{self._where(trunk, after)}{'' if one.measurements else self._unknown}{made.more}"
        return Decision("merge", one.number, "", one.verdict.id if one.verdict else None, trunk, after), text

    async def _may_move(self, number: int) -> None:
        """Raises NotDone where a sync is taken back or redone, which would put an engine at work on another bench."""
        one = await self._named(number)
        if self.stop is None or one.operator != SYNC or one.parent is None:
            return
        from loop.study import read
        from loop.sync import moved_bench

        rests = [await views.rests_on(self.database, each) for each in (one.parent, number)]
        if why := await moved_bench(self.branches, read(self.place.config).settings, *rests):
            raise NotDone(why)

    async def _undo(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """A commit on trunk with the tree from before the decision; an undone rejection moves nothing."""
        last = await views.last_decision(self.database)
        if last is None:
            raise NotDone("nothing is decided that could be undone")
        _expect(command, last)
        await self._may_move(last.experiment)
        after = await self._back(command, f"Undo the {last.name}", last, last.trunk_before, trunk)
        text = f"the {last.name} is undone{self._where(trunk, after)}"
        return Decision("undo", last.experiment, "", last.verdict, trunk, after, undoes=last.id), text

    async def _redo(self, command: Command, trunk: str) -> tuple[Decision, str]:
        """What was undone last is decided once more: a commit on trunk with the tree from after that decision."""
        _expect(command, await views.last_decision(self.database))
        again, since = await undone(self.database)
        if again is None and since is not None:
            raise NotDone(f"since the undo something else was decided: the {since.name}")
        if again is None:
            raise NotDone("nothing was undone that could be redone")
        about = again.taken if again.verb == "reject" and again.taken else [again.experiment]
        found = [await views.experiment(self.database, number) for number in about]
        one = found[0]
        assert one is not None
        await self._may_move(one.number)
        for each in found:
            if again.verb == "merge" and each:
                check(each)
            elif each and each.state is State.FAILED:
                raise NotDone(f"{each.id} failed: there is nothing to decide")
        after = await self._back(command, f"Redo the {again.name}", again, again.trunk_after, trunk)
        text = f"the {again.name} is done again{self._where(trunk, after)}"
        text += self._unknown if again.verb == "merge" and not one.measurements else ""
        return replace(again, trunk_before=trunk, trunk_after=after, id=0), text

    async def _back(self, command: Command, title: str, decision: Decision, to: str, trunk: str) -> str:
        """A commit on trunk with the tree that another commit of it has; trunk itself, where nothing had moved."""
        if decision.trunk_before == decision.trunk_after:
            return trunk
        message = f"{title}\n\nThe tree is that of {to[:7]} again.\n\nExperiment: {name_of(decision.experiment)}\n"
        return await self.branches.commit_tree(await self.branches.tree(to), [trunk], message, command.at)

    def _where(self, before: str, after: str) -> str:
        """Where trunk is, if it has moved."""
        return f": cockpit/{self.place.name}/trunk is at {after[:7]}" if after != before else ""

    async def _note(self, command: Command) -> None:
        """What a person has to say, which the next proposals of the model are told."""
        from loop.propose.context import LINE_CHARACTERS, plain

        text = plain(str(command.arguments.get("text", "")))
        if not text or len(text) > LINE_CHARACTERS:
            raise NotDone(f"a note has 1 to {LINE_CHARACTERS} characters, and this one {len(text)}")
        if await views.study(self.database) is None:
            raise NotDone("the study has not begun")
        await commands.noted(self.database, command, text)

    async def _pin(self, command: Command) -> None:
        """The next proposals start from an experiment, in trunk's place, until it is decided or trunk moves."""
        one = await self._seen(command.arguments.get("experiment"), command)
        incumbent, rows = await views.incumbent(self.database), await views.experiments(self.database)
        before = await views.pinned(self.database, rows, incumbent)
        if one.number == incumbent:
            raise NotDone(f"{one.id} is trunk: proposals start from there as it is")
        if one.over:
            raise NotDone(f"{one.id} is {one.state}: no proposal starts from there")
        if not one.measurements:
            raise NotDone(f"{one.id} is {one.state}, and has no measurement to go by")
        if not one.bears(incumbent):
            raise NotDone(f"{one.id} was made from {name_of(one.root or 0)}, and trunk is {name_of(incumbent)} now")
        if one.number == before:
            raise NotDone(f"{one.id} is pinned already: `cockpit unpin` lets proposals start from trunk again")
        text = f"{one.id} is pinned: the next proposals start from it, until it is decided or trunk moves"
        await commands.pinned(self.database, command, "pinned", text, [one.number, before])

    async def _unpin(self, command: Command) -> None:
        """The next proposals start from trunk again."""
        incumbent, rows = await views.incumbent(self.database), await views.experiments(self.database)
        if (before := await views.pinned(self.database, rows, incumbent)) is None:
            raise NotDone("no experiment is pinned: proposals start from trunk")
        await commands.pinned(self.database, command, "unpinned", "the next proposals start from trunk", [before])

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

    async def _yield(self, command: Command) -> None:
        """The devices are free now: a pause for which the run under way is broken off, to be run again after it."""
        stop, runs = self._research(command), await self._runs()
        if stop.why:
            raise NotDone(f"the engine is ending already: {stop.why}")
        if not stop.going.is_set() and not runs:
            raise NotDone("paused already, and no run is under way: `cockpit resume` goes on")
        stop.going.clear()  # as for a pause
        grace = "the run under way is broken off, with a grace of three seconds, and run again after `cockpit resume`"
        text = grace if runs else "no run begins"
        await commands.heeded(self.database, command, "paused", f"paused: {text}")
        stop.broken |= {run.id for run in await views.unfinished_runs(self.database)}

    async def _end(self, command: Command) -> None:
        """The run under way of an experiment is broken off, and it is run no more for its own sake.

        One that was asked for again is withdrawn, also while it waits.
        """
        one = await self._named(command.arguments.get("experiment"))
        run = next((run for run in await views.unfinished_runs(self.database) if run.experiment == one.number), None)
        asked = [each for each in await views.reruns(self.database) if each.experiment == one.number]
        expected = command.expected.get("run", run and run.id)
        if run is not None and expected != run.id:
            raise NotDone(f"since you looked another run of {one.id} has begun: {run.purpose}, seed {run.seed}")
        own = run is not None and run.purpose != RERUN and "run" not in command.expected  # and is not meant
        if asked and (own or (run is None and expected is None)):
            on = " and ".join(str(each.seed) for each in asked)
            text = f"{one.id} is not run again on seed {on}: that is withdrawn"
            if run is not None and run.purpose in OWN and not one.ended:
                text += f"; its run under way goes on: `cockpit end {one.id}` once more ends that"
            await commands.withdrawn(self.database, command, text, [each.command for each in asked])
            return
        stop = self._research(command)
        if run is None:
            raise NotDone(f"no run of {one.id} is under way")
        if run.purpose == RERUN:
            text = f"the run of {one.id} that was asked for again, on seed {run.seed}, ends, with a grace of three "
            text += "seconds, and is not made once more"
            this = [each.command for each in asked if each.seed == run.seed]
            await commands.withdrawn(self.database, command, text, this)
            stop.broken.add(run.id)
            return
        if run.purpose not in OWN:
            raise NotDone(
                f"the run of {one.id} ({run.purpose}) is what others are judged by: `cockpit yield` breaks it off "
                "until you resume, `cockpit stop`, asked twice, with the engine"
            )
        if one.ended:
            raise NotDone(f"the run of {one.id} is ending already")
        rest = "it is judged by the runs that it has" if one.measurements else "it has no measurement, and is failed"
        rest = f"it is {one.state}" if one.state in (State.MERGED, State.REJECTED) else rest
        text = f"the run of {one.id} ends, with a grace of three seconds, and it is run no more: {rest}"
        await commands.ended(self.database, command, run, text)
        # It may have closed meanwhile, and another have begun.
        unfinished = await views.unfinished_runs(self.database)
        stop.broken |= {other.id for other in unfinished if other.experiment == one.number and other.purpose in OWN}

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

    async def _rerun(self, command: Command) -> None:
        """A run is made again once the one under way has ended. It decides nothing."""
        stop, one = self._research(command), await self._named(command.arguments.get("experiment"))
        if stop.why:
            raise NotDone(f"the engine is ending already: {stop.why}")
        engine, study = await views.last_engine(self.database), await views.study(self.database)
        assert engine is not None and study is not None
        seed = command.arguments.get("seed")
        if seed is None:
            from loop.schedule import recorded_seed

            seed = await recorded_seed(self.database, one, engine.facts["bench"], study.seed)
        if (one.number, seed) in [(each.experiment, each.seed) for each in await views.reruns(self.database)]:
            raise NotDone(f"{one.id} is to be run again on seed {seed} already")
        when = "after the run under way" if stop.going.is_set() else "once you resume"
        text = f"{one.id} is run again on seed {seed} {when}; it decides nothing, and `cockpit show "
        text += f"{one.id}` says how it compares; `cockpit end {one.id}` withdraws it"
        answer = Answer(True, text, {"seed": seed, "queued": True})
        await commands.to_be_rerun(self.database, command, answer, await views.newest_run(self.database))

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

    # --- what a command is about -------------------------------------------------------------------------------------

    async def _experiments(self, command: Command) -> list[Experiment]:
        """One, or several of them, each once."""
        numbers = command.arguments.get("experiments", [command.arguments.get("experiment")])
        if not isinstance(numbers, list) or not numbers:
            raise NotDone("no experiment is named")
        return [await self._seen(number, command) for number in dict.fromkeys(numbers)]

    async def _named(self, number: Any) -> Experiment:
        one = await views.experiment(self.database, number) if isinstance(number, int) else None
        if one is None:
            raise NotDone(f"there is no experiment {number}")
        return one

    async def _seen(self, number: Any, command: Command) -> Experiment:
        """An experiment, on which the verdict is the one that its person has seen."""
        one = await self._named(number)
        if one.number == 0:
            raise NotDone("e0000 is the baseline: there is nothing to decide")
        verdicts = command.expected.get("verdicts", {})
        if "verdict" in command.expected:
            verdicts = {**verdicts, str(number): command.expected["verdict"]}
        if str(number) in verdicts and verdicts[str(number)] != (one.verdict.id if one.verdict else None):
            now = one.verdict.line if one.verdict else "none"
            raise NotDone(f"the verdict on {one.id} has changed since you looked: {now}")
        return one


def _expect(command: Command, last: Decision | None) -> None:
    """Raises NotDone where the last decision that stands is not the one that the command's person has seen."""
    now = last.id if last else None
    if command.expected.get("decision", now) != now:
        what = f"something else was decided: the {last.name}" if last else "all that was decided was undone"
        raise NotDone(f"since you looked {what}")
