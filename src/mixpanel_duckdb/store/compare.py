"""What the demo shows of the two tables that it fetched: whether they are the same, and a first query."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import duckdb

from .database import connecting, hush, quote, storage_errors

__all__ = ["Comparison", "compare_tables"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables side by side.

    Args:
        different_rows: Rows that only one of them has.
        sql: A query of the first one, as its user would type it.
        columns: Names of its columns.
        rows: Its answer.
    """

    different_rows: int
    sql: str
    columns: list[str]
    rows: list[tuple[Any, ...]]


def compare_tables(database: str | os.PathLike[str] | duckdb.DuckDBPyConnection, one: str, other: str) -> Comparison:
    """Compare two profiles tables row by row, and query one of them.

    Raises:
        StorageError: DuckDB cannot read them.
    """
    sql = (
        "SELECT properties->>'plan' AS plan, count(*) AS profiles, "
        "avg(try_cast(properties->>'mrr' AS DOUBLE)) AS mean_mrr\n"
        f"FROM {one} WHERE plan IS NOT NULL GROUP BY plan ORDER BY profiles DESC"
    )
    first, second = quote(one), quote(other)
    with storage_errors("compare the tables"), connecting(database)() as connection:
        hush(connection)
        ((different,),) = connection.execute(
            f"SELECT count(*) FROM ((FROM {first} EXCEPT ALL FROM {second}) UNION ALL "
            f"(FROM {second} EXCEPT ALL FROM {first}))"
        ).fetchall()
        answer = connection.execute(sql)
        columns = [column[0] for column in answer.description or ()]
        return Comparison(different, sql, columns, answer.fetchall())
