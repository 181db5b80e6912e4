"""What a run hands to everything that may block on its behalf: its stop, its meter and its trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from ..errors import MixpanelError
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
        enough: Says of the last failure of a page that it is not asked for again, whatever the retry policy says.
    """

    stop: Stop = field(default_factory=Stop)
    meter: Meter = field(default_factory=Meter)
    trace: Trace = field(default_factory=Trace)
    enough: Callable[[MixpanelError], bool] = lambda _: False

    def starting_over(self) -> FetchControl:
        """Make a control that is not stopped and goes on counting where this one ended."""
        self.meter.new_session()
        return FetchControl(meter=self.meter)

    def until(self, enough: Callable[[MixpanelError], bool]) -> FetchControl:
        """Give the same run to whoever may try until there is enough of it."""
        return replace(self, enough=enough)

    def sent(self, asked: int | str) -> None:
        """Note a request about to be sent, for a page or for what else is asked for."""
        self.meter.count_request(asked)
        self.trace.sent()

    @contextmanager
    def lent(self, asked: int | str) -> Iterator[None]:
        """Lend this to the caller's code, which may ask through us and hands no control on; it counts as one request.

        Args:
            asked: What it is to bring.
        """
        self.sent(asked)
        token = _LENT.set(_Lent(self.stop, self.meter, self.trace, self.enough))
        try:
            yield
        finally:
            _LENT.reset(token)

    @staticmethod
    def here() -> FetchControl:
        """Give the control that was lent to the code that runs here, else a new one."""
        return _LENT.get() or FetchControl()


@dataclass(frozen=True, slots=True)
class _Lent(FetchControl):
    """The same run, whose next request has been counted."""

    counted: list[bool] = field(default_factory=lambda: [True])

    def sent(self, asked: int | str) -> None:
        if self.counted:
            self.counted.clear()
            self.trace.sent()
        else:
            FetchControl.sent(self, asked)


_LENT: ContextVar[FetchControl | None] = ContextVar("mixpanel_duckdb_lent", default=None)
