"""Progress for whoever is there: a bar that is redrawn on a terminal, a line now and then in a log, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..progress import FetchPlan, ProfileBatchProgress
from .screen import Screen
from .talk import Talk
from .tally import Tally
from .text import duration

__all__ = ["Bar", "Heartbeat", "bar_line", "progress_for"]

_DRAWS_APART = 0.1
_BEATS_APART = 10.0
_BEATS_APART_WAITING = 60.0
_LONGEST_BAR = 30
_SHORTEST_BAR = 8


def progress_for(talk: Talk) -> Tally:
    """Choose the display: none for ``--quiet``, a bar on a terminal, a heartbeat elsewhere."""
    if talk.quiet:
        return Tally(talk.notice)
    if talk.screen.redraws:
        return Bar(talk.notice, talk.screen)
    return Heartbeat(talk.notice, talk.screen)


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


class Bar(Tally):
    """One line on a terminal, redrawn at most ten times a second."""

    def __init__(
        self, say: Callable[[str], None], screen: Screen, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(say, clock=clock)
        self._screen = screen
        self._strokes = "━─" if screen.encodes("━─") else "=-"
        self._next = 0.0

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
            self._screen.draw(bar_line(self.figures(), self.fraction, self._screen.width, self._strokes))

    def close(self) -> None:
        """Leave a clean line."""
        self._screen.draw("")


class Heartbeat(Tally):
    """A line every ten seconds, every minute during a long wait, and one at the end."""

    def __init__(
        self, say: Callable[[str], None], screen: Screen, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(say, clock=clock)
        self._screen = screen
        self._last = self._started

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Say where the run is, if it is time."""
        super().page_done(progress)
        self.ticked()

    def waiting(self, seconds: float, reason: str) -> None:
        """Say that a long wait begins, at once."""
        longer = seconds - self.hold
        super().waiting(seconds, reason)
        if longer >= _BEATS_APART:
            self._beat()

    def ticked(self) -> None:
        """Say where the run is, if it is time."""
        apart = _BEATS_APART_WAITING if self.hold > _BEATS_APART else _BEATS_APART
        if self._clock() - self._last >= apart:
            self._beat()

    def close(self) -> None:
        """Say where the run has ended."""
        if self.plan is not None:
            self._screen.line(f"{', '.join(self.figures()[:2])} in {duration(self.elapsed)}")

    def _beat(self) -> None:
        self._last = self._clock()
        self._screen.line(", ".join(self.figures()).replace(", (", " ("))
