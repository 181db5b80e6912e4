"""Days of events published into another DuckDB file: whole days, only those that are newer, by whoever fetches them."""

import shutil
from collections import Counter

import duckdb
import pytest
from click.testing import CliRunner

import mixpanel_duckdb as md
from events.exporting import client_for, exporting
from events.test_fetch import fetched, stored
from helpers import fetch
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import EventFault, EventPopulation, Population, Simulator

FIRST, LAST = "2026-01-01", "2026-01-06"


@pytest.fixture
def population():
    return EventPopulation(FIRST, LAST, 30, odd=5)


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "events.duckdb")


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "shared.duckdb")


def rows(path, table="events"):
    with duckdb.connect(path, read_only=True) as connection:
        return Counter(connection.execute(f"FROM {table}").fetchall())


def test_the_target_has_the_days_and_the_next_run_writes_those_that_changed(population, database, place):
    into = md.Target(place)
    with exporting(population) as sim:
        first = fetched(sim, database, FIRST, "2026-01-04", into=into, days_per_request=1)
        assert (first.published_days, first.target, first.is_complete) == (4, place, True)
        assert first.relation().aggregate("count(*)").fetchall() == [(120,)]
        assert fetched(sim, database, FIRST, "2026-01-04", into=into).published_days == 0
        population.change("2026-01-02", lambda lines: lines[3:])
        again = fetched(sim, database, "2026-01-02", LAST, into=into, refetch=True, days_per_request=1)
        assert again.published_days == 5
    assert rows(place) == rows(database)
    assert stored(place) == stored(database)
    assert len(first.typed()) > 0
    assert "4 of 4 days" not in again.timeline().svg


def test_several_databases_fill_one_table_and_none_puts_an_older_day_into_it(population, database, place, tmp_path):
    into, other = md.Target(place), str(tmp_path / "other.duckdb")
    with exporting(population) as sim:
        assert fetched(sim, database, FIRST, "2026-01-03", into=into).published_days == 3
        old = shutil.copy(database, tmp_path / "old.duckdb")
        population.change("2026-01-03", lambda lines: lines[:-2])
        assert fetched(sim, other, "2026-01-03", LAST, into=into).published_days == 4
        assert fetched(sim, str(old), FIRST, "2026-01-03", into=into).published_days == 0
    with duckdb.connect(place) as connection:
        days = dict(connection.execute("SELECT time::DATE::VARCHAR, count(*) FROM events GROUP BY ALL").fetchall())
    assert days == {f"2026-01-{day:02}": 28 if day == 3 else 30 for day in range(1, 7)}


def test_days_that_are_missing_are_published_when_they_come(population, database, place):
    with exporting(population, EventFault("text", day="2026-01-02", times=3)) as sim:
        half = fetched(sim, database, FIRST, LAST, into=md.Target(place), days_per_request=1)
        assert (half.published_days, half.has_failures, half.is_complete) == (5, True, False)
        assert rows(place) == rows(database)
        whole = fetched(sim, database, FIRST, LAST, into=md.Target(place))
    assert (whole.published_days, whole.is_complete) == (1, True)
    assert rows(place) == rows(database)


def test_events_of_other_days_are_published_too_and_go_with_the_days_they_came_with(database, place, tmp_path):
    noon, beyond = 1767268800000, 1767268800000 + 40 * 86_400_000
    lines = [b'{"event":"A","properties":{"time":%d}}' % at for at in (noon, beyond)]
    lines.append(b'{"event":"B","properties":{}}')
    population = EventPopulation.raw({"2026-01-01": lines, "2026-01-02": []})
    into = md.Target(place)
    with exporting(population) as sim:
        assert fetched(sim, database, FIRST, "2026-01-02", into=into).rows_outside_range == 2
        assert rows(place) == rows(database)
        assert fetched(sim, database, FIRST, "2026-01-02", into=into).published_days == 0
        other = fetched(sim, str(tmp_path / "other.duckdb"), "2026-01-02", "2026-01-02", into=into, days_per_request=1)
        assert "fetch them into this database, too" in other.target_refusal
        population.change(FIRST, lambda lines: lines[:1])
        assert fetched(sim, database, FIRST, FIRST, into=into, refetch=True).published_days == 1
    assert rows(place) == rows(database)
    assert sum(rows(place).values()) == 1


def test_a_schema_a_connection_of_ones_own_and_an_empty_day(population, database, place):
    population.change("2026-01-02", lambda _: [])
    with exporting(population) as sim, duckdb.connect() as connection:
        connection.execute(f"ATTACH '{place}' AS shared")
        into = md.Target(connection=connection, catalog="shared")
        result = fetched(sim, database, FIRST, "2026-01-03", table="crm.events", into=into)
        assert (result.published_days, result.table) == (3, "events")
        assert connection.execute("SELECT count(*) FROM shared.crm.events").fetchall() == [(60,)]
        assert fetched(sim, database, FIRST, "2026-01-03", table="crm.events", into=into).published_days == 0


WRONG = {
    "is no table of events": "CREATE TABLE events (mine INT)",
    "is there, and": "CREATE TABLE events (event VARCHAR, time TIMESTAMP, distinct_id VARCHAR, insert_id VARCHAR, "
    "properties JSON)",
}


@pytest.mark.parametrize("said", WRONG)
def test_a_table_that_is_not_ours_is_refused_before_the_first_request(said, population, database, place):
    with duckdb.connect(place) as connection:
        connection.execute(WRONG[said])
    with exporting(population) as sim:
        with pytest.raises(md.UnsuitableTableError, match=said):
            fetched(sim, database, FIRST, LAST, into=md.Target(place))
        assert sim.requests == []


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("NOT NULL of 'insert_id'", "ALTER TABLE events ALTER insert_id SET NOT NULL"),
        ("unique index 'once'", "CREATE UNIQUE INDEX once ON events (insert_id)"),
    ],
)
def test_a_table_that_may_refuse_events_is_refused_before_the_first_request(
    what, change, published, population, database, place
):
    path, options = (place, {"into": md.Target(place)}) if published else (database, {})
    with exporting(population) as sim:
        fetched(sim, database, FIRST, FIRST, **options)
        with duckdb.connect(path) as connection:
            connection.execute(f"DELETE FROM events; {change}")
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match=f"its {what} may refuse events"):
            fetched(sim, database, FIRST, LAST, **options)
        assert sim.requests == []


def test_other_events_or_what_cannot_be_a_target_is_refused_before_the_first_request(population, database, place):
    with exporting(population) as sim:
        fetched(sim, database, FIRST, FIRST, into=md.Target(place))
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match="of the target holds all events of project 1"):
            fetched(sim, f"{database}2", FIRST, LAST, into=md.Target(place), events=["Login"])
        with pytest.raises(md.QueryError, match="the database itself"):
            fetched(sim, database, FIRST, LAST, into=md.Target(database))
        with pytest.raises(md.QueryError, match="union_view"):
            fetched(sim, database, FIRST, LAST, into=md.Target(place, union_view="all"))
        assert sim.requests == []


def test_profiles_into_a_table_of_events_are_told_what_it_is(population, database, place):
    with exporting(population) as sim:
        fetched(sim, database, FIRST, FIRST, into=md.Target(place))
    with Simulator(Population(3, seed=1)) as sim:
        with pytest.raises(md.UnsuitableTableError, match="'events' of the target holds something else than profiles"):
            fetch(sim, database, "events", into=md.Target(place), if_exists="replace")
        assert sim.requests == []


def test_a_target_that_refuses_leaves_the_days_here_and_the_next_run_publishes_them(population, database, place):
    with exporting(population) as sim, client_for(sim) as client:
        taken = []

        def take(_):
            if not taken:  # somebody makes a table of that name meanwhile
                taken.append(duckdb.connect(place).execute("CREATE TABLE events (mine INT)"))

        result = md.fetch_events(
            database, FIRST, LAST, client=client, into=md.Target(place, lock_wait=0), on_batch_complete=take
        )
        assert not result.is_complete
        assert not result.has_failures
        assert "did not take them" in result.summary()
        assert result.relation().aggregate("count(*)").fetchall() == [(180,)]
        taken[0].execute("DROP TABLE events").close()
        sim.clear_requests()
        again = md.fetch_events(database, FIRST, LAST, client=client, into=md.Target(place))
        assert (again.published_days, again.is_complete, sim.requests) == (6, True, [])
    assert rows(place) == rows(database)


def test_the_command_and_sync_publish_too(population, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ["events", "--from", FIRST, "--to", "2026-01-02", "--into", "shared.duckdb"]
    with exporting(population) as sim:
        done = CliRunner().invoke(main, call, env=sim.environment())
        assert done.exit_code == 0
        assert "2 days written to shared.duckdb" in done.stdout
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        job = {"from_date": FIRST, "to_date": "2026-01-03"}
        report = md.sync({"defaults": {"into": "shared.duckdb", "union_view": "people"}, "events": [job]})
    assert report.outcomes[0].result.published_days == 1
    assert rows("shared.duckdb") == rows("mixpanel.duckdb")
