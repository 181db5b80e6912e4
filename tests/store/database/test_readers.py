"""Whoever only reads opens a file read-only: beside readers elsewhere, and where nothing can be written."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import duckdb
import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import LONGEST, client_of
from mixpanel_duckdb import DatabaseLockedError, ProfileStore
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store import reading
from store.storing import SPEC, fill, page

HOLDING = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); sys.stdin.read()"
)
ONLY_READING = (
    ["status"],
    ["status", "--timeline", "out/run.svg"],
    ["export", "profiles", "out/x.csv"],
    ["export", "profiles", "-", "--format", "ndjson"],
    ["plan"],
)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "x.duckdb"
    with ProfileStore(path) as store:
        fill(store, [page(0, "a"), page(1, "b")])
    return path


@pytest.fixture
def protected(path):
    """The same where nobody can write: for root, a file system that is read-only."""
    folder = path.parent
    if os.name != "posix":
        pytest.skip("modes of POSIX")
    if os.geteuid():
        path.chmod(0o400)
        folder.chmod(0o500)
        yield path
        folder.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], check=False, capture_output=True).returncode:
        pytest.skip("no file system that is read-only can be had here")
    try:
        if subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=False, capture_output=True).returncode:
            pytest.skip("no file system that is read-only can be had here")
        yield path
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def look(path, folder):
    """Everything that only reads, in the library and as commands."""
    (record,) = md.list_fetches(path)
    assert record.rows == 2
    assert md.fetch_timeline(path).svg.startswith("<svg")
    assert md.export_table(path, "profiles", folder / "profiles.parquet").rows == 2
    (folder / "out").mkdir()
    with Simulator(Population(30, seed=1)) as sim:
        mp_fetch = MpFetch(folder, sim.environment())
        for words in ONLY_READING:
            done = mp_fetch(*words, "-d", path)
            assert (done.code, words) == (0, words), done.err
        assert "queries of the last hour are not known" in done.err
        assert "30 profiles in 1 page" in done.out
        with client_of(sim) as client:
            plan = md.plan_fetch(client=client, database=path)
            assert (plan.expected_rows, plan.queries_last_hour) == (30, None)
            asked = len(sim.requests)
            with pytest.raises(md.StorageError) as caught:
                md.fetch_profiles(path, "other", client=client)
            assert len(sim.requests) == asked
    return caught.value


def test_another_process_that_only_reads_is_in_nobodys_way(path, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        refusal = look(path, tmp_path)
        assert isinstance(refusal, DatabaseLockedError)
        assert f"process {other.pid} " in str(refusal)
        assert "End that process" not in str(refusal)
        other.communicate("")


def test_a_file_in_a_place_that_cannot_be_written_is_read(protected, tmp_path):
    look(protected, tmp_path)
    assert [each.name for each in protected.parent.iterdir()] == ["x.duckdb"]


def test_rows_that_are_still_in_the_log_are_read_where_that_cannot_be_written(path, tmp_path):
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('CREATE TABLE more AS SELECT 42 AS a');"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert (path.parent / "x.duckdb.wal").exists()
    with reading(path) as store, store.reader()() as connection:
        assert connection.execute("FROM more").fetchall() == [(42,)]
    assert (path.parent / "x.duckdb.wal").exists()


def test_a_result_is_read_beside_readers_elsewhere(path):
    with Simulator(Population(30, seed=1)) as sim, client_of(sim) as client:
        result = md.fetch_profiles(path, "other", client=client)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        assert len(result.relation().fetchall()) == 30
        other.communicate("")


def test_whoever_reads_joins_a_connection_that_may_write(path):
    for beside in (lambda: ProfileStore(path), lambda: duckdb.connect(str(path))):
        with beside(), reading(path) as store:
            assert len(store.fetches()) == 1
            with ProfileStore(path) as another:
                fill(another, [page(0, "a")], if_exists="replace")


def test_whoever_writes_waits_for_readers_of_this_process_and_for_no_others(path):
    opened = threading.Event()

    def write():
        with ProfileStore(path) as store:
            opened.set()
            fill(store, [page(0, "a")], if_exists="replace")

    writer = threading.Thread(target=write)
    with reading(path) as one:
        with reading(path) as another:
            writer.start()
            assert [len(store.fetches()) for store in (one, another)] == [1, 1]
            ProfileStore(path.with_name("other.duckdb")).close()
        assert not opened.is_set()
    writer.join(LONGEST)
    assert opened.is_set()


def test_whoever_reads_and_then_writes_in_one_thread_is_told_instead_of_waiting_for_ever(path):
    with ProfileStore(path, read_only=True) as store:
        with pytest.raises(md.StorageError, match="open in another way"):
            ProfileStore(path)
        assert len(store.fetches()) == 1


def test_readers_and_writers_in_any_order_never_refuse_each_other(path):
    def use(number):
        for turn in range(12):
            if (number + turn) % 3:
                assert len(md.list_fetches(path)) >= 1
            else:
                with ProfileStore(path) as store:
                    fill(store, [page(0, "a")], replace(SPEC, table=f"t{number}"), if_exists="replace")
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(use, range(6)))


def test_a_reader_that_could_not_be_prepared_is_in_nobodys_way(path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("mixpanel_duckdb.store.database.opening.Tuning", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError), reading(path):
            pass
    ProfileStore(path).close()
