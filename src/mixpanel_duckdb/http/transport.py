"""One request and its answer: whole, or as it comes. The only module that imports httpx.

``abort`` is how a run stops a read that may last minutes: the connections that carry its requests are shut down. Of
those that httpx does not show (a mock's, a custom transport's, those that an HTTP client of the caller's had made
before) reads end at their own timeout, and so does a connection that is being made.
"""

from __future__ import annotations

import ssl
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from .._version import __version__
from ..accounts import Signer
from ..errors import ConfigurationError, ConnectionFailedError, MixpanelError, UnreadableAnswerError
from ..text import Secrets
from .answer import REDIRECTS, is_certificate_error, page_of, subject
from .body import AnswerBounds, Deadline, gathered, is_gzip, too_large, unpacked, unpacked_as_it_comes
from .connections import CONNECTIONS
from .control import FetchControl
from .environment import certificate_errors, proxy_for
from .messages import Download, Form, HttpAnswer, HttpStream
from .stop import Stop

__all__ = ["DEFAULT_TIMEOUT", "Transport"]

ENGAGE_PATH = "/api/query/engage"
_MOST_REDIRECTS = 3
_ENDLESS = threading.TIMEOUT_MAX
# Mixpanel's gateway gives a query about 488 s (mixpanel_headless 0.4.0, DEFAULT_QUERY_TIMEOUT_S); a shorter read
# timeout would pay for a page and then not wait for it.
DEFAULT_TIMEOUT = httpx.Timeout(connect=10.0, read=503.0, write=60.0, pool=60.0)

_FAILURES = (
    httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, zlib.error, UnicodeError, RuntimeError
)  # fmt: skip


class Transport:
    """Asks one host with one set of credentials; any thread may call any method.

    Args:
        base_url: Host part, already judged safe.
        credentials: Asked for its headers at each request, which no text may show from then on.
        timeout: Seconds, or an ``httpx.Timeout``; for a client made here.
        http_client: An ``httpx.Client`` of the caller's; used, never closed.
        bounds: How large an answer may be, and how long it may take.

    Raises:
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Signer,
        *,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        http_client: httpx.Client | None = None,
        bounds: AnswerBounds | None = None,
    ) -> None:
        self._bounds = bounds or AnswerBounds()
        self._base_url = base_url
        self._credentials = credentials
        self._owns_http = http_client is None
        self._secrets = Secrets()
        self._http = http_client or self._client(timeout)
        # A name for what is asked for through this object; the object itself would keep its connections alive.
        self._mine = object()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        if self._owns_http:
            self._http.close()

    def abort(self, run: Stop | None = None) -> None:
        """Cut every read that is under way; the next request opens a new connection.

        Args:
            run: Whose reads; ``None`` for all.
        """
        CONNECTIONS.cut(self._mine, run)

    def post(self, form: Form, index: int, control: FetchControl) -> HttpAnswer:
        """Send one request and read its whole answer; httpx's errors become ours.

        Args:
            form: Fields of the form.
            index: Page that is asked for, for the errors.
            control: The run; its stop keeps a connection from being opened.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: No complete answer came back.
        """
        try:
            return self._follow(form, index, control)
        except _FAILURES as error:
            failure = self._failure(error, index)
        # Not raised above: httpx's error has the request with its headers, and would stay behind ours as its context.
        raise failure

    @contextmanager
    def opened(self, download: Download, control: FetchControl) -> Iterator[HttpStream]:
        """Send one request and read its answer as it comes, however long that takes; it is cut where the block ends.

        Args:
            download: What is asked for.
            control: The run; its stop keeps a connection from being opened.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: No answer came back; or, from the pieces, it broke off.
        """
        with ExitStack() as held:
            try:
                stream = held.enter_context(self._begun(download, control))
            except _FAILURES as error:
                failure: MixpanelError | None = self._failure(error, download.asked)
            else:
                failure = None
            if failure is not None:
                raise failure
            yield stream

    @contextmanager
    def _begun(self, download: Download, control: FetchControl) -> Iterator[HttpStream]:
        url = httpx.URL(self._base_url + download.path, params=dict(download.params))
        for _ in range(_MOST_REDIRECTS + 1):
            with self._request("GET", url, Deadline(_ENDLESS, 0), control, self._http.timeout) as response:
                target = url.join(response.headers.get("location", "")) if response.status_code in REDIRECTS else url
                if target == url or not _same_origin(url, target):
                    yield HttpStream(response.status_code, response.headers, self._pieces(response, download.asked))
                    return
            url = target
        raise ConnectionFailedError(f"{download.asked}: redirected more than {_MOST_REDIRECTS} times.")

    def _pieces(self, response: httpx.Response, asked: str) -> Iterator[bytes]:
        """Give the bytes of a body as they come, decompressed to the end of the last trailer."""
        times = is_gzip(response.headers.get("Content-Encoding", ""))
        try:
            if response.is_stream_consumed:  # by a hook of the caller's HTTP client
                yield response.read()
                return
            pieces: Iterable[bytes] = response.iter_bytes() if times is None else response.iter_raw()
            for _ in range(times or 0):
                pieces = unpacked_as_it_comes(pieces)
            yield from pieces
        except _FAILURES as error:
            failure = self._failure(error, asked)
        else:
            return
        raise failure

    def _failure(self, error: Exception, asked: int | str) -> MixpanelError:
        """Make our error of httpx's.

        Raises:
            RuntimeError: It is none of httpx's.
        """
        if isinstance(error, RuntimeError):
            if not self._http.is_closed:
                raise error
            return ConfigurationError(f"{subject(asked)}: {error} Make a new one.", page=page_of(asked))
        return self._error(error, asked)

    def _client(self, timeout: float | httpx.Timeout) -> httpx.Client:
        proxy = proxy_for(self._base_url)
        if proxy is not None:
            parts = urlsplit(proxy)
            self._secrets.hide_account(unquote(parts.username or ""), unquote(parts.password or ""))
        with certificate_errors() as those:
            trusted = _trusted(those)
        return httpx.Client(timeout=timeout, proxy=proxy, verify=trusted, trust_env=False)

    def _follow(self, form: Form, index: int, control: FetchControl) -> HttpAnswer:
        url = httpx.URL(self._base_url + ENGAGE_PATH, params=self._credentials.scope())
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._send(url, form, index, control)
            target = url.join(answer.headers.get("location", "")) if answer.status in REDIRECTS else url
            if target == url or not _same_origin(url, target):
                break
            url = target
        return answer

    def _send(self, url: httpx.URL, form: Form, index: int, control: FetchControl) -> HttpAnswer:
        deadline = Deadline(self._bounds.timeout, index)
        with self._request("POST", url, deadline, control, self._timeout(), form) as response:
            return HttpAnswer(response.status_code, response.headers, self._body(response, deadline, index))

    @contextmanager
    def _request(
        self, method: str, url: httpx.URL, deadline: Deadline, control: FetchControl, timeout: httpx.Timeout,
        form: Form | None = None,
    ) -> Iterator[httpx.Response]:  # fmt: skip
        """Send one request; in the block its body can be read."""
        told = threading.Event()

        def watch(event: str, info: Mapping[str, Any]) -> None:
            # Raised anywhere else, it would leave a socket that nobody closes.
            if event.endswith(".started") and "closed" not in event:
                control.stop.check()
                deadline.check()
                if event.endswith("send_request_headers.started") and not told.is_set():
                    told.set()
                    control.meter.reached()
            elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
                CONNECTIONS.know(info["return_value"])

        custom, authorization = self._credentials.headers(), self._credentials.authorization()
        self._secrets.hide(*custom.values())
        self._secrets.hide_header(authorization)
        headers = httpx.Headers({"User-Agent": f"mixpanel-duckdb/{__version__}"})
        headers.update(custom)
        accept = "application/json" if form is not None else "text/plain"
        headers.update({"Authorization": authorization, "Accept": accept})
        sent = self._http.stream(
            method, url, data=form, headers=headers, follow_redirects=False, timeout=timeout,
            extensions={"trace": watch},
        )  # fmt: skip
        with CONNECTIONS.used_by(self._mine, control.stop), sent as response:
            if not told.is_set():  # a transport of the caller's, which shows nothing
                control.meter.reached()
            yield response

    def _timeout(self) -> httpx.Timeout:
        """The client's own, none of them longer than the whole answer may take; a socket takes no endless figure."""
        most, own = self._bounds.timeout, self._http.timeout.as_dict()
        least = {name: most if value is None else min(most, value) for name, value in own.items()}
        return httpx.Timeout(**{name: value if value < _ENDLESS else None for name, value in least.items()})

    def _body(self, response: httpx.Response, deadline: Deadline, index: int) -> bytes:
        """Read a whole body and decompress it; a hook of the caller's HTTP client may have read it before."""
        times = is_gzip(response.headers.get("Content-Encoding", ""))
        if response.is_stream_consumed:
            body = response.read()
            if len(body) > self._bounds.max_body_bytes:
                raise too_large(self._bounds, index)
            return body
        chunks = response.iter_bytes() if times is None else response.iter_raw()
        body = gathered(chunks, self._bounds, deadline, index)
        for _ in range(times or 0):
            body = unpacked(body, self._bounds, index)
        return body

    def _error(self, error: Exception, asked: int | str) -> MixpanelError:
        about, page = subject(asked), page_of(asked)
        if isinstance(error, httpx.DecodingError | zlib.error):
            return UnreadableAnswerError(f"{about}: the body could not be decompressed ({error}).", page=page)
        if is_certificate_error(error):
            return ConfigurationError(
                f"The TLS certificate of {self._base_url} is not trusted ({error}). SSL_CERT_FILE names a private CA.",
                page=page,
            )
        if isinstance(error, httpx.UnsupportedProtocol) or not isinstance(error, httpx.TransportError):
            return ConfigurationError(f"The base URL or a proxy is unusable: {error}.", page=page)
        detail = str(error) or type(error).__name__
        failed = ConnectionFailedError(f"{about}: no complete answer from {self._base_url}: {detail}.", page=page)
        failed.reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        failed.away = isinstance(error, httpx.NetworkError) or not failed.reached
        return failed


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


@lru_cache(maxsize=1)
def _trusted(_: tuple[object, ...]) -> ssl.SSLContext:
    """Read the certificates that are trusted, for all clients: it takes longer than all else that makes one."""
    return httpx.create_ssl_context()
