"""``mp-fetch sql``: whatever a query gives comes out whole, nothing is written, and a wrong one is one sentence."""

import csv
import io
import json
import os
import subprocess
import sys

import duckdb
import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch, outcome
from mixpanel_duckdb.store import answer


@pytest.fixture
def mp(tmp_path):
    """The command in a folder with a small database."""
    with duckdb.connect(str(tmp_path / "mixpanel.duckdb")) as connection:
        connection.execute("""CREATE TABLE profiles AS SELECT 'p' || i AS distinct_id, {'n': i}::JSON AS properties,
            TIMESTAMP '2026-01-31 08:00:00' AS last_seen FROM range(3) AS r(i)""")
    return MpFetch(tmp_path)


def test_the_answer_is_a_table_csv_or_a_json_list(mp):
    query = "SELECT distinct_id, properties->>'n' AS n, 1.5 AS half, NULL AS nothing FROM profiles ORDER BY 1 DESC"
    table = mp("sql", query)
    assert (table.code, table.err) == (0, "")
    assert [line.split() for line in table.out.splitlines()] == [
        ["distinct_id", "n", "half", "nothing"], *([f"p{i}", str(i), "1.5", "NULL"] for i in (2, 1, 0))
    ]  # fmt: skip
    assert list(csv.reader(io.StringIO(mp("sql", query, "--csv").out))) == [
        ["distinct_id", "n", "half", "nothing"], *([f"p{i}", str(i), "1.5", ""] for i in (2, 1, 0))
    ]  # fmt: skip
    assert json.loads(mp("sql", query, "--json").out) == [
        {"distinct_id": f"p{i}", "n": str(i), "half": 1.5, "nothing": None} for i in (2, 1, 0)
    ]


def test_values_of_every_type_come_out_whole(mp):
    query = """SELECT 170141183460469231731687303715884105727::HUGEINT AS huge, 0.1::DOUBLE AS tenth, [1, NULL] AS list,
        {'a': 'x', 'b': [true]} AS record, '{"a": 12345678901234567890123}'::JSON AS json, DATE '2026-01-31' AS day,
        'a"b,c' AS text, 1.10::DECIMAL(4, 2) AS money, 'x'::BLOB AS bytes, 1 AS twice, 2 AS twice"""
    (row,) = json.loads(mp("sql", query, "--json").out)
    assert row["huge"] == 2**127 - 1
    assert (row["tenth"], row["list"], row["record"]) == (0.1, [1, None], {"a": "x", "b": [True]})
    assert (row["json"], row["day"], row["text"]) == ({"a": 12345678901234567890123}, "2026-01-31", 'a"b,c')
    assert len(row) == 11
    assert list(row.values())[-2:] == [1, 2]
    _, cells = csv.reader(io.StringIO(mp("sql", query, "--csv").out))
    assert cells[0] == str(2**127 - 1)
    assert cells[2:4] == ["[1,null]", '{"a":"x","b":[true]}']
    assert cells[6:8] == ['a"b,c', "1.10"]


def test_numbers_that_json_does_not_know_are_texts_in_it(mp):
    query = "SELECT 'NaN'::DOUBLE AS n, {'i': ['-inf'::DOUBLE, 1]} AS many, 'NaN' AS text, 0.1 AS kept"

    def refused(number):
        raise AssertionError(number)

    (row,) = json.loads(mp("sql", query, "--json").out, parse_constant=refused)
    assert row == {"n": "NaN", "many": {"i": ["-Infinity", 1.0]}, "text": "NaN", "kept": 0.1}


def test_values_are_printed_as_they_are_in_json_too_whatever_words_are_in_them(mp):
    cell = '{"game":"Infinity \\"Blade\\" NaN","n":0.12345678901234567890123,"p":1.10,"k":1,"k":2,"big":1e400}'
    done = mp("sql", f"SELECT '{cell}'::JSON AS cell, 'inf' AS word", "--json")
    assert done.out == f'[\n  {{"cell": {cell}, "word": "inf"}}\n]\n'
    odd = mp("sql", """SELECT '{"a": [inf, -Infinity, ",]", nan,],}'::JSON AS odd""", "--json")
    assert json.loads(odd.out) == [{"odd": {"a": ["inf", "-Infinity", ",]", "nan"]}}]


@pytest.mark.parametrize(
    "query",
    ["FROM profiles", "SUMMARIZE profiles", "DESCRIBE profiles", "SHOW TABLES", "VALUES (1)", " SELECT 1 ; ",
     "WITH a AS (SELECT 1) FROM a -- a comment", "SELECT 1 AS a; -- a comment",
     "/* é; */ SELECT 'é;' AS a /* ; */;; /* ; */ ; -- é;"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["text", "json"])
def test_what_reads_is_answered(mp, query, form):
    with duckdb.connect(str(mp.folder / "mixpanel.duckdb"), read_only=True) as connection:
        assert list(answer(connection, query, form).rows)


@pytest.mark.parametrize(
    "query",
    ["DROP TABLE profiles", "DELETE FROM profiles", "COPY profiles TO 'out.csv'", "ATTACH 'other.duckdb'", "",
     "SELECT 1; SELECT 2", "-- nothing", "CREATE TABLE x AS SELECT 1", "INSTALL httpfs", "SET memory_limit = '1GB'",
     "EXPLAIN DELETE FROM profiles", "CHECKPOINT", "SELEC 1", "FROM nobody", "SELECT nobody FROM profiles",
     "SELECT distinct_id::INTEGER FROM profiles", "SELECT 1 FROM (", "SELECT $1", "FROM profiles) FROM (VALUES (1)"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["text", "json"])
def test_anything_else_is_refused_in_a_sentence_and_changes_nothing(mp, query, form, monkeypatch):
    monkeypatch.chdir(mp.folder)
    with duckdb.connect("mixpanel.duckdb") as connection:  # one that could write
        with pytest.raises(md.QueryError) as caught:
            list(answer(connection, query, form).rows)
        assert connection.execute("SHOW TABLES").fetchall() == [("profiles",)]
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(3,)]
    text = str(caught.value)
    assert text.endswith(".")
    assert "LINE" not in text
    assert [path.name for path in mp.folder.iterdir()] == ["mixpanel.duckdb"]


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=["table", "csv", "json"])
@pytest.mark.parametrize("query", ["DROP TABLE profiles", "SELECT distinct_id::INTEGER FROM profiles"])
def test_a_query_that_cannot_be_answered_is_one_sentence(mp, query, form):
    done = mp("sql", query, *form)
    assert (done.code, len(done.said)) == (2, 1)
    assert done.said[0].startswith("Error: ")
    if form == ["--json"]:
        assert done.json["error"]["code"] == "query"
    else:
        assert done.out == ""


def test_a_query_that_breaks_off_prints_nothing(mp):
    query = "SELECT if(i < 9000, i::VARCHAR, 'late')::INTEGER AS i FROM range(10000) AS r(i)"
    assert (mp("sql", query, "--csv").code, mp("sql", query, "--csv").out) == (2, "")
    assert list(mp("sql", query, "--json").json) == ["error"]


def test_a_table_shows_the_first_rows_and_csv_all(mp):
    done = mp("sql", "FROM range(5000)")
    assert len(done.out.splitlines()) == 201
    assert "first 200 rows" in done.err
    assert len(mp("sql", "FROM range(5000)", "--csv").out.splitlines()) == 5001
    assert len(json.loads(mp("sql", "FROM range(5000)", "--json").out)) == 5000
    assert mp("sql", "FROM profiles WHERE false").said == ["No rows."]
    assert json.loads(mp("sql", "FROM profiles WHERE false", "--json").out) == []


def test_a_database_that_is_not_there_or_open_elsewhere_is_told_as_everywhere(mp, tmp_path):
    assert mp("sql", "SELECT 1", "-d", "typo.duckdb").code == 5
    assert mp("sql", "SELECT 1", "--csv", "--json").code == 2
    code = "import duckdb, sys; c = duckdb.connect('mixpanel.duckdb'); print('open', flush=True); sys.stdin.read()"
    owner = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout.readline() == "open\n"
        done = mp("sql", "SELECT 1")
        owner.communicate()
    assert done.code == 5
    assert f"process {owner.pid} has the database open" in done.err


@pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]], ids=["table", "csv", "json"])
def test_a_terminal_gets_nothing_that_it_would_obey(mp, form):
    query = "SELECT chr(27) || ']0;owned' || chr(7) AS evil, repeat('long ', 100) AS long"
    code, said = mp.on_terminal("sql", query, *form, streams=("stdout",))
    assert code == 0
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "owned" in said
    if not form:
        assert max(map(len, said.splitlines())) <= 80
    piped = outcome(mp.start("sql", query, "--csv")).out
    assert "\x1b]0;owned\x07" in piped
