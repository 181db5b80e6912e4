"""Names of tables, as DuckDB has them: which are the same, which are taken, and which mean another place."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from helpers import client_of
from mixpanel_duckdb import ProfileStore, QueryError, UnsuitableTableError
from mixpanel_duckdb.api import fetch_since
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.database import existing, folded, is_named
from store.storing import SPEC, fetch_rows, fill, opened, page

ROWS = [b'{"$distinct_id":"a","$properties":{"n":1}}']
# Views of DuckDB's own, in sight from everywhere.
TAKEN = ["duckdb_tables", "DuckDB_Columns", "sqlite_master", "pragma_database_list", "pg_class", "pg_tables"]
ELSEWHERE = ["raw.profiles", "RAW.profiles", "other.profiles", "main.profiles", "raw."]


@pytest.fixture
def connection(tmp_path):
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("ATTACH ':memory:' AS other")
        yield connection


def names(connection):
    found = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1 ASC").fetchall()
    return [name for (name,) in found if not name.startswith("_mixpanel_")]


@pytest.mark.parametrize("name", [*TAKEN, *ELSEWHERE])
@pytest.mark.parametrize("choice", ["error", "replace", "merge"])
def test_a_name_that_is_taken_or_of_another_place_is_refused_before_the_first_request(connection, name, choice):
    with Simulator(Population(3)) as sim, client_of(sim) as client:
        with pytest.raises(QueryError, match="cannot be a table's name here") as caught:
            md.fetch_profiles(connection, name, client=client, if_exists=choice)
        assert "\n" not in str(caught.value)
        assert sim.requests == []
    assert names(connection) == []


@pytest.mark.parametrize("name", ["duckdb_tables", "raw.profiles_typed"])
def test_typed_columns_are_not_made_under_such_a_name_either(connection, name):
    fetch_rows(ROWS, connection)
    with pytest.raises(UnsuitableTableError, match="cannot be the name of typed columns"):
        md.type_columns(connection, into=name)


def test_a_dot_that_leads_nowhere_is_part_of_the_name(connection):
    for choice in ("error", "replace"):
        assert fetch_rows(ROWS, connection, table="v1.profiles", if_exists=choice).is_complete
    connection.execute("CREATE SCHEMA v1")
    assert fetch_rows(ROWS, connection, table="v1.profiles", if_exists="replace").is_complete
    assert names(connection) == ["v1.profiles"]


def test_accented_letters_in_either_case_name_two_tables(connection):
    with ProfileStore(connection) as store:
        fill(store, [page(0, "a")], spec_of("É"))
        fill(store, [page(0, "b"), page(1, "c")], spec_of("é"))
        with opened(store, spec_of("È")) as (_, _writer):
            fill(store, [page(0, "d")], spec_of("è"))
        assert [each.rows for each in store.fetches("é")] == [2]
        with pytest.raises(md.TableExistsError):
            fill(store, [page(0, "a")], spec_of("É"))
        fill(store, [page(0, "a")], spec_of("É"), if_exists="replace")
    assert names(connection) == ["É", "è", "é"]
    assert connection.execute('SELECT count(*) FROM "é"').fetchone() == (2,)
    assert [len(md.type_columns(connection, name).columns) for name in ("É", "é")] == [2, 2]


def test_the_newest_fetch_of_a_name_is_of_that_table_and_of_no_other(connection):
    with ProfileStore(connection) as store:
        for name in ("é", "É", "Plan"):
            fill(store, [page(0, "a")], spec_of(name))
        for name in ("é", "É", "Plan"):
            (fetch,) = store.fetches(name)
            assert fetch_since(store, name.replace("P", "p"), fetch.started_at) == fetch.fetch_id


def spec_of(table):
    return type(SPEC)(table, SPEC.query, SPEC.project_id, SPEC.host)


_shared = duckdb.connect()
letters = st.text(alphabet="aA\u00e9\u00c9\u00df\u1e9e\u017fsSkK\u212a\u0130iI\u0131Zz.-", min_size=1, max_size=3)


@settings(max_examples=60)
@given(letters, letters)
def test_two_names_are_one_to_us_if_they_are_to_duckdb(one, other):
    _shared.execute(f'CREATE OR REPLACE TABLE "{one}" (a INTEGER)')
    try:
        _shared.execute(f'CREATE TABLE "{other}" (a INTEGER)')
    except duckdb.CatalogException:
        same = True
    else:
        same = False
        _shared.execute(f'DROP TABLE "{other}"')
    assert (existing(_shared, other) is not None) is same
    assert (folded(one) == folded(other)) is same
    assert _shared.execute(f"SELECT {is_named('$1', '$2')}", [one, other]).fetchone() == (same,)
    _shared.execute(f'DROP TABLE "{one}"')
