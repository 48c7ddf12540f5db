"""The scorer `causal_lm`: what a text costs a language model, in bits a byte, that has seen no more of it than it may.

    python -I -S language.py causal_lm TEXT ANSWERS
    python -I -S language.py questions TEXT            what is asked, a question a line

Each question is the start of one window of the sealed text, in bytes; its answer the log-probabilities, in nats, of all
256 bytes that may come next. So the continuation that counts stands among all others of the same length, which exclude
each other: together they must have a probability of 1 at most, or they are none. What comes after is in no question of
its own, so it can move nothing there. Between two windows lies a stretch that no question shows: neither from an
earlier nor from a later question can a byte be read that counts.

All 256 are asked for, and not a sample: were it k of them, whoever gives each of k a k-th would pay log2 k bits for
a text of which it knows nothing. So it would be of k continuations that are longer, and cheaper still the longer.

It runs behind the wall, with the study's interpreter (3.8 or later) and the standard library alone.
"""

from __future__ import annotations

import json
import os
import sys
from math import exp, fsum, inf, log
from typing import Any

METRICS = ("val_bpb", "nats_per_byte")
PREFIX_BYTES = 256  # of a question, and so many that no question shows before the next one
STRIDE_BYTES = 2 * PREFIX_BYTES
MOST, LEAST = 2000, 50  # questions
MOST_OVER = 1e-3  # that probabilities may sum to above 1, in single precision
TAMPERED = 76  # exit status: these are no probabilities
NAMED = 60


class Wrong(Exception):
    """The answers are none. The message says which, and what to do."""


class Tampered(Wrong):
    """The answers would make a text cheaper than any model can."""


def starts(size: int) -> list[int]:
    """Where the windows of a text of so many bytes begin: apart from each other, and all over it. Raises Wrong."""
    most = (size - PREFIX_BYTES - 1) // STRIDE_BYTES + 1 if size > PREFIX_BYTES else 0
    if most < LEAST:
        needed = (LEAST - 1) * STRIDE_BYTES + PREFIX_BYTES + 1
        raise Wrong(f"the text has {size} bytes, and a score takes {needed} at least: seal a longer one")
    count = min(most, MOST)
    return [number * (size - PREFIX_BYTES - 1) // (count - 1) for number in range(count)]


def questions(text: bytes) -> str:
    """What the model is asked, a question a line. Raises Wrong."""
    return "".join(
        json.dumps({"id": number, "prefix": list(text[start : start + PREFIX_BYTES])}) + "\n"
        for number, start in enumerate(starts(len(text)))
    )


def score(text: bytes, answers: str) -> dict[str, float]:
    """What the text costs a byte. Raises Wrong and Tampered."""
    begins = starts(len(text))
    found: dict[int, float] = {}
    with open(os.open(answers, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                own, chances = answer(line, number)
                if own in found or not 0 <= own < len(begins):
                    raise Wrong(f"answer {number}: id {own} is {'answered twice' if own in found else 'no question'}")
                found[own] = chances[text[begins[own] + PREFIX_BYTES]]
    lacking = [own for own in range(len(begins)) if own not in found]
    if lacking:
        raise Wrong(f"question {lacking[0]} has no answer, of {len(lacking)} that have none")
    nats = -fsum(found.values()) / len(found)
    return {"val_bpb": nats / log(2), "nats_per_byte": nats}


def answer(line: bytes, number: int) -> tuple[int, list[float]]:
    """The id of an answer, and its log-probabilities. Raises Wrong and Tampered."""
    try:
        said: Any = json.loads(line)
        own, chances = said["id"], [float(value) for value in said["logprobs"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        shown = line[:NAMED].decode(errors="replace").strip()
        raise Wrong(f'answer {number} is no {{"id": …, "logprobs": […]}}: {shown!r}') from None
    if type(own) is not int or len(chances) != 256:
        raise Wrong(f"answer {number} has {len(chances)} log-probabilities, and there are 256 bytes")
    if any(value != value or value == inf for value in chances):
        raise Wrong(f"answer {number}: a log-probability is no number; minus infinity is that of what cannot come")
    whole = fsum(exp(min(value, 700.0)) for value in chances)
    if whole > 1 + MOST_OVER:
        raise Tampered(
            f"answer {number}: over the 256 bytes that may come next the probabilities sum to {whole:.6g}, which is "
            "more than 1: they are none; write log_softmax of the logits"
        )
    # What the precision allows is no gain: over 2,000 windows it would be a sure one, of a bit in seven hundred.
    return own, [value - log(whole) for value in chances] if whole > 1 else chances


def main() -> None:
    """Print a line `name: value` for each metric, or the questions."""
    try:
        with open(sys.argv[2], "rb") as file:
            text = file.read()
        if sys.argv[1] == "questions":
            sys.stdout.write(questions(text))
            return
        found = score(text, sys.argv[3])
    except Wrong as why:
        sys.stderr.write(f"{why}\n")
        raise SystemExit(TAMPERED if isinstance(why, Tampered) else 1) from None
    except OSError as error:
        raise SystemExit(f"{error.filename or 'what was answered'} cannot be read: {error.strerror}") from None
    for name, value in found.items():
        sys.stdout.write(f"{name}: {value!r}\n")


if __name__ == "__main__":
    main()
