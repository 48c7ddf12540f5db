"""Ollama's protocol over HTTP on loopback, with anything behind it that can answer: a *brain*.

The embedded model is served by it, and so is the script that stands for a model in the tests. What is served: `POST
/api/chat` (streamed or not), `POST /api/show`, `GET /api/tags`, `GET /api/version`. Shapes and errors are those of the
Ollama server, 0.33.
"""

import json
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

Piece = dict[str, Any] | bytes  # of an answer: an object, or what is sent as it stands


class Brain(Protocol):
    """What answers. `name` is that of its one model, `capabilities` what that can do, in Ollama's words."""

    name: str
    capabilities: Sequence[str]

    def chat(self, request: dict[str, Any]) -> Generator[Piece, None, None]:
        """The pieces of an answer: each has `message`, the last `done`. Closed early where nobody listens any more.

        Raises NotServed, and Hangup to break the line.
        """


class NotServed(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Hangup(Exception):
    """The line breaks."""


def shell(brain: Brain, port: int = 0) -> ThreadingHTTPServer:
    """A server of this brain on a port of loopback, or on any that is free; it serves by `serve_forever`."""
    return _Server(brain, port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, brain: Brain, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.brain = brain

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line that went is no news: the client knows."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        brain = self.server.brain
        match self.path:
            case "/api/tags":
                model = {"name": brain.name, "model": brain.name, "modified_at": _now(), "size": 0, "digest": ""}
                self._object(200, {"models": [model]})
            case "/api/version":
                self._object(200, {"version": "0.0.0-cockpit"})
            case "/api/chat" | "/api/show":
                self._text(405, "405 method not allowed")
            case _:
                self._text(404, "404 page not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path not in ("/api/chat", "/api/show"):
            return self._text(404, "404 page not found")
        try:
            request = self._request(body)
            if self.path == "/api/show":
                about = {"modified_at": _now(), "details": {}, "model_info": {}}
                return self._object(200, {**about, "capabilities": list(self.server.brain.capabilities)})
            pieces = self.server.brain.chat(request)
            first = next(pieces)  # what is refused is refused before a word is said
        except NotServed as why:
            return self._object(why.status, {"error": str(why)})
        except Hangup:
            return self._hang_up()
        with closing(pieces):
            return self._answer(request, first, pieces)

    def _request(self, body: bytes) -> dict[str, Any]:
        if not body:
            raise NotServed(400, "missing request body")
        try:
            request = json.loads(body)
            name = str(request["model"])
        except (ValueError, TypeError, KeyError) as error:
            raise NotServed(400, f"the request is not what it should be: {error}") from None
        if name != self.server.brain.name:
            raise NotServed(404, f"model '{name}' not found")
        return dict(request)

    def _answer(self, request: dict[str, Any], first: Piece, rest: Iterator[Piece]) -> None:
        if not request.get("stream", True):
            whole: dict[str, Any] = {}
            text = ""
            for piece in (first, *rest):
                if isinstance(piece, bytes):
                    return self._bytes(200, "application/json", piece)
                whole, text = piece, text + piece["message"]["content"]
            return self._object(200, {**whole, "message": {"role": "assistant", "content": text}})
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._chunk(request, first)
            for piece in rest:
                self._chunk(request, piece)
        except Hangup:
            return self._hang_up()
        except NotServed as why:  # too late for a status
            self._chunk(request, json.dumps({"error": str(why)}).encode() + b"\n")
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _chunk(self, request: dict[str, Any], piece: Piece) -> None:
        if isinstance(piece, dict):
            piece = json.dumps({"model": request["model"], "created_at": _now(), **piece}).encode() + b"\n"
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _object(self, status: int, value: dict[str, Any]) -> None:
        self._bytes(status, "application/json; charset=utf-8", json.dumps(value).encode())

    def _text(self, status: int, text: str) -> None:
        self._bytes(status, "text/plain", text.encode())

    def _bytes(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Each request is recorded by who makes it."""


def _now() -> str:
    return datetime.now(UTC).isoformat()
