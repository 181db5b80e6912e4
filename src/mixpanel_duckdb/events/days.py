"""Days as the export counts them: dates without a zone, both ends of a range included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..arguments import refusal

__all__ = ["DayRange", "day_of"]

_DAY = timedelta(days=1)


def day_of(value: object, name: str) -> date:
    """Read a date.

    Args:
        value: A text of the form YYYY-MM-DD, or a ``datetime.date``.
        name: Of the argument, for the error.

    Raises:
        QueryError: It is neither.

    Example:
        >>> day_of("2026-01-31", "from_date")
        datetime.date(2026, 1, 31)
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise refusal(name, value, "a day of the form YYYY-MM-DD, as text or datetime.date")


@dataclass(frozen=True, slots=True, order=True)
class DayRange:
    """Days from the first to the last, both included.

    Example:
        >>> str(DayRange(date(2026, 1, 1), date(2026, 1, 3))), len(DayRange(date(2026, 1, 1), date(2026, 1, 3)))
        ('2026-01-01 to 2026-01-03', 3)
    """

    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __iter__(self) -> Iterator[date]:
        return (self.first + number * _DAY for number in range(len(self)))

    def halves(self) -> tuple[DayRange, DayRange]:
        """Cut it in two; it has at least two days."""
        middle = self.first + (len(self) // 2 - 1) * _DAY
        return DayRange(self.first, middle), DayRange(middle + _DAY, self.last)
