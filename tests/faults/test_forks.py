"""A process that is forked in the middle of things: the child neither hangs nor writes what its parent has open."""

import importlib
import inspect
import os
import pkgutil
import select
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import duckdb
import pytest

import mixpanel_duckdb as md
from helpers import LONGEST, PAGE, fetch, served, stored
from mixpanel_duckdb import process
from mixpanel_duckdb.fetch.turns import SHORT_TURNS
from mixpanel_duckdb.process import ProcessLock
from mixpanel_duckdb.simulator import Limits, Population, Simulator

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows knows no fork")

PEOPLE = Population(PAGE * 3, seed=3)
RAW = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event)


def start(work: Callable[[], object]) -> tuple[int, int]:
    """Fork a child that does something; give its number and where it tells of it."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks do not go together is the point
        child = os.fork()
    if not child:
        try:
            text = str(work())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(theirs, text.encode())
        os._exit(0)
    os.close(theirs)
    return child, ours


def end(child: int, ours: int) -> str:
    """What a child told; one that hangs is killed, and tells nothing."""
    ready, _, _ = select.select([ours], [], [], LONGEST)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(ours, "rb") as told:
        return told.read().decode()


def in_child(work: Callable[[], object]) -> str:
    return end(*start(work))


def names_of_the_package() -> list[str]:
    found = pkgutil.walk_packages(md.__path__, "mixpanel_duckdb.")
    return ["mixpanel_duckdb", *(each.name for each in found if not each.name.endswith("__main__"))]


def of_the_process(module: Any) -> list[tuple[str, object]]:
    """What a module keeps for the whole process: its own names, those on its classes, and what its objects hold."""
    kept = []
    for name, value in vars(module).items():
        kept.append((name, value))
        ours = inspect.isclass(value) or type(value).__module__.startswith("mixpanel_duckdb")
        if ours and not isinstance(value, ProcessLock):
            kept += [(f"{name}.{each}", held) for each, held in getattr(value, "__dict__", {}).items()]
    return kept


def test_no_lock_of_the_whole_process_is_one_that_a_fork_could_leave_locked() -> None:
    kept = {name: of_the_process(importlib.import_module(name)) for name in names_of_the_package()}
    assert [(name, what) for name, found in kept.items() for what, value in found if isinstance(value, RAW)] == []


def test_a_lock_that_another_thread_holds_for_ever_is_free_in_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PATIENCE", 0.05)
    turn, held, leave = ProcessLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with turn.lock:
            held.set()
            leave.wait(LONGEST)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LONGEST)
    try:
        assert in_child(lambda: turn.lock.acquire(timeout=1)) == "True"
        assert turn.lock.locked()
    finally:
        leave.set()
        thread.join()
    assert not turn.lock.locked()


def test_children_that_are_forked_while_a_thread_opens_databases_open_their_own(tmp_path: Any) -> None:
    stop = threading.Event()

    def keep_opening() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            with md.ProfileStore(tmp_path / f"parent{number % 20}.duckdb") as store:
                store.count_queries("1", "host")

    def open_one(number: int) -> int:
        with md.ProfileStore(tmp_path / f"child{number}.duckdb") as store:
            store.count_queries("1", "host")
            return store.queries_last_hour("1", "host")

    thread = threading.Thread(target=keep_opening)
    thread.start()
    try:
        children = [start(lambda number=number: open_one(number)) for number in range(8)]
    finally:
        stop.set()
        thread.join()
    assert [end(*child) for child in children] == ["1"] * 8


def fetch_here(sim: Simulator, database: Any) -> str:
    return fetch(sim, database).summary().partition(" in table")[0]


OPENED: dict[str, Callable[[str], Any]] = {
    "a store": md.ProfileStore,
    "a connection of the caller's": duckdb.connect,
}


@pytest.mark.parametrize("how", OPENED)
@pytest.mark.parametrize("given", ["its path", "what the parent has"])
def test_a_file_that_the_parent_has_open_is_refused_in_one_sentence(how: str, given: str, database: str) -> None:
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim, OPENED[how](database) as mine:
        told = in_child(lambda: fetch_here(sim, database if given == "its path" else mine))
        assert sim.requests == []
    assert told.startswith(f"DatabaseLockedError: Could not use {database}: this process was forked from one that had")
    assert told.count(". ") == 1


def test_a_grandchild_does_not_write_what_the_child_has_open(database: str) -> None:
    def work() -> str:
        with md.ProfileStore(database):
            return in_child(lambda: md.ProfileStore(database))

    assert in_child(work).startswith("DatabaseLockedError: ")


def test_another_file_and_one_that_was_closed_before_are_written_as_ever(database: str, tmp_path: Any) -> None:
    other = str(tmp_path / "other.duckdb")
    with Simulator(PEOPLE, limits=Limits(quota=None)) as sim:
        md.ProfileStore(database).close()
        assert in_child(lambda: fetch_here(sim, database)) == "60 of 60 profiles"
        with md.ProfileStore(database):
            assert in_child(lambda: fetch_here(sim, other)) == "60 of 60 profiles"
        assert fetch(sim, database, if_exists="replace").is_complete
    assert stored(database) == stored(other) == served(PEOPLE)


def test_turns_are_as_long_as_ever_in_a_child_of_a_run() -> None:
    before = sys.getswitchinterval()
    with ExitStack() as stack:
        stack.enter_context(SHORT_TURNS)
        assert sys.getswitchinterval() < before
        assert in_child(sys.getswitchinterval) == str(before)
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_a_claim_of_the_parents_run_does_not_hold_the_child_back() -> None:
    """A database in memory is copied with the process; its run goes on in the parent alone."""
    from store.storing import SPEC

    with duckdb.connect() as connection, md.ProfileStore(connection) as store:
        fetch = store.begin(SPEC)
        told = in_child(lambda: store.begin(SPEC).spec == SPEC)
        store.leave(fetch, note=None)
    assert told == "True"
