"""Which file a path means: a DuckDB database or a new one, and nothing else is ever opened, changed or made."""

import gzip
import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from helpers import client_of
from mixpanel_duckdb import ProfileStore, StorageError
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.database.paths import file_of
from store.storing import fetch_rows, fill, page

EXPORTED = [".parquet", ".csv", ".json", ".ndjson", ".jsonl"]


@pytest.fixture(scope="module")
def server():
    with Simulator(Population(30, seed=1)) as running:
        yield running


def parquet(path):
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS distinct_id) TO '{path}' (FORMAT parquet)")


def sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE profiles (distinct_id)")
    connection.close()


def text(content):
    return lambda path: path.write_bytes(content)


FOREIGN = {
    "x.parquet": parquet,
    "X.PARQUET": parquet,
    "parquet.duckdb": parquet,
    "x.csv": text(b"distinct_id\n1\n"),
    "x.csv.gz": text(gzip.compress(b"distinct_id\n1\n")),
    "x.tsv": text(b"distinct_id\tproperties\n1\t2\n"),
    "csv.duckdb": text(b"distinct_id\n1\n"),
    "x.json": text(b'[{"distinct_id": 1}]'),
    "x.ndjson": text(b'{"distinct_id": 1}\n'),
    "x.jsonl": text(b'{"distinct_id": 1}\n'),
    "x.sqlite": sqlite,
    "notes.txt": text(b"not a database" * 1000),
    "short": text(b"DUCK"),
    "empty.duckdb": text(b""),
    "empty.csv": text(b""),
}
USES = {
    "fetch": lambda client, path: md.fetch_profiles(path, client=client),
    "replace": lambda client, path: md.fetch_profiles(path, client=client, if_exists="replace"),
    "list": lambda client, path: md.list_fetches(path),
    "typed": lambda client, path: md.type_columns(path),
    "export": lambda client, path: md.export_table(path, "profiles", path.with_name("out.csv")),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_no_database_is_refused_before_the_first_request_and_stays(server, tmp_path, name):
    path = tmp_path / name
    FOREIGN[name](path)
    before, asked = path.read_bytes(), len(server.requests)
    with client_of(server) as client:
        for use, call in USES.items():
            with pytest.raises(StorageError, match="not a valid DuckDB database file") as caught:
                call(client, path)
            assert str(caught.value).startswith(f"Could not open {path}: "), use
            assert "\n" not in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == before
    assert len(server.requests) == asked


@pytest.mark.parametrize("name", [*("x" + kind for kind in EXPORTED), "x.csv.gz", "X.CSV.ZST", "a.duckdb.parquet"])
def test_a_new_database_named_like_an_export_is_refused_before_the_first_request(server, tmp_path, name):
    asked = len(server.requests)
    with client_of(server) as client, pytest.raises(StorageError, match="mp-fetch export"):
        md.fetch_profiles(tmp_path / name, client=client)
    assert list(tmp_path.iterdir()) == []
    assert len(server.requests) == asked


def test_a_database_that_is_there_may_have_any_name(tmp_path):
    for name in ("x.csv", "y.parquet", ":memory:z", "md:w"):
        path = tmp_path / name
        duckdb.connect(str(tmp_path / "made")).close()
        (tmp_path / "made").rename(path)
        with ProfileStore(path) as store:
            fill(store, [page(0, "a")])
        assert len(md.list_fetches(path)) == 1


NO_FILES = (
    ":memory:mine",
    ":memory: ",
    ":default:",
    "md:mine",
    "s3://b/x.duckdb",
    "sqlite:x",
    "duckdb:x",
    " ",
    "a/\udcff",
)


@pytest.mark.parametrize("name", NO_FILES)
def test_a_path_that_is_no_files_is_refused_before_the_first_request(server, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    asked = len(server.requests)
    with client_of(server) as client, pytest.raises(StorageError) as caught:
        md.fetch_profiles(name, client=client)
    assert "\n" not in str(caught.value)
    assert str(caught.value).encode()
    assert list(tmp_path.iterdir()) == []
    assert len(server.requests) == asked


def test_a_tilde_is_the_users_home_wherever_a_path_is_given(server, tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    with client_of(server) as client:
        result = md.fetch_profiles("~/x.duckdb", client=client)
    result.timeline().save("~/x.svg")
    md.export_table("~/x.duckdb", "profiles", "~/x.csv")
    md.type_columns("~/x.duckdb")
    assert len(md.list_fetches(Path("~/x.duckdb"))) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.csv", "x.duckdb", "x.svg"]


def test_two_dots_behind_a_link_lead_where_the_system_goes(server, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there" / "in").mkdir(parents=True)
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there" / "in")
    monkeypatch.chdir(tmp_path / "here")
    name = "link/../x.duckdb"
    with client_of(server) as client:
        md.fetch_profiles(name, client=client)
        md.fetch_profiles(name, client=client, if_exists="replace").raise_for_failures()
    md.type_columns(name)
    md.export_table(name, "profiles", "link/../x.csv")
    assert len(md.list_fetches(name)) == 1
    assert sorted(each.name for each in (tmp_path / "there").iterdir()) == ["in", "x.csv", "x.duckdb"]
    assert [each.name for each in (tmp_path / "here").iterdir()] == ["link"]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_two_dots_behind_a_folder_that_is_not_there_lead_nowhere(server, tmp_path, monkeypatch, use):
    monkeypatch.chdir(tmp_path)
    asked = len(server.requests)
    with client_of(server) as client, pytest.raises(StorageError, match=r"missing/\.\."):
        use(client, Path("missing/../x.duckdb"))
    assert list(tmp_path.iterdir()) == []
    assert len(server.requests) == asked


@given(st.text(alphabet=".:/abcmdCSV", max_size=12), st.sampled_from(["", *EXPORTED, ".gz", ".csv.gz", ".duckdb"]))
def test_a_path_is_that_of_a_file_or_refused(start, ending):
    with suppress(StorageError):
        file = file_of(start + ending)
        assert file == os.path.abspath(start + ending)
        assert not file.lower().removesuffix(".gz").removesuffix(".zst").endswith(tuple(EXPORTED))


def test_to_look_into_a_file_that_is_open_here_does_not_unlock_it(tmp_path):
    path = str(tmp_path / "open.duckdb")
    duckdb.connect(path).close()
    code = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    with duckdb.connect(path), ProfileStore(path):
        done = subprocess.run([sys.executable, "-c", code, path], check=False, capture_output=True, text=True)
    assert "Conflicting lock" in done.stderr


def test_a_store_stays_at_its_file_wherever_the_process_goes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with ProfileStore("here.duckdb") as store, duckdb.connect("here.duckdb") as beside:
        monkeypatch.chdir("elsewhere")
        result = fetch_rows([b'{"$distinct_id":"a","$properties":{}}'], store)
        assert len(result.relation().fetchall()) == 1
        assert beside.execute("SELECT count(*) FROM profiles").fetchone() == (1,)
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == ["here.duckdb"]
