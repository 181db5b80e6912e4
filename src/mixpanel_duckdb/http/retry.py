"""Whether a failed request is sent again, and after how long: a pure decision, made from (attempt, error).

Waiting happens elsewhere. A 429 never comes here: waiting for a limit is not a failure (see ``rate_limit``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from ..arguments import check
from ..errors import EngageError, MixpanelError

__all__ = ["RetryPolicy"]

# More would only leave the range of a float.
_MOST_DOUBLINGS = 100


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter, for errors that another try may cure.

    The default gives a page up after four to eight seconds of waiting; a run tries such pages once more at its end,
    so a page that keeps failing costs well under a minute in all.

    Args:
        attempts: Most requests for one page in one round, at least 1.
        first_delay: Seconds before the second request; doubled for each further one.
        longest_delay: Most seconds between two requests.
        jitter: Fraction of the delay that is drawn at random, 0 to 1.
        draw: Gives a number in [0, 1); replaceable for tests.

    Raises:
        ConfigurationError: One of these is out of its bounds; a delay is a day at most.

    Example:
        >>> from mixpanel_duckdb import ServerError
        >>> policy = RetryPolicy(jitter=0.0)
        >>> [policy.delay(attempt, ServerError("500")) for attempt in (1, 2, 5)]
        [0.5, 1.0, None]
    """

    attempts: int = 5
    first_delay: float = 0.5
    longest_delay: float = 30.0
    jitter: float = 0.5
    draw: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        check({each.name: getattr(self, each.name) for each in fields(self)})

    def delay(self, attempt: int, error: MixpanelError) -> float | None:
        """Decide about the next request.

        Args:
            attempt: Number of requests made so far for this page, from 1.
            error: What the last one ended in.

        Returns:
            Seconds to wait before the next request, or ``None`` to give up.
        """
        if not error.retryable or attempt >= self.attempts:
            return None
        backoff = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        backoff *= 1.0 - self.jitter * self.draw()
        asked = error.retry_after if isinstance(error, EngageError) else None
        return max(backoff, min(asked or 0.0, self.longest_delay))
