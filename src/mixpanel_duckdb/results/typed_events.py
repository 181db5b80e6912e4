"""Typed columns of events: a view for each name that they have, since events of one name have properties in common."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Unpack

from ..arguments import check
from ..store import ProfileStore, connecting, event_views, storage_errors
from .typed_columns import EventTypingOptions, TypedColumns, typed_columns

if TYPE_CHECKING:
    from ..store import AnyDatabase
    from .frames import Connect

__all__ = ["type_events", "typed_events"]


def type_events(
    database: AnyDatabase, table: str = "events", **options: Unpack[EventTypingOptions]
) -> dict[str, TypedColumns]:
    """Make a view, or a table, for each name that the events of a table have, with a typed column for each property.

    Args:
        database: A path to an existing file, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        table: A table of events.
        **options: As for :func:`type_columns`, but ``into`` and ``event``.

    Returns:
        What was made, by the name of the events. Login's is ``<table>_Login_typed``; of names that DuckDB takes for the
        same, ``buy`` beside ``Buy``, the later one gets ``_2``; a name with a NUL has none.

    Raises:
        UnsuitableTableError: There is no such table, it is not one of events, or something else has one of the names.
        StorageError: There is no such file, or DuckDB could not read or write.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
        >>> events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))
        >>> with md.ProfileStore(":memory:") as store, Simulator(events=events) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_events(store, "2026-01-01", "2026-01-01", credentials=who, base_url=sim.base_url)
        ...     sum(each.rows for each in md.type_events(store).values())
        100
    """
    check({"table": table, **options})
    connect = database.reader() if isinstance(database, ProfileStore) else connecting(database)
    return typed_events(connect, table, **options)


def typed_events(connect: Connect, table: str, **options: Unpack[EventTypingOptions]) -> dict[str, TypedColumns]:
    """Do what :func:`type_events` says, for whoever knows how to connect."""
    with closing(connect()) as connection, storage_errors(f"make typed columns of {table!r}"):
        views = event_views(connection, table)
    return {event: typed_columns(connect, table, event=event, into=name, **options) for event, name in views.items()}
