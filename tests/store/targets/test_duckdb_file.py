"""A table published into another DuckDB file: once, completely, and beside whoever reads that file."""

import os
import subprocess
import sys
import threading
import uuid
from collections import Counter

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import fetch, served, stored
from mixpanel_duckdb.cli import main
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store import targets
from mixpanel_duckdb.store.database import Tuning
from mixpanel_duckdb.store.journal import Claim, FetchSpec, OpenFetch
from mixpanel_duckdb.store.tables import Terms
from mixpanel_duckdb.store.targets import duckdb_file, publishing
from mixpanel_duckdb.store.targets.common import is_in_use

BEFORE, AFTER = Population(120, seed=1), Population(110, seed=2)
READER = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=len(sys.argv) == 2) as connection:
    print("open", flush=True)
    for line in sys.stdin:
        print(connection.execute("SELECT count(*) FROM profiles").fetchone()[0], flush=True)
"""


def published(population, work, target, **options):
    """One run; its result, and how many requests it took."""
    with Simulator(population) as sim:
        result = fetch(sim, work, into=target, allow_other=True, **options)
        return result, len(sim.requests)


def counts(result):
    return result.added_rows, result.changed_rows, result.removed_rows, result.unchanged_rows


def expected_counts(before, after):
    old, new = ({row[0]: row for row in served(each)} for each in (before, after))
    both = old.keys() & new.keys()
    changed = sum(old[name] != new[name] for name in both)
    return len(new.keys() - old.keys()), changed, len(old.keys() - new.keys()), len(both) - changed


class Reader:
    """Another process that has a file open for reading, or also for writing."""

    def __init__(self, path, *writing):
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER, path, *writing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "open\n"

    def count(self):
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.communicate()


def test_rows_go_into_the_target_and_the_database_keeps_none(work, other):
    result, _ = published(BEFORE, work, md.Target(other))
    assert stored(other) == served(BEFORE)
    assert (result.target, result.published, result.is_complete) == (other, True, True)
    assert result.to_dict()["target"] == other
    assert counts(result) == (120, 0, 0, 0)
    with duckdb.connect(work) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    assert not [name for (name,) in names if name == "profiles" or "staging" in name]


def test_a_replace_writes_and_counts_what_changed_and_leaves_the_new_population(work, other):
    published(BEFORE, work, md.Target(other))
    result, _ = published(AFTER, work, md.Target(other), if_exists="replace")
    assert stored(other) == served(AFTER)
    assert counts(result) == expected_counts(BEFORE, AFTER)
    again, _ = published(AFTER, work, md.Target(other), if_exists="replace")
    assert counts(again) == (0, 0, 0, 110)


def test_a_replace_keeps_the_tables_identity_and_its_views(work, other):
    published(BEFORE, work, md.Target(other))
    with duckdb.connect(other) as connection:
        connection.execute("CREATE VIEW names AS SELECT distinct_id FROM profiles")
    published(AFTER, work, md.Target(other), if_exists="replace")
    with duckdb.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM names").fetchall() == [(110,)]


def test_a_merge_keeps_what_was_not_fetched(work, other):
    published(BEFORE, work, md.Target(other))
    result, _ = published(AFTER, work, md.Target(other), if_exists="merge")
    rows = {row[0]: row for row in served(BEFORE)} | {row[0]: row for row in served(AFTER)}
    assert stored(other) == Counter(rows.values())
    added, changed, removed, unchanged = expected_counts(BEFORE, AFTER)
    assert counts(result) == (added, changed, 0, unchanged + removed)


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_rows_without_an_id_are_there_as_often_as_they_were_sent(work, other, if_exists):
    nameless = [b'{"$properties":{"a":1}}', b'{"$properties":{"a":1}}', b'{"$distinct_id":"x","$properties":{}}']
    published(Population.raw(nameless), work, md.Target(other))
    more = [*nameless, b'{"$properties":{"a":2}}']
    result, _ = published(Population.raw(more), work, md.Target(other), if_exists=if_exists)
    assert counts(result) == (1, 0, 0, 3)
    assert sum(stored(other).values()) == 4


def publish_day(connection, day, rows, other):
    """Publish so many profiles, each with the day in it; say how many were changed by that."""
    connection.execute(
        f"CREATE TABLE day{day} AS SELECT 'u-' || i AS distinct_id, TIMESTAMP '2026-01-0{day}' AS last_seen, "
        f"json_object('day', {day}, 'text', repeat(md5(i::VARCHAR), 20)) AS properties FROM range({rows}) t(i)"
    )
    tuning = Tuning(connection, ours=False, limit_memory=False)
    fetched = OpenFetch(f"{day}", f"day{day}", FetchSpec("profiles", "{}", "1"), Claim())
    terms = Terms(if_exists="replace", allow_other=True)
    name = f"work.main.day{day}"
    return targets.publish_into(
        connection.cursor(), targets.Target(other), fetched, terms, name, tuning
    ).changes.changed


def days_told(other):
    told = "SELECT count(DISTINCT distinct_id), count(*), min(properties->>'day'), max(properties->>'day')"
    with duckdb.connect(other, read_only=True) as connection:
        return connection.execute(f"{told} FROM profiles").fetchall()


def test_a_refresh_of_every_profile_takes_less_memory_than_they_have(tmp_path, other):
    with duckdb.connect(str(tmp_path / "work.duckdb"), config={"memory_limit": "100MB", "threads": 1}) as connection:
        publish_day(connection, 1, 60_000, other)  # 40 MB
        assert publish_day(connection, 2, 60_000, other) == 60_000
    assert days_told(other) == [(60_000, 60_000, "2", "2")]


@pytest.mark.parametrize(
    "keys",
    [
        "ALTER TABLE profiles ADD PRIMARY KEY (distinct_id)",
        "CREATE UNIQUE INDEX ids ON profiles (distinct_id)",
        "CREATE INDEX ids ON profiles (distinct_id)",
        "ALTER TABLE profiles ALTER properties SET NOT NULL",
    ],
)
def test_a_refresh_keeps_the_keys_that_somebody_gave_the_table(tmp_path, other, keys):
    with duckdb.connect(str(tmp_path / "work.duckdb")) as connection:
        publish_day(connection, 1, 3_000, other)
        with duckdb.connect(other) as owner:
            owner.execute(keys)
        assert publish_day(connection, 2, 3_000, other) == 3_000
    assert days_told(other) == [(3_000, 3_000, "2", "2")]
    with duckdb.connect(other) as connection:
        found = connection.execute("SELECT properties->>'day' FROM profiles WHERE distinct_id = 'u-777'").fetchall()
        assert found == [("2",)]
        kept = "SELECT (SELECT count(*) FROM duckdb_indexes()) + (SELECT count(*) FROM duckdb_constraints())"
        assert connection.execute(kept).fetchall()[0][0] >= 1


MAY_REFUSE = {
    "NOT NULL of 'last_seen'": "ALTER TABLE profiles ALTER last_seen SET NOT NULL",
    "NOT NULL of 'distinct_id'": "ALTER TABLE profiles ALTER distinct_id SET NOT NULL",
    "PRIMARY KEY(distinct_id, last_seen)": "ALTER TABLE profiles ADD PRIMARY KEY (distinct_id, last_seen)",
    "unique index 'newest'": "CREATE UNIQUE INDEX newest ON profiles (last_seen)",
    "foreign key of table 'orders'": "ALTER TABLE profiles ADD PRIMARY KEY (distinct_id);"
    "CREATE TABLE orders (who VARCHAR REFERENCES profiles (distinct_id))",
}


@pytest.mark.parametrize("what", MAY_REFUSE)
def test_a_table_that_may_refuse_profiles_is_refused_before_the_first_request(work, other, what):
    into = md.Target(other, schema="crm")
    published(BEFORE, work, into)
    with duckdb.connect(other) as owner:
        owner.execute("CREATE TABLE main.orders (id INTEGER PRIMARY KEY)")  # of no interest
        owner.execute(f"USE crm; DELETE FROM profiles; {MAY_REFUSE[what]}")
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError) as refused:
        fetch(sim, work, into=into, if_exists="merge")
    assert f"its {what} may refuse profiles. Drop that, or choose another table." in str(refused.value)
    assert sim.requests == []


def test_a_table_whose_ids_somebody_wrote_twice_is_made_right(work, other):
    published(BEFORE, work, md.Target(other))
    with duckdb.connect(other) as connection:
        connection.execute("INSERT INTO profiles FROM profiles")
    published(BEFORE, work, md.Target(other), if_exists="replace")
    assert stored(other) == served(BEFORE)


def test_a_schema_is_made_and_the_result_is_read_from_there(work, other):
    result, _ = published(BEFORE, work, md.Target(other, schema="crm"))
    assert result.relation().aggregate("count(*)").fetchall() == [(120,)]
    with duckdb.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM crm.profiles").fetchall() == [(120,)]


def test_an_existing_table_without_a_choice_is_refused_before_the_first_request(work, other):
    published(BEFORE, work, md.Target(other))
    with Simulator(BEFORE) as sim, pytest.raises(md.TableExistsError):
        fetch(sim, work, into=md.Target(other))
    assert sim.requests == []
    assert [each.state for each in md.list_fetches(work)] == ["complete"]


def test_what_the_table_holds_is_known_to_a_run_with_another_database(tmp_path, work, other):
    with Simulator(BEFORE) as sim:
        fetch(sim, work, into=md.Target(other))
        with pytest.raises(md.UnsuitableTableError, match="holds all profiles"):
            fetch(sim, str(tmp_path / "third.duckdb"), into=md.Target(other), if_exists="replace", where="true")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE profiles (id INTEGER)",
        "CREATE VIEW profiles AS SELECT 1 AS a",
        "CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP);"
        "COMMENT ON TABLE profiles IS 'the team''s own'",
    ],
)
def test_a_table_that_is_not_ours_is_refused_before_the_first_request(work, other, sql):
    with duckdb.connect(other) as connection:
        connection.execute(sql)
    with Simulator(BEFORE) as sim, pytest.raises(md.UnsuitableTableError, match="of the target"):
        fetch(sim, work, into=md.Target(other), if_exists="replace")
    assert sim.requests == []


def test_a_replace_that_would_leave_fewer_than_half_is_held_back(work, other):
    published(Population(1200, seed=1), work, md.Target(other), page_size=1000)
    held, _ = published(BEFORE, work, md.Target(other), if_exists="replace", page_size=1000)
    assert (held.published, held.shrinks_from) == (False, 1200)
    with Simulator(BEFORE) as sim:  # the port is another one, so the fetch is begun anew
        let = fetch(sim, work, into=md.Target(other), if_exists="replace", allow_shrink=True, allow_other=True)
    assert let.published
    assert stored(other) == served(BEFORE)


class Killed(BaseException):
    """Nothing of ours handles it, as nothing does ``kill -9``."""


def test_a_run_killed_behind_the_targets_commit_is_recognised_without_a_request(work, other, monkeypatch):
    def publish_and_die(*args):
        publishing.publish_into(*args)
        raise Killed

    with Simulator(BEFORE) as sim:
        with monkeypatch.context() as patched:
            patched.setattr(targets, "publish_into", publish_and_die)
            with pytest.raises(Killed):
                fetch(sim, work, into=md.Target(other))
        assert stored(other) == served(BEFORE)
        asked = len(sim.requests)
        result = fetch(sim, work, into=md.Target(other))
        assert len(sim.requests) == asked
    assert result.is_complete
    assert counts(result) == (120, 0, 0, 0)
    assert stored(other) == served(BEFORE)


def test_a_publish_that_failed_is_made_up_for_without_a_request(work, other):
    published(AFTER, work, md.Target(other))
    with duckdb.connect(other) as connection:
        connection.execute("CREATE VIEW mine AS SELECT 1 AS a")  # so that no new file may take its place
    with Simulator(BEFORE) as sim:
        with Reader(other):
            left = fetch(sim, work, into=md.Target(other, lock_wait=0), if_exists="replace", allow_other=True)
        assert (left.published, left.is_complete, left.total_rows) == (False, False, 120)
        assert "lock" in left.target_refusal or "open" in left.target_refusal
        assert "without a request" in left.summary()
        assert stored(other) == served(AFTER)
        asked = len(sim.requests)
        done = fetch(sim, work, into=md.Target(other), if_exists="replace", allow_other=True)
        assert len(sim.requests) == asked
    assert done.is_complete
    assert stored(other) == served(BEFORE)


def test_what_a_target_refused_tells_of_its_duplicates_as_often_as_it_is_tried(work, other):
    twice = Population.of([{"$distinct_id": name, "$properties": {"n": 1}} for name in ("a", "b", "c", "a")])
    published(twice, work, md.Target(other), tolerance=1)
    with duckdb.connect(other) as connection:
        connection.execute("CREATE VIEW mine AS SELECT 1 AS a")  # so that no new file may take its place
    with Simulator(twice) as sim:
        options = {"if_exists": "replace", "allow_other": True, "tolerance": 1}
        with Reader(other):
            refused = fetch(sim, work, into=md.Target(other, lock_wait=0), **options)
        done = fetch(sim, work, into=md.Target(other), **options)
        night = fetch(sim, work, into=md.Target(other), **options)
    assert [each.published for each in (refused, done, night)] == [False, True, True]
    assert [each.duplicate_rows for each in (refused, done, night)] == [1, 1, 1]
    seen = "1 id came more than once"
    assert [each.difference for each in (refused, done)] == [seen, seen]
    assert night.difference == f"{seen}, the same as in the last session"
    assert stored(other).total() == 3


@pytest.mark.skipif(os.name != "posix", reason="no file takes the place of an open one here")
def test_readers_of_other_processes_go_on_while_a_new_file_takes_the_place(work, other):
    published(BEFORE, work, md.Target(other))
    with Reader(other) as reader:
        assert reader.count() == 120
        result, _ = published(AFTER, work, md.Target(other), if_exists="replace")
        assert reader.count() == 120
    assert "a new file took its place" in " ".join(result.notices)
    assert counts(result) == expected_counts(BEFORE, AFTER)
    assert stored(other) == served(AFTER)
    assert not [name for name in os.listdir(os.path.dirname(other)) if ".part" in name]


@pytest.mark.skipif(os.name != "posix", reason="no file takes the place of an open one here")
def test_a_new_file_has_all_other_tables_with_their_comments(work, other):
    published(BEFORE, work, md.Target(other, schema="crm"), table="one")
    published(BEFORE, work, md.Target(other))
    with Reader(other):
        published(AFTER, work, md.Target(other), if_exists="replace")
    with duckdb.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM crm.one").fetchall() == [(120,)]
        comments = connection.execute("SELECT comment FROM duckdb_tables()").fetchall()
    assert len(comments) == 2
    assert all(text.startswith("mixpanel-duckdb ") for (text,) in comments)


def test_a_file_with_more_than_our_tables_is_waited_for_and_never_replaced(work, other, monkeypatch):
    published(BEFORE, work, md.Target(other))
    with duckdb.connect(other) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    file, wait, waits = os.stat(other).st_ino, threading.Event.wait, []
    with Reader(other) as reader:

        def noted(self, seconds=None):
            if seconds == duckdb_file.POLL:
                waits.append(seconds)
                reader.__exit__()
            return wait(self, seconds)

        monkeypatch.setattr(threading.Event, "wait", noted)
        done, _ = published(AFTER, work, md.Target(other), if_exists="replace")
    assert waits
    assert done.published
    assert os.stat(other).st_ino == file
    with duckdb.connect(other) as connection:
        assert connection.execute("SELECT a, (SELECT count(*) FROM profiles) FROM mine").fetchall() == [(1, 110)]


def test_a_file_that_another_process_writes_is_told_to_be_in_use_whatever_words_are_in_its_path(work, tmp_path):
    folder = tmp_path / "an extension" / "extensions"
    folder.mkdir(parents=True)
    with Simulator(BEFORE) as sim, Reader(str(folder / "x.duckdb"), "writing"):
        with pytest.raises(md.DatabaseLockedError, match="has the database open"):
            fetch(sim, work, into=md.Target(str(folder / "x.duckdb"), lock_wait=0))
        assert sim.requests == []


@pytest.mark.parametrize("name", [":memory:", ":memory:mine", ":default:", "", "new.parquet", "old.csv", "folder"])
def test_a_path_that_is_no_databases_is_refused_before_the_first_request_and_nothing_is_made(
    work, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    before = sorted(tmp_path.iterdir())
    with Simulator(Population(3, seed=1)) as sim:
        with pytest.raises(md.MixpanelError) as caught:
            fetch(sim, work, into=md.Target(name))
        assert sim.requests == []
    assert "read-only mode" not in str(caught.value)
    assert {path.name for path in set(tmp_path.iterdir()) - set(before)} <= {os.path.basename(work)}


@pytest.mark.skipif(os.name != "posix", reason="modes and homes of POSIX")
def test_a_new_target_is_found_at_home_and_its_owners_alone(work, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Simulator(Population(3, seed=1)) as sim:
        fetch(sim, work, into=md.Target("~/mine.duckdb"))
    assert stored(str(tmp_path / "mine.duckdb")).total() == 3
    assert (tmp_path / "mine.duckdb").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["work.duckdb", "./work.duckdb", "~/work.duckdb"])
def test_the_database_itself_is_no_target_however_its_path_is_written(work, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with duckdb.connect(work):
        pass
    with Simulator(BEFORE) as sim, pytest.raises(md.QueryError, match=f"{name}', which is the database itself"):
        fetch(sim, work, into=md.Target(name))
    assert sim.requests == []


@pytest.mark.parametrize("attach", ["quack:there", "mysql:db=x", "s3://bucket/file"])
def test_a_target_of_no_known_kind_is_refused_before_the_first_request(work, attach):
    with Simulator(BEFORE) as sim, pytest.raises(md.ConfigurationError, match="is no target"):
        fetch(sim, work, into=md.Target(attach))
    assert sim.requests == []


@pytest.mark.parametrize(
    ("attach", "more"),
    [
        ("postgres:dbname=crm password=hush-9", {}),
        ("postgres:dbname=crm PASSWORD = 'hush-9'", {}),
        ("ducklake:postgres:sslpassword=hush-9", {}),
        ("md:base?motherduck_token=hush-9", {}),
        ("postgres:postgresql://me:hush-9@db/crm", {}),
        ("postgres://me:hush-9@db/crm", {}),
        ("postgresql://db/crm?user=me&password=hush-9", {}),
        ("ducklake:cat.ducklake", {"data_path": "s3://b/p?s3_secret_access_key=hush-9"}),
    ],
)
def test_a_secret_in_a_target_is_refused_and_not_shown(attach, more):
    with pytest.raises(md.QueryError, match="--setup") as caught:
        md.Target(attach, **more)
    assert "hush-9" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE SECRET (TYPE postgres, PASSWORD '{}', NO_SUCH 1",
        "SET s3_secret_access_key = '{}' oops",
        "ATTACH '/nowhere/host=db password={} user=me' AS db",
        "ATTACH '/nowhere/host=db password={}' AS db",
        "ATTACH '/nowhere/host=db password=''{} and more'' user=me' AS db",
        "ATTACH '/nowhere/postgres://me:{}@db/crm' AS db",
        "ATTACH '/nowhere/base?motherduck_token={}&more=1' AS db",
    ],
)
def test_a_setup_file_that_is_refused_shows_no_secret(work, other, tmp_path, statement):
    setup, secret = tmp_path / "setup.sql", f"hush-{uuid.uuid4()}"  # what is hidden once stays so in this process
    setup.write_text(statement.format(secret))
    with Simulator(BEFORE) as sim, pytest.raises(md.ConfigurationError, match="was refused") as caught:
        fetch(sim, work, into=md.Target(other, setup=setup))
    assert secret not in str(caught.value)
    assert sim.requests == []


def test_a_target_that_cannot_be_read_any_more_is_told_without_duckdbs_error_which_may_repeat_a_secret(work, other):
    result, _ = published(BEFORE, work, md.Target(other))
    os.unlink(other)
    with pytest.raises(md.StorageError, match=f"Could not read {other}") as caught:
        result.relation()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_a_setup_file_that_is_not_there_is_one_sentence(work, other):
    with Simulator(BEFORE) as sim, pytest.raises(md.ConfigurationError, match="cannot be read"):
        fetch(sim, work, into=md.Target(other, setup="nowhere.sql"))


def test_the_command_publishes_there_and_says_what_changed(work, other, monkeypatch, capsys):
    with Simulator(BEFORE) as sim:
        for name, value in sim.environment().items():
            monkeypatch.setenv(name, value)
        arguments = ["profiles", "-d", work, "--into", other, "--into-schema", "crm"]
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    assert ended.value.code == 0
    assert "120 added" in capsys.readouterr().out


def test_flags_of_a_target_without_one_are_a_usage_error(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["profiles", "--into-schema", "crm"])
    assert ended.value.code == 2
    assert "--into" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "may_be_had_later"),
    [
        ('Could not set lock on file "x": Conflicting lock is held', True),
        ("database is locked", True),
        ('ERROR: duplicate key value violates unique constraint "pg_type_typname_nsp_index"', True),
        ("ERROR: tuple concurrently updated", True),
        ('ERROR: relation "ducklake_metadata" already exists', True),
        ('database with name "_mixpanel_target" already exists', False),
        ("ERROR: permission denied for schema public", False),
    ],
)
def test_what_another_process_holds_or_makes_is_waited_for_and_nothing_else(said, may_be_had_later):
    assert is_in_use(duckdb.IOException(said)) is may_be_had_later
