"""Typed columns: no value is lost, names are predictable, nothing but typed columns is ever replaced."""

import json
from datetime import datetime

import duckdb
import pytest

import mixpanel_duckdb as md


def profiles(*rows, connection=None):
    """A profiles table of these properties, in memory."""
    connection = connection or duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    texts = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    connection.execute("INSERT INTO profiles SELECT 'p' || i, unnest($1::JSON[]), NULL FROM (SELECT 0 AS i)", [texts])
    return connection


def typed(*rows, **options):
    return md.type_columns(profiles(*rows), **options)


def types(*rows):
    return {each.property: each.type for each in typed(*rows).columns}


def values(*rows):
    """The values of a property ``a``, one a row."""
    made = typed(*({"a": row} for row in rows))
    return made.columns[0].type, [row[1] for row in made.relation().fetchall()]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([True, False, None], "BOOLEAN"),
        ([1, -2, 2**63 - 1, -(2**63)], "BIGINT"),
        ([1, 2**63, 2**64 - 1], "UBIGINT"),
        ([-1, 2**63], "HUGEINT"),
        ([2**64], "HUGEINT"),
        ([2**127 - 1, -(2**127)], "HUGEINT"),
        ([0.1, 2, 2**53, -(2**53)], "DOUBLE"),
        ([5e-324, 1.7976931348623157e308, -0.0], "DOUBLE"),
        (["", "x", "\0", "🦆"], "VARCHAR"),
        (["2026-01-31", "2026-01-31T23:59:59"], "VARCHAR"),
        (["2026-02-30T00:00:00"], "VARCHAR"),
        (["2026-01-31T23:59:59Z", "2026-01-31T23:59:59"], "VARCHAR"),
        ([[1, None], [], [2**60]], "BIGINT[]"),
        ([[[1.5], []], [[2]]], "DOUBLE[][]"),
        ([{"x": 1, "y": None}, {"y": "z", "x": 2}], "STRUCT(x BIGINT, y VARCHAR)"),
        ([[{"x": [True]}], []], "STRUCT(x BOOLEAN[])[]"),
    ],
)
def test_a_type_fits_and_gives_every_value_back(given, kind):
    assert values(*given) == (kind, given)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([1, "1"], "JSON"),
        ([1, True], "JSON"),
        ([0.5, 2**53 + 1], "JSON"),
        ([2**127], "JSON"),
        ([{"x": 1}, {}], "JSON"),
        ([{"x": 1}, {"x": 1, "X": 2}], "JSON"),
        ([{}], "JSON"),
        ([[1], {"x": 1}], "JSON"),
        ([None], "JSON"),
    ],
)
def test_what_fits_no_type_stays_json_as_sent(given, kind):
    got, texts = values(*given)
    assert got == kind
    assert [None if text is None else json.loads(text) for text in texts] == given


@pytest.mark.parametrize(
    "text", ["2026-01-31T23:59:59", "2026-01-31T23:59:59Z", "2026-01-31T23:59:59.250", "2026-01-31T23:59:59.250Z"]
)
def test_moments_are_timestamps_that_give_their_text_back(text):
    made = typed({"a": text}, {"a": None}, {})
    (column,) = made.columns
    assert column.type == "TIMESTAMP"
    assert [row[1] for row in made.relation().fetchall()] == [
        datetime.fromisoformat(text).replace(tzinfo=None),
        None,
        None,
    ]
    assert made.relation().project(f"strftime(a, '{column.time_format}')").fetchall()[0][0] == text
