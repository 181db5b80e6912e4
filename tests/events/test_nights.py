"""A year of events, night after night; and a run that is stopped, or that fails, tells nobody a secret."""

import logging
import threading
import time
from calendar import timegm
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

import mixpanel_duckdb as md
from events.exporting import client_for, counted, exporting
from events.test_fetch import asked_for, fetched, lines, stored
from helpers import threads_named
from mixpanel_duckdb.display import Tally, bar_line
from mixpanel_duckdb.events import DayRange
from mixpanel_duckdb.results import FetchPlan
from mixpanel_duckdb.simulator import EventFault, EventPopulation

DAY = timedelta(days=1)


def days_asked_for(sim):
    ranges = (DayRange(date.fromisoformat(first), date.fromisoformat(last)) for first, last in asked_for(sim))
    return sorted(day for each in ranges for day in each)


def test_a_year_that_is_there_costs_the_open_days_and_the_new_one_the_next_night(tmp_path):
    database, today = str(tmp_path / "events.duckdb"), datetime.now(UTC).date()
    first, tomorrow = today - 364 * DAY, today + DAY
    population = EventPopulation(first, tomorrow, 2)
    with exporting(population, today=tomorrow) as sim:
        result = fetched(sim, database, first, today)
        assert (result.stored_days, result.is_complete) == (365, True)
        assert result.requests <= 60
        with duckdb.connect(database) as connection:  # a night goes by
            connection.execute("UPDATE _mixpanel_days SET fetched_at = fetched_at - INTERVAL 1 DAY")
            (at,) = connection.execute("SELECT max(fetched_at)::DATE FROM _mixpanel_days").fetchone()
        sim.clear_requests()
        again = fetched(sim, database, first, tomorrow)
        open_days = [day for day in DayRange(first, today) if (at - day).days < 5]
        assert days_asked_for(sim) == [*open_days, tomorrow]
        assert 4 <= len(open_days) <= 7
        assert again.requests <= 3
    assert stored(database) == counted(population.events(first, tomorrow))


def test_an_event_without_a_time_is_there_once_though_only_some_days_of_its_request_are_open_later(tmp_path):
    database, today = str(tmp_path / "events.duckdb"), datetime.now(UTC).date()
    first = today - 10 * DAY
    days = {
        str(day): list(lines((1000 * timegm(day.timetuple()), f"of {day}"))) for day in DayRange(first, today + DAY)
    }
    days[str(today - 2 * DAY)] += lines((None, "timeless"))
    population = EventPopulation.raw(days)
    with exporting(population, today=today + DAY) as sim:
        for night in range(3):
            last = today + min(night, 1) * DAY
            result = fetched(sim, database, first, last, days_per_request=11)
            assert stored(database) == counted(population.events(first, last))
            assert result.total_rows == sum(stored(database).values())
            with duckdb.connect(database) as connection:  # a night goes by
                connection.execute("UPDATE _mixpanel_days SET fetched_at = fetched_at - INTERVAL 1 DAY")


def test_what_is_counted_is_true_night_after_night(tmp_path):
    database, today = str(tmp_path / "events.duckdb"), datetime.now(UTC).date()
    first = today - 9 * DAY

    def odd(day):
        at, deep = 1000 * timegm(day.timetuple()), b"[" * 1500 + b"]" * 1500
        for more in (b'"v":NaN', b'"v":"\\ud83d"', b'"v":' + deep, b'"$insert_id":"1"', b'"$insert_id":"1"'):
            yield b'{"event":"e","properties":{"time":%d,%b}}' % (at, more)
        yield b'{"event":"e","more":1,"properties":{"time":%d}}' % at

    population = EventPopulation.raw({str(day): odd(day) for day in DayRange(first, today + DAY)})
    with exporting(population, today=today + DAY) as sim:
        for night in range(3):
            last = today + (night - 1) * DAY
            result = fetched(sim, database, first, last)
            days = len(DayRange(first, last))
            assert (result.total_rows, result.duplicate_rows, result.rows_with_other_fields) == (6 * days, days, days)
            assert (result.mended_values, result.replaced_characters, result.flattened_values) == (days, days, days)
            (table,) = md.list_event_tables(database)
            assert (table.rows, table.duplicate_rows, table.rows_outside_range) == (6 * days, days, 0)
            with duckdb.connect(database) as connection:  # a night goes by
                connection.execute("UPDATE _mixpanel_days SET fetched_at = fetched_at - INTERVAL 1 DAY")


@pytest.mark.timed
def test_a_run_is_stopped_within_a_second_and_leaves_no_thread(tmp_path):
    stop, set_at = threading.Event(), []

    def ask():
        stop.set()
        set_at.append(time.monotonic())

    with exporting(EventPopulation("2026-01-01", "2026-01-09", 50), EventFault("stall", times=None)) as sim:
        threading.Timer(0.5, ask).start()
        with pytest.raises(md.FetchStopped):
            fetched(sim, str(tmp_path / "events.duckdb"), "2026-01-01", "2026-01-09", stop=stop)
    assert time.monotonic() - set_at[0] < 1.0
    assert not threads_named("mp-")


def test_no_secret_is_in_the_log_the_result_or_the_file_whatever_the_server_says(tmp_path, caplog):
    database = tmp_path / "events.duckdb"
    population = EventPopulation("2026-01-01", "2026-01-03", 20)
    with exporting(population) as sim, client_for(sim) as client, caplog.at_level(logging.DEBUG):
        secret = sim.account.secret
        for kind in ("text", "status"):
            sim.events.faults.add(EventFault(kind, day="2026-01-02", times=4, text=f"no {secret} here", status=500))
        result = md.fetch_events(str(database), "2026-01-01", "2026-01-03", client=client, days_per_request=1)
        again = md.fetch_events(str(database), "2026-01-01", "2026-01-03", client=client, days_per_request=1)
    said = "\n".join([caplog.text, repr(result), repr(result.to_dict()), result.summary(), *result.errors, repr(again)])
    assert result.has_failures
    assert secret not in said
    assert secret.encode() not in Path(database).read_bytes()


def test_progress_is_told_by_days_and_events_with_a_rate_in_one_line_of_80_columns():
    now = [0.0]
    tally = Tally(lambda _: None, clock=lambda: now[0])
    tally.planned(FetchPlan("events", 365, 0, 5, 5_000_000, 4, what="events"))
    now[0] = 10.0
    tally.page_done(md.ProfileBatchProgress(0, 365, 30_000_000, True, None, 35, 35_000_000))
    assert tally.figures() == ["35/365 days", "35,000,000 events", "3,000,000/s", "1:50 left"]
    assert len(bar_line(tally.figures(), tally.fraction, 79)) <= 79
    assert "35 of 365 days" in tally.stop_line()


def test_a_file_does_not_grow_with_the_number_of_nights(tmp_path):
    path, population = tmp_path / "events.duckdb", EventPopulation("2026-01-01", "2026-01-20", 20)
    sizes = []
    with exporting(population) as sim:
        for night in range(20):
            last = date(2026, 1, 1) + night * DAY
            fetched(sim, str(path), "2026-01-01", str(last))
            sizes.append(path.stat().st_size)
    assert max(sizes[10:]) < 1.2 * max(sizes[:10]), sizes
    assert stored(str(path)) == counted(population.events(date(2026, 1, 1), last))
