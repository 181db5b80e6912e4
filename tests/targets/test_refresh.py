"""A refresh of many profiles, few of which are others: exact numbers, exact rows, and little that is written.

``MP_TEST_ROWS=200000`` does it with so many; 2 % are changed, 1 % are new, 0.5 % are gone.
"""

import os

import duckdb

from mixpanel_duckdb.store import targets
from mixpanel_duckdb.store.database import Tuning
from mixpanel_duckdb.store.journal import Claim, FetchSpec, OpenFetch
from mixpanel_duckdb.store.tables import Terms
from targets.engines import Engine

ROWS = int(os.environ.get("MP_TEST_ROWS", "40000"))
SPEC, TERMS = FetchSpec("profiles", "{}", "1"), Terms(if_exists="replace", allow_other=True)
GONE, CHANGED, ADDED = ROWS // 200, ROWS // 50, ROWS // 100


def staging(name: str, first: int, last: int, changed_up_to: int) -> str:
    """Rows with ids of a range; some of them are others than in the table of before."""
    return (
        f"CREATE TABLE {name} AS SELECT 'user-' || lpad(i::VARCHAR, 9, '0') AS distinct_id, "
        f"json_object('plan', if(i < {changed_up_to}, 'new', 'old'), 'text', md5(i::VARCHAR) || sha256(i::VARCHAR), "
        "'more', sha256((i + 7)::VARCHAR)) AS properties, TIMESTAMP '2026-01-01' + to_seconds(i) AS last_seen "
        f"FROM range({first}, {last}) t(i) ORDER BY hash(i) ASC"
    )


def ids(engine: Engine, change: str, version: int) -> set[str]:
    feed = f"ducklake_table_changes('there', 'main', 'profiles', {version}, {version})"
    return {name for (name,) in engine.sql(f"SELECT distinct_id FROM {feed} WHERE change_type = '{change}'")}


def names(first: int, last: int) -> set[str]:
    return {f"user-{number:09}" for number in range(first, last)}


def publish(connection: duckdb.DuckDBPyConnection, engine: Engine, staging: str, tuning: Tuning) -> targets.Published:
    fetch = OpenFetch(staging, staging, SPEC, Claim())
    return targets.publish_into(connection.cursor(), engine.target, fetch, TERMS, f"memory.main.{staging}", tuning)


def test_a_refresh_writes_what_changed_and_says_exactly_that(engine):
    with duckdb.connect() as connection:
        connection.execute(staging("old", 0, ROWS, 0))
        connection.execute(staging("new", GONE, ROWS + ADDED, GONE + CHANGED))
        tuning = Tuning(connection, ours=True, limit_memory=True)
        first = publish(connection, engine, "old", tuning)
        size = engine.bytes()
        second = publish(connection, engine, "new", tuning)
        new = connection.execute(
            "SELECT count(*), sum(hash(distinct_id, properties, last_seen)::HUGEINT) FROM new"
        ).fetchall()
    assert first.changes.added == ROWS
    told = second.changes
    assert (told.added, told.changed, told.removed) == (ADDED, CHANGED, GONE)
    assert told.unchanged == ROWS - GONE - CHANGED
    hashed = "sum(hash(distinct_id, properties::VARCHAR, last_seen)::HUGEINT)"
    assert engine.sql(f"SELECT count(*), {hashed} FROM profiles") == new
    if engine.files:
        assert engine.bytes() - size <= size / 10
        ((version,),) = engine.sql("SELECT max(snapshot_id) FROM ducklake_snapshots('there')")
        assert ids(engine, "insert", version) == names(ROWS, ROWS + ADDED)
        assert ids(engine, "delete", version) == names(0, GONE)
        assert ids(engine, "update_postimage", version) == names(GONE, GONE + CHANGED)
