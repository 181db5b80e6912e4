"""Typed columns of events: a view for a name, with the columns that its events have."""

import json

import duckdb
import pytest
from click.testing import CliRunner

import mixpanel_duckdb as md
from events.exporting import exporting
from events.test_fetch import fetched
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import EventPopulation


def events():
    for number in range(12):
        ids = {"time": 1767268800000 + number, "distinct_id": f"u{number % 3}", "$insert_id": str(number)}
        yield {"event": "Buy", "properties": {**ids, "amount": number + 0.5, "Time": "noon", "$city": "Porto"}}
        yield {"event": "Log in", "properties": {**ids, "device": "phone" if number % 2 else "desk", "new": number < 2}}


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "events.duckdb")
    with exporting(EventPopulation.of_events(events())) as sim:
        assert fetched(sim, path, "2026-01-01", "2026-01-01").total_rows == 24
    return path


def test_each_name_has_the_columns_of_its_own_events(database):
    made = md.type_columns(database, "events", event="Buy")
    assert (made.table, made.rows) == ("events_Buy_typed", 12)
    assert {each.column: each.type for each in made.columns} == {
        "amount": "DOUBLE", "city": "VARCHAR", "Time_2": "VARCHAR",
    }  # fmt: skip
    rows = made.relation().order("amount ASC").fetchall()
    assert made.relation().columns[:3] == ["time", "distinct_id", "insert_id"]
    assert (str(rows[0][0]), rows[0][1], rows[0][2]) == ("2026-01-01 12:00:00", "u0", "0")
    other = md.type_columns(database, "events", event="Log in", materialize=True)
    assert {each.column: each.type for each in other.columns} == {"device": "VARCHAR", "new": "BOOLEAN"}
    assert other.relation().aggregate("count(*) FILTER (new)").fetchall() == [(2,)]


def test_all_names_get_a_view_each_in_one_call(database):
    made = md.type_events(database)
    assert {event: (each.event, each.table, each.rows) for event, each in made.items()} == {
        "Buy": ("Buy", "events_Buy_typed", 12), "Log in": ("Log in", "events_Log in_typed", 12),
    }  # fmt: skip
    assert [each.column for each in made["Log in"].columns] == ["device", "new"]
    again = md.type_events(database, keep_properties=True)
    assert "properties" in again["Buy"].relation().columns
    assert again["Buy"].summary().startswith("3 columns of 12 events in view 'events_Buy_typed'")


def test_names_that_duckdb_takes_for_the_same_get_views_of_their_own(tmp_path):
    names = ["Buy", "buy", "", "a\0b"]
    rows = [{"event": name, "properties": {"time": 1767268800000, name or "x": 1}} for name in names]
    with exporting(EventPopulation.of_events(rows)) as sim:
        result = fetched(sim, str(tmp_path / "events.duckdb"), "2026-01-01", "2026-01-01")
    made = result.typed()
    assert {event: each.table for event, each in made.items()} == {
        "": "events_typed", "Buy": "events_Buy_typed", "buy": "events_buy_typed_2",
    }  # fmt: skip
    assert [each.relation().aggregate("count(*)").fetchall() for each in made.values()] == [[(1,)]] * 3


def test_nothing_is_made_where_something_else_has_one_of_the_names(database):
    with duckdb.connect(database) as connection:
        connection.execute('CREATE TABLE "events_Log in_typed" (mine INT)')
    with pytest.raises(md.UnsuitableTableError, match="events_Log in_typed"):
        md.type_events(database)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall() == [
            ("events_unique",)
        ]
    with pytest.raises(md.UnsuitableTableError, match="no table 'nothing'"):
        md.type_events(database, "nothing")


def test_the_command_makes_it_for_one_name_or_for_all(database):
    done = CliRunner().invoke(main, ["typed", "events", "--event", "Buy", "-d", database, "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["table"] == "events_Buy_typed"
    told = CliRunner().invoke(main, ["typed", "Events", "-d", database])
    assert told.exit_code == 0
    assert told.stdout.splitlines()[1].split() == ["Buy", "Events_Buy_typed", "12", "3"]
    assert "2 names of 24 events of 'Events'" in told.stdout
    views = json.loads(CliRunner().invoke(main, ["typed", "events", "-d", database, "--json"]).stdout)["views"]
    assert [each["event"] for each in views] == ["Buy", "Log in"]
    refused = CliRunner().invoke(main, ["typed", "events", "--into", "x", "-d", database])
    assert refused.exit_code == 2
    assert "--event" in refused.stderr


def test_a_name_that_no_event_has_gives_an_empty_view(database):
    made = md.type_columns(database, "events", event="Nobody")
    assert (made.rows, made.columns) == (0, ())
