"""Where a command ends: the exit codes, the one ``try`` that turns errors into them, and the signals.

The first Ctrl-C or SIGTERM raises ``KeyboardInterrupt`` in the main thread, and the library stops cleanly; the second
one ends the process on the spot.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from types import FrameType, TracebackType
from typing import Any, Self

import click

from ..errors import MixpanelError
from ..text import one_line, shown
from .talk import Talk

__all__ = ["EXIT_CODES", "INCOMPLETE", "Commands", "Signals", "Terminated", "end_with"]

INCOMPLETE = 4
EXIT_CODES = {
    0: "complete",
    1: "failed",
    2: "usage: flags, a filter, a table that is there already, or that is not",
    3: "credentials or configuration",
    INCOMPLETE: "incomplete; the same command goes on from there",
    5: "storage: DuckDB could not read or write",
    130: "interrupted (Ctrl-C); 143 for SIGTERM",
}
_LONGEST_MESSAGE = 4_000
# Where what is said is kept, a disk for one, there is no room for more.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SIGNALS = f"{__name__}.signals"


def end_with(talk: Talk, values: dict[str, Any], text: str, *, complete: bool) -> None:
    """Say what a fetch came to, and end with the code for it.

    Args:
        talk: Says it.
        values: The result as JSON.
        text: The same for people.
        complete: Whether it is what was asked for; if not, the same command goes on.
    """
    talk.result(values, text, good=complete)
    if not complete:
        click.get_current_context().exit(INCOMPLETE)


class Terminated(KeyboardInterrupt):
    """SIGTERM: stops a run just as Ctrl-C does, and ends with a code of its own."""


class Signals:
    """Handles SIGINT and SIGTERM while it is entered; does nothing outside the main thread.

    ``received`` is written by the signal handler, which Python runs on the main thread.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._held = False

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

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait while the block runs: an extension module that is cut while it loads aborts the process."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._raise()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        if self.received is not None:
            raise Terminated if self.received == signal.SIGTERM else KeyboardInterrupt


class Command(click.Command):
    """One command: its words are read before anything heavy is loaded, and all of that is loaded before it begins."""

    def invoke(self, ctx: click.Context) -> Any:
        """Load the library, then run the command."""
        with ctx.meta[_SIGNALS].held():
            _load()
        return super().invoke(ctx)


@cache
def _load() -> None:
    """Load the library, which stays: the collector looks for no garbage in it meanwhile, nor ever after.

    A quarter of the processor time of a short command went there.
    """
    gc.disable()
    try:
        import_module("..api", __package__).fetch_profiles  # noqa: B018 - loads what it needs, when asked for
    finally:
        gc.freeze()
        gc.enable()


class Commands(click.Group):
    """The group of all commands; whatever one of them raises ends here."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run; where a signal comes just before a command heeds it, or just after, click knows no code for it."""
        with Signals() as signals:
            try:
                return super().main(*args, **settings)
            except SystemExit as ended:
                if signals.received is None or ended.code != 1:
                    raise
        raise SystemExit(signals.exit_code)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note ``--json`` before anything can fail, so that usage errors come as JSON too."""
        ctx.obj = talk = Talk(as_json="--json" in args)
        with suppress(AttributeError, ValueError):  # no standard output, or one of another kind
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        try:
            return super().parse_args(ctx, args)
        except click.ClickException as error:
            return ctx.exit(_say(talk, error))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what it raises into an exit code."""
        talk: Talk = ctx.obj
        with Signals() as signals:
            ctx.meta[_SIGNALS] = signals
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
        error.message = shown(error.message)  # type: ignore[misc]  # final, but of nobody else
        error.show(said)
        talk.screen.line(said.getvalue().rstrip("\n"))
        if talk.as_json:
            talk.result({"error": {"code": "usage", "message": error.format_message()}}, "")
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        talk.screen.line(f"Error: The output could not be written: {error.strerror}.")
        return 1
    text = one_line(f"unexpected {type(error).__name__}: {error}", _LONGEST_MESSAGE)
    talk.failure(f"Error: {text.rstrip('.')}. -v shows where it happened.", {"code": "unexpected", "message": text})
    talk.trace(error)
    return 1
