"""One thought of a model: it reasons, packs that into a proposal, and may mend it once.

    what is known becomes a prompt                                (_prompt)
    the model reasons in free text, and packs it into a schema    (think)
    the proposal is let in, or it is told why not, once           (_propose)

Each call is recorded from the asking on, so its tokens are booked whatever comes of it.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from loop.propose import operators
from loop.propose.admit import Refused
from loop.propose.context import Prompt, Result, build
from loop.propose.domain import Value, same
from loop.propose.model import CallFailed, Message, Model, Reply
from loop.propose.operators import Suggestion
from loop.propose.prepare import KNOBS, Preparation
from store import calls, commands
from store.records import Call, CallOutcome, Experiment, Proposal, State

MODEL = "model"  # who proposes
REASON_TOKENS, PACK_TOKENS = 120, 240  # of an answer, at most
NOTES = 5  # of the newest
ALIKE = 0.6  # of the tokens a character of the last prompt: fewer, and this one was not read whole
AROUND_TOKENS = 200  # the questions after the first, and what a template puts around each message
REASON_TEMPERATURE, PACK_TEMPERATURE = 0.8, 0.2  # ideas may wander; what is written down is what was said


@dataclass
class Thought:
    """What is going on in one thought. `count` is how many experiments the study is to have in all."""

    preparation: Preparation
    model: Model
    count: int | None
    broken_off: bool = False  # a timed stage has ended the last call
    values: Mapping[str, Value] = field(default_factory=dict)  # of trunk's knobs, as the model was told
    asked: list[int] = field(default_factory=list)  # calls that have come to no proposal yet
    least_tokens: int = 0  # that the next messages must be
    began: float = field(default_factory=time.monotonic)

    async def think(self) -> Experiment | None:
        """Propose one experiment. None where no call was answered, or nothing that was proposed could be let in."""
        prompt = await self._prompt()
        messages: list[Message] = [_message("system", prompt.system), _message("user", prompt.user)]
        try:
            reasoned = await self._ask("reason", messages, prompt.sections)
            messages += [_message("assistant", reasoned.text), _message("user", operators.PACK)]
            packed = await self._ask("pack", messages)
            made = await self._propose(packed)
            if isinstance(made, Refused):
                mend = operators.REPAIR.format(reason=made.reason)
                messages += [_message("assistant", packed.text), _message("user", mend)]
                made = await self._propose(await self._ask("repair", messages))
        except CallFailed:
            return None
        return made if isinstance(made, Experiment) else None

    async def _prompt(self) -> Prompt:
        """What the model is told, as things stand."""
        own = self.preparation
        rows, incumbent = await own.stand()
        _, known = await own.known(rows)
        self.values = own.values(incumbent)
        results = [_result(own, rows, row, known[row.number].gains) for row in rows[1:] if row.number in known]
        answers = REASON_TOKENS + 2 * PACK_TOKENS + AROUND_TOKENS
        density = await calls.density(own.database, self.model.name)
        lines = operators.lines(own.knobs, self.values)
        notes = await commands.notes(own.database, NOTES)
        room = self.model.num_ctx - answers
        prompt = build(own.settings, lines, notes, results, operators.REASON, room, density)
        self.least_tokens = int((density or 0.0) * ALIKE * len(prompt.system + prompt.user))
        return prompt

    async def _ask(
        self, purpose: str, messages: Sequence[Message], sections: Sequence[Mapping[str, Any]] = ()
    ) -> Reply:
        """An answer. What is broken off is asked again, which by then is in quiet. Raises CallFailed."""
        while True:
            try:
                reply = await self._call(purpose, messages, sections)
            except CallFailed as failed:
                if failed.outcome is not CallOutcome.BROKEN_OFF:
                    raise
                self.broken_off = True
            else:
                self.broken_off = False
                return reply

    async def _call(self, purpose: str, messages: Sequence[Message], sections: Sequence[Mapping[str, Any]]) -> Reply:
        """One call, recorded. Raises CallFailed."""
        packs = purpose != "reason"
        call = Call(
            model=self.model.name,
            host=self.model.host,
            operator=KNOBS,
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
                schema=operators.schema(self.preparation.knobs, self.values) if packs else None,
                most_tokens=PACK_TOKENS if packs else REASON_TOKENS,
                temperature=PACK_TEMPERATURE if packs else REASON_TEMPERATURE,
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

    async def _propose(self, reply: Reply) -> Experiment | Refused | None:
        """Have an answer let in. None where the study has all its experiments meanwhile."""
        own = self.preparation
        async with own.turn:
            rows, incumbent = await own.stand()
            if self.count is not None and len(rows) >= self.count:
                return None
            asked, self.asked = self.asked, []
            proposal = Proposal(
                proposer=MODEL,
                operator=KNOBS,
                parent=incumbent.number,
                hypothesis="",
                change={"answer": reply.text},
                at=time.time(),
                wall_seconds=time.monotonic() - self.began,
            )
            try:
                suggestion = operators.read(reply.text, own.knobs, self.values)
            except Refused as why:
                reason = (
                    why.reason if reply.whole else f"{why.reason}; it was cut after {reply.took.answer_tokens} tokens"
                )
                return await own.refuse(proposal, Refused(why.refusal, reason), None, asked)
            now = own.values(incumbent)  # of trunk, which may have moved while it thought
            moves = {key: value for key, value in suggestion.knobs.items() if not same(value, now[key])}
            hypothesis = _hypothesis(own.sentence(incumbent, moves), suggestion)
            return await own.let_in(
                rows, replace(proposal, hypothesis=hypothesis, change={KNOBS: suggestion.knobs}), moves, asked
            )


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _hypothesis(moves: str, suggestion: Suggestion) -> str:
    """What moves, and the model's own words as a quotation."""
    return f'{moves} ("{suggestion.words}")' if suggestion.words else moves


def _result(own: Preparation, rows: list[Experiment], row: Experiment, gains: Sequence[float] | None) -> Result:
    """What an experiment moved, and what is known to have come of it."""
    parent = rows[row.parent or 0]
    before, after = own.values(parent), own.values(row)
    moved = {key: value for key, value in after.items() if value != before[key]}
    word = row.verdict.word if row.verdict and row.state is not State.FAILED else row.state
    full = f"{row.state}, {row.failure}" if row.failure else row.verdict.sentence if row.verdict else str(word)
    score = sum(gains) / len(gains) if gains else None
    under_way = row.state in (State.QUEUED, State.RUNNING) and gains is None
    return Result(own.sentence(parent, moved), str(word), full, score, over=not under_way)
