"""Keep-alive connections on a thread each, all of which end when the listener stops."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .wire import HttpRequest, read_request

Serve = Callable[[socket.socket, HttpRequest, threading.Event], bool]
"""Answers one request on a connection; returns whether another may follow."""

_log = logging.getLogger(__name__)


class Listener(socketserver.ThreadingTCPServer):
    """A TCP server that knows its open connections. `_open` changes under the lock only."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], serve: Serve) -> None:
        super().__init__(address, _Connection)
        self.serve = serve
        self.stopping: threading.Event = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def stop(self) -> None:
        """Refuse new connections, end the open ones, join their threads."""
        self.stopping.set()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread at once where the system allows it
        self.shutdown()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection before its thread starts, so that `stop` cannot miss it."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, politely unless a fault asked for an RST."""
        with self._lock:
            self._open.discard(request)
            if not request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
                with suppress(OSError):
                    request.shutdown(socket.SHUT_WR)
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what the simulator did not foresee; the client sees a closed connection."""
        _log.exception("simulator failed on a request")


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Listener

    def handle(self) -> None:
        with suppress(ConnectionError, ValueError):
            while not self.server.stopping.is_set() and (request := read_request(self.rfile)) is not None:
                if not self.server.serve(self.connection, request, self.server.stopping):
                    return
