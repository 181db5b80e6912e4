"""An interrupt at any moment: tried one after the other, in the calling thread, from a run's first moment to its last.

Python delivers a signal where a function begins and where a call of a built-in one has returned; a profiler sees just
these moments in this package and where threads are started, and raises KeyboardInterrupt at the n-th. (What happens
inside a lock of the standard library is Python's own affair.) Whatever n is: no thread is left, nothing is locked, and
the same call on the same store completes exactly. ``MP_TEST_INTERRUPTS=all`` tries every n, a number so many of them.
"""

import concurrent.futures.thread
import os
import random
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import mixpanel_duckdb as md
from helpers import client_of, served, stored
from mixpanel_duckdb.simulator import Fault, Limits, Population, Simulator

PACKAGE = str(Path(md.__file__).parent)
PEOPLE = Population(100, seed=3)
FREE = Limits(quota=None)
TRIED = os.environ.get("MP_TEST_INTERRUPTS", "12")


class Interrupting:
    """Raises at a moment; counts the moments if there are fewer."""

    def __init__(self, moment: int) -> None:
        self._moment = moment
        self.seen = 0
        self.where = ""

    def __enter__(self) -> "Interrupting":
        sys.setprofile(self._look)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, arg: Any) -> None:
        if event in {"call", "c_return"} and _counts(frame):
            self.seen += 1
            if self.seen == self._moment:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}, {event} {arg}"
                raise KeyboardInterrupt


def _counts(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if file == threading.__file__:
        return frame.f_code.co_name == "start"
    return file == concurrent.futures.thread.__file__ or (file.startswith(PACKAGE) and "simulator" not in file)


def moments_of(run: Any) -> int:
    with Interrupting(0) as counting:
        run()
    return counting.seen


def chosen(most: int, seed: int) -> list[int]:
    if TRIED == "all":
        return list(range(1, most + 1))
    return sorted(random.Random(seed).sample(range(1, most + 1), min(most, int(TRIED))))


@pytest.mark.timeout(3600 if TRIED == "all" else 120)
@pytest.mark.parametrize("case", ["new", "replace", "session lost"])
def test_an_interrupt_at_any_moment_leaves_no_lock_and_the_next_run_completes(tmp_path: Path, case: str) -> None:
    database = str(tmp_path / "profiles.duckdb")
    with Simulator(PEOPLE, limits=FREE) as sim, client_of(sim) as client:

        def run(store: md.ProfileStore) -> md.ParallelProfileFetchResult:
            if case == "session lost":
                sim.add_fault(Fault("lost_session", page=2, attempts=None, times=1))
            return md.fetch_profiles(store, client=client, page_size=20, if_exists="replace", progress=False)

        if case != "new":
            md.fetch_profiles(database, client=client, page_size=20, progress=False)
        with md.ProfileStore(database) as store:
            most = moments_of(lambda: run(store))
        for moment in chosen(most, seed=len(case)):
            if case == "new":
                Path(database).unlink()
            with md.ProfileStore(database) as store:
                with suppress(KeyboardInterrupt), Interrupting(moment) as at:
                    run(store)
                # Threads whose start was interrupted before it took place: listed, but there are none.
                for ghost in [each for each in threading.enumerate() if each.ident is None]:
                    threading._limbo.pop(ghost, None)
                sim.clear_faults()
                assert md.fetch_profiles(
                    store, client=client, page_size=20, if_exists="replace", progress=False
                ).is_complete, at.where
            assert stored(database) == served(PEOPLE), at.where
