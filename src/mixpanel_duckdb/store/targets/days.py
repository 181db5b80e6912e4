"""Days of events published: those that the target has not, or not as new, each whole, in one transaction of its own.

The comment on the table says when each of its days was fetched. A row belongs to the day of its time; where events came
with other days than that, no day can be told from the next, and the whole table is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from ...errors import QueryError, UnsuitableTableError
from ..database import EVENT_COLUMNS, atomic, quote
from ..journal import FetchSpec
from ..tables import EVENTS, PREFIX
from .attached import Attachment, again_and_again, attached, kind_of, prepared
from .common import told_of_replaced
from .kind import Place
from .publishing import check_writable, refuse_itself
from .staged import within_reach
from .target import Target

__all__ = ["PublishedDays", "StagedDays", "check_days_into", "publish_days_into"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StagedDays:
    """The days of a table of events.

    Args:
        rows: The table, for statements.
        fetched_at: When each day was fetched, in UTC.
        strays: Whether events came with other days than those of their times.
    """

    rows: str
    fetched_at: Mapping[date, datetime]
    strays: bool


@dataclass(frozen=True, slots=True)
class PublishedDays:
    """How many days were written, and what is to be said."""

    days: int = 0
    notices: tuple[str, ...] = ()


def check_days_into(cursor: duckdb.DuckDBPyConnection, target: Target, spec: FetchSpec) -> None:
    """Refuse, before anything is requested, what could not be published at the end, or should not be.

    Raises:
        QueryError: It is the database itself, or a view over projects is asked for.
        UnsuitableTableError: The target or the table cannot take events, or holds others.
        DuckDB's own errors: It cannot be reached.
    """
    kind = kind_of(target)
    if target.union_view is not None:
        raise QueryError("union_view (--union-view) is a view over tables of profiles; leave it out for events.")
    if not kind.exists(target):
        with prepared(cursor, target.setup, target.name, kind.extensions):
            return
    with attached(cursor, target, writing=kind.is_made_by_attaching) as site:
        refuse_itself(cursor, site)
        check_writable(site, target)
        _before(site, site.place(target, spec.table), spec)


def publish_days_into(
    cursor: duckdb.DuckDBPyConnection, target: Target, spec: FetchSpec, staged: StagedDays
) -> PublishedDays:
    """Write the days that are newer here, in place of what the target has of them.

    Args:
        cursor: To the database of the events, with no transaction open.
        target: Where to publish.
        spec: What they are of.
        staged: The days.
    """
    reach = attached(cursor, target, writing=True)
    with reach as site, within_reach(cursor, site.cursor, staged.rows, EVENT_COLUMNS) as rows:
        place = site.place(target, spec.table)
        here = StagedDays(rows, staged.fetched_at, staged.strays)
        return again_and_again(site, lambda: _once(site, place, spec, here, target.lock_wait))


def _once(site: Attachment, place: Place, spec: FetchSpec, staged: StagedDays, lock_wait: float) -> PublishedDays:
    cursor, kind = site.cursor, site.kind
    there = bool(kind.columns(cursor, place))  # not in the transaction, since locking comes first there
    with atomic(cursor):
        if there:
            kind.lock(cursor, place, lock_wait)
        before = _before(site, place, spec)
        old = before.fetched_at if before else {}
        new = {day: at for day, at in staged.fetched_at.items() if day not in old or old[day] < at}
        if before and not new:
            return PublishedDays()
        if before is None:
            columns = ", ".join(f"{name} {kind_}" for name, kind_ in EVENT_COLUMNS.items())
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(place.catalog)}.{quote(place.schema)}")
            cursor.execute(f"CREATE TABLE {place.sql} ({columns})")
        strays = staged.strays or (before is not None and before.strays)
        if strays:
            _refuse_older(old, staged.fetched_at)
        replaced = 0
        for where in ["true"] if strays else map(_between, _ranges(sorted(new))):
            if old:
                cursor.execute(f"DELETE FROM {place.sql} WHERE {where}")
            rows = f"(FROM {staged.rows} WHERE {where})"
            cursor.execute(f"INSERT INTO {place.sql} {kind.incoming(rows, EVENT_COLUMNS)}")
            replaced += kind.replaced_characters(cursor, rows, EVENT_COLUMNS)
        kind.set_comment(cursor, place, _DaysMarker(spec, {**old, **new}, staged.strays).text)
    return PublishedDays(len(new), told_of_replaced(replaced) + ((site.notice,) if site.notice else ()))


def _refuse_older(there: Mapping[date, datetime], here: Mapping[date, datetime]) -> None:
    """Where the whole table must be written, it must be known here."""
    if lost := sorted(day for day, at in there.items() if day not in here or here[day] < at):
        raise UnsuitableTableError(
            "Events came with other days than those of their times, so the table must be written as a whole, but the "
            f"target has days that are not here, or older, first {lost[0]}: fetch them into this database, too."
        )


@dataclass(frozen=True, slots=True)
class _DaysMarker:
    """The comment on a published table of events: what it holds, when its days were fetched, and whether any stray."""

    spec: FetchSpec
    fetched_at: Mapping[date, datetime]
    strays: bool

    @property
    def text(self) -> str:
        """The comment: days that follow each other and were fetched together are one entry."""
        days: list[list[str]] = []
        for first, last in _ranges(sorted(self.fetched_at), lambda day: self.fetched_at[day]):
            days.append([str(first), str(last), self.fetched_at[first].isoformat()])
        spec = self.spec
        holds = {"project_id": spec.project_id, "host": spec.host, "query": spec.query}
        return PREFIX + json.dumps({"events": holds, "days": days, "strays": self.strays})

    @classmethod
    def of(cls, comment: str | None, table: str) -> _DaysMarker | None:
        """Read a comment; ``None`` if it is another."""
        if comment is None or not comment.startswith(PREFIX):
            return None
        try:
            told = json.loads(comment.removeprefix(PREFIX))
            holds, days = told["events"], dict[date, datetime]()
            for first, last, at in told["days"]:
                day = date.fromisoformat(first)
                while day <= date.fromisoformat(last):
                    days[day], day = datetime.fromisoformat(at), day + _DAY
            spec = FetchSpec(table, holds["query"], holds["project_id"], holds["host"])
            return cls(spec, days, told["strays"])
        except (ValueError, LookupError, TypeError):
            return None


def _before(site: Attachment, place: Place, spec: FetchSpec) -> _DaysMarker | None:
    """Tell what is there; ``None`` if nothing is."""
    columns = site.kind.columns(site.cursor, place)
    if not columns:
        return None
    named, marker = f"{spec.table!r} of the target", _DaysMarker.of(site.kind.comment(site.cursor, place), spec.table)
    if marker is None or columns != EVENT_COLUMNS:
        raise UnsuitableTableError(f"{named} is there, and is no table of events of this package's; choose another.")
    if (what := site.kind.hindrance(site.cursor, place, EVENTS)) is not None:
        raise UnsuitableTableError(f"{named}: its {what} may refuse events. Drop that, or choose another table.")
    if marker.spec.events != spec.events:
        raise UnsuitableTableError(
            f"{named} holds {marker.spec.events}, but this fetch is of {spec.events}. Choose another table."
        )
    return marker


def _ranges(days: list[date], alike: Callable[[date], object] = bool) -> Iterator[tuple[date, date]]:
    """Give first and last of days that follow each other and are alike."""
    first = last = None
    for day in days:
        if first is None or last is None or day - last > _DAY or alike(day) != alike(last):
            if first is not None and last is not None:
                yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def _between(days: tuple[date, date]) -> str:
    first, last = days
    return f"time >= DATE '{first}' AND time < DATE '{last}' + 1"
