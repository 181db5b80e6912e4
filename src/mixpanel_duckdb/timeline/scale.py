"""The time axis: moments to pixels, with the time between two runs cut out, and its ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from .activity import Interval

__all__ = ["Cut", "Tick", "TimeScale", "span_text"]

_MOST_TICKS = 10
_CUT_WIDTH = 26.0
_MOST_CUT = 0.25
_LEAST_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where time is cut out: its edges in pixels, and how many seconds are missing."""

    left: float
    right: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of the axis, with its text."""

    x: float
    text: str


class TimeScale:
    """Places moments on an axis.

    Args:
        segments: Times to show, in order and without overlap; there is a cut between each two.
        left: Left edge of the axis in pixels.
        width: Its width in pixels.

    Example:
        >>> start = datetime(2026, 1, 1)
        >>> scale = TimeScale([(start, start + timedelta(seconds=20))], 100.0, 400.0)
        >>> scale.x(start + timedelta(seconds=5)), [tick.text for tick in scale.ticks()][:3]
        (200.0, ['0', '2', '4'])
    """

    def __init__(self, segments: Sequence[Interval], left: float, width: float) -> None:
        self._segments = list(segments)
        self.left: float = left
        self.right: float = left + width
        self.seconds: float = sum((end - start).total_seconds() for start, end in self._segments)
        cuts = max(0, len(self._segments) - 1)
        self._cut = min(_CUT_WIDTH, _MOST_CUT * width / cuts) if cuts else 0.0
        self._pixels = (width - cuts * self._cut) / max(self.seconds, _LEAST_SECONDS)

    def x(self, moment: datetime) -> float:
        """Place a moment; one that is cut out falls on the edge of its cut."""
        passed, place = 0.0, self.left
        for number, (start, end) in enumerate(self._segments):
            if moment < start:
                break
            here = (min(moment, end) - start).total_seconds()
            place = self._at(passed + here, number)
            passed += (end - start).total_seconds()
        return place

    def cuts(self) -> list[Cut]:
        """List the cuts from left to right."""
        found, passed = [], 0.0
        for number, ((start, end), (following, _)) in enumerate(pairwise(self._segments)):
            passed += (end - start).total_seconds()
            edge = self._at(passed, number)
            found.append(Cut(edge, edge + self._cut, (following - end).total_seconds()))
        return found

    def ticks(self) -> list[Tick]:
        """Place ticks at round numbers of seconds, what is cut out not counted."""
        step = _round_step(max(self.seconds, _LEAST_SECONDS) / _MOST_TICKS)
        decimals = max(0, -math.floor(math.log10(step)))
        ends, passed = [], 0.0
        for start, end in self._segments:
            passed += (end - start).total_seconds()
            ends.append(passed)
        times = [number * step for number in range(int(self.seconds / step + 1e-9) + 1)]
        numbers = [sum(time > end + 1e-9 for end in ends[:-1]) for time in times]
        return [
            Tick(min(self.right, self._at(time, number)), f"{time:,.{decimals}f}")
            for time, number in zip(times, numbers, strict=True)
        ]

    def _at(self, seconds: float, segment: int) -> float:
        return min(self.right, self.left + seconds * self._pixels + segment * self._cut)


def span_text(seconds: float) -> str:
    """Write a length of time with the unit that suits it.

    Example:
        >>> [span_text(seconds) for seconds in (0.0214, 3.21, 42.0, 150.0, 7500.0, 200000.0)]
        ['21 ms', '3.2 s', '42.0 s', '2 min 30 s', '2 h 5 min', '2 d 7 h']
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, rest = divmod(rest, 60)
    counts = {"d": whole.days, "h": hours, "min": minutes, "s": rest}
    parts = [f"{number} {unit}" for unit, number in counts.items()]
    shown = next((place for place, part in enumerate(parts) if not part.startswith("0 ")), 3)
    return " ".join(part for part in parts[shown : shown + 2] if not part.startswith("0 ")) or "0 s"


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))
