"""What is known of fetches: their pages and runs, who writes them now, and the queries of the last hour.

Tables ``_mixpanel_*`` beside the profiles. What a run did comes in, in the transaction that did it; records for resume,
``status`` and timelines go out. Called by the rest of ``store``; others see records only.

=============  =======================================================================
``schema``     the tables, and how older ones are brought up to date
``tables``     ``Journal``: what is read from them and written to them
``records``    what is said of one fetch
``history``    how a fetch went, for its timeline
``holdings``   what each published table holds
``ownership``  which run of this process may write a fetch
``differences``  sessions whose profiles are not as many as the server said
``quota``      the queries of the last hour
=============  =======================================================================
"""

from .differences import Difference, note_difference
from .history import FetchHistory, PageHistory, RunHistory, history_of
from .holdings import forget_holdings, hold, holdings_of
from .ownership import Claim
from .quota import count_queries, queries_last_hour
from .records import FetchRecord, FetchSpec, OddRows, OpenFetch, Unfinished, the_unfinished
from .schema import HOLDINGS, PAGES, PREFIX, QUERIES
from .tables import Journal, own_fetch

__all__ = [
    "HOLDINGS",
    "PAGES",
    "PREFIX",
    "QUERIES",
    "Claim",
    "Difference",
    "FetchHistory",
    "FetchRecord",
    "FetchSpec",
    "Journal",
    "OddRows",
    "OpenFetch",
    "PageHistory",
    "RunHistory",
    "Unfinished",
    "count_queries",
    "forget_holdings",
    "history_of",
    "hold",
    "holdings_of",
    "note_difference",
    "own_fetch",
    "queries_last_hour",
    "the_unfinished",
]
