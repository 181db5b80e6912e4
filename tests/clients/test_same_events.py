"""Mixpanel's own clients and this package read the same events from the simulator; where one loses some, it is said."""

import json

import pytest

from events.exporting import counted, exporting
from events.test_fetch import fetched, stored
from mixpanel_duckdb.simulator import EventFault, EventPopulation

pytestmark = pytest.mark.timeout(600)
FIRST, LAST = "2026-01-01", "2026-01-03"
DAYS = {"from_date": FIRST, "to_date": LAST}
POPULATION = EventPopulation(FIRST, LAST, 300, odd=3)
EVERYTHING = counted(POPULATION.events(FIRST, LAST))


def in_seconds(events):
    """As the server gives them to whoever does not ask for milliseconds."""
    return counted(
        {**each, "properties": {**each["properties"], "time": each["properties"]["time"] // 1000}} for each in events
    )


def test_this_package_stores_the_population(tmp_path):
    with exporting(POPULATION) as sim:
        fetched(sim, str(tmp_path / "events.duckdb"), FIRST, LAST)
    assert stored(str(tmp_path / "events.duckdb")) == EVERYTHING


def test_utils_reads_the_population(utils):
    with exporting(POPULATION, gzip=False) as sim:
        events = utils.profiles(sim, "query_export", **DAYS)
    assert counted(events) == in_seconds(POPULATION.events(FIRST, LAST))


def test_headless_reads_the_population(headless):
    with exporting(POPULATION) as sim:
        events = headless.profiles(sim, "stream_events", raw=True, **DAYS)
        names = headless.profiles(sim, "stream_events", raw=True, events=["Big"], **DAYS)
    lines = counted(events)
    # Texts with U+2028 and its like are cut there by the version at hand, or are not: what is left is right.
    assert not lines - in_seconds(POPULATION.events(FIRST, LAST))
    odd = sum(json.loads(line)["event"] == "Paste" for line in EVERYTHING.elements())
    assert EVERYTHING.total() - odd <= lines.total() <= EVERYTHING.total()
    assert {each["event"] for each in names} == {"Big"}


def test_a_stream_that_breaks_off_is_told_by_this_package_and_passes_for_whole_with_others(utils, headless, tmp_path):
    """Headless takes `terminated early` under status 200 for a line that is none; utils stops at it."""
    cut = EventFault("text", rows=40, times=None)
    with exporting(POPULATION, cut, gzip=False) as sim:
        ours = fetched(sim, str(tmp_path / "events.duckdb"), FIRST, LAST)
        theirs = headless.profiles(sim, "stream_events", raw=True, **DAYS)
        (outcome,) = utils.outcomes(sim, ("query_export", DAYS))
    assert ours.failed_date_ranges
    assert "terminated early" in ours.errors[0]
    assert len(theirs) == 40
    assert "error" in outcome or len(outcome["profiles"]) <= 40
