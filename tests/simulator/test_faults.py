import gzip
import http.client
import json
import socket
import time
from urllib.request import Request, urlopen

import httpx
import pytest

from helpers import LONGEST, wait_until
from mixpanel_duckdb.simulator import Behaviour, Fault, Limits, Population, Simulator
from simulator.calling import ACCOUNT, PATH, ask, ids, people

SMALL = Behaviour(page_size=10, order="fixed")


def one_page(fault, page=1):
    """The answer to one session page that meets the fault."""
    with Simulator(Population.of(people(30)), behaviour=SMALL) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        sim.add_fault(fault)
        return ask(sim, page=page, session_id=session_id)


@pytest.mark.parametrize(
    ("status", "text"),
    [(500, "unknown error"), (401, "Unable to authenticate request"), (402, "payment is required"), (404, "Not found")],
)
def test_status_faults_speak_the_servers_envelope(status, text):
    answer = one_page(Fault("status", status=status))
    assert answer.status_code == status
    assert text in answer.json()["error"]
    assert answer.json()["request"] == "/api/query/engage?project_id=1"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_faults_are_html_and_may_say_when_to_return(status):
    answer = one_page(Fault("status", status=status, retry_after=2))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")
    assert answer.headers["Retry-After"] == "2"


def test_status_faults_carry_any_text():
    assert one_page(Fault("status", status=400, text="no such thing")).json()["error"] == "no such thing"


def test_answers_that_only_look_well():
    assert one_page(Fault("html_200")).text.startswith("<html>")
    assert one_page(Fault("error_key_200")).json() == {"error": "unknown error"}
    garbage = one_page(Fault("garbage_200"))
    assert garbage.status_code == 200
    assert garbage.text.startswith('{"page": 1, "page_size": 10, "results": [{"$distinct_id": "p10"')
    with pytest.raises(json.JSONDecodeError):
        garbage.json()


def test_a_gateway_may_show_the_request_to_whoever_asks():
    answer = one_page(Fault("echo", status=502))
    assert answer.status_code == 502
    assert "authorization" in answer.json()["error"]


def test_garbage_may_be_any_text_at_any_place():
    assert one_page(Fault("garbage_200", text="\x07", after=0.0)).text.startswith('\x07{"page": 1')
    assert one_page(Fault("garbage_200", text="\x07", after=1.0)).text.endswith("}\x07")


def test_a_body_may_be_several_gzip_members():
    with Simulator(Population(900), faults=[Fault("gzip_members", after=0.7)]) as sim:
        request = Request(sim.base_url + PATH + "?project_id=1", headers={**ACCOUNT, "Accept-Encoding": "gzip"})
        with urlopen(request) as answer:
            body = answer.read()
    assert body.count(b"\x1f\x8b\x08") >= 2
    assert len(json.loads(gzip.decompress(body))["results"]) == 900


def test_redirects_point_elsewhere():
    answer = one_page(Fault("redirect", location="http://127.0.0.1:9/x"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/x")


def test_a_lost_session_is_gone_for_later_requests_too():
    with Simulator(Population(30), behaviour=SMALL, faults=[Fault("lost_session", page=1)]) as sim:
        session_id = ask(sim, page=0).json()["session_id"]
        answers = [ask(sim, page=page, session_id=session_id) for page in (1, 1, 2)]
    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert answers[0].json()["error"] == "request for page in uncached query for params"


def test_page_faults_change_the_page_and_nothing_else():
    assert one_page(Fault("empty_page")).json()["results"] == []
    assert len(one_page(Fault("short_page")).json()["results"]) == 5
    assert len(one_page(Fault("short_page", rows=9)).json()["results"]) == 9
    assert one_page(Fault("wrong_page", of_page=7)).json()["page"] == 7
    mixed = ids(one_page(Fault("duplicates", of_page=0, rows=2)).json()["results"])
    assert mixed == ["p0", "p1", *(f"p{i}" for i in range(12, 20))]


def test_total_faults_concern_page_zero():
    faults = [Fault("missing_total"), Fault("wrong_total", attempts=2, total=99)]
    with Simulator(Population(30), faults=faults) as sim:
        assert "total" not in ask(sim, page=0).json()
        assert ask(sim, page=0).json()["total"] == 99


@pytest.mark.parametrize("after", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["reset", "cut", "cut_chunked"])
def test_connections_that_break_are_transport_errors(kind, after):
    with pytest.raises(httpx.TransportError):
        one_page(Fault(kind, after=after))


def test_a_reset_is_an_rst_and_not_a_polite_close():
    with Simulator(Population(3), faults=[Fault("reset", after=0.0)]) as sim:
        connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=LONGEST)
        connection.request("GET", PATH + "?project_id=1", headers=ACCOUNT)
        with pytest.raises(ConnectionResetError):
            connection.getresponse()
        connection.close()


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body_leaves_its_connection_in_order(status):
    request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n"
    with (
        Simulator(Population(3), auth="any", faults=[Fault("status", status=status)]) as sim,
        socket.create_connection(("127.0.0.1", sim.port), timeout=LONGEST) as client,
        client.makefile("rb") as came,
    ):
        client.sendall(f"{request}\r\n{request}Connection: close\r\n\r\n".encode())
        first, second, *_ = came.read().split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert second.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("gzip", [True, False])
def test_spoilt_gzip_is_a_decoding_error(gzip):
    with (
        Simulator(Population(900), behaviour=Behaviour(gzip=gzip), faults=[Fault("bad_gzip", after=0.3)]) as sim,
        pytest.raises(httpx.DecodingError),
    ):
        ask(sim)  # fmt: skip


def test_truncated_gzip_has_an_honest_length_but_no_end():
    with Simulator(Population(900), faults=[Fault("cut_gzip")]) as sim:
        answer = ask(sim)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_slow_bodies_and_delays_take_their_time(at_most):
    for kind in ("slow", "delay"):
        started = time.monotonic()
        answer = one_page(Fault(kind, seconds=0.4))
        assert len(answer.json()["results"]) == 10
        assert 0.35 < time.monotonic() - started < at_most(2)


def test_a_hanging_request_is_counted_and_holds_its_place_until_the_client_goes():
    limits = Limits(quota=2, concurrency=1)
    with Simulator(Population(3), limits=limits, faults=[Fault("hang")]) as sim:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(sim.base_url + PATH, params={"project_id": 1}, headers=ACCOUNT, timeout=0.2)
        wait_until(lambda: sim.requests and sim.requests[0].finished)
        assert [ask(sim).status_code for _ in range(2)] == [200, 429]


def test_attempts_decide_when_a_fault_is_over():
    for attempts, expected in ((2, [500, 500, 200, 200]), (range(2, 4), [200, 500, 500, 200]), (None, [500] * 4)):
        with Simulator(Population(3), faults=[Fault("status", page=0, attempts=attempts)]) as sim:
            assert [ask(sim).status_code for _ in range(4)] == expected


def test_times_limits_a_fault_over_all_sessions():
    with Simulator(Population(30), behaviour=SMALL, faults=[Fault("status", page=1, times=1)]) as sim:
        statuses = []
        for _ in range(2):
            session_id = ask(sim, page=0).json()["session_id"]
            statuses.append(ask(sim, page=1, session_id=session_id).status_code)
    assert statuses == [500, 200]


def test_the_first_matching_fault_is_played_and_recorded():
    faults = (fault for fault in (Fault("status", page={2, 3}), Fault("html_200", page=0), Fault("status")))
    with Simulator(Population(3), faults=faults) as sim:
        assert ask(sim).status_code == 200
        assert sim.requests[0].fault == "html_200"
        sim.clear_faults()
        assert ask(sim).json()["total"] == 3


def test_a_seed_repeats_its_schedule_of_trouble():
    plans = [list(Fault.schedule(["reset", "status"], pages=200, rate=0.3, seed=5)) for _ in range(2)]
    assert plans[0] == plans[1]
    assert 30 < len(plans[0]) < 90


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(ValueError, match="unknown fault 'flood'"):
        Fault("flood")
