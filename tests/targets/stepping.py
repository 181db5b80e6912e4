"""A publish statement by statement, so that a test can let something happen before any of them."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from mixpanel_duckdb.store import targets
from mixpanel_duckdb.store.targets import publishing

Step = Callable[[int, str], object]
# Its children know this package already, and have nothing of the test's process: no thread, no open database.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["mixpanel_duckdb.api", "mixpanel_duckdb.store.targets.publishing", "targets.engines"])


class Stepping:
    """A cursor that tells of each statement before it is executed."""

    def __init__(self, cursor: Any, before: Step) -> None:
        self._cursor, self._before, self._number = cursor, before, 0

    def execute(self, statement: str, *parameters: Any) -> Any:
        self._number += 1
        self._before(self._number, statement)
        return self._cursor.execute(statement, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def at_step(monkeypatch: pytest.MonkeyPatch, before: Step) -> None:
    """Have something called before each statement of a publish."""

    def publish_into(cursor: Any, *rest: Any, **named: Any) -> Any:
        return publishing.publish_into(Stepping(cursor, before), *rest, **named)

    monkeypatch.setattr(targets, "publish_into", publish_into)


def ended_by(work: Callable[..., object], *arguments: Any) -> int:
    """Do something in a process of its own; gives its exit code."""
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def die_at(step: int) -> Step:
    """``kill -9`` before a statement."""
    return lambda number, _: os.kill(os.getpid(), signal.SIGKILL) if number == step else None
