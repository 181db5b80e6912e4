"""One request and its whole answer, and when the next may go: a 429 is handled here, and so is a retry.

Called by ``engage`` (and whoever else asks the server). A form comes in; the decompressed bytes of an answer go out, or
the error that it means. The room knows statuses, headers and sockets, and nothing of profiles.

===============  ==============================================================================
``exchange``     one request and its answer, however many times it is sent
``messages``     a form and its answer, a download and what comes of it
``transport``    one request sent, its answer read; the only module that imports httpx
``connections``  whose answer each connection carries: what a run can cut
``environment``  proxies and certificates that the environment names
``body``         its bytes gathered and decompressed, within bounds of size and time
``answer``       from a status and a text to the error that they mean
``refusal``      what a 429 says: which limit tripped, and how long it asks to wait
``rate_limit``   who may send now: at most five in flight, one pause for all after a 429
``pace``         the same for the raw export, whose hour is kept before anything is refused
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
from .messages import Download, Form, HttpAnswer, HttpStream
from .meter import Meter
from .pace import EXPORT_QUOTA, MOST_EXPORTS, USUAL_EXPORTS, ExportLimiter
from .rate_limit import HOURLY_QUOTA, MAX_IN_FLIGHT, Pause, RateLimiter, capped_workers
from .refusal import read_limit
from .retry import RetryPolicy
from .stop import Stop, cut_short
from .trace import Arrival, Step, Trace, steps_from, steps_text, utc_now
from .transport import DEFAULT_TIMEOUT, Transport

__all__ = [
    "ANSWER_TIMEOUT",
    "DEFAULT_TIMEOUT",
    "EXPORT_QUOTA",
    "HOURLY_QUOTA",
    "MAX_BODY_BYTES",
    "MAX_IN_FLIGHT",
    "MOST_EXPORTS",
    "USUAL_EXPORTS",
    "AnswerBounds",
    "Arrival",
    "Download",
    "Exchange",
    "ExportLimiter",
    "FetchControl",
    "Form",
    "HttpAnswer",
    "HttpStream",
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
    "read_limit",
    "server_words",
    "steps_from",
    "steps_text",
    "utc_now",
]
