"""The operator *rewrite*: one whole function of an editable file is given to the model, and taken back whole.

The functions take turns, in an order drawn from the study's seed. One that is too long for the context is left out: it
stands in the question, in the answer and once more in a repair.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.propose.context import TOKENS_A_CHARACTER
from loop.propose.edits import REWRITE, Rewrite
from loop.propose.functions import Function
from loop.propose.operators import Suggestion

MOST_CHARACTERS = 1_600  # of a function: a small model loses its way in a longer one
BESIDE_TOKENS = 840  # of the context, for all that is no function
COPIES = 4  # of the function, in the context: the question, and answers that may be longer than it
MORE_TOKENS = 120  # that an answer may be longer


@dataclass(frozen=True, slots=True)
class Rewriting:
    """One function, and what its file has at the top besides."""

    function: Function
    beside: Sequence[str]
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
            "Which one change to what this function does would help most? Answer in two short sentences, with the "
            "reason. Do not repeat what was tried."
        )

    @property
    def write(self) -> str:
        """The second question."""
        short = self.function.name.rpartition(".")[2]
        return (
            f"Write the whole function `{short}` with that change, in one ```python block and without other text. "
            "Its name and its parameters stay. It may use what its file has, and nothing else that is not in Python "
            "or in torch."
        )

    @property
    def repair(self) -> str:
        """What is said of an answer that cannot be let in."""
        return "That cannot be run: {reason}. Write the whole function again with that mended."

    @property
    def most_tokens(self) -> int:
        """As many as the function and a half."""
        return round(1.5 * len(self.function.text) * TOKENS_A_CHARACTER) + MORE_TOKENS

    def read(self, answer: str) -> Suggestion:
        """An answer is a function: whether it can be used is seen when it takes the place of the old one."""
        return Suggestion(Rewrite(self.function, answer), "")


def next_function(found: Sequence[Function], num_ctx: int, seed: int, turn: int) -> Function | None:
    """The function whose turn it is, of those that fit the context; None where none does."""
    room = min(MOST_CHARACTERS, round((num_ctx - BESIDE_TOKENS) / COPIES / TOKENS_A_CHARACTER))
    fitting = sorted((one for one in found if len(one.text) <= room), key=lambda one: one.key)
    random.Random(f"cockpit {seed}").shuffle(fitting)
    return fitting[turn % len(fitting)] if fitting else None
