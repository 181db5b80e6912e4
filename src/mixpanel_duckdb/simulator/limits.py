"""The project's limits: an hourly budget and a number of requests at once, and how a 429 is worded."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from .wire import HttpRequest, HttpResponse, html_response, json_response

Trip = Literal["quota", "concurrency", "shedding"]
Form = Literal["headers", "no_headers", "no_retry_after", "http_date", "html", "legacy"]

_QUOTA, _AT_ONCE = 60, 5
_DOCS = (
    "For more information, please consult our documentation at "
    "https://help.mixpanel.com/hc/en-us/articles/115004602563-Rate-Limits-for-Export-API-Endpoints"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a project may ask for, and the form of the refusal.

    Args:
        quota: Queries per rolling window; None is unlimited.
        window: Length of the window in seconds.
        concurrency: Requests at once; None is unlimited.
        count_session_pages: Pages with a session id use the quota too.
        session_pages_use_slots: Pages with a session id use a place among the requests at once.
        form: `headers`: RateLimit headers and Retry-After. `no_headers`: none of them. `no_retry_after`:
            RateLimit only. `http_date`: Retry-After as a date. `html`: a gateway page. `legacy`: the text of
            2021, no headers.
        exact: Waits are told with their fraction; else rounded up to whole seconds.
        concurrency_wait: Seconds to wait that a concurrency refusal names.
        retry_after: Sent as Retry-After instead of the true wait.
    """

    quota: int | None = 60
    window: float = 3600.0
    concurrency: int | None = 5
    count_session_pages: bool = False
    session_pages_use_slots: bool = True
    form: Form = "headers"
    exact: bool = False
    concurrency_wait: float = 10.0
    retry_after: int | float | str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit tripped, how full both are, and how long to wait."""

    trip: Trip
    running: int
    used: int
    wait: float


@dataclass(slots=True, eq=False)
class Ticket:
    """What one admitted request holds; touched under the gate's lock only."""

    counted_at: float | None
    slot: bool


class Gate:
    """Admits or refuses requests on arrival. Any thread may call it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._counted: deque[float] = deque()
        self._running = 0

    def admit(self, *, session_page: bool) -> Ticket | Refusal:
        """Count a request on arrival, or say which limit it breaks."""
        limits, now = self.limits, time.monotonic()
        counts = not session_page or limits.count_session_pages
        slot = not session_page or limits.session_pages_use_slots
        with self._lock:
            while self._counted and self._counted[0] <= now - limits.window:
                self._counted.popleft()
            if slot and limits.concurrency is not None and self._running >= limits.concurrency:
                return self._refusal("concurrency", limits.concurrency_wait)
            if counts and limits.quota is not None and len(self._counted) >= limits.quota:
                oldest = self._counted[0] if self._counted else now
                return self._refusal("quota", oldest + limits.window - now)
            if counts:
                self._counted.append(now)
            self._running += slot
            return Ticket(now if counts else None, slot)

    def release(self, ticket: Ticket) -> None:
        """Give the place back; a second call does nothing."""
        with self._lock:
            self._running -= ticket.slot
            ticket.slot = False

    def forgive(self, ticket: Ticket) -> None:
        """Take the request out of the hourly count: 401, 402 and 429 answers are free."""
        with self._lock:
            if ticket.counted_at is not None and ticket.counted_at in self._counted:
                self._counted.remove(ticket.counted_at)
            ticket.counted_at = None

    def refusal(self, trip: Trip, wait: float | None = None) -> Refusal:
        """A refusal for a scripted fault, with the present state of both limits."""
        usual = {"quota": self.limits.window, "concurrency": self.limits.concurrency_wait, "shedding": 0.0}
        with self._lock:
            return self._refusal(trip, usual[trip] if wait is None else wait)

    def _refusal(self, trip: Trip, wait: float) -> Refusal:
        return Refusal(trip, self._running, len(self._counted), wait)


def refusal_response(refusal: Refusal, limits: Limits, request: HttpRequest, project_id: str) -> HttpResponse:
    """The 429 answer in the form that the limits ask for."""
    if limits.form == "html":
        return html_response(429, _retry_after(refusal, limits))
    if limits.form == "legacy":
        text = _sentence(project_id) + f" {_running(refusal, limits)} and {_in_window(refusal, limits)}…"
        return json_response(429, {"error": text})
    headers = {} if refusal.trip == "shedding" else _headers(refusal, limits)
    return json_response(429, _body(refusal, limits, request, project_id), headers)


def _headers(refusal: Refusal, limits: Limits) -> dict[str, str]:
    if limits.form == "no_headers":
        return {}
    wait = _told(refusal.wait, limits)
    quota, at_once = _published(limits)
    spare, places = quota - refusal.used, at_once - refusal.running
    if refusal.trip == "quota":
        state = f'"project";r=0;t={wait}, "project-concurrency";r={max(places, 0)}'
    else:
        state = f'"project";r={max(spare, 0)}, "project-concurrency";r=0;t={wait}'
    policy = f'"project";q={quota};w={limits.window:g}'
    places_policy = f'"project-concurrency";q={at_once};qu="concurrent-requests"'
    retry = {} if limits.form == "no_retry_after" else _retry_after(refusal, limits)
    return {"RateLimit-Policy": f"{policy}, {places_policy}", "RateLimit": state, **retry}


def _retry_after(refusal: Refusal, limits: Limits) -> dict[str, str]:
    if limits.retry_after is not None:
        return {"Retry-After": str(limits.retry_after)}
    if limits.form == "http_date":
        return {"Retry-After": formatdate(math.ceil(time.time() + refusal.wait), usegmt=True)}
    return {"Retry-After": _told(refusal.wait, limits)}


def _told(wait: float, limits: Limits) -> str:
    return f"{max(wait, 0.0):.3f}" if limits.exact else str(max(1, math.ceil(wait)))


def _body(refusal: Refusal, limits: Limits, request: HttpRequest, project_id: str) -> dict[str, str]:
    start = _sentence(project_id)
    if refusal.trip == "quota":
        reason = f"This request exceeded the rate limit ({_in_window(refusal, limits)})."
        host = request.headers.get("host", "127.0.0.1")
        return {"request": f"http://{host}{request.target}", "error": f"{start} {reason} {_DOCS}"}
    if refusal.trip == "concurrency":
        reason = f"This request exceeded the concurrency limit ({_running(refusal, limits)})."
        return {"error": f"{start} {reason} {_DOCS}"}
    return {"error": f"{start[:-1]} For more information, please consult our documentation"}


def _published(limits: Limits) -> tuple[int, int]:
    """The numbers to name; a scripted refusal of an unlimited project names those of the docs."""
    quota = _QUOTA if limits.quota is None else limits.quota
    return quota, _AT_ONCE if limits.concurrency is None else limits.concurrency


def _sentence(project_id: str) -> str:
    return f"Query rate limit exceeded for project_id: {project_id}."


def _in_window(refusal: Refusal, limits: Limits) -> str:
    quota, _ = _published(limits)
    count = max(refusal.used, quota) + 1 if refusal.trip == "quota" else refusal.used
    return f"{count}/{quota} queries running in the last hour"


def _running(refusal: Refusal, limits: Limits) -> str:
    _, at_once = _published(limits)
    count = max(refusal.running, at_once) + 1 if refusal.trip == "concurrency" else refusal.running
    return f"{count}/{at_once} queries running concurrently"
