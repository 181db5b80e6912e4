"""One request to the Engage API and its whole answer. The only room that imports httpx.

``abort`` is how a run stops a read that may last minutes: closing an httpx client does not wake a thread that is
blocked in ``recv``, so the sockets that httpx's ``trace`` extension shows are shut down instead. Where a transport
shows none (a mock, a custom one), reads end at their own timeout.
"""

from __future__ import annotations

import socket
import threading
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from .._version import __version__
from ..accounts import Signer
from ..errors import ConfigurationError, ConnectionFailedError, MixpanelError, UnreadableAnswerError
from ..text import Secrets
from .answer import REDIRECTS, is_certificate_error
from .body import AnswerBounds, Deadline, gathered, is_gzip, too_large, unpacked
from .control import FetchControl
from .environment import certificate_errors, proxy_for

__all__ = ["DEFAULT_TIMEOUT", "Form", "HttpAnswer", "Transport"]

ENGAGE_PATH = "/api/query/engage"
_MOST_REDIRECTS = 3
_ENDLESS = threading.TIMEOUT_MAX
# Mixpanel's gateway gives a query about 488 s (mixpanel_headless 0.4.0, DEFAULT_QUERY_TIMEOUT_S); a shorter read
# timeout would pay for a page and then not wait for it.
DEFAULT_TIMEOUT = httpx.Timeout(connect=10.0, read=503.0, write=60.0, pool=60.0)

Form = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer as it came.

    Args:
        status: HTTP status.
        headers: Looked up in any case.
        body: Decompressed bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Posts forms to one host with one set of credentials; any thread may call any method.

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
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        if self._owns_http:
            self._http.close()

    def abort(self) -> None:
        """Cut every read that is under way; the next request opens a new connection."""
        for each in list(self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

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
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, zlib.error, UnicodeError) as error:
            failure = self._error(error, index)
        except RuntimeError as error:
            if not self._http.is_closed:
                raise
            failure = ConfigurationError(f"Page {index}: {error} Make a new one.", page=index)
        # Not raised above: httpx's error has the request with its headers, and would stay behind ours as its context.
        raise failure

    def _client(self, timeout: float | httpx.Timeout) -> httpx.Client:
        proxy = proxy_for(self._base_url)
        if proxy is not None:
            parts = urlsplit(proxy)
            self._secrets.hide_account(unquote(parts.username or ""), unquote(parts.password or ""))
        with certificate_errors():
            trusted = httpx.create_ssl_context()
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

        def watch(event: str, info: Mapping[str, Any]) -> None:
            # Raised anywhere else, it would leave a socket that nobody closes.
            if event.endswith(".started") and "closed" not in event:
                control.stop.check()
                deadline.check()
            elif event.endswith(("connect_tcp.complete", "start_tls.complete")):
                each = info["return_value"].get_extra_info("socket")
                if each is not None:
                    self._sockets.add(each)

        custom, authorization = self._credentials.headers(), self._credentials.authorization()
        self._secrets.hide(*custom.values())
        self._secrets.hide_header(authorization)
        headers = httpx.Headers({"User-Agent": f"mixpanel-duckdb/{__version__}"})
        headers.update(custom)
        headers.update({"Authorization": authorization, "Accept": "application/json"})
        with self._http.stream(
            "POST", url, data=form, headers=headers, follow_redirects=False, timeout=self._timeout(),
            extensions={"trace": watch},
        ) as response:  # fmt: skip
            return HttpAnswer(response.status_code, response.headers, self._body(response, deadline, index))

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

    def _error(self, error: Exception, index: int) -> MixpanelError:
        if isinstance(error, httpx.DecodingError | zlib.error):
            return UnreadableAnswerError(f"Page {index}: the body could not be decompressed ({error}).", page=index)
        if is_certificate_error(error):
            return ConfigurationError(
                f"The TLS certificate of {self._base_url} is not trusted ({error}). SSL_CERT_FILE names a private CA.",
                page=index,
            )
        if isinstance(error, httpx.UnsupportedProtocol) or not isinstance(error, httpx.TransportError):
            return ConfigurationError(f"The base URL or a proxy is unusable: {error}.", page=index)
        detail = str(error) or type(error).__name__
        return ConnectionFailedError(f"Page {index}: no complete answer from {self._base_url}: {detail}.", page=index)


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)
