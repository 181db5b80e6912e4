"""Files on object storage: a lake's, and exported tables."""

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import PAGE, fetch, served
from mixpanel_duckdb.simulator import Population, Simulator
from targets.engines import Engine, published, setup_text
from targets.object_storage import SECRET

BEFORE, AFTER = Population(60, seed=1), Population(50, seed=2)


@pytest.fixture
def setup(tmp_path, storage):
    file = tmp_path / "setup.sql"
    file.write_text(setup_text(("ducklake", "httpfs")) + storage.secret)
    return file


@pytest.fixture
def reader(setup):
    with duckdb.connect() as connection:
        connection.execute(setup.read_text())
        yield connection


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "mixpanel.duckdb")
    with Simulator(BEFORE) as sim:
        fetch(sim, path)
    return path


def test_a_lake_keeps_its_files_there_and_the_secret_nowhere(tmp_path, setup, work):
    target = md.Target(f"ducklake:{tmp_path}/lake.ducklake", data_path=f"s3://lake/{tmp_path.name}/", setup=setup)
    for population in (BEFORE, AFTER):
        published(population, work, target)
    lake = Engine("ducklake", target)
    with duckdb.connect() as connection:
        connection.execute(setup.read_text())
        connection.execute(f"ATTACH '{target.attach}' AS there (READ_ONLY)")
        rows = connection.execute("SELECT count(*) FROM there.profiles").fetchall()
        files = connection.execute(f"SELECT count(*) FROM glob('{target.data_path}**')").fetchall()
    assert (rows, lake.files) == ([(50,)], None)
    assert files[0][0] >= 2
    for file in tmp_path.iterdir():
        assert file == setup or not file.is_file() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["profiles.parquet", "profiles.csv.gz", "profiles.ndjson"])
def test_a_table_is_exported_and_an_object_that_exists_is_not_replaced_unasked(tmp_path, setup, database, reader, name):
    place = f"s3://lake/{tmp_path.name}/{name}"
    done = md.export_table(database, "profiles", place, setup=setup)
    assert (done.file, done.rows) == (place, 60)
    assert reader.execute(f"SELECT sum(size) FROM read_blob('{place}')").fetchall() == [(done.bytes,)]
    lines = f"read_csv('{place}', columns = {{'line': 'VARCHAR'}}, sep = '\x01', quote = '', header = false)"
    rows = lines if name.endswith(".ndjson") else f"'{place}'"
    assert reader.execute(f"SELECT count(*) FROM {rows}").fetchall() == [(60,)]
    with pytest.raises(md.UnsuitableFileError, match="--replace"):
        md.export_table(database, "profiles", place, setup=setup)
    assert md.export_table(database, "profiles", place, setup=setup, replace=True).rows == 60
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT name FROM duckdb_secrets()").fetchall() == []


def test_a_folder_of_files_is_parted_by_columns_and_by_the_days_of_a_moment(tmp_path, setup, database, reader):
    with duckdb.connect(database) as connection:
        moment = "TIMESTAMP '2026-01-01 12:00' + to_days(i % 2)"
        connection.execute(f"CREATE TABLE visits AS SELECT i, i % 3 AS shop, {moment} AS seen FROM range(12) t(i)")
    for place in (f"s3://lake/{tmp_path.name}/visits", str(tmp_path / "visits")):
        done = md.export_table(database, "visits", place, format="parquet", partition_by=["shop", "seen"], setup=setup)
        assert done.rows == 12
        parts = reader.execute(f"SELECT count(DISTINCT filename) FROM read_parquet('{place}/**', filename = true)")
        assert parts.fetchall() == [(6,)]
        found = reader.execute(
            f"SELECT shop::INTEGER, seen_day::VARCHAR, list(i ORDER BY i ASC), any_value(seen)::VARCHAR FROM "
            f"read_parquet('{place}/**', hive_partitioning = true) GROUP BY ALL ORDER BY 1, 2"
        ).fetchall()
        assert found[0] == (0, "2026-01-01", [0, 6], "2026-01-01 12:00:00")
        with pytest.raises(md.UnsuitableFileError):
            md.export_table(database, "visits", place, format="parquet", partition_by=["shop"], setup=setup)
    local = md.export_table(
        database, "visits", tmp_path / "visits", format="parquet", partition_by=["shop"], replace=True
    )
    assert local.bytes == sum(file.stat().st_size for file in (tmp_path / "visits").rglob("*.parquet"))
    assert sorted(each.name for each in (tmp_path / "visits").iterdir()) == ["shop=0", "shop=1", "shop=2"]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".mp-fetch")]


def test_a_bucket_that_is_not_there_is_one_sentence(setup, database):
    with pytest.raises(md.StorageError, match="no-such-bucket") as caught:
        md.export_table(database, "profiles", "s3://no-such-bucket/profiles.parquet", setup=setup)
    assert SECRET not in str(caught.value)
    assert served(BEFORE).total() == 60 > PAGE
