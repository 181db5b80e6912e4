"""What every test has: a database path, a check that no thread outlives it, and a measure that knows who is looking."""

import gc
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Nothing that a test uses may call home.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
# How long an example takes says nothing about the code, on a machine that does other things as well.
settings.register_profile("house", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
# Where the same properties have been tried before, with another DuckDB.
settings.register_profile("brief", settings.get_profile("house"), max_examples=15)
settings.load_profile("house")
_GRACE = 20.0
# Threads of a server that several tests share come and go with its connections.
_SHARED = ("simulator", "Thread-")


def pytest_collection_finish() -> None:
    """Keep the collector from looking through thousands of tests again and again: they stay until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    shares_a_server = any(thread.name == "simulator" for thread in before)
    yield
    deadline = time.monotonic() + _GRACE
    while left := [
        thread
        for thread in threading.enumerate()
        if thread not in before and not (shares_a_server and thread.name.startswith(_SHARED))
    ]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads were left behind: {', '.join(thread.name for thread in left)}")
        time.sleep(0.01)


@pytest.fixture(scope="session", autouse=True)
def heeded_interrupts() -> Iterator[None]:
    """A test run that was itself started in the background would hand down an ignored SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.timed)], ids=["beside-others", "alone"])
def at_most(request: pytest.FixtureRequest) -> Callable[[float], float]:
    """A bound on what another process can make longer: it holds where the test runs alone, and else there is none.

    So ``assert took < at_most(1.0)`` is one test for what happens, and another, marked ``timed``, for how soon.
    """
    return lambda most: most if request.param else math.inf


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "profiles.duckdb")
