import http.client
import json
import socket

import httpx
import pytest

from helpers import LONGEST
from mixpanel_duckdb.simulator import Behaviour, Latency, Population, Simulator
from simulator.calling import ACCOUNT, PATH, ask


@pytest.fixture(scope="module")
def sim():
    with Simulator(Population(2417, seed=1)) as running:
        yield running


@pytest.mark.parametrize("prefix", ["/api/query/engage", "/api/2.0/engage"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_both_prefixes_with_or_without_slash_answer_both_methods(prefix, slash, method):
    with Simulator(Population(3)) as sim:
        answer = httpx.request(method, sim.base_url + prefix + slash, params={"project_id": 1}, headers=ACCOUNT)
    assert answer.json()["total"] == 3


@pytest.mark.parametrize("form", ["params", "data", "json"])
def test_parameters_may_sit_in_url_form_or_json(form):
    where = {"where": 'properties["plan"] == "nothing like it"', "project_id": "1", "page": "0"}
    with Simulator(Population(30)) as sim:
        assert httpx.request("POST", sim.base_url + PATH, headers=ACCOUNT, **{form: where}).json()["total"] == 0


def test_a_body_value_beats_the_url_value(sim):
    answer = httpx.post(
        sim.base_url + PATH, params={"project_id": 1, "page_size": 5}, json={"page_size": 7}, headers=ACCOUNT
    )
    assert answer.json()["page_size"] == 7


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[1, 2]", b'"text"'])
def test_a_body_that_holds_no_parameters_adds_none(sim, body):
    answer = httpx.post(sim.base_url + PATH, params={"project_id": 1}, content=body, headers=ACCOUNT)
    assert answer.status_code == 200


def test_chunked_request_bodies_are_read(sim):
    def chunks():
        yield b'{"page_size"'
        yield b": 9}"

    answer = httpx.post(sim.base_url + PATH, params={"project_id": 1}, content=chunks(), headers=ACCOUNT)
    assert answer.json()["page_size"] == 9


@pytest.mark.parametrize("body", [b"Content-Length: 9\r\n\r\npage=", b"Transfer-Encoding: chunked\r\n\r\n9\r\npage="])
def test_a_request_whose_client_goes_before_it_is_whole_is_none(body):
    with Simulator(Population(3)) as sim:
        with socket.create_connection(("127.0.0.1", sim.port)) as client:
            client.sendall(b"POST /api/query/engage HTTP/1.1\r\nHost: x\r\n" + body)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert sim.requests == []


def test_page_zero_has_the_documented_fields_in_order(sim):
    answer = ask(sim, page=0).json()
    assert list(answer) == ["page", "page_size", "results", "session_id", "status", "total"]
    assert (answer["page"], answer["page_size"], answer["total"], answer["status"]) == (0, 1000, 2417, "ok")


def test_later_pages_leave_out_total_and_the_last_is_short(sim):
    session_id = ask(sim, page=0).json()["session_id"]
    answer = ask(sim, page=2, session_id=session_id).json()
    assert "total" not in answer
    assert (answer["page"], len(answer["results"]), answer["session_id"]) == (2, 417, session_id)


def test_past_the_end_is_an_empty_page_with_the_session(sim):
    session_id = ask(sim, page=0).json()["session_id"]
    answer = ask(sim, page=3, session_id=session_id).json()
    assert (answer["results"], answer["session_id"]) == ([], session_id)


@pytest.mark.parametrize("session_id", [None, ""])
def test_a_later_page_without_session_is_refused_in_the_servers_words(sim, session_id):
    answer = ask(sim, page=1, session_id=session_id)
    assert answer.status_code == 400
    assert answer.json() == {
        "request": "/api/query/engage?project_id=1",
        "error": "must have session_id when requesting page > 0",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter_by_cohort", "12345"),
        ("filter_by_cohort", "{"),
        ("output_properties", '"$email"'),
        ("distinct_ids", "abc"),
        ("where", "properties.plan == 1"),
        ("sort_key", "plan"),
        ("sort_order", "up"),
        ("page", "first"),
        ("page_size", "0"),
        ("limit", "-3"),
        ("as_of_timestamp", "now"),
        ("behaviors", "7"),
    ],
)
def test_a_malformed_parameter_is_named(sim, name, value):
    answer = ask(sim, **{name: value})
    assert (answer.status_code, answer.json()["error"]) == (400, f"Invalid parameter: {name}")


def test_other_paths_and_methods_are_refused(sim):
    assert httpx.get(sim.base_url + "/api/query/insights", headers=ACCOUNT).status_code == 404
    assert httpx.put(sim.base_url + PATH, headers=ACCOUNT).status_code == 405


def test_a_connection_serves_many_requests(sim):
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=LONGEST)
    for _ in range(3):
        connection.request("POST", PATH + "?project_id=1", b'{"page_size": 2}', ACCOUNT)
        assert len(json.loads(connection.getresponse().read())["results"]) == 2
    connection.close()


@pytest.mark.parametrize(
    ("switches", "first", "second"),
    [
        ({"total": "every_page"}, 50, 50),
        ({"total": "never"}, None, None),
        ({"total": "unless_page_sent"}, None, None),
        ({"total": "drifting"}, 50, 51),
    ],
)
def test_total_follows_its_switch(switches, first, second):
    with Simulator(Population(50), behaviour=Behaviour(page_size=30, **switches)) as sim:
        page0 = ask(sim, page=0).json()
        page1 = ask(sim, page=1, session_id=page0["session_id"]).json()
    assert (page0.get("total"), page1.get("total")) == (first, second)


def test_total_comes_without_a_page_parameter_even_when_it_depends_on_that():
    with Simulator(Population(50), behaviour=Behaviour(total="unless_page_sent")) as sim:
        assert ask(sim).json()["total"] == 50


def test_field_switches_change_what_pages_say():
    odd = Behaviour(page_size=20, page_size_field="page0", past_end_session_id=False, page_echo_offset=1)
    with Simulator(Population(50), behaviour=odd) as sim:
        page0 = ask(sim, page=0, page_size=25).json()
        page2 = ask(sim, page=2, session_id=page0["session_id"]).json()
    assert (page0["page"], page0["page_size"]) == (1, 25)
    assert "page_size" not in page2
    assert (page2["page"], page2["results"], page2["session_id"]) == (3, [], None)


def test_a_requested_page_size_can_be_ignored():
    with Simulator(Population(50), behaviour=Behaviour(page_size=20, ignore_page_size_request=True)) as sim:
        assert ask(sim, page=0, page_size=5).json()["page_size"] == 20


def test_gzip_can_be_switched_off():
    with Simulator(Population(50), behaviour=Behaviour(gzip=False)) as sim:
        assert "content-encoding" not in ask(sim).headers


def test_latency_grows_with_the_rows(at_most):
    slow = Behaviour(latency=Latency(base=0.05, per_row=0.01, jitter=0.1))
    with Simulator(Population(50), behaviour=slow) as sim:
        ask(sim, page=0, page_size=20)
        record = sim.requests[0]
    assert 0.2 < record.finished - record.started < at_most(0.6)
