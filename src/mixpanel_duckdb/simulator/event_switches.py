"""What the simulated export does where nobody knows, and scripted trouble for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args

EventFaultKind = Literal[
    "status", "delay", "text", "cut_row", "reset", "missing_chunk", "stall", "cut_gzip", "flipped_byte"
]
KINDS: tuple[EventFaultKind, ...] = get_args(EventFaultKind)


@dataclass(frozen=True, slots=True)
class EventBehaviour:
    """
    Switches of the simulated export; the defaults are the best guess about the real one, but without its latency.

    Args:
        latency: Seconds before the first byte.
        per_event: Seconds for each event of the stream.
        gzip: Compress for clients that accept it.
        gzip_level: zlib level.
        gzip_members: The stream is made of so many gzip members, one after the other.
        chunk: Bytes of each chunk of the transfer; 0 is as they come.
        line_end: Behind each line.
        last_line_end: Whether the last line has one, too.
        length: Send a ``Content-Length`` instead of chunks.
        time: Form of ``time``: a whole number, one with a fraction, a text, or none at all.
        honours_ms: Whether ``time_in_ms`` is honoured; else times are always seconds.
        today: Day beyond which a ``to_date`` is refused; ``None`` is today in UTC.
        dates: Whether dates matter; else every request is answered with the whole population.
        empty_events: What ``event=[]`` asks for.
    """

    latency: float = 0.0
    per_event: float = 0.0
    gzip: bool = True
    gzip_level: int = 1
    gzip_members: int = 1
    chunk: int = 0
    line_end: bytes = b"\n"
    last_line_end: bool = True
    length: bool = False
    time: Literal["int", "float", "text", "missing"] = "int"
    honours_ms: bool = True
    today: date | None = None
    dates: bool = True
    empty_events: Literal["all", "none"] = "all"


@dataclass(frozen=True, slots=True)
class EventFault:
    """
    One kind of trouble for the requests that match it; the first matching fault of a list is played.

    * instead of the stream: `status` (with `status`, `text` and `headers`)
    * after `rows` events: `text` (a last line of these words; `glued` to half a row or on its own), `cut_row` (a proper
      end inside a row), `reset`, `missing_chunk` (the connection closes without the last chunk), `stall` (silence for
      `seconds`, else until the client goes)
    * in the packed stream: `cut_gzip` (it ends early, the transfer does not), `flipped_byte`
    * `delay`: `seconds` more until the first byte

    Args:
        kind: What goes wrong.
        day: The trouble of requests that cover this day, such as `2026-01-31`; `None` is every request.
        times: How often it is played altogether; `None` is as often as it matches.
        longer_than: Only requests for more days than this.
        rows: Events that come before the trouble.
        text: What the server says.
        glued: Whether the text stands behind half a row.
        status: Of the answer.
        seconds: Of the wait.
        headers: Added to those of the answer.

    Example:
        >>> EventFault("reset", day="2026-01-02").matches(date(2026, 1, 1), date(2026, 1, 3))
        True
    """

    kind: EventFaultKind
    day: str | None = None
    times: int | None = 1
    longer_than: int = 0
    rows: int = 3
    text: str = "terminated early"
    glued: bool = False
    status: int = 500
    seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    def matches(self, first: date, last: date) -> bool:
        """Whether a request for these days meets this fault."""
        long = (last - first).days + 1 > self.longer_than
        return long and (self.day is None or first <= date.fromisoformat(self.day) <= last)


class EventFaults:
    """The faults of an export and how often each was played. Any thread may call it."""

    def __init__(self, faults: Iterable[EventFault] = ()) -> None:
        self._lock = threading.Lock()
        self.played: int = 0
        self._faults = [(fault, [fault.times]) for fault in faults]

    def add(self, fault: EventFault) -> None:
        """Script more trouble during a run."""
        with self._lock:
            self._faults.append((fault, [fault.times]))

    def clear(self) -> None:
        """No more trouble."""
        with self._lock:
            self._faults.clear()

    def pick(self, first: date, last: date) -> EventFault | None:
        """The first fault that matches and has plays left."""
        with self._lock:
            for fault, left in self._faults:
                if left[0] == 0 or not fault.matches(first, last):
                    continue
                if left[0] is not None:
                    left[0] -= 1
                self.played += 1
                return fault
        return None
