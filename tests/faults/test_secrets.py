"""G10: secrets are in no repr, log, error, journal, database file or URL, and never leave in the clear."""

import base64
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import PAGE, QUICK, fetch
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

SECRET = "s3cr3t-of-the-account"
TOKEN = "t0k3n-of-the-bearer"
BASIC = base64.b64encode(f"simulator:{SECRET}".encode()).decode()
HIDDEN = (SECRET, TOKEN, BASIC)
ACCOUNT = md.Credentials(username="simulator", secret=SECRET, project_id="1")
BEARER = md.Credentials(token=TOKEN, project_id="1")
FREE = Limits(quota=None)


def assert_hidden(text: str) -> None:
    assert not [secret for secret in HIDDEN if secret in text]


def assert_error_is_clean(error: BaseException | None) -> None:
    """The text, arguments and attributes of an error and of all that it follows from."""
    while error is not None:
        assert_hidden(f"{error} {error!r} {error.args!r} {vars(error)!r}")
        if isinstance(error, md.MixpanelError):
            assert_hidden(str(error.to_dict()))
        error = error.__cause__ or error.__context__


@contextmanager
def echo(head: str, *, sends_body: bool = True) -> Iterator[str]:
    """A gateway that answers each request with the request itself."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(1)
                request = connection.recv(65536)
                body = b"<html>" + request + b"</html>" if sends_body else b""
                connection.sendall(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("credentials", [ACCOUNT, BEARER], ids=["account", "token"])
def test_a_whole_run_with_trouble_shows_no_secret_anywhere(
    credentials: md.Credentials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = tmp_path / "profiles.duckdb"
    faults = [
        Fault("status", page=2, status=502),
        Fault("shedding", page=3, retry_after=0.05),
        Fault("lost_session", page=4, times=1),
        Fault("status", page=5, attempts=None, status=500),
    ]
    people = Population(PAGE * 8, seed=1)
    with Simulator(people, limits=FREE, faults=faults, secret=SECRET, token=TOKEN) as sim:
        with (
            md.MixpanelClient(credentials, base_url=sim.base_url, retry=QUICK) as client,
            md.ProfileStore(database) as store,
        ):
            result = md.ParallelProfileFetcher(client, store).fetch_profiles(page_size=PAGE)
            assert_hidden(
                f"{client!r} {store!r} {credentials!r} {credentials} {result!r} {result.to_dict()} {vars(client)}"
            )
            assert_hidden(str(store.fetches()))
        assert result.failed_page_indices == (5,)
        for record in sim.requests:
            assert_hidden(f"{record.target} {record.params}")
    assert_hidden(caplog.text + str([vars(record) for record in caplog.records]))
    with duckdb.connect(str(database)) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            assert_hidden(str(connection.execute(f'SELECT * FROM "{table}"').fetchall()))
    for file in tmp_path.iterdir():
        assert_hidden(file.read_bytes().decode("latin-1"))


@pytest.mark.parametrize(
    "head", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "429 Too Many", "502 Bad", "200 OK"]
)
@pytest.mark.parametrize("credentials", [ACCOUNT, BEARER], ids=["account", "token"])
def test_a_gateway_that_echoes_the_request_leaks_nothing(
    head: str, credentials: md.Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mixpanel_duckdb")
    with (
        echo(head) as url,
        md.MixpanelClient(credentials, base_url=url, retry=QUICK) as client,
        pytest.raises(md.MixpanelError) as caught,
    ):
        md.fetch_profiles(":memory:", client=client, rate_limit_wait=0)
    if not head.startswith("429"):
        assert caught.value.server_text
        assert "[secret]" in caught.value.server_text
    assert_error_is_clean(caught.value)
    assert_hidden(caplog.text)


def test_an_error_of_the_connection_holds_no_request_with_its_headers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        md.MixpanelClient(ACCOUNT, base_url=f"http://127.0.0.1:{port}", retry=QUICK) as client,
        pytest.raises(md.ConnectionFailedError) as caught,
    ):
        client.query_engage_page(0)
    error: BaseException | None = caught.value
    while error is not None:
        request: Any = getattr(error, "_request", None)
        assert request is None or "authorization" not in request.headers
        error = error.__cause__ or error.__context__


def test_plain_http_to_another_host_is_refused_before_any_request() -> None:
    with pytest.raises(md.ConfigurationError, match="not https"):
        md.MixpanelClient(ACCOUNT, base_url="http://mixpanel.example")
    md.MixpanelClient(ACCOUNT, base_url="http://mixpanel.example", allow_http=True).close()
    with pytest.raises(md.ConfigurationError, match="user name or password"):
        md.MixpanelClient(ACCOUNT, base_url=f"https://simulator:{SECRET}@mixpanel.example")


def test_wrong_credentials_are_refused_without_being_shown(database: str) -> None:
    with Simulator(Population(3), secret="another", token="another") as sim:
        for credentials in (ACCOUNT, BEARER):
            with (
                md.MixpanelClient(credentials, base_url=sim.base_url) as client,
                pytest.raises(md.CredentialsError) as caught,
            ):
                md.fetch_profiles(database, client=client)
            assert_error_is_clean(caught.value)
        assert len(sim.requests) == 2
        assert fetch(sim, database).is_complete
