"""One call to a model, for the screen, people and scripts: what it was told, what of that was cut, and what came of it.

A server counts the tokens of a prompt as a whole. Those of a part are reckoned from its characters, which `~` says.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cockpit import figures
from cockpit.output import call_keys
from cockpit.pages import aligned, clock, count
from store.calls import Became, Told
from store.records import Call, CallOutcome, name_of

WIDTH = 100
UNREADABLE = "it cannot be read: what is recorded is no list of messages"
CHANGES = {"knobs": "knob", "rewrite": "function"}  # of a proposal's change: what there are some of


class Part(Struct, frozen=True):
    """A part of a prompt, as it was sent. `tokens` are reckoned; None where there is nothing to reckon by."""

    name: str
    text: str
    tokens: int | None
    lines: int
    of: int  # lines that there were
    cut: str = ""  # why there are fewer
    shortened: str = ""

    @property
    def gone(self) -> str:
        """What was cut of it; nothing where it is whole."""
        parts = [f"{self.of - self.lines} of {count(self.of, 'line')}"] if self.of > self.lines else []
        return ", ".join([*parts, *([f"shortened {self.shortened}"] if self.shortened else [])])

    @property
    def lost(self) -> str:
        """What was cut of it, and why."""
        return " ".join(filter(None, (self.gone, self.cut)))


# --- what it was told ------------------------------------------------------------------------------------------------


def parts(told: Told) -> list[Part]:
    """The prompt in the order in which it was sent: the sections, the question, and what was said since."""
    if (messages := _messages(told.call)) is None:
        return [Part("prompt", UNREADABLE, None, 1, 1)]
    found, users, answers = list[Part](), 0, 0
    for message in messages:
        role, text = str(message.get("role", "")), str(message.get("content", ""))
        if role == "system":
            found.append(_part({"name": "system"}, text))
        elif role == "assistant":
            answers += 1
            found.append(_part({"name": f"answer {answers}"}, text))
        elif users := users + 1:
            first = [one for one in told.sections if one.get("name") not in ("system", "question")]
            found += _sections(text, first) if users == 1 else [_part({"name": f"question {users}"}, text)]
    return _reckoned(found, told)


def _messages(call: Call) -> list[dict[str, Any]] | None:
    """What was said, by whom; None where what is recorded cannot be read so."""
    messages = call.prompt.get("messages", []) if isinstance(call.prompt, dict) else None
    sound = isinstance(messages, list | tuple) and all(isinstance(one, dict) for one in messages)
    return list(messages) if messages is not None and sound else None


def _sections(text: str, sections: Sequence[Mapping[str, Any]]) -> list[Part]:
    """The first question by its sections: each is a head and its lines, and an empty line follows."""
    rest, found = text.split("\n"), list[Part]()
    for one in sections:
        size = int(one.get("lines", 0)) + 1
        own = rest[:size] if size > 1 else []
        if own and (rest[size : size + 1] != [""] or not all(line.startswith("- ") for line in own[1:])):
            return [_part({"name": "prompt"}, text)]  # it is built otherwise than this cockpit knows
        rest = rest[size + 1 :] if own else rest
        if own or one.get("of"):
            found.append(_part(one, "\n".join(own)))
    return [*found, _part({"name": "question"}, "\n".join(rest))]


def _part(one: Mapping[str, Any], text: str) -> Part:
    lines = int(one.get("lines", text.count("\n") + 1))
    said = {name: str(one.get(name, "")) for name in ("cut", "shortened")}
    return Part(str(one["name"]), text, None, lines, int(one.get("of", lines)), **said)


def _reckoned(those: Sequence[Part], told: Told) -> list[Part]:
    """With tokens by the call's own density; while the server has not counted, by that with which it was built."""
    characters = sum(len(one.text) for one in those)
    density = told.call.prompt_tokens / characters if told.call.prompt_tokens and characters else None
    if density is None:
        tokens = {str(one.get("name")): int(one.get("tokens", 0)) for one in told.sections}
        known = [one for one in those if tokens.get(one.name)]
        size = sum(len(one.text) for one in known)
        density = sum(tokens[one.name] for one in known) / size if size else None
    return [replace(one, tokens=None if density is None else round(len(one.text) * density)) for one in those]


def whole(call: Call) -> str:
    """The prompt as it was sent, each message under who says it."""
    if (messages := _messages(call)) is None:
        return UNREADABLE
    return "\n\n".join(f"[{message.get('role')}]\n{message.get('content')}" for message in messages)


# --- what came of it -------------------------------------------------------------------------------------------------


def sizes(told: Told) -> list[tuple[str, str]]:
    """What was sent against the context: words, each before a number; `cut` is there where something was."""
    call, those = told.call, parts(told)
    sent = figures.amount(call.prompt_tokens) if call.prompt_tokens is not None else reckoned(sent_tokens(those))
    found = [("sent", sent), (" of num_ctx", figures.amount(call.num_ctx))]
    if gone := sum(one.of - one.lines for one in those):
        found.append(("   cut", count(gone, "line")))
    if call.answer_tokens is not None:
        found.append(("   answer", figures.amount(call.answer_tokens)))
        if call.prompt_tokens is not None:
            free = call.num_ctx - call.prompt_tokens - call.answer_tokens
            found.append(("   kept free", figures.amount(max(0, free))))
    return found


def sent_tokens(those: Sequence[Part]) -> int | None:
    """What a prompt comes to as it is reckoned."""
    return sum(one.tokens or 0 for one in those) if any(one.tokens for one in those) else None


def reckoned(tokens: int | None) -> str:
    """Tokens that nobody has counted."""
    return "?" if tokens is None else f"~{figures.amount(tokens)}"


def took(call: Call, now: float) -> str:
    """When it was made, and how long it took: `06:31, took 52 s`."""
    if call.ended_at is None:
        return f"since {clock(call.at)[:5]}, {figures.ticking(now - call.at)}"
    return f"{clock(call.at)[:5]}, took {figures.lasted(call.ended_at - call.at)}"


def held(call: Call) -> str:
    """For how long of that it waited for timed stages; nothing where it did not."""
    return f", held {figures.lasted(call.held_seconds)}" if call.ended_at and call.held_seconds >= 0.5 else ""


def answered(told: Told) -> str:
    """How good the answer was, as far as it is recorded."""
    call, came = told.call, told.became
    if call.outcome is None:
        return "under way"
    if call.outcome is not CallOutcome.OK:
        return f"none: {call.outcome}" + (f", {call.detail}" if call.detail else "")
    if call.purpose == "reason":
        return "in free text; what follows from it is written down next"
    if came is None:
        return "whole"
    if came.proposal.refusal is not None:
        return "not let in" + (", once more" if call.purpose == "repair" else "")
    return f"valid {'once it was mended' if call.purpose == 'repair' else 'at the first try'}{_changes(came)}"


def _changes(came: Became) -> str:
    """What is changed: `, 2 knobs`, `, function train.py:step`."""
    for key, noun in CHANGES.items():
        if key in came.proposal.change:
            change = came.proposal.change[key]
            return f", {count(len(change), noun)}" if isinstance(change, dict) else f", {noun} {change}"
    return ""


def experiment(told: Told) -> int | None:
    """The number of the experiment to which it came."""
    return told.became.experiment if told.became else None


def words(told: Told) -> str:
    """The model's own: its reasons; of an answer in a form for programs the hypothesis that was read from it."""
    came = told.became
    if told.call.purpose != "reason" and came is not None and came.proposal.hypothesis:
        return came.proposal.hypothesis
    return told.call.answer


def became(told: Told) -> str:
    """What became of it: `e0047 running`, `refused: duplicate: it changes nothing`."""
    call, came = told.call, told.became
    if came is not None and came.experiment is not None:
        return f"{name_of(came.experiment)} {came.state or ''}".rstrip()
    if came is not None:
        return f"refused: {came.proposal.refusal}: {came.proposal.reason}"
    waits = call.id == told.newest and call.outcome in (None, CallOutcome.OK)
    return "no proposal yet" if waits else "no proposal came of it"


# --- the command -----------------------------------------------------------------------------------------------------


def without(model: str | None, why: str) -> str:
    """Why there is no call to show."""
    if model is None:
        return "no model was asked: no engine has run yet"
    if model == "none":
        return f"no model is asked{f': {why}' if why else ''}"
    return f"no model was asked yet; {model} is, when it is its turn"


def page(told: Told, now: float) -> str:
    """All of it but the prompt's text."""
    call, those = told.call, parts(told)
    came = experiment(told)
    head = f"call {call.id}{f' for {name_of(came)}' if came is not None else ''}"
    lines = [f"{head}   {call.operator}, {call.purpose}   {call.model}, {call.host}   {took(call, now)}{held(call)}"]
    lines += ["".join(f"{word} {number}" for word, number in sizes(told)), ""]
    columns = [
        ["section", *(one.name for one in those)],
        ["tokens", *(reckoned(one.tokens) for one in those)],
        ["", *(one.lost for one in those)],
    ]
    lines += _table(columns)
    lines += ["", f"answer  {answered(told)}"]
    lines += [f"        {text}" for text in textwrap.wrap(f"“{words(told)}”", WIDTH - 8) if words(told)]
    return "\n".join([*lines, f"became  {became(told)}"])


def _table(columns: Sequence[Sequence[str]]) -> list[str]:
    names, *rest = columns
    return aligned([["", *names[1:]], *([*one] for one in rest)], title=names[0])


def keys(told: Told) -> dict[str, Any]:
    """The same for scripts, and the prompt: a contract, docs/json.md."""
    came = told.became
    return {
        "id": told.call.id,
        **call_keys(told.call),
        "experiment": None if (number := experiment(told)) is None else name_of(number),
        "state": came.state if came else None,
        "refusal": came.proposal.refusal if came else None,
        "reason": came.proposal.reason if came else None,
        "hypothesis": came.proposal.hypothesis if came else None,
        "prompt": [
            {
                "name": one.name,
                "tokens": one.tokens,
                "lines": one.lines,
                "of": one.of,
                "cut": one.cut or None,
                "shortened": one.shortened or None,
                "text": one.text,
            }
            for one in parts(told)
        ],
        "newest": told.newest,
    }
