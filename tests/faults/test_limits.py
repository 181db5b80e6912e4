"""G7, one shared sense of the limits: who waits, for how long, and how many requests a refusal costs."""

import threading
import time

import pytest

import mixpanel_duckdb as md
from helpers import PAGE, client_of, fetch, served, stored
from mixpanel_duckdb.http.refusal import read_limit
from mixpanel_duckdb.results.progress import SilentObserver
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, RequestRecord, Simulator

PEOPLE = Population(PAGE * 30 - 7, seed=5)
FREE = Limits(quota=None)
# A request may be on its way while the 429 is; nothing may follow it.
ON_ITS_WAY = 0.05


class Waits(SilentObserver):
    """Notes what a caller is told about waiting."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.longest = 0.0

    def waiting(self, seconds: float, reason: str) -> None:
        self.kinds.add(reason)
        self.longest = max(self.longest, seconds)


def slow(seconds: float = 0.02) -> Behaviour:
    return Behaviour(latency=seconds)


def refused(records: list[RequestRecord]) -> list[RequestRecord]:
    return [record for record in records if record.status == 429]


def sent_between(records: list[RequestRecord], start: float, end: float) -> int:
    return sum(start < record.started < end for record in records)


@pytest.mark.parametrize("kind", ["quota", "concurrency", "shedding"])
def test_one_429_pauses_all_workers_for_as_long_as_the_server_says(kind: str, database: str) -> None:
    waits = Waits()
    fault = Fault(kind, page=12, retry_after=0.6)  # type: ignore[arg-type]
    with Simulator(PEOPLE, limits=FREE, behaviour=slow(), faults=[fault]) as sim:
        result = fetch(sim, database, observer=waits)
        records = sim.requests
    (refusal,) = refused(records)
    assert refusal.finished
    assert sent_between(records, refusal.finished + ON_ITS_WAY, refusal.finished + 0.55) == 0
    assert waits.kinds == {kind}
    assert 0.3 < waits.longest <= 0.6
    assert 0.5 < result.waited_seconds < 0.9
    assert result.is_complete
    assert result.requests == len(records)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize(
    ("limits", "waited"),
    [
        (Limits(quota=8, window=1.0, count_session_pages=True), 1.0),
        (Limits(quota=8, window=1.0, count_session_pages=True, exact=True), 0.8),
        (Limits(quota=8, window=1.0, count_session_pages=True, form="no_retry_after"), 1.0),
        (Limits(quota=8, window=1.0, count_session_pages=True, form="http_date"), 0.8),
        (Limits(quota=8, window=1.0, count_session_pages=True, form="html"), 1.0),
    ],
    ids=["seconds", "exact", "ratelimit-only", "date", "html"],
)
def test_every_form_of_retry_after_is_understood(limits: Limits, waited: float, database: str) -> None:
    people = Population(PAGE * 14, seed=5)
    with Simulator(people, limits=limits) as sim:
        result = fetch(sim, database)
    assert result.is_complete
    assert waited <= result.waited_seconds < 2 * waited + 1.6
    assert stored(database) == served(people)


def test_a_429_without_any_figure_is_waited_out_longer_each_time(database: str) -> None:
    fault = Fault("shedding", page=12, attempts=2)
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database, max_workers=1)
        first, second = refused(sim.requests)
        last = [record for record in sim.requests if record.page == 12][-1]
    assert 1.0 <= second.started - first.started < 1.6
    assert 2.0 <= last.started - second.started < 2.6
    assert result.is_complete


def test_a_retry_after_of_zero_does_not_hammer(database: str) -> None:
    fault = Fault("shedding", page=12, attempts=2, retry_after=0)
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        assert fetch(sim, database).is_complete
        first, second = refused(sim.requests)
    assert second.started - first.started >= 1.0


def test_a_concurrency_429_lowers_the_number_in_flight_for_a_while(database: str) -> None:
    fault = Fault("concurrency", page=12, retry_after=0.2)
    with Simulator(PEOPLE, limits=FREE, behaviour=slow(), faults=[fault]) as sim:
        assert fetch(sim, database).is_complete
        (refusal,) = refused(sim.requests)
        after = [record.in_flight for record in sim.requests if record.started > (refusal.finished or 0) + ON_ITS_WAY]
        assert sim.max_in_flight == 5
    assert max(after) == 4


def test_a_server_with_fewer_places_than_workers_is_lived_with(database: str) -> None:
    limits = Limits(quota=None, concurrency=3, concurrency_wait=0.1, exact=True)
    with Simulator(PEOPLE, limits=limits, behaviour=slow()) as sim:
        result = fetch(sim, database)
        assert len(refused(sim.requests)) <= 4
    assert result.is_complete
    assert stored(database) == served(PEOPLE)


def test_a_wait_beyond_the_budget_ends_incomplete_and_resumable(database: str) -> None:
    limits = Limits(quota=20, window=1.5, count_session_pages=True)
    with Simulator(PEOPLE, limits=limits) as sim:
        started = time.monotonic()
        result = fetch(sim, database, rate_limit_wait=0.5)
        assert time.monotonic() - started < 1.0
        assert (result.is_complete, result.published, result.has_failures) == (False, False, True)
        assert result.successful_pages + result.failed_pages == 30
        assert result.successful_pages == 20
        assert "rate_limit_wait" in result.errors[0][1]
        assert result.waited_seconds <= 0.5
        asked = {record.page for record in sim.requests if record.status == 200}
        sim.clear_requests()
        again = fetch(sim, database, rate_limit_wait=30)
        assert not asked & {record.page for record in sim.requests}
    assert again.is_complete
    assert again.resumed_pages == 20
    assert stored(database) == served(PEOPLE)


def test_a_refused_page_0_beyond_the_budget_says_so(database: str) -> None:
    with (
        Simulator(PEOPLE, limits=Limits(quota=0)) as sim,
        pytest.raises(md.RateLimitError, match="longer than this run may wait"),
    ):
        fetch(sim, database, rate_limit_wait=1)


def test_a_window_that_counts_every_page_costs_two_refusals_at_most(database: str) -> None:
    people = Population.uniform(200 * 5, profile_bytes=100)
    window = 1.5
    limits = Limits(quota=60, window=window, count_session_pages=True)
    with Simulator(people, limits=limits) as sim:
        result = fetch(sim, database, page_size=5)
        records = sim.requests
    assert result.is_complete
    assert len(refused(records)) <= 2
    assert result.requests == 200 + len(refused(records))
    assert 3 * window <= result.duration_seconds < 3 * window + 4
    assert result.waited_seconds <= result.duration_seconds


def test_a_window_with_nothing_told_but_its_text_costs_two_refusals_each_time(database: str) -> None:
    people = Population(PAGE * 14, seed=5)
    limits = Limits(quota=8, window=0.9, count_session_pages=True, form="html")
    with Simulator(people, limits=limits, behaviour=slow(0.03)) as sim:
        assert fetch(sim, database).is_complete
        records = sim.requests
    later = [record for record in refused(records) if record.started > records[0].started + 1.0]
    assert len(later) <= 2


def test_pages_that_are_not_counted_are_not_held_back(database: str) -> None:
    people = Population.uniform(75 * 5, profile_bytes=100)
    with Simulator(people, behaviour=slow(0.1)) as sim:
        result = fetch(sim, database, page_size=5)
        assert refused(sim.requests) == []
        assert sim.busy_fraction() > 0.65
    assert result.waited_seconds == 0


def test_a_wait_is_cut_by_a_stop_at_once(database: str) -> None:
    control_seen = threading.Event()

    class Stop(SilentObserver):
        def waiting(self, seconds: float, reason: str) -> None:
            control_seen.set()
            raise KeyboardInterrupt

    with Simulator(PEOPLE, limits=FREE, faults=[Fault("quota", page=12, retry_after=3600)]) as sim:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch(sim, database, observer=Stop())
        assert time.monotonic() - started < 1.5
    assert control_seen.is_set()


def test_page_0_queries_of_the_last_hour_are_remembered(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        fetch(sim, database, "other")
        with client_of(sim) as client:
            assert md.plan_fetch(client=client, database=database).queries_last_hour == 3


def test_of_two_limits_used_up_the_one_that_tripped_says_for_how_long() -> None:
    policy = '"project";q=60;w=3600, "project-concurrency";q=5;qu="concurrent-requests"'
    over = read_limit({"ratelimit": '"project";r=0;t=90, "project-concurrency";r=0', "ratelimit-policy": policy}, "")
    busy = read_limit({"ratelimit": '"project";r=0, "project-concurrency";r=0;t=10', "ratelimit-policy": policy}, "")
    assert (over.kind, over.wait, over.quota, over.window) == ("quota", 90, 60, 3600)
    assert (busy.kind, busy.wait) == ("concurrency", 10)


NONSENSE = [
    {"RateLimit": '"project";r=0;t=nan'},
    {"RateLimit": '"project";r=0;t=-5'},
    {"RateLimit": '"project-concurrency";r=0;t=inf', "RateLimit-Policy": '"project";q=nan;w=inf'},
    {"Retry-After": "Mon, 01 Jan 2026 00:00:00 +9999999999999999"},
    {"Retry-After": "99999999999999999999"},
    {"Retry-After": "1e300"},
]


@pytest.mark.parametrize("headers", NONSENSE, ids=lambda headers: " ".join(headers.values()))
def test_headers_without_sense_neither_hang_nor_hammer_nor_break_a_run(headers: dict[str, str], database: str) -> None:
    fault = Fault("status", page=12, status=429, attempts=None, headers=headers)
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database, rate_limit_wait=0.3)
        assert len(refused(sim.requests)) <= 2
    assert not result.is_complete
    assert 12 in result.failed_page_indices
    assert result.waited_seconds <= 0.3
