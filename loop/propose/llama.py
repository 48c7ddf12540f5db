"""A GGUF file as a brain behind Ollama's protocol, by llama.cpp (xllamacpp): a process of its own.

    python -P -E -m loop.propose.llama FILE NUM_CTX THREADS PARENT

It says that it is there, loads, prints its port and serves. It ends with whoever started it, whatever becomes of that
one: the kernel sees to it.
"""

import ctypes
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from loop.propose.protocol import NotServed, Piece, shell

PR_SET_PDEATHSIG = 1
PASSED_ON = ("temperature", "seed", "top_p", "top_k", "min_p", "stop", "repeat_penalty")  # of Ollama's options
JSON = {"Content-Type": "application/json"}
SOON = 0.2  # seconds


class Llama:
    """A model that is loaded, on so many threads."""

    capabilities: Sequence[str] = ("completion",)

    def __init__(self, file: Path, num_ctx: int, threads: int) -> None:
        began = time.monotonic()
        xllamacpp: Any = import_module("xllamacpp")
        wanted = xllamacpp.CommonParams()
        wanted.model.path = str(file)
        wanted.n_ctx, wanted.n_parallel, wanted.n_gpu_layers = num_ctx, 1, 0
        wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = threads
        wanted.hostnames, wanted.port = ["127.0.0.1"], 0
        self._server = xllamacpp.Server(wanted)
        self._address = self._server.listening_address.removeprefix("http://")
        self.name = file.stem
        self._load_nanoseconds = int((time.monotonic() - began) * 1e9)

    def chat(self, request: dict[str, Any]) -> Generator[Piece, None, None]:
        """An answer of llama.cpp's server, in Ollama's words."""
        connection = http.client.HTTPConnection(self._address)
        began = time.monotonic()
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(_asked(request)).encode(), JSON)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise NotServed(response.status, response.read().decode(errors="replace"))
            reason, timings = "stop", dict[str, Any]()
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                said = json.loads(line[len(b"data: ") :])
                timings = said.get("timings") or timings
                for choice in said.get("choices", ()):
                    reason = choice.get("finish_reason") or reason
                    if text := choice["delta"].get("content"):
                        yield {"message": {"role": "assistant", "content": text}, "done": False}
            yield self._last(reason, timings, time.monotonic() - began)
        finally:
            connection.close()  # which frees the model, where nobody has heard it to the end

    def _last(self, reason: str, timings: dict[str, Any], wall_seconds: float) -> dict[str, Any]:
        load, self._load_nanoseconds = self._load_nanoseconds, 0
        return {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": reason,
            "total_duration": int(wall_seconds * 1e9) + load,
            "load_duration": load,
            "prompt_eval_count": timings.get("cache_n", 0) + timings.get("prompt_n", 0),
            "prompt_eval_duration": int(timings.get("prompt_ms", 0) * 1e6),
            "eval_count": timings.get("predicted_n", 0),
            "eval_duration": int(timings.get("predicted_ms", 0) * 1e6),
        }


def _asked(request: dict[str, Any]) -> dict[str, Any]:
    options = request.get("options") or {}
    asked: dict[str, Any] = {
        "messages": request.get("messages") or [],
        "stream": True,
        "cache_prompt": True,
        **{name: options[name] for name in PASSED_ON if options.get(name) is not None},
    }
    if options.get("num_predict"):
        asked["max_tokens"] = options["num_predict"]
    match request.get("format"):
        case "json":
            asked["response_format"] = {"type": "json_object"}
        case dict() as schema:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"schema": schema}}
    return asked


def main(file: str, num_ctx: str, threads: str, parent: str) -> None:
    """Load and serve, until whoever started this is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it went before that was said
        return
    with suppress(OSError):
        # Where memory runs out, the kernel takes this first: a run that it took would be held to have failed.
        Path("/proc/self/oom_score_adj").write_text("1000")
    print("here", flush=True)  # noqa: T201 - for whoever started this
    with shell(Llama(Path(file), int(num_ctx), int(threads))) as server:
        print(server.server_port, flush=True)  # noqa: T201 - for whoever started this
        server.serve_forever(SOON)


if __name__ == "__main__":
    main(*sys.argv[1:])
