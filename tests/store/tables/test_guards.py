"""What a table must be to take a fetch: asked before anything is requested, since it would be fetched for nothing."""

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import fetch, served, stored
from mixpanel_duckdb.simulator import Limits, Population, Simulator
from store.storing import fill, opened, page, publish

COLUMNS = "distinct_id VARCHAR {}, properties JSON {}, last_seen TIMESTAMP {}"
PLAIN = f"CREATE TABLE profiles ({COLUMNS.format('', '', '')})"
KEYED = f"CREATE TABLE profiles ({COLUMNS.format('PRIMARY KEY', '', '')})"
POINTED_TO = [KEYED, "CREATE TABLE orders (who VARCHAR REFERENCES profiles (distinct_id))"]
POINTING = [
    "CREATE TABLE known (id VARCHAR PRIMARY KEY)",
    f"CREATE TABLE profiles ({COLUMNS.format('REFERENCES known (id)', '', '')})",
]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def sim():
    with Simulator(Population(40, seed=2), limits=Limits(quota=None)) as sim:
        yield sim


MAY_REFUSE_ROWS = {
    "CHECK": [f"CREATE TABLE profiles ({COLUMNS.format('CHECK (length(distinct_id) < 9)', '', '')})"],
    "FOREIGN KEY": POINTING,
    "foreign key of table 'orders'": POINTED_TO,
    "NOT NULL of 'last_seen'": [f"CREATE TABLE profiles ({COLUMNS.format('', '', 'NOT NULL')})"],
    "NOT NULL of 'distinct_id'": [f"CREATE TABLE profiles ({COLUMNS.format('NOT NULL', '', '')})"],
    "UNIQUE(last_seen)": [f"CREATE TABLE profiles ({COLUMNS.format('', '', 'UNIQUE')})"],
    "PRIMARY KEY(last_seen)": [f"CREATE TABLE profiles ({COLUMNS.format('', '', 'PRIMARY KEY')})"],
    "unique index 'newest'": [PLAIN, "CREATE UNIQUE INDEX newest ON profiles (last_seen)"],
    "unique index 'lower'": [PLAIN, "CREATE UNIQUE INDEX lower ON profiles (lower(distinct_id))"],
}


@pytest.mark.parametrize("what", MAY_REFUSE_ROWS)
def test_a_table_that_may_refuse_profiles_is_not_merged_into_and_nothing_is_asked(connection, sim, what):
    for statement in MAY_REFUSE_ROWS[what]:
        connection.execute(statement)
    sim.clear_requests()
    with pytest.raises(md.UnsuitableTableError, match=r"Cannot merge") as refused:
        fetch(sim, connection, if_exists="merge")
    assert what in str(refused.value)
    assert "another table" in str(refused.value)
    assert sim.requests == []


REFUSES_NONE = {
    "nothing": [PLAIN],
    "a primary key": [KEYED],
    "a unique id": [f"CREATE TABLE profiles ({COLUMNS.format('UNIQUE', '', '')})"],
    "an index": [PLAIN, "CREATE INDEX ids ON profiles (distinct_id)"],
    "NOT NULL of properties": [f"CREATE TABLE profiles ({COLUMNS.format('', 'NOT NULL', '')})"],
    "a default": [f"CREATE TABLE profiles ({COLUMNS.format('', '', 'DEFAULT now()')})"],
    "comments": [PLAIN, "COMMENT ON TABLE profiles IS 'ours'", "COMMENT ON COLUMN profiles.last_seen IS 'UTC'"],
}


@pytest.mark.parametrize("what", REFUSES_NONE)
def test_a_table_that_takes_every_profile_is_merged_into_night_after_night(connection, sim, what):
    for statement in REFUSES_NONE[what]:
        connection.execute(statement)
    for _ in range(3):
        assert fetch(sim, connection, if_exists="merge").published
    assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(40,)]


@pytest.mark.parametrize("index", ["INDEX", "UNIQUE INDEX"])
def test_a_table_with_an_index_of_ids_is_merged_into_however_many_change(database, index):
    # DuckDB 1.5 refuses a unique key that comes back in the same transaction, if there are more than some 2,000.
    people = Population(3000, seed=1)
    with Simulator(people, limits=Limits(quota=None)) as sim:
        fetch(sim, database, page_size=1000)
        with duckdb.connect(database) as connection:
            connection.execute(f"CREATE {index} ids ON profiles (distinct_id)")
            connection.execute("UPDATE profiles SET properties = '[]'")
        assert fetch(sim, database, page_size=1000, if_exists="merge").changed_rows == 3000
    assert stored(database) == served(people)


def test_a_table_that_a_key_points_to_is_not_replaced_and_merging_is_not_recommended(connection, sim):
    for statement in POINTED_TO:
        connection.execute(statement)
    sim.clear_requests()
    with pytest.raises(md.UnsuitableTableError, match="foreign key of table 'orders'") as refused:
        fetch(sim, connection, if_exists="replace")
    assert "erge" not in str(refused.value)
    assert sim.requests == []


LOST = {
    "column 'score'": [PLAIN, "ALTER TABLE profiles ADD COLUMN score DOUBLE"],
    "index 'ids'": [PLAIN, "CREATE INDEX ids ON profiles (distinct_id)"],
    "PRIMARY KEY(distinct_id)": [KEYED],
    "CHECK": [f"CREATE TABLE profiles ({COLUMNS.format('CHECK (length(distinct_id) < 9)', '', '')})"],
    "FOREIGN KEY": POINTING,
    "NOT NULL of 'last_seen'": [f"CREATE TABLE profiles ({COLUMNS.format('', '', 'NOT NULL')})"],
    "comments": [PLAIN, "COMMENT ON COLUMN profiles.last_seen IS 'UTC'"],
}


@pytest.mark.parametrize("what", LOST)
def test_what_replacing_loses_is_said_before_anything_is_asked(connection, sim, what):
    for statement in LOST[what]:
        connection.execute(statement)
    sim.clear_requests()
    asked = []

    class Listener(md.SilentObserver):
        def notice(self, text: str) -> None:
            asked.append((text, len(sim.requests)))

    result = fetch(sim, connection, if_exists="replace", observer=Listener())
    assert [(what in text, before) for text, before in asked] == [(True, 0)]
    assert "NOT NULL of 'distinct_id'" not in asked[0][0]  # a primary key is said once
    assert result.notices == (asked[0][0],)
    assert fetch(sim, connection, if_exists="replace").notices == ()


def test_of_many_things_lost_some_are_named(connection, sim):
    columns = ", ".join(f"c{number} INTEGER" for number in range(30))
    connection.execute(f"CREATE TABLE profiles ({columns})")
    (told,) = fetch(sim, connection, if_exists="replace").notices
    assert told.endswith("column 'c7' and 22 more.")


def test_a_merge_that_only_a_missing_id_hinders_keeps_what_arrived(connection):
    connection.execute(KEYED)
    nameless = Population.of([{"$properties": {"n": 1}}, {"$distinct_id": "a", "$properties": {}}])
    with Simulator(nameless) as sim:
        with pytest.raises(md.StorageError, match="NOT NULL constraint failed"):
            fetch(sim, connection, if_exists="merge")
        (record,) = md.list_fetches(connection)
        assert (record.state, record.rows) == ("incomplete", 2)
        assert fetch(sim, connection, "others").is_complete


def test_a_table_that_changed_while_its_pages_came_is_refused_at_the_end(connection):
    with md.ProfileStore(connection) as store:
        fill(store, [page(0, "a")])
        connection.execute("CREATE UNIQUE INDEX newest ON profiles (last_seen)")
        with (
            opened(store, total=1, if_exists="replace") as (fetching, _),
            pytest.raises(md.UnsuitableTableError, match="unique index 'newest'"),
        ):
            publish(store, fetching, "merge")
        store.leave(fetching, note=None)
