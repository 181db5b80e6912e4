"""What a terminal obeys reaches none: escapes in texts, names and notes of others are shown, not carried out."""

import json
import logging
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

import mixpanel_duckdb as md
from helpers import PAGE, QUICK, fetch
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.http import retry
from mixpanel_duckdb.simulator import EventPopulation, Fault, Limits, Population, RawExport, Simulator

EVIL = "red \x1b[31m, title \x1b]0;mine\x07, back \r\x08\x9b2K,\n\n next \u202e line\u2028\udcff"
FORBIDDEN = {letter for letter in EVIL if not letter.isprintable()} - {"\n"}
FREE = Limits(quota=None)


def assert_harmless(text: str, lines: int | None = None) -> None:
    assert not FORBIDDEN & set(text)
    if lines is not None:
        assert len(text.splitlines()) == lines


def command(*words: str, **environment: str) -> Result:
    done = CliRunner(env={"MP_SECRET": None, **environment}).invoke(main, words)
    assert_harmless(done.output)
    return done


def test_an_error_text_of_the_server_is_one_harmless_line_everywhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mixpanel_duckdb")
    database, sent = tmp_path / "profiles.duckdb", EVIL.replace("\udcff", "")
    faults = [
        Fault("status", page=2, status=502, text=sent),
        Fault("status", page=3, attempts=None, status=500, text=sent),
    ]
    with Simulator(Population(PAGE * 5, seed=1), limits=FREE, faults=faults) as sim:
        result = fetch(sim, str(database))
    ((_, error),) = result.errors
    assert r"red \x1b[31m, title \x1b]0;mine\x07, back \x08\x9b2K, next \u202e line" in error
    assert_harmless(f"{error} {result.notices} {caplog.text}")
    assert_harmless(result._repr_html_(), 1)
    assert_harmless(result.timeline().svg)
    assert r"\x1b[31m" in result.timeline().svg
    with duckdb.connect(str(database)) as connection:
        assert_harmless(str(connection.execute("SELECT error, steps FROM _mixpanel_pages").fetchall()))


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_is_one_harmless_line(status: int, tmp_path: Path) -> None:
    refusal = Fault("status", page=0, status=status, text=EVIL)
    with Simulator(Population(3), faults=[refusal]) as sim:
        done = command("profiles", "-d", str(tmp_path / "profiles.duckdb"), "--json", "-q", **sim.environment())
    assert_harmless(done.stderr, 1)
    assert r"\x1b[31m" in json.loads(done.stdout)["error"]["server_text"]
    told = command("status", "-d", str(tmp_path / "profiles.duckdb"))
    assert r"title \x1b]0;mine\x07" in told.stdout
    assert_harmless(told.stdout, 3)


def test_notes_and_names_that_an_older_journal_has_are_made_visible(tmp_path: Path) -> None:
    database, evil = str(tmp_path / "profiles.duckdb"), EVIL.replace("\udcff", "")
    with Simulator(Population(PAGE * 3, seed=1), limits=FREE) as sim:
        fetch(sim, database, retry=QUICK)
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE _mixpanel_fetches SET note = $1, table_name = $1, state = 'incomplete'", [evil])
        connection.execute(
            "UPDATE _mixpanel_pages SET steps = json_array(json_object('what', 'failed', 'started', "
            "'2026-01-01T00:00:00', 'ended', '2026-01-01T00:00:01', 'worker', 'w', 'why', $1::VARCHAR))",
            [evil],
        )
    told = command("status", "-d", database, "--timeline", str(tmp_path / "run.svg"))
    assert told.stdout.count(r"title \x1b]0;mine\x07, back \r\x08\x9b2K,\n\n next \u202e line\u2028") == 2
    assert_harmless((tmp_path / "run.svg").read_text(encoding="utf-8"))
    assert json.loads(command("status", "-d", database, "--json").stdout)["fetches"][0]["note"] == evil
    with md.ProfileStore(database) as store:
        assert_harmless(store._repr_html_(), 1)


def test_names_of_properties_break_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # where nothing is cut
    database, name = str(tmp_path / "profiles.duckdb"), EVIL.replace("\udcff", "")
    with duckdb.connect(database) as connection:
        connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
        connection.execute("INSERT INTO profiles VALUES ('a', ?, NULL)", [json.dumps({name: {name: 1}, "plan": "pro"})])
    done = command("typed", "-d", database)
    assert done.exit_code == 0
    assert_harmless(done.stdout, 5)
    assert r"red \x1b[31m, title \x1b]0;mine\x07, back \r\x08\x9b2K,\n\n next" in done.stdout
    told = json.loads(command("typed", "-d", database, "--json").stdout)
    assert {each["property"] for each in told["columns"]} == {name, "plan"}
    assert_harmless(md.type_columns(database)._repr_html_(), 1)


def test_names_of_tables_files_and_flags_are_shown_as_they_are_written(tmp_path: Path) -> None:
    file = str(tmp_path / f"no {EVIL}.duckdb")
    for words in (
        ["status", "-d", file],
        ["typed", EVIL, "-d", file],
        ["export", EVIL, EVIL, "-d", file],
        ["profiles", "--timeline", file, "--page-size", EVIL],
        ["profiles", f"--{EVIL}"],
        [EVIL],
        [f"--{EVIL}"],
    ):
        done = command(*words)
        assert done.exit_code in (2, 5), words
        assert r"\x1b" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_table_may_have_any_name_and_is_told_in_one_line(tmp_path: Path) -> None:
    database, name = str(tmp_path / "profiles.duckdb"), "t\x1b[2J\nwo"
    with Simulator(Population(3), limits=FREE) as sim:
        done = command("profiles", name, "-d", database, **sim.environment())
        again = command("profiles", name, "-d", database, "-q", **sim.environment())
    assert (done.exit_code, again.exit_code) == (0, 2)
    assert r"in table 't\x1b[2J\nwo'" in done.stdout
    assert_harmless(again.stderr, 1)
    assert command("status", "-d", database).stdout.startswith(r"t\x1b[2J\nwo: complete")


def test_an_error_of_a_callers_own_client_is_one_harmless_line(tmp_path: Path) -> None:
    class Mine:
        def query_engage_page(self, page: int, **_: object) -> dict[str, Any]:
            if page:
                raise RuntimeError(EVIL)
            return {"page": 0, "page_size": 1, "results": [{"$distinct_id": "a"}], "session_id": "s", "total": 2}

    result = md.fetch_profiles(tmp_path / "profiles.duckdb", client=Mine(), progress=False)
    assert_harmless(result.errors[0][1], 1)
    # A table of one row, and what that lacks.
    assert_harmless(str(md.list_fetches(tmp_path / "profiles.duckdb")), 3)


def test_an_unexpected_error_is_harmless_with_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError(EVIL)

    monkeypatch.setattr("mixpanel_duckdb.api.list_fetches", fail)
    assert_harmless(command("status", "-d", str(tmp_path / "x.duckdb")).stderr, 1)
    assert "Traceback" in command("status", "-v", "-d", str(tmp_path / "x.duckdb")).stderr


def test_a_name_makes_no_more_lines_than_another_in_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "5000")  # where nothing is broken
    # How many lines tell of a wait depends on how long it is, and how many of failures on who is first to give up.
    monkeypatch.setattr(
        retry.RetryPolicy,
        "delay",
        lambda self, tries, error: 0.001 if tries < self.attempts and error.retryable else None,
    )
    days = ("--from", "2026-01-01", "--to", "2026-01-02")
    one_by_one = ("--workers", "1")

    def told(name: str) -> list[tuple[int, int]]:
        (tmp_path / name[:3]).mkdir()
        monkeypatch.chdir(tmp_path / name[:3])
        events = RawExport(EventPopulation("2026-01-01", "2026-01-02", 3), limits=FREE)
        lost = Fault("status", page=1, attempts=None, status=500)  # the small pages have one
        with Simulator(Population(PAGE * 2, seed=1), limits=FREE, events=events, faults=[lost]) as sim:
            done = [
                command(*words, **sim.environment())
                for words in (
                    ("profiles", name, "--history"),
                    ("profiles", name),
                    ("profiles", name, "--replace", "--distinct-id", name),
                    ("changes", name),
                    ("changes", f"{name} 2"),
                    ("typed", name, "--into", f"{name} typed"),
                    ("sql", f'SELECT 1 AS "{name}", {name!r} AS b'),
                    ("export", name, f"{name}.csv"),
                    ("export", name, f"{name}.csv"),
                    ("profiles", "there", "--into", f"{name} there.duckdb"),
                    ("events", f"{name} events", *days, *one_by_one, "--event", name, "--where", name),
                    ("events", f"{name} events", *days, *one_by_one),
                    ("plan", "--table", f"{name} events", *days),
                    ("typed", f"{name} events", "--event", name),
                    ("profiles", f"{name} half", "--page-size", str(PAGE)),
                    ("status",),
                    ("status", "--fetch", name),
                    ("forget", f"{name} half"),
                    ("status", "-d", f"{name}.duckdb"),
                )
            ]
        assert not [each for each in done if "unexpected" in each.output]
        return [(each.exit_code, len(each.output.splitlines())) for each in done]

    assert told(EVIL.replace("\udcff", "")) == told("name")
