"""The operator *rewrite*: one whole function of an editable file is given to the model, and taken back whole.

The functions take turns, in an order drawn from the study's seed, and so do the aims: asked for any change at all, a
small model gives the function back as it was (five of seven, in a trial with 0.5 B). One that is too long for the
context is left out: it stands in the question, in the answer and once more in a repair.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from loop.propose.admit import Refused
from loop.propose.context import TOKENS_A_CHARACTER
from loop.propose.edits import REWRITE, Rewrite
from loop.propose.functions import Function, closed
from loop.propose.operators import Suggestion
from store.records import Refusal

MOST_CHARACTERS = 1_600  # of a function: a small model loses its way in a longer one
BESIDE_TOKENS = 840  # of the context, for all that is no function
COPIES = 4  # of the function, in the context: the question, and answers that may be longer than it
MORE_TOKENS = 120  # that an answer may be longer
AIMS = (
    "do less work: leave out a step, or make one cheaper",
    "learn better: add an operation, or change one",
    "use another value in the place of a number or a name that stands in it",
    "use another function for one of its steps",
)


class Rewriting(Struct, frozen=True):
    """One function, and what its file has at the top besides."""

    function: Function
    beside: Sequence[str]
    aim: str
    name: str = REWRITE
    purpose: str = "write"
    schema: Mapping[str, Any] | None = None

    @property
    def material(self) -> tuple[str, str, Sequence[str]]:
        """The names that the function may use."""
        return "file", f"What {self.function.path} has besides, in part:", self.beside

    @property
    def reason(self) -> str:
        """The function, and the question."""
        return (
            f"The function {self.function.name} of {self.function.path}:\n```python\n{self.function.text}\n```\n"
            f"Let it {self.aim}. Which line do you change, and to what? Answer in two short sentences, with the "
            "reason. Do not repeat what was tried."
        )

    @property
    def write(self) -> str:
        """The second question."""
        return (
            f"Now write the whole function `{self.function.short}` with that change made: it alone, in one ```python "
            "block, without its class and without other text. It must differ from the one above; its name and its "
            "parameters stay. It may use what its file has, and nothing else."
        )

    @property
    def repair(self) -> str:
        """What is said of an answer that cannot be let in."""
        return "That cannot be run: {reason}. Write the whole function again with that mended."

    @property
    def most_tokens(self) -> int:
        """As many as the function and a half."""
        return round(1.5 * len(self.function.text) * TOKENS_A_CHARACTER) + MORE_TOKENS

    def read(self, answer: str, *, whole: bool) -> Suggestion:
        """An answer is a function: whether it can be used is seen when it takes the place of the old one.

        Raises Refused where its end is missing: what is there may be Python all the same.
        """
        if not whole and not closed(answer):
            raise Refused(Refusal.INVALID, f"the end of `{self.function.short}` is missing")
        return Suggestion(Rewrite(self.function, answer), "")


def fits(function: Function, num_ctx: int) -> bool:
    """Whether a function is short enough for a context of so many tokens."""
    return len(function.text) <= min(MOST_CHARACTERS, (num_ctx - BESIDE_TOKENS) / COPIES / TOKENS_A_CHARACTER)


def turn_of(found: Sequence[Function], seed: int, turn: int) -> tuple[Function, str]:
    """The function and the aim whose turn it is. Each function is there once before one is there again."""
    order = sorted(found, key=lambda one: one.key)
    random.Random(f"cockpit {seed}").shuffle(order)
    rounds, index = divmod(turn, len(order))
    return order[index], AIMS[(index + rounds) % len(AIMS)]
