"""A clock that nobody waits for: the package's own threads take turns, and time goes on when all of them wait.

Inside ``World.running()`` a run of the package goes as it always does, with its plan, its rate limiter, its retries and
its journal. What is exchanged is what waits: the fetch threads are started here and run one at a time, a wait is given
up at once, and whoever drives the run (its caller, while it looks for news) says when the next wait is over. What takes
an hour there takes milliseconds, and comes out the same each time.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from mixpanel_duckdb.http import Stop
from mixpanel_duckdb.store.pages.stage import PageReceipt

__all__ = ["World"]

_PACKAGE = "mixpanel_duckdb"
# Seconds: less would be lost where time is added up.
_INSTANT = 1e-4
_TELLS_TIME = ("http.meter", "http.exchange", "http.trace", "http.rate_limit", "fetch.run", "fetch.telling")
_TELLS_DATE = ("http.trace", "store.journal.tables", "store.journal.quota")


class _Actor:
    """A fetch thread: it runs while it has the turn, and gives that back with what it waits for."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.waits_for: tuple[float | None, int] | None = None  # until when, and where
        self.ended = False
        self._work = work
        self._turn, self._given = threading.Lock(), threading.Lock()  # held by nobody: given from thread to thread
        self._turn.acquire()
        self._given.acquire()
        self._thread = threading.Thread(target=self._run, name="mp-fetch-page_0")
        self._thread.start()

    def _run(self) -> None:
        self._turn.acquire()
        self._work()
        self.ended, self.waits_for = True, None
        self._given.release()
        # the thread ends by itself

    @property
    def is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def go(self) -> bool:
        """Let it run to its next wait; say whether it came any further."""
        before = self.waits_for
        self._turn.release()
        self._given.acquire()
        if self.ended:
            self._thread.join()
        return self.ended or self.waits_for != before

    def give(self, until: float | None, where: int) -> None:
        """Wait, on its own thread."""
        self.waits_for = until, where
        self._given.release()
        self._turn.acquire()


class World:
    """Time, and the threads that live in it.

    Args:
        start: The date at second 0.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = 0.0
        self._start = start
        self._actors: list[_Actor] = []

    def monotonic(self) -> float:
        return self.now

    def utc_now(self) -> datetime:
        return (self._start + timedelta(seconds=self.now)).replace(tzinfo=None)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the thread that calls."""
        actor = self._current()
        if actor is None:
            self.now += seconds
            return
        until = self.now + seconds
        while self.now < until and not self._hurrying:
            actor.give(until, 0)

    def step(self) -> bool:
        """Let everybody come as far as possible, or else time pass; say whether anything happened."""
        moved = False
        for actor in list(self._actors):
            due = actor.waits_for is None or actor.waits_for[0] is None or actor.waits_for[0] <= self.now
            if due or actor.waits_for[1] or self._hurrying:  # type: ignore[index]
                moved |= actor.go()
        self._actors = [actor for actor in self._actors if not actor.ended]
        if moved:
            return True
        waits = [actor.waits_for[0] for actor in self._actors if actor.waits_for and actor.waits_for[0] is not None]
        later = [until for until in waits if until > self.now]
        if not later:
            return False
        self.now = min(later)
        return True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Exchange what waits and what tells the time."""
        time = SimpleNamespace(monotonic=self.monotonic, time=lambda: self._start.timestamp() + self.now)
        with ExitStack() as stack:
            for module in _TELLS_TIME:
                stack.enter_context(patch(f"{_PACKAGE}.{module}.time", time))
            for module in _TELLS_DATE:
                stack.enter_context(patch(f"{_PACKAGE}.{module}.utc_now", self.utc_now))
            stack.enter_context(patch(f"{_PACKAGE}.store.journal.records.datetime", self._dates()))
            stack.enter_context(patch.object(Stop, "wait", self._waiting(Stop.wait)))
            stack.enter_context(patch.object(Stop, "sleep", self._sleeping(Stop.sleep)))
            threads = f"{_PACKAGE}.fetch.threads"
            news = SimpleNamespace(SimpleQueue=lambda: _News(self), Empty=queue.Empty)
            stack.enter_context(patch(f"{threads}.queue", news))
            stack.enter_context(patch(f"{threads}.ThreadPoolExecutor", lambda *_, **__: _Threads(self)))
            stack.enter_context(patch(f"{threads}.Writer", _WriterOnTheSpot))
            yield

    def _dates(self) -> type[datetime]:
        """Give a ``datetime`` whose now is this world's."""

        class Dates(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return self.utc_now().replace(tzinfo=UTC).astimezone(tz)

        return Dates

    def add(self, work: Callable[[], None]) -> None:
        self._actors.append(_Actor(work))

    def all_end(self) -> None:
        """Let no wait last any longer."""
        self._hurrying = True
        try:
            while self._actors:
                self.step()
        finally:
            self._hurrying = False

    _hurrying = False

    def _current(self) -> _Actor | None:
        return next((actor for actor in self._actors if actor.is_current), None)

    def _waiting(self, usual: Callable[..., None]) -> Callable[..., None]:
        def wait(stop: Stop, condition: threading.Condition, seconds: float | None = None) -> None:
            actor = self._current()
            if actor is None:
                usual(stop, condition, seconds)
            elif not stop.asked:
                until = None if seconds is None else self.now + max(seconds, _INSTANT)
                condition.release()
                try:
                    actor.give(until, id(condition))
                finally:
                    condition.acquire()

        return wait

    def _sleeping(self, usual: Callable[..., None]) -> Callable[..., None]:
        def sleep(stop: Stop, seconds: float) -> None:
            if self._current() is None:
                usual(stop, seconds)
                return
            self.sleep(seconds)
            stop.check()

        return sleep


class _News:
    """What the caller looks for: while there is nothing, it lets time pass."""

    def __init__(self, world: World) -> None:
        self._world, self._items = world, deque[Any]()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, timeout: float) -> Any:
        while not self._items:
            assert self._world.step(), "everybody waits, and for nothing"
        return self._items.popleft()


class _Threads:
    """An executor whose threads live in a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def submit(self, work: Callable[[], None]) -> None:
        self._world.add(work)

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        self._world.all_end()


class _WriterOnTheSpot:
    """A writer that stores each page as it is put; what it stores is the sink's business."""

    def __init__(self, sink: Any, _: int, *, on_written: Callable[..., None], on_end: Callable[..., None]) -> None:
        self._sink, self._on_written, self._on_end = sink, on_written, on_end

    def start(self) -> None:
        """There is no thread."""

    def put(self, write: Any) -> bool:
        self._sink.store(write)
        self._on_written(write, PageReceipt(write.page.index, write.expected_rows or 0))
        return True

    def finish(self) -> None:
        on_end, self._on_end = self._on_end, lambda _: None
        on_end(None)

    def join(self, _: float) -> bool:
        return True
