import contextlib
import doctest
import gc
import importlib
import pkgutil
import socket
import threading
import time

import httpx
import pytest

import mixpanel_duckdb.simulator as room
from helpers import LONGEST, wait_until
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator
from simulator.calling import ask


@contextlib.contextmanager
def caller(sim):
    """A request in a thread of its own, whatever becomes of it."""

    def call():
        with contextlib.suppress(httpx.HTTPError):
            ask(sim)

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: sim.requests)
    yield
    thread.join(LONGEST)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("behaviour", "faults"),
    [
        (Behaviour(latency=600), []),
        (Behaviour(), [Fault("hang")]),
        (Behaviour(), [Fault("slow", seconds=600)]),
        (Behaviour(), [Fault("delay", seconds=600)]),
    ],
)
def test_stop_cuts_every_wait(behaviour, faults, at_most):
    before = set(threading.enumerate())
    sim = Simulator(Population(50), behaviour=behaviour, faults=faults).start()
    with caller(sim):
        started = time.monotonic()
        sim.stop()
        assert time.monotonic() - started < at_most(1)
    assert set(threading.enumerate()) == before


def test_stop_does_not_wait_for_a_client_that_does_not_read(at_most):
    with Simulator(Population.uniform(60_000), behaviour=Behaviour(gzip=False, page_size=50_000), auth="any") as sim:
        client = socket.create_connection(("127.0.0.1", sim.port))
        client.sendall(b"GET /api/query/engage HTTP/1.1\r\nHost: x\r\n\r\n")
        client.recv(10)
        started = time.monotonic()
        sim.stop()
        assert time.monotonic() - started < at_most(1)
        client.close()


def test_idle_keep_alive_connections_do_not_delay_stop(at_most):
    with httpx.Client() as client:
        sim = Simulator(Population(3), auth="any").start()
        client.get(sim.base_url + "/api/query/engage")
        started = time.monotonic()
        sim.stop()
        assert time.monotonic() - started < at_most(1)


def test_stop_leaves_no_listener_and_start_takes_the_same_port():
    sim = Simulator(Population(3))
    with sim:
        port, session_id = sim.port, ask(sim).json()["session_id"]
    with pytest.raises(httpx.ConnectError):
        ask(sim)
    with sim.start():
        assert sim.port == port
        assert ask(sim, page=0, session_id=session_id).status_code == 200
    sim.stop()
    gc.collect()


def test_nonsense_on_the_wire_ends_that_connection_only():
    with Simulator(Population(3)) as sim:
        for nonsense in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"GET / HTTP/1.1\r\n"):
            with socket.create_connection(("127.0.0.1", sim.port), timeout=LONGEST) as client:
                client.sendall(nonsense)
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b""
        assert ask(sim).status_code == 200


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(room.__path__)])
def test_examples_in_the_docs_are_true(name):
    module = importlib.import_module(f"{room.__name__}.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_example_of_the_room_is_true():
    assert doctest.testmod(room).failed == 0
