"""The accounts of the ``mixpanel-headless`` SDK: its ``Workspace`` or ``Session`` wherever credentials go.

An account of the SDK becomes a ``Signer``. Of the SDK only public names are used, and nothing of it is imported before
one of its objects, or one of its account names, is given; never its command-line package, which installs a signal
handler. Its objects are known by their class and its module, or by having the attributes that are needed.

Tokens are the SDK's business: where they are kept, whether they have run out, how they are refreshed. Its resolver has
no lock, so threads that find a token run out at the same time would each spend the refresh token; here they take turns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Protocol, cast

from ..errors import ConnectionFailedError, CredentialsError, MixpanelError
from ..process import ProcessLock
from .credentials import HOSTS, Credentials, Region, Signer, account_of
from .headless_sdk import SDK, details_of, imported, incompatible, needed, sentence

__all__ = ["AnyCredentials", "HeadlessSession", "HeadlessWorkspace", "signer_for"]

_FLAWLESS = re.compile(r"[!-~]+( [!-~]+)*")
# What says how this very message is sent and signed is never another's to say.
_OURS = {"authorization", "content-type", "content-length", "transfer-encoding"}
_SIGNING = {"Workspace", "Session"}
# Of the process, not of an account: several clients may share the tokens of one account on disk.
_TURN = ProcessLock()


class HeadlessSession(Protocol):
    """The public names of the SDK's ``Session`` that are used."""

    @property
    def project_id(self) -> str:
        """Numeric id of the project, as text."""

    @property
    def region(self) -> Region:
        """Where the project's data lives."""

    @property
    def workspace_id(self) -> int | None:
        """Data View to read through."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the user's own, sent with every request."""

    def auth_header(self, *, token_resolver: Any) -> str:
        """Give the value of the ``Authorization`` header."""


class HeadlessWorkspace(Protocol):
    """The public name of the SDK's ``Workspace`` that is used."""

    @property
    def session(self) -> Any:
        """The ``Session`` it works in."""


AnyCredentials = Credentials | HeadlessWorkspace | HeadlessSession


def signer_for(credentials: AnyCredentials) -> Signer:
    """Find who signs the requests.

    Args:
        credentials: ``Credentials``, or a ``Workspace`` or ``Session`` of ``mixpanel-headless``.

    Raises:
        CredentialsError: It is none of these.
        ConfigurationError: The SDK is not installed, or lacks a name that is needed.

    Example:
        >>> signer_for(Credentials(token="abc", project_id="42")).scope()
        {'project_id': '42'}
    """
    if isinstance(credentials, Credentials | HeadlessSigner):  # the latter from another client
        return credentials
    is_session = hasattr(credentials, "auth_header")
    like_one = hasattr(credentials, "session") or (is_session and hasattr(credentials, "project_id"))
    if not isinstance(credentials, type) and (like_one or _signs(credentials)):
        return HeadlessSigner(credentials if is_session else needed(credentials, "session"))
    raise CredentialsError(
        f"A {type(credentials).__name__} cannot sign requests; give mixpanel_duckdb.Credentials, or a Workspace or "
        "Session of mixpanel-headless."
    )


class HeadlessSigner:
    """An account, project and Data View of the SDK, as they were when this was made.

    Args:
        session: A ``Session``.

    Raises:
        ConfigurationError: The SDK is not installed, or lacks a name that is needed.
    """

    renews: ClassVar[bool] = True

    def __init__(self, session: Any) -> None:
        self._header = needed(session, "auth_header")
        self.project_id: str = str(needed(session, "project_id"))
        region = needed(session, "region")
        if region not in HOSTS:
            raise incompatible(f"the region {region!r} is none of {', '.join(HOSTS)}")
        self.region = cast("Region", region)
        # Its name stays when its tokens are renewed; without one, one account is not told from another.
        name = getattr(getattr(session, "account", None), "name", "")
        self.account: str = account_of(str(name)) if name else ""
        view = needed(session, "workspace_id")
        self.workspace_id: str | None = None if view is None else str(view)
        self._headers = {
            str(name): str(value) for name, value in needed(session, "headers").items() if name.lower() not in _OURS
        }
        if not all(_FLAWLESS.fullmatch(text) for text in (*self._headers, *self._headers.values())):
            raise CredentialsError("A custom header of mixpanel-headless is empty or cannot be sent over HTTP.")
        self._resolver = imported(f"{SDK}.auth_types", "OnDiskTokenResolver")()
        self._failed_at = float("-inf")
        self._failure: MixpanelError = CredentialsError("")

    def __repr__(self) -> str:
        return (
            f"HeadlessSigner(project_id={self.project_id!r}, region={self.region!r}, "
            f"workspace_id={self.workspace_id!r})"
        )

    def authorization(self) -> str:
        """Ask the SDK for the header; a token that has run out is refreshed, by one thread for all.

        Raises:
            CredentialsError: The SDK has no usable token.
            ConnectionFailedError: It could not reach the server that refreshes tokens.
        """
        asked = time.monotonic()
        with _TURN.lock:
            if self._failed_at >= asked:  # of those who waited for one refresh, none tries it again
                raise copy(self._failure)
            try:
                header = self._header(token_resolver=self._resolver)
            except Exception as error:  # noqa: BLE001 - the SDK's own errors, which it may extend
                failure = _without_token(error)
            else:
                return _checked(header)
            self._failed_at, self._failure = time.monotonic(), failure
        raise failure  # not above, where the SDK's error with all its details would stay behind it

    def headers(self) -> Mapping[str, str]:
        """Give the session's custom headers."""
        return self._headers

    def scope(self) -> dict[str, str]:
        """Give the URL parameters that say which project, and which Data View, is read."""
        view = {"workspace_id": self.workspace_id} if self.workspace_id else {}
        return {"project_id": self.project_id, **view}


def _checked(header: object) -> str:
    if not isinstance(header, str) or not _FLAWLESS.fullmatch(header):
        raise CredentialsError("The account's secret is empty or holds characters that no HTTP header can carry.")
    return header


def _without_token(error: Exception) -> MixpanelError:
    if isinstance(error, TypeError | AttributeError):
        return incompatible(f"Session.auth_header(token_resolver=) fails with {type(error).__name__}")
    text = f"mixpanel-headless: {sentence(error)}"
    unreachable = type(error.__cause__).__module__.partition(".")[0] in {"httpx", "httpcore"}
    status = details_of(error).get("status_code")
    if unreachable or (isinstance(status, int) and status >= 500):
        return ConnectionFailedError(text)
    return CredentialsError(text)


def _signs(thing: object) -> bool:
    """Whether it is the SDK's class for this, even if a version of it lacks what is needed."""
    return any(each.__module__.partition(".")[0] == SDK and each.__name__ in _SIGNING for each in type(thing).__mro__)
