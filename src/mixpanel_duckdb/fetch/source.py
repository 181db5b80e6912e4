"""Where pages come from: our own client, or any object that has ``query_engage_page``.

The fetcher knows a ``PageSource`` only. ``MixpanelClient`` hands it bodies that are never decoded; another client's
dicts are encoded again, so that both store the same rows.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..engage import EngagePage, MixpanelClient, ProfileQuery
from ..errors import ConnectionFailedError, MixpanelError
from ..http import FetchControl, Pause

__all__ = ["PageSource", "page_source"]


class PageSource(Protocol):
    """Gives pages to several threads at once.

    Attributes:
        project_id: Project that is read, ``""`` if not known; part of what makes two fetches the same.
        host: Base URL that is read from, likewise.
        data_view: Id of the Data View that is read through, ``""`` if none, likewise.
    """

    project_id: str
    host: str
    data_view: str

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page; blocks, and ends early when the control is stopped."""

    def abort(self) -> None:
        """Cut the reads that are under way."""

    def pause(self) -> Pause | None:
        """The wait for the server's limits that holds all workers now, if any."""


class ClientSource:
    """Pages of our own client, bodies untouched."""

    def __init__(self, client: MixpanelClient) -> None:
        self._client = client
        self.project_id = client.credentials.project_id
        self.host = client.base_url
        self.data_view = client.credentials.scope().get("workspace_id", "")

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page."""
        return self._client.fetch_page(index, query, session_id=session_id, control=control)

    def abort(self) -> None:
        """Cut the reads that are under way."""
        self._client.abort()

    def pause(self) -> Pause | None:
        """The wait that holds all workers now, if any."""
        return self._client.rate_limiter.pause


class AnswerSource:
    """Pages of anything with ``query_engage_page(page, *, session_id=None, **filters) -> dict``.

    Its own errors count as failed requests, one for each call: whether to repeat one is its own business.
    """

    project_id = ""
    host = ""
    data_view = ""

    def __init__(self, client: Any) -> None:
        self._ask = client.query_engage_page

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page; filters that are not set are not passed."""
        control.stop.check()
        control.sent(index)
        try:
            answer = self._ask(index, session_id=session_id, **query.given())
        except MixpanelError:
            raise
        except Exception as error:
            raise ConnectionFailedError(f"Page {index}: {type(error).__name__}: {error}", page=index) from error
        return EngagePage.from_answer(index, answer)

    def abort(self) -> None:
        """Nothing is known of its connections: reads end by themselves."""

    def pause(self) -> Pause | None:
        """Nothing is known of its waits."""
        return None


def page_source(client: Any) -> PageSource:
    """Make a source of whatever the caller has.

    Args:
        client: A :class:`MixpanelClient`, or any object with ``query_engage_page``. A subclass that overrides
            that method is asked through it.
    """
    if isinstance(client, MixpanelClient) and type(client).query_engage_page is MixpanelClient.query_engage_page:
        return ClientSource(client)
    return AnswerSource(client)
