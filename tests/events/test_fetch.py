"""``fetch_events``: the days that were asked for, each whole or not at all, whatever the streams do."""

import gc
import inspect
import json
import threading
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import duckdb
import pytest

import mixpanel_duckdb as md
from events.exporting import client_for, counted, exporting
from helpers import threads_named
from mixpanel_duckdb.arguments import REFRESH_DAYS
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.cli.text import fetch_text
from mixpanel_duckdb.simulator import EventFault, EventPopulation
from mixpanel_duckdb.store import Claim, EventPiece, FetchSpec
from mixpanel_duckdb.store.events.strays import take_strays

FIRST, LAST = "2026-01-01", "2026-01-09"
POPULATION = EventPopulation(FIRST, LAST, 120, odd=3)
NOON, DAY_MS = 1767268800000, 86_400_000  # of the first day, in milliseconds


def fetched(sim, database, first=FIRST, last=LAST, *, workers=3, **options):
    """One run by a client that does not dawdle."""
    with client_for(sim) as client:
        return md.fetch_events(database, first, last, client=client, max_workers=workers, **options)


def stored(database, table="events"):
    """The events of a table, as they were sent."""
    with duckdb.connect(database) as connection:
        rows = connection.execute(f"SELECT event, properties FROM {table}").fetchall()
    return counted({"event": event, "properties": json.loads(text)} for event, text in rows)


def lines(*events):
    """Lines of an export, from times and names."""
    for time, name in events:
        properties = {"time": time, "distinct_id": "a", "$insert_id": name}
        yield json.dumps({"event": name, "properties": properties}).encode()


def asked_for(sim):
    return [(each.params["from_date"], each.params["to_date"]) for each in sim.requests]


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "events.duckdb")


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("days", [None, 1, 4, 100])
def test_the_table_has_every_event_once_however_the_days_are_packed(database, workers, days):
    with exporting(POPULATION) as sim:
        result = fetched(sim, database, workers=workers, days_per_request=days)
    everything = counted(POPULATION.events(FIRST, LAST))
    assert stored(database) == everything
    assert (result.total_rows, result.stored_days, result.is_complete) == (9 * 120, 9, True)
    assert result.rows_outside_range == 0
    assert not threads_named("mp-")


def test_columns_hold_what_was_sent_and_the_view_one_of_each(database):
    with exporting(POPULATION) as sim:
        result = fetched(sim, database)
    keys = Counter()
    for event in POPULATION.events(FIRST, LAST):
        sent = event["properties"]
        who = sent.get("distinct_id")
        keys[event["event"], sent["time"], None if who is None else str(who), sent.get("$insert_id")] += 1
    with duckdb.connect(database) as connection:
        columns = connection.execute("SELECT column_name, column_type FROM (DESCRIBE events)").fetchall()
        rows = connection.execute("SELECT event, epoch_ms(time), distinct_id, insert_id FROM events").fetchall()
        (unique,) = connection.execute("SELECT count(*) FROM events_unique").fetchone()
    assert columns == [
        ("event", "VARCHAR"), ("time", "TIMESTAMP"), ("distinct_id", "VARCHAR"), ("insert_id", "VARCHAR"),
        ("properties", "JSON"),
    ]  # fmt: skip
    assert Counter(rows) == keys
    doubles = sum(number - 1 for key, number in keys.items() if key[3] is not None)
    assert doubles > 0
    assert result.duplicate_rows == doubles
    assert unique == len(rows) - doubles


TROUBLE = [
    EventFault("text"), EventFault("text", rows=0), EventFault("text", glued=True), EventFault("cut_row"),
    EventFault("reset"), EventFault("missing_chunk"), EventFault("cut_gzip"), EventFault("flipped_byte"),
    EventFault("status", status=503), EventFault("status", status=429, text="slow down"),
    EventFault("text", text='{"error": "too many export requests in progress for this project"}'),
]  # fmt: skip


@pytest.mark.parametrize("fault", TROUBLE, ids=lambda each: f"{each.kind} {each.status} {each.text} {each.rows}")
def test_a_stream_that_breaks_off_is_asked_for_again_and_nothing_is_lost_or_doubled(database, fault):
    with exporting(POPULATION, fault, fault) as sim:
        result = fetched(sim, database)
        assert sim.events.faults.played >= 2
    assert result.is_complete
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_a_day_that_always_fails_is_reported_and_the_next_run_completes_it(database):
    fault = EventFault("text", day="2026-01-05", times=None)
    with exporting(POPULATION, fault) as sim:
        result = fetched(sim, database, days_per_request=3)
        assert result.failed_date_ranges == (("2026-01-05", "2026-01-05"),)
        assert not result.is_complete
        with pytest.raises(md.IncompleteFetchError, match="2026-01-05"):
            result.raise_for_failures()
        without = counted(POPULATION.events(FIRST, "2026-01-04")) + counted(POPULATION.events("2026-01-06", LAST))
        assert stored(database) == without
        sim.events.faults.clear()
        sim.clear_requests()
        result = fetched(sim, database)
        assert asked_for(sim) == [("2026-01-05", "2026-01-05")]
    assert (result.stored_days, result.skipped_days, result.is_complete) == (1, 8, True)
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_a_request_that_is_too_long_for_the_server_is_halved(database):
    fault = EventFault("status", status=504, longer_than=2, times=None)
    with exporting(POPULATION, fault) as sim:
        result = fetched(sim, database, days_per_request=9)
    assert result.is_complete
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_days_that_are_there_are_not_asked_for_again(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database, last="2026-01-06")
        sim.clear_requests()
        result = fetched(sim, database)
        assert asked_for(sim)[0] == ("2026-01-07", LAST)
        assert result.skipped_days == 6
        sim.clear_requests()
        assert fetched(sim, database).requests == 0
        assert not sim.requests


def test_refetch_replaces_days_that_have_changed_since(database):
    population = EventPopulation(FIRST, LAST, 50, odd=5)
    with exporting(population) as sim:
        fetched(sim, database)
        population.change("2026-01-02", lambda lines: lines[10:])
        population.change("2026-01-03", lambda _: [])
        population.change("2026-01-04", lambda lines: [*lines, lines[0].replace(b"Login", b"Late")])
        result = fetched(sim, database, refetch=True)
    assert stored(database) == counted(population.events(FIRST, LAST))
    assert result.total_rows == 9 * 50 - 10 - 50 + 1


def test_open_days_are_fetched_again_and_closed_ones_are_not(database):
    today = datetime.now(UTC).date()
    first = date.fromordinal(today.toordinal() - 8)
    population = EventPopulation(first, today, 10)
    with exporting(population, today=date.fromordinal(today.toordinal() + 2)) as sim:
        result = fetched(sim, database, first, today)
        assert 4 <= result.open_days <= 6
        sim.clear_requests()
        again = fetched(sim, database, first, today)
        assert again.stored_days == result.open_days
        assert fetched(sim, database, first, today, refresh_days=0).stored_days == 0
    assert stored(database) == counted(population.events(first, today))


def test_every_call_leaves_days_open_for_as_long_and_a_tables_open_days_are_counted_by_the_same_rule(database):
    calls = (md.fetch_events, md.plan_events, md.ParallelEventFetcher.fetch_events)
    flags = {each.name: each.default for each in main.commands["events"].params}
    defaults = {inspect.signature(call).parameters["refresh_days"].default for call in calls}
    assert {*defaults, flags["refresh_days"]} == {REFRESH_DAYS}
    today = datetime.now(UTC).date()
    with exporting(EventPopulation(today - timedelta(days=8), today, 1)) as sim:
        result = fetched(sim, database, today - timedelta(days=8), today)
    (table,) = md.list_event_tables(database)
    assert table.open_days == result.open_days > 0


def test_a_run_that_goes_on_asks_for_no_day_that_it_has_stored_even_if_that_is_open_or_fetched_anew(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database)
        sim.events.faults.add(EventFault("text", day="2026-01-05", times=None))
        assert fetched(sim, database, refetch=True, days_per_request=1).stored_days == 8
        sim.events.faults.clear()
        sim.clear_requests()
        assert fetched(sim, database, refetch=True).is_complete
        assert asked_for(sim) == [("2026-01-05", "2026-01-05")]
        assert fetched(sim, database, refetch=True).stored_days == 9
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_a_day_that_always_fails_does_not_keep_open_days_from_being_fetched_again(database):
    today = datetime.now(UTC).date()
    first, bad = today - timedelta(days=8), today - timedelta(days=7)
    population = EventPopulation(first, today, 10)
    with exporting(population, EventFault("text", day=str(bad), times=None), today=today + timedelta(days=2)) as sim:
        assert not fetched(sim, database, first, today, days_per_request=1).is_complete
        population.change(today, lambda lines: [*lines, *lines])
        assert not fetched(sim, database, first, today, days_per_request=1).is_complete
    expected = counted(population.events(first, first)) + counted(population.events(bad + timedelta(days=1), today))
    assert stored(database) == expected


def test_a_run_that_ended_early_goes_on_with_the_days_that_it_has_not_asked_for_even_if_all_are_open(database):
    today = datetime.now(UTC).date()
    first, population = today - timedelta(days=3), EventPopulation(today - timedelta(days=3), today, 10)
    refused = EventFault("status", status=402, day=str(today), times=None)
    with exporting(population, refused, today=today + timedelta(days=2)) as sim:
        with pytest.raises(md.RequestRejectedError):
            fetched(sim, database, first, today, days_per_request=1, workers=1)
        sim.events.faults.clear()
        sim.clear_requests()
        assert fetched(sim, database, first, today, days_per_request=1).stored_days == 1
        assert asked_for(sim) == [(str(today), str(today))]
        assert fetched(sim, database, first, today).stored_days == 4
    assert stored(database) == counted(population.events(first, today))


def test_a_day_that_has_not_begun_where_the_project_is_is_left_out_and_said(database):
    with exporting(POPULATION, today=date(2026, 1, 8)) as sim:
        result = fetched(sim, database, days_per_request=3)
    assert stored(database) == counted(POPULATION.events(FIRST, "2026-01-08"))
    assert any("2026-01-09 has not begun" in text for text in result.notices)


def test_days_that_have_not_begun_cost_few_requests_and_one_notice(database):
    with exporting(POPULATION, today=date(2026, 1, 5)) as sim:
        result = fetched(sim, database, FIRST, "2026-01-31", days_per_request=31, workers=1)
        assert len(sim.requests) <= 10
    assert stored(database) == counted(POPULATION.events(FIRST, "2026-01-05"))
    assert [text for text in result.notices if "begun" in text] == [
        "2026-01-06 and the days after it have not begun where the project is; they were not fetched."
    ]
    assert result.is_complete


@pytest.mark.parametrize("days", [None, 1, 40])
def test_days_after_tomorrow_are_not_asked_for(database, days):
    today = datetime.now(UTC).date()
    with exporting(EventPopulation(today - timedelta(days=2), today, 10)) as sim:
        result = fetched(sim, database, today - timedelta(days=2), today + timedelta(days=30), days_per_request=days)
        assert max(last for _, last in asked_for(sim)) <= str(today + timedelta(days=2))
        assert len(sim.requests) <= 5
    assert (result.total_rows, result.stored_days, result.is_complete) == (30, 3, True)
    assert sum("begun" in text for text in result.notices) == 1


def test_events_at_other_times_than_were_asked_for_are_kept_counted_and_replaced_with_their_days(database):
    def line(time, name):
        return json.dumps(
            {"event": name, "properties": {"time": time, "distinct_id": "a", "$insert_id": name}}
        ).encode()

    noon = 1767268800000  # 2026-01-01
    days = {
        "2026-01-01": [line(noon, "one"), line(noon + 86_400_000, "stray"), line(None, "timeless")],
        "2026-01-02": [line(noon + 86_400_000, "two"), line(noon + 86_400_000, "stray")],
    }
    population = EventPopulation.raw(days)
    with exporting(population) as sim:
        result = fetched(sim, database, "2026-01-01", "2026-01-02", days_per_request=1, workers=1)
        assert (result.total_rows, result.rows_outside_range) == (5, 2)
        everything = counted(population.events("2026-01-01", "2026-01-02"))
        assert stored(database) == everything
        fetched(sim, database, "2026-01-02", "2026-01-02", refetch=True)
        assert stored(database) == everything
        fetched(sim, database, "2026-01-01", "2026-01-01", refetch=True)
        assert stored(database) == everything
        population.change("2026-01-01", lambda lines: lines[:1])
        fetched(sim, database, "2026-01-01", "2026-01-02", refetch=True)
    assert stored(database) == counted(population.events("2026-01-01", "2026-01-02"))


def test_streams_into_a_table_with_strays_are_written_one_after_the_other_however_early_the_next_one_comes(database):
    days = [date(2026, 1, 1), date(2026, 1, 2)]
    sent = [[(NOON, "one"), (NOON + DAY_MS, "stray")], [(NOON + DAY_MS, "two")]]
    spec = FetchSpec("events", "{}", "1", "https://data.mixpanel.com")
    with md.ProfileStore(database) as store, closing(store.events()) as events, events.fetching(spec):
        for _ in range(3):
            with events.writer(spec) as sink:
                pieces = [
                    EventPiece(number, day, day, datetime(2026, 1, 9), b"\n".join([*each, b""]), ends=True)
                    for number, (day, each) in enumerate(zip(days, (lines(*each) for each in sent), strict=True))
                ]
                sink.commit([sink.stage([piece]) for piece in pieces])  # all are staged before the first is committed
    assert sorted(json.loads(text)["event"] for text in stored(database).elements()) == ["one", "stray", "two"]


def uneven(*, nights, timeless):
    """Days of which each has an event whose time is in the first hour of the next, or one of which has one without."""
    days = {f"2026-01-0{number}": [(NOON + (number - 1) * DAY_MS, f"noon {number}")] for number in range(1, 5)}
    for day in days.values():
        day.extend([(at + 13 * 3_600_000, name.replace("noon", "night")) for at, name in day if nights])
    days["2026-01-03"].extend([(None, "timeless")] if timeless else [])
    return EventPopulation.raw({day: list(lines(*events)) for day, events in days.items()})


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("odd", [{"nights": True, "timeless": False}, {"nights": False, "timeless": True}], ids=str)
def test_where_dates_and_times_disagree_no_event_is_lost_or_doubled_whichever_days_are_fetched_again(
    database, size, odd
):
    population = uneven(**odd)
    everything = counted(population.events("2026-01-01", "2026-01-04"))
    with exporting(population) as sim:
        result = fetched(sim, database, "2026-01-01", "2026-01-04", days_per_request=size)
        assert (result.total_rows, stored(database)) == (sum(everything.values()), everything)
        for first, last in [(3, 4), (1, 1), (4, 4), (2, 3), (1, 4)]:
            result = fetched(sim, database, f"2026-01-0{first}", f"2026-01-0{last}", refetch=True)
            assert (stored(database), result.is_complete) == (everything, True)
            assert result.stored_days >= 1 + last - first
            if result.stored_days > 1 + last - first:
                assert any("will be fetched again with them" in text for text in result.notices)


def test_days_that_must_be_fetched_with_others_and_did_not_come_are_fetched_by_the_next_run_whatever_it_asks_for(
    database,
):
    population = uneven(nights=True, timeless=True)
    everything = counted(population.events("2026-01-01", "2026-01-04"))
    with exporting(population) as sim:
        fetched(sim, database, "2026-01-01", "2026-01-04", days_per_request=4)
        sim.events.faults.add(EventFault("text", day="2026-01-03", times=None))
        half = fetched(sim, database, "2026-01-01", "2026-01-01", refetch=True, days_per_request=1)
        assert half.failed_date_ranges == (("2026-01-03", "2026-01-03"),)
        sim.events.faults.clear()
        sim.clear_requests()
        assert fetched(sim, database, "2026-01-02", "2026-01-02", refresh_days=0).is_complete
        assert asked_for(sim) == [("2026-01-03", "2026-01-03")]
    assert stored(database) == everything


def test_no_other_row_is_looked_at_for_the_strays_of_days_that_have_none(database):
    said = []

    class Recorded:
        def execute(self, sql, values=()):
            said.append(sql)
            return connection.execute(sql, values)

    with exporting(uneven(nights=True, timeless=False)) as sim:
        fetched(sim, database, "2026-01-04", "2026-01-04")
    with duckdb.connect(database) as connection:
        take_strays(Recorded(), "events", [date(2026, 1, 2)])
        assert not any('"events"' in sql for sql in said)
        take_strays(Recorded(), "events", [date(2026, 1, 4)])
        assert connection.execute("SELECT event FROM events").fetchall() == [("noon 4",)]
    assert sum('"events" WHERE time BETWEEN' in sql for sql in said) == 1


def test_the_first_events_that_mixpanel_takes_are_of_their_day(database):
    noon = 31_665_600_000
    population = EventPopulation.of_events([{"event": "a", "properties": {"time": noon}}])
    with exporting(population) as sim:
        result = fetched(sim, database, "1971-01-02", "1971-01-02")
    assert (result.total_rows, result.rows_outside_range) == (1, 0)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT epoch_ms(time) FROM events").fetchall() == [(noon,)]


@pytest.mark.parametrize("form", [{"time": "float"}, {"time": "text"}, {"honours_ms": False}])
def test_times_are_moments_in_any_form(database, form):
    with exporting(EventPopulation(FIRST, FIRST, 20, odd=0), **form) as sim:
        fetched(sim, database, FIRST, FIRST)
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM events WHERE time::DATE = '2026-01-01'").fetchone() == (20,)


def test_what_no_database_can_hold_is_mended_and_the_rest_stays(database):
    lines = [
        b'{"event":"a","properties":{"time":1767268800000,"t":"\\ud83d","n":1}}',
        b'{"event":"b","properties":{"time":1767268800000,"t":"\xff"}}',
        b'{"event":"c","properties":{"time":1767268800000,"t":"x\ty"}}',
    ]
    with exporting(EventPopulation.raw({FIRST: lines})) as sim:
        fetched(sim, database, FIRST, FIRST)
    with duckdb.connect(database) as connection:
        rows = connection.execute("SELECT event, properties->>'t' FROM events ORDER BY 1").fetchall()
    assert rows == [("a", "\ufffd"), ("b", "\ufffd"), ("c", "x\ty")]


def test_a_line_in_the_middle_that_is_no_event_is_never_skipped(database):
    lines = [
        b'{"event":"a","properties":{"time":1767268800000}}',
        b"terminated early",
        b'{"event":"b","properties":{}}',
    ]
    with exporting(EventPopulation.raw({FIRST: lines})) as sim:
        result = fetched(sim, database, FIRST, FIRST)
    assert result.failed_date_ranges == ((FIRST, FIRST),)
    assert not stored(database)


def test_what_a_callback_raises_ends_the_run_and_whole_days_stay(database):
    def stop(progress):
        raise ZeroDivisionError

    with exporting(POPULATION, per_event=0.0005) as sim:
        with pytest.raises(ZeroDivisionError):
            fetched(sim, database, days_per_request=1, on_batch_complete=stop)
        assert not threads_named("mp-")
        kept = stored(database)
        with duckdb.connect(database) as connection:
            days = [day for (day,) in connection.execute("SELECT day FROM _mixpanel_days").fetchall()]
        assert days
        assert kept == sum((counted(POPULATION.events(day, day)) for day in days), Counter())
        sim.clear_requests()
        assert fetched(sim, database, days_per_request=1).is_complete
        assert not {str(day) for day in days} & {first for first, _ in asked_for(sim)}
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_no_reader_ever_sees_a_day_half(database):
    population = EventPopulation(FIRST, "2026-01-03", 3000)
    seen, done = set(), threading.Event()
    connection = duckdb.connect(database)

    def look(cursor):
        while not done.is_set():
            try:
                seen.update(cursor.execute("SELECT time::DATE, count(*) FROM events GROUP BY 1").fetchall())
            except duckdb.CatalogException:
                continue

    with connection, connection.cursor() as cursor, exporting(population) as sim:
        reader = threading.Thread(target=look, args=(cursor,))
        reader.start()
        try:
            fetched(sim, connection, FIRST, "2026-01-03", days_per_request=1)
            fetched(sim, connection, FIRST, "2026-01-03", refetch=True)
        finally:
            done.set()
            reader.join()
    assert {count for _, count in seen} == {3000}


def test_a_refusal_is_raised_and_nothing_more_is_asked_for(database):
    with exporting(POPULATION, EventFault("status", status=402, text="no plan", times=None)) as sim:
        with pytest.raises(md.RequestRejectedError, match="no plan"):
            fetched(sim, database, workers=1)
        assert len(sim.requests) == 1


def test_other_events_are_refused_for_a_table_before_the_first_request(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database, events=["Big"])
        assert {json.loads(text)["event"] for text in stored(database)} == {"Big"}
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match="Big"):
            fetched(sim, database)
        assert not sim.requests


def test_a_table_or_view_of_something_else_is_refused(database):
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE events (a INTEGER); CREATE TABLE e_unique (a INTEGER)")
    with exporting(POPULATION) as sim:
        for table in ("events", "e", "_mixpanel_x"):
            with pytest.raises((md.UnsuitableTableError, md.QueryError)):
                fetched(sim, database, table=table)
        assert not sim.requests


def test_rows_that_no_fetch_into_the_database_has_brought_are_refused_before_the_first_request(database, tmp_path):
    place = str(tmp_path / "shared.duckdb")
    with exporting(POPULATION) as sim:
        fetched(sim, database, into=md.Target(place))
        sim.clear_requests()
        with pytest.raises(md.UnsuitableTableError, match="no fetch into this database has brought"):
            fetched(sim, place)
        assert not sim.requests
        with duckdb.connect(place) as connection:
            connection.execute("DELETE FROM events")
        assert fetched(sim, place).is_complete
    assert stored(place) == stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_a_view_in_the_place_of_the_one_without_doubles_is_refused_unless_it_leaves_them_out(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database, last=FIRST)
        sim.clear_requests()
        with duckdb.connect(database) as connection:
            connection.execute("CREATE OR REPLACE VIEW events_unique AS SELECT DISTINCT event FROM events")
        with pytest.raises(md.UnsuitableTableError, match="'events_unique' is there"):
            fetched(sim, database)
        assert not sim.requests
        with duckdb.connect(database) as connection:  # the newest of each, and not the first
            connection.execute(
                "CREATE OR REPLACE VIEW EVENTS_unique AS FROM main.events QUALIFY row_number() OVER "
                '(PARTITION BY "event", distinct_id, "time", insert_id ORDER BY rowid DESC) = 1'
            )
        assert fetched(sim, database).is_complete


def test_a_table_that_was_dropped_is_fetched_anew(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database)
        with duckdb.connect(database) as connection:
            connection.execute("DROP TABLE events")
        assert fetched(sim, database).stored_days == 9
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_progress_counts_each_request_once(database):
    told = []
    with exporting(POPULATION, EventFault("reset"), EventFault("text", day="2026-01-03", times=None)) as sim:
        result = fetched(sim, database, days_per_request=1, on_batch_complete=told.append)
    assert [each.batch_index for each in told] == list(range(9))
    assert sum(not each.success for each in told) == 1
    assert told[-1].completed_batches == told[-1].total_batches == 9
    assert told[-1].cumulative_rows == result.total_rows == 8 * 120
    assert json.dumps(told[0].to_dict())
    assert json.dumps(result.to_dict())


@pytest.mark.parametrize("if_exists", ["replace", "merge", "error"])
def test_profiles_do_not_go_into_a_table_of_events_nor_events_into_one_of_profiles(database, if_exists):
    with exporting(POPULATION) as sim, client_for(sim) as client:
        fetched(sim, database, last=FIRST)
        sim.clear_requests()
        with pytest.raises(md.StorageError) as refused:
            md.fetch_profiles(database, "events", client=client, if_exists=if_exists, allow_other=True)
        assert refused.value.exit_code == 2
        assert str(refused.value).count(".") == 1 or if_exists == "error"
        with duckdb.connect(database) as connection:
            connection.execute("CREATE TABLE people (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
        with pytest.raises(md.UnsuitableTableError, match="holds profiles"):
            fetched(sim, database, table="people")
        assert not sim.requests
    assert stored(database) == counted(POPULATION.events(FIRST, FIRST))


def test_a_table_has_one_set_of_days_however_its_name_is_written(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database, table="Events")
        assert fetched(sim, database, table="EVENTS").stored_days == 0
        assert fetched(sim, database, table="events", refetch=True).table == "Events"
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_a_limit_that_is_told_under_status_200_pauses_everybody_and_is_no_failure_of_the_days(database):
    text = '{"error": "too many export requests in progress for this project"}'
    with exporting(POPULATION, EventFault("text", text=text, rows=0, times=30)) as sim, client_for(sim) as client:
        hits = []
        client.event_reader.limiter.hit = hits.append
        result = md.fetch_events(database, FIRST, LAST, client=client, days_per_request=3)
        assert sim.events.faults.played == 30
    assert {each.kind for each in hits} == {"concurrency"}
    assert len(hits) == 30
    assert result.is_complete
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


@pytest.mark.parametrize(("given", "words"), [(0, "from 1 to 10"), ("4", "from 1 to 10"), (2.0, "from 1 to 10")])
def test_the_number_of_workers_is_refused_in_the_words_of_events(database, given, words):
    with exporting(POPULATION) as sim, pytest.raises(md.QueryError, match=words):
        fetched(sim, database, workers=given)


def test_more_workers_than_ten_are_capped_and_that_is_said(database):
    with exporting(POPULATION) as sim, pytest.warns(UserWarning, match="more than 10 requests at a time; using 10"):
        assert fetched(sim, database, workers=12).is_complete


@pytest.mark.parametrize(("minutes", "told"), [(0, 0), (-240, -240), (330, 330), (None, None)])
def test_the_clock_of_the_times_is_told_by_the_moments_of_receipt_and_nothing_is_converted(database, minutes, told):
    def event(number):
        time = 1767268800000 + 60_000 * number
        late = 86_400_000 if number % 5 == 0 else number * 100
        sent = {} if minutes is None else {"$mp_api_timestamp_ms": time - minutes * 60_000 + late}
        return {"event": "a", "properties": {"time": time, "distinct_id": "x", "$insert_id": str(number), **sent}}

    population = EventPopulation.of_events(map(event, range(60)))
    with exporting(population) as sim:
        result = fetched(sim, database, FIRST, FIRST)
    assert result.utc_offset_minutes == told
    assert bool(told) == any("times are of a clock at UTC" in text for text in result.notices)
    assert stored(database) == counted(population.events(FIRST, FIRST))


FAR = [2**63 - 1, -(2**63), -(2**53), 10**30, 1e308, -1e308, "1e400", "-inf", "NaN"]


@pytest.mark.parametrize("figure", FAR, ids=str)
@pytest.mark.parametrize("name", ["time", "$mp_api_timestamp_ms"])
def test_no_figure_of_an_event_is_too_large_for_a_run(database, name, figure):
    noon = 1767268800000
    sent = [{"time": noon + number, "$mp_api_timestamp_ms": noon + number} for number in range(12)]
    lines = [json.dumps({"event": "a", "properties": each}).encode() for each in [*sent, sent[0] | {name: figure}]]
    with exporting(EventPopulation.raw({FIRST: lines})) as sim:
        result = fetched(sim, database, FIRST, FIRST)
    assert (result.total_rows, result.utc_offset_minutes) == (13, 0)
    assert result.rows_outside_range == (name == "time")


def test_a_stop_from_another_thread_ends_the_run_within_a_second_and_whole_days_stay(database):
    stop = threading.Event()
    stalled = EventFault("stall", day="2026-01-05", times=None)

    def ask(_):
        threading.Timer(0.1, stop.set).start()

    with exporting(POPULATION, stalled) as sim, pytest.raises(md.FetchStopped):
        fetched(sim, database, days_per_request=1, stop=stop, on_batch_complete=ask)
    assert not threads_named("mp-")
    with duckdb.connect(database) as connection:
        days = [str(day) for (day,) in connection.execute("SELECT day FROM _mixpanel_days").fetchall()]
    assert stored(database) == sum((counted(POPULATION.events(day, day)) for day in days), Counter())


def test_the_log_speaks_of_one_day_and_the_list_of_fetches_of_filters_alone(database, caplog):
    caplog.set_level("INFO", "mixpanel_duckdb")
    with exporting(POPULATION) as sim:
        fetched(sim, database, FIRST, FIRST)
    assert "1 day; 3 at a time." in caplog.text
    assert "1 days" not in caplog.text
    counts = {"total_pages": 1, "expected_rows": None, "pages_done": 0, "profiles": 0, "rows": 0}
    record = SimpleNamespace(
        table="events", state="running", pid=7, query={"api": "export"}, updated_at=datetime.now(UTC), fetch_id="f",
        pages_missing=(), note="", is_published=False, **counts,
    )  # fmt: skip
    assert "query" not in fetch_text(record)
    record.query["where"] = "true"
    assert "query: where=true" in fetch_text(record)


def test_an_event_that_came_with_another_day_hides_none_that_was_deleted(database):
    with exporting(uneven(nights=True, timeless=False)) as sim:
        fetched(sim, database, "2026-01-01", "2026-01-04", days_per_request=1)
        everything = stored(database)
        with duckdb.connect(database) as connection:
            connection.execute("DELETE FROM events WHERE event = 'noon 2'")
        result = fetched(sim, database, "2026-01-01", "2026-01-04")
    assert (result.stored_days, stored(database)) == (1, everything)
    assert any("were deleted" in text for text in result.notices)


def test_an_interrupt_at_the_end_of_a_run_does_not_keep_its_table_from_the_next_one(database, monkeypatch):
    def interrupted(claim):
        raise KeyboardInterrupt

    with exporting(POPULATION) as sim:
        with monkeypatch.context() as patched:
            patched.setattr(Claim, "release", interrupted)
            with suppress(KeyboardInterrupt):
                fetched(sim, database, last=FIRST)
        gc.collect()
        assert fetched(sim, database).is_complete


def test_a_day_is_as_old_as_it_was_when_it_was_asked_for_however_long_its_stream_took(database):
    with exporting(POPULATION, EventFault("delay", seconds=0.5)) as sim:
        begun = datetime.now(UTC)
        fetched(sim, database, last=FIRST)
        taken = (datetime.now(UTC) - begun).total_seconds()
    (table,) = md.list_event_tables(database)
    assert (table.fetched_at - begun).total_seconds() < taken - 0.5


def test_days_of_which_somebody_has_deleted_rows_are_said_and_fetched_again(database):
    with exporting(POPULATION) as sim:
        fetched(sim, database)
        with duckdb.connect(database) as connection:
            connection.execute("DELETE FROM events WHERE time::DATE = '2026-01-03'")
            connection.execute("DELETE FROM events WHERE time = (SELECT max(time) FROM events)")
        result = fetched(sim, database)
        assert (result.stored_days, result.is_complete) == (2, True)
        assert fetched(sim, database).stored_days == 0
    assert any("were deleted" in text for text in result.notices)
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))
