"""``mp-fetch forget`` and ``md.forget_fetches``: unfinished fetches and old journals go, published tables stay."""

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import PAGE, fetch, served, stored
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 3, seed=3)
LOST = Fault("status", page=1, attempts=None, status=500)


@pytest.fixture
def sim():
    with Simulator(PEOPLE, limits=Limits(quota=None)) as running:
        yield running


@pytest.fixture
def filled(sim, database):
    """A complete table, and two fetches that are not."""
    assert fetch(sim, database, "done").is_complete
    sim.add_fault(LOST)
    for table in ("half", "other"):
        assert not fetch(sim, database, table).is_complete
    sim.clear_faults()
    sim.clear_requests()
    return database


def left(database):
    return {record.table: record.state for record in md.list_fetches(database)}


def staged(database):
    with duckdb.connect(database) as connection:
        found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE contains(table_name, 'staging')")
        return len(found.fetchall())


def test_unfinished_fetches_go_with_their_rows_and_tables_stay(filled):
    gone = md.forget_fetches(filled)
    assert {(record.table, record.pages_done) for record in gone} == {("half", 2), ("other", 2)}
    assert left(filled) == {"done": "complete"}
    assert staged(filled) == 0
    assert stored(filled, "done") == served(PEOPLE)


def test_one_table_or_one_fetch_is_forgotten_alone(filled):
    assert [record.table for record in md.forget_fetches(filled, table="HALF")] == ["half"]
    assert staged(filled) == 1
    (other,) = [record for record in md.list_fetches(filled) if record.table == "other"]
    assert md.forget_fetches(filled, fetch_id=other.fetch_id[:9]) == [other]
    assert left(filled) == {"done": "complete"}


def test_complete_ones_go_if_that_is_asked_for_and_their_tables_stay(filled):
    assert len(md.forget_fetches(filled, complete=True)) == 3
    assert left(filled) == {}
    assert stored(filled, "done") == served(PEOPLE)


def test_young_ones_stay(filled):
    assert md.forget_fetches(filled, older_than=3600) == []
    with duckdb.connect(filled) as connection:
        for table, column in (("pages", "committed_at"), ("fetches", "started_at")):
            connection.execute(f"UPDATE _mixpanel_{table} SET {column} = {column} - INTERVAL 2 HOURS")
    assert len(md.forget_fetches(filled, older_than=3600)) == 2


def test_the_same_fetch_starts_from_its_first_page(filled, sim):
    md.forget_fetches(filled, table="half")
    result = fetch(sim, filled, "half")
    assert (result.is_complete, result.resumed_pages, result.requests) == (True, 0, 3)


@pytest.mark.parametrize("fetch_id", ["zz", "no such fetch"])
def test_a_fetch_that_is_not_there_is_said(filled, fetch_id):
    with pytest.raises(md.QueryError, match="knows no fetches whose id begins with"):
        md.forget_fetches(filled, fetch_id=fetch_id)


def test_a_fetch_that_is_running_stays(sim, database):
    refused = []

    def forget(_):
        (record,) = store.fetches()
        refused.append(md.forget_fetches(store, complete=True))
        with pytest.raises(md.DatabaseLockedError, match="is running"):
            md.forget_fetches(store, fetch_id=record.fetch_id)

    with md.ProfileStore(database) as store:
        assert fetch(sim, store, on_batch_complete=forget).is_complete
    assert refused == [[]] * 3
    assert stored(database) == served(PEOPLE)


def test_a_database_without_a_journal_has_nothing_to_forget(tmp_path):
    with md.ProfileStore(tmp_path / "new.duckdb"):
        pass
    assert md.forget_fetches(tmp_path / "new.duckdb", complete=True) == []


def test_the_command_says_what_is_gone_and_asks_for_a_choice(mp_fetch, simulator):
    simulator.add_fault(Fault("status", page=3, attempts=None, status=500))
    assert mp_fetch("profiles", "half", "-q").code == 4
    assert mp_fetch("forget").code == 2
    assert mp_fetch("forget", "half", "--all").code == 2
    assert mp_fetch("forget", "--older-than", 1).out == "Nothing to forget.\n"
    done = mp_fetch("forget", "half")
    assert done.code == 0
    assert done.out.startswith("Forgotten: half, incomplete, 10 pages, 930 profiles, fetch ")
    assert mp_fetch("forget", "--all", "--json").json == {"database": "mixpanel.duckdb", "forgotten": []}
    assert mp_fetch("forget", "--fetch", "zz").code == 2
    assert mp_fetch("forget", "--all", "-d", "nowhere.duckdb").code == 5
