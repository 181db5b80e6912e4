"""What is sent and what comes back: a form and its whole answer, or a download and the answer as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Download", "Form", "HttpAnswer", "HttpStream"]

Form = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer as it came.

    Args:
        status: HTTP status.
        headers: Looked up in any case.
        body: Decompressed bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Download:
    """What a GET asks for.

    Args:
        path: Behind the host.
        params: URL parameters.
        asked: The same in words, for errors and counts.
    """

    path: str
    params: Mapping[str, str]
    asked: str


@dataclass(frozen=True, slots=True)
class HttpStream:
    """An answer while it comes.

    Args:
        status: HTTP status.
        headers: Looked up in any case.
        pieces: Decompressed bytes, some at a time; what goes wrong under way is raised from there.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]
