"""``--timeline``: a picture however the run ends, and a path that cannot be written refused before any request."""

import signal
from xml.etree import ElementTree

import pytest

from cli.command import outcome
from helpers import wait_until
from mixpanel_duckdb.simulator import Fault


def words(path):
    return "\n".join(ElementTree.parse(path).getroot().itertext())


def test_profiles_and_status_save_the_same_picture(mp_fetch, tmp_path):
    done = mp_fetch("profiles", "--timeline", "run.svg")
    assert done.code == 0
    assert "Timeline: run.svg" in done.err
    assert "11 of 11 pages" in words(tmp_path / "run.svg")
    assert mp_fetch("status", "--timeline", "later.svg", "--json").json["fetches"][0]["pages_done"] == 11
    assert (tmp_path / "later.svg").read_text() == (tmp_path / "run.svg").read_text()


def test_an_incomplete_run_has_a_picture(mp_fetch, simulator, tmp_path):
    simulator.add_fault(Fault("shedding", page=range(6, 11), attempts=None, retry_after=600))
    assert mp_fetch("profiles", "--timeline", "run.svg", "--max-wait", 1, "-q").code == 4
    said = words(tmp_path / "run.svg")
    assert "incomplete" in said
    assert "answered with 429" in said


def test_an_interrupted_run_has_a_picture(mp_fetch, simulator, tmp_path):
    simulator.add_fault(Fault("hang", page=5, attempts=None))
    running = mp_fetch.start("profiles", "--timeline", "run.svg")
    wait_until(lambda: len(simulator.requests) == 11)
    running.send_signal(signal.SIGINT)
    assert outcome(running).code == 130
    assert "page 5: cut short by a stop" in words(tmp_path / "run.svg")


def test_a_run_that_is_refused_leaves_the_picture_of_an_earlier_one_alone(mp_fetch, tmp_path):
    assert mp_fetch("profiles", "-q").code == 0
    assert mp_fetch("profiles", "-q", "--timeline", "run.svg").code == 2
    assert not (tmp_path / "run.svg").exists()


@pytest.mark.parametrize("path", ["nowhere/run.svg", ".", "mixpanel.duckdb"])
def test_a_path_that_cannot_be_written_is_refused_before_any_request(mp_fetch, simulator, tmp_path, path):
    (tmp_path / "mixpanel.duckdb").write_bytes(b"precious")
    refused = mp_fetch("profiles", "--timeline", path)
    assert refused.code == 2
    assert f"--timeline {path}" in refused.err
    assert "Traceback" not in refused.err
    assert simulator.requests == []
    assert (tmp_path / "mixpanel.duckdb").read_bytes() == b"precious"


def test_no_file_but_a_picture_is_ever_overwritten(mp_fetch, tmp_path):
    assert mp_fetch("profiles", "-q").code == 0
    (tmp_path / "warehouse.duckdb").write_bytes(b"precious")
    refused = mp_fetch("status", "--timeline", "warehouse.duckdb")
    assert refused.code == 2
    assert "warehouse.duckdb exists and is no SVG" in refused.err
    assert (tmp_path / "warehouse.duckdb").read_bytes() == b"precious"
    (tmp_path / "run.svg").write_text("<svg>an older one</svg>")
    assert mp_fetch("status", "--timeline", "run.svg").code == 0
    assert "11 of 11 pages" in words(tmp_path / "run.svg")


def test_a_database_that_is_yet_to_be_made_is_no_place_for_its_picture(mp_fetch, simulator, tmp_path):
    assert mp_fetch("profiles", "--timeline", str(tmp_path / "mixpanel.duckdb")).code == 2
    assert simulator.requests == []
    assert list(tmp_path.iterdir()) == []


def test_status_draws_the_fetch_that_is_chosen(mp_fetch, tmp_path):
    for table in ("one", "two"):
        assert mp_fetch("profiles", table, "-q").code == 0
    (chosen,) = [each for each in mp_fetch("status", "--json").json["fetches"] if each["table"] == "one"]
    assert f"fetch {chosen['fetch_id'][:8]}" in mp_fetch("status").out
    said = mp_fetch("status", "--fetch", chosen["fetch_id"][:8], "--timeline", "run.svg")
    assert said.code == 0
    assert "one:" in said.out
    assert "two:" not in said.out
    assert words(tmp_path / "run.svg").startswith("one: ")
    assert "knows no fetch nobody" in mp_fetch("status", "--fetch", "nobody").err
