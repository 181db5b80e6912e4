"""Of which clock the times are: UTC, or that on the wall of the project, as in projects made before 2023.

The export does not say. But the moment at which Mixpanel received an event is UTC in any project, and most events are
sent when they happen: so the most frequent difference tells. Nothing is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb

from ..database import only_row, quote

__all__ = ["clock_offset"]

# Days and events that are looked at.
_MOST_DAYS, _SAMPLE = 10, 20_000
# Fewer events than this, or a smaller share of them, tell nothing.
_LEAST, _SHARE = 10, 0.3
_STEP, _EAST, _WEST = 15, 14 * 60, 12 * 60


def clock_offset(cursor: duckdb.DuckDBPyConnection, table: str, days: Sequence[date]) -> int | None:
    """Give the minutes that the clock is before UTC, if events of the newest of some days tell."""
    newest = sorted(days)[-_MOST_DAYS:]
    # Whoever sends events writes this property, too: as DOUBLE no difference of whole numbers overflows.
    row = newest and only_row(
        cursor,
        f"""
        SELECT minutes, many, total FROM (
            SELECT minutes, count(*) AS many, sum(count(*)) OVER () AS total FROM (
                SELECT (round((epoch_ms(time) - sent) / {_STEP * 60_000}.0) * {_STEP})::BIGINT AS minutes FROM (
                    SELECT time, try_cast(properties->>'$."$mp_api_timestamp_ms"' AS BIGINT)::DOUBLE AS sent
                    FROM {quote(table)} WHERE time >= $1 AND time < $2::DATE + 1 LIMIT {_SAMPLE}))
            WHERE minutes IS NOT NULL GROUP BY minutes)
        ORDER BY many DESC, abs(minutes) ASC LIMIT 1
        """,
        [newest[0], newest[-1]],
    )
    if not row:
        return None
    minutes, many, total = row
    return int(minutes) if total >= _LEAST and many >= _SHARE * total and -_WEST <= minutes <= _EAST else None
