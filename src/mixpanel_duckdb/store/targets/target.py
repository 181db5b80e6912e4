"""``Target``: where a complete table is published, as a caller names it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Self

import duckdb

from ...arguments import refusal
from ...errors import FetchStopped, QueryError
from ..database import folded, path_of

__all__ = ["SCHEME", "Target", "check_target", "refuse_secret"]

# How a name begins that is no path; not the letter of a drive.
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]+):")
# Names behind which a secret stands, in the connection strings of the engines that can be attached.
_SECRET = re.compile(
    r"(?i)\b(password|passwd|pwd|sslpassword|\w*token|\w*secret\w*|secret_access_key|access_key\w*|key_id)\s*=\s*\S"
)
_USER_INFO = re.compile(r"(?i)[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s]+@")
_LAKE_URL = re.compile(r"(?i)^ducklake:[a-z]+://")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a complete table is published, if not in the database that it is fetched into.

    Args:
        attach: What DuckDB attaches: the path of another DuckDB file (made if there is none), ``"ducklake:..."`` or
            ``"postgres:..."``. It must hold no secret: those belong into ``setup``, or where the engine looks for them.
        schema: Schema of the table; made if there is none. Default: the engine's own.
        data_path: Where a new DuckLake keeps its files: a folder, or ``"s3://..."``.
        setup: Path of a file of SQL statements that run before the target is attached: ``LOAD``, ``CREATE SECRET``.
        lock_wait: Most seconds to wait for a DuckDB file that other processes have open, or for another writer of the
            same table of PostgreSQL.
        connection: Your own connection, which has everything attached already, in place of ``attach``; it is used
            through cursors and never closed.
        catalog: Name of the attached database there.
        union_view: Name of a view in the schema of the table, over all tables there that this package published: their
            rows, and the project of each.

    Raises:
        QueryError: One of these cannot be, or holds a secret.

    Example:
        >>> Target("ducklake:postgres:dbname=lake", data_path="s3://lake/files/").attach
        'ducklake:postgres:dbname=lake'
        >>> con = duckdb.connect()
        >>> _ = con.execute("ATTACH ':memory:' AS lake")
        >>> Target(connection=con, catalog="lake", schema="crm").name
        'lake'
    """

    attach: str | None = None
    schema: str | None = None
    data_path: str | None = None
    setup: str | os.PathLike[str] | None = None
    lock_wait: float = 60.0
    connection: duckdb.DuckDBPyConnection | None = field(default=None, repr=False)
    catalog: str | None = None
    union_view: str | None = None
    _stop: Event | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be attached, and secrets where DuckDB would show them."""
        if (self.attach is None) == (self.connection is None):
            raise QueryError("A target has either attach, or a connection of yours with a catalog.")
        for name in ("attach", "schema", "data_path", "catalog", "union_view"):
            self._check(name, getattr(self, name))
        if self.connection is not None:
            self._check_connection()
        elif self.catalog is not None:
            raise QueryError("catalog names what is attached to a connection of yours; give that, too.")
        if self.data_path is not None and not self.name.startswith("ducklake:"):
            raise QueryError("data_path (--into-data-path) is for a DuckLake: 'ducklake:...'.")
        if _LAKE_URL.match(self.name):
            raise QueryError(
                f"{self.name!r} would be taken for the name of a file; write 'ducklake:postgres:dbname=... host=...'."
            )
        if isinstance(self.lock_wait, bool) or not isinstance(self.lock_wait, int | float) or not self.lock_wait >= 0:
            raise QueryError(f"lock_wait is {self.lock_wait!r}; it must be a number of seconds, 0 or more.")

    def _check(self, name: str, value: object) -> None:
        if value is None:
            return
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise QueryError(f"The target's {name} is {value!r}; it must be a text that is not empty.")
        refuse_secret(value)

    def _check_connection(self) -> None:
        if not isinstance(self.connection, duckdb.DuckDBPyConnection):
            raise refusal("connection", self.connection, "a DuckDB connection")
        if self.catalog is None:
            raise QueryError("catalog must name the database that is attached to the connection.")
        if self.setup is not None or self.data_path is not None:
            raise QueryError("setup and data_path go with attach; a connection of yours has everything attached.")

    def heeding(self, stop: Event | None) -> Self:
        """Give the same target for a run that this event ends, also while it waits for the target."""
        heeds = replace(self)
        object.__setattr__(heeds, "_stop", stop)
        return heeds

    def pause(self, seconds: float) -> None:
        """Wait so long for whoever has the target.

        Raises:
            FetchStopped: The run is to end.
        """
        if (self._stop or Event()).wait(seconds):
            raise FetchStopped("The fetch was stopped while it waited for the target.")

    @property
    def name(self) -> str:
        """What to call it: what is attached, or the name of the catalog."""
        return self.attach or self.catalog or ""

    @property
    def file(self) -> str | None:
        """The path of a DuckDB file, with the user's home for a leading ``~``; ``None`` if it is something else."""
        return None if self.attach is None or SCHEME.match(self.attach) else path_of(self.attach)

    @property
    def identity(self) -> str:
        """The name of the place: two fetches go into the same one if it is equal."""
        return f"{self.name} {self.schema}" if self.schema else self.name

    def of(self, table: str) -> tuple[Self, str]:
        """Give the place of a table, which may name its schema, as in ``crm.profiles``, and its own name.

        Raises:
            QueryError: It names another schema than the target, or more than a schema; or the view is called like it.
        """
        if "." not in table:
            if folded(self.union_view or "") == folded(table):
                raise QueryError(f"union_view (--union-view) is {table!r}, like the table; give the view another name.")
            return self, table
        schema, _, own = table.partition(".")
        if not schema.strip() or not own.strip() or "." in own or self.schema not in (None, schema):
            raise QueryError(
                f"{table!r} cannot be a table of the target: name it as table, or as schema.table if the target has no "
                "other schema (--into-schema)."
            )
        return replace(self, schema=schema).heeding(self._stop).of(own)


def refuse_secret(text: str) -> None:
    """Refuse what DuckDB would show with a secret in it.

    Raises:
        QueryError: Says where that belongs.
    """
    found = _SECRET.search(text)
    if found or _USER_INFO.search(text):
        held = f"{found[1]}=..." if found else "a password before an @"
        raise QueryError(
            f"The target holds a secret ({held}), which lists of processes and errors of DuckDB would show: put it "
            "into a CREATE SECRET statement of a setup file (--setup FILE.sql), or where the engine looks for it "
            "(PGPASSWORD, ~/.pgpass), and leave it out here."
        )


def check_target(into: object, *, keep_history: bool = False) -> None:
    """Refuse what is given for a target and is none, and what cannot be done there.

    Raises:
        QueryError: Says so.
    """
    if not isinstance(into, Target | None):
        raise refusal("into", into, "a mixpanel_duckdb.Target, or None")
    if into is not None and keep_history:
        raise QueryError(
            "keep_history (--history) keeps versions beside a table of the database itself, not with into (--into): a "
            "DuckLake has its own, see ducklake_table_changes and AT (VERSION => ...)."
        )
