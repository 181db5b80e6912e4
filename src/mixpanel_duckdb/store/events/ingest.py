"""Streams to rows: one transaction for each, which its last piece commits and anything else rolls back.

Until then no reader sees a row of it, and what was there of its days stays: a stream that breaks off, a process that is
killed or a full disk leave nothing behind. Several streams come side by side, and the rows of one are inserted at a
time, since those that fill no row group yet stay in memory: what comes of others waits in files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, replace
from typing import Self

from ...events import DayRange
from ..database import Database, guard_log, literal, quote, storage_errors
from ..journal import FetchSpec
from .pieces import EventGroup, EventPiece, EventReceipt, OddEvents, PieceFile
from .schema import DAYS, STRAYS
from .schema import ODD as COUNTED
from .spool import Spool
from .sql import AROUND, ODD, ROWS, ROWS_MADE_PLAIN, columns_of_events, rows_if_plain, rows_of
from .strays import put_strays, take_strays
from .stream import Stream

__all__ = ["EventIngest"]

_HASHES_AT_ONCE = 1_000_000
_NOTHING: Mapping[str, object] = {}
# Where every line of white space begins, but for the first.
_MAYBE_BLANK = re.compile(rb"\n\s")
# Of DuckDB, for rows of several streams that are not committed yet.
_MEMORY = "250MB"
# Bytes for one statement, of which each costs as much as a piece.
_AT_ONCE = 16_000_000
# Bytes of a stream that may wait for the end of another's.
_MAY_WAIT = 500_000_000


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
        self._streams: dict[int, Stream] = {}

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
        """Put pieces into files, and look whether they are plain."""
        size = sum(each.size for each in pieces)
        with storage_errors(f"store events in {self._spec.table!r}"):
            return EventGroup(tuple(map(self._put, pieces)), size)

    def commit(self, groups: Sequence[EventGroup]) -> tuple[EventReceipt, ...]:
        """Insert what is left, and commit the streams whose last piece is among them.

        Raises:
            StorageError: DuckDB or the disk refused.
        """
        with storage_errors(f"store events in {self._spec.table!r}"):
            return tuple(self._written(piece) for group in groups for piece in group.pages)

    def _put(self, piece: EventPiece) -> EventPiece:
        if not piece.text:
            return piece
        text, lines = _lines(piece.text)
        file = self._spool.put(text, lines)
        return replace(piece, text=b"" if file else text, file=file, lines=lines)

    def _written(self, piece: EventPiece) -> EventReceipt:
        stream = self._streams.setdefault(piece.stream, Stream(piece.first, piece.last, piece.asked_at))
        self._take(stream, piece)
        receipt = EventReceipt(piece.stream, stream.rows, stream.problem)
        if piece.ends and stream.problem is None:
            self._end(stream)
        if piece.ends or piece.broken or stream.problem:
            stream.close()
        if piece.ends or piece.broken:
            del self._streams[piece.stream]
        return receipt

    def _take(self, stream: Stream, piece: EventPiece) -> None:
        """Insert a piece and those that have waited, or let it wait with them."""
        stream.waiting.append(piece)
        if (
            piece.broken
            or piece.ends
            or piece.text
            or sum(each.size for each in stream.files) >= self._may_wait(stream)
        ):
            if not (piece.broken or stream.problem):
                self._insert(stream, stream.waiting)
            for file in stream.files:
                self._spool.drop(file)
            stream.waiting = []

    def _may_wait(self, stream: Stream) -> int:
        """Say how many bytes of a stream may wait: for more of them, or for the end of another."""
        others = stream.cursor is None and any(each.cursor is not None for each in self._streams.values())
        return _MAY_WAIT if others else _AT_ONCE

    def _begin(self, stream: Stream) -> None:
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

    def _insert(self, stream: Stream, pieces: Sequence[EventPiece]) -> None:
        """Insert the events of pieces; where another line is among them, nothing counts, and nothing that follows."""
        if stream.cursor is None:
            self._begin(stream)
        here = sum(self._insert_files(stream, files) for files in _batches(stream.files))
        here += sum(self._insert_lines(stream, each.text, each.lines) for each in pieces if each.text)
        stream.rows += here
        stream.size += sum(each.file.size if each.file else each.size for each in pieces)
        if here != sum(each.lines for each in pieces):
            stream.problem = "a line of the export is no event"

    def _insert_files(self, stream: Stream, files: Sequence[PieceFile]) -> int:
        """Insert the events of files, all at once if none is odd; say how many there are."""
        read = f"[{', '.join(literal(each.path) for each in files)}]"
        rows, lines = rows_of(columns_of_events(read)), sum(each.lines for each in files)
        held = {"lines": lines, "held": sum(each.size for each in files) - lines * (AROUND + len("\n"))}
        known = files[0].plain
        within = 0 if known else self._insert_within(stream, rows_if_plain(read), held)
        if not (within or known):
            if len(files) > 1:
                return sum(self._insert_files(stream, [each]) for each in files)
            if not self._is_plain(files[0]):
                with open(files[0].path, "rb") as opened:
                    return self._insert_lines(stream, opened.read(), lines)
        if not within:
            within = self._insert_within(stream, rows)
            self._spool.compact = self._spool.compact and (known or not within)
        return within + (self._insert_strays(stream, rows) if within < lines else 0)

    def _is_plain(self, file: PieceFile) -> bool:
        with self._database.cursor() as cursor:
            return self._spool.is_plain(file, cursor)

    def _insert_lines(self, stream: Stream, text: bytes, lines: int) -> int:
        """Insert the events of some lines, made plain where they are not; say how many there are."""
        text = text.rstrip(b"\n")
        here = self._insert_plain(stream, ROWS, lines, text)
        if here == lines:
            return here
        odd = stream.run(ODD, {"text": text})
        if not (here or odd):  # bytes that are no text: DuckDB has not looked at the lines
            plain = stream.made_plain((line, False) for line in text.split(b"\n"))
            return self._insert_lines(stream, plain, lines)
        return here + self._insert_plain(stream, ROWS_MADE_PLAIN, len(odd), stream.made_plain(odd))

    def _insert_plain(self, stream: Stream, rows: str, lines: int, text: bytes) -> int:
        """Insert the plain events of some lines; say how many there are."""
        given = {"text": text}
        within = self._insert_within(stream, rows, given) if lines else 0
        return within + (self._insert_strays(stream, rows, given) if within < lines else 0)

    def _insert_within(self, stream: Stream, rows: str, given: Mapping[str, object] = _NOTHING) -> int:
        """Insert the rows of the days that were asked for; say how many there are."""
        ((within,),) = stream.run(
            f"INSERT INTO {self._table} SELECT * FROM ({rows}) WHERE time >= $first AND time < $end",
            {"first": stream.first, "end": stream.end, **given},
        )
        return int(within)

    def _insert_strays(self, stream: Stream, rows: str, given: Mapping[str, object] = _NOTHING) -> int:
        """Keep the rows of other days; say how many there are."""
        ((outside,),) = stream.run(
            f"INSERT INTO {STRAYS} SELECT $table, $first::DATE, * FROM ({rows}) "
            "WHERE time IS NULL OR time < $first OR time >= $end",
            {"first": stream.first, "end": stream.end, "table": self._spec.table, **given},
        )
        stream.outside += outside
        return int(outside)

    def _end(self, stream: Stream) -> None:
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
        with self._database.tuning.past_the_log(stream.cursor, stream.left):
            stream.run("COMMIT", [])
        guard_log(stream.cursor)

    def _count_duplicates(self, stream: Stream) -> None:
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


def _batches(files: Sequence[PieceFile]) -> Iterator[list[PieceFile]]:
    """Deal files into groups for one statement each; what is known to be plain may be longer when it is read.

    So it is in no group whose lengths are to tell what the others have.
    """
    batch: list[PieceFile] = []
    for file in files:
        if batch and (file.plain != batch[0].plain or sum(each.size for each in batch) >= _AT_ONCE):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _lines(text: bytes) -> tuple[bytes, int]:
    """Leave out lines of white space, and count the others; each has its line end."""
    if text[:1].isspace() or _MAYBE_BLANK.search(text):
        text = b"".join(line + b"\n" for line in text.split(b"\n") if line.strip())
    return text, text.count(b"\n")
