"""``mp-fetch sql``: a query of a database, which is only read."""

from __future__ import annotations

import csv
import itertools
import json
import re
from contextlib import closing
from typing import IO, TYPE_CHECKING

import click

from ..text import line_width, table_text
from .ending import Command
from .options import database_option, json_option, verbose_option
from .talk import Talk, on_terminal

if TYPE_CHECKING:
    from ..store import Answer

__all__ = ["sql"]

# What more a table says, nobody reads.
_MOST_ROWS = 200
# Characters of an answer, which is printed only when all of it is there.
_IN_MEMORY = 16_000_000
# A text, which stays as it is, or what only DuckDB takes for JSON: a comma behind the last value, or no number.
_TEXT_OR_ODD = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|,(?=\s*[\]}])|-?(?:NaN|Inf(?:inity)?)', re.IGNORECASE)
_EPILOG = """\b
Examples:
  mp-fetch sql "FROM profiles LIMIT 5"
  mp-fetch sql "SELECT properties->>'plan' AS plan, count(*) FROM profiles
                GROUP BY plan"
  mp-fetch sql "SUMMARIZE profiles_typed"
  mp-fetch sql "FROM profiles_typed" --csv > profiles.csv

The database is opened to read it, beside others who do; nothing in it changes.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Answer a query of a DuckDB file.")
@click.argument("query", metavar="SQL")
@database_option("DuckDB file to read; it is never made.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, all rows, instead of a table of the first 200.")
@json_option
@verbose_option
@click.pass_obj
def sql(talk: Talk, /, *, query: str, database: str, as_csv: bool) -> None:
    """Answer SQL, one query that only reads, as a table, CSV or a JSON list of objects."""
    import tempfile  # noqa: PLC0415 - --help needs none of it

    from ..store import answer, reading  # noqa: PLC0415 - --help needs no DuckDB

    if as_csv and talk.as_json:
        raise click.UsageError("--csv and --json exclude each other.")
    with talk.listening(), reading(database) as store, closing(store.reader()()) as connection:
        found = answer(connection, query, "json" if talk.as_json else "text")
        if not (as_csv or talk.as_json):
            _print_table(found, talk)
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as spool:
            (_write_csv if as_csv else _write_json)(found, spool)
            spool.seek(0)
            talk.rows(spool)


def _print_table(found: Answer, talk: Talk) -> None:
    rows = list(itertools.islice(found.rows, _MOST_ROWS + 1))
    cells = [["NULL" if cell is None else cell for cell in row] for row in rows[:_MOST_ROWS]]
    width = line_width() if on_terminal() else None
    click.echo(table_text(found.columns, cells, width, right=found.numeric))
    if not rows:
        talk.note("No rows.")
    if len(rows) > _MOST_ROWS:
        talk.note(f"These are the first {_MOST_ROWS} rows; --csv or --json prints all of them.")


def _write_csv(found: Answer, file: IO[str]) -> None:
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(found.columns)
    lines.writerows(["" if cell is None else cell for cell in row] for row in found.rows)


def _write_json(found: Answer, file: IO[str]) -> None:
    names = [json.dumps(name) for name in found.columns]
    file.write("[")
    for number, row in enumerate(found.rows):
        fields = ", ".join(f"{name}: {_strict(cell)}" for name, cell in zip(names, row, strict=True))
        file.write(f"{',' if number else ''}\n  {{{fields}}}")
    file.write("\n]\n")


def _strict(cell: str | None) -> str:
    """Write what DuckDB writes as JSON so that strict readers take it: NaN and Infinity as texts, all else as it is."""
    return "null" if cell is None else _TEXT_OR_ODD.sub(_mended, cell)


def _mended(found: re.Match[str]) -> str:
    return found[0] if found[1] else "" if found[0] == "," else f'"{found[0]}"'
