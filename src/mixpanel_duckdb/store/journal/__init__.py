"""What is known of fetches: their pages and runs, who writes them now, and the queries of the last hour.

Tables ``_mixpanel_*`` beside the profiles. What a run did comes in, in the transaction that did it; records for resume,
``status`` and timelines go out. Called by the rest of ``store``; others see records only.

=============  =======================================================================
``tables``     ``Journal``: the tables themselves, read and written
``records``    what is said of one fetch
``history``    how a fetch went, for its timeline
``ownership``  which run of this process may write a fetch
``quota``      the queries of the last hour
=============  =======================================================================
"""

from .history import FetchHistory, PageHistory, RunHistory, history_of
from .ownership import Claim
from .quota import count_queries, queries_last_hour
from .records import DIFFERENT, FetchRecord, FetchSpec, OddRows, OpenFetch
from .tables import PAGES, PREFIX, Journal, own_fetch

__all__ = [
    "DIFFERENT",
    "PAGES",
    "PREFIX",
    "Claim",
    "FetchHistory",
    "FetchRecord",
    "FetchSpec",
    "Journal",
    "OddRows",
    "OpenFetch",
    "PageHistory",
    "RunHistory",
    "count_queries",
    "history_of",
    "own_fetch",
    "queries_last_hour",
]
