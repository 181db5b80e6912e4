"""``afetch_profiles``: the loop stays free, a cancelled task leaves no thread, arguments are those of others."""

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, client_of, committed, served, stored, threads_named
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

PEOPLE = Population(PAGE * 30 - 7, seed=13)
FREE = Limits(quota=None, concurrency=None)
# The first ten pages come at once; all others are silent until their client goes.
SILENT = Fault("hang", page=range(10, 30), attempts=None)


def silent(sim: Simulator) -> bool:
    return sum(record.finished is None and (record.page or 0) >= 10 for record in sim.requests) >= 5


async def until(condition: Callable[[], object]) -> None:
    """Wait on the loop, which a fetch that holds it would not let come back."""
    async with asyncio.timeout(LONGEST):
        while not condition():
            await asyncio.sleep(0.005)


async def fetching(sim: Simulator, database: Any, **options: Any) -> md.ParallelProfileFetchResult:
    with client_of(sim) as client:
        return await md.afetch_profiles(database, client=client, page_size=PAGE, **options)


def ours() -> list[str]:
    return [*threads_named("mp-fetch"), *threads_named("mp-afetch")]


def test_the_loop_is_free_and_a_cancelled_task_stops_the_fetch_and_leaves_no_thread(database: str) -> None:
    async def cancelled(sim: Simulator) -> None:
        task = asyncio.create_task(fetching(sim, database))
        await until(lambda: silent(sim) and committed_by(sim) >= 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert threads_named("mp-afetch") == []

    def committed_by(sim: Simulator) -> int:
        return sum(record.finished is not None for record in sim.requests)

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        asyncio.run(cancelled(sim))
        before = len(sim.requests)
        assert ours() == []
        assert committed(database) == set(range(10))
        sim.clear_faults()
        assert asyncio.run(fetching(sim, database)).resumed_pages == 10
        assert len(sim.requests) == before + 20
    assert stored(database) == served(PEOPLE)


def test_the_loop_is_free_while_a_fetch_ends_however_often_it_is_cancelled(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    abort, let_go = md.MixpanelClient.abort, threading.Event()

    def held_back(client: md.MixpanelClient, *run: Any) -> None:
        let_go.wait(10.0)
        abort(client, *run)

    async def cancelled(sim: Simulator) -> None:
        task = asyncio.create_task(fetching(sim, database))
        await until(lambda: silent(sim))
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)  # it has been heard
        assert not task.done()
        let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ours() == []

    monkeypatch.setattr(md.MixpanelClient, "abort", held_back)
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        asyncio.run(cancelled(sim))


def test_a_timeout_of_asyncio_ends_it(database: str) -> None:
    async def late(sim: Simulator) -> None:
        async with asyncio.timeout(None) as bound:
            task = asyncio.create_task(fetching(sim, database))
            await until(lambda: silent(sim))
            bound.reschedule(asyncio.get_running_loop().time())
            await task

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        with pytest.raises(TimeoutError):
            asyncio.run(late(sim))
        assert ours() == []


def test_the_callers_code_runs_on_the_loop(database: str) -> None:
    heard = []

    class Observer(md.SilentObserver):
        def planned(self, plan: md.FetchPlan) -> None:
            heard.append(asyncio.get_running_loop())

        def ticked(self) -> None:
            heard.append(asyncio.get_running_loop())

    def done(progress: md.ProfileBatchProgress) -> None:
        heard.append(asyncio.get_running_loop())
        assert threading.current_thread() is threading.main_thread()

    async def run(sim: Simulator) -> asyncio.AbstractEventLoop:
        assert (await fetching(sim, database, on_batch_complete=done, observer=Observer())).is_complete
        return asyncio.get_running_loop()

    with Simulator(PEOPLE) as sim:
        loop = asyncio.run(run(sim))
    assert len(heard) > 31
    assert set(heard) == {loop}


async def in_time(fetch: Awaitable[object]) -> None:
    async with asyncio.timeout(LONGEST):
        await fetch


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, asyncio.CancelledError, md.SessionLostError])
def test_what_the_callers_code_raises_reaches_the_one_who_awaits(raised: type[BaseException], database: str) -> None:
    def stumble(progress: md.ProfileBatchProgress) -> None:
        raise raised("mine")

    with Simulator(PEOPLE) as sim:
        with pytest.raises(raised):
            asyncio.run(fetching(sim, database, on_batch_complete=stumble))
        assert ours() == []


@pytest.mark.parametrize("raising", ["on_batch_complete", "observer"])
def test_a_stop_iteration_of_the_callers_code_ends_the_fetch_as_it_ends_a_coroutine(
    raising: str, database: str
) -> None:
    def stumble(_: object) -> None:
        raise StopIteration("mine")

    observer = md.SilentObserver()
    observer.planned = stumble  # type: ignore[method-assign]
    options = {"on_batch_complete": stumble} if raising == "on_batch_complete" else {"observer": observer}
    with Simulator(PEOPLE) as sim:
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            asyncio.run(in_time(fetching(sim, database, **options)))
        assert isinstance(caught.value.__cause__, StopIteration)
        assert ours() == []


def test_the_callers_own_stop_is_heard(database: str) -> None:
    stop = threading.Event()

    async def stopped(sim: Simulator) -> None:
        task = asyncio.create_task(fetching(sim, database, stop=stop))
        await until(lambda: silent(sim))
        stop.set()
        await task

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim, pytest.raises(md.FetchStopped):
        asyncio.run(stopped(sim))
    assert ours() == []


def test_a_task_that_is_cancelled_sets_no_stop_of_the_callers(database: str) -> None:
    stop = threading.Event()

    async def cancelled(sim: Simulator) -> None:
        task = asyncio.create_task(fetching(sim, database, stop=stop))
        await until(lambda: silent(sim))
        task.cancel()
        await asyncio.wait([task])

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        asyncio.run(cancelled(sim))
    assert not stop.is_set()


def test_several_run_side_by_side_and_a_connection_of_the_callers_works(tmp_path) -> None:
    async def both(sim: Simulator, connection: duckdb.DuckDBPyConnection) -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(fetching(sim, place)) for place in (connection, tmp_path / "a.duckdb", ":memory:")
            ]
        return [task.result().total_rows for task in tasks]

    with Simulator(PEOPLE, limits=FREE) as sim, duckdb.connect() as connection:
        assert asyncio.run(both(sim, connection)) == [len(PEOPLE)] * 3
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(len(PEOPLE),)]


SCRIPT = """
import asyncio, sys, threading, time
import mixpanel_duckdb as md

async def begin(tasks=[]):
    tasks.append(asyncio.ensure_future(md.afetch_profiles(sys.argv[1], page_size=20, on_batch_complete=print)))
    await asyncio.sleep(0)

loop = asyncio.new_event_loop()
loop.run_until_complete(begin())
while not any(each.name.startswith("mp-fetch-page") for each in threading.enumerate()):
    time.sleep(0.005)
print("left")
"""


def test_a_loop_that_is_left_does_not_keep_the_interpreter_from_ending(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE) as sim:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, database],
            env=sim.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    assert (done.returncode, done.stdout) == (0, "left\n")


def test_the_three_ways_to_fetch_have_one_spelling_of_what_they_share() -> None:
    one = inspect.signature(md.fetch_profiles).parameters
    method = inspect.signature(md.ParallelProfileFetcher.fetch_profiles).parameters
    assert inspect.signature(md.afetch_profiles) == inspect.signature(md.fetch_profiles)
    assert inspect.iscoroutinefunction(md.afetch_profiles)
    shared = method.keys() - {"self"}
    assert shared <= one.keys()
    assert {name: one[name] for name in shared} == {name: method[name] for name in shared}
    order = [name for name in one if name in shared - {"max_workers"}]
    assert order == [name for name in method if name in shared - {"max_workers"}]
