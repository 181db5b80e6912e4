"""What a download of pages tells the caller's thread."""

from __future__ import annotations

from dataclasses import dataclass

from ..engage import EngagePage
from ..errors import MixpanelError
from ..http import Arrival

__all__ = ["FirstPage", "LargePagesFailed", "PageEvent"]


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Page 0 has come; the download waits to be told to go on.

    Args:
        page: It.
        how: When it came, and what was done for it.
        refused: Why it is this one, and not the one in larger pages that was asked for behind it.
    """

    page: EngagePage
    how: Arrival
    refused: MixpanelError | None = None


@dataclass(frozen=True, slots=True)
class PageEvent:
    """What happened to a page.

    Args:
        index: The page.
        rows: Rows committed.
        problem: What went wrong; ``None`` when it was committed as expected.
        committed: Whether its rows are stored.
        again: Whether it will be fetched once more.
    """

    index: int
    rows: int = 0
    problem: str | None = None
    committed: bool = False
    again: bool = False


class LargePagesFailed(Exception):  # noqa: N818 - never leaves this room
    """A page of a size that was chosen here failed again and again: smaller ones may not."""
