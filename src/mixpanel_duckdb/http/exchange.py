"""One request and its answer, however many times it takes: each is paced, and repeated as the retry policy says.

A 429 is no failure: it is told to the rate limiter, which holds every worker back, and the form is sent again. A 401
may mean that a token has just run out: whoever can bring another one is asked for it, once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from ..accounts import Signer
from ..errors import MixpanelError, RateLimitError
from .answer import error_for, page_of, subject
from .control import FetchControl
from .messages import Download, Form, HttpAnswer, HttpStream
from .rate_limit import RateLimiter
from .refusal import read_limit
from .retry import RetryPolicy
from .transport import Transport

__all__ = ["Exchange"]

_log = logging.getLogger("mixpanel_duckdb")
_Outcome = TypeVar("_Outcome")
_MOST_OF_AN_ERROR = 1 << 20


class Exchange:
    """Sends requests through one transport; any thread may call it.

    Args:
        transport: Sends a request.
        signer: Asked for another header after a 401, if it can bring one.
        retry: When a failed request is sent again.
        rate_limiter: When one may be sent.
    """

    def __init__(self, transport: Transport, signer: Signer, *, retry: RetryPolicy, rate_limiter: RateLimiter) -> None:
        self._transport = transport
        self._signer = signer
        self._retry = retry
        self._limiter = rate_limiter

    def ask(
        self,
        form: Form,
        read: Callable[[HttpAnswer], _Outcome],
        *,
        page: int,
        in_session: bool,
        control: FetchControl,
    ) -> _Outcome:
        """Send a form until its answer can be read, or not any more.

        Args:
            form: Fields of the form.
            read: Turns an answer into what it holds, or raises the error that it means.
            page: Page that is asked for, for the errors and the counts.
            in_session: Whether the form names a session.
            control: The run this belongs to; it can stop the waiting and the reading.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: What the last answer means, once the policy gives up.
        """
        return self._until_it_works(lambda: self._once(form, read, page, in_session, control), page, control)

    @contextmanager
    def stream(self, download: Download, control: FetchControl) -> Iterator[Iterator[bytes]]:
        """Send a request until an answer begins, and give that as it comes: what breaks it off is raised from there.

        Args:
            download: What is asked for.
            control: The run this belongs to; it can stop the waiting and the reading.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: What the last answer means, once the policy gives up.
        """
        with ExitStack() as held:
            yield self._until_it_works(lambda: self._begun(download, control, held), download.asked, control)

    def _begun(self, download: Download, control: FetchControl, held: ExitStack) -> Iterator[bytes]:
        with ExitStack() as attempt:
            attempt.enter_context(self._limiter.slot(control))
            control.sent(download.asked)
            answer: HttpStream = attempt.enter_context(self._transport.opened(download, control))
            if answer.status != 200:
                error = error_for(answer.status, answer.headers, _beginning(answer.pieces), download.asked)
                if isinstance(error, RateLimitError):
                    self._limiter.hit(read_limit(answer.headers, error.server_text or ""))
                raise error
            held.push(attempt.pop_all())
            return answer.pieces

    def _until_it_works(self, work: Callable[[], _Outcome], asked: int | str, control: FetchControl) -> _Outcome:
        failures, renewed = 0, False
        while True:
            try:
                return work()
            except MixpanelError as error:
                control.stop.check()
                control.trace.failed(error)
                if isinstance(error, RateLimitError):
                    if error.gave_up:
                        error.page = page_of(asked)
                        raise
                    continue
                if error.status == 401 and self._signer.renews and not renewed:
                    renewed = True
                    continue
                failures += 1
                delay = self._retry.delay(failures, error)
                if delay is None or control.enough(error):
                    raise
                self._back_off(delay, asked, control)

    def _once(
        self, form: Form, read: Callable[[HttpAnswer], _Outcome], page: int, in_session: bool, control: FetchControl
    ) -> _Outcome:
        with self._limiter.slot(control, in_session=in_session):
            control.sent(page)
            answer = self._transport.post(form, page, control)
            try:
                return read(answer)
            except RateLimitError as error:
                self._limiter.hit(read_limit(answer.headers, error.server_text or ""), in_session=in_session)
                raise

    @staticmethod
    def _back_off(seconds: float, asked: int | str, control: FetchControl) -> None:
        about = subject(asked)
        _log.info("Waiting %.1f s before %s is asked for again.", seconds, about[0].lower() + about[1:])
        start = time.monotonic()
        try:
            control.stop.sleep(seconds)
        finally:
            control.trace.waited("backoff", start, time.monotonic())


def _beginning(pieces: Iterator[bytes]) -> bytes:
    """As much of a body as an error can say."""
    body = b""
    while len(body) < _MOST_OF_AN_ERROR and (piece := next(pieces, b"")):
        body += piece
    return body
