"""Typed columns: no value is lost, names are predictable, nothing but typed columns is ever replaced."""

import json
from datetime import datetime

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb.store.typed import build


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
        ([{"a\0b": {"x": [1]}}], "JSON"),
        ([{"": {"x": [1]}}], "JSON"),
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


def test_the_year_0_which_python_and_arrow_cannot_hold_stays_text():
    assert values("0000-01-01T00:00:00") == ("VARCHAR", ["0000-01-01T00:00:00"])


@pytest.mark.parametrize(
    "later", ['"never"', '""', "5", "true", "[1]", '{"b": 1}', '"infinity"', '"0000-01-01T00:00:00"', '"12345-01-01"']
)
def test_a_later_value_that_is_no_moment_is_null_and_every_row_of_the_view_stays_readable(later):
    connection = profiles({"a": "2026-01-31T23:59:59", "b": 1})
    made = md.type_columns(connection)
    connection.execute("""INSERT INTO profiles VALUES ('q', '{"a": ' || $1::VARCHAR || ', "b": 2}', NULL)""", [later])
    rows = made.relation().fetchall()
    assert rows == [("p0", datetime(2026, 1, 31, 23, 59, 59), 1, None), ("q", None, 2, None)]


def test_text_in_json_stays_apart_from_numbers():
    got, texts = values("1", 1, "null", None)
    assert (got, texts) == ("JSON", ['"1"', "1", '"null"', None])


def test_irregular_parts_are_json_and_the_rest_is_not():
    given = [{"sku": "a", "price": 1}, {"sku": "b", "price": "2 EUR"}]
    got, lists = values(given, [])
    assert got == "STRUCT(price JSON, sku VARCHAR)[]"
    assert lists == [[{"price": "1", "sku": "a"}, {"price": '"2 EUR"', "sku": "b"}], []]


def test_nesting_beyond_every_limit_of_duckdb_is_kept():
    text = "[" * 900 + "]" * 900
    made = typed('{"d": ' + text + "}", '{"d": [[[[[[[1]]]]]]]}')
    assert made.columns[0].type == "JSON" + "[]" * 6
    assert made.relation().fetchall()[0][1] == [[[[[["[" * 894 + "]" * 894]]]]]]


def test_wide_objects_are_json_however_regular():
    wide = {f"k{i}": i for i in range(150)}
    got, texts = values(wide, wide)
    assert got == "JSON"
    assert json.loads(texts[0]) == wide
    assert types({"a": {f"k{i}": i for i in range(100)}})["a"].startswith("STRUCT(")
    assert types(*({"a": {f"k{i}": i}} for i in range(500))) == {"a": "JSON"}


@pytest.mark.parametrize(
    ("sent", "columns"),
    [
        (["$email", "plan"], ["email", "plan"]),
        (["$email", "email"], ["$email", "email"]),
        (["$email", "Email"], ["$email", "Email"]),
        (["$email", "$Email"], ["$email_2", "$Email"]),
        (["name", "NAME", "Name"], ["name_3", "NAME", "Name_2"]),
        (["a", "A", "a_2"], ["a_3", "A", "a_2"]),
        (["É", "é"], ["É", "é"]),
        (
            ["$last_seen", "last_seen", "Distinct_Id", "$properties"],
            ["$last_seen", "last_seen_2", "Distinct_Id_2", "$properties"],
        ),
        (["", "_", "$", "a\0b", 'say "x"'], ["_", "__2", "$", "a_b", 'say "x"']),
        (["x" * 5000, "🦆", "a.b", " "], ["x" * 5000, "🦆", "a.b", " "]),
    ],
)
def test_names_are_the_same_whatever_the_order(sent, columns):
    wanted = dict(zip(sent, columns, strict=True))
    for order in (sent, sent[::-1]):
        made = typed(*({name: f"value of {name}"} for name in order))
        assert {each.property: each.column for each in made.columns} == wanted
        by_name = {column: 1 + i for i, column in enumerate(each.column for each in made.columns)}
        rows = made.relation().fetchall()
        assert [[value for value in row if value and "value" in value] for row in rows] == [
            [f"value of {name}"] for name in order
        ]
        assert [row[by_name[wanted[name]]] for name, row in zip(order, rows, strict=True)] == [
            f"value of {name}" for name in order
        ]


def test_columns_stand_in_the_order_of_their_names_between_id_and_last_seen():
    made = typed({"b": 1, "$c": 2}, {"B2": 3, "a": 4}, keep_properties=True)
    assert made.relation().columns == ["distinct_id", "a", "b", "B2", "c", "last_seen", "properties"]
    assert json.loads(made.relation().fetchall()[1][-1]) == {"B2": 3, "a": 4}


def test_the_report_tells_null_from_missing_and_what_is_mixed():
    made = typed({"a": 1, "b": None}, {"a": "x"}, {"a": None}, {})
    a, b = made.columns
    assert (a.rows, a.coverage, a.nulls, a.mixed, a.type) == (3, 0.75, 1, True, "JSON")
    assert a.kinds == (("text", 1), ("integer", 1))
    assert (b.rows, b.coverage, b.nulls, b.mixed, b.type) == (1, 0.25, 1, False, "JSON")
    assert not typed({"a": 1}, {"a": 0.5}).columns[0].mixed


def test_a_repeated_name_counts_once_by_its_first_value():
    made = typed('{"a": 1, "a": "two", "b": 1, "a": null}', {"a": 3}, '{"c": {"x": 1, "x": 2}}')
    assert [(each.property, each.type, each.rows, each.nulls) for each in made.columns] == [
        ("a", "BIGINT", 2, 0), ("b", "BIGINT", 1, 0), ("c", "JSON", 1, 0)
    ]  # fmt: skip
    assert made.repeated_values == 2
    assert "2 values have no column" in made.summary()
    assert [row[1] for row in made.relation().fetchall()] == [1, 3, None]
    # As many values of x as objects, and yet not one in each.
    assert types('{"c": {"x": 1, "x": 2}}', {"c": {}}) == {"c": "JSON"}


def test_rows_whose_properties_are_no_object_are_counted():
    made = typed("[1]", "7", " \n{}", '"{"', {"a": 1})
    assert (made.rows, made.shapeless_rows, len(made.columns)) == (5, 3, 1)
    assert "3 rows have properties that are no object" in made.summary()
    assert [row[1] for row in made.relation().fetchall()] == [None, None, None, None, 1]


def test_a_table_without_rows_or_properties_has_no_columns():
    for made in (typed(), typed({}, {}), typed({}, materialize=True)):
        assert made.columns == ()
        assert made.relation().columns == ["distinct_id", "last_seen"]
        assert len(made.relation().fetchall()) == made.rows


def test_of_very_many_properties_the_rare_ones_stay_in_properties():
    rows = [{f"often_{i}": i for i in range(995)} | {f"rare_{j}_{i}": i for i in range(40)} for j in range(2)]
    made = typed(*rows)
    by_name = {each.property: each for each in made.columns}
    assert len(by_name) == 995 + 80
    own = {name for name, each in by_name.items() if each.column != "properties"}
    assert len(own) == 1000
    assert {name for name in by_name if name.startswith("often")} <= own
    assert made.relation().columns[-1] == "properties"
    assert by_name["rare_1_39"].type == "JSON"
    assert (by_name["rare_1_39"].rows, by_name["rare_1_39"].coverage) == (1, 0.5)
    assert "75 properties that fewer profiles have are in column 'properties'" in made.summary()


def test_a_table_is_a_copy_and_a_view_is_not():
    connection = profiles({"a": 1})
    view, table = md.type_columns(connection), md.type_columns(connection, into="copy", materialize=True)
    connection.execute("UPDATE profiles SET properties = '{\"a\": 2}'")
    assert (view.relation().fetchall()[0][1], table.relation().fetchall()[0][1]) == (2, 1)
    assert (view.table, view.materialized, table.table, table.materialized) == ("profiles_typed", False, "copy", True)


@pytest.mark.parametrize("materialize", [False, True])
def test_columns_and_types_are_of_one_moment_though_the_table_is_replaced_meanwhile(monkeypatch, materialize):
    connection = profiles({"a": 1}, {"a": 2})
    read = build.read_properties

    def read_and_replace(cursor, table):
        found = read(cursor, table)
        connection.execute("CREATE OR REPLACE TABLE other AS FROM profiles")
        connection.execute('UPDATE profiles SET properties = \'{"a": "text", "b": 1}\'')
        return found

    monkeypatch.setattr(build, "read_properties", read_and_replace)
    made = md.type_columns(connection, materialize=materialize)
    assert [(each.column, each.type, each.coverage) for each in made.columns] == [("a", "BIGINT", 1.0)]
    if materialize:
        assert sorted(row[1] for row in made.relation().fetchall()) == [1, 2]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_what_an_earlier_call_made_is_replaced_at_once(first, second):
    connection = profiles({"a": 1})
    md.type_columns(connection, materialize=first)
    connection.execute("INSERT INTO profiles VALUES ('q', '{\"b\": 2}', NULL)")
    reader = connection.cursor()
    reader.execute("BEGIN TRANSACTION")
    before = reader.execute("SELECT * FROM profiles_typed").description
    made = md.type_columns(connection, materialize=second)
    assert reader.execute("SELECT * FROM profiles_typed").description == before
    reader.execute("COMMIT")
    assert made.relation().columns == ["distinct_id", "a", "b", "last_seen"]
    reader.close()


@pytest.mark.parametrize("kind", ["TABLE", "VIEW"])
def test_nothing_but_typed_columns_is_ever_replaced(kind):
    connection = profiles({"a": 1})
    connection.execute(f"CREATE {kind} profiles_typed AS SELECT 42 AS mine")
    with pytest.raises(md.UnsuitableTableError, match=r"holds something else.*choose another name") as caught:
        md.type_columns(connection)
    assert caught.value.exit_code == 2
    assert connection.execute("FROM profiles_typed").fetchall() == [(42,)]
    with pytest.raises(md.UnsuitableTableError):
        md.type_columns(connection, into="Profiles", materialize=True)
    with pytest.raises(md.UnsuitableTableError, match="journal"):
        md.type_columns(connection, into="_mixpanel_pages")
    assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(1,)]


def test_a_table_that_is_not_there_or_holds_no_profiles_is_named():
    connection = profiles({"a": 1})
    connection.execute("CREATE TABLE other AS SELECT 1 AS a")
    md.type_columns(connection)
    for table, reason in [
        ("nobody", "no table 'nobody'"),
        ("other", "not a table of profiles"),
        ("profiles_typed", "is a view"),
    ]:
        with pytest.raises(md.UnsuitableTableError, match=reason):
            md.type_columns(connection, table)
    with pytest.raises(md.StorageError, match="There is no database"):
        md.type_columns("nowhere.duckdb")


def test_names_that_need_quotes_are_quoted():
    connection = profiles({"a": "it's"})
    connection.execute("""ALTER TABLE profiles RENAME TO "my ""pro's" """)
    made = md.type_columns(connection, "my \"pro's")
    assert made.table == "my \"pro's_typed"
    assert made.relation().fetchall() == [("p0", "it's", None)]


def test_a_failure_leaves_what_was_there(monkeypatch):
    connection = profiles({"a": 1})
    md.type_columns(connection, materialize=True)
    connection.execute("INSERT INTO profiles VALUES ('q', '{}', NULL)")
    monkeypatch.setattr("mixpanel_duckdb.store.typed.build.literal", lambda text: "'")
    monkeypatch.setattr("mixpanel_duckdb.store.typed.build._check_target", lambda *_: None)
    with pytest.raises(md.StorageError, match="Could not make typed columns of 'profiles'"):
        md.type_columns(connection, materialize=True)
    assert connection.execute("FROM profiles_typed").fetchall() == [("p0", 1, None)]


def test_plain_values_tell_all_of_it(tmp_path):
    made = typed({"$email": "a@b.c"}, {"$email": None, "at": "2026-01-31T00:00:00"})
    told = json.loads(json.dumps(made.to_dict()))
    assert {key: told[key] for key in ("table", "source", "materialized", "rows")} == {
        "table": "profiles_typed", "source": "profiles", "materialized": False, "rows": 2,
    }  # fmt: skip
    assert told["columns"][0] == {
        "property": "$email", "column": "email", "type": "VARCHAR", "rows": 2, "coverage": 1.0, "nulls": 1,
        "mixed": False, "kinds": {"text": 1}, "time_format": None, "misfits": 0,
    }  # fmt: skip
    assert told["columns"][1]["time_format"] == "%Y-%m-%dT%H:%M:%S"
    assert repr(made).startswith("TypedColumns(table='profiles_typed', source='profiles', materialized=False, rows=2")
    assert "_connect" not in repr(made)


def test_a_notebook_shows_the_report_and_escapes_what_is_not_ours():
    shown = typed({"<script>": 1}, {"$email": "x"})._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "50.0%" in shown
    assert "and " not in shown
    assert "and 50 more" in typed({f"p{i}": 1 for i in range(250)})._repr_html_()
