"""mixpanel-headless signs for this package: all kinds of account, over loopback, in an environment of its own."""

import json
import re

import duckdb
import pytest

from clients.accounts import KINDS, ROOT, STALE
from clients.token_server import REFRESH_TOKEN, TokenServer
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

pytestmark = pytest.mark.timeout(600)
TOKEN = "simulated-token"
HIDDEN = (TOKEN, STALE, REFRESH_TOKEN, "simulated-secret", "c2ltdWxhdG9yOnNpbXVsYXRlZC1zZWNyZXQ=")


@pytest.fixture
def sim():
    with Simulator(Population(1200, seed=9), behaviour=Behaviour(page_size=100)) as running:
        yield running


@pytest.fixture
def token_server():
    with TokenServer(TOKEN) as running:
        yield running


@pytest.fixture
def accounts(stored_accounts, sim, token_server, tmp_path):
    variables = {"MP_API_BASE_URL": sim.base_url, "TEAM_TOKEN": TOKEN, "TOKEN_SERVER": token_server.url}
    made = stored_accounts.copy(tmp_path / "home", variables)
    made.log_in(TOKEN, seconds=3600)
    return made


def assert_hidden(*texts):
    assert not [(secret, text) for secret in HIDDEN for text in texts if secret in text]


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_of_each_kind_reads_the_project(sim, accounts, kind):
    outcome = accounts.job("fetch", names={"account": kind})
    assert (outcome["rows"], outcome["expected"], outcome["requests"]) == (1200, 1200, 12)
    assert {record.params["project_id"] for record in sim.requests} == {"1"}
    schemes = {record.headers["authorization"].split()[0] for record in sim.requests}
    assert schemes == {"Basic" if kind == "service" else "Bearer"}
    assert outcome["cli"] is False
    assert outcome["signals"] is True
    assert_hidden(outcome["shown"], *(file.read_bytes().decode("latin-1") for file in accounts.home.glob("*.duckdb*")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_401_costs_each_kind_one_request(sim, accounts, kind):
    sim.add_fault(Fault("status", page=5, status=401, text="Unable to authenticate request"))
    outcome = accounts.job("fetch", names={"account": kind}, as_session=True)
    # By page and status, so that one too many says which it was; the plan behind the fetch asks for page 0 again.
    asked = sorted((record.page, record.status) for record in sim.requests)
    assert asked == sorted([(0, 200), (5, 401), *((page, 200) for page in range(12))])
    assert (outcome["rows"], outcome["requests"]) == (1200, 13)


def test_threads_that_find_a_token_run_out_refresh_it_once_and_store_it(sim, accounts, token_server):
    accounts.log_in(STALE, seconds=-5)
    assert accounts.job("ask_at_once", names={"account": "browser"}, threads=5) == [1200] * 5
    assert token_server.asked == [{"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "client_id": "c1"}]
    assert {record.headers["authorization"] for record in sim.requests} == {f"Bearer {TOKEN}"}
    stored = json.loads(accounts.tokens.read_text())
    assert (stored["access_token"], stored["refresh_token"]) == (TOKEN, token_server.good)


def test_a_whole_fetch_begins_with_a_refresh(accounts, token_server):
    accounts.log_in(STALE, seconds=-5)
    assert accounts.job("fetch", names={"account": "browser"})["rows"] == 1200
    assert len(token_server.asked) == 1


@pytest.mark.parametrize(
    ("refresh_token", "words"),
    [("revoked", "Refresh token has been revoked or expired for account 'browser'"), (None, "no refresh token")],
)
def test_a_login_that_is_over_is_one_sentence_and_code_3(accounts, sim, refresh_token, words):
    accounts.log_in(STALE, seconds=-5, refresh_token=refresh_token)
    outcome = accounts.job("fetch", names={"account": "browser"})
    assert (outcome["error"], outcome["exit_code"]) == ("CredentialsError", 3)
    assert words in outcome["text"]
    assert "\n" not in outcome["text"]
    assert sim.requests == []
    assert_hidden(outcome["text"])


def test_a_refresh_is_repeated_while_its_server_is_down_and_its_answer_is_not_quoted(accounts, token_server):
    accounts.log_in(STALE, seconds=-5)
    token_server.status = 503
    outcome = accounts.job("ask_at_once", names={"account": "browser"}, threads=1)
    assert outcome["error"] == "ConnectionFailedError"
    assert len(token_server.asked) == 5
    assert_hidden(outcome["text"])


def test_region_project_and_data_view_are_those_of_the_session(accounts):
    del accounts.variables["MP_API_BASE_URL"]
    outcome = accounts.job("describe", names={"account": "europe"})
    assert (outcome["base_url"], outcome["scope"]) == ("https://eu.mixpanel.com", {"project_id": "42"})
    outcome = accounts.job("describe", names={"target": "prod"})
    assert outcome["base_url"] == "https://mixpanel.com"
    assert outcome["scope"] == {"project_id": "1", "workspace_id": "77"}
    assert_hidden(outcome["shown"])


def test_a_header_of_the_settings_is_sent(sim, accounts):
    config = accounts.home / ".mp" / "config.toml"
    config.write_text(config.read_text() + '\n[settings]\ncustom_header = { name = "X-Team", value = "growth" }\n')
    accounts.job("fetch", names={"account": "token"})
    assert {record.headers["x-team"] for record in sim.requests} == {"growth"}


CALLS = {
    "an equality": {"where": {"Filter.equals": ["plan", "pro"]}},
    "several filters": {
        "where": [{"Filter.is_set": ["$email"]}, {"Filter.greater_than": ["seats", 10]}],
        "properties": ["$email", "seats"],
    },
    "an expression": {"where": 'properties["plan"] == "pro"', "sort_by": "seats", "sort_order": "ascending"},
    "a cohort": {"cohort": 7, "include_all_users": True},
    "a cohort among filters": {"where": [{"Filter.in_cohort": [7]}, {"Filter.equals": ["plan", "pro"]}]},
    "a definition": {"cohort": {"CohortDefinition.all_of": [{"CohortCriteria.has_property": ["plan", "pro"]}]}},
    "ids": {"distinct_ids": ["u-000000", "u-000001"]},
    "an id": {"distinct_id": "u-000000"},
    "a moment": {"search": "silva", "as_of": "2026-01-31"},
}


def test_typed_filters_become_a_query_that_reads_what_the_sdk_reads(accounts):
    told = dict(zip(CALLS, accounts.job("filters", names={"account": "service"}, calls=[*CALLS.values()]), strict=True))
    for name, each in told.items():
        assert each["ours"] == each["theirs"], name
        assert sorted(each["wire"]) == each["keys"], name
    assert told["a moment"]["wire"]["as_of_timestamp"] == 1769817600
    assert "raw_cohort" in told["a definition"]["wire"]["filter_by_cohort"]
    assert told["ids"]["ours"]
    assert told["several filters"]["ours"]


def test_a_count_is_refused(accounts, sim):
    outcome = accounts.job("count", names={"account": "service"})
    assert outcome["error"] == "QueryError"
    assert outcome["text"].startswith("action: asks for a sum")
    assert sim.requests == []


@pytest.mark.parametrize(
    "words", [["--account", "browser"], ["--target", "prod"], ["--account", "token", "--project", "1"]]
)
def test_the_command_reads_with_an_account_by_name(sim, accounts, words):
    done = accounts.command("profiles", "people", "--database", "cli.duckdb", *words)
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr
    with duckdb.connect(str(accounts.home / "cli.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchall() == [(1200,)]
    assert {record.params.get("workspace_id") for record in sim.requests} == {"77" if "--target" in words else None}
    planned = accounts.command("plan", "--json", *words)
    assert json.loads(planned.stdout)["expected_rows"] == 1200
    assert_hidden(done.stdout, done.stderr, planned.stdout)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--account", "nobody"], 3, "mixpanel-headless: Account 'nobody' not found."),
        (["--target", "nowhere"], 3, "mixpanel-headless: Target 'nowhere' not found."),
        (["--account", "homeless"], 3, "mixpanel-headless: No project configured for account 'homeless'. Either: "),
        (["--account", "token", "--project", "abc"], 3, "mixpanel-headless: Invalid project ID: 'abc'."),
        (["--target", "prod", "--account", "token"], 2, "--target stands for an account and a project"),
        (["--account", "browser"], 3, "mixpanel-headless: No OAuth tokens found for account 'browser'."),
    ],
)
def test_the_commands_mistakes_are_one_sentence(sim, accounts, words, code, said):
    accounts.tokens.unlink()
    done = accounts.command("profiles", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert f"Error: {said}" in done.stderr.splitlines()[-1] or (code == 2 and said in done.stderr)
    assert "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("Error: ") == 1
    assert sim.requests == []


def test_a_home_without_accounts_is_one_sentence_that_says_what_to_do(accounts):
    (accounts.home / ".mp" / "config.toml").unlink()
    done = accounts.command("profiles", "--project", "1")
    assert done.returncode == 3
    assert done.stderr.startswith("Error: mixpanel-headless: No account configured. Either: Set MP_USERNAME, ")
    assert done.stderr.count("\n") == 1


def test_a_config_that_cannot_be_read_shows_no_secret(accounts):
    config = accounts.home / ".mp" / "config.toml"
    config.write_text(config.read_text().replace('username = "simulator"', "username = 5"))
    done = accounts.command("profiles", "--account", "service", "-v")
    assert done.returncode == 3
    assert_hidden(done.stdout, done.stderr)


def test_six_lines_lead_from_a_workspace_to_a_polars_frame_of_typed_columns(accounts, sim):
    """The lines of the page on the SDK; its other examples run after them."""
    blocks = re.findall(r"^```py\n(.*?)^```", (ROOT / "docs" / "headless.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len([line for line in blocks[0].splitlines() if line]) <= 6
    told = accounts.job("script", blocks=blocks)
    assert (told["is"], told["rows"]) == ("polars.dataframe.frame.DataFrame", 1200)
    types = {name: told["schema"][name].split("(")[0] for name in ("distinct_id", "plan", "created", "mrr", "address")}
    assert [*types.values()] == ["String", "String", "Datetime", "Float64", "Struct"]
    sent = {str(profile["$distinct_id"]): profile["$properties"] for profile in Population(1200, seed=9).profiles()}
    assert {name: values for name, *values in told["people"]} == {
        name: [properties.get("plan"), properties.get("mrr")] for name, properties in sent.items()
    }
    assert told["result"] == sum(properties.get("plan") == "pro" for properties in sent.values())
