"""What a model is asked for: an operator says the questions, the shape of the answer, and what an answer means.

Each has the model reason first, in free text, and write that down in a second answer: a schema alone makes small models
worse (arXiv 2605.26128), and they rewrite one whole function better than they write a diff. There are two:

    knobs      other values for a few knobs, in a schema
    rewrite    one function of an editable file, written anew
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from loop.propose.context import plain
from loop.propose.edits import Edit

WORDS_CHARACTERS = 160  # of a hypothesis
REASON_TOKENS = 120  # of the first answer


class Suggestion(Struct, frozen=True):
    """What a model proposes, and its own words; none where it has given a reason before and no other."""

    edit: Edit
    words: str


class Operator(Protocol):
    """One thing to ask of a model, as a study stands."""

    @property
    def name(self) -> str:
        """Its name in the record."""
        ...

    @property
    def material(self) -> tuple[str, str, Sequence[str]]:
        """What it works with, as a section of the prompt: a name, a head, and the lines under it."""
        ...

    @property
    def reason(self) -> str:
        """The first question, to be answered in free text."""
        ...

    @property
    def purpose(self) -> str:
        """What the second question is for, in the record."""
        ...

    @property
    def write(self) -> str:
        """The second question, to be answered as `read` has it."""
        ...

    @property
    def repair(self) -> str:
        """What is said of an answer that cannot be let in; holds `{reason}`."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The shape of the second answer, for constrained output."""
        ...

    @property
    def most_tokens(self) -> int:
        """Of the second answer."""
        ...

    def read(self, answer: str, *, whole: bool) -> Suggestion:
        """What an answer wishes; `whole` says that its limit has not ended it. Raises Refused, with what to mend."""
        ...


def quoted(text: str) -> str:
    """A model's own words: one line, and not a long one."""
    return plain(text)[:WORDS_CHARACTERS]
