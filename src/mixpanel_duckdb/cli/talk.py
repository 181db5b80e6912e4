"""What one call of the command says: results on standard output, everything else on standard error.

Both pass the gate of ``text``: here, and in ``Screen``.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, cast

import click

from ..display import Screen
from ..text import line_width, plain, shown, wrapped

__all__ = ["Talk", "on_terminal"]

_LOGGER = "mixpanel_duckdb"
_AT_ONCE = 1_000_000


def on_terminal() -> bool:
    """Whether somebody sees standard output, which may be closed."""
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


@dataclass
class Talk:
    """The voice of one call.

    Where nobody watches, standard error is a log: it has the package's own, and from then on every line begins with a
    time. What is wrong before there is anything to log is one plain sentence.

    Args:
        as_json: Results, failures included, are one JSON object on standard output.
        quiet: A call that succeeds says nothing, unless its result is JSON; one that fails says its warnings, too.
        verbose: The package's log and tracebacks are said too.
        screen: Standard error.
        told: Notices of the library that were said.
        held: Warnings that nobody needs unless the call fails.
        logged: Whether the package's log has been said.
        when_stopped: Gives the line for a run that Ctrl-C or SIGTERM stopped.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    screen: Screen = field(default_factory=Screen)
    told: set[str] = field(default_factory=set)
    held: list[str] = field(default_factory=list)
    logged: bool = False
    when_stopped: Callable[[], str] = lambda: "Stopped."

    @property
    def logs(self) -> bool:
        """Whether the library's log is said."""
        return self.verbose or not (self.quiet or self.screen.redraws)

    def result(self, values: Mapping[str, Any] | Sequence[Any], text: str, *, good: bool = True) -> None:
        """Say the outcome: ``values`` as JSON, or ``text``.

        Args:
            values: For those who asked for JSON: an object, or a list of them.
            text: For the others.
            good: Whether it is what was asked for, so that ``--quiet`` says nothing of it.
        """
        if not good:
            self._release()
        if self.as_json:
            click.echo(json.dumps(plain(values)))
        elif not (self.quiet and good):
            said = shown(text, keep="\n")
            click.echo(wrapped(said, line_width()) if on_terminal() else said)

    def rows(self, file: IO[str]) -> None:
        """Print rows that are whole in a file: as UTF-8, or with all that a terminal would obey made visible there."""
        gated = on_terminal()
        while text := file.read(_AT_ONCE):
            click.echo(shown(text, keep="\n") if gated else text.encode(), nl=False)

    def failure(self, text: str, values: Mapping[str, Any]) -> None:
        """Say why there is no result; ``values`` are for those who asked for JSON."""
        self._release()
        self.line(shown(text))
        if self.as_json:
            click.echo(json.dumps({"error": plain(values)}))

    def note(self, text: str) -> None:
        """Say something that is good to know."""
        if not self.quiet:
            self.line(shown(text))

    def notice(self, text: str) -> None:
        """Say a notice of the library, unless its log is said, which has it too."""
        if self.verbose or not self.quiet:
            self.told.add(text)
        if not self.logs:
            self.note(f"Note: {text}")

    def warn(self, text: str) -> None:
        """Say something that has to be known, if quietly only once the call has failed."""
        said = shown(f"Warning: {text}")
        if self.quiet and not self.verbose:
            self.held.append(said)
        else:
            self.line(said)

    def line(self, text: str) -> None:
        """Write a line to standard error; behind the package's log, where nobody watches, with its time."""
        stamped = self.logged and not self.screen.redraws
        self.screen.line(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {text}" if stamped else text)

    def _release(self) -> None:
        """Say the warnings of a call that has failed."""
        while self.held:
            self.line(self.held.pop(0))

    def trace(self, error: BaseException) -> None:
        """Show where an unexpected error happened, if details were asked for."""
        if self.verbose:
            self.line("".join(traceback.format_exception(error)).rstrip())

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Say the library's log records and warnings in this voice while the block runs."""
        logger, handler = logging.getLogger(_LOGGER), _LogLines(self)
        before = logger.level
        logger.setLevel(logging.DEBUG if self.verbose else logging.INFO if self.logs else logging.WARNING)
        logger.addHandler(handler)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default", UserWarning)
                warnings.showwarning = cast("Any", self._warned)
                yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)

    def _warned(self, message: Warning | str, category: type[Warning], *_: object) -> None:
        if self.verbose or issubclass(category, UserWarning):
            self.warn(str(message))


class _LogLines(logging.Handler):
    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    def emit(self, record: logging.LogRecord) -> None:
        text, self._talk.logged = record.getMessage(), True
        if record.levelno < logging.WARNING:
            self._talk.line(text)
            return
        self._talk.warn(text)
        if record.exc_text and self._talk.verbose:
            self._talk.line(record.exc_text)
