"""A target that is attached to the caller's own connection; names with a schema; and a view over all tables."""

import duckdb
import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import PAGE, fetch, served, stored
from mixpanel_duckdb.jobs import read_jobs
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.targets.attached import kind_of

BEFORE, AFTER = Population(120, seed=1), Population(110, seed=2)


@pytest.fixture
def caller(other):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{other}' AS shared")
        yield connection


@pytest.mark.parametrize("place", ["of its own", "the same", "in memory"])
def test_rows_go_into_what_the_caller_has_attached_wherever_they_were_staged(tmp_path, caller, other, place):
    database = {"of its own": str(tmp_path / "work.duckdb"), "the same": caller, "in memory": ":memory:"}[place]
    for population in (BEFORE, AFTER):
        with Simulator(population) as sim:
            target = md.Target(connection=caller, catalog="shared", schema="crm")
            result = fetch(sim, database, into=target, if_exists="replace", allow_other=True)
        rows = result.relation().aggregate("count(*)").fetchall()
        assert rows == caller.execute("SELECT count(*) FROM shared.crm.profiles").fetchall() == [(len(population),)]
    assert (result.target, result.is_complete) == ("shared", True)
    caller.execute("DETACH shared")
    with duckdb.connect(other) as connection:
        connection.execute("CREATE TABLE plain AS FROM crm.profiles")
    assert stored(other, "plain") == served(AFTER)
    caller.execute("SELECT 1")  # it is open as before


def test_a_callers_catalog_that_is_not_there_or_only_read_is_refused_before_the_first_request(tmp_path, caller, other):
    file = str(tmp_path / "read.duckdb")
    duckdb.connect(file).close()
    caller.execute(f"ATTACH '{file}' AS only_read (READ_ONLY)")
    with Simulator(BEFORE) as sim:
        with pytest.raises(md.ConfigurationError, match="No database 'nowhere'"):
            fetch(sim, ":memory:", into=md.Target(connection=caller, catalog="nowhere"))
        with pytest.raises(md.UnsuitableTableError, match="only be read"):
            fetch(sim, ":memory:", into=md.Target(connection=caller, catalog="only_read"))
    assert sim.requests == []


def test_the_database_itself_is_no_target_under_a_name_either(caller):
    with Simulator(BEFORE) as sim, pytest.raises(md.QueryError, match="the database itself"):
        fetch(sim, caller, into=md.Target(connection=caller, catalog="memory"))
    assert sim.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"attach": "x.duckdb", "connection": duckdb.connect(), "catalog": "x"},
        {"attach": "x.duckdb", "catalog": "x"},
        {"connection": duckdb.connect()},
        {"connection": "con", "catalog": "x"},
        {"connection": duckdb.connect(), "catalog": "x", "setup": "setup.sql"},
        {"attach": ""},
        {"attach": 5},
        {"attach": "x.duckdb", "union_view": " "},
        {"attach": "x.duckdb", "data_path": "files/"},
        {"attach": "x.duckdb", "lock_wait": "soon"},
        {"attach": "x.duckdb", "lock_wait": True},
        {"attach": "ducklake:postgres://db/lake"},
    ],
)
def test_a_target_that_cannot_be_is_refused(wrong):
    with pytest.raises(md.QueryError):
        md.Target(**wrong)


def test_a_table_may_name_its_schema(tmp_path, other):
    with Simulator(BEFORE) as sim:
        result = fetch(sim, str(tmp_path / "work.duckdb"), "crm.profiles", into=md.Target(other))
        again = fetch(
            sim, str(tmp_path / "work.duckdb"), "profiles", into=md.Target(other, schema="crm"), if_exists="replace"
        )
    assert result.table == "profiles"
    assert again.unchanged_rows == 120
    with duckdb.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM crm.profiles").fetchall() == [(120,)]


@pytest.mark.parametrize(("table", "schema"), [("a.b.c", None), ("a.b", "c"), (".b", None), ("a.", None)])
def test_a_name_of_more_than_a_schema_and_a_table_is_refused(other, table, schema):
    with Simulator(BEFORE) as sim, pytest.raises(md.QueryError, match="into-schema"):
        fetch(sim, ":memory:", table, into=md.Target(other, schema=schema))
    assert sim.requests == []


def test_a_history_beside_a_target_is_refused_in_one_sentence(other):
    with Simulator(BEFORE) as sim, pytest.raises(md.QueryError, match="keep_history"):
        fetch(sim, ":memory:", into=md.Target(other), keep_history=True)
    assert sim.requests == []


def test_typed_columns_of_a_target_are_refused_with_what_works_instead(other):
    with Simulator(BEFORE) as sim:
        result = fetch(sim, ":memory:", into=md.Target(other))
    with pytest.raises(md.UnsuitableTableError, match=r"type_columns\(\)"):
        result.typed()
    assert len(result.df()) == len(result.arrow()) == 120
    with duckdb.connect(other) as connection:
        assert len(md.type_columns(connection, "profiles").df()) == 120


def test_a_view_is_over_all_tables_that_were_published_and_says_whose_each_row_is(tmp_path, other):
    target = md.Target(other, union_view="everybody")
    for number in (7, 8, 7):
        with Simulator(Population(20 + number), project_id=str(number)) as sim:
            work = str(tmp_path / f"{number}.duckdb")
            fetch(sim, work, f"app_{number}", into=target, if_exists="replace", allow_other=True)
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{other}' AS by_another_name")
        found = connection.execute(
            "SELECT project_id, count(*) FROM by_another_name.everybody GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert found == [("7", 27), ("8", 28)]


def test_the_view_over_all_tables_is_no_table_to_publish_into_and_that_is_said(tmp_path, other):
    with Simulator(BEFORE) as sim:
        fetch(sim, str(tmp_path / "work.duckdb"), into=md.Target(other, union_view="everybody"))
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match="'everybody' of the target is a view over several published"):
            fetch(sim, str(tmp_path / "work.duckdb"), "everybody", into=md.Target(other), if_exists="replace")
        assert sim.requests == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW everybody AS SELECT 1 AS mine",
        "CREATE TABLE everybody (a INTEGER)",
        'CREATE VIEW "EVERYbody" AS SELECT 1',
    ],
)
def test_a_name_that_is_taken_is_no_union_view(other, sql):
    with duckdb.connect(other) as connection:
        connection.execute(sql)
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="union-view"):
        fetch(sim, ":memory:", into=md.Target(other, union_view="everybody"))
    assert sim.requests == []


def test_the_view_is_not_called_as_the_table(other):
    with Simulator(BEFORE) as sim, pytest.raises(md.QueryError, match="union-view"):
        fetch(sim, ":memory:", into=md.Target(other, union_view="Profiles"))
    assert sim.requests == []


def test_an_extension_that_cannot_be_had_is_one_sentence_before_the_first_request(tmp_path):
    setup = tmp_path / "setup.sql"
    nowhere = tmp_path / "extensions"
    setup.write_text(f"SET extension_directory = '{nowhere}'; SET autoinstall_known_extensions = false;")
    with Simulator(BEFORE) as sim:
        for attach in (f"ducklake:{tmp_path}/lake.ducklake", "postgres:dbname=nothing"):
            with pytest.raises(md.ConfigurationError, match=r"duckdb-extension-.*--setup"):
                fetch(sim, str(tmp_path / "work.duckdb"), into=md.Target(attach, setup=setup))
    assert sim.requests == []


@pytest.mark.parametrize(
    ("name", "string"),
    [
        ("postgres:dbname=crm host=db", "dbname=crm host=db"),
        ("postgres:postgresql://me@db/crm", "postgresql://me@db/crm"),
        ("postgres://me@db/crm", "postgres://me@db/crm"),
        ("PostgreSQL://me@db/crm", "postgresql://me@db/crm"),
    ],
)
def test_a_postgresql_database_is_named_by_words_or_by_an_address(name, string):
    target = md.Target(name)
    statement = kind_of(target).statement(target, "x", read_only=True)
    assert statement == f"ATTACH '{string}' AS x (TYPE postgres, READ_ONLY)"


def test_sync_publishes_projects_into_one_place_with_one_flag(tmp_path, other, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Simulator(BEFORE, project_id="7") as one, Simulator(AFTER, project_id="8") as two:
        for name, value in one.environment().items():
            monkeypatch.setenv(name, value)
        (tmp_path / "jobs.toml").write_text(
            f'[defaults]\npage_size = {PAGE}\ninto = "{other}"\n'
            f'[[profiles]]\nproject_id = "7"\ntable = "one"\nbase_url = "{one.base_url}"\n'
            f'[[profiles]]\nproject_id = "8"\ntable = "two"\nbase_url = "{two.base_url}"\n'
        )
        done = MpFetch(tmp_path, one.environment())("sync", "jobs.toml", "--union-view", "everybody", "--max-age", "1")
        assert done.code == 0, done.err
        again = md.sync("jobs.toml", max_age=3600)
    with duckdb.connect(other) as connection:
        found = connection.execute("SELECT project_id, count(*) FROM everybody GROUP BY 1 ORDER BY 1").fetchall()
    assert found == [("7", 120), ("8", 110)]
    assert [each.state for each in again.outcomes] == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"profiles": [{"into_schema": "crm"}]}, "goes with into"),
        (
            {"profiles": [{"into": "x.duckdb", "database": "a.duckdb"}, {"into": "x.duckdb", "database": "b.duckdb"}]},
            "jobs 1 and 2 both write table 'profiles' of 'x.duckdb'",
        ),
        (
            {"profiles": [{"into": "x.duckdb", "database": "a.duckdb"}, {"into": "./X/../x.duckdb", "database": "b"}]},
            "both write table 'profiles' of './X/../x.duckdb'",
        ),
        (
            {"profiles": [{"database": "./x.duckdb"}, {"into": "x.duckdb", "database": "b.duckdb"}]},
            "both write table 'profiles' of 'x.duckdb'",
        ),
        (
            {"profiles": [{"into": "x.duckdb", "into_schema": "crm"}, {"into": "x.duckdb", "into_schema": "web"}]},
            "both fetch into a table 'profiles' by way of 'mixpanel.duckdb', which two cannot do side by side",
        ),
        ({"profiles": [{"into": "x.duckdb"}, {}]}, "by way of 'mixpanel.duckdb'"),
        (
            {
                "profiles": [
                    {"into": "x.duckdb", "table": "crm.a", "database": "a.duckdb"},
                    {"into": "x.duckdb", "into_schema": "CRM", "table": "A", "database": "b.duckdb"},
                ]
            },
            "both write table 'A'",
        ),
        ({"profiles": [{"into": "x.duckdb", "table": "a.b.c"}]}, "job 1: 'a.b.c' cannot be a table of the target"),
        ({"profiles": [{"into": "postgres:dbname=x password=hush"}]}, "secret"),
        ({"profiles": [{"into": "x.duckdb", "keep_history": True}]}, "keep_history"),
        ({"profiles": [{"into": 5}]}, "attach"),
    ],
)
def test_a_job_whose_target_cannot_be_is_refused(jobs, said):
    with pytest.raises(md.ConfigurationError, match=said):
        read_jobs(jobs)


@pytest.mark.parametrize(
    "jobs",
    [
        [{"into": "x.duckdb", "into_schema": "crm", "database": "a.duckdb"}, {"into": "x.duckdb", "database": "b"}],
        [{"into": "x.duckdb", "into_schema": "crm", "database": "a.duckdb"}, {"database": "x.duckdb"}],
        [{"into": "x.duckdb", "database": "a.duckdb"}, {"database": "x.duckdb", "into": "postgres:dbname=a"}],
        [{"into": "postgres:dbname=a", "database": "a"}, {"into": "postgres:dbname=b", "database": "b"}],
    ],
)
def test_jobs_that_write_tables_of_their_own_through_databases_of_their_own_are_not_refused(jobs):
    assert len(read_jobs({"profiles": jobs})) == 2
