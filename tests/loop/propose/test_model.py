"""The client: each way in which a server fails has a name, and nothing that it does hangs or misleads the engine."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loop.propose.embedded import Embedded
from loop.propose.model import CallFailed, Message, Model, Reply, address
from loop.propose.protocol import Hangup, NotServed, Piece
from loop.run.quiet import Quiet
from store.records import CallOutcome
from tests.scripted import Act, Answer, serving

NAME = "scripted:1b-coder"
MESSAGES: list[Message] = [{"role": "system", "content": "You tune."}, {"role": "user", "content": "What next? " * 40}]


def model(host: str, quiet: Quiet | None = None, timeout_seconds: float = 10.0, name: str = NAME) -> Model:
    return Model(name, host, 2048, timeout_seconds, quiet or Quiet())


async def ask(one: Model, **more: Any) -> Reply:
    try:
        return await one.ask(MESSAGES, **{"most_tokens": 50, "temperature": 0.5, "seed": 7, **more})
    finally:
        await one.close()


async def heard(one: Model, **more: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await ask(one, **more)
    return failed.value


async def test_an_answer_comes_whole_with_what_it_took() -> None:
    with serving(lambda _: Answer("Lower the rate.", seconds=0.1)) as (host, brain):
        said = await ask(model(host), schema={"type": "object"})
    assert said.text == "Lower the rate."
    assert said.whole
    asked = sum(len(message["content"]) for message in MESSAGES)
    assert (said.took.prompt_tokens, said.took.answer_tokens) == (asked // 4, 3)
    assert (said.took.load_seconds, said.took.answer_seconds) == (0.25, 0.1)
    (request,) = brain.requests
    assert request["options"] == {"num_ctx": 2048, "num_predict": 50, "temperature": 0.5, "seed": 7}
    assert (request["stream"], request["format"], request["messages"]) == (True, {"type": "object"}, MESSAGES)


async def test_a_client_that_wants_no_stream_gets_the_answer_in_one_piece() -> None:
    from ollama import AsyncClient

    with serving(lambda _: Answer("Lower the rate.")) as (host, brain):
        async with AsyncClient(host, trust_env=False) as client:
            said = await client.chat(brain.name, MESSAGES, stream=False)
    assert (said.message.content, said.done, said.eval_count) == ("Lower the rate.", True, 3)


async def test_an_answer_that_was_cut_by_its_limit_says_so() -> None:
    with serving(lambda _: Answer('{"changes": [', done_reason="length")) as (host, _):
        assert not (await ask(model(host))).whole


def in_midst(piece: bytes | Exception) -> Act:
    def pieces(request: dict[str, Any]) -> Iterator[Piece]:
        yield {"message": {"role": "assistant", "content": "Low"}, "done": False}
        if isinstance(piece, Exception):
            raise piece
        yield piece

    return pieces


TOO_LONG = '{"error":{"code":400,"message":"request (5000 tokens)","type":"exceed_context_size_error"}}'
FAILURES: list[tuple[Act, CallOutcome, str]] = [
    (NotServed(404, "model 'scripted:1b-coder' not found"), CallOutcome.NO_MODEL, "not found"),
    (NotServed(400, "invalid options"), CallOutcome.REFUSED, "invalid options"),
    (NotServed(400, TOO_LONG), CallOutcome.TOO_LONG, "5000 tokens"),
    (NotServed(500, "llama runner process has terminated"), CallOutcome.SERVER_ERROR, "terminated"),
    (NotServed(503, "server busy, maximum pending requests exceeded"), CallOutcome.BUSY, "maximum pending requests"),
    (Hangup(), CallOutcome.DROPPED, ""),
    (in_midst(Hangup()), CallOutcome.DROPPED, ""),
    (
        in_midst(NotServed(500, "an error was encountered while running the model")),
        CallOutcome.SERVER_ERROR,
        "encountered",
    ),
    (in_midst(b"<html>\n"), CallOutcome.MALFORMED, ""),
    (in_midst(b'{"message": 3, "done": true}\n'), CallOutcome.MALFORMED, ""),
    (in_midst(b"[1, 2]\n"), CallOutcome.MALFORMED, ""),
    (Answer("Lower the", done=False), CallOutcome.CUT_OFF, "without its end"),
    (Answer("Lower the rate.", prompt_tokens=27), CallOutcome.TRUNCATED, "has read 27 tokens of a prompt of"),
]


@pytest.mark.parametrize(("act", "outcome", "detail"), FAILURES)
async def test_each_failure_of_a_server_has_a_name(act: Act, outcome: CallOutcome, detail: str) -> None:
    with serving(lambda _: act) as (host, _):
        failed = await heard(model(host))
    assert failed.outcome is outcome
    assert detail in failed.detail
    assert failed.detail.isprintable()


async def test_a_prompt_that_was_longer_before_it_grew_was_truncated() -> None:
    with serving(lambda _: Answer("Lower the rate.", prompt_tokens=200)) as (host, _):
        assert (await heard(model(host), at_least=201)).outcome is CallOutcome.TRUNCATED
        assert (await ask(model(host), at_least=200)).took.prompt_tokens == 200


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    failed = await heard(model(f"http://127.0.0.1:{port}"))
    assert failed.outcome is CallOutcome.UNREACHABLE


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port where something that speaks no protocol of ours answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    answer(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def page(status: int, body: bytes) -> Callable[[socket.socket], None]:
    def answer(line: socket.socket) -> None:
        line.recv(65536)
        head = f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        line.sendall(head.encode() + body)

    return answer


def babble(line: socket.socket) -> None:
    line.recv(65536)
    line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


BODIES: list[tuple[Callable[[socket.socket], None], CallOutcome]] = [
    (page(200, b"<html></html>"), CallOutcome.MALFORMED),
    (page(200, b"[" * 100_000), CallOutcome.MALFORMED),
    (page(404, b"404 page not found"), CallOutcome.REFUSED),
    (page(500, b'{"error": {"code": 500, "message": "no"}}'), CallOutcome.SERVER_ERROR),
    (page(400, b'{"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 9}}'), CallOutcome.TOO_LONG),
    (page(500, b'{"error": null}'), CallOutcome.SERVER_ERROR),
    (page(500, b'{"error": [1]}'), CallOutcome.SERVER_ERROR),
    (page(500, b"[1]"), CallOutcome.MALFORMED),
    (page(500, b'{"error": "half \\ud800"}'), CallOutcome.SERVER_ERROR),
    (page(500, b""), CallOutcome.SERVER_ERROR),
    (babble, CallOutcome.DROPPED),
]


@pytest.mark.parametrize(("answer", "outcome"), BODIES)
async def test_what_is_no_ollama_is_no_answer(answer: Callable[[socket.socket], None], outcome: CallOutcome) -> None:
    with listener(answer) as host:
        failed = await heard(model(host))
    assert failed.outcome is outcome
    assert failed.detail.encode()


async def test_what_cannot_be_true_or_kept_of_an_answer_is_left_out() -> None:
    end = b'{"message": {"role": "assistant", "content": "half \\ud800"}, "done": true, "done_reason": "stop", '
    end += b'"eval_count": -1, "load_duration": 1' + b"0" * 400 + b', "prompt_eval_count": 1' + b"0" * 40 + b"}\n"
    with serving(lambda _: end) as (host, _):
        said = await ask(model(host))
    assert said.text == "half ?"
    assert (said.took.prompt_tokens, said.took.answer_tokens, said.took.load_seconds) == (None, None, None)


async def test_an_answer_that_takes_too_long_is_given_up_and_the_time_said() -> None:
    with serving(lambda _: Answer("Lower the rate.", seconds=3.0)) as (host, _):
        began = time.monotonic()
        failed = await heard(model(host, timeout_seconds=0.3))
    assert failed.outcome is CallOutcome.TIMEOUT
    assert "within 0.3 s" in failed.detail
    assert time.monotonic() - began < 2


async def test_a_server_on_this_machine_is_reached_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(lambda _: Answer("Lower the rate.")) as (host, _):
        assert (await ask(model(host))).text == "Lower the rate."


async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    failed = await heard(model("http://ollama.example.org:11434"))
    assert failed.outcome is CallOutcome.UNREACHABLE
    assert "socks" in failed.detail.lower()


async def test_a_model_that_can_think_aloud_is_asked_not_to() -> None:
    with serving(lambda _: Answer("Lower the rate.")) as (host, brain):
        brain.capabilities = ("completion", "thinking")
        await ask(model(host))
        assert brain.requests[0]["think"] is False
        brain.capabilities = ("completion",)
        await ask(model(host))
        assert "think" not in brain.requests[1]


async def test_a_call_that_is_cancelled_leaves_the_line(caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda _: Answer("Lower the rate.", seconds=5.0, pieces=50)) as (host, brain):
        one = model(host)
        asking = asyncio.create_task(one.ask(MESSAGES, most_tokens=5, temperature=0.5, seed=7))
        while not brain.requests:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await one.close()
    assert not caplog.records


# --- in quiet --------------------------------------------------------------------------------------------------------


def quiet(*timed: str) -> Quiet:
    one = Quiet()
    one.timed = frozenset(timed)
    return one


async def test_a_call_to_this_machine_waits_for_a_timed_stage_and_is_broken_off_by_one() -> None:
    with serving(lambda _: Answer("Lower the rate.", seconds=0.3)) as (host, brain):
        still = quiet("predict")
        still.runs("slot0", "predict")
        one = model(host, still)
        asking = asyncio.create_task(one.ask(MESSAGES, most_tokens=5, temperature=0.5, seed=7))
        await asyncio.sleep(0.3)
        assert not brain.requests
        still.runs("slot0", "train")
        while not brain.requests:
            await asyncio.sleep(0.01)
        still.runs("slot0", "predict")
        with pytest.raises(CallFailed) as failed:
            await asking
        assert failed.value.outcome is CallOutcome.BROKEN_OFF
        assert failed.value.took.held_seconds > 0.2
        still.runs("slot0", None)
        assert (await ask(one)).took.held_seconds < 0.1


async def test_a_call_to_another_machine_goes_on_whatever_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    still = quiet("train")
    still.runs("slot0", "train")
    assert not model("http://ollama.example.org:11434", still).here
    monkeypatch.setattr(socket, "gethostname", lambda: "MyBox")
    for own in ("localhost", "127.0.0.1", "MyBox"):
        assert model(f"http://{own}:11434", still).here
    assert not model("http://192.0.2.7:11434", still).here


def test_all_stages_are_timed_until_it_is_known_which() -> None:
    one = Quiet()
    told: list[bool] = []
    one.listeners.append(told.append)
    kept = [one.kept]
    one.runs("slot0", "train")
    kept.append(one.kept)
    one.timed = frozenset({"predict"})
    kept.append(one.kept)
    one.runs("slot0", "predict")
    one.runs("slot1", "predict")
    one.runs("slot0", None)
    kept.append(one.kept)
    one.runs("slot1", None)
    assert kept == [False, True, False, True]
    assert told == [True, True, False]


# --- an embedded one that cannot be ---------------------------------------------------------------------------------


async def test_a_file_that_is_no_model_is_said_in_the_words_of_what_tried_to_load_it(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    embedded = Embedded(tmp_path / "bad.gguf", 2048, tmp_path / "model.log")
    failed = await heard(Model("bad", "", 2048, 20.0, Quiet(), embedded))
    assert failed.outcome is CallOutcome.UNREACHABLE
    assert "the embedded model has ended" in failed.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("box", "http://box:11434"),
        ("http://box", "http://box:80"),
        ("https://box.example.org/ollama/", "https://box.example.org:443/ollama"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_host_is_where_the_server_that_was_told_so_listens(text: str, expected: str) -> None:
    assert address(text) == expected
