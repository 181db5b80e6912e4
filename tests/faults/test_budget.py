"""Pages too large to be held all at once: requests wait for bodies to be stored, and a stop ends that wait, too."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import PAGE, QUICK, committed, fetch, served, stored, threads_named, wait_until
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.fetch import budget, download
from mixpanel_duckdb.http.control import FetchControl
from mixpanel_duckdb.results.progress import SilentObserver
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator
from mixpanel_duckdb.store import PageReceipt, StagedGroup
from mixpanel_duckdb.store.pages.ingest import PageIngest

PEOPLE = Population.uniform(PAGE * 30, profile_bytes=1000, seed=3)
BODY = PAGE * 1100
FREE = Limits(quota=None, concurrency=None)
FIXED = Behaviour(order="fixed")


class Scales:
    """Weighs the bodies that have come and are not stored yet, on a client and a store of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int = 2 * BODY) -> None:
        self.alive = self.most = 0
        self.held_back = threading.Event()
        self.slow = True
        self._lock = threading.Lock()
        self._patch(monkeypatch, limit)

    def weigh(self, size: int) -> None:
        with self._lock:
            self.alive += size
            self.most = max(self.most, self.alive)

    def _patch(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        scales, reserve, fetch_page = self, budget.ByteBudget.reserve, md.MixpanelClient.fetch_page
        commit = PageIngest.commit

        def reserving(self: budget.ByteBudget, index: int, control: FetchControl) -> None:
            waiting = threading.Timer(0.02, scales.held_back.set)
            waiting.start()
            try:
                reserve(self, index, control)
            finally:
                waiting.cancel()
                waiting.join()

        def fetching(self: md.MixpanelClient, *arguments: Any, **more: Any) -> EngagePage:
            page = fetch_page(self, *arguments, **more)
            scales.weigh(len(page.body))
            return page

        def committing(self: PageIngest, groups: Sequence[StagedGroup]) -> tuple[PageReceipt, ...]:
            time.sleep(0.02 if scales.slow else 0.0)
            receipts = commit(self, groups)
            scales.weigh(-sum(group.size for group in groups))
            return receipts

        monkeypatch.setattr(download, "_BODY_BYTES", limit)
        monkeypatch.setattr(budget.ByteBudget, "reserve", reserving)
        monkeypatch.setattr(md.MixpanelClient, "fetch_page", fetching)
        monkeypatch.setattr(PageIngest, "commit", committing)


class StopError(Exception):
    """What the caller's code raises."""


def test_bodies_in_memory_stay_within_the_budget_in_a_resumed_run_too(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = Scales(monkeypatch)

    def enough(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == 6:
            raise StopError

    silent = Fault("hang", page=range(15, 30), attempts=None)
    with Simulator(PEOPLE, limits=FREE, behaviour=FIXED, faults=[silent]) as sim:
        with pytest.raises(StopError):
            fetch(sim, database, on_batch_complete=enough)
        sim.clear_faults()
        assert 0 < scales.most <= 3 * BODY
        scales.alive = scales.most = 0
        result = fetch(sim, database)
    assert result.is_complete
    assert result.resumed_pages >= 6
    assert 0 < scales.most <= 3 * BODY
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("limit", [1, BODY, 2 * BODY])
def test_pages_that_fail_or_come_odd_give_their_room_back(
    limit: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scales(monkeypatch, limit).slow = False
    faults = [
        Fault("status", page=4, attempts=None),
        Fault("short_page", page=7),
        Fault("wrong_page", page=9, attempts=None),
        Fault("bad_gzip", page=12),
        Fault("cut_gzip", page=14, attempts=None),
        Fault("empty_page", page=16, attempts=None),
        Fault("shedding", page=18, retry_after=0.1),
    ]
    with Simulator(PEOPLE, limits=FREE, behaviour=FIXED, faults=faults) as sim:
        result = fetch(sim, database, retry=QUICK)
        assert {4, 9, 14} <= set(result.failed_page_indices) <= {4, 9, 14, 16}
        sim.clear_faults()
        again = fetch(sim, database, resume=False)
    assert again.is_complete
    assert stored(database) == served(PEOPLE)


def test_a_refusal_ends_the_run_while_other_requests_are_held_back(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scales(monkeypatch, limit=1)
    with Simulator(PEOPLE, limits=FREE, behaviour=FIXED, faults=[Fault("status", page=3, status=403)]) as sim:
        with pytest.raises(md.CredentialsError):
            fetch(sim, database)
        sim.clear_faults()
        assert fetch(sim, database).is_complete


def test_a_stop_wakes_requests_that_are_held_back_and_none_of_them_is_sent(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = Scales(monkeypatch, limit=1)

    class Impatient(SilentObserver):
        def ticked(self) -> None:
            if scales.held_back.is_set():
                raise StopError

    with Simulator(
        PEOPLE, limits=FREE, behaviour=FIXED, faults=[Fault("hang", page=range(1, 30), attempts=None)]
    ) as sim:
        with pytest.raises(StopError):
            fetch(sim, database, observer=Impatient())
        assert len({record.page for record in sim.requests} - {0}) <= 1
        wait_until(lambda: not threads_named("mp-fetch"))
        assert committed(database) <= {0}
        sim.clear_faults()
        assert fetch(sim, database).is_complete
