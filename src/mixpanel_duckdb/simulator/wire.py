"""HTTP/1.1 as far as one loopback server needs it: requests read from a socket, responses as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came; header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool

    @property
    def path(self) -> str:
        """The path without query and trailing slash."""
        return urlsplit(self.target).path.rstrip("/")

    @property
    def accepts_gzip(self) -> bool:
        """Whether the client can read a gzip body."""
        return "gzip" in self.headers.get("accept-encoding", "").lower()

    def parameters(self) -> Parameters:
        """URL parameters with those of the body merged over them, JSON tried first and then a form."""
        url = dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))
        return {**url, **_body_parameters(self.body)}


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response; the body is kept in pieces so that cached rows are not copied around."""

    status: int
    pieces: Sequence[bytes] = ()
    headers: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    @property
    def gzipped(self) -> bool:
        """Whether the pieces are a gzip stream."""
        return "Content-Encoding" in self.headers

    def head(self, *, keep_alive: bool, framing: str | None = None) -> bytes:
        """Status line and headers; `framing` replaces the true Content-Length header."""
        length = framing or f"Content-Length: {sum(map(len, self.pieces))}"
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {reason}", length]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def json_response(status: int, content: object, headers: dict[str, str] | None = None) -> HttpResponse:
    """A small JSON answer."""
    return HttpResponse(status, [json.dumps(content).encode()], {"Content-Type": "application/json", **(headers or {})})


def error_response(request: HttpRequest, status: int, text: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """The Query API's error envelope."""
    return json_response(status, {"request": request.target, "error": text}, headers)


def html_response(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """What a gateway says when the application behind it does not."""
    title = f"{status} {HTTPStatus(status).phrase}"
    note = "<p>The upstream request timed out</p>" if status == HTTPStatus.GATEWAY_TIMEOUT else ""
    body = f"<body><center><h1>{title}</h1></center>{note}</body>"
    page = f"<html><head><title>{title}</title></head>{body}</html>"
    return HttpResponse(status, [page.encode()], {"Content-Type": "text/html", **(headers or {})})


def read_request(stream: BufferedIOBase) -> HttpRequest | None:
    """The next request of a connection; None when the client has gone or talks nonsense."""
    words = stream.readline(65_536).decode("latin-1").split()
    if len(words) != 3:
        return None
    method, target, version = words
    headers: dict[str, str] = {}
    while (line := stream.readline(65_536)) not in (b"\r\n", b"\n"):
        if not line:
            return None
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    try:
        body = _read_body(stream, headers)
    except EOFError:
        return None
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return HttpRequest(method, target, headers, body, keep_alive)


def _read_body(stream: BufferedIOBase, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return _exactly(stream, int(headers.get("content-length") or 0))
    parts = []
    while size := int(stream.readline().split(b";")[0] or b"0", 16):
        parts.append(_exactly(stream, size))
        stream.readline()
    stream.readline()
    return b"".join(parts)


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    """A request whose client went before it was whole is no request."""
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _body_parameters(body: bytes) -> Parameters:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {}
    try:
        content = json.loads(text)
    except ValueError:
        return dict(parse_qsl(text, keep_blank_values=True))
    return content if isinstance(content, dict) else {}
