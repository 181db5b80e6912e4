"""The ways that people read rows: a DuckDB relation, a DataFrame of either kind, Arrow with or without pyarrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import MixpanelError
from ..extras import need
from ..store import one_row_each, quote, storage_errors

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars
    import pyarrow

    Connect = Callable[[], duckdb.DuckDBPyConnection]

__all__ = ["Readable"]


class Readable:
    """What has rows in a database, and may be read after everything that made it is closed."""

    __slots__ = ()

    _connect: Connect | None

    @property
    def _reads_from(self) -> str:
        """Name of the table or view with the rows."""
        raise NotImplementedError

    @property
    def _one_row_each(self) -> bool:
        """Whether every profile is there once, as in all that was published."""
        return True

    def relation(self) -> duckdb.DuckDBPyRelation:
        """Give the rows as a DuckDB relation.

        Raises:
            MixpanelError: The result no longer knows its database (it was made by hand, say), or the rows are gone from
                there: a later run may have gone on with them, or replaced them.
        """
        # Not .table(): DuckDB 1.5 does not find a name with quotes in it that way.
        with storage_errors(f"read {self._reads_from!r} (did a later run go on with it?)"):
            name = quote(self._reads_from)
            return self._connected()().sql(f"FROM {name}" if self._one_row_each else one_row_each(name))

    def df(self) -> pandas.DataFrame:
        """Give the rows as a pandas DataFrame (extra ``pandas``)."""
        need("pandas")
        return self.relation().df()

    def pl(self) -> polars.DataFrame:
        """Give the rows as a polars DataFrame (extra ``polars``)."""
        need("polars")
        need("pyarrow", extra="polars")  # by which DuckDB hands the rows over
        return self.relation().pl()

    def arrow(self) -> pyarrow.Table:
        """Give the rows as an Arrow table (extra ``arrow``)."""
        need("pyarrow", extra="arrow")
        return self.relation().to_arrow_table()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Stream the rows to any Arrow consumer, without pyarrow."""
        return self.relation().__arrow_c_stream__(requested_schema)

    def _connected(self) -> Connect:
        if self._connect is None:
            raise MixpanelError("This result has no database behind it; open the database and read the table there.")
        return self._connect
