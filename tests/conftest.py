"""What every test has: a database path, and a check that no thread outlives it."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Nothing that a test uses may call home.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
_GRACE = 3.0
# Threads of a server that several tests share come and go with its connections.
_SHARED = ("simulator", "Thread-")


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


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "profiles.duckdb")
