"""Streams to rows: one transaction for each, which its last piece commits and anything else rolls back.

Until then no reader sees a row of it, and what was there of its days stays: a stream that breaks off, a process that is
killed or a full disk leave nothing behind. Several streams are written side by side, by two threads: each stream's
rows are all inserted by the stager's, or all by the writer's, which ends it in any case.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Self

import duckdb

from ...events import DayRange
from ...fidelity import MAX_NESTING, flatten, mend
from ..database import Database, guard_log, literal, quote, storage_errors
from ..journal import FetchSpec
from .pieces import EventGroup, EventPiece, EventReceipt, OddEvents
from .schema import DAYS, STRAYS
from .schema import ODD as COUNTED
from .spool import Spool
from .sql import DAYS_OF_LINES, ODD, ROWS, ROWS_MADE_PLAIN, columns_of_events, rows_of
from .strays import put_strays, take_strays

__all__ = ["EventIngest"]

_HASHES_AT_ONCE = 1_000_000
_NOTHING_ODD = OddEvents()
# Where every line of white space begins, but for the first.
_MAYBE_BLANK = re.compile(rb"\n\s")
# Of DuckDB, for rows of several streams that are not committed yet.
_MEMORY = "300MB"


@dataclass(slots=True)
class _Stream:
    """Days, the transaction that replaces them, which of the two threads inserts into it, and what it has found."""

    first: date
    last: date
    asked_at: datetime
    staged: bool
    cursor: duckdb.DuckDBPyConnection | None = None
    rows: int = 0
    outside: int = 0
    odd: defaultdict[date, OddEvents] = field(default_factory=lambda: defaultdict(OddEvents))
    problem: str | None = None

    @property
    def bounds(self) -> list[date]:
        """From the first moment of the days to the first one behind them."""
        return [self.first, self.end]

    @property
    def end(self) -> date:
        """The first day behind them."""
        return self.last + timedelta(days=1)

    def count(self, day: date | None, odd: OddEvents) -> None:
        """Count what is odd in an event; if that is of none of the days, with the first, as strays are."""
        self.odd[day if day is not None and self.first <= day <= self.last else self.first].add(odd)

    def run(self, sql: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a statement in the transaction."""
        assert self.cursor is not None  # noqa: S101 - begun by whoever inserts
        return self.cursor.execute(sql, values).fetchall()

    def close(self) -> None:
        """Give the transaction up, unless it is committed."""
        if self.cursor is not None:
            self.cursor.close()


class EventIngest:
    """Stores streams in one table; entered and left on the writer's thread, which calls ``commit``.

    Args:
        database: Where to write.
        spec: What is fetched, and into which table.
        one_by_one: Whether a stream is begun only when the one before has ended.

    Attributes:
        one_by_one: Likewise; whoever hands streams over must not mix them then.
    """

    def __init__(self, database: Database, spec: FetchSpec, *, one_by_one: bool = False) -> None:
        self.one_by_one: bool = one_by_one
        self._database = database
        self._spec = spec
        self._table = quote(spec.table)
        self._streams: dict[int, _Stream] = {}

    def __enter__(self) -> Self:
        with ExitStack() as taken, storage_errors("make room for pieces of streams"):
            taken.enter_context(self._database.tuning.within(_MEMORY))
            self._spool = Spool(taken.enter_context(self._database.cursor()), self._database.file)
            taken.callback(self._spool.close)
            self._taken = taken.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        with self._taken, storage_errors("give up what is not whole"):
            for stream in self._streams.values():
                stream.close()

    def stage(self, pieces: Sequence[EventPiece]) -> EventGroup:
        """Look at pieces, and insert those of some streams; the writer, who has less to look at, does the others."""
        size = sum(each.size for each in pieces)
        with storage_errors(f"store events in {self._spec.table!r}"):
            return EventGroup(tuple(map(self._staged, pieces)), size)

    def commit(self, groups: Sequence[EventGroup]) -> tuple[EventReceipt, ...]:
        """Insert what is left, and commit the streams whose last piece is among them.

        Raises:
            StorageError: DuckDB or the disk refused.
        """
        with storage_errors(f"store events in {self._spec.table!r}"):
            return tuple(self._written(piece) for group in groups for piece in group.pages)

    def _staged(self, piece: EventPiece) -> EventPiece:
        stream = self._streams.get(piece.stream)
        if stream is None:
            others = list(self._streams.values())  # the writer takes some out meanwhile
            # Days that are asked for again: behind the writer, who may still have to roll back what came before.
            behind = self.one_by_one or any(each.first <= piece.last and piece.first <= each.last for each in others)
            here = sum(each.staged for each in others)
            stream = _Stream(piece.first, piece.last, piece.asked_at, staged=not behind and 3 * here < len(others))
            self._streams[piece.stream] = stream
        if piece.text and stream.problem is None:
            text, lines = _lines(piece.text)
            file = self._spool.put(text, lines)
            piece = replace(piece, text=b"" if file else text, file=file, lines=lines)
        if not stream.staged:
            return piece
        self._insert(stream, piece)
        return replace(piece, text=b"", file=None)

    def _written(self, piece: EventPiece) -> EventReceipt:
        stream = self._streams[piece.stream]
        if not stream.staged:
            self._insert(stream, piece)
        receipt = EventReceipt(piece.stream, stream.rows, stream.problem)
        if piece.ends and stream.problem is None:
            self._end(stream)
        if piece.ends or piece.broken or stream.problem:
            stream.close()
        if piece.ends or piece.broken:
            del self._streams[piece.stream]
        return receipt

    def _begin(self, stream: _Stream) -> None:
        """Open a transaction, and take away what it replaces."""
        table, days = self._spec.table, [self._spec.table, stream.first, stream.last]
        cursor = stream.cursor = self._database.cursor()
        cursor.execute("BEGIN")
        if not stream.run(f"SELECT 1 FROM {DAYS} WHERE table_name = ? AND day BETWEEN ? AND ? LIMIT 1", days):
            return
        if self.one_by_one:
            take_strays(cursor, table, list(DayRange(stream.first, stream.last)))
        stream.run(f"DELETE FROM {self._table} WHERE time >= ? AND time < ?", stream.bounds)
        put_strays(cursor, table, "time >= ? AND time < ?", stream.bounds)
        stream.run(f"DELETE FROM {DAYS} WHERE table_name = ? AND day BETWEEN ? AND ?", days)

    def _insert(self, stream: _Stream, piece: EventPiece) -> None:
        """Insert the events of a piece; of one that has other lines, too, nothing counts, and nothing that follows."""
        if piece.broken or stream.problem is not None:
            return
        if stream.cursor is None:
            self._begin(stream)
        if piece.file is not None:
            here = self._insert_plain(stream, rows_of(columns_of_events(literal(piece.file))), piece.lines)
            self._spool.drop(piece.file)
        else:
            here = self._insert_lines(stream, piece.text, piece.lines)
        stream.rows += here
        if here != piece.lines:
            stream.problem = "a line of the export is no event"

    def _insert_lines(self, stream: _Stream, text: bytes, lines: int) -> int:
        """Insert the events of some lines, made plain where they are not; say how many there are."""
        here = self._insert_plain(stream, ROWS, lines, text)
        if here == lines:
            return here
        odd = stream.run(ODD, {"text": text})
        if not (here or odd):  # bytes that are no text: DuckDB has not looked at the lines
            plain = _all_made_plain(stream, ((line, False) for line in text.split(b"\n")))
            return self._insert_lines(stream, plain, lines)
        return here + self._insert_plain(stream, ROWS_MADE_PLAIN, len(odd), _all_made_plain(stream, odd))

    def _insert_plain(self, stream: _Stream, rows: str, lines: int, text: bytes | None = None) -> int:
        """Insert the plain events of some lines; say how many there are."""
        within = outside = 0
        given: dict[str, object] = {"first": stream.first, "end": stream.end} | ({} if text is None else {"text": text})
        if lines:
            ((within,),) = stream.run(
                f"INSERT INTO {self._table} SELECT * FROM ({rows}) WHERE time >= $first AND time < $end", given
            )
        if within < lines:
            ((outside,),) = stream.run(
                f"INSERT INTO {STRAYS} SELECT $table, $first::DATE, * FROM ({rows}) "
                "WHERE time IS NULL OR time < $first OR time >= $end",
                given | {"table": self._spec.table},
            )
        stream.outside += outside
        return int(within + outside)

    def _end(self, stream: _Stream) -> None:
        """Write the journal and commit."""
        spec = self._spec
        assert stream.cursor is not None  # noqa: S101 - begun by whoever inserts
        if stream.outside:
            put_strays(stream.cursor, spec.table, "day = ?", [stream.first])
            stream.count(None, OddEvents(outside=stream.outside))
        self._count_duplicates(stream)
        days = list(DayRange(stream.first, stream.last))
        stream.run(
            f"""
            INSERT INTO {DAYS} SELECT $table, day, $project, $host, $query, coalesce(n, 0), $at,
                                      {", ".join(f"counts[{number}]" for number in range(1, 1 + len(COUNTED)))}
            FROM (SELECT unnest($days::DATE[]) AS day, unnest($counts::BIGINT[][]) AS counts)
            LEFT JOIN (SELECT time::DATE AS day, sum(one) AS n
                       FROM (SELECT time, 1 AS one FROM {self._table} UNION ALL  -- but those that came with other days
                             SELECT time, -1 FROM {STRAYS} WHERE table_name = $table)
                       WHERE time >= $first AND time < $end GROUP BY ALL) USING (day)
            """,
            {
                "table": spec.table, "project": spec.project_id, "host": spec.host, "query": spec.query,
                "days": days, "counts": [list(astuple(stream.odd[day])) for day in days], "at": stream.asked_at,
                "first": stream.first, "end": stream.end,
            },
        )  # fmt: skip
        stream.run("COMMIT", [])
        guard_log(stream.cursor)

    def _count_duplicates(self, stream: _Stream) -> None:
        """Count the events that repeat another, some of them at a time."""
        parts = 1 + stream.rows // _HASHES_AT_ONCE
        for part in range(parts if stream.rows else 0):
            repeated = stream.run(
                "SELECT day, sum(many - 1)::BIGINT FROM (SELECT min(time)::DATE AS day, count(*) AS many FROM "
                f"(SELECT time, hash(event, distinct_id, time, insert_id) AS h FROM {self._table} "
                f"WHERE time >= ? AND time < ? AND insert_id IS NOT NULL) WHERE h % {parts} = {part} "
                "GROUP BY h HAVING count(*) > 1) GROUP BY ALL",
                stream.bounds,
            )
            for day, many in repeated:
                stream.count(day, OddEvents(duplicates=many))


def _all_made_plain(stream: _Stream, lines: Iterable[tuple[bytes | str, bool]]) -> bytes:
    """Mend lines, and count what was done, each with its day.

    Args:
        stream: Counts.
        lines: Each with whether it had other fields beside its own.
    """
    made = [_made_plain(*each) for each in lines]
    if changed := [each for each in made if each[1] != _NOTHING_ODD]:
        days = stream.run(DAYS_OF_LINES, {"text": b"\n".join(text for text, _ in changed)})
        for (day,), (_, odd) in zip(days, changed, strict=True):
            stream.count(day, odd)
    return b"\n".join(text for text, _ in made)


def _made_plain(line: bytes | str, with_other_fields: bool) -> tuple[bytes, OddEvents]:
    found = mend(line.encode() if isinstance(line, str) else line)
    # Its properties are one level down.
    text, flattened = flatten(found.text.decode(), MAX_NESTING + 1)
    return text.encode(), OddEvents(0, 0, int(with_other_fields), found.replaced, found.mended, flattened)


def _lines(text: bytes) -> tuple[bytes, int]:
    """Leave out lines of white space and the last line end; count the lines."""
    if text[:1].isspace() or _MAYBE_BLANK.search(text):
        text = b"\n".join(line for line in text.split(b"\n") if line.strip())
    text = text.rstrip()
    return text, text.count(b"\n") + 1 if text else 0
