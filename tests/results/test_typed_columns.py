"""From a fetch to typed columns: wherever the fetch went, and after everything is closed."""

import dataclasses
import gc
import pickle

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

PEOPLE = 30


def fetched(database=":memory:", *faults, seed=3, **options):
    with Simulator(Population(PEOPLE, seed=seed), behaviour=Behaviour(page_size=10)) as sim:
        for fault in faults:
            sim.add_fault(fault)
        who = md.Credentials.from_env(sim.environment())
        policy = md.RetryPolicy(attempts=1, first_delay=0.01)
        with md.MixpanelClient(who, base_url=sim.base_url, retry=policy) as client:
            return md.fetch_profiles(database, client=client, **options)


@pytest.mark.parametrize("kind", ["path", "memory", "connection", "store"])
def test_typed_columns_are_readable_after_everything_is_closed(tmp_path, kind):
    path = str(tmp_path / "profiles.duckdb")
    connection = duckdb.connect()
    if kind == "store":
        with md.ProfileStore(path) as store:
            typed = fetched(store).typed()
            assert md.type_columns(store).columns == typed.columns
    else:
        typed = fetched({"path": path, "memory": ":memory:", "connection": connection}[kind]).typed()
    gc.collect()
    for _ in range(2):
        assert len(typed.relation().fetchall()) == typed.rows == PEOPLE
    assert {"email", "created", "plan"} <= {each.column for each in typed.columns}
    connection.close()


def test_a_callers_own_schema_is_where_the_view_goes():
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA people; USE people")
    fetched(connection).typed()
    assert connection.execute(
        "SELECT schema_name FROM duckdb_views() WHERE view_name = 'profiles_typed'"
    ).fetchall() == [("people",)]


def test_a_later_fetch_replaces_the_table_under_its_view(tmp_path):
    path = str(tmp_path / "profiles.duckdb")
    before = fetched(path).typed()
    again = fetched(path, seed=4, if_exists="replace")
    assert before.relation().order("distinct_id").fetchall() != []
    typed = again.typed(materialize=True, keep_properties=True, into="people")
    assert (typed.table, typed.materialized, typed.relation().columns[-1]) == ("people", True, "properties")
    with duckdb.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM profiles_typed").fetchall() == [(PEOPLE,)]


def test_an_incomplete_fetch_has_no_typed_columns():
    result = fetched(":memory:", Fault("status", page=2, status=500, attempts=None))
    with pytest.raises(md.IncompleteFetchError, match="run the same fetch again"):
        result.typed()


@pytest.mark.parametrize(("method", "module"), [("df", "pandas"), ("pl", "polars"), ("arrow", "pyarrow")])
def test_frames_have_every_row_and_the_types(method, module):
    pytest.importorskip(module)
    frame = getattr(fetched().typed(), method)()
    assert len(frame) == PEOPLE
    if method == "pl":
        import polars

        assert frame.schema["created"] == polars.Datetime("us")
        assert frame.schema["mrr"] == polars.Float64
        assert frame.schema["address"] == polars.Struct({"city": polars.String, "zip": polars.String})


def test_arrow_consumers_read_it_without_pyarrow():
    typed = fetched().typed()
    assert typed.table == "profiles_typed"
    with duckdb.connect() as other:
        assert other.sql("SELECT count(*) FROM typed WHERE typeof(created) = 'TIMESTAMP'").fetchall() == [(PEOPLE,)]


def test_a_report_without_a_database_says_so_and_one_of_a_file_can_be_pickled(tmp_path):
    typed = fetched(str(tmp_path / "profiles.duckdb")).typed()
    again = pickle.loads(pickle.dumps(typed))
    assert again == typed
    assert len(again.relation().fetchall()) == PEOPLE
    with pytest.raises(md.MixpanelError, match="no database behind it"):
        dataclasses.replace(typed, _connect=None).relation()
