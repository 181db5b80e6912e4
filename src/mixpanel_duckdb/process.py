"""What belongs to a process as a whole, and what becomes of it in a child that is forked.

A fork copies memory, but of the threads only the one that called it: a lock that another thread held would stay locked
in the child for ever, and what that thread had under way never ends there.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["LARGE_BLOCK", "ProcessLock", "give_large_blocks_back", "in_child", "lives"]

# Bytes.
LARGE_BLOCK = 4 << 20
# glibc's number of that setting.
_MMAP_THRESHOLD = -3

# A fork waits so long for whoever holds a lock, and then goes on without.
_PATIENCE = 1.0


class ProcessLock:
    """A lock for state of the whole process; in a forked child it is free.

    A fork waits a moment until nobody holds it, so that the child gets that state whole: what DuckDB does once in a
    process, for one, would never end in a child that was forked meanwhile.

    Attributes:
        lock: To be held by ``with``, which a Ctrl-C never finds half entered.

    Example:
        >>> turn = ProcessLock()
        >>> with turn.lock:
        ...     turn.lock.locked()
        True
    """

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self._forking: int | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._renew)

    def _hold(self) -> None:
        if self.lock.acquire(timeout=_PATIENCE):
            self._forking = threading.get_ident()

    def _let_go(self) -> None:
        if self._forking == threading.get_ident():
            self._forking = None
            self.lock.release()

    def _renew(self) -> None:
        self.lock, self._forking = threading.Lock(), None


def in_child(renew: Callable[[], object]) -> None:
    """Have something called in every child that is forked from now on, before anything else runs there."""
    if hasattr(os, "register_at_fork"):  # Windows knows no fork
        os.register_at_fork(after_in_child=renew)


def lives(pid: int) -> bool:
    """Say whether a process of this machine is there; of none where the system does not tell.

    Example:
        >>> lives(os.getpid())
        True
    """
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def give_large_blocks_back() -> None:
    """Let glibc give a block of 4 MB or more back to the system when it is freed, as it does until the first is.

    By itself it keeps blocks as large as any that was freed, in a heap for each thread: bodies of 16 MB, which five
    threads fetch, left 60 MB of them. Elsewhere there is nothing to do.
    """
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only for large pages

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)
