"""The streams of one fetch of events: which days are asked for, and what becomes of them.

The threads are those of ``threads``. A fetch thread puts the pieces of its stream into the queue as they come; a last
piece says whether the stream was whole.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace

from ..engage import MixpanelClient
from ..errors import FetchStopped, MixpanelError, RateLimitError, RequestRejectedError
from ..events import EventQuery
from ..http import Arrival, FetchControl, utc_now
from ..store import EventGroup, EventIngest, EventPiece, EventReceipt, PageHistory
from .event_plan import Batch, EventPlan
from .threads import FetchThreads

__all__ = ["BatchNews", "EventDownload"]

_log = logging.getLogger("mixpanel_duckdb")
# What the server says of a day that has not begun where the project is.
_NOT_YET = "cannot be later than today"


@dataclass(frozen=True, slots=True)
class BatchNews:
    """What became of a request: its days and, if they are stored, what is in them.

    Args:
        batch: The days.
        receipt: What is stored of them.
        problem: Why nothing is.
        again: Whether they are asked for once more.
        not_yet: How many days were left out because they have not begun; ``None`` in any other case.
    """

    batch: Batch
    receipt: EventReceipt | None = None
    problem: str | None = None
    again: bool = False
    not_yet: int | None = None


class EventDownload(FetchThreads[EventPiece, EventGroup, EventReceipt, BatchNews]):
    """Fetches the days of a plan into a table; a context manager, used once.

    Args:
        client: Reads the streams.
        query: What is asked for, whatever the days.
        plan: The days.
        control: Stop and counts of the run.
        sink: Stores streams; entered and left on the writer's thread.
        workers: Streams at a time.
    """

    def __init__(
        self,
        client: MixpanelClient,
        query: EventQuery,
        plan: EventPlan,
        control: FetchControl,
        sink: EventIngest,
        workers: int,
    ) -> None:
        super().__init__("mp-fetch-events", workers, control, sink, client.event_reader.abort)
        self._reader = client.event_reader
        self._query = query
        self._plan = plan
        self._numbers = itertools.count(1)
        self._streams: dict[int, Batch] = {}
        # What a picture of the run is made of: the days of each stream, when it came, and those that nothing came of.
        self._asked: dict[int, Batch] = {}
        self._arrived: dict[int, Arrival] = {}
        self._stored: list[PageHistory] = []
        self._given_up: set[int] = set()

    def _fetch_next(self) -> bool:
        batch = self._plan.take(self._control)
        if batch is not None:
            self._fetch(batch)
        return batch is not None

    def _fetch(self, batch: Batch) -> None:
        """Read one stream into the queue; its fate is known when its last piece is written."""
        number = next(self._numbers)
        self._streams[number] = self._asked[number] = batch
        self._control.trace.take(number)
        piece = EventPiece(number, batch.days.first, batch.days.last, utc_now())
        try:
            with self._reader.pieces(replace(self._query, days=batch.days), self._control) as pieces:
                taken, rows = True, 0
                for text in pieces:
                    rows += text.count(b"\n")
                    if not (taken := self._writer.put(replace(piece, text=text))):
                        break
            self._arrived[number] = self._control.trace.arrived(number)
            if taken:
                self._plan.arrived(batch, rows)
                taken = self._writer.put(replace(piece, ends=True))
            if not taken:
                self._plan.give_up("the writer has ended")
        except MixpanelError as error:
            self._writer.put(replace(piece, broken=True))
            self._tell_trace(error)
            self._control.stop.check()
            if self._streams.pop(number, None) is not None:
                self._failed(number, batch, error)

    def _tell_trace(self, error: MixpanelError) -> None:
        """Note how a request ended: what a stop has cut says something else."""
        try:
            self._control.stop.check()
        except FetchStopped as stopped:
            error = stopped
        self._control.trace.failed(error)

    def _failed(self, number: int, batch: Batch, error: MixpanelError) -> None:
        if isinstance(error, RequestRejectedError) and _NOT_YET in (error.server_text or ""):
            self._events.put(BatchNews(batch, not_yet=self._plan.without(batch, utc_now().date())))
            return
        if isinstance(error, RateLimitError) and not error.gave_up:
            self._plan.put_back(batch)
            return
        if isinstance(error, RateLimitError):
            self._plan.give_up(str(error))
        elif not error.retryable:
            self._given_up.add(number)
            self._plan.died(batch, str(error), again=False)
            self._plan.give_up(str(error))
            raise error
        self._died(number, batch, str(error))

    def _died(self, number: int, batch: Batch, problem: str) -> None:
        again = self._plan.died(batch, problem)
        if not again:
            self._given_up.add(number)
        self._events.put(BatchNews(batch, problem=problem, again=again))

    def _written(self, piece: EventPiece, receipt: EventReceipt) -> None:
        """On the writer's thread: settle a stream."""
        if receipt.problem is not None:
            batch = self._streams.pop(piece.stream, None)
            if batch is not None:
                _log.info("%s: %s", batch.days, receipt.problem)
                self._died(piece.stream, batch, f"{batch.days}: {receipt.problem}")
        elif piece.ends and (batch := self._streams.pop(piece.stream, None)) is not None:
            arrival = self._arrived.pop(piece.stream, Arrival())
            self._stored.append(
                PageHistory(
                    piece.stream, "committed", receipt.rows, None, arrival.requested_at, arrival.received_at, utc_now(),
                    arrival.worker, arrival.steps, str(batch.days),
                )
            )  # fmt: skip
            self._plan.committed(batch, receipt.rows)
            self._events.put(BatchNews(batch, receipt))

    def history(self) -> list[PageHistory]:
        """Say what happened for each request, once the threads have ended."""
        trace = self._control.trace
        for number, arrival in self._arrived.items():
            trace.spoiled(number, arrival, "it was not stored")
        steps_of = ((number, steps) for number, steps in trace.unfinished().items() if number in self._asked)
        return self._stored + [
            PageHistory(
                number,
                "missing" if number in self._given_up else "left",
                steps=steps,
                name=str(self._asked[number].days),
            )
            for number, steps in steps_of
        ]
