"""What one call of the command says: results on standard output, everything else on standard error.

Both pass the gate of ``text``: here, and in ``Screen``.
"""

from __future__ import annotations

import json
import logging
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import click

from ..display import Screen
from ..text import plain, shown

__all__ = ["Talk"]

_LOGGER = "mixpanel_duckdb"


@dataclass
class Talk:
    """The voice of one call.

    Args:
        as_json: Results, failures included, are one JSON object on standard output.
        quiet: Of the talk, only warnings and errors are said.
        verbose: The package's log and tracebacks are said too.
        screen: Standard error.
        told: Notices of the library that were said.
        when_stopped: Gives the line for a run that Ctrl-C or SIGTERM stopped.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    screen: Screen = field(default_factory=Screen)
    told: set[str] = field(default_factory=set)
    when_stopped: Callable[[], str] = lambda: "Stopped."

    def result(self, values: Mapping[str, Any], text: str) -> None:
        """Say the outcome: ``values`` as one JSON object, or ``text``."""
        click.echo(json.dumps(plain(values)) if self.as_json else shown(text, keep="\n"))

    def failure(self, text: str, values: Mapping[str, Any]) -> None:
        """Say why there is no result; ``values`` are for those who asked for JSON."""
        self.screen.line(shown(text))
        if self.as_json:
            click.echo(json.dumps({"error": plain(values)}))

    def note(self, text: str) -> None:
        """Say something that is good to know."""
        if not self.quiet:
            self.screen.line(shown(text))

    def notice(self, text: str) -> None:
        """Say a notice of the library, unless its log is shown, which has it too."""
        if self.verbose or not self.quiet:
            self.told.add(text)
        if not self.verbose:
            self.note(f"Note: {text}")

    def warn(self, text: str) -> None:
        """Say something that has to be known."""
        self.screen.line(shown(f"Warning: {text}"))

    def trace(self, error: BaseException) -> None:
        """Show where an unexpected error happened, if details were asked for."""
        if self.verbose:
            self.screen.line("".join(traceback.format_exception(error)).rstrip())

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Say the library's log records and warnings in this voice while the block runs."""
        logger, handler = logging.getLogger(_LOGGER), _LogLines(self)
        before = logger.level
        logger.setLevel(logging.DEBUG if self.verbose else logging.WARNING)
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
        text = record.getMessage()
        if record.levelno < logging.WARNING:
            self._talk.screen.line(f"{record.levelname.lower()}: {text}")
            return
        self._talk.warn(text)
        if record.exc_info and record.exc_info[1]:
            self._talk.trace(record.exc_info[1])
