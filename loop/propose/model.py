"""One question to a language model, by Ollama's official client: an answer, or a failure with a name.

What the client leaves open is settled here (measured with client 0.6 and server 0.33): it has no time limit of its own;
it uses proxies even for this machine; its errors come from four libraries; a stream that ends too early is none to it;
and a server that cuts a prompt which is too long does not say so. `num_ctx` is the same in every request, for another
one has the server load the model again.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from loop.propose.context import plain
from loop.propose.embedded import Embedded, NotStarted
from loop.run.quiet import Quiet
from store.records import CallOutcome

if TYPE_CHECKING:
    from ollama import AsyncClient, ChatResponse

DEFAULT_PORT = 11434
PORTS = {"http": 80, "https": 443}
LOOK_SECONDS = 5.0  # for a server to say what it has
TICK_SECONDS = 0.05  # between looks at the clock, and at whether it is to be quiet
CHARACTERS_A_TOKEN = 8  # at most, on the average over a prompt: fewer tokens than that, and some of it was not read
DETAIL_CHARACTERS = 240
MOST = 2**62  # that any count or duration can be: the record keeps no more

Message = Mapping[str, str]  # role and content


class Took(Struct, frozen=True):
    """What a call has taken. What the server has not said is None."""

    held_seconds: float = 0.0
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    load_seconds: float | None = None
    prompt_seconds: float | None = None
    answer_seconds: float | None = None


class Reply(Struct, frozen=True):
    """An answer."""

    text: str
    whole: bool  # it ended by itself, and not by its limit
    took: Took


class CallFailed(Exception):
    """No answer, and why."""

    def __init__(self, outcome: CallOutcome, detail: str, took: Took | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = plain(detail)[:DETAIL_CHARACTERS]
        self.took = took or Took()


@dataclass
class Model:
    """A model behind Ollama's protocol, somewhere or embedded."""

    name: str
    address: str  # of its server; for an embedded one found out when it has started
    num_ctx: int
    timeout_seconds: float  # of one call, the time for which it is held not counted
    quiet: Quiet
    embedded: Embedded | None = None
    here: bool = True  # it uses the machine on which the runs are made
    _client: "AsyncClient | None" = None
    _options: dict[str, Any] | None = None  # None until the server has been asked what the model can do

    def __post_init__(self) -> None:
        if self.embedded is not None:
            self._options = {}
            self.quiet.listeners.append(self.embedded.hold)
        else:
            self.here = _this_machine(self.address)

    @property
    def host(self) -> str:
        """Where it is, as the record names it."""
        return "embedded" if self.embedded else self.address

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        most_tokens: int,
        temperature: float,
        seed: int,
        at_least: int = 0,
    ) -> Reply:
        """One answer to these messages. `at_least` is how many tokens they must be. Raises CallFailed."""
        options = {"num_ctx": self.num_ctx, "num_predict": most_tokens, "temperature": temperature, "seed": seed}
        began = time.monotonic()
        while self.hushed and not (self.embedded and self.embedded.stands):  # noqa: ASYNC110 - as `_watch` looks
            await asyncio.sleep(TICK_SECONDS)
        held = time.monotonic() - began
        answering = asyncio.create_task(self._answer(messages, schema, options))
        try:
            held += await self._watch(answering)
            text, last = answering.result()
        except asyncio.CancelledError:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            raise
        except CallFailed as failed:
            failed.took = replace(failed.took, held_seconds=held + failed.took.held_seconds)
            raise
        took = Took(
            held_seconds=held,
            prompt_tokens=_tokens(last.prompt_eval_count),
            answer_tokens=_tokens(last.eval_count),
            load_seconds=_seconds(last.load_duration),
            prompt_seconds=_seconds(last.prompt_eval_duration),
            answer_seconds=_seconds(last.eval_duration),
        )
        least = max(at_least, sum(len(message["content"]) for message in messages) // CHARACTERS_A_TOKEN)
        if took.prompt_tokens is not None and took.prompt_tokens < least:
            raise CallFailed(
                CallOutcome.TRUNCATED,
                f"the server has read {took.prompt_tokens} tokens of a prompt of {least} at least: its context is less "
                f"than num_ctx = {self.num_ctx}, or it counts only what it had not kept, as Ollama 0.30 does",
                took,
            )
        return Reply(text, whole=last.done_reason != "length", took=took)

    async def _watch(self, answering: "asyncio.Task[tuple[str, ChatResponse]]") -> float:
        """Wait for an answer within its time, and keep quiet meanwhile. For how many seconds it was held."""
        spent = held = 0.0
        why: CallFailed | None = None
        before = time.monotonic()
        while why is None and not answering.done():
            await asyncio.wait({answering}, timeout=TICK_SECONDS)
            now = time.monotonic()
            if not self.hushed:
                spent += now - before
            elif self.embedded is not None:
                held += now - before
            else:
                why = CallFailed(CallOutcome.BROKEN_OFF, "a timed stage began on the machine that it shares")
            if spent > self.timeout_seconds:
                why = CallFailed(CallOutcome.TIMEOUT, f"no whole answer within {self.timeout_seconds:g} s")
            before = now
        if why is not None and not answering.done():
            answering.cancel()
            await asyncio.wait({answering})
            if self.embedded is not None:  # it may think on what nobody wants any more
                await self.embedded.stop()
        elif error := answering.exception():
            why = _failure(error)
        else:
            return held
        why.took = replace(why.took, held_seconds=held)
        raise why

    async def _answer(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> "tuple[str, ChatResponse]":
        client = await self._connected()
        if self._options is None:
            await self.look()
        words, last = [], None
        pieces = await client.chat(
            self.name, list(messages), stream=True, format=dict(schema) if schema else None, options=options,
            **(self._options or {}),
        )  # fmt: skip
        async for piece in pieces:
            words.append(piece.message.content or "")
            if piece.done:
                last = piece
        if last is None:
            raise CallFailed(CallOutcome.CUT_OFF, f"the answer ended after {len(words)} pieces without its end")
        return "".join(words).encode("utf-8", "replace").decode(), last  # half a letter cannot be kept

    @property
    def hushed(self) -> bool:
        """Whether it is not to think now: a timed stage runs beside it."""
        return self.here and self.quiet.kept

    async def installed(self) -> list[str]:
        """The server's models that answer in words, that used last first. Raises CallFailed."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await (await self._connected()).list()
        except Exception as error:
            raise _failure(error) from None
        kinds = {one.model: (one.details.family or "" if one.details else "") for one in found.models if one.model}
        return [
            name
            for name, family in kinds.items()
            if "embed" not in name and "bert" not in family and not name.endswith("cloud")  # which runs elsewhere
        ]

    async def look(self) -> None:
        """See that the server has this model, and whether it can think aloud: then it is asked not to.

        A model that thinks would use up its tokens before it says a word. Raises CallFailed.
        """
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                shown = await (await self._connected()).show(self.name)
        except Exception as error:
            raise _failure(error) from None
        self._options = {"think": False} if "thinking" in (shown.capabilities or ()) else {}

    async def _connected(self) -> "AsyncClient":
        if self.embedded is not None:
            address = await self.embedded.host()
            if address != self.address:
                await self.disconnect()
                self.address = address
        if self._client is None:
            self._client = await asyncio.to_thread(self._connect)
        return self._client

    def _connect(self) -> "AsyncClient":
        """A client. It takes a while: libraries, certificates."""
        client: type[AsyncClient] = import_module("ollama").AsyncClient
        # The time limit is kept by `_watch`, which knows for how long an answer was held.
        own = {"authorization": "none"} if self.embedded else None  # a key is for who it was made for
        return client(self.address, timeout=None, trust_env=not near(self.address), headers=own)

    async def disconnect(self) -> None:
        """Let go of the line to the server; the next question makes another."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Let go of the server; an embedded one ends."""
        await self.disconnect()
        if self.embedded is not None:
            await self.embedded.stop()


def address(text: str) -> str:
    """A host as `[model] host` and `$OLLAMA_HOST` have it, as an address to connect to. Raises ValueError."""
    scheme, _, rest = text.rpartition("://")
    parts = urlsplit(f"{scheme or 'http'}://{rest}")
    if parts.scheme not in PORTS:
        raise ValueError(f"{parts.scheme}:// is neither http:// nor https://")
    name = parts.hostname or "127.0.0.1"
    name = "127.0.0.1" if name in ("0.0.0.0", "::") else name  # noqa: S104 - what a server is told, not a client
    port = parts.port or (PORTS[parts.scheme] if scheme else DEFAULT_PORT)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path.rstrip('/')}"


def _this_machine(host: str) -> bool:
    name = urlsplit(host).hostname or ""
    try:
        own = ipaddress.ip_address(name)
    except ValueError:
        return name in ("localhost", socket.gethostname().lower())
    try:
        with socket.socket(socket.AF_INET if own.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((name, 0))  # only an address of this machine can be bound
    except OSError:
        return False
    return True


def near(host: str) -> bool:
    """Whether a host is in this house, where no proxy is the way to it."""
    name = urlsplit(host).hostname or ""
    try:
        return ipaddress.ip_address(name).is_private
    except ValueError:
        return "." not in name


def _seconds(nanoseconds: int | None) -> float | None:
    return nanoseconds / 1e9 if nanoseconds is not None and 0 <= nanoseconds < MOST else None


def _tokens(count: int | None) -> int | None:
    return count if count is not None and 0 <= count < MOST else None


def _failure(error: BaseException) -> CallFailed:
    """What an error of the client, or of the libraries under it, means. What has no other name is a server's babble."""
    import httpx
    import ollama

    def named(outcome: CallOutcome) -> CallFailed:
        return CallFailed(outcome, str(error) or type(error).__name__)

    match error:
        case CallFailed():
            return error
        case ollama.ResponseError():
            text = str(error.error) or f"HTTP status {error.status_code}, without a word"
            return CallFailed(_refusal(error.status_code, text), text)
        case NotStarted() | ConnectionError() | httpx.ConnectError() | httpx.ConnectTimeout() | ImportError():
            return named(CallOutcome.UNREACHABLE)  # a proxy by SOCKS needs a library that is not there: ImportError
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.ProxyError():
            return named(CallOutcome.UNREACHABLE)
        case TimeoutError() | httpx.TimeoutException():
            return named(CallOutcome.TIMEOUT)
        case httpx.TransportError() | httpx.StreamError():
            return named(CallOutcome.DROPPED)
        case OSError():  # the embedded model's log, or its program
            return named(CallOutcome.UNREACHABLE)
        case Exception():  # of json, pydantic, or Python's own: a shape that nobody has thought of
            return CallFailed(CallOutcome.MALFORMED, f"{type(error).__name__}: {error}")
    raise error


def _refusal(status: int, text: str) -> CallOutcome:
    if "exceed_context_size" in text or "context length" in text:
        return CallOutcome.TOO_LONG
    if status == 404:
        return CallOutcome.NO_MODEL if "model" in text else CallOutcome.REFUSED
    if status == 503:
        return CallOutcome.BUSY
    return CallOutcome.REFUSED if 400 <= status < 500 else CallOutcome.SERVER_ERROR
