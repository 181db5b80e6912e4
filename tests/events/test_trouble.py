"""Seeded mixtures of trouble, and processes killed: the exact days, or a next run that completes them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime
from functools import partial

import duckdb
import pytest

import mixpanel_duckdb as md
from events.exporting import client_for, counted, exporting
from events.test_fetch import fetched, stored
from helpers import threads_named, wait_until
from mixpanel_duckdb.simulator import EventFault, EventPopulation

FIRST, LAST = "2026-01-01", "2026-01-12"
DAYS = [f"2026-01-{number:02}" for number in range(1, 13)]
POPULATION = EventPopulation(FIRST, LAST, 80, odd=4)
SEEDS = int(os.environ.get("MP_TEST_SEEDS", "6"))
KILLS = int(os.environ.get("MP_TEST_KILLS", "2"))


def trouble(rng, packed=True):
    """A fault or another, of any request or of those for one day; nobody can tell a flipped byte of plain text."""
    kind = rng.choice(["text", "cut_row", "reset", "missing_chunk", "cut_gzip", "flipped_byte", "status", "stall"])
    return EventFault(
        kind if packed or kind != "flipped_byte" else "reset",
        day=rng.choice([None, f"2026-01-{rng.randint(1, 12):02}"]),
        times=rng.randint(1, 3),
        rows=rng.choice([0, 1, 40]),
        text=rng.choice(["terminated early", "export terminated early", '{"error":']),
        glued=rng.random() < 0.3,
        status=rng.choice([429, 500, 502, 503, 504, 408]),
        seconds=0.05,
    )


def changed(rng, population, versions):
    """Between two runs, days change that are over: events arrive late, others are taken out, a day is deleted."""
    for day in rng.sample(DAYS, rng.randint(0, 3)):
        late = b'{"event":"Late","properties":{"time":%d,"n":%d}}' % (noon(day), rng.getrandbits(60))
        population.change(day, partial(rng.choice([late_ones, compacted, deleted]), late))
        versions[day].append(counted(population.events(day, day)))


def late_ones(late, lines):
    return [*lines, late, late] if lines else []


def compacted(_, lines):
    return lines[::2] if len(lines) > 20 else lines


def deleted(_, lines):
    return []


def noon(day):
    return int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) * 1000


def stored_by_day(database):
    with duckdb.connect(database) as connection:
        rows = connection.execute("SELECT time::DATE::VARCHAR, event, properties FROM events").fetchall()
    days = {day: [] for day in DAYS}
    for day, event, properties in rows:
        days[day].append({"event": event, "properties": json.loads(properties)})
    return {day: counted(events) for day, events in days.items()}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_mixture_of_trouble_ends_in_the_exact_days_or_says_which_are_missing(seed, tmp_path):
    rng, database = random.Random(seed), str(tmp_path / "events.duckdb")
    packed = rng.random() < 0.7
    faults = [trouble(rng, packed) for _ in range(rng.randint(2, 9))]
    options = {"workers": rng.randint(1, 5), "days_per_request": rng.choice([None, 1, 5, 12])}
    population = EventPopulation(FIRST, LAST, 80, odd=4)
    versions = {day: [counted(population.events(day, day))] for day in DAYS}
    with exporting(population, *faults, gzip=packed, chunk=rng.choice([0, 1, 777])) as sim:
        for _ in range(4):
            result = fetched(sim, database, FIRST, LAST, **options)
            missing = {
                day for first, last in result.failed_date_ranges for day in DAYS if first <= day <= last
            }  # fmt: skip
            for day, events in stored_by_day(database).items():
                assert events == counted([]) if day in missing else events in versions[day]
            if result.is_complete:
                break
            changed(rng, population, versions)
        assert result.is_complete
        changed(rng, population, versions)
        for fault in [trouble(rng, packed) for _ in range(rng.randint(0, 4))]:
            sim.events.faults.add(fault)
        for _ in range(4):
            before = stored_by_day(database)
            result = fetched(sim, database, FIRST, LAST, refetch=True, **options)
            for day, events in stored_by_day(database).items():
                assert events in (before[day], versions[day][-1])
            if result.is_complete:
                break
        assert result.is_complete
    assert stored_by_day(database) == {day: each[-1] for day, each in versions.items()}
    assert not threads_named("mp-")


def in_the_ledger(database, names):
    if "_mixpanel_queries" not in names:
        return 0
    with duckdb.connect(database) as connection:
        return connection.execute("SELECT count(*) FROM _mixpanel_queries").fetchone()[0]


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_leaves_whole_days_and_the_same_call_fetches_the_others(kill, tmp_path):
    rng, database = random.Random(kill), str(tmp_path / "events.duckdb")
    command = [
        sys.executable, "-m", "mixpanel_duckdb", "events", "--from", FIRST, "--to", LAST, "--days-per-request", "1",
        "-d", database, "--workers", "3",
    ]  # fmt: skip
    with exporting(POPULATION, per_event=0.002) as sim:
        run = subprocess.Popen(command, env={**os.environ, **sim.environment()}, stderr=subprocess.DEVNULL)
        wait_until(lambda: len(sim.requests) >= 2 + kill % 3 or run.poll() is not None)
        time.sleep(rng.random() * 0.3)
        run.send_signal(signal.SIGKILL)
        run.wait()
        asked = len(sim.requests)
        days = set()
        if os.path.exists(database):
            with duckdb.connect(database) as connection:
                names = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
                if "_mixpanel_days" in names:
                    days = {str(day) for (day,) in connection.execute("SELECT day FROM _mixpanel_days").fetchall()}
            # Of the last tenth of a second the ledger may know nothing; three requests can begin in it.
            assert asked - 3 <= in_the_ledger(database, names) <= asked
            if "events" in names:
                assert stored(database) == sum((counted(POPULATION.events(day, day)) for day in days), counted([]))
        sim.clear_requests()
        with client_for(sim):
            assert fetched(sim, database, FIRST, LAST).is_complete
        for each in sim.requests:
            first, last = each.params["from_date"], each.params["to_date"]
            assert not {day for day in days if first <= day <= last}
    assert stored(database) == counted(POPULATION.events(FIRST, LAST))


def test_an_interrupted_command_ends_with_130_and_says_that_it_goes_on(tmp_path):
    database = str(tmp_path / "events.duckdb")
    command = [sys.executable, "-m", "mixpanel_duckdb", "events", "--from", FIRST, "--to", LAST, "-d", database]
    with exporting(POPULATION, EventFault("stall", times=None)) as sim:
        run = subprocess.Popen(
            command, env={**os.environ, **sim.environment()}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        wait_until(lambda: sim.events.faults.played)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Stopped" in said
    assert "Traceback" not in said
    assert sim.account.secret not in said


def test_a_connection_that_was_refused_takes_nothing_of_the_hour(tmp_path):
    database = str(tmp_path / "events.duckdb")
    with exporting(EventPopulation("2026-01-01", "2026-01-02", 5)) as sim:
        pass
    with client_for(sim) as client:
        result = md.fetch_events(database, "2026-01-01", "2026-01-02", client=client, max_workers=1)
        assert client.event_reader.limiter.left == 60
    assert not result.is_complete
    with duckdb.connect(database) as connection:
        names = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert in_the_ledger(database, names) == 0
