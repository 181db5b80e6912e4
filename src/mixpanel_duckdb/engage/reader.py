"""One page, however many requests it takes: each attempt is paced, and repeated as the retry policy says.

An attempt posts a form and turns what comes back into a page or into the error that it means. A 429 is no failure: it
is told to the rate limiter, which holds every worker back, and the page is asked for again. A 401 may mean that a token
has just run out: whoever can bring another one is asked for it, once.
"""

from __future__ import annotations

from contextlib import suppress

from ..accounts import Signer
from ..errors import MixpanelError, RateLimitError
from ..http import FetchControl, Form, HttpAnswer, RateLimiter, RetryPolicy, Transport, error_for, read_limit
from .page import EngagePage
from .query import ProfileQuery

__all__ = ["PageReader"]


class PageReader:
    """Reads pages through one transport; any thread may call it.

    Args:
        transport: Sends a request.
        credentials: Whose secrets are kept out of error texts.
        retry: When a failed request is sent again.
        rate_limiter: When one may be sent.
    """

    def __init__(
        self, transport: Transport, credentials: Signer, *, retry: RetryPolicy, rate_limiter: RateLimiter
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._retry = retry
        self._limiter = rate_limiter

    def read(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Read one page, retried and paced, without decoding its profiles.

        Args:
            index: Page index from 0.
            query: The filters.
            session_id: Needed for every page but 0.
            control: The run this belongs to; it can stop the waiting and the reading.

        Raises:
            FetchStopped: The run was stopped.
            MixpanelError: What the last answer means, once the policy gives up.
        """
        failures, renewed = 0, False
        while True:
            try:
                with self._limiter.slot(control, in_session=bool(session_id)):
                    control.count_request(index)
                    page = self._attempt(index, query, session_id, control)
            except MixpanelError as error:
                control.check()
                control.trace.failed(error)
                if isinstance(error, RateLimitError):
                    if error.gave_up:
                        error.page = index
                        raise
                    continue
                if error.status == 401 and self._credentials.renews and not renewed:
                    renewed = True
                    continue
                failures += 1
                delay = self._retry.delay(failures, error)
                if delay is None:
                    raise
                control.sleep(delay)
            else:
                return page

    def _attempt(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        answer = self._transport.post(_form(index, query, session_id), index, control)
        try:
            return self._page(answer, index)
        except RateLimitError as error:
            self._limiter.hit(read_limit(answer.headers, error.server_text or ""), in_session=bool(session_id))
            raise

    def _page(self, answer: HttpAnswer, index: int) -> EngagePage:
        """Read an answer; a gateway that echoes the request must not get a secret into an error text."""
        redacted = self._credentials.redacted
        if answer.status != 200:
            raise error_for(answer.status, answer.headers, redacted(answer.body), index)
        with suppress(MixpanelError):
            return EngagePage.from_body(index, answer.body)
        return EngagePage.from_body(index, redacted(answer.body))


def _form(index: int, query: ProfileQuery, session_id: str | None) -> Form:
    form: dict[str, str | int] = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in query.params().items()
    }
    form["page"] = index
    if session_id:
        form["session_id"] = session_id
    return form
