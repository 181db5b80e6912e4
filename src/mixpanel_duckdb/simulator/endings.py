"""How a stream of events is sent, and the ways in which it ends: properly, or as clients have met it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from .delivery import Line
from .event_switches import EventBehaviour, EventFault
from .wire import HttpResponse

Blocks = Iterator[list[bytes]]
_AT_ONCE = 1 << 16
_LEAST_PACKED = 1400


def send(line: Line, blocks: Blocks, behaviour: EventBehaviour, *, zipped: bool, last: bool = True) -> None:
    """
    Send a stream of lines as it is made.

    Args:
        line: The client's socket.
        blocks: Some lines at a time.
        behaviour: Forms of the body.
        zipped: Whether the client reads gzip; a short body goes without.
        last: Whether the transfer ends properly.
    """
    _deliver(line, text_of(blocks, behaviour), behaviour, zipped=zipped, last=last)


def text_of(blocks: Blocks, behaviour: EventBehaviour) -> Iterator[bytes]:
    """The body's bytes before they are packed."""
    end, before = behaviour.line_end, b""
    for block in blocks:
        yield before + end.join(block)
        before = end
    if before and behaviour.last_line_end:
        yield end


def packed(texts: Iterator[bytes], behaviour: EventBehaviour) -> Iterator[bytes]:
    """One gzip stream, or several members in a row."""
    member, left = zlib.compressobj(behaviour.gzip_level, wbits=31), behaviour.gzip_members - 1
    for text in texts:
        yield member.compress(text)
        if left > 0:
            left -= 1
            yield member.flush()
            member = zlib.compressobj(behaviour.gzip_level, wbits=31)
    yield member.flush()


def _deliver(
    line: Line, texts: Iterator[bytes], behaviour: EventBehaviour, *, zipped: bool, last: bool,
    damage: Callable[[bytes], bytes] | None = None,
) -> None:  # fmt: skip
    pieces: Iterator[bytes] = iter(_gathered(texts))
    first = next(pieces, b"")
    zipped = zipped and (len(first) > _LEAST_PACKED or damage is not None)
    headers = {"Content-Type": "text/plain"} | ({"Content-Encoding": "gzip"} if zipped else {})
    whole = _joined(first, pieces)
    body = packed(whole, behaviour) if zipped else whole
    if behaviour.length or damage is not None:
        text = b"".join(body)
        response = HttpResponse(200, [damage(text) if damage else text], headers)
        line.send(response, keep_alive=False)
        return
    line.write(HttpResponse(200, (), headers).head(keep_alive=False, framing="Transfer-Encoding: chunked"))
    for piece in body:
        for chunk in _chunks(piece, behaviour.chunk):
            line.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    if last:
        line.done()
        line.write(b"0\r\n\r\n")


def _gathered(texts: Iterator[bytes]) -> Iterator[bytes]:
    parts, size = [], 0
    for text in texts:
        parts.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            yield b"".join(parts)
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _chunks(piece: bytes, size: int) -> Iterator[bytes]:
    if size and piece:
        yield from (piece[start : start + size] for start in range(0, len(piece), size))
    elif piece:
        yield piece


def _some(blocks: Blocks, rows: int) -> list[bytes]:
    lines: list[bytes] = []
    for block in blocks:
        lines += block
        if len(lines) >= rows:
            break
    return lines[:rows]


def _clean(line: Line, _: EventFault | None, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    send(line, blocks, behaviour, zipped=zipped)


def _text(line: Line, fault: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    lines, words = _some(blocks, fault.rows), fault.text.encode()
    if fault.glued and lines:
        lines[-1] = lines[-1][: len(lines[-1]) // 2] + words
    else:
        lines.append(words)
    send(line, iter([lines]), behaviour, zipped=zipped)


def _cut_row(line: Line, fault: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    text = behaviour.line_end.join(_some(blocks, fault.rows + 1))
    _deliver(line, iter([text[:-7]]), behaviour, zipped=zipped, last=True)


def _reset(line: Line, fault: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    send(line, iter([_some(blocks, fault.rows)]), behaviour, zipped=zipped, last=False)
    line.pause(0.02)
    line.reset()


def _missing_chunk(line: Line, fault: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    send(line, iter([_some(blocks, fault.rows)]), behaviour, zipped=zipped, last=False)


def _stall(line: Line, fault: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    send(line, iter([_some(blocks, fault.rows)]), behaviour, zipped=zipped, last=False)
    line.wait_until_gone(fault.seconds)


def _cut_gzip(line: Line, _: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    texts = text_of(blocks, behaviour)
    _deliver(line, texts, behaviour, zipped=zipped, last=True, damage=lambda body: body[:-6])


def _flipped_byte(line: Line, _: EventFault, behaviour: EventBehaviour, blocks: Blocks, zipped: bool) -> None:
    def flip(body: bytes) -> bytes:
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]

    _deliver(line, text_of(blocks, behaviour), behaviour, zipped=zipped, last=True, damage=flip)


Ending = Callable[[Line, Any, EventBehaviour, Blocks, bool], None]
ENDINGS: dict[str, Ending] = {
    "clean": _clean,
    "delay": _clean,
    "text": _text,
    "cut_row": _cut_row,
    "reset": _reset,
    "missing_chunk": _missing_chunk,
    "stall": _stall,
    "cut_gzip": _cut_gzip,
    "flipped_byte": _flipped_byte,
}
"""What sends each kind of stream; the connection is closed behind it."""
