"""One request and its whole answer, and when the next may go: a 429 is handled here, and so is a retry.

Called by ``engage`` (and whoever else asks the server). A form comes in; the decompressed bytes of an answer go out, or
the error that it means. The room knows statuses, headers and sockets, and nothing of profiles.

===============  ==============================================================================
``exchange``     one form and its answer, however many requests it takes
``transport``    one request posted, its answer read; the only module that imports httpx
``environment``  proxies and certificates that the environment names
``body``         its bytes gathered and decompressed, within bounds of size and time
``answer``       from a status and a text to the error that they mean
``refusal``      what a 429 says: which limit tripped, and how long it asks to wait
``rate_limit``   who may send now: at most five in flight, one pause for all after a 429
``retry``        whether a failed request is sent again, and after how long
``control``      what a run hands to its threads: the three below
``stop``         a flag that wakes whoever waits
``meter``        requests and waits that were spent
``trace``        what was tried and waited for, page by page, for the journal
===============  ==============================================================================
"""

from .answer import error_for, error_words, server_words
from .body import ANSWER_TIMEOUT, MAX_BODY_BYTES, AnswerBounds
from .control import FetchControl
from .exchange import Exchange
from .meter import Meter
from .rate_limit import HOURLY_QUOTA, MAX_IN_FLIGHT, Pause, RateLimiter, capped_workers
from .retry import RetryPolicy
from .stop import Stop, cut_short
from .trace import Arrival, Step, Trace, steps_from, steps_text, utc_now
from .transport import DEFAULT_TIMEOUT, Form, HttpAnswer, Transport

__all__ = [
    "ANSWER_TIMEOUT",
    "DEFAULT_TIMEOUT",
    "HOURLY_QUOTA",
    "MAX_BODY_BYTES",
    "MAX_IN_FLIGHT",
    "AnswerBounds",
    "Arrival",
    "Exchange",
    "FetchControl",
    "Form",
    "HttpAnswer",
    "Meter",
    "Pause",
    "RateLimiter",
    "RetryPolicy",
    "Step",
    "Stop",
    "Trace",
    "Transport",
    "capped_workers",
    "cut_short",
    "error_for",
    "error_words",
    "server_words",
    "steps_from",
    "steps_text",
    "utc_now",
]
