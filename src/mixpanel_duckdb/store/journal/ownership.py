"""Which run may write a fetch: one at a time.

DuckDB lets one process at a time write a file, so a ``running`` row that another process left in the journal can only
be a leftover; of the runs of this process it is known here which of them are still at it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from weakref import WeakValueDictionary

from ...process import ProcessLock, in_child

__all__ = ["Claim"]


class Claim:
    """A run's right to write one fetch: from its beginning until that is over, or whoever made it is gone.

    Attributes:
        token: The owner's name in the journal.
    """

    _turn: ClassVar[ProcessLock] = ProcessLock()
    # Weak: an interrupt in the very line that releases a claim must not keep it for the life of the process.
    _in_force: ClassVar[WeakValueDictionary[str, Claim]] = WeakValueDictionary()

    def __init__(self) -> None:
        self.token: str = uuid.uuid4().hex

    @classmethod
    @contextmanager
    def alone(cls) -> Iterator[None]:
        """Be alone with the journal: two transactions that change the same rows or tables would refuse each other."""
        with cls._turn.lock:
            yield

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Come into force, alone with the journal; what is raised inside undoes it."""
        with self.alone():
            self._in_force[self.token] = self
            try:
                yield
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Give the claim up; once more does no harm."""
        self._in_force.pop(self.token, None)

    @classmethod
    def holds(cls, token: str) -> bool:
        """Whether the claim of a token is in force."""
        return token in cls._in_force


in_child(Claim._in_force.clear)  # the runs of a parent do not go on in its children
