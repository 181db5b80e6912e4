"""Whose database it is: files opened beside others, settings given back, faults told in one sentence."""

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST
from mixpanel_duckdb import DatabaseLockedError, ProfileStore, StorageError
from mixpanel_duckdb.store.compare import compare_tables
from mixpanel_duckdb.store.database import opening as database
from store.storing import fetch_rows, fill, page, rows_of

ROWS = [b'{"$distinct_id":"n%d","$properties":{"n":%d,"text":"%s"}}' % (i, i, b"abc " * 40) for i in range(60)]
OLDER = os.environ.get("MP_TEST_DUCKDB15_PYTHON")

MORE_THAN_OUR_LIMIT = "SELECT strlen(string_agg(repeat('x', 1000000), '')) FROM range(300)"


def state(connection):
    """Everything of a connection's instance that a guest could leave behind."""
    settings = connection.execute(
        "SELECT name, value FROM duckdb_settings() WHERE name <> 'progress_bar_time'"
    ).fetchall()
    databases = connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()
    return sorted(settings), sorted(databases)


def compressions(path):
    with duckdb.connect(path) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute(
            "SELECT compression FROM pragma_storage_info('profiles') "
            "WHERE column_name = 'properties' AND segment_type <> 'VALIDITY'"
        ).fetchall()
    return {name.lower() for (name,) in found}


def test_a_callers_connection_is_neither_closed_nor_changed(tmp_path):
    with duckdb.connect(str(tmp_path / "own.duckdb")) as connection:
        connection.execute("SET memory_limit = '300MB'")
        before = state(connection)
        seen = []
        with ProfileStore(connection) as store:
            fetch_rows(ROWS, store, page_size=20, on_batch_complete=lambda _: seen.append(state(connection)[0]))
            assert "a connection" in repr(store)
        assert state(connection) == before
        assert seen == [before[0]] * 3
        assert len(rows_of(connection)) == 60


@pytest.mark.parametrize("place", ["other", "memory.mine", '"my ""odd"" one"'])
def test_the_table_appears_where_the_callers_use_has_led(tmp_path, place):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'other.duckdb'}' AS other")
        connection.execute("""ATTACH ':memory:' AS "my ""odd"" one" """)
        connection.execute("CREATE SCHEMA memory.mine")
        connection.execute(f"USE {place}")
        with connection.cursor() as fresh:
            before = state(fresh)
        for choice in ("error", "replace", "merge"):
            result = fetch_rows(ROWS, connection, page_size=20, if_exists=choice)
            assert len(result.relation().fetchall()) == 60
        assert connection.execute("SELECT count(*) FROM profiles").fetchone() == (60,)
        assert [record.table for record in md.list_fetches(connection)] == ["profiles"]
        with connection.cursor() as fresh:
            assert state(fresh) == before
            assert fresh.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND database_name = 'memory'"
            ).fetchone() == (0,)


def test_a_callers_transaction_is_left_alone():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
        connection.execute("BEGIN").execute("INSERT INTO mine VALUES (1)")
        fetch_rows(ROWS, connection)
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        assert len(rows_of(connection)) == 60


def test_a_run_that_fails_leaves_no_attached_database():
    with duckdb.connect() as connection:
        before = state(connection)

        def fail(_):
            raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            fetch_rows(ROWS, connection, page_size=20, on_batch_complete=fail)
        assert state(connection) == before


def test_the_callers_own_connect_works_before_during_and_after(tmp_path):
    path = str(tmp_path / "shared.duckdb")
    duckdb.connect(path).close()
    during = []

    def look(_):
        with duckdb.connect(path) as mine:
            during.append(mine.execute("SELECT count(*) FROM _mixpanel_pages").fetchone()[0])

    with duckdb.connect(path) as before:
        settings = state(before)
        fetch_rows(ROWS, path, page_size=20, on_batch_complete=look)
        assert state(before) == settings
        assert len(rows_of(before)) == 60
    fetch_rows(ROWS, path, page_size=20, if_exists="replace", on_batch_complete=look)
    assert len(during) == 6
    with duckdb.connect(path) as after:
        assert len(rows_of(after)) == 60


def test_a_connection_that_outlives_ours_gets_its_settings_back(tmp_path):
    path = str(tmp_path / "later.duckdb")
    duckdb.connect(path).close()
    with duckdb.connect(path) as fresh:
        default = state(fresh)
    with ProfileStore(path) as store:
        fill(store, [page(0, "a")])
        later = duckdb.connect(path)
    with later:
        assert state(later) == default
        assert later.execute(MORE_THAN_OUR_LIMIT).fetchall() == [(300_000_000,)]


def test_a_profile_too_large_for_our_memory_limit_is_stored_all_the_same(tmp_path):
    text = "x" * 30_000_000
    with ProfileStore(str(tmp_path / "large.duckdb")) as store:
        fill(store, [page(0, "a", seen=text)])
    with duckdb.connect(str(tmp_path / "large.duckdb")) as connection:
        found = connection.execute("""SELECT strlen(properties->>'$."$last_seen"') FROM profiles""").fetchall()
    assert found == [(len(text),)]


def test_two_threads_may_run_into_our_memory_limit_at_once(tmp_path):
    tries = []

    with ProfileStore(str(tmp_path / "both.duckdb")) as store, store.reader()() as connection:

        def heavy():
            return connection.execute(MORE_THAN_OUR_LIMIT).fetchall()

        def beaten():
            tries.append("try")
            if len(tries) == 1:
                store.with_room(heavy)  # the other thread lifts the limit before this one hears of its own refusal
                raise duckdb.OutOfMemoryException
            return heavy()

        assert store.with_room(beaten) == [(300_000_000,)]
        assert len(tries) == 2
        with pytest.raises(duckdb.OutOfMemoryException):
            store.with_room(refused := Mock(side_effect=duckdb.OutOfMemoryException))
        assert refused.call_count == 2


def test_what_is_kept_in_memory_has_no_limit_of_ours():
    with ProfileStore(":memory:") as store, store.reader()() as connection:
        assert connection.execute(MORE_THAN_OUR_LIMIT).fetchall() == [(300_000_000,)]


def test_new_files_hold_properties_in_zstd(tmp_path):
    path = str(tmp_path / "new.duckdb")
    fetch_rows([row.replace(b'"n', b'"%d-n' % i) for i in range(40) for row in ROWS], path, page_size=1000)
    assert compressions(path) == {"zstd"}
    with duckdb.connect(path) as connection:
        tags = connection.execute("SELECT tags['storage_version'] FROM duckdb_databases()").fetchall()
    assert any("v1.5" in str(tag) for (tag,) in tags)


def test_a_file_of_an_older_storage_version_works_too(tmp_path):
    path = str(tmp_path / "old.duckdb")
    with duckdb.connect() as maker:
        maker.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION 'v1.0.0')")
        maker.execute("CREATE TABLE old.mine AS SELECT 42 AS a")
        maker.execute("DETACH old")
    assert fetch_rows(ROWS, path).is_complete
    with duckdb.connect(path) as connection:
        assert len(rows_of(connection)) == 60
        assert connection.execute("FROM mine").fetchall() == [(42,)]
        assert "v1.0" in str(connection.execute("SELECT tags FROM duckdb_databases()").fetchall())
    assert "uncompressed" not in compressions(path)


@pytest.mark.skipif(OLDER is None, reason="MP_TEST_DUCKDB15_PYTHON names no Python with DuckDB 1.5")
def test_new_files_are_readable_by_duckdb_1_5(tmp_path):
    path = str(tmp_path / "readable.duckdb")
    fetch_rows(ROWS, path)
    code = (
        "import duckdb, sys; assert duckdb.__version__.startswith('1.5'), duckdb.__version__;"
        "print(duckdb.connect(sys.argv[1], read_only=True).execute("
        "'SELECT count(*), sum((properties->>$$n$$)::INT) FROM profiles').fetchone())"
    )
    done = subprocess.run([OLDER, "-c", code, path], check=False, capture_output=True, text=True, timeout=LONGEST)
    assert (done.stdout.strip(), done.stderr) == ("(60, 1770)", "")


@pytest.mark.parametrize("name", ["it's.duckdb", 'a"b.duckdb', "with space.db", "Größe.db", "no_suffix", "a;b.duckdb"])
def test_any_file_name_works(tmp_path, name):
    path = tmp_path / name
    for choice in ("error", "replace"):
        with ProfileStore(path) as store:
            fill(store, [page(0, "a")], if_exists=choice)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def refused(path):
    with pytest.raises(StorageError) as caught:
        ProfileStore(path)
    text = str(caught.value)
    assert text.startswith(f"Could not open {path}: ")
    assert "\n" not in text
    assert len(text) < 450
    return text


def test_a_name_that_is_empty_is_refused_and_is_not_memory():
    with pytest.raises(StorageError, match="needs a name"):
        ProfileStore("")
    for look in (md.list_fetches, md.type_columns):
        with pytest.raises(StorageError, match="no database ''"):
            look("")


def test_a_missing_folder_is_told_in_one_sentence(tmp_path):
    assert "does not exist" in refused(str(tmp_path / "nowhere" / "x.duckdb"))


def test_a_folder_as_a_database_is_told_in_one_sentence(tmp_path):
    assert refused(str(tmp_path))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_told_in_one_sentence(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert refused(str(tmp_path / "x.duckdb"))
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no place that nobody can write to")
def test_a_place_that_nobody_can_write_to_is_told_in_one_sentence():
    assert refused("/proc/x.duckdb")


def test_a_read_only_connection_is_told_in_one_sentence(tmp_path):
    path = str(tmp_path / "read.duckdb")
    duckdb.connect(path).close()
    with duckdb.connect(path, read_only=True) as connection, ProfileStore(connection) as store:
        assert store.fetches() == []
        with pytest.raises(StorageError, match=r"Could not begin a fetch into 'profiles': .*read-only") as caught:
            fill(store, [page(0, "a")])
    assert "\n" not in str(caught.value)


def test_a_closed_connection_is_told_in_one_sentence():
    connection = duckdb.connect()
    connection.close()
    with pytest.raises(StorageError):
        ProfileStore(connection)
    store = ProfileStore()
    store.close()
    with pytest.raises(StorageError):
        store.fetches()


def test_a_file_that_another_process_has_open_names_that_process(tmp_path):
    path = str(tmp_path / "locked.duckdb")
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(DatabaseLockedError, match=f"process {other.pid} has the database open") as caught:
            ProfileStore(path)
        assert caught.value.exit_code == 5
        other.communicate("")


def test_an_existing_database_is_asked_for_by_those_who_only_look(tmp_path):
    with pytest.raises(StorageError, match="There is no database"):
        md.list_fetches(str(tmp_path / "none.duckdb"))
    assert list(tmp_path.iterdir()) == []
    duckdb.connect(str(tmp_path / "some.duckdb")).close()
    assert md.list_fetches(tmp_path / "some.duckdb") == []


@pytest.mark.parametrize(
    "work",
    [
        lambda path, file: md.type_columns(path, materialize=True),
        lambda path, file: md.export_table(path, "profiles", file),
        lambda path, file: compare_tables(path, "profiles", "profiles"),
    ],
    ids=["typed", "export", "demo"],
)
def test_duckdb_draws_no_bar_of_its_own_on_standard_output(tmp_path, monkeypatch, capfd, work):
    path = str(tmp_path / "profiles.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute(
            "CREATE TABLE profiles AS SELECT i::VARCHAR AS distinct_id, json_object('plan', i % 3) AS properties, "
            "TIMESTAMP '2026-01-01' AS last_seen FROM range(300000) t(i)"
        )
    connect = database._connect

    def eager(path):
        """As DuckDB is under ``python -m``, and without its two seconds of patience."""
        connection = connect(path)
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = true")
        connection.execute("SET progress_bar_time = 10")  # a statement that only sets something may take 1 ms
        return connection

    monkeypatch.setattr(database, "_connect", eager)
    work(path, tmp_path / "profiles.parquet")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("told", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")])
def test_ctrl_c_while_a_database_is_closed_is_one_and_it_is_closed(tmp_path, monkeypatch, told):
    def interrupted(_):
        raise told

    store = ProfileStore(tmp_path / "x.duckdb")
    monkeypatch.setattr("mixpanel_duckdb.store.database.opening._is_alone", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.close()
    monkeypatch.undo()
    with duckdb.connect(tmp_path / "x.duckdb", read_only=True) as other:  # refused beside a connection that writes
        assert other.execute("SELECT 1").fetchall() == [(1,)]
