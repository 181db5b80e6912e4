"""
Page bodies, assembled from rows that were joined and compressed once.

A page's number, session and total change with every session; its rows, which are nearly all of its bytes, do
not. So the rows are kept as a `Segment` (raw or deflated), and the few bytes before and after it travel as
stored deflate blocks. The checksum of the whole follows from the parts by arithmetic modulo the CRC
polynomial.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of one page, joined by commas; `data` is deflated when `deflated`."""

    data: bytes
    length: int
    crc: int
    shift: int
    deflated: bool

    @classmethod
    def of(cls, rows: Sequence[bytes], *, level: int | None) -> Segment:
        """Join rows and, if a compression level is given, deflate them up to a byte boundary."""
        joined = b", ".join(rows)
        if level is None:
            return cls(joined, len(joined), 0, 0, deflated=False)
        deflater = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        data = deflater.compress(joined) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return cls(data, len(joined), zlib.crc32(joined), _power_of_x(8 * len(joined)), deflated=True)


def page_pieces(
    segment: Segment,
    *,
    page: int,
    page_size: int | None,
    session_id: str | None,
    total: int | None,
) -> list[bytes]:
    """The body of a page in pieces, gzip-encoded if the segment is deflated; absent fields are None."""
    size = "" if page_size is None else f' "page_size": {page_size},'
    count = "" if total is None else f', "total": {total}'
    head = f'{{"page": {page},{size} "results": ['.encode()
    tail = f'], "session_id": {json.dumps(session_id)}, "status": "ok"{count}}}'.encode()
    if not segment.deflated:
        return [head, segment.data, tail]
    crc = zlib.crc32(tail, _multiply(segment.shift, zlib.crc32(head)) ^ segment.crc)
    length = len(head) + segment.length + len(tail)
    trailer = struct.pack("<LL", crc, length & 0xFFFFFFFF)
    return [_GZIP_HEAD + _stored(head), segment.data, _stored(tail, last=True) + trailer]


def gunzip_pieces(pieces: Sequence[bytes]) -> bytes:
    """The plain text of a gzip body in pieces."""
    return zlib.decompress(b"".join(pieces), wbits=zlib.MAX_WBITS | 16)


def gzip_text(body: bytes, level: int) -> bytes:
    """A whole body as one gzip stream."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return deflater.compress(body) + deflater.flush()


def _stored(data: bytes, *, last: bool = False) -> bytes:
    return struct.pack("<BHH", int(last), len(data), len(data) ^ 0xFFFF) + data


def _multiply(a: int, b: int) -> int:
    """Multiply two polynomials modulo the CRC-32 polynomial, bits reversed as zlib keeps them."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


def _power_of_x(exponent: int) -> int:
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _multiply(square, result)
        square = _multiply(square, square)
        exponent >>= 1
    return result
