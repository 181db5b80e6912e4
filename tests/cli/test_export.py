"""``mp-fetch export``: what it says, what it refuses, and what a stop leaves behind."""

import json
import os
import signal
import time
from pathlib import Path

import duckdb
import pytest

from helpers import LONGEST, wait_until


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A small profiles table, and a view that takes minutes to write."""
    path = tmp_path / "mixpanel.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
        connection.execute("INSERT INTO profiles VALUES ('a', '{\"plan\":\"pro\"}', NULL), ('é', '{}', NULL)")
        connection.execute("CREATE VIEW endless AS SELECT i, md5(i::VARCHAR) AS a FROM range(2000000000) t(i)")
    return path


def test_the_ending_tells_the_format_and_json_tells_what_was_written(mp_fetch, database, tmp_path):
    done = mp_fetch("export", "profiles", "out.ndjson", "--json")
    assert done.code == 0
    file = tmp_path / "out.ndjson"
    assert done.json == {
        "table": "profiles", "file": str(file), "format": "ndjson", "rows": 2, "bytes": file.stat().st_size,
    }  # fmt: skip
    assert file.read_text().splitlines()[0] == '{"$distinct_id":"a","$properties":{"plan":"pro"}}'
    said = mp_fetch("export", "profiles", "out", "--format", "parquet")
    assert "out: 2 rows of profiles as parquet" in said.out
    assert (tmp_path / "out").read_bytes().startswith(b"PAR1")


def test_an_existing_file_is_refused_without_replace(mp_fetch, database, tmp_path):
    (tmp_path / "out.csv").write_text("mine")
    refused = mp_fetch("export", "profiles", "out.csv", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "unsuitable_file")
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert mp_fetch("export", "profiles", "out.csv", "--replace").code == 0
    assert (tmp_path / "out.csv").read_text().startswith("distinct_id,")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["profiles", "out.txt"], 2, "--format"),
        (["nope", "out.csv"], 2, "no table or view 'nope'"),
        (["", "out.csv"], 2, "no table or view ''"),
        (["profiles", "."], 2, "no plain file"),
        (["profiles", "mixpanel.duckdb", "--format", "csv", "--replace"], 2, "is the database"),
        (["profiles", "mixpanel.duckdb.wal", "--format", "csv"], 2, "is the database"),
        (["profiles", "out.csv", "-d", "typo.duckdb"], 5, "no database"),
        (["profiles", "out.csv", "-d", ""], 5, "no database"),
        (["profiles", "-"], 2, "--format csv"),
        (["profiles", "-", "--format", "parquet"], 2, "--format csv"),
        (["profiles", "-", "--format", "csv", "--json"], 2, "exclude each other"),
        (["profiles", "-", "--format", "csv", "--replace"], 2, '--replace and "-" exclude each other'),
        (["profiles", "-", "--format", "csv", "--partition-by", "a"], 2, '--partition-by and "-" exclude each other'),
        (["profiles", "-", "--format", "csv", "--setup", "nowhere.sql"], 3, "'nowhere.sql' cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(mp_fetch, database, tmp_path, words, code, said):
    done = mp_fetch("export", *words)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err
    assert os.listdir(tmp_path) == ["mixpanel.duckdb"]
    assert mp_fetch("export", "profiles", "-", "--format", "csv").code == 0


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("csv", 'distinct_id,properties,last_seen\na,"{""plan"":""pro""}",\né,{},\n'),
        ("ndjson", '{"$distinct_id":"a","$properties":{"plan":"pro"}}\n{"$distinct_id":"é","$properties":{}}\n'),
    ],
)
def test_standard_output_has_the_rows_and_nothing_else(mp_fetch, database, form, rows):
    done = mp_fetch("export", "profiles", "-", "--format", form)
    assert (done.code, done.out, done.err) == (0, rows, "")


@pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_terminal_gets_nothing_that_it_would_obey(mp_fetch, database, form):
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE VIEW evil AS SELECT chr(27) || ']0;owned' || chr(7) || chr(155) || chr(8238) AS a")
    code, said = mp_fetch.on_terminal("export", "evil", "-", "--format", form, streams=("stdout",))
    assert code == 0
    assert "owned" in said
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)
    assert "\x9b\u202e" in mp_fetch("export", "evil", "-", "--format", form).out


def test_a_reader_that_has_enough_is_no_error_to_speak_of(mp_fetch, database):
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE VIEW many AS SELECT i FROM range(300000) t(i)")
    process = mp_fetch.start("export", "many", "-", "--format", "csv")
    with process:
        assert process.stdout.readline() == "i\n"
        process.stdout.close()
        assert process.stderr.read() == ""


def written(folder):
    """How large the files are that are yet to get a name."""
    return [part.stat().st_size for part in folder.glob(".mp-fetch-*.part")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.ndjson.zst"])
def test_a_stop_leaves_the_old_file_and_no_other_under_its_name(
    mp_fetch, database, tmp_path, name, number, code, at_most
):
    (tmp_path / name).write_text("old")
    process = mp_fetch.start("export", "endless", name, "--replace")
    with process:
        wait_until(lambda: process.poll() is not None or any(written(tmp_path)))
        assert process.poll() is None
        process.send_signal(number)
        stopped = time.monotonic()
        process.communicate(timeout=LONGEST)
        assert process.returncode == code
        assert time.monotonic() - stopped < at_most(5)
    assert (tmp_path / name).read_text() == "old"
    left = list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))
    assert bool(left) == (number == signal.SIGKILL)
    (tmp_path / name).unlink()
    assert mp_fetch("export", "profiles", name, "--json").json["rows"] == 2


def test_json_says_that_it_was_stopped(mp_fetch, database, tmp_path):
    process = mp_fetch.start("export", "endless", "out.csv", "--json")
    with process:
        wait_until(lambda: process.poll() is not None or written(tmp_path))
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LONGEST)
    assert json.loads(out)["error"]["code"] == "interrupted"
