"""What is known of a day that is there, and when it is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from .pieces import OddEvents

__all__ = ["DayRecord", "is_open"]


@dataclass(frozen=True, slots=True)
class DayRecord:
    """A day that is there: its events, when they were fetched, in UTC, and what is odd in them."""

    day: date
    rows: int
    fetched_at: datetime
    odd: OddEvents

    @property
    def total(self) -> int:
        """Its events, those included that came with it and are of other days by their times."""
        return self.rows + self.odd.outside

    def is_open(self, refresh_days: int) -> bool:
        """Whether it was so young when it was fetched that events may have come since."""
        return is_open(self.day, self.fetched_at, refresh_days)


def is_open(day: date, fetched_at: datetime, refresh_days: int) -> bool:
    """Whether a day was so young when it was fetched that events may have come since.

    Args:
        day: The day.
        fetched_at: When it was fetched, in UTC.
        refresh_days: How many days old it must have been to be left alone.
    """
    return (fetched_at.date() - day).days < refresh_days
