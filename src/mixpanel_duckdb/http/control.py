"""What a run hands to everything that may block on its behalf: its stop, its meter and its trace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .meter import Meter
from .stop import Stop
from .trace import Trace

__all__ = ["FetchControl"]


@dataclass(frozen=True, slots=True)
class FetchControl:
    """One run, as its threads see it.

    Args:
        stop: Cuts every wait of the run short.
        meter: What the run has spent; the result reports it.
        trace: What the fetch threads do for the pages under way; for the journal.
        most_tries: Most requests for one page in one round, where that is less than the retry policy's.
    """

    stop: Stop = field(default_factory=Stop)
    meter: Meter = field(default_factory=Meter)
    trace: Trace = field(default_factory=Trace)
    most_tries: int | None = None

    def starting_over(self) -> FetchControl:
        """Make a control that is not stopped and goes on counting where this one ended."""
        self.meter.new_session()
        return FetchControl(meter=self.meter)

    def trying(self, most: int) -> FetchControl:
        """Give the same run to whoever may try so many times."""
        return replace(self, most_tries=most)

    def sent(self, asked: int | str) -> None:
        """Note a request about to be sent, for a page or for what else is asked for."""
        self.meter.count_request(asked)
        self.trace.sent()
