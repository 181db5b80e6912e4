"""One stream of events: asked for until it begins, then given line by line, and cut when nobody wants the rest."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..accounts import Signer
from ..errors import RateLimitError, UnreadableAnswerError
from ..http import (
    Download,
    Exchange,
    ExportLimiter,
    FetchControl,
    RetryPolicy,
    Stop,
    Transport,
    read_limit,
    server_words,
)
from .lines import PIECE_BYTES, event_of, whole_lines
from .query import EventQuery

if TYPE_CHECKING:
    import httpx

__all__ = ["EXPORT_PATH", "EventReader"]

EXPORT_PATH = "/api/2.0/export"
_SMALL = 1 << 16


class EventReader:
    """Reads raw events of one project; any thread may call it.

    Args:
        base_url: Host part, already judged safe.
        signer: Who asks.
        timeout: Seconds, or an ``httpx.Timeout``: between two pieces of a stream, too.
        retry: When a request that brought nothing is sent again.
        limiter: When a request may be sent.
        http_client: An ``httpx.Client`` of the caller's.
    """

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        *,
        timeout: float | httpx.Timeout,
        retry: RetryPolicy,
        limiter: ExportLimiter,
        http_client: httpx.Client | None = None,
    ) -> None:
        self.base_url = base_url
        self.limiter: ExportLimiter = limiter
        self._signer = signer
        self._transport = Transport(base_url, signer, timeout=timeout, http_client=http_client)
        self._exchange = Exchange(self._transport, signer, retry=retry, rate_limiter=self.limiter)

    @contextmanager
    def pieces(self, query: EventQuery, control: FetchControl) -> Iterator[Iterator[bytes]]:
        """Ask for events and give them as pieces of whole lines.

        Args:
            query: What is asked for.
            control: The run this belongs to; it can stop the waiting and the reading.

        Raises:
            FetchStopped: The run was stopped.
            RateLimitError: From the pieces: the server says in the place of events that it is asked too often, and
                every worker waits.
            MixpanelError: No stream began, or, from the pieces, it did not end as it should.
        """
        with self._exchange.stream(self._download(query), control) as pieces:
            yield self._whole_lines(pieces, query)

    def events(self, query: EventQuery) -> Generator[dict[str, Any], None, None]:
        """Yield events as dicts.

        Raises:
            MixpanelError: As for :meth:`pieces`; what was yielded before cannot be taken back.
        """
        began = False
        while True:
            try:
                for event in self._events_once(query):
                    began = True
                    yield event
            except RateLimitError:
                if began:
                    raise
            else:
                return

    def _events_once(self, query: EventQuery) -> Iterator[dict[str, Any]]:
        with self._exchange.stream(self._download(query), FetchControl()) as pieces:
            for piece in self._whole_lines(pieces, query, size=_SMALL):
                for line in piece.split(b"\n"):
                    if line.strip():
                        yield _event(line, str(query.days))

    def close(self) -> None:
        """Close the connections, unless the HTTP client is the caller's."""
        self._transport.close()

    def abort(self, run: Stop | None = None) -> None:
        """Cut every read that is under way, or those of one run."""
        self._transport.abort(run)

    def _whole_lines(self, pieces: Iterable[bytes], query: EventQuery, size: int = PIECE_BYTES) -> Iterator[bytes]:
        """Give whole lines; a refusal that stands in their place under status 200 is told to the limiter."""
        try:
            yield from whole_lines(pieces, str(query.days), size=size)
        except UnreadableAnswerError as error:
            hit = read_limit({}, error.server_text or "")
            if hit.kind == "shedding":  # nothing that names a limit
                raise
            self.limiter.hit(hit)
            raise RateLimitError(str(error), kind=hit.kind, status=429, server_text=error.server_text) from error

    def _download(self, query: EventQuery) -> Download:
        # A project's events are the same through any Data View, which the export does not know.
        return Download(EXPORT_PATH, {"project_id": self._signer.project_id, **query.params()}, str(query.days))


def _event(line: bytes, asked: str) -> dict[str, Any]:
    event = event_of(line)
    if event is None:
        words = server_words(line)
        told = f": {words}" if words else ""
        raise UnreadableAnswerError(f"{asked}: a line of the export is no event{told}.", server_text=words or None)
    return event
