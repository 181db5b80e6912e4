"""A table as a file: every value comes back from every format, and a file is whole or not there."""

import csv
import gzip
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mixpanel_duckdb as md
from any_json import strict_objects, texts
from store.storing import fetch_rows, read

NAMES = ["t.parquet", "t.csv", "t.csv.gz", "t.csv.zst", "t.ndjson", "t.jsonl", "t.ndjson.gz", "t.jsonl.zst"]
ODD = [
    ("plain", '{"z":1,"a":{"b":[1,2.5,null,true]},"$last_seen":"2026-01-01T00:00:00"}'),
    ("numbers", '{"i":18446744073709551616123456,"m":-9223372036854775809,"f":1.0,"n":-0.0,"e":1e400,"s":5e-324}'),
    ("case", '{"A":1,"a":2,"":3," a ":4,"a.b":5,"a\\"b":6,"$a":7}'),
    ("text", '{"nul":"x\\u0000y","line":"a\\r\\nb","quote":"\\"\\\\","comma":"a,b;c","emoji":"😀","null":"NULL"}'),
    ('comma, "quoted"\r\nand more', "{}"),
    ("", '{"empty":"","list":[],"object":{}}'),
    (None, '{"nobody":true}'),
    (" spaces ", '{"deep":' + "[" * 300 + "]" * 300 + "}"),
    ("NULL", '{"long":"' + "x" * 200_000 + '"}'),
]
csv.field_size_limit(10**8)


def made(*rows: tuple[str | None, str]) -> duckdb.DuckDBPyConnection:
    """A profiles table."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
    connection.execute(
        "INSERT INTO profiles SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), TIMESTAMP '2026-01-01 00:00:01.25'",
        [[name for name, _ in rows], [text for _, text in rows]],
    )
    return connection


def opened(file: Path) -> Any:
    """A file's text, decompressed by Python."""
    return (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8", newline="")


def lines(file: Path) -> list[str]:
    if file.suffix == ".zst":
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT line FROM read_csv(?, compression = 'zstd', columns = {'line': 'VARCHAR'}, header = false, "
                "delim = '\x02', quote = '', escape = '', max_line_size = 10000000)",
                [str(file)],
            ).fetchall()
        return [line for (line,) in found]
    with opened(file) as stream:
        return stream.read().removesuffix("\n").split("\n") if file.stat().st_size else []


def read_back(file: Path) -> list[tuple[str | None, Any]]:
    """The rows of an exported profiles table, as (id, properties)."""
    name = file.name
    if ".parquet" in name:
        with duckdb.connect() as connection:
            rows = connection.execute(f"SELECT distinct_id, properties FROM '{file}'").fetchall()
        return [(each, read(text)) for each, text in rows]
    if ".csv" in name:
        if file.suffix == ".zst":
            with duckdb.connect() as connection:
                rows = connection.execute(
                    f"SELECT distinct_id, properties FROM read_csv('{file}', header = true, all_varchar = true, "
                    "quote = '\"', escape = '\"', delim = ',', max_line_size = 10000000)"
                ).fetchall()
            return [(each or "", read(text)) for each, text in rows]
        with opened(file) as stream:
            head, *rows = csv.reader(stream)
        assert head == ["distinct_id", "properties", "last_seen"]
        return [(row[0], read(row[1])) for row in rows]
    rows = [json.loads(line) for line in lines(file) if line]
    assert all(list(row) == ["$distinct_id", "$properties"] for row in rows)
    start = '"$properties":'
    return [
        (row["$distinct_id"], read(line[line.index(start) + len(start) : -1]))
        for row, line in zip(rows, (line for line in lines(file) if line), strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_odd_profiles_come_back_value_for_value(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    with made(*ODD) as connection:
        done = md.export_table(connection, "profiles", file)
    # CSV has one word for no id and for an empty one, to most readers.
    wanted = [(who or "" if ".csv" in name else who, read(text)) for who, text in ODD]
    assert read_back(file) == wanted
    assert (done.rows, done.bytes, done.file) == (len(ODD), file.stat().st_size, str(file))
    assert os.listdir(tmp_path) == [name]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    profiles=st.lists(st.tuples(texts, strict_objects), max_size=4),
    name=st.sampled_from(["t.parquet", "t.csv", "t.ndjson"]),
)
def test_any_profiles_come_back_value_for_value(
    profiles: list[tuple[str, Any]], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("any") / name
    clean = [(_utf8(who), json.dumps(properties)) for who, properties in profiles if _is_utf8(properties)]
    with made(*clean) as connection:
        md.export_table(connection, "profiles", file)
    assert read_back(file) == [(who, read(text)) for who, text in clean]


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_utf8(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False  # no database holds it
    return True


def test_csv_tells_an_empty_id_from_none_to_a_reader_that_asks(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    with made(("", "{}"), (None, "{}")) as connection:
        md.export_table(connection, "profiles", file)
        found = connection.execute(f"SELECT distinct_id FROM read_csv('{file}', allow_quoted_nulls = false)").fetchall()
    assert found == [("",), (None,)]


def test_parquet_is_plain_text_and_moments_to_every_reader(tmp_path: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "t.parquet"
    with made(*ODD) as connection:
        md.export_table(connection, "profiles", file)
        wanted = connection.execute("SELECT distinct_id, properties::VARCHAR, last_seen FROM profiles").fetchall()
    frame = polars.read_parquet(file)
    assert frame.schema == {
        "distinct_id": polars.String,
        "properties": polars.String,
        "last_seen": polars.Datetime("us"),
    }
    assert frame.rows() == wanted
    assert [tuple(row.values()) for row in parquet.read_table(file).to_pylist()] == wanted
    read_by_pandas = pandas.read_parquet(file)
    assert list(read_by_pandas["properties"]) == [text for _, text, _ in wanted]
    assert read_by_pandas["last_seen"].dt.to_pydatetime().tolist() == [seen for *_, seen in wanted]


TYPED = """
CREATE TABLE typed AS SELECT * FROM (VALUES
    (170141183460469231731687303715884105727::HUGEINT, 18446744073709551615::UBIGINT, 0.1::DOUBLE, true,
     {'a': 'x"y', 'JSON': 1::HUGEINT, 'j': '{"k": 1.0}'::JSON}, [1, NULL], ['[1]'::JSON],
     TIMESTAMP '2026-01-01 00:00:01', '"text"'::JSON, NULL::VARCHAR, '', DATE '2026-01-01', 12.50::DECIMAL(9, 2)))
AS t(huge, big, half, yes, struct, list, jsons, seen, "a json", nothing, empty, day, money)
"""


def test_typed_columns_come_back_from_parquet_with_their_types(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    with duckdb.connect() as connection:
        connection.execute(TYPED)
        md.export_table(connection, "typed", file)
        (row,) = connection.execute(f"FROM '{file}'").fetchall()
        (stored,) = connection.execute("FROM typed").fetchall()
        kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM '{file}'").fetchall()}
    assert row[0] == str(stored[0])
    assert row[4] == {**stored[4], "JSON": "1"}
    assert [*row[1:4], *row[5:]] == [*stored[1:4], *stored[5:]]
    assert [kinds[name] for name in ("huge", "big", "half", "yes", "list", "jsons", "a json", "money")] == [
        "VARCHAR", "UBIGINT", "DOUBLE", "BOOLEAN", "INTEGER[]", "VARCHAR[]", "VARCHAR", "DECIMAL(9,2)",
    ]  # fmt: skip


def test_typed_columns_come_back_from_text_formats(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(TYPED)
        md.export_table(connection, "typed", tmp_path / "t.csv")
        md.export_table(connection, "typed", tmp_path / "t.ndjson")
    with (tmp_path / "t.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    (line,) = (tmp_path / "t.ndjson").read_text().splitlines()
    told = json.loads(line, parse_float=Decimal)
    assert int(row["huge"]) == told["huge"] == 2**127 - 1
    assert int(row["big"]) == told["big"] == 2**64 - 1
    assert json.loads(row["struct"]) == {"a": 'x"y', "JSON": 1, "j": {"k": 1.0}} == told["struct"]
    assert json.loads(row["list"]) == [1, None] == told["list"]
    assert json.loads(row["jsons"]) == [[1]] == told["jsons"]
    assert (json.loads(row["a json"]), row["seen"], row["day"]) == ("text", "2026-01-01 00:00:01", "2026-01-01")
    assert (told["a json"], told["seen"], told["nothing"], told["empty"]) == ("text", "2026-01-01 00:00:01", None, "")
    assert (
        (Decimal(row["half"]), Decimal(row["money"]))
        == (told["half"], told["money"])
        == (Decimal("0.1"), Decimal("12.5"))
    )


def test_a_typed_view_of_odd_profiles_is_exported_like_any_table(tmp_path: Path) -> None:
    with made(*ODD[:4]) as connection:
        made_view = md.type_columns(connection)
        names = [made_view.relation().columns, *(made_view.relation().fetchall(),)]
        md.export_table(connection, "profiles_typed", tmp_path / "t.parquet")
        found = connection.sql(f"FROM '{tmp_path / 't.parquet'}'")
        assert found.columns == names[0]
        assert [row[0] for row in found.fetchall()] == [row[0] for row in names[1]]
        md.export_table(connection, "profiles_typed", tmp_path / "t.ndjson")
    rows = [json.loads(line) for line in (tmp_path / "t.ndjson").read_text().splitlines()]
    assert [row["distinct_id"] for row in rows] == [name for name, _ in ODD[:4]]


def test_names_need_no_care(tmp_path: Path) -> None:
    file = tmp_path / 'it\'s; "odd" 100%.csv'
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE "odd ""name\'; --" AS SELECT 1 AS "a ""b\'", 2 AS "select"')
        assert md.export_table(connection, "odd \"name'; --", file).rows == 1
    with file.open(newline="") as stream:
        assert list(csv.reader(stream)) == [["a \"b'", "select"], ["1", "2"]]


def test_an_empty_table_is_a_file_without_rows(tmp_path: Path) -> None:
    with made() as connection:
        for name in ("t.parquet", "t.csv", "t.ndjson"):
            assert md.export_table(connection, "profiles", tmp_path / name).rows == 0
            assert read_back(tmp_path / name) == []


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("there.csv", {}, "exists"),
        ("there.csv", {"replace": False}, "--replace"),
        ("table.txt", {}, "does not tell a format"),
        ("table", {}, "does not tell a format"),
        ("table.gz", {}, "does not tell a format"),
        ("table.parquet.gz", {}, "compressed by itself"),
        ("nowhere/table.csv", {}, "does not exist"),
        ("folder", {"format": "csv", "replace": True}, "no plain file"),
    ],
)
def test_a_file_that_will_not_do_is_refused_and_left_alone(
    name: str, options: dict[str, Any], match: str, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder").mkdir()
    with made() as connection, pytest.raises(md.UnsuitableFileError, match=match):
        md.export_table(connection, "profiles", tmp_path / name, **options)
    assert sorted(os.listdir(tmp_path)) == ["folder", "there.csv"]
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_no_table_is_refused(tmp_path: Path) -> None:
    with duckdb.connect() as connection, pytest.raises(md.UnsuitableTableError, match="'nope'"):
        md.export_table(connection, "nope", tmp_path / "t.csv")
    assert os.listdir(tmp_path) == []


def test_replace_follows_a_link_and_swaps_the_file(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with made(("a", "{}")) as connection:
        md.export_table(connection, "profiles", tmp_path / "link.csv", replace=True)
    assert (tmp_path / "link.csv").is_symlink()
    assert read_back(tmp_path / "real.csv") == [("a", read("{}"))]


def test_a_view_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("old")
    with duckdb.connect() as connection:
        connection.execute("CREATE VIEW broken AS SELECT if(i = 199999, error('no more'), i) FROM range(200000) t(i)")
        with pytest.raises(md.StorageError, match="no more"):
            md.export_table(connection, "broken", file, replace=True)
    assert (os.listdir(tmp_path), file.read_text()) == (["t.csv"], "old")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, where one can be had."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no size-limited file system can be had here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.ndjson"])
def test_a_full_disk_is_a_storage_error_and_leaves_the_old_file(name: str, small_disk: Path) -> None:
    (small_disk / name).write_text("old")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE VIEW long AS SELECT i, md5(i::VARCHAR) AS a, md5((i + 1)::VARCHAR) AS b FROM range(200000) t(i)"
        )
        with pytest.raises(md.StorageError, match="write 'long'"):
            md.export_table(connection, "long", small_disk / name, replace=True)
    assert os.listdir(small_disk) == [name]
    assert (small_disk / name).read_text() == "old"


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.zst"])
def test_large_profiles_fit_in_the_memory_that_a_store_has(name: str, database: str, tmp_path: Path) -> None:
    wide = "SELECT i::VARCHAR AS distinct_id, repeat(md5(i::VARCHAR), 1000) AS properties FROM range(30000) t(i)"
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE VIEW wide AS {wide}")
    with md.ProfileStore(database) as store:
        assert md.export_table(store, "wide", tmp_path / name).rows == 30_000
        assert _keeps_order(store)
    with duckdb.connect() as connection:
        order = connection.execute(f"SELECT distinct_id::VARCHAR FROM '{tmp_path / name}'").fetchall()
    assert order == [(str(number),) for number in range(30_000)]


def _keeps_order(store: md.ProfileStore) -> bool:
    with store.reader()() as connection:
        return connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall() == [(True,)]


def test_a_callers_connection_keeps_its_settings_and_stays_open(tmp_path: Path) -> None:
    settings = "SELECT name, value FROM duckdb_settings() ORDER BY name"
    with made(("a", "{}")) as connection:
        before = connection.execute(settings).fetchall()
        md.export_table(connection, "profiles", tmp_path / "t.parquet")
        with pytest.raises(md.UnsuitableTableError):
            md.export_table(connection, "nope", tmp_path / "u.parquet")
        assert connection.execute(settings).fetchall() == before


def test_a_path_a_store_and_a_connection_will_do(database: str, tmp_path: Path) -> None:
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        md.export_table(connection, "t", tmp_path / "1.csv")
    md.export_table(database, "t", tmp_path / "2.csv")
    with md.ProfileStore(database) as store:
        md.export_table(store, "T", tmp_path / "3.csv")
    assert {(tmp_path / f"{number}.csv").read_text() for number in (1, 2, 3)} == {"a\n1\n"}
    with pytest.raises(md.StorageError, match="no database"):
        md.export_table(str(tmp_path / "typo.duckdb"), "t", tmp_path / "4.csv")


def test_a_connection_whose_configuration_is_locked_is_fetched_into_and_exported(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET lock_configuration = true")
        assert fetch_rows([b'{"$distinct_id":"a","$properties":{"n":1}}'], connection).is_complete
        assert md.type_columns(connection).rows == 1
        for name in ("x.parquet", "x.csv", "x.ndjson"):
            assert md.export_table(connection, "profiles", tmp_path / name).rows == 1


def test_a_configuration_that_is_locked_meanwhile_stays_locked(tmp_path: Path) -> None:
    path = str(tmp_path / "x.duckdb")
    with md.ProfileStore(path) as store, duckdb.connect(path) as mine:
        mine.execute("SET lock_configuration = true")
        assert fetch_rows([b'{"$distinct_id":"a","$properties":{"n":1}}'], store).is_complete
        assert md.export_table(store, "profiles", tmp_path / "x.csv").rows == 1


def test_an_export_sets_nothing_on_a_callers_instance(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        everything = (
            "SELECT name, value FROM duckdb_settings() WHERE name NOT LIKE '%progress%' AND name <> 'search_path'"
        )
        before = dict(connection.execute(everything).fetchall())
        connection.execute(f"CREATE VIEW during AS {everything}")
        md.export_table(connection, "during", tmp_path / "during.ndjson")
        lines = (tmp_path / "during.ndjson").read_text().splitlines()
        assert {each["name"]: each.get("value") for each in map(json.loads, lines)} == before


def test_a_view_of_another_schema_is_exported_by_its_whole_name(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute('CREATE SCHEMA other; CREATE VIEW other.v AS SELECT 42 AS a; CREATE TABLE "other.t" (b INT)')
        assert md.export_table(connection, "other.v", tmp_path / "v.csv").rows == 1
        assert md.export_table(connection, "memory.other.v", tmp_path / "w.csv").rows == 1
        assert md.export_table(connection, "other.t", tmp_path / "t.csv").rows == 0
        for name in ("other.none", "none.v", "", ".", "other."):
            with pytest.raises(md.UnsuitableTableError, match="There is no table or view"):
                md.export_table(connection, name, tmp_path / "n.csv")
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "v.csv", "w.csv"]


def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path) -> None:
    file = tmp_path / f"{'x' * 251}.csv"
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        for replace in (False, True):
            assert md.export_table(connection, "t", file, replace=replace).rows == 1
    assert os.listdir(tmp_path) == [file.name]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.ndjson.zst"])
def test_a_new_file_is_its_owners_alone_and_one_that_is_replaced_keeps_its_mode(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        md.export_table(connection, "t", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for mode in (0o640, 0o600, 0o666):
            file.chmod(mode)
            md.export_table(connection, "t", file, replace=True)
            assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_new_folder_is_its_owners_alone_and_one_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "parts"

    def modes() -> list[int]:
        found = (folder, folder / "a=1", *folder.glob("a=1/*.parquet"))
        return [stat.S_IMODE(each.stat().st_mode) for each in found]

    before = os.umask(0o022)
    try:
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS a, 2 AS b")
            md.export_table(connection, "t", folder, partition_by=["a"])
            assert modes() == [0o700, 0o700, 0o600]
            for mode in (0o750, 0o755, 0o700):
                folder.chmod(mode)
                md.export_table(connection, "t", folder, partition_by=["a"], replace=True)
                assert modes() == [mode, mode, mode & 0o644]
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["parts"]


def test_a_folder_with_other_files_is_not_replaced_by_an_export(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        with pytest.raises(md.UnsuitableFileError, match="letter"):
            md.export_table(connection, "t", folder, partition_by=["a"], replace=True)
        with pytest.raises(md.UnsuitableTableError, match="no column 'b'"):
            md.export_table(connection, "t", tmp_path / "new", partition_by=["b"])
        with pytest.raises(md.UnsuitableFileError, match="Parquet"):
            md.export_table(connection, "t", tmp_path / "new", partition_by=["a"], format="csv")
        with pytest.raises(md.UnsuitableFileError, match="s3://"):
            md.export_table(connection, "t", "https://example.org/t.parquet")
        with pytest.raises(md.QueryError, match="--setup"):
            md.export_table(connection, "t", "s3://b/t.parquet?s3_secret_access_key=hush")
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
    assert (folder / "letter.txt").read_text() == "dear"


def test_a_folder_is_there_again_when_its_replacement_is_stopped_between_the_two_names(tmp_path, monkeypatch):
    folder, rename = tmp_path / "parted", Path.rename

    def stopped(path, name):
        if name == folder:
            monkeypatch.setattr(Path, "rename", rename)
            raise KeyboardInterrupt
        return rename(path, name)

    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a, 2 AS b")
        md.export_table(connection, "t", folder, partition_by=["a"])
        before = sorted(folder.rglob("*"))
        monkeypatch.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            md.export_table(connection, "t", folder, partition_by=["a"], replace=True)
    assert sorted(folder.rglob("*")) == before
    assert list(tmp_path.iterdir()) == [folder]
