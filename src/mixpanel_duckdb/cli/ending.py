"""Where a command ends: the exit codes, the one ``try`` that turns errors into them, and the signals.

The first Ctrl-C or SIGTERM raises ``KeyboardInterrupt`` in the main thread, and the library stops cleanly; the second
one ends the process on the spot.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import click

from ..errors import MixpanelError
from ..text import one_line
from .talk import Talk

__all__ = ["EXIT_CODES", "Commands", "Signals", "Terminated"]

EXIT_CODES = {
    0: "complete",
    1: "failed",
    2: "usage: flags, a filter, a table that exists and no choice, or one that is not there",
    3: "credentials or configuration",
    4: "incomplete; the same command goes on from there",
    5: "storage: DuckDB could not read or write",
    130: "interrupted (Ctrl-C); 143 for SIGTERM",
}
_LONGEST_MESSAGE = 4_000


class Terminated(KeyboardInterrupt):
    """SIGTERM: stops a run just as Ctrl-C does, and ends with a code of its own."""


class Signals:
    """Handles SIGINT and SIGTERM while it is entered; does nothing outside the main thread.

    ``received`` is written by the signal handler, which Python runs on the main thread.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """128 and the number of the first signal, as shells count."""
        return 128 + (self.received or signal.SIGINT)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # A shell without job control starts background commands with SIGINT ignored, on purpose.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


class Commands(click.Group):
    """The group of all commands; whatever one of them raises ends here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note ``--json`` before anything can fail, so that usage errors come as JSON too."""
        ctx.obj = talk = Talk(as_json="--json" in args)
        try:
            return super().parse_args(ctx, args)
        except click.ClickException as error:
            return ctx.exit(_say(talk, error))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into an exit code."""
        talk: Talk = ctx.obj
        with Signals() as signals:
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                text = talk.when_stopped()
                talk.failure(text, {"code": "interrupted", "message": text})
                code = signals.exit_code
            except Exception as error:  # noqa: BLE001 - the last line of defence
                code = _say(talk, error)
        return ctx.exit(code)


def _say(talk: Talk, error: Exception) -> int:
    """Say an error the way its kind deserves and give its exit code."""
    if isinstance(error, click.exceptions.Exit) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
        raise error  # click ends these itself
    if isinstance(error, MixpanelError):
        talk.failure(f"Error: {error}", error.to_dict())
        talk.trace(error)
        return error.exit_code
    if isinstance(error, click.ClickException):
        said = io.StringIO()
        error.show(said)
        talk.screen.line(said.getvalue().rstrip("\n"))
        if talk.as_json:
            talk.result({"error": {"code": "usage", "message": error.format_message()}}, "")
        return error.exit_code
    text = one_line(f"unexpected {type(error).__name__}: {error}", _LONGEST_MESSAGE)
    talk.failure(f"Error: {text.rstrip('.')}. -v shows where it happened.", {"code": "unexpected", "message": text})
    talk.trace(error)
    return 1
