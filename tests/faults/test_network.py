"""What stands between us and the server: a proxy, a private certificate authority, TLS that stalls."""

import base64
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, served, stored, threads_named, wait_until
from mixpanel_duckdb.cli import main
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
            thread.join(LONGEST)

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
        check=True, capture_output=True, timeout=LONGEST,
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


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, relayed(sim) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        # The simulator takes the absolute target that a proxy is asked for, so the relay need not read it.
        assert run(sim, database, "http://192.0.2.1:9", allow_http=True).is_complete
        assert proxy.connections >= 1
    assert stored(database) == served(PEOPLE)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_sees_what_is_sent_in_the_clear_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, database: str, host: str
) -> None:
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, relayed(sim) as proxy:
        for name in ("HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert run(sim, database, sim.base_url.replace("127.0.0.1", host)).is_complete
        assert proxy.connections == 0


UNUSABLE = [
    ("HTTP_PROXY", "foo://x"),
    ("HTTPS_PROXY", "socks4://127.0.0.1:1"),
    ("https_proxy", "http://"),
    ("all_proxy", "http://127.0.0.1:99999"),
    ("HTTP_PROXY", "http://[::1"),
    ("ALL_PROXY", "http://127.0.0.1:port"),
    ("HTTP_PROXY", "http://me:pass\udcffword@127.0.0.1"),
    ("HTTP_PROXY", "http://127.0.0.1\n"),
    ("SSL_CERT_FILE", "nowhere.pem"),
    ("SSL_CERT_FILE", "."),
    ("SSL_CERT_FILE", "notes.txt"),
    ("SSL_CERT_FILE", "\udcff.pem"),
    ("SSL_CERT_DIR", "nowhere"),
    ("SSL_CERT_DIR", "notes.txt"),
    ("SSLKEYLOGFILE", "nowhere/keys.log"),
    ("MP_USERNAME", "m\udce9"),
    ("MP_SECRET", "p\udce9ssword"),
    ("MP_OAUTH_TOKEN", "t\udce9ken"),
    ("MP_PROJECT_ID", "4\udcff2"),
    ("MP_REGION", "e\udcffu"),
    ("MP_WORKSPACE_ID", "\udcff7"),
    ("MP_API_BASE_URL", "https://mixp\udce9nel.com"),
    ("MP_API_BASE_URL", "https://mixpanel.com\x1b"),
    ("MP_API_BASE_URL", "https://mixpanel .com"),
]


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_a_variable_that_cannot_be_used_is_named_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no certificate")
    with Simulator(PEOPLE) as sim:
        variables = sim.environment() | {name: value}
        if name == "MP_OAUTH_TOKEN":
            del variables["MP_USERNAME"], variables["MP_SECRET"]
        done = CliRunner(env=variables).invoke(main, ["profiles", "--json"])
        assert sim.requests == []
    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["message"].count("\n")) == (3, 0)
    assert name in error["message"]
    assert "Traceback" not in done.output
    assert "password" not in done.output
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]


@pytest.mark.usefixtures("no_proxies")
def test_a_socks_proxy_without_its_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setattr("mixpanel_duckdb.http.environment.installed", lambda _: False)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    for no_proxy in ("", "mixpanel.com", "*"):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        with pytest.raises(md.ConfigurationError, match=r'ALL_PROXY .*pip install "httpx\[socks\]"'):
            md.MixpanelClient(md.Credentials(token="t0ken", project_id="1"))


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    "no_proxy",
    ["localhost,fd00::/8", "[fd00::1]", "::1/128", "[::1", "10.0.0.0/8,,*.x", "http://[", "a b:c:d", "\udcff"],
)
def test_no_proxy_of_any_form_stops_no_run(monkeypatch: pytest.MonkeyPatch, database: str, no_proxy: str) -> None:
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, relayed(sim) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert run(sim, database, "http://192.0.2.1:9", allow_http=True).is_complete
        assert proxy.connections >= 1


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("host", ["a" * 70 + ".com", "..", "a..b", "xn--a"])
def test_a_host_whose_name_cannot_be_looked_up_is_a_matter_of_configuration(host: str) -> None:
    who = md.Credentials(token="t0ken", project_id="1")
    with (
        md.MixpanelClient(who, base_url=f"https://{host}", retry=md.RetryPolicy(attempts=1)) as client,
        pytest.raises(md.ConfigurationError, match="base URL"),
    ):
        client.query_engage_page(0)


@pytest.mark.usefixtures("no_proxies")
def test_the_password_of_a_proxy_is_a_secret_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:s3cr3t%2Fof-the-proxy@127.0.0.1:9")
    with md.MixpanelClient(md.Credentials(token="t0ken", project_id="1"), base_url="http://192.0.2.1", allow_http=True):
        pair = base64.b64encode(b"me:s3cr3t/of-the-proxy").decode()
        assert str(md.MixpanelError(f"407: s3cr3t/of-the-proxy {pair}")) == "407: [secret] [secret]"


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


def test_reads_that_stall_behind_tls_are_cut_by_a_stop(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, database: str, at_most: Callable[[float], float]
) -> None:
    class Stop(SilentObserver):
        asked = 0.0

        def ticked(self) -> None:
            if sum(record.fault == "hang" for record in sim.requests) == 5:
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
        wait_until(lambda: not threads_named("mp-fetch"))
        assert time.monotonic() - stop.asked < at_most(1.0)
