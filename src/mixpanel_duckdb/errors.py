"""The error tree: one root, every branch a decision that a caller can take.

::

    MixpanelError
    ├── ConfigurationError          missing or contradictory settings            exit 3
    │   ├── CredentialsError        401, 403, 407, or missing in the environment exit 3
    │   └── MissingExtraError       a package is not installed (also ImportError) exit 3
    ├── QueryError                  the query cannot be asked (also ValueError)  exit 2
    ├── EngageError                 an answer that is not a page                 exit 1
    │   ├── RequestRejectedError    400 (exit 2), 402, 404: the server's own words
    │   │   └── SessionLostError    the server no longer knows the session
    │   ├── RateLimitError          429, or a wait longer than allowed           exit 4
    │   ├── ServerError             5xx, and what may pass: 408, 409, 423
    │   ├── UnreadableAnswerError   cut, not JSON, not a page
    │   └── ConnectionFailedError   nothing came back: refused, reset, timed out
    ├── StorageError                DuckDB could not read or write               exit 5
    │   ├── TableExistsError        an existing table and no choice              exit 2
    │   ├── UnsuitableTableError    no such table, or not one for this           exit 2
    │   ├── UnsuitableFileError     a file that exists, or of no known format    exit 2
    │   └── DatabaseLockedError     another process or run holds it
    ├── IncompleteFetchError        raised by ``result.raise_for_failures()``    exit 4
    └── FetchStopped                a stop was asked for while waiting

No error carries a credential, or a control character: whatever its text is made of passes the gate of ``text``.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .text import one_line

__all__ = [
    "ConfigurationError",
    "ConnectionFailedError",
    "CredentialsError",
    "DatabaseLockedError",
    "EngageError",
    "FetchStopped",
    "IncompleteFetchError",
    "MissingExtraError",
    "MixpanelError",
    "QueryError",
    "RateLimitError",
    "RequestRejectedError",
    "ServerError",
    "SessionLostError",
    "StorageError",
    "TableExistsError",
    "UnreadableAnswerError",
    "UnsuitableFileError",
    "UnsuitableTableError",
]

_LONGEST_MESSAGE = 4_000
_LONGEST_SERVER_TEXT = 500


class MixpanelError(Exception):
    """Root of everything this package raises on purpose.

    Attributes:
        code: A stable, machine-readable name of the kind.
        retryable: Whether the same request may succeed when it is sent again.
        status: HTTP status of the answer, if there was one.
        server_text: What the server said, shortened to 500 characters.
        page: Index of the page that was asked for, if any.

    Example:
        >>> MixpanelError("no answer", page=3).to_dict()["page"]
        3
    """

    code: ClassVar[str] = "mixpanel_error"
    retryable: ClassVar[bool] = False
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        server_text: str | None = None,
        page: int | None = None,
    ) -> None:
        super().__init__(one_line(str(message), _LONGEST_MESSAGE))
        self.status = status
        self.server_text: str | None = one_line(server_text, _LONGEST_SERVER_TEXT) if server_text else server_text
        self.page = page

    def __reduce__(self) -> tuple[Any, ...]:
        # As Exception does it, but without another __init__: some make their text of other arguments.
        return _made_again, (type(self), self.args), self.__dict__

    def to_dict(self) -> dict[str, Any]:
        """Give the error as plain values, ready for JSON.

        Returns:
            ``code``, ``message``, ``retryable``, ``status``, ``server_text`` and ``page``.
        """
        return {
            "code": self.code,
            "message": str(self),
            "retryable": self.retryable,
            "status": self.status,
            "server_text": self.server_text,
            "page": self.page,
        }


def _made_again(kind: type[MixpanelError], args: tuple[Any, ...]) -> MixpanelError:
    return kind.__new__(kind, *args)


class ConfigurationError(MixpanelError):
    """A setting is missing, contradictory or unsafe."""

    code = "configuration"
    exit_code = 3


class CredentialsError(ConfigurationError):
    """Credentials are missing, or the server refused them."""

    code = "credentials"


class MissingExtraError(ConfigurationError, ImportError):
    """A package that an extra of this one brings is not installed."""

    code = "missing_extra"


class QueryError(MixpanelError, ValueError):
    """The query breaks a rule of the Engage API; nothing was sent."""

    code = "query"
    exit_code = 2


class EngageError(MixpanelError):
    """The server's answer is not the page that was asked for.

    Attributes:
        retry_after: Seconds the server asks to wait, if it said so.
    """

    code = "engage"

    def __init__(self, message: str, *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.retry_after = retry_after

    def to_dict(self) -> dict[str, Any]:
        """Give the error as plain values, ``retry_after`` among them."""
        return {**super().to_dict(), "retry_after": self.retry_after}


class RequestRejectedError(EngageError):
    """The server refuses the request itself (400, 402, 404); sending it again is no use.

    A 400 in the API's own form means a filter that it does not accept: exit code 2, as for any other wrong filter.
    """

    code = "request_rejected"


class SessionLostError(RequestRejectedError):
    """The server no longer knows the session of this run."""

    code = "session_lost"


class RateLimitError(EngageError):
    """The server's limits were reached and the wait for them is longer than allowed.

    Attributes:
        kind: ``"quota"``, ``"concurrency"`` or ``"shedding"``.
        gave_up: Whether the server asked for a longer wait than the run may take; nothing was sent any more.
    """

    code = "rate_limit"
    retryable = True
    exit_code = 4

    def __init__(self, message: str, *, kind: str = "shedding", gave_up: bool = False, **where: Any) -> None:
        super().__init__(message, **where)
        self.kind = kind
        self.gave_up = gave_up

    def to_dict(self) -> dict[str, Any]:
        """Give the error as plain values, ``retry_after`` and ``kind`` among them."""
        return {**super().to_dict(), "kind": self.kind}


class ServerError(EngageError):
    """The server failed (5xx), or refused in a way that may pass (408, 409, 421, 423, 425, 449, 499)."""

    code = "server"
    retryable = True


class UnreadableAnswerError(EngageError):
    """A body that is cut, is not JSON, or is not a page of profiles."""

    code = "unreadable_answer"
    retryable = True


class ConnectionFailedError(EngageError):
    """No complete answer came back: refused, reset, timed out.

    Attributes:
        reached: Whether a connection stood, so that the server may have counted the request.
        away: Whether it was refused or reset, neither silent nor cut in its answer: the server may be away.
    """

    code = "connection"
    retryable = True
    reached: bool = True
    away: bool = False


class StorageError(MixpanelError):
    """DuckDB could not read or write."""

    code = "storage"
    exit_code = 5


class TableExistsError(StorageError):
    """The table is there and nothing says whether to replace it or to merge into it."""

    code = "table_exists"
    exit_code = 2

    def __init__(self, table: str) -> None:
        super().__init__(
            f"Table {table!r} already exists. Choose if_exists='replace' (--replace) to swap it once the new "
            f"one is complete, or if_exists='merge' (--merge) to update it; nothing was requested."
        )
        self.table = table


class UnsuitableTableError(StorageError):
    """A table that was named is not there, or is not one that this can be done with."""

    code = "unsuitable_table"
    exit_code = 2


class UnsuitableFileError(StorageError):
    """A file that was named exists already, tells no format, or has no folder to be in."""

    code = "unsuitable_file"
    exit_code = 2


class DatabaseLockedError(StorageError):
    """Another process has the database open, or another run writes the same table."""

    code = "database_locked"


class IncompleteFetchError(MixpanelError):
    """The fetch ended without every profile; running it again goes on from there."""

    code = "incomplete"
    retryable = True
    exit_code = 4


class FetchStopped(MixpanelError):  # noqa: N818 - a request that was honoured, not a fault
    """A wait or a request was cut short because the run is being stopped."""

    code = "stopped"
