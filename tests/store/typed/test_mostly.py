"""Columns of the type that most values fit: what does not is counted, NULL, and kept; nothing else changes."""

import json
import random
from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb.simulator import Population


def typed(*values: Any, mostly: float | None = 0.9, **options: Any) -> md.TypedColumns:
    """Typed columns of profiles with a property ``a``."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.executemany(
        "INSERT INTO profiles VALUES (?, ?, NULL)",
        [(f"p{i}", json.dumps({"a": each})) for i, each in enumerate(values)],
    )
    return md.type_columns(connection, mostly=mostly, **options)


@pytest.mark.parametrize(
    ("usual", "odd", "kind"),
    [
        ([1, 2], ["12", "x", 2.5, True, None, [1]], "BIGINT"),
        ([1.5, 2], ["2.5", 2**60, False, {"b": 1}], "DOUBLE"),
        ([True, False], ["yes", 1, 0, "true"], "BOOLEAN"),
        (["x", "y"], [1, 2.5, True, ["z"], {"x": 1}], "VARCHAR"),
        (["2026-01-31T00:00:00"], ["soon", "2026-01-31T00:00:00Z", "", 7], "TIMESTAMP"),
        ([[1, 2], []], ["1", 3, {"x": [1]}], "BIGINT[]"),
        ([{"x": 1, "y": None}], ["x", [1], 1], "STRUCT(x BIGINT, y JSON)"),
        ([2**63], [0.5, "x"], "UBIGINT"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("materialize", [False, True])
def test_the_prevailing_type_wins_and_the_rest_is_null_counted_and_kept(usual, odd, kind, materialize):
    values = usual * 100 + odd
    made = typed(*values, materialize=materialize)
    (column,) = made.columns
    misfits = [value for value in odd if value is not None]
    assert (column.type, column.misfits, column.nulls) == (kind, len(misfits), odd.count(None))
    assert (column.mixed, column.rows, column.coverage) == (False, len(values), 1.0)
    assert made.relation().columns == ["distinct_id", "a", "last_seen", "properties"]
    rows = made.relation().fetchall()
    assert [row[1] is None for row in rows] == [False] * (len(usual) * 100) + [True] * len(odd)
    assert [json.loads(row[3])["a"] for row in rows] == values
    assert f"NULL there and kept in column 'properties': {len(misfits)} values of 1 column." in made.summary()
    assert made.to_dict()["columns"][0]["misfits"] == len(misfits)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1] * 90 + [0.5] * 10, "DOUBLE"),
        ([1] * 99 + [2**63], "UBIGINT"),
        (["x"] * 50 + [1] * 50, "JSON"),
        ([1] * 89 + ["x"] * 11, "JSON"),
        ([{"x": 1}] * 99 + [{}], "JSON"),
        ([{"x": 1}] * 98 + [{}, 1], "JSON"),
        ([None] * 100, "JSON"),
        ([None] * 99 + [1], "BIGINT"),
        (["2026-01-31T00:00:00"] * 50 + ["x"] * 50, "VARCHAR"),
    ],
)
def test_where_a_type_fits_all_or_none_fits_enough_nothing_is_a_misfit(values, kind):
    made, strict = typed(*values), typed(*values, mostly=None)
    assert made.columns == strict.columns
    assert made.relation().fetchall() == strict.relation().fetchall()
    assert (made.columns[0].type, made.columns[0].misfits) == (kind, 0)
    assert "properties" not in made.relation().columns


SCALARS = st.sampled_from([1, -3, 2**60, 2**70, 0.5, "x", "1", "2026-01-31T00:00:00", True, None, [1], ["x"], {"b": 1}])


@settings(max_examples=30, deadline=None)
@given(st.lists(SCALARS, min_size=1, max_size=40), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_whatever_the_values_are_a_column_has_each_or_counts_it(values, mostly):
    made = typed(*values, mostly=mostly)
    (column,) = made.columns
    rows = made.relation().fetchall()
    missing = sum(row[1] is None for row in rows)
    assert missing == column.misfits + column.nulls
    assert column.misfits <= (1 - mostly) * (len(values) - column.nulls) + 1e-9
    assert (made.relation().columns[-1] == "properties") is bool(column.misfits)
    for value, row in zip(values, rows, strict=True):
        if row[1] is not None and column.type in ("BIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "VARCHAR"):
            assert row[1] == value
    if mostly == 1.0:
        assert made.columns == typed(*values, mostly=None).columns


def test_a_property_that_few_profiles_have_stays_in_properties():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.execute("""INSERT INTO profiles SELECT i, CASE WHEN i % 10 = 0 THEN '{"b": 1, "a": 2}'
        ELSE '{"b": 1}' END, NULL FROM range(100) AS r(i)""")
    assert md.type_columns(connection, min_coverage=0.1).relation().columns == ["distinct_id", "b", "a", "last_seen"]
    made = md.type_columns(connection, min_coverage=0.11)
    assert made.relation().columns == ["distinct_id", "b", "last_seen", "properties"]
    assert [(each.property, each.column, each.rows) for each in made.columns] == [
        ("b", "b", 100),
        ("a", "properties", 10),
    ]
    assert "1 property that fewer profiles have is in column 'properties'" in made.summary()


def test_columns_stand_in_the_order_of_their_coverage_and_names_without_a_letter_last_of_equals():
    rows = [{"z": 1, "": 1, "$properties": 1, "b": 1}, {"z": 1, "_x": 1, "a": 1}]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.executemany("INSERT INTO profiles VALUES ('p', ?, NULL)", [(json.dumps(row),) for row in rows])
    made = md.type_columns(connection)
    assert [each.column for each in made.columns] == ["z", "a", "b", "$properties", "_", "_x"]
    assert made.relation().columns == ["distinct_id", *(each.column for each in made.columns), "last_seen"]


def test_the_demos_own_profiles_have_numbers_where_people_expect_them_and_are_else_as_before():
    usual = {
        "plan": str,
        "seats": int,
        "beta": bool,
        "mrr": float,
        "tags": list,
        "address": dict,
        "$browser_version": int,
    }
    kinds: dict[str, Counter[type]] = {name: Counter() for name in usual}
    for profile in Population(5000, seed=0, mixed=False).profiles():
        for name in usual.keys() & profile["$properties"].keys():
            kinds[name][type(profile["$properties"][name])] += 1
    assert {name: set(found) for name, found in kinds.items()} == {name: {kind} for name, kind in usual.items()}
    some = random.Random(1).randrange(5)
    assert next(iter(Population(some + 1, mixed=False).profiles())) == next(iter(Population(some + 1).profiles()))
