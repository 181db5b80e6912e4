"""Every user and group profile of a Mixpanel project in a DuckDB table: complete and proven so.

::

    import mixpanel_duckdb as md

    result = md.fetch_profiles("mixpanel.duckdb")     # table "profiles"; credentials from the environment
    result.df()

How a page becomes rows, from room to room: ``accounts`` says who asks; ``http`` posts one request, and again as retries
and limits allow; ``engage`` makes a page of its answer; ``store`` makes rows of the page and, once all are there, the
table. ``fetch`` drives this with its threads and its queue; ``results`` has what is told of it, ``display`` shows it,
``timeline`` draws it afterwards. ``api`` has the one-call forms, ``jobs`` many of them at once, ``cli`` the command,
``integrations`` the loaders; ``arguments``, ``errors``, ``text``, ``process`` and ``extras`` serve all, and
``simulator`` is a server to try it on.
"""

from typing import TYPE_CHECKING

from ._lazy import lazily
from ._version import __version__

if TYPE_CHECKING:
    from .accounts import Credentials
    from .api import (
        EventEstimate,
        FetchEstimate,
        afetch_events,
        afetch_profiles,
        changes,
        fetch_events,
        fetch_profiles,
        fetch_timeline,
        forget_fetches,
        list_event_tables,
        list_fetches,
        plan_events,
        plan_fetch,
        publish_fetch,
    )
    from .engage import MixpanelClient, PageSizing, ProfileQuery
    from .errors import (
        ConfigurationError,
        ConnectionFailedError,
        CredentialsError,
        DatabaseLockedError,
        EngageError,
        FetchStopped,
        IncompleteFetchError,
        MissingExtraError,
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
    from .fetch import ParallelEventFetcher, ParallelProfileFetcher
    from .http import RateLimiter, RetryPolicy
    from .jobs import JobOutcome, SyncReport, sync
    from .results import (
        BatchProgress,
        ExportedTable,
        FetchObserver,
        FetchPlan,
        ParallelFetchResult,
        ParallelProfileFetchResult,
        ProfileBatchProgress,
        SilentObserver,
        TypedColumn,
        TypedColumns,
        export_table,
        type_columns,
        type_events,
    )
    from .store import EventTable, FetchRecord, ProfileChange, ProfileStore, Target
    from .timeline import Timeline
else:  # instant: a name brings its room when it is first used
    _ROOMS = {
        ".accounts": "Credentials",
        ".api": (
            "EventEstimate FetchEstimate afetch_events afetch_profiles changes fetch_events fetch_profiles "
            "fetch_timeline forget_fetches list_event_tables list_fetches plan_events plan_fetch publish_fetch"
        ),
        ".engage": "MixpanelClient PageSizing ProfileQuery",
        ".errors": (
            "ConfigurationError ConnectionFailedError CredentialsError DatabaseLockedError EngageError "
            "FetchStopped IncompleteFetchError MissingExtraError MixpanelError QueryError RateLimitError "
            "RequestRejectedError ServerError SessionLostError StorageError TableExistsError "
            "UnreadableAnswerError UnsuitableFileError UnsuitableTableError"
        ),
        ".fetch": "ParallelEventFetcher ParallelProfileFetcher",
        ".http": "RateLimiter RetryPolicy",
        ".jobs": "JobOutcome SyncReport sync",
        ".results": (
            "BatchProgress ExportedTable FetchObserver FetchPlan ParallelFetchResult ParallelProfileFetchResult "
            "ProfileBatchProgress SilentObserver TypedColumn TypedColumns export_table type_columns "
            "type_events"
        ),
        ".store": "EventTable FetchRecord ProfileChange ProfileStore Target",
        ".timeline": "Timeline",
    }
    __getattr__ = lazily(__name__, _ROOMS)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "BatchProgress",
    "ConfigurationError",
    "ConnectionFailedError",
    "Credentials",
    "CredentialsError",
    "DatabaseLockedError",
    "EngageError",
    "EventEstimate",
    "EventTable",
    "ExportedTable",
    "FetchEstimate",
    "FetchObserver",
    "FetchPlan",
    "FetchRecord",
    "FetchStopped",
    "IncompleteFetchError",
    "JobOutcome",
    "MissingExtraError",
    "MixpanelClient",
    "MixpanelError",
    "PageSizing",
    "ParallelEventFetcher",
    "ParallelFetchResult",
    "ParallelProfileFetchResult",
    "ParallelProfileFetcher",
    "ProfileBatchProgress",
    "ProfileChange",
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
    "SyncReport",
    "TableExistsError",
    "Target",
    "Timeline",
    "TypedColumn",
    "TypedColumns",
    "UnreadableAnswerError",
    "UnsuitableFileError",
    "UnsuitableTableError",
    "__version__",
    "afetch_events",
    "afetch_profiles",
    "changes",
    "export_table",
    "fetch_events",
    "fetch_profiles",
    "fetch_timeline",
    "forget_fetches",
    "list_event_tables",
    "list_fetches",
    "plan_events",
    "plan_fetch",
    "publish_fetch",
    "sync",
    "type_columns",
    "type_events",
]
