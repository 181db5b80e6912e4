"""What one JSON value can be, told apart in SQL: fine enough that counts alone decide a column's type.

Every value gets exactly one kind, so a property is known by how often each kind occurs. The text that is looked at is
DuckDB's own writing of the value, where every fraction has a point or an exponent and no integer has either.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["LIMIT_OF_EXACT_DOUBLES", "TIME_FORMATS", "Kind", "kind_of"]

LIMIT_OF_EXACT_DOUBLES = 2**53


class Kind(IntEnum):
    """One kind of JSON value; the numbers are what SQL counts by."""

    NULL = 0
    BOOLEAN = 1
    TEXT = 2
    LIST = 3
    OBJECT = 4
    TIME = 10
    TIME_Z = 11
    TIME_MS = 12
    TIME_MS_Z = 13
    EXACT_INTEGER = 20  # a double holds it exactly
    EXACT_NEGATIVE = 21
    BIGINT = 22
    UBIGINT = 23  # too large for BIGINT
    HUGEINT = 24  # too large, or too small, for both
    ENDLESS_INTEGER = 25  # beyond 128 bits
    DOUBLE = 30
    ENDLESS_DOUBLE = 31  # beyond what a double holds, such as 1e400; also Infinity and NaN, which DuckDB takes for JSON


TIME_FORMATS = {
    Kind.TIME: "%Y-%m-%dT%H:%M:%S",
    Kind.TIME_Z: "%Y-%m-%dT%H:%M:%SZ",
    Kind.TIME_MS: "%Y-%m-%dT%H:%M:%S.%g",
    Kind.TIME_MS_Z: "%Y-%m-%dT%H:%M:%S.%gZ",
}
"""How each kind of moment is written; reading and writing it again gives the same text."""

_LENGTHS = {Kind.TIME: 19, Kind.TIME_Z: 20, Kind.TIME_MS: 23, Kind.TIME_MS_Z: 24}


def kind_of(value: str) -> str:
    """Give the SQL that tells a value's kind.

    Args:
        value: Name of a VARCHAR column with JSON text as DuckDB writes it.
    """
    first, digits = f"ord({value})", f"try_cast({value} AS HUGEINT)"
    exact = f"CASE WHEN {first} = {ord('-')} THEN {Kind.EXACT_NEGATIVE:d} ELSE {Kind.EXACT_INTEGER:d} END"
    return f"""
        CASE WHEN {first} = {ord('"')} THEN {_text_kind(value)}
             WHEN {first} = {ord("[")} THEN {Kind.LIST:d}
             WHEN {first} = {ord("{")} THEN {Kind.OBJECT:d}
             WHEN {first} = {ord("n")} THEN {Kind.NULL:d}
             WHEN {first} IN ({ord("t")}, {ord("f")}) THEN {Kind.BOOLEAN:d}
             WHEN {first} > {ord("9")} OR starts_with({value}, '-I') THEN {Kind.ENDLESS_DOUBLE:d}
             WHEN contains({value}, '.') OR contains({value}, 'e')
             THEN CASE WHEN isfinite(try_cast({value} AS DOUBLE)) THEN {Kind.DOUBLE:d} ELSE {Kind.ENDLESS_DOUBLE:d} END
             WHEN strlen({value}) < 16 THEN {exact}
             WHEN {digits} IS NULL THEN {Kind.ENDLESS_INTEGER:d}
             WHEN {digits} BETWEEN -{LIMIT_OF_EXACT_DOUBLES} AND {LIMIT_OF_EXACT_DOUBLES} THEN {exact}
             WHEN try_cast({value} AS BIGINT) IS NOT NULL THEN {Kind.BIGINT:d}
             WHEN try_cast({value} AS UBIGINT) IS NOT NULL THEN {Kind.UBIGINT:d}
             ELSE {Kind.HUGEINT:d} END::TINYINT
    """


def _text_kind(value: str) -> str:
    """A moment is a text that comes back the same from a TIMESTAMP, of a year that Python and Arrow know, too.

    The length goes first because it costs nothing.
    """
    moment = f"try_cast({value}[2:-2] AS TIMESTAMP)"
    cases = " ".join(
        f"WHEN strlen({value}) = {length + 2} AND strftime({moment}, '\"{TIME_FORMATS[kind]}\"') = {value} "
        f"THEN {kind:d}"
        for kind, length in _LENGTHS.items()
    )
    lengths = ", ".join(str(length + 2) for length in _LENGTHS.values())
    return (
        f"CASE WHEN strlen({value}) IN ({lengths}) AND {value}[12] = 'T' AND {value}[2:5] <> '0000' "
        f"THEN CASE {cases} ELSE {Kind.TEXT:d} END ELSE {Kind.TEXT:d} END"
    )
