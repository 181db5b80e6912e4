"""The Engage Query API without its sockets: a request in, a response out."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from dataclasses import replace
from itertools import count

from .alterations import CHANGES, DAMAGES, REPLACEMENTS
from .behaviour import Behaviour
from .faults import Fault
from .pages import Page, SegmentCache, View
from .population import Population
from .query import Query, RefusedError, integer
from .selection import property_types, select
from .sessions import Session, Sessions, live_page, page_of
from .wire import (
    HttpRequest,
    HttpResponse,
    Parameters,
    error_response,
    json_response,
)

NEEDS_SESSION = "must have session_id when requesting page > 0"
_VIEWS_KEPT = 16


class Engage:
    """One project's profiles behind `/engage` and `/engage/properties`. Any thread may call it."""

    def __init__(self, population: Population, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.sessions: Sessions = Sessions(behaviour)
        self._lock = threading.Lock()
        self._population = population
        self._cache = SegmentCache()
        self._views: OrderedDict[str, View] = OrderedDict()
        self._numbers = count()
        self._rng = random.Random(behaviour.seed)  # noqa: S311

    def replace_population(self, population: Population) -> None:
        """Serve other profiles from the next result on; frozen sessions keep theirs."""
        with self._lock:
            self._population = population
            self._views.clear()

    def prepare(self, page_size: int | None, *, gzip: bool) -> None:
        """Encode every page of the unfiltered result ahead of time."""
        level = self.behaviour.gzip_level if gzip and self.behaviour.gzip else None
        self._view(Query.parse({})).warm(self.behaviour.page_rows(page_size), level)

    def close(self) -> None:
        """Drop encoded pages and the file that holds some of them."""
        self._cache.clear()

    def wait(self, rows: int) -> float:
        """Seconds of latency for an answer of that many rows."""
        with self._lock:
            return self.behaviour.wait(rows, self._rng)

    def answer(self, request: HttpRequest, parameters: Parameters, fault: Fault | None) -> HttpResponse:
        """The response to an authenticated request, fault included unless it needs the socket."""
        kind = fault.kind if fault else ""
        try:
            if fault and kind in REPLACEMENTS:
                return REPLACEMENTS[kind](fault, request)
            if request.path.endswith("/properties"):
                return self._properties(parameters)
            if kind == "lost_session":
                self.sessions.forget(parameters.get("session_id"))
            response = self._page_response(request, parameters, fault)
        except RefusedError as error:
            return error_response(request, error.status, str(error))
        return DAMAGES[kind](fault, response) if fault and kind in DAMAGES else response

    def _page_response(self, request: HttpRequest, parameters: Parameters, fault: Fault | None) -> HttpResponse:
        page, session = self._page(parameters)
        if fault and fault.kind in CHANGES:
            page = CHANGES[fault.kind](fault, page, session)
        gzip = self.behaviour.gzip and request.accepts_gzip
        headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if gzip else {})
        pieces = page.encode(self.behaviour.gzip_level if gzip else None)
        return HttpResponse(200, pieces, headers, rows=page.count())

    def _page(self, parameters: Parameters) -> tuple[Page, Session]:
        number, session_id = integer(parameters, "page") or 0, parameters.get("session_id")
        query = Query.parse(parameters)
        sent = "page" in parameters
        if session_id:
            session = self.sessions.find(str(session_id), query)
        elif number:
            raise RefusedError(NEEDS_SESSION)
        else:
            size = self.behaviour.page_rows(integer(parameters, "page_size", least=1))
            session = self.sessions.open(query, self._view(query), size)
        answer_id = self.sessions.answer_id(session)
        page = page_of(session, number, self.behaviour, page_sent=sent, session_id=answer_id)
        if self.behaviour.snapshot == "live":
            rows = self.sessions.live_rows(session, number, lambda: self._view(query))
            page = live_page(page, rows, number, self.behaviour, sent)
        if self.behaviour.honour_limit == "each_page" and query.limit is not None:
            page = replace(page, rows=page.all_rows()[: query.limit])
        return page, session

    def _view(self, query: Query) -> View:
        with self._lock:
            population, view = self._population, self._views.get(query.key)
            if view is not None:
                self._views.move_to_end(query.key)
                return view
        members = population if query.data_group_id is None else population.group(query.data_group_id)
        rows = select(
            members.rows,
            query,
            honour_limit=self.behaviour.honour_limit is True,
            always_last_seen=self.behaviour.always_last_seen,
        )
        return self._keep(query.key, View(next(self._numbers), rows, self._cache), population)

    def _keep(self, key: str, view: View, population: Population) -> View:
        with self._lock:
            if population is self._population:
                view = self._views.setdefault(key, view)
                while len(self._views) > _VIEWS_KEPT:
                    self._views.popitem(last=False)
            return view

    def _properties(self, parameters: Parameters) -> HttpResponse:
        limit = integer(parameters, "limit")
        return json_response(200, {"status": "ok", "results": property_types(self._population.rows, limit)})
