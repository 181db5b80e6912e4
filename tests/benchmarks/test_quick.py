"""The benchmarks run from end to end, in little; what they measure is nobody's business here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)
RUN = Path(__file__).with_name("run.py")


def benchmark(*arguments):
    done = subprocess.run(
        [sys.executable, RUN, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    text = benchmark("stored", "latency", "growth", "--quick", "--json", folder / "raw.json", "--report", folder)
    return folder, text


def test_the_usual_yardsticks_are_printed_with_their_goals(report):
    _, text = report
    assert "wall: ours / read_json" in text
    assert "at most 2" in text
    assert "seconds: ours / plain download" in text


def test_raw_figures_hold_every_sample(report):
    folder, _ = report
    scenarios = json.loads((folder / "raw.json").read_text())["scenarios"]
    (stored,) = scenarios["stored"]["runs"]
    assert set(stored) == {"ours", "plain download", "read_json"}
    assert all(sample["rows"] == 2000 and sample["wall"] >= sample["seconds"] > 0 for sample in stored.values())
    assert scenarios["stored"]["quick"] is True
    assert scenarios["stored"]["versions"]["ours"]["duckdb"]


def test_the_report_has_tables_and_a_picture_for_each_question_that_can_be_answered(report):
    folder, _ = report
    page = (folder / "results.md").read_text()
    assert "not a measurement" in page
    assert "| read_json |" in page
    assert {path.name for path in folder.glob("*.svg")} == {"growth.svg", "limit.svg"}
    assert ">1k<" in (folder / "growth.svg").read_text()


def test_typed_columns_are_measured_against_detected_ones(tmp_path):
    text = benchmark("typed", "--quick", "--json", tmp_path / "raw.json")
    assert "wall: typed table / read_json, detected columns" in text


def test_a_later_run_completes_the_figures_of_an_earlier_one(report, tmp_path):
    folder, _ = report
    raw = tmp_path / "raw.json"
    raw.write_text((folder / "raw.json").read_text())
    benchmark("--profiles", "200", "--quick", "--json", raw)
    assert set(json.loads(raw.read_text())["scenarios"]) == {"stored", "latency", "growth", "custom"}
