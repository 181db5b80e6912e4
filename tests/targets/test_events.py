"""Days of events on every kind of target that takes them, with its real engine."""

import json
from collections import Counter

import duckdb

from events.exporting import exporting
from events.test_fetch import fetched
from mixpanel_duckdb.simulator import EventPopulation

FIRST, LAST = "2026-01-01", "2026-01-05"


def test_the_target_has_the_days_and_the_next_run_writes_those_that_changed(engine, work):
    population = EventPopulation(FIRST, LAST, 40, odd=5)
    with exporting(population) as sim:
        first = fetched(sim, work, FIRST, "2026-01-04", into=engine.target)
        assert (first.published_days, first.is_complete) == (4, True)
        population.change("2026-01-02", lambda lines: lines[3:])
        again = fetched(sim, work, "2026-01-02", LAST, into=engine.target, refetch=True, days_per_request=1)
        assert again.published_days == 4
        assert fetched(sim, work, FIRST, LAST, into=engine.target).published_days == 0
    read = Counter(repr(decoded(row)) for row in again.relation().fetchall())
    with duckdb.connect(work) as connection:
        rows = map(decoded, connection.execute("FROM events").fetchall())
        assert read == Counter(repr(engine.held(row)) for row in rows)
    assert read.total() == 5 * 40 - 3
    nuls = [each for each in first.notices if "NUL characters, which the target cannot hold, are U+FFFD" in each]
    assert len(nuls) == (engine.kind == "postgres")


def decoded(row):
    *others, properties = row
    return [*others, json.loads(properties)]
