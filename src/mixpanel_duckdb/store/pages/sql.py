"""The SQL that takes pages apart: from page indices (``$1``) and lists of profiles (``$2``) to a row each."""

from __future__ import annotations

from .fidelity import MAX_NESTING

__all__ = ["CAREFUL", "COUNTS", "DEEP", "FAST", "MOMENT", "STATISTICS", "columns"]

_BRACKETS = "2 * strlen(properties) - strlen(replace(properties, '{', '')) - strlen(replace(properties, '[', ''))"
# Nesting deeper than the limit takes at least so many characters and brackets. Almost never true, and cheap to ask in
# this form: both sides of an AND would be computed for every row.
DEEP = f"CASE WHEN strlen(properties) > {2 * MAX_NESTING} THEN {_BRACKETS} > {MAX_NESTING} ELSE false END"
_BODIES = "(SELECT unnest($1::INTEGER[]) AS page, unnest($2::BLOB[]) AS body)"
FAST = f"""
    SELECT page, p."$distinct_id" AS distinct_id, p."$properties" AS properties
    FROM (SELECT page, unnest(from_json(decode(body),
            '[{{"$distinct_id":"VARCHAR","$properties":"JSON"}}]')) AS p FROM {_BODIES})
"""
# Slower, for pages with entries that are no objects: what came in place of a profile is kept as its properties.
CAREFUL = f"""
    SELECT page, r->>'$."$distinct_id"' AS distinct_id,
           CASE WHEN json_type(r) = 'OBJECT' THEN nullif((r->'$."$properties"')::VARCHAR, 'null')::JSON
                WHEN json_type(r) <> 'NULL' THEN r END AS properties
    FROM (SELECT page, unnest(from_json(decode(body), '["JSON"]')) AS r FROM {_BODIES})
"""
# `$last_seen` straight from the text, which DuckDB writes without white space: parsing each profile once more for it
# costs three times as much. No brace may stand before the key, or it could be the key of an inner object.
_SEEN = """
    CASE WHEN place = 0 THEN NULL
         WHEN strlen(told) = 21 AND starts_with(told, '"') AND strpos(substring(told, 2), '"') = 20
             AND NOT contains(before, '{') AND (before = '' OR ends_with(before, ',')) THEN substring(told, 2, 19)
         ELSE properties->>'$."$last_seen"' END
"""
# Text that DuckDB would cast although it is no moment ("infinity", a named zone, the year 0) counts as unreadable.
_PLAIN = "strlen(seen) = 19 AND seen[17] = ':' AND seen >= '0001' AND seen < ':'"


def _readable(moment: str) -> str:
    """Give a moment, or NULL where Python, Arrow and Parquet have no such year: a zone or "24:00" may lead there."""
    known = "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
    return f"CASE WHEN {moment} {known} THEN {moment} END"


def columns(profiles: str) -> str:
    """Write the query for a group's table.

    Args:
        profiles: A query for ``page``, ``distinct_id`` and ``properties``.
    """
    return f"""
        SELECT page, distinct_id, coalesce(properties, '{{}}') AS properties, last_seen,
               CASE WHEN last_seen IS NULL THEN seen END AS unread, properties IS NULL AS without_properties,
               distinct_id IS NULL OR properties IS NULL OR (last_seen IS NULL AND seen IS NOT NULL)
                   OR strlen(properties) > {2 * MAX_NESTING} AS odd
        FROM (SELECT *, CASE WHEN {_PLAIN} THEN {_readable("try_cast(seen AS TIMESTAMP)")} END AS last_seen
        FROM (SELECT *, {_SEEN} AS seen
        FROM (SELECT *, substring(properties, 2, place - 2) AS before, substring(properties, place + 13, 21) AS told
        FROM (SELECT *, strpos(properties, '"$last_seen":') AS place FROM ({profiles})))))
    """


# `last_seen` is UTC without a zone: an offset, which Mixpanel does not send today, is taken off the wall time.
_WALL = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\\.[0-9]+)?)?)?"
_ZONE = " ?(?:Z|UTC|([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?)?"
_MINUTES = f"""
    coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 1) || '1' AS INTEGER), 1)
    * (coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 2) AS INTEGER), 0) * 60
       + coalesce(try_cast(regexp_extract(unread, '^{_WALL}{_ZONE}$', 3) AS INTEGER), 0))
"""
MOMENT = f"""
    CASE WHEN unread >= '0001' AND regexp_full_match(unread, '{_WALL}{_ZONE}')
    THEN {_readable(f"try_cast(regexp_extract(unread, '^{_WALL}') AS TIMESTAMP) - to_minutes({_MINUTES})")} END
"""
COUNTS = "SELECT page, count(*), count(*) FILTER (odd)"
STATISTICS = f"""
    SELECT page, count(*), count(*) FILTER (distinct_id IS NULL), count(*) FILTER (without_properties),
           count(*) FILTER (unread IS NOT NULL AND last_seen IS NULL),
           count(*) FILTER ({DEEP}),
           count(*) FILTER (distinct_id IS NULL AND without_properties)
"""
