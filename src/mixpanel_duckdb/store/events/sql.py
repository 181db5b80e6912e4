"""The SQL that takes lines of JSON (``$text``) apart: a row for each that is a plain event, and all others as lines.

A line is parsed once, and its properties once more for the columns. It is plain if it is an object of a text ``event``
and an object ``properties``, no deeper than DuckDB's functions bear, and of nothing else: then its parts are as long as
it is, or its keys are these two.
"""

from __future__ import annotations

from ..pages import DEEP, has_odd_number, members_but

__all__ = [
    "AROUND",
    "DAYS_OF_LINES",
    "ODD",
    "ROWS",
    "ROWS_MADE_PLAIN",
    "columns_of_events",
    "has_longer_number",
    "is_of_both",
    "rows_if_plain",
    "rows_of",
]

# Milliseconds are asked for. A server that gives seconds all the same gives a number that would be a moment of 1970:
# Mixpanel takes no event of before 1971, on any clock.
_MICROSECONDS = """
    CASE WHEN sent >= -62135596800 AND sent < 31000000000 THEN sent * 1000000
         WHEN sent BETWEEN 31000000000 AND 253402300799999 THEN sent * 1000 END
"""
# DuckDB writes such a number in more letters than it came: then lengths tell nothing. A text may look so, too.
# The patterns begin with letters, as those of odd numbers do.
_LONGER = " OR ".join(rf"regexp_matches(text, '{letter}[-+]?[0-9]+\s*[,}}\]]')" for letter in "eE")


def has_longer_number(text: str) -> str:
    """Write the condition that a text of JSON may have a number with an exponent."""
    return f"({_LONGER.replace('text', text)})"


def is_of_both(text: str) -> str:
    """Write the condition that an object has an event and properties, each once, and nothing else."""
    return f"list_sort(json_keys({text})) = ['event', 'properties']"


_LINES = f"""
    SELECT unnest(string_split(text, chr(10))) AS line, {has_odd_number("text")} AS perhaps,
           {has_longer_number("text")} AS longer
    FROM (SELECT TRY(decode($text::BLOB)) AS text)
"""
# What a line has around its event, with its quotes if it is a text, and its properties.
AROUND = len('{"event":,"properties":}')
_PARSED = f"""
    SELECT line, e.event AS event, e.properties AS properties,
           coalesce(starts_with(e.properties, '{{'), false)
               AND CASE WHEN e.event IS NULL AND e.properties IS NOT NULL
                        THEN list_contains(json_keys(line), 'event') ELSE true END
               AND NOT CASE WHEN perhaps THEN {has_odd_number("line")} ELSE false END AS is_event,
           CASE WHEN e.properties IS NULL THEN false
                WHEN NOT longer AND strlen(line) = strlen(e.event) + strlen(e.properties) + {AROUND + 2} THEN true
                ELSE {is_of_both("line")} END AS alone
    FROM (SELECT line, perhaps, longer, TRY(from_json(line, '{{"event":"VARCHAR","properties":"JSON"}}')) AS e
          FROM ({_LINES}))
"""


def rows_of(events: str, more: str = "") -> str:
    """Write the query for the rows of a table of events.

    Args:
        events: A query for ``event`` and ``properties``.
        more: Other columns of it to keep, each behind a comma.
    """
    return f"""
        SELECT event, make_timestamp(CAST({_MICROSECONDS} AS BIGINT)) AS time, k.distinct_id AS distinct_id,
               k."$insert_id" AS insert_id, properties{more}
        FROM (SELECT *, try_cast(k.time AS DOUBLE) AS sent
              FROM (SELECT *, from_json(properties,
                                        '{{"time":"VARCHAR","distinct_id":"VARCHAR","$insert_id":"VARCHAR"}}') AS k
                    FROM ({events})))
    """


def columns_of_events(file: str, kind: str = "VARCHAR") -> str:
    """Write the query for the events of a file, a literal; what else a line has is left out, and none is refused.

    Args:
        file: The file.
        kind: Type of the event's name; as ``JSON`` it keeps the quotes that tell a text from a number.
    """
    return f"""
        SELECT event, properties FROM read_json({file}, format = 'newline_delimited', ignore_errors = true,
                                                columns = {{'event': '{kind}', 'properties': 'JSON'}})
    """


def rows_if_plain(file: str) -> str:
    """Write the query for the rows of a file of ``$lines``, if its events and properties have ``$held`` bytes: all.

    No part is longer than it came, but for numbers that are looked for: no line's parts hide what another has more.
    """
    events = f"""
        SELECT event->>'$' AS event, properties, strlen(event) + strlen(properties) AS held,
               NOT starts_with(properties, '{{') OR ({DEEP}) AS odd
        FROM ({columns_of_events(file, "JSON")})
    """
    return f"""
        WITH piece AS MATERIALIZED ({rows_of(events, ", held, odd")}),
             seen AS (SELECT count(*) = $lines AND sum(held) = $held AND NOT bool_or(odd) AS plain FROM piece)
        SELECT event, time, distinct_id, insert_id, properties FROM piece, seen WHERE plain
    """


# Lines as they come, and those that were made plain: they may still have many brackets.
_PLAIN = f"SELECT event, properties FROM ({_PARSED}) WHERE is_event AND alone"
ROWS, ROWS_MADE_PLAIN = rows_of(f"{_PLAIN} AND NOT ({DEEP})"), rows_of(_PLAIN)
_BESIDE = members_but("'event', 'properties'", repeated=True)
_TOGETHER = """
    CASE WHEN beside IS NULL THEN properties WHEN properties = '{}' THEN '{' || beside || '}'
         ELSE left(properties, -1) || ',' || beside || '}' END
"""
# An event that only has more than it should is given with all of it in its properties, any other line as it came.
ODD = f"""
    SELECT CASE WHEN is_event THEN '{{"event":' || coalesce(to_json(event)::VARCHAR, 'null') || ',"properties":'
                     || {_TOGETHER} || '}}' ELSE line END, beside IS NOT NULL
    FROM (SELECT *, CASE WHEN is_event AND NOT alone THEN {_BESIDE} END AS beside
          FROM (SELECT *, line AS others FROM ({_PARSED})))
    WHERE NOT (is_event AND alone) OR ({DEEP})
"""
# Of which day each line is, in their order; their numbers go where names of events do.
_NUMBERED = """
    SELECT number AS event, CASE WHEN starts_with(e.properties, '{') THEN e.properties END AS properties
    FROM (SELECT number, TRY(from_json(line, '{"properties":"JSON"}')) AS e
          FROM (SELECT unnest(lines) AS line, generate_subscripts(lines, 1) AS number
                FROM (SELECT string_split(decode($text::BLOB), chr(10)) AS lines)))
"""
DAYS_OF_LINES = f"SELECT time::DATE FROM ({rows_of(_NUMBERED)}) ORDER BY event ASC"
