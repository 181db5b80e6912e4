"""Server-side results: page 0 opens one, later pages are read from it by its id."""

from __future__ import annotations

import random
import secrets
import string
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .behaviour import Behaviour
from .pages import Page, View
from .query import Query, RefusedError


@dataclass(slots=True, eq=False)
class Session:
    """One cached result. `live` and `pages_read` are touched under the lock of `Sessions` only."""

    session_id: str
    query: Query
    view: View
    page_size: int
    order: list[int] | None
    born: float
    pages_read: int = 0
    live: list[bytes] = field(default_factory=list)

    def block(self, page: int) -> int | None:
        """Which block of the view a page number means; None past the end."""
        if page >= self.view.blocks(self.page_size):
            return None
        return page if self.order is None else self.order[page]

    def rows(self, page: int) -> list[bytes]:
        """The rows of any page of this session."""
        block = self.block(page)
        return [] if block is None else self.view.block(block, self.page_size)


class Sessions:
    """All live sessions by id. Any thread may call it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._lock = threading.Lock()
        self._rng = random.Random(behaviour.seed)  # noqa: S311
        self._by_id: dict[str, Session] = {}

    def open(self, query: Query, view: View, page_size: int) -> Session:
        """A new session over a result."""
        with self._lock:
            session_id = self._new_id()
            order = self._order(view.blocks(page_size), len(view.rows) % page_size != 0)
            session = Session(session_id, query, view, page_size, order, time.monotonic())
            if self._behaviour.snapshot == "live":
                session.live = list(view.rows)
            self._by_id[session_id] = session
            return session

    def find(self, session_id: str, query: Query) -> Session:
        """
        The session that holds the result of this query.

        Raises:
            RefusedError: It is unknown, expired, or belongs to other parameters.
        """
        with self._lock:
            session = self._by_id.get(session_id)
        lifetime = self._behaviour.session_lifetime
        expired = session is not None and lifetime is not None and time.monotonic() - session.born > lifetime
        if session is None or expired or session.query.key != query.key or not query.cacheable:
            raise RefusedError(self._behaviour.uncached_text, self._behaviour.uncached_status)
        return session

    def canonical(self, session_id: str | None) -> str | None:
        """The id that page 0 gave, for any later id of the same session."""
        session = self._by_id.get(session_id or "")
        return session.session_id if session else session_id

    def answer_id(self, session: Session) -> str:
        """The id to put into an answer: the session's own, or a fresh one of equal right."""
        if not self._behaviour.rotate_session_ids:
            return session.session_id
        with self._lock:
            fresh = self._new_id()
            self._by_id[fresh] = session
            return fresh

    def live_rows(self, session: Session, page: int, current: Callable[[], View]) -> Sequence[bytes]:
        """The rows of the result as they are now: edits that are due are made first."""
        view = current()
        with self._lock:
            if view is not session.view:
                session.view, session.live = view, list(view.rows)
            if page > 0:
                session.pages_read += 1
                for edit in self._behaviour.edits:
                    if edit.before == session.pages_read:
                        edit.apply(session.live)
            return list(session.live)

    def forget(self, session_id: str | None) -> None:
        """Lose one session, whichever of its ids is given."""
        lost = self._by_id.get(session_id or "")
        with self._lock:
            self._by_id = {key: session for key, session in self._by_id.items() if session is not lost}

    def forget_all(self) -> None:
        """Lose all sessions."""
        with self._lock:
            self._by_id = {}

    def _new_id(self) -> str:
        # Never from the seed: two simulators of one second must not know each other's sessions.
        letters = "".join(secrets.choice(string.ascii_letters) for _ in range(6))
        return f"{int(time.time())}-{letters}"

    def _order(self, blocks: int, last_is_short: bool) -> list[int] | None:
        if self._behaviour.order == "fixed" or self._behaviour.snapshot == "live":
            return None
        full = list(range(blocks - last_is_short))
        self._rng.shuffle(full)
        return full + list(range(len(full), blocks))


def page_of(session: Session, page: int, behaviour: Behaviour, *, page_sent: bool, session_id: str) -> Page:
    """A page of a frozen session with the fields that the switches leave in."""
    block = session.block(page)
    total = _total(len(session.view.rows), page, behaviour, page_sent)
    return Page(
        number=page + behaviour.page_echo_offset,
        size=session.page_size if _has_page_size(page, behaviour) else None,
        session_id=None if block is None and page > 0 and not behaviour.past_end_session_id else session_id,
        total=total,
        block_size=session.page_size,
        view=session.view,
        block=block,
    )


def live_page(page: Page, rows: Sequence[bytes], number: int, behaviour: Behaviour, page_sent: bool) -> Page:
    """The same page cut from the rows as they are now."""
    start = number * page.block_size
    return Page(
        page.number,
        page.size,
        page.session_id,
        _total(len(rows), number, behaviour, page_sent),
        page.block_size,
        rows=list(rows[start : start + page.block_size]),
    )


def _has_page_size(page: int, behaviour: Behaviour) -> bool:
    return behaviour.page_size_field == "every_page" or (behaviour.page_size_field == "page0" and page == 0)


def _total(count: int, page: int, behaviour: Behaviour, page_sent: bool) -> int | None:
    shown = {
        "page0": count if page == 0 else None,
        "every_page": count,
        "never": None,
        "unless_page_sent": None if page_sent else count,
        "drifting": count + page,
    }
    return shown[behaviour.total]
