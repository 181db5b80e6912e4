"""Every way to end has its code, one sentence, and an object for those who asked for JSON."""

import json
import os

import pytest
from click.testing import CliRunner

from cli.command import MpFetch
from helpers import LONGEST
from mixpanel_duckdb import ProfileStore
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import Fault

USAGE = [
    (["profiles", "--workers", 0], "--workers"),
    (["profiles", "--replace", "--merge"], "exclude each other"),
    (["profiles", "--no-parallel", "--workers", 3], "goes with --parallel"),
    (["profiles", "--include-all-users"], "goes with a cohort only"),
    (["profiles", "--cohort", 0], "cohort_id"),
    (["profiles", "--group-id", "companies"], "numeric id"),
    (["profiles", "--output-properties", ""], "no name is given"),
    (["profiles", "--output-properties", 'a,"b'], "--output-properties"),
    (["profiles", "--secret", "x"], "--secret"),
    (["profils"], "profils"),
    (["profiles", "-d", ":memory:"], "ends with the command"),
    (["profiles", "--database=:memory:mine", "--timeline", "run.svg"], "ends with the command"),
    (["demo", "-d", ":memory:"], "ends with the command"),
]


@pytest.mark.parametrize(("words", "said"), USAGE)
def test_a_mistake_in_the_words_exits_with_2_and_asks_nothing(simulator, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env=simulator.environment()).invoke(main, [str(word) for word in [*words, "--json"]])
    assert done.exit_code == 2
    assert said in done.stderr
    assert json.loads(done.stdout)["error"]["message"]
    assert simulator.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["profiles.parquet", "profiles.csv", "profiles.ndjson"])
def test_a_path_that_is_no_databases_exits_with_5_and_asks_nothing(simulator, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    words = ["profiles", "-d", name, "--json"]
    new = CliRunner(env=simulator.environment()).invoke(main, words)
    assert (new.exit_code, "mp-fetch export" in new.stderr) == (5, True)
    (tmp_path / name).write_text("distinct_id\n1\n")
    old = CliRunner(env=simulator.environment()).invoke(main, words)
    assert (old.exit_code, "not a valid DuckDB database file" in old.stderr) == (5, True)
    assert simulator.requests == []


@pytest.mark.parametrize("name", [":default:", "md:mine", "s3://bucket/mine.duckdb"])
def test_a_path_that_is_no_files_exits_with_5_and_asks_nothing(simulator, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env=simulator.environment()).invoke(main, ["profiles", "-d", name, "--json"])
    assert (done.exit_code, "not the path of a file" in done.stderr) == (5, True)
    assert simulator.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_users_home_in_every_flag(simulator, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    run = CliRunner(
        env={**simulator.environment(), "HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")}
    )
    for words in (
        ["profiles", "-q", "-d", "~/x.duckdb", "--timeline=~/run.svg"],
        ["status", "--database=~/x.duckdb"],
        ["export", "profiles", "~/x.csv", "-d", "~/x.duckdb"],
        ["plan", "-d", "~/x.duckdb"],
    ):
        done = run.invoke(main, words)
        assert (done.exit_code, words) == (0, words), done.stderr
    assert "knows of 2 queries" in done.stdout
    assert sorted(each.name for each in (tmp_path / "home").iterdir()) == ["run.svg", "x.csv", "x.duckdb"]
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_a_fetch_that_is_not_there_exits_with_2(mp_fetch):
    assert mp_fetch("profiles", "-q").code == 0
    assert mp_fetch("status", "--fetch", "zz", "--json").code == 2


def test_missing_credentials_exit_with_3_and_name_the_variables(tmp_path):
    done = MpFetch(tmp_path)("profiles", "--json")
    assert done.code == 3
    assert "MP_USERNAME" in done.err
    assert done.json["error"]["code"] == "credentials"
    assert list(tmp_path.iterdir()) == []


def test_refused_credentials_exit_with_3_and_are_not_shown(simulator, tmp_path):
    done = MpFetch(tmp_path, {**simulator.environment(), "MP_SECRET": "wr0ng-secret"})("profiles", "-v", "--json")
    assert done.code == 3
    assert "wr0ng-secret" not in done.out + done.err


def test_a_host_in_the_clear_exits_with_3(mp_fetch):
    assert mp_fetch("profiles", "--base-url", "http://192.0.2.1").code == 3


@pytest.mark.parametrize("command", ["profiles", "plan"])
def test_a_filter_that_the_server_refuses_exits_with_2_and_gives_its_words(mp_fetch, command):
    done = mp_fetch(command, "--where", 'properties["plan', "--json")
    assert done.code == 2
    assert done.json["error"]["status"] == 400
    assert done.json["error"]["server_text"] in done.err


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("status", status=402), 1),
        (Fault("status", status=404), 1),
        (Fault("status", status=400, text="who are you?"), 2),
        (Fault("status", status=400, text="who are you?", page=5), 1),
        (Fault("status", status=400, text="Unable to authenticate request"), 3),
        (Fault("lost_session", attempts=None), 1),
    ],
)
def test_another_refusal_of_the_server_has_the_code_of_its_kind(mp_fetch, simulator, fault, code):
    simulator.add_fault(fault)
    assert mp_fetch("profiles").code == code


def test_a_wait_longer_than_allowed_exits_with_4(mp_fetch, simulator):
    simulator.add_fault(Fault("quota", page=0, attempts=None, retry_after=900))
    done = mp_fetch("profiles", "--max-wait", 2, "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "rate_limit")
    assert done.json["error"]["kind"] == "quota"
    assert 890 < done.json["error"]["retry_after"] <= 900


def test_a_folder_that_is_not_there_exits_with_5(mp_fetch):
    done = mp_fetch("profiles", "--database", "nowhere/mixpanel.duckdb", "--json")
    assert (done.code, done.json["error"]["code"]) == (5, "storage")


def test_a_file_that_is_no_database_exits_with_5(mp_fetch, tmp_path):
    (tmp_path / "notes.duckdb").write_text("not a database, but longer than a header of one" * 100)
    done = mp_fetch("status", "--database", "notes.duckdb")
    assert done.code == 5
    assert "Traceback" not in done.err


TOO_LONG = "n" * 300


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["profiles", "--timeline", f"{TOO_LONG}.svg"], 2),
        (["profiles", "--into", f"{TOO_LONG}.duckdb"], 5),
        (["profiles", "-d", f"{TOO_LONG}.duckdb"], 5),
        (["status", "-d", f"{TOO_LONG}.duckdb"], 5),
        (["export", "profiles", f"{TOO_LONG}.csv"], 2),
    ],
)
def test_a_name_that_no_file_can_have_is_refused_in_a_sentence(simulator, tmp_path, monkeypatch, words, code):
    monkeypatch.chdir(tmp_path)
    ProfileStore("mixpanel.duckdb").close()
    done = CliRunner(env=simulator.environment()).invoke(main, words)
    assert done.exit_code == code
    assert "unexpected" not in done.output
    assert simulator.requests == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_an_output_that_takes_no_more_is_told_as_such(simulator, tmp_path):
    mp_fetch = MpFetch(tmp_path, simulator.environment())
    with open("/dev/full", "w") as full:
        process = mp_fetch.start("profiles", "--json", stdout=full)
        _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 1
    assert "The output could not be written: No space left on device." in said
    assert "unexpected" not in said
