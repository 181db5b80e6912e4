"""A month by the command: every event as it was sent, in any number of workers and any packing of days.

``MP_TEST_EVENTS=100000`` makes the days as large as those of a busy project, and takes longer than the usual patience:
``-o faulthandler_timeout=3600``.
"""

import json
import os
from datetime import date, timedelta

import duckdb
import pytest

from cli.command import MpFetch
from events.exporting import FREE
from helpers import LONGEST
from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator

EVENTS = int(os.environ.get("MP_TEST_EVENTS", "60"))
DAYS = [date(2026, 1, number) for number in range(1, 32)]
PATIENCE = LONGEST + EVENTS / 100


def as_sent(name, properties):
    return json.dumps([name, properties], sort_keys=True)


@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize(("workers", "packing"), [(1, 31), (4, 1), (10, 4), (4, None)])
def test_a_month_by_the_command_is_there_event_for_event(workers, packing, tmp_path):
    population = EventPopulation(DAYS[0], DAYS[-1], EVENTS)
    words = ["--from", DAYS[0], "--to", DAYS[-1], "-d", "month.duckdb", "--workers", workers, "--json"]
    words += [] if packing is None else ["--days-per-request", packing]
    with Simulator(events=RawExport(population, limits=FREE, per_second=None)) as sim:
        process = MpFetch(tmp_path, sim.environment()).start("events", *words)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert json.loads(out)["total_rows"] == EVENTS * len(DAYS)
    with duckdb.connect(str(tmp_path / "month.duckdb"), read_only=True) as connection:
        for day in DAYS:
            rows = connection.execute(
                "SELECT event, properties FROM events WHERE time >= ? AND time < ?", [day, day + timedelta(days=1)]
            ).fetchall()
            kept = sorted(as_sent(name, json.loads(text)) for name, text in rows)
            assert kept == sorted(as_sent(each["event"], each["properties"]) for each in population.events(day, day))
