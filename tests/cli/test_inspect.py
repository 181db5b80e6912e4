"""``mp-fetch plan`` and ``mp-fetch status``."""

from mixpanel_duckdb.simulator import Fault


def test_plan_sends_one_request_and_makes_no_database(mp_fetch, simulator, tmp_path):
    done = mp_fetch("plan", "--page-size", 10)
    assert done.code == 0
    assert "1,030 profiles in 103 pages of 10." in done.out
    assert len(simulator.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_plan_as_json_knows_the_queries_that_a_database_remembers(mp_fetch):
    assert mp_fetch("profiles", "-q").code == 0
    plan = mp_fetch("plan", "--json").json
    assert (plan["expected_rows"], plan["total_pages"], plan["queries_last_hour"]) == (1030, 11, 2)


def test_status_lists_complete_and_incomplete_fetches(mp_fetch, simulator):
    assert mp_fetch("profiles", "done", "-q").code == 0
    simulator.add_fault(Fault("quota", page=range(6, 11), attempts=None, retry_after=600))
    assert mp_fetch("profiles", "half", "--limit", 1000, "--max-wait", 1, "-q").code == 4
    said = mp_fetch("status")
    assert said.code == 0
    assert "done: complete, 11 of 11 pages, 1,030 of 1,030 profiles" in said.out
    assert "half: incomplete" in said.out
    assert "limit=1000" in said.out
    assert "goes on from there" in said.out
    fetches = {fetch["table"]: fetch for fetch in mp_fetch("status", "--json").json["fetches"]}
    assert fetches["half"]["pages_missing"]
    assert fetches["done"]["pages_done"] == 11


def test_status_of_no_database_is_a_storage_error_and_makes_none(mp_fetch, tmp_path):
    assert mp_fetch("status", "--database", "typo.duckdb").code == 5
    assert list(tmp_path.iterdir()) == []


def test_a_plan_tells_that_it_waits_for_the_limits_and_for_no_longer_than_it_may(mp_fetch, simulator):
    simulator.add_fault(Fault("quota", page=0, retry_after=1))
    waited = mp_fetch("plan")
    assert waited.code == 0
    assert "Waiting 1.0 s for the server's limits (hourly quota)." in waited.err
    simulator.add_fault(Fault("quota", page=0, attempts=None, retry_after=600))
    refused = mp_fetch("plan", "--max-wait", 1)
    assert refused.code == 4
    assert "longer than this run may wait" in refused.err
