"""G2 and G3: rows and journal commit together, and a fetch goes on where it stopped."""

import inspect
import threading
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb import DatabaseLockedError, ProfileStore, QueryError, StorageError
from mixpanel_duckdb.arguments import RESUME_MAX_AGE
from mixpanel_duckdb.engage.page import EngagePage
from mixpanel_duckdb.store import Claim, FetchSpec, PageWrite
from mixpanel_duckdb.store.journal import Journal
from store.storing import SPEC, fill, opened, page, publish, put, rows_of


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def store(connection):
    with ProfileStore(connection) as store:
        yield store


def reopened(store, spec):
    """A fetch begun once more, in a session of its own."""
    return store.opened(store.begin(spec), session_id="t", total=2, page_size=1)


def staging_tables(connection):
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%staging%'").fetchall()
    return {name for (name,) in found}


def counts(connection, fetch):
    rows = connection.execute(f'SELECT count(*) FROM "{fetch.staging}"').fetchone()[0]
    return rows, connection.execute("SELECT count(*) FROM _mixpanel_pages").fetchone()[0]


def age(connection, seconds):
    """Make everything in the journal older."""
    connection.execute(f"UPDATE _mixpanel_fetches SET updated_at = updated_at - to_seconds({seconds})")
    connection.execute(f"UPDATE _mixpanel_pages SET committed_at = committed_at - to_seconds({seconds})")


def test_a_group_is_committed_with_its_journal(connection, store):
    with opened(store, total=5, page_size=2) as (fetch, writer):
        receipts = put(writer, [page(1, "c", "d", expected_rows=2, worker="w1"), page(0, "a", "b")])
        assert [(each.index, each.rows, each.problem) for each in receipts] == [(1, 2, None), (0, 2, None)]
        assert [row.distinct_id for row in rows_of(connection, fetch.staging)] == ["c", "d", "a", "b"]
        journal = connection.execute(
            "SELECT page_index, state, rows, bytes, worker, committed_at IS NOT NULL FROM _mixpanel_pages ORDER BY 1"
        ).fetchall()
        size = len(page(1, "c", "d").page.body)
        assert journal == [(0, "committed", 2, size, None, True), (1, "committed", 2, size, "w1", True)]
        (record,) = store.fetches()
        assert (record.pages_done, record.pages_missing, record.rows, record.state) == (2, (2,), 4, "running")


@pytest.mark.parametrize(
    ("table", "change", "back"),
    [
        ("_mixpanel_pages", "RENAME COLUMN worker TO unexpected", "RENAME COLUMN unexpected TO worker"),
        ("staging", "ADD COLUMN unexpected INTEGER", "DROP COLUMN unexpected"),
    ],
)
def test_a_write_that_fails_in_the_middle_leaves_neither_rows_nor_journal(connection, store, table, change, back):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
        name = fetch.staging if table == "staging" else table
        connection.execute(f'ALTER TABLE "{name}" {change}')
        with pytest.raises(StorageError, match="Could not store page 1"):
            put(writer, [page(1, "b")])
        assert counts(connection, fetch) == (1, 1)
        connection.execute(f'ALTER TABLE "{name}" {back}')
        assert put(writer, [page(1, "b")])[0].problem is None
        assert counts(connection, fetch) == (2, 2)


def test_a_page_that_is_short_or_unreadable_is_refused_and_its_neighbours_are_stored(connection, store):
    with opened(store, total=5) as (fetch, writer):
        broken = PageWrite(EngagePage.from_body(2, b'{"page":2,"results":[{"$distinct_id":"x",oops}]}'))
        receipts = put(writer, [page(0, "a", expected_rows=1), page(1, "b", expected_rows=3), broken])
        assert receipts[0].problem is None
        assert receipts[1].problem == "it has 1 profile instead of 3"
        assert receipts[2].problem.startswith("the rows are not valid JSON")
        assert counts(connection, fetch) == (1, 1)
        assert put(writer, [page(1, "b", expected_rows=3, last_try=True)])[0].problem is None
        assert [row.distinct_id for row in rows_of(connection, fetch.staging)] == ["a", "b"]


def test_a_group_in_which_every_page_is_refused_writes_nothing(connection, store):
    with opened(store) as (fetch, writer):
        assert put(writer, [page(0, "a", expected_rows=9)])[0].problem
        assert counts(connection, fetch) == (0, 0)


def test_one_group_is_staged_while_another_is_committed(connection, store):
    with opened(store, total=40) as (fetch, writer):
        staged = [writer.stage([page(0, "p0")])]
        errors = []

        def commit():
            try:
                writer.commit([staged.pop()])
            except BaseException as error:
                errors.append(error)

        for index in range(1, 40):
            thread = threading.Thread(target=commit)
            thread.start()
            group = writer.stage([page(index, f"p{index}")])
            thread.join()
            staged.append(group)
        writer.commit([staged.pop()])
        assert errors == []
        assert counts(connection, fetch) == (40, 40)


def test_an_interrupted_fetch_goes_on_with_its_session_and_its_pages(connection, store):
    with opened(store, total=3) as (fetch, writer):
        put(writer, [page(2, "c"), page(0, "a")])
    store.leave(fetch, note="a page failed", missing=[(1, "502")])
    (record,) = store.fetches()
    assert (record.state, record.resumable, record.note, record.pages_missing) == (
        "incomplete",
        True,
        "a page failed",
        (1,),
    )
    assert connection.execute("SELECT page_index, error FROM _mixpanel_pages WHERE state='missing'").fetchall() == [
        (1, "502")
    ]
    again = store.begin(SPEC)
    assert (again.fetch_id, again.staging, again.session_id, again.total, again.page_size) == (
        fetch.fetch_id, fetch.staging, "s", 3, 1,
    )  # fmt: skip
    assert again.committed == ((0, 1), (2, 1))
    with store.writer(again) as writer:
        put(writer, [page(1, "b")])
    publish(store, again)
    assert sorted(row.distinct_id for row in rows_of(connection)) == ["a", "b", "c"]
    (record,) = store.fetches()
    assert (record.state, record.pages_missing, record.resumable, record.note) == ("complete", (), False, None)
    assert staging_tables(connection) == set()


def test_a_killed_run_is_taken_over(tmp_path):
    path = str(tmp_path / "killed.duckdb")
    with ProfileStore(path) as store, opened(store, total=2) as (_, writer):
        put(writer, [page(0, "a")])
        # As another process would find it: the owner's token is nobody's.
        with duckdb.connect(path) as connection:
            connection.execute("UPDATE _mixpanel_fetches SET owner_token = 'of a process that is gone'")
        (record,) = store.fetches()
        assert (record.state, record.resumable, record.note) == ("incomplete", True, "The run was killed.")
        assert store.begin(SPEC).committed == ((0, 1),)


def test_two_runs_of_one_process_never_write_one_table(connection, store):
    with opened(store):
        with pytest.raises(DatabaseLockedError, match="Another run"):
            store.begin(SPEC)
        with ProfileStore(connection) as other, pytest.raises(DatabaseLockedError, match="'Profiles'"):
            other.begin(FetchSpec("Profiles", "{}"))
        store.leave(store.begin(FetchSpec("others", "{}")), note=None)


@pytest.mark.parametrize(
    "other",
    [
        FetchSpec("profiles", '{"where":"x"}', SPEC.project_id, SPEC.host),
        FetchSpec("profiles", "{}", "2", SPEC.host),
        FetchSpec("profiles", "{}", SPEC.project_id, "https://elsewhere"),
        FetchSpec("others", "{}", SPEC.project_id, SPEC.host),
    ],
)
def test_only_the_very_same_fetch_is_gone_on_with(connection, store, other):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
    store.leave(fetch, note=None)
    started = reopened(store, other)
    assert started.committed == ()
    assert staging_tables(connection) == {fetch.staging, started.staging}
    store.leave(started, note=None)
    assert store.begin(SPEC).committed == ((0, 1),)


def test_without_resume_the_same_fetch_starts_over_and_leaves_nothing_behind(connection, store):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
    store.leave(fetch, note=None)
    started = store.begin(SPEC, resume=False)
    assert started.committed == ()
    assert staging_tables(connection) == {fetch.staging}
    started = store.opened(started, session_id="t", total=2, page_size=1)
    assert staging_tables(connection) == {started.staging}
    assert len(store.fetches()) == 1


def test_a_fetch_whose_session_is_too_old_is_not_gone_on_with_and_is_cleaned_up(connection, store):
    other = FetchSpec("profiles", '{"where":"x"}')
    for spec in (SPEC, other):
        with opened(store, spec) as (fetch, writer):
            put(writer, [page(0, "a")])
        store.leave(fetch, note=None)
    age(connection, RESUME_MAX_AGE + 100)
    ages = [datetime.now(UTC) - record.updated_at for record in store.fetches()]
    assert [each > timedelta(seconds=RESUME_MAX_AGE) for each in ages] == [True, True]
    started = reopened(store, SPEC)
    assert started.committed == ()
    assert staging_tables(connection) == {started.staging}
    store.leave(started, note=None)


def test_an_older_session_is_trusted_if_the_caller_says_so(connection, store):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
    store.leave(fetch, note=None)
    age(connection, RESUME_MAX_AGE + 100)
    assert store.begin(SPEC, resume_max_age=RESUME_MAX_AGE + 400).fetch_id == fetch.fetch_id


def test_a_fetch_that_the_next_run_will_drop_is_not_called_resumable(connection, store):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
    store.leave(fetch, note=None)
    assert (store.fetches()[0].resumable, store.fetches()[0].next_step) == (True, "goes on from there")
    age(connection, RESUME_MAX_AGE + 60)
    assert (store.fetches()[0].resumable, store.fetches()[0].next_step) == (False, "starts over")
    assert store.begin(SPEC).dropped_pages == 1
    for call in (md.fetch_profiles, md.ParallelProfileFetcher.fetch_profiles, type(store).begin):
        assert inspect.signature(call).parameters["resume_max_age"].default == RESUME_MAX_AGE


def test_a_fetch_without_a_committed_page_is_not_gone_on_with(connection, store):
    store.leave(store.begin(SPEC), note="401")
    assert not store.fetches()[0].resumable
    store.leave(store.begin(SPEC), note="401")
    assert reopened(store, SPEC).committed == ()
    assert len(store.fetches()) == len(staging_tables(connection)) == 1


def test_starting_over_keeps_the_rows_until_the_next_session_is_open(connection, store):
    with opened(store) as (fetch, writer):
        put(writer, [page(0, "a")])
    started = store.starting_over(fetch)
    assert started.committed == ()
    assert staging_tables(connection) == {fetch.staging}
    assert store.fetches()[0].pages_done == 1
    started = store.opened(started, session_id="t", total=2, page_size=1)
    assert staging_tables(connection) == {started.staging}
    assert connection.execute("SELECT count(*) FROM _mixpanel_pages").fetchone() == (0,)
    store.leave(started, note=None)
    assert store.begin(SPEC)


def test_a_run_that_cannot_open_its_next_session_leaves_what_there_was(store):
    with opened(store, total=3) as (fetch, writer):
        put(writer, [page(0, "a")])
    store.leave(store.starting_over(fetch), note="the server is down")
    again = store.begin(SPEC)
    assert (again.session_id, again.committed) == ("s", ((0, 1),))


def test_a_late_writer_stores_nothing_once_another_run_has_the_fetch(connection, store):
    with opened(store, total=3) as (fetch, late):
        put(late, [page(0, "a")])
        store.leave(fetch, note="its writer did not end in time")
        again = store.begin(SPEC)
        with pytest.raises(StorageError, match="Another run has taken this fetch over"):
            put(late, [page(1, "b")])
        with store.writer(again) as writer:
            put(writer, [page(1, "b"), page(2, "c")])
    publish(store, again)
    assert sorted(row.distinct_id for row in rows_of(connection)) == ["a", "b", "c"]


@pytest.mark.parametrize("step", ["claim", "opened"])
def test_an_interrupt_behind_begin_leaves_no_transaction_open(monkeypatch, connection, store, step):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, step, interrupted)
        claim = Claim()
        with pytest.raises(KeyboardInterrupt):
            store.opened(store.begin(SPEC, claim=claim), session_id="s", total=2, page_size=1)
        claim.release()
    with opened(store) as (fetch, _):
        store.leave(fetch, note=None)


def test_the_journal_keeps_one_complete_fetch_a_table(connection, store):
    for _ in range(3):
        fill(store, [page(0, "a")], if_exists="replace")
    assert [record.state for record in store.fetches()] == ["complete"]
    assert connection.execute("SELECT count(*) FROM _mixpanel_pages").fetchone() == (1,)


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(connection, store):
    fill(store, [page(0, "a")])
    connection.execute("UPDATE _mixpanel_fetches SET schema_version = 99")
    with pytest.raises(StorageError, match=r"schema version 99.*upgrade mixpanel-duckdb"):
        store.begin(FetchSpec("others", "{}"))
    assert staging_tables(connection) == set()


@pytest.mark.parametrize("name", ["_mixpanel_pages", "_MIXPANEL_mine", "", " "])
def test_the_journals_names_are_refused(store, name):
    with pytest.raises(QueryError, match="cannot be a table's name"):
        store.begin(FetchSpec(name, "{}"))


def test_queries_of_the_last_hour_are_counted_for_each_project(connection, store):
    assert store.queries_last_hour("1", "h") == 0
    store.count_queries("1", "h", 3)
    store.count_queries("2", "h")
    store.count_queries("1", "other")
    assert store.queries_last_hour("1", "h") == 3
    connection.execute("UPDATE _mixpanel_queries SET asked_at = asked_at - INTERVAL 61 MINUTE")
    assert store.queries_last_hour("1", "h") == 0
    connection.execute("UPDATE _mixpanel_queries SET asked_at = asked_at - INTERVAL 1 DAY")
    store.count_queries("1", "h")
    assert connection.execute("SELECT count(*) FROM _mixpanel_queries").fetchone() == (1,)


def of_two_threads(work):
    """Do something in two threads at once; give what was raised."""
    raised, together = [], threading.Barrier(2)

    def run(number):
        together.wait()
        try:
            for _ in range(20):
                work(number)
        except Exception as error:
            raised.append(repr(error))

    threads = [threading.Thread(target=run, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.parametrize("shared", [True, False], ids=["one store", "two stores of one file"])
def test_queries_are_counted_from_two_threads_at_once(tmp_path, shared):
    with ProfileStore(tmp_path / "a.duckdb") as one, ProfileStore(tmp_path / "a.duckdb") as two:
        stores = [one, one if shared else two]
        assert of_two_threads(lambda number: stores[number].count_queries("1", "h")) == []
        assert one.queries_last_hour("1", "h") == 40


def test_a_store_tells_of_its_fetches_and_queries_while_another_thread_writes_through_it(store):
    def look_and_count(_):
        assert [record.state for record in store.fetches()] == ["running"]
        store.count_queries("1", "h")
        store.queries_last_hour("1", "h")

    with opened(store, total=20) as (fetch, writer):
        thread = threading.Thread(target=lambda: [put(writer, [page(number, f"p{number}")]) for number in range(20)])
        thread.start()
        assert of_two_threads(look_and_count) == []
        thread.join()
        assert store.staged(fetch).rows == 20


def test_a_record_is_told_in_plain_values_without_the_session(store):
    with opened(store):
        (record,) = store.fetches("profiles")
        told = record.to_dict()
    assert "session_id" not in told
    assert "'s'" not in repr(record)
    assert told["pages_missing"] == [0, 1]
    assert datetime.fromisoformat(told["started_at"]).utcoffset() == timedelta(0)
    assert store.fetches("nobody's") == []


def test_a_session_ages_from_its_last_committed_page_not_from_the_last_run(tmp_path):
    spec = FetchSpec("profiles", "{}")
    with ProfileStore(tmp_path / "a.duckdb") as store:
        fetch = store.opened(store.begin(spec), session_id="s", total=2, page_size=1)
        with store.writer(fetch) as writer:
            put(writer, [PageWrite(EngagePage.from_body(0, b'{"results":[{"$distinct_id":"a"}],"total":2}'), 1)])
        store.leave(fetch, note="stopped")
        again = store.begin(spec)
        assert again.committed == ((0, 1),)
        store.leave(again, note="a run that brought nothing")
        with duckdb.connect(str(tmp_path / "a.duckdb")) as other:
            other.execute("UPDATE _mixpanel_pages SET committed_at = committed_at - INTERVAL 7 HOURS")
        assert store.begin(spec).committed == ()


def test_a_file_does_not_grow_with_the_number_of_runs(tmp_path):
    path = tmp_path / "x.duckdb"
    sizes = []
    for _ in range(12):
        with ProfileStore(path) as store:
            store.count_queries("1", "http://127.0.0.1")
            fill(store, [page(0, "a", "b")], if_exists="replace")
        sizes.append(path.stat().st_size)
    assert sizes[-1] < 2.3 * sizes[0], sizes
    with ProfileStore(path) as store:
        assert store.queries_last_hour("1", "http://127.0.0.1") == 12
