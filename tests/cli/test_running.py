"""A fetch that runs, as other processes see it: how far it is, and nothing that says to end it."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

import mixpanel_duckdb as md
from cli.command import MpFetch
from helpers import LONGEST, wait_until
from mixpanel_duckdb.simulator import Behaviour, Fault, Population, Simulator
from mixpanel_duckdb.store import Claim, FetchSpec
from mixpanel_duckdb.store.journal import OpenFetch
from mixpanel_duckdb.store.sign import Sign

HOLDING = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


@pytest.fixture
def slow():
    """One that stays silent when it is asked for page 1, once."""
    silent = Fault("hang", page=1, attempts=1)
    with Simulator(Population(300, seed=3), behaviour=Behaviour(page_size=100), faults=[silent]) as running:
        yield running


def signs(folder):
    return [path for path in folder.iterdir() if path.name.endswith(".running")]


@pytest.fixture
def holder(tmp_path):
    """A process that has the file ``x.duckdb`` open, until its input ends."""
    path = tmp_path / "x.duckdb"
    md.ProfileStore(path).close()
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        yield process
        process.stdin.close()


def pages_done(folder):
    return [json.loads(path.read_text())["pages_done"] for path in signs(folder)]


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX has them")
def test_status_beside_a_running_fetch_tells_its_pages_rows_and_process(slow, tmp_path):
    mp_fetch = MpFetch(tmp_path, slow.environment())
    with mp_fetch.start("profiles", "--workers", "1", "-q") as process:
        wait_until(lambda: pages_done(tmp_path) == [1])
        said = mp_fetch("status")
        assert said.code == 0, said.err
        assert f"profiles: running in process {process.pid}, 1 of 3 pages, 100 of 300 profiles" in said.out
        (record,) = md.list_fetches(tmp_path / "mixpanel.duckdb")
        assert (record.state, record.pid, record.pages_done, record.total_pages) == ("running", process.pid, 1, 3)
        assert (record.rows, record.expected_rows, record.table) == (100, 300, "profiles")
        assert record.to_dict()["pid"] == process.pid
        (sign,) = signs(tmp_path)
        assert sign.stat().st_mode & 0o777 == 0o600
        with pytest.raises(md.DatabaseLockedError, match=f"process {process.pid} has the database open") as refused:
            md.fetch_timeline(tmp_path / "mixpanel.duckdb")
        assert "End that process" not in f"{refused.value}{said.out}{said.err}"
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=LONGEST)
    (record,) = md.list_fetches(tmp_path / "mixpanel.duckdb")
    assert (record.state, record.pid, record.pages_done) == ("incomplete", None, 1)
    assert mp_fetch("profiles", "-q").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mixpanel.duckdb"]


def test_what_else_has_the_database_is_not_taken_for_a_fetch(tmp_path, holder):
    path = tmp_path / "x.duckdb"
    leftover = tmp_path / "x.duckdb.abc.running"
    leftover.write_text(json.dumps({"pid": 2**22 + 1, "table": "profiles"}))
    os.utime(leftover, (0, 0))
    for text in ("", "[]", "{}", "null", "{"):
        (tmp_path / f"x.duckdb.{len(text)}{text.strip('{[]}')}.running").write_text(text)
    with pytest.raises(md.DatabaseLockedError, match=f"process {holder.pid} has the database open"):
        md.list_fetches(path)


@pytest.fixture
def asked_again(monkeypatch):
    """Let something happen while one that found the file taken waits to ask again."""

    def meanwhile(what):
        monkeypatch.setattr("mixpanel_duckdb.api.journal.Event", lambda: SimpleNamespace(wait=lambda _: what()))

    return meanwhile


def test_status_waits_for_a_fetch_that_opens_the_file_to_tell_of_itself(tmp_path, holder, asked_again):
    path = tmp_path / "x.duckdb"
    sign = Sign(str(path), OpenFetch("abc", "staged", FetchSpec("profiles", "{}"), Claim()))
    asked_again(lambda: sign.tell(pages=0, total_pages=None, rows=0, expected_rows=None))
    assert [each.state for each in md.list_fetches(path)] == ["running"]


def test_status_waits_for_a_fetch_that_closes_the_file(tmp_path, holder, asked_again):
    asked_again(lambda: (holder.stdin.close(), holder.wait(LONGEST)))
    assert md.list_fetches(tmp_path / "x.duckdb") == []
