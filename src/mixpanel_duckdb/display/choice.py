"""What ``progress=...`` asks for, and what is there to show it on."""

from __future__ import annotations

import sys
from typing import Any, Literal

from ..extras import installed, need
from .bars import Bar, Heartbeat
from .screen import Screen
from .tally import Tally
from .tqdm import TqdmBar

__all__ = ["Progress", "in_notebook", "progress_display"]

Progress = Literal["auto"] | bool | None
_QUIET_SECONDS = 30.0


def progress_display(progress: Progress, *, heard: bool) -> Tally:
    """Choose the display of one run; the caller closes it.

    Args:
        progress: ``"auto"``: a bar in a notebook or on a terminal, elsewhere a line every half minute, which a shorter
            run never prints; nothing when the caller listens himself. ``True``: a bar by tqdm in any case. ``False`` or
            ``None``: nothing.
        heard: Whether the caller has an observer or a callback of his own.

    Raises:
        MixpanelError: ``True``, and tqdm is missing.
    """
    if progress is True:
        need("tqdm", extra="progress")
        return TqdmBar()
    if heard or progress != "auto":
        return Tally(_ignore)
    screen = Screen()
    if not (screen.redraws or in_notebook()):
        return Heartbeat(_ignore, screen, apart=_QUIET_SECONDS, reserved=True)
    if installed("tqdm"):
        return TqdmBar()
    return Bar(lambda text: screen.line(f"Note: {text}"), screen, stays=True)


def in_notebook() -> bool:
    """Say whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and "IPKernelApp" in shell.config


def _ignore(_: str) -> None:
    """Notices are in the log and in the result anyway."""
