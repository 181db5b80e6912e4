"""Where everything goes: lanes, bars, pauses, cuts, in pixels. Pure; ``svg`` draws what this decides.

A bar needs a width to be seen. What is narrower than two pixels is drawn together with its neighbours in the lane until
the bar is as wide; it takes the colour of what took most of its time, and tells in its tooltip what is in it. With more
than 800 bars that width is doubled until they are fewer, so a picture of any fetch stays a small file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..store import FetchHistory
from .activity import REQUESTS, Activity, Kind, activities, in_flight_share, merged, segments
from .scale import Cut, Tick, TimeScale

__all__ = ["WIDTH", "Bar", "Lane", "Layout", "Pause", "lay_out"]

WIDTH = 960.0
LEFT, RIGHT = 92.0, 20.0
_NARROWEST = 2.0
_MOST_BARS = 800
_MARKS_APART = 9.0


@dataclass(slots=True)
class Bar:
    """A bar of a lane: its edges in pixels, and what it stands for, in order of time."""

    left: float
    right: float
    of: list[Activity] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """What took most of its time."""
        seconds: dict[Kind, float] = {}
        for each in self.of:
            seconds[each.kind] = seconds.get(each.kind, 0.0) + each.seconds
        return max(seconds, key=lambda kind: seconds[kind])


@dataclass(frozen=True, slots=True)
class Lane:
    """What one worker did.

    Args:
        worker: Name of the thread.
        bars: Requests and waits, from left to right without overlap.
        tails: Edges of the times in which pages of the worker waited to be written, likewise.
        marks: Places of failed, refused and lost requests.
    """

    worker: str
    bars: tuple[Bar, ...]
    tails: tuple[tuple[float, float], ...]
    marks: tuple[tuple[float, Kind], ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which the server's limits held everybody: its edges in pixels, its seconds, and the limit."""

    left: float
    right: float
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole picture before it is drawn.

    Args:
        history: What is drawn.
        lanes: One for each worker.
        pauses: From left to right.
        cuts: Between runs.
        ticks: Of the axis.
        right: Right edge of the axis.
        seconds: Length of all runs.
        at_once: Most requests that are counted as "all in flight": 5, or fewer if there were fewer workers.
        share: Share of the time in which so many were in flight.
        counts: How often each kind of activity is in it.
    """

    history: FetchHistory
    lanes: tuple[Lane, ...] = ()
    pauses: tuple[Pause, ...] = ()
    cuts: tuple[Cut, ...] = ()
    ticks: tuple[Tick, ...] = ()
    right: float = WIDTH - RIGHT
    seconds: float = 0.0
    at_once: int = 0
    share: float = 0.0
    counts: Counter[Kind] = field(default_factory=Counter)


def lay_out(history: FetchHistory) -> Layout:
    """Decide where everything goes.

    Args:
        history: How the fetch went; without pages the layout is empty.
    """
    done = activities(history)
    if not done:
        return Layout(history)
    scale = TimeScale(segments(history, done), LEFT, WIDTH - LEFT - RIGHT)
    workers = sorted({each.worker for each in done})
    at_once = min(5, len(workers))
    return Layout(
        history,
        lanes=_lanes(scale, workers, done),
        pauses=tuple(_pauses(scale, done)),
        cuts=tuple(scale.cuts()),
        ticks=tuple(scale.ticks()),
        right=scale.right,
        seconds=scale.seconds,
        at_once=at_once,
        share=in_flight_share(done, at_once, scale.seconds),
        counts=Counter(each.kind for each in done),
    )


def _lanes(scale: TimeScale, workers: Sequence[str], done: Sequence[Activity]) -> tuple[Lane, ...]:
    by_worker = {name: [each for each in done if each.worker == name] for name in workers}
    placed = {
        name: [(scale.x(each.start), scale.x(each.end), each) for each in found if each.kind != "commit"]
        for name, found in by_worker.items()
    }
    narrowest = _NARROWEST
    while True:
        bars = {name: _bars(found, narrowest) for name, found in placed.items()}
        if sum(map(len, bars.values())) <= _MOST_BARS or narrowest > WIDTH:
            break
        narrowest *= 2
    return tuple(
        Lane(name, tuple(bars[name]), tuple(_tails(scale, by_worker[name])), tuple(_marks(placed[name])))
        for name in workers
    )


def _bars(placed: Iterable[tuple[float, float, Activity]], narrowest: float) -> list[Bar]:
    bars: list[Bar] = []
    for left, right, each in placed:
        last = bars[-1] if bars else None
        start = max(left, last.right) if last else left
        narrow = last is not None and last.right - last.left < narrowest and start - last.right < narrowest
        if last is not None and narrow and right - start < narrowest:
            last.right = max(last.right, right)
            last.of.append(each)
        else:
            bars.append(Bar(start, max(start, right), [each]))
    return bars


def _tails(scale: TimeScale, done: Iterable[Activity]) -> Iterator[tuple[float, float]]:
    edge = None
    for start, end in merged((each.start, each.end) for each in done if each.kind == "commit"):
        left, right = scale.x(start), scale.x(end)
        if edge is not None and left - edge[1] < 1.0:
            edge = (edge[0], right)
            continue
        if edge is not None:
            yield edge
        edge = (left, right)
    if edge is not None:
        yield edge


def _marks(placed: Iterable[tuple[float, float, Activity]]) -> Iterator[tuple[float, Kind]]:
    """One mark for each trouble, unless one of its kind is there already."""
    last: dict[Kind, float] = {}
    for left, right, each in placed:
        place = (left + right) / 2
        if each.kind in REQUESTS - {"page"} and place - last.get(each.kind, -WIDTH) >= _MARKS_APART:
            last[each.kind] = place
            yield place, each.kind


def _pauses(scale: TimeScale, done: Sequence[Activity]) -> Iterator[Pause]:
    waits = [each for each in done if each.kind == "limit"]
    reasons = {each.start: each.why for each in reversed(waits)}
    for start, end in merged((each.start, each.end) for each in waits):
        yield Pause(scale.x(start), scale.x(end), (end - start).total_seconds(), reasons[start])
