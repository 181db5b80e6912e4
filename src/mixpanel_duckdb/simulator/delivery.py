"""Bytes on their way to the client, and the ways in which they fail to arrive."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from .faults import Fault
from .wire import HttpResponse

_LAST = 4096
_SLICES = 40
# To a client these end with their head (RFC 9110, 6.4.1); more would be the beginning of its next answer.
_BODILESS = (204, 304)


class Line:
    """
    The socket during one exchange; its handler thread alone uses it.

    Args:
        connection: The client's socket.
        stopping: Set when the simulator stops; cuts every wait.
        done: Called just before the last bytes leave, so that a client which has its answer never meets a
            limit that still counts the request behind it.
    """

    def __init__(self, connection: socket.socket, stopping: threading.Event, done: Callable[[], None]) -> None:
        self._connection = connection
        self._stopping = stopping
        self.done = done

    def send(self, response: HttpResponse, *, keep_alive: bool) -> bool:
        """Send the whole answer; returns whether the connection can be used again."""
        body = () if response.status in _BODILESS else response.pieces
        message = b"".join((response.head(keep_alive=keep_alive), *body))
        if len(message) > 16 * _LAST:
            view = memoryview(message)
            self.write(view[:-_LAST])
            message = view[-_LAST:].tobytes()
        self.done()
        self.write(message)
        return keep_alive

    def write(self, data: bytes | memoryview) -> None:
        """Send some bytes."""
        self._connection.sendall(data)

    def pause(self, seconds: float) -> None:
        """Wait, unless the simulator stops."""
        if seconds > 0:
            self._stopping.wait(seconds)

    def wait_until_gone(self, seconds: float | None) -> None:
        """Wait until the client closes its end, the time is over, or the simulator stops."""
        waited = 0.0
        while not self._stopping.wait(0.02) and (seconds is None or waited < seconds):
            waited += 0.02
            if select.select([self._connection], [], [], 0)[0]:
                return

    def reset(self) -> None:
        """Make the close that follows an RST."""
        with suppress(OSError):
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _hang(line: Line, fault: Fault, _: HttpResponse) -> None:
    line.wait_until_gone(fault.seconds)
    line.done()


def _reset(line: Line, fault: Fault, response: HttpResponse) -> None:
    if fault.after > 0:
        _send_part(line, response, fault.after)
        line.pause(0.02)
    line.done()
    line.reset()


def _cut(line: Line, fault: Fault, response: HttpResponse) -> None:
    line.done()
    _send_part(line, response, fault.after)


def _cut_chunked(line: Line, fault: Fault, response: HttpResponse) -> None:
    body = b"".join(response.pieces)
    part = body[: int(len(body) * fault.after)]
    line.done()
    head = response.head(keep_alive=False, framing="Transfer-Encoding: chunked")
    first = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
    line.write(head + first + b"%x\r\n" % max(len(body), 1))


def _slow(line: Line, fault: Fault, response: HttpResponse) -> None:
    message = memoryview(response.head(keep_alive=False) + b"".join(response.pieces))
    step = -(-len(message) // _SLICES)
    pieces = [message[start : start + step] for start in range(0, len(message), step)]
    for piece in pieces[:-1]:
        line.write(piece)
        line.pause((fault.seconds or 0.0) / len(pieces))
    line.done()
    line.write(pieces[-1])


def _send_part(line: Line, response: HttpResponse, share: float) -> None:
    body = b"".join(response.pieces)
    line.write(response.head(keep_alive=False) + body[: int(len(body) * share)])


DELIVERIES: dict[str, Callable[[Line, Fault, HttpResponse], None]] = {
    "hang": _hang,
    "reset": _reset,
    "cut": _cut,
    "cut_chunked": _cut_chunked,
    "slow": _slow,
}
"""Ways to send an answer after which the connection is closed."""
