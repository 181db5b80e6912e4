"""The raw event export: ``GET /api/2.0/export`` answers a stream of lines that nobody counts, and that may break."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from .delivery import Line
from .endings import ENDINGS
from .event_switches import EventBehaviour, EventFault, EventFaults
from .events import EventPopulation, blocks
from .limits import Gate, Limits, Refusal, refusal_response
from .query import RefusedError
from .wire import HttpRequest, HttpResponse, Parameters, html_response, json_response

EXPORT_PATH = "/api/2.0/export"
IN_PROGRESS = "too many export requests in progress for this project"
_MOST_LIMIT = 100_000
_TIME = re.compile(rb'"time":(\d+)')


class RawExport:
    """
    One project's events behind ``/api/2.0/export``. Any thread may call it.

    Args:
        population: The events.
        behaviour: Switches for what servers do differently.
        limits: The hourly budget and the number of requests at once, which are not those of the Query API.
        per_second: Most starts in a second; ``None`` is unlimited.
        faults: Scripted trouble, in order of precedence.
    """

    def __init__(
        self,
        population: EventPopulation,
        *,
        behaviour: EventBehaviour | None = None,
        limits: Limits | None = None,
        per_second: int | None = 3,
        faults: Iterable[EventFault] = (),
    ) -> None:
        self.population = population
        self.behaviour: EventBehaviour = behaviour or EventBehaviour()
        self.limits: Limits = limits or Limits(quota=60, concurrency=100)
        self._gate = Gate(self.limits)
        self._starts = Gate(Limits(quota=per_second, window=1.0, concurrency=None))
        self.faults: EventFaults = EventFaults(faults)
        self._lock = threading.Lock()
        self.most_at_once: int = 0
        self._now = 0

    def serve(
        self, line: Line, request: HttpRequest, parameters: Parameters, project_id: str, note: Callable[[int], None]
    ) -> None:
        """Answer one authenticated request, closing the connection behind it; notes the status before it is sent."""
        ticket = self._gate.admit(session_page=False)
        if isinstance(ticket, Refusal):
            return _reply(line, _too_many(ticket, self.limits, request, project_id), note)
        try:
            start = self._starts.admit(session_page=False)
            if isinstance(start, Refusal):
                self._gate.forgive(ticket)
                return _reply(line, _too_many(start, self.limits, request, project_id), note)
            with self._lock:
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
            try:
                self._answer(line, request, parameters, note)
            finally:
                with self._lock:
                    self._now -= 1
        finally:
            self._gate.release(ticket)

    def _answer(self, line: Line, request: HttpRequest, parameters: Parameters, note: Callable[[int], None]) -> None:
        try:
            asked = _Asked(parameters, self.behaviour)
        except RefusedError as error:
            return _reply(line, json_response(error.status, {"error": str(error)}), note)
        fault = self.faults.pick(asked.first, asked.last)
        line.pause(self.behaviour.latency + ((fault.seconds or 0.0) if fault and fault.kind == "delay" else 0.0))
        if fault is not None and fault.kind == "status":
            html = fault.status in (502, 503, 504)
            answer = html_response(fault.status) if html else json_response(fault.status, {"error": fault.text})
            answer.headers.update(fault.headers)
            return _reply(line, answer, note)
        zipped = self.behaviour.gzip and request.accepts_gzip
        note(200)
        ENDINGS[fault.kind if fault else "clean"](line, fault, self.behaviour, self._lines(asked, line), zipped)
        return None

    def _lines(self, asked: _Asked, line: Line) -> Iterator[list[bytes]]:
        lines: Iterator[bytes] = iter(())
        if asked.wanted != ():
            lines = (each for day in asked.days(self.population) for each in self.population.of(day))
        if asked.wanted is not None:
            lines = (each for each in lines if json.loads(each)["event"] in asked.wanted)
        timed = self._timed(lines, ms=asked.in_ms and self.behaviour.honours_ms)
        for block in blocks(islice(timed, asked.limit)):
            line.pause(self.behaviour.per_event * len(block))
            yield block

    def _timed(self, lines: Iterator[bytes], *, ms: bool) -> Iterator[bytes]:
        form = self.behaviour.time
        if form == "int" and ms:
            return lines
        unit = 1 if ms else 1000
        write: Callable[[int], bytes] = {
            "int": lambda time: b'"time":%d' % (time // unit),
            "float": lambda time: b'"time":%.3f' % (time / unit),
            "text": lambda time: b'"time":"%d"' % (time // unit),
            "missing": lambda _: b'"no_time":0',
        }[form]
        return (_TIME.sub(lambda found: write(int(found[1])), each, count=1) for each in lines)


class _Asked:
    """The parameters of a request, read as the server does."""

    def __init__(self, parameters: Parameters, behaviour: EventBehaviour) -> None:
        self.first, self.last = _date(parameters, "from_date"), _date(parameters, "to_date")
        if self.last > (behaviour.today or datetime.now(UTC).date()):
            raise RefusedError("to_date cannot be later than today")
        if self.last < self.first:
            raise RefusedError("from_date cannot be later than to_date")
        self.in_ms = str(parameters.get("time_in_ms", "false")).lower() == "true"
        self.limit = int(parameters["limit"]) if parameters.get("limit") else None
        if self.limit is not None and not 0 < self.limit <= _MOST_LIMIT:
            raise RefusedError("limit must be between 1 and 100000")
        if parameters.get("where"):
            raise RefusedError("where is not simulated")
        self.wanted = tuple(json.loads(parameters["event"])) if parameters.get("event") else None
        if self.wanted == () and behaviour.empty_events == "all":
            self.wanted = None
        self._dates = behaviour.dates

    def days(self, population: EventPopulation) -> Iterator[date]:
        first, last = (self.first, self.last) if self._dates else (population.first, population.last)
        return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _date(parameters: Parameters, name: str) -> date:
    try:
        return date.fromisoformat(str(parameters.get(name)))
    except ValueError:
        raise RefusedError(f"{name} must be of the form yyyy-mm-dd") from None


def _too_many(refusal: Refusal, limits: Limits, request: HttpRequest, project_id: str) -> HttpResponse:
    if refusal.trip == "concurrency":
        return json_response(429, {"error": IN_PROGRESS})
    return refusal_response(refusal, limits, request, project_id)


def _reply(line: Line, response: HttpResponse, note: Callable[[int], None]) -> None:
    note(response.status)
    line.send(response, keep_alive=False)
