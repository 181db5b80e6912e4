"""The bar drawn by tqdm (extra ``progress``): a widget in a notebook that has ipywidgets, a line elsewhere.

tqdm draws; the figures are the tally's, since tqdm would count waits and what an earlier run did into its rate.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .bars import Redrawn

__all__ = ["TqdmBar"]

_FORMAT = "{percentage:3.0f}%|{bar}| {desc}"


class TqdmBar(Redrawn):
    """A bar that stays when the run is over; tqdm's notebook widget turns red if that was too early.

    What tqdm cannot draw (a closed standard error, a widget without a front end) is dropped: a display must never end a
    run.

    Args:
        clock: Monotonic seconds; replaceable for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(self._say, clock=clock)
        self._make = _tqdm()
        self._bar: Any = None

    def draw(self) -> None:
        """Show the numbers as they are now; before the size of the run is known, only a wait is shown."""
        if self.plan is not None or self.hold:
            self._show("  ".join(self.figures()))

    def close(self) -> None:
        """Leave the end of the run."""
        if self._bar is not None:
            self._show(self.outcome())
            with suppress(Exception):
                self._bar.close()

    def _show(self, text: str) -> None:
        with suppress(Exception):
            total = self.plan.total_pages if self.plan else None
            if self._bar is None:
                self._bar = self._make(total=total, bar_format=_FORMAT, dynamic_ncols=True)
            elif self._bar.total != total:
                self._bar.reset(total)
            self._bar.n = self.pages
            self._bar.set_description_str(text)

    def _say(self, text: str) -> None:
        with suppress(Exception):
            self._make.write(f"Note: {text}", file=sys.stderr)


def _tqdm() -> Any:
    with warnings.catch_warnings():
        # That its notebook mode is young, or that ipywidgets is missing, is nothing a reader of profiles has to mend.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm  # noqa: PLC0415 - an extra, and half a second of imports in a notebook

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # no thread that outlives the run

    # tqdm's own lock is one for the whole process, and a Ctrl-C inside it leaves it locked: the next bar that another
    # thread draws would wait for ever.
    Bar.set_lock(threading.RLock())
    return Bar
