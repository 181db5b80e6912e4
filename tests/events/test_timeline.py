"""Pictures of fetches of events: complete, incomplete, stopped, and by the command."""

from datetime import date

import pytest
from click.testing import CliRunner

import mixpanel_duckdb as md
from events.exporting import exporting
from events.test_fetch import fetched
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import EventFault, EventPopulation

FIRST, LAST = "2026-01-01", "2026-01-04"
POPULATION = EventPopulation(FIRST, LAST, 20)


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "events.duckdb")


def test_a_run_is_drawn_with_its_days_and_what_went_wrong(database):
    faults = EventFault("text", day="2026-01-02", times=1), EventFault("status", day="2026-01-03", times=1, status=502)
    with exporting(POPULATION, *faults) as sim:
        result = fetched(sim, database, FIRST, LAST, days_per_request=1)
    said = result.timeline().svg
    assert "events<tspan" in said
    assert "4 of 4 days, 80 events in" in said
    assert "2 requests failed" in said
    assert "2026-01-04: days fetched" in said
    assert "terminated early" in said
    assert "status 502" in said
    assert md.fetch_timeline(database).svg == said
    assert "page" not in said.split("</style>")[1].replace('class="page"', "")


def test_the_next_run_takes_its_place_even_if_there_was_nothing_to_do(database):
    with exporting(POPULATION) as sim:
        first = fetched(sim, database, FIRST, LAST)
        again = fetched(sim, database, FIRST, LAST)
    assert "Nothing was asked for." in again.timeline().svg
    assert "4 of 4 days, 80 events" in again.timeline().svg
    with pytest.raises(md.StorageError, match="a newer one has taken its place"):
        first.timeline()


def test_days_that_were_given_up_are_marked(database):
    with exporting(POPULATION, EventFault("text", day="2026-01-02", times=None)) as sim:
        said = fetched(sim, database, FIRST, LAST, days_per_request=1).timeline().svg
    assert "incomplete · 1 day missing" in said
    assert "2026-01-02: given up" in said


@pytest.mark.parametrize(
    ("last", "days"), [(date(2026, 1, 2), "2 of 2 days, 40 events"), (date(2025, 12, 31), "0 of 0 days, 0 events")]
)
def test_days_that_have_not_begun_are_not_missing(database, last, days):
    with exporting(POPULATION, today=last) as sim:
        result = fetched(sim, database, FIRST, LAST)
    assert result.is_complete
    said = result.timeline().svg
    assert days in said
    assert ">complete · " in said
    assert "missing" not in said


def test_a_run_that_its_caller_ends_is_drawn_with_what_was_stored(database):
    def enough(progress):
        raise RuntimeError("enough")

    with exporting(POPULATION, EventFault("stall", day=LAST, times=None)) as sim, pytest.raises(RuntimeError):
        fetched(sim, database, FIRST, LAST, days_per_request=1, on_batch_complete=enough, workers=4)
    said = md.fetch_timeline(database).svg
    assert "incomplete" in said
    assert "2026-01-04: cut short by a stop" in said


def test_the_command_saves_a_picture_also_of_a_run_that_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ["events", "--from", FIRST, "--to", LAST, "--timeline", "run.svg"]
    with exporting(POPULATION, EventFault("status", times=None, status=402)) as sim:
        refused = CliRunner().invoke(main, call, env=sim.environment())
        assert refused.exit_code != 0
        assert "0 of 4 days" in (tmp_path / "run.svg").read_text()
    with exporting(POPULATION) as sim:
        done = CliRunner().invoke(main, call, env=sim.environment())
    assert done.exit_code == 0
    assert "Timeline: run.svg" in done.stderr
    assert "4 of 4 days" in (tmp_path / "run.svg").read_text()
    assert CliRunner().invoke(main, ["status", "--timeline", "later.svg"]).exit_code == 0
    assert (tmp_path / "later.svg").read_text() == (tmp_path / "run.svg").read_text()
    assert CliRunner().invoke(main, [*call[:-1], "mixpanel.duckdb"], env=sim.environment()).exit_code == 2
