"""Which run may write a fetch: one at a time.

DuckDB lets one process at a time write a file, so a ``running`` row that another process left in the journal can only
be a leftover; of the runs of this process it is known here which of them are still at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from ...process import ProcessLock, in_child

__all__ = ["Ownership"]


class Ownership:
    """Claims of this process, so that two runs of it never write one table; guarded by one lock."""

    _turn: ClassVar[ProcessLock] = ProcessLock()
    _active: ClassVar[set[str]] = set()

    @classmethod
    @contextmanager
    def alone(cls) -> Iterator[None]:
        """Be alone with the journal: two transactions that change the same rows or tables would refuse each other."""
        with cls._turn.lock:
            yield

    @classmethod
    @contextmanager
    def claiming(cls, token: str) -> Iterator[None]:
        """Add a claim, alone with the journal; whatever is raised inside takes it back."""
        with cls._turn.lock:
            cls._active.add(token)
            try:
                yield
            except BaseException:
                cls.release(token)
                raise

    @classmethod
    def release(cls, token: str) -> None:
        """Give a claim up."""
        cls._active.discard(token)

    @classmethod
    def holds(cls, token: str) -> bool:
        """Whether a claim is in force."""
        return token in cls._active


in_child(Ownership._active.clear)  # the runs of a parent do not go on in its children
