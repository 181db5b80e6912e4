"""What a run hands to everything that may block on its behalf: its stop, its meter and its trace."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """

    stop: Stop = field(default_factory=Stop)
    meter: Meter = field(default_factory=Meter)
    trace: Trace = field(default_factory=Trace)

    def starting_over(self) -> FetchControl:
        """Make a control that is not stopped and goes on counting where this one ended."""
        self.meter.new_session()
        return FetchControl(meter=self.meter)

    def sent(self, index: int) -> None:
        """Note a request about to be sent for a page."""
        self.meter.count_request(index)
        self.trace.sent()
