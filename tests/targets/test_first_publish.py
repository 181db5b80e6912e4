"""How a table is made that is not there yet: by several threads, in row groups that leave memory for each of them."""

import duckdb
import pytest

from mixpanel_duckdb.store import targets
from mixpanel_duckdb.store.database import Tuning
from mixpanel_duckdb.store.journal import Claim, FetchSpec, OpenFetch
from mixpanel_duckdb.store.tables import Terms
from mixpanel_duckdb.store.targets import publishing
from targets.engines import KINDS, Engine

ROWS = 50_000
# Each row says how many threads DuckDB had when it was written.
STAGED = (
    "(SELECT 'user-' || i AS distinct_id, json_object('threads', current_setting('threads')) AS properties, "
    f"TIMESTAMP '2026-01-01' AS last_seen FROM range({ROWS}) t(i))"
)
LAKES = [kind for kind in KINDS if kind.startswith("ducklake")]
OPTIONS = "FROM ducklake_options('there') WHERE option_name LIKE 'parquet%'"


def publish(engine: Engine) -> tuple[int, int, int]:
    """Publish; give DuckDB's threads before, while rows were written, and after."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 3")
        tuning = Tuning(connection, ours=True, limit_memory=True)
        before = connection.execute("SELECT current_setting('threads')").fetchall()
        fetch = OpenFetch("one", "one", FetchSpec("profiles", "{}", "1"), Claim())
        done = targets.publish_into(connection.cursor(), engine.target, fetch, Terms(), STAGED, tuning)
        after = connection.execute("SELECT current_setting('threads')").fetchall()
    assert done.changes.added == ROWS
    ((rows, least, most),) = engine.sql(
        "SELECT count(DISTINCT distinct_id), min(threads), max(threads) "
        "FROM (SELECT distinct_id, (properties ->> 'threads')::INTEGER AS threads FROM profiles)"
    )
    assert (rows, least) == (ROWS, most)
    return before[0][0], most, after[0][0]


def row_groups(engine: Engine) -> list[int]:
    """How many rows each row group of a lake has."""
    groups = f"file_name, row_group_id, row_group_num_rows FROM parquet_metadata('{engine.files}/**/*.parquet')"
    found = duckdb.sql(f"SELECT DISTINCT {groups}").fetchall()
    return sorted(rows for _, _, rows in found)


def test_it_is_made_by_several_threads_and_they_are_given_back(engine):
    assert publish(engine) == (1, 3, 1)


def test_it_is_made_by_one_where_several_threads_have_too_little_memory(engine, monkeypatch):
    made = publishing._Publish._made

    def made_by_one(self):
        if self.site.cursor.execute("SELECT current_setting('threads')").fetchall() != [(1,)]:
            raise duckdb.OutOfMemoryException
        return made(self)

    monkeypatch.setattr(publishing._Publish, "_made", made_by_one)
    assert publish(engine) == (1, 1, 1)


@pytest.mark.parametrize("engine", LAKES, indirect=True)
def test_a_lake_gets_small_row_groups_and_no_option_of_ours(engine):
    publish(engine)
    assert sum(row_groups(engine)) == ROWS
    assert max(row_groups(engine)) < 25_000
    assert engine.sql(OPTIONS) == []


@pytest.mark.parametrize("engine", LAKES, indirect=True)
def test_what_the_owner_of_a_lake_says_of_row_groups_is_heeded(engine):
    with engine.connect_to_write() as owner:
        owner.execute("CALL ducklake_set_option('there', 'parquet_row_group_size', 40960)")
    options = engine.sql(OPTIONS)
    publish(engine)
    assert max(row_groups(engine)) > 25_000
    assert engine.sql(OPTIONS) == options != []
