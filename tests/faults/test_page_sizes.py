"""Large results in larger pages: the server is obeyed if it lowers or refuses them, and left alone if it cannot."""

import logging
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import client_of, committed, fetch, served, stored
from mixpanel_duckdb.http.retry import RetryPolicy
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, RequestRecord, Simulator

PEOPLE = Population(400, seed=3)
OWN = 5  # 80 pages; 7 a page make 58
LARGE = 7
FREE = Limits(quota=None, concurrency=None)


def simulator(*faults: Fault, people: Population = PEOPLE, **behaviour: Any) -> Simulator:
    return Simulator(people, behaviour=Behaviour(page_size=OWN, **behaviour), limits=FREE, faults=faults)


def auto(sim: Simulator, database: str, **options: Any) -> md.ParallelProfileFetchResult:
    return fetch(sim, database, **{"page_size": "auto", "progress": None, **options})


def sizes(records: list[RequestRecord]) -> set[str | None]:
    return {record.params.get("page_size") for record in records}


def test_more_than_sixty_pages_are_asked_for_in_larger_ones_for_one_query_more(database: str) -> None:
    with simulator() as sim:
        result = auto(sim, database)
    first, *others = sim.requests
    assert (first.page, first.params.get("page_size")) == (0, None)
    assert (others[0].page, others[0].session_id, sizes(others)) == (0, None, {str(LARGE)})
    assert (result.requests, result.retries, result.total_pages) == (59, 0, 58)
    assert stored(database) == served(PEOPLE)
    assert result.is_complete
    assert "80 pages of 5 profiles are more than 60" in result.notices[0]
    assert md.list_fetches(database)[0].page_size == LARGE


def test_sixty_pages_stay_as_they_are(database: str) -> None:
    people = Population(60 * OWN, seed=1)
    with simulator(people=people) as sim:
        result = auto(sim, database)
    assert (result.requests, sizes(sim.requests), result.notices) == (60, {None}, ())


@pytest.mark.parametrize("size", [None, OWN])
def test_who_names_a_size_gets_that(database: str, size: int | None) -> None:
    with simulator() as sim:
        result = auto(sim, database, page_size=size)
    assert (result.requests, sizes(sim.requests)) == (80, {None if size is None else str(size)})


def test_a_result_with_a_limit_is_planned_by_that(database: str) -> None:
    with simulator() as sim:
        result = auto(sim, database, limit=100)
    assert (result.requests, sizes(sim.requests), result.total_rows) == (20, {None}, 100)


@pytest.mark.parametrize(("behaviour", "pages"), [({"max_page_size": 6}, 67), ({"ignore_page_size_request": True}, 80)])
def test_a_server_that_lowers_the_size_is_obeyed(
    database: str, caplog: pytest.LogCaptureFixture, behaviour: dict[str, Any], pages: int
) -> None:
    with simulator(**behaviour) as sim, caplog.at_level(logging.WARNING):
        result = auto(sim, database)
    assert result.is_complete
    assert (result.total_pages, result.requests) == (pages, pages + 1)
    assert stored(database) == served(PEOPLE)
    assert f"which makes {pages}" in result.notices[1]
    assert f"{pages} pages to fetch" in caplog.text
    assert "--page-size" in caplog.text


REFUSALS = {
    "a 400": Fault("status", status=400, text="page_size is too large", above=OWN, attempts=None),
    "a 413": Fault("status", status=413, above=OWN, attempts=None),
    "a 502 for each try": Fault("status", status=502, above=OWN, attempts=None),
    "an error under 200": Fault("error_key_200", above=OWN, attempts=None),
    "no total": Fault("missing_total", page=0, above=OWN, attempts=None),
    "fewer rows than it says": Fault("short_page", page=0, above=OWN, rows=OWN, attempts=None),
    "silence": Fault("hang", above=OWN, attempts=None),
    "a cut body": Fault("cut", above=OWN, attempts=None),
}


@pytest.mark.parametrize("fault", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_size_costs_nothing_but_the_asking(database: str, fault: Fault) -> None:
    with simulator(fault) as sim:
        result = auto(sim, database, timeout=0.4)
    assert result.is_complete
    assert stored(database) == served(PEOPLE)
    asked = [record for record in sim.requests if record.params.get("page_size")]
    assert {record.page for record in asked} == {0}
    assert len(asked) <= 3
    assert len(sim.requests) == len(asked) + 80  # page 0 of the first session is not asked for again
    assert "the server's own size" in result.notices[1]


FAILURES = {
    "time out": Fault("hang", page=range(1, 99), above=OWN, attempts=None),
    "one never comes": Fault("hang", page=30, above=OWN, attempts=None),
    "fail": Fault("status", status=504, page=range(2, 99), above=OWN, attempts=None),
    "break off": Fault("cut", page=9, above=OWN, attempts=None),
}


@pytest.mark.parametrize("fault", FAILURES.values(), ids=FAILURES)
def test_large_pages_that_time_out_or_fail_are_given_up_once_for_the_servers_own(database: str, fault: Fault) -> None:
    with simulator(fault) as sim:
        result = auto(sim, database, timeout=0.4)
    assert result.is_complete
    assert stored(database) == served(PEOPLE)
    assert (result.total_pages, len(committed(database))) == (80, 80)
    failing = fault.page if isinstance(fault.page, int) else None
    if failing is not None:  # three requests for it, no more
        assert sum(r.page == failing and r.params.get("page_size") == str(LARGE) for r in sim.requests) == 3
    openings = [record.params.get("page_size") for record in sim.requests if record.page == 0]
    assert openings == [None, str(LARGE), None]
    assert "starting over at the server's own size" in result.notices[-1]


def test_two_failures_of_a_large_page_are_no_reason(database: str) -> None:
    with simulator(Fault("status", status=502, page=range(1, 20), above=OWN, attempts=2)) as sim:
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages) == (True, 58)


AWAY = {
    "503": Fault("status", status=503, page=range(20, 99), above=OWN, attempts=4),
    "502": Fault("status", status=502, page=range(20, 99), above=OWN, attempts=4),
    "reset": Fault("reset", page=range(20, 99), above=OWN, attempts=4, after=0.0),
}


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
def test_a_server_that_is_away_for_a_moment_says_nothing_of_the_size_of_pages_that_came(
    database: str, fault: Fault
) -> None:
    with simulator(fault) as sim:
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages, result.requests) == (True, 58, 59 + 38 * 4)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY)
def test_a_server_that_stays_away_leaves_the_large_pages_that_came_for_the_next_run(
    database: str, fault: Fault
) -> None:
    with simulator(replace(fault, attempts=None)) as sim:
        result = auto(sim, database)
        assert (result.is_complete, result.total_pages, result.failed_pages) == (False, 58, 38)
        sim.clear_faults()
        sim.clear_requests()
        again = auto(sim, database)
    assert (again.is_complete, again.total_pages, again.requests) == (True, 58, 38)
    assert stored(database) == served(PEOPLE)


def test_a_large_page_that_a_gateway_refuses_for_good_while_others_come_is_a_reason(database: str) -> None:
    with simulator(Fault("status", status=502, page=9, above=OWN, attempts=None)) as sim:
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages) == (True, 80)
    assert sum(r.page == 9 and r.params.get("page_size") == str(LARGE) for r in sim.requests) == 15
    assert stored(database) == served(PEOPLE)


def test_a_gateway_that_refuses_every_large_page_from_the_first_on_is_a_reason_at_once(database: str) -> None:
    with simulator(Fault("status", status=502, page=range(1, 99), above=OWN, attempts=None)) as sim:
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages) == (True, 80)
    assert all(n <= 3 for n in Counter(r.page for r in sim.requests if r.status == 502).values())


def test_a_lost_session_behind_such_a_failure_stays_at_the_own_size(database: str) -> None:
    fails = Fault("status", status=502, page=3, above=OWN, attempts=None)
    with simulator(fails, Fault("lost_session", page=70, attempts=1, times=1)) as sim:
        result = auto(sim, database)
    assert result.is_complete
    assert [r.params.get("page_size") for r in sim.requests if r.page == 0] == [None, str(LARGE), None, None]


def interrupted(sim: Simulator, database: str) -> set[int]:
    """Run until some pages are stored, stop, and say which."""

    def stops(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == 20:
            raise KeyboardInterrupt

    sim.add_fault(Fault("hang", page=range(30, 99), attempts=None))
    with pytest.raises(KeyboardInterrupt):
        auto(sim, database, on_batch_complete=stops)
    sim.clear_faults()
    sim.clear_requests()
    return committed(database)


def test_an_interrupted_run_goes_on_in_the_pages_that_its_session_has(database: str) -> None:
    with simulator(max_page_size=6) as sim:  # asked for with 7, which every page of the session must repeat
        done = interrupted(sim, database)
        result = auto(sim, database)
    assert {r.page for r in sim.requests}.isdisjoint(done)
    assert sizes(sim.requests) == {str(LARGE)}
    assert (result.is_complete, result.resumed_pages, result.total_pages) == (True, len(done), 67)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("status", [502, 504])
def test_a_run_that_goes_on_gives_large_pages_up_too(database: str, status: int) -> None:
    with simulator() as sim:
        interrupted(sim, database)
        sim.add_fault(Fault("status", status=status, above=OWN, attempts=None))
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages) == (True, 80)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("status", [400, 404])
def test_a_session_that_is_gone_in_unknown_words_says_nothing_of_the_size_of_its_pages(
    database: str, status: int
) -> None:
    with simulator(uncached_status=status, uncached_text="who are you?") as sim:
        interrupted(sim, database)
        sim.expire_sessions()
        result = auto(sim, database)
    assert (result.is_complete, result.total_pages) == (True, 58)
    assert any("The session cannot be used any more" in text for text in result.notices)
    assert all(n <= 2 for n in Counter(r.page for r in sim.requests if r.status == status).values())
    assert stored(database) == served(PEOPLE)


class Theirs:
    """A client of the caller's, which knows sizes or does not."""

    def __init__(self, client: md.MixpanelClient, *, knows_sizes: bool, fails: int | None = None) -> None:
        self._client, self._fails = client, fails
        self.asked: list[tuple[int, int | None]] = []
        self.query_engage_page = self._sized if knows_sizes else self._unsized

    def _unsized(self, page: int, *, session_id: str | None = None) -> dict[str, Any]:
        return self._sized(page, session_id=session_id)

    def _sized(self, page: int, *, session_id: str | None = None, page_size: int | None = None) -> dict[str, Any]:
        self.asked.append((page, page_size))
        if page_size and page == self._fails:
            raise TimeoutError
        return self._client.query_engage_page(page, session_id=session_id, page_size=page_size)


@pytest.mark.parametrize(
    ("knows_sizes", "fails", "pages"), [(True, None, 58), (False, None, 80), (True, 0, 80), (True, 11, 80)]
)
def test_a_client_of_the_callers_is_asked_in_the_same_way(
    database: str, knows_sizes: bool, fails: int | None, pages: int
) -> None:
    with simulator() as sim, client_of(sim) as client:
        theirs = Theirs(client, knows_sizes=knows_sizes, fails=fails)
        result = md.fetch_profiles(database, client=theirs, progress=None)
    assert (result.is_complete, result.total_pages) == (True, pages)
    assert stored(database) == served(PEOPLE)
    if fails:
        assert theirs.asked.count((fails, LARGE)) == 3


def test_a_retry_policy_of_fewer_tries_is_kept(database: str) -> None:
    once = RetryPolicy(attempts=1)
    with simulator(Fault("status", status=504, page=8, above=OWN, attempts=None)) as sim:
        result = auto(sim, database, retry=once)
    assert (result.is_complete, result.total_pages) == (True, 80)


def test_a_plan_shows_both(database: str) -> None:
    with simulator() as sim, client_of(sim) as client:
        estimate = md.plan_fetch(client=client)
        plain = md.plan_fetch(client=client, page_size=OWN)
    assert len(sim.requests) == 2
    assert (estimate.page_size, estimate.total_pages, plain.sizing) == (OWN, 80, None)
    assert estimate.sizing is not None
    assert (estimate.sizing.page_size, estimate.sizing.pages) == (LARGE, 58)
    assert estimate.to_dict()["sizing"]["pages"] == 58
    assert "80 pages of 5" in estimate.summary()
    assert "7 a page make 58" in estimate.summary()
    assert "fits one hour" in estimate.summary()
    assert "fits one hour" not in plain.summary()


def test_a_plan_goes_by_the_request_that_page_0_came_with_not_by_those_that_failed_before() -> None:
    retry = RetryPolicy(first_delay=0.2, jitter=0.0)
    with simulator(Fault("status", status=502, page=0, attempts=2)) as sim, client_of(sim, retry=retry) as client:
        began = time.monotonic()
        estimate = md.plan_fetch(client=client)
        took = time.monotonic() - began
    assert len(sim.requests) == 3
    assert took - estimate.request_seconds > 0.59
    assert estimate.request_seconds > 0


@pytest.mark.parametrize(("pages", "hours"), [(61, "1 hour"), (120, "1 hour"), (121, "2 hours")])
def test_a_plan_counts_only_the_hours_that_are_waited_for(pages: int, hours: str) -> None:
    estimate = md.FetchEstimate(expected_rows=pages, page_size=1, total_pages=pages, request_seconds=0.1)
    assert f"about {hours} of waiting" in estimate.summary()


def test_an_export_that_cannot_start_over_stays_at_the_servers_own_size() -> None:
    with simulator() as sim, client_of(sim) as client:
        assert sum(1 for _ in client.export_profiles(page_size="auto")) == 400
        assert client.query_engage_page(0, page_size="auto")["page_size"] == OWN
    assert sizes(sim.requests) == {None}
