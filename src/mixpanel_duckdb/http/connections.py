"""Whose answer each connection carries, so that a run can cut its own reads and nobody else's.

Closing an httpx client does not wake a thread that is blocked in ``recv``, so sockets are shut down instead. httpx's
``trace`` extension shows those that are made under a request of ours; later ones may carry anybody's requests, since
an HTTP client of the caller's serves others, too: a socket is whose who wrote to it last.
"""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from .stop import Stop

__all__ = ["CONNECTIONS", "Connections"]


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """One that is being sent or answered: whose it is, and of which run."""

    sender: object
    run: Stop


class Connections:
    """The connections of the process that were made under requests of ours; any thread may call any method.

    Example:
        >>> ours, theirs = socket.socketpair()
        >>> class Stream:
        ...     def get_extra_info(self, _): return ours
        ...     def write(self, data): ours.sendall(data)
        >>> connections, stream, run = Connections(), Stream(), Stop()
        >>> with connections.used_by("me", run):
        ...     connections.know(stream)
        >>> connections.cut("me", Stop()); stream.write(b"a nobody's"); theirs.recv(20)
        b"a nobody's"
        >>> with connections.used_by("me", run):
        ...     stream.write(b"mine")
        >>> connections.cut("me"); theirs.recv(20), theirs.recv(20)
        (b'mine', b'')
        >>> ours.close(); theirs.close()
    """

    def __init__(self) -> None:
        self._carried: weakref.WeakKeyDictionary[socket.socket, _Request | None] = weakref.WeakKeyDictionary()
        self._mine = threading.local()

    @contextmanager
    def used_by(self, sender: object, run: Stop) -> Iterator[None]:
        """Take whatever this thread writes in the block as a request.

        Args:
            sender: A name for whoever can cut it.
            run: The run that it belongs to.
        """
        self._mine.request = request = _Request(sender, run)
        try:
            yield
        finally:  # perhaps on another thread, if a generator was abandoned
            if getattr(self._mine, "request", None) is request:
                self._mine.request = None

    def know(self, stream: Any) -> None:
        """Note a new connection of httpx's, and from then on who writes to it."""
        each, write, itself = stream.get_extra_info("socket"), type(stream).write, weakref.ref(stream)

        def noted(*args: Any, **options: Any) -> Any:
            self._carried[each] = getattr(self._mine, "request", None)
            return write(itself(), *args, **options)

        if each is not None:
            self._carried[each] = getattr(self._mine, "request", None)
            with suppress(AttributeError):
                stream.write = noted

    def cut(self, sender: object, run: Stop | None = None) -> None:
        """Shut the connections down that carry somebody's requests.

        Args:
            sender: Whose.
            run: Those of one run only; ``None`` for all.
        """
        # A copy that no other thread's new connection disturbs, as one of the items would be.
        for each in (found for reference in self._carried.keyrefs() if (found := reference()) is not None):
            request = self._carried.get(each)
            if request is not None and request.sender is sender and run in (None, request.run):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


CONNECTIONS = Connections()
