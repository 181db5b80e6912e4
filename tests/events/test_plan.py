"""Days to requests: few requests for a year that is sparse, small ones for days that are full, halves of what dies."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from events.exporting import client_for, exporting
from mixpanel_duckdb.fetch.event_plan import EventPlan
from mixpanel_duckdb.http import EXPORT_QUOTA, ExportLimiter, FetchControl, utc_now
from mixpanel_duckdb.http.refusal import LimitHit
from mixpanel_duckdb.simulator import EventPopulation

START = date(2025, 1, 1)
YEAR = [START + timedelta(days=number) for number in range(365)]


def batches(plan, rows_a_day, dies=lambda days: False):
    """What is asked for, one after the other."""
    asked = []
    while (batch := plan.take(FetchControl())) is not None:
        asked.append(batch.days)
        if dies(batch.days):
            plan.died(batch, "it broke off")
        else:
            plan.committed(batch, rows_a_day * len(batch.days))
    plan.close()
    return asked


def test_a_sparse_year_takes_few_requests_and_fits_an_hour():
    asked = batches(EventPlan(YEAR), 100)
    assert len(asked) <= 20 < EXPORT_QUOTA
    assert [day for days in asked for day in days] == YEAR


@pytest.mark.parametrize(("rows", "most"), [(100_000, 10), (400_000, 2), (1_000_000, 1), (20_000_000, 1)])
def test_no_request_asks_for_much_more_than_a_million_events(rows, most):
    assert max(map(len, batches(EventPlan(YEAR), rows))) == most


def test_what_an_earlier_run_has_learned_is_used_from_the_first_request():
    assert len(batches(EventPlan(YEAR, rate=1000.0), 1000)) == 13


@pytest.mark.parametrize("rows", [0, 3, 30_000, 100_000, 1_000_000])
def test_the_first_answer_tells_how_many_requests_there_will_be(rows):
    plan = EventPlan(YEAR)
    plan.committed(plan.take(FetchControl()), rows)
    assert 1 + plan.to_come == plan.total == len(batches(EventPlan(YEAR), rows))


def test_a_first_request_that_fails_says_nothing_of_hours():
    plan = EventPlan(YEAR)
    plan.died(plan.take(FetchControl()), "it broke off")
    assert plan.to_come < EXPORT_QUOTA


@given(missing=st.sets(st.integers(0, 364), max_size=60), size=st.none() | st.integers(1, 40))
def test_every_day_is_asked_for_once_and_no_other(missing, size):
    days = [day for number, day in enumerate(YEAR) if number not in missing]
    asked = batches(EventPlan(days, size=size), 5000)
    assert sorted(day for each in asked for day in each) == days


@given(bad=st.integers(0, 59), size=st.integers(1, 30))
def test_one_bad_day_costs_few_requests_and_no_other_day(bad, size):
    days = YEAR[:60]
    plan = EventPlan(days, size=size)
    asked = batches(plan, 10, lambda each: days[bad] in list(each))
    assert [(each.first, each.last) for each, _ in plan.failed] == [(days[bad], days[bad])]
    assert len(asked) <= -(-60 // size) + 20


def test_a_server_that_answers_nothing_ends_the_run_soon():
    plan = EventPlan(YEAR)
    assert len(batches(plan, 10, lambda _: True)) == 15
    assert sorted(day for each, _ in plan.failed for day in each) == YEAR


class Clock:
    """Virtual seconds: a wait is over when its time is up."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("earlier", [0, 7, 60])
def test_in_no_hour_more_than_sixty_starts_and_in_no_second_more_than_three(earlier):
    clock, starts = Clock(), []
    limiter = ExportLimiter(clock=clock)
    limiter.remember(utc_now() - timedelta(seconds=age) for age in range(earlier))
    for _ in range(365):
        while (delay := max(limiter._delay(clock.now, False), limiter._behind_others(clock.now))) > 0:
            clock.now += delay
        with limiter.slot(FetchControl()):
            starts.append(clock.now)
    everything = [*(1000.0 - age for age in range(earlier)), *starts]
    for at in starts:
        assert sum(at - 3600 < each <= at for each in everything) <= EXPORT_QUOTA
        assert sum(at - 1 <= each <= at for each in starts) <= 3


def test_a_refusal_holds_everybody():
    clock = Clock()
    limiter = ExportLimiter(clock=clock)
    limiter.hit(LimitHit("quota", 90.0))
    assert limiter._delay(clock.now, False) == pytest.approx(90.0)


def test_what_a_database_tells_of_this_clients_own_requests_counts_once(tmp_path):
    with exporting(EventPopulation(START, START + timedelta(days=2), 5)) as sim, client_for(sim) as client:
        for number in range(2):  # of the second file nothing is known yet
            for table in ("one", "two"):
                database = str(tmp_path / f"{number}.duckdb")
                md.fetch_events(database, START, START + timedelta(days=1), table, client=client, days_per_request=1)
        assert client.event_reader.limiter.left == EXPORT_QUOTA - len(sim.requests) == 52
