"""A run seen from outside: what the logger ``mixpanel_duckdb`` tells of it at INFO."""

import logging

import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import PAGE, client_of, fetch
from mixpanel_duckdb.display import RunLog
from mixpanel_duckdb.results.progress import FetchPlan, ProfileBatchProgress
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 12 - 7, seed=3)
TROUBLE = [
    Fault("status", page=5, attempts=2, status=502),
    Fault("reset", page=7),
    Fault("quota", page=9, retry_after=0.5),
]


def counts(lines):
    """How many lines begin so."""
    starts = {
        "A request failed. Page ": 3,
        "A request was refused. Page 9": 1,
        "Fetching into table 'profiles': project 1 at http": 1,
        "233 profiles in 12 pages; 5 at a time.": 1,
        "Complete: 233 of 233 profiles": 1,
    }
    return {start: sum(line.startswith(start) for line in lines) for start in starts}, starts


def test_each_failed_request_and_each_wait_is_told_and_how_it_began_and_ended(database, caplog):
    with caplog.at_level(logging.INFO, "mixpanel_duckdb"), Simulator(PEOPLE, faults=TROUBLE) as sim:
        result = fetch(sim, database)
    assert (result.is_complete, result.retries) == (True, 4)
    told, wanted = counts(caplog.messages)
    assert told == wanted
    waits = [line for line in caplog.messages if line.endswith(" s for the server's limits (hourly quota).")]
    assert len(waits) == 1
    backoffs = [line for line in caplog.messages if line.endswith(" is asked for again.")]
    assert len(backoffs) == 3
    assert caplog.messages[0].startswith("Fetching into")
    assert caplog.messages[-1].startswith("Complete: ")
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_the_command_tells_the_same_where_nobody_watches_and_nothing_quietly(tmp_path):
    with Simulator(PEOPLE, faults=TROUBLE) as sim:
        mp_fetch = MpFetch(tmp_path, sim.environment())
        done = mp_fetch("profiles", "--page-size", PAGE)
        told, wanted = counts(done.said)
        assert (done.code, told) == (0, wanted)
        for fault in TROUBLE:
            sim.add_fault(fault)
        quiet = mp_fetch("profiles", "--page-size", PAGE, "--replace", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_stream_of_profiles_tells_of_requests_that_fail(caplog):
    caplog.set_level(logging.INFO, "mixpanel_duckdb")
    with Simulator(PEOPLE, faults=TROUBLE) as sim, client_of(sim) as client:
        assert sum(1 for _ in client.export_profiles(page_size=PAGE)) == len(PEOPLE)
    assert sum(line.startswith("A request ") for line in caplog.messages) == 4


def test_requests_of_a_callers_client_are_told_too(database, caplog):
    class Moody:
        def __init__(self, client):
            self.client, self.calls = client, 0

        def query_engage_page(self, page, **more):
            self.calls += 1
            if self.calls == 3:
                raise OSError("not now")
            return self.client.query_engage_page(page, **more)

    with caplog.at_level(logging.INFO, "mixpanel_duckdb"), Simulator(PEOPLE) as sim, client_of(sim) as client:
        assert md.fetch_profiles(database, client=Moody(client), page_size=PAGE).is_complete
    assert sum("not now" in line for line in caplog.messages if line.startswith("A request failed.")) == 1


def test_what_ends_a_run_is_told(database, caplog):
    refused = Fault("status", page=5, attempts=None, status=402)
    caplog.set_level(logging.INFO, "mixpanel_duckdb")
    with Simulator(PEOPLE, faults=[refused]) as sim, pytest.raises(md.RequestRejectedError):
        fetch(sim, database)
    assert "ended at " in caplog.messages[-1]
    assert caplog.messages[-1].endswith("12 pages: RequestRejectedError.")


def test_a_page_that_is_given_up_and_what_is_incomplete_are_told(database, caplog):
    lost = Fault("status", page=5, attempts=None, status=500)
    with caplog.at_level(logging.INFO, "mixpanel_duckdb"), Simulator(PEOPLE, faults=[lost]) as sim:
        fetch(sim, database)
    assert any(line.startswith("Given up: page 5: status 500") for line in caplog.messages)
    assert caplog.messages[-1].startswith("Incomplete: 213 of 233 profiles; 1 of 12 pages")


def test_progress_is_told_now_and_then_and_a_wait_once(caplog):
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    clock = Clock()
    with caplog.at_level(logging.INFO, "mixpanel_duckdb"):
        log = RunLog(clock=clock)
        log.planned(FetchPlan("profiles", 10, 1000, 2, 200, 5))
        for done in range(3, 6):
            clock.now += 4
            log.page_done(ProfileBatchProgress(done, 10, 100, True, None, done, done * 100))
        for _ in range(100):
            log.waiting(40 - 0.2 * _, "quota")
            log.ticked()
            clock.now += 0.2
    told = [line for line in caplog.messages if "pages," in line or "Waiting" in line]
    assert told[0] == "1,000 profiles in 10 pages, 2 of them here from an earlier run; 5 at a time."
    assert told[1].startswith("5/10 pages, 500 profiles")
    assert told[2:] == ["Waiting 40.0 s for the server's limits (hourly quota)."]


def test_a_run_is_silent_below_info(database, capfd):
    with Simulator(PEOPLE, limits=Limits(quota=None), faults=TROUBLE) as sim:
        fetch(sim, database, progress=False)
    assert capfd.readouterr() == ("", "")
