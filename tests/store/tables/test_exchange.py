"""What a publish writes: the rows that differ, in a form that is found again whatever happens then."""

import subprocess
import sys

import duckdb
import pytest

ROWS = 200_000
# Ends behind the commit, as if it were killed: what was committed is in the log.
KILLED = f"""
import os, sys, duckdb
from mixpanel_duckdb.store.tables import exchange, find_changes, has_keys
connection = duckdb.connect(sys.argv[1], config={{"checkpoint_threshold": "1TB", "threads": 1}})
connection.execute(sys.argv[2])
columns = "'u-' || i AS distinct_id, '{{}}'::JSON AS properties, NULL::TIMESTAMP AS last_seen"
row = f"SELECT {{columns}} FROM range({ROWS}) t(i)"
connection.execute(f"INSERT INTO profiles {{row}}")
connection.execute("CHECKPOINT")
connection.execute(f"CREATE TABLE came AS SELECT * REPLACE ('[]'::JSON AS properties) FROM ({{row}})")
connection.execute("BEGIN")
find_changes(connection, "profiles", "came", merging=True)
exchange(connection, "profiles", "FROM came", keyed=has_keys(connection, "profiles"))
connection.execute("COMMIT")
os._exit(9)
"""


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE", ""])
def test_a_profile_is_found_by_its_key_after_a_kill_between_the_commit_and_the_checkpoint(database, key):
    # DuckDB 1.5.5 found none of so many that had been deleted and inserted in one transaction.
    table = f"CREATE TABLE profiles (distinct_id VARCHAR {key}, properties JSON, last_seen TIMESTAMP)"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, database, table], check=False, capture_output=True, text=True
    )
    assert killed.returncode == 9, killed.stderr
    with duckdb.connect(database) as connection:
        found = "SELECT properties FROM profiles WHERE distinct_id = ?"
        for name in ("u-0", "u-777", f"u-{ROWS - 1}"):
            assert connection.execute(found, [name]).fetchall() == [("[]",)]
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(ROWS,)]
