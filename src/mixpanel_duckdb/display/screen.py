"""Standard error as a place with one line that is redrawn and lines that stay."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TextIO

from ..text import shown, wrapped

__all__ = ["Screen"]


class Screen:
    """Writes lines above a line that may be redrawn; any thread may call it.

    What cannot be written (a closed pipe, or no standard error at all) is dropped: talk must never end a run.

    Args:
        stream: Where to write; default: standard error as it is now.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO = stream or sys.stderr
        self._lock = threading.RLock()
        self._drawn = ""

    @property
    def redraws(self) -> bool:
        """Whether a person may be watching a terminal that can go back to the start of a line.

        Some CI systems give their jobs a terminal; what they keep is a log all the same.
        """
        try:
            terminal = self._stream.isatty()
        except (AttributeError, ValueError):
            terminal = False
        return terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")

    @property
    def width(self) -> int:
        """Columns that a redrawn line may use; the last one is left free, since some terminals wrap there."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (AttributeError, OSError, ValueError):
            columns = 0
        return (columns or 80) - 1

    def encodes(self, text: str) -> bool:
        """Say whether the stream can show these characters."""
        try:
            text.encode(getattr(self._stream, "encoding", None) or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def line(self, text: str) -> None:
        """Write a line, or several, that stay above the redrawn one."""
        safe = shown(text, keep="\n")
        if self.redraws:
            safe = wrapped(safe, self.width + 1)
        with self._lock:
            drawn = self._drawn
            self._put(f"{self._erasure()}{safe}\n{drawn}")
            self._drawn = drawn

    def draw(self, text: str) -> None:
        """Replace the redrawn line; an empty text leaves a clean line."""
        with self._lock:
            if text != self._drawn:
                self._put(f"{self._erasure()}{text}")
                self._drawn = text

    def _erasure(self) -> str:
        """Spaces work on every terminal; of a line that a narrowed window has wrapped, what is left is erased."""
        columns = min(len(self._drawn), self.width)
        return f"\r{' ' * columns}\r" if columns else ""

    def _put(self, text: str) -> None:
        with suppress(AttributeError, OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
