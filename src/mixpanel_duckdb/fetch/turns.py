"""Shorter turns at the interpreter's lock, for as long as pages are on their way.

Only one thread of a process runs Python at a time. One that wants to waits until the others give way, and a thread that
computes does so every 5 milliseconds, unless the process says otherwise. A page needs about ten turns, most of them for
a few microseconds: reading its bytes, calling DuckDB. So beside one busy thread, such as a notebook's own work, a
fetch would spend nearly all of its time waiting (``docs/benchmarks.md`` has the figures).
"""

from __future__ import annotations

import sys

from ..process import ProcessLock, in_child

__all__ = ["SHORT_TURNS", "ShortTurns"]

_SECONDS = 0.0002


class ShortTurns:
    """A context manager for the whole process: the first to enter shortens the turns, the last to leave restores them.

    What the process sets meanwhile, and a setting that is shorter already, stays. It is the writing thread of a run
    that enters, not the caller's, where a Ctrl-C between two statements would leave them short for good.

    Example:
        >>> before = sys.getswitchinterval()
        >>> with SHORT_TURNS:
        ...     sys.getswitchinterval() < 0.0003
        True
        >>> sys.getswitchinterval() == before
        True
    """

    def __init__(self) -> None:
        self._turn = ProcessLock()
        self._inside = 0
        self._before = self._ours = 0.0
        in_child(self._renew)

    def __enter__(self) -> None:
        with self._turn.lock:
            self._inside += 1
            if self._inside == 1:
                self._before = sys.getswitchinterval()
                if self._before > _SECONDS:
                    sys.setswitchinterval(_SECONDS)
                self._ours = sys.getswitchinterval()

    def __exit__(self, *exc: object) -> None:
        with self._turn.lock:
            self._inside -= 1
            if not self._inside:
                self._restore()

    def _renew(self) -> None:
        """In a child, where none of those who entered goes on."""
        if self._inside:
            self._inside = 0
            self._restore()

    def _restore(self) -> None:
        if self._before > self._ours == sys.getswitchinterval():
            sys.setswitchinterval(self._before)


SHORT_TURNS = ShortTurns()
