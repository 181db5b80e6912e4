"""Faults that need no socket: answers that replace the page, and pages that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from .encoding import gunzip_pieces, gzip_text
from .faults import Fault
from .pages import Page
from .sessions import Session
from .wire import (
    HttpRequest,
    HttpResponse,
    error_response,
    html_response,
    json_response,
)

_TEXTS = {
    400: "Invalid parameter: page",
    401: "Unable to authenticate request",
    402: (
        "Your account is blocked because payment is required. "
        "Please contact support via https://mixpanel.com/get-support"
    ),
    403: "You do not have permission to access this project",
    404: "Not found",
    500: "unknown error",
}


def _status(fault: Fault, request: HttpRequest) -> HttpResponse:
    retry = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.status in (502, 503, 504) and fault.text is None:
        return html_response(fault.status, retry)
    return error_response(request, fault.status, fault.text or _TEXTS.get(fault.status, "unknown error"), retry)


def _redirect(fault: Fault, _: HttpRequest) -> HttpResponse:
    return HttpResponse(302, [], {"Location": fault.location})


def _error_key(fault: Fault, _: HttpRequest) -> HttpResponse:
    return json_response(200, {"error": fault.text or "unknown error"})


def _echo(fault: Fault, request: HttpRequest) -> HttpResponse:
    return error_response(request, fault.status, f"{request.method} {request.target} {request.headers}")


REPLACEMENTS: dict[str, Callable[[Fault, HttpRequest], HttpResponse]] = {
    "status": _status,
    "redirect": _redirect,
    "html_200": lambda _, __: html_response(200),
    "error_key_200": _error_key,
    "echo": _echo,
    "hang": lambda _, __: HttpResponse(200),
}
"""Answers that take the place of the page."""


def _short(fault: Fault, page: Page, _: Session) -> Page:
    rows = page.all_rows()
    return replace(page, rows=rows[: len(rows) // 2 if fault.rows is None else fault.rows])


def _duplicates(fault: Fault, page: Page, session: Session) -> Page:
    rows, other = page.all_rows(), session.rows(fault.of_page)
    count = min(len(rows) // 2 if fault.rows is None else fault.rows, len(rows), len(other))
    return replace(page, rows=other[:count] + rows[count:])


CHANGES: dict[str, Callable[[Fault, Page, Session], Page]] = {
    "empty_page": lambda _, page, __: replace(page, rows=[]),
    "short_page": _short,
    "duplicates": _duplicates,
    "wrong_page": lambda fault, page, _: replace(page, number=fault.of_page),
    "missing_total": lambda _, page, __: replace(page, total=None),
    "wrong_total": lambda fault, page, _: replace(page, total=fault.total),
}
"""Pages with other contents, well-formed all the same."""


def _body(response: HttpResponse) -> bytes:
    return gunzip_pieces(response.pieces) if response.gzipped else b"".join(response.pieces)


def _with_body(response: HttpResponse, body: bytes) -> HttpResponse:
    return replace(response, pieces=[gzip_text(body, 1) if response.gzipped else body])


def _fields(fault: Fault, response: HttpResponse) -> HttpResponse:
    own = {name: value for name, value in json.loads(_body(response)).items() if name not in fault.fields}
    return _with_body(response, json.dumps({**own, **fault.fields}).encode())


def _garbage(fault: Fault, response: HttpResponse) -> HttpResponse:
    body = _body(response)
    at = int(len(body) * fault.after)
    garbage = b"\x00<!-- upstream" if fault.text is None else fault.text.encode()
    return _with_body(response, body[:at] + garbage + body[at:])


def _gzip_members(fault: Fault, response: HttpResponse) -> HttpResponse:
    body = _body(response)
    at = int(len(body) * fault.after)
    return replace(_as_gzip(response), pieces=[gzip_text(body[:at], 1), gzip_text(body[at:], 1)])


def _bad_gzip(fault: Fault, response: HttpResponse) -> HttpResponse:
    body = bytearray(b"".join(_as_gzip(response).pieces))
    at = max(10, int(len(body) * fault.after))
    body[at : at + 64] = bytes(byte ^ 0x5A for byte in body[at : at + 64])
    return replace(_as_gzip(response), pieces=[bytes(body)])


def _cut_gzip(fault: Fault, response: HttpResponse) -> HttpResponse:
    body = b"".join(_as_gzip(response).pieces)
    return replace(_as_gzip(response), pieces=[body[: int(len(body) * fault.after)]])


def _as_gzip(response: HttpResponse) -> HttpResponse:
    if response.gzipped:
        return response
    body = gzip_text(b"".join(response.pieces), 1)
    return replace(response, pieces=[body], headers={**response.headers, "Content-Encoding": "gzip"})


DAMAGES: dict[str, Callable[[Fault, HttpResponse], HttpResponse]] = {
    "fields": _fields,
    "page_as": lambda fault, response: replace(response, status=fault.status),
    "garbage_200": _garbage,
    "gzip_members": _gzip_members,
    "bad_gzip": _bad_gzip,
    "cut_gzip": _cut_gzip,
}
"""Bodies whose bytes, or status, are spoilt while the HTTP around them is correct."""
