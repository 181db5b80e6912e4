"""A server as far as its limits go: what it counts, how long it keeps a session, what it makes of a page size."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from clock.world import World
from mixpanel_duckdb import Credentials, MixpanelClient, ProfileStore, RateLimiter
from mixpanel_duckdb.http import FetchControl, HttpAnswer
from mixpanel_duckdb.http.retry import RetryPolicy
from mixpanel_duckdb.store import OpenFetch
from mixpanel_duckdb.store.publish import Publication, StagedRows

__all__ = ["Model", "Reading", "StoreOfCounts", "client_in"]

HOUR = 3600.0
_PROFILE_BYTES = 1000
_ROUND_TRIP = 0.1
# It would take longer to make than the fetch, and sends nothing.
_NOBODY = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(500)))


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read what is published of the limits.

    Args:
        counted: Which requests count as queries of the hour: ``first`` pages only, or every one, in a ``rolling`` hour
            or by the ``clock``.
        at_once: Requests at a time.
        session: Seconds that a session lives.
        sizes: What becomes of a page size that is asked for: ``honoured``, ``lowered`` to 10,000, or ``refused``.
        seconds: How long a page of 1,000 profiles takes; a tenth of it whatever the size.
    """

    counted: Literal["first", "rolling", "clock"] = "first"
    at_once: int = 5
    session: float = 24 * HOUR
    sizes: Literal["honoured", "lowered", "refused"] = "honoured"
    seconds: float = 0.5


class _Body(bytes):
    """A body that is as long as its profiles would make it, without them."""

    rows: int = 0

    def __len__(self) -> int:
        return self.rows * _PROFILE_BYTES

    def count(self, *_: Any) -> int:
        return self.rows


@dataclass(slots=True)
class Model:
    """The server: a transport of ``MixpanelClient``.

    Args:
        world: Whose time it lives in.
        profiles: How many there are.
        reading: What it counts and allows.
        quota: Queries an hour.
    """

    world: World
    profiles: int
    reading: Reading
    quota: int = 60
    requests: int = 0
    refusals: int = 0
    _running: int = 0
    _counted: deque[float] = field(default_factory=deque)
    _sessions: dict[str, tuple[float, int]] = field(default_factory=dict)

    def post(self, form: Mapping[str, Any], index: int, control: FetchControl) -> HttpAnswer:
        """Answer one request, after the time that it takes."""
        self.requests += 1
        refused = self._refused(form)
        if refused is not None:
            self.world.sleep(_ROUND_TRIP)
            control.stop.check()
            return refused
        self._running += 1
        try:
            answer, rows = self._answer(form, index)
            self.world.sleep(_ROUND_TRIP + self.reading.seconds * (0.1 + 0.9 * rows / 1000))
        finally:
            self._running -= 1
        control.stop.check()
        return answer

    def abort(self, run: object = None) -> None:
        """Nothing is under way while somebody else has the turn."""

    def close(self) -> None:
        """There is no connection."""

    def _refused(self, form: Mapping[str, Any]) -> HttpAnswer | None:
        now, reading = self.world.now, self.reading
        begin = now - HOUR if reading.counted != "clock" else now // HOUR * HOUR - 1e-9
        while self._counted and self._counted[0] <= begin:
            self._counted.popleft()
        if self._running >= reading.at_once:
            return self._limit(f"({self._running + 1}/{reading.at_once} queries running concurrently)", 1, places=0)
        if reading.counted == "first" and form.get("session_id"):
            return None
        if len(self._counted) >= self.quota:
            free = self._counted[0] + HOUR if reading.counted != "clock" else (now // HOUR + 1) * HOUR
            return self._limit(f"({self.quota + 1}/{self.quota} queries running in the last hour)", free - now, left=0)
        self._counted.append(now)
        return None

    def _limit(self, text: str, wait: float, *, left: int = 1, places: int = 1) -> HttpAnswer:
        self.refusals += 1
        tells = int(wait) + 1
        headers = {
            "ratelimit": f'"project";r={left};t={tells}, "project-concurrency";r={places};t={tells}',
            "ratelimit-policy": f'"project";q={self.quota};w=3600, "project-concurrency";q={self.reading.at_once}',
            "retry-after": str(tells),
        }
        return HttpAnswer(429, headers, json.dumps({"error": f"Query rate limit exceeded {text}"}).encode())

    def _answer(self, form: Mapping[str, Any], index: int) -> tuple[HttpAnswer, int]:
        asked = form.get("page_size")
        if asked and self.reading.sizes == "refused":
            return HttpAnswer(400, {}, b'{"error": "page_size is larger than 1000"}'), 0
        session = form.get("session_id")
        if session is None:
            size = min(int(asked or 1000), 10_000 if self.reading.sizes == "lowered" else 100_000)
            session = f"s{len(self._sessions)}"
            self._sessions[session] = self.world.now, size
        born, size = self._sessions[session]
        if self.world.now - born > self.reading.session:
            return HttpAnswer(400, {}, b'{"error": "request for page in uncached query for params"}'), 0
        rows = max(0, min(size, self.profiles - index * size))
        total = {} if index else {"total": self.profiles}
        answer = {"page": index, "page_size": size, "results": [], "session_id": session, "status": "ok", **total}
        body = _Body(json.dumps(answer).encode())
        body.rows = rows
        return HttpAnswer(200, {}, body), rows


def client_in(world: World, model: Model) -> MixpanelClient:
    """A client, with its own retries and its own sense of the limits, of a server in a world."""
    limiter = RateLimiter(clock=world.monotonic)
    who = Credentials(username="u", secret="s", project_id="1")  # type: ignore[arg-type]
    client = MixpanelClient(who, rate_limiter=limiter, retry=RetryPolicy(draw=lambda: 0.5), http_client=_NOBODY)
    client._transport = client._exchange._transport = model  # type: ignore[assignment]
    return client


class StoreOfCounts(ProfileStore):
    """A database with its journal, for pages that are counted and not kept."""

    _tables = 0

    def another_table(self) -> str:
        """Give the name of a table that no fetch has had."""
        self._tables += 1
        return f"profiles_{self._tables}"

    def writer(self, fetch: OpenFetch) -> Any:
        """Take pages."""
        self._fetch, self._pages = fetch, list[Any]()
        return self

    def store(self, write: Any) -> None:
        """Count a page."""
        self._pages.append((write.page.index, write.expected_rows, len(write.page.body), write.received_at))

    def staged(self, fetch: OpenFetch) -> StagedRows:
        """Count what has come, in this run and before."""
        rows = sum(rows for _, rows in fetch.committed) + sum(page[1] for page in self._pages_of(fetch))
        return StagedRows(rows, rows)

    def publish(self, fetch: OpenFetch, **_: Any) -> Publication:
        """Publish nothing."""
        fetch.claim.release()
        return Publication(published=True)

    def leave(self, fetch: OpenFetch, **given: Any) -> None:
        """Keep what has come for the next run."""
        pages = self._pages_of(fetch)
        if pages:
            self._cursor.execute(
                "INSERT INTO _mixpanel_pages (fetch_id, state, page_index, rows, bytes, committed_at) "
                "SELECT ?, 'committed', unnest(?::INTEGER[]), unnest(?::BIGINT[]), unnest(?::BIGINT[]), "
                "unnest(?::TIMESTAMP[])",
                [fetch.fetch_id, *map(list, zip(*pages, strict=True))],
            )
        super().leave(fetch, **given)

    def _pages_of(self, fetch: OpenFetch) -> list[Any]:
        known = getattr(self, "_fetch", None)
        return self._pages if known is not None and known.fetch_id == fetch.fetch_id else []
