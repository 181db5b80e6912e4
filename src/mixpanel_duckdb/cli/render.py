"""Which progress the command shows: a bar on a terminal; elsewhere the log tells of it, and ``--quiet`` shows none."""

from __future__ import annotations

from ..display import Bar, Tally
from .talk import Talk

__all__ = ["progress_for"]


def progress_for(talk: Talk) -> Tally:
    """Choose the display of one run; the caller closes it."""
    if talk.screen.redraws and not talk.quiet:
        return Bar(talk.notice, talk.screen)
    return Tally(talk.notice)
