import httpx
import pytest

from mixpanel_duckdb.simulator import Population, Simulator
from simulator.calling import ACCOUNT, PATH, basic

WRONG_KEY = (
    "Unauthorized, invalid project secret. See docs for more information: "
    "https://developer.mixpanel.com/reference/authentication#project-secret"
)
MISMATCH = "Credentials in request did not match project_id URL parameter"


@pytest.fixture(scope="module")
def sim():
    with Simulator(Population(3)) as running:
        yield running


def call(sim, headers, project_id="1"):
    params = {} if project_id is None else {"project_id": project_id}
    return httpx.get(sim.base_url + PATH, params=params, headers=headers)


@pytest.mark.parametrize(
    ("headers", "project_id"),
    [
        (ACCOUNT, "1"),
        ({"Authorization": "Basic simulator:simulated-secret"}, "1"),
        (basic("simulated-secret:"), None),
        (basic("simulated-secret:"), "1"),
        (basic("simulated-secret"), None),
        ({"Authorization": "Bearer simulated-token"}, "1"),
    ],
)
def test_valid_credentials_are_accepted(sim, headers, project_id):
    assert call(sim, headers, project_id).status_code == 200


@pytest.mark.parametrize(
    ("headers", "project_id", "text"),
    [
        ({}, "1", "Unable to authenticate request"),
        (basic("someone:simulated-secret"), "1", "Not a valid service account username"),
        (basic("simulator:wrong"), "1", "Unable to authenticate request"),
        (basic("wrong:"), None, WRONG_KEY),
        ({"Authorization": "Basic ###"}, None, WRONG_KEY),
        ({"Authorization": "Bearer wrong"}, "1", "Unable to authenticate request"),
        (ACCOUNT, "2", MISMATCH),
        (ACCOUNT, None, MISMATCH),
        (basic("simulated-secret:"), "2", MISMATCH),
    ],
)
def test_wrong_credentials_get_the_servers_words(sim, headers, project_id, text):
    answer = call(sim, headers, project_id)
    assert (answer.status_code, answer.json()["error"]) == (401, text)


def test_any_credentials_will_do_when_asked_for():
    with Simulator(Population(3), auth="any") as sim:
        assert call(sim, {}, None).status_code == 200
