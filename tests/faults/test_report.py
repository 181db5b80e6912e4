"""What a run tells of itself is true also where it went wrong, or only half way."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, fetch, threads_named
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

FREE = Limits(quota=None)


class Pages:
    """A client of somebody's own, with pages of two profiles; a page may fail a number of times."""

    def __init__(self, pages: list[list[Any]], *, failures: dict[int, int] | None = None) -> None:
        self.pages = pages
        self.failures = failures or {}

    def query_engage_page(self, page: int, *, session_id: str | None = None) -> dict[str, Any]:
        if self.failures.get(page, 0):
            self.failures[page] -= 1
            raise md.ServerError("it is tired", status=502)
        total = sum(map(len, self.pages))
        head = {"page": page, "page_size": 2, "session_id": "s", "status": "ok", "total": total}
        return {**head, "results": self.pages[page]}


def profile(name: str, day: int = 1) -> dict[str, Any]:
    return {"$distinct_id": name, "$properties": {"day": day, "$last_seen": f"2026-01-{day:02}T00:00:00"}}


def many(pages: int) -> list[list[Any]]:
    return [[profile(f"{page}a"), profile(f"{page}b")] for page in range(pages)]


def test_a_page_that_another_client_is_asked_for_again_counts_as_a_retry() -> None:
    result = md.fetch_profiles(":memory:", client=Pages(many(5), failures={1: 1, 2: 1}))
    assert result.is_complete
    assert (result.requests, result.retries) == (7, 2)


def test_every_request_but_the_first_for_each_page_is_a_retry(database: str) -> None:
    faults = [Fault("short_page", page=5), Fault("status", page=3, status=502), Fault("reset", page=6)]
    with Simulator(Population(1000, seed=3), limits=FREE, faults=faults) as sim:
        result = fetch(sim, database, page_size=100)
        assert result.is_complete
        assert (result.requests, result.retries) == (len(sim.requests), len(sim.requests) - 10) == (13, 3)


def test_more_than_60_pages_are_warned_of_also_when_a_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Refused(Pages):
        def query_engage_page(self, page: int, *, session_id: str | None = None) -> dict[str, Any]:
            if page in self.failures:
                raise md.CredentialsError("enough")
            return super().query_engage_page(page, session_id=session_id)

    client = Refused(many(150), failures={20: 1})
    with md.ProfileStore(":memory:") as store:
        with pytest.raises(md.CredentialsError, match="enough"):
            md.fetch_profiles(store, client=client, max_workers=1)
        client.failures.clear()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mixpanel_duckdb"):
            result = md.fetch_profiles(store, client=client, max_workers=1)
    assert result.is_complete
    assert result.resumed_pages == 20
    assert "130 pages to fetch" in caplog.text


def test_pages_that_are_too_old_to_go_on_with_are_not_dropped_silently() -> None:
    with md.ProfileStore(":memory:") as store:
        assert not md.fetch_profiles(store, client=Pages(many(5), failures={3: 9})).is_complete
        time.sleep(0.05)
        result = md.fetch_profiles(store, client=Pages(many(5)), resume_max_age=0.01)
    assert (result.is_complete, result.resumed_pages) == (True, 0)
    assert [note for note in result.notices if note.startswith("4 pages of unfinished fetches")]


def test_what_has_arrived_is_read_as_one_row_for_each_profile() -> None:
    pages = [[profile("a"), profile("b", day=2)], [profile("b", day=1), profile("c")], [profile("b", day=3)]]
    result = md.fetch_profiles(":memory:", client=Pages(pages))
    assert (result.published, result.total_rows, result.duplicate_rows) == (False, 3, 2)
    rows = result.relation().project("distinct_id, (properties->>'day')::INT").order("1").fetchall()
    assert rows == [("a", 1), ("b", 3), ("c", 1)]
    assert result.arrow().num_rows == len(result.df()) == len(result.pl()) == 3


def test_a_read_that_cannot_be_cut_delays_a_stop_by_a_second_at_most(at_most: Callable[[float], float]) -> None:
    asked, answered, stopped = threading.Event(), threading.Event(), []

    class Deaf(Pages):
        def query_engage_page(self, page: int, *, session_id: str | None = None) -> dict[str, Any]:
            if page:
                asked.set()
                answered.wait(LONGEST)
            return super().query_engage_page(page, session_id=session_id)

    def stop(_: object) -> None:
        asked.wait(LONGEST)
        stopped.append(time.monotonic())
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        md.fetch_profiles(":memory:", client=Deaf(many(9)), on_batch_complete=stop)
    assert time.monotonic() - stopped[0] < at_most(1.5)
    assert threads_named("mp-fetch")
    answered.set()


def test_a_wait_that_is_too_long_says_what_the_server_said(database: str) -> None:
    fault = Fault("quota", page=0, attempts=None, retry_after=900)
    with Simulator(Population(300, seed=1), faults=[fault]) as sim, pytest.raises(md.RateLimitError) as caught:
        fetch(sim, database, rate_limit_wait=1.0)
    error = caught.value
    assert (error.status, error.page, error.gave_up) == (429, 0, True)
    assert "queries" in (error.server_text or "")
