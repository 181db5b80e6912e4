"""One view over all tables of a schema that this package has published: projects side by side, each in its own table.

Writers of one table get in each other's way, those of several do not; the view is written only when a table is new.
"""

from __future__ import annotations

import duckdb

from ...errors import UnsuitableTableError
from ..database import COLUMNS, atomic, is_named, literal, quote
from ..tables import PREFIX, Marker
from .kind import Kind, Place

__all__ = ["VIEW_PREFIX", "check_view", "make_view"]

# Behind it stands the query, in the comment on the view.
VIEW_PREFIX = f"{PREFIX}view: "


def check_view(cursor: duckdb.DuckDBPyConnection, kind: Kind, view: Place) -> None:
    """Refuse, before anything is requested, a name that is something else's.

    Raises:
        UnsuitableTableError: It is the name of a table, or of somebody else's view.
    """
    if kind.columns(cursor, view) and not (kind.comment(cursor, view) or "").startswith(VIEW_PREFIX):
        raise UnsuitableTableError(
            f"{view.table!r} of the target is not a view of this package's; choose another name (--union-view)."
        )


def make_view(cursor: duckdb.DuckDBPyConnection, kind: Kind, view: Place) -> None:
    """Make the view anew, in a transaction of its own, if it is not over just the tables that there are."""
    with atomic(cursor):
        projects: dict[str, str] = {}
        for name in _tables(cursor, view):
            if marker := Marker.of(kind.comment(cursor, Place(view.catalog, view.schema, name)), name):
                projects[name] = ", ".join(sorted({each.project_id for each in marker.holds}))
        query = " UNION ALL ".join(
            f"SELECT {literal(project)} AS project_id, {', '.join(COLUMNS)} FROM {quote(view.schema)}.{quote(name)}"
            for name, project in sorted(projects.items())
        )
        comment = f"{VIEW_PREFIX}{query}"
        if projects and kind.comment(cursor, view) != comment:
            kind.set_view(cursor, view, query, comment)


def _tables(cursor: duckdb.DuckDBPyConnection, place: Place) -> list[str]:
    rows = cursor.execute(
        f"SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND {is_named('schema_name')}",
        [place.catalog, place.schema],
    ).fetchall()
    return [name for (name,) in rows]
