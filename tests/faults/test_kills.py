"""G2 and G3: kill the process anywhere, run the same command again.

``MP_TEST_KILLS=100`` kills so many processes.
"""

import os
import random
import subprocess
import sys
import time

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, committed, fetch, pages_asked, served, stored, tables
from mixpanel_duckdb.simulator import Behaviour, Fault, Latency, Limits, Population, Simulator

KILLS = int(os.environ.get("MP_TEST_KILLS", "6"))
PAGES = 60
PEOPLE = Population(PAGE * PAGES - 7, seed=11)
# A server goes on for a while with requests whose client has gone, and counts them.
FREE = Limits(quota=None, concurrency=None)


def command(sim: Simulator, database: str, page_size: int = PAGE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mixpanel_duckdb", "profiles", "-d", database, "--page-size", str(page_size), "--quiet"],
        env={**os.environ, **sim.environment()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_after(process: subprocess.Popen[bytes], sim: Simulator, seconds: float) -> None:
    """``kill -9`` some time after the first request, or at once if the process ends before."""
    while not sim.requests and process.poll() is None:
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_command_goes_on_without_asking_twice(seed: int, database: str) -> None:
    rng = random.Random(seed)
    latency = Latency(base=rng.uniform(0.02, 0.05), jitter=0.5)
    with Simulator(PEOPLE, limits=FREE, behaviour=Behaviour(latency=latency, seed=seed)) as sim:
        kill_after(command(sim, database), sim, rng.uniform(0.0, 0.7))
        if "profiles" in tables(database):
            assert stored(database) == served(PEOPLE)
            return
        kept = committed(database)
        before = len(sim.requests)
        again = command(sim, database)
        _, talk = again.communicate(timeout=LONGEST)
        assert again.returncode == 0, talk
        asked = pages_asked(sim.requests[before:])
    assert not kept & set(asked)
    assert sorted(asked) == sorted(set(range(PAGES)) - kept)
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("seed", range(max(1, KILLS // 3)))
def test_rows_and_journal_agree_though_large_transactions_go_past_the_log(seed: int, database: str) -> None:
    people, pages = Population.uniform(60_000, profile_bytes=1000, seed=seed), 60
    with Simulator(people, limits=FREE, behaviour=Behaviour(gzip=False)) as sim:
        running = command(sim, database, page_size=1000)
        kill_after(running, sim, random.Random(seed).uniform(0.1, 0.6))
        kept = committed(database)
        if "profiles" not in tables(database):
            assert staged_rows(database) == 1000 * len(kept)
            sim.clear_requests()
            again = command(sim, database, page_size=1000)
            _, talk = again.communicate(timeout=LONGEST)
            assert again.returncode == 0, talk
            assert sorted(pages_asked(sim.requests)) == sorted(set(range(pages)) - kept)
    with duckdb.connect(database) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT distinct_id) FROM profiles").fetchall()
    assert found == [(60_000, 60_000)]


def staged_rows(database: str) -> int:
    with duckdb.connect(database) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%staging%'"
        ).fetchall()
        return sum(connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for (name,) in names)


def unfinished(sim: Simulator, database: str, table: str = "profiles", *, after: int = 4, **options: object) -> None:
    """A run that its caller ends when so many pages are done; the last ones are silent until then."""

    class EnoughError(Exception):
        pass

    def stop(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == after:
            raise EnoughError

    sim.add_fault(Fault("hang", page=range(after + 4, PAGES), attempts=None))
    with pytest.raises(EnoughError):
        fetch(sim, database, table, on_batch_complete=stop, **options)
    sim.clear_faults()


SHORT = Population(PAGE * 14 - 7, seed=12)


def test_a_session_refused_on_resume_starts_over_and_says_so(database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim:
        unfinished(sim, database)
        sim.expire_sessions()
        result = fetch(sim, database)
    assert result.is_complete
    assert any("starting over" in text for text in result.notices)
    assert result.resumed_pages == 0
    assert stored(database) == served(SHORT)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_session_refused_on_resume_in_words_we_do_not_know_starts_over_too(status: int, database: str) -> None:
    behaviour = Behaviour(uncached_status=status, uncached_text="who are you?")
    with Simulator(SHORT, limits=FREE, behaviour=behaviour) as sim:
        unfinished(sim, database)
        sim.expire_sessions()
        result = fetch(sim, database)
    assert result.is_complete
    assert any("who are you?" in text for text in result.notices)
    assert stored(database) == served(SHORT)


@pytest.mark.parametrize("fresh", [{"resume": False}, {"resume_max_age": 0.0}], ids=["no-resume", "too-old"])
def test_what_was_fetched_is_not_used_when_it_must_not_be(fresh: dict[str, object], database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim:
        unfinished(sim, database)
        sim.clear_requests()
        result = fetch(sim, database, **fresh)
        assert sorted(pages_asked(sim.requests)) == list(range(14))
    assert (result.is_complete, result.resumed_pages) == (True, 0)
    assert stored(database) == served(SHORT)
    with md.ProfileStore(database) as store:
        assert [record.state for record in store.fetches()] == ["complete"]


def test_a_run_stopped_after_its_last_page_is_published_without_a_request(database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim:
        unfinished(sim, database, after=14)
        assert tables(database) == set()
        sim.clear_requests()
        result = fetch(sim, database)
        assert sim.requests == []
    assert (result.is_complete, result.resumed_pages, result.requests) == (True, 14, 0)
    assert stored(database) == served(SHORT)


def test_another_query_into_the_same_table_is_not_gone_on_with(database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim:
        unfinished(sim, database)
        sim.clear_requests()
        result = fetch(sim, database, limit=PAGE * 3)
        assert sorted(pages_asked(sim.requests)) == [0, 1, 2]
    assert (result.resumed_pages, result.total_rows, result.is_complete) == (0, PAGE * 3, True)


def test_two_tables_of_one_database_are_fetched_at_the_same_time(database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim, md.ProfileStore(database) as store:
        inner: list[md.ParallelProfileFetchResult] = []

        def another(progress: md.ProfileBatchProgress) -> None:
            if progress.completed_pages == 3:
                inner.append(fetch(sim, store, "others"))

        assert fetch(sim, store, on_batch_complete=another).is_complete
        assert inner[0].is_complete
    assert stored(database) == stored(database, "others") == served(SHORT)


def test_a_second_run_into_the_same_table_is_refused_with_the_owner(database: str) -> None:
    with Simulator(SHORT, limits=FREE) as sim:
        refusals: list[str] = []

        def second(progress: md.ProfileBatchProgress) -> None:
            if progress.completed_pages == 3:
                with pytest.raises(md.DatabaseLockedError) as caught:
                    fetch(sim, database)
                refusals.append(str(caught.value))

        assert fetch(sim, database, on_batch_complete=second).is_complete
    assert f"process {os.getpid()}" in refusals[0]
    assert stored(database) == served(SHORT)


def test_a_database_that_another_process_holds_is_refused_with_its_pid(database: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()",
         database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    holder.stdout.readline()
    try:
        with Simulator(SHORT, limits=FREE) as sim:
            with pytest.raises(md.DatabaseLockedError, match=f"process {holder.pid} "):
                fetch(sim, database)
            assert sim.requests == []
    finally:
        holder.communicate(b"\n")
