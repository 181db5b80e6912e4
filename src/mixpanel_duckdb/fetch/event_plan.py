"""Which days the next request asks for: days to requests, by what is missing and by how full the days turn out to be.

A request costs a sixtieth of an hour's quota, however many days it covers; a day is what is committed. So requests
start small, and grow by the events a day of those that are done, to about a million events and thirty days at most. One
that dies twice is halved, down to a day; a day that dies three times is given up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..events import DayRange
from ..http import FetchControl, utc_now
from ..store import DayRecord

__all__ = ["Batch", "EventPlan", "begun", "days_to_fetch", "rate_of", "requests_for"]

_MOST_DAYS = 30
_MOST_EVENTS = 1_000_000
_GROWTH = 4
_TRIES, _TRIES_OF_A_DAY = 2, 3
# So many deaths without a success between them, and the rest is left for the next run.
_MOST_DEATHS = 15


def days_to_fetch(
    days: DayRange, known: Mapping[date, DayRecord], refresh_days: int, *, refetch: bool, since: datetime = datetime.max
) -> list[date]:
    """Give the days that are missing, or were open when they were fetched, or all of them.

    Args:
        days: What is asked for.
        known: What is known of days that are there.
        refresh_days: A day that was younger than this when it was fetched is open.
        refetch: Whether to fetch those that are not, too.
        since: When the run began that goes on: what was fetched later is its own.
    """
    here = {
        day for day, each in known.items() if each.fetched_at >= since or not (refetch or each.is_open(refresh_days))
    }
    return [day for day in days if day not in here]


def begun(days: Iterable[date]) -> list[date]:
    """Leave out the days that have not begun anywhere: a project is a day ahead of UTC at most."""
    return [day for day in days if day <= utc_now().date() + timedelta(days=1)]


def requests_for(todo: list[date], size: int | None, known: Iterable[DayRecord]) -> tuple[int, int]:
    """Say how many requests some days take, at least and at most, as far as what is known of others tells.

    Args:
        todo: The days.
        size: Days of each request, if that is fixed.
        known: Days that are there.
    """
    rate = rate_of(known)
    numbers = []
    for each in [rate] if rate is not None else [0.0, float(_MOST_EVENTS)]:
        plan = EventPlan(todo, size=size, rate=rate)
        while (batch := plan.take(FetchControl())) is not None:
            plan.committed(batch, int(each * len(batch.days)))
        numbers.append(plan.done)
    return min(numbers), max(numbers)


def rate_of(known: Iterable[DayRecord]) -> float | None:
    """Give the events of the fullest day that is known; ``None`` if none is."""
    return max((each.rows for each in known if each.rows), default=None)


@dataclass(frozen=True, slots=True)
class Batch:
    """Days of one request, and how often it died before."""

    days: DayRange
    deaths: int = 0


class EventPlan:
    """The days that are left; any thread may call any method.

    Args:
        days: What to fetch.
        size: Days of each request; ``None`` is as many as turn out well.
        rate: Events a day, as far as they are known.

    Attributes:
        failed: Days that were given up, with the reason.
        done: Requests that brought days.
        not_begun: The first day that was refused because it does not exist yet.
    """

    def __init__(self, days: Iterable[date], *, size: int | None = None, rate: float | None = None) -> None:
        self._changed = threading.Condition()
        self._left = sorted(days, reverse=True)
        self._again: deque[Batch] = deque()
        self._under_way = 0
        self._fixed = size
        self._rate = rate
        self._largest = _MOST_DAYS if rate is not None else 0
        self._deaths = 0
        self._reason: str | None = None
        self.failed: list[tuple[DayRange, str]] = []
        self.done: int = 0
        self.not_begun: date | None = None

    @property
    def ended_early(self) -> bool:
        """Whether days were left that nobody asked for."""
        with self._changed:
            return self._reason is not None

    @property
    def total(self) -> int:
        """Requests that bring days, as it looks now."""
        with self._changed:
            return self.done + len(self.failed) + self._under_way + self._to_come

    @property
    def to_come(self) -> int:
        """Those of them that were not begun."""
        with self._changed:
            return self._to_come

    @property
    def _to_come(self) -> int:
        """They grow: the size of the next one tells little of those after it."""
        left, largest, requests = len(self._left), self._largest, len(self._again)
        while left > 0:
            size = self._size(largest)
            left, largest, requests = left - size, max(largest, size), requests + 1
        return requests

    def take(self, control: FetchControl) -> Batch | None:
        """Give the next days, waiting while others may come back; ``None`` when nothing is left."""
        with self._changed:
            while True:
                control.stop.check()
                if self._reason is None and (self._again or self._left):
                    self._under_way += 1
                    return self._again.popleft() if self._again else Batch(self._next())
                if not self._under_way or self._reason is not None:
                    return None
                control.stop.wait(self._changed)

    def arrived(self, batch: Batch, rows: int) -> None:
        """Note days that have come whole, ahead of their being stored: the next request may be larger by then."""
        with self._changed:
            self._learned(batch, rows)

    def committed(self, batch: Batch, rows: int) -> None:
        """Note days that are stored."""
        with self._changed:
            self._learned(batch, rows)
            self._deaths, self.done = 0, self.done + 1
            self._settled()

    def died(self, batch: Batch, reason: str, *, again: bool = True) -> bool:
        """Note days that did not come; say whether they are asked for once more."""
        with self._changed:
            deaths, self._deaths = batch.deaths + 1, self._deaths + 1
            if self._deaths >= _MOST_DEATHS:
                self._reason = self._reason or f"{self._deaths} requests in a row failed; the last one: {reason}"
            if not again or self._reason is not None:
                again = False
            elif deaths < (_TRIES if len(batch.days) > 1 else _TRIES_OF_A_DAY):
                self._again.append(Batch(batch.days, deaths))
            elif len(batch.days) > 1:
                self._again.extend(map(Batch, batch.days.halves()))
            else:
                again = False
            if not again:
                self.failed.append((batch.days, reason))
            self._settled()
            return again

    def put_back(self, batch: Batch) -> None:
        """Take days back that the server could not serve now: that says nothing of them."""
        with self._changed:
            self._again.append(batch)
            self._settled()

    def give_up(self, reason: str) -> None:
        """Ask for nothing more."""
        with self._changed:
            self._reason = self._reason or reason
            self._changed.notify_all()

    def without(self, batch: Batch, today: date) -> int:
        """Take a batch back that was refused for its last day, which does not exist yet; say how many days are gone.

        Args:
            batch: The days.
            today: Today by this machine's clock: if the day is before it, one of the clocks is wrong, and what is left
                is halved.
        """
        with self._changed:
            day, before = batch.days.last, self._days_left()
            self.not_begun = min(day, self.not_begun or day)
            self._left = [each for each in self._left if each < day]
            if batch.days.first < day:
                left = Batch(DayRange(batch.days.first, day - timedelta(days=1)), batch.deaths)
                halved = day < today and len(left.days) > 1
                self._again.extend(map(Batch, left.days.halves()) if halved else [left])
            self._again = deque(cut for each in self._again if (cut := _up_to(each, day)))
            self._settled()
            return len(batch.days) + before - self._days_left()

    def _days_left(self) -> int:
        return len(self._left) + sum(len(each.days) for each in self._again)

    def close(self) -> None:
        """Count what nobody asked for as not fetched."""
        reason = self._reason or "not asked for"
        self.failed += [(batch.days, reason) for batch in self._again]
        while self._left:
            self.failed.append((self._next(_MOST_DAYS * 100), reason))
        self.failed.sort()

    def _learned(self, batch: Batch, rows: int) -> None:
        rate = rows / len(batch.days)
        self._rate = rate if self._rate is None else max(rate, (self._rate + rate) / 2)
        self._largest = max(self._largest, len(batch.days))

    def _settled(self) -> None:
        self._under_way -= 1
        self._changed.notify_all()

    def _size(self, largest: int) -> int:
        if self._fixed is not None:
            return self._fixed
        grown = min(_MOST_DAYS, max(1, largest * _GROWTH))
        return max(1, min(grown, int(_MOST_EVENTS / self._rate))) if self._rate else grown

    def _next(self, size: int | None = None) -> DayRange:
        """Take days that follow each other."""
        first = last = self._left.pop()
        for _ in range((size or self._size(self._largest)) - 1):
            if not self._left or self._left[-1] != last + timedelta(days=1):
                break
            last = self._left.pop()
        return DayRange(first, last)


def _up_to(batch: Batch, end: date) -> Batch | None:
    """Give the days of a batch that are before another day."""
    if batch.days.first >= end:
        return None
    return Batch(DayRange(batch.days.first, min(batch.days.last, end - timedelta(days=1))), batch.deaths)
