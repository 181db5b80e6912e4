"""What Mixpanel's own clients make of the simulator's refusals: each is taken for what it stands for.

Where they do less than this package, the simulator is right and they are poor: mixpanel-utils knows no 429 and falls
over the missing body, mixpanel-headless gives up at the first 502. Headless reads whole seconds in ``Retry-After`` and
nothing else, as the published answers have them; for a date, which HTTP allows, and for the fractions of
``Limits(exact=True)``, which are there for tests in a hurry, it waits by its own clock of a second and more.
"""

import pytest

from clients.normal import raw
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator

pytestmark = pytest.mark.timeout(600)
STREAM = ("stream_profiles", {"raw": True})
QUERY = ("query_user", {"mode": "profiles", "limit": None, "parallel": True})
ENGAGE = ("query_engage", {})


@pytest.fixture(scope="module")
def population():
    return Population(800, seed=6)


@pytest.fixture
def sim(population):
    with Simulator(population, behaviour=Behaviour(page_size=100)) as running:
        yield running


def statuses(sim, page):
    return [r.status for r in sim.requests if r.page == page]


@pytest.mark.parametrize("kind", ["quota", "concurrency"])
def test_headless_waits_as_long_as_a_429_says_and_goes_on(sim, population, headless, kind, at_most):
    sim.add_fault(Fault(kind, page=2, retry_after=1))
    (outcome,) = headless.outcomes(sim, STREAM)
    refused, repeated = [r for r in sim.requests if r.page == 2]
    assert raw(outcome["profiles"]) == raw(population.profiles())
    assert (refused.status, repeated.status) == (429, 200)
    assert 1 <= repeated.started - refused.started < at_most(5)


def test_headless_gives_up_after_four_refusals_and_reports_the_servers_words(sim, headless):
    sim.add_fault(Fault("quota", page=0, attempts=None, retry_after=0))
    (outcome,) = headless.outcomes(sim, STREAM)
    assert outcome["error"] == "RateLimitError"
    assert "Query rate limit exceeded for project_id: 1." in outcome["details"]["response_body"]["error"]
    assert statuses(sim, 0) == [429] * 4


def test_utils_takes_a_429_for_an_answer_and_asks_once(sim, utils):
    sim.add_fault(Fault("quota", page=0, attempts=None))
    (outcome,) = utils.outcomes(sim, ENGAGE)
    assert "NoneType" in outcome["error"]
    assert statuses(sim, 0) == [429]


def test_utils_asks_again_after_gateway_errors(sim, population, utils):
    sim.add_fault(Fault("status", page=3, attempts=2, status=502))
    (outcome,) = utils.outcomes(sim, ENGAGE)
    assert raw(outcome["profiles"]) == raw(population.profiles())
    assert statuses(sim, 3) == [502, 502, 200]


def test_headless_gives_up_at_a_gateway_error(sim, headless):
    sim.add_fault(Fault("status", page=3, status=502))
    (outcome,) = headless.outcomes(sim, STREAM)
    assert outcome["error"] == "ServerError"
    assert statuses(sim, 3) == [502]


def test_wrong_credentials_are_an_authentication_error(sim, headless):
    (outcome,) = headless.outcomes(sim, STREAM, MP_SECRET="not the secret")
    assert outcome["error"] == "AuthenticationError"
    assert statuses(sim, 0) == [401]


def test_a_bad_filter_is_a_query_error_that_names_it(sim, headless):
    (outcome,) = headless.outcomes(sim, ("stream_profiles", {"where": "((("}))
    assert (outcome["error"], outcome["message"]) == ("QueryError", "Invalid parameter: where")


def test_eighty_pages_of_one_session_cost_one_query_of_the_hour(headless, utils):
    """Headless 0.4.0 still warns above 48 pages, yet newer code of its authors has session pages for free."""
    with Simulator(Population(800), behaviour=Behaviour(page_size=10), limits=Limits(quota=3)) as sim:
        outcomes = [*headless.outcomes(sim, STREAM, QUERY), *utils.outcomes(sim, ENGAGE)]
        assert [len(outcome["profiles"]) for outcome in outcomes] == [800] * 3
        assert {r.status for r in sim.requests} == {200}
        assert sim.max_in_flight <= 5


def test_where_session_pages_are_counted_headless_still_arrives(headless):
    limits = Limits(quota=20, window=2, count_session_pages=True)
    with Simulator(Population(300), behaviour=Behaviour(page_size=10), limits=limits) as sim:
        (outcome,) = headless.outcomes(sim, STREAM)
        assert len(outcome["profiles"]) == 300
        assert 429 in {r.status for r in sim.requests}


def test_five_workers_of_headless_never_trip_the_concurrency_limit(headless):
    with Simulator(Population(3000), behaviour=Behaviour(page_size=50, latency=0.02)) as sim:
        (outcome,) = headless.outcomes(sim, QUERY)
        assert len(outcome["profiles"]) == 3000
        assert sim.max_in_flight == 5
        assert {r.status for r in sim.requests} == {200}
