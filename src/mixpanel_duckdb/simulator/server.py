"""The simulator itself: a threaded loopback server that can always be stopped at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self

from .auth import Account
from .behaviour import Behaviour
from .delivery import DELIVERIES, Line
from .engage import Engage
from .faults import Fault, FaultScript
from .limits import Gate, Limits, Refusal, Ticket, refusal_response
from .listener import Listener
from .population import Population
from .query import RefusedError
from .raw_export import EXPORT_PATH, RawExport
from .records import RequestLog, RequestRecord, busy_fraction
from .wire import (
    HttpRequest,
    HttpResponse,
    Parameters,
    error_response,
)

ENGAGE_PATHS = ("/api/query/engage", "/api/2.0/engage")
_PATHS = (*ENGAGE_PATHS, *(f"{path}/properties" for path in ENGAGE_PATHS))
_FREE = (401, 402, 429)


class Simulator:
    """
    Mixpanel's Engage Query API on 127.0.0.1, as far as it is known.

    Args:
        population: The profiles of the project.
        behaviour: Switches for what servers do differently.
        limits: The hourly budget and the number of requests at once.
        faults: Scripted trouble, in order of precedence.
        events: The raw event export of the project; without it there is none.
        port: 0 takes a free one.
        username: Name of the one service account.
        secret: Its secret, and the project secret.
        token: The one valid bearer token.
        project_id: The project that these belong to.
        auth: `any` accepts every request.

    Example:
        >>> import json
        >>> from urllib.request import urlopen
        >>> with Simulator(Population(2500), auth="any") as sim:
        ...     with urlopen(sim.base_url + "/api/query/engage") as response:
        ...         answer = json.load(response)
        >>> len(answer["results"]), answer["total"]
        (1000, 2500)
    """

    def __init__(
        self,
        population: Population | None = None,
        *,
        behaviour: Behaviour | None = None,
        limits: Limits | None = None,
        faults: Iterable[Fault] = (),
        events: RawExport | None = None,
        port: int = 0,
        username: str = "simulator",
        secret: str = "simulated-secret",  # noqa: S107
        token: str = "simulated-token",  # noqa: S107
        project_id: str = "1",
        auth: Literal["strict", "any"] = "strict",
    ) -> None:
        self.account: Account = Account(username, secret, token, str(project_id), auth)
        self.behaviour: Behaviour = behaviour or Behaviour()
        self.limits: Limits = limits or Limits()
        self._engage = Engage(Population(2500) if population is None else population, self.behaviour)
        self.events = events
        self._gate = Gate(self.limits)
        self._faults = FaultScript(faults)
        self._records = RequestLog()
        self._port = port
        self._server: Listener | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen; returns the simulator."""
        if self._server is None:
            self._server = Listener(("127.0.0.1", self._port), self._serve)
            self._port = self._server.server_address[1]
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="simulator")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Cut every wait and connection, join every thread; a later start uses the same port."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.stop()
        self._thread.join(5)
        self._thread = None
        self._engage.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"at {self.base_url}" if self._server else "stopped"
        return f"<Simulator {state}, {len(self.requests)} requests>"

    @property
    def base_url(self) -> str:
        """Scheme, host and port; clients add `/api/query/engage`."""
        return f"http://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        """Variables that point this package, and Mixpanel's own SDK, at the simulator."""
        account = self.account
        return {
            "MP_USERNAME": account.username,
            "MP_SECRET": account.secret,
            "MP_PROJECT_ID": account.project_id,
            "MP_REGION": "us",
            "MP_API_BASE_URL": self.base_url,
        }

    @property
    def port(self) -> int:
        """The port, 0 before the first start unless one was chosen."""
        return self._port

    @property
    def requests(self) -> list[RequestRecord]:
        """Copies of the records of all requests, in order of arrival."""
        return self._records.snapshot()

    @property
    def max_in_flight(self) -> int:
        """The most requests that were ever handled at once."""
        return self._records.max_in_flight

    def busy_fraction(self, at_least: int = 5) -> float:
        """The share of the time between first arrival and last answer with that many requests in flight."""
        return busy_fraction(self.requests, at_least)

    def clear_requests(self) -> None:
        """Forget requests and attempt numbers, say between two runs of one test."""
        self._records.clear()

    def add_fault(self, fault: Fault) -> None:
        """Script more trouble during a run."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Drop all scripted trouble."""
        self._faults.clear()

    def expire_sessions(self) -> None:
        """Make every session unknown."""
        self._engage.sessions.forget_all()

    def replace_population(self, population: Population) -> None:
        """Serve other profiles to results opened from now on (in live mode: at once)."""
        self._engage.replace_population(population)

    def prepare(self, page_size: int | None = None, *, gzip: bool = True) -> Self:
        """Encode all pages of the whole population now, so that no measurement pays for it."""
        self._engage.prepare(page_size, gzip=gzip)
        return self

    def _serve(self, connection: socket.socket, request: HttpRequest, stopping: threading.Event) -> bool:
        parameters = request.parameters()
        record = self._arrive(request, parameters)
        exchange = _Exchange(self._gate, self._records, record)
        line = Line(connection, stopping, exchange.done)
        try:
            if self.events is not None and request.path == EXPORT_PATH:
                return self._export(self.events, request, parameters, record, line)
            response, fault = self._respond(request, parameters, exchange, line)
            self._records.note(record, response.status, fault.kind if fault else None)
            if fault and fault.kind in DELIVERIES:
                DELIVERIES[fault.kind](line, fault, response)
                return False
            return line.send(response, keep_alive=request.keep_alive)
        finally:
            exchange.done()

    def _export(
        self, events: RawExport, request: HttpRequest, parameters: Parameters, record: RequestRecord, line: Line
    ) -> bool:
        if request.method != "GET":
            return line.send(error_response(request, 405, "Method not allowed"), keep_alive=False)
        try:
            self.account.check(request, parameters)
        except RefusedError as error:
            self._records.note(record, error.status, None)
            return line.send(error_response(request, error.status, str(error)), keep_alive=False)
        events.serve(
            line, request, parameters, self.account.project_id, lambda status: self._records.note(record, status, None)
        )
        return False

    def _respond(
        self, request: HttpRequest, parameters: Parameters, exchange: _Exchange, line: Line
    ) -> tuple[HttpResponse, Fault | None]:
        refused = self._refuse(request, parameters, exchange)
        if refused is not None:
            return refused, None
        fault = self._faults.pick(exchange.record.page, exchange.record.attempt, _number(parameters, "page_size"))
        response = self._scripted_refusal(request, fault) or self._engage.answer(request, parameters, fault)
        response.headers.update(fault.headers if fault else {})
        if response.status in _FREE:
            exchange.forgive()
        extra = (fault.seconds or 0.0) if fault and fault.kind == "delay" else 0.0
        line.pause(self._engage.wait(response.rows) + extra)
        return response, fault

    def _refuse(self, request: HttpRequest, parameters: Parameters, exchange: _Exchange) -> HttpResponse | None:
        if request.path not in _PATHS:
            return error_response(request, 404, "Not found")
        if request.method not in ("GET", "POST"):
            return error_response(request, 405, "Method not allowed")
        try:
            self.account.check(request, parameters)
        except RefusedError as error:
            return error_response(request, error.status, str(error))
        admitted = self._gate.admit(session_page=exchange.record.session_id is not None)
        if isinstance(admitted, Refusal):
            return refusal_response(admitted, self.limits, request, self.account.project_id)
        exchange.ticket = admitted
        return None

    def _scripted_refusal(self, request: HttpRequest, fault: Fault | None) -> HttpResponse | None:
        if fault is None or fault.kind not in ("quota", "concurrency", "shedding"):
            return None
        wait = fault.retry_after if isinstance(fault.retry_after, int | float) else None
        refusal = self._gate.refusal(fault.kind, wait)
        response = refusal_response(refusal, self.limits, request, self.account.project_id)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response

    def _arrive(self, request: HttpRequest, parameters: Parameters) -> RequestRecord:
        session_id = parameters.get("session_id")
        session_id = None if session_id in (None, "", "null") else str(session_id)
        return self._records.arrive(
            _number(parameters, "page") if request.path in ENGAGE_PATHS else None,
            session_id,
            request.method,
            request.target,
            params=parameters,
            headers=request.headers,
            session=self._engage.sessions.canonical(session_id),
        )


class _Exchange:
    """What one request holds until its answer has left; its handler thread alone uses it."""

    def __init__(self, gate: Gate, records: RequestLog, record: RequestRecord) -> None:
        self._gate = gate
        self._records = records
        self.record = record
        self.ticket: Ticket | None = None

    def forgive(self) -> None:
        if self.ticket is not None:
            self._gate.forgive(self.ticket)

    def done(self) -> None:
        if self.ticket is not None:
            self._gate.release(self.ticket)
        self._records.leave(self.record)


def _number(parameters: Parameters, name: str) -> int | None:
    try:
        return int(parameters.get(name) or 0)
    except (TypeError, ValueError):
        return None
