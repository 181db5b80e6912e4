"""Whose requests a connection carries: a run cuts its own, and whoever else uses an HTTP client notices nothing."""

import gc
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, threads_named, wait_until
from mixpanel_duckdb.http.connections import Connections
from mixpanel_duckdb.http.stop import Stop
from mixpanel_duckdb.simulator import EventPopulation, Fault, Limits, Population, RawExport, Simulator

PEOPLE = Population(PAGE * 6, seed=1)
FREE = Limits(quota=None, concurrency=None)


class Stream:
    """As httpx shows a connection."""

    def __init__(self) -> None:
        self.socket, self._other_end = socket.socketpair()

    def get_extra_info(self, _: str) -> socket.socket:
        return self.socket

    def write(self, data: bytes) -> None:
        self.socket.send(data)

    @property
    def is_cut(self) -> bool:
        self._other_end.setblocking(False)
        try:
            while self._other_end.recv(100):
                pass
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()
        self._other_end.close()


@contextmanager
def made(connections: Connections, sender: object, run: Stop) -> Iterator[Stream]:
    stream = Stream()
    with connections.used_by(sender, run):
        connections.know(stream)
    yield stream
    stream.close()


@pytest.fixture
def sim() -> Iterator[Simulator]:
    events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 10))
    with Simulator(PEOPLE, limits=FREE, events=events) as simulator:
        yield simulator


def fetched(client: md.MixpanelClient, **options: Any) -> bool:
    return md.fetch_profiles(":memory:", client=client, page_size=PAGE, progress=None, **options).is_complete


def test_a_callers_http_client_goes_on_serving_the_caller_and_others(sim: Simulator) -> None:
    statuses: list[int] = []

    def own() -> None:
        statuses.append(http.get(sim.base_url, auth=("simulator", "simulated-secret")).status_code)

    with httpx.Client() as http:
        one, two = client_of(sim, http_client=http), client_of(sim, http_client=http)
        assert fetched(one)
        threads = [threading.Thread(target=own) for _ in range(6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(LONGEST)
        own()
        assert len(statuses) == 7
        assert fetched(two)
        assert md.fetch_events(":memory:", "2026-01-01", "2026-01-02", client=one, progress=None).is_complete


def test_a_run_cuts_its_reads_also_on_connections_that_another_client_made(sim: Simulator) -> None:
    class Leaving(md.SilentObserver):
        def ticked(self) -> None:
            if sum(record.fault == "hang" for record in sim.requests) == 5:
                raise KeyboardInterrupt

    with httpx.Client(timeout=2 * LONGEST) as http:
        assert fetched(client_of(sim, http_client=http))
        sim.add_fault(Fault("hang", page=range(1, 6), attempts=None))
        with pytest.raises(KeyboardInterrupt):
            fetched(client_of(sim, http_client=http), observer=Leaving())
        wait_until(lambda: not threads_named("mp-fetch-page"))


def test_a_connection_is_whose_who_wrote_to_it_last() -> None:
    connections, mine, other = Connections(), Stop(), Stop()
    with made(connections, "a", mine) as one, made(connections, "a", other) as two, made(connections, "b", mine) as far:
        with connections.used_by("a", mine):
            two.write(b"again")
        one.write(b"somebody's, who is none of ours")
        connections.cut("a", other)
        assert (one.is_cut, two.is_cut, far.is_cut) == (False, False, False)
        connections.cut("a", mine)
        assert (one.is_cut, two.is_cut, far.is_cut) == (False, True, False)
        connections.cut("b")
        assert far.is_cut


def test_what_an_abandoned_request_leaves_on_another_thread_is_not_taken_for_its_own() -> None:
    connections, mine, other = Connections(), Stop(), Stop()
    abandoned = connections.used_by("a", mine)
    thread = threading.Thread(target=abandoned.__enter__)
    thread.start()
    thread.join(LONGEST)
    with made(connections, "a", other) as stream, connections.used_by("a", other):
        abandoned.__exit__(None, None, None)
        stream.write(b"mine still")
        connections.cut("a", other)
        assert stream.is_cut


def test_reads_are_cut_while_other_threads_make_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    connections, stop, made_so_far = Connections(), Stop(), threading.Event()

    class Busy(weakref.WeakKeyDictionary):  # type: ignore[type-arg]
        def items(self) -> Iterator[Any]:  # type: ignore[override]
            for each in super().items():
                yield each
                connect()

        def keyrefs(self) -> list[Any]:
            found = super().keyrefs()
            connect()
            return found

    def connect() -> None:
        stream = Stream()
        streams.append(stream)
        thread = threading.Thread(target=connections.know, args=(stream,))
        thread.start()
        thread.join(LONGEST)
        made_so_far.set()

    streams: list[Stream] = []
    monkeypatch.setattr(connections, "_carried", Busy())
    with made(connections, "a", stop) as one, made(connections, "a", stop) as two:
        connections.cut("a", stop)
        assert made_so_far.is_set()
        assert (one.is_cut, two.is_cut) == (True, True)
    for each in streams:
        each.close()


def test_a_client_that_nobody_holds_any_more_is_not_kept_for_its_connections(sim: Simulator) -> None:
    http = httpx.Client()
    client = client_of(sim, http_client=http)
    assert client.query_engage_page(0)["total"] == len(PEOPLE)
    gone = weakref.ref(client._transport)
    del client
    gc.collect()
    assert gone() is None
    http.close()
