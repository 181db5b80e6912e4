"""What Mixpanel's own clients send, so that the simulator keeps accepting each of these forms."""

import pytest

from clients.normal import fetched
from mixpanel_duckdb.simulator import Population, Simulator

pytestmark = pytest.mark.timeout(600)
PLAN = {"where": 'properties["plan"] == "pro"', "output_properties": ["plan"]}
QUERY_OF_PLAN = {"where": PLAN["where"], "output_properties": '["plan"]'}


@pytest.fixture
def sim():
    with Simulator(Population(2300, seed=3)) as running:
        yield running


def shares(record, expected):
    return {name: record.params.get(name) for name in expected} == expected


def test_utils_asks_with_get_on_the_old_path_and_names_no_page_zero(sim, utils):
    utils.profiles(sim, "query_engage")
    first, *rest = sim.requests
    assert {(r.method, r.target.split("?")[0]) for r in sim.requests} == {("GET", "/api/2.0/engage")}
    assert first.params == {"project_id": "1"}
    assert sorted(r.params["page"] for r in rest) == ["1", "2"]
    assert all(r.headers["accept-encoding"] == "identity" and r.headers["connection"] == "close" for r in sim.requests)


def test_headless_posts_json_to_the_new_path_with_a_slash_and_the_project_twice(sim, headless):
    headless.profiles(sim, "stream_profiles")
    assert {(r.method, r.target.split("?")[0]) for r in sim.requests} == {("POST", "/api/query/engage/")}
    for record in sim.requests:
        assert record.headers["content-type"] == "application/json"
        assert "project_id=1&" in record.target
        assert shares(record, {"project_id": "1", "query_origin": "mixpanel-headless", "page": record.page})
        assert "gzip" in record.headers["accept-encoding"]


def test_headless_streams_until_an_empty_page_and_queries_what_the_total_tells(sim, headless):
    headless.profiles(sim, "stream_profiles")
    assert [r.page for r in sim.requests] == [0, 1, 2, 3]
    sim.clear_requests()
    headless.profiles(sim, "query_user", mode="profiles", limit=None, parallel=True)
    assert sorted(r.page for r in sim.requests) == [0, 1, 2]


def test_every_client_stays_with_the_session_of_page_zero(sim, utils, headless):
    utils.profiles(sim, "query_engage")
    headless.profiles(sim, "stream_profiles")
    fetched(sim)
    opened = [r for r in sim.requests if r.page == 0]
    assert len(opened) == 3
    assert all(r.session_id is None for r in opened)
    assert len({r.session_id for r in sim.requests if r.page}) == 3


def test_every_client_repeats_the_filters_on_every_page(sim, utils, headless):
    utils.profiles(sim, "query_engage", where='defined(properties["$os"])')
    headless.profiles(sim, "stream_profiles", where='defined(properties["$os"])')
    fetched(sim, where='defined(properties["$os"])')
    assert {r.params["where"] for r in sim.requests} == {'defined(properties["$os"])'}
    assert sum(r.page == 1 for r in sim.requests) == 3


def test_filters_look_alike_whichever_way_they_travel(sim, utils, headless):
    utils.profiles(sim, "query_engage", **PLAN)
    headless.profiles(sim, "stream_profiles", **PLAN)
    assert all(shares(record, QUERY_OF_PLAN) for record in sim.requests)


def test_headless_works_without_its_command_line_package(sim, headless):
    (outcome,) = headless.outcomes(sim, ("stream_profiles", {"distinct_id": "u-000000"}))
    assert outcome["cli"] is False


def test_headless_may_bring_a_bearer_token(sim, headless):
    (outcome,) = headless.outcomes(
        sim,
        ("stream_profiles", {"distinct_id": "u-000000"}),
        MP_USERNAME=None,
        MP_SECRET=None,
        MP_OAUTH_TOKEN="simulated-token",
    )
    assert len(outcome["profiles"]) == 1
    assert sim.requests[0].headers["authorization"].startswith("Bearer ")


def test_utils_may_bring_a_project_secret_and_name_no_project(sim, utils):
    (outcome,) = utils.outcomes(sim, ("query_engage", {}), MP_USERNAME=None)
    assert len(outcome["profiles"]) == 2300
    assert all("project_id" not in r.params for r in sim.requests)
