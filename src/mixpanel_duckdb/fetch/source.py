"""Where pages come from: our own client, or any object that has ``query_engage_page``.

The fetcher knows a ``PageSource`` only. ``MixpanelClient`` hands it bodies that are never decoded; another client's
dicts are encoded again, so that both store the same rows.
"""

from __future__ import annotations

import uuid
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from ..engage import EngagePage, MixpanelClient, ProfileQuery
from ..errors import ConnectionFailedError, MixpanelError
from ..http import FetchControl, Pause, Stop

__all__ = ["PageSource", "page_source"]


class PageSource(Protocol):
    """Gives pages to several threads at once.

    Attributes:
        project_id: Project that is read, ``""`` if not known; part of what makes two fetches the same.
        host: Base URL that is read from, likewise; a name of its own for a client of which nothing is known.
        data_view: Id of the Data View that is read through, ``""`` if none, likewise.
        account: Who reads, ``""`` if not known, likewise.
    """

    project_id: str
    host: str
    data_view: str
    account: str

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page; blocks, and ends early when the control is stopped."""

    def abort(self, run: Stop) -> None:
        """Cut the reads of a run that are under way."""

    def pause(self) -> Pause | None:
        """The wait for the server's limits that holds all workers now, if any."""


class ClientSource:
    """Pages of our own client, bodies untouched."""

    def __init__(self, client: MixpanelClient) -> None:
        self._client = client
        self.project_id: str = client.credentials.project_id
        self.host: str = client.base_url
        self.data_view: str = client.credentials.scope().get("workspace_id", "")
        self.account: str = client.credentials.account

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page."""
        return self._client.fetch_page(index, query, session_id=session_id, control=control)

    def abort(self, run: Stop) -> None:
        """Cut the reads of a run that are under way."""
        self._client.abort(run)

    def pause(self) -> Pause | None:
        """The wait that holds all workers now, if any."""
        return self._client.rate_limiter.pause


class AnswerSource:
    """Pages of anything with ``query_engage_page(page, *, session_id=None, **filters) -> dict``.

    Its own errors count as failed requests, one for each call: whether to repeat one is its own business. If it asks
    through a client of ours, that belongs to the run: waits end with its stop, and each request counts. One that has
    ``project_id`` and ``base_url`` goes on with its unfinished fetches anywhere; of any other it is not known what it
    reads, so that only the very same object does.
    """

    def __init__(self, client: Any) -> None:
        self._ask = client.query_engage_page
        known = client.credentials if isinstance(client, MixpanelClient) else client
        project, host = getattr(known, "project_id", None), getattr(client, "base_url", None)
        told = isinstance(project, str) and isinstance(host, str)
        self.project_id: str
        self.host: str
        self.data_view: str
        self.account: str
        self.project_id, self.host = (str(project), str(host)) if told else ("", _name_of(client))
        self._ours = client if isinstance(client, MixpanelClient) else None
        ours = self._ours is not None
        self.data_view, self.account = (known.scope().get("workspace_id", ""), known.account) if ours else ("", "")

    def fetch(self, index: int, query: ProfileQuery, session_id: str | None, control: FetchControl) -> EngagePage:
        """Fetch one page; filters that are not set are not passed."""
        control.stop.check()
        given = {name: value for name, value in query.given().items() if value is not None}
        try:
            with control.lent(index):
                answer = self._ask(index, session_id=session_id, **given)
        except MixpanelError:
            raise
        except Exception as error:
            raise ConnectionFailedError(f"Page {index}: {type(error).__name__}: {error}", page=index) from error
        return EngagePage.from_answer(index, answer)

    def abort(self, run: Stop) -> None:
        """Cut the reads of a run, if the connections are ours; of others nothing is known: reads end by themselves."""
        if self._ours is not None:
            self._ours.abort(run)

    def pause(self) -> Pause | None:
        """The wait that holds all workers now, if it is known of any."""
        return self._ours.rate_limiter.pause if self._ours is not None else None


# Names for clients that do not tell what they read, for as long as there is the client.
_NAMES: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _name_of(client: Any) -> str:
    name = f"client-{uuid.uuid4().hex[:12]}"
    try:
        return _NAMES.setdefault(client, name)
    except TypeError:  # it cannot be referred to weakly, or has no hash
        return name


def page_source(client: Any) -> PageSource:
    """Make a source of whatever the caller has.

    Args:
        client: A :class:`MixpanelClient`, or any object with ``query_engage_page``. A subclass that overrides
            that method is asked through it.
    """
    if isinstance(client, MixpanelClient) and type(client).query_engage_page is MixpanelClient.query_engage_page:
        return ClientSource(client)
    return AnswerSource(client)
