"""Scripted trouble: which request it meets, and how often."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

FaultKind = Literal[
    "status",
    "quota",
    "concurrency",
    "shedding",
    "html_200",
    "error_key_200",
    "echo",
    "redirect",
    "lost_session",
    "delay",
    "empty_page",
    "short_page",
    "duplicates",
    "wrong_page",
    "missing_total",
    "wrong_total",
    "page_as",
    "fields",
    "garbage_200",
    "gzip_members",
    "bad_gzip",
    "hang",
    "reset",
    "cut",
    "cut_chunked",
    "cut_gzip",
    "slow",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One kind of trouble for the requests that match it; the first matching fault of a list is played.

    * instead of the answer: `status` (with `status`, `text`; 502, 503, 504 are HTML), `quota`, `concurrency`,
      `shedding` (429, with `retry_after`), `html_200`, `error_key_200`, `echo` (a gateway that shows the request
      and its headers in its error, under `status`), `redirect` (302 to `location`), `lost_session` (the session
      is forgotten first), `hang` (counted, then silence for `seconds`, else until the client goes)
    * in the page: `empty_page`, `short_page` (`rows` left, else half), `duplicates` (`rows`, else half of
      them replaced by rows of `of_page`), `wrong_page` (echoes `of_page`), `missing_total`, `wrong_total`
      (`total`), `page_as` (a good page under `status`, say 201 or 206),
      `fields` (the fields of `fields` behind its own, or in place of them)
    * on the wire: `garbage_200` (`text` amid the body, else what breaks any JSON), `gzip_members` (two of them),
      `bad_gzip`, `cut_gzip` (the stream ends early, the length is right), `cut` (shorter than its
      Content-Length), `cut_chunked`, `reset` (RST), all after the share `after` of the body, `slow` (the body
      takes `seconds`), `delay` (`seconds` more than usual)

    Any of them may carry `headers`, which are added to those of the answer or take their place.

    Args:
        kind: What goes wrong.
        page: A page number, several, or None for every request.
        attempts: How many first requests for that page in that session meet it, or a range of attempt numbers
            counted from 1, or None for all. Page 0 has no session yet: its requests are counted over the
            whole run.
        times: How often it is played altogether; None is as often as it matches.
        above: Only requests that ask for more profiles a page meet it: a server that refuses large pages, or is too
            slow for them.

    Example:
        >>> Fault("status", page=3, status=502).matches(3, 1), Fault("reset", page=3).matches(3, 2)
        (True, False)
    """

    kind: FaultKind
    page: int | Collection[int] | None = None
    attempts: int | range | None = 1
    times: int | None = None
    above: int | None = None
    status: int = 500
    text: str | None = None
    retry_after: int | float | str | None = None
    seconds: float | None = None
    after: float = 0.5
    rows: int | None = None
    of_page: int = 0
    total: int = 0
    location: str = "http://127.0.0.1:9/elsewhere"
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    def matches(self, page: int | None, attempt: int, page_size: int | None = None) -> bool:
        """Whether the n-th request for a page of a session, of so many profiles a page, meets this fault."""
        if self.above is not None and (page_size or 0) <= self.above:
            return False
        if self.page is not None and page not in ((self.page,) if isinstance(self.page, int) else self.page):
            return False
        if self.attempts is None:
            return True
        return attempt in (range(1, self.attempts + 1) if isinstance(self.attempts, int) else self.attempts)

    @classmethod
    def schedule(cls, kinds: Sequence[FaultKind], *, pages: int, rate: float, seed: int) -> Iterator[Fault]:
        """
        Random trouble that a seed repeats: each page meets one of the kinds, at its first request, with
        chance `rate`.

        Example:
            >>> [fault.page for fault in Fault.schedule(["reset"], pages=4, rate=1.0, seed=1)]
            [0, 1, 2, 3]
        """
        rng = random.Random(seed)  # noqa: S311
        for page in range(pages):
            if rng.random() < rate:
                kind = rng.choice(kinds)
                yield cls(kind, page=page, seconds=0.05, after=rng.random(), status=rng.choice((500, 502, 503, 504)))


class FaultScript:
    """The faults of a simulator and how often each was played. Any thread may call it."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = [(fault, [fault.times]) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Append a fault during a run."""
        with self._lock:
            self._faults.append((fault, [fault.times]))

    def clear(self) -> None:
        """No more trouble."""
        with self._lock:
            self._faults.clear()

    def pick(self, page: int | None, attempt: int, page_size: int | None = None) -> Fault | None:
        """The first fault that matches and has plays left."""
        with self._lock:
            for fault, left in self._faults:
                if left[0] == 0 or not fault.matches(page, attempt, page_size):
                    continue
                if left[0] is not None:
                    left[0] -= 1
                return fault
        return None
