"""What the journal remembers of how a fetch went: every failed request, every wait, every run."""

import json
from itertools import pairwise

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import QUICK, client_of, fetch
from mixpanel_duckdb import ProfileStore, StorageError
from mixpanel_duckdb.simulator import Fault, Population, Simulator
from mixpanel_duckdb.store import FetchSpec
from mixpanel_duckdb.store.journal.history import history_of
from mixpanel_duckdb.store.journal.schema import SCHEMA_VERSION
from store.storing import SPEC, fill, opened, page, put


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def history(connection):
    with ProfileStore(connection) as store:
        return history_of(store.reader(), store.fetches()[0].fetch_id)


def steps(connection):
    """What was done for each page before it came, by page."""
    return {each.index: [step.what for step in each.steps] for each in history(connection).pages if each.steps}


def old_journal(connection, version=1):
    """A journal of version 1, as the first release made it, or of version 2, which has runs and steps."""
    for column in ("with_other_fields", "mended_values", *(["steps"] if version == 1 else [])):
        connection.execute(f"ALTER TABLE _mixpanel_pages DROP COLUMN {column}")
    for (name,) in connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%staging%'"
    ).fetchall():
        connection.execute(f'ALTER TABLE "{name}" DROP COLUMN sent_as')
    connection.execute("DROP TABLE _mixpanel_tables")
    if version == 1:
        connection.execute("DROP TABLE _mixpanel_runs")
    connection.execute("UPDATE _mixpanel_fetches SET schema_version = $1", [version])


def test_a_quiet_run_has_a_time_and_a_worker_for_every_page_and_no_steps(connection):
    with Simulator(Population(90, seed=1)) as sim:
        fetch(sim, connection)
    known = history(connection)
    assert [each.index for each in sorted(known.pages, key=lambda each: each.index)] == [0, 1, 2, 3, 4]
    for each in known.pages:
        assert each.requested_at <= each.received_at <= each.committed_at
        assert each.worker.startswith("mp-fetch-page_")
    (run,) = known.runs
    assert run.started_at <= known.pages[0].requested_at
    assert run.ended_at >= known.pages[-1].committed_at
    assert run.note is None
    assert connection.execute("SELECT count(steps) FROM _mixpanel_pages").fetchall() == [(0,)]


def test_failed_requests_refusals_and_waits_are_kept_with_their_page(connection):
    faults = [
        Fault("status", page=0, status=502),
        Fault("reset", page=2, attempts=2),
        Fault("shedding", page=3, retry_after=0.2),
        Fault("short_page", page=4),
    ]
    with Simulator(Population(120, seed=1), faults=faults) as sim:
        fetch(sim, connection, max_workers=1)
    assert steps(connection) == {
        0: ["failed", "backoff"],
        2: ["failed", "backoff", "failed", "backoff"],
        3: ["refused", "limit"],
        4: ["failed"],
    }
    by_page = {each.index: each.steps for each in history(connection).pages}
    assert "502" in by_page[0][0].why
    assert by_page[3][1].why == "shedding"
    assert (by_page[3][1].ended - by_page[3][1].started).total_seconds() > 0.15
    assert by_page[4][0].why == "it has 10 profiles instead of 20"
    for each in by_page.values():
        assert all(one.ended <= two.started for one, two in pairwise(each))


def test_a_page_that_failed_for_good_is_kept_and_what_was_done_survives_its_success_in_a_later_run(connection):
    with Simulator(Population(100, seed=1), faults=[Fault("status", page=2, status=500, attempts=8)]) as sim:
        assert fetch(sim, connection, retry=md.RetryPolicy(attempts=2, first_delay=0.01)).failed_page_indices == (2,)
        (missing,) = [each for each in history(connection).pages if each.state == "missing"]
        assert [step.what for step in missing.steps] == ["failed", "backoff", "failed"] * 2
        assert fetch(sim, connection, retry=md.RetryPolicy(attempts=5, first_delay=0.01)).is_complete
    known = history(connection)
    assert {(each.index, each.state) for each in known.pages if each.index == 2} == {(2, "left"), (2, "committed")}
    assert [run.note for run in known.runs] == ["1 of 5 pages are missing", None]
    assert known.runs[0].ended_at <= known.runs[1].started_at


def test_requests_that_a_stop_cut_short_are_kept(connection):
    def stop(progress):
        raise KeyboardInterrupt

    silent = Fault("hang", page=3, attempts=None)
    with Simulator(Population(200, seed=1), faults=[silent]) as sim, pytest.raises(KeyboardInterrupt):
        fetch(sim, connection, on_batch_complete=lambda progress: progress.page_index == 9 and stop(progress))
    known = history(connection)
    assert ["stopped"] in [[step.what for step in each.steps] for each in known.pages if each.index == 3]
    assert known.runs[0].note == "interrupted by KeyboardInterrupt"


def test_a_page_0_that_never_came_is_kept(connection):
    busy = Fault("status", status=503, attempts=None)
    with Simulator(Population(20, seed=1), faults=[busy]) as sim, pytest.raises(md.ServerError):
        fetch(sim, connection, retry=md.RetryPolicy(attempts=2, first_delay=0.01))
    (only,) = history(connection).pages
    assert (only.index, only.state, len(only.steps)) == (0, "left", 3)


def test_a_client_of_ones_own_has_times_too(connection):
    class Mine:
        def __init__(self, client):
            self.client = client
            self.calls = 0

        def query_engage_page(self, page, *, session_id=None, **filters):
            self.calls += 1
            if self.calls == 3:
                raise OSError("my cable")
            return self.client.query_engage_page(page, session_id=session_id, **filters)

    with Simulator(Population(100, seed=1)) as sim, client_of(sim, retry=QUICK) as client:
        md.fetch_profiles(connection, client=Mine(client), page_size=20)
    assert list(steps(connection).values()) == [["failed"]]


def test_a_journal_of_version_1_is_read_as_it_is(connection):
    with ProfileStore(connection) as store:
        fill(store, [page(0, "a"), page(1, "b")])
    old_journal(connection)
    known = history(connection)
    assert (known.runs, [each.steps for each in known.pages]) == ((), [(), ()])


@pytest.mark.parametrize("version", [1, 2])
def test_a_fetch_that_an_older_version_began_goes_on(connection, version):
    with ProfileStore(connection) as store:
        with opened(store, total=2) as (first, writer):
            put(writer, [page(0, "a")])
        store.leave(first, note="a page failed")
        old_journal(connection, version)
        again = store.begin(SPEC)
        assert again.fetch_id == first.fetch_id
        with store.writer(again) as writer:
            put(writer, [page(1, "b")])
        store.publish(again, if_exists="error", staged=store.staged(again))
    assert connection.execute("SELECT DISTINCT schema_version FROM _mixpanel_fetches").fetchall() == [(SCHEMA_VERSION,)]
    known = history(connection)
    assert (len(known.runs), [each.index for each in known.pages]) == (version, [0, 1])
    assert connection.execute("SELECT distinct_id FROM profiles ORDER BY ALL").fetchall() == [("a",), ("b",)]


def test_a_journal_is_read_in_its_own_order_whatever_order_a_caller_has_made_the_default(connection):
    with ProfileStore(connection) as store:
        fill(store, [page(index, f"n{index}") for index in range(5)])
        fill(store, [page(0, "other")], FetchSpec("others", "{}"))
        expected = history_of(store.reader(), store.fetches()[-1].fetch_id)
        connection.execute("SET default_order = 'DESC'").execute("SET default_null_order = 'NULLS_FIRST'")
        assert [each.table for each in store.fetches()] == ["others", "profiles"]
        found = history_of(store.reader(), store.fetches()[-1].fetch_id)
    assert [each.index for each in found.pages] == [each.index for each in expected.pages] == [0, 1, 2, 3, 4]


def test_a_journal_of_a_newer_version_is_refused(connection):
    with ProfileStore(connection) as store:
        fill(store, [page(0, "a")])
        connection.execute("UPDATE _mixpanel_fetches SET schema_version = schema_version + 1")
        with pytest.raises(StorageError, match=f"newer than this package's {SCHEMA_VERSION}"):
            store.begin(SPEC)


def test_steps_are_json_that_sql_can_ask(connection):
    with Simulator(Population(60, seed=1), faults=[Fault("status", page=1, status=502)]) as sim:
        fetch(sim, connection)
    ((text,),) = connection.execute("SELECT steps FROM _mixpanel_pages WHERE steps IS NOT NULL").fetchall()
    assert set(json.loads(text)[0]) == {"what", "started", "ended", "worker", "why"}
    asked = "SELECT step->>'what' FROM (SELECT unnest(steps::JSON[]) AS step FROM _mixpanel_pages)"
    assert connection.execute(asked).fetchall() == [("failed",), ("backoff",)]
