"""What fetch threads do for a page besides the request that brings it: requests that fail, and waits.

A ``Trace`` belongs to one run. It keeps the steps of the pages that are not stored yet; with the page they go to the
journal, from which a timeline is drawn.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ..errors import FetchStopped, MixpanelError, RateLimitError

__all__ = ["Arrival", "Step", "Trace", "steps_from", "steps_text", "utc_now"]

_log = logging.getLogger("mixpanel_duckdb")
# A server that answers 429 for hours repeats itself; the last steps of a page tell enough.
_MOST_STEPS = 64
_LONGEST_REASON = 200
_ONE_WAIT = 0.02

What = Literal["failed", "refused", "stopped", "limit", "turn", "backoff"]


def utc_now() -> datetime:
    """Now, as DuckDB's plain TIMESTAMP wants it: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a fetch thread did for a page.

    Args:
        what: ``"failed"``, a request that brought nothing to store; ``"refused"``, one that was answered with a 429;
            ``"stopped"``, one that the end of the run cut short; ``"limit"``, a wait for the server's limits, which
            holds everybody; ``"turn"``, a wait for a place among the requests in flight; ``"backoff"``, a wait before a
            request is repeated.
        started: Its start, in UTC.
        ended: Its end, in UTC.
        worker: Name of the thread.
        why: What went wrong, or which limit it was.
    """

    what: What
    started: datetime
    ended: datetime
    worker: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a page was taken and when it came, in UTC, through which thread, and the steps before."""

    requested_at: datetime | None = None
    received_at: datetime | None = None
    worker: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def request(self) -> tuple[datetime, datetime] | None:
        """When the request that brought it was sent, behind all the steps, and when it was answered."""
        if not (self.requested_at and self.received_at):
            return None
        return max([self.requested_at, *(step.ended for step in self.steps)]), self.received_at

    @property
    def seconds(self) -> float:
        """How long that request took."""
        return (self.request[1] - self.request[0]).total_seconds() if self.request else 0.0


@dataclass(slots=True)
class _Track:
    """The steps of one page; touched only by the thread that has the page."""

    requested_at: datetime | None = None
    worker: str = ""
    sent: float | None = None
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=_MOST_STEPS))


class Trace:
    """The steps of the pages of one run that are under way; any thread may call any method.

    Example:
        >>> trace = Trace()
        >>> trace.take(7); trace.sent(); trace.failed(MixpanelError("Page 7: no answer"))
        >>> [(step.what, step.why) for step in trace.arrived(7).steps]
        [('failed', 'no answer')]
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._mine = threading.local()

    def take(self, index: int) -> None:
        """Count what this thread does from now on as done for a page."""
        track = self._tracks.setdefault(index, _Track())
        track.requested_at, track.worker, track.sent = utc_now(), threading.current_thread().name, None
        self._mine.track, self._mine.index = track, index

    def sent(self) -> None:
        """Note that a request is sent now."""
        track: _Track | None = getattr(self._mine, "track", None)
        if track is not None:
            track.sent = time.monotonic()

    def failed(self, error: MixpanelError) -> None:
        """Note how the last request of this thread ended; once for each request."""
        track: _Track | None = getattr(self._mine, "track", None)
        if track is not None and track.sent is None:
            return
        what: What = "failed"
        if isinstance(error, RateLimitError | FetchStopped):
            what = "refused" if isinstance(error, RateLimitError) else "stopped"
        if what != "stopped":
            _log.info("A request %s. %s", "was refused" if what == "refused" else "failed", error)
        if track is not None and track.sent is not None:
            self._add(what, track.sent, time.monotonic(), str(error).removeprefix(f"Page {self._mine.index}: "))
            track.sent = None

    def waited(self, what: What, start: float, end: float, why: str = "") -> None:
        """Note a wait of this thread, in ``time.monotonic()`` seconds; one that follows closely makes it longer."""
        track: _Track | None = getattr(self._mine, "track", None)
        if track is None:
            return
        last = track.steps[-1] if track.steps else None
        if last is not None and last.what == what and (_moment(start) - last.ended).total_seconds() < _ONE_WAIT:
            track.steps[-1] = Step(what, last.started, max(last.ended, _moment(end)), last.worker, last.why)
        else:
            self._add(what, start, end, why)

    def arrived(self, index: int) -> Arrival:
        """Hand over what is known of a page, which has just arrived."""
        track = self._tracks.pop(index, None)
        if track is None:
            return Arrival(received_at=utc_now())
        return Arrival(track.requested_at, utc_now(), track.worker, tuple(track.steps))

    def spoiled(self, index: int, arrival: Arrival, why: str) -> None:
        """Take back a page that arrived but cannot be stored, before anybody fetches it again."""
        track = _Track(steps=deque(arrival.steps, maxlen=_MOST_STEPS))
        if arrival.request:
            track.steps.append(Step("failed", *arrival.request, arrival.worker or "", why[:_LONGEST_REASON]))
        self._tracks[index] = track

    def failures(self, index: int) -> int:
        """Count the requests for a page that failed since it last arrived."""
        track = self._tracks.get(index)
        return sum(step.what == "failed" for step in track.steps) if track else 0

    def failing_since(self, index: int) -> datetime | None:
        """Say when the first of those requests ended."""
        track = self._tracks.get(index)
        return next((step.ended for step in track.steps if step.what == "failed"), None) if track else None

    def unfinished(self) -> dict[int, tuple[Step, ...]]:
        """Give the steps of the pages that did not arrive, of each for which something was done."""
        return {index: tuple(track.steps) for index, track in sorted(self._tracks.items()) if track.steps}

    def _add(self, what: What, start: float, end: float, why: str) -> None:
        track: _Track = self._mine.track
        started = _moment(start)
        if track.steps:  # two clocks differ by microseconds from one look to the next
            started = max(started, track.steps[-1].ended)
        track.steps.append(Step(what, started, max(started, _moment(end)), track.worker, why[:_LONGEST_REASON]))


def steps_text(steps: Iterable[Step]) -> str | None:
    """Write steps as the journal's JSON, ``None`` for none.

    Example:
        >>> steps_text([Step("turn", datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 1), "w")])
        '[{"what":"turn","started":"2026-01-01T00:00:00","ended":"2026-01-01T00:00:01","worker":"w","why":""}]'
    """
    listed = [
        {"what": step.what, "started": step.started.isoformat(), "ended": step.ended.isoformat(),
         "worker": step.worker, "why": step.why}
        for step in steps
    ]  # fmt: skip
    return json.dumps(listed, separators=(",", ":")) if listed else None


def steps_from(text: str | None) -> tuple[Step, ...]:
    """Read what ``steps_text`` wrote."""
    values: list[dict[str, Any]] = json.loads(text) if text else []
    return tuple(
        Step(
            each["what"],
            datetime.fromisoformat(each["started"]),
            datetime.fromisoformat(each["ended"]),
            each["worker"],
            each["why"],
        )
        for each in values
    )


def _moment(monotonic: float) -> datetime:
    """The wall time of a moment of the monotonic clock."""
    return utc_now() - timedelta(seconds=time.monotonic() - monotonic)
