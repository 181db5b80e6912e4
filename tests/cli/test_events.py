"""``mp-fetch events``: exit codes, JSON and text."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from click.testing import CliRunner

import mixpanel_duckdb as md
from events.exporting import exporting
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import EventFault, EventPopulation

POPULATION = EventPopulation("2026-01-01", "2026-01-03", 20)
DAYS = ("--from", "2026-01-01", "--to", "2026-01-03")


def called(sim, *arguments, **environment):
    return CliRunner().invoke(main, ["events", *arguments], env={**sim.environment(), **environment})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_days_are_fetched_and_told_as_json():
    with exporting(POPULATION) as sim:
        done = called(sim, *DAYS, "--json", "-q")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["table"], told["total_rows"], told["stored_days"], told["is_complete"]) == ("events", 60, 3, True)


def test_a_day_that_is_missing_ends_in_4_and_names_it():
    fault = EventFault("text", day="2026-01-02", times=None)
    with exporting(POPULATION, fault) as sim:
        done = called(sim, *DAYS, "--days-per-request", "1")
    assert done.exit_code == 4
    assert "missing: 2026-01-02" in done.stdout
    assert "terminated early" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (("--from", "2026-01-03", "--to", "2026-01-01"), {}, 2),
        (("--from", "soon", "--to", "2026-01-01"), {}, 2),
        (("--from", "2026-01-01"), {}, 2),
        (DAYS, {"MP_SECRET": "wrong"}, 3),
        ((*DAYS, "-d", "no/such/folder/x.duckdb"), {}, 5),
        ((*DAYS, "--event", "\udcff"), {}, 2),
        ((*DAYS, "--where", "\udcff"), {}, 2),
        ((*DAYS, "--workers", "0"), {}, 2),
    ],
)
def test_what_is_wrong_has_its_exit_code(arguments, environment, code):
    with exporting(POPULATION) as sim:
        assert called(sim, *arguments, **environment).exit_code == code


def test_more_workers_than_ten_are_capped_and_that_is_said():
    with exporting(POPULATION) as sim:
        done = called(sim, *DAYS, "--workers", "11")
    assert done.exit_code == 0
    assert "--workers 11 is capped at 10" in done.stderr


def test_status_tells_days_gaps_and_rows_of_a_table_of_events():
    fault = EventFault("text", day="2026-01-02", times=None)
    with exporting(POPULATION, fault) as sim:
        assert called(sim, *DAYS, "--days-per-request", "1", "-q").exit_code == 4
        said = CliRunner().invoke(main, ["status"]).stdout
        told = json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)
    assert "events: 2 days from 2026-01-01 to 2026-01-03, 40 events, 0 days open" in said
    assert "missing between them: 2026-01-02" in said
    (table,) = told["events"]
    assert (table["table"], table["rows"], table["missing"]) == ("events", 40, [["2026-01-02", "2026-01-02"]])
    assert told["fetches"] == []


def test_plan_tells_days_and_requests_and_sends_none():
    with exporting(POPULATION) as sim:
        asked = ["plan", "--from", "2026-01-01", "--to", "2026-03-01", "--json"]
        new = json.loads(CliRunner().invoke(main, asked, env=sim.environment()).stdout)
        assert (new["days"], new["days_to_fetch"], new["most_requests"], new["requests_left"]) == (60, 60, 60, 60)
        assert called(sim, *DAYS, "-q").exit_code == 0
        sim.clear_requests()
        later = json.loads(CliRunner().invoke(main, asked, env=sim.environment()).stdout)
        assert (later["days_to_fetch"], later["least_requests"], later["most_requests"]) == (57, 2, 2)
        assert later["requests_left"] == 60 - later["requests_last_hour"] < 60
        assert not sim.requests


def test_typed_takes_a_table_of_profiles_for_what_it_is_beside_one_of_events_in_capitals():
    with exporting(POPULATION) as sim:
        assert called(sim, "É", *DAYS, "-q").exit_code == 0
    with duckdb.connect("mixpanel.duckdb") as connection:
        connection.execute('CREATE TABLE "é" (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)')
    assert CliRunner().invoke(main, ["typed", "é"]).exit_code == 0
    assert CliRunner().invoke(main, ["typed", "É"]).exit_code == 0


def test_a_plan_leaves_out_the_days_that_have_not_begun():
    today = datetime.now(UTC).date()
    plan = md.plan_events(
        ":memory:", today - timedelta(days=1), today + timedelta(days=30),
        credentials=md.Credentials(username="me", secret="mine", project_id="1"),
    )  # fmt: skip
    assert (plan.days, plan.days_to_fetch, plan.days_not_begun) == (32, 3, 29)
    assert "3 of 32 days to fetch into 'events', in 2 to 3 requests; 29 of them have not begun." in plan.summary()


@pytest.mark.parametrize("arguments", [("--from", "2026-01-01"), ("--table", "x"), (*DAYS, "--where", "true")])
def test_plan_of_events_and_of_profiles_do_not_mix(arguments):
    with exporting(POPULATION) as sim:
        assert CliRunner().invoke(main, ["plan", *arguments], env=sim.environment()).exit_code == 2
        assert not sim.requests


def test_where_nobody_watches_the_log_tells_days():
    with exporting(POPULATION) as sim:
        said = called(sim, *DAYS).stderr
    assert "Fetching into table 'events': 2026-01-01 to 2026-01-03, all events of project" in said
    assert "3 days; " in said
    assert "Complete: 60 events in table 'events'" in said
