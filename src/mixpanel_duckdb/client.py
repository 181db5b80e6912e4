"""The HTTP side: one page of the Engage API, retried, paced, posted once. The only room that imports httpx.

The work is in layers of one screen each: ``query_engage_page`` and ``export_profiles`` decode what ``fetch_page``
returns; ``fetch_page`` repeats ``_attempt`` as the retry policy and the rate limiter say; ``_attempt`` sends one
POST and turns its answer into a page or an error.

``abort`` is how a run stops a read that may last minutes: closing an httpx client does not wake a thread that is
blocked in ``recv``, so the sockets that httpx's ``trace`` extension shows are shut down instead. Where a transport
shows none (a mock, a custom one), reads end at their own timeout.
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Self, Unpack

import httpx

from ._version import __version__
from .answer import error_for, is_certificate_error
from .control import FetchControl
from .credentials import Credentials, resolve_base_url
from .errors import (
    ConfigurationError,
    ConnectionFailedError,
    MixpanelError,
    RateLimitError,
    UnreadableAnswerError,
)
from .limits import read_limit
from .page import EngagePage, page_count
from .query import ProfileFilters, ProfileQuery
from .rate_limit import RateLimiter
from .retry import RetryPolicy

__all__ = ["DEFAULT_TIMEOUT", "MixpanelClient"]

ENGAGE_PATH = "/api/query/engage"
_MOST_REDIRECTS = 3
# Mixpanel's gateway gives a query about 488 s (mixpanel_headless 0.4.0, DEFAULT_QUERY_TIMEOUT_S); a shorter read
# timeout would pay for a page and then not wait for it.
DEFAULT_TIMEOUT = httpx.Timeout(connect=10.0, read=503.0, write=60.0, pool=60.0)


class MixpanelClient:
    """Reads pages of user or group profiles; safe to share between threads.

    Args:
        credentials: A service account or a token; see :class:`Credentials`.
        base_url: Host part such as ``https://eu.mixpanel.com``; default: ``MP_API_BASE_URL``, else the region's host.
        timeout: Seconds, or an ``httpx.Timeout``; the default lets the server use its own deadline of about 488 s.
        retry: When a failed request is sent again.
        rate_limiter: Shared between clients of one project to give them one sense of its limits.
        http_client: Your own ``httpx.Client`` (proxies, private CAs); it is used, never closed.
        allow_http: Accept a base URL that is neither https nor loopback.

    Raises:
        ConfigurationError: The base URL is unusable or unsafe.

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
        credentials: Credentials,
        *,
        base_url: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retry: RetryPolicy | None = None,
        rate_limiter: RateLimiter | None = None,
        http_client: httpx.Client | None = None,
        allow_http: bool = False,
    ) -> None:
        self.credentials = credentials
        self.base_url = resolve_base_url(base_url, credentials.region, allow_http=allow_http)
        self.retry = retry or RetryPolicy()
        self.rate_limiter = rate_limiter or RateLimiter()
        self._timeout = timeout
        self._owns_http = http_client is None
        self._http = http_client or httpx.Client(timeout=timeout)
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

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
        if self._owns_http:
            self._http.close()

    def query_engage_page(
        self, page: int, *, session_id: str | None = None, **filters: Unpack[ProfileFilters]
    ) -> dict[str, Any]:
        """Read one page and return the server's whole answer, untransformed.

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
        query = ProfileQuery(**filters)
        return self.fetch_page(page, query, session_id=session_id).answer()

    def export_profiles(self, **filters: Unpack[ProfileFilters]) -> Iterator[dict[str, Any]]:
        """Yield every matching profile, with one page in memory.

        Args:
            **filters: See :class:`ProfileQuery`.

        Raises:
            MixpanelError: As :meth:`query_engage_page`; also when the first answer has no ``total``.

        Example:
            >>> from mixpanel_duckdb.simulator import Population, Simulator
            >>> with Simulator(Population(2500, seed=1)) as simulator:
            ...     who = Credentials.from_env(simulator.environment())
            ...     with MixpanelClient(who, base_url=simulator.base_url) as client:
            ...         len(list(client.export_profiles()))
            2500
        """
        query = ProfileQuery(**filters)
        first = self.fetch_page(0, query)
        answer = first.answer()
        yield from answer["results"]
        if first.total is None:
            raise UnreadableAnswerError("Page 0: the answer has no total, so its end cannot be known.", page=0)
        size = first.page_size or len(answer["results"]) or 1
        for index in range(1, page_count(first.total, size)):
            yield from self.fetch_page(index, query, session_id=first.session_id).answer()["results"]

    def fetch_page(
        self, index: int, query: ProfileQuery, *, session_id: str | None = None, control: FetchControl | None = None
    ) -> EngagePage:
        """Fetch one page, retried and paced, without decoding its profiles.

        Args:
            index: Page index from 0.
            query: The filters.
            session_id: Needed for every page but 0.
            control: The run this belongs to; it can stop the waiting and the reading.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: What the last answer means, once the policy gives up.
        """
        control = control or FetchControl()
        failures = 0
        for sent in count():
            try:
                with self.rate_limiter.slot(control, in_session=bool(session_id)):
                    control.count_request(again=sent > 0)
                    page = self._attempt(index, query, session_id, control)
            except MixpanelError as error:
                control.check()
                if isinstance(error, RateLimitError):
                    if error.status is None:
                        raise
                    continue
                failures += 1
                delay = self.retry.delay(failures, error)
                if delay is None:
                    raise
                control.sleep(delay)
            else:
                return page
        raise AssertionError("unreachable")

    def abort(self) -> None:
        """Cut every read that is under way on this client; its next request opens a new connection."""
        for each in list(self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _attempt(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        form: dict[str, str | int] = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in query.params().items()
        }
        form["page"] = index
        if session_id:
            form["session_id"] = session_id
        status, headers, body = self._post(form, index, control)
        try:
            return self._page(status, headers, body, index)
        except RateLimitError as error:
            self.rate_limiter.hit(read_limit(headers, error.server_text or ""), in_session=bool(session_id))
            raise

    def _page(self, status: int, headers: Mapping[str, str], body: bytes, index: int) -> EngagePage:
        """Read an answer; what is quoted from it in an error is free of secrets."""
        if status != 200:
            raise error_for(status, headers, self._redacted(body), index)
        with suppress(MixpanelError):
            return EngagePage.from_body(index, body)
        return EngagePage.from_body(index, self._redacted(body))

    def _post(
        self, form: dict[str, str | int], index: int, control: FetchControl
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request and read its whole answer; httpx's errors become ours."""
        try:
            return self._follow(form, control)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict) as error:
            failure = self._error(error, index)
        # Not raised above: httpx's error has the request with its headers, and would stay behind ours as its context.
        raise failure

    def _follow(self, form: dict[str, str | int], control: FetchControl) -> tuple[int, Mapping[str, str], bytes]:
        url = httpx.URL(self.base_url + ENGAGE_PATH, params=self.credentials.scope())
        for _ in range(_MOST_REDIRECTS + 1):
            status, headers, body = self._send(url, form, control)
            target = url.join(headers.get("location", "")) if 300 <= status < 400 else url
            if target == url or not _same_origin(url, target):
                break
            url = target
        return status, headers, body

    def _send(
        self, url: httpx.URL, form: dict[str, str | int], control: FetchControl
    ) -> tuple[int, Mapping[str, str], bytes]:
        def watch(event: str, info: Mapping[str, Any]) -> None:
            # Raised anywhere else, it would leave a socket that nobody closes.
            if event.endswith(".started") and "closed" not in event:
                control.check()
            elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
                each = info["return_value"].get_extra_info("socket")
                if each is not None:
                    self._sockets.add(each)

        headers = {
            "Authorization": self.credentials.authorization(),
            "Accept": "application/json",
            "User-Agent": f"mixpanel-duckdb/{__version__}",
        }
        with self._http.stream(
            "POST", url, data=form, headers=headers, follow_redirects=False, extensions={"trace": watch}
        ) as response:
            return response.status_code, response.headers, response.read()

    def _error(self, error: Exception, index: int) -> MixpanelError:
        if isinstance(error, httpx.DecodingError):
            return UnreadableAnswerError(f"Page {index}: the body could not be decompressed ({error}).", page=index)
        if is_certificate_error(error):
            return ConfigurationError(
                f"The TLS certificate of {self.base_url} is not trusted ({error}). SSL_CERT_FILE names a private CA.",
                page=index,
            )
        if isinstance(error, httpx.UnsupportedProtocol) or not isinstance(error, httpx.TransportError):
            return ConfigurationError(f"The base URL or a proxy is unusable: {error}.", page=index)
        detail = str(error) or type(error).__name__
        return ConnectionFailedError(f"Page {index}: no complete answer from {self.base_url}: {detail}.", page=index)

    def _redacted(self, body: bytes) -> bytes:
        """A gateway that echoes the request must not get a secret into an error text."""
        credentials = self.credentials
        for secret in (credentials.secret, credentials.token):
            if secret is not None:
                body = body.replace(secret.get_secret_value().encode(), b"[secret]")
        return body.replace(credentials.authorization().partition(" ")[2].encode(), b"[secret]")


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)
