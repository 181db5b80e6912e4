"""``MixpanelClient``: pages of the Engage API, all profiles of a query, and events, for whoever wants them as dicts.

``query_engage_page`` and ``export_profiles`` decode what ``fetch_page`` returns; the fetcher takes that as it is. How
often a request is sent, and when, is the business of ``http``.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Self, Unpack

from ..accounts import AnyCredentials, Credentials, Signer, resolve_base_url, resolve_export_url, signer_for
from ..arguments import check, refusal
from ..errors import ConfigurationError
from ..events import EventFilters, EventQuery, EventReader
from ..http import (
    ANSWER_TIMEOUT,
    DEFAULT_TIMEOUT,
    MAX_BODY_BYTES,
    AnswerBounds,
    Exchange,
    ExportLimiter,
    FetchControl,
    HttpAnswer,
    RateLimiter,
    RetryPolicy,
    Stop,
    Transport,
    capped_workers,
    error_for,
)
from .page import EngagePage
from .query import ProfileFilters, ProfileQuery
from .readahead import ReadAhead
from .stream import profile_stream

if TYPE_CHECKING:
    import httpx

__all__ = ["MixpanelClient"]


class MixpanelClient:
    """Reads pages of user or group profiles, and events; safe to share between threads.

    Args:
        credentials: A service account or a token; see :class:`Credentials`. Or a ``Workspace`` or ``Session`` of
            ``mixpanel-headless``, whose account signs; what a workspace is switched to later changes nothing here.
        base_url: Host part such as ``https://eu.mixpanel.com``; default: ``MP_API_BASE_URL``, else the region's host.
            Events come from there, too, but for Mixpanel's own hosts, which have another for them; without it, and
            with ``MP_EXPORT_BASE_URL``, from that.
        timeout: Seconds, or an ``httpx.Timeout``; the default lets the server use its own deadline of about 488 s.
        retry: When a failed request is sent again.
        rate_limiter: Shared between clients of one project to give them one sense of its limits, those of the export of
            events among them.
        http_client: Your own ``httpx.Client`` (proxies, private CAs); it is used, never closed. A stop cuts no read
            over a connection that it had made before; such a read ends at its own timeout.
        allow_http: Accept a base URL that is neither https nor loopback.
        max_body_bytes: Most bytes of one answer, packed or unpacked; a page that is larger is never held in memory.
        answer_timeout: Most seconds from a request to the last byte of its answer, however steadily it drips.

    Raises:
        ConfigurationError: The base URL is unusable or unsafe, a bound is no positive number, or the installed
            ``mixpanel-headless`` is not one that this package knows.

    Example:
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(3, seed=1)) as simulator:
        ...     who = Credentials.from_env(simulator.environment())
        ...     with MixpanelClient(who, base_url=simulator.base_url) as client:
        ...         client.query_engage_page(0)["total"]
        3
    """

    def __init__(
        self,
        credentials: AnyCredentials,
        *,
        base_url: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        rate_limiter: RateLimiter | None = None,
        http_client: httpx.Client | None = None,
        allow_http: bool = False,
        max_body_bytes: int = MAX_BODY_BYTES,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        check(locals(), but={"self", "credentials", "rate_limiter"})
        if not isinstance(rate_limiter, RateLimiter | None):
            raise refusal("rate_limiter", rate_limiter, "a RateLimiter, or None", ConfigurationError)
        signer = signer_for(credentials)
        self.credentials: Signer = signer
        self.base_url: str = resolve_base_url(base_url, signer.region, allow_http=allow_http)
        self.rate_limiter: RateLimiter = rate_limiter or RateLimiter()
        bounds = AnswerBounds(max_body_bytes, answer_timeout)
        self._transport = Transport(self.base_url, signer, timeout=timeout, http_client=http_client, bounds=bounds)
        retry = retry or RetryPolicy()
        self._exchange = Exchange(self._transport, signer, retry=retry, rate_limiter=self.rate_limiter)
        self.export_url: str = resolve_export_url(base_url, signer.region, allow_http=allow_http)
        exports = ExportLimiter.beside(self.rate_limiter)
        self._make_reader = partial(
            EventReader, self.export_url, signer, timeout=timeout, retry=retry, limiter=exports, http_client=http_client
        )
        self._making = Lock()
        self._reader: EventReader | None = None

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make a client from ``MP_USERNAME``, ``MP_SECRET``, ``MP_PROJECT_ID`` and the like.

        Args:
            **options: Keyword arguments of the class.

        Raises:
            CredentialsError: Names the variables that are missing or contradictory.
        """
        return cls(Credentials.from_env(), **options)

    def __repr__(self) -> str:
        return f"MixpanelClient(project_id={self.credentials.project_id!r}, base_url={self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        self._transport.close()
        if self._reader is not None:
            self._reader.close()

    @property
    def event_reader(self) -> EventReader:
        """What reads events as they come, made when they are first asked for."""
        with self._making:
            if self._reader is None:
                self._reader = self._make_reader()
            return self._reader

    def query_engage_page(
        self, page: int, *, session_id: str | None = None, **filters: Unpack[ProfileFilters]
    ) -> dict[str, Any]:
        """Read one page and return the server's whole answer, untransformed.

        Nothing is changed but what no JSON may have, as a fetch would. An answer with characters that no server writes
        may have been damaged on the way, and is asked for once more first.

        Args:
            page: Index from 0. Page 0 opens a result on the server and costs one query of the hourly quota.
            session_id: From the answer to page 0; needed for every later page.
            **filters: See :class:`ProfileQuery`; repeat the same ones on every page.

        Returns:
            ``page``, ``page_size``, ``results`` (a list of ``{"$distinct_id": ..., "$properties": {...}}``),
            ``session_id``, ``status`` and, on page 0, ``total``.

        Raises:
            QueryError: A filter is wrong; nothing was sent.
            MixpanelError: What the answer means; see the tree in ``mixpanel_duckdb.errors``.
        """
        check(locals(), but={"self", "filters"})
        query = ProfileQuery(**filters)
        answer, damaged = self.fetch_page(page, query, session_id=session_id).decoded()
        return self.fetch_page(page, query, session_id=session_id).answer() if damaged else answer

    def export_profiles(
        self, *, max_workers: int | None = None, stop: Event | None = None, **filters: Unpack[ProfileFilters]
    ) -> Generator[dict[str, Any], None, None]:
        """Yield every matching profile in page order, while the next pages are on their way.

        Nothing is sent before the first profile is asked for. At most ten pages wait for their turn, fewer if they are
        large. Leaving a loop over the call, or ``close()``, ends its own reads that are under way.

        Args:
            max_workers: Pages fetched at a time, 1 to 5; more is capped with a warning.
            stop: Set it, from any thread, and the stream ends with :class:`FetchStopped` where its next page begins.
            **filters: See :class:`ProfileQuery`.

        Raises:
            QueryError: A filter is wrong, or ``max_workers``; nothing was sent.
            UnreadableAnswerError: The first answer has no ``total``; nothing was yielded.
            SessionLostError: The server dropped the result meanwhile. What was yielded cannot be taken back, so it is
                never started over.
            IncompleteFetchError: After the last profile, if they are not as many as the ``total``.
            MixpanelError: A page cannot be had; those before it were yielded.

        Example:
            >>> from mixpanel_duckdb.simulator import Population, Simulator
            >>> with Simulator(Population(2500, seed=1)) as simulator:
            ...     who = Credentials.from_env(simulator.environment())
            ...     with MixpanelClient(who, base_url=simulator.base_url) as client:
            ...         sum(1 for profile in client.export_profiles())
            2500
        """
        check({"max_workers": max_workers, "stop": stop})
        query = ProfileQuery(**filters).fixed_in_time()
        ahead = ReadAhead(partial(self.fetch_page, query=query), self.abort, capped_workers(max_workers), stop)
        return profile_stream(ahead, query.limit)

    def export_events(
        self,
        from_date: str | date,
        to_date: str | date,
        *,
        limit: int | None = None,
        **filters: Unpack[EventFilters],
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the events of some days as they come, in one request; any number of them needs little memory.

        Nothing is sent before the first event is asked for. Leaving a loop over the call ends the request.

        Args:
            from_date: First day, as YYYY-MM-DD or a ``datetime.date``.
            to_date: Last day, which is included.
            limit: At most so many events, up to 100,000.
            **filters: ``events``, names of events, and ``where``, an expression.

        Raises:
            QueryError: An argument is wrong; nothing was sent.
            UnreadableAnswerError: Behind the last event, if the export did not end as it should: some are missing.
            MixpanelError: What the answer means. What was yielded before cannot be taken back.

        Example:
            >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
            >>> events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))
            >>> with Simulator(events=events) as simulator:
            ...     who = Credentials.from_env(simulator.environment())
            ...     with MixpanelClient(who, base_url=simulator.base_url) as client:
            ...         sum(1 for event in client.export_events("2026-01-01", "2026-01-02"))
            200
        """
        return self.event_reader.events(EventQuery.of(from_date, to_date, limit=limit, **filters))

    def fetch_page(
        self, index: int, query: ProfileQuery, *, session_id: str | None = None, control: FetchControl | None = None
    ) -> EngagePage:
        """Fetch one page, retried and paced, without decoding its profiles.

        Args:
            index: Page index from 0.
            query: The filters.
            session_id: Needed for every page but 0.
            control: The run this belongs to; it can stop the waiting and the reading. Default: that for which the
                caller's code was asked, if it was.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: What the last answer means, once the policy gives up.
        """
        return self._exchange.ask(
            query.form(index, session_id),
            partial(self._page, index, query),
            page=index,
            in_session=bool(session_id),
            control=control or FetchControl.here(),
        )

    def abort(self, run: Stop | None = None) -> None:
        """Cut every read that is under way on this client, or those of one run; the next opens a new connection."""
        self._transport.abort(run)
        if self._reader is not None:
            self._reader.abort(run)

    def _page(self, index: int, query: ProfileQuery, answer: HttpAnswer) -> EngagePage:
        if answer.status != 200:
            error = error_for(answer.status, answer.headers, answer.body, index)
            if error.status == 400 and query.names_no_property:
                error.args = (f'{error} In where, a property is written properties["plan"].',)
            raise error
        return EngagePage.from_body(index, answer.body)
