"""Accounts of mixpanel-headless, played by objects with its public names: who signs, who waits, what stays hidden.

The SDK itself is asked in tests/clients/test_headless_accounts.py, in an environment of its own.
"""

import base64
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import duckdb
import httpx
import pytest

import mixpanel_duckdb as md
from helpers import QUICK
from mixpanel_duckdb.accounts.headless import signer_for
from mixpanel_duckdb.accounts.headless_accounts import open_session
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

TOKEN = "t0k3n-of-the-account"
STALE = "st4le-t0k3n-of-the-account"
PRIVATE = "v4lue-of-the-custom-header"
VARIABLES = ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_REGION", "MP_WORKSPACE_ID")


class SdkError(Exception):
    """An error as the SDK raises them: a text, and details that may quote a server."""

    def __init__(self, text, **details):
        super().__init__(text)
        self.details = details


class Resolver:
    """Stands for ``OnDiskTokenResolver``."""


class Session:
    """Signs with the tokens of a list, one a call, the last one for ever."""

    project_id = "1"
    region = "us"
    workspace_id = None

    def __init__(self, *tokens, headers=None, **axes):
        self.tokens = list(tokens or [TOKEN])
        self.headers = headers or {}
        self.asked = 0
        vars(self).update(axes)

    def auth_header(self, *, token_resolver):
        assert isinstance(token_resolver, Resolver)
        self.asked += 1
        return f"Bearer {self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]}"


class SdkAccount:
    """What a workspace names ``account``: it signs, but for no project."""

    def auth_header(self, *, token_resolver):
        raise AssertionError


class Workspace:
    session = Session()

    def __init__(self, *, account=None, project=None, target=None):
        if account == "nobody":
            raise SdkError("Account 'nobody' not found.")
        if project == "none":
            raise SdkError("No project configured.\n\nFix one of the following:\n  - Set MP_PROJECT_ID\n  - Use it.\n")
        self.session = Session(project_id=project or "7")
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.closed = True


@pytest.fixture(autouse=True)
def sdk(monkeypatch):
    """A module of the SDK's name, with the two names that are imported from it."""
    package, types = ModuleType("mixpanel_headless"), ModuleType("mixpanel_headless.auth_types")
    package.Workspace, types.OnDiskTokenResolver = Workspace, Resolver
    monkeypatch.setitem(sys.modules, "mixpanel_headless", package)
    monkeypatch.setitem(sys.modules, "mixpanel_headless.auth_types", types)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return package


@pytest.fixture
def sim():
    with Simulator(Population(300, seed=4), behaviour=Behaviour(page_size=50), token=TOKEN) as running:
        yield running


def client_of(sim, session, **options):
    return md.MixpanelClient(session, base_url=sim.base_url, retry=QUICK, **options)


def statuses(sim):
    return [record.status for record in sim.requests]


def assert_hidden(text):
    assert not [secret for secret in (TOKEN, STALE, PRIVATE) if secret in text], text


def assert_clean(error):
    while error is not None:
        assert_hidden(f"{error} {error!r} {vars(error)!r}")
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("wrap", [lambda session: session, lambda session: type("W", (), {"session": session})()])
def test_a_session_and_whatever_holds_one_go_where_credentials_go(sim, wrap):
    session = Session(workspace_id=12, headers={"X-Team": "growth"})
    result = md.fetch_profiles(":memory:", credentials=wrap(session), base_url=sim.base_url)
    estimate = md.plan_fetch(credentials=wrap(session), base_url=sim.base_url)
    assert (result.total_rows, estimate.expected_rows) == (300, 300)
    for record in sim.requests:
        assert (record.params["project_id"], record.params["workspace_id"]) == ("1", "12")
        assert record.headers["x-team"] == "growth"
        assert record.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(("region", "host"), [("us", "mixpanel.com"), ("eu", "eu.mixpanel.com")])
def test_the_region_of_a_session_finds_the_host(region, host, monkeypatch):
    monkeypatch.delenv("MP_API_BASE_URL", raising=False)
    with md.MixpanelClient(Session(region=region)) as client:
        assert client.base_url == f"https://{host}"
        assert client.credentials.project_id == "1"


def test_what_a_workspace_is_switched_to_later_changes_nothing(sim):
    workspace = Workspace()
    workspace.session = Session()
    with client_of(sim, workspace) as client:
        workspace.session = Session(project_id="2")
        client.query_engage_page(0)
    assert sim.requests[0].params["project_id"] == "1"


def test_a_client_takes_the_credentials_of_another(sim):
    with client_of(sim, Session()) as one, client_of(sim, one.credentials) as other:
        assert other.query_engage_page(0)["total"] == 300


def test_another_host_gets_neither_the_account_nor_the_headers_of_a_session(sim):
    with Simulator(Population(1), auth="any") as elsewhere:
        sim.add_fault(Fault("redirect", attempts=None, location=f"{elsewhere.base_url}/api/query/engage"))
        session = Session(headers={"X-Gateway": PRIVATE})
        with client_of(sim, session) as client, pytest.raises(md.RequestRejectedError, match="on the same host only"):
            client.query_engage_page(0)
        assert elsewhere.requests == []


def test_headers_of_a_session_never_replace_what_says_how_a_request_is_signed_and_sent(sim):
    headers = {"authorization": "Bearer wrong", "Content-Type": "text/plain", "user-agent": "theirs", "accept": "x/y"}
    with client_of(sim, Session(headers=headers)) as client:
        client.query_engage_page(0)
    sent = sim.requests[0].headers
    assert sent["authorization"] == f"Bearer {TOKEN}"
    assert sent["content-type"] == "application/x-www-form-urlencoded"
    assert (sent["user-agent"], sent["accept"]) == ("theirs", "application/json")


def test_after_a_401_the_header_is_asked_for_once_more(sim):
    session = Session(STALE, TOKEN)
    with client_of(sim, session) as client:
        client.query_engage_page(0)
    assert statuses(sim) == [401, 200]
    assert session.asked == 2


def test_a_second_401_stands(sim):
    session = Session(STALE)
    with client_of(sim, session) as client, pytest.raises(md.CredentialsError, match="401") as caught:
        client.query_engage_page(0)
    assert statuses(sim) == [401, 401]
    assert_clean(caught.value)


def test_ordinary_credentials_are_not_asked_twice(sim):
    who = md.Credentials(token=STALE, project_id="1")
    with client_of(sim, who) as client, pytest.raises(md.CredentialsError):
        client.query_engage_page(0)
    assert statuses(sim) == [401]


def test_a_401_in_the_middle_costs_a_run_one_request(sim):
    sim.add_fault(Fault("status", page=3, status=401, text="Unable to authenticate request"))
    result = md.fetch_profiles(":memory:", credentials=Session(), base_url=sim.base_url)
    assert result.is_complete
    assert (result.requests, result.retries) == (7, 1)


class Expiring(Session):
    """A token that has run out: whoever asks first refreshes it, which takes a while."""

    def __init__(self, failure=None):
        super().__init__()
        self.refreshes, self.inside, self.most, self.fresh, self.failure = 0, 0, 0, False, failure

    def auth_header(self, *, token_resolver):
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            if not self.fresh:
                time.sleep(0.2)
                self.refreshes += 1
                if self.failure:
                    raise self.failure
                self.fresh = True
            return super().auth_header(token_resolver=token_resolver)
        finally:
            self.inside -= 1


def all_at_once(signer, threads=5):
    barrier = threading.Barrier(threads)

    def ask(_):
        barrier.wait()
        try:
            return signer.authorization()
        except md.MixpanelError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, range(threads)))


def test_threads_that_find_a_token_run_out_make_one_refresh():
    session = Expiring()
    assert all_at_once(signer_for(session)) == [f"Bearer {TOKEN}"] * 5
    assert (session.refreshes, session.most) == (1, 1)


def test_two_clients_of_one_account_take_turns_too():
    session = Expiring()
    signers = [signer_for(session), signer_for(session)]
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda signer: signer.authorization(), signers)) == {f"Bearer {TOKEN}"}
    assert (session.refreshes, session.most) == (1, 1)


def test_a_refresh_that_fails_is_not_tried_again_by_those_who_waited_for_it():
    session = Expiring(SdkError("Refresh token has been revoked. Re-run `mp account login me`."))
    errors = all_at_once(signer_for(session))
    assert session.refreshes == 1
    assert {str(error) for error in errors} == {
        "mixpanel-headless: Refresh token has been revoked. Re-run `mp account login me`."
    }
    assert len(set(map(id, errors))) == 5
    assert all(isinstance(error, md.CredentialsError) for error in errors)


def test_a_later_request_tries_a_failed_refresh_again():
    session = Expiring(SdkError("down"))
    signer = signer_for(session)
    with pytest.raises(md.CredentialsError, match="down"):
        signer.authorization()
    session.failure = None
    assert signer.authorization() == f"Bearer {TOKEN}"


def unreachable():
    error = SdkError("Token refresh request failed: timed out")
    error.__cause__ = httpx.ConnectTimeout("timed out")
    return error


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (unreachable(), md.ConnectionFailedError),
        (SdkError("Token refresh failed with status 503: x", status_code=503), md.ConnectionFailedError),
        (SdkError("Token refresh failed with status 400: x", status_code=400), md.CredentialsError),
        (SdkError("No OAuth tokens found for account 'me'."), md.CredentialsError),
    ],
)
def test_a_refresh_is_repeated_when_its_server_was_not_reached(failure, kind):
    session = Expiring(failure)
    with pytest.raises(md.MixpanelError) as caught:
        signer_for(session).authorization()
    assert type(caught.value) is kind
    assert caught.value.retryable == (kind is md.ConnectionFailedError)


def test_what_a_server_said_to_a_refresh_is_not_quoted():
    body = f'{{"refresh_token": "{TOKEN}"}}'
    session = Expiring(SdkError(f"Token refresh failed with status 500: {body}", response_body=body))
    with pytest.raises(md.MixpanelError, match="status 500") as caught:
        signer_for(session).authorization()
    assert_clean(caught.value)


def test_no_secret_of_a_session_is_in_a_repr_an_error_a_log_or_the_database(sim, tmp_path, caplog):
    caplog.set_level("DEBUG")
    session = Session(headers={"X-Gateway": PRIVATE})
    database = tmp_path / "profiles.duckdb"
    echo = f"gateway says: Bearer {TOKEN} {PRIVATE}"
    sim.add_fault(Fault("status", page=2, attempts=None, status=400, text=echo))
    with client_of(sim, session) as client, pytest.raises(md.RequestRejectedError, match=r"\[secret\]") as caught:
        md.fetch_profiles(str(database), client=client)
    assert_clean(caught.value)
    assert_hidden(f"{client!r} {client.credentials!r} {vars(client)!r} {caplog.text}")
    for path in tmp_path.iterdir():
        assert_hidden(path.read_bytes().decode("latin-1"))


def test_the_secret_within_a_basic_header_is_hidden_too():
    pair = base64.b64encode(f"me:{TOKEN}".encode()).decode()

    class Account(Session):
        def auth_header(self, *, token_resolver):
            return f"Basic {pair}"

    fault = Fault("status", page=0, status=400, text=f"Basic {pair} {TOKEN} me")
    with (
        Simulator(Population(3), username="me", secret=TOKEN, faults=[fault]) as sim,
        client_of(sim, Account()) as client,
        pytest.raises(md.RequestRejectedError) as caught,
    ):
        client.query_engage_page(0)
    assert caught.value.server_text == "Basic [secret] [secret] me"


@pytest.mark.parametrize(
    ("account", "other", "asked"),
    [
        ("work", "work", [4]),
        ("work", "home", [0, 1, 2, 3, 4, 5]),
        (None, None, [4]),
        ("work", None, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_fetch_of_a_session_is_resumed_by_the_same_account_only(sim, database, account, other, asked):
    sim.add_fault(Fault("status", page=4, attempts=None, status=500))
    first, second = (Session(account=SimpleNamespace(name=name)) for name in (account, other))
    with client_of(sim, first) as client:
        assert not md.fetch_profiles(database, client=client).is_complete
    sim.clear_faults()
    sim.clear_requests()
    assert md.fetch_profiles(database, credentials=second, base_url=sim.base_url).is_complete
    assert sorted(record.page for record in sim.requests) == asked
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT DISTINCT project_id FROM _mixpanel_fetches").fetchall() == [("1",)]


def test_a_fetch_through_another_data_view_is_another_fetch(sim, database):
    sim.add_fault(Fault("status", page=4, attempts=None, status=500))
    with client_of(sim, Session(workspace_id=12)) as client:
        assert not md.fetch_profiles(database, client=client).is_complete
    sim.clear_faults()
    sim.clear_requests()
    result = md.fetch_profiles(database, credentials=Session(workspace_id=13), base_url=sim.base_url)
    assert result.resumed_pages == 0
    assert sorted(record.page for record in sim.requests) == [0, 1, 2, 3, 4, 5]
    assert md.list_fetches(database)[0].query == {"workspace_id": "13"}


@pytest.mark.parametrize("name", ["auth_header", "project_id", "region", "workspace_id", "headers"])
def test_an_attribute_that_is_missing_is_one_error_that_names_the_versions(name):
    kept = {each: None for each in ("project_id", "region", "workspace_id", "headers", "auth_header") if each != name}
    kept |= {"region": "us"} if name != "region" else {}
    kept |= {"headers": {}} if name != "headers" else {}
    future = type("Session", (), {**kept, "__module__": "mixpanel_headless.auth_types"})()
    with pytest.raises(md.ConfigurationError) as caught:
        md.MixpanelClient(future)
    text = str(caught.value)
    missing = "session" if name == "auth_header" else name
    assert f"there is no Session.{missing};" in text
    assert "no version of it is installed, >=0.4,<0.6 is supported" in text
    assert "\n" not in text


def test_the_installed_version_is_named(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"mixpanel-headless": "0.9.1"}.__getitem__)
    with pytest.raises(md.ConfigurationError, match=r"version 0\.9\.1 is installed, >=0\.4,<0\.6 is supported"):
        md.MixpanelClient(Session(region="jp"))


@pytest.mark.parametrize("error", [TypeError("no such keyword"), AttributeError("account")])
def test_a_header_that_is_made_in_another_way_is_the_same_error(error):
    with pytest.raises(md.ConfigurationError, match=r"auth_header.*>=0.4,<0.6 is supported"):
        signer_for(Expiring(error)).authorization()


def test_a_missing_resolver_is_the_same_error(monkeypatch):
    monkeypatch.delattr(sys.modules["mixpanel_headless.auth_types"], "OnDiskTokenResolver")
    with pytest.raises(md.ConfigurationError, match=r"auth_types.OnDiskTokenResolver; .* is supported"):
        md.MixpanelClient(Session())


@pytest.mark.parametrize("call", [lambda: md.MixpanelClient(Session()), lambda: open_session(account="me")])
def test_a_missing_sdk_is_one_error_that_names_the_extra(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "mixpanel_headless", None)
    monkeypatch.delitem(sys.modules, "mixpanel_headless.auth_types")
    with pytest.raises(md.ConfigurationError, match=r'pip install "mixpanel-duckdb\[headless\]"$'):
        call()


@pytest.mark.parametrize("thing", [5, "token", {"token": TOKEN}, object(), Session, SdkAccount()])
def test_what_cannot_sign_is_refused(thing):
    with pytest.raises(md.CredentialsError, match="cannot sign requests; give") as caught:
        md.MixpanelClient(thing)
    assert_hidden(str(caught.value))


@pytest.mark.parametrize("header", ["", "Bearer ", f"Bearer {TOKEN}\n", f"Bearer {TOKEN}é", None])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(header):
    session = Session()
    session.auth_header = lambda *, token_resolver: header
    with pytest.raises(md.CredentialsError, match="no HTTP header can carry") as caught:
        signer_for(session).authorization()
    assert_clean(caught.value)


@pytest.mark.parametrize("headers", [{"X-Gateway": f"{PRIVATE}\r\nx: y"}, {"X-Gateway": "é"}, {"X Y\n": PRIVATE}])
def test_a_custom_header_that_cannot_be_sent_is_refused_and_not_shown(headers):
    with pytest.raises(md.CredentialsError, match="custom header") as caught:
        md.MixpanelClient(Session(headers=headers))
    assert_clean(caught.value)


def test_names_are_looked_up_by_the_sdk():
    assert open_session(account="me", project="42").project_id == "42"
    assert open_session(target="prod").project_id == "7"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"account": "nobody"}, "mixpanel-headless: Account 'nobody' not found."),
        ({"project": "none"}, "mixpanel-headless: No project configured. Either: Set MP_PROJECT_ID; Use it."),
        ({"target": "prod", "project": "1"}, "A target has an account and a project of its own"),
    ],
)
def test_what_the_sdk_refuses_is_one_sentence(names, words):
    with pytest.raises(md.ConfigurationError) as caught:
        open_session(**names)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


ACCOUNT = {"MP_USERNAME": "me", "MP_SECRET": "x", "MP_PROJECT_ID": "7", "MP_REGION": "us"}
BEARER = {"MP_OAUTH_TOKEN": "x", "MP_PROJECT_ID": "7", "MP_REGION": "us"}


@pytest.mark.parametrize(
    ("variables", "names", "overriding"),
    [
        (ACCOUNT, {"account": "me"}, "MP_USERNAME, MP_SECRET, MP_PROJECT_ID, MP_REGION would override the account"),
        (BEARER, {"target": "prod"}, "MP_OAUTH_TOKEN, MP_PROJECT_ID, MP_REGION would override the target"),
        ({"MP_PROJECT_ID": "7"}, {"project": "8"}, "MP_PROJECT_ID would override the project"),
        ({"MP_PROJECT_ID": "7"}, {"target": "prod"}, "MP_PROJECT_ID would override the target"),
        ({"MP_WORKSPACE_ID": "3"}, {"target": "prod"}, "MP_WORKSPACE_ID would override the target"),
    ],
)
def test_a_name_that_the_environment_would_override_is_refused(variables, names, overriding, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(md.ConfigurationError, match=overriding):
        open_session(**names)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"MP_PROJECT_ID": "7"}, {"account": "me"}),
        ({"MP_PROJECT_ID": "7"}, {"account": "me", "project": "7"}),
        (ACCOUNT, {"project": "7"}),
        ({"MP_USERNAME": "me", "MP_SECRET": "x", "MP_REGION": "eu"}, {"account": "me"}),
        ({"MP_WORKSPACE_ID": "3"}, {"account": "me"}),
    ],
)
def test_an_environment_that_agrees_is_fine(variables, names, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert open_session(**names).project_id == "7"
