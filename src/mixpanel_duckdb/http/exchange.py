"""One form and its answer, however many requests it takes: each is paced, and repeated as the retry policy says.

A 429 is no failure: it is told to the rate limiter, which holds every worker back, and the form is sent again. A 401
may mean that a token has just run out: whoever can bring another one is asked for it, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ..accounts import Signer
from ..errors import MixpanelError, RateLimitError
from .control import FetchControl
from .rate_limit import RateLimiter
from .refusal import read_limit
from .retry import RetryPolicy
from .transport import Form, HttpAnswer, Transport

__all__ = ["Exchange"]

_Outcome = TypeVar("_Outcome")


class Exchange:
    """Sends forms through one transport; any thread may call it.

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
        failures, renewed = 0, False
        while True:
            try:
                with self._limiter.slot(control, in_session=in_session):
                    control.sent(page)
                    return self._once(form, read, page, in_session, control)
            except MixpanelError as error:
                control.stop.check()
                control.trace.failed(error)
                if isinstance(error, RateLimitError):
                    if error.gave_up:
                        error.page = page
                        raise
                    continue
                if error.status == 401 and self._signer.renews and not renewed:
                    renewed = True
                    continue
                failures += 1
                delay = self._retry.delay(failures, error)
                if delay is None:
                    raise
                self._back_off(delay, control)

    def _once(
        self, form: Form, read: Callable[[HttpAnswer], _Outcome], page: int, in_session: bool, control: FetchControl
    ) -> _Outcome:
        answer = self._transport.post(form, page, control)
        try:
            return read(answer)
        except RateLimitError as error:
            self._limiter.hit(read_limit(answer.headers, error.server_text or ""), in_session=in_session)
            raise

    @staticmethod
    def _back_off(seconds: float, control: FetchControl) -> None:
        start = time.monotonic()
        try:
            control.stop.sleep(seconds)
        finally:
            control.trace.waited("backoff", start, time.monotonic())
