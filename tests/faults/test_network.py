"""What stands between us and the server: a proxy, a private certificate authority, TLS that stalls."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import mixpanel_duckdb as md
from helpers import PAGE, served, stored
from mixpanel_duckdb.results.progress import SilentObserver
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 8 - 3, seed=3)
NAMES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


class Relay:
    """Passes bytes on to a simulator: as an HTTP proxy, or behind TLS; counts its connections."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = port, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                if self._tls:
                    client = self._tls.wrap_socket(client, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                thread = threading.Thread(target=self._pump, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@contextmanager
def relayed(sim: Simulator, tls: ssl.SSLContext | None = None) -> Iterator[Relay]:
    relay = Relay(urlsplit(sim.base_url).port or 0, tls)
    try:
        yield relay
    finally:
        relay.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key for 127.0.0.1, signed by nobody but itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test")
    path = tmp_path / "private.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", tmp_path / "public.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "public.pem").read_bytes())
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def run(sim: Simulator, database: str, base_url: str, **options: object) -> md.ParallelProfileFetchResult:
    who = md.Credentials.from_env(sim.environment())
    return md.fetch_profiles(database, credentials=who, base_url=base_url, page_size=PAGE, **options)  # type: ignore[arg-type]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, relayed(sim) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        # The simulator takes the absolute target that a proxy is asked for, so the relay need not read it.
        assert run(sim, database, "http://127.0.0.2:9").is_complete
        assert proxy.connections >= 1
    assert stored(database) == served(PEOPLE)


def test_a_private_authority_is_refused_in_one_sentence_and_accepted_through_the_environment(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, database: str
) -> None:
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, relayed(sim, server_side(certificate)) as tls:
        url = f"https://127.0.0.1:{tls.port}"
        with pytest.raises(md.ConfigurationError, match="SSL_CERT_FILE"):
            run(sim, database, url)
        assert sim.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("public.pem")))
        assert run(sim, database, url).is_complete
    assert stored(database) == served(PEOPLE)


def test_reads_that_stall_behind_tls_are_cut_within_a_second(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, database: str
) -> None:
    class Stop(SilentObserver):
        ticks = 0

        def ticked(self) -> None:
            self.ticks += 1
            if self.ticks == 8:
                self.asked = time.monotonic()
                raise KeyboardInterrupt

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("public.pem")))
    stall = Fault("hang", page=[1, 2, 3, 4, 5, 6, 7])
    stop = Stop()
    with (
        Simulator(PEOPLE, limits=Limits(quota=None), faults=[stall]) as sim,
        relayed(sim, server_side(certificate)) as tls,
    ):
        with pytest.raises(KeyboardInterrupt):
            run(sim, database, f"https://127.0.0.1:{tls.port}", observer=stop)
        assert time.monotonic() - stop.asked < 1.0
        assert not any(thread.name.startswith("mp-fetch") for thread in threading.enumerate())
