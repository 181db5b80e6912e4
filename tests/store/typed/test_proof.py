"""What is proven of nested structures is what a look inside would find, whatever comes behind the first rows."""

import json

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any_json import strict_objects
from mixpanel_duckdb.store.typed import infer
from mixpanel_duckdb.store.typed.proof import proven
from mixpanel_duckdb.store.typed.shape import structure

REGULAR = {"at": {"lat": 0.5, "near": ["x"]}, "items": [{"yes": True, "n": 1}], "grid": [[1], []]}
PROVEN = {
    "at": '{"lat": "DOUBLE", "near": ["VARCHAR"]}',
    "items": '[{"n": "BIGINT", "yes": "BOOLEAN"}]',
    "grid": '[["BIGINT"]]',
}


def table(texts, regular=0):
    """A profiles table of these properties, behind so many regular ones."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.execute(f"INSERT INTO profiles SELECT NULL, $1, NULL FROM range({regular})", [json.dumps(REGULAR)])
    connection.execute("INSERT INTO profiles SELECT NULL, unnest($1::JSON[]), NULL", [texts])
    return connection


def without_a_look(connection, names=REGULAR):
    return {name: json.dumps(each) for name, each in proven(connection, "profiles", names).items()}


def structures(connection):
    found = infer.read_properties(connection, "profiles")
    return {name: json.dumps(structure(shape)) for name, shape in found.shapes.items()}


def looked_inside(connection):
    """The same without any proof."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer, "proven", lambda *_: {})
        return structures(connection)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(REGULAR),
        '{"at": null, "grid": []}',
        '{"items": [null, {"yes": false, "n": null}], "grid": [null, [null]]}',
        '{"at": {"lat": -1e22, "near": ["\\u0000", "\\ud83e\\udd86", "/"]}}',
        '{"items": [{"yes": null, "n": 9223372036854775807}]}',
    ],
)
def test_what_is_written_alike_is_proven_without_a_look_inside(text):
    with table([text], regular=1100) as connection:
        assert without_a_look(connection) == PROVEN
        assert looked_inside(connection) == PROVEN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", '{"near": ["x"], "lat": 0.5}'),
        ("at", '{"lat": 0.5}'),
        ("at", '{"lat": 0.5, "near": ["x"], "more": 1}'),
        ("at", '{"lat": 0.5, "lat": 0.5, "near": ["x"]}'),
        ("at", '{"Lat": 0.5, "near": ["x"]}'),
        ("at", '{"lat": 1, "near": ["x"]}'),
        ("at", '{"lat": 1e400, "near": ["x"]}'),
        ("at", '{"lat": NaN, "near": ["x"]}'),
        ("at", '{"lat": -Infinity, "near": ["x"]}'),
        ("at", '{"lat": "0.5", "near": ["x"]}'),
        ("at", '{"lat": 0.5, "near": [1]}'),
        ("at", '{"lat": 0.5, "near": "x"}'),
        ("items", '[{"yes": true, "n": 1.0}]'),
        ("items", '[{"yes": true, "n": 9223372036854775808}]'),
        ("items", '[{"yes": "true", "n": 1}]'),
        ("items", "[[]]"),
        ("items", "[{}]"),
        ("grid", "[[[1]]]"),
        ("grid", "[[170141183460469231731687303715884105728]]"),
        ("grid", "[1]"),
    ],
)
def test_one_value_that_is_written_otherwise_behind_the_first_rows_is_looked_into(name, value):
    with table([f'{{"{name}": {value}}}'], regular=1100) as connection:
        assert without_a_look(connection) == {key: each for key, each in PROVEN.items() if key != name}
        assert structures(connection) == looked_inside(connection)


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        "{}",
        "[null]",
        '{"a": null}',
        '{"a": 1, "A": 2}',
        '{"": 1}',
        '{"a\\u0000": 1}',
        "[[[[[[1]]]]]]",
        json.dumps({f"f{number}": number for number in range(101)}),
        "[" * 60_000 + "]" * 60_000,
    ],
)
def test_nothing_is_proven_where_other_rows_could_change_the_type_or_json_is_kept(value):
    with table([f'{{"a": {value}}}']) as connection:
        assert without_a_look(connection, ["a"]) == {}


@pytest.mark.parametrize("value", ["[[[[[1]]]]]", json.dumps({f"f{number}": number for number in range(100)})])
def test_the_limits_of_levels_and_fields_are_those_of_a_look_inside(value):
    with table([f'{{"a": {value}}}']) as connection:
        assert without_a_look(connection, ["a"]) == looked_inside(connection)


@settings(max_examples=60, deadline=None)
@given(kinds=st.lists(strict_objects, min_size=1, max_size=3), picks=st.lists(st.integers(0, 2), max_size=8))
def test_any_rows_have_the_structures_that_a_look_inside_finds(kinds, picks):
    texts = [json.dumps({"a": kinds[pick % len(kinds)], "b": [kinds[0]]}) for pick in picks]
    with table([text for text in texts if "\\ud" not in text]) as connection:
        assert structures(connection) == looked_inside(connection)
