"""The blocks of docs/every-night.md that are no Python, and its comparison; its Python runs in test_docs.py."""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from cli.command import MpFetch
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.jobs import read_jobs
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "every-night.md").read_text(encoding="utf-8")
PEOPLE, SMALL = Population(170, seed=4), Behaviour(page_size=20)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def understood(line):
    """The command that a line ends in, as the command itself parses it."""
    words = shlex.split(line.split(">>")[0])
    words = words[next(number for number, word in enumerate(words) if word.endswith("mp-fetch")) + 1 :]
    main.commands[words[0]].make_context(words[0], words[1:]).close()
    return words


@pytest.fixture
def night(tmp_path):
    """A folder with the jobs of the page, and variables for a simulated project."""
    (jobs,) = blocks("toml")
    (tmp_path / "jobs.toml").write_text(jobs, encoding="utf-8")
    with Simulator(PEOPLE, behaviour=SMALL) as sim:
        yield sim, tmp_path


def shell(script, sim, folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
    (folder / "mp-fetch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mixpanel_duckdb "$@"\n', encoding="utf-8")
    (folder / "mp-fetch").chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, env={**kept, **sim.environment(), "PATH": path}, capture_output=True,
        text=True, check=False, timeout=100,
    )  # fmt: skip


def test_the_crontab_and_the_units_run_commands_that_there_are():
    crontab, rotation = blocks("none")
    assert understood(crontab)[:2] == ["sync", "jobs.toml"]
    assert len(crontab.split(" cd ")[0].split()) == 5
    assert rotation.startswith(re.search(r"cd (\S+)", crontab)[1] + "/nightly.log {")
    service, timer = map(units, blocks("ini"))
    assert understood(service["Service"]["ExecStart"])[:2] == ["sync", "jobs.toml"]
    assert timer["Timer"]["OnCalendar"].endswith("02:17:00")


def units(text):
    found = configparser.ConfigParser()
    found.optionxform = str
    found.read_string(text)
    return found


def test_the_night_ends_in_a_table_and_a_file_and_the_hour_after_it_asks_for_nothing(night):
    sim, folder = night
    nightly, _, changes, retention = blocks("sh")
    assert (done := shell(nightly, sim, folder)).returncode == 0, done.stderr
    assert duckdb.sql(f"SELECT count(*) FROM '{folder / 'profiles.parquet'}'").fetchall() == [(170,)]
    sim.clear_requests()
    assert shell(nightly, sim, folder).returncode == 0
    assert sim.requests == []
    sim.replace_population(Population(171, seed=4))
    assert shell("mp-fetch sync jobs.toml", sim, folder).returncode == 0
    assert (done := shell(changes, sim, folder)).returncode == 0, done.stderr
    (change,) = json.loads((folder / "changes.json").read_text(encoding="utf-8"))["changes"]
    assert (change["change"], change["distinct_id"]) == ("added", "u-000170")
    assert (done := shell(retention, sim, folder)).returncode == 0, done.stderr


def test_a_difference_beyond_the_tolerance_keeps_the_old_table_until_somebody_publishes_it(night):
    sim, folder = night
    nightly, difference, *_ = blocks("sh")
    sim.add_fault(Fault("duplicates", page=4, rows=5, of_page=3, attempts=None))
    assert shell(nightly, sim, folder).returncode == 4
    sim.clear_requests()
    assert (done := shell(difference, sim, folder)).returncode == 0, done.stderr
    assert sim.requests == []
    with duckdb.connect(str(folder / "mixpanel.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(165,)]


def test_a_night_that_is_incomplete_ends_with_4_and_the_next_one_goes_on(night):
    sim, folder = night
    nightly, *_ = blocks("sh")
    with (folder / "jobs.toml").open("a", encoding="utf-8") as jobs:
        jobs.write("rate_limit_wait = 0.1\n")
    sim.add_fault(Fault("quota", page=4, attempts=None, retry_after=60))
    assert shell(nightly, sim, folder).returncode == 4
    assert not (folder / "profiles.parquet").exists()
    sim.clear_faults()
    sim.clear_requests()
    assert shell(nightly, sim, folder).returncode == 0
    assert 0 not in [record.page for record in sim.requests]


def test_the_file_of_jobs_is_one():
    (text,) = blocks("toml")
    assert text.count("[[profiles]]") == 1
    assert read_jobs({"profiles": [{"project_id": "1", "table": "profiles"}]})


COMPARED = {
    "one 429": (Fault("quota", page=4, retry_after=0.2), 0, 170, None),
    "one 502": (Fault("status", page=4, status=502), 0, 170, None),
    "a body that is cut": (Fault("cut", page=4), 0, 170, None),
    "a connection that is reset": (Fault("reset", page=4), 0, 170, None),
    "five profiles that come twice instead of others": (
        Fault("duplicates", page=4, rows=5, of_page=3, attempts=None), 4, 165, 170,
    ),
    "a page of ten instead of twenty in the middle": (Fault("short_page", page=4, rows=10, attempts=None), 4, 160, 90),
    "an empty page in the middle": (Fault("empty_page", page=4, attempts=None), 4, 150, 80),
}  # fmt: skip


@pytest.mark.parametrize("what", COMPARED)
def test_what_the_comparison_says_of_this_package_and_of_the_script(what, tmp_path):
    fault, code, rows, by_hand = COMPARED[what]
    assert f"| {what} |" in TEXT
    with Simulator(PEOPLE, behaviour=SMALL, faults=[fault]) as sim:
        done = MpFetch(tmp_path, sim.environment())("profiles", "--json", "-q")
    assert (done.code, done.json["total_rows"]) == (code, rows)
    with Simulator(PEOPLE, behaviour=SMALL, faults=[fault]) as sim:
        script = subprocess.run(
            [sys.executable, "-c", blocks("python")[-1]], cwd=tmp_path, env={**os.environ, **sim.environment()},
            capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
    assert (script.returncode == 0) == (by_hand is not None)
    if by_hand is not None:
        with duckdb.connect(str(tmp_path / "by_hand.duckdb")) as connection:
            assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(by_hand,)]
