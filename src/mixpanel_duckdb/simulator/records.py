"""What was asked and when: the simulator's memory of requests, for tests that count and compare."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any


@dataclass(slots=True)
class RequestRecord:
    """
    One request as the server saw it; times are `time.monotonic()` seconds.

    `attempt` counts the requests for that page in that session from 1. `in_flight` counts the requests being
    handled at its arrival, itself included. `finished` is the moment its last bytes leave. `fault` is the
    kind that was played. `status` is None while the answer is being made; a fault that never sent a status
    line leaves the intended one.
    """

    page: int | None
    session_id: str | None
    attempt: int
    started: float
    in_flight: int
    method: str
    target: str
    params: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    status: int | None = None
    finished: float | None = None
    fault: str | None = None


class RequestLog:
    """All requests so far. Any thread may call it; records change under its lock only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[RequestRecord] = []
        self._attempts: Counter[tuple[str | None, int | None]] = Counter()
        self._in_flight = 0
        self.max_in_flight: int = 0

    def arrive(
        self, page: int | None, session_id: str | None, method: str, target: str, *, params: dict[str, Any],
        headers: dict[str, str], session: str | None,
    ) -> RequestRecord:  # fmt: skip
        """Note a request; `session` is the id that page 0 gave, whatever id the client sent."""
        with self._lock:
            self._attempts[session, page] += 1
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
            record = RequestRecord(
                page=page,
                session_id=session_id,
                attempt=self._attempts[session, page],
                started=time.monotonic(),
                in_flight=self._in_flight,
                method=method,
                target=target,
                params=params,
                headers=headers,
            )
            self._records.append(record)
            return record

    def note(self, record: RequestRecord, status: int, fault: str | None) -> None:
        """Note what the answer will be."""
        with self._lock:
            record.status, record.fault = status, fault

    def leave(self, record: RequestRecord) -> None:
        """Note the end; a second call does nothing."""
        with self._lock:
            if record.finished is None:
                record.finished = time.monotonic()
                self._in_flight -= 1

    def snapshot(self) -> list[RequestRecord]:
        """Copies of all records, in order of arrival."""
        with self._lock:
            return [replace(record) for record in self._records]

    def clear(self) -> None:
        """Forget the records, attempts and the maximum; requests in flight stay in flight."""
        with self._lock:
            self._records.clear()
            self._attempts.clear()
            self.max_in_flight = self._in_flight


def busy_fraction(records: list[RequestRecord], at_least: int) -> float:
    """The share of the time from the first arrival to the last end with that many requests in flight."""
    now = time.monotonic()
    changes = sorted([(record.started, 1) for record in records] + [(record.finished or now, -1) for record in records])
    busy = running = 0.0
    for (moment, change), (following, _) in pairwise(changes):
        running += change
        if running >= at_least:
            busy += following - moment
    span = changes[-1][0] - changes[0][0] if changes else 0.0
    return busy / span if span else 0.0
