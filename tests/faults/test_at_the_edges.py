"""What is easily forgotten: Ctrl-C right behind a commit, several threads, what a caller has set."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, client_of, fetch, served, stored
from mixpanel_duckdb.simulator import Limits, Population, Simulator
from mixpanel_duckdb.store import fetching
from mixpanel_duckdb.store.database import atomic

FREE = Limits(quota=None)
PEOPLE = Population(100, seed=1)


def interrupted_behind(commit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that comes while a commit of the store runs is raised once the commit has taken effect."""
    commits = []

    @contextmanager
    def watched(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        with atomic(cursor):
            yield
        commits.append(1)
        if len(commits) == commit:
            raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "atomic", watched)


@pytest.mark.parametrize("if_exists", ["replace", "merge"])
def test_ctrl_c_behind_the_commit_that_publishes_leaves_a_complete_fetch(
    database: str, if_exists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        fetch(sim, database)
        with monkeypatch.context() as patch:
            interrupted_behind(3, patch)
            with pytest.raises(KeyboardInterrupt):
                fetch(sim, database, if_exists=if_exists)
        assert {each.state for each in md.list_fetches(database)} == {"complete"}
        assert fetch(sim, database, if_exists=if_exists).is_complete
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("commit", [1, 2], ids=["that begins", "that opens a session"])
def test_ctrl_c_behind_the_commit_does_not_lock_the_table(
    database: str, commit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        with monkeypatch.context() as patch:
            interrupted_behind(commit, patch)
            with pytest.raises(KeyboardInterrupt):
                fetch(sim, database)
        assert fetch(sim, database).is_complete


def test_ctrl_c_while_a_database_is_opened_is_one(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> bool:
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("mixpanel_duckdb.store.database.opening._is_alone", interrupted)
    with pytest.raises(KeyboardInterrupt):
        md.ProfileStore(database)


def test_an_observer_that_raises_at_the_first_notice_does_not_lock_the_table(database: str) -> None:
    class Strict(md.SilentObserver):
        def notice(self, text: str) -> None:
            raise ValueError(text)

    with Simulator(PEOPLE, limits=FREE) as sim:
        with pytest.raises(KeyError):
            fetch(sim, database, max_workers=1, on_batch_complete=lambda _: {}["stop"])
        with pytest.raises(ValueError, match="resume_max_age"):
            fetch(sim, database, resume_max_age=0, observer=Strict())
        assert fetch(sim, database).is_complete


def test_a_connection_whose_configuration_is_locked_can_be_fetched_into() -> None:
    with duckdb.connect() as connection, Simulator(PEOPLE, limits=FREE) as sim:
        connection.execute("SET lock_configuration = true")
        assert fetch(sim, connection).is_complete


def test_a_fetch_whose_rows_are_gone_starts_over(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        with pytest.raises(KeyError):
            fetch(sim, database, max_workers=1, on_batch_complete=lambda _: {}["stop"])
        (record,) = md.list_fetches(database)
        assert record.resumable
        with duckdb.connect(database) as connection:
            connection.execute(f"DROP TABLE {record.staging_table}")
        assert not md.list_fetches(database)[0].resumable
        result = fetch(sim, database)
    assert (result.is_complete, result.resumed_pages) == (True, 0)


def test_threads_that_make_one_file_together_do_not_disturb_each_other(tmp_path: Path) -> None:
    together = threading.Barrier(6)

    def run(path: Path, number: int) -> bool:
        together.wait(LONGEST)
        return fetch(sim, str(path), f"people{number}").is_complete

    with Simulator(PEOPLE, limits=FREE) as sim, ThreadPoolExecutor(6) as pool:
        for attempt in range(5):
            runs = [pool.submit(run, tmp_path / f"{attempt}.duckdb", number) for number in range(6)]
            assert all(each.result(LONGEST) for each in runs)


def test_a_store_that_another_thread_uses_is_refused_in_a_sentence() -> None:
    def second(_: object) -> None:
        refused.append(pool.submit(fetch, sim, store, "others").exception(LONGEST))

    refused: list[BaseException | None] = []
    with Simulator(PEOPLE, limits=FREE) as sim, md.ProfileStore(":memory:") as store, ThreadPoolExecutor(1) as pool:
        assert fetch(sim, store, on_batch_complete=second).is_complete
    assert {type(each) for each in refused} == {md.StorageError}
    assert "give each thread one of its own" in str(refused[0])


def test_a_default_collation_of_the_caller_does_not_make_two_profiles_one() -> None:
    ids = ["a", "A", "b"]
    everyone, one = (Population.of([{"$distinct_id": each, "$properties": {}} for each in few]) for few in (ids, ["a"]))
    with duckdb.connect() as connection, Simulator(everyone, limits=FREE) as sim:
        connection.execute("SET GLOBAL default_collation = 'NOCASE'")
        assert fetch(sim, connection).is_complete
        sim.replace_population(one)
        assert fetch(sim, connection, if_exists="merge").is_complete
        connection.execute("SET GLOBAL default_collation = ''")
        assert sorted(connection.execute("SELECT distinct_id FROM profiles").fetchall()) == [("A",), ("a",), ("b",)]


@pytest.mark.parametrize("following", ["abcde", "abcdef", "abcdefg"])
def test_a_date_is_a_moment_whatever_stands_behind_it(following: str) -> None:
    person = {"$distinct_id": "a", "$properties": {"$last_seen": "2020-01-01", following: 1}}
    with Simulator(Population.of([person]), limits=FREE) as sim:
        result = fetch(sim, ":memory:")
    assert result.rows_with_unreadable_last_seen == 0
    assert str(result.relation().project("last_seen").fetchall()[0][0]) == "2020-01-01 00:00:00"


def test_what_the_caller_sets_during_a_run_stays(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:
        with md.ProfileStore(database) as store:
            beside = duckdb.connect(database)
            beside.execute("SET GLOBAL threads = 3")
            md.fetch_profiles(store, client=client, page_size=20)
        (settings,) = beside.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchall()
        beside.close()
    assert settings[0] == 3
    assert "GiB" in settings[1]


def test_a_total_beyond_64_bits_is_no_total() -> None:
    class Client:
        def query_engage_page(self, page: int, **_: Any) -> dict[str, Any]:
            return {"page": page, "page_size": 1, "session_id": "s", "results": [], "total": 2**63}

    with pytest.raises(md.UnreadableAnswerError):
        md.fetch_profiles(":memory:", client=Client())
