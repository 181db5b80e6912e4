"""``Timeline``: the picture of a fetch as a notebook shows it and a file keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import check

if TYPE_CHECKING:
    import duckdb

__all__ = ["Timeline", "timeline_of"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline of a fetch as a self-contained SVG; a notebook shows it.

    Each worker is a lane and each page, or request for days of events, a bar; a thin line below lasts until it was
    written. Requests that failed or were answered with a 429, waits, pauses of all workers and the time between runs
    are marked.

    Args:
        svg: The picture, as text.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(2500, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_profiles("mixpanel.duckdb", credentials=who, base_url=sim.base_url)
        >>> result.timeline().save("run.svg").name
        'run.svg'
    """

    svg: str = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, replacing what is there.

        Args:
            path: The file; its folder must exist.

        Returns:
            The path.

        Raises:
            QueryError: It is no path.
            OSError: It cannot be written.
        """
        check(locals(), but={"self"})
        target = Path(os.path.expanduser(path))
        target.write_text(self.svg, encoding="utf-8")
        return target

    def _repr_svg_(self) -> str:
        return self.svg


def timeline_of(
    connect: Callable[[], duckdb.DuckDBPyConnection], fetch_id: str, *, of_events: bool = False
) -> Timeline:
    """Draw a fetch that a database knows.

    Args:
        connect: Gives a connection of our own to the database; closed here.
        fetch_id: The fetch.
        of_events: Whether it is one of events.

    Raises:
        StorageError: The database cannot be read, or does not know the fetch.
    """
    # Every import of the package would pay for what few processes draw.
    from ..store import event_history, history_of  # noqa: PLC0415
    from .layout import lay_out  # noqa: PLC0415
    from .svg import draw  # noqa: PLC0415

    return Timeline(draw(lay_out((event_history if of_events else history_of)(connect, fetch_id))))
