"""G10: who asks, and that no secret is ever shown or sent in the clear."""

import base64
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_duckdb import ConfigurationError, Credentials, CredentialsError
from mixpanel_duckdb.accounts.credentials import resolve_base_url

ACCOUNT = {"username": "me.1.mp-service-account", "secret": "s3cret-Xyz", "project_id": "42"}
SECRET = "s3cret-Xyz"


def test_a_service_account_is_sent_as_basic_with_its_project():
    who = Credentials(**ACCOUNT, workspace_id=7)
    assert base64.b64decode(who.authorization().removeprefix("Basic ")) == b"me.1.mp-service-account:s3cret-Xyz"
    assert who.scope() == {"project_id": "42", "workspace_id": "7"}


def test_a_token_is_sent_as_bearer():
    who = Credentials(token="abc.def", project_id=42)
    assert (who.authorization(), who.scope()) == ("Bearer abc.def", {"project_id": "42"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "project_id"),
        ({"project_id": "1"}, "a user name and a secret, or a token, are needed"),
        ({"project_id": "1", "username": "me"}, "are needed"),
        ({"project_id": "1", "secret": SECRET}, "are needed"),
        ({"project_id": "1", "username": "", "secret": SECRET}, "are needed"),
        ({"project_id": "1", "username": "me", "secret": ""}, "are needed"),
        ({"project_id": "1", "username": "me", "secret": SECRET, "token": SECRET}, "not both"),
        ({"project_id": "1", "username": "me", "token": SECRET}, "not both"),
        ({"project_id": "1", "token": ""}, "the token is empty"),
        ({"project_id": "1", "token": f"{SECRET}\nX-Evil: 1"}, "no HTTP header can carry"),
        ({"project_id": "1", "token": f"{SECRET}é"}, "no HTTP header can carry"),
        ({"project_id": "1", "username": "a:b", "secret": SECRET}, "colon"),
        ({**ACCOUNT, "project_id": " "}, "project_id is empty"),
        ({**ACCOUNT, "secret": f"{SECRET}\udcff"}, "secret holds a lone surrogate"),
        ({**ACCOUNT, "username": "me\udcff"}, "username holds a lone surrogate"),
        ({**ACCOUNT, "project_id": "4\udcff2"}, "project_id holds a lone surrogate"),
        ({**ACCOUNT, "workspace_id": "\udcff"}, "workspace_id holds a lone surrogate"),
        ({**ACCOUNT, "region": "mars"}, "region"),
        ({**ACCOUNT, "password": SECRET}, "password"),
        ({**ACCOUNT, "secret": {"a": SECRET}}, "secret"),
        ({**ACCOUNT, "project_id": [SECRET]}, "project_id"),
    ],
)
def test_unusable_credentials_are_refused_without_being_shown(values, words):
    with pytest.raises(CredentialsError) as caught:
        Credentials(**values)
    shown = f"{caught.value!s} {caught.value!r} {caught.value.to_dict()} {caught.value.__cause__}"
    assert words in shown
    assert SECRET not in shown
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("values", [ACCOUNT, {"token": SECRET, "project_id": "1"}])
def test_no_secret_is_shown(values):
    who = Credentials(**values)
    hidden = base64.b64encode(b"me.1.mp-service-account:s3cret-Xyz").decode()
    for shown in (repr(who), str(who), str(who.model_dump()), who.model_dump_json(), f"{who}", str(vars(who))):
        assert SECRET not in shown
        assert hidden not in shown
    assert pickle.loads(pickle.dumps(who)) == who
    with pytest.raises(ValueError, match="frozen"):
        who.project_id = "2"


@given(secret=st.text(min_size=1))
def test_a_repr_is_the_same_whatever_the_secret(secret):
    who = Credentials(username="u", secret=secret, project_id="1")
    assert repr(who) == repr(Credentials(username="u", secret="another one", project_id="1"))


ENV = {"MP_USERNAME": "me", "MP_SECRET": SECRET, "MP_PROJECT_ID": "42"}


@pytest.mark.parametrize(
    ("env", "kind", "region"),
    [
        (ENV, "Basic", "us"),
        ({**ENV, "MP_REGION": "EU"}, "Basic", "eu"),
        ({**ENV, "MP_REGION": ""}, "Basic", "us"),
        ({**ENV, "MP_OAUTH_TOKEN": ""}, "Basic", "us"),
        ({"MP_OAUTH_TOKEN": "t", "MP_PROJECT_ID": "42", "MP_REGION": "in"}, "Bearer", "in"),
        ({name: f" {value}\n" for name, value in ENV.items()}, "Basic", "us"),
    ],
)
def test_the_environment_gives_credentials(env, kind, region):
    who = Credentials.from_env(env)
    assert (who.authorization().split()[0], who.region, who.project_id) == (kind, region, "42")
    assert who.workspace_id is None
    assert Credentials.from_env({**env, "MP_WORKSPACE_ID": "9"}).workspace_id == "9"


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, ["MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID", "MP_OAUTH_TOKEN"]),
        ({"MP_USERNAME": "me"}, ["Set MP_SECRET, MP_PROJECT_ID"]),
        ({**ENV, "MP_PROJECT_ID": " "}, ["Set MP_PROJECT_ID in"]),
        ({"MP_OAUTH_TOKEN": SECRET}, ["Set MP_PROJECT_ID in"]),
        ({**ENV, "MP_OAUTH_TOKEN": SECRET}, ["MP_OAUTH_TOKEN contradicts MP_USERNAME/MP_SECRET"]),
        ({**ENV, "MP_REGION": "asia"}, ["MP_REGION is 'asia'", "us, eu, in"]),
    ],
)
def test_missing_or_contradicting_variables_are_named(env, names):
    with pytest.raises(CredentialsError) as caught:
        Credentials.from_env(env)
    assert all(name in str(caught.value) for name in names)
    assert SECRET not in str(caught.value)


def test_the_process_environment_is_the_default(monkeypatch):
    for name in ("MP_USERNAME", "MP_SECRET", "MP_OAUTH_TOKEN", "MP_PROJECT_ID", "MP_REGION", "MP_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError):
        Credentials.from_env()
    monkeypatch.setenv("MP_OAUTH_TOKEN", "t")
    monkeypatch.setenv("MP_PROJECT_ID", "1")
    assert Credentials.from_env().project_id == "1"


@pytest.mark.parametrize(
    ("base_url", "region", "env", "resolved"),
    [
        (None, "us", {}, "https://mixpanel.com"),
        (None, "eu", {}, "https://eu.mixpanel.com"),
        (None, "in", {"MP_API_BASE_URL": ""}, "https://in.mixpanel.com"),
        (None, "us", {"MP_API_BASE_URL": " https://proxy.example/ "}, "https://proxy.example"),
        ("https://mine.example:8443", "us", {"MP_API_BASE_URL": "https://other"}, "https://mine.example:8443"),
        ("http://127.0.0.1:8080/", "us", {}, "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "us", {}, "http://127.9.9.9"),
        ("http://localhost:1", "us", {}, "http://localhost:1"),
        ("http://[::1]:5", "us", {}, "http://[::1]:5"),
    ],
)
def test_the_base_url_is_the_callers_else_the_environments_else_the_regions(base_url, region, env, resolved):
    assert resolve_base_url(base_url, region, environ=env) == resolved


@pytest.mark.parametrize(
    "base_url",
    [
        "http://mixpanel.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://0.0.0.0",
        "http://10.0.0.1",
    ],
)
def test_a_url_that_would_send_secrets_in_the_clear_is_refused_unless_allowed(base_url):
    with pytest.raises(ConfigurationError, match="not https"):
        resolve_base_url(base_url, "us", environ={})
    assert resolve_base_url(base_url, "us", allow_http=True, environ={}) == base_url


@pytest.mark.parametrize(
    "base_url",
    [
        "mixpanel.com", "ftp://mixpanel.com", "https://", "https:///path", "file:///etc/passwd", "https://host:port",
        "https://[::1", "https://host?key=s3cret-Xyz", "https://host#s", "//host",
    ],
)  # fmt: skip
def test_a_url_of_another_form_is_refused(base_url):
    with pytest.raises(ConfigurationError, match="not of the form https://host") as caught:
        resolve_base_url(base_url, "us", allow_http=True, environ={})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "base_url", [f"https://me:{SECRET}@host", f"https://:{SECRET}@host:x", f"http://{SECRET}@127.0.0.1"]
)
def test_a_url_with_a_password_is_refused_without_being_shown(base_url):
    with pytest.raises(ConfigurationError, match="must not carry") as caught:
        resolve_base_url(base_url, "us", environ={})
    assert SECRET not in str(caught.value)
