"""A script that stands for a model: the HTTP shell of `loop/propose/protocol.py`, with acts for a brain.

    python -m tests.scripted

serves a brain that proposes something new each time, and prints its port.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loop.propose.protocol import Hangup, NotServed, Piece, shell

CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Answer:
    """A whole answer, in so many pieces. Where `prompt_tokens` is None they are counted."""

    text: str
    prompt_tokens: int | None = None
    done: bool = True
    done_reason: str = "stop"
    seconds: float = 0.0
    pieces: int = 3


Act = Answer | NotServed | Hangup | bytes | Callable[[dict[str, Any]], Iterator[Piece]]
Script = Callable[[dict[str, Any]], Act]


@dataclass
class Scripted:
    """Answers each request by the script, and keeps the requests."""

    script: Script
    name: str = "scripted:1b-coder"
    requests: list[dict[str, Any]] = field(default_factory=list)
    capabilities: Sequence[str] = ("completion",)

    def chat(self, request: dict[str, Any]) -> Generator[Piece, None, None]:
        self.requests.append(request)
        act = self.script(request)
        match act:
            case Answer():
                yield from _answer(request, act)
            case bytes():
                yield act
            case Exception():
                raise act
            case _:
                yield from act(request)


def _answer(request: dict[str, Any], act: Answer) -> Iterator[Piece]:
    size = max(1, -(-len(act.text) // act.pieces))
    for start in range(0, len(act.text), size):
        time.sleep(act.seconds / act.pieces)
        text = act.text[start : start + size]
        yield {"message": {"role": "assistant", "content": text}, "done": False}
    if act.done:
        asked = sum(len(message["content"]) for message in request["messages"])
        yield {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": act.done_reason,
            "total_duration": int(act.seconds * 1e9),
            "load_duration": 250_000_000,
            "prompt_eval_count": asked // CHARACTERS_A_TOKEN if act.prompt_tokens is None else act.prompt_tokens,
            "prompt_eval_duration": 0,
            "eval_count": len(act.text) // CHARACTERS_A_TOKEN,
            "eval_duration": int(act.seconds * 1e9),
        }


def packs(request: dict[str, Any]) -> bool:
    """Whether the answer is to be in a schema."""
    return isinstance(request.get("format"), dict)


def changes(words: str = "because", **knobs: Any) -> str:
    """An answer of the operator *knobs*."""
    return json.dumps({"changes": [{"knob": name, "to": value} for name, value in knobs.items()], "hypothesis": words})


def something_new() -> Script:
    """A script that changes one knob that is a number, each time to another value."""
    count = 0

    def script(request: dict[str, Any]) -> Act:
        nonlocal count
        if not packs(request):
            return Answer("A smaller value costs less.")
        count += 1
        options = request["format"]["properties"]["changes"]["items"]["anyOf"]
        one = next(option["properties"] for option in options if "minimum" in option["properties"]["to"])
        low, high = (one["to"][bound] for bound in ("minimum", "maximum"))
        value = low + (high - low) * (0.618034 * count % 1)
        whole = one["to"]["type"] == "integer"
        return Answer(changes(**{one["knob"]["const"]: round(value) if whole else value}))

    return script


@contextmanager
def serving(script: Script, name: str = "scripted:1b-coder") -> Iterator[tuple[str, Scripted]]:
    """A server in this process. Its address, and the brain."""
    brain = Scripted(script, name)
    server = shell(brain)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", brain
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with shell(Scripted(something_new())) as here:
        print(here.server_port, flush=True)
        sys.stdout.close()
        here.serve_forever(0.02)
