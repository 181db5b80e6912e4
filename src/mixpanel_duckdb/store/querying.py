"""One query of the user's own: read, never written, its answer as texts in the form that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import duckdb

from ..errors import QueryError
from .database import hush, is_nested, quote, storage_errors

__all__ = ["Answer", "AnswerForm", "answer"]

AnswerForm = Literal["text", "json"]
# Rows that are in Python's memory at a time.
_AT_ONCE = 1_000
_LONGEST_REASON = 400
_NUMBER = re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(.*|BIGNUM")
# What DuckDB says of a query that it cannot answer, as opposed to a disk or a memory that is full.
_OF_THE_QUERY = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gives, while the connection is open.

    Args:
        columns: Names of the columns, no two the same.
        numeric: Which of them are numbers.
        rows: The rows, each cell as text, or ``None`` for NULL; read once.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: Iterator[tuple[str | None, ...]]


def answer(connection: duckdb.DuckDBPyConnection, sql: str, form: AnswerForm = "text") -> Answer:
    """Answer one query that only reads.

    Args:
        connection: To the database.
        sql: ``SELECT``, ``FROM``, ``WITH``, ``SUMMARIZE``, ``DESCRIBE`` and the like.
        form: Cells as DuckDB writes values, with what is nested as JSON; or every cell as JSON.

    Raises:
        QueryError: DuckDB cannot answer it, it does something else than to read, or it is not one query.
        StorageError: DuckDB could not read the database.

    Example:
        >>> found = answer(duckdb.connect(), "SELECT 42 AS number, [1, 2] AS list")
        >>> found.columns, found.numeric, list(found.rows)
        (('number', 'list'), (True, False), [('42', '[1,2]')])
    """
    with _refusals():
        hush(connection)
        inner = _the_one_query(connection, sql)
        described = connection.execute(f"DESCRIBE SELECT * FROM ({inner}\n)").fetchall()
        types = {name: kind for name, kind, *_ in described}
        cells = ", ".join(_cell(quote(name), kind, form) for name, kind in types.items())
        connection.execute(f"SELECT {cells} FROM ({inner}\n)")
    numeric = tuple(_NUMBER.fullmatch(kind) is not None for kind in types.values())
    return Answer(tuple(types), numeric, _rows(connection))


def _the_one_query(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryError(f"There are {len(statements) or 'no'} statements in this; give one query.")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name.replace("_", " ")
        raise QueryError(f"Only queries that read are answered (SELECT, FROM, WITH, SUMMARIZE, DESCRIBE), not {kind}.")
    # Up to its semicolon, behind which a comment may stand; DuckDB counts bytes.
    text = sql.encode()
    return text[: next((at for at, _ in duckdb.tokenize(sql) if text.startswith(b";", at)), None)].decode()


def _cell(column: str, kind: str, form: AnswerForm) -> str:
    as_it_is = kind == "JSON" or (form == "text" and not is_nested(kind))  # to_json would write its numbers anew
    return f"{column}::VARCHAR" if as_it_is else f"to_json({column})::VARCHAR"


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str | None, ...]]:
    while True:
        with _refusals():
            some = connection.fetchmany(_AT_ONCE)
        if not some:
            return
        yield from some


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what is wrong with the query from what is wrong with the database."""
    with storage_errors("answer the query"):
        try:
            yield
        except duckdb.InterruptException:
            raise
        except _OF_THE_QUERY as error:
            reason = " ".join(str(error).partition("\n\nLINE ")[0].split())
            raise QueryError(f"DuckDB cannot answer this: {reason[:_LONGEST_REASON].rstrip('.!')}.") from None
