"""One thought of a model: it reasons, packs that into a proposal, and may mend it once.

    an operator is chosen, they take turns                        (_choose)
    what is known becomes a prompt                                (_prompt)
    the model reasons in free text, and writes down what follows  (think)
    the proposal is let in, or it is told why not, once           (_propose)

Each call is recorded from the asking on, so its tokens are booked whatever comes of it.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest, nsmallest
from typing import Any

from msgspec.structs import asdict, replace

from loop import budget
from loop.propose.admit import Refused
from loop.propose.context import EXTREMES, Prompt, Result, build
from loop.propose.edits import KNOBS, REWRITE, Setting
from loop.propose.functions import outline
from loop.propose.knobs import Turning
from loop.propose.model import CallFailed, Message, Model, Reply
from loop.propose.operators import REASON_TOKENS, Operator, quoted
from loop.propose.prepare import Preparation, functions_of
from loop.propose.rewrite import Rewriting, turn_of
from store import calls, commands, views
from store.records import Call, CallOutcome, Experiment, Proposal, State

MODEL = "model"  # who proposes
NOTES = 5  # of the newest
NEWEST = 300  # results: more than a prompt has room for
ALIKE = 0.6  # of the tokens a character of the last prompt: fewer, and this one was not read whole
AROUND_TOKENS = 200  # the questions after the first, and what a template puts around each message
# Ideas may wander; what is written down is what was said; what was refused is not to be said again.
TEMPERATURES, WRITE_TEMPERATURE = {"reason": 0.8, "repair": 0.8}, 0.2


class NoTokens(Exception):
    """The study's budget has none left for a call."""


@dataclass
class Thought:
    """What is going on in one thought. `count` is how many experiments the study is to have in all."""

    preparation: Preparation
    model: Model
    count: int | None
    broken_off: bool = False  # a timed stage has ended the last call
    asked: list[int] = field(default_factory=list)  # calls that have come to no proposal yet
    least_tokens: int = 0  # that the next messages must be
    began: float = field(default_factory=time.monotonic)

    async def think(self) -> Experiment | None:
        """Propose one experiment. None where no call was answered, or nothing that was proposed could be let in.

        And where there is nothing to ask for: no knob, and no function that fits the context.
        """
        own = self.preparation
        if (operator := await self._choose(await own.parent(await own.trunk()))) is None:
            return None
        prompt = await self._prompt(operator)
        messages: list[Message] = [_message("system", prompt.system), _message("user", prompt.user)]
        try:
            reasoned = await self._ask(operator, "reason", messages, prompt.sections)
            messages += [_message("assistant", reasoned.text), _message("user", operator.write)]
            written = await self._ask(operator, operator.purpose, messages)
            made = await self._propose(operator, written, reasoned.text)
            if isinstance(made, Refused):
                mend = operator.repair.format(reason=made.reason)
                messages += [_message("assistant", written.text), _message("user", mend)]
                made = await self._propose(operator, await self._ask(operator, "repair", messages), reasoned.text)
        except (CallFailed, NoTokens):
            return None
        return made if isinstance(made, Experiment) else None

    async def _choose(self, parent: Experiment) -> Operator | None:
        """The operator whose turn it is: the one that was asked for less often. None where there is nothing to ask for.

        Functions and aims take turns, too.
        """
        own, turns = self.preparation, await calls.thoughts_by_operator(self.preparation.database)
        turn = turns.get(REWRITE, 0)
        turning = Turning(own.knobs, own.values(parent)) if own.knobs else None
        if turning and turns.get(KNOBS, 0) <= turn:
            return turning
        sources = await functions_of(own.settings, own.branches, parent.tree, self.model.num_ctx)
        if not sources:
            return turning
        function, aim = turn_of(list(sources), own.seed, turn)
        return Rewriting(function, await asyncio.to_thread(outline, sources[function]), aim)

    async def _prompt(self, operator: Operator) -> Prompt:
        """What the model is told, as things stand: of what was tried, what was tried with this operator.

        Of very many the newest, the best, the worst and the last that failed: for the others there is no room.
        """
        own = self.preparation
        known = own.latest
        await known.catch_up(own.database)
        every = zip(known.rows[1:], known.tried[1:], strict=True)
        tried = {row.number: one for row, one in every if one is not None and row.operator == operator.name}
        scores = {number: sum(one.gains) / len(one.gains) for number, one in tried.items() if one.gains}
        some = {*list(tried)[-NEWEST:], *[number for number, one in tried.items() if one.failed][-1:]}
        some |= {*nlargest(EXTREMES, scores, key=lambda number: scores[number])}
        some |= {*nsmallest(EXTREMES, scores, key=lambda number: (scores[number], -number))}
        results = [
            _result(own, known.rows[row.parent or 0], row, scores.get(row.number))
            for row in await views.these(own.database, some)
        ]
        answers = REASON_TOKENS + 2 * operator.most_tokens + AROUND_TOKENS
        density = await calls.density(own.database, self.model.name, operator.name)
        notes = await commands.notes(own.database, NOTES)
        room, more = self.model.num_ctx - answers, len(tried) - len(some)
        prompt = build(own.settings, operator.material, notes, results, operator.reason, room, density, more)
        self.least_tokens = int((density or 0.0) * ALIKE * len(prompt.system + prompt.user))
        return prompt

    async def _ask(
        self, operator: Operator, purpose: str, messages: Sequence[Message], sections: Sequence[Mapping[str, Any]] = ()
    ) -> Reply:
        """An answer. What is broken off is asked again, which by then is in quiet. Raises CallFailed and NoTokens."""
        while True:
            try:
                reply = await self._call(operator, purpose, messages, sections)
            except CallFailed as failed:
                if failed.outcome is not CallOutcome.BROKEN_OFF:
                    raise
                self.broken_off = True
            else:
                self.broken_off = False
                return reply

    async def _call(
        self, operator: Operator, purpose: str, messages: Sequence[Message], sections: Sequence[Mapping[str, Any]]
    ) -> Reply:
        """One call, recorded. Raises CallFailed, and NoTokens: then it was not made."""
        if await budget.for_call(self.preparation.database, purpose):
            raise NoTokens
        reasons = purpose == "reason"
        call = Call(
            model=self.model.name,
            host=self.model.host,
            operator=operator.name,
            purpose=purpose,
            num_ctx=self.model.num_ctx,
            prompt={"messages": list(messages), "sections": list(sections)},
            at=time.time(),
        )
        call = replace(call, id=await calls.began(self.preparation.database, call))
        self.asked.append(call.id)
        ended = replace(call, outcome=CallOutcome.INTERRUPTED, detail="the engine has ended")
        try:
            reply = await self.model.ask(
                messages,
                schema=None if reasons else operator.schema,
                most_tokens=REASON_TOKENS if reasons else operator.most_tokens,
                temperature=TEMPERATURES.get(purpose, WRITE_TEMPERATURE),
                seed=random.Random(f"cockpit {self.preparation.seed} {call.id}").randrange(2**31),
                at_least=self.least_tokens,
            )
            ended = replace(call, outcome=CallOutcome.OK, answer=reply.text, **asdict(reply.took))
            # The next messages begin with these, and with the answer: fewer tokens than now, and they were cut.
            self.least_tokens = reply.took.prompt_tokens or 0
        except CallFailed as failed:
            ended = replace(call, outcome=failed.outcome, detail=failed.detail, **asdict(failed.took))
            raise
        finally:
            await asyncio.shield(calls.ended(self.preparation.database, ended))
        return reply

    async def _propose(self, operator: Operator, reply: Reply, reasoned: str) -> Experiment | Refused | None:
        """Have an answer let in. None where the study has all its experiments meanwhile."""
        own = self.preparation
        async with own.turn:
            trunk = await own.trunk()
            parent = await own.parent(trunk)
            if self.count is not None and await views.count(own.database) >= self.count:
                return None
            asked, self.asked = self.asked, []
            proposal = Proposal(
                proposer=MODEL,
                operator=operator.name,
                parent=parent.number,
                trunk=trunk.number,
                hypothesis="",
                change={"answer": reply.text},
                at=time.time(),
                wall_seconds=time.monotonic() - self.began,
            )
            try:
                suggestion = operator.read(reply.text, whole=reply.whole)
            except Refused as why:
                reason = (
                    why.reason if reply.whole else f"{why.reason}; it was cut after {reply.took.answer_tokens} tokens"
                )
                return await own.refuse(proposal, Refused(why.refusal, reason), None, asked)
            edit = suggestion.edit.onto(own.values(parent))  # it may be another one since it thought
            words = suggestion.words or quoted(reasoned)
            hypothesis = f'{edit.sentence} ("{words}")' if words else edit.sentence
            proposal = replace(proposal, hypothesis=hypothesis, change=suggestion.edit.change)
            return await own.let_in(proposal, edit, asked)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _result(own: Preparation, parent: Experiment, row: Experiment, score: float | None) -> Result:
    """What an experiment changed, and what is known to have come of it."""
    values = own.values(parent)
    moved = Setting(own.knobs, values, own.values(row)).onto(values).sentence
    word = row.verdict.word if row.verdict and row.state is not State.FAILED else row.state
    full = f"{row.state}, {row.failure}" if row.failure else row.verdict.sentence if row.verdict else str(word)
    under_way = row.state in (State.QUEUED, State.RUNNING) and score is None
    return Result(row.hypothesis if row.operator == REWRITE else moved, str(word), full, score, over=not under_way)
