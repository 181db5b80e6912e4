"""G7, one shared sense of the limits: who waits, for how long, and how many requests a refusal costs."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, fetch, served, stored, threads_named, wait_until
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
def test_one_429_pauses_all_workers_for_as_long_as_the_server_says(
    kind: str, database: str, at_most: Callable[[float], float]
) -> None:
    waits = Waits()
    fault = Fault(kind, page=12, retry_after=0.6)  # type: ignore[arg-type]
    with Simulator(PEOPLE, limits=FREE, behaviour=slow(0.05), faults=[fault]) as sim:
        result = fetch(sim, database, observer=waits)
        records = sim.requests
    (refusal,) = refused(records)
    assert refusal.finished
    assert sent_between(records, refusal.finished + ON_ITS_WAY, refusal.finished + 0.55) <= at_most(0)
    afterwards = [record.page for record in records if record.started > refusal.started + 0.6]
    assert 12 in afterwards
    assert len(afterwards) > 1
    assert waits.kinds == {kind}
    assert 0.6 - at_most(0.3) < waits.longest <= 0.6
    assert 0.6 - at_most(0.1) < result.waited_seconds < at_most(0.9)
    assert result.is_complete
    assert result.requests == len(records)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize(
    ("form", "longest"),
    [
        ({}, 2.0),
        ({"exact": True}, 1.2),
        ({"form": "no_retry_after"}, 2.0),
        ({"form": "http_date"}, 2.2),
        ({"form": "html"}, 2.0),
    ],
    ids=["seconds", "exact", "ratelimit-only", "date", "html"],
)
def test_every_form_of_retry_after_is_understood(
    form: dict[str, Any], longest: float, database: str, at_most: Callable[[float], float]
) -> None:
    people = Population(PAGE * 14, seed=5)
    # A refusal without any figure would be waited out for one second.
    limits = Limits(quota=None, window=1.2, **form)
    with Simulator(people, limits=limits, faults=[Fault("quota", page=8)]) as sim:
        result = fetch(sim, database)
        refusal, again = (record for record in sim.requests if record.page == 8)
    assert result.is_complete
    assert (refusal.status, again.status) == (429, 200)
    assert again.started - refusal.started > 1.19
    assert result.waited_seconds < at_most(longest + 0.3)
    assert stored(database) == served(people)


def test_a_429_without_any_figure_is_waited_out_longer_each_time(
    database: str, at_most: Callable[[float], float]
) -> None:
    fault = Fault("shedding", page=12, attempts=2)
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        result = fetch(sim, database, max_workers=1)
        first, second = refused(sim.requests)
        last = [record for record in sim.requests if record.page == 12][-1]
    assert 1.0 <= second.started - first.started < at_most(1.6)
    assert 2.0 <= last.started - second.started < at_most(2.6)
    assert result.is_complete


def test_a_retry_after_of_zero_does_not_hammer(database: str) -> None:
    fault = Fault("shedding", page=12, attempts=2, retry_after=0)
    with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
        assert fetch(sim, database).is_complete
        first, second = refused(sim.requests)
    assert second.started - first.started >= 1.0


def test_a_concurrency_429_lowers_the_number_in_flight_for_a_while(database: str) -> None:
    fault = Fault("concurrency", page=12, retry_after=0.5)
    with Simulator(PEOPLE, limits=FREE, behaviour=slow(0.05), faults=[fault]) as sim:
        assert fetch(sim, database).is_complete
        (refusal,) = refused(sim.requests)
        after = [record.in_flight for record in sim.requests if record.started > refusal.started + 0.5]
        assert sim.max_in_flight == 5
    assert max(after) == 4


def test_a_server_with_fewer_places_than_workers_is_lived_with(database: str) -> None:
    limits = Limits(quota=None, concurrency=3, concurrency_wait=0.1, exact=True)
    with Simulator(PEOPLE, limits=limits, behaviour=slow()) as sim:
        result = fetch(sim, database)
        assert len(refused(sim.requests)) <= 4
    assert result.is_complete
    assert stored(database) == served(PEOPLE)


def test_a_wait_beyond_the_budget_ends_incomplete_and_resumable(
    database: str, at_most: Callable[[float], float]
) -> None:
    used_up = Fault("quota", page=range(20, 30), attempts=None, retry_after=3600)
    with Simulator(PEOPLE, limits=FREE, faults=[used_up]) as sim:
        started = time.monotonic()
        result = fetch(sim, database, rate_limit_wait=0.5)
        assert time.monotonic() - started < at_most(1.0)
        assert (result.is_complete, result.published, result.has_failures) == (False, False, True)
        assert result.successful_pages + result.failed_pages == 30
        assert result.successful_pages == 20
        assert "rate_limit_wait" in result.errors[0][1]
        assert result.waited_seconds <= 0.5
        asked = {record.page for record in sim.requests if record.status == 200}
        sim.clear_requests()
        sim.clear_faults()
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


def test_a_window_that_counts_every_page_costs_two_refusals_at_most(
    database: str, at_most: Callable[[float], float]
) -> None:
    people = Population.uniform(200 * 5, profile_bytes=100)
    window = 1.5
    limits = Limits(quota=60, window=window, count_session_pages=True)
    with Simulator(people, limits=limits) as sim:
        result = fetch(sim, database, page_size=5)
        records = sim.requests
    assert result.is_complete
    assert len(refused(records)) <= at_most(2)
    assert result.requests == 200 + len(refused(records))
    assert 3 * window <= result.duration_seconds < at_most(3 * window + 4)
    assert result.waited_seconds <= result.duration_seconds


def test_a_window_with_nothing_told_but_its_text_costs_two_refusals_each_time(
    database: str, at_most: Callable[[float], float]
) -> None:
    people = Population(PAGE * 14, seed=5)
    limits = Limits(quota=8, window=0.9, count_session_pages=True, form="html")
    with Simulator(people, limits=limits, behaviour=slow(0.03)) as sim:
        assert fetch(sim, database).is_complete
        records = sim.requests
    later = [record for record in refused(records) if record.started > records[0].started + 1.0]
    assert len(later) <= at_most(2)


def test_pages_that_are_not_counted_are_not_held_back(database: str, at_most: Callable[[float], float]) -> None:
    people = Population.uniform(75 * 5, profile_bytes=100)
    with Simulator(people, behaviour=slow(0.1)) as sim:
        result = fetch(sim, database, page_size=5)
        assert refused(sim.requests) == []
        assert 1 - sim.busy_fraction() < at_most(0.35)
    assert result.waited_seconds == 0


def test_a_wait_is_cut_by_a_stop_at_once(database: str, at_most: Callable[[float], float]) -> None:
    control_seen = threading.Event()

    class Stop(SilentObserver):
        def waiting(self, seconds: float, reason: str) -> None:
            control_seen.set()
            raise KeyboardInterrupt

    with Simulator(PEOPLE, limits=FREE, faults=[Fault("quota", page=12, retry_after=3600)]) as sim:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch(sim, database, observer=Stop())
        wait_until(lambda: not threads_named("mp-fetch"))
        assert time.monotonic() - started < at_most(1.5)
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


class Uncut:
    """A caller's client whose first session is lost on page 3, while the reads of other pages go on, however long."""

    def __init__(self, seconds: float) -> None:
        self._changed = threading.Lock()
        self._seconds = seconds
        self._sessions = self._in_flight = 0
        self.most = 0
        self._full = threading.Event()
        self.lost = threading.Event()
        self.let_go = threading.Event()

    def query_engage_page(self, page: int, **_: Any) -> dict[str, Any]:
        with self._changed:
            self._sessions += not page
            self._in_flight += 1
            self.most = max(self.most, self._in_flight)
            session = self._sessions
            if self._in_flight == 5:
                self._full.set()
        try:
            if page:
                self._full.wait(LONGEST)
            if page == 3 and session == 1:
                self.lost.set()
                raise md.SessionLostError("gone")
            if page:
                self.let_go.wait(self._seconds if session == 1 else 0.1)
            rows = [{"$distinct_id": f"{page}-{row}", "$properties": {}} for row in range(2)]
            return {"page": page, "page_size": 2, "total": 24, "session_id": f"s{session}", "results": rows}
        finally:
            with self._changed:
                self._in_flight -= 1


def test_reads_of_a_lost_session_that_nobody_can_cut_count_in_the_next_one(database: str) -> None:
    client = Uncut(seconds=3.0)
    assert md.fetch_profiles(database, client=client, progress=None).is_complete
    assert client.most == 5


def test_a_stop_does_not_wait_for_them(database: str) -> None:
    client, stop = Uncut(seconds=LONGEST), threading.Event()

    class Stopping(SilentObserver):
        lost = 0

        def ticked(self) -> None:
            self.lost += client.lost.is_set()
            if self.lost > 5:
                stop.set()

    with pytest.raises(md.FetchStopped):
        md.fetch_profiles(database, client=client, progress=None, observer=Stopping(), stop=stop)
    assert not client.let_go.is_set()
    client.let_go.set()
    wait_until(lambda: not threads_named("mp-fetch"))
