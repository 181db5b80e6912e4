"""Mixpanel's own clients and this package read the same profiles from the simulator, value for value."""

import pytest

from clients.normal import fetched, promote, promoted, raw
from mixpanel_duckdb.simulator import Behaviour, Limits, Population, Simulator

pytestmark = pytest.mark.timeout(600)
EVERYBODY = {"mode": "profiles", "limit": None}
FILTERS = [
    {"where": 'properties["plan"] == "pro"'},
    {"output_properties": ["plan", "$last_seen", "no such property"]},
    {"distinct_ids": ["u-000000", "u-000001", "nobody"]},
    {"where": 'defined(properties["tags"]) and properties["seats"] > 100', "output_properties": ["seats"]},
]
VARIANTS = {
    "no gzip": Behaviour(page_size=400, gzip=False),
    "another session id on every page": Behaviour(page_size=400, rotate_session_ids=True),
    "total on every page, size on page 0": Behaviour(page_size=400, total="every_page", page_size_field="page0"),
    "no session id past the end": Behaviour(page_size=400, past_end_session_id=False, order="fixed"),
}


@pytest.fixture(scope="module")
def population():
    return Population(12_300, seed=11)


@pytest.fixture(scope="module")
def sim(population):
    with Simulator(population) as running:
        yield running


def test_this_package_stores_the_population(sim, population):
    assert raw(fetched(sim)) == raw(population.profiles())


def test_utils_reads_the_population(sim, population, utils):
    assert raw(utils.profiles(sim, "query_engage")) == raw(population.profiles())


def test_headless_streams_the_population(sim, population, headless):
    assert raw(headless.profiles(sim, "stream_profiles", raw=True)) == raw(population.profiles())


def test_headless_queries_the_population_five_pages_at_a_time(sim, population, headless):
    profiles = headless.profiles(sim, "query_user", parallel=True, **EVERYBODY)
    assert promoted(profiles) == promote(population.profiles())


@pytest.mark.parametrize("filters", FILTERS, ids=" ".join)
def test_a_filter_selects_the_same_profiles_for_every_client(sim, utils, headless, filters):
    """Lists travel as JSON texts in a query string, inside a JSON body and in a form: the answer is one."""
    ours = raw(fetched(sim, **filters))
    assert raw(headless.profiles(sim, "stream_profiles", raw=True, **filters)) == ours
    assert raw(utils.profiles(sim, "query_engage", **filters)) == ours
    assert ours


def test_a_cohort_selects_the_same_members(sim, utils, headless):
    """The simulator takes the id as a number and as text, since headless sends either, by way of the method."""
    ours = fetched(sim, cohort_id=7)
    streamed = headless.profiles(sim, "stream_profiles", raw=True, cohort_id="7")
    queried = headless.profiles(sim, "query_user", parallel=True, cohort=7, **EVERYBODY)
    asked = {"filter_by_cohort": '{"id": 7}', "include_all_users": "false"}
    assert raw(streamed) == raw(utils.profiles(sim, "query_engage", **asked)) == raw(ours)
    assert promoted(queried) == promote(ours)


def test_sorting_and_searching_answer_headless_as_they_answer_us(sim, headless):
    found = headless.profiles(sim, "query_user", search="silva", sort_by="seats", **EVERYBODY)
    ours = fetched(sim, search="silva", sort_key='properties["seats"]', sort_order="descending")
    assert promoted(found) == promote(ours)
    numbers = [p["properties"]["seats"] for p in found if type(p["properties"].get("seats")) is int]
    assert numbers == sorted(numbers, reverse=True)


def test_group_profiles_are_found_by_their_64_bit_key(utils, headless):
    key = "-1405123841946871899"
    with Simulator(Population(30, groups={key: Population(1200, seed=5)})) as sim:
        ours = raw(fetched(sim, data_group_id=key))
        assert raw(headless.profiles(sim, "stream_profiles", raw=True, group_id=key)) == ours
        assert raw(utils.profiles(sim, "query_engage", data_group_id=key)) == ours
    assert len(ours) == 1200


@pytest.mark.parametrize("variant", VARIANTS)
def test_guesses_about_the_server_that_no_client_depends_on(variant, utils, headless):
    with Simulator(Population(1300, seed=2), behaviour=VARIANTS[variant]) as sim:
        ours = fetched(sim)
        streamed, queried = headless.outcomes(
            sim, ("stream_profiles", {"raw": True}), ("query_user", {"parallel": True, **EVERYBODY})
        )
        assert raw(streamed["profiles"]) == raw(utils.profiles(sim, "query_engage")) == raw(ours)
        assert promoted(queried["profiles"]) == promote(ours)


def test_a_page_zero_that_was_asked_for_by_number_has_a_total(utils, headless):
    """A client of 2016 says that ``total`` comes only when no page is named.

    Headless names it and computes its pages from ``total``, tested against the live service: there it would read one
    page and call that complete. So the default sends it, and the old rule is a switch, which mixpanel-utils, who names
    no page 0, would not notice.
    """
    with Simulator(Population(2300), behaviour=Behaviour(total="unless_page_sent"), limits=Limits(quota=None)) as sim:
        assert len(headless.profiles(sim, "query_user", parallel=True, **EVERYBODY)) == 1000
        assert len(utils.profiles(sim, "query_engage")) == 2300
