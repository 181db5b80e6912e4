"""Where a picture can be drawn from: files, memory, connections of one's own, later, after a stop, by its id."""

from xml.etree import ElementTree

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import fetch
from mixpanel_duckdb.simulator import Population, Simulator


@pytest.fixture(scope="module")
def project():
    with Simulator(Population(60, seed=1)) as running:
        yield running


def test_a_file_is_drawn_after_everything_is_closed_and_not_left_open(project, database):
    result = fetch(project, database)
    timeline = result.timeline()
    assert timeline._repr_svg_() == timeline.svg
    assert md.fetch_timeline(database) == timeline
    duckdb.connect(database, config={"threads": 1}).close()  # refused if anybody had it open still


def test_memory_and_ones_own_connection_are_drawn_too(project):
    assert "3 of 3 pages" in fetch(project, ":memory:").timeline().svg
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA mine")
        connection.execute("USE mine")
        result = fetch(project, connection)
        assert "3 of 3 pages" in result.timeline().svg
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(60,)]
    with pytest.raises(md.StorageError, match="read the journal"):
        result.timeline()


def test_a_fetch_whose_place_was_taken_says_so(project, database):
    first = fetch(project, database)
    fetch(project, database, if_exists="replace")
    with pytest.raises(md.StorageError, match="does not know this fetch any more"):
        first.timeline()


def test_a_stopped_fetch_is_drawn_and_then_the_whole_of_it_as_two_runs(project, database):
    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(project, database, on_batch_complete=stop, max_workers=1)
    assert "incomplete" in md.fetch_timeline(database).svg
    assert "2 runs" in fetch(project, database).timeline().svg


def test_a_fetch_is_chosen_by_the_beginning_of_its_id(project, database):
    results = [fetch(project, database, table) for table in ("one", "two")]
    ids = {record.table: record.fetch_id for record in md.list_fetches(database)}
    assert md.fetch_timeline(database, fetch_id=ids["one"][:12]) == results[0].timeline()
    assert md.fetch_timeline(database) == results[1].timeline()
    with pytest.raises(md.QueryError, match="no fetches whose id begins with 'nobody'"):
        md.fetch_timeline(database, fetch_id="nobody")


def test_a_database_without_fetches_has_nothing_to_draw(tmp_path):
    with pytest.raises(md.StorageError):
        md.fetch_timeline(str(tmp_path / "typo.duckdb"))
    with md.ProfileStore(":memory:") as store, pytest.raises(md.QueryError, match="knows no fetches"):
        md.fetch_timeline(store)


def test_save_writes_the_picture(project, tmp_path):
    timeline = fetch(project, ":memory:").timeline()
    path = timeline.save(tmp_path / "run.svg")
    assert path.read_text(encoding="utf-8") == timeline.svg
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert "<svg" not in repr(timeline)


def test_a_journal_of_version_1_is_drawn(project):
    with duckdb.connect() as connection:
        fetch(project, connection)
        connection.execute("ALTER TABLE _mixpanel_pages DROP COLUMN steps")
        connection.execute("DROP TABLE _mixpanel_runs")
        connection.execute("UPDATE _mixpanel_fetches SET schema_version = 1")
        connection.execute("UPDATE _mixpanel_pages SET requested_at = NULL, worker = NULL WHERE page_index = 0")
        assert "3 of 3 pages" in md.fetch_timeline(connection).svg
