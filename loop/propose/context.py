"""What a model is told: sections in a fixed order, what changes least first, cut by rule to fit.

A server keeps what it has read of a prompt's beginning, so goal, objectives and what the operator works with, its
*material*, come before the results. Where it is too long, lines go in this order: the oldest of what was tried, then of
the worst results, of the best, the oldest notes, the last of the material. What was cut is kept with the call. A prompt
for a small model is short: MOST_TOKENS.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from loop.judge.bounds import limits
from loop.study import Settings

MOST_TOKENS = 1_500
TOKENS_A_CHARACTER = 0.5  # until the model's server has counted: numbers are a token a digit
MARGIN = 1.1  # on what it has counted
EXTREMES = 3  # best results, and as many worst
LINE_CHARACTERS = 240
SYSTEM = (
    "You are an expert in machine learning who improves a training script. "
    "You propose one experiment at a time. You use only what you are given."
)


class Result(Struct, frozen=True):
    """One experiment: what it moved, and what came of it, in a word and in full."""

    moves: str
    word: str
    full: str
    score: float | None  # None where it has failed
    over: bool = True  # else it still runs, or waits


class Section(Struct, frozen=True):
    """A part of a prompt: a head, and the lines under it that there is room for, of `of`."""

    name: str
    head: str
    lines: tuple[str, ...]
    of: int

    @property
    def text(self) -> str:
        """As it is sent; nothing where no line is left."""
        return "\n".join((self.head, *(f"- {line}" for line in self.lines))) + "\n" if self.lines else ""


class Prompt(Struct, frozen=True):
    """What is asked first: the system's message and the user's, and of what that is made."""

    system: str
    user: str
    sections: tuple[dict[str, Any], ...]


def build(
    settings: Settings,
    material: tuple[str, str, Sequence[str]],
    notes: Sequence[str],
    results: Sequence[Result],
    question: str,
    room_tokens: int,
    tokens_a_character: float | None,
    left_out: int = 0,
) -> Prompt:
    """The prompt of a proposal. `material` is a section: its name, its head and its lines.

    `notes`, and the `results` of the experiments, are the oldest first. `left_out` is how many more results there are,
    which are older than the newest of these, and neither better nor worse than all others.
    """
    own, head, lines_of_it = material
    density = TOKENS_A_CHARACTER if tokens_a_character is None else tokens_a_character * MARGIN
    judged = sorted((one for one in results if one.over and one.score is not None), key=lambda one: -(one.score or 0.0))
    best = judged[:EXTREMES]
    failed = [one for one in results if one.over and one.score is None]
    worst = [*failed[-1:], *reversed(judged[EXTREMES:])][:EXTREMES]
    rest = [one for one in results if one not in best and one not in worst]
    wanted = {
        "goal": ("The goal:", [settings.study.goal or "better objectives, as below"]),
        "objectives": ("What is measured of each experiment:", _objectives(settings)),
        own: (head, list(lines_of_it)),
        "notes": ("What the person who runs the study says:", list(notes)),
        "best": ("The best results so far:", [f"{one.moves}: {one.full}" for one in best]),
        "worst": ("The worst results so far:", [f"{one.moves}: {one.full}" for one in worst]),
        "tried": ("Tried besides, do not repeat:", [f"{one.moves}: {one.word}" for one in rest]),
    }
    lines = {name: [_short(line) for line in of] for name, (_, of) in wanted.items()}
    shortened = {name for name, (_, of) in wanted.items() if any(len(plain(line)) > LINE_CHARACTERS for line in of)}
    limit = min(MOST_TOKENS, room_tokens)

    def made() -> list[Section]:
        more = {"tried": left_out}
        return [
            Section(name, head, tuple(lines[name]), len(of) + more.get(name, 0)) for name, (head, of) in wanted.items()
        ]

    def tokens(text: str) -> int:
        return round(len(text) * density)

    def whole() -> str:
        return "\n".join(filter(None, (section.text for section in made()))) + "\n" + question

    size = len(SYSTEM + whole())
    while round(size * density) > limit and (name := _next_to_go(lines, own)):
        gone = lines[name].pop(0 if name in ("tried", "notes") else -1)
        # Of a thousand results nearly all go: they are not put together again for each. A head goes with its last line.
        size = size - len(f"- {gone}\n") if lines[name] else len(SYSTEM + whole())
    kept = [
        {"name": one.name, "tokens": tokens(one.text), "lines": len(one.lines), "of": one.of}
        | ({"cut": f"to fit {limit} tokens"} if len(one.lines) < one.of else {})
        | ({"shortened": f"lines to {LINE_CHARACTERS} characters"} if one.name in shortened else {})
        for one in made()
    ]
    fixed = [("system", SYSTEM), ("question", question)]
    kept += [{"name": name, "tokens": tokens(text), "lines": 1, "of": 1} for name, text in fixed]
    return Prompt(SYSTEM, whole(), tuple(kept))


def _next_to_go(lines: dict[str, list[str]], material: str) -> str | None:
    """The section that loses a line next. The goal, the objectives and a line of the material stay."""
    for name in ("tried", "worst", "best", "notes"):
        if lines[name]:
            return name
    return material if len(lines[material]) > 1 else None


def _objectives(settings: Settings) -> list[str]:
    lines = []
    for name in settings.steering:
        one = settings.objectives[name]
        better = "lower" if one.direction == "minimize" else "higher"
        smallest = one.smallest
        size = f"{smallest.size:.2%}" if smallest and smallest.relative else f"{smallest.size:g}" if smallest else ""
        lines.append(f"{name}: {better} is better" + (f", a change of {size} matters" if size else ""))
    return lines + [f"{name}: {limits(name, one)}" for name, one in settings.constraints.items()]


def plain(text: str) -> str:
    """A text on one line, of letters that can be printed: what is the repository's may be anything."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _short(line: str) -> str:
    """One line, and not a long one."""
    whole = plain(line)
    return whole if len(whole) <= LINE_CHARACTERS else f"{whole[: LINE_CHARACTERS - 1]}…"
