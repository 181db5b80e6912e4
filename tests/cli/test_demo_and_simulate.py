"""The two commands that need no account."""

import re
import signal
import threading

import duckdb
import pytest

from cli.command import MpFetch, outcome
from helpers import LONGEST

POISON = {
    "MP_USERNAME": "somebody",
    "MP_OAUTH_TOKEN": "and-a-token-too",
    "MP_API_BASE_URL": "http://127.0.0.1:9",
    "MP_REGION": "nowhere",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "http_proxy": "foo://x",
    "SSL_CERT_FILE": "nowhere.pem",
}


def test_the_demo_needs_no_account_ignores_the_environment_and_can_be_run_again(tmp_path):
    mp_fetch = MpFetch(tmp_path, POISON)
    for _ in range(2):
        done = mp_fetch("demo", "--profiles", 2300, "--latency", 0.02)
        assert done.code == 0, done.err
    assert re.search(r"one page at a time +\d+\.\d s\n +five at a time +\d+\.\d s\n +speed-up +\d+\.\d times", done.out)
    assert "2,300 rows each, the same profiles, value for value" in done.out
    assert re.search(r"free +\d+ +\d+\.\d\d\n", done.out)
    with duckdb.connect(str(tmp_path / "mixpanel-demo.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM demo_parallel").fetchall() == [(2300,)]


def test_the_demo_leaves_other_tables_of_the_file_alone(tmp_path):
    with duckdb.connect(str(tmp_path / "mine.duckdb")) as connection:
        connection.execute("CREATE TABLE profiles AS SELECT 'precious' AS distinct_id")
    done = MpFetch(tmp_path)("demo", "--profiles", 10, "--latency", 0, "--database", "mine.duckdb", "--json", "-q")
    assert done.json["different_rows"] == 0
    assert done.json["example"]["rows"]
    with duckdb.connect(str(tmp_path / "mine.duckdb"), read_only=True) as connection:
        assert connection.execute("FROM profiles").fetchall() == [("precious",)]


@pytest.fixture
def serving(tmp_path):
    process = MpFetch(tmp_path).start("simulate", "--profiles", 130, "--page-size", 50, "--uniform", "--seed", 4)
    too_late = threading.Timer(LONGEST, process.kill)
    too_late.start()
    yield process
    too_late.cancel()
    process.kill()
    process.communicate()
    too_late.join()


def test_simulate_says_first_where_it_is_and_what_to_set_and_ctrl_c_ends_it_well(serving, tmp_path):
    lines = [serving.stdout.readline().strip() for _ in range(6)]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", lines[0])
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines[1:])
    assert variables["MP_API_BASE_URL"] == lines[0]
    fetched = MpFetch(tmp_path, variables)("profiles", "--json").json
    assert (fetched["total_rows"], fetched["total_pages"]) == (130, 3)
    serving.send_signal(signal.SIGINT)
    done = outcome(serving)
    assert (done.code, done.said) == (0, ["Stopped after 3 requests."])


def test_simulate_ends_on_sigterm_with_its_code(serving):
    serving.stdout.readline()
    serving.send_signal(signal.SIGTERM)
    assert outcome(serving).code == 143


def test_a_port_in_use_is_a_usage_error(serving, tmp_path):
    port = serving.stdout.readline().strip().rpartition(":")[2]
    taken = MpFetch(tmp_path)("simulate", "--port", port)
    assert taken.code == 2
    assert "Traceback" not in taken.err
