"""From the journal's history of a fetch to what each worker did when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from ..store import FetchHistory, PageHistory

__all__ = ["Activity", "Kind", "activities", "in_flight_share", "merged", "segments"]

# "page" brought a page; "lost" is the last request for a page that is missing; the others as in `trace.Step`.
Kind = Literal["page", "failed", "lost", "refused", "stopped", "limit", "turn", "backoff", "commit"]
REQUESTS: frozenset[Kind] = frozenset({"page", "failed", "lost", "refused", "stopped"})
# A journal of version 1 does not know its runs: where it is silent for so many seconds, one has ended.
_SILENCE = 5.0

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a worker did for a page from one moment to another.

    Args:
        worker: Name of the thread.
        kind: What it did; ``"commit"`` is the time from a page's arrival until it was written.
        start: Its start, in UTC.
        end: Its end, in UTC, never before the start.
        page: Index of the page.
        rows: Profiles that it brought.
        why: What went wrong, or which limit it was.
        name: What the page is called.
    """

    worker: str
    kind: Kind
    start: datetime
    end: datetime
    page: int
    rows: int = 0
    why: str = ""
    name: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start).total_seconds()


def activities(history: FetchHistory) -> list[Activity]:
    """List everything that the workers did, in order of its start; commits are among it."""
    first = min((page.worker for page in history.pages if page.worker), default="")
    started = history.fetch.started_at.replace(tzinfo=None)
    found = [each for page in history.pages for each in _of_page(page, started, first)]
    return sorted(found, key=lambda each: (each.start, each.end))


def segments(history: FetchHistory, done: Iterable[Activity]) -> list[Interval]:
    """Give the times in which a run was going on, in order and without overlap; between them nothing happened.

    Args:
        history: Its runs are the segments, as far as the journal knows them.
        done: What :func:`activities` found.
    """
    left = sorted((each.start, each.end) for each in done)
    first = history.runs[0].started_at if history.runs else None
    found = _clusters(span for span in left if first is None or span[0] < first)
    starts = [run.started_at for run in history.runs]
    for run, following in zip(history.runs, [*starts[1:], datetime.max], strict=False):
        ends = [end for start, end in left if run.started_at <= start < following]
        found.append((run.started_at, max([run.started_at, run.ended_at or run.started_at, *ends])))
    return _apart(found)


def merged(spans: Iterable[Interval]) -> list[Interval]:
    """Unite intervals that touch or overlap.

    Example:
        >>> day = lambda number: datetime(2026, 1, number)
        >>> [(a.day, b.day) for a, b in merged([(day(1), day(3)), (day(2), day(4)), (day(6), day(7))])]
        [(1, 4), (6, 7)]
    """
    united: list[Interval] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def in_flight_share(done: Iterable[Activity], at_once: int, seconds: float) -> float:
    """Say in which share of the time so many requests or more were in flight, 0 to 1.

    Args:
        done: What was done.
        at_once: Number of requests.
        seconds: The whole time.
    """
    changes = sorted((moment, change) for each in done if each.kind in REQUESTS
                     for moment, change in ((each.start, 1), (each.end, -1)))  # fmt: skip
    running, total = 0, 0.0
    for (moment, change), (following, _) in pairwise(changes):
        running += change
        total += (following - moment).total_seconds() if running >= at_once else 0.0
    return min(1.0, total / seconds) if seconds > 0 else 0.0


def _of_page(page: PageHistory, started: datetime, first_worker: str) -> Iterator[Activity]:
    name = page.name or f"page {page.index}"
    for step in page.steps:
        is_last = page.state == "missing" and step is page.steps[-1]
        kind: Kind = "lost" if is_last and step.what == "failed" else step.what
        yield Activity(
            step.worker, kind, step.started, max(step.started, step.ended), page.index, why=step.why, name=name
        )
    if page.received_at is None:
        return
    worker = page.worker or first_worker
    start = max([page.requested_at or started, *(step.ended for step in page.steps)])
    end = max(start, page.received_at)
    yield Activity(worker, "page", start, end, page.index, page.rows, name=name)
    if page.committed_at is not None:
        yield Activity(worker, "commit", end, max(end, page.committed_at), page.index, page.rows, name=name)


def _apart(spans: Iterable[Interval]) -> list[Interval]:
    """Cut off what overlaps the one before: clocks may be set back."""
    edge, apart = datetime.min, []
    for start, end in spans:
        begin = max(start, edge)
        edge = max(begin, end)
        apart.append((begin, edge))
    return apart


def _clusters(spans: Iterable[Interval]) -> list[Interval]:
    reach = timedelta(seconds=_SILENCE)
    return [(start, end - reach) for start, end in merged((start, end + reach) for start, end in spans)]
