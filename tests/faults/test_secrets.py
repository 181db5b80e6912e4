"""G10: secrets are in no repr, log, error, journal, database file or URL, and never leave in the clear."""

import base64
import gc
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

import mixpanel_duckdb as md
from helpers import PAGE, QUICK, client_of, fetch
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator
from mixpanel_duckdb.text import Secrets
from text.forms import FORMS, layers

SECRET = "s3cr3t-of-the-account"
TOKEN = "t0k3n-of-the-bearer"
BASIC = base64.b64encode(f"simulator:{SECRET}".encode()).decode()
# What JSON, URLs and HTML write in forms of their own, and what base64 turns into a sign that they do.
ODD = 'p/s+"w\\ö>?é~?>'
ODD_BASIC = base64.b64encode(f"simulator:{ODD}".encode()).decode()
HIDDEN = (SECRET, TOKEN, BASIC, ODD, ODD_BASIC.rstrip("="))
ACCOUNT = md.Credentials(username="simulator", secret=SECRET, project_id="1")
BEARER = md.Credentials(token=TOKEN, project_id="1")
FREE = Limits(quota=None)


def assert_hidden(text: str) -> None:
    assert not [secret for secret in HIDDEN if secret in text]


def assert_hidden_in_any_form(text: str) -> None:
    """Nor may anybody get a secret back, or its first half, by undoing escapes."""
    for layer in layers(text):
        assert_hidden(layer)
        assert not [secret for secret in HIDDEN if secret[: max(12, len(secret) // 2)] in layer]


def assert_error_is_clean(error: BaseException | None) -> None:
    """The text, arguments and attributes of an error and of all that it follows from."""
    while error is not None:
        assert_hidden(f"{error} {error!r} {error.args!r} {vars(error)!r}")
        if isinstance(error, md.MixpanelError):
            assert_hidden(str(error.to_dict()))
        error = error.__cause__ or error.__context__


def as_html(request: str) -> str:
    return f"<html>{request}</html>"


@contextmanager
def echo(head: str, say: Callable[[str], str] = as_html) -> Iterator[str]:
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
                body = say(request.decode()).encode()
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


# A gateway's JSON: whether its encoder escapes more than it must, and how far the header is from the start.
BODIES: dict[str, Callable[[str], str]] = {
    "slashes": lambda text: json.dumps({"error": text}).replace("/", "\\/"),
    "signs": lambda text: re.sub("[+=&<>]", lambda sign: f"\\\\u{ord(sign[0]):04X}", json.dumps({"error": text})),
    "json in json": lambda text: json.dumps({"error": json.dumps({"request": text}).replace("/", "\\/")}),
    "not json": lambda text: "<pre>" + FORMS["json, slashes escaped"](text).replace("+", "\\u002b"),
    "half of it": lambda text: "<pre>" + text[: text.lower().index("basic ") + 6 + len(ODD_BASIC) * 2 // 3],
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("far", [0, 240, 280])
@pytest.mark.parametrize("head", ["400 Bad", "502 Bad", "200 OK"])
def test_a_gateway_that_escapes_what_it_echoes_leaks_nothing(head: str, far: int, body: str) -> None:
    odd = md.Credentials(username="simulator", secret=ODD, project_id="1")

    def say(request: str) -> str:
        header = re.findall("(?i)authorization: .*", request)[0].strip()
        return BODIES[body]("." * far + header + f" is {ODD}" * (body != "half of it"))

    with (
        echo(head, say) as url,
        md.MixpanelClient(odd, base_url=url, retry=md.RetryPolicy(attempts=1)) as client,
        pytest.raises(md.MixpanelError) as caught,
    ):
        client.query_engage_page(0)
    assert caught.value.server_text
    assert_hidden_in_any_form(f"{caught.value} {caught.value.to_dict()}")
    assert_error_is_clean(caught.value)


def everything_told(result: md.ParallelProfileFetchResult, database: Path) -> str:
    """What a result tells in all its ways, and the file's own bytes."""
    told = [repr(result), str(result.to_dict()), result._repr_html_(), result.timeline().svg, result.summary()]
    told += map(str, md.list_fetches(database))
    with md.ProfileStore(database) as store:
        told += [repr(store), store._repr_html_()]
    with duckdb.connect(str(database)) as connection:
        for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            told += [str(connection.execute(f'SELECT * FROM "{table}"').fetchall())]
    return "\n".join([*told, *(file.read_bytes().decode("latin-1") for file in database.parent.iterdir())])


SENT = ["json, slashes escaped", "json, signs escaped", "json in json", "json, all escaped in capitals", "url", "html"]


@pytest.mark.parametrize("form", SENT)
def test_pages_that_fail_with_the_secret_in_their_error_tell_it_nowhere(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mixpanel_duckdb")
    database, text = tmp_path / "profiles.duckdb", f"Basic {FORMS[form](ODD_BASIC)} {FORMS[form](ODD)}"
    faults = [
        Fault("status", page=2, status=502, text=text),
        Fault("status", page=3, attempts=None, status=500, text=text),
        Fault("error_key_200", page=4, attempts=None, text=text),
        Fault("lost_session", page=5, times=1),
    ]
    heard: list[md.ProfileBatchProgress] = []
    with (
        Simulator(Population(PAGE * 7, seed=1), limits=FREE, faults=faults, secret=ODD) as sim,
        client_of(sim) as client,
    ):
        result = md.fetch_profiles(
            database, client=client, page_size=PAGE, progress=False, on_batch_complete=heard.append
        )
    assert [index for index, _ in result.errors] == [3, 4]
    assert all("[secret] [secret]" in error for _, error in result.errors)
    assert_hidden_in_any_form(f"{everything_told(result, database)} {heard} {caplog.text}")


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 3), (404, 1), (500, 4), (502, 4)])
def test_the_command_tells_no_secret_in_any_way(
    status: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixpanel_duckdb.engage.client.RetryPolicy", lambda: QUICK)
    database, text = tmp_path / "profiles.duckdb", " ".join(FORMS[form](ODD) for form in SENT)
    fault = Fault("status", page=1, attempts=None, status=status, text=f"{text} {ODD_BASIC}")
    with Simulator(Population(PAGE * 3, seed=1), limits=FREE, faults=[fault], secret=ODD) as sim:
        file = ["-d", str(database), "--page-size", str(PAGE)]
        ways = [["--no-resume"], ["--json"], ["-v", "--no-resume", "--timeline", str(tmp_path / "run.svg")]]
        runs = [command(sim.environment(), "profiles", *file, *way) for way in ways]
    assert [run.exit_code for run in runs] == [code] * 3
    assert "error" in str(json.loads(runs[1].stdout))
    runs += [command({}, "status", "-d", str(database), *way) for way in ([], ["--json"])]
    runs += [command({}, "status", "-d", str(database), "--timeline", str(tmp_path / "again.svg"))]
    assert "[secret]" in runs[0].output
    assert_hidden_in_any_form("\n".join(run.stdout + run.stderr for run in runs))
    for file_ in tmp_path.iterdir():
        assert_hidden_in_any_form(file_.read_bytes().decode("latin-1"))


def command(environment: dict[str, str], *words: str) -> Result:
    names = ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_API_BASE_URL")
    return CliRunner(env={**dict.fromkeys(names), **environment}).invoke(main, words)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Words of everyday use would be hidden from later tests, too, until what holds them is collected."""
    yield
    gc.collect()
    assert not Secrets.known() & {"table", "complete", "people"}


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    "secret", ["null", "true", "false", "1", '"', '": "', "[]", "e", "table", "complete", "people"]
)
def test_json_is_json_whatever_the_secret(secret: str, tmp_path: Path) -> None:
    database = str(tmp_path / "profiles.duckdb")
    with Simulator(Population(5, seed=1), limits=FREE, secret=secret) as sim:
        done = command(sim.environment(), "profiles", "people", "-d", database, "--json", "-q")
        again = command(sim.environment(), "profiles", "people", "-d", database, "--json", "-q")
    listed = command(sim.environment(), "status", "-d", database, "--json")
    told = json.loads(done.stdout)
    assert (told["is_complete"], told["total_rows"], told["staging_table"], told["failed_pages"]) == (True, 5, None, 0)
    assert told["table"] == ("[secret]" if secret == "people" else "people")
    assert json.loads(again.stdout)["error"]["status"] is None
    assert json.loads(listed.stdout)["fetches"][0]["note"] is None
    if len(secret) < 4:
        assert "[secret]" not in done.output + again.output + listed.output


def test_an_error_of_a_callers_own_client_shows_no_secret_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Mine:
        def query_engage_page(self, page: int, **_: object) -> dict[str, Any]:
            if page:
                raise RuntimeError(f"POST with secret={FORMS['url'](ODD)} and {ODD_BASIC} failed")
            return {"page": 0, "page_size": 1, "results": [{"$distinct_id": "a"}], "session_id": "s", "total": 2}

    monkeypatch.setenv("MP_USERNAME", "simulator")
    monkeypatch.setenv("MP_SECRET", ODD)
    result = md.fetch_profiles(tmp_path / "profiles.duckdb", client=Mine(), progress=False)
    assert "[secret]" in result.errors[0][1]
    assert_hidden_in_any_form(everything_told(result, tmp_path / "profiles.duckdb"))


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
