"""The numbers of a run drawn: a bar that is redrawn where somebody watches, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ..results import FetchPlan, ProfileBatchProgress
from .screen import Screen
from .tally import Tally

__all__ = ["Bar", "Heartbeat", "Redrawn", "bar_line"]

_DRAWS_APART = 0.1
_BEATS_APART = 10.0
_BEATS_APART_WAITING = 60.0
_LONGEST_BAR = 30
_SHORTEST_BAR = 8


def bar_line(figures: list[str], fraction: float, width: int, strokes: str = "=-") -> str:
    """Compose one line no wider than ``width``: as many figures as fit, and a bar if there is room for one.

    Example:
        >>> bar_line(["3/4 pages", "3,000 profiles"], 0.75, 40)
        '=========----  3/4 pages  3,000 profiles'
    """
    text = figures[0]
    for figure in figures[1:]:
        if len(text) + 2 + len(figure) > width:
            break
        text += f"  {figure}"
    room = min(_LONGEST_BAR, width - len(text) - 2)
    if room < _SHORTEST_BAR:
        return text[:width]
    full = int(room * fraction)
    return f"{strokes[0] * full}{strokes[1] * (room - full)}  {text}"


class Redrawn(Tally):
    """What is drawn again at most ten times a second, and at once when the size of the run is known."""

    _next = 0.0

    def planned(self, plan: FetchPlan) -> None:
        """Show the size of the run."""
        super().planned(plan)
        self.ticked()

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Show a page."""
        super().page_done(progress)
        self.ticked()

    def ticked(self) -> None:
        """Redraw, unless that was just done."""
        if self._clock() >= self._next:
            self._next = self._clock() + _DRAWS_APART
            self.draw()

    def draw(self) -> None:
        """Show the numbers as they are now."""


class Bar(Redrawn):
    """One line on a terminal or in a notebook.

    Args:
        say: Takes each notice of the run.
        screen: Where to draw.
        stays: Whether the end of the run is left as a line; else the line is left clean.
        clock: Monotonic seconds; replaceable for tests.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        screen: Screen,
        *,
        stays: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(say, clock=clock)
        self._screen = screen
        self._stays = stays
        self._strokes = "━─" if screen.encodes("━─") else "=-"

    def draw(self) -> None:
        """Replace the line."""
        self._screen.draw(bar_line(self.figures(), self.fraction, self._screen.width, self._strokes))

    def close(self) -> None:
        """Leave a clean line, or the end of the run."""
        self._screen.draw("")
        if self._stays and self.plan is not None:
            self._screen.line(self.outcome())


class Lines(Protocol):
    """Where lines can be written."""

    def line(self, text: str) -> None:
        """Write one."""


class Heartbeat(Tally):
    """A line every few seconds, every minute during a long wait, and one at the end.

    Args:
        say: Takes each notice of the run.
        screen: Where to write.
        apart: Seconds from line to line, and of the shortest wait that is a line of its own.
        reserved: Whether a run that is over before its first line says nothing at all.
        clock: Monotonic seconds; replaceable for tests.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        screen: Lines,
        *,
        apart: float = _BEATS_APART,
        reserved: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(say, clock=clock)
        self._screen = screen
        self._apart = apart
        self._last = self._started
        self._ends = not reserved

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Say where the run is, if it is time."""
        super().page_done(progress)
        self.ticked()

    def waiting(self, seconds: float, reason: str) -> None:
        """Say that a long wait begins, at once."""
        longer = seconds - self.hold
        super().waiting(seconds, reason)
        if longer >= self._apart:
            self._beat()

    def ticked(self) -> None:
        """Say where the run is, if it is time."""
        apart = _BEATS_APART_WAITING if self.hold > self._apart else self._apart
        if self._clock() - self._last >= apart:
            self._beat()

    def close(self) -> None:
        """Say where the run has ended."""
        if self.plan is not None and self._ends:
            self._screen.line(self.outcome())

    def _beat(self) -> None:
        self._last = self._clock()
        self._ends = True
        self._screen.line(", ".join(self.figures()).replace(", (", " ("))
