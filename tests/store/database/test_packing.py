"""Small tables in many row groups are written anew: the same rows in the same order, and all that hangs on them."""

import duckdb
import pytest

from mixpanel_duckdb.store.database import Database, pack


@pytest.fixture
def held(tmp_path):
    """A table in twelve row groups, with what a user may have hung on it."""
    path = tmp_path / "small.duckdb"
    for turn in range(12):
        with duckdb.connect(str(path), config={"max_vacuum_tasks": 0}) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS \"my 't\" (id VARCHAR, j JSON DEFAULT '{}', seen_at TIMESTAMP)"
            )
            connection.execute("INSERT INTO \"my 't\" SELECT 'b' || i % 3, {'n': i}::JSON, NULL FROM range(50) r(i)")
            if not turn:
                connection.execute("COMMENT ON TABLE \"my 't\" IS 'mine'")
                connection.execute('CREATE VIEW seen AS FROM "my \'t"')
    return path


def groups(cursor):
    return cursor.execute("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('\"my ''t\"')").fetchall()[0][0]


def packed(path, *before, read_only=False):
    database = Database(str(path), read_only=read_only)
    try:
        with database.cursor() as cursor:
            for sql in before:
                cursor.execute(sql)
            rows = cursor.execute('FROM "my \'t"').fetchall()
            pack(cursor, database.tuning, "my 't")
            assert cursor.execute('FROM "my \'t"').fetchall() == rows
            assert cursor.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]
            assert cursor.execute("SELECT comment FROM duckdb_tables()").fetchall()[0] == ("mine",)
            assert cursor.execute("SELECT count(*) FROM seen").fetchall() == [(len(rows),)]
    finally:
        database.close()
    with duckdb.connect(str(path)) as connection:
        return groups(connection)


def test_rows_stay_in_their_order_and_groups_become_one(held):
    assert packed(held) == 1
    assert packed(held) == 1


def test_indexes_of_the_users_stay(held):
    packed(
        held,
        'CREATE INDEX ids ON "my \'t" (id)',
        'ALTER TABLE "my \'t" ADD COLUMN k BIGINT',
        'UPDATE "my \'t" SET k = rowid',
        'CREATE UNIQUE INDEX ks ON "my \'t" (k)',
    )
    with duckdb.connect(str(held)) as connection:
        assert sorted(connection.execute("SELECT index_name FROM duckdb_indexes()").fetchall()) == [("ids",), ("ks",)]
        assert connection.execute("SELECT count(*) FROM \"my 't\" WHERE id = 'b1'").fetchall() == [(17 * 12,)]
        with pytest.raises(duckdb.ConstraintException):
            connection.execute('INSERT INTO "my \'t" (k) VALUES (7)')


def test_an_instance_that_is_not_ours_is_left_alone(held):
    with duckdb.connect(str(held)) as connection:
        database = Database(connection)
        pack(connection, database.tuning, "my 't")
        assert groups(connection) == 12
        database.close()


@pytest.mark.parametrize("table", ["nowhere", "seen"])
def test_what_is_no_table_is_none(held, table):
    database = Database(str(held))
    with database.cursor() as cursor:
        pack(cursor, database.tuning, table)
    database.close()
