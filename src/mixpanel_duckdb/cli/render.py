"""Which progress the command shows: none for ``--quiet``, a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from ..display import Bar, Heartbeat, Tally
from .talk import Talk

__all__ = ["progress_for"]


def progress_for(talk: Talk) -> Tally:
    """Choose the display of one run; the caller closes it."""
    if talk.quiet:
        return Tally(talk.notice)
    if talk.screen.redraws:
        return Bar(talk.notice, talk.screen)
    return Heartbeat(talk.notice, talk.screen)
