"""The whole body of an answer: gathered and decompressed, never larger than agreed and never later.

The usual gzip goes to zlib in one call: off the GIL once, not for each chunk, and into a block of the right size, so
that a large body is never held twice. A body that might unpack to more than agreed, or that has several members, is
unpacked piece by piece.
"""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import ConnectionFailedError, UnreadableAnswerError

__all__ = [
    "ANSWER_TIMEOUT",
    "MAX_BODY_BYTES",
    "AnswerBounds",
    "Deadline",
    "gathered",
    "is_gzip",
    "unpacked",
    "unpacked_as_it_comes",
]

# Pages of 50,000 profiles, the largest that anybody reports, are about 100 MB.
MAX_BODY_BYTES = 256 << 20
# Mixpanel's gateway gives a query about eight minutes until its answer begins.
ANSWER_TIMEOUT = 1800.0
_GZIP = zlib.MAX_WBITS | 16
# With the method, always deflate: two bytes alone stand in every other body by chance, which then takes longer.
_MAGIC = b"\x1f\x8b\x08"
# Deflate packs no further than this.
_MOST_PACKED = 1032
# A gzip stream's word for its own size is believed up to so many times its length: profiles pack 5 to 20 times.
_MOST_BELIEVED = 100
_PIECE, _UNPACKED_PIECE = 1 << 17, 1 << 19


@dataclass(frozen=True, slots=True)
class AnswerBounds:
    """How large an answer may be, and how long it may take; by default far beyond what a page needs.

    Args:
        max_body_bytes: Most bytes of a body, packed or unpacked.
        timeout: Most seconds from a request to the last byte of its answer.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    timeout: float = ANSWER_TIMEOUT


class Deadline:
    """The moment at which one answer must be whole."""

    def __init__(self, seconds: float, page: int) -> None:
        self._seconds = seconds
        self._page = page
        self._at = time.monotonic() + seconds

    def check(self) -> None:
        """Raise if it has passed.

        Raises:
            ConnectionFailedError: It has.
        """
        if time.monotonic() > self._at:
            raise ConnectionFailedError(
                f"Page {self._page}: the answer was not whole after {self._seconds:g} s (answer_timeout).",
                page=self._page,
            )


def is_gzip(coding: str) -> int | None:
    """Read a ``Content-Encoding``: how many times a body was packed by gzip, ``None`` if by anything else.

    Example:
        >>> is_gzip(""), is_gzip("x-gzip"), is_gzip("gzip, identity"), is_gzip("br")
        (0, 1, 1, None)
    """
    codings = [each for part in coding.lower().split(",") if (each := part.strip()) not in ("", "identity")]
    return len(codings) if all(each in ("gzip", "x-gzip") for each in codings) else None


def gathered(chunks: Iterable[bytes], bounds: AnswerBounds, deadline: Deadline, page: int) -> bytes:
    """Join a body's chunks as they come.

    Raises:
        UnreadableAnswerError: There are too many.
        ConnectionFailedError: They take too long.
    """
    parts, size = [], 0
    for chunk in chunks:
        deadline.check()
        parts.append(chunk)
        size += len(chunk)
        if size > bounds.max_body_bytes:
            raise too_large(bounds, page)
    return b"".join(parts)


def too_large(bounds: AnswerBounds, page: int) -> UnreadableAnswerError:
    """The error for a body beyond the bound."""
    return UnreadableAnswerError(
        f"Page {page}: the answer is larger than {bounds.max_body_bytes:,} bytes (max_body_bytes); ask for smaller "
        "pages (page_size, --page-size).",
        page=page,
    )


def unpacked(packed: bytes, bounds: AnswerBounds, page: int) -> bytes:
    """Decompress every member of a gzip body; what stands behind them and is none is left alone.

    The stream tells its size in its last four bytes; zlib makes more room where they lie.

    Raises:
        UnreadableAnswerError: It unpacks to too many bytes.
        zlib.error: It is damaged.
    """
    if not packed:
        return b""
    most = bounds.max_body_bytes
    if len(packed) * _MOST_PACKED <= most and packed.find(_MAGIC, 1) < 0:
        size = min(int.from_bytes(packed[-4:], "little"), _MOST_BELIEVED * len(packed))
        return zlib.decompress(packed, _GZIP, max(1, size))
    room = io.BytesIO()
    for piece in _pieces(packed):
        room.write(piece)
        if room.tell() > most:
            raise too_large(bounds, page)
    return room.getvalue()


def unpacked_as_it_comes(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress a gzip stream, of one member or several, some bytes at a time.

    Raises:
        zlib.error: It is damaged, or ends before its trailer.
    """
    member, begun = zlib.decompressobj(_GZIP), False
    for chunk in chunks:
        rest = chunk
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")  # padding
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP)
            piece, begun = member.decompress(rest, _UNPACKED_PIECE), True
            rest = member.unused_data or member.unconsumed_tail
            if piece:
                yield piece
    while begun and not member.eof:
        piece = member.decompress(member.unconsumed_tail, _UNPACKED_PIECE)
        if not piece and not member.eof:
            raise zlib.error("incomplete or truncated stream")
        yield piece


def _pieces(packed: bytes) -> Iterator[bytes]:
    """Unpack member by member, some bytes at a time."""
    start, view = 0, memoryview(packed)
    while start == 0 or packed.startswith(_MAGIC, start):
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            taken = member.unconsumed_tail or view[start : start + _PIECE]
            start += 0 if member.unconsumed_tail else len(taken)
            piece = member.decompress(taken, _UNPACKED_PIECE)
            if not piece and not taken and not member.eof:
                raise zlib.error("incomplete or truncated stream")
            yield piece
        start -= len(member.unused_data)
        while packed.startswith(b"\0", start):  # padding
            start += 1
