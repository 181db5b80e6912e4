import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest

from helpers import LONGEST, wait_until
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator
from simulator.calling import ask

POLICY = '"project";q=2;w=3600, "project-concurrency";q=5;qu="concurrent-requests"'
QUOTA_TEXT = (
    "Query rate limit exceeded for project_id: 1. This request exceeded the rate limit (3/2 queries running in the "
    "last hour). For more information, please consult our documentation at "
    "https://help.mixpanel.com/hc/en-us/articles/115004602563-Rate-Limits-for-Export-API-Endpoints"
)


def hanging(sim):
    """How many requests have been let in and are silent now."""
    return sum(record.fault == "hang" for record in sim.requests)


def over_quota(limits, faults=()):
    with Simulator(Population(3), limits=limits, faults=faults) as sim:
        for _ in range(limits.quota):
            assert ask(sim).status_code == 200
        return ask(sim)


def test_a_quota_refusal_has_the_known_headers_and_body():
    answer = over_quota(Limits(quota=2))
    assert answer.status_code == 429
    assert answer.headers["RateLimit-Policy"] == POLICY
    wait = answer.headers["Retry-After"]
    assert 3500 < int(wait) <= 3600
    assert answer.headers["RateLimit"] == f'"project";r=0;t={wait}, "project-concurrency";r=5'
    assert answer.json()["error"] == QUOTA_TEXT
    assert answer.json()["request"].endswith("/api/query/engage?project_id=1")


def test_a_concurrency_refusal_has_the_known_headers_and_body():
    silent = Fault("hang")
    with ThreadPoolExecutor(1) as pool, Simulator(Population(3), limits=Limits(concurrency=1), faults=[silent]) as sim:
        pool.submit(ask, sim)
        wait_until(lambda: hanging(sim) == 1)
        refused = ask(sim)
    assert refused.status_code == 429
    assert refused.headers["RateLimit"] == '"project";r=59, "project-concurrency";r=0;t=10'
    assert "This request exceeded the concurrency limit (2/1 queries running concurrently)." in refused.json()["error"]
    assert list(refused.json()) == ["error"]


@pytest.mark.parametrize(
    ("form", "headers", "retry_after"),
    [("no_headers", False, False), ("no_retry_after", True, False), ("legacy", False, False), ("html", False, True)],
)
def test_other_forms_of_a_refusal_leave_things_out(form, headers, retry_after):
    answer = over_quota(Limits(quota=1, form=form))
    assert answer.status_code == 429
    assert ("RateLimit" in answer.headers, "Retry-After" in answer.headers) == (headers, retry_after)
    assert answer.text.startswith("<html>") is (form == "html")


def test_the_text_of_2021_names_both_counts():
    assert over_quota(Limits(quota=1, form="legacy")).json()["error"] == (
        "Query rate limit exceeded for project_id: 1. 0/5 queries running concurrently "
        "and 2/1 queries running in the last hour…"
    )


def test_retry_after_can_be_a_date_exact_or_anything():
    before = time.time()
    date = parsedate_to_datetime(over_quota(Limits(quota=1, form="http_date", window=600)).headers["Retry-After"])
    assert before + 600 <= date.timestamp() <= time.time() + 601
    assert 0 < float(over_quota(Limits(quota=1, window=600, exact=True)).headers["Retry-After"]) < 600
    assert over_quota(Limits(quota=0, window=599.5)).headers["Retry-After"] == "600"
    assert over_quota(Limits(quota=1, retry_after="soon")).headers["Retry-After"] == "soon"


def test_the_window_rolls():
    with Simulator(Population(3), limits=Limits(quota=1, window=0.05)) as sim:
        for _ in range(3):
            assert ask(sim).status_code == 200
            time.sleep(0.1)


@pytest.mark.parametrize(("counted", "expected"), [(False, [200, 200, 200]), (True, [200, 429, 429])])
def test_session_pages_use_the_quota_only_when_asked_to(counted, expected):
    limits = Limits(quota=2, count_session_pages=counted)
    with Simulator(Population(50), behaviour=Behaviour(page_size=10), limits=limits) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        assert [ask(sim, page=page, session_id=session_id).status_code for page in (1, 2, 3)] == expected


@pytest.mark.parametrize("status", [401, 402, 429])
def test_refused_and_unpaid_requests_are_not_counted(status):
    fault = Fault("status", status=status, attempts=3)
    with Simulator(Population(3), limits=Limits(quota=1), faults=[fault]) as sim:
        assert [ask(sim).status_code for _ in range(5)] == [status, status, status, 200, 429]


def test_failing_requests_are_counted():
    with Simulator(Population(3), limits=Limits(quota=2), faults=[Fault("status", attempts=1)]) as sim:
        assert [ask(sim).status_code for _ in range(3)] == [500, 200, 429]


@pytest.mark.parametrize("slots", [True, False])
def test_session_pages_use_places_unless_told_otherwise(slots):
    limits = Limits(concurrency=2, session_pages_use_slots=slots)
    silent = Fault("hang", page=[1, 2])
    running = Simulator(Population(50), behaviour=Behaviour(page_size=5), limits=limits, faults=[silent])
    with ThreadPoolExecutor(2) as pool, running as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        for page in (1, 2):
            pool.submit(ask, sim, page=page, session_id=session_id)
        wait_until(lambda: hanging(sim) == 2)
        third = ask(sim, page=3, session_id=session_id)
    assert third.status_code == (429 if slots else 200)


def test_a_client_that_waits_for_each_answer_never_meets_its_own_place():
    with Simulator(Population(2000), limits=Limits(quota=None, concurrency=2)) as sim:
        statuses = []

        def work():
            statuses.extend(ask(sim).status_code for _ in range(15))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONGEST)
    assert set(statuses) == {200}
    assert len(statuses) == 30


def test_unlimited_means_unlimited():
    with Simulator(Population(3), limits=Limits(quota=None, concurrency=None)) as sim:
        assert {ask(sim).status_code for _ in range(70)} == {200}


@pytest.mark.parametrize(("kind", "headers"), [("quota", True), ("concurrency", True), ("shedding", False)])
def test_scripted_refusals_look_like_real_ones(kind, headers):
    fault = Fault(kind, page=0)
    with Simulator(Population(3), limits=Limits(quota=1), faults=[fault]) as sim:
        answers = [ask(sim) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 200]
    assert ("RateLimit" in answers[0].headers) is headers
    assert "Query rate limit exceeded for project_id: 1" in answers[0].json()["error"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("quota", "(61/60 queries running in the last hour)"), ("concurrency", "(6/5 queries running concurrently)")],
)
def test_scripted_refusals_of_an_unlimited_project_name_the_published_numbers(kind, text):
    limits = Limits(quota=None, concurrency=None)
    with Simulator(Population(3), limits=limits, faults=[Fault(kind)]) as sim:
        answer = ask(sim)
    assert text in answer.json()["error"]
    assert answer.headers["RateLimit-Policy"].startswith('"project";q=60;w=3600, "project-concurrency";q=5;')


@pytest.mark.parametrize("value", [7, 0.25, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_scripted_refusals_carry_the_wanted_retry_after(value):
    with Simulator(Population(3), faults=[Fault("shedding", retry_after=value)]) as sim:
        assert ask(sim).headers["Retry-After"] == str(value)


def test_five_in_flight_most_of_the_time_can_be_seen(at_most):
    behaviour = Behaviour(page_size=10, latency=0.1)
    with Simulator(Population(260), behaviour=behaviour) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        sim.clear_requests()
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda page: ask(sim, page=page, session_id=session_id), range(1, 26)))
        assert sim.max_in_flight == 5
        assert 1 - sim.busy_fraction(5) < at_most(0.6)
        assert sim.busy_fraction(6) == 0
        assert all(record.status == 200 and record.finished > record.started for record in sim.requests)
