"""What other threads and other fetches do while a table is published into a DuckDB file, and before and after."""

import os
import shutil
import stat
import subprocess
import sys
import threading

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, fetch, served, stored, wait_until
from mixpanel_duckdb.jobs import read_jobs, run_jobs
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store import elsewhere, targets
from mixpanel_duckdb.store.targets import attached, publishing

BEFORE, AFTER = Population(60, seed=1), Population(70, seed=2)
HOLDER = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading"):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held():
    """A way to have another process hold a file."""
    processes = []

    def hold(path, how):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "open\n"

    yield hold
    for process in processes:
        process.communicate(timeout=LONGEST)


def pausing(waiting):
    """``Target.pause``, which tells that somebody waits."""
    own = md.Target.pause

    def pause(self, seconds):
        waiting.set()
        own(self, seconds)

    return pause


def people(*versions):
    """Profiles ``a``, ``b``, ... of these versions."""
    return Population.of(
        [
            {"$distinct_id": name, "$properties": {"version": each}}
            for name, each in zip("abcdef", versions, strict=False)
        ]
    )


@pytest.fixture
def behind_commit(monkeypatch):
    """A way to have something done when the target has committed, while it is still attached."""

    def have(done):
        own = publishing.again_and_again

        def again(site, work):
            outcome = own(site, work)
            done()
            return outcome

        monkeypatch.setattr(publishing, "again_and_again", again)

    return have


def test_a_new_file_is_whole_though_another_thread_is_in_a_transaction(work, other, held, behind_commit, tmp_path):
    with Simulator(BEFORE) as sim:
        fetch(sim, work, into=md.Target(other))
    held(other, "reading")
    with duckdb.connect(work) as mine, mine.cursor() as looking:

        def look():
            looking.execute("BEGIN")
            looking.execute("SELECT count(*) FROM duckdb_tables()").fetchall()

        behind_commit(look)
        with Simulator(AFTER) as sim:
            assert fetch(sim, work, into=md.Target(other), if_exists="replace", allow_other=True).published
        assert [name for name in os.listdir(tmp_path) if ".part" in name] == []
        # What a process finds that opens it after this one was killed.
        shutil.copy(other, tmp_path / "found.duckdb")
        looking.execute("ROLLBACK")
    assert stored(str(tmp_path / "found.duckdb")) == served(AFTER)


def test_a_fetch_begins_while_another_one_publishes_into_the_same_file(work, other, monkeypatch, behind_commit):
    beginning = threading.Event()
    own = elsewhere._refuse_same_file

    def begins(*args):
        if threading.current_thread().name == "second":
            beginning.set()
        own(*args)

    monkeypatch.setattr(elsewhere, "_refuse_same_file", begins)
    behind_commit(lambda: threading.current_thread().name == "second" or beginning.wait(LONGEST))
    outcomes = {}

    def run(table):
        outcomes[table] = fetch(sim, work, table, into=md.Target(other, lock_wait=LONGEST))

    with Simulator(BEFORE) as sim, md.ProfileStore(work):
        threads = [threading.Thread(target=run, args=(name,), name=name) for name in ("first", "second")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONGEST)
    assert {table: each.published for table, each in outcomes.items()} == {"first": True, "second": True}
    assert stored(other, "first") == stored(other, "second") == served(BEFORE)


def test_what_this_process_has_just_detached_is_waited_for_but_not_what_it_has_open(work, other):
    with Simulator(BEFORE) as sim, duckdb.connect(other), pytest.raises(md.StorageError, match="has it open"):
        fetch(sim, work, into=md.Target(other, lock_wait=LONGEST))
    assert sim.requests == []


def test_a_fetch_that_started_over_is_not_taken_for_published(work, other, monkeypatch):
    class Killed(BaseException):
        pass

    def publish_and_die(*args):
        publishing.publish_into(*args)
        raise Killed

    doubled = Population.of([*people(1).profiles(), *people(1, 1).profiles()])
    with Simulator(doubled) as sim:
        with monkeypatch.context() as patched:
            patched.setattr(targets, "publish_into", publish_and_die)
            with pytest.raises(Killed):
                fetch(sim, work, into=md.Target(other), tolerance=1)
        sim.replace_population(people(2, 2, 2))
        result = fetch(sim, work, into=md.Target(other))
    assert (result.published, result.added_rows, result.changed_rows) == (True, 1, 2)
    assert stored(other) == served(people(2, 2, 2))


def test_what_a_file_was_fetched_into_directly_holds_is_not_replaced_by_another_project(work, other):
    with Simulator(BEFORE, project_id="11") as sim:
        fetch(sim, other)
    with Simulator(AFTER, project_id="22") as sim:
        with pytest.raises(md.UnsuitableTableError, match="holds project 11"):
            fetch(sim, work, into=md.Target(other), if_exists="replace")
        assert sim.requests == []
        assert fetch(sim, work, into=md.Target(other), if_exists="replace", allow_other=True).published
    with Simulator(BEFORE, project_id="11") as sim, pytest.raises(md.UnsuitableTableError, match="holds project 22"):
        fetch(sim, other, if_exists="replace")
    with Simulator(BEFORE, project_id="22") as sim:
        assert fetch(sim, work, into=md.Target(other), if_exists="replace").published
        assert fetch(sim, other, if_exists="replace").published
    assert stored(other) == served(BEFORE)


@pytest.mark.parametrize("way", ["new", "in place", "a copy"])
def test_nobody_reads_the_target_during_a_publish_who_may_not_read_it_afterwards(
    work, other, held, behind_commit, tmp_path, way
):
    before = os.umask(0o022)
    try:
        if way != "new":
            with Simulator(BEFORE) as sim:
                fetch(sim, work, into=md.Target(other))
        if way == "a copy":
            held(other, "reading")
        modes = {}
        behind_commit(
            lambda: modes.update(
                {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if "other" in path.name}
            )
        )
        with Simulator(AFTER) as sim:
            fetch(sim, work, into=md.Target(other), if_exists="replace", allow_other=True)
    finally:
        os.umask(before)
    assert len(modes) > 1
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("schema", ["MAIN", "Crm"])
def test_a_schema_is_found_however_its_name_is_written(work, other, schema):
    for written in (schema, schema.lower(), schema.upper()):
        with Simulator(BEFORE, project_id="11") as sim:
            target = md.Target(other, schema=written, union_view="everybody")
            assert fetch(sim, work, into=target, if_exists="replace").published
    with Simulator(AFTER, project_id="22") as sim, pytest.raises(md.UnsuitableTableError, match="holds project 11"):
        fetch(sim, work, into=md.Target(other, schema=schema.swapcase()), if_exists="replace")


def test_a_stop_ends_the_wait_for_a_target_and_nobody_else_waits_for_it(work, other, held, tmp_path, monkeypatch):
    waiting, stop, raised = threading.Event(), threading.Event(), []
    monkeypatch.setattr(md.Target, "pause", pausing(waiting))
    with duckdb.connect(other) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    held(other, "writing")

    def run(sim):
        with pytest.raises(md.FetchStopped) as caught:
            fetch(sim, work, into=md.Target(other, lock_wait=LONGEST * 2), stop=stop)
        raised.append(caught.value)

    with Simulator(BEFORE) as sim:
        thread = threading.Thread(target=run, args=(sim,))
        thread.start()
        assert waiting.wait(LONGEST)
        assert fetch(sim, str(tmp_path / "a third.duckdb")).published
        asked = len(sim.requests)
        assert thread.is_alive()
        stop.set()
        thread.join(LONGEST)
    assert raised
    assert len(sim.requests) == asked


def test_an_interrupt_of_sync_ends_the_wait_of_its_jobs_for_a_target(work, other, held, monkeypatch):
    waiting = threading.Event()
    monkeypatch.setattr(md.Target, "pause", pausing(waiting))
    with duckdb.connect(other) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    held(other, "writing")

    class Together:
        say = staticmethod(str)

        def draw(self, runs):
            if waiting.is_set():
                raise KeyboardInterrupt

        def close(self):
            pass

    with Simulator(BEFORE) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        jobs = read_jobs({"profiles": [{"database": work, "into": other, "lock_wait": LONGEST * 2}]})
        with pytest.raises(KeyboardInterrupt):
            run_jobs(jobs, together=Together())
    assert sim.requests == []
    wait_until(lambda: not [each for each in threading.enumerate() if each.name.startswith("mp-sync")])


def test_what_a_setup_file_attaches_goes_again_so_that_it_can_be_run_for_each_publish(work, other, tmp_path):
    setup = tmp_path / "setup.sql"
    setup.write_text("ATTACH ':memory:' AS helper; CREATE TABLE helper.one AS SELECT 1 AS a;")
    target = md.Target(other, setup=setup)
    with Simulator(BEFORE) as sim, duckdb.connect(work) as mine:
        for _ in range(2):
            assert fetch(sim, mine, into=target, if_exists="replace").published
        names = {name for (name,) in mine.execute("SELECT database_name FROM duckdb_databases()").fetchall()}
    assert names.isdisjoint({"helper", "other"})


@pytest.mark.parametrize("with_setup", [True, False])
def test_what_another_run_attaches_while_a_target_is_prepared_stays(tmp_path, monkeypatch, with_setup):
    (tmp_path / "setup.sql").write_text("ATTACH ':memory:' AS of_the_setup")
    own = attached.set_up
    with duckdb.connect() as connection, connection.cursor() as another:

        def beside(cursor, setup):
            own(cursor, setup)
            another.execute("ATTACH ':memory:' AS _mixpanel_memory_1")

        monkeypatch.setattr(attached, "set_up", beside)
        with attached.prepared(connection, tmp_path / "setup.sql" if with_setup else None, "x", ()):
            another.execute("CREATE TEMPORARY SECRET of_another (TYPE http, BEARER_TOKEN 'x')")
        left = "SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY database_name ASC"
        assert another.execute(left).fetchall() == [("_mixpanel_memory_1",), ("memory",)]
        assert another.execute("SELECT name FROM duckdb_secrets()").fetchall() == [("of_another",)]
