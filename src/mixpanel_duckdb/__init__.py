"""Every user and group profile of a Mixpanel project in a DuckDB table: complete and proven so.

::

    import mixpanel_duckdb as md

    result = md.fetch_profiles("mixpanel.duckdb")     # table "profiles"; credentials from the environment
    result.df()

How a page becomes rows, from room to room: ``accounts`` says who asks; ``http`` posts one request, and again as retries
and limits allow; ``engage`` makes a page of its answer; ``store`` makes rows of the page and, once all are there, the
table. ``fetch`` drives this with its threads and its queue; ``results`` has what is told of it, ``display`` shows it,
``timeline`` draws it afterwards. ``api`` has the one-call forms, ``cli`` the command, ``integrations`` the loaders;
``arguments``, ``errors``, ``text``, ``process`` and ``extras`` serve all, and ``simulator`` is a server to try it on.
"""

from ._version import __version__
from .accounts import Credentials
from .api import FetchEstimate, fetch_profiles, fetch_timeline, list_fetches, plan_fetch
from .engage import MixpanelClient, ProfileQuery
from .errors import (
    ConfigurationError,
    ConnectionFailedError,
    CredentialsError,
    DatabaseLockedError,
    EngageError,
    FetchStopped,
    IncompleteFetchError,
    MixpanelError,
    QueryError,
    RateLimitError,
    RequestRejectedError,
    ServerError,
    SessionLostError,
    StorageError,
    TableExistsError,
    UnreadableAnswerError,
    UnsuitableFileError,
    UnsuitableTableError,
)
from .fetch import ParallelProfileFetcher
from .http import RateLimiter, RetryPolicy
from .results import (
    ExportedTable,
    FetchObserver,
    FetchPlan,
    ParallelProfileFetchResult,
    ProfileBatchProgress,
    SilentObserver,
    TypedColumn,
    TypedColumns,
    export_table,
    type_columns,
)
from .store import FetchRecord, ProfileStore
from .timeline import Timeline

__all__ = [
    "ConfigurationError",
    "ConnectionFailedError",
    "Credentials",
    "CredentialsError",
    "DatabaseLockedError",
    "EngageError",
    "ExportedTable",
    "FetchEstimate",
    "FetchObserver",
    "FetchPlan",
    "FetchRecord",
    "FetchStopped",
    "IncompleteFetchError",
    "MixpanelClient",
    "MixpanelError",
    "ParallelProfileFetchResult",
    "ParallelProfileFetcher",
    "ProfileBatchProgress",
    "ProfileQuery",
    "ProfileStore",
    "QueryError",
    "RateLimitError",
    "RateLimiter",
    "RequestRejectedError",
    "RetryPolicy",
    "ServerError",
    "SessionLostError",
    "SilentObserver",
    "StorageError",
    "TableExistsError",
    "Timeline",
    "TypedColumn",
    "TypedColumns",
    "UnreadableAnswerError",
    "UnsuitableFileError",
    "UnsuitableTableError",
    "__version__",
    "export_table",
    "fetch_profiles",
    "fetch_timeline",
    "list_fetches",
    "plan_fetch",
    "type_columns",
]
