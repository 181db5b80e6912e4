"""The threads of a download, whatever is fetched: fetch threads, the writer behind them, and the queue of what happens.

Enter it, start it, iterate ``events()`` on the caller's thread, and leave it. A plain end comes when everything is
committed; an exception raised inside (Ctrl-C, a callback, a refusal) asks for the stop, cuts the reads under way, lets
the writer commit what is queued, and goes on to the caller once the threads are gone.

Whatever is started here was known before, so that an interrupt at any moment finds it: a thread that comes to life
behind a stop looks at that first, and ends.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from ..errors import FetchStopped, MixpanelError
from ..http import FetchControl, Stop, cut_short
from .writer import Group, PageSink, Sized, Writer

__all__ = ["FetchThreads"]

_TICK = 0.1
_WRITER_PATIENCE = 60.0
_Item = TypeVar("_Item", bound=Sized)
_Group = TypeVar("_Group", bound=Group)
_Receipt = TypeVar("_Receipt")
_Event = TypeVar("_Event")


@dataclass(frozen=True, slots=True)
class _Ended:
    """A thread has ended, by itself or with an error that ends the run."""

    writer: bool
    error: BaseException | None = None


class FetchThreads(ABC, Generic[_Item, _Group, _Receipt, _Event]):
    """Fetch threads and a writer; a context manager, used once.

    Args:
        name: Of the fetch threads.
        workers: Most of them.
        control: Stop of the run.
        sink: Where things go; entered and left on the writer's thread.
        abort: Cuts the reads of a run that are under way.
    """

    def __init__(
        self,
        name: str,
        workers: int,
        control: FetchControl,
        sink: PageSink[_Item, _Group, _Receipt],
        abort: Callable[[Stop], None],
    ) -> None:
        self._workers = workers
        self._control = control
        self._abort = abort
        self._events: queue.SimpleQueue[_Event | _Ended] = queue.SimpleQueue()
        self._writer = Writer(sink, workers * 2, on_written=self._written, on_end=self._writer_ended)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=name)
        # Fetch threads that are at work, and those that were started and have not been heard to end.
        self._idle = threading.Condition()
        self._at_work = 0
        self._started = 0

    @abstractmethod
    def _fetch_next(self) -> bool:
        """On a fetch thread: fetch what comes next; say whether there was anything."""

    @abstractmethod
    def _written(self, item: _Item, receipt: _Receipt) -> None:
        """On the writer's thread: settle what was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        with ExitStack() as last:  # each of these is done even if another interrupt comes in the one before
            last.callback(self._executor.shutdown, wait=False)
            last.callback(self._writer.join, _WRITER_PATIENCE)
            last.callback(self._writer.finish)
            if exc_type is not None:
                last.callback(cut_short, self._control.stop, self._abort, self.still_at_work)
            last.callback(self._executor.shutdown, wait=exc_type is None, cancel_futures=True)
            if exc_type is not None:
                self._control.stop.ask()

    def start(self) -> None:
        """Start the writer, and as many fetch threads as there is work for."""
        self._writer.start()
        self._start_workers(self._workers)

    def events(self) -> Iterator[_Event | None]:
        """Yield what happens, and ``None`` whenever a tenth of a second passed without news.

        Raises:
            BaseException: What ended a thread: a refusal of the server, a storage error.
        """
        while True:
            try:
                event = self._events.get(timeout=_TICK)
            except queue.Empty:
                yield None
                continue
            if not isinstance(event, _Ended):
                yield event
                continue
            if event.error is not None:
                raise event.error
            if event.writer:
                return
            self._started -= 1
            if not self._started:
                self._writer.finish()

    def still_at_work(self, seconds: float) -> bool:
        """Wait at most so many seconds for the fetch threads and say whether one is left."""
        with self._idle:
            return not self._idle.wait_for(lambda: not self._at_work, seconds)

    def _start_workers(self, number: int) -> None:
        for _ in range(number):
            try:
                self._executor.submit(self._work)
            except RuntimeError as error:
                if self._started:  # those that have begun do the work
                    return
                if "shutdown" in str(error):  # a run on another thread while the interpreter ends
                    raise FetchStopped("The interpreter is ending: no request can be sent any more.") from None
                raise MixpanelError(f"No thread can be started: {error}.") from error
            self._started += 1

    def _work(self) -> None:
        """A fetch thread: fetch and hand over, until nothing is left."""
        error: BaseException | None = None
        with self._idle:
            self._at_work += 1
        try:
            while self._fetch_next():
                pass
        except BaseException as caught:  # noqa: BLE001 - raised again on the caller's thread
            error = caught
        self._events.put(_Ended(writer=False, error=error))
        with self._idle:
            self._at_work -= 1
            self._idle.notify_all()

    def _writer_ended(self, error: BaseException | None) -> None:
        self._events.put(_Ended(writer=True, error=error))
