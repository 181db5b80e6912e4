"""Which proxy the environment means for a host, and which certificates are trusted."""

import os
from pathlib import Path

import certifi
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixpanel_duckdb as md
from mixpanel_duckdb.errors import ConfigurationError
from mixpanel_duckdb.http.environment import proxy_for

PROXY, OTHER = "http://proxy.example:3128", "http://other.example"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://mixpanel.com", {}, None),
        ("https://mixpanel.com", {"HTTPS_PROXY": PROXY, "HTTP_PROXY": OTHER, "ALL_PROXY": OTHER}, PROXY),
        ("http://mixpanel.com", {"HTTPS_PROXY": OTHER, "http_proxy": PROXY}, PROXY),
        ("https://mixpanel.com", {"HTTP_PROXY": OTHER}, None),
        ("https://mixpanel.com", {"all_proxy": PROXY}, PROXY),
        ("https://mixpanel.com", {"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ("https://mixpanel.com", {"HTTPS_PROXY": "", "ALL_PROXY": PROXY}, PROXY),
        ("https://mixpanel.com", {"TRAVIS_APT_PROXY": "foo://x"}, None),
        ("https://mixpanel.com", {"HTTPS_PROXY": "https://me:it@[::1]:8"}, "https://me:it@[::1]:8"),
        ("https://127.0.0.1:8", {"ALL_PROXY": PROXY}, PROXY),
        ("http://127.0.0.1:8", {"ALL_PROXY": PROXY, "HTTP_PROXY": PROXY}, None),
        ("http://127.9.9.9", {"ALL_PROXY": PROXY}, None),
        ("http://[::1]:8", {"ALL_PROXY": PROXY}, None),
        ("http://localhost", {"ALL_PROXY": PROXY}, None),
        ("http://10.0.0.1", {"ALL_PROXY": PROXY}, PROXY),
    ],
)
def test_the_proxy_of_a_host_is_that_of_its_scheme_else_of_all(monkeypatch, url, variables, proxy):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "excepted"),
    [
        ("https://eu.mixpanel.com", "*", True),
        ("https://eu.mixpanel.com", " a.example , mixpanel.com", True),
        ("https://mixpanel.com", "mixpanel.com", True),
        ("https://mixpanel.com", ".mixpanel.com", False),
        ("https://eu.mixpanel.com", ".mixpanel.com", True),
        ("https://eu.mixpanel.com", "*.MIXPANEL.com", True),
        ("https://notmixpanel.com", "mixpanel.com", False),
        ("https://mixpanel.com", "mixpanel.com:443", True),
        ("https://mixpanel.com:8443", "mixpanel.com:443", False),
        ("https://mixpanel.com", "https://mixpanel.com", True),
        ("https://mixpanel.com", "all://mixpanel.com", True),
        ("https://mixpanel.com", "http://mixpanel.com", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://[fd00::7]:8", "localhost,fd00::/8", True),
        ("https://[fe00::7]:8", "fd00::/8", False),
        ("https://[fd00::1]", "[fd00::1]", True),
        ("https://[fd00::1]:8", "[fd00::1]:8", True),
        ("https://[fd00::1]:9", "[fd00::1]:8", False),
        ("https://[::1]", "::1/128", True),
        ("https://mixpanel.com", "", False),
        ("https://mixpanel.com", ",,:8080,://,[", False),
    ],
)
def test_no_proxy_excepts_names_addresses_and_ranges(monkeypatch, url, no_proxy, excepted):
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_for(url) is None) is excepted


PRINTABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=30)


@given(PRINTABLE | PRINTABLE.map("http://{}".format), PRINTABLE)
def test_any_value_is_a_proxy_or_refused_by_the_name_of_its_variable(value, no_proxy):
    with pytest.MonkeyPatch.context() as patch:
        try:
            patch.setenv("HTTPS_PROXY", value)
            patch.setenv("NO_PROXY", no_proxy)
        except UnicodeEncodeError:  # what no environment can hold
            return
        try:
            found = proxy_for("https://mixpanel.com")
        except ConfigurationError as error:
            found, refusal = None, str(error)
            assert refusal.startswith("HTTPS_PROXY ")
        assert found in (None, value, f"http://{value}")


def test_certificates_are_read_once_for_all_clients_until_they_are_others(monkeypatch, tmp_path):
    read = []
    made = httpx.create_ssl_context
    monkeypatch.setattr(httpx, "create_ssl_context", lambda: read.append(1) or made())
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    who = md.Credentials(username="me", secret="it", project_id="1")

    def clients(number):
        for _ in range(number):
            md.MixpanelClient(who).close()
        return len(read)

    assert clients(3) == 1
    os.utime(trusted, (1e9, 1e9))
    assert clients(3) == 2
    monkeypatch.delenv("SSL_CERT_FILE")
    assert clients(1) == 3
