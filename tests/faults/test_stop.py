"""G9: a stop is prompt and clean, wherever it comes from.

``MP_TEST_STOPS=20`` interrupts so many commands; ``pytest -n 0 -s -m timed`` shows how long they took.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, QUICK, client_of, committed, fetch, served, stored, threads_named, wait_until
from mixpanel_duckdb.results.progress import SilentObserver
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator
from mixpanel_duckdb.store import OpenFetch, PageReceipt, PageWrite, StagedGroup
from mixpanel_duckdb.store.pages.ingest import PageIngest

STOPS = int(os.environ.get("MP_TEST_STOPS", "3"))
PEOPLE = Population(PAGE * 30 - 7, seed=13)
# A server goes on for a while with requests whose client has gone, and counts them.
FREE = Limits(quota=None, concurrency=None)
# The first ten pages come at once; all others are silent until their client goes.
SILENT_PAGES = range(10, 30)
SILENT = Fault("hang", page=SILENT_PAGES, attempts=None)
SCRIPT = """
import signal, sys, threading, time
import mixpanel_duckdb as md

interrupted = []

def note(number, frame):
    interrupted.append(time.monotonic())
    raise KeyboardInterrupt

signal.signal(signal.SIGINT, note)
try:
    md.fetch_profiles(sys.argv[1], page_size=int(sys.argv[2]))
except KeyboardInterrupt:
    for each in threading.enumerate():
        if each is not threading.main_thread():
            each.join()
    print(time.monotonic() - interrupted[0])
"""


def reading(sim: Simulator, pages: int = 5) -> bool:
    """Whether so many of the silent pages are under way; a quick one may be too, and would be cut."""
    return sum(record.finished is None and (record.page or 0) in SILENT_PAGES for record in sim.requests) >= pages


def interrupt(sim: Simulator, *arguments: str) -> tuple[float, int, str, int]:
    """Send SIGINT when five reads are under way; say how long the end took, its code, and requests after it."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **sim.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: reading(sim))
    before, started = len(sim.requests), time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=LONGEST)
    return time.monotonic() - started, process.returncode, out, len(sim.requests) - before


def test_ctrl_c_ends_a_command_with_all_reads_under_way(tmp_path: Path, at_most: Callable[[float], float]) -> None:
    took = []
    for number in range(STOPS):
        database = str(tmp_path / f"{number}.duckdb")
        with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
            seconds, code, _, late = interrupt(
                sim, "-m", "mixpanel_duckdb", "profiles", "-d", database, "--page-size", str(PAGE), "--quiet"
            )
        assert (code, late) == (130, 0)
        assert committed(database) == set(range(10))
        took.append(seconds)
    print(f"median {statistics.median(took):.3f} s, longest {max(took):.3f} s of {STOPS}")
    assert statistics.median(took) < at_most(1.0)


def test_ctrl_c_is_raised_to_the_caller_and_leaves_no_thread(database: str, at_most: Callable[[float], float]) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        _, code, out, late = interrupt(sim, "-c", SCRIPT, database, str(PAGE))
        assert (code, late) == (0, 0)
        assert float(out) < at_most(1.0)
        assert committed(database) == set(range(10))
        sim.clear_faults()
        sim.clear_requests()
        assert fetch(sim, database).is_complete
        assert len(sim.requests) == 20
    assert stored(database) == served(PEOPLE)


def test_ctrl_c_while_page_0_is_asked_for_is_as_prompt(database: str, at_most: Callable[[float], float]) -> None:
    class Interrupted(SilentObserver):
        at = 0.0

        def ticked(self) -> None:
            if sim.requests:
                self.at = time.monotonic()
                raise KeyboardInterrupt

    with Simulator(PEOPLE, limits=FREE, faults=[Fault("hang", page=0)]) as sim:
        interrupted = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            fetch(sim, database, observer=interrupted)
        wait_until(lambda: not threads_named("mp-fetch"))
        assert time.monotonic() - interrupted.at < at_most(1.0)
        assert len(sim.requests) == 1
        assert fetch(sim, database).is_complete


class OwnError(Exception):
    """What a caller's code may raise."""


def test_a_callback_that_raises_ends_the_run_in_the_callers_thread(database: str) -> None:
    threads = set()

    def callback(progress: md.ProfileBatchProgress) -> None:
        threads.add(threading.current_thread())
        if progress.completed_pages == 10:
            wait_until(lambda: reading(sim))
            raise OwnError("enough")

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        with pytest.raises(OwnError, match="enough"):
            fetch(sim, database, on_batch_complete=callback)
        stopped = time.monotonic()
        assert threads == {threading.current_thread()}
        wait_until(lambda: not threads_named("mp-fetch"))
        assert all(record.started < stopped for record in sim.requests)
        sim.clear_faults()
        assert fetch(sim, database).is_complete
    assert stored(database) == served(PEOPLE)


@pytest.mark.parametrize("method", ["planned", "page_done", "ticked"])
def test_an_observer_that_raises_anywhere_ends_the_run_and_gives_the_table_free(method: str, database: str) -> None:
    def broken(*_: object) -> None:
        raise OwnError(method)

    observer = SilentObserver()
    setattr(observer, method, broken)
    with Simulator(PEOPLE, limits=FREE) as sim:
        with pytest.raises(OwnError, match=method):
            fetch(sim, database, observer=observer)
        assert fetch(sim, database).is_complete


class FailingSink:
    """A writer's sink that works for the first pages, and then fails at one of its two steps."""

    def __init__(self, inner: PageIngest, step: str, error: Exception) -> None:
        self._inner = inner
        self._step = step
        self._error = error

    def stage(self, pages: Sequence[PageWrite]) -> StagedGroup:
        self._fail("stage", pages)
        return self._inner.stage(pages)

    def commit(self, groups: Sequence[StagedGroup]) -> Sequence[PageReceipt]:
        self._fail("commit", [page for group in groups for page in group.pages])
        return self._inner.commit(groups)

    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._inner.__exit__(*exc)

    def _fail(self, step: str, pages: Sequence[PageWrite]) -> None:
        if step == self._step and any(each.page.index == 5 for each in pages):
            raise self._error


class FailingStore(md.ProfileStore):
    """A store whose writer fails."""

    step = "commit"
    error: Exception = md.StorageError("no space left on device")

    def writer(self, fetch: OpenFetch) -> Any:
        return FailingSink(super().writer(fetch), self.step, self.error)


@pytest.mark.parametrize("step", ["stage", "commit"])
@pytest.mark.parametrize("error", [md.StorageError("no space left on device"), OwnError("unforeseen")], ids=repr)
def test_a_writer_that_fails_ends_the_run_at_once_and_the_next_one_goes_on(
    step: str, error: Exception, database: str, at_most: Callable[[float], float]
) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        started = time.monotonic()
        with FailingStore(database) as store:
            store.step, store.error = step, error
            with pytest.raises(type(error), match=str(error)):
                fetch(sim, store)
        wait_until(lambda: not threads_named("mp-fetch"))
        assert time.monotonic() - started < at_most(2.0)
        sim.clear_faults()
        kept = committed(database)
        sim.clear_requests()
        assert fetch(sim, database).is_complete
        assert len(sim.requests) == 30 - len(kept)
    assert stored(database) == served(PEOPLE)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 25 MB, where one can be had."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no size-limited file system can be had here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_storage_error_and_the_same_call_completes_once_there_is_room(small_disk: Path) -> None:
    people = Population.uniform(8000, profile_bytes=1000)
    database = str(small_disk / "profiles.duckdb")
    ballast = small_disk / "ballast"
    # Leaves 2.5 MB; without it there is room for all pages in one transaction, in the log and in the file.
    ballast.write_bytes(b"x" * 22_700_000)
    with Simulator(people, limits=FREE) as sim:
        with pytest.raises(md.StorageError):
            fetch(sim, database, page_size=200)
        wait_until(lambda: not threads_named("mp-fetch"))
        ballast.unlink()
        kept = committed(database)
        sim.clear_requests()
        result = fetch(sim, database, page_size=200)
        assert len(sim.requests) == 40 - len(kept)
    assert result.is_complete
    assert stored(database) == served(people)


def test_a_run_works_in_any_thread_and_inside_a_running_loop(tmp_path: Path) -> None:
    results = []
    with Simulator(PEOPLE, limits=FREE) as sim:
        worker = threading.Thread(target=lambda: results.append(fetch(sim, str(tmp_path / "thread.duckdb"))))
        worker.start()
        worker.join()

        async def inside() -> None:
            results.append(fetch(sim, str(tmp_path / "loop.duckdb")))
            results.append(await asyncio.to_thread(fetch, sim, str(tmp_path / "both.duckdb")))

        asyncio.run(inside())
    assert [result.is_complete for result in results] == [True, True, True]


def test_a_client_can_be_used_again_after_its_reads_were_cut(tmp_path: Path) -> None:
    def callback(progress: md.ProfileBatchProgress) -> None:
        if progress.completed_pages == 10:
            wait_until(lambda: reading(sim))
            sim.clear_requests()
            raise OwnError

    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim, client_of(sim) as client:
        database = str(tmp_path / "again.duckdb")
        for _ in range(3):
            with pytest.raises(OwnError):
                md.fetch_profiles(database, client=client, page_size=PAGE, on_batch_complete=callback, resume=False)
        sim.clear_faults()
        assert md.fetch_profiles(database, client=client, page_size=PAGE).is_complete


def test_a_stop_that_is_set_anywhere_ends_the_run_as_ctrl_c_does(database: str) -> None:
    stop = threading.Event()
    with Simulator(PEOPLE, limits=FREE, faults=[SILENT]) as sim:
        helper = threading.Thread(target=lambda: (wait_until(lambda: reading(sim)), stop.set()))
        helper.start()
        with pytest.raises(md.FetchStopped, match="what has arrived is kept") as caught:
            fetch(sim, database, stop=stop)
        helper.join()
        assert caught.value.code == "stopped"
        assert committed(database) == set(range(10))
        assert threads_named("mp-fetch") == []
        sim.clear_faults()
        sim.clear_requests()
        with pytest.raises(md.FetchStopped):
            fetch(sim, database, stop=stop)
        assert sim.requests == []
        assert fetch(sim, database, stop=threading.Event()).resumed_pages == 10
    assert stored(database) == served(PEOPLE)


def test_a_stop_cuts_a_wait_for_the_limits_and_page_0(database: str) -> None:
    for fault in (Fault("status", page=0, status=429, retry_after=3600, attempts=None), Fault("hang", page=0)):
        stop = threading.Event()
        with Simulator(PEOPLE, limits=FREE, faults=[fault]) as sim:
            helper = threading.Thread(target=lambda sim=sim, stop=stop: (wait_until(lambda: sim.requests), stop.set()))
            helper.start()
            with pytest.raises(md.FetchStopped):
                fetch(sim, database, stop=stop)
            helper.join()
        wait_until(lambda: not threads_named("mp-fetch"))


class Looking(md.MixpanelClient):
    """A client that only looks at each answer."""

    def query_engage_page(self, page: int, **options: Any) -> dict[str, Any]:
        return super().query_engage_page(page, **options)


def looking(sim: Simulator, database: str, **options: Any) -> md.ParallelProfileFetchResult:
    with Looking(md.Credentials.from_env(sim.environment()), base_url=sim.base_url, retry=QUICK) as client:
        return md.fetch_profiles(database, client=client, page_size=PAGE, **options)


@pytest.mark.parametrize("kind", ["hang", "quota"])
def test_a_client_that_overrides_a_method_of_ours_is_stopped_as_ours_is(kind: Any, database: str) -> None:
    class Leaving(SilentObserver):
        waited = False

        def waiting(self, *_: object) -> None:
            self.waited = True

        def ticked(self) -> None:
            if self.waited or reading(sim):
                raise OwnError

    with Simulator(
        PEOPLE, limits=FREE, faults=[Fault(kind, page=SILENT_PAGES, attempts=None, retry_after=3600)]
    ) as sim:
        with pytest.raises(OwnError):
            looking(sim, database, observer=Leaving())
        wait_until(lambda: not threads_named("mp-fetch"))
        sim.clear_faults()
        assert looking(sim, database).is_complete
    assert stored(database) == served(PEOPLE)


def test_its_requests_and_waits_count_as_those_of_ours_do(database: str) -> None:
    with Simulator(PEOPLE, limits=FREE, faults=[Fault("status", page=5, attempts=2)]) as sim:
        result = looking(sim, database)
        assert (result.requests, result.retries, len(sim.requests)) == (32, 2, 32)
        sim.add_fault(Fault("quota", page=range(1, 30), attempts=None, retry_after=3600))
        result = looking(sim, database, table="other", rate_limit_wait=60.0)
    assert (result.successful_pages, result.is_complete) == (1, False)
